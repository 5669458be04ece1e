/* Sessions: made, found by their token, closed. */
#include "uaserver/serve.h"

#include "base/log.h"
#include "base/mem.h"
#include "opcua/trust.h"

#include <openssl/crypto.h>
#include <stddef.h>
#include <stdio.h>

enum { NAME_CHARS = 128, NONCE_MIN = 32, NONCE_MAX = 128, URL_MAX = 4096, REQUEST_MAX = 2 * 1024 * 1024 };

/* ---- found ---- */

static bool is_token(const struct uas_session *x, const struct ua_node_id *token)
{
    return CRYPTO_memcmp(x->secret, token->text.at, UAS_SECRET) == 0;
}

/* As a rule it is one of this connection's own. */
struct uas_session *uas_session_find(const struct uas_link *l, const struct ua_node_id *token)
{
    if (token->kind != UA_ID_BYTES || token->ns != 0 || token->text.len != UAS_SECRET)
        return NULL;
    for (struct uas_session *x = l->sessions; x; x = x->next_of_link)
        if (is_token(x, token))
            return x;
    for (struct uas_session *x = l->server->sessions; x; x = x->next)
        if (is_token(x, token))
            return x;
    return NULL;
}

/* ---- attached ---- */

void uas_session_attach(struct uas_session *x, struct uas_link *l)
{
    x->link = l;
    struct bytes host = address_host(conn_address(l->conn));
    (void)snprintf(x->host, sizeof x->host, "%.*s", BYTES_FMT(host));
    x->next_of_link = l->sessions;
    l->sessions = x;
    l->sessionless_us = 0;
}

static void unlink_from_link(struct uas_session *x)
{
    struct uas_link *l = x->link;
    if (!l)
        return;
    struct uas_session **at = &l->sessions;
    while (*at != x)
        at = &(*at)->next_of_link;
    *at = x->next_of_link;
    x->next_of_link = NULL;
    x->link = NULL;
    if (!l->sessions)
        l->sessionless_us = loop_now_us(x->server->loop);
}

void uas_session_detach(struct uas_session *x)
{
    unlink_from_link(x);
    for (int i = 0; i < UAS_HOOKS && x->server->hooks[i]; i++)
        if (x->server->hooks[i]->link_gone)
            x->server->hooks[i]->link_gone(x);
}

/* ---- the end ---- */

static void free_session(struct uas_session *x)
{
    ua_certificate_drop(x->certificate);
    OPENSSL_cleanse(x->secret, sizeof x->secret);
    mem_free(x->name);
    mem_free(x);
}

void uas_session_close(struct uas_session *x, bool delete_subscriptions)
{
    struct ua_server *s = x->server;
    for (int i = 0; i < UAS_HOOKS && s->hooks[i]; i++)
        if (s->hooks[i]->session_closing)
            s->hooks[i]->session_closing(x, delete_subscriptions);
    if (x->ask)
        uas_ask_forget(x->ask);
    unlink_from_link(x);
    timer_stop(s->loop, &x->timer);
    if (x->next)
        x->next->prev = x->prev;
    if (x->prev)
        x->prev->next = x->next;
    else
        s->sessions = x->next;
    s->session_count--;
    uas_sub(&uas_counters.sessions, 1);
    free_session(x);
}

/* Restarted only when it fires: a request costs no more than noting the time. */
static void on_timeout(struct timer *t)
{
    struct uas_session *x = (struct uas_session *)(void *)((char *)t - offsetof(struct uas_session, timer));
    int64_t silent_ms = (loop_now_us(x->server->loop) - x->heard_us) / 1000;
    if ((double)silent_ms < x->timeout_ms) {
        timer_start(x->server->loop, t, (int64_t)x->timeout_ms - silent_ms, on_timeout);
        return;
    }
    UAS_COUNT(sessions_timed_out);
    log_info("opcua", "FG5311 session %s: no request for %.0f s, it is closed", x->name, x->timeout_ms / 1000);
    uas_session_close(x, false);
}

void uas_session_heard(struct uas_session *x)
{
    x->heard_us = loop_now_us(x->server->loop);
}

/* ---- CreateSession ---- */

