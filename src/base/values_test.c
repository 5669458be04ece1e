#include "base/values.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define COUNT_OF(a) (sizeof(a) / sizeof(a)[0])
#define S UINT64_C(1000000)

/* Each text in a block of exactly its length, so that reading past it is seen. */
static struct bytes exact(const char *text)
{
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    return bytes_of(copy, n);
}

static void drop(struct bytes b)
{
    free((void *)(uintptr_t)b.at);
}

static void counts_are_digits_within_their_range(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t    min, max;
        enum code   code;
        uint64_t    want;
    } table[] = {
        { "0", 0, 10, CODE_OK, 0 },
        { "10", 0, 10, CODE_OK, 10 },
        { "007", 0, 10, CODE_OK, 7 },
        { "18446744073709551615", 0, UINT64_MAX, CODE_OK, UINT64_MAX },
        { "18446744073709551616", 0, UINT64_MAX, CODE_USAGE, 0 },
        { "11", 0, 10, CODE_USAGE, 0 },
        { "1", 2, 10, CODE_USAGE, 0 },
        { "2", 2, 10, CODE_OK, 2 },
        { "", 0, 10, CODE_USAGE, 0 },
        { "-1", 0, 10, CODE_USAGE, 0 },
        { "+1", 0, 10, CODE_USAGE, 0 },
        { " 1", 0, 10, CODE_USAGE, 0 },
        { "1 ", 0, 10, CODE_USAGE, 0 },
        { "1.0", 0, 10, CODE_USAGE, 0 },
        { "0x1", 0, 10, CODE_USAGE, 0 },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        uint64_t got = 77;
        struct bytes text = exact(table[i].text);
        assert_int_equal(value_parse_count(text, table[i].min, table[i].max, &got, NULL), table[i].code);
        assert_int_equal(got, table[i].code == CODE_OK ? table[i].want : 77);
        drop(text);
    }
}

static void sizes_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t    want;
    } good[] = {
        { "0", 0 },       { "512", 512 },           { "512B", 512 },      { "1KiB", 1024 },
        { "64MiB", 64u << 20 }, { "1GiB", 1u << 30 }, { "2TiB", UINT64_C(2) << 40 }, { "64kB", 64000 },
        { "20GB", UINT64_C(20000000000) }, { "3MB", 3000000 }, { "1TB", UINT64_C(1000000000000) },
        { "16777215TiB", UINT64_C(16777215) << 40 },
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        uint64_t got = 77;
        struct bytes text = exact(good[i].text);
        assert_int_equal(value_parse_size(text, &got, NULL), CODE_OK);
        assert_int_equal(got, good[i].want);
        drop(text);
    }
    static const char *const bad[] = { "",        "MiB",    "64 MiB",      "64mib",
                                       "1G",      "1.5GiB", "-1",          "64MiBx",
                                       "64MiB1",  "1KB",    "16777216TiB", "99999999999999999999",
                                       "1GiB2MiB" };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t got = 77;
        struct fault why;
        struct bytes text = exact(bad[i]);
        assert_int_equal(value_parse_size(text, &got, &why), CODE_USAGE);
        assert_int_equal(got, 77);
        assert_non_null(strstr(why.text, "64MiB"));
        drop(text);
    }
}

