/* table.c - all routes of a node, checked together, sorted by where they lead. */
#include "route/table.h"

#include "base/mem.h"
#include "mqtt/topic.h"

#include <stdio.h>
#include <stdlib.h>

enum { TABLE_BYTES_MAX = 64 << 20, TOPIC_BYTES = 1024, TOPIC_LEVELS = 32 };

struct making {
    struct route_table *table;
    const struct route_known *known;
    struct fault *why;
    void (*found)(void *ctx, size_t i, const struct fault *); /* NULL: the first thing wrong ends it */
    void *ctx;
};

/* What to go on with. */
static enum code tell(const struct making *m, size_t i, enum code c)
{
    if (c == CODE_OK || c == CODE_NOMEM || !m->found)
        return c;
    m->found(m->ctx, i, m->why);
    return CODE_OK;
}

static struct bytes keep(struct arena *a, struct bytes b)
{
    char *copy = arena_text(a, b);
    return bytes_of(copy, copy ? b.len : 0);
}

static enum code no_memory(struct fault *why)
{
    return FAIL(why, CODE_NOMEM, 0, "no memory for the routes");
}

/* ---- sinks ---- */

static struct bytes input_name(struct arena *a, const struct route_job *j, const struct route_input *in)
{
    size_t n = strlen(j->name) + strlen(in->name) + 6;
    char *text = arena_take(a, n);
    if (!text)
        return BYTES_NONE;
    return bytes_of(text, (size_t)snprintf(text, n, "job %s/%s", j->name, in->name));
}

static enum code describe(struct making *m, const struct route_parts *p, const struct route_reading *r,
                          struct route_target *t)
{
    struct arena *a = &m->table->arena;
    const struct route_job *job;
    const struct route_input *input;
    char text[TOPIC_BYTES + 8], shown[80];
    enum topic_flaw flaw;
    *t = (struct route_target){.kind = p->sink, .table = m->table};
    switch (p->sink) {
    case SINK_UPSTREAM: t->name = BYTES_LIT("$upstream"); return CODE_OK;
    case SINK_EVENTS: t->name = BYTES_LIT("events"); return CODE_OK;
    case SINK_TOPIC:
        bytes_escape(p->to_topic, shown, sizeof shown);
        flaw = topic_name_check(p->to_topic, TOPIC_BYTES, TOPIC_LEVELS);
        if (flaw != TOPIC_FINE)
            return route_refuse(r, CODE_USAGE, 4105, p->to_at, "topic(\"%s\") %s", shown,
                                topic_flaw_text(flaw));
        if (bytes_starts(p->to_topic, "$"))
            return route_refuse(r, CODE_USAGE, 4105, p->to_at,
                                "topic(\"%s\"): topics below $ are the node's own", shown);
        t->name = keep(
            a, bytes_of(text, (size_t)snprintf(text, sizeof text, "topic %.*s", BYTES_FMT(p->to_topic))));
        t->topic = bytes_from(t->name, t->name.len ? 6 : 0);
        return t->name.len ? CODE_OK : no_memory(m->why);
    default: break;
    }
    enum code c = route_resolve_input(p, r, m->known, &job, &input);
    if (c != CODE_OK)
        return c;
    t->number = input->number;
    t->job = arena_text(a, bytes_str(job->name));
    t->name = input_name(a, job, input);
    return t->job && t->name.len ? CODE_OK : no_memory(m->why);
}

static enum code add_target(struct making *m, struct route *route, const struct route_reading *r)
{
    struct route_table *t = m->table;
    struct route_target fresh;
    enum code c = describe(m, &route->parts, r, &fresh);
    if (c != CODE_OK)
        return c;
    size_t i = 0;
    while (i < t->target_count && !bytes_equal(t->targets[i].name, fresh.name))
        i++;
    if (i == t->target_count)
        t->targets[t->target_count++] = fresh;
    route->target = &t->targets[i];
    route->target->count++;
    return CODE_OK;
}

/* ---- routes ---- */

static bool name_ok(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= 128 && !strpbrk(name, ".$# \t\r\n") && utf8_valid(bytes_str(name), false);
}

static enum code check_said(const struct route_reading *r, const struct route_table *t)
{
    const struct route_text *s = r->said;
    if (!name_ok(s->name))
        return route_refuse(r, CODE_USAGE, 4106, 0,
                            "a route's name has 1 to 128 bytes, and no blanks, '.', '$' or '#'");
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->routes[i].name, s->name) == 0)
            return route_refuse(r, CODE_EXISTS, 4106, 0, "there is a route of that name already");
    if (s->priority > ROUTE_PRIORITY_MAX && s->priority != ROUTE_NO_PRIORITY)
        return route_refuse(r, CODE_USAGE, 4108, 0,
                            "priority %u; 0 (the best) to %d are possible, or %u for none", s->priority,
                            ROUTE_PRIORITY_MAX, ROUTE_NO_PRIORITY);
    if (s->ttl_s > ROUTE_TTL_MAX)
        return route_refuse(
            r, CODE_USAGE, 4108, 0,
            "the time to live is longer than 136 years: leave it out for messages that stay for ever");
    return CODE_OK;
}

