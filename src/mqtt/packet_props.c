/* packet_props.c - property lists (2.2.2) by one table: identifier -> type, the values it may have, the
 * packets it may be in, those it may be repeated in, and where the value goes. */
#include "mqtt/packet_parts.h"

#include "base/limits_use.h"

#include <stddef.h>

enum type { U8, U16, U32, VARINT, TEXT, BINARY, PAIR };
enum check { ANY, BOOL, NOT_0, ALIAS, TOPIC };

enum {
    WILL = 1 << MQTT_WILL,
    CONNECT = 1 << MQTT_CONNECT,
    CONNACK = 1 << MQTT_CONNACK,
    PUBLISH = 1 << MQTT_PUBLISH,
    SUBSCRIBE = 1 << MQTT_SUBSCRIBE,
    DISCONNECT = 1 << MQTT_DISCONNECT,
    AUTH = 1 << MQTT_AUTH,
    MESSAGE = PUBLISH | WILL,
    GREETING = CONNECT | CONNACK,
    ANSWER = CONNACK | 1 << MQTT_PUBACK | 1 << MQTT_PUBREC | 1 << MQTT_PUBREL | 1 << MQTT_PUBCOMP |
             1 << MQTT_SUBACK | 1 << MQTT_UNSUBACK | DISCONNECT | AUTH,
    EVERY = ANSWER | MESSAGE | CONNECT | SUBSCRIBE | 1 << MQTT_UNSUBSCRIBE,
};

struct rule {
    const char *name; /* NULL: no such identifier */
    uint8_t type, check;
    uint16_t packets, repeats, offset;
};

#define ROW(id, field, name, type, check, packets, repeats) \
    [MQTT_PROP_##id] = {name, type, check, packets, repeats, offsetof(struct mqtt_props, field)}

/* clang-format off */
static const struct rule rules[MQTT_PROP_SHARED_AVAILABLE + 1] = {
    /*  identifier          field               name in sentences
     *      type    value   packets                repeated in */
    ROW(PAYLOAD_FORMAT,     payload_format,     "payload format indicator",
            U8,     BOOL,   MESSAGE,               0),
    ROW(MESSAGE_EXPIRY,     message_expiry_s,   "message expiry interval",
            U32,    ANY,    MESSAGE,               0),
    ROW(CONTENT_TYPE,       content_type,       "content type",
            TEXT,   ANY,    MESSAGE,               0),
    ROW(RESPONSE_TOPIC,     response_topic,     "response topic",
            TEXT,   TOPIC,  MESSAGE,               0),
    ROW(CORRELATION,        correlation,        "correlation data",
            BINARY, ANY,    MESSAGE,               0),
    ROW(SUB_ID,             sub_id,             "subscription identifier",
            VARINT, NOT_0,  PUBLISH | SUBSCRIBE,   PUBLISH),
    ROW(SESSION_EXPIRY,     session_expiry_s,   "session expiry interval",
            U32,    ANY,    GREETING | DISCONNECT, 0),
    ROW(ASSIGNED_CLIENT_ID, assigned_client_id, "assigned client identifier",
            TEXT,   ANY,    CONNACK,               0),
    ROW(SERVER_KEEP_ALIVE,  server_keep_alive,  "server keep alive",
            U16,    ANY,    CONNACK,               0),
    ROW(AUTH_METHOD,        auth_method,        "authentication method",
            TEXT,   ANY,    GREETING | AUTH,       0),
    ROW(AUTH_DATA,          auth_data,          "authentication data",
            BINARY, ANY,    GREETING | AUTH,       0),
    ROW(REQUEST_PROBLEM,    request_problem,    "request problem information",
            U8,     BOOL,   CONNECT,               0),
    ROW(WILL_DELAY,         will_delay_s,       "will delay interval",
            U32,    ANY,    WILL,                  0),
    ROW(REQUEST_RESPONSE,   request_response,   "request response information",
            U8,     BOOL,   CONNECT,               0),
    ROW(RESPONSE_INFO,      response_info,      "response information",
            TEXT,   ANY,    CONNACK,               0),
    ROW(SERVER_REFERENCE,   server_reference,   "server reference",
            TEXT,   ANY,    CONNACK | DISCONNECT,  0),
    ROW(REASON_STRING,      reason_string,      "reason string",
            TEXT,   ANY,    ANSWER,                0),
    ROW(RECEIVE_MAX,        receive_max,        "receive maximum",
            U16,    NOT_0,  GREETING,              0),
    ROW(TOPIC_ALIAS_MAX,    topic_alias_max,    "topic alias maximum",
            U16,    ANY,    GREETING,              0),
    ROW(TOPIC_ALIAS,        topic_alias,        "topic alias",
            U16,    ALIAS,  PUBLISH,               0),
    ROW(MAX_QOS,            max_qos,            "maximum QoS",
            U8,     BOOL,   CONNACK,               0),
    ROW(RETAIN_AVAILABLE,   retain_available,   "retain available",
            U8,     BOOL,   CONNACK,               0),
    ROW(USER,               raw,                "user property",
            PAIR,   ANY,    EVERY,                 EVERY),
    ROW(MAX_PACKET,         max_packet,         "maximum packet size",
            U32,    NOT_0,  GREETING,              0),
    ROW(WILDCARD_AVAILABLE, wildcard_available, "wildcard subscription available",
            U8,     BOOL,   CONNACK,               0),
    ROW(SUB_ID_AVAILABLE,   sub_id_available,   "subscription identifiers available",
            U8,     BOOL,   CONNACK,               0),
    ROW(SHARED_AVAILABLE,   shared_available,   "shared subscription available",
            U8,     BOOL,   CONNACK,               0),
};
/* clang-format on */

#define BIT(id) ((uint64_t)1 << (id))
static const uint64_t forwardable = BIT(MQTT_PROP_PAYLOAD_FORMAT) | BIT(MQTT_PROP_CONTENT_TYPE) |
                                    BIT(MQTT_PROP_RESPONSE_TOPIC) | BIT(MQTT_PROP_CORRELATION) |
                                    BIT(MQTT_PROP_USER);

/* An identifier is a variable byte integer, but all there are fit into one byte (2.2.2.2). */
static const struct rule *rule_of(uint8_t id)
{
    return id < sizeof rules / sizeof rules[0] && rules[id].name ? &rules[id] : NULL;
}

struct value {
    uint32_t number;
    struct bytes bytes, second; /* second: the value of a user property */
};

#ifdef FG_TEST
extern uint64_t mqtt_values_read; /* for the test that lists take linear time */
uint64_t mqtt_values_read;
#endif

static void read_value(struct parts *p, const struct rule *r, struct value *v)
{
#ifdef FG_TEST
    __atomic_fetch_add(&mqtt_values_read, 1, __ATOMIC_RELAXED);
#endif
    switch ((enum type)r->type) {
    case U8: v->number = part_u8(p, r->name); break;
    case U16: v->number = part_u16(p, r->name); break;
    case U32: v->number = part_u32(p, r->name); break;
    case VARINT: v->number = part_varint(p, r->name); break;
    case TEXT: v->bytes = part_text(p, r->name); break;
    case BINARY: v->bytes = part_binary(p, r->name); break;
    case PAIR:
        v->bytes = part_text(p, r->name);
        v->second = part_text(p, r->name);
        break;
    }
}

static bool is_response_topic(struct bytes t)
{
    return t.len > 0 && !memchr(t.at, '+', t.len) && !memchr(t.at, '#', t.len);
}

static void check_value(struct parts *p, const struct rule *r, const struct value *v)
{
    switch ((enum check)r->check) {
    case ANY: break;
    case BOOL:
        if (v->number > 1)
            PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "the %s is %u; only 0 and 1 are allowed",
                      r->name, v->number);
        break;
    case NOT_0:
        if (v->number == 0)
            PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "the %s is 0", r->name);
        break;
    case ALIAS: /* [MQTT-3.3.2-8] */
        if (v->number == 0)
            PART_FLAW(p, CODE_PROTOCOL, MQTT_TOPIC_ALIAS_INVALID, "the %s is 0", r->name);
        break;
    case TOPIC: /* [MQTT-3.3.2-14], [MQTT-4.7.3-1] */
        if (!is_response_topic(v->bytes))
            PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "the %s is empty or has a wildcard", r->name);
        break;
    }
}

