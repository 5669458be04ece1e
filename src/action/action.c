/* action.c - takes events, asks the guard, tries, tries again, says what came of it. All on the actions' own loop. */
#include "action/action_private.h"
#include "action/fill.h"

#include "base/log.h"
#include "base/mem.h"
#include "expr/json.h"
#include "message/message.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    ARENA_BYTES_MAX = 4 << 20,
    RETRY_FIRST_MS = 1000,
    RETRY_LAST_MS = 60000,
    LATER_MS = 1000,
    STACK_BYTES = 512 * 1024
};

static void go_on(struct action *a);

/* ---- the end of an event ---- */

static void let_go(struct action *a)
{
    message_drop(a->now.message);
    arena_clear(&a->now.arena);
    a->now = (struct attempt){0};
}

static void pass_on(struct action *a, struct bytes json)
{
    char topic[128];
    const struct io *io = a->all->io;
    struct fault why;
    (void)snprintf(topic, sizeof topic, "$actions/%s", a->plan->name);
    struct message *m = message_new(&(struct message_parts){.qos = 1,
                                                            .text = true,
                                                            .wall_us = io->wall_us(io->self),
                                                            .now_us = io->monotonic_us(io->self),
                                                            .topic = bytes_str(topic),
                                                            .principal = bytes_str("node"),
                                                            .source = bytes_str(a->plan->name),
                                                            .payload = json});
    struct consumer_word w = {.message = m};
    if (m && consumer_publish(a->consumer, &w, 1, &why) != CODE_OK)
        log_debug("action", "what action %s did could not be published: %s", a->plan->name, why.text);
    message_drop(m);
}

static void account(struct action *a, const char *result, const char *said)
{
    struct buf what = {0}, json = {0};
    const struct io *io = a->all->io;
    a->plan->kind->describe(a->plan, &a->now, &what);
    buf_u8(&what, 0);
    int64_t took = io->wall_us(io->self) - a->now.message->wall_us;
    struct audit_line line = {.action = a->plan->name,
                              .event = a->now.id,
                              .what = what.bad ? a->plan->kind->name : (const char *)what.at,
                              .result = result,
                              .said = said,
                              .took_us = took > 0 ? took : 0,
                              .tries = a->now.tries,
                              .message = a->now.message->payload};
    audit_write(a->all->audit, &line, &json);
    atomic_store(&a->last_us, line.took_us);
    if (!json.bad)
        pass_on(a, buf_bytes(&json));
    buf_clear(&what);
    buf_clear(&json);
}

/* It is done with. Should that not be recorded, it comes again after a crash, and after nothing else. */
static void finish(struct action *a, _Atomic uint64_t *counter, const char *result, const char *said)
{
    struct fault why;
    atomic_fetch_add(counter, 1);
    account(a, result, said);
    if (consumer_finish(a->consumer, a->now.index + 1, BYTES_NONE, NULL, &why) != CODE_OK)
        log_warn("action", "FG6312 action %s: that it was done could not be recorded: %s", a->plan->name,
                 why.text);
    atomic_store(&a->waiting, consumer_waiting(a->consumer));
    let_go(a);
}

static void try_again(struct timer *t)
{
    struct action *a = (struct action *)(void *)((char *)t - offsetof(struct action, timer));
    a->now.tries++;
    a->under_way = true;
    a->plan->kind->begin(a);
}

void action_tried(struct action *a, enum action_result result, const char *said)
{
    a->under_way = false;
    if (result == ACTION_GOOD) {
        finish(a, &a->good, "good", said);
    } else if (result == ACTION_HOPELESS || a->now.tries > a->plan->retry) {
        finish(a, &a->failed, "failed", said);
    } else {
        int64_t wait = RETRY_LAST_MS;
        if (a->now.tries < 7)
            wait = (int64_t)RETRY_FIRST_MS << (a->now.tries - 1);
        atomic_fetch_add(&a->retries, 1);
        log_warn("action", "FG6313 action %s: try %" PRIu32 " failed: %s; again in %d s", a->plan->name,
                 a->now.tries, said, (int)((wait < RETRY_LAST_MS ? wait : RETRY_LAST_MS) / 1000));
        timer_start(a->all->loop, &a->timer, wait < RETRY_LAST_MS ? wait : RETRY_LAST_MS, try_again);
        return;
    }
    atomic_store(&a->due, true); /* there may be more; from the loop, so that nothing recurses */
    if (!atomic_exchange(&a->all->rung, true))
        loop_post(a->all->loop, &a->all->bell);
}

