#include "support/memfs_tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void *memfs_alloc(size_t n)
{
    void *p = calloc(1, n);
    if (!p)
        abort();
    return p;
}

/* ---- paths ---- */

/* "/a/b" from "a//b/"; false when too long. */
bool memfs_path(const char *path, char out[MEMFS_PATH])
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

bool memfs_same_parent(const char *a, const char *b)
{
    size_t n = parent_bytes(a);
    return n == parent_bytes(b) && memcmp(a, b, n) == 0;
}

/* Whether `path` lies directly in `dir`. */
bool memfs_lies_in(const char *path, const char *dir)
{
    size_t n = parent_bytes(path);
    return n > 0 && strlen(dir) == n && memcmp(path, dir, n) == 0;
}

/* ---- entries and nodes ---- */

struct entry *memfs_find(struct memfs *fs, const char *path)
{
    for (size_t i = 0; i < fs->entry_count; i++)
        if (strcmp(fs->entries[i].path, path) == 0)
            return &fs->entries[i];
    return NULL;
}

int memfs_find_parent(struct memfs *fs, const char *path)
{
    char dir[MEMFS_PATH];
    size_t n = parent_bytes(path);
    if (n <= 1)
        return n == 1 ? 0 : -EEXIST;
    memcpy(dir, path, n);
    dir[n] = 0;
    struct entry *e = memfs_find(fs, dir);
    return !e ? -ENOENT : entry_is_dir(e) ? 0 : -ENOTDIR;
}

struct entry *memfs_add(struct memfs *fs, const char *path, struct pages *content, uint64_t size)
{
    if (fs->entry_count == fs->entry_cap) {
        fs->entry_cap = fs->entry_cap ? fs->entry_cap * 2 : 16;
        fs->entries = realloc(fs->entries, sizeof *fs->entries * fs->entry_cap);
        if (!fs->entries)
            abort();
    }
    struct node *node = memfs_alloc(sizeof *node);
    *node = (struct node){.number = ++fs->last_number, .size = size, .content = content, .refs = 1};
    if (content)
        fs->used += (uint64_t)content->held * PAGE_BYTES;
    struct entry *e = &fs->entries[fs->entry_count++];
    snprintf(e->path, sizeof e->path, "%s", path);
    e->node = node;
    return e;
}

void memfs_node_drop(struct memfs *fs, struct node *node)
{
    if (--node->refs > 0)
        return;
    if (node->content)
        fs->used -= (uint64_t)node->content->held * PAGE_BYTES;
    pages_drop(node->content);
    free(node);
}

void memfs_take_out(struct memfs *fs, struct entry *e)
{
    struct node *node = e->node;
    size_t behind = fs->entry_count - (size_t)(e - fs->entries) - 1;
    memmove(e, e + 1, behind * sizeof *e);
    fs->entry_count--;
    memfs_node_drop(fs, node);
}

void memfs_note(struct memfs *fs, struct memfs_op op)
{
    op.wall_us = fs->wall_us;
    if (fs->watch.note)
        fs->watch.note(fs->watch.ctx, &op);
}
