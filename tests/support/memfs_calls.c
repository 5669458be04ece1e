#include "support/memfs_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FREE_WITHOUT_LIMIT (INT64_C(1) << 40)

static void note_size(struct memfs *fs, const struct node *node, uint64_t old, bool reserved)
{
    if (node->size != old)
        memfs_note(fs, (struct memfs_op){.kind = OP_SIZE,
                                         .node = node->number,
                                         .size = node->size,
                                         .resized = true,
                                         .reserved = reserved});
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

/* The kernel takes over whole pages, or at the least sectors; what lies in one sector it takes or refuses. */
static size_t short_write(struct memfs *fs, size_t n, uint64_t at)
{
    size_t part = shortened(fs, n);
    uint64_t end = (at + part) / SECTOR_BYTES * SECTOR_BYTES;
    return part < n && end > at ? (size_t)(end - at) : n;
}

/* ---- the table ---- */

/* Only the test's own thread is visited; a second one would find `visiting` set by the first. */
static struct memfs *begin(void *self, enum memfs_call call)
{
    struct memfs *fs = memfs_enter(self);
    if (!fs->visit || fs->visiting)
        return fs;
    fs->visiting = true;
    pthread_mutex_unlock(&fs->lock);
    fs->visit(fs->visit_ctx, call);
    pthread_mutex_lock(&fs->lock);
    fs->visiting = false;
    return fs;
}

/* A number that is not open is a mistake of the program under test, not a condition to handle. */
static struct file *file_of(struct memfs *fs, int handle)
{
    FG_ASSERT(handle >= 0 && (size_t)handle < fs->file_cap && fs->files[handle]);
    return fs->files[handle];
}

/* Numbers go round, so that one used after its close meets nothing rather than another file. */
static int new_handle(struct memfs *fs, struct node *node, int flags)
{
    struct file *file = memfs_alloc(sizeof *file);
    *file = (struct file){node, flags};
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
    if (!memfs_path(path, clean))
        return -ENAMETOOLONG;
    struct entry *e = memfs_find(fs, clean);
    if (e && (flags & IO_CREATE) && (flags & IO_EXCL))
        return -EEXIST;
    if (e && entry_is_dir(e))
        return -EISDIR;
    if (!e) {
        err = memfs_find_parent(fs, clean);
        if (err || !(flags & IO_CREATE))
            return err ? err : -ENOENT;
        e = memfs_add(fs, clean, pages_new(), 0);
        memfs_note(fs, (struct memfs_op){.kind = OP_CREATE, .node = e->node->number, .path = clean});
    }
    return new_handle(fs, e->node, flags);
}

static int fs_open(void *self, const char *path, int flags)
{
    struct memfs *fs = begin(self, FS_OPEN);
    MEMFS_LEAVE(fs, open_locked(fs, path, flags));
}

void memfs_close_locked(struct memfs *fs, int handle)
{
    struct file *file = file_of(fs, handle);
    fs->files[handle] = NULL;
    if (file->node->locked_by == file)
        file->node->locked_by = NULL;
    memfs_node_drop(fs, file->node);
    free(file);
}

static void fs_close(void *self, int handle)
{
    struct memfs *fs = memfs_enter(self);
    memfs_close_locked(fs, handle);
    pthread_mutex_unlock(&fs->lock);
}

static int64_t fs_pread(void *self, int handle, void *to, size_t n, uint64_t at)
{
    struct memfs *fs = begin(self, FS_PREAD);
    struct node *node = file_of(fs, handle)->node;
    int err = ordered(fs, FS_PREAD);
    if (err)
        MEMFS_LEAVE(fs, err);
    if (at >= node->size || n == 0)
        MEMFS_LEAVE(fs, 0);
    if (n > node->size - at)
        n = (size_t)(node->size - at);
    n = shortened(fs, n);
    pages_read(node->content, to, n, at);
    MEMFS_LEAVE(fs, (int64_t)n);
}

/* No call that fails. */
static int64_t fs_data_end(void *self, int handle)
{
    struct memfs *fs = memfs_enter(self);
    int64_t end = (int64_t)pages_data_end(file_of(fs, handle)->node->content);
    pthread_mutex_unlock(&fs->lock);
    return end;
}

/* How much of [at, at + n) the disk has room for. */
static size_t fitting(const struct memfs *fs, const struct node *node, size_t n, uint64_t at)
{
    if (fs->limit == MEMFS_NO_LIMIT)
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
    n = short_write(fs, fits, at);
    uint32_t held = node->content->held;
    pages_write(&node->content, from, n, at);
    fs->used += (uint64_t)(node->content->held - held) * PAGE_BYTES;
    bool grows = n > 0 && at + n > node->size;
    if (grows)
        node->size = at + n;
    if (n > 0)
        memfs_note(fs, (struct memfs_op){.kind = OP_WRITE,
                                         .node = node->number,
                                         .at = at,
                                         .len = n,
                                         .size = node->size,
                                         .resized = grows,
                                         .content = node->content});
    return (int64_t)n;
}

static int64_t fs_pwrite(void *self, int handle, const void *from, size_t n, uint64_t at)
{
    struct memfs *fs = begin(self, FS_PWRITE);
    MEMFS_LEAVE(fs, pwrite_locked(fs, file_of(fs, handle), from, n, at));
}

static int fs_fdatasync(void *self, int handle)
{
    struct memfs *fs = begin(self, FS_FDATASYNC);
    struct node *node = file_of(fs, handle)->node;
    int err = ordered(fs, FS_FDATASYNC);
    if (err || !fs->ignore_files)
        memfs_note(fs, (struct memfs_op){.kind = err ? OP_SYNC_FAILED : OP_SYNC, .node = node->number});
    MEMFS_LEAVE(fs, err);
}

static int fs_truncate(void *self, int handle, uint64_t size)
{
    struct memfs *fs = begin(self, FS_TRUNCATE);
    struct file *file = file_of(fs, handle);
    struct node *node = file->node;
    int err = ordered(fs, FS_TRUNCATE);
    if (!err && !(file->flags & IO_WRITE))
        err = -EINVAL;
    if (err)
        MEMFS_LEAVE(fs, err);
    uint64_t old = node->size;
    uint32_t held = node->content->held;
    pages_cut(&node->content, size);
    fs->used -= (uint64_t)(held - node->content->held) * PAGE_BYTES;
    node->size = size;
    note_size(fs, node, old, false);
    MEMFS_LEAVE(fs, 0);
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
    if (fs->limit != MEMFS_NO_LIMIT) {
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
    struct memfs *fs = begin(self, FS_ALLOCATE);
    MEMFS_LEAVE(fs, allocate_locked(fs, file_of(fs, handle), size));
}

static int stat_locked(struct memfs *fs, const char *path, struct io_stat *out)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_STAT);
    if (err)
        return err;
    if (!memfs_path(path, clean))
        return -ENAMETOOLONG;
    struct entry *e = memfs_find(fs, clean);
    if (!e && strcmp(clean, "/") != 0)
        return -ENOENT;
    *out = (struct io_stat){.size = e ? e->node->size : 0, .is_dir = !e || entry_is_dir(e)};
    return 0;
}

