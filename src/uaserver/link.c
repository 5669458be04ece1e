/* link.c - a connection and its secure channel: bytes become requests.
 *
 * Whom we listen to: a client that does not take its answers is not read from once `unsent_bytes` wait for it, and is closed
 * when something waits and nothing has moved for a minute. A channel has to be open 10 s after the connection; when all places are taken, the
 * oldest channel that is older than that and has no session makes room, or else the oldest connection without one.
 */
#include "uaserver/serve.h"

#include "base/limits_use.h"
#include "base/log.h"
#include "base/mem.h"

#include <stddef.h>

enum { STALL_S = 60, BEHIND_S = 10, LOOK_MS = 5000 };
/* Of a message before there is a session: the largest is an ActivateSession with a chain of certificates. */
enum { STRANGER_BYTES = 128 * 1024 };

struct ua_now uas_now(const struct ua_server *s)
{
    return (struct ua_now){ loop_now_us(s->loop), loop_wall_us(s->loop) };
}

static void on_timer(struct timer *t);

/* At the channel's next time-out, or the next look whether the client takes what was sent. */
static void wait(struct uas_link *l)
{
    int64_t now = loop_now_us(l->server->loop), due = ua_channel_due_us(l->channel);
    int64_t ms = due > now ? (due - now) / 1000 + 1 : 0;
    timer_start(l->server->loop, &l->timer, ms < LOOK_MS ? ms : LOOK_MS, on_timer);
}

static void shut(struct uas_link *l, bool flush)
{
    if (l->closing)
        return;
    l->closing = true;
    timer_stop(l->server->loop, &l->timer);
    uas_backlog_forget(l);
    conn_close(l->conn, flush);
}

void uas_link_drop(struct uas_link *l)
{
    shut(l, false);
}

void uas_link_end(struct uas_link *l, ua_status status, const char *reason)
{
    if (l->closing)
        return;
    ua_channel_close(l->channel, uas_now(l->server), conn_out(l->conn), status, reason);
    shut(l, true);
}

/* ---- a slow client ---- */

static void slow_down(struct uas_link *l)
{
    uas_backlog_relieve(l->server);
    if (l->paused || l->closing)
        return;
    bool behind = uas_behind(l);
    if (!behind && conn_unsent(l->conn) < l->server->limits.unsent_bytes)
        return;
    l->paused = true;
    limits_refused(LIMIT_UNSENT_BYTES);
    if (behind) {
        UAS_COUNT(crowded);
        uas_backlog_log(l, "it is sent nothing more until it has taken what waits");
    }
    conn_read_pause(l->conn);
    wait(l);
}

static void on_drained(void *ctx, struct conn *c)
{
    struct uas_link *l = ctx;
    uas_backlog_note(l);
    if (!l->paused || l->closing)
        return;
    l->paused = false;
    conn_read_resume(c);
    wait(l);
}

/* How long a client may take nothing. */
static int patience_s(struct uas_link *l)
{
    return uas_behind(l) ? BEHIND_S : STALL_S;
}

static bool stalled(const struct uas_link *l, int seconds)
{
    return conn_unsent(l->conn) &&
           loop_now_us(l->server->loop) - conn_progress_us(l->conn) >= (int64_t)seconds * 1000000;
}

/* ---- bytes ---- */

static void log_end(const struct uas_link *l, const struct ua_event *e)
{
    char scratch[16], reason[sizeof e->why.text];
    log_warn("opcua", "FG5301 %s: its channel is closed: %s: %s", conn_address(l->conn), ua_status_text(e->status, scratch),
             bytes_plain(bytes_str(e->why.text), reason, sizeof reason));
}

static void on_event(struct uas_link *l, const struct ua_event *e)
{
    switch (e->kind) {
    case UA_EVENT_OPENED:
        l->opened = true;
        l->sessionless_us = loop_now_us(l->server->loop);
        break;
    case UA_EVENT_MESSAGE: uas_dispatch(l, e->request_id, e->body); break;
    case UA_EVENT_CLOSED: shut(l, true); break;
    case UA_EVENT_ERROR:
        if (!l->opened)
            UAS_COUNT(channels_refused);
        log_end(l, e);
        shut(l, true);
        break;
    default: break;
    }
}

static size_t on_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct uas_link *l = ctx;
    size_t used = 0;
    while (!l->closing && !l->paused) {
        struct ua_event e;
        used += ua_channel_take(l->channel, bytes_from(in, used), uas_now(l->server), conn_out(c), &e);
        if (e.kind == UA_EVENT_NONE)
            break;
        on_event(l, &e);
        slow_down(l);
    }
    if (!l->closing)
        wait(l);
    return used;
}

static void on_timer(struct timer *t)
{
    struct uas_link *l = (struct uas_link *)(void *)((char *)t - offsetof(struct uas_link, timer));
    uas_backlog_note(l);
    uas_backlog_relieve(l->server);
    if (l->closing)
        return;
    int patience = patience_s(l);
    if (stalled(l, patience)) {
        UAS_COUNT(stalled);
        log_warn("opcua", "FG5302 %s has taken nothing of %zu bytes for %d s, it is closed", conn_address(l->conn),
                 conn_unsent(l->conn), patience);
        shut(l, false);
        return;
    }
    struct ua_event e;
    ua_channel_tick(l->channel, uas_now(l->server), conn_out(l->conn), &e);
    if (e.kind == UA_EVENT_ERROR) {
        UAS_COUNT(channels_timed_out);
        limits_refused(LIMIT_CONNECT_SECONDS);
        log_end(l, &e);
        shut(l, true);
        return;
    }
    wait(l);
}

