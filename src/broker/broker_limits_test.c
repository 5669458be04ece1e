/* Limits and hostile input through the whole broker: what is too much costs its sender something, and nobody else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "support/broker_tests.h"

#define SECONDS(n) ((n) * INT64_C(1000000))

static const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect leaves = { .client_id = "leaver" };
static const struct peer_connect old = { .client_id = "older", .version = MQTT_3_1_1, .clean_start = true };

static const char *number(char out[16], unsigned i)
{
    (void)snprintf(out, 16, "%u", i);
    return out;
}

/* A neighbour who must not notice anything. */
static struct peer *neighbour(struct rig *rig)
{
    struct peer *p = peer_connected(rig, shard_of(rig, 1), &(struct peer_connect){ .client_id = "neighbour" }, false);
    peer_subscribed(p, "neighbour", 1);
    return p;
}

static void is_served(struct peer *p)
{
    uint16_t pid = peer_publish(p, "neighbour", "hello", 1, false);
    rig_run(p->rig);
    bool ack = false, publish = false;
    for (struct packet *k; (k = peer_take(p));) {
        ack = ack || (k->type == MQTT_PUBACK && k->pid == pid && k->reason == 0);
        publish = publish || k->type == MQTT_PUBLISH;
        if (k->type == MQTT_PUBLISH)
            peer_ack(p, MQTT_PUBACK, k->pid, 0);
    }
    assert_true(ack && publish);
}

/* ---- L-QUEUE ---- */

enum { FULL = 10 };

static void ten_queued(struct rig_config *c)
{
    c->limits.queued_messages = FULL;
}

static void ten_queued_drop_oldest(struct rig_config *c)
{
    c->limits.queued_messages = FULL;
    c->limits.on_full = ON_FULL_DROP_OLDEST;
}

static void ten_queued_refuse(struct rig_config *c)
{
    c->limits.queued_messages = FULL;
    c->limits.on_full = ON_FULL_REFUSE;
}

/* Somebody away, owed what is published to "q". */
static void leave_owed(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(p, "q", 1);
    peer_disconnect(p, 0);
    rig_run(rig);
}

static void comes_back_for(struct rig *rig, unsigned first, unsigned end)
{
    char text[16];
    struct peer *p = peer_connected(rig, shard_of(rig, 1), &keeps, true);
    rig_run(rig);
    for (unsigned i = first; i < end; i++) {
        struct packet *k = peer_expect_publish(p, "q", number(text, i), 1);
        peer_ack(p, MQTT_PUBACK, k->pid, 0);
        rig_run(rig);
    }
    peer_expect_nothing(p);
}

static void a_full_queue_keeps_the_oldest(struct rig *rig)
{
    char text[16];
    leave_owed(rig);
    struct peer *from = peer_connected(rig, 0, &leaves, false);
    for (unsigned i = 0; i < FULL + 5; i++)
        peer_published(from, "q", number(text, i), 1, false, 0);
    assert_int_equal(stats_of(rig).dropped_queue, 5);
    if (rig->config.seed % 2)
        rig_restart(rig, CRASH);
    comes_back_for(rig, 0, FULL);
}

static void a_full_queue_keeps_the_newest_if_told_to(struct rig *rig)
{
    char text[16];
    leave_owed(rig);
    struct peer *from = peer_connected(rig, 0, &leaves, false);
    for (unsigned i = 0; i < FULL + 25; i++)
        peer_published(from, "q", number(text, i), 1, false, 0);
    assert_int_equal(stats_of(rig).dropped_queue, 25);
    if (rig->config.seed % 2)
        rig_restart(rig, CRASH);
    comes_back_for(rig, 25, FULL + 25);
}

