/* The view services as a client meets them, over a simulated network. */
#include "uaserver/server_test_client.h"

#include <stdio.h>

struct stage {
    struct world  w;
    struct client c;
    struct ua_node *folder;
    uint64_t before;
};

static struct ua_node *add(struct stage *t, struct ua_node *parent, const char *name, bool variable)
{
    struct ua_node *n;
    struct ua_new p = { .id = { .ns = 1, .kind = UA_ID_STRING, .text = bytes_str(name) }, .parent = parent,
                        .browse_name = { 1, bytes_str(name) } };
    const struct ua_variant zero = { .type = UA_DOUBLE };
    if (variable) {
        p.data_type = UA_NS0(UA_DOUBLE);
        p.value = &zero;
    } else {
        p.type = UA_ID_FOLDER_TYPE;
    }
    assert_int_equal(ua_add(ua_server_space(t->w.server), &p, &n, NULL), CODE_OK);
    return n;
}

enum { CHILDREN = 50 };

static int open_stage(void **state)
{
    static struct stage t;
    t = (struct stage){ .w = { .options = { .anonymous = true } }, .before = mem_in_use() };
    t.w.options.limits.continuation_points = 3;
    t.w.options.limits.operations = 100;
    world_open(&t.w);
    t.folder = add(&t, ua_find0(ua_server_space(t.w.server), UA_ID_OBJECTS_FOLDER), "plant", false);
    for (int i = 0; i < CHILDREN; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "v%02d", i);
        (void)add(&t, t.folder, name, true);
    }
    client_begin(&t.c, &t.w);
    *state = &t;
    return 0;
}

static int close_stage(void **state)
{
    struct stage *t = *state;
    client_close(&t->c);
    world_close(&t->w);
    assert_int_equal(mem_in_use(), t->before);
    return 0;
}

static struct ua_browse_description all_of(struct ua_node_id id)
{
    return (struct ua_browse_description){ .node_id = id, .reference_type_id = UA_NS0(UA_ID_HIERARCHICAL_REFERENCES),
                                           .include_subtypes = true, .result_mask = UA_BROWSE_ALL };
}

static struct ua_browse_result browse(struct stage *t, struct ua_browse_description d, uint32_t most)
{
    struct ua_browse_request q = { .requested_max_references_per_node = most, .nodes_to_browse = &d, .nodes_to_browse_count = 1 };
    struct ua_browse_response a;
    assert_int_equal(CLIENT_ASK(&t->c, browse, &q, &a), UA_GOOD);
    assert_int_equal(a.results_count, 1);
    return a.results[0];
}

static struct ua_browse_result next(struct stage *t, struct bytes point, bool release)
{
    struct ua_browse_next_request q = { .release_continuation_points = release, .continuation_points = &point,
                                        .continuation_points_count = 1 };
    struct ua_browse_next_response a;
    assert_int_equal(CLIENT_ASK(&t->c, browse_next, &q, &a), UA_GOOD);
    assert_int_equal(a.results_count, 1);
    return a.results[0];
}

static void the_root_has_its_folders(void **state)
{
    struct stage *t = *state;
    struct ua_browse_result r = browse(t, all_of(UA_NS0(UA_ID_ROOT_FOLDER)), 0);
    assert_int_equal(r.status_code, UA_GOOD);
    assert_null(r.continuation_point.at);
    assert_int_equal(r.references_count, 3);
    const struct ua_reference_description *objects = &r.references[0];
    assert_int_equal(objects->node_id.id.number, UA_ID_OBJECTS_FOLDER);
    assert_int_equal(objects->reference_type_id.number, UA_ID_ORGANIZES);
    assert_true(objects->is_forward);
    assert_true(bytes_is(objects->browse_name.name, "Objects"));
    assert_true(bytes_is(objects->display_name.text, "Objects"));
    assert_int_equal(objects->node_class, UA_CLASS_OBJECT);
    assert_int_equal(objects->type_definition.id.number, UA_ID_FOLDER_TYPE);
}

