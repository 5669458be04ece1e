#include "api/api_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/values.h"
#include "mqtt/packet.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define JSON "application/json"

/* ---- the node's health ---- */

enum code api_over_memory(const struct api *a, struct fault *why)
{
    return FAIL_FG(why, CODE_NOMEM, 2050,
                   "new clients are refused and publishers wait: less than an eighth of limits.memory-bytes (%" PRIu64
                   ") is left. Nothing acknowledged is lost. Find who does not take his messages, or raise the limit.",
                   a->config.view.settings->limits.memory_bytes);
}

enum code api_trouble(const struct api *a, struct fault *why)
{
    const struct api_config *c = &a->config;
    if (journal_failed(c->journal))
        return FAIL_FG(
            why, CODE_IO, 7002,
            "%s could not be written to disk: nothing new is acknowledged, nothing acknowledged is lost. "
            "Look for disk errors (dmesg), then start the node again.",
            c->data_dir);
    if (journal_full(c->journal)) {
        char room[VALUE_TEXT_MAX], limit[VALUE_TEXT_MAX], keep[VALUE_TEXT_MAX] = "unlimited";
        int64_t left = c->io->free_bytes(c->io->self, c->data_dir);
        if (c->view.settings->hub.keep_s)
            (void)value_print_duration(c->view.settings->hub.keep_s * 1000000, keep);
        return FAIL_FG(why, CODE_FULL, 7001,
                       "hub refuses new messages: %s has %s left, limit %s. Nothing acknowledged is lost. "
                       "Free space, or lower hub.keep (%s).",
                       c->data_dir, value_print_size_about(left > 0 ? (uint64_t)left : 0, room),
                       /* The next segment must leave the reserve untouched. */
                       value_print_size_about(
                           c->view.settings->journal.reserve_bytes + c->view.settings->journal.segment_bytes, limit),
                       keep);
    }
    if (a->stopping)
        return FAIL_FG(why, CODE_CLOSED, 8005, "the node is stopping");
    return broker_over_memory(c->broker) ? api_over_memory(a, why) : CODE_OK;
}

/* ---- answers ---- */

void api_refuse(struct http_exchange *x, unsigned status, const struct fault *why)
{
    if (status == 503)
        http_add_header(x, "Retry-After", "10");
    http_reply_fault(x, status, why);
}

void api_answer(struct http_exchange *x, const char *content_type, struct buf *out)
{
    struct fault why;
    if (out->bad) {
        (void)FAIL_FG(&why, CODE_NOMEM, 8006, "no memory for the answer");
        api_refuse(x, 503, &why);
    } else {
        http_reply(x, 200, content_type, buf_bytes(out));
    }
    buf_clear(out);
}

static void health_reply(struct api *a, struct http_exchange *x)
{
    struct fault why;
    if (api_trouble(a, &why) != CODE_OK)
        api_refuse(x, 503, &why);
    else
        http_reply(x, 200, JSON, BYTES_LIT("{\"status\":\"ok\"}\n"));
}

/* ---- dispatch ---- */

enum { READS = 1, POSTS = 2, JUDGES = 4 /* the method itself, with refusals of its own */ };

struct route {
    const char *path;
    bool        public, control;
    unsigned    methods;
    void (*serve)(struct api *, struct http_exchange *, const struct http_request *);
};

static void serve_health(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    (void)r;
    health_reply(a, x);
}

static void serve_metrics(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    (void)r;
    metrics_reply(a, x);
}

static void serve_status(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    (void)r;
    status_reply(a, x);
}

static const struct route routes[] = {
    { "/health", true, true, READS, serve_health },
    { "/metrics", true, true, READS, serve_metrics },
    { "/mqtt", true, false, JUDGES, websocket_serve },
    { "/api/v1/status", false, true, READS, serve_status },
    { "/api/v1/events", false, true, READS, events_serve },
    { "/api/v1/log", false, true, READS | POSTS, log_serve },
    { "/api/v1/reload", false, true, POSTS, reload_serve },
    { "/api/v1/jobs", false, true, READS | POSTS, jobs_serve },
    { "/api/v1/jobs/explain", false, true, READS, jobs_explain_serve },
    { "/api/v1/jobs/models", false, true, READS | POSTS, jobs_models_serve },
    { "/api/v1/routes", false, true, READS, routes_serve },
    { "/api/v1/jobs/remove", false, true, POSTS, jobs_remove_serve },
    { "/api/v1/opcua/", false, true, READS | POSTS, opcua_serve }, /* and what is below */
    { "/v2/configuration", false, true, JUDGES, configuration_serve },
    { "/v2/configuration/", false, true, JUDGES, configuration_serve },
};

static bool takes(const struct route *r, struct bytes method)
{
    bool reads = bytes_is(method, "GET") || bytes_is(method, "HEAD");
    return r->methods & JUDGES || (reads ? r->methods & READS : bytes_is(method, "POST") && r->methods & POSTS);
}

static void refuse_method(struct http_exchange *x, const struct route *found, struct bytes method)
{
    static const char *const allowed[] = { [READS] = "GET, HEAD", [POSTS] = "POST", [READS | POSTS] = "GET, HEAD, POST" };
    struct fault why;
    char said[160];
    (void)FAIL_FG(&why, CODE_USAGE, 8002, "%s takes %s, not %s", found->path, allowed[found->methods],
                  bytes_escape(method, said, sizeof said));
    http_add_header(x, "Allow", allowed[found->methods]);
    api_refuse(x, 405, &why);
}

