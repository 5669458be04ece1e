#include "detect/digest.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/wire.h"
#include "detect/extreme.h"
#include "detect/state.h"

#define SHARE_MIN  0.5f
#define SHARE_MAX  1e6f
#define SHARE_STEP 1.1f
enum { KEEP = DIGEST_SLOTS - 2 }; /* centroids after merging */

/* Tail index: heavier than exponential, light enough that ten times as far out matters. */
#define XI 0.25
/* The tail that its scale is measured on: this share, but some five values, and no more than the outer tenth. */
#define TAIL_SHARE  0.02
#define TAIL_VALUES 5.0
#define OUTER       0.1
/* The tail's scale is at least this share of the range. */
#define SCALE_FLOOR 0.05
/* How far a value left a constant, when there is nothing to measure it with: in tail scales. */
#define Z_UNKNOWN 4.0
/* Values that must be there before a new one is believed by half only. */
#define TRUST 30
/* No mean is told of a value further out than so many tail scales. */
#define Z_MEAN      4.0
#define FLOAT_REACH 1e37

static float place(const struct digest *d, double x)
{
    return (float)smaller(larger(x - d->ref, -FLOAT_REACH), FLOAT_REACH);
}

/* The i-th centroid counted from the end that `side` names: 1 from the top, -1 from the bottom. */
static int from_end(const struct digest *d, int side, int i)
{
    return side > 0 ? d->count - 1 - i : i;
}

/* The centroid that holds the value with `share` of the weight beyond it. Not interpolated: the values of a coarse sensor are
 * centroids with nothing between them. */
static double inner(const struct digest *d, int side, double share)
{
    double want = share * d->total;
    int i = from_end(d, side, 0);
    for (uint32_t seen = d->weight[i]; seen < want; seen += d->weight[i])
        i -= side;
    return d->mean[i];
}

double digest_range(const struct digest *d)
{
    return d->count ? inner(d, 1, OUTER) - inner(d, -1, OUTER) : 0;
}

/* How far apart values of the tail lie: their mean excess over where the tail begins. 0 for a constant. */
static double tail_scale(const struct digest *d, int side, const struct digest_rule *rule)
{
    double weight = larger(TAIL_SHARE * d->total, smaller(OUTER * d->total, TAIL_VALUES));
    double edge = inner(d, side, weight / d->total), sum = 0, left = weight;
    for (int i = from_end(d, side, 0); left > 0; i -= side) {
        double part = smaller(left, d->weight[i]);
        sum += part * fabs(d->mean[i] - edge);
        left -= part;
    }
    return larger(larger(sum / weight, SCALE_FLOOR * digest_range(d)), rule->scale_min);
}

static double beyond(const struct digest *d, double distance, int side, const struct digest_rule *rule)
{
    double scale = tail_scale(d, side, rule);
    double z = scale > 0 ? distance / scale : Z_UNKNOWN;
    return log(d->total + 1.0) + log1p(XI * smaller(z, 1e30)) / XI;
}

/* The weight below x, half of an equal centroid's included. x lies within the means. */
static double weight_below(const struct digest *d, float x)
{
    int i = 0, below = 0;
    for (; d->mean[i] < x; i++)
        below += d->weight[i];
    if (d->mean[i] == x)
        return below + d->weight[i] / 2.0;
    double from = below - d->weight[i - 1] / 2.0;
    double step = (d->weight[i - 1] + d->weight[i]) / 2.0;
    return from + step * ((double)x - d->mean[i - 1]) / ((double)d->mean[i] - d->mean[i - 1]);
}

