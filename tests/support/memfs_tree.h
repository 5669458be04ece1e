/* memfs_tree.h - private to memfs.c, memfs_calls.c and memfs_tree.c: what a simulated disk is made of. */
#pragma once

#include "support/memfs.h"
#include "support/random.h"

#include <pthread.h>

#define MEMFS_NO_LIMIT UINT64_MAX

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
    memfs_visit_fn visit;
    void *visit_ctx;
    bool visiting;
};

/* Zeroed; no memory ends the test. */
void *memfs_alloc(size_t n);

/* "/a/b" from "a//b/"; false when too long. */
bool memfs_path(const char *path, char out[MEMFS_PATH]);
bool memfs_same_parent(const char *a, const char *b);
bool memfs_lies_in(const char *path, const char *dir); /* directly */

/* All that follow: locked. */
struct entry *memfs_find(struct memfs *, const char *path);
int           memfs_find_parent(struct memfs *, const char *path); /* 0 or -errno */
/* Takes over the reference to `content`; NULL makes a directory. Entries move when another is added or
 * removed. */
struct entry *memfs_add(struct memfs *, const char *path, struct pages *content, uint64_t size);
void          memfs_take_out(struct memfs *, struct entry *);
void          memfs_node_drop(struct memfs *, struct node *);
void          memfs_note(struct memfs *, struct memfs_op);
void          memfs_close_locked(struct memfs *, int handle);
void          memfs_bind(struct memfs *); /* fills in the table of calls */

static inline bool entry_is_dir(const struct entry *e)
{
    return !e->node->content;
}

static inline struct memfs *memfs_enter(void *self)
{
    struct memfs *fs = self;
    pthread_mutex_lock(&fs->lock);
    return fs;
}

#define MEMFS_LEAVE(fs, result)                                                                              \
    do {                                                                                                     \
        __typeof__(result) left_with = (result); /* before others come in */                                 \
        pthread_mutex_unlock(&(fs)->lock);                                                                   \
        return left_with;                                                                                    \
    } while (0)
