#include "detect/density.h"

#include <math.h>

#include "base/buf.h"
#include "base/mem.h"
#include "detect/state.h"

/* Bins to one spread: when made, and between which it may wander before they are made anew. */
#define PER_SPREAD     8.5
#define PER_SPREAD_MIN 6.0
#define PER_SPREAD_MAX 12.0
/* Beyond it a value adds less than 1e-9, which does not matter above DENSITY_EXACT_BELOW. */
#define Z_MAX 6.0
/* Beyond it all distances are the same: its square is still a number. */
#define Z_HUGE 1e100
/* Places inside a bin. With 2^17 values m3 is an integer of 53 bits times 2^-39: exact. */
#define PLACES 4096
/* Enough for DENSITY_SCRATCH_MAX values at PER_SPREAD: 8.5 * sqrt(2 * 256) + 3. */
enum { SCRATCH_BINS = 200 };

static const double sqrt_half = 0.70710678118654752440;
static const double density_0 = 0.39894228040143267794; /* 1/sqrt(2 pi) */
static const double log_sqrt_2pi = 0.91893853320467274178;

/* Two values D apart have a spread of at least D/sqrt(2n), so this many bins hold any history. */
static uint32_t bins_max(uint32_t n)
{
    return (uint32_t)(PER_SPREAD_MAX * sqrt(2.0 * n)) + 8;
}

void density_clear(struct density *d)
{
    mem_free(d->bins);
    *d = (struct density){0};
}

size_t density_bytes(const struct density *d)
{
    return d->cap * sizeof(struct bin);
}

size_t density_bytes_max(uint32_t history_max)
{
    return history_max > DENSITY_SCRATCH_MAX ? bins_max(history_max) * sizeof(struct bin) : 0;
}

/* ---- bins ---- */

/* Adds `sign` times the value to the bins; false when it lies outside. */
static bool bins_put(struct bin *bins, uint32_t count, double low, double width, double value, double sign)
{
    double at = (value - low) / width;
    if (!(at >= 0 && at < count))
        return false;
    uint64_t place = (uint64_t)(at * PLACES);
    struct bin *b = &bins[place / PLACES];
    double u = ((double)(place % PLACES) + 0.5) / PLACES - 0.5;
    b->n += sign;
    b->m1 += sign * u;
    b->m2 += sign * (u * u);
    b->m3 += sign * (u * u * u);
    return true;
}

/* The sum over bins from `bin` on, going away from x, of n*Q(z): the tail on x's far side. `way` is -1 or 1. */
static double walk(const struct bin *bin, uint32_t count, int way, double z, double h)
{
    double phi = density_0 * exp(-0.5 * z * z);
    double step = exp(-z * h - 0.5 * h * h), step2 = exp(-h * h);
    double h2 = h * h, c1 = -way * h, c2 = h2 / 2, c3 = -way * h * h2 / 6;
    double e1 = h2 / 12, e3 = h2 * h2 / 720;
    double upper = 0.5 * erfc(z * sqrt_half);
    /* Euler and Maclaurin: Q(z_j) = start - (trapezoids up to z_j) - end term at z_j. */
    double start = upper + (e1 * z - e3 * (z * z * z - 3 * z)) * phi;
    double sum = 0;
    for (; count && z < Z_MAX; count--, bin += way) {
        double q = start - (e1 * z - e3 * (z * z * z - 3 * z)) * phi;
        sum += bin->n * q + phi * (c1 * bin->m1 + c2 * z * bin->m2 + c3 * (z * z - 1) * bin->m3);
        double next = phi * step;
        start -= 0.5 * h * (phi + next);
        phi = next;
        step *= step2;
        z += h;
    }
    return sum;
}

struct bins {
    const struct bin *bin;
    uint32_t count;
    double low, width;
};

/* above*n and below*n. */
static void bins_at(struct bins b, double n, double spread, double x, double *above, double *below)
{
    double h = b.width / spread, at = (x - b.low) / b.width;
    uint32_t under = at <= 0 ? 0 : at >= b.count ? b.count : (uint32_t)at + 1; /* bins up to x's own */
    if (under > b.count)
        under = b.count;
    uint32_t over = b.count - under;
    double above_n = 0;
    for (uint32_t i = under; i < b.count; i++)
        above_n += b.bin[i].n;
    double u = 0, d = 0;
    if (under)
        u = walk(b.bin + (under - 1), under, -1, (at - (under - 0.5)) * h, h);
    if (over)
        d = walk(b.bin + under, over, 1, (under + 0.5 - at) * h, h);
    *above = u + (above_n - d);
    *below = d + (n - above_n - u);
}

/* ---- the exact sum ---- */