double digest_surprise(const struct digest *d, double value, enum detect_mode mode,
                       const struct digest_rule *rule)
{
    if (!d->count)
        return 0;
    float x = place(d, value);
    double twice = mode == DETECT_SPIKES_AND_DIPS ? M_LN2 : 0;
    float top = d->mean[d->count - 1], bottom = d->mean[0];
    if (x > top)
        return mode & DETECT_SPIKES ? beyond(d, (double)x - top, 1, rule) - twice : 0;
    if (x < bottom)
        return mode & DETECT_DIPS ? beyond(d, (double)bottom - x, -1, rule) - twice : 0;
    double below = weight_below(d, x), above = d->total - below;
    double rare = mode == DETECT_SPIKES ? above : mode == DETECT_DIPS ? below : smaller(above, below);
    return larger(0, -log((rare + 0.5) / (d->total + 1.0)) - twice);
}

double digest_rank(const struct digest *d, double value)
{
    if (!d->count)
        return 0.5;
    float x = place(d, value);
    double below = x > d->mean[d->count - 1] ? d->total : x < d->mean[0] ? 0 : weight_below(d, x);
    return (below + 0.5) / (d->total + 1.0);
}

double digest_quantile(const struct digest *d, double share, const struct digest_rule *rule)
{
    int side = share > 0.5 ? 1 : -1;
    double tail = side > 0 ? 1 - share : share, known = 1 / (d->total + 1.0);
    if (tail >= known)
        return d->ref + inner(d, side, tail);
    double z = (pow(larger(tail, 1e-30) / known, -XI) - 1) / XI;
    return d->ref + d->mean[from_end(d, side, 0)] + side * z * tail_scale(d, side, rule);
}

/* ---- learning ---- */

/* What a centroid may weigh: `share` of what lies outside of it on the nearer side, and a sixth of all. The outermost stay
 * alone. */
static bool may_weigh(const struct digest *d, int weight, int left)
{
    int right = d->total - left - weight;
    return (float)weight <= d->share * (float)(left < right ? left : right) && 6 * weight <= d->total;
}

/* One pass from left to right. */
static int merge(struct digest *d)
{
    int out = 0, left = 0;
    for (int i = 1; i < d->count; i++) {
        int both = d->weight[out] + d->weight[i];
        if (may_weigh(d, both, left)) {
            d->mean[out] += (d->mean[i] - d->mean[out]) * ((float)d->weight[i] / (float)both);
            d->weight[out] = (uint16_t)both;
            continue;
        }
        left += d->weight[out];
        out++;
        d->mean[out] = d->mean[i];
        d->weight[out] = d->weight[i];
    }
    return out + 1;
}

/* A stream that began far from where it lives would cost digits for ever, up to all of them. */
static void centre(struct digest *d)
{
    float middle = (float)inner(d, 1, 0.5);
    if (fabs(middle) <= 8 * digest_range(d))
        return;
    for (int i = 0; i < d->count; i++)
        d->mean[i] -= middle;
    d->ref += middle;
}

/* It ends: with a large share only neighbours that weigh more than a sixth of all together stay apart, and the outermost. */
static void make_room(struct digest *d)
{
    while ((d->count = (uint8_t)merge(d)) > KEEP)
        d->share = fminf(d->share * SHARE_STEP, SHARE_MAX);
}

static void halve(struct digest *d)
{
    uint32_t total = 0;
    for (int i = 0; i < d->count; i++) {
        d->weight[i] = (uint16_t)((d->weight[i] + 1) / 2);
        total += d->weight[i];
    }
    d->total = (uint16_t)total;
    d->share = fmaxf(d->share / SHARE_STEP, SHARE_MIN); /* had it grown too far, it finds back */
}

/* How far beyond the values seen x is believed to lie: in tail scales, half the surprise, as ln(1 + XI z) / 2 is ln of the
 * square root. */
static double believed(double z)
{
    return (sqrt(1 + XI * z) - 1) / XI;
}

struct lesson {
    float learned; /* what enters the digest */
    double curbed; /* what a mean may be told */
};

