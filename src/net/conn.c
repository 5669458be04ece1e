#include "base/mem.h"
#include "net/backend.h"
#include "net/filter.h"
#include "net/tls_private.h"

#include <errno.h>
#include <stdio.h>

enum { LAST_READS = 64 };

/* When there is no memory to remember why a connection ended. Never written. */
static struct fault no_memory = { .code = CODE_NOMEM,
                                  .where = FG_HERE,
                                  .text = "the connection ended, and no memory was left to say why" };

/* ---- lists ---- */

void conn_list_add(struct conn_list *list, struct conn *c)
{
    c->next = NULL;
    c->prev = list->last;
    if (list->last)
        list->last->next = c;
    else
        list->first = c;
    list->last = c;
}

void conn_list_remove(struct conn_list *list, struct conn *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        list->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        list->last = c->prev;
    c->next = c->prev = NULL;
}

void conn_mark_dirty(struct conn *c)
{
    if (c->dirty)
        return;
    c->dirty = true;
    c->dirty_next = NULL;
    *c->loop->dirty_end = c;
    c->loop->dirty_end = &c->dirty_next;
}

void conn_mark_resumed(struct conn *c)
{
    if (c->resumed)
        return;
    c->resumed = true;
    c->resumed_next = c->loop->resumed;
    c->loop->resumed = c;
}

/* ---- opening ---- */

struct conn *conn_alloc(struct loop *l, const char *address, bool loopback, uint32_t uid,
                        const struct conn_events *events, void *ctx)
{
    size_t n = strlen(address) + 1, size = l->back->conn_size;
    struct conn *c = mem_alloc(size + n);
    if (!c)
        return NULL;
    memset(c, 0, size);
    memcpy((char *)c + size, address, n);
    c->loop = l;
    c->address = (char *)c + size;
    c->loopback = loopback;
    c->uid = uid;
    c->events = events;
    c->ctx = ctx;
    c->high = NET_MARK_HIGH;
    c->low = NET_MARK_LOW;
    return c;
}

void conn_free(struct conn *c)
{
    mem_free(c);
}

enum code conn_open(struct conn **out, struct loop *l, const struct net_peer *peer,
                    const struct conn_events *events, void *ctx, struct fault *why)
{
    struct filter *tls = NULL;
    struct conn *c = l->closed ? NULL : conn_alloc(l, peer->address, peer->loopback, peer->uid, events, ctx);
    if (!c || (peer->tls && !(tls = tls_filter_accept(peer->tls)))) {
        conn_free(c);
        net_peer_refuse(peer);
        return l->closed ? FAIL(why, CODE_CLOSED, 0, "the program is stopping")
                         : FAIL(why, CODE_NOMEM, 0, "no memory for a connection from %s", peer->address);
    }
    tls_server_drop(peer->tls); /* the filter holds it */
    c->door = peer->door;
    enum code code = l->back->attach(c, peer, why);
    if (code != CODE_OK) {
        if (tls)
            tls->ops->free(tls);
        conn_free(c);
        return code;
    }
    c->state = CONN_OPEN;
    c->reading = true;
    c->progress_us = l->now_us;
    conn_list_add(&l->conns, c);
    l->back->watch(c);
    if (tls)
        conn_push_filter(c, tls);
    *out = c;
    return CODE_OK;
}

