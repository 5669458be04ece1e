#include "expr/value.h"

#include "expr/datetime.h"
#include "expr/expr.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct value text(const char *s)
{
    return value_text(bytes_str(s));
}

static struct value record(struct record_value *r, const struct record_field *fields, uint32_t count)
{
    *r = (struct record_value){count, fields};
    return (struct value){.type = VALUE_RECORD, .record = r};
}

static struct value array(struct array_value *a, const struct value *items, uint32_t count)
{
    *a = (struct array_value){count, items};
    return (struct value){.type = VALUE_ARRAY, .array = a};
}

static const char *json(struct value v)
{
    static char out[512];
    struct buf b = {0};
    value_write_json(&b, v);
    assert_true(!b.bad && b.len < sizeof out);
    memcpy(out, b.at, b.len);
    out[b.len] = 0;
    buf_clear(&b);
    return out;
}

static void a_field_is_found_exactly_first(void **state)
{
    (void)state;
    struct record_field f[] = {{bytes_str("TEMP"), value_bigint(1)},
                               {bytes_str("Temp"), value_bigint(2)},
                               {bytes_str("x"), value_null()}};
    struct record_value r;
    struct value v = record(&r, f, 3);
    assert_int_equal(value_field(v, bytes_str("Temp")).i, 2);
    assert_int_equal(value_field(v, bytes_str("TEMP")).i, 1);
    assert_int_equal(value_field(v, bytes_str("temp")).i, 2); /* the last of several */
    assert_int_equal(value_field(v, bytes_str("X")).type, VALUE_NULL);
    assert_int_equal(value_field(v, bytes_str("tem")).type, VALUE_NULL);
    assert_int_equal(value_field(value_bigint(3), bytes_str("x")).type, VALUE_NULL);
}

static void check_sign(struct value a, struct value b, int want)
{
    int sign;
    bool mismatch;
    assert_true(value_compare(a, b, &sign, &mismatch));
    assert_int_equal((sign > 0) - (sign < 0), want);
    assert_true(value_compare(b, a, &sign, &mismatch));
    assert_int_equal((sign > 0) - (sign < 0), -want);
}

static void numbers_compare_exactly(void **state)
{
    (void)state;
    check_sign(value_bigint(1), value_float(1.0), 0);
    check_sign(value_bigint(INT64_C(9007199254740993)), value_float(9007199254740992.0), 1);
    check_sign(value_bigint(INT64_MAX), value_float(0x1p63), -1);
    check_sign(value_bigint(INT64_MIN), value_float(-0x1p63), 0);
    check_sign(value_bigint(-1), value_float(-1.5), 1);
    check_sign(value_bigint(2), value_float(1.5), 1);
    check_sign(value_bigint(0), value_float(-0.0), 0);
    check_sign(value_bigint(5), value_float(1e300), -1);
    check_sign(value_float(1.5), value_float(2), -1);
    check_sign(value_bit(true), value_bigint(1), 0);
    check_sign(value_bit(false), value_float(0.5), -1);
    check_sign(value_bit(false), value_bit(true), -1);
    check_sign(text("a"), text("ab"), -1);
    check_sign(text("B"), text("a"), -1);
    check_sign(text("\xc3\xa4"), text("z"), 1);
}

static void datetimes_compare_with_texts(void **state)
{
    (void)state;
    check_sign(value_datetime(DATETIME_UNIX), text("1970-01-01T00:00:00Z"), 0);
    check_sign(value_datetime(DATETIME_UNIX), text("1970-01-01T01:00:00+01:00"), 0);
    check_sign(value_datetime(DATETIME_UNIX), text("1970-01-02"), -1);
}

static void what_cannot_be_compared(void **state)
{
    (void)state;
    int sign;
    bool mismatch;
    assert_false(value_compare(value_null(), value_bigint(1), &sign, &mismatch));
    assert_false(mismatch);
    assert_false(value_compare(value_bigint(1), value_null(), &sign, &mismatch));
    assert_false(mismatch);
    assert_false(value_compare(value_bigint(1), text("1"), &sign, &mismatch));
    assert_true(mismatch);
    assert_false(value_compare(value_datetime(0), text("soon"), &sign, &mismatch));
    assert_true(mismatch);
}

