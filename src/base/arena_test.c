#include "base/arena.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void pieces_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a;
    uint8_t *pieces[200];
    arena_init(&a, NULL, 0, 1 << 20);
    for (size_t i = 0; i < 200; i++) {
        pieces[i] = arena_take(&a, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 16, 0);
        memset(pieces[i], (int)i, i);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], (uint8_t)i);
    arena_clear(&a);
}

static void the_lent_block_is_used_first(void **state)
{
    (void)state;
    struct arena a;
    uint8_t lent[256];
    /* From an odd place on, as a stack array may lie. */
    arena_init(&a, lent + 1, sizeof lent - 1, 0);
    uint8_t *p = arena_take(&a, 32);
    assert_true(p > lent && p + 32 <= lent + sizeof lent);
    assert_int_equal((uintptr_t)p % 16, 0);
    /* No more than it holds, and with max 0 there is nothing else. */
    size_t taken = 32;
    while (arena_take(&a, 16))
        taken += 16;
    assert_true(taken <= sizeof lent && taken >= sizeof lent - 32);
    assert_int_equal(a.used, 0);
    arena_reset(&a);
    assert_ptr_equal(arena_take(&a, 32), p);
    arena_clear(&a);
}

static void what_was_taken_after_a_mark_is_given_back(void **state)
{
    (void)state;
    struct arena a;
    uint8_t lent[256];
    arena_init(&a, lent, sizeof lent, 1 << 20);
    uint8_t *before = arena_take(&a, 32);
    memset(before, 7, 32);
    struct arena_mark mark = arena_mark(&a);
    uint8_t *first = arena_take(&a, 64);
    for (size_t i = 0; i < 10; i++)
        assert_non_null(arena_take(&a, 5000));
    assert_true(a.used > 50000);
    arena_release(&a, mark);
    assert_int_equal(a.used, 0);
    assert_ptr_equal(arena_take(&a, 64), first);
    assert_int_equal(before[31], 7);
    arena_clear(&a);
}

static void a_lent_block_too_small_to_align_is_left_alone(void **state)
{
    (void)state;
    struct arena a;
    _Alignas(16) uint8_t lent[32];
    arena_init(&a, lent + 1, 10, 4096);
    uint8_t *p = arena_take(&a, 8);
    assert_non_null(p);
    assert_true(p < lent || p >= lent + sizeof lent);
    arena_clear(&a);
}

static void blocks_stay_below_the_ceiling(void **state)
{
    (void)state;
    struct arena a;
    size_t taken = 0;
    arena_init(&a, NULL, 0, 10000);
    while (arena_take(&a, 100))
        taken += 112;
    assert_true(a.used <= 10000);
    assert_true(taken > 9000);
    assert_null(arena_take(&a, 10000));
    arena_reset(&a);
    assert_int_equal(a.used, 0);
    assert_non_null(arena_take(&a, 9000));
    assert_null(arena_take(&a, 9000));
    arena_clear(&a);
    assert_null(arena_take(&a, SIZE_MAX));
    assert_null(arena_take(&a, SIZE_MAX / 2));
}

static void a_large_piece_does_not_waste_the_block_before(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0, 1 << 20);
    assert_non_null(arena_take(&a, 1));
    assert_non_null(arena_take(&a, 100000));
    assert_true(a.used < 100000 + 2 * 4096);
    arena_clear(&a);
}

static void texts_and_zeroes(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0, 1 << 16);
    assert_string_equal(arena_text(&a, BYTES_LIT("abc")), "abc");
    assert_string_equal(arena_text(&a, BYTES_NONE), "");
    const uint8_t *zero = arena_zero(&a, 100);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(zero[i], 0);
    arena_clear(&a);
}

static void a_list_grows_by_one(void **state)
{
    (void)state;
    struct arena a;
    uint32_t *list = NULL, moves = 0;
    arena_init(&a, NULL, 0, 1 << 16);
    for (uint32_t n = 0; n < 1000; n++) {
        uint32_t *more = arena_one_more(&a, list, n, sizeof *list);
        moves += more != list;
        list = more;
        assert_int_equal(list[n], 0);
        list[n] = n + 1;
    }
    for (uint32_t n = 0; n < 1000; n++)
        assert_int_equal(list[n], n + 1);
    assert_int_equal(moves, 11); /* at 0, 1, 2, 4 .. 512 */
    arena_clear(&a);
}

static void a_refused_allocation_is_null_and_leaves_the_rest(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, NULL, 0, 1 << 20);
    char *text = arena_text(&a, BYTES_LIT("kept"));
    mem_fail_at(1);
    assert_null(arena_take(&a, 100000));
    mem_fail_at(0);
    assert_string_equal(text, "kept");
    assert_non_null(arena_take(&a, 100000));
    arena_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_aligned_and_apart),
        cmocka_unit_test(the_lent_block_is_used_first),
        cmocka_unit_test(what_was_taken_after_a_mark_is_given_back),
        cmocka_unit_test(a_lent_block_too_small_to_align_is_left_alone),
        cmocka_unit_test(blocks_stay_below_the_ceiling),
        cmocka_unit_test(a_large_piece_does_not_waste_the_block_before),
        cmocka_unit_test(texts_and_zeroes),
        cmocka_unit_test(a_list_grows_by_one),
        cmocka_unit_test(a_refused_allocation_is_null_and_leaves_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
