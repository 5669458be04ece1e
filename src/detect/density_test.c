/* density_test.c - the bins against the sum value by value, and sums that must not lose their digits. */
#include "detect/density.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"

struct bench {
    struct history h;
    struct density d;
};

static void open_bench(struct bench *b, uint32_t max)
{
    *b = (struct bench){0};
    history_init(&b->h, max, false);
}

static void close_bench(struct bench *b)
{
    history_clear(&b->h);
    density_clear(&b->d);
}

static void put(struct bench *b, double v)
{
    assert_true(history_reserve(&b->h));
    if (b->h.count == b->h.max) {
        density_dropping(&b->d, history_row(&b->h, 0)->value);
        history_drop_oldest(&b->h);
    }
    history_push(&b->h, 0, v, 0);
    density_added(&b->d, v);
    assert_true(density_settle(&b->d, &b->h));
}

static uint64_t seed;

static double uniform(void)
{
    seed += 0x9e3779b97f4a7c15u;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static double normal(void)
{
    return sqrt(-2 * log(1 - uniform())) * cos(2 * M_PI * uniform());
}

/* Shapes of streams, each with its own troubles for bins. */
static double draw(int shape, int i)
{
    switch (shape) {
    case 0: return normal();
    case 1: return exp(2 * normal());                        /* long tail */
    case 2: return (i / 37) % 2 ? 18 : 18 + 1e-3 * normal(); /* lumps */
    case 3: return 1e9 + 0.01 * i + 0.1 * normal();          /* a counter */
    case 4: return floor(40 + 3 * normal());                 /* a coarse sensor */
    case 5: return uniform() < 0.002 ? 1e6 * normal() : normal();
    case 6: return 1 / (uniform() - 0.5); /* no variance at all */
    default: return sin(i / 20.0) + 1e-6 * uniform();
    }
}

static void compare(const struct bench *b, double x, double *worst)
{
    struct density_stats st = density_stats(&b->d, &b->h);
    if (st.spread == 0)
        return;
    struct density_tails got = density_at(&b->d, &b->h, st.spread, x);
    struct density_tails want = density_exact(&b->h, st.spread, x);
    double a = fabs(expm1(got.log_above - want.log_above)), c = fabs(expm1(got.log_below - want.log_below));
    *worst = fmax(*worst, fmax(a, c));
    if (!(fmax(a, c) < 1e-3))
        fail_msg("x %g: above %.12g, exactly %.12g; below %.12g, exactly %.12g", x, exp(got.log_above),
                 exp(want.log_above), exp(got.log_below), exp(want.log_below));
}

static void bins_agree_with_the_sum_value_by_value(void **state)
{
    (void)state;
    seed = 1;
    double worst = 0;
    const uint32_t sizes[] = {2, 3, 20, 60, 256, 257, 600, 3000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (int shape = 0; shape < 8; shape++) {
            struct bench b;
            open_bench(&b, sizes[s]);
            for (int i = 0; i < 2 * (int)sizes[s] + 200; i++) {
                put(&b, draw(shape, i));
                struct density_stats st = density_stats(&b.d, &b.h);
                if (i % (1 + (int)sizes[s] / 60) == 0)
                    compare(&b, st.mean + st.spread * 4 * normal(), &worst);
            }
            close_bench(&b);
        }
    }
    printf("largest relative difference %.2g\n", worst);
}

static void tails_far_out_are_exact_logarithms(void **state)
{
    (void)state;
    assert_true(fabs(density_log_tail(0) + M_LN2) < 1e-15);
    assert_true(fabs(density_log_tail(5) - log(2.866515718791939e-7)) < 1e-12);
    /* Both sides of where the asymptotic series begins: log Q falls by the hazard, z + 1/z. */
    double slope = (density_log_tail(25.01) - density_log_tail(24.99)) / 0.02;
    assert_true(fabs(slope + 25.04) < 0.001);
    struct bench b;
    open_bench(&b, 10);
    for (int i = 0; i < 10; i++)
        put(&b, i % 2);
    double near = density_at(&b.d, &b.h, 0.5, 1e6).log_above,
           far = density_at(&b.d, &b.h, 0.5, 1e7).log_above;
    assert_true(isfinite(near) && isfinite(far) && far < near && near < -1e11);
    assert_true(isfinite(density_at(&b.d, &b.h, 1e-140, 1e150).log_above));
    close_bench(&b);
}

static void check_spread(struct bench *b)
{
    double mean = 0, squares = 0, n = b->h.count;
    for (uint32_t i = 0; i < b->h.count; i++)
        mean += (history_row(&b->h, i)->value - b->d.ref) / n;
    for (uint32_t i = 0; i < b->h.count; i++)
        squares += pow(history_row(&b->h, i)->value - b->d.ref - mean, 2);
    double want = sqrt(squares / n), got = density_stats(&b->d, &b->h).spread;
    assert_true(fabs(got - want) <= 1e-3 * want);
}

/* The published running sum goes negative or stays at the size of its errors in each of these. */
static void sums_keep_their_digits(void **state)
{
    (void)state;
    seed = 2;
    struct bench b;
    open_bench(&b, 50);
    for (int i = 0; i < 5000; i++) {
        double v = 1e9 + 1e-3 * normal(); /* a large offset */
        if (i % 211 == 0)
            v = 1e14; /* and a spike that leaves again */
        put(&b, i < 2500 ? v : v - 1e9);
        if (i > 2)
            check_spread(&b);
    }
    close_bench(&b);
}

static void equal_values_have_no_spread_also_after_others_left(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 20);
    put(&b, 1e12);
    put(&b, -3);
    for (int i = 0; i < 20; i++)
        put(&b, 0.1);
    assert_true(density_stats(&b.d, &b.h).spread == 0);
    put(&b, 0.1 + 1e-17);
    assert_true(density_stats(&b.d, &b.h).spread == 0);
    close_bench(&b);
}

static void refused_memory_changes_nothing(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 600);
    for (int i = 0; i < 600; i++)
        put(&b, i);
    b.d.count = 0;
    mem_free(b.d.bins);
    b.d.bins = NULL;
    b.d.cap = 0;
    mem_fail_at(1);
    assert_false(density_settle(&b.d, &b.h));
    assert_true(density_settle(&b.d, &b.h));
    double worst = 0;
    compare(&b, 100, &worst);
    assert_true(density_bytes(&b.d) > 0 && density_bytes(&b.d) <= density_bytes_max(600));
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bins_agree_with_the_sum_value_by_value),
        cmocka_unit_test(tails_far_out_are_exact_logarithms),
        cmocka_unit_test(sums_keep_their_digits),
        cmocka_unit_test(equal_values_have_no_spread_also_after_others_left),
        cmocka_unit_test(refused_memory_changes_nothing),
    };
    return cmocka_run_group_tests_name("density", tests, NULL, NULL);
}
