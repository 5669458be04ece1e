/* opcua.c - the publisher's methods: POST /api/v1/opcua/METHOD, and /v2/configuration as OPC Publisher 2.9 has it. They wait for the
 * publisher's loop and for the disk: all of this is done on the pool. */
#include "api/api_private.h"

#include "base/mem.h"
#include "net/pool.h"
#include "mirror/mirror.h"
#include "publisher/seat.h"

#include <inttypes.h>
#include <stdio.h>

#define JSON "application/json"

struct work {
    struct pool_job job;
    struct api *api;
    struct http_exchange *x;
    char method[64];
    struct buf request, out;
    int status; /* 0: there is no publisher */
};

static void on_pool(struct pool_job *job)
{
    struct work *w = (struct work *)job;
    struct publisher *p = publisher_enter(w->api->config.publisher);
    if (!p)
        return;
    w->status = publisher_call(p, bytes_str(w->method), buf_bytes(&w->request), &w->out);
    publisher_leave(w->api->config.publisher);
}

static void let_go(struct work *w)
{
    buf_clear(&w->request);
    buf_clear(&w->out);
    mem_free(w);
}

static void back(struct pool_job *job, struct loop *here)
{
    struct work *w = (struct work *)job;
    struct fault why;
    (void)here;
    if (!w->status) {
        (void)FAIL_FG(&why, CODE_NOTFOUND, 8007, "there is no OPC publisher here: opcua.published-nodes in the settings names its file");
        api_refuse(w->x, 404, &why);
    } else if (w->out.bad) {
        (void)FAIL_FG(&why, CODE_NOMEM, 8006, "no memory for the answer");
        api_refuse(w->x, 503, &why);
    } else {
        http_reply(w->x, (unsigned)w->status, JSON, buf_bytes(&w->out));
    }
    let_go(w);
}

static void begin(struct api *a, struct http_exchange *x, const struct http_request *r, const char *method)
{
    struct fault why;
    struct work *w = a->stopping ? NULL : mem_zalloc(1, sizeof *w);
    if (!w) {
        (void)FAIL_FG(&why, CODE_CLOSED, 8005, "the node is stopping");
        api_refuse(x, 503, &why);
        return;
    }
    *w = (struct work){ .job = { on_pool, back }, .api = a, .x = x };
    (void)snprintf(w->method, sizeof w->method, "%s", method);
    buf_add_bytes(&w->request, r->body);
    if (!w->request.bad && pool_submit(a->config.loop, &w->job) == CODE_OK)
        return;
    (void)FAIL_FG(&why, CODE_AGAIN, 8006, "too much is under way just now: try again");
    api_refuse(x, 503, &why);
    let_go(w);
}

/* POST /api/v1/opcua/PublishNodes; questions may be asked with GET. */
void opcua_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    char method[64];
    size_t from = strlen("/api/v1/opcua/");
    struct bytes name = r->path.len > from ? bytes_from(r->path, from) : BYTES_NONE;
    (void)snprintf(method, sizeof method, "%.*s", (int)(name.len < 63 ? name.len : 63), (const char *)name.at);
    begin(a, x, r, method);
}

/* GET reads all, PUT replaces all, PATCH adds and changes; POST .../nodes and so on. */
void configuration_serve(struct api *a, struct http_exchange *x, const struct http_request *r)
{
    static const struct {
        const char *verb, *path, *method;
    } rows[] = {
        { "GET", "/v2/configuration", "GetConfiguredEndpoints" },
        { "PUT", "/v2/configuration", "SetConfiguredEndpoints" },
        { "PATCH", "/v2/configuration", "AddOrUpdateEndpoints" },
        { "POST", "/v2/configuration/list", "GetConfiguredEndpoints" },
        { "POST", "/v2/configuration/bulk", "AddOrUpdateEndpoints" },
        { "POST", "/v2/configuration/diagnostics", "GetDiagnosticInfo" },
        { "POST", "/v2/configuration/nodes", "PublishNodes" },
        { "POST", "/v2/configuration/nodes/unpublish", "UnpublishNodes" },
        { "POST", "/v2/configuration/nodes/unpublish/all", "UnpublishAllNodes" },
        { "POST", "/v2/configuration/endpoints/list/nodes", "GetConfiguredNodesOnEndpoint" },
    };
    struct fault why;
    char said[160];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (bytes_is(r->method, rows[i].verb) && bytes_is(r->path, rows[i].path)) {
            begin(a, x, r, rows[i].method);
            return;
        }
    (void)FAIL_FG(&why, CODE_USAGE, 8002, "%s %s is nothing that OPC Publisher's configuration has",
                  bytes_escape(r->method, said, 32), bytes_escape(r->path, said + 40, 100));
    api_refuse(x, 405, &why);
}

