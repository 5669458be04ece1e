/* packet.h - the MQTT packets of 3.1, 3.1.1 and 5.0, from bytes and to bytes.
 *
 * Pure: no I/O, no globals, no allocation but from the arena or buffer handed in; decoders read each byte
 * a bounded number of times. Views in decoded packets point into the input. Any thread.
 *
 * A failed decode fills why->mqtt_reason with the reason code of the standard (0x81 malformed, 0x82
 * protocol error, 0x95 too large ...) and why->text with a sentence that names the packet and the field.
 * Section numbers are those of the OASIS standard, version 5.0, unless "3.1.1" stands before them.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"

enum mqtt_version { MQTT_3_1 = 3, MQTT_3_1_1 = 4, MQTT_5 = 5 };

enum mqtt_type {
    MQTT_WILL = 0, /* not a packet: names the will's property list where a packet is asked for */
    MQTT_CONNECT = 1, MQTT_CONNACK, MQTT_PUBLISH, MQTT_PUBACK, MQTT_PUBREC, MQTT_PUBREL, MQTT_PUBCOMP,
    MQTT_SUBSCRIBE, MQTT_SUBACK, MQTT_UNSUBSCRIBE, MQTT_UNSUBACK, MQTT_PINGREQ, MQTT_PINGRESP,
    MQTT_DISCONNECT, MQTT_AUTH
};

/* 2.4 */
enum mqtt_reason {
    MQTT_SUCCESS = 0x00, MQTT_GRANTED_QOS_1 = 0x01, MQTT_GRANTED_QOS_2 = 0x02,
    MQTT_DISCONNECT_WITH_WILL = 0x04,
    MQTT_NO_MATCHING_SUBSCRIBERS = 0x10, MQTT_NO_SUBSCRIPTION_EXISTED = 0x11, MQTT_CONTINUE_AUTH = 0x18,
    MQTT_REAUTHENTICATE = 0x19, MQTT_UNSPECIFIED = 0x80, MQTT_MALFORMED = 0x81, MQTT_PROTOCOL_ERROR = 0x82,
    MQTT_IMPLEMENTATION_SPECIFIC = 0x83, MQTT_UNSUPPORTED_VERSION = 0x84, MQTT_CLIENT_ID_INVALID = 0x85,
    MQTT_BAD_USER_OR_PASSWORD = 0x86, MQTT_NOT_AUTHORIZED = 0x87, MQTT_SERVER_UNAVAILABLE = 0x88,
    MQTT_SERVER_BUSY = 0x89, MQTT_BANNED = 0x8a, MQTT_SHUTTING_DOWN = 0x8b, MQTT_BAD_AUTH_METHOD = 0x8c,
    MQTT_KEEP_ALIVE_TIMEOUT = 0x8d, MQTT_TAKEN_OVER = 0x8e, MQTT_FILTER_INVALID = 0x8f,
    MQTT_TOPIC_INVALID = 0x90,
    MQTT_PACKET_ID_IN_USE = 0x91, MQTT_PACKET_ID_NOT_FOUND = 0x92, MQTT_RECEIVE_MAX_EXCEEDED = 0x93,
    MQTT_TOPIC_ALIAS_INVALID = 0x94, MQTT_PACKET_TOO_LARGE = 0x95, MQTT_RATE_TOO_HIGH = 0x96,
    MQTT_QUOTA_EXCEEDED = 0x97, MQTT_ADMIN_ACTION = 0x98, MQTT_PAYLOAD_FORMAT_INVALID = 0x99,
    MQTT_RETAIN_NOT_SUPPORTED = 0x9a, MQTT_QOS_NOT_SUPPORTED = 0x9b, MQTT_USE_ANOTHER_SERVER = 0x9c,
    MQTT_SERVER_MOVED = 0x9d, MQTT_SHARED_NOT_SUPPORTED = 0x9e, MQTT_CONNECTION_RATE = 0x9f,
    MQTT_MAX_CONNECT_TIME = 0xa0, MQTT_SUB_ID_NOT_SUPPORTED = 0xa1, MQTT_WILDCARD_NOT_SUPPORTED = 0xa2
};
const char *mqtt_type_name(uint8_t type);     /* "PUBLISH" */
const char *mqtt_reason_name(uint8_t reason); /* "Topic Name invalid" */
/* 2.4: may this packet carry it? For v5. */
bool        mqtt_reason_allowed(enum mqtt_type packet, uint8_t reason);

