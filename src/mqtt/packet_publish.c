/* packet_publish.c - PUBLISH (3.3) and its acknowledgements (3.4 to 3.7): here nanoseconds count. */
#include "mqtt/packet_parts.h"

#include "mqtt/topic.h"

static void check_topic(struct parts *p, const struct mqtt_limits *limits, const struct mqtt_publish *m)
{
    if (m->topic.len == 0 && mqtt_props_has(&m->props, MQTT_PROP_TOPIC_ALIAS))
        return;
    if (m->topic.len == 0 && !p->code) {
        /* 3.3.2.1 */
        PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "the topic is empty, and there is no topic alias");
        return;
    }
    part_check_topic(p, "topic", m->topic, limits);
}

enum code mqtt_decode_publish(enum mqtt_version version, uint8_t first, struct bytes body,
                              const struct mqtt_limits *limits, struct mqtt_publish *out, struct fault *why)
{
    struct parts p = parts_of(body, "PUBLISH", why);
    out->qos = first >> 1 & 3;
    out->dup = first & 8;
    out->retain = first & 1;
    if (out->qos == 3) /* [MQTT-3.3.1-4] */
        PART_FLAW(&p, CODE_MALFORMED, MQTT_MALFORMED, "the QoS is 3");
    if (out->dup && out->qos == 0) /* [MQTT-3.3.1-2] */
        PART_FLAW(&p, CODE_MALFORMED, MQTT_MALFORMED, "marked as a duplicate at QoS 0");
    out->topic = part_binary(&p, "topic");
    out->packet_id = out->qos ? part_packet_id(&p) : 0;
    part_props(&p, version, MQTT_PUBLISH, limits, &out->props);
    check_topic(&p, limits, out);
    if (p.code)
        return p.code;
    out->payload = bytes_of(p.w.at, part_left(&p));
    return CODE_OK;
}

enum code mqtt_decode_ack(enum mqtt_version version, uint8_t first, struct bytes body,
                          const struct mqtt_limits *limits, struct mqtt_ack *out, struct fault *why)
{
    enum mqtt_type type = first >> 4;
    FG_ASSERT(type >= MQTT_PUBACK && type <= MQTT_PUBCOMP);
    struct parts p = parts_of(body, mqtt_type_name(type), why);
    out->packet_id = part_packet_id(&p);
    out->reason = MQTT_SUCCESS;
    out->props = mqtt_props_none;
    if (version == MQTT_5 && part_left(&p)) {
        out->reason = part_u8(&p, "reason code");
        part_check_reason(&p, type, out->reason);
        if (part_left(&p))
            part_props(&p, version, type, limits, &out->props);
    }
    return part_end(&p);
}
