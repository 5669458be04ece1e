#include "net/filter.h"

#include "net/backend.h"

enum { SCRATCH_KEEP = 256 * 1024, GATHER_BYTES = 16 * 1024 };

void conn_push_filter(struct conn *c, struct filter *f)
{
    f->conn = c;
    f->above = NULL;
    f->below = c->top;
    if (c->top)
        c->top->above = f;
    /* What was written before it came goes below it. */
    if (c->plain && filter_all_open(c))
        (void)filter_flush(c);
    c->top = f;
    if (c->state == CONN_OPENING)
        return; /* conn_opened starts it */
    if (c->showing && !c->fresh)
        c->fresh = f;
    if (!f->below || f->below->open)
        filter_start(c);
}

struct filter *filter_shut(const struct conn *c)
{
    struct filter *shut = NULL;
    for (struct filter *f = c->top; f; f = f->below)
        if (!f->open)
            shut = f;
    return shut;
}

bool filter_all_open(const struct conn *c)
{
    return !filter_shut(c);
}

static void all_open(struct conn *c)
{
    if (c->dialled) {
        c->dialled = false;
        if (c->events->on_open)
            c->events->on_open(c->ctx, c);
    }
    if (c->state == CONN_OPEN && c->plain)
        conn_mark_dirty(c);
}

/* Starts from the lowest that is not open, as far as it goes without an answer of the peer. */
void filter_start(struct conn *c)
{
    struct filter *f;
    while (c->state == CONN_OPEN && (f = filter_shut(c))) {
        if (f->ops->start) {
            struct fault why = { 0 };
            if (f->ops->start(f, &why) != CODE_OK)
                conn_fail(c, &why);
            return;
        }
        f->open = true;
    }
    if (c->state == CONN_OPEN)
        all_open(c);
}

void filter_opened(struct filter *f)
{
    f->open = true;
    filter_start(f->conn);
}

static struct buf *scratch(struct loop *l, int pair, struct bytes other)
{
    struct buf *b = &l->scratch[pair];
    /* Not the one the input lies in. */
    if (b->at && other.at >= b->at && other.at < b->at + b->cap)
        b++;
    if (b->cap > SCRATCH_KEEP)
        buf_clear(b);
    buf_reset(b);
    return b;
}

static enum code no_memory(struct conn *c, struct fault *why)
{
    return FAIL(why, CODE_NOMEM, 0, "no memory for the bytes of %s", c->address);
}

enum code filter_in(struct filter *f, struct bytes in, struct bytes *out, struct fault *why)
{
    struct conn *c = f->conn;
    bool ended = false;
    *out = BYTES_NONE;
    for (; f && in.len; f = f->above) {
        struct buf *up = scratch(c->loop, 0, in);
        enum code code = f->ops->in(f, in, up, why);
        if (up->bad)
            code = no_memory(c, why);
        /* What came before the peer's goodbye still counts. */
        ended |= code == CODE_END;
        if (code != CODE_OK && code != CODE_END)
            return code;
        if (c->state != CONN_OPEN)
            return CODE_OK;
        in = buf_bytes(up);
    }
    if (!f)
        *out = in;
    return ended ? CODE_END : CODE_OK;
}

/* Passes `in` downwards from `f`; the lowest filter writes behind the socket's output itself. */
static enum code pass_down(struct conn *c, struct filter *f, struct bytes in, struct fault *why)
{
    struct out *o = conn_socket_out(c);
    if (!o)
        return CODE_CLOSED; /* and why is told already */
    for (; f; f = f->below) {
        struct buf *down = f->below ? scratch(c->loop, 2, in) : &o->copy;
        uint8_t head[FILTER_HEAD];
        enum code code = CODE_OK;
        if (f->ops->head)
            buf_add(down, head, f->ops->head(f, in.len, head));
        if (f->ops->out)
            code = f->ops->out(f, in, down, why);
        else
            buf_add_bytes(down, in);
        if (code == CODE_OK && down->bad)
            code = no_memory(c, why);
        if (code != CODE_OK || !f->below)
            return code;
        in = buf_bytes(down);
    }
    buf_add_bytes(&o->copy, in);
    return CODE_OK;
}

static bool passed(struct conn *c, enum code code, const struct fault *why)
{
    if (code != CODE_OK)
        conn_fail(c, why);
    return code == CODE_OK;
}

