/* node_heap.c - memory of a burst goes back to the system.
 *
 * The heap gives back by itself only what is free at its end. A storm of connections leaves holes instead: with TLS some
 * 40 KiB for each connection there was at once. When much more lies idle than is in use, a thread of the pool gives it back.
 */
#include "node/node_private.h"

#include "base/mem.h"

enum { LOOK_MS = 10000, IDLE_LEAST = 8 * 1024 * 1024 };

static void give_back(struct pool_job *job)
{
    (void)job;
    mem_give_back();
}

static void given_back(struct pool_job *job, struct loop *here)
{
    struct node *n = (struct node *)(void *)((char *)job - offsetof(struct node, heap_job));
    (void)here;
    n->heap_busy = false;
}

static void look(struct timer *t)
{
    struct node *n = (struct node *)(void *)((char *)t - offsetof(struct node, heap_timer));
    uint64_t idle = mem_idle();
    timer_start(n->loops[0], t, LOOK_MS, look);
    if (n->heap_busy || idle < IDLE_LEAST || idle < mem_in_use())
        return;
    n->heap_job = (struct pool_job){ .work = give_back, .done = given_back };
    n->heap_busy = pool_submit(n->loops[0], &n->heap_job) == CODE_OK; /* else the next look tries again */
}

void heap_watch(struct node *n)
{
    timer_start(n->loops[0], &n->heap_timer, LOOK_MS, look);
}

void heap_end(struct node *n)
{
    timer_stop(n->loops[0], &n->heap_timer);
}
