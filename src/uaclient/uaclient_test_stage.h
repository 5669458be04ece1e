/* uaclient_test_stage.h - one OPC UA client on the simulated loop, and a server that the test plays: the channel is a real one, the
 * services answer as told. Test code. */
#pragma once

#include "base/mem.h"
#include "net/sim.h"
#include "uaclient/many.h"
#include "uaclient/subscription.h"

#include "opcua/channel.h"
#include "opcua/ids.h"

#include <stdio.h>
#ifdef UACLIENT_FUZZ /* there is no cmocka */
#include <stdlib.h>
#define assert_true(x) ((x) ? (void)0 : abort())
#define assert_int_equal(a, b) assert_true((a) == (b))
#define fail_msg(...) abort()
#else
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#endif

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define SECOND   1000000
#define URL      "opc.tcp://127.0.0.1:4840/x"

enum { PARKED = 64, KEPT = 32, FAULTS = 8, ITEMS = 64 };

struct stage {
    struct sim *sim;
    struct loop *loop;
    struct listener *listener;
    struct ua_client *client;
    struct ua_subscription *sub;

    /* the server */
    struct conn *peer;
    struct ua_channel *channel;
    uint32_t channels, accepted;
    uint32_t session;      /* number of the one that is known; 0: none */
    uint32_t sessions;
    uint32_t sub_id, subs; /* the newest */
    bool     sub_known;
    uint32_t parked[PARKED], parked_count;
    struct {
        uint32_t sequence;
        int64_t  value;
        ua_time  time;
    } kept[KEPT];
    size_t kept_count;
    struct {
        uint32_t  encoding, times;
        ua_status status;
    } faults[FAULTS];
    uint32_t handles[ITEMS], items; /* monitored ones, in the order of their making */
    uint32_t most_items;            /* in one request; 0: any */
    uint32_t asked[ITEMS];          /* of each request in turn: how many items it had */
    uint32_t requests;
    uint32_t item_ns;               /* of the last item asked for */
    ua_status item_status;
    const char *namespaces[3];
    int64_t  clock_us;              /* its clock minus ours; 0: it has none */
    struct ua_node_id filter;       /* type of the filter of the last item */
    uint32_t mute;                  /* a request type that gets no answer */
    bool     dead;                  /* nothing gets one */
    struct bytes session_certificate, endpoint_certificate;
    bool     no_token, no_endpoints, twice, wrong_type, fewer;
    uint32_t republished;           /* requests for it */
    bool     history;
    struct ua_application *own;     /* NULL: no security */
    bool (*offers)(void *ctx, const struct ua_policy *, int mode);
    ua_status (*verify)(void *ctx, struct ua_certificate *, struct fault *why);
    /* Before everything else: true, it has answered. */
    bool (*hook)(struct stage *, uint32_t id, uint32_t encoding, const void *request);

    /* what the client told */
    struct buf log;
    struct fault why;
    int    close_at;  /* closes the client in the callback of that number, from 1 */
    int    callbacks;
};

static inline bool told_one(struct stage *st)
{
    if (++st->callbacks != st->close_at)
        return false;
    ua_client_close(st->client);
    st->client = NULL;
    st->sub = NULL;
    return true;
}

/* ---- the server ---- */

static inline void respond(struct stage *st, uint32_t id, const struct ua_struct *type, void *response)
{
    struct ua_response_header *h = response;
    struct ua_sending s;
    if (!st->peer)
        return;
    h->timestamp = ua_time_from_us(loop_wall_us(st->loop));
    h->service_diagnostics = (struct ua_diagnostic_info){ -1, -1, -1, -1, BYTES_NONE, 0, NULL };
    struct buf *out = conn_out(st->peer);
    ua_channel_begin(st->channel, out, &s);
    ua_write_message(out, type, response);
    (void)!ua_channel_end(st->channel, out, &s, id);
}

static inline void fault(struct stage *st, uint32_t id, ua_status status)
{
    struct ua_service_fault f = { .header.service_result = status };
    respond(st, id, &ua_service_fault_type, &f);
}

