#include "support/memfs.h"

#include "support/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define NO_LIMIT UINT64_MAX
#define WALL_START_US INT64_C(1767225600000000) /* 2026-01-01 */
#define FREE_WITHOUT_LIMIT (INT64_C(1) << 40)

struct node {
    uint64_t      number;
    uint64_t      size;
    struct pages *content; /* NULL: a directory */
    uint32_t      refs;    /* the entry and the open files */
    struct file  *locked_by;
};

struct entry {
    char         path[MEMFS_PATH];
    struct node *node;
};

struct file {
    struct node *node; /* NULL: free */
    int          flags;
};

struct failure {
    uint64_t countdown, failed, calls;
    int      err;
    bool     for_ever;
};

struct memfs {
    pthread_mutex_t lock;
    struct io       io;
    struct entry   *entries;
    size_t          entry_count, entry_cap;
    struct file   **files; /* by handle */
    size_t          file_cap, file_next;
    uint64_t        last_number, used, limit;
    int64_t         wall_us, monotonic_us;
    struct random   random, dice; /* for the program; for our own decisions */
    struct failure  failures[FS_CALLS + 1];
    unsigned        short_percent;
    bool            ignore_files, ignore_dirs;
    struct memfs_watch watch;
};

static void *must_alloc(size_t n)
{
    void *p = calloc(1, n);
    if (!p)
        abort();
    return p;
}

/* ---- paths ---- */

/* "/a/b" from "a//b/"; false when too long. */
static bool path_clean(const char *path, char out[MEMFS_PATH])
{
    size_t n = 0;
    for (const char *p = path; *p;) {
        while (*p == '/')
            p++;
        if (!*p)
            break;
        size_t part = strcspn(p, "/");
        if (n + part + 2 > MEMFS_PATH)
            return false;
        out[n++] = '/';
        memcpy(out + n, p, part);
        n += part;
        p += part;
    }
    if (n == 0)
        out[n++] = '/';
    out[n] = 0;
    return true;
}

/* Bytes of the parent's path: 1 for "/x", 2 for "/a/x"; 0 for "/". */
static size_t parent_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == path)
        return path[1] ? 1 : 0;
    return (size_t)(slash - path);
}

static bool same_parent(const char *a, const char *b)
{
    size_t n = parent_bytes(a);
    return n == parent_bytes(b) && memcmp(a, b, n) == 0;
}

/* Whether `path` lies directly in `dir`. */
static bool lies_in(const char *path, const char *dir)
{
    size_t n = parent_bytes(path);
    return n > 0 && strlen(dir) == n && memcmp(path, dir, n) == 0;
}

/* ---- entries and nodes ---- */

static struct entry *find(struct memfs *fs, const char *path)
{
    for (size_t i = 0; i < fs->entry_count; i++)
        if (strcmp(fs->entries[i].path, path) == 0)
            return &fs->entries[i];
    return NULL;
}

static bool is_dir(const struct entry *e)
{
    return !e->node->content;
}

static int find_parent(struct memfs *fs, const char *path)
{
    char dir[MEMFS_PATH];
    size_t n = parent_bytes(path);
    if (n <= 1)
        return n == 1 ? 0 : -EEXIST;
    memcpy(dir, path, n);
    dir[n] = 0;
    struct entry *e = find(fs, dir);
    return !e ? -ENOENT : is_dir(e) ? 0 : -ENOTDIR;
}

static struct entry *add(struct memfs *fs, const char *path, struct pages *content, uint64_t size)
{
    if (fs->entry_count == fs->entry_cap) {
        fs->entry_cap = fs->entry_cap ? fs->entry_cap * 2 : 16;
        fs->entries = realloc(fs->entries, sizeof *fs->entries * fs->entry_cap);
        if (!fs->entries)
            abort();
    }
    struct node *node = must_alloc(sizeof *node);
    *node = (struct node){ .number = ++fs->last_number, .size = size, .content = content, .refs = 1 };
    if (content)
        fs->used += (uint64_t)content->held * PAGE_BYTES;
    struct entry *e = &fs->entries[fs->entry_count++];
    snprintf(e->path, sizeof e->path, "%s", path);
    e->node = node;
    return e;
}

