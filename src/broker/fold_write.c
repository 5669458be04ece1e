/* fold_write.c - a round of state: everything durable of the broker, written out again so that older segments can go.
 *
 * Runs in slices under the journal's lock, while the broker goes on between them. That is sound because each record
 * rebuilds one session (or retained message, or will) on its own, as it is at that point of the log: deltas before it are
 * overwritten by it, deltas after it apply to it. A session that ends before its turn writes nothing; one that is made
 * after the round began has its own records behind the round's beginning.
 */
#include "broker/private.h"

enum { RECORD_BYTES = 16 * 1024, SLICE_BYTES = 256 * 1024 };
enum { PHASE_IDS, PHASE_SESSIONS, PHASE_RETAINED, PHASE_WILLS, PHASE_END };

struct writer {
    struct broker  *broker;
    struct journal *journal;
    struct buf      meta;
    size_t         written;
    uint64_t       session_id;
    uint8_t        type;
};

static enum code put(struct writer *w, uint16_t flags)
{
    if (w->meta.bad)
        return CODE_NOMEM;
    struct record_in in = { .type = w->type, .flags = flags, .partition = JOURNAL_NO_PARTITION, .meta = buf_bytes(&w->meta),
                            .wall_us = w->broker->config.io->wall_us(w->broker->config.io->self) };
    struct record_out out;
    enum code c = journal_append(w->journal, &in, &out, NULL);
    w->written += buf_size(&w->meta) + JOURNAL_FRAME_HEAD;
    buf_reset(&w->meta);
    return c;
}

void fold_put_where(struct buf *meta, const struct stored *st)
{
    uint64_t segment;
    uint32_t offset, bytes;
    stored_where(st, &segment, &offset, &bytes);
    buf_varint(meta, stored_id(st));
    buf_varint(meta, segment);
    buf_varint(meta, offset);
    buf_varint(meta, bytes);
}

/* A long session is several records; the journal replays all of them or none. */
static enum code room(struct writer *w)
{
    if (buf_size(&w->meta) < RECORD_BYTES)
        return CODE_OK;
    enum code c = put(w, RECORD_MORE);
    w->type = BR_SESSION_MORE;
    buf_varint(&w->meta, w->session_id);
    return c;
}

static enum code put_entries(struct writer *w, struct session *s)
{
    enum code c = CODE_OK;
    for (uint64_t i = s->queue.head; c == CODE_OK && i < s->queue.tail; i++) {
        const struct entry *e = queue_at(&s->queue, i);
        if (e->state == ENTRY_DONE)
            continue;
        buf_u8(&w->meta, PART_ENTRY);
        buf_varint(&w->meta, i);
        const struct origin *origin = queue_origin(&s->queue, i);
        buf_u8(&w->meta, (uint8_t)(e->qos | (origin ? HOW_ORIGIN : 0)));
        buf_u8(&w->meta, e->state == ENTRY_RECEIVED ? ENTRY_RECEIVED : ENTRY_QUEUED);
        buf_u8(&w->meta, (uint8_t)(e->flags | (e->state == ENTRY_SENT ? ENTRY_MAYBE_SENT : 0)));
        if (origin)
            origin_put(&w->meta, origin);
        if (e->state != ENTRY_RECEIVED)
            fold_put_where(&w->meta, e->what);
        c = room(w);
    }
    return c;
}

