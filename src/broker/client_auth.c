/* client_auth.c - enhanced authentication (4.12): AUTH packets before CONNACK, and again on a live connection. */
#include "broker/private.h"

#include "base/log.h"
#include "identity/scram.h"

static void break_off(struct client *c, uint8_t reason, const char *because)
{
    struct fault why;
    if (c->state == CLIENT_NEW) {
        connect_refuse(c, reason, because);
        return;
    }
    (void)FAIL(&why, reason == MQTT_PROTOCOL_ERROR ? CODE_PROTOCOL : CODE_REFUSED, 0, "%s", because);
    client_end(c, reason, &why, true);
}

static void put_method(struct buf *props, struct bytes data)
{
    mqtt_put_bytes(props, MQTT_PROP_AUTH_METHOD, BYTES_LIT(SCRAM_SHA_256));
    if (data.len)
        mqtt_put_bytes(props, MQTT_PROP_AUTH_DATA, data);
}

static void send_auth(struct client *c, uint8_t reason, struct bytes data)
{
    struct buf props = { 0 }, packet = { 0 };
    uint32_t most = c->state == CLIENT_NEW ? connect_max_packet(c) : c->max_packet;
    put_method(&props, data);
    mqtt_encode_auth(&packet, reason, buf_bytes(&props));
    bool bad = props.bad || packet.bad, fits = !most || buf_size(&packet) <= most; /* [MQTT-3.1.2-24] */
    if (!bad && fits)
        buf_add_bytes(conn_out(c->conn), buf_bytes(&packet));
    buf_clear(&props);
    buf_clear(&packet);
    if (bad)
        break_off(c, MQTT_SERVER_BUSY, "no memory");
    else if (!fits)
        break_off(c, MQTT_PACKET_TOO_LARGE, "an AUTH packet is larger than its maximum packet size");
}

static void end_exchange(struct client *c)
{
    auth_exchange_free(c->exchange);
    c->exchange = NULL;
}

/* The same identity, proven anew. */
static void proven_again(struct client *c, const struct auth_answer *answer, struct bytes data)
{
    if (answer->verdict != AUTH_GRANTED) {
        break_off(c, answer->verdict == AUTH_BUSY ? MQTT_SERVER_BUSY : MQTT_NOT_AUTHORIZED, answer->because);
        return;
    }
    if (!bytes_equal(answer->principal->text, c->who->text)) {
        principal_drop(answer->principal);
        break_off(c, MQTT_NOT_AUTHORIZED, "it authenticated anew as another user");
        return;
    }
    principal_drop(c->who);
    c->who = answer->principal;
    send_auth(c, MQTT_SUCCESS, data);
}

static void step(struct client *c, struct bytes data)
{
    struct auth_answer answer;
    struct buf reply = { 0 };
    bool connecting = c->state == CLIENT_NEW;
    if (auth_exchange_step(c->exchange, data, loop_now_us(c->shard->loop), &reply, &answer)) {
        send_auth(c, MQTT_CONTINUE_AUTH, buf_bytes(&reply));
    } else {
        end_exchange(c);
        c->enhanced = answer.verdict == AUTH_GRANTED || !connecting;
        if (connecting)
            connect_authenticated(c, &answer, buf_bytes(&reply));
        else
            proven_again(c, &answer, buf_bytes(&reply));
    }
    buf_clear(&reply);
}

static bool begin(struct client *c)
{
    c->exchange = auth_exchange_new(c->shard->broker->config.auth, conn_loopback(c->conn), conn_address(c->conn));
    if (!c->exchange)
        break_off(c, MQTT_SERVER_BUSY, "no memory");
    return c->exchange != NULL;
}

void auth_connect(struct client *c, struct bytes method, struct bytes data)
{
    struct auth *auth = c->shard->broker->config.auth;
    if (!auth || !auth_offers(auth, conn_door(c->conn), method))
        connect_refuse(c, MQTT_BAD_AUTH_METHOD, auth ? "this listener offers no such authentication method (auth: users has SCRAM-SHA-256)"
                                                     : "no enhanced authentication method is offered");
    else if (begin(c))
        step(c, data);
}

void handle_auth(struct client *c, struct bytes body)
{
    bool connecting = c->state == CLIENT_NEW;
    const struct broker *b = c->shard->broker;
    struct mqtt_disconnect p;
    struct fault why;
    enum code code = mqtt_decode_auth(body, connecting ? &rules_of(b)->connect : &rules_of(b)->mqtt, &p, &why);
    if (code != CODE_OK) {
        break_off(c, why.mqtt_reason ? why.mqtt_reason : MQTT_MALFORMED, why.text);
        return;
    }
    if (!connecting && !c->enhanced) { /* 4.12: and so it has no method to authenticate by */
        break_off(c, MQTT_PROTOCOL_ERROR, "AUTH, but its CONNECT had no authentication method");
        return;
    }
    if (!bytes_is(p.props.auth_method, SCRAM_SHA_256)) { /* [MQTT-4.12.0-5], [MQTT-4.12.1-1] */
        break_off(c, MQTT_PROTOCOL_ERROR, "AUTH with another authentication method than its CONNECT");
        return;
    }
    uint8_t expected = c->exchange ? MQTT_CONTINUE_AUTH : MQTT_REAUTHENTICATE;
    if (p.reason != expected) {
        break_off(c, MQTT_PROTOCOL_ERROR, c->exchange ? "AUTH with another reason than 0x18, though an exchange is under way"
                                                      : "AUTH with another reason than 0x19, though no exchange is under way");
        return;
    }
    if (c->exchange || begin(c))
        step(c, p.props.auth_data);
}
