#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "action/guard.h"
#include "support/random.h"

enum { SECOND = 1000 };

struct guard {
    struct guard_rule at_least, at_most;
    struct guard_times seen, done;
};

static struct guard guard_of(const char *at_least, const char *at_most)
{
    struct guard g;
    struct fault why;
    if (guard_parse(at_least, "in", &g.at_least, &why) != CODE_OK || guard_parse(at_most, "per", &g.at_most, &why) != CODE_OK)
        fail_msg("%s", why.text);
    assert_int_equal(guard_init(&g.seen, &g.at_least), CODE_OK);
    assert_int_equal(guard_init(&g.done, &g.at_most), CODE_OK);
    return g;
}

static void clear(struct guard *g)
{
    guard_clear(&g->seen);
    guard_clear(&g->done);
}

static enum guard_verdict ask(struct guard *g, int64_t ms)
{
    return guard_ask(&g->at_least, &g->seen, &g->at_most, &g->done, ms);
}

static void texts(void **state)
{
    static const char *const wrong[] = {"2", "2 in", "2 in ", "in 10s", "0 in 10s", "1001 in 10s", "-1 in 10s", "+1 in 10s",
                                        " 2 in 10s", "2  in 10s", "2 in 10", "2 in 0s", "2 in 10s ", "2 per 10s", "2in 10s",
                                        "2 inn 10s", "two in 10s", "2 in -10s", "99999999999999999999 in 1s", "2 in 999us"};
    struct guard_rule r;
    struct fault why;
    (void)state;
    assert_int_equal(guard_parse("2 in 10s", "in", &r, &why), CODE_OK);
    assert_int_equal(r.count, 2);
    assert_int_equal(r.span_ms, 10 * SECOND);
    assert_int_equal(guard_parse("1000 per 2h30m", "per", &r, &why), CODE_OK);
    assert_int_equal(r.count, 1000);
    assert_int_equal(r.span_ms, 9000 * SECOND);
    assert_int_equal(guard_parse("", "per", &r, &why), CODE_OK);
    assert_int_equal(r.count, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (guard_parse(wrong[i], "in", &r, &why) != CODE_USAGE || !strstr(why.text, "2 in 10s"))
            fail_msg("'%s' was taken, or badly refused", wrong[i]);
    assert_int_equal(guard_parse("1 in 5m", "per", &r, &why), CODE_USAGE);
    assert_non_null(strstr(why.text, "1 per 5m"));
}

static void no_rule_lets_everything_go(void **state)
{
    struct guard g = guard_of("", "");
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask(&g, 5), GUARD_GO);
    clear(&g);
}

static void at_least_counts_within_its_span(void **state)
{
    struct guard g = guard_of("2 in 10s", "");
    (void)state;
    assert_int_equal(ask(&g, 100000), GUARD_TOO_FEW);
    assert_int_equal(ask(&g, 110000), GUARD_TOO_FEW); /* ten seconds apart is not within ten seconds */
    assert_int_equal(ask(&g, 119999), GUARD_GO);
    assert_int_equal(ask(&g, 119999), GUARD_GO);
    assert_int_equal(ask(&g, 200000), GUARD_TOO_FEW);
    assert_int_equal(ask(&g, 190001), GUARD_GO); /* it came late, but it is as near */
    clear(&g);
    g = guard_of("1 in 1s", "");
    assert_int_equal(ask(&g, 0), GUARD_GO);
    assert_int_equal(ask(&g, 999999), GUARD_GO);
    clear(&g);
}

static void at_most_counts_what_went(void **state)
{
    struct guard g = guard_of("", "1 per 5m");
    (void)state;
    assert_int_equal(ask(&g, 1000 * SECOND), GUARD_GO);
    assert_int_equal(ask(&g, 1000 * SECOND), GUARD_TOO_OFTEN);
    assert_int_equal(ask(&g, 1300 * SECOND - 1), GUARD_TOO_OFTEN);
    assert_int_equal(ask(&g, 1300 * SECOND), GUARD_GO); /* those held back did not count */
    assert_int_equal(ask(&g, 1299 * SECOND), GUARD_TOO_OFTEN);
    clear(&g);
    g = guard_of("", "3 per 10s");
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(&g, i * SECOND), GUARD_GO);
    assert_int_equal(ask(&g, 9999), GUARD_TOO_OFTEN);
    assert_int_equal(ask(&g, 10000), GUARD_GO);
    assert_int_equal(ask(&g, 10001), GUARD_TOO_OFTEN);
    clear(&g);
}

