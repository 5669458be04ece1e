/* parse.c - a route's text, by itself. */
#include "route/table.h"

#include "base/suggest.h"

#include <stdarg.h>
#include <stdio.h>

struct scan {
    const struct route_reading *r;
    struct bytes text;
    size_t at;
};

#define TRY(call)                  \
    do {                           \
        enum code try_code = call; \
        if (try_code != CODE_OK)   \
            return try_code;       \
    } while (0)

/* ---- refusals ---- */

static void place_of(struct bytes text, size_t offset, uint32_t *line, uint32_t *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.at[i] == '\n') {
            ++*line;
            *column = 1;
        } else if ((text.at[i] & 0xc0) != 0x80) {
            ++*column;
        }
    }
}

enum code route_refuse(const struct route_reading *r, enum code code, int number, size_t offset,
                       const char *fmt, ...)
{
    char what[240], inside[48] = "";
    const struct route_text *t = r->said;
    uint32_t line, column, in_line = t->line, in_column = t->column;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    place_of(bytes_str(t->text), offset, &line, &column);
    if (t->in_place && line == 1)
        in_column += column - 1;
    else if (line > 1)
        (void)snprintf(inside, sizeof inside, ", line %u column %u of its text", line, column);
    else
        (void)snprintf(inside, sizeof inside, ", column %u of its text", column);
    enum code c = FAIL_FG(r->why, code, number, "%s:%u:%u route %s%s: %s", t->file, in_line, in_column,
                          t->name, inside, what);
    if (r->why)
        r->why->at = (uint64_t)in_line * 65536 + (in_column < 65535 ? in_column : 65535);
    return c;
}

static enum code expected(const struct scan *s, const char *what)
{
    size_t n = 0;
    char shown[48];
    while (s->at + n < s->text.len && n < 24 && !strchr(" \t\r\n", s->text.at[s->at + n]))
        n++;
    if (!n)
        return route_refuse(s->r, CODE_USAGE, 4100, s->at, "expected %s, found the end", what);
    bytes_escape(bytes_of(s->text.at + s->at, n), shown, sizeof shown);
    return route_refuse(s->r, CODE_USAGE, 4100, s->at, "expected %s, found %s", what, shown);
}

/* ---- words ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$';
}

static void blanks(struct scan *s)
{
    while (s->at < s->text.len && is_blank(s->text.at[s->at]))
        s->at++;
}

static struct bytes word(const struct scan *s)
{
    size_t n = 0;
    while (s->at + n < s->text.len && is_letter(s->text.at[s->at + n]))
        n++;
    return bytes_of(s->text.at + s->at, n);
}

static bool same(struct bytes b, const char *word)
{
    return b.len == strlen(word) && suggest_distance(b, bytes_str(word), 0) == 0; /* whatever the case */
}

/* Takes the word if it is at hand. */
static bool keyword(struct scan *s, const char *name)
{
    blanks(s);
    if (!same(word(s), name))
        return false;
    s->at += strlen(name);
    return true;
}

/* ("text") behind a word: its text, and where that begins. */
static enum code quoted(struct scan *s, struct bytes *out, size_t *at)
{
    blanks(s);
    if (s->at == s->text.len || s->text.at[s->at] != '(')
        return expected(s, "(\"...\")");
    s->at++;
    blanks(s);
    uint8_t quote = s->at < s->text.len ? s->text.at[s->at] : 0;
    if (quote != '"' && quote != '\'')
        return expected(s, "a name in quotes");
    const uint8_t *end = memchr(s->text.at + s->at + 1, quote, s->text.len - s->at - 1);
    if (!end)
        return route_refuse(s->r, CODE_USAGE, 4100, s->at, "a name begins here with %c and does not end",
                            quote);
    *at = s->at + 1;
    *out = bytes_of(s->text.at + *at, (size_t)(end - s->text.at) - *at);
    s->at = *at + out->len + 1;
    blanks(s);
    if (s->at == s->text.len || s->text.at[s->at] != ')')
        return expected(s, "')'");
    s->at++;
    return CODE_OK;
}

/* ---- paths ---- */

/* One level of a path; false at the end. Empty levels do not count: a slash at the end is none. */
static bool level(struct bytes path, size_t *at, struct bytes *out)
{
    while (*at < path.len && path.at[*at] == '/')
        ++*at;
    size_t from = *at;
    while (*at < path.len && path.at[*at] != '/')
        ++*at;
    *out = bytes_of(path.at + from, *at - from);
    return out->len > 0;
}

