#include "broker/retained.h"

#include "base/mem.h"
#include "base/table.h"
#include "journal/journal.h"
#include "mqtt/topic.h"

struct retained_node {
    struct retained_node *parent, *prev, *next; /* prev, next: list of those that hold a message */
    struct retained_node *youngest, *older, *younger; /* children in an order that lasts, for searches */
    struct table          children;
    struct stored        *stored;
    struct owner         *owner; /* of what is stored, or NULL */
    uint64_t              bytes;
    uint32_t              searches;  /* that rest here */
    bool                  left_over; /* only they keep it; not so the empty node of a reservation */
    bool                  lasts;     /* what is stored has no expiry interval; false: not known */
    uint8_t               qos;
    uint32_t              level_len;
    uint8_t               level[];
};

static struct bytes node_level(const struct retained_node *n)
{
    return bytes_of(n->level, n->level_len);
}

static enum code adopt(struct retained_node *parent, struct retained_node *n)
{
    enum code c = table_put(&parent->children, node_level(n), n);
    if (c != CODE_OK)
        return c;
    n->older = parent->youngest;
    if (n->older)
        n->older->younger = n;
    parent->youngest = n;
    return CODE_OK;
}

static void disown(struct retained_node *parent, struct retained_node *n)
{
    (void)table_remove(&parent->children, node_level(n));
    *(n->younger ? &n->younger->older : &parent->youngest) = n->older;
    if (n->older)
        n->older->younger = n->younger;
}