static void a_full_queue_refuses_if_told_to(struct rig *rig)
{
    char text[16];
    leave_owed(rig);
    struct peer *n = neighbour(rig), *from = peer_connected(rig, 0, &leaves, false);
    for (unsigned i = 0; i < FULL; i++)
        peer_published(from, "q", number(text, i), 1, false, 0);
    peer_published(from, "q", "refused", 1, false, MQTT_QUOTA_EXCEEDED);
    peer_published(from, "q", "refused", 2, false, MQTT_QUOTA_EXCEEDED);
    peer_published(from, "other", "x", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    is_served(n);
    /* 3.1.1 cannot be told: its acknowledgement is withheld, then the connection ends. */
    struct peer *older = peer_connected(rig, 0, &old, false);
    peer_publish(older, "q", "withheld", 1, false);
    peer_expect_nothing(older);
    rig_advance(rig, SECONDS(20));
    peer_expect_nothing(older);
    rig_advance(rig, SECONDS(40));
    peer_expect_end(older);
    is_served(n);
    comes_back_for(rig, 0, FULL);
    peer_published(from, "q", "fits again", 1, false, 0);
    rig_run(rig);
}

/* What a 3.1.1 client sent is tried again while its acknowledgement is withheld: all of it, in its order. */
static void what_is_withheld_is_tried_again(struct rig *rig)
{
    char text[16];
    leave_owed(rig);
    struct peer *n = neighbour(rig), *from = peer_connected(rig, 0, &leaves, false);
    for (unsigned i = 0; i < FULL; i++)
        peer_published(from, "q", number(text, i), 1, false, 0);
    struct peer *older = peer_connected(rig, shard_of(rig, 1), &old, false);
    uint16_t pids[6];
    for (unsigned i = 0; i < 6; i++)
        pids[i] = peer_publish(older, "q", number(text, FULL + i), 1 + i % 2, false);
    peer_expect_nothing(older);
    rig_advance(rig, SECONDS(10));
    peer_expect_nothing(older);
    struct peer *to = peer_connected(rig, 0, &keeps, true);
    unsigned next = 0;
    for (unsigned s = 0; s < 10; s++) { /* he takes what waits, so there is room again */
        rig_run(rig);
        for (struct packet *k; (k = peer_take(to));) {
            if (k->type == MQTT_PUBREL) {
                peer_ack(to, MQTT_PUBCOMP, k->pid, 0);
                continue;
            }
            assert_int_equal(k->type, MQTT_PUBLISH);
            if (!bytes_is(k->payload, number(text, next)))
                fail_msg("%.*s instead of %u", BYTES_FMT(k->payload), next);
            next++;
            peer_ack(to, k->qos == 2 ? MQTT_PUBREC : MQTT_PUBACK, k->pid, 0);
            rig_run(rig);
        }
        rig_advance(rig, SECONDS(1));
    }
    assert_int_equal(next, FULL + 6);
    for (unsigned i = 0; i < 6; i++) {
        struct packet *k = peer_expect(older, i % 2 ? MQTT_PUBREC : MQTT_PUBACK);
        assert_int_equal(k->pid, pids[i]);
    }
    rig_advance(rig, SECONDS(60)); /* it is listened to again, and not closed */
    peer_published(older, "q", number(text, next), 1, false, 0);
    is_served(n);
}

/* ---- L-FAN ---- */

static void hundred_at_once(struct rig_config *c)
{
    c->limits.fan_out = 100;
}

enum { CROWD = 350 };

/* More receivers than a turn may serve: all get everything, in order, and the publisher is not read from meanwhile. */
static void a_great_fan_out_comes_in_slices(struct rig *rig)
{
    static struct peer *to[CROWD];
    char text[16];
    for (unsigned i = 0; i < CROWD; i++) {
        (void)snprintf(text, sizeof text, "crowd %u", i);
        struct peer_connect c = { .client_id = text, .expiry_s = i % 3 ? 0 : 3600 };
        to[i] = peer_connected(rig, shard_of(rig, i), &c, false);
        peer_subscribed(to[i], "all/#", 1);
    }
    struct peer *from = peer_connected(rig, 0, &leaves, false);
    for (unsigned i = 0; i < 12; i++)
        peer_publish(from, "all/x", number(text, i), (uint8_t)(i % 3 == 1), false);
    rig_run(rig);
    for (unsigned i = 0; i < CROWD; i++) {
        unsigned next[2] = { 0, 1 };
        unsigned came = 0;
        for (struct packet *k; (k = peer_take(to[i])); came++) {
            assert_int_equal(k->type, MQTT_PUBLISH);
            unsigned *n = &next[k->qos]; /* QoS 0 may overtake QoS 1 of a durable session, each keeps its order */
            if (!bytes_is(k->payload, number(text, *n)))
                fail_msg("client %u, QoS %u: %.*s instead of %u", i, k->qos, BYTES_FMT(k->payload), *n);
            *n += k->qos ? 3 : (*n % 3 == 0 ? 2 : 1);
            if (k->qos)
                peer_ack(to[i], MQTT_PUBACK, k->pid, 0);
        }
        if (came != 12)
            fail_msg("client %u got %u of 12", i, came);
    }
    rig_run(rig);
    for (unsigned i = 0; i < 4; i++)
        (void)peer_expect(from, MQTT_PUBACK);
    peer_published(from, "all/x", "12", 1, false, 0); /* it is read from again */
    for (unsigned i = 0; i < CROWD; i++)
        (void)peer_expect_publish(to[i], "all/x", "12", 1);
    peer_subscribed(to[CROWD - 1], "few", 0); /* what goes to few does not overtake what goes to all */
    peer_publish(from, "all/x", "first", 0, false);
    peer_publish(from, "few", "second", 0, false);
    (void)peer_expect_publish(to[CROWD - 1], "all/x", "first", 0);
    (void)peer_expect_publish(to[CROWD - 1], "few", "second", 0);
}

/* ---- failures that others had ---- */

/* CVE-2021-28166: each of the packets that only a server sends, and each that is not allowed now, in every state. */
static void packets_of_the_other_side_end_the_connection(struct rig *rig)
{
    struct peer *n = neighbour(rig);
    for (unsigned state = 0; state < 3; state++) /* before CONNECT, connected, with a session and messages under way */
        for (unsigned version = 4; version <= 5; version++)
            for (unsigned type = 0; type < 16; type++) {
                static const uint8_t flags[16] = { [MQTT_PUBREL] = 2, [MQTT_SUBSCRIBE] = 2, [MQTT_UNSUBSCRIBE] = 2 };
                bool allowed = type == MQTT_PUBLISH || (type >= MQTT_PUBACK && type <= MQTT_SUBSCRIBE) ||
                               type == MQTT_UNSUBSCRIBE || type == MQTT_PINGREQ || type == MQTT_DISCONNECT;
                if ((allowed && state) || (type == MQTT_CONNECT && !state))
                    continue;
                struct peer_connect c = { .client_id = "other side", .version = version, .clean_start = true };
                struct peer *p = state ? peer_connected(rig, 0, &c, false) : peer_open(rig, 0);
                if (state == 2) {
                    peer_subscribed(p, "own", 2);
                    peer_publish(p, "own", "x", 2, false);
                    rig_run(rig);
                    while (peer_take(p))
                        ;
                }
                uint8_t bytes[] = { (uint8_t)(type << 4 | flags[type]), 4, 0, 1, 0, 0 };
                peer_send(p, bytes_of(bytes, sizeof bytes));
                rig_run(rig);
                for (struct packet *k; (k = peer_take(p));)
                    if (k->type != MQTT_DISCONNECT)
                        fail_msg("state %u, version %u: %s was answered with %s", state, version, mqtt_type_name((uint8_t)type),
                                 mqtt_type_name(k->type));
                if (!peer_ended(p))
                    fail_msg("state %u, version %u: %s was let pass", state, version, mqtt_type_name((uint8_t)type));
                peer_close(p);
                rig_run(rig);
            }
    is_served(n);
}

/* Takeovers without end: every connection gets an answer, one of each identifier remains, its session and will are whole. */
static void a_storm_of_takeovers_leaves_one_of_each(struct rig *rig)
{
    enum { STORM = 1000, NAMES = 10 };
    static struct peer *p[STORM];
    struct peer *wills = neighbour(rig);
    struct random dice = { rig->config.seed };
    char name[16];
    for (unsigned i = 0; i < STORM; i++) {
        (void)snprintf(name, sizeof name, "storm %u", (unsigned)random_below(&dice, NAMES));
        p[i] = peer_open(rig, (unsigned)random_below(&dice, rig->config.shards));
        struct peer_connect c = { .client_id = name, .expiry_s = 3600, .will_topic = "storm/will", .will_payload = name,
                                  .clean_start = random_chance(&dice, 10) };
        peer_connect(p[i], &c);
        if (random_chance(&dice, 20))
            rig_run(rig);
    }
    rig_run(rig);
    unsigned alive = 0;
    for (unsigned i = 0; i < STORM; i++) {
        struct packet *k = peer_take(p[i]);
        bool ended = peer_ended(p[i]);
        alive += !ended;
        if (!k && ended)
            continue; /* taken over before its CONNACK was due */
        assert_true(k && k->type == MQTT_CONNACK && k->reason == 0);
        k = peer_take(p[i]);
        assert_true(ended ? k && k->type == MQTT_DISCONNECT && k->reason == MQTT_TAKEN_OVER : !k);
    }
    assert_int_equal(alive, NAMES);
    assert_int_equal(stats_of(rig).takeovers, STORM - NAMES);
    assert_int_equal(stats_of(rig).wills_published, STORM - NAMES);
    rig_must_agree(rig);
    for (unsigned i = 0; i < STORM; i++)
        peer_close(p[i]);
    rig_run(rig);
    is_served(wills);
}

/* The first message was sent and is not acknowledged: nothing behind it may grow without bound. */
static void a_stuck_head_does_not_grow_the_queue(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(p, "q", 1);
    struct peer *from = peer_connected(rig, 0, &leaves, false);
    peer_published(from, "q", "never acknowledged", 1, false, 0);
    (void)peer_expect(p, MQTT_PUBLISH);
    peer_hang_up(p);
    rig_run(rig);
    char text[16];
    uint64_t before = 0;
    for (unsigned i = 0; i < 3000; i++) {
        for (int k = 0; k < 30; k++)
            peer_publish(from, "q", number(text, i), 1, false);
        rig_run(rig);
        while (peer_take(from))
            ;
        if (i == 100)
            before = mem_in_use();
    }
    assert_true(mem_in_use() < before + (8 << 20)); /* 87,000 messages later */
    assert_true(stats_of(rig).queued_messages <= FULL);
    rig_restart(rig, CRASH);
    p = peer_connected(rig, 0, &keeps, true);
    assert_true(peer_expect_publish(p, "q", "never acknowledged", 1)->dup);
}

static void bytes_count_not_only_messages(struct rig *rig)
{
    static uint8_t payload[4000];
    leave_owed(rig);
    struct peer *from = peer_connected(rig, 0, &leaves, false);
    for (int i = 0; i < 10; i++) {
        peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("q"), .qos = 1,
                                                        .payload = bytes_of(payload, sizeof payload) });
        (void)peer_expect(from, MQTT_PUBACK);
    }
    assert_int_equal(stats_of(rig).dropped_queue, 7);
    assert_int_equal(stats_of(rig).queued_messages, 3);
}

