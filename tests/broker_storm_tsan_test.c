/* Storms over several real loops, with a real journal: connect, takeover, subscribe (also shared, with identifiers), publish
 * (also with an expiry), acknowledge, disconnect and hang up, all at once and with few identifiers. Made for TSan; under ASan it looks for memory used after its end. When the
 * storm is over everybody has gone, and what is in memory is what a replay of the log gives.
 * STORM_SECONDS=8
 * timeout: 180 */
#include "broker/private.h"
#include "base/log.h"
#include "support/broker_state.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LOOPS = 4, THREADS = 6, IDS = 10, CONNECTIONS = 4 /* per thread */, SHARED_ID = 100, LIFE_S = 2 };

struct storm {
    struct loop     *loops[LOOPS];
    pthread_t        loop_threads[LOOPS], clients[THREADS];
    struct listener *listener;
    struct journal  *journal;
    struct broker   *broker;
    uint16_t         port;
    char             dir[64];
    _Atomic bool     over;
    _Atomic uint64_t connected, acknowledged, received, shared, taken_over, wrong;
};

/* ---- the node ---- */

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void accepted(void *ctx, const struct net_peer *peer)
{
    struct storm *s = ctx;
    broker_accept(s->broker, peer);
}

static struct broker_config config_of(struct storm *s)
{
    static const char *const hub[] = { "hub/#" };
    struct rig_config defaults;
    rig_defaults(&defaults);
    return (struct broker_config){ .limits = defaults.limits, .io = &io_system, .loops = s->loops, .loop_count = LOOPS,
                                   .hub_topics = hub, .hub_topic_count = 1, .version = "test" };
}

static struct journal_options options_of(struct storm *s, struct broker *b, bool manual)
{
    return (struct journal_options){ .io = &io_system, .data_dir = s->dir, .segment_bytes = 1 << 20, .partitions = 4,
                                     .manual = manual, .ctx = b, .apply = broker_apply, .write_state = broker_write_state,
                                     .on_durable = broker_on_durable };
}

#define MUST(call)                                                                                           \
    do {                                                                                                     \
        if ((call) != CODE_OK)                                                                               \
            fail_msg("%s", why.text);                                                                        \
    } while (0)

