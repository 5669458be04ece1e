/* history.h - the last values of a variable, for HistoryRead: a ring, oldest first out. Not for others. */
#pragma once

#include "uaserver/space.h"

enum { UA_HISTORY_MAX = 100000 };
struct ua_history {
    uint32_t room, count;
    uint64_t first; /* number of the oldest one; values are numbered from 0 on as they come */
    struct ua_value *values; /* value k lies at k % room */
};

/* NULL: no memory. */
struct ua_history *ua_history_new(uint32_t room);
void ua_history_free(struct ua_history *); /* NULL is fine */
void ua_history_add(struct ua_history *, const struct ua_value *);
/* Number k, NULL: it is not there (any more). */
const struct ua_value *ua_history_at(const struct ua_history *, uint64_t k);
