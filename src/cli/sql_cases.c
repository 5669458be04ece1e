#include "cli/sql_cases.h"

#include "base/mem.h"
#include "cli/sql_input.h"
#include "expr/json.h"
#include "stream/stream.h"

#include <inttypes.h>
#include <strings.h>

enum { NAMES_MAX = 64, CASE_MEMORY = 256 << 20 };

#define SECOND INT64_C(10000000)
/* 2024-01-01T00:00:00Z */
#define START (DATETIME_UNIX + INT64_C(1704067200) * SECOND)

/* ---- JSON as text: what a message's bytes are must not be lost ---- */

struct scan {
    struct bytes left;
    bool         bad;
};

static void skip_blanks(struct scan *s)
{
    while (s->left.len && strchr(" \t\r\n", s->left.at[0]) && s->left.at[0])
        s->left = bytes_from(s->left, 1);
}

static bool take(struct scan *s, char c)
{
    skip_blanks(s);
    if (!s->left.len || s->left.at[0] != (uint8_t)c)
        return false;
    s->left = bytes_from(s->left, 1);
    return true;
}

static struct bytes take_string(struct scan *s)
{
    skip_blanks(s);
    const uint8_t *at = s->left.at;
    size_t i = 1;
    while (i < s->left.len && at[i] != '"')
        i += at[i] == '\\' ? 2 : 1;
    if (s->left.len < 2 || at[0] != '"' || i >= s->left.len) {
        s->bad = true;
        return BYTES_NONE;
    }
    s->left = bytes_from(s->left, i + 1);
    return bytes_of(at, i + 1);
}

/* The text of the next value, whatever it holds. */
static struct bytes take_value(struct scan *s)
{
    skip_blanks(s);
    struct bytes from = s->left;
    size_t depth = 0;
    while (s->left.len && !s->bad) {
        uint8_t c = s->left.at[0];
        if (c == '"') {
            (void)take_string(s);
        } else if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
            break;
        } else {
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
            s->left = bytes_from(s->left, 1);
        }
        if (depth == 0 && (c == '"' || c == '}' || c == ']'))
            break;
    }
    size_t n = from.len - s->left.len;
    while (n && strchr(" \t\r\n", from.at[n - 1]))
        n--;
    s->bad |= n == 0 || depth != 0;
    return bytes_of(from.at, n);
}

/* The next member of an object whose `{` has been taken. */
static bool next_member(struct scan *s, struct bytes *name, struct bytes *value)
{
    (void)take(s, ',');
    if (s->bad || take(s, '}') || !s->left.len)
        return false;
    *name = take_string(s);
    s->bad |= !take(s, ':');
    *value = take_value(s);
    return !s->bad;
}

static bool next_item(struct scan *s, struct bytes *value)
{
    (void)take(s, ',');
    if (s->bad || take(s, ']') || !s->left.len)
        return false;
    *value = take_value(s);
    return !s->bad;
}

/* ---- one case ---- */

struct item {
    struct bytes body;
    int64_t      arrival;
    bool         punctual;
    struct bytes device;
    struct value properties;
};
struct named {
    struct bytes text; /* the list */
    const char  *name;
};
struct one_case {
    struct arena  memory;
    struct query_options options;
    struct bytes  query;
    struct named  inputs[NAMES_MAX], references[NAMES_MAX];
    const char   *input_names[NAMES_MAX + 1];
    uint32_t      input_count, reference_count;
    struct buf   *rows; /* of each output */
    uint64_t     *counts;
    bool          resume;
    struct fault  why;
};

static bool string_of(struct one_case *c, struct bytes text, struct bytes *out)
{
    struct value v;
    if (json_value(text, &c->memory, &v, &c->why) != CODE_OK || v.type != VALUE_TEXT)
        return false;
    *out = value_bytes(v);
    return true;
}

static bool name_of(struct one_case *c, struct bytes text, const char **out)
{
    struct bytes b;
    if (!string_of(c, text, &b))
        return false;
    *out = arena_text(&c->memory, b);
    return *out != NULL;
}

static bool is_string(struct one_case *c, struct bytes text, const char *word)
{
    struct bytes b;
    return string_of(c, text, &b) && bytes_is(b, word);
}

static bool seconds_of(struct one_case *c, struct bytes text, int64_t *out)
{
    struct value v;
    if (json_value(text, &c->memory, &v, &c->why) != CODE_OK || (v.type != VALUE_BIGINT && v.type != VALUE_FLOAT))
        return false;
    double s = v.type == VALUE_BIGINT ? (double)v.i : v.f;
    *out = (int64_t)(s * (double)SECOND + (s < 0 ? -0.5 : 0.5));
    return true;
}

