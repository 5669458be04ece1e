/* fold_replay.c - the same fold, from the journal's records after a start. */
#include "broker/private.h"

#include "base/log.h"
#include "base/wire.h"

static enum code broken(const struct record *r, struct fault *why)
{
    return FAIL(why, CODE_DAMAGED, r->segment_offset, "record %llu of type %u does not read as one of ours",
                (unsigned long long)r->seq, r->type);
}

static enum code make_session(struct broker *b, uint64_t id, struct bytes client_id, struct bytes principal,
                              struct session **out, struct fault *why)
{
    struct session *s = table_reserve(&b->by_id) == CODE_OK ? session_new(id, client_id, principal, true) : NULL;
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a session");
    if (id >= b->next_session_id)
        b->next_session_id = id + 1;
    session_link(b, s);
    *out = s;
    return CODE_OK;
}

static enum code replay_open(struct broker *b, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    uint64_t id = wire_varint(&w);
    uint32_t expiry = wire_le32(&w);
    struct bytes client_id = wire_le_blob(&w), principal = wire_le_blob(&w);
    if (w.bad || session_by_id(b, id))
        return broken(r, why);
    struct session *s = NULL;
    enum code c = make_session(b, id, client_id, principal, &s, why);
    if (c == CODE_OK)
        s->expiry_s = expiry;
    return c;
}

/* A record about a session that is not known: its full state follows later in the round, or it has ended. */
static struct session *known(struct broker *b, struct wire *w)
{
    uint64_t id = wire_varint(w);
    if (id >= b->next_session_id)
        b->next_session_id = id + 1;
    return w->bad ? NULL : session_by_id(b, id);
}

static enum code replay_connect(struct broker *b, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct session *s = known(b, &w);
    uint32_t expiry = wire_le32(&w);
    if (w.bad)
        return broken(r, why);
    if (s) {
        s->expiry_s = expiry;
        s->away_since_us = 0;
    }
    return CODE_OK;
}

static enum code replay_disconnect(struct broker *b, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct session *s = known(b, &w);
    uint32_t expiry = wire_le32(&w);
    int64_t age = (int64_t)wire_le64(&w);
    uint64_t sent_upto = wire_varint(&w);
    if (w.bad)
        return broken(r, why);
    if (s) {
        s->expiry_s = expiry;
        s->away_since_us = age ? age : 1;
        for (uint64_t i = s->queue.head; i < sent_upto && i < s->queue.tail; i++)
            queue_at(&s->queue, i)->flags |= ENTRY_MAYBE_SENT;
    }
    return CODE_OK;
}

static enum code replay_end(struct broker *b, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct session *s = known(b, &w);
    if (w.bad)
        return broken(r, why);
    if (s) {
        session_forget(b, s);
        session_drop(s);
    }
    return CODE_OK;
}

/* As fold_put_filter writes it. `s` NULL: only passed over. */
static enum code read_filter(struct session *s, struct wire *w, struct fault *why)
{
    uint8_t options = wire_u8(w);
    struct bytes filter = wire_le_blob(w);
    struct subscription sub = { .qos = options & 3, .no_local = options & FILTER_NO_LOCAL,
                                .retain_as_published = options & FILTER_AS_PUBLISHED, .retain_handling = options >> 4 & 3,
                                .id = options & FILTER_ID ? (uint32_t)wire_varint(w) : 0 };
    if (s && !w->bad && session_set_filter(s, filter, &sub) != CODE_OK)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a subscription");
    return CODE_OK;
}

static enum code replay_subscribe(struct broker *b, const struct record *r, bool remove, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct session *s = known(b, &w);
    enum code c = CODE_OK;
    while (c == CODE_OK && wire_left(&w) && !w.bad) {
        if (!remove) {
            c = read_filter(s, &w, why);
            continue;
        }
        struct bytes filter = wire_le_blob(&w);
        if (!w.bad && s)
            (void)session_remove_filter(s, filter);
    }
    return w.bad ? broken(r, why) : c;
}

