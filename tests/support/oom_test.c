/* Every allocation of a scenario is refused once, and a broken promise is told with its number. */
#include "support/oom.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

struct tries {
    unsigned runs, allocations;
    unsigned careless; /* the allocation whose refusal is taken for a broken promise */
};

static const char *some_allocations(void *ctx)
{
    struct tries *t = ctx;
    bool broken = false;
    void *before = mem_alloc(1);
    assert_non_null(before); /* not armed yet */
    oom_arm();
    for (unsigned i = 1; i <= t->allocations; i++) {
        void *p = mem_alloc(10);
        broken |= !p && i == t->careless;
        mem_free(p);
    }
    oom_disarm();
    mem_free(before);
    before = mem_alloc(1);
    assert_non_null(before);
    mem_free(before);
    t->runs++;
    return broken ? "careless" : NULL;
}

static void each_allocation_is_refused_once(void **state)
{
    (void)state;
    struct tries t = {.allocations = 7};
    struct oom_result r;
    assert_true(oom_each("seven", some_allocations, &t, &r));
    assert_int_equal(r.refused, 7);
    assert_int_equal(t.runs, 8);
}

static void a_broken_promise_is_told_with_its_number(void **state)
{
    (void)state;
    struct tries t = {.allocations = 7, .careless = 5};
    struct oom_result r;
    assert_false(oom_each("careless", some_allocations, &t, &r));
    assert_int_equal(r.first_broken, 5);
    assert_int_equal(r.broken, 1);
    assert_string_equal(r.first, "careless");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_is_refused_once),
        cmocka_unit_test(a_broken_promise_is_told_with_its_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