static void durations_have_units_the_larger_first(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t    want;
    } good[] = {
        { "0", 0 },          { "0s", 0 },           { "500us", 500 },        { "20ms", 20000 },
        { "30s", 30 * S },   { "10m", 600 * S },    { "2h30m", 9000 * S },   { "7d", 604800 * S },
        { "4w", 2419200 * S }, { "1d1us", 86400 * S + 1 }, { "1w2d3h4m5s6ms7us", 788645 * S + 6007 },
        { "90m", 5400 * S },
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        uint64_t got = 77;
        struct bytes text = exact(good[i].text);
        assert_int_equal(value_parse_duration(text, &got, NULL), CODE_OK);
        assert_int_equal(got, good[i].want);
        drop(text);
    }
    static const char *const bad[] = {
        "",     "10",  "s",     "m10", "10 m", "30m2h",           "1m1m",
        "1.5h", "-1s", "10min", "10M", "1h ",  "30500568904944w", "18446744073709551615us1us",
        "1h30"
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        uint64_t got = 77;
        struct fault why;
        struct bytes text = exact(bad[i]);
        assert_int_equal(value_parse_duration(text, &got, &why), CODE_USAGE);
        assert_int_equal(got, 77);
        assert_non_null(strstr(why.text, "2h30m"));
        drop(text);
    }
}

static void decimals_are_finite(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double      want;
    } good[] = { { "0", 0 }, { "21.4", 21.4 }, { "-3", -3 }, { "+3", 3 }, { "1e3", 1000 }, { ".5", 0.5 } };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        double got = 77;
        struct bytes text = exact(good[i].text);
        assert_int_equal(value_parse_decimal(text, &got, NULL), CODE_OK);
        assert_true(fabs(got - good[i].want) < 1e-9);
        drop(text);
    }
    static const char *const bad[] = { "", "nan", "inf", "0x10", "1e999", "1,5", "1 ", "e", "--1" };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        double got;
        assert_int_equal(value_parse_decimal(bytes_str(bad[i]), &got, NULL), CODE_USAGE);
    }
    char longest[80];
    memset(longest, '1', sizeof longest);
    double got;
    assert_int_equal(value_parse_decimal(bytes_of(longest, 63), &got, NULL), CODE_OK);
    assert_int_equal(value_parse_decimal(bytes_of(longest, 64), &got, NULL), CODE_USAGE);
}

static void switches_have_three_spellings(void **state)
{
    (void)state;
    bool on = false;
    assert_int_equal(value_parse_switch(bytes_str("true"), &on, NULL), CODE_OK);
    assert_true(on);
    assert_int_equal(value_parse_switch(bytes_str("off"), &on, NULL), CODE_OK);
    assert_false(on);
    assert_int_equal(value_parse_switch(bytes_str("yes"), &on, NULL), CODE_OK);
    assert_true(on);
    assert_int_equal(value_parse_switch(bytes_str("maybe"), &on, NULL), CODE_USAGE);
    assert_int_equal(value_parse_switch(bytes_str(""), &on, NULL), CODE_USAGE);
    assert_true(on);
}

/* 2026-11-22T12:34:56.5Z, a Sunday; Berlin is one hour ahead. */
#define NOW (INT64_C(1795350896) * 1000000 + 500000)

static void times_are_read_in_every_promised_form(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want; /* in UTC */
    } good[] = {
        { "now", "2026-11-22T12:34:56.500Z" },
        { "2026-11-22T06:00:00Z", "2026-11-22T06:00:00.000Z" },
        { "2026-11-22t06:00:00z", "2026-11-22T06:00:00.000Z" },
        { "2026-11-22T06:00:00.123456789Z", "2026-11-22T06:00:00.123Z" },
        { "2026-11-22T06:00:00+01:00", "2026-11-22T05:00:00.000Z" },
        { "2026-11-22T06:00:00-09:30", "2026-11-22T15:30:00.000Z" },
        { "2026-11-22T06:00Z", "2026-11-22T06:00:00.000Z" },
        { "2026-11-22 06:00", "2026-11-22T05:00:00.000Z" },
        { "2026-07-22 06:00", "2026-07-22T04:00:00.000Z" }, /* summer time */
        { "2026-11-22", "2026-11-21T23:00:00.000Z" },
        { "2024-02-29", "2024-02-28T23:00:00.000Z" },
        { "2000-02-29", "2000-02-28T23:00:00.000Z" },
        { "2026-12-31T23:59:60Z", "2027-01-01T00:00:00.000Z" },
        { "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z" },
        { "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z" },
        { "today", "2026-11-21T23:00:00.000Z" },
        { "today 06:00", "2026-11-22T05:00:00.000Z" },
        { "yesterday", "2026-11-20T23:00:00.000Z" },
        { "yesterday 22:15:30.5", "2026-11-21T21:15:30.500Z" },
        { "06:00", "2026-11-22T05:00:00.000Z" },
        { "1m", "2026-11-22T12:33:56.500Z" },
        { "2h30m", "2026-11-22T10:04:56.500Z" },
        { "7d ago", "2026-11-15T12:34:56.500Z" },
        { "0", "2026-11-22T12:34:56.500Z" },
    };
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        int64_t got = -1;
        char out[VALUE_TEXT_MAX];
        struct bytes text = exact(good[i].text);
        assert_int_equal(value_parse_time(text, NOW, &got, NULL), CODE_OK);
        assert_string_equal(value_print_time_utc(got, out), good[i].want);
        drop(text);
    }
}