/* A path that ends in / stands for all below it. */
static bool leads_to(const struct route *r, struct bytes path)
{
    size_t n = strlen(r->path);
    return bytes_is(path, r->path) || (r->path[n - 1] == '/' && bytes_starts(path, r->path));
}

static void dispatch(struct api *a, struct http_exchange *x, const struct http_request *r, bool public)
{
    struct fault why;
    char said[160];
    const struct route *found = NULL;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (leads_to(&routes[i], r->path) && (public ? routes[i].public : routes[i].control))
            found = &routes[i];
    if (!found) {
        (void)FAIL_FG(&why, CODE_NOTFOUND, 8001, "there is no %s here",
                      bytes_escape(r->path, said, sizeof said));
        api_refuse(x, 404, &why);
    } else if (!takes(found, r->method)) {
        refuse_method(x, found, r->method);
    } else {
        found->serve(a, x, r);
    }
}

static void on_control(void *ctx, struct http_exchange *x, const struct http_request *r)
{
    dispatch(ctx, x, r, false);
}

static void on_public(void *ctx, struct http_exchange *x, const struct http_request *r)
{
    dispatch(ctx, x, r, true);
}

/* ---- doors ---- */

void api_accept_control(void *ctx, const struct net_peer *peer)
{
    struct api *a = ctx;
    /* The socket's mode says the same, but a parent directory may have been opened since. */
    if (peer->uid != 0 && peer->uid != (uint32_t)geteuid()) {
        log_warn(
            "api",
            "FG8004 user %u refused at %s/api.sock: only the node's own user (%u) and root may control it",
            peer->uid, a->config.data_dir, (unsigned)geteuid());
        net_peer_refuse(peer);
        return;
    }
    http_serve(a->control, peer);
}

void api_accept_public(void *ctx, const struct net_peer *peer)
{
    struct api *a = ctx;
    http_serve(a->public, peer);
}

/* ---- life ---- */

static void open_wake(struct letter *letter, struct loop *here)
{
    (void)here;
    struct api *a = (struct api *)(void *)((char *)letter - offsetof(struct api, wake));
    atomic_store(&a->posted, false);
    atomic_store(&a->wanted, false);
    events_wake(a);
}

void api_poke(struct api *a)
{
    /* A stream says that it wants more before it looks for the last time, so nothing falls between. */
    if (!atomic_load(&a->wanted) || atomic_exchange(&a->posted, true))
        return;
    a->wake.open = open_wake;
    loop_post(a->config.loop, &a->wake);
}

/* Apart from those of MQTT: a connection that becomes a WebSocket is counted there from then on. */
static unsigned on_came(void *ctx, const struct net_peer *peer, bool *counted)
{
    struct api *a = ctx;
    int64_t now = loop_now_us(a->config.loop);
    if (peer->loopback)
        return 0;
    admit_came(&a->admit, peer->address, now, counted);
    uint8_t reason = admit_judge(&a->admit, &a->config.view.settings->limits, peer->address, now);
    return reason == MQTT_CONNECTION_RATE ? 429 : reason ? 503 : 0;
}

static void on_went(void *ctx, const char *address)
{
    admit_went(&((struct api *)ctx)->admit, address);
}

static struct http_limits limits_of(const struct limits *l)
{
    struct http_limits h = http_limits_default;
    h.request_line = l->http_request_line_bytes;
    h.header_bytes = l->http_headers_bytes;
    h.header_count = l->http_header_count;
    h.header_seconds = l->connect_s;
    h.body_bytes = 64 * 1024; /* nothing here takes a body */
    h.connections = l->half_open;
    return h;
}

void api_change(struct api *a, const struct api_view *view)
{
    struct http_limits limits = limits_of(&view->settings->limits);
    a->config.view = *view;
    http_server_set_limits(a->control, &limits);
    http_server_set_limits(a->public, &limits);
}

enum code api_open(struct api **out, const struct api_config *config, struct fault *why)
{
    struct api *a = mem_zalloc(1, sizeof *a);
    if (!a)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the API");
    a->config = *config;
    admit_init(&a->admit);
    a->since_wall_us = config->io->wall_us(config->io->self);
    a->since_us = config->io->monotonic_us(config->io->self);
    struct http_limits limits = limits_of(&config->view.settings->limits);
    enum code code = http_server_open(&a->control, config->loop, &limits, on_control, a, why);
    if (code == CODE_OK)
        code = http_server_open(&a->public, config->loop, &limits, on_public, a, why);
    if (code != CODE_OK) {
        if (a->control)
            http_server_close(a->control);
        admit_clear(&a->admit);
        mem_free(a);
        return code;
    }
    http_server_guard(a->public, &(struct http_guard){ on_came, on_went, a });
    status_begin(a);
    *out = a;
    return CODE_OK;
}

void api_stop(struct api *a)
{
    a->stopping = true;
    timer_stop(a->config.loop, &a->tick);
    events_end_all(a);
}

void api_free(struct api *a)
{
    if (!a)
        return;
    http_server_close(a->control);
    http_server_close(a->public);
    status_end(a);
    admit_clear(&a->admit);
    mem_free(a);
}
