/* Read, Write, Call; what is limited, and what is no service at all. */
#include "uaserver/service_test_stage.h"

/* ---- Read ---- */

static void many_values_are_read_in_their_order(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    struct ua_read_value_id ids[4000];
    for (int i = 0; i < 4000; i++) {
        const struct ua_variable *all[] = { speed, words, matrix, hidden };
        ids[i] = (struct ua_read_value_id){ .node_id = all[i % 4]->node.id,
                                            .attribute_id = i % 8 == 0 ? UA_ATTR_BROWSE_NAME : UA_ATTR_VALUE };
    }
    for (int times = UA_TIMES_SOURCE; times <= UA_TIMES_NEITHER; times++) {
        struct ua_read_request q = { .timestamps_to_return = times, .nodes_to_read = ids, .nodes_to_read_count = 4000 };
        struct ua_read_response a;
        assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_GOOD);
        assert_int_equal(a.results_count, 4000);
        for (int i = 0; i < 4000; i++) {
            const struct ua_data_value *v = &a.results[i];
            bool bad = i % 4 == 3, name = i % 8 == 0;
            assert_int_equal(v->has & UA_HAS_STATUS ? v->status : 0, bad ? UA_BAD_NOT_READABLE : UA_GOOD);
            assert_int_equal(v->value.type, bad          ? UA_NULL
                                            : name       ? UA_QUALIFIED_NAME
                                            : i % 4 == 0 ? UA_DOUBLE
                                            : i % 4 == 1 ? UA_STRING
                                                         : UA_INT32);
            bool source = !bad && !name && (times == UA_TIMES_SOURCE || times == UA_TIMES_BOTH);
            bool server = !bad && (times == UA_TIMES_SERVER || times == UA_TIMES_BOTH);
            assert_true(source == !!(v->has & UA_HAS_SOURCE_TIME));
            assert_true(server == !!(v->has & UA_HAS_SERVER_TIME));
        }
        assert_true(a.results[2].value.dims_count == 2 && a.results[2].value.count == 6);
    }
    close_with(&c);
}

static void a_wrong_read_is_refused_as_a_whole(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ .operations = 10 }, &c);
    struct ua_read_value_id ids[11];
    for (int i = 0; i < 11; i++)
        ids[i] = (struct ua_read_value_id){ .node_id = speed->node.id, .attribute_id = UA_ATTR_VALUE };
    struct ua_read_response a;
    struct ua_read_request q = { .nodes_to_read = ids, .nodes_to_read_count = 11 };
    assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_BAD_TOO_MANY_OPERATIONS);
    q.nodes_to_read_count = 0;
    assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_BAD_NOTHING_TO_DO);
    q.nodes_to_read_count = 10;
    q.max_age = -1;
    assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_BAD_MAX_AGE_INVALID);
    q.max_age = 0;
    q.timestamps_to_return = 4;
    assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_BAD_TIMESTAMPS_TO_RETURN_INVALID);
    q.timestamps_to_return = -1;
    assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_BAD_TIMESTAMPS_TO_RETURN_INVALID);
    q.timestamps_to_return = 0;
    assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_GOOD);
    close_with(&c);
}

