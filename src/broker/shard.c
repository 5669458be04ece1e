/* shard.c - the turn of one loop, and how loops wake each other.
 *
 * A turn ends in four steps: acknowledgements the journal has meanwhile covered are written (acks.c); what the clients asked
 * for is appended to the journal under one hold of its lock, and what became deliverable is taken along; without the lock it
 * is delivered (commit.c); letters go to the other shards that have work now, one each.
 */
#include "broker/private.h"

bool vector_grow(void **at, size_t *cap, size_t size)
{
    size_t more = *cap ? *cap * 2 : 16;
    void *bigger = mem_realloc(*at, more * size);
    if (!bigger)
        return false;
    *at = bigger;
    *cap = more;
    return true;
}

/* ---- waking ---- */

static void open_wake(struct letter *letter, struct loop *here)
{
    (void)here; /* the turn that this letter makes does the work */
    struct shard *shard = (struct shard *)((char *)letter - offsetof(struct shard, wake));
    atomic_store(&shard->woken, false);
}

void shard_wake(struct shard *shard)
{
    if (atomic_exchange(&shard->woken, true))
        return;
    shard->wake.open = open_wake;
    loop_post(shard->loop, &shard->wake);
}

/* The shard that has it on its list since now, or -1. */
static int make_dirty(struct broker *b, struct session *s)
{
    int at = atomic_load(&s->shard);
    if (at < 0 || s->dirty)
        return -1;
    struct shard *to = &b->shards[at];
    s->dirty = true;
    s->dirty_next = to->dirty;
    to->dirty = session_hold(s);
    atomic_store(&to->has_dirty, true);
    return at;
}

void shard_mark_dirty(struct shard *from, struct session *s)
{
    int at = make_dirty(from->broker, s);
    if (at >= 0 && at != from->number)
        from->wake_mask |= (uint64_t)1 << at;
}

void shard_mark_dirty_later(struct broker *b, struct session *s)
{
    int at = make_dirty(b, s);
    if (at >= 0)
        atomic_fetch_or(&b->wake_mask, (uint64_t)1 << at);
}

void shard_mark_wake(struct broker *b, unsigned shard)
{
    atomic_fetch_or(&b->wake_mask, (uint64_t)1 << shard);
}

void shard_wake_others(struct shard *shard)
{
    uint64_t mask = shard->wake_mask;
    shard->wake_mask = 0;
    for (unsigned k = 0; mask; k++, mask >>= 1)
        if (mask & 1)
            shard_wake(&shard->broker->shards[k]);
}

void broker_on_durable(void *ctx, uint64_t durable)
{
    struct broker *b = ctx;
    (void)durable;
    atomic_fetch_add(&b->waking, 1);
    for (unsigned i = 0; i < b->shard_count && !atomic_load(&b->halted); i++)
        if (atomic_load(&b->shards[i].wants_durable))
            shard_wake(&b->shards[i]);
    atomic_fetch_sub(&b->waking, 1);
}

/* ---- the turn ---- */

static void release_waiting(struct shard *shard)
{
    size_t n = shard->waiting.count;
    if (!n)
        return;
    journal_lock(shard->broker->journal);
    for (size_t i = 0; i < n; i++) {
        shard->waiting.at[i]->waiting = false;
        shard_mark_dirty(shard, shard->waiting.at[i]);
    }
    journal_unlock(shard->broker->journal);
    for (size_t i = 0; i < n; i++)
        session_drop(shard->waiting.at[i]);
    shard->waiting.count = 0;
    shard_wake_others(shard); /* some may have moved */
}

static bool still_congested(const struct shard *shard)
{
    for (unsigned k = 0; k < shard->broker->shard_count; k++)
        if (atomic_load(&shard->broker->shards[k].inbox_bytes) > INBOX_LOW)
            return true;
    return false;
}

static void release_halted(struct shard *shard)
{
    if (shard->congested && !still_congested(shard))
        shard->congested = false;
    if (shard->congested || shard->slices.count)
        return;
    if (!shard->halted.count || journal_busy(shard->broker->journal) || broker_over_memory(shard->broker) ||
        atomic_load(&shard->broker->behind))
        return;
    for (size_t i = 0; i < shard->halted.count; i++) {
        client_resume(shard->halted.at[i], PAUSE_BUSY);
        client_drop(shard->halted.at[i]);
    }
    shard->halted.count = 0;
}

/* Did the journal get there since release_waiting? Sessions wait for what was appended before them. */
static bool waiting_is_durable(struct shard *shard)
{
    uint64_t durable = journal_durable(shard->broker->journal);
    bool moved = durable != shard->seen_durable;
    shard->seen_durable = durable;
    return moved;
}

