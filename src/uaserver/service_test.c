/* Read, Write, Call, HistoryRead, discovery; what is limited, and what is no service at all. */
#include "uaserver/server_test_client.h"

static struct world world;
static uint64_t before_all;
static struct ua_variable *speed, *words, *bytes, *matrix, *number, *fixed, *any, *hidden;

static void on_ask(void *ctx, struct ua_user_ask *a)
{
    struct ua_server_user user = { .name = "test", .may_write = true, .may_call = true };
    user.may_write = user.may_call = !*(bool *)ctx;
    ua_user_answer(a, UA_GOOD, &user);
}
static bool meek; /* the user may only read */

static struct ua_variable *variable(const char *name, uint32_t type, int32_t rank, uint8_t access, const struct ua_variant *value,
                                    uint32_t dim)
{
    struct ua_node *n;
    const struct ua_new p = {
        .id = { .ns = 1, .kind = UA_ID_STRING, .text = bytes_str(name) },
        .parent = ua_find0(world.server->space, UA_ID_OBJECTS_FOLDER),
        .browse_name = { 1, bytes_str(name) },
        .data_type = UA_NS0(type),
        .rank = rank,
        .dims = &dim,
        .dims_count = dim ? 1 : 0,
        .access = access,
        .value = value,
    };
    assert_int_equal(ua_add(world.server->space, &p, &n, NULL), CODE_OK);
    return ua_as_variable(n);
}

static void fill(void)
{
    static const struct bytes list[] = { { (const uint8_t *)"a", 1 }, { (const uint8_t *)"b", 1 }, { (const uint8_t *)"c", 1 } };
    static const uint8_t raw[] = { 1, 2, 3, 4 };
    static const int32_t cells[] = { 1, 2, 3, 4, 5, 6 };
    static const uint32_t dims[] = { 2, 3 };
    const uint8_t both = UA_ACCESS_READ | UA_ACCESS_WRITE;
    const struct ua_variant d = { .type = UA_DOUBLE, .f64 = 1.5 };
    const struct ua_variant t = { .type = UA_STRING, .array = true, .count = 3, .at = list };
    const struct ua_variant b = { .type = UA_BYTE, .array = true, .count = 4, .at = raw };
    const struct ua_variant m = { .type = UA_INT32, .array = true, .count = 6, .dims_count = 2, .dims = dims, .at = cells };
    const struct ua_variant i = { .type = UA_INT32, .i32 = 7 };
    speed = variable("speed", UA_DOUBLE, -1, both, &d, 0);
    words = variable("words", UA_STRING, 1, both, &t, 4);
    bytes = variable("bytes", UA_BYTE, 1, both, &b, 0);
    matrix = variable("matrix", UA_INT32, 2, both, &m, 0);
    number = variable("number", UA_ID_NUMBER_TYPE, -1, both, &i, 0);
    any = variable("any", UA_ID_BASE_DATA_TYPE, -2, both, &i, 0);
    fixed = variable("fixed", UA_DOUBLE, -1, UA_ACCESS_READ, &d, 0);
    hidden = variable("hidden", UA_DOUBLE, -1, UA_ACCESS_WRITE, &d, 0);
}

static void open_with(struct ua_server_limits limits, struct client *c)
{
    before_all = mem_in_use();
    meek = false;
    world = (struct world){ .options = { .anonymous = true, .limits = limits, .users = { on_ask, &meek } } };
    world_open(&world);
    fill();
    if (c)
        client_begin(c, &world);
}

static void close_with(struct client *c)
{
    if (c)
        client_close(c);
    world_close(&world);
    assert_int_equal(mem_in_use(), before_all);
}

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

static ua_status write_value(struct client *c, const struct ua_write_value *w)
{
    struct ua_write_request q = { .nodes_to_write = w, .nodes_to_write_count = 1 };
    struct ua_write_response a;
    ua_status status = CLIENT_ASK(c, write, &q, &a);
    if (status)
        return status;
    assert_int_equal(a.results_count, 1);
    return a.results[0];
}

static ua_status put(struct client *c, const struct ua_variable *v, const char *range, struct ua_variant value)
{
    const struct ua_write_value w = {
        .node_id = v->node.id,
        .attribute_id = UA_ATTR_VALUE,
        .index_range = bytes_str(range),
        .value = { .has = UA_HAS_VALUE, .value = value },
    };
    return write_value(c, &w);
}