static void small_queues(struct rig_config *c)
{
    c->limits.queued_bytes = 14000;
}

static void fleeting_sessions_have_the_same_limit(struct rig *rig)
{
    struct peer_connect narrow = leaves;
    narrow.receive_max = 1;
    struct peer *p = peer_connected(rig, 0, &narrow, false);
    peer_subscribed(p, "q", 1);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &old, false);
    char text[16];
    for (unsigned i = 0; i < FULL + 5; i++)
        peer_published(from, "q", number(text, i), 1, false, 0);
    assert_int_equal(stats_of(rig).dropped_queue, 5);
    for (unsigned i = 0; i < FULL; i++) {
        struct packet *k = peer_expect_publish(p, "q", number(text, i), 1);
        peer_ack(p, MQTT_PUBACK, k->pid, 0);
    }
    peer_expect_nothing(p);
}

/* ---- L-OUT ---- */

static void small_output(struct rig_config *c)
{
    c->limits.unsent_bytes = 100 * 1024;
    c->limits.unsent_s = 20;
    c->split = false;
}

static void a_stuck_reader_costs_nobody_else_anything(struct rig *rig)
{
    static uint8_t payload[3000];
    struct peer *n = neighbour(rig);
    struct peer *fleeting = peer_connected(rig, 0, &leaves, false), *lasting = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(fleeting, "flood", 0);
    peer_subscribed(lasting, "flood", 1);
    sim_stall(fleeting->sim, 0);
    sim_stall(lasting->sim, 0);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &old, false);
    for (int i = 0; i < 1000; i++) {
        peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("flood"), .qos = (uint8_t)(i % 2),
                                                        .payload = bytes_of(payload, sizeof payload) });
        if (i % 50 == 0) {
            rig_run(rig);
            is_served(n);
        }
    }
    rig_run(rig);
    struct broker_stats s = stats_of(rig);
    assert_true(s.dropped_slow > 500);                 /* QoS 0 is dropped and counted ... */
    assert_int_equal(s.queued_messages, 500);          /* ... and QoS 1 is kept */
    sim_stall(lasting->sim, SIZE_MAX);
    unsigned got = 0;
    while (got < 500) {
        rig_run(rig);
        struct packet *k = peer_take(lasting);
        assert_non_null(k);
        for (; k; k = peer_take(lasting))
            if (k->qos) {
                peer_ack(lasting, MQTT_PUBACK, k->pid, 0);
                got++;
            }
    }
    rig_run(rig);
    assert_int_equal(stats_of(rig).queued_messages, 0);
    rig_advance(rig, SECONDS(60)); /* the other one took nothing all the while */
    is_served(n);
    assert_int_equal(stats_of(rig).clients, 3);
}

