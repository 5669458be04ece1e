/* client_find.c - discovery: which endpoint, and whether its server is to be believed.
 *
 * Nothing that a server says makes us dial another address than the one in options.url: there are no redirects to follow.
 */
#include "uaclient/client_private.h"

#include "uaclient/client_trust.h"

#include <stdio.h>

#define BINARY "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"

void client_forget_found(struct ua_client *c)
{
    arena_reset(&c->found);
    c->endpoints = NULL;
    c->endpoint_count = 0;
    c->endpoint = NULL;
    ua_certificate_drop(c->certificate);
    c->certificate = NULL;
}

/* ---- choosing ---- */

const struct ua_user_token_policy *client_token_policy(const struct ua_client *c,
                                                       const struct ua_endpoint_description *e)
{
    const struct ua_user_token_policy *best = NULL;
    for (uint32_t i = 0; i < e->user_identity_tokens_count; i++) {
        const struct ua_user_token_policy *t = &e->user_identity_tokens[i];
        const struct ua_policy *p = t->security_policy_uri.len ? ua_policy_by_uri(t->security_policy_uri)
                                                               : NULL;
        if (t->token_type != (int32_t)c->set.user.kind || (t->security_policy_uri.len && !p))
            continue;
        const struct ua_policy *b = best && best->security_policy_uri.len
                                        ? ua_policy_by_uri(best->security_policy_uri)
                                        : NULL;
        if (!best || (p && (!b || p->level > b->level)))
            best = t;
    }
    return best;
}

static bool fits(const struct ua_client *c, const struct ua_endpoint_description *e,
                 const struct ua_policy **policy)
{
    const struct ua_policy *p = *policy = ua_policy_by_uri(e->security_policy_uri);
    if (!p || e->security_mode < UA_MODE_NONE || e->security_mode > UA_MODE_SIGN_AND_ENCRYPT)
        return false;
    if ((p->id == UA_POLICY_NONE) != (e->security_mode == UA_MODE_NONE))
        return false;
    if (e->transport_profile_uri.len && !bytes_is(e->transport_profile_uri, BINARY))
        return false;
    if (c->set.policy && p != ua_policy_by_name(bytes_str(c->set.policy)))
        return false;
    if (c->set.mode && e->security_mode != (int)c->set.mode)
        return false;
    return p->id == UA_POLICY_NONE || c->set.own;
}

/* Encrypted before signed, then the stronger policy, then what the server prefers. */
static int worth(const struct ua_endpoint_description *e, const struct ua_policy *p)
{
    return e->security_mode * 10000 + p->level * 256 + e->security_level;
}

static const struct ua_endpoint_description *choose(const struct ua_client *c,
                                                    const struct ua_endpoint_description *at, size_t n,
                                                    const struct ua_policy **policy)
{
    const struct ua_endpoint_description *best = NULL;
    *policy = NULL;
    for (size_t i = 0; i < n && i < UA_ENDPOINTS_MAX; i++) {
        const struct ua_policy *p;
        if (!fits(c, &at[i], &p) || (best && worth(&at[i], p) <= worth(best, *policy)))
            continue;
        /* Some servers list no token policies at all and take anonymous users. */
        bool anonymous = c->set.user.kind == UA_USER_ANONYMOUS && at[i].user_identity_tokens_count == 0;
        if (!anonymous && !client_token_policy(c, &at[i]))
            continue;
        best = &at[i];
        *policy = p;
    }
    return best;
}

static const char *const users[] = {"anonymous users", "users with a password", "users with a certificate",
                                    "tokens"};
enum { OFFERS_TOLD = 12, USERS = sizeof users / sizeof *users };

static bool policy_told(const struct ua_endpoint_description *at, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (bytes_equal(at[k].security_policy_uri, at[i].security_policy_uri))
            return true;
    return false;
}

