/* kind_opcua.c - a write to a variable of an OPC UA server, or a call of a method.
 *
 * What type the variable or the arguments have is read when the server is connected (learn), before there is an event, so that a
 * command is one request and one answer.
 *
 *   enter ──► machine up ──► learn ──► ready;  begin ──► (not ready: waits for it, at most `timeout`) ──► request ──► answer
 */
#include "action/action_private.h"
#include "action/fill.h"

#include "base/mem.h"
#include "opcua/from_text.h"
#include "opcua/ids.h"
#include "opcua/text.h"
#include "uaclient/want.h"

#include <inttypes.h>
#include <stdio.h>

enum { ARGUMENTS_MAX = 64, LEARN_BYTES = 256 << 10, SEND_BYTES = 4 << 20 };

/* What is asked of the server for this action. It outlives the action, for an answer may come after that. */
struct opcua_errand {
    struct machine_errand of_machine; /* first */
    struct action *action; /* NULL: nobody waits for it any more */
};

/* What was learnt of the variable or the method. */
struct opcua_known {
    uint64_t      ups; /* of the machine, when it was learnt; 0: not yet */
    struct ua_want wants[ARGUMENTS_MAX];
    uint32_t      count; /* of arguments; UINT32_MAX: the server does not say */
    struct ua_node_id node, object;
    struct arena  arena; /* of the nodes' names */
    char          wrong[SAID_MAX]; /* why it could not be learnt; "": it was */
    bool          hopeless; /* and will not be another time */
    bool          wanted;   /* an event waits for it */
    bool          away;     /* the last try came to nothing because the machine is not connected */
};

static bool is_call(const struct action *a)
{
    return a->plan->kind == &action_opcua_call;
}

/* ---- plan ---- */

static const struct settings_opcua_server *find_server(const struct action_servers *servers, const char *name)
{
    for (size_t i = 0; servers && i < servers->count; i++)
        if (!strcmp(servers->at[i].entry.name, name))
            return &servers->at[i];
    return NULL;
}

static enum code plan_server(struct action_plan *p, const char *key, const char *name, const struct io *io, struct fault *why)
{
    char what[160];
    const struct settings_opcua_server *s = find_server(p->servers, name);
    if (!s)
        return FAIL_FG(why, CODE_USAGE, 6301, "action %s: %s.server '%.64s' is not one of opcua.servers", p->name, key, name);
    (void)snprintf(what, sizeof what, "action %s: %s", p->name, key);
    return machine_wish_read(&p->opcua.machine, &p->arena, s, what, io, why);
}

static enum code plan_node(struct action_plan *p, const char *key, const char *text, struct ua_expanded_node_id *out, struct fault *why)
{
    struct fault inner;
    const char *copy;
    enum code c = plan_keep(p, text, &copy, why);
    if (c != CODE_OK)
        return c;
    if (!text[0])
        return FAIL_FG(why, CODE_USAGE, 6301, "action %s: %s is missing", p->name, key);
    if (ua_expanded_parse(out, bytes_str(copy), &p->arena, &inner) != CODE_OK)
        return FAIL_FG(why, CODE_USAGE, 6301, "action %s: %s: %.160s", p->name, key, inner.text);
    return CODE_OK;
}

static enum code write_plan(struct action_plan *p, const struct settings_action *s, const struct io *io, struct fault *why)
{
    if (!s->opcua_write.server[0])
        return s->opcua_write.node[0] || s->opcua_write.value[0]
                   ? FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.opcua-write has no server", p->name)
                   : CODE_NOTFOUND;
    enum code c = plan_server(p, "do.opcua-write", s->opcua_write.server, io, why);
    if (c == CODE_OK)
        c = plan_node(p, "do.opcua-write.node", s->opcua_write.node, &p->opcua.node, why);
    const char **values = arena_take(&p->arena, sizeof *values);
    if (c == CODE_OK && !values)
        c = FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    if (c == CODE_OK)
        c = plan_template(p, "do.opcua-write.value", s->opcua_write.value, values, why);
    if (c == CODE_OK) {
        p->opcua.values = values;
        p->opcua.count = 1;
        c = plan_keep(p, s->opcua_write.node, &p->opcua.said, why);
    }
    return c;
}

