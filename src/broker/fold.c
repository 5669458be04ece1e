/* fold.c - durable state as a fold over journal records.
 *
 * Each change is a function in two halves: append the record, then apply it. The second half is the same code that
 * replay calls (broker_apply), so that memory after a crash is what it was before. Everything here runs under the
 * journal's lock. What an application needs of memory is reserved before its record is appended: after the append nothing
 * may fail.
 */
#include "broker/private.h"

#include "base/limits_use.h"
#include "base/crc32c.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/wire.h"

/* The first this many entries of a live session's backlog keep their message in memory; what comes behind a longer backlog
 * is read from disk when its turn comes. */
enum { HOT_ENTRIES = 512, HOT_READ = 8192 /* of a reader inside the node */, HOT_RETAINED_BYTES = 4096, HOLES_MAX = 65536 };

static void counted(struct broker *b, int64_t messages, int64_t bytes)
{
    atomic_fetch_add_explicit(&b->queued_messages, (uint64_t)messages, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->queued_bytes, (uint64_t)bytes, memory_order_relaxed);
}

/* The caller reserved the room. */
void fold_push(struct broker *b, struct session *s, struct stored *st, struct origin *origin, uint64_t seq, uint8_t qos,
               uint8_t flags)
{
    struct entry *e = queue_push(&s->queue, origin);
    FG_ASSERT(e);
    *e = (struct entry){ .what = stored_hold(st), .seq = seq, .bytes = stored_bytes(st), .qos = qos, .flags = flags };
    s->queue.bytes += e->bytes;
    limits_saw(LIMIT_QUEUED_MESSAGES, s->queue.open);
    limits_saw(LIMIT_QUEUED_BYTES, s->queue.bytes);
    counted(b, 1, e->bytes);
    consumer_came(s);
}

static void finish(struct broker *b, struct session *s, uint64_t index)
{
    uint32_t bytes = queue_at(&s->queue, index)->bytes;
    struct stored *st = queue_done(&s->queue, index);
    if (st) {
        counted(b, -1, -(int64_t)bytes);
        stored_drop(st);
    }
}

static void apply_ack(struct broker *b, struct session *s, uint64_t kind, uint64_t value)
{
    bool here = value >= s->queue.head && value < s->queue.tail &&
                queue_at(&s->queue, value)->state != ENTRY_DONE;
    switch (kind) {
    case ACK_DONE:
        if (here)
            finish(b, s, value);
        break;
    case ACK_RECEIVED:
        if (here && queue_at(&s->queue, value)->state != ENTRY_RECEIVED) {
            uint32_t bytes = queue_at(&s->queue, value)->bytes;
            struct stored *st = queue_received(&s->queue, value);
            if (st) {
                counted(b, -1, -(int64_t)bytes);
                stored_drop(st);
            }
        }
        break;
    case ACK_RELEASE:
        pidset_remove(&s->in_pids, (uint16_t)value);
        break;
    default:
        break;
    }
}

void fold_done(struct broker *b, struct session *s, uint64_t index)
{
    apply_ack(b, s, ACK_DONE, index);
}

enum code fold_apply_acks(struct broker *b, struct session *s, struct wire *w)
{
    while (wire_left(w) && !w->bad) {
        uint64_t kind = wire_varint(w), value = wire_varint(w);
        if (w->bad || kind > ACK_INBOUND)
            return CODE_DAMAGED;
        if (kind == ACK_INBOUND && !pidset_add(&s->in_pids, (uint16_t)value))
            return CODE_NOMEM;
        apply_ack(b, s, kind, value);
    }
    return w->bad ? CODE_DAMAGED : CODE_OK;
}

/* ---- live: append, then apply ---- */

static enum code append_when(struct broker *b, uint8_t type, const struct buf *meta, bool later, uint64_t *seq,
                             struct fault *why)
{
    if (meta->bad)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a journal record");
    struct record_in in = { .type = type, .partition = JOURNAL_NO_PARTITION, .meta = buf_bytes(meta),
                            .wall_us = b->config.io->wall_us(b->config.io->self), .later = later };
    struct record_out out = { 0 };
    enum code c = journal_append(b->journal, &in, &out, why);
    if (c == CODE_OK && seq)
        *seq = out.seq;
    return c;
}

