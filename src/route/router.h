/* router.h - carries messages along the routes of a table.
 *
 *   publishers ──► queue of a sink's routes ──► router's thread: conditions ──► queue of the sink: $upstream, a job
 *                  ("route/>SINK")                                        └──► topics, partitions
 *
 * Each sink has a reader of its own (broker/consumer.h), whose filters are those of its routes: a sink that takes nothing holds up
 * no other, its messages keep their order, and what several routes take comes once. Into a queue a message is moved, by one
 * record; what is published carries its index in the reader's queue as ordinal: so each message comes to its sink exactly once,
 * whenever the node is killed. A single route without condition into $upstream needs no router: its filters are those of
 * $upstream itself.
 *
 * $upstream is a queue for each priority ("route/$upstream/0" ... "/9", "/2000000000"), which nobody reads yet. The number of a
 * message in it is its time to live in seconds, 0: for ever.
 *
 * Threads: router_* from any thread but the loops' (router_status from those, too), one of apply, hold and close at a time.
 */
#pragma once

#include "broker/broker.h"
#include "route/route.h"

struct consumer;
struct router;

struct router_options {
    struct broker *broker;
    struct journal *journal;
    const struct io *io;
    /* The queue of a job, which stays until router_hold; NULL: it does not run. */
    struct consumer *(*job_queue)(void *ctx, const char *job);
    void *ctx;
    bool manual; /* no thread: the owner calls router_step (tests) */
};
FG_CHECK enum code router_open(struct router **out, const struct router_options *, struct fault *why);
/* Messages wait; those on their way are there. For a change of the jobs; router_apply goes on. */
void router_hold(struct router *);
/* From now on these are the routes; what came before goes by those before, as far as its sinks take it now. Takes the table, also
 * on failure, after which the routes are those from before or none, and what comes for them waits. */
FG_CHECK enum code router_apply(struct router *, struct route_table *, struct fault *why);
void router_close(struct router *); /* NULL is fine. While the loops still run */

struct route_status {
    struct route_info info;
    uint64_t matched, not_matched,
        errors;        /* since the node started or the route changed; errors: its condition was undefined */
    uint64_t waiting;  /* messages for its sink that wait to be routed */
    uint64_t not_json; /* bodies that conditions of its sink asked for in vain */
    const char *blocked; /* why its sink takes nothing, or "" */
};
struct upstream_status {
    uint32_t priority;
    uint64_t messages, bytes;
    int64_t oldest_us; /* when the oldest came, wall clock; 0: nothing waits, or it could not be read */
    uint64_t expired;  /* since the node started */
};
/* As it was a moment ago; never waits for the router, so from any thread. Texts live as long as the call. */
void router_status(struct router *, void (*route)(void *ctx, const struct route_status *),
                   void (*upstream)(void *ctx, const struct upstream_status *), void *ctx);

/* Does what can be done now. True: there is more at once. Only for `manual`. */
bool router_step(struct router *);