static void what_is_not_a_request_is_told_so(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    struct ua_read_response a;
    static const struct {
        uint32_t encoding;
        size_t   extra;
        ua_status status;
    } all[] = {
        { 700, 0, UA_BAD_SERVICE_UNSUPPORTED }, /* HistoryUpdate */
        { 488, 0, UA_BAD_SERVICE_UNSUPPORTED }, /* AddNodes */
        { 634, 0, UA_BAD_SERVICE_UNSUPPORTED }, /* a ReadResponse */
        { 446, 0, UA_BAD_SERVICE_UNSUPPORTED }, /* OpenSecureChannel in a message */
        { 631, 3, UA_BAD_DECODING_ERROR },      /* Read, cut short */
        { 673, 2, UA_BAD_DECODING_ERROR },
        { 712, 0, UA_BAD_DECODING_ERROR },
        { 664, 0, UA_BAD_DECODING_ERROR },
        { 461, 1, UA_BAD_DECODING_ERROR },
        { 467, 0, UA_BAD_DECODING_ERROR },
        { 473, 0, UA_BAD_DECODING_ERROR },
        { 479, 0, UA_BAD_DECODING_ERROR },
        { 422, 0, UA_BAD_DECODING_ERROR },
        { 428, 0, UA_BAD_DECODING_ERROR },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct buf out = { 0 };
        struct ua_sending sending;
        struct ua_request_header h = { .authentication_token = c.token, .request_handle = 1 };
        ua_channel_begin(c.channel, &out, &sending);
        ua_write_node_id(&out, &UA_NS0(all[i].encoding));
        ua_write_struct(&out, &ua_request_header_type, &h);
        for (size_t k = 0; k < all[i].extra; k++)
            buf_u8(&out, 0);
        assert_int_equal(ua_channel_end(c.channel, &out, &sending, 99), UA_GOOD);
        client_flush(&c, &out);
        assert_int_equal(client_answer(&c, &ua_read_response_type, &a), all[i].status);
        assert_int_equal(c.answered, 99);
    }
    /* Not even a header. */
    struct buf out = { 0 };
    struct ua_sending sending;
    ua_channel_begin(c.channel, &out, &sending);
    buf_add(&out, "\x01\x00\x77\x02\x00", 5);
    assert_int_equal(ua_channel_end(c.channel, &out, &sending, 100), UA_GOOD);
    client_flush(&c, &out);
    assert_int_equal(client_answer(&c, &ua_read_response_type, &a), UA_BAD_DECODING_ERROR);
    /* A text that is longer than texts may be. */
    static char text[70000];
    memset(text, 'x', sizeof text);
    struct ua_read_value_id id = { .node_id = { 1, UA_ID_STRING, { .text = bytes_of(text, sizeof text) } }, .attribute_id = 13 };
    struct ua_read_request q = { .nodes_to_read = &id, .nodes_to_read_count = 1 };
    assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_BAD_ENCODING_LIMITS_EXCEEDED);
    assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_BAD_ENCODING_LIMITS_EXCEEDED); /* and the session lives */
    close_with(&c);
}

