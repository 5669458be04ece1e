/* deliver.c - from a session's queue to its connection. */
#include "broker/private.h"

#include "base/limits_use.h"
#include "base/log.h"

enum {
    REFERENCE_BYTES = 4096,   /* payloads from here on are sent by reference, smaller ones copied */
    TURN_PARCELS = 1024,      /* per session and turn, so that others get theirs                  */
    OUTPUT_MARK = 256 * 1024, /* unsent bytes above which a queue waits for the connection        */
    ALIAS_BYTES = 6,          /* an alias makes a packet at most so much longer, its lengths included */
    NEVER_TOO_LONG = 128 * 1024 * 1024, /* a payload that fits into a packet with every topic and property that may come with it */
    PACKET_MAX = 5 + 268435455, /* [MQTT-1.5.5], with its fixed header                           */
    HEAD_BYTES = 24,          /* a PUBLISH has no more than this beside its topic, properties and payload */
    BATCH_LEAST = 16 * 1024,  /* so much everybody gets at a time who had taken all before        */
    ACKS_LEAST = 64 * 1024,   /* so much sent and not acknowledged is everybody's                 */
    INDEX_SPAN = 65534        /* see queue.h: identifiers must stay unique                        */
};

static void release_message(void *m)
{
    message_drop(m);
}

/* The remaining life of a message as a property list of its own (3.3.2.3.3); false: it is over. `now` is this loop's, which
 * may not be as far as that of the loop on which the message came: it is never more than it was. */
static bool put_expiry(struct buf *props, const struct message *m, int64_t now)
{
    int64_t left = m->expires_us - now, s = left > 0 ? (left + 999999) / 1000000 : 0;
    mqtt_put_u32(props, MQTT_PROP_MESSAGE_EXPIRY, s < m->expiry_s ? (uint32_t)s : m->expiry_s);
    return left > 0;
}

enum sent { SENT, SENT_EXPIRED, SENT_TOO_LARGE, SENT_DENIED };

/* Puts an alias into the list when there is one; gives the topic to send with it. Only for what is sent for sure. */
static struct bytes use_alias(struct client *c, struct bytes topic, struct buf *props)
{
    bool known;
    uint16_t alias = alias_out(&c->aliases, c->alias_max, topic, &known);
    if (alias)
        mqtt_put_u16(props, MQTT_PROP_TOPIC_ALIAS, alias);
    return known ? BYTES_NONE : topic;
}

/* A packet without its identifiers, expiry or alias would be another one: its connection ends as one whose output has no
 * memory, and what was not acknowledged comes again with the next one. */
static void needs(struct client *c, const struct buf *props)
{
    if (props->bad)
        conn_out(c->conn)->bad = true;
}

struct bytes deliver_alias(struct shard *shard, struct client *c, struct bytes topic, struct bytes *own)
{
    *own = BYTES_NONE;
    if (!c->alias_max || c->max_packet || c->version != MQTT_5)
        return topic;
    buf_reset(&shard->props);
    topic = use_alias(c, topic, &shard->props);
    needs(c, &shard->props);
    *own = buf_bytes(&shard->props);
    return topic;
}

static enum sent send_publish(struct shard *shard, struct client *c, struct message *m, const struct origin *origin,
                              uint8_t qos, uint16_t pid, bool dup, bool retain)
{
    struct buf *props = &shard->props;
    buf_reset(props);
    /* What may have been sent before must be sent again [MQTT-4.4.0-1]: the receiver may hold its identifier. */
    if (m->expires_us && !put_expiry(props, m, loop_now_us(shard->loop)) && !dup)
        return SENT_EXPIRED;
    for (uint32_t i = 0; i < origin_count(origin); i++) /* [MQTT-3.3.4-3], [MQTT-3.3.4-4] */
        mqtt_put_varint(props, MQTT_PROP_SUB_ID, origin_ids(origin)[i]);
    struct bytes topic = m->topic;
    struct bytes own = c->version == MQTT_5 ? buf_bytes(props) : BYTES_NONE;
    struct bytes carried = c->version == MQTT_5 ? m->props : BYTES_NONE;
    bool room = true;
    if (c->max_packet || m->payload.len > NEVER_TOO_LONG) {
        size_t size = mqtt_publish_size(c->version, qos, m->topic.len, own.len + carried.len, m->payload.len);
        size_t most = c->max_packet ? c->max_packet : PACKET_MAX;
        if (size == 0 || size > most)
            return SENT_TOO_LARGE;
        room = size + ALIAS_BYTES <= most;
    }
    if (c->alias_max && room) {
        topic = use_alias(c, topic, props);
        own = buf_bytes(props);
    }
    needs(c, props);
    bool by_reference = m->payload.len >= REFERENCE_BYTES;
    struct buf *out = conn_out_room(c->conn, HEAD_BYTES + topic.len + own.len + carried.len +
                                                 (by_reference ? 0 : m->payload.len));
    mqtt_encode_publish_head(out, c->version, qos, dup, retain, topic, pid, own, carried, m->payload.len);
    if (by_reference)
        conn_send_ref(c->conn, m->payload, release_message, message_hold(m));
    else
        buf_add_bytes(out, m->payload);
    COUNT(shard, sent[qos], 1);
    COUNT(shard, sent_bytes, m->payload.len);
    return SENT;
}

