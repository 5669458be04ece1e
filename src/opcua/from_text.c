#include "opcua/from_text.h"

#include "base/base64.h"
#include "base/number.h"
#include "base/utf8.h"
#include "base/values.h"
#include "opcua/status.h"
#include "opcua/text.h"

#include <inttypes.h>
#include <math.h>

enum { DIMS_MAX = 8, ITEMS_MAX = 65536 };

struct maker {
    struct arena *arena;
    struct fault *why;
    int64_t       now_us;
    unsigned      type;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct bytes trimmed(struct bytes t)
{
    while (t.len && is_space(t.at[0]))
        t = bytes_from(t, 1);
    while (t.len && is_space(t.at[t.len - 1]))
        t.len--;
    return t;
}

static enum code not_one(const struct maker *m, struct bytes text, const char *form)
{
    char said[64];
    return FAIL(m->why, CODE_USAGE, 0, "'%s' is no %s: write %s", bytes_escape(text, said, sizeof said), ua_builtin_name(m->type),
                form);
}

/* ---- scalars ---- */

static bool is_quoted(struct bytes t)
{
    return t.len >= 2 && t.at[0] == '"' && t.at[t.len - 1] == '"';
}

static int hex4(const uint8_t *at)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i] | 0x20;
        int d = at[i] >= '0' && at[i] <= '9' ? at[i] - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

/* \uXXXX, and the second half of a pair. False: no such character. */
static bool escaped_unit(struct bytes in, size_t *at, uint32_t *out)
{
    int unit = in.len - *at >= 4 ? hex4(in.at + *at) : -1;
    if (unit <= 0 || (unit >= 0xdc00 && unit < 0xe000))
        return false;
    *at += 4;
    *out = (uint32_t)unit;
    if (unit < 0xd800 || unit >= 0xe000)
        return true;
    if (in.len - *at < 6 || in.at[*at] != '\\' || in.at[*at + 1] != 'u')
        return false;
    int low = hex4(in.at + *at + 2);
    if (low < 0xdc00 || low >= 0xe000)
        return false;
    *at += 6;
    *out = 0x10000u + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return true;
}