static void node_drop(struct memfs *fs, struct node *node)
{
    if (--node->refs > 0)
        return;
    if (node->content)
        fs->used -= (uint64_t)node->content->held * PAGE_BYTES;
    pages_drop(node->content);
    free(node);
}

static void take_out(struct memfs *fs, struct entry *e)
{
    struct node *node = e->node;
    size_t behind = fs->entry_count - (size_t)(e - fs->entries) - 1;
    memmove(e, e + 1, behind * sizeof *e);
    fs->entry_count--;
    node_drop(fs, node);
}

/* ---- what the recorder hears ---- */

static void note(struct memfs *fs, struct memfs_op op)
{
    if (fs->watch.note)
        fs->watch.note(fs->watch.ctx, &op);
}

static void note_size(struct memfs *fs, const struct node *node, uint64_t old, bool reserved)
{
    if (node->size != old)
        note(fs, (struct memfs_op){ .kind = OP_SIZE, .node = node->number, .size = node->size, .resized = true,
                                    .reserved = reserved });
}

/* ---- failures ---- */

static int count_down(struct failure *f)
{
    f->calls++;
    if (f->countdown == 0 || --f->countdown > 0)
        return 0;
    if (f->for_ever)
        f->countdown = 1;
    f->failed++;
    return -f->err;
}

/* 0, or the error that the test ordered for this call. */
static int ordered(struct memfs *fs, enum memfs_call call)
{
    int any = count_down(&fs->failures[FS_ANY]), one = count_down(&fs->failures[call]);
    return one ? one : any;
}

static size_t shortened(struct memfs *fs, size_t n)
{
    if (n > 1 && fs->short_percent && random_chance(&fs->dice, fs->short_percent))
        return 1 + (size_t)random_below(&fs->dice, n - 1);
    return n;
}

/* ---- the table ---- */

static struct memfs *enter(void *self)
{
    struct memfs *fs = self;
    pthread_mutex_lock(&fs->lock);
    return fs;
}

#define LEAVE(fs, result)                                                                                    \
    do {                                                                                                     \
        pthread_mutex_unlock(&(fs)->lock);                                                                   \
        return (result);                                                                                     \
    } while (0)

/* A number that is not open is a mistake of the program under test, not a condition to handle. */
static struct file *file_of(struct memfs *fs, int handle)
{
    FG_ASSERT(handle >= 0 && (size_t)handle < fs->file_cap && fs->files[handle]);
    return fs->files[handle];
}

/* Numbers go round, so that one used after its close meets nothing rather than another file. */
static int new_handle(struct memfs *fs, struct node *node, int flags)
{
    struct file *file = must_alloc(sizeof *file);
    *file = (struct file){ node, flags };
    node->refs++;
    for (size_t i = 0; i < fs->file_cap; i++) {
        size_t at = (fs->file_next + i) % fs->file_cap;
        if (!fs->files[at]) {
            fs->files[at] = file;
            fs->file_next = at + 1;
            return (int)at;
        }
    }
    size_t cap = fs->file_cap ? fs->file_cap * 2 : 64, at = fs->file_cap;
    fs->files = realloc(fs->files, sizeof(struct file *) * cap);
    if (!fs->files)
        abort();
    memset(fs->files + fs->file_cap, 0, sizeof(struct file *) * (cap - fs->file_cap));
    fs->file_cap = cap;
    fs->files[at] = file;
    fs->file_next = at + 1;
    return (int)at;
}

