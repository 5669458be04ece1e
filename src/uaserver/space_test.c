/* Nodes, references, attributes, watches. */
#include "uaserver/space_test_types.h"

#include "base/mem.h"
#include "net/sim.h"

#include <stdio.h>

struct stage {
    struct sim      *sim;
    struct loop     *loop;
    struct ua_space *space;
    struct ua_node  *objects;
    uint64_t         before;
};

static int open_stage(void **state)
{
    static struct stage t;
    t.before = mem_in_use();
    assert_int_equal(sim_open(&t.sim, 1), CODE_OK);
    assert_int_equal(loop_open_sim(&t.loop, t.sim, NULL), CODE_OK);
    assert_int_equal(ua_space_open(&t.space, t.loop, BYTES_LIT("urn:test"), NULL, NULL), CODE_OK);
    t.objects = test_types(t.space);
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

static struct ua_variable *number(struct stage *t, const char *id, double first)
{
    struct ua_node *n;
    const struct ua_variant value = { .type = UA_DOUBLE, .f64 = first };
    const struct ua_new p = {
        .id = { .ns = 1, .kind = UA_ID_STRING, .text = bytes_str(id) },
        .parent = t->objects,
        .browse_name = { 1, bytes_str(id) },
        .data_type = UA_NS0(UA_DOUBLE),
        .access = UA_ACCESS_READ | UA_ACCESS_WRITE,
        .value = &value,
    };
    assert_int_equal(ua_add(t->space, &p, &n, NULL), CODE_OK);
    return ua_as_variable(n);
}

static ua_status read_into(struct stage *t, struct ua_node *n, uint32_t attribute, struct arena *a, struct ua_variant *out)
{
    const struct ua_server_user user = { .may_write = false };
    struct ua_value v;
    ua_read_attribute(t->space, &user, n, attribute, NULL, &v);
    struct ua_variant view;
    assert_true(ua_value_read(&v, a, &view));
    assert_true(ua_variant_copy(a, &view, out));
    ua_status status = v.status;
    ua_value_drop(&v);
    return status;
}

static void nodes_are_found_until_they_are_removed(void **state)
{
    struct stage *t = *state;
    uint32_t before = ua_node_count(t->space);
    char name[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "v%d", i);
        (void)number(t, name, i);
    }
    for (int i = 0; i < 1000; i += 3) {
        (void)snprintf(name, sizeof name, "v%d", i);
        ua_remove(t->space, ua_find(t->space, &(struct ua_node_id){ 1, UA_ID_STRING, { .text = bytes_str(name) } }));
    }
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof name, "v%d", i);
        struct ua_node_id id = { 1, UA_ID_STRING, { .text = bytes_str(name) } };
        assert_true(!ua_find(t->space, &id) == (i % 3 == 0));
        id.ns = 2;
        assert_null(ua_find(t->space, &id));
    }
    assert_int_equal(ua_node_count(t->space), before + 666);
    assert_int_equal(t->objects->ref_count, 1 + 666); /* and its type */
}

static void an_id_is_given_once(void **state)
{
    struct stage *t = *state;
    (void)number(t, "a", 1);
    struct fault why;
    const struct ua_new again = { .id = { .ns = 1, .kind = UA_ID_STRING, .text = BYTES_LIT("a") }, .parent = t->objects };
    assert_int_equal(ua_add(t->space, &again, NULL, &why), CODE_EXISTS);
    const struct ua_new orphan = { .type = 7777, .parent = t->objects };
    uint32_t before = ua_node_count(t->space), refs = t->objects->ref_count;
    assert_int_equal(ua_add(t->space, &orphan, NULL, &why), CODE_NOTFOUND);
    assert_int_equal(ua_node_count(t->space), before);
    assert_int_equal(t->objects->ref_count, refs);
}