/* The policies, with their modes if one was asked for; and for whom. A sentence has to have room for it. */
static void offers(const struct ua_client *c, struct buf *b)
{
    static const char *const modes[] = {"?", "", " Sign", " SignAndEncrypt"};
    const struct ua_endpoint_description *at = c->endpoints;
    unsigned kinds = 0, told = 0;
    for (size_t i = 0; i < c->endpoint_count && i < OFFERS_TOLD; i++) {
        const struct ua_policy *p = ua_policy_by_uri(at[i].security_policy_uri);
        int mode = at[i].security_mode;
        for (uint32_t k = 0; k < at[i].user_identity_tokens_count; k++) {
            int kind = at[i].user_identity_tokens[k].token_type;
            kinds |= kind >= 0 && kind < USERS ? 1u << kind : 0;
        }
        if (c->set.mode || !policy_told(at, i))
            buf_printf(b, "%s%s%s", told++ ? ", " : "", p ? p->name : "one we do not know",
                       !c->set.mode             ? ""
                       : mode >= 1 && mode <= 3 ? modes[mode]
                                                : modes[0]);
    }
    const char *between = " for ";
    for (unsigned kind = 0; kind < USERS; kind++) {
        if (!(kinds >> kind & 1))
            continue;
        buf_printf(b, "%s%s", between, users[kind]);
        between = ", ";
    }
    buf_u8(b, 0);
}

static void nothing_fits(struct ua_client *c, struct fault *why)
{
    static const char *const modes[] = {"", " None", " Sign", " SignAndEncrypt"};
    struct buf b = {.max = 4096};
    offers(c, &b);
    (void)FAIL_FG(why, CODE_UNSUPPORTED, UA_FG_NO_ENDPOINT,
                  "%s has no endpoint for %s%s with %s%s. It offers: %s", c->set.url,
                  c->set.policy ? c->set.policy : "any policy", modes[c->set.mode], users[c->set.user.kind],
                  c->set.own || c->set.policy ? "" : " (we have no certificate: None only)",
                  b.bad || !c->endpoint_count ? "nothing" : (const char *)b.at);
    buf_clear(&b);
}

/* ---- the answer ---- */

static void compare_host(struct ua_client *c)
{
    struct bytes url = c->endpoint->endpoint_url, named = BYTES_NONE;
    char text[UA_TELL_BYTES], own[UA_TELL_BYTES];
    if (!bytes_starts(url, "opc.tcp://"))
        return;
    named = bytes_from(url, 10);
    size_t n = 0;
    while (n < named.len && named.at[n] != '/')
        n++;
    named.len = n;
    (void)snprintf(own, sizeof own, "%s:%u", (const char *)c->host.at, c->port);
    size_t host = c->host.len;
    bool same = named.len >= host && strncasecmp((const char *)named.at, own, host) == 0 &&
                (named.len == host || named.at[host] == ':');
    if (same || named.len == 0)
        return;
    client_lacks(c, UA_LACK_HOST);
    if (!client_told(c, UA_FG_HOST))
        client_notice(c, UA_FG_HOST, "%s calls itself %s; we stay with the address that was given",
                      c->set.url, bytes_escape(named, text, sizeof text));
}

static enum code believe(struct ua_client *c, struct fault *why)
{
    struct bytes der = c->endpoint->server_certificate;
    ua_certificate_drop(c->certificate);
    c->certificate = NULL;
    c->unsafe = false;
    if (!der.len && c->policy->id == UA_POLICY_NONE)
        return CODE_OK;
    enum code code = ua_certificate_read(&c->certificate, der, why);
    if (code &&
        c->policy->id == UA_POLICY_NONE) { /* it is used for passwords only, which then cannot be sent */
        c->certificate = NULL;
        return CODE_OK;
    }
    if (code)
        return code;
    if (c->policy->id == UA_POLICY_NONE && c->set.user.kind == UA_USER_ANONYMOUS)
        return CODE_OK; /* nothing is protected by it */
    return client_believe(c, why);
}

static void found(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_client *c = ctx;
    struct fault why = {0};
    (void)response;
    (void)arena;
    if (c->state != UA_CLIENT_DISCOVERING)
        return;
    if (!status && c->endpoint_count == 0)
        status = UA_BAD_NOT_FOUND;
    if (status) {
        client_refusal(c, "GetEndpoints", status, &why);
        client_fail(c, &why);
        return;
    }
    c->endpoint = choose(c, c->endpoints, c->endpoint_count, &c->policy);
    if (!c->endpoint)
        nothing_fits(c, &why);
    if (!c->endpoint || believe(c, &why)) {
        client_forget_found(c);
        client_fail(c, &why);
        return;
    }
    c->mode = c->endpoint->security_mode;
    compare_host(c);
    if (c->policy->id == UA_POLICY_NONE)
        client_start(c);
    else
        client_hang_up(c); /* and dial again, with security */
}

