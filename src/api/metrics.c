/* metrics.c - GET /metrics, in Prometheus' text format 0.0.4. One row per metric; docs/api.md lists the same
 * rows. */
#include "api/api_private.h"

#include "base/limits_use.h"
#include "base/mem.h"
#include "flow/flow.h"
#include "message/message.h"
#include "net/http.h"
#include "net/tls.h"
#include "net/websocket.h"

#include <inttypes.h>

/* All that is shown, at one moment; the rows below say where in here their value stands. */
struct figures {
    struct broker_stats    broker;
    struct websocket_stats websocket;
    struct journal_stats   journal;
    struct tls_stats       tls;
    struct http_stats      http;
    struct process_usage   process;
    uint64_t               heap_bytes, message_bytes, uptime_us;
    bool                   durability_disk;
};

enum form {
    WHOLE,   /* a uint64_t */
    ROUNDED, /* a uint64_t, to nine digits */
    SECONDS, /* a uint64_t of microseconds, likewise */
    YES_NO   /* a bool: 1 or 0 */
};

struct row {
    const char *name, *type, *labels,
        *help; /* rows of one name stand together; only the first has type and help */
    size_t      offset;
    enum form   form;
};
#define COUNTER "counter"
#define GAUGE "gauge"
#define AS(form, field) offsetof(struct figures, field), form
#define B(field) AS(WHOLE, broker.field)
#define J(field) AS(WHOLE, journal.field)
#define W(field) AS(WHOLE, websocket.field)

