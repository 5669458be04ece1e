/* HistoryRead. */
#include "uaserver/service_test_stage.h"

/* ---- HistoryRead ---- */

static void record(struct ua_variable *v, int from, int to)
{
    for (int i = from; i <= to; i++) {
        const struct ua_data_value d = { .has = UA_HAS_VALUE | UA_HAS_SOURCE_TIME,
                                         .source_time = i * 100,
                                         .value = { .type = UA_INT32, .i32 = i } };
        assert_true(ua_set_value(world.server->space, v, &d));
    }
}

static struct ua_variable *recorder(uint32_t room, int values)
{
    struct ua_node *n;
    const struct ua_new p = { .parent = ua_find0(world.server->space, UA_ID_OBJECTS_FOLDER),
                              .browse_name = { 1, BYTES_LIT("recorder") },
                              .data_type = UA_NS0(UA_INT32),
                              .history = room };
    assert_int_equal(ua_add(world.server->space, &p, &n, NULL), CODE_OK);
    record(ua_as_variable(n), 1, values);
    return ua_as_variable(n);
}

/* The values as a list of numbers; *point is taken and given. */
static ua_status history(struct client *c, struct ua_node_id id, struct ua_read_raw_modified_details details, struct bytes *point,
                         int32_t *values, uint32_t *count)
{
    struct ua_extension_object o;
    assert_true(ua_object_of(&world.arena, &ua_read_raw_modified_details_type, &details, &o));
    const struct ua_history_read_value_id node = { .node_id = id, .continuation_point = point ? *point : BYTES_NONE };
    struct ua_history_read_request q = { .history_read_details = o, .nodes_to_read = &node, .nodes_to_read_count = 1 };
    struct ua_history_read_response a;
    *count = 0;
    ua_status status = CLIENT_ASK(c, history_read, &q, &a);
    if (status)
        return status;
    assert_int_equal(a.results_count, 1);
    if (point)
        *point = a.results[0].continuation_point;
    if (ua_is_bad(a.results[0].status_code))
        return a.results[0].status_code;
    struct ua_history_data data;
    struct ua_reader like = ua_reader_of(BYTES_NONE, &world.arena, NULL);
    assert_true(ua_object_read(&like, &a.results[0].history_data, &ua_history_data_type, &data));
    for (uint32_t i = 0; i < data.data_values_count; i++)
        values[(*count)++] = data.data_values[i].value.i32;
    return a.results[0].status_code;
}

