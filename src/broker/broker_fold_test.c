/* The rule everything stands on: what is in memory is what a replay of the log gives. Checked under random traffic, with
 * rounds of state and segments that come and go, across stops and crashes.
 * timeout: 300 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "support/broker_tests.h"
#include "support/traffic.h"

static void agree(struct traffic *t)
{
    const char *what = state_compare(t->rig);
    if (what)
        fail_msg("seed %llu: memory and replay differ: %s", (unsigned long long)t->seed, what);
    if (t->ledger.broken[0])
        fail_msg("seed %llu: %s", (unsigned long long)t->seed, t->ledger.broken);
}

static struct rig *rig_for(uint64_t seed)
{
    struct rig_config config;
    rig_defaults(&config);
    config.seed = seed;
    config.shards = 1 + (unsigned)(seed % 3);
    config.split = seed % 4 == 0;
    config.lazy_percent = (unsigned)(seed * 37 % 90);
    config.keep_bytes = seed % 2 ? 30000 : 0; /* else what is in partitions stays, and its segments with it */
    struct rig *rig = rig_new(&config);
    rig_must_open(rig);
    return rig;
}

/* TRAFFIC_SEED=n: that run alone, with every packet on standard error. */
static bool wanted(uint64_t seed)
{
    const char *only = getenv("TRAFFIC_SEED");
    return !only || strtoull(only, NULL, 10) == seed;
}

static struct traffic *traffic_for(uint64_t seed, const struct ledger_cast *cast)
{
    struct traffic *t = traffic_new(seed, cast, NULL);
    t->trace = getenv("TRAFFIC_SEED") ? stderr : NULL;
    return t;
}

static void memory_is_what_a_replay_gives(void **state)
{
    (void)state;
    uint64_t runs = 40, gone = 0;
    log_set_level(LOG_ERROR);
    for (uint64_t seed = 1; seed <= runs; seed++) {
        struct ledger_cast cast;
        if (!wanted(seed))
            continue;
        traffic_cast(&cast, seed);
        struct rig *rig = rig_for(seed);
        struct traffic *t = traffic_for(seed, &cast);
        t->payload_max = seed % 4 == 1 ? 5000 : 400;
        traffic_attach(t, rig);
        traffic_begin(t);
        agree(t);
        for (int i = 0; i < 20; i++) {
            traffic_run(t, 12);
            agree(t);
        }
        traffic_settle(t);
        agree(t);
        struct journal_stats stats;
        journal_stats(rig->journal, &stats);
        gone += stats.bytes_written / (64 * 1024) > stats.segments + 1;
        traffic_detach(t);
        traffic_free(t);
        rig_free(rig);
    }
    if (!getenv("TRAFFIC_SEED"))
        assert_true(gone > 3); /* rounds were written, and older segments are gone */
}

static void stops_and_crashes_change_nothing(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    for (uint64_t seed = 100; seed <= 130; seed++) {
        struct ledger_cast cast;
        if (!wanted(seed))
            continue;
        traffic_cast(&cast, seed);
        struct rig *rig = rig_for(seed);
        struct traffic *t = traffic_for(seed, &cast);
        traffic_attach(t, rig);
        traffic_begin(t);
        for (unsigned i = 0; i < 6; i++) {
            traffic_run(t, 25);
            agree(t);
            traffic_detach(t);
            if ((seed + i) % 3 == 0)
                rig_close(rig);
            else
                rig_abandon(rig);
            traffic_crashed(t);
            rig_must_open(rig);
            traffic_attach(t, rig);
            agree(t); /* before anybody came back: what the start itself recorded */
            if (i % 2 == 0)
                traffic_recover(t);
            agree(t);
        }
        traffic_detach(t);
        traffic_free(t);
        rig_free(rig);
    }
}

/* ---- sessions whose state is longer than one record ---- */

enum { BACKLOG = 3000 };

static const struct peer_connect keeper = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect sender = { .client_id = "sender" };