enum code conn_dial(struct conn **out, struct loop *l, const char *host, uint16_t port,
                    const struct conn_events *events, void *ctx, struct fault *why)
{
    char address[320];
    bool local = strncmp(host, "unix:", 5) == 0;
    if (l->closed)
        return FAIL(why, CODE_CLOSED, 0, "the program is stopping");
    if (strlen(host) > 255)
        return FAIL(why, CODE_USAGE, 0, "the host name is longer than 255 bytes");
    if (local)
        (void)snprintf(address, sizeof address, "%s", host);
    else
        (void)snprintf(address, sizeof address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    struct conn *c = conn_alloc(l, address, local, UINT32_MAX, events, ctx);
    if (!c)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a connection to %s", address);
    c->dialled = true;
    conn_list_add(&l->conns, c);
    enum code code = l->back->dial(c, host, port, why);
    if (code != CODE_OK) {
        conn_list_remove(&l->conns, c);
        conn_free(c);
        return code;
    }
    *out = c;
    return CODE_OK;
}

void conn_opened(struct conn *c)
{
    c->state = CONN_OPEN;
    c->reading = true;
    c->progress_us = c->loop->now_us;
    c->loop->back->watch(c);
    if (c->top) {
        filter_start(c);
        return;
    }
    c->dialled = false;
    if (c->events->on_open)
        c->events->on_open(c->ctx, c);
    if (c->out)
        conn_mark_dirty(c);
}

struct loop *conn_loop(const struct conn *c)
{
    return c->loop;
}

const char *conn_address(const struct conn *c)
{
    return c->address;
}

bool conn_loopback(const struct conn *c)
{
    return c->loopback;
}

uint32_t conn_uid(const struct conn *c)
{
    return c->uid;
}

uint16_t conn_door(const struct conn *c)
{
    return c->door;
}

bool conn_is_open(const struct conn *c)
{
    return c->state == CONN_OPEN && filter_all_open(c);
}

/* ---- output ---- */

static struct out *out_begin(struct conn *c, struct out **slot)
{
    if (!*slot) {
        *slot = out_take(&c->loop->pool, c->out_class);
        if (!*slot) {
            struct fault why;
            (void)FAIL(&why, CODE_NOMEM, 0, "no memory for what is to be sent to %s", c->address);
            conn_fail(c, &why);
            return NULL;
        }
        c->loop->outs++;
        c->progress_us = c->loop->now_us;
    }
    return *slot;
}

static void out_end(struct conn *c, struct out **slot)
{
    if (!*slot)
        return;
    out_give(&c->loop->pool, *slot);
    *slot = NULL;
    c->loop->outs--;
}

struct out *conn_socket_out(struct conn *c)
{
    return out_begin(c, &c->out);
}

static struct out *proto_out(struct conn *c)
{
    struct out **slot = c->top ? &c->plain : &c->out;
    if (c->state > CONN_OPEN)
        return NULL;
    if (*slot && c->dirty)
        return *slot;
    bool fresh = !*slot;
    if (out_begin(c, slot)) {
        conn_mark_dirty(c);
        if (fresh && c->top)
            filter_plain_made(c);
    }
    return *slot;
}

struct buf *conn_out(struct conn *c)
{
    return conn_out_room(c, 0);
}

struct buf *conn_out_room(struct conn *c, size_t n)
{
    struct out *o = proto_out(c);
    if (o) {
        if (o->count)
            out_settle(o);
        if (o->copy.cap - o->copy.len < n)
            (void)buf_room(&o->copy, n);
        out_count(&c->loop->pool, o);
        return &o->copy;
    }
    c->loop->sink.bad = true;
    return &c->loop->sink;
}

void conn_send_ref(struct conn *c, struct bytes b, void (*release)(void *), void *arg)
{
    struct out *o = proto_out(c);
    if (o)
        out_ref(o, b, release, arg);
    else if (release)
        release(arg);
}

void conn_send_lent(struct conn *c, struct bytes b)
{
    struct loop *l = c->loop;
    struct out *o = proto_out(c);
    if (!o)
        return;
    if (input_lent(l, b)) {
        out_lend(o, b);
        l->lent_out = true;
    } else {
        out_settle(o);
        buf_add_bytes(&o->copy, b);
    }
}

size_t conn_unsent(const struct conn *c)
{
    return (c->out ? out_unsent(c->out) : 0) + (c->plain ? out_unsent(c->plain) : 0);
}

size_t conn_backlog(const struct conn *c)
{
    return c->backlog;
}

int64_t conn_progress_us(const struct conn *c)
{
    return c->progress_us;
}

void conn_set_marks(struct conn *c, size_t high, size_t low)
{
    c->high = high < UINT32_MAX ? (uint32_t)high : UINT32_MAX;
    c->low = low < UINT32_MAX ? (uint32_t)low : UINT32_MAX;
}

/* Offers everything to the back end. False: the connection has failed. */
static bool send_all(struct conn *c)
{
    struct out *o = c->out;
    while (out_unsent(o)) {
        struct iovec v[NET_VECTORS];
        size_t offered;
        int n = out_vectors(o, v, NET_VECTORS, &offered);
        int64_t sent = c->loop->back->send(c, v, n);
        if (sent == -EAGAIN) {
            c->blocked = true;
            return true;
        }
        if (sent < 0) {
            /* Why it has left may be waiting there: an alert says more than a reset. */
            for (int i = 0; i < LAST_READS && c->top && c->state == CONN_OPEN && !c->paused; i++)
                conn_readable(c);
            conn_fail_sys(c, (int)-sent, "sending");
            return false;
        }
        out_sent(o, (size_t)sent);
        c->progress_us = c->loop->now_us;
        atomic_store_explicit(&c->loop->sent_bytes,
                              atomic_load_explicit(&c->loop->sent_bytes, memory_order_relaxed) + (uint64_t)sent,
                              memory_order_relaxed);
        if ((size_t)sent < offered) {
            c->blocked = true;
            return true;
        }
    }
    return true;
}

static void watch_writing(struct conn *c, bool on)
{
    if (c->writing == on)
        return;
    c->writing = on;
    c->loop->back->watch(c);
}

static bool out_bad(const struct out *o)
{
    return o && (o->bad || o->copy.bad);
}

/* Moves what the protocol wrote to the socket's output. False: the connection has failed. */
static bool through_filters(struct conn *c)
{
    if (!c->top)
        return true;
    bool open = filter_all_open(c);
    if (!open && c->state == CONN_OPEN)
        return true; /* it waits for the handshake */
    if (open && !filter_flush(c))
        return false;
    /* When closing nothing is read any more, so a filter that is shut stays so. */
    out_end(c, &c->plain);
    if (c->state == CONN_CLOSING) {
        c->ended = true;
        if (open)
            filter_end(c);
    }
    return true;
}

/* False: nothing may be sent now, or the connection has failed. */
static bool ready_to_send(struct conn *c)
{
    if (c->state != CONN_OPEN && c->state != CONN_CLOSING)
        return false;
    if (out_bad(c->out) || out_bad(c->plain)) {
        struct fault why;
        (void)FAIL(&why, CODE_NOMEM, 0, "no memory for what is to be sent to %s", c->address);
        conn_fail(c, &why);
        return false;
    }
    if (conn_unsent(c) > c->high)
        c->above = true;
    if (c->blocked)
        return false;
    return c->ended || through_filters(c);
}

static void flush(struct conn *c)
{
    if (!ready_to_send(c))
        return;
    if (c->out) {
        size_t had = buf_size(&c->out->copy);
        if (!send_all(c))
            return;
        if (c->blocked) {
            watch_writing(c, true);
        } else {
            /* The next block is as large as this turn's bytes, going down by one step a turn. */
            unsigned size_class = out_class_of(had);
            if (size_class >= c->out_class)
                c->out_class = (uint8_t)size_class;
            else
                c->out_class--;
            out_end(c, &c->out);
            watch_writing(c, false);
        }
    }
    if (c->state == CONN_CLOSING && !c->out && !c->plain) {
        c->linger = true;
        conn_fail(c, NULL);
        return;
    }
    if (c->above && conn_unsent(c) < c->low) {
        c->above = false;
        if (c->state == CONN_OPEN && c->events->on_drained)
            c->events->on_drained(c->ctx, c);
    }
}

static uint32_t clamp(size_t n)
{
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static void count_output(struct conn *c)
{
    if (c->out)
        out_count(&c->loop->pool, c->out);
    if (c->plain)
        out_count(&c->loop->pool, c->plain);
}

/* What is left for later turns. */
static void account(struct conn *c)
{
    count_output(c);
    c->backlog = clamp(conn_unsent(c));
}

static void keep_lent(struct conn *c)
{
    bool kept = !c->out || out_keep(c->out);
    kept = (!c->plain || out_keep(c->plain)) && kept;
    if (!kept)
        conn_mark_dirty(c); /* the next flush ends it */
    count_output(c);
}

void conn_flush(struct conn *c)
{
    flush(c);
    /* The next turn's bytes come where this turn's lie now. */
    if (c->loop->lent_out && c->state < CONN_GONE)
        keep_lent(c);
    if (c->out || c->plain || c->backlog)
        account(c);
}

void conn_keep_lent(struct loop *l)
{
    for (struct conn *c = l->lent_out ? l->dirty : NULL; c; c = c->dirty_next)
        if (c->state < CONN_GONE)
            keep_lent(c);
    input_turn_over(l);
}

void conn_writable(struct conn *c)
{
    c->blocked = false;
    if (c->state == CONN_OPEN || c->state == CONN_CLOSING)
        conn_mark_dirty(c);
}

/* ---- closing ---- */

/* The first one counts: what follows is its consequence. */
static void keep_reason(struct conn *c, const struct fault *why)
{
    if (!why || c->why)
        return;
    c->why = mem_alloc(sizeof *c->why);
    if (c->why)
        *c->why = *why;
    else
        c->why = &no_memory;
}

void conn_fail(struct conn *c, const struct fault *why)
{
    if (c->state >= CONN_GONE)
        return;
    struct loop *l = c->loop;
    conn_list_remove(c->state == CONN_CLOSING ? &l->closing : &l->conns, c);
    c->state = CONN_GONE;
    conn_list_add(&l->gone, c);
    if (why)
        c->linger = false;
    keep_reason(c, why);
    /* The back end keeps watching until the next turn end, and ignores what it sees of a connection that
     * is GONE: that saves a system call. */
}

void conn_fail_sys(struct conn *c, int err, const char *doing)
{
    struct fault why;
    if (err == 0 && c->top && !filter_all_open(c))
        (void)FAIL(&why, CODE_CLOSED, 0, "%s closed the connection before the %s handshake was done", c->address,
                   filter_shut(c)->ops->name);
    else if (err == 0)
        (void)FAIL(&why, CODE_CLOSED, 0, "%s closed the connection", c->address);
    else
        (void)FAIL_SYS(&why, CODE_IO, err, "%s %s", doing, c->address);
    conn_fail(c, &why);
}

static void lose_patience(struct timer *t)
{
    struct loop *l = (struct loop *)(void *)((char *)t - offsetof(struct loop, closing_timer));
    int64_t now_ms = l->now_us / 1000;
    struct conn *c;
    while ((c = l->closing.first) && c->deadline_ms <= now_ms) {
        struct fault why;
        (void)FAIL(&why, CODE_CLOSED, 0, "%s did not take the last %zu bytes in %d s", c->address,
                   conn_unsent(c), NET_CLOSE_MS / 1000);
        conn_fail(c, &why);
    }
    if (c)
        timer_start(l, t, c->deadline_ms - now_ms + 1, lose_patience);
}

static void begin_closing(struct conn *c)
{
    struct loop *l = c->loop;
    conn_list_remove(&l->conns, c);
    conn_list_add(&l->closing, c);
    c->state = CONN_CLOSING;
    c->deadline_ms = l->now_us / 1000 + NET_CLOSE_MS;
    if (!timer_running(&l->closing_timer))
        timer_start(l, &l->closing_timer, NET_CLOSE_MS, lose_patience);
    conn_mark_dirty(c);
}

void conn_close(struct conn *c, bool flush)
{
    if (c->state >= CONN_GONE)
        return;
    bool unsent = c->out || c->plain;
    if (!flush || c->state == CONN_OPENING || (!unsent && !c->top)) {
        struct fault why;
        c->linger = !unsent && flush;
        (void)FAIL(&why, CODE_CLOSED, 0, "closed with %zu bytes for %s unsent", conn_unsent(c), c->address);
        conn_fail(c, unsent && conn_unsent(c) ? &why : NULL);
        return;
    }
    if (c->state != CONN_CLOSING)
        begin_closing(c);
}

void conn_fail_said(struct conn *c, const struct fault *why)
{
    if (c->state == CONN_CLOSING && c->out) {
        out_end(c, &c->plain);
        c->ended = true;
        return;
    }
    if (c->state != CONN_OPEN || !c->out) {
        conn_fail(c, why);
        return;
    }
    keep_reason(c, why);
    out_end(c, &c->plain);
    c->ended = true; /* a filter that has failed is not asked again */
    begin_closing(c);
}

void conn_end_said(struct conn *c, const struct fault *why)
{
    if (c->state != CONN_OPEN)
        return; /* what is being closed says its goodbye in any case */
    keep_reason(c, why);
    begin_closing(c);
}

void conn_bury(struct conn *c)
{
    /* References first: on_close is the last that its owner hears. */
    out_end(c, &c->out);
    out_end(c, &c->plain);
    account(c);
    filter_free_all(c);
    mem_free(c->left.at);
    c->left.at = NULL;
    c->state = CONN_DEAD;
    if (c->events->on_close)
        c->events->on_close(c->ctx, c, c->why);
    if (c->why != &no_memory)
        mem_free(c->why);
    c->why = NULL;
    conn_drop_dead(c);
}

void conn_drop_dead(struct conn *c)
{
    if (!c->dirty && !c->resumed)
        c->loop->back->detach(c);
}

/* ---- reading on and off ---- */

void conn_set_events(struct conn *c, const struct conn_events *events, void *ctx)
{
    c->events = events;
    c->ctx = ctx;
    c->want = 0;
    c->swapped = true;
    if (c->left.len > c->left.from)
        conn_mark_resumed(c);
}

void conn_read_pause(struct conn *c)
{
    /* The back end is told when something comes meanwhile (conn_readable): a short pause costs no system
     * call. */
    c->paused = true;
}

void conn_read_resume(struct conn *c)
{
    c->paused = false;
    if (c->state != CONN_OPEN)
        return;
    if (c->left.len > c->left.from)
        conn_mark_resumed(c);
    if (!c->reading) {
        c->reading = true;
        c->loop->back->watch(c);
    }
}

void conn_want(struct conn *c, size_t bytes)
{
    c->want = bytes < UINT32_MAX / 4 ? (uint32_t)bytes : UINT32_MAX / 4;
}