static struct ua_variant f64(double d) { return (struct ua_variant){ .type = UA_DOUBLE, .f64 = d }; }

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

/* ---- discovery ---- */

static void discovery_works_where_sessions_do_not(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ 0 }, NULL);
    world.server->options.offers[UA_POLICY_NONE] = 0;
    struct client c;
    assert_true(client_open(&c, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    struct ua_get_endpoints_request q = { .endpoint_url = BYTES_LIT("opc.tcp://plant.example:14840/x") };
    struct ua_get_endpoints_response e;
    assert_int_equal(CLIENT_ASK(&c, get_endpoints, &q, &e), UA_GOOD);
    assert_int_equal(e.endpoints_count, 0);
    world.server->options.offers[UA_POLICY_NONE] = 1 << UA_MODE_NONE;
    assert_int_equal(CLIENT_ASK(&c, get_endpoints, &q, &e), UA_GOOD);
    assert_int_equal(e.endpoints_count, 1);
    assert_true(bytes_is(e.endpoints[0].endpoint_url, "opc.tcp://plant.example:14840"));
    assert_int_equal(e.endpoints[0].user_identity_tokens_count, 1);
    assert_true(bytes_is(e.endpoints[0].user_identity_tokens[0].policy_id, "anonymous"));
    q.endpoint_url = BYTES_LIT("opc.tcp://a b<script>/");
    assert_int_equal(CLIENT_ASK(&c, get_endpoints, &q, &e), UA_GOOD);
    assert_true(bytes_is(e.endpoints[0].endpoint_url, "opc.tcp://gw1:4840")); /* as it was dialled */
    static const struct bytes https[] = { { (const uint8_t *)"http://opcfoundation.org/UA-Profile/Transport/https-uabinary", 60 } };
    q.profile_uris = https;
    q.profile_uris_count = 1;
    assert_int_equal(CLIENT_ASK(&c, get_endpoints, &q, &e), UA_GOOD);
    assert_int_equal(e.endpoints_count, 0);
    struct ua_find_servers_request f = { .endpoint_url = BYTES_LIT(TEST_URL) };
    struct ua_find_servers_response s;
    assert_int_equal(CLIENT_ASK(&c, find_servers, &f, &s), UA_GOOD);
    assert_int_equal(s.servers_count, 1);
    assert_true(bytes_is(s.servers[0].application_uri, "urn:gw1:server"));
    assert_true(bytes_is(s.servers[0].discovery_urls[0], "opc.tcp://gw1:4840"));
    f.server_uris = https;
    f.server_uris_count = 1;
    assert_int_equal(CLIENT_ASK(&c, find_servers, &f, &s), UA_GOOD);
    assert_int_equal(s.servers_count, 0);
    world.server->options.offers[UA_POLICY_NONE] = 0;
    struct ua_create_session_response a;
    assert_int_equal(client_create(&c, NULL, &a), UA_BAD_SECURITY_POLICY_REJECTED);
    client_close(&c);
    close_with(NULL);
}

/* ---- connections ---- */

static void who_says_nothing_is_closed(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ 0 }, NULL);
    struct sim_client *mute = sim_connect(world.sim, "127.0.0.1:4840");
    assert_non_null(mute);
    (void)sim_step(world.sim);
    sim_advance(world.sim, 9 * 1000000);
    assert_false(sim_closed(mute));
    sim_advance(world.sim, 2 * 1000000);
    assert_true(sim_closed(mute));
    sim_free(mute);
    (void)sim_step(world.sim);
    assert_int_equal(world.server->link_count, 0);
    close_with(NULL);
}

