/* kde.h - the detector as documented for the cloud: kernel density p-values, exchangeability martingale.
 *
 * SpikeAndDip. The history is the last `history_size` values within `duration`. p = share of a Gaussian kernel density of
 * the history (kernel width = its standard deviation) beyond the value; flagged when p <= 1 - confidence/100.
 *
 * ChangePoint. Each event's two-sided p is a bet against exchangeability: g = ln(0.1) - 0.9 ln p; the log martingale is the
 * sum of the last `history_size` bets; flagged when it reaches history_size * g(1 - confidence/100), then silent for
 * history_size events.
 *
 * What differs from the published form of it, because that form fails there:
 *   sums            about a reference value, made anew when digits are lost (drift, counters with a large offset)
 *   zero spread     a constant history of n gives a differing value p = 1/(n+1), not 1e-8: n equal values say no more
 *   one value       has no spread either; the published absolute width (1 in the value's unit) only with warm_up_report
 *   two sides       p = 2 * min(above, below): with min alone twice as many alarms as asked for, and no martingale
 *   small p         summed in the log domain, not cut at 1e-8: large spikes still rank (result.surprise)
 *   martingale      log domain throughout, score capped at 1e308; threshold at least ln(1/(1-c)), as the published one is
 *                   below 0 for confidence < 92.3
 *   masking         a flagged value enters the history cut to mean +- 4 spreads, unless the one before was flagged, too:
 *                   a second, smaller spike is still seen, and a new level is still learned
 *   warm-up         nothing is flagged until the history is full; after a pause that empties it (or more than half of it)
 *                   it has to fill again */
#pragma once

#include "detect/model.h"