/* 2.2.2.2: property identifiers */
enum mqtt_prop {
    MQTT_PROP_PAYLOAD_FORMAT = 0x01, MQTT_PROP_MESSAGE_EXPIRY = 0x02, MQTT_PROP_CONTENT_TYPE = 0x03,
    MQTT_PROP_RESPONSE_TOPIC = 0x08, MQTT_PROP_CORRELATION = 0x09, MQTT_PROP_SUB_ID = 0x0b,
    MQTT_PROP_SESSION_EXPIRY = 0x11, MQTT_PROP_ASSIGNED_CLIENT_ID = 0x12, MQTT_PROP_SERVER_KEEP_ALIVE = 0x13,
    MQTT_PROP_AUTH_METHOD = 0x15, MQTT_PROP_AUTH_DATA = 0x16, MQTT_PROP_REQUEST_PROBLEM = 0x17,
    MQTT_PROP_WILL_DELAY = 0x18, MQTT_PROP_REQUEST_RESPONSE = 0x19, MQTT_PROP_RESPONSE_INFO = 0x1a,
    MQTT_PROP_SERVER_REFERENCE = 0x1c, MQTT_PROP_REASON_STRING = 0x1f, MQTT_PROP_RECEIVE_MAX = 0x21,
    MQTT_PROP_TOPIC_ALIAS_MAX = 0x22, MQTT_PROP_TOPIC_ALIAS = 0x23, MQTT_PROP_MAX_QOS = 0x24,
    MQTT_PROP_RETAIN_AVAILABLE = 0x25, MQTT_PROP_USER = 0x26, MQTT_PROP_MAX_PACKET = 0x27,
    MQTT_PROP_WILDCARD_AVAILABLE = 0x28, MQTT_PROP_SUB_ID_AVAILABLE = 0x29, MQTT_PROP_SHARED_AVAILABLE = 0x2a
};

struct mqtt_limits {
    uint32_t packet_bytes;   /* L-PKT, whole packet with its fixed header */
    uint32_t user_props;     /* L-PROP: count                              */
    uint32_t prop_bytes;     /* L-PROP: total bytes of the property list   */
    uint32_t topic_bytes, topic_levels; /* L-TOPIC                        */
    uint32_t filters;        /* L-SUBS: filters per packet                 */
};
extern const struct mqtt_limits mqtt_limits_default; /* 1 MiB; 64; 16,384; 1,024; 32; 100 */

/* All properties a list can carry, decoded once. `raw` is the list without its length prefix. `seen` has
 * bit N set for identifier N. Strings are checked UTF-8. User properties stay in `raw`, in order:
 * walk them with mqtt_user_prop. */
struct mqtt_props {
    struct bytes raw;
    uint64_t     seen;
    uint32_t     message_expiry_s, session_expiry_s, will_delay_s, max_packet /* 0 when absent: no limit */,
                 sub_id /* of the last one seen */;
    uint16_t     server_keep_alive, receive_max /* 65,535 when absent */, topic_alias_max, topic_alias;
    uint8_t      payload_format, request_problem /* 1 when absent */, request_response,
                 max_qos /* 2 when absent */,
                 retain_available, wildcard_available, sub_id_available, shared_available /* 1 when absent */;
    uint16_t     user_count, sub_id_count;
    struct bytes content_type, response_topic, correlation, assigned_client_id, auth_method, auth_data,
                 response_info, server_reference, reason_string;
};
static inline bool mqtt_props_has(const struct mqtt_props *p, enum mqtt_prop id)
{
    return (p->seen >> id) & 1;
}
/* *cursor starts at 0; false at the end. */
bool mqtt_user_prop(const struct mqtt_props *p, size_t *cursor, struct bytes *name, struct bytes *value);
/* The same for subscription identifiers: a PUBLISH from a server may have several (3.3.4). */
bool mqtt_sub_id(const struct mqtt_props *p, size_t *cursor, uint32_t *sub_id);
/* A list without its length prefix, as it stands in `packet` (2.2.2), all rules applied. The decoders below
 * do this themselves; this is for lists that were kept. */
FG_CHECK enum code mqtt_decode_props(enum mqtt_type packet, struct bytes raw, const struct mqtt_limits *,
                                     struct mqtt_props *out, struct fault *why);
/* Where in a raw, valid list the properties that a server forwards with a PUBLISH stand (payload format,
 * content type, response topic, correlation data, user properties; 3.3.2.3), copied in their order without
 * message expiry, topic alias and subscription identifiers, which differ per delivery. */
void mqtt_props_forwardable(struct bytes raw, struct buf *out);
/* True when the list holds nothing but forwardable ones: then raw can be used as it is. */
bool mqtt_props_all_forwardable(const struct mqtt_props *p);

