/* `fieldgate sql`: a streaming query over files or standard input. */
#include "base/mem.h"
#include "base/suggest.h"
#include "base/values.h"
#include "cli/interrupt.h"
#include "cli/sql_cases.h"
#include "cli/sql_input.h"
#include "cli/verbs.h"
#include "stream/stream.h"

#include <ctype.h>
#include <inttypes.h>
#include <strings.h>

enum { INPUTS_MAX = 64, QUERY_MAX = 64 * 1024, REFERENCE_MAX = 512 << 20, OUT_BUFFER = 256 << 10 };
enum { ARRIVAL_EVENT, ARRIVAL_NOW };

struct sql {
    struct texts inputs, references, outputs;
    uint64_t     late_us, disorder_us;
    int          policy, model, arrival, format;
    bool         explain, stop, ignore_case, lowercase, warm_up, quiet, resume;
    const char  *cases, *separator;
};

static const char *const policies[] = { "adjust", "drop", NULL };
static const char *const models[] = { "fieldgate", "kde", NULL };
static const char *const arrivals[] = { "event", "now", NULL };
static const char *const formats[] = { "auto", "json", "csv", NULL };

static const struct flag flags[] = {
    { 'i', "input", FLAG_TEXTS, FLAG_FIELD(struct sql, inputs), .value = "NAME=FILE", .help = "where an input of the query comes from" },
    { 'r', "reference", FLAG_TEXTS, FLAG_FIELD(struct sql, references), .value = "NAME=FILE", .help = "reference data: JSON or CSV" },
    { 0, "output", FLAG_TEXTS, FLAG_FIELD(struct sql, outputs), .value = "NAME", .help = "print rows of this output only" },
    { 'f', "format", FLAG_CHOICE, FLAG_FIELD(struct sql, format), .value = "FORMAT", .words = formats, .def = "auto",
      .help = "of the input: json, csv or auto" },
    { 0, "separator", FLAG_TEXT, FLAG_FIELD(struct sql, separator), .value = "CHARACTER",
      .help = "between the fields of CSV input, such as ';' or tab; default: a comma" },
    { 0, "arrival", FLAG_CHOICE, FLAG_FIELD(struct sql, arrival), .value = "WHEN", .words = arrivals, .def = "event",
      .help = "with TIMESTAMP BY an event arrives at its own time (event) or now" },
    { 0, "late", FLAG_DURATION, FLAG_FIELD(struct sql, late_us), .value = "TIME", .def = "5s", .max = UINT64_C(20) * 86400 * 1000000,
      .help = "how late an event may be (with --arrival now)" },
    { 0, "out-of-order", FLAG_DURATION, FLAG_FIELD(struct sql, disorder_us), .value = "TIME", .def = "0",
      .max = UINT64_C(20) * 86400 * 1000000, .help = "how far events may be out of order" },
    { 0, "policy", FLAG_CHOICE, FLAG_FIELD(struct sql, policy), .value = "POLICY", .words = policies, .def = "adjust",
      .help = "adjust the time of what is later, or drop it" },
    { 0, "model", FLAG_CHOICE, FLAG_FIELD(struct sql, model), .value = "MODEL", .words = models, .def = "fieldgate",
      .help = "behind the anomaly functions: fieldgate or kde" },
    { 0, "warm-up-report", FLAG_SWITCH, FLAG_FIELD(struct sql, warm_up), .help = "report anomalies before a model is ready" },
    { 0, "ignore-case", FLAG_SWITCH, FLAG_FIELD(struct sql, ignore_case), .help = "compare text without regard to case" },
    { 0, "lowercase", FLAG_SWITCH, FLAG_FIELD(struct sql, lowercase), .help = "names of output fields in lower case" },
    { 0, "stop-on-error", FLAG_SWITCH, FLAG_FIELD(struct sql, stop), .help = "end at a value of a wrong type instead of dropping the event" },
    { 'e', "explain", FLAG_SWITCH, FLAG_FIELD(struct sql, explain), .help = "print the plan and end" },
    { 'q', "quiet", FLAG_SWITCH, FLAG_FIELD(struct sql, quiet), .help = "no words about dropped events" },
    { 0, "cases", FLAG_TEXT, FLAG_FIELD(struct sql, cases), .value = "FILE", .hidden = true, .help = "a batch of test cases" },
    { 0, "resume", FLAG_SWITCH, FLAG_FIELD(struct sql, resume), .hidden = true, .help = "with --cases: saved and loaded after each message" },
    FLAGS_END,
};

