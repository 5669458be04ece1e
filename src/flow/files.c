/* files.c - which files are jobs. */
#include "flow/flow_private.h"

#include "base/mem.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATH_BYTES = 4096 };

#define NOT_READ(why, err, ...) fault_sys((why), CODE_NOTFOUND, 6117, (err), FG_HERE, __VA_ARGS__)

void file_job_name(const char *path, char out[JOB_NAME_ROOM])
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    size_t n = strlen(name);
    if (n > 4 && strcmp(name + n - 4, ".sql") == 0)
        n -= 4;
    (void)snprintf(out, JOB_NAME_ROOM, "%.*s", (int)n, name);
}

bool made_path(const char *data_dir, const char *name, char *out, size_t cap)
{
    return (size_t)snprintf(out, cap, "%s/jobs/%s.sql", data_dir, name) < cap;
}

struct found {
    const char *pattern; /* of the last part */
    char **at;
    size_t count, cap;
    bool nomem;
};

static void see(void *ctx, const char *name)
{
    struct found *f = ctx;
    if (fnmatch(f->pattern, name, FNM_PERIOD) != 0)
        return;
    if (f->count == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 16;
        char **at = mem_realloc(f->at, cap * sizeof *at);
        if (!at) {
            f->nomem = true;
            return;
        }
        f->at = at;
        f->cap = cap;
    }
    f->at[f->count] = mem_strdup(name);
    f->nomem = f->nomem || !f->at[f->count];
    f->count += f->at[f->count] != NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum code call_each(const struct found *f, const char *dir,
                           enum code (*each)(void *, const char *, struct fault *), void *ctx,
                           struct fault *why)
{
    enum code c = CODE_OK;
    for (size_t i = 0; c == CODE_OK && i < f->count; i++) {
        char path[PATH_BYTES];
        if ((size_t)snprintf(path, sizeof path, "%s%s", dir, f->at[i]) >= sizeof path)
            return FAIL_FG(why, CODE_LIMIT, 6117, "the path of %.100s is too long", f->at[i]);
        c = each(ctx, path, why);
    }
    return c;
}

enum code files_each(const struct io *io, const char *pattern,
                     enum code (*each)(void *ctx, const char *path, struct fault *why), void *ctx,
                     struct fault *why)
{
    if (!strpbrk(pattern, "*?[")) {
        struct io_stat st;
        int e = io->stat(io->self, pattern, &st);
        return e < 0 ? NOT_READ(why, -e, "%s cannot be read", pattern)
                     : each(ctx, pattern, why);
    }
    const char *last = strrchr(pattern, '/');
    char dir[PATH_BYTES];
    size_t n = last ? (size_t)(last - pattern) + 1 : 0;
    if (n >= sizeof dir || (n && strcspn(pattern, "*?[") < n))
        return FAIL_FG(why, CODE_USAGE, 6115,
                       "jobs: '%.200s' has a pattern in its folder; only the last part may have one",
                       pattern);
    (void)snprintf(dir, sizeof dir, "%.*s", (int)n, pattern);
    struct found f = {.pattern = pattern + n};
    int e = io->list(io->self, n ? dir : ".", see, &f);
    enum code c = f.nomem ? FAIL(why, CODE_NOMEM, 0, "no memory for the list of jobs")
                  : e < 0 ? NOT_READ(why, -e, "the folder of %s cannot be read", pattern)
                          : CODE_OK;
    if (f.count > 1)
        qsort(f.at, f.count, sizeof *f.at, by_name);
    if (c == CODE_OK)
        c = call_each(&f, dir, each, ctx, why);
    for (size_t i = 0; i < f.count; i++)
        mem_free(f.at[i]);
    mem_free(f.at);
    return c;
}
