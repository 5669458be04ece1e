/* shard.c - what one loop does with what its turn has gathered.
 *
 * A turn ends in four steps: acknowledgements the journal has meanwhile covered are written; what the clients asked for is
 * appended to the journal under one hold of its lock, and what became deliverable is taken along; without the lock it is
 * delivered; letters go to the other shards that have work now, one each.
 */
#include "broker/private.h"

#include "base/crc32c.h"
#include "base/log.h"

#include <stdlib.h>

enum { OPS_SOFT_MAX = 8192 };

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

static void wake_others(struct shard *shard)
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

/* ---- acknowledgements ---- */

static void count_acknowledged(struct shard *shard, uint8_t type, uint8_t reason)
{
    if ((type == MQTT_PUBACK || type == MQTT_PUBREC) && reason < 0x80)
        COUNT(shard, acknowledged, 1);
}

static void settle_inflight(struct client *c, uint8_t type, uint8_t reason)
{
    /* A PUBCOMP with a reason answers a release of what was never published: it makes no room. */
    bool over = type == MQTT_PUBACK || (type == MQTT_PUBCOMP && reason == 0) || (type == MQTT_PUBREC && reason >= 0x80);
    if (!over)
        return;
    if (c->inflight_in)
        c->inflight_in--;
}

/* Why, for people; as a property list. Only if the client wants it [MQTT-3.1.2-29] and takes packets that long. */
static struct bytes reason_string(struct shard *shard, const struct client *c, uint8_t reason)
{
    static const struct { uint8_t reason; const char *text; } texts[] = {
        { MQTT_QUOTA_EXCEEDED, "a limit is reached or the disk has no room: see /metrics and the node's log" },
        { MQTT_IMPLEMENTATION_SPECIFIC, "it could not be stored: see the node's log" },
        { MQTT_NOT_AUTHORIZED, "this client may not publish to this topic" },
        { MQTT_PACKET_ID_NOT_FOUND, "no unfinished message has this packet identifier" } };
    if (reason < 0x80 || c->version != MQTT_5 || !c->request_problem)
        return BYTES_NONE;
    const char *text = mqtt_reason_name(reason);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        text = texts[i].reason == reason ? texts[i].text : text;
    if (c->max_packet && strlen(text) + 12 > c->max_packet)
        return BYTES_NONE;
    buf_reset(&shard->props);
    mqtt_put_bytes(&shard->props, MQTT_PROP_REASON_STRING, bytes_str(text));
    return shard->props.bad ? BYTES_NONE : buf_bytes(&shard->props);
}

static void send_ack(struct shard *shard, struct client *c, uint8_t type, uint16_t pid, uint8_t reason, struct bytes blob)
{
    if (!client_alive(c))
        return;
    struct buf *out = conn_out(c->conn);
    if (blob.len)
        buf_add_bytes(out, blob);
    else
        mqtt_encode_ack(out, c->version, type, pid, reason, reason_string(shard, c, reason));
    COUNT(shard, answers, 1);
    count_acknowledged(shard, type, reason);
    settle_inflight(c, type, reason);
    if (type == MQTT_CONNACK && c->state == CLIENT_ACCEPTED) {
        c->state = CLIENT_LIVE;
        client_resume(c, PAUSE_CONNACK);
        deliver_resume(shard, c);
    }
}

static bool pending_room(struct shard *shard)
{
    if (shard->pending.tail - shard->pending.head < shard->pending.cap)
        return true;
    size_t cap = shard->pending.cap ? shard->pending.cap * 2 : 64;
    struct pending *ring = mem_alloc(cap * sizeof *ring);
    if (!ring)
        return false;
    for (size_t i = shard->pending.head; i < shard->pending.tail; i++)
        ring[i & (cap - 1)] = shard->pending.ring[i & (shard->pending.cap - 1)];
    mem_free(shard->pending.ring);
    shard->pending.ring = ring;
    shard->pending.cap = cap;
    return true;
}

