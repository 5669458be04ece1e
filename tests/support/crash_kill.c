#include "support/crash_log.h"

#include <stdlib.h>

/* The new recording begins with what is durable, as if it had been found, and has as its first operations the
 * changes that are not, one by one as they are left. */

static void found(struct crash *to, const struct crash *from, uint64_t node, bool seen[])
{
    if (seen[node])
        return;
    seen[node] = true;
    const struct inode *n = &from->inodes[node];
    crash_push(to,
               (struct op){.kind = OP_FOUND, .node = node, .size = n->size, .found = pages_hold(n->content)});
}

static void copy_durable(struct crash *to, const struct crash *from)
{
    bool *seen = calloc(from->inode_count, sizeof *seen);
    if (!seen)
        abort();
    for (size_t i = 0; i < from->names_durable.count; i++) {
        const struct dirent_of *e = &from->names_durable.at[i];
        enum memfs_op_kind kind = e->is_dir ? OP_MKDIR : OP_CREATE;
        crash_push(to, (struct op){.kind = kind, .node = e->node, .name = e->name});
        if (!e->is_dir)
            found(to, from, e->node, seen);
    }
    /* Files that have no durable name, or none any more. */
    for (size_t i = 0; i < from->change_count; i++)
        found(to, from, from->changes[i].node, seen);
    for (size_t i = 0; i < from->renaming_count; i++) {
        const struct op *op = &from->ops[from->renamings[i].op];
        if (op->kind != OP_MKDIR)
            found(to, from, op->node, seen);
    }
    free(seen);
    to->start = to->op_count;
}

static void copy_change(struct crash *to, const struct crash *from, const struct change *change)
{
    struct op op = from->ops[change->op];
    op.orphan = change->orphan;
    if (change->is_size) {
        op.kind = OP_SIZE;
    } else {
        uint64_t origin = op.at / SECTOR_BYTES;
        const uint8_t *data = from->bytes + op.data + (change->first - origin) * SECTOR_BYTES;
        op.kind = OP_WRITE;
        op.resized = false;
        op.at = change->first * SECTOR_BYTES;
        op.len = (change->end - change->first) * SECTOR_BYTES;
        op.data = crash_keep_bytes(to, data, op.len);
    }
    crash_push(to, op);
}

static void copy_changes(struct crash *to, const struct crash *from)
{
    size_t a = 0, b = 0;
    while (a < from->change_count || b < from->renaming_count) {
        if (b == from->renaming_count ||
            (a < from->change_count && from->changes[a].op < from->renamings[b].op)) {
            copy_change(to, from, &from->changes[a++]);
            continue;
        }
        crash_push(to, from->ops[from->renamings[b++].op]);
    }
}

struct crash *crash_kill(struct crash *from, uint64_t prefix, struct memfs *out)
{
    crash_state_build(from, prefix, CRASH_KILL, out);
    struct crash *to = calloc(1, sizeof *to);
    if (!to)
        abort();
    for (size_t i = 0; i < from->name_count; i++) {
        GROW(to->names, to->name_count, to->name_cap);
        to->names[to->name_count++] = from->names[i];
    }
    copy_durable(to, from);
    copy_changes(to, from);
    to->node_max = from->node_max;
    to->fs = out;
    memfs_set_watch(out, &(struct memfs_watch){to, crash_note}, false);
    return to;
}