static void both(void **state)
{
    struct guard g = guard_of("2 in 10s", "1 per 1m");
    (void)state;
    assert_int_equal(ask(&g, 0), GUARD_TOO_FEW);
    assert_int_equal(ask(&g, 1), GUARD_GO);
    assert_int_equal(ask(&g, 2), GUARD_TOO_OFTEN);
    assert_int_equal(ask(&g, 60001), GUARD_TOO_FEW);
    assert_int_equal(ask(&g, 60002), GUARD_GO);
    clear(&g);
}

static void a_clock_that_was_ahead_holds_nothing_back(void **state)
{
    struct guard g = guard_of("", "1 per 5m");
    (void)state;
    assert_int_equal(ask(&g, INT64_C(4000000000) * SECOND), GUARD_GO);
    assert_int_equal(ask(&g, 1000 * SECOND), GUARD_GO);
    assert_int_equal(ask(&g, 1001 * SECOND), GUARD_TOO_OFTEN);
    clear(&g);
    g = guard_of("", "2 per 5m");
    assert_int_equal(ask(&g, INT64_C(4000000000) * SECOND), GUARD_GO);
    assert_int_equal(ask(&g, INT64_C(4000000000) * SECOND), GUARD_GO);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask(&g, (1000 + i) * SECOND), GUARD_GO);
    assert_int_equal(ask(&g, 1002 * SECOND), GUARD_TOO_OFTEN); /* those far away went first */
    clear(&g);
}

static void a_thousand(void **state)
{
    struct guard g = guard_of("1000 in 1h", "1000 per 1h");
    (void)state;
    for (int i = 0; i < 999; i++)
        assert_int_equal(ask(&g, i), GUARD_TOO_FEW);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ask(&g, 1000 + i), GUARD_GO);
    assert_int_equal(ask(&g, 3000), GUARD_TOO_OFTEN);
    clear(&g);
}

/* Every event of the last `all`, by counting. */
static enum guard_verdict naive(const struct guard *g, const int64_t *seen, size_t seen_count, int64_t *went, size_t *went_count)
{
    int64_t now = seen[seen_count - 1];
    size_t few = 0, often = 0;
    for (size_t i = 0; i < seen_count; i++)
        few += llabs(now - seen[i]) < g->at_least.span_ms;
    for (size_t i = 0; i < *went_count; i++)
        often += llabs(now - went[i]) < g->at_most.span_ms;
    if (few < g->at_least.count)
        return GUARD_TOO_FEW;
    if (often >= g->at_most.count)
        return GUARD_TOO_OFTEN;
    went[(*went_count)++] = now;
    return GUARD_GO;
}

/* In their order nothing is forgotten too early; and whether it is written down and read again in between makes no difference. */
static void like_counting_everything(void **state)
{
    static int64_t seen[400], went[400];
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct random dice = {seed};
        char least[32], most[32];
        size_t went_count = 0;
        int64_t now = INT64_C(1790000000000);
        (void)snprintf(least, sizeof least, "%d in %ds", (int)random_below(&dice, 30) + 1, (int)random_below(&dice, 60) + 1);
        (void)snprintf(most, sizeof most, "%d per %ds", (int)random_below(&dice, 100) + 1, (int)random_below(&dice, 60) + 1);
        struct guard g = guard_of(least, most);
        for (size_t i = 0; i < 400; i++) {
            uint8_t note[GUARD_NOTE];
            now += (int64_t)random_below(&dice, 3000);
            seen[i] = now;
            if (ask(&g, now) != naive(&g, seen, i + 1, went, &went_count))
                fail_msg("seed %u, event %zu, %s, %s", (unsigned)seed, i, least, most);
            size_t n = guard_write(&g.seen, &g.done, note);
            clear(&g);
            struct guard again = guard_of(least, most);
            assert_true(n > 0 && n <= GUARD_NOTE);
            assert_true(guard_read(bytes_of(note, n), &again.at_least, &again.seen, &again.at_most, &again.done));
            g = again;
        }
        clear(&g);
    }
}

