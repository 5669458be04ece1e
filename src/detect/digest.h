/* digest.h - how a quantity has been distributed, in 136 bytes, however long it has been seen.
 *
 * Sorted centroids (mean, weight), fine in the tails and coarse in the middle: what a centroid weighs is limited by its rank
 * from the nearer end, so that the small shares, which decide about anomalies, are exact relative to themselves. Beyond the
 * values seen, a Pareto tail. Weights are halved when they reach a maximum: the older a value, the fainter.
 *
 * Means are floats relative to `ref`, a value from the middle: no digits are lost to a large offset. All that is asked is
 * unit-free: x -> a*x + b changes nothing but the last digits. A plain value, no allocation. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "detect/detect.h"

struct buf;
struct wire;

enum { DIGEST_SLOTS = 20, DIGEST_WEIGHT_MAX = 32768 };

struct digest {
    double   ref;
    float    mean[DIGEST_SLOTS];
    uint16_t weight[DIGEST_SLOTS];
    float    share; /* what a centroid may weigh, of what lies outside of it; grows as room gets scarce */
    uint16_t total;
    uint8_t  count;
};

/* How finely a view is looked at. */
struct digest_rule {
    double   scale_min;  /* distances beyond the tail are not measured finer than this */
    uint32_t weight_max; /* 64 .. DIGEST_WEIGHT_MAX */
};

/* -ln p of x, p being the share of the digest at least as far out on the side (or sides) that `mode` names. Of n values
 * nothing is thought rarer than 1/(n+1) unless it lies beyond them all. 0 while empty. */
double digest_surprise(const struct digest *, double x, enum detect_mode mode, const struct digest_rule *);
/* The share below x, 0 < share < 1, half of what equals x included. 0.5 while empty. */
double digest_rank(const struct digest *, double x);
/* Learns x. A value beyond all others is believed by half of its surprise: a single one cannot stretch the tail, and what comes
 * again is normal soon. Returns what a mean may be told: x, but beyond all others a few tail scales at most. */
double digest_add(struct digest *, double x, const struct digest_rule *);
/* The value with `share` of the digest below it, beyond the values seen by the tail. Not for an empty digest. */
double digest_quantile(const struct digest *, double share, const struct digest_rule *);
/* Between the shares 0.1 and 0.9; 0 while empty. */
double digest_range(const struct digest *);

void digest_save(const struct digest *, struct buf *out);
enum code digest_load(struct digest *, struct wire *, uint32_t weight_max, struct fault *why);
