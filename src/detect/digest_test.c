/* digest_test.c - the compact summary against all values, sorted. */
#include "detect/digest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/wire.h"
#include "detect/test_stream.h"

static const struct digest_rule rule = {0, DIGEST_WEIGHT_MAX};

static double draw(struct stream *s, int shape)
{
    switch (shape) {
    case 0: return stream_normal(s);
    case 1: return exp(stream_normal(s));
    case 2: return stream_uniform(s);
    case 3: return floor(3 * stream_normal(s));
    default: return 1e9 + 1e-3 * stream_normal(s);
    }
}

static int rising(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Of n values about a hundred are looked up, evenly in rank and each of the outermost: 20 centroids must tell their
 * shares to a factor of 2, twenty values from the end as well as in the middle. */
static void shares_are_exact_relative_to_themselves(void **state)
{
    (void)state;
    enum { N = 20000 };
    static double all[N];
    double worst = 0;
    for (int shape = 0; shape < 5; shape++) {
        struct stream s = {.seed = 100};
        struct digest d = {0};
        for (int n = 0; n < N; n++) {
            all[n] = draw(&s, shape);
            (void)digest_add(&d, all[n], &rule);
        }
        qsort(all, N, sizeof *all, rising);
        for (int i = 0; i < N; i += i < 10 || i > N - 10 ? 1 : 97) {
            int below = i, above = N - 1 - i;
            while (below > 0 && all[below - 1] == all[i])
                below--;
            while (above > 0 && all[N - above] == all[i])
                above--;
            double want = (below + (N - above)) / 2.0 / N, got = digest_rank(&d, all[i]);
            double off = fabs(log(fmin(got, 1 - got) / fmin(want, 1 - want)));
            if (fmin(want, 1 - want) * N > 20)
                worst = fmax(worst, off);
            else
                assert_true(fmin(got, 1 - got) * N <
                            40); /* the outermost were believed by half when they came */
            double rare = -log(2 * fmin(want, 1 - want));
            assert_true(fabs(digest_surprise(&d, all[i], DETECT_SPIKES_AND_DIPS, &rule) - fmax(0, rare)) < 2);
        }
    }
    printf("shares are off by a factor of %.2f at most\n", exp(worst));
    assert_true(worst < log(2.2));
}

static void further_out_is_more_surprising(void **state)
{
    (void)state;
    struct digest d = {0};
    struct stream s = {.seed = 1};
    assert_true(digest_surprise(&d, 5, DETECT_SPIKES, &rule) == 0 && digest_rank(&d, 5) == 0.5);
    for (int i = 0; i < 500; i++)
        (void)digest_add(&d, stream_normal(&s), &rule);
    double last = 0;
    for (double x = 0; x < 1e30; x = x * 1.1 + 0.01) {
        double up = digest_surprise(&d, x, DETECT_SPIKES, &rule),
               down = digest_surprise(&d, -x, DETECT_DIPS, &rule);
        assert_true(up >= last && isfinite(up) && down >= 0);
        assert_true(x < 1 || digest_surprise(&d, x, DETECT_DIPS, &rule) < 0.3);
        last = up;
    }
    assert_true(digest_surprise(&d, 6, DETECT_SPIKES, &rule) > log(501) + 2);
    assert_true(isfinite(digest_surprise(&d, 1e150, DETECT_SPIKES, &rule)));
    double q = digest_quantile(&d, 0.9999, &rule), p = digest_quantile(&d, 0.95, &rule);
    assert_true(q > p && q > 2.5 && q < 6 && p > 1.2 && p < 2.2);
    assert_true(fabs(digest_surprise(&d, q, DETECT_SPIKES, &rule) + log(0.0001)) < 0.01);
}

static void a_constant_is_left_with_rank_and_a_fixed_distance(void **state)
{
    (void)state;
    struct digest d = {0};
    for (int i = 0; i < 100; i++)
        (void)digest_add(&d, 18, &rule);
    assert_int_equal(d.count, 1);
    assert_true(digest_surprise(&d, 18, DETECT_SPIKES_AND_DIPS, &rule) == 0);
    double near = digest_surprise(&d, 18.001, DETECT_SPIKES, &rule),
           far = digest_surprise(&d, 1e6, DETECT_SPIKES, &rule);
    assert_true(near == far && near > log(101) && near < log(101) + 3);
    (void)digest_add(&d, 19, &rule);
    assert_true(digest_surprise(&d, 19, DETECT_SPIKES, &rule) <= log(102));
}

/* A value far out that comes again and again is normal after a few times, and one of them hides no smaller one. */
static void what_comes_again_is_learned_and_a_single_spike_hides_nothing(void **state)
{
    (void)state;
    struct digest d = {0};
    struct stream s = {.seed = 2};
    for (int i = 0; i < 1000; i++)
        (void)digest_add(&d, stream_normal(&s), &rule);
    double first = digest_surprise(&d, 1000, DETECT_SPIKES, &rule);
    assert_true(digest_add(&d, 1000, &rule) < 10);
    assert_true(digest_surprise(&d, 100, DETECT_SPIKES, &rule) > log(1000) + 2);
    for (int k = 0; k < 20; k++)
        (void)digest_add(&d, 1000, &rule);
    assert_true(first > 20 && digest_surprise(&d, 1000, DETECT_SPIKES, &rule) < 8);
}

static void a_first_value_far_off_costs_no_digits_for_long(void **state)
{
    (void)state;
    struct digest d = {0};
    struct stream s = {.seed = 5};
    (void)digest_add(&d, 1e9, &rule);
    for (int i = 0; i < 2000; i++)
        (void)digest_add(&d, 1e-3 * stream_normal(&s), &rule);
    assert_true(fabs(digest_range(&d) - 2.56e-3) < 0.5e-3);
    assert_true(digest_surprise(&d, 0.02, DETECT_SPIKES, &rule) < log(2001) + 1); /* 1e9 was there */
    assert_true(digest_surprise(&d, -0.02, DETECT_DIPS, &rule) > log(2001) + 3);
}

static void weights_fade_and_the_new_takes_over(void **state)
{
    (void)state;
    const struct digest_rule small = {0, 256};
    struct digest d = {0};
    struct stream s = {.seed = 3};
    for (int i = 0; i < 5000; i++) {
        (void)digest_add(&d, stream_normal(&s) + (i < 2000 ? 0 : 50), &small);
        assert_true(d.total < 256 && d.count <= DIGEST_SLOTS);
    }
    assert_true(fabs(digest_quantile(&d, 0.5, &small) - 50) < 2);
    assert_true(digest_range(&d) < 8);
}

static void a_saved_digest_is_the_same_and_a_wrong_one_refused(void **state)
{
    (void)state;
    struct digest d = {0}, again;
    struct stream s = {.seed = 4};
    for (int i = 0; i < 300; i++)
        (void)digest_add(&d, stream_normal(&s), &rule);
    struct buf b = {0};
    digest_save(&d, &b);
    struct wire w = wire_of(buf_bytes(&b));
    assert_int_equal(digest_load(&again, &w, DIGEST_WEIGHT_MAX, NULL), CODE_OK);
    assert_true(wire_left(&w) == 0 && again.total == d.total && again.ref == d.ref);
    assert_memory_equal(again.mean, d.mean, d.count * sizeof *d.mean);
    w = wire_of(buf_bytes(&b));
    assert_int_equal(digest_load(&again, &w, 300, NULL), CODE_MALFORMED);
    uint8_t share[4];
    memcpy(share, b.at + 9, sizeof share);
    memset(b.at + 9, 0, sizeof share); /* nothing could ever be merged */
    w = wire_of(buf_bytes(&b));
    assert_int_equal(digest_load(&again, &w, DIGEST_WEIGHT_MAX, NULL), CODE_MALFORMED);
    memcpy(b.at + 9, share, sizeof share);
    b.at[13] ^= 0xff; /* of the first mean, which now lies beyond others or is none */
    b.at[16] = 0x7f;
    w = wire_of(buf_bytes(&b));
    assert_int_equal(digest_load(&again, &w, DIGEST_WEIGHT_MAX, NULL), CODE_MALFORMED);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_exact_relative_to_themselves),
        cmocka_unit_test(further_out_is_more_surprising),
        cmocka_unit_test(a_constant_is_left_with_rank_and_a_fixed_distance),
        cmocka_unit_test(what_comes_again_is_learned_and_a_single_spike_hides_nothing),
        cmocka_unit_test(a_first_value_far_off_costs_no_digits_for_long),
        cmocka_unit_test(weights_fade_and_the_new_takes_over),
        cmocka_unit_test(a_saved_digest_is_the_same_and_a_wrong_one_refused),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