static void store(struct mqtt_props *out, const struct rule *r, const struct value *v)
{
    void *to = (char *)out + r->offset;
    switch ((enum type)r->type) {
    case U8: *(uint8_t *)to = (uint8_t)v->number; break;
    case U16: *(uint16_t *)to = (uint16_t)v->number; break;
    case U32:
    case VARINT: *(uint32_t *)to = v->number; break;
    case TEXT:
    case BINARY: *(struct bytes *)to = v->bytes; break;
    case PAIR: break; /* stays in raw: mqtt_user_prop walks it */
    }
}

static void read_one(struct parts *p, enum mqtt_type packet, const struct mqtt_limits *limits,
                     struct mqtt_props *out)
{
    uint8_t id = part_u8(p, "property identifier");
    const struct rule *r = rule_of(id);
    if (!r || !(r->packets >> packet & 1)) {
        PART_FLAW(p, CODE_MALFORMED, MQTT_MALFORMED,
                  r ? "the property %u (%s) does not belong here" : "there is no property %u%s", id,
                  r ? r->name : "");
        return;
    }
    if (mqtt_props_has(out, id) && !(r->repeats >> packet & 1)) {
        PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "the %s is there twice", r->name);
        return;
    }
    struct value v = {0, BYTES_NONE, BYTES_NONE};
    read_value(p, r, &v);
    if (p->code)
        return;
    check_value(p, r, &v);
    store(out, r, &v);
    out->seen |= BIT(id);
    if (id == MQTT_PROP_SUB_ID && out->sub_id_count < UINT16_MAX)
        out->sub_id_count++;
    if (id == MQTT_PROP_USER) {
        if (out->user_count >= limits->user_props || out->user_count == UINT16_MAX)
        {
            limits_refused(LIMIT_USER_PROPERTIES);
            PART_FLAW(p, CODE_LIMIT, MQTT_PROTOCOL_ERROR, "more than %u user properties (limits.user-properties)",
                      limits->user_props);
            return;
        }
        limits_saw(LIMIT_USER_PROPERTIES, ++out->user_count);
    }
}