static void there_is_an_end_to_nodes_and_names(void **state)
{
    struct stage *t = *state;
    struct ua_space *s;
    struct fault why;
    const struct ua_space_limits few = { .nodes = 2, .namespaces = 3, .name_bytes = 20 };
    assert_int_equal(ua_space_open(&s, t->loop, BYTES_LIT("urn:x"), &few, &why), CODE_LIMIT); /* the standard's URI is longer */
    const struct ua_space_limits fit = { .nodes = 2, .namespaces = 3, .name_bytes = 40 };
    assert_int_equal(ua_space_open(&s, t->loop, BYTES_LIT("urn:x"), &fit, &why), CODE_OK);
    uint16_t index;
    assert_int_equal(ua_namespace(s, BYTES_LIT("urn:x"), &index, &why), CODE_OK);
    assert_int_equal(index, 1);
    assert_int_equal(ua_namespace(s, BYTES_LIT("urn:y"), &index, &why), CODE_OK);
    assert_int_equal(index, 2);
    assert_int_equal(ua_namespace(s, BYTES_LIT("urn:z"), &index, &why), CODE_LIMIT);
    assert_true(bytes_is(ua_namespace_uri(s, 2), "urn:y"));
    assert_null(ua_namespace_uri(s, 3).at);
    (void)test_type(s, 58, UA_CLASS_OBJECT_TYPE, NULL, "a");
    (void)test_type(s, 59, UA_CLASS_OBJECT_TYPE, NULL, "b");
    const struct ua_new third = { .id = UA_NS0(60), .node_class = UA_CLASS_OBJECT_TYPE };
    assert_int_equal(ua_add(s, &third, NULL, &why), CODE_LIMIT);
    ua_space_close(s);
    const struct ua_new named = { .browse_name = { 1, bytes_of("x", 513) } };
    assert_int_equal(ua_add(t->space, &named, NULL, &why), CODE_LIMIT);
}

static void what_hangs_below_goes_along(void **state)
{
    struct stage *t = *state;
    struct ua_node *machine, *other, *part, *shared;
    const struct ua_new a = { .parent = t->objects, .browse_name = { 1, BYTES_LIT("machine") } };
    const struct ua_new b = { .parent = t->objects, .browse_name = { 1, BYTES_LIT("other") } };
    uint32_t before = ua_node_count(t->space);
    assert_int_equal(ua_add(t->space, &a, &machine, NULL), CODE_OK);
    assert_int_equal(ua_add(t->space, &b, &other, NULL), CODE_OK);
    const struct ua_new c = { .parent = machine, .browse_name = { 1, BYTES_LIT("part") } };
    assert_int_equal(ua_add(t->space, &c, &part, NULL), CODE_OK);
    assert_int_equal(ua_add(t->space, &c, &shared, NULL), CODE_OK);
    assert_int_equal(ua_refer(t->space, other, UA_ID_HAS_COMPONENT, shared, NULL), CODE_OK);
    const struct ua_range range = { -10, 50 };
    const struct ua_eu_information unit = { .unit_id = 4408652, .display_name = { .text = BYTES_LIT("C") } };
    assert_int_equal(ua_add_units(t->space, part, &range, &unit, NULL), CODE_OK);
    struct ua_node *eu = ua_child(part, 0, BYTES_LIT("EURange"));
    assert_non_null(eu);
    assert_int_equal(ua_as_variable(eu)->data_type.number, 884);
    assert_ptr_equal(ua_follow(part, UA_ID_HAS_COMPONENT, true), machine);
    ua_remove(t->space, machine);
    assert_int_equal(ua_node_count(t->space), before + 2); /* the other, and what it shares */
    assert_ptr_equal(ua_child(other, 1, BYTES_LIT("part")), shared);
    assert_null(ua_child(t->objects, 1, BYTES_LIT("machine")));
}