static enum code call_plan(struct action_plan *p, const struct settings_action *s, const struct io *io, struct fault *why)
{
    const struct settings_texts *arguments = &s->opcua_call.arguments;
    if (!s->opcua_call.server[0])
        return s->opcua_call.object[0] || s->opcua_call.method[0] || arguments->count
                   ? FAIL_FG(why, CODE_USAGE, 6301, "action %s: do.opcua-call has no server", p->name)
                   : CODE_NOTFOUND;
    enum code c = plan_server(p, "do.opcua-call", s->opcua_call.server, io, why);
    if (c == CODE_OK)
        c = plan_node(p, "do.opcua-call.object", s->opcua_call.object, &p->opcua.object, why);
    if (c == CODE_OK)
        c = plan_node(p, "do.opcua-call.method", s->opcua_call.method, &p->opcua.node, why);
    const char **values = arena_take(&p->arena, (arguments->count + 1) * sizeof *values);
    if (c == CODE_OK && !values)
        c = FAIL(why, CODE_NOMEM, 0, "no memory for an action");
    for (size_t i = 0; c == CODE_OK && i < arguments->count; i++)
        c = plan_template(p, "do.opcua-call.arguments", arguments->at[i], &values[i], why);
    if (c == CODE_OK) {
        p->opcua.values = values;
        p->opcua.count = (uint32_t)arguments->count;
        c = plan_keep(p, s->opcua_call.method, &p->opcua.said, why);
    }
    return c;
}

static void fill_value(struct buf *out, const struct action_plan *p, uint32_t i, const struct attempt *a)
{
    fill(out, p->opcua.values[i], a->event);
}

/* "OPC UA write press-1 ns=2;s=Run=false": no secrets are in it. */
static void opcua_describe(const struct action_plan *p, const struct attempt *a, struct buf *out)
{
    bool call = p->kind == &action_opcua_call;
    buf_printf(out, "OPC UA %s %s %s%s", call ? "call" : "write", p->opcua.machine.name, p->opcua.said, call ? "(" : "=");
    for (uint32_t i = 0; i < p->opcua.count; i++) {
        if (i)
            buf_add(out, ", ", 2);
        fill_value(out, p, i, a);
    }
    if (call)
        buf_u8(out, ')');
}

/* ---- asking ---- */

static struct opcua_errand *new_errand(struct action *a)
{
    struct opcua_errand *e = mem_alloc(sizeof *e);
    if (!e)
        return NULL;
    e->action = a;
    machine_errand_begin(a->machine, &e->of_machine);
    return e;
}

static void end_errand(struct opcua_errand *e)
{
    machine_errand_end(&e->of_machine);
    mem_free(e);
}

/* The action, if it still waits; the errand is over. */
static struct action *come_back(void *ctx)
{
    struct opcua_errand *e = ctx;
    struct action *a = e->action;
    if (a && a->errand == e)
        a->errand = NULL;
    if (a && a->lesson == e)
        a->lesson = NULL;
    end_errand(e);
    return a;
}

static void forget(struct opcua_errand **e)
{
    if (*e)
        (*e)->action = NULL;
    *e = NULL;
}

static enum code ask(struct action *a, struct opcua_errand **place, const struct ua_struct *request_type, void *request,
                     const struct ua_struct *response_type, ua_answer_fn answer, struct fault *why)
{
    struct ua_client *client = machine_client(a->machine);
    if (!client)
        return FAIL(why, CODE_CLOSED, 0, "the connection ended");
    struct opcua_errand *e = new_errand(a);
    if (!e)
        return FAIL(why, CODE_NOMEM, 0, "no memory");
    enum code c = ua_client_ask(client, request_type, request, response_type, a->plan->timeout_ms, answer, e, why);
    if (c == CODE_OK)
        *place = e;
    else
        end_errand(e);
    return c;
}

/* ---- the end of a try ---- */

