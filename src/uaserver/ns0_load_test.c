/* Namespace 0 in an address space: what a browser finds, and what it takes. */
#include "base/mem.h"
#include "net/sim.h"
#include "uaserver/ns0.h"
#include "uaserver/space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

struct stage {
    struct sim      *sim;
    struct loop     *loop;
    struct ua_space *space;
    uint64_t         before;
};

static int open_stage(void **state)
{
    static struct stage t;
    t.before = mem_in_use();
    assert_int_equal(sim_open(&t.sim, 1), CODE_OK);
    assert_int_equal(loop_open_sim(&t.loop, t.sim, NULL), CODE_OK);
    assert_int_equal(ua_space_open(&t.space, t.loop, BYTES_LIT("urn:test"), NULL, NULL), CODE_OK);
    *state = &t;
    return 0;
}

static int close_stage(void **state)
{
    struct stage *t = *state;
    ua_space_close(t->space);
    loop_close(t->loop);
    sim_close(t->sim);
    assert_int_equal(mem_in_use(), t->before);
    return 0;
}

/* Marks what hierarchical references lead to. */
static unsigned walk(struct ua_space *s, struct ua_node *n, struct ua_node **seen, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (seen[i] == n)
            return count;
    seen[count++] = n;
    for (uint32_t i = 0; i < n->ref_count; i++) {
        const struct ua_ref *r = &n->refs[i];
        if (!r->inverse && (ua_is_subtype(s, &UA_NS0(r->type), &UA_NS0(UA_ID_HIERARCHICAL_REFERENCES)) ||
                            r->type == UA_ID_HAS_ENCODING))
            count = walk(s, r->to, seen, count);
    }
    return count;
}

static void everything_is_found_from_the_root(void **state)
{
    struct stage *t = *state;
    uint64_t before = mem_in_use();
    assert_int_equal(ns0_load(t->space, NULL), CODE_OK);
    assert_int_equal(ua_node_count(t->space), ns0_count);
    assert_true(mem_in_use() - before < 512 * 1024); /* 700 nodes and what is around them */
    static struct ua_node *seen[2000];
    assert_int_equal(walk(t->space, ua_find0(t->space, UA_ID_ROOT_FOLDER), seen, 0), ns0_count);
}

static void types_are_those_of_the_table(void **state)
{
    struct stage *t = *state;
    assert_int_equal(ns0_load(t->space, NULL), CODE_OK);
    struct ua_node *server = ua_find0(t->space, UA_ID_SERVER);
    assert_int_equal(ua_follow(server, UA_ID_HAS_TYPE_DEFINITION, false)->id.number, UA_ID_SERVER_TYPE);
    assert_int_equal(server->notifier, 1);
    assert_true(ua_is_subtype(t->space, &UA_NS0(UA_ID_DURATION), &UA_NS0(UA_ID_NUMBER_TYPE)));
    assert_int_equal(ua_builtin_of(t->space, &UA_NS0(852)), UA_INT32);
    struct ua_variable *state_of = ua_as_variable(ua_find0(t->space, UA_ID_SERVER_SERVER_STATUS_STATE));
    assert_int_equal(state_of->builtin, UA_INT32);
    assert_int_equal(ua_as_variable(ua_find0(t->space, UA_ID_BASE_DATA_VARIABLE_TYPE))->builtin, 0);
    struct ua_node *rule = ua_follow(ua_find0(t->space, UA_ID_BASE_EVENT_TYPE_MESSAGE), UA_ID_HAS_MODELLING_RULE, false);
    assert_int_equal(rule->id.number, UA_ID_MODELLING_RULE_MANDATORY);
    struct ua_node *organizes = ua_find0(t->space, UA_ID_ORGANIZES);
    assert_true(bytes_is(organizes->inverse_name, "OrganizedBy"));
    assert_false(organizes->symmetric);
    assert_true(ua_find0(t->space, UA_ID_REFERENCES)->is_abstract);
}

static void values_and_definitions_are_made_when_asked_for(void **state)
{
    struct stage *t = *state;
    assert_int_equal(ns0_load(t->space, NULL), CODE_OK);
    struct arena a;
    arena_init(&a, NULL, 0, 1 << 20);
    struct ua_value v;
    struct ua_variant read;
    ua_read_attribute(t->space, NULL, ua_find0(t->space, 7612), UA_ATTR_VALUE, NULL, &v); /* EnumStrings of ServerState */
    assert_int_equal(v.status, UA_GOOD);
    assert_true(ua_value_read(&v, &a, &read));
    assert_int_equal(read.count, 8);
    ua_value_drop(&v);
    ua_read_attribute(t->space, NULL, ua_find0(t->space, 862), UA_ATTR_DATA_TYPE_DEFINITION, NULL, &v);
    assert_int_equal(v.status, UA_GOOD);
    assert_true(ua_value_read(&v, &a, &read));
    assert_int_equal(((const struct ua_extension_object *)read.at)->type.number, UA_ENCODING_structure_definition);
    ua_value_drop(&v);
    ua_read_attribute(t->space, NULL, ua_find0(t->space, UA_DOUBLE), UA_ATTR_DATA_TYPE_DEFINITION, NULL, &v);
    assert_int_equal(v.status, UA_BAD_ATTRIBUTE_ID_INVALID);
    arena_clear(&a);
}

static void a_failed_load_leaves_nothing(void **state)
{
    struct stage *t = *state;
    unsigned failed = 0;
    for (uint64_t n = 1;; n += n < 40 ? 1 : 97) {
        struct ua_space *s = NULL;
        mem_fail_at(n);
        enum code c = ua_space_open(&s, t->loop, BYTES_LIT("urn:test"), NULL, NULL);
        if (!c)
            c = ns0_load(s, NULL);
        bool fired = mem_fail_fired();
        mem_fail_at(0);
        ua_space_close(s);
        if (!fired)
            break;
        assert_int_equal(c, CODE_NOMEM);
        failed++;
    }
    assert_true(failed > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_is_found_from_the_root, open_stage, close_stage),
        cmocka_unit_test_setup_teardown(types_are_those_of_the_table, open_stage, close_stage),
        cmocka_unit_test_setup_teardown(values_and_definitions_are_made_when_asked_for, open_stage, close_stage),
        cmocka_unit_test_setup_teardown(a_failed_load_leaves_nothing, open_stage, close_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
