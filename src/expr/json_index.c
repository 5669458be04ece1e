#include "expr/json_index.h"

#include "base/mem.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

/* One bit a byte, the first byte lowest. */
struct classes {
    uint64_t quote, backslash, op, blank, control, high;
};
struct carry {          /* from one block of 64 to the next */
    uint64_t escaped;   /* 1: the first byte is escaped                       */
    uint64_t in_text;   /* all ones: the block begins inside of a text        */
    uint64_t in_scalar; /* 1: the block before ended in a number or a literal */
    uint64_t high;
    uint64_t backslash;
};

/* ---- portable: vectors of 16 bytes as the compiler has them ---- */

typedef uint8_t v16 __attribute__((vector_size(16)));

INLINE uint64_t bits_of(v16 mask)
{
#if defined(__SSE2__)
    return (uint64_t)(uint32_t)_mm_movemask_epi8((__m128i)mask);
#else
    /* Of eight bytes of 0 or 0xff, one bit each: the factor moves bit 0 of byte k to bit 56 + k. */
    uint64_t half[2];
    memcpy(half, &mask, 16);
    uint64_t low = ((half[0] & 0x0101010101010101u) * 0x0102040810204080u) >> 56;
    uint64_t high = ((half[1] & 0x0101010101010101u) * 0x0102040810204080u) >> 56;
    return low | high << 8;
#endif
}

INLINE void classify_portable(const uint8_t *at, struct classes *c)
{
    *c = (struct classes){0};
    for (unsigned i = 0; i < 64; i += 16) {
        v16 b;
        memcpy(&b, at + i, 16);
        v16 low = b | 0x20; /* [ and { differ in this bit, as do ] and } */
        c->quote |= bits_of((v16)(b == '"')) << i;
        c->backslash |= bits_of((v16)(b == '\\')) << i;
        c->op |= bits_of((v16)((low == '{') | (low == '}') | (b == ':') | (b == ','))) << i;
        c->blank |= bits_of((v16)((b == ' ') | (b == '\t') | (b == '\n') | (b == '\r'))) << i;
        c->control |= bits_of((v16)(b < 0x20)) << i;
        c->high |= bits_of((v16)(b > 0x7f)) << i;
    }
}

INLINE uint64_t prefix_xor_portable(uint64_t x)
{
    for (unsigned shift = 1; shift < 64; shift *= 2)
        x ^= x << shift;
    return x;
}

INLINE uint32_t lowest_portable(uint64_t bits)
{
    return bits ? (uint32_t)__builtin_ctzll(bits) : 0;
}

/* ---- AVX2 ---- */

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,bmi,pclmul")))

AVX2 INLINE uint64_t bits32(__m256i mask)
{
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(mask);
}

AVX2 INLINE uint64_t equal(__m256i a, __m256i b, char c)
{
    __m256i v = _mm256_set1_epi8(c);
    return bits32(_mm256_cmpeq_epi8(a, v)) | bits32(_mm256_cmpeq_epi8(b, v)) << 32;
}

/* A byte equals the table's entry for its low four bits only if it is one of the wanted; bytes above 0x7f find 0. */
AVX2 INLINE uint64_t among(__m256i a, __m256i b, __m256i shown_a, __m256i shown_b, __m256i table)
{
    return bits32(_mm256_cmpeq_epi8(shown_a, _mm256_shuffle_epi8(table, a))) |
           bits32(_mm256_cmpeq_epi8(shown_b, _mm256_shuffle_epi8(table, b))) << 32;
}

AVX2 INLINE uint64_t below_blank(__m256i a, __m256i b)
{
    __m256i top = _mm256_set1_epi8(0x1f);
    return bits32(_mm256_cmpeq_epi8(_mm256_max_epu8(a, top), top)) |
           bits32(_mm256_cmpeq_epi8(_mm256_max_epu8(b, top), top)) << 32;
}

AVX2 INLINE void classify_avx2(const uint8_t *at, struct classes *c)
{
    /* 0 stands where no byte with these low bits is wanted: only 0 itself equals it, and its low bits are those of the blank. */
    const __m256i blanks = _mm256_setr_epi8(' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0,
                                            0, /* and again */
                                            ' ', 0, 0, 0, 0, 0, 0, 0, 0, '\t', '\n', 0, 0, '\r', 0, 0);
    const __m256i ops = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0,
                                         0, /* and again */
                                         0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ':', '{', ',', '}', 0, 0);
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)at);
    __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(at + 32));
    __m256i bit = _mm256_set1_epi8(0x20);
    __m256i low_a = _mm256_or_si256(a, bit), low_b = _mm256_or_si256(b, bit);
    c->quote = equal(a, b, '"');
    c->backslash = equal(a, b, '\\');
    c->blank = among(a, b, a, b, blanks);
    c->op = among(a, b, low_a, low_b, ops);
    c->control = below_blank(a, b);
    c->high = bits32(a) | bits32(b) << 32;
    /* 0x0c and 0x1a with the bit set look like , and : */
    c->op &= ~c->control;
}

AVX2 INLINE uint32_t lowest_bmi(uint64_t bits)
{
    return (uint32_t)_tzcnt_u64(bits);
}

AVX2 INLINE uint64_t prefix_xor_clmul(uint64_t x)
{
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (long long)x), _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}
#endif

/* ---- both ---- */

/* Bytes that stand behind a backslash which is not itself escaped. Backslashes are rare enough to be taken one by one. */
INLINE uint64_t escaped_bytes(uint64_t backslash, struct carry *c)
{
    uint64_t escaped = c->escaped;
    backslash &= ~escaped;
    c->escaped = 0;
    while (backslash) {
        unsigned i = (unsigned)__builtin_ctzll(backslash);
        uint64_t next = UINT64_C(2) << i; /* 0 behind the last byte */
        escaped |= next;
        c->escaped = i == 63;
        backslash &= ~(next | UINT64_C(1) << i);
    }
    return escaped;
}

