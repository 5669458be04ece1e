/* window.h - the windows of a GROUP BY. One engine for each window definition; the grouping (group.c) gives it rows in the order of their
 * times and tells it to close what ends at T.
 *
 * Intervals are (start, end]: an event exactly on an end belongs to the window that ends there. Rows of one T leave in the order of the
 * groups' first events in that window.
 *
 *   single.c   tumbling, snapshot: one window is open at a time
 *   paned.c    hopping, sliding: rows are collected in panes, and a window is some of them
 *   session.c  session
 */
#pragma once

#include "stream/aggregate.h"

struct group { /* the rows of one window (or pane) with the same keys */
    struct keyed_entry entry;
    uint64_t           first;    /* sequence of its first row */
    size_t             size;
    struct acc        *accs;
};

struct batch { /* one row for all engines of a grouping */
    int64_t              time;
    uint64_t             sequence;
    uint64_t             hash;
    const struct value  *keys;
    struct contribution *values;
    const struct row    *row;
};

struct closing { /* how an engine gives out a row */
    struct stream       *stream;
    struct lane         *lane;
    const struct op     *op;
    const struct window *window;
    int64_t              time;
};
/* Results of the groups (keys, lists of accs) of one T. */
FG_CHECK enum code closing_emit(const struct closing *, const struct value *keys, struct acc *const *const *lists, const size_t *counts);
/* The same for a group with its own accs. */
FG_CHECK enum code closing_emit_group(const struct closing *, const struct group *);
/* By the sequence of their first rows. */
void               groups_sort(struct group **, size_t count);

struct engine_kind {
    void *(*make)(struct stream *, const struct op *, const struct window *);
    void  (*free)(struct stream *, const struct op *, void *engine);
    enum code (*add)(struct stream *, const struct op *, const struct window *, void *engine, const struct batch *);
    /* When something ends next; INT64_MAX: nothing is open. May be too early, not too late. */
    int64_t (*due)(const void *engine, const struct window *);
    enum code (*close)(const struct closing *, void *engine); /* what ends at closing->time */
    void  (*save)(const struct op *, const struct window *, const void *engine, struct buf *out);
    enum code (*load)(struct loader *, const struct op *, const struct window *, void *engine);
};
extern const struct engine_kind engine_single, engine_paned, engine_session;

/* ---- groups, for engines (group.c) ---- */
/* Finds or makes. `extra` accs stand behind the aggregates'. */
FG_CHECK enum code group_find(struct stream *, const struct op *, struct keyed *, const struct batch *, struct group **out);
FG_CHECK enum code group_add(struct stream *, const struct op *, struct group *, const struct batch *);
void               group_free(struct stream *, const struct op *, struct group *);
void               groups_clear(struct stream *, const struct op *, struct keyed *);
void               groups_save(const struct op *, const struct keyed *, struct buf *out);
FG_CHECK enum code groups_load(struct loader *, const struct op *, struct keyed *);

/* ---- borders (borders.c) ---- */
/* The first end at or behind t, and the last multiple at or before: ends are k * hop + offset. */
int64_t border_end(int64_t t, int64_t hop, int64_t offset);
int64_t border_begin(int64_t t, int64_t hop, int64_t offset);
