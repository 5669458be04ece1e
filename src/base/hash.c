#include "base/hash.h"

static uint64_t k0, k1;

void hash_seed(const uint8_t key[16])
{
    memcpy(&k0, key, 8);
    memcpy(&k1, key + 8, 8);
}

static inline uint64_t rotl(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

struct sip {
    uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *s)
{
    s->a += s->b;
    s->b = rotl(s->b, 13) ^ s->a;
    s->a = rotl(s->a, 32);
    s->c += s->d;
    s->d = rotl(s->d, 16) ^ s->c;
    s->a += s->d;
    s->d = rotl(s->d, 21) ^ s->a;
    s->c += s->b;
    s->b = rotl(s->b, 17) ^ s->c;
    s->c = rotl(s->c, 32);
}

uint64_t hash_keyed(struct bytes b)
{
    struct sip s = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u };
    size_t i = 0;
    for (; i + 8 <= b.len; i += 8) {
        uint64_t m;
        memcpy(&m, b.at + i, 8);
        s.d ^= m;
        sip_round(&s);
        sip_round(&s);
        s.a ^= m;
    }
    uint64_t last = (uint64_t)b.len << 56;
    for (size_t k = 0; i + k < b.len; k++)
        last |= (uint64_t)b.at[i + k] << (8 * k);
    s.d ^= last;
    sip_round(&s);
    sip_round(&s);
    s.a ^= last;
    s.c ^= 0xff;
    for (int k = 0; k < 4; k++)
        sip_round(&s);
    return s.a ^ s.b ^ s.c ^ s.d;
}

uint64_t hash_partition(struct bytes b)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < b.len; i++)
        h = (h ^ b.at[i]) * 0x100000001b3u;
    /* FNV's low bits are weak for short keys that differ in their last byte. */
    h ^= h >> 30;
    h *= 0xbf58476d1ce4e5b9u;
    h ^= h >> 27;
    h *= 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}
