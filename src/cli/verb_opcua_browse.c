/* verb_opcua_browse.c - `fieldgate opcua browse`: the nodes of a server as a tree, with types and values. */
#include "base/mem.h"
#include "base/table.h"
#include "cli/opcua_session.h"
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

struct item {
    struct ua_node_id node;
    struct bytes key;         /* of the table: the node as text */
    struct ua_qualified_name name;
    struct bytes display;
    uint32_t node_class, level;
    uint32_t first, last, next; /* children and the next sister: index + 1, 0: none */
    struct ua_data_value value;
};

struct browse {
    struct opcua_session *s;
    const struct given   *given;
    struct item          *items;
    uint32_t              count, room;
    struct table          known; /* node -> its item's number + 1 */
    bool                  done, no_memory;
    ua_status             status;
};

static struct bytes key_of(struct browse *b, const struct ua_node_id *node)
{
    struct buf text = { 0 };
    ua_node_id_format(&text, node);
    uint8_t *copy = text.bad ? NULL : arena_take(&b->s->arena, buf_size(&text));
    size_t n = buf_size(&text);
    if (copy)
        memcpy(copy, buf_bytes(&text).at, n);
    buf_clear(&text);
    return bytes_of(copy, copy ? n : 0);
}

static struct bytes keep(struct browse *b, struct bytes text)
{
    char *copy = arena_text(&b->s->arena, text);
    return bytes_of(copy, copy ? text.len : 0);
}

static struct item *add(struct browse *b, const struct ua_node_id *node)
{
    if (b->count == b->room) {
        uint32_t room = b->room ? b->room * 2 : 256;
        struct item *more = mem_realloc(b->items, room * sizeof *more);
        if (!more)
            return NULL;
        b->items = more;
        b->room = room;
    }
    struct item *i = &b->items[b->count];
    *i = (struct item){ .key = key_of(b, node) };
    if (!i->key.at || !ua_node_id_copy(&b->s->arena, node, &i->node))
        return NULL;
    b->count++;
    return i;
}

/* False: it has been seen elsewhere in the tree, and is not entered again. */
static bool note(struct browse *b, uint32_t number)
{
    return table_put(&b->known, b->items[number].key, (void *)(uintptr_t)(number + 1)) == CODE_OK;
}

/* The Server object is the same everywhere, and large. */
static bool worth_entering(const struct browse *b, const struct ua_node_id *node)
{
    return b->given->all || !ua_node_id_equal(node, &UA_NS0(UA_ID_SERVER));
}

static bool on_reference(void *ctx, const struct ua_node_id *parent, unsigned level, const struct ua_reference_description *r)
{
    struct browse *b = ctx;
    struct bytes key = key_of(b, parent);
    uintptr_t at = key.at ? (uintptr_t)table_get(&b->known, key) : 0;
    if (!at || r->node_id.server)
        return false;
    struct item *i = add(b, &r->node_id.id);
    if (!i) {
        b->no_memory = true;
        return false;
    }
    i->level = level;
    i->name = (struct ua_qualified_name){ r->browse_name.ns, keep(b, r->browse_name.name) };
    i->display = keep(b, r->display_name.text);
    i->node_class = (uint32_t)r->node_class;
    struct item *above = &b->items[at - 1];
    if (above->last)
        b->items[above->last - 1].next = b->count;
    else
        above->first = b->count;
    above->last = b->count;
    return note(b, b->count - 1) && worth_entering(b, &i->node) && r->node_class != UA_CLASS_METHOD &&
           (r->node_class != UA_CLASS_VARIABLE || b->given->all);
}

static void on_done(void *ctx, ua_status status)
{
    struct browse *b = ctx;
    b->status = status;
    b->done = true;
    loop_stop(b->s->loop);
}

/* ---- values ---- */

static void read_values(struct browse *b)
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

