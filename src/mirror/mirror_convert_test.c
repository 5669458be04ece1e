/* From JSON and text to values of OPC UA types, and times; folders and topics from templates; units. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "expr/json.h"
#include "mirror/convert.h"
#include "mirror/template.h"
#include "mirror/units.h"
#include "opcua/json.h"
#include "opcua/status.h"

#include <stdio.h>

static struct arena arena;

/* The value as people write it, or the name of the status. */
static const char *told(ua_status status, const struct ua_variant *v)
{
    static char text[128];
    struct buf out = { 0 };
    if (status != UA_GOOD)
        return ua_status_name(status);
    ua_json_variant(&(struct ua_json){ .out = &out, .plain = true }, v);
    assert_false(out.bad);
    (void)snprintf(text, sizeof text, "%.*s", (int)out.len, (const char *)out.at);
    buf_clear(&out);
    return text;
}

static void is(unsigned type, const char *json, const char *wanted)
{
    struct value v;
    struct ua_variant out;
    struct fault why;
    arena_reset(&arena);
    assert_int_equal(json_value(bytes_str(json), &arena, &v, &why), CODE_OK);
    ua_status status = mirror_convert(&out, type, v, &arena);
    if (strcmp(told(status, &out), wanted) != 0)
        fail_msg("%s as %s: wanted %s, got %s", json, ua_builtin_name(type), wanted, told(status, &out));
    if (status == UA_GOOD)
        assert_int_equal(out.type, type);
}

static void fields_become_the_type_or_say_why_not(void **state)
{
    (void)state;
    is(UA_DOUBLE, "21.5", "21.5");
    is(UA_DOUBLE, "21", "21");
    is(UA_DOUBLE, "\"21.5\"", "21.5");
    is(UA_DOUBLE, "\"warm\"", "BadTypeMismatch");
    is(UA_DOUBLE, "true", "BadTypeMismatch");
    is(UA_DOUBLE, "null", "BadNoData");
    is(UA_DOUBLE, "[1]", "BadTypeMismatch");
    is(UA_DOUBLE, "{}", "BadTypeMismatch");
    is(UA_FLOAT, "21.4", "21.4");
    is(UA_FLOAT, "1e39", "BadOutOfRange");
    is(UA_FLOAT, "-1e39", "BadOutOfRange");
    is(UA_BYTE, "255", "255");
    is(UA_BYTE, "256", "BadOutOfRange");
    is(UA_BYTE, "-1", "BadOutOfRange");
    is(UA_SBYTE, "-128", "-128");
    is(UA_SBYTE, "-129", "BadOutOfRange");
    is(UA_INT16, "32767", "32767");
    is(UA_UINT16, "65536", "BadOutOfRange");
    is(UA_INT32, "12.0", "12");
    is(UA_INT32, "12.5", "BadTypeMismatch");
    is(UA_UINT32, "4294967295", "4294967295");
    is(UA_UINT32, "4294967296", "BadOutOfRange");
    is(UA_INT64, "-9223372036854775808", "-9223372036854775808");
    is(UA_INT64, "1e300", "BadOutOfRange");
    is(UA_UINT64, "9223372036854775807", "9223372036854775807");
    is(UA_UINT64, "-1", "BadOutOfRange");
    is(UA_BOOLEAN, "false", "false");
    is(UA_BOOLEAN, "1", "true");
    is(UA_BOOLEAN, "2", "BadOutOfRange");
    is(UA_BOOLEAN, "\"true\"", "true");
    is(UA_STRING, "\"\"", "\"\"");
    is(UA_STRING, "21", "\"21\"");
    is(UA_STRING, "true", "\"true\"");
    is(UA_STRING, "{\"a\":[1]}", "\"{\\\"a\\\":[1]}\"");
    is(UA_DATE_TIME, "\"2026-11-22T06:00:04.5Z\"", "\"2026-11-22T06:00:04.5Z\"");
    is(UA_DATE_TIME, "1700000000", "\"2023-11-14T22:13:20Z\"");
    is(UA_DATE_TIME, "\"yesterday\"", "BadTypeMismatch");
}

static void plain(unsigned type, const char *payload, const char *wanted)
{
    struct ua_variant out;
    arena_reset(&arena);
    ua_status status = mirror_convert_text(&out, type, bytes_str(payload), &arena);
    if (strcmp(told(status, &out), wanted) != 0)
        fail_msg("'%s' as %s: wanted %s, got %s", payload, ua_builtin_name(type), wanted, told(status, &out));
}

