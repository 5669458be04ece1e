#include "cli/machine_server.h"

#include "base/mem.h"

#include <stdio.h>

enum { VARIABLES_MAX = SENSOR_CHANNELS_MAX, HISTORY = 10000 };
#define NAMESPACE_URI "urn:fieldgate:machine"

struct machine_server {
    struct ua_space   *space;
    struct ua_node    *object;
    struct ua_variable *run;
    struct ua_variable *variables[VARIABLES_MAX];
    unsigned           count;
    uint16_t           ns;
    bool               runs;
    struct machine_server_events events;
    void              *ctx;
};

static struct ua_node_id id_of(const struct machine_server *m, const char *name)
{
    return (struct ua_node_id){ .ns = m->ns, .kind = UA_ID_STRING, .text = bytes_str(name) };
}

/* ---- Run, Stop, Start ---- */

static ua_status change(struct machine_server *m, bool run)
{
    if (m->events.on_run && !m->events.on_run(m->ctx, run))
        return UA_BAD_DEVICE_FAILURE;
    m->runs = run;
    return UA_GOOD;
}

static ua_status write_run(void *ctx, struct ua_variable *v, const struct ua_server_user *user, const struct ua_data_value *value)
{
    (void)v;
    (void)user;
    return change(ctx, value->value.boolean);
}

static ua_status call(struct machine_server *m, bool run)
{
    struct ua_data_value v = { .has = UA_HAS_VALUE, .value = { .type = UA_BOOLEAN, .boolean = run } };
    ua_status status = change(m, run);
    if (status == UA_GOOD && !ua_set_value(m->space, m->run, &v))
        status = UA_BAD_OUT_OF_MEMORY;
    return status;
}

static ua_status call_stop(void *ctx, struct ua_call *c)
{
    (void)c;
    return call(ctx, false);
}

static ua_status call_start(void *ctx, struct ua_call *c)
{
    (void)c;
    return call(ctx, true);
}

static enum code add_method(struct machine_server *m, const char *name, const char *what, ua_status (*fn)(void *, struct ua_call *),
                            struct fault *why)
{
    struct ua_node *node;
    struct ua_new new = { .id = id_of(m, name), .node_class = UA_CLASS_METHOD, .parent = m->object,
                          .browse_name = { m->ns, bytes_str(name) }, .description = bytes_str(what), .call = fn, .ctx = m };
    return ua_add(m->space, &new, &node, why);
}

static enum code add_run(struct machine_server *m, struct fault *why)
{
    static const struct ua_variable_ops ops = { .write = write_run };
    struct ua_node *node = NULL;
    struct ua_variant on = { .type = UA_BOOLEAN, .boolean = true };
    struct ua_new new = { .id = id_of(m, "Run"), .node_class = UA_CLASS_VARIABLE, .parent = m->object,
                          .browse_name = { m->ns, BYTES_LIT("Run") },
                          .description = BYTES_LIT("true while the machine runs; write false to stop it"),
                          .data_type = UA_NS0(UA_BOOLEAN),
                          /* Some clients send the time along with each value. */
                          .access = UA_ACCESS_READ | UA_ACCESS_WRITE | UA_ACCESS_TIMESTAMP_WRITE, .value = &on, .ops = &ops,
                          .ctx = m };
    enum code c = ua_add(m->space, &new, &node, why);
    m->run = ua_as_variable(node);
    return c;
}

/* ---- the machine ---- */

static enum code build(struct machine_server *m, const char *name, struct fault *why)
{
    enum code c = ua_namespace(m->space, BYTES_LIT(NAMESPACE_URI), &m->ns, why);
    struct ua_new new = { .id = id_of(m, name), .node_class = UA_CLASS_OBJECT, .parent = ua_find0(m->space, UA_ID_OBJECTS_FOLDER),
                          .browse_name = { m->ns, bytes_str(name) } };
    if (c == CODE_OK)
        c = ua_add(m->space, &new, &m->object, why);
    if (c == CODE_OK)
        c = add_run(m, why);
    if (c == CODE_OK)
        c = add_method(m, "Stop", "Stops the machine.", call_stop, why);
    return c == CODE_OK ? add_method(m, "Start", "Lets it run again.", call_start, why) : c;
}

