/* The judge finds what it is there to find: a small program that keeps numbers in a file is right, and wrong
 * in one way at a time. */
#include "support/judge.h"

#include "base/mem.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { SAID = 1 };
enum wrong { NOTHING, NO_SYNC, NO_DIR_SYNC, SAYS_EARLY, FORGETS_IN_RECOVERY, INVENTS };

/* A list of numbers 1, 2, 3...: each is a u64 in /d/list; the number said is in the file or is lost. */
struct program {
    enum wrong wrong;
    char text[100];
};

static void work(void *ctx, uint64_t seed, struct memfs *fs, struct crash *rec)
{
    struct program *p = ctx;
    const struct io *io = memfs_io(fs);
    struct random r = {seed};
    io->mkdir(io->self, "/d");
    io->sync_dir(io->self, "/");
    int f = io->open(io->self, "/d/list", IO_READ | IO_WRITE | IO_CREATE);
    if (p->wrong != NO_DIR_SYNC)
        io->sync_dir(io->self, "/d");
    uint64_t from = 1;
    for (uint64_t i = 1; i <= 100; i++) {
        if (p->wrong == SAYS_EARLY && i == 50)
            crash_mark(rec, SAID, i);
        if (p->wrong == INVENTS && i == 60)
            i += 1000;
        io->pwrite(io->self, f, &i, sizeof i, (i - 1) % 1000 * sizeof i);
        i %= 1000;
        if (!random_chance(&r, 30))
            continue;
        if (p->wrong != NO_SYNC)
            io->fdatasync(io->self, f);
        for (; from <= i; from++)
            crash_mark(rec, SAID, from);
    }
    io->close(io->self, f);
}

static uint64_t number_at(const struct io *io, int f, uint64_t i)
{
    uint64_t n = 0;
    return io_read_all(io, f, &n, sizeof n, (i - 1) * sizeof n) == sizeof n ? n : 0;
}

static const char *verify(void *ctx, struct memfs *disk, struct crash_marks marks, struct crash *rec)
{
    struct program *p = ctx;
    const struct io *io = memfs_io(disk);
    uint64_t said = 0;
    for (size_t i = 0; i < marks.count; i++)
        said = marks.mark[i].value > said ? marks.mark[i].value : said;
    int f = io->open(io->self, "/d/list", IO_READ | IO_WRITE);
    if (f < 0)
        return said > 0 ? "the list is gone" : NULL;
    const char *what = NULL;
    uint64_t end = 1;
    for (; number_at(io, f, end) == end; end++)
        ;
    if (end <= said) {
        snprintf(p->text, sizeof p->text, "%llu were said, %llu are there", (unsigned long long)said,
                 (unsigned long long)end - 1);
        what = p->text;
    }
    for (uint64_t i = end; i < 100; i++)
        if (number_at(io, f, i) != 0 && number_at(io, f, i) != i)
            what = "a number nobody wrote";
    io->pwrite(io->self, f, &end, sizeof end, (end - 1) * sizeof end);
    if (p->wrong == FORGETS_IN_RECOVERY)
        crash_mark(rec, SAID, end);
    io->fdatasync(io->self, f);
    crash_mark(rec, SAID, end);
    io->close(io->self, f);
    return what;
}

static bool judged(enum wrong wrong, struct verdict *v)
{
    struct program p = {.wrong = wrong};
    struct judge j = {.name = "list",
                      .seed = 1,
                      .states = 3000,
                      .again_percent = 20,
                      .quiet = true,
                      .ctx = &p,
                      .workload = work,
                      .verify = verify};
    return judge_run(&j, v);
}

static void a_program_that_keeps_its_promise_passes(void **state)
{
    (void)state;
    struct verdict v;
    assert_true(judged(NOTHING, &v));
    assert_true(v.states >= 3000 && v.again > 300 && v.marks > 0);
    assert_string_equal(v.first, "");
}

static void each_broken_promise_is_found(void **state)
{
    (void)state;
    struct verdict v;
    for (enum wrong w = NO_SYNC; w <= INVENTS; w++) {
        assert_false(judged(w, &v));
        assert_true(v.violations > 0 && strncmp(v.first, "CRASH_AT=", 9) == 0);
    }
}

static void a_violation_is_seen_again_at_its_place(void **state)
{
    (void)state;
    for (enum wrong w = NO_SYNC; w <= FORGETS_IN_RECOVERY; w++) {
        struct program p = {.wrong = w};
        struct verdict v, again;
        char at[100];
        assert_false(judged(w, &v));
        assert_int_equal(sscanf(v.first, "CRASH_AT=%99[0-9:]", at), 1);
        at[strlen(at) - 1] = 0; /* the colon before the sentence */
        struct judge j = {
            .name = "list", .at = at, .quiet = true, .ctx = &p, .workload = work, .verify = verify};
        assert_false(judge_run(&j, &again));
        assert_string_equal(again.first, v.first);
        p.wrong = NOTHING;
        assert_true(judge_run(&j, &again));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program_that_keeps_its_promise_passes),
        cmocka_unit_test(each_broken_promise_is_found),
        cmocka_unit_test(a_violation_is_seen_again_at_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