static void types_know_their_subtypes(void **state)
{
    struct stage *t = *state;
    assert_true(ua_is_subtype(t->space, &UA_NS0(UA_ID_DURATION), &UA_NS0(UA_ID_BASE_DATA_TYPE)));
    assert_false(ua_is_subtype(t->space, &UA_NS0(UA_ID_NUMBER_TYPE), &UA_NS0(UA_DOUBLE)));
    assert_int_equal(ua_builtin_of(t->space, &UA_NS0(UA_ID_DURATION)), UA_DOUBLE);
    assert_int_equal(ua_builtin_of(t->space, &UA_NS0(UA_ID_NUMBER_TYPE)), UA_NULL);
    assert_int_equal(ua_builtin_of(t->space, &UA_NS0(UA_ID_ENUMERATION)), UA_INT32);
    assert_int_equal(ua_builtin_of(t->space, &UA_NS0(UA_ID_STRUCTURE)), UA_EXTENSION_OBJECT);
    assert_int_equal(ua_builtin_of(t->space, &UA_NS0(9999)), UA_NULL);
}

static void each_class_has_its_attributes(void **state)
{
    struct stage *t = *state;
    static const struct {
        uint8_t node_class;
        const char *attributes; /* 1 to 27 */
    } all[] = {
        { UA_CLASS_OBJECT, "111111100001000000000000000" },     { UA_CLASS_VARIABLE, "111111100000111111110000001" },
        { UA_CLASS_METHOD, "111111100000000000001100000" },     { UA_CLASS_OBJECT_TYPE, "111111110000000000000000000" },
        { UA_CLASS_DATA_TYPE, "111111110000000000000000000" },  { UA_CLASS_REFERENCE_TYPE, "111111111100000000000000000" },
        { UA_CLASS_VIEW, "111111100011000000000000000" },       { UA_CLASS_VARIABLE_TYPE, "111111110000011100000000000" },
    };
    _Alignas(16) uint8_t lent[4096];
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ua_node *n;
        const struct ua_variant first = { .type = UA_INT32, .i32 = 5 };
        const struct ua_new p = { .node_class = all[i].node_class,
                                  .browse_name = { 1, BYTES_LIT("n") },
                                  .inverse_name = BYTES_LIT("m"),
                                  .value = all[i].node_class == UA_CLASS_VARIABLE ? &first : NULL };
        assert_int_equal(ua_add(t->space, &p, &n, NULL), CODE_OK);
        for (uint32_t k = 0; k <= 28; k++) {
            struct arena a;
            arena_init(&a, lent, sizeof lent, 0);
            struct ua_variant v;
            bool has = k >= 1 && k <= 27 && all[i].attributes[k - 1] == '1';
            assert_int_equal(read_into(t, n, k, &a, &v), has ? UA_GOOD : UA_BAD_ATTRIBUTE_ID_INVALID);
            assert_true(has == (v.type != UA_NULL));
        }
    }
}

static void attributes_say_what_the_node_is(void **state)
{
    struct stage *t = *state;
    _Alignas(16) uint8_t lent[4096];
    struct arena a;
    arena_init(&a, lent, sizeof lent, 0);
    struct ua_variable *n = number(t, "speed", 2.5);
    struct ua_variant v;
    assert_int_equal(read_into(t, &n->node, UA_ATTR_VALUE, &a, &v), UA_GOOD);
    assert_true(v.type == UA_DOUBLE && v.f64 == 2.5);
    assert_int_equal(read_into(t, &n->node, UA_ATTR_NODE_ID, &a, &v), UA_GOOD);
    assert_true(ua_node_id_equal(v.at, &n->node.id));
    assert_int_equal(read_into(t, &n->node, UA_ATTR_DISPLAY_NAME, &a, &v), UA_GOOD);
    assert_true(bytes_is(((const struct ua_localized_text *)v.at)->text, "speed"));
    assert_int_equal(read_into(t, &n->node, UA_ATTR_ACCESS_LEVEL, &a, &v), UA_GOOD);
    assert_int_equal(v.u8, 3);
    assert_int_equal(read_into(t, &n->node, UA_ATTR_USER_ACCESS_LEVEL, &a, &v), UA_GOOD);
    assert_int_equal(v.u8, 1); /* this user may not write */
    assert_int_equal(read_into(t, &n->node, UA_ATTR_DATA_TYPE, &a, &v), UA_GOOD);
    assert_true(ua_node_id_equal(v.at, &UA_NS0(UA_DOUBLE)));
    assert_int_equal(read_into(t, &n->node, UA_ATTR_VALUE_RANK, &a, &v), UA_GOOD);
    assert_int_equal(v.i32, -1);
}

