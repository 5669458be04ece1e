#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void memory_is_given_zeroed_copied_and_grown(void **state)
{
    (void)state;
    char *a = mem_alloc(10);
    memcpy(a, "123456789", 10);
    a = mem_realloc(a, 1000);
    assert_string_equal(a, "123456789");
    uint8_t *zero = mem_zalloc(10, 10);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(zero[i], 0);
    char *part = mem_strndup("abcdef", 3), *nothing = mem_strndup(NULL, 0), *whole = mem_strdup("abc");
    assert_string_equal(part, "abc");
    assert_string_equal(nothing, "");
    assert_string_equal(whole, "abc");
    mem_free(a);
    mem_free(zero);
    mem_free(part);
    mem_free(nothing);
    mem_free(whole);
    mem_free(NULL);
}

/* malloc(0) may be NULL, and NULL means failure here. */
static void nothing_is_something_too(void **state)
{
    (void)state;
    void *a = mem_alloc(0), *b = mem_zalloc(0, 8), *c = mem_zalloc(8, 0), *d = mem_realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_non_null(d);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(d);
}

static void the_nth_allocation_fails_and_no_other(void **state)
{
    (void)state;
    mem_fail_at(3);
    void *a = mem_alloc(1), *b = mem_zalloc(1, 1);
    assert_false(mem_fail_fired());
    char *c = mem_strdup("x");
    assert_true(mem_fail_fired());
    void *d = mem_alloc(1);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(c);
    assert_non_null(d);
    mem_fail_at(1);
    assert_false(mem_fail_fired());
    assert_null(mem_realloc(a, 100)); /* and the old block lives on */
    mem_fail_at(0);
    mem_free(a);
    mem_free(b);
    mem_free(d);
    void *e = mem_alloc(1);
    assert_non_null(e);
    mem_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_given_zeroed_copied_and_grown),
        cmocka_unit_test(nothing_is_something_too),
        cmocka_unit_test(the_nth_allocation_fails_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