/* Answers the oldest Publish with these bytes as its notifications. */
static inline void publish_raw(struct stage *st, uint32_t sequence, struct bytes data, uint32_t sub)
{
    struct ua_response_header h = { .service_diagnostics = { -1, -1, -1, -1, BYTES_NONE, 0, NULL } };
    struct ua_sending s;
    if (!st->peer)
        return;
    assert_true(st->parked_count > 0);
    uint32_t id = st->parked[0];
    memmove(st->parked, st->parked + 1, --st->parked_count * sizeof st->parked[0]);
    struct buf *out = conn_out(st->peer);
    ua_channel_begin(st->channel, out, &s);
    ua_write_node_id(out, &UA_NS0(829));
    ua_write_struct(out, &ua_response_header_type, &h);
    buf_le32(out, sub);
    buf_le32(out, UINT32_MAX);
    buf_u8(out, 0);
    buf_le32(out, sequence);
    buf_le64(out, (uint64_t)ua_time_from_us(loop_wall_us(st->loop)));
    buf_add_bytes(out, data);
    (void)!ua_channel_end(st->channel, out, &s, id);
    sim_step(st->sim);
}

static inline void change_body(struct buf *b, uint32_t handle, int64_t value, ua_time time)
{
    struct ua_monitored_item_notification n = { handle, { .has = UA_HAS_VALUE | UA_HAS_SOURCE_TIME, .source_time = time,
                                                          .value = { .type = UA_INT64, .i64 = value } } };
    struct ua_data_change_notification d = { .monitored_items = &n, .monitored_items_count = 1 };
    buf_le32(b, 1);
    ua_write_object_of(b, &ua_data_change_notification_type, &d);
}

/* A message with one value for the item made as number `item`. */
static inline void publish(struct stage *st, uint32_t sequence, uint32_t item, int64_t value, ua_time time)
{
    struct buf b = { 0 };
    change_body(&b, st->handles[item], value, time);
    publish_raw(st, sequence, buf_bytes(&b), st->sub_id);
    buf_clear(&b);
}

static inline void keep(struct stage *st, uint32_t sequence, int64_t value, ua_time time)
{
    st->kept[st->kept_count].sequence = sequence;
    st->kept[st->kept_count].value = value;
    st->kept[st->kept_count++].time = time;
}

static inline void keep_alive(struct stage *st, uint32_t sequence)
{
    publish_raw(st, sequence, bytes_of("\0\0\0\0", 4), st->sub_id);
}

static inline void serve_endpoints(struct stage *st, uint32_t id)
{
    struct ua_user_token_policy anonymous = { .policy_id = BYTES_LIT("a") };
    struct ua_endpoint_description e = { .endpoint_url = BYTES_LIT(URL), .security_mode = UA_MODE_NONE,
                                         .security_policy_uri = bytes_str(ua_policies[0].uri), .user_identity_tokens = &anonymous,
                                         .user_identity_tokens_count = 1, .server_certificate = st->endpoint_certificate };
    struct ua_get_endpoints_response r = { .endpoints = &e, .endpoints_count = st->no_endpoints ? 0 : 1 };
    respond(st, id, &ua_get_endpoints_response_type, &r);
}

static inline void serve_session(struct stage *st, uint32_t id)
{
    uint8_t nonce[32] = { 1 };
    st->session = ++st->sessions;
    struct ua_create_session_response r = { .session_id = UA_NS0(1), .authentication_token = UA_NS0(st->no_token ? 0 : st->session),
                                            .revised_session_timeout = 60000, .server_nonce = bytes_of(nonce, sizeof nonce),
                                            .server_certificate = st->session_certificate };
    r.authentication_token.ns = st->no_token ? 0 : 1;
    respond(st, id, &ua_create_session_response_type, &r);
}