/* clang-format off */
static const struct row broker_rows[] = {
    { "mqtt_clients", GAUGE, "", "Connected clients.", B(clients) },
    { "mqtt_clients_max", GAUGE, "", "Most clients connected at once since the start.", B(clients_max) },
    { "mqtt_half_open", GAUGE, "", "Connections that have not been accepted yet.", B(half_open) },
    { "mqtt_connects_total", COUNTER, "", "Connections accepted with CONNACK 0.", B(connects) },
    { "mqtt_connects_refused_total", COUNTER, "", "Connections refused.", B(refused_connects) },
    { "auth_passwords_total", COUNTER, "how=\"checked\"",
      "Passwords looked at. checked: hashed; remembered: found right a moment ago.", B(auth_checked) },
    { "auth_passwords_total", NULL, "how=\"remembered\"", NULL, B(auth_remembered) },
    { "auth_refused_total", COUNTER, "reason=\"wrong\"",
      "Sign-ins refused. wrong: name or password; banned: too many failures (limits.auth-failures); busy: too many at once.",
      B(auth_failed) },
    { "auth_refused_total", NULL, "reason=\"banned\"", NULL, B(auth_banned) },
    { "auth_refused_total", NULL, "reason=\"busy\"", NULL, B(auth_busy) },
    { "mqtt_denied_total", COUNTER, "what=\"publish\"",
      "What access rules refused: messages published, filters subscribed, deliveries (queued or retained), wills.",
      B(denied_publishes) },
    { "mqtt_denied_total", NULL, "what=\"subscribe\"", NULL, B(denied_subscriptions) },
    { "mqtt_denied_total", NULL, "what=\"delivery\"", NULL, B(denied_deliveries) },
    { "mqtt_denied_total", NULL, "what=\"will\"", NULL, B(denied_wills) },
    { "mqtt_connections_withdrawn_total", COUNTER, "",
      "Connections ended because their user was removed, or his password or certificate is no longer good.",
      B(withdrawn) },
    { "mqtt_sessions_abandoned_total", COUNTER, "",
      "Sessions of anonymous clients, and what waited in them, ended because a user signed in with their client identifier.",
      B(abandoned_sessions) },
    { "mqtt_half_open_closed_total", COUNTER, "reason=\"late\"",
      "Connections closed before their CONNECT was accepted. late: limits.connect-seconds; made-room: limits.half-open.",
      B(strangers_late) },
    { "mqtt_half_open_closed_total", NULL, "reason=\"made-room\"", NULL, B(strangers_room) },
    { "mqtt_takeovers_total", COUNTER, "",
      "Connections ended because their client identifier came again.", B(takeovers) },
    { "mqtt_protocol_errors_total", COUNTER, "",
      "Connections ended because of what the peer sent.", B(protocol_errors) },
    { "mqtt_sessions", GAUGE, "", "Sessions, connected or not.", B(sessions) },
    { "mqtt_subscriptions", GAUGE, "", "Subscriptions of all sessions.", B(subscriptions) },
    { "mqtt_retained_messages", GAUGE, "", "Retained messages.", B(retained) },
    { "mqtt_retained_bytes", GAUGE, "", "Bytes of retained messages.", B(retained_bytes) },
    { "mqtt_queued_messages", GAUGE, "", "Messages that wait for a session.", B(queued_messages) },
    { "mqtt_queued_bytes", GAUGE, "", "Bytes that wait for a session.", B(queued_bytes) },
    { "mqtt_received_messages_total", COUNTER, "qos=\"0\"", "PUBLISH packets received.", B(received[0]) },
    { "mqtt_received_messages_total", NULL, "qos=\"1\"", NULL, B(received[1]) },
    { "mqtt_received_messages_total", NULL, "qos=\"2\"", NULL, B(received[2]) },
    { "mqtt_sent_messages_total", COUNTER, "qos=\"0\"", "PUBLISH packets sent.", B(sent[0]) },
    { "mqtt_sent_messages_total", NULL, "qos=\"1\"", NULL, B(sent[1]) },
    { "mqtt_sent_messages_total", NULL, "qos=\"2\"", NULL, B(sent[2]) },
    { "mqtt_received_bytes_total", COUNTER, "", "Payload bytes received.", B(received_bytes) },
    { "mqtt_sent_bytes_total", COUNTER, "", "Payload bytes sent.", B(sent_bytes) },
    { "mqtt_received_packets_total", COUNTER, "", "Packets of every type received.", B(packets_in) },
    { "mqtt_sent_packets_total", COUNTER, "", "Packets of every type sent.", B(packets_out) },
    { "mqtt_received_wire_bytes_total", COUNTER, "", "Bytes of all packets received.", B(wire_in) },
    { "mqtt_sent_wire_bytes_total", COUNTER, "", "Bytes sent to all connections of the broker's loops.", B(wire_out) },
    { "mqtt_shared_subscriptions", GAUGE, "", "Shared ones among the subscriptions.", B(shared_subscriptions) },
    { "mqtt_sessions_expired_total", COUNTER, "", "Sessions whose time was over.", B(expired) },
    { "mqtt_stored_messages_total", COUNTER, "", "Messages written to the journal.", B(stored) },
    { "mqtt_acknowledged_messages_total", COUNTER, "",
      "PUBACK and PUBREC sent with success.", B(acknowledged) },
    { "mqtt_waiting_acknowledgements", GAUGE, "",
      "Acknowledgements that wait for the disk.", B(waiting_acks) },
    { "mqtt_wills_published_total", COUNTER, "", "Wills published.", B(wills_published) },
    { "mqtt_refused_messages_total", COUNTER, "",
      "Messages refused (PUBACK 0x97 and the like).", B(refused_full) },
    { "mqtt_retained_expired_total", COUNTER, "", "Retained messages whose expiry interval was over.", B(retained_expired) },
    { "mqtt_not_retained_messages_total", COUNTER, "",
      "Messages of 3.x clients and wills forwarded but not retained, for want of room (limits.retained-...).", B(not_retained) },
    { "mqtt_dropped_messages_total", COUNTER, "reason=\"slow\"",
      "Deliveries dropped. slow: QoS 0, the receiver does not take what it has; queue: QoS 1 and 2, the "
      "session's queue is full; expired; too-large: for the receiver's maximum packet size; no-subscriber: "
      "nobody wants it; away: QoS 0, the receiver is not connected; disk-full: QoS 0 for a partition.",
      B(dropped_slow) },
    { "mqtt_dropped_messages_total", NULL, "reason=\"queue\"", NULL, B(dropped_queue) },
    { "mqtt_dropped_messages_total", NULL, "reason=\"expired\"", NULL, B(dropped_expired) },
    { "mqtt_dropped_messages_total", NULL, "reason=\"too-large\"", NULL, B(dropped_too_large) },
    { "mqtt_dropped_messages_total", NULL, "reason=\"no-subscriber\"", NULL, B(dropped_no_subscriber) },
    { "mqtt_dropped_messages_total", NULL, "reason=\"away\"", NULL, B(dropped_away) },
    { "mqtt_dropped_messages_total", NULL, "reason=\"disk-full\"", NULL, B(dropped_refused) },
    { "hub_messages_total", COUNTER, "", "Messages stored in partitions.", B(to_partitions) },
};