static void start(struct storm *s)
{
    struct fault why;
    (void)snprintf(s->dir, sizeof s->dir, "%s/storm.XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(s->dir));
    for (int i = 0; i < LOOPS; i++)
        MUST(loop_open_uv(&s->loops[i], &why));
    struct broker_config config = config_of(s);
    MUST(broker_new(&s->broker, &config, &why));
    struct journal_options o = options_of(s, s->broker, false);
    MUST(journal_open(&s->journal, &o, &why));
    MUST(broker_start(s->broker, s->journal, &why));
    MUST(net_listen(&s->listener, s->loops[0], "127.0.0.1:0", accepted, s, &why));
    s->port = listener_port(s->listener);
    for (int i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_create(&s->loop_threads[i], NULL, run_loop, s->loops[i]), 0);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

static char *replayed(struct storm *s)
{
    struct fault why;
    struct broker *b;
    struct broker_config config = config_of(s);
    config.loop_count = 0;
    MUST(broker_new(&b, &config, &why));
    struct journal_options o = options_of(s, b, true);
    struct journal *j;
    MUST(journal_open(&j, &o, &why));
    b->journal = j;
    char *text = state_text(b);
    journal_abandon(j);
    broker_free(b);
    return text;
}

static void stop(struct storm *s)
{
    broker_stop(s->broker);
    for (int i = 0; i < LOOPS; i++)
        loop_stop(s->loops[i]);
    for (int i = 0; i < LOOPS; i++)
        (void)pthread_join(s->loop_threads[i], NULL);
    broker_halt(s->broker);
    for (int i = 0; i < LOOPS; i++)
        loop_close(s->loops[i]);
    char *live = state_text(s->broker);
    journal_close(s->journal);
    broker_free(s->broker);
    char *again = replayed(s);
    size_t same = 0;
    while (live[same] && live[same] == again[same])
        same++;
    while (same && live[same - 1] != '\n')
        same--;
    if (strcmp(live, again) != 0)
        fail_msg("live \"%.*s\", replayed \"%.*s\"", (int)strcspn(live + same, "\n"), live + same,
                 (int)strcspn(again + same, "\n"), again + same);
    free(live);
    free(again);
    (void)nftw(s->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the clients: blocking sockets, each thread its own few ---- */

struct wire_client {
    int        fd; /* -1: none */
    bool       live;
    enum mqtt_version version;
    uint16_t   pid;
    struct buf in;
};

struct thread {
    struct storm      *storm;
    long               number;
    struct random      dice;
    struct wire_client clients[CONNECTIONS];
};

static void hang_up(struct wire_client *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    buf_clear(&c->in);
    *c = (struct wire_client){ .fd = -1 };
}

static void send_all(struct wire_client *c, struct buf *out)
{
    size_t at = 0;
    while (c->fd >= 0 && at < buf_size(out)) {
        ssize_t n = send(c->fd, buf_bytes(out).at + at, buf_size(out) - at, MSG_NOSIGNAL);
        if (n <= 0)
            hang_up(c);
        else
            at += (size_t)n;
    }
    buf_clear(out);
}

static void connect_as(struct thread *t, struct wire_client *c)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(t->storm->port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval patience = { .tv_sec = 5 };
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        hang_up(c);
        return;
    }
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    /* Half of them fight for few identifiers, half are left alone. */
    unsigned own = IDS + (unsigned)(t->number * CONNECTIONS + (c - t->clients));
    unsigned id = random_chance(&t->dice, 50) ? (unsigned)random_below(&t->dice, IDS) : own;
    char name[16];
    (void)snprintf(name, sizeof name, "storm-%u", id);
    struct buf out = { 0 }, props = { 0 };
    if (id % 3)
        mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, id % 3 == 1 ? 600 : 1);
    c->version = id % 5 == 4 ? MQTT_3_1_1 : MQTT_5;
    struct mqtt_connect_out o = { .version = c->version, .client_id = bytes_str(name),
                                  .clean_start = random_chance(&t->dice, 10), .has_will = random_chance(&t->dice, 50),
                                  .will_qos = 1, .will_topic = BYTES_LIT("t/will"), .will_payload = BYTES_LIT("gone"),
                                  .props = buf_bytes(&props) };
    mqtt_encode_connect(&out, &o);
    send_all(c, &out);
    buf_clear(&props);
}

/* Shared subscriptions have identifiers from 100 on; a message comes for one of them, or for others. */
static bool hear_publish(struct storm *s, const struct wire_client *c, const struct mqtt_frame *f, struct mqtt_publish *p)
{
    struct fault why;
    if (mqtt_decode_publish(c->version, f->first, f->body, &mqtt_limits_default, p, &why) != CODE_OK)
        return false;
    if (c->version != MQTT_5)
        return true;
    bool shared = p->props.sub_id_count && p->props.sub_id >= SHARED_ID;
    s->shared += shared;
    return (!shared || p->props.sub_id_count == 1) &&
           (!mqtt_props_has(&p->props, MQTT_PROP_MESSAGE_EXPIRY) || p->props.message_expiry_s <= LIFE_S);
}

static void answer(struct thread *t, struct wire_client *c, const struct mqtt_frame *f)
{
    static const uint8_t answers[16] = { [MQTT_PUBREC] = MQTT_PUBREL, [MQTT_PUBREL] = MQTT_PUBCOMP };
    uint8_t type = f->first >> 4;
    struct storm *s = t->storm;
    struct buf out = { 0 };
    if (type == MQTT_CONNACK) {
        c->live = f->body.len >= 2 && f->body.at[1] == 0;
        s->connected++;
    } else if (type == MQTT_PUBLISH) {
        struct mqtt_publish p;
        s->received++;
        if (!hear_publish(s, c, f, &p))
            s->wrong++;
        else if (p.qos && !random_chance(&t->dice, 10))
            mqtt_encode_ack(&out, c->version, p.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, p.packet_id, 0, BYTES_NONE);
    } else if (type == MQTT_PUBACK || type == MQTT_PUBREC || type == MQTT_PUBREL) {
        s->acknowledged += type != MQTT_PUBREL;
        if (answers[type])
            mqtt_encode_ack(&out, c->version, answers[type], (uint16_t)(f->body.at[0] << 8 | f->body.at[1]), 0, BYTES_NONE);
    } else if (type == MQTT_DISCONNECT) {
        s->taken_over += f->body.len && f->body.at[0] == MQTT_TAKEN_OVER;
    } else if (type != MQTT_SUBACK && type != MQTT_UNSUBACK && type != MQTT_PUBCOMP) {
        s->wrong++;
    }
    send_all(c, &out);
}

/* Everything that is there, and its answers. */
static void listen_for(struct thread *t, struct wire_client *c, int ms)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };
    while (c->fd >= 0 && poll(&p, 1, ms) > 0) {
        uint8_t *to = buf_grow(&c->in, 16384);
        ssize_t n = to ? recv(c->fd, to, 16384, MSG_DONTWAIT) : -1;
        c->in.len -= 16384 - (size_t)(n > 0 ? n : 0);
        if (n <= 0) {
            hang_up(c);
            return;
        }
        struct mqtt_frame f;
        struct fault why;
        while (c->fd >= 0 && mqtt_frame(buf_bytes(&c->in), 1 << 20, &f, &why) == CODE_OK) {
            size_t size = f.size;
            answer(t, c, &f);
            if (c->fd >= 0)
                buf_take(&c->in, size);
        }
        ms = 0;
    }
}