static enum code append(struct broker *b, uint8_t type, const struct buf *meta, uint64_t *seq, struct fault *why)
{
    return append_when(b, type, meta, false, seq, why);
}

enum code fold_open(struct broker *b, struct session *s, uint64_t *seq, struct fault *why)
{
    struct buf meta = { 0 };
    buf_varint(&meta, s->id);
    buf_le32(&meta, s->expiry_s);
    buf_le_blob(&meta, s->client_id);
    buf_le_blob(&meta, s->principal);
    enum code c = append(b, BR_OPEN, &meta, seq, why);
    buf_clear(&meta);
    if (c == CODE_OK)
        session_link(b, s);
    return c;
}

enum code fold_connect(struct broker *b, struct session *s, uint32_t expiry_s, uint64_t *seq, struct fault *why)
{
    struct buf meta = { 0 };
    buf_varint(&meta, s->id);
    buf_le32(&meta, expiry_s);
    enum code c = append(b, BR_CONNECT, &meta, seq, why);
    buf_clear(&meta);
    if (c == CODE_OK) {
        s->expiry_s = expiry_s;
        s->away_since_us = 0;
    }
    return c;
}

static void apply_disconnect(struct session *s, uint32_t expiry_s, int64_t age_us, uint64_t sent_upto)
{
    s->expiry_s = expiry_s;
    s->away_since_us = age_us ? age_us : 1;
    s->droppable = s->queue.head;
    for (uint64_t i = s->queue.head; i < sent_upto && i < s->queue.tail; i++) {
        struct entry *e = queue_at(&s->queue, i);
        if (e->state == ENTRY_SENT)
            e->state = ENTRY_QUEUED;
        e->flags |= ENTRY_MAYBE_SENT;
    }
}

enum code fold_disconnect(struct broker *b, struct session *s, uint64_t sent_upto, struct fault *why)
{
    int64_t age = journal_age_us(b->journal);
    struct buf meta = { 0 };
    buf_varint(&meta, s->id);
    buf_le32(&meta, s->expiry_s);
    buf_le64(&meta, (uint64_t)age);
    buf_varint(&meta, sent_upto);
    enum code c = append(b, BR_DISCONNECT, &meta, NULL, why);
    buf_clear(&meta);
    /* Volatile knowledge is settled even when the log cannot take the record. */
    apply_disconnect(s, s->expiry_s, age, sent_upto);
    return c;
}

enum code fold_end(struct broker *b, struct session *s, struct fault *why)
{
    struct buf meta = { 0 };
    buf_varint(&meta, s->id);
    enum code c = append(b, BR_END, &meta, &b->last_end_seq, why);
    buf_clear(&meta);
    if (c == CODE_OK) {
        session_leave_tree(b, s);
        session_forget(b, s);
    }
    return c;
}

void fold_put_filter(struct buf *meta, struct bytes filter, const struct subscription *sub)
{
    buf_u8(meta, (uint8_t)(sub->qos | (sub->no_local ? FILTER_NO_LOCAL : 0) |
                           (sub->retain_as_published ? FILTER_AS_PUBLISHED : 0) | sub->retain_handling << 4 |
                           (sub->id ? FILTER_ID : 0)));
    buf_le_blob(meta, filter);
    if (sub->id)
        buf_varint(meta, sub->id);
}

enum code fold_subscribe(struct broker *b, struct session *s, const struct mqtt_filter *list, uint32_t id, uint64_t *seq,
                         struct fault *why)
{
    struct buf meta = { 0 };
    buf_varint(&meta, s->id);
    for (const struct mqtt_filter *f = list; f; f = f->next) {
        struct subscription sub = { .qos = f->qos, .no_local = f->no_local, .retain_as_published = f->retain_as_published,
                                    .retain_handling = f->retain_handling, .id = id };
        if (!f->refused)
            fold_put_filter(&meta, f->filter, &sub);
    }
    enum code c = append(b, BR_SUBSCRIBE, &meta, seq, why);
    buf_clear(&meta);
    return c; /* the filters were set by the caller, which can undo */
}

