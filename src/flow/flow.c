#include "flow/flow_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "broker/consumer.h"
#include "mqtt/topic.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

enum { PATH_BYTES = 4096 };

struct flow {
    pthread_mutex_t lock;
    struct jobs *jobs;       /* NULL: stopped */
    struct actions *actions; /* NULL: there were never any */
    struct router *router;   /* NULL: stopped; guarded by glance_lock, too */
    pthread_mutex_t glance_lock;
    struct broker *broker;
    const struct io *io;
    char *data_dir;

    pthread_mutex_t change; /* held from reading what is declared until it is done: the last to begin has the last word */
    pthread_mutex_t declared; /* of the settings, for a moment */
    const struct settings *settings;
    struct flow_plan *checked; /* NULL: it was brought about, or overtaken by a verb */
};

/* ---- what the settings say ---- */

struct gathering {
    struct flow_plan *plan;
    const struct settings *settings;
    const struct io *io;
    const struct flow_change_of *edit; /* NULL: none */
    const struct finder *finder;       /* NULL: the first thing wrong is the end */
    const struct settings_entry *entry; /* that is being read; NULL: none */
};

enum code finder_tell(const struct finder *f, const struct settings_entry *entry, enum code c,
                      const struct fault *why)
{
    if (!f || c == CODE_OK || c == CODE_NOMEM)
        return c;
    f->found(f->ctx, entry, why);
    return CODE_OK;
}

/* What is known of a job whose query is wrong is its name. */
static enum code keep_unread(struct gathering *g, const char *name, enum code c, struct fault *why)
{
    struct flow_plan *p = g->plan;
    if (g->finder && c != CODE_OK && c != CODE_NOMEM && p->unread_count < JOBS_MAX) {
        p->unread[p->unread_count] = mem_strdup(name);
        if (!p->unread[p->unread_count])
            return FAIL(why, CODE_NOMEM, 0, "no memory for the jobs");
        p->unread_count++;
    }
    return finder_tell(g->finder, g->entry, c, why);
}

static bool is_unread(const struct flow_plan *p, const char *name)
{
    for (size_t i = 0; i < p->unread_count; i++)
        if (strcmp(p->unread[i], name) == 0)
            return true;
    return false;
}

static struct job_plan *known(const struct flow_plan *p, const char *name)
{
    for (size_t i = 0; i < p->job_count; i++)
        if (strcmp(job_plan_name(p->jobs[i]), name) == 0)
            return p->jobs[i];
    return NULL;
}

/* `sql` NULL: of the file. */
static enum code add_job(struct gathering *g, const char *path, const char *name, const struct bytes *sql,
                         const struct settings_job *said, struct fault *why)
{
    struct flow_plan *p = g->plan;
    struct job_plan **to = &p->jobs[p->job_count];
    if (known(p, name) || is_unread(p, name))
        return finder_tell(g->finder, g->entry,
                           FAIL_FG(why, CODE_EXISTS, 6119,
                                   "there are two jobs with the name %s: %s is the second one. Rename it, or remove one of"
                                   " them (fieldgate job rm %s, if it was made by `job apply`)",
                                   name, path, name),
                           why);
    if (p->job_count + p->unread_count == JOBS_MAX)
        return finder_tell(g->finder, g->entry,
                           FAIL_FG(why, CODE_LIMIT, 6119, "%s would be one more than the %d jobs that a node may have",
                                   path, JOBS_MAX),
                           why);
    enum code c = sql ? job_text_plan(to, g->settings, g->io, path, name, *sql, said, why)
                      : job_file_plan(to, g->settings, g->io, path, name, said, why);
    p->job_count += c == CODE_OK;
    return keep_unread(g, name, c, why);
}

static enum code add_file(void *ctx, const char *path, struct fault *why)
{
    char name[JOB_NAME_ROOM];
    file_job_name(path, name);
    return add_job(ctx, path, name, NULL, NULL, why);
}

static enum code add_made_file(void *ctx, const char *path, struct fault *why)
{
    struct gathering *g = ctx;
    char name[JOB_NAME_ROOM];
    file_job_name(path, name);
    return g->edit && strcmp(g->edit->name, name) == 0 ? CODE_OK : add_file(ctx, path, why);
}

