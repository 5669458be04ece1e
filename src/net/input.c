/* input.c - bytes that arrive, shown to the protocol in place.
 *
 *   lent buffer of the loop, one recv:   [ left-over, copied |  fresh bytes        | free ]
 *
 * A connection owns memory only for bytes that its protocol has not used up. A small left-over is copied
 * in front of the fresh bytes; behind a large one (a packet bigger than the lent buffer) the next bytes
 * are received directly. */
#include "base/mem.h"
#include "net/backend.h"
#include "net/filter.h"

#include <errno.h>

enum { LEFT_STEP = 256 };

static void fail_nomem(struct conn *c)
{
    struct fault why;
    (void)FAIL(&why, CODE_NOMEM, 0, "no memory for what %s sent", c->address);
    conn_fail(c, &why);
}

static struct bytes left_bytes(const struct conn *c)
{
    return bytes_of(c->left.at + c->left.from, c->left.len - c->left.from);
}

static void left_free(struct conn *c)
{
    mem_free(c->left.at);
    memset(&c->left, 0, sizeof c->left);
}

/* Room for `more` bytes behind the left-over, or NULL; when it has to grow, by `spare` in addition. */
static uint8_t *left_room(struct conn *c, size_t more, size_t spare)
{
    size_t held = c->left.len - c->left.from;
    if (c->left.cap - c->left.len >= more)
        return c->left.at + c->left.len;
    if (held + more + spare > UINT32_MAX / 2)
        return NULL;
    if (c->left.cap >= held + more && c->left.from >= held) {
        memcpy(c->left.at, c->left.at + c->left.from, held);
    } else {
        size_t cap = (held + more + spare + LEFT_STEP - 1) / LEFT_STEP * LEFT_STEP;
        uint8_t *fresh = mem_alloc(cap);
        if (!fresh)
            return NULL;
        if (held)
            memcpy(fresh, c->left.at + c->left.from, held);
        mem_free(c->left.at);
        c->left.at = fresh;
        c->left.cap = (uint32_t)cap;
    }
    c->left.from = 0;
    c->left.len = (uint32_t)held;
    return c->left.at + held;
}

/* Keeps `rest`, which lies in the left-over itself or somewhere else, as the only left-over. */
static bool left_set(struct conn *c, struct bytes rest)
{
    if (rest.len == 0) {
        left_free(c);
        return true;
    }
    if (c->left.at && rest.at >= c->left.at && rest.at < c->left.at + c->left.cap) {
        c->left.from = (uint32_t)(rest.at - c->left.at);
        c->left.len = c->left.from + (uint32_t)rest.len;
        return true;
    }
    c->left.from = c->left.len = 0;
    uint8_t *to = left_room(c, rest.len, 0);
    if (!to) {
        fail_nomem(c);
        return false;
    }
    memcpy(to, rest.at, rest.len);
    c->left.len = (uint32_t)rest.len;
    return true;
}

/* Shows `in` as long as it is wanted; returns what was not used up. */
static struct bytes show(struct conn *c, struct bytes in)
{
    do {
        c->swapped = false;
        if (in.len == 0 || in.len < c->want || c->state != CONN_OPEN || c->paused || c->fresh)
            break;
        c->want = 0;
        c->showing = true;
        size_t used = c->events->on_bytes(c->ctx, c, in);
        c->showing = false;
        if (c->state != CONN_OPEN)
            return BYTES_NONE;
        FG_ASSERT(used <= in.len);
        in = bytes_from(in, used);
    } while (c->swapped);
    return in;
}

/* Bytes for the protocol; `in` follows the left-over, or lies directly behind a copy of it (left then is
 * empty). */
static void deliver(struct conn *c, struct bytes in);

/* `in` goes through `from` and those above it to the protocol. */
static void deliver_through(struct conn *c, struct filter *from, struct bytes in)
{
    struct fault why = { 0 };
    struct bytes plain;
    enum code code = filter_in(from, in, &plain, &why);
    if (plain.len && c->state == CONN_OPEN)
        deliver(c, plain);
    if (code == CODE_END) {
        (void)FAIL(&why, CODE_CLOSED, 0, "%s closed the connection", c->address);
        conn_end_said(c, &why);
    } else if (code != CODE_OK) {
        conn_fail_said(c, &why);
    }
}

static void deliver(struct conn *c, struct bytes in)
{
    if (c->left.len > c->left.from) {
        uint8_t *to = left_room(c, in.len, c->left.len - c->left.from);
        if (!to) {
            fail_nomem(c);
            return;
        }
        if (in.len)
            memcpy(to, in.at, in.len);
        c->left.len += (uint32_t)in.len;
        in = left_bytes(c);
    }
    struct bytes rest = show(c, in);
    if (c->state != CONN_OPEN)
        return;
    struct filter *fresh = c->fresh;
    if (!fresh) {
        (void)left_set(c, rest);
        return;
    }
    c->fresh = NULL;
    if (rest.len == 0) {
        left_free(c);
        return;
    }
    /* The rest was meant for the filter that was just pushed; it must survive while the left-over is used
     * anew. */
    uint8_t *copy = mem_alloc(rest.len);
    if (!copy) {
        fail_nomem(c);
        return;
    }
    memcpy(copy, rest.at, rest.len);
    left_free(c);
    deliver_through(c, fresh, bytes_of(copy, rest.len));
    mem_free(copy);
}

void conn_show_rest(struct conn *c)
{
    if (c->state == CONN_OPEN && !c->paused && c->left.len > c->left.from)
        deliver(c, BYTES_NONE);
}