/* Reads to the end of p, which holds the list alone. */
static void read_list(struct parts *p, enum mqtt_type packet, const struct mqtt_limits *limits,
                      struct mqtt_props *out)
{
    out->raw = bytes_of(p->w.at, part_left(p));
    while (part_left(p))
        read_one(p, packet, limits, out);
    /* 3.1.2.11.10; 3.15.2.2.2 */
    bool method = mqtt_props_has(out, MQTT_PROP_AUTH_METHOD);
    if ((packet == MQTT_CONNECT && !method && mqtt_props_has(out, MQTT_PROP_AUTH_DATA)) ||
        (packet == MQTT_AUTH && !method))
        PART_FLAW(p, CODE_PROTOCOL, MQTT_PROTOCOL_ERROR, "the authentication method is missing");
}

static bool list_too_long(struct parts *p, size_t len, const struct mqtt_limits *limits)
{
    if (len <= limits->prop_bytes) {
        limits_saw(LIMIT_PROPERTY_BYTES, len);
        return false;
    }
    limits_refused(LIMIT_PROPERTY_BYTES);
    PART_FLAW(p, CODE_LIMIT, MQTT_PACKET_TOO_LARGE, "%zu bytes of properties; the limit is %u", len,
              limits->prop_bytes);
    return true;
}

void part_props(struct parts *p, enum mqtt_version version, enum mqtt_type packet,
                const struct mqtt_limits *limits, struct mqtt_props *out)
{
    *out = mqtt_props_none;
    if (version < MQTT_5)
        return;
    uint32_t len = part_varint(p, "property length");
    if (p->code || list_too_long(p, len, limits))
        return;
    if (len > part_left(p)) {
        part_short(p, "properties");
        return;
    }
    if (len == 0 && packet != MQTT_AUTH)
        return;
    const uint8_t *end = p->w.end;
    p->w.end = p->w.at + len;
    read_list(p, packet, limits, out);
    p->w.end = end;
}

enum code mqtt_decode_props(enum mqtt_type packet, struct bytes raw, const struct mqtt_limits *limits,
                            struct mqtt_props *out, struct fault *why)
{
    *out = mqtt_props_none;
    struct parts p = parts_of(raw, packet == MQTT_WILL ? "will" : mqtt_type_name(packet), why);
    if (!list_too_long(&p, raw.len, limits))
        read_list(&p, packet, limits, out);
    return p.code;
}

/* One property of a list that was decoded before; false at the end (or at nonsense, if it was not). */
static bool next(struct parts *p, uint8_t *id, struct value *v)
{
    if (part_left(p) == 0)
        return false;
    *id = part_u8(p, "");
    const struct rule *r = rule_of(*id);
    if (!r)
        return false;
    *v = (struct value){0, BYTES_NONE, BYTES_NONE};
    read_value(p, r, v);
    return p->code == CODE_OK;
}

/* The next `want` at or behind *cursor. */
static bool find(struct bytes raw, size_t *cursor, enum mqtt_prop want, struct value *v)
{
    if (*cursor >= raw.len)
        return false;
    struct parts p = parts_of(bytes_from(raw, *cursor), "", NULL);
    uint8_t id;
    while (next(&p, &id, v)) {
        if (id != want)
            continue;
        *cursor += wire_pos(&p.w);
        return true;
    }
    *cursor = raw.len;
    return false;
}

bool mqtt_user_prop(const struct mqtt_props *p, size_t *cursor, struct bytes *name, struct bytes *value)
{
    struct value v;
    if (!find(p->raw, cursor, MQTT_PROP_USER, &v))
        return false;
    *name = v.bytes;
    *value = v.second;
    return true;
}

bool mqtt_sub_id(const struct mqtt_props *p, size_t *cursor, uint32_t *sub_id)
{
    struct value v;
    if (!find(p->raw, cursor, MQTT_PROP_SUB_ID, &v))
        return false;
    *sub_id = v.number;
    return true;
}

void mqtt_props_forwardable(struct bytes raw, struct buf *out)
{
    struct parts p = parts_of(raw, "", NULL);
    uint8_t id;
    struct value v;
    /* Neighbours that both go are copied in one piece. */
    const uint8_t *from = raw.at, *start = raw.at;
    while (next(&p, &id, &v)) {
        if (!(forwardable >> id & 1)) {
            buf_add(out, from, (size_t)(start - from));
            from = p.w.at;
        }
        start = p.w.at;
    }
    buf_add(out, from, (size_t)(start - from));
}

bool mqtt_props_all_forwardable(const struct mqtt_props *p)
{
    return (p->seen & ~forwardable) == 0;
}
