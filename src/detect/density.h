/* density.h - a Gaussian kernel density over a history: how much of it lies above and below a value.
 *
 * The kernel's width is the history's standard deviation s (anomaly.md's documented form). With z_i = (x - x_i) / s,
 *
 *     above(x) = mean of Q(z_i)      below(x) = mean of Q(-z_i)      Q = the normal upper tail
 *
 * Not summed value by value: the history is kept in bins of s/12 .. s/6, each with count and the first three moments of
 * its values about the bin's middle, and Q is expanded about the middles, which a recurrence walks along. Places in a bin
 * are multiples of 2^-12, so that the moments are exact integers in disguise: what was added can be taken out again
 * without a trace, and bins made anew from the history are the same bins. Cost: about 100 bins, whatever the history.
 * Results below DENSITY_EXACT_BELOW, where ranking matters, are summed value by value in the log domain. */
#pragma once

#include "detect/history.h"

/* Below it: the exact sum. Above: within 1e-3 relative of the exact sum (density_test.c). */
#define DENSITY_EXACT_BELOW 1e-4
/* Histories up to this long have no bins of their own; they are made for each score on the stack. */
#define DENSITY_SCRATCH_MAX 256

struct bin {
    double n, m1, m2, m3;
};

struct density {
    double ref; /* sums are of (value - ref): no cancellation with a large offset   */
    double sum1, sum2;
    double peak;         /* the largest sum2 since the sums were made anew                   */
    uint32_t recount_in; /* events until they are anyway                                     */

    double width, low; /* bins: width of one, lower end of the first                    */
    struct bin *bins;
    uint32_t count, cap; /* count 0: none now                                             */
};

/* What is known about a value: natural logarithms of the two tails. */
struct density_tails {
    double log_above, log_below;
};

struct density_stats {
    double mean, spread; /* spread 0: all values are the same, as far as doubles can tell */
};

void density_clear(struct density *);
size_t density_bytes(const struct density *);
size_t density_bytes_max(uint32_t history_max);

/* After a row was pushed to / before a row is dropped from the history. */
void density_added(struct density *, double value);
void density_dropping(struct density *, double value);

/* Makes sums and bins fit for the history as it is; call it after changes, before asking. false without memory. */
bool density_settle(struct density *, const struct history *);
struct density_stats density_stats(const struct density *, const struct history *);
/* The history must not be empty and its spread not 0. */
struct density_tails density_at(const struct density *, const struct history *, double spread, double x);
/* The same, summed value by value: what density_at approximates. */
struct density_tails density_exact(const struct history *, double spread, double x);
/* ln Q(z), for any z. */
double density_log_tail(double z);

void density_save(const struct density *, struct buf *out);
/* The history must be loaded. */
enum code density_load(struct density *, const struct history *, struct wire *, struct fault *why);
