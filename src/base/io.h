/* io.h - files, clocks and random numbers as a table of functions.
 *
 * Production binds the system (io_system). Tests bind tables that simulate, record or fail: every
 * crash state, full disk and clock jump in the suite enters through this door. Sockets and timers
 * have theirs in net/loop.h. No other file calls open, clock_gettime or getrandom (a lint test looks).
 *
 * Thread: io_system may be used from any thread. Handles are small non-negative numbers; what they
 * mean is the table's business. Calls return >= 0, or -errno. Short reads and writes are possible
 * everywhere; io_write_all and io_read_all loop. EINTR is retried inside.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

enum { IO_READ = 1, IO_WRITE = 2, IO_CREATE = 4, IO_EXCL = 8 };

struct io_stat {
    uint64_t size;
    bool     is_dir;
    bool     is_pipe;  /* a FIFO: opening it may wait for ever */
    /* What tells a changed or replaced file, and who may read it. 0 where the table does not know. */
    uint32_t mode;     /* permission bits: 0600 */
    uint64_t inode;
    int64_t  mtime_ns; /* since 1970 */
    uint32_t uid, gid;
};

struct io {
    void *self;
    /* Files are made with mode 0600, directories with 0700. */
    int     (*open)(void *self, const char *path, int flags);
    void    (*close)(void *self, int file);
    int64_t (*pread)(void *self, int file, void *to, size_t n, uint64_t at);
    /* From there on the file reads as zero, because nothing was written there; INT64_MAX: not known. It saves
     * reading what was allocated and not used, so it is asked before the file is read: what the system has read
     * ahead no longer counts as unused. */
    int64_t (*data_end)(void *self, int file);
    int64_t (*pwrite)(void *self, int file, const void *from, size_t n, uint64_t at);
    int     (*fdatasync)(void *self, int file);
    int     (*truncate)(void *self, int file, uint64_t size);
    /* Reserves and sizes [0, size) so that writes inside cannot meet a full disk: -ENOSPC is told here. */
    int     (*allocate)(void *self, int file, uint64_t size);
    int     (*stat)(void *self, const char *path, struct io_stat *out);
    int     (*rename)(void *self, const char *from, const char *to);
    int     (*unlink)(void *self, const char *path);
    int     (*mkdir)(void *self, const char *path);
    /* Makes creations, renames and removals in this directory durable. */
    int     (*sync_dir)(void *self, const char *path);
    /* Calls each(ctx, name) for every entry but . and ..; order is unspecified. */
    int     (*list)(void *self, const char *path, void (*each)(void *ctx, const char *name), void *ctx);
    /* Exclusive lock on an open file, released by close or death; -EAGAIN when another process has it. */
    int     (*lock)(void *self, int file);
    int64_t (*free_bytes)(void *self, const char *path); /* for unprivileged writers */

    int64_t (*wall_us)(void *self);      /* since 1970, UTC; may jump       */
    int64_t (*monotonic_us)(void *self); /* never goes back; origin unknown */
    void    (*random)(void *self, void *to, size_t n); /* cryptographic in io_system */
    /* Gives an open file to somebody, where this process may (root); otherwise it stays as it is. NULL: nobody owns files. */
    void    (*give)(void *self, int file, uint32_t uid, uint32_t gid);
};

extern const struct io io_system;

/* The whole range or -errno; a pwrite that makes no progress is -EIO. */
int     io_write_all(const struct io *io, int file, const void *from, size_t n, uint64_t at);
/* Bytes read, less than n only at the end of the file; or -errno. */
int64_t io_read_all(const struct io *io, int file, void *to, size_t n, uint64_t at);
/* A small file as a whole; a pipe is refused. NUL-terminated for convenience (not counted in *len). *out is the caller's
 * (mem_free). CODE_LIMIT above max. */
FG_CHECK enum code io_load(const struct io *io, const char *path, size_t max, char **out, size_t *len,
                           struct fault *why);
/* The first cap - 1 bytes of a file that says it has none, as those of /proc do, and a NUL. False: nothing was read. */
bool io_read_text(const struct io *io, const char *path, char *out, size_t cap);
/* Root makes files for others: the open file gets the owner of `path`, or of the directory when that is not there. For a file
 * that was just made with IO_EXCL: another could be a link to something else. */
void io_keep_owner(const struct io *io, int file, const char *path, const char *dir);
/* Old or new after any crash: written beside, synced, renamed, directory synced. The owner stays (io_keep_owner). */
FG_CHECK enum code io_replace(const struct io *io, const char *dir, const char *name, struct bytes content,
                              struct fault *why);
/* As `mkdir -p`, each 0700: parents that we make are ours alone. 0, or -errno (-ENOTDIR: a file is in the way; -ENAMETOOLONG above
 * IO_PATH_MAX). */
enum { IO_PATH_MAX = 4096 };
int io_make_path(const struct io *io, const char *path);
