#include "support/broker_peer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct mqtt_limits generous = { .packet_bytes = 16 << 20, .user_props = 10000, .prop_bytes = 1 << 20,
                                             .topic_bytes = 65535, .topic_levels = 65535, .filters = 10000 };

static _Noreturn void give_up(const char *fmt, ...) FG_PRINTF(1, 2);
static _Noreturn void give_up(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fputs("peer: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    (void)fputc('\n', stderr);
    va_end(args);
    abort();
}

/* ---- life ---- */

struct peer *peer_open(struct rig *rig, unsigned shard)
{
    return peer_open_from(rig, shard, NULL);
}

struct peer *peer_open_from(struct rig *rig, unsigned shard, const char *address)
{
    struct sim_client *sim = rig_dial(rig, shard, address);
    struct peer *p = sim ? calloc(1, sizeof *p) : NULL;
    if (!p)
        give_up("no connection");
    p->rig = rig;
    p->sim = sim;
    p->version = MQTT_5;
    p->last = &p->first;
    p->next = rig->peers;
    if (p->next)
        p->next->prev = p;
    rig->peers = p;
    return p;
}

void peer_hang_up(struct peer *p)
{
    if (!p->gone)
        sim_hang_up(p->sim, true);
}

static void leave_rig(struct peer *p)
{
    if (p->gone)
        return;
    sim_free(p->sim);
    p->sim = NULL;
    p->gone = true;
    *(p->prev ? &p->prev->next : &p->rig->peers) = p->next;
    if (p->next)
        p->next->prev = p->prev;
}

static void free_packets(struct packet *p)
{
    while (p) {
        struct packet *next = p->next;
        free(p);
        p = next;
    }
}

void peer_close(struct peer *p)
{
    if (!p)
        return;
    leave_rig(p);
    free_packets(p->first);
    for (size_t i = 0; i < PEER_TAKEN; i++)
        free(p->taken[i]);
    free(p);
}

bool peer_ended(const struct peer *p)
{
    return p->gone || sim_closed(p->sim);
}

void peers_forget(struct rig *rig)
{
    while (rig->peers)
        if (rig->lasting_peers)
            leave_rig(rig->peers);
        else
            peer_close(rig->peers);
}

/* ---- out ---- */

void peer_send(struct peer *p, struct bytes raw)
{
    if (!p->gone)
        sim_send(p->sim, raw);
}

static void send_buf(struct peer *p, struct buf *b)
{
    if (b->bad)
        give_up("a packet could not be encoded");
    peer_send(p, buf_bytes(b));
    buf_clear(b);
}

static uint16_t take_pid(struct peer *p)
{
    if (++p->next_pid == 0)
        p->next_pid = 1;
    return p->next_pid;
}

void peer_connect(struct peer *p, const struct peer_connect *o)
{
    struct buf out = { 0 }, props = { 0 }, will = { 0 };
    p->version = o->version ? o->version : MQTT_5;
    if (p->version == MQTT_5) {
        if (o->expiry_s)
            mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, o->expiry_s);
        if (o->receive_max)
            mqtt_put_u16(&props, MQTT_PROP_RECEIVE_MAX, o->receive_max);
        if (o->auth_method)
            mqtt_put_bytes(&props, MQTT_PROP_AUTH_METHOD, bytes_str(o->auth_method));
        if (o->auth_data.len)
            mqtt_put_bytes(&props, MQTT_PROP_AUTH_DATA, o->auth_data);
        if (o->alias_max)
            mqtt_put_u16(&props, MQTT_PROP_TOPIC_ALIAS_MAX, o->alias_max);
        if (o->max_packet)
            mqtt_put_u32(&props, MQTT_PROP_MAX_PACKET, o->max_packet);
        if (o->will_delay_s)
            mqtt_put_u32(&will, MQTT_PROP_WILL_DELAY, o->will_delay_s);
        if (o->will_expiry_s)
            mqtt_put_u32(&will, MQTT_PROP_MESSAGE_EXPIRY, o->will_expiry_s);
    }
    struct mqtt_connect_out c = { .version = p->version, .clean_start = o->clean_start, .has_will = o->will_topic,
                                  .will_qos = o->will_qos, .will_retain = o->will_retain,
                                  .keep_alive_s = o->keep_alive_s, .client_id = bytes_str(o->client_id),
                                  .will_topic = bytes_str(o->will_topic), .will_payload = bytes_str(o->will_payload),
                                  .has_user = o->user, .has_password = o->password, .user = bytes_str(o->user),
                                  .password = bytes_str(o->password),
                                  .props = buf_bytes(&props), .will_props = buf_bytes(&will) };
    mqtt_encode_connect(&out, &c);
    send_buf(p, &out);
    buf_clear(&props);
    buf_clear(&will);
}

