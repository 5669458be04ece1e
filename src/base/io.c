#include "base/io.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

enum { DATA_RUNS_MAX = 32 };

#define RETRY(result, call)                                                                                  \
    do {                                                                                                     \
        (result) = (call);                                                                                   \
    } while ((result) < 0 && errno == EINTR)

static int sys_open(void *self, const char *path, int flags)
{
    (void)self;
    int how = (flags & IO_WRITE) ? O_RDWR : O_RDONLY;
    how |= (flags & IO_CREATE) ? O_CREAT : 0;
    how |= (flags & IO_EXCL) ? O_EXCL : 0;
    int fd;
    RETRY(fd, open(path, how | O_CLOEXEC | O_NOCTTY, 0600));
    return fd < 0 ? -errno : fd;
}

static void sys_close(void *self, int file)
{
    (void)self;
    (void)close(file);
}

static int64_t sys_pread(void *self, int file, void *to, size_t n, uint64_t at)
{
    (void)self;
    ssize_t r;
    RETRY(r, pread(file, to, n, (off_t)at));
    return r < 0 ? -errno : r;
}

/* File systems that know holes also of what is not on disk yet. Of others it is known that they did not, or it is
 * not known that they do; and a file that is said to be empty where it is not would lose acknowledged data. */
static bool knows_holes(int file)
{
    struct statfs s;
    return fstatfs(file, &s) == 0 &&
           (s.f_type == EXT4_SUPER_MAGIC || s.f_type == XFS_SUPER_MAGIC || s.f_type == TMPFS_MAGIC);
}

static int64_t sys_data_end(void *self, int file)
{
    (void)self;
    off_t end = 0;
    if (!knows_holes(file))
        return INT64_MAX;
    for (int i = 0; i < DATA_RUNS_MAX; i++) {
        off_t data = lseek(file, end, SEEK_DATA);
        if (data < 0)
            return errno == ENXIO ? end : INT64_MAX;
        end = lseek(file, data, SEEK_HOLE);
        if (end < 0)
            return INT64_MAX;
    }
    return INT64_MAX;
}

static int64_t sys_pwrite(void *self, int file, const void *from, size_t n, uint64_t at)
{
    (void)self;
    ssize_t r;
    RETRY(r, pwrite(file, from, n, (off_t)at));
    return r < 0 ? -errno : r;
}

static int sys_fdatasync(void *self, int file)
{
    (void)self;
    int r;
    RETRY(r, fdatasync(file));
    return r < 0 ? -errno : 0;
}

static int sys_truncate(void *self, int file, uint64_t size)
{
    (void)self;
    int r;
    RETRY(r, ftruncate(file, (off_t)size));
    return r < 0 ? -errno : 0;
}

static int sys_allocate(void *self, int file, uint64_t size)
{
    (void)self;
    int r;
    do {
        r = posix_fallocate(file, 0, (off_t)size);
    } while (r == EINTR);
    return -r;
}

static int sys_stat(void *self, const char *path, struct io_stat *out)
{
    (void)self;
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    *out = (struct io_stat){
        .size = (uint64_t)st.st_size,
        .is_dir = S_ISDIR(st.st_mode),
        .is_pipe = S_ISFIFO(st.st_mode),
        .mode = st.st_mode & 07777,
        .inode = (uint64_t)st.st_ino,
        .uid = st.st_uid,
        .gid = st.st_gid,
        .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
    };
    return 0;
}

static void sys_give(void *self, int file, uint32_t uid, uint32_t gid)
{
    struct stat st;
    (void)self;
    bool ours = geteuid() != 0 || fstat(file, &st) != 0 || (st.st_uid == uid && st.st_gid == gid);
    if (!ours && fchown(file, uid, gid) != 0)
        return; /* some file systems know no owners */
}

static int sys_rename(void *self, const char *from, const char *to)
{
    (void)self;
    return rename(from, to) < 0 ? -errno : 0;
}

