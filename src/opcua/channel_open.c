/* channel_open.c - OpenSecureChannel: opening and renewing, tokens and their keys [Part 4, 5.5.2; Part 6, 6.7.5]. */
#include "opcua/channel_private.h"

#include <openssl/crypto.h>

enum { ARENA_BYTES = 2048, ARENA_MAX = 64 * 1024, LIFE_MS_LEAST = 100, LIFE_MS_UNSAID = 1000 };

static const struct ua_policy *const none = &ua_policies[UA_POLICY_NONE];

static struct bytes nonce_of(const struct ua_channel *c, const uint8_t *at)
{
    return c->policy->nonce_bytes ? bytes_of(at, c->policy->nonce_bytes) : BYTES_NONE;
}

static void new_nonce(struct ua_channel *c)
{
    if (c->policy->nonce_bytes)
        c->config.io->random(c->config.io->self, c->own_nonce, c->policy->nonce_bytes);
}

/* A token with the keys that follow from the two nonces. */
static bool make_token(struct turn *t, uint32_t id, uint32_t life_ms, struct token *out)
{
    struct ua_channel *c = t->c;
    *out = (struct token){.id = id, .made_us = t->now.us, .life_us = (int64_t)life_ms * 1000};
    if (c->policy->id == UA_POLICY_NONE)
        return true;
    struct bytes own = nonce_of(c, c->own_nonce), peer = nonce_of(c, c->peer_nonce);
    out->send = ua_keys_new(c->policy, UA_KEYS_SEND, peer, own);
    out->receive = ua_keys_new(c->policy, UA_KEYS_RECEIVE, own, peer);
    if (out->send && out->receive)
        return true;
    token_clear(out);
    return channel_no_memory(t);
}

static bool keep_peer_nonce(struct turn *t, struct bytes nonce)
{
    struct ua_channel *c = t->c;
    size_t n = c->policy->nonce_bytes;
    if (n == 0)
        return true; /* None: what comes is of no use */
    if (nonce.len != n)
        return channel_fail(t, UA_BAD_NONCE_INVALID, UA_BAD_NONCE_INVALID,
                            "the nonce in OpenSecureChannel has %zu bytes, %s needs %zu", nonce.len,
                            c->policy->name, n);
    if (c->state == CHANNEL_OPEN && CRYPTO_memcmp(nonce.at, c->peer_nonce, n) == 0)
        return channel_fail(t, UA_BAD_NONCE_INVALID, UA_BAD_NONCE_INVALID,
                            "the nonce in OpenSecureChannel is the one of the time before");
    memcpy(c->peer_nonce, nonce.at, n);
    return true;
}

/* Decodes what was protected. */
static bool decode(struct turn *t, const struct open_chunk *o, struct arena *arena,
                   const struct ua_struct *type, void *out)
{
    struct ua_reader r = ua_reader_of(o->body, arena, NULL);
    uint32_t encoding = ua_read_type(&r);
    if (encoding == type->encoding)
        ua_read_struct(&r, type, out);
    if (r.status == UA_BAD_OUT_OF_MEMORY)
        return channel_no_memory(t);
    if (encoding == UA_ENCODING_service_fault && t->c->config.role == UA_CLIENT) {
        struct ua_service_fault fault = {0};
        ua_read_struct(&r, &ua_service_fault_type, &fault);
        ua_status status = ua_read_good(&r) && ua_is_bad(fault.header.service_result)
                               ? fault.header.service_result
                               : UA_BAD_UNKNOWN_RESPONSE;
        char scratch[16];
        return channel_fail(t, 0, status, "the server refuses to open a secure channel: %s",
                            ua_status_text(status, scratch));
    }
    if (encoding != type->encoding || !ua_read_good(&r))
        return channel_fail(t, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR,
                            "the body of OpenSecureChannel cannot be read");
    return true;
}

/* ---- server ---- */

