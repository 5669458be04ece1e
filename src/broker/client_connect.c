/* client_connect.c - CONNECT, takeover, DISCONNECT.
 *
 * A session belongs to one connection at a time. A new CONNECT with its identifier posts a kick to the loop of the present
 * owner; that loop closes the old connection (0x8E), lets go of the session and posts the claim back; then the claim is
 * decided anew, because another claimant may have been faster. CONNACK comes after the old one's DISCONNECT (P-TAKE).
 */
#include "broker/private.h"

#include "base/limits_use.h"
#include "base/log.h"
#include "mqtt/topic.h"

#include <stdio.h>

struct connect_ask {
    struct mqtt_connect connect; /* views into body */
    uint32_t            expiry_s;
    const char         *because; /* it is refused; NULL: see the reason */
    bool                expiry_capped, assigned_id;
    int64_t             late_us; /* it is refused as banned, after this time; 0: it is not */
    char                assigned[40];
    struct buf          auth_data; /* of enhanced authentication, for the CONNACK */
    size_t              len;
    uint8_t             body[];
};

struct kick {
    struct letter   letter;
    struct session *session;  /* one reference */
    struct client  *claimant; /* one reference, counted on the claimant's own loop */
    struct shard   *from;
};

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

static struct bytes principal_of(const struct client *c)
{
    return c->who->text;
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

/* The pool has decided. The peer may have gone, or lost its patience, or its place to others (L-HALF). */
static void signed_in_later(void *ctx, const struct auth_answer *answer)
{
    struct client *c = ctx;
    if (client_alive(c))
        signed_in(c, answer);
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
    signed_in(c, answer);
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
    if (ask->connect.has_will && sys_topic(ask->connect.will_topic)) {
        connect_refuse(c, MQTT_NOT_AUTHORIZED, "its will is for a $SYS topic, where only the broker speaks");
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
    if (atomic_load(&b->admit.over_memory)) {
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

/* ---- taking over ---- */

static void open_claim(struct letter *letter, struct loop *here)
{
    struct kick *k = (struct kick *)letter;
    struct client *c = k->claimant;
    (void)here;
    session_drop(k->session);
    mem_free(k);
    if (c->state == CLIENT_CLAIMING && c->conn)
        connect_go_on(c);
    client_drop(c);
}

void connect_kicked(struct client *old)
{
    struct fault why;
    (void)FAIL(&why, CODE_CLOSED, 0, "another connection took the client identifier over");
    COUNT(old->shard, takeovers, 1);
    client_end(old, MQTT_TAKEN_OVER, &why, true);
}

/* A turn later than the kick: the old connection's DISCONNECT has left (P-TAKE). */
static void open_kicked(struct letter *letter, struct loop *here)
{
    struct kick *k = (struct kick *)letter;
    (void)here;
    k->letter.open = open_claim;
    loop_post(k->from->loop, &k->letter);
}

static void open_kick(struct letter *letter, struct loop *here)
{
    struct kick *k = (struct kick *)letter;
    struct shard *shard = loop_user(here);
    if (atomic_load(&k->session->shard) == shard->number && k->session->client)
        connect_kicked(k->session->client);
    k->letter.open = open_kicked;
    loop_post(here, &k->letter);
}

static enum code post_kick(struct client *c, struct session *s, struct shard *at)
{
    struct kick *k = mem_alloc(sizeof *k);
    if (!k)
        return CODE_NOMEM;
    *k = (struct kick){ .letter = { .open = open_kick }, .session = session_hold(s), .claimant = client_hold(c),
                        .from = c->shard };
    client_known(c, CLIENT_CLAIMING);
    client_pause(c, PAUSE_CONNACK);
    loop_post(at->loop, &k->letter);
    return CODE_OK;
}

/* ---- attaching ---- */

static struct will *make_will(struct client *c, const struct mqtt_connect *ask, struct session *s)
{
    struct buf props = { 0 };
    struct will *w = mem_zalloc(1, sizeof *w);
    if (ask->version == MQTT_5)
        mqtt_props_forwardable(ask->will_props.raw, &props);
    bool expires = ask->version == MQTT_5 && mqtt_props_has(&ask->will_props, MQTT_PROP_MESSAGE_EXPIRY);
    struct message_parts parts = {
        .qos = ask->will_qos, .retain = ask->will_retain, .expires = expires,
        .text = ask->version == MQTT_5 && ask->will_props.payload_format == 1,
        .expiry_s = expires ? ask->will_props.message_expiry_s : 0,
        .wall_us = loop_wall_us(c->shard->loop), .now_us = loop_now_us(c->shard->loop),
        .topic = ask->will_topic, .principal = s->principal, .source = s->client_id, .props = buf_bytes(&props),
        .payload = ask->will_payload };
    if (w && !props.bad)
        w->message = message_new(&parts);
    buf_clear(&props);
    if (!w || !w->message) {
        mem_free(w);
        return NULL;
    }
    w->session_id = s->id;
    w->delay_s = ask->version == MQTT_5 ? ask->will_props.will_delay_s : 0;
    return w;
}

/* Delayed wills of a session that is resumed are withdrawn, of one that ends are due (3.1.3.2.2). Registry held. *seq: the
 * record that a CONNACK which says so must wait for. */
static void settle_delayed_wills(struct broker *b, const struct session *s, bool resumed, int64_t now, uint64_t *seq)
{
    uint64_t id = s->id;
    journal_lock(b->journal);
    for (struct will *w = b->wills, *next; w; w = next) {
        next = w->next;
        if (w->session_id != id || !w->delay_s || !w->due_us || w->due_us <= now || w->withdrawn)
            continue; /* due already, as one without a delay is after a crash: the session came too late for it */
        if (resumed) {
            will_withdraw(b, w, now, seq);
        } else {
            w->due_us = 1;
            session_expires_at(b, 1);
        }
    }
    journal_unlock(b->journal);
}

/* What the connection leaves in the journal, as one piece: nothing of it on failure. Registry held. */
static enum code record_connect(struct broker *b, struct client *c, struct session *s, bool fresh, struct will *will,
                                uint64_t *seq, struct fault *why)
{
    enum code code = CODE_OK;
    journal_lock(b->journal);
    if (s->durable && fresh)
        code = table_reserve(&b->by_id) == CODE_OK ? fold_open(b, s, seq, why)
                                                   : FAIL(why, CODE_NOMEM, 0, "no memory for a session");
    else if (s->durable)
        code = fold_connect(b, s, c->ask->expiry_s, seq, why);
    if (code == CODE_OK && will) {
        will->id = b->next_will_id++;
        code = fold_will(b, will, seq, why);
        if (code == CODE_OK)
            c->will_id = will->id;
        else if (fresh && s->durable && fold_end(b, s, NULL) != CODE_OK)
            s->expiry_s = 0; /* ends at the next start at the latest */
    }
    journal_unlock(b->journal);
    return code;
}

/* Where this client's answers may be published to (3.2.2.3.15), if the settings say where and it asks. */
static void put_response_information(const struct client *c, struct buf *props)
{
    const struct broker_config *config = &c->shard->broker->config;
    const struct mqtt_connect *ask = &c->ask->connect;
    struct buf text = { 0 };
    if (!config->response_topics || !*config->response_topics || !ask->props.request_response)
        return;
    buf_printf(&text, "%s/%.*s", config->response_topics, BYTES_FMT(ask->client_id));
    /* An identifier with a wildcard in it makes no topic. */
    if (!text.bad && topic_name_valid(buf_bytes(&text), limits_of(c->shard->broker)->topic_bytes,
                                      limits_of(c->shard->broker)->topic_levels))
        mqtt_put_bytes(props, MQTT_PROP_RESPONSE_INFO, buf_bytes(&text));
    buf_clear(&text);
}

static void send_connack(struct client *c, bool present, uint64_t seq)
{
    struct connect_ask *ask = c->ask;
    struct buf props = { 0 }, blob = { 0 };
    if (c->version == MQTT_5) {
        if (ask->expiry_capped)
            mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, ask->expiry_s);
        if (c->receive_max < 65535)
            mqtt_put_u16(&props, MQTT_PROP_RECEIVE_MAX, (uint16_t)c->receive_max);
        mqtt_put_u32(&props, MQTT_PROP_MAX_PACKET, c->packet_bytes);
        if (ask->assigned_id)
            mqtt_put_bytes(&props, MQTT_PROP_ASSIGNED_CLIENT_ID, ask->connect.client_id);
        put_response_information(c, &props);
        if (c->alias_in_max)
            mqtt_put_u16(&props, MQTT_PROP_TOPIC_ALIAS_MAX, c->alias_in_max);
        if (c->keep_alive_s != ask->connect.keep_alive_s)
            mqtt_put_u16(&props, MQTT_PROP_SERVER_KEEP_ALIVE, c->keep_alive_s);
    }
    if (c->enhanced) { /* [MQTT-4.12.0-5] */
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_METHOD, ask->connect.props.auth_method);
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_DATA, buf_bytes(&ask->auth_data));
    }
    mqtt_encode_connack(&blob, c->version, present, 0, buf_bytes(&props));
    buf_clear(&props);
    connect_ask_free(c->ask);
    c->ask = NULL;
    if (c->max_packet && buf_size(&blob) > c->max_packet) { /* [MQTT-3.1.2-24]: what we must say does not fit */
        struct fault why;
        (void)FAIL(&why, CODE_LIMIT, 0, "it takes packets of %u bytes, CONNACK has %zu", c->max_packet, buf_size(&blob));
        buf_clear(&blob);
        client_end(c, 0, &why, true);
        return;
    }
    client_pause(c, PAUSE_CONNACK);
    shard_ack(c->shard, c, seq, MQTT_CONNACK, 0, 0, buf_bytes(&blob));
    buf_clear(&blob);
}

static void settle_connection(struct client *c)
{
    const struct mqtt_connect *ask = &c->ask->connect;
    const struct limits *limits = limits_of(c->shard->broker);
    bool five = ask->version == MQTT_5;
    c->window = five && mqtt_props_has(&ask->props, MQTT_PROP_RECEIVE_MAX) ? ask->props.receive_max : 65535;
    c->max_packet = five ? ask->props.max_packet : 0;
    c->alias_max = five ? ask->props.topic_alias_max : 0;
    c->request_problem = !five || ask->props.request_problem;
    c->keep_alive_s = ask->keep_alive_s;
    uint32_t longest = limits->keep_alive_s > 65535 ? 65535 : limits->keep_alive_s;
    /* L-KEEP: told in CONNACK. 3.x cannot be told: only a client that announced no life sign at all is looked after. */
    if (c->keep_alive_s == 0 || (five && c->keep_alive_s > longest))
        c->keep_alive_s = (uint16_t)longest;
    limits_saw(LIMIT_KEEP_ALIVE, c->keep_alive_s);
    if (five && ask->keep_alive_s > longest)
        limits_refused(LIMIT_KEEP_ALIVE);
    client_known(c, CLIENT_ACCEPTED);
    client_arm(c);
}

/* P-TELL */
static void tell_abandoned(const struct client *c, uint64_t waited)
{
    char id[128], who[128];
    COUNT(c->shard, abandoned_sessions, 1);
    log_warn("broker", "FG2208 an anonymous session of the client identifier '%s' ended, with %llu messages that waited in it: "
             "%s signed in with it, and no listener lets anonymous in any more",
             bytes_escape(c->ask->connect.client_id, id, sizeof id), (unsigned long long)waited,
             bytes_escape(principal_of(c), who, sizeof who));
}

/* Has its identity as many of them as it may have (L-SESS, L-CONNS)? Registry held, and no connection has the session. */
static bool over_its_share(const struct client *c, enum owned what, uint32_t limit)
{
    const struct owners *owners = &c->shard->broker->owners;
    struct bytes who = principal_of(c);
    return owner_counted(who, what) && owner_has(owners, who, what) >= limit;
}

/* Registry held. NULL: refused, with the reason. */
static struct session *find_or_make(struct client *c, struct session *s, bool *fresh, uint64_t *seq, uint8_t *reason)
{
    struct broker *b = c->shard->broker;
    struct connect_ask *ask = c->ask;
    *fresh = false;
    /* The sweep that ends sessions runs once a second: what is over is not there, swept or not. */
    int64_t now = loop_now_us(c->shard->loop);
    bool expired = s && s->expires_us && s->expires_us <= now;
    bool foreign = s && !bytes_equal(s->principal, principal_of(c)); /* an abandoned one */
    if (over_its_share(c, OWNED_CONNECTIONS, limits_of(b)->connections_per_identity)) {
        limits_refused(LIMIT_CONNECTIONS_PER_IDENTITY);
        ask->because = "this identity has as many connections as limits.connections-per-identity allows";
        *reason = MQTT_QUOTA_EXCEEDED;
        return NULL;
    }
    if (s && (ask->connect.clean_start || expired || foreign)) {
        settle_delayed_wills(b, s, false, now, seq);
        journal_lock(b->journal);
        uint64_t waited = s->queue.open;
        journal_unlock(b->journal);
        if (session_end(b, s, NULL) != CODE_OK) {
            *reason = MQTT_QUOTA_EXCEEDED;
            return NULL;
        }
        if (foreign)
            tell_abandoned(c, waited);
        s = NULL;
    }
    if (s)
        return s;
    *fresh = true;
    *reason = MQTT_SERVER_BUSY;
    if (b->sessions.count >= limits_of(b)->sessions) {
        limits_refused(LIMIT_SESSIONS);
        ask->because = "the node has as many sessions as limits.sessions allows";
        *reason = MQTT_QUOTA_EXCEEDED;
        return NULL;
    }
    if (over_its_share(c, OWNED_SESSIONS, limits_of(b)->sessions_per_identity)) {
        limits_refused(LIMIT_SESSIONS_PER_IDENTITY);
        ask->because = "this identity has as many sessions as limits.sessions-per-identity allows";
        *reason = MQTT_QUOTA_EXCEEDED;
        return NULL;
    }
    journal_lock(b->journal);
    uint64_t id = b->next_session_id++;
    /* Session present 0 must still be true after a crash: CONNACK waits until all ends are on disk (P-SESS). */
    *seq = journal_failed(b->journal) ? 0 : b->last_end_seq;
    journal_unlock(b->journal);
    s = session_new(id, ask->connect.client_id, principal_of(c), ask->expiry_s > 0);
    if (s && session_list(b, s) != CODE_OK) {
        session_drop(s);
        s = NULL;
    }
    if (s) {
        s->expiry_s = ask->expiry_s;
    }
    return s;
}

static void forget_fresh(struct broker *b, struct session *s)
{
    if (!s->ended) {
        journal_lock(b->journal);
        if (!s->durable || session_by_id(b, s->id) != s)
            s->ended = true; /* never recorded */
        journal_unlock(b->journal);
    }
    if (s->linked && s->ended) {
        session_unlist(b, s);
        session_drop(s);
    }
}

/* Registry held. */
static uint8_t attach(struct client *c, struct session *found, bool *present, uint64_t *seq)
{
    struct broker *b = c->shard->broker;
    uint8_t reason = 0;
    bool fresh;
    struct session *s = find_or_make(c, found, &fresh, seq, &reason);
    if (!s)
        return reason;
    bool has_will = c->ask->connect.has_will;
    struct will *will = has_will ? make_will(c, &c->ask->connect, s) : NULL;
    struct fault why;
    enum code code = (has_will && !will) || !pidset_copy(&c->in_pids, &s->in_pids) ? CODE_NOMEM : CODE_OK;
    if (code == CODE_OK)
        code = record_connect(b, c, s, fresh, will, seq, &why);
    if (code != CODE_OK) {
        if (will && !c->will_id) {
            message_drop(will->message);
            mem_free(will);
        }
        if (fresh)
            forget_fresh(b, s);
        return code == CODE_FULL ? MQTT_QUOTA_EXCEEDED : MQTT_SERVER_BUSY;
    }
    *present = !fresh;
    if (!fresh)
        settle_delayed_wills(b, s, true, loop_now_us(c->shard->loop), seq);
    s->expires_us = 0;
    s->owner = c;
    s->client = c;
    session_connected(b, s, true);
    c->session = session_hold(s);
    journal_lock(b->journal);
    c->send_next = s->queue.head;
    journal_unlock(b->journal);
    c->inflight_in = 0; /* 4.9: the quota begins anew with each connection */
    settle_connection(c);
    atomic_store(&s->window, c->window);
    atomic_store(&s->choked, true); /* until its CONNACK is out; of a group, others get what comes meanwhile */
    atomic_fetch_add_explicit(&c->shard->signed_in, 1, memory_order_relaxed);
    atomic_store(&s->shard, c->shard->number);
    pthread_rwlock_rdlock(&b->tree_lock);
    share_present(s, true);
    pthread_rwlock_unlock(&b->tree_lock);
    return 0;
}

/* Where nobody had to sign in before, sessions of no one in particular are left, and nobody can come back for them when no
 * listener lets anonymous in any more: such a session ends when somebody signs in with its client identifier. While one does,
 * it is somebody's. The other way round nothing is ever given away. Registry held. */
static bool abandoned(const struct client *c, const struct session *s)
{
    const struct auth *auth = c->shard->broker->config.auth;
    return auth && !s->owner && bytes_is(s->principal, "anonymous") && !auth_has_door(auth, AUTH_ANONYMOUS);
}

void connect_go_on(struct client *c)
{
    struct broker *b = c->shard->broker;
    for (;;) {
        pthread_mutex_lock(&b->registry);
        struct session *s = table_get(&b->sessions, c->ask->connect.client_id);
        if (s && !bytes_equal(s->principal, principal_of(c)) && !abandoned(c, s)) {
            pthread_mutex_unlock(&b->registry);
            connect_refuse(c, MQTT_NOT_AUTHORIZED, "the session of this client identifier belongs to another user");
            return;
        }
        if (!s || !s->owner)
            break;
        struct client *old = s->owner;
        struct shard *at = old->shard;
        enum code code = at == c->shard ? CODE_OK : post_kick(c, s, at);
        pthread_mutex_unlock(&b->registry);
        if (at == c->shard) {
            connect_kicked(old);
            continue;
        }
        if (code != CODE_OK)
            connect_refuse(c, MQTT_SERVER_BUSY, "no memory");
        return;
    }
    bool present = false;
    uint64_t seq = 0;
    uint8_t reason = attach(c, table_get(&b->sessions, c->ask->connect.client_id), &present, &seq);
    pthread_mutex_unlock(&b->registry);
    journal_kick(b->journal);
    if (reason) {
        client_resume(c, PAUSE_CONNACK);
        connect_refuse(c, reason, c->ask->because ? c->ask->because : "the session could not be made or stored");
        return;
    }
    COUNT(c->shard, connects, 1);
    send_connack(c, present, seq);
}

/* ---- DISCONNECT ---- */

void handle_disconnect(struct client *c, struct bytes body)
{
    struct mqtt_disconnect d;
    struct fault why;
    if (mqtt_decode_disconnect(c->version, body, &rules_of(c->shard->broker)->mqtt, &d, &why) != CODE_OK) {
        client_end(c, why.mqtt_reason ? why.mqtt_reason : MQTT_MALFORMED, &why, true);
        return;
    }
    struct session *s = c->session;
    bool changes = c->version == MQTT_5 && mqtt_props_has(&d.props, MQTT_PROP_SESSION_EXPIRY);
    if (changes && d.props.session_expiry_s && s->expiry_s == 0) {
        /* 3.14.2.2.2: zero at CONNECT stays zero. */
        (void)FAIL(&why, CODE_PROTOCOL, 0, "DISCONNECT sets a session expiry, CONNECT had none");
        client_end(c, MQTT_PROTOCOL_ERROR, &why, true);
        return;
    }
    if (changes && s->durable) {
        uint32_t limit = limits_of(c->shard->broker)->session_expiry_s;
        uint32_t expiry = d.props.session_expiry_s > limit ? limit : d.props.session_expiry_s;
        shard_commit(c->shard);
        journal_lock(c->shard->broker->journal);
        if (fold_connect(c->shard->broker, s, expiry, NULL, &why) != CODE_OK)
            log_warn("broker", "FG2034 a new session expiry could not be recorded: %s", why.text);
        journal_unlock(c->shard->broker->journal);
    }
    client_end(c, 0, NULL, d.reason != 0);
}