static inline void serve_read(struct stage *st, uint32_t id, const struct ua_read_request *q)
{
    struct ua_data_value values[32] = { 0 };
    struct bytes names[3];
    uint32_t count = 0;
    for (; count < 3 && st->namespaces[count]; count++)
        names[count] = bytes_str(st->namespaces[count]);
    for (uint32_t i = 0; i < q->nodes_to_read_count && i < 32; i++) {
        uint32_t node = q->nodes_to_read[i].node_id.number;
        values[i].has = UA_HAS_STATUS;
        values[i].status = UA_BAD_NODE_ID_UNKNOWN;
        if (node == UA_ID_SERVER_NAMESPACE_ARRAY)
            values[i] = (struct ua_data_value){ .has = 1, .value = { .type = UA_STRING, .array = true, .count = count, .at = names } };
        else if (node == UA_ID_SERVER_SERVER_STATUS_CURRENT_TIME && st->clock_us)
            values[i] = (struct ua_data_value){
                .has = 1, .value = { .type = UA_DATE_TIME, .time = ua_time_from_us(loop_wall_us(st->loop) + st->clock_us) } };
        else if (node == UA_ID_SERVER_SERVER_STATUS_STATE)
            values[i] = (struct ua_data_value){ .has = 1, .value = { .type = UA_INT32 } };
    }
    struct ua_read_response r = { .results = values, .results_count = q->nodes_to_read_count - st->fewer };
    respond(st, id, &ua_read_response_type, &r);
}

static inline void serve_items(struct stage *st, uint32_t id, const struct ua_create_monitored_items_request *q)
{
    struct ua_monitored_item_create_result results[ITEMS] = { 0 };
    if (st->requests < ITEMS)
        st->asked[st->requests++] = q->items_to_create_count;
    if (st->most_items && q->items_to_create_count > st->most_items) {
        fault(st, id, UA_BAD_TOO_MANY_OPERATIONS);
        return;
    }
    for (uint32_t i = 0; i < q->items_to_create_count && i < ITEMS; i++) {
        st->filter = q->items_to_create[i].requested_parameters.filter.type;
        st->item_ns = q->items_to_create[i].item_to_monitor.node_id.ns;
        if (!st->item_status && st->items < ITEMS)
            st->handles[st->items++] = q->items_to_create[i].requested_parameters.client_handle;
        results[i] = (struct ua_monitored_item_create_result){ .status_code = st->item_status, .monitored_item_id = st->items,
                                                               .revised_sampling_interval = 5, .revised_queue_size = 7 };
    }
    struct ua_create_monitored_items_response r = { .results = results, .results_count = q->items_to_create_count };
    respond(st, id, &ua_create_monitored_items_response_type, &r);
}

static inline void serve_republish(struct stage *st, uint32_t id, uint32_t sequence)
{
    struct buf b = { 0 };
    struct ua_response_header h = { .service_diagnostics = { -1, -1, -1, -1, BYTES_NONE, 0, NULL } };
    struct ua_sending s;
    st->republished++;
    for (size_t i = 0; i < st->kept_count; i++) {
        if (st->kept[i].sequence != sequence)
            continue;
        change_body(&b, st->handles[0], st->kept[i].value, st->kept[i].time);
        struct buf *out = conn_out(st->peer);
        ua_channel_begin(st->channel, out, &s);
        ua_write_node_id(out, &UA_NS0(835));
        ua_write_struct(out, &ua_response_header_type, &h);
        buf_le32(out, sequence);
        buf_le64(out, (uint64_t)ua_time_from_us(loop_wall_us(st->loop)));
        buf_add_bytes(out, buf_bytes(&b));
        (void)!ua_channel_end(st->channel, out, &s, id);
        buf_clear(&b);
        return;
    }
    fault(st, id, UA_BAD_MESSAGE_NOT_AVAILABLE);
}