/* ---- an event ---- */

static void begin(struct action *a, const struct consumer_item *item)
{
    struct fault why;
    a->now = (struct attempt){.index = item->index,
                              .message = item->message,
                              .event = value_null(),
                              .open = true,
                              .begun_us = loop_now_us(a->all->loop)};
    arena_init(&a->now.arena, NULL, 0, ARENA_BYTES_MAX);
    (void)snprintf(a->now.id, sizeof a->now.id, "%s-%" PRIu64, a->plan->name, item->index);
    if (json_value(item->message->payload, &a->now.arena, &a->now.event, &why) != CODE_OK)
        a->now.event = value_null();
    enum guard_verdict v = guard_ask(&a->plan->at_least, &a->seen, &a->plan->at_most, &a->done,
                                     item->message->wall_us);
    if (v != GUARD_GO) {
        finish(a, &a->held_back, "held back", v == GUARD_TOO_FEW ? "guard.at-least" : "guard.at-most");
    } else if (a->plan->dry_run) {
        finish(a, &a->dry, "dry run", "");
    } else {
        a->now.tries = 1;
        a->under_way = true;
        a->plan->kind->begin(a);
    }
}

static void later(struct timer *t)
{
    go_on((struct action *)(void *)((char *)t - offsetof(struct action, timer)));
}

/* The next events, until one is under way or there are no more. */
static void go_on(struct action *a)
{
    while (!a->now.open && !atomic_load(&a->all->closing)) {
        struct consumer_item item;
        struct fault why;
        size_t n;
        atomic_store(&a->due, false);
        enum code c = consumer_take(a->consumer, a->position, &item, 1, &n, &why);
        if (c != CODE_OK) {
            log_warn("action", "FG6314 action %s: its next event cannot be read: %s", a->plan->name,
                     why.text);
            timer_start(a->all->loop, &a->timer, LATER_MS, later);
            return;
        }
        if (n == 0)
            return;
        a->position = item.index + 1;
        if (item.message)
            begin(a, &item);
    }
}

static void open_bell(struct letter *letter, struct loop *here)
{
    struct actions *all = (struct actions *)(void *)((char *)letter - offsetof(struct actions, bell));
    (void)here;
    atomic_store(&all->rung, false);
    pthread_mutex_lock(&all->lock);
    for (struct action *a = all->first; a; a = a->next)
        if (atomic_load(&a->due) && !a->now.open && !timer_running(&a->timer))
            go_on(a);
    pthread_mutex_unlock(&all->lock);
}

static void ready(void *ctx)
{
    struct action *a = ctx;
    atomic_store(&a->due, true);
    if (!atomic_exchange(&a->all->rung, true))
        loop_post(a->all->loop, &a->all->bell);
}

/* ---- one action ---- */

static void consumer_name(const char *action, char out[80])
{
    (void)snprintf(out, 80, "action/%s", action);
}

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

static enum code start(struct actions *all, struct action_plan *plan, struct action **out, struct fault *why)
{
    char name[80];
    struct action *a = mem_zalloc(1, sizeof *a);
    if (!a)
        return FAIL(why, CODE_NOMEM, 0, "no memory for action %s", plan->name);
    a->all = all;
    a->plan = plan;
    consumer_name(plan->name, name);
    struct consumer_options o = {.name = name, .ready = ready, .ctx = a};
    struct consumer_filter filter = {plan->topic, 1};
    enum code c = guard_init(&a->seen, &plan->at_least) == CODE_OK &&
                          guard_init(&a->done, &plan->at_most) == CODE_OK
                      ? CODE_OK
                      : FAIL(why, CODE_NOMEM, 0, "no memory for action %s", plan->name);
    if (c == CODE_OK)
        c = consumer_open(&a->consumer, all->broker, &o, why);
    if (c == CODE_OK)
        c = consumer_subscribe(a->consumer, &filter, 1, why);
    if (c != CODE_OK) {
        a->plan = NULL;
        action_free(a);
        return c;
    }
    a->position = consumer_head(a->consumer);
    log_info("action", "FG6302 action %s: %s for each event of %.*s", plan->name, plan->kind->name,
             BYTES_FMT(plan->topic));
    *out = a;
    return CODE_OK;
}

/* ---- on the loop, for who changes something ---- */

