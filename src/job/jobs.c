/* jobs.c - all jobs of a node: started, stopped, replaced, looked at. */
#include "job/job_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "journal/journal.h"

#include <errno.h>
#include <stdio.h>

enum { FORGET_MS = 5000 };

static void consumer_name(const char *job, char out[JOB_NAME_MAX + 8])
{
    (void)snprintf(out, JOB_NAME_MAX + 8, "job/%s", job);
}

/* ---- one job ---- */

static enum code set_filters(struct job *j, struct fault *why)
{
    struct consumer_filter filters[JOB_INPUTS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < j->plan->way_count; i++) {
        const struct way *w = &j->plan->ways[i];
        bool there = !w->filter.len;
        for (size_t k = 0; k < n; k++) /* two inputs of one topic */
            there = there || bytes_equal(filters[k].filter, w->filter);
        if (!there)
            filters[n++] = (struct consumer_filter){w->filter, w->number};
    }
    return consumer_subscribe(j->consumer, filters, n, why);
}

static void sleep_init(struct job *j)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&j->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&j->sleep_lock, NULL);
    (void)pthread_mutex_init(&j->lock, NULL);
    (void)pthread_mutex_init(&j->turnstile, NULL);
}

static void job_free(struct job *j)
{
    if (!j)
        return;
    FG_ASSERT(j->word_count == 0); /* all were published, or forgotten */
    consumer_close(j->consumer);
    stream_free(j->stream);
    files_close(j);
    job_plan_free(j->plan);
    mem_free(j->words);
    mem_free(j->references);
    mem_free(j->files);
    (void)pthread_cond_destroy(&j->wake);
    (void)pthread_mutex_destroy(&j->sleep_lock);
    (void)pthread_mutex_destroy(&j->lock);
    (void)pthread_mutex_destroy(&j->turnstile);
    mem_free(j);
}

static enum code open_parts(struct job *j, struct fault *why)
{
    char name[JOB_NAME_MAX + 8];
    consumer_name(j->plan->name, name);
    struct consumer_options o = {.name = name, .high = JOB_HIGH, .ready = job_wake, .ctx = j};
    enum code c = consumer_open(&j->consumer, j->jobs->broker, &o, why);
    if (c == CODE_OK)
        c = stream_new(&j->stream, j->plan->query, &(struct stream_sink){j, job_sink.row, job_sink.trouble},
                       why);
    if (c == CODE_OK)
        c = checkpoint_read(j, why);
    return c == CODE_OK ? set_filters(j, why) : c;
}

/* Takes the plan when it succeeds. */
static enum code start(struct jobs *all, struct job_plan *plan, struct fault *why)
{
    struct job *j = mem_zalloc(1, sizeof *j);
    struct reference_seen *references = mem_zalloc(query_references(plan->query) + 1, sizeof *references);
    struct file_out *files = mem_zalloc(query_outputs(plan->query) + 1, sizeof *files);
    if (!j || !references || !files) {
        mem_free(j);
        mem_free(references);
        mem_free(files);
        return FAIL(why, CODE_NOMEM, 0, "no memory for job %s", plan->name);
    }
    *j = (struct job){.jobs = all, .plan = plan, .references = references, .files = files};
    for (uint32_t i = 0; i < query_outputs(plan->query); i++)
        files[i].file = -1;
    j->checkpoint_us = j->clock_us = all->io->monotonic_us(all->io->self);
    sleep_init(j);
    enum code c = open_parts(j, why);
    if (c == CODE_OK && pthread_create(&j->thread, NULL, job_run, j) != 0)
        c = FAIL(why, CODE_NOMEM, 0, "no thread for job %s", plan->name);
    if (c != CODE_OK) {
        files_close(j);
        j->plan = NULL;
        job_free(j);
        return c;
    }
    j->started = true;
    struct job **end = &all->first;
    while (*end)
        end = &(*end)->next;
    *end = j;
    log_info("job", "FG6130 job %s runs (%s)", plan->name, plan->file);
    return CODE_OK;
}

/* So that they stop at the same time, and not one after the other. */
static void ask_to_stop(struct job *j)
{
    pthread_mutex_lock(&j->sleep_lock);
    j->stop = true;
    (void)pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->sleep_lock);
}

/* Out of the list; its thread has ended, with a checkpoint. */
static void stop(struct jobs *all, struct job *j)
{
    for (struct job **at = &all->first; *at; at = &(*at)->next)
        if (*at == j) {
            *at = j->next;
            break;
        }
    ask_to_stop(j);
    if (j->started)
        (void)pthread_join(j->thread, NULL);
}

static void end_job(struct jobs *all, struct job *j)
{
    struct fault why;
    stop(all, j);
    checkpoint_remove(j);
    enum code c = consumer_end(j->consumer, &why);
    j->consumer = NULL;
    if (c == CODE_OK)
        log_info("job", "FG6131 job %s has ended; what waited for it and what it had learned are gone",
                 j->plan->name);
    else
        log_warn("job", "FG6132 job %s has ended, but that could not be recorded: %s", j->plan->name,
                 why.text);
    job_free(j);
}