static enum code add_declared(struct gathering *g, struct fault *why)
{
    const struct settings *s = g->settings;
    enum code c = CODE_OK;
    for (size_t i = 0; c == CODE_OK && i < s->job_files.count; i++)
        c = finder_tell(g->finder, NULL, files_each(g->io, s->job_files.at[i], add_file, g, why), why);
    for (size_t i = 0; c == CODE_OK && i < s->jobs.count; i++) {
        g->entry = &s->jobs.at[i].entry;
        c = add_job(g, s->jobs.at[i].sql, g->entry->name, NULL, &s->jobs.at[i], why);
    }
    g->entry = NULL;
    return c;
}

static enum code add_made(struct gathering *g, const char *data_dir, struct fault *why)
{
    char dir[PATH_BYTES], pattern[PATH_BYTES];
    struct io_stat st;
    int n = snprintf(dir, sizeof dir, "%s/jobs", data_dir), m = snprintf(pattern, sizeof pattern, "%s/jobs/*.sql", data_dir);
    if ((size_t)n >= sizeof dir || (size_t)m >= sizeof pattern)
        return FAIL(why, CODE_LIMIT, 0, "the path of the data directory is too long");
    /* Jobs that are there and cannot be read are not to be forgotten silently. */
    enum code c = CODE_OK;
    if (g->io->stat(g->io->self, dir, &st) != -ENOENT)
        c = finder_tell(g->finder, NULL, files_each(g->io, pattern, add_made_file, g, why), why);
    if (c != CODE_OK || !g->edit || !g->edit->sql)
        return c;
    char file[JOB_NAME_MAX + 5];
    (void)snprintf(file, sizeof file, "%.*s.sql", JOB_NAME_MAX, g->edit->name);
    return add_job(g, file, g->edit->name, g->edit->sql, NULL, why);
}

/* ---- actions ---- */

static bool is_filter(const char *on)
{
    return strpbrk(on, "/+#") != NULL;
}

static const char *near_output(const struct job_plan *p, const char *name, char best[64])
{
    const struct query *q = job_plan_query(p);
    const char *words[64];
    char texts[64][64];
    uint32_t n = query_outputs(q) < 64 ? query_outputs(q) : 64;
    for (uint32_t i = 0; i < n; i++) {
        (void)snprintf(texts[i], sizeof texts[i], "%.*s", BYTES_FMT(query_output(q, i)));
        words[i] = texts[i];
    }
    const char *near = suggest_word(bytes_str(name), words, n);
    if (near)
        (void)snprintf(best, 64, "%s", near);
    return near ? best : NULL;
}

static const char *near_job(const struct flow_plan *p, struct bytes name)
{
    const char *words[JOBS_MAX];
    for (size_t i = 0; i < p->job_count; i++)
        words[i] = job_plan_name(p->jobs[i]);
    return suggest_word(name, words, p->job_count);
}

