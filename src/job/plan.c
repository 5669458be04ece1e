/* plan.c - a job's text, checked; which names are topics, routes, reference data. */
#include "job/job_private.h"

#include "base/hash.h"
#include "base/mem.h"
#include "mqtt/topic.h"

#include <ctype.h>
#include <stdio.h>

enum { PLAN_BYTES_MAX = 1 << 20, TOPIC_BYTES = 1024, TOPIC_LEVELS = 32 };

static const struct job_pair *pair_of(const struct job_pair *list, size_t n, struct bytes name)
{
    for (size_t i = 0; i < n; i++)
        if (bytes_is(name, list[i].name))
            return &list[i];
    return NULL;
}

static bool is_reference(void *ctx, struct bytes name)
{
    const struct job_spec *spec = ctx;
    return pair_of(spec->references, spec->reference_count, name) != NULL;
}

bool job_name_ok(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
            return false;
    return n > 0 && n <= JOB_NAME_MAX && isalnum((unsigned char)name[0]);
}

static bool has_any(struct bytes text, const char *of)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr(of, text.at[i]))
            return true;
    return false;
}

static struct bytes keep(struct job_plan *p, struct bytes b)
{
    char *copy = arena_text(&p->arena, b);
    return bytes_of(copy, copy ? b.len : 0);
}

/* ---- inputs ---- */

static uint32_t number_of(const char *kind, struct bytes text)
{
    uint8_t both[TOPIC_BYTES + 16];
    size_t n = strlen(kind), rest = text.len < TOPIC_BYTES ? text.len : TOPIC_BYTES;
    memcpy(both, kind, n);
    memcpy(both + n, text.at, rest);
    return (uint32_t)(hash_partition(bytes_of(both, n + rest)) & 0x7fffffff) | 1;
}

static enum code add_way(struct job_plan *p, uint32_t input, const char *kind, struct bytes text, bool filter,
                         struct fault *why)
{
    if (p->way_count == JOB_INPUTS_MAX)
        return FAIL_FG(why, CODE_LIMIT, 6110, "%s: more than %d topics and inputs", p->file, JOB_INPUTS_MAX);
    struct way *w = &p->ways[p->way_count];
    *w = (struct way){
        .number = number_of(kind, text), .input = input, .filter = filter ? keep(p, text) : BYTES_NONE};
    if (filter && !w->filter.at)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a job");
    p->way_count++;
    return CODE_OK;
}

static enum code add_filter(struct job_plan *p, uint32_t input, struct bytes filter, struct fault *why)
{
    char text[128];
    if (!topic_filter_valid(filter, TOPIC_BYTES, TOPIC_LEVELS))
        return FAIL_FG(why, CODE_USAGE, 6110,
                       "%s: '%s' is not a topic filter; # stands alone at the end, + for a whole level",
                       p->file, bytes_escape(filter, text, sizeof text));
    if (topic_filter_shared(filter))
        return FAIL_FG(why, CODE_USAGE, 6110,
                       "%s: '%s' is a shared subscription, and a job gets every message of its own: leave out"
                       " $share/NAME/",
                       p->file, bytes_escape(filter, text, sizeof text));
    return add_way(p, input, "topic:", filter, true, why);
}

static enum code find_input(struct job_plan *p, const struct job_spec *spec, uint32_t input,
                            struct fault *why)
{
    struct bytes name = query_input(p->query, input);
    const struct job_pair *pair = pair_of(spec->inputs, spec->input_count, name);
    if (pair)
        return add_filter(p, input, bytes_str(pair->to), why);
    if (has_any(name, "/+#"))
        return add_filter(p, input, name, why);
    if (bytes_is(name, "opcua")) /* what the OPC publisher puts into the node */
        return add_filter(p, input, BYTES_LIT("opcua/#"), why);
    if (!bytes_is(name, "events"))
        return add_way(p, input, "input:", name, false, why);
    if (!spec->event_count)
        return FAIL_FG(why, CODE_USAGE, 6111,
                       "%s: FROM events reads what goes into the partitions, and hub.topics is empty:"
                       " name the topics there, or read a topic: FROM [factory/#]",
                       p->file);
    enum code c = CODE_OK;
    for (size_t i = 0; c == CODE_OK && i < spec->event_count; i++)
        c = add_filter(p, input, bytes_str(spec->events[i]), why);
    return c;
}

static enum code find_inputs(struct job_plan *p, const struct job_spec *spec, struct fault *why)
{
    enum code c = CODE_OK;
    p->ways = arena_zero(&p->arena, JOB_INPUTS_MAX * sizeof *p->ways);
    if (!p->ways)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a job");
    for (uint32_t i = 0; c == CODE_OK && i < query_inputs(p->query); i++)
        c = find_input(p, spec, i, why);
    for (size_t i = 0; c == CODE_OK && i < spec->input_count; i++) {
        bool used = false;
        for (uint32_t k = 0; k < query_inputs(p->query); k++)
            used = used || bytes_is(query_input(p->query, k), spec->inputs[i].name);
        if (!used)
            c = FAIL_FG(why, CODE_USAGE, 6112,
                        "%s: `inputs` names %s, which no FROM or JOIN of the query reads", p->file,
                        spec->inputs[i].name);
    }
    return c;
}