static struct job *find(struct jobs *all, const char *name)
{
    for (struct job *j = all->first; j; j = j->next)
        if (strcmp(j->plan->name, name) == 0)
            return j;
    return NULL;
}

/* ---- all ---- */

enum code jobs_open(struct jobs **out, struct broker *b, struct journal *journal, const struct io *io,
                    const char *data_dir, struct fault *why)
{
    struct jobs *all = mem_zalloc(1, sizeof *all);
    size_t n = strlen(data_dir) + sizeof "/jobs";
    char *dir = all ? mem_alloc(n) : NULL;
    if (!dir) {
        mem_free(all);
        return FAIL(why, CODE_NOMEM, 0, "no memory for jobs");
    }
    (void)snprintf(dir, n, "%s/jobs", data_dir);
    *all = (struct jobs){.broker = b, .journal = journal, .io = io, .dir = dir};
    (void)pthread_mutex_init(&all->lock, NULL);
    int e = io->mkdir(io->self, dir);
    if (e < 0 && e != -EEXIST) {
        enum code c = FAIL_SYS(why, CODE_IO, -e, "%s cannot be made", dir);
        (void)pthread_mutex_destroy(&all->lock);
        mem_free(dir);
        mem_free(all);
        return c;
    }
    *out = all;
    return CODE_OK;
}

void jobs_close(struct jobs *all)
{
    if (!all)
        return;
    for (struct job *j = all->first; j; j = j->next)
        ask_to_stop(j);
    while (all->first) {
        struct job *j = all->first;
        stop(all, j);
        job_free(j);
    }
    (void)pthread_mutex_destroy(&all->lock);
    mem_free(all->dir);
    mem_free(all);
}

/* Its place among the plans, or n. */
static size_t plan_of(struct job_plan *const *plans, size_t n, const char *name)
{
    size_t i = 0;
    while (i < n && !(plans[i] && strcmp(plans[i]->name, name) == 0))
        i++;
    return i;
}

/* Jobs of which only what waits for them is left: their settings went while the node was down. */
struct orphans {
    struct jobs *all;
    struct job_plan *const *plans; /* not of these: they are about to begin */
    size_t plan_count;
    char (*names)[JOB_NAME_MAX + 8];
    size_t count;
};

static void see_name(void *ctx, struct bytes name, bool open)
{
    struct orphans *o = ctx;
    if (open || !bytes_starts(name, "job/") || name.len >= sizeof o->names[0] || o->count == JOBS_MAX)
        return;
    char *text = o->names[o->count];
    (void)snprintf(text, sizeof o->names[0], "%.*s", BYTES_FMT(name));
    o->count += plan_of(o->plans, o->plan_count, text + 4) == o->plan_count;
}

static void nothing(void *ctx)
{
    (void)ctx;
}

static void remove_files(struct jobs *all, const char *name)
{
    struct job_plan plan = {.name = name};
    struct job j = {.jobs = all, .plan = &plan};
    checkpoint_remove(&j);
}

static void end_orphans(struct jobs *all, struct job_plan *const *plans, size_t n)
{
    struct orphans o = {all, plans, n, mem_zalloc(JOBS_MAX, sizeof o.names[0]), 0};
    if (!o.names)
        return; /* another time */
    consumer_names(all->broker, see_name, &o);
    for (size_t i = 0; i < o.count; i++) {
        struct consumer *c;
        struct fault why;
        if (consumer_open(&c, all->broker, &(struct consumer_options){.name = o.names[i], .ready = nothing},
                          &why) != CODE_OK)
            continue;
        if (consumer_end(c, &why) != CODE_OK)
            continue;
        log_info("job", "FG6131 job %s has ended; what waited for it and what it had learned are gone",
                 o.names[i] + 4);
        remove_files(all, o.names[i] + 4);
    }
    mem_free(o.names);
}

/* A job that may remember more, or less, goes on where it is. */
static bool same(const struct job_plan *a, const struct job_plan *b)
{
    return a->mark == b->mark && a->options.state_bytes == b->options.state_bytes;
}

/* Those that end, or begin again with another plan. */
static void stop_old(struct jobs *all, struct job_plan **plans, size_t n)
{
    for (struct job *j = all->first; j; j = j->next) {
        size_t at = plan_of(plans, n, j->plan->name);
        if (at == n || !same(plans[at], j->plan))
            ask_to_stop(j);
    }
    for (struct job *j = all->first, *next; j; j = next) {
        next = j->next;
        size_t at = plan_of(plans, n, j->plan->name);
        if (at == n) {
            end_job(all, j);
        } else if (same(plans[at], j->plan)) {
            job_plan_free(plans[at]);
            plans[at] = NULL;
        } else {
            stop(all, j); /* begun with its new plan afterwards */
            job_free(j);
        }
    }
}

static enum code apply(struct jobs *all, struct job_plan **plans, size_t n, struct fault *why)
{
    enum code c = CODE_OK;
    stop_old(all, plans, n);
    end_orphans(all, plans, n);
    for (size_t i = 0; i < n; i++) {
        struct fault own;
        enum code one = plans[i] ? start(all, plans[i], &own) : CODE_OK;
        if (one != CODE_OK) {
            job_plan_free(plans[i]);
            c = one;
            if (why)
                *why = own;
        }
        plans[i] = NULL;
    }
    return c;
}