static enum code check_together(const struct route_parts *p, const struct route_reading *r)
{
    if (r->said->ttl_s && p->sink != SINK_UPSTREAM)
        return route_refuse(r, CODE_USAGE, 4108, p->to_at,
                            "a time to live is for what waits in $upstream; nothing waits in %.*s",
                            (int)(p->sink_text.len < 80 ? p->sink_text.len : 80),
                            (const char *)p->sink_text.at);
    if (p->source == SOURCE_EVENTS && p->sink == SINK_EVENTS)
        return route_refuse(r, CODE_USAGE, 4107, p->to_at,
                            "what comes FROM events is in the partitions already");
    return CODE_OK;
}

static enum code add_route(struct making *m, const struct route_text *said)
{
    struct route_table *t = m->table;
    struct route *route = &t->routes[t->count];
    struct route_text kept = *said;
    struct route_reading first = {said, &t->arena, m->why};
    enum code c = check_said(&first, t);
    if (c != CODE_OK)
        return c;
    kept.name = arena_text(&t->arena, bytes_str(said->name));
    kept.text = arena_text(&t->arena, bytes_str(said->text));
    kept.file = arena_text(&t->arena, bytes_str(said->file));
    if (!kept.name || !kept.text || !kept.file)
        return no_memory(m->why);
    memcpy(route, &(struct route){.name = kept.name, .said = kept, .order = (uint32_t)t->count},
           sizeof *route);
    struct route_reading r = {&route->said, &t->arena, m->why};
    c = route_parse(&route->parts, &r);
    if (c == CODE_OK)
        c = route_check_condition(&route->parts, &r);
    if (c == CODE_OK)
        c = route_resolve_source(route, &r, m->known);
    if (c == CODE_OK)
        c = add_target(m, route, &r);
    if (c == CODE_OK)
        c = check_together(&route->parts, &r);
    t->count += c == CODE_OK;
    return c;
}

/* ---- by sink ---- */