struct mqtt_frame {
    uint8_t      first;   /* type << 4 | flags           */
    struct bytes body;    /* behind the remaining length */
    size_t       size;    /* of the whole packet         */
};
/* Splits the packet at the front. CODE_MORE: not complete (out->size is what it needs in all, or 0 when even
 * that is not known). Over limits->packet_bytes: CODE_LIMIT with 0x95 as soon as the length is known. A
 * remaining length over 4 bytes or not in its shortest form, reserved fixed-header flags (2.1.3), a PUBLISH
 * of QoS 3 or a ping with a body: CODE_MALFORMED at once. AUTH passes for every version: the caller knows which
 * it speaks. */
FG_CHECK enum code mqtt_frame(struct bytes in, uint32_t packet_bytes, struct mqtt_frame *out,
                              struct fault *why);
/* The same for a client of MQTT 3.1, which may set DUP when it sends PUBREL, SUBSCRIBE or UNSUBSCRIBE again (3.1: 3.6, 3.8,
 * 3.10; 3.1.1 forbade it). `first` is given without it. */
FG_CHECK enum code mqtt_frame_31(struct bytes in, uint32_t packet_bytes, struct mqtt_frame *out, struct fault *why);

struct mqtt_connect {
    enum mqtt_version version;
    bool              clean_start, has_will, has_user, has_password;
    uint8_t           will_qos;
    bool              will_retain;
    uint16_t          keep_alive_s;
    struct bytes      client_id, user, password, will_topic, will_payload;
    struct mqtt_props props, will_props;
};
/* CODE_UNSUPPORTED with 0x84 for a protocol name or level we do not speak (version is then the peer's best
 * guess: 5 when the level is 5 or more, else 4, so that the CONNACK can be in its format). On any other
 * failure version is the peer's, or 3.1.1 when the packet ended before its level. */
FG_CHECK enum code mqtt_decode_connect(struct bytes body, const struct mqtt_limits *,
                                       struct mqtt_connect *out, struct fault *why);

struct mqtt_publish {
    uint8_t           qos;
    bool              dup, retain;
    uint16_t          packet_id; /* 0 for QoS 0 */
    struct bytes      topic, payload;
    struct mqtt_props props;
};
/* Checks the topic name: UTF-8 (0x81), no wildcard (CODE_PROTOCOL 0x90), L-TOPIC (CODE_LIMIT 0x90); empty is
 * allowed only with a topic alias in v5. When the topic is refused, qos and packet_id are set, so that a
 * PUBACK or PUBREC can say it. Not checked, because it depends on who sent it: subscription identifiers, which a
 * client must not send (3.3.4), and the highest topic alias. */
FG_CHECK enum code mqtt_decode_publish(enum mqtt_version, uint8_t first, struct bytes body,
                                       const struct mqtt_limits *, struct mqtt_publish *out,
                                       struct fault *why);

/* PUBACK, PUBREC, PUBREL, PUBCOMP. A shortened v5 packet means reason 0 (3.4.2.1). Unknown reason codes for
 * that packet are CODE_PROTOCOL 0x82. */
struct mqtt_ack {
    uint16_t          packet_id;
    uint8_t           reason;
    struct mqtt_props props;
};
FG_CHECK enum code mqtt_decode_ack(enum mqtt_version, uint8_t first, struct bytes body,
                                   const struct mqtt_limits *, struct mqtt_ack *out, struct fault *why);

/* 3.8.3.1. For 3.x only qos is used. */
struct mqtt_filter {
    struct mqtt_filter *next;
    struct bytes        filter;
    uint8_t             qos, retain_handling;
    bool                no_local, retain_as_published;
    uint8_t             refused; /* 0, or the reason the filter itself earns, for the SUBACK: 0x8F invalid or
                                    beyond L-TOPIC; 0x97 beyond L-SUBS (SUBSCRIBE only) */
};
struct mqtt_subscribe {
    uint16_t            packet_id;
    struct mqtt_props   props;
    struct mqtt_filter *filters; /* at least one, in order, from the arena */
    uint32_t            count;
};
/* Each filter costs 32 bytes of the arena; when its limit is reached the packet is CODE_NOMEM with 0x97. */
FG_CHECK enum code mqtt_decode_subscribe(enum mqtt_version, struct bytes body, const struct mqtt_limits *,
                                         struct arena *, struct mqtt_subscribe *out, struct fault *why);
FG_CHECK enum code mqtt_decode_unsubscribe(enum mqtt_version, struct bytes body, const struct mqtt_limits *,
                                           struct arena *, struct mqtt_subscribe *out, struct fault *why);

struct mqtt_disconnect {
    uint8_t           reason;
    struct mqtt_props props;
};
FG_CHECK enum code mqtt_decode_disconnect(enum mqtt_version, struct bytes body, const struct mqtt_limits *,
                                          struct mqtt_disconnect *out, struct fault *why);
