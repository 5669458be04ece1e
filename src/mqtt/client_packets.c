/* client_packets.c - what the server says, one function per packet. */
#include "mqtt/client_parts.h"

#include "base/mem.h"

typedef enum code (*packet_fn)(struct mqtt_client *, const struct mqtt_frame *, struct fault *);

static enum code protocol(struct fault *why, uint8_t reason, const char *what)
{
    enum code code = FAIL(why, CODE_PROTOCOL, 0, "the server %s", what);
    why->mqtt_reason = reason;
    return code;
}

/* ---- CONNACK ---- */

/* 3.1.1 table 3.1, as 5.0 says it. */
static uint8_t reason_of(enum mqtt_version version, uint8_t reason)
{
    static const uint8_t codes[] = {MQTT_SUCCESS,
                                    MQTT_UNSUPPORTED_VERSION,
                                    MQTT_CLIENT_ID_INVALID,
                                    MQTT_SERVER_UNAVAILABLE,
                                    MQTT_BAD_USER_OR_PASSWORD,
                                    MQTT_NOT_AUTHORIZED};
    return version == MQTT_5 || reason >= sizeof codes ? reason : codes[reason];
}

/* Might the same attempt succeed later? */
static bool passes(uint8_t reason)
{
    switch (reason) {
    case MQTT_UNSPECIFIED:
    case MQTT_SERVER_UNAVAILABLE:
    case MQTT_SERVER_BUSY:
    case MQTT_SHUTTING_DOWN:
    case MQTT_KEEP_ALIVE_TIMEOUT:
    case MQTT_RATE_TOO_HIGH:
    case MQTT_QUOTA_EXCEEDED:
    case MQTT_CONNECTION_RATE:
    case MQTT_MAX_CONNECT_TIME:
    case MQTT_IMPLEMENTATION_SPECIFIC: return true;
    default: return false;
    }
}

/* The server ends it; what it says goes to on_close. */
static void ended_by_server(struct mqtt_client *c, const char *what, uint8_t reason,
                            const struct mqtt_props *props, enum code code)
{
    char said[120];
    bool more = props->reason_string.len > 0;
    (void)FAIL(&c->why, code, 0, "the server %s: %s (0x%02x)%s%s", what, mqtt_reason_name(reason), reason,
               more ? ": " : "", more ? bytes_escape(props->reason_string, said, sizeof said) : "");
    c->why.mqtt_reason = reason;
    c->final = !passes(reason);
    c->state = CLIENT_LEAVING;
    conn_close(c->conn, false);
}

/* A server may choose our name (3.2.2.3.7); the next connection has to use it. */
static enum code take_name(struct mqtt_client *c, struct bytes name, struct fault *why)
{
    if (name.len == 0)
        return CODE_OK;
    mem_free(c->assigned);
    c->assigned = mem_strndup(name.at, name.len);
    if (!c->assigned)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the client identifier that the server gave");
    c->set.client_id = bytes_of(c->assigned, name.len);
    return CODE_OK;
}

static void forget_incoming(struct mqtt_client *c)
{
    mem_free(c->incoming);
    c->incoming = NULL;
    c->incoming_count = 0;
}

static enum code on_connack(struct mqtt_client *c, const struct mqtt_frame *f, struct fault *why)
{
    struct mqtt_connack ack;
    enum code code = mqtt_decode_connack(c->set.version, f->body, &c->limits, &ack, why);
    if (code)
        return code;
    if (c->state != CLIENT_GREETING)
        return protocol(why, MQTT_PROTOCOL_ERROR, "sent a second CONNACK");
    if (ack.reason) {
        ended_by_server(c, "refused the connection", reason_of(c->set.version, ack.reason), &ack.props,
                        CODE_REFUSED);
        return CODE_OK;
    }
    if (ack.session_present && c->asked_clean) /* [MQTT-3.2.2-2] */
        return protocol(why, MQTT_PROTOCOL_ERROR, "has a session although a clean start was asked for");
    code = take_name(c, ack.props.assigned_client_id, why);
    if (code)
        return code;
    if (!ack.session_present)
        forget_incoming(c);
    c->server_receive_max = ack.props.receive_max;
    c->server_packet_bytes = ack.props.max_packet ? ack.props.max_packet : UINT32_MAX;
    c->server_max_qos = ack.props.max_qos;
    c->server_retain = ack.props.retain_available;
    c->server_alias_max = ack.props.topic_alias_max;
    aliases_forget(&c->incoming_aliases);
    aliases_forget(&c->outgoing_aliases);
    client_opened(c, mqtt_props_has(&ack.props, MQTT_PROP_SERVER_KEEP_ALIVE) ? ack.props.server_keep_alive
                                                                             : c->set.keep_alive_s);
    /* Before anybody can publish: the old messages go first. */
    window_restart(c, ack.session_present);
    if (c->events.on_connect)
        c->events.on_connect(c->ctx, c, &ack);
    window_settle(c, ack.session_present);
    return CODE_OK;
}