static const struct row journal_rows[] = {
    { "journal_appended_sequence", GAUGE, "", "Newest record written or waiting to be.", J(appended_seq) },
    { "journal_durable_sequence", GAUGE, "", "Newest record that is on disk.", J(durable_seq) },
    { "journal_syncs_total", COUNTER, "", "Times the disk was synced.", J(syncs) },
    { "journal_written_bytes_total", COUNTER, "", "Bytes written.", J(bytes_written) },
    { "journal_segments", GAUGE, "", "Files of the journal.", J(segments) },
    { "journal_disk_bytes", GAUGE, "", "Bytes the journal takes.", J(disk_bytes) },
    { "journal_free_bytes", GAUGE, "", "Bytes free where the journal lies.", J(free_bytes) },
    { "journal_damaged_frames_total", COUNTER, "",
      "Frames that were durable once and cannot be read any more.", J(damaged_frames) },
    { "journal_torn_frames_total", COUNTER, "",
      "Frames cut by a crash before they were acknowledged.", J(torn_frames) },
    { "journal_moved_frames_total", COUNTER, "",
      "Frames carried forward so that their file could go.", J(moved_frames) },
    { "journal_refused_total", COUNTER, "", "Records refused for want of room.", J(refused_full) },
    { "journal_sync_seconds", GAUGE, "", "Median time of recent syncs.", AS(SECONDS, journal.sync_us_p50) },
    { "journal_sync_seconds_max", GAUGE, "", "Longest of recent syncs.", AS(SECONDS, journal.sync_us_max) },
    { "journal_failed", GAUGE, "", "1: a sync failed, nothing is acknowledged any more.", AS(YES_NO, journal.failed) },
    { "journal_full", GAUGE, "", "1: new messages are refused for want of room.", AS(YES_NO, journal.full) },
    { "journal_verifying", GAUGE, "", "1: older segments are being verified.", AS(YES_NO, journal.verifying) },
    { "durability_disk", GAUGE, "", "1: an acknowledgement means on disk. 0: durability is memory.", AS(YES_NO, durability_disk) },
};

