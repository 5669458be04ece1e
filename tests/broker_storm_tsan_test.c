/* A storm over a whole node with four loops and a real journal: MQTT sessions over TCP, TLS 1.2 and 1.3, WebSocket and WebSocket
 * on TLS, by password, SCRAM and certificate; connect, takeover from one door to another, subscribe (also shared, with
 * identifiers), publish (also with an expiry), acknowledge, sign in anew, disconnect and hang up, wills with and without a delay,
 * all at once and with few identifiers, while settings, listeners, certificates, users and rules are replaced again and again.
 * Made for TSan; under ASan it looks for memory used after its end. When the storm is over, what is in memory is what a replay
 * of the log gives, and what the state written at the stop gives.
 * STORM_SECONDS=10
 * timeout: 180 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "broker/private.h"
#include "identity/identity_test_users.h"
#include "journal/journal_private.h"
#include "mqtt/topic.h"
#include "net/tls_private.h"
#include "net/websocket.h"
#include "node/node_private.h"
#include "storm_peer.h"
#include "support/broker_state.h"
#include "support/certs.h"

#include <ftw.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOOPS = 4, CLIENT_LOOPS = 2, VISITORS = 16 /* per loop */, TICK_MS = 100, PATIENCE_S = 60, STUCK_US = 30 * 1000 * 1000 };

/* The listeners of the node, in this order. Where a certificate is shown its name is the user; who shows none has a password. */
enum shows { SHOWS_NONE, SHOWS_SOME, SHOWS_ALL };
static const struct door {
    const char *settings;
    bool        tls, websocket;
    enum shows  shows;
} doors[] = {
    { "type: mqtt, auth: users", false, false, SHOWS_NONE },
    { "type: mqtts, auth: users", true, false, SHOWS_NONE },
    { "type: mqtts, auth: certificate, client-certificate: required", true, false, SHOWS_ALL },
    { "type: http, auth: users", false, true, SHOWS_NONE },
    { "type: https, auth: [certificate, users], client-certificate: optional", true, true, SHOWS_SOME },
};
enum { DOORS = sizeof doors / sizeof doors[0], HTTP_DOOR = 3 };

struct storm {
    struct storm_counts    counts;
    char                   data[64];
    char                   users_path[128], rules_path[128], chain[2][128], key[2][128], root[128];
    struct buf             users[2]; /* with bob, without him */
    const struct settings *settings;
    struct node           *node;
    pthread_t              node_thread, threads[CLIENT_LOOPS];
    uint16_t               ports[DOORS];
    unsigned               listeners, files;
    _Atomic unsigned       shown[2]; /* of which certificate */
    _Atomic unsigned       rereads;
    struct loop           *loops[CLIENT_LOOPS];
    struct tls_client     *tls[2][2]; /* TLS 1.2, 1.3; without a certificate, with one */
};
static struct storm s;

static void must(enum code code, const struct fault *why)
{
    if (code != CODE_OK)
        fail_msg("%s", why->text);
}

/* ---- files ---- */

static void make_certificates(void)
{
    char name[16];
    struct fault why;
    struct cert root = cert_make(&(struct cert_wish){ .name = "Root", .ca = true });
    struct cert device = cert_make(&(struct cert_wish){ .issuer = &root, .name = storm_users[STORM_DEVICE], .usage = "clientAuth" });
    (void)snprintf(s.root, sizeof s.root, "%s", certs_chain("root.pem", (const struct cert *[]){ &root }, 1));
    for (int i = 0; i < 2; i++) {
        struct cert own = cert_make(&(struct cert_wish){ .issuer = &root, .name = i ? "gw1" : "gw0", .sans = "IP:127.0.0.1" });
        (void)snprintf(name, sizeof name, "%d.pem", i);
        (void)snprintf(s.chain[i], sizeof s.chain[i], "%s", certs_chain(name, (const struct cert *[]){ &own }, 1));
        (void)snprintf(name, sizeof name, "%d.key", i);
        (void)snprintf(s.key[i], sizeof s.key[i], "%s", certs_key(name, &own));
        cert_free(&own);
    }
    const char *chain = certs_chain("device.pem", (const struct cert *[]){ &device }, 1), *key = certs_key("device.key", &device);
    for (int version = 0; version < 2; version++)
        for (int shown = 0; shown < 2; shown++) {
            struct tls_client_options o = { .ca_file = s.root, .chain = shown ? chain : NULL, .key = shown ? key : NULL };
            must(tls_client_load(&s.tls[version][shown], &io_system, &o, &why), &why);
            SSL_CTX *ctx = s.tls[version][shown]->ctx;
            int only = version ? TLS1_3_VERSION : TLS1_2_VERSION;
            assert_true(SSL_CTX_set_min_proto_version(ctx, only) && SSL_CTX_set_max_proto_version(ctx, only));
        }
    cert_free(&root);
    cert_free(&device);
}