enum code jobs_apply(struct jobs *all, struct job_plan **plans, size_t n, struct fault *why)
{
    pthread_mutex_lock(&all->lock);
    enum code c = apply(all, plans, n, why);
    pthread_mutex_unlock(&all->lock);
    return c;
}

struct consumer *jobs_queue(struct jobs *all, const char *name)
{
    pthread_mutex_lock(&all->lock);
    const struct job *j = find(all, name);
    struct consumer *queue = j ? j->consumer : NULL;
    pthread_mutex_unlock(&all->lock);
    return queue;
}

/* ---- looked at ---- */

static int64_t behind_us(struct job *j, uint64_t lag)
{
    const struct io *io = j->jobs->io;
    int64_t us = io->wall_us(io->self) - j->reached_us;
    return !lag ? 0 : !j->reached_us ? -1 : us > 0 ? us : 0;
}

static void tell_status(struct job *j, void (*each)(void *ctx, const struct job_status *), void *ctx)
{
    job_lock(j);
    struct job_status s = {.name = j->plan->name,
                           .state = j->state,
                           .why = j->state == JOB_RUNNING ? "" : j->why.text,
                           .lag = job_lag(j),
                           .published = consumer_published(j->consumer),
                           .checkpoints = j->checkpoints,
                           .checkpoint_bytes = j->checkpoint_bytes};
    s.behind_us = behind_us(j, s.lag);
    if (j->stream)
        stream_stats(j->stream, &s.stream);
    each(ctx, &s);
    job_unlock(j);
}

bool jobs_status(struct jobs *all, const char *name, void (*each)(void *ctx, const struct job_status *),
                 void *ctx)
{
    bool any = false;
    pthread_mutex_lock(&all->lock);
    for (struct job *j = all->first; j; j = j->next)
        if (!name || strcmp(j->plan->name, name) == 0) {
            tell_status(j, each, ctx);
            any = true;
        }
    pthread_mutex_unlock(&all->lock);
    return any;
}

bool jobs_glance(struct jobs *all, void (*each)(void *ctx, const struct job_glance *), void *ctx)
{
    if (pthread_mutex_trylock(&all->lock) != 0)
        return false;
    for (struct job *j = all->first; j; j = j->next) {
        struct job_glance g = {j->plan->name,       (enum job_state)atomic_load(&j->shown.state),
                               j->shown.lag,        j->shown.events,
                               j->shown.rows,       j->shown.dropped,
                               j->shown.state_bytes};
        each(ctx, &g);
    }
    pthread_mutex_unlock(&all->lock);
    return true;
}

bool jobs_models(struct jobs *all, const char *name,
                 bool (*each)(void *ctx, const struct stream_model_info *), void *ctx)
{
    pthread_mutex_lock(&all->lock);
    struct job *j = find(all, name);
    if (j) {
        job_lock(j);
        if (j->stream)
            stream_models(j->stream, each, ctx);
        job_unlock(j);
    }
    pthread_mutex_unlock(&all->lock);
    return j != NULL;
}

/* Between two batches: the state of a batch that waits to be published belongs to no place yet. */
static enum code forget(struct job *j, struct bytes key)
{
    struct fault why;
    if (j->word_count || j->astray)
        return CODE_AGAIN;
    if (!stream_forget(j->stream, key))
        return CODE_NOTFOUND;
    j->settle = true; /* it must not come back with the next crash */
    if (checkpoint_write(j, &why) != CODE_OK)
        job_wake(j); /* soon, then, and before the next message */
    return CODE_OK;
}

/* Until a checkpoint without it is on disk, or FORGET_MS have passed. */
static enum code wait_until_gone(struct job *j)
{
    for (int ms = 0; ms < FORGET_MS; ms += 5) {
        job_lock(j);
        bool gone = !j->settle && journal_durable(j->jobs->journal) >= j->old_until;
        job_unlock(j);
        if (gone)
            return CODE_OK;
        job_pause(j, 5);
    }
    return CODE_AGAIN;
}

enum code jobs_forget_model(struct jobs *all, const char *name, struct bytes key)
{
    pthread_mutex_lock(&all->lock);
    struct job *j = find(all, name);
    enum code c = CODE_NOTFOUND;
    if (j) {
        job_lock(j);
        c = forget(j, key);
        job_unlock(j);
        if (c == CODE_OK)
            c = wait_until_gone(j);
    }
    pthread_mutex_unlock(&all->lock);
    return c;
}

bool jobs_plans(struct jobs *all, const char *name, void (*each)(void *ctx, const struct job_plan *),
                void *ctx)
{
    bool any = false;
    pthread_mutex_lock(&all->lock);
    for (struct job *j = all->first; j; j = j->next)
        if (!name || strcmp(j->plan->name, name) == 0) {
            each(ctx, j->plan);
            any = true;
        }
    pthread_mutex_unlock(&all->lock);
    return any;
}
