/* routes.c - GET /api/v1/routes: what routes have done, and what waits for the hub above. */
#include "api/api_private.h"
#include "api/event.h"
#include "flow/flow.h"

#include <inttypes.h>

struct lists {
    struct buf routes, upstream;
};

static void put_priority(struct buf *out, uint32_t priority)
{
    if (priority == ROUTE_NO_PRIORITY)
        buf_printf(out, "\"priority\":null");
    else
        buf_printf(out, "\"priority\":%" PRIu32, priority);
}

static void put_route(void *ctx, const struct route_status *s)
{
    struct buf *out = &((struct lists *)ctx)->routes;
    buf_printf(out, "%s{\"name\":", out->len > 1 ? "," : "");
    buf_json(out, bytes_str(s->info.name));
    buf_printf(out, ",\"route\":");
    buf_json(out, s->info.text);
    buf_printf(out, ",\"sink\":");
    buf_json(out, s->info.sink);
    buf_printf(out, ",");
    put_priority(out, s->info.priority);
    buf_printf(out,
               ",\"ttl-seconds\":%" PRIu64 ",\"matched\":%" PRIu64 ",\"not-matched\":%" PRIu64 ",\"errors\":%" PRIu64
               ",\"not-json\":%" PRIu64 ",\"waiting\":%" PRIu64 ",\"state\":\"%s\",\"why\":",
               s->info.ttl_s, s->matched, s->not_matched, s->errors, s->not_json, s->waiting, s->blocked[0] ? "blocked" : "running");
    buf_json(out, bytes_str(s->blocked));
    buf_printf(out, "}");
}

static void put_lane(void *ctx, const struct upstream_status *s)
{
    struct buf *out = &((struct lists *)ctx)->upstream;
    buf_printf(out, "%s{", out->len > 1 ? "," : "");
    put_priority(out, s->priority);
    buf_printf(out, ",\"messages\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"expired\":%" PRIu64 ",\"oldest\":", s->messages, s->bytes,
               s->expired);
    if (s->oldest_us) {
        char text[EVENT_TIME_MAX];
        event_time(s->oldest_us, text);
        buf_printf(out, "\"%s\"", text);
    } else {
        buf_printf(out, "null");
    }
    buf_printf(out, "}");
}

void routes_put(struct api *a, struct buf *out)
{
    struct lists l = { { 0 }, { 0 } };
    buf_printf(&l.routes, "[");
    buf_printf(&l.upstream, "[");
    if (a->config.flow)
        (void)flow_glance_routes(a->config.flow, put_route, put_lane, &l);
    buf_printf(out, "\"routes\":");
    buf_add_bytes(out, buf_bytes(&l.routes));
    buf_printf(out, "],\"upstream\":");
    buf_add_bytes(out, buf_bytes(&l.upstream));
    buf_printf(out, "]");
    out->bad = out->bad || l.routes.bad || l.upstream.bad;
    buf_clear(&l.routes);
    buf_clear(&l.upstream);
}

void routes_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    struct buf out = { 0 };
    (void)r;
    buf_printf(&out, "{");
    routes_put(a, &out);
    buf_printf(&out, "}\n");
    api_answer(x, "application/json", &out);
}

/* ---- metrics ---- */

struct line {
    struct buf *out;
    const char *name;
    const char *label; /* of routes: more labels */
    size_t      offset;
};

static void route_line(void *ctx, const struct route_status *s)
{
    const struct line *l = ctx;
    if (!l->label)
        return;
    uint64_t v = l->offset ? *(const uint64_t *)(const void *)((const char *)s + l->offset) : s->blocked[0] != 0;
    buf_printf(l->out, "fieldgate_%s{route=\"%s\"%s} %" PRIu64 "\n", l->name, s->info.name, l->label, v);
}

static void upstream_line(void *ctx, const struct upstream_status *s)
{
    const struct line *l = ctx;
    if (l->label)
        return;
    uint64_t v = *(const uint64_t *)(const void *)((const char *)s + l->offset);
    buf_printf(l->out, "fieldgate_%s{priority=\"", l->name);
    if (s->priority == ROUTE_NO_PRIORITY)
        buf_printf(l->out, "none");
    else
        buf_printf(l->out, "%" PRIu32, s->priority);
    buf_printf(l->out, "\"} %" PRIu64 "\n", v);
}

void routes_put_metrics(struct api *a, struct buf *out)
{
    static const struct {
        const char *name, *kind, *help, *label;
        size_t      offset;
    } kinds[] = {
        { "route_messages_total", "counter", "Messages from a route's source, by what its condition was; errors: undefined.",
          ",result=\"matched\"", offsetof(struct route_status, matched) },
        { "route_messages_total", NULL, NULL, ",result=\"not-matched\"", offsetof(struct route_status, not_matched) },
        { "route_messages_total", NULL, NULL, ",result=\"error\"", offsetof(struct route_status, errors) },
        { "route_waiting_messages", "gauge", "Messages for the route's sink that wait to be routed.", "", offsetof(struct route_status, waiting) },
        { "route_blocked", "gauge", "1: the route's sink takes nothing just now.", "", 0 },
        { "upstream_messages", "gauge", "Messages that wait for the hub above.", NULL, offsetof(struct upstream_status, messages) },
        { "upstream_bytes", "gauge", "Their bytes.", NULL, offsetof(struct upstream_status, bytes) },
        { "upstream_expired_total", "counter", "Messages that waited for longer than their time to live.", NULL,
          offsetof(struct upstream_status, expired) },
    };
    for (size_t k = 0; a->config.flow && k < sizeof kinds / sizeof kinds[0]; k++) {
        if (kinds[k].kind)
            buf_printf(out, "# HELP fieldgate_%s %s\n# TYPE fieldgate_%s %s\n", kinds[k].name, kinds[k].help, kinds[k].name, kinds[k].kind);
        struct line l = { out, kinds[k].name, kinds[k].label, kinds[k].offset };
        (void)flow_glance_routes(a->config.flow, route_line, upstream_line, &l);
    }
}
