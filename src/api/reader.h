/* reader.h - reads one partition or all of them as lines of JSON (event.h), in slices.
 *
 *   partition 0   [ line line line ...      a lane: a few lines read ahead, never more than its share of
 *   partition 1   [ line ...                READER_AHEAD; a large record is not read ahead at all
 *   partition 2   [ line line ...
 *                   ^ the earliest of the first ones leaves next
 *
 * Lines of one partition keep the order of their sequence; between partitions the enqueued time decides, ties
 * go to the lower partition. What comes later does not wait for partitions that have nothing yet.
 *
 * Thread: one, that of the loop it is read on (reads are short and bounded). Lifetime: reader_open ..
 * reader_close, within that of the journal.
 */
#pragma once

#include "base/buf.h"
#include "journal/journal.h"

enum { READER_SLICE = 128 * 1024, READER_AHEAD = 1024 * 1024 };

enum reader_from { FROM_EARLIEST, FROM_LATEST, FROM_SEQUENCE, FROM_TIME };

struct reader_ask {
    uint32_t         partition; /* JOURNAL_NO_PARTITION: all of them                                   */
    enum reader_from from;
    uint64_t         sequence;  /* FROM_SEQUENCE; before the first kept one: from that on              */
    int64_t          time_us;   /* FROM_TIME                                                           */
    int64_t          until_us;  /* no record of that time or later, and the end then; 0 = none         */
    uint64_t         count;     /* lines in all, 0 = no limit                                          */
    bool             follow;    /* false: ends where the partitions end now                            */
};

struct reader;

/* CODE_NOTFOUND for a partition that does not exist. */
FG_CHECK enum code reader_open(struct reader **out, struct journal *, const struct reader_ask *,
                               struct fault *why);
/* Appends lines to `out` until it holds about READER_SLICE bytes or as much work was done.
 * CODE_OK: there may be more at once. CODE_AGAIN: nothing until the journal's durable end moves (with an
 * `until_us`: or that time comes). CODE_END: that was all. Else the disk's failure, after which the reader is
 * only closed. */
FG_CHECK enum code reader_next(struct reader *, int64_t wall_us, struct buf *out, struct fault *why);
void reader_close(struct reader *); /* NULL is fine */