static enum code replay_acks(struct broker *b, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct session *s = known(b, &w);
    if (w.bad)
        return broken(r, why);
    enum code c = s ? fold_apply_acks(b, s, &w) : CODE_OK;
    return c == CODE_DAMAGED ? broken(r, why) : c;
}

static enum code take_note(struct session *s, struct bytes text, struct fault *why)
{
    struct note *note = note_new(text);
    if (!note)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a note");
    mem_free(s->note);
    s->note = note;
    return CODE_OK;
}

static enum code replay_finish(struct broker *b, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct session *s = known(b, &w);
    uint64_t index = wire_varint(&w);
    struct bytes note = wire_bytes(&w, wire_left(&w));
    if (w.bad)
        return broken(r, why);
    if (!s)
        return CODE_OK;
    fold_done_below(b, s, index);
    return take_note(s, note, why);
}

static enum code push(struct broker *b, struct session *s, struct stored *st, struct origin *origin, uint8_t qos,
                      uint8_t flags, struct fault *why)
{
    if (!queue_reserve(&s->queue, 1, origin != NULL))
        return FAIL(why, CODE_NOMEM, 0, "no memory for a session's queue");
    fold_push(b, s, st, origin, 0, qos, flags);
    return CODE_OK;
}

/* The origin behind a byte that says whether there is one. `s` NULL: only passed over. */
static enum code read_origin(struct session *s, bool there, struct wire *w, struct origin **out, struct fault *why)
{
    struct origin *like = s && s->queue.tail > s->queue.head ? queue_origin(&s->queue, s->queue.tail - 1) : NULL;
    *out = NULL;
    enum code c = there ? origin_read(w, like, out) : CODE_OK;
    return c == CODE_NOMEM ? FAIL(why, CODE_NOMEM, 0, "no memory for subscription identifiers") : c;
}

/* A place in the queue whose message is gone (acknowledged, or lost to damage). */
static enum code push_done(struct session *s, struct fault *why)
{
    struct entry *e = queue_push(&s->queue, NULL);
    if (!e)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a session's queue");
    e->state = ENTRY_QUEUED;
    (void)queue_done(&s->queue, s->queue.tail - 1);
    return CODE_OK;
}

/* id, segment, offset, frame length, as fold_put_where writes them. *out NULL: that frame is damaged, which has been reported. */
static enum code read_where(struct journal *j, struct wire *w, struct stored **out, struct fault *why)
{
    uint64_t id = wire_varint(w), segment = wire_varint(w);
    uint64_t offset = wire_varint(w), bytes = wire_varint(w);
    *out = NULL;
    if (w->bad || offset > UINT32_MAX || bytes > UINT32_MAX)
        return CODE_DAMAGED;
    struct fault lost;
    enum code c = journal_keep_at(j, id, segment, (uint32_t)offset, (uint32_t)bytes, out, &lost);
    if (c == CODE_DAMAGED) {
        log_error("journal", "FG7010 message %llu is lost to damage: %s", (unsigned long long)id, lost.text);
        *out = NULL;
        return CODE_OK;
    }
    if (c != CODE_OK && why)
        *why = lost;
    return c;
}

static enum code replay_enqueue(struct broker *b, struct journal *j, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct session *s = known(b, &w);
    while (s && wire_left(&w) && !w.bad) {
        uint8_t how = wire_u8(&w);
        struct stored *st = NULL;
        struct origin *origin;
        enum code c = read_origin(s, how & HOW_ORIGIN, &w, &origin, why);
        if (c == CODE_OK)
            c = read_where(j, &w, &st, why);
        if (c == CODE_OK)
            c = st ? push(b, s, st, origin, how & HOW_QOS, how >> 4, why) : push_done(s, why);
        if (st)
            stored_drop(st);
        origin_drop(origin);
        if (c != CODE_OK)
            return c == CODE_DAMAGED ? broken(r, why) : c;
    }
    return w.bad ? broken(r, why) : CODE_OK;
}