static void equal_values_hash_alike(void **state)
{
    (void)state;
    struct record_value r1, r2;
    struct array_value a1, a2;
    struct value i1[] = {value_bigint(1), text("x")}, i2[] = {value_float(1), text("x")};
    struct record_field f1[] = {{bytes_str("a"), array(&a1, i1, 2)}};
    struct record_field f2[] = {{bytes_str("a"), array(&a2, i2, 2)}};
    struct value pairs[][2] = {
        {value_bigint(7), value_float(7)},
        {value_float(0.0), value_float(-0.0)},
        {value_bigint(INT64_MIN), value_float(-0x1p63)},
        {value_null(), value_null()},
        {text("abc"), text("abc")},
        {record(&r1, f1, 1), record(&r2, f2, 1)},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_int_equal(value_order(pairs[i][0], pairs[i][1]), 0);
        assert_true(value_hash(pairs[i][0]) == value_hash(pairs[i][1]));
        for (size_t k = 0; k < sizeof pairs / sizeof pairs[0]; k++) {
            if (i == k)
                continue;
            assert_int_not_equal(value_order(pairs[i][0], pairs[k][0]), 0);
            assert_int_equal(value_order(pairs[i][0], pairs[k][0]) > 0,
                             value_order(pairs[k][0], pairs[i][0]) < 0);
            assert_true(value_hash(pairs[i][0]) != value_hash(pairs[k][0]));
        }
    }
    assert_true(value_order(value_bigint(INT64_C(9007199254740993)), value_float(9007199254740992.0)) > 0);
    assert_true(value_order(value_null(), value_bit(false)) < 0);
}

static struct value sample(void)
{
    static struct record_value inner_r, r;
    static struct array_value a, empty;
    static struct value items[4];
    static struct record_field inner[1], f[7];
    items[0] = value_bigint(-12);
    items[1] = value_float(2.5);
    items[2] = value_null();
    items[3] = array(&empty, NULL, 0);
    inner[0] = (struct record_field){bytes_str("l\"1"), text("a\\b\n\xc3\xa4")};
    f[0] = (struct record_field){bytes_str("n"), value_null()};
    f[1] = (struct record_field){bytes_str("b"), value_bit(true)};
    f[2] = (struct record_field){bytes_str("t"), value_datetime(DATETIME_UNIX + 10000000)};
    f[3] = (struct record_field){bytes_str("a"), array(&a, items, 4)};
    f[4] = (struct record_field){bytes_str("r"), record(&inner_r, inner, 1)};
    f[5] = (struct record_field){bytes_str(""), text("")};
    f[6] = (struct record_field){bytes_str("w"), value_float(3)};
    return record(&r, f, 7);
}

#define SAMPLE_JSON                                                                          \
    "{\"n\":null,\"b\":true,\"t\":\"1970-01-01T00:00:01.0000000Z\",\"a\":[-12,2.5,null,[]]," \
    "\"r\":{\"l\\\"1\":\"a\\\\b\\u000a\xc3\xa4\"},\"\":\"\",\"w\":3.0}"

static void json_text(void **state)
{
    (void)state;
    assert_string_equal(json(sample()), SAMPLE_JSON);
    assert_string_equal(json(value_bit(false)), "false");
    assert_string_equal(json(value_bigint(INT64_MIN)), "-9223372036854775808");
    assert_string_equal(json(text("\x7f")), "\"\\u007f\"");
}

static void copies_need_what_was_said(void **state)
{
    (void)state;
    struct value v = sample(), copy;
    size_t need = value_size(v);
    uint8_t *lent = aligned_alloc(16, need);
    struct arena arena;
    arena_init(&arena, lent, need, 0);
    assert_int_equal(value_copy(&copy, v, &arena), CODE_OK);
    assert_int_equal(arena.end - arena.at, 0);
    assert_string_equal(json(copy), SAMPLE_JSON);
    assert_int_equal(value_order(v, copy), 0);
    for (size_t less = 0; less < need; less += 16) {
        arena_init(&arena, lent, less, 0);
        assert_int_equal(value_copy(&copy, v, &arena), CODE_NOMEM);
    }
    free(lent);
}

