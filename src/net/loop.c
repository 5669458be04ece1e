#include "net/loop.h"

#include "base/mem.h"
#include "net/backend.h"
#include "net/tls.h"

#include <unistd.h>

void loop_init(struct loop *l, const struct backend *back)
{
    l->back = back;
    l->dirty_end = &l->dirty;
    l->shaking_end = &l->shaking;
    back->read_clocks(l);
    wheel_init(&l->wheel, l->now_us);
}

void loop_begin(struct loop *l)
{
    if (l->clock_read)
        return;
    l->clock_read = true;
    l->back->read_clocks(l);
}

uint64_t loop_sent_bytes(const struct loop *l)
{
    return atomic_load_explicit(&((struct loop *)l)->sent_bytes, memory_order_relaxed);
}

int64_t loop_now_us(const struct loop *l)
{
    return l->now_us;
}

int64_t loop_wall_us(const struct loop *l)
{
    return l->wall_us;
}

size_t loop_backlog(const struct loop *l)
{
    return l->pool.bytes;
}

size_t loop_written(const struct loop *l)
{
    return l->pool.bytes > l->left_over ? l->pool.bytes - l->left_over : 0;
}

void loop_set_turn(struct loop *l, void (*turn)(void *), void *ctx)
{
    l->turn = turn;
    l->turn_ctx = ctx;
}

void loop_set_user(struct loop *l, void *user)
{
    l->user = user;
}

void *loop_user(const struct loop *l)
{
    return l->user;
}

void timer_start(struct loop *l, struct timer *t, int64_t delay_ms, void (*fire)(struct timer *))
{
    if (!l->clock_read)
        l->back->read_clocks(l); /* outside of a turn: the last turn's time is too old to count from */
    t->fire = fire;
    wheel_start(&l->wheel, t, l->now_us, delay_ms);
}

void timer_stop(struct loop *l, struct timer *t)
{
    (void)l;
    wheel_stop(t);
}

/* ---- letters ---- */

static void wake(struct loop *l)
{
    /* Pairs with loop_may_sleep: either it sees the letter, or we see that it is about to block. A loop
     * that is at work, or posts to itself, costs no system call. */
    if (atomic_load(&l->asleep) && atomic_exchange(&l->asleep, false))
        l->back->wake(l);
}

void loop_post(struct loop *l, struct letter *letter)
{
    struct letter *head = atomic_load_explicit(&l->inbox, memory_order_relaxed);
    do {
        letter->next = head;
    } while (!atomic_compare_exchange_weak(&l->inbox, &head, letter));
    wake(l);
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stop, true);
    wake(l);
}

static void open_letters(struct loop *l)
{
    if (!atomic_load_explicit(&l->inbox, memory_order_relaxed))
        return;
    struct letter *pile = atomic_exchange(&l->inbox, NULL), *first = NULL;
    while (pile) { /* newest first; turn it over */
        struct letter *next = pile->next;
        pile->next = first;
        first = pile;
        pile = next;
    }
    while (first) {
        struct letter *next = first->next; /* open may free it */
        first->open(first, l);
        first = next;
    }
}

bool loop_may_sleep(struct loop *l)
{
    atomic_store(&l->asleep, true);
    if (!atomic_load(&l->inbox) && (l->stopping || !atomic_load(&l->stop)))
        return true;
    atomic_store(&l->asleep, false);
    return false;
}

void loop_awake(struct loop *l)
{
    atomic_store_explicit(&l->asleep, false, memory_order_relaxed);
}

/* ---- turns ---- */

static void show_rests(struct loop *l)
{
    struct conn *c = l->resumed;
    l->resumed = NULL;
    while (c) {
        struct conn *next = c->resumed_next;
        c->resumed = false;
        if (c->state == CONN_DEAD)
            conn_drop_dead(c);
        else
            conn_show_rest(c);
        c = next;
    }
}

static void bury_all(struct loop *l)
{
    struct conn *c;
    while ((c = l->gone.first)) {
        conn_list_remove(&l->gone, c);
        conn_bury(c);
    }
}

static void flush_all(struct loop *l)
{
    struct conn *c = l->dirty;
    l->dirty = NULL;
    l->dirty_end = &l->dirty;
    while (c) {
        struct conn *next = c->dirty_next;
        c->dirty = false;
        if (c->state == CONN_DEAD)
            conn_drop_dead(c);
        else
            conn_flush(c);
        c = next;
    }
    l->left_over = l->pool.bytes;
}

