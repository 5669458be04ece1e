#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char lines[64][2100];
static int  count;

static void keep(void *ctx, const char *line)
{
    (void)ctx;
    assert_true(strlen(line) < sizeof lines[0]);
    strcpy(lines[count++ % 64], line);
}

static int fresh(void **state)
{
    (void)state;
    count = 0;
    log_set_sink(keep, NULL);
    log_set_level(LOG_INFO);
    log_set_format(LOG_TEXT);
    return 0;
}

static void a_line_has_time_level_area_and_text(void **state)
{
    (void)state;
    log_warn("mqtt", "FG2001 %s refused", "press-1");
    assert_int_equal(count, 1);
    /* 2026-11-22T06:00:04.123Z warn  mqtt     FG2001 press-1 refused */
    assert_int_equal(lines[0][10], 'T');
    assert_int_equal(lines[0][19], '.');
    assert_string_equal(lines[0] + 23, "Z warn  mqtt     FG2001 press-1 refused");
}

static void lines_above_the_threshold_are_not_made(void **state)
{
    (void)state;
    log_set_level(LOG_WARN);
    assert_int_equal(log_get_level(), LOG_WARN);
    log_info("a", "no");
    log_debug("a", "no");
    assert_int_equal(count, 0);
    log_error("a", "yes");
    log_set_level(LOG_DEBUG);
    log_debug("a", "yes");
    assert_int_equal(count, 2);
}

static void levels_have_names(void **state)
{
    (void)state;
    enum log_level level = LOG_ERROR;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_true(log_level_parse("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_false(log_level_parse("Debug", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_ERROR);
}

static void one_place_is_heard_ten_times_and_then_counted(void **state)
{
    (void)state;
    static struct log_site site;
    for (int i = 0; i < 25; i++)
        log_line(&site, LOG_WARN, "mqtt", "line %d", i);
    assert_int_equal(count, 10);
    assert_non_null(strstr(lines[9], "line 9"));
    /* A minute later: the first line tells how many were swallowed. */
    site.window_us -= 61 * 1000000;
    log_line(&site, LOG_WARN, "mqtt", "again");
    assert_int_equal(count, 11);
    assert_non_null(strstr(lines[10], "again (... 15 more in 60 s)"));
    log_line(&site, LOG_WARN, "mqtt", "and again");
    assert_non_null(strstr(lines[11], "and again"));
    assert_null(strstr(lines[11], "more in"));
}

static void another_place_has_its_own_count(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        log_warn("a", "first");
    for (int i = 0; i < 5; i++)
        log_warn("a", "second");
    assert_int_equal(count, 15);
}

static void debug_lines_are_never_swallowed(void **state)
{
    (void)state;
    log_set_level(LOG_DEBUG);
    for (int i = 0; i < 30; i++)
        log_debug("a", "%d", i);
    assert_int_equal(count, 30);
}

static void a_long_text_is_cut(void **state)
{
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    log_info("a", "%s", text);
    assert_int_equal(strlen(strchr(lines[0], 'x')), 1023);
    log_set_format(LOG_JSON);
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = (i % 2) ? '"' : 1;
    log_info("a", "%s", text);
    size_t n = strlen(lines[1]);
    assert_true(n < 2048);
    assert_string_equal(lines[1] + n - 2, "\"}");
}

static void json_lines_are_json_whatever_was_said(void **state)
{
    (void)state;
    log_set_format(LOG_JSON);
    log_error("mqtt", "a \"b\" \\ \n \x7f \xc2\x9b \xc3\xa4 \xff \xc3");
    assert_string_equal(lines[0] + 32,
                        "Z\",\"level\":\"error\",\"area\":\"mqtt\",\"text\":"
                        "\"a \\\"b\\\" \\\\ \\u000a \\u007f \\u009b \xc3\xa4 \\ufffd \\ufffd\"}");
    assert_memory_equal(lines[0], "{\"time\":\"", 9);
}

static void an_area_may_have_a_level_of_its_own(void **state)
{
    (void)state;
    log_set_area_level(LOG_AREA_mqtt, LOG_DEBUG);
    log_set_area_level(LOG_AREA_net, LOG_ERROR);
    log_debug("mqtt", "yes");
    log_debug("node", "no");
    log_info("node", "yes");
    log_warn("net", "no");
    log_error("net", "yes");
    log_info("elsewhere", "yes");
    assert_int_equal(count, 4);
    assert_int_equal(log_get_level(), LOG_INFO);
    assert_int_equal(log_loudest(), LOG_DEBUG);
    assert_int_equal(log_get_area_level(LOG_AREA_mqtt), LOG_DEBUG);
    log_set_level(LOG_ERROR); /* those of their own stay */
    log_debug("mqtt", "yes");
    log_info("node", "no");
    assert_int_equal(count, 5);
    log_set_area_level(LOG_AREA_mqtt, LOG_AS_ALL);
    log_set_area_level(LOG_AREA_net, LOG_AS_ALL);
    log_warn("mqtt", "no");
    assert_int_equal(count, 5);
    assert_int_equal(log_loudest(), LOG_ERROR);
    assert_int_equal(log_get_area_level(LOG_AREA_mqtt), LOG_AS_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_time_level_area_and_text, fresh),
        cmocka_unit_test_setup(lines_above_the_threshold_are_not_made, fresh),
        cmocka_unit_test_setup(levels_have_names, fresh),
        cmocka_unit_test_setup(one_place_is_heard_ten_times_and_then_counted, fresh),
        cmocka_unit_test_setup(another_place_has_its_own_count, fresh),
        cmocka_unit_test_setup(debug_lines_are_never_swallowed, fresh),
        cmocka_unit_test_setup(an_area_may_have_a_level_of_its_own, fresh),
        cmocka_unit_test_setup(a_long_text_is_cut, fresh),
        cmocka_unit_test_setup(json_lines_are_json_whatever_was_said, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
