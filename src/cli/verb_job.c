/* job check, apply, list, explain, models, rm: streaming SQL in the running node. */
#include "base/mem.h"
#include "cli/job_verbs.h"
#include "cli/verbs.h"
#include "flow/flow.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { SQL_BYTES_MAX = 64 * 1024, TARGET_BYTES = 4096, KEY_BYTES = 1024 };

struct job_flags {
    struct config_flags config;
    enum output_format format;
    const char *name;
    bool all;
};

/* ---- asking ---- */

static const char *argument(const struct verb_call *call, size_t i)
{
    return i < call->options->args.count ? call->options->args.at[i] : NULL;
}

/* Percent-encoded for a query [RFC 3986, 2.1]. */
static bool add_query(char *target, size_t cap, const char *key, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = strlen(target);
    n += (size_t)snprintf(target + n, cap - n, "%c%s=", strchr(target, '?') ? '&' : '?', key);
    for (; *value && n + 4 < cap; value++) {
        unsigned char c = (unsigned char)*value;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                     c == '_';
        if (plain) {
            target[n++] = (char)c;
            continue;
        }
        target[n++] = '%';
        target[n++] = hex[c >> 4];
        target[n++] = hex[c & 15];
    }
    target[n] = 0;
    return !*value;
}

/* The answer as JSON, or the status to end with (*tree NULL). `posted` NULL: GET. */
static int ask_about(const struct verb_call *call, const char *path, const char *name, const char *key,
                     const struct bytes *posted, json_t **tree)
{
    const struct job_flags *given = call->values;
    return job_ask(call, &given->config, path, name, key, posted, tree);
}

int job_ask(const struct verb_call *call, const struct config_flags *config, const char *path, const char *name,
            const char *key, const struct bytes *posted, json_t **tree)
{
    struct api_client client;
    struct answer answer;
    struct fault why;
    char target[TARGET_BYTES];
    *tree = NULL;
    int status = api_client_find(call, config, &client);
    if (status != STATUS_DONE)
        return status;
    (void)snprintf(target, sizeof target, "%s", path);
    if ((name && !add_query(target, sizeof target, "name", name)) ||
        (key && !add_query(target, sizeof target, "key", key)))
        return verb_usage(call, "a name of at most %d bytes is expected", JOB_NAME_MAX);
    if (ask(&client, target, posted, &answer, &why) != CODE_OK) /* a query that is refused is no wrong usage */
        return verb_fail(call, &why) == STATUS_NOT_RUNNING ? STATUS_NOT_RUNNING : STATUS_FAILED;
    *tree = json_incref(answer.tree);
    answer_clear(&answer);
    return STATUS_DONE;
}

static void put_decimal(struct output *o, const json_t *m, const char *key, int digits)
{
    const json_t *v = json_object_get(m, key);
    if (json_is_number(v))
        output_decimal(o, json_number_value(v), digits);
    else
        output_none(o);
}

/* ---- list ---- */

static uint64_t dropped(const json_t *job)
{
    const char *key;
    json_t *v;
    uint64_t sum = 0;
    json_object_foreach(json_object_get(job, "dropped"), key, v) sum += (uint64_t)json_integer_value(v);
    return sum;
}

static int run_list(struct verb_call *call)
{
    static const struct column columns[] = {
        {"JOB", "name", COLUMN_TEXT},        {"STATE", "state", COLUMN_TEXT},
        {"LAG", "lag", COLUMN_NUMBER},       {"BEHIND S", "behind-seconds", COLUMN_NUMBER},
        {"EVENTS", "events", COLUMN_NUMBER},
        {"ROWS", "rows", COLUMN_NUMBER},     {"DROPPED", "dropped", COLUMN_NUMBER},
        {"MODELS", "models", COLUMN_NUMBER}, {"STATE BYTES", "state-bytes", COLUMN_NUMBER},
        {"WHY", "why", COLUMN_TEXT}};
    const struct job_flags *given = call->values;
    struct output o;
    json_t *tree;
    int status = ask_about(call, "/api/v1/jobs", NULL, NULL, NULL, &tree);
    if (status != STATUS_DONE)
        return status;
    output_open(&o, call->out, given->format, "jobs", columns, sizeof columns / sizeof columns[0]);
    size_t i;
    json_t *job;
    json_array_foreach(json_object_get(tree, "jobs"), i, job)
    {
        output_text(&o, bytes_str(member_text(job, "name")));
        output_text(&o, bytes_str(member_text(job, "state")));
        output_count(&o, member_count(job, "lag"));
        put_decimal(&o, job, "behind-seconds", 1);
        output_count(&o, member_count(job, "events"));
        output_count(&o, member_count(job, "rows"));
        output_count(&o, dropped(job));
        output_count(&o, member_count(job, "models"));
        output_count(&o, member_count(job, "state-bytes"));
        output_text(&o, bytes_str(member_text(job, "why")));
    }
    json_decref(tree);
    return output_close(&o);
}