uint16_t peer_publish_full(struct peer *p, const struct peer_publish *o)
{
    struct buf out = { 0 };
    uint16_t pid = o->qos == 0 ? 0 : o->pid ? o->pid : take_pid(p);
    mqtt_encode_publish_head(&out, p->version, o->qos, o->dup, o->retain, o->topic, pid, o->props, BYTES_NONE,
                             o->payload.len);
    buf_add_bytes(&out, o->payload);
    send_buf(p, &out);
    return pid;
}

uint16_t peer_publish(struct peer *p, const char *topic, const char *payload, uint8_t qos, bool retain)
{
    return peer_publish_full(p, &(struct peer_publish){ .topic = bytes_str(topic), .payload = bytes_str(payload),
                                                        .qos = qos, .retain = retain });
}

uint16_t peer_subscribe_as(struct peer *p, const struct mqtt_filter *list, uint32_t id)
{
    struct buf out = { 0 }, props = { 0 };
    uint16_t pid = take_pid(p);
    if (id)
        mqtt_put_varint(&props, MQTT_PROP_SUB_ID, id);
    mqtt_encode_subscribe(&out, p->version, pid, list, buf_bytes(&props));
    buf_clear(&props);
    send_buf(p, &out);
    return pid;
}

uint16_t peer_subscribe_full(struct peer *p, const struct mqtt_filter *list)
{
    return peer_subscribe_as(p, list, 0);
}

uint16_t peer_subscribe(struct peer *p, const char *filter, uint8_t qos)
{
    return peer_subscribe_full(p, &(struct mqtt_filter){ .filter = bytes_str(filter), .qos = qos });
}

uint16_t peer_unsubscribe(struct peer *p, const char *filter)
{
    struct buf out = { 0 };
    uint16_t pid = take_pid(p);
    mqtt_encode_unsubscribe(&out, p->version, pid, &(struct mqtt_filter){ .filter = bytes_str(filter) }, BYTES_NONE);
    send_buf(p, &out);
    return pid;
}

void peer_ack(struct peer *p, enum mqtt_type type, uint16_t pid, uint8_t reason)
{
    struct buf out = { 0 };
    mqtt_encode_ack(&out, p->version, type, pid, reason, BYTES_NONE);
    send_buf(p, &out);
}

void peer_disconnect(struct peer *p, uint8_t reason)
{
    struct buf out = { 0 };
    mqtt_encode_disconnect(&out, p->version, reason, BYTES_NONE);
    send_buf(p, &out);
}

void peer_ping(struct peer *p)
{
    struct buf out = { 0 };
    mqtt_encode_empty(&out, MQTT_PINGREQ);
    send_buf(p, &out);
}

void peer_auth(struct peer *p, uint8_t reason, const char *method, struct bytes data)
{
    struct buf out = { 0 }, props = { 0 };
    if (method)
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_METHOD, bytes_str(method));
    if (data.len)
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_DATA, data);
    mqtt_encode_auth(&out, reason, buf_bytes(&props));
    send_buf(p, &out);
    buf_clear(&props);
}

/* ---- in ---- */

static enum code decode_publish(struct peer *p, struct packet *k, uint8_t first, struct bytes body, struct fault *why)
{
    struct mqtt_publish m;
    enum code c = mqtt_decode_publish(p->version, first, body, &generous, &m, why);
    k->qos = m.qos;
    k->dup = m.dup;
    k->retain = m.retain;
    k->pid = m.packet_id;
    k->topic = m.topic;
    k->payload = m.payload;
    k->props = m.props;
    return c;
}

