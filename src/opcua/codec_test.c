/* The built-in types over the wire and back, and what must not get in. */
#include "opcua/codec.h"
#include "opcua/services.h"
#include "opcua/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct bench {
    struct buf   out;
    struct arena arena;
};

static int begin(void **state)
{
    static struct bench b;
    b = (struct bench){ 0 };
    arena_init(&b.arena, NULL, 0, 1 << 20);
    *state = &b;
    return 0;
}

static int end(void **state)
{
    struct bench *b = *state;
    buf_clear(&b->out);
    arena_clear(&b->arena);
    return 0;
}

static struct ua_variant back(struct bench *b, const struct ua_variant *v)
{
    struct ua_variant got;
    buf_reset(&b->out);
    ua_write_variant(&b->out, v);
    struct ua_reader r = ua_reader_of(buf_bytes(&b->out), &b->arena, NULL);
    ua_read_variant(&r, &got);
    assert_true(ua_read_good(&r));
    assert_int_equal(wire_left(&r.wire), 0);
    return got;
}

static void variants_come_back(void **state)
{
    struct bench *b = *state;
    static const double numbers[] = { 1.5, -2.5, 1e300 };
    static const uint32_t dims[] = { 3, 1 };
    static const struct bytes texts[] = { { NULL, 0 }, { (const uint8_t *)"", 0 }, { (const uint8_t *)"abc", 3 } };
    static const bool flags[] = { true, false };
    struct ua_node_id id = { .ns = 300, .kind = UA_ID_STRING, .text = BYTES_LIT("Temp") };
    struct ua_localized_text text = { BYTES_LIT("de"), BYTES_LIT("W\xc3\xa4rme") };
    const struct ua_variant all[] = {
        { 0 },
        { .type = UA_BOOLEAN, .boolean = true },
        { .type = UA_SBYTE, .i8 = -128 },
        { .type = UA_UINT64, .u64 = UINT64_MAX },
        { .type = UA_DOUBLE, .f64 = -0.0 },
        { .type = UA_STRING, .text = BYTES_LIT("x") },
        { .type = UA_STRING },
        { .type = UA_GUID, .guid = { 1, 2, 3, { 4, 5, 6, 7, 8, 9, 10, 11 } } },
        { .type = UA_NODE_ID, .at = &id },
        { .type = UA_LOCALIZED_TEXT, .at = &text },
        { .type = UA_DOUBLE, .array = true, .count = 3, .at = numbers },
        { .type = UA_DOUBLE, .array = true, .count = 3, .at = numbers, .dims = dims, .dims_count = 2 },
        { .type = UA_STRING, .array = true, .count = 3, .at = texts },
        { .type = UA_BOOLEAN, .array = true, .count = 2, .at = flags },
        { .type = UA_INT32, .array = true },
        { .type = UA_INT32, .array = true, .at = numbers },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ua_variant got = back(b, &all[i]);
        assert_true(ua_variant_equal(&all[i], &got));
        struct ua_variant copy;
        assert_true(ua_variant_copy(&b->arena, &all[i], &copy));
        assert_true(ua_variant_equal(&all[i], &copy));
    }
    struct ua_variant many = { .type = UA_VARIANT, .array = true, .count = sizeof all / sizeof *all, .at = all };
    struct ua_variant got = back(b, &many);
    assert_true(ua_variant_equal(&many, &got));
}

static ua_status read_status(struct bench *b, const void *at, size_t n)
{
    struct ua_variant v;
    struct ua_reader r = ua_reader_of(bytes_of(at, n), &b->arena, NULL);
    ua_read_variant(&r, &v);
    if (ua_read_good(&r))
        return UA_GOOD;
    return r.status ? r.status : UA_BAD_DECODING_ERROR;
}

