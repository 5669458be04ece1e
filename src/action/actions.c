/* actions.c - all actions: their loop and its thread, which ones there are, changes, the end.
 *
 * The list is changed on the loop, by errands of whoever applies or closes; he waits for each. So the loop reads it as it likes, and he
 * does while none of his errands is out. */
#include "action/action_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "opcua/pki.h"

#include <stdio.h>

enum { STACK_BYTES = 512 * 1024, NAME_BYTES = 80 };

/* ---- errands: something to be done on the loop, for a thread that waits ---- */

struct errand {
    struct letter letter;
    struct actions *all;
    struct action *action;
    bool (*run)(struct errand *); /* false: errand_done is called later */
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void errand_done(struct errand *e)
{
    pthread_mutex_lock(&e->lock);
    e->done = true;
    (void)pthread_cond_signal(&e->cond);
    pthread_mutex_unlock(&e->lock);
}

static void open_errand(struct letter *letter, struct loop *here)
{
    struct errand *e = (struct errand *)letter;
    (void)here;
    if (e->run(e))
        errand_done(e);
}

static void run_there(struct actions *all, struct action *a, bool (*run)(struct errand *))
{
    struct errand e = {.letter = {.open = open_errand},
                       .all = all,
                       .action = a,
                       .run = run,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .cond = PTHREAD_COND_INITIALIZER};
    loop_post(all->loop, &e.letter);
    pthread_mutex_lock(&e.lock);
    while (!e.done)
        (void)pthread_cond_wait(&e.cond, &e.lock);
    pthread_mutex_unlock(&e.lock);
    (void)pthread_cond_destroy(&e.cond);
    (void)pthread_mutex_destroy(&e.lock);
}

static bool enter_list(struct errand *e)
{
    struct action **end = &e->all->first;
    pthread_mutex_lock(&e->all->lock);
    while (*end)
        end = &(*end)->next;
    *end = e->action;
    pthread_mutex_unlock(&e->all->lock);
    if (e->action->plan->kind->enter)
        e->action->plan->kind->enter(e->action);
    action_go_on(e->action);
    return true;
}

/* What is under way is broken off: it has not been recorded as done, and comes again. */
static bool leave_list(struct errand *e)
{
    struct action *a = e->action;
    pthread_mutex_lock(&e->all->lock);
    for (struct action **at = &e->all->first; *at; at = &(*at)->next)
        if (*at == a) {
            *at = a->next;
            break;
        }
    pthread_mutex_unlock(&e->all->lock);
    action_break_off(a);
    if (a->plan->kind->leave)
        a->plan->kind->leave(a);
    return true;
}

static bool begin_leaving(struct errand *e)
{
    e->action->leaving = true;
    return true;
}

/* ---- waiting for what is under way ---- */

static bool busy(const struct actions *all)
{
    for (const struct action *a = all->first; a; a = a->next)
        if (a->leaving && a->under_way)
            return true;
    return false;
}

static void end_calm(struct actions *all)
{
    struct errand *e = all->calm;
    all->calm = NULL;
    timer_stop(all->loop, &all->grace);
    errand_done(e);
}

static void grace_over(struct timer *t)
{
    end_calm((struct actions *)(void *)((char *)t - offsetof(struct actions, grace)));
}

void actions_tried(struct action *a)
{
    if (a->all->calm && !busy(a->all))
        end_calm(a->all);
}

static bool begin_calm(struct errand *e)
{
    if (!busy(e->all))
        return true;
    e->all->calm = e;
    timer_start(e->all->loop, &e->all->grace, ACTION_GRACE_MS, grace_over);
    return false;
}

/* ---- one action ---- */

static void action_free(struct action *a)
{
    if (!a)
        return;
    consumer_close(a->consumer);
    guard_clear(&a->seen);
    guard_clear(&a->done);
    action_plan_free(a->plan);
    mem_free(a);
}

static void ready(void *action)
{
    action_ring(action);
}

static enum code start(struct actions *all, struct action_plan *plan, struct action **out, struct fault *why)
{
    char name[NAME_BYTES];
    struct action *a = mem_zalloc(1, sizeof *a);
    if (!a)
        return FAIL(why, CODE_NOMEM, 0, "no memory for action %s", plan->name);
    a->all = all;
    a->plan = plan;
    (void)snprintf(name, sizeof name, "action/%s", plan->name);
    struct consumer_options o = {.name = name, .ready = ready, .ctx = a};
    struct consumer_filter filter = {plan->topic, 1};
    enum code c = consumer_open(&a->consumer, all->broker, &o, why);
    if (c == CODE_OK)
        c = consumer_subscribe(a->consumer, &filter, 1, why);
    if (c == CODE_OK && !action_load_guard(a))
        c = FAIL(why, CODE_NOMEM, 0, "no memory for action %s", plan->name);
    if (c != CODE_OK) {
        a->plan = NULL; /* the caller's */
        action_free(a);
        return c;
    }
    a->position = consumer_head(a->consumer);
    log_info("action", "FG6302 action %s: %s for each event of %.*s", plan->name, plan->kind->name,
             BYTES_FMT(plan->topic));
    *out = a;
    return CODE_OK;
}

/* Our certificate and whom we trust, before the first connection: making a key takes too long for a loop. Without it only servers
 * without security can be connected to, and the others say so. */
static void need_pki(struct actions *all, const struct action_plan *plan)
{
    struct fault why;
    if (all->pki || !plan->opcua.machine.name)
        return;
    if (ua_pki_open(&all->pki, all->io, all->data_dir, NULL, &why) != CODE_OK)
        log_error("action", "FG6324 no certificate for OPC UA: %s", why.text);
}

/* Takes the plan. */
static enum code begin_one(struct actions *all, struct action_plan *plan, struct fault *why)
{
    struct action *a = NULL;
    need_pki(all, plan);
    enum code c = start(all, plan, &a, why);
    if (c == CODE_OK)
        run_there(all, a, enter_list);
    else
        action_plan_free(plan);
    return c;
}

static void stop(struct actions *all, struct action *a)
{
    run_there(all, a, leave_list);
    action_record(a);
}

static void end_consumer(struct consumer *c, const char *name)
{
    struct fault why;
    if (consumer_end(c, &why) != CODE_OK)
        log_warn("action", "FG6303 action %s has ended, but that could not be recorded: %s", name, why.text);
    else
        log_info("action", "FG6304 action %s has ended; what waited for it is gone", name);
}

/* ---- those of an earlier run that are not declared any more ---- */

struct orphans {
    char (*names)[NAME_BYTES];
    size_t count;
};

static void see_name(void *ctx, struct bytes name, bool open)
{
    struct orphans *o = ctx;
    if (!open && bytes_starts(name, "action/") && name.len < NAME_BYTES && o->count < ACTIONS_MAX)
        (void)snprintf(o->names[o->count++], NAME_BYTES, "%.*s", BYTES_FMT(name));
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static bool planned(struct action_plan *const *plans, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(plans[i]->name, name) == 0)
            return true;
    return false;
}

static void end_orphans(struct actions *all, struct action_plan *const *plans, size_t n)
{
    struct orphans o = {mem_zalloc(ACTIONS_MAX, NAME_BYTES), 0};
    if (!o.names)
        return; /* another time */
    consumer_names(all->broker, see_name, &o);
    for (size_t i = 0; i < o.count; i++) {
        const char *name = o.names[i] + strlen("action/");
        struct consumer *c;
        struct fault why;
        struct consumer_options options = {.name = o.names[i], .ready = nothing};
        if (!planned(plans, n, name) && consumer_open(&c, all->broker, &options, &why) == CODE_OK)
            end_consumer(c, name);
    }
    mem_free(o.names);
}

/* ---- all ---- */

static enum code fault_pass(struct fault *why, const struct fault *one)
{
    if (why)
        *why = *one;
    return one->code;
}

static struct action_plan *take_plan(struct action_plan **plans, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (plans[i] && strcmp(plans[i]->name, name) == 0) {
            struct action_plan *p = plans[i];
            plans[i] = NULL;
            return p;
        }
    return NULL;
}

static void let_leave(struct actions *all, struct action_plan *const *plans, size_t n)
{
    for (struct action *a = all->first; a; a = a->next) {
        bool stays = false;
        for (size_t i = 0; i < n; i++)
            stays = stays || (strcmp(plans[i]->name, a->plan->name) == 0 && plans[i]->mark == a->plan->mark);
        if (!stays)
            run_there(all, a, begin_leaving);
    }
    run_there(all, NULL, begin_calm);
}

/* `plan`: what it is from now on; NULL: it ends. */
static enum code change_one(struct actions *all, struct action *a, struct action_plan *plan, struct fault *why)
{
    stop(all, a);
    if (!plan) {
        end_consumer(a->consumer, a->plan->name);
        a->consumer = NULL;
    }
    action_free(a);
    return plan ? begin_one(all, plan, why) : CODE_OK;
}

enum code actions_apply(struct actions *all, struct action_plan **plans, size_t n, struct fault *why)
{
    enum code c = CODE_OK;
    struct action *old[ACTIONS_MAX];
    size_t count = 0;
    struct fault one;
    end_orphans(all, plans, n);
    let_leave(all, plans, n);
    for (struct action *a = all->first; a; a = a->next)
        old[count++] = a;
    for (size_t i = 0; i < count; i++) { /* those that change go to the end of the list */
        struct action_plan *p = take_plan(plans, n, old[i]->plan->name);
        if (p && p->mark == old[i]->plan->mark)
            action_plan_free(p);
        else if (change_one(all, old[i], p, &one) != CODE_OK && c == CODE_OK)
            c = fault_pass(why, &one);
    }
    for (size_t i = 0; i < n; i++) {
        if (plans[i] && begin_one(all, plans[i], &one) != CODE_OK && c == CODE_OK)
            c = fault_pass(why, &one);
        plans[i] = NULL;
    }
    return c;
}

void actions_close(struct actions *all)
{
    if (!all)
        return;
    let_leave(all, NULL, 0);
    while (all->first) {
        struct action *a = all->first;
        stop(all, a);
        action_free(a);
    }
    loop_stop(all->loop);
    (void)pthread_join(all->thread, NULL);
    loop_close(all->loop);
    ua_pki_close(all->pki);
    audit_close(all->audit);
    (void)pthread_mutex_destroy(&all->lock);
    mem_free(all->data_dir);
    mem_free(all);
}

void actions_glance(struct actions *all, void (*each)(void *ctx, const struct action_glance *), void *ctx)
{
    pthread_mutex_lock(&all->lock);
    for (struct action *a = all->first; a; a = a->next) {
        struct action_glance g = {.name = a->plan->name,
                                  .waiting = consumer_waiting(a->consumer),
                                  .done = a->good,
                                  .failed = a->failed,
                                  .held_back = a->held_back,
                                  .dry = a->dry,
                                  .retries = a->retries,
                                  .last_us = a->last_us};
        each(ctx, &g);
    }
    pthread_mutex_unlock(&all->lock);
}

/* ---- the loop ---- */

static void open_bell(struct letter *letter, struct loop *here)
{
    struct actions *all = (struct actions *)(void *)((char *)letter - offsetof(struct actions, bell));
    (void)here;
    atomic_store(&all->rung, false);
    for (struct action *a = all->first; a; a = a->next)
        if (atomic_load(&a->due))
            action_go_on(a);
}

static void *run_loop(void *loop)
{
    loop_run(loop);
    return NULL;
}

static enum code start_thread(struct actions *all, struct fault *why)
{
    pthread_attr_t attr;
    int r = pthread_attr_init(&attr);
    if (r == 0)
        r = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (r == 0)
        r = pthread_create(&all->thread, &attr, run_loop, all->loop);
    (void)pthread_attr_destroy(&attr);
    return r ? FAIL_SYS(why, CODE_IO, r, "no thread for the actions") : CODE_OK;
}

enum code actions_open(struct actions **out, struct broker *b, const struct io *io, const char *data_dir,
                       struct fault *why)
{
    struct actions *all = mem_zalloc(1, sizeof *all);
    if (!all)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the actions");
    all->broker = b;
    all->io = io;
    all->bell.open = open_bell;
    (void)pthread_mutex_init(&all->lock, NULL);
    all->data_dir = mem_strdup(data_dir);
    enum code c = all->data_dir ? audit_open(&all->audit, io, data_dir, why) : FAIL(why, CODE_NOMEM, 0, "no memory for the actions");
    if (c == CODE_OK)
        c = loop_open_uv(&all->loop, why);
    if (c == CODE_OK)
        c = start_thread(all, why);
    if (c == CODE_OK) {
        *out = all;
        return CODE_OK;
    }
    if (all->loop)
        loop_close(all->loop);
    audit_close(all->audit);
    (void)pthread_mutex_destroy(&all->lock);
    mem_free(all->data_dir);
    mem_free(all);
    return c;
}
