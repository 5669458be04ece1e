/* memfs.h - a file system in memory behind the I/O table: files, directories, locks, a clock that stands
 * still until told, random numbers from a seed, a disk that can be full, and calls that fail on request.
 *
 *     struct memfs *fs = memfs_new(seed);
 *     memfs_fail(fs, FS_FDATASYNC, 3, EIO, false);     the third sync from now fails, once
 *     journal_open(... .io = memfs_io(fs) ...);
 *     struct memfs *copy = memfs_copy(fs);             microseconds: content is shared until written
 *
 * What survives a loss of power is not decided here: a recorder (crash.h) hears of every change.
 *
 * Paths: absolute or relative to "/", up to MEMFS_PATH bytes, no "." or "..". Renames stay inside one
 * directory and directories are not renamed or removed (-EXDEV, -ENOTSUP): a program that needs it should
 * extend the model first. A directory lists in no particular order.
 * Thread: calls through the table may come from any thread; a mutex orders them. The functions below, too.
 * Memory is libc's, not mem.h's: refused allocations hit the program, not its disk.
 */
#pragma once

#include "base/io.h"
#include "support/pages.h"

enum { MEMFS_PATH = 120 };

struct memfs;

struct memfs    *memfs_new(uint64_t seed);
void             memfs_free(struct memfs *); /* also with files open: the program was killed */
const struct io *memfs_io(struct memfs *);   /* lives as long as the file system             */

/* The files as they are, with the clock, the limit and a random state of its own; no open files, no locks, no
 * failures armed, no recorder. */
struct memfs *memfs_copy(struct memfs *);
/* Empty again, as from memfs_new, but for clock and random state. */
void memfs_clear(struct memfs *);

/* ---- clock and random ---- */
void memfs_set_wall(struct memfs *, int64_t wall_us); /* a jump */
void memfs_advance(struct memfs *, int64_t us);       /* both clocks */
void memfs_seed(struct memfs *, uint64_t seed);

/* ---- the disk's size. Room is counted in pages of 4 KiB; writes into holes and behind the end need room,
 * those into what was allocated or written before do not. ---- */
void     memfs_set_room(struct memfs *, uint64_t bytes); /* free from now on; UINT64_MAX: no limit */
uint64_t memfs_used(struct memfs *);

/* ---- failures ---- */
enum memfs_call {
    FS_OPEN, FS_PREAD, FS_PWRITE, FS_FDATASYNC, FS_TRUNCATE, FS_ALLOCATE, FS_STAT, FS_RENAME, FS_UNLINK,
    FS_MKDIR, FS_SYNC_DIR, FS_LIST, FS_LOCK,
    FS_CALLS,
    FS_ANY = FS_CALLS /* for memfs_fail: every call that can fail, counted together */
};
const char *memfs_call_name(enum memfs_call);
/* The n-th such call from now (1 = the next) returns -err and does nothing; with `for_ever` so do all that
 * follow, until this is called again; n = 0 turns it off. */
void     memfs_fail(struct memfs *, enum memfs_call, uint64_t n, int err, bool for_ever);
/* How often that failure was returned since it was set. */
uint64_t memfs_failed(struct memfs *, enum memfs_call);
/* Calls of the kind so far, failed ones included. */
uint64_t memfs_calls(struct memfs *, enum memfs_call);
/* So many of a hundred reads stop early, at any byte, and of writes, between two sectors. */
void     memfs_short(struct memfs *, unsigned percent);
/* A disk that lies: syncs return 0 and cover nothing. For proving that a judge can fail. */
void     memfs_ignore_sync(struct memfs *, bool files, bool dirs);

/* Called at the start of every call that can fail, with nothing locked, but not from within itself: what
 * another thread might do at this moment, in a run that can be repeated. NULL ends it. */
typedef void (*memfs_visit_fn)(void *ctx, enum memfs_call);
void memfs_set_visit(struct memfs *, memfs_visit_fn, void *ctx);

/* ---- looking at it from outside ---- */
unsigned memfs_open_files(struct memfs *);
bool     memfs_exists(struct memfs *, const char *path);
/* Flips bits of one byte behind everyone's back (rot); false if there is no such byte. */
bool     memfs_flip(struct memfs *, const char *path, uint64_t at, uint8_t bits);
/* Every entry in order of creation; `size` is 0 for directories. each() must not call the file system. */
typedef void (*memfs_each_fn)(void *ctx, const char *path, bool is_dir, uint64_t size);
void     memfs_each(struct memfs *, memfs_each_fn each, void *ctx);

/* ---- for crash.c: what a recorder hears, and how a state of the disk is put together ---- */
enum memfs_op_kind {
    OP_FOUND,                                                                  /* a file that was there */
    OP_WRITE, OP_SIZE, OP_SYNC, OP_SYNC_FAILED,                                /* of a file             */
    OP_CREATE, OP_MKDIR, OP_RENAME, OP_UNLINK, OP_SYNC_DIR, OP_SYNC_DIR_FAILED /* of a directory        */
};
struct memfs_op {
    enum memfs_op_kind kind;
    uint64_t           node;     /* the file's number, for life; numbers start at 1 and are small       */
    const char        *path;     /* of the entry made, renamed (from), removed; of the directory synced */
    const char        *to;       /* OP_RENAME                                                           */
    uint64_t           at, len;  /* OP_WRITE                                                            */
    uint64_t           size;     /* after it; OP_FOUND, OP_WRITE and OP_SIZE                            */
    bool               resized;
    bool               reserved; /* OP_SIZE by allocate: the room is there, too                         */
    struct pages      *content;  /* after it; OP_FOUND and OP_WRITE                                     */
    int64_t            wall_us;  /* the clock then                                                      */
};
struct memfs_watch {
    void *ctx;
    void (*note)(void *ctx, const struct memfs_op *); /* under the mutex: must not call back */
};
/* With `tell` it first hears of every entry that is there: OP_MKDIR, or OP_CREATE and OP_FOUND. NULL ends it.
 * */
void memfs_set_watch(struct memfs *, const struct memfs_watch *, bool tell);
/* The mutex, for a recorder that has something of its own to put in order with the calls. */
void memfs_hold(struct memfs *);
void memfs_release(struct memfs *);
/* Adds an entry as it is found on the disk, with this number. `content` is shared (one more reference). */
void memfs_put_dir(struct memfs *, uint64_t node, const char *path);
void memfs_put_file(struct memfs *, uint64_t node, const char *path, struct pages *content, uint64_t size);
/* Files to come get larger numbers than this. */
void memfs_number_from(struct memfs *, uint64_t node);
