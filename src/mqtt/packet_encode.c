/* packet_encode.c - packets to bytes. Every encoder counts first and asks the buffer once, so that a packet
 * is there as a whole or not at all. What cannot be encoded (a string over 65,535 bytes) marks the buffer
 * bad. */
#include "mqtt/packet_parts.h"

enum { BODY_MAX = 268435455, TEXT_MAX = 65535 };

static size_t varint_size(size_t v)
{
    return v < 128 ? 1 : v < 16384 ? 2 : v < 2097152 ? 3 : 4;
}

static uint8_t *put_varint(uint8_t *to, uint32_t v)
{
    for (; v > 0x7f; v >>= 7)
        *to++ = (uint8_t)(v | 0x80);
    *to++ = (uint8_t)v;
    return to;
}

static uint8_t *put_u8(uint8_t *to, uint8_t v)
{
    *to = v;
    return to + 1;
}

static uint8_t *put_u16(uint8_t *to, uint16_t v)
{
    to[0] = (uint8_t)(v >> 8);
    to[1] = (uint8_t)v;
    return to + 2;
}

static uint8_t *put_raw(uint8_t *to, struct bytes v)
{
    if (v.len)
        memcpy(to, v.at, v.len);
    return to + v.len;
}

static uint8_t *put_text(uint8_t *to, struct bytes v)
{
    return put_raw(put_u16(to, (uint16_t)v.len), v);
}

/* Counts what a body takes; `bad` once a piece cannot be. */
struct count {
    size_t n;
    bool bad;
};

static void count_raw(struct count *c, size_t n)
{
    if (n > BODY_MAX || c->n + n > BODY_MAX)
        c->bad = true;
    else
        c->n += n;
}

static void count_text(struct count *c, size_t n)
{
    if (n > TEXT_MAX)
        c->bad = true;
    count_raw(c, 2 + n);
}

static void count_props(struct count *c, enum mqtt_version version, size_t n)
{
    if (version < MQTT_5)
        return;
    count_raw(c, varint_size(n));
    count_raw(c, n);
}

static uint8_t *put_props(uint8_t *to, enum mqtt_version version, struct bytes props)
{
    if (version < MQTT_5)
        return to;
    return put_raw(put_varint(to, (uint32_t)props.len), props);
}

/* Room for the packet without its last `later` bytes, its fixed header written; NULL with out->bad set. */
static uint8_t *start(struct buf *out, uint8_t first, struct count body, size_t later)
{
    if (body.bad) {
        out->bad = true;
        return NULL;
    }
    uint8_t *to = buf_grow(out, 1 + varint_size(body.n) + body.n - later);
    return to ? put_varint(put_u8(to, first), (uint32_t)body.n) : NULL;
}

/* ---- properties ---- */

static uint8_t *put_prop(struct buf *props, enum mqtt_prop id, size_t len, bool fits)
{
    if (!fits) {
        props->bad = true;
        return NULL;
    }
    uint8_t *to = buf_grow(props, 1 + len);
    return to ? put_u8(to, (uint8_t)id) : NULL;
}

void mqtt_put_u8(struct buf *props, enum mqtt_prop id, uint8_t v)
{
    uint8_t *to = put_prop(props, id, 1, true);
    if (to)
        put_u8(to, v);
}

void mqtt_put_u16(struct buf *props, enum mqtt_prop id, uint16_t v)
{
    uint8_t *to = put_prop(props, id, 2, true);
    if (to)
        put_u16(to, v);
}

void mqtt_put_u32(struct buf *props, enum mqtt_prop id, uint32_t v)
{
    uint8_t *to = put_prop(props, id, 4, true);
    if (to)
        put_u16(put_u16(to, (uint16_t)(v >> 16)), (uint16_t)v);
}

void mqtt_put_varint(struct buf *props, enum mqtt_prop id, uint32_t v)
{
    uint8_t *to = put_prop(props, id, varint_size(v), v <= BODY_MAX);
    if (to)
        put_varint(to, v);
}

void mqtt_put_bytes(struct buf *props, enum mqtt_prop id, struct bytes v)
{
    uint8_t *to = put_prop(props, id, 2 + v.len, v.len <= TEXT_MAX);
    if (to)
        put_text(to, v);
}

void mqtt_put_user(struct buf *props, struct bytes name, struct bytes value)
{
    bool fits = name.len <= TEXT_MAX && value.len <= TEXT_MAX;
    uint8_t *to = put_prop(props, MQTT_PROP_USER, 4 + name.len + value.len, fits);
    if (to)
        put_text(put_text(to, name), value);
}

