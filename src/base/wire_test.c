#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void fields_come_in_order(void **state)
{
    (void)state;
    uint8_t data[29];
    for (uint8_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i + 1);
    struct wire w = wire_of(bytes_of(data, sizeof data));
    assert_int_equal(wire_u8(&w), 1);
    assert_int_equal(wire_be16(&w), 0x0203);
    assert_int_equal(wire_be32(&w), 0x04050607);
    assert_int_equal(wire_le16(&w), 0x0908);
    assert_int_equal(wire_le32(&w), 0x0d0c0b0a);
    assert_true(wire_le64(&w) == UINT64_C(0x1514131211100f0e));
    assert_int_equal(wire_pos(&w), 21);
    assert_int_equal(wire_left(&w), 8);
    struct bytes b = wire_bytes(&w, 8);
    assert_ptr_equal(b.at, data + 21);
    assert_int_equal(b.len, 8);
    assert_false(w.bad);
    assert_int_equal(wire_bytes(&w, 0).len, 0);
    assert_false(w.bad);
    assert_int_equal(wire_u8(&w), 0);
    assert_true(w.bad);
}

/* What each reader needs, one byte less, and everything after that is nothing. */
static void reading_past_the_end_sticks(void **state)
{
    (void)state;
    static const size_t needs[] = { 1, 2, 4, 2, 4, 8, 5, 4 };
    for (size_t kind = 0; kind < sizeof needs / sizeof needs[0]; kind++)
        for (size_t n = 0; n < needs[kind]; n++) {
            uint8_t *exact = malloc(n ? n : 1);
            memset(exact, 0xff, n);
            struct wire w = wire_of(bytes_of(exact, n));
            uint64_t v = 0;
            switch (kind) {
            case 0: v = wire_u8(&w); break;
            case 1: v = wire_be16(&w); break;
            case 2: v = wire_be32(&w); break;
            case 3: v = wire_le16(&w); break;
            case 4: v = wire_le32(&w); break;
            case 5: v = wire_le64(&w); break;
            case 6: v = wire_bytes(&w, 5).len; break;
            default: v = wire_le_blob(&w).len; break;
            }
            assert_int_equal(v, 0);
            assert_true(w.bad);
            assert_int_equal(wire_u8(&w), 0);
            assert_null(wire_bytes(&w, 0).at);
            free(exact);
        }
}

static void numbers_of_seven_bits_a_byte(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t      n;
        bool        bad;
        uint64_t    want;
    } table[] = {
        { "\x00", 1, false, 0 },
        { "\x7f", 1, false, 127 },
        { "\x80\x01", 2, false, 128 },
        { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, false, UINT64_MAX },
        { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, true, 0 }, /* 65 bits */
        { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11, true, 0 },
        { "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, true, 0 },
        { "", 0, true, 0 },
        { "\x80", 1, true, 0 },
        { "\xff\xff\xff", 3, true, 0 },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t *exact = malloc(table[i].n + 1);
        memcpy(exact, table[i].text, table[i].n);
        struct wire w = wire_of(bytes_of(exact, table[i].n));
        assert_true(wire_varint(&w) == table[i].want);
        assert_int_equal(w.bad, table[i].bad);
        free(exact);
    }
}

static void a_blob_longer_than_what_is_left_is_none(void **state)
{
    (void)state;
    static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 'a' }, right[] = { 2, 0, 0, 0, 'a', 'b' };
    struct wire w = wire_of(bytes_of(huge, sizeof huge));
    assert_int_equal(wire_le_blob(&w).len, 0);
    assert_true(w.bad);
    w = wire_of(bytes_of(right, sizeof right));
    assert_true(bytes_is(wire_le_blob(&w), "ab"));
    assert_false(w.bad);
    w = wire_of(bytes_of(right, sizeof right - 1));
    assert_int_equal(wire_le_blob(&w).len, 0);
    assert_true(w.bad);
}

static void nothing_can_be_read_from_nothing(void **state)
{
    (void)state;
    struct wire w = wire_of(BYTES_NONE);
    assert_int_equal(wire_left(&w), 0);
    assert_int_equal(wire_pos(&w), 0);
    assert_int_equal(wire_u8(&w), 0);
    assert_true(w.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_in_order),
        cmocka_unit_test(reading_past_the_end_sticks),
        cmocka_unit_test(numbers_of_seven_bits_a_byte),
        cmocka_unit_test(a_blob_longer_than_what_is_left_is_none),
        cmocka_unit_test(nothing_can_be_read_from_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