void shard_ack(struct shard *shard, struct client *c, uint64_t seq, uint8_t type, uint16_t pid, uint8_t reason,
               struct bytes blob)
{
    bool ready_made = type == MQTT_CONNACK || type == MQTT_SUBACK || type == MQTT_UNSUBACK;
    if (ready_made && !blob.len) { /* no memory for it: unacknowledged is the safe side */
        client_end(c, MQTT_SERVER_BUSY, NULL, true);
        return;
    }
    bool early = seq > journal_durable(shard->broker->journal) && broker_breaks(BREAK_EARLY_ACK);
    /* 4.6: acknowledgements keep their order, so nobody overtakes one that waits. */
    if (c->pending == 0 && (seq == 0 || early || seq <= journal_durable(shard->broker->journal))) {
        send_ack(shard, c, type, pid, reason, blob);
        return;
    }
    struct pending p = { .seq = seq, .client = c, .type = type, .reason = reason, .pid = pid };
    if (blob.len) {
        uint8_t *copy = mem_alloc(blob.len);
        if (copy)
            memcpy(copy, blob.at, blob.len);
        p.blob = bytes_of(copy, copy ? blob.len : 0);
    }
    if ((blob.len && !p.blob.len) || !pending_room(shard)) {
        mem_free((void *)p.blob.at);
        client_end(c, MQTT_SERVER_BUSY, NULL, true); /* unacknowledged is the safe side */
        return;
    }
    client_hold(c);
    if (++c->pending >= 2 * limits_of(shard->broker)->receive_maximum)
        client_pause(c, PAUSE_PENDING);
    shard->pending.ring[shard->pending.tail++ & (shard->pending.cap - 1)] = p;
    atomic_store_explicit(&shard->waiting_acks, shard->pending.tail - shard->pending.head, memory_order_relaxed);
}

static bool release_acks(struct shard *shard)
{
    uint64_t durable = journal_durable(shard->broker->journal);
    bool any = false;
    while (shard->pending.head < shard->pending.tail) {
        struct pending p = shard->pending.ring[shard->pending.head & (shard->pending.cap - 1)];
        if (p.seq > durable)
            break;
        shard->pending.head++;
        if (--p.client->pending <= limits_of(shard->broker)->receive_maximum)
            client_resume(p.client, PAUSE_PENDING);
        send_ack(shard, p.client, p.type, p.pid, p.reason, p.blob);
        mem_free((void *)p.blob.at);
        client_drop(p.client);
        any = true;
    }
    atomic_store_explicit(&shard->waiting_acks, shard->pending.tail - shard->pending.head, memory_order_relaxed);
    return any;
}

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
    wake_others(shard); /* some may have moved */
}

static bool still_congested(const struct shard *shard)
{
    for (unsigned k = 0; k < shard->broker->shard_count; k++)
        if (atomic_load(&shard->broker->shards[k].inbox_bytes) > INBOX_LOW)
            return true;
    return false;
}

/* A failed journal makes no acknowledgement durable any more: whoever waits for one is told so by the end of his
 * connection, instead of waiting for ever. */
static void end_hopeless(struct shard *shard)
{
    if (!journal_failed(shard->broker->journal))
        return;
    struct fault why;
    (void)FAIL(&why, CODE_IO, 0, "the disk has failed: what waits to be stored will not be acknowledged");
    while (shard->pending.head < shard->pending.tail) {
        struct pending p = shard->pending.ring[shard->pending.head++ & (shard->pending.cap - 1)];
        p.client->pending--;
        client_end(p.client, MQTT_IMPLEMENTATION_SPECIFIC, &why, true);
        mem_free((void *)p.blob.at);
        client_drop(p.client);
    }
}

