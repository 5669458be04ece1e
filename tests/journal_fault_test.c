/* The journal on a disk that fails: each call of each kind fails once, or from then on for ever, or the disk
 * is full. What was acknowledged stays, nothing is acknowledged that a failed sync should have covered, and a
 * full disk is no reason to restart. */
#include "support/crash.h"
#include "support/keeper.h"
#include "support/random.h"

#include "base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static const struct keeper_options options = {
    .payload_max = 3000, .kept_max = 10, .keep_bytes = 60000, .no_batches = true, .forgiven = CODE_IO};
enum { ROUNDS = 50, PLACES = 4 };

struct fault_case {
    enum memfs_call call;
    int err;
    bool for_ever;
};

/* The disk as it is, and as some losses of power would have left it. */
static const char *check_disks(struct crash *rec, struct memfs *fs, uint64_t seed, struct random *r,
                               char *text, size_t cap)
{
    struct keeper_options strict = options;
    strict.forgiven = CODE_OK;
    struct memfs *disk = memfs_copy(fs);
    const char *what = keeper_verify(seed, &strict, disk, crash_marks_before(rec, UINT64_MAX), NULL, text,
                                     cap);
    for (unsigned i = 0; i < PLACES && !what; i++) {
        uint64_t prefix = i < PLACES / 2 ? crash_length(rec) : random_below(r, crash_length(rec) + 1);
        crash_state_build(rec, prefix, i % 3 == 0 ? CRASH_NONE : random_u64(r), disk);
        what = keeper_verify(seed, &strict, disk, crash_marks_before(rec, prefix), NULL, text, cap);
    }
    memfs_free(disk);
    return what;
}

/* How often the call failed. */
static uint64_t live_with(const struct fault_case *c, uint64_t n, uint64_t seed)
{
    char text[400];
    struct memfs *fs = memfs_new(seed);
    struct crash *rec = crash_begin(fs);
    struct keeper *k = keeper_new(seed, &options, rec);
    struct random r = {random_mix(seed, n)};
    memfs_fail(fs, c->call, n, c->err, c->for_ever);
    const char *what = keeper_live(k, fs, ROUNDS);
    uint64_t failed = memfs_failed(fs, c->call);
    memfs_fail(fs, c->call, 0, 0, false);
    crash_end(rec);
    if (what)
        snprintf(text, sizeof text, "%s", what);
    else
        what = check_disks(rec, fs, seed, &r, text, sizeof text);
    if (what)
        fail_msg("seed %llu, %s number %llu fails with %s%s: %s", (unsigned long long)seed,
                 memfs_call_name(c->call), (unsigned long long)n, strerror(c->err),
                 c->for_ever ? " for ever" : "", text);
    keeper_free(k);
    crash_free(rec);
    memfs_free(fs);
    return failed;
}

/* Every n while they are few, then every hundredth part further. */
static void each_call_fails(const struct fault_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t n = 1, runs = 0;
        for (; live_with(&cases[i], n, 5 + n % 3) > 0 || n < 3; n += 1 + n / 12)
            runs++;
        printf("%s, %s%s: %llu runs, up to call %llu\n", memfs_call_name(cases[i].call),
               strerror(cases[i].err), cases[i].for_ever ? " for ever" : "", (unsigned long long)runs,
               (unsigned long long)n);
        assert_true(runs >= 2);
    }
}

static void a_failed_sync_is_never_covered_by_a_later_one(void **state)
{
    (void)state;
    static const struct fault_case cases[] = {
        {FS_FDATASYNC, EIO, false},
        {FS_FDATASYNC, EIO, true},
        {FS_SYNC_DIR, EIO, false},
        {FS_SYNC_DIR, EIO, true},
    };
    each_call_fails(cases, sizeof cases / sizeof *cases);
}

static void a_failed_write_breaks_no_promise(void **state)
{
    (void)state;
    static const struct fault_case cases[] = {
        {FS_PWRITE, EIO, false},   {FS_PWRITE, ENOSPC, false},   {FS_PWRITE, EIO, true},
        {FS_PWRITE, ENOSPC, true}, {FS_ALLOCATE, ENOSPC, false}, {FS_ALLOCATE, ENOSPC, true},
        {FS_ALLOCATE, EIO, false}, {FS_TRUNCATE, EIO, false},
    };
    each_call_fails(cases, sizeof cases / sizeof *cases);
}

static void a_failed_name_or_read_breaks_no_promise(void **state)
{
    (void)state;
    static const struct fault_case cases[] = {
        {FS_OPEN, EMFILE, false},  {FS_OPEN, EIO, true},    {FS_RENAME, EIO, false},
        {FS_RENAME, ENOSPC, true}, {FS_UNLINK, EIO, false}, {FS_UNLINK, EROFS, true},
        {FS_MKDIR, ENOSPC, false}, {FS_STAT, EIO, false},   {FS_LIST, EIO, false},
        {FS_LOCK, EIO, false},     {FS_PREAD, EIO, false},  {FS_PREAD, EIO, true},
    };
    each_call_fails(cases, sizeof cases / sizeof *cases);
}

