/* random.h - numbers from a seed: a test that fails prints the seed, and the seed gives the same run again.
 * SplitMix64; a plain value, one owner. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_u64(struct random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 .. n-1; n must not be 0. */
static inline uint64_t random_below(struct random *r, uint64_t n)
{
    return random_u64(r) % n;
}

/* True `percent` times in a hundred. */
static inline int random_chance(struct random *r, unsigned percent)
{
    return random_below(r, 100) < percent;
}

/* Two numbers made one, so that neighbouring seeds do not give neighbouring runs. */
static inline uint64_t random_mix(uint64_t a, uint64_t b)
{
    struct random r = {a * 0xff51afd7ed558ccdu + b};
    return random_u64(&r);
}

static inline void random_fill(struct random *r, void *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = (uint8_t)random_u64(r);
}