static void prune(struct retained *r, struct retained_node *n)
{
    while (n && !n->stored && n->children.count == 0) {
        if (n->searches) {
            n->left_over = true;
            return;
        }
        struct retained_node *parent = n->parent;
        if (parent)
            disown(parent, n);
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
            if (!next || adopt(n, next) != CODE_OK) {
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
    if (r->swept == n)
        r->swept = n->next;
    if (r->looked_at == n)
        r->looked_at = NULL;
    *(n->prev ? &n->prev->next : &r->first) = n->next;
    *(n->next ? &n->next->prev : &r->last) = n->prev;
    n->prev = n->next = NULL;
    r->count--;
    r->bytes -= n->bytes;
    if (n->owner && n->owner == r->reserved)
        n->owner->count[OWNED_RETAINED]--; /* a reservation must find it */
    else if (n->owner)
        owner_loses(&r->owners, n->owner, OWNED_RETAINED);
    n->owner = NULL;
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

enum code retained_reserve(struct retained *r, struct bytes topic, struct bytes owner)
{
    struct owner *before = r->reserved;
    r->reserved = owner.len ? owner_get(&r->owners, owner) : NULL;
    if (before && before != r->reserved)
        owner_forget(&r->owners, before); /* it was not set then */
    if (owner.len && !r->reserved)
        return CODE_NOMEM;
    return descend(r, topic, true) ? CODE_OK : CODE_NOMEM;
}

enum code retained_set(struct retained *r, struct bytes topic, struct stored *stored, uint64_t bytes,
                       uint8_t qos, struct bytes owner)
{
    if (retained_reserve(r, topic, owner) != CODE_OK)
        return CODE_NOMEM;
    struct retained_node *n = descend(r, topic, true);
    struct owner *of = r->reserved;
    r->reserved = NULL;
    if (of)
        owner_gains(of, OWNED_RETAINED); /* before the former one loses it, who may be the same */
    struct stored *old = n->stored;
    if (old)
        list_remove(r, n);
    n->stored = stored;
    n->lasts = false;
    n->bytes = bytes;
    n->qos = qos;
    n->owner = of;
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

struct bytes retained_owner(const struct retained *r, struct bytes topic)
{
    struct retained_node *n = descend((struct retained *)r, topic, false);
    return n ? owner_text(n->owner) : BYTES_NONE;
}

struct stored *retained_get(const struct retained *r, struct bytes topic, uint64_t *bytes)
{
    struct retained_node *n = descend((struct retained *)r, topic, false);
    if (n && n->stored && bytes)
        *bytes = n->bytes;
    return n ? n->stored : NULL;
}

/* ---- searches ---- */

/* Makes search->level the filter's level for that depth; what lies below "#" has "#" as well. False: none. */
static bool seek_level(struct retained_search *search, uint32_t depth)
{
    if (depth < search->level_depth) {
        search->level_depth = 0;
        search->cursor = 0;
    }
    while (search->level_depth < depth) {
        struct bytes level;
        if (search->level_depth && bytes_is(search->level, "#"))
            return true;
        if (!topic_level(search->filter, &search->cursor, &level))
            return false;
        search->level = level;
        search->level_depth++;
    }
    return true;
}

static bool wild(struct bytes level)
{
    return bytes_is(level, "#") || bytes_is(level, "+");
}

/* 4.7.2: the first level's wildcard does not stand for what begins with $. */
static bool hidden(struct retained_search *search, const struct retained_node *n, uint32_t depth)
{
    return depth == 1 && n->level_len && n->level[0] == '$' && seek_level(search, 1) && wild(search->level);
}

static struct retained_node *go_down(struct retained_search *search, const struct retained_node *n,
                                     uint32_t depth)
{
    if (hidden(search, n, depth) || !seek_level(search, depth + 1))
        return NULL;
    return wild(search->level) ? n->youngest : table_get(&n->children, search->level);
}

/* To the next node on the filter's ways: down, else aside, else up and aside. NULL: there is none. A node that
 * comes meanwhile stands before those already seen, so nothing is met twice. */
static struct retained_node *step(const struct retained *r, struct retained_search *search, uint32_t *depth)
{
    struct retained_node *n = search->at ? search->at : r->root;
    uint32_t at = search->at ? search->depth : 0;
    if (!n)
        return NULL;
    struct retained_node *next = go_down(search, n, at);
    *depth = at + 1;
    for (; !next && at > 0; n = n->parent, at--) {
        if (seek_level(search, at) && wild(search->level))
            next = n->older;
        *depth = at;
    }
    return next;
}

static bool fits(struct retained_search *search, const struct retained_node *n)
{
    if (!n->stored || hidden(search, n, search->depth))
        return false;
    return !seek_level(search, search->depth + 1) || bytes_is(search->level, "#"); /* "a/#" matches "a" */
}

static void rest_at(struct retained *r, struct retained_search *search, struct retained_node *n,
                    uint32_t depth)
{
    struct retained_node *left = search->at;
    if (n)
        n->searches++;
    search->at = n;
    search->depth = depth;
    if (left && --left->searches == 0 && left->left_over) {
        left->left_over = false;
        prune(r, left);
    }
}

void retained_search(struct retained_search *search, struct bytes filter)
{
    *search = (struct retained_search){ .filter = filter };
}

struct stored *retained_found(struct retained *r, struct retained_search *search, unsigned *steps,
                              uint8_t *qos)
{
    while (!search->over && *steps) {
        --*steps;
        uint32_t depth = 0;
        struct retained_node *n = step(r, search, &depth);
        rest_at(r, search, n, depth);
        search->over = !n;
        if (n && fits(search, n)) {
            *qos = n->qos;
            return n->stored;
        }
    }
    return NULL;
}

void retained_search_end(struct retained *r, struct retained_search *search)
{
    rest_at(r, search, NULL, 0);
    search->over = true;
}

/* ---- a walk over all ---- */

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

struct stored *retained_walk_next(struct retained *r, struct buf *topic, uint64_t *bytes, uint8_t *qos, struct bytes *owner)
{
    struct retained_node *n = r->cursor;
    if (!n)
        return NULL;
    r->cursor = n->next;
    buf_reset(topic);
    spell(n, topic);
    *bytes = n->bytes;
    *qos = n->qos;
    *owner = owner_text(n->owner);
    return n->stored;
}

/* ---- the sweep ---- */

struct stored *retained_sweep(struct retained *r, struct buf *topic, unsigned *looks)
{
    if (!r->swept)
        r->swept = r->first;
    while (r->swept && *looks) {
        struct retained_node *n = r->swept;
        r->swept = n->next;
        --*looks;
        if (n->lasts)
            continue;
        r->looked_at = n;
        buf_reset(topic);
        spell(n, topic);
        return n->stored;
    }
    return NULL;
}

void retained_lasts(struct retained *r, const struct stored *stored)
{
    if (r->looked_at && r->looked_at->stored == stored)
        r->looked_at->lasts = true;
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
    owners_clear(&r->owners);
    *r = (struct retained){ 0 };
}
