/* topic_naive.h - the rules of 4.7 written once more, slowly and by the letter, to compare topic.c with. Test
 * code. */
#pragma once

#include "base/bytes.h"

static inline bool naive_utf8(struct bytes t)
{
    for (size_t i = 0; i < t.len;) {
        uint32_t c = t.at[i], min;
        size_t more;
        if (c < 0x80)
            more = 0, min = 1; /* U+0000 is below */
        else if (c >> 5 == 6)
            more = 1, min = 0x80, c &= 0x1f;
        else if (c >> 4 == 14)
            more = 2, min = 0x800, c &= 0x0f;
        else if (c >> 3 == 30)
            more = 3, min = 0x10000, c &= 0x07;
        else
            return false;
        if (t.len - i - 1 < more)
            return false;
        for (size_t k = 1; k <= more; k++) {
            if (t.at[i + k] >> 6 != 2)
                return false;
            c = c << 6 | (t.at[i + k] & 0x3f);
        }
        if (c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
        i += more + 1;
    }
    return true;
}

static inline bool naive_has(struct bytes t, uint8_t c)
{
    for (size_t i = 0; i < t.len; i++)
        if (t.at[i] == c)
            return true;
    return false;
}

static inline uint32_t naive_levels(struct bytes t)
{
    uint32_t n = 1;
    for (size_t i = 0; i < t.len; i++)
        n += t.at[i] == '/';
    return n;
}

/* The first level; *rest is what stands behind its slash, *more whether there was one. */
static inline struct bytes naive_level(struct bytes t, struct bytes *rest, bool *more)
{
    size_t n = 0;
    while (n < t.len && t.at[n] != '/')
        n++;
    *more = n < t.len;
    *rest = *more ? bytes_from(t, n + 1) : BYTES_NONE;
    return bytes_of(t.at, n);
}

static inline bool naive_name(struct bytes t, uint32_t max_bytes, uint32_t max_levels)
{
    return t.len > 0 && t.len <= max_bytes && naive_utf8(t) && !naive_has(t, '+') && !naive_has(t, '#') &&
           naive_levels(t) <= max_levels;
}

static inline bool naive_share(struct bytes t, struct bytes *share, struct bytes *inner)
{
    struct bytes rest;
    bool more;
    if (!bytes_is(naive_level(t, &rest, &more), "$share") || !more)
        return false;
    *share = naive_level(rest, inner, &more);
    return true;
}

static inline bool naive_filter(struct bytes t, uint32_t max_bytes, uint32_t max_levels)
{
    if (t.len == 0 || t.len > max_bytes || !naive_utf8(t))
        return false;
    struct bytes share, inner;
    if (naive_share(t, &share, &inner)) {
        if (share.len == 0 || naive_has(share, '+') || naive_has(share, '#') || inner.len == 0)
            return false;
        t = inner;
    }
    if (naive_levels(t) > max_levels)
        return false;
    for (bool more = true; more;) {
        struct bytes level = naive_level(t, &t, &more);
        if (level.len > 1 && (naive_has(level, '+') || naive_has(level, '#')))
            return false;
        if (bytes_is(level, "#") && more)
            return false;
    }
    return true;
}

static inline bool naive_levels_match(struct bytes filter, bool f_there, struct bytes name, bool n_there)
{
    if (!f_there)
        return !n_there;
    bool f_more, n_more = false;
    struct bytes f = naive_level(filter, &filter, &f_more), n = BYTES_NONE;
    if (bytes_is(f, "#"))
        return true;
    if (!n_there)
        return false;
    n = naive_level(name, &name, &n_more);
    return (bytes_is(f, "+") || bytes_equal(f, n)) && naive_levels_match(filter, f_more, name, n_more);
}

static inline bool naive_matches(struct bytes filter, struct bytes name)
{
    struct bytes share, inner;
    if (naive_share(filter, &share, &inner))
        filter = inner;
    if (name.at[0] == '$' && (filter.at[0] == '+' || filter.at[0] == '#'))
        return false;
    return naive_levels_match(filter, true, name, true);
}