static const struct row websocket_rows[] = {
    { "websocket_accepted_total", COUNTER, "", "WebSocket handshakes accepted.", W(accepted) },
    { "websocket_refused_total", COUNTER, "reason=\"malformed\"",
      "WebSocket handshakes refused. malformed: not as RFC 6455 has it; not-upgrade: plain HTTP; version: not 13; protocol: "
      "mqtt is not offered; origin: a web page that may not connect.",
      W(refused[WEBSOCKET_MALFORMED]) },
    { "websocket_refused_total", NULL, "reason=\"not-upgrade\"", NULL, W(refused[WEBSOCKET_NOT_UPGRADE]) },
    { "websocket_refused_total", NULL, "reason=\"version\"", NULL, W(refused[WEBSOCKET_VERSION]) },
    { "websocket_refused_total", NULL, "reason=\"protocol\"", NULL, W(refused[WEBSOCKET_PROTOCOL]) },
    { "websocket_refused_total", NULL, "reason=\"origin\"", NULL, W(refused[WEBSOCKET_ORIGIN]) },
    { "websocket_closed_total", COUNTER, "code=\"1002\"",
      "WebSockets closed because of what the peer sent. 1002: against the protocol; 1003: text; 1007: a reason that is not "
      "UTF-8; 1009: a frame above limits.packet-bytes, or too many fragments.",
      W(closed_protocol) },
    { "websocket_closed_total", NULL, "code=\"1003\"", NULL, W(closed_text) },
    { "websocket_closed_total", NULL, "code=\"1007\"", NULL, W(closed_reason) },
    { "websocket_closed_total", NULL, "code=\"1009\"", NULL, W(closed_too_big) },
};

static const struct row other_rows[] = {
    { "tls_handshakes_total", COUNTER, "", "TLS handshakes that were done.", AS(ROUNDED, tls.handshakes) },
    { "tls_refused_total", COUNTER, "",
      "TLS connections that ended with an error: FG2101 to FG2109 in the log.", AS(ROUNDED, tls.failed) },
    { "http_connections", GAUGE, "", "HTTP connections, without those that became WebSockets.", AS(ROUNDED, http.connections) },
    { "http_refused_total", COUNTER, "reason=\"refused\"",
      "refused: requests malformed, too large or too late, and peers that may not connect (FG1103); silent: nothing asked "
      "in time (FG1104); made-room: closed for newer ones (FG1105).", AS(WHOLE, http.refused) },
    { "http_refused_total", NULL, "reason=\"silent\"", NULL, AS(WHOLE, http.silent) },
    { "http_refused_total", NULL, "reason=\"made-room\"", NULL, AS(WHOLE, http.made_room) },
    { "process_resident_memory_bytes", GAUGE, "", "Resident memory.", AS(ROUNDED, process.rss_bytes) },
    { "process_cpu_seconds_total", COUNTER, "", "Processor time, user and system.", AS(SECONDS, process.cpu_us) },
    { "process_open_fds", GAUGE, "", "Open files and sockets.", AS(ROUNDED, process.files) },
    { "process_max_fds", GAUGE, "", "Most files and sockets that may be open.", AS(ROUNDED, process.files_max) },
    { "process_threads", GAUGE, "", "Threads.", AS(ROUNDED, process.threads) },
    { "heap_bytes", GAUGE, "", "Heap in use by our own allocations.", AS(ROUNDED, heap_bytes) },
    { "message_bytes", GAUGE, "", "Heap bytes of messages in memory; part of heap_bytes.", AS(ROUNDED, message_bytes) },
    { "uptime_seconds", GAUGE, "", "Time since the start.", AS(SECONDS, uptime_us) },
};

_Static_assert(sizeof broker_rows / sizeof broker_rows[0] == sizeof(struct broker_stats) / sizeof(uint64_t),
               "every counter of the broker is shown: one row each");

