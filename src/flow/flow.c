#include "flow/flow_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

enum { PATH_BYTES = 4096 };

struct flow {
    pthread_mutex_t lock;
    struct jobs *jobs; /* NULL: stopped */
};

/* ---- what the settings say ---- */

struct gathering {
    struct flow_plan *plan;
    const struct settings *settings;
    const struct io *io;
    const char *from; /* for messages: where the file was named */
};

static struct job_plan *known(const struct flow_plan *p, const char *name)
{
    for (size_t i = 0; i < p->job_count; i++)
        if (strcmp(job_plan_name(p->jobs[i]), name) == 0)
            return p->jobs[i];
    return NULL;
}

static enum code add_job(struct gathering *g, const char *path, const char *name,
                         const struct settings_job *said, struct fault *why)
{
    struct flow_plan *p = g->plan;
    if (known(p, name))
        return FAIL_FG(
            why, CODE_EXISTS, 6119,
            "there are two jobs with the name %s: %s is the second one. Rename it, or remove one of"
            " them (fieldgate job rm %s, if it was made by `job apply`)",
            name, path, name);
    if (p->job_count == JOBS_MAX)
        return FAIL_FG(why, CODE_LIMIT, 6119, "more than %d jobs", JOBS_MAX);
    enum code c = job_file_plan(&p->jobs[p->job_count], g->settings, g->io, path, name, said, why);
    p->job_count += c == CODE_OK;
    return c;
}

static enum code add_file(void *ctx, const char *path, struct fault *why)
{
    char name[JOB_NAME_MAX + 1];
    file_job_name(path, name);
    return add_job(ctx, path, name, NULL, why);
}

static enum code add_declared(struct gathering *g, struct fault *why)
{
    const struct settings *s = g->settings;
    enum code c = CODE_OK;
    for (size_t i = 0; c == CODE_OK && i < s->job_files.count; i++)
        c = files_each(g->io, s->job_files.at[i], add_file, g, why);
    for (size_t i = 0; c == CODE_OK && i < s->jobs.count; i++)
        c = add_job(g, s->jobs.at[i].sql, s->jobs.at[i].entry.name, &s->jobs.at[i], why);
    return c;
}

static enum code add_made(struct gathering *g, const char *data_dir, struct fault *why)
{
    char pattern[PATH_BYTES];
    struct io_stat st;
    if ((size_t)snprintf(pattern, sizeof pattern, "%s/jobs", data_dir) >= sizeof pattern - 8)
        return FAIL(why, CODE_LIMIT, 0, "the path of the data directory is too long");
    if (g->io->stat(g->io->self, pattern, &st) < 0)
        return CODE_OK;
    strcat(pattern, "/*.sql");
    return files_each(g->io, pattern, add_file, g, why);
}

enum code flow_plan_new(struct flow_plan **out, const struct settings *s, const struct io *io,
                        const char *data_dir, struct fault *why)
{
    struct flow_plan *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the jobs");
    struct gathering g = {.plan = p, .settings = s, .io = io};
    enum code c = add_declared(&g, why);
    if (c == CODE_OK && data_dir)
        c = add_made(&g, data_dir, why);
    if (c == CODE_OK)
        *out = p;
    else
        flow_plan_free(p);
    return c;
}

void flow_plan_free(struct flow_plan *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->job_count; i++)
        job_plan_free(p->jobs[i]);
    mem_free(p);
}

enum code flow_check_file(struct job_plan **out, const struct settings *s, const struct io *io,
                          const char *path, const char *name, struct fault *why)
{
    char own[JOB_NAME_MAX + 1];
    file_job_name(path, own);
    return job_file_plan(out, s, io, path, name ? name : own, NULL, why);
}

enum code flow_check_text(struct job_plan **out, const struct settings *s, const struct io *io,
                          const char *name, struct bytes sql, struct fault *why)
{
    char file[JOB_NAME_MAX + 5];
    (void)snprintf(file, sizeof file, "%.*s.sql", JOB_NAME_MAX, name);
    return job_text_plan(out, s, io, file, name, sql, NULL, why);
}