bool loop_finish(struct loop *l)
{
    loop_begin(l);
    wheel_fire(&l->wheel, l->now_us);
    open_letters(l);
    show_rests(l);
    conn_shake(l);
    bury_all(l);
    if (l->turn)
        l->turn(l->turn_ctx);
    flush_all(l);
    input_turn_over(l);
    l->clock_read = false;
    return loop_busy(l);
}

bool loop_busy(const struct loop *l)
{
    return l->dirty || l->resumed || l->shaking || l->gone.first ||
           atomic_load_explicit(&l->inbox, memory_order_relaxed);
}

bool loop_finished(struct loop *l)
{
    if (!l->stopping) {
        if (!atomic_load(&l->stop))
            return false;
        l->stopping = true;
        l->stop_us = l->now_us + NET_CLOSE_MS * 1000;
    }
    if (l->now_us < l->stop_us && (l->outs || l->closing.first || loop_busy(l)))
        return false;
    l->stopping = false;
    atomic_store(&l->stop, false);
    return true;
}

void loop_run(struct loop *l)
{
    l->back->run(l);
}

static void forget_timers(struct loop *l)
{
    for (int level = 0; level < WHEEL_LEVELS; level++)
        for (int i = 0; i < WHEEL_SLOTS; i++) {
            struct timer *head = &l->wheel.slots[level][i];
            while (head->next != head)
                wheel_stop(head->next);
        }
}

static void fail_all(struct conn_list *list)
{
    struct fault why;
    (void)FAIL(&why, CODE_CLOSED, 0, "the program is stopping");
    while (list->first)
        conn_fail(list->first, &why);
}

void loop_clear(struct loop *l)
{
    loop_begin(l);
    l->clearing = true;
    open_letters(l);
    l->closed = true;
    while (l->listeners)
        listener_close(l->listeners);
    do {
        open_letters(l);
        fail_all(&l->conns);
        fail_all(&l->closing);
        bury_all(l);
    } while (l->conns.first || l->closing.first || l->gone.first || atomic_load(&l->inbox));
    show_rests(l);
    for (; l->shaking; l->shakes = 0)
        conn_shake(l);
    flush_all(l);
    forget_timers(l);
    out_pool_clear(&l->pool);
    buf_clear(&l->sink);
    buf_clear(&l->gathered);
    for (size_t i = 0; i < sizeof l->scratch / sizeof l->scratch[0]; i++)
        buf_clear(&l->scratch[i]);
}

void loop_close(struct loop *l)
{
    l->back->close(l);
}

/* ---- listeners ---- */

enum code net_listen(struct listener **out, struct loop *l, const char *at, accept_fn accept, void *ctx,
                     struct fault *why)
{
    struct listener *made;
    if (l->closed)
        return FAIL(why, CODE_CLOSED, 0, "cannot listen on %s: the program is stopping", at);
    enum code code = l->back->listen(&made, l, at, why);
    if (code != CODE_OK)
        return code;
    made->loop = l;
    made->accept = accept;
    made->ctx = ctx;
    made->prev = NULL;
    made->next = l->listeners;
    if (made->next)
        made->next->prev = made;
    l->listeners = made;
    *out = made;
    return CODE_OK;
}

const char *listener_address(const struct listener *s)
{
    return s->address;
}

uint16_t listener_port(const struct listener *s)
{
    return s->port;
}

void listener_set_door(struct listener *s, uint16_t door)
{
    s->door = door;
}

void listener_set_tls(struct listener *s, struct tls_server *tls)
{
    struct tls_server *old = s->tls;
    s->tls = tls ? tls_server_hold(tls) : NULL;
    tls_server_drop(old);
}

void listener_set_accept(struct listener *s, accept_fn accept, void *ctx)
{
    s->accept = accept;
    s->ctx = ctx;
}

void listener_accept_waiting(struct listener *s)
{
    s->loop->back->accept_waiting(s);
}

void loop_share_addresses(struct loop *l, bool on)
{
    l->sharing = on;
    for (struct listener *s = l->listeners; s; s = s->next)
        l->back->share(s, on);
}

void listener_close(struct listener *s)
{
    listener_set_tls(s, NULL);
    if (s->prev)
        s->prev->next = s->next;
    else
        s->loop->listeners = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->loop->back->listener_close(s);
}

void net_peer_refuse(const struct net_peer *peer)
{
    tls_server_drop(peer->tls);
    if (peer->world)
        peer->world->refuse(peer->world, peer->handle);
    else
        (void)close(peer->handle);
}