static void little_memory(struct rig_config *c)
{
    c->limits.memory_bytes = 16 << 20; /* 4 MiB for those who do not read */
    c->split = false;
}

static size_t backlog_of(struct rig *rig)
{
    size_t all = 0;
    for (unsigned i = 0; i < rig->config.shards; i++)
        all += loop_backlog(rig->loops[i]);
    return all;
}

/* Each is far from its own limit of 8 MiB. */
static void many_stuck_readers_share_what_is_for_them(struct rig *rig)
{
    enum { STUCK = 30, MESSAGES = 600 };
    static uint8_t payload[3000];
    struct peer *n = neighbour(rig), *stuck[STUCK];
    unsigned queued[STUCK] = { 0 };
    char name[16];
    for (unsigned i = 0; i < STUCK; i++) {
        stuck[i] = peer_connected(rig, shard_of(rig, i), &(struct peer_connect){ .client_id = number(name, i) }, false);
        peer_subscribed(stuck[i], "flood", i % 2);
        sim_stall(stuck[i]->sim, 0);
    }
    struct peer *from = peer_connected(rig, 0, &old, false);
    for (int i = 0; i < MESSAGES; i++) {
        peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("flood"), .qos = i >= MESSAGES / 2,
                                                        .payload = bytes_of(payload, sizeof payload) });
        if (i % 10 == 0) {
            rig_run(rig);
            is_served(n);
            assert_true(backlog_of(rig) < 6 << 20);
        }
    }
    assert_true(stats_of(rig).dropped_slow > 0 && stats_of(rig).dropped_queue > 0);
    assert_true(backlog_of(rig) > 1 << 20);
    /* Nobody is stuck for ever because of that: what waits arrives, and then everything. */
    for (unsigned i = 0; i < STUCK; i++)
        sim_stall(stuck[i]->sim, SIZE_MAX);
    for (int round = 0; round < 50; round++) {
        rig_run(rig);
        for (unsigned i = 0; i < STUCK; i++)
            for (struct packet *k; (k = peer_take(stuck[i]));)
                if (k->qos) {
                    peer_ack(stuck[i], MQTT_PUBACK, k->pid, 0);
                    queued[i]++;
                }
    }
    assert_int_equal(backlog_of(rig), 0);
    for (unsigned i = 1; i < STUCK; i += 2)
        assert_true(queued[i] > 0);
    uint64_t dropped = stats_of(rig).dropped_slow + stats_of(rig).dropped_queue;
    for (int i = 0; i < 20; i++) {
        peer_publish(from, "flood", number(name, (unsigned)i), 1, false);
        for (unsigned k = 0; k < STUCK; k++) {
            struct packet *got = peer_expect_publish(stuck[k], "flood", name, k % 2);
            if (got->qos)
                peer_ack(stuck[k], MQTT_PUBACK, got->pid, 0);
        }
    }
    assert_int_equal(stats_of(rig).dropped_slow + stats_of(rig).dropped_queue, dropped);
}

