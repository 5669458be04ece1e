/* histogram.h - many durations in little room: counts in buckets that are never wider than 1/128 of their value, so that
 * p99.9 of a million is as exact as p50 (0.8 %). Exact below 256. No allocation. Thread: one. */
#pragma once

#include <stdint.h>

enum { HISTOGRAM_BITS = 7, HISTOGRAM_BUCKETS = (65 - HISTOGRAM_BITS) << HISTOGRAM_BITS };

struct histogram {
    uint64_t count, max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_reset(struct histogram *);
void histogram_add(struct histogram *, uint64_t value);
/* The value that `part` (0.5 for the median) of all are not above; the top of its bucket, at most max. 0 when empty. */
uint64_t histogram_at(const struct histogram *, double part);
