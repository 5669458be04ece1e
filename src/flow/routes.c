/* routes.c - the routes of the settings, against the jobs of the plan. */
#include "flow/flow_private.h"

#include "base/arena.h"
#include "base/mem.h"

enum { KNOWN_BYTES_MAX = 32 << 20 };

/* What routes can name, as long as the arena. */
struct naming {
    struct arena arena;
    struct route_known known;
    struct route_job *jobs;
};

static const char *copy(struct naming *n, struct bytes b, bool *ok)
{
    const char *text = arena_text(&n->arena, b);
    *ok = *ok && text;
    return text;
}

static size_t count_filters(const struct job_plan *p)
{
    struct bytes filter;
    size_t n = 0;
    while (job_plan_filter(p, n, &filter))
        n++;
    return n;
}

static bool name_job(struct naming *n, const struct job_plan *p, struct route_job *out)
{
    const struct query *q = job_plan_query(p);
    size_t reads = count_filters(p);
    struct route_output *outputs = arena_take(&n->arena, (query_outputs(q) + 1) * sizeof *outputs);
    struct route_input *inputs = arena_take(&n->arena, (query_inputs(q) + 1) * sizeof *inputs);
    const char **filters = arena_take(&n->arena, (reads + 1) * sizeof *filters);
    bool ok = outputs && inputs && filters;
    *out = (struct route_job){.name = job_plan_name(p), .outputs = outputs, .inputs = inputs, .reads = filters};
    for (uint32_t i = 0; ok && i < query_outputs(q); i++)
        outputs[out->output_count++] = (struct route_output){copy(n, query_output(q, i), &ok),
                                                             copy(n, job_plan_target(p, i), &ok)};
    for (uint32_t i = 0; ok && i < query_inputs(q); i++)
        inputs[out->input_count++] = (struct route_input){copy(n, query_input(q, i), &ok),
                                                          job_input_number(p, query_input(q, i))};
    struct bytes filter;
    while (ok && job_plan_filter(p, out->read_count, &filter))
        filters[out->read_count++] = copy(n, filter, &ok);
    return ok;
}

static enum code name_all(struct naming *n, const struct flow_plan *p, const struct settings *s,
                          struct fault *why)
{
    arena_init(&n->arena, NULL, 0, KNOWN_BYTES_MAX);
    n->jobs = arena_take(&n->arena, (p->job_count + p->unread_count + 1) * sizeof *n->jobs);
    bool ok = n->jobs != NULL;
    for (size_t i = 0; ok && i < p->job_count; i++)
        ok = name_job(n, p->jobs[i], &n->jobs[i]);
    for (size_t i = 0; ok && i < p->unread_count; i++)
        n->jobs[p->job_count + i] = (struct route_job){.name = p->unread[i], .unread = true};
    n->known =
        (struct route_known){n->jobs, s->hub.topics.at, p->job_count + p->unread_count, s->hub.topics.count};
    return ok ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for the routes");
}

enum code flow_routes_plan(struct route_table **out, const struct flow_plan *p, const struct settings *s,
                           const struct route_text *said, size_t count, struct fault *why)
{
    struct naming n = {0};
    enum code c = name_all(&n, p, s, why);
    if (c == CODE_OK)
        c = route_table_new(out, said, count, &n.known, why);
    arena_clear(&n.arena);
    return c;
}

static struct route_text *texts_of(const struct settings *s, struct fault *why)
{
    struct route_text *said = mem_zalloc(s->routes.count + 1, sizeof *said);
    if (!said) {
        (void)FAIL(why, CODE_NOMEM, 0, "no memory for the routes");
        return NULL;
    }
    for (size_t i = 0; i < s->routes.count; i++) {
        const struct settings_route *r = &s->routes.at[i];
        said[i] = (struct route_text){.name = r->entry.name,
                                      .text = r->route,
                                      .priority = r->priority,
                                      .ttl_s = r->ttl_s,
                                      .file = settings_file(s),
                                      .line = r->entry.text_line,
                                      .column = r->entry.text_column,
                                      .in_place = r->entry.text_in_place};
    }
    said->file = settings_file(s);
    return said;
}

enum code flow_routes_of_settings(struct route_table **out, const struct flow_plan *p,
                                  const struct settings *s, struct fault *why)
{
    struct route_text *said = texts_of(s, why);
    if (!said)
        return CODE_NOMEM;
    enum code c = flow_routes_plan(out, p, s, said, s->routes.count, why);
    mem_free(said);
    return c;
}

struct telling {
    const struct finder *finder;
    const struct settings *settings;
};

static void tell_route(void *ctx, size_t i, const struct fault *why)
{
    const struct telling *t = ctx;
    const struct settings_entry *entry = i < t->settings->routes.count ? &t->settings->routes.at[i].entry : NULL;
    (void)finder_tell(t->finder, entry, why->code, why);
}

enum code flow_routes_check(const struct flow_plan *p, const struct settings *s, const struct finder *finder,
                            struct fault *why)
{
    struct naming n = {0};
    struct telling t = {finder, s};
    struct route_text *said = texts_of(s, why);
    if (!said)
        return CODE_NOMEM;
    enum code c = name_all(&n, p, s, why);
    if (c == CODE_OK)
        c = route_table_check(said, s->routes.count, &n.known, tell_route, &t, why);
    arena_clear(&n.arena);
    mem_free(said);
    return c;
}
