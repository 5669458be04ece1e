/* acks.c - acknowledgements: each leaves when the journal has what it speaks of, in the order of its client's requests [4.6]. */
#include "broker/private.h"

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

bool acks_release(struct shard *shard)
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

/* A failed journal makes no acknowledgement durable any more: whoever waits for one is told so by the end of his
 * connection, instead of waiting for ever. */
void acks_give_up(struct shard *shard)
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

void acks_clear(struct shard *shard)
{
    while (shard->pending.head < shard->pending.tail) {
        struct pending p = shard->pending.ring[shard->pending.head++ & (shard->pending.cap - 1)];
        mem_free((void *)p.blob.at);
        p.client->pending--;
        client_drop(p.client);
    }
}