static uint32_t revised(const struct ua_channel_limits *l, uint32_t asked_ms)
{
    if (asked_ms == 0 || asked_ms > l->lifetime_ms_max)
        return l->lifetime_ms_max;
    return asked_ms < l->lifetime_ms_min ? l->lifetime_ms_min : asked_ms;
}

static bool offered(const struct ua_channel *c, const struct ua_policy *p, int mode)
{
    return p == none || (c->config.own && c->config.offers && c->config.offers(c->config.ctx, p, mode));
}

/* Before anything costly is done for a stranger. NULL: the channel has failed. */
static const struct ua_policy *choose_policy(struct turn *t, const struct open_chunk *o)
{
    struct ua_channel *c = t->c;
    char text[120];
    const struct ua_policy *p = ua_policy_by_uri(o->policy_uri);
    if (!p || !(offered(c, p, UA_MODE_SIGN) || offered(c, p, UA_MODE_SIGN_AND_ENCRYPT)))
        (void)channel_fail(t, UA_BAD_SECURITY_POLICY_REJECTED, UA_BAD_SECURITY_POLICY_REJECTED,
                           "the client asks for the policy %s, which is %s",
                           p ? p->name : bytes_escape(o->policy_uri, text, sizeof text),
                           p                                        ? "not offered here"
                           : ua_policy_is_deprecated(o->policy_uri) ? "deprecated and not offered"
                                                                    : "not known");
    else if (c->policy && p != c->policy)
        (void)channel_distrust(t, UA_BAD_SECURITY_POLICY_REJECTED,
                               "the client renews with %s what it opened with %s", p->name, c->policy->name);
    return c->state == CHANNEL_OVER ? NULL : p;
}

/* Asked at each renewal as well: who is trusted no more, or whose certificate has ended, goes then. */
static bool believe(struct turn *t)
{
    struct ua_channel *c = t->c;
    struct fault why = {0};
    ua_status status = c->config.verify ? c->config.verify(c->config.ctx, c->peer, &why)
                                        : UA_BAD_CERTIFICATE_UNTRUSTED;
    if (status)
        return channel_distrust(t, status, "%s",
                                why.text[0] ? why.text : "the client's certificate is not trusted");
    return true;
}

/* The certificate it was opened with, or one that can be computed with; and the caller believes it. */
static bool choose_peer(struct turn *t, const struct open_chunk *o)
{
    struct ua_channel *c = t->c;
    const struct ua_certificate *own = c->config.own->certificate;
    struct ua_certificate *peer;
    char words[64];
    struct fault why = {0};
    if (!bytes_equal(o->thumbprint, bytes_of(own->thumbprint, sizeof own->thumbprint)))
        return channel_distrust(
            t, UA_BAD_CERTIFICATE_INVALID,
            "the client has encrypted for another certificate than ours (SHA1 %s); it should fetch the "
            "endpoints again",
            own->hex);
    if (c->peer && bytes_equal(c->peer->der, o->certificate))
        return believe(t);
    enum code code = ua_certificate_read(&peer, o->certificate, &why);
    if (code == CODE_NOMEM)
        return channel_no_memory(t);
    if (code != CODE_OK)
        return channel_distrust(t, UA_BAD_CERTIFICATE_INVALID, "the client's certificate cannot be read: %s",
                                why.text);
    if (c->peer) {
        ua_certificate_drop(peer);
        return channel_distrust(t, UA_BAD_CERTIFICATE_INVALID,
                                "the client renews with another certificate than it opened with");
    }
    c->peer = peer;
    if (!peer->rsa || !ua_rsa_fits(peer->key))
        return channel_distrust(t, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED,
                                "the client's certificate \"%s\" has %s; the policies need RSA of %d to %d",
                                peer->name,
                                peer->key ? ua_rsa_words(peer->key, words) : "no key that can be read",
                                UA_RSA_BITS_MIN, UA_RSA_BITS_MAX);
    return believe(t);
}

