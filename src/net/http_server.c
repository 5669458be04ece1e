#include "base/limits_use.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/backend.h"
#include "net/filter.h"
#include "net/http_conn.h"

const struct http_limits http_limits_default = {
    .request_line = 8 * 1024,
    .header_bytes = 32 * 1024,
    .header_count = 100,
    .body_bytes = 1024 * 1024,
    .header_seconds = 10,
    .connections = 1000,
};

/* ---- counted ---- */

static _Atomic uint64_t connections, refused, silent, made_room;

void http_count_refused(void)
{
    atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
}

void http_stats(struct http_stats *out)
{
    *out = (struct http_stats){
        .connections = atomic_load(&connections),
        .refused = atomic_load(&refused),
        .silent = atomic_load(&silent),
        .made_room = atomic_load(&made_room),
    };
}

/* ---- life ---- */

static void server_drop(struct http_server *s)
{
    if (--s->holds == 0)
        mem_free(s);
}

static void forget_request(struct http_conn *h)
{
    buf_clear(&h->text);
    buf_clear(&h->fields);
    buf_clear(&h->body);
    h->target_len = h->header_bytes = 0;
    h->in_value = false;
}

static void conn_over(struct http_conn *h)
{
    forget_request(h);
    buf_clear(&h->ex.extra);
    server_drop(h->server);
    mem_free(h);
}

static void link_conn(struct http_conn *h)
{
    struct http_server *s = h->server;
    h->next = s->conns;
    if (h->next)
        h->next->prev = h;
    else
        s->oldest = h;
    s->conns = h;
    s->count++;
    atomic_fetch_add_explicit(&connections, 1, memory_order_relaxed);
}

static void tell_guard(struct http_conn *h)
{
    if (h->counted)
        h->server->guard.went(h->server->guard.ctx, conn_address(h->conn));
    h->counted = false;
}

/* HTTP has done with the connection. */
static void unlink_conn(struct http_conn *h)
{
    struct http_server *s = h->server;
    if (h->prev)
        h->prev->next = h->next;
    else
        s->conns = h->next;
    if (h->next)
        h->next->prev = h->prev;
    else
        s->oldest = h->prev;
    s->count--;
    atomic_fetch_sub_explicit(&connections, 1, memory_order_relaxed);
    tell_guard(h);
}

/* The peer of an open exchange has left, or the server is closing. */
static void tell_gone(struct http_conn *h)
{
    void (*gone)(void *) = h->ex.gone;
    if (!h->ex.busy || !gone)
        return;
    h->ex.busy = false;
    h->ex.gone = NULL;
    h->ex.drained = NULL;
    gone(h->ex.ctx);
}

static void on_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct http_conn *h = ctx;
    (void)why;
    timer_stop(conn_loop(c), &h->timer);
    unlink_conn(h);
    h->conn = NULL;
    tell_gone(h);
    if (!h->ex.busy)
        conn_over(h); /* otherwise http_ended does */
}

enum code http_server_open(struct http_server **out, struct loop *l, const struct http_limits *limits,
                           http_handler handler, void *ctx, struct fault *why)
{
    struct http_server *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an HTTP server");
    *s = (struct http_server){
        .loop = l,
        .limits = limits ? *limits : http_limits_default,
        .handler = handler,
        .ctx = ctx,
        .holds = 1,
    };
    *out = s;
    return CODE_OK;
}

void http_server_set_limits(struct http_server *s, const struct http_limits *limits)
{
    s->limits = *limits;
}

void http_server_close(struct http_server *s)
{
    for (struct http_conn *h = s->conns, *next; h; h = next) {
        next = h->next;
        tell_gone(h);
        tell_guard(h);
        h->phase = PHASE_REFUSED;
        conn_close(h->conn, false);
    }
    server_drop(s);
}

/* ---- patience ---- */

static void on_timer(struct timer *t);