static int fs_stat(void *self, const char *path, struct io_stat *out)
{
    struct memfs *fs = begin(self, FS_STAT);
    MEMFS_LEAVE(fs, stat_locked(fs, path, out));
}

static int rename_locked(struct memfs *fs, const char *from, const char *to)
{
    char a[MEMFS_PATH], b[MEMFS_PATH];
    int err = ordered(fs, FS_RENAME);
    if (err)
        return err;
    if (!memfs_path(from, a) || !memfs_path(to, b))
        return -ENAMETOOLONG;
    struct entry *e = memfs_find(fs, a), *over = memfs_find(fs, b);
    if (!e)
        return -ENOENT;
    if (!memfs_same_parent(a, b))
        return -EXDEV;
    if (entry_is_dir(e) || (over && entry_is_dir(over)))
        return entry_is_dir(e) ? -ENOTSUP : -EISDIR;
    if (e == over)
        return 0;
    memfs_note(fs, (struct memfs_op){.kind = OP_RENAME, .node = e->node->number, .path = a, .to = b});
    if (over)
        memfs_take_out(fs, over);
    snprintf(memfs_find(fs, a)->path, MEMFS_PATH, "%s", b); /* memfs_take_out moved it */
    return 0;
}

static int fs_rename(void *self, const char *from, const char *to)
{
    struct memfs *fs = begin(self, FS_RENAME);
    MEMFS_LEAVE(fs, rename_locked(fs, from, to));
}

static int unlink_locked(struct memfs *fs, const char *path)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_UNLINK);
    if (err)
        return err;
    if (!memfs_path(path, clean))
        return -ENAMETOOLONG;
    struct entry *e = memfs_find(fs, clean);
    if (!e)
        return -ENOENT;
    if (entry_is_dir(e))
        return -EISDIR;
    memfs_note(fs, (struct memfs_op){.kind = OP_UNLINK, .node = e->node->number, .path = clean});
    memfs_take_out(fs, e);
    return 0;
}

static int fs_unlink(void *self, const char *path)
{
    struct memfs *fs = begin(self, FS_UNLINK);
    MEMFS_LEAVE(fs, unlink_locked(fs, path));
}

