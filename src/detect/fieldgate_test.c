/* fieldgate_test.c - what our own detector must find, and where it must keep quiet. */
#include "detect/detect.h"

#include <stdarg.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "detect/test_stream.h"

#define MINUTE (60 * DETECT_SECOND)

static struct detect_config spikes(double confidence, uint32_t history, enum detect_mode mode)
{
    struct detect_config c = {
        .mode = mode, .confidence = confidence, .history_size = history, .duration = DETECT_DURATION_MAX};
    assert_int_equal(detect_prepare(&c, NULL), CODE_OK);
    return c;
}

static struct detect_config changes(double confidence, uint32_t history)
{
    struct detect_config c = spikes(confidence, history, DETECT_SPIKES_AND_DIPS);
    c.kind = DETECT_CHANGE_POINT;
    assert_int_equal(detect_prepare(&c, NULL), CODE_OK);
    return c;
}

/* A model with its stream: the last result, and how many were flagged. */
struct trial {
    struct detect_config c;
    struct detect_model *m;
    struct detect_result r;
    struct stream s;
    int64_t now;
    int flagged;
};

static void start(struct trial *t, struct detect_config c)
{
    *t = (struct trial){.c = c, .s = {.seed = 31}};
    t->m = model_of(&t->c);
}

static bool feed(struct trial *t, double v)
{
    observe(t->m, t->now += MINUTE, v, &t->r);
    t->flagged += t->r.is_anomaly;
    return t->r.is_anomaly;
}

static void end(struct trial *t)
{
    detect_destroy(t->m);
}

/* The share of values without any anomaly whose score is below 1 - confidence: what a confidence means, whatever the
 * distribution. This is what the constants of CALIBRATED were measured on. */
static void a_confidence_is_the_share_that_is_not_flagged(void **state)
{
    (void)state;
    enum { SHAPES = 7, FROM = 2000, TO = 42000 };
    static const double p[] = {0.2, 0.1, 0.05, 0.01, 0.002};
    for (int mode = DETECT_SPIKES; mode <= DETECT_SPIKES_AND_DIPS; mode++) {
        for (int shape = 0; shape < SHAPES; shape++) {
            struct trial t;
            start(&t, spikes(99, 600, (enum detect_mode)mode));
            int count[5] = {0};
            double ar = 0;
            for (int i = 0; i < TO; i++) {
                double u = stream_uniform(&t.s), n = stream_normal(&t.s);
                ar = 0.9 * ar + n;
                const double v[SHAPES] = {
                    n, u, -log(1 - u), ar, 5 * sin(i * 2 * M_PI / 1440) + n, floor(2 * n), exp(n)};
                (void)feed(&t, v[shape]);
                for (int k = 0; k < 5 && i >= FROM; k++)
                    count[k] += t.r.score <= p[k];
            }
            for (int k = 0; k < 5; k++) {
                double share = count[k] / (double)(TO - FROM);
                /* Bounded values have no surprises left far out: fewer alarms there are no fault. */
                if (share > p[k] * 1.8 || (p[k] >= 0.05 && share < p[k] / 2.5))
                    fail_msg("mode %d, shape %d: %.4f have p <= %g", mode, shape, share, p[k]);
            }
            end(&t);
        }
    }
}

static void a_constant_then_a_step_is_one_alarm(void **state)
{
    (void)state;
    struct trial t;
    start(&t, spikes(95, 120, DETECT_SPIKES_AND_DIPS));
    for (int i = 0; i < 200; i++)
        assert_false(feed(&t, 18));
    assert_true(feed(&t, 19));
    for (int i = 0; i < 1000; i++)
        (void)feed(&t, 19);
    assert_int_equal(t.flagged, 1);
    end(&t);
}

static void a_constant_then_a_spike_is_one_alarm_and_so_is_the_next(void **state)
{
    (void)state;
    struct trial t;
    start(&t, spikes(95, 120, DETECT_SPIKES));
    for (int i = 0; i < 120; i++)
        assert_false(feed(&t, 18));
    for (int k = 1; k <= 3; k++) {
        assert_true(feed(&t, 25));
        assert_true(t.r.score < 0.05 && t.r.has_expected && t.r.expected_high < 25 && t.r.expected_low <= 18);
        for (int i = 0; i < 100; i++)
            (void)feed(&t, 18);
        assert_int_equal(t.flagged, k);
    }
    end(&t);
}

