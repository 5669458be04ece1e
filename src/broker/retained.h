/* retained.h - the retained messages, by topic, matched by filter. Part of the durable state: guarded by the journal's
 * lock. Values are stored handles; one reference each is the table's. */
#pragma once

#include "base/buf.h"
#include "broker/owner.h"

struct stored;
struct retained_node;
struct retained {
    struct retained_node *root;
    struct retained_node *first, *last, *cursor; /* all that hold a message, oldest first; the round's place */
    struct retained_node *swept, *looked_at;     /* retained_sweep: where it goes on; whose it gave, while that is there */
    uint64_t              count, bytes;
    struct owners         owners;
    struct owner         *reserved; /* of the last reservation: it may have nothing */
};

/* Takes over the reference. The former message's is let go. CODE_NOMEM changes nothing (and takes nothing). `owner`: whose it
 * is from now on; BYTES_NONE: nobody's. */
FG_CHECK enum code retained_set(struct retained *, struct bytes topic, struct stored *, uint64_t bytes, uint8_t qos,
                                struct bytes owner);
/* What retained_set would need is there: after it, retained_set of this topic cannot fail. */
FG_CHECK enum code retained_reserve(struct retained *, struct bytes topic, struct bytes owner);
bool retained_remove(struct retained *, struct bytes topic);
/* *bytes (may be NULL): as given to retained_set. */
struct stored *retained_get(const struct retained *, struct bytes topic, uint64_t *bytes);
/* Whose message it has; BYTES_NONE: nobody's, or there is none. */
struct bytes retained_owner(const struct retained *, struct bytes topic);
/* A search for what a filter matches, in pieces: what is there from its beginning to its end is found exactly
 * once, whatever is set, replaced and removed between the pieces. It takes as many steps as there are nodes on
 * the filter's ways: without wildcards not more than levels. */
struct retained_search {
    struct bytes          filter;      /* the caller's, until the end */
    struct retained_node *at;          /* kept alive by the search; NULL: not begun, or over */
    struct bytes          level;       /* private, with what follows: the level last looked at */
    size_t                cursor;
    uint32_t              level_depth, depth;
    bool                  over;
};
void           retained_search(struct retained_search *, struct bytes filter); /* holds nothing yet */
/* The next, or NULL: `over` is set, or *steps (counted down) are used up. No reference is given. */
struct stored *retained_found(struct retained *, struct retained_search *, unsigned *steps, uint8_t *qos);
/* Before it is over, or after; harmless then. */
void           retained_search_end(struct retained *, struct retained_search *);
/* A walk over all that survives changes between the calls: start, then next until NULL. `topic` is set to the topic of
 * what is returned (check topic->bad). */
void           retained_walk_start(struct retained *);
struct stored *retained_walk_next(struct retained *, struct buf *topic, uint64_t *bytes, uint8_t *qos, struct bytes *owner);
/* A round without end over those that are not known to last, one at a time, for whoever judges whether they have expired. Passes
 * at most *looks messages (counted down); NULL: these are used up, or the round is at its end and begins anew. No reference is
 * given; `topic` as above. */
struct stored *retained_sweep(struct retained *, struct buf *topic, unsigned *looks);
/* The one last given has no expiry interval. Nothing happens when it has gone or another has its place. */
void           retained_lasts(struct retained *, const struct stored *);
/* After the journal's end: the handles, which died with it, are not touched. */
void           retained_clear(struct retained *);
