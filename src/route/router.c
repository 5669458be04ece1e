/* router.c - the router's life: its thread, and how one table follows another. */
#include "route/router_private.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "message/message.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum {
    LANE_PREFIX = sizeof "route/$upstream/" - 1,
    WAIT_MS = 500,
    IDLE_MS = 1000,
    NOTHING_MS = 60000,
    STALE_MS = 200,
    FILTERS_MAX = 4096,
    ORPHANS_MAX = 256
};
#define DRAIN_US INT64_C(2000000)

static int64_t now_of(const struct router *r)
{
    return r->o.io->monotonic_us(r->o.io->self);
}

/* ---- sleeping ---- */

void router_wake(void *ctx)
{
    struct router *r = ctx;
    pthread_mutex_lock(&r->sleep_lock);
    r->due = true;
    (void)pthread_cond_broadcast(&r->wake);
    pthread_mutex_unlock(&r->sleep_lock);
}

/* Sleep lock held: until something is due, at most so long. */
static void wait_due(struct router *r, int ms)
{
    int64_t end = now_of(r) + (int64_t)ms * 1000;
    struct timespec until = {.tv_sec = end / 1000000, .tv_nsec = end % 1000000 * 1000};
    while (!r->stop && !r->due && pthread_cond_timedwait(&r->wake, &r->sleep_lock, &until) == 0)
        ;
    r->due = false;
}

/* ---- steps ---- */

/* Locked. */
static bool step(struct router *r)
{
    bool more = false;
    int64_t now = now_of(r);
    for (struct runner *s = r->runners; s; s = s->next)
        more = runner_step(s, now) || more;
    if (now - r->swept_us >= 1000000) {
        r->swept_us = now;
        for (uint32_t i = 0; i < LANES; i++)
            lane_sweep(&r->lanes[i]);
    }
    view_make(r, false);
    return more;
}

bool router_step(struct router *r)
{
    pthread_mutex_lock(&r->lock);
    bool more = step(r);
    pthread_mutex_unlock(&r->lock);
    return more;
}

static bool stopping(struct router *r)
{
    pthread_mutex_lock(&r->sleep_lock);
    bool stop = r->stop;
    pthread_mutex_unlock(&r->sleep_lock);
    return stop;
}

/* How long nothing needs to be done that nobody wakes us for. */
static int idle_ms(struct router *r)
{
    int ms = NOTHING_MS;
    pthread_mutex_lock(&r->lock);
    ms = r->view.stale ? STALE_MS : ms;
    for (uint32_t i = 0; i < LANES; i++)
        ms = r->lanes[i].queue && ms > IDLE_MS ? IDLE_MS : ms;
    for (struct runner *s = r->runners; s; s = s->next) {
        int most = s->blocked.text[0] ? WAIT_MS : IDLE_MS;
        ms = ms < most ? ms : most;
    }
    pthread_mutex_unlock(&r->lock);
    return ms;
}

static void *run_router(void *ctx)
{
    struct router *r = ctx;
    while (!stopping(r)) {
        if (router_step(r))
            continue;
        int ms = idle_ms(r);
        pthread_mutex_lock(&r->sleep_lock);
        wait_due(r, ms);
        pthread_mutex_unlock(&r->sleep_lock);
    }
    return NULL;
}

/* Locked. Words that are on their way come to their end: loops run, or there is none. */
static void let_rest(struct router *r)
{
    for (struct runner *s = r->runners; s; s = s->next) {
        pthread_mutex_lock(&r->sleep_lock);
        while (atomic_load(&s->posted) && !r->o.manual)
            wait_due(r, WAIT_MS);
        pthread_mutex_unlock(&r->sleep_lock);
        FG_ASSERT(!atomic_load(&s->posted)); /* who steps by hand has let the loops run */
        (void)runner_step(s, now_of(r));     /* held: takes the results, and no more */
    }
}

/* Locked. What has come so far goes by the routes that held, as far as their sinks take it now. */
static void drain(struct router *r)
{
    int64_t end = now_of(r) + DRAIN_US;
    bool busy = true;
    while (busy && now_of(r) < end) {
        busy = step(r);
        for (struct runner *s = r->runners; s; s = s->next) {
            pthread_mutex_lock(&r->sleep_lock);
            while (atomic_load(&s->posted))
                wait_due(r, WAIT_MS);
            pthread_mutex_unlock(&r->sleep_lock);
            busy = busy || (s->word_count && !atomic_load(&s->posted));
        }
    }
}

/* ---- names ---- */

