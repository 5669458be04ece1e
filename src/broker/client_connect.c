/* client_connect.c - CONNECT, until it is known whose it is: what it asks for, whether anybody may come in at all, sign-in.
 * What follows is in client_claim.c. */
#include "broker/client_connect.h"

#include "base/limits_use.h"
#include "base/log.h"

#include <stdio.h>

void connect_ask_free(struct connect_ask *ask)
{
    if (!ask)
        return;
    buf_clear(&ask->auth_data);
    crypto_wipe(ask->body, ask->len); /* there may be a password in it */
    mem_free(ask);
}

uint32_t connect_max_packet(const struct client *c)
{
    return c->version == MQTT_5 && c->ask ? c->ask->connect.props.max_packet : 0;
}

/* Refused before there is a session. */
void connect_refuse(struct client *c, uint8_t reason, const char *because)
{
    struct buf props = { 0 };
    uint32_t most = connect_max_packet(c);
    /* [MQTT-3.2.2-19], [MQTT-3.1.2-24]: 5 bytes without the string; its property has 3 more, longer lengths perhaps 2. */
    if (c->version == MQTT_5 && (!most || strlen(because) + 10 <= most))
        mqtt_put_bytes(&props, MQTT_PROP_REASON_STRING, bytes_str(because));
    log_info("mqtt", "FG2004 %s refused, reason 0x%02X %s: %s", conn_address(c->conn), reason, mqtt_reason_name(reason), because);
    COUNT(c->shard, refused_connects, 1);
    if (!most || most >= 5)
        mqtt_encode_connack(conn_out(c->conn), c->version, false, reason, buf_bytes(&props));
    buf_clear(&props);
    client_end(c, 0, NULL, false);
}

static void settle_expiry(struct client *c, struct connect_ask *ask)
{
    const struct limits *limits = limits_of(c->shard->broker);
    uint32_t want = ask->connect.version == MQTT_5 ? ask->connect.props.session_expiry_s
                    : ask->connect.clean_start     ? 0
                                                   : UINT32_MAX;
    ask->expiry_s = want > limits->session_expiry_s ? limits->session_expiry_s : want;
    ask->expiry_capped = ask->expiry_s != want && ask->connect.version == MQTT_5;
    limits_saw(LIMIT_SESSION_EXPIRY, ask->expiry_s);
    if (ask->expiry_capped)
        limits_refused(LIMIT_SESSION_EXPIRY);
}

static void assign_id(struct client *c, struct connect_ask *ask)
{
    const struct io *io = c->shard->broker->config.io;
    uint64_t r[2];
    io->random(io->self, r, sizeof r);
    (void)snprintf(ask->assigned, sizeof ask->assigned, "auto-%016llx%08llx", (unsigned long long)r[0],
                   (unsigned long long)(r[1] & 0xffffffff));
    ask->connect.client_id = bytes_str(ask->assigned);
    ask->assigned_id = ask->connect.version == MQTT_5;
}

/* ---- who is it? ---- */

static uint8_t reason_of(enum auth_verdict verdict)
{
    switch (verdict) {
    case AUTH_WRONG: return MQTT_BAD_USER_OR_PASSWORD;
    case AUTH_BANNED: return MQTT_BANNED;
    case AUTH_BUSY: return MQTT_SERVER_BUSY;
    default: return MQTT_NOT_AUTHORIZED;
    }
}

static const char banned_text[] = "too many failures to sign in, it has to wait";

/* L-RATE: 3.x has no word for "wait", so the answer itself waits. Meanwhile the client is as any other whose sign-in is not
 * decided: half-open, not read from, and not longer there than connect-seconds. */
static void refuse_late(struct client *c, int64_t wait_us)
{
    c->ask->late_us = wait_us;
    client_pause(c, PAUSE_CONNACK);
    client_arm(c);
}

int64_t connect_late_us(const struct client *c)
{
    return c->ask ? c->ask->late_us : 0;
}

void connect_refuse_now(struct client *c)
{
    connect_refuse(c, MQTT_BANNED, banned_text);
}

static void signed_in(struct client *c, const struct auth_answer *answer)
{
    if (answer->verdict == AUTH_BANNED && c->version != MQTT_5) {
        refuse_late(c, answer->wait_us);
        return;
    }
    if (answer->verdict != AUTH_GRANTED) {
        connect_refuse(c, reason_of(answer->verdict), answer->because);
        return;
    }
    c->who = answer->principal;
    if (c->who->valid_until_us < c->shard->valid_until_us)
        c->shard->valid_until_us = c->who->valid_until_us;
    const struct mqtt_connect *connect = &c->ask->connect;
    if (connect->has_will && !access_may_will(c->shard, c->who->text, connect->client_id, connect->will_topic)) {
        COUNT(c->shard, denied_wills, 1);
        connect_refuse(c, MQTT_NOT_AUTHORIZED, "no rule allows it to publish its will");
        return;
    }
    connect_go_on(c);
}

/* The same of an answer that took its time: a reload may have changed what the listener asks meanwhile. */
static void signed_in_after_all(struct client *c, const struct auth_answer *answer)
{
    if (answer->verdict == AUTH_GRANTED && !auth_door_takes(c->shard->broker->config.auth, conn_door(c->conn), answer->principal)) {
        principal_drop(answer->principal);
        connect_refuse(c, MQTT_NOT_AUTHORIZED, "this listener does not let in by that any more");
        return;
    }
    signed_in(c, answer);
}

/* The pool has decided. The peer may have gone, or lost its patience, or its place to others (L-HALF). */
static void signed_in_later(void *ctx, const struct auth_answer *answer)
{
    struct client *c = ctx;
    if (client_alive(c))
        signed_in_after_all(c, answer);
    else
        principal_drop(answer->principal);
    client_drop(c);
}