static int open_locked(struct memfs *fs, const char *path, int flags)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_OPEN);
    if (err)
        return err;
    if (!path_clean(path, clean))
        return -ENAMETOOLONG;
    struct entry *e = find(fs, clean);
    if (e && (flags & IO_CREATE) && (flags & IO_EXCL))
        return -EEXIST;
    if (e && is_dir(e))
        return -EISDIR;
    if (!e) {
        err = find_parent(fs, clean);
        if (err || !(flags & IO_CREATE))
            return err ? err : -ENOENT;
        e = add(fs, clean, pages_new(), 0);
        note(fs, (struct memfs_op){ .kind = OP_CREATE, .node = e->node->number, .path = clean });
    }
    return new_handle(fs, e->node, flags);
}

static int fs_open(void *self, const char *path, int flags)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, open_locked(fs, path, flags));
}

static void close_locked(struct memfs *fs, int handle)
{
    struct file *file = file_of(fs, handle);
    fs->files[handle] = NULL;
    if (file->node->locked_by == file)
        file->node->locked_by = NULL;
    node_drop(fs, file->node);
    free(file);
}

static void fs_close(void *self, int handle)
{
    struct memfs *fs = enter(self);
    close_locked(fs, handle);
    pthread_mutex_unlock(&fs->lock);
}

static int64_t fs_pread(void *self, int handle, void *to, size_t n, uint64_t at)
{
    struct memfs *fs = enter(self);
    struct node *node = file_of(fs, handle)->node;
    int err = ordered(fs, FS_PREAD);
    if (err)
        LEAVE(fs, err);
    if (at >= node->size || n == 0)
        LEAVE(fs, 0);
    if (n > node->size - at)
        n = (size_t)(node->size - at);
    n = shortened(fs, n);
    pages_read(node->content, to, n, at);
    LEAVE(fs, (int64_t)n);
}

/* How much of [at, at + n) the disk has room for. */
static size_t fitting(const struct memfs *fs, const struct node *node, size_t n, uint64_t at)
{
    if (fs->limit == NO_LIMIT)
        return n;
    uint64_t room = fs->limit > fs->used ? (fs->limit - fs->used) / PAGE_BYTES : 0;
    while (n > 0 && pages_missing(node->content, n, at) > room) {
        uint64_t end = (at + n - 1) / PAGE_BYTES * PAGE_BYTES; /* the last page goes */
        n = end > at ? (size_t)(end - at) : 0;
    }
    return n;
}

static int64_t pwrite_locked(struct memfs *fs, struct file *file, const void *from, size_t n, uint64_t at)
{
    struct node *node = file->node;
    int err = ordered(fs, FS_PWRITE);
    if (err)
        return err;
    if (!(file->flags & IO_WRITE))
        return -EBADF;
    size_t fits = fitting(fs, node, n, at);
    if (n > 0 && fits == 0)
        return -ENOSPC;
    n = shortened(fs, fits);
    uint32_t held = node->content->held;
    pages_write(&node->content, from, n, at);
    fs->used += (uint64_t)(node->content->held - held) * PAGE_BYTES;
    bool grows = n > 0 && at + n > node->size;
    if (grows)
        node->size = at + n;
    if (n > 0)
        note(fs, (struct memfs_op){ .kind = OP_WRITE, .node = node->number, .at = at, .len = n,
                                    .size = node->size, .resized = grows, .content = node->content });
    return (int64_t)n;
}

static int64_t fs_pwrite(void *self, int handle, const void *from, size_t n, uint64_t at)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, pwrite_locked(fs, file_of(fs, handle), from, n, at));
}

static int fs_fdatasync(void *self, int handle)
{
    struct memfs *fs = enter(self);
    struct node *node = file_of(fs, handle)->node;
    int err = ordered(fs, FS_FDATASYNC);
    if (err || !fs->ignore_files)
        note(fs, (struct memfs_op){ .kind = err ? OP_SYNC_FAILED : OP_SYNC, .node = node->number });
    LEAVE(fs, err);
}

