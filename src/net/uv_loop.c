#include "net/uv_loop.h"

#include "base/io.h"
#include "base/mem.h"

static void on_bell(uv_async_t *bell)
{
    (void)bell; /* to have left the poll is all */
}

static void on_alarm(uv_timer_t *alarm)
{
    ((struct uv_loop *)alarm->data)->alarm_us = INT64_MAX;
}

static void read_clocks(struct loop *l)
{
    int64_t now = io_system.monotonic_us(io_system.self);
    if (now > l->now_us)
        l->now_us = now;
    l->wall_us = io_system.wall_us(io_system.self);
}

static void wake(struct loop *l)
{
    (void)uv_async_send(&uv_loop_of(l)->bell);
}

static uint8_t *lend(struct loop *l)
{
    if (!l->lent)
        l->lent = mem_alloc(NET_LENT_TURN);
    return l->lent;
}

void uv_loop_breathe(struct loop *l)
{
    if (l->clock_read && io_system.monotonic_us(io_system.self) - l->now_us > UV_TURN_US)
        (void)loop_finish(l); /* what it leaves to be done, the turn after this poll does */
}

static void set_alarm(struct uv_loop *l)
{
    int64_t due = wheel_next_us(&l->core.wheel);
    if (l->core.stopping && l->core.stop_us < due)
        due = l->core.stop_us;
    if (due == l->alarm_us)
        return;
    l->alarm_us = due;
    if (due == INT64_MAX) {
        (void)uv_timer_stop(&l->alarm);
        return;
    }
    int64_t wait = due - l->core.now_us;
    /* libuv counts from its own idea of now, taken when it last polled. */
    uv_update_time(&l->uv);
    /* It repeats: uv_run fires what is due before it polls, and would then sleep without any timer. */
    (void)uv_timer_start(&l->alarm, on_alarm, wait > 0 ? (uint64_t)(wait + 999) / 1000 : 0, 1);
}

static void run(struct loop *l)
{
    struct uv_loop *u = uv_loop_of(l);
    for (;;) {
        l->shakes = 0;
        bool busy = loop_finish(l);
        if (loop_finished(l))
            return;
        if (!busy && loop_may_sleep(l)) {
            set_alarm(u);
            (void)uv_run(&u->uv, UV_RUN_ONCE);
            loop_awake(l);
        } else {
            (void)uv_run(&u->uv, UV_RUN_NOWAIT);
        }
        if (u->alarm_us == INT64_MAX)
            (void)uv_timer_stop(&u->alarm); /* it rang */
    }
}

static void close_uv(struct loop *l)
{
    struct uv_loop *u = uv_loop_of(l);
    loop_clear(l);
    uv_conn_stop_lingering(u);
    uv_process_kill_all(u);
    uv_close((uv_handle_t *)&u->bell, NULL);
    uv_close((uv_handle_t *)&u->alarm, NULL);
    (void)uv_run(&u->uv, UV_RUN_DEFAULT);
    FG_ASSERT(uv_loop_close(&u->uv) == 0);
    mem_free(l->lent);
    mem_free(u);
}

static const struct backend uv_backend = {
    .conn_size = sizeof(struct uv_conn),
    .read_clocks = read_clocks,
    .wake = wake,
    .run = run,
    .close = close_uv,
    .lend = lend,
    .submit = uv_pool_submit,
    .listen = uv_listen_open,
    .listener_close = uv_listen_close,
    .accept_waiting = uv_listen_accept_waiting,
    .share = uv_listen_share,
    .attach = uv_conn_attach,
    .release = uv_conn_release,
    .dial = uv_dial_start,
    .recv = uv_conn_recv,
    .send = uv_conn_send,
    .watch = uv_conn_watch,
    .detach = uv_conn_detach,
};

enum code loop_open_uv(struct loop **out, struct fault *why)
{
    struct uv_loop *u = mem_zalloc(1, sizeof *u);
    if (!u)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an event loop");
    int r = uv_loop_init(&u->uv);
    if (r < 0) {
        mem_free(u);
        return FAIL_SYS(why, CODE_IO, -r, "cannot make an event loop");
    }
    r = uv_async_init(&u->uv, &u->bell, on_bell);
    if (r < 0) {
        (void)uv_loop_close(&u->uv);
        mem_free(u);
        return FAIL_SYS(why, CODE_IO, -r, "cannot make an event loop");
    }
    (void)uv_timer_init(&u->uv, &u->alarm);
    u->alarm.data = u;
    u->alarm_us = INT64_MAX;
    loop_init(&u->core, &uv_backend);
    *out = &u->core;
    return CODE_OK;
}
