/* `fieldgate job replay`: what a job would have found in the events that the partitions keep. The live job is not touched: its query
 * is asked for, run here, and fed with what GET /api/v1/events gives. */
#include "base/base64.h"
#include "base/mem.h"
#include "base/suggest.h"
#include "base/values.h"
#include "cli/event_line.h"
#include "cli/job_verbs.h"
#include "mqtt/topic.h"
#include "stream/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { REFERENCE_MAX = 256 << 20 };

struct replay_flags {
    struct config_flags config;
    int64_t since_us, until_us;
    struct texts set;
};

struct replay {
    const struct verb_call *call;
    const struct replay_flags *given;
    json_t *plan; /* as the node says it */
    struct query_options options;
    struct query *query;
    struct stream *stream;
    struct buf body;
    json_t *head; /* of the event that is being fed */
    uint64_t seen, fed, rows, unreadable;
    int64_t first_us, last_us;
    bool failed;
    struct fault why;
};

static struct bytes bytes_at(const json_t *v)
{
    return json_is_string(v) ? bytes_of(json_string_value(v), json_string_length(v)) : BYTES_NONE;
}

/* ---- the query ---- */

static bool is_reference(void *ctx, struct bytes name)
{
    const struct replay *r = ctx;
    size_t i;
    const json_t *one;
    json_array_foreach(json_object_get(r->plan, "references"), i, one)
        if (bytes_equal(bytes_at(json_object_get(one, "name")), name))
            return true;
    return false;
}

static int64_t ticks_of(const json_t *options, const char *key)
{
    const json_t *v = json_object_get(options, key);
    return json_is_integer(v) ? json_integer_value(v) * 10000000 : STREAM_LATE_UNLIMITED;
}

static void take_options(struct replay *r)
{
    const json_t *o = json_object_get(r->plan, "options");
    query_options_default(&r->options);
    r->options.file = member_text(r->plan, "name");
    r->options.late = ticks_of(o, "late");
    r->options.out_of_order = ticks_of(o, "out-of-order");
    r->options.policy = strcmp(member_text(o, "policy"), "drop") == 0 ? STREAM_DROP : STREAM_ADJUST;
    r->options.model = strcmp(member_text(o, "model"), "kde") == 0 ? STREAM_KDE : STREAM_FIELDGATE;
    r->options.warm_up_report = json_is_true(json_object_get(o, "warm-up-report"));
    r->options.stop_on_error = json_is_true(json_object_get(o, "stop-on-error"));
    r->options.lowercase_names = json_is_true(json_object_get(o, "lowercase-names"));
    r->options.ignore_case = json_is_true(json_object_get(o, "ignore-case"));
    r->options.state_bytes = (uint64_t)json_integer_value(json_object_get(o, "state-bytes"));
    r->options.is_reference = is_reference;
    r->options.ctx = r;
}

static int set_model(struct replay *r, const char *value)
{
    if (strcmp(value, "kde") != 0 && strcmp(value, "fieldgate") != 0)
        return verb_usage(r->call, "--set model=%s: it is fieldgate or kde", value);
    r->options.model = strcmp(value, "kde") == 0 ? STREAM_KDE : STREAM_FIELDGATE;
    return STATUS_DONE;
}

/* "confidence=95" */
static int set_one(struct replay *r, const char *said)
{
    static const char *const words[] = {"confidence", "history", "model"};
    const char *is = strchr(said, '=');
    size_t n = is ? (size_t)(is - said) : strlen(said);
    char *end = NULL;
    struct bytes key = bytes_of(said, n);
    if (!is || !is[1])
        return verb_usage(r->call, "--set %s: expected NAME=VALUE, such as confidence=95", said);
    if (bytes_is(key, "model"))
        return set_model(r, is + 1);
    if (bytes_is(key, "confidence")) {
        r->options.confidence = strtod(is + 1, &end);
        if (!*end && r->options.confidence >= 1 && r->options.confidence <= 100)
            return STATUS_DONE;
        return verb_usage(r->call, "--set %s: confidence is a percentage from 1 to 100", said);
    }
    if (bytes_is(key, "history")) {
        unsigned long v = strtoul(is + 1, &end, 10);
        r->options.history = v <= UINT32_MAX ? (uint32_t)v : 0;
        if (!*end && is[1] != '-' && r->options.history)
            return STATUS_DONE;
        return verb_usage(r->call, "--set %s: history is a whole number of events, such as 120", said);
    }
    const char *near = suggest_word(key, words, 3);
    return verb_usage(r->call, "--set %s: only confidence, history and model can be set%s%s%s", said,
                      near ? ". Did you mean " : "", near ? near : "", near ? "?" : "");
}

