/* flow_private.h - what the files of this folder share. Not for others. */
#pragma once

#include "flow/flow.h"

struct flow_plan {
    struct job_plan *jobs[JOBS_MAX];
    size_t job_count;
    struct action_plan *actions[ACTIONS_MAX];
    size_t action_count;
    struct route_table *routes;
    /* Only while everything is checked: names of jobs that there are and whose queries are wrong. */
    char *unread[JOBS_MAX];
    size_t unread_count;
};

/* Where findings go; a NULL pointer to one: the first thing wrong is the end. */
struct finder {
    void (*found)(void *ctx, const struct settings_entry *, const struct fault *);
    void *ctx;
};
/* Tells what is wrong. The code to go on with: CODE_OK, or `c` where nobody is told or memory was short. */
enum code finder_tell(const struct finder *, const struct settings_entry *, enum code c, const struct fault *why);

/* ---- routes.c ---- */
/* Those of the settings; these texts instead. Against the plan's jobs. */
FG_CHECK enum code flow_routes_of_settings(struct route_table **out, const struct flow_plan *,
                                           const struct settings *, struct fault *why);
FG_CHECK enum code flow_routes_check(const struct flow_plan *, const struct settings *, const struct finder *,
                                     struct fault *why);
FG_CHECK enum code flow_routes_plan(struct route_table **out, const struct flow_plan *,
                                    const struct settings *, const struct route_text *, size_t n,
                                    struct fault *why);

/* ---- files.c ---- */
/* Calls each() for every file that a pattern means: `*` and `?` in its last part. CODE_NOTFOUND: none; CODE_IO. */
FG_CHECK enum code files_each(const struct io *, const char *pattern,
                              enum code (*each)(void *ctx, const char *path, struct fault *why), void *ctx,
                              struct fault *why);
/* "humidity" for "/etc/jobs/humidity.sql". */
void file_job_name(const char *path, char out[JOB_NAME_ROOM]);
/* DATA/jobs/NAME.sql; false: it does not fit. */
bool made_path(const char *data_dir, const char *name, char *out, size_t cap);

/* ---- rings.c ---- */
/* CODE_USAGE: some of these jobs feed each other in a ring. */
FG_CHECK enum code rings_refuse(struct job_plan *const *jobs, size_t n, const struct finder *, struct fault *why);

/* ---- edit.c ---- */
/* What a verb is about to change: checked with everything else before it is done. */
struct flow_change_of {
    const char *name;
    const struct bytes *sql; /* NULL: it is removed */
};
/* CODE_EXISTS: the settings declare a job of that name. */
FG_CHECK enum code edit_allowed(const struct settings *, const struct io *, const char *name, struct fault *why);
/* The file in DATA/jobs. */
FG_CHECK enum code edit_file(const struct io *, const char *data_dir, const struct flow_change_of *,
                             struct fault *why);

/* ---- flow.c ---- */
/* `edit` may be NULL. */
FG_CHECK enum code plan_with(struct flow_plan **out, const struct settings *, const struct io *, const char *data_dir,
                             const struct flow_change_of *edit, struct fault *why);

/* ---- job_file.c ---- */
/* `path` is for messages. */
FG_CHECK enum code job_text_plan(struct job_plan **out, const struct settings *s, const struct io *,
                                 const char *path, const char *name, struct bytes sql,
                                 const struct settings_job *said, struct fault *why);
/* Reads the file, and its settings; `said` are those of the settings' entry, or NULL. */
FG_CHECK enum code job_file_plan(struct job_plan **out, const struct settings *s, const struct io *,
                                 const char *path, const char *name, const struct settings_job *said,
                                 struct fault *why);