static void there_is_an_end_to_channels(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ .channels = 3 }, NULL);
    struct client c[3], more;
    for (int i = 0; i < 3; i++)
        assert_true(client_open(&c[i], &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    struct ua_create_session_response a;
    assert_int_equal(client_create(&c[0], NULL, &a), UA_GOOD); /* the oldest has a session */
    assert_false(client_open(&more, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    assert_int_equal(more.status, UA_BAD_TCP_SERVER_TOO_BUSY);
    client_close(&more);
    sim_advance(world.sim, 11 * 1000000);
    assert_true(client_open(&more, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    (void)client_take(&c[1]);
    assert_true(c[1].closed && c[1].status == UA_BAD_TCP_SERVER_TOO_BUSY); /* the oldest of those that have none */
    assert_false(sim_closed(c[0].sim));
    assert_false(sim_closed(c[2].sim));
    client_close(&more);
    for (int i = 0; i < 3; i++)
        client_close(&c[i]);
    close_with(NULL);
}

static void those_who_only_connect_keep_nobody_out(void **state)
{
    (void)state;
    open_with((struct ua_server_limits){ .channels = 3 }, NULL);
    struct client c[2], more;
    for (int i = 0; i < 2; i++)
        client_begin(&c[i], &world);
    struct sim_client *mute = sim_connect(world.sim, "127.0.0.1:4840");
    (void)sim_step(world.sim);
    assert_true(client_open(&more, &world, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    assert_true(sim_closed(mute));
    assert_false(sim_closed(c[0].sim) || sim_closed(c[1].sim));
    sim_free(mute);
    client_close(&more);
    client_close(&c[0]);
    close_with(&c[1]);
}

static void who_does_not_read_is_not_listened_to(void **state)
{
    (void)state;
    struct client c, d;
    open_with((struct ua_server_limits){ .unsent_bytes = 1 << 20 }, &c);
    client_begin(&d, &world);
    static uint8_t big[60000];
    const struct ua_data_value v = { .has = UA_HAS_VALUE, .value = { .type = UA_BYTE_STRING, .text = bytes_of(big, sizeof big) } };
    assert_true(ua_set_value(world.server->space, any, &v));
    struct ua_read_value_id id = { .node_id = any->node.id, .attribute_id = UA_ATTR_VALUE };
    struct ua_read_request q = { .nodes_to_read = &id, .nodes_to_read_count = 1 };
    sim_stall(c.sim, 0);
    for (int i = 0; i < 200; i++) /* 12 MB of answers */
        (void)client_send(&c, &ua_read_request_type, &q);
    struct uas_link *l = world.server->sessions->next->link;
    assert_true(l->paused);
    assert_true(conn_unsent(l->conn) < (1 << 20) + 70000);
    struct ua_read_response a;
    assert_int_equal(CLIENT_ASK(&d, read, &q, &a), UA_GOOD); /* nobody else notices */
    /* It reads again: everything comes. */
    sim_stall(c.sim, SIZE_MAX);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(client_answer(&c, &ua_read_response_type, &a), UA_GOOD);
        arena_reset(&world.arena);
    }
    /* It does not for too long. */
    sim_stall(c.sim, 0);
    for (int i = 0; i < 200; i++)
        (void)client_send(&c, &ua_read_request_type, &q);
    sim_advance(world.sim, 50 * 1000000);
    assert_int_equal(world.server->link_count, 2);
    sim_advance(world.sim, 20 * 1000000);
    assert_int_equal(world.server->link_count, 1);
    client_close(&d);
    close_with(&c);
}

static void the_counters_add_up(void **state)
{
    (void)state;
    struct ua_server_counters before, after;
    ua_server_glance(&before);
    struct client c;
    open_with((struct ua_server_limits){ 0 }, &c);
    assert_int_equal(put(&c, fixed, NULL, f64(1)), UA_BAD_NOT_WRITABLE);
    struct ua_data_value v;
    assert_int_equal(client_read(&c, speed->node.id, UA_ATTR_VALUE, &v), UA_GOOD);
    ua_server_glance(&after);
    assert_int_equal(after.channels, before.channels + 1);
    assert_int_equal(after.sessions, before.sessions + 1);
    assert_int_equal(after.reads, before.reads + 1);
    assert_int_equal(after.writes, before.writes + 1);
    assert_int_equal(after.requests, before.requests + 4);
    assert_int_equal(after.requests_refused, before.requests_refused);
    close_with(&c);
    ua_server_glance(&after);
    assert_int_equal(after.channels, before.channels);
    assert_int_equal(after.sessions, before.sessions);
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
        cmocka_unit_test(the_past_is_read_in_pieces),
        cmocka_unit_test(what_history_does_not_do),
        cmocka_unit_test(discovery_works_where_sessions_do_not),
        cmocka_unit_test(who_says_nothing_is_closed),
        cmocka_unit_test(there_is_an_end_to_channels),
        cmocka_unit_test(those_who_only_connect_keep_nobody_out),
        cmocka_unit_test(who_does_not_read_is_not_listened_to),
        cmocka_unit_test(the_counters_add_up),
        cmocka_unit_test(without_memory_a_service_fails_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