static void masks_and_directions_are_kept(void **state)
{
    struct stage *t = *state;
    struct ua_browse_description d = all_of(t->folder->id);
    d.browse_direction = UA_BROWSE_INVERSE;
    struct ua_browse_result r = browse(t, d, 0);
    assert_int_equal(r.references_count, 1);
    assert_int_equal(r.references[0].node_id.id.number, UA_ID_OBJECTS_FOLDER);
    assert_false(r.references[0].is_forward);
    d.browse_direction = UA_BROWSE_BOTH;
    assert_int_equal(browse(t, d, 0).references_count, CHILDREN + 1);
    d.reference_type_id = UA_NS0(0);
    assert_int_equal(browse(t, d, 0).references_count, CHILDREN + 2); /* and its type */
    d.node_class_mask = UA_CLASS_OBJECT_TYPE;
    r = browse(t, d, 0);
    assert_int_equal(r.references_count, 1);
    assert_int_equal(r.references[0].node_id.id.number, UA_ID_FOLDER_TYPE);
    assert_int_equal(r.references[0].type_definition.id.number, 0); /* types have none */
    d = all_of(t->folder->id);
    d.include_subtypes = false;
    assert_int_equal(browse(t, d, 0).references_count, 0); /* none is of that very type */
    d.reference_type_id = UA_NS0(UA_ID_ORGANIZES);
    assert_int_equal(browse(t, d, 0).references_count, CHILDREN);
    d.result_mask = UA_BROWSE_BROWSE_NAME;
    r = browse(t, d, 0);
    assert_true(bytes_is(r.references[0].browse_name.name, "v00"));
    assert_null(r.references[0].display_name.text.at);
    assert_int_equal(r.references[0].node_class, 0);
    assert_int_equal(r.references[0].reference_type_id.number, 0);
    assert_int_equal(r.references[0].type_definition.id.number, 0);
}

static void what_is_wrong_has_its_own_status(void **state)
{
    struct stage *t = *state;
    struct ua_browse_description d = all_of(UA_NS0(4711));
    assert_int_equal(browse(t, d, 0).status_code, UA_BAD_NODE_ID_UNKNOWN);
    d = all_of(UA_NS0(UA_ID_ROOT_FOLDER));
    d.browse_direction = 3;
    assert_int_equal(browse(t, d, 0).status_code, UA_BAD_BROWSE_DIRECTION_INVALID);
    d = all_of(UA_NS0(UA_ID_ROOT_FOLDER));
    d.reference_type_id = UA_NS0(UA_ID_SERVER);
    assert_int_equal(browse(t, d, 0).status_code, UA_BAD_REFERENCE_TYPE_ID_INVALID);
    struct ua_browse_request q = { .nodes_to_browse = &d };
    struct ua_browse_response a;
    assert_int_equal(CLIENT_ASK(&t->c, browse, &q, &a), UA_BAD_NOTHING_TO_DO);
    static struct ua_browse_description many[101];
    q = (struct ua_browse_request){ .nodes_to_browse = many, .nodes_to_browse_count = 101 };
    assert_int_equal(CLIENT_ASK(&t->c, browse, &q, &a), UA_BAD_TOO_MANY_OPERATIONS);
    q = (struct ua_browse_request){ .nodes_to_browse = &d, .nodes_to_browse_count = 1, .view = { .view_id = UA_NS0(UA_ID_VIEWS_FOLDER) } };
    assert_int_equal(CLIENT_ASK(&t->c, browse, &q, &a), UA_BAD_VIEW_ID_UNKNOWN);
    assert_int_equal(next(t, BYTES_LIT("none"), false).status_code, UA_BAD_CONTINUATION_POINT_INVALID);
    assert_int_equal(next(t, BYTES_NONE, true).status_code, UA_BAD_CONTINUATION_POINT_INVALID);
}