/* What will not be otherwise the next time, unless somebody changes the settings or the server. */
static bool is_hopeless(ua_status s)
{
    switch (ua_code(s)) {
    case UA_BAD_NODE_ID_UNKNOWN:
    case UA_BAD_NODE_ID_INVALID:
    case UA_BAD_ATTRIBUTE_ID_INVALID:
    case UA_BAD_NOT_WRITABLE:
    case UA_BAD_WRITE_NOT_SUPPORTED:
    case UA_BAD_TYPE_MISMATCH:
    case UA_BAD_USER_ACCESS_DENIED:
    case UA_BAD_OUT_OF_RANGE:
    case UA_BAD_METHOD_INVALID:
    case UA_BAD_NOT_EXECUTABLE:
    case UA_BAD_ARGUMENTS_MISSING:
    case UA_BAD_TOO_MANY_ARGUMENTS:
    case UA_BAD_INVALID_ARGUMENT:
    case UA_BAD_SERVICE_UNSUPPORTED: return true;
    default: return false;
    }
}

static void tried(struct action *a, enum action_result result, const char *said)
{
    timer_stop(a->all->loop, &a->timer);
    forget(&a->errand);
    a->known->wanted = false;
    action_tried(a, result, said);
}

static void tried_status(struct action *a, ua_status s)
{
    char scratch[16];
    tried(a, !ua_is_bad(s) ? ACTION_GOOD : is_hopeless(s) ? ACTION_HOPELESS : ACTION_FAILED, ua_status_text(s, scratch));
}

static void on_late(struct timer *t)
{
    struct action *a = (struct action *)(void *)((char *)t - offsetof(struct action, timer));
    char said[SAID_MAX];
    if (machine_client(a->machine))
        (void)snprintf(said, sizeof said, "no answer in time");
    else
        machine_trouble(a->machine, said, sizeof said);
    bool away = !machine_client(a->machine);
    tried(a, ACTION_FAILED, said);
    if (a->known) /* that may have been its last try */
        a->known->away = away;
}

/* ---- the request ---- */

static void on_written(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    const struct ua_write_response *r = response;
    struct action *a = come_back(ctx);
    (void)arena;
    if (a)
        tried_status(a, !r ? status : r->results_count == 1 ? r->results[0] : UA_BAD_UNKNOWN_RESPONSE);
}

static void on_called(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    const struct ua_call_response *r = response;
    struct action *a = come_back(ctx);
    (void)arena;
    if (a)
        tried_status(a, !r ? status : r->results_count == 1 ? r->results[0].status_code : UA_BAD_UNKNOWN_RESPONSE);
}

/* The event's values as the types that are wanted. */
static enum code make_values(struct action *a, struct arena *arena, struct ua_variant *out, struct fault *why)
{
    const struct io *io = a->all->io;
    const struct opcua_known *k = a->known;
    enum code c = CODE_OK;
    for (uint32_t i = 0; c == CODE_OK && i < a->plan->opcua.count; i++) {
        struct buf text = { .max = FILL_BYTES_MAX };
        fill_value(&text, a->plan, i, &a->now);
        char *copy = text.bad ? NULL : arena_text(arena, buf_bytes(&text));
        bool known = k->count != UINT32_MAX && i < k->count;
        c = copy ? ua_from_text(&out[i], known ? k->wants[i].type : UA_NULL, known ? k->wants[i].rank : -2,
                                bytes_of(copy, buf_size(&text)), io->wall_us(io->self), arena, why)
                 : FAIL(why, CODE_NOMEM, 0, "its value is too long, or there is no memory for it");
        buf_clear(&text);
    }
    return c;
}

static enum code send_command(struct action *a, const struct ua_variant *values, struct fault *why)
{
    const struct opcua_known *k = a->known;
    struct ua_write_value w = { .node_id = k->node, .attribute_id = UA_ATTR_VALUE,
                                .value = { .has = UA_HAS_VALUE, .value = values[0] } };
    struct ua_write_request write = { .nodes_to_write = &w, .nodes_to_write_count = 1 };
    struct ua_call_method_request m = { .object_id = k->object, .method_id = k->node, .input_arguments = values,
                                        .input_arguments_count = a->plan->opcua.count };
    struct ua_call_request call = { .methods_to_call = &m, .methods_to_call_count = 1 };
    if (is_call(a))
        return ask(a, &a->errand, &ua_call_request_type, &call, &ua_call_response_type, on_called, why);
    return ask(a, &a->errand, &ua_write_request_type, &write, &ua_write_response_type, on_written, why);
}