/* Sources that IoT Edge and IoT Hub have, and we do not have yet. */
static bool absent(const struct route_reading *r, struct bytes first, size_t at, enum code *c)
{
    static const struct {
        const char *name, *what;
    } all[] = {{"twinChangeNotifications", "changes of twins"},
               {"deviceLifecycleEvents", "the making and removing of devices"},
               {"moduleLifecycleEvents", "the making and removing of modules"},
               {"deviceJobLifecycleEvents", "jobs of the hub's devices"},
               {"deviceConnectionStateEvents", "devices that connect and disconnect"},
               {"digitalTwinChangeEvents", "changes of digital twins"}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (same(first, all[i].name)) {
            *c = route_refuse(r, CODE_UNSUPPORTED, 4103, at,
                              "/%s: %s belong to a hub with devices, which this version does not have",
                              all[i].name, all[i].what);
            return true;
        }
    return false;
}

static enum code no_such_path(const struct route_reading *r, struct bytes path, size_t at)
{
    static const char *const known[] = {"/messages/*", "/messages/modules/*", "/twinChangeNotifications"};
    char shown[80];
    const char *near = suggest_word(path, known, 2);
    bytes_escape(path, shown, sizeof shown);
    return route_refuse(
        r, CODE_USAGE, 4101, at, "FROM %s: there is no such source. %s%s%s", shown,
        near ? "Did you mean " : "Known are ",
        near ? near : "/messages/*, /messages/modules/M/outputs/O, topic(\"filter\"), job(\"name\"), events",
        near ? "?" : "");
}

static bool all(struct bytes b)
{
    return bytes_is(b, "*");
}

/* What stands behind /messages/modules/M. */
static enum code rest_of_module(struct route_parts *out, const struct route_reading *r, struct bytes path,
                                size_t base, size_t *at)
{
    struct bytes l;
    if (!level(path, at, &l) || all(l))
        return CODE_OK;
    if (!same(l, "outputs"))
        return no_such_path(r, path, base);
    if (!level(path, at, &l) || all(l))
        return CODE_OK;
    out->from_output = l;
    out->output_at = base + (size_t)(l.at - path.at);
    return CODE_OK;
}

enum code route_parse_path(struct route_parts *out, const struct route_reading *r, struct bytes path,
                           size_t base)
{
    struct bytes l;
    size_t at = 0;
    enum code c;
    out->source = SOURCE_MESSAGES;
    if (!level(path, &at, &l))
        return no_such_path(r, path, base);
    if (all(l) && at == path.len)
        return CODE_OK;
    if (absent(r, l, base, &c))
        return c;
    if (!same(l, "messages"))
        return no_such_path(r, path, base);
    if (!level(path, &at, &l) || (all(l) && at == path.len))
        return CODE_OK;
    if (!same(l, "modules"))
        return no_such_path(r, path, base);
    if (!level(path, &at, &l) || (all(l) && at == path.len))
        return CODE_OK;
    out->source = SOURCE_MODULE;
    out->from_module = l;
    out->module_at = base + (size_t)(l.at - path.at);
    TRY(rest_of_module(out, r, path, base, &at));
    if (level(path, &at, &l) && !(all(l) && at == path.len))
        return no_such_path(r, path, base);
    return CODE_OK;
}

/* "/modules/M/inputs/I" */
static enum code parse_endpoint(struct route_parts *out, const struct route_reading *r, struct bytes path,
                                size_t base)
{
    struct bytes l;
    size_t at = 0;
    out->sink = SINK_INPUT;
    bool fine = level(path, &at, &l) && same(l, "modules") && level(path, &at, &out->to_module) &&
                level(path, &at, &l) && same(l, "inputs") && level(path, &at, &out->to_input) &&
                !level(path, &at, &l);
    if (!fine)
        return route_refuse(r, CODE_USAGE, 4102, base, "INTO BrokeredEndpoint takes \"/modules/M/inputs/I\"");
    out->to_at = base + (size_t)(out->to_module.at - path.at);
    out->to_input_at = base + (size_t)(out->to_input.at - path.at);
    return CODE_OK;
}

/* "name/part" */
static void split(struct bytes b, struct bytes *name, struct bytes *part)
{
    const uint8_t *slash = b.len ? memchr(b.at, '/', b.len) : NULL;
    *name = bytes_of(b.at, slash ? (size_t)(slash - b.at) : b.len);
    *part = slash ? bytes_from(b, name->len + 1) : BYTES_NONE;
}

/* ---- source and sink ---- */

static enum code unknown_word(struct scan *s, int number, const char *what, const char *const *known,
                              size_t n, const char *list)
{
    char shown[48];
    struct bytes w = word(s);
    if (!w.len)
        return expected(s, list);
    const char *near = suggest_word(w, known, n);
    bytes_escape(w, shown, sizeof shown);
    return route_refuse(s->r, CODE_USAGE, number, s->at, "%s %s: there is no such thing. %s%s%s", what, shown,
                        near ? "Did you mean " : "Known are ", near ? near : list, near ? "?" : "");
}

static enum code parse_source(struct scan *s, struct route_parts *out)
{
    static const char *const known[] = {"topic", "job", "events", "/messages"};
    static const char list[] = "/messages/..., topic(\"filter\"), job(\"name\"), events";
    blanks(s);
    size_t from = s->at;
    if (s->at < s->text.len && s->text.at[s->at] == '/') {
        size_t n = 0;
        while (s->at + n < s->text.len && !is_blank(s->text.at[s->at + n]))
            n++;
        s->at += n;
        TRY(route_parse_path(out, s->r, bytes_of(s->text.at + from, n), from));
    } else if (keyword(s, "topic")) {
        out->source = SOURCE_TOPIC;
        TRY(quoted(s, &out->from_topic, &out->topic_at));
    } else if (keyword(s, "job")) {
        struct bytes b;
        out->source = SOURCE_MODULE;
        TRY(quoted(s, &b, &out->module_at));
        split(b, &out->from_module, &out->from_output);
        out->output_at = out->module_at + out->from_module.len + 1;
    } else if (keyword(s, "events")) {
        out->source = SOURCE_EVENTS;
        out->topic_at = from;
    } else {
        return unknown_word(s, 4101, "FROM", known, sizeof known / sizeof known[0], list);
    }
    out->source_text = bytes_of(s->text.at + from, s->at - from);
    return CODE_OK;
}

static enum code parse_sink(struct scan *s, struct route_parts *out)
{
    static const char *const known[] = {"$upstream", "BrokeredEndpoint", "topic", "job", "events"};
    static const char list[] =
        "$upstream, BrokeredEndpoint(\"/modules/M/inputs/I\"), topic(\"name\"), job(\"name/input\"), events";
    struct bytes b;
    blanks(s);
    size_t from = out->to_at = s->at;
    if (keyword(s, "$upstream")) {
        out->sink = SINK_UPSTREAM;
    } else if (keyword(s, "events")) {
        out->sink = SINK_EVENTS;
    } else if (keyword(s, "topic")) {
        out->sink = SINK_TOPIC;
        TRY(quoted(s, &out->to_topic, &out->to_at));
    } else if (keyword(s, "job")) {
        out->sink = SINK_INPUT;
        TRY(quoted(s, &b, &out->to_at));
        split(b, &out->to_module, &out->to_input);
        out->to_input_at = out->to_at + out->to_module.len + 1;
    } else if (keyword(s, "BrokeredEndpoint")) {
        size_t at;
        TRY(quoted(s, &b, &at));
        TRY(parse_endpoint(out, s->r, b, at));
    } else {
        return unknown_word(s, 4102, "INTO", known, sizeof known / sizeof known[0], list);
    }
    out->sink_text = bytes_of(s->text.at + from, s->at - from);
    return CODE_OK;
}

static enum code parse_condition(struct scan *s, struct route_parts *out)
{
    struct fault inner;
    blanks(s);
    size_t from = s->at;
    uint32_t line, column;
    place_of(s->text, from, &line, &column);
    enum code c = condition_parse(&out->condition, s->text, &s->at, (struct place){line, column}, s->r->arena,
                                  &inner);
    out->condition_text = bytes_of(s->text.at + from, s->at - from);
    if (c == CODE_OK)
        return CODE_OK;
    /* Back from line and column to an offset. */
    size_t at = 0;
    for (uint32_t l = 1, k = 1; at < s->text.len && (l != inner.at / 65536 || k != inner.at % 65536); at++) {
        if (s->text.at[at] == '\n')
            l++, k = 1;
        else if (at + 1 == s->text.len || (s->text.at[at + 1] & 0xc0) != 0x80)
            k++;
    }
    return route_refuse(s->r, c, 4104, at, "WHERE: %s", inner.text);
}

enum code route_parse(struct route_parts *out, const struct route_reading *r)
{
    struct scan s = {.r = r, .text = bytes_str(r->said->text)};
    *out = (struct route_parts){.text = s.text};
    if (s.text.len > ROUTE_TEXT_MAX)
        return route_refuse(r, CODE_LIMIT, 4106, 0, "the text has %zu bytes, the most is %d", s.text.len,
                            ROUTE_TEXT_MAX);
    if (!utf8_valid(s.text, false))
        return route_refuse(r, CODE_USAGE, 4100, 0, "the text is not UTF-8");
    if (keyword(&s, "SELECT")) {
        blanks(&s);
        if (s.at == s.text.len || s.text.at[s.at] != '*')
            return expected(&s, "* (a route passes messages on as they are)");
        s.at++;
    }
    if (!keyword(&s, "FROM"))
        return expected(&s, "FROM");
    TRY(parse_source(&s, out));
    if (keyword(&s, "WHERE"))
        TRY(parse_condition(&s, out));
    if (!keyword(&s, "INTO"))
        return expected(&s, out->condition ? "INTO, or more of the condition" : "WHERE or INTO");
    TRY(parse_sink(&s, out));
    blanks(&s);
    if (s.at < s.text.len)
        return expected(&s, "the end: a route has one sink");
    return CODE_OK;
}
