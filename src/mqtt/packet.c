/* packet.c - the fixed header (section 2.1): where a packet ends, before anything is known of its inside. */
#include "mqtt/packet_parts.h"

/* 2.1.3: the flags each type must have. PUBLISH uses its own. */
static const uint8_t flags_of[16] = {[MQTT_PUBREL] = 2, [MQTT_SUBSCRIBE] = 2, [MQTT_UNSUBSCRIBE] = 2};

static bool first_valid(uint8_t first)
{
    uint8_t type = first >> 4;
    if (type == MQTT_PUBLISH)
        return (first & 0x06) != 0x06; /* [MQTT-3.3.1-4] */
    return type != 0 && (first & 0x0f) == flags_of[type];
}

static enum code malformed(struct fault *why, uint64_t at, const char *what, uint8_t first)
{
    enum code code = FAIL(why, CODE_MALFORMED, at, "%s: %s (first byte 0x%02x)", mqtt_type_name(first >> 4),
                          what, first);
    if (why)
        why->mqtt_reason = MQTT_MALFORMED;
    return code;
}

static enum code frame(uint8_t first, struct bytes in, uint32_t packet_bytes, struct mqtt_frame *out, struct fault *why)
{
    *out = (struct mqtt_frame){0, BYTES_NONE, 0};
    if (!first_valid(first))
        return malformed(why, 0, "reserved type or flags", first);

    uint32_t left = 0;
    size_t n = 1;
    for (;; n++) {
        if (n == in.len)
            return CODE_MORE;
        uint8_t c = in.at[n];
        left |= (uint32_t)(c & 0x7f) << (7 * (n - 1));
        if (!(c & 0x80)) {
            if (c == 0 && n > 1)
                return malformed(why, n, "remaining length not in its shortest form", first);
            break;
        }
        if (n == 4)
            return malformed(why, n, "remaining length over four bytes", first);
    }
    n++;
    if (left && (first >> 4 == MQTT_PINGREQ || first >> 4 == MQTT_PINGRESP)) /* 3.12, 3.13 */
        return malformed(why, 1, "has a body", first);
    out->first = first;
    out->size = n + left;
    if (out->size > packet_bytes) {
        enum code code = FAIL(why, CODE_LIMIT, 1, "%s: %zu bytes; the limit is %u",
                              mqtt_type_name(first >> 4), out->size, packet_bytes);
        if (why)
            why->mqtt_reason = MQTT_PACKET_TOO_LARGE;
        return code;
    }
    if (in.len < out->size)
        return CODE_MORE;
    out->body = bytes_of(in.at + n, left);
    return CODE_OK;
}

enum code mqtt_frame(struct bytes in, uint32_t packet_bytes, struct mqtt_frame *out, struct fault *why)
{
    if (in.len)
        return frame(in.at[0], in, packet_bytes, out, why);
    *out = (struct mqtt_frame){0, BYTES_NONE, 0};
    return CODE_MORE;
}

enum code mqtt_frame_31(struct bytes in, uint32_t packet_bytes, struct mqtt_frame *out, struct fault *why)
{
    enum { DUP = 8 };
    uint8_t first = in.len ? in.at[0] : 0;
    bool repeats = flags_of[first >> 4] && (first & DUP);
    return repeats ? frame((uint8_t)(first & ~DUP), in, packet_bytes, out, why) : mqtt_frame(in, packet_bytes, out, why);
}
