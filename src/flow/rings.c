/* rings.c - jobs that feed each other in a ring: each row would make the next one for ever, and nothing would stop them. */
#include "flow/flow_private.h"

#include <stdio.h>

struct looking {
    struct job_plan *const *jobs;
    size_t count;
    bool done[JOBS_MAX];      /* no ring leads through it */
    bool on_path[JOBS_MAX];
    size_t path[JOBS_MAX], depth;
};

/* The topic that `to` reads of what `from` writes. */
static struct bytes feeds(const struct job_plan *from, const struct job_plan *to)
{
    uint32_t n = query_outputs(job_plan_query(from));
    for (uint32_t i = 0; i < n; i++)
        if (job_plan_reads(to, job_plan_target(from, i)).len)
            return job_plan_target(from, i);
    return BYTES_NONE;
}

static enum code refuse(const struct looking *l, size_t back_to, struct fault *why)
{
    char text[400] = "", topic[100];
    size_t first = 0, n = 0;
    while (l->path[first] != back_to)
        first++;
    for (size_t i = first; i < l->depth && n < sizeof text; i++) {
        const struct job_plan *from = l->jobs[l->path[i]],
                              *to = l->jobs[i + 1 < l->depth ? l->path[i + 1] : back_to];
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s writes '%s', which %s reads", i > first ? "; " : "",
                              job_plan_name(from), bytes_escape(feeds(from, to), topic, sizeof topic),
                              job_plan_name(to));
    }
    return FAIL_FG(why, CODE_USAGE, 6139,
                   "jobs would feed each other for ever: %s. Let one of them write to a topic that the others do"
                   " not read",
                   text);
}

/* Depth first: who is met again on the way closes a ring. */
static enum code visit(struct looking *l, size_t at, struct fault *why)
{
    enum code c = CODE_OK;
    l->on_path[at] = true;
    l->path[l->depth++] = at;
    for (size_t i = 0; c == CODE_OK && i < l->count; i++) {
        if (l->done[i] || !feeds(l->jobs[at], l->jobs[i]).len)
            continue;
        c = l->on_path[i] ? refuse(l, i, why) : visit(l, i, why);
    }
    l->on_path[at] = false;
    l->depth--;
    l->done[at] = true;
    return c;
}

enum code rings_refuse(struct job_plan *const *jobs, size_t n, const struct finder *finder, struct fault *why)
{
    struct looking l = {.jobs = jobs, .count = n};
    enum code c = CODE_OK;
    for (size_t i = 0; c == CODE_OK && i < n; i++)
        if (!l.done[i])
            c = finder_tell(finder, NULL, visit(&l, i, why), why);
    return c;
}