static ua_status read_one(struct stage *t, const struct ua_read_value_id *id, struct ua_value *v)
{
    ua_read_one(t->space, NULL, id, v);
    return v->status;
}

static void wrong_reads_have_their_own_status(void **state)
{
    struct stage *t = *state;
    struct ua_variable *n = number(t, "x", 1), *blind = number(t, "blind", 1), *late;
    blind->access = UA_ACCESS_WRITE;
    const struct ua_new empty = { .parent = t->objects, .node_class = UA_CLASS_VARIABLE, .browse_name = { 1, BYTES_LIT("late") } };
    struct ua_node *node;
    assert_int_equal(ua_add(t->space, &empty, &node, NULL), CODE_OK);
    late = ua_as_variable(node);
    struct ua_value v;
    struct ua_read_value_id id = { .node_id = n->node.id, .attribute_id = UA_ATTR_VALUE };
    assert_int_equal(read_one(t, &id, &v), UA_GOOD);
    assert_true(v.source_time && v.server_time);
    id.index_range = BYTES_LIT("1:0");
    assert_int_equal(read_one(t, &id, &v), UA_BAD_INDEX_RANGE_INVALID);
    id.index_range = BYTES_LIT("0:1");
    assert_true(ua_is_bad(read_one(t, &id, &v)) && !v.len);
    id.index_range = BYTES_NONE;
    id.data_encoding.name = BYTES_LIT("Default Binary");
    assert_int_equal(read_one(t, &id, &v), UA_GOOD);
    id.data_encoding.name = BYTES_LIT("Default XML");
    assert_int_equal(read_one(t, &id, &v), UA_BAD_DATA_ENCODING_UNSUPPORTED);
    id.data_encoding.name = BYTES_LIT("mine");
    assert_int_equal(read_one(t, &id, &v), UA_BAD_DATA_ENCODING_INVALID);
    id.data_encoding.name = BYTES_LIT("Default Binary");
    id.attribute_id = UA_ATTR_NODE_CLASS;
    assert_int_equal(read_one(t, &id, &v), UA_BAD_DATA_ENCODING_INVALID);
    id.data_encoding.name = BYTES_NONE;
    id.attribute_id = UA_ATTR_EXECUTABLE;
    assert_int_equal(read_one(t, &id, &v), UA_BAD_ATTRIBUTE_ID_INVALID);
    id = (struct ua_read_value_id){ .node_id = blind->node.id, .attribute_id = UA_ATTR_VALUE };
    assert_int_equal(read_one(t, &id, &v), UA_BAD_NOT_READABLE);
    id.node_id = late->node.id;
    assert_int_equal(read_one(t, &id, &v), UA_BAD_WAITING_FOR_INITIAL_DATA);
    id.node_id = UA_NS0(4711);
    assert_int_equal(read_one(t, &id, &v), UA_BAD_NODE_ID_UNKNOWN);
}

static void a_part_of_an_array_is_read(void **state)
{
    struct stage *t = *state;
    static const int16_t all[] = { 10, 11, 12, 13 };
    const struct ua_variant value = { .type = UA_INT16, .array = true, .count = 4, .at = all };
    struct ua_node *n;
    const struct ua_new p = { .parent = t->objects, .data_type = UA_NS0(UA_INT16), .rank = 1, .value = &value };
    assert_int_equal(ua_add(t->space, &p, &n, NULL), CODE_OK);
    struct ua_read_value_id id = { .node_id = n->id, .attribute_id = UA_ATTR_VALUE, .index_range = BYTES_LIT("1:2") };
    struct ua_value v;
    assert_int_equal(read_one(t, &id, &v), UA_GOOD);
    _Alignas(16) uint8_t lent[256];
    struct arena a;
    arena_init(&a, lent, sizeof lent, 0);
    struct ua_variant got;
    assert_true(ua_value_read(&v, &a, &got));
    assert_true(got.array && got.count == 2 && ((const int16_t *)got.at)[1] == 12);
    ua_value_drop(&v);
    id.index_range = BYTES_LIT("7");
    assert_int_equal(read_one(t, &id, &v), UA_BAD_INDEX_RANGE_NO_DATA);
}

