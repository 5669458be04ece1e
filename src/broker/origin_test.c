#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "broker/origin.h"

static struct origin *made(uint32_t count, const char *shared)
{
    static const uint32_t ids[] = { 1, 300, 268435455, 1 };
    struct origin *o = origin_new(ids, count, bytes_str(shared));
    assert_non_null(o);
    return o;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    static const char *const shares[] = { "", "$share/g/a/+" };
    for (uint32_t count = 0; count <= 4; count++)
        for (int s = 0; s < 2; s++) {
            struct origin *o = made(count, shares[s]), *back;
            struct buf b = { 0 };
            origin_put(&b, o);
            size_t size = buf_size(&b);
            buf_u8(&b, 0x55);
            struct wire w = wire_of(buf_bytes(&b));
            assert_int_equal(origin_read(&w, NULL, &back), CODE_OK);
            assert_int_equal(wire_pos(&w), size);
            assert_true(back != o && origin_equal(o, back));
            assert_int_equal(origin_count(back), count);
            assert_true(bytes_is(origin_shared(back), shares[s]));
            origin_drop(back);
            w = wire_of(buf_bytes(&b));
            assert_int_equal(origin_read(&w, o, &back), CODE_OK);
            assert_ptr_equal(back, o); /* the same is shared */
            origin_drop(back);
            for (size_t cut = 0; cut < size; cut++) {
                w = wire_of(bytes_of(buf_bytes(&b).at, cut));
                assert_int_equal(origin_read(&w, NULL, &back), CODE_DAMAGED);
                assert_null(back);
            }
            origin_drop(o);
            buf_clear(&b);
        }
}

static void a_huge_count_takes_no_memory(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct origin *o;
    buf_varint(&b, UINT64_MAX);
    buf_varint(&b, 1);
    struct wire w = wire_of(buf_bytes(&b));
    assert_int_equal(origin_read(&w, NULL, &o), CODE_DAMAGED);
    buf_clear(&b);
}

static void others_are_not_equal(void **state)
{
    (void)state;
    struct origin *a = made(2, ""), *b = made(3, ""), *c = made(2, "$share/g/a");
    const uint32_t other_ids[] = { 1, 301 };
    struct origin *d = origin_new(other_ids, 2, BYTES_NONE);
    struct origin *const all[] = { NULL, a, b, c, d };
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 5; k++)
            assert_int_equal(origin_equal(all[i], all[k]), i == k);
    for (size_t i = 0; i < 5; i++)
        origin_drop(all[i]);
}

static void without_memory_there_is_none(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct origin *o = made(2, "$share/g/a"), *back;
    origin_put(&b, o);
    struct wire w = wire_of(buf_bytes(&b));
    mem_fail_at(1);
    assert_int_equal(origin_read(&w, NULL, &back), CODE_NOMEM);
    mem_fail_at(0);
    assert_null(back);
    origin_drop(o);
    buf_clear(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_huge_count_takes_no_memory),
        cmocka_unit_test(others_are_not_equal),
        cmocka_unit_test(without_memory_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