static int fs_truncate(void *self, int handle, uint64_t size)
{
    struct memfs *fs = enter(self);
    struct file *file = file_of(fs, handle);
    struct node *node = file->node;
    int err = ordered(fs, FS_TRUNCATE);
    if (!err && !(file->flags & IO_WRITE))
        err = -EINVAL;
    if (err)
        LEAVE(fs, err);
    uint64_t old = node->size;
    uint32_t held = node->content->held;
    pages_cut(&node->content, size);
    fs->used -= (uint64_t)(held - node->content->held) * PAGE_BYTES;
    node->size = size;
    note_size(fs, node, old, false);
    LEAVE(fs, 0);
}

static int allocate_locked(struct memfs *fs, struct file *file, uint64_t size)
{
    struct node *node = file->node;
    int err = ordered(fs, FS_ALLOCATE);
    if (err)
        return err;
    if (size == 0)
        return -EINVAL;
    if (!(file->flags & IO_WRITE))
        return -EBADF;
    if (fs->limit != NO_LIMIT) {
        uint64_t need = pages_missing(node->content, (size_t)size, 0) * PAGE_BYTES;
        if (need > 0 && fs->used + need > fs->limit)
            return -ENOSPC;
    }
    uint32_t held = node->content->held;
    pages_reserve(&node->content, size);
    fs->used += (uint64_t)(node->content->held - held) * PAGE_BYTES;
    uint64_t old = node->size;
    if (size > node->size)
        node->size = size;
    note_size(fs, node, old, false);
    return 0;
}

static int fs_allocate(void *self, int handle, uint64_t size)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, allocate_locked(fs, file_of(fs, handle), size));
}

static int stat_locked(struct memfs *fs, const char *path, struct io_stat *out)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_STAT);
    if (err)
        return err;
    if (!path_clean(path, clean))
        return -ENAMETOOLONG;
    struct entry *e = find(fs, clean);
    if (!e && strcmp(clean, "/") != 0)
        return -ENOENT;
    *out = (struct io_stat){ .size = e ? e->node->size : 0, .is_dir = !e || is_dir(e) };
    return 0;
}

static int fs_stat(void *self, const char *path, struct io_stat *out)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, stat_locked(fs, path, out));
}

static int rename_locked(struct memfs *fs, const char *from, const char *to)
{
    char a[MEMFS_PATH], b[MEMFS_PATH];
    int err = ordered(fs, FS_RENAME);
    if (err)
        return err;
    if (!path_clean(from, a) || !path_clean(to, b))
        return -ENAMETOOLONG;
    struct entry *e = find(fs, a), *over = find(fs, b);
    if (!e)
        return -ENOENT;
    if (!same_parent(a, b))
        return -EXDEV;
    if (is_dir(e) || (over && is_dir(over)))
        return is_dir(e) ? -ENOTSUP : -EISDIR;
    if (e == over)
        return 0;
    note(fs, (struct memfs_op){ .kind = OP_RENAME, .node = e->node->number, .path = a, .to = b });
    if (over)
        take_out(fs, over);
    snprintf(find(fs, a)->path, MEMFS_PATH, "%s", b); /* take_out moved it */
    return 0;
}

static int fs_rename(void *self, const char *from, const char *to)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, rename_locked(fs, from, to));
}

static int unlink_locked(struct memfs *fs, const char *path)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_UNLINK);
    if (err)
        return err;
    if (!path_clean(path, clean))
        return -ENAMETOOLONG;
    struct entry *e = find(fs, clean);
    if (!e)
        return -ENOENT;
    if (is_dir(e))
        return -EISDIR;
    note(fs, (struct memfs_op){ .kind = OP_UNLINK, .node = e->node->number, .path = clean });
    take_out(fs, e);
    return 0;
}

static int fs_unlink(void *self, const char *path)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, unlink_locked(fs, path));
}

static int mkdir_locked(struct memfs *fs, const char *path)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_MKDIR);
    if (err)
        return err;
    if (!path_clean(path, clean))
        return -ENAMETOOLONG;
    err = find(fs, clean) ? -EEXIST : find_parent(fs, clean);
    if (err)
        return err;
    struct entry *e = add(fs, clean, NULL, 0);
    note(fs, (struct memfs_op){ .kind = OP_MKDIR, .node = e->node->number, .path = clean });
    return 0;
}

