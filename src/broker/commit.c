/* commit.c - what the clients asked for in a turn, into the journal under one hold of its lock; then it is delivered and answered.
 *
 * What became deliverable to this loop's sessions is taken along under the same hold (take_dirty), and sent without it.
 */
#include "broker/private.h"

#include "base/log.h"

enum { OPS_SOFT_MAX = 8192 };

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
    if (op->batch && code == CODE_LIMIT)
        op->result = MQTT_PACKET_TOO_LARGE; /* tried again it would be, too: those behind it do not wait for it */
    else if (op->batch)
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
                retry_keep(shard, &ops[i]);
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
        retry_withhold(shard, op);
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
    shard_wake_others(shard);
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

void commit_clear(struct shard *shard)
{
    for (size_t i = 0; i < shard->ops.count; i++)
        finish_op(shard, &shard->ops.at[i]);
}
