#include "base/mem.h"
#include "net/sim_world.h"

#include <errno.h>
#include <stdio.h>

enum { CONN_WINDOW = 256 * 1024 };

static struct sim_conn *sim_conn_of(const struct conn *c)
{
    return (struct sim_conn *)(void *)(uintptr_t)c;
}

static void queue(struct sim_conn *c)
{
    struct sim_loop *l = sim_loop_of(c->core.loop);
    if (c->queued || c->core.state >= CONN_GONE)
        return;
    c->queued = true;
    c->next_ready = NULL;
    *l->ready_end = c;
    l->ready_end = &c->next_ready;
}

void sim_end_tell(struct sim_end *e)
{
    if (e->conn)
        queue(e->conn);
}

/* ---- listeners and peers ---- */

/* Whether a listener on `at` hears a caller of `called`. */
static bool hears(const char *at, const char *called)
{
    const char *port = strrchr(at, ':'), *called_port = strrchr(called, ':');
    if (strcmp(at, called) == 0)
        return true;
    if (strncmp(at, "unix:", 5) == 0 || strncmp(called, "unix:", 5) == 0 || !port || !called_port ||
        strcmp(port, called_port) != 0)
        return false;
    return strncmp(at, "0.0.0.0:", 8) == 0 || strncmp(at, "[::]:", 5) == 0 ||
           (strncmp(called, "localhost:", 10) == 0 && strncmp(at, "127.0.0.1:", 10) == 0);
}

struct sim_listener *sim_find_listener(struct sim *s, const char *address)
{
    for (struct sim_listener *at = s->listeners; at; at = at->next)
        if (hears(at->core.address, address))
            return at;
    return NULL;
}

bool sim_end_connect(struct sim_end *near, const char *address)
{
    struct sim_listener *there = sim_find_listener(near->sim, address);
    struct sim_end *far = there ? mem_zalloc(1, sizeof *far) : NULL;
    if (!far)
        return false;
    far->sim = near->sim;
    far->other = near;
    far->window = CONN_WINDOW;
    far->uid = near->uid;
    far->handle = -1;
    memcpy(far->from, near->from, sizeof far->from);
    near->other = far;
    *there->waiting_end = far;
    there->waiting_end = &far->next_waiting;
    return true;
}

static int handle_for(struct sim *s)
{
    for (int i = 0; i < s->peers_cap; i++)
        if (!s->peers[i])
            return i;
    int cap = s->peers_cap ? s->peers_cap * 2 : 8;
    struct sim_end **more = mem_realloc(s->peers, (size_t)cap * sizeof *more);
    if (!more)
        return -1;
    for (int i = s->peers_cap; i < cap; i++)
        more[i] = NULL;
    s->peers = more;
    int handle = s->peers_cap;
    s->peers_cap = cap;
    return handle;
}

bool sim_end_as_peer(struct sim_end *e, bool local, struct net_peer *out)
{
    struct sim *s = e->sim;
    e->next_waiting = NULL;
    e->handle = handle_for(s);
    if (e->handle < 0) {
        sim_end_close(e, true);
        return false;
    }
    s->peers[e->handle] = e;
    *out = (struct net_peer){ .handle = e->handle, .uid = local ? e->uid : UINT32_MAX, .world = &s->world };
    (void)snprintf(out->address, sizeof out->address, "%s", local ? "unix" : e->from);
    out->loopback = local || strncmp(e->from, "127.", 4) == 0 || strncmp(e->from, "[::1]", 5) == 0;
    return true;
}

static struct sim_end *take_peer(struct sim *s, int handle)
{
    FG_ASSERT(handle >= 0 && handle < s->peers_cap && s->peers[handle]);
    struct sim_end *e = s->peers[handle];
    s->peers[handle] = NULL;
    e->handle = -1;
    return e;
}

void sim_refuse(struct net_world *w, int handle)
{
    sim_end_close(take_peer((struct sim *)(void *)w, handle), false);
}

void sim_forget_peers(struct sim *s)
{
    for (int i = 0; i < s->peers_cap; i++)
        if (s->peers[i])
            sim_end_close(take_peer(s, i), true);
    mem_free(s->peers);
}

void sim_end_close(struct sim_end *e, bool reset)
{
    struct sim_end *other = e->other;
    if (other) {
        other->other = NULL;
        other->ended = true;
        other->reset |= reset;
        sim_end_tell(other);
    }
    buf_clear(&e->in);
    mem_free(e);
}

/* ---- the back end: the connections' half ---- */

enum code sim_conn_attach(struct conn *c, const struct net_peer *peer, struct fault *why)
{
    (void)why;
    struct sim_end *e = take_peer(sim_loop_of(c->loop)->sim, peer->handle);
    e->conn = sim_conn_of(c);
    e->conn->end = e;
    return CODE_OK;
}

