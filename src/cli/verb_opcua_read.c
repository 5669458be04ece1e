/* verb_opcua_read.c - `fieldgate opcua read`, `write`, `call`. */
#include "cli/opcua_session.h"
#include "cli/opcua_verbs.h"

#include "opcua/from_text.h"
#include "opcua/ids.h"
#include "opcua/text.h"
#include "uaclient/want.h"

#include <inttypes.h>

enum { NODES_MAX = 1000, ARGUMENTS_MAX = 64 };

struct given {
    struct opcua_target target;
    enum output_format format;
    const char *attribute, *range, *type;
};

static const char *argument(const struct verb_call *call, size_t i)
{
    return call->options->args.at[i];
}

/* ---- read ---- */

static const struct {
    const char *name;
    uint32_t    number;
} attributes[] = {
    { "NodeId", UA_ATTR_NODE_ID }, { "NodeClass", UA_ATTR_NODE_CLASS }, { "BrowseName", UA_ATTR_BROWSE_NAME },
    { "DisplayName", UA_ATTR_DISPLAY_NAME }, { "Description", UA_ATTR_DESCRIPTION }, { "Value", UA_ATTR_VALUE },
    { "DataType", UA_ATTR_DATA_TYPE }, { "ValueRank", UA_ATTR_VALUE_RANK }, { "ArrayDimensions", UA_ATTR_ARRAY_DIMENSIONS },
    { "AccessLevel", UA_ATTR_ACCESS_LEVEL }, { "UserAccessLevel", UA_ATTR_USER_ACCESS_LEVEL },
    { "MinimumSamplingInterval", UA_ATTR_MINIMUM_SAMPLING_INTERVAL }, { "Historizing", UA_ATTR_HISTORIZING },
    { "EventNotifier", UA_ATTR_EVENT_NOTIFIER }, { "Executable", UA_ATTR_EXECUTABLE },
    { "UserExecutable", UA_ATTR_USER_EXECUTABLE }, { "WriteMask", UA_ATTR_WRITE_MASK },
    { "DataTypeDefinition", UA_ATTR_DATA_TYPE_DEFINITION }, { "IsAbstract", UA_ATTR_IS_ABSTRACT },
};

static uint32_t attribute_number(const char *name)
{
    for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++)
        if (!strcasecmp(name, attributes[i].name))
            return attributes[i].number;
    return 0;
}

static const struct column read_columns[] = {
    { "NODE", "node", COLUMN_TEXT },     { "VALUE", "value", COLUMN_TEXT },
    { "TYPE", "type", COLUMN_TEXT },     { "STATUS", "status", COLUMN_TEXT },
    { "SOURCE TIME", "source-time", COLUMN_TEXT }, { "SERVER TIME", "server-time", COLUMN_TEXT },
};

static void print_time(struct output *o, ua_time t)
{
    struct buf b = { 0 };
    if (!t) {
        output_none(o);
        return;
    }
    ua_time_format(&b, t);
    output_text(o, buf_bytes(&b));
    buf_clear(&b);
}

static void print_row(struct opcua_session *s, struct output *o, const char *node, const struct ua_data_value *v)
{
    struct buf text = { 0 }, json = { 0 }, type = { 0 };
    char scratch[16];
    opcua_print_value(s, &v->value, false, &text);
    opcua_print_value(s, &v->value, true, &json);
    opcua_print_type(&v->value, &type);
    output_text(o, bytes_str(node));
    output_either(o, buf_bytes(&text), buf_bytes(&json));
    output_text(o, buf_bytes(&type));
    output_text(o, bytes_str(ua_status_text(v->status, scratch)));
    print_time(o, v->source_time);
    print_time(o, v->server_time);
    buf_clear(&text);
    buf_clear(&json);
    buf_clear(&type);
}

static int print_values(struct opcua_session *s, const struct given *g, const struct ua_data_value *values, size_t n)
{
    struct output o;
    int status = STATUS_DONE;
    output_open(&o, s->call->out, g->format, "values", read_columns, sizeof read_columns / sizeof *read_columns);
    for (size_t i = 0; i < n; i++) {
        print_row(s, &o, argument(s->call, i + 1), &values[i]);
        if (ua_is_bad(values[i].status))
            status = STATUS_FAILED;
    }
    return output_close(&o) ? STATUS_FAILED : status;
}