#define L(id, field) [LIMIT_##id] = { offsetof(struct limits, field), sizeof(((struct limits *)0)->field), 0 }
#define FIXED(id, value) [LIMIT_##id] = { 0, 0, value }
static const struct limit_row {
    size_t   offset, size; /* of the setting; 0: it is fixed */
    uint64_t fixed;
} limit_rows[LIMIT_NAMES] = {
    L(PACKET_BYTES, packet_bytes), L(CONNECT_BYTES, connect_bytes), L(CONNECT_SECONDS, connect_s),
    L(CONNECTIONS, connections), L(CONNECTIONS_PER_ADDRESS, connections_per_address),
    L(CONNECTIONS_PER_IDENTITY, connections_per_identity), L(CONNECT_RATE, connect_rate),
    L(AUTH_FAILURES, auth_failures), L(HALF_OPEN, half_open), L(RECEIVE_MAXIMUM, receive_maximum),
    L(QUEUED_BYTES, queued_bytes), L(QUEUED_MESSAGES, queued_messages), L(REFUSE_SECONDS, refuse_s),
    L(UNSENT_BYTES, unsent_bytes), L(UNSENT_SECONDS, unsent_s), L(MEMORY_BYTES, memory_bytes),
    L(TOPIC_BYTES, topic_bytes), L(TOPIC_LEVELS, topic_levels), L(SUBSCRIPTIONS, subscriptions),
    L(FILTERS_PER_PACKET, filters_per_packet), L(SHARED_GROUPS, shared_groups), L(FAN_OUT, fan_out),
    L(RETAINED_MESSAGES, retained_messages), L(RETAINED_BYTES, retained_bytes),
    L(RETAINED_PER_IDENTITY, retained_per_identity), L(USER_PROPERTIES, user_properties),
    L(PROPERTY_BYTES, property_bytes), L(TOPIC_ALIASES, topic_aliases), L(SESSION_EXPIRY, session_expiry_s),
    L(SESSIONS, sessions), L(SESSIONS_PER_IDENTITY, sessions_per_identity), L(KEEP_ALIVE, keep_alive_s),
    L(HTTP_REQUEST_LINE, http_request_line_bytes), L(HTTP_HEADERS, http_headers_bytes),
    L(HTTP_HEADER_COUNT, http_header_count),
    FIXED(WEBSOCKET_FRAGMENTS, WEBSOCKET_FRAGMENTS_MAX), FIXED(WEBSOCKET_CONTROL_BYTES, WEBSOCKET_CONTROL_MAX),
    FIXED(TLS_HANDSHAKE_BYTES, TLS_HANDSHAKE_BYTES), FIXED(TLS_CERTIFICATES, TLS_CERTIFICATES),
    FIXED(TLS_DEPTH, TLS_DEPTH), FIXED(TLS_RSA_BITS, TLS_RSA_BITS),
};
/* clang-format on */

static void announce(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP fieldgate_%s %s\n# TYPE fieldgate_%s %s\n", name, help, name, type);
}

static void put_value(struct buf *out, const struct row *r, const struct figures *figures)
{
    const char *at = (const char *)figures + r->offset;
    uint64_t v = 0;
    if (r->form != YES_NO)
        memcpy(&v, at, sizeof v);
    switch (r->form) {
    case WHOLE: buf_printf(out, "%" PRIu64 "\n", v); break;
    case ROUNDED: buf_printf(out, "%.9g\n", (double)v); break;
    case SECONDS: buf_printf(out, "%.9g\n", (double)v / 1e6); break;
    case YES_NO: buf_printf(out, "%d\n", *(const bool *)at); break;
    }
}

static void put_rows(struct buf *out, const struct row *rows, size_t count, const struct figures *figures)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        if (r->type)
            announce(out, r->name, r->type, r->help);
        buf_printf(out, *r->labels ? "fieldgate_%s{%s} " : "fieldgate_%s%s ", r->name, r->labels);
        put_value(out, r, figures);
    }
}

/* False: unlimited. */
static bool limit_of(const struct limits *limits, const struct limit_row *r, uint64_t *out)
{
    uint32_t narrow = 0;
    if (r->size == sizeof *out)
        memcpy(out, (const char *)limits + r->offset, sizeof *out);
    else if (r->size)
        memcpy(&narrow, (const char *)limits + r->offset, sizeof narrow);
    if (r->size == sizeof *out)
        return *out != LIMIT_NONE_64;
    *out = r->size ? narrow : r->fixed;
    return !r->size || narrow != LIMIT_NONE_32;
}

/* Of these everybody sees the present use; of the others, which each connection, packet, session or second has of its own,
 * the most that was seen since the start. */