static void release_halted(struct shard *shard)
{
    if (shard->congested && !still_congested(shard))
        shard->congested = false;
    if (shard->congested || shard->slices.count)
        return;
    if (!shard->halted.count || journal_busy(shard->broker->journal) || atomic_load(&shard->broker->admit.over_memory) ||
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

/* ---- commit ---- */

bool shard_push_op(struct shard *shard, const struct op *op)
{
    if (!VECTOR_ROOM(shard->ops))
        return false;
    shard->ops.at[shard->ops.count++] = *op;
    if (!op->client)
        shard->will_gathered = shard->commits;
    else if (op->kind == OP_PUBLISH)
        op->client->gathered = shard->commits;
    if (op->message)
        budget_took(shard, &shard->budget, op->message->encoded.len);
    if (shard->ops.count >= OPS_SOFT_MAX)
        shard_commit(shard);
    return true;
}

static uint8_t refusal(enum code c, const struct fold_publish *p)
{
    switch (c) {
    case CODE_REFUSED:
        return p->refused;
    case CODE_FULL:
    case CODE_LIMIT: /* longer than a segment; PUBACK and PUBREC know no 0x95 */
        return MQTT_QUOTA_EXCEEDED;
    default:
        return MQTT_IMPLEMENTATION_SPECIFIC;
    }
}

static void commit_publish(struct shard *shard, struct op *op)
{
    struct client *c = op->client;
    struct session *s = c ? c->session : NULL;
    struct fold_publish p = { .shard = shard, .from = s, .message = op->message, .fanout = op->fanout, .crc = op->crc,
                              .will_id = op->will_id, .v5 = c && c->version == MQTT_5, .again = op->again,
                              .inbound_pid = s && s->durable && op->message->qos == 2 ? op->pid : 0 };
    struct fault why;
    if (op->batch) {
        p.producer = consumer_word_from(op, &p.ordinal);
        if ((op->result = consumer_word_refused(op)) != 0)
            return;
    }
    if (op->duplicate && pidset_has(&c->in_pids, op->pid)) { /* what it repeats is in the log, or on its way there */
        op->seq = journal_appended(shard->broker->journal);
        return;
    }
    if (op->forbidden) { /* what it seemed to repeat was refused: it is a message of its own */
        op->result = MQTT_NOT_AUTHORIZED;
        COUNT(shard, denied_publishes, 1);
        return;
    }
    if (c && c->refusing && c->version != MQTT_5) { /* P-ORDER: not before the one that was refused */
        op->result = c->refusing;
        return;
    }
    if (op->duplicate && !pidset_add(&c->in_pids, op->pid)) {
        op->result = MQTT_IMPLEMENTATION_SPECIFIC;
        return;
    }
    enum code code = fold_publish(shard->broker, &p, &why);
    op->seq = p.seq;
    op->duplicate = p.duplicate;
    op->picks = p.picks;
    op->pick_count = p.pick_count;
    if (p.dropped) {
        COUNT(shard, dropped_queue, p.dropped);
        log_warn("broker", "FG2040 %u session(s) are not owed a message: their queue is full (limits.queued-messages, "
                 "limits.queued-bytes)", p.dropped);
    }
    if (code == CODE_NOTFOUND) {
        op->duplicate = true; /* a will that is gone */
        return;
    }
    if (code == CODE_OK)
        return;
    op->result = refusal(code, &p);
    if (op->batch)
        consumer_word_refuse(op, op->result);
    if (c && op->message->qos == 2)
        pidset_remove(&c->in_pids, op->pid); /* now: the same turn may bring it again */
    if (c && op->message->qos)
        c->refusing = op->result;
    if (op->message->qos == 0)
        COUNT(shard, dropped_refused, 1);
    else
        COUNT(shard, refused_full, 1);
    if (code != CODE_REFUSED)
        log_warn("broker", "FG7001 message refused: %s", why.text);
}

/* What an acknowledgement from a subscriber does to its queue: kind for BR_ACKS, or -1 for nothing. */
static int judge_ack(struct session *s, const struct op *op, uint64_t *index)
{
    if (op->kind == OP_PUBREL) {
        *index = op->pid;
        return ACK_RELEASE;
    }
    if (!queue_find(&s->queue, op->pid, index))
        return -1;
    const struct entry *e = queue_at(&s->queue, *index);
    bool sent = e->state == ENTRY_SENT, received = e->state == ENTRY_RECEIVED;
    switch (op->kind) {
    case OP_PUBACK:
        return sent && e->qos == 1 ? ACK_DONE : -1;
    case OP_PUBREC:
        return e->qos == 2 && (sent || received) ? ACK_RECEIVED : -1;
    case OP_PUBREC_REFUSED:
        return e->qos == 2 && sent ? ACK_DONE : -1;
    case OP_PUBCOMP:
        return e->qos == 2 && received ? ACK_DONE : -1;
    default:
        return sent ? ACK_DONE : -1;
    }
}

/* The peer's acknowledgement cannot be recorded for want of room. It is not read from until it can: so these stay few. */
static void kept_for_later(struct shard *shard, const struct op *op)
{
    if (journal_failed(shard->broker->journal) || !VECTOR_ROOM(shard->kept)) {
        client_drop(op->client); /* it will be sent again, and acknowledged again */
        return;
    }
    shard->kept.at[shard->kept.count++] = *op;
    client_pause(op->client, PAUSE_KEPT);
}

static void retry_kept(struct shard *shard)
{
    size_t n = shard->kept.count;
    struct op *list = shard->kept.at;
    shard->kept.at = NULL;
    shard->kept.count = shard->kept.cap = 0;
    for (size_t i = 0; i < n; i++) {
        client_resume(list[i].client, PAUSE_KEPT);
        if (!client_alive(list[i].client) || !shard_push_op(shard, &list[i]))
            client_drop(list[i].client);
    }
    mem_free(list);
}

/* Consecutive acknowledgements of one session become one record. Returns how many operations were used up. */
static size_t commit_acks(struct shard *shard, struct op *ops, size_t n)
{
    struct broker *b = shard->broker;
    struct session *s = ops[0].client->session;
    struct buf *list = &shard->meta;
    uint64_t seq = journal_appended(b->journal);
    size_t used = 0, changes = 0;
    bool later = true; /* nobody waits for what ends a message: should it be lost, the message is sent again */
    buf_reset(list);
    for (; used < n && used < 512 && ops[used].kind != OP_PUBLISH && ops[used].client->session == s; used++) {
        uint64_t index;
        later = later && ops[used].kind != OP_PUBREC && ops[used].kind != OP_PUBREL;
        int kind = s ? judge_ack(s, &ops[used], &index) : -1;
        ops[used].result = kind < 0 ? MQTT_PACKET_ID_NOT_FOUND : 0;
        if (kind < 0)
            continue;
        if (kind == ACK_RELEASE && !pidset_has(&s->in_pids, ops[used].pid)) {
            ops[used].result = MQTT_PACKET_ID_NOT_FOUND;
            continue;
        }
        buf_u8(list, (uint8_t)kind);
        buf_varint(list, index);
        changes++;
    }
    if (changes) {
        struct fault why;
        enum code c = list->bad ? CODE_NOMEM : fold_acks(b, s, buf_bytes(list), later, &seq, &why);
        if (c != CODE_OK) {
            for (size_t i = 0; i < used; i++) {
                kept_for_later(shard, &ops[i]);
                ops[i].client = NULL;
            }
            return used;
        }
    }
    for (size_t i = 0; i < used; i++) {
        struct client *c = ops[i].client;
        bool frees = ops[i].kind != OP_PUBREL && ops[i].kind != OP_PUBREC && ops[i].result == 0;
        if (frees && c->inflight_out)
            c->inflight_out--;
        ops[i].seq = seq;
    }
    if (s)
        shard_mark_dirty(shard, s);
    return used;
}

/* False: L-FAN, L-MEM: the rest in the next turn. */
static bool gather_late(struct shard *shard, uint32_t *left)
{
    uint32_t most = limits_of(shard->broker)->fan_out;
    for (struct session *s; (s = shard->dirty_late); --*left) {
        if (*left == 0 || (*left < most && budget_turn_full(shard)))
            return false;
        shard->dirty_late = s->dirty_next;
        s->dirty = false;
        if (atomic_load(&s->shard) == shard->number)
            deliver_gather(shard, s);
        else
            shard_mark_dirty(shard, s); /* it moved to another loop */
        session_drop(s);
    }
    return true;
}

/* First those that had to wait, or those who always want more would be the first for ever. */
static void take_dirty(struct shard *shard)
{
    uint32_t left = limits_of(shard->broker)->fan_out;
    atomic_store(&shard->has_dirty, false);
    bool all = gather_late(shard, &left);
    if (all) {
        shard->dirty_late = shard->dirty;
        shard->dirty = NULL;
        all = gather_late(shard, &left);
    }
    if (!all) {
        atomic_store(&shard->has_dirty, true);
        shard_wake(shard);
    }
}

/* 3.x cannot be told: nothing more is read, it is tried again once a second, and when nothing has changed for a while the
 * connection ends (L-QUEUE, refuse). Without memory it ends now: unacknowledged, the message comes again. */
static void withhold(struct shard *shard, const struct op *op)
{
    struct client *c = op->client;
    if (!client_alive(c))
        return;
    if (!c->withheld_us)
        c->withheld_us = loop_now_us(shard->loop);
    client_pause(c, PAUSE_WITHHELD);
    if (!VECTOR_ROOM(shard->withheld)) {
        client_end(c, MQTT_SERVER_BUSY, NULL, true);
        return;
    }
    shard->withheld.at[shard->withheld.count++] =
        (struct op){ .kind = OP_PUBLISH, .pid = op->pid, .crc = op->crc, .client = client_hold(c),
                     .message = message_hold(op->message) };
    c->withheld++;
}

static bool try_again(struct shard *shard, const struct op *old)
{
    struct client *c = old->client;
    struct op op = *old;
    c->refusing = 0;
    if (!client_alive(c) || (op.message->qos == 2 && !pidset_add(&c->in_pids, op.pid)))
        return false;
    op.fanout = route_find(shard, op.message->topic);
    op.client = client_hold(c);
    op.message = message_hold(op.message);
    if (op.fanout && shard_push_op(shard, &op))
        return true;
    fanout_drop(op.fanout);
    message_drop(op.message);
    client_drop(c);
    return false;
}

static void retry_withheld(struct shard *shard)
{
    size_t n = shard->withheld.count;
    struct op *list = shard->withheld.at;
    if (!n)
        return;
    shard->withheld.at = NULL;
    shard->withheld.count = shard->withheld.cap = 0;
    for (size_t i = 0; i < n; i++) {
        list[i].client->withheld--;
        if (!try_again(shard, &list[i]))
            client_end(list[i].client, MQTT_SERVER_BUSY, NULL, true); /* nothing for one that has gone */
    }
    shard_commit(shard); /* those that are refused again are withheld again, in their order */
    for (size_t i = 0; i < n; i++) {
        struct client *c = list[i].client;
        if (client_alive(c) && c->withheld == 0) {
            c->withheld_us = 0;
            client_resume(c, PAUSE_WITHHELD);
        }
        message_drop(list[i].message);
        client_drop(c);
    }
    mem_free(list);
}

static void finish_publish(struct shard *shard, struct op *op)
{
    struct client *c = op->client;
    uint8_t qos = op->message->qos;
    bool nobody = op->fanout && op->fanout->count == 0 && op->fanout->share_count == 0 && !op->fanout->to_partition &&
                  !op->message->retain;
    bool refused_will = op->will_id && op->result; /* tried again by session_upkeep */
    if (!op->duplicate && op->fanout && !refused_will && (op->result == 0 || (qos == 0 && !op->batch)))
        route_deliver(shard, op->message, op->fanout, c && c->session ? c->session->id : 0);
    route_deliver_picks(shard, op->message, op->picks, op->pick_count);
    op->picks = NULL;
    op->pick_count = 0;
    if (op->will_id && !op->duplicate && op->result == 0)
        COUNT(shard, wills_published, 1);
    if (nobody && !op->duplicate)
        COUNT(shard, dropped_no_subscriber, 1);
    if (!c || qos == 0)
        return;
    if (op->result && qos == 2)
        pidset_remove(&c->in_pids, op->pid);
    if (op->result && c->version != MQTT_5) {
        withhold(shard, op);
        return;
    }
    uint8_t reason = op->result ? op->result : nobody && c->version == MQTT_5 ? MQTT_NO_MATCHING_SUBSCRIBERS : 0;
    shard_ack(shard, c, op->seq, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, op->pid, reason, BYTES_NONE);
}

static void finish_op(struct shard *shard, struct op *op)
{
    if (op->kind == OP_PUBLISH)
        finish_publish(shard, op);
    else if (op->client && client_alive(op->client) && op->kind == OP_PUBREC)
        /* PUBREL only when a crash cannot make us send PUBLISH again: the receiver has let go of the identifier. */
        shard_ack(shard, op->client, op->seq, MQTT_PUBREL, op->pid, op->result, BYTES_NONE);
    else if (op->client && client_alive(op->client) && op->kind == OP_PUBREL) {
        pidset_remove(&op->client->in_pids, op->pid);
        shard_ack(shard, op->client, op->seq, MQTT_PUBCOMP, op->pid, op->result, BYTES_NONE);
    }
    if (op->batch)
        consumer_word_done(op);
    if (op->client)
        client_drop(op->client);
    message_drop(op->message);
    fanout_drop(op->fanout);
}

static bool needs_journal(const struct op *op)
{
    if (op->kind != OP_PUBLISH || op->duplicate) /* of what? See commit_publish */
        return true;
    if (op->message->retain || op->will_id || !op->fanout || op->fanout->to_partition)
        return true;
    if (op->fanout->readers || op->batch)
        return true;
    if (op->message->qos == 0)
        return false;
    if (op->fanout->share_count)
        return true; /* the choice of a member is made under its lock */
    return op->fanout->durable_count || (op->message->qos == 2 && op->client && op->client->session &&
                                         op->client->session->durable);
}

static void commit_locked(struct shard *shard, struct op *ops, size_t n)
{
    struct journal *j = shard->broker->journal;
    journal_lock(j);
    for (size_t i = 0; i < n;) {
        if (ops[i].kind != OP_PUBLISH) {
            i += commit_acks(shard, ops + i, n - i);
        } else {
            if (needs_journal(&ops[i]))
                commit_publish(shard, &ops[i]);
            i++;
        }
    }
    take_dirty(shard);
    journal_unlock(j);
}

void shard_commit(struct shard *shard)
{
    if (!shard->ops.count && !atomic_load(&shard->has_dirty))
        return;
    struct op *ops = shard->ops.at;
    size_t n = shard->ops.count, cap = shard->ops.cap;
    bool journal = atomic_load(&shard->has_dirty);
    for (size_t i = 0; i < n && !journal; i++)
        journal = needs_journal(&ops[i]);
    /* Finishing an operation may end a client, which commits: it must find an empty list. */
    shard->ops.at = NULL;
    shard->ops.count = shard->ops.cap = 0;
    shard->commits++;
    if (journal) {
        commit_locked(shard, ops, n);
        journal_kick(shard->broker->journal);
        consumers_tell(shard->broker);
    }
    wake_others(shard);
    for (size_t i = 0; i < n; i++)
        finish_op(shard, &ops[i]);
    if (!shard->ops.at) { /* keep the memory for the next turn */
        shard->ops.at = ops;
        shard->ops.cap = cap;
    } else {
        mem_free(ops);
    }
    deliver_parcels(shard);
}

/* ---- the turn ---- */

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
    end_hopeless(shard);
    (void)release_acks(shard);
    release_waiting(shard);
    release_halted(shard);
    feed_turn(shard);
    share_turn(shard);
    route_slices(shard);
    shard_commit(shard);
    /* The journal may get there between our look and our wish to be told: look once more after the wish. */
    while (waits(shard)) {
        atomic_store(&shard->wants_durable, true);
        bool more = release_acks(shard) || (shard->waiting.count && waiting_is_durable(shard));
        release_waiting(shard);
        release_halted(shard);
        if (!more)
            break;
        shard_commit(shard);
    }
    post_outboxes(shard);
    budget_turn_ends(shard);
}

/* The will as it is at the moment of publishing: its expiry and its date begin now (3.1.3.2.4). */
static struct message *present_will(struct shard *shard, const struct message *m)
{
    struct message_parts parts = { .qos = m->qos, .retain = m->retain, .expires = m->expires_us != 0, .expiry_s = m->expiry_s,
                                   .text = m->encoded.at[1] & MESSAGE_TEXT, .wall_us = loop_wall_us(shard->loop),
                                   .now_us = loop_now_us(shard->loop), .topic = m->topic, .principal = m->principal,
                                   .source = m->source, .props = m->props, .payload = m->payload };
    return message_new(&parts);
}

static void deny_will(struct shard *shard, uint64_t will_id)
{
    struct broker *b = shard->broker;
    COUNT(shard, denied_wills, 1);
    log_info("broker", "FG2207 a will is not published: its user was removed, or no rule allows him to publish to its topic any more");
    pthread_mutex_lock(&b->registry);
    journal_lock(b->journal);
    struct will *w = will_by_id(b, will_id);
    if (w && !w->withdrawn)
        will_withdraw(b, w, loop_now_us(shard->loop), NULL);
    journal_unlock(b->journal);
    pthread_mutex_unlock(&b->registry);
    journal_kick(b->journal);
}

/* Should it fail, session_upkeep tries again. */
void shard_publish_will(struct shard *shard, uint64_t will_id)
{
    struct broker *b = shard->broker;
    journal_lock(b->journal);
    struct will *w = will_by_id(b, will_id);
    struct message *old = w && !w->withdrawn ? message_hold(w->message) : NULL;
    journal_unlock(b->journal);
    if (!old)
        return;
    if (!access_may_will(shard, old->principal, old->source, old->topic)) { /* P-WILL: authorised again now */
        message_drop(old);
        deny_will(shard, will_id);
        return;
    }
    struct message *m = present_will(shard, old);
    message_drop(old);
    struct op op = { .kind = OP_PUBLISH, .message = m, .fanout = m ? route_find(shard, m->topic) : NULL, .will_id = will_id };
    if (op.fanout)
        op.crc = crc32c(0, m->encoded.at, m->encoded.len);
    if (op.fanout && shard_push_op(shard, &op))
        return;
    log_warn("broker", "FG2033 a will waits: no memory");
    fanout_drop(op.fanout);
    message_drop(m);
}

static int by_id(const void *x, const void *y)
{
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

void shard_publish_wills(struct shard *shard, uint64_t *ids, size_t n)
{
    if (n > 1)
        qsort(ids, n, sizeof *ids, by_id);
    for (size_t i = 0; i < n; i++)
        shard_publish_will(shard, ids[i]);
}

/* ---- life ---- */

static void second(struct timer *t)
{
    struct shard *shard = (struct shard *)((char *)t - offsetof(struct shard, second));
    if (shard->number == 0) {
        session_upkeep(shard->broker);
        sys_second(shard);
        budget_second(shard);
    }
    retry_kept(shard);
    retry_withheld(shard);
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
    for (size_t i = 0; i < shard->ops.count; i++)
        finish_op(shard, &shard->ops.at[i]);
    while (shard->pending.head < shard->pending.tail) {
        struct pending p = shard->pending.ring[shard->pending.head++ & (shard->pending.cap - 1)];
        mem_free((void *)p.blob.at);
        p.client->pending--;
        client_drop(p.client);
    }
    for (size_t i = 0; i < shard->waiting.count; i++)
        session_drop(shard->waiting.at[i]);
    for (size_t i = 0; i < shard->halted.count; i++)
        client_drop(shard->halted.at[i]);
    for (size_t i = 0; i < shard->kept.count; i++)
        client_drop(shard->kept.at[i].client);
    mem_free(shard->kept.at);
    for (size_t i = 0; i < shard->withheld.count; i++) {
        message_drop(shard->withheld.at[i].message);
        client_drop(shard->withheld.at[i].client);
    }
    mem_free(shard->withheld.at);
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
