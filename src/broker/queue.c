#include "broker/queue.h"

#include "base/mem.h"

#include <stddef.h>

bool queue_reserve(struct queue *q)
{
    if (q->tail - q->head < q->cap)
        return true;
    if (q->cap > UINT32_MAX / 4)
        return false;
    uint32_t cap = q->cap ? q->cap * 2 : 4;
    struct entry *ring = mem_alloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (uint64_t i = q->head; i < q->tail; i++)
        ring[i & (cap - 1)] = q->ring[i & (q->cap - 1)];
    mem_free(q->ring);
    q->ring = ring;
    q->cap = cap;
    return true;
}

struct entry *queue_push(struct queue *q)
{
    if (!queue_reserve(q))
        return NULL;
    struct entry *e = &q->ring[q->tail++ & (q->cap - 1)];
    *e = (struct entry){ 0 };
    q->open++;
    return e;
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
        mem_free(q->ring);
        q->ring = NULL;
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
    mem_free(q->ring);
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