static inline void serve_history(struct stage *st, uint32_t id)
{
    struct ua_data_value past[2] = { { .has = 1 | UA_HAS_SOURCE_TIME, .source_time = 50, .value = { .type = UA_INT64, .i64 = 50 } },
                                     { .has = 1 | UA_HAS_SOURCE_TIME, .source_time = 60, .value = { .type = UA_INT64, .i64 = 60 } } };
    struct ua_history_data data = { .data_values = past, .data_values_count = 2 };
    struct ua_history_read_result result = { 0 };
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 16);
    if (ua_object_of(&arena, &ua_history_data_type, &data, &result.history_data)) {
        struct ua_history_read_response r = { .results = &result, .results_count = 1 };
        respond(st, id, &ua_history_read_response_type, &r);
    }
    arena_clear(&arena);
}

static inline bool faulty(struct stage *st, uint32_t id, uint32_t encoding)
{
    for (size_t i = 0; i < FAULTS; i++) {
        if (st->faults[i].encoding != encoding || !st->faults[i].times)
            continue;
        st->faults[i].times--;
        fault(st, id, st->faults[i].status);
        return true;
    }
    return false;
}

static inline void fail_next(struct stage *st, const struct ua_struct *request, ua_status status, uint32_t times)
{
    size_t i = 0;
    while (st->faults[i].times)
        i++;
    st->faults[i].encoding = request->encoding;
    st->faults[i].status = status;
    st->faults[i].times = times;
}

static inline void dispatch(struct stage *st, uint32_t id, uint32_t encoding, void *request)
{
    const struct ua_request_header *h = request;
    bool known = st->session && h->authentication_token.number == st->session && h->authentication_token.ns == 1;
    bool open = encoding == ua_get_endpoints_request_type.encoding || encoding == ua_create_session_request_type.encoding;
    if (!open && !known) {
        fault(st, id, UA_BAD_SESSION_ID_INVALID);
    } else if (encoding == ua_get_endpoints_request_type.encoding) {
        serve_endpoints(st, id);
    } else if (encoding == ua_create_session_request_type.encoding) {
        serve_session(st, id);
    } else if (encoding == ua_activate_session_request_type.encoding) {
        struct ua_activate_session_response r = { 0 };
        respond(st, id, &ua_activate_session_response_type, &r);
    } else if (encoding == ua_read_request_type.encoding) {
        serve_read(st, id, request);
    } else if (encoding == ua_create_subscription_request_type.encoding) {
        struct ua_create_subscription_response r = { .subscription_id = st->sub_id = ++st->subs + 100, .revised_publishing_interval = 100,
                                                     .revised_lifetime_count = 100, .revised_max_keep_alive_count = 10 };
        st->items = 0;
        st->sub_known = true;
        respond(st, id, &ua_create_subscription_response_type, &r);
    } else if (encoding == ua_create_monitored_items_request_type.encoding) {
        serve_items(st, id, request);
    } else if (encoding == ua_publish_request_type.encoding) {
        if (!st->sub_known)
            fault(st, id, UA_BAD_NO_SUBSCRIPTION);
        else if (st->parked_count < PARKED)
            st->parked[st->parked_count++] = id;
    } else if (encoding == ua_republish_request_type.encoding) {
        serve_republish(st, id, ((struct ua_republish_request *)request)->retransmit_sequence_number);
    } else if (encoding == ua_transfer_subscriptions_request_type.encoding) {
        struct ua_transfer_result result = { .status_code = st->sub_known ? 0 : UA_BAD_SUBSCRIPTION_ID_INVALID };
        struct ua_transfer_subscriptions_response r = { .results = &result, .results_count = 1 };
        respond(st, id, &ua_transfer_subscriptions_response_type, &r);
    } else if (encoding == ua_history_read_request_type.encoding && st->history) {
        serve_history(st, id);
    } else if (encoding == ua_close_session_request_type.encoding) {
        struct ua_close_session_response r = { 0 };
        respond(st, id, &ua_close_session_response_type, &r);
    } else {
        fault(st, id, UA_BAD_SERVICE_UNSUPPORTED);
    }
}