double density_log_tail(double z)
{
    if (z < 25)
        return log(0.5 * erfc(z * sqrt_half));
    double w = 1 / (z * z); /* asymptotic; the first term left away is below 1e-8 of it */
    return -0.5 * z * z - log(z) - log_sqrt_2pi + log1p(-w * (1 - 3 * w * (1 - 5 * w)));
}

/* ln of the mean of Q(sign * (x - x_i) / spread). */
static double exact_tail(const struct history *h, double spread, double x, double sign)
{
    const struct event *piece[2];
    uint32_t len[2];
    int pieces = history_pieces(h, piece, len);
    double nearest = Z_HUGE;
    for (int p = 0; p < pieces; p++) {
        for (uint32_t i = 0; i < len[p]; i++)
            nearest = fmin(nearest, sign * (x - piece[p][i].value) / spread);
    }
    double top = density_log_tail(nearest), sum = 0;
    for (int p = 0; p < pieces; p++) {
        for (uint32_t i = 0; i < len[p]; i++) {
            double z = fmin(sign * (x - piece[p][i].value) / spread, Z_HUGE);
            if (z < 9 && nearest < 8)
                sum += 0.5 * erfc(z * sqrt_half) * exp(-top);
            else if (z * z - nearest * nearest < 80)
                sum += exp(density_log_tail(z) - top);
        }
    }
    return top + log(sum) - log(h->count);
}

struct density_tails density_exact(const struct history *h, double spread, double x)
{
    return (struct density_tails){exact_tail(h, spread, x, 1), exact_tail(h, spread, x, -1)};
}

/* ---- sums ---- */

void density_added(struct density *d, double value)
{
    double v = value - d->ref;
    d->sum1 += v;
    d->sum2 += v * v;
    if (d->sum2 > d->peak)
        d->peak = d->sum2;
    if (d->recount_in)
        d->recount_in--;
    if (d->count && !bins_put(d->bins, d->count, d->low, d->width, value, 1))
        d->count = 0;
}

void density_dropping(struct density *d, double value)
{
    double v = value - d->ref;
    d->sum1 -= v;
    d->sum2 -= v * v;
    if (d->count && !bins_put(d->bins, d->count, d->low, d->width, value, -1))
        d->count = 0;
}

/* Sums made anew, about the newest value. */
static void recount(struct density *d, const struct history *h)
{
    d->ref = h->count ? history_row(h, h->count - 1)->value : 0;
    d->sum1 = d->sum2 = 0;
    const struct event *piece[2];
    uint32_t len[2];
    int pieces = history_pieces(h, piece, len);
    for (int p = 0; p < pieces; p++) {
        for (uint32_t i = 0; i < len[p]; i++) {
            double v = piece[p][i].value - d->ref;
            d->sum1 += v;
            d->sum2 += v * v;
        }
    }
    d->peak = d->sum2;
    d->recount_in = h->max;
}

/* n times the variance. */
static double squares(const struct density *d, double n)
{
    double s = d->sum2 - d->sum1 * d->sum1 / n;
    return s > 0 ? s : 0;
}

struct density_stats density_stats(const struct density *d, const struct history *h)
{
    if (!h->count)
        return (struct density_stats){0, 0};
    double n = h->count, mean = d->ref + d->sum1 / n;
    double spread = sqrt(squares(d, n) / n);
    /* A few units in the last place are how the number was written, not what was measured. */
    if (spread <= fabs(mean) * 0x1p-48 || spread < 1e-140)
        spread = 0;
    return (struct density_stats){mean, spread};
}

/* Where bins for the history begin and how many there are; 0 when doubles cannot tell. */
static uint32_t lay_out(const struct history *h, double spread, uint32_t room, double *low, double *width)
{
    double least = INFINITY, most = -INFINITY;
    const struct event *piece[2];
    uint32_t len[2];
    int pieces = history_pieces(h, piece, len);
    for (int p = 0; p < pieces; p++) {
        for (uint32_t i = 0; i < len[p]; i++) {
            double v = piece[p][i].value;
            least = v < least ? v : least;
            most = v > most ? v : most;
        }
    }
    *width = spread / PER_SPREAD;
    double need = (most - least) / *width;
    if (!(need + 3 < room))
        return 0;
    *low = least - *width;
    return (uint32_t)need + 3;
}

static void fill(struct bin *bins, uint32_t count, double low, double width, const struct history *h)
{
    memset(bins, 0, count * sizeof *bins);
    const struct event *piece[2];
    uint32_t len[2];
    int pieces = history_pieces(h, piece, len);
    for (int p = 0; p < pieces; p++) {
        for (uint32_t i = 0; i < len[p]; i++)
            (void)bins_put(bins, count, low, width, piece[p][i].value, 1);
    }
}

