#include "broker/origin.h"

#include "base/mem.h"

#include <stdatomic.h>

struct origin {
    _Atomic uint32_t refs;
    uint32_t         count, shared_len;
    uint32_t         ids[]; /* then the filter's text */
};

static uint8_t *text_of(struct origin *o)
{
    return (uint8_t *)(o->ids + o->count);
}

static struct origin *make(uint32_t count, struct bytes shared)
{
    struct origin *o = mem_alloc(sizeof *o + count * sizeof o->ids[0] + shared.len);
    if (!o)
        return NULL;
    atomic_init(&o->refs, 1);
    o->count = count;
    o->shared_len = (uint32_t)shared.len;
    if (shared.len)
        memcpy(text_of(o), shared.at, shared.len);
    return o;
}

struct origin *origin_new(const uint32_t *ids, uint32_t count, struct bytes shared)
{
    struct origin *o = make(count, shared);
    if (o && count)
        memcpy(o->ids, ids, count * sizeof *ids);
    return o;
}

struct origin *origin_hold(struct origin *o)
{
    if (o)
        atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
    return o;
}

void origin_drop(struct origin *o)
{
    if (o && atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) == 1)
        mem_free(o);
}

uint32_t origin_count(const struct origin *o)
{
    return o ? o->count : 0;
}

const uint32_t *origin_ids(const struct origin *o)
{
    return o ? o->ids : NULL;
}

struct bytes origin_shared(const struct origin *o)
{
    return o ? bytes_of(text_of((struct origin *)o), o->shared_len) : BYTES_NONE;
}

bool origin_equal(const struct origin *a, const struct origin *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (a->ids[i] != b->ids[i])
            return false;
    return bytes_equal(origin_shared(a), origin_shared(b));
}

void origin_put(struct buf *to, const struct origin *o)
{
    buf_varint(to, (uint64_t)o->count << 1 | (o->shared_len ? 1 : 0));
    for (uint32_t i = 0; i < o->count; i++)
        buf_varint(to, o->ids[i]);
    if (o->shared_len)
        buf_le_blob(to, origin_shared(o));
}

enum code origin_read(struct wire *w, struct origin *like, struct origin **out)
{
    uint64_t head = wire_varint(w), count = head >> 1;
    struct wire ids = *w;
    *out = NULL;
    if (w->bad || count > wire_left(w)) /* each takes a byte at least */
        return CODE_DAMAGED;
    for (uint64_t i = 0; i < count; i++)
        (void)wire_varint(w);
    struct bytes shared = head & 1 ? wire_le_blob(w) : BYTES_NONE;
    if (w->bad)
        return CODE_DAMAGED;
    struct origin *o = make((uint32_t)count, shared);
    if (!o)
        return CODE_NOMEM;
    for (uint64_t i = 0; i < count; i++)
        o->ids[i] = (uint32_t)wire_varint(&ids);
    if (like && origin_equal(o, like)) {
        origin_drop(o);
        o = origin_hold(like);
    }
    *out = o;
    return CODE_OK;
}