static int sys_unlink(void *self, const char *path)
{
    (void)self;
    return unlink(path) < 0 ? -errno : 0;
}

static int sys_mkdir(void *self, const char *path)
{
    (void)self;
    return mkdir(path, 0700) < 0 ? -errno : 0;
}

static int sys_sync_dir(void *self, const char *path)
{
    (void)self;
    int fd;
    RETRY(fd, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0)
        return -errno;
    int r;
    RETRY(r, fsync(fd));
    int err = errno;
    (void)close(fd);
    return r < 0 ? -err : 0;
}

static int sys_list(void *self, const char *path, void (*each)(void *, const char *), void *ctx)
{
    (void)self;
    /* Not opendir: TSan does not see that it takes a file descriptor, and would find a race between the closedir and whoever had
     * the number before (tests/tsan.supp). */
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int err = errno;
        if (fd >= 0)
            (void)close(fd);
        return -err;
    }
    for (struct dirent *e; (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            each(ctx, e->d_name);
    (void)closedir(d);
    return 0;
}

static int sys_lock(void *self, int file)
{
    (void)self;
    int r;
    RETRY(r, flock(file, LOCK_EX | LOCK_NB));
    return r < 0 ? -errno : 0;
}

static int64_t sys_free_bytes(void *self, const char *path)
{
    (void)self;
    struct statvfs v;
    if (statvfs(path, &v) < 0)
        return -errno;
    return (int64_t)v.f_bavail * (int64_t)v.f_frsize;
}

static int64_t clock_us(clockid_t which)
{
    struct timespec t;
    FG_ASSERT(clock_gettime(which, &t) == 0);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t sys_wall_us(void *self)
{
    (void)self;
    return clock_us(CLOCK_REALTIME);
}

static int64_t sys_monotonic_us(void *self)
{
    (void)self;
    return clock_us(CLOCK_MONOTONIC);
}

static void sys_random(void *self, void *to, size_t n)
{
    (void)self;
    for (size_t done = 0; done < n;) {
        ssize_t r;
        RETRY(r, getrandom((uint8_t *)to + done, n - done, 0));
        FG_ASSERT(r > 0);
        done += (size_t)r;
    }
}

const struct io io_system = {
    .open = sys_open,           .close = sys_close,         .pread = sys_pread,
    .data_end = sys_data_end,
    .pwrite = sys_pwrite,       .fdatasync = sys_fdatasync, .truncate = sys_truncate,
    .allocate = sys_allocate,   .stat = sys_stat,           .rename = sys_rename,
    .unlink = sys_unlink,       .mkdir = sys_mkdir,         .sync_dir = sys_sync_dir,
    .list = sys_list,           .lock = sys_lock,           .free_bytes = sys_free_bytes,
    .wall_us = sys_wall_us,     .monotonic_us = sys_monotonic_us, .random = sys_random,
    .give = sys_give,
};

int io_write_all(const struct io *io, int file, const void *from, size_t n, uint64_t at)
{
    for (size_t done = 0; done < n;) {
        int64_t r = io->pwrite(io->self, file, (const uint8_t *)from + done, n - done, at + done);
        if (r <= 0)
            return r < 0 ? (int)r : -EIO;
        done += (size_t)r;
    }
    return 0;
}

int64_t io_read_all(const struct io *io, int file, void *to, size_t n, uint64_t at)
{
    size_t done = 0;
    while (done < n) {
        int64_t r = io->pread(io->self, file, (uint8_t *)to + done, n - done, at + done);
        if (r < 0)
            return r;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (int64_t)done;
}

enum code io_load(const struct io *io, const char *path, size_t max, char **out, size_t *len, struct fault *why)
{
    struct io_stat st;
    int r = io->stat(io->self, path, &st);
    if (r < 0)
        return FAIL_SYS(why, r == -ENOENT ? CODE_NOTFOUND : CODE_IO, -r, "cannot read %s", path);
    if (st.is_dir || st.is_pipe)
        return FAIL(why, CODE_IO, 0, "cannot read %s: it is a %s", path, st.is_dir ? "directory" : "pipe; give a file");
    if (st.size > max)
        return FAIL(why, CODE_LIMIT, 0, "%s has %llu bytes, the limit is %zu", path, (unsigned long long)st.size, max);
    int file = io->open(io->self, path, IO_READ);
    if (file < 0)
        return FAIL_SYS(why, CODE_IO, -file, "cannot open %s", path);
    char *text = mem_alloc((size_t)st.size + 1);
    int64_t n = text ? io_read_all(io, file, text, (size_t)st.size, 0) : 0;
    io->close(io->self, file);
    if (!text)
        return FAIL(why, CODE_NOMEM, 0, "no memory to read %s", path);
    if (n < 0) {
        mem_free(text);
        return FAIL_SYS(why, CODE_IO, (int)-n, "cannot read %s", path);
    }
    text[n] = 0;
    *out = text;
    *len = (size_t)n;
    return CODE_OK;
}

bool io_read_text(const struct io *io, const char *path, char *out, size_t cap)
{
    int file = io->open(io->self, path, IO_READ);
    if (file < 0)
        return false;
    int64_t n = io_read_all(io, file, out, cap - 1, 0);
    io->close(io->self, file);
    out[n > 0 ? n : 0] = 0;
    return n > 0;
}

void io_keep_owner(const struct io *io, int file, const char *path, const char *dir)
{
    struct io_stat st;
    if (io->give && (io->stat(io->self, path, &st) == 0 || io->stat(io->self, dir, &st) == 0))
        io->give(io->self, file, st.uid, st.gid);
}

static int replace_steps(const struct io *io, const char *temp, const char *path, const char *dir,
                         struct bytes content)
{
    /* One of ours, with our mode: not what somebody may have put there, a link to another file perhaps. */
    (void)io->unlink(io->self, temp);
    int file = io->open(io->self, temp, IO_READ | IO_WRITE | IO_CREATE | IO_EXCL);
    if (file < 0)
        return file;
    io_keep_owner(io, file, path, dir);
    int r = io_write_all(io, file, content.at, content.len, 0);
    if (r == 0)
        r = io->fdatasync(io->self, file);
    io->close(io->self, file);
    if (r == 0)
        r = io->rename(io->self, temp, path);
    if (r == 0)
        r = io->sync_dir(io->self, dir);
    return r;
}

enum code io_replace(const struct io *io, const char *dir, const char *name, struct bytes content,
                     struct fault *why)
{
    char path[4096], temp[4096];
    int a = snprintf(path, sizeof path, "%s/%s", dir, name);
    int b = snprintf(temp, sizeof temp, "%s/%s.tmp", dir, name);
    if (a < 0 || b < 0 || (size_t)a >= sizeof path || (size_t)b >= sizeof temp)
        return FAIL(why, CODE_LIMIT, 0, "path too long: %s/%s", dir, name);
    int r = replace_steps(io, temp, path, dir, content);
    if (r < 0) {
        /* What was written of it would hold the room that was missing. */
        (void)io->unlink(io->self, temp);
        return FAIL_SYS(why, r == -ENOSPC || r == -EDQUOT ? CODE_FULL : CODE_IO, -r, "cannot write %s", path);
    }
    return CODE_OK;
}

int io_make_path(const struct io *io, const char *path)
{
    char part[IO_PATH_MAX];
    struct io_stat st;
    if (strlen(path) >= sizeof part)
        return -ENAMETOOLONG;
    if (io->stat(io->self, path, &st) == 0)
        return st.is_dir ? 0 : -ENOTDIR;
    for (const char *slash = path; (slash = strchr(slash + 1, '/'));) {
        (void)snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (io->stat(io->self, part, &st) == 0)
            continue;
        int r = io->mkdir(io->self, part);
        if (r < 0 && r != -EEXIST)
            return r;
    }
    int r = io->mkdir(io->self, path);
    return r == -EEXIST ? 0 : r;
}