enum code fold_unsubscribe(struct broker *b, struct session *s, const struct mqtt_filter *list, uint64_t *seq,
                           struct fault *why)
{
    struct buf meta = { 0 };
    buf_varint(&meta, s->id);
    for (const struct mqtt_filter *f = list; f; f = f->next)
        buf_le_blob(&meta, f->filter);
    enum code c = append(b, BR_UNSUBSCRIBE, &meta, seq, why);
    buf_clear(&meta);
    if (c == CODE_OK)
        for (const struct mqtt_filter *f = list; f; f = f->next)
            (void)session_remove_filter(s, f->filter);
    return c;
}

enum code fold_acks(struct broker *b, struct session *s, struct bytes list, bool later, uint64_t *seq, struct fault *why)
{
    struct buf meta = { 0 };
    buf_varint(&meta, s->id);
    buf_add_bytes(&meta, list);
    enum code c = append_when(b, BR_ACKS, &meta, later, seq, why);
    buf_clear(&meta);
    if (c == CODE_OK) {
        struct wire w = wire_of(list);
        c = fold_apply_acks(b, s, &w);
        FG_ASSERT(c != CODE_DAMAGED);
    }
    return c;
}

/* ---- readers inside the node ---- */

struct note *note_new(struct bytes text)
{
    struct note *n = mem_alloc(sizeof *n + text.len);
    if (!n)
        return NULL;
    n->len = (uint32_t)text.len;
    if (text.len)
        memcpy(n->text, text.at, text.len);
    return n;
}

void fold_done_below(struct broker *b, struct session *s, uint64_t index)
{
    while (s->queue.head < index && s->queue.head < s->queue.tail)
        finish(b, s, s->queue.head); /* what is done is no longer there: the head moves over it */
    consumer_went(s);
}

enum code fold_finish(struct broker *b, struct session *s, uint64_t index, struct bytes note, uint64_t *seq, struct fault *why)
{
    struct note *now = note_new(note);
    struct buf meta = { 0 };
    buf_varint(&meta, s->id);
    buf_varint(&meta, index);
    buf_add_bytes(&meta, note);
    enum code c = now ? append_when(b, BR_FINISH, &meta, true, seq, why) : FAIL(why, CODE_NOMEM, 0, "no memory for a note");
    buf_clear(&meta);
    if (c != CODE_OK) {
        mem_free(now);
        return c;
    }
    mem_free(s->note);
    s->note = now;
    fold_done_below(b, s, index);
    return CODE_OK;
}

/* ---- wills ---- */

struct will *will_by_id(struct broker *b, uint64_t id)
{
    return table_get(&b->wills_by_id, bytes_of(&id, sizeof id));
}

void will_link(struct broker *b, struct will *w)
{
    w->prev = NULL;
    w->next = b->wills;
    if (b->wills)
        b->wills->prev = w;
    b->wills = w;
    FG_ASSERT(table_put(&b->wills_by_id, bytes_of(&w->id, sizeof w->id), w) == CODE_OK); /* room was reserved */
    if (w->id >= b->next_will_id)
        b->next_will_id = w->id + 1;
}

void will_unlink(struct broker *b, struct will *w)
{
    if (b->round_will == w)
        b->round_will = w->next;
    *(w->prev ? &w->prev->next : &b->wills) = w->next;
    if (w->next)
        w->next->prev = w->prev;
    (void)table_remove(&b->wills_by_id, bytes_of(&w->id, sizeof w->id));
    message_drop(w->message);
    mem_free(w);
}

void fold_put_will(struct buf *meta, const struct will *w)
{
    buf_varint(meta, w->id);
    buf_varint(meta, w->session_id);
    buf_le32(meta, w->delay_s);
    buf_add_bytes(meta, w->message->encoded);
}

