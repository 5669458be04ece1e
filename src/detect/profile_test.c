/* profile_test.c - hours of the day and the week, by event time. */
#include "detect/profile.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/wire.h"

#define HOUR (3600 * DETECT_SECOND)

/* Weekends (days 5 and 6) are 10 lower; every hour has its own height. */
static double height(int hour)
{
    return hour % 24 + (hour / 24 % 7 >= 5 ? -10 : 0);
}

static void run_hours(struct profile *p, int from, int to, int64_t start)
{
    for (int h = from; h < to; h++) {
        for (int k = 0; k < 4; k++) {
            assert_true(profile_turn(p, start + h * HOUR + k * HOUR / 4));
            profile_add(p, 1e6 + height(h) + (k - 1.5));
        }
    }
}

static void an_hour_counts_when_it_is_over(void **state)
{
    (void)state;
    struct profile p = {0};
    double usual;
    run_hours(&p, 0, 1, 0);
    assert_false(profile_of_day(&p, &usual));
    run_hours(&p, 1, 24, 0);
    assert_false(profile_has_day(&p)); /* the last hour is not over */
    assert_true(profile_turn(&p, 24 * HOUR));
    assert_true(profile_has_day(&p) && profile_of_day(&p, &usual) && fabs(usual - 1e6) < 1e-6);
    assert_false(profile_of_week(&p, &usual));
    assert_int_equal(profile_bytes(&p), 0);
    profile_clear(&p);
}

static void the_week_knows_the_weekend(void **state)
{
    (void)state;
    const int64_t starts[] = {0, INT64_C(621355968000000000),
                              -40 * 168 * HOUR}; /* 1970, 0001 to 1970, before */
    for (int k = 0; k < 3; k++) {
        struct profile p = {0};
        run_hours(&p, 0, 5 * 168, starts[k]);
        double worst_day = 0, worst_week = 0;
        for (int h = 5 * 168; h < 6 * 168; h++) {
            double usual;
            assert_true(profile_turn(&p, starts[k] + h * HOUR));
            assert_true(profile_of_day(&p, &usual));
            worst_day = fmax(worst_day, fabs(usual - 1e6 - height(h)));
            assert_true(profile_of_week(&p, &usual));
            worst_week = fmax(worst_week, fabs(usual - 1e6 - height(h)));
        }
        assert_true(worst_day > 5 && worst_week < 2);
        assert_int_equal(profile_bytes(&p), profile_bytes_max());
        profile_clear(&p);
    }
}

static void without_memory_the_hour_stays_open(void **state)
{
    (void)state;
    struct profile p = {0}, q = {0};
    run_hours(&p, 0, 25, 0);
    run_hours(&q, 0, 25, 0);
    mem_fail_at(1);
    assert_false(profile_turn(&p, 25 * HOUR));
    mem_fail_at(0);
    assert_true(profile_turn(&p, 25 * HOUR) && profile_turn(&q, 25 * HOUR));
    struct buf a = {0}, b = {0};
    profile_save(&p, &a);
    profile_save(&q, &b);
    assert_true(bytes_equal(buf_bytes(&a), buf_bytes(&b)));
    buf_clear(&a);
    buf_clear(&b);
    profile_clear(&p);
    profile_clear(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_counts_when_it_is_over),
        cmocka_unit_test(the_week_knows_the_weekend),
        cmocka_unit_test(without_memory_the_hour_stays_open),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