/* What topic the events of `on` have. */
static enum code find_events(const struct flow_plan *p, const struct settings_action *a, struct bytes *topic,
                             struct fault *why)
{
    const char *dot = strchr(a->on, '.');
    char job[JOB_NAME_MAX + 1];
    if (is_filter(a->on)) {
        *topic = bytes_str(a->on);
        return topic_filter_valid(*topic, 1024, 32)
                   ? CODE_OK
                   : FAIL_FG(why, CODE_USAGE, 6301, "action %s: on '%.100s' is not a topic filter",
                             a->entry.name, a->on);
    }
    if (!dot || dot == a->on || (size_t)(dot - a->on) > JOB_NAME_MAX)
        return FAIL_FG(why, CODE_USAGE, 6301,
                       "action %s: on must be JOB.OUTPUT or a topic filter with a `/`, got '%.100s'",
                       a->entry.name, a->on);
    (void)snprintf(job, sizeof job, "%.*s", (int)(dot - a->on), a->on);
    if (is_unread(p, job)) { /* what it would say is not known; that it is wrong has been told */
        *topic = BYTES_LIT("$jobs");
        return CODE_OK;
    }
    struct job_plan *plan = known(p, job);
    if (!plan) {
        const char *near = near_job(p, bytes_str(job));
        return FAIL_FG(why, CODE_USAGE, 6301, "action %s: on names job '%s', there is none%s%s%s",
                       a->entry.name, job, near ? ". Did you mean '" : "", near ? near : "",
                       near ? "'?" : "");
    }
    const struct query *q = job_plan_query(plan);
    for (uint32_t i = 0; i < query_outputs(q); i++)
        if (bytes_is(query_output(q, i), dot + 1)) {
            *topic = job_plan_target(plan, i);
            return !bytes_starts(*topic, "file:") ? CODE_OK
                : FAIL_FG(why, CODE_USAGE, 6301, "action %s: output %.60s of job %s goes to a file, where no action reads it",
                          a->entry.name, dot + 1, job);
        }
    char best[64];
    const char *near = near_output(plan, dot + 1, best);
    return FAIL_FG(why, CODE_USAGE, 6301, "action %s: job %s has no output '%.60s'%s%s%s", a->entry.name, job,
                   dot + 1, near ? ". Did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static enum code add_actions(struct gathering *g, struct fault *why)
{
    const struct settings *s = g->settings;
    struct flow_plan *p = g->plan;
    enum code c = CODE_OK;
    for (size_t i = 0; c == CODE_OK && i < s->actions.count; i++) {
        struct bytes topic = BYTES_NONE;
        struct fault inner;
        c = find_events(p, &s->actions.at[i], &topic, &inner);
        if (c == CODE_OK)
            c = action_plan_new(&p->actions[p->action_count], &s->actions.at[i], topic,
                                &(struct action_servers){ s->opcua.servers.at, s->opcua.servers.count }, g->io, &inner);
        p->action_count += c == CODE_OK;
        if (c != CODE_OK && why)
            *why = inner;
        c = finder_tell(g->finder, &s->actions.at[i].entry, c, &inner);
    }
    return c;
}

/* Jobs and actions; routes are the caller's. */
static enum code gather(struct gathering *g, const char *data_dir, struct fault *why)
{
    struct flow_plan *p = g->plan;
    enum code c = add_declared(g, why);
    if (c == CODE_OK && data_dir)
        c = add_made(g, data_dir, why);
    if (c == CODE_OK)
        c = rings_refuse(p->jobs, p->job_count, g->finder, why);
    return c == CODE_OK ? add_actions(g, why) : c;
}

enum code plan_with(struct flow_plan **out, const struct settings *s, const struct io *io, const char *data_dir,
                    const struct flow_change_of *edit, struct fault *why)
{
    struct flow_plan *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the jobs");
    struct gathering g = {.plan = p, .settings = s, .io = io, .edit = edit};
    enum code c = gather(&g, data_dir, why);
    if (c == CODE_OK)
        c = flow_routes_of_settings(&p->routes, p, s, why);
    if (c == CODE_OK)
        *out = p;
    else
        flow_plan_free(p);
    return c;
}

enum code flow_check(const struct settings *s, const struct io *io, const char *data_dir,
                     void (*found)(void *ctx, const struct settings_entry *entry, const struct fault *), void *ctx,
                     struct fault *why)
{
    struct flow_plan *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the jobs");
    struct finder finder = {found, ctx};
    struct gathering g = {.plan = p, .settings = s, .io = io, .finder = &finder};
    enum code c = gather(&g, data_dir, why);
    if (c == CODE_OK)
        c = flow_routes_check(p, s, &finder, why);
    flow_plan_free(p);
    return c;
}

enum code flow_plan_new(struct flow_plan **out, const struct settings *s, const struct io *io,
                        const char *data_dir, struct fault *why)
{
    return plan_with(out, s, io, data_dir, NULL, why);
}

void flow_plan_free(struct flow_plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->job_count; i++)
        job_plan_free(p->jobs[i]);
    for (size_t i = 0; i < p->action_count; i++)
        action_plan_free(p->actions[i]);
    for (size_t i = 0; i < p->unread_count; i++)
        mem_free(p->unread[i]);
    route_table_free(p->routes);
    mem_free(p);
}

enum code flow_check_file(struct job_plan **out, const struct settings *s, const struct io *io,
                          const char *path, const char *name, struct fault *why)
{
    char own[JOB_NAME_ROOM];
    file_job_name(path, own);
    return job_file_plan(out, s, io, path, name ? name : own, NULL, why);
}

enum code flow_test_routes(const struct flow_plan *p, const struct settings *s, const char *const *texts,
                           size_t n, struct bytes from, const struct message *m,
                           void (*each)(void *ctx, const struct route_verdict *), void *ctx,
                           struct fault *why)
{
    struct route_text said[ROUTES_MAX_COUNT];
    char names[ROUTES_MAX_COUNT][24];
    struct route_table *own = NULL;
    enum code c = n <= ROUTES_MAX_COUNT
                      ? CODE_OK
                      : FAIL_FG(why, CODE_LIMIT, 4106, "more than %d routes", ROUTES_MAX_COUNT);
    for (size_t i = 0; c == CODE_OK && i < n; i++) {
        (void)snprintf(names[i], sizeof names[i], "%zu", i + 1);
        said[i] = (struct route_text){.name = names[i],
                                      .text = texts[i],
                                      .priority = ROUTE_NO_PRIORITY,
                                      .file = "argument",
                                      .line = (uint32_t)(i + 1),
                                      .column = 1,
                                      .in_place = true};
    }
    if (c == CODE_OK && n)
        c = flow_routes_plan(&own, p, s, said, n, why);
    if (c == CODE_OK)
        c = route_table_test(own ? own : p->routes, from, m, each, ctx, why);
    route_table_free(own);
    return c;
}

/* ---- what is done ---- */

/* By the router's thread, which is held while jobs are opened and closed. */
static struct consumer *job_queue(void *ctx, const char *job)
{
    const struct flow *f = ctx;
    return f->jobs ? jobs_queue(f->jobs, job) : NULL;
}

enum code flow_open(struct flow **out, struct broker *b, struct journal *journal, const struct io *io,
                    const char *data_dir, struct fault *why)
{
    struct flow *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the jobs");
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_mutex_init(&f->change, NULL);
    (void)pthread_mutex_init(&f->declared, NULL);
    f->broker = b;
    f->io = io;
    (void)pthread_mutex_init(&f->glance_lock, NULL);
    f->data_dir = mem_strdup(data_dir);
    enum code c = !f->data_dir ? FAIL(why, CODE_NOMEM, 0, "no memory for the jobs")
                               : jobs_open(&f->jobs, b, journal, io, data_dir, why);
    struct router_options o = {.broker = b, .journal = journal, .io = io, .job_queue = job_queue, .ctx = f};
    if (c == CODE_OK)
        c = router_open(&f->router, &o, why);
    if (c == CODE_OK)
        *out = f;
    else
        flow_free(f);
    return c;
}

struct jobs *flow_enter(struct flow *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->jobs)
        return f->jobs;
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

void flow_leave(struct flow *f)
{
    pthread_mutex_unlock(&f->lock);
}

bool flow_glance(struct flow *f, void (*each)(void *ctx, const struct job_glance *), void *ctx)
{
    if (pthread_mutex_trylock(&f->lock) != 0)
        return false;
    bool ok = f->jobs && jobs_glance(f->jobs, each, ctx);
    pthread_mutex_unlock(&f->lock);
    return ok;
}

bool flow_glance_actions(struct flow *f, void (*each)(void *ctx, const struct action_glance *), void *ctx)
{
    if (pthread_mutex_trylock(&f->lock) != 0)
        return false;
    if (f->actions)
        actions_glance(f->actions, each, ctx);
    pthread_mutex_unlock(&f->lock);
    return true;
}

bool flow_glance_routes(struct flow *f, void (*route)(void *ctx, const struct route_status *),
                        void (*upstream)(void *ctx, const struct upstream_status *), void *ctx)
{
    pthread_mutex_lock(&f->glance_lock);
    bool ok = f->router != NULL;
    if (ok)
        router_status(f->router, route, upstream, ctx);
    pthread_mutex_unlock(&f->glance_lock);
    return ok;
}

static void ignore_name(void *ctx, struct bytes name, bool open)
{
    bool *any = ctx;
    *any = *any || (!open && bytes_starts(name, "action/"));
}

/* Their loop and thread are there only when there are some, or were when the node last ran. */
static enum code apply_actions(struct flow *f, struct flow_plan *p, struct fault *why)
{
    bool left = false;
    consumer_names(f->broker, ignore_name, &left);
    if (!p->action_count && !left && !f->actions)
        return CODE_OK;
    enum code c = f->actions ? CODE_OK : actions_open(&f->actions, f->broker, f->io, f->data_dir, why);
    if (c != CODE_OK)
        return c;
    c = actions_apply(f->actions, p->actions, p->action_count, why);
    p->action_count = 0;
    return c;
}

/* The first thing that went wrong is what is said. */
static void note_first(enum code *c, enum code second, struct fault *why, const struct fault *own)
{
    if (second == CODE_OK || *c != CODE_OK)
        return;
    *c = second;
    if (why)
        *why = *own;
}

/* Takes the plan, also on failure. */
static enum code apply(struct flow *f, struct flow_plan *p, struct fault *why)
{
    struct jobs *jobs = flow_enter(f);
    enum code c = CODE_CLOSED;
    if (jobs) {
        struct fault own;
        enum code second;
        c = apply_actions(f, p, why); /* first: what a new job says at once is already theirs */
        router_hold(f->router);
        second = jobs_apply(jobs, p->jobs, p->job_count, &own);
        p->job_count = 0;
        note_first(&c, second, why, &own);
        second = router_apply(f->router, p->routes, &own);
        p->routes = NULL;
        note_first(&c, second, why, &own);
        flow_leave(f);
    } else {
        (void)FAIL(why, CODE_CLOSED, 0, "the node is stopping");
    }
    flow_plan_free(p);
    return c;
}

void flow_declare(struct flow *f, const struct settings *s, struct flow_plan *plan)
{
    const struct settings *now = settings_hold(s);
    pthread_mutex_lock(&f->declared);
    const struct settings *was = f->settings;
    struct flow_plan *old = f->checked;
    f->settings = now;
    f->checked = plan;
    pthread_mutex_unlock(&f->declared);
    settings_free(was);
    flow_plan_free(old);
}

static const struct settings *declared(struct flow *f, struct flow_plan **checked)
{
    pthread_mutex_lock(&f->declared);
    const struct settings *s = f->settings ? settings_hold(f->settings) : NULL;
    *checked = f->checked;
    f->checked = NULL;
    pthread_mutex_unlock(&f->declared);
    return s;
}

/* Change held. */
static enum code apply_declared(struct flow *f, const struct settings *s, struct flow_plan *checked,
                                struct fault *why)
{
    struct flow_plan *plan;
    enum code c = plan_with(&plan, s, f->io, f->data_dir, NULL, why);
    if (c == CODE_OK) {
        flow_plan_free(checked);
        return apply(f, plan, why);
    }
    return checked ? apply(f, checked, why) : c;
}

/* Change held. */
static enum code edit_and_apply(struct flow *f, const struct settings *s, const struct flow_change_of *edit,
                                struct fault *why)
{
    struct flow_plan *plan;
    enum code c = edit_allowed(s, f->io, edit->name, why);
    if (c == CODE_OK)
        c = plan_with(&plan, s, f->io, f->data_dir, edit, why);
    if (c != CODE_OK)
        return c;
    c = edit_file(f->io, f->data_dir, edit, why);
    if (c == CODE_OK)
        return apply(f, plan, why);
    flow_plan_free(plan);
    return c;
}

static enum code change(struct flow *f, const struct flow_change_of *edit, struct fault *why)
{
    enum code c = CODE_CLOSED;
    struct flow_plan *checked;
    pthread_mutex_lock(&f->change);
    const struct settings *s = declared(f, &checked);
    if (s && edit)
        c = edit_and_apply(f, s, edit, why);
    if (s && (!edit || checked)) {
        struct fault own;
        enum code first = apply_declared(f, s, checked, edit ? &own : why);
        c = edit ? c : first;
    } else if (!s) {
        (void)FAIL_FG(why, CODE_CLOSED, 8006, "the node is starting: try again");
    }
    settings_free(s);
    pthread_mutex_unlock(&f->change);
    return c;
}

enum code flow_bring_about(struct flow *f, struct fault *why)
{
    return change(f, NULL, why);
}

enum code flow_edit(struct flow *f, const char *name, const struct bytes *sql, struct fault *why)
{
    return change(f, &(struct flow_change_of){name, sql}, why);
}

void flow_stop(struct flow *f)
{
    if (!flow_enter(f))
        return;
    pthread_mutex_lock(&f->glance_lock);
    struct router *router = f->router;
    f->router = NULL;
    pthread_mutex_unlock(&f->glance_lock);
    router_close(router); /* what it would bring to jobs waits */
    jobs_close(f->jobs); /* first: what they still say waits for the actions */
    f->jobs = NULL;
    actions_close(f->actions);
    f->actions = NULL;
    flow_leave(f);
}

void flow_free(struct flow *f)
{
    if (!f)
        return;
    router_close(f->router);
    jobs_close(f->jobs);
    actions_close(f->actions);
    mem_free(f->data_dir);
    (void)pthread_mutex_destroy(&f->glance_lock);
    settings_free(f->settings);
    flow_plan_free(f->checked);
    (void)pthread_mutex_destroy(&f->lock);
    (void)pthread_mutex_destroy(&f->change);
    (void)pthread_mutex_destroy(&f->declared);
    mem_free(f);
}
