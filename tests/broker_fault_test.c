/* A disk that fails or is full under a whole broker: what was acknowledged is there afterwards, what depends on the disk is
 * not acknowledged any more, and everybody else is served.
 * timeout: 600 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <errno.h>
#include <cmocka.h>

#include "support/broker_tests.h"
#include "support/traffic.h"

/* ---- each call in turn ---- */

struct fault_case {
    enum memfs_call call;
    int             err;
    bool            for_ever;
};

/* What a crash leaves after a life with a failure; then everybody comes back to a disk that works. */
static const char *recover(struct traffic *life, struct crash *rec, uint64_t variant, struct rig_config config)
{
    static char what[320];
    struct memfs *disk = memfs_new(variant);
    crash_state_build(rec, crash_length(rec), variant, disk);
    memfs_set_wall(disk, crash_wall_us(rec, crash_length(rec)) + 1000000);
    config.fs = disk;
    struct rig *rig = rig_new(&config);
    struct traffic *t = traffic_new(life->seed, life->cast, NULL);
    struct fault why;
    t->payload_max = life->payload_max;
    ledger_copy(&t->ledger, &life->ledger);
    t->ledger.tolerant = false;
    traffic_crashed(t);
    if (rig_open(rig, &why) != CODE_OK) {
        (void)snprintf(t->ledger.broken, sizeof t->ledger.broken, "no start: %.200s", why.text);
    } else {
        traffic_attach(t, rig);
        traffic_recover(t);
        traffic_detach(t);
    }
    (void)snprintf(what, sizeof what, "%s", t->ledger.broken);
    traffic_free(t);
    rig_free(rig);
    memfs_free(disk);
    return what[0] ? what : NULL;
}

/* One life in which the n-th call fails. *hit: it came that far. */
static const char *live(const struct fault_case *f, uint64_t seed, uint64_t n, bool *hit)
{
    struct memfs *fs = memfs_new(seed);
    struct ledger_cast cast;
    struct rig_config config;
    struct fault why;
    traffic_cast(&cast, seed);
    rig_defaults(&config);
    config.seed = seed;
    config.fs = fs;
    config.shards = 1 + (unsigned)(seed % 3);
    struct rig *rig = rig_new(&config);
    struct crash *rec = crash_begin(fs);
    struct traffic *t = traffic_new(seed, &cast, rec);
    t->ledger.tolerant = true;
    t->payload_max = seed % 2 ? 2500 : 300;
    t->trace = getenv("TRAFFIC_TRACE") ? stderr : NULL;
    memfs_fail(fs, f->call, n, f->err, f->for_ever);
    if (rig_open(rig, &why) == CODE_OK) { /* a start may fail; it must not lie */
        traffic_attach(t, rig);
        traffic_begin(t);
        traffic_run(t, seed % 2 ? 100 : 40);
        traffic_settle(t);
        if (!t->ledger.broken[0] && !journal_failed(rig->journal) && f->for_ever == false)
            rig_advance(rig, 3000000); /* what was refused is tried again */
        traffic_detach(t);
        rig_abandon(rig);
    }
    *hit = memfs_failed(fs, f->call) > 0;
    memfs_fail(fs, f->call, 0, 0, false);
    crash_end(rec);
    static char what[320];
    (void)snprintf(what, sizeof what, "%s", t->ledger.broken);
    static const uint64_t variants[] = { CRASH_NONE, CRASH_ALL, CRASH_RANDOM + 7 };
    for (size_t i = 0; i < 3 && !what[0]; i++) {
        const char *broken = recover(t, rec, variants[i], config);
        if (broken)
            (void)snprintf(what, sizeof what, "after a crash of kind %llu: %s", (unsigned long long)variants[i], broken);
    }
    rig_free(rig);
    traffic_free(t);
    crash_free(rec);
    memfs_free(fs);
    return what[0] ? what : NULL;
}

