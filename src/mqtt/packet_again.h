/* packet_again.h - decodes a packet of any type and encodes what was understood, for tests and the fuzz
 * target: a packet must come back as it was. Test code. */
#pragma once

#include "mqtt/packet.h"

static enum code again_connect(struct bytes body, const struct mqtt_limits *limits, struct buf *out,
                               struct fault *why)
{
    struct mqtt_connect c;
    enum code code = mqtt_decode_connect(body, limits, &c, why);
    if (code)
        return code;
    struct mqtt_connect_out o = {
        .version = c.version,
        .clean_start = c.clean_start,
        .has_will = c.has_will,
        .has_user = c.has_user,
        .has_password = c.has_password,
        .will_retain = c.will_retain,
        .will_qos = c.will_qos,
        .keep_alive_s = c.keep_alive_s,
        .client_id = c.client_id,
        .user = c.user,
        .password = c.password,
        .will_topic = c.will_topic,
        .will_payload = c.will_payload,
        .props = c.props.raw,
        .will_props = c.will_props.raw,
    };
    mqtt_encode_connect(out, &o);
    return CODE_OK;
}

static enum code again_connack(enum mqtt_version version, struct bytes body, const struct mqtt_limits *limits,
                               struct buf *out, struct fault *why)
{
    /* What the encoder takes for a 3.x return code. */
    static const uint8_t reasons[] = {0, 0x84, 0x85, 0x88, 0x86, 0x87};
    struct mqtt_connack c;
    enum code code = mqtt_decode_connack(version, body, limits, &c, why);
    if (!code)
        mqtt_encode_connack(out, version, c.session_present, version < MQTT_5 ? reasons[c.reason] : c.reason,
                            c.props.raw);
    return code;
}

static enum code again_publish(enum mqtt_version version, uint8_t first, struct bytes body,
                               const struct mqtt_limits *limits, struct buf *out, struct fault *why)
{
    struct mqtt_publish m;
    enum code code = mqtt_decode_publish(version, first, body, limits, &m, why);
    if (code)
        return code;
    size_t before = buf_size(out);
    mqtt_encode_publish_head(out, version, m.qos, m.dup, m.retain, m.topic, m.packet_id, m.props.raw,
                             BYTES_NONE, m.payload.len);
    buf_add_bytes(out, m.payload);
    if (!out->bad)
        FG_ASSERT(buf_size(out) - before ==
                  mqtt_publish_size(version, m.qos, m.topic.len, m.props.raw.len, m.payload.len));
    return CODE_OK;
}

static enum code again_subscribe(enum mqtt_version version, uint8_t first, struct bytes body,
                                 const struct mqtt_limits *limits, struct buf *out, struct fault *why)
{
    uint8_t lent[512];
    struct arena arena;
    struct mqtt_subscribe s;
    enum code code;
    arena_init(&arena, lent, sizeof lent, 1024 * 1024);
    if (first >> 4 == MQTT_SUBSCRIBE) {
        code = mqtt_decode_subscribe(version, body, limits, &arena, &s, why);
        if (!code)
            mqtt_encode_subscribe(out, version, s.packet_id, s.filters, s.props.raw);
    } else {
        code = mqtt_decode_unsubscribe(version, body, limits, &arena, &s, why);
        if (!code)
            mqtt_encode_unsubscribe(out, version, s.packet_id, s.filters, s.props.raw);
    }
    arena_clear(&arena);
    return code;
}

static enum code again_suback(enum mqtt_version version, uint8_t first, struct bytes body,
                              const struct mqtt_limits *limits, struct buf *out, struct fault *why)
{
    struct mqtt_suback s;
    enum code code = mqtt_decode_suback(version, first, body, limits, &s, why);
    if (!code)
        mqtt_encode_suback(out, version, first >> 4, s.packet_id, s.reasons.at, s.reasons.len, s.props.raw);
    return code;
}

static enum code again_ack(enum mqtt_version version, uint8_t first, struct bytes body,
                           const struct mqtt_limits *limits, struct buf *out, struct fault *why)
{
    struct mqtt_ack a;
    enum code code = mqtt_decode_ack(version, first, body, limits, &a, why);
    if (!code)
        mqtt_encode_ack(out, version, first >> 4, a.packet_id, a.reason, a.props.raw);
    return code;
}

static enum code again_disconnect(enum mqtt_version version, struct bytes body,
                                  const struct mqtt_limits *limits, struct buf *out, struct fault *why)
{
    struct mqtt_disconnect d;
    enum code code = mqtt_decode_disconnect(version, body, limits, &d, why);
    if (!code)
        mqtt_encode_disconnect(out, version, d.reason, d.props.raw);
    return code;
}

/* Nothing of ours sends AUTH, so there is no encoder to compare with: the bytes are handed through. */
static enum code again_auth(uint8_t first, struct bytes body, const struct mqtt_limits *limits,
                            struct buf *out, struct fault *why)
{
    struct mqtt_disconnect d;
    enum code code = mqtt_decode_auth(body, limits, &d, why);
    if (!code) {
        buf_u8(out, first);
        buf_varint(out, body.len);
        buf_add_bytes(out, body);
    }
    return code;
}

static inline enum code packet_again(enum mqtt_version version, uint8_t first, struct bytes body,
                                     const struct mqtt_limits *limits, struct buf *out, struct fault *why)
{
    switch (first >> 4) {
    case MQTT_CONNECT: return again_connect(body, limits, out, why);
    case MQTT_CONNACK: return again_connack(version, body, limits, out, why);
    case MQTT_PUBLISH: return again_publish(version, first, body, limits, out, why);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP: return again_ack(version, first, body, limits, out, why);
    case MQTT_SUBSCRIBE:
    case MQTT_UNSUBSCRIBE: return again_subscribe(version, first, body, limits, out, why);
    case MQTT_SUBACK:
    case MQTT_UNSUBACK: return again_suback(version, first, body, limits, out, why);
    case MQTT_DISCONNECT: return again_disconnect(version, body, limits, out, why);
    case MQTT_AUTH: return again_auth(first, body, limits, out, why);
    default:
        FG_ASSERT(body.len == 0); /* mqtt_frame saw to it */
        mqtt_encode_empty(out, first >> 4);
        return CODE_OK;
    }
}
