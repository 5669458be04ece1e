#include "journal/idmap.h"

#include "base/mem.h"

static struct idmap_entry *slot(const struct idmap *m, uint64_t id)
{
    /* Ids are sequences, our own: a multiplication spreads them. */
    size_t i = (size_t)((id * 0x9e3779b97f4a7c15u) >> 20) & (m->cap - 1);
    while (m->entries[i].id != 0 && m->entries[i].id != id)
        i = (i + 1) & (m->cap - 1);
    return &m->entries[i];
}

struct idmap_entry *idmap_get(const struct idmap *m, uint64_t id)
{
    if (m->cap == 0)
        return NULL;
    struct idmap_entry *e = slot(m, id);
    return e->id ? e : NULL;
}

static bool grow(struct idmap *m)
{
    struct idmap old = *m;
    size_t cap = old.cap ? old.cap * 2 : 64;
    m->entries = mem_zalloc(cap, sizeof *m->entries);
    if (!m->entries) {
        *m = old;
        return false;
    }
    m->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.entries[i].id)
            *slot(m, old.entries[i].id) = old.entries[i];
    mem_free(old.entries);
    return true;
}

struct idmap_entry *idmap_put(struct idmap *m, uint64_t id)
{
    FG_ASSERT(id != 0);
    if (m->count + 1 > m->cap / 4 * 3 && !grow(m))
        return NULL;
    struct idmap_entry *e = slot(m, id);
    if (e->id == 0) {
        e->id = id;
        m->count++;
    }
    return e;
}

void idmap_clear(struct idmap *m)
{
    mem_free(m->entries);
    *m = (struct idmap){0};
}
