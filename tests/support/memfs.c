#include "support/memfs_tree.h"

#include <stdlib.h>

#define WALL_START_US INT64_C(1767225600000000) /* 2026-01-01 */

/* ---- life ---- */

struct memfs *memfs_new(uint64_t seed)
{
    struct memfs *fs = memfs_alloc(sizeof *fs);
    pthread_mutex_init(&fs->lock, NULL);
    fs->limit = MEMFS_NO_LIMIT;
    fs->wall_us = WALL_START_US;
    fs->monotonic_us = 1000000;
    memfs_bind(fs);
    memfs_seed(fs, seed);
    return fs;
}

void memfs_clear(struct memfs *fs)
{
    for (size_t i = 0; i < fs->file_cap; i++)
        if (fs->files[i])
            memfs_close_locked(fs, (int)i);
    while (fs->entry_count > 0)
        memfs_take_out(fs, &fs->entries[fs->entry_count - 1]);
    memset(fs->failures, 0, sizeof fs->failures);
    fs->last_number = 0;
    fs->limit = MEMFS_NO_LIMIT;
    fs->short_percent = 0;
    fs->ignore_files = fs->ignore_dirs = false;
    fs->watch = (struct memfs_watch){0};
    fs->visit = NULL;
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
        memfs_add(fs, from->entries[i].path, node->content ? pages_hold(node->content) : NULL, node->size);
    }
    fs->wall_us = from->wall_us;
    fs->monotonic_us = from->monotonic_us;
    fs->random = from->random;
    fs->dice = from->dice;
    if (from->limit != MEMFS_NO_LIMIT) /* what only open files held is free now */
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
    struct memfs *fs = memfs_enter(self);
    fs->wall_us = wall_us;
    pthread_mutex_unlock(&fs->lock);
}

void memfs_advance(struct memfs *self, int64_t us)
{
    struct memfs *fs = memfs_enter(self);
    fs->wall_us += us;
    fs->monotonic_us += us;
    pthread_mutex_unlock(&fs->lock);
}

void memfs_seed(struct memfs *self, uint64_t seed)
{
    struct memfs *fs = memfs_enter(self);
    fs->random.state = random_mix(seed, 1);
    fs->dice.state = random_mix(seed, 2);
    pthread_mutex_unlock(&fs->lock);
}

void memfs_set_room(struct memfs *self, uint64_t bytes)
{
    struct memfs *fs = memfs_enter(self);
    fs->limit = bytes == UINT64_MAX ? MEMFS_NO_LIMIT : fs->used + bytes;
    pthread_mutex_unlock(&fs->lock);
}

uint64_t memfs_used(struct memfs *self)
{
    struct memfs *fs = memfs_enter(self);
    MEMFS_LEAVE(fs, fs->used);
}

const char *memfs_call_name(enum memfs_call call)
{
    static const char *const names[] = {"open",     "pread", "pwrite", "fdatasync", "truncate",
                                        "allocate", "stat",  "rename", "unlink",    "mkdir",
                                        "sync_dir", "list",  "lock",   "any"};
    return names[call];
}

void memfs_fail(struct memfs *self, enum memfs_call call, uint64_t n, int err, bool for_ever)
{
    struct memfs *fs = memfs_enter(self);
    struct failure *f = &fs->failures[call];
    *f = (struct failure){.countdown = n, .err = err, .for_ever = for_ever, .calls = f->calls};
    pthread_mutex_unlock(&fs->lock);
}

uint64_t memfs_failed(struct memfs *self, enum memfs_call call)
{
    struct memfs *fs = memfs_enter(self);
    MEMFS_LEAVE(fs, fs->failures[call].failed);
}

uint64_t memfs_calls(struct memfs *self, enum memfs_call call)
{
    struct memfs *fs = memfs_enter(self);
    MEMFS_LEAVE(fs, fs->failures[call].calls);
}

void memfs_short(struct memfs *self, unsigned percent)
{
    struct memfs *fs = memfs_enter(self);
    fs->short_percent = percent;
    pthread_mutex_unlock(&fs->lock);
}