static enum code replay_move(struct broker *b, struct journal *j, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct session *from = known(b, &w);
    while (wire_left(&w) && !w.bad) {
        uint64_t index = wire_varint(&w);
        struct session *to = known(b, &w);
        uint8_t how = wire_u8(&w);
        struct stored *st = NULL;
        struct origin *origin;
        enum code c = read_origin(to, how & HOW_ORIGIN, &w, &origin, why);
        if (c == CODE_OK)
            c = read_where(j, &w, &st, why);
        if (c == CODE_OK && to)
            c = st ? push(b, to, st, origin, how & HOW_QOS, how >> 4, why) : push_done(to, why);
        if (c == CODE_OK && from)
            fold_done(b, from, index);
        if (st)
            stored_drop(st);
        origin_drop(origin);
        if (c != CODE_OK)
            return c == CODE_DAMAGED ? broken(r, why) : c;
    }
    return w.bad ? broken(r, why) : CODE_OK;
}

static enum code replay_retain(struct broker *b, struct journal *j, const struct record *r, const struct message *m,
                               struct fault *why)
{
    if (m->payload.len == 0) {
        (void)retained_remove(&b->retained, m->topic);
        return CODE_OK;
    }
    struct stored *st = journal_keep(j, r);
    if (!st || retained_set(&b->retained, m->topic, st, m->encoded.len, m->qos, fold_retained_owner(m)) != CODE_OK) {
        if (st)
            stored_drop(st);
        return FAIL(why, CODE_NOMEM, 0, "no memory for a retained message");
    }
    return CODE_OK;
}

static enum code replay_targets(struct broker *b, struct journal *j, const struct record *r, struct wire *w,
                                struct fault *why)
{
    enum code c = CODE_OK;
    while (c == CODE_OK && wire_left(w) && !w->bad) {
        uint64_t v = wire_varint(w);
        struct session *s = w->bad ? NULL : session_by_id(b, v >> HOW_BITS);
        struct origin *origin;
        c = read_origin(s, v & HOW_ORIGIN, w, &origin, why);
        if (s && c == CODE_OK) {
            struct stored *st = journal_keep(j, r);
            c = st ? push(b, s, st, origin, v & HOW_QOS, (v & HOW_RETAIN) ? ENTRY_RETAIN : 0, why)
                   : FAIL(why, CODE_NOMEM, 0, "no memory for a handle");
            if (st)
                stored_drop(st);
        }
        origin_drop(origin);
    }
    return w->bad || c == CODE_DAMAGED ? broken(r, why) : c;
}

static enum code replay_message(struct broker *b, struct journal *j, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    uint64_t flags = wire_varint(&w);
    if (flags & META_INBOUND) {
        struct session *s = known(b, &w);
        uint64_t pid = wire_varint(&w);
        if (s && !pidset_add(&s->in_pids, (uint16_t)pid))
            return FAIL(why, CODE_NOMEM, 0, "no memory for packet identifiers");
    }
    if (flags & META_WILL) {
        struct will *will = will_by_id(b, wire_varint(&w));
        if (will)
            will_unlink(b, will);
    }
    if (flags & META_ORDINAL) {
        struct session *producer = known(b, &w);
        uint64_t ordinal = wire_varint(&w);
        if (producer && ordinal > producer->published)
            producer->published = ordinal;
    }
    if (w.bad)
        return broken(r, why);
    enum code c = replay_targets(b, j, r, &w, why);
    if (c != CODE_OK || (flags & META_NOT_RETAINED))
        return c;
    struct message m;
    c = message_view(&m, r->payload, r->wall_us, why);
    return c == CODE_OK && m.retain ? replay_retain(b, j, r, &m, why) : c;
}

