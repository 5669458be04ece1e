/* node_flow.c - the node's jobs: begun before the loops run, so that nobody is served whom they would not hear; changed by a reload,
 * ended before the loops. They wait for loops, so changing and ending is not done on one: the pool does it. */
#include "node/node_private.h"

#include "base/log.h"
#include "base/mem.h"

struct change {
    struct pool_job job;
    struct node    *node;
    struct fault    why;
};

static void apply(struct pool_job *job)
{
    struct change *c = (struct change *)job;
    c->why.code = CODE_OK;
    c->why.code = flow_bring_about(c->node->flow, &c->why);
}

static void tell(const struct fault *why)
{
    if (why->code != CODE_OK && why->code != CODE_CLOSED)
        log_error("job", "FG6134 not all jobs could be started: %s. A reload tries again", why->text);
}

static void applied(struct pool_job *job, struct loop *here)
{
    struct change *c = (struct change *)job;
    (void)here;
    tell(&c->why);
    mem_free(c);
}

void flow_change(struct node *n, struct flow_plan *plan)
{
    flow_declare(n->flow, n->options.settings, plan);
    struct change *c = mem_alloc(sizeof *c);
    if (c)
        *c = (struct change){ .job = { apply, applied }, .node = n };
    if (c && pool_submit(n->loops[0], &c->job) == CODE_OK)
        return;
    log_error("job", "FG6134 the jobs could not be changed: too much is waiting for a thread. A reload tries again");
    mem_free(c);
}

enum code flow_prepare_first(struct node *n, struct fault *why)
{
    return flow_plan_new(&n->first_plan, n->options.settings, n->options.io, n->data_dir, why);
}

void flow_begin(struct node *n)
{
    struct flow_plan *plan = n->first_plan;
    struct fault why = { .code = CODE_OK };
    n->first_plan = NULL;
    flow_declare(n->flow, n->options.settings, plan);
    why.code = flow_bring_about(n->flow, &why);
    tell(&why);
}

/* ---- the end ---- */

static void stop_all(struct pool_job *job)
{
    struct node *n = (struct node *)(void *)((char *)job - offsetof(struct node, flow_job));
    flow_stop(n->flow);
}

static void all_stopped(struct pool_job *job, struct loop *here)
{
    struct node *n = (struct node *)(void *)((char *)job - offsetof(struct node, flow_job));
    (void)here;
    n->flow_then(n);
}

static void try_again(struct timer *t)
{
    struct node *n = (struct node *)(void *)((char *)t - offsetof(struct node, flow_timer));
    flow_finish(n, n->flow_then);
}

void flow_finish(struct node *n, void (*then)(struct node *))
{
    n->flow_then = then;
    n->flow_job = (struct pool_job){ stop_all, all_stopped };
    if (pool_submit(n->loops[0], &n->flow_job) != CODE_OK)
        timer_start(n->loops[0], &n->flow_timer, 20, try_again);
}