/* ---- one run ---- */

struct told { /* of each kind of trouble: the first as it comes, all at the end */
    const char *name;
    uint64_t    count;
};
enum { TOLD_MAX = 16 };

struct running {
    struct verb_call *call;
    struct sql       *given;
    struct query     *query;
    struct stream    *stream;
    struct sql_input  inputs[INPUTS_MAX];
    char              separator; /* of CSV; 0: not said */
    const char       *files[INPUTS_MAX]; /* of each input, or NULL */
    size_t            next_file;         /* of the arguments: they follow each other as one input */
    bool             *shown;             /* of each output */
    bool              prefix;
    int64_t           clock;
    uint64_t          clock_at;
    struct told       told[TOLD_MAX];
    uint64_t          bad;
};

static int64_t now_ticks(const struct verb_call *call)
{
    return DATETIME_UNIX + call->io->wall_us(call->io->self) * 10;
}

static void on_row(void *ctx, const struct stream_row *row)
{
    struct running *r = ctx;
    FILE *out = r->call->out;
    if (!r->shown[row->output])
        return;
    if (r->prefix) {
        struct bytes name = query_output(r->query, row->output);
        (void)fwrite(name.at, 1, name.len, out);
        (void)putc_unlocked('\t', out);
    }
    (void)fwrite_unlocked(row->json.at, 1, row->json.len, out);
    (void)putc_unlocked('\n', out);
}

static void on_trouble(void *ctx, const char *name, const char *sentence)
{
    struct running *r = ctx;
    for (size_t i = 0; i < TOLD_MAX; i++) {
        if (!r->told[i].name) {
            r->told[i].name = name;
            if (!r->given->quiet)
                verb_warn(r->call, "%s: %s", name, sentence);
        }
        if (strcmp(r->told[i].name, name) == 0) {
            r->told[i].count++;
            return;
        }
    }
}

static void sum_up(struct running *r)
{
    for (size_t i = 0; i < TOLD_MAX && r->told[i].name && !r->given->quiet; i++)
        if (r->told[i].count > 1)
            verb_warn(r->call, "%s: %" PRIu64 " in all", r->told[i].name, r->told[i].count);
}

/* ---- what was given ---- */

/* The text itself, or the file that has it. */
static int read_query(struct verb_call *call, const char *arg, char **text, size_t *len, const char **name)
{
    struct fault why;
    if (strpbrk(arg, " \t\n")) {
        *text = mem_strdup(arg);
        *len = strlen(arg);
        *name = "query";
        if (*text)
            return STATUS_DONE;
        (void)FAIL(&why, CODE_NOMEM, 0, "no memory");
        return verb_fail(call, &why);
    }
    *name = strrchr(arg, '/') ? strrchr(arg, '/') + 1 : arg;
    return io_load(call->io, arg, QUERY_MAX + 1, text, len, &why) == CODE_OK ? STATUS_DONE : verb_fail(call, &why);
}

static bool split(const char *pair, struct bytes *name, const char **file)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair || !equals[1])
        return false;
    *name = bytes_of(pair, (size_t)(equals - pair));
    *file = equals + 1;
    return true;
}

static bool same_name(struct bytes a, struct bytes b)
{
    return a.len == b.len && strncasecmp((const char *)a.at, (const char *)b.at, a.len) == 0;
}

static bool is_reference(void *ctx, struct bytes name)
{
    const struct sql *given = ctx;
    for (size_t i = 0; i < given->references.count; i++) {
        struct bytes have;
        const char *file;
        if (split(given->references.at[i], &have, &file) && same_name(have, name))
            return true;
    }
    return false;
}