static enum code replay_retained(struct broker *b, struct journal *j, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    while (wire_left(&w) && !w.bad) {
        struct bytes topic = wire_le_blob(&w);
        uint64_t bytes = wire_varint(&w);
        uint8_t how = wire_u8(&w);
        struct bytes owner = how & RETAINED_OWNED ? wire_le_blob(&w) : BYTES_NONE;
        struct stored *st;
        enum code c = read_where(j, &w, &st, why);
        if (c != CODE_OK)
            return c == CODE_DAMAGED ? broken(r, why) : c;
        if (st && retained_set(&b->retained, topic, st, bytes, how & HOW_QOS, owner) != CODE_OK) {
            stored_drop(st);
            return FAIL(why, CODE_NOMEM, 0, "no memory for a retained message");
        }
    }
    return w.bad ? broken(r, why) : CODE_OK;
}

static enum code replay_retained_over(struct broker *b, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct bytes topic = wire_le_blob(&w);
    if (w.bad)
        return broken(r, why);
    (void)retained_remove(&b->retained, topic);
    return CODE_OK;
}

static enum code replay_will(struct broker *b, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    uint64_t id = wire_varint(&w), session_id = wire_varint(&w);
    uint32_t delay = wire_le32(&w);
    struct bytes encoded = wire_bytes(&w, wire_left(&w));
    if (w.bad)
        return broken(r, why);
    if (session_id >= b->next_session_id)
        b->next_session_id = session_id + 1; /* that session left no other trace if it was not durable */
    if (will_by_id(b, id))
        return CODE_OK;
    struct will *will = mem_zalloc(1, sizeof *will);
    if (!will)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a will");
    enum code c = message_decode(&will->message, encoded, r->wall_us, b->config.io->monotonic_us(b->config.io->self), 0, why);
    if (c != CODE_OK) {
        mem_free(will);
        return c;
    }
    if (table_reserve(&b->wills_by_id) != CODE_OK) {
        message_drop(will->message);
        mem_free(will);
        return FAIL(why, CODE_NOMEM, 0, "no memory for a will");
    }
    will->id = id;
    will->session_id = session_id;
    will->delay_s = delay;
    will_link(b, will);
    return CODE_OK;
}

static enum code replay_will_clear(struct broker *b, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct will *will = will_by_id(b, wire_varint(&w));
    if (w.bad)
        return broken(r, why);
    if (will)
        will_unlink(b, will);
    return CODE_OK;
}

static enum code replay_ids(struct broker *b, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    uint64_t session = wire_varint(&w), will = wire_varint(&w);
    if (w.bad)
        return broken(r, why);
    b->next_session_id = session > b->next_session_id ? session : b->next_session_id;
    b->next_will_id = will > b->next_will_id ? will : b->next_will_id;
    return CODE_OK;
}

/* ---- a session's whole state: see fold_write.c for the parts ---- */

static enum code replay_entry(struct broker *b, struct journal *j, struct session *s, struct wire *w, struct fault *why)
{
    uint64_t index = wire_varint(w);
    uint8_t qos = wire_u8(w), state = wire_u8(w), flags = wire_u8(w);
    enum code c = CODE_OK;
    if (w->bad || index < s->queue.tail || index - s->queue.tail > QUEUE_GAP_MAX || state > ENTRY_RECEIVED)
        return CODE_DAMAGED;
    struct origin *origin;
    c = read_origin(s, qos & HOW_ORIGIN, w, &origin, why);
    qos &= HOW_QOS;
    while (c == CODE_OK && s->queue.tail < index)
        c = push_done(s, why);
    if (c != CODE_OK) {
        origin_drop(origin);
        return c;
    }
    if (state == ENTRY_RECEIVED) {
        origin_drop(origin);
        struct entry *e = queue_push(&s->queue, NULL);
        if (!e)
            return FAIL(why, CODE_NOMEM, 0, "no memory for a session's queue");
        *e = (struct entry){ .qos = qos, .state = ENTRY_RECEIVED, .flags = flags };
        return CODE_OK;
    }
    struct stored *st = NULL;
    c = read_where(j, w, &st, why);
    if (c == CODE_OK)
        c = st ? push(b, s, st, origin, qos, flags, why) : push_done(s, why);
    if (st)
        stored_drop(st);
    origin_drop(origin);
    return c;
}

