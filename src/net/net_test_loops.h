/* net_test_loops.h - loops in threads of their own, and a listener on the first one whose connections they get in turn. Included by
 * one test file each, after cmocka.h. */
#pragma once

#include "net/loop.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { LOOPS = 4 };

static struct loop *loops[LOOPS];

static void ok(enum code code, const struct fault *why)
{
    if (code != CODE_OK) {
        (void)fprintf(stderr, "%s\n", why->text);
        abort();
    }
}

static void loops_open(void)
{
    struct fault why;
    for (int i = 0; i < LOOPS; i++)
        ok(loop_open_uv(&loops[i], &why), &why);
}

/* Runs each in a thread, which begins with `run` and one of LOOPS things of `size` bytes at `first`, to its end; closes them. */
static void loops_run(void *(*run)(void *thing), void *first, size_t size)
{
    pthread_t threads[LOOPS];
    for (size_t i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, (char *)first + i * size), 0);
    for (int i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < LOOPS; i++)
        loop_close(loops[i]);
}

static void loops_stop(void)
{
    for (int i = 0; i < LOOPS; i++)
        loop_stop(loops[i]);
}

/* ---- connections that are accepted on one loop and live on another ---- */

struct parcel {
    struct letter             letter;
    struct net_peer           peer;
    const struct conn_events *events;
};

static void take_parcel(struct letter *l, struct loop *here)
{
    struct parcel *p = (struct parcel *)(void *)l;
    struct conn *c;
    struct fault why;
    ok(conn_open(&c, here, &p->peer, p->events, NULL, &why), &why);
    free(p);
}

static void pass_on(void *events, const struct net_peer *peer)
{
    static unsigned turn;
    struct parcel *p = calloc(1, sizeof *p);
    *p = (struct parcel){ { NULL, take_parcel }, *peer, events };
    loop_post(loops[turn++ % LOOPS], &p->letter);
}

/* Who connects is served by `events`, without a ctx. */
static struct listener *loops_listen(const struct conn_events *events)
{
    struct listener *l;
    struct fault why;
    ok(net_listen(&l, loops[0], "127.0.0.1:0", pass_on, (void *)(uintptr_t)events, &why), &why);
    return l;
}
