/* client_link.c - connection and channel: bytes to messages, time. */
#include "uaclient/client_private.h"

#include "base/mem.h"

static struct ua_client *of_tick(struct timer *t)
{
    return (struct ua_client *)(void *)((char *)t - offsetof(struct ua_client, tick));
}

struct ua_now client_now(const struct ua_client *c)
{
    return (struct ua_now){loop_now_us(c->loop), loop_wall_us(c->loop)};
}

/* The channel's word to the connection's output, counted. */
static struct buf *output(struct ua_client *c, size_t *before)
{
    struct buf *out = conn_out(c->conn);
    *before = buf_size(out);
    return out;
}

static void count_out(struct ua_client *c, size_t before)
{
    size_t now = buf_size(conn_out(c->conn));
    c->bytes_out += now > before ? now - before : 0;
}

void client_hang_up(struct ua_client *c)
{
    struct conn *conn = c->conn;
    if (!conn)
        return;
    if (c->channel && !ua_channel_is_over(c->channel)) {
        size_t before;
        ua_channel_close(c->channel, client_now(c), output(c, &before), UA_GOOD, "");
        count_out(c, before);
    }
    conn_close(conn, true);
}

/* ---- what the channel says ---- */

static bool is_distrust(ua_status s)
{
    switch (ua_code(s)) {
    case UA_BAD_SECURITY_CHECKS_FAILED:
    case UA_BAD_CERTIFICATE_UNTRUSTED:
    case UA_BAD_CERTIFICATE_INVALID:
    case UA_BAD_CERTIFICATE_URI_INVALID:
    case UA_BAD_CERTIFICATE_TIME_INVALID:
    case UA_BAD_CERTIFICATE_USE_NOT_ALLOWED:
    case UA_BAD_CERTIFICATE_CHAIN_INCOMPLETE:
    case UA_BAD_CERTIFICATE_REVOKED: return true;
    default: return false;
    }
}

static void channel_ended(struct ua_client *c, const struct ua_event *e)
{
    struct fault why = {0};
    char scratch[16];
    if (e->kind == UA_EVENT_ERROR && ua_code(e->status) == UA_BAD_CERTIFICATE_INVALID)
        (void)FAIL_FG(&why, CODE_REFUSED, UA_FG_SWAPPED, "%s: %s", c->set.url, e->why.text);
    else if (c->state == UA_CLIENT_OPENING && is_distrust(e->status)) /* as an ERR, or as the answer */
        client_refusal(c, "the secure channel", e->status, &why);
    else if (e->status)
        (void)FAIL_FG(&why, CODE_PROTOCOL, e->kind == UA_EVENT_CLOSED ? UA_FG_REFUSED : UA_FG_BROKEN,
                      "%s: %s (%s)", c->set.url, e->why.text, ua_status_text(e->status, scratch));
    else
        (void)FAIL_FG(&why, CODE_CLOSED, UA_FG_UNREACHABLE, "%s: %s", c->set.url, e->why.text);
    /* What discovery said may not hold any more. */
    if (c->state == UA_CLIENT_OPENING && c->endpoint)
        client_forget_found(c);
    client_fail(c, &why);
}

static void opened(struct ua_client *c)
{
    c->connects++;
    if (c->set.channel_only)
        client_is_up(c);
    else if (!c->endpoint)
        client_find(c);
    else
        client_start(c);
}

static void schedule(struct ua_client *c);

/* False: nothing further is to be read from this connection. */
static bool on_event(struct ua_client *c, const struct ua_event *e)
{
    switch (e->kind) {
    case UA_EVENT_OPENED: opened(c); break;
    case UA_EVENT_RENEWED: c->renewals++; break;
    case UA_EVENT_MESSAGE: client_answer(c, e->request_id, UA_GOOD, e->body); break;
    case UA_EVENT_ABORTED: client_answer(c, e->request_id, e->status, BYTES_NONE); break;
    case UA_EVENT_CLOSED:
    case UA_EVENT_ERROR: channel_ended(c, e); return false;
    case UA_EVENT_NONE: break;
    }
    return !c->dead && c->conn && !c->why.code && conn_is_open(c->conn);
}

static void tick(struct timer *t)
{
    struct ua_client *c = of_tick(t);
    struct ua_event e = {0};
    size_t before;
    if (!c->conn || !c->channel)
        return;
    ua_channel_tick(c->channel, client_now(c), output(c, &before), &e);
    count_out(c, before);
    client_enter(c);
    if (e.kind != UA_EVENT_NONE)
        (void)on_event(c, &e);
    else
        schedule(c);
    (void)client_leave_call(c);
}

