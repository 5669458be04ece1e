/* client_publish.c - PUBLISH from a client and the acknowledgements both ways. */
#include "broker/private.h"

#include "base/limits_use.h"
#include "base/crc32c.h"
#include "base/log.h"

static void refuse(struct client *c, uint8_t reason, const char *because)
{
    struct fault why;
    (void)FAIL(&why, CODE_PROTOCOL, 0, "%s", because);
    client_end(c, reason, &why, true);
}

static struct message *make_message(struct client *c, const struct mqtt_publish *p)
{
    struct shard *shard = c->shard;
    struct bytes props = BYTES_NONE;
    bool five = c->version == MQTT_5;
    bool expires = five && mqtt_props_has(&p->props, MQTT_PROP_MESSAGE_EXPIRY);
    if (five && p->props.raw.len) {
        props = p->props.raw;
        if (!mqtt_props_all_forwardable(&p->props)) {
            buf_reset(&shard->props);
            mqtt_props_forwardable(p->props.raw, &shard->props);
            if (shard->props.bad)
                return NULL;
            props = buf_bytes(&shard->props);
        }
    }
    struct message_parts parts = {
        .qos = p->qos, .retain = p->retain, .expires = expires, .expiry_s = expires ? p->props.message_expiry_s : 0,
        .text = five && p->props.raw.len && p->props.payload_format == 1,
        .wall_us = loop_wall_us(shard->loop), .now_us = loop_now_us(shard->loop), .topic = p->topic,
        .principal = c->session->principal, .source = c->session->client_id, .props = props, .payload = p->payload };
    return message_new(&parts);
}

/* Who publishes while the journal, another loop or the memory is behind is not read from until release_halted. `read`: a
 * reader inside the node wants it, and may be behind, too. */
static void halt_if_busy(struct client *c, bool stored, bool read)
{
    struct shard *shard = c->shard;
    bool busy = (stored && journal_busy(shard->broker->journal)) || (read && atomic_load(&shard->broker->behind)) || shard->congested || shard->slices.count ||
                broker_over_memory(shard->broker); /* L-MEM */
    if (busy)
        client_halt(c);
}

/* L-QOS2 for 3.x, which knows no receive maximum: what would be too many is not read; if nothing changes, the timer ends it. */
bool publish_over_quota(const struct client *c, uint8_t first, struct bytes body)
{
    if (c->version == MQTT_5 || first >> 4 != MQTT_PUBLISH || (first >> 1 & 3) != 2 || c->state != CLIENT_LIVE ||
        c->in_pids.count < c->receive_max)
        return false;
    struct wire w = wire_of(body);
    (void)wire_bytes(&w, wire_be16(&w));
    uint16_t pid = wire_be16(&w);
    return !w.bad && !pidset_has(&c->in_pids, pid); /* what is broken gets its own answer */
}

/* L-INFL, L-QOS2. False: the connection has ended. */
static bool admit(struct client *c, const struct mqtt_publish *p)
{
    uint32_t most = c->receive_max;
    if (p->qos == 0 || (p->qos == 2 && pidset_has(&c->in_pids, p->packet_id)))
        return true;
    if (c->version == MQTT_5 && c->inflight_in >= most) {
        limits_refused(LIMIT_RECEIVE_MAXIMUM);
        refuse(c, MQTT_RECEIVE_MAX_EXCEEDED, "more unacknowledged PUBLISH packets than the receive maximum of CONNACK");
        return false;
    }
    limits_saw(LIMIT_RECEIVE_MAXIMUM, ++c->inflight_in);
    return true;
}

/* No rule allows it. 5.0 is told; 3.x has no word for that: acknowledged and dropped, or closed (acl-deny). */
static void deny(struct client *c, const struct mqtt_publish *p)
{
    char name[128], topic[128];
    COUNT(c->shard, denied_publishes, 1);
    log_info("mqtt", "FG2206 %s may not publish to '%s': dropped", client_name(c, name, sizeof name),
             bytes_escape(p->topic, topic, sizeof topic));
    if (c->version != MQTT_5 && c->shard->broker->config.close_denied) {
        refuse(c, MQTT_NOT_AUTHORIZED, "no rule allows it to publish to this topic (acl-deny: close)");
        return;
    }
    if (p->qos == 0)
        return;
    shard_commit(c->shard); /* acknowledgements keep their order */
    if (client_alive(c))
        shard_ack(c->shard, c, 0, p->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, p->packet_id, MQTT_NOT_AUTHORIZED, BYTES_NONE);
}

/* L-ALIAS; what only a server sends. False: the connection has ended. */
static bool take_props(struct client *c, struct mqtt_publish *p)
{
    if (mqtt_props_has(&p->props, MQTT_PROP_SUB_ID)) { /* [MQTT-3.3.4-6] */
        refuse(c, MQTT_PROTOCOL_ERROR, "a subscription identifier in a PUBLISH from a client");
        return false;
    }
    if (!mqtt_props_has(&p->props, MQTT_PROP_TOPIC_ALIAS))
        return true;
    uint8_t reason = alias_in(&c->aliases, c->alias_in_max, p->props.topic_alias, &p->topic);
    if (reason == 0)
        limits_saw(LIMIT_TOPIC_ALIASES, p->props.topic_alias);
    else if (reason == MQTT_TOPIC_ALIAS_INVALID)
        limits_refused(LIMIT_TOPIC_ALIASES);
    if (reason == MQTT_TOPIC_ALIAS_INVALID)
        refuse(c, reason, "a topic alias above the Topic Alias Maximum of CONNACK (limits.topic-aliases)");
    else if (reason == MQTT_PROTOCOL_ERROR)
        refuse(c, reason, "a topic alias that was never set on this connection, and no topic");
    else if (reason)
        refuse(c, reason, "no memory for a topic alias");
    return reason == 0;
}