static enum code put_session(struct writer *w, struct session *s)
{
    enum code c = CODE_OK;
    w->type = BR_SESSION;
    w->session_id = s->id;
    buf_varint(&w->meta, s->id);
    buf_le32(&w->meta, s->expiry_s);
    buf_le64(&w->meta, (uint64_t)s->away_since_us);
    buf_le_blob(&w->meta, s->client_id);
    buf_le_blob(&w->meta, s->principal);
    buf_varint(&w->meta, s->queue.head);
    for (struct held_filter *f = s->filters; c == CODE_OK && f; f = f->next) {
        struct subscription sub = held_subscription(s, f);
        buf_u8(&w->meta, PART_FILTER);
        fold_put_filter(&w->meta, bytes_of(f->text, f->len), &sub);
        c = room(w);
    }
    for (uint32_t i = 0; c == CODE_OK && i < s->in_pids.count; i++) {
        buf_u8(&w->meta, PART_PID);
        buf_le16(&w->meta, s->in_pids.at[i]);
        c = room(w);
    }
    if (session_is_consumer(s)) {
        buf_u8(&w->meta, PART_READER);
        buf_varint(&w->meta, s->published);
        buf_le_blob(&w->meta, s->note ? bytes_of(s->note->text, s->note->len) : BYTES_NONE);
    }
    if (c == CODE_OK)
        c = put_entries(w, s);
    if (c != CODE_OK)
        return c;
    buf_u8(&w->meta, PART_TAIL);
    buf_varint(&w->meta, s->queue.tail);
    return put(w, 0);
}

static enum code put_sessions(struct writer *w)
{
    struct broker *b = w->broker;
    while (b->round_session) {
        struct session *s = b->round_session;
        b->round_session = s->next;
        enum code c = put_session(w, s);
        if (c != CODE_OK)
            return c;
        if (w->written > SLICE_BYTES)
            return CODE_MORE;
    }
    return CODE_OK;
}

static enum code put_retained(struct writer *w)
{
    struct buf topic = { 0 };
    enum code c = CODE_OK;
    struct bytes owner;
    uint64_t bytes;
    uint8_t qos;
    w->type = BR_RETAINED;
    for (struct stored *st; c == CODE_OK && (st = retained_walk_next(&w->broker->retained, &topic, &bytes, &qos, &owner));) {
        buf_le_blob(&w->meta, buf_bytes(&topic));
        buf_varint(&w->meta, bytes);
        buf_u8(&w->meta, (uint8_t)(qos | (owner.len ? RETAINED_OWNED : 0)));
        if (owner.len)
            buf_le_blob(&w->meta, owner);
        fold_put_where(&w->meta, st);
        if (topic.bad)
            c = CODE_NOMEM;
        else if (buf_size(&w->meta) > RECORD_BYTES)
            c = put(w, 0);
        if (c == CODE_OK && w->written > SLICE_BYTES) {
            c = CODE_MORE;
        }
    }
    buf_clear(&topic);
    if ((c == CODE_OK || c == CODE_MORE) && buf_size(&w->meta)) {
        enum code last = put(w, 0);
        c = last == CODE_OK ? c : last;
    }
    return c;
}

static enum code put_wills(struct writer *w)
{
    struct broker *b = w->broker;
    while (b->round_will) {
        struct will *will = b->round_will;
        b->round_will = will->next;
        w->type = BR_WILL;
        fold_put_will(&w->meta, will);
        enum code c = put(w, 0);
        if (c != CODE_OK)
            return c;
        if (w->written > SLICE_BYTES)
            return CODE_MORE;
    }
    return CODE_OK;
}

static enum code put_ids(struct writer *w)
{
    w->type = BR_IDS;
    buf_varint(&w->meta, w->broker->next_session_id);
    buf_varint(&w->meta, w->broker->next_will_id);
    return put(w, 0);
}

enum code broker_write_state(void *ctx, struct journal *j, bool restart)
{
    struct broker *b = ctx;
    FG_ASSERT(!b->journal || b->journal == j);
    if (restart) {
        b->round_phase = PHASE_IDS;
        b->round_session = b->durable_first;
        b->round_will = b->wills;
        retained_walk_start(&b->retained);
    }
    static enum code (*const phases[])(struct writer *) = { put_ids, put_sessions, put_retained, put_wills };
    struct writer w = { .broker = b, .journal = j };
    enum code c = CODE_OK;
    while (c == CODE_OK && b->round_phase < PHASE_END) {
        c = phases[b->round_phase](&w);
        if (c == CODE_OK)
            b->round_phase++;
    }
    buf_clear(&w.meta);
    return c;
}