void http_enter(struct http_conn *h, enum http_phase phase)
{
    static const uint8_t seconds[] = {
        [PHASE_IDLE] = HTTP_IDLE_S, [PHASE_BODY] = HTTP_BODY_S, [PHASE_ANSWER] = HTTP_WATCH_S
    };
    h->phase = (uint8_t)phase;
    int64_t s = phase == PHASE_HEAD ? h->server->limits.header_seconds : seconds[phase];
    timer_start(h->server->loop, &h->timer, s * 1000, on_timer);
}

static bool stalled(const struct http_conn *h)
{
    return conn_unsent(h->conn) &&
           loop_now_us(h->server->loop) - conn_progress_us(h->conn) >= (int64_t)HTTP_STALL_S * 1000000;
}

static void on_timer(struct timer *t)
{
    struct http_conn *h = (struct http_conn *)(void *)((char *)t - offsetof(struct http_conn, timer));
    bool mute = h->phase == PHASE_HEAD && h->parser.nread == 0;
    if (h->phase == PHASE_REFUSED)
        return;
    if (h->phase == PHASE_ANSWER || (h->phase == PHASE_IDLE && conn_unsent(h->conn))) {
        if (stalled(h))
            conn_close(h->conn, false);
        else
            timer_start(h->server->loop, t, HTTP_WATCH_S * 1000, on_timer);
    } else if (h->phase == PHASE_IDLE || mute) {
        if (mute) {
            atomic_fetch_add_explicit(&silent, 1, memory_order_relaxed);
            log_info("net", "FG1104 %s asked for nothing in %u s%s, it is closed", conn_address(h->conn),
                     h->server->limits.header_seconds, filter_all_open(h->conn) ? "" : " and did not finish its handshake");
        }
        h->phase = PHASE_REFUSED;
        conn_close(h->conn, true);
    } else {
        http_refuse(h, 408, "the request did not arrive in time");
    }
}

/* ---- requests ---- */

struct conn *http_give_away(struct http_conn *h)
{
    struct conn *c = h->conn;
    timer_stop(h->server->loop, &h->timer);
    unlink_conn(h);
    h->conn = NULL;
    h->ex.busy = false;
    h->phase = PHASE_UPGRADED;
    return c;
}

static void call_handler(struct http_conn *h)
{
    struct http_exchange *e = &h->ex;
    struct http_request r = {
        .method = bytes_str(http_method_str((enum http_method)h->parser.method)),
        .body = buf_bytes(&h->body),
        .peer = bytes_str(conn_address(h->conn)),
        .loopback = conn_loopback(h->conn),
        .door = conn_door(h->conn),
        .uid = conn_uid(h->conn),
    };
    e->head_only = h->parser.method == HTTP_HEAD;
    e->old = h->parser.http_minor == 0;
    e->keep = http_should_keep_alive(&h->parser);
    if (!http_split_target(h, &r)) {
        http_refuse(h, 400, "the request's target is malformed");
        return;
    }
    http_enter(h, PHASE_ANSWER);
    e->busy = true;
    e->in_handler = true;
    h->server->handler(h->server->ctx, e, &r);
    e->in_handler = false;
    forget_request(h);
}

void http_ended(struct http_conn *h)
{
    struct http_exchange *e = &h->ex;
    FG_ASSERT(e->busy); /* answered twice */
    e->busy = e->begun = false;
    e->drained = NULL;
    e->gone = NULL;
    buf_clear(&e->extra);
    if (!h->conn) {
        conn_over(h);
        return;
    }
    if (h->phase == PHASE_REFUSED)
        return;
    if (!e->keep) {
        h->phase = PHASE_REFUSED;
        conn_close(h->conn, true);
        return;
    }
    http_enter(h, PHASE_IDLE);
    if (!e->in_handler)
        conn_read_resume(h->conn); /* the next request may have come already */
}