/* ---- status and metrics ---- */

static void put_server(void *ctx, const struct publisher_server_glance *s)
{
    struct buf *out = ctx;
    buf_printf(out, "%s{\"endpoint\":", !out->len || out->at[out->len - 1] == '[' ? "" : ",");
    buf_json(out, bytes_str(s->endpoint));
    buf_printf(out, ",\"state\":\"%s\",\"trouble\":", s->state);
    buf_json(out, bytes_str(s->trouble));
    buf_printf(out, ",\"nodes\":%" PRIu64 ",\"good\":%" PRIu64 ",\"values\":%" PRIu64 "}", s->nodes, s->good, s->values);
}

static void put_served(struct api *a, struct buf *out)
{
    struct mirror_glance g;
    buf_printf(out, "\"opcua-server\":");
    if (!a->config.mirror || !mirror_glance(a->config.mirror, &g)) {
        buf_printf(out, "null,");
        return;
    }
    buf_printf(out, "{\"at\":");
    buf_json(out, bytes_str(g.at));
    buf_printf(out,
               ",\"sessions\":%" PRIu64 ",\"subscriptions\":%" PRIu64 ",\"items\":%" PRIu64 ",\"variables\":%" PRIu64 ",\"variables-bad\":%" PRIu64 ",\"messages\":%" PRIu64
               ",\"waiting\":%" PRIu64 ",\"values\":%" PRIu64 ",\"bad\":%" PRIu64 ",\"stale\":%" PRIu64 ",\"writes\":%" PRIu64
               ",\"notifications\":%" PRIu64 "},",
               g.server.sessions, g.server.subscriptions, g.server.items, g.count.variables, g.count.variables_bad, g.count.messages, g.waiting, g.count.values,
               g.count.bad, g.count.stale, g.count.writes, g.server.notifications);
}

void opcua_put_status(struct api *a, struct buf *out)
{
    put_served(a, out);
    struct publisher *p = publisher_enter(a->config.publisher);
    struct publisher_glance g;
    buf_printf(out, "\"opcua\":");
    if (!p) {
        buf_printf(out, "null,");
        return;
    }
    publisher_glance(p, &g);
    buf_printf(out, "{\"servers\":[");
    publisher_servers(p, put_server, out);
    buf_printf(out,
               "],\"nodes\":%" PRIu64 ",\"good\":%" PRIu64 ",\"received\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"sent\":%" PRIu64
               ",\"waiting\":%" PRIu64 ",\"suppressed\":%" PRIu64 ",\"skipped\":%" PRIu64 ",\"replaced\":%" PRIu64
               ",\"too-large\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"overflows\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"held\":%s},",
               g.nodes, g.nodes_good, g.received, g.repeated, g.sent, g.waiting, g.suppressed, g.skipped, g.replaced, g.too_large,
               g.messages, g.overflows, g.lost, g.held ? "true" : "false");
    publisher_leave(a->config.publisher);
}

struct metric {
    const char *name, *kind, *help;
    size_t      offset;
};

static void put_metrics(struct buf *out, const struct metric *rows, size_t n, const void *from)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "# HELP fieldgate_%s %s\n# TYPE fieldgate_%s %s\nfieldgate_%s %" PRIu64 "\n", rows[i].name, rows[i].help, rows[i].name,
                   rows[i].kind, rows[i].name, *(const uint64_t *)(const void *)((const char *)from + rows[i].offset));
}