FG_CHECK enum code mqtt_decode_auth(struct bytes body, const struct mqtt_limits *,
                                    struct mqtt_disconnect *out, struct fault *why);

/* What a client receives. */
struct mqtt_connack {
    bool              session_present;
    uint8_t           reason; /* for 3.x the return code 0..5 */
    struct mqtt_props props;
};
FG_CHECK enum code mqtt_decode_connack(enum mqtt_version, struct bytes body, const struct mqtt_limits *,
                                       struct mqtt_connack *out, struct fault *why);
struct mqtt_suback {
    uint16_t          packet_id;
    struct mqtt_props props;
    struct bytes      reasons; /* one byte per filter; empty for a 3.x UNSUBACK */
};
FG_CHECK enum code mqtt_decode_suback(enum mqtt_version, uint8_t first /* SUBACK or UNSUBACK */,
                                      struct bytes body, const struct mqtt_limits *, struct mqtt_suback *out,
                                      struct fault *why);

/* ---- to bytes. All append to `out`: the whole packet or nothing, and then out->bad is set (no memory, or a
 * part that has no encoding, as a string over 65,535 bytes). `props` is a ready property list without its
 * length (build it with the mqtt_put_* helpers), ignored for 3.x. ---- */
void mqtt_put_u8(struct buf *props, enum mqtt_prop id, uint8_t v);
void mqtt_put_u16(struct buf *props, enum mqtt_prop id, uint16_t v);
void mqtt_put_u32(struct buf *props, enum mqtt_prop id, uint32_t v);
void mqtt_put_varint(struct buf *props, enum mqtt_prop id, uint32_t v);
/* Strings and binary data, up to 65,535 bytes. */
void mqtt_put_bytes(struct buf *props, enum mqtt_prop id, struct bytes v);
void mqtt_put_user(struct buf *props, struct bytes name, struct bytes value);

struct mqtt_connect_out { /* the lists inside are ready property bytes */
    enum mqtt_version version;
    bool              clean_start, has_will, has_user, has_password, will_retain;
    uint8_t           will_qos;
    uint16_t          keep_alive_s;
    struct bytes      client_id, user, password, will_topic, will_payload, props, will_props;
};
void mqtt_encode_connect(struct buf *out, const struct mqtt_connect_out *);
/* `reason` is v5's; for 3.x it becomes the nearest return code (3.1.1 section 3.2.2.3). */
void mqtt_encode_connack(struct buf *out, enum mqtt_version, bool session_present, uint8_t reason,
                         struct bytes props);
/* Everything of a PUBLISH up to the payload; the payload of `payload_len` bytes follows (copied by the
 * caller, or by reference in a writev). The list on the wire is props_a then props_b. */
void mqtt_encode_publish_head(struct buf *out, enum mqtt_version, uint8_t qos, bool dup, bool retain,
                              struct bytes topic, uint16_t packet_id, struct bytes props_a,
                              struct bytes props_b, size_t payload_len);
/* The size the whole packet will have; 0 if it cannot be encoded (over 268,435,455). */
size_t mqtt_publish_size(enum mqtt_version, uint8_t qos, size_t topic_len, size_t props_len,
                         size_t payload_len);
/* PUBACK/PUBREC/PUBREL/PUBCOMP; the shortest form that carries it. */
void mqtt_encode_ack(struct buf *out, enum mqtt_version, enum mqtt_type, uint16_t packet_id, uint8_t reason,
                     struct bytes props);
void mqtt_encode_subscribe(struct buf *out, enum mqtt_version, uint16_t packet_id, const struct mqtt_filter *,
                           struct bytes props);
void mqtt_encode_unsubscribe(struct buf *out, enum mqtt_version, uint16_t packet_id,
                             const struct mqtt_filter *, struct bytes props);
/* 3.x SUBACK: reasons >= 0x80 become 0x80; 3.x UNSUBACK has no reasons. */
void mqtt_encode_suback(struct buf *out, enum mqtt_version, enum mqtt_type, uint16_t packet_id,
                        const uint8_t *reasons, size_t count, struct bytes props);
void mqtt_encode_empty(struct buf *out, enum mqtt_type); /* PINGREQ, PINGRESP */
/* 5.0 only. Reason 0 without properties takes no bytes (3.15.2.1). */
void mqtt_encode_auth(struct buf *out, uint8_t reason, struct bytes props);
/* 3.x: only the client sends it, as two bytes. */
void mqtt_encode_disconnect(struct buf *out, enum mqtt_version, uint8_t reason, struct bytes props);
