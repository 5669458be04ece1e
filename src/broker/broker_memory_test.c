/* L-MEM through the whole broker: what is written and kept within one turn counts in that turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "broker/private.h"
#include "support/broker_tests.h"

enum { MEMORY = 16 << 20, READERS = 120 };

static void little_memory(struct rig_config *c)
{
    c->limits.memory_bytes = MEMORY;
    c->limits.queued_bytes = UINT64_C(1) << 40;
    c->limits.queued_messages = 10000000;
    c->shards = 1;
    c->split = false;
}

static void little_memory_two_loops(struct rig_config *c)
{
    little_memory(c);
    c->shards = 2;
}

/* What grows with the traffic, as the broker itself counts it. */
static uint64_t in_use(const struct rig *rig)
{
    uint64_t all = message_bytes_in_use() + queue_bytes_in_use();
    for (unsigned i = 0; i < rig->config.shards; i++)
        all += loop_backlog(rig->loops[i]);
    return all;
}

static struct peer *sender(struct rig *rig)
{
    return peer_connected(rig, 0, &(struct peer_connect){ .client_id = "sender", .version = MQTT_3_1_1, .clean_start = true },
                          false);
}

static void send_many(struct peer *from, unsigned n, uint8_t qos, size_t bytes)
{
    static uint8_t payload[16384];
    for (unsigned i = 0; i < n; i++)
        peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("flood"), .qos = qos,
                                                        .payload = bytes_of(payload, bytes) });
}

static void stuck_readers(struct rig *rig, struct peer **p, uint8_t qos, uint32_t expiry_s)
{
    char name[16];
    for (unsigned i = 0; i < READERS; i++) {
        (void)snprintf(name, sizeof name, "stuck-%u", i);
        p[i] = peer_connected(rig, shard_of(rig, i), &(struct peer_connect){ .client_id = name, .expiry_s = expiry_s }, false);
        peer_subscribed(p[i], "flood", qos);
        sim_stall(p[i]->sim, 0);
    }
}

/* None of them has anything unsent when the burst comes, and none takes anything of it. */
static void a_burst(struct rig *rig, uint8_t qos, unsigned n, size_t bytes)
{
    struct peer *p[READERS], *from;
    stuck_readers(rig, p, qos, 0);
    from = sender(rig);
    uint64_t before = in_use(rig);
    for (unsigned i = 0; i < 10; i++) {
        send_many(from, n / 10, qos, bytes);
        rig_run(rig);
        assert_true(in_use(rig) - before < MEMORY / 2);
    }
    /* They got their share; references to one message cost little. */
    assert_true(in_use(rig) - before > (bytes < 4096 ? MEMORY / 16 : MEMORY / 64));
    for (unsigned i = 0; i < READERS; i++)
        sim_stall(p[i]->sim, SIZE_MAX);
    for (unsigned round = 0; round < 100; round++) {
        rig_run(rig);
        for (unsigned i = 0; i < READERS; i++)
            for (struct packet *k; (k = peer_take(p[i]));)
                if (k->qos)
                    peer_ack(p[i], MQTT_PUBACK, k->pid, 0);
    }
    peer_publish(from, "flood", "still there", qos, false); /* and nobody is stuck for ever */
    for (unsigned i = 0; i < READERS; i++)
        (void)peer_expect_publish(p[i], "flood", "still there", qos);
}

static void one_burst_of_qos_0_stays_within_the_budget(struct rig *rig)
{
    a_burst(rig, 0, 1000, 1000);
}

static void one_burst_of_qos_0_by_reference_stays_within_the_budget(struct rig *rig)
{
    a_burst(rig, 0, 500, 12000);
}

static void one_burst_of_qos_1_stays_within_the_budget(struct rig *rig)
{
    a_burst(rig, 1, 1000, 1000);
}

static void small_messages_of_qos_1_stay_within_the_budget(struct rig *rig)
{
    a_burst(rig, 1, 20000, 10);
}

/* They read, and acknowledge nothing: their output is empty, their queues are not. */
static void readers_that_acknowledge_nothing_stay_within_the_budget(struct rig *rig)
{
    struct peer *p[READERS], *from;
    stuck_readers(rig, p, 1, 0);
    from = sender(rig);
    uint64_t before = in_use(rig);
    for (unsigned i = 0; i < 40; i++) {
        send_many(from, 500, 1, 10);
        for (unsigned k = 0; k < READERS; k++)
            sim_stall(p[k]->sim, SIZE_MAX);
        rig_run(rig);
        for (unsigned k = 0; k < READERS; k++)
            while (peer_take(p[k]))
                ;
        assert_true(in_use(rig) - before < MEMORY / 4 * 3);
    }
    assert_true(stats_of(rig).dropped_queue > 0);
    assert_false(atomic_load(&rig->broker->admit.over_memory)); /* nobody else is stopped because of them */
}

/* Queues of lasting sessions, full of what was promised to them, do not double into memory that is not there: the publisher
 * is told, and what was acknowledged is there. */