static bool read_config(struct one_case *c, struct bytes text)
{
    struct scan s = { text, false };
    struct bytes name, value;
    bool ok = take(&s, '{');
    while (ok && next_member(&s, &name, &value)) {
        if (bytes_is(name, "\"late_s\""))
            ok = seconds_of(c, value, &c->options.late);
        else if (bytes_is(name, "\"out_of_order_s\""))
            ok = seconds_of(c, value, &c->options.out_of_order);
        else if (bytes_is(name, "\"action\""))
            c->options.policy = is_string(c, value, "drop") ? STREAM_DROP : STREAM_ADJUST;
        else if (bytes_is(name, "\"on_error\""))
            c->options.stop_on_error = is_string(c, value, "stop");
        else if (bytes_is(name, "\"collation\""))
            c->options.ignore_case = is_string(c, value, "ci");
        else if (bytes_is(name, "\"edge_lowercase\""))
            c->options.lowercase_names = bytes_is(value, "true");
        else if (bytes_is(name, "\"model\""))
            c->options.model = is_string(c, value, "kde") ? STREAM_KDE : STREAM_FIELDGATE;
    }
    return ok && !s.bad;
}

static bool read_named(struct one_case *c, struct bytes text, struct named *out, uint32_t *count)
{
    struct scan s = { text, false };
    struct bytes name, value;
    bool ok = take(&s, '{');
    while (ok && next_member(&s, &name, &value)) {
        ok = *count < NAMES_MAX && name_of(c, name, &out[*count].name);
        if (ok)
            out[(*count)++].text = value;
    }
    return ok && !s.bad;
}

static bool is_reference(void *ctx, struct bytes name)
{
    const struct one_case *c = ctx;
    for (uint32_t i = 0; i < c->reference_count; i++)
        if (name.len == strlen(c->references[i].name) && strncasecmp((const char *)name.at, c->references[i].name, name.len) == 0)
            return true;
    return false;
}

static bool read_case(struct one_case *c, struct bytes line)
{
    struct scan s = { line, false };
    struct bytes name, value, input = BYTES_NONE;
    bool ok = take(&s, '{'), query = false;
    query_options_default(&c->options);
    while (ok && next_member(&s, &name, &value)) {
        if (bytes_is(name, "\"query\""))
            query = ok = string_of(c, value, &c->query);
        else if (bytes_is(name, "\"input\""))
            input = value;
        else if (bytes_is(name, "\"reference\""))
            ok = read_named(c, value, c->references, &c->reference_count);
        else if (bytes_is(name, "\"config\""))
            ok = read_config(c, value);
    }
    if (!ok || s.bad || !query)
        return false;
    if (input.len && input.at[0] == '{')
        ok = read_named(c, input, c->inputs, &c->input_count);
    else
        c->inputs[c->input_count++] = (struct named){ input, "input" };
    for (uint32_t i = 0; i < c->input_count; i++)
        c->input_names[i] = c->inputs[i].name;
    c->options.inputs = c->input_names;
    c->options.is_reference = is_reference;
    c->options.ctx = c;
    return ok;
}

/* ---- its messages ---- */

/* The object without the member at value[from..to) and a comma beside it. */
static struct bytes without(struct one_case *c, struct bytes object, size_t from, size_t to)
{
    uint8_t *copy = arena_take(&c->memory, object.len);
    if (!copy)
        return object;
    while (to < object.len && strchr(" \t", object.at[to]))
        to++;
    if (to < object.len && object.at[to] == ',')
        to++;
    else
        while (from && object.at[from] != ',' && object.at[from] != '{')
            from--;
    from += from < object.len && object.at[from] == '{';
    memcpy(copy, object.at, from);
    memcpy(copy + from, object.at + to, object.len - to);
    return bytes_of(copy, object.len - (to - from));
}

static bool arrival_of(struct one_case *c, struct bytes text, int64_t *out)
{
    struct bytes b;
    return string_of(c, text, &b) && datetime_parse(b, out);
}

