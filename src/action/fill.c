#include "action/fill.h"

/* The next "${...}": its name, and where the text goes on. False: there is none. */
static bool next_field(const char *text, const char **begin, struct bytes *name, const char **rest)
{
    for (const char *at = strchr(text, '$'); at; at = strchr(at + 1, '$')) {
        if (at[1] == '$' && at[2] == '{') {
            at++; /* `$${`: the second one is not looked at */
            continue;
        }
        if (at[1] != '{')
            continue;
        const char *end = strchr(at, '}');
        *begin = at;
        *name = bytes_of(at + 2, end ? (size_t)(end - at) - 2 : 0);
        *rest = end ? end + 1 : NULL;
        return true;
    }
    return false;
}

bool fill_valid(const char *text, size_t *at)
{
    const char *begin, *rest = text;
    struct bytes name;
    while (next_field(rest, &begin, &name, &rest)) {
        *at = (size_t)(begin - text);
        if (!rest || !name.len)
            return false;
    }
    return true;
}

bool fill_needs_event(const char *text)
{
    const char *begin, *rest;
    struct bytes name;
    return next_field(text, &begin, &name, &rest);
}

/* ---- which value ---- */

static struct value part_of(struct value v, struct bytes part)
{
    if (v.type != VALUE_ARRAY)
        return value_field(v, part);
    uint64_t i = 0;
    for (size_t k = 0; k < part.len; k++) {
        if (part.at[k] < '0' || part.at[k] > '9' || k > 8)
            return value_null();
        i = i * 10 + (uint64_t)(part.at[k] - '0');
    }
    return part.len && i < v.array->count ? v.array->items[i] : value_null();
}

static struct value look_up(struct value event, struct bytes name)
{
    struct value whole = value_field(event, name);
    if (whole.type != VALUE_NULL)
        return whole;
    for (bool more = true; more;) {
        const uint8_t *dot = name.len ? memchr(name.at, '.', name.len) : NULL;
        size_t n = dot ? (size_t)(dot - name.at) : name.len;
        event = part_of(event, bytes_of(name.at, n));
        more = dot != NULL;
        name = bytes_from(name, more ? n + 1 : n);
    }
    return event;
}

/* ---- how it is written ---- */

struct filling {
    struct buf *out;
    bool quoted, escaped; /* fill_json: in a JSON string, behind a backslash */
    int hex;              /* digits that a \u wants yet */
    void (*plain)(struct filling *, char);
    void (*put)(struct filling *, struct value);
};

static void plain_char(struct filling *f, char c)
{
    buf_u8(f->out, (uint8_t)c);
}

static void put_value(struct buf *out, struct value v)
{
    if (v.type == VALUE_TEXT)
        buf_add_bytes(out, value_bytes(v));
    else if (v.type != VALUE_NULL)
        value_write_json(out, v);
}

static void put_plain(struct filling *f, struct value v)
{
    put_value(f->out, v);
}

/* Calls each() for the bytes of the value as text. */
static void each_byte(struct filling *f, struct value v, void (*each)(struct buf *out, uint8_t c))
{
    struct buf text = {.max = f->out->max};
    put_value(&text, v);
    struct bytes b = buf_bytes(&text);
    for (size_t i = 0; i < b.len && !f->out->bad; i++)
        each(f->out, b.at[i]);
    f->out->bad = f->out->bad || text.bad;
    buf_clear(&text);
}

static void topic_byte(struct buf *out, uint8_t c)
{
    buf_u8(out, c == '/' || c == '+' || c == '#' || c == 0 ? '_' : c);
}

static void put_topic(struct filling *f, struct value v)
{
    each_byte(f, v, topic_byte);
}

static void url_byte(struct buf *out, uint8_t c)
{
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                 c == '.' || c == '_' || c == '~';
    if (plain)
        buf_u8(out, c);
    else
        buf_printf(out, "%%%02X", c);
}

static void put_url(struct filling *f, struct value v)
{
    each_byte(f, v, url_byte);
}

static void plain_url(struct filling *f, char c)
{
    if (c > ' ' && c < 127)
        buf_u8(f->out, (uint8_t)c);
    else
        url_byte(f->out, (uint8_t)c);
}

static void plain_json(struct filling *f, char c)
{
    buf_u8(f->out, (uint8_t)c);
    f->hex -= f->hex > 0;
    if (f->escaped) {
        f->escaped = false;
        f->hex = c == 'u' ? 4 : 0;
    } else if (c == '"') {
        f->quoted = !f->quoted;
    } else {
        f->escaped = f->quoted && c == '\\';
    }
}

static void put_json(struct filling *f, struct value v)
{
    struct buf text = {.max = f->out->max}, json = {.max = f->out->max};
    f->out->bad = f->out->bad || f->hex; /* half of a \u: no value makes it whole */
    if (f->escaped)
        buf_u8(f->out, '\\'); /* the backslash is one, and does not escape what the value begins with */
    f->escaped = false;
    if (!f->quoted) {
        value_write_json(f->out, v);
        return;
    }
    put_value(&text, v);
    buf_json(&json, buf_bytes(&text));
    struct bytes b = buf_bytes(&json);
    if (b.len > 2)
        buf_add(f->out, b.at + 1, b.len - 2); /* the quotes are there */
    f->out->bad = f->out->bad || text.bad || json.bad;
    buf_clear(&text);
    buf_clear(&json);
}

static void put_text(struct filling *f, const char *from, const char *to)
{
    for (; from < to; from++) {
        if (from[0] == '$' && from + 2 < to && from[1] == '$' && from[2] == '{')
            continue; /* `$${` is `${` */
        f->plain(f, *from);
    }
}

static void run(struct filling *f, const char *text, struct value event)
{
    const char *begin, *rest = text, *next;
    struct bytes name;
    while (next_field(rest, &begin, &name, &next) && next && !f->out->bad) {
        put_text(f, rest, begin);
        f->put(f, look_up(event, name));
        rest = next;
    }
    put_text(f, rest, rest + strlen(rest));
}

void fill(struct buf *out, const char *text, struct value event)
{
    run(&(struct filling){.out = out, .plain = plain_char, .put = put_plain}, text, event);
}

void fill_topic(struct buf *out, const char *text, struct value event)
{
    run(&(struct filling){.out = out, .plain = plain_char, .put = put_topic}, text, event);
}

void fill_url(struct buf *out, const char *text, struct value event)
{
    run(&(struct filling){.out = out, .plain = plain_url, .put = put_url}, text, event);
}

void fill_json(struct buf *out, const char *text, struct value event)
{
    run(&(struct filling){.out = out, .plain = plain_json, .put = put_json}, text, event);
}