/* on_drained takes it up again. */
static void choke(struct client *c)
{
    c->choked = true;
    if (c->session)
        atomic_store_explicit(&c->session->choked, true, memory_order_relaxed);
}

static void count_unsent(struct shard *shard, enum sent what)
{
    if (what == SENT_EXPIRED)
        COUNT(shard, dropped_expired, 1);
    else if (what == SENT_TOO_LARGE)
        COUNT(shard, dropped_too_large, 1);
    else if (what == SENT_DENIED)
        COUNT(shard, denied_deliveries, 1);
}

bool deliver_swamped(const struct shard *shard, const struct client *c)
{
    size_t backlog = conn_backlog(c->conn);
    size_t unsent = conn_unsent(c->conn);
    limits_saw(LIMIT_UNSENT_BYTES, unsent);
    bool over = unsent > limits_of(shard->broker)->unsent_bytes;
    bool over_all = !over && backlog && budget_spent(shard, BUDGET_WAITING, backlog);
    if (over || over_all)
        limits_refused(over ? LIMIT_UNSENT_BYTES : LIMIT_MEMORY_BYTES);
    return over || over_all;
}

void deliver_now(struct shard *shard, struct client *c, struct message *m, const struct origin *origin, bool retain)
{
    if (c->state != CLIENT_LIVE || !c->conn) {
        COUNT(shard, dropped_away, 1);
        return;
    }
    if (deliver_swamped(shard, c)) {
        COUNT(shard, dropped_slow, 1);
        return;
    }
    count_unsent(shard, send_publish(shard, c, m, origin, 0, 0, false, retain));
    if (origin_shared(origin).len && conn_unsent(c->conn) > OUTPUT_MARK)
        choke(c); /* others of its group get the next ones */
}

/* ---- queues ---- */

bool deliver_must_wait(const struct shard *shard, struct client *c)
{
    size_t backlog = conn_backlog(c->conn);
    if (!backlog && !shard->budget.scarce)
        return false;
    size_t unsent = conn_unsent(c->conn);
    if (unsent <= (backlog ? 0 : BATCH_LEAST) || !budget_spent(shard, BUDGET_WAITING, unsent))
        return false;
    conn_set_marks(c->conn, 0, unsent / 2 + 1);
    return true;
}

static bool takes_more(struct client *c)
{
    if (c->state != CLIENT_LIVE || !c->conn)
        return false;
    if (conn_unsent(c->conn) <= OUTPUT_MARK && !deliver_must_wait(c->shard, c))
        return true;
    choke(c);
    return false;
}

static bool may_send(struct client *c, const struct session *s)
{
    if (c->inflight_out >= c->window || !takes_more(c))
        return false;
    return c->send_next < s->queue.tail && c->send_next - s->queue.head < INDEX_SPAN;
}

static void wait_for_journal(struct shard *shard, struct session *s)
{
    if (s->waiting || !VECTOR_ROOM(shard->waiting))
        return;
    s->waiting = true;
    shard->waiting.at[shard->waiting.count++] = session_hold(s);
}