/* What stands between the quotes. */
static enum code unquote(const struct maker *m, struct bytes t, struct bytes *out)
{
    static const char names[] = "\"\\/bfnrt", what[] = "\"\\/\b\f\n\r\t";
    struct bytes in = bytes_of(t.at + 1, t.len - 2);
    uint8_t *to = arena_take(m->arena, in.len + 1);
    size_t n = 0;
    if (!to)
        return FAIL(m->why, CODE_NOMEM, 0, "no memory for a text of %zu bytes", in.len);
    for (size_t i = 0; i < in.len;) {
        uint8_t c = in.at[i++];
        if (c == '"')
            return not_one(m, t, "\"text\" with \\\" for a quote in it");
        if (c != '\\') {
            to[n++] = c;
            continue;
        }
        const char *p = i < in.len ? memchr(names, in.at[i], sizeof names - 1) : NULL;
        uint32_t unit;
        if (p) {
            to[n++] = (uint8_t)what[p - names];
            i++;
        } else if (i < in.len && in.at[i] == 'u') {
            i++;
            if (!escaped_unit(in, &i, &unit))
                return not_one(m, t, "\\uXXXX for a character");
            n = (size_t)(utf8_put(to + n, unit) - to);
        } else {
            return not_one(m, t, "one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
        }
    }
    *out = bytes_of(to, n);
    return CODE_OK;
}

static bool hexadecimal(struct bytes t, uint64_t *out)
{
    if (!(bytes_starts(t, "0x") || bytes_starts(t, "0X")) || t.len < 3 || t.len > 18)
        return false;
    *out = 0;
    for (size_t i = 2; i < t.len; i++) {
        uint8_t c = t.at[i] | 0x20;
        if (t.at[i] >= '0' && t.at[i] <= '9')
            *out = *out << 4 | (uint64_t)(t.at[i] - '0');
        else if (c >= 'a' && c <= 'f')
            *out = *out << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

static bool unsigned_digits(struct bytes t, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < t.len; i++)
        if (t.at[i] < '0' || t.at[i] > '9' || __builtin_mul_overflow(*out, 10u, out) ||
            __builtin_add_overflow(*out, (uint64_t)(t.at[i] - '0'), out))
            return false;
    return t.len > 0;
}

static enum code integer(const struct maker *m, struct bytes t, struct ua_variant *v)
{
    static const struct {
        int64_t  low;
        uint64_t high;
    } bounds[] = {
        [UA_SBYTE] = { INT8_MIN, INT8_MAX },   [UA_BYTE] = { 0, UINT8_MAX },     [UA_INT16] = { INT16_MIN, INT16_MAX },
        [UA_UINT16] = { 0, UINT16_MAX },       [UA_INT32] = { INT32_MIN, INT32_MAX }, [UA_UINT32] = { 0, UINT32_MAX },
        [UA_INT64] = { INT64_MIN, INT64_MAX }, [UA_UINT64] = { 0, UINT64_MAX },
    };
    int64_t low = bounds[m->type].low, i;
    uint64_t high = bounds[m->type].high, u;
    double f;
    if (hexadecimal(t, &u) || unsigned_digits(t, &u)) {
        if (u > high)
            goto range;
    } else if (bigint_parse(t, &i)) {
        if (i < low || (i > 0 && (uint64_t)i > high))
            goto range;
        u = (uint64_t)i;
    } else if (float_parse(t, &f) && f == nearbyint(f) && fabs(f) < 0x1p53) {
        if (f < (double)low || f > (double)high)
            goto range;
        u = (uint64_t)(int64_t)f;
    } else {
        return not_one(m, t, "a whole number");
    }
    v->u64 = u; /* the low bytes are the number, on machines of either order: */
    if (m->type == UA_SBYTE || m->type == UA_BYTE)
        v->u8 = (uint8_t)u;
    else if (m->type == UA_INT16 || m->type == UA_UINT16)
        v->u16 = (uint16_t)u;
    else if (m->type == UA_INT32 || m->type == UA_UINT32)
        v->u32 = (uint32_t)u;
    return CODE_OK;
range:
    return FAIL(m->why, CODE_USAGE, 0, "%.*s is outside of %s: %" PRId64 " to %" PRIu64, (int)(t.len < 40 ? t.len : 40),
                (const char *)t.at, ua_builtin_name(m->type), low, high);
}

static enum code floating(const struct maker *m, struct bytes t, struct ua_variant *v)
{
    double f;
    if (bytes_is(t, "NaN"))
        f = (double)NAN;
    else if (bytes_is(t, "Infinity"))
        f = (double)INFINITY;
    else if (bytes_is(t, "-Infinity"))
        f = -(double)INFINITY;
    else if (!float_parse(t, &f))
        return not_one(m, t, "21.4, 1e3, NaN, Infinity or -Infinity");
    if (m->type == UA_DOUBLE)
        v->f64 = f;
    else
        v->f32 = (float)f;
    return CODE_OK;
}

static enum code boolean(const struct maker *m, struct bytes t, struct ua_variant *v)
{
    v->boolean = bytes_is(t, "true") || bytes_is(t, "True") || bytes_is(t, "1");
    if (!v->boolean && !bytes_is(t, "false") && !bytes_is(t, "False") && !bytes_is(t, "0"))
        return not_one(m, t, "true or false");
    return CODE_OK;
}

static enum code moment(const struct maker *m, struct bytes t, struct ua_variant *v)
{
    int64_t us;
    if (bytes_is(t, "now"))
        us = m->now_us;
    else if (value_parse_time(t, m->now_us, &us, m->why) != CODE_OK)
        return not_one(m, t, "2026-11-22T06:00:04Z, or now");
    v->time = ua_time_from_us(us);
    /* The seventh decimal, which base/values.h does not have. */
    const uint8_t *point = t.len ? memchr(t.at, '.', t.len) : NULL;
    if (point && t.at + t.len - point > 7 && point[7] >= '0' && point[7] <= '9')
        v->time += point[7] - '0';
    return CODE_OK;
}

static enum code byte_string(const struct maker *m, struct bytes t, struct ua_variant *v)
{
    uint8_t *to = arena_take(m->arena, t.len + 1);
    size_t n = 0;
    if (!to)
        return FAIL(m->why, CODE_NOMEM, 0, "no memory for %zu bytes", t.len);
    if (!base64_read(t, to, t.len + 1, &n))
        return not_one(m, t, "base64");
    v->text = bytes_of(to, n);
    return CODE_OK;
}

static enum code status(const struct maker *m, struct bytes t, struct ua_variant *v)
{
    uint64_t u;
    if (ua_status_from(t, &v->status))
        return CODE_OK;
    if (!(hexadecimal(t, &u) || unsigned_digits(t, &u)) || u > UINT32_MAX)
        return not_one(m, t, "a name as BadTimeout, or a number");
    v->status = (ua_status)u;
    return CODE_OK;
}

static enum code qualified(const struct maker *m, struct bytes t, struct ua_qualified_name *q)
{
    const uint8_t *colon = t.len ? memchr(t.at, ':', t.len) : NULL;
    uint64_t ns;
    *q = (struct ua_qualified_name){ 0, t };
    if (colon && unsigned_digits(bytes_of(t.at, (size_t)(colon - t.at)), &ns)) {
        if (ns > UINT16_MAX)
            return not_one(m, t, "2:Name");
        q->ns = (uint16_t)ns;
        q->name = bytes_from(t, (size_t)(colon - t.at) + 1);
    }
    return CODE_OK;
}

/* Types that do not stand in the variant. */
static enum code large(const struct maker *m, struct bytes t, struct ua_variant *v)
{
    void *at = arena_zero(m->arena, ua_size(m->type));
    v->at = at;
    if (!at)
        return FAIL(m->why, CODE_NOMEM, 0, "no memory for a value");
    switch (m->type) {
    case UA_NODE_ID:
        return ua_node_id_parse(at, t, m->arena, m->why) == CODE_OK ? CODE_OK : CODE_USAGE;
    case UA_EXPANDED_NODE_ID:
        return ua_expanded_parse(at, t, m->arena, m->why) == CODE_OK ? CODE_OK : CODE_USAGE;
    case UA_QUALIFIED_NAME:
        return qualified(m, t, at);
    case UA_LOCALIZED_TEXT:
        ((struct ua_localized_text *)at)->text = t;
        return CODE_OK;
    default:
        return FAIL(m->why, CODE_USAGE, 0, "a value of type %s cannot be written as text", ua_builtin_name(m->type));
    }
}

static unsigned looks_like(struct bytes t, bool quoted)
{
    double f;
    int64_t i;
    if (quoted)
        return UA_STRING;
    if (bytes_is(t, "true") || bytes_is(t, "false"))
        return UA_BOOLEAN;
    if (bigint_parse(t, &i))
        return i >= INT32_MIN && i <= INT32_MAX ? UA_INT32 : UA_INT64;
    return float_parse(t, &f) ? UA_DOUBLE : UA_STRING;
}

static enum code scalar(struct maker *m, struct bytes text, struct ua_variant *v)
{
    bool quoted = is_quoted(trimmed(text));
    struct bytes t = trimmed(text);
    struct maker guessed = *m;
    if (m->type == UA_NULL) {
        guessed.type = looks_like(t, quoted);
        m = &guessed;
    }
    *v = (struct ua_variant){ .type = (uint8_t)m->type };
    bool is_text = m->type == UA_STRING || m->type == UA_XML_ELEMENT || m->type == UA_LOCALIZED_TEXT;
    if (is_text && !quoted)
        t = text; /* with its blanks */
    enum code c = quoted ? unquote(m, t, &t) : CODE_OK;
    if (c != CODE_OK)
        return c;
    if (is_text && !utf8_valid(t, true))
        return not_one(m, t, "text in UTF-8");
    switch (m->type) {
    case UA_BOOLEAN: return boolean(m, t, v);
    case UA_FLOAT:
    case UA_DOUBLE: return floating(m, t, v);
    case UA_STRING:
    case UA_XML_ELEMENT: v->text = bytes_of(t.at ? t.at : (const uint8_t *)"", t.len); return CODE_OK;
    case UA_DATE_TIME: return moment(m, t, v);
    case UA_BYTE_STRING: return byte_string(m, t, v);
    case UA_STATUS_CODE: return status(m, t, v);
    case UA_GUID: return ua_guid_parse(&v->guid, t) ? CODE_OK : not_one(m, t, "6B29FC40-CA47-1067-B31D-00DD010662DA");
    default: return ua_is_number(m->type) ? integer(m, t, v) : large(m, t, v);
    }
}

/* ---- arrays ---- */

struct list {
    struct bytes rest;
    uint8_t     *items;
    uint32_t     count, room;
    uint32_t     dims[DIMS_MAX];
    unsigned     dims_count;
    bool         known[DIMS_MAX];
};

static void skip_spaces(struct bytes *t)
{
    while (t->len && is_space(t->at[0]))
        *t = bytes_from(*t, 1);
}

/* Up to the next , or ] that is not in quotes. */
static struct bytes element(struct bytes *t)
{
    size_t n = 0;
    if (t->len && t->at[0] == '"') {
        for (n = 1; n < t->len && t->at[n] != '"'; n++)
            n += t->at[n] == '\\' && n + 1 < t->len;
        n += n < t->len;
    }
    while (n < t->len && t->at[n] != ',' && t->at[n] != ']')
        n++;
    struct bytes e = bytes_of(t->at, n);
    *t = bytes_from(*t, n);
    return e;
}

static enum code add_item(struct maker *m, struct list *l, struct bytes text)
{
    struct ua_variant v;
    if (l->count == ITEMS_MAX)
        return FAIL(m->why, CODE_LIMIT, 0, "an array has more than %d elements", ITEMS_MAX);
    enum code c = scalar(m, text, &v);
    if (c != CODE_OK)
        return c;
    m->type = v.type; /* of the first, where there was none */
    size_t size = ua_size(m->type);
    if (l->count == l->room) {
        uint32_t room = l->room ? l->room * 2 : 16;
        uint8_t *more = arena_take(m->arena, room * size);
        if (!more)
            return FAIL(m->why, CODE_NOMEM, 0, "no memory for an array of %u elements", room);
        if (l->count)
            memcpy(more, l->items, l->count * size);
        l->items = more;
        l->room = room;
    }
    memcpy(l->items + l->count++ * size, ua_item(&v, 0), size);
    return CODE_OK;
}

static enum code uneven(const struct maker *m)
{
    return FAIL(m->why, CODE_USAGE, 0, "the rows of a matrix must be of one length, as [[1,2],[3,4]]");
}

/* `rest` begins behind the '['. */
static enum code rows(struct maker *m, struct list *l, unsigned dim)
{
    uint32_t n = 0;
    if (dim >= DIMS_MAX)
        return FAIL(m->why, CODE_LIMIT, 0, "an array has more than %d dimensions", DIMS_MAX);
    if (dim + 1 > l->dims_count) {
        if (l->count)
            return uneven(m);
        l->dims_count = dim + 1;
    }
    skip_spaces(&l->rest);
    while (l->rest.len && l->rest.at[0] != ']') {
        enum code c;
        if (l->rest.at[0] == '[') {
            l->rest = bytes_from(l->rest, 1);
            c = rows(m, l, dim + 1);
        } else {
            c = dim + 1 == l->dims_count ? add_item(m, l, element(&l->rest)) : uneven(m);
        }
        if (c != CODE_OK)
            return c;
        n++;
        skip_spaces(&l->rest);
        if (l->rest.len && l->rest.at[0] == ',') {
            l->rest = bytes_from(l->rest, 1);
            skip_spaces(&l->rest);
            if (l->rest.len && l->rest.at[0] == ']')
                break;
        } else if (!l->rest.len || l->rest.at[0] != ']') {
            break;
        }
    }
    if (!l->rest.len || l->rest.at[0] != ']' || (n && l->rest.at[-1] == ','))
        return FAIL(m->why, CODE_USAGE, 0, "an array is written [1, 2, 3]: a bracket or an element is missing");
    l->rest = bytes_from(l->rest, 1);
    if (l->known[dim] && l->dims[dim] != n)
        return uneven(m);
    l->known[dim] = true;
    l->dims[dim] = n;
    return CODE_OK;
}

static enum code array(struct maker *m, struct bytes text, int32_t rank, struct ua_variant *v)
{
    struct list l = { .rest = bytes_from(text, 1) };
    enum code c = rows(m, &l, 0);
    if (c != CODE_OK)
        return c;
    if (trimmed(l.rest).len)
        return FAIL(m->why, CODE_USAGE, 0, "there is something behind the array's last bracket");
    if (rank >= 1 && l.count && (unsigned)rank != l.dims_count)
        return FAIL(m->why, CODE_USAGE, 0, "the node wants an array of %d dimensions, this one has %u", rank, l.dims_count);
    uint32_t *dims = l.dims_count > 1 ? arena_take(m->arena, sizeof l.dims) : NULL;
    if (l.dims_count > 1 && !dims)
        return FAIL(m->why, CODE_NOMEM, 0, "no memory for an array");
    if (dims)
        memcpy(dims, l.dims, sizeof l.dims);
    static const uint64_t nothing[1];
    *v = (struct ua_variant){ .type = (uint8_t)(m->type ? m->type : UA_INT32), .array = true, .count = l.count, .dims = dims,
                              .dims_count = (uint16_t)(dims ? l.dims_count : 0), .at = l.items ? (const void *)l.items : nothing };
    return CODE_OK;
}

enum code ua_from_text(struct ua_variant *out, unsigned type, int32_t rank, struct bytes text, int64_t now_us, struct arena *arena,
                       struct fault *why)
{
    struct maker m = { .arena = arena, .why = why, .now_us = now_us, .type = type };
    struct bytes t = trimmed(text);
    bool brackets = t.len && t.at[0] == '[';
    *out = (struct ua_variant){ 0 };
    if (type >= UA_EXTENSION_OBJECT && type < UA_BUILTIN_COUNT && type != UA_VARIANT)
        return FAIL(why, CODE_USAGE, 0, "a value of type %s cannot be written as text", ua_builtin_name(type));
    if (type == UA_VARIANT)
        m.type = UA_NULL;
    if (rank >= 0 && !brackets && rank != 0)
        return FAIL(why, CODE_USAGE, 0, "the node wants an array: write [1, 2, 3]");
    return brackets && rank != -1 ? array(&m, t, rank, out) : scalar(&m, text, out);
}
