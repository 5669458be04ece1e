/* packet_names.c - the words of section 2.1.2 and 2.4, and which packet may carry which reason code. */
#include "mqtt/packet_parts.h"

const struct mqtt_limits mqtt_limits_default = {
    .packet_bytes = 1024 * 1024,
    .user_props = 64,
    .prop_bytes = 16384,
    .topic_bytes = 1024,
    .topic_levels = 32,
    .filters = 100,
};

const char *mqtt_type_name(uint8_t type)
{
    static const char *const names[] = {
        "reserved",  "CONNECT", "CONNACK",     "PUBLISH",  "PUBACK",  "PUBREC",   "PUBREL",     "PUBCOMP",
        "SUBSCRIBE", "SUBACK",  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
    };
    return type < sizeof names / sizeof names[0] ? names[type] : "reserved";
}

/* Bits of the packets that may carry a reason code. */
enum {
    CONNACK = 1 << MQTT_CONNACK,
    PUBACK = 1 << MQTT_PUBACK,
    PUBREC = 1 << MQTT_PUBREC,
    PUBREL = 1 << MQTT_PUBREL,
    PUBCOMP = 1 << MQTT_PUBCOMP,
    SUBACK = 1 << MQTT_SUBACK,
    UNSUBACK = 1 << MQTT_UNSUBACK,
    DISCONNECT = 1 << MQTT_DISCONNECT,
    AUTH = 1 << MQTT_AUTH,
    TAKEN = PUBACK | PUBREC,
    RELEASED = PUBREL | PUBCOMP,
    FILTERS = SUBACK | UNSUBACK,
};

struct reason {
    uint8_t code;
    uint16_t packets;
    const char *name;
};

/* clang-format off */
static const struct reason low[] = {
    { 0x00, CONNACK | TAKEN | RELEASED | FILTERS | DISCONNECT | AUTH, "Success" },
    { 0x01, SUBACK, "Granted QoS 1" },
    { 0x02, SUBACK, "Granted QoS 2" },
    { 0x04, DISCONNECT, "Disconnect with Will Message" },
    { 0x10, TAKEN, "No matching subscribers" },
    { 0x11, UNSUBACK, "No subscription existed" },
    { 0x18, AUTH, "Continue authentication" },
    { 0x19, AUTH, "Re-authenticate" },
};

/* Every code from 0x80 on, without a gap. */
static const struct reason high[] = {
    { 0x80, CONNACK | TAKEN | FILTERS | DISCONNECT, "Unspecified error" },
    { 0x81, CONNACK | DISCONNECT, "Malformed Packet" },
    { 0x82, CONNACK | DISCONNECT, "Protocol Error" },
    { 0x83, CONNACK | TAKEN | FILTERS | DISCONNECT, "Implementation specific error" },
    { 0x84, CONNACK, "Unsupported Protocol Version" },
    { 0x85, CONNACK, "Client Identifier not valid" },
    { 0x86, CONNACK, "Bad User Name or Password" },
    { 0x87, CONNACK | TAKEN | FILTERS | DISCONNECT, "Not authorized" },
    { 0x88, CONNACK, "Server unavailable" },
    { 0x89, CONNACK | DISCONNECT, "Server busy" },
    { 0x8a, CONNACK, "Banned" },
    { 0x8b, DISCONNECT, "Server shutting down" },
    { 0x8c, CONNACK | DISCONNECT, "Bad authentication method" },
    { 0x8d, DISCONNECT, "Keep Alive timeout" },
    { 0x8e, DISCONNECT, "Session taken over" },
    { 0x8f, FILTERS | DISCONNECT, "Topic Filter invalid" },
    { 0x90, CONNACK | TAKEN | DISCONNECT, "Topic Name invalid" },
    { 0x91, TAKEN | FILTERS, "Packet Identifier in use" },
    { 0x92, RELEASED, "Packet Identifier not found" },
    { 0x93, DISCONNECT, "Receive Maximum exceeded" },
    { 0x94, DISCONNECT, "Topic Alias invalid" },
    { 0x95, CONNACK | DISCONNECT, "Packet too large" },
    { 0x96, DISCONNECT, "Message rate too high" },
    { 0x97, CONNACK | TAKEN | SUBACK | DISCONNECT, "Quota exceeded" },
    { 0x98, DISCONNECT, "Administrative action" },
    { 0x99, CONNACK | TAKEN | DISCONNECT, "Payload format invalid" },
    { 0x9a, CONNACK | DISCONNECT, "Retain not supported" },
    { 0x9b, CONNACK | DISCONNECT, "QoS not supported" },
    { 0x9c, CONNACK | DISCONNECT, "Use another server" },
    { 0x9d, CONNACK | DISCONNECT, "Server moved" },
    { 0x9e, SUBACK | DISCONNECT, "Shared Subscriptions not supported" },
    { 0x9f, CONNACK | DISCONNECT, "Connection rate exceeded" },
    { 0xa0, DISCONNECT, "Maximum connect time" },
    { 0xa1, SUBACK | DISCONNECT, "Subscription Identifiers not supported" },
    { 0xa2, SUBACK | DISCONNECT, "Wildcard Subscriptions not supported" },
};
/* clang-format on */

static const struct reason *find(uint8_t code)
{
    if (code >= 0x80)
        return code - 0x80u < sizeof high / sizeof high[0] ? &high[code - 0x80] : NULL;
    for (size_t i = 0; i < sizeof low / sizeof low[0]; i++)
        if (low[i].code == code)
            return &low[i];
    return NULL;
}

const char *mqtt_reason_name(uint8_t reason)
{
    const struct reason *r = find(reason);
    return r ? r->name : "unknown reason";
}

bool mqtt_reason_allowed(enum mqtt_type packet, uint8_t reason)
{
    const struct reason *r = find(reason);
    return r && (r->packets >> packet & 1);
}

void part_check_reason(struct parts *p, enum mqtt_type packet, uint8_t reason)
{
    if (!p->code && !mqtt_reason_allowed(packet, reason))
        PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "the reason code 0x%02x is not one of this packet's",
                  reason);
}
