#include "broker/queue.h"

#include "base/mem.h"

#include <stdatomic.h>
#include <stddef.h>

/* Moves only when a ring grows or goes. */
static _Atomic uint64_t in_use;

static uint64_t ring_bytes(uint32_t cap, bool origins)
{
    return (uint64_t)cap * (sizeof(struct entry) + (origins ? sizeof(struct origin *) : 0));
}

static void count_ring(uint32_t before, uint32_t after, bool origins)
{
    atomic_fetch_add_explicit(&in_use, ring_bytes(after, origins) - ring_bytes(before, origins), memory_order_relaxed);
}

uint64_t queue_bytes_in_use(void)
{
    return atomic_load_explicit(&in_use, memory_order_relaxed);
}

static uint32_t next_cap(const struct queue *q, uint64_t needed)
{
    uint32_t cap = q->cap ? q->cap : 4;
    while (cap < needed && cap <= UINT32_MAX / 4)
        cap *= 2;
    return cap;
}

uint64_t queue_growth(const struct queue *q, uint32_t more)
{
    uint64_t needed = q->tail - q->head + more;
    return needed <= q->cap ? 0 : ring_bytes(next_cap(q, needed), q->origins != NULL);
}

static bool grow(struct queue *q, uint32_t more)
{
    uint64_t needed = q->tail - q->head + more;
    uint32_t cap = next_cap(q, needed);
    if (cap < needed)
        return false;
    struct entry *ring = mem_alloc(cap * sizeof *ring);
    struct origin **origins = q->origins ? mem_zalloc(cap, sizeof(struct origin *)) : NULL;
    if (!ring || (q->origins && !origins)) {
        mem_free(ring);
        mem_free(origins);
        return false;
    }
    for (uint64_t i = q->head; i < q->tail; i++) {
        ring[i & (cap - 1)] = q->ring[i & (q->cap - 1)];
        if (origins)
            origins[i & (cap - 1)] = q->origins[i & (q->cap - 1)];
    }
    mem_free(q->ring);
    mem_free(q->origins);
    count_ring(q->cap, cap, origins != NULL);
    q->ring = ring;
    q->origins = origins;
    q->cap = cap;
    return true;
}

bool queue_reserve(struct queue *q, uint32_t more, bool with_origin)
{
    if (q->tail - q->head + more > q->cap && !grow(q, more))
        return false;
    if (with_origin && !q->origins) {
        q->origins = mem_zalloc(q->cap, sizeof(struct origin *));
        if (q->origins)
            atomic_fetch_add_explicit(&in_use, q->cap * sizeof(struct origin *), memory_order_relaxed);
    }
    return !with_origin || q->origins;
}

struct entry *queue_push(struct queue *q, struct origin *origin)
{
    if (!queue_reserve(q, 1, origin != NULL))
        return NULL;
    uint64_t at = q->tail++ & (q->cap - 1);
    if (q->origins)
        q->origins[at] = origin_hold(origin);
    q->ring[at] = (struct entry){ 0 };
    q->open++;
    return &q->ring[at];
}

struct origin *queue_origin(const struct queue *q, uint64_t index)
{
    return q->origins ? q->origins[index & (q->cap - 1)] : NULL;
}

static void forget_origin(struct queue *q, uint64_t index)
{
    if (!q->origins)
        return;
    origin_drop(q->origins[index & (q->cap - 1)]);
    q->origins[index & (q->cap - 1)] = NULL;
}

struct entry *queue_at(struct queue *q, uint64_t index)
{
    FG_ASSERT(index >= q->head && index < q->tail);
    return &q->ring[index & (q->cap - 1)];
}

void *queue_received(struct queue *q, uint64_t index)
{
    struct entry *e = queue_at(q, index);
    void *what = e->what;
    if (what)
        q->bytes -= e->bytes;
    forget_origin(q, index);
    e->what = NULL;
    e->state = ENTRY_RECEIVED;
    return what;
}

/* A long backlog that was worked off gives its memory back. */
static void shrink(struct queue *q)
{
    if (q->head != q->tail)
        return;
    if (q->cap > 64) {
        count_ring(q->cap, 0, q->origins != NULL);
        mem_free(q->ring);
        mem_free(q->origins);
        q->ring = NULL;
        q->origins = NULL;
        q->cap = 0;
    }
}

void *queue_done(struct queue *q, uint64_t index)
{
    struct entry *e = queue_at(q, index);
    FG_ASSERT(e->state != ENTRY_DONE);
    void *what = e->what;
    if (what)
        q->bytes -= e->bytes;
    forget_origin(q, index);
    e->what = NULL;
    e->state = ENTRY_DONE;
    q->open--;
    while (q->head < q->tail && q->ring[q->head & (q->cap - 1)].state == ENTRY_DONE)
        q->head++;
    shrink(q);
    return what;
}

void queue_clear(struct queue *q)
{
    for (uint64_t i = q->head; q->origins && i < q->tail; i++)
        origin_drop(queue_origin(q, i));
    count_ring(q->cap, 0, q->origins != NULL);
    mem_free(q->ring);
    mem_free(q->origins);
    *q = (struct queue){ .head = q->tail, .tail = q->tail };
}

bool queue_find(const struct queue *q, uint16_t packet_id, uint64_t *index)
{
    if (packet_id == 0)
        return false;
    uint64_t want = (uint64_t)packet_id - 1;
    uint64_t ahead = (want + 65535 - q->head % 65535) % 65535;
    *index = q->head + ahead;
    return *index < q->tail;
}