/* ---- models ---- */

static int run_models(struct verb_call *call)
{
    static const struct column columns[] = {{"MODEL", "key", COLUMN_TEXT},
                                            {"STATE", "state", COLUMN_TEXT},
                                            {"SEEN", "seen", COLUMN_NUMBER},
                                            {"LEARNED", "learned", COLUMN_TEXT},
                                            {"LAST", "last", COLUMN_NUMBER},
                                            {"LOW", "expected-low", COLUMN_NUMBER},
                                            {"HIGH", "expected-high", COLUMN_NUMBER},
                                            {"LAST SCORE", "last-score", COLUMN_NUMBER},
                                            {"ANOMALIES", "anomalies", COLUMN_NUMBER}};
    const struct job_flags *given = call->values;
    struct output o;
    json_t *tree, *m;
    size_t i;
    int status = ask_about(call, "/api/v1/jobs/models", argument(call, 0), NULL, NULL, &tree);
    if (status != STATUS_DONE)
        return status;
    output_open(&o, call->out, given->format, "models", columns, sizeof columns / sizeof columns[0]);
    json_array_foreach(json_object_get(tree, "models"), i, m)
    {
        output_text(&o, bytes_str(member_text(m, "key")));
        output_text(&o, bytes_str(member_text(m, "state")));
        output_count(&o, member_count(m, "seen"));
        output_printf(&o, "%" PRIu64 "/%" PRIu64, member_count(m, "learned"), member_count(m, "of"));
        put_decimal(&o, m, "last", 4);
        put_decimal(&o, m, "expected-low", 4);
        put_decimal(&o, m, "expected-high", 4);
        put_decimal(&o, m, "last-score", 4);
        output_count(&o, member_count(m, "anomalies"));
    }
    json_decref(tree);
    return output_close(&o);
}

static int run_forget(struct verb_call *call)
{
    const struct job_flags *given = call->values;
    const char *key = argument(call, 1);
    json_t *tree;
    struct bytes nothing = BYTES_NONE;
    if (!key && !given->all)
        return verb_usage(call, "name the model (as MODEL of `fieldgate job models` shows it), or --all");
    int status = ask_about(call, "/api/v1/jobs/models", argument(call, 0), key ? key : "", &nothing, &tree);
    json_decref(tree);
    return status;
}

/* ---- explain ---- */

static void print_plan(FILE *to, const json_t *plan)
{
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(plan, "inputs"), i, one)
    {
        const char *topics = member_text(one, "topics");
        (void)fprintf(to, "  reads   %s from %s\n", member_text(one, "name"), topics[0] ? topics : "routes");
    }
    json_array_foreach(json_object_get(plan, "outputs"), i, one)(void)
        fprintf(to, "  writes  %s to %s\n", member_text(one, "name"), member_text(one, "topic"));
    const char *lines = member_text(plan, "explain");
    while (*lines) {
        int n = (int)strcspn(lines, "\n");
        (void)fprintf(to, "  %.*s\n", n, lines);
        lines += n + (lines[n] == '\n');
    }
}

static int run_explain(struct verb_call *call)
{
    const struct job_flags *given = call->values;
    json_t *tree;
    int status = ask_about(call, "/api/v1/jobs/explain", argument(call, 0), NULL, NULL, &tree);
    if (status != STATUS_DONE)
        return status;
    if (given->format == OUTPUT_TABLE) {
        (void)fprintf(call->out, "%s\n", member_text(tree, "name"));
        print_plan(call->out, tree);
    } else {
        (void)json_dumpf(tree, call->out, JSON_COMPACT);
        (void)fputc('\n', call->out);
    }
    json_decref(tree);
    return STATUS_DONE;
}

/* ---- check ---- */

