#include "support/crash_log.h"

#include <stdlib.h>

void *crash_grow(void *array, size_t each, size_t count, size_t *cap)
{
    if (count < *cap)
        return array;
    *cap = *cap ? *cap * 2 : 64;
    array = realloc(array, each * *cap);
    if (!array)
        abort();
    return array;
}

/* ---- recording ---- */

static uint32_t name_number(struct crash *c, const char *path)
{
    for (size_t i = 0; i < c->name_count; i++)
        if (strcmp(c->names[i].text, path) == 0)
            return (uint32_t)i;
    uint32_t parent = 0;
    const char *slash = strrchr(path, '/');
    if (slash != path) {
        char dir[MEMFS_PATH];
        memcpy(dir, path, (size_t)(slash - path));
        dir[slash - path] = 0;
        parent = name_number(c, dir);
    }
    GROW(c->names, c->name_count, c->name_cap);
    struct name *n = &c->names[c->name_count];
    snprintf(n->text, sizeof n->text, "%s", path);
    n->parent = parent;
    return (uint32_t)c->name_count++;
}

static uint8_t *room_for_bytes(struct crash *c, size_t n)
{
    while (c->byte_cap - c->byte_count < n) {
        c->byte_cap = c->byte_cap ? c->byte_cap * 2 : 1 << 16;
        c->bytes = realloc(c->bytes, c->byte_cap);
        if (!c->bytes)
            abort();
    }
    c->byte_count += n;
    return c->bytes + c->byte_count - n;
}

size_t crash_keep_bytes(struct crash *c, const uint8_t *from, size_t n)
{
    uint8_t *to = room_for_bytes(c, n);
    memcpy(to, from, n);
    return (size_t)(to - c->bytes);
}

/* A sector is written as a whole, with what earlier writes left in its other parts. */
static size_t keep_sectors(struct crash *c, const struct memfs_op *op)
{
    uint64_t from = op->at / SECTOR_BYTES * SECTOR_BYTES;
    size_t n = (size_t)((op->at + op->len - from + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES);
    uint8_t *to = room_for_bytes(c, n);
    pages_read(op->content, to, n, from);
    return (size_t)(to - c->bytes);
}

void crash_push(struct crash *c, struct op op)
{
    if (op.node > c->node_max)
        c->node_max = op.node;
    GROW(c->ops, c->op_count, c->op_cap);
    c->ops[c->op_count++] = op;
}

void crash_note(void *rec, const struct memfs_op *in)
{
    struct crash *c = rec;
    struct op op = {.kind = in->kind,
                    .resized = in->resized,
                    .reserved = in->reserved,
                    .node = in->node,
                    .wall_us = in->wall_us,
                    .at = in->at,
                    .len = in->len,
                    .size = in->size};
    if (in->path)
        op.name = name_number(c, in->path);
    if (in->to)
        op.to = name_number(c, in->to);
    if (in->kind == OP_WRITE)
        op.data = keep_sectors(c, in);
    if (in->kind == OP_FOUND)
        op.found = pages_hold(in->content);
    crash_push(c, op);
}

/* ---- applying ---- */

const struct dirent_of *crash_find(const struct dirents *d, uint32_t name)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->at[i].name == name)
            return &d->at[i];
    return NULL;
}

static void remove_at(struct dirents *d, size_t i)
{
    d->at[i] = d->at[--d->count];
}

static void remove_name(struct dirents *d, uint32_t name)
{
    const struct dirent_of *e = crash_find(d, name);
    if (e)
        remove_at(d, (size_t)(e - d->at));
}

/* A file has one name: a rename that is kept moves it from whatever name an earlier, undone one left it. */
static void remove_node(struct dirents *d, uint64_t node)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->at[i].node == node) {
            remove_at(d, i);
            return;
        }
}

void crash_apply_name(struct dirents *d, const struct op *op)
{
    if (op->kind == OP_UNLINK) {
        remove_name(d, op->name);
        return;
    }
    uint32_t name = op->name;
    if (op->kind == OP_RENAME) {
        remove_name(d, op->name);
        remove_node(d, op->node);
        name = op->to;
    }
    remove_name(d, name);
    GROW(d->at, d->count, d->cap);
    d->at[d->count++] = (struct dirent_of){name, op->kind == OP_MKDIR, op->node};
}

void crash_apply_data(const struct crash *c, struct inode *n, const struct op *op, uint64_t first,
                      uint64_t end)
{
    uint64_t origin = op->at / SECTOR_BYTES;
    pages_write(&n->content, c->bytes + op->data + (first - origin) * SECTOR_BYTES,
                (end - first) * SECTOR_BYTES, first * SECTOR_BYTES);
}

void crash_apply_size(struct inode *n, const struct op *op)
{
    if (op->size < n->size)
        pages_cut(&n->content, op->size);
    if (op->reserved)
        pages_reserve(&n->content, op->size);
    n->size = op->size;
}

/* ---- the cursor ---- */

