/* verb_opcua_browse.c - `fieldgate opcua browse`: the nodes of a server as a tree, with types and values. */
#include "base/mem.h"
#include "cli/opcua_tree.h"
#include "cli/opcua_verbs.h"

#include "opcua/ids.h"
#include "opcua/text.h"

#include <inttypes.h>

enum { INDENT = 2, VALUE_CHARS = 60, READ_AT_ONCE = 1000 };

struct given {
    struct opcua_target target;
    enum output_format format;
    uint32_t depth, max;
    bool     all, values_off;
};

struct browse {
    const struct given *given;
    struct opcua_tree   tree;
};

/* ---- values ---- */

static void read_values(struct opcua_tree *b)
{
    struct ua_read_value_id *ids = arena_zero(&b->s->arena, READ_AT_ONCE * sizeof *ids);
    struct ua_data_value *got = arena_zero(&b->s->arena, READ_AT_ONCE * sizeof *got);
    uint32_t places[READ_AT_ONCE], n = 0;
    if (!ids || !got)
        return;
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->items[i].node_class == UA_CLASS_VARIABLE) {
            ids[n] = (struct ua_read_value_id){ .node_id = b->items[i].node, .attribute_id = UA_ATTR_VALUE };
            places[n++] = i;
        }
        if (n && (n == READ_AT_ONCE || i + 1 == b->count)) {
            (void)opcua_read(b->s, ids, n, got);
            for (uint32_t k = 0; k < n; k++)
                b->items[places[k]].value = got[k];
            n = 0;
        }
    }
}

/* ---- printing ---- */

static const char *class_name(uint32_t c)
{
    switch (c) {
    case UA_CLASS_OBJECT: return "object";
    case UA_CLASS_VARIABLE: return "variable";
    case UA_CLASS_METHOD: return "method";
    case UA_CLASS_OBJECT_TYPE: return "object type";
    case UA_CLASS_VARIABLE_TYPE: return "variable type";
    case UA_CLASS_REFERENCE_TYPE: return "reference type";
    case UA_CLASS_DATA_TYPE: return "data type";
    case UA_CLASS_VIEW: return "view";
    default: return "-";
    }
}

static void cut(struct buf *b, size_t max)
{
    if (buf_size(b) <= max)
        return;
    size_t end = b->from + max - 2;
    while (end > b->from && (b->at[end] & 0xc0) == 0x80)
        end--;
    b->len = end;
    buf_add(b, "..", 2);
}

static void print_item(struct browse *b, struct output *o, const struct opcua_item *i)
{
    struct buf name = { 0 }, type = { 0 }, text = { 0 }, json = { 0 };
    char scratch[16];
    bool variable = i->node_class == UA_CLASS_VARIABLE && !b->given->values_off;
    for (uint32_t k = 0; k < i->level * INDENT && o->format == OUTPUT_TABLE; k++)
        buf_u8(&name, ' ');
    buf_add_bytes(&name, i->name.name.len ? i->name.name : i->display);
    if (i->node_class == UA_CLASS_METHOD)
        buf_add(&name, "()", 2);
    if (variable && i->value.value.type != UA_NULL)
        opcua_print_type(&i->value.value, &type);
    else
        buf_printf(&type, "%s", class_name(i->node_class));
    if (variable) {
        opcua_print_value(b->tree.s, &i->value.value, false, &text);
        opcua_print_value(b->tree.s, &i->value.value, true, &json);
        if (ua_is_bad(i->value.status)) {
            buf_reset(&text);
            buf_printf(&text, "%s", ua_status_text(i->value.status, scratch));
        }
        cut(&text, VALUE_CHARS);
    }
    output_text(o, buf_bytes(&name));
    output_text(o, buf_bytes(&type));
    if (variable)
        output_either(o, buf_bytes(&text), buf_bytes(&json));
    else if (o->format == OUTPUT_TABLE)
        output_text(o, BYTES_LIT(""));
    else
        output_none(o);
    output_text(o, i->key);
    if (o->format != OUTPUT_TABLE) {
        output_count(o, i->level);
        output_text(o, bytes_str(class_name(i->node_class)));
        output_text(o, i->display);
        output_text(o, bytes_str(ua_status_text(i->value.status, scratch)));
    }
    buf_clear(&name);
    buf_clear(&type);
    buf_clear(&text);
    buf_clear(&json);
}

