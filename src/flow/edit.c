/* edit.c - the files that verbs make, replace and remove: DATA/jobs/NAME.sql. */
#include "flow/flow_private.h"

#include <errno.h>
#include <stdio.h>

enum { PATH_BYTES = 4096 };

struct looking {
    const char *name;
    bool found;
};

static enum code look(void *ctx, const char *path, struct fault *why)
{
    struct looking *l = ctx;
    char name[JOB_NAME_ROOM];
    (void)why;
    file_job_name(path, name);
    l->found = l->found || strcmp(name, l->name) == 0;
    return CODE_OK;
}

enum code edit_allowed(const struct settings *s, const struct io *io, const char *name,
                       struct fault *why)
{
    struct looking l = {.name = name};
    for (size_t i = 0; i < s->job_files.count; i++)
        if (files_each(io, s->job_files.at[i], look, &l, NULL) != CODE_OK)
            continue; /* a folder that is gone declares nothing */
    for (size_t i = 0; i < s->jobs.count; i++)
        l.found = l.found || strcmp(s->jobs.at[i].entry.name, name) == 0;
    return l.found
               ? FAIL_FG(
                     why, CODE_EXISTS, 6119,
                     "job %s is declared by the settings file: change its file there, then fieldgate reload",
                     name)
               : CODE_OK;
}

enum code edit_file(const struct io *io, const char *data_dir, const struct flow_change_of *edit, struct fault *why)
{
    char path[PATH_BYTES], file[JOB_NAME_MAX + 5], dir[PATH_BYTES];
    if (!made_path(data_dir, edit->name, path, sizeof path))
        return FAIL(why, CODE_LIMIT, 0, "the path of the data directory is too long");
    (void)snprintf(dir, sizeof dir, "%s/jobs", data_dir);
    (void)snprintf(file, sizeof file, "%s.sql", edit->name);
    if (edit->sql)
        return io_replace(io, dir, file, *edit->sql, why);
    int e = io->unlink(io->self, path);
    if (e == -ENOENT)
        return FAIL_FG(why, CODE_NOTFOUND, 6133, "there is no job %s that `job apply` made", edit->name);
    return e < 0 ? FAIL_SYS(why, CODE_IO, -e, "%s cannot be removed", path) : CODE_OK;
}