static enum code decode_ack(struct peer *p, struct packet *k, uint8_t first, struct bytes body, struct fault *why)
{
    struct mqtt_ack a;
    enum code c = mqtt_decode_ack(p->version, first, body, &generous, &a, why);
    k->pid = a.packet_id;
    k->reason = a.reason;
    k->props = a.props;
    return c;
}

static enum code decode_suback(struct peer *p, struct packet *k, uint8_t first, struct bytes body, struct fault *why)
{
    struct mqtt_suback a;
    enum code c = mqtt_decode_suback(p->version, first, body, &generous, &a, why);
    k->pid = a.packet_id;
    k->reasons = a.reasons;
    k->reason = a.reasons.len ? a.reasons.at[0] : 0;
    k->props = a.props;
    return c;
}

static enum code decode(struct peer *p, struct packet *k, uint8_t first, struct bytes body, struct fault *why)
{
    struct mqtt_connack ca;
    struct mqtt_disconnect d;
    enum code c;
    switch (k->type) {
    case MQTT_CONNACK:
        c = mqtt_decode_connack(p->version, body, &generous, &ca, why);
        k->session_present = ca.session_present;
        k->reason = ca.reason;
        k->props = ca.props;
        return c;
    case MQTT_PUBLISH:
        return decode_publish(p, k, first, body, why);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        return decode_ack(p, k, first, body, why);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK:
        return decode_suback(p, k, first, body, why);
    case MQTT_AUTH:
        c = mqtt_decode_auth(body, &generous, &d, why);
        k->reason = d.reason;
        k->props = d.props;
        return c;
    case MQTT_DISCONNECT:
        c = mqtt_decode_disconnect(p->version, body, &generous, &d, why);
        k->reason = d.reason;
        k->props = d.props;
        return c;
    case MQTT_PINGRESP:
        return CODE_OK;
    default:
        return FAIL(why, CODE_PROTOCOL, 0, "a client does not expect %s", mqtt_type_name(k->type));
    }
}

void peer_receive(struct peer *p)
{
    if (p->gone)
        return;
    for (;;) {
        struct mqtt_frame frame;
        struct fault why;
        enum code c = mqtt_frame(sim_received(p->sim), generous.packet_bytes, &frame, &why);
        if (c == CODE_MORE)
            return;
        struct packet *k = c == CODE_OK ? calloc(1, sizeof *k + frame.body.len) : NULL;
        if (!k)
            give_up("what arrived is no packet: %s", why.text);
        if (frame.body.len)
            memcpy(k->bytes, frame.body.at, frame.body.len);
        k->type = frame.first >> 4;
        c = decode(p, k, frame.first, bytes_of(k->bytes, frame.body.len), &why);
        if (c != CODE_OK)
            give_up("%s does not decode: %s", mqtt_type_name(k->type), why.text);
        sim_take(p->sim, frame.size);
        *p->last = k;
        p->last = &k->next;
    }
}

const struct packet *peer_peek(struct peer *p)
{
    peer_receive(p);
    return p->first;
}

struct packet *peer_take(struct peer *p)
{
    peer_receive(p);
    struct packet *k = p->first;
    if (!k)
        return NULL;
    p->first = k->next;
    if (!p->first)
        p->last = &p->first;
    k->next = NULL;
    struct packet **slot = &p->taken[p->taken_count++ % PEER_TAKEN];
    free(*slot);
    return *slot = k;
}

/* ---- for tests ---- */

struct packet *peer_expect(struct peer *p, enum mqtt_type type)
{
    if (!peer_peek(p))
        rig_run(p->rig);
    struct packet *k = peer_take(p);
    if (!k)
        give_up("expected %s, got nothing%s", mqtt_type_name(type), peer_ended(p) ? "; the connection is closed" : "");
    if (k->type != type)
        give_up("expected %s, got %s with reason 0x%02X (%.*s)", mqtt_type_name(type), mqtt_type_name(k->type), k->reason,
                BYTES_FMT(k->topic));
    return k;
}