enum code machine_server_open(struct machine_server **out, struct ua_server *server, const char *name,
                              const struct machine_server_events *events, void *ctx, struct fault *why)
{
    *out = NULL;
    struct machine_server *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the machine");
    m->space = ua_server_space(server);
    m->runs = true;
    m->ctx = ctx;
    if (events)
        m->events = *events;
    enum code c = build(m, name, why);
    if (c != CODE_OK)
        machine_server_close(m);
    else
        *out = m;
    return c;
}

void machine_server_close(struct machine_server *m)
{
    if (m && m->object)
        ua_remove(m->space, m->object);
    mem_free(m);
}

/* The common code of three letters as OPC UA's number of the unit (Part 8, 5.6.3.3). */
static int32_t unit_id(const char *code)
{
    int32_t n = 0;
    for (; *code; code++)
        n = n << 8 | (uint8_t)*code;
    return n;
}

enum code machine_server_add(struct machine_server *m, const char *name, enum sensor_quantity quantity, unsigned *number,
                             struct fault *why)
{
    const struct sensor_unit *unit = &sensor_units[quantity];
    struct ua_range range = { unit->low, unit->high };
    struct ua_eu_information eu = { .namespace_uri = BYTES_LIT("http://www.opcfoundation.org/UA/units/un/cefact"),
                                    .unit_id = unit_id(unit->code),
                                    .display_name = { BYTES_NONE, bytes_str(unit->symbol) },
                                    .description = { BYTES_NONE, bytes_str(unit->name) } };
    struct ua_node *node;
    struct ua_new new = { .id = id_of(m, name), .node_class = UA_CLASS_VARIABLE, .parent = m->object, .type = UA_ID_ANALOG_ITEM_TYPE,
                          .browse_name = { m->ns, bytes_str(name) }, .data_type = UA_NS0(UA_DOUBLE), .history = HISTORY };
    if (m->count == VARIABLES_MAX)
        return FAIL(why, CODE_LIMIT, 0, "a machine has at most %d sensors", VARIABLES_MAX);
    enum code c = ua_add(m->space, &new, &node, why);
    if (c != CODE_OK)
        return c;
    c = ua_add_units(m->space, node, &range, &eu, why);
    if (c != CODE_OK) {
        ua_remove(m->space, node);
        return c;
    }
    *number = m->count;
    m->variables[m->count++] = ua_as_variable(node);
    return CODE_OK;
}

void machine_server_set_at(struct machine_server *m, unsigned number, double value, ua_time when)
{
    struct ua_data_value v = { .has = UA_HAS_VALUE | UA_HAS_SOURCE_TIME, .source_time = when,
                               .value = { .type = UA_DOUBLE, .f64 = value } };
    if (!ua_set_value(m->space, m->variables[number], &v))
        ua_set_status(m->space, m->variables[number], UA_BAD_OUT_OF_MEMORY, when); /* until the next one */
}

void machine_server_set(struct machine_server *m, unsigned number, double value)
{
    machine_server_set_at(m, number, value, ua_space_now(m->space));
}

void machine_server_fail(struct machine_server *m, unsigned number, ua_status status)
{
    ua_set_status(m->space, m->variables[number], status, ua_space_now(m->space));
}

void machine_server_put_run(struct machine_server *m, bool run)
{
    struct ua_data_value v = { .has = UA_HAS_VALUE, .value = { .type = UA_BOOLEAN, .boolean = run } };
    if (ua_set_value(m->space, m->run, &v))
        m->runs = run;
}

bool machine_server_runs(const struct machine_server *m)
{
    return m->runs;
}
