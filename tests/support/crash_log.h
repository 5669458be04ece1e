/* crash_log.h - private to crash.c and crash_log.c: the recording, and the disk at one position of it.
 *
 * crash_log.c keeps the log and moves the cursor: the state that is durable at a position, and the changes
 * that are not. crash.c decides which of those survive. */
#pragma once

#include "support/crash.h"

struct op {
    enum memfs_op_kind kind;
    bool               resized, reserved;
    bool               orphan;   /* from crash_kill: a sync of it failed already */
    uint32_t           name, to; /* numbers of names */
    uint64_t           node, at, len, size;
    int64_t            wall_us;
    size_t             data;     /* OP_WRITE: whole sectors, where they start in the recording's bytes */
    struct pages      *found;    /* OP_FOUND */
};

struct name {
    char     text[MEMFS_PATH];
    uint32_t parent; /* number; the root is 0, its own parent */
};

/* What may be lost of one file. */
struct change {
    uint64_t op, node;
    bool     is_size;
    bool     orphan;     /* a failed sync stood behind it, no later one covers it; one sector at a time */
    uint64_t first, end; /* sectors, when it is data                                                    */
};
struct renaming { /* and of one directory */
    uint64_t op;
};

struct inode {
    struct pages *content;
    uint64_t      size;
};
struct dirent_of {
    uint32_t name;
    bool     is_dir;
    uint64_t node;
};
struct dirents {
    struct dirent_of *at;
    size_t            count, cap;
};

struct crash {
    struct memfs *fs; /* while recording */

    /* The log: written while recording. */
    struct op         *ops;
    size_t             op_count, op_cap, start; /* ops before `start` tell what was there when it began */
    uint8_t           *bytes;
    size_t             byte_count, byte_cap;
    struct name       *names;
    size_t             name_count, name_cap;
    struct crash_mark *marks;
    size_t             mark_count, mark_cap;
    uint64_t           node_max;

    /* The cursor: what is durable after ops [0, position), and what is not. */
    size_t           position;
    struct inode    *inodes; /* by number, node_max + 1 */
    size_t           inode_count;
    struct dirents   names_durable;
    struct change   *changes;
    size_t           change_count, change_cap;
    struct renaming *renamings;
    size_t           renaming_count, renaming_cap;

    struct dirents scratch; /* crash_state_build's */
    struct inode  *built;
    size_t         built_count;
};

/* Grows an array to hold one more; never fails. */
#define GROW(array, count, cap) ((array) = crash_grow((array), sizeof *(array), (count), &(cap)))
void *crash_grow(void *array, size_t each, size_t count, size_t *cap);

void crash_note(void *rec, const struct memfs_op *);
void crash_push(struct crash *, struct op);
size_t crash_keep_bytes(struct crash *, const uint8_t *, size_t n); /* where they lie in `bytes` */
/* Moves the cursor to a prefix of what was recorded. */
void crash_seek(struct crash *, uint64_t prefix);
void crash_forget_cursor(struct crash *);

/* Applied in the log's order both to the durable state and to a state being built. */
void crash_apply_name(struct dirents *, const struct op *);
/* Sectors [first, end) of a write. */
void crash_apply_data(const struct crash *, struct inode *, const struct op *, uint64_t first, uint64_t end);
void crash_apply_size(struct inode *, const struct op *);
const struct dirent_of *crash_find(const struct dirents *, uint32_t name);