/* Who has not activated his session in the time that a client has to connect makes room. `host` NULL: of any address. */
static bool end_idle(struct ua_server *s, const struct bytes *host)
{
    int64_t before = loop_now_us(s->loop) - (int64_t)s->limits.connect_s * 1000000;
    struct uas_session *found = NULL;
    for (struct uas_session *x = s->sessions; x; x = x->next)
        if (!x->active && !x->ask && x->created_us <= before && (!host || bytes_is(*host, x->host)))
            found = x;
    if (found)
        uas_session_close(found, true);
    return found != NULL;
}

/* One address must not have all places; our own machine may: who is on it stands behind one address by nature. */
static bool has_share(const struct uas_link *l)
{
    struct ua_server *s = l->server;
    struct bytes host = address_host(conn_address(l->conn));
    uint32_t most = s->limits.sessions / 2 ? s->limits.sessions / 2 : 1, has = 0;
    for (const struct uas_session *x = s->sessions; x && !conn_loopback(l->conn); x = x->next)
        has += bytes_is(host, x->host);
    if (has < most || end_idle(s, &host))
        return true;
    log_warn("opcua", "FG5316 %s refused: its address has %u sessions, the most that one may have is half of the server's %u; close "
             "those that are not used, or let the server have more sessions", conn_address(l->conn), has, s->limits.sessions);
    return false;
}

static bool make_room(const struct uas_link *l)
{
    struct ua_server *s = l->server;
    if (!has_share(l))
        return false;
    if (s->session_count < s->limits.sessions || end_idle(s, NULL))
        return true;
    log_warn("opcua", "FG5313 %s refused: the server has %u sessions, that is all it may have", conn_address(l->conn),
             s->limits.sessions);
    return false;
}

/* The certificate it shows is the one that the channel was opened with, and names the application it says it is. */
static ua_status check_client(const struct uas_request *r, const struct ua_create_session_request *q)
{
    const struct ua_certificate *peer = ua_channel_peer(r->link->channel);
    if (!peer)
        return UA_GOOD;
    struct bytes shown = q->client_certificate;
    if (shown.len < peer->leaf.len || memcmp(shown.at, peer->leaf.at, peer->leaf.len) != 0)
        return UA_BAD_CERTIFICATE_INVALID;
    if (q->client_nonce.len < NONCE_MIN || q->client_nonce.len > NONCE_MAX)
        return UA_BAD_NONCE_INVALID;
    struct fault why;
    ua_status status = ua_certificate_check_uri(peer, q->client_description.application_uri, conn_address(r->link->conn), &why);
    if (status != UA_GOOD)
        log_warn("opcua", "FG%04d %s", why.number, why.text);
    return status;
}

static ua_status check_create(const struct uas_request *r, const struct ua_create_session_request *q)
{
    if (q->server_uri.len && !bytes_is(q->server_uri, r->server->options.application_uri))
        return UA_BAD_SERVER_URI_INVALID;
    if (q->endpoint_url.len > URL_MAX)
        return UA_BAD_TCP_ENDPOINT_URL_INVALID;
    return check_client(r, q);
}

static double revise_timeout(const struct ua_server *s, double asked)
{
    if (!(asked >= s->limits.session_ms_min)) /* NaN, too */
        return s->limits.session_ms_min;
    return asked > s->limits.session_ms_max ? s->limits.session_ms_max : asked;
}

static struct uas_session *make_session(struct uas_request *r, const struct ua_create_session_request *q)
{
    struct ua_server *s = r->server;
    struct uas_session *x = mem_zalloc(1, sizeof *x);
    char name[NAME_CHARS];
    if (!x)
        return NULL;
    if (++s->last_session == 0)
        s->last_session = 1;
    if (q->session_name.len)
        bytes_escape(q->session_name, name, sizeof name);
    else
        (void)snprintf(name, sizeof name, "session %u", s->last_session);
    x->name = mem_strdup(name);
    if (!x->name) {
        mem_free(x);
        return NULL;
    }
    x->server = s;
    uint32_t number;
    s->io->random(s->io->self, &number, sizeof number);
    x->id = (struct ua_node_id){ .ns = 1, .kind = UA_ID_NUMBER, .number = number };
    s->io->random(s->io->self, x->secret, sizeof x->secret);
    s->io->random(s->io->self, x->nonce, sizeof x->nonce);
    struct ua_certificate *peer = ua_channel_peer(r->link->channel);
    x->certificate = peer ? ua_certificate_hold(peer) : NULL;
    x->policy = ua_channel_policy(r->link->channel);
    x->mode = ua_channel_mode(r->link->channel);
    x->timeout_ms = revise_timeout(s, q->requested_session_timeout);
    x->body_max = q->max_response_message_size;
    x->created_us = x->heard_us = loop_now_us(s->loop);
    return x;
}