static const struct column columns[] = {
    { "NAME", "name", COLUMN_TEXT },     { "TYPE", "type", COLUMN_TEXT },   { "VALUE", "value", COLUMN_TEXT },
    { "NODE", "node", COLUMN_TEXT },     { "LEVEL", "level", COLUMN_NUMBER }, { "CLASS", "class", COLUMN_TEXT },
    { "DISPLAY NAME", "display-name", COLUMN_TEXT }, { "STATUS", "status", COLUMN_TEXT },
};

/* Depth first, as a tree is read; without recursion, for how deep it is the server says. */
static int print_all(struct browse *b)
{
    struct output o;
    uint32_t *stack = mem_alloc((b->tree.count + 1) * sizeof *stack), depth = 0;
    if (!stack)
        return opcua_failed(b->tree.s, "browse", UA_BAD_OUT_OF_MEMORY);
    output_open(&o, b->tree.s->call->out, b->given->format, "nodes", columns, b->given->format == OUTPUT_TABLE ? 4 : 8);
    stack[depth++] = 1;
    while (depth) {
        const struct opcua_item *i = &b->tree.items[stack[--depth] - 1];
        print_item(b, &o, i);
        if (i->next)
            stack[depth++] = i->next;
        if (i->first)
            stack[depth++] = i->first;
    }
    mem_free(stack);
    return output_close(&o) ? STATUS_FAILED : STATUS_DONE;
}

static int browse(struct browse *b, struct opcua_session *s)
{
    struct ua_node_id start = UA_NS0(UA_ID_OBJECTS_FOLDER);
    if (s->call->options->args.count > 1 && !opcua_node(s, s->call->options->args.at[1], &start))
        return STATUS_USAGE;
    int status = opcua_tree_grow(&b->tree, s, &start, b->given->depth, b->given->max, b->given->all);
    if (status != STATUS_DONE)
        return status;
    if (!b->given->values_off)
        read_values(&b->tree);
    return print_all(b);
}

static int run(struct verb_call *call)
{
    const struct given *g = call->values;
    struct opcua_session s;
    struct browse b = { .given = g };
    int status = opcua_begin(&s, call, &g->target, call->options->args.at[0]);
    if (status != STATUS_DONE)
        return status;
    status = browse(&b, &s);
    opcua_tree_clear(&b.tree);
    opcua_end(&s);
    return status;
}

static const struct flag flags[] = {
    { 0, "depth", FLAG_COUNT, FLAG_FIELD(struct given, depth), .value = "N", .min = 1, .max = 100, .def = "3", .help = "how deep" },
    { 0, "max", FLAG_COUNT, FLAG_FIELD(struct given, max), .value = "N", .min = 1, .max = 1000000, .def = "10000", .help = "how many nodes at most" },
    { 'a', "all", FLAG_SWITCH, FLAG_FIELD(struct given, all), .help = "what is below the Server object and below variables, too" },
    { 0, "no-values", FLAG_SWITCH, FLAG_FIELD(struct given, values_off), .help = "do not read the values" },
    FLAG_OUTPUT(struct given, format),
    OPCUA_TARGET_FLAGS(struct given, target),
    FLAGS_END,
};

const struct verb opcua_browse = {
    .name = "browse",
    .group = "field",
    .summary = "the nodes of a server as a tree, with types and values",
    .detail = "Begins at the Objects folder, or at NODE: ns=2;s=Press1, i=84 (Root), or a path as Press1/Sensors.",
    .examples = { "fieldgate opcua browse opc.tcp://10.0.4.20:4840", "fieldgate opcua browse opc.tcp://10.0.4.20:4840 i=84 --all --depth 10",
                  "fieldgate opcua browse opc.tcp://10.0.4.20:4840 -o json" },
    .args = "URL [NODE]",
    .args_min = 1,
    .args_max = 2,
    .flags = flags,
    .values_size = sizeof(struct given),
    .run = run,
};
