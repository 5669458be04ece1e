/* client_start.c - the session: the one of before on a new channel, or a new one [Part 4, 5.6]. */
#include "uaclient/client_private.h"

#include "base/mem.h"
#include "opcua/rsa.h"

enum { NONCE_LEAST = 32, REVIVE_TRIES = 2, USER_ARENA = 64 << 10 };

/* ---- words ---- */

static const char *advice(ua_status s)
{
    switch (ua_code(s)) {
    case UA_BAD_TOO_MANY_SESSIONS:
        return ": it has no room for another session; end one, or wait until one times out";
    case UA_BAD_SERVICE_UNSUPPORTED: return ": is this a server for data, or one for discovery only?";
    case UA_BAD_TCP_ENDPOINT_URL_INVALID:
        return ": the path or host in the address is not what it calls itself";
    case UA_BAD_TIMEOUT: return ": it did not answer";
    default: return "";
    }
}

static bool user_refused(ua_status s)
{
    s = ua_code(s);
    return s == UA_BAD_USER_ACCESS_DENIED || s == UA_BAD_IDENTITY_TOKEN_REJECTED ||
           s == UA_BAD_IDENTITY_TOKEN_INVALID || s == UA_BAD_USER_SIGNATURE_INVALID;
}

static bool distrusts(ua_status s)
{
    s = ua_code(s);
    return s == UA_BAD_SECURITY_CHECKS_FAILED ||
           (s >= UA_BAD_CERTIFICATE_INVALID && s <= UA_BAD_CERTIFICATE_ISSUER_REVOKED) ||
           s == UA_BAD_CERTIFICATE_CHAIN_INCOMPLETE || s == UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED ||
           s == UA_BAD_APPLICATION_SIGNATURE_INVALID;
}

void client_refusal(struct ua_client *c, const char *what, ua_status status, struct fault *why)
{
    char scratch[16], name[UA_TELL_BYTES];
    const char *text = ua_status_text(status, scratch);
    if (user_refused(status)) {
        (void)FAIL_FG(why, CODE_REFUSED, UA_FG_USER, "%s refuses the user %s: %s", c->set.url,
                      c->set.user.kind == UA_USER_NAME ? bytes_escape(c->set.user.name, name, sizeof name)
                      : c->set.user.kind == UA_USER_CERTIFICATE ? c->set.user.certificate->certificate->name
                                                                : "without a name",
                      text);
    } else if (distrusts(status) && c->set.own) {
        const struct ua_certificate *own = c->set.own->certificate;
        (void)FAIL_FG(
            why, CODE_REFUSED, UA_FG_NOT_TRUSTED,
            "%s does not trust us yet (%s). Accept our certificate on the server (SHA1 %s, \"%.60s\")%s",
            c->set.url, text, own->hex, own->name, c->set.reconnect ? "; we try again" : "");
    } else {
        (void)FAIL_FG(why, CODE_REFUSED, status == UA_BAD_TIMEOUT ? UA_FG_UNREACHABLE : UA_FG_REFUSED,
                      "%s refuses %s: %s%s", c->set.url, what, text, advice(status));
    }
}

/* ---- ActivateSession ---- */

static void refuse(struct ua_client *c, const char *what, ua_status status)
{
    struct fault why = {0};
    client_refusal(c, what, status, &why);
    client_fail(c, &why);
}

static bool keep_nonce(struct ua_client *c, struct bytes nonce)
{
    buf_reset(&c->nonce);
    buf_add_bytes(&c->nonce, nonce);
    bool ok = !c->nonce.bad;
    c->nonce.bad = false;
    return ok;
}

static void forget_session(struct ua_client *c)
{
    c->have_session = false;
    c->revive_tries = 0;
    arena_reset(&c->session);
}

static void create(struct ua_client *);

static void activated(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_client *c = ctx;
    const struct ua_activate_session_response *r = response;
    (void)arena;
    if (c->state != UA_CLIENT_STARTING)
        return;
    if (status && c->same && status != UA_BAD_CONNECTION_CLOSED && !user_refused(status)) {
        /* It has forgotten the session, or does not let it move: a new one, over this channel. */
        if (ua_code(status) != UA_BAD_SESSION_ID_INVALID && ua_code(status) != UA_BAD_SESSION_CLOSED)
            client_lacks(c, UA_LACK_REACTIVATE);
        forget_session(c);
        create(c);
        return;
    }
    if (status) {
        forget_session(c);
        refuse(c, "the session", status);
        return;
    }
    if (!keep_nonce(c, r->server_nonce)) {
        refuse(c, "the session", UA_BAD_OUT_OF_MEMORY);
        return;
    }
    c->revive_tries = 0;
    client_see(c);
}

static bool sign(struct ua_client *c, struct arena *arena, struct ua_signature_data *s)
{
    if (c->policy->id == UA_POLICY_NONE)
        return true;
    size_t n = ua_rsa_bytes(c->set.own->key);
    uint8_t *at = arena_take(arena, n);
    s->algorithm = bytes_str(c->policy->sign_uri);
    s->signature = bytes_of(at, n);
    return at && ua_rsa_sign(c->policy, c->set.own->key, c->certificate->leaf, buf_bytes(&c->nonce), at);
}

static void activate(struct ua_client *c)
{
    struct ua_activate_session_request r = {0};
    struct fault why = {0};
    struct arena arena;
    arena_init(&arena, NULL, 0, USER_ARENA);
    enum code code = sign(c, &arena, &r.client_signature)
                         ? client_user_token(c, &arena, &r, &why)
                         : FAIL(&why, CODE_NOMEM, 0, "signing did not work: no memory");
    if (!code)
        code = client_ask(c, &ua_activate_session_request_type, &r, &ua_activate_session_response_type, 0,
                          activated, c, &why);
    arena_clear(&arena);
    if (code)
        client_fail(c, &why);
}

