#include "action/fill.h"

#include <stdlib.h>

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

/* A name with dots that is there as a whole counts as one. */
static struct value look_up(struct value event, struct bytes name)
{
    struct value whole = value_field(event, name);
    if (whole.type != VALUE_NULL)
        return whole;
    while (name.len) {
        const uint8_t *dot = memchr(name.at, '.', name.len);
        size_t n = dot ? (size_t)(dot - name.at) : name.len;
        event = part_of(event, bytes_of(name.at, n));
        name = bytes_from(name, dot ? n + 1 : n);
    }
    return event;
}

static void put_plain(struct buf *out, const char *from, const char *to)
{
    for (; from < to; from++) {
        if (from[0] == '$' && from + 2 < to && from[1] == '$' && from[2] == '{')
            continue; /* `$${` is `${` */
        buf_u8(out, (uint8_t)*from);
    }
}

static void put_value(struct buf *out, struct value v)
{
    if (v.type == VALUE_TEXT)
        buf_add_bytes(out, value_bytes(v));
    else if (v.type != VALUE_NULL)
        value_write_json(out, v);
}

static void put_level(struct buf *out, struct value v)
{
    struct buf text = {0};
    put_value(&text, v);
    struct bytes b = buf_bytes(&text);
    for (size_t i = 0; i < b.len; i++)
        buf_u8(out, b.at[i] == '/' || b.at[i] == '+' || b.at[i] == '#' || b.at[i] == 0 ? '_' : b.at[i]);
    out->bad = out->bad || text.bad;
    buf_clear(&text);
}

static void fill_with(struct buf *out, const char *text, struct value event,
                      void (*put)(struct buf *, struct value))
{
    const char *begin, *rest = text;
    struct bytes name;
    while (next_field(rest, &begin, &name, &text)) {
        put_plain(out, rest, begin);
        put(out, look_up(event, name));
        rest = text;
    }
    put_plain(out, rest, rest + strlen(rest));
}

void fill(struct buf *out, const char *text, struct value event)
{
    fill_with(out, text, event, put_value);
}

void fill_topic(struct buf *out, const char *text, struct value event)
{
    fill_with(out, text, event, put_level);
}