static bool read_item(struct one_case *c, struct bytes text, uint64_t index, struct item *out)
{
    struct scan s = { text, false };
    struct bytes name, value, message = BYTES_NONE;
    size_t from = 0, to = 0;
    *out = (struct item){ .body = text, .arrival = START + (int64_t)index * SECOND, .punctual = true };
    if (text.at[0] == '"')
        return string_of(c, text, &out->body);
    if (!take(&s, '{'))
        return true;
    for (;;) {
        skip_blanks(&s);
        if (s.left.len && s.left.at[0] == ',')
            s.left = bytes_from(s.left, 1);
        skip_blanks(&s);
        size_t begin = text.len - s.left.len;
        if (!next_member(&s, &name, &value))
            break;
        if (bytes_is(name, "\"_arrival\"") && arrival_of(c, value, &out->arrival)) {
            out->punctual = false;
            from = begin;
            to = text.len - s.left.len;
        } else if (bytes_is(name, "\"_message\"")) {
            message = value;
        } else if (bytes_is(name, "\"_device\"")) {
            (void)string_of(c, value, &out->device);
        } else if (bytes_is(name, "\"_properties\"")) {
            if (json_value(value, &c->memory, &out->properties, &c->why) != CODE_OK)
                return false;
        }
    }
    if (message.len)
        return string_of(c, message, &out->body);
    if (to)
        out->body = without(c, text, from, to);
    return true;
}

/* '[User].[line]' or 'User.line' */
static bool property(void *ctx, struct bytes name, struct bytes *out)
{
    const struct item *item = ctx;
    struct value v = value_field(item->properties, stream_user_property(name));
    *out = v.type == VALUE_TEXT ? value_bytes(v) : BYTES_NONE;
    return v.type == VALUE_TEXT;
}

static enum code feed(struct one_case *c, struct stream *s, uint32_t input, const struct item *item)
{
    struct stream_message m = { .input = input, .body = item->body, .arrival = item->arrival, .punctual = item->punctual,
                                .source = item->device, .property = property, .ctx = (void *)item };
    return stream_feed(s, &m, &c->why);
}

static void on_row(void *ctx, const struct stream_row *row)
{
    struct one_case *c = ctx;
    struct buf *out = &c->rows[row->output];
    if (buf_size(out))
        buf_u8(out, ',');
    buf_add_bytes(out, row->json);
}

/* Another run takes this one's place, as after a crash. */
static enum code replace(struct one_case *c, struct stream **s, const struct query *q)
{
    const struct stream_sink sink = { .ctx = c, .row = on_row };
    struct buf state = { 0 };
    struct stream *fresh = NULL;
    enum code code = stream_save(*s, &state);
    if (code == CODE_OK)
        code = stream_new(&fresh, q, &sink, &c->why);
    if (code == CODE_OK)
        code = stream_load(fresh, buf_bytes(&state), &c->why);
    buf_clear(&state);
    if (code != CODE_OK) {
        stream_free(fresh);
        return code;
    }
    stream_free(*s);
    *s = fresh;
    return CODE_OK;
}

static enum code feed_all(struct one_case *c, struct stream **s, const struct query *q, bool *broken)
{
    for (uint32_t i = 0; i < query_inputs(q); i++)
        for (uint32_t k = 0; k < c->input_count; k++) {
            struct scan list = { c->inputs[k].text, false };
            struct bytes text;
            if (!bytes_is(query_input(q, i), c->inputs[k].name) || !take(&list, '['))
                continue;
            for (uint64_t n = 0; next_item(&list, &text); n++) {
                struct item item;
                *broken |= !read_item(c, text, n, &item);
                enum code code = *broken ? CODE_OK : feed(c, *s, i, &item);
                if (code == CODE_OK && c->resume)
                    code = replace(c, s, q);
                if (code != CODE_OK)
                    return code;
            }
            *broken |= list.bad;
        }
    return stream_end(*s, &c->why);
}

/* ---- its answer ---- */

static void write_counts(const struct stream *s, struct buf *out)
{
    struct stream_stats t;
    stream_stats(s, &t);
    const struct {
        const char *name;
        uint64_t    n;
    } list[] = {
        { "InputDeserializationError", t.malformed },       { "InputEventTimestampNotFound", t.no_timestamp },
        { "InputEventTimestampByOverValueNotFound", t.no_over_value }, { "InputEventEarlyBeyondThreshold", t.early },
        { "InputEventLateBeyondThreshold", t.late },        { "OutOfOrderEvent", t.out_of_order },
        { "EvaluationError", t.wrong_type },                { "NonFiniteFloat", t.not_finite },
    };
    bool first = true;
    buf_u8(out, '{');
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        if (!list[i].n)
            continue;
        buf_printf(out, "%s\"%s\":%" PRIu64, first ? "" : ",", list[i].name, list[i].n);
        first = false;
    }
    buf_u8(out, '}');
}