static int read_nodes(struct opcua_session *s, const struct given *g)
{
    size_t n = s->call->options->args.count - 1;
    uint32_t attribute = g->attribute ? attribute_number(g->attribute) : UA_ATTR_VALUE;
    struct ua_read_value_id *ids = arena_zero(&s->arena, n * sizeof *ids);
    struct ua_data_value *values = arena_zero(&s->arena, n * sizeof *values);
    if (!ids || !values)
        return opcua_failed(s, "read", UA_BAD_OUT_OF_MEMORY);
    if (!attribute)
        return verb_usage(s->call, "there is no attribute '%s'; try Value, DataType, AccessLevel", g->attribute);
    for (size_t i = 0; i < n; i++) {
        ids[i] = (struct ua_read_value_id){ .attribute_id = attribute, .index_range = bytes_str(g->range) };
        if (!opcua_node(s, argument(s->call, i + 1), &ids[i].node_id))
            return STATUS_USAGE;
    }
    ua_status status = opcua_read(s, ids, n, values);
    if (ua_is_bad(status) && n == 0)
        return opcua_failed(s, "read", status);
    if (s->ended || status == UA_BAD_TIMEOUT)
        return opcua_failed(s, "read", status);
    return print_values(s, g, values, n);
}

/* ---- write ---- */

static ua_status wanted(struct opcua_session *s, const struct ua_node_id *node, struct ua_want *out)
{
    struct ua_read_value_id ids[] = { { .node_id = *node, .attribute_id = UA_ATTR_DATA_TYPE },
                                      { .node_id = *node, .attribute_id = UA_ATTR_VALUE_RANK },
                                      { .node_id = *node, .attribute_id = UA_ATTR_VALUE } };
    struct ua_data_value got[3] = { { 0 } };
    ua_status status = opcua_read(s, ids, 3, got);
    if (ua_is_bad(status))
        return status;
    if (got[0].value.type != UA_NODE_ID)
        return ua_is_bad(got[0].status) ? got[0].status : UA_BAD_NODE_ID_UNKNOWN;
    *out = ua_want_of_variable(&got[0].value, &got[1].value, &got[2].value);
    return UA_GOOD;
}

static int write_node(struct opcua_session *s, const struct given *g)
{
    struct ua_node_id node;
    struct fault why;
    struct ua_want want;
    const char *name = argument(s->call, 1);
    if (!opcua_node(s, name, &node))
        return STATUS_USAGE;
    ua_status status = wanted(s, &node, &want);
    if (ua_is_bad(status))
        return opcua_failed(s, name, status);
    if (g->type && (want.type = ua_builtin_from(bytes_str(g->type))) == UA_NULL)
        return verb_usage(s->call, "there is no type '%s'; the built-in ones are Boolean, SByte .. Double, String, DateTime ...", g->type);
    struct ua_write_value w = { .node_id = node, .attribute_id = UA_ATTR_VALUE, .index_range = bytes_str(g->range),
                                .value = { .has = UA_HAS_VALUE } };
    if (g->range)
        want.rank = -2;
    if (ua_from_text(&w.value.value, want.type, want.rank, bytes_str(argument(s->call, 2)),
                     s->call->io->wall_us(s->call->io->self), &s->arena, &why) != CODE_OK)
        return verb_fail(s->call, &why);
    struct ua_write_request ask = { .nodes_to_write = &w, .nodes_to_write_count = 1 };
    struct ua_write_response said;
    status = opcua_ask(s, &ua_write_request_type, &ask, &ua_write_response_type, &said);
    if (!ua_is_bad(status))
        status = said.results_count == 1 ? said.results[0] : UA_BAD_UNKNOWN_RESPONSE;
    if (ua_is_bad(status))
        return opcua_failed(s, name, status);
    char scratch[16];
    struct buf text = { 0 };
    opcua_print_value(s, &w.value.value, false, &text);
    (void)fprintf(s->call->out, "%s = %.*s  %s\n", name, BYTES_FMT(buf_bytes(&text)), ua_status_text(status, scratch));
    buf_clear(&text);
    return STATUS_DONE;
}

/* ---- call ---- */

