/* fieldgate.h - our own detector: several weak views of a value, each against its own long memory. One pass, constant memory and
 * time whatever the history size.
 *
 * SpikeAndDip (fieldgate.c). The views of a value x:
 *
 *     level        x                                          spread     mean of the last deviations (about 16)
 *     step         x - the nearer of the two values before    day        x - what is usual at this hour of the day
 *     deviation    x - mean of the last values (about 8)      week       x - what is usual at this hour of the week
 *     short mean   mean of the last values                    drift      mean of the last differences `week` (about 8)
 *
 * Each is a quantity with a digest (digest.h) of all it has been, which gives it a surprise, -ln p, of at most 20. Together:
 * the largest, and 0.3 of the sum of the others. On values without any anomaly that number is distributed nearly alike
 * whatever their distribution (fieldgate_test.c), and a straight line makes it -ln p of the whole: so a confidence of 99 means
 * that of values that are only exchangeable 1 % would be flagged, each looked at by itself.
 *
 * Alarm hygiene: flagged is what is more surprising, by half a unit of ln p, than all that was lately. What was fades
 * within a quarter of history_size events or of the duration, whichever is over first.
 *
 * `history_size` sets how soon the next alarm may follow, how long the first one takes (a tenth, but 30 values) and how far
 * the digests remember (64 histories; 2048 to 32768 values). After a pause longer than `duration` what is short-lived starts
 * anew, and nothing is flagged until that many values have come again; the digests and the profile are kept.
 *
 * ChangePoint (change.c). One whitened view: the difference from the long mean (history_size events) and, once a whole day
 * is known, from what is usual at this hour, less what the difference before it lets expect. Its rank among all earlier ones
 * is even on (0,1) while nothing changes. Three bets against that (values rise, fall, spread) each make a martingale, kept
 * from falling below 1; their mean is the score. Within history_size exchangeable events it reaches
 * history_size / (1 - confidence) with a probability of at most 1 - confidence (each is at most the sum of the martingales that
 * begin at each event, whose mean is the number of events: Doob's inequality): that is the threshold. After an alarm mean and
 * distribution are learned afresh, and nothing is bet meanwhile. */
#pragma once

#include "detect/model.h"

/* Values until the first verdict, and after a pause. */
uint32_t fieldgate_need(const struct detect_config *);
/* How many values a digest remembers. */
uint32_t fieldgate_memory(const struct detect_config *);
