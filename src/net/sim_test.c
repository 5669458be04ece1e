/* sim_test.c - what tests rely on: nothing happens by itself, everything happens again in the same way. */
#include "net/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void ok(enum code code, const struct fault *why)
{
    if (code != CODE_OK)
        fail_msg("%s: %s", code_name(code), why->text);
}

/* ---- a node that answers each byte with itself, and notes what happens ---- */

struct node {
    struct sim      *sim;
    struct loop     *loop;
    struct listener *listener;
    struct conn     *conn;
    struct timer     timer;
    struct buf       log;
    struct net_peer  peer;
    unsigned         drains, closes, ticks;
    bool             refuse, keep;
};

static size_t node_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct node *n = ctx;
    buf_printf(&n->log, "%lld: %.*s;", (long long)loop_now_us(n->loop), BYTES_FMT(in));
    buf_add_bytes(conn_out(c), in);
    return in.len;
}

static void node_drained(void *ctx, struct conn *c)
{
    (void)c;
    ((struct node *)ctx)->drains++;
}

static void node_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct node *n = ctx;
    (void)c;
    n->closes++;
    n->conn = NULL;
    buf_printf(&n->log, "closed %s;", why ? code_name(why->code) : "by us");
}

static const struct conn_events node_events = {
    .on_bytes = node_bytes, .on_drained = node_drained, .on_close = node_close
};

static void node_accept(void *ctx, const struct net_peer *peer)
{
    struct node *n = ctx;
    struct fault why;
    n->peer = *peer;
    if (n->refuse)
        net_peer_refuse(peer);
    else if (!n->keep)
        ok(conn_open(&n->conn, n->loop, peer, &node_events, n, &why), &why);
}

static void node_open(struct node *n, struct sim *s, const char *at)
{
    struct fault why;
    memset(n, 0, sizeof *n);
    n->sim = s;
    ok(loop_open_sim(&n->loop, s, &why), &why);
    ok(net_listen(&n->listener, n->loop, at, node_accept, n, &why), &why);
}

static void node_shut(struct node *n)
{
    loop_close(n->loop);
    buf_clear(&n->log);
}

static const char *log_of(struct node *n)
{
    buf_u8(&n->log, 0);
    n->log.len--;
    return (const char *)n->log.at;
}

/* ---- clients ---- */

static void a_client_is_answered_only_when_the_test_steps(void **state)
{
    struct sim *s;
    struct node n;
    (void)state;
    assert_int_equal(sim_open(&s, 1), CODE_OK);
    node_open(&n, s, "127.0.0.1:1883");
    assert_null(sim_connect(s, "127.0.0.1:1884"));
    struct sim_client *c = sim_connect(s, "127.0.0.1:1883");
    sim_send(c, BYTES_LIT("hello"));
    assert_null(n.conn);
    assert_true(sim_step(s) > 0);
    assert_int_equal(sim_step(s), 0);
    assert_true(bytes_is(sim_received(c), "hello"));
    sim_take(c, 2);
    assert_true(bytes_is(sim_received(c), "llo"));
    assert_true(n.peer.loopback && n.peer.uid == UINT32_MAX);
    assert_string_equal(conn_address(n.conn), n.peer.address);
    assert_false(sim_closed(c));
    sim_hang_up(c, false);
    sim_step(s);
    assert_int_equal(n.closes, 1);
    assert_true(sim_closed(c));
    assert_non_null(strstr(log_of(&n), "closed CLOSED"));
    sim_free(c);
    node_shut(&n);
    sim_close(s);
}

static void a_reset_comes_behind_the_bytes(void **state)
{
    struct sim *s;
    struct node n;
    (void)state;
    assert_int_equal(sim_open(&s, 1), CODE_OK);
    node_open(&n, s, "127.0.0.1:1883");
    struct sim_client *c = sim_connect(s, "127.0.0.1:1883");
    sim_send(c, BYTES_LIT("x"));
    sim_hang_up(c, true);
    sim_step(s);
    assert_int_equal(n.closes, 1);
    assert_non_null(strstr(log_of(&n), ": x;closed IO"));
    node_shut(&n);
    sim_close(s); /* frees the client */
}

static void a_stalled_client_makes_back_pressure(void **state)
{
    struct sim *s;
    struct node n;
    static char much[3000000];
    (void)state;
    assert_int_equal(sim_open(&s, 1), CODE_OK);
    node_open(&n, s, "127.0.0.1:1883");
    struct sim_client *c = sim_connect(s, "127.0.0.1:1883");
    sim_stall(c, 1000);
    sim_step(s);
    buf_add(conn_out(n.conn), much, sizeof much);
    sim_step(s);
    assert_int_equal(sim_received(c).len, 1000);
    assert_int_equal(conn_unsent(n.conn), sizeof much - 1000);
    int64_t since = conn_progress_us(n.conn);
    sim_advance(s, 5000000);
    assert_true(conn_progress_us(n.conn) == since);
    sim_take(c, 400);
    sim_step(s);
    assert_int_equal(sim_received(c).len, 1000);
    assert_true(conn_progress_us(n.conn) == since + 5000000);
    assert_int_equal(n.drains, 0);
    sim_stall(c, SIZE_MAX);
    sim_step(s);
    assert_int_equal(sim_received(c).len, sizeof much - 400);
    assert_int_equal(n.drains, 1);
    sim_take(c, sizeof much - 400);
    node_shut(&n);
    assert_true(sim_closed(c));
    sim_close(s);
}

