/* wheel.h - the timers of one loop: five wheels of 64 slots, each 64 times slower than the one before it.
 *
 *   level 0: 64 slots of 10 ms     level 1: 64 of 640 ms     level 2: 64 of 41 s     3: 44 min     4: 47 h
 *
 * A timer stands on the level of the highest base-64 digit in which its due tick differs from the present
 * one, and moves down a level when the present reaches that digit. Start and stop are O(1); two timers of
 * the same tick fire in the order they were started, because a slot is emptied downwards before anything
 * can be put below it. Private to src/net. Thread: the loop's.
 */
#pragma once

#include "net/loop.h"

enum { WHEEL_LEVELS = 5, WHEEL_SLOTS = 64, WHEEL_TICK_MS = 10 };

struct wheel {
    int64_t      tick;                /* every timer due at this tick or before has been fired */
    uint64_t     used[WHEEL_LEVELS];  /* bit set: the slot may hold a timer                    */
    struct timer slots[WHEEL_LEVELS][WHEEL_SLOTS]; /* heads of circular lists                  */
};

void wheel_init(struct wheel *w, int64_t now_us);
/* Fires not before now_us + delay_ms. */
void wheel_start(struct wheel *w, struct timer *t, int64_t now_us, int64_t delay_ms);
void wheel_stop(struct timer *t);
/* Fires what is due; a timer started meanwhile, even with no delay, waits for the next call. */
void wheel_fire(struct wheel *w, int64_t now_us);
/* When wheel_fire should be called next, in microseconds of the loop's time; INT64_MAX when there is no
 * timer. May name an earlier instant than the first timer's (a slot of a higher level has to come down). */
int64_t wheel_next_us(const struct wheel *w);
