#include "cli/histogram.h"

#include <string.h>

enum { SUB = 1 << HISTOGRAM_BITS };

void histogram_reset(struct histogram *h)
{
    memset(h, 0, sizeof *h);
}

/* Below 2 * SUB each value has its bucket; above, each doubling has SUB buckets. */
static unsigned bucket_of(uint64_t value)
{
    if (value < 2 * SUB)
        return (unsigned)value;
    unsigned shift = 63u - (unsigned)__builtin_clzll(value) - HISTOGRAM_BITS;
    return (shift << HISTOGRAM_BITS) + (unsigned)(value >> shift);
}

static uint64_t top_of(unsigned bucket)
{
    if (bucket < 2 * SUB)
        return bucket;
    unsigned shift = (bucket >> HISTOGRAM_BITS) - 1;
    uint64_t low = ((uint64_t)(bucket & (SUB - 1)) | SUB) << shift;
    return low + ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *h, uint64_t value)
{
    h->buckets[bucket_of(value)]++;
    h->count++;
    if (value > h->max)
        h->max = value;
}

uint64_t histogram_at(const struct histogram *h, double part)
{
    double exact = part * (double)h->count;
    uint64_t want = (uint64_t)exact, seen = 0;
    if ((double)want < exact)
        want++;
    if (want == 0)
        want = 1;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS && h->count; i++) {
        seen += h->buckets[i];
        if (seen >= want)
            return top_of(i) < h->max ? top_of(i) : h->max;
    }
    return h->max;
}