/* The endpoints live longer than the answer: they are read from a copy, into an arena of their own. */
static void keep(struct ua_pending *p, ua_status status, struct bytes body)
{
    struct ua_client *c = p->client;
    uint8_t *copy = NULL;
    struct ua_get_endpoints_response r = {0};
    client_forget_found(c);
    if (!status) {
        copy = arena_take(&c->found, body.len + 1);
        if (copy && body.len)
            memcpy(copy, body.at, body.len);
        status = copy ? client_read(c, bytes_of(copy, body.len), &ua_get_endpoints_response_type, &r,
                                    &c->found)
                      : UA_BAD_OUT_OF_MEMORY;
    }
    if (!status) {
        c->endpoints = r.endpoints;
        c->endpoint_count = r.endpoints_count;
    }
    found(c, status, NULL, NULL);
}

void client_find(struct ua_client *c)
{
    struct fault why = {0};
    struct ua_get_endpoints_request r = {.endpoint_url = bytes_str(c->set.url)};
    client_state(c, UA_CLIENT_DISCOVERING);
    if (client_ask_raw(c, &ua_get_endpoints_request_type, &r, c->set.request_ms, keep, NULL, NULL, NULL,
                       &why))
        client_fail(c, &why);
}

/* ---- what CreateSession says, over a channel that is protected ---- */

static bool token_listed(const struct ua_endpoint_description *e, const struct ua_user_token_policy *t)
{
    for (uint32_t i = 0; i < e->user_identity_tokens_count; i++) {
        const struct ua_user_token_policy *u = &e->user_identity_tokens[i];
        if (u->token_type == t->token_type && bytes_equal(u->policy_id, t->policy_id) &&
            bytes_equal(u->security_policy_uri, t->security_policy_uri))
            return true;
    }
    return false;
}

static bool tokens_listed(const struct ua_endpoint_description *d, const struct ua_endpoint_description *e)
{
    for (uint32_t i = 0; i < e->user_identity_tokens_count; i++)
        if (!token_listed(d, &e->user_identity_tokens[i]))
            return false;
    return e->user_identity_tokens_count == d->user_identity_tokens_count;
}

/* What a server has to tell again, and all that is to be compared [Part 4, 5.6.2, serverEndpoints]: the certificate and the names
 * may be left out. Of the url, hosts and ports differ by who asks from where, so it is not looked at. */
static bool same_endpoint(const struct ua_endpoint_description *d, const struct ua_endpoint_description *e)
{
    return d->security_mode == e->security_mode && d->security_level == e->security_level &&
           bytes_equal(d->security_policy_uri, e->security_policy_uri) &&
           bytes_equal(d->transport_profile_uri, e->transport_profile_uri) &&
           bytes_equal(d->server.application_uri, e->server.application_uri) && tokens_listed(d, e);
}

static bool listed(const struct ua_endpoint_description *at, size_t n,
                   const struct ua_endpoint_description *e)
{
    for (size_t i = 0; i < n; i++)
        if (same_endpoint(&at[i], e))
            return true;
    return false;
}

enum code client_compare(struct ua_client *c, const struct ua_endpoint_description *at, size_t n,
                         struct fault *why)
{
    const struct ua_policy *policy;
    bool same = n > 0;
    for (size_t i = 0; i < n && i < UA_ENDPOINTS_MAX && same; i++)
        if (!at[i].transport_profile_uri.len || bytes_is(at[i].transport_profile_uri, BINARY))
            same = listed(c->endpoints, c->endpoint_count, &at[i]);
    if (same)
        return CODE_OK;
    client_lacks(c, UA_LACK_ENDPOINTS);
    if (c->policy->id == UA_POLICY_NONE)
        return CODE_OK; /* neither of the two lists was protected */
    const struct ua_endpoint_description *better = choose(c, at, n, &policy);
    if (better && worth(better, policy) / 256 > worth(c->endpoint, c->policy) / 256)
        return FAIL_FG(
            why, CODE_REFUSED, UA_FG_SWAPPED,
            "%s has %s, but discovery was told only %s: somebody between us weakens the connection",
            c->set.url, policy->name, c->policy->name);
    return CODE_OK;
}
