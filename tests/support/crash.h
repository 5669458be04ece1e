/* crash.h - what a disk may hold after the power went: records what a program does to a memfs and builds from
 * it every state that the fault model allows.
 *
 *     struct crash *rec = crash_begin(fs);           what is on the disk now is durable
 *     ... the program runs; crash_mark(rec, ACKNOWLEDGED, 17) when a promise leaves it ...
 *     crash_end(rec);
 *     for (uint64_t prefix = 0; prefix <= crash_length(rec); prefix++) {
 *         crash_state_build(rec, prefix, variant, disk);
 *         ... recover from `disk`, compare with crash_marks_before(rec, prefix) ...
 *     }
 *
 * A position counts the changes and syncs that the program had issued: in prefix 10 the power went after the
 * tenth and before the eleventh. What a later successful sync within the prefix covered is there. Of the rest
 *   - data is kept or lost per sector of 512 bytes, in any order: a sector holds any of the versions it had
 *     since it was last synced, and a write may be torn anywhere between sectors;
 *   - a file has any of the sizes it had since its last sync; where it grew without data it reads as zero;
 *   - names: each create, mkdir, rename and unlink is undone or not, by itself, until its directory is
 *     synced. A rename is undone or done as a whole. A file whose name is gone is gone, however well its data
 *     was synced; so is everything in a directory whose own name is gone.
 * What a failed fdatasync should have covered is never covered by a later one, only by being written again
 * and synced: the kernel may have forgotten it. A failed sync of a directory covers nothing, a later one
 * does.
 *
 * Thread: recording hears of calls from any thread; crash_mark may come from any thread. Building is for one
 * thread, after crash_end. Lifetime: the recording owns copies of all it needs; the memfs may go after
 * crash_end.
 */
#pragma once

#include "support/memfs.h"

#include <stdio.h>

struct crash;

struct crash *crash_begin(struct memfs *);
void          crash_end(struct crash *);
void          crash_free(struct crash *); /* NULL is fine */

/* A note of the test's own between the operations: this acknowledgement left the process here. What kind and
 * value mean is the test's. NULL is fine: not recording. */
void crash_mark(struct crash *, uint32_t kind, uint64_t value);

struct crash_mark {
    uint64_t at; /* operations issued before it */
    uint32_t kind;
    uint64_t value;
};
struct crash_marks {
    const struct crash_mark *mark;
    size_t                   count;
};
/* In order; those that had left in a crash at `prefix`. The view lives until crash_free. */
struct crash_marks crash_marks_before(const struct crash *, uint64_t prefix);

uint64_t crash_length(const struct crash *);
/* What the wall clock said at `prefix`. */
int64_t  crash_wall_us(const struct crash *, uint64_t prefix);
/* How many changes are not covered at `prefix`; with 0 there is one state only. */
uint64_t crash_pending(struct crash *, uint64_t prefix);

/* Variants. Every larger number is a seed for a random mix of kept, lost and torn. */
enum {
    CRASH_NONE,          /* nothing unsynced was kept                                          */
    CRASH_ALL,           /* everything was                                                     */
    CRASH_ONLY_LAST,
    CRASH_ALL_BUT_FIRST,
    CRASH_TORN_LAST,     /* everything, and of the last write some sectors                     */
    CRASH_NO_DATA,       /* names and sizes                                                    */
    CRASH_NO_NAMES,      /* data and sizes                                                     */
    CRASH_KILL,          /* as CRASH_ALL: the process died, the power did not go               */
    CRASH_RANDOM
};
/* Makes `out` hold that state (what it held is gone, its open files too). Cheapest in order of prefix:
 * content is shared until written, so a state costs microseconds. The same arguments give the same state. */
void crash_state_build(struct crash *, uint64_t prefix, uint64_t variant, struct memfs *out);

/* `kill -9`: `out` is what the next process sees, everything, and the recording that is given back goes on
 * from there: what was not synced can still be lost in it. Its positions begin with these changes. */
struct crash *crash_kill(struct crash *, uint64_t prefix, struct memfs *out);

/* For a person: the last operations before `prefix` and what is not covered there. */
void crash_print(struct crash *, uint64_t prefix, FILE *to);