static bool judge(struct turn *t, const struct open_chunk *o, const struct ua_policy *p,
                  const struct ua_open_secure_channel_request *r)
{
    struct ua_channel *c = t->c;
    bool renew = r->request_type == UA_TOKEN_RENEW;
    if (!renew && r->request_type != UA_TOKEN_ISSUE)
        return channel_fail(t, UA_BAD_REQUEST_TYPE_INVALID, UA_BAD_REQUEST_TYPE_INVALID,
                            "OpenSecureChannel asks for %d, which is neither a new channel nor a renewal",
                            r->request_type);
    if (renew != (c->state == CHANNEL_OPEN))
        return channel_fail(t, renew ? UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN : UA_BAD_REQUEST_TYPE_INVALID,
                            renew ? UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN : UA_BAD_REQUEST_TYPE_INVALID, "%s",
                            renew ? "a channel is to be renewed that is not open"
                                  : "a second channel is to be opened over one connection");
    if (renew && o->channel != c->id)
        return channel_fail(t, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN,
                            "channel %u is to be renewed, this is %u", o->channel, c->id);
    bool known = p == none ? r->security_mode == UA_MODE_NONE
                           : r->security_mode == UA_MODE_SIGN || r->security_mode == UA_MODE_SIGN_AND_ENCRYPT;
    if (!known || !offered(c, p, r->security_mode) || (renew && r->security_mode != c->mode))
        return channel_fail(t, UA_BAD_SECURITY_MODE_REJECTED, UA_BAD_SECURITY_MODE_REJECTED,
                            "the client asks for mode %d with %s, which is not offered here",
                            r->security_mode, p->name);
    return true;
}

static bool answer(struct turn *t, const struct open_chunk *o, const struct ua_open_secure_channel_request *r,
                   const struct token *token)
{
    struct ua_channel *c = t->c;
    struct ua_open_secure_channel_response a = {
        .header = {.timestamp = ua_time_from_us(t->now.wall_us), .request_handle = r->header.request_handle},
        .security_token = {.channel_id = c->id,
                           .token_id = token->id,
                           .created_at = ua_time_from_us(t->now.wall_us),
                           .revised_lifetime = (uint32_t)(token->life_us / 1000)},
        .server_nonce = nonce_of(c, c->own_nonce),
    };
    return asym_write(c, t->out, o->request_id, c->policy, c->peer, &ua_open_secure_channel_response_type,
                      &a) ||
           channel_no_memory(t);
}

static bool grant(struct turn *t, const struct open_chunk *o, const struct ua_open_secure_channel_request *r)
{
    struct ua_channel *c = t->c;
    struct token token;
    bool renew = c->state == CHANNEL_OPEN;
    if (!keep_peer_nonce(t, r->client_nonce))
        return false;
    new_nonce(c);
    if (!make_token(t, c->last_token + 1, revised(&c->config.limits, r->requested_lifetime), &token))
        return false;
    c->last_token++;
    if (!answer(t, o, r, &token)) {
        token_clear(&token);
        return false;
    }
    /* We go on sending with the old one until the client has used the new one. */
    if (renew && c->other.id && t->now.us >= token_ends_us(&c->token))
        token_promote(c);
    struct token *to = renew ? &c->other : &c->token;
    token_clear(to);
    *to = token;
    c->state = CHANNEL_OPEN;
    c->renewals += renew;
    t->event->kind = renew ? UA_EVENT_RENEWED : UA_EVENT_OPENED;
    t->event->request_id = o->request_id;
    return true;
}