static void a_time_cut_anywhere_is_refused_or_shorter(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "tomorrow",
        "today06:00",
        "today 6:00",
        "today ",
        "yesterday yesterday",
        "24:00",
        "12:60",
        "12:00:61",
        "2026-13-01",
        "2026-00-01",
        "2026-02-29", "2100-02-29",
        "2026-11-31",
        "2026-11-00",
        "1969-12-31T23:59:59Z",
        "2026-11-22T",
        "2026-11-22T06",
        "2026-11-22T06:00:00.",
        "2026-11-22T06:00:00+1:00",
        "2026-11-22T06:00:00+0100",
        "2026-11-22T06:00:00Zz",
        "2026-11-22T06:00:00 Z",
        "20261122",
        "2026-11-22x",
        "1m ago ",
        " ago",
        "ago",
        "60000d",
        "1970-01-01T00:00:00+00:01",
        "2026-1-1",
        "12:00:0x",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        int64_t got = 77;
        struct fault why;
        struct bytes text = exact(bad[i]);
        assert_int_equal(value_parse_time(text, NOW, &got, &why), CODE_USAGE);
        assert_int_equal(got, 77);
        assert_non_null(strstr(why.text, "today 06:00"));
        drop(text);
    }
    static const char whole[] = "2026-11-22T06:00:00.123+01:00";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        char *cut = malloc(n ? n : 1);
        memcpy(cut, whole, n);
        int64_t got;
        bool ok = value_parse_time(bytes_of(cut, n), NOW, &got, NULL) == CODE_OK;
        /* a date; hours and minutes; with seconds; with one, two or three digits of a fraction */
        assert_int_equal(ok, n == 10 || n == 16 || n == 19 || (n >= 21 && n <= 23));
        free(cut);
    }
}

static void sizes_print_so_that_they_read_back(void **state)
{
    (void)state;
    static const struct {
        uint64_t    bytes;
        const char *want;
    } table[] = {
        { 0, "0" },           { 1, "1" },
        { 1000, "1000" },     { 1024, "1KiB" },
        { 16384, "16KiB" },   { 64u << 20, "64MiB" },
        { 1u << 30, "1GiB" }, { UINT64_C(20000000000), "20GB" },
        { 262144, "256KiB" }, { 65535, "65535" },
        { 10000, "10kB" },    { UINT64_MAX, "18446744073709551615" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char out[VALUE_TEXT_MAX];
        uint64_t back;
        assert_string_equal(value_print_size(table[i].bytes, out), table[i].want);
        assert_int_equal(value_parse_size(bytes_str(out), &back, NULL), CODE_OK);
        assert_int_equal(back, table[i].bytes);
    }
}

static void durations_print_so_that_they_read_back(void **state)
{
    (void)state;
    static const struct {
        uint64_t    us;
        const char *want;
    } table[] = {
        { 0, "0s" },
        { 1, "1us" },
        { 500, "500us" },
        { 30 * S, "30s" },
        { 9000 * S, "2h30m" },
        { 604800 * S, "7d" },
        { 30 * 86400 * S, "30d" },
        { UINT64_MAX, "213503982d8h1m49s551ms615us" },
    };
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        char out[VALUE_TEXT_MAX];
        uint64_t back;
        assert_string_equal(value_print_duration(table[i].us, out), table[i].want);
        assert_int_equal(value_parse_duration(bytes_str(out), &back, NULL), CODE_OK);
        assert_int_equal(back, table[i].us);
    }
}

