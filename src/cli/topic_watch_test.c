#include "cli/topic_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define SECOND 1000000

static struct topic_watch watch;
static struct buf out;

static struct watched *note(const char *topic, const char *payload, int64_t now)
{
    return topic_watch_note(&watch, bytes_str(topic), bytes_str(payload), now);
}

static const char *screen(int64_t now, size_t width, size_t height, size_t lines)
{
    buf_reset(&out);
    assert_int_equal(topic_watch_screen(&out, &watch, now, width, height), lines);
    buf_u8(&out, 0);
    return (const char *)out.at;
}

static int clear(void **state)
{
    (void)state;
    topic_watch_clear(&watch);
    buf_clear(&out);
    return 0;
}

static void numbers_show_their_change(void **state)
{
    (void)state;
    struct watched *w = note("t", "21.1", 0);
    assert_false(w->has_change);
    w = note("t", "21.4", 1);
    buf_reset(&out);
    topic_watch_line(&out, w, 1, 0, 0);
    buf_u8(&out, 0);
    assert_string_equal((const char *)out.at, "t\t21.4\t(+0.3)\t0.0/s");
    assert_true(note("t", "20", 2)->change < 0);
    assert_false(note("t", "off", 3)->has_change);
    assert_false(note("t", "5", 4)->has_change); /* from a word to a number is no change */
    assert_true(note("t", "5", 5)->has_change);
    assert_int_equal(watch.count, 1);
}

static void rates_are_those_of_the_last_second(void **state)
{
    (void)state;
    assert_false(topic_watch_second(&watch, 10 * SECOND));
    for (int i = 0; i < 20; i++)
        (void)note("a", "12345", 10 * SECOND + i);
    (void)note("b", "", 10 * SECOND);
    assert_false(topic_watch_second(&watch, 10 * SECOND + 999999));
    assert_true(topic_watch_second(&watch, 12 * SECOND));
    assert_float_equal(watch.sorted[0]->rate, 10, 0.001);
    assert_float_equal(watch.sorted[0]->byte_rate, 50, 0.001);
    assert_float_equal(watch.sorted[1]->rate, 0.5, 0.001);
    assert_true(topic_watch_second(&watch, 13 * SECOND));
    assert_float_equal(watch.sorted[0]->rate, 0, 0.001);
}

static void topics_stand_in_order_one_line_each(void **state)
{
    (void)state;
    (void)note("f/b", "on", 0);
    (void)note("f/a", "1", 0);
    (void)note("f/b", "off", 200000);
    (void)note("", "\x1b[31m\xc3\xa9", 0);
    assert_string_equal(
        screen(1200000, 74, 10, 4),
        "TOPIC  VALUE                           CHANGE              AGE        RATE\033[K\n"
        "       \\x1b[31m\xc3\xa9                                         1.2 s       0.0/s\033[K\n"
        "f/a    1                                                 1.2 s       0.0/s\033[K\n"
        "f/b    off                                               1.0 s       0.0/s\033[K\n");
}

static void what_does_not_fit_is_said(void **state)
{
    (void)state;
    char topic[16];
    for (int i = 0; i < 30; i++) {
        (void)snprintf(topic, sizeof topic, "t%02d", i);
        (void)note(topic, "1", 0);
    }
    const char *text = screen(0, 80, 10, 10);
    assert_non_null(strstr(text, "and 22 topics more"));
    assert_null(strstr(text, "t08"));
    assert_non_null(strstr(text, "t07"));
}

static void no_more_than_the_bound_are_watched(void **state)
{
    (void)state;
    char topic[16];
    for (int i = 0; i < WATCH_TOPICS_MAX + 3; i++) {
        (void)snprintf(topic, sizeof topic, "%d", i);
        assert_int_equal(note(topic, "", 0) != NULL, i < WATCH_TOPICS_MAX);
    }
    assert_int_equal(watch.count, WATCH_TOPICS_MAX);
    assert_int_equal(watch.beyond, 3);
    assert_non_null(note("17", "", 0));
    assert_non_null(strstr(screen(0, 80, 5, 5), "more than 10000 topics"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(numbers_show_their_change, clear),
        cmocka_unit_test_teardown(rates_are_those_of_the_last_second, clear),
        cmocka_unit_test_teardown(topics_stand_in_order_one_line_each, clear),
        cmocka_unit_test_teardown(what_does_not_fit_is_said, clear),
        cmocka_unit_test_teardown(no_more_than_the_bound_are_watched, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
