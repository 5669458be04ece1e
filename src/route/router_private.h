/* router_private.h - what the files of the router share. Not for others. */
#pragma once

#include "broker/consumer.h"
#include "journal/journal.h"
#include "route/router.h"
#include "route/table.h"

#include <pthread.h>

enum { LANES = 11 /* priorities 0 to 9, and none */, RUN_BATCH = 256, NAME_BYTES = 200 };

struct route_counts {
    uint64_t matched, not_matched, errors;
    uint64_t came; /* of a route that feeds $upstream directly: its tail when it began */
};

/* ---- lane.c: a queue of $upstream ---- */
enum { MARKS_MAX = 60 };
struct mark { /* everything below `index` was there when the journal was `age_us` old */
    uint64_t index;
    int64_t age_us;
};
struct lane {
    struct router *router;
    uint32_t priority;
    struct consumer *queue; /* NULL: nothing waits, and no route leads here */
    struct mark marks[MARKS_MAX];
    uint32_t mark_count;
    uint32_t least_ttl_s; /* of all that was ever put here; 0: none has one */
    int64_t looked_age_us, told_us;
    uint64_t expired, untold;
};
uint32_t lane_of(uint32_t priority);
uint32_t lane_priority(uint32_t lane);
FG_CHECK enum code lane_open(struct lane *, struct fault *why); /* harmless if open */
void lane_ttl(struct lane *, uint64_t ttl_s);                   /* such messages may come */
/* Lets go of what has waited for too long. */
void lane_sweep(struct lane *);
void lane_close(struct lane *);

/* ---- run.c: a sink's reader ---- */
struct runner {
    struct runner *next;
    struct router *router;
    const struct route_target *target; /* of the table that holds */
    struct consumer *queue;
    char name[NAME_BYTES + 1];
    struct route_counts *counts; /* by order of the table's routes; the router's */

    struct consumer_item items[RUN_BATCH];
    struct consumer_word words[RUN_BATCH];
    uint64_t word_index[RUN_BATCH];
    size_t word_count;
    uint64_t upto;       /* below: done with when the words are */
    _Atomic bool posted; /* they are on their way */

    struct fault blocked; /* text empty: it is not */
    int64_t retry_us;
    uint64_t counted; /* entries below have been counted */
    uint64_t not_json, not_json_untold;
    int64_t not_json_told_us;
};
/* True: there may be more at once. */
bool runner_step(struct runner *, int64_t now_us);
/* From now on it is these routes'. Its queue is open. */
void runner_begin(struct runner *, const struct route_target *, struct route_counts *);

/* ---- view.c: what is shown of it ---- */
struct view {
    pthread_mutex_t lock; /* of all below; taken behind router.lock */
    struct route_status routes[ROUTES_MAX_COUNT];
    char blocked[ROUTES_MAX_COUNT][240];
    struct upstream_status lanes[LANES];
    size_t route_count, lane_count;
    int64_t made_us;
    bool stale;             /* of the router: there was a step since */
    uint64_t oldest[LANES]; /* index of the entry whose time is in lanes[], plus 1 */
    int64_t oldest_us[LANES];
};
/* Locked (router). Looks again, if it is time or must be. */
void view_make(struct router *, bool must);
uint64_t came_directly(const struct router *, const struct route *); /* since its counts began */

struct router {
    struct router_options o;
    struct view view;
    pthread_mutex_t lock; /* of all below; held while a step works, never while anything is waited for */
    struct route_table *table;
    struct route_counts counts[ROUTES_MAX_COUNT];
    struct runner *runners;
    struct lane lanes[LANES];
    const struct route *direct; /* the one whose filters are those of a lane, or NULL */
    struct route_matcher matcher;
    bool held, started;
    int64_t swept_us;
    pthread_t thread;

    pthread_mutex_t sleep_lock; /* of what wakes the thread, and who waits for words on their way */
    pthread_cond_t wake;
    bool due, stop;
};
void router_wake(void *router);
