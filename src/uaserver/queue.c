/* An item's queue: a ring that grows as far as the client asked for. */
#include "uaserver/subscription.h"

#include "base/mem.h"

enum { KEEP_ROOM = 32 }; /* slots that an empty queue keeps */

/* ---- what is to be reported ---- */

static struct uas_ready *ready_of(struct uas_item *i)
{
    return i->events ? &i->sub->events : &i->sub->data;
}

void uas_make_ready(struct uas_item *i)
{
    if (i->ready || !i->count || !(i->mode == UA_MONITOR_REPORTING || i->due))
        return;
    struct uas_ready *r = ready_of(i);
    i->ready = true;
    i->next_ready = NULL;
    i->ready_link = r->end;
    *r->end = i;
    r->end = &i->next_ready;
}

void uas_not_ready(struct uas_item *i)
{
    if (!i->ready)
        return;
    *i->ready_link = i->next_ready;
    if (i->next_ready)
        i->next_ready->ready_link = i->ready_link;
    else
        ready_of(i)->end = i->ready_link;
    i->ready = false;
}

/* ---- the ring ---- */

static uint32_t room_of(const struct uas_item *i)
{
    return i->ring ? i->room : 1;
}

static void set_ring(struct uas_item *i, struct ua_value *ring, uint32_t room)
{
    for (uint32_t k = 0; k < i->count; k++)
        ring[k] = *uas_queued(i, k);
    struct uas_subscriptions *all = i->sub->server->subs;
    all->slots -= i->ring ? i->room : 0;
    mem_free(i->ring);
    i->ring = ring == &i->one ? NULL : ring;
    i->room = room;
    i->head = 0;
    all->slots += i->ring ? room : 0;
}

/* Twice as many slots. False: it has as many as it may, or there is no memory; it goes on with those it has. */
static bool widen(struct uas_item *i)
{
    uint32_t room = room_of(i), wider = room < 4 ? 4 : 2 * room;
    uint32_t most = i->queue_size + (i->events != NULL); /* and one that says that others were lost */
    if (wider > most)
        wider = most;
    const struct uas_subscriptions *all = i->sub->server->subs;
    if (wider <= room || all->slots + (wider - room) > UAS_SLOTS_MAX)
        return false;
    struct ua_value *ring = mem_alloc(wider * sizeof *ring);
    if (!ring)
        return false;
    set_ring(i, ring, wider);
    return true;
}

static void narrow(struct uas_item *i)
{
    if (i->ring && i->count == 0 && i->room > KEEP_ROOM)
        set_ring(i, &i->one, 1);
}

/* What large values take that lie in no node's inside. */
static uint32_t shared_bytes(const struct ua_value *v)
{
    return v->len == UA_VALUE_SHARED ? v->blob->len : 0;
}

static uint64_t *queued_bytes(const struct uas_item *i)
{
    return &((struct uas_subscriptions *)i->sub->server->subs)->queued_bytes;
}

static void append(struct uas_item *i, const struct ua_value *v)
{
    ua_value_copy(uas_queued(i, i->count++), v);
    *queued_bytes(i) += shared_bytes(v);
}

struct ua_value uas_queue_take(struct uas_item *i)
{
    struct ua_value v = *uas_queued(i, 0);
    if (++i->head >= room_of(i))
        i->head = 0;
    i->count--;
    *queued_bytes(i) -= shared_bytes(&v);
    if (i->discard_oldest || !i->count)
        i->noticed = false; /* it was the first, or the last */
    return v;
}

/* In the place of one just taken. */
void uas_queue_first(struct uas_item *i, const struct ua_value *v)
{
    i->head = (i->head ? i->head : room_of(i)) - 1;
    i->count++;
    ua_value_copy(uas_queued(i, 0), v);
    *queued_bytes(i) += shared_bytes(v);
}

static void drop_oldest(struct uas_item *i)
{
    struct ua_value v = uas_queue_take(i);
    ua_value_drop(&v);
}

