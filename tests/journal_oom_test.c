/* The journal when memory runs out: each allocation of a life with stops, kills, reading and recovery is
 * refused once. No crash, no leak (the sanitizer's to see), and what was acknowledged is there. */
#include "support/keeper.h"
#include "support/oom.h"

#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

struct life {
    uint64_t seed;
    unsigned rounds;
    char text[400];
};

static const struct keeper_options options = {
    .payload_max = 1500, .kept_max = 8, .keep_bytes = 60000, .forgiven = CODE_NOMEM};

static const char *live_through(void *ctx)
{
    struct life *l = ctx;
    struct memfs *fs = memfs_new(l->seed);
    struct keeper *k = keeper_new(l->seed, &options, NULL);
    oom_arm();
    const char *what = keeper_live(k, fs, l->rounds);
    oom_disarm();
    struct fault why = {0};
    if (!what && keeper_open(k, memfs_io(fs), &why) != CODE_OK)
        what = why.text;
    if (!what)
        what = keeper_check(k);
    if (!what && keeper_do(k, 20, &why) != CODE_OK)
        what = why.text;
    if (!what) {
        keeper_settle(k, 50);
        what = keeper_acked(k) == keeper_done(k) ? keeper_check(k)
                                                 : "operations do not become durable any more";
    }
    if (what)
        snprintf(l->text, sizeof l->text, "%s", what);
    keeper_close(k);
    keeper_free(k);
    memfs_free(fs);
    return what ? l->text : NULL;
}

static void each_refused_allocation_is_survived(void **state)
{
    (void)state;
    static const struct life lives[] = {{.seed = 3, .rounds = 4}, {.seed = 8, .rounds = 25}};
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        struct life l = lives[i];
        struct oom_result r;
        assert_true(oom_each("journal", live_through, &l, &r));
        assert_true(r.refused > 20);
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
        cmocka_unit_test(each_refused_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