enum code fold_will(struct broker *b, struct will *w, uint64_t *seq, struct fault *why)
{
    struct buf meta = { 0 };
    if (table_reserve(&b->wills_by_id) != CODE_OK)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a will");
    fold_put_will(&meta, w);
    enum code c = append(b, BR_WILL, &meta, seq, why);
    buf_clear(&meta);
    if (c == CODE_OK)
        will_link(b, w);
    return c;
}

enum code fold_will_clear(struct broker *b, uint64_t will_id, uint64_t *seq, struct fault *why)
{
    struct will *w = will_by_id(b, will_id);
    if (!w)
        return CODE_OK;
    struct buf meta = { 0 };
    buf_varint(&meta, will_id);
    enum code c = append(b, BR_WILL_CLEAR, &meta, seq, why);
    buf_clear(&meta);
    if (c == CODE_OK)
        will_unlink(b, w);
    return c;
}

/* ---- retained messages owed to a new subscription ---- */

enum code fold_enqueue(struct broker *b, struct session *s, const struct owed *owed, size_t n, struct origin *origin,
                       uint64_t *seq, struct fault *why)
{
    struct buf meta = { 0 };
    buf_varint(&meta, s->id);
    for (size_t i = 0; i < n; i++) {
        buf_u8(&meta, (uint8_t)(owed[i].qos | (origin ? HOW_ORIGIN : 0) | (ENTRY_RETAIN | ENTRY_KEPT) << 4));
        if (origin)
            origin_put(&meta, origin);
        fold_put_where(&meta, owed[i].stored);
    }
    if (!queue_reserve(&s->queue, (uint32_t)n, origin != NULL)) { /* after the append nothing may fail */
        buf_clear(&meta);
        return FAIL(why, CODE_NOMEM, 0, "no memory for a session's queue");
    }
    uint64_t at = 0;
    enum code c = append(b, BR_ENQUEUE, &meta, &at, why);
    buf_clear(&meta);
    if (c != CODE_OK)
        return c;
    for (size_t i = 0; i < n; i++)
        fold_push(b, s, owed[i].stored, origin, at, owed[i].qos, ENTRY_RETAIN | ENTRY_KEPT);
    if (seq)
        *seq = at;
    return CODE_OK;
}

/* ---- from one queue to another ---- */

static uint8_t moved_qos(const struct entry *e, const struct target *t)
{
    return e->qos < t->qos ? e->qos : t->qos;
}

/* What it was for the one it comes from does not matter: to this one it was never sent. */
static uint8_t moved_flags(const struct target *t)
{
    return t->retain_as_published ? ENTRY_AS_PUBLISHED : 0;
}

static enum code reserve_moves(const struct fold_move *m, size_t n, struct fault *why)
{
    for (size_t i = 0; i < n; i++)
        if (!queue_reserve(&m[i].to->targets[0].session->queue, (uint32_t)n, true))
            return FAIL(why, CODE_NOMEM, 0, "no memory for a session's queue");
    return CODE_OK;
}

static void put_move(struct buf *meta, struct session *from, const struct fold_move *m)
{
    const struct target *t = &m->to->targets[0];
    const struct entry *e = queue_at(&from->queue, m->index);
    struct origin *origin = fanout_origin(m->to, 0);
    buf_varint(meta, m->index);
    buf_varint(meta, t->session->id);
    buf_u8(meta, (uint8_t)(moved_qos(e, t) | (origin ? HOW_ORIGIN : 0) | moved_flags(t) << 4));
    if (origin)
        origin_put(meta, origin);
    fold_put_where(meta, e->what);
}

enum code fold_move(struct broker *b, struct session *from, const struct fold_move *m, size_t n, struct fault *why)
{
    struct buf meta = { 0 };
    uint64_t seq;
    enum code c = reserve_moves(m, n, why);
    buf_varint(&meta, from->id);
    for (size_t i = 0; c == CODE_OK && i < n; i++)
        put_move(&meta, from, &m[i]);
    if (c == CODE_OK)
        c = append(b, BR_MOVE, &meta, &seq, why);
    buf_clear(&meta);
    for (size_t i = 0; c == CODE_OK && i < n; i++) {
        const struct target *t = &m[i].to->targets[0];
        const struct entry *e = queue_at(&from->queue, m[i].index);
        struct stored *st = stored_hold(e->what);
        uint8_t qos = moved_qos(e, t), flags = moved_flags(t);
        finish(b, from, m[i].index);
        fold_push(b, t->session, st, fanout_origin(m[i].to, 0), seq, qos, flags);
        stored_drop(st);
    }
    return c;
}