static void write_file(const char *path, const void *text, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* As a whole: the node may look at any moment. */
static void replace_file(const char *path, struct bytes text)
{
    char fresh[160];
    (void)snprintf(fresh, sizeof fresh, "%s.new", path);
    write_file(fresh, text.at, text.len);
    assert_int_equal(rename(fresh, path), 0);
}

/* Other users and rules than before. */
static void change_files(void)
{
    static const char *const rules[] = {
        "version: 1\nrules:\n  - publish: [\"t/#\", \"hub/#\"]\n    subscribe: [\"t/#\", \"hub/#\"]\n",
        "version: 1\nrules:\n  - user: alice\n    deny: true\n    publish: [\"t/b\"]\n    subscribe: [\"hub/#\"]\n"
        "  - publish: [\"t/#\", \"hub/#\"]\n    subscribe: [\"t/#\", \"hub/#\"]\n",
    };
    unsigned n = s.files++;
    replace_file(s.users_path, buf_bytes(&s.users[n % 2]));
    replace_file(s.rules_path, bytes_str(rules[n / 2 % 2]));
}

static void make_users(const char *folder)
{
    for (int without = 0; without < 2; without++)
        for (int i = 0; i < STORM_USERS - without; i++)
            test_user(&s.users[without], storm_users[i], storm_users[i], NULL, true);
    (void)snprintf(s.users_path, sizeof s.users_path, "%s/users", folder);
    (void)snprintf(s.rules_path, sizeof s.rules_path, "%s/rules", folder);
    change_files();
}

/* Each reading finds others: a certificate, limits, partitions' topics, an address more or less; some cannot be read. */
static enum code reread(void *ctx, const struct settings **out, struct settings_report *report, struct fault *why)
{
    struct settings_source source = { .filter_valid = topic_filter_valid };
    struct buf text = { 0 };
    unsigned n = atomic_fetch_add(&s.rereads, 1);
    (void)ctx;
    buf_printf(&text, "data: %s\nusers: %s\nrules: %s\nloops: %d\nlog: { level: error }\nlisteners:\n", s.data, s.users_path,
               s.rules_path, LOOPS);
    for (int i = 0; i < DOORS; i++)
        buf_printf(&text, "  - { %s, at: [\"127.0.0.1:0\"%s] }\n", doors[i].settings, n % 5 == (unsigned)i ? ", \"127.0.0.2:0\"" : "");
    buf_printf(&text, "gateway:\n  certificates: { chain: %s, key: %s, root: %s }\n", s.chain[n % 2], s.key[n % 2], s.root);
    buf_printf(&text, "hub: { partitions: 4, keep: %ud, topics: [\"%s\"] }\njournal: { segment-bytes: 1MiB, disk-reserve: 0 }\n",
               1 + n % 5, n % 3 ? "hub/#" : "t/a");
    buf_printf(&text, "limits: { packet-bytes: 64KiB, receive-maximum: %u, queued-messages: %u, topic-aliases: %u }\n%s", 40 + n % 50, 100 + n * 50 % 1000,
               n % 9, n % 7 == 6 ? "nonsense: true\n" : "");
    enum code code = settings_parse(out, &io_system, &source, "test.yaml", buf_bytes(&text), report, why);
    buf_clear(&text);
    return code;
}

/* ---- the node ---- */

static void note_listener(void *ctx, const char *type, const char *address)
{
    (void)ctx, (void)type;
    if (strstr(address, "127.0.0.1:"))
        s.ports[s.listeners++] = (uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10);
}

static void *run_node(void *node)
{
    struct fault why;
    must(node_run(node, &why), &why);
    return NULL;
}

static void start_node(void)
{
    struct fault why;
    struct node_options o = { .io = &io_system, .version = "test", .reread = reread };
    (void)snprintf(s.data, sizeof s.data, "%s/storm.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(s.data));
    must(reread(NULL, &s.settings, NULL, &why), &why);
    o.settings = s.settings;
    log_set_level(LOG_ERROR);
    must(node_open(&s.node, &o, &why), &why);
    node_each_listener(s.node, note_listener, NULL);
    assert_int_equal(s.listeners, DOORS);
    assert_int_equal(pthread_create(&s.node_thread, NULL, run_node, s.node), 0);
}

/* While the clients go on: they are cut off. */
static void stop_node(void)
{
    node_stop(s.node);
    assert_int_equal(pthread_join(s.node_thread, NULL), 0);
}

/* ---- memory against what is on disk ---- */

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static void remove_folder(const char *path)
{
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static char copy[80];

static int copy_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)ftw;
    char to[256];
    struct fault why;
    (void)snprintf(to, sizeof to, "%s%s", copy, path + strlen(s.data));
    if (flag == FTW_D)
        return mkdir(to, 0700);
    if (!S_ISREG(st->st_mode))
        return 0; /* the control socket */
    char *text;
    size_t len;
    must(io_load(&io_system, path, 16 << 20, &text, &len, &why), &why);
    write_file(to, text, len);
    mem_free(text);
    return 0;
}

static bool settled(struct journal *j, uint64_t *written)
{
    struct journal_stats now;
    journal_stats(j, &now);
    bool still = now.durable_seq >= now.appended_seq && atomic_load(&j->pending_bytes) == 0 && now.bytes_written == *written;
    *written = now.bytes_written;
    return still;
}

/* The folder as it is when all is durable and the journal is still open: what a crash would leave. */
static void copy_folder(struct journal *j)
{
    uint64_t written = 0;
    (void)snprintf(copy, sizeof copy, "%s.copy", s.data);
    for (int i = 0; i < 200; i++) {
        struct timespec nap = { .tv_nsec = 50000000 };
        (void)nanosleep(&nap, NULL);
        if (!settled(j, &written))
            continue;
        assert_int_equal(nftw(s.data, copy_entry, 16, FTW_PHYS), 0);
        if (settled(j, &written))
            return;
        remove_folder(copy);
    }
    fail_msg("the journal does not come to rest");
}

static char *replayed(const char *folder)
{
    struct fault why;
    struct broker *b;
    struct broker_config config = { .limits = s.settings->limits, .io = &io_system, .version = "test" };
    must(broker_new(&b, &config, &why), &why);
    struct journal_options o = { .io = &io_system, .data_dir = folder, .segment_bytes = 1 << 20, .partitions = 4, .manual = true,
                                 .ctx = b, .apply = broker_apply, .write_state = broker_write_state,
                                 .on_durable = broker_on_durable };
    must(journal_open(&b->journal, &o, &why), &why);
    char *text = state_text(b);
    journal_abandon(b->journal);
    broker_free(b);
    remove_folder(folder);
    return text;
}

static void must_be_equal(const char *live, const char *what, const char *folder)
{
    char *again = replayed(folder);
    size_t same = 0;
    while (live[same] && live[same] == again[same])
        same++;
    while (same && live[same - 1] != '\n')
        same--;
    if (strcmp(live, again) != 0)
        fail_msg("live \"%.*s\", by %s \"%.*s\"", (int)strcspn(live + same, "\n"), live + same, what,
                 (int)strcspn(again + same, "\n"), again + same);
    free(again);
}

static void compare_and_close_node(void)
{
    assert_non_null(s.node->own); /* a reload was done */
    node_halt(s.node);
    char *live = state_text(s.node->broker);
    assert_non_null(strstr(live, "session "));
    copy_folder(s.node->journal);
    node_close(s.node);
    must_be_equal(live, "a replay of the log", copy);
    must_be_equal(live, "the state written at the stop", s.data);
    free(live);
    settings_free(s.settings);
}

/* ---- the clients, on their own loops ---- */

struct visitor {
    struct storm_peer peer;
    struct loop      *loop;
    struct conn      *conn; /* NULL: none */
    int64_t           since_us;
    struct timer      timer;
};
static struct visitor visitors[CLIENT_LOOPS * VISITORS];

static void on_open(void *ctx, struct conn *conn)
{
    struct visitor *c = ctx;
    const struct tls_peer *node = conn_tls_peer(conn);
    if (node)
        s.shown[strcmp(node->common_name, "gw1") == 0]++;
    storm_connect(&c->peer, c->peer.certificate, doors[c->peer.door].shows != SHOWS_ALL, conn_out(conn));
}

static void let_go(struct visitor *c, bool flush)
{
    c->peer.over = true;
    c->peer.live = false;
    conn_close(c->conn, flush);
}

static size_t on_bytes(void *ctx, struct conn *conn, struct bytes in)
{
    struct visitor *c = ctx;
    struct mqtt_frame f;
    struct fault why;
    size_t used = 0;
    enum code code = CODE_OK;
    while (!c->peer.over && (code = mqtt_frame(bytes_from(in, used), 1 << 20, &f, &why)) == CODE_OK) {
        storm_answer(&c->peer, &f, conn_out(conn));
        used += f.size;
    }
    if (code != CODE_OK && code != CODE_MORE)
        storm_wrong(&c->peer, why.text, code);
    if (c->peer.over)
        let_go(c, true);
    return used;
}

static void on_close(void *ctx, struct conn *conn, const struct fault *why)
{
    struct visitor *c = ctx;
    (void)conn, (void)why;
    c->conn = NULL;
    c->peer.live = false;
}

static const struct conn_events events = { .on_bytes = on_bytes, .on_close = on_close, .on_open = on_open };

/* A door through which its user may come, and a certificate there if it shall be. */
static void draw_door(struct storm_peer *p)
{
    bool device = storm_user(p) == STORM_DEVICE;
    do
        p->door = (unsigned)random_below(&p->dice, DOORS);
    while (doors[p->door].shows == SHOWS_ALL && !device);
    enum shows shows = doors[p->door].shows;
    p->certificate = device && (shows == SHOWS_ALL || (shows == SHOWS_SOME && random_chance(&p->dice, 50)));
}

static void dial(struct visitor *c)
{
    struct fault why;
    struct storm_peer *p = &c->peer;
    *p = (struct storm_peer){ .counts = p->counts, .dice = p->dice, .number = p->number };
    storm_draw_id(p);
    draw_door(p);
    const struct door *d = &doors[p->door];
    uint16_t port = s.ports[p->door];
    struct tls_client *tls = s.tls[random_chance(&p->dice, 50)][p->certificate];
    must(d->tls ? conn_dial_tls(&c->conn, c->loop, "127.0.0.1", port, tls, &events, c, &why)
                : conn_dial(&c->conn, c->loop, "127.0.0.1", port, &events, c, &why), &why);
    if (d->websocket)
        must(websocket_dial(c->conn, "127.0.0.1", port, "/mqtt", "mqtt", 1 << 20, &why), &why);
    c->since_us = loop_now_us(c->loop);
}

static void act(struct timer *t)
{
    struct visitor *c = (struct visitor *)(void *)((char *)t - offsetof(struct visitor, timer));
    struct storm_peer *p = &c->peer;
    if (!c->conn) {
        dial(c);
    } else if (p->over) {
        /* its end will come */
    } else if (!p->live) {
        if (loop_now_us(c->loop) - c->since_us > STUCK_US)
            storm_wrong(p, "no CONNACK in seconds:", STUCK_US / 1000000);
        if (random_chance(&p->dice, 3)) /* in the middle of a handshake, or of signing in */
            let_go(c, false);
    } else if (!storm_act(p, conn_out(c->conn))) {
        let_go(c, false);
    } else if (p->over) {
        let_go(c, true);
    }
    timer_start(c->loop, t, 10 + (int64_t)random_below(&p->dice, 50), act);
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void start_clients(void)
{
    struct fault why;
    for (unsigned i = 0; i < CLIENT_LOOPS; i++) {
        must(loop_open_uv(&s.loops[i], &why), &why);
        for (unsigned k = i * VISITORS; k < (i + 1) * VISITORS; k++) {
            visitors[k] = (struct visitor){ .loop = s.loops[i], .peer = { .counts = &s.counts, .dice = { k + 1 }, .number = k } };
            timer_start(s.loops[i], &visitors[k].timer, 0, act);
        }
    }
    for (int i = 0; i < CLIENT_LOOPS; i++)
        assert_int_equal(pthread_create(&s.threads[i], NULL, run_loop, s.loops[i]), 0);
}

static void stop_clients(void)
{
    for (int i = 0; i < CLIENT_LOOPS; i++)
        loop_stop(s.loops[i]);
    for (int i = 0; i < CLIENT_LOOPS; i++)
        assert_int_equal(pthread_join(s.threads[i], NULL), 0);
    for (int i = 0; i < CLIENT_LOOPS; i++)
        loop_close(s.loops[i]);
    for (int i = 0; i < 4; i++)
        tls_client_drop(s.tls[i / 2][i % 2]);
}

/* ---- the storm ---- */

/* Somebody looks at the figures meanwhile. */
static void look(void)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(s.ports[HTTP_DOOR]),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = 20 };
    char text[16384];
    size_t len = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(send(fd, request, sizeof request - 1, MSG_NOSIGNAL), sizeof request - 1);
    for (ssize_t r; (r = recv(fd, text, sizeof text, 0)) > 0;)
        len += (size_t)r;
    assert_true(len > 1000);
    (void)close(fd);
}

