#include "cli/opcua_tree.h"

#include "base/mem.h"
#include "opcua/ids.h"
#include "opcua/text.h"

#include <inttypes.h>

static struct bytes key_of(struct opcua_tree *t, const struct ua_node_id *node)
{
    struct buf text = { 0 };
    ua_node_id_format(&text, node);
    uint8_t *copy = text.bad ? NULL : arena_take(&t->s->arena, buf_size(&text));
    size_t n = buf_size(&text);
    if (copy)
        memcpy(copy, buf_bytes(&text).at, n);
    buf_clear(&text);
    return bytes_of(copy, copy ? n : 0);
}

static struct bytes keep(struct opcua_tree *t, struct bytes text)
{
    char *copy = arena_text(&t->s->arena, text);
    return bytes_of(copy, copy ? text.len : 0);
}

static struct opcua_item *add(struct opcua_tree *t, const struct ua_node_id *node)
{
    if (t->count == t->room) {
        uint32_t room = t->room ? t->room * 2 : 256;
        struct opcua_item *more = mem_realloc(t->items, room * sizeof *more);
        if (!more)
            return NULL;
        t->items = more;
        t->room = room;
    }
    struct opcua_item *i = &t->items[t->count];
    *i = (struct opcua_item){ .key = key_of(t, node) };
    if (!i->key.at || !ua_node_id_copy(&t->s->arena, node, &i->node))
        return NULL;
    t->count++;
    return i;
}

/* False: it has been seen elsewhere in the tree, and is not entered again. */
static bool note(struct opcua_tree *t, uint32_t number)
{
    return table_put(&t->known, t->items[number].key, (void *)(uintptr_t)(number + 1)) == CODE_OK;
}

/* The Server object is the same everywhere, and large. */
static bool worth_entering(const struct opcua_tree *t, const struct ua_node_id *node)
{
    return t->all || !ua_node_id_equal(node, &UA_NS0(UA_ID_SERVER));
}

static bool on_reference(void *ctx, const struct ua_node_id *parent, unsigned level, const struct ua_reference_description *r)
{
    struct opcua_tree *t = ctx;
    struct bytes key = key_of(t, parent);
    uintptr_t at = key.at ? (uintptr_t)table_get(&t->known, key) : 0;
    if (!at || r->node_id.server)
        return false;
    struct opcua_item *i = add(t, &r->node_id.id);
    if (!i) {
        t->no_memory = true;
        return false;
    }
    i->level = level;
    i->name = (struct ua_qualified_name){ r->browse_name.ns, keep(t, r->browse_name.name) };
    i->display = keep(t, r->display_name.text);
    i->node_class = (uint32_t)r->node_class;
    struct opcua_item *above = &t->items[at - 1];
    i->above = (uint32_t)at;
    if (above->last)
        t->items[above->last - 1].next = t->count;
    else
        above->first = t->count;
    above->last = t->count;
    return note(t, t->count - 1) && worth_entering(t, &i->node) && r->node_class != UA_CLASS_METHOD &&
           (r->node_class != UA_CLASS_VARIABLE || t->all);
}

static void on_done(void *ctx, ua_status status)
{
    struct opcua_tree *t = ctx;
    t->status = status;
    t->done = true;
    loop_stop(t->s->loop);
}

static bool add_start(struct opcua_tree *t, const struct ua_node_id *start)
{
    struct ua_read_value_id ids[] = { { .node_id = *start, .attribute_id = UA_ATTR_BROWSE_NAME },
                                      { .node_id = *start, .attribute_id = UA_ATTR_NODE_CLASS } };
    struct ua_data_value got[2] = { { 0 } };
    t->status = opcua_read(t->s, ids, 2, got);
    if (!ua_is_bad(t->status))
        t->status = got[0].status;
    struct opcua_item *i = ua_is_bad(t->status) ? NULL : add(t, start);
    if (!i)
        return false;
    if (got[0].value.type == UA_QUALIFIED_NAME)
        i->name = *(const struct ua_qualified_name *)got[0].value.at;
    i->node_class = got[1].value.type == UA_INT32 ? got[1].value.u32 : UA_CLASS_OBJECT;
    return note(t, 0);
}

int opcua_tree_grow(struct opcua_tree *t, struct opcua_session *s, const struct ua_node_id *start, uint32_t depth, uint32_t max, bool all)
{
    struct fault why;
    struct ua_browse_options options = { .depth = depth, .nodes_max = max };
    *t = (struct opcua_tree){ .s = s, .depth = depth, .max = max, .all = all };
    if (!add_start(t, start))
        return opcua_failed(s, "browse", t->status ? t->status : UA_BAD_OUT_OF_MEMORY);
    if (ua_browse(s->client, start, &options, on_reference, on_done, t, &why) != CODE_OK)
        return verb_fail(s->call, &why);
    if (!opcua_wait(s, &t->done, -1))
        return opcua_failed(s, "browse", UA_BAD_TIMEOUT);
    if (t->no_memory)
        verb_warn(s->call, "there is no memory for all of its nodes; some are left out");
    if (t->status == UA_BAD_TOO_MANY_OPERATIONS)
        verb_warn(s->call, "there are more than %" PRIu32 " nodes; the rest is left out (--max)", max);
    else if (ua_is_bad(t->status))
        return opcua_failed(s, "browse", t->status);
    return STATUS_DONE;
}

void opcua_tree_clear(struct opcua_tree *t)
{
    table_clear(&t->known);
    mem_free(t->items);
    t->items = NULL;
}

void opcua_tree_path(const struct opcua_tree *t, const struct opcua_item *i, struct buf *out)
{
    enum { DEEP = 128 };
    const struct opcua_item *chain[DEEP];
    size_t n = 0;
    for (; i->above && n < DEEP; i = &t->items[i->above - 1])
        chain[n++] = i;
    while (n--) {
        buf_add_bytes(out, chain[n]->name.name);
        if (n)
            buf_u8(out, '/');
    }
}
