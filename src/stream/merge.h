/* merge.h - rows of several ports put into one order: by time, then port, then arrival. For UNION and JOIN. */
#pragma once

#include "stream/run.h"

struct merge_port {
    struct kept *first, *last;
    int64_t      mark;
};
struct merge {
    struct merge_port *ports;
    uint32_t           count;
};

FG_CHECK enum code merge_make(struct merge *, uint32_t ports);
void               merge_free(struct stream *, struct merge *);
FG_CHECK enum code merge_put(struct stream *, struct merge *, uint32_t port, const struct row *, uint32_t width);
/* A port's watermark; yields that of all. */
int64_t            merge_mark(struct merge *, uint32_t port, int64_t mark);
/* The next row of a time below `mark`, now the caller's; NULL: none. */
struct kept       *merge_next(struct stream *, struct merge *, int64_t mark);
/* The time of that row, whatever the mark; INT64_MAX: there is none. */
int64_t            merge_due(const struct merge *);
void               merge_save(const struct merge *, struct buf *out);
FG_CHECK enum code merge_load(struct loader *, struct merge *, const uint32_t *widths);
