/* detect_test.c - what holds for every model: bad input, time, restart, memory. */
#include "detect/detect.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "detect/test_stream.h"

static void arguments_out_of_range_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        struct detect_config c;
        const char *says;
    } cases[] = {
        {{.algorithm = (enum detect_algorithm)7,
          .mode = 1,
          .confidence = 95,
          .history_size = 9,
          .duration = 9},
         "model 7"},
        {{.algorithm = DETECT_KDE,
          .kind = (enum detect_kind)2,
          .confidence = 95,
          .history_size = 9,
          .duration = 9},
         "kind"},
        {{.algorithm = DETECT_KDE, .mode = 0, .confidence = 95, .history_size = 9, .duration = 9},
         "'spikesanddips'"},
        {{.algorithm = DETECT_KDE, .mode = 4, .confidence = 95, .history_size = 9, .duration = 9},
         "'spikesanddips'"},
        {{.algorithm = DETECT_KDE, .mode = 1, .confidence = 0.5, .history_size = 9, .duration = 9},
         "1 to 100"},
        {{.algorithm = DETECT_KDE, .mode = 1, .confidence = 100.1, .history_size = 9, .duration = 9},
         "1 to 100"},
        {{.algorithm = DETECT_KDE, .mode = 1, .confidence = NAN, .history_size = 9, .duration = 9},
         "1 to 100"},
        {{.algorithm = DETECT_KDE, .mode = 1, .confidence = 95, .history_size = 0, .duration = 9},
         "1 to 100000"},
        {{.algorithm = DETECT_KDE, .mode = 1, .confidence = 95, .history_size = 100001, .duration = 9},
         "1 to 100000"},
        {{.algorithm = DETECT_KDE, .mode = 1, .confidence = 95, .history_size = 9, .duration = 0}, "7 days"},
        {{.algorithm = DETECT_KDE,
          .mode = 1,
          .confidence = 95,
          .history_size = 9,
          .duration = DETECT_DURATION_MAX + 1},
         "7 days"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct detect_config c = cases[i].c;
        struct fault why = {0};
        assert_int_equal(detect_prepare(&c, &why), CODE_USAGE);
        assert_non_null(strstr(why.text, cases[i].says));
    }
}

static void null_nan_and_infinity_are_neither_learned_nor_scored(void **state)
{
    (void)state;
    each_config(c, 60, 600)
    {
        struct detect_model *with = model_of(&c), *without = model_of(&c);
        struct stream s = {.seed = 5};
        for (int i = 0; i < 1500; i++) {
            struct detect_result a, b, none;
            const double bad[] = {NAN, INFINITY, -INFINITY, 1e300, 0};
            double v = stream_next(&s, i);
            observe(with, i * DETECT_SECOND, v, &a);
            observe(without, i * DETECT_SECOND, v, &b);
            assert_results_equal(&a, &b);
            assert_int_equal(detect_observe(with, (i + 9) * DETECT_SECOND, bad[i % 5], i % 5 == 4, &none),
                             CODE_OK);
            assert_false(none.has_score || none.is_anomaly || none.has_expected);
        }
        detect_destroy(with);
        detect_destroy(without);
    }
}

/* Pauses, equal and falling times, bursts, constants, jumps: the same calls give the same bits, whoever was
 * interrupted by a restart where. */
static void a_restart_anywhere_changes_no_bit(void **state)
{
    (void)state;
    each_config(c, 1, 2, 60, 300)
    {
        struct detect_model *steady = model_of(&c), *broken = model_of(&c);
        struct stream s = {.seed = c.history_size, .rough = true};
        for (int i = 0; i < 4000; i++) {
            struct detect_result a, b;
            double v = stream_next(&s, i);
            observe(steady, s.now, v, &a);
            observe(broken, s.now, v, &b);
            assert_results_equal(&a, &b);
            if (i % 17 == 3 || i < 40)
                broken = restart(broken, &c);
        }
        detect_destroy(steady);
        detect_destroy(broken);
    }
}