static void leave_with_backlog(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &keeper, false);
    peer_subscribed(p, "kept", 1);
    peer_disconnect(p, 0);
    rig_run(rig);
    struct peer *from = peer_connected(rig, 0, &sender, false);
    for (unsigned i = 0; i < BACKLOG; i++) {
        peer_publish(from, "kept", "x", 1, false);
        if (i % 50 == 0)
            rig_run(rig);
        while (peer_take(from))
            ;
    }
    rig_run(rig);
    assert_int_equal(stats_of(rig).queued_messages, BACKLOG);
    peer_close(p);
    peer_close(from);
    rig_run(rig);
}

static struct rig *rig_with_long_queues(struct memfs *fs)
{
    struct rig_config config;
    rig_defaults(&config);
    config.fs = fs;
    config.limits.receive_maximum = 1000;
    struct rig *rig = rig_new(&config);
    rig_must_open(rig);
    return rig;
}

static void long_sessions_are_written_in_parts(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    struct rig *rig = rig_with_long_queues(NULL);
    leave_with_backlog(rig);
    rig_must_agree(rig);
    rig_restart(rig, ORDERLY);
    rig_must_agree(rig);
    struct peer *p = peer_connected(rig, 0, &keeper, true);
    for (unsigned i = 0; i < BACKLOG; i++) { /* every third stays: holes in the middle of what is written */
        struct packet *k = peer_expect_publish(p, "kept", "x", 1);
        if (i % 3)
            peer_ack(p, MQTT_PUBACK, k->pid, 0);
        if (i % 500 == 0)
            rig_must_agree(rig);
    }
    rig_must_agree(rig);
    rig_restart(rig, ORDERLY);
    rig_must_agree(rig);
    rig_restart(rig, CRASH);
    p = peer_connected(rig, 0, &keeper, true);
    for (unsigned i = 0; i < BACKLOG / 3; i++)
        assert_true(peer_expect_publish(p, "kept", "x", 1)->dup);
    peer_expect_nothing(p);
    rig_free(rig);
}

/* A round that fails between the parts of a session must not leave half of it in the log. */
static void a_round_that_is_given_up_changes_nothing(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    struct memfs *fs = memfs_new(1);
    struct rig *rig = rig_with_long_queues(fs);
    leave_with_backlog(rig);
    rig_close(rig);
    rig_free(rig);
    uint64_t refused = 0;
    struct random dice = { 5 };
    for (int run = 0; run < 60; run++) {
        static uint8_t payload[2000];
        struct memfs *copy = memfs_copy(fs);
        rig = rig_with_long_queues(copy);
        struct peer *from = peer_connected(rig, 0, &sender, false);
        for (int i = 0; i < 250; i++) { /* every few of them a round is due */
            peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("hub/x"), .qos = 1,
                                                            .payload = bytes_of(payload, sizeof payload) });
            rig_run_without_disk(rig);
            mem_fail_at(1 + random_below(&dice, 8));
            while (journal_step(rig->journal))
                ;
            refused += (uint64_t)mem_fail_fired();
            mem_fail_at(0);
            rig_run(rig);
            if (peer_ended(from)) {
                peer_close(from);
                from = peer_connected(rig, 0, &sender, false);
            }
            while (peer_take(from))
                ;
        }
        rig_must_agree(rig);
        assert_int_equal(stats_of(rig).queued_messages, BACKLOG);
        rig_restart(rig, CRASH);
        assert_int_equal(stats_of(rig).queued_messages, BACKLOG);
        rig_free(rig);
        memfs_free(copy);
    }
    print_message("%llu allocations refused\n", (unsigned long long)refused);
    assert_true(refused > 50);
    memfs_free(fs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_what_a_replay_gives),
        cmocka_unit_test(stops_and_crashes_change_nothing),
        cmocka_unit_test(long_sessions_are_written_in_parts),
        cmocka_unit_test(a_round_that_is_given_up_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