/* ---- what is done ---- */

enum code flow_open(struct flow **out, struct broker *b, struct journal *journal, const struct io *io,
                    const char *data_dir, struct fault *why)
{
    struct flow *f = mem_zalloc(1, sizeof *f);
    if (!f)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the jobs");
    (void)pthread_mutex_init(&f->lock, NULL);
    enum code c = jobs_open(&f->jobs, b, journal, io, data_dir, why);
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

enum code flow_apply(struct flow *f, struct flow_plan *p, struct fault *why)
{
    struct jobs *jobs = flow_enter(f);
    enum code c = CODE_CLOSED;
    if (jobs) {
        c = jobs_apply(jobs, p->jobs, p->job_count, why);
        p->job_count = 0;
        flow_leave(f);
    } else {
        (void)FAIL(why, CODE_CLOSED, 0, "the node is stopping");
    }
    flow_plan_free(p);
    return c;
}

void flow_stop(struct flow *f)
{
    if (!flow_enter(f))
        return;
    jobs_close(f->jobs);
    f->jobs = NULL;
    flow_leave(f);
}

void flow_free(struct flow *f)
{
    if (!f)
        return;
    jobs_close(f->jobs);
    (void)pthread_mutex_destroy(&f->lock);
    mem_free(f);
}

/* ---- files that verbs make ---- */

struct looking {
    const char *name;
    bool found;
};

static enum code look(void *ctx, const char *path, struct fault *why)
{
    struct looking *l = ctx;
    char name[JOB_NAME_MAX + 1];
    (void)why;
    file_job_name(path, name);
    l->found = l->found || strcmp(name, l->name) == 0;
    return CODE_OK;
}

static enum code not_declared(const struct settings *s, const struct io *io, const char *name,
                              struct fault *why)
{
    struct looking l = {.name = name};
    for (size_t i = 0; i < s->job_files.count; i++)
        (void)files_each(io, s->job_files.at[i], look, &l, NULL);
    for (size_t i = 0; i < s->jobs.count; i++)
        l.found = l.found || strcmp(s->jobs.at[i].entry.name, name) == 0;
    return l.found
               ? FAIL_FG(
                     why, CODE_EXISTS, 6119,
                     "job %s is declared by the settings file: change its file there, then fieldgate reload",
                     name)
               : CODE_OK;
}

enum code flow_put_file(const struct settings *s, const struct io *io, const char *data_dir, const char *name,
                        struct bytes sql, struct fault *why)
{
    char path[PATH_BYTES], file[JOB_NAME_MAX + 5], dir[PATH_BYTES];
    enum code c = not_declared(s, io, name, why);
    if (c != CODE_OK)
        return c;
    if (!made_path(data_dir, name, path, sizeof path))
        return FAIL(why, CODE_LIMIT, 0, "the path of the data directory is too long");
    (void)snprintf(dir, sizeof dir, "%s/jobs", data_dir);
    (void)snprintf(file, sizeof file, "%s.sql", name);
    return io_replace(io, dir, file, sql, why);
}

enum code flow_remove_file(const struct settings *s, const struct io *io, const char *data_dir,
                           const char *name, struct fault *why)
{
    char path[PATH_BYTES];
    if (!job_name_ok(name))
        return FAIL_FG(why, CODE_NOTFOUND, 6133, "there is no job of that name");
    enum code c = not_declared(s, io, name, why);
    if (c != CODE_OK)
        return c;
    if (!made_path(data_dir, name, path, sizeof path))
        return FAIL(why, CODE_LIMIT, 0, "the path of the data directory is too long");
    int e = io->unlink(io->self, path);
    if (e == -ENOENT)
        return FAIL_FG(why, CODE_NOTFOUND, 6133, "there is no job %s that `job apply` made", name);
    return e < 0 ? FAIL_SYS(why, CODE_IO, -e, "%s cannot be removed", path) : CODE_OK;
}