static void a_saved_model_is_checked_to_its_last_byte(void **state)
{
    (void)state;
    each_config(c, 300)
    {
        struct detect_model *m = model_of(&c), *again;
        struct stream s = {.seed = 3};
        struct detect_result r;
        for (int i = 0; i < 700; i++)
            observe(m, i * DETECT_SECOND, stream_next(&s, i), &r);
        struct buf saved = {0};
        detect_save(m, &saved);
        assert_false(saved.bad);
        struct fault why = {0};
        for (size_t n = 0; n < buf_size(&saved); n++)
            assert_int_equal(detect_load(&c, bytes_of(saved.at, n), &again, &why), CODE_MALFORMED);
        buf_u8(&saved, 0);
        assert_int_equal(detect_load(&c, buf_bytes(&saved), &again, &why), CODE_MALFORMED);
        saved.len--;
        saved.at[0] = 99;
        assert_int_equal(detect_load(&c, buf_bytes(&saved), &again, &why), CODE_UNSUPPORTED);
        saved.at[0] = 1;
        struct detect_config other = c;
        other.confidence = 50;
        assert_int_equal(detect_prepare(&other, &why), CODE_OK);
        assert_int_equal(detect_load(&other, buf_bytes(&saved), &again, &why), CODE_OK);
        detect_destroy(again);
        other.history_size++;
        assert_int_equal(detect_load(&other, buf_bytes(&saved), &again, &why), CODE_REFUSED);
        buf_clear(&saved);
        detect_destroy(m);
    }
}

static void refused_memory_is_said_and_the_model_goes_on(void **state)
{
    (void)state;
    each_config(c, 400)
    {
        struct detect_model *steady = model_of(&c), *poor = model_of(&c);
        struct stream s = {.seed = 11};
        int refused = 0;
        for (int i = 0; i < 3000; i++) {
            struct detect_result a, b;
            double v = stream_next(&s, i);
            observe(steady, i * 60 * DETECT_SECOND, v, &a);
            mem_fail_at(1);
            enum code code = detect_observe(poor, i * 60 * DETECT_SECOND, v, false, &b);
            mem_fail_at(0);
            if (code) {
                assert_int_equal(code, CODE_NOMEM);
                refused++;
                observe(poor, i * 60 * DETECT_SECOND, v, &b);
            }
            assert_results_equal(&a, &b);
        }
        assert_true(refused > 0);
        mem_fail_at(1);
        struct detect_model *none = NULL;
        assert_int_equal(detect_create(&c, &none), CODE_NOMEM);
        struct buf saved = {0};
        detect_save(steady, &saved);
        for (int n = 1;; n++) {
            struct fault why;
            mem_fail_at((uint64_t)n);
            enum code code = detect_load(&c, buf_bytes(&saved), &none, &why);
            if (!code)
                break;
            assert_int_equal(code, CODE_NOMEM);
        }
        mem_fail_at(0);
        detect_destroy(none);
        buf_clear(&saved);
        detect_destroy(steady);
        detect_destroy(poor);
    }
}

static void ten_thousand_keys_with_history_60_stay_under_20_MB(void **state)
{
    (void)state;
    each_config(c, 60)
    {
        enum { KEYS = 10000, EVENTS = 1500 };
        static struct detect_model *models[KEYS];
        uint64_t before = mem_in_use();
        size_t said = 0;
        for (int k = 0; k < KEYS; k++) {
            struct stream s = {.seed = (uint64_t)k};
            struct detect_result r;
            models[k] = model_of(&c);
            /* All keys past their history; every hundredth one for long. */
            int events = k % 100 ? 130 : EVENTS;
            for (int i = 0; i < events; i++)
                observe(models[k], i * 60 * DETECT_SECOND, stream_next(&s, i), &r);
            assert_true(detect_bytes(models[k]) <= detect_bytes_max(&c));
            said += detect_bytes(models[k]);
        }
        uint64_t used = mem_in_use() - before;
        if (!used)
            used = said; /* a sanitizer's heap does not count */
        assert_true(used < 20000000);
        assert_true(detect_bytes_max(&c) + 48 < 2000); /* nor would they, had all seen much */
        if (used < said || used - said > KEYS * 48)
            fail_msg("%zu bytes said, %llu held", said, (unsigned long long)used);
        for (int k = 0; k < KEYS; k++)
            detect_destroy(models[k]);
    }
}

