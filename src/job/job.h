/* job.h - streaming SQL that runs in the node: one `.sql` file is one job.
 *
 *   topics, routes ──► queue of the job (broker/consumer.h) ──► stream (its thread) ──► topics, $jobs/JOB/OUTPUT
 *                            ▲                                        │
 *                            └── place, in the journal ── DATA/jobs/JOB.N, its state
 *
 * A job is exactly once inside the node: after a crash it takes its last checkpoint, reads on from there, makes the same rows
 * with the same ordinals, and what is in the log already is not published again (docs/decisions/0009).
 *
 * Names. A name after FROM or JOIN is, in this order: one of the job's `inputs`; reference data, if it is one of its
 * `references`; a topic filter, if it has a `/` or a wildcard ([factory/+/telemetry]); `events`: what goes into the
 * partitions; otherwise an input that routes bring messages to. A name after INTO is one of the job's `outputs`; a topic,
 * if it has a `/`; a file, if it begins with file:/ (a line for each row, appended); otherwise an output: topic
 * $jobs/JOB/OUTPUT, which routes and actions read.
 *
 * A job that reads what it writes is refused, as are several that feed each other in a ring (flow): nothing would ever stop them.
 *
 * Threads: jobs_* from any thread but the loops' (a job waits for those); each job has a thread of its own.
 */
#pragma once

#include "broker/broker.h"
#include "stream/stream.h"

struct consumer;
struct jobs;
struct job_plan;

struct job_pair {
    const char *name,
        *to; /* of inputs: a topic filter; of outputs: a topic; of references: a file (.csv or JSON) */
};
/* JOB_NAME_ROOM: for a text that may be a name, so that one that is too long stays so and job_name_ok refuses it. */
enum { JOB_NAME_MAX = 64, JOB_NAME_ROOM = JOB_NAME_MAX + 2, JOBS_MAX = 100, JOB_INPUTS_MAX = 32 };
struct job_spec {
    const char *name; /* letters, digits, - and _, up to JOB_NAME_MAX */
    const char *file; /* for messages: as the person wrote it         */
    struct bytes sql;
    struct query_options options; /* is_reference is set here                     */
    const struct job_pair *inputs, *outputs, *references;
    size_t input_count, output_count, reference_count;
    const char *const *events; /* filters of what goes into the partitions     */
    size_t event_count;
};
/* Checked and compiled; copies what it keeps. CODE_USAGE: `why` names file, line, column and the nearest right thing. */
bool job_name_ok(const char *);
FG_CHECK enum code job_plan_new(struct job_plan **out, const struct job_spec *, struct fault *why);
void job_plan_free(struct job_plan *); /* NULL is fine */
const char *job_plan_name(const struct job_plan *);
const struct query *job_plan_query(const struct job_plan *);
/* Where an input of the query comes from: its topic filters, as one text separated by ", "; empty: routes bring it. */
void job_plan_source(const struct job_plan *, uint32_t input, struct buf *out);
/* The filter by which it reads what is published there; empty: it does not. */
struct bytes job_plan_reads(const struct job_plan *, struct bytes topic);
struct bytes job_plan_target(const struct job_plan *, uint32_t output); /* its topic */
struct bytes job_plan_sql(const struct job_plan *);
const struct query_options *job_plan_options(const struct job_plan *);
const char *job_plan_reference_file(const struct job_plan *, uint32_t reference);
/* The topic filters of one input, from i = 0 on; false: there are no more. */
bool job_plan_input_filter(const struct job_plan *, uint32_t input, size_t i, struct bytes *filter);
/* Its topic filters, from i = 0 on; false: there are no more. */
bool job_plan_filter(const struct job_plan *, size_t i, struct bytes *filter);
/* What a route must say with a message for this input; 0: there is no such input, or it reads topics. */
uint32_t job_input_number(const struct job_plan *, struct bytes input);

FG_CHECK enum code jobs_open(struct jobs **out, struct broker *, struct journal *, const struct io *,
                             const char *data_dir, struct fault *why);
/* Stops all with a checkpoint. */
void jobs_close(struct jobs *);
/* Exactly these run from now on: new ones are started, changed ones go on with the new text (and learn anew), the others are not
 * touched; what is not there any more ends, its state and what waited for it are gone. Takes the plans, also on failure. */
FG_CHECK enum code jobs_apply(struct jobs *, struct job_plan **plans, size_t n, struct fault *why);

/* The queue of a job that runs, for what routes bring it, until the next jobs_apply or jobs_close; NULL: there is none. */
struct consumer *jobs_queue(struct jobs *, const char *name);

enum job_state {
    JOB_RUNNING,
    JOB_BLOCKED /* an output is refused: tried again */,
    JOB_PAUSED /* its state is full */,
    JOB_STOPPED /* an event it must not go on after */
};
struct job_status {
    const char *name;
    enum job_state state;
    const char *why;    /* of a job that does not run; else "" */
    uint64_t lag;       /* messages that wait to be read        */
    int64_t behind_us;  /* how long ago came what it read last; 0: nothing waits; -1: it has read nothing yet */
    uint64_t published; /* rows, since the job is there         */
    uint64_t checkpoints, checkpoint_bytes;
    struct stream_stats stream;
};
/* Calls each() for every job, or only for the one of that name; false: there is none. Blocks for the time of a batch. */
bool jobs_status(struct jobs *, const char *name, void (*each)(void *ctx, const struct job_status *),
                 void *ctx);
/* A few figures of each job, as its thread last told them: never waits, so a loop may ask. False: the jobs are just being changed,
 * ask again later. */
struct job_glance {
    const char *name;
    enum job_state state;
    uint64_t lag, events, rows, dropped, state_bytes;
};
bool jobs_glance(struct jobs *, void (*each)(void *ctx, const struct job_glance *), void *ctx);
/* See stream_models. False: no such job. */
bool jobs_models(struct jobs *, const char *name, bool (*each)(void *ctx, const struct stream_model_info *),
                 void *ctx);
/* See stream_forget. CODE_NOTFOUND: no such job, or no such model; CODE_AGAIN: not just now, what it has to say is refused,
 * or the disk takes nothing. CODE_OK: it does not come back with a crash. */
FG_CHECK enum code jobs_forget_model(struct jobs *, const char *name, struct bytes key);
/* Calls each() with the plans of all jobs, or of the one of that name. False: there is none. */
bool jobs_plans(struct jobs *, const char *name, void (*each)(void *ctx, const struct job_plan *), void *ctx);
