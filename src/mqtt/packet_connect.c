/* packet_connect.c - the begin and the end of a connection: CONNECT (3.1), CONNACK (3.2), DISCONNECT (3.14),
 * AUTH (3.15). */
#include "mqtt/packet_parts.h"

enum { RESERVED = 0x01, CLEAN = 0x02, WILL = 0x04, WILL_RETAIN = 0x20, PASSWORD = 0x40, USER = 0x80 };

/* 3.1.2.1, 3.1.2.2; 3.1 had another name. */
static void read_protocol(struct parts *p, struct mqtt_connect *out)
{
    struct bytes name = part_binary(p, "protocol name");
    uint8_t level = part_u8(p, "protocol level");
    if (p->code)
        return;
    out->version = level >= 5 ? MQTT_5 : MQTT_3_1_1;
    if (bytes_is(name, "MQTT") && (level == 4 || level == 5))
        return;
    if (bytes_is(name, "MQIsdp") && level == 3) {
        out->version = MQTT_3_1;
        return;
    }
    char said[40];
    PART_FLAW(p, CODE_UNSUPPORTED, MQTT_UNSUPPORTED_VERSION,
              "the protocol is \"%s\" level %u; spoken are MQTT 3.1, "
              "3.1.1 and 5.0",
              bytes_escape(name, said, sizeof said), level);
}

static void read_flags(struct parts *p, struct mqtt_connect *out)
{
    uint8_t flags = part_u8(p, "connect flags");
    out->clean_start = flags & CLEAN;
    out->has_will = flags & WILL;
    out->will_qos = flags >> 3 & 3;
    out->will_retain = flags & WILL_RETAIN;
    out->has_password = flags & PASSWORD;
    out->has_user = flags & USER;
    if (flags & RESERVED) /* [MQTT-3.1.2-3] */
        PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "the reserved connect flag is set");
    if (out->will_qos == 3) /* [MQTT-3.1.2-12] */
        PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "the will's QoS is 3");
    if (!out->has_will && (out->will_qos || out->will_retain)) /* [MQTT-3.1.2-11], [MQTT-3.1.2-13] */
        PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "QoS or retain of a will, but no will");
    if (out->version < MQTT_5 && out->has_password && !out->has_user) /* 3.1.1 [MQTT-3.1.2-22] */
        PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "a password, but no user name");
}

static void read_client_id(struct parts *p, struct mqtt_connect *out)
{
    out->client_id = part_text(p, "client identifier");
    /* 3.1.1 [MQTT-3.1.3-8]; 3.1 asked for at least one character whatever the flag. */
    bool may_be_empty = out->version == MQTT_5 || (out->version == MQTT_3_1_1 && out->clean_start);
    if (!p->code && out->client_id.len == 0 && !may_be_empty)
        PART_FLAW(p, CODE_PROTOCOL, MQTT_CLIENT_ID_INVALID,
                  "an empty client identifier without a clean session");
}

static void read_will(struct parts *p, const struct mqtt_limits *limits, struct mqtt_connect *out)
{
    /* L-PROP counts per packet, so the will gets what the CONNECT's own list left. */
    struct mqtt_limits rest = *limits;
    rest.user_props -= out->props.user_count;
    rest.prop_bytes -= (uint32_t)out->props.raw.len;
    part_props(p, out->version, MQTT_WILL, &rest, &out->will_props);
    out->will_topic = part_binary(p, "will topic");
    part_check_topic(p, "will topic", out->will_topic, limits);
    out->will_payload = part_binary(p, "will payload");
}

enum code mqtt_decode_connect(struct bytes body, const struct mqtt_limits *limits, struct mqtt_connect *out,
                              struct fault *why)
{
    *out = (struct mqtt_connect){
        .version = MQTT_3_1_1, .props = mqtt_props_none, .will_props = mqtt_props_none};
    struct parts p = parts_of(body, "CONNECT", why);
    read_protocol(&p, out);
    read_flags(&p, out);
    out->keep_alive_s = part_u16(&p, "keep alive");
    if (!p.code)
        part_props(&p, out->version, MQTT_CONNECT, limits, &out->props);
    read_client_id(&p, out);
    if (!p.code && out->has_will)
        read_will(&p, limits, out);
    if (out->has_user)
        out->user = part_text(&p, "user name");
    if (out->has_password)
        out->password = part_binary(&p, "password");
    return part_end(&p);
}

enum code mqtt_decode_connack(enum mqtt_version version, struct bytes body, const struct mqtt_limits *limits,
                              struct mqtt_connack *out, struct fault *why)
{
    struct parts p = parts_of(body, "CONNACK", why);
    uint8_t flags = part_u8(&p, "acknowledge flags");
    out->reason = part_u8(&p, "reason code");
    out->session_present = version != MQTT_3_1 && (flags & 1);
    if (version != MQTT_3_1 && (flags & 0xfe)) /* [MQTT-3.2.2-1]; the byte meant nothing in 3.1 */
        PART_FLAW(&p, CODE_MALFORMED, MQTT_MALFORMED, "reserved acknowledge flags are set (0x%02x)", flags);
    if (version == MQTT_5)
        part_check_reason(&p, MQTT_CONNACK, out->reason);
    else if (out->reason > 5)
        PART_FLAW(&p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "there is no return code %u", out->reason);
    if (out->session_present && out->reason != 0) /* [MQTT-3.2.2-6] */
        PART_FLAW(&p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "a session is present, yet the connection refused");
    part_props(&p, version, MQTT_CONNACK, limits, &out->props);
    return part_end(&p);
}

/* The reason and the properties may be left out from behind (3.14.2.1, 3.14.2.2.1). */
enum code mqtt_decode_disconnect(enum mqtt_version version, struct bytes body,
                                 const struct mqtt_limits *limits, struct mqtt_disconnect *out,
                                 struct fault *why)
{
    struct parts p = parts_of(body, "DISCONNECT", why);
    out->reason = MQTT_SUCCESS;
    out->props = mqtt_props_none;
    if (version == MQTT_5 && part_left(&p)) {
        out->reason = part_u8(&p, "reason code");
        part_check_reason(&p, MQTT_DISCONNECT, out->reason);
        if (part_left(&p))
            part_props(&p, version, MQTT_DISCONNECT, limits, &out->props);
    }
    return part_end(&p);
}

/* Both may be left out together (3.15.2.1), never one of them. */
enum code mqtt_decode_auth(struct bytes body, const struct mqtt_limits *limits, struct mqtt_disconnect *out,
                           struct fault *why)
{
    struct parts p = parts_of(body, "AUTH", why);
    out->reason = MQTT_SUCCESS;
    out->props = mqtt_props_none;
    if (part_left(&p)) {
        out->reason = part_u8(&p, "reason code");
        part_check_reason(&p, MQTT_AUTH, out->reason);
        part_props(&p, MQTT_5, MQTT_AUTH, limits, &out->props);
    }
    return part_end(&p);
}
