/* guard.h - how often an action may do something: "2 in 10s" and "1 per 5m". Pure; times in us, and events may come out of order. */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

enum { GUARD_COUNT_MAX = 1000 };
struct guard_rule {
    uint32_t count; /* 0: no rule */
    int64_t span_us;
};
/* "2 in 10s" with `word` "in", "1 per 5m" with "per". CODE_USAGE: why->text continues "must be ". "" is no rule. */
FG_CHECK enum code guard_parse(const char *text, const char *word, struct guard_rule *out, struct fault *why);

/* The last times, at most `count` of them. */
struct guard_times {
    int64_t *at; /* a ring of `count`; owned by who uses guard_init */
    uint32_t used, next;
};
FG_CHECK enum code guard_init(struct guard_times *, const struct guard_rule *);
void guard_clear(struct guard_times *);

enum guard_verdict { GUARD_GO, GUARD_TOO_FEW, GUARD_TOO_OFTEN };
/* An event at `us`. It counts for at-least in any case, for at-most only if it may go. */
enum guard_verdict guard_ask(const struct guard_rule *at_least, struct guard_times *seen,
                             const struct guard_rule *at_most, struct guard_times *done, int64_t us);
