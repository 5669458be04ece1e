/* How people write nodes, ranges and times. */
#include "opcua/status.h"
#include "opcua/text.h"

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

static void same(const char *text, const char *out)
{
    struct ua_expanded_node_id id;
    struct fault why;
    struct buf b = { 0 };
    if (ua_expanded_parse(&id, bytes_str(text), &arena, &why) != CODE_OK)
        fail_msg("%s: %s", text, why.text);
    ua_expanded_format(&b, &id);
    buf_u8(&b, 0);
    assert_string_equal((const char *)b.at + b.from, out);
    buf_clear(&b);
}

static void nodes_are_read_and_written(void **state)
{
    (void)state;
    same("i=2258", "i=2258");
    same("ns=2;s=Temp", "ns=2;s=Temp");
    same("ns=0;i=84", "i=84");
    same("ns=2;s=a;b=c", "ns=2;s=a;b=c");
    same("ns=3;s=", "ns=3;s=");
    same("ns=1;g=6b29fc40-ca47-1067-b31d-00dd010662da", "ns=1;g=6B29FC40-CA47-1067-B31D-00DD010662DA");
    same("ns=65535;b=AQI=", "ns=65535;b=AQI=");
    same("nsu=http://example.org/;s=Temp", "nsu=http://example.org/;s=Temp");
    same("svr=3;nsu=http://example.org/;i=4294967295", "svr=3;nsu=http://example.org/;i=4294967295");
    same("http://example.org/#s=a#b", "nsu=http://example.org/;s=a#b");
    same("http://microsoft.com/Opc/OpcPlc/#s=StepUp", "nsu=http://microsoft.com/Opc/OpcPlc/;s=StepUp");
}

static void what_is_no_node_is_said(void **state)
{
    (void)state;
    static const char *const wrong[] = { "", "Temp", "ns=2", "ns=2;", "ns=;i=1", "ns=65536;i=1", "i=", "i=-1", "i=4294967296", "i=1x",
                                         "x=1", "ns=1;g=6b29fc40", "ns=1;b=*", "nsu=http://a;", "svr=x;i=1", "http://a#", "s=\xff" };
    struct ua_expanded_node_id id;
    struct fault why;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(ua_expanded_parse(&id, bytes_str(wrong[i]), &arena, &why), CODE_MALFORMED);
        assert_non_null(strstr(why.text, "is no node"));
    }
}

static void ranges_are_read(void **state)
{
    (void)state;
    struct ua_index_range r;
    assert_true(ua_range_parse(&r, BYTES_LIT("1:2,0")));
    assert_int_equal(r.dims, 2);
    assert_int_equal(r.of[0].last, 2);
    assert_true(ua_range_parse(&r, BYTES_NONE));
    assert_int_equal(r.dims, 0);
    static const char *const wrong[] = { "a", "1:", ":1", "2:1", "1:1", "1,", ",1", "1,,2", "-1", "1 ", "0,0,0,0,0,0,0,0,0", "9999999999" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(ua_range_parse(&r, bytes_str(wrong[i])));
}

static void parts_are_taken_and_put(void **state)
{
    (void)state;
    static const int32_t items[] = { 0, 1, 2, 10, 11, 12 };
    static const uint32_t dims[] = { 2, 3 };
    struct ua_variant v = { .type = UA_INT32, .array = true, .count = 6, .at = items, .dims = dims, .dims_count = 2 }, part, whole;
    struct ua_index_range r;
    assert_true(ua_range_parse(&r, BYTES_LIT("0:1,1:9"))); /* held to what is there */
    assert_int_equal(ua_range_take(&r, &v, &arena, &part), UA_GOOD);
    static const int32_t want[] = { 1, 2, 11, 12 };
    assert_int_equal(part.count, 4);
    assert_memory_equal(part.at, want, sizeof want);
    assert_int_equal(part.dims[1], 2);
    assert_true(ua_range_parse(&r, BYTES_LIT("1,0")));
    static const int32_t one[] = { 99 };
    struct ua_variant put = { .type = UA_INT32, .array = true, .count = 1, .at = one };
    assert_int_equal(ua_range_put(&r, &v, &put, &arena, &whole), UA_GOOD);
    assert_int_equal(((const int32_t *)whole.at)[3], 99);
    assert_int_equal(items[3], 10);
    put.type = UA_UINT32;
    assert_int_equal(ua_range_put(&r, &v, &put, &arena, &whole), UA_BAD_TYPE_MISMATCH);
    assert_true(ua_range_parse(&r, BYTES_LIT("2,0")));
    assert_int_equal(ua_range_take(&r, &v, &arena, &part), UA_BAD_INDEX_RANGE_NO_DATA);
    assert_true(ua_range_parse(&r, BYTES_LIT("1")));
    assert_int_equal(ua_range_take(&r, &v, &arena, &part), UA_BAD_INDEX_RANGE_INVALID);
    struct ua_variant text = { .type = UA_STRING, .text = BYTES_LIT("abcdef") };
    assert_true(ua_range_parse(&r, BYTES_LIT("2:3")));
    assert_int_equal(ua_range_take(&r, &text, &arena, &part), UA_GOOD);
    assert_true(bytes_is(part.text, "cd"));
    struct ua_variant number = { .type = UA_DOUBLE, .f64 = 1 };
    assert_int_equal(ua_range_take(&r, &number, &arena, &part), UA_BAD_INDEX_RANGE_NO_DATA);
}

static void time_is(ua_time t, const char *want)
{
    struct buf b = { 0 };
    ua_time_format(&b, t);
    buf_u8(&b, 0);
    assert_string_equal((const char *)b.at + b.from, want);
    buf_clear(&b);
}

static void times_are_written(void **state)
{
    (void)state;
    time_is(UA_UNIX_EPOCH, "1970-01-01T00:00:00Z");
    time_is(UA_UNIX_EPOCH - 1, "1969-12-31T23:59:59.9999999Z");
    time_is(ua_time_from_us(1763791204123456) + 7, "2025-11-22T06:00:04.1234567Z");
    time_is(ua_time_from_us(1763791204100000), "2025-11-22T06:00:04.1Z");
    time_is(0, "1601-01-01T00:00:00Z");
    time_is(INT64_MAX, "9999-12-31T23:59:59.999999Z");
    time_is(INT64_MIN, "0001-01-01T00:00:00Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nodes_are_read_and_written, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_node_is_said, begin, end),
        cmocka_unit_test_setup_teardown(ranges_are_read, begin, end),
        cmocka_unit_test_setup_teardown(parts_are_taken_and_put, begin, end),
        cmocka_unit_test(times_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