static void print_checked(const struct verb_call *call, const char *path, const struct job_plan *p)
{
    const struct query *q = job_plan_query(p);
    struct buf text = {0};
    (void)fprintf(call->out, "%s: ok\n", path);
    for (uint32_t i = 0; i < query_inputs(q); i++) {
        buf_reset(&text);
        job_plan_source(p, i, &text);
        (void)fprintf(call->out, "  reads   %.*s from %.*s%s\n", BYTES_FMT(query_input(q, i)),
                      BYTES_FMT(buf_bytes(&text)), buf_size(&text) ? "" : "routes");
    }
    for (uint32_t i = 0; i < query_outputs(q); i++)
        (void)fprintf(call->out, "  writes  %.*s to %.*s\n", BYTES_FMT(query_output(q, i)),
                      BYTES_FMT(job_plan_target(p, i)));
    for (uint32_t i = 0; i < query_warnings(q); i++)
        (void)fprintf(call->out, "  !!  %s\n", query_warning(q, i));
    buf_clear(&text);
}

static int run_check(struct verb_call *call)
{
    const struct job_flags *given = call->values;
    const struct settings *s;
    int status = config_load(call, &given->config, &s);
    if (status != STATUS_DONE)
        return status;
    for (size_t i = 0; i < call->options->args.count; i++) {
        struct job_plan *p;
        struct fault why;
        const char *path = argument(call, i);
        if (flow_check_file(&p, s, call->io, path, NULL, &why) != CODE_OK) {
            (void)verb_fail(call, &why);
            status = STATUS_FAILED;
            continue;
        }
        if (query_warnings(job_plan_query(p)) && status == STATUS_DONE)
            status = STATUS_WARNINGS;
        print_checked(call, path, p);
        job_plan_free(p);
    }
    settings_free(s);
    return status;
}

/* ---- apply, rm ---- */

static void name_of(const char *path, char out[JOB_NAME_ROOM])
{
    const char *name = strrchr(path, '/');
    name = name ? name + 1 : path;
    size_t n = strlen(name);
    n -= n > 4 && strcmp(name + n - 4, ".sql") == 0 ? 4 : 0;
    (void)snprintf(out, JOB_NAME_ROOM, "%.*s", (int)(n < JOB_NAME_ROOM ? n : JOB_NAME_ROOM), name);
}

static int run_apply(struct verb_call *call)
{
    const struct job_flags *given = call->values;
    const char *path = argument(call, 0);
    char *text, name[JOB_NAME_ROOM];
    size_t len;
    struct fault why;
    json_t *tree;
    if (given->name)
        (void)snprintf(name, sizeof name, "%s", given->name);
    else
        name_of(path, name);
    if (io_load(call->io, path, SQL_BYTES_MAX, &text, &len, &why) != CODE_OK)
        return verb_fail(call, &why);
    struct bytes sql = bytes_of(text, len);
    int status = ask_about(call, "/api/v1/jobs", name, NULL, &sql, &tree);
    mem_free(text);
    json_decref(tree);
    if (status != STATUS_DONE)
        return status;
    (void)fprintf(call->err,
                  "job %s is in place. What it does: fieldgate job list, fieldgate job explain %s\n", name,
                  name);
    return STATUS_DONE;
}

static int run_rm(struct verb_call *call)
{
    struct bytes nothing = BYTES_NONE;
    json_t *tree;
    int status = ask_about(call, "/api/v1/jobs/remove", argument(call, 0), NULL, &nothing, &tree);
    json_decref(tree);
    return status;
}

/* ---- the verbs ---- */

static const struct flag plain_flags[] = {CONFIG_FLAGS(struct job_flags, config), FLAGS_END};
static const struct flag output_flags[] = {CONFIG_FLAGS(struct job_flags, config),
                                           FLAG_OUTPUT(struct job_flags, format), FLAGS_END};
static const struct flag apply_flags[] = {
    CONFIG_FLAGS(struct job_flags, config),
    {0, "name", FLAG_TEXT, FLAG_FIELD(struct job_flags, name), .value = "NAME",
     .help = "what the job is called; default: the file's name without .sql"},
    FLAGS_END,
};
static const struct flag forget_flags[] = {
    CONFIG_FLAGS(struct job_flags, config),
    {0, "all", FLAG_SWITCH, FLAG_FIELD(struct job_flags, all), .help = "every model of the job"},
    FLAGS_END,
};

