/* tree.h - the subscription tree: filters, level by level, each with the sessions that hold it.
 *
 *   factory ── + ── telemetry   {press-watch QoS 1}
 *          └── #                {archive QoS 2}
 *
 * Those who hold the same shared filter are one entry, a share (share.h), at the place of the filter behind the group's name.
 *
 * Not locked here: the broker holds its read-write lock around. Sessions are borrowed: whoever ends a session
 * removes its filters first.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

struct session;

struct subscription {      /* what one session asked for with one filter */
    struct session *session;
    uint8_t         qos, retain_handling;
    bool            no_local, retain_as_published;
    uint32_t        id; /* 0: none */
    struct share   *share; /* from tree_match: all who hold this shared filter together, `session` is NULL */
};

struct tree_node;
struct tree {
    struct tree_node *root;
    uint64_t          count;  /* subscriptions */
    uint64_t          shared; /* of them */
};

/* Adds, or replaces the options of the same session's same filter (*replaced). CODE_NOMEM leaves the tree as it was. */
FG_CHECK enum code tree_add(struct tree *, struct bytes filter, const struct subscription *, bool *replaced);
/* The group behind a filter like "$share/GROUP/FILTER"; borrowed. NULL: nobody holds it. */
struct share *tree_share(const struct tree *, struct bytes filter);
/* False if it was not there. Never fails. */
bool tree_remove(struct tree *, struct bytes filter, const struct session *);
/* Calls each() for every subscription that matches; a session with overlapping filters comes several times.
 * Depth is bounded by L-TOPIC's levels, which both filters and names passed. */
void tree_match(const struct tree *, struct bytes topic, void (*each)(void *ctx, const struct subscription *), void *ctx);
void tree_clear(struct tree *);