/* A queue that waited for the connection goes on at once when it has drained, not with the next second. */
static void a_reader_that_reads_again_is_fed_at_once(struct rig *rig)
{
    static uint8_t payload[3000];
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(to, "q", 1);
    sim_stall(to->sim, 1000);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    for (int i = 0; i < 600; i++) {
        peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("q"), .qos = 1,
                                                        .payload = bytes_of(payload, sizeof payload) });
        (void)peer_expect(from, MQTT_PUBACK);
    }
    sim_stall(to->sim, SIZE_MAX);
    int64_t before = sim_now_us(rig->sim);
    unsigned got = 0;
    while (got < 600) {
        rig_run(rig);
        unsigned had = got;
        for (struct packet *k; (k = peer_take(to)); got++)
            peer_ack(to, MQTT_PUBACK, k->pid, 0);
        assert_true(got > had);
    }
    assert_true(sim_now_us(rig->sim) == before); /* no time had to pass */
}

/* ---- connections ---- */

static void who_says_nothing_is_closed(struct rig *rig)
{
    struct peer *n = neighbour(rig);
    struct peer *p = peer_open(rig, 0), *half = peer_open(rig, 0);
    peer_send(half, BYTES_LIT("\x10\x20\0\4MQTT"));
    rig_advance(rig, SECONDS(9));
    peer_expect_nothing(p);
    peer_expect_nothing(half);
    rig_advance(rig, SECONDS(3));
    peer_expect_end(p);
    peer_expect_end(half);
    is_served(n);
}

static void no_more_connections_than_allowed(struct rig *rig)
{
    struct peer_connect c = leaves;
    char id[16];
    for (unsigned i = 0; i < 3; i++) {
        c.client_id = number(id, i);
        (void)peer_connected(rig, shard_of(rig, i), &c, false);
    }
    struct peer *p = peer_open(rig, 0);
    c.client_id = "one too many";
    peer_connect(p, &c);
    rig_run(rig);
    struct packet *k = peer_take(p);
    assert_true(!k || (k->type == MQTT_CONNACK && k->reason >= 0x80));
    assert_true(peer_ended(p));
    assert_int_equal(stats_of(rig).clients, 3);
}

static void three_connections(struct rig_config *c)
{
    c->limits.connections = 3;
}

static void keep_alive_has_an_upper_end(struct rig *rig)
{
    struct peer_connect c = leaves;
    struct peer *p = peer_open(rig, 0);
    c.keep_alive_s = 0; /* for ever, the client hopes */
    peer_connect(p, &c);
    struct packet *k = peer_expect(p, MQTT_CONNACK);
    assert_true(mqtt_props_has(&k->props, MQTT_PROP_SERVER_KEEP_ALIVE));
    assert_int_equal(k->props.server_keep_alive, 30);
    rig_advance(rig, SECONDS(70));
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_KEEP_ALIVE_TIMEOUT);
    peer_expect_end(p);
}

/* Not before one and a half times, and then soon: 5.0 with its reason, 3.1.1 and 3.1 without a word. */
static void silence_ends_at_one_and_a_half_times(struct rig *rig)
{
    static const enum mqtt_version versions[] = { MQTT_3_1, MQTT_3_1_1, MQTT_5 };
    for (unsigned i = 0; i < 3; i++)
        for (unsigned none = 0; none < 2; none++) { /* its own 10 s; none at all, so that the node's 30 s hold */
            int64_t keep = none ? SECONDS(30) : SECONDS(10);
            struct peer_connect c = { .client_id = "quiet", .version = versions[i], .clean_start = true,
                                      .keep_alive_s = none ? 0 : 10 };
            struct peer *p = peer_connected(rig, 0, &c, false);
            rig_advance(rig, keep + SECONDS(1)); /* between the timer's steps */
            peer_ping(p); /* it counts from the last packet */
            assert_int_equal(peer_expect(p, MQTT_PINGRESP)->type, MQTT_PINGRESP);
            rig_advance(rig, keep + keep / 2 - SECONDS(1) / 10);
            peer_expect_nothing(p);
            assert_false(peer_ended(p));
            rig_advance(rig, SECONDS(1) / 2);
            if (versions[i] == MQTT_5)
                assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_KEEP_ALIVE_TIMEOUT);
            peer_expect_end(p);
        }
}