static void runner_name(const struct route_target *t, char out[NAME_BYTES + 1])
{
    if (t->name.len < 150)
        (void)snprintf(out, NAME_BYTES + 1, "route/>%.*s", BYTES_FMT(t->name));
    else
        (void)snprintf(out, NAME_BYTES + 1, "route/>%.*s#%016" PRIx64, 100, (const char *)t->name.at,
                       hash_partition(t->name));
}

static struct runner *find_runner(struct router *r, const char *name)
{
    for (struct runner *s = r->runners; s; s = s->next)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

struct looking {
    const char *name;
    bool there;
};

static void see(void *ctx, struct bytes name, bool open)
{
    struct looking *l = ctx;
    (void)open;
    l->there = l->there || bytes_is(name, l->name);
}

static bool session_there(struct router *r, const char *name)
{
    struct looking l = {.name = name};
    consumer_names(r->o.broker, see, &l);
    return l.there;
}

/* ---- applying: what a table needs ---- */

struct applying {
    struct router *r;
    struct route_table *table;
    const struct route *direct;
    struct runner *fresh; /* opened for it */
    struct consumer_change changes[ROUTES_MAX_COUNT * 2 + LANES];
    size_t change_count;
    struct consumer_filter *filters;
    size_t filter_count;
    struct fault *why;
};

static const struct route_target *target_named(const struct applying *a, const char *name)
{
    char own[NAME_BYTES + 1];
    for (size_t i = 0; i < a->table->target_count; i++) {
        runner_name(&a->table->targets[i], own);
        if (strcmp(own, name) == 0)
            return &a->table->targets[i];
    }
    return NULL;
}

/* The only route into $upstream, if it needs no look at its messages. A router's queue for $upstream that is there stays: what is
 * in it, or on its way to it, must not be overtaken. */
static void find_direct(struct applying *a)
{
    for (size_t i = 0; i < a->table->target_count; i++) {
        const struct route_target *t = &a->table->targets[i];
        char name[NAME_BYTES + 1];
        runner_name(t, name);
        if (t->kind == SINK_UPSTREAM && t->count == 1 && !t->routes[0]->parts.condition &&
            !session_there(a->r, name))
            a->direct = t->routes[0];
    }
}

static enum code open_runner(struct applying *a, const struct route_target *t)
{
    char name[NAME_BYTES + 1];
    runner_name(t, name);
    if ((a->direct && a->direct->target == t) || find_runner(a->r, name))
        return CODE_OK;
    struct runner *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return FAIL(a->why, CODE_NOMEM, 0, "no memory for a route");
    s->router = a->r;
    (void)snprintf(s->name, sizeof s->name, "%s", name);
    enum code c = consumer_open(&s->queue, a->r->o.broker,
                                &(struct consumer_options){.name = name, .ready = router_wake, .ctx = a->r},
                                a->why);
    if (c != CODE_OK) {
        mem_free(s);
        return c;
    }
    s->next = a->fresh;
    a->fresh = s;
    return CODE_OK;
}

static enum code open_all(struct applying *a)
{
    enum code c = CODE_OK;
    for (size_t i = 0; c == CODE_OK && i < a->table->target_count; i++)
        c = open_runner(a, &a->table->targets[i]);
    for (size_t i = 0; c == CODE_OK && i < a->table->count; i++)
        if (a->table->routes[i].target->kind == SINK_UPSTREAM)
            c = lane_open(&a->r->lanes[lane_of(a->table->routes[i].said.priority)], a->why);
    return c;
}

/* ---- applying: filters ---- */

static void add_filters(struct applying *a, const struct route *route, size_t from)
{
    for (size_t i = 0; i < route->filter_count; i++) {
        bool there = false;
        for (size_t k = from; k < a->filter_count && !there; k++)
            there = bytes_equal(a->filters[k].filter, route->filters[i]);
        uint32_t number = route == a->direct ? (uint32_t)route->said.ttl_s : 0;
        if (!there)
            a->filters[a->filter_count++] = (struct consumer_filter){route->filters[i], number};
    }
}

static void add_change(struct applying *a, struct consumer *queue, size_t from)
{
    a->changes[a->change_count++] = (struct consumer_change){queue, a->filters + from,
                                                             a->filter_count - from};
}

static void add_runners(struct applying *a, const struct runner *list)
{
    for (const struct runner *s = list; s; s = s->next) {
        const struct route_target *t = target_named(a, s->name);
        size_t from = a->filter_count;
        for (size_t i = 0; t && i < t->count; i++)
            add_filters(a, t->routes[i], from);
        add_change(a, s->queue, from);
    }
}

static enum code set_filters(struct applying *a)
{
    size_t most = 1;
    for (size_t i = 0; i < a->table->count; i++)
        most += a->table->routes[i].filter_count;
    a->filters = mem_alloc(most * sizeof *a->filters);
    if (!a->filters)
        return FAIL(a->why, CODE_NOMEM, 0, "no memory for the routes");
    add_runners(a, a->r->runners);
    add_runners(a, a->fresh);
    for (uint32_t i = 0; i < LANES; i++) {
        size_t from = a->filter_count;
        if (!a->r->lanes[i].queue)
            continue;
        if (a->direct && lane_of(a->direct->said.priority) == i)
            add_filters(a, a->direct, from);
        add_change(a, a->r->lanes[i].queue, from);
    }
    enum code c = consumer_subscribe_all(a->changes, a->change_count, a->why);
    mem_free(a->filters);
    return c;
}

/* ---- applying: what follows ---- */

uint64_t came_directly(const struct router *r, const struct route *route)
{
    return consumer_tail(r->lanes[lane_of(route->said.priority)].queue) - r->counts[route->order].came;
}

/* A route that is as it was goes on counting. */
static void carry_counts(struct applying *a)
{
    struct route_counts fresh[ROUTES_MAX_COUNT] = {{0}};
    const struct route_table *old = a->r->table;
    const struct route *direct = a->r->direct;
    if (direct)
        a->r->counts[direct->order].matched += came_directly(a->r, direct);
    for (size_t i = 0; i < a->table->count; i++)
        for (size_t k = 0; old && k < old->count; k++)
            if (strcmp(old->routes[k].name, a->table->routes[i].name) == 0 &&
                strcmp(old->routes[k].said.text, a->table->routes[i].said.text) == 0)
                fresh[i] = a->r->counts[k];
    memcpy(a->r->counts, fresh, sizeof fresh);
    if (a->direct)
        a->r->counts[a->direct->order].came = consumer_tail(
            a->r->lanes[lane_of(a->direct->said.priority)].queue);
}

static void end_queue(struct consumer *queue, const char *name)
{
    struct fault why;
    uint64_t waiting = consumer_waiting(queue);
    enum code c = consumer_end(queue, &why);
    if (c != CODE_OK)
        log_warn("route", "FG4115 no route leads to %s any more, but that could not be recorded: %s", name,
                 why.text);
    else if (waiting)
        log_warn("route",
                 "FG4116 no route leads to %s any more; %" PRIu64 " messages that waited for it are gone",
                 name, waiting);
}

/* Nobody's queues: of sinks that no route names any more. */
static void end_runners(struct applying *a)
{
    for (struct runner **at = &a->r->runners; *at;) {
        struct runner *s = *at;
        const struct route_target *t = target_named(a, s->name);
        if (t) {
            runner_begin(s, t, a->r->counts);
            at = &s->next;
            continue;
        }
        *at = s->next;
        end_queue(s->queue, s->name + 7);
        mem_free(s);
    }
}

/* Locked or before the thread. Those with messages stay, whatever the routes say: they are owed to the hub above. */
static void tidy_lanes(struct applying *a)
{
    for (uint32_t i = 0; i < LANES; i++) {
        struct lane *l = &a->r->lanes[i];
        bool used = false;
        for (size_t k = 0; k < a->table->count; k++) {
            const struct route *route = &a->table->routes[k];
            if (route->target->kind != SINK_UPSTREAM || lane_of(route->said.priority) != i)
                continue;
            used = true;
            lane_ttl(l, route->said.ttl_s);
        }
        if (l->queue && !used && !consumer_waiting(l->queue)) {
            end_queue(l->queue, "$upstream");
            l->queue = NULL;
        }
    }
}

struct orphans {
    char (*names)[NAME_BYTES + 1];
    size_t count;
};

static void see_orphan(void *ctx, struct bytes name, bool open)
{
    struct orphans *o = ctx;
    if (!open && bytes_starts(name, "route/") && name.len <= NAME_BYTES && o->count < ORPHANS_MAX)
        (void)snprintf(o->names[o->count++], NAME_BYTES + 1, "%.*s", BYTES_FMT(name));
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static uint32_t lane_named(const char *name)
{
    char own[64];
    for (uint32_t i = 0; i < LANES; i++) {
        (void)snprintf(own, sizeof own, "route/$upstream/%" PRIu32, lane_priority(i));
        if (strcmp(own, name) == 0)
            return i;
    }
    return LANES;
}

/* What the last life of the node left: lanes are opened, the others end. */
static enum code adopt(struct router *r, struct fault *why)
{
    struct orphans o = {mem_zalloc(ORPHANS_MAX, NAME_BYTES + 1), 0};
    enum code c = o.names ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for the routes");
    if (c == CODE_OK)
        consumer_names(r->o.broker, see_orphan, &o);
    for (size_t i = 0; c == CODE_OK && i < o.count; i++) {
        uint32_t lane = lane_named(o.names[i]);
        struct consumer *queue;
        if (lane < LANES)
            c = lane_open(&r->lanes[lane], why);
        else if (consumer_open(&queue, r->o.broker,
                               &(struct consumer_options){.name = o.names[i], .ready = nothing},
                               why) == CODE_OK)
            end_queue(queue, o.names[i] + 7);
    }
    mem_free(o.names);
    return c;
}

static void close_fresh(struct applying *a)
{
    for (struct runner *s; (s = a->fresh);) {
        a->fresh = s->next;
        consumer_close(s->queue);
        mem_free(s);
    }
}

/* Locked, at rest. */
static enum code apply(struct applying *a)
{
    struct router *r = a->r;
    find_direct(a);
    enum code c = open_all(a);
    if (c == CODE_OK)
        c = set_filters(a);
    if (c != CODE_OK) {
        close_fresh(a);
        return c;
    }
    carry_counts(a);
    for (struct runner *s; (s = a->fresh);) {
        a->fresh = s->next;
        s->next = r->runners;
        r->runners = s;
    }
    end_runners(a);
    struct route_table *old = r->table;
    r->table = a->table;
    r->direct = a->direct;
    a->table = old;
    view_make(r, true); /* before what it shows is freed */
    return CODE_OK;
}

void router_hold(struct router *r)
{
    pthread_mutex_lock(&r->lock);
    if (!r->held && r->table && !r->o.manual)
        drain(r);
    r->held = true;
    let_rest(r);
    pthread_mutex_unlock(&r->lock);
}

enum code router_apply(struct router *r, struct route_table *table, struct fault *why)
{
    struct fault own;
    struct applying *a = mem_zalloc(1, sizeof *a);
    why = why ? why : &own;
    router_hold(r);
    pthread_mutex_lock(&r->lock);
    enum code c = a ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for the routes");
    if (c == CODE_OK) {
        *a = (struct applying){.r = r, .table = table, .why = why};
        c = apply(a);
        table = a->table; /* the one before, if it went well */
    }
    if (c == CODE_OK) {
        a->table = r->table;
        c = adopt(r, why);
        tidy_lanes(a);
        view_make(r, true);
    }
    r->held = false;
    pthread_mutex_unlock(&r->lock);
    route_table_free(table);
    mem_free(a);
    router_wake(r);
    return c;
}

/* ---- life ---- */

static void locks_init(struct router *r)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&r->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&r->sleep_lock, NULL);
    (void)pthread_mutex_init(&r->lock, NULL);
    (void)pthread_mutex_init(&r->view.lock, NULL);
}