void deliver_gather(struct shard *shard, struct session *s)
{
    struct client *c = s->client;
    uint64_t durable = journal_durable(shard->broker->journal);
    size_t bytes = 0, count = 0;
    if (!c || s->ended)
        return;
    if (c->send_next < s->queue.head)
        c->send_next = s->queue.head;
    while (may_send(c, s)) {
        struct entry *e = queue_at(&s->queue, c->send_next);
        if (e->state == ENTRY_DONE) {
            c->send_next++;
            continue;
        }
        if (e->qos == 2 && e->seq > durable) {
            wait_for_journal(shard, s); /* a crash must not make it a second message (P-QOS2) */
            break;
        }
        bool enough = count >= TURN_PARCELS || bytes > OUTPUT_MARK || (count && budget_turn_full(shard));
        bool spent = shard->budget.scarce && bytes > BATCH_LEAST && budget_spent(shard, BUDGET_WAITING, bytes);
        if (enough || spent || !VECTOR_ROOM(shard->parcels)) {
            shard_mark_dirty(shard, s);
            shard_wake(shard);
            break;
        }
        struct parcel p = { .client = client_hold(c), .index = c->send_next, .pid = queue_packet_id(c->send_next),
                            .qos = e->qos, .state = e->state, .dup = e->flags & ENTRY_MAYBE_SENT,
                            .retain = e->flags & ENTRY_RETAIN, .as_published = e->flags & ENTRY_AS_PUBLISHED,
                            .kept = e->flags & ENTRY_KEPT };
        if (e->what) {
            struct message *m = stored_message(e->what);
            p.stored = stored_hold(e->what);
            p.message = m ? message_hold(m) : NULL;
            p.origin = origin_hold(queue_origin(&s->queue, c->send_next));
        }
        if (e->state == ENTRY_QUEUED)
            e->state = ENTRY_SENT;
        shard->parcels.at[shard->parcels.count++] = p;
        c->inflight_out++;
        c->send_next++;
        bytes += e->bytes;
        shard->budget.gathered += sizeof p + (e->bytes < REFERENCE_BYTES ? e->bytes : 0);
        count++;
    }
}

/* From disk, when the message is not in memory any more. NULL: damaged, or no memory just now. */
static struct message *fetch(struct shard *shard, const struct parcel *p, enum code *c)
{
    struct message *m = NULL;
    struct fault why;
    *c = journal_read(shard->broker->journal, p->stored, loop_now_us(shard->loop), &m, &why);
    if (*c != CODE_OK)
        log_error("broker", "FG7011 a message could not be read back: %s", why.text);
    return *c == CODE_OK ? m : NULL;
}

/* The entry is over without the peer's help. */
static void drop_entry(struct shard *shard, struct client *c, uint16_t pid)
{
    struct op op = { .kind = OP_DROP, .client = client_hold(c), .pid = pid };
    if (!shard_push_op(shard, &op))
        client_drop(c);
    shard_wake(shard);
}

/* What waits in a queue is judged by the rules that hold when it is sent. */
static bool may_have(struct client *c, const struct message *m, bool kept)
{
    return kept ? client_may_read(c, m) : client_may(c, RIGHT_SUBSCRIBE, m->topic);
}

/* It lost the right after it had been chosen. Of a group others may still have it; not what it may have got with QoS 2
 * [MQTT-4.8.2-5]. */
static void deny_parcel(struct shard *shard, const struct parcel *p)
{
    if (origin_shared(p->origin).len && !p->dup)
        share_rescue(shard->broker, p->message, p->origin);
    else
        count_unsent(shard, SENT_DENIED);
    drop_entry(shard, p->client, p->pid);
}

static void send_parcel(struct shard *shard, struct parcel *p)
{
    struct client *c = p->client;
    if (!client_alive(c))
        return;
    if (p->state == ENTRY_RECEIVED) {
        mqtt_encode_ack(conn_out(c->conn), c->version, MQTT_PUBREL, p->pid, 0, BYTES_NONE);
        return;
    }
    enum code code = CODE_OK;
    if (!p->message && p->stored)
        p->message = fetch(shard, p, &code);
    if (!p->message) {
        if (code == CODE_DAMAGED)
            drop_entry(shard, c, p->pid); /* gone for good, and reported */
        else
            client_end(c, MQTT_SERVER_BUSY, NULL, true); /* it comes again with the next connection */
        return;
    }
    if (!may_have(c, p->message, p->kept)) {
        deny_parcel(shard, p);
        return;
    }
    bool retain = p->retain || (p->as_published && p->message->retain);
    enum sent what = send_publish(shard, c, p->message, p->origin, p->qos, p->pid, p->dup, retain);
    if (what != SENT) {
        count_unsent(shard, what);
        drop_entry(shard, c, p->pid);
    }
}

void deliver_parcels(struct shard *shard)
{
    if (!shard->parcels.count)
        return;
    struct parcel *list = shard->parcels.at;
    size_t n = shard->parcels.count, cap = shard->parcels.cap;
    shard->parcels.at = NULL; /* sending may end a client, which commits and gathers */
    shard->parcels.count = shard->parcels.cap = 0;
    shard->budget.gathered = 0;
    for (size_t i = 0; i < n; i++)
        send_parcel(shard, &list[i]);
    journal_lock(shard->broker->journal);
    for (size_t i = 0; i < n; i++)
        if (list[i].stored)
            stored_drop(list[i].stored);
    journal_unlock(shard->broker->journal);
    for (size_t i = 0; i < n; i++) {
        message_drop(list[i].message);
        origin_drop(list[i].origin);
        client_drop(list[i].client);
    }
    if (shard->parcels.at) {
        mem_free(list);
    } else {
        shard->parcels.at = list;
        shard->parcels.cap = cap;
    }
}