/* ---- CreateSession ---- */

static enum code wrong(struct ua_client *c, const char *what, struct fault *why)
{
    return FAIL_FG(why, CODE_PROTOCOL, UA_FG_BROKEN, "%s: %s", c->set.url, what);
}

static enum code check_certificate(struct ua_client *c, struct bytes der, struct fault *why)
{
    struct bytes leaf = c->certificate ? c->certificate->leaf : BYTES_NONE;
    if (!der.len && c->policy->id == UA_POLICY_NONE)
        return CODE_OK;
    bool same = leaf.len && der.len >= leaf.len && bytes_equal(bytes_of(der.at, leaf.len), leaf);
    /* On a channel without security, one that discovery did not tell protects nothing, and is used for nothing. */
    if (same || (!leaf.len && c->policy->id == UA_POLICY_NONE))
        return CODE_OK;
    return FAIL_FG(why, CODE_REFUSED, UA_FG_SWAPPED,
                   "%s answers with another certificate than discovery gave: somebody is between us, or it "
                   "has a new one; then try again",
                   c->set.url);
}

static enum code check_signature(struct ua_client *c, const struct ua_create_session_response *r,
                                 struct fault *why)
{
    if (c->policy->id == UA_POLICY_NONE)
        return CODE_OK;
    struct bytes nonce = bytes_of(c->own_nonce, sizeof c->own_nonce);
    if (!ua_rsa_verify(c->policy, c->certificate->key, c->set.own->certificate->leaf, nonce,
                       r->server_signature.signature))
        return FAIL_FG(why, CODE_REFUSED, UA_FG_SWAPPED,
                       "%s cannot prove that the certificate it shows is its own", c->set.url);
    if (r->server_nonce.len < NONCE_LEAST)
        return wrong(c, "its nonce has less than 32 bytes", why);
    return CODE_OK;
}

static enum code adopt(struct ua_client *c, const struct ua_create_session_response *r, struct fault *why)
{
    enum code code = check_certificate(c, r->server_certificate, why);
    if (!code)
        code = check_signature(c, r, why);
    if (!code)
        code = client_compare(c, r->server_endpoints, r->server_endpoints_count, why);
    if (code)
        return code;
    if (ua_node_id_is_null(&r->authentication_token))
        return wrong(c, "it gives a session without a token", why);
    if (!r->server_nonce.len)
        client_lacks(c, UA_LACK_SIGNATURE);
    arena_reset(&c->session);
    if (!ua_node_id_copy(&c->session, &r->authentication_token, &c->token) ||
        !ua_node_id_copy(&c->session, &r->session_id, &c->session_id) || !keep_nonce(c, r->server_nonce))
        return FAIL(why, CODE_NOMEM, 0, "no memory for a session");
    double ms = r->revised_session_timeout;
    bool sane = ms >= 1 && ms <= 1e12;
    if (!sane)
        client_lacks(c, UA_LACK_REVISED);
    c->session_ms = sane ? ms : (double)c->set.session_ms;
    c->request_bytes = r->max_request_message_size;
    c->have_session = true;
    c->same = false;
    c->sessions++;
    return CODE_OK;
}

static void created(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_client *c = ctx;
    struct fault why = {0};
    (void)arena;
    if (c->state != UA_CLIENT_STARTING)
        return;
    if (status) {
        refuse(c, "a session", status);
        return;
    }
    if (adopt(c, response, &why)) {
        client_fail(c, &why);
        client_forget_found(c);
        return;
    }
    activate(c);
}

static void create(struct ua_client *c)
{
    const struct ua_certificate *own = c->set.own ? c->set.own->certificate : NULL;
    const char *uri = c->set.application_uri ? c->set.application_uri
                      : own && own->uri      ? own->uri
                                             : "urn:fieldgate";
    struct ua_create_session_request r = {
        .client_description = {.application_uri = bytes_str(uri),
                               .product_uri = BYTES_LIT("urn:fieldgate"),
                               .application_name = {BYTES_NONE, bytes_str(c->set.application_name)},
                               .application_type = UA_APPLICATION_CLIENT},
        .endpoint_url = bytes_str(c->set.url),
        .session_name = bytes_str(c->set.name),
        .client_nonce = bytes_of(c->own_nonce, sizeof c->own_nonce),
        .client_certificate = own && c->policy->id != UA_POLICY_NONE ? own->leaf : BYTES_NONE,
        .requested_session_timeout = (double)c->set.session_ms,
        .max_response_message_size = c->set.message_bytes,
    };
    struct fault why = {0};
    c->same = false;
    c->request_bytes = 0;
    c->set.io->random(c->set.io->self, c->own_nonce, sizeof c->own_nonce);
    if (client_ask(c, &ua_create_session_request_type, &r, &ua_create_session_response_type, 0, created, c,
                   &why))
        client_fail(c, &why);
}

void client_start(struct ua_client *c)
{
    client_state(c, UA_CLIENT_STARTING);
    /* One whose server hangs up each time instead of answering does not know it either. */
    if (c->have_session && c->revive_tries++ < REVIVE_TRIES) {
        c->same = true;
        activate(c);
        return;
    }
    forget_session(c);
    create(c);
}

void client_session_lost(struct ua_client *c, ua_status status)
{
    struct fault why = {0};
    char scratch[16];
    forget_session(c);
    (void)FAIL_FG(&why, CODE_CLOSED, UA_FG_REFUSED, "%s has ended our session (%s)", c->set.url,
                  ua_status_text(status, scratch));
    client_fail(c, &why);
}