static unsigned long handshakes(int version)
{
    return (unsigned long)(SSL_CTX_sess_connect_good(s.tls[version][0]->ctx) + SSL_CTX_sess_connect_good(s.tls[version][1]->ctx));
}

static bool all_happened(const struct broker_stats *b)
{
    const struct storm_counts *n = &s.counts;
    for (int i = 0; i < DOORS; i++)
        if (n->connected[i] < 10)
            return false;
    return b->takeovers > 5 && b->wills_published > 5 && b->denied_publishes > 0 && n->crossed > 5 && n->scram > 10 &&
           n->proven_again > 5 && n->certificates > 10 && n->refused > 0 && n->withdrawn > 0 && n->acknowledged > 50 &&
           n->shared > 20 && handshakes(0) > 5 && handshakes(1) > 5 && s.shown[0] > 5 &&
           s.shown[1] > 5 && s.rereads > 7;
}

static void tell(const struct broker_stats *b)
{
    const struct storm_counts *n = &s.counts;
#define SHOWN(x) (unsigned long)(x)
    for (int i = 0; i < DOORS; i++)
        print_message("%6lu connected: %s\n", SHOWN(n->connected[i]), doors[i].settings);
    print_message("%6lu by SCRAM, %lu by certificate, %lu proved again, %lu refused, %lu withdrawn\n", SHOWN(n->scram),
                  SHOWN(n->certificates), SHOWN(n->proven_again), SHOWN(n->refused), SHOWN(n->withdrawn));
    print_message("%6lu handshakes of TLS 1.2, %lu of 1.3; %u and %u with each certificate\n", handshakes(0), handshakes(1), s.shown[0],
                  s.shown[1]);
    print_message("%6lu taken over, %lu of them from another door; %lu wills, %u reloads\n", SHOWN(b->takeovers), SHOWN(n->crossed),
                  SHOWN(b->wills_published), s.rereads);
    print_message("%6lu acknowledged, %lu received, %lu of them shared\n", SHOWN(n->acknowledged), SHOWN(n->received),
                  SHOWN(n->shared));
#undef SHOWN
}

static void a_storm_leaves_nothing_behind(void **state)
{
    (void)state;
    const char *seconds = getenv("STORM_SECONDS");
    int ticks = (seconds ? atoi(seconds) : 10) * 1000 / TICK_MS;
    struct broker_stats stats;
    const char *folder = certs_begin();
    make_certificates();
    make_users(folder);
    start_node();
    start_clients();
    for (int i = 0; i < ticks || (i < PATIENCE_S * 1000 / TICK_MS && !all_happened(&stats)); i++) {
        struct timespec nap = { .tv_nsec = TICK_MS * 1000000 };
        (void)nanosleep(&nap, NULL);
        broker_stats(s.node->broker, &stats);
        if (i % 3 == 0)
            look();
        if (i % 5 == 4) {
            change_files();
            node_reload(s.node);
        }
    }
    tell(&stats);
    bool all = all_happened(&stats);
    stop_node();
    stop_clients();
    assert_int_equal(s.counts.wrong, 0);
    assert_true(all);
    compare_and_close_node();
    buf_clear(&s.users[0]);
    buf_clear(&s.users[1]);
    certs_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_storm_leaves_nothing_behind) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
