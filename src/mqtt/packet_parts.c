#include "mqtt/packet_parts.h"

#include "base/limits_use.h"

#include "mqtt/topic.h"

#include <stdarg.h>
#include <stdio.h>

/* Not in the file that copies it into every PUBLISH: there the compiler sees that it is nearly all zero and
 * fills with `rep stos`, which costs as much as the rest of the decoder. */
const struct mqtt_props mqtt_props_none = {
    .receive_max = 65535,
    .request_problem = 1,
    .max_qos = 2,
    .retain_available = 1,
    .wildcard_available = 1,
    .sub_id_available = 1,
    .shared_available = 1,
};

void part_flaw(struct parts *p, enum code code, uint8_t reason, const char *where, const char *fmt, ...)
{
    if (p->code)
        return;
    p->code = code;
    p->w.bad = true;
    if (!p->why)
        return;
    char said[sizeof p->why->text];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(said, sizeof said, fmt, ap);
    va_end(ap);
    (void)fault_set(p->why, code, 0, wire_pos(&p->w), where, "%s: %s", p->packet, said);
    p->why->mqtt_reason = reason;
}

void part_short(struct parts *p, const char *field)
{
    PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "ends inside the %s", field);
}

enum code part_end(struct parts *p)
{
    if (part_left(p))
        PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "%zu bytes too many at the end", part_left(p));
    return p->code;
}

struct bytes part_text(struct parts *p, const char *field)
{
    struct bytes v = part_binary(p, field);
    if (!utf8_valid(v, false)) {
        PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "the %s is not UTF-8, or has a zero character", field);
        return BYTES_NONE;
    }
    return v;
}

uint32_t part_varint(struct parts *p, const char *field)
{
    uint32_t v = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t c = part_u8(p, field);
        if (p->code)
            return 0;
        v |= (uint32_t)(c & 0x7f) << shift;
        if (c & 0x80)
            continue;
        if (c == 0 && shift > 0)
            break;
        return v;
    }
    PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED, "the %s is not a variable byte integer in its shortest form",
              field);
    return 0;
}

uint16_t part_packet_id(struct parts *p)
{
    uint16_t id = part_u16(p, "packet identifier");
    if (id == 0)
        PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "the packet identifier is 0");
    return id;
}

void part_tell_flaw(enum topic_flaw flaw)
{
    if (flaw == TOPIC_TOO_LONG)
        limits_refused(LIMIT_TOPIC_BYTES);
    else if (flaw == TOPIC_TOO_DEEP)
        limits_refused(LIMIT_TOPIC_LEVELS);
}

void part_check_topic(struct parts *p, const char *field, struct bytes topic,
                      const struct mqtt_limits *limits)
{
    if (p->code)
        return;
    enum topic_flaw flaw = topic_name_check(topic, limits->topic_bytes, limits->topic_levels);
    part_tell_flaw(flaw);
    if (flaw == TOPIC_FINE)
        return;
    enum code code = CODE_PROTOCOL;
    if (flaw == TOPIC_NOT_UTF8)
        code = CODE_MALFORMED;
    else if (flaw == TOPIC_TOO_LONG || flaw == TOPIC_TOO_DEEP)
        code = CODE_LIMIT;
    PART_FLAW(p, code, code == CODE_MALFORMED ? MQTT_MALFORMED : MQTT_TOPIC_INVALID, "the %s %s", field,
              topic_flaw_text(flaw));
}