/* L-OUT: to whom nothing can be given, nothing more is; after unsent-seconds (20 here) without progress he is ended, told 0x97
 * should he read it some day. Who takes a little now and then stays. */
static void who_takes_nothing_is_ended_who_takes_little_is_not(struct rig *rig)
{
    static uint8_t payload[30000];
    struct peer *dead = peer_connected(rig, 0, &leaves, false);
    struct peer *slow = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "slow" }, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &old, false);
    peer_subscribed(dead, "flood", 0);
    peer_subscribed(slow, "flood", 0);
    sim_stall(dead->sim, 0);
    sim_stall(slow->sim, 0);
    for (int i = 0; i < 40; i++)
        (void)peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("flood"), .payload = bytes_of(payload, sizeof payload) });
    rig_run(rig);
    for (int i = 0; i < 8; i++) {
        assert_false(peer_ended(slow));
        if (i < 3)
            assert_false(peer_ended(dead));
        sim_stall(slow->sim, 10000 * ((size_t)i + 1)); /* so much more */
        rig_advance(rig, SECONDS(6));
    }
    assert_int_equal(stats_of(rig).clients, 2);
    sim_stall(dead->sim, SIZE_MAX);
    rig_run(rig);
    assert_true(peer_ended(dead));
    assert_false(peer_ended(slow));
}

static void short_patience(struct rig_config *c)
{
    small_output(c);
    c->limits.unsent_s = 2;
}

/* No later than twice as long, however short. */
static void who_takes_nothing_is_ended_soon(struct rig *rig)
{
    static uint8_t payload[30000];
    struct peer *dead = peer_connected(rig, 0, &leaves, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &old, false);
    peer_subscribed(dead, "flood", 0);
    sim_stall(dead->sim, 0);
    for (int i = 0; i < 40; i++)
        (void)peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("flood"), .payload = bytes_of(payload, sizeof payload) });
    rig_run(rig);
    rig_advance(rig, SECONDS(1));
    assert_int_equal(stats_of(rig).clients, 2);
    rig_advance(rig, SECONDS(9)); /* 5 s of them for what it is told */
    assert_int_equal(stats_of(rig).clients, 1);
}

static void short_keep_alive(struct rig_config *c)
{
    c->limits.keep_alive_s = 30;
}

static void no_more_subscriptions_than_allowed(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(p, "a", 1);
    peer_subscribed(p, "b", 1);
    peer_subscribe(p, "c", 1);
    assert_int_equal(peer_expect(p, MQTT_SUBACK)->reason, MQTT_QUOTA_EXCEEDED);
    peer_subscribed(p, "b", 2); /* one it has */
    struct peer *older = peer_connected(rig, 0, &old, false);
    struct mqtt_filter three = { .filter = BYTES_LIT("3"), .qos = 1 };
    struct mqtt_filter two = { .filter = BYTES_LIT("2"), .qos = 1, .next = &three };
    struct mqtt_filter one = { .filter = BYTES_LIT("1"), .qos = 1, .next = &two };
    peer_subscribe_full(older, &one);
    struct packet *k = peer_expect(older, MQTT_SUBACK);
    assert_true(k->reasons.at[0] == 1 && k->reasons.at[1] == 1 && k->reasons.at[2] == 0x80);
}

static void two_subscriptions(struct rig_config *c)
{
    c->limits.subscriptions = 2;
}

static void a_packet_above_the_limit_is_told_and_closed(struct rig *rig)
{
    struct peer *n = neighbour(rig), *p = peer_open(rig, 0);
    peer_connect(p, &keeps);
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->props.max_packet, 1000);
    static uint8_t payload[990];
    peer_publish_full(p, &(struct peer_publish){ .topic = BYTES_LIT("a"), .payload = bytes_of(payload, 980), .qos = 1 });
    (void)peer_expect(p, MQTT_PUBACK);
    uint64_t before = mem_in_use();
    peer_send(p, BYTES_LIT("\x30\xff\xff\xff\x7f")); /* 268,435,455 announced */
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_PACKET_TOO_LARGE);
    peer_expect_end(p);
    assert_true(mem_in_use() < before + (1 << 20)); /* nothing is taken for what was only announced */
    is_served(n);
}