/* ---- watches ---- */

struct seen {
    struct ua_watcher watch;
    unsigned changed, gone;
    struct ua_value last;
};

static void on_changed(struct ua_watcher *w, const struct ua_value *v)
{
    struct seen *s = (struct seen *)(void *)w;
    s->changed++;
    ua_value_drop(&s->last);
    ua_value_copy(&s->last, v);
}

static void on_gone(struct ua_watcher *w)
{
    struct seen *s = (struct seen *)(void *)w;
    assert_null(w->node);
    s->gone++;
}

static void who_watches_is_told(void **state)
{
    struct stage *t = *state;
    struct ua_variable *n = number(t, "x", 1);
    struct seen fed[3] = { 0 }, node = { 0 };
    for (int i = 0; i < 3; i++) {
        fed[i].watch = (struct ua_watcher){ .changed = on_changed, .gone = on_gone };
        ua_watch_fed(&fed[i].watch, n);
    }
    node.watch = (struct ua_watcher){ .changed = on_changed, .gone = on_gone };
    ua_watch_node(&node.watch, &n->node);
    ua_unwatch(&fed[1].watch);
    ua_unwatch(&fed[1].watch);
    uint32_t before = n->changes;
    const struct ua_data_value d = { .has = UA_HAS_VALUE | UA_HAS_SOURCE_TIME,
                                     .source_time = 99,
                                     .value = { .type = UA_STRING, .text = BYTES_LIT("a text that has no room in the node") } };
    assert_true(ua_set_value(t->space, n, &d));
    assert_int_equal(n->changes, before + 1);
    assert_true(fed[0].changed == 1 && fed[1].changed == 0 && fed[2].changed == 1 && node.changed == 0);
    assert_int_equal(fed[0].last.source_time, 99);
    assert_ptr_equal(fed[0].last.blob, n->value.blob);
    ua_set_status(t->space, n, UA_UNCERTAIN_LAST_USABLE_VALUE, 0);
    assert_true(fed[2].last.len && fed[2].last.status == UA_UNCERTAIN_LAST_USABLE_VALUE);
    ua_set_status(t->space, n, UA_BAD_NO_COMMUNICATION, 0);
    assert_true(!fed[2].last.len && fed[2].last.status == UA_BAD_NO_COMMUNICATION);
    ua_remove(t->space, &n->node);
    assert_true(fed[0].gone == 1 && fed[1].gone == 0 && fed[2].gone == 1 && node.gone == 1);
}

static ua_status own_read(void *ctx, struct ua_variable *v, struct ua_value *out)
{
    (void)v;
    const struct ua_variant now = { .type = UA_INT32, .i32 = ++*(int *)ctx };
    return *(int *)ctx > 2 ? UA_BAD_DEVICE_FAILURE : ua_value_set(out, &now) ? UA_GOOD : UA_BAD_OUT_OF_MEMORY;
}

static void a_variable_may_answer_itself(void **state)
{
    struct stage *t = *state;
    static const struct ua_variable_ops ops = { .read = own_read };
    int count = 0;
    struct ua_node *n;
    const struct ua_new p = { .parent = t->objects, .data_type = UA_NS0(UA_INT32), .ops = &ops, .ctx = &count };
    assert_int_equal(ua_add(t->space, &p, &n, NULL), CODE_OK);
    struct ua_read_value_id id = { .node_id = n->id, .attribute_id = UA_ATTR_VALUE };
    struct ua_value v;
    assert_int_equal(read_one(t, &id, &v), UA_GOOD);
    assert_true(v.source_time && v.server_time && v.at[1] == 1);
    assert_int_equal(read_one(t, &id, &v), UA_GOOD);
    assert_int_equal(v.at[1], 2);
    assert_int_equal(read_one(t, &id, &v), UA_BAD_DEVICE_FAILURE);
    assert_int_equal(v.len, 0);
}