static void write_rows(const struct one_case *c, const struct query *q, struct buf *out)
{
    buf_printf(out, "{\"outputs\":{");
    for (uint32_t i = 0; i < query_outputs(q); i++) {
        if (i)
            buf_u8(out, ',');
        buf_json(out, query_output(q, i));
        buf_printf(out, ":[");
        buf_add_bytes(out, buf_bytes(&c->rows[i]));
        buf_u8(out, ']');
    }
    buf_printf(out, "},\"counts\":");
}

static void write_message(const char *name, const struct fault *why, bool place, struct buf *out)
{
    buf_printf(out, "{\"%s\":", name);
    if (place)
        buf_printf(out, "{\"line\":%u,\"column\":%u,\"message\":", (unsigned)(why->at >> 16), (unsigned)(why->at & 65535));
    buf_json(out, bytes_str(why->text));
    buf_printf(out, place ? "}}" : "}");
}

static enum code load_references(struct one_case *c, struct stream *s, const struct query *q)
{
    for (uint32_t i = 0; i < query_references(q); i++)
        for (uint32_t k = 0; k < c->reference_count; k++) {
            struct bytes name = query_reference(q, i);
            if (name.len != strlen(c->references[k].name) || strncasecmp((const char *)name.at, c->references[k].name, name.len) != 0)
                continue;
            enum code code = stream_reference(s, i, STREAM_JSON, c->references[k].text, &c->why);
            if (code != CODE_OK)
                return code;
        }
    return CODE_OK;
}

static bool execute(struct one_case *c, const struct query *q, struct buf *out)
{
    struct stream *s;
    bool broken = false;
    const struct stream_sink sink = { .ctx = c, .row = on_row };
    c->rows = mem_zalloc(query_outputs(q) + 1, sizeof *c->rows);
    enum code code = c->rows ? stream_new(&s, q, &sink, &c->why) : CODE_NOMEM;
    if (code == CODE_OK) {
        code = load_references(c, s, q);
        if (code == CODE_OK)
            code = feed_all(c, &s, q, &broken);
        if (code == CODE_OK) {
            write_rows(c, q, out);
            write_counts(s, out);
            buf_u8(out, '}');
        } else {
            write_message("stopped", &c->why, false, out);
        }
        stream_free(s);
    }
    for (uint32_t i = 0; c->rows && i < query_outputs(q); i++)
        buf_clear(&c->rows[i]);
    mem_free(c->rows);
    return !broken;
}

/* False: the line is no case. */
static bool answer(struct bytes line, bool resume, struct buf *out)
{
    struct one_case *c = mem_zalloc(1, sizeof *c);
    struct query *q = NULL;
    if (!c)
        return false;
    arena_init(&c->memory, NULL, 0, CASE_MEMORY);
    bool ok = read_case(c, line);
    c->resume = resume;
    if (ok && query_compile(&q, c->query, &c->options, &c->why) != CODE_OK)
        write_message("error", &c->why, true, out);
    else if (ok)
        ok = execute(c, q, out);
    query_free(q);
    arena_clear(&c->memory);
    mem_free(c);
    return ok;
}

int sql_cases(const struct verb_call *call, const char *path, bool resume)
{
    struct sql_input in;
    struct fault why;
    struct bytes line;
    struct buf out = { 0 };
    uint64_t number = 0;
    enum code code = sql_input_open(&in, call->io, path, SQL_JSON, 0, &why);
    if (code != CODE_OK)
        return verb_fail(call, &why);
    in.started = true; /* lines, whatever the first one looks like */
    while ((code = sql_input_next(&in, &line, &why)) == CODE_OK || code == CODE_AGAIN) {
        if (code == CODE_AGAIN)
            continue;
        number++;
        buf_reset(&out);
        if (!answer(line, resume, &out)) {
            sql_input_close(&in);
            buf_clear(&out);
            return verb_usage(call, "%s: line %" PRIu64 " is no case: JSON with a query", path, number);
        }
        buf_u8(&out, '\n');
        (void)fwrite(out.at + out.from, 1, buf_size(&out), call->out);
        (void)fflush(call->out);
    }
    sql_input_close(&in);
    buf_clear(&out);
    return code == CODE_END ? STATUS_DONE : verb_fail(call, &why);
}
