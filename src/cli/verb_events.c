/* `fieldgate events`: what lies in the hub's partitions, from a position on. */
#include "base/values.h"
#include "cli/ask.h"
#include "cli/event_line.h"
#include "cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>

enum { NAME_WIDTH = 9, FORMAT_TABLE = 0, FORMAT_JSON, FORMAT_JSONL };

struct events {
    struct config_flags config;
    bool                earliest, latest, end, follow, verbose;
    uint64_t            offset, sequence, count, wait_us;
    int64_t             since_us, until_us;
    uint32_t            partition;
    int                 format;
};

static const char *const words[] = { "table", "json", "jsonl", NULL };

static const struct flag flags[] = {
    { 0, "latest", FLAG_SWITCH, FLAG_FIELD(struct events, latest),
      .help = "only what comes from now on (the default)" },
    { 0, "earliest", FLAG_SWITCH, FLAG_FIELD(struct events, earliest), .help = "from the oldest one kept" },
    { 0, "offset", FLAG_COUNT, FLAG_FIELD(struct events, offset), .value = "N",
      .help = "from this offset on" },
    { 0, "sequence", FLAG_COUNT, FLAG_FIELD(struct events, sequence), .value = "N",
      .help = "from this sequence number on (the same number)" },
    { 0, "since", FLAG_TIME, FLAG_FIELD(struct events, since_us), .value = "TIME",
      .help = "from this time on: 10m, \"today 06:00\", 2026-11-22T06:00:00Z" },
    { 0, "until", FLAG_TIME, FLAG_FIELD(struct events, until_us), .value = "TIME",
      .help = "end before this time" },
    { 0, "partition", FLAG_COUNT, FLAG_FIELD(struct events, partition), .value = "N",
      .help = "only this partition" },
    { 'C', "count", FLAG_COUNT, FLAG_FIELD(struct events, count), .value = "N", .min = 1, .max = UINT64_MAX,
      .help = "end after so many events" },
    { 'e', "end", FLAG_SWITCH, FLAG_FIELD(struct events, end), .help = "end where the partitions end now" },
    { 'f', "follow", FLAG_SWITCH, FLAG_FIELD(struct events, follow), .help = "wait for more (the default)" },
    { 'W', "wait", FLAG_SECONDS, FLAG_FIELD(struct events, wait_us), .value = "TIME",
      .help = "end after so long" },
    { 'v', "verbose", FLAG_SWITCH, FLAG_FIELD(struct events, verbose), .help = "with the topic" },
    CONFIG_FLAGS(struct events, config),
    { 'o', "output", FLAG_CHOICE, FLAG_FIELD(struct events, format), .value = "FORMAT", .words = words,
      .def = "table", .help = "table, json or jsonl" },
    FLAGS_END,
};

/* ---- asking ---- */

static int check_positions(const struct verb_call *call)
{
    static const char *const positions[] = { "latest", "earliest", "offset", "sequence", "since" };
    const char *first = NULL;
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        if (!options_given(call->options, positions[i]))
            continue;
        if (first)
            return verb_usage(call, "--%s and --%s are both a position to begin at; give one", first,
                              positions[i]);
        first = positions[i];
    }
    if (options_given(call->options, "end") && options_given(call->options, "follow"))
        return verb_usage(call, "--end and --follow contradict each other; give one");
    return STATUS_DONE;
}

static void write_target(const struct verb_call *call, const struct events *e, struct buf *out)
{
    const struct options *o = call->options;
    buf_printf(out, "/api/v1/events?follow=%s", e->end ? "false" : "true");
    if (e->earliest)
        buf_printf(out, "&from=earliest");
    else if (options_given(o, "offset") || options_given(o, "sequence"))
        buf_printf(out, "&from=sequence:%" PRIu64, options_given(o, "offset") ? e->offset : e->sequence);
    else if (options_given(o, "since"))
        buf_printf(out, "&from=time:%" PRId64, e->since_us > 0 ? e->since_us : 0);
    if (options_given(o, "until"))
        buf_printf(out, "&until=%" PRId64, e->until_us > 0 ? e->until_us : 0);
    if (options_given(o, "partition"))
        buf_printf(out, "&partition=%" PRIu32, e->partition);
    if (e->count)
        buf_printf(out, "&count=%" PRIu64, e->count);
    buf_u8(out, 0);
}

/* ---- printing ---- */

struct printing {
    struct verb_call    *call;
    const struct events *given;
    uint64_t             lines;
    bool                 failed; /* the node said so in the stream's last line */
    bool                 damaged;
};

static const char document_begin[] = "{\"version\":1,\"events\":[\n";

static void put_body(struct buf *out, const json_t *head, struct bytes body)
{
    if (body.len && body.at[0] != '"') {
        output_escape(out, body);
        return;
    }
    json_t *text = body.len
                       ? json_loadb((const char *)body.at, body.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)
                       : NULL;
    if (text)
        output_escape(out, bytes_of(json_string_value(text), json_string_length(text)));
    else if (member_text(head, "body-base64")[0])
        buf_printf(out, "base64:%s", member_text(head, "body-base64"));
    json_decref(text);
}