static void the_past_is_read_in_pieces(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    struct ua_variable *r = recorder(10, 15); /* 6 to 15 are left */
    int32_t got[32];
    uint32_t n;
    struct bytes point = BYTES_NONE;
    assert_int_equal(
        history(&c, r->node.id, (struct ua_read_raw_modified_details){ .start_time = 1, .end_time = 1200 }, NULL, got, &n),
        UA_GOOD);
    assert_true(n == 6 && got[0] == 6 && got[5] == 11); /* the end is not in it */
    assert_int_equal(
        history(&c, r->node.id, (struct ua_read_raw_modified_details){ .start_time = 1200, .end_time = 900 }, NULL, got, &n),
        UA_GOOD);
    assert_true(n == 3 && got[0] == 12 && got[2] == 10);
    struct ua_read_raw_modified_details d = { .start_time = 700, .num_values_per_node = 4 };
    assert_int_equal(history(&c, r->node.id, d, &point, got, &n), UA_GOOD);
    assert_true(n == 4 && got[0] == 7 && got[3] == 10 && point.len);
    assert_int_equal(history(&c, r->node.id, d, &point, got, &n), UA_GOOD);
    assert_true(n == 4 && got[0] == 11 && got[3] == 14 && point.len);
    assert_int_equal(history(&c, r->node.id, d, &point, got, &n), UA_GOOD);
    assert_true(n == 1 && got[0] == 15 && !point.len);
    /* What has gone meanwhile has gone: it goes on with the oldest that is there. */
    assert_int_equal(history(&c, r->node.id, d, &point, got, &n), UA_GOOD);
    assert_true(n == 4 && got[3] == 10 && point.len);
    record(r, 16, 22);
    assert_int_equal(history(&c, r->node.id, d, &point, got, &n), UA_GOOD);
    assert_true(n == 4 && got[0] == 13);
    d = (struct ua_read_raw_modified_details){ .end_time = 1500, .num_values_per_node = 2 };
    assert_int_equal(history(&c, r->node.id, d, NULL, got, &n), UA_GOOD);
    assert_true(n == 2 && got[0] == 15 && got[1] == 14);
    ua_remove(world.server->space, &r->node);
    r = recorder(10, 15);
    /* With the values next to it; where there is none, a place that says so. */
    d = (struct ua_read_raw_modified_details){ .start_time = 750, .end_time = 950, .return_bounds = true };
    assert_int_equal(history(&c, r->node.id, d, NULL, got, &n), UA_GOOD);
    assert_true(n == 4 && got[0] == 7 && got[1] == 8 && got[3] == 10);
    d = (struct ua_read_raw_modified_details){ .start_time = 700, .end_time = 900, .return_bounds = true };
    assert_int_equal(history(&c, r->node.id, d, NULL, got, &n), UA_GOOD);
    assert_true(n == 3 && got[0] == 7 && got[2] == 9);
    d = (struct ua_read_raw_modified_details){ .start_time = 950, .end_time = 750, .return_bounds = true };
    assert_int_equal(history(&c, r->node.id, d, NULL, got, &n), UA_GOOD);
    assert_true(n == 4 && got[0] == 10 && got[1] == 9 && got[3] == 7);
    d = (struct ua_read_raw_modified_details){ .start_time = 1, .end_time = 9000, .return_bounds = true };
    assert_int_equal(history(&c, r->node.id, d, NULL, got, &n), UA_GOOD);
    assert_true(n == 12 && got[0] == 0 && got[1] == 6 && got[10] == 15 && got[11] == 0);
    d = (struct ua_read_raw_modified_details){ .start_time = 5000, .end_time = 6000 };
    assert_int_equal(history(&c, r->node.id, d, NULL, got, &n), UA_GOOD_NO_DATA);
    close_with(&c);
}

static void what_history_does_not_do(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    struct ua_variable *r = recorder(10, 3);
    int32_t got[32];
    uint32_t n;
    struct ua_read_raw_modified_details d = { .start_time = 1, .end_time = 1200 };
    assert_int_equal(history(&c, speed->node.id, d, NULL, got, &n), UA_BAD_HISTORY_OPERATION_UNSUPPORTED);
    assert_int_equal(history(&c, UA_NS0(4711), d, NULL, got, &n), UA_BAD_NODE_ID_UNKNOWN);
    struct bytes point = BYTES_LIT("x");
    assert_int_equal(history(&c, r->node.id, d, &point, got, &n), UA_BAD_CONTINUATION_POINT_INVALID);
    struct ua_history_read_value_id nodes[101];
    for (int i = 0; i < 101; i++)
        nodes[i] = (struct ua_history_read_value_id){ .node_id = r->node.id };
    struct ua_history_read_request q = { .nodes_to_read = nodes, .nodes_to_read_count = 101 };
    struct ua_history_read_response a;
    assert_true(ua_object_of(&world.arena, &ua_read_raw_modified_details_type, &d, &q.history_read_details));
    assert_int_equal(CLIENT_ASK(&c, history_read, &q, &a), UA_BAD_TOO_MANY_OPERATIONS);
    q.nodes_to_read_count = 100;
    assert_int_equal(CLIENT_ASK(&c, history_read, &q, &a), UA_GOOD);
    q.timestamps_to_return = UA_TIMES_NEITHER;
    assert_int_equal(CLIENT_ASK(&c, history_read, &q, &a), UA_BAD_TIMESTAMPS_TO_RETURN_INVALID);
    d.is_read_modified = true;
    assert_int_equal(history(&c, r->node.id, d, NULL, got, &n), UA_BAD_HISTORY_OPERATION_UNSUPPORTED);
    d = (struct ua_read_raw_modified_details){ .start_time = 1 };
    assert_int_equal(history(&c, r->node.id, d, NULL, got, &n), UA_BAD_HISTORY_OPERATION_INVALID);
    close_with(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_past_is_read_in_pieces),
        cmocka_unit_test(what_history_does_not_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
