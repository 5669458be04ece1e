/* utf8.h - steps through texts that are known to be UTF-8. Pure. */
#pragma once

#include "base/bytes.h"

static inline size_t utf8_length(uint8_t first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}
/* The character at `at` (which is inside of the text), and behind it. */
static inline uint32_t utf8_next(const uint8_t **at)
{
    const uint8_t *p = *at;
    size_t n = utf8_length(*p);
    *at = p + n;
    switch (n) {
    case 1: return p[0];
    case 2: return (uint32_t)(p[0] & 31) << 6 | (p[1] & 63);
    case 3: return (uint32_t)(p[0] & 15) << 12 | (uint32_t)(p[1] & 63) << 6 | (p[2] & 63);
    default:
        return (uint32_t)(p[0] & 7) << 18 | (uint32_t)(p[1] & 63) << 12 | (uint32_t)(p[2] & 63) << 6 |
               (p[3] & 63);
    }
}
/* Characters of a text. */
static inline size_t utf8_count(struct bytes b)
{
    size_t n = 0;
    for (size_t i = 0; i < b.len; i++)
        n += (b.at[i] & 0xc0) != 0x80;
    return n;
}
/* The byte where the n-th character (from 0) begins, or the end. */
static inline size_t utf8_offset(struct bytes b, uint64_t n)
{
    size_t i = 0;
    for (; i < b.len && n; n--)
        i += utf8_length(b.at[i]);
    return i < b.len ? i : b.len;
}
/* Writes one character, 1 to 4 bytes; returns behind it. */
static inline uint8_t *utf8_put(uint8_t *to, uint32_t c)
{
    if (c < 0x80) {
        *to++ = (uint8_t)c;
        return to;
    }
    if (c < 0x800) {
        *to++ = (uint8_t)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        *to++ = (uint8_t)(0xe0 | c >> 12);
        *to++ = (uint8_t)(0x80 | (c >> 6 & 63));
    } else {
        *to++ = (uint8_t)(0xf0 | c >> 18);
        *to++ = (uint8_t)(0x80 | (c >> 12 & 63));
        *to++ = (uint8_t)(0x80 | (c >> 6 & 63));
    }
    *to++ = (uint8_t)(0x80 | (c & 63));
    return to;
}