/* ---- life ---- */

static void drop(struct uas_link *l)
{
    ua_channel_free(l->channel);
    mem_free(l);
}

static void on_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct uas_link *l = ctx;
    struct ua_server *s = l->server;
    (void)c;
    (void)why;
    l->closing = true;
    uas_backlog_forget(l);
    timer_stop(s->loop, &l->timer);
    uas_asks_link_gone(s, l);
    for (struct uas_session *x = l->sessions, *next; x; x = next) {
        next = x->next_of_link;
        if (x->active)
            uas_session_detach(x);
        else
            uas_session_close(x, true); /* nobody could ever activate it: that has to come on this channel */
    }
    if (l->next)
        l->next->prev = l->prev;
    if (l->prev)
        l->prev->next = l->next;
    else
        s->links = l->next;
    s->link_count--;
    uas_sub(&uas_counters.channels, 1);
    drop(l);
    ua_server_link_closed(s);
}

static const struct conn_events events = { .on_bytes = on_bytes, .on_drained = on_drained, .on_close = on_close };

static bool offers(void *ctx, const struct ua_policy *p, int mode)
{
    const struct ua_server *s = ctx;
    return mode >= UA_MODE_NONE && mode <= UA_MODE_SIGN_AND_ENCRYPT && s->options.offers[p->id] >> mode & 1;
}

static ua_status verify(void *ctx, struct ua_certificate *peer, struct fault *why)
{
    const struct ua_server *s = ctx;
    if (!s->options.verify) {
        (void)FAIL(why, CODE_REFUSED, 0, "this server trusts no certificates");
        return UA_BAD_CERTIFICATE_UNTRUSTED;
    }
    return s->options.verify(s->options.verify_ctx, peer, why);
}

static struct ua_channel *make_channel(struct ua_server *s)
{
    if (++s->last_channel == 0)
        s->last_channel = 1;
    struct ua_channel_config config = {
        .role = UA_SERVER,
        .limits = ua_channel_limits_default,
        .io = s->io,
        .own = s->options.own,
        .id = s->last_channel,
        .offers = offers,
        .verify = verify,
        .ctx = s,
    };
    config.limits.open_s = s->limits.connect_s;
    return ua_channel_new(&config, uas_now(s));
}

/* The oldest channel without a session that has had its time, or else the oldest that is not open yet. */
static struct uas_link *idle_link(const struct ua_server *s)
{
    int64_t before = loop_now_us(s->loop) - (int64_t)s->limits.connect_s * 1000000;
    struct uas_link *idle = NULL, *half = NULL;
    for (struct uas_link *l = s->links; l; l = l->next) { /* the newest come first */
        if (!l->closing && l->opened && !l->sessions && l->sessionless_us <= before)
            idle = l;
        if (!l->closing && !l->opened)
            half = l;
    }
    return idle ? idle : half;
}

static bool make_room(struct ua_server *s)
{
    if (s->link_count < s->limits.channels)
        return true;
    struct uas_link *idle = idle_link(s);
    if (!idle)
        return false;
    log_info("opcua", "FG5303 %s has %s, and makes room for another client", conn_address(idle->conn),
             idle->opened ? "a channel and no session" : "not opened a channel yet");
    uas_link_end(idle, UA_BAD_TCP_SERVER_TOO_BUSY, "all channels are taken, and this one has no session");
    return true;
}

static void refuse(struct ua_server *s, struct uas_link *l)
{
    UAS_COUNT(channels_refused);
    log_warn("opcua", "FG5304 %s refused: the server has %u channels, that is all it may have", conn_address(l->conn),
             s->limits.channels);
    uas_link_end(l, UA_BAD_TCP_SERVER_TOO_BUSY, "the server has as many channels as it may have");
}

void uas_link_open(struct ua_server *s, const struct net_peer *peer)
{
    bool room = make_room(s);
    /* Those that are told so count too, for the moment that takes: there is an end to them as well. */
    struct uas_link *l = s->link_count < 2 * s->limits.channels + 1 ? mem_zalloc(1, sizeof *l) : NULL;
    struct fault why;
    if (l) {
        l->server = s;
        l->channel = make_channel(s);
        l->opened_us = loop_now_us(s->loop);
    }
    if (!l || !l->channel) {
        UAS_COUNT(channels_refused);
        net_peer_refuse(peer);
        mem_free(l);
        return;
    }
    if (conn_open(&l->conn, s->loop, peer, &events, l, &why) != CODE_OK) {
        log_warn("opcua", "FG5305 %s", why.text);
        drop(l);
        return;
    }
    uint64_t share = uas_backlog_share(s), most = share < s->limits.unsent_bytes ? share : s->limits.unsent_bytes;
    conn_set_marks(l->conn, (size_t)most / 2, (size_t)most / 4); /* when it is listened to again */
    l->next = s->links;
    if (l->next)
        l->next->prev = l;
    s->links = l;
    s->link_count++;
    ua_channel_allow(l->channel, STRANGER_BYTES);
    UAS_COUNT(channels);
    UAS_COUNT(channels_all);
    if (room)
        wait(l);
    else
        refuse(s, l);
}
