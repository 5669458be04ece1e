/* disk_for_test.h - a disk in memory for this folder's tests, as an I/O table.
 *
 * It can be small, fail at the n-th call, write short, lose power (unsynced sectors are old or new, by a seed), and be
 * damaged byte by byte. Its clocks stand still unless moved. A header of functions, so that each test has its own.
 */
#pragma once

#include "base/io.h"
#include "base/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { DISK_FILES = 600, DISK_SECTOR = 512 };

struct disk_file {
    char     path[96];
    bool     used, is_dir;
    uint8_t *data, *synced; /* synced: what a power cut leaves for certain */
    size_t   size, synced_size;
};

struct disk {
    struct disk_file files[DISK_FILES];
    int              open[DISK_FILES]; /* handle -> file, -1 = free */
    bool             locked;
    uint64_t         capacity;         /* bytes of all files, 0 = endless */
    int64_t          wall_us, monotonic_us;
    uint64_t         random;
    int64_t          fail_in;          /* the n-th write-like call from now on fails with fail_with; 0 = none */
    int              fail_with;
    bool             fail_for_ever, fail_syncs_only;
    bool             short_io;         /* reads and writes stop half way */
    uint64_t         writes, syncs;
    struct io        io;
};

__attribute__((unused)) static bool disk_fails(struct disk *d, bool sync)
{
    if (d->fail_in <= 0 || (d->fail_syncs_only && !sync))
        return false;
    if (--d->fail_in > 0)
        return false;
    if (d->fail_for_ever)
        d->fail_in = 1;
    return true;
}

static int disk_find(const struct disk *d, const char *path)
{
    for (int i = 0; i < DISK_FILES; i++)
        if (d->files[i].used && strcmp(d->files[i].path, path) == 0)
            return i;
    return -1;
}

static int disk_new(struct disk *d, const char *path)
{
    for (int i = 0; i < DISK_FILES; i++) {
        if (d->files[i].used)
            continue;
        d->files[i] = (struct disk_file){ .used = true };
        snprintf(d->files[i].path, sizeof d->files[i].path, "%s", path);
        return i;
    }
    return -1;
}

static uint64_t disk_used(const struct disk *d)
{
    uint64_t n = 0;
    for (int i = 0; i < DISK_FILES; i++)
        n += d->files[i].used ? d->files[i].size : 0;
    return n;
}

static int disk_resize(struct disk *d, int i, size_t size)
{
    struct disk_file *f = &d->files[i];
    if (size > f->size && d->capacity && disk_used(d) + size - f->size > d->capacity)
        return -ENOSPC;
    uint8_t *more = realloc(f->data, size ? size : 1);
    if (!more)
        abort();
    if (size > f->size)
        memset(more + f->size, 0, size - f->size);
    f->data = more;
    f->size = size;
    return 0;
}

static int disk_open(void *self, const char *path, int flags)
{
    struct disk *d = self;
    int i = disk_find(d, path);
    if (i >= 0 && (flags & IO_EXCL))
        return -EEXIST;
    if (i < 0 && !(flags & IO_CREATE))
        return -ENOENT;
    if (i < 0 && disk_fails(d, false))
        return d->fail_with;
    if (i < 0)
        i = disk_new(d, path);
    if (i < 0)
        return -ENOSPC;
    for (int h = 0; h < DISK_FILES; h++) {
        if (d->open[h] < 0) {
            d->open[h] = i;
            return h;
        }
    }
    return -EMFILE;
}

static void disk_close(void *self, int file)
{
    struct disk *d = self;
    int i = d->open[file];
    d->open[file] = -1;
    if (d->files[i].used && strstr(d->files[i].path, "/LOCK"))
        d->locked = false;
}

static int64_t disk_pread(void *self, int file, void *to, size_t n, uint64_t at)
{
    struct disk *d = self;
    const struct disk_file *f = &d->files[d->open[file]];
    if (at >= f->size)
        return 0;
    if (n > f->size - at)
        n = f->size - at;
    if (d->short_io && n > 1)
        n = n / 2 + 1;
    memcpy(to, f->data + at, n);
    return (int64_t)n;
}

static int64_t disk_pwrite(void *self, int file, const void *from, size_t n, uint64_t at)
{
    struct disk *d = self;
    d->writes++;
    if (disk_fails(d, false))
        return d->fail_with;
    if (d->short_io && n > 1)
        n = n / 2 + 1;
    int i = d->open[file], r = at + n > d->files[i].size ? disk_resize(d, i, at + n) : 0;
    if (r < 0)
        return r;
    memcpy(d->files[i].data + at, from, n);
    return (int64_t)n;
}

static int disk_sync(void *self, int file)
{
    struct disk *d = self;
    d->syncs++;
    if (disk_fails(d, true))
        return d->fail_with;
    struct disk_file *f = &d->files[d->open[file]];
    uint8_t *copy = realloc(f->synced, f->size ? f->size : 1);
    if (!copy)
        abort();
    memcpy(copy, f->data ? f->data : copy, f->size);
    f->synced = copy;
    f->synced_size = f->size;
    return 0;
}

static int disk_truncate(void *self, int file, uint64_t size)
{
    struct disk *d = self;
    return disk_fails(d, false) ? d->fail_with : disk_resize(d, d->open[file], size);
}

static int disk_allocate(void *self, int file, uint64_t size)
{
    struct disk *d = self;
    int i = d->open[file];
    if (disk_fails(d, false))
        return d->fail_with;
    return size > d->files[i].size ? disk_resize(d, i, size) : 0;
}