/* ---- the lent buffer ----
 *
 *   0                lent_end's left-over | lent_at                      NET_LENT_TURN
 *   | received in this turn ... | partial | the next recv ...            |
 *
 * As long as no output refers to what was received (conn_send_lent), every recv begins at 0 again, where the cache
 * is warm. Otherwise the next one goes behind: directly behind its connection's left-over, if that lies there. */

bool input_lent(const struct loop *l, struct bytes b)
{
    return l->lent && b.at >= l->lent && b.at + b.len <= l->lent + l->lent_at;
}

void input_turn_over(struct loop *l)
{
    l->lent_at = 0;
    l->lent_out = false;
    l->lent_end = NULL;
}

struct room {
    uint8_t *at;
    size_t   n;    /* 0: none in this turn */
    bool     own;  /* behind the connection's own left-over */
    bool     here; /* the left-over lies directly before it already */
};

static void find_lent(struct conn *c, struct room *r)
{
    struct loop *l = c->loop;
    size_t held = c->left.len - c->left.from;
    if (!l->lent)
        l->lent = l->back->lend(l);
    if (!l->lent)
        return;
    if (!l->lent_out)
        input_turn_over(l);
    r->here = held && !c->top && l->lent_end == c && l->lent_left == held;
    size_t at = l->lent_at + (r->here || c->top ? 0 : held);
    size_t room = at < NET_LENT_TURN ? NET_LENT_TURN - at : 0;
    r->at = l->lent + at;
    r->n = room < NET_LENT_LEAST ? 0 : room < NET_LENT_BYTES ? room : NET_LENT_BYTES;
}

/* False: memory is out. */
static bool find_room(struct conn *c, struct room *r)
{
    size_t held = c->left.len - c->left.from;
    *r = (struct room){ .own = !c->top && held && (held > NET_HEAD_BYTES || c->want > NET_HEAD_BYTES + NET_LENT_BYTES) };
    if (r->own) {
        /* As much again as has arrived so far: memory follows what was really sent, not what was
         * announced. And not beyond what is wanted: then the packet ends with the buffer and nothing has
         * to be moved. */
        size_t missing = c->want > held ? c->want - held : NET_LENT_BYTES;
        r->n = held > NET_LENT_BYTES ? held : NET_LENT_BYTES;
        if (r->n > missing)
            r->n = missing;
        r->at = left_room(c, r->n, 0);
    } else {
        find_lent(c, r);
    }
    return r->at;
}

/* `n` bytes are in the lent buffer. */
static void arrived_lent(struct conn *c, const struct room *r, size_t n)
{
    struct loop *l = c->loop;
    size_t held = c->left.len - c->left.from;
    l->lent_at = (size_t)(r->at - l->lent) + n;
    l->lent_end = c;
    l->lent_left = 0;
    if (c->top) {
        struct filter *bottom = c->top;
        while (bottom->below)
            bottom = bottom->below;
        deliver_through(c, bottom, bytes_of(r->at, n));
        return;
    }
    if (held && !r->here)
        memcpy(r->at - held, c->left.at + c->left.from, held);
    c->left.from = c->left.len = 0;
    deliver(c, bytes_of(r->at - held, held + n));
    l->lent_left = c->left.len - c->left.from; /* it is the end of what was shown */
}

static void arrived(struct conn *c, const struct room *r, size_t n)
{
    if (!r->own) {
        arrived_lent(c, r, n);
        return;
    }
    c->left.len += (uint32_t)n;
    deliver(c, BYTES_NONE);
}

static bool shakes_hands(const struct conn *c)
{
    return c->top && !filter_all_open(c);
}

static void wait_to_shake(struct conn *c)
{
    struct loop *l = c->loop;
    if (c->reading) {
        c->reading = false;
        l->back->watch(c);
    }
    if (c->resumed)
        return;
    c->resumed = true;
    c->resumed_next = NULL;
    *l->shaking_end = c;
    l->shaking_end = &c->resumed_next;
}

static void read_all(struct conn *c)
{
    for (int round = 0; round < NET_READ_ROUNDS && c->state == CONN_OPEN && !c->paused; round++) {
        struct room r;
        if (!find_room(c, &r)) {
            fail_nomem(c);
            return;
        }
        if (r.n == 0)
            return; /* the next turn has room, and is told that it can be read */
        int64_t n = c->loop->back->recv(c, r.at, r.n);
        if (n == -EAGAIN)
            return;
        if (n <= 0) {
            conn_fail_sys(c, (int)-n, "receiving from");
            return;
        }
        arrived(c, &r, (size_t)n);
        if ((size_t)n < r.n)
            return;
    }
    if ((c->paused || c->state == CONN_CLOSING) && c->reading) {
        c->reading = false;
        c->loop->back->watch(c);
    }
}

void conn_readable(struct conn *c)
{
    if (c->state == CONN_OPEN && !c->paused && shakes_hands(c)) {
        if (c->loop->shaking || c->loop->shakes == NET_SHAKES) {
            wait_to_shake(c);
            return;
        }
        c->loop->shakes++;
    }
    read_all(c);
}

static void shake_on(struct conn *c)
{
    conn_show_rest(c);
    read_all(c);
    if (c->state == CONN_OPEN && !c->paused && !c->reading) {
        c->reading = true;
        c->loop->back->watch(c);
    }
}

void conn_shake(struct loop *l)
{
    struct conn *c;
    while (l->shakes < NET_SHAKES && (c = l->shaking)) {
        l->shaking = c->resumed_next;
        if (!l->shaking)
            l->shaking_end = &l->shaking;
        c->resumed = false;
        if (c->state == CONN_DEAD) {
            conn_drop_dead(c);
        } else {
            l->shakes++;
            shake_on(c);
        }
    }
}