/* A failing disk is told about; here too often. */
static void swallow(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static void every_failing_call_keeps_the_promises(void **state)
{
    (void)state;
    static const struct fault_case cases[] = {
        { FS_FDATASYNC, EIO, false },   { FS_PWRITE, EIO, false },     { FS_PWRITE, ENOSPC, false },
        { FS_ALLOCATE, ENOSPC, false }, { FS_ALLOCATE, ENOSPC, true }, { FS_OPEN, EMFILE, false },
        { FS_PREAD, EIO, false },       { FS_SYNC_DIR, EIO, false },   { FS_RENAME, EIO, false },
        { FS_UNLINK, EIO, false },      { FS_MKDIR, ENOSPC, false },   { FS_TRUNCATE, EIO, false },
        { FS_STAT, EIO, false },        { FS_LIST, EIO, false },       { FS_LOCK, EAGAIN, false },
    };
    const char *only = getenv("FAULT_AT"); /* CASE:SEED:N */
    log_set_sink(swallow, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (uint64_t seed = 2; seed <= 9; seed++) {
            bool hit = true;
            uint64_t n = 1;
            for (; hit; n++) {
                char here[40];
                (void)snprintf(here, sizeof here, "%zu:%llu:%llu", i, (unsigned long long)seed, (unsigned long long)n);
                if (only && strcmp(only, here) != 0) {
                    hit = n < 2000;
                    continue;
                }
                const char *what = live(&cases[i], seed, n, &hit);
                if (what)
                    fail_msg("%s number %llu fails, FAULT_AT=%s shows it again: %s", memfs_call_name(cases[i].call),
                             (unsigned long long)n, here, what);
            }
            print_message("%s: %llu calls, seed %llu\n", memfs_call_name(cases[i].call), (unsigned long long)n - 2,
                          (unsigned long long)seed);
        }
    log_set_sink(NULL, NULL);
}

/* ---- a sync that failed ---- */

static const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect leaves = { .client_id = "leaver" };
static const struct peer_connect also_leaves = { .client_id = "other leaver" };

static void nothing_that_needs_the_disk_is_acknowledged_after_a_failed_sync(struct rig *rig)
{
    log_set_sink(swallow, NULL);
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    struct peer *live = peer_connected(rig, shard_of(rig, 2), &also_leaves, false);
    peer_subscribed(to, "kept", 1);
    peer_subscribed(live, "#", 1);
    memfs_fail(rig->fs, FS_FDATASYNC, 1, EIO, false); /* later ones would succeed: they are not believed */
    peer_publish(from, "kept", "never acknowledged", 1, false);
    rig_run(rig);
    assert_true(journal_failed(rig->journal));
    for (struct packet *k; (k = peer_take(from));)
        assert_int_not_equal(k->type, MQTT_PUBACK);
    for (int i = 0; i < 5; i++) { /* again and again, by whomever */
        struct peer *p = peer_open(rig, shard_of(rig, (unsigned)i));
        peer_connect(p, &leaves);
        rig_run(rig);
        for (struct packet *k; (k = peer_take(p));)
            assert_true(k->type == MQTT_CONNACK && k->reason == 0); /* it needs no disk */
        peer_publish(p, "kept", "never acknowledged", (uint8_t)(1 + i % 2), false);
        rig_advance(rig, 2000000);
        for (struct packet *k; (k = peer_take(p));)
            assert_true((k->type != MQTT_PUBACK && k->type != MQTT_PUBREC) || k->reason >= 0x80);
        struct peer *s = peer_open(rig, 0);
        peer_connect(s, &keeps);
        rig_run(rig);
        for (struct packet *k; (k = peer_take(s));)
            assert_true(k->type != MQTT_CONNACK || k->reason >= 0x80);
        peer_close(s);
        peer_close(p);
    }
    /* Who needs no disk is served as ever. */
    struct peer *p = peer_connected(rig, 0, &leaves, false);
    while (peer_take(live))
        ;
    peer_publish(p, "passing", "by", 0, false);
    (void)peer_expect_publish(live, "passing", "by", 0);
    peer_published(p, "passing too", "by", 1, false, 0);
    (void)peer_expect_publish(live, "passing too", "by", 1);
    struct journal_stats s;
    journal_stats(rig->journal, &s);
    assert_true(s.failed);
    rig_abandon(rig);
    rig_must_open(rig); /* the restart verifies and goes on */
    to = peer_connected(rig, 0, &keeps, true);
    from = peer_connected(rig, 0, &leaves, false);
    rig_run(rig);
    while (peer_take(to))
        ;
    peer_published(from, "kept", "acknowledged again", 1, false, 0);
    (void)peer_expect_publish(to, "kept", "acknowledged again", 1);
    log_set_sink(NULL, NULL);
    rig_abandon(rig);
}

/* ---- a disk that is full ---- */

static void fill(struct rig *rig, struct peer *from)
{
    static uint8_t payload[2000];
    memfs_set_room(rig->fs, 0);
    for (int i = 0; i < 400; i++) {
        peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("kept"), .qos = 1,
                                                        .payload = bytes_of(payload, sizeof payload) });
        struct packet *k = peer_expect(from, MQTT_PUBACK);
        assert_true(k->reason == 0 || k->reason == MQTT_QUOTA_EXCEEDED);
        if (k->reason)
            return;
    }
    fail_msg("the disk does not get full");
}

