/* Life of a server, and where it listens. */
#include "uaserver/ns0.h"
#include "uaserver/serve.h"
#include "uaserver/subscription.h"
#include "uaserver/view.h"

#include "base/log.h"
#include "base/mem.h"

enum { TEXTS_BYTES = 16 * 1024 };

/* ---- limits ---- */

static void or_default(uint32_t *v, uint32_t d)
{
    if (!*v)
        *v = d;
}

static struct ua_server_limits without_zeros(struct ua_server_limits l)
{
    or_default(&l.channels, 100);
    or_default(&l.sessions, 100);
    or_default(&l.subscriptions, 20);
    or_default(&l.kept_subscriptions, 100);
    or_default(&l.items, 10000);
    or_default(&l.publish_requests, 20);
    or_default(&l.operations, 10000);
    or_default(&l.continuation_points, 20);
    or_default(&l.queue, 1000);
    or_default(&l.unsent_bytes, 8 * 1024 * 1024);
    or_default(&l.all_unsent_bytes, 64 * 1024 * 1024);
    or_default(&l.session_ms_min, 10 * 1000);
    or_default(&l.session_ms_max, 3600 * 1000);
    or_default(&l.connect_s, 10);
    or_default(&l.codec.array, ua_limits_default.array);
    or_default(&l.codec.string, ua_limits_default.string);
    or_default(&l.codec.depth, ua_limits_default.depth);
    if (!(l.publishing_ms_min > 0))
        l.publishing_ms_min = 10;
    if (!(l.sampling_ms_min > 0))
        l.sampling_ms_min = 10;
    return l;
}

/* ---- options ---- */

static bool keep_text(struct ua_server *s, const char **text)
{
    *text = arena_text(&s->texts, bytes_str(*text ? *text : ""));
    return *text != NULL;
}

static enum code check_options(const struct ua_server_options *o, struct fault *why)
{
    for (int i = 0; i < UA_POLICY_COUNT; i++)
        if (o->offers[i] && i != UA_POLICY_NONE && !o->own)
            return FAIL(why, CODE_USAGE, 0, "the policy %s needs a certificate, and this server has none", ua_policies[i].name);
    if ((o->user_names || o->certificates) && (!o->own || !o->users.ask))
        return FAIL(why, CODE_USAGE, 0, "users with names or certificates need %s",
                    o->own ? "somebody who knows them" : "a server with a certificate: passwords are encrypted for it");
    if (!o->application_uri || !*o->application_uri)
        return FAIL(why, CODE_USAGE, 0, "the server has no application URI");
    return CODE_OK;
}

static bool keep_options(struct ua_server *s, const struct ua_server_options *o)
{
    s->options = *o;
    s->options.own = o->own ? ua_application_hold(o->own) : NULL;
    const char **const all[] = { &s->options.application_uri, &s->options.application_name, &s->options.product_uri,
                                 &s->options.product_name,    &s->options.manufacturer,     &s->options.version,
                                 &s->options.build };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!keep_text(s, all[i]))
            return false;
    return true;
}

/* ---- life ---- */

static void free_server(struct ua_server *s)
{
    ua_space_close(s->space);
    ua_application_drop(s->options.own);
    arena_clear(&s->texts);
    mem_free(s->lent);
    mem_free(s);
}

enum code ua_server_open(struct ua_server **out, const struct ua_server_options *options, struct fault *why)
{
    enum code c = check_options(options, why);
    if (c)
        return c;
    struct ua_server *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an OPC UA server");
    arena_init(&s->texts, NULL, 0, TEXTS_BYTES);
    s->loop = options->loop;
    s->io = options->io;
    s->limits = without_zeros(options->limits);
    s->start_time = ua_time_from_us(loop_wall_us(s->loop));
    s->lent = mem_alloc(UAS_LENT_BYTES);
    c = s->lent && keep_options(s, options) ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for an OPC UA server");
    if (!c)
        c = ua_space_open(&s->space, s->loop, bytes_str(options->application_uri), &s->limits.space, why);
    if (!c)
        c = ns0_load(s->space, why);
    if (c) {
        free_server(s);
        return c;
    }
    ns0_serve(s);
    s->hooks[0] = &uas_view_hooks;
    s->hooks[1] = &uas_subscription_hooks;
    *out = s;
    return CODE_OK;
}

void ua_server_link_closed(struct ua_server *s)
{
    if (s->closed && !s->link_count)
        free_server(s);
}

void ua_server_close(struct ua_server *s)
{
    if (!s)
        return;
    s->state = UA_STATE_SHUTDOWN;
    for (unsigned i = 0; i < s->listener_count; i++)
        listener_close(s->listeners[i]);
    s->listener_count = 0;
    for (int i = 0; i < UAS_HOOKS && s->hooks[i]; i++)
        if (s->hooks[i]->server_closing)
            s->hooks[i]->server_closing(s);
    uas_asks_close(s);
    while (s->sessions)
        uas_session_close(s->sessions, true);
    for (struct uas_link *l = s->links; l; l = l->next)
        uas_link_end(l, UA_BAD_SHUTDOWN, "the server is going down");
    s->closed = true;
    ua_server_link_closed(s);
}

struct ua_space *ua_server_space(struct ua_server *s)
{
    return s->space;
}

/* ---- listening ---- */

static void on_accept(void *ctx, const struct net_peer *peer)
{
    uas_link_open(ctx, peer);
}

enum code ua_server_listen(struct ua_server *s, const char *at, struct fault *why)
{
    if (s->listener_count == UAS_LISTENERS)
        return FAIL(why, CODE_LIMIT, 0, "an OPC UA server listens on at most %d addresses", UAS_LISTENERS);
    enum code c = net_listen(&s->listeners[s->listener_count], s->loop, at, on_accept, s, why);
    if (!c)
        s->listener_count++;
    return c;
}

uint16_t ua_server_port(const struct ua_server *s)
{
    return s->listener_count ? listener_port(s->listeners[0]) : 0;
}

void ua_server_accept(struct ua_server *s, const struct net_peer *peer)
{
    uas_link_open(s, peer);
}