static void print_item(struct browse *b, struct output *o, const struct item *i)
{
    struct buf name = { 0 }, type = { 0 }, text = { 0 }, json = { 0 };
    char scratch[16];
    bool variable = i->node_class == UA_CLASS_VARIABLE && !b->given->values_off;
    for (uint32_t k = 0; k < i->level * INDENT && o->format == OUTPUT_TABLE; k++)
        buf_u8(&name, ' ');
    output_escape(&name, i->name.name.len ? i->name.name : i->display);
    if (i->node_class == UA_CLASS_METHOD)
        buf_add(&name, "()", 2);
    if (variable && i->value.value.type != UA_NULL)
        opcua_print_type(&i->value.value, &type);
    else
        buf_printf(&type, "%s", class_name(i->node_class));
    if (variable) {
        opcua_print_value(b->s, &i->value.value, false, &text);
        opcua_print_value(b->s, &i->value.value, true, &json);
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
    uint32_t *stack = mem_alloc((b->count + 1) * sizeof *stack), depth = 0;
    if (!stack)
        return opcua_failed(b->s, "browse", UA_BAD_OUT_OF_MEMORY);
    output_open(&o, b->s->call->out, b->given->format, "nodes", columns, b->given->format == OUTPUT_TABLE ? 4 : 8);
    stack[depth++] = 1;
    while (depth) {
        const struct item *i = &b->items[stack[--depth] - 1];
        print_item(b, &o, i);
        if (i->next)
            stack[depth++] = i->next;
        if (i->first)
            stack[depth++] = i->first;
    }
    mem_free(stack);
    return output_close(&o) ? STATUS_FAILED : STATUS_DONE;
}

static bool add_start(struct browse *b, const struct ua_node_id *start)
{
    struct ua_read_value_id ids[] = { { .node_id = *start, .attribute_id = UA_ATTR_BROWSE_NAME },
                                      { .node_id = *start, .attribute_id = UA_ATTR_NODE_CLASS } };
    struct ua_data_value got[2] = { { 0 } };
    b->status = opcua_read(b->s, ids, 2, got);
    if (!ua_is_bad(b->status))
        b->status = got[0].status;
    struct item *i = ua_is_bad(b->status) ? NULL : add(b, start);
    if (!i)
        return false;
    if (got[0].value.type == UA_QUALIFIED_NAME)
        i->name = *(const struct ua_qualified_name *)got[0].value.at;
    i->node_class = got[1].value.type == UA_INT32 ? got[1].value.u32 : UA_CLASS_OBJECT;
    return note(b, 0);
}

static int browse(struct browse *b)
{
    struct opcua_session *s = b->s;
    struct fault why;
    struct ua_node_id start = UA_NS0(UA_ID_OBJECTS_FOLDER);
    struct ua_browse_options options = { .depth = b->given->depth, .nodes_max = b->given->max };
    if (s->call->options->args.count > 1 && !opcua_node(s, s->call->options->args.at[1], &start))
        return STATUS_USAGE;
    if (!add_start(b, &start))
        return opcua_failed(s, "browse", b->status ? b->status : UA_BAD_OUT_OF_MEMORY);
    if (ua_browse(s->client, &start, &options, on_reference, on_done, b, &why) != CODE_OK)
        return verb_fail(s->call, &why);
    if (!opcua_wait(s, &b->done, -1))
        return opcua_failed(s, "browse", UA_BAD_TIMEOUT);
    if (b->no_memory)
        verb_warn(s->call, "there is no memory for all of its nodes; some are left out");
    if (b->status == UA_BAD_TOO_MANY_OPERATIONS)
        verb_warn(s->call, "there are more than %" PRIu32 " nodes; the rest is left out (--max)", b->given->max);
    else if (ua_is_bad(b->status))
        return opcua_failed(s, "browse", b->status);
    if (!b->given->values_off)
        read_values(b);
    return print_all(b);
}

static int run(struct verb_call *call)
{
    const struct given *g = call->values;
    struct opcua_session s;
    struct browse b = { .s = &s, .given = g };
    int status = opcua_begin(&s, call, &g->target, call->options->args.at[0]);
    if (status != STATUS_DONE)
        return status;
    status = browse(&b);
    table_clear(&b.known);
    mem_free(b.items);
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