static void a_second_smaller_spike_is_seen(void **state)
{
    (void)state;
    struct trial t;
    start(&t, spikes(99, 120, DETECT_SPIKES));
    for (int i = 0; i < 600; i++)
        (void)feed(&t, stream_normal(&t.s));
    t.flagged = 0;
    assert_true(feed(&t, 20));
    for (int i = 0; i < 30; i++)
        (void)feed(&t, stream_normal(&t.s));
    assert_true(feed(&t, 10));
    end(&t);
}

/* A ramp is a new record every time: not an alarm every time. It is not exchangeable, so three times what the confidence asks
 * for is allowed. */
static void a_ramp_is_no_endless_alarm(void **state)
{
    (void)state;
    struct trial t;
    start(&t, spikes(99, 120, DETECT_SPIKES_AND_DIPS));
    for (int i = 0; i < 3000; i++)
        (void)feed(&t, 0.1 * i + 0.1 * stream_normal(&t.s));
    assert_true(t.flagged <= 90);
    end(&t);
}

/* Each value as surprising as the one before: one alarm at its beginning, not one with each value. */
static void what_goes_on_is_no_endless_alarm(void **state)
{
    (void)state;
    struct trial t;
    start(&t, spikes(99, 120, DETECT_SPIKES));
    for (int i = 0; i < 1000; i++)
        (void)feed(&t, stream_normal(&t.s));
    t.flagged = 0;
    double x = 10;
    for (int i = 0; i < 200; i++)
        (void)feed(&t, x *= 1.2);
    assert_true(t.flagged >= 1 && t.flagged <= 20);
    end(&t);
}

/* A step of the clockwork that comes every day, exact to the last digit. */
static void what_comes_every_day_is_no_alarm_however_exact(void **state)
{
    (void)state;
    struct trial t;
    start(&t, spikes(99.9, 600, DETECT_SPIKES_AND_DIPS));
    int late = 0;
    for (int i = 0; i < 14 * 288; i++) {
        int at = i % 288;
        t.now += 4 * MINUTE;
        bool found = feed(&t, (at >= 100 && at < 200 ? 80 : 20) + 0.3 * sin(at / 5.0));
        late += found && i >= 7 * 288;
    }
    assert_true(late <= 2);
    end(&t);
}

/* One wild value does not make its hour of the next days wrong. */
static void a_glitch_does_not_spoil_its_hour(void **state)
{
    (void)state;
    struct trial t;
    start(&t, spikes(99.9, 600, DETECT_SPIKES_AND_DIPS));
    int after = 0;
    for (int i = 0; i < 10 * 288; i++) {
        t.now += 4 * MINUTE;
        bool glitch = i == 5 * 288;
        bool found = feed(&t, glitch ? 1e9 : sin(i * 2 * M_PI / 288) + 0.2 * stream_normal(&t.s));
        assert_true(!glitch || found);
        after += found && i > 5 * 288;
        assert_true(i / 12 != 6 * 24 || t.r.score > 1e-3);
    }
    assert_true(after <= 4);
    end(&t);
}

/* The values are usual, at that hour they are not. */
static void a_day_without_its_peak_is_found(void **state)
{
    (void)state;
    struct trial t;
    start(&t, spikes(99.9, 600, DETECT_SPIKES_AND_DIPS));
    int before = 0, on_that_day = 0;
    for (int i = 0; i < 15 * 288; i++) {
        double v = 10 + 0.3 * stream_normal(&t.s) + 5 * sin(i * 2 * M_PI / 288);
        bool missing = i >= 12 * 288 && i < 12 * 288 + 144;
        t.now += 4 * MINUTE;
        bool found = feed(&t, missing ? 10 + 0.3 * stream_normal(&t.s) : v);
        before += found && i > 3 * 288 && i < 12 * 288;
        on_that_day += found && missing;
    }
    assert_true(on_that_day >= 1 && before <= 5);
    end(&t);
}

static void a_tenth_of_the_values_missing_changes_little(void **state)
{
    (void)state;
    struct trial whole, part;
    start(&whole, spikes(99, 600, DETECT_SPIKES_AND_DIPS));
    start(&part, spikes(99, 600, DETECT_SPIKES_AND_DIPS));
    struct stream gaps = {.seed = 77};
    int spikes_seen = 0;
    for (int i = 0; i < 5000; i++) {
        bool spike = i % 500 == 499;
        double v = 3 * sin(i / 50.0) + stream_normal(&whole.s) + (spike ? 25 : 0);
        (void)feed(&whole, v);
        if (stream_uniform(&gaps) < 0.1 && !spike)
            part.now += MINUTE;
        else
            spikes_seen += feed(&part, v) && spike;
    }
    assert_int_equal(spikes_seen, 10);
    assert_true(part.flagged <= 2 * whole.flagged + 5);
    end(&whole);
    end(&part);
}

