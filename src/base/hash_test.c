#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int counting_key(void **state)
{
    (void)state;
    uint8_t key[16];
    for (uint8_t i = 0; i < 16; i++)
        key[i] = i;
    hash_seed(key);
    return 0;
}

/* SipHash-2-4 as its authors publish it: key 00..0f, messages of 0, 1, 2 .. bytes 00, 01, 02 .. */
static void siphash_is_that_of_its_authors(void **state)
{
    (void)state;
    static const struct {
        size_t   n;
        uint64_t want;
    } table[] = {
        { 0, UINT64_C(0x726fdb47dd0e0e31) },  { 1, UINT64_C(0x74f839c593dc67fd) },
        { 2, UINT64_C(0x0d6c8009d9a94f5a) },  { 3, UINT64_C(0x85676696d7fb7e2d) },
        { 7, UINT64_C(0xab0200f58b01d137) },  { 8, UINT64_C(0x93f5f5799a932462) },
        { 15, UINT64_C(0xa129ca6149be45e5) }, { 63, UINT64_C(0x958a324ceb064572) },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint8_t *exact = malloc(table[i].n + 1);
        for (size_t k = 0; k < table[i].n; k++)
            exact[k] = (uint8_t)k;
        assert_true(hash_keyed(bytes_of(exact, table[i].n)) == table[i].want);
        free(exact);
    }
}

static void another_key_gives_another_hash(void **state)
{
    (void)state;
    uint64_t before = hash_keyed(BYTES_LIT("press-1"));
    uint8_t key[16] = { 1 };
    hash_seed(key);
    assert_true(hash_keyed(BYTES_LIT("press-1")) != before);
    counting_key(NULL);
    assert_true(hash_keyed(BYTES_LIT("press-1")) == before);
}

/* Written on disk by name: these values may never change, or devices would change partitions. */
static void the_partition_hash_is_frozen(void **state)
{
    (void)state;
    assert_string_equal(HASH_PARTITION_NAME, "fnv1a64-mix13");
    assert_true(hash_partition(BYTES_NONE) == UINT64_C(0xf52a15e9a9b5e89b));
    assert_true(hash_partition(BYTES_LIT("press-1")) == UINT64_C(0xd9be00a48e070a39));
    assert_true(hash_partition(BYTES_LIT("press-2")) == UINT64_C(0x12ba6ceb2c8991c0));
    assert_true(hash_partition(bytes_of("\0\xff", 2)) == UINT64_C(0xa70bee94c6c8447b));
}

static void devices_spread_evenly_over_partitions(void **state)
{
    (void)state;
    unsigned counts[8] = { 0 };
    char name[32];
    for (int i = 0; i < 8000; i++) {
        int n = snprintf(name, sizeof name, "press-%d", i);
        counts[hash_partition(bytes_of(name, (size_t)n)) % 8]++;
    }
    for (size_t i = 0; i < 8; i++)
        assert_true(counts[i] > 850 && counts[i] < 1150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_is_that_of_its_authors),
        cmocka_unit_test(another_key_gives_another_hash),
        cmocka_unit_test(the_partition_hash_is_frozen),
        cmocka_unit_test(devices_spread_evenly_over_partitions),
    };
    return cmocka_run_group_tests(tests, counting_key, NULL);
}