static struct lesson lesson_of(const struct digest *d, double value, const struct digest_rule *rule)
{
    float x = place(d, value);
    if (d->total < TRUST)
        return (struct lesson){x, value};
    float top = d->mean[d->count - 1], bottom = d->mean[0];
    int side = x > top ? 1 : x < bottom ? -1 : 0;
    double scale = side ? tail_scale(d, side, rule) : 0;
    if (scale == 0)
        return (struct lesson){x, value};
    double end = side > 0 ? top : bottom, z = believed(fabs(x - end) / scale);
    return (struct lesson){(float)(end + side * scale * z), d->ref + end + side * scale * smaller(z, Z_MEAN)};
}

/* The nearer neighbour takes the value in if it may: a centroid of its own among heavy ones would cut them in two. */
static bool take_in(struct digest *d, int at, int left, float x)
{
    int i = at;
    if (at == d->count || (at > 0 && x - d->mean[at - 1] < d->mean[at] - x)) {
        i--;
        left -= d->weight[i];
    }
    int weight = d->weight[i] + 1;
    if (d->mean[i] != x && !may_weigh(d, weight, left))
        return false;
    d->mean[i] += (x - d->mean[i]) / (float)weight;
    d->weight[i] = (uint16_t)weight;
    return true;
}

static void insert(struct digest *d, float x)
{
    int at = 0, left = 0;
    while (at < d->count && d->mean[at] < x)
        left += d->weight[at++];
    d->total++;
    if (d->count && take_in(d, at, left, x))
        return;
    memmove(d->mean + at + 1, d->mean + at, (size_t)(d->count - at) * sizeof *d->mean);
    memmove(d->weight + at + 1, d->weight + at, (size_t)(d->count - at) * sizeof *d->weight);
    d->mean[at] = x;
    d->weight[at] = 1;
    d->count++;
}

double digest_add(struct digest *d, double value, const struct digest_rule *rule)
{
    if (!d->count) {
        d->ref = value;
        d->share = SHARE_MIN;
    }
    if (d->count == DIGEST_SLOTS)
        make_room(d);
    struct lesson l = lesson_of(d, value, rule);
    insert(d, l.learned);
    if ((d->total & (d->total - 1)) == 0) /* rarely, but soon after a bad start */
        centre(d);
    if (d->total >= rule->weight_max)
        halve(d);
    return l.curbed;
}

/* ---- state ---- */

void digest_save(const struct digest *d, struct buf *out)
{
    buf_u8(out, d->count);
    state_put_double(out, d->ref);
    state_put_float(out, d->share);
    for (int i = 0; i < d->count; i++) {
        state_put_float(out, d->mean[i]);
        buf_le16(out, d->weight[i]);
    }
}

enum code digest_load(struct digest *d, struct wire *w, uint32_t weight_max, struct fault *why)
{
    *d = (struct digest){.count = wire_u8(w)};
    d->ref = state_take_double(w);
    d->share = state_take_float(w);
    if (w->bad || d->count > DIGEST_SLOTS || !(fabs(d->ref) <= STATE_DIFFERENCE_MAX) ||
        !(d->share >= (d->count ? SHARE_MIN : 0) && d->share <= SHARE_MAX))
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "a digest of %u centroids, at most %d fit", d->count,
                    DIGEST_SLOTS);
    uint32_t total = 0;
    for (int i = 0; i < d->count; i++) {
        d->mean[i] = state_take_float(w);
        d->weight[i] = wire_le16(w);
        total += d->weight[i];
        bool rises = i == 0 || d->mean[i] >= d->mean[i - 1];
        if (w->bad || !(fabsf(d->mean[i]) <= 2 * (float)FLOAT_REACH) || !rises || !d->weight[i])
            return FAIL(why, CODE_MALFORMED, wire_pos(w), "centroid %d of a digest is not one it can have",
                        i);
    }
    if (total >= weight_max)
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "a digest of %u values, below %u are kept", total,
                    weight_max);
    d->total = (uint16_t)total;
    return CODE_OK;
}