static void a_note_keeps_what_fits(void **state)
{
    uint8_t note[GUARD_NOTE];
    (void)state;
    struct guard g = guard_of("100 in 20w", "100 per 20w");
    for (int i = 0; i < 300; i++) /* days and weeks apart */
        (void)ask(&g, INT64_C(1790000000000) + i * INT64_C(1200000000));
    struct guard same = guard_of("100 in 20w", "100 per 20w");
    size_t n = guard_write(&g.seen, &g.done, note);
    assert_true(guard_read(bytes_of(note, n), &same.at_least, &same.seen, &same.at_most, &same.done));
    assert_int_equal(same.seen.used, g.seen.used);
    assert_int_equal(same.done.used, g.done.used);
    assert_memory_equal(same.seen.at, g.seen.at, g.seen.used * sizeof *g.seen.at);
    assert_memory_equal(same.done.at, g.done.at, g.done.used * sizeof *g.done.at);
    clear(&g);
    clear(&same);
    g = guard_of("", "1000 per 1h");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ask(&g, INT64_C(1790000000000) + i * 3000), GUARD_GO);
    same = guard_of("", "1000 per 1h");
    n = guard_write(&g.seen, &g.done, note);
    assert_true(guard_read(bytes_of(note, n), &same.at_least, &same.seen, &same.at_most, &same.done));
    assert_true(same.done.used > 400 && same.done.used < 1000);
    assert_memory_equal(same.done.at, g.done.at + 1000 - same.done.used, same.done.used * sizeof *g.done.at); /* the newest */
    clear(&same);
    same = guard_of("1 in 1s", "5 per 1h"); /* other rules by now */
    assert_true(guard_read(bytes_of(note, n), &same.at_least, &same.seen, &same.at_most, &same.done));
    assert_int_equal(same.done.used, 5);
    assert_int_equal(same.done.at[4], INT64_C(1790000000000) + 999 * 3000);
    clear(&same);
    clear(&g);
    g = guard_of("", "");
    assert_int_equal(guard_write(&g.seen, &g.done, note), 0);
}

static void a_bad_note_is_none(void **state)
{
    uint8_t note[GUARD_NOTE];
    (void)state;
    struct guard g = guard_of("3 in 1m", "3 per 1m");
    for (int i = 0; i < 5; i++)
        (void)ask(&g, INT64_C(1790000000000) + i);
    size_t n = guard_write(&g.seen, &g.done, note);
    for (size_t cut = 1; cut < n; cut++) {
        struct guard again = guard_of("3 in 1m", "3 per 1m");
        assert_false(guard_read(bytes_of(note, cut), &again.at_least, &again.seen, &again.at_most, &again.done));
        assert_int_equal(again.seen.used + again.done.used, 0);
        clear(&again);
    }
    for (int i = 0; i < 20000; i++) { /* whatever it says: times ascend, and there are no more than wanted */
        struct random dice = {(uint64_t)i + 1};
        struct guard again = guard_of("3 in 1m", "3 per 1m");
        uint8_t bad[GUARD_NOTE];
        memcpy(bad, note, n);
        for (int k = 0; k < 3; k++)
            bad[random_below(&dice, n)] = (uint8_t)random_u64(&dice);
        (void)guard_read(bytes_of(bad, n), &again.at_least, &again.seen, &again.at_most, &again.done);
        assert_true(again.seen.used <= 3 && again.done.used <= 3);
        for (uint32_t k = 1; k < again.seen.used; k++)
            assert_true(again.seen.at[k - 1] <= again.seen.at[k]);
        clear(&again);
    }
    clear(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(no_rule_lets_everything_go),
        cmocka_unit_test(at_least_counts_within_its_span),
        cmocka_unit_test(at_most_counts_what_went),
        cmocka_unit_test(both),
        cmocka_unit_test(a_clock_that_was_ahead_holds_nothing_back),
        cmocka_unit_test(a_thousand),
        cmocka_unit_test(like_counting_everything),
        cmocka_unit_test(a_note_keeps_what_fits),
        cmocka_unit_test(a_bad_note_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
