#include "api/embed.h"

/* Reads at `at`, writes what is kept to `to`, which never overtakes. */
struct scan {
    const uint8_t *at, *end;
    uint8_t       *to;
};

static void blanks(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static void keep(struct scan *s)
{
    *s->to++ = *s->at++;
}

static bool next_is(const struct scan *s, uint8_t c)
{
    return s->at < s->end && *s->at == c;
}

static bool word(struct scan *s, const char *text)
{
    for (; *text; text++) {
        if (!next_is(s, (uint8_t)*text))
            return false;
        keep(s);
    }
    return true;
}

static bool digits(struct scan *s)
{
    const uint8_t *from = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        keep(s);
    return s->at > from;
}

static bool number(struct scan *s)
{
    if (next_is(s, '-'))
        keep(s);
    if (next_is(s, '0'))
        keep(s);
    else if (!digits(s))
        return false;
    if (next_is(s, '.')) {
        keep(s);
        if (!digits(s))
            return false;
    }
    if (next_is(s, 'e') || next_is(s, 'E')) {
        keep(s);
        if (next_is(s, '+') || next_is(s, '-'))
            keep(s);
        if (!digits(s))
            return false;
    }
    return true;
}

static int hex(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* \uXXXX at `at`; -1 if it is none. */
static int unit(struct scan *s)
{
    if (s->end - s->at < 6 || s->at[0] != '\\' || s->at[1] != 'u')
        return -1;
    int v = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex(s->at[i]);
        if (digit < 0)
            return -1;
        v = v * 16 + digit;
    }
    for (int i = 0; i < 6; i++)
        keep(s);
    return v;
}

static bool escape(struct scan *s)
{
    if (s->end - s->at < 2)
        return false;
    if (s->at[1] != 'u') {
        if (!memchr("\"\\/bfnrt", s->at[1], 8))
            return false;
        keep(s);
        keep(s);
        return true;
    }
    int v = unit(s);
    if (v < 0 || (v >= 0xdc00 && v <= 0xdfff))
        return false;
    if (v < 0xd800 || v > 0xdbff)
        return true;
    int low = unit(s);
    return low >= 0xdc00 && low <= 0xdfff;
}

static bool string(struct scan *s)
{
    if (!next_is(s, '"'))
        return false;
    keep(s);
    while (s->at < s->end) {
        if (*s->at == '"') {
            keep(s);
            return true;
        }
        if (*s->at < 0x20)
            return false;
        if (*s->at != '\\')
            keep(s);
        else if (!escape(s))
            return false;
    }
    return false;
}

static bool scalar(struct scan *s)
{
    if (s->at == s->end)
        return false;
    switch (*s->at) {
    case '"': return string(s);
    case 't': return word(s, "true");
    case 'f': return word(s, "false");
    case 'n': return word(s, "null");
    default:  return number(s);
    }
}

/* "name": of an object's next member. */
static bool member(struct scan *s)
{
    blanks(s);
    if (!string(s))
        return false;
    blanks(s);
    if (!next_is(s, ':'))
        return false;
    keep(s);
    return true;
}

/* One value with all that lies in it. `objects` has bit N set where level N is an object. */
static bool value(struct scan *s, unsigned depth_max)
{
    uint64_t objects = 0;
    unsigned depth = 0;
    for (;;) {
        blanks(s);
        bool object = next_is(s, '{'), closed = false;
        if (object || next_is(s, '[')) {
            if (depth == depth_max)
                return false;
            objects = (objects << 1) | object;
            depth++;
            keep(s);
            blanks(s);
            closed = next_is(s, object ? '}' : ']');
            if (!closed && object && !member(s))
                return false;
            if (!closed)
                continue;
        } else if (!scalar(s)) {
            return false;
        }
        /* Behind a value: close what ends here, then a comma leads to the next value. */
        for (;;) {
            blanks(s);
            if (depth == 0)
                return true;
            if (!next_is(s, objects & 1 ? '}' : ']'))
                break;
            keep(s);
            objects >>= 1;
            depth--;
        }
        if (!next_is(s, ','))
            return false;
        keep(s);
        if ((objects & 1) && !member(s))
            return false;
    }
}

bool embed_json(struct buf *out, struct bytes text, unsigned depth)
{
    FG_ASSERT(depth <= EMBED_DEPTH_MAX);
    if (text.len == 0 || !utf8_valid(text, true) || !buf_room(out, text.len))
        return false;
    struct scan s = { text.at, text.at + text.len, out->at + out->len };
    if (!value(&s, depth) || s.at != s.end)
        return false;
    out->len = (size_t)(s.to - out->at);
    return true;
}

void embed_text(struct buf *out, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
            buf_json(out, text);
            return;
        }
    }
    buf_u8(out, '"');
    buf_add_bytes(out, text);
    buf_u8(out, '"');
}
