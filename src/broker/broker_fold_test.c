/* The rule everything stands on: what is in memory is what a replay of the log gives. Checked under random traffic, with
 * rounds of state and segments that come and go, across stops and crashes.
 * timeout: 300 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

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
    struct journal_stats stats = { 0 };
    uint64_t runs = 40;
    log_set_level(LOG_ERROR);
    for (uint64_t seed = 1; seed <= runs; seed++) {
        struct ledger_cast cast;
        if (!wanted(seed))
            continue;
        traffic_cast(&cast, seed);
        struct rig *rig = rig_for(seed);
        struct traffic *t = traffic_for(seed, &cast);
        traffic_attach(t, rig);
        traffic_begin(t);
        agree(t);
        for (int i = 0; i < 20; i++) {
            traffic_run(t, 12);
            agree(t);
        }
        traffic_settle(t);
        agree(t);
        journal_stats(rig->journal, &stats);
        traffic_detach(t);
        traffic_free(t);
        rig_free(rig);
    }
    print_message("the last run: %llu records, %llu segments\n", (unsigned long long)stats.appended_seq,
                  (unsigned long long)stats.segments);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_what_a_replay_gives),
        cmocka_unit_test(stops_and_crashes_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