static void an_answer_that_is_too_long_becomes_a_fault(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    static uint8_t big[60000];
    const struct ua_data_value d = { .has = UA_HAS_VALUE, .value = { .type = UA_BYTE_STRING, .text = bytes_of(big, sizeof big) } };
    assert_true(ua_set_value(world.server->space, any, &d));
    struct ua_read_value_id ids[1000];
    for (int i = 0; i < 1000; i++)
        ids[i] = (struct ua_read_value_id){ .node_id = any->node.id, .attribute_id = UA_ATTR_VALUE };
    struct ua_read_response a;
    struct ua_read_request q = { .nodes_to_read = ids, .nodes_to_read_count = 1000 };
    assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_BAD_RESPONSE_TOO_LARGE);
    q.nodes_to_read_count = 20; /* 1.2 MB, in chunks */
    assert_int_equal(CLIENT_ASK(&c, read, &q, &a), UA_GOOD);
    assert_int_equal(a.results[19].value.text.len, sizeof big);
    /* The client says how much it takes. */
    struct client d2;
    struct ua_create_session_response s;
    assert_true(client_open(&d2, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    struct ua_create_session_request create = client_create_request(&d2, NULL);
    create.max_response_message_size = 50000;
    assert_int_equal(CLIENT_ASK(&d2, create_session, &create, &s), UA_GOOD);
    d2.token = s.authentication_token;
    assert_int_equal(client_activate(&d2, NULL, (struct ua_extension_object){ 0 }), UA_GOOD);
    q.nodes_to_read_count = 1;
    assert_int_equal(CLIENT_ASK(&d2, read, &q, &a), UA_BAD_RESPONSE_TOO_LARGE);
    client_close(&d2);
    /* And so for every service. */
    assert_true(client_open(&d2, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    struct ua_get_endpoints_request g = { .endpoint_url = BYTES_LIT(TEST_URL) };
    struct ua_get_endpoints_response e;
    assert_int_equal(CLIENT_ASK(&d2, get_endpoints, &g, &e), UA_GOOD);
    create.max_response_message_size = 100;
    assert_int_equal(CLIENT_ASK(&d2, create_session, &create, &s), UA_BAD_RESPONSE_TOO_LARGE);
    assert_int_equal(CLIENT_ASK(&d2, get_endpoints, &g, &e), UA_BAD_RESPONSE_TOO_LARGE);
    client_close(&d2);
    close_with(&c);
}

/* ---- Write ---- */

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct client c;
    struct ua_data_value v;
    open_with((struct ua_server_limits){ 0 }, &c);
    assert_int_equal(put(&c, speed, NULL, f64(-3)), UA_GOOD);
    assert_int_equal(client_read(&c, speed->node.id, UA_ATTR_VALUE, &v), UA_GOOD);
    assert_true(v.value.f64 == -3);
    assert_true(v.source_time == ua_space_now(world.server->space));
    /* A part of an array, and of a matrix. */
    static const struct bytes x[] = { { (const uint8_t *)"x", 1 } };
    const struct ua_variant part = { .type = UA_STRING, .array = true, .count = 1, .at = x };
    assert_int_equal(put(&c, words, "1", part), UA_GOOD);
    assert_int_equal(client_read(&c, words->node.id, UA_ATTR_VALUE, &v), UA_GOOD);
    const struct bytes *got = v.value.at;
    assert_true(v.value.count == 3 && bytes_is(got[0], "a") && bytes_is(got[1], "x") && bytes_is(got[2], "c"));
    assert_int_equal(put(&c, words, "7", part), UA_BAD_INDEX_RANGE_NO_DATA);
    assert_int_equal(put(&c, words, "1:0", part), UA_BAD_INDEX_RANGE_INVALID);
    /* A ByteString for an array of bytes, whole and in part. */
    assert_int_equal(put(&c, bytes, NULL, (struct ua_variant){ .type = UA_BYTE_STRING, .text = BYTES_LIT("abc") }), UA_GOOD);
    assert_int_equal(client_read(&c, bytes->node.id, UA_ATTR_VALUE, &v), UA_GOOD);
    assert_true(v.value.type == UA_BYTE && v.value.count == 3 && !memcmp(v.value.at, "abc", 3));
    assert_int_equal(put(&c, bytes, "1:2", (struct ua_variant){ .type = UA_BYTE_STRING, .text = BYTES_LIT("xy") }), UA_GOOD);
    assert_int_equal(client_read(&c, bytes->node.id, UA_ATTR_VALUE, &v), UA_GOOD);
    assert_true(v.value.count == 3 && !memcmp(v.value.at, "axy", 3));
    close_with(&c);
}

static void many_parts_of_a_long_array_are_written(void **state)
{
    (void)state;
    struct client c;
    struct ua_data_value v;
    open_with((struct ua_server_limits){ 0 }, &c);
    static int64_t many[60000];
    const struct ua_data_value d = { .has = UA_HAS_VALUE,
                                     .value = { .type = UA_INT64, .array = true, .count = 60000, .at = many } };
    assert_true(ua_set_value(world.server->space, any, &d));
    static const int64_t seven[] = { 7 };
    struct ua_write_value w[100];
    for (int i = 0; i < 100; i++)
        w[i] = (struct ua_write_value){ .node_id = any->node.id,
                                        .attribute_id = UA_ATTR_VALUE,
                                        .index_range = BYTES_LIT("59999"),
                                        .value = { .has = UA_HAS_VALUE,
                                                   .value = { .type = UA_INT64, .array = true, .count = 1, .at = seven } } };
    struct ua_write_request q = { .nodes_to_write = w, .nodes_to_write_count = 100 };
    struct ua_write_response a;
    assert_int_equal(CLIENT_ASK(&c, write, &q, &a), UA_GOOD);
    for (int i = 0; i < 100; i++) /* each takes 480 KB apart: that ends before others have to wait long */
        assert_int_equal(a.results[i], i < 34 ? UA_GOOD : UA_BAD_RESOURCE_UNAVAILABLE);
    struct ua_read_value_id ids[100];
    for (int i = 0; i < 100; i++)
        ids[i] = (struct ua_read_value_id){ .node_id = any->node.id,
                                            .attribute_id = UA_ATTR_VALUE,
                                            .index_range = BYTES_LIT("59999") };
    struct ua_read_request reads = { .nodes_to_read = ids, .nodes_to_read_count = 100 };
    struct ua_read_response got;
    assert_int_equal(CLIENT_ASK(&c, read, &reads, &got), UA_GOOD);
    for (int i = 0; i < 100; i++)
        assert_int_equal(got.results[i].has & UA_HAS_STATUS ? got.results[i].status : 0,
                         i < 34 ? UA_GOOD : UA_BAD_RESOURCE_UNAVAILABLE);
    assert_int_equal(client_read(&c, any->node.id, UA_ATTR_VALUE, &v), UA_GOOD);
    assert_true(((const int64_t *)v.value.at)[59999] == 7 && ((const int64_t *)v.value.at)[0] == 0);
    close_with(&c);
}

static void a_value_has_to_fit(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    static const double two[] = { 1, 2 };
    static const struct bytes five[5] = { { (const uint8_t *)"", 0 } };
    static const int32_t six[6] = { 0 };
    static const uint32_t square[] = { 3, 2 };
    const struct ua_variant list = { .type = UA_DOUBLE, .array = true, .count = 2, .at = two };
    const struct ua_variant long_list = { .type = UA_STRING, .array = true, .count = 5, .at = five };
    const struct ua_variant ints = { .type = UA_INT32, .array = true, .count = 6, .at = six };
    struct ua_variant cells = ints;
    cells.dims_count = 2;
    cells.dims = square;
    assert_int_equal(put(&c, speed, NULL, (struct ua_variant){ .type = UA_FLOAT, .f32 = 1 }), UA_BAD_TYPE_MISMATCH);
    assert_int_equal(put(&c, speed, NULL, (struct ua_variant){ 0 }), UA_BAD_TYPE_MISMATCH);
    assert_int_equal(put(&c, speed, NULL, list), UA_BAD_TYPE_MISMATCH);
    assert_int_equal(put(&c, words, NULL, (struct ua_variant){ .type = UA_STRING, .text = BYTES_LIT("a") }), UA_BAD_TYPE_MISMATCH);
    assert_int_equal(put(&c, words, NULL, long_list), UA_BAD_TYPE_MISMATCH); /* four at most */
    assert_int_equal(put(&c, matrix, NULL, ints), UA_BAD_TYPE_MISMATCH);
    assert_int_equal(put(&c, matrix, NULL, cells), UA_GOOD);
    assert_int_equal(put(&c, number, NULL, (struct ua_variant){ .type = UA_STRING, .text = BYTES_LIT("1") }), UA_BAD_TYPE_MISMATCH);
    assert_int_equal(put(&c, number, NULL, (struct ua_variant){ .type = UA_UINT16, .u16 = 1 }), UA_GOOD);
    assert_int_equal(put(&c, any, NULL, list), UA_GOOD);
    assert_int_equal(put(&c, any, NULL, (struct ua_variant){ 0 }), UA_GOOD);
    close_with(&c);
}

static void who_may_not_write_is_told_why(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    struct ua_write_value w = { .node_id = speed->node.id,
                                .attribute_id = UA_ATTR_VALUE,
                                .value = { .has = UA_HAS_VALUE, .value = f64(1) } };
    assert_int_equal(write_value(&c, &w), UA_GOOD);
    w.value.has |= UA_HAS_SOURCE_TIME;
    assert_int_equal(write_value(&c, &w), UA_BAD_WRITE_NOT_SUPPORTED);
    w.value.has = UA_HAS_VALUE | UA_HAS_SERVER_TIME;
    assert_int_equal(write_value(&c, &w), UA_BAD_WRITE_NOT_SUPPORTED);
    w.value.has = UA_HAS_VALUE | UA_HAS_STATUS;
    w.value.status = UA_BAD_NO_DATA;
    assert_int_equal(write_value(&c, &w), UA_BAD_WRITE_NOT_SUPPORTED);
    w.value.status = UA_GOOD;
    assert_int_equal(write_value(&c, &w), UA_GOOD);
    speed->access |= 64;
    w.value.has = UA_HAS_VALUE | UA_HAS_SOURCE_TIME;
    w.value.source_time = 12345;
    assert_int_equal(write_value(&c, &w), UA_GOOD);
    assert_int_equal(speed->value.source_time, 12345);
    w.value.has = UA_HAS_VALUE;
    w.node_id = UA_NS0(4711);
    assert_int_equal(write_value(&c, &w), UA_BAD_NODE_ID_UNKNOWN);
    w.node_id = fixed->node.id;
    assert_int_equal(write_value(&c, &w), UA_BAD_NOT_WRITABLE);
    w.node_id = speed->node.id;
    w.attribute_id = UA_ATTR_DISPLAY_NAME;
    assert_int_equal(write_value(&c, &w), UA_BAD_NOT_WRITABLE);
    w.attribute_id = UA_ATTR_EXECUTABLE;
    assert_int_equal(write_value(&c, &w), UA_BAD_ATTRIBUTE_ID_INVALID);
    w.attribute_id = UA_ATTR_VALUE;
    struct client d;
    meek = true;
    client_begin(&d, &world);
    assert_int_equal(write_value(&d, &w), UA_BAD_USER_ACCESS_DENIED);
    client_close(&d);
    struct ua_write_request none = { 0 };
    struct ua_write_response a;
    assert_int_equal(CLIENT_ASK(&c, write, &none, &a), UA_BAD_NOTHING_TO_DO);
    close_with(&c);
}

static ua_status picky(void *ctx, struct ua_variable *v, const struct ua_server_user *u, const struct ua_data_value *d)
{
    (void)v;
    (void)u;
    *(double *)ctx = d->value.f64;
    return d->value.f64 > 100 ? UA_BAD_OUT_OF_RANGE : UA_GOOD;
}

static void the_program_may_refuse_a_write(void **state)
{
    (void)state;
    struct client c;
    static const struct ua_variable_ops ops = { .write = picky };
    double seen = 0;
    open_with((struct ua_server_limits){ 0 }, &c);
    speed->ops = &ops;
    speed->ctx = &seen;
    assert_int_equal(put(&c, speed, NULL, f64(101)), UA_BAD_OUT_OF_RANGE);
    assert_true(seen == 101);
    double d;
    assert_true(ua_value_number(&speed->value, &d) && d == 1.5);
    assert_int_equal(put(&c, speed, NULL, f64(99)), UA_GOOD);
    assert_true(ua_value_number(&speed->value, &d) && d == 99);
    close_with(&c);
}

/* ---- Call ---- */

static ua_status add_up(void *ctx, struct ua_call *call)
{
    (void)ctx;
    if (call->inputs[1].i32 < 0) {
        call->input_results[1] = UA_BAD_OUT_OF_RANGE;
        return UA_GOOD;
    }
    call->outputs[0] = (struct ua_variant){ .type = UA_DOUBLE, .f64 = call->inputs[0].f64 + call->inputs[1].i32 };
    return UA_GOOD;
}

static struct ua_call_method_result call_one(struct client *c, struct ua_call_method_request m)
{
    struct ua_call_request q = { .methods_to_call = &m, .methods_to_call_count = 1 };
    struct ua_call_response a;
    assert_int_equal(CLIENT_ASK(c, call, &q, &a), UA_GOOD);
    assert_int_equal(a.results_count, 1);
    return a.results[0];
}

static void methods_are_called_with_what_they_ask_for(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    struct ua_space *s = world.server->space;
    const struct ua_argument in[] = { { .name = BYTES_LIT("a"), .data_type = UA_NS0(UA_DOUBLE), .value_rank = -1 },
                                      { .name = BYTES_LIT("b"), .data_type = UA_NS0(UA_INT32), .value_rank = -1 } };
    const struct ua_argument out[] = { { .name = BYTES_LIT("sum"), .data_type = UA_NS0(UA_DOUBLE), .value_rank = -1 } };
    struct ua_node *machine, *add;
    const struct ua_new o = { .parent = ua_find0(s, UA_ID_OBJECTS_FOLDER), .browse_name = { 1, BYTES_LIT("machine") } };
    assert_int_equal(ua_add(s, &o, &machine, NULL), CODE_OK);
    const struct ua_new p = { .parent = machine, .node_class = UA_CLASS_METHOD, .browse_name = { 1, BYTES_LIT("Add") },
                              .inputs = in, .input_count = 2, .outputs = out, .output_count = 1, .call = add_up };
    assert_int_equal(ua_add(s, &p, &add, NULL), CODE_OK);
    struct ua_variant args[3] = { f64(1.5), { .type = UA_INT32, .i32 = 2 }, f64(0) };
    struct ua_call_method_request m = { machine->id, add->id, args, 2 };
    struct ua_call_method_result r = call_one(&c, m);
    assert_int_equal(r.status_code, UA_GOOD);
    assert_true(r.output_arguments_count == 1 && r.output_arguments[0].f64 == 3.5);
    m.input_arguments_count = 1;
    assert_int_equal(call_one(&c, m).status_code, UA_BAD_ARGUMENTS_MISSING);
    m.input_arguments_count = 3;
    assert_int_equal(call_one(&c, m).status_code, UA_BAD_TOO_MANY_ARGUMENTS);
    m.input_arguments_count = 2;
    args[0].type = UA_FLOAT;
    r = call_one(&c, m);
    assert_int_equal(r.status_code, UA_BAD_INVALID_ARGUMENT);
    assert_true(r.input_argument_results_count == 2 && r.input_argument_results[0] == UA_BAD_TYPE_MISMATCH &&
                !r.input_argument_results[1]);
    args[0].type = UA_DOUBLE;
    args[1].i32 = -1;
    r = call_one(&c, m);
    assert_int_equal(r.status_code, UA_BAD_INVALID_ARGUMENT);
    assert_int_equal(r.input_argument_results[1], UA_BAD_OUT_OF_RANGE);
    assert_int_equal(r.output_arguments_count, 0);
    m.object_id = UA_NS0(4711);
    assert_int_equal(call_one(&c, m).status_code, UA_BAD_NODE_ID_UNKNOWN);
    m.object_id = UA_NS0(UA_ID_OBJECTS_FOLDER);
    assert_int_equal(call_one(&c, m).status_code, UA_BAD_METHOD_INVALID);
    m.object_id = machine->id;
    m.method_id = speed->node.id;
    assert_int_equal(call_one(&c, m).status_code, UA_BAD_METHOD_INVALID);
    m.method_id = add->id;
    ua_as_method(add)->executable = false;
    assert_int_equal(call_one(&c, m).status_code, UA_BAD_NOT_EXECUTABLE);
    ua_as_method(add)->executable = true;
    meek = true;
    struct client d;
    client_begin(&d, &world);
    assert_int_equal(call_one(&d, m).status_code, UA_BAD_USER_ACCESS_DENIED);
    struct ua_data_value v;
    assert_int_equal(client_read(&d, add->id, UA_ATTR_USER_EXECUTABLE, &v), UA_GOOD);
    assert_false(v.value.boolean);
    client_close(&d);
    close_with(&c);
}

/* ---- without memory ---- */

static void without_memory_a_service_fails_and_nothing_else(void **state)
{
    (void)state;
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    struct ua_read_value_id ids[300];
    struct ua_write_value writes[300];
    for (int i = 0; i < 300; i++) {
        ids[i] = (struct ua_read_value_id){ .node_id = i % 2 ? words->node.id : matrix->node.id, .attribute_id = UA_ATTR_VALUE,
                                            .index_range = i % 3 ? BYTES_NONE : i % 2 ? BYTES_LIT("1:2") : BYTES_LIT("0,1") };
        writes[i] = (struct ua_write_value){
            .node_id = any->node.id,
            .attribute_id = UA_ATTR_VALUE,
            .value = { .has = UA_HAS_VALUE,
                       .value = { .type = UA_STRING, .text = BYTES_LIT("a text that has no room in the node") } }
        };
    }
    struct ua_read_request reads = { .nodes_to_read = ids, .nodes_to_read_count = 300 };
    struct ua_write_request write = { .nodes_to_write = writes, .nodes_to_write_count = 300 };
    for (int which = 0; which < 2; which++)
        for (uint64_t n = 1;; n++) {
            struct buf out = { 0 };
            struct ua_sending sending;
            reads.header.authentication_token = write.header.authentication_token = c.token;
            ua_channel_begin(c.channel, &out, &sending);
            ua_write_message(&out, which ? &ua_write_request_type : &ua_read_request_type, which ? (void *)&write : (void *)&reads);
            assert_int_equal(ua_channel_end(c.channel, &out, &sending, 7), UA_GOOD);
            sim_send(c.sim, buf_bytes(&out));
            buf_clear(&out);
            mem_fail_at(n);
            (void)sim_step(world.sim);
            bool fired = mem_fail_fired();
            mem_fail_at(0);
            struct ua_read_response a;
            struct ua_write_response b;
            ua_status status = which ? client_answer(&c, &ua_write_response_type, &b)
                                     : client_answer(&c, &ua_read_response_type, &a);
            if (status == UA_BAD_CONNECTION_CLOSED) {
                client_close(&c);
                client_begin(&c, &world);
            } else {
                assert_true(status == UA_GOOD || (fired && status == UA_BAD_OUT_OF_MEMORY));
            }
            if (!fired)
                break;
        }
    close_with(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_values_are_read_in_their_order),
        cmocka_unit_test(a_wrong_read_is_refused_as_a_whole),
        cmocka_unit_test(what_is_not_a_request_is_told_so),
        cmocka_unit_test(an_answer_that_is_too_long_becomes_a_fault),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(many_parts_of_a_long_array_are_written),
        cmocka_unit_test(a_value_has_to_fit),
        cmocka_unit_test(who_may_not_write_is_told_why),
        cmocka_unit_test(the_program_may_refuse_a_write),
        cmocka_unit_test(methods_are_called_with_what_they_ask_for),
        cmocka_unit_test(without_memory_a_service_fails_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
