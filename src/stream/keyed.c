#include "stream/keyed.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "expr/letter.h"

static uint64_t mix(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t load(const uint8_t *at, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, at, n);
    return v;
}

#define M1 UINT64_C(0x9e3779b97f4a7c15)
#define M2 UINT64_C(0xd6e8feb86659fd93)

/* Names come from peers: the seed is the process's secret. */
static uint64_t seed(void)
{
    static _Atomic uint64_t kept;
    uint64_t s = kept;
    if (!s)
        kept = s = hash_keyed(BYTES_LIT("stream keys")) | 1;
    return s;
}

static uint64_t hash_text(uint64_t h, const uint8_t *at, size_t n)
{
    h = mix(h ^ n, M2);
    for (; n > 8; n -= 8, at += 8)
        h = mix(h ^ load(at, 8), M1);
    return mix(h ^ (n ? load(at, n) : 0), M1);
}

static uint64_t hash_folded(uint64_t h, const uint8_t *at, size_t n)
{
    h = mix(h, M2);
    for (const uint8_t *p = at, *end = n ? at + n : at; p < end;)
        h = mix(h ^ letter_lower(utf8_next(&p)), M1);
    return h;
}

static uint64_t hash_number(uint64_t h, struct value v)
{
    if (v.type == VALUE_FLOAT && v.f >= -9223372036854775808.0 && v.f < 9223372036854775808.0 && v.f == (double)(int64_t)v.f)
        v = value_bigint((int64_t)v.f);
    return mix(h ^ (uint64_t)v.i, M1);
}

uint64_t keyed_hash(const struct keyed *k, const struct value *keys, uint32_t count)
{
    uint64_t h = seed();
    for (uint32_t i = 0; i < count; i++) {
        struct value v = keys[i];
        switch (v.type) {
        case VALUE_NULL: h = mix(h, M2); break;
        case VALUE_TEXT: h = k->fold ? hash_folded(h, v.text, v.len) : hash_text(h, v.text, v.len); break;
        case VALUE_BIGINT:
        case VALUE_FLOAT: h = hash_number(h, v); break;
        case VALUE_BIT:
        case VALUE_DATETIME: h = mix(h ^ (uint64_t)v.i, M2 ^ v.type); break;
        default: h = mix(h ^ (k->fold ? v.type : value_hash(v)), M2); break;
        }
    }
    return h ^ h >> 29;
}

int keyed_order_folded(struct value a, struct value b)
{
    const uint8_t *x = a.text, *y = b.text, *x_end = a.len ? x + a.len : x, *y_end = b.len ? y + b.len : y;
    while (x < x_end && y < y_end) {
        uint32_t c = letter_lower(utf8_next(&x)), d = letter_lower(utf8_next(&y));
        if (c != d)
            return c < d ? -1 : 1;
    }
    return (x < x_end) - (y < y_end);
}

static bool text_equal(struct value a, struct value b, bool fold)
{
    if (fold)
        return keyed_order_folded(a, b) == 0;
    return a.len == b.len && (a.len == 0 || memcmp(a.text, b.text, a.len) == 0);
}

bool keyed_equal(const struct keyed *k, const struct value *a, const struct value *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (a[i].type == VALUE_TEXT && b[i].type == VALUE_TEXT) {
            if (!text_equal(a[i], b[i], k->fold))
                return false;
        } else if (value_order(a[i], b[i]) != 0) {
            return false;
        }
    }
    return true;
}

struct keyed_entry *keyed_find(const struct keyed *k, uint64_t hash, const struct value *keys, uint32_t count)
{
    struct keyed_entry *e = k->cap ? k->buckets[hash & (k->cap - 1)] : NULL;
    while (e && (e->hash != hash || !keyed_equal(k, e->keys, keys, count)))
        e = e->chain;
    return e;
}

static enum code grow(struct keyed *k)
{
    size_t cap = k->cap ? 2 * k->cap : 16;
    struct keyed_entry **buckets = mem_zalloc(cap, sizeof *buckets);
    if (!buckets)
        return CODE_NOMEM;
    for (struct keyed_entry *e = k->first; e; e = e->after) {
        e->chain = buckets[e->hash & (cap - 1)];
        buckets[e->hash & (cap - 1)] = e;
    }
    mem_free(k->buckets);
    k->buckets = buckets;
    k->cap = cap;
    return CODE_OK;
}

static void append(struct keyed *k, struct keyed_entry *e)
{
    e->before = k->last;
    e->after = NULL;
    *(k->last ? &k->last->after : &k->first) = e;
    k->last = e;
}

static void unlink_entry(struct keyed *k, struct keyed_entry *e)
{
    *(e->before ? &e->before->after : &k->first) = e->after;
    *(e->after ? &e->after->before : &k->last) = e->before;
}

enum code keyed_put(struct keyed *k, struct keyed_entry *e)
{
    if (k->count >= k->cap && grow(k) != CODE_OK)
        return CODE_NOMEM;
    struct keyed_entry **bucket = &k->buckets[e->hash & (k->cap - 1)];
    e->chain = *bucket;
    *bucket = e;
    append(k, e);
    k->count++;
    return CODE_OK;
}

void keyed_remove(struct keyed *k, struct keyed_entry *e)
{
    struct keyed_entry **at = &k->buckets[e->hash & (k->cap - 1)];
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    unlink_entry(k, e);
    k->count--;
}

void keyed_touch(struct keyed *k, struct keyed_entry *e)
{
    if (k->last == e)
        return;
    unlink_entry(k, e);
    append(k, e);
}

void keyed_clear(struct keyed *k)
{
    mem_free(k->buckets);
    *k = (struct keyed){ .fold = k->fold };
}
