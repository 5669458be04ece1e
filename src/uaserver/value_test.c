/* Values in wire format: inline and shared, and how they are written. */
#include "uaserver/space.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct ua_variant text_of(const char *s)
{
    return (struct ua_variant){ .type = UA_STRING, .text = bytes_str(s) };
}

static void a_value_is_written_as_the_codec_writes_it(void **state)
{
    (void)state;
    static const int32_t many[] = { 1, -2, 3, 4, 5, 6, 7, 8 };
    const struct ua_variant all[] = {
        { 0 },
        { .type = UA_BOOLEAN, .boolean = true },
        { .type = UA_DOUBLE, .f64 = 2.5 },
        { .type = UA_BYTE, .u8 = 200 },
        text_of("short"),
        text_of("a text that is longer than what stands in the node"),
        { .type = UA_INT32, .array = true, .count = 8, .at = many },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (int times = UA_TIMES_SOURCE; times <= UA_TIMES_NEITHER; times++) {
            struct ua_value v = { .source_time = 5, .server_time = 7, .status = i % 2 ? UA_UNCERTAIN : UA_GOOD };
            assert_true(ua_value_set(&v, &all[i]));
            struct ua_data_value d = { .has = UA_HAS_VALUE, .value = all[i] };
            if (v.status) {
                d.has |= UA_HAS_STATUS;
                d.status = v.status;
            }
            if (times == UA_TIMES_SOURCE || times == UA_TIMES_BOTH) {
                d.has |= UA_HAS_SOURCE_TIME;
                d.source_time = 5;
            }
            if (times == UA_TIMES_SERVER || times == UA_TIMES_BOTH) {
                d.has |= UA_HAS_SERVER_TIME;
                d.server_time = 7;
            }
            struct buf want = { 0 }, got = { 0 };
            ua_write_data_value(&want, &d);
            ua_value_write(&got, &v, (enum ua_timestamps)times);
            assert_true(bytes_equal(buf_bytes(&want), buf_bytes(&got)));
            assert_true(buf_size(&got) <= ua_value_room(&v));
            buf_clear(&want);
            buf_clear(&got);
            ua_value_drop(&v);
        }
}

static void a_long_value_is_shared_by_its_copies(void **state)
{
    (void)state;
    uint64_t before = mem_in_use();
    struct ua_value v = { 0 }, kept;
    struct ua_variant text = text_of("a text that is longer than what stands in the node");
    assert_true(ua_value_set(&v, &text));
    ua_value_copy(&kept, &v);
    assert_true(kept.blob == v.blob && v.blob->holds == 2);
    assert_true(ua_value_same(&kept, &v));
    text = text_of("new");
    assert_true(ua_value_set(&v, &text));
    assert_int_equal(kept.blob->holds, 1);
    assert_false(ua_value_same(&kept, &v));
    struct ua_variant back;
    assert_true(ua_value_read(&kept, NULL, &back));
    assert_true(bytes_is(back.text, "a text that is longer than what stands in the node"));
    ua_value_drop(&kept);
    ua_value_drop(&v);
    assert_int_equal(mem_in_use(), before);
}

static void without_memory_the_old_value_stays(void **state)
{
    (void)state;
    struct ua_value v = { 0 };
    struct ua_variant number = { .type = UA_INT16, .i16 = -5 };
    assert_true(ua_value_set(&v, &number));
    for (uint64_t n = 1;; n++) {
        struct ua_variant text = text_of("a text that is longer than what stands in the node");
        mem_fail_at(n);
        bool done = ua_value_set(&v, &text);
        mem_fail_at(0);
        if (done)
            break;
        double d;
        assert_true(ua_value_number(&v, &d) && d == -5);
    }
    ua_value_drop(&v);
}

static void numbers_are_read_without_decoding(void **state)
{
    (void)state;
    struct ua_value v = { 0 };
    double d;
    bool array;
    assert_false(ua_value_number(&v, &d));
    assert_int_equal(ua_value_type(&v, &array), UA_NULL);
    struct ua_variant f = { .type = UA_FLOAT, .f32 = 0.5f };
    assert_true(ua_value_set(&v, &f) && ua_value_number(&v, &d) && d == 0.5);
    assert_int_equal(ua_value_type(&v, &array), UA_FLOAT);
    assert_false(array);
    f = (struct ua_variant){ .type = UA_BOOLEAN, .boolean = true };
    assert_true(ua_value_set(&v, &f) && ua_value_number(&v, &d) && d == 1);
    f = text_of("x");
    assert_true(ua_value_set(&v, &f));
    assert_false(ua_value_number(&v, &d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_written_as_the_codec_writes_it),
        cmocka_unit_test(a_long_value_is_shared_by_its_copies),
        cmocka_unit_test(without_memory_the_old_value_stays),
        cmocka_unit_test(numbers_are_read_without_decoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
