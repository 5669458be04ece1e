#include "broker/retained.h"

#include "base/mem.h"
#include "base/table.h"
#include "journal/journal.h"
#include "mqtt/topic.h"

struct retained_node {
    struct retained_node *parent, *prev, *next; /* prev, next: list of those that hold a message */
    struct table          children;
    struct stored        *stored;
    uint64_t              bytes;
    uint8_t               qos;
    uint32_t              level_len;
    uint8_t               level[];
};

static struct bytes node_level(const struct retained_node *n)
{
    return bytes_of(n->level, n->level_len);
}

static void prune(struct retained *r, struct retained_node *n)
{
    while (n && !n->stored && n->children.count == 0) {
        struct retained_node *parent = n->parent;
        if (parent)
            (void)table_remove(&parent->children, node_level(n));
        else
            r->root = NULL;
        table_clear(&n->children);
        mem_free(n);
        n = parent;
    }
}

static struct retained_node *node_new(struct retained_node *parent, struct bytes level)
{
    struct retained_node *n = mem_zalloc(1, sizeof *n + level.len);
    if (!n)
        return NULL;
    n->parent = parent;
    n->level_len = (uint32_t)level.len;
    if (level.len)
        memcpy(n->level, level.at, level.len);
    return n;
}

static struct retained_node *descend(struct retained *r, struct bytes topic, bool make)
{
    if (!r->root && (!make || !(r->root = node_new(NULL, BYTES_NONE))))
        return NULL;
    struct retained_node *n = r->root;
    size_t cursor = 0;
    for (struct bytes level; topic_level(topic, &cursor, &level);) {
        struct retained_node *next = table_get(&n->children, level);
        if (!next && !make)
            return NULL;
        if (!next) {
            next = node_new(n, level);
            if (!next || table_put(&n->children, node_level(next), next) != CODE_OK) {
                mem_free(next);
                prune(r, n);
                return NULL;
            }
        }
        n = next;
    }
    return n;
}

static void list_remove(struct retained *r, struct retained_node *n)
{
    if (r->cursor == n)
        r->cursor = n->next;
    *(n->prev ? &n->prev->next : &r->first) = n->next;
    *(n->next ? &n->next->prev : &r->last) = n->prev;
    n->prev = n->next = NULL;
    r->count--;
    r->bytes -= n->bytes;
}

static void list_add(struct retained *r, struct retained_node *n)
{
    n->prev = r->last;
    n->next = NULL;
    *(r->last ? &r->last->next : &r->first) = n;
    r->last = n;
    r->count++;
    r->bytes += n->bytes;
}

enum code retained_reserve(struct retained *r, struct bytes topic)
{
    return descend(r, topic, true) ? CODE_OK : CODE_NOMEM;
}

enum code retained_set(struct retained *r, struct bytes topic, struct stored *stored, uint64_t bytes,
                       uint8_t qos)
{
    struct retained_node *n = descend(r, topic, true);
    if (!n)
        return CODE_NOMEM;
    struct stored *old = n->stored;
    if (old)
        list_remove(r, n);
    n->stored = stored;
    n->bytes = bytes;
    n->qos = qos;
    list_add(r, n);
    if (old)
        stored_drop(old);
    return CODE_OK;
}

bool retained_remove(struct retained *r, struct bytes topic)
{
    struct retained_node *n = descend(r, topic, false);
    if (!n)
        return false;
    struct stored *old = n->stored;
    if (old) {
        list_remove(r, n);
        n->stored = NULL;
        stored_drop(old);
    }
    prune(r, n); /* also the empty node of a reservation */
    return old != NULL;
}

struct stored *retained_get(const struct retained *r, struct bytes topic, uint64_t *bytes)
{
    struct retained_node *n = descend((struct retained *)r, topic, false);
    if (n && n->stored && bytes)
        *bytes = n->bytes;
    return n ? n->stored : NULL;
}

struct walk {
    struct bytes filter;
    bool (*each)(void *, struct stored *, uint8_t);
    void *ctx;
};

static bool give_below(const struct walk *w, const struct retained_node *n)
{
    if (n->stored && !w->each(w->ctx, n->stored, n->qos))
        return false;
    size_t cursor = 0;
    for (struct retained_node *c; (c = table_next(&n->children, &cursor));)
        if (!give_below(w, c))
            return false;
    return true;
}

static bool hidden(const struct retained_node *n, bool first)
{
    return first && n->level_len && n->level[0] == '$'; /* 4.7.2 */
}

/* Depth is bounded by the levels a topic may have. */
static bool match(const struct walk *w, const struct retained_node *n, size_t cursor, bool first)
{
    struct bytes level;
    if (!topic_level(w->filter, &cursor, &level))
        return !n->stored || w->each(w->ctx, n->stored, n->qos);
    bool all = bytes_is(level, "#");
    if (!all && !bytes_is(level, "+")) {
        const struct retained_node *c = table_get(&n->children, level);
        return !c || match(w, c, cursor, false);
    }
    if (all && n->stored && !first && !w->each(w->ctx, n->stored, n->qos))
        return false; /* "a/#" matches "a" */
    size_t at = 0;
    for (struct retained_node *c; (c = table_next(&n->children, &at));) {
        if (hidden(c, first))
            continue;
        if (!(all ? give_below(w, c) : match(w, c, cursor, false)))
            return false;
    }
    return true;
}

void retained_match(const struct retained *r, struct bytes filter, bool (*each)(void *, struct stored *, uint8_t),
                    void *ctx)
{
    if (r->root)
        (void)match(&(struct walk){ filter, each, ctx }, r->root, 0, true);
}

void retained_walk_start(struct retained *r)
{
    r->cursor = r->first;
}

static void spell(const struct retained_node *n, struct buf *topic)
{
    if (n->parent->parent) { /* the root stands for no level */
        spell(n->parent, topic);
        buf_u8(topic, '/');
    }
    buf_add_bytes(topic, node_level(n));
}

struct stored *retained_walk_next(struct retained *r, struct buf *topic, uint64_t *bytes, uint8_t *qos)
{
    struct retained_node *n = r->cursor;
    if (!n)
        return NULL;
    r->cursor = n->next;
    buf_reset(topic);
    spell(n, topic);
    *bytes = n->bytes;
    *qos = n->qos;
    return n->stored;
}

static void node_free(struct retained_node *n)
{
    size_t cursor = 0;
    for (struct retained_node *c; (c = table_next(&n->children, &cursor));)
        node_free(c);
    table_clear(&n->children);
    mem_free(n);
}

void retained_clear(struct retained *r)
{
    if (r->root)
        node_free(r->root);
    *r = (struct retained){ 0 };
}