static int disk_stat(void *self, const char *path, struct io_stat *out)
{
    struct disk *d = self;
    int i = disk_find(d, path);
    if (i < 0)
        return -ENOENT;
    *out = (struct io_stat){ .size = d->files[i].size, .is_dir = d->files[i].is_dir };
    return 0;
}

static int disk_unlink(void *self, const char *path)
{
    struct disk *d = self;
    int i = disk_find(d, path);
    if (i < 0)
        return -ENOENT;
    free(d->files[i].data);
    free(d->files[i].synced);
    d->files[i] = (struct disk_file){ 0 };
    return 0;
}

static int disk_rename(void *self, const char *from, const char *to)
{
    struct disk *d = self;
    int i = disk_find(d, from);
    if (i < 0)
        return -ENOENT;
    (void)disk_unlink(d, to);
    snprintf(d->files[i].path, sizeof d->files[i].path, "%s", to);
    return 0;
}

static int disk_mkdir(void *self, const char *path)
{
    struct disk *d = self;
    if (disk_find(d, path) >= 0)
        return -EEXIST;
    int i = disk_new(d, path);
    if (i < 0)
        return -ENOSPC;
    d->files[i].is_dir = true;
    return 0;
}

static int disk_sync_dir(void *self, const char *path)
{
    (void)path;
    return disk_fails(self, true) ? ((struct disk *)self)->fail_with : 0;
}

static int disk_list(void *self, const char *path, void (*each)(void *, const char *), void *ctx)
{
    struct disk *d = self;
    size_t n = strlen(path);
    for (int i = 0; i < DISK_FILES; i++)
        if (d->files[i].used && strncmp(d->files[i].path, path, n) == 0 && d->files[i].path[n] == '/' &&
            !strchr(d->files[i].path + n + 1, '/'))
            each(ctx, d->files[i].path + n + 1);
    return 0;
}

static int disk_lock(void *self, int file)
{
    struct disk *d = self;
    (void)file;
    if (d->locked)
        return -EAGAIN;
    d->locked = true;
    return 0;
}

static int64_t disk_free_bytes(void *self, const char *path)
{
    struct disk *d = self;
    (void)path;
    uint64_t used = disk_used(d);
    return !d->capacity ? (int64_t)1 << 50 : used < d->capacity ? (int64_t)(d->capacity - used) : 0;
}

static int64_t disk_wall(void *self)
{
    return ((struct disk *)self)->wall_us;
}

static int64_t disk_monotonic(void *self)
{
    return ((struct disk *)self)->monotonic_us;
}

static uint64_t disk_draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void disk_random(void *self, void *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = (uint8_t)disk_draw(&((struct disk *)self)->random);
}

__attribute__((unused)) static void disk_init(struct disk *d)
{
    memset(d, 0, sizeof *d);
    for (int i = 0; i < DISK_FILES; i++)
        d->open[i] = -1;
    d->wall_us = INT64_C(1790000000000000);
    d->monotonic_us = 1000000;
    d->random = 42;
    d->fail_with = -EIO;
    d->io = (struct io){
        .self = d, .open = disk_open, .close = disk_close, .pread = disk_pread, .pwrite = disk_pwrite, .fdatasync = disk_sync,
        .truncate = disk_truncate, .allocate = disk_allocate, .stat = disk_stat, .rename = disk_rename, .unlink = disk_unlink,
        .mkdir = disk_mkdir, .sync_dir = disk_sync_dir, .list = disk_list, .lock = disk_lock, .free_bytes = disk_free_bytes,
        .wall_us = disk_wall, .monotonic_us = disk_monotonic, .random = disk_random,
    };
}

__attribute__((unused)) static void disk_clear(struct disk *d)
{
    for (int i = 0; i < DISK_FILES; i++) {
        free(d->files[i].data);
        free(d->files[i].synced);
    }
}

/* `to` becomes what `from` holds; nothing is open in it. */
__attribute__((unused)) static void disk_copy(struct disk *to, const struct disk *from)
{
    disk_clear(to);
    disk_init(to);
    to->wall_us = from->wall_us;
    to->monotonic_us = from->monotonic_us;
    to->capacity = from->capacity;
    for (int i = 0; i < DISK_FILES; i++) {
        const struct disk_file *f = &from->files[i];
        if (!f->used)
            continue;
        to->files[i] = *f;
        to->files[i].data = malloc(f->size + 1);
        to->files[i].synced = malloc(f->synced_size + 1);
        if (f->size)
            memcpy(to->files[i].data, f->data, f->size);
        if (f->synced_size)
            memcpy(to->files[i].synced, f->synced, f->synced_size);
    }
}

/* The process dies: handles and the lock go, the page cache stays. */
__attribute__((unused)) static void disk_reboot(struct disk *d)
{
    for (int i = 0; i < DISK_FILES; i++)
        d->open[i] = -1;
    d->locked = false;
    d->fail_in = 0;
}

/* The power fails: every sector that was written and not synced is the old or the new one. */
__attribute__((unused)) static void disk_power_cut(struct disk *d, uint64_t seed)
{
    disk_reboot(d);
    for (int i = 0; i < DISK_FILES; i++) {
        struct disk_file *f = &d->files[i];
        for (size_t at = 0; f->used && at < f->size; at += DISK_SECTOR) {
            size_t n = f->size - at < DISK_SECTOR ? f->size - at : DISK_SECTOR;
            if (disk_draw(&seed) % 2)
                continue;
            size_t old = at < f->synced_size ? (f->synced_size - at < n ? f->synced_size - at : n) : 0;
            if (old)
                memcpy(f->data + at, f->synced + at, old);
            memset(f->data + at + old, 0, n - old);
        }
    }
}