static void what_lies_is_refused(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *bytes;
        size_t      len;
        ua_status   status;
    } cases[] = {
#define CASE(text, status) { text, sizeof text - 1, status }
        CASE("", UA_BAD_DECODING_ERROR),
        CASE("\x0b\0\0\0", UA_BAD_DECODING_ERROR),                   /* half a double                     */
        CASE("\x0c\x7f\xff\xff\x7f", UA_BAD_DECODING_ERROR),         /* 2 GiB of text                     */
        CASE("\x0c\x05\0\0\0abcd", UA_BAD_DECODING_ERROR),           /* one byte short                    */
        CASE("\x8b\xff\xff\xff\x7f", UA_BAD_DECODING_ERROR),         /* 2^31 doubles                      */
        CASE("\x40", UA_BAD_DECODING_ERROR),                         /* dimensions of nothing             */
        CASE("\x46\x01\0\0\0", UA_BAD_DECODING_ERROR),               /* of a scalar                       */
        CASE("\x18\x00", UA_BAD_DECODING_ERROR),                     /* a variant in a variant            */
        CASE("\x21", UA_BAD_DECODING_ERROR),                         /* no such type                      */
        CASE("\xc3\x04\0\0\0abcd\x02\0\0\0\x02\0\0\0\x03\0\0\0", UA_BAD_DECODING_ERROR), /* 2 x 3 are not 4 */
        CASE("\xc3\x04\0\0\0abcd\x02\0\0\0\0\0\x01\0\0\0\x01\0", UA_BAD_DECODING_ERROR), /* 65,536 x 65,536  */
        CASE("\x11\x06", UA_BAD_DECODING_ERROR),                     /* a form of NodeId there is not     */
        CASE("\x17\xc0", UA_BAD_DECODING_ERROR),                     /* a DataValue with unknown parts    */
#undef CASE
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(read_status(b, cases[i].bytes, cases[i].len), cases[i].status);
    uint8_t long_text[5 + 65537] = { 0x0c, 0x01, 0x00, 0x01, 0x00 };
    assert_int_equal(read_status(b, long_text, sizeof long_text), UA_BAD_ENCODING_LIMITS_EXCEEDED);
    uint8_t long_array[5 + 65537] = { 0x83, 0x01, 0x00, 0x01, 0x00 };
    assert_int_equal(read_status(b, long_array, sizeof long_array), UA_BAD_ENCODING_LIMITS_EXCEEDED);
}

static void nesting_ends(void **state)
{
    struct bench *b = *state;
    /* An array of one variant that is an array of one variant ... */
    uint8_t deep[5 * 4000];
    for (size_t i = 0; i < sizeof deep; i += 5)
        memcpy(deep + i, "\x98\x01\0\0\0", 5);
    assert_int_equal(read_status(b, deep, sizeof deep), UA_BAD_ENCODING_LIMITS_EXCEEDED);
    memset(deep, 0x17, sizeof deep); /* data values that say of themselves that they hold one */
    for (size_t i = 0; i < sizeof deep; i++)
        deep[i] = i % 2 ? 0x01 : 0x17;
    assert_int_equal(read_status(b, deep, sizeof deep), UA_BAD_ENCODING_LIMITS_EXCEEDED);
    struct ua_diagnostic_info info;
    memset(deep, 0x40, sizeof deep);
    struct ua_reader r = ua_reader_of(bytes_of(deep, sizeof deep), &b->arena, NULL);
    ua_read_builtin(&r, UA_DIAGNOSTIC_INFO, &info);
    assert_int_equal(r.status, UA_BAD_ENCODING_LIMITS_EXCEEDED);
}

