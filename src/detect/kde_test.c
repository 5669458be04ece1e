/* kde_test.c - the documented numbers where they are not a trap, and what stands in place of the traps. */
#include "detect/detect.h"

#include <stdarg.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "detect/density.h"
#include "detect/test_stream.h"

static struct detect_config spikes(double confidence, uint32_t history, enum detect_mode mode)
{
    struct detect_config c = {.algorithm = DETECT_KDE,
                              .mode = mode,
                              .confidence = confidence,
                              .history_size = history,
                              .duration = DETECT_DURATION_MAX};
    assert_int_equal(detect_prepare(&c, NULL), CODE_OK);
    return c;
}

static struct detect_config changes(double confidence, uint32_t history)
{
    struct detect_config c = spikes(confidence, history, DETECT_SPIKES);
    c.kind = DETECT_CHANGE_POINT;
    assert_int_equal(detect_prepare(&c, NULL), CODE_OK);
    return c;
}

/* The i-th of n values that are normal to the last digit: no luck is involved. */
static double quantile(int i, int n)
{
    double want = (i + 0.5) / n, low = -9, high = 9;
    for (int k = 0; k < 80; k++) {
        double mid = (low + high) / 2;
        *(1 - exp(density_log_tail(mid)) < want ? &low : &high) = mid;
    }
    return low;
}

static struct detect_model *after_normal(const struct detect_config *c, int n, struct detect_result *r)
{
    struct detect_model *m = model_of(c);
    for (int i = 0; i < n; i++)
        observe(m, i * DETECT_SECOND, quantile(i * 7 % n, n), r);
    return m;
}

static void five_spreads_out_is_two_in_ten_thousand(void **state)
{
    (void)state;
    struct detect_config c = spikes(99.9, 600, DETECT_SPIKES);
    struct detect_result r;
    struct detect_model *m = after_normal(&c, 599, &r);
    observe(m, 599 * DETECT_SECOND, 0, &r);
    assert_true(r.state == DETECT_LEARNING);
    observe(m, 600 * DETECT_SECOND, 5, &r);
    assert_true(r.is_anomaly && r.state == DETECT_READY);
    assert_true(r.score > 1.7e-4 && r.score < 2.3e-4); /* the wide kernel: z is 5/sqrt(2), not 5 */
    assert_true(r.has_expected && r.expected_high < 5 && r.expected_high > 4 && r.expected_low < -4);
    detect_destroy(m);
}

/* Without the cut of flagged values (masking) the second spike has p = 8.5e-3 and is lost at 99.5 %. */
static void a_second_smaller_spike_is_seen(void **state)
{
    (void)state;
    struct history h;
    history_init(&h, 120, false);
    for (int i = 0; i < 120; i++) {
        assert_true(history_reserve(&h));
        history_push(&h, 0, i == 119 ? 10 : quantile(i, 119), 0);
    }
    assert_true(fabs(exp(density_exact(&h, 1.354, 6).log_above) - 8.5e-3) < 2e-4);
    history_clear(&h);

    struct detect_config c = spikes(99.5, 120, DETECT_SPIKES);
    struct detect_result r;
    struct detect_model *m = after_normal(&c, 120, &r);
    observe(m, 121 * DETECT_SECOND, 10, &r);
    assert_true(r.is_anomaly);
    observe(m, 122 * DETECT_SECOND, 0, &r);
    observe(m, 123 * DETECT_SECOND, 6, &r);
    assert_true(r.is_anomaly && r.score < 5e-4);
    detect_destroy(m);
}

/* Published: p = 1e-8 for any change above 4e-6. 120 equal values say no more than 1/121. */
static void a_constant_is_left_by_rank_not_by_an_absolute_width(void **state)
{
    (void)state;
    const double to[] = {19, 17, 18.000001, 1e9};
    for (int k = 0; k < 4; k++) {
        struct detect_config c = spikes(99, 120, DETECT_SPIKES_AND_DIPS);
        struct detect_model *m = model_of(&c);
        struct detect_result r;
        for (int i = 0; i < 120; i++)
            observe(m, i, 18, &r);
        observe(m, 120, 18, &r);
        assert_true(!r.is_anomaly && r.score == 1);
        observe(m, 121, to[k], &r);
        assert_true(fabs(r.score - 2.0 / 121) < 1e-12 && !r.is_anomaly);
        detect_destroy(m);
        c = spikes(98, 120, DETECT_SPIKES_AND_DIPS);
        m = model_of(&c);
        int flagged = 0;
        for (int i = 0; i < 500; i++) {
            observe(m, i, i < 200 ? 18 : to[k], &r);
            flagged += r.is_anomaly;
            assert_true(!r.is_anomaly || i >= 200);
        }
        assert_true(flagged >= 1 && flagged <= 4); /* a new level is learned, not alarmed about for ever */
        detect_destroy(m);
    }
}