void memfs_ignore_sync(struct memfs *self, bool files, bool dirs)
{
    struct memfs *fs = memfs_enter(self);
    fs->ignore_files = files;
    fs->ignore_dirs = dirs;
    pthread_mutex_unlock(&fs->lock);
}

void memfs_set_visit(struct memfs *self, memfs_visit_fn visit, void *ctx)
{
    struct memfs *fs = memfs_enter(self);
    fs->visit = visit;
    fs->visit_ctx = ctx;
    pthread_mutex_unlock(&fs->lock);
}

/* ---- from outside ---- */

unsigned memfs_open_files(struct memfs *self)
{
    struct memfs *fs = memfs_enter(self);
    unsigned n = 0;
    for (size_t i = 0; i < fs->file_cap; i++)
        n += fs->files[i] != NULL;
    MEMFS_LEAVE(fs, n);
}

bool memfs_exists(struct memfs *self, const char *path)
{
    char clean[MEMFS_PATH];
    struct memfs *fs = memfs_enter(self);
    MEMFS_LEAVE(fs, memfs_path(path, clean) && memfs_find(fs, clean));
}

bool memfs_flip(struct memfs *self, const char *path, uint64_t at, uint8_t bits)
{
    char clean[MEMFS_PATH];
    uint8_t byte;
    struct memfs *fs = memfs_enter(self);
    struct entry *e = memfs_path(path, clean) ? memfs_find(fs, clean) : NULL;
    if (!e || entry_is_dir(e) || at >= e->node->size)
        MEMFS_LEAVE(fs, false);
    pages_read(e->node->content, &byte, 1, at);
    byte ^= bits;
    uint32_t held = e->node->content->held;
    pages_write(&e->node->content, &byte, 1, at);
    fs->used += (uint64_t)(e->node->content->held - held) * PAGE_BYTES;
    MEMFS_LEAVE(fs, true);
}

void memfs_each(struct memfs *self, memfs_each_fn each, void *ctx)
{
    struct memfs *fs = memfs_enter(self);
    for (size_t i = 0; i < fs->entry_count; i++)
        each(ctx, fs->entries[i].path, entry_is_dir(&fs->entries[i]), fs->entries[i].node->size);
    pthread_mutex_unlock(&fs->lock);
}

/* ---- for the recorder ---- */

static void note_entry(struct memfs *fs, const struct entry *e)
{
    const struct node *node = e->node;
    memfs_note(fs, (struct memfs_op){.kind = entry_is_dir(e) ? OP_MKDIR : OP_CREATE,
                                     .node = node->number,
                                     .path = e->path});
    if (!entry_is_dir(e))
        memfs_note(fs,
                   (struct memfs_op){
                       .kind = OP_FOUND, .node = node->number, .size = node->size, .content = node->content});
}

void memfs_set_watch(struct memfs *self, const struct memfs_watch *watch, bool tell)
{
    struct memfs *fs = memfs_enter(self);
    fs->watch = watch ? *watch : (struct memfs_watch){0};
    for (size_t i = 0; tell && i < fs->entry_count; i++)
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

static void put_entry(struct memfs *fs, uint64_t number, const char *path, struct pages *content,
                      uint64_t size)
{
    memfs_add(fs, path, content, size)->node->number = number;
}

void memfs_put_dir(struct memfs *self, uint64_t node, const char *path)
{
    struct memfs *fs = memfs_enter(self);
    put_entry(fs, node, path, NULL, 0);
    pthread_mutex_unlock(&fs->lock);
}

void memfs_put_file(struct memfs *self, uint64_t node, const char *path, struct pages *content, uint64_t size)
{
    struct memfs *fs = memfs_enter(self);
    put_entry(fs, node, path, pages_hold(content), size);
    pthread_mutex_unlock(&fs->lock);
}

void memfs_number_from(struct memfs *self, uint64_t node)
{
    struct memfs *fs = memfs_enter(self);
    fs->last_number = fs->last_number > node ? fs->last_number : node;
    pthread_mutex_unlock(&fs->lock);
}
