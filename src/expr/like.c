#include "expr/like.h"

#include "base/utf8.h"

/* A pattern is a row of segments with % between them. A segment has a fixed number of elements, each of which takes exactly
 * one character; so taking each segment at its first place from the left never misses a match. */

enum element_kind { LITERAL, ANY, SET };
struct range {
    uint32_t low, high;
};
struct element {
    uint8_t kind;
    bool negated;
    uint32_t character;
    uint32_t ranges;
    struct range *range;
};
struct segment {
    struct element *element;
    uint32_t count;
};
struct like {
    struct segment *segment;
    uint32_t segments;         /* at least one */
    bool open_start, open_end; /* % at the ends */
};

struct reading {
    const uint8_t *at, *end;
    uint32_t escape; /* 0: none */
    struct arena *arena;
    const char **wrong;
};

static enum code refuse(struct reading *r, const char *wrong)
{
    *r->wrong = wrong;
    return CODE_USAGE;
}

/* One character of a set; *quoted: it was escaped and means itself. */
static uint32_t set_character(struct reading *r, bool *quoted)
{
    uint32_t c = utf8_next(&r->at);
    *quoted = r->escape && c == r->escape && r->at < r->end;
    return *quoted ? utf8_next(&r->at) : c;
}

/* To behind the closing bracket; ranges are only counted when there is no place for them. */
static bool scan_set(struct reading *r, struct element *e, struct range *range)
{
    e->ranges = 0;
    while (r->at < r->end) {
        bool quoted;
        uint32_t low = set_character(r, &quoted);
        if (low == ']' && !quoted)
            return true;
        uint32_t high = low;
        if (r->end - r->at >= 2 && *r->at == '-' && r->at[1] != ']') {
            r->at++;
            high = set_character(r, &quoted);
        }
        if (range)
            range[e->ranges] = (struct range){low, high};
        e->ranges++;
    }
    return false;
}

/* Behind `[`. */
static enum code read_set(struct reading *r, struct element *e)
{
    e->kind = SET;
    if (r->at < r->end && *r->at == '^') {
        e->negated = true;
        r->at++;
    }
    const uint8_t *from = r->at;
    if (!scan_set(r, e, NULL))
        return refuse(r, "a [ has no ]");
    e->range = arena_take(r->arena, e->ranges * sizeof *e->range);
    if (!e->range)
        return CODE_NOMEM;
    r->at = from;
    (void)scan_set(r, e, e->range);
    return CODE_OK;
}

static enum code read_element(struct reading *r, struct element *e)
{
    uint32_t c = utf8_next(&r->at);
    *e = (struct element){.kind = LITERAL, .character = c};
    if (r->escape && c == r->escape) {
        if (r->at == r->end)
            return refuse(r, "the escape character stands at its end");
        e->character = utf8_next(&r->at);
    } else if (c == '_') {
        e->kind = ANY;
    } else if (c == '[') {
        return read_set(r, e);
    }
    return CODE_OK;
}

static bool at_percent(const struct reading *r)
{
    return r->at < r->end && *r->at == '%' && r->escape != '%';
}

static enum code read_all(struct reading *r, struct like *like, struct element *element)
{
    like->open_start = at_percent(r);
    struct segment *s = &like->segment[0];
    *s = (struct segment){element, 0};
    like->segments = 1;
    while (r->at < r->end) {
        if (at_percent(r)) {
            r->at++;
            like->open_end = r->at == r->end;
            if (s->count && !like->open_end) {
                s = &like->segment[like->segments++];
                *s = (struct segment){element, 0};
            }
            continue;
        }
        enum code code = read_element(r, element);
        if (code)
            return code;
        element++;
        s->count++;
    }
    return CODE_OK;
}

enum code like_compile(struct like **out, struct bytes pattern, struct bytes escape, struct arena *arena,
                       const char **wrong)
{
    struct reading r = {pattern.at, pattern.at, 0, arena, wrong};
    if (pattern.len)
        r.end += pattern.len;
    if (pattern.len > LIKE_BYTES)
        return refuse(&r, "it is longer than 8000 bytes");
    if (escape.len) {
        const uint8_t *at = escape.at;
        r.escape = utf8_next(&at);
        if (at != escape.at + escape.len)
            return refuse(&r, "ESCAPE needs a text of one character");
    }
    size_t most = utf8_count(pattern) + 1;
    struct like *like = arena_zero(arena, sizeof *like);
    struct element *element = arena_take(arena, most * sizeof *element);
    struct segment *segment = arena_take(arena, most * sizeof *segment);
    if (!like || !element || !segment)
        return CODE_NOMEM;
    like->segment = segment;
    *out = like;
    return read_all(&r, like, element);
}

static bool takes(const struct element *e, uint32_t c)
{
    if (e->kind == LITERAL)
        return e->character == c;
    if (e->kind == ANY)
        return true;
    for (uint32_t i = 0; i < e->ranges; i++)
        if (c >= e->range[i].low && c <= e->range[i].high)
            return !e->negated;
    return e->negated;
}

/* Behind the segment if it stands at `at`, else NULL. */
static const uint8_t *stands(const struct segment *s, const uint8_t *at, const uint8_t *end)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (at == end || !takes(&s->element[i], utf8_next(&at)))
            return NULL;
    return at;
}

/* The first place of the segment from `at` on: *from and behind it. */
static const uint8_t *find(const struct segment *s, const uint8_t *at, const uint8_t *end,
                           const uint8_t **from)
{
    for (;;) {
        if (s->count && s->element[0].kind == LITERAL && s->element[0].character < 0x80) {
            at = at < end ? memchr(at, (int)s->element[0].character, (size_t)(end - at)) : NULL;
            if (!at)
                return NULL;
        }
        const uint8_t *behind = stands(s, at, end);
        if (behind) {
            *from = at;
            return behind;
        }
        if (at == end)
            return NULL;
        at += utf8_length(*at);
    }
}

/* Where the last segment has to begin so that it ends with the text, not before `at`; NULL: there is no room. */
static const uint8_t *last_place(const struct segment *s, const uint8_t *at, const uint8_t *end)
{
    for (uint32_t i = 0; i < s->count; i++) {
        if (end == at)
            return NULL;
        do
            end--;
        while (end > at && (*end & 0xc0) == 0x80);
    }
    return end;
}

/* Where the match begins, or NULL. */
static const uint8_t *match(const struct like *like, struct bytes text)
{
    const uint8_t *at = text.len ? text.at : (const uint8_t *)"", *end = at + text.len, *from = NULL,
                  *begin = NULL;
    for (uint32_t i = 0; i < like->segments; i++) {
        const struct segment *s = &like->segment[i];
        bool anchored = i == 0 && !like->open_start, last = i + 1 == like->segments && !like->open_end;
        if (last) {
            const uint8_t *place = anchored ? at : last_place(s, at, end);
            if (!place || stands(s, place, end) != end)
                return NULL;
            from = place;
            at = end;
        } else {
            from = at;
            at = anchored ? stands(s, at, end) : find(s, at, end, &from);
            if (!at)
                return NULL;
        }
        if (i == 0)
            begin = from;
    }
    return begin;
}

bool like_matches(const struct like *like, struct bytes text)
{
    return match(like, text) != NULL;
}

int64_t like_index(const struct like *like, struct bytes text)
{
    const uint8_t *begin = match(like, text);
    if (!begin)
        return 0;
    return text.len ? (int64_t)utf8_count(bytes_of(text.at, (size_t)(begin - text.at))) + 1 : 1;
}