static int by_rank(const void *a, const void *b)
{
    const struct route *x = *(struct route *const *)a, *y = *(struct route *const *)b;
    if (x->said.priority != y->said.priority)
        return x->said.priority < y->said.priority ? -1 : 1;
    uint64_t p = x->said.ttl_s ? x->said.ttl_s : UINT64_MAX, q = y->said.ttl_s ? y->said.ttl_s : UINT64_MAX;
    if (p != q)
        return p > q ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static bool same_path(const struct json_path *p, const struct condition_name *n)
{
    if (p->count != n->part_count)
        return false;
    for (uint32_t i = 0; i < p->count; i++)
        if (!bytes_equal(p->parts[i], n->parts[i]))
            return false;
    return true;
}

/* Which slots of the target's plan a route's condition reads. */
static enum code add_paths(struct making *m, struct route *route, struct json_path *paths)
{
    const struct condition *c = route->parts.condition;
    struct route_target *t = route->target;
    if (!c)
        return CODE_OK;
    route->json_slots = arena_take(&m->table->arena, (c->name_count + 1) * sizeof *route->json_slots);
    if (!route->json_slots)
        return no_memory(m->why);
    for (uint32_t i = 0; i < c->name_count; i++) {
        const struct condition_name *n = &c->names[i];
        route->json_slots[i] = UINT32_MAX;
        if (n->kind != CONDITION_BODY)
            continue;
        uint32_t at = 0;
        while (at < t->paths && !same_path(&paths[at], n))
            at++;
        if (at == t->paths)
            paths[t->paths++] = (struct json_path){n->parts, n->part_count};
        route->json_slots[i] = at;
    }
    return CODE_OK;
}

static enum code finish_target(struct making *m, struct route_target *t)
{
    struct arena *a = &m->table->arena;
    size_t names = 0;
    t->routes = arena_take(a, t->count * sizeof *t->routes);
    if (!t->routes)
        return no_memory(m->why);
    t->count = 0;
    for (size_t i = 0; i < m->table->count; i++)
        if (m->table->routes[i].target == t) {
            t->routes[t->count++] = &m->table->routes[i];
            names += m->table->routes[i].parts.condition ? m->table->routes[i].parts.condition->name_count
                                                         : 0;
        }
    qsort(t->routes, t->count, sizeof *t->routes, by_rank);
    struct json_path *paths = mem_alloc((names + 1) * sizeof *paths);
    enum code c = paths ? CODE_OK : no_memory(m->why);
    for (size_t i = 0; c == CODE_OK && i < t->count; i++)
        c = add_paths(m, t->routes[i], paths);
    if (c == CODE_OK && t->paths && !(t->plan = json_plan_new(paths, t->paths)))
        c = no_memory(m->why);
    mem_free(paths);
    return c;
}

/* ---- the whole ---- */

static enum code keep_known(struct making *m)
{
    struct route_table *t = m->table;
    size_t n = 0;
    for (size_t i = 0; i < m->known->job_count; i++)
        n += m->known->jobs[i].output_count;
    t->events = arena_take(&t->arena, (m->known->event_count + 1) * sizeof *t->events);
    t->places = arena_take(&t->arena, (n + 1) * sizeof *t->places);
    bool ok = t->events && t->places;
    for (; ok && t->event_count < m->known->event_count; t->event_count++) {
        t->events[t->event_count] = keep(&t->arena, bytes_str(m->known->events[t->event_count]));
        ok = t->events[t->event_count].at != NULL;
    }
    for (size_t i = 0; ok && i < m->known->job_count; i++)
        for (size_t k = 0; ok && k < m->known->jobs[i].output_count; k++) {
            const struct route_output *o = &m->known->jobs[i].outputs[k];
            struct route_place *p = &t->places[t->place_count++];
            *p = (struct route_place){arena_text(&t->arena, bytes_str(m->known->jobs[i].name)),
                                      arena_text(&t->arena, bytes_str(o->name)),
                                      keep(&t->arena, bytes_str(o->topic))};
            ok = p->module && p->output && p->topic.at;
        }
    return ok ? CODE_OK : no_memory(m->why);
}

static enum code check_circles(struct making *m)
{
    struct route_table *t = m->table;
    size_t next = 0;
    enum code c = CODE_OK;
    bool *told = arena_zero(&t->arena, t->count + 1);
    if (!told)
        return no_memory(m->why);
    while (c == CODE_OK && next < t->count)
        c = tell(m, SIZE_MAX, route_check_circles(t, m->known, &t->arena, &next, told, m->why));
    return c;
}

static enum code make(struct making *m, const struct route_text *said, size_t n)
{
    struct route_table *t = m->table;
    if (n > ROUTES_MAX_COUNT)
        return FAIL_FG(m->why, CODE_LIMIT, 4106, "%s: %zu routes; the most is %d (L-MANIFEST)", said->file, n,
                       ROUTES_MAX_COUNT);
    t->routes = arena_zero(&t->arena, (n + 1) * sizeof *t->routes);
    t->targets = arena_zero(&t->arena, (n + 1) * sizeof *t->targets);
    if (!t->routes || !t->targets)
        return no_memory(m->why);
    enum code c = keep_known(m);
    for (size_t i = 0; c == CODE_OK && i < n; i++)
        c = tell(m, i, add_route(m, &said[i]));
    for (size_t i = 0; c == CODE_OK && i < t->target_count; i++)
        c = finish_target(m, &t->targets[i]);
    return c == CODE_OK ? check_circles(m) : c;
}

static enum code make_table(struct making *m, const struct route_text *said, size_t n)
{
    m->table = mem_zalloc(1, sizeof *m->table);
    if (!m->table)
        return no_memory(m->why);
    arena_init(&m->table->arena, NULL, 0, TABLE_BYTES_MAX);
    return make(m, said, n);
}

enum code route_table_new(struct route_table **out, const struct route_text *said, size_t n,
                          const struct route_known *known, struct fault *why)
{
    struct fault own;
    struct making m = {.known = known, .why = why ? why : &own};
    enum code c = make_table(&m, said, n);
    if (c == CODE_OK)
        *out = m.table;
    else
        route_table_free(m.table);
    return c;
}

enum code route_table_check(const struct route_text *said, size_t n, const struct route_known *known,
                            void (*found)(void *ctx, size_t i, const struct fault *), void *ctx, struct fault *why)
{
    struct making m = {.known = known, .why = why, .found = found, .ctx = ctx};
    enum code c = tell(&m, SIZE_MAX, make_table(&m, said, n));
    route_table_free(m.table);
    return c;
}

void route_table_free(struct route_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->target_count; i++)
        json_plan_free(t->targets[i].plan);
    arena_clear(&t->arena);
    mem_free(t);
}

size_t route_table_count(const struct route_table *t)
{
    return t->count;
}

void route_table_info(const struct route_table *t, size_t i, struct route_info *out)
{
    const struct route *r = &t->routes[i];
    *out = (struct route_info){.name = r->name,
                               .text = r->parts.text,
                               .source = r->parts.source_text,
                               .condition = r->parts.condition_text,
                               .sink = r->parts.sink_text,
                               .priority = r->said.priority,
                               .ttl_s = r->said.ttl_s};
}