/* Off the list of those that something may have happened to. */
static void unqueue(struct sim_conn *u)
{
    struct sim_loop *l = sim_loop_of(u->core.loop);
    if (!u->queued)
        return;
    u->queued = false;
    struct sim_conn **at = &l->ready;
    while (*at != u)
        at = &(*at)->next_ready;
    *at = u->next_ready;
    if (!*at)
        l->ready_end = at;
}

enum code sim_conn_release(struct conn *c, struct net_peer *out, struct fault *why)
{
    struct sim_conn *u = sim_conn_of(c);
    struct sim *s = sim_loop_of(c->loop)->sim;
    int handle = handle_for(s);
    if (handle < 0)
        return FAIL(why, CODE_NOMEM, 0, "no memory to move the connection from %s", c->address);
    unqueue(u);
    u->end->conn = NULL;
    u->end->handle = handle;
    s->peers[handle] = u->end;
    out->handle = handle;
    out->world = &s->world;
    u->end = NULL;
    return CODE_OK;
}

enum code sim_conn_dial(struct conn *c, const char *host, uint16_t port, struct fault *why)
{
    struct sim_conn *u = sim_conn_of(c);
    (void)host;
    (void)port;
    u->dialling = mem_strdup(c->address);
    if (!u->dialling)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a connection to %s", c->address);
    queue(u);
    return CODE_OK;
}

static void dial_now(struct sim_conn *u)
{
    struct sim *s = sim_loop_of(u->core.loop)->sim;
    struct sim_end *e = mem_zalloc(1, sizeof *e);
    if (e) {
        e->sim = s;
        e->window = CONN_WINDOW;
        e->handle = -1;
        e->uid = 1000;
        (void)snprintf(e->from, sizeof e->from, "127.0.0.1:%u", s->next_client_port++);
    }
    bool done = e && sim_end_connect(e, u->dialling);
    mem_free(u->dialling);
    u->dialling = NULL;
    if (!done) {
        mem_free(e);
        conn_fail_sys(&u->core, e ? ECONNREFUSED : ENOMEM, "cannot connect to");
        return;
    }
    e->conn = u;
    u->end = e;
    conn_opened(&u->core);
}

/* A part of n, at least 1, when bytes are to be split. */
static size_t part_of(struct sim *s, size_t n)
{
    return s->split && n > 1 ? 1 + (size_t)(sim_draw(s) % n) : n;
}

int64_t sim_conn_recv(struct conn *c, void *to, size_t n)
{
    struct sim_end *e = sim_conn_of(c)->end;
    size_t have = buf_size(&e->in);
    if (have == 0)
        return e->reset ? -ECONNRESET : e->ended ? 0 : -EAGAIN;
    n = part_of(e->sim, have < n ? have : n);
    memcpy(to, e->in.at + e->in.from, n);
    buf_take(&e->in, n);
    if (e->other)
        sim_end_tell(e->other);
    return (int64_t)n;
}

static size_t room_at(const struct sim_end *e)
{
    size_t held = buf_size(&e->in);
    return held < e->window ? e->window - held : 0;
}

int64_t sim_conn_send(struct conn *c, const struct iovec *v, int count)
{
    struct sim_end *e = sim_conn_of(c)->end, *to = e->other;
    if (!to || e->reset)
        return -ECONNRESET;
    size_t offered = 0, sent = 0;
    for (int i = 0; i < count; i++)
        offered += v[i].iov_len;
    size_t room = room_at(to), limit = offered < room ? offered : room;
    if (limit == 0)
        return -EAGAIN;
    limit = part_of(e->sim, limit);
    for (int i = 0; i < count && sent < limit; i++) {
        size_t n = v[i].iov_len < limit - sent ? v[i].iov_len : limit - sent;
        buf_add(&to->in, v[i].iov_base, n);
        sent += n;
    }
    if (to->in.bad)
        return -ENOMEM;
    sim_end_tell(to);
    if (sent < offered && room_at(to))
        queue(e->conn); /* split: the rest may follow at once */
    return (int64_t)sent;
}

static bool readable(const struct sim_conn *u)
{
    return u->core.reading && (buf_size(&u->end->in) || u->end->ended);
}

static bool writable(const struct sim_conn *u)
{
    return u->core.writing && (!u->end->other || u->end->reset || room_at(u->end->other));
}

void sim_conn_watch(struct conn *c)
{
    struct sim_conn *u = sim_conn_of(c);
    if (readable(u) || writable(u))
        queue(u);
}

void sim_conn_event(struct sim_conn *u)
{
    struct conn *c = &u->core;
    if (c->state >= CONN_GONE)
        return;
    if (u->dialling) {
        dial_now(u);
        return;
    }
    if (writable(u))
        conn_writable(c);
    if (readable(u))
        conn_readable(c);
    if (readable(u))
        queue(u);
}

void sim_conn_detach(struct conn *c)
{
    struct sim_conn *u = sim_conn_of(c);
    unqueue(u);
    if (u->end)
        sim_end_close(u->end, false);
    mem_free(u->dialling);
    conn_free(c);
}
