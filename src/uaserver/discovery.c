/* FindServers and GetEndpoints: what this server offers, under the name that the client knows it by. */
#include "uaserver/serve.h"

#include <ctype.h>
#include <stdio.h>

#define TRANSPORT "http://opcfoundation.org/UA-Profile/Transport/uatcp-uasc-uabinary"
enum { TOKENS_MAX = 3, HOST_MAX = 255 };

/* ---- where we are ---- */

static bool host_char(uint8_t c)
{
    return isalnum(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']' || c == '%';
}

/* "host:port" of opc.tcp://host:port/path; empty: it is not one that can be sent back. */
static struct bytes authority(struct bytes url)
{
    static const char scheme[] = "opc.tcp://";
    if (!bytes_starts(url, scheme))
        return BYTES_NONE;
    struct bytes rest = bytes_from(url, sizeof scheme - 1);
    size_t n = 0;
    while (n < rest.len && rest.at[n] != '/' && rest.at[n] != '?')
        if (!host_char(rest.at[n++]))
            return BYTES_NONE;
    return n <= HOST_MAX ? bytes_of(rest.at, n) : BYTES_NONE;
}

/* Our URL as this client sees it: what it asked for, what it has dialled, or where we listen. */
static struct bytes own_url(struct uas_link *l, struct bytes asked, struct arena *a)
{
    struct bytes at = authority(asked);
    if (!at.len)
        at = authority(ua_channel_url(l->channel));
    if (!at.len && l->server->listener_count)
        at = bytes_str(listener_address(l->server->listeners[0]));
    char *url = arena_take(a, at.len + 32);
    if (!url)
        return BYTES_NONE;
    int n = snprintf(url, at.len + 32, "opc.tcp://%.*s", BYTES_FMT(at));
    return bytes_of(url, (size_t)n);
}

/* ---- what we are ---- */

static struct ua_application_description application(const struct ua_server *s, const struct bytes *url)
{
    return (struct ua_application_description){
        .application_uri = bytes_str(s->options.application_uri),
        .product_uri = bytes_str(s->options.product_uri),
        .application_name = { .text = bytes_str(s->options.application_name) },
        .application_type = UA_APPLICATION_SERVER,
        .discovery_urls = url,
        .discovery_urls_count = 1,
    };
}

const struct ua_policy *uas_user_policy(const struct ua_policy *channel)
{
    return channel->id == UA_POLICY_NONE ? &ua_policies[UA_POLICY_BASIC256SHA256] : channel;
}

void uas_policy_id(char out[64], enum ua_user_token kind, const struct ua_policy *policy)
{
    static const char *const names[] = { "anonymous", "username", "certificate", "issued" };
    int n = kind == UA_USER_ANONYMOUS ? snprintf(out, 64, "anonymous") : snprintf(out, 64, "%s_%s", names[kind], policy->name);
    for (int i = 0; i < n && i < 63; i++)
        out[i] = (char)tolower((unsigned char)out[i]);
}

static bool offers_kind(const struct ua_server *s, enum ua_user_token kind)
{
    return (kind == UA_USER_ANONYMOUS && s->options.anonymous) || (kind == UA_USER_NAME && s->options.user_names) ||
           (kind == UA_USER_CERTIFICATE && s->options.certificates);
}

static bool user_policies(const struct ua_server *s, const struct ua_policy *channel, struct arena *a,
                          struct ua_endpoint_description *e)
{
    struct ua_user_token_policy *list = arena_zero(a, TOKENS_MAX * sizeof *list);
    if (!list)
        return false;
    const struct ua_policy *policy = uas_user_policy(channel);
    uint32_t n = 0;
    for (int kind = UA_USER_ANONYMOUS; kind <= UA_USER_CERTIFICATE; kind++) {
        if (!offers_kind(s, (enum ua_user_token)kind))
            continue;
        char id[64];
        uas_policy_id(id, (enum ua_user_token)kind, policy);
        const char *kept = arena_text(a, bytes_str(id));
        if (!kept)
            return false;
        list[n++] = (struct ua_user_token_policy){
            .policy_id = bytes_str(kept),
            .token_type = kind,
            .security_policy_uri = kind == UA_USER_ANONYMOUS ? BYTES_NONE : bytes_str(policy->uri),
        };
    }
    e->user_identity_tokens = list;
    e->user_identity_tokens_count = n;
    return true;
}

bool uas_endpoints(struct uas_link *l, struct bytes asked, struct arena *a, const struct ua_endpoint_description **out,
                   uint32_t *count)
{
    const struct ua_server *s = l->server;
    struct ua_endpoint_description *list = arena_zero(a, (size_t)UA_POLICY_COUNT * 3 * sizeof *list);
    struct bytes *url = arena_take(a, sizeof *url);
    if (!list || !url)
        return false;
    *url = own_url(l, asked, a);
    if (!url->at)
        return false;
    *out = list;
    *count = 0;
    for (unsigned id = 0; id < UA_POLICY_COUNT; id++)
        for (int mode = UA_MODE_NONE; mode <= UA_MODE_SIGN_AND_ENCRYPT; mode++) {
            const struct ua_policy *policy = &ua_policies[id];
            if (!(s->options.offers[id] >> mode & 1))
                continue;
            struct ua_endpoint_description *e = &list[(*count)++];
            *e = (struct ua_endpoint_description){
                .endpoint_url = *url,
                .server = application(s, url),
                .server_certificate = s->options.own ? s->options.own->certificate->der : BYTES_NONE,
                .security_mode = mode,
                .security_policy_uri = bytes_str(policy->uri),
                .transport_profile_uri = BYTES_LIT(TRANSPORT),
                .security_level = (uint8_t)(2 * policy->level + (mode == UA_MODE_SIGN_AND_ENCRYPT)),
            };
            if (!user_policies(s, policy, a, e))
                return false;
        }
    return true;
}

/* ---- services ---- */

static bool among(const struct bytes *list, uint32_t count, const char *text)
{
    for (uint32_t i = 0; i < count; i++)
        if (bytes_is(list[i], text))
            return true;
    return count == 0;
}

void uas_get_endpoints(struct uas_request *r)
{
    struct ua_get_endpoints_request q;
    if (!uas_read(r, &ua_get_endpoints_request_type, &q))
        return;
    struct ua_get_endpoints_response a = { 0 };
    if (!among(q.profile_uris, q.profile_uris_count, TRANSPORT))
        a.endpoints = arena_zero(r->arena, sizeof *a.endpoints); /* none, but not null */
    else if (!uas_endpoints(r->link, q.endpoint_url, r->arena, &a.endpoints, &a.endpoints_count))
        a.endpoints = NULL;
    if (a.endpoints)
        uas_answer(r, &ua_get_endpoints_response_type, &a);
    else
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
}

void uas_find_servers(struct uas_request *r)
{
    struct ua_find_servers_request q;
    if (!uas_read(r, &ua_find_servers_request_type, &q))
        return;
    struct bytes url = own_url(r->link, q.endpoint_url, r->arena);
    if (!url.at) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    const struct ua_application_description we = application(r->server, &url);
    struct ua_find_servers_response a = { .servers = &we };
    a.servers_count = among(q.server_uris, q.server_uris_count, r->server->options.application_uri) ? 1 : 0;
    uas_answer(r, &ua_find_servers_response_type, &a);
}