static bool waits(const struct shard *shard)
{
    return shard->pending.head < shard->pending.tail || shard->waiting.count || shard->halted.count;
}

static void open_outbox(struct letter *letter, struct loop *here)
{
    struct outbox *box = (struct outbox *)((char *)letter - offsetof(struct outbox, letter));
    struct shard *shard = box->to;
    (void)here;
    uint64_t before = atomic_fetch_sub(&shard->inbox_bytes, box->bytes);
    if (before > INBOX_LOW && before - box->bytes <= INBOX_LOW)
        for (unsigned k = 0; k < shard->broker->shard_count; k++)
            shard_wake(&shard->broker->shards[k]); /* publishers may go on */
    for (uint32_t i = 0; i < box->count; i++) {
        struct outbox_item *item = &box->items[i];
        route_deliver_here(shard, item->message, item->fanout, item->from);
        message_drop(item->message);
        fanout_drop(item->fanout);
    }
    mem_free(box);
}

static void post_outboxes(struct shard *shard)
{
    for (unsigned k = 0; k < shard->broker->shard_count; k++) {
        struct outbox *box = shard->outbox[k];
        if (!box)
            continue;
        shard->outbox[k] = NULL;
        box->to = &shard->broker->shards[k];
        box->letter.open = open_outbox;
        atomic_fetch_add(&box->to->inbox_bytes, box->bytes);
        loop_post(box->to->loop, &box->letter);
    }
}

void shard_turn(void *ctx)
{
    struct shard *shard = ctx;
    atomic_store(&shard->wants_durable, false);
    acks_give_up(shard);
    (void)acks_release(shard);
    release_waiting(shard);
    release_halted(shard);
    feed_turn(shard);
    share_turn(shard);
    route_slices(shard);
    shard_commit(shard);
    /* The journal may get there between our look and our wish to be told: look once more after the wish. */
    while (waits(shard)) {
        atomic_store(&shard->wants_durable, true);
        bool more = acks_release(shard) || (shard->waiting.count && waiting_is_durable(shard));
        release_waiting(shard);
        release_halted(shard);
        if (!more)
            break;
        shard_commit(shard);
    }
    post_outboxes(shard);
    budget_turn_ends(shard);
}

/* ---- life ---- */

static void second(struct timer *t)
{
    struct shard *shard = (struct shard *)((char *)t - offsetof(struct shard, second));
    if (shard->number == 0) {
        session_upkeep(shard->broker);
        retained_second(shard);
        queue_second(shard);
        sys_second(shard);
        budget_second(shard);
    }
    retry_second(shard);
    access_second(shard);
    timer_start(shard->loop, &shard->second, 1000, second);
}

void shard_init(struct broker *b, int number, struct loop *loop)
{
    struct shard *shard = &b->shards[number];
    shard->broker = b;
    shard->loop = loop;
    shard->number = number;
    shard->commits = 1;
    loop_set_user(loop, shard);
    loop_set_turn(loop, shard_turn, shard);
    timer_start(loop, &shard->second, 1000, second);
    access_take(shard);
    budget_turn_ends(shard);
}

static void forget_dirty(struct session **list)
{
    for (struct session *s; (s = *list);) {
        *list = s->dirty_next;
        s->dirty = false;
        session_drop(s);
    }
}

void shard_clear(struct shard *shard)
{
    timer_stop(shard->loop, &shard->second);
    access_clear(shard);
    commit_clear(shard);
    acks_clear(shard);
    for (size_t i = 0; i < shard->waiting.count; i++)
        session_drop(shard->waiting.at[i]);
    for (size_t i = 0; i < shard->halted.count; i++)
        client_drop(shard->halted.at[i]);
    retry_clear(shard);
    for (size_t i = 0; i < shard->slices.count; i++) {
        message_drop(shard->slices.at[i].message);
        fanout_drop(shard->slices.at[i].fanout);
    }
    mem_free(shard->slices.at);
    forget_dirty(&shard->dirty_late);
    forget_dirty(&shard->dirty);
    for (unsigned k = 0; k < SHARDS_MAX; k++)
        if (shard->outbox[k]) {
            atomic_fetch_add(&shard->inbox_bytes, shard->outbox[k]->bytes);
            shard->outbox[k]->to = shard; /* nobody is connected any more: this only lets go */
            open_outbox(&shard->outbox[k]->letter, shard->loop);
            shard->outbox[k] = NULL;
        }
    mem_free(shard->ops.at);
    mem_free(shard->parcels.at);
    mem_free(shard->chosen.at);
    mem_free(shard->pending.ring);
    mem_free(shard->waiting.at);
    mem_free(shard->halted.at);
    buf_clear(&shard->scratch);
    buf_clear(&shard->meta);
    buf_clear(&shard->props);
    route_clear(shard);
}