static uint64_t used_of(enum limit_name name, const struct figures *f)
{
    const struct broker_stats *b = &f->broker;
    const struct http_stats *h = &f->http;
    switch (name) {
    case LIMIT_CONNECTIONS: return b->clients;
    case LIMIT_HALF_OPEN: return b->half_open > h->connections ? b->half_open : h->connections; /* each for itself */
    case LIMIT_MEMORY_BYTES: return f->heap_bytes;
    case LIMIT_RETAINED_MESSAGES: return b->retained;
    case LIMIT_RETAINED_BYTES: return b->retained_bytes;
    case LIMIT_SESSIONS: return b->sessions;
    default: return atomic_load_explicit(&limits_uses[name].most, memory_order_relaxed);
    }
}

static void put_limits(struct buf *out, const struct limits *limits, const struct figures *figures)
{
    announce(out, "limit", GAUGE,
             "What is allowed, by key under limits: of the settings, and what is fixed for WebSocket and TLS. +Inf: unlimited.");
    for (int i = 0; i < LIMIT_NAMES; i++) {
        uint64_t v;
        if (limit_of(limits, &limit_rows[i], &v))
            buf_printf(out, "fieldgate_limit{key=\"%s\"} %" PRIu64 "\n", limit_names[i], v);
        else
            buf_printf(out, "fieldgate_limit{key=\"%s\"} +Inf\n", limit_names[i]);
    }
    announce(out, "limit_used", GAUGE,
             "How much of each limit is in use; where each connection, packet, session, address or second has its own, the most "
             "that was seen since the start.");
    for (int i = 0; i < LIMIT_NAMES; i++)
        buf_printf(out, "fieldgate_limit_used{key=\"%s\"} %" PRIu64 "\n", limit_names[i], used_of((enum limit_name)i, figures));
    announce(out, "limit_refused_total", COUNTER, "What was refused, cut, dropped or closed because of each limit.");
    for (int i = 0; i < LIMIT_NAMES; i++)
        buf_printf(out, "fieldgate_limit_refused_total{key=\"%s\"} %" PRIu64 "\n", limit_names[i],
                   atomic_load_explicit(&limits_uses[i].refused, memory_order_relaxed));
}

static void put_partitions(struct buf *out, struct journal *j)
{
    static const struct {
        const char *name, *help;
        bool        next;
    } kinds[] = {
        { "hub_partition_first", "Sequence of the oldest event that is kept.", false },
        { "hub_partition_next", "Sequence that the next event will have.", true },
    };
    for (size_t k = 0; k < 2; k++) {
        announce(out, kinds[k].name, GAUGE, kinds[k].help);
        for (uint32_t p = 0; p < journal_partitions(j); p++) {
            uint64_t first, next;
            journal_partition_range(j, p, &first, &next);
            buf_printf(out, "fieldgate_%s{partition=\"%" PRIu32 "\"} %" PRIu64 "\n", kinds[k].name, p,
                       kinds[k].next ? next : first);
        }
    }
}

struct job_line {
    struct buf *out;
    const char *name;
    size_t      offset;
};

static void put_job(void *ctx, const struct job_glance *g)
{
    const struct job_line *l = ctx;
    uint64_t v = l->offset ? *(const uint64_t *)(const void *)((const char *)g + l->offset) : g->state == JOB_RUNNING;
    buf_printf(l->out, "fieldgate_%s{job=\"%s\"} %" PRIu64 "\n", l->name, g->name, v);
}