static inline void serve(struct stage *st, const struct ua_event *e)
{
    static uint64_t request[128];
    struct arena arena;
    arena_init(&arena, NULL, 0, 1 << 20);
    struct ua_reader r = ua_reader_of(e->body, &arena, NULL);
    uint32_t encoding = ua_read_type(&r);
    const struct ua_struct *type = ua_struct_of(encoding);
    memset(request, 0, sizeof request);
    if (type && type->size <= sizeof request && !st->dead && encoding != st->mute) {
        ua_read_struct(&r, type, request);
        if (st->wrong_type && encoding == ua_read_request_type.encoding) {
            struct ua_write_response w = { 0 };
            respond(st, e->request_id, &ua_write_response_type, &w);
        } else if (ua_read_good(&r) && !faulty(st, e->request_id, encoding) &&
                   !(st->hook && st->hook(st, e->request_id, encoding, request))) {
            dispatch(st, e->request_id, encoding, request);
            if (st->twice)
                fault(st, e->request_id, UA_BAD_UNEXPECTED_ERROR);
        }
    }
    arena_clear(&arena);
}

static inline size_t peer_bytes(void *ctx, struct conn *conn, struct bytes in)
{
    struct stage *st = ctx;
    struct ua_event e = { .kind = UA_EVENT_OPENED };
    size_t used = 0;
    while (conn == st->peer && e.kind != UA_EVENT_NONE) {
        struct ua_now now = { loop_now_us(st->loop), loop_wall_us(st->loop) };
        used += ua_channel_take(st->channel, bytes_from(in, used), now, conn_out(conn), &e);
        if (e.kind == UA_EVENT_MESSAGE)
            serve(st, &e);
        if (e.kind != UA_EVENT_CLOSED && e.kind != UA_EVENT_ERROR)
            continue;
        conn_close(conn, true);
        return in.len;
    }
    return used;
}

static inline void peer_closed(void *ctx, struct conn *conn, const struct fault *why)
{
    struct stage *st = ctx;
    (void)why;
    if (conn == st->peer)
        st->peer = NULL;
}

static inline void accepted(void *ctx, const struct net_peer *peer)
{
    static const struct conn_events events = { .on_bytes = peer_bytes, .on_close = peer_closed };
    struct stage *st = ctx;
    struct ua_channel_config config = { .role = UA_SERVER, .limits = ua_channel_limits_default, .io = &io_system, .id = ++st->channels,
                                        .own = st->own, .offers = st->offers, .verify = st->verify };
    ua_channel_free(st->channel);
    st->channel = ua_channel_new(&config, (struct ua_now){ loop_now_us(st->loop), loop_wall_us(st->loop) });
    st->parked_count = 0;
    st->accepted++;
    if (!st->channel || conn_open(&st->peer, st->loop, peer, &events, st, NULL))
        st->peer = NULL;
}

/* ---- the client's words ---- */

static inline void on_up(void *ctx, struct ua_client *c, bool same)
{
    struct stage *st = ctx;
    (void)c;
    buf_printf(&st->log, "up%s ", same ? "+" : "");
    (void)told_one(st);
}

static inline void on_down(void *ctx, struct ua_client *c, const struct fault *why, int64_t retry_ms)
{
    struct stage *st = ctx;
    (void)c;
    buf_printf(&st->log, "down(%d%s) ", why ? why->number : 0, retry_ms < 0 ? " end" : "");
    if (why)
        st->why = *why;
    (void)told_one(st);
}

static inline void on_notice(void *ctx, struct ua_client *c, const struct fault *what)
{
    struct stage *st = ctx;
    (void)c;
    buf_printf(&st->log, "notice(%d) ", what->number);
    (void)told_one(st);
}

static inline void on_changes(void *ctx, struct ua_subscription *s, const struct ua_changes *ch)
{
    static const char from[] = "=rh";
    struct stage *st = ctx;
    (void)s;
    for (size_t i = 0; i < ch->count; i++)
        buf_printf(&st->log, "%u%c%lld ", ch->at[i].handle, from[ch->from], (long long)ch->at[i].value.value.i64);
    (void)told_one(st);
}