/* The published absolute width for one value, and no wait for a full history: the field's "first events after a pause
 * are flagged". */
static void warm_up_report_is_the_clouds_start(void **state)
{
    (void)state;
    struct detect_config c = spikes(80, 120, DETECT_SPIKES);
    c.warm_up_report = true;
    for (int k = 0; k < 2; k++) {
        struct detect_model *m = model_of(&c);
        struct detect_result r;
        observe(m, 0, 20, &r);
        assert_true(r.score == 0.5 && !r.is_anomaly);
        observe(m, 1, k ? 20.85 : 20.83, &r);
        assert_int_equal(r.is_anomaly, k);
        assert_true(fabs(r.score - 0.2) < 0.005 && r.state == DETECT_LEARNING);
        detect_destroy(m);
    }
}

static void after_a_pause_longer_than_the_window_nothing_is_flagged_at_once(void **state)
{
    (void)state;
    for (int report = 0; report < 2; report++) {
        struct detect_config c = spikes(80, 120, DETECT_SPIKES);
        c.duration = 120 * DETECT_SECOND;
        c.warm_up_report = report;
        struct detect_model *m = model_of(&c);
        struct detect_result r;
        struct stream s = {.seed = 4};
        int64_t now = 0;
        for (int i = 0; i < 200; i++)
            observe(m, now += DETECT_SECOND, 18 + 0.2 * stream_normal(&s), &r);
        assert_true(r.state == DETECT_READY);
        observe(m, now += DETECT_SECOND, 25, &r);
        assert_true(r.is_anomaly && r.expected_high < 20 && r.expected_low > 16);
        now += 131 * DETECT_SECOND;
        int flagged = 0;
        for (int i = 0; i < 120; i++) {
            observe(m, now += DETECT_SECOND, 21 + 0.5 * i, &r);
            flagged += r.is_anomaly;
            assert_true(r.state == DETECT_LEARNING);
        }
        assert_true(report ? flagged > 2 : flagged == 0);
        struct detect_info info;
        detect_inspect(m, &info);
        assert_true(info.state == DETECT_READY && info.learned == 120 && info.need == 120);
        /* A pause that leaves less than half of the history behind. */
        now += 100 * DETECT_SECOND;
        observe(m, now += DETECT_SECOND, 500, &r);
        assert_true(r.state == DETECT_LEARNING && r.is_anomaly == report);
        detect_destroy(m);
    }
}

/* One value in 10 s and a window of 120 s: it never holds 120 values, and it is ready after 120 all the same. */
static void a_cadence_too_slow_for_the_window_does_not_learn_for_ever(void **state)
{
    (void)state;
    struct detect_config c = spikes(95, 120, DETECT_SPIKES);
    c.duration = 120 * DETECT_SECOND;
    struct detect_model *m = model_of(&c);
    struct detect_result r;
    struct stream s = {.seed = 6};
    for (int i = 0; i < 121; i++)
        observe(m, i * 10 * DETECT_SECOND, stream_normal(&s), &r);
    assert_true(r.state == DETECT_READY);
    /* Faster, then slow again: less than half of what there was, for a while. */
    int64_t now = 121 * 10 * DETECT_SECOND;
    for (int i = 0; i < 240; i++)
        observe(m, now += DETECT_SECOND, stream_normal(&s), &r);
    for (int i = 0; i < 20; i++)
        observe(m, now += 10 * DETECT_SECOND, stream_normal(&s), &r);
    assert_true(r.state == DETECT_LEARNING);
    for (int i = 0; i < 240; i++)
        observe(m, now += 10 * DETECT_SECOND, stream_normal(&s), &r);
    assert_true(r.state == DETECT_READY);
    detect_destroy(m);
}