static enum code replay_parts(struct broker *b, struct journal *j, struct session *s, struct wire *w, struct fault *why)
{
    enum code c = CODE_OK;
    while (c == CODE_OK && wire_left(w) && !w->bad) {
        switch (wire_u8(w)) {
        case PART_FILTER:
            c = read_filter(s, w, why);
            break;
        case PART_PID:
            if (!pidset_add(&s->in_pids, wire_le16(w)))
                c = FAIL(why, CODE_NOMEM, 0, "no memory for packet identifiers");
            break;
        case PART_ENTRY:
            c = replay_entry(b, j, s, w, why);
            break;
        case PART_READER:
            s->published = wire_varint(w);
            c = take_note(s, wire_le_blob(w), why);
            break;
        case PART_TAIL: {
            uint64_t tail = wire_varint(w);
            if (!w->bad && s->queue.head == s->queue.tail)
                s->queue.head = s->queue.tail = tail;
            while (c == CODE_OK && !w->bad && s->queue.tail < tail)
                c = push_done(s, why);
            break;
        }
        default:
            return CODE_DAMAGED;
        }
    }
    return w->bad ? CODE_DAMAGED : c;
}

static enum code replay_session(struct broker *b, struct journal *j, const struct record *r, struct fault *why)
{
    struct wire w = wire_of(r->meta);
    struct session *s = known(b, &w);
    w = wire_of(r->meta);
    uint64_t id = wire_varint(&w);
    enum code c = CODE_OK;
    if (r->type == BR_SESSION) {
        uint32_t expiry = wire_le32(&w);
        int64_t away = (int64_t)wire_le64(&w);
        struct bytes client_id = wire_le_blob(&w), principal = wire_le_blob(&w);
        uint64_t head = wire_varint(&w);
        if (w.bad)
            return broken(r, why);
        if (s) { /* the record replaces what the deltas before it made */
            session_forget(b, s);
            session_drop(s);
        }
        c = make_session(b, id, client_id, principal, &s, why);
        if (c != CODE_OK)
            return c;
        s->expiry_s = expiry;
        s->away_since_us = away;
        s->queue.head = s->queue.tail = head;
    }
    if (!s)
        return CODE_OK; /* the rest of a session whose first part was damaged: reported by the journal */
    c = replay_parts(b, j, s, &w, why);
    return c == CODE_DAMAGED ? broken(r, why) : c;
}

enum code broker_apply(void *ctx, struct journal *j, const struct record *r, struct fault *why)
{
    struct broker *b = ctx;
    switch (r->type) {
    case RECORD_MESSAGE:
        return replay_message(b, j, r, why);
    case BR_SESSION:
    case BR_SESSION_MORE:
        return replay_session(b, j, r, why);
    case BR_OPEN:
        return replay_open(b, r, why);
    case BR_CONNECT:
        return replay_connect(b, r, why);
    case BR_DISCONNECT:
        return replay_disconnect(b, r, why);
    case BR_END:
        return replay_end(b, r, why);
    case BR_SUBSCRIBE:
        return replay_subscribe(b, r, false, why);
    case BR_UNSUBSCRIBE:
        return replay_subscribe(b, r, true, why);
    case BR_ACKS:
        return replay_acks(b, r, why);
    case BR_ENQUEUE:
        return replay_enqueue(b, j, r, why);
    case BR_MOVE:
        return replay_move(b, j, r, why);
    case BR_FINISH:
        return replay_finish(b, r, why);
    case BR_RETAINED:
        return replay_retained(b, j, r, why);
    case BR_RETAINED_OVER:
        return replay_retained_over(b, r, why);
    case BR_WILL:
        return replay_will(b, r, why);
    case BR_WILL_CLEAR:
        return replay_will_clear(b, r, why);
    case BR_IDS:
        return replay_ids(b, r, why);
    default:
        /* A newer program's record would have raised the format: this is not ours. */
        return FAIL(why, CODE_UNSUPPORTED, r->segment_offset, "record %llu has type %u, which this version does not know",
                    (unsigned long long)r->seq, r->type);
    }
}
