#include "base/table.h"

#include "base/hash.h"
#include "base/mem.h"

static char gone_mark;
#define TABLE_GONE ((void *)&gone_mark)

static struct table_slot *find(const struct table *t, uint64_t hash, struct bytes key)
{
    if (!t->cap)
        return NULL;
    for (size_t i = hash & (t->cap - 1);; i = (i + 1) & (t->cap - 1)) {
        struct table_slot *s = &t->slots[i];
        if (!s->value)
            return NULL;
        if (s->value != TABLE_GONE && s->hash == hash && bytes_equal(s->key, key))
            return s;
    }
}

void *table_get(const struct table *t, struct bytes key)
{
    struct table_slot *s = find(t, hash_keyed(key), key);
    return s ? s->value : NULL;
}

static void place(struct table *t, struct table_slot item)
{
    size_t i = item.hash & (t->cap - 1);
    while (t->slots[i].value)
        i = (i + 1) & (t->cap - 1);
    t->slots[i] = item;
    t->used++;
}

static enum code resize(struct table *t)
{
    size_t cap = 16;
    /* Half full at most, so that a table that only changes its items is not rebuilt every few changes. */
    while (cap / 2 <= t->count + 1)
        cap *= 2;
    struct table_slot *slots = mem_zalloc(cap, sizeof *slots);
    if (!slots)
        return CODE_NOMEM;
    struct table old = *t;
    *t = (struct table){ .slots = slots, .cap = cap, .count = old.count };
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value && old.slots[i].value != TABLE_GONE)
            place(t, old.slots[i]);
    mem_free(old.slots);
    return CODE_OK;
}

enum code table_reserve(struct table *t)
{
    return (t->used + 1) * 4 > t->cap * 3 ? resize(t) : CODE_OK;
}

enum code table_put(struct table *t, struct bytes key, void *value)
{
    FG_ASSERT(value);
    uint64_t hash = hash_keyed(key);
    if (find(t, hash, key))
        return CODE_EXISTS;
    enum code c = table_reserve(t);
    if (c != CODE_OK)
        return c;
    place(t, (struct table_slot){ hash, key, value });
    t->count++;
    return CODE_OK;
}

void *table_remove(struct table *t, struct bytes key)
{
    struct table_slot *s = find(t, hash_keyed(key), key);
    if (!s)
        return NULL;
    void *value = s->value;
    s->value = TABLE_GONE;
    s->key = BYTES_NONE;
    t->count--;
    return value;
}

void *table_next(const struct table *t, size_t *cursor)
{
    while (*cursor < t->cap) {
        void *v = t->slots[(*cursor)++].value;
        if (v && v != TABLE_GONE)
            return v;
    }
    return NULL;
}

void table_clear(struct table *t)
{
    mem_free(t->slots);
    *t = (struct table){ 0 };
}