static void the_binary_form_comes_back(void **state)
{
    (void)state;
    struct buf b = {0};
    value_write(&b, sample());
    value_write(&b, value_bigint(5));
    struct arena arena;
    struct fault why;
    struct value v;
    arena_init(&arena, NULL, 0, 1 << 16);
    struct bytes from = buf_bytes(&b);
    assert_int_equal(value_read(&v, &from, &arena, &why), CODE_OK);
    assert_string_equal(json(v), SAMPLE_JSON);
    assert_int_equal(value_read(&v, &from, &arena, &why), CODE_OK);
    assert_int_equal(v.i, 5);
    assert_int_equal(from.len, 0);
    size_t whole = b.len - 9;
    for (size_t cut = 0; cut < whole; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1);
        memcpy(exact, b.at, cut);
        from = bytes_of(exact, cut);
        assert_int_equal(value_read(&v, &from, &arena, &why), CODE_DAMAGED);
        assert_int_equal(from.len, cut);
        free(exact);
        arena_reset(&arena);
    }
    arena_clear(&arena);
    buf_clear(&b);
}

static void damaged_forms_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x08", 1},                                 /* unknown type */
        {"\x01\x02", 2},                             /* bit 2        */
        {"\x03\0\0\0\0\0\0\xf8\x7f", 9},             /* NaN          */
        {"\x04\xff\xff\xff\xff\xff\xff\xff\xff", 9}, /* before year 1 */
        {"\x04\xff\xff\xff\xff\xff\xff\xff\x7f", 9}, /* after 9999   */
        {"\x05\x01\xff", 3},                         /* not UTF-8    */
        {"\x07\xff\xff\xff\xff\x0f", 6},             /* a count      */
        {"\x06\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12},
    };
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 16);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct bytes from = bytes_of(bad[i].bytes, bad[i].len);
        struct value v;
        struct fault why = {0};
        assert_int_equal(value_read(&v, &from, &arena, &why), CODE_DAMAGED);
        assert_true(why.text[0]);
    }
    uint8_t deep[2 * (VALUE_DEPTH + 1) + 1];
    for (size_t i = 0; i < sizeof deep - 1; i += 2) {
        deep[i] = VALUE_ARRAY;
        deep[i + 1] = 1;
    }
    deep[sizeof deep - 1] = VALUE_NULL;
    struct bytes from = bytes_of(deep, sizeof deep);
    struct value v;
    struct fault why;
    assert_int_equal(value_read(&v, &from, &arena, &why), CODE_DAMAGED);
    from = bytes_of(deep + 2, sizeof deep - 2);
    assert_int_equal(value_read(&v, &from, &arena, &why), CODE_OK);
    arena_clear(&arena);
}