static void a_counter_with_a_large_offset_keeps_its_digits(void **state)
{
    (void)state;
    struct trial small, large;
    start(&small, spikes(99, 120, DETECT_SPIKES_AND_DIPS));
    start(&large, spikes(99, 120, DETECT_SPIKES_AND_DIPS));
    for (int i = 0; i < 5000; i++) {
        double v = floor(10 * stream_normal(&small.s)) + (i % 500 == 499 ? 200 : 0); /* exact in both */
        assert_int_equal(feed(&small, v), feed(&large, v + 1e9));
    }
    assert_true(small.flagged >= 9);
    end(&small);
    end(&large);
}

static void a_mode_looks_at_its_side_only(void **state)
{
    (void)state;
    for (int mode = DETECT_SPIKES; mode <= DETECT_DIPS; mode++) {
        struct trial t;
        start(&t, spikes(99.9, 120, (enum detect_mode)mode));
        int wrong = 0, right = 0;
        for (int i = 0; i < 6000; i++) {
            int kick = i % 600 == 599 ? (i / 600 % 2 ? 1 : -1) : 0;
            bool found = feed(&t, stream_normal(&t.s) + 30 * kick);
            int wanted = mode == DETECT_SPIKES ? 1 : -1;
            right += found && kick == wanted;
            wrong += found && i > 600 && kick != wanted;
        }
        assert_int_equal(right, 5);
        assert_true(wrong <= 3);
        end(&t);
    }
}

static void the_return_from_a_spike_is_no_dip(void **state)
{
    (void)state;
    struct trial t;
    start(&t, spikes(99, 120, DETECT_DIPS));
    for (int i = 0; i < 3000; i++) {
        bool after = i % 500 == 0 && i;
        bool found = feed(&t, stream_normal(&t.s) + (i % 500 == 499 ? 30 : 0));
        assert_false(found && after);
        assert_true(!after || t.r.score > 0.01);
    }
    end(&t);
}

static void after_a_pause_the_first_values_are_not_flagged_and_what_was_learned_stays(void **state)
{
    (void)state;
    for (int report = 0; report < 2; report++) {
        struct detect_config c = spikes(95, 120, DETECT_SPIKES);
        c.duration = 120 * MINUTE;
        c.warm_up_report = report;
        struct trial t;
        start(&t, c);
        for (int i = 0; i < 300; i++)
            (void)feed(&t, 18 + 0.2 * stream_normal(&t.s));
        t.now += 131 * MINUTE;
        t.flagged = 0;
        assert_int_equal(feed(&t, 25), report);
        assert_true(t.r.state == DETECT_LEARNING && t.r.score < 0.05); /* the score says what is remembered */
        for (int i = 0; i < 29; i++)
            (void)feed(&t, 18 + 0.2 * stream_normal(&t.s));
        assert_true(report || t.flagged == 0);
        assert_true(feed(&t, 25) && t.r.state == DETECT_READY);
        end(&t);
    }
}

/* ---- change points ---- */

/* At most 5 in a hundred stretches of 100 events, says the threshold. */
static void change_points_are_rare_where_nothing_changes(void **state)
{
    (void)state;
    for (int shape = 0; shape < 6; shape++) {
        struct trial t;
        start(&t, changes(95, 100));
        double ar = 0;
        for (int i = 0; i < 20000; i++) {
            double n = stream_normal(&t.s);
            ar = 0.8 * ar + n;
            const double v[] = {n, stream_uniform(&t.s), exp(n), ar, floor(n), 18};
            (void)feed(&t, v[shape]);
        }
        if (t.flagged > 10)
            fail_msg("shape %d: %d change points in 200 stretches", shape, t.flagged);
        end(&t);
    }
}

static void steps_and_new_spreads_are_change_points(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        struct trial t;
        start(&t, changes(95, 120));
        int soon = 0, ar_found = 0;
        double ar = 0;
        for (int i = 0; i < 1500; i++) {
            double n = stream_normal(&t.s);
            bool after = i >= 1000;
            ar = 0.7 * ar + n;
            const double v[] = {n + 3 * after, n - 3 * after, n * (after ? 5 : 1), ar + 8 * after};
            bool found = feed(&t, v[k]);
            soon += found && after && i < 1060;
            ar_found += found;
            if (found)
                assert_true(t.r.score >= 120 / 0.05 && t.r.surprise >= log(120 / 0.05));
        }
        assert_true(soon >= 1 && soon <= 3);
        assert_true(ar_found <= soon + 3); /* what is new is learned */
        end(&t);
    }
}

