/* A storm over all that speaks OPC UA in a node: its publisher reads three servers of ours whose values change fast, whose connections
 * are cut and which restart; actions write to them and call; settings, published nodes and trusted certificates are replaced several times
 * a second, methods of the publisher called, status and metrics asked for; and the end comes in the middle. Made for TSan and ASan.
 * The accounts add up at every look, and of the server that never restarts every value arrives, once and in order.
 * STORM_SECONDS=5
 * timeout: 180 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "action/action.h"
#include "base/mem.h"
#include "broker/consumer.h"
#include "message/message.h"
#include "mqtt/topic.h"
#include "node/node_private.h"
#include "publisher/publisher.h"
#include "support/random.h"
#include "ua_machine.h"

#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

enum { MACHINES = 3, COUNTERS = 8, STEP_MS = 10, PATIENCE_MS = 60000 };
enum { STEADY, RESTARTING, SECURE }; /* which machine is which */

struct seen {
    int64_t first, last;
    uint64_t count;
};

static struct storm {
    char home[64], data[80], file[100], pki[MACHINES][100];
    struct ua_machine machines[MACHINES];
    const struct settings *settings;
    struct node *node;
    pthread_t node_thread;
    struct consumer *reader;
    struct seen seen[MACHINES][COUNTERS];
    _Atomic bool over;
    _Atomic bool wild; /* the publisher itself is replaced, too */
    _Atomic unsigned rereads, looks, methods, files;
} s;

static void must(enum code code, const struct fault *why)
{
    machine_must(code, why);
}