static void datetimes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want; /* NULL: refused */
    } table[] = {
        {"0001-01-01", "0001-01-01T00:00:00.0000000Z"},
        {"9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999Z"},
        {"2015-01-01T00:00:01Z", "2015-01-01T00:00:01.0000000Z"},
        {"2015-01-01T00:00:01.1", "2015-01-01T00:00:01.1000000Z"},
        {"2015-01-01 12:30", "2015-01-01T12:30:00.0000000Z"},
        {"2015-01-01T00:00:00+01:30", "2014-12-31T22:30:00.0000000Z"},
        {"2015-01-01T00:00:00-0130", "2015-01-01T01:30:00.0000000Z"},
        {"2015-01-01T00:00:00.123456789Z", "2015-01-01T00:00:00.1234567Z"},
        {"2024-02-29", "2024-02-29T00:00:00.0000000Z"},
        {"2000-02-29", "2000-02-29T00:00:00.0000000Z"},
        {"1900-02-29", NULL},
        {"2023-02-29", NULL},
        {"2015-13-01", NULL},
        {"2015-00-01", NULL},
        {"2015-01-00", NULL},
        {"0000-01-01", NULL},
        {"2015-01-01T24:00:00", NULL},
        {"2015-01-01T00:60", NULL},
        {"2015-01-01T00:00:60", NULL},
        {"2015-01-01T00:00:00.", NULL},
        {"2015-01-01T", NULL},
        {"2015-1-1", NULL},
        {"0001-01-01T00:00:00+01:00", NULL},
        {"9999-12-31T23:59:59-01:00", NULL},
        {"2015-01-01T00:00:00+15:00", NULL},
        {"2015-01-01T00:00:00Z ", NULL},
        {"2015-01-01Z", NULL},
        {"", NULL},
        {"yesterday", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        int64_t ticks = -1;
        bool ok = datetime_parse(bytes_str(table[i].text), &ticks);
        assert_int_equal(ok, table[i].want != NULL);
        char out[DATETIME_TEXT + 1];
        if (ok) {
            datetime_text(ticks, out);
            assert_string_equal(out, table[i].want);
        }
    }
    int64_t unix_ticks, last;
    assert_true(datetime_parse(bytes_str("1970-01-01"), &unix_ticks));
    assert_true(unix_ticks == DATETIME_UNIX);
    assert_true(datetime_parse(bytes_str("9999-12-31T23:59:59.9999999"), &last));
    assert_true(last == DATETIME_MAX);
}

static void every_day_splits_and_joins(void **state)
{
    (void)state;
    int64_t days = 0;
    for (int year = 1; year <= 9999; year += year < 5 || year > 1890 ? 1 : 50) {
        days = civil_days(year, 1, 1);
        for (unsigned month = 1; month <= 12; month++)
            for (unsigned day = 1; day <= civil_month_days(year, month); day++, days++) {
                struct civil c;
                int64_t back;
                civil_split(days * DATETIME_DAY + 1, &c);
                assert_true(c.year == year && c.month == month && c.day == day && c.fraction == 1 &&
                            c.hour == 0);
                assert_true(civil_join(&c, &back) && back == days * DATETIME_DAY + 1);
                assert_true(civil_days(year, month, day) == days);
            }
    }
    assert_true(days == (DATETIME_MAX + 1) / DATETIME_DAY);
}

static int64_t at(const char *s)
{
    int64_t t;
    assert_true(datetime_parse(bytes_str(s), &t));
    return t;
}