enum code router_open(struct router **out, const struct router_options *o, struct fault *why)
{
    struct router *r = mem_zalloc(1, sizeof *r);
    if (!r)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the routes");
    r->o = *o;
    r->swept_us = now_of(r);
    locks_init(r);
    for (uint32_t i = 0; i < LANES; i++)
        r->lanes[i] = (struct lane){.router = r, .priority = lane_priority(i)};
    enum code c = route_matcher_init(&r->matcher, why);
    if (c == CODE_OK && !o->manual) {
        if (pthread_create(&r->thread, NULL, run_router, r) == 0)
            r->started = true;
        else
            c = FAIL(why, CODE_NOMEM, 0, "no thread for the routes");
    }
    if (c == CODE_OK)
        *out = r;
    else
        router_close(r);
    return c;
}

void router_close(struct router *r)
{
    if (!r)
        return;
    if (r->started) {
        router_hold(r);
        pthread_mutex_lock(&r->sleep_lock);
        r->stop = true;
        (void)pthread_cond_broadcast(&r->wake);
        pthread_mutex_unlock(&r->sleep_lock);
        (void)pthread_join(r->thread, NULL);
    }
    for (struct runner *s; (s = r->runners);) {
        r->runners = s->next;
        for (size_t i = 0; i < s->word_count; i++)
            message_drop(s->words[i].message);
        consumer_close(s->queue);
        mem_free(s);
    }
    for (uint32_t i = 0; i < LANES; i++)
        lane_close(&r->lanes[i]);
    route_matcher_clear(&r->matcher);
    route_table_free(r->table);
    (void)pthread_cond_destroy(&r->wake);
    (void)pthread_mutex_destroy(&r->sleep_lock);
    (void)pthread_mutex_destroy(&r->lock);
    (void)pthread_mutex_destroy(&r->view.lock);
    mem_free(r);
}