static int compile(struct running *r, const char *arg)
{
    struct sql *given = r->given;
    struct query_options o;
    struct fault why;
    char *text = NULL;
    const char *name;
    size_t len = 0;
    int status = read_query(r->call, arg, &text, &len, &name);
    if (status != STATUS_DONE)
        return status;
    query_options_default(&o);
    o.file = name;
    o.late = (int64_t)given->late_us * 10;
    o.out_of_order = (int64_t)given->disorder_us * 10;
    o.policy = given->policy ? STREAM_DROP : STREAM_ADJUST;
    o.model = given->model ? STREAM_KDE : STREAM_FIELDGATE;
    o.warm_up_report = given->warm_up;
    o.stop_on_error = given->stop;
    o.ignore_case = given->ignore_case;
    o.lowercase_names = given->lowercase;
    o.is_reference = is_reference;
    o.ctx = given;
    enum code code = query_compile(&r->query, bytes_of(text, len), &o, &why);
    mem_free(text);
    if (code != CODE_OK)
        return verb_fail(r->call, &why);
    for (uint32_t i = 0; i < query_warnings(r->query); i++)
        verb_warn(r->call, "%s", query_warning(r->query, i));
    return STATUS_DONE;
}

static int unknown(struct running *r, const char *flag, struct bytes name, bool reference)
{
    const struct query *q = r->query;
    struct suggest near = { 0 };
    char typed[64], other[64], best[64] = "";
    uint32_t count = reference ? query_references(q) : query_inputs(q);
    for (uint32_t i = 0; i < count; i++) {
        bytes_escape(reference ? query_reference(q, i) : query_input(q, i), other, sizeof other);
        struct suggest one = near;
        suggest_offer(&one, name, other);
        if (one.distance != near.distance || one.best != near.best) {
            near = one;
            memcpy(best, other, sizeof best);
            near.best = best;
        }
    }
    return verb_usage(r->call, "--%s %s: the query has no %s of this name%s%s%s", flag, bytes_escape(name, typed, sizeof typed),
                      reference ? "reference data" : "input", best[0] ? ". Did you mean " : "", best, best[0] ? "?" : "");
}

/* One mark of ASCII, which is no part of a field's text. */
static int choose_separator(struct running *r)
{
    const char *said = r->given->separator;
    if (!said)
        return STATUS_DONE;
    bool tab = strcmp(said, "tab") == 0 || strcmp(said, "\\t") == 0 || strcmp(said, "\t") == 0;
    if (!tab && (strlen(said) != 1 || !ispunct((unsigned char)said[0]) || strchr("\".-+", said[0])))
        return verb_usage(r->call, "--separator takes one mark such as ';' or ',', or tab");
    r->separator = tab ? '\t' : said[0];
    return STATUS_DONE;
}

static int place_inputs(struct running *r)
{
    const struct query *q = r->query;
    const struct texts *args = &r->call->options->args;
    struct bytes name;
    for (size_t i = 0; i < r->given->inputs.count; i++) {
        const char *file;
        uint32_t k = 0;
        if (!split(r->given->inputs.at[i], &name, &file))
            return verb_usage(r->call, "--input takes NAME=FILE, got '%s'", r->given->inputs.at[i]);
        while (k < query_inputs(q) && !same_name(query_input(q, k), name))
            k++;
        if (k == query_inputs(q))
            return unknown(r, "input", name, false);
        if (r->files[k])
            return verb_usage(r->call, "--input %.*s is given twice", BYTES_FMT(name));
        r->files[k] = file;
    }
    uint32_t missing = 0, first = 0;
    for (uint32_t k = query_inputs(q); k-- > 0;)
        if (!r->files[k]) {
            missing++;
            first = k;
        }
    if (missing > 1 || (missing == 0 && args->count > 1)) {
        name = query_input(q, first);
        return missing ? verb_usage(r->call, "the query reads %u inputs: say where they come from, --input %.*s=FILE (or --reference, if it "
                                             "is reference data)",
                                    query_inputs(q), BYTES_FMT(name))
                       : verb_usage(r->call, "all inputs have their files; '%s' is one too many", args->at[1]);
    }
    if (missing) {
        r->next_file = 2;
        r->files[first] = args->count > 1 ? args->at[1] : "-";
    }
    return STATUS_DONE;
}

