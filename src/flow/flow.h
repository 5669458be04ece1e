/* flow.h - what a node does with messages besides passing them on: its jobs, as the settings and `fieldgate job` declare them,
 * checked together and applied as one step.
 *
 * An action's `on` is JOB.OUTPUT, or a topic filter (it has a `/`, a wildcard, or no job has that name before its dot).
 *
 * Where jobs come from: `jobs` in the settings, and DATA/jobs/NAME.sql, which `fieldgate job apply` makes. The same name in both is
 * an error. A file may begin with lines of its own settings, YAML with the keys of docs/settings.md behind "--@ ":
 *
 *     --@ late: 20s
 *     --@ inputs: { machines: factory/+/telemetry }
 *     SELECT ...
 *
 * Threads: a plan is made on any thread (files are read). flow_bring_about, flow_edit, flow_enter and flow_stop on any thread but a
 * loop's, since jobs wait for loops; one of them at a time, the others wait.
 */
#pragma once

#include "action/action.h"
#include "base/settings.h"
#include "broker/broker.h"
#include "job/job.h"
#include "route/router.h"

struct flow;
struct flow_plan;

/* All that `s` says, read, compiled and checked. CODE_USAGE: `why` names file, line, column, what and the fix. */
FG_CHECK enum code flow_plan_new(struct flow_plan **out, const struct settings *s, const struct io *,
                                 const char *data_dir, struct fault *why);
void flow_plan_free(struct flow_plan *); /* NULL is fine */
/* Tells all that keeps flow_plan_new from succeeding: one thing for each job, route and action, for each file that cannot be read,
 * and for each ring. What only follows from another thing (a route from a job whose query is wrong) is not told. `entry` is what the
 * settings say there, NULL: no entry of theirs; a fault that begins with FILE:LINE:COLUMN knows its place better. `data_dir` NULL:
 * without the jobs that verbs made. CODE_OK whatever was told; CODE_NOMEM. */
FG_CHECK enum code flow_check(const struct settings *, const struct io *, const char *data_dir,
                              void (*found)(void *ctx, const struct settings_entry *entry, const struct fault *),
                              void *ctx, struct fault *why);
/* One file, as `job check` and `job apply` see it. `name`: NULL for the file's name without .sql. */
FG_CHECK enum code flow_check_file(struct job_plan **out, const struct settings *s, const struct io *,
                                   const char *path, const char *name, struct fault *why);

/* What would become of a message (route_table_test), by the plan's routes; or, with n > 0, by these texts. `s` as for the plan. */
FG_CHECK enum code flow_test_routes(const struct flow_plan *, const struct settings *s, const char *const *texts,
                                    size_t n, struct bytes from, const struct message *,
                                    void (*each)(void *ctx, const struct route_verdict *), void *ctx,
                                    struct fault *why);

FG_CHECK enum code flow_open(struct flow **out, struct broker *, struct journal *, const struct io *,
                             const char *data_dir, struct fault *why);
/* From now on the node's settings are these, and `plan` (taken) is what they said when they were checked; flow_bring_about does it.
 * Any thread, never waits. */
void flow_declare(struct flow *, const struct settings *, struct flow_plan *plan);
/* From now on what was declared last is what is done. It is read again, since a verb may have changed it meanwhile; if that does not
 * hold (a file is being written), the plan that was checked does. */
FG_CHECK enum code flow_bring_about(struct flow *, struct fault *why);
/* For verbs: DATA/jobs/NAME.sql is made or replaced (`sql`), or removed (NULL), and everything is brought about, in one step. What
 * would leave the node without a plan that holds is refused, and nothing has changed. What the settings declare is not the verbs':
 * CODE_EXISTS. CODE_NOTFOUND: none to remove. */
FG_CHECK enum code flow_edit(struct flow *, const char *name, const struct bytes *sql, struct fault *why);
/* The jobs, until flow_leave; NULL: it was stopped (flow_leave is not owed then). */
struct jobs *flow_enter(struct flow *);
void flow_leave(struct flow *);
/* See jobs_glance; any thread. */
bool flow_glance(struct flow *, void (*each)(void *ctx, const struct job_glance *), void *ctx);
/* See actions_glance; likewise. */
bool flow_glance_actions(struct flow *, void (*each)(void *ctx, const struct action_glance *), void *ctx);
/* See router_status; likewise. False: the node is stopping. */
bool flow_glance_routes(struct flow *, void (*route)(void *ctx, const struct route_status *),
                        void (*upstream)(void *ctx, const struct upstream_status *), void *ctx);
void flow_stop(struct flow *); /* all jobs, with a checkpoint; while the loops still run. Harmless if done */
void flow_free(struct flow *); /* NULL is fine; stopped, or nothing was ever applied */