static void payloads_become_the_type(void **state)
{
    (void)state;
    plain(UA_DOUBLE, " 21.5\r\n", "21.5");
    plain(UA_DOUBLE, "", "BadNoData");
    plain(UA_DOUBLE, "21.5 C", "BadTypeMismatch");
    plain(UA_INT16, "40000", "BadTypeMismatch");
    plain(UA_BOOLEAN, "true", "true");
    plain(UA_STRING, " as it is ", "\" as it is \"");
    plain(UA_STRING, "\xff\xfe", "BadDecodingError");
    plain(UA_DATE_TIME, "2026-11-22T06:00:04Z", "\"2026-11-22T06:00:04Z\"");
    plain(UA_DATE_TIME, "now", "BadTypeMismatch");
}

static void time_is(const char *json, const char *wanted)
{
    struct value v;
    struct fault why;
    struct ua_variant out = { .type = UA_DATE_TIME };
    arena_reset(&arena);
    assert_int_equal(json_value(bytes_str(json), &arena, &v, &why), CODE_OK);
    bool good = mirror_time(v, &out.time);
    assert_string_equal(good ? told(UA_GOOD, &out) : "none", wanted);
}

static void times_are_texts_seconds_or_milliseconds(void **state)
{
    (void)state;
    time_is("\"2026-11-22T06:00:04.1234567Z\"", "\"2026-11-22T06:00:04.1234567Z\"");
    time_is("\"2026-11-22T08:00:04+02:00\"", "\"2026-11-22T06:00:04Z\"");
    time_is("1700000000", "\"2023-11-14T22:13:20Z\"");
    time_is("1700000000.25", "\"2023-11-14T22:13:20.25Z\"");
    time_is("1700000000250", "\"2023-11-14T22:13:20.25Z\"");
    time_is("0", "none");
    time_is("-5", "none");
    time_is("1e300", "none");
    time_is("true", "none");
    time_is("\"1601-01-01T00:00:00Z\"", "none");
}

static void filled(const char *text, const char *filter, const char *topic, const char *wanted)
{
    struct buf out = { 0 };
    if (text)
        mirror_fill(&out, text, bytes_str(filter), bytes_str(topic));
    else
        mirror_wild_folder(&out, bytes_str(filter), bytes_str(topic));
    buf_u8(&out, 0);
    assert_false(out.bad);
    assert_string_equal((const char *)out.at, wanted);
    buf_clear(&out);
}

static void templates_are_filled_from_the_topic(void **state)
{
    (void)state;
    filled("{2}/{3}", "factory/+/+/t", "factory/l1/p1/t", "l1/p1");
    filled("x{1}y{4}", "a/b", "a/b", "xay");
    filled("S/{#}", "state/#", "state/a/b", "S/a/b");
    filled("S/{#}", "state/#", "state", "S/");
    filled("{topic}", "+/b", "a/b", "a/b");
    filled("plain", "a", "a", "plain");
    filled(NULL, "factory/+/+/t", "factory/l1/p1/t", "l1/p1");
    filled(NULL, "+/x/#", "a/x/b/c", "a/b/c");
}

static void units_are_codes_symbols_or_texts(void **state)
{
    (void)state;
    struct ua_eu_information u;
    mirror_unit(bytes_str("CEL"), &u);
    assert_int_equal(u.unit_id, 0x43454c);
    assert_true(bytes_is(u.display_name.text, "°C"));
    mirror_unit(bytes_str("°C"), &u);
    assert_int_equal(u.unit_id, 0x43454c);
    mirror_unit(bytes_str("P1"), &u);
    assert_int_equal(u.unit_id, 0x5031);
    mirror_unit(bytes_str("strokes"), &u);
    assert_int_equal(u.unit_id, -1);
    assert_true(bytes_is(u.display_name.text, "strokes"));
}

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, NULL, 0, 1 << 20);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_clear(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_become_the_type_or_say_why_not), cmocka_unit_test(payloads_become_the_type),
        cmocka_unit_test(times_are_texts_seconds_or_milliseconds), cmocka_unit_test(templates_are_filled_from_the_topic),
        cmocka_unit_test(units_are_codes_symbols_or_texts),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
