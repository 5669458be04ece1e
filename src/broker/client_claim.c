/* client_claim.c - a client that has signed in gets its session: found, made or taken over, and its will.
 *
 * A session belongs to one connection at a time. A new CONNECT with its identifier posts a kick to the loop of the present
 * owner; that loop closes the old connection (0x8E), lets go of the session and posts the claim back; then the claim is
 * decided anew, because another claimant may have been faster. CONNACK comes after the old one's DISCONNECT (P-TAKE).
 */
#include "broker/client_connect.h"

#include "base/limits_use.h"
#include "base/log.h"

struct kick {
    struct letter   letter;
    struct session *session;  /* one reference */
    struct client  *claimant; /* one reference, counted on the claimant's own loop */
    struct shard   *from;
};

static struct bytes principal_of(const struct client *c)
{
    return c->who->text;
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
    connack_settle(c);
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
    connack_send(c, present, seq);
}