/* ---- sessions that end with their connection: same queue, no journal ---- */

static void feed_volatile(struct shard *shard, struct session *s)
{
    struct client *c = s->client;
    while (c && may_send(c, s)) {
        struct entry *e = queue_at(&s->queue, c->send_next);
        uint64_t index = c->send_next++;
        if (e->state != ENTRY_QUEUED)
            continue;
        enum sent what = !may_have(c, e->what, e->flags & ENTRY_KEPT)
                             ? SENT_DENIED
                             : send_publish(shard, c, e->what, queue_origin(&s->queue, index), e->qos,
                                            queue_packet_id(index), false, e->flags & ENTRY_RETAIN);
        if (what == SENT) {
            e->state = ENTRY_SENT;
            c->inflight_out++;
        } else {
            count_unsent(shard, what);
            message_drop(queue_done(&s->queue, index));
        }
    }
    atomic_store_explicit(&s->load, s->queue.open, memory_order_relaxed);
}

static void queue_volatile(struct shard *shard, struct session *s, struct message *m, struct origin *origin, uint8_t qos,
                           uint8_t flags)
{
    struct entry *e = queue_push(&s->queue, origin);
    if (!e) {
        COUNT(shard, dropped_queue, 1);
        return;
    }
    *e = (struct entry){ .what = message_hold(m), .bytes = (uint32_t)m->encoded.len, .qos = qos,
                         .flags = flags };
    s->queue.bytes += e->bytes;
    limits_saw(LIMIT_QUEUED_MESSAGES, s->queue.open);
    limits_saw(LIMIT_QUEUED_BYTES, s->queue.bytes);
    feed_volatile(shard, s);
}

void deliver_volatile(struct shard *shard, struct session *s, struct message *m, struct origin *origin, uint8_t qos,
                      bool retain)
{
    const struct limits *limits = limits_of(shard->broker);
    const struct queue *q = &s->queue;
    bool full = q->open >= limits->queued_messages || q->bytes + m->encoded.len > limits->queued_bytes;
    if (full)
        limits_refused(q->open >= limits->queued_messages ? LIMIT_QUEUED_MESSAGES : LIMIT_QUEUED_BYTES);
    bool behind = s->client && s->client->send_next < q->tail; /* it has not even been sent what came before */
    uint64_t holds = q->bytes + (uint64_t)q->cap * sizeof(struct entry);
    bool spent = !full && (behind ? budget_spent(shard, BUDGET_WAITING, holds)
                                  : holds > ACKS_LEAST && budget_spent(shard, BUDGET_UNANSWERED, holds));
    if (spent)
        limits_refused(LIMIT_MEMORY_BYTES);
    if (full || spent)
        COUNT(shard, dropped_queue, 1);
    else
        queue_volatile(shard, s, m, origin, qos, retain ? ENTRY_RETAIN : 0);
}

/* ---- retained messages for a new subscription ---- */

size_t deliver_room(struct client *c, uint8_t qos)
{
    const struct limits *limits = limits_of(c->shard->broker);
    const struct queue *q = &c->session->queue;
    if (!takes_more(c))
        return 0;
    if (qos == 0 || c->session->durable)
        return SIZE_MAX;
    /* It goes through the queue, but does not lie there: what is given is sent at once. */
    if (c->inflight_out >= c->window || c->send_next < q->tail || q->open >= limits->queued_messages ||
        q->bytes >= limits->queued_bytes)
        return 0;
    if (q->bytes > limits->queued_bytes / 2)
        return 1;
    size_t window = c->window - c->inflight_out, room = limits->queued_messages - q->open;
    return window < room ? window : room;
}

void deliver_retained(struct shard *shard, struct client *c, struct message *m, struct origin *origin, uint8_t qos)
{
    if (qos)
        queue_volatile(shard, c->session, m, origin, qos, ENTRY_RETAIN | ENTRY_KEPT);
    else if (c->state == CLIENT_LIVE && c->conn)
        count_unsent(shard, client_may_read(c, m) ? send_publish(shard, c, m, origin, 0, 0, false, true) : SENT_DENIED);
}

void deliver_resume(struct shard *shard, struct client *c)
{
    struct session *s = c->session;
    c->choked = false;
    if (!s)
        return;
    atomic_store_explicit(&s->choked, false, memory_order_relaxed);
    if (!s->durable) {
        feed_volatile(shard, s);
        feed_go(c);
        return;
    }
    feed_go(c);
    journal_lock(shard->broker->journal);
    shard_mark_dirty(shard, s);
    journal_unlock(shard->broker->journal);
    shard_wake(shard); /* on_drained comes after the turn's hook: without a further turn nobody would look */
}