static inline void on_item(void *ctx, struct ua_subscription *s, uint32_t handle, ua_status status, double sampling, uint32_t queue)
{
    struct stage *st = ctx;
    char scratch[16];
    (void)s;
    (void)sampling;
    (void)queue;
    buf_printf(&st->log, "item(%u %s) ", handle, ua_status_text(status, scratch));
    (void)told_one(st);
}

static inline void on_gap(void *ctx, struct ua_subscription *s, const struct ua_gap *g)
{
    struct stage *st = ctx;
    (void)s;
    buf_printf(&st->log, "gap(%d lost %llu filled %u/%u) ", g->why.number, (unsigned long long)g->lost_messages, g->filled, g->items);
    (void)told_one(st);
}

static inline void on_event(void *ctx, struct ua_subscription *s, const struct ua_occurrence *o)
{
    struct stage *st = ctx;
    (void)s;
    buf_printf(&st->log, "event(%u:", o->handle);
    for (uint32_t i = 0; i < o->count; i++)
        buf_printf(&st->log, " %.*s", BYTES_FMT(o->fields[i].text));
    buf_printf(&st->log, ") ");
    (void)told_one(st);
}

static inline void no_draw(void *self, void *to, size_t n)
{
    (void)self;
    memset(to, 0, n);
}

static struct io test_io;

static inline struct ua_client_options plain_options(void)
{
    return (struct ua_client_options){ .url = URL, .reconnect = true, .io = &test_io };
}

static inline void stage_set(struct stage *st)
{
    struct fault why = { 0 };
    *st = (struct stage){ .namespaces = { "http://opcfoundation.org/UA/", "urn:x", "urn:y" } };
    test_io = io_system;
    test_io.random = no_draw;
    assert_int_equal(sim_open(&st->sim, 1), CODE_OK);
    assert_int_equal(loop_open_sim(&st->loop, st->sim, &why), CODE_OK);
    assert_int_equal(net_listen(&st->listener, st->loop, "127.0.0.1:4840", accepted, st, &why), CODE_OK);
}

static const struct ua_client_events client_events = { on_up, on_down, on_notice };
static const struct ua_subscription_events sub_events = { .on_changes = on_changes, .on_event = on_event, .on_item = on_item, .on_gap = on_gap };

static inline void stage_open(struct stage *st, const struct ua_client_options *options)
{
    struct fault why = { 0 };
    if (ua_client_open(&st->client, st->loop, options, &client_events, st, &why))
        fail_msg("%s", why.text);
    sim_advance(st->sim, 50000);
}

static inline void stage_close(struct stage *st)
{
    if (st->client)
        ua_client_close(st->client);
    st->client = NULL;
    loop_close(st->loop);
    sim_close(st->sim);
    ua_channel_free(st->channel);
    buf_clear(&st->log);
}

static inline void watch(struct stage *st, const char *uri, uint32_t count, bool history)
{
    static const struct ua_subscription_options options = { .publishing_ms = 100, .keep_alive_ms = 1000, .silent_ms = 2000 };
    struct ua_watch w = { .node = { .id = { .ns = 1, .kind = UA_ID_NUMBER, .number = 7 } }, .mode = UA_MONITOR_REPORTING,
                          .history = history };
    struct fault why = { 0 };
    if (!st->sub && ua_subscription_open(&st->sub, st->client, &options, &sub_events, st, &why))
        fail_msg("%s", why.text);
    if (uri)
        w.node.uri = bytes_str(uri);
    for (uint32_t i = 0; i < count; i++) {
        w.handle = i + 1;
        assert_int_equal(ua_subscription_add(st->sub, &w, 1, NULL, &why), CODE_OK);
    }
    sim_advance(st->sim, 50000);
}

/* What the client told since the last look. */
static inline void told(struct stage *st, const char *want)
{
    buf_u8(&st->log, 0);
    if (strcmp((const char *)st->log.at + st->log.from, want) != 0)
        fail_msg("told \"%s\", not \"%s\"; %s", (const char *)st->log.at + st->log.from, want, st->why.text);
    buf_reset(&st->log);
}

static inline void cut(struct stage *st)
{
    conn_close(st->peer, false);
    sim_step(st->sim);
}