static void publish(struct thread *t, struct wire_client *c)
{
    static const char *const topics[] = { "t/a", "t/b", "hub/x", "t/retained" };
    struct buf out = { 0 }, props = { 0 };
    mqtt_put_u32(&props, MQTT_PROP_MESSAGE_EXPIRY, LIFE_S);
    for (uint64_t n = 1 + random_below(&t->dice, 8); n; n--) {
        uint64_t topic = random_below(&t->dice, 4);
        uint8_t qos = (uint8_t)random_below(&t->dice, 3), payload[64];
        size_t len = random_below(&t->dice, sizeof payload);
        memset(payload, 'x', sizeof payload);
        c->pid = (uint16_t)(c->pid % 30 + 1);
        mqtt_encode_publish_head(&out, c->version, qos, false, topic == 3, bytes_str(topics[topic]), qos ? c->pid : 0,
                                 c->version == MQTT_5 && random_chance(&t->dice, 50) ? buf_bytes(&props) : BYTES_NONE,
                                 BYTES_NONE, len);
        buf_add(&out, payload, len);
    }
    send_all(c, &out);
    buf_clear(&props);
}

static void subscribe(struct thread *t, struct wire_client *c)
{
    static const char *const filters[] = { "t/#", "t/+", "hub/#", "t/a", "$share/s/t/#", "$share/s/hub/x", "$share/u/t/+" };
    struct buf out = { 0 }, props = { 0 };
    uint32_t which = (uint32_t)random_below(&t->dice, 7);
    struct mqtt_filter f = { .filter = bytes_str(filters[which]), .qos = (uint8_t)random_below(&t->dice, 3) };
    if (c->version == MQTT_5 && (which >= 4 || random_chance(&t->dice, 50)))
        mqtt_put_varint(&props, MQTT_PROP_SUB_ID, 1 + which + (which >= 4 ? SHARED_ID : 0));
    if (random_chance(&t->dice, 75))
        mqtt_encode_subscribe(&out, c->version, 100, &f, buf_bytes(&props));
    else
        mqtt_encode_unsubscribe(&out, c->version, 100, &f, BYTES_NONE);
    send_all(c, &out);
    buf_clear(&props);
}

static void act(struct thread *t, struct wire_client *c)
{
    uint64_t what = random_below(&t->dice, 100);
    if (c->fd < 0) {
        connect_as(t, c);
    } else if (!c->live) {
        listen_for(t, c, 20);
    } else if (what < 55) {
        publish(t, c);
        listen_for(t, c, (int)random_below(&t->dice, 3));
    } else if (what < 70) {
        subscribe(t, c);
    } else if (what < 85) {
        listen_for(t, c, 1);
    } else if (what < 93) {
        struct buf out = { 0 };
        mqtt_encode_disconnect(&out, c->version, 0, BYTES_NONE);
        send_all(c, &out);
        hang_up(c);
    } else {
        hang_up(c); /* with whatever is on its way */
    }
}

static void *be_many(void *ctx)
{
    struct thread *t = ctx;
    for (int i = 0; i < CONNECTIONS; i++)
        t->clients[i] = (struct wire_client){ .fd = -1 };
    while (!atomic_load(&t->storm->over))
        act(t, &t->clients[random_below(&t->dice, CONNECTIONS)]);
    for (int i = 0; i < CONNECTIONS; i++)
        hang_up(&t->clients[i]);
    return NULL;
}

static void a_storm_leaves_nothing_behind(void **state)
{
    (void)state;
    static struct storm s;
    struct thread threads[THREADS];
    const char *seconds = getenv("STORM_SECONDS");
    log_set_level(LOG_ERROR);
    start(&s);
    for (int i = 0; i < THREADS; i++) {
        threads[i] = (struct thread){ .storm = &s, .number = i, .dice = { (uint64_t)i + 1 } };
        assert_int_equal(pthread_create(&s.clients[i], NULL, be_many, &threads[i]), 0);
    }
    struct broker_stats stats;
    for (int i = 0; i < (seconds ? atoi(seconds) : 8) * 10; i++) { /* somebody looks at the figures meanwhile */
        struct timespec nap = { .tv_nsec = 100000000 };
        (void)nanosleep(&nap, NULL);
        broker_stats(s.broker, &stats);
    }
    s.over = true;
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(s.clients[i], NULL);
    print_message("%llu connections, %llu taken over, %llu acknowledged, %llu received, %llu of them shared\n",
                  (unsigned long long)s.connected, (unsigned long long)stats.takeovers, (unsigned long long)s.acknowledged,
                  (unsigned long long)s.received, (unsigned long long)s.shared);
    assert_int_equal(s.wrong, 0);
    assert_true(s.shared > 20 && s.connected > 50 && s.acknowledged > 50 && stats.takeovers > 5);
    stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_storm_leaves_nothing_behind) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