static bool serve(struct turn *t, struct open_chunk *o)
{
    struct ua_channel *c = t->c;
    struct ua_open_secure_channel_request r = {0};
    uint8_t lent[ARENA_BYTES];
    struct arena arena;
    if (c->state != CHANNEL_OPENING && c->state != CHANNEL_OPEN)
        return channel_fail(t, UA_BAD_TCP_MESSAGE_TYPE_INVALID, UA_BAD_TCP_MESSAGE_TYPE_INVALID,
                            "OpenSecureChannel came before HELLO");
    const struct ua_policy *p = choose_policy(t, o);
    if (!p || (p != none && !choose_peer(t, o)) || !asym_unprotect(t, o, p, c->peer) ||
        !channel_sequence(t, o->sequence))
        return false;
    arena_init(&arena, lent, sizeof lent, ARENA_MAX);
    bool ok = decode(t, o, &arena, &ua_open_secure_channel_request_type, &r) && judge(t, o, p, &r);
    if (ok) {
        c->policy = p;
        c->mode = r.security_mode;
        ok = grant(t, o, &r);
    }
    arena_clear(&arena);
    return ok;
}

/* ---- client ---- */

static bool can_secure(const struct ua_channel *c)
{
    const struct ua_certificate *s = c->config.server;
    return c->config.own && s && s->rsa && ua_rsa_fits(s->key);
}

void channel_ask_open(struct turn *t, bool renew)
{
    struct ua_channel *c = t->c;
    c->policy = c->config.policy;
    c->mode = c->config.mode;
    if (c->policy != none && !can_secure(c)) {
        (void)channel_fail(
            t, 0, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED,
            "%s needs a certificate of ours and one of the server's, both RSA of %d to %d bits",
            c->policy->name, UA_RSA_BITS_MIN, UA_RSA_BITS_MAX);
        return;
    }
    if (!c->peer && c->policy != none)
        c->peer = ua_certificate_hold(c->config.server);
    new_nonce(c);
    c->opening_id = ua_channel_request_id(c);
    struct ua_open_secure_channel_request r = {
        .header = {.timestamp = ua_time_from_us(t->now.wall_us), .request_handle = c->opening_id},
        .request_type = renew ? UA_TOKEN_RENEW : UA_TOKEN_ISSUE,
        .security_mode = c->mode,
        .client_nonce = nonce_of(c, c->own_nonce),
        .requested_lifetime = c->config.limits.lifetime_ms_max,
    };
    c->renewing = true;
    if (!asym_write(c, t->out, c->opening_id, c->policy, c->peer, &ua_open_secure_channel_request_type, &r))
        (void)channel_no_memory(t);
}

static bool same_server(struct turn *t, const struct open_chunk *o)
{
    const struct ua_channel *c = t->c;
    if (!bytes_is(o->policy_uri, c->policy->uri))
        return channel_fail(t, 0, UA_BAD_SECURITY_POLICY_REJECTED,
                            "the server answers with another policy than %s", c->policy->name);
    if (c->policy == none)
        return true;
    /* Some servers send their issuers along, and some do not. */
    bool same = o->certificate.len >= c->peer->leaf.len &&
                bytes_equal(bytes_of(o->certificate.at, c->peer->leaf.len), c->peer->leaf);
    const struct ua_certificate *own = c->config.own->certificate;
    if (!same || !bytes_equal(o->thumbprint, bytes_of(own->thumbprint, sizeof own->thumbprint)))
        return channel_fail(t, 0, UA_BAD_CERTIFICATE_INVALID,
                            same
                                ? "the server has encrypted for another certificate than ours"
                                : "the server answers with another certificate than the one of its endpoint");
    return true;
}

/* How long a token lives. Some servers grant less than a second; one that says nothing means none of its own. */
static uint32_t granted(uint32_t ms)
{
    return ms == 0 ? LIFE_MS_UNSAID : ms < LIFE_MS_LEAST ? LIFE_MS_LEAST : ms;
}

/* Which of the past ones makes room. The server sends under an old one until it hears the new one, so those it never heard of go
 * before the one it may still be at. */
static unsigned dispensable(const struct ua_channel *c)
{
    for (unsigned i = PAST_TOKENS; i-- > 0;)
        if (!c->past[i].used)
            return i;
    return PAST_TOKENS - 1;
}