static void drop_newest(struct uas_item *i)
{
    struct ua_value *v = uas_queued(i, --i->count);
    *queued_bytes(i) -= shared_bytes(v);
    ua_value_drop(v);
}

static void mark(struct ua_value *v)
{
    v->status |= UA_INFO_DATA_VALUE | UA_OVERFLOW;
}

/* One of them has to go (Part 4, 5.12.1.5): the oldest, and the next one says so; or the newest, and the one in its place does. A
 * queue of one has the last value and says nothing. */
static void overflow(struct uas_item *i, const struct ua_value *v)
{
    if (i->discard_oldest || i->queue_size == 1)
        drop_oldest(i);
    else
        drop_newest(i);
    append(i, v);
    if (i->queue_size == 1)
        return;
    mark(uas_queued(i, i->discard_oldest ? 0 : i->count - 1));
    UAS_COUNT(overflows);
}

/* Of events one more stands in the queue that says that others were lost: at their place, and never lost itself. */
static void event_overflow(struct uas_item *i, const struct ua_value *v)
{
    struct ua_value notice = { 0 };
    bool before = i->noticed;
    UAS_COUNT(overflows);
    if (!i->discard_oldest) {
        if (!before && uas_event_notice(i, &notice) && (i->count < room_of(i) || widen(i))) {
            append(i, &notice);
            i->noticed = true;
        }
        ua_value_drop(&notice);
        return; /* the new one is lost */
    }
    bool have = true;
    if (before)
        notice = uas_queue_take(i);
    else
        have = uas_event_notice(i, &notice);
    drop_oldest(i);
    append(i, v);
    if (have && (i->count < room_of(i) || widen(i))) {
        uas_queue_first(i, &notice);
        i->noticed = true;
    }
    ua_value_drop(&notice);
}

/* Whether there is room for one more. */
static bool fits(struct uas_item *i, const struct ua_value *v)
{
    if (i->count >= i->queue_size + i->noticed || (i->count && *queued_bytes(i) + shared_bytes(v) > UAS_QUEUED_BYTES))
        return false;
    return i->count < room_of(i) || widen(i);
}

void uas_enqueue(struct uas_item *i, const struct ua_value *v)
{
    if (fits(i, v))
        append(i, v);
    else if (i->events)
        event_overflow(i, v);
    else
        overflow(i, v);
    uas_make_ready(i);
    if (i->link_count)
        uas_trigger(i);
}

void uas_offer(struct uas_item *i, const struct ua_value *v)
{
    if (i->mode == UA_MONITOR_DISABLED || (i->known && !uas_passes(i, v)))
        return;
    ua_value_drop(&i->last);
    ua_value_copy(&i->last, v);
    i->known = true;
    uas_enqueue(i, v);
}

void uas_queue_resize(struct uas_item *i, uint32_t size)
{
    uint32_t most = size + i->noticed;
    bool lost = i->count > most;
    struct ua_value notice = { 0 };
    bool first = i->noticed && i->discard_oldest;
    if (first)
        notice = uas_queue_take(i);
    while (i->count > most - first) {
        if (i->discard_oldest)
            drop_oldest(i);
        else
            drop_newest(i);
    }
    if (first)
        uas_queue_first(i, &notice);
    ua_value_drop(&notice);
    i->noticed = first || (i->noticed && !lost); /* at the end it was among those that went */
    if (lost && size > 1 && !i->events)
        mark(uas_queued(i, i->discard_oldest ? 0 : size - 1));
    i->queue_size = size;
    uint32_t room = size + (i->events != NULL);
    if (i->ring && i->room > room) { /* a smaller one, or none; without memory it stays as it is, and is used as far as allowed */
        struct ua_value *ring = room > 1 ? mem_alloc(room * sizeof *ring) : &i->one;
        if (ring)
            set_ring(i, ring, room);
    }
}

void uas_queue_clear(struct uas_item *i)
{
    while (i->count)
        drop_oldest(i);
    uas_not_ready(i);
    i->due = false;
    narrow(i);
}