static void a_method_shows_its_arguments(void **state)
{
    struct stage *t = *state;
    const struct ua_argument in[] = { { .name = BYTES_LIT("speed"), .data_type = UA_NS0(UA_DOUBLE), .value_rank = -1 },
                                      { .name = BYTES_LIT("why"), .data_type = UA_NS0(UA_STRING), .value_rank = -1 } };
    struct ua_node *n;
    const struct ua_new p = { .parent = t->objects,
                              .node_class = UA_CLASS_METHOD,
                              .browse_name = { 1, BYTES_LIT("Start") },
                              .inputs = in,
                              .input_count = 2 };
    assert_int_equal(ua_add(t->space, &p, &n, NULL), CODE_OK);
    assert_null(ua_child(n, 0, BYTES_LIT("OutputArguments")));
    struct ua_variable *v = ua_as_variable(ua_child(n, 0, BYTES_LIT("InputArguments")));
    assert_non_null(v);
    assert_int_equal(v->data_type.number, 296);
    assert_true(bytes_is(ua_as_method(n)->inputs[1].name, "why"));
    _Alignas(16) uint8_t lent[2048];
    struct arena a;
    arena_init(&a, lent, sizeof lent, 0);
    struct ua_variant got;
    assert_true(ua_value_read(&v->value, &a, &got));
    struct ua_argument first;
    struct ua_reader like = ua_reader_of(BYTES_NONE, &a, NULL);
    assert_true(ua_object_read(&like, got.at, &ua_argument_type, &first));
    assert_true(bytes_is(first.name, "speed"));
}

static void without_memory_nothing_is_half_there(void **state)
{
    struct stage *t = *state;
    const struct ua_argument in[] = { { .name = BYTES_LIT("speed"), .data_type = UA_NS0(UA_DOUBLE), .value_rank = -1 } };
    const struct ua_variant text = { .type = UA_STRING, .text = BYTES_LIT("a text that has no room in the node") };
    const uint32_t dims[] = { 3 };
    const struct ua_new all[] = {
        { .parent = t->objects, .node_class = UA_CLASS_METHOD, .inputs = in, .input_count = 1 },
        { .parent = t->objects,
          .data_type = UA_NS0(UA_STRING),
          .value = &text,
          .history = 5,
          .rank = 1,
          .dims = dims,
          .dims_count = 1 },
        { .id = { .ns = 1, .kind = UA_ID_STRING, .text = BYTES_LIT("text") },
          .parent = t->objects,
          .browse_name = { 1, BYTES_LIT("o") } },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (uint64_t n = 1;; n++) {
            uint32_t nodes = ua_node_count(t->space), refs = t->objects->ref_count;
            mem_fail_at(n);
            enum code c = ua_add(t->space, &all[i], NULL, NULL);
            bool fired = mem_fail_fired();
            mem_fail_at(0);
            if (c == CODE_OK && !fired)
                break;
            assert_int_equal(c, CODE_NOMEM);
            assert_int_equal(ua_node_count(t->space), nodes);
            assert_int_equal(t->objects->ref_count, refs);
        }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_are_found_until_they_are_removed),
        TEST(an_id_is_given_once),
        TEST(there_is_an_end_to_nodes_and_names),
        TEST(what_hangs_below_goes_along),
        TEST(types_know_their_subtypes),
        TEST(each_class_has_its_attributes),
        TEST(attributes_say_what_the_node_is),
        TEST(wrong_reads_have_their_own_status),
        TEST(a_part_of_an_array_is_read),
        TEST(who_watches_is_told),
        TEST(a_variable_may_answer_itself),
        TEST(a_method_shows_its_arguments),
        TEST(without_memory_nothing_is_half_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