struct errand {
    struct letter letter;
    struct actions *all;
    struct action *action;
    void (*run)(struct errand *);
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
};

static void open_errand(struct letter *letter, struct loop *here)
{
    struct errand *e = (struct errand *)letter;
    (void)here;
    e->run(e);
    pthread_mutex_lock(&e->lock);
    e->done = true;
    (void)pthread_cond_signal(&e->cond);
    pthread_mutex_unlock(&e->lock);
}

static void run_there(struct actions *all, struct action *a, void (*run)(struct errand *))
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
}

static void enter_list(struct errand *e)
{
    struct action **end = &e->all->first;
    pthread_mutex_lock(&e->all->lock);
    while (*end)
        end = &(*end)->next;
    *end = e->action;
    pthread_mutex_unlock(&e->all->lock);
    go_on(e->action);
}

/* What is under way is broken off: it has not been recorded as done, and comes again. */
static void leave_list(struct errand *e)
{
    struct action *a = e->action;
    pthread_mutex_lock(&e->all->lock);
    for (struct action **at = &e->all->first; *at; at = &(*at)->next)
        if (*at == a) {
            *at = a->next;
            break;
        }
    pthread_mutex_unlock(&e->all->lock);
    timer_stop(e->all->loop, &a->timer);
    if (a->under_way) {
        a->under_way = false;
        a->plan->kind->cancel(a);
    }
    if (a->now.open)
        let_go(a);
}

/* ---- all ---- */

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
    enum code c = audit_open(&all->audit, io, data_dir, why);
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
    mem_free(all);
    return c;
}

static void stop(struct actions *all, struct action *a)
{
    run_there(all, a, leave_list);
    while (a->process) { /* killed: its end comes at once */
        struct action *same = a;
        run_there(all, same, leave_list);
    }
}

static void end_action(struct actions *all, struct action *a)
{
    struct fault why;
    stop(all, a);
    if (consumer_end(a->consumer, &why) != CODE_OK)
        log_warn("action", "FG6303 action %s has ended, but that could not be recorded: %s", a->plan->name,
                 why.text);
    else
        log_info("action", "FG6304 action %s has ended; what waited for it is gone", a->plan->name);
    a->consumer = NULL;
    action_free(a);
}

/* Its place among the plans, or n. */
static size_t plan_of(struct action_plan *const *plans, size_t n, const char *name)
{
    size_t i = 0;
    while (i < n && !(plans[i] && strcmp(plans[i]->name, name) == 0))
        i++;
    return i;
}

static enum code begin_one(struct actions *all, struct action_plan *plan, struct fault *why)
{
    struct action *a = NULL;
    enum code c = start(all, plan, &a, why);
    if (c == CODE_OK)
        run_there(all, a, enter_list);
    else
        action_plan_free(plan);
    return c;
}

enum code actions_apply(struct actions *all, struct action_plan **plans, size_t n, struct fault *why)
{
    enum code c = CODE_OK;
    for (struct action *a = all->first, *next; a; a = next) { /* only this thread changes the list */
        next = a->next;
        size_t at = plan_of(plans, n, a->plan->name);
        if (at == n) {
            end_action(all, a);
        } else if (plans[at]->mark == a->plan->mark) {
            action_plan_free(plans[at]);
            plans[at] = NULL;
        } else {
            stop(all, a); /* begun with its new plan below */
            action_free(a);
        }
    }
    for (size_t i = 0; i < n; i++) {
        enum code one = plans[i] ? begin_one(all, plans[i], why) : CODE_OK;
        c = one == CODE_OK ? c : one;
        plans[i] = NULL;
    }
    return c;
}

void actions_close(struct actions *all)
{
    if (!all)
        return;
    atomic_store(&all->closing, true);
    while (all->first) {
        struct action *a = all->first;
        stop(all, a);
        action_free(a);
    }
    loop_stop(all->loop);
    (void)pthread_join(all->thread, NULL);
    loop_close(all->loop);
    audit_close(all->audit);
    (void)pthread_mutex_destroy(&all->lock);
    mem_free(all);
}

void actions_glance(struct actions *all, void (*each)(void *ctx, const struct action_glance *), void *ctx)
{
    pthread_mutex_lock(&all->lock);
    for (struct action *a = all->first; a; a = a->next) {
        struct action_glance g = {.name = a->plan->name,
                                  .waiting = a->waiting,
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
