#include "net/sim.h"

#include "base/mem.h"
#include "net/sim_world.h"
#include "net/tls.h"

#include <errno.h>
#include <stdio.h>

/* Beginning of time, so that 0 can still mean "never"; and 2026-01-01T00:00:00Z. */
#define START_US 1000000
#define START_WALL_US 1767225600000000
enum { TURNS_MAX = 1000000 };

uint64_t sim_draw(struct sim *s)
{
    uint64_t z = (s->random += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* ---- the back end: the loop's half (the connections' half is in sim_conn.c) ---- */

static void read_clocks(struct loop *l)
{
    const struct sim *s = sim_loop_of(l)->sim;
    l->now_us = s->now_us;
    l->wall_us = s->wall_offset_us + s->now_us;
}

static void wake(struct loop *l)
{
    (void)l; /* sim_step looks */
}

static uint8_t *lend(struct loop *l)
{
    struct sim *s = sim_loop_of(l)->sim;
    if (!s->lent)
        s->lent = mem_alloc(NET_LENT_TURN);
    return s->lent;
}

static enum code listen_sim(struct listener **out, struct loop *l, const char *at, struct fault *why)
{
    struct sim *s = sim_loop_of(l)->sim;
    struct sim_listener *made = mem_zalloc(1, sizeof *made);
    if (!made)
        return FAIL(why, CODE_NOMEM, 0, "no memory to listen on %s", at);
    const char *colon = strrchr(at, ':');
    if (strncmp(at, "unix:", 5) == 0) {
        made->local = true;
        (void)snprintf(made->core.address, sizeof made->core.address, "%s", at);
    } else if (colon) {
        int port = 0;
        (void)sscanf(colon + 1, "%d", &port);
        made->core.port = port ? (uint16_t)port : s->next_port++;
        (void)snprintf(made->core.address, sizeof made->core.address, "%.*s:%u", (int)(colon - at), at,
                       made->core.port);
    } else {
        mem_free(made);
        return FAIL(why, CODE_USAGE, 0, "%s is not an address to listen on", at);
    }
    if (sim_find_listener(s, made->core.address)) {
        mem_free(made);
        return FAIL_FG(why, CODE_EXISTS, 1002,
                       "FG1002 %s is taken by another node. Stop it, or choose another address.", at);
    }
    made->waiting_end = &made->waiting;
    made->next = s->listeners;
    s->listeners = made;
    *out = &made->core;
    return CODE_OK;
}

static void listener_close_sim(struct listener *core)
{
    struct sim_listener *gone = (struct sim_listener *)(void *)core;
    struct sim *s = sim_loop_of(core->loop)->sim;
    for (struct sim_listener **at = &s->listeners; *at; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            break;
        }
    while (gone->waiting) {
        struct sim_end *e = gone->waiting;
        gone->waiting = e->next_waiting;
        sim_end_close(e, true);
    }
    mem_free(gone);
}

/* ---- the pool: a job is a letter to its own loop ---- */

static void open_job(struct letter *letter, struct loop *here)
{
    struct sim_job *j = (struct sim_job *)letter;
    struct pool_job *job = j->job;
    mem_free(j);
    job->work(job);
    pool_done(here, job);
}

static enum code submit(struct loop *l, struct pool_job *job)
{
    struct sim *s = sim_loop_of(l)->sim;
    struct sim_job *j = mem_alloc(sizeof *j);
    if (!j)
        return CODE_NOMEM;
    *j = (struct sim_job){ .letter = { .open = open_job }, .loop = l, .job = job };
    if (s->pool_held) {
        if (!s->held_end)
            s->held_end = &s->held_jobs;
        *s->held_end = j;
        s->held_end = &j->next;
    } else {
        loop_post(l, &j->letter);
    }
    return CODE_OK;
}

/* Those of one loop, or of all. */
static void release_jobs(struct sim *s, const struct loop *of)
{
    struct sim_job **at = &s->held_jobs;
    while (*at) {
        struct sim_job *j = *at;
        if (of && j->loop != of) {
            at = &j->next;
            continue;
        }
        *at = j->next;
        loop_post(j->loop, &j->letter);
    }
    s->held_end = at;
}

void sim_pool_hold(struct sim *s, bool on)
{
    s->pool_held = on;
    if (!on)
        release_jobs(s, NULL);
}

static void close_sim(struct loop *l)
{
    struct sim_loop *me = sim_loop_of(l);
    struct sim *s = me->sim;
    release_jobs(s, l);
    loop_clear(l);
    for (struct sim_loop **at = &s->loops; *at; at = &(*at)->next)
        if (*at == me) {
            *at = me->next;
            break;
        }
    mem_free(me);
}

static void run_sim(struct loop *l);

static void accept_one(struct sim_listener *here)
{
    struct listener *core = &here->core;
    struct sim_end *e = here->waiting;
    struct net_peer peer;
    here->waiting = e->next_waiting;
    if (!here->waiting)
        here->waiting_end = &here->waiting;
    if (!sim_end_as_peer(e, here->local, &peer))
        return;
    peer.door = core->door;
    if (core->tls)
        peer.tls = tls_server_hold(core->tls);
    core->accept(core->ctx, &peer);
}

static void accept_all_sim(struct listener *core)
{
    struct sim_listener *here = (struct sim_listener *)(void *)core;
    while (here->waiting)
        accept_one(here);
}

static void share_sim(struct listener *core, bool on)
{
    (void)core;
    (void)on; /* two addresses of a simulation never overlap */
}

static const struct backend sim_backend = {
    .conn_size = sizeof(struct sim_conn),
    .read_clocks = read_clocks,
    .wake = wake,
    .run = run_sim,
    .close = close_sim,
    .lend = lend,
    .submit = submit,
    .listen = listen_sim,
    .listener_close = listener_close_sim,
    .accept_waiting = accept_all_sim,
    .share = share_sim,
    .attach = sim_conn_attach,
    .release = sim_conn_release,
    .dial = sim_conn_dial,
    .recv = sim_conn_recv,
    .send = sim_conn_send,
    .watch = sim_conn_watch,
    .detach = sim_conn_detach,
};

enum code loop_open_sim(struct loop **out, struct sim *s, struct fault *why)
{
    struct sim_loop *l = mem_zalloc(1, sizeof *l);
    if (!l)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an event loop");
    l->sim = s;
    l->ready_end = &l->ready;
    loop_init(&l->core, &sim_backend);
    struct sim_loop **at = &s->loops;
    while (*at)
        at = &(*at)->next;
    *at = l;
    *out = &l->core;
    return CODE_OK;
}

/* ---- turns ---- */

static bool accepts(const struct sim_loop *l)
{
    for (const struct listener *at = l->core.listeners; at; at = at->next)
        if (((const struct sim_listener *)(const void *)at)->waiting)
            return true;
    return false;
}

static int64_t due_us(const struct sim_loop *l)
{
    int64_t due = wheel_next_us(&l->core.wheel);
    if (l->halted)
        return INT64_MAX;
    return l->core.stopping && l->core.stop_us < due ? l->core.stop_us : due;
}

static bool has_work(const struct sim_loop *l)
{
    bool told_to_stop = !l->core.stopping && atomic_load(&l->core.stop);
    return !l->halted && (l->ready || accepts(l) || loop_busy(&l->core) || told_to_stop ||
                          due_us(l) <= l->sim->now_us);
}

static void accept_waiting(struct sim_loop *l)
{
    for (struct listener *at = l->core.listeners; at; at = at->next) {
        struct sim_listener *here = (struct sim_listener *)(void *)at;
        if (here->waiting) {
            accept_one(here);
            return; /* one a turn, and the callback may have closed any listener */
        }
    }
}

static void turn(struct sim_loop *l)
{
    struct sim_conn *c = l->ready;
    l->ready = NULL;
    l->ready_end = &l->ready;
    l->core.shakes = 0;
    loop_begin(&l->core);
    accept_waiting(l);
    while (c) {
        struct sim_conn *next = c->next_ready;
        c->queued = false;
        sim_conn_event(c);
        c = next;
    }
    (void)loop_finish(&l->core);
    if (loop_finished(&l->core))
        l->halted = true;
}

unsigned sim_step(struct sim *s)
{
    unsigned turns = 0;
    for (;;) {
        unsigned count = 0;
        for (struct sim_loop *l = s->loops; l; l = l->next)
            count += has_work(l);
        if (count == 0)
            return turns;
        uint64_t pick = count > 1 ? sim_draw(s) % count : 0;
        struct sim_loop *l = s->loops;
        while (!has_work(l) || pick--)
            l = l->next;
        turn(l);
        FG_ASSERT(++turns < TURNS_MAX); /* the simulated world does not come to rest */
    }
}

/* The clocks of loops that have no turn have to move, too: tests call them from outside. */
static void set_now(struct sim *s, int64_t now_us)
{
    s->now_us = now_us;
    for (struct sim_loop *l = s->loops; l; l = l->next)
        read_clocks(&l->core);
}

static int64_t next_due(const struct sim *s)
{
    int64_t due = INT64_MAX;
    for (const struct sim_loop *l = s->loops; l; l = l->next) {
        int64_t mine = due_us(l);
        due = mine < due ? mine : due;
    }
    return due;
}

void sim_advance(struct sim *s, int64_t us)
{
    int64_t until = s->now_us + us;
    (void)sim_step(s);
    for (int64_t due; (due = next_due(s)) <= until;) {
        set_now(s, due > s->now_us ? due : s->now_us);
        (void)sim_step(s);
    }
    set_now(s, until);
}

static void run_sim(struct loop *l)
{
    struct sim_loop *me = sim_loop_of(l);
    me->halted = false;
    for (;;) {
        (void)sim_step(me->sim);
        if (me->halted)
            return;
        int64_t due = next_due(me->sim);
        FG_ASSERT(due != INT64_MAX); /* nothing would ever happen again */
        set_now(me->sim, due);
    }
}

int64_t sim_now_us(const struct sim *s)
{
    return s->now_us;
}

void sim_set_wall(struct sim *s, int64_t wall_us)
{
    s->wall_offset_us = wall_us - s->now_us;
    set_now(s, s->now_us);
}

void sim_split_bytes(struct sim *s, bool on)
{
    s->split = on;
}

/* ---- life ---- */

enum code sim_open(struct sim **out, uint64_t seed)
{
    struct sim *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return CODE_NOMEM;
    s->world.refuse = sim_refuse;
    s->random = seed;
    s->now_us = START_US;
    s->wall_offset_us = START_WALL_US - START_US;
    s->next_port = 40000;
    s->next_client_port = 50000;
    *out = s;
    return CODE_OK;
}

void sim_close(struct sim *s)
{
    FG_ASSERT(!s->loops);
    while (s->clients)
        sim_free(s->clients);
    sim_forget_peers(s);
    mem_free(s->lent);
    mem_free(s);
}