/* ---- connections ---- */

static uint8_t connect_flags(const struct mqtt_connect_out *c)
{
    unsigned will = c->has_will ? 0x04u | (unsigned)c->will_qos << 3 | (unsigned)c->will_retain << 5 : 0;
    return (uint8_t)(will | (unsigned)c->clean_start << 1 | (unsigned)c->has_password << 6 |
                     (unsigned)c->has_user << 7);
}

void mqtt_encode_connect(struct buf *out, const struct mqtt_connect_out *c)
{
    struct bytes protocol = c->version == MQTT_3_1 ? BYTES_LIT("MQIsdp") : BYTES_LIT("MQTT");
    struct count n = {0, false};
    count_text(&n, protocol.len);
    count_raw(&n, 4);
    count_props(&n, c->version, c->props.len);
    count_text(&n, c->client_id.len);
    if (c->has_will) {
        count_props(&n, c->version, c->will_props.len);
        count_text(&n, c->will_topic.len);
        count_text(&n, c->will_payload.len);
    }
    if (c->has_user)
        count_text(&n, c->user.len);
    if (c->has_password)
        count_text(&n, c->password.len);

    uint8_t *to = start(out, MQTT_CONNECT << 4, n, 0);
    if (!to)
        return;
    to = put_text(to, protocol);
    to = put_u8(to, (uint8_t)c->version);
    to = put_u8(to, connect_flags(c));
    to = put_u16(to, c->keep_alive_s);
    to = put_props(to, c->version, c->props);
    to = put_text(to, c->client_id);
    if (c->has_will) {
        to = put_props(to, c->version, c->will_props);
        to = put_text(to, c->will_topic);
        to = put_text(to, c->will_payload);
    }
    if (c->has_user)
        to = put_text(to, c->user);
    if (c->has_password)
        put_text(to, c->password);
}

/* 3.1.1 table 3.1: what comes nearest. */
static uint8_t return_code(uint8_t reason)
{
    switch (reason) {
    case MQTT_SUCCESS: return 0;
    case MQTT_UNSUPPORTED_VERSION: return 1;
    case MQTT_CLIENT_ID_INVALID: return 2;
    case MQTT_BAD_USER_OR_PASSWORD: return 4;
    case MQTT_NOT_AUTHORIZED:
    case MQTT_BAD_AUTH_METHOD:
    case MQTT_BANNED: return 5;
    default: return 3;
    }
}

void mqtt_encode_connack(struct buf *out, enum mqtt_version version, bool session_present, uint8_t reason,
                         struct bytes props)
{
    struct count n = {2, false};
    count_props(&n, version, props.len);
    uint8_t *to = start(out, MQTT_CONNACK << 4, n, 0);
    if (!to)
        return;
    /* [MQTT-3.2.2-6]; 3.1 did not know the flag. */
    to = put_u8(to, session_present && reason == MQTT_SUCCESS && version != MQTT_3_1);
    to = put_u8(to, version < MQTT_5 ? return_code(reason) : reason);
    put_props(to, version, props);
}

/* Type, packet identifier if there is one, reason, properties: what stands at the end is left out when it
 * says nothing (3.4.2.1, 3.14.2.1). */
static void put_short(struct buf *out, uint8_t first, uint16_t packet_id, uint8_t reason, struct bytes props)
{
    struct count n = {packet_id ? 2 : 0, false};
    if (reason || props.len)
        count_raw(&n, 1);
    if (props.len)
        count_props(&n, MQTT_5, props.len);
    uint8_t *to = start(out, first, n, 0);
    if (!to)
        return;
    if (packet_id)
        to = put_u16(to, packet_id);
    if (reason || props.len)
        to = put_u8(to, reason);
    if (props.len)
        put_props(to, MQTT_5, props);
}

void mqtt_encode_disconnect(struct buf *out, enum mqtt_version version, uint8_t reason, struct bytes props)
{
    bool v5 = version == MQTT_5;
    put_short(out, MQTT_DISCONNECT << 4, 0, v5 ? reason : 0, v5 ? props : BYTES_NONE);
}

void mqtt_encode_auth(struct buf *out, uint8_t reason, struct bytes props)
{
    put_short(out, MQTT_AUTH << 4, 0, reason, props);
}

void mqtt_encode_empty(struct buf *out, enum mqtt_type type)
{
    put_short(out, (uint8_t)(type << 4), 0, 0, BYTES_NONE);
}

