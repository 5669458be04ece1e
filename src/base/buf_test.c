#include "base/buf.h"

#include "base/mem.h"
#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void pieces_follow_each_other(void **state)
{
    (void)state;
    struct buf b = { 0 };
    assert_int_equal(buf_bytes(&b).len, 0);
    buf_u8(&b, 1);
    buf_be16(&b, 0x0203);
    buf_be32(&b, 0x04050607);
    buf_le16(&b, 0x0908);
    buf_le32(&b, 0x0d0c0b0a);
    buf_le64(&b, UINT64_C(0x1514131211100f0e));
    buf_add(&b, "\x16\x17", 2);
    buf_add(&b, NULL, 0);
    buf_add_bytes(&b, BYTES_LIT("\x18"));
    assert_false(b.bad);
    assert_int_equal(buf_size(&b), 24);
    for (uint8_t i = 0; i < 24; i++)
        assert_int_equal(buf_bytes(&b).at[i], i + 1);
    buf_clear(&b);
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    static const uint64_t values[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX / 2, UINT64_MAX };
    struct buf b = { 0 };
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        buf_varint(&b, values[i]);
    buf_le_blob(&b, BYTES_LIT("body"));
    buf_le_blob(&b, BYTES_NONE);
    struct wire w = wire_of(buf_bytes(&b));
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        assert_int_equal(wire_varint(&w), values[i]);
    assert_true(bytes_is(wire_le_blob(&w), "body"));
    assert_int_equal(wire_le_blob(&w).len, 0);
    assert_false(w.bad);
    assert_int_equal(wire_left(&w), 0);
    buf_clear(&b);
}

static void printing_appends(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_printf(&b, "%s", "");
    buf_printf(&b, "a%d", 1);
    for (int i = 0; i < 500; i++)
        buf_printf(&b, "%c", 'x');
    assert_int_equal(buf_size(&b), 502);
    assert_memory_equal(b.at, "a1xx", 4);
    buf_clear(&b);
}

static void json_strings_hold_anything(void **state)
{
    (void)state;
    static const struct {
        struct bytes text;
        const char  *want;
    } table[] = {
        { BYTES_NONE, "\"\"" },
        { { (const uint8_t *)"a/b", 3 }, "\"a/b\"" },
        { { (const uint8_t *)"\"\\", 2 }, "\"\\\"\\\\\"" },
        { { (const uint8_t *)"\0\n\x1f\x7f", 4 }, "\"\\u0000\\u000a\\u001f\\u007f\"" },
        { { (const uint8_t *)"\xc2\x9b\xc2\xa0", 4 }, "\"\\u009b\xc2\xa0\"" },
        { { (const uint8_t *)"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9 },
          "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"" },
        { { (const uint8_t *)"\xff"
                             "a\xc3",
            3 },
          "\"\xef\xbf\xbd"
          "a\xef\xbf\xbd\"" },
        { { (const uint8_t *)"\xed\xa0\x80", 3 }, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf b = { 0 };
        uint8_t *exact = malloc(table[i].text.len + 1);
        if (table[i].text.len)
            memcpy(exact, table[i].text.at, table[i].text.len);
        buf_json(&b, bytes_of(exact, table[i].text.len));
        assert_true(bytes_is(buf_bytes(&b), table[i].want));
        buf_clear(&b);
        free(exact);
    }
}

static void the_ceiling_holds_and_marks_the_buffer(void **state)
{
    (void)state;
    struct buf b = { .max = 10 };
    buf_add(&b, "0123456789", 10);
    assert_false(b.bad);
    buf_u8(&b, 'x');
    assert_true(b.bad);
    assert_true(bytes_is(buf_bytes(&b), "0123456789"));
    buf_take(&b, 5); /* room again, but the failure sticks until it has been seen */
    buf_u8(&b, 'x');
    assert_true(bytes_is(buf_bytes(&b), "56789"));
    buf_reset(&b);
    assert_false(b.bad);
    buf_u8(&b, 'x');
    assert_true(bytes_is(buf_bytes(&b), "x"));
    assert_false(buf_room(&b, 10));
    buf_clear(&b);
}

static void taking_from_the_front_keeps_the_rest(void **state)
{
    (void)state;
    struct buf b = { 0 };
    uint32_t next = 0, want = 0;
    /* A queue of numbers, added and taken in uneven pieces: order and content stay. */
    for (int round = 0; round < 2000; round++) {
        for (int i = 0; i < round % 7 + 3; i++)
            buf_le32(&b, next++);
        for (int i = 0; i < round % 5 + 3 && buf_size(&b); i++) {
            struct wire w = wire_of(buf_bytes(&b));
            assert_int_equal(wire_le32(&w), want++);
            buf_take(&b, 4);
        }
    }
    while (buf_size(&b)) {
        struct wire w = wire_of(buf_bytes(&b));
        assert_int_equal(wire_le32(&w), want++);
        buf_take(&b, 4);
    }
    assert_int_equal(want, next);
    buf_clear(&b);
}

static void a_long_queue_is_not_moved_for_every_piece(void **state)
{
    (void)state;
    struct buf b = { 0 };
    char piece[100] = { 0 };
    enum { WAITING = 10000, ROUNDS = 50000 };
    for (int i = 0; i < WAITING; i++)
        buf_add(&b, piece, sizeof piece);
    /* A megabyte waits while a little is taken and a little added: count how often it moves. */
    int moves = 0;
    const uint8_t *front = b.at + b.from;
    for (int i = 0; i < ROUNDS; i++) {
        buf_take(&b, sizeof piece);
        front += sizeof piece;
        buf_add(&b, piece, sizeof piece);
        if (b.at + b.from != front) {
            moves++;
            front = b.at + b.from;
        }
    }
    assert_true(moves <= ROUNDS / WAITING + 2);
    assert_true(b.cap <= 4 * (WAITING + 1) * sizeof piece);
    buf_clear(&b);
}

static void an_empty_large_buffer_gives_memory_back(void **state)
{
    (void)state;
    struct buf b = { 0 };
    assert_non_null(buf_grow(&b, 1000));
    buf_take(&b, 1000);
    assert_non_null(b.at);
    assert_non_null(buf_grow(&b, 200000));
    buf_take(&b, 100000);
    assert_non_null(b.at);
    buf_take(&b, 100000);
    assert_null(b.at);
    assert_int_equal(b.cap, 0);
    buf_u8(&b, 1);
    assert_int_equal(buf_size(&b), 1);
    buf_clear(&b);
}

static void a_refused_allocation_changes_nothing(void **state)
{
    (void)state;
    struct buf b = { 0 };
    buf_add(&b, "kept", 4);
    mem_fail_at(1);
    assert_null(buf_grow(&b, 100000));
    assert_true(mem_fail_fired());
    mem_fail_at(0);
    assert_true(b.bad);
    assert_true(bytes_is(buf_bytes(&b), "kept"));
    buf_printf(&b, "more");
    buf_json(&b, BYTES_LIT("x"));
    assert_true(bytes_is(buf_bytes(&b), "kept"));
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_follow_each_other),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(printing_appends),
        cmocka_unit_test(json_strings_hold_anything),
        cmocka_unit_test(the_ceiling_holds_and_marks_the_buffer),
        cmocka_unit_test(taking_from_the_front_keeps_the_rest),
        cmocka_unit_test(a_long_queue_is_not_moved_for_every_piece),
        cmocka_unit_test(an_empty_large_buffer_gives_memory_back),
        cmocka_unit_test(a_refused_allocation_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