static void small_packets(struct rig_config *c)
{
    c->limits.packet_bytes = c->limits.connect_bytes = 1000;
}

/* ---- hostile bytes ---- */

/* CVE-2023-0809 and kin: any type first, with the greatest length there is. */
static void what_is_not_connect_is_closed_at_once(struct rig *rig)
{
    struct peer *n = neighbour(rig);
    for (unsigned type = 0; type < 16; type++) {
        uint8_t raw[5] = { (uint8_t)(type << 4 | (type == 6 || type == 8 || type == 10 ? 2 : 0)), 0xff, 0xff, 0xff, 0x7f };
        struct peer *p = peer_open(rig, 0);
        peer_send(p, bytes_of(raw, 5));
        peer_expect_end(p);
        peer_close(p);
        p = peer_open(rig, 0);
        raw[1] = 0;
        peer_send(p, bytes_of(raw, 2));
        rig_run(rig);
        assert_true(peer_ended(p));
        peer_close(p);
    }
    is_served(n);
}

static void every_type_of_packet_is_survived_in_every_state(struct rig *rig)
{
    struct peer *n = neighbour(rig);
    for (unsigned type = 0; type < 16; type++)
        for (unsigned flags = 0; flags < 16; flags += 3)
            for (unsigned len = 0; len < 6; len++) {
                uint8_t raw[8] = { (uint8_t)(type << 4 | flags), (uint8_t)len, 0, 1, 0, 0, 0, 0 };
                struct peer *p = peer_connected(rig, 0, type % 2 ? &old : &leaves, false);
                peer_send(p, bytes_of(raw, 2 + len));
                rig_run(rig);
                peer_receive(p); /* it must decode, whatever it is */
                peer_close(p);
                rig_run(rig);
            }
    is_served(n);
    assert_int_equal(stats_of(rig).clients, 1);
}

/* CVE-2019-11779: a topic of slashes alone. */
static void deep_topics_are_refused(struct rig *rig)
{
    static char deep[60000];
    memset(deep, '/', sizeof deep - 1);
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    peer_subscribe(p, deep, 1);
    assert_int_equal(peer_expect(p, MQTT_SUBACK)->reason, MQTT_FILTER_INVALID);
    peer_publish(p, deep, "x", 1, false);
    rig_run(rig);
    struct packet *k = peer_take(p);
    assert_int_equal(k->reason, MQTT_TOPIC_INVALID);
    p = peer_open(rig, 0);
    struct peer_connect c = leaves;
    c.will_topic = deep;
    c.will_payload = "x";
    peer_connect(p, &c);
    assert_true(peer_expect(p, MQTT_CONNACK)->reason >= 0x80);
    peer_expect_end(p);
}

static void what_is_not_offered_is_refused_by_its_name(struct rig *rig)
{
    struct buf props = { 0 };
    struct peer *p;
    struct buf out = { 0 };
    p = peer_open(rig, 0);
    buf_reset(&props);
    buf_reset(&out);
    mqtt_put_bytes(&props, MQTT_PROP_AUTH_METHOD, BYTES_LIT("magic"));
    mqtt_encode_connect(&out, &(struct mqtt_connect_out){ .version = MQTT_5, .client_id = BYTES_LIT("x"),
                                                          .props = buf_bytes(&props) });
    peer_send(p, buf_bytes(&out));
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_BAD_AUTH_METHOD);
    peer_expect_end(p);
    p = peer_open(rig, 0);
    peer_send(p, BYTES_LIT("\x10\x0d\0\4MQTT\x09\2\0\0\0\0\0")); /* protocol level 9 */
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_UNSUPPORTED_VERSION);
    peer_expect_end(p);
    buf_clear(&props);
    buf_clear(&out);
}

/* CVE-2023-3592, CVE-2017-7654: what a malformed CONNECT took is given back. */
static void malformed_connects_leave_nothing_behind(struct rig *rig)
{
    struct buf out = { 0 };
    struct peer_connect c = { .client_id = "x", .will_topic = "w", .will_payload = "p", .expiry_s = 9, .will_delay_s = 3 };
    struct mqtt_connect_out o = { .version = MQTT_5, .has_will = true, .client_id = bytes_str(c.client_id),
                                  .will_topic = bytes_str(c.will_topic), .will_payload = bytes_str(c.will_payload) };
    mqtt_encode_connect(&out, &o);
    struct random dice = { rig->config.seed };
    uint8_t raw[256];
    size_t len = buf_size(&out);
    for (int i = 0; i < 400; i++) {
        memcpy(raw, out.at + out.from, len);
        for (uint64_t n = 1 + random_below(&dice, 3); n; n--)
            raw[2 + random_below(&dice, len - 2)] ^= (uint8_t)(1 << random_below(&dice, 8));
        struct peer *p = peer_open(rig, (unsigned)i % rig->config.shards);
        peer_send(p, bytes_of(raw, len));
        rig_run(rig);
        sim_take(p->sim, sim_received(p->sim).len); /* in whatever version the damage asked for */
        peer_hang_up(p);
        rig_run(rig);
        peer_close(p);
    }
    buf_clear(&out);
    rig_run(rig);
    assert_int_equal(stats_of(rig).clients, 0);
}