static void a_client_has_the_address_and_the_user_it_is_given(void **state)
{
    struct sim *s;
    struct node n, u;
    (void)state;
    assert_int_equal(sim_open(&s, 1), CODE_OK);
    node_open(&n, s, "0.0.0.0:1883");
    node_open(&u, s, "unix:/run/fg/api.sock");
    assert_non_null(sim_connect_from(s, "10.0.0.1:1883", "192.0.2.7:999", 5));
    assert_non_null(sim_connect_from(s, "unix:/run/fg/api.sock", NULL, 5));
    assert_null(sim_connect(s, "unix:/run/fg/other.sock"));
    sim_step(s);
    assert_string_equal(n.peer.address, "192.0.2.7:999");
    assert_false(n.peer.loopback);
    assert_true(n.peer.uid == UINT32_MAX);
    assert_string_equal(u.peer.address, "unix");
    assert_true(u.peer.loopback && u.peer.uid == 5);
    node_shut(&n);
    node_shut(&u);
    sim_close(s);
}

static void peers_may_be_refused_kept_or_left_behind(void **state)
{
    struct sim *s;
    struct node n, other;
    struct fault why;
    (void)state;
    assert_int_equal(sim_open(&s, 1), CODE_OK);
    node_open(&n, s, "127.0.0.1:1883");
    node_open(&other, s, "127.0.0.1:1884");
    n.refuse = true;
    struct sim_client *a = sim_connect(s, "127.0.0.1:1883");
    sim_step(s);
    assert_true(sim_closed(a));
    n.refuse = false;
    n.keep = true;
    struct sim_client *b = sim_connect(s, "127.0.0.1:1883");
    sim_send(b, BYTES_LIT("early"));
    sim_step(s);
    assert_false(sim_closed(b));
    /* Another loop takes it over. */
    ok(conn_open(&other.conn, other.loop, &n.peer, &node_events, &other, &why), &why);
    sim_step(s);
    assert_true(bytes_is(sim_received(b), "early"));
    struct sim_client *c = sim_connect(s, "127.0.0.1:1883"), *d;
    sim_step(s); /* kept by nobody until the end */
    d = sim_connect(s, "127.0.0.1:1883");
    node_shut(&n); /* d was never accepted */
    assert_true(sim_closed(d));
    assert_false(sim_closed(c));
    node_shut(&other);
    sim_close(s);
}

/* ---- time ---- */

static void node_tick(struct timer *t)
{
    struct node *n = (struct node *)(void *)((char *)t - offsetof(struct node, timer));
    n->ticks++;
    buf_printf(&n->log, "tick %lld;", (long long)(loop_now_us(n->loop) / 1000));
    if (n->ticks < 3)
        timer_start(n->loop, t, 1000, node_tick);
}

static void time_passes_only_when_told_and_timers_see_each_instant(void **state)
{
    struct sim *s;
    struct node a, b;
    (void)state;
    assert_int_equal(sim_open(&s, 1), CODE_OK);
    node_open(&a, s, "127.0.0.1:1");
    node_open(&b, s, "127.0.0.1:2");
    int64_t start = sim_now_us(s), wall = loop_wall_us(a.loop);
    timer_start(a.loop, &a.timer, 1000, node_tick);
    timer_start(b.loop, &b.timer, 700, node_tick);
    assert_int_equal(a.ticks, 0);
    sim_advance(s, 699000);
    assert_int_equal(b.ticks, 0);
    sim_advance(s, 1000000);
    assert_int_equal(b.ticks, 1);
    assert_int_equal(a.ticks, 1);
    assert_true(sim_now_us(s) == start + 1699000);
    assert_true(loop_now_us(a.loop) == sim_now_us(s));
    assert_true(loop_wall_us(a.loop) == wall + 1699000);
    sim_advance(s, 3600000000);
    assert_string_equal(log_of(&a), "tick 2000;tick 3000;tick 4000;");
    assert_string_equal(log_of(&b), "tick 1700;tick 2700;tick 3700;");
    sim_set_wall(s, 5);
    assert_true(loop_wall_us(b.loop) == 5);
    assert_true(loop_now_us(b.loop) == start + 1699000 + 3600000000);
    sim_set_wall(s, 1000);
    sim_advance(s, 7);
    assert_true(loop_wall_us(b.loop) == 1007);
    node_shut(&a);
    node_shut(&b);
    sim_close(s);
}