static int fs_mkdir(void *self, const char *path)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, mkdir_locked(fs, path));
}

static int sync_dir_locked(struct memfs *fs, const char *path)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_SYNC_DIR);
    if (!path_clean(path, clean))
        return -ENAMETOOLONG;
    struct entry *e = find(fs, clean);
    if (strcmp(clean, "/") != 0 && (!e || !is_dir(e)))
        return e ? -ENOTDIR : -ENOENT;
    if (err || !fs->ignore_dirs)
        note(fs, (struct memfs_op){ .kind = err ? OP_SYNC_DIR_FAILED : OP_SYNC_DIR, .path = clean });
    return err;
}

static int fs_sync_dir(void *self, const char *path)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, sync_dir_locked(fs, path));
}

/* The names, one behind the other, each with its NUL. The caller may use the file system while it goes through. */
static int names_in(struct memfs *fs, const char *path, char **names, size_t *count)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_LIST);
    if (err)
        return err;
    if (!path_clean(path, clean))
        return -ENAMETOOLONG;
    struct entry *dir = find(fs, clean);
    if (strcmp(clean, "/") != 0 && (!dir || !is_dir(dir)))
        return dir ? -ENOTDIR : -ENOENT;
    *names = must_alloc(MEMFS_PATH * (fs->entry_count + 1));
    for (size_t i = 0; i < fs->entry_count; i++)
        if (lies_in(fs->entries[i].path, clean))
            snprintf(*names + MEMFS_PATH * (*count)++, MEMFS_PATH, "%s", strrchr(fs->entries[i].path, '/') + 1);
    /* No order is promised, so none is kept: what works only in the order of creation shows. */
    for (size_t i = *count; i > 1; i--) {
        char swap[MEMFS_PATH], *a = *names + MEMFS_PATH * (i - 1);
        char *b = *names + MEMFS_PATH * random_below(&fs->dice, i);
        memcpy(swap, a, MEMFS_PATH);
        memmove(a, b, MEMFS_PATH);
        memcpy(b, swap, MEMFS_PATH);
    }
    return 0;
}

static int fs_list(void *self, const char *path, void (*each)(void *, const char *), void *ctx)
{
    char *names = NULL;
    size_t count = 0;
    struct memfs *fs = enter(self);
    int err = names_in(fs, path, &names, &count);
    pthread_mutex_unlock(&fs->lock);
    for (size_t i = 0; i < count; i++)
        each(ctx, names + MEMFS_PATH * i);
    free(names);
    return err;
}

static int fs_lock(void *self, int handle)
{
    struct memfs *fs = enter(self);
    struct file *file = file_of(fs, handle);
    int err = ordered(fs, FS_LOCK);
    if (!err && file->node->locked_by && file->node->locked_by != file)
        err = -EAGAIN;
    if (!err)
        file->node->locked_by = file;
    LEAVE(fs, err);
}

static int64_t fs_free_bytes(void *self, const char *path)
{
    (void)path;
    struct memfs *fs = enter(self);
    int64_t left = FREE_WITHOUT_LIMIT;
    if (fs->limit != NO_LIMIT)
        left = fs->limit > fs->used ? (int64_t)(fs->limit - fs->used) : 0;
    LEAVE(fs, left);
}

static int64_t fs_wall_us(void *self)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, fs->wall_us);
}

static int64_t fs_monotonic_us(void *self)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, fs->monotonic_us);
}

static void fs_random(void *self, void *to, size_t n)
{
    struct memfs *fs = enter(self);
    random_fill(&fs->random, to, n);
    pthread_mutex_unlock(&fs->lock);
}

/* ---- life ---- */