static void an_answer_above_the_peers_maximum_is_not_begun(struct rig *rig)
{
    struct peer_connect small = leaves;
    small.max_packet = 65;
    struct mqtt_filter list[61];
    for (size_t i = 0; i < 61; i++)
        list[i] = (struct mqtt_filter){ .filter = BYTES_LIT("a"), .next = i < 60 ? &list[i + 1] : NULL };
    struct peer *p = peer_connected(rig, 0, &small, false);
    peer_subscribe_full(p, &list[1]); /* its SUBACK has 65 bytes */
    (void)peer_expect(p, MQTT_SUBACK);
    peer_subscribe_full(p, list);
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_PACKET_TOO_LARGE);
    peer_expect_end(p);
}

static void a_refusal_fits_the_peers_maximum(struct rig *rig)
{
    struct buf out = { 0 }, props = { 0 };
    for (uint32_t most = 4; most < 100; most++) {
        mqtt_put_u32(&props, MQTT_PROP_MAX_PACKET, most);
        mqtt_put_u16(&props, MQTT_PROP_RECEIVE_MAX, 0); /* the reason to refuse it */
        mqtt_encode_connect(&out, &(struct mqtt_connect_out){ .version = MQTT_5, .client_id = BYTES_LIT("x"), .props = buf_bytes(&props) });
        struct peer *p = peer_open(rig, 0);
        peer_send(p, buf_bytes(&out));
        rig_run(rig);
        size_t said = sim_received(p->sim).len;
        assert_true(said <= most);
        assert_true(most < 5 || said >= 5);
        assert_true(most < 99 || said > 20); /* with room the reason is told */
        sim_take(p->sim, said);
        peer_close(p);
        buf_reset(&out);
        buf_reset(&props);
    }
    buf_clear(&out);
    buf_clear(&props);
}

static void a_stopping_node_says_so(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    broker_stop(rig->broker);
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_SHUTTING_DOWN);
    peer_expect_end(p);
    p = peer_open(rig, 0);
    peer_connect(p, &leaves);
    rig_run(rig);
    struct packet *k = peer_take(p);
    assert_true(!k || k->reason == MQTT_SERVER_UNAVAILABLE);
    assert_true(peer_ended(p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_full_queue_keeps_the_oldest, ten_queued),
        RIG_TEST(a_full_queue_keeps_the_newest_if_told_to, ten_queued_drop_oldest),
        RIG_TEST(a_full_queue_refuses_if_told_to, ten_queued_refuse),
        RIG_TEST(what_is_withheld_is_tried_again, ten_queued_refuse),
        RIG_TEST(a_great_fan_out_comes_in_slices, hundred_at_once),
        RIG_TEST(packets_of_the_other_side_end_the_connection, NULL),
        RIG_TEST(a_storm_of_takeovers_leaves_one_of_each, NULL),
        RIG_TEST(a_stuck_head_does_not_grow_the_queue, ten_queued_drop_oldest),
        RIG_TEST(bytes_count_not_only_messages, small_queues),
        RIG_TEST(fleeting_sessions_have_the_same_limit, ten_queued),
        RIG_TEST(a_stuck_reader_costs_nobody_else_anything, small_output),
        RIG_TEST(many_stuck_readers_share_what_is_for_them, little_memory),
        RIG_TEST(a_reader_that_reads_again_is_fed_at_once, NULL),
        RIG_TEST(who_says_nothing_is_closed, NULL),
        RIG_TEST(no_more_connections_than_allowed, three_connections),
        RIG_TEST(keep_alive_has_an_upper_end, short_keep_alive),
        RIG_TEST(silence_ends_at_one_and_a_half_times, short_keep_alive),
        RIG_TEST(who_takes_nothing_is_ended_who_takes_little_is_not, small_output),
        RIG_TEST(who_takes_nothing_is_ended_soon, short_patience),
        RIG_TEST(no_more_subscriptions_than_allowed, two_subscriptions),
        RIG_TEST(a_packet_above_the_limit_is_told_and_closed, small_packets),
        RIG_TEST(what_is_not_connect_is_closed_at_once, NULL),
        RIG_TEST(every_type_of_packet_is_survived_in_every_state, NULL),
        RIG_TEST(deep_topics_are_refused, NULL),
        RIG_TEST(what_is_not_offered_is_refused_by_its_name, NULL),
        RIG_TEST(malformed_connects_leave_nothing_behind, NULL),
        RIG_TEST(an_answer_above_the_peers_maximum_is_not_begun, NULL),
        RIG_TEST(a_refusal_fits_the_peers_maximum, NULL),
        RIG_TEST(a_stopping_node_says_so, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
