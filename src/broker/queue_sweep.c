/* queue_sweep.c - what has expired while it waited takes nobody's place in a full queue [MQTT-3.3.2-5].
 *
 * Whether a message has expired is known when it is to be sent, and it is dropped then. Of a session that is away that would be
 * too late: a queue full of dead messages keeps out the living. So a queue that is nearly full is gone through, from the head on,
 * a part in each second, and again when the first of those that live has expired, until it is half empty.
 */
#include "broker/private.h"

/* Of all sessions in each second. What is not in memory is read from disk, without the lock. */
enum { LOOKS = 4096, READS = 512 };

void queue_crowded(struct broker *b, struct session *s)
{
    if (s->crowded || !s->durable || session_is_consumer(s) || !VECTOR_ROOM(b->crowded))
        return;
    s->crowded = true;
    s->swept = s->queue.head;
    s->dies_us = INT64_MAX;
    b->crowded.at[b->crowded.count++] = s->id;
}

/* Of those that nobody has seen: the message, counted; NULL: another, or it cannot be read now. The lock is let go meanwhile. */
static struct message *read_at(struct shard *shard, struct session *s, uint64_t index, unsigned *reads)
{
    struct journal *j = shard->broker->journal;
    const struct entry *e = queue_at(&s->queue, index);
    struct message *m = NULL;
    struct fault why;
    if (e->state != ENTRY_QUEUED || (e->flags & ENTRY_MAYBE_SENT) || !e->what)
        return NULL;
    if (stored_message(e->what))
        return message_hold(stored_message(e->what));
    struct stored *st = stored_hold(e->what);
    --*reads;
    journal_unlock(j);
    if (journal_read(j, st, loop_now_us(shard->loop), &m, &why) != CODE_OK)
        m = NULL; /* who is sent it hears of it */
    journal_lock(j);
    bool same = !s->ended && index >= s->queue.head && index < s->queue.tail && queue_at(&s->queue, index)->what == st &&
                queue_at(&s->queue, index)->state == ENTRY_QUEUED;
    stored_drop(st);
    if (same)
        return m;
    message_drop(m);
    return NULL;
}

static void judge(struct shard *shard, struct session *s, const struct message *m)
{
    if (m->expires_us > loop_now_us(shard->loop))
        s->dies_us = m->expires_us < s->dies_us ? m->expires_us : s->dies_us;
    else if (m->expires_us && fold_drop(shard->broker, s, s->swept, true) == CODE_OK)
        COUNT(shard, dropped_expired, 1);
}

static void sweep(struct shard *shard, struct session *s, unsigned *looks, unsigned *reads)
{
    if (s->swept >= s->queue.tail && s->dies_us <= loop_now_us(shard->loop)) {
        s->swept = s->queue.head;
        s->dies_us = INT64_MAX;
    }
    for (; !s->ended && !fold_has_holes(s) && *looks && *reads; s->swept++, --*looks) {
        if (s->swept < s->queue.head)
            s->swept = s->queue.head;
        if (s->swept >= s->queue.tail)
            break;
        struct message *m = read_at(shard, s, s->swept, reads);
        if (m)
            judge(shard, s, m);
        message_drop(m);
    }
}

static bool goes_on(const struct broker *b, const struct session *s)
{
    bool more = s->swept < s->queue.tail || s->dies_us < INT64_MAX;
    return !s->ended && (fold_is_crowded(b, s, 3) || (more && fold_is_crowded(b, s, 2)));
}

void queue_second(struct shard *shard)
{
    struct broker *b = shard->broker;
    unsigned looks = LOOKS, reads = READS;
    journal_lock(b->journal);
    for (size_t n = b->crowded.count; n > 0 && looks && reads; n--) {
        uint64_t id = b->crowded.at[0];
        struct session *s = session_by_id(b, id);
        bool on = false;
        if (s) {
            session_hold(s);
            sweep(shard, s, &looks, &reads); /* more may be crowded after it */
            on = s->crowded = goes_on(b, s);
            session_drop(s);
        }
        /* Another begins in the next second. */
        memmove(b->crowded.at, b->crowded.at + 1, (b->crowded.count - 1) * sizeof id);
        b->crowded.at[b->crowded.count - 1] = id;
        b->crowded.count -= !on;
    }
    journal_unlock(b->journal);
    journal_kick(b->journal);
}