/* x -> a x + b changes no verdict. With powers of two and no offset not even a bit of the score. */
static void verdicts_do_not_depend_on_the_unit(void **state)
{
    (void)state;
    static const double scale[][2] = {{1024, 0}, {0x1p-30, 0}, {1.8, 32}, {1e-3, 7}, {1e6, -1e9}};
    each_config(c, 60, 400)
    {
        for (size_t k = 0; k < sizeof scale / sizeof *scale; k++) {
            struct detect_model *plain = model_of(&c), *other = model_of(&c);
            struct stream s = {.seed = 21};
            for (int i = 0; i < 4000; i++) {
                struct detect_result a, b;
                double v = stream_next(&s, i);
                observe(plain, i * DETECT_SECOND, v, &a);
                observe(other, i * DETECT_SECOND, scale[k][0] * v + scale[k][1], &b);
                assert_int_equal(a.is_anomaly, b.is_anomaly);
                if (k < 2)
                    assert_true(a.score == b.score && a.surprise == b.surprise);
                assert_true(fabs(a.surprise - b.surprise) <= 1e-4 * (1 + fabs(a.surprise)));
            }
            detect_destroy(plain);
            detect_destroy(other);
        }
    }
}

static void a_confidence_of_100_never_flags(void **state)
{
    (void)state;
    each_config(c, 30)
    {
        struct detect_config never = c;
        never.confidence = 100;
        assert_int_equal(detect_prepare(&never, NULL), CODE_OK);
        struct detect_model *m = model_of(&never);
        struct detect_result r;
        for (int i = 0; i < 2000; i++) {
            observe(m, i * DETECT_SECOND, i % 7 + (i == 1500 ? 1e100 : 0), &r);
            assert_false(r.is_anomaly);
        }
        detect_destroy(m);
    }
}

static void inspection_says_what_was_seen(void **state)
{
    (void)state;
    each_config(c, 50)
    {
        struct detect_model *m = model_of(&c);
        struct detect_info info;
        struct detect_result r;
        detect_inspect(m, &info);
        assert_true(info.state == DETECT_LEARNING && !info.has_last && info.seen == 0 && info.learned == 0);
        uint64_t flagged = 0;
        struct stream s = {.seed = 8};
        for (int i = 0; i < 700; i++) {
            double v = i == 600 ? 1e4 : stream_next(&s, i);
            observe(m, i * DETECT_SECOND, v, &r);
            flagged += r.is_anomaly;
            detect_inspect(m, &info);
            assert_true(info.seen == (uint64_t)i + 1 && info.anomalies == flagged && info.has_last);
            assert_true(info.last_value == v && info.last_score == r.score &&
                        info.last_time == i * DETECT_SECOND);
            assert_true(info.learned <= info.need &&
                        (info.state == DETECT_READY) == (info.learned == info.need));
        }
        assert_true(flagged > 0 || c.kind == DETECT_CHANGE_POINT);
        detect_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arguments_out_of_range_are_refused_by_name),
        cmocka_unit_test(null_nan_and_infinity_are_neither_learned_nor_scored),
        cmocka_unit_test(a_restart_anywhere_changes_no_bit),
        cmocka_unit_test(a_saved_model_is_checked_to_its_last_byte),
        cmocka_unit_test(refused_memory_is_said_and_the_model_goes_on),
        cmocka_unit_test(ten_thousand_keys_with_history_60_stay_under_20_MB),
        cmocka_unit_test(verdicts_do_not_depend_on_the_unit),
        cmocka_unit_test(a_confidence_of_100_never_flags),
        cmocka_unit_test(inspection_says_what_was_seen),
    };
    return cmocka_run_group_tests_name("detect", tests, NULL, NULL);
}