static int choose_outputs(struct running *r)
{
    uint32_t n = query_outputs(r->query), shown = 0;
    struct fault why;
    if (!(r->shown = mem_zalloc(n + 1, sizeof *r->shown))) {
        (void)FAIL(&why, CODE_NOMEM, 0, "no memory");
        return verb_fail(r->call, &why);
    }
    for (uint32_t i = 0; i < n; i++)
        r->shown[i] = r->given->outputs.count == 0;
    for (size_t k = 0; k < r->given->outputs.count; k++) {
        bool found = false;
        for (uint32_t i = 0; i < n; i++)
            if (bytes_is(query_output(r->query, i), r->given->outputs.at[k]))
                found = r->shown[i] = true;
        if (!found) {
            struct bytes first = query_output(r->query, 0);
            return verb_usage(r->call, "--output %s: the query has no such output; it has %.*s%s", r->given->outputs.at[k], BYTES_FMT(first),
                              n > 1 ? " and others" : "");
        }
    }
    for (uint32_t i = 0; i < n; i++)
        shown += r->shown[i];
    r->prefix = shown > 1;
    return STATUS_DONE;
}

static int load_references(struct running *r)
{
    struct fault why;
    for (size_t i = 0; i < r->given->references.count; i++) {
        struct bytes name;
        const char *file;
        char *text;
        size_t len;
        uint32_t k = 0;
        if (!split(r->given->references.at[i], &name, &file))
            return verb_usage(r->call, "--reference takes NAME=FILE, got '%s'", r->given->references.at[i]);
        while (k < query_references(r->query) && !same_name(query_reference(r->query, k), name))
            k++;
        if (k == query_references(r->query))
            return unknown(r, "reference", name, true);
        if (io_load(r->call->io, file, REFERENCE_MAX, &text, &len, &why) != CODE_OK)
            return verb_fail(r->call, &why);
        size_t blank = strspn(text, " \t\r\n\xef\xbb\xbf");
        bool json = text[blank] == '{' || text[blank] == '[';
        enum code code = stream_reference(r->stream, k, json ? STREAM_JSON : STREAM_CSV, bytes_of(text, len), &why);
        mem_free(text);
        if (code != CODE_OK) {
            verb_warn(r->call, "%s: %s", file, why.text);
            return STATUS_FAILED;
        }
    }
    return STATUS_DONE;
}

/* ---- feeding ---- */

static enum code open_input(struct running *r, uint32_t i, struct fault *why)
{
    return sql_input_open(&r->inputs[i], r->call->io, r->files[i], (enum sql_format)r->given->format, r->separator, why);
}

/* The arguments are one input, one file behind the other. */
static enum code next_file(struct running *r, uint32_t i, struct fault *why)
{
    const struct texts *args = &r->call->options->args;
    sql_input_close(&r->inputs[i]);
    if (!args->count || r->next_file == 0 || r->next_file >= args->count || r->files[i] != args->at[r->next_file - 1])
        return CODE_END;
    r->files[i] = args->at[r->next_file++];
    return open_input(r, i, why);
}

/* The one that is furthest behind, so that little has to wait. */
static int choose_input(const struct running *r)
{
    int best = -1;
    int64_t least = 0;
    for (uint32_t i = 0; i < query_inputs(r->query); i++) {
        if (!r->inputs[i].open)
            continue;
        int64_t reached = query_inputs(r->query) > 1 ? stream_reached(r->stream, i) : 0;
        if (best < 0 || reached < least) {
            best = (int)i;
            least = reached;
        }
    }
    return best;
}

static enum code feed(struct running *r, uint32_t i, struct bytes body, struct fault *why)
{
    struct stream_message m = { .input = i, .body = body, .padded = true, .punctual = r->given->arrival == ARRIVAL_EVENT };
    /* The clock is read once for what was read at once. */
    if (r->inputs[i].offset != r->clock_at || !r->clock) {
        r->clock = now_ticks(r->call);
        r->clock_at = r->inputs[i].offset;
    }
    m.arrival = r->clock;
    return stream_feed(r->stream, &m, why);
}

static enum code idle(struct running *r, struct fault *why)
{
    (void)fflush(r->call->out);
    return stream_clock(r->stream, now_ticks(r->call), why);
}

static enum code feed_one(struct running *r, uint32_t i, struct fault *why)
{
    struct bytes body;
    struct sql_input *in = &r->inputs[i];
    if (in->file == 0 && !sql_input_ready(in))
        (void)fflush(r->call->out); /* whoever waits for rows gets them before we wait */
    enum code code = sql_input_next(in, &body, why);
    if (code == CODE_OK)
        return feed(r, i, body, why);
    if (code == CODE_AGAIN)
        return r->given->arrival == ARRIVAL_NOW || !stream_times_events(r->query) ? idle(r, why) : CODE_OK;
    if (code == CODE_END) {
        code = next_file(r, i, why);
        return code == CODE_END ? CODE_OK : code;
    }
    if (code == CODE_MALFORMED) {
        on_trouble(r, "InputDeserializationError", why->text);
        return CODE_OK;
    }
    return code;
}

