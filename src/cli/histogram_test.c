#include "cli/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

static struct histogram h;

static void an_empty_one_says_zero(void **state)
{
    (void)state;
    histogram_reset(&h);
    assert_int_equal(histogram_at(&h, 0.5), 0);
    assert_int_equal(h.max, 0);
}

static void small_values_are_exact(void **state)
{
    (void)state;
    histogram_reset(&h);
    for (uint64_t v = 1; v <= 200; v++)
        histogram_add(&h, v);
    assert_int_equal(histogram_at(&h, 0.5), 100);
    assert_int_equal(histogram_at(&h, 0.99), 198);
    assert_int_equal(histogram_at(&h, 1), 200);
    assert_int_equal(histogram_at(&h, 0), 1);
    histogram_reset(&h);
    histogram_add(&h, 0);
    assert_int_equal(histogram_at(&h, 0.999), 0);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Against sorting all values: never below, and at most 1/128 above. */
static void large_values_are_close(void **state)
{
    (void)state;
    enum { N = 20000 };
    static uint64_t all[N];
    static const double parts[] = {0.001, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
    uint64_t r = 88172645463325252u;
    histogram_reset(&h);
    for (size_t i = 0; i < N; i++) {
        r ^= r << 13;
        r ^= r >> 7;
        r ^= r << 17;
        all[i] = r >> (r % 64);
        histogram_add(&h, all[i]);
    }
    qsort(all, N, sizeof all[0], by_value);
    assert_int_equal(h.max, all[N - 1]);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        double exact = parts[i] * N;
        size_t place = (size_t)exact + ((double)(size_t)exact < exact);
        uint64_t want = all[place - 1], got = histogram_at(&h, parts[i]);
        if (got < want || got - want > want / 128)
            fail_msg("part %f: %llu, sorted %llu", parts[i], (unsigned long long)got,
                     (unsigned long long)want);
    }
}

static void the_largest_value_has_a_bucket(void **state)
{
    (void)state;
    histogram_reset(&h);
    histogram_add(&h, UINT64_MAX);
    histogram_add(&h, 1);
    assert_true(histogram_at(&h, 1) == UINT64_MAX);
    assert_int_equal(histogram_at(&h, 0.5), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_says_zero),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(large_values_are_close),
        cmocka_unit_test(the_largest_value_has_a_bucket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