void filter_send(struct filter *f, struct bytes b)
{
    struct conn *c = f->conn;
    struct fault why = { 0 };
    if (c->state == CONN_OPEN && passed(c, pass_down(c, f->below, b, &why), &why))
        conn_mark_dirty(c);
}

/* Small pieces (the head of a packet, its payload by reference) go down together: each pass may cost a frame or a record
 * of its own. Returns how many of the vectors `in` covers. */
static int gather(struct conn *c, const struct iovec *v, int n, struct bytes *in)
{
    struct buf *b = &c->loop->gathered;
    int taken = 0;
    buf_reset(b);
    while (taken < n && buf_size(b) + v[taken].iov_len <= GATHER_BYTES) {
        buf_add(b, v[taken].iov_base, v[taken].iov_len);
        taken++;
    }
    /* One alone, or no memory: as it lies. */
    *in = taken > 1 && !b->bad ? buf_bytes(b) : bytes_of(v[0].iov_base, v[0].iov_len);
    int covered = taken > 1 && !b->bad ? taken : 1;
    b->bad = false;
    return covered;
}

void filter_plain_made(struct conn *c)
{
    if (c->top->ops->head && !c->top->ops->out)
        out_headroom(c->plain, FILTER_HEAD);
}

/* How many of the protocol's bytes the next head is for. */
static size_t next_piece(struct conn *c)
{
    uint8_t front[FILTER_FRONT];
    size_t bytes = out_unsent(c->plain);
    if (!c->top->ops->piece)
        return bytes;
    return c->top->ops->piece(c->top, bytes_of(front, out_peek(c->plain, front, sizeof front)), bytes);
}

/* Several pieces, each behind a head of its own. False: memory is out. */
static bool put_heads(struct conn *c, size_t piece)
{
    struct out_pool *pool = &c->loop->pool;
    struct out *framed = out_take(pool, out_class_of(out_owned(c->plain)));
    uint8_t head[FILTER_HEAD];
    if (!framed)
        return false;
    for (; piece; piece = out_unsent(c->plain) ? next_piece(c) : 0) {
        buf_add(&framed->copy, head, c->top->ops->head(c->top, piece, head));
        out_move(framed, c->plain, piece);
    }
    out_give(pool, c->plain);
    c->plain = framed;
    return !framed->bad && !framed->copy.bad;
}

/* The top filter only puts heads in front of what leaves together: once here, not for each vector. False: the connection
 * has failed. */
static bool put_head(struct conn *c)
{
    struct fault why = { 0 };
    uint8_t head[FILTER_HEAD];
    size_t piece = next_piece(c);
    bool ok = piece < out_unsent(c->plain) ? put_heads(c, piece)
                                           : out_prepend(c->plain, head, c->top->ops->head(c->top, piece, head));
    return ok || passed(c, no_memory(c, &why), &why);
}

bool filter_flush(struct conn *c)
{
    struct filter *from = c->top;
    if (c->plain && out_unsent(c->plain) && from->ops->head && !from->ops->out) {
        if (!put_head(c))
            return false;
        from = from->below;
        if (!from) {
            if (c->out) {
                out_append(c->out, c->plain);
            } else {
                c->out = c->plain;
                c->plain = NULL;
            }
            return true;
        }
    }
    while (c->plain && out_unsent(c->plain)) {
        struct iovec v[NET_VECTORS];
        struct fault why = { 0 };
        size_t bytes;
        int n = out_vectors(c->plain, v, NET_VECTORS, &bytes);
        for (int i = 0; i < n;) {
            struct bytes in;
            i += gather(c, v + i, n - i, &in);
            if (!passed(c, pass_down(c, from, in, &why), &why))
                return false;
        }
        out_sent(c->plain, bytes);
    }
    return true;
}

void filter_end(struct conn *c)
{
    for (struct filter *f = c->top; f; f = f->below) {
        struct fault why = { 0 };
        struct buf bye = { 0 };
        if (!f->ops->end)
            continue;
        f->ops->end(f, &bye);
        bool ok = buf_size(&bye) == 0 || passed(c, pass_down(c, f->below, buf_bytes(&bye), &why), &why);
        buf_clear(&bye);
        if (!ok)
            return;
    }
}

void filter_free_all(struct conn *c)
{
    while (c->top) {
        struct filter *f = c->top;
        c->top = f->below;
        f->ops->free(f);
    }
}