static void a_full_disk_refuses_and_recovers_without_restart(struct rig *rig)
{
    log_set_sink(swallow, NULL);
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    struct peer *live = peer_connected(rig, shard_of(rig, 2), &also_leaves, false);
    struct peer_connect dies = { .client_id = "dies", .will_topic = "kept", .will_payload = "will", .will_qos = 1 };
    struct peer *dying = peer_connected(rig, 0, &dies, false);
    peer_subscribed(to, "kept", 1);
    peer_subscribed(live, "passing", 1);
    peer_published(from, "kept", "before", 1, false, 0);
    fill(rig, from);
    assert_true(journal_full(rig->journal));
    /* Refused as promised ... */
    peer_published(from, "kept", "refused", 1, false, MQTT_QUOTA_EXCEEDED);
    peer_published(from, "kept", "refused", 2, false, MQTT_QUOTA_EXCEEDED);
    peer_published(from, "retained", "refused", 1, true, MQTT_QUOTA_EXCEEDED);
    struct peer *older = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "older", .version = MQTT_3_1_1,
                                                                        .clean_start = true }, false);
    peer_publish(older, "kept", "withheld", 1, false);
    peer_expect_nothing(older);
    assert_true(stats_of(rig).refused_full >= 3);
    /* ... everyone else is served ... */
    peer_published(from, "passing", "by", 1, false, 0);
    (void)peer_expect_publish(live, "passing", "by", 1);
    /* ... what is stored can be taken and acknowledged, and stays acknowledged. */
    rig_run(rig);
    unsigned taken = 0;
    for (struct packet *k; (k = peer_take(to)); taken++)
        peer_ack(to, MQTT_PUBACK, k->pid, 0);
    assert_true(taken >= 1);
    peer_hang_up(dying); /* its will cannot be stored now; it is owed all the same */
    rig_advance(rig, 3000000);
    memfs_set_room(rig->fs, UINT64_MAX);
    rig_advance(rig, 5000000);
    assert_false(journal_full(rig->journal));
    peer_published(from, "kept", "after", 1, false, 0);
    peer_published(from, "retained", "after", 1, true, 0);
    bool will = false, after = false;
    for (struct packet *k; (k = peer_take(to));) {
        will = will || bytes_is(k->payload, "will");
        after = after || bytes_is(k->payload, "after");
        assert_false(bytes_is(k->payload, "refused"));
        peer_ack(to, MQTT_PUBACK, k->pid, 0);
    }
    assert_true(will && after);
    rig_run(rig);
    rig_must_agree(rig);
    rig_restart(rig, CRASH);
    to = peer_connected(rig, 0, &keeps, true);
    peer_expect_nothing(to);
    log_set_sink(NULL, NULL);
}

/* The same in random traffic, with a crash while it is full. */
static void a_full_disk_breaks_no_promise(void **state)
{
    (void)state;
    log_set_sink(swallow, NULL);
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct memfs *fs = memfs_new(seed);
        struct ledger_cast cast;
        struct rig_config config;
        traffic_cast(&cast, seed);
        rig_defaults(&config);
        config.seed = seed;
        config.fs = fs;
        config.disk_reserve = seed % 3 ? 0 : 128 * 1024;
        struct rig *rig = rig_new(&config);
        struct crash *rec = crash_begin(fs);
        struct traffic *t = traffic_new(seed, &cast, rec);
        t->ledger.tolerant = true;
        t->payload_max = 2000;
        t->trace = getenv("TRAFFIC_TRACE") ? stderr : NULL;
        rig_must_open(rig);
        traffic_attach(t, rig);
        traffic_begin(t);
        for (int i = 0; i < 6; i++) {
            memfs_set_room(fs, i % 2 ? UINT64_MAX : (seed * 7919 + (uint64_t)i * 104729) % 300000);
            traffic_run(t, 40);
        }
        if (seed % 2) { /* it recovers by itself */
            memfs_set_room(fs, UINT64_MAX);
            rig_advance(rig, 5000000);
            traffic_settle(t);
            assert_false(journal_full(rig->journal));
        }
        if (t->ledger.broken[0])
            fail_msg("seed %llu: %s", (unsigned long long)seed, t->ledger.broken);
        traffic_detach(t);
        rig_abandon(rig);
        crash_end(rec);
        memfs_set_room(fs, UINT64_MAX);
        for (uint64_t variant = 0; variant < CRASH_RANDOM + 4; variant++) {
            const char *what = recover(t, rec, variant, config);
            if (what)
                fail_msg("seed %llu, crash of kind %llu: %s", (unsigned long long)seed, (unsigned long long)variant, what);
        }
        rig_free(rig);
        traffic_free(t);
        crash_free(rec);
        memfs_free(fs);
    }
    log_set_sink(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(nothing_that_needs_the_disk_is_acknowledged_after_a_failed_sync, NULL),
        RIG_TEST(a_full_disk_refuses_and_recovers_without_restart, NULL),
        cmocka_unit_test(a_full_disk_breaks_no_promise),
        cmocka_unit_test(every_failing_call_keeps_the_promises),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
