/* loop_tsan_test.c - four loops in four threads that post to each other as fast as they can, and hand each
 * other connections. Meant for ThreadSanitizer; counts and orders are checked everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/net_test_loops.h"

enum { EACH = 6000, BURST = 50, CONNS = 60 };

struct worker {
    struct loop *loop;
    struct timer timer;
    unsigned     index, sent, wrong;
    unsigned     received[LOOPS]; /* by sender; plain: only its own thread writes */
    unsigned     conns_done;
};

static struct worker workers[LOOPS];
static _Atomic unsigned finished;

struct note {
    struct letter letter;
    unsigned      from, number;
};

static void one_finished(void)
{
    /* Each worker: all notes of all senders; worker 0 also all connections. */
    if (atomic_fetch_add(&finished, 1) + 1 == LOOPS + 1)
        loops_stop();
}

static void open_note(struct letter *l, struct loop *here)
{
    struct note *n = (struct note *)(void *)l;
    struct worker *me = loop_user(here);
    me->wrong += me->received[n->from] != n->number;
    me->received[n->from]++;
    unsigned all = 0;
    for (int i = 0; i < LOOPS; i++)
        all += me->received[i];
    if (all == LOOPS * EACH)
        one_finished();
    free(n);
}

/* A burst to everybody, itself included; then a breath, so that the others fall asleep now and then. */
static void send_burst(struct timer *t)
{
    struct worker *me = (struct worker *)(void *)((char *)t - offsetof(struct worker, timer));
    for (int i = 0; i < BURST && me->sent < EACH; i++, me->sent++)
        for (int to = 0; to < LOOPS; to++) {
            struct note *n = calloc(1, sizeof *n);
            *n = (struct note){ { NULL, open_note }, me->index, me->sent };
            loop_post(loops[to], &n->letter);
        }
    if (me->sent < EACH)
        timer_start(me->loop, t, me->sent % 3 ? 0 : 10, send_burst);
}

/* ---- connections ---- */

static size_t echo_bytes(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    buf_add_bytes(conn_out(c), in);
    return in.len;
}

static void no_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
}

static const struct conn_events echo_events = { .on_bytes = echo_bytes, .on_close = no_close };

static void client_open(void *ctx, struct conn *c)
{
    (void)ctx;
    buf_add(conn_out(c), "ping", 4);
}

static size_t client_bytes(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    if (in.len < 4)
        return 0;
    conn_close(c, true);
    return in.len;
}

static void client_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct worker *me = ctx;
    (void)c;
    me->wrong += why != NULL;
    if (++me->conns_done == CONNS)
        one_finished();
}

static const struct conn_events client_events = {
    .on_bytes = client_bytes, .on_close = client_close, .on_open = client_open
};

static void *run(void *ctx)
{
    struct worker *me = ctx;
    timer_start(me->loop, &me->timer, 0, send_burst);
    loop_run(me->loop);
    return NULL;
}

static void letters_and_connections_travel_between_loops(void **state)
{
    struct fault why;
    struct conn *c;
    (void)state;
    loops_open();
    for (unsigned i = 0; i < LOOPS; i++) {
        workers[i].index = i;
        workers[i].loop = loops[i];
        loop_set_user(loops[i], &workers[i]);
    }
    struct listener *l = loops_listen(&echo_events);
    for (int i = 0; i < CONNS; i++)
        ok(conn_dial(&c, workers[0].loop, "127.0.0.1", listener_port(l), &client_events, &workers[0], &why),
           &why);
    loops_run(run, workers, sizeof workers[0]);
    for (int i = 0; i < LOOPS; i++) {
        assert_int_equal(workers[i].wrong, 0);
        for (int from = 0; from < LOOPS; from++)
            assert_int_equal(workers[i].received[from], EACH);
    }
    assert_int_equal(workers[0].conns_done, CONNS);
}

/* One that always sleeps between two letters: a lost wake-up would hang here. */
static _Atomic unsigned pings;

struct ball {
    struct letter letter;
    struct loop  *other;
};

static void hit(struct letter *l, struct loop *here)
{
    struct ball *b = (struct ball *)(void *)l;
    struct loop *to = b->other;
    if (atomic_fetch_add(&pings, 1) >= 20000) {
        loop_stop(here);
        loop_stop(to);
        return;
    }
    b->other = here;
    loop_post(to, l);
}

static void *just_run(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void no_wake_up_is_lost(void **state)
{
    struct fault why;
    struct loop *a, *b;
    pthread_t ta, tb;
    (void)state;
    ok(loop_open_uv(&a, &why), &why);
    ok(loop_open_uv(&b, &why), &why);
    struct ball ball = { { NULL, hit }, b };
    assert_int_equal(pthread_create(&ta, NULL, just_run, a), 0);
    assert_int_equal(pthread_create(&tb, NULL, just_run, b), 0);
    loop_post(a, &ball.letter);
    assert_int_equal(pthread_join(ta, NULL), 0);
    assert_int_equal(pthread_join(tb, NULL), 0);
    assert_true(atomic_load(&pings) > 20000);
    loop_close(a);
    loop_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_and_connections_travel_between_loops),
        cmocka_unit_test(no_wake_up_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
