/* Values that people write. */
#include "opcua/from_text.h"
#include "opcua/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct arena arena;

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

static void is(unsigned type, int32_t rank, const char *text, const char *want)
{
    struct ua_variant v;
    struct fault why;
    struct buf b = { 0 };
    struct ua_json j = { .out = &b, .reversible = true };
    if (ua_from_text(&v, type, rank, bytes_str(text), 1763791204123456, &arena, &why) != CODE_OK)
        fail_msg("%s: %s", text, why.text);
    ua_json_variant(&j, &v);
    buf_u8(&b, 0);
    assert_string_equal((const char *)b.at + b.from, want);
    buf_clear(&b);
}

static void refused(unsigned type, int32_t rank, const char *text, const char *because)
{
    struct ua_variant v;
    struct fault why;
    assert_int_not_equal(ua_from_text(&v, type, rank, bytes_str(text), 0, &arena, &why), CODE_OK);
    if (!strstr(why.text, because))
        fail_msg("%s: %s", text, why.text);
}

static void scalars(void **state)
{
    (void)state;
    is(UA_BOOLEAN, -1, " true ", "{\"Type\":1,\"Body\":true}");
    is(UA_BOOLEAN, -1, "0", "{\"Type\":1,\"Body\":false}");
    is(UA_SBYTE, -1, "-128", "{\"Type\":2,\"Body\":-128}");
    is(UA_BYTE, -1, "0xfF", "{\"Type\":3,\"Body\":255}");
    is(UA_INT32, -1, "12.0", "{\"Type\":6,\"Body\":12}");
    is(UA_UINT64, -1, "18446744073709551615", "{\"Type\":9,\"Body\":\"18446744073709551615\"}");
    is(UA_INT64, -1, "-9223372036854775808", "{\"Type\":8,\"Body\":\"-9223372036854775808\"}");
    is(UA_DOUBLE, -1, "-Infinity", "{\"Type\":11,\"Body\":\"-Infinity\"}");
    is(UA_FLOAT, -1, "21.4", "{\"Type\":10,\"Body\":21.4}");
    is(UA_STRING, -1, " two words ", "{\"Type\":12,\"Body\":\" two words \"}");
    is(UA_STRING, -1, "\"a\\\"\\u00e4\\ud83d\\ude00\"", "{\"Type\":12,\"Body\":\"a\\\"\xc3\xa4\xf0\x9f\x98\x80\"}");
    is(UA_STRING, -1, "", "{\"Type\":12,\"Body\":\"\"}");
    is(UA_STRING, -1, "[1,2]", "{\"Type\":12,\"Body\":\"[1,2]\"}");
    is(UA_DATE_TIME, -1, "2025-11-22T06:00:04.1234567Z", "{\"Type\":13,\"Body\":\"2025-11-22T06:00:04.1234567Z\"}");
    is(UA_DATE_TIME, -1, "now", "{\"Type\":13,\"Body\":\"2025-11-22T06:00:04.123456Z\"}");
    is(UA_BYTE_STRING, -1, "AQI=", "{\"Type\":15,\"Body\":\"AQI=\"}");
    is(UA_NODE_ID, -1, "ns=2;s=Temp", "{\"Type\":17,\"Body\":\"ns=2;s=Temp\"}");
    is(UA_STATUS_CODE, -1, "BadTimeout", "{\"Type\":19,\"Body\":2148139008}");
    is(UA_QUALIFIED_NAME, -1, "2:Temp", "{\"Type\":20,\"Body\":{\"Name\":\"Temp\",\"Uri\":2}}");
    is(UA_LOCALIZED_TEXT, -1, "warm", "{\"Type\":21,\"Body\":{\"Locale\":null,\"Text\":\"warm\"}}");
}

static void without_a_type(void **state)
{
    (void)state;
    is(UA_NULL, -2, "true", "{\"Type\":1,\"Body\":true}");
    is(UA_NULL, -2, "5000000000", "{\"Type\":8,\"Body\":\"5000000000\"}");
    is(UA_NULL, -2, "1.5", "{\"Type\":11,\"Body\":1.5}");
    is(UA_NULL, -2, "\"1.5\"", "{\"Type\":12,\"Body\":\"1.5\"}");
    is(UA_VARIANT, -2, "[1,2]", "{\"Type\":6,\"Body\":[1,2]}");
}

static void arrays(void **state)
{
    (void)state;
    is(UA_INT32, 1, "[1, 2 ,3]", "{\"Type\":6,\"Body\":[1,2,3]}");
    is(UA_INT32, 1, "[]", "{\"Type\":6,\"Body\":[]}");
    is(UA_STRING, 1, "[\"a,]b\", c]", "{\"Type\":12,\"Body\":[\"a,]b\",\"c\"]}");
    is(UA_DOUBLE, 2, "[[1,2],[3,4.5]]", "{\"Type\":11,\"Body\":[[1,2],[3,4.5]],\"Dimensions\":[2,2]}");
    is(UA_NODE_ID, 1, "[i=1,i=2]", "{\"Type\":17,\"Body\":[\"i=1\",\"i=2\"]}");
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    refused(UA_BOOLEAN, -1, "yes", "true or false");
    refused(UA_BYTE, -1, "256", "0 to 255");
    refused(UA_BYTE, -1, "-1", "0 to 255");
    refused(UA_SBYTE, -1, "-129", "-128 to 127");
    refused(UA_INT64, -1, "9223372036854775808", "outside");
    refused(UA_INT32, -1, "1.5", "a whole number");
    refused(UA_INT32, -1, "1e300", "a whole number");
    refused(UA_INT32, -1, "", "a whole number");
    refused(UA_DOUBLE, -1, "warm", "21.4");
    refused(UA_INT32, 1, "5", "wants an array");
    refused(UA_INT32, 1, "[[1],[2]]", "1 dimensions");
    refused(UA_INT32, 2, "[[1,2],[3]]", "one length");
    refused(UA_INT32, 2, "[[1,2],3]", "one length");
    refused(UA_INT32, 2, "[1,[2]]", "one length");
    refused(UA_INT32, 1, "[1,2", "bracket");
    refused(UA_INT32, 1, "[1,]", "bracket");
    refused(UA_INT32, 1, "[1] 2", "behind");
    refused(UA_INT32, 1, "[,]", "a whole number");
    refused(UA_STRING, -1, "\"a\\x\"", "\\n");
    refused(UA_STRING, -1, "\xff", "UTF-8");
    refused(UA_EXTENSION_OBJECT, -1, "{}", "cannot be written");
    char deep[40] = "";
    memset(deep, '[', 39);
    refused(UA_INT32, -2, deep, "dimensions");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scalars, begin, end),
        cmocka_unit_test_setup_teardown(without_a_type, begin, end),
        cmocka_unit_test_setup_teardown(arrays, begin, end),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
