/* shake_test.c - a crowd at the door: handshakes cost signatures, and whoever is in already must not wait for them. */
#include "base/mem.h"
#include "net/backend.h"
#include "net/filter.h"
#include "net/net_test_rig.h"

enum { CROWD = 40, MOST = 8 }; /* twice NET_SHAKES: some while events are handled, some at the end of the turn */

static struct crowd {
    struct rig   r;
    struct conn *dialled[CROWD], *inside[CROWD]; /* NULL: closed */
    unsigned     entered, opened, closes, in_turn, most, turns, leave_at;
    bool         insider, heard;
    unsigned     opened_when_heard;
} w;

/* ---- a filter whose handshake is one byte, and dear ---- */

static enum code start(struct filter *f, struct fault *why)
{
    (void)f;
    (void)why;
    return CODE_OK; /* the peer begins */
}

static enum code in(struct filter *f, struct bytes in, struct buf *up, struct fault *why)
{
    (void)why;
    if (!f->open) {
        w.in_turn++;
        w.most = w.in_turn > w.most ? w.in_turn : w.most;
        w.opened++;
        filter_opened(f);
        in = bytes_from(in, 1);
    }
    buf_add_bytes(up, in);
    return CODE_OK;
}

static void free_door(struct filter *f)
{
    mem_free(f);
}

static const struct filter_ops door_ops = { .name = "door", .start = start, .in = in, .free = free_door };

/* ---- those who come ---- */

static size_t inside_bytes(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    if (!c->top) { /* the insider */
        w.heard = true;
        w.opened_when_heard = w.opened;
    }
    return in.len;
}

static void forget(void *ctx, struct conn *c, const struct fault *why)
{
    (void)why;
    w.closes++;
    for (size_t i = 0; i < CROWD; i++)
        if (((struct conn **)ctx)[i] == c)
            ((struct conn **)ctx)[i] = NULL;
}

static const struct conn_events inside_events = { .on_bytes = inside_bytes, .on_close = forget };
static const struct conn_events dialled_events = { .on_bytes = inside_bytes, .on_close = forget };

static void accept_crowd(void *ctx, const struct net_peer *peer)
{
    struct fault why;
    struct conn *c;
    struct filter *f = mem_zalloc(1, sizeof *f);
    (void)ctx;
    f->ops = &door_ops;
    rig_ok(conn_open(&c, w.r.loop, peer, &inside_events, w.inside, &why), &why);
    w.inside[w.entered] = c;
    if (w.entered == 0)
        free_door(f); /* the insider: nothing below it */
    else
        conn_push_filter(c, f);
    if (++w.entered < CROWD)
        return;
    for (unsigned i = CROWD; i-- > 0;) /* the insider is the last */
        buf_u8(conn_out(w.dialled[i]), 'k');
}

/* Some leave and some are closed while they wait. */
static void leave(void)
{
    for (unsigned i = 1; i < CROWD; i++) {
        struct conn *c = w.inside[i];
        if (c && i % 3 == 0 && c->resumed)
            conn_close(c, i % 2);
        else if (w.dialled[i] && i % 3 == 1)
            conn_close(w.dialled[i], false);
    }
}

static void turn(void *ctx)
{
    (void)ctx;
    w.in_turn = 0;
    w.turns++;
    if (w.leave_at && w.opened >= w.leave_at) {
        w.leave_at = 0;
        leave();
    }
    bool all = w.heard;
    for (unsigned i = 1; i < CROWD; i++)
        all = all && (!w.inside[i] || w.inside[i]->top->open || w.inside[i]->state > CONN_OPEN);
    if (all && w.entered == CROWD)
        loop_stop(w.r.loop);
}

static void gather(void **state)
{
    struct fault why;
    w = (struct crowd){ 0 };
    rig_open_kind(&w.r, state);
    listener_close(w.r.listener);
    rig_ok(net_listen(&w.r.listener, w.r.loop, "127.0.0.1:0", accept_crowd, NULL, &why), &why);
    loop_set_turn(w.r.loop, turn, NULL);
    for (unsigned i = 0; i < CROWD; i++)
        w.dialled[i] = rig_dial(&w.r, &dialled_events, w.dialled);
}

static void a_crowd_at_the_door_does_not_delay_who_is_inside(void **state)
{
    gather(state);
    rig_run(&w.r);
    assert_int_equal(w.opened, CROWD - 1);
    assert_true(w.most <= MOST);
    assert_true(w.heard && w.opened_when_heard <= MOST);
    assert_int_equal(w.closes, 0);
    rig_close(&w.r);
    assert_int_equal(w.closes, 2 * CROWD);
}

static void who_waits_may_leave(void **state)
{
    gather(state);
    w.leave_at = 2;
    rig_run(&w.r);
    assert_true(w.opened < CROWD - 1);
    rig_close(&w.r);
    assert_int_equal(w.closes, 2 * CROWD);
}

/* The loop is closed while they wait. */
static void stop_soon(void *ctx)
{
    turn(ctx);
    if (w.opened)
        loop_stop(w.r.loop);
}

static void waiting_ends_with_the_loop(void **state)
{
    gather(state);
    loop_set_turn(w.r.loop, stop_soon, NULL);
    while (!w.opened)
        rig_run(&w.r);
    rig_close(&w.r);
    assert_int_equal(w.closes, 2 * CROWD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_EACH(a_crowd_at_the_door_does_not_delay_who_is_inside),
        RIG_EACH(who_waits_may_leave),
        RIG_EACH(waiting_ends_with_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