/* ---- messages ---- */

static bool is_incoming(const struct mqtt_client *c, uint16_t id)
{
    return c->incoming && (c->incoming[id / 8] >> (id % 8) & 1);
}

static enum code note_incoming(struct mqtt_client *c, uint16_t id, struct fault *why)
{
    if (c->incoming_count >= c->set.receive_max)
        return protocol(why, MQTT_RECEIVE_MAX_EXCEEDED,
                        "sent more QoS 2 messages at once than it was told to");
    if (!c->incoming)
        c->incoming = mem_zalloc(65536 / 8, 1);
    if (!c->incoming)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the identifiers of QoS 2 messages");
    c->incoming[id / 8] |= (uint8_t)(1u << (id % 8));
    c->incoming_count++;
    return CODE_OK;
}

static void answer(struct mqtt_client *c, enum mqtt_type type, uint16_t id, uint8_t reason)
{
    if (c->state == CLIENT_OPEN)
        mqtt_encode_ack(client_out(c), c->set.version, type, id, reason, BYTES_NONE);
}

static enum code on_publish(struct mqtt_client *c, const struct mqtt_frame *f, struct fault *why)
{
    struct mqtt_publish m;
    enum code code = mqtt_decode_publish(c->set.version, f->first, f->body, &c->limits, &m, why);
    if (code)
        return code;
    code = alias_resolve(c, &m, why);
    if (code)
        return code;
    bool known = m.qos == 2 && is_incoming(c, m.packet_id);
    if (m.qos == 2 && !known) {
        code = note_incoming(c, m.packet_id, why);
        if (code)
            return code;
    }
    c->in_message = true;
    if (!known && c->events.on_message)
        c->events.on_message(c->ctx, c, &m);
    c->in_message = false;
    if (m.qos)
        answer(c, m.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, m.packet_id, MQTT_SUCCESS);
    if (c->left && c->state == CLIENT_OPEN)
        client_leave(c);
    return CODE_OK;
}

static enum code on_ack(struct mqtt_client *c, const struct mqtt_frame *f, struct fault *why)
{
    enum mqtt_type type = f->first >> 4;
    struct mqtt_ack ack;
    enum code code = mqtt_decode_ack(c->set.version, f->first, f->body, &c->limits, &ack, why);
    if (code)
        return code;
    if (type != MQTT_PUBREL)
        return window_ack(c, type, &ack, why);
    bool known = is_incoming(c, ack.packet_id);
    if (known) {
        c->incoming[ack.packet_id / 8] &= (uint8_t) ~(1u << (ack.packet_id % 8));
        c->incoming_count--;
    }
    answer(c, MQTT_PUBCOMP, ack.packet_id, known ? MQTT_SUCCESS : MQTT_PACKET_ID_NOT_FOUND);
    return CODE_OK;
}

/* ---- the others ---- */

static enum code on_sub_ack(struct mqtt_client *c, const struct mqtt_frame *f, struct fault *why)
{
    struct mqtt_suback ack;
    enum code code = mqtt_decode_suback(c->set.version, f->first, f->body, &c->limits, &ack, why);
    return code ? code : window_sub_ack(c, f->first >> 4, &ack, why);
}

static enum code on_pingresp(struct mqtt_client *c, const struct mqtt_frame *f, struct fault *why)
{
    (void)f;
    (void)why;
    c->ping_us = 0;
    c->pings -= c->pings > 0;
    if (c->pongs_to && --c->pongs_to == 0 && c->events.on_pong)
        c->events.on_pong(c->ctx, c);
    return CODE_OK;
}