static int mkdir_locked(struct memfs *fs, const char *path)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_MKDIR);
    if (err)
        return err;
    if (!memfs_path(path, clean))
        return -ENAMETOOLONG;
    err = memfs_find(fs, clean) ? -EEXIST : memfs_find_parent(fs, clean);
    if (err)
        return err;
    struct entry *e = memfs_add(fs, clean, NULL, 0);
    memfs_note(fs, (struct memfs_op){.kind = OP_MKDIR, .node = e->node->number, .path = clean});
    return 0;
}

static int fs_mkdir(void *self, const char *path)
{
    struct memfs *fs = begin(self, FS_MKDIR);
    MEMFS_LEAVE(fs, mkdir_locked(fs, path));
}

static int sync_dir_locked(struct memfs *fs, const char *path)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_SYNC_DIR);
    if (!memfs_path(path, clean))
        return -ENAMETOOLONG;
    struct entry *e = memfs_find(fs, clean);
    if (strcmp(clean, "/") != 0 && (!e || !entry_is_dir(e)))
        return e ? -ENOTDIR : -ENOENT;
    if (err || !fs->ignore_dirs)
        memfs_note(fs, (struct memfs_op){.kind = err ? OP_SYNC_DIR_FAILED : OP_SYNC_DIR, .path = clean});
    return err;
}

static int fs_sync_dir(void *self, const char *path)
{
    struct memfs *fs = begin(self, FS_SYNC_DIR);
    MEMFS_LEAVE(fs, sync_dir_locked(fs, path));
}

/* The names, one behind the other, each with its NUL. The caller may use the file system while it goes
 * through. */
static int names_in(struct memfs *fs, const char *path, char **names, size_t *count)
{
    char clean[MEMFS_PATH];
    int err = ordered(fs, FS_LIST);
    if (err)
        return err;
    if (!memfs_path(path, clean))
        return -ENAMETOOLONG;
    struct entry *dir = memfs_find(fs, clean);
    if (strcmp(clean, "/") != 0 && (!dir || !entry_is_dir(dir)))
        return dir ? -ENOTDIR : -ENOENT;
    *names = memfs_alloc(MEMFS_PATH * (fs->entry_count + 1));
    for (size_t i = 0; i < fs->entry_count; i++)
        if (memfs_lies_in(fs->entries[i].path, clean))
            snprintf(*names + MEMFS_PATH * (*count)++, MEMFS_PATH, "%s",
                     strrchr(fs->entries[i].path, '/') + 1);
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
    struct memfs *fs = begin(self, FS_LIST);
    int err = names_in(fs, path, &names, &count);
    pthread_mutex_unlock(&fs->lock);
    for (size_t i = 0; i < count; i++)
        each(ctx, names + MEMFS_PATH * i);
    free(names);
    return err;
}

static int fs_lock(void *self, int handle)
{
    struct memfs *fs = begin(self, FS_LOCK);
    struct file *file = file_of(fs, handle);
    int err = ordered(fs, FS_LOCK);
    if (!err && file->node->locked_by && file->node->locked_by != file)
        err = -EAGAIN;
    if (!err)
        file->node->locked_by = file;
    MEMFS_LEAVE(fs, err);
}

static int64_t fs_free_bytes(void *self, const char *path)
{
    (void)path;
    struct memfs *fs = memfs_enter(self);
    int64_t left = FREE_WITHOUT_LIMIT;
    if (fs->limit != MEMFS_NO_LIMIT)
        left = fs->limit > fs->used ? (int64_t)(fs->limit - fs->used) : 0;
    MEMFS_LEAVE(fs, left);
}

static int64_t fs_wall_us(void *self)
{
    struct memfs *fs = memfs_enter(self);
    MEMFS_LEAVE(fs, fs->wall_us);
}

static int64_t fs_monotonic_us(void *self)
{
    struct memfs *fs = memfs_enter(self);
    MEMFS_LEAVE(fs, fs->monotonic_us);
}

static void fs_random(void *self, void *to, size_t n)
{
    struct memfs *fs = memfs_enter(self);
    random_fill(&fs->random, to, n);
    pthread_mutex_unlock(&fs->lock);
}

void memfs_bind(struct memfs *fs)
{
    fs->io = (struct io){fs,        fs_open,       fs_close,    fs_pread,        fs_data_end,
                         fs_pwrite, fs_fdatasync,  fs_truncate, fs_allocate,     fs_stat,
                         fs_rename, fs_unlink,     fs_mkdir,    fs_sync_dir,     fs_list,
                         fs_lock,   fs_free_bytes, fs_wall_us,  fs_monotonic_us, fs_random,       NULL};
}