/* What the method wants. Where the server does not say, the texts are taken for what they look like. */
static uint32_t inputs_of(struct opcua_session *s, const struct ua_node_id *method, struct ua_want *out, uint32_t max)
{
    struct ua_browse_description d = { .node_id = *method, .reference_type_id = UA_NS0(UA_ID_HAS_PROPERTY),
                                       .include_subtypes = true, .result_mask = UA_BROWSE_BROWSE_NAME };
    struct ua_browse_request ask = { .nodes_to_browse = &d, .nodes_to_browse_count = 1 };
    struct ua_browse_response said;
    struct ua_data_value v;
    if (opcua_ask(s, &ua_browse_request_type, &ask, &ua_browse_response_type, &said) != UA_GOOD || said.results_count != 1)
        return 0;
    const struct ua_node_id *property = ua_want_inputs(&said.results[0]);
    if (!property || opcua_attribute(s, property, UA_ATTR_VALUE, &v) != UA_GOOD)
        return 0;
    uint32_t n = ua_want_of_arguments(&v.value, &s->arena, out, max);
    return n == UINT32_MAX ? 0 : n;
}

static int print_outputs(struct opcua_session *s, const struct given *g, const struct ua_call_method_result *r)
{
    static const struct column columns[] = { { "OUTPUT", "output", COLUMN_NUMBER }, { "VALUE", "value", COLUMN_TEXT },
                                             { "TYPE", "type", COLUMN_TEXT } };
    struct output o;
    output_open(&o, s->call->out, g->format, "outputs", columns, 3);
    for (uint32_t i = 0; i < r->output_arguments_count; i++) {
        struct buf text = { 0 }, json = { 0 }, type = { 0 };
        opcua_print_value(s, &r->output_arguments[i], false, &text);
        opcua_print_value(s, &r->output_arguments[i], true, &json);
        opcua_print_type(&r->output_arguments[i], &type);
        output_count(&o, i + 1);
        output_either(&o, buf_bytes(&text), buf_bytes(&json));
        output_text(&o, buf_bytes(&type));
        buf_clear(&text);
        buf_clear(&json);
        buf_clear(&type);
    }
    return output_close(&o) ? STATUS_FAILED : STATUS_DONE;
}

/* Which argument the server did not like. */
static int refused_call(struct opcua_session *s, const struct ua_call_method_result *r)
{
    char scratch[16];
    for (uint32_t i = 0; i < r->input_argument_results_count; i++)
        if (ua_is_bad(r->input_argument_results[i]))
            verb_warn(s->call, "argument %" PRIu32 " '%s': %s", i + 1, i + 3 < s->call->options->args.count ? argument(s->call, i + 3) : "",
                      ua_status_text(r->input_argument_results[i], scratch));
    return opcua_failed(s, argument(s->call, 2), r->status_code);
}

static int call_method(struct opcua_session *s, const struct given *g)
{
    struct ua_call_method_request m = { 0 };
    struct ua_want wants[ARGUMENTS_MAX];
    struct ua_variant *inputs = arena_zero(&s->arena, ARGUMENTS_MAX * sizeof *inputs);
    size_t n = s->call->options->args.count - 3;
    struct fault why;
    if (!inputs)
        return opcua_failed(s, "call", UA_BAD_OUT_OF_MEMORY);
    if (!opcua_node(s, argument(s->call, 1), &m.object_id) || !opcua_node(s, argument(s->call, 2), &m.method_id))
        return STATUS_USAGE;
    uint32_t known = inputs_of(s, &m.method_id, wants, ARGUMENTS_MAX);
    for (size_t i = 0; i < n; i++)
        if (ua_from_text(&inputs[i], i < known ? wants[i].type : UA_NULL, i < known ? wants[i].rank : -2,
                         bytes_str(argument(s->call, i + 3)), s->call->io->wall_us(s->call->io->self), &s->arena, &why) != CODE_OK)
            return verb_fail(s->call, &why);
    m.input_arguments = inputs;
    m.input_arguments_count = (uint32_t)n;
    struct ua_call_request ask = { .methods_to_call = &m, .methods_to_call_count = 1 };
    struct ua_call_response said;
    ua_status status = opcua_ask(s, &ua_call_request_type, &ask, &ua_call_response_type, &said);
    if (!ua_is_bad(status) && said.results_count != 1)
        status = UA_BAD_UNKNOWN_RESPONSE;
    if (ua_is_bad(status))
        return opcua_failed(s, argument(s->call, 2), status);
    if (ua_is_bad(said.results[0].status_code))
        return refused_call(s, &said.results[0]);
    return print_outputs(s, g, &said.results[0]);
}