/* 12:01:13.204  p2 @4403  press-7   {"temperature":21.9,"humidity":44} */
static void put_event(struct buf *out, const struct events *given, const json_t *head, struct bytes body)
{
    char clock[VALUE_TEXT_MAX] = "?";
    int64_t us;
    struct fault why;
    if (value_parse_time(bytes_str(member_text(head, "enqueued")), 0, &us, &why) == CODE_OK)
        (void)value_print_clock(us, clock);
    buf_printf(out, "%s  p%" JSON_INTEGER_FORMAT " @%" JSON_INTEGER_FORMAT "  ", clock,
               json_integer_value(json_object_get(head, "partition")),
               json_integer_value(json_object_get(head, "offset")));
    size_t start = buf_size(out);
    output_escape(out, bytes_str(member_text(head, "source")));
    for (size_t width = buf_size(out) - start; width < NAME_WIDTH; width++)
        buf_u8(out, ' ');
    buf_u8(out, ' ');
    if (given->verbose) {
        output_escape(out, bytes_str(member_text(head, "topic")));
        buf_printf(out, "  ");
    }
    put_body(out, head, body);
    buf_u8(out, '\n');
}

/* False: the line was no event but the stream's failure, told on stderr. */
static bool tell_error(struct printing *p, const json_t *head)
{
    const json_t *error = json_object_get(head, "error");
    if (!error)
        return true;
    const json_t *partition = json_object_get(head, "partition");
    if (partition) {
        (void)fprintf(p->call->err, "%s p%" JSON_INTEGER_FORMAT " @%" JSON_INTEGER_FORMAT ": %s\n",
                      member_text(error, "code"), json_integer_value(partition),
                      json_integer_value(json_object_get(head, "offset")), member_text(error, "message"));
        p->damaged = true;
        return true;
    }
    (void)fprintf(p->call->err, "%s %s\n", member_text(error, "code"), member_text(error, "message"));
    p->failed = true;
    return false;
}

static bool begins_error(struct bytes line)
{
    static const char mark[] = "\"error\":{";
    size_t most = line.len < 160 ? line.len
                                 : 160; /* it stands near the front, where no text of a peer is yet */
    return memmem(line.at, most, mark, sizeof mark - 1) && !memmem(line.at, most, "\"enqueued\":", 11);
}

static bool print_line(void *ctx, struct bytes line)
{
    struct printing *p = ctx;
    FILE *to = p->call->out;
    struct bytes body;
    bool error = begins_error(line), table = p->given->format == FORMAT_TABLE;
    json_t *head = table || error ? event_line_head(line, &body) : NULL;
    bool event = !error || tell_error(p, head);
    if (event && !table) {
        if (p->given->format == FORMAT_JSON)
            (void)fputs(p->lines ? ",\n" : document_begin, to);
        (void)fwrite(line.at, 1, line.len, to);
        (void)fputs(p->given->format == FORMAT_JSONL ? "\n" : "", to);
    } else if (event && !error) {
        struct buf out = { 0 };
        if (head)
            put_event(&out, p->given, head, body);
        else
            output_escape(&out, line); /* a newer node's: better raw than not at all */
        if (!out.bad)
            (void)fwrite(out.at, 1, buf_size(&out), to);
        buf_clear(&out);
    }
    json_decref(head);
    p->lines += event;
    return !ferror(to);
}

static bool flush_lines(void *ctx)
{
    struct printing *p = ctx;
    return fflush(p->call->out) == 0;
}

static int run(struct verb_call *call)
{
    const struct events *given = call->values;
    static const struct api_lines reader = { .line = print_line, .rest = flush_lines };
    struct printing p = { .call = call, .given = given };
    struct api_client client;
    struct buf target = { 0 };
    struct fault why;
    int status = check_positions(call);
    if (status == STATUS_DONE)
        status = api_client_find(call, &given->config, &client);
    if (status != STATUS_DONE)
        return status;
    write_target(call, given, &target);
    enum code code = target.bad ? FAIL(&why, CODE_NOMEM, 0, "no memory") : CODE_OK;
    if (code == CODE_OK)
        code = api_client_lines(&client, (const char *)target.at, given->wait_us, &reader, &p, &why);
    if (given->format == FORMAT_JSON && code == CODE_OK && !p.lines)
        (void)fputs(document_begin, call->out);
    if (given->format == FORMAT_JSON && (code == CODE_OK || p.lines))
        (void)fputs("\n]}\n", call->out);
    buf_clear(&target);
    if (code != CODE_OK)
        return verb_fail(call, &why);
    return p.failed ? STATUS_FAILED : p.damaged ? STATUS_WARNINGS : STATUS_DONE;
}

const struct verb verb_events = {
    .name = "events",
    .group = "hub",
    .summary = "read what the hub's partitions keep",
    .detail = "Without a position it shows what comes from now on. All partitions are merged by time; events "
              "of one\n"
              "partition keep their order. It goes on until Ctrl-C, unless -C, -e, -W or --until ends it.\n"
              "jsonl is an object a line, as GET /api/v1/events gives it: with every property and the "
              "payload unchanged.\n"
              "Exit status: 0 done, 1 broken off, 3 not running, 4 with events that can no longer be read.",
    .examples = { "fieldgate events", "fieldgate events --since \"today 06:00\" -e -o jsonl",
                  "fieldgate events --partition 2 --offset 4400 -C 10" },
    .flags = flags,
    .values_size = sizeof(struct events),
    .run = run,
};
