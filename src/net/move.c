/* move.c - a connection changes its loop: HTTP accepts on one loop, an upgraded connection lives on any.
 *
 *   conn_move ──letter──► own loop: depart              ──letter──► new loop: arrive ──► arrived(ctx, here, conn)
 *                         (no callback of it is running;             a new struct on the same socket
 *                          socket, filters, bytes packed)
 *
 * A connection that ends before it departed still arrives, as NULL. */
#include "base/mem.h"
#include "net/backend.h"
#include "net/filter.h"

struct move {
    struct letter letter; /* first */
    struct loop  *to;
    arrived_fn    arrived;
    void         *ctx;
    struct conn  *conn;    /* until it departs; NULL: it ended */
    bool          waits;   /* the letter was opened while the connection was ending: on_close goes on */
    struct conn   packed;  /* its fields under way: what arrive takes over */
    struct net_peer peer;
};

static size_t show_nobody(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    (void)c;
    (void)in;
    return 0;
}

static void close_nobody(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
}

/* Until `arrived` has set others. */
static const struct conn_events nobody = { .on_bytes = show_nobody, .on_close = close_nobody };

/* ---- arriving ---- */

static void drop_output(struct loop *here, struct out *o)
{
    if (o)
        out_give(&here->pool, o);
}

static void discard(struct move *m, struct loop *here)
{
    drop_output(here, m->packed.out);
    drop_output(here, m->packed.plain);
    filter_free_all(&m->packed);
    mem_free(m->packed.left.at);
}

static void unpack(struct conn *c, const struct conn *from)
{
    struct loop *l = c->loop;
    c->out_class = from->out_class;
    c->top = from->top;
    for (struct filter *f = c->top; f; f = f->below)
        f->conn = c;
    c->plain = from->plain;
    c->out = from->out;
    l->outs += (c->plain ? 1 : 0) + (c->out ? 1 : 0);
    if (c->out)
        out_count(&l->pool, c->out);
    if (c->plain)
        out_count(&l->pool, c->plain);
    c->left.at = from->left.at;
    c->left.from = from->left.from;
    c->left.len = from->left.len;
    c->left.cap = from->left.cap;
    c->high = from->high;
    c->low = from->low;
    c->above = from->above;
    c->progress_us = from->progress_us;
    if (c->out || c->plain)
        conn_mark_dirty(c);
    if (c->left.len > c->left.from)
        conn_mark_resumed(c);
}

static void arrive(struct letter *letter, struct loop *here)
{
    struct move *m = (struct move *)(void *)letter;
    struct conn *c = NULL;
    /* conn_open takes the peer, also when it fails. */
    if (conn_open(&c, here, &m->peer, &nobody, NULL, NULL) == CODE_OK) {
        unpack(c, &m->packed);
    } else {
        discard(m, here);
        c = NULL;
    }
    m->arrived(m->ctx, here, c);
    mem_free(m);
}

static void arrive_nobody(struct letter *letter, struct loop *here)
{
    struct move *m = (struct move *)(void *)letter;
    m->arrived(m->ctx, here, NULL);
    mem_free(m);
}

/* ---- departing ---- */

/* It has ended before it left. The other loop may be gone when this one is being closed. */
static void give_up(struct move *m, struct loop *own)
{
    m->letter.open = arrive_nobody;
    if (own->clearing)
        arrive_nobody(&m->letter, own);
    else
        loop_post(m->to, &m->letter);
}

static void on_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct move *m = ctx;
    (void)why;
    m->conn = NULL;
    if (m->waits)
        give_up(m, c->loop);
}

/* Everything that arrive needs is in *m; the old struct is an empty one that the lists of this turn may still name. */
static void pack(struct move *m, struct conn *c)
{
    struct loop *l = c->loop;
    conn_list_remove(&l->conns, c);
    /* What is lent stays here. Without memory for it `bad` is set, and the first flush over there ends it. */
    if (c->out)
        (void)out_keep(c->out);
    if (c->plain)
        (void)out_keep(c->plain);
    if (c->out)
        out_uncount(&l->pool, c->out);
    if (c->plain)
        out_uncount(&l->pool, c->plain);
    m->packed = *c;
    l->outs -= (c->plain ? 1 : 0) + (c->out ? 1 : 0);
    c->top = NULL;
    c->out = c->plain = NULL;
    memset(&c->left, 0, sizeof c->left);
    c->linger = false;
    c->state = CONN_DEAD;
    conn_drop_dead(c);
}

static void depart(struct letter *letter, struct loop *own)
{
    struct move *m = (struct move *)(void *)letter;
    struct conn *c = m->conn;
    struct fault why;
    if (!c) {
        give_up(m, own);
        return;
    }
    m->waits = true;
    if (c->state != CONN_OPEN)
        return;
    enum code code = own->clearing ? FAIL(&why, CODE_CLOSED, 0, "the program is stopping")
                                   : own->back->release(c, &m->peer, &why);
    if (code != CODE_OK) {
        conn_fail(c, &why);
        return;
    }
    pack(m, c);
    m->letter.open = arrive;
    loop_post(m->to, &m->letter);
}

enum code conn_move(struct conn *c, struct loop *to, arrived_fn arrived, void *ctx, struct fault *why)
{
    FG_ASSERT(strlen(c->address) < sizeof ((struct net_peer *)0)->address); /* of an accepted one */
    struct move *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return FAIL(why, CODE_NOMEM, 0, "no memory to move the connection from %s", c->address);
    m->letter.open = depart;
    m->to = to;
    m->arrived = arrived;
    m->ctx = ctx;
    m->conn = c;
    m->peer = (struct net_peer){ .loopback = c->loopback, .door = c->door, .uid = c->uid };
    memcpy(m->peer.address, c->address, strlen(c->address) + 1);
    static const struct conn_events leaving = { .on_bytes = show_nobody, .on_close = on_close };
    conn_set_events(c, &leaving, m);
    c->paused = true; /* what comes meanwhile waits */
    loop_post(c->loop, &m->letter);
    return CODE_OK;
}