void connect_authenticated(struct client *c, const struct auth_answer *answer, struct bytes data)
{
    if (answer->verdict == AUTH_WRONG) { /* 0x86 speaks of a user name and password in CONNECT */
        connect_refuse(c, MQTT_NOT_AUTHORIZED, answer->because);
        return;
    }
    if (answer->verdict == AUTH_GRANTED)
        buf_add_bytes(&c->ask->auth_data, data);
    if (c->ask->auth_data.bad) {
        principal_drop(answer->principal);
        connect_refuse(c, MQTT_SERVER_BUSY, "no memory");
        return;
    }
    signed_in_after_all(c, answer);
}

#ifdef FG_TEST
struct principal *(*broker_test_principal)(struct bytes user);
#endif

/* P-WHO: until this has said yes nothing of what the peer sent reaches anything but the parser of CONNECT. */
static void sign_in(struct client *c)
{
    struct auth *auth = c->shard->broker->config.auth;
    const struct mqtt_connect *connect = &c->ask->connect;
    struct auth_answer answer = { 0 };
    struct auth_ask ask = { .door = conn_door(c->conn), .loopback = conn_loopback(c->conn), .address = conn_address(c->conn),
                            .has_user = connect->has_user, .has_password = connect->has_password,
                            .user = connect->user, .password = connect->password, .certificate = conn_tls_peer(c->conn) };
#ifdef FG_TEST
    if (broker_test_principal && (answer.principal = broker_test_principal(connect->user)) != NULL) {
        signed_in(c, &answer); /* AUTH_GRANTED */
        return;
    }
#endif
    if (mqtt_props_has(&connect->props, MQTT_PROP_AUTH_METHOD)) {
        auth_connect(c, connect->props.auth_method, connect->props.auth_data);
        return;
    }
    if (!auth) {
        answer.principal = principal_anonymous(ask.loopback);
        answer.verdict = answer.principal ? AUTH_GRANTED : AUTH_BUSY;
        answer.because = "no memory";
    } else {
        client_hold(c);
        if (!auth_check(auth, c->shard->loop, &ask, &answer, signed_in_later, c)) {
            client_pause(c, PAUSE_CONNACK); /* it stays half-open, and what it sends meanwhile is not looked at */
            return;
        }
        client_drop(c);
    }
    signed_in(c, &answer);
}

void handle_connect(struct client *c, struct bytes body)
{
    struct broker *b = c->shard->broker;
    struct fault why;
    struct connect_ask *ask = mem_zalloc(1, sizeof *ask + body.len);
    if (!ask) {
        client_end(c, 0, NULL, false);
        return;
    }
    c->ask = ask;
    limits_saw(LIMIT_CONNECT_SECONDS, (uint64_t)(c->last_us - c->doubted_us) / 1000000);
    c->doubted_us = 0;
    ask->len = body.len;
    memcpy(ask->body, body.at, body.len);
    enum code code = mqtt_decode_connect(bytes_of(ask->body, body.len), &rules_of(b)->connect, &ask->connect, &why);
    if (code == CODE_NOMEM) {
        client_end(c, 0, NULL, false);
        return;
    }
    if (ask->connect.version)
        c->version = (uint8_t)ask->connect.version;
    if (code != CODE_OK) {
        COUNT(c->shard, protocol_errors, 1);
        uint8_t reason = why.mqtt_reason ? why.mqtt_reason : MQTT_MALFORMED;
        /* 3.1.1, 3.1.4: what is malformed gets no CONNACK, what is refused does. */
        if (c->version == MQTT_5 || reason == MQTT_UNSUPPORTED_VERSION || reason == MQTT_CLIENT_ID_INVALID)
            connect_refuse(c, reason, why.text);
        else
            client_end(c, reason, &why, false);
        return;
    }
    if (atomic_load(&b->stopping)) {
        connect_refuse(c, MQTT_SERVER_UNAVAILABLE, "the node is stopping"); /* 3.2.2.2: CONNACK has no 0x8B */
        return;
    }
    if (ask->connect.has_will && own_topic(ask->connect.will_topic)) {
        connect_refuse(c, MQTT_NOT_AUTHORIZED, "its will is for a topic below $SYS, $jobs or $actions, where only the node speaks");
        return;
    }
    if (atomic_load(&b->clients) > limits_of(b)->connections) {
        limits_refused(LIMIT_CONNECTIONS);
        connect_refuse(c, c->version == MQTT_5 ? MQTT_QUOTA_EXCEEDED : MQTT_SERVER_UNAVAILABLE,
                       "the node has as many connections as limits.connections allows");
        return;
    }
    uint8_t refused = conn_loopback(c->conn) ? 0 : admit_judge(&b->admit, limits_of(b), conn_address(c->conn),
                                                               loop_now_us(c->shard->loop));
    if (refused) {
        connect_refuse(c, c->version == MQTT_5 ? refused : MQTT_SERVER_UNAVAILABLE,
                       refused == MQTT_CONNECTION_RATE ? "this address connects faster than limits.connect-rate allows"
                                                       : "this address has as many connections as limits.connections-per-address allows");
        return;
    }
    if (broker_over_memory(b)) {
        limits_refused(LIMIT_MEMORY_BYTES);
        connect_refuse(c, c->version == MQTT_5 ? MQTT_SERVER_BUSY : MQTT_SERVER_UNAVAILABLE,
                       "the node is above limits.memory-bytes");
        return;
    }
    settle_expiry(c, ask);
    if (ask->connect.client_id.len == 0)
        assign_id(c, ask);
    sign_in(c);
}