static void the_rest_waits_behind_a_continuation_point(void **state)
{
    struct stage *t = *state;
    bool seen[CHILDREN] = { false };
    struct ua_browse_result r = browse(t, all_of(t->folder->id), 7);
    for (int found = 0; found < CHILDREN;) {
        assert_int_equal(r.status_code, UA_GOOD);
        assert_int_equal(r.references_count, CHILDREN - found < 7 ? CHILDREN - found : 7);
        for (uint32_t i = 0; i < r.references_count; i++) {
            int number = (r.references[i].browse_name.name.at[1] - '0') * 10 + r.references[i].browse_name.name.at[2] - '0';
            assert_false(seen[number]);
            seen[number] = true;
        }
        found += (int)r.references_count;
        assert_int_equal(r.continuation_point.at != NULL, found < CHILDREN);
        if (found < CHILDREN)
            r = next(t, r.continuation_point, false);
    }
    assert_null(browse(t, all_of(t->folder->id), CHILDREN).continuation_point.at); /* exactly as many need none */
}

static void continuation_points_are_limited_and_given_back(void **state)
{
    struct stage *t = *state;
    struct ua_browse_result r[3];
    for (int i = 0; i < 3; i++) {
        r[i] = browse(t, all_of(t->folder->id), 1);
        assert_non_null(r[i].continuation_point.at);
    }
    struct ua_browse_result none = browse(t, all_of(t->folder->id), 1);
    assert_int_equal(none.status_code, UA_BAD_NO_CONTINUATION_POINTS);
    assert_int_equal(none.references_count, 0);
    assert_int_equal(browse(t, all_of(t->folder->id), 0).references_count, CHILDREN); /* needs none */
    struct ua_browse_result released = next(t, r[1].continuation_point, true);
    assert_int_equal(released.status_code, UA_GOOD);
    assert_int_equal(released.references_count, 0);
    assert_int_equal(next(t, r[1].continuation_point, false).status_code, UA_BAD_CONTINUATION_POINT_INVALID);
    assert_int_equal(browse(t, all_of(t->folder->id), 1).status_code, UA_GOOD);
    assert_int_equal(next(t, r[0].continuation_point, false).references_count, 1);
}

static void a_node_that_is_removed_meanwhile_is_unknown(void **state)
{
    struct stage *t = *state;
    struct ua_browse_result r = browse(t, all_of(t->folder->id), 1);
    ua_remove(ua_server_space(t->w.server), t->folder);
    assert_int_equal(next(t, r.continuation_point, false).status_code, UA_BAD_NODE_ID_UNKNOWN);
}