static void schedule(struct ua_client *c)
{
    int64_t due = ua_channel_due_us(c->channel);
    if (due == INT64_MAX) {
        timer_stop(c->loop, &c->tick);
        return;
    }
    int64_t ms = (due - loop_now_us(c->loop) + 999) / 1000;
    timer_start(c->loop, &c->tick, ms > 0 ? ms : 0, tick);
}

/* ---- what the connection says ---- */

static void on_open(void *ctx, struct conn *conn)
{
    struct ua_client *c = ctx;
    const bool secure = c->endpoint && c->policy->id != UA_POLICY_NONE;
    struct ua_channel_config config = {
        .role = UA_CLIENT,
        .limits = ua_channel_limits_default,
        .io = c->set.io,
        .own = secure ? c->set.own : NULL,
        .policy = secure ? c->policy : &ua_policies[UA_POLICY_NONE],
        .mode = secure ? c->mode : UA_MODE_NONE,
        .server = secure ? c->certificate : NULL,
    };
    config.limits.message_bytes = c->set.message_bytes;
    config.limits.chunks = c->set.chunks;
    config.limits.lifetime_ms_max = (uint32_t)c->set.channel_ms;
    if (config.limits.lifetime_ms_min > config.limits.lifetime_ms_max)
        config.limits.lifetime_ms_min = config.limits.lifetime_ms_max;
    conn_set_marks(conn, c->set.unsent_bytes, c->set.unsent_bytes / 4);
    client_state(c, UA_CLIENT_OPENING);
    c->channel = ua_channel_new(&config, client_now(c));
    struct fault why = {0};
    if (!c->channel) {
        (void)FAIL(&why, CODE_NOMEM, 0, "no memory for a secure channel");
        client_fail(c, &why);
        return;
    }
    size_t before;
    ua_channel_hello(c->channel, bytes_str(c->set.url), output(c, &before));
    count_out(c, before);
    c->heard_us = loop_now_us(c->loop);
    schedule(c);
}

static size_t on_bytes(void *ctx, struct conn *conn, struct bytes in)
{
    struct ua_client *c = ctx;
    size_t used = 0;
    bool more = c->channel != NULL && !c->dead;
    client_enter(c);
    c->heard_us = loop_now_us(c->loop);
    while (more) {
        struct ua_event e = {0};
        size_t before;
        struct buf *out = output(c, &before);
        size_t n = ua_channel_take(c->channel, bytes_from(in, used), client_now(c), out, &e);
        count_out(c, before);
        used += n;
        if (e.kind == UA_EVENT_NONE)
            break;
        more = on_event(c, &e);
    }
    c->bytes_in += used;
    if (more && in.len - used >= 8) { /* a chunk's head, whose size the channel has found good */
        struct wire w = wire_of(bytes_from(in, used + 4));
        conn_want(conn, wire_le32(&w));
    }
    if (more)
        schedule(c);
    (void)client_leave_call(c);
    return more ? used : in.len;
}

static void on_drained(void *ctx, struct conn *conn)
{
    (void)conn;
    publish_pump(ctx);
}

static void on_closed(void *ctx, struct conn *conn, const struct fault *why)
{
    struct ua_client *c = ctx;
    struct fault said = {0};
    c->conn = NULL;
    if (c->dead) {
        client_bury(c);
        return;
    }
    if (c->state == UA_CLIENT_DISCOVERING && !c->why.code && c->endpoint) {
        ua_channel_free(c->channel); /* it has told what we wanted; now the channel that is safe */
        c->channel = NULL;
        client_dial(c);
        return;
    }
    (void)FAIL_FG(&said, CODE_CLOSED, UA_FG_UNREACHABLE, "%s: %s", c->set.url,
                  why ? why->text : "the server closed the connection");
    if (c->state == UA_CLIENT_OPENING && c->endpoint)
        client_forget_found(c);
    (void)conn;
    client_down(c, &said);
}

void client_dial(struct ua_client *c)
{
    static const struct conn_events events = {
        .on_bytes = on_bytes, .on_drained = on_drained, .on_close = on_closed, .on_open = on_open};
    struct fault why = {0}, said = {0};
    c->why = (struct fault){0};
    client_state(c, UA_CLIENT_DIALLING);
    if (conn_dial(&c->conn, c->loop, (const char *)c->host.at, c->port, &events, c, &why) == CODE_OK)
        return;
    c->conn = NULL;
    (void)FAIL_FG(&said, why.code, UA_FG_UNREACHABLE, "%s: %s", c->set.url, why.text);
    client_down(c, &said);
}