void handle_publish(struct client *c, const struct mqtt_frame *frame)
{
    struct shard *shard = c->shard;
    struct mqtt_publish p;
    struct fault why;
    if (mqtt_decode_publish(c->version, frame->first, frame->body, &rules_of(shard->broker)->mqtt, &p, &why) != CODE_OK) {
        client_end(c, why.mqtt_reason ? why.mqtt_reason : MQTT_MALFORMED, &why, true);
        return;
    }
    if (c->version == MQTT_5 && p.props.raw.len && !take_props(c, &p))
        return;
    if (!admit(c, &p))
        return;
    /* What it repeats was accepted; its release would wait for ever. If that is refused yet, commit_publish notices. */
    bool forbidden = own_topic(p.topic) || !client_may(c, RIGHT_PUBLISH, p.topic);
    if (forbidden && !(p.qos == 2 && pidset_has(&c->in_pids, p.packet_id))) {
        deny(c, &p);
        return;
    }
    COUNT(shard, received[p.qos], 1);
    COUNT(shard, received_bytes, p.payload.len);
    if (pass_publish(c, frame, &p)) {
        halt_if_busy(c, false, false);
        return;
    }
    struct op op = { .kind = OP_PUBLISH, .pid = p.packet_id, .client = client_hold(c), .forbidden = forbidden };
    op.duplicate = p.qos == 2 && pidset_has(&c->in_pids, p.packet_id);
    op.message = make_message(c, &p);
    op.fanout = op.message ? route_find(shard, p.topic) : NULL;
    bool ready = op.fanout && (p.qos != 2 || pidset_add(&c->in_pids, p.packet_id));
    bool stored = ready && (op.fanout->durable_count || op.fanout->to_partition || p.retain || p.qos == 2 ||
                            (p.qos && op.fanout->share_count));
    if (stored)
        op.crc = crc32c(0, op.message->encoded.at, op.message->encoded.len);
    bool read = ready && op.fanout->readers;
    if (ready && shard_push_op(shard, &op)) {
        halt_if_busy(c, stored, read);
        return;
    }
    message_drop(op.message);
    fanout_drop(op.fanout);
    refuse(c, MQTT_SERVER_BUSY, "no memory for a message"); /* unacknowledged: it comes again */
    client_drop(c);
}

/* ---- acknowledgements ---- */

/* The same rules as judge_ack and the fold have for durable sessions, without the journal. */
static void ack_volatile(struct client *c, uint8_t type, uint16_t pid, bool refused)
{
    struct session *s = c->session;
    uint64_t index;
    bool found = queue_find(&s->queue, pid, &index);
    struct entry *e = found ? queue_at(&s->queue, index) : NULL;
    bool sent = e && e->state == ENTRY_SENT, received = e && e->state == ENTRY_RECEIVED;
    bool done = (type == MQTT_PUBACK && sent && e->qos == 1) || (type == MQTT_PUBCOMP && received) ||
                (type == MQTT_PUBREC && refused && sent && e->qos == 2);
    if (type == MQTT_PUBREC && !refused) {
        bool known = received || (sent && e->qos == 2);
        if (sent && known)
            message_drop(queue_received(&s->queue, index));
        shard_ack(c->shard, c, 0, MQTT_PUBREL, pid, known ? 0 : MQTT_PACKET_ID_NOT_FOUND, BYTES_NONE);
        return;
    }
    if (!done)
        return;
    message_drop(queue_done(&s->queue, index));
    if (c->inflight_out)
        c->inflight_out--;
    deliver_resume(c->shard, c);
}

static void released_volatile(struct client *c, uint16_t pid)
{
    bool known = pidset_has(&c->in_pids, pid);
    /* In the order of operations: the PUBLISH it releases may still be gathered in this turn. */
    shard_commit(c->shard);
    if (!client_alive(c))
        return;
    pidset_remove(&c->in_pids, pid);
    shard_ack(c->shard, c, 0, MQTT_PUBCOMP, pid, known ? 0 : MQTT_PACKET_ID_NOT_FOUND, BYTES_NONE);
}

void handle_ack(struct client *c, uint8_t type, uint8_t first, struct bytes body)
{
    struct mqtt_ack ack;
    struct fault why;
    if (mqtt_decode_ack(c->version, first, body, &rules_of(c->shard->broker)->mqtt, &ack, &why) != CODE_OK) {
        client_end(c, why.mqtt_reason ? why.mqtt_reason : MQTT_MALFORMED, &why, true);
        return;
    }
    bool refused = ack.reason >= 0x80;
    if (!c->session->durable) {
        if (type == MQTT_PUBREL)
            released_volatile(c, ack.packet_id);
        else
            ack_volatile(c, type, ack.packet_id, refused);
        return;
    }
    static const uint8_t kinds[16] = { [MQTT_PUBACK] = OP_PUBACK, [MQTT_PUBREC] = OP_PUBREC, [MQTT_PUBCOMP] = OP_PUBCOMP,
                                       [MQTT_PUBREL] = OP_PUBREL };
    struct op op = { .kind = kinds[type], .pid = ack.packet_id, .client = client_hold(c) };
    if (type == MQTT_PUBREC && refused)
        op.kind = OP_PUBREC_REFUSED;
    if (!shard_push_op(c->shard, &op)) {
        refuse(c, MQTT_SERVER_BUSY, "no memory for an acknowledgement");
        client_drop(c);
    }
}