static enum code load_references(struct replay *r, struct fault *why)
{
    size_t i;
    const json_t *one;
    enum code c = CODE_OK;
    json_array_foreach(json_object_get(r->plan, "references"), i, one) {
        const char *path = member_text(one, "file");
        size_t n = strlen(path), len;
        char *text;
        c = io_load(r->call->io, path, REFERENCE_MAX, &text, &len, why);
        if (c != CODE_OK)
            break;
        c = stream_reference(r->stream, (uint32_t)i, n > 4 && strcmp(path + n - 4, ".csv") == 0 ? STREAM_CSV : STREAM_JSON,
                             bytes_of(text, len), why);
        mem_free(text);
        if (c != CODE_OK)
            break;
    }
    return c;
}

/* ---- rows ---- */

static void on_row(void *ctx, const struct stream_row *row)
{
    struct replay *r = ctx;
    struct buf line = {0};
    char time[DATETIME_TEXT + 1];
    datetime_text(row->time, time);
    buf_printf(&line, "{\"output\":");
    buf_json(&line, query_output(r->query, row->output));
    buf_printf(&line, ",\"time\":\"%s\",\"row\":", time);
    buf_add_bytes(&line, row->json);
    buf_printf(&line, "}\n");
    if (!line.bad)
        (void)fwrite(line.at, 1, buf_size(&line), r->call->out);
    buf_clear(&line);
    r->rows++;
}

/* ---- events ---- */

static bool property(void *ctx, struct bytes name, struct bytes *value)
{
    const struct replay *r = ctx;
    size_t i;
    const json_t *pair;
    name = stream_user_property(name);
    json_array_foreach(json_object_get(json_object_get(r->head, "properties"), "user"), i, pair)
        if (bytes_equal(bytes_at(json_array_get(pair, 0)), name)) {
            *value = bytes_at(json_array_get(pair, 1));
            return true;
        }
    return false;
}

static bool reads(const json_t *input, struct bytes topic)
{
    size_t i;
    const json_t *filter;
    json_array_foreach(json_object_get(input, "filters"), i, filter)
        if (topic_matches(bytes_at(filter), topic))
            return true;
    return false;
}