static void a_daily_wave_is_no_change_but_a_step_in_it_is(void **state)
{
    (void)state;
    struct trial t;
    start(&t, changes(95, 120));
    int before = 0, soon = 0;
    for (int i = 0; i < 14 * 288; i++) {
        double v = 5 * sin(i * 2 * M_PI / 288) + 0.5 * stream_normal(&t.s) + (i >= 12 * 288 ? 3 : 0);
        t.now += 4 * MINUTE;
        bool found = feed(&t, v);
        before += found && i > 3 * 288 && i < 12 * 288;
        soon += found && i >= 12 * 288 && i < 12 * 288 + 60;
    }
    assert_true(soon >= 1 && before <= 4);
    end(&t);
}

/* Shifts that begin and end on the hour: a step twice a day, and a day off. */
static void what_changes_every_day_is_no_change(void **state)
{
    (void)state;
    struct trial t;
    start(&t, changes(95, 120));
    t.now = -5 * MINUTE;
    int late = 0, day_off = 0;
    for (int i = 0; i < 15 * 288; i++) {
        int at = i % 288, day = i / 288;
        bool shift = at >= 96 && at < 192 && day != 13;
        t.now += 4 * MINUTE;
        bool found = feed(&t, (shift ? 80 : 20) + stream_normal(&t.s));
        late += found && day >= 4 && day < 13;
        day_off += found && day == 13;
    }
    assert_true(late == 0 && day_off >= 1);
    end(&t);
}

static void after_a_pause_a_change_point_needs_a_new_mean(void **state)
{
    (void)state;
    struct detect_config c = changes(95, 120);
    c.duration = 120 * MINUTE;
    struct trial t;
    start(&t, c);
    for (int i = 0; i < 300; i++)
        (void)feed(&t, stream_normal(&t.s));
    t.now += 131 * MINUTE;
    t.flagged = 0;
    for (int i = 0; i < 200; i++) {
        (void)feed(&t, 20 + stream_normal(&t.s));
        assert_true(t.r.state == (i < 30 ? DETECT_LEARNING : DETECT_READY));
    }
    assert_int_equal(t.flagged, 0);
    end(&t);
}

/* Values that spread 2.5 times as far, to both sides: no rise and no fall. */
static void a_new_spread_is_found_soon(void **state)
{
    (void)state;
    int late = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct trial t;
        start(&t, changes(95, 120));
        t.s.seed = seed;
        int i = 0;
        while (i < 1000 || (i < 1200 && !t.r.is_anomaly))
            (void)feed(&t, stream_normal(&t.s) * (i++ < 1000 ? 1 : 2.5));
        late += i > 1012;
        end(&t);
    }
    assert_true(late <= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_confidence_is_the_share_that_is_not_flagged),
        cmocka_unit_test(a_constant_then_a_step_is_one_alarm),
        cmocka_unit_test(a_constant_then_a_spike_is_one_alarm_and_so_is_the_next),
        cmocka_unit_test(a_second_smaller_spike_is_seen),
        cmocka_unit_test(a_ramp_is_no_endless_alarm),
        cmocka_unit_test(what_goes_on_is_no_endless_alarm),
        cmocka_unit_test(what_comes_every_day_is_no_alarm_however_exact),
        cmocka_unit_test(a_glitch_does_not_spoil_its_hour),
        cmocka_unit_test(a_day_without_its_peak_is_found),
        cmocka_unit_test(a_tenth_of_the_values_missing_changes_little),
        cmocka_unit_test(a_counter_with_a_large_offset_keeps_its_digits),
        cmocka_unit_test(a_mode_looks_at_its_side_only),
        cmocka_unit_test(the_return_from_a_spike_is_no_dip),
        cmocka_unit_test(after_a_pause_the_first_values_are_not_flagged_and_what_was_learned_stays),
        cmocka_unit_test(change_points_are_rare_where_nothing_changes),
        cmocka_unit_test(steps_and_new_spreads_are_change_points),
        cmocka_unit_test(what_changes_every_day_is_no_change),
        cmocka_unit_test(after_a_pause_a_change_point_needs_a_new_mean),
        cmocka_unit_test(a_new_spread_is_found_soon),
        cmocka_unit_test(a_daily_wave_is_no_change_but_a_step_in_it_is),
    };
    return cmocka_run_group_tests_name("fieldgate", tests, NULL, NULL);
}