/* The present token becomes a past one; those that have ended go, and one whose number is given out once more. */
static void retire(struct turn *t, uint32_t again)
{
    struct ua_channel *c = t->c;
    unsigned n = 0;
    if (!c->token.id)
        return;
    for (unsigned i = 0; i < PAST_TOKENS; i++) {
        struct token past = c->past[i];
        c->past[i] = (struct token){0};
        if (past.id && past.id != again && t->now.us < token_ends_us(&past))
            c->past[n++] = past;
        else
            token_clear(&past);
    }
    if (n == PAST_TOKENS) {
        unsigned gone = dispensable(c);
        token_clear(&c->past[gone]);
        memmove(&c->past[gone], &c->past[gone + 1], (--n - gone) * sizeof *c->past);
    }
    memmove(&c->past[1], &c->past[0], n * sizeof *c->past);
    c->past[0] = c->token;
    c->past[0].send = NULL;
    ua_keys_free(c->token.send);
    c->token = (struct token){0};
}

static bool adopt(struct turn *t, const struct ua_open_secure_channel_response *r)
{
    struct ua_channel *c = t->c;
    struct token token;
    uint32_t life_ms = granted(r->security_token.revised_lifetime);
    char scratch[16];
    bool renew = c->state == CHANNEL_OPEN;
    if (ua_is_bad(r->header.service_result))
        return channel_fail(t, 0, r->header.service_result, "the server refuses to open a secure channel: %s",
                            ua_status_text(r->header.service_result, scratch));
    if (r->security_token.channel_id == 0 || r->security_token.token_id == 0 ||
        (renew && (r->security_token.channel_id != c->id || r->security_token.token_id == c->token.id)))
        return channel_fail(t, 0, UA_BAD_SECURE_CHANNEL_ID_INVALID,
                            "the server names channel %u and token %u, this is channel %u",
                            r->security_token.channel_id, r->security_token.token_id, c->id);
    if (!keep_peer_nonce(t, r->server_nonce) || !make_token(t, r->security_token.token_id, life_ms, &token))
        return false;
    retire(t, token.id);
    c->token = token;
    c->id = r->security_token.channel_id;
    c->state = CHANNEL_OPEN;
    c->renewals += renew;
    c->renewing = false;
    t->event->kind = renew ? UA_EVENT_RENEWED : UA_EVENT_OPENED;
    return true;
}

static bool answered(struct turn *t, struct open_chunk *o)
{
    struct ua_channel *c = t->c;
    struct ua_open_secure_channel_response r = {0};
    uint8_t lent[ARENA_BYTES];
    struct arena arena;
    if (!c->renewing)
        return channel_fail(t, 0, UA_BAD_TCP_MESSAGE_TYPE_INVALID,
                            "the server answers an OpenSecureChannel that was not sent");
    if (!same_server(t, o) || !asym_unprotect(t, o, c->policy, c->peer) || !channel_sequence(t, o->sequence))
        return false;
    if (o->request_id != c->opening_id)
        return channel_fail(t, 0, UA_BAD_UNKNOWN_RESPONSE, "OpenSecureChannel %u is answered, %u was sent",
                            o->request_id, c->opening_id);
    arena_init(&arena, lent, sizeof lent, ARENA_MAX);
    bool ok = decode(t, o, &arena, &ua_open_secure_channel_response_type, &r) && adopt(t, &r);
    arena_clear(&arena);
    return ok;
}

bool channel_on_open(struct turn *t, struct bytes chunk)
{
    struct open_chunk o;
    if (t->c->assembling)
        return channel_fail(t, UA_BAD_TCP_MESSAGE_TYPE_INVALID, UA_BAD_TCP_MESSAGE_TYPE_INVALID,
                            "OpenSecureChannel came between the chunks of a message");
    bool ok = asym_read(t, chunk, &o) && (t->c->config.role == UA_SERVER ? serve(t, &o) : answered(t, &o));
    asym_clear(&o);
    return ok;
}