static void boundaries_are_counted(void **state)
{
    (void)state;
    static const struct {
        enum unit unit;
        const char *a, *b;
        int64_t want;
    } table[] = {
        {UNIT_YEAR, "2014-12-31T23:59:59.9999999", "2015-01-01", 1},
        {UNIT_QUARTER, "2014-12-31", "2015-01-01", 1},
        {UNIT_MONTH, "2015-01-01", "2016-03-01", 14},
        {UNIT_DAY, "2015-01-01T23:59:59", "2015-01-02", 1},
        {UNIT_DAYOFYEAR, "2015-01-03", "2015-01-01", -2},
        {UNIT_WEEK, "2024-01-06", "2024-01-07", 1}, /* Saturday, Sunday */
        {UNIT_WEEK, "2024-01-07", "2024-01-13", 0},
        {UNIT_HOUR, "2015-01-01T00:59:59", "2015-01-01T01:00", 1},
        {UNIT_MINUTE, "2015-01-01T00:00:59", "2015-01-01T00:01:01", 1},
        {UNIT_MINUTE, "2015-01-01T00:02:00", "2015-01-01T00:02:59", 0},
        {UNIT_SECOND, "2015-01-01T00:00:01", "2015-01-01T00:00:00.9999999", -1},
        {UNIT_MILLISECOND, "2015-01-01", "2015-01-01T00:00:01", 1000},
        {UNIT_MICROSECOND, "2015-01-01", "2015-01-01T00:00:00.0000019", 1},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_int_equal(unit_boundaries(table[i].unit, at(table[i].a), at(table[i].b)), table[i].want);
    assert_int_equal(unit_find(bytes_str("MI")), UNIT_MINUTE);
    assert_int_equal(unit_find(bytes_str("yyyy")), UNIT_YEAR);
    assert_int_equal(unit_find(bytes_str("seconds")), UNIT_NONE);
    assert_int_equal(unit_ticks(UNIT_WEEK), 0);
    assert_int_equal(unit_ticks(UNIT_MILLISECOND), 10000);
}

struct cast_case {
    struct value v;
    uint8_t to;
    const char *want; /* JSON, NULL: refused */
};

static void casts(void **state)
{
    (void)state;
    struct array_value a;
    struct value empty = array(&a, NULL, 0);
    const struct cast_case table[] = {
        {text(" 12 "), VALUE_BIGINT, "12"},
        {text("1.5"), VALUE_BIGINT, NULL},
        {text(""), VALUE_BIGINT, NULL},
        {value_float(1.9), VALUE_BIGINT, "1"},
        {value_float(-1.9), VALUE_BIGINT, "-1"},
        {value_float(0x1p63), VALUE_BIGINT, NULL},
        {value_float(-0x1p63), VALUE_BIGINT, "-9223372036854775808"},
        {value_bit(true), VALUE_BIGINT, "1"},
        {value_datetime(5), VALUE_BIGINT, NULL},
        {text("\t-1e3\n"), VALUE_FLOAT, "-1000.0"},
        {text("x"), VALUE_FLOAT, NULL},
        {text("1e999"), VALUE_FLOAT, NULL},
        {value_bigint(3), VALUE_FLOAT, "3.0"},
        {value_bit(false), VALUE_FLOAT, "0.0"},
        {value_bigint(7), VALUE_BIT, "true"},
        {value_bigint(0), VALUE_BIT, "false"},
        {value_float(0.5), VALUE_BIT, "true"},
        {text("TRUE"), VALUE_BIT, "true"},
        {text("0"), VALUE_BIT, "false"},
        {text("yes"), VALUE_BIT, NULL},
        {text("tru"), VALUE_BIT, NULL},
        {text("2015-01-01"), VALUE_DATETIME, "\"2015-01-01T00:00:00.0000000Z\""},
        {value_bigint(1), VALUE_DATETIME, NULL},
        {text("no"), VALUE_DATETIME, NULL},
        {value_bigint(-5), VALUE_TEXT, "\"-5\""},
        {value_float(21), VALUE_TEXT, "\"21.0\""},
        {value_float(21.5), VALUE_TEXT, "\"21.5\""},
        {value_bit(true), VALUE_TEXT, "\"true\""},
        {value_datetime(0), VALUE_TEXT, "\"0001-01-01T00:00:00.0000000Z\""},
        {empty, VALUE_TEXT, NULL},
        {empty, VALUE_RECORD, NULL},
        {empty, VALUE_ARRAY, "[]"},
        {text("[]"), VALUE_ARRAY, NULL},
        {value_null(), VALUE_BIGINT, "null"},
        {value_null(), VALUE_RECORD, "null"},
        {value_bigint(1), VALUE_BIGINT, "1"},
    };
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 16);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct value out;
        bool nomem;
        bool ok = value_cast(table[i].v, (enum value_type)table[i].to, &out, &arena, &nomem);
        assert_int_equal(ok, table[i].want != NULL);
        assert_false(nomem);
        if (ok)
            assert_string_equal(json(out), table[i].want);
    }
    arena_clear(&arena);
    struct value out;
    bool nomem;
    arena_init(&arena, NULL, 0, 0);
    assert_false(value_cast(value_bigint(1), VALUE_TEXT, &out, &arena, &nomem));
    assert_true(nomem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_is_found_exactly_first),
        cmocka_unit_test(numbers_compare_exactly),
        cmocka_unit_test(datetimes_compare_with_texts),
        cmocka_unit_test(what_cannot_be_compared),
        cmocka_unit_test(equal_values_hash_alike),
        cmocka_unit_test(json_text),
        cmocka_unit_test(copies_need_what_was_said),
        cmocka_unit_test(the_binary_form_comes_back),
        cmocka_unit_test(damaged_forms_are_refused),
        cmocka_unit_test(datetimes),
        cmocka_unit_test(every_day_splits_and_joins),
        cmocka_unit_test(boundaries_are_counted),
        cmocka_unit_test(casts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