static enum code feed_all(struct running *r, struct fault *why)
{
    enum code code = CODE_OK;
    for (uint32_t i = 0; i < query_inputs(r->query) && code == CODE_OK; i++)
        code = open_input(r, i, why);
    for (int i; code == CODE_OK && !interrupts && !ferror(r->call->out) && (i = choose_input(r)) >= 0;)
        code = feed_one(r, (uint32_t)i, why);
    if (code == CODE_OK && !interrupts && !ferror(r->call->out))
        code = stream_end(r->stream, why);
    return code;
}

static int explain(struct running *r)
{
    struct buf out = { 0 };
    query_explain(r->query, &out);
    (void)fwrite(out.at, 1, buf_size(&out), r->call->out);
    buf_clear(&out);
    return STATUS_DONE;
}

static int execute(struct running *r)
{
    struct fault why = { 0 };
    const struct stream_sink sink = { .ctx = r, .row = on_row, .trouble = on_trouble };
    int status = choose_separator(r);
    if (status == STATUS_DONE)
        status = place_inputs(r);
    if (status == STATUS_DONE)
        status = choose_outputs(r);
    if (status != STATUS_DONE)
        return status;
    if (stream_new(&r->stream, r->query, &sink, &why) != CODE_OK)
        return verb_fail(r->call, &why);
    status = load_references(r);
    if (status != STATUS_DONE)
        return status;
    (void)setvbuf(r->call->out, NULL, _IOFBF, OUT_BUFFER);
    interrupt_watch();
    enum code code = feed_all(r, &why);
    sum_up(r);
    if (code != CODE_OK)
        return verb_fail(r->call, &why);
    return r->told[0].name ? STATUS_WARNINGS : STATUS_DONE;
}

static int run(struct verb_call *call)
{
    struct sql *given = call->values;
    if (given->cases)
        return sql_cases(call, given->cases, given->resume);
    if (!call->options->args.count)
        return verb_usage(call, "it needs a query: text with blanks, or the name of a file");
    struct running *r = mem_zalloc(1, sizeof *r);
    struct fault why;
    if (!r) {
        (void)FAIL(&why, CODE_NOMEM, 0, "no memory");
        return verb_fail(call, &why);
    }
    r->call = call;
    r->given = given;
    int status = compile(r, call->options->args.at[0]);
    if (status == STATUS_DONE)
        status = given->explain ? explain(r) : execute(r);
    for (uint32_t i = 0; i < INPUTS_MAX; i++)
        if (r->inputs[i].open)
            sql_input_close(&r->inputs[i]);
    stream_free(r->stream);
    query_free(r->query);
    mem_free(r->shown);
    mem_free(r);
    return status;
}

const struct verb verb_sql = {
    .name = "sql",
    .group = "streaming SQL",
    .summary = "run a streaming query over files or standard input",
    .detail = "The query is text with blanks in it, or the name of a file. It is read from FILEs, one behind the other, or from standard\n"
              "input: JSON (lines, objects, arrays) or CSV with a header line. Rows leave as lines of JSON; with several outputs each\n"
              "line begins with its output's name and a tab.\n"
              "With TIMESTAMP BY an event arrives at its own time, so that none is early or late; --arrival now takes the clock\n"
              "instead, as in a running node. Without TIMESTAMP BY the clock is an event's time.\n"
              "The language: docs/streaming-sql.md. Exit status: 0 done, 1 broken off, 2 a wrong query, 4 events were dropped or\n"
              "adjusted.",
    .examples = { "fieldgate sql \"SELECT id, v FROM input WHERE v > 10\" events.jsonl",
                  "fieldgate sql \"SELECT id, AVG(v) AS v FROM input TIMESTAMP BY t GROUP BY id, TumblingWindow(second, 10)\" < events.jsonl",
                  "fieldgate sql humidity.sql --input opcua=events.csv --reference devices=devices.json" },
    .args = "QUERY-OR-FILE [FILE...]",
    .args_max = 1000,
    .flags = flags,
    .values_size = sizeof(struct sql),
    .run = run,
};
