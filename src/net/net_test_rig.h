/* net_test_rig.h - the same test on real sockets and in the simulation: a loop, a listener on it, a guard
 * timer. Included by one test file each. */
#pragma once

#include "net/loop.h"
#include "net/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
    struct sim      *sim; /* NULL: real sockets */
    struct loop     *loop;
    struct listener *listener;
    const struct conn_events *events; /* of accepted connections */
    void            *ctx;
    struct conn     *accepted;
    unsigned         accepts;
    struct timer     guard;
    bool             late;
    bool             torture; /* allocations may fail */
};

static void rig_ok(enum code code, const struct fault *why)
{
    if (code != CODE_OK)
        fail_msg("%s: %s", code_name(code), why->text);
}

static void rig_accept(void *ctx, const struct net_peer *peer)
{
    struct rig *r = ctx;
    struct fault why;
    r->accepts++;
    enum code code = conn_open(&r->accepted, r->loop, peer, r->events, r->ctx, &why);
    if (!r->torture || code != CODE_NOMEM)
        rig_ok(code, &why);
}

static void rig_guard(struct timer *t)
{
    struct rig *r = (struct rig *)(void *)((char *)t - offsetof(struct rig, guard));
    r->late = true;
    loop_stop(r->loop);
}

static void rig_open(struct rig *r, bool simulated, uint64_t seed)
{
    struct fault why;
    memset(r, 0, sizeof *r);
    if (simulated) {
        assert_int_equal(sim_open(&r->sim, seed), CODE_OK);
        rig_ok(loop_open_sim(&r->loop, r->sim, &why), &why);
    } else {
        rig_ok(loop_open_uv(&r->loop, &why), &why);
    }
    rig_ok(net_listen(&r->listener, r->loop, "127.0.0.1:0", rig_accept, r, &why), &why);
}

static __attribute__((unused)) struct conn *rig_dial(struct rig *r, const struct conn_events *events,
                                                     void *ctx)
{
    struct conn *c;
    struct fault why;
    rig_ok(conn_dial(&c, r->loop, "127.0.0.1", listener_port(r->listener), events, ctx, &why), &why);
    return c;
}

/* Until somebody calls loop_stop; 20 s are too long. */
static __attribute__((unused)) void rig_run(struct rig *r)
{
    timer_start(r->loop, &r->guard, 20000, rig_guard);
    loop_run(r->loop);
    timer_stop(r->loop, &r->guard);
    assert_false(r->late);
}

static void rig_close(struct rig *r)
{
    loop_close(r->loop);
    if (r->sim)
        sim_close(r->sim);
}

/* Each test is run with *state: 0 real, 1 simulated, 2 simulated with every byte stream cut at random
 * places. */
static __attribute__((unused)) int rig_kinds[] = { 0, 1, 2 };

static __attribute__((unused)) void rig_open_kind(struct rig *r, void **state)
{
    int kind = *(int *)*state;
    rig_open(r, kind > 0, 7);
    if (kind == 2)
        sim_split_bytes(r->sim, true);
}

#define RIG_ONE(f, kind, word) { #f " (" word ")", f, NULL, NULL, &rig_kinds[kind] }
#define RIG_EACH(f) RIG_ONE(f, 0, "sockets"), RIG_ONE(f, 1, "simulated"), RIG_ONE(f, 2, "cut")
