#include "broker/tree.h"

#include "base/mem.h"
#include "base/table.h"
#include "broker/share.h"
#include "mqtt/topic.h"

struct tree_node {
    struct tree_node    *parent;
    struct table         children; /* by level text, wildcards included */
    struct subscription *subs;
    uint32_t             count, cap;
    uint32_t             level_len;
    uint8_t              level[];
};

static struct tree_node *node_new(struct tree_node *parent, struct bytes level)
{
    struct tree_node *n = mem_zalloc(1, sizeof *n + level.len);
    if (!n)
        return NULL;
    n->parent = parent;
    n->level_len = (uint32_t)level.len;
    if (level.len)
        memcpy(n->level, level.at, level.len);
    return n;
}

static struct bytes node_level(const struct tree_node *n)
{
    return bytes_of(n->level, n->level_len);
}

static struct tree_node *child(const struct tree_node *n, struct bytes level)
{
    return table_get(&n->children, level);
}

/* Takes away nodes that hold nothing, from n upwards. */
static void prune(struct tree *t, struct tree_node *n)
{
    while (n && n->count == 0 && n->children.count == 0) {
        struct tree_node *parent = n->parent;
        if (parent)
            (void)table_remove(&parent->children, node_level(n));
        else
            t->root = NULL;
        table_clear(&n->children);
        mem_free(n->subs);
        mem_free(n);
        n = parent;
    }
}

static struct tree_node *descend(struct tree *t, struct bytes filter, bool make)
{
    if (!t->root && (!make || !(t->root = node_new(NULL, BYTES_NONE))))
        return NULL;
    struct tree_node *n = t->root;
    size_t cursor = 0;
    for (struct bytes level; topic_level(filter, &cursor, &level);) {
        struct tree_node *next = child(n, level);
        if (!next) {
            if (!make)
                return NULL;
            next = node_new(n, level);
            if (!next || table_put(&n->children, node_level(next), next) != CODE_OK) {
                mem_free(next);
                prune(t, n);
                return NULL;
            }
        }
        n = next;
    }
    return n;
}

static struct share *share_at(const struct tree_node *n, struct bytes filter)
{
    for (uint32_t i = 0; n && i < n->count; i++)
        if (n->subs[i].share && bytes_equal(share_filter(n->subs[i].share), filter))
            return n->subs[i].share;
    return NULL;
}

static struct bytes inner(struct bytes filter)
{
    struct bytes name, rest;
    topic_filter_split(filter, &name, &rest);
    return rest;
}

static bool room(struct tree_node *n)
{
    if (n->count < n->cap)
        return true;
    uint32_t cap = n->cap ? n->cap * 2 : 1;
    struct subscription *subs = mem_realloc(n->subs, cap * sizeof *subs);
    if (!subs)
        return false;
    n->subs = subs;
    n->cap = cap;
    return true;
}

static enum code add_shared(struct tree *t, struct tree_node *n, struct bytes filter, const struct subscription *sub,
                            bool *replaced)
{
    struct share *g = share_at(n, filter);
    if (g) {
        enum code c = share_join(g, sub, replaced);
        t->count += c == CODE_OK && !*replaced;
        t->shared += c == CODE_OK && !*replaced;
        return c;
    }
    g = room(n) ? share_new(filter) : NULL;
    if (!g || share_join(g, sub, replaced) != CODE_OK) {
        share_drop(g);
        prune(t, n);
        return CODE_NOMEM;
    }
    n->subs[n->count++] = (struct subscription){ .share = g };
    t->count++;
    t->shared++;
    return CODE_OK;
}

enum code tree_add(struct tree *t, struct bytes filter, const struct subscription *sub, bool *replaced)
{
    *replaced = false;
    struct tree_node *n = descend(t, inner(filter), true);
    if (!n)
        return CODE_NOMEM;
    if (topic_filter_shared(filter))
        return add_shared(t, n, filter, sub, replaced);
    for (uint32_t i = 0; i < n->count; i++)
        if (n->subs[i].session == sub->session) {
            n->subs[i] = *sub;
            *replaced = true;
            return CODE_OK;
        }
    if (!room(n)) {
        prune(t, n);
        return CODE_NOMEM;
    }
    n->subs[n->count++] = *sub;
    t->count++;
    return CODE_OK;
}

struct share *tree_share(const struct tree *t, struct bytes filter)
{
    return share_at(descend((struct tree *)t, inner(filter), false), filter);
}

static void take_out(struct tree *t, struct tree_node *n, uint32_t i)
{
    n->subs[i] = n->subs[--n->count];
    prune(t, n);
}

static bool remove_shared(struct tree *t, struct tree_node *n, struct bytes filter, const struct session *s)
{
    struct share *g = share_at(n, filter);
    bool empty;
    if (!g || !share_leave(g, s, &empty))
        return false;
    t->count--;
    t->shared--;
    for (uint32_t i = 0; empty && i < n->count; i++)
        if (n->subs[i].share == g) {
            take_out(t, n, i);
            share_drop(g);
            break;
        }
    return true;
}

bool tree_remove(struct tree *t, struct bytes filter, const struct session *s)
{
    struct tree_node *n = descend(t, inner(filter), false);
    if (topic_filter_shared(filter))
        return remove_shared(t, n, filter, s);
    for (uint32_t i = 0; n && i < n->count; i++)
        if (n->subs[i].session == s) {
            take_out(t, n, i);
            t->count--;
            return true;
        }
    return false;
}

struct walk {
    struct bytes topic;
    void (*each)(void *, const struct subscription *);
    void *ctx;
};

static void give(const struct walk *w, const struct tree_node *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        w->each(w->ctx, &n->subs[i]);
}

/* `cursor` stands before the level below n. One step per level: the depth is the topic's. */
static void match(const struct walk *w, const struct tree_node *n, size_t cursor, bool first)
{
    struct bytes level;
    /* 4.7.2: names that begin with $ are hidden from wildcards in the first level. */
    bool hidden = first && w->topic.len && w->topic.at[0] == '$';
    const struct tree_node *rest = hidden || !n->children.count ? NULL : child(n, BYTES_LIT("#"));
    if (rest)
        give(w, rest); /* "a/#" matches "a" itself, too (4.7.1.2) */
    if (!topic_level(w->topic, &cursor, &level)) {
        give(w, n);
        return;
    }
    if (!n->children.count)
        return;
    const struct tree_node *exact = child(n, level);
    if (exact)
        match(w, exact, cursor, false);
    const struct tree_node *any = hidden ? NULL : child(n, BYTES_LIT("+"));
    if (any)
        match(w, any, cursor, false);
}

void tree_match(const struct tree *t, struct bytes topic, void (*each)(void *, const struct subscription *), void *ctx)
{
    if (t->root)
        match(&(struct walk){ topic, each, ctx }, t->root, 0, true);
}

static void node_free(struct tree_node *n)
{
    size_t cursor = 0;
    for (struct tree_node *c; (c = table_next(&n->children, &cursor));)
        node_free(c);
    table_clear(&n->children);
    for (uint32_t i = 0; i < n->count; i++)
        share_drop(n->subs[i].share);
    mem_free(n->subs);
    mem_free(n);
}

void tree_clear(struct tree *t)
{
    if (t->root)
        node_free(t->root);
    *t = (struct tree){ 0 };
}