static enum code on_disconnect(struct mqtt_client *c, const struct mqtt_frame *f, struct fault *why)
{
    struct mqtt_disconnect d;
    if (c->set.version < MQTT_5)
        return protocol(why, MQTT_PROTOCOL_ERROR, "sent DISCONNECT, which only a 3.1.1 client may");
    enum code code = mqtt_decode_disconnect(c->set.version, f->body, &c->limits, &d, why);
    if (!code)
        ended_by_server(c, "ended the connection", d.reason, &d.props, CODE_CLOSED);
    return code;
}

/* ---- enhanced authentication ---- */

static void put_auth(struct mqtt_client *c, uint8_t reason, struct bytes data)
{
    struct buf props = {0};
    mqtt_put_bytes(&props, MQTT_PROP_AUTH_METHOD, c->set.auth_method);
    if (data.len)
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_DATA, data);
    if (props.bad)
        client_out(c)->bad = true; /* the connection ends for want of memory */
    else
        mqtt_encode_auth(client_out(c), reason, buf_bytes(&props));
    buf_clear(&props);
}

static enum code on_auth(struct mqtt_client *c, const struct mqtt_frame *f, struct fault *why)
{
    struct mqtt_disconnect in;
    if (c->set.version < MQTT_5 || !c->set.auth_method.at || !c->events.on_auth)
        return protocol(why, MQTT_PROTOCOL_ERROR, "sent AUTH, though we do not authenticate that way");
    enum code code = mqtt_decode_auth(f->body, &c->limits, &in, why);
    if (code)
        return code;
    if (in.props.auth_method.len &&
        !bytes_equal(in.props.auth_method, c->set.auth_method)) /* [MQTT-4.12.0-5] */
        return protocol(why, MQTT_PROTOCOL_ERROR, "changed the authentication method");
    if (in.reason == MQTT_REAUTHENTICATE || (in.reason == MQTT_SUCCESS && c->state != CLIENT_OPEN))
        return protocol(why, MQTT_PROTOCOL_ERROR, "sent AUTH with a reason that is out of place here");
    struct buf data = {.max = UINT16_MAX};
    enum client_state before = c->state;
    code = c->events.on_auth(c->ctx, c, &in, &data, why);
    if (!code && data.bad)
        code = FAIL(why, CODE_NOMEM, 0, "no memory for authentication data");
    if (!code && in.reason == MQTT_CONTINUE_AUTH && c->state == before)
        put_auth(c, MQTT_CONTINUE_AUTH, buf_bytes(&data));
    buf_clear(&data);
    return code;
}

enum code mqtt_client_reauthenticate(struct mqtt_client *c, struct bytes data, struct fault *why)
{
    if (!c->set.auth_method.at)
        return FAIL(why, CODE_USAGE, 0, "this connection has no authentication method");
    if (c->state != CLIENT_OPEN)
        return FAIL(why, CODE_CLOSED, 0, "there is no connection to authenticate");
    put_auth(c, MQTT_REAUTHENTICATE, data);
    return CODE_OK;
}

enum code client_packet(struct mqtt_client *c, const struct mqtt_frame *f, struct fault *why)
{
    static const packet_fn handlers[16] = {
        [MQTT_CONNACK] = on_connack,   [MQTT_PUBLISH] = on_publish,
        [MQTT_PUBACK] = on_ack,        [MQTT_PUBREC] = on_ack,
        [MQTT_PUBREL] = on_ack,        [MQTT_PUBCOMP] = on_ack,
        [MQTT_SUBACK] = on_sub_ack,    [MQTT_UNSUBACK] = on_sub_ack,
        [MQTT_PINGRESP] = on_pingresp, [MQTT_DISCONNECT] = on_disconnect,
        [MQTT_AUTH] = on_auth,
    };
    bool greets = f->first >> 4 == MQTT_CONNACK || f->first >> 4 == MQTT_AUTH;
    packet_fn handler = handlers[f->first >> 4];
    if (!handler || (c->state == CLIENT_GREETING && !greets)) {
        enum code code = FAIL(why, CODE_PROTOCOL, 0, "the server sent %s, which is out of place here",
                              mqtt_type_name(f->first >> 4));
        why->mqtt_reason = MQTT_PROTOCOL_ERROR;
        return code;
    }
    return handler(c, f, why);
}
