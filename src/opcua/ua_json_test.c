/* Values as JSON. */
#include "opcua/json.h"
#include "opcua/status.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void is(const struct ua_json *how, const struct ua_variant *v, const char *want)
{
    struct buf b = { 0 };
    struct ua_json j = *how;
    j.out = &b;
    ua_json_variant(&j, v);
    buf_u8(&b, 0);
    assert_false(b.bad);
    assert_string_equal((const char *)b.at + b.from, want);
    buf_clear(&b);
}

static struct bytes uri(void *ctx, uint16_t index)
{
    (void)ctx;
    return index == 2 ? BYTES_LIT("http://example.org/") : BYTES_NONE;
}

static const struct ua_json ua = { .namespace_uri = uri }, people = { .plain = true }, both = { .reversible = true };

static void numbers(void **state)
{
    (void)state;
    is(&ua, &(struct ua_variant){ .type = UA_DOUBLE, .f64 = 21 }, "21");
    is(&ua, &(struct ua_variant){ .type = UA_DOUBLE, .f64 = 1e300 }, "1.0e+300");
    is(&ua, &(struct ua_variant){ .type = UA_DOUBLE, .f64 = (double)NAN }, "\"NaN\"");
    is(&ua, &(struct ua_variant){ .type = UA_FLOAT, .f32 = -INFINITY }, "\"-Infinity\"");
    is(&ua, &(struct ua_variant){ .type = UA_FLOAT, .f32 = 21.4f }, "21.4");
    is(&ua, &(struct ua_variant){ .type = UA_INT64, .i64 = INT64_MIN }, "\"-9223372036854775808\"");
    is(&people, &(struct ua_variant){ .type = UA_UINT64, .u64 = UINT64_MAX }, "18446744073709551615");
    is(&ua, &(struct ua_variant){ .type = UA_BOOLEAN, .boolean = true }, "true");
    is(&ua, &(struct ua_variant){ 0 }, "null");
    is(&both, &(struct ua_variant){ .type = UA_INT32, .i32 = -1 }, "{\"Type\":6,\"Body\":-1}");
}

static void texts(void **state)
{
    (void)state;
    is(&ua, &(struct ua_variant){ .type = UA_STRING }, "null");
    is(&ua, &(struct ua_variant){ .type = UA_STRING, .text = BYTES_LIT("a\"\n\xff") }, "\"a\\\"\\u000a\xef\xbf\xbd\"");
    is(&ua, &(struct ua_variant){ .type = UA_BYTE_STRING, .text = BYTES_LIT("\x01\x02") }, "\"AQI=\"");
    is(&ua, &(struct ua_variant){ .type = UA_DATE_TIME, .time = ua_time_from_us(1763791204123456) + 7 }, "\"2025-11-22T06:00:04.1234567Z\"");
    is(&ua, &(struct ua_variant){ .type = UA_DATE_TIME }, "\"0001-01-01T00:00:00Z\"");
    struct ua_node_id id = { .ns = 2, .kind = UA_ID_STRING, .text = BYTES_LIT("Temp") };
    is(&ua, &(struct ua_variant){ .type = UA_NODE_ID, .at = &id }, "\"nsu=http://example.org/;s=Temp\"");
    is(&people, &(struct ua_variant){ .type = UA_NODE_ID, .at = &id }, "\"ns=2;s=Temp\"");
    struct ua_localized_text t = { BYTES_LIT("de"), BYTES_LIT("warm") };
    is(&ua, &(struct ua_variant){ .type = UA_LOCALIZED_TEXT, .at = &t }, "\"warm\"");
    is(&both, &(struct ua_variant){ .type = UA_LOCALIZED_TEXT, .at = &t }, "{\"Type\":21,\"Body\":{\"Locale\":\"de\",\"Text\":\"warm\"}}");
    struct ua_qualified_name q = { 2, BYTES_LIT("Temp") };
    is(&people, &(struct ua_variant){ .type = UA_QUALIFIED_NAME, .at = &q }, "\"2:Temp\"");
    is(&ua, &(struct ua_variant){ .type = UA_STATUS_CODE, .status = UA_BAD_NO_COMMUNICATION },
       "{\"Code\":2150694912,\"Symbol\":\"BadNoCommunication\"}");
}

static void arrays_and_structures(void **state)
{
    (void)state;
    static const int32_t items[] = { 0, 1, 2, 10, 11, 12 };
    static const uint32_t dims[] = { 2, 3 }, none[] = { 0, 4000000000u };
    struct ua_variant v = { .type = UA_INT32, .array = true, .count = 6, .at = items };
    is(&ua, &v, "[0,1,2,10,11,12]");
    v.dims = dims;
    v.dims_count = 2;
    is(&ua, &v, "[[0,1,2],[10,11,12]]");
    is(&both, &v, "{\"Type\":6,\"Body\":[[0,1,2],[10,11,12]],\"Dimensions\":[2,3]}");
    is(&ua, &(struct ua_variant){ .type = UA_INT32, .array = true }, "null");
    is(&ua, &(struct ua_variant){ .type = UA_INT32, .array = true, .at = items, .dims = none, .dims_count = 2 }, "[]");
    struct ua_variant mixed[] = { { .type = UA_BOOLEAN, .boolean = false }, { 0 } };
    struct ua_variant list = { .type = UA_VARIANT, .array = true, .count = 2, .at = mixed };
    is(&ua, &list, "[false,null]");
    struct ua_extension_object o = { UA_NS0(886), UA_BODY_BINARY, BYTES_LIT("\x01") };
    is(&ua, &(struct ua_variant){ .type = UA_EXTENSION_OBJECT, .at = &o }, "{\"TypeId\":\"i=886\",\"Encoding\":1,\"Body\":\"AQ==\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(texts),
        cmocka_unit_test(arrays_and_structures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