/* ---- publish ---- */

static bool takes(const struct target *t, const struct fold_publish *p)
{
    return t->session->durable && !t->session->ended && t->qos && (p->message->qos || session_is_consumer(t->session)) &&
           target_meant(t, p->from ? p->from->id : 0);
}

static bool is_full(const struct broker *b, const struct session *s, size_t bytes)
{
    if (session_is_consumer(s))
        return consumer_full(s, bytes);
    return s->queue.open >= limits_of(b)->queued_messages ||
           s->queue.bytes + bytes > limits_of(b)->queued_bytes;
}

bool fold_is_crowded(const struct broker *b, const struct session *s, unsigned quarters)
{
    const struct limits *l = limits_of(b);
    return s->queue.open >= l->queued_messages - l->queued_messages / 4 * (4 - quarters) ||
           s->queue.bytes >= l->queued_bytes - l->queued_bytes / 4 * (4 - quarters);
}

/* Places in the queue whose message is gone but not the ones before it: bounded, since they cost memory. */
bool fold_has_holes(const struct session *s)
{
    return s->queue.tail - s->queue.head - s->queue.open >= HOLES_MAX;
}

enum code fold_drop(struct broker *b, struct session *s, uint64_t index, bool later)
{
    uint8_t list[11] = { ACK_DONE };
    size_t n = 1;
    for (uint64_t v = index; n == 1 || v; v >>= 7)
        list[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
    return fold_acks(b, s, bytes_of(list, n), later, NULL, NULL);
}

/* The oldest entry that was never sent makes room. What was found not to be one stays so until the connection changes:
 * the search goes on where it stopped. */
static bool drop_oldest(struct broker *b, struct session *s)
{
    if (fold_has_holes(s))
        return false;
    if (s->droppable < s->queue.head)
        s->droppable = s->queue.head;
    for (; s->droppable < s->queue.tail; s->droppable++) {
        uint64_t i = s->droppable;
        struct entry *e = queue_at(&s->queue, i);
        if (e->state != ENTRY_QUEUED || (e->flags & ENTRY_MAYBE_SENT))
            continue;
        return fold_drop(b, s, i, false) == CODE_OK;
    }
    return false;
}

/* A queue grows by doubling: many that do so because of one message would be far beyond L-MEM before any publisher waits. */
static bool may_grow(const struct shard *shard, const struct queue *q, uint32_t more)
{
    uint64_t growth = queue_growth(q, more);
    return growth == 0 || budget_has_for_queue(shard, growth);
}

/* Into the record's meta, and for after it. False: no memory, or more than L-MEM allows. */
static bool owe(struct fold_publish *p, const struct target *t, struct origin *origin, struct fanout *held)
{
    struct shard *shard = p->shard;
    struct session *s = t->session;
    bool retain = t->retain_as_published && p->message->retain;
    uint8_t qos = t->qos < p->message->qos ? t->qos : p->message->qos;
    uint32_t more = 1 + p->fanout->share_count; /* the same session may be chosen by each of the shares besides */
    if (!VECTOR_ROOM(shard->chosen) || !may_grow(shard, &s->queue, more) || !queue_reserve(&s->queue, more, origin != NULL))
        return false;
    shard->chosen.at[shard->chosen.count++] = (struct chosen){ s, origin, held, qos, retain ? ENTRY_RETAIN : 0 };
    buf_varint(&shard->meta, s->id << HOW_BITS | (origin ? HOW_ORIGIN : 0u) | (retain ? HOW_RETAIN : 0u) | qos);
    if (origin)
        origin_put(&shard->meta, origin);
    return true;
}

/* L-QUEUE. False: the session is not owed the message, or (p->refused) nobody is. */
static bool make_room(struct broker *b, struct fold_publish *p, struct session *s)
{
    size_t bytes = p->message->encoded.len;
    if (fold_is_crowded(b, s, 3))
        queue_crowded(b, s);
    if (!is_full(b, s, bytes))
        return true;
    limits_refused(s->queue.open >= limits_of(b)->queued_messages ? LIMIT_QUEUED_MESSAGES : LIMIT_QUEUED_BYTES);
    bool refuse = limits_of(b)->on_full == ON_FULL_REFUSE || session_is_consumer(s);
    /* A will has nobody who could be told. */
    if (refuse && !p->will_id && !p->again) {
        p->refused = MQTT_QUOTA_EXCEEDED;
        return false;
    }
    while (limits_of(b)->on_full == ON_FULL_DROP_OLDEST && !session_is_consumer(s) && is_full(b, s, bytes) && drop_oldest(b, s))
        p->dropped++;
    if (!is_full(b, s, bytes))
        return true;
    p->dropped++;
    return false;
}

static bool keep_pick(struct fold_publish *p, struct fanout *one)
{
    if (!p->picks)
        p->picks = mem_zalloc(p->fanout->share_count, sizeof(struct fanout *));
    if (!p->picks)
        return false;
    p->picks[p->pick_count++] = one;
    route_count_pick(p->message, one);
    return true;
}

/* One member of the share, if there is any who can be given it. False: no memory. */
static bool choose_member(struct broker *b, struct fold_publish *p, struct share *share)
{
    struct share_wish wish = { .limits = limits_of(b), .bytes = p->message->encoded.len, .qos = p->message->qos,
                               .access = p->shard->access, .topic = p->message->topic,
                               .refuse = limits_of(b)->on_full == ON_FULL_REFUSE && !p->will_id && !p->again };
    struct fanout *one = share_choose(share, &wish);
    if (!one) {
        COUNT(p->shard, dropped_away, 1);
        return true;
    }
    const struct target *t = &one->targets[0];
    bool ok = true;
    if (!t->session->durable || !t->qos)
        ok = keep_pick(p, one);
    else if (!make_room(b, p, t->session))
        fanout_drop(one);
    else
        ok = owe(p, t, fanout_origin(one, 0), one);
    if (!ok)
        fanout_drop(one);
    return ok;
}

/* Says for each target whether it is owed the message. False: refused. */
static bool choose_targets(struct broker *b, struct fold_publish *p)
{
    bool ok = true;
    for (uint32_t i = 0; ok && p->fanout && i < p->fanout->count; i++) {
        const struct target *t = &p->fanout->targets[i];
        if (takes(t, p) && make_room(b, p, t->session))
            ok = owe(p, t, fanout_origin(p->fanout, i), NULL);
        ok = ok && !p->refused;
    }
    for (uint32_t i = 0; ok && p->fanout && p->message->qos && i < p->fanout->share_count; i++)
        ok = choose_member(b, p, p->fanout->shares[i]) && !p->refused;
    if (!ok)
        p->refused = MQTT_QUOTA_EXCEEDED;
    return ok;
}

struct bytes fold_retained_owner(const struct message *m)
{
    return owner_counted(m->principal, OWNED_RETAINED) ? m->principal : BYTES_NONE;
}

static bool over(enum limit_name limit)
{
    limits_refused(limit);
    return false;
}

/* In all, and of whoever is charged with it; what replaces his own is none more. */
static bool retained_fits(const struct broker *b, const struct message *m, struct bytes owner)
{
    const struct limits *l = limits_of(b);
    const struct retained *r = &b->retained;
    uint64_t old = 0;
    bool replaces = retained_get(r, m->topic, &old) != NULL;
    if (!replaces && r->count >= l->retained_messages)
        return over(LIMIT_RETAINED_MESSAGES);
    if (r->bytes - old + m->encoded.len > l->retained_bytes)
        return over(LIMIT_RETAINED_BYTES);
    bool has_room = !owner.len || bytes_equal(retained_owner(r, m->topic), owner) ||
                    owner_has(&r->owners, owner, OWNED_RETAINED) < l->retained_per_identity;
    return has_room || over(LIMIT_RETAINED_PER_IDENTITY);
}

/* L-RETAIN. True: this message replaces or becomes the topic's retained one. */
static bool choose_retained(struct broker *b, struct fold_publish *p, bool *sets, bool *removes)
{
    const struct message *m = p->message;
    *sets = *removes = false;
    if (!m->retain || p->again)
        return true;
    if (m->payload.len == 0) {
        *removes = retained_get(&b->retained, m->topic, NULL) != NULL;
        return true;
    }
    struct bytes owner = fold_retained_owner(m);
    bool fits = retained_fits(b, m, owner);
    if (!fits && p->v5) {
        p->refused = MQTT_QUOTA_EXCEEDED;
        return false;
    }
    if (!fits)
        COUNT(p->shard, not_retained, 1);
    *sets = fits;
    if (fits && retained_reserve(&b->retained, m->topic, owner) != CODE_OK) { /* acknowledged, it would have to stay */
        p->refused = MQTT_QUOTA_EXCEEDED;
        return false;
    }
    return true;
}

static void apply_targets(struct broker *b, struct fold_publish *p, struct stored *st)
{
    bool hot = false;
    for (size_t i = 0; i < p->shard->chosen.count; i++) {
        struct chosen *c = &p->shard->chosen.at[i];
        struct session *s = c->session;
        hot = hot || (atomic_load(&s->shard) >= 0 && s->queue.open < HOT_ENTRIES) ||
              (s->reader && s->queue.open < HOT_READ);
        fold_push(b, s, st, c->origin, p->seq, c->qos, c->flags);
        shard_mark_dirty(p->shard, s);
    }
    if (hot && !stored_message(st))
        stored_set_message(st, message_hold((struct message *)p->message));
}

enum code fold_retained_over(struct broker *b, struct bytes topic, struct fault *why)
{
    struct buf meta = { 0 };
    buf_le_blob(&meta, topic);
    enum code c = append_when(b, BR_RETAINED_OVER, &meta, true, NULL, why);
    buf_clear(&meta);
    if (c == CODE_OK)
        (void)retained_remove(&b->retained, topic);
    return c;
}

static void put_meta_head(struct buf *meta, const struct fold_publish *p, bool retained)
{
    bool inbound = p->inbound_pid && p->from && !broker_breaks(BREAK_FORGET_PID);
    bool left_out = p->message->retain && ((p->message->payload.len && !retained) || p->again);
    buf_varint(meta, (inbound ? META_INBOUND : 0u) | (p->will_id ? META_WILL : 0u) | (left_out ? META_NOT_RETAINED : 0u) |
                         (p->producer ? META_ORDINAL : 0u));
    if (inbound) {
        buf_varint(meta, p->from->id);
        buf_varint(meta, p->inbound_pid);
    }
    if (p->will_id)
        buf_varint(meta, p->will_id);
    if (p->producer) {
        buf_varint(meta, p->producer->id);
        buf_varint(meta, p->ordinal);
    }
}

/* QoS 2 without anybody durable: only the identifier must be remembered. */
static enum code remember_inbound(struct broker *b, struct fold_publish *p, struct fault *why)
{
    uint8_t list[4] = { ACK_INBOUND, (uint8_t)((p->inbound_pid & 0x7f) | 0x80),
                        (uint8_t)((p->inbound_pid >> 7 & 0x7f) | 0x80), (uint8_t)(p->inbound_pid >> 14) };
    return fold_acks(b, p->from, bytes_of(list, 4), false, &p->seq, why);
}

static uint32_t choose_partition(struct broker *b, const struct fold_publish *p)
{
    if (!p->fanout || !p->fanout->to_partition || p->again || journal_partitions(b->journal) == 0)
        return JOURNAL_NO_PARTITION;
    uint8_t key[512];
    return (uint32_t)(hash_partition(message_partition_key(p->message, key, sizeof key)) %
                      journal_partitions(b->journal));
}

static void apply_retained(struct broker *b, const struct message *m, struct stored *st, bool sets, bool removes)
{
    if (removes)
        (void)retained_remove(&b->retained, m->topic);
    if (!sets)
        return;
    if (m->payload.len <= HOT_RETAINED_BYTES && !stored_message(st))
        stored_set_message(st, message_hold((struct message *)m));
    FG_ASSERT(retained_set(&b->retained, m->topic, stored_hold(st), m->encoded.len, m->qos,
                           fold_retained_owner(m)) == CODE_OK); /* was reserved */
}

static enum code publish(struct broker *b, struct fold_publish *p, struct fault *why)
{
    bool sets, removes;
    p->seq = 0;
    if (p->will_id && !will_by_id(b, p->will_id))
        return CODE_NOTFOUND; /* published or withdrawn meanwhile */
    if (p->producer && p->ordinal <= p->producer->published && !broker_breaks(BREAK_FORGET_ORDINAL)) { /* before a crash, see consumer.h */
        p->duplicate = true;
        return CODE_OK;
    }
    if (p->inbound_pid && p->from && pidset_has(&p->from->in_pids, p->inbound_pid)) {
        p->duplicate = true;
        p->seq = journal_appended(b->journal); /* its record is on the way or there */
        return CODE_OK;
    }
    if (!choose_retained(b, p, &sets, &removes))
        return CODE_REFUSED;
    struct buf *meta = &p->shard->meta;
    buf_reset(meta);
    put_meta_head(meta, p, sets);
    uint32_t partition = choose_partition(b, p);
    enum code c = choose_targets(b, p) ? CODE_OK : CODE_REFUSED;
    bool hits = p->shard->chosen.count > 0;
    bool in_log = hits || sets || removes || partition != JOURNAL_NO_PARTITION || p->will_id;
    if (c == CODE_OK && !in_log)
        return p->inbound_pid && p->from ? remember_inbound(b, p, why) : CODE_OK;
    if (c == CODE_OK && (meta->bad || (p->inbound_pid && p->from && !pidset_add(&p->from->in_pids, p->inbound_pid))))
        c = FAIL(why, CODE_NOMEM, 0, "no memory for a journal record");
    struct record_out out = { 0 };
    if (c == CODE_OK) {
        struct record_in in = { .type = RECORD_MESSAGE, .partition = partition, .wall_us = p->message->wall_us,
                                .meta = buf_bytes(meta), .payload = p->message->encoded, .payload_crc = p->crc,
                                .have_crc = true, .keep = hits || sets };
        c = journal_append(b->journal, &in, &out, why);
        if (c != CODE_OK && p->inbound_pid && p->from)
            pidset_remove(&p->from->in_pids, p->inbound_pid);
    }
    if (c != CODE_OK) {
        if (sets && !retained_get(&b->retained, p->message->topic, NULL))
            (void)retained_remove(&b->retained, p->message->topic); /* the empty place of the reservation */
        return c;
    }
    p->seq = out.seq;
    if (p->producer)
        p->producer->published = p->ordinal;
    apply_retained(b, p->message, out.stored, sets, removes);
    if (hits)
        apply_targets(b, p, out.stored);
    if (out.stored)
        stored_drop(out.stored);
    if (p->will_id)
        will_unlink(b, will_by_id(b, p->will_id));
    COUNT(p->shard, stored, 1);
    if (partition != JOURNAL_NO_PARTITION)
        COUNT(p->shard, to_partitions, 1);
    return CODE_OK;
}

enum code fold_publish(struct broker *b, struct fold_publish *p, struct fault *why)
{
    struct shard *shard = p->shard;
    shard->chosen.count = 0;
    enum code c = publish(b, p, why);
    for (size_t i = 0; i < shard->chosen.count; i++)
        fanout_drop(shard->chosen.at[i].held);
    shard->chosen.count = 0;
    if (c != CODE_OK) {
        route_forget_picks(p->message, p->picks, p->pick_count);
        p->picks = NULL;
        p->pick_count = 0;
    }
    return c;
}