static void queues_do_not_grow_beyond_the_budget(struct rig *rig)
{
    enum { MESSAGES = 6000 };
    struct peer *p[READERS];
    stuck_readers(rig, p, 1, 1000);
    struct peer *from = sender(rig);
    for (unsigned i = 0; i < 10; i++) {
        send_many(from, MESSAGES / 10, 1, 10);
        rig_run(rig);
        assert_true(in_use(rig) < MEMORY);
    }
    unsigned acknowledged = 0, got = 0;
    peer_receive(from);
    for (struct packet *k; (k = peer_take(from));)
        acknowledged += k->type == MQTT_PUBACK;
    assert_true(acknowledged > 1000 && acknowledged < MESSAGES);
    struct peer *five = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "five" }, false);
    peer_published(five, "flood", "no", 1, false, MQTT_QUOTA_EXCEEDED);
    peer_published(five, "nobody", "yes", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    sim_stall(p[0]->sim, SIZE_MAX);
    for (unsigned had = 1; had;) {
        had = 0;
        rig_run(rig);
        for (struct packet *k; (k = peer_take(p[0])); had++)
            peer_ack(p[0], MQTT_PUBACK, k->pid, 0);
        got += had;
    }
    assert_true(got >= acknowledged && got < MESSAGES);
}

/* In the turn in which it comes too near, not with the next second; and until there is room again. */
static void publishers_wait_before_the_budget_is_exceeded(struct rig *rig)
{
    enum { HELD = 15, EACH = 1 << 20 };
    static uint8_t payload[EACH];
    struct message *held[HELD];
    struct peer *to = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "to" }, false), *from = sender(rig);
    peer_subscribed(to, "flood", 1);
    for (unsigned i = 0; i < HELD; i++) { /* as if somebody were owed them */
        struct message_parts parts = { .topic = BYTES_LIT("held"), .payload = bytes_of(payload, EACH) };
        held[i] = message_new(&parts);
        assert_non_null(held[i]);
    }
    peer_publish(from, "flood", "1", 1, false);
    peer_accepts(to, peer_expect_publish(to, "flood", "1", 1));
    assert_true(atomic_load(&rig->broker->admit.over_memory));
    peer_publish(from, "flood", "2", 1, false); /* this one is read, and then no more is */
    peer_accepts(to, peer_expect_publish(to, "flood", "2", 1));
    peer_publish(from, "flood", "3", 1, false);
    peer_expect_nothing(to);
    peer_refused(peer_open(rig, 0), &(struct peer_connect){ .client_id = "late" }, MQTT_SERVER_BUSY);
    for (unsigned i = 0; i < HELD; i++)
        message_drop(held[i]);
    peer_expect_nothing(to);
    rig_advance(rig, 1100000);
    peer_accepts(to, peer_expect_publish(to, "flood", "3", 1));
    assert_false(atomic_load(&rig->broker->admit.over_memory));
}

/* Whoever takes what he gets loses nothing when a turn writes more than it may: it goes on in the next. */
static void a_burst_for_those_who_read_arrives_whole(struct rig *rig, uint8_t qos, uint32_t expiry_s)
{
    enum { BURST = 300 };
    struct peer *p[READERS];
    unsigned got[READERS] = { 0 };
    stuck_readers(rig, p, qos, expiry_s);
    for (unsigned i = 0; i < READERS; i++)
        sim_stall(p[i]->sim, SIZE_MAX);
    struct peer *from = sender(rig);
    send_many(from, BURST, qos, 1000); /* 36 MB in all */
    for (unsigned round = 0; round < 50; round++) {
        rig_run(rig);
        for (unsigned i = 0; i < READERS; i++)
            for (struct packet *k; (k = peer_take(p[i])); got[i]++)
                if (k->qos)
                    peer_ack(p[i], MQTT_PUBACK, k->pid, 0);
    }
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(got[i], BURST);
    assert_int_equal(stats_of(rig).dropped_slow + stats_of(rig).dropped_queue, 0);
}

static void a_burst_of_qos_0_arrives_whole(struct rig *rig)
{
    a_burst_for_those_who_read_arrives_whole(rig, 0, 0);
}

static void a_burst_of_qos_1_arrives_whole(struct rig *rig)
{
    a_burst_for_those_who_read_arrives_whole(rig, 1, 0);
}

static void a_burst_for_lasting_sessions_arrives_whole(struct rig *rig)
{
    a_burst_for_those_who_read_arrives_whole(rig, 1, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(one_burst_of_qos_0_stays_within_the_budget, little_memory),
        RIG_TEST(one_burst_of_qos_0_by_reference_stays_within_the_budget, little_memory),
        RIG_TEST(one_burst_of_qos_1_stays_within_the_budget, little_memory),
        RIG_TEST(one_burst_of_qos_1_stays_within_the_budget, little_memory_two_loops),
        RIG_TEST(small_messages_of_qos_1_stay_within_the_budget, little_memory),
        RIG_TEST(readers_that_acknowledge_nothing_stay_within_the_budget, little_memory),
        RIG_TEST(queues_do_not_grow_beyond_the_budget, little_memory),
        RIG_TEST(publishers_wait_before_the_budget_is_exceeded, little_memory),
        RIG_TEST(a_burst_of_qos_0_arrives_whole, little_memory),
        RIG_TEST(a_burst_of_qos_0_arrives_whole, little_memory_two_loops),
        RIG_TEST(a_burst_of_qos_1_arrives_whole, little_memory),
        RIG_TEST(a_burst_for_lasting_sessions_arrives_whole, little_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