static void people_see_rounded_figures(void **state)
{
    (void)state;
    char out[VALUE_TEXT_MAX];
    assert_string_equal(value_print_size_about(512, out), "512 B");
    assert_string_equal(value_print_size_about(1023, out), "1.0 KiB");
    assert_string_equal(value_print_size_about(31u << 20, out), "31 MiB");
    assert_string_equal(value_print_size_about(1288490189, out), "1.2 GiB");
    assert_string_equal(value_print_size_about(UINT64_MAX, out), "16 EiB");
    assert_string_equal(value_print_size_about(1023u << 10, out), "1.0 MiB");
    assert_string_equal(value_print_duration_about(0, out), "0 us");
    assert_string_equal(value_print_duration_about(900, out), "900 us");
    assert_string_equal(value_print_duration_about(1600, out), "1.6 ms");
    assert_string_equal(value_print_duration_about(200 * 1000, out), "200 ms");
    assert_string_equal(value_print_duration_about(999600, out), "1.0 s");
    assert_string_equal(value_print_duration_about(59 * S, out), "59 s");
    assert_string_equal(value_print_duration_about(60 * S, out), "1 m");
    assert_string_equal(value_print_duration_about(8040 * S, out), "2 h 14 m");
    assert_string_equal(value_print_duration_about((6 * 86400 + 23 * 3600) * S, out), "6 d 23 h");
    assert_string_equal(value_print_count(0, out), "0");
    assert_string_equal(value_print_count(999, out), "999");
    assert_string_equal(value_print_count(18404211, out), "18 404 211");
    assert_string_equal(value_print_count(UINT64_MAX, out), "18 446 744 073 709 551 615");
}

static void times_print_local_with_their_offset(void **state)
{
    (void)state;
    char out[VALUE_TEXT_MAX];
    assert_string_equal(value_print_time(NOW, out), "2026-11-22T13:34:56.500+01:00");
    assert_string_equal(value_print_time_about(NOW, out), "2026-11-22 13:34:56");
    assert_string_equal(value_print_clock(NOW, out), "13:34:56.500");
    assert_string_equal(value_print_time_utc(-1, out), "1969-12-31T23:59:59.999Z");
    int64_t back;
    assert_int_equal(value_parse_time(bytes_str(value_print_time(NOW, out)), 0, &back, NULL), CODE_OK);
    assert_int_equal(back, NOW);
    /* A year no calendar holds: nothing is printed, nothing is overrun. */
    (void)value_print_time(INT64_MAX, out);
    assert_true(strlen(out) < VALUE_TEXT_MAX);
}

static int berlin(void **state)
{
    (void)state;
    /* The rule spelled out, so that no zone database is needed. */
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_are_digits_within_their_range),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(durations_have_units_the_larger_first),
        cmocka_unit_test(decimals_are_finite),
        cmocka_unit_test(switches_have_three_spellings),
        cmocka_unit_test(times_are_read_in_every_promised_form),
        cmocka_unit_test(a_time_cut_anywhere_is_refused_or_shorter),
        cmocka_unit_test(sizes_print_so_that_they_read_back),
        cmocka_unit_test(durations_print_so_that_they_read_back),
        cmocka_unit_test(people_see_rounded_figures),
        cmocka_unit_test(times_print_local_with_their_offset),
    };
    return cmocka_run_group_tests(tests, berlin, NULL);
}
