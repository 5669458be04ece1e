/* job_file.c - one `.sql` file: its own settings, its text, and what the node's settings say of it, as a job's plan. */
#include "flow/flow_private.h"

#include "base/mem.h"

#include <stdio.h>

enum { SQL_BYTES_MAX = 64 * 1024, PAIRS = 64, STATE_BYTES = 256 << 20 /* unless it says otherwise */ };

/* ---- "--@ " lines ---- */

static struct bytes line_of(struct bytes text, size_t from)
{
    const uint8_t *end = from < text.len ? memchr(text.at + from, '\n', text.len - from) : NULL;
    return bytes_of(text.at + from, end ? (size_t)(end - text.at) - from : text.len - from);
}

/* The settings in front of the query, as a settings file with one job; its first line is the file's first. */
static enum code own_settings(const struct settings **out, const struct io *io, const char *path,
                              struct bytes sql, struct fault *why)
{
    struct buf yaml = {0};
    bool any = false;
    *out = NULL;
    for (size_t at = 0; at < sql.len;) {
        struct bytes line = line_of(sql, at);
        if (!bytes_starts(line, "--@"))
            break;
        if (!any)
            buf_printf(
                &yaml,
                "jobs: { own: { sql: \"-\" "); /* on the first line, so that lines are those of the file */
        any = true;
        struct bytes said = bytes_from(line, 3);
        if (said.len && said.at[said.len - 1] == '\r')
            said.len--;
        buf_printf(&yaml, "  , %.*s\n", BYTES_FMT(said)); /* indented, or it ends what the first line began */
        at += line.len + 1;
    }
    if (!any)
        return CODE_OK;
    buf_printf(&yaml, "  } }\n");
    struct settings_source source = {0};
    enum code c = yaml.bad ? FAIL(why, CODE_NOMEM, 0, "no memory for a job's settings")
                           : settings_parse(out, io, &source, path, buf_bytes(&yaml), NULL, why);
    buf_clear(&yaml);
    return c;
}

/* ---- together ---- */

static int64_t ticks(uint32_t seconds)
{
    return (int64_t)seconds * 10000000;
}

static void set_options(struct query_options *o, const struct settings_job *j)
{
    o->late = j->late_s == UINT32_MAX ? STREAM_LATE_UNLIMITED : ticks(j->late_s);
    o->out_of_order = ticks(j->out_of_order_s);
    o->policy = j->policy == JOB_DROP ? STREAM_DROP : STREAM_ADJUST;
    o->model = j->model == JOB_MODEL_KDE ? STREAM_KDE : STREAM_FIELDGATE;
    o->warm_up_report = j->warm_up == JOB_WARM_UP_REPORT;
    o->stop_on_error = j->on_error == JOB_ERROR_STOP;
    o->lowercase_names = j->names == JOB_NAMES_LOWER;
    o->ignore_case = j->collation == JOB_COLLATION_IGNORE_CASE;
    o->state_bytes = j->state_bytes;
}

static size_t put_pairs(struct job_pair *to, const struct settings_pairs *from)
{
    size_t n = from->count < PAIRS ? from->count : PAIRS;
    for (size_t i = 0; i < n; i++)
        to[i] = (struct job_pair){from->at[i].name, from->at[i].to};
    return n;
}

static enum code make_plan(struct job_plan **out, const struct settings *s, const char *path,
                           const char *name, struct bytes sql, const struct settings_job *said,
                           struct fault *why)
{
    struct job_pair inputs[PAIRS], outputs[PAIRS], references[PAIRS];
    struct job_spec spec = {.name = name,
                            .file = path,
                            .sql = sql,
                            .inputs = inputs,
                            .outputs = outputs,
                            .references = references,
                            .events = s->hub.topics.at,
                            .event_count = s->hub.topics.count};
    query_options_default(&spec.options);
    if (said) {
        set_options(&spec.options, said);
        spec.input_count = put_pairs(inputs, &said->inputs);
        spec.output_count = put_pairs(outputs, &said->outputs);
        spec.reference_count = put_pairs(references, &said->references);
    }
    return job_plan_new(out, &spec, why);
}

/* An entry that says nothing but its file leaves the file's own settings alone. */
static bool says_anything(const struct settings_job *j)
{
    return j && (j->inputs.count || j->outputs.count || j->references.count || j->late_s != 5 ||
                 j->out_of_order_s || j->policy != JOB_ADJUST || j->model != JOB_MODEL_FIELDGATE ||
                 j->warm_up != JOB_WARM_UP_SILENT || j->on_error != JOB_ERROR_DROP ||
                 j->names != JOB_NAMES_KEEP || j->collation != JOB_COLLATION_ORDINAL ||
                 j->state_bytes != STATE_BYTES);
}

enum code job_text_plan(struct job_plan **out, const struct settings *s, const struct io *io,
                        const char *path, const char *name, struct bytes sql, const struct settings_job *said,
                        struct fault *why)
{
    const struct settings *own;
    bool any = says_anything(said);
    enum code c = own_settings(&own, io, path, sql, why);
    if (c != CODE_OK)
        return c;
    const struct settings_job *mine = own ? own->jobs.at : NULL;
    if (mine && any)
        c = FAIL_FG(
            why, CODE_EXISTS, 6118,
            "%s has settings of its own (--@), and the entry of job %s has some, too: keep one of them", path,
            name);
    else
        c = make_plan(out, s, path, name, sql, any ? said : mine, why);
    settings_free(own);
    return c;
}

enum code job_file_plan(struct job_plan **out, const struct settings *s, const struct io *io,
                        const char *path, const char *name, const struct settings_job *said,
                        struct fault *why)
{
    char *text;
    size_t len;
    struct fault inner;
    enum code c = io_load(io, path, SQL_BYTES_MAX, &text, &len, &inner);
    if (c == CODE_LIMIT)
        return FAIL_FG(why, CODE_LIMIT, 6116, "%s: a query of more than %d KiB (L-SQL)", path,
                       SQL_BYTES_MAX / 1024);
    if (c != CODE_OK)
        return FAIL_FG(why, c, 6117, "job %s: %s", name, inner.text);
    c = job_text_plan(out, s, io, path, name, bytes_of(text, len), said, why);
    mem_free(text);
    return c;
}