static void a_stopped_loop_gets_no_turn(void **state)
{
    struct sim *s;
    struct node n;
    (void)state;
    assert_int_equal(sim_open(&s, 1), CODE_OK);
    node_open(&n, s, "127.0.0.1:1883");
    struct sim_client *c = sim_connect(s, "127.0.0.1:1883");
    sim_stall(c, 1);
    sim_send(c, BYTES_LIT("abc"));
    sim_step(s);
    loop_stop(n.loop);
    sim_step(s);
    assert_int_equal(sim_received(c).len, 1);
    sim_stall(c, 100);
    sim_step(s);
    assert_true(bytes_is(sim_received(c), "abc")); /* was still flushed */
    sim_send(c, BYTES_LIT("def"));
    sim_step(s);
    assert_true(bytes_is(sim_received(c), "abc"));
    node_shut(&n);
    sim_close(s);
}

static void stopping_gives_up_after_five_seconds(void **state)
{
    struct sim *s;
    struct node n;
    (void)state;
    assert_int_equal(sim_open(&s, 1), CODE_OK);
    node_open(&n, s, "127.0.0.1:1883");
    struct sim_client *c = sim_connect(s, "127.0.0.1:1883");
    sim_stall(c, 0);
    sim_send(c, BYTES_LIT("abc"));
    sim_step(s);
    int64_t start = sim_now_us(s);
    loop_stop(n.loop);
    loop_run(n.loop); /* lets the time pass by itself */
    assert_true(sim_now_us(s) - start == 5000000);
    node_shut(&n);
    sim_close(s);
}

/* ---- the same again ---- */

/* Three clients and two nodes that talk over each other's connections; returns everything that was seen. */
static char *history(uint64_t seed)
{
    struct sim *s;
    struct node a, b;
    struct sim_client *c[3];
    struct buf seen = { 0 };
    assert_int_equal(sim_open(&s, seed), CODE_OK);
    node_open(&a, s, "127.0.0.1:1883");
    node_open(&b, s, "127.0.0.1:1884");
    sim_split_bytes(s, true);
    for (int i = 0; i < 3; i++)
        c[i] = sim_connect(s, i == 1 ? "127.0.0.1:1884" : "127.0.0.1:1883");
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 3; i++)
            sim_send(c[i], BYTES_LIT("abcdefghijklmnop"));
        sim_advance(s, 12345);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(sim_received(c[i]).len, 160);
    buf_printf(&seen, "%s|%s", log_of(&a), log_of(&b));
    node_shut(&a);
    node_shut(&b);
    sim_close(s);
    char *text = strdup((char *)seen.at);
    buf_clear(&seen);
    return text;
}

static void the_same_seed_gives_the_same_history(void **state)
{
    (void)state;
    char *one = history(5), *again = history(5), *other = history(6);
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    unsigned pieces = 0;
    for (const char *at = one; *at; at++)
        pieces += *at == ';';
    assert_true(pieces > 30 + 3); /* 30 were sent */
    free(one);
    free(again);
    free(other);
}

/* Of the processor: a busy machine must not make the test fail. */
static int64_t spent_us(void)
{
    struct timespec t;
    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void opening_and_closing_takes_microseconds(void **state)
{
    (void)state;
    int64_t start = spent_us();
    for (int i = 0; i < 2000; i++) {
        struct sim *s;
        struct node n;
        assert_int_equal(sim_open(&s, 1), CODE_OK);
        node_open(&n, s, "127.0.0.1:1883");
        struct sim_client *c = sim_connect(s, "127.0.0.1:1883");
        sim_send(c, BYTES_LIT("hello"));
        sim_step(s);
        assert_int_equal(sim_received(c).len, 5);
        node_shut(&n);
        sim_close(s);
    }
    double each = (double)(spent_us() - start) / 2000;
    print_message("%.1f us for a simulation with one conversation\n", each);
    assert_true(each < 500); /* also under sanitizers */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_answered_only_when_the_test_steps),
        cmocka_unit_test(a_reset_comes_behind_the_bytes),
        cmocka_unit_test(a_stalled_client_makes_back_pressure),
        cmocka_unit_test(a_client_has_the_address_and_the_user_it_is_given),
        cmocka_unit_test(peers_may_be_refused_kept_or_left_behind),
        cmocka_unit_test(time_passes_only_when_told_and_timers_see_each_instant),
        cmocka_unit_test(a_stopped_loop_gets_no_turn),
        cmocka_unit_test(stopping_gives_up_after_five_seconds),
        cmocka_unit_test(the_same_seed_gives_the_same_history),
        cmocka_unit_test(opening_and_closing_takes_microseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