struct memfs *memfs_new(uint64_t seed)
{
    struct memfs *fs = must_alloc(sizeof *fs);
    pthread_mutex_init(&fs->lock, NULL);
    fs->limit = NO_LIMIT;
    fs->wall_us = WALL_START_US;
    fs->monotonic_us = 1000000;
    fs->io = (struct io){ fs, fs_open, fs_close, fs_pread, fs_pwrite, fs_fdatasync, fs_truncate, fs_allocate, fs_stat,
                          fs_rename, fs_unlink, fs_mkdir, fs_sync_dir, fs_list, fs_lock, fs_free_bytes, fs_wall_us,
                          fs_monotonic_us, fs_random };
    memfs_seed(fs, seed);
    return fs;
}

void memfs_clear(struct memfs *fs)
{
    for (size_t i = 0; i < fs->file_cap; i++)
        if (fs->files[i])
            close_locked(fs, (int)i);
    while (fs->entry_count > 0)
        take_out(fs, &fs->entries[fs->entry_count - 1]);
    memset(fs->failures, 0, sizeof fs->failures);
    fs->last_number = 0;
    fs->limit = NO_LIMIT;
    fs->short_percent = 0;
    fs->ignore_files = fs->ignore_dirs = false;
    fs->watch = (struct memfs_watch){ 0 };
}

void memfs_free(struct memfs *fs)
{
    if (!fs)
        return;
    memfs_clear(fs);
    pthread_mutex_destroy(&fs->lock);
    free(fs->entries);
    free(fs->files);
    free(fs);
}

struct memfs *memfs_copy(struct memfs *from)
{
    struct memfs *fs = memfs_new(0);
    pthread_mutex_lock(&from->lock);
    for (size_t i = 0; i < from->entry_count; i++) {
        const struct node *node = from->entries[i].node;
        add(fs, from->entries[i].path, node->content ? pages_hold(node->content) : NULL, node->size);
    }
    fs->wall_us = from->wall_us;
    fs->monotonic_us = from->monotonic_us;
    fs->random = from->random;
    fs->dice = from->dice;
    if (from->limit != NO_LIMIT) /* what only open files held is free now */
        fs->limit = from->limit;
    pthread_mutex_unlock(&from->lock);
    return fs;
}

const struct io *memfs_io(struct memfs *fs)
{
    return &fs->io;
}

/* ---- clock, random, room, failures ---- */

void memfs_set_wall(struct memfs *self, int64_t wall_us)
{
    struct memfs *fs = enter(self);
    fs->wall_us = wall_us;
    pthread_mutex_unlock(&fs->lock);
}

void memfs_advance(struct memfs *self, int64_t us)
{
    struct memfs *fs = enter(self);
    fs->wall_us += us;
    fs->monotonic_us += us;
    pthread_mutex_unlock(&fs->lock);
}

void memfs_seed(struct memfs *self, uint64_t seed)
{
    struct memfs *fs = enter(self);
    fs->random.state = random_mix(seed, 1);
    fs->dice.state = random_mix(seed, 2);
    pthread_mutex_unlock(&fs->lock);
}

void memfs_set_room(struct memfs *self, uint64_t bytes)
{
    struct memfs *fs = enter(self);
    fs->limit = bytes == UINT64_MAX ? NO_LIMIT : fs->used + bytes;
    pthread_mutex_unlock(&fs->lock);
}

uint64_t memfs_used(struct memfs *self)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, fs->used);
}

const char *memfs_call_name(enum memfs_call call)
{
    static const char *const names[] = { "open", "pread", "pwrite", "fdatasync", "truncate", "allocate", "stat",
                                         "rename", "unlink", "mkdir", "sync_dir", "list", "lock", "any" };
    return names[call];
}

void memfs_fail(struct memfs *self, enum memfs_call call, uint64_t n, int err, bool for_ever)
{
    struct memfs *fs = enter(self);
    struct failure *f = &fs->failures[call];
    *f = (struct failure){ .countdown = n, .err = err, .for_ever = for_ever, .calls = f->calls };
    pthread_mutex_unlock(&fs->lock);
}

