/* mqtt_test_bytes.h - packets written so that a person can read them, for the tests of this folder.
 *
 *   "04 05 ff"    bytes in hex; spaces are free
 *   'text'        two bytes of length, then the text
 *   "quoted"      the text alone
 *   ( ... )       the length of what is inside as a variable byte integer, then the inside
 *   64*[ ... ]    the inside 64 times
 *
 * The result is a block of exactly its length, so that a sanitizer sees one byte too far. Test code: it
 * calls libc directly.
 */
#pragma once

#include "base/bytes.h"
#include "base/io.h"

#include <stdio.h>
#include <stdlib.h>

struct test_bytes {
    uint8_t *at;
    size_t len;
};

static void test_put(struct test_bytes *b, const void *at, size_t n)
{
    uint8_t *more = malloc(b->len + n ? b->len + n : 1);
    if (!more)
        abort();
    if (b->len)
        memcpy(more, b->at, b->len);
    if (n)
        memcpy(more + b->len, at, n);
    free(b->at);
    b->at = more;
    b->len += n;
}

static void test_put_varint(struct test_bytes *b, size_t v)
{
    do {
        uint8_t c = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        test_put(b, &c, 1);
        v >>= 7;
    } while (v);
}

static void test_bad(const char *text, const char *at)
{
    fprintf(stderr, "cannot read test bytes: %s\nat: %s\n", text, at);
    abort();
}

static int test_hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads up to the end or the closing bracket; returns where it stopped. */
static const char *test_parse(const char *all, const char *s, struct test_bytes *out)
{
    while (*s && *s != ')' && *s != ']') {
        if (*s == ' ') {
            s++;
        } else if (*s == '\'' || *s == '"') {
            const char *end = strchr(s + 1, *s);
            if (!end)
                test_bad(all, s);
            size_t n = (size_t)(end - s - 1);
            uint8_t len[2] = {(uint8_t)(n >> 8), (uint8_t)n};
            if (*s == '\'')
                test_put(out, len, 2);
            test_put(out, s + 1, n);
            s = end + 1;
        } else if (*s == '(') {
            struct test_bytes inner = {NULL, 0};
            s = test_parse(all, s + 1, &inner);
            if (*s != ')')
                test_bad(all, s);
            test_put_varint(out, inner.len);
            test_put(out, inner.at, inner.len);
            free(inner.at);
            s++;
        } else if (strchr(s, '*') && strspn(s, "0123456789") == (size_t)(strchr(s, '*') - s)) {
            long times = strtol(s, NULL, 10);
            struct test_bytes inner = {NULL, 0};
            s = strchr(s, '*') + 1;
            if (*s != '[')
                test_bad(all, s);
            s = test_parse(all, s + 1, &inner);
            if (*s != ']')
                test_bad(all, s);
            struct test_bytes run = {calloc(inner.len, (size_t)times), inner.len * (size_t)times};
            for (long i = 0; run.at && i < times; i++)
                memcpy(run.at + inner.len * (size_t)i, inner.at, inner.len);
            test_put(out, run.at, run.len);
            free(run.at);
            free(inner.at);
            s++;
        } else {
            int high = test_hex(s[0]), low = high < 0 ? -1 : test_hex(s[1]);
            if (low < 0)
                test_bad(all, s);
            uint8_t c = (uint8_t)(high << 4 | low);
            test_put(out, &c, 1);
            s += 2;
        }
    }
    return s;
}

/* The caller frees .at. Never NULL, even when empty. */
static inline struct test_bytes test_bytes_of(const char *text)
{
    struct test_bytes b = {NULL, 0};
    const char *end = test_parse(text, text, &b);
    if (*end)
        test_bad(text, end);
    test_put(&b, NULL, 0);
    return b;
}

static inline struct bytes test_view(const struct test_bytes *b)
{
    return bytes_of(b->at, b->len);
}

/* A small generator with a seed (xorshift64*), so that a failure can be run again. */
struct test_random {
    uint64_t state;
};

/* From FG_SEED, else a new one for each run. */
static inline uint64_t test_seed(void)
{
    const char *given = getenv("FG_SEED");
    return given ? strtoull(given, NULL, 0) : (uint64_t)io_system.wall_us(io_system.self);
}

static inline struct test_random test_random_of(uint64_t seed)
{
    return (struct test_random){seed * 2 + 1};
}

static inline uint64_t test_next(struct test_random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * 2685821657736338717u;
}

static inline uint32_t test_below(struct test_random *r, uint32_t n)
{
    return n ? (uint32_t)((test_next(r) >> 32) % n) : 0;
}
