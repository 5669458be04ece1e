/* topic.c - names are checked on every PUBLISH, so the check is one pass, eight bytes at a time while they
 * are ASCII without wildcards; anything else takes the slow road. */
#include "mqtt/topic.h"

#define ONES  0x0101010101010101u
#define TOPS  0x8080808080808080u
#define SHARE BYTES_LIT("$share/")

/* The top bit of every byte of `w` that equals c. `w` must have no top bits of its own: then no sum carries
 * into the next byte and the answer is exact. */
static uint64_t same(uint64_t w, uint8_t c)
{
    return ~((w ^ (ONES * c)) + ~TOPS) & TOPS;
}

struct scan {
    uint32_t slashes;
    bool wild, nul, high;
};

static void scan_byte(struct scan *s, uint8_t c)
{
    s->slashes += c == '/';
    s->wild |= c == '+' || c == '#';
    s->nul |= c == 0;
    s->high |= c >= 0x80;
}

static struct scan scan(struct bytes t)
{
    struct scan s = {0, false, false, false};
    size_t i = 0;
    for (; t.len - i >= 8; i += 8) {
        uint64_t w;
        memcpy(&w, t.at + i, 8);
        if ((w & TOPS) || same(w, '+') || same(w, '#') || same(w, 0)) {
            for (size_t k = i; k < i + 8; k++)
                scan_byte(&s, t.at[k]);
            continue;
        }
        s.slashes += (uint32_t)(((same(w, '/') >> 7) * ONES) >> 56);
    }
    for (; i < t.len; i++)
        scan_byte(&s, t.at[i]);
    return s;
}

static enum topic_flaw check_size(struct bytes t, uint32_t slashes, uint32_t max_bytes, uint32_t max_levels)
{
    if (t.len > max_bytes)
        return TOPIC_TOO_LONG;
    return slashes >= max_levels ? TOPIC_TOO_DEEP : TOPIC_FINE;
}

enum topic_flaw topic_name_check(struct bytes name, uint32_t max_bytes, uint32_t max_levels)
{
    if (name.len == 0)
        return TOPIC_EMPTY;
    struct scan s = scan(name);
    if (s.nul || (s.high && !utf8_valid(name, false)))
        return TOPIC_NOT_UTF8;
    if (s.wild)
        return TOPIC_WILDCARD;
    return check_size(name, s.slashes, max_bytes, max_levels);
}

/* 4.7.1: each wildcard fills its level, # the last one. */
static bool wildcards_in_place(struct bytes filter)
{
    for (size_t i = 0; i < filter.len; i++) {
        uint8_t c = filter.at[i];
        if (c != '+' && c != '#')
            continue;
        if (i > 0 && filter.at[i - 1] != '/')
            return false;
        bool last = i + 1 == filter.len;
        if (!last && (c == '#' || filter.at[i + 1] != '/'))
            return false;
    }
    return true;
}

bool topic_filter_shared(struct bytes filter)
{
    return bytes_starts(filter, "$share/");
}

void topic_filter_split(struct bytes filter, struct bytes *share, struct bytes *inner)
{
    *share = BYTES_NONE;
    *inner = filter;
    if (!topic_filter_shared(filter))
        return;
    struct bytes rest = bytes_from(filter, SHARE.len);
    const uint8_t *slash = rest.len ? memchr(rest.at, '/', rest.len) : NULL;
    if (!slash)
        return;
    *share = bytes_of(rest.at, (size_t)(slash - rest.at));
    *inner = bytes_from(rest, share->len + 1);
}

enum topic_flaw topic_filter_check(struct bytes filter, uint32_t max_bytes, uint32_t max_levels)
{
    if (filter.len == 0)
        return TOPIC_EMPTY;
    if (!utf8_valid(filter, false))
        return TOPIC_NOT_UTF8;
    struct bytes share, inner;
    topic_filter_split(filter, &share, &inner);
    if (topic_filter_shared(filter)) {
        /* [MQTT-4.8.2-1], [MQTT-4.8.2-2]; the / is where the split was made. */
        if (share.len == 0 || inner.len == 0 || scan(share).wild)
            return TOPIC_SHARE;
    }
    struct scan s = scan(inner);
    if (s.wild && !wildcards_in_place(inner))
        return TOPIC_WILDCARD;
    return check_size(filter, s.slashes, max_bytes, max_levels);
}

bool topic_name_valid(struct bytes name, uint32_t max_bytes, uint32_t max_levels)
{
    return topic_name_check(name, max_bytes, max_levels) == TOPIC_FINE;
}

bool topic_filter_valid(struct bytes filter, uint32_t max_bytes, uint32_t max_levels)
{
    return topic_filter_check(filter, max_bytes, max_levels) == TOPIC_FINE;
}

const char *topic_flaw_text(enum topic_flaw flaw)
{
    static const char *const texts[] = {
        [TOPIC_FINE] = "is fine",
        [TOPIC_NOT_UTF8] = "is not UTF-8, or has a zero character",
        [TOPIC_EMPTY] = "is empty",
        [TOPIC_WILDCARD] = "has a wildcard where none may be",
        [TOPIC_SHARE] = "is not $share/NAME/FILTER",
        [TOPIC_TOO_LONG] = "is longer than the limit topic-bytes",
        [TOPIC_TOO_DEEP] = "has more levels than the limit topic-levels",
    };
    return (size_t)flaw < sizeof texts / sizeof texts[0] ? texts[flaw] : "is not valid";
}

static size_t level_end(struct bytes t, size_t from)
{
    while (from < t.len && t.at[from] != '/')
        from++;
    return from;
}

bool topic_matches(struct bytes filter, struct bytes name)
{
    struct bytes share, f;
    topic_filter_split(filter, &share, &f);
    if (f.len == 0 || name.len == 0)
        return false;
    /* [MQTT-4.7.2-1] */
    if (name.at[0] == '$' && (f.at[0] == '+' || f.at[0] == '#'))
        return false;

    /* i and n stand at the begin of a level each. */
    for (size_t i = 0, n = 0;;) {
        if (i < f.len && f.at[i] == '#')
            return true;
        size_t n_end = level_end(name, n), i_end = level_end(f, i);
        bool any = i_end - i == 1 && f.at[i] == '+';
        if (!any && (i_end - i != n_end - n || memcmp(f.at + i, name.at + n, i_end - i) != 0))
            return false;
        if (i_end == f.len)
            return n_end == name.len;
        i = i_end + 1;
        /* 4.7.1.2: "sport/#" matches "sport" too. */
        if (n_end == name.len)
            return f.len - i == 1 && f.at[i] == '#';
        n = n_end + 1;
    }
}

bool topic_level(struct bytes topic, size_t *cursor, struct bytes *level)
{
    if (*cursor > topic.len)
        return false;
    size_t end = level_end(topic, *cursor);
    *level = end > *cursor ? bytes_of(topic.at + *cursor, end - *cursor) : BYTES_NONE;
    *cursor = end + 1;
    return true;
}