/* The payload as it was: JSON as it stands in the line, a text without its escapes, or base64. */
static bool take_body(struct replay *r, struct bytes raw)
{
    buf_reset(&r->body);
    if (raw.len && raw.at[0] != '"') {
        buf_add_bytes(&r->body, raw);
    } else if (raw.len) {
        json_t *text = json_loadb((const char *)raw.at, raw.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        buf_add_bytes(&r->body, bytes_at(text));
        json_decref(text);
    } else {
        struct bytes text = bytes_str(member_text(r->head, "body-base64"));
        size_t n = 0;
        uint8_t *to = buf_grow(&r->body, text.len);
        if (to && base64_read(text, to, text.len, &n))
            r->body.len = r->body.from + n;
    }
    return !r->body.bad;
}

static enum code feed(struct replay *r, int64_t us)
{
    struct bytes topic = bytes_at(json_object_get(r->head, "topic"));
    size_t i;
    const json_t *input;
    enum code c = CODE_OK;
    bool any = false;
    json_array_foreach(json_object_get(r->plan, "inputs"), i, input) {
        if (!reads(input, topic))
            continue;
        any = true;
        struct stream_message m = {.input = (uint32_t)i,
                                   .body = buf_bytes(&r->body),
                                   .arrival = DATETIME_UNIX + us * 10,
                                   .source = bytes_at(json_object_get(r->head, "source")),
                                   .topic = topic,
                                   .property = property,
                                   .ctx = r};
        c = stream_feed(r->stream, &m, &r->why);
        if (c != CODE_OK)
            break;
    }
    r->fed += any;
    r->first_us = r->seen ? r->first_us : us;
    r->last_us = us;
    r->seen++;
    return c;
}

/* False: it ends here, with r->why. */
static bool take_event(struct replay *r, struct bytes raw)
{
    int64_t us;
    const json_t *error = json_object_get(r->head, "error");
    if (error && json_object_get(r->head, "partition")) {
        r->unreadable++; /* damaged on disk; what follows is not */
        return true;
    }
    enum code c = CODE_DAMAGED;
    if (error || value_parse_time(bytes_str(member_text(r->head, "enqueued")), 0, &us, &r->why) != CODE_OK)
        (void)FAIL(&r->why, CODE_DAMAGED, 0, "%s", error ? member_text(error, "message") : "the node said what is no event");
    else if (!take_body(r, raw))
        c = FAIL(&r->why, CODE_NOMEM, 0, "no memory for an event");
    else
        c = feed(r, us);
    r->failed = c != CODE_OK;
    return !r->failed;
}

static bool on_line(void *ctx, struct bytes line)
{
    struct replay *r = ctx;
    struct bytes raw;
    r->head = event_line_head(line, &raw);
    bool on = take_event(r, raw);
    json_decref(r->head);
    r->head = NULL;
    return on && !ferror(r->call->out);
}

static bool on_rest(void *ctx)
{
    struct replay *r = ctx;
    return fflush(r->call->out) == 0;
}

static enum code read_events(struct replay *r, struct fault *why)
{
    static const struct api_lines lines = {.line = on_line, .rest = on_rest};
    struct api_client client;
    char target[160];
    int n = snprintf(target, sizeof target, "/api/v1/events?follow=false&from=time:%" PRId64,
                     r->given->since_us > 0 ? r->given->since_us : 0);
    if (options_given(r->call->options, "until"))
        (void)snprintf(target + n, sizeof target - (size_t)n, "&until=%" PRId64,
                       r->given->until_us > 0 ? r->given->until_us : 0);
    if (api_client_find(r->call, &r->given->config, &client) != STATUS_DONE)
        return FAIL(why, CODE_CLOSED, 0, "no node");
    enum code c = api_client_lines(&client, target, 0, &lines, r, why);
    if (c == CODE_OK && !r->failed)
        return stream_end(r->stream, why);
    if (r->failed)
        *why = r->why;
    return r->failed ? r->why.code : c;
}

/* ---- the end ---- */

static void warn(const struct replay *r, const struct stream_stats *s)
{
    size_t i;
    const json_t *input;
    json_array_foreach(json_object_get(r->plan, "inputs"), i, input)
        if (json_array_size(json_object_get(input, "filters")) == 0)
            verb_warn(r->call, "input %s gets its messages from routes; which those were is not kept, and none is replayed",
                      member_text(input, "name"));
    if ((r->options.confidence != 0 || r->options.history) && !s->models)
        verb_warn(r->call, "no anomaly function has seen an event: --set changes nothing");
    if (r->unreadable)
        verb_warn(r->call, "%" PRIu64 " places in the partitions can no longer be read: fieldgate events says which",
                  r->unreadable);
    if (!r->seen)
        verb_warn(r->call, "the partitions keep no events of that time: hub.topics says what they keep, hub.keep how long");
    else if (!r->fed)
        verb_warn(r->call, "none of the events has a topic that the job reads");
}

static int sum_up(const struct replay *r)
{
    struct stream_stats s;
    stream_stats(r->stream, &s);
    uint64_t dropped = s.malformed + s.no_timestamp + s.no_over_value + s.late + s.early + s.out_of_order + s.wrong_type;
    warn(r, &s);
    char from[VALUE_TEXT_MAX] = "", to[VALUE_TEXT_MAX] = "";
    if (r->seen) {
        (void)value_print_time(r->first_us, from);
        (void)value_print_time(r->last_us, to);
    }
    (void)fprintf(r->call->err,
                  "%" PRIu64 " event%s%s%s%s%s, %" PRIu64 " of them for job %s: %" PRIu64 " row%s, %" PRIu64
                  " dropped or adjusted, %" PRIu64 " models\n",
                  r->seen, r->seen == 1 ? "" : "s", r->seen ? " from " : "", from, r->seen ? " to " : "", to, r->fed,
                  member_text(r->plan, "name"), r->rows, r->rows == 1 ? "" : "s", dropped, s.models);
    return r->unreadable ? STATUS_WARNINGS : STATUS_DONE;
}

static int replay(struct replay *r)
{
    struct fault why;
    enum code c = query_compile(&r->query, bytes_at(json_object_get(r->plan, "sql")), &r->options, &why);
    if (c == CODE_OK)
        c = stream_new(&r->stream, r->query, &(struct stream_sink){r, on_row, NULL}, &why);
    if (c == CODE_OK)
        c = load_references(r, &why);
    if (c == CODE_OK)
        c = read_events(r, &why);
    int status = c == CODE_OK ? sum_up(r) : verb_fail(r->call, &why);
    stream_free(r->stream);
    query_free(r->query);
    buf_clear(&r->body);
    return status;
}

static int run(struct verb_call *call)
{
    const struct replay_flags *given = call->values;
    struct replay r = {.call = call, .given = given};
    int status = job_ask(call, &given->config, "/api/v1/jobs/explain", call->options->args.at[0], NULL, NULL, &r.plan);
    if (status != STATUS_DONE)
        return status;
    take_options(&r);
    for (size_t i = 0; status == STATUS_DONE && i < given->set.count; i++)
        status = set_one(&r, given->set.at[i]);
    if (status == STATUS_DONE)
        status = replay(&r);
    json_decref(r.plan);
    return status;
}

static const struct flag flags[] = {
    {0, "since", FLAG_TIME, FLAG_FIELD(struct replay_flags, since_us), .value = "TIME", .required = true,
     .help = "from this time on: 10m, \"today 06:00\", 2026-11-22T06:00:00Z"},
    {0, "until", FLAG_TIME, FLAG_FIELD(struct replay_flags, until_us), .value = "TIME",
     .help = "end before this time; default: where the partitions end now"},
    {0, "set", FLAG_TEXTS, FLAG_FIELD(struct replay_flags, set), .value = "NAME=VALUE",
     .help = "instead of the query's: confidence=95, history=60 (of every anomaly function), model=kde"},
    /* CONFIG_FLAGS without their --set: no setting of this verb's own could be meant. */
    {'c', "config", FLAG_TEXT, FLAG_FIELD(struct replay_flags, config.file), .value = "FILE", .help = "settings file"},
    {0, "data", FLAG_TEXT, FLAG_FIELD(struct replay_flags, config.data), .value = "DIR", .help = "data directory"},
    FLAGS_END,
};

const struct verb job_replay = {
    .name = "replay",
    .group = "streaming SQL",
    .summary = "what a job would have found in the events that the partitions keep",
    .detail = "The live job is not touched, and nothing is published: rows are printed, one JSON object a line, with a\n"
              "summary on standard error. The job begins with nothing learned, and windows that are open at the end are\n"
              "closed there. Reference data is that of now. Exit status: 0 done, 4 with events that can no longer be read.",
    .examples = {"fieldgate job replay humidity --since 2h", "fieldgate job replay humidity --since 2h --set confidence=90",
                 "fieldgate job replay humidity --since \"today 06:00\" --until \"today 07:00\" --set model=kde"},
    .args = "JOB",
    .args_min = 1,
    .args_max = 1,
    .flags = flags,
    .values_size = sizeof(struct replay_flags),
    .run = run,
};
