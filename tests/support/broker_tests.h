/* broker_tests.h - runs a test function on several rigs: one to three shards, whole and cut streams, an eager and a lazy
 * committer. After each run the durable state in memory must be what a replay of the disk gives.
 *
 *     static void a_message_arrives(struct rig *rig) { ... }
 *     int main(void) { const struct CMUnitTest tests[] = { RIG_TEST(a_message_arrives, NULL) }; ... }
 *
 * Include after cmocka.h. */
#pragma once

#include "base/log.h"
#include "support/broker_peer.h"
#include "support/broker_state.h"

#include <stdio.h>

struct rig_test {
    void (*run)(struct rig *);
    void (*configure)(struct rig_config *);
};

static inline void rig_must_open(struct rig *rig)
{
    struct fault why;
    if (rig_open(rig, &why) != CODE_OK)
        fail_msg("%s", why.text);
}

static inline void rig_must_agree(struct rig *rig)
{
    const char *what = state_compare(rig);
    if (what)
        fail_msg("memory and replay differ: %s", what);
}

enum ending { ORDERLY, CRASH };

/* An orderly stop, or a crash that loses what was not synced; then a start. */
static inline void rig_restart(struct rig *rig, enum ending ending)
{
    if (ending == CRASH)
        rig_abandon(rig);
    else
        rig_close(rig);
    rig_must_open(rig);
}

static inline void run_rig_test(void **state)
{
    const struct rig_test *test = *state;
    log_set_level(LOG_ERROR);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct rig_config config;
        rig_defaults(&config);
        config.seed = seed;
        config.shards = 1 + (unsigned)(seed % 3);
        config.split = seed % 2 == 0;
        config.lazy_percent = seed > 3 ? 70 : 10;
        if (test->configure)
            test->configure(&config);
        struct rig *rig = rig_new(&config);
        rig_must_open(rig);
        test->run(rig);
        if (rig->broker)
            rig_must_agree(rig);
        rig_free(rig);
    }
}

/* A shard of the rig, whatever it has. */
static inline unsigned shard_of(const struct rig *rig, unsigned n)
{
    return n % rig->config.shards;
}

static inline struct broker_stats stats_of(struct rig *rig)
{
    struct broker_stats s;
    broker_stats(rig->broker, &s);
    return s;
}

#define RIG_TEST(function, config_function)                                                                  \
    { #function, run_rig_test, NULL, NULL, &(struct rig_test){ function, config_function } }