static const struct verb job_check = {
    .name = "check",
    .group = "streaming SQL",
    .summary = "read a query and say what it does, or what is wrong with it",
    .detail = "Needs no node. Exit status: 0 right, 1 wrong, 4 right with warnings.",
    .examples = {"fieldgate job check humidity.sql", "fieldgate job check jobs/*.sql",
                 "fieldgate job check --config f.yaml a.sql"},
    .args = "FILE...",
    .args_min = 1,
    .args_max = 1000,
    .flags = plain_flags,
    .values_size = sizeof(struct job_flags),
    .run = run_check,
};
static const struct verb job_apply = {
    .name = "apply",
    .group = "streaming SQL",
    .summary = "put a query in place in the running node, or replace it",
    .detail = "The node keeps a copy in its data directory; it is there after a restart. A query that has "
              "changed goes on with\n"
              "what waits for it and learns anew. Jobs that the settings file declares are changed there.",
    .examples = {"fieldgate job apply humidity.sql", "fieldgate job apply --name cooling /tmp/q.sql",
                 "fieldgate job apply --data ./data humidity.sql"},
    .args = "FILE",
    .args_min = 1,
    .args_max = 1,
    .flags = apply_flags,
    .values_size = sizeof(struct job_flags),
    .run = run_apply,
};
static const struct verb job_list = {
    .name = "list",
    .group = "streaming SQL",
    .summary = "all jobs: how far, how much, what is wrong",
    .detail = "STATE: running; blocked (what it has to say is refused, tried again); paused (its state is "
              "full); stopped (an\n"
              "event it must not go on after). LAG: messages that wait to be read. BEHIND S: how many seconds ago came what\n"
              "it read last, when some wait.",
    .examples = {"fieldgate job list", "fieldgate job list -o json", "fieldgate job list --data ./data"},
    .flags = output_flags,
    .values_size = sizeof(struct job_flags),
    .run = run_list,
};
static const struct verb job_explain = {
    .name = "explain",
    .group = "streaming SQL",
    .summary = "how a job's query is worked off",
    .examples = {"fieldgate job explain humidity", "fieldgate job explain humidity -o json",
                 "fieldgate job explain --data ./data cooling"},
    .args = "JOB",
    .args_min = 1,
    .args_max = 1,
    .flags = output_flags,
    .values_size = sizeof(struct job_flags),
    .run = run_explain,
};
static const struct verb job_models = {
    .name = "models",
    .group = "streaming SQL",
    .summary = "what a job's anomaly functions have learned, one line for each key",
    .detail =
        "EXPECTED is what would not surprise it: LOW to HIGH. A model that is learning says nothing yet.",
    .examples = {"fieldgate job models humidity", "fieldgate job models humidity -o csv",
                 "fieldgate job models --data ./data humidity"},
    .args = "JOB",
    .args_min = 1,
    .args_max = 1,
    .flags = output_flags,
    .values_size = sizeof(struct job_flags),
    .run = run_models,
};
static const struct verb job_forget = {
    .name = "forget",
    .group = "streaming SQL",
    .summary = "let a model learn anew",
    .examples = {"fieldgate job forget humidity '\"press-1\"'", "fieldgate job forget humidity --all",
                 "fieldgate job forget --data ./data humidity --all"},
    .args = "JOB [MODEL]",
    .args_min = 1,
    .args_max = 2,
    .flags = forget_flags,
    .values_size = sizeof(struct job_flags),
    .run = run_forget,
};
static const struct verb job_rm = {
    .name = "rm",
    .group = "streaming SQL",
    .summary = "remove a job that `job apply` made; what it has learned and what waits for it go with it",
    .examples = {"fieldgate job rm humidity", "fieldgate job rm --data ./data humidity",
                 "fieldgate job rm cooling"},
    .args = "JOB",
    .args_min = 1,
    .args_max = 1,
    .flags = plain_flags,
    .values_size = sizeof(struct job_flags),
    .run = run_rm,
};

static const struct verb *const children[] = {&job_apply, &job_check,  &job_explain, &job_forget,
                                              &job_list,  &job_models, &job_replay,  &job_rm, NULL};

const struct verb verb_job = {
    .name = "job",
    .group = "streaming SQL",
    .summary = "streaming SQL that runs in the node: check, apply, list, explain, models, forget, replay, rm",
    .children = children,
};