static void any_call_fails(void **state)
{
    (void)state;
    static const struct fault_case cases[] = {{FS_ANY, EIO, false}, {FS_ANY, ENOSPC, true}};
    each_call_fails(cases, sizeof cases / sizeof *cases);
}

static void after_a_failed_sync_nothing_is_durable_any_more(void **state)
{
    (void)state;
    struct memfs *fs = memfs_new(1);
    struct keeper *k = keeper_new(1, &options, NULL);
    struct fault why = {0};
    assert_int_equal(keeper_open(k, memfs_io(fs), &why), CODE_OK);
    assert_int_equal(keeper_do(k, 10, &why), CODE_OK);
    keeper_settle(k, 50);
    uint64_t acked = keeper_acked(k), durable = journal_durable(keeper_journal(k));
    assert_int_equal(acked, keeper_done(k));
    memfs_fail(fs, FS_FDATASYNC, 1, EIO, false);
    assert_int_equal(keeper_do(k, 5, &why), CODE_OK);
    keeper_step(k);
    assert_int_equal(memfs_failed(fs, FS_FDATASYNC), 1);
    assert_true(journal_failed(keeper_journal(k)));
    assert_int_equal(keeper_do(k, 1, &why), CODE_CLOSED);
    for (unsigned i = 0; i < 10; i++) {
        memfs_advance(fs, 1000000);
        keeper_step(k);
        assert_int_equal(journal_durable(keeper_journal(k)), durable);
    }
    assert_int_equal(keeper_acked(k), acked);
    keeper_close(k);
    assert_int_equal(keeper_acked(k), acked);
    assert_int_equal(memfs_open_files(fs), 0);
    keeper_free(k);
    memfs_free(fs);
}

static void a_full_disk_refuses_and_goes_on_when_there_is_room(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct keeper_options opt = {.disk_reserve = 100000, .no_batches = true, .kept_max = 1000};
        struct memfs *fs = memfs_new(seed);
        struct keeper *k = keeper_new(seed, &opt, NULL);
        struct journal_stats stats;
        struct fault why = {0};
        enum code code = CODE_OK;
        memfs_set_room(fs, 700000);
        assert_int_equal(keeper_open(k, memfs_io(fs), &why), CODE_OK);
        for (unsigned i = 0; i < 1000 && code == CODE_OK; i++) {
            code = keeper_do(k, 1, &why);
            if (i % 3 == 0)
                keeper_settle(k, 10);
        }
        assert_int_equal(code, CODE_FULL);
        keeper_settle(k, 50);
        assert_int_equal(keeper_acked(k), keeper_done(k)); /* what was taken is kept */
        assert_true(journal_full(keeper_journal(k)) && !journal_failed(keeper_journal(k)));
        journal_stats(keeper_journal(k), &stats);
        assert_true(stats.refused_full > 0 && stats.full);
        for (unsigned i = 0; i < 20; i++) {
            memfs_advance(fs, 1000000);
            keeper_settle(k, 50);
        }
        const char *what = keeper_check(k);
        if (what)
            fail_msg("seed %llu, full: %s", (unsigned long long)seed, what);
        uint64_t done = keeper_done(k);
        memfs_set_room(fs, 10000000);
        for (unsigned i = 0; i < 20; i++) {
            memfs_advance(fs, 1000000);
            keeper_settle(k, 50);
        }
        assert_false(journal_full(keeper_journal(k)));
        assert_int_equal(keeper_do(k, 100, &why), CODE_OK);
        keeper_settle(k, 50);
        assert_int_equal(keeper_acked(k), done + 100);
        keeper_close(k);
        assert_int_equal(keeper_open(k, memfs_io(fs), &why), CODE_OK);
        what = keeper_check(k);
        if (what)
            fail_msg("seed %llu, after it was full: %s", (unsigned long long)seed, what);
        keeper_free(k);
        memfs_free(fs);
    }
}

/* Failures on purpose fill the log. */
static void swallow(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

int main(void)
{
    log_set_sink(swallow, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_sync_is_never_covered_by_a_later_one),
        cmocka_unit_test(a_failed_write_breaks_no_promise),
        cmocka_unit_test(a_failed_name_or_read_breaks_no_promise),
        cmocka_unit_test(any_call_fails),
        cmocka_unit_test(after_a_failed_sync_nothing_is_durable_any_more),
        cmocka_unit_test(a_full_disk_refuses_and_goes_on_when_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