static void push_change(struct crash *c, struct change change)
{
    GROW(c->changes, c->change_count, c->change_cap);
    c->changes[c->change_count++] = change;
}

static void sweep(struct crash *c)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->change_count; i++)
        if (c->changes[i].node != 0)
            c->changes[kept++] = c->changes[i];
    c->change_count = kept;
}

/* What a failed sync should have covered stands for itself from now on, each sector alone, in the order
 * written. */
static void make_orphans(struct crash *c, uint64_t node)
{
    size_t count = c->change_count;
    for (size_t i = 0; i < count; i++) {
        struct change whole = c->changes[i];
        if (whole.node != node || whole.orphan)
            continue;
        whole.orphan = true;
        if (whole.is_size) {
            c->changes[i] = whole;
            continue;
        }
        c->changes[i].node = 0;
        for (uint64_t s = whole.first; s < whole.end; s++) {
            struct change part = whole;
            part.first = s;
            part.end = s + 1;
            push_change(c, part);
        }
    }
    sweep(c);
}

/* What was written anew and synced is no longer an older orphan's to lose. */
static void supersede(struct crash *c, const struct change *by)
{
    for (size_t i = 0; i < c->change_count; i++) {
        struct change *old = &c->changes[i];
        if (!old->orphan || old->node != by->node || old->is_size != by->is_size || old->op > by->op)
            continue;
        if (by->is_size || (old->first >= by->first && old->first < by->end))
            old->node = 0;
    }
}

static void sync_file(struct crash *c, uint64_t node)
{
    struct inode *n = &c->inodes[node];
    for (size_t i = 0; i < c->change_count; i++) {
        struct change *change = &c->changes[i];
        if (change->node != node || change->orphan)
            continue;
        const struct op *op = &c->ops[change->op];
        if (change->is_size)
            crash_apply_size(n, op);
        else
            crash_apply_data(c, n, op, change->first, change->end);
        supersede(c, change);
        change->node = 0;
    }
    pages_cut(&n->content, n->size);
    sweep(c);
}

static void sync_dir(struct crash *c, uint32_t dir)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->renaming_count; i++) {
        const struct op *op = &c->ops[c->renamings[i].op];
        if (c->names[op->name].parent == dir)
            crash_apply_name(&c->names_durable, op);
        else
            c->renamings[kept++] = c->renamings[i];
    }
    c->renaming_count = kept;
}

static void step(struct crash *c, uint64_t index)
{
    const struct op *op = &c->ops[index];
    switch (op->kind) {
    case OP_FOUND:
        pages_drop(c->inodes[op->node].content);
        c->inodes[op->node] = (struct inode){pages_hold(op->found), op->size};
        break;
    case OP_WRITE:
    case OP_SIZE:
        if (op->resized)
            push_change(
                c, (struct change){.op = index, .node = op->node, .is_size = true, .orphan = op->orphan});
        if (op->kind == OP_WRITE)
            push_change(c, (struct change){.op = index,
                                           .node = op->node,
                                           .orphan = op->orphan,
                                           .first = op->at / SECTOR_BYTES,
                                           .end = (op->at + op->len + SECTOR_BYTES - 1) / SECTOR_BYTES});
        break;
    case OP_SYNC: sync_file(c, op->node); break;
    case OP_SYNC_FAILED: make_orphans(c, op->node); break;
    case OP_CREATE:
    case OP_MKDIR:
    case OP_RENAME:
    case OP_UNLINK:
        GROW(c->renamings, c->renaming_count, c->renaming_cap);
        c->renamings[c->renaming_count++] = (struct renaming){.op = index};
        break;
    case OP_SYNC_DIR: sync_dir(c, op->name); break;
    case OP_SYNC_DIR_FAILED: break; /* nothing is covered yet; names are not forgotten as pages are */
    }
}

void crash_forget_cursor(struct crash *c)
{
    for (size_t i = 0; i < c->inode_count; i++)
        pages_drop(c->inodes[i].content);
    free(c->inodes);
    c->inodes = NULL;
    c->inode_count = c->position = c->change_count = c->renaming_count = 0;
    c->names_durable.count = 0;
}

/* What was there at the beginning is durable. */
static void first_position(struct crash *c)
{
    crash_forget_cursor(c);
    c->inode_count = c->node_max + 1;
    c->inodes = calloc(c->inode_count, sizeof *c->inodes);
    if (!c->inodes)
        abort();
    for (size_t i = 0; i < c->inode_count; i++)
        c->inodes[i].content = pages_new();
    for (; c->position < c->start; c->position++) {
        const struct op *op = &c->ops[c->position];
        step(c, c->position);
        if (op->kind != OP_FOUND)
            sync_dir(c, c->names[op->name].parent);
    }
}

void crash_seek(struct crash *c, uint64_t prefix)
{
    FG_ASSERT(!c->fs && prefix <= c->op_count - c->start);
    if (!c->inodes || c->position > c->start + prefix)
        first_position(c);
    for (; c->position < c->start + prefix; c->position++)
        step(c, c->position);
}
