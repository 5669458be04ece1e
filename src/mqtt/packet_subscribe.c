/* packet_subscribe.c - SUBSCRIBE (3.8), SUBACK (3.9), UNSUBSCRIBE (3.10), UNSUBACK (3.11). */
#include "mqtt/packet_parts.h"

#include "base/limits_use.h"

#include "mqtt/topic.h"

/* 3.8.3.1 */
static void read_options(struct parts *p, enum mqtt_version version, struct mqtt_filter *f)
{
    uint8_t options = part_u8(p, "subscription options");
    f->qos = options & 3;
    if (version < MQTT_5) {
        if (options > 2) /* 3.1.1 [MQTT-3.8.3-4] */
            PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "the requested QoS byte is 0x%02x", options);
        return;
    }
    f->no_local = options & 4;
    f->retain_as_published = options & 8;
    f->retain_handling = options >> 4 & 3;
    if (options & 0xc0) /* [MQTT-3.8.3-5] */
        PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "reserved subscription options are set (0x%02x)",
                  options);
    if (f->qos == 3)
        PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "the maximum QoS of a subscription is 3");
    if (f->retain_handling == 3)
        PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "the retain handling of a subscription is 3");
    if (f->no_local && topic_filter_shared(f->filter)) /* [MQTT-3.8.3-4] */
        PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "no local on a shared subscription");
}

static void read_filter(struct parts *p, const struct mqtt_limits *limits, struct mqtt_filter *f)
{
    f->filter = part_binary(p, "topic filter");
    enum topic_flaw flaw = topic_filter_check(f->filter, limits->topic_bytes, limits->topic_levels);
    part_tell_flaw(flaw);
    if (flaw == TOPIC_NOT_UTF8)
        PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "the topic filter %s", topic_flaw_text(flaw));
    /* The other flaws concern this filter alone: its own reason in the SUBACK. */
    f->refused = flaw == TOPIC_FINE ? 0 : MQTT_FILTER_INVALID;
}

static enum code decode(enum mqtt_type type, enum mqtt_version version, struct bytes body,
                        const struct mqtt_limits *limits, struct arena *arena, struct mqtt_subscribe *out,
                        struct fault *why)
{
    struct parts p = parts_of(body, mqtt_type_name(type), why);
    out->filters = NULL;
    out->count = 0;
    out->packet_id = part_packet_id(&p);
    part_props(&p, version, type, limits, &out->props);
    if (!p.code && part_left(&p) == 0) /* 3.8.3, 3.10.3; 3.1.1 [MQTT-3.8.3-3], [MQTT-3.10.3-2] */
        PART_FLAW(&p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "no topic filter");
    for (struct mqtt_filter **tail = &out->filters; part_left(&p) && !p.code;) {
        struct mqtt_filter *f = arena_zero(arena, sizeof *f);
        if (!f) {
            PART_FLAW(&p, CODE_NOMEM, MQTT_QUOTA_EXCEEDED, "no memory for topic filter %u", out->count + 1);
            break;
        }
        read_filter(&p, limits, f);
        if (type == MQTT_SUBSCRIBE) {
            read_options(&p, version, f);
            if (out->count >= limits->filters) {
                limits_refused(LIMIT_FILTERS_PER_PACKET);
                f->refused = MQTT_QUOTA_EXCEEDED;
            }
        }
        *tail = f;
        tail = &f->next;
        limits_saw(LIMIT_FILTERS_PER_PACKET, ++out->count);
    }
    return part_end(&p);
}

enum code mqtt_decode_subscribe(enum mqtt_version version, struct bytes body,
                                const struct mqtt_limits *limits, struct arena *arena,
                                struct mqtt_subscribe *out, struct fault *why)
{
    return decode(MQTT_SUBSCRIBE, version, body, limits, arena, out, why);
}

enum code mqtt_decode_unsubscribe(enum mqtt_version version, struct bytes body,
                                  const struct mqtt_limits *limits, struct arena *arena,
                                  struct mqtt_subscribe *out, struct fault *why)
{
    return decode(MQTT_UNSUBSCRIBE, version, body, limits, arena, out, why);
}

static bool reason_known(enum mqtt_version version, enum mqtt_type type, uint8_t reason)
{
    if (version == MQTT_5)
        return mqtt_reason_allowed(type, reason);
    return reason <= 2 || reason == 0x80; /* 3.1.1 [MQTT-3.9.3-2] */
}

enum code mqtt_decode_suback(enum mqtt_version version, uint8_t first, struct bytes body,
                             const struct mqtt_limits *limits, struct mqtt_suback *out, struct fault *why)
{
    enum mqtt_type type = first >> 4;
    FG_ASSERT(type == MQTT_SUBACK || type == MQTT_UNSUBACK);
    struct parts p = parts_of(body, mqtt_type_name(type), why);
    out->packet_id = part_packet_id(&p);
    out->reasons = BYTES_NONE;
    part_props(&p, version, type, limits, &out->props);
    if (version < MQTT_5 && type == MQTT_UNSUBACK)
        return part_end(&p);
    out->reasons = wire_bytes(&p.w, part_left(&p));
    if (!p.code && out->reasons.len == 0)
        PART_FLAW(&p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "no reason code");
    for (size_t i = 0; i < out->reasons.len && !p.code; i++)
        if (!reason_known(version, type, out->reasons.at[i]))
            PART_FLAW(&p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR,
                      "the reason code 0x%02x is not one of this packet's", out->reasons.at[i]);
    return part_end(&p);
}