/* ---- outputs ---- */

/* "file:/var/log/anomalies.jsonl" */
static enum code find_file(struct job_plan *p, uint32_t output, struct bytes target, struct fault *why)
{
    char said[128];
    if (target.len < 7 || target.at[5] != '/' || target.at[target.len - 1] == '/' || memchr(target.at, 0, target.len))
        return FAIL_FG(why, CODE_USAGE, 6113, "%s: '%s' is not a file to write to: file:/FOLDER/NAME, the path from the root on",
                       p->file, bytes_escape(target, said, sizeof said));
    if (output >= JOB_FILES_MAX)
        return FAIL_FG(why, CODE_LIMIT, 6113, "%s: a file among more than %d outputs", p->file, JOB_FILES_MAX);
    p->targets[output] = keep(p, target);
    if (!p->targets[output].at)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a job");
    p->files[output] = (const char *)p->targets[output].at + 5;
    for (uint32_t i = 0; i < output; i++)
        if (p->files[i] && strcmp(p->files[i], p->files[output]) == 0)
            return FAIL_FG(why, CODE_USAGE, 6113, "%s: two outputs go to %s", p->file, p->files[output]);
    return CODE_OK;
}

static enum code find_output(struct job_plan *p, const struct job_spec *spec, uint32_t output,
                             struct fault *why)
{
    struct bytes name = query_output(p->query, output);
    const struct job_pair *pair = pair_of(spec->outputs, spec->output_count, name);
    if (bytes_starts(pair ? bytes_str(pair->to) : name, "file:"))
        return find_file(p, output, pair ? bytes_str(pair->to) : name, why);
    char text[JOB_NAME_MAX + 512], said[128];
    struct bytes topic = pair ? bytes_str(pair->to) : name;
    if (!pair && !has_any(name, "/")) {
        if (name.len > 256 || has_any(name, "+#"))
            return FAIL_FG(
                why, CODE_USAGE, 6113,
                "%s: '%s' cannot be an output: neither a topic nor a plain name of up to 256 bytes", p->file,
                bytes_escape(name, said, sizeof said));
        topic = bytes_of(text,
                         (size_t)snprintf(text, sizeof text, "$jobs/%s/%.*s", p->name, BYTES_FMT(name)));
    } else if (!topic_name_valid(topic, TOPIC_BYTES, TOPIC_LEVELS) || bytes_starts(topic, "$")) {
        return FAIL_FG(why, CODE_USAGE, 6113,
                       "%s: '%s' is not a topic to publish to: no wildcards, not below $", p->file,
                       bytes_escape(topic, said, sizeof said));
    }
    p->targets[output] = keep(p, topic);
    return p->targets[output].at ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for a job");
}

static enum code find_outputs(struct job_plan *p, const struct job_spec *spec, struct fault *why)
{
    enum code c = CODE_OK;
    p->targets = arena_zero(&p->arena, (query_outputs(p->query) + 1) * sizeof *p->targets);
    p->files = arena_zero(&p->arena, (query_outputs(p->query) + 1) * sizeof *p->files);
    if (!p->targets || !p->files)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a job");
    for (uint32_t i = 0; c == CODE_OK && i < query_outputs(p->query); i++)
        c = find_output(p, spec, i, why);
    return c;
}

/* A row that comes back makes the next one, for ever. */
static enum code check_circle(const struct job_plan *p, struct fault *why)
{
    char said[128], filter_said[128];
    for (uint32_t i = 0; i < query_outputs(p->query); i++) {
        struct bytes filter = job_plan_reads(p, p->targets[i]);
        if (filter.len)
            return FAIL_FG(why, CODE_USAGE, 6138,
                           "%s: the job would read what it writes: '%s', which '%s' matches. Write to a topic that"
                           " it does not read, or read less",
                           p->file, bytes_escape(p->targets[i], said, sizeof said),
                           bytes_escape(filter, filter_said, sizeof filter_said));
    }
    return CODE_OK;
}

static enum code find_references(struct job_plan *p, const struct job_spec *spec, struct fault *why)
{
    uint32_t n = query_references(p->query);
    p->reference_files = arena_zero(&p->arena, (n + 1) * sizeof *p->reference_files);
    bool ok = p->reference_files != NULL;
    for (uint32_t i = 0; ok && i < n; i++) {
        const struct job_pair *pair = pair_of(spec->references, spec->reference_count,
                                              query_reference(p->query, i));
        FG_ASSERT(pair);
        p->reference_files[i] = arena_text(&p->arena, bytes_str(pair->to));
        ok = p->reference_files[i] != NULL;
    }
    return ok ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for a job");
}

/* ---- the whole ---- */

static uint64_t mix(uint64_t mark, const void *at, size_t n)
{
    return hash_partition(bytes_of(at, n)) ^ (mark << 7 | mark >> 57);
}