void peer_expect_nothing(struct peer *p)
{
    rig_run(p->rig);
    const struct packet *k = peer_peek(p);
    if (k)
        give_up("expected nothing, got %s with reason 0x%02X (%.*s: %.*s)", mqtt_type_name(k->type), k->reason,
                BYTES_FMT(k->topic), BYTES_FMT(k->payload));
    if (peer_ended(p))
        give_up("expected nothing, the connection was closed");
}

void peer_expect_end(struct peer *p)
{
    rig_run(p->rig);
    const struct packet *k = peer_peek(p);
    if (k)
        give_up("expected the end, got %s with reason 0x%02X", mqtt_type_name(k->type), k->reason);
    if (!peer_ended(p))
        give_up("expected the end, the connection is open");
}

struct packet *peer_expect_publish(struct peer *p, const char *topic, const char *payload, uint8_t qos)
{
    struct packet *k = peer_expect(p, MQTT_PUBLISH);
    if (!bytes_is(k->topic, topic) || !bytes_is(k->payload, payload) || k->qos != qos)
        give_up("expected %s: %s with QoS %u, got %.*s: %.*s with QoS %u", topic, payload, qos, BYTES_FMT(k->topic),
                BYTES_FMT(k->payload), k->qos);
    return k;
}

struct peer *peer_connected(struct rig *rig, unsigned shard, const struct peer_connect *o, bool present)
{
    struct peer *p = peer_open(rig, shard);
    peer_connect(p, o);
    struct packet *k = peer_expect(p, MQTT_CONNACK);
    if (k->reason != 0)
        give_up("%s was refused with 0x%02X", o->client_id, k->reason);
    if (k->session_present != present)
        give_up("%s: session present is %d", o->client_id, k->session_present);
    return p;
}

void peer_refused(struct peer *p, const struct peer_connect *o, uint8_t reason)
{
    peer_connect(p, o);
    struct packet *k = peer_expect(p, MQTT_CONNACK);
    if (k->reason != reason || k->session_present)
        give_up("%s was answered with 0x%02X instead of 0x%02X", o->client_id, k->reason, reason);
    peer_expect_end(p);
    peer_close(p);
}

void peer_subscribed(struct peer *p, const char *filter, uint8_t qos)
{
    peer_subscribed_as(p, filter, qos, 0);
}

void peer_subscribed_as(struct peer *p, const char *filter, uint8_t qos, uint32_t id)
{
    uint16_t pid = peer_subscribe_as(p, &(struct mqtt_filter){ .filter = bytes_str(filter), .qos = qos }, id);
    struct packet *k = peer_expect(p, MQTT_SUBACK);
    if (k->pid != pid || k->reason != qos)
        give_up("subscription to %s: identifier %u for %u, reason 0x%02X", filter, k->pid, pid, k->reason);
}

void peer_published(struct peer *p, const char *topic, const char *payload, uint8_t qos, bool retain, uint8_t reason)
{
    uint16_t pid = peer_publish(p, topic, payload, qos, retain);
    if (qos == 0) {
        rig_run(p->rig);
        return;
    }
    struct packet *k = peer_expect(p, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC);
    if (k->pid != pid || k->reason != reason)
        give_up("%s: acknowledgement %u for %u with reason 0x%02X", topic, k->pid, pid, k->reason);
    if (qos == 1 || reason >= 0x80)
        return;
    peer_ack(p, MQTT_PUBREL, pid, 0);
    k = peer_expect(p, MQTT_PUBCOMP);
    if (k->pid != pid || k->reason != 0)
        give_up("%s: PUBCOMP %u for %u with reason 0x%02X", topic, k->pid, pid, k->reason);
}

void peer_accepts(struct peer *p, const struct packet *k)
{
    if (k->qos == 1)
        peer_ack(p, MQTT_PUBACK, k->pid, 0);
    if (k->qos != 2)
        return;
    peer_ack(p, MQTT_PUBREC, k->pid, 0);
    struct packet *rel = peer_expect(p, MQTT_PUBREL);
    if (rel->pid != k->pid || rel->reason)
        give_up("PUBREL %u for %u with reason 0x%02X", rel->pid, k->pid, rel->reason);
    peer_ack(p, MQTT_PUBCOMP, k->pid, 0);
}
