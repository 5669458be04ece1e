/* keeper.h - a small program on the journal whose state can be computed by somebody else.
 *
 * Its life is a row of operations 1, 2, 3... What operation n is follows from the seed, the number and the
 * state before it: a message (in a partition or not, kept or not), the end of a kept one, an addition to a
 * counter. As every program on the journal it appends the record and changes its memory under one hold of the
 * lock, writes its state in rounds, and gets it back by replay. keeper_check computes the same state from the
 * row alone and compares: nothing lost, nothing invented, everything in its place.
 *
 *     struct keeper *k = keeper_new(seed, &options, rec);
 *     keeper_open(k, io, &why); keeper_do(k, 20); keeper_step(k); ... keeper_check(k) ... keeper_close(k);
 *     keeper_free(k);
 *
 * After a crash another keeper of the same seed is told by keeper_recall, from the marks of a recording, how
 * far the first had come and what had been acknowledged. When operations were lost for good, other ones take
 * their numbers; the marks tell where (a branch), so that nothing lost can pass for something kept.
 *
 * Thread: one. Its own memory is libc's; messages and handles are the journal's.
 */
#pragma once

#include "journal/journal.h"
#include "support/crash.h"

enum { KEEPER_SENT = 1, KEEPER_ACKED, KEEPER_BRANCH }; /* kinds of marks */
enum { KEEPER_PARTITIONS = 3 };

struct keeper_options {
    const char *dir;           /* default "/data"                                                */
    uint64_t    segment_bytes; /* default 64 KiB                                                 */
    uint64_t    keep_bytes;    /* of partition records, 0 = all                                  */
    uint64_t    disk_reserve;
    unsigned    payload_max;   /* default 3,000; a few are ten times as long                     */
    unsigned    kept_max;      /* about so many messages are kept at a time; default 30          */
    unsigned    partitioned;   /* percent of the messages that go to a partition, too; default 60 */
    bool        no_batches;    /* no operations that must be found both or neither               */
    bool        too_early;     /* marks what is appended as acknowledged: wrong, to be found     */
    enum code   forgiven;      /* reads that come back with it are not held against the journal  */
};

struct keeper;

/* `options` and `rec` may be NULL. */
struct keeper *keeper_new(uint64_t seed, const struct keeper_options *options, struct crash *rec);
void           keeper_free(struct keeper *); /* abandons an open journal */

/* Opens and replays. What is durable then is marked as acknowledged. */
FG_CHECK enum code keeper_open(struct keeper *, const struct io *, struct fault *why);
void               keeper_close(struct keeper *);
void               keeper_abandon(struct keeper *);

/* The next n operations. Stops at the first that is refused and tells why, CODE_OK otherwise. */
enum code keeper_do(struct keeper *, unsigned n, struct fault *why);
/* journal_step, and marks what became durable. Returns what journal_step returned. */
bool      keeper_step(struct keeper *);
/* Steps until nothing is left to do, at most `most` times. */
void      keeper_settle(struct keeper *, unsigned most);

/* Compares everything: counter, kept messages and what they say, partitions, the bounds that marks or the
 * keeper itself have set. NULL, or what is wrong (the keeper's, until its next call). */
const char *keeper_check(struct keeper *);
/* journal_check on a closed journal: NULL, or the first error it finds. */
const char *keeper_check_offline(struct keeper *, const struct io *);

/* For a keeper that was not there: what the marks say. Call before keeper_open. */
void keeper_recall(struct keeper *, struct crash_marks);

struct journal *keeper_journal(struct keeper *);
uint64_t keeper_done(const struct keeper *);  /* operations in memory                       */
uint64_t keeper_acked(const struct keeper *); /* known to be durable; never goes back       */
uint64_t keeper_sent(const struct keeper *);
uint64_t keeper_moved(const struct keeper *); /* by compaction, in journals closed since */

/* ---- a life of such a program, for tests that break something in it ---- */

/* Opens, does about 5 * `rounds` operations with steps, pauses, clean stops and kills in between, all drawn
 * from the seed, and ends in one or the other way. Some operations come while the committer is between two
 * system calls, as from another thread. An opening that fails is tried again a few times. NULL, or what was
 * found wrong on the way. */
const char *keeper_live(struct keeper *, struct memfs *, unsigned rounds);

/* On a disk as a crash left it: recovers, checks, works on, stops, checks from outside, starts again, checks.
 * NULL, or what is wrong, in `text`. */
const char *keeper_verify(uint64_t seed, const struct keeper_options *, struct memfs *disk,
                          struct crash_marks, struct crash *rec, char *text, size_t cap);