static void nap(unsigned ms)
{
    (void)usleep(ms * 1000);
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- the node ---- */

static enum code read_settings(void *ctx, const struct settings **out, struct settings_report *report, struct fault *why)
{
    struct settings_source source = { .filter_valid = topic_filter_valid };
    unsigned n = atomic_fetch_add(&s.rereads, 1);
    bool wild = atomic_load(&s.wild);
    char text[4096];
    (void)ctx;
    (void)snprintf(
        text, sizeof text,
        "data: %s\nloops: 2\nlisteners: [ { type: mqtt, at: [\"127.0.0.1:0\"] } ]\n"
        "limits: { queued-messages: %u }\n"
        "opcua:\n  published-nodes: %s\n  options: --mm=Samples --bi=50 --si=1\n  topic: \"ua%s/{WriterGroup}\"\n  servers:\n"
        "    steady: { url: \"opc.tcp://127.0.0.1:%u\", security: None }\n"
        "    moving: { url: \"opc.tcp://127.0.0.1:%u\", security: None }\n"
        "    secure: { url: \"opc.tcp://127.0.0.1:%u\", accept-any: %s, any-host: true }\n"
        "actions:\n"
        "  a: { on: \"cmd/#\", do: { opcua-write: { server: steady, node: \"ns=1;s=target\", value: \"${n}\" } }, retry: 1, timeout: 2s }\n"
        "  b: { on: \"cmd/#\", do: { opcua-call: { server: moving, object: \"i=85\", method: \"ns=1;s=go\", arguments: [\"${n}\"] } }, retry: %u, timeout: 1s }\n"
        "%s%s",
        s.data, 1000 + n, s.file, wild && n % 3 == 1 ? "2" : "", s.machines[STEADY].port, s.machines[n % 2].port, s.machines[SECURE].port,
        n % 4 == 1 ? "true" : "false", n % 3,
        n % 2 ? "  c: { on: \"cmd/#\", do: { opcua-write: { server: secure, node: \"ns=1;s=target\", value: \"${n}\" } }, retry: 0, timeout: 1s }\n" : "",
        n % 7 == 6 ? "nonsense: true\n" : "");
    return settings_parse(out, &io_system, &source, "test.yaml", bytes_str(text), report, why);
}

static void *run_node(void *node)
{
    struct fault why;
    must(node_run(node, &why), &why);
    return NULL;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static void begin_node(void)
{
    struct fault why;
    must(read_settings(NULL, &s.settings, NULL, &why), &why);
    struct node_options options = { .settings = s.settings, .io = &io_system, .version = "test", .reread = read_settings };
    must(node_open(&s.node, &options, &why), &why);
    for (int m = 0; m < MACHINES; m++)
        machine_begin(&s.machines[m]);
    struct consumer_options o = { .name = "storm", .ready = nothing };
    must(consumer_open(&s.reader, s.node->broker, &o, &why), &why);
    must(consumer_subscribe(s.reader, &(struct consumer_filter){ BYTES_LIT("ua/#"), 1 }, 1, &why), &why);
    assert_int_equal(pthread_create(&s.node_thread, NULL, run_node, s.node), 0);
}

static void end_node(void)
{
    node_stop(s.node);
    (void)pthread_join(s.node_thread, NULL);
    node_close(s.node);
    settings_free(s.settings);
    s.settings = NULL;
}

/* ---- its published nodes ---- */

static void write_nodes(unsigned n)
{
    char path[160];
    (void)snprintf(path, sizeof path, "%s.new", s.file);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fprintf(f, "[");
    for (int m = 0; m < MACHINES; m++) {
        (void)fprintf(f, "%s{ \"EndpointUrl\": \"opc.tcp://127.0.0.1:%u\", \"UseSecurity\": %s, \"DataSetWriterGroup\": \"%d\", \"OpcNodes\": [",
                      m ? ",\n" : "", s.machines[m].port, m == SECURE ? "true" : "false", m);
        /* The others' nodes come and go, and change. */
        for (unsigned i = 0; i < (m == STEADY ? COUNTERS : 1 + (n + (unsigned)m) % COUNTERS); i++)
            (void)fprintf(f, "%s{ \"Id\": \"ns=1;s=c%u\", \"OpcSamplingInterval\": 0, \"OpcPublishingInterval\": %u, \"QueueSize\": 1000 }",
                          i ? ", " : " ", i, m == STEADY ? 50 : 20 + n % 4 * 10);
        (void)fprintf(f, " ] }");
    }
    (void)fprintf(f, "]\n");
    assert_int_equal(fclose(f), 0);
    assert_int_equal(rename(path, s.file), 0);
}

/* ---- looking ---- */

static bool look(struct publisher_glance *g)
{
    struct publisher *p = publisher_enter(s.node->seat);
    if (!p)
        return false;
    publisher_glance(p, g);
    publisher_leave(s.node->seat);
    if (g->received + g->repeated != g->sent + g->waiting + g->suppressed + g->skipped + g->replaced + g->too_large)
        fail_msg("received %llu + repeated %llu is not sent %llu + waiting %llu + suppressed %llu + skipped %llu + replaced %llu + too large %llu",
                 (unsigned long long)g->received, (unsigned long long)g->repeated, (unsigned long long)g->sent,
                 (unsigned long long)g->waiting, (unsigned long long)g->suppressed, (unsigned long long)g->skipped,
                 (unsigned long long)g->replaced, (unsigned long long)g->too_large);
    atomic_fetch_add(&s.looks, 1);
    return true;
}

/* True: it answered, which it need not when it is ending. */
static bool ask(const char *method, const char *target, const char *body)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    struct timeval patience = { .tv_sec = 20 };
    char text[2048];
    ssize_t n = 0, r;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%.80s/api.sock", s.data);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int len = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                       method, target, strlen(body), body);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0 && send(fd, text, (size_t)len, MSG_NOSIGNAL) == len)
        while ((r = recv(fd, text, sizeof text, 0)) > 0)
            n += r;
    (void)close(fd);
    return n > 0;
}

static void *look_on(void *ctx)
{
    struct publisher_glance g;
    (void)ctx;
    while (!s.over) {
        (void)look(&g);
        (void)ask("GET", "/metrics", "");
        (void)ask("GET", "/api/v1/status", "");
        nap(20);
    }
    return NULL;
}

static void *call_on(void *ctx)
{
    char body[512];
    (void)ctx;
    for (unsigned n = 0; !s.over; n++) {
        unsigned port = s.machines[n % 2 ? RESTARTING : SECURE].port;
        (void)snprintf(body, sizeof body,
                       "{\"EndpointUrl\":\"opc.tcp://127.0.0.1:%u\",\"DataSetWriterGroup\":\"more\",\"UseSecurity\":%s,"
                       "\"OpcNodes\":[{\"Id\":\"ns=1;s=c%u\",\"OpcPublishingInterval\":%u,\"QueueSize\":100}]}",
                       port, n % 2 ? "false" : "true", n % COUNTERS, 20 + n % 3 * 20);
        bool good = ask("POST", n % 5 < 3 ? "/api/v1/opcua/PublishNodes" : "/api/v1/opcua/UnpublishNodes", body);
        good = ask("POST", "/api/v1/opcua/GetDiagnosticInfo", "") && good;
        atomic_fetch_add(&s.methods, good);
        nap(60);
    }
    return NULL;
}

static void *reload_on(void *ctx)
{
    (void)ctx;
    for (unsigned n = 0; !s.over; n++) {
        node_reload(s.node);
        if (n % 3 == 0) {
            write_nodes(n);
            atomic_fetch_add(&s.files, 1);
        }
        nap(150);
    }
    return NULL;
}

/* Connections are cut, servers go and come back, and certificates are believed or not. */
static void *trouble_on(void *ctx)
{
    char dir[160], name[UA_SUBJECT_CHARS] = "";
    struct ua_trust *trust = NULL;
    struct fault why;
    struct random dice = { 3 };
    (void)ctx;
    (void)snprintf(dir, sizeof dir, "%s/opcua/pki", s.data);
    while (ua_trust_open(&trust, &io_system, dir, &why) != CODE_OK) /* the node makes it with its certificate */
        nap(5);
    for (unsigned n = 0; !s.over; n++) {
        machine_do(&s.machines[STEADY], machine_cut);
        switch (random_below(&dice, 4)) {
        case 0: machine_do(&s.machines[RESTARTING], machine_restart); break;
        case 1: machine_do(&s.machines[SECURE], machine_cut); break;
        case 2: machine_do(&s.machines[SECURE], machine_restart); break;
        default:
            machine_do(&s.machines[RESTARTING], machine_lower);
            nap(100);
            machine_do(&s.machines[RESTARTING], machine_raise);
        }
        const struct ua_certificate *own = ua_pki_own(s.machines[SECURE].pki)->certificate;
        if (n % 4 == 3 && name[0])
            (void)!ua_trust_reject(trust, bytes_str(name), NULL, &why);
        else
            (void)!ua_trust_add(trust, UA_PLACE_TRUSTED, own->leaf, name, &why);
        nap(250 + (unsigned)random_below(&dice, 300));
    }
    ua_trust_close(trust);
    return NULL;
}

/* ---- what arrives ---- */

static void count_value(unsigned machine, unsigned counter, int64_t value)
{
    struct seen *c = &s.seen[machine][counter];
    if (machine == STEADY && !atomic_load(&s.wild) && c->count && value != c->last + 1)
        fail_msg("c%u: %lld came behind %lld", counter, (long long)value, (long long)c->last);
    if (!c->count)
        c->first = value;
    c->last = value;
    c->count++;
}

static void count_message(const struct message *m)
{
    const char *at = (const char *)m->payload.at, *end = at + m->payload.len;
    unsigned machine = m->topic.len > 3 ? m->topic.at[3] - '0' : MACHINES;
    if (machine >= MACHINES || m->topic.len != 4)
        return; /* ua/more */
    while ((at = memmem(at, (size_t)(end - at), "ns=1;s=c", 8))) {
        char *rest;
        unsigned counter = (unsigned)strtoul(at + 8, &rest, 10);
        const char *value = memmem(rest, (size_t)(end - rest), "\"Value\":{\"Value\":", 17);
        if (!value || counter >= COUNTERS)
            fail_msg("%.*s", (int)m->payload.len, (const char *)m->payload.at);
        count_value(machine, counter, strtoll(value + 17 + (value[17] == '"'), NULL, 10));
        at = value;
    }
}

static void take(void)
{
    struct consumer_item items[64];
    struct fault why;
    size_t n = 1;
    while (n) {
        uint64_t from = consumer_head(s.reader);
        must(consumer_take(s.reader, from, items, 64, &n, &why), &why);
        for (size_t i = 0; i < n; i++) {
            count_message(items[i].message);
            message_drop(items[i].message);
        }
        if (n)
            must(consumer_finish(s.reader, items[n - 1].index + 1, BYTES_NONE, NULL, &why), &why);
    }
}

static void command(unsigned n)
{
    char event[64];
    struct fault why;
    (void)snprintf(event, sizeof event, "{\"n\":%u}", n);
    struct message *m = message_new(&(struct message_parts){ .qos = 1, .wall_us = io_system.wall_us(io_system.self), .topic = BYTES_LIT("cmd/x"),
                                                             .principal = BYTES_LIT("test"), .payload = bytes_str(event) });
    struct consumer_word w = { .message = m };
    (void)(consumer_publish(s.reader, &w, 1, &why) == CODE_OK);
    message_drop(m);
}

static void storm_for(int64_t ms)
{
    int64_t end = now_ms() + ms;
    for (unsigned n = 0; now_ms() < end; n++) {
        take();
        command(n);
        nap(30);
    }
}

/* Until every counter of the steady machine stands where the machine does. */
static void wait_for_all(void)
{
    int64_t end = now_ms() + PATIENCE_MS, want = atomic_load(&s.machines[STEADY].emitted);
    for (unsigned i = 0; i < COUNTERS;) {
        take();
        i = s.seen[STEADY][i].last == want ? i + 1 : i;
        if (now_ms() > end)
            fail_msg("c%u: %lld was the last, the machine is at %lld", i, (long long)s.seen[STEADY][i].last, (long long)want);
        if (i < COUNTERS)
            nap(1);
    }
}

/* ---- the test ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int setup(void **state)
{
    struct fault why;
    (void)state;
    (void)snprintf(s.home, sizeof s.home, "/tmp/fg-uastorm-XXXXXX");
    assert_non_null(mkdtemp(s.home));
    (void)snprintf(s.data, sizeof s.data, "%s/data", s.home);
    (void)snprintf(s.file, sizeof s.file, "%s/publishednodes.json", s.home);
    (void)snprintf(s.pki[0], sizeof s.pki[0], "%s/machine", s.home);
    assert_int_equal(mkdir(s.pki[0], 0700), 0);
    for (int m = 0; m < MACHINES; m++) {
        s.machines[m].counters = COUNTERS;
        s.machines[m].step_ms = STEP_MS;
        if (m == SECURE)
            must(ua_pki_open(&s.machines[m].pki, &io_system, s.pki[0], NULL, &why), &why);
        machine_listen(&s.machines[m]);
    }
    write_nodes(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (int m = 0; m < MACHINES; m++) {
        machine_end(&s.machines[m]);
        ua_pki_close(s.machines[m].pki);
    }
    (void)nftw(s.home, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void storm(void **state)
{
    static void *(*const runs[])(void *) = { look_on, call_on, reload_on, trouble_on };
    enum { THREADS = sizeof runs / sizeof runs[0] };
    const char *seconds = getenv("STORM_SECONDS");
    int64_t ms = (seconds ? strtoll(seconds, NULL, 10) : 5) * 1000;
    pthread_t threads[THREADS];
    (void)state;
    begin_node();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, runs[i], NULL), 0);
    storm_for(ms);
    machine_do(&s.machines[STEADY], machine_rest);
    wait_for_all();
    for (unsigned i = 0; i < COUNTERS; i++) /* and so none twice, none lost */
        assert_int_equal(s.seen[STEADY][i].count, s.seen[STEADY][i].last - s.seen[STEADY][i].first + 1);
    uint64_t count = s.seen[STEADY][0].count;
    atomic_store(&s.wild, true); /* from here on the publisher itself comes and goes, and each begins with the values of the moment */
    s.machines[STEADY].step_ms = STEP_MS;
    machine_do(&s.machines[STEADY], machine_run);
    storm_for(ms / 2);
    consumer_close(s.reader);
    node_stop(s.node); /* in the middle of it */
    nap(50);
    s.over = true;
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(threads[i], NULL);
    end_node();
    print_message("%llu values of each steady counter, %llu cuts, %llu and %llu lives, %llu writes, %llu calls, %u looks, %u methods, %u files\n",
                  (unsigned long long)count, (unsigned long long)s.machines[STEADY].cuts,
                  (unsigned long long)s.machines[RESTARTING].lives, (unsigned long long)s.machines[SECURE].lives,
                  (unsigned long long)s.machines[STEADY].writes, (unsigned long long)(s.machines[STEADY].calls + s.machines[RESTARTING].calls),
                  s.looks, s.methods, s.files);
    assert_true(count > 20 && s.seen[RESTARTING][0].count > 0 && s.seen[SECURE][0].count > 0);
    assert_true(s.machines[STEADY].writes > 0 && s.machines[STEADY].calls + s.machines[RESTARTING].calls > 0 && s.looks > 10 && s.methods > 1 && s.rereads > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(storm, setup, teardown) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