static void refuse_malformed(struct http_conn *h, enum http_errno err)
{
    if (h->refuse)
        http_refuse(h, h->refuse, h->refuse_why);
    else if (err == HPE_HEADER_OVERFLOW)
        http_refuse(h, 431, "the headers are too large");
    else if (err == HPE_INVALID_VERSION)
        http_refuse(h, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    else
        http_refuse(h, 400, http_errno_description(err));
}

/* Who asks without reading the answers, or for very many at once, has some of them; others have their turn. */
static bool far_ahead(const struct http_conn *h)
{
    return conn_unsent(h->conn) > HTTP_AHEAD;
}

static size_t on_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct http_conn *h = ctx;
    size_t used = 0;
    while (used < in.len && !h->ex.busy && h->phase != PHASE_REFUSED && !far_ahead(h)) {
        used += http_parser_execute(&h->parser, &http_finds, (const char *)in.at + used, in.len - used);
        enum http_errno err = HTTP_PARSER_ERRNO(&h->parser);
        if (err == HPE_PAUSED) {
            http_parser_pause(&h->parser, 0);
            call_handler(h);
            if (h->phase == PHASE_UPGRADED) {
                conn_over(h);
                return used;
            }
        } else if (err != HPE_OK) {
            refuse_malformed(h, err);
        }
    }
    if (h->phase == PHASE_REFUSED)
        return in.len;
    if (in.len - used > HTTP_HELD || (!h->ex.busy && far_ahead(h)))
        conn_read_pause(c); /* until http_ended, or on_drained */
    return used;
}

static void on_drained(void *ctx, struct conn *c)
{
    struct http_conn *h = ctx;
    if (h->ex.busy && h->ex.drained)
        h->ex.drained(h->ex.ctx);
    else if (!h->ex.busy && h->phase != PHASE_REFUSED)
        conn_read_resume(c);
}

static const struct conn_events server_events = {
    .on_bytes = on_bytes,
    .on_drained = on_drained,
    .on_close = on_close,
};

void http_server_guard(struct http_server *s, const struct http_guard *guard)
{
    s->guard = *guard;
}

/* L-HALF: nobody here has said who he is. False: all are being answered. */
static bool make_room(struct http_server *s)
{
    struct http_conn *h = s->oldest;
    while (h && (h->phase == PHASE_ANSWER || h->conn->state >= CONN_GONE))
        h = h->prev;
    if (!h)
        return false;
    atomic_fetch_add_explicit(&made_room, 1, memory_order_relaxed);
    limits_refused(LIMIT_HALF_OPEN);
    log_info("net", "FG1105 %s made room: more than %u HTTP connections, it was the oldest that waited for nothing",
             conn_address(h->conn), s->limits.connections);
    h->phase = PHASE_REFUSED;
    conn_close(h->conn, false);
    return true;
}

static void ask_guard(struct http_conn *h, const struct net_peer *peer)
{
    const struct http_guard *g = &h->server->guard;
    unsigned status = g->came ? g->came(g->ctx, peer, &h->counted) : 0;
    if (!status)
        return;
    http_add_header(&h->ex, "Retry-After", status == 429 ? "1" : "10");
    http_refuse(h, status, status == 429 ? "too many new connections a second from this address (limits.connect-rate)"
                                         : "too many connections from this address (limits.connections-per-address)");
}

void http_serve(struct http_server *s, const struct net_peer *peer)
{
    if (s->count >= s->limits.connections && !make_room(s)) {
        http_count_refused();
        log_info("net", "FG1103 %s was refused: %u HTTP connections are being answered", peer->address, s->count);
        net_peer_refuse(peer);
        return;
    }
    struct http_conn *h = mem_zalloc(1, sizeof *h);
    if (!h) {
        net_peer_refuse(peer);
        return;
    }
    if (conn_open(&h->conn, s->loop, peer, &server_events, h, NULL) != CODE_OK) {
        mem_free(h);
        return;
    }
    conn_set_marks(h->conn, HTTP_AHEAD, HTTP_AHEAD / 4);
    http_parser_init(&h->parser, HTTP_REQUEST);
    h->parser.data = h;
    h->text.max = (size_t)s->limits.request_line + s->limits.header_bytes + 1;
    h->body.max = (size_t)s->limits.body_bytes + 1;
    h->server = s;
    s->holds++;
    link_conn(h);
    http_enter(h, PHASE_HEAD);
    ask_guard(h, peer);
}