static void go(struct action *a)
{
    struct arena arena;
    struct ua_variant values[ARGUMENTS_MAX] = { { 0 } };
    struct fault why;
    a->known->wanted = false;
    if (a->known->wrong[0]) {
        char said[SAID_MAX];
        (void)snprintf(said, sizeof said, "%s", a->known->wrong);
        tried(a, a->known->hopeless ? ACTION_HOPELESS : ACTION_FAILED, said);
        return;
    }
    arena_init(&arena, NULL, 0, SEND_BYTES);
    enum code c = make_values(a, &arena, values, &why);
    enum action_result result = c == CODE_USAGE || c == CODE_LIMIT ? ACTION_HOPELESS : ACTION_FAILED;
    if (c == CODE_OK)
        c = send_command(a, values, &why);
    arena_clear(&arena);
    if (c != CODE_OK)
        tried(a, result, why.text);
}

/* ---- learning ---- */

static void learnt(struct action *a, ua_status status, const char *what)
{
    char scratch[16];
    struct opcua_known *k = a->known;
    k->ups = machine_ups(a->machine);
    k->wrong[0] = 0;
    k->hopeless = is_hopeless(status);
    if (ua_is_bad(status))
        (void)snprintf(k->wrong, sizeof k->wrong, "%s: %s", what, ua_status_text(status, scratch));
    if (k->wanted)
        go(a);
}

/* The connection that is there now has been learnt from. */
static bool is_ready(const struct action *a)
{
    return a->known->ups && a->known->ups == machine_ups(a->machine);
}

static void on_variable(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    const struct ua_read_response *r = response;
    struct action *a = come_back(ctx);
    (void)arena;
    if (!a)
        return;
    if (!r || r->results_count != 3) {
        learnt(a, r ? UA_BAD_UNKNOWN_RESPONSE : status, "its type cannot be read");
        return;
    }
    struct opcua_known *k = a->known;
    k->wants[0] = ua_want_of_variable(&r->results[0].value, &r->results[1].value, &r->results[2].value);
    k->count = 1;
    learnt(a, ua_is_bad(r->results[0].status) ? r->results[0].status : UA_GOOD, a->plan->opcua.said);
}

static enum code learn_variable(struct action *a, struct fault *why)
{
    struct ua_read_value_id ids[] = { { .node_id = a->known->node, .attribute_id = UA_ATTR_DATA_TYPE },
                                      { .node_id = a->known->node, .attribute_id = UA_ATTR_VALUE_RANK },
                                      { .node_id = a->known->node, .attribute_id = UA_ATTR_VALUE } };
    struct ua_read_request r = { .timestamps_to_return = UA_TIMES_NEITHER, .nodes_to_read = ids, .nodes_to_read_count = 3 };
    return ask(a, &a->lesson, &ua_read_request_type, &r, &ua_read_response_type, on_variable, why);
}

static void on_arguments(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    const struct ua_read_response *r = response;
    struct action *a = come_back(ctx);
    if (!a)
        return;
    struct opcua_known *k = a->known;
    const struct ua_variant *v = r && r->results_count == 1 ? &r->results[0].value : NULL;
    k->count = v ? ua_want_of_arguments(v, arena, k->wants, ARGUMENTS_MAX) : UINT32_MAX;
    learnt(a, r ? UA_GOOD : status, "its arguments cannot be read");
}

static void on_properties(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    const struct ua_browse_response *r = response;
    struct action *a = come_back(ctx);
    struct ua_read_value_id id = { .attribute_id = UA_ATTR_VALUE };
    struct fault why;
    (void)arena;
    if (!a)
        return;
    a->known->count = 0; /* without the property it has none */
    const struct ua_browse_result *found = r && r->results_count == 1 ? &r->results[0] : NULL;
    ua_status said = !r ? status : found ? found->status_code : UA_BAD_UNKNOWN_RESPONSE;
    const struct ua_node_id *inputs = found ? ua_want_inputs(found) : NULL;
    if (ua_is_bad(said) || !inputs) {
        learnt(a, said, a->plan->opcua.said);
        return;
    }
    id.node_id = *inputs;
    struct ua_read_request read = { .timestamps_to_return = UA_TIMES_NEITHER, .nodes_to_read = &id, .nodes_to_read_count = 1 };
    if (ask(a, &a->lesson, &ua_read_request_type, &read, &ua_read_response_type, on_arguments, &why) != CODE_OK)
        learnt(a, UA_BAD_CONNECTION_CLOSED, "its arguments cannot be read");
}