/* A margin of a quarter, so that a new extreme does not mean new bins each time. */
static bool make_bins(struct density *d, const struct history *h, double spread)
{
    uint32_t room = bins_max(h->max);
    double low, width;
    uint32_t count = lay_out(h, spread, room, &low, &width);
    d->count = 0;
    if (!count)
        return true;
    uint32_t more = count / 4 < room - count ? count / 4 : room - count;
    count += more;
    low -= width * (more / 2);
    if (count > d->cap) {
        struct bin *bins = mem_alloc(count * sizeof *bins);
        if (!bins)
            return false;
        mem_free(d->bins);
        d->bins = bins;
        d->cap = count;
    }
    fill(d->bins, count, low, width, h);
    d->low = low;
    d->width = width;
    d->count = count;
    return true;
}

bool density_settle(struct density *d, const struct history *h)
{
    if (!h->count)
        return true;
    /* Small differences of large sums have lost their digits. */
    if (!d->recount_in || squares(d, h->count) < d->peak * 0x1p-26)
        recount(d, h);
    if (h->count <= DENSITY_SCRATCH_MAX) {
        d->count = 0;
        return true;
    }
    double spread = density_stats(d, h).spread;
    if (d->count && spread >= d->width * PER_SPREAD_MIN && spread <= d->width * PER_SPREAD_MAX)
        return true;
    if (spread == 0) {
        d->count = 0;
        return true;
    }
    recount(d, h);
    spread = density_stats(d, h).spread;
    return spread == 0 || make_bins(d, h, spread);
}

struct density_tails density_at(const struct density *d, const struct history *h, double spread, double x)
{
    struct bin scratch[SCRATCH_BINS];
    struct bins b = {d->bins, d->count, d->low, d->width};
    if (!b.count) {
        b.bin = scratch;
        b.count = lay_out(h, spread, sizeof scratch / sizeof *scratch, &b.low, &b.width);
        if (!b.count)
            return density_exact(h, spread, x);
        fill(scratch, b.count, b.low, b.width, h);
    }
    double n = h->count, above, below;
    bins_at(b, n, spread, x, &above, &below);
    double least = DENSITY_EXACT_BELOW * n;
    return (struct density_tails){
        above > least ? log(above / n) : exact_tail(h, spread, x, 1),
        below > least ? log(below / n) : exact_tail(h, spread, x, -1),
    };
}

/* ---- state ---- */

/* The bins' contents follow from the history; where they lie does not. */
void density_save(const struct density *d, struct buf *out)
{
    state_put_double(out, d->ref);
    state_put_double(out, d->sum1);
    state_put_double(out, d->sum2);
    state_put_double(out, d->peak);
    buf_le32(out, d->recount_in);
    buf_le32(out, d->count);
    if (d->count) {
        state_put_double(out, d->low);
        state_put_double(out, d->width);
    }
}

static bool is_sum(double v)
{
    return isfinite(v) && fabs(v) <= STATE_VALUE_MAX * STATE_VALUE_MAX * 1e6;
}

static enum code load_bins(struct density *d, uint32_t count, const struct history *h, struct wire *w,
                           struct fault *why)
{
    double low = state_take_double(w), width = state_take_double(w);
    if (w->bad || count > bins_max(h->max) || h->count == 0 || h->max <= DENSITY_SCRATCH_MAX ||
        !isfinite(low) || !isfinite(width) || width <= 0)
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "%u bins do not fit the history", count);
    d->bins = mem_zalloc(count, sizeof *d->bins);
    if (!d->bins)
        return FAIL(why, CODE_NOMEM, 0, "no memory for %u bins", count);
    d->count = d->cap = count;
    d->low = low;
    d->width = width;
    for (uint32_t i = 0; i < h->count; i++) {
        if (!bins_put(d->bins, count, low, width, history_row(h, i)->value, 1))
            return FAIL(why, CODE_MALFORMED, wire_pos(w), "event %u lies outside of the bins", i);
    }
    return CODE_OK;
}

enum code density_load(struct density *d, const struct history *h, struct wire *w, struct fault *why)
{
    d->ref = state_take_double(w);
    d->sum1 = state_take_double(w);
    d->sum2 = state_take_double(w);
    d->peak = state_take_double(w);
    d->recount_in = wire_le32(w);
    uint32_t count = wire_le32(w);
    if (w->bad || !is_sum(d->ref) || fabs(d->ref) > STATE_VALUE_MAX || !is_sum(d->sum1) || !is_sum(d->sum2) ||
        !is_sum(d->peak) || d->recount_in > h->max)
        return FAIL(why, CODE_MALFORMED, wire_pos(w), "the sums of a density are not numbers it can have");
    return count ? load_bins(d, count, h, w, why) : CODE_OK;
}