static uint64_t mark_of(const struct job_plan *p)
{
    const struct query_options *o = &p->options;
    uint64_t numbers[] = {(uint64_t)o->late, (uint64_t)o->out_of_order, o->policy,          o->model,
                          o->warm_up_report, o->stop_on_error,          o->lowercase_names, o->ignore_case};
    uint64_t mark = mix(1, p->sql.at, p->sql.len);
    mark = mix(mark, numbers, sizeof numbers);
    for (size_t i = 0; i < p->way_count; i++)
        mark = mix(mark, &p->ways[i].number, 4);
    for (uint32_t i = 0; i < query_outputs(p->query); i++)
        mark = mix(mark, p->targets[i].at, p->targets[i].len);
    for (uint32_t i = 0; i < query_references(p->query); i++)
        mark = mix(mark, p->reference_files[i], strlen(p->reference_files[i]));
    return mark;
}

static enum code make(struct job_plan *p, const struct job_spec *spec, struct fault *why)
{
    p->name = arena_text(&p->arena, bytes_str(spec->name));
    p->file = arena_text(&p->arena, bytes_str(spec->file));
    if (!p->name || !p->file)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a job");
    p->sql = keep(p, spec->sql);
    p->options = spec->options;
    p->options.file = p->file;
    p->options.is_reference = is_reference;
    p->options.ctx = (void *)(uintptr_t)spec;
    enum code c = query_compile(&p->query, spec->sql, &p->options, why);
    p->options.is_reference = NULL;
    p->options.ctx = NULL;
    if (c == CODE_OK)
        c = find_inputs(p, spec, why);
    if (c == CODE_OK)
        c = find_outputs(p, spec, why);
    if (c == CODE_OK)
        c = check_circle(p, why);
    if (c == CODE_OK)
        c = find_references(p, spec, why);
    if (c == CODE_OK)
        p->mark = mark_of(p);
    return c;
}

enum code job_plan_new(struct job_plan **out, const struct job_spec *spec, struct fault *why)
{
    char said[128];
    if (!job_name_ok(spec->name))
        return FAIL_FG(why, CODE_USAGE, 6114,
                       "'%s' cannot be the name of a job: letters, digits, - and _, up to %d of them",
                       bytes_escape(bytes_str(spec->name), said, sizeof said), JOB_NAME_MAX);
    struct job_plan *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a job");
    arena_init(&p->arena, NULL, 0, PLAN_BYTES_MAX);
    enum code c = make(p, spec, why);
    if (c == CODE_OK)
        *out = p;
    else
        job_plan_free(p);
    return c;
}

void job_plan_free(struct job_plan *p)
{
    if (!p)
        return;
    query_free(p->query);
    arena_clear(&p->arena);
    mem_free(p);
}

const char *job_plan_name(const struct job_plan *p)
{
    return p->name;
}

const struct query *job_plan_query(const struct job_plan *p)
{
    return p->query;
}

void job_plan_source(const struct job_plan *p, uint32_t input, struct buf *out)
{
    size_t from = out->len;
    for (size_t i = 0; i < p->way_count; i++)
        if (p->ways[i].input == input && p->ways[i].filter.len)
            buf_printf(out, "%s%.*s", out->len > from ? ", " : "", BYTES_FMT(p->ways[i].filter));
}

bool job_plan_input_filter(const struct job_plan *p, uint32_t input, size_t i, struct bytes *filter)
{
    for (size_t w = 0; w < p->way_count; w++)
        if (p->ways[w].input == input && p->ways[w].filter.len && i-- == 0) {
            *filter = p->ways[w].filter;
            return true;
        }
    return false;
}

struct bytes job_plan_sql(const struct job_plan *p)
{
    return p->sql;
}

const struct query_options *job_plan_options(const struct job_plan *p)
{
    return &p->options;
}

const char *job_plan_reference_file(const struct job_plan *p, uint32_t reference)
{
    return p->reference_files[reference];
}

bool job_plan_filter(const struct job_plan *p, size_t i, struct bytes *filter)
{
    for (size_t w = 0; w < p->way_count; w++)
        if (p->ways[w].filter.len && i-- == 0) {
            *filter = p->ways[w].filter;
            return true;
        }
    return false;
}

struct bytes job_plan_reads(const struct job_plan *p, struct bytes topic)
{
    for (size_t i = 0; i < p->way_count; i++)
        if (p->ways[i].filter.len && topic_matches(p->ways[i].filter, topic))
            return p->ways[i].filter;
    return BYTES_NONE;
}

struct bytes job_plan_target(const struct job_plan *p, uint32_t output)
{
    return p->targets[output];
}

uint32_t job_input_number(const struct job_plan *p, struct bytes input)
{
    for (size_t i = 0; i < p->way_count; i++)
        if (!p->ways[i].filter.len && bytes_equal(query_input(p->query, p->ways[i].input), input))
            return p->ways[i].number;
    return 0;
}