static void a_message_comes_back(void **state)
{
    struct bench *b = *state;
    struct ua_read_value_id nodes[] = {
        { .node_id = UA_NS0(2258), .attribute_id = 13 },
        { .node_id = { .ns = 2, .kind = UA_ID_STRING, .text = BYTES_LIT("Temp") }, .attribute_id = 13, .index_range = BYTES_LIT("0:3") },
    };
    struct ua_read_request ask = { .header = { .request_handle = 7 }, .max_age = 1.5, .timestamps_to_return = UA_TIMES_BOTH,
                                   .nodes_to_read = nodes, .nodes_to_read_count = 2 };
    ua_write_message(&b->out, &ua_read_request_type, &ask);
    struct ua_reader r = ua_reader_of(buf_bytes(&b->out), &b->arena, NULL);
    uint32_t type = ua_read_type(&r);
    assert_int_equal(type, 631);
    assert_ptr_equal(ua_struct_of(type), &ua_read_request_type);
    struct ua_read_request got;
    ua_read_struct(&r, &ua_read_request_type, &got);
    assert_true(ua_read_good(&r));
    assert_int_equal(wire_left(&r.wire), 0);
    assert_int_equal(got.header.request_handle, 7);
    assert_int_equal(got.nodes_to_read_count, 2);
    assert_true(ua_node_id_equal(&got.nodes_to_read[1].node_id, &nodes[1].node_id));
    assert_true(bytes_is(got.nodes_to_read[1].index_range, "0:3"));
    assert_null(got.nodes_to_read[0].index_range.at);
}

/* A count that the bytes left cannot hold takes no memory: 20 bytes that announce 65,000 elements. */
static void counts_are_held_to_the_bytes(void **state)
{
    struct bench *b = *state;
    struct ua_read_request ask = { 0 };
    ua_write_message(&b->out, &ua_read_request_type, &ask);
    size_t n = buf_size(&b->out);
    memcpy(b->out.at + b->out.from + n - 4, "\xe8\xfd\0\0", 4);
    struct ua_reader r = ua_reader_of(buf_bytes(&b->out), &b->arena, NULL);
    (void)ua_read_type(&r);
    struct ua_read_request got;
    ua_read_struct(&r, &ua_read_request_type, &got);
    assert_int_equal(r.status, UA_BAD_DECODING_ERROR);
    assert_int_equal(b->arena.used, 0);
}

/* A header that nobody filled says nothing: one byte of diagnostics. */
static void zeroed_diagnostics_are_none(void **state)
{
    struct bench *b = *state;
    struct ua_diagnostic_info none = { 0 }, some = { .symbolic_id = 1, .locale = 8 }, got;
    ua_write_builtin(&b->out, UA_DIAGNOSTIC_INFO, &none);
    assert_int_equal(buf_size(&b->out), 1);
    assert_int_equal(b->out.at[b->out.from], 0);
    buf_reset(&b->out);
    ua_write_builtin(&b->out, UA_DIAGNOSTIC_INFO, &some);
    assert_memory_equal(buf_bytes(&b->out).at, "\x09\0\0\0\0\x07\0\0\0", 9);
    struct ua_reader r = ua_reader_of(buf_bytes(&b->out), &b->arena, NULL);
    ua_read_builtin(&r, UA_DIAGNOSTIC_INFO, &got);
    assert_int_equal(got.symbolic_id, 1);
    assert_int_equal(got.locale, 8);
    assert_int_equal(got.localized_text, 0);
}

static void status_codes_have_names(void **state)
{
    (void)state;
    ua_status s;
    char scratch[16];
    assert_string_equal(ua_status_name(0x80340000), "BadNodeIdUnknown");
    assert_string_equal(ua_status_name(0x80340480), "BadNodeIdUnknown");
    assert_string_equal(ua_status_text(0x8fff0000, scratch), "0x8FFF0000");
    assert_true(ua_status_from(BYTES_LIT("BadTypeMismatch"), &s));
    assert_int_equal(s, UA_BAD_TYPE_MISMATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(variants_come_back, begin, end),
        cmocka_unit_test_setup_teardown(what_lies_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(nesting_ends, begin, end),
        cmocka_unit_test_setup_teardown(a_message_comes_back, begin, end),
        cmocka_unit_test_setup_teardown(counts_are_held_to_the_bytes, begin, end),
        cmocka_unit_test_setup_teardown(zeroed_diagnostics_are_none, begin, end),
        cmocka_unit_test(status_codes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
