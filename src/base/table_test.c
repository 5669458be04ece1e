#include "base/table.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct item {
    char key[16];
    int  number;
};

static struct item *new_item(int number)
{
    struct item *i = malloc(sizeof *i);
    i->number = number;
    (void)snprintf(i->key, sizeof i->key, "key-%d", number);
    return i;
}

static struct bytes key_of(int number, char out[16])
{
    (void)snprintf(out, 16, "key-%d", number);
    return bytes_str(out);
}

static void what_is_put_is_found_until_removed(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    struct table t = { 0 };
    char key[16];
    assert_null(table_get(&t, BYTES_LIT("nothing")));
    assert_null(table_remove(&t, BYTES_LIT("nothing")));
    for (int i = 0; i < MANY; i++) {
        struct item *item = new_item(i);
        assert_int_equal(table_put(&t, bytes_str(item->key), item), CODE_OK);
    }
    assert_int_equal(t.count, MANY);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(((struct item *)table_get(&t, key_of(i, key)))->number, i);
    assert_null(table_get(&t, BYTES_LIT("key-5000")));
    for (int i = 0; i < MANY; i += 2)
        free(table_remove(&t, key_of(i, key)));
    assert_int_equal(t.count, MANY / 2);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(table_get(&t, key_of(i, key)) != NULL, i % 2);
    for (int i = 1; i < MANY; i += 2)
        free(table_remove(&t, key_of(i, key)));
    assert_int_equal(t.count, 0);
    table_clear(&t);
    assert_null(table_get(&t, key_of(1, key)));
}

static void a_key_is_there_once(void **state)
{
    (void)state;
    struct table t = { 0 };
    int a, b;
    assert_int_equal(table_put(&t, BYTES_LIT("k"), &a), CODE_OK);
    assert_int_equal(table_put(&t, BYTES_LIT("k"), &b), CODE_EXISTS);
    assert_ptr_equal(table_get(&t, BYTES_LIT("k")), &a);
    assert_ptr_equal(table_remove(&t, BYTES_LIT("k")), &a);
    assert_int_equal(table_put(&t, BYTES_LIT("k"), &b), CODE_OK);
    assert_ptr_equal(table_get(&t, BYTES_LIT("k")), &b);
    /* Keys are bytes: empty and with NUL too. */
    assert_int_equal(table_put(&t, BYTES_NONE, &a), CODE_OK);
    assert_int_equal(table_put(&t, bytes_of("k\0", 2), &a), CODE_OK);
    assert_int_equal(t.count, 3);
    table_clear(&t);
}

static void a_walk_sees_each_once_and_may_remove_what_it_sees(void **state)
{
    (void)state;
    struct table t = { 0 };
    static int seen[300];
    for (int i = 0; i < 300; i++) {
        struct item *item = new_item(i);
        assert_int_equal(table_put(&t, bytes_str(item->key), item), CODE_OK);
    }
    size_t cursor = 0;
    for (struct item *i; (i = table_next(&t, &cursor));) {
        seen[i->number]++;
        if (i->number % 3 == 0)
            free(table_remove(&t, bytes_str(i->key)));
    }
    for (int i = 0; i < 300; i++)
        assert_int_equal(seen[i], 1);
    cursor = 0;
    int left = 0;
    for (struct item *i; (i = table_next(&t, &cursor)); left++)
        assert_int_not_equal(i->number % 3, 0);
    assert_int_equal(left, 200);
    cursor = 0;
    for (struct item *i; (i = table_next(&t, &cursor));)
        free(table_remove(&t, bytes_str(i->key)));
    table_clear(&t);
}

/* Sessions come and go while their number stays: rebuilding must stay rare. */
static void change_without_growth_rarely_rebuilds(void **state)
{
    (void)state;
    for (int many = 1; many < 3000; many = many * 2 + many / 3 + 1) {
        struct table t = { 0 };
        char key[16];
        int rebuilt = 0, changes = many * 20;
        for (int i = 0; i < many; i++) {
            struct item *item = new_item(i);
            assert_int_equal(table_put(&t, bytes_str(item->key), item), CODE_OK);
        }
        const struct table_slot *slots = t.slots;
        for (int i = 0; i < changes; i++) {
            free(table_remove(&t, key_of(i, key)));
            struct item *item = new_item(i + many);
            assert_int_equal(table_put(&t, bytes_str(item->key), item), CODE_OK);
            rebuilt += t.slots != slots;
            slots = t.slots;
        }
        assert_int_equal(t.count, many);
        assert_true(t.cap <= 16 || t.cap <= (size_t)many * 5);
        /* A quarter of the table at least between two. */
        assert_true(rebuilt <= changes * 4 / (int)t.cap + 2);
        size_t cursor = 0;
        for (struct item *i; (i = table_next(&t, &cursor));)
            free(table_remove(&t, bytes_str(i->key)));
        table_clear(&t);
    }
}

static void a_reserved_place_needs_no_memory(void **state)
{
    (void)state;
    struct table t = { 0 };
    int value;
    char keys[100][12];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "%d", i);
        assert_int_equal(table_reserve(&t), CODE_OK);
        mem_fail_at(1);
        assert_int_equal(table_put(&t, bytes_str(keys[i]), &value), CODE_OK);
        mem_fail_at(0);
    }
    table_clear(&t);
}

static void a_refused_allocation_keeps_what_was_there(void **state)
{
    (void)state;
    struct table t = { 0 };
    int value;
    char keys[64][12];
    int refused = 0;
    for (int i = 0; i < 64; i++) {
        (void)snprintf(keys[i], sizeof keys[i], "%d", i);
        mem_fail_at(1);
        enum code c = table_put(&t, bytes_str(keys[i]), &value);
        mem_fail_at(0);
        if (c == CODE_NOMEM) {
            refused++;
            assert_null(table_get(&t, bytes_str(keys[i])));
            assert_int_equal(t.count, i);
            assert_int_equal(table_put(&t, bytes_str(keys[i]), &value), CODE_OK);
        }
    }
    assert_true(refused >= 2);
    for (int i = 0; i < 64; i++)
        assert_ptr_equal(table_get(&t, bytes_str(keys[i])), &value);
    table_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_found_until_removed),
        cmocka_unit_test(a_key_is_there_once),
        cmocka_unit_test(a_walk_sees_each_once_and_may_remove_what_it_sees),
        cmocka_unit_test(change_without_growth_rarely_rebuilds),
        cmocka_unit_test(a_reserved_place_needs_no_memory),
        cmocka_unit_test(a_refused_allocation_keeps_what_was_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