static void put_server_metrics(struct api *a, struct buf *out)
{
#define MIRROR(field) offsetof(struct mirror_glance, count.field)
#define SERVER(field) offsetof(struct mirror_glance, server.field)
    static const struct metric rows[] = {
        { "opcua_server_variables", "gauge", "Variables that the OPC UA server has.", MIRROR(variables) },
        { "opcua_server_variables_bad", "gauge", "Those without a good value just now.", MIRROR(variables_bad) },
        { "opcua_server_variables_refused_total", "counter", "Variables not made: no room, or an id twice.", MIRROR(variables_refused) },
        { "opcua_server_messages_total", "counter", "Messages read for variables.", MIRROR(messages) },
        { "opcua_server_messages_left_out_total", "counter", "Messages that no variable is for, for want of room.", MIRROR(left_out) },
        { "opcua_server_messages_waiting", "gauge", "Messages that wait to be read.", offsetof(struct mirror_glance, waiting) },
        { "opcua_server_values_total", "counter", "Values of variables set from messages.", MIRROR(values) },
        { "opcua_server_bad_values_total", "counter", "Those for which the message had none, or one of another type.", MIRROR(bad) },
        { "opcua_server_bad_times_total", "counter", "Values whose timestamp field is no time: the message's was taken.", MIRROR(bad_times) },
        { "opcua_server_stale_total", "counter", "Times that a variable was heard of no more.", MIRROR(stale) },
        { "opcua_server_writes_total", "counter", "Writes of OPC UA clients that are messages now.", MIRROR(writes) },
        { "opcua_server_writes_refused_total", "counter", "Writes refused by rules, or for want of room.", MIRROR(writes_refused) },
        { "opcua_server_channels", "gauge", "Secure channels that are open.", SERVER(channels) },
        { "opcua_server_channels_total", "counter", "Secure channels opened.", SERVER(channels_all) },
        { "opcua_server_channels_refused_total", "counter", "Channels refused: certificates, limits, protocol.", SERVER(channels_refused) },
        { "opcua_server_sessions", "gauge", "Sessions of OPC UA clients.", SERVER(sessions) },
        { "opcua_server_sessions_total", "counter", "Sessions made.", SERVER(sessions_all) },
        { "opcua_server_sessions_refused_total", "counter", "Sessions refused by limits.", SERVER(sessions_refused) },
        { "opcua_server_sessions_timed_out_total", "counter", "Sessions that ended because nothing came.", SERVER(sessions_timed_out) },
        { "opcua_server_logins_refused_total", "counter", "Sign-ins refused.", SERVER(logins_refused) },
        { "opcua_server_requests_total", "counter", "Requests answered.", SERVER(requests) },
        { "opcua_server_requests_refused_total", "counter", "Requests refused as a whole.", SERVER(requests_refused) },
        { "opcua_server_subscriptions", "gauge", "Subscriptions of OPC UA clients.", SERVER(subscriptions) },
        { "opcua_server_items", "gauge", "Monitored items.", SERVER(items) },
        { "opcua_server_notifications_total", "counter", "Values sent to subscriptions.", SERVER(notifications) },
        { "opcua_server_overflows_total", "counter", "Values that a queue of an item had no room for.", SERVER(overflows) },
        { "opcua_server_crowded_total", "counter", "Clients sent nothing for a while: all had too much waiting.", SERVER(crowded) },
        { "opcua_server_crowded_out_total", "counter", "Clients closed because all had far too much waiting.", SERVER(crowded_out) },
    };
#undef MIRROR
#undef SERVER
    struct mirror_glance g;
    if (a->config.mirror && mirror_glance(a->config.mirror, &g))
        put_metrics(out, rows, sizeof rows / sizeof rows[0], &g);
}

void opcua_put_metrics(struct api *a, struct buf *out)
{
#define AT(field) offsetof(struct publisher_glance, field)
    static const struct metric rows[] = {
        { "opcua_servers", "gauge", "OPC UA servers that the publisher reads.", AT(sessions) },
        { "opcua_servers_up", "gauge", "Those that are connected.", AT(sessions_up) },
        { "opcua_nodes", "gauge", "Nodes that the publisher reads.", AT(nodes) },
        { "opcua_nodes_good", "gauge", "Those whose server accepts them.", AT(nodes_good) },
        { "opcua_values_received_total", "counter", "Values that servers have sent.", AT(received) },
        { "opcua_values_repeated_total", "counter", "Values repeated by heartbeats.", AT(repeated) },
        { "opcua_values_sent_total", "counter", "Values that are in messages of this node.", AT(sent) },
        { "opcua_values_waiting", "gauge", "Values that wait to be sent.", AT(waiting) },
        { "opcua_values_suppressed_total", "counter", "Left out by their status (--ss).", AT(suppressed) },
        { "opcua_values_skipped_total", "counter", "Left out as the first one, or of nodes taken out.", AT(skipped) },
        { "opcua_values_replaced_total", "counter", "Left out by a heartbeat that thins out.", AT(replaced) },
        { "opcua_values_too_large_total", "counter", "Left out because their message is too large for the node.", AT(too_large) },
        { "opcua_messages_total", "counter", "Messages made of values.", AT(messages) },
        { "opcua_refused_total", "counter", "Times that the node had no room for a message.", AT(refused) },
        { "opcua_overflows_total", "counter", "Values in front of which a server's queue was too short.", AT(overflows) },
        { "opcua_lost_total", "counter", "Notifications that servers say they have no more.", AT(lost) },
    };
#undef AT
    put_server_metrics(a, out);
    struct publisher *p = publisher_enter(a->config.publisher);
    struct publisher_glance g;
    if (!p)
        return;
    publisher_glance(p, &g);
    publisher_leave(a->config.publisher);
    put_metrics(out, rows, sizeof rows / sizeof rows[0], &g);
}