static enum code learn_method(struct action *a, struct fault *why)
{
    struct ua_browse_description d = { .node_id = a->known->node, .reference_type_id = UA_NS0(UA_ID_HAS_PROPERTY),
                                       .include_subtypes = true, .result_mask = UA_BROWSE_BROWSE_NAME };
    struct ua_browse_request r = { .nodes_to_browse = &d, .nodes_to_browse_count = 1 };
    return ask(a, &a->lesson, &ua_browse_request_type, &r, &ua_browse_response_type, on_properties, why);
}

/* False: the server has no such namespace. */
static bool find_nodes(struct action *a, struct ua_client *client)
{
    struct opcua_known *k = a->known;
    struct ua_node_id node, object = { 0 };
    arena_reset(&k->arena);
    return ua_client_resolve(client, &a->plan->opcua.node, &node) &&
           (!is_call(a) || ua_client_resolve(client, &a->plan->opcua.object, &object)) &&
           ua_node_id_copy(&k->arena, &node, &k->node) && ua_node_id_copy(&k->arena, &object, &k->object);
}

static void learn(struct action *a)
{
    struct ua_client *client = machine_client(a->machine);
    struct fault why;
    if (!client || a->lesson)
        return;
    if (!find_nodes(a, client)) {
        learnt(a, UA_BAD_NODE_ID_UNKNOWN, "the server does not have the namespace of the node");
        return;
    }
    enum code c = is_call(a) ? learn_method(a, &why) : learn_variable(a, &why);
    if (c != CODE_OK)
        learnt(a, UA_BAD_CONNECTION_CLOSED, "it could not be asked");
}

void action_machine_up(struct action *a)
{
    forget(&a->lesson);
    if (!a->known)
        return;
    learn(a);
    /* Who waits for the next try only because the machine was away need not wait longer. */
    if (a->known->away)
        action_try_now(a);
}

/* ---- the kind ---- */

/* What there was no memory for is made up for with the next try. */
static bool join(struct action *a)
{
    if (!a->known) {
        a->known = mem_zalloc(1, sizeof *a->known);
        if (a->known)
            arena_init(&a->known->arena, NULL, 0, LEARN_BYTES);
    }
    if (a->known && !a->machine)
        a->machine = machine_join(a->all, &a->plan->opcua.machine);
    return a->machine;
}

static void opcua_enter(struct action *a)
{
    if (join(a) && machine_client(a->machine))
        learn(a);
}

static void opcua_leave(struct action *a)
{
    forget(&a->errand);
    forget(&a->lesson);
    machine_part(a->machine);
    a->machine = NULL;
    if (a->known)
        arena_clear(&a->known->arena);
    mem_free(a->known);
    a->known = NULL;
}

static void opcua_begin(struct action *a)
{
    if (!join(a)) {
        action_tried(a, ACTION_FAILED, "the server cannot be connected to (FG6320), or there is no memory");
        return;
    }
    a->known->away = false;
    timer_start(a->all->loop, &a->timer, a->plan->timeout_ms, on_late);
    if (machine_client(a->machine) && is_ready(a)) {
        bool again = a->known->wrong[0] != 0; /* what could not be learnt then may be there now */
        if (!again) {
            go(a);
            return;
        }
    }
    a->known->wanted = true;
    learn(a);
}

static void opcua_cancel(struct action *a)
{
    timer_stop(a->all->loop, &a->timer);
    forget(&a->errand);
    if (a->known)
        a->known->wanted = false;
}

const struct action_kind action_opcua_write = { "opcua-write", write_plan, opcua_describe, opcua_begin, opcua_cancel, opcua_enter,
                                                opcua_leave };
const struct action_kind action_opcua_call = { "opcua-call", call_plan, opcua_describe, opcua_begin, opcua_cancel, opcua_enter,
                                               opcua_leave };