static void put_jobs(struct buf *out, struct flow *flow)
{
    static const struct {
        const char *name;
        const char *kind;
        const char *help;
        size_t      offset;
    } kinds[] = {
        { "job_running", GAUGE, "1: the job runs; 0: it is blocked, paused or stopped.", 0 },
        { "job_lag_messages", GAUGE, "Messages that wait to be read by the job.", offsetof(struct job_glance, lag) },
        { "job_events_total", COUNTER, "Events read since the job was started.", offsetof(struct job_glance, events) },
        { "job_rows_total", COUNTER, "Rows put out since the job was started.", offsetof(struct job_glance, rows) },
        { "job_dropped_total", COUNTER, "Messages and events dropped or adjusted by a policy.", offsetof(struct job_glance, dropped) },
        { "job_state_bytes", GAUGE, "What the job remembers.", offsetof(struct job_glance, state_bytes) },
    };
    for (size_t k = 0; flow && k < sizeof kinds / sizeof kinds[0]; k++) {
        announce(out, kinds[k].name, kinds[k].kind, kinds[k].help);
        (void)flow_glance(flow, put_job, &(struct job_line){ out, kinds[k].name, kinds[k].offset });
    }
}

struct action_line {
    struct buf *out;
    const char *name, *result;
    size_t      offset;
};

static void put_action(void *ctx, const struct action_glance *g)
{
    const struct action_line *l = ctx;
    uint64_t v = *(const uint64_t *)(const void *)((const char *)g + l->offset);
    buf_printf(l->out, "fieldgate_%s{action=\"%s\"%s%s%s} %" PRIu64 "\n", l->name, g->name, l->result ? ",result=\"" : "",
               l->result ? l->result : "", l->result ? "\"" : "", v);
}

static void put_actions(struct buf *out, struct flow *flow)
{
#define AT(field) offsetof(struct action_glance, field)
    static const struct {
        const char *name, *kind, *help, *result;
        size_t      offset;
    } kinds[] = {
        { "action_waiting", GAUGE, "Events that wait for the action.", NULL, AT(waiting) },
        { "action_events_total", COUNTER, "Events that are done with, since the action was started.", "good", AT(done) },
        { "action_events_total", NULL, NULL, "failed", AT(failed) },
        { "action_events_total", NULL, NULL, "held back", AT(held_back) },
        { "action_events_total", NULL, NULL, "dry run", AT(dry) },
        { "action_retries_total", COUNTER, "Tries that failed and were repeated.", NULL, AT(retries) },
    };
#undef AT
    for (size_t k = 0; flow && k < sizeof kinds / sizeof kinds[0]; k++) {
        if (kinds[k].kind)
            announce(out, kinds[k].name, kinds[k].kind, kinds[k].help);
        (void)flow_glance_actions(flow, put_action,
                                  &(struct action_line){ out, kinds[k].name, kinds[k].result, kinds[k].offset });
    }
}

static void look(struct api *a, struct figures *f)
{
    broker_stats(a->config.broker, &f->broker);
    journal_stats(a->config.journal, &f->journal);
    websocket_stats(&f->websocket);
    tls_stats(&f->tls);
    http_stats(&f->http);
    process_look(&io_system, &f->process);
    f->heap_bytes = mem_in_use();
    f->message_bytes = message_bytes_in_use();
    f->uptime_us = (uint64_t)(a->config.io->monotonic_us(a->config.io->self) - a->since_us);
    f->durability_disk = a->config.view.settings->durability == DURABILITY_DISK;
}

void metrics_reply(struct api *a, struct http_exchange *x)
{
    struct figures f;
    struct buf out = { 0 };
    look(a, &f);
    announce(&out, "info", GAUGE, "The program.");
    buf_printf(&out, "fieldgate_info{version=\"%s\"} 1\n", a->config.version);
#define PUT(rows) put_rows(&out, rows, sizeof rows / sizeof rows[0], &f)
    PUT(broker_rows);
    PUT(websocket_rows);
    PUT(journal_rows);
    put_partitions(&out, a->config.journal);
    put_jobs(&out, a->config.flow);
    routes_put_metrics(a, &out);
    put_actions(&out, a->config.flow);
    opcua_put_metrics(a, &out);
    put_limits(&out, &a->config.view.settings->limits, &f);
    PUT(other_rows);
#undef PUT
    api_answer(x, "text/plain; version=0.0.4; charset=utf-8", &out);
}
