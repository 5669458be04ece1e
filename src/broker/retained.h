/* retained.h - the retained messages, by topic, matched by filter. Part of the durable state: guarded by the journal's
 * lock. Values are stored handles; one reference each is the table's. */
#pragma once

#include "base/buf.h"

struct stored;
struct retained_node;
struct retained {
    struct retained_node *root;
    struct retained_node *first, *last, *cursor; /* all that hold a message, oldest first; the round's place */
    uint64_t              count, bytes;
};

/* Takes over the reference. The former message's is let go. CODE_NOMEM changes nothing (and takes nothing). */
FG_CHECK enum code retained_set(struct retained *, struct bytes topic, struct stored *, uint64_t bytes, uint8_t qos);
/* What retained_set would need is there: after it, retained_set of this topic cannot fail. */
FG_CHECK enum code retained_reserve(struct retained *, struct bytes topic);
bool retained_remove(struct retained *, struct bytes topic);
/* *bytes (may be NULL): as given to retained_set. */
struct stored *retained_get(const struct retained *, struct bytes topic, uint64_t *bytes);
/* each() for every retained message whose topic the filter matches, until it returns false. */
void retained_match(const struct retained *, struct bytes filter, bool (*each)(void *ctx, struct stored *, uint8_t qos),
                    void *ctx);
/* A walk over all that survives changes between the calls: start, then next until NULL. `topic` is set to the topic of
 * what is returned (check topic->bad). */
void           retained_walk_start(struct retained *);
struct stored *retained_walk_next(struct retained *, struct buf *topic, uint64_t *bytes, uint8_t *qos);
/* After the journal's end: the handles, which died with it, are not touched. */
void           retained_clear(struct retained *);