static void enter(struct uas_session *x, struct uas_link *l)
{
    struct ua_server *s = x->server;
    x->next = s->sessions;
    if (x->next)
        x->next->prev = x;
    s->sessions = x;
    s->session_count++;
    uas_session_attach(x, l);
    timer_start(s->loop, &x->timer, (int64_t)x->timeout_ms, on_timeout);
    UAS_COUNT(sessions);
    UAS_COUNT(sessions_all);
}

/* What proves that we have the key of our certificate: a signature over the client's certificate and nonce. */
static bool sign(const struct uas_request *r, const struct ua_create_session_request *q, struct ua_signature_data *out)
{
    const struct ua_policy *policy = ua_channel_policy(r->link->channel);
    const struct ua_certificate *peer = ua_channel_peer(r->link->channel);
    if (!peer)
        return true;
    EVP_PKEY *key = r->server->options.own->key;
    uint8_t *signature = arena_take(r->arena, ua_rsa_bytes(key));
    if (!signature || !ua_rsa_sign(policy, key, peer->leaf, q->client_nonce, signature))
        return false;
    *out = (struct ua_signature_data){ bytes_str(policy->sign_uri), bytes_of(signature, ua_rsa_bytes(key)) };
    return true;
}

static void refuse(struct uas_request *r, ua_status status)
{
    UAS_COUNT(sessions_refused);
    uas_fault(r, status);
}

void uas_create_session(struct uas_request *r)
{
    struct ua_create_session_request q;
    if (!uas_read(r, &ua_create_session_request_type, &q))
        return;
    ua_status status = check_create(r, &q);
    if (status == UA_GOOD && !make_room(r->link))
        status = UA_BAD_TOO_MANY_SESSIONS;
    if (status != UA_GOOD) {
        refuse(r, status);
        return;
    }
    struct ua_create_session_response a = { .max_request_message_size = REQUEST_MAX };
    struct uas_session *x = make_session(r, &q);
    if (!x || !sign(r, &q, &a.server_signature) ||
        !uas_endpoints(r->link, q.endpoint_url, r->arena, &a.server_endpoints, &a.server_endpoints_count)) {
        if (x)
            free_session(x);
        refuse(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    enter(x, r->link);
    r->body_max = x->body_max;
    a.session_id = x->id;
    a.authentication_token = (struct ua_node_id){ .kind = UA_ID_BYTES, .text = bytes_of(x->secret, sizeof x->secret) };
    a.revised_session_timeout = x->timeout_ms;
    a.server_nonce = bytes_of(x->nonce, sizeof x->nonce);
    if (r->server->options.own)
        a.server_certificate = r->server->options.own->certificate->der;
    uas_answer(r, &ua_create_session_response_type, &a);
}

/* ---- CloseSession, Cancel ---- */

void uas_close_session(struct uas_request *r)
{
    struct ua_close_session_request q;
    if (!uas_read(r, &ua_close_session_request_type, &q))
        return;
    uas_session_close(r->session, q.delete_subscriptions);
    r->session = NULL;
    struct ua_close_session_response a;
    uas_answer(r, &ua_close_session_response_type, &a);
}

void uas_cancel(struct uas_request *r)
{
    struct ua_cancel_request q;
    if (!uas_read(r, &ua_cancel_request_type, &q))
        return;
    struct ua_cancel_response a = { 0 };
    for (int i = 0; i < UAS_HOOKS && r->server->hooks[i]; i++)
        if (r->server->hooks[i]->cancel)
            a.cancel_count += r->server->hooks[i]->cancel(r->session, q.request_handle);
    uas_answer(r, &ua_cancel_response_type, &a);
}