INLINE uint64_t words_of(const struct classes *k, uint64_t (*prefix_xor)(uint64_t), struct carry *c,
                         uint64_t *bad)
{
    uint64_t escaped = c->escaped;
    if (k->backslash)
        escaped = escaped_bytes(k->backslash, c);
    else
        c->escaped = 0;
    uint64_t quote = k->quote & ~escaped;
    uint64_t in_text = prefix_xor(quote) ^ c->in_text; /* with the opening quote, without the closing one */
    c->in_text = (uint64_t)((int64_t)in_text >> 63);
    *bad = in_text & k->control;
    uint64_t scalar = ~(k->op | k->blank | quote | in_text);
    uint64_t starts = scalar & ~(scalar << 1 | c->in_scalar);
    c->in_scalar = scalar >> 63;
    c->high |= k->high;
    c->backslash |= k->backslash;
    return (k->op & ~in_text) | quote | starts;
}

#define PUT_ONE(i)                     \
    do {                               \
        to[i] = base + lowest(bits);   \
        bits &= bits - 1;              \
    } while (0)

INLINE uint64_t put_eight(uint32_t *to, uint32_t base, uint64_t bits, uint32_t (*lowest)(uint64_t))
{
    PUT_ONE(0);
    PUT_ONE(1);
    PUT_ONE(2);
    PUT_ONE(3);
    PUT_ONE(4);
    PUT_ONE(5);
    PUT_ONE(6);
    PUT_ONE(7);
    return bits;
}

/* Eight at a time, some of them for nothing, is faster than a branch for each. */
INLINE uint32_t *put(uint32_t *to, uint32_t base, uint64_t bits, uint32_t (*lowest)(uint64_t))
{
    uint32_t *end = to + __builtin_popcountll(bits);
    bits = put_eight(to, base, bits, lowest);
    bits = put_eight(to + 8, base, bits, lowest);
    for (to += 16; __builtin_expect(bits != 0, 0); to += 8)
        bits = put_eight(to, base, bits, lowest);
    return end;
}

enum { ROOM = 64 + 16 }; /* what one block may write */

static bool more_room(struct json_index *x, uint32_t **to)
{
    uint32_t used = x->at ? (uint32_t)(*to - x->at) : 0;
    if (used + ROOM <= x->room)
        return true;
    uint64_t room = x->room ? 2 * (uint64_t)x->room : 1024;
    uint32_t *more = room > UINT32_MAX ? NULL : mem_realloc(x->at, room * sizeof *more);
    if (!more)
        return false;
    x->at = more;
    x->room = (uint32_t)room;
    *to = more + used;
    return true;
}

static enum code refuse(struct json_index *x, size_t at, const char *what)
{
    x->wrong = what;
    x->wrong_at = at;
    return CODE_MALFORMED;
}

INLINE enum code build(struct json_index *x, struct bytes text,
                       void (*classify)(const uint8_t *, struct classes *), uint64_t (*prefix_xor)(uint64_t), uint32_t (*lowest)(uint64_t))
{
    struct carry carry = {0};
    uint32_t *to = x->at, *end = to ? to + x->room : to;
    for (size_t base = 0; base < text.len; base += 64) {
        struct classes k;
        uint64_t bad;
        classify(text.at + base, &k);
        if (text.len - base < 64) { /* what lies behind the text counts as blank */
            uint64_t mask = (UINT64_C(1) << (text.len - base)) - 1;
            k.quote &= mask;
            k.backslash &= mask;
            k.op &= mask;
            k.control &= mask;
            k.high &= mask;
            k.blank |= ~mask;
        }
        uint64_t words = words_of(&k, prefix_xor, &carry, &bad);
        if (bad)
            return refuse(x, base + (size_t)__builtin_ctzll(bad), "a control character in a text");
        if ((size_t)(end - to) < ROOM || !x->at) {
            if (!more_room(x, &to))
                return CODE_NOMEM;
            end = x->at + x->room;
        }
        to = put(to, (uint32_t)base, words, lowest);
    }
    x->count = to ? (uint32_t)(to - x->at) : 0;
    x->escapes = carry.backslash != 0;
    x->high = carry.high != 0;
    if (carry.in_text)
        return refuse(x, x->count ? x->at[x->count - 1] : 0, "a text that does not end");
    return CODE_OK;
}

static enum code build_portable(struct json_index *x, struct bytes text)
{
    return build(x, text, classify_portable, prefix_xor_portable, lowest_portable);
}

#if defined(__x86_64__)
AVX2 static enum code build_avx2(struct json_index *x, struct bytes text)
{
    return build(x, text, classify_avx2, prefix_xor_clmul, lowest_bmi);
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("pclmul");
}
#endif

enum code json_index_build_as(struct json_index *x, struct bytes text, enum json_index_way way)
{
    x->count = 0;
    x->wrong = NULL;
    if (text.len > UINT32_MAX - 64)
        return refuse(x, UINT32_MAX - 64, "more than 4 GiB");
#if defined(__x86_64__)
    if (way == JSON_INDEX_BEST && has_avx2())
        return build_avx2(x, text);
#endif
    (void)way;
    return build_portable(x, text);
}

enum code json_index_build(struct json_index *x, struct bytes text)
{
    return json_index_build_as(x, text, JSON_INDEX_BEST);
}

void json_index_clear(struct json_index *x)
{
    mem_free(x->at);
    *x = (struct json_index){0};
}
