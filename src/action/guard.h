/* guard.h - how often an action may do something: "2 in 10s" and "1 per 5m". Pure.
 *
 * Times are those of the events, in ms since 1970. They may come out of order, and the clock behind them may be set: two events are
 * within a span when they are less than it apart, whichever came first. So a clock that was a year ahead for a moment does not
 * hold anything back for a year.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

enum { GUARD_COUNT_MAX = 1000 };
struct guard_rule {
    uint32_t count; /* 0: no rule */
    int64_t span_ms;
};
/* "2 in 10s" with `word` "in", "1 per 5m" with "per". CODE_USAGE: why->text continues "must be ". "" is no rule. */
FG_CHECK enum code guard_parse(const char *text, const char *word, struct guard_rule *out, struct fault *why);

/* What a rule remembers: at most `count` times, ascending. When there is one too many, the one farthest from the newcomer goes. */
struct guard_times {
    int64_t *at; /* owned, room for `count` */
    uint32_t used;
};
FG_CHECK enum code guard_init(struct guard_times *, const struct guard_rule *); /* CODE_NOMEM */
void guard_clear(struct guard_times *);

enum guard_verdict { GUARD_GO, GUARD_TOO_FEW, GUARD_TOO_OFTEN };
/* An event at `ms`. It counts for at-least in any case, for at-most only if it may go. */
enum guard_verdict guard_ask(const struct guard_rule *at_least, struct guard_times *seen,
                             const struct guard_rule *at_most, struct guard_times *done, int64_t ms);

/* Both, for a place that outlasts a crash. 100 times of each always fit (as long as no two of them are half a year apart); of more
 * those that do not fit are left out, the oldest first. */
enum { GUARD_NOTE = 1024 };
size_t guard_write(const struct guard_times *seen, const struct guard_times *done, uint8_t out[GUARD_NOTE]);
/* Into initialised, empty ones; rules may have changed since: the newest are kept. False: it is none; both stay empty. */
bool guard_read(struct bytes note, const struct guard_rule *at_least, struct guard_times *seen,
                const struct guard_rule *at_most, struct guard_times *done);