/* ---- messages ---- */

static struct count publish_body(enum mqtt_version version, uint8_t qos, size_t topic_len, size_t props_len,
                                 size_t payload_len)
{
    struct count n = {0, false};
    count_text(&n, topic_len);
    count_raw(&n, qos ? 2 : 0);
    count_props(&n, version, props_len);
    count_raw(&n, payload_len);
    return n;
}

size_t mqtt_publish_size(enum mqtt_version version, uint8_t qos, size_t topic_len, size_t props_len,
                         size_t payload_len)
{
    struct count n = publish_body(version, qos, topic_len, props_len, payload_len);
    return n.bad ? 0 : 1 + varint_size(n.n) + n.n;
}

void mqtt_encode_publish_head(struct buf *out, enum mqtt_version version, uint8_t qos, bool dup, bool retain,
                              struct bytes topic, uint16_t packet_id, struct bytes props_a,
                              struct bytes props_b, size_t payload_len)
{
    size_t props_len = props_a.len + props_b.len;
    struct count n = publish_body(version, qos, topic.len, props_len, payload_len);
    unsigned flags = (unsigned)(dup && qos) << 3 | (unsigned)qos << 1 | (unsigned)retain;
    uint8_t *to = start(out, (uint8_t)(MQTT_PUBLISH << 4 | flags), n, payload_len);
    if (!to)
        return;
    to = put_text(to, topic);
    if (qos)
        to = put_u16(to, packet_id);
    if (version == MQTT_5)
        put_raw(put_raw(put_varint(to, (uint32_t)props_len), props_a), props_b);
}

void mqtt_encode_ack(struct buf *out, enum mqtt_version version, enum mqtt_type type, uint16_t packet_id,
                     uint8_t reason, struct bytes props)
{
    bool v5 = version == MQTT_5;
    FG_ASSERT(packet_id != 0);
    put_short(out, (uint8_t)(type << 4 | (type == MQTT_PUBREL ? 2 : 0)), packet_id, v5 ? reason : 0,
              v5 ? props : BYTES_NONE);
}

/* ---- subscriptions ---- */

static uint8_t filter_options(enum mqtt_version version, const struct mqtt_filter *f)
{
    if (version < MQTT_5)
        return f->qos;
    return (uint8_t)(f->qos | (unsigned)f->no_local << 2 | (unsigned)f->retain_as_published << 3 |
                     (unsigned)f->retain_handling << 4);
}

static void put_filters(struct buf *out, enum mqtt_version version, enum mqtt_type type, uint16_t packet_id,
                        const struct mqtt_filter *filters, struct bytes props)
{
    bool options = type == MQTT_SUBSCRIBE;
    struct count n = {2, false};
    count_props(&n, version, props.len);
    for (const struct mqtt_filter *f = filters; f; f = f->next) {
        count_text(&n, f->filter.len);
        count_raw(&n, options);
    }
    uint8_t *to = start(out, (uint8_t)(type << 4 | 2), n, 0);
    if (!to)
        return;
    to = put_props(put_u16(to, packet_id), version, props);
    for (const struct mqtt_filter *f = filters; f; f = f->next) {
        to = put_text(to, f->filter);
        if (options)
            to = put_u8(to, filter_options(version, f));
    }
}

void mqtt_encode_subscribe(struct buf *out, enum mqtt_version version, uint16_t packet_id,
                           const struct mqtt_filter *filters, struct bytes props)
{
    put_filters(out, version, MQTT_SUBSCRIBE, packet_id, filters, props);
}

void mqtt_encode_unsubscribe(struct buf *out, enum mqtt_version version, uint16_t packet_id,
                             const struct mqtt_filter *filters, struct bytes props)
{
    put_filters(out, version, MQTT_UNSUBSCRIBE, packet_id, filters, props);
}

void mqtt_encode_suback(struct buf *out, enum mqtt_version version, enum mqtt_type type, uint16_t packet_id,
                        const uint8_t *reasons, size_t count, struct bytes props)
{
    if (version < MQTT_5 && type == MQTT_UNSUBACK)
        count = 0;
    struct count n = {2, false};
    count_props(&n, version, props.len);
    count_raw(&n, count);
    uint8_t *to = start(out, (uint8_t)(type << 4), n, 0);
    if (!to)
        return;
    to = put_props(put_u16(to, packet_id), version, props);
    for (size_t i = 0; i < count; i++)
        to = put_u8(to, version < MQTT_5 && reasons[i] >= 0x80 ? 0x80 : reasons[i]);
}