/* ---- the verbs ---- */

static int with_session(struct verb_call *call, int (*work)(struct opcua_session *, const struct given *))
{
    const struct given *g = call->values;
    struct opcua_session s;
    int status = opcua_begin(&s, call, &g->target, argument(call, 0));
    if (status != STATUS_DONE)
        return status;
    status = work(&s, g);
    opcua_end(&s);
    return status;
}

static int run_read(struct verb_call *call)
{
    return with_session(call, read_nodes);
}

static int run_write(struct verb_call *call)
{
    return with_session(call, write_node);
}

static int run_call(struct verb_call *call)
{
    return with_session(call, call_method);
}

static const struct flag read_flags[] = {
    { 'a', "attribute", FLAG_TEXT, FLAG_FIELD(struct given, attribute), .value = "NAME", .help = "instead of Value: DataType, AccessLevel ..." },
    { 0, "range", FLAG_TEXT, FLAG_FIELD(struct given, range), .value = "RANGE", .help = "a part of an array: 0:9, or 1:2,0:4 of a matrix" },
    FLAG_OUTPUT(struct given, format),
    OPCUA_TARGET_FLAGS(struct given, target),
    FLAGS_END,
};
static const struct flag write_flags[] = {
    { 't', "type", FLAG_TEXT, FLAG_FIELD(struct given, type), .value = "TYPE", .help = "Boolean, Int32, Double ... (default: what the node has)" },
    { 0, "range", FLAG_TEXT, FLAG_FIELD(struct given, range), .value = "RANGE", .help = "a part of an array" },
    OPCUA_TARGET_FLAGS(struct given, target),
    FLAGS_END,
};
static const struct flag call_flags[] = {
    FLAG_OUTPUT(struct given, format),
    OPCUA_TARGET_FLAGS(struct given, target),
    FLAGS_END,
};

const struct verb opcua_read_verb = {
    .name = "read",
    .group = "field",
    .summary = "read values, or other attributes, of nodes",
    .detail = "A node is written ns=2;s=Temp, nsu=http://example.org/;s=Temp, or as a path below Objects: Press1/Temperature.\n"
              "Exit status 1 if one of the values is bad.",
    .examples = { "fieldgate opcua read opc.tcp://10.0.4.20:4840 'ns=2;s=Temperature'",
                  "fieldgate opcua read opc.tcp://10.0.4.20:4840 Press1/Temperature Press1/Humidity -o json",
                  "fieldgate opcua read opc.tcp://10.0.4.20:4840 i=2258 -u operator -P @password" },
    .args = "URL NODE...",
    .args_min = 2,
    .args_max = NODES_MAX + 1,
    .flags = read_flags,
    .values_size = sizeof(struct given),
    .run = run_read,
};
const struct verb opcua_write = {
    .name = "write",
    .group = "field",
    .summary = "write a node's value",
    .detail = "The text is read as the type that the node has: true, 21.4, \"a text\", [1, 2, 3], 2026-11-22T06:00:04Z.",
    .examples = { "fieldgate opcua write opc.tcp://10.0.4.20:4840 'ns=2;s=Run' false",
                  "fieldgate opcua write opc.tcp://10.0.4.20:4840 Press1/Setpoint 21.5 --type Float",
                  "fieldgate opcua write opc.tcp://10.0.4.20:4840 'ns=2;s=Curve' '[7,8]' --range 2:3" },
    .args = "URL NODE VALUE",
    .args_min = 3,
    .args_max = 3,
    .flags = write_flags,
    .values_size = sizeof(struct given),
    .run = run_write,
};
const struct verb opcua_call = {
    .name = "call",
    .group = "field",
    .summary = "call a method of an object",
    .examples = { "fieldgate opcua call opc.tcp://10.0.4.20:4840 Press1 Press1/Stop",
                  "fieldgate opcua call opc.tcp://10.0.4.20:4840 'ns=2;s=Press1' 'ns=2;s=Move' 12.5 true",
                  "fieldgate opcua call opc.tcp://10.0.4.20:4840 Press1 Press1/Stop --security Basic256Sha256" },
    .args = "URL OBJECT METHOD [ARGUMENT...]",
    .args_min = 3,
    .args_max = ARGUMENTS_MAX + 3,
    .flags = call_flags,
    .values_size = sizeof(struct given),
    .run = run_call,
};
