/* P-QOS1, P-PART and P-STOP at their root: whatever the journal acknowledged is there after the power went,
 * at any moment, in any state the fault model allows; nothing is there that was not written.
 *
 * CRASH_STATES=1000000 CRASH_SEED=7 journal_crash_test for a longer run; a violation prints how to see it
 * again. */
#include "support/judge.h"
#include "support/keeper.h"
#include "support/random.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROUNDS = 100, STATES = 2000 };
enum wrong { NOTHING, SYNC_SKIPPED, DIR_SYNC_SKIPPED, ACKNOWLEDGED_EARLY };

struct bench {
    enum wrong wrong;
    uint64_t seed;
    struct keeper_options options;
    char text[400];
    const char *on_the_way; /* what went wrong without any crash */
    uint64_t unlinked, renamed, moved;
};

/* Segments come and go in different ways: by retention, by compaction of what few messages hold, or hardly
 * ever. */
static struct keeper_options options_for(uint64_t seed)
{
    return (struct keeper_options){
        .keep_bytes = seed % 3 == 0   ? 0
                      : seed % 3 == 1 ? 50000
                                      : 200000,
        .payload_max = seed % 4 == 0 ? 400 : 3000,
        .kept_max = seed % 5 == 0 ? 5 : 20,
        .partitioned = seed % 2 == 0 ? 1 : 60,
    };
}

static void work(void *ctx, uint64_t seed, struct memfs *fs, struct crash *rec)
{
    struct bench *b = ctx;
    b->seed = seed;
    b->options = options_for(seed);
    b->options.too_early = b->wrong == ACKNOWLEDGED_EARLY;
    if (seed % 4 == 1)
        memfs_short(fs, 10);
    memfs_ignore_sync(fs, b->wrong == SYNC_SKIPPED, b->wrong == DIR_SYNC_SKIPPED);
    struct keeper *k = keeper_new(seed, &b->options, rec);
    const char *what = keeper_live(k, fs, ROUNDS);
    b->on_the_way = NULL;
    if (what) {
        snprintf(b->text, sizeof b->text, "without a crash: %s", what);
        b->on_the_way = b->text;
    }
    b->moved += keeper_moved(k);
    keeper_free(k);
    b->unlinked += memfs_calls(fs, FS_UNLINK);
    b->renamed += memfs_calls(fs, FS_RENAME);
}

static const char *verify(void *ctx, struct memfs *disk, struct crash_marks marks, struct crash *rec)
{
    struct bench *b = ctx;
    if (b->on_the_way)
        return b->on_the_way;
    return keeper_verify(b->seed, &b->options, disk, marks, rec, b->text, sizeof b->text);
}

static void what_was_acknowledged_is_there_after_every_crash(void **state)
{
    (void)state;
    struct bench b = {0};
    struct verdict v;
    struct judge j = {.name = "journal",
                      .seed = 1,
                      .states = STATES,
                      .states_per_log = 300,
                      .again_percent = 10,
                      .ctx = &b,
                      .workload = work,
                      .verify = verify};
    judge_from_environment(&j);
    assert_true(judge_run(&j, &v));
    if (j.at && *j.at)
        return;
    /* The workload went where it is dangerous: segments came and went, recoveries
   * were crashed, too. */
    assert_true(b.unlinked > v.logs && b.renamed > v.logs && b.moved > v.logs);
    assert_true(v.again > v.states / 10 && v.marks > v.logs * ROUNDS);
}

static void judged_wrong(enum wrong wrong)
{
    struct bench b = {.wrong = wrong};
    struct verdict v;
    struct judge j = {.name = "journal, broken on purpose",
                      .seed = 1,
                      .states = STATES,
                      .states_per_log = 50,
                      .quiet = true,
                      .ctx = &b,
                      .workload = work,
                      .verify = verify};
    assert_false(judge_run(&j, &v));
    printf("  %s\n", v.first);
}

static void a_skipped_sync_is_found(void **state)
{
    (void)state;
    judged_wrong(SYNC_SKIPPED);
}

static void a_skipped_sync_of_a_directory_is_found(void **state)
{
    (void)state;
    judged_wrong(DIR_SYNC_SKIPPED);
}

static void an_early_acknowledgement_is_found(void **state)
{
    (void)state;
    judged_wrong(ACKNOWLEDGED_EARLY);
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
        cmocka_unit_test(what_was_acknowledged_is_there_after_every_crash),
        cmocka_unit_test(a_skipped_sync_is_found),
        cmocka_unit_test(a_skipped_sync_of_a_directory_is_found),
        cmocka_unit_test(an_early_acknowledgement_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
