/* circle.c - routes that lead back to themselves, over other routes and jobs: their messages would run for ever.
 *
 * Stations are routes and jobs. A route leads to the routes and jobs that read the topic it publishes to, or to the job whose
 * input it feeds; a job leads to the routes and jobs that read the topics of its outputs. A condition may end such a run, but
 * nobody can know that beforehand, so it does not count. Circles of jobs alone are not ours to judge.
 */
#include "route/table.h"

#include "base/mem.h"
#include "mqtt/topic.h"

#include <stdio.h>

struct search {
    const struct route_table *table;
    const struct route_known *known;
    uint16_t *from; /* by station: the one before it on the way, plus 1; 0: not seen */
    uint16_t *queue;
    size_t head, tail;
    size_t start;
};

static size_t stations(const struct search *s)
{
    return s->table->count + s->known->job_count;
}

/* True: the way has come back to where it began. */
static bool reach(struct search *s, size_t station, size_t from)
{
    if (!s->from[station]) {
        s->from[station] = (uint16_t)(from + 1);
        s->queue[s->tail++] = (uint16_t)station;
    }
    return station == s->start;
}

static bool reads(const struct route_job *j, struct bytes topic)
{
    for (size_t i = 0; i < j->read_count; i++)
        if (topic_matches(bytes_str(j->reads[i]), topic))
            return true;
    return false;
}

static bool publish(struct search *s, struct bytes topic, size_t from)
{
    for (size_t i = 0; i < s->table->count; i++)
        if (route_source_matches(&s->table->routes[i], topic) && reach(s, i, from))
            return true;
    for (size_t i = 0; i < s->known->job_count; i++)
        if (reads(&s->known->jobs[i], topic))
            (void)reach(s, s->table->count + i, from);
    return false;
}

static bool follow_route(struct search *s, size_t at)
{
    const struct route_target *t = s->table->routes[at].target;
    if (t->kind == SINK_TOPIC)
        return publish(s, t->topic, at);
    for (size_t i = 0; t->kind == SINK_INPUT && i < s->known->job_count; i++)
        if (strcmp(s->known->jobs[i].name, t->job) == 0)
            (void)reach(s, s->table->count + i, at);
    return false;
}

static bool follow_job(struct search *s, size_t at)
{
    const struct route_job *j = &s->known->jobs[at - s->table->count];
    for (size_t i = 0; i < j->output_count; i++)
        if (publish(s, bytes_str(j->outputs[i].topic), at))
            return true;
    return false;
}

static void write_way(const struct search *s, struct buf *out)
{
    size_t way[512], n = 0, at = s->start;
    do {
        way[n++] = at;
        at = s->from[at] - 1u;
    } while (at != s->start && n < sizeof way / sizeof way[0]);
    buf_printf(out, "%s", s->table->routes[s->start].name);
    while (n-- > 0) {
        bool route = way[n] < s->table->count;
        buf_printf(out, " -> %s%s", route ? "" : "job ",
                   route ? s->table->routes[way[n]].name : s->known->jobs[way[n] - s->table->count].name);
    }
}

static bool comes_back(struct search *s, size_t start)
{
    memset(s->from, 0, stations(s) * sizeof *s->from);
    s->start = start;
    s->head = s->tail = 0;
    if (follow_route(s, start))
        return true;
    while (s->head < s->tail) {
        size_t at = s->queue[s->head++];
        if (at < s->table->count ? follow_route(s, at) : follow_job(s, at))
            return true;
    }
    return false;
}

static void mark_way(const struct search *s, bool *told)
{
    size_t at = s->start;
    do {
        if (at < s->table->count)
            told[at] = true;
        at = s->from[at] - 1u;
    } while (at != s->start);
}

enum code route_check_circles(const struct route_table *t, const struct route_known *k, struct arena *arena,
                              size_t *next, bool *told, struct fault *why)
{
    struct search s = {.table = t, .known = k};
    s.from = arena_take(arena, (stations(&s) + 1) * sizeof *s.from);
    s.queue = arena_take(arena, (stations(&s) + 1) * sizeof *s.queue);
    if (!s.from || !s.queue)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the routes");
    while (*next < t->count) {
        size_t i = (*next)++;
        struct buf way = {0};
        if (told[i] || !comes_back(&s, i))
            continue;
        write_way(&s, &way);
        mark_way(&s, told);
        enum code c = route_refuse(&(struct route_reading){&t->routes[i].said, arena, why}, CODE_USAGE, 4107,
                                   t->routes[i].parts.to_at,
                                   "its messages would run in a circle: %.*s. Route them to another topic",
                                   BYTES_FMT(buf_bytes(&way)));
        buf_clear(&way);
        return c;
    }
    return CODE_OK;
}