/* With min(above, below) twice as many would be. */
static void two_sided_alarms_are_no_more_than_asked_for(void **state)
{
    (void)state;
    struct detect_config c = spikes(90, 200, DETECT_SPIKES_AND_DIPS);
    struct detect_model *m = model_of(&c);
    struct detect_result r;
    struct stream s = {.seed = 7};
    int flagged = 0;
    for (int i = 0; i < 20200; i++) {
        observe(m, i, stream_uniform(&s), &r); /* evenly spread: few values far out, and p close to even */
        flagged += r.is_anomaly;
    }
    assert_true(flagged <= 2000);
    detect_destroy(m);
}

static void bets_do_not_win_on_exchangeable_values(void **state)
{
    (void)state;
    struct detect_config c = changes(95, 100);
    struct detect_model *m = model_of(&c);
    struct detect_result r;
    struct stream s = {.seed = 9};
    for (int i = 0; i < 20000; i++) {
        observe(m, i, stream_normal(&s), &r);
        assert_false(r.is_anomaly);
    }
    detect_destroy(m);
}

/* History 20 at 95 %: 20 * (ln 0.1 - 0.9 ln 0.05) = 7.87. */
static void a_step_is_a_change_point_once(void **state)
{
    (void)state;
    struct detect_config c = changes(95, 20);
    struct detect_model *m = model_of(&c);
    struct detect_result r;
    struct stream s = {.seed = 10};
    int found = 0;
    for (int i = 0; i < 260; i++) {
        observe(m, i, (i < 200 ? 20 : 21) + 0.1 * stream_normal(&s), &r);
        assert_int_equal(r.is_anomaly, i == 200); /* and silent for 20 events */
        found += r.is_anomaly;
        if (r.is_anomaly)
            assert_true(r.surprise >= 7.87 && fabs(log(r.score) - r.surprise) < 1e-9 * r.surprise);
    }
    assert_int_equal(found, 1);
    detect_destroy(m);
}

/* Published: the threshold of 60 %, history 600 is exp(-887) = 0: always alarming, as long as values only rise. */
static void low_confidence_is_not_always_an_alarm(void **state)
{
    (void)state;
    struct detect_config c = changes(60, 600);
    struct detect_model *m = model_of(&c);
    struct detect_result r;
    for (int i = 0; i < 2000; i++) {
        observe(m, i, i, &r);
        assert_false(r.is_anomaly);
        assert_true(i < 1300 || (r.surprise > -887 && r.surprise < 0));
    }
    detect_destroy(m);
}

/* Published: history 6000 at 95 % has the threshold exp(2361), which is infinite: never alarming. */
static void a_large_history_can_still_alarm(void **state)
{
    (void)state;
    struct detect_config c = changes(95, 6000);
    struct detect_model *m = model_of(&c);
    struct detect_result r;
    int found = 0;
    double x = 1;
    for (int i = 0; i < 9000; i++) {
        x = i < 6000 ? i % 10 : x * 1.07 + 1;
        observe(m, i, x, &r);
        found += r.is_anomaly;
        assert_true(r.score <= 1e308);
        if (r.is_anomaly)
            assert_true(r.surprise >= 2361 && r.score == 1e308);
    }
    assert_int_equal(found, 1);
    detect_destroy(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_spreads_out_is_two_in_ten_thousand),
        cmocka_unit_test(a_second_smaller_spike_is_seen),
        cmocka_unit_test(a_constant_is_left_by_rank_not_by_an_absolute_width),
        cmocka_unit_test(warm_up_report_is_the_clouds_start),
        cmocka_unit_test(after_a_pause_longer_than_the_window_nothing_is_flagged_at_once),
        cmocka_unit_test(a_cadence_too_slow_for_the_window_does_not_learn_for_ever),
        cmocka_unit_test(two_sided_alarms_are_no_more_than_asked_for),
        cmocka_unit_test(bets_do_not_win_on_exchangeable_values),
        cmocka_unit_test(a_step_is_a_change_point_once),
        cmocka_unit_test(low_confidence_is_not_always_an_alarm),
        cmocka_unit_test(a_large_history_can_still_alarm),
    };
    return cmocka_run_group_tests_name("kde", tests, NULL, NULL);
}
