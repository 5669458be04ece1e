/* node_flow.c - the node's jobs: begun before anybody is served whom they would not hear; changed by a reload,
 * ended before the loops. They wait for loops, so nothing of this is done on one: the pool does it. */
#include "node/node_private.h"

#include "base/log.h"
#include "base/mem.h"

enum { FIRST_MS = 10000 };

struct change {
    struct pool_job job;
    struct node    *node;
    const struct settings *settings; /* held */
    uint64_t        number;          /* a later one has a higher one */
    struct fault    why;
};

static void apply(struct pool_job *job)
{
    struct change *c = (struct change *)job;
    c->why.code = CODE_OK;
    c->why.code = flow_bring_about(c->node->flow, &c->why);
    struct node *n = c->node;
    pthread_mutex_lock(&n->opcua_lock); /* two changes may be under way, and the later one be here first; or the end has been */
    if (c->number > n->opcua_number) {
        n->opcua_number = c->number;
        opcua_change(n, c->settings);
    }
    pthread_mutex_unlock(&n->opcua_lock);
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
    settings_free(c->settings);
    mem_free(c);
}

void flow_change(struct node *n, struct flow_plan *plan)
{
    flow_declare(n->flow, n->options.settings, plan);
    struct change *c = mem_alloc(sizeof *c);
    if (c)
        *c = (struct change){ .job = { apply, applied }, .node = n, .settings = settings_hold(n->options.settings), .number = ++n->changes };
    if (c && pool_submit(n->loops[0], &c->job) == CODE_OK)
        return;
    if (c)
        settings_free(c->settings);
    log_error("job", "FG6134 the jobs could not be changed: too much is waiting for a thread. A reload tries again");
    mem_free(c);
}

enum code flow_prepare_first(struct node *n, struct fault *why)
{
    return flow_plan_new(&n->first_plan, n->options.settings, n->options.io, n->data_dir, why);
}

/* An action that goes on with what waited for it publishes, and that needs loops that run: so not before them, and nobody is served
 * until it is done; a journal that is full or a state that is large must not keep the door shut for long, though. */
static void first_applied(struct pool_job *job, struct loop *here)
{
    struct change *c = (struct change *)job;
    struct node *n = c->node;
    applied(job, here);
    timer_stop(n->loops[0], &n->first_timer);
    if (!atomic_load(&n->stopping))
        listen_serve(n);
}

static void serve_without(struct timer *t)
{
    struct node *n = (struct node *)(void *)((char *)t - offsetof(struct node, first_timer));
    log_warn("job", "FG6142 jobs, routes and actions are not all there after %d s; clients are served without them",
             FIRST_MS / 1000);
    listen_serve(n);
}

void flow_begin(struct node *n)
{
    struct flow_plan *plan = n->first_plan;
    n->first_plan = NULL;
    flow_declare(n->flow, n->options.settings, plan);
    struct change *c = mem_alloc(sizeof *c);
    if (c)
        *c = (struct change){ .job = { apply, first_applied }, .node = n, .settings = settings_hold(n->options.settings), .number = ++n->changes };
    if (!c || pool_submit(n->loops[0], &c->job) != CODE_OK) {
        log_error("job", "FG6134 the jobs could not be begun: no memory or no thread. A reload tries again");
        if (c)
            settings_free(c->settings);
        mem_free(c);
        listen_serve(n);
        return;
    }
    timer_start(n->loops[0], &n->first_timer, FIRST_MS, serve_without);
}

/* ---- the end ---- */

static void stop_all(struct pool_job *job)
{
    struct node *n = (struct node *)(void *)((char *)job - offsetof(struct node, flow_job));
    pthread_mutex_lock(&n->opcua_lock);
    n->opcua_number = UINT64_MAX;
    opcua_stop(n); /* first: what it still has goes through the jobs */
    pthread_mutex_unlock(&n->opcua_lock);
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
    timer_stop(n->loops[0], &n->first_timer);
    n->flow_job = (struct pool_job){ stop_all, all_stopped };
    if (pool_submit(n->loops[0], &n->flow_job) != CODE_OK)
        timer_start(n->loops[0], &n->flow_timer, 20, try_again);
}