/* A client that takes small answers gets the rest piece by piece. */
static void answers_are_held_to_what_the_client_takes(void **state)
{
    struct stage *t = *state;
    struct client c;
    assert_true(client_open(&c, &t->w, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    struct ua_create_session_request q = client_create_request(&c, NULL);
    struct ua_create_session_response a;
    q.max_response_message_size = 2000;
    assert_int_equal(CLIENT_ASK(&c, create_session, &q, &a), UA_GOOD);
    memcpy(c.token_bytes, a.authentication_token.text.at, a.authentication_token.text.len);
    c.token = a.authentication_token;
    c.token.text.at = c.token_bytes;
    memcpy(c.nonce, a.server_nonce.at, 32);
    assert_int_equal(client_activate(&c, NULL, (struct ua_extension_object){ 0 }), UA_GOOD);
    struct client *mine = &t->c, was = *mine;
    *mine = c;
    struct ua_browse_result r = browse(t, all_of(t->folder->id), 0);
    uint32_t found = r.references_count;
    assert_true(found > 5 && found < CHILDREN);
    while (r.continuation_point.at) {
        r = next(t, r.continuation_point, false);
        assert_int_equal(r.status_code, UA_GOOD);
        found += r.references_count;
    }
    assert_int_equal(found, CHILDREN);
    c = *mine;
    *mine = was;
    client_close(&c);
}

/* ---- paths ---- */

static struct ua_browse_path_result translate(struct stage *t, struct ua_node_id start, const struct ua_relative_path_element *e,
                                              uint32_t count)
{
    struct ua_browse_path p = { .starting_node = start, .relative_path = { e, count } };
    struct ua_translate_request q = { .browse_paths = &p, .browse_paths_count = 1 };
    struct ua_translate_response a;
    assert_int_equal(CLIENT_ASK(&t->c, translate, &q, &a), UA_GOOD);
    assert_int_equal(a.results_count, 1);
    return a.results[0];
}

#define STEP(ns_, text) \
    { .reference_type_id = { .number = UA_ID_HIERARCHICAL_REFERENCES }, .include_subtypes = true, .target_name = { ns_, BYTES_LIT(text) } }

static void paths_lead_to_nodes(void **state)
{
    struct stage *t = *state;
    const struct ua_relative_path_element status[] = { STEP(0, "Objects"), STEP(0, "Server"), STEP(0, "ServerStatus"), STEP(0, "State") };
    struct ua_browse_path_result r = translate(t, UA_NS0(UA_ID_ROOT_FOLDER), status, 4);
    assert_int_equal(r.status_code, UA_GOOD);
    assert_int_equal(r.targets_count, 1);
    assert_int_equal(r.targets[0].target_id.id.number, UA_ID_SERVER_SERVER_STATUS_STATE);
    assert_int_equal(r.targets[0].remaining_path_index, UINT32_MAX);
    const struct ua_relative_path_element mine[] = { STEP(1, "plant"), STEP(1, "v07") };
    r = translate(t, UA_NS0(UA_ID_OBJECTS_FOLDER), mine, 2);
    assert_int_equal(r.status_code, UA_GOOD);
    assert_true(bytes_is(r.targets[0].target_id.id.text, "v07"));
    const struct ua_relative_path_element up = { .is_inverse = true, .target_name = { 0, BYTES_LIT("Objects") } };
    assert_int_equal(translate(t, t->folder->id, &up, 1).targets[0].target_id.id.number, UA_ID_OBJECTS_FOLDER);
}

static void paths_that_lead_nowhere_say_why(void **state)
{
    struct stage *t = *state;
    const struct ua_relative_path_element wrong[] = { STEP(0, "Objects"), STEP(0, "Sever") };
    assert_int_equal(translate(t, UA_NS0(UA_ID_ROOT_FOLDER), wrong, 2).status_code, UA_BAD_NO_MATCH);
    assert_int_equal(translate(t, UA_NS0(4711), wrong, 2).status_code, UA_BAD_NODE_ID_UNKNOWN);
    assert_int_equal(translate(t, UA_NS0(UA_ID_ROOT_FOLDER), wrong, 0).status_code, UA_BAD_NOTHING_TO_DO);
    const struct ua_relative_path_element nameless = { .target_name = { 0, BYTES_NONE } };
    assert_int_equal(translate(t, UA_NS0(UA_ID_ROOT_FOLDER), &nameless, 1).status_code, UA_BAD_BROWSE_NAME_INVALID);
    static struct ua_relative_path_element deep[65];
    for (int i = 0; i < 65; i++)
        deep[i].target_name.name = BYTES_LIT("x");
    assert_int_equal(translate(t, UA_NS0(UA_ID_ROOT_FOLDER), deep, 65).status_code, UA_BAD_QUERY_TOO_COMPLEX);
    const struct ua_relative_path_element exact = { .reference_type_id = { .number = UA_ID_HIERARCHICAL_REFERENCES },
                                                    .target_name = { 0, BYTES_LIT("Objects") } };
    assert_int_equal(translate(t, UA_NS0(UA_ID_ROOT_FOLDER), &exact, 1).status_code, UA_BAD_NO_MATCH); /* not of that very type */
}

static void registered_nodes_keep_their_names(void **state)
{
    struct stage *t = *state;
    const struct ua_node_id ids[] = { UA_NS0(2258), { .ns = 1, .kind = UA_ID_STRING, .text = BYTES_LIT("v01") } };
    struct ua_register_nodes_request q = { .nodes_to_register = ids, .nodes_to_register_count = 2 };
    struct ua_register_nodes_response a;
    assert_int_equal(CLIENT_ASK(&t->c, register_nodes, &q, &a), UA_GOOD);
    assert_int_equal(a.registered_node_ids_count, 2);
    assert_true(ua_node_id_equal(&a.registered_node_ids[1], &ids[1]));
    struct ua_unregister_nodes_request u = { .nodes_to_unregister = ids, .nodes_to_unregister_count = 2 };
    struct ua_unregister_nodes_response b;
    assert_int_equal(CLIENT_ASK(&t->c, unregister_nodes, &u, &b), UA_GOOD);
    q.nodes_to_register_count = 0;
    assert_int_equal(CLIENT_ASK(&t->c, register_nodes, &q, &a), UA_BAD_NOTHING_TO_DO);
}

/* ---- the Server object ---- */

static void read_here(struct stage *t, uint32_t id, struct ua_variant *out)
{
    struct ua_data_value v;
    if (client_read(&t->c, UA_NS0(id), UA_ATTR_VALUE, &v) != UA_GOOD)
        fail_msg("%u cannot be read", id);
    *out = v.value;
}

static void the_server_says_what_it_is(void **state)
{
    struct stage *t = *state;
    struct ua_variant v;
    read_here(t, UA_ID_SERVER_NAMESPACE_ARRAY, &v);
    assert_int_equal(v.count, 2);
    assert_true(bytes_is(((const struct bytes *)v.at)[0], "http://opcfoundation.org/UA/"));
    assert_true(bytes_is(((const struct bytes *)v.at)[1], "urn:gw1:server"));
    read_here(t, UA_ID_SERVER_SERVER_STATUS, &v);
    struct ua_reader like = ua_reader_of(BYTES_NONE, &t->w.arena, NULL);
    struct ua_server_status_data_type status;
    assert_true(ua_object_read(&like, v.at, &ua_server_status_data_type_type, &status));
    assert_int_equal(status.state, UA_STATE_RUNNING);
    assert_true(status.start_time > 0 && status.current_time >= status.start_time);
    read_here(t, 11710, &v); /* MaxNodesPerBrowse */
    assert_int_equal(v.u32, 100);
    read_here(t, UA_ID_SERVER_SERVER_CAPABILITIES_MAX_BROWSE_CONTINUATION_POINTS, &v);
    assert_int_equal(v.u16, 3);
    read_here(t, 2294, &v);
    assert_false(v.boolean);
}

/* Everything below Server has a value of the type that it says. */
static void values_are_of_their_types(void **state)
{
    struct stage *t = *state;
    struct ua_space *s = ua_server_space(t->w.server);
    int checked = 0;
    for (uint32_t id = 2253; id < 32000; id++) {
        struct ua_node *n = ua_find0(s, id), *up = n;
        while (up && up->id.number != UA_ID_SERVER)
            up = up->ref_count ? ua_follow(up, UA_ID_HAS_PROPERTY, true) ? ua_follow(up, UA_ID_HAS_PROPERTY, true)
                                                                         : ua_follow(up, UA_ID_HAS_COMPONENT, true)
                               : NULL;
        struct ua_variable *v = ua_as_variable(n);
        if (!up || !v)
            continue;
        struct ua_variant value;
        read_here(t, id, &value);
        if (value.type != v->builtin || value.array != (v->rank == 1))
            fail_msg("%u has a value of type %u", id, value.type);
        checked++;
    }
    assert_true(checked > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
        T(the_root_has_its_folders),
        T(masks_and_directions_are_kept),
        T(what_is_wrong_has_its_own_status),
        T(the_rest_waits_behind_a_continuation_point),
        T(continuation_points_are_limited_and_given_back),
        T(a_node_that_is_removed_meanwhile_is_unknown),
        T(answers_are_held_to_what_the_client_takes),
        T(paths_lead_to_nodes),
        T(paths_that_lead_nowhere_say_why),
        T(registered_nodes_keep_their_names),
        T(the_server_says_what_it_is),
        T(values_are_of_their_types),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
