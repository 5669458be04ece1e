/* service_test_stage.h - a server with variables of several types, and a client with a session over policy None. */
#pragma once

#include "uaserver/server_test_client.h"

static struct world world;
static uint64_t before_all;
static struct ua_variable *speed, *words, *bytes, *matrix, *number, *fixed, *any, *hidden;

static inline void on_ask(void *ctx, struct ua_user_ask *a)
{
    struct ua_server_user user = { .name = "test", .may_write = true, .may_call = true };
    user.may_write = user.may_call = !*(bool *)ctx;
    ua_user_answer(a, UA_GOOD, &user);
}
static bool meek; /* the user may only read */

static inline struct ua_variable *variable(const char *name, uint32_t type, int32_t rank, uint8_t access, const struct ua_variant *value,
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

static inline void fill(void)
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

static inline void open_with(struct ua_server_limits limits, struct client *c)
{
    before_all = mem_in_use();
    meek = false;
    world = (struct world){ .options = { .anonymous = true, .limits = limits, .users = { on_ask, &meek } } };
    world_open(&world);
    fill();
    if (c)
        client_begin(c, &world);
}

static inline void close_with(struct client *c)
{
    if (c)
        client_close(c);
    world_close(&world);
    assert_int_equal(mem_in_use(), before_all);
}

static inline ua_status write_value(struct client *c, const struct ua_write_value *w)
{
    struct ua_write_request q = { .nodes_to_write = w, .nodes_to_write_count = 1 };
    struct ua_write_response a;
    ua_status status = CLIENT_ASK(c, write, &q, &a);
    if (status)
        return status;
    assert_int_equal(a.results_count, 1);
    return a.results[0];
}

static inline ua_status put(struct client *c, const struct ua_variable *v, const char *range, struct ua_variant value)
{
    const struct ua_write_value w = {
        .node_id = v->node.id,
        .attribute_id = UA_ATTR_VALUE,
        .index_range = bytes_str(range),
        .value = { .has = UA_HAS_VALUE, .value = value },
    };
    return write_value(c, &w);
}

static inline struct ua_variant f64(double d)
{
    return (struct ua_variant){ .type = UA_DOUBLE, .f64 = d };
}