uint64_t memfs_failed(struct memfs *self, enum memfs_call call)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, fs->failures[call].failed);
}

uint64_t memfs_calls(struct memfs *self, enum memfs_call call)
{
    struct memfs *fs = enter(self);
    LEAVE(fs, fs->failures[call].calls);
}

void memfs_short(struct memfs *self, unsigned percent)
{
    struct memfs *fs = enter(self);
    fs->short_percent = percent;
    pthread_mutex_unlock(&fs->lock);
}

void memfs_ignore_sync(struct memfs *self, bool files, bool dirs)
{
    struct memfs *fs = enter(self);
    fs->ignore_files = files;
    fs->ignore_dirs = dirs;
    pthread_mutex_unlock(&fs->lock);
}

/* ---- from outside ---- */

unsigned memfs_open_files(struct memfs *self)
{
    struct memfs *fs = enter(self);
    unsigned n = 0;
    for (size_t i = 0; i < fs->file_cap; i++)
        n += fs->files[i] != NULL;
    LEAVE(fs, n);
}

bool memfs_exists(struct memfs *self, const char *path)
{
    char clean[MEMFS_PATH];
    struct memfs *fs = enter(self);
    LEAVE(fs, path_clean(path, clean) && find(fs, clean));
}

bool memfs_flip(struct memfs *self, const char *path, uint64_t at, uint8_t bits)
{
    char clean[MEMFS_PATH];
    uint8_t byte;
    struct memfs *fs = enter(self);
    struct entry *e = path_clean(path, clean) ? find(fs, clean) : NULL;
    if (!e || is_dir(e) || at >= e->node->size)
        LEAVE(fs, false);
    pages_read(e->node->content, &byte, 1, at);
    byte ^= bits;
    uint32_t held = e->node->content->held;
    pages_write(&e->node->content, &byte, 1, at);
    fs->used += (uint64_t)(e->node->content->held - held) * PAGE_BYTES;
    LEAVE(fs, true);
}

void memfs_each(struct memfs *self, void (*each)(void *, const char *, bool, uint64_t), void *ctx)
{
    struct memfs *fs = enter(self);
    for (size_t i = 0; i < fs->entry_count; i++)
        each(ctx, fs->entries[i].path, is_dir(&fs->entries[i]), fs->entries[i].node->size);
    pthread_mutex_unlock(&fs->lock);
}

/* ---- for the recorder ---- */

static void note_entry(struct memfs *fs, const struct entry *e)
{
    const struct node *node = e->node;
    note(fs, (struct memfs_op){ .kind = is_dir(e) ? OP_MKDIR : OP_CREATE, .node = node->number, .path = e->path });
    if (!is_dir(e))
        note(fs, (struct memfs_op){ .kind = OP_FOUND, .node = node->number, .size = node->size,
                                    .content = node->content });
}

void memfs_set_watch(struct memfs *self, const struct memfs_watch *watch)
{
    struct memfs *fs = enter(self);
    fs->watch = watch ? *watch : (struct memfs_watch){ 0 };
    for (size_t i = 0; i < fs->entry_count; i++)
        note_entry(fs, &fs->entries[i]);
    pthread_mutex_unlock(&fs->lock);
}

void memfs_hold(struct memfs *fs)
{
    pthread_mutex_lock(&fs->lock);
}

void memfs_release(struct memfs *fs)
{
    pthread_mutex_unlock(&fs->lock);
}

void memfs_put_dir(struct memfs *self, const char *path)
{
    struct memfs *fs = enter(self);
    add(fs, path, NULL, 0);
    pthread_mutex_unlock(&fs->lock);
}

void memfs_put_file(struct memfs *self, const char *path, struct pages *content, uint64_t size)
{
    struct memfs *fs = enter(self);
    add(fs, path, pages_hold(content), size);
    pthread_mutex_unlock(&fs->lock);
}
