#include "support/crash_log.h"

#include "support/random.h"

#include <stdlib.h>

/* ---- the recording's life ---- */

struct crash *crash_begin(struct memfs *fs)
{
    struct crash *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    c->fs = fs;
    GROW(c->names, c->name_count, c->name_cap);
    c->names[c->name_count++] = (struct name){.text = "/"};
    memfs_set_watch(fs, &(struct memfs_watch){c, crash_note}, true);
    c->start = c->op_count;
    return c;
}

void crash_end(struct crash *c)
{
    if (c->fs)
        memfs_set_watch(c->fs, NULL, false);
    c->fs = NULL;
}

void crash_free(struct crash *c)
{
    if (!c)
        return;
    crash_end(c);
    crash_forget_cursor(c);
    for (size_t i = 0; i < c->start; i++)
        pages_drop(c->ops[i].found);
    free(c->ops);
    free(c->bytes);
    free(c->names);
    free(c->marks);
    free(c->names_durable.at);
    free(c->changes);
    free(c->renamings);
    free(c->scratch.at);
    free(c->built);
    free(c);
}

void crash_mark(struct crash *c, uint32_t kind, uint64_t value)
{
    if (!c || !c->fs)
        return;
    memfs_hold(c->fs);
    GROW(c->marks, c->mark_count, c->mark_cap);
    c->marks[c->mark_count++] = (struct crash_mark){c->op_count - c->start, kind, value};
    memfs_release(c->fs);
}

struct crash_marks crash_marks_before(const struct crash *c, uint64_t prefix)
{
    size_t lo = 0, hi = c->mark_count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (c->marks[mid].at <= prefix)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (struct crash_marks){c->marks, lo};
}

uint64_t crash_length(const struct crash *c)
{
    return c->op_count - c->start;
}

int64_t crash_wall_us(const struct crash *c, uint64_t prefix)
{
    size_t ops = c->start + prefix;
    return ops > 0 ? c->ops[ops - 1].wall_us : 0;
}

uint64_t crash_pending(struct crash *c, uint64_t prefix)
{
    crash_seek(c, prefix);
    return c->change_count + c->renaming_count;
}

/* ---- choosing what survives ---- */

struct choice {
    uint64_t variant;
    uint64_t first_op, last_op; /* among those not covered */
    struct random random;
    unsigned keep_data, keep_name, tear; /* percent, for random variants */
};

static void choose(const struct crash *c, uint64_t prefix, uint64_t variant, struct choice *k)
{
    *k = (struct choice){.variant = variant, .first_op = UINT64_MAX, .random = {random_mix(variant, prefix)}};
    for (size_t i = 0; i < c->change_count; i++) {
        uint64_t op = c->changes[i].op;
        k->first_op = op < k->first_op ? op : k->first_op;
        k->last_op = op > k->last_op ? op : k->last_op;
    }
    for (size_t i = 0; i < c->renaming_count; i++) {
        uint64_t op = c->renamings[i].op;
        k->first_op = op < k->first_op ? op : k->first_op;
        k->last_op = op > k->last_op ? op : k->last_op;
    }
    static const uint8_t keep[] = {0, 10, 50, 50, 90, 100};
    k->keep_data = keep[random_below(&k->random, sizeof keep)];
    k->keep_name = keep[random_below(&k->random, sizeof keep)];
    k->tear = keep[random_below(&k->random, sizeof keep)];
}

static bool keeps_name(struct choice *k, uint64_t op)
{
    switch (k->variant) {
    case CRASH_NONE:
    case CRASH_NO_NAMES: return false;
    case CRASH_ALL:
    case CRASH_KILL:
    case CRASH_TORN_LAST:
    case CRASH_NO_DATA: return true;
    case CRASH_ONLY_LAST: return op == k->last_op;
    case CRASH_ALL_BUT_FIRST: return op != k->first_op;
    default: return random_chance(&k->random, k->keep_name);
    }
}

/* How many of the `n` sizes a file had since its last sync it went through; the last of these is its size. */
static size_t keeps_sizes(struct choice *k, size_t n, bool has_first, bool has_last)
{
    switch (k->variant) {
    case CRASH_NONE: return 0;
    case CRASH_ONLY_LAST: return has_last ? n : 0;
    case CRASH_ALL_BUT_FIRST: return has_first && n == 1 ? 0 : n;
    case CRASH_ALL:
    case CRASH_KILL:
    case CRASH_TORN_LAST:
    case CRASH_NO_DATA:
    case CRASH_NO_NAMES: return n;
    default: break;
    }
    switch (random_below(&k->random, 3)) {
    case 0: return 0;
    case 1: return n;
    default: return (size_t)random_below(&k->random, n + 1);
    }
}

enum data_fate { LOST, KEPT, TORN };

static enum data_fate data_fate(struct choice *k, uint64_t op)
{
    switch (k->variant) {
    case CRASH_NONE:
    case CRASH_NO_DATA: return LOST;
    case CRASH_ALL:
    case CRASH_KILL:
    case CRASH_NO_NAMES: return KEPT;
    case CRASH_ONLY_LAST: return op == k->last_op ? KEPT : LOST;
    case CRASH_ALL_BUT_FIRST: return op != k->first_op ? KEPT : LOST;
    case CRASH_TORN_LAST: return op == k->last_op ? TORN : KEPT;
    default: break;
    }
    if (random_chance(&k->random, k->tear))
        return TORN;
    return random_chance(&k->random, k->keep_data) ? KEPT : LOST;
}

/* Either one part of the write, as a head that stopped leaves it, or single sectors, as a queue does. */
static void tear(const struct crash *c, struct choice *k, struct inode *n, const struct change *change)
{
    const struct op *op = &c->ops[change->op];
    uint64_t count = change->end - change->first;
    uint64_t cut = change->first + random_below(&k->random, count + 1);
    switch (random_below(&k->random, 3)) {
    case 0:
        if (cut > change->first)
            crash_apply_data(c, n, op, change->first, cut);
        return;
    case 1:
        if (cut < change->end)
            crash_apply_data(c, n, op, cut, change->end);
        return;
    default: break;
    }
    unsigned percent = (unsigned)random_below(&k->random, 101);
    for (uint64_t s = change->first; s < change->end; s++)
        if (random_chance(&k->random, percent))
            crash_apply_data(c, n, op, s, s + 1);
}

/* ---- building ---- */

static void build_names(struct crash *c, struct choice *k)
{
    c->scratch.count = 0;
    for (size_t i = 0; i < c->names_durable.count; i++) {
        GROW(c->scratch.at, c->scratch.count, c->scratch.cap);
        c->scratch.at[c->scratch.count++] = c->names_durable.at[i];
    }
    for (size_t i = 0; i < c->renaming_count; i++)
        if (keeps_name(k, c->renamings[i].op))
            crash_apply_name(&c->scratch, &c->ops[c->renamings[i].op]);
}

static struct inode *build_inode(struct crash *c, uint64_t node)
{
    struct inode *n = &c->built[node];
    if (!n->content)
        *n = (struct inode){pages_hold(c->inodes[node].content), c->inodes[node].size};
    return n;
}

/* All changes of the file that change `from` belongs to. */
static void build_file(struct crash *c, struct choice *k, size_t from)
{
    uint64_t node = c->changes[from].node;
    size_t sizes = 0;
    bool has_first = false, has_last = false;
    for (size_t i = from; i < c->change_count; i++)
        if (c->changes[i].node == node && c->changes[i].is_size) {
            sizes++;
            has_first |= c->changes[i].op == k->first_op;
            has_last |= c->changes[i].op == k->last_op;
        }
    struct inode *n = build_inode(c, node);
    size_t keep_sizes = keeps_sizes(k, sizes, has_first, has_last);
    for (size_t i = from; i < c->change_count; i++) {
        const struct change *change = &c->changes[i];
        const struct op *op = &c->ops[change->op];
        if (change->node != node)
            continue;
        if (change->is_size) {
            if (keep_sizes > 0) {
                crash_apply_size(n, op);
                keep_sizes--;
            }
            continue;
        }
        switch (data_fate(k, change->op)) {
        case KEPT: crash_apply_data(c, n, op, change->first, change->end); break;
        case TORN: tear(c, k, n, change); break;
        case LOST: break;
        }
    }
    pages_cut(&n->content, n->size); /* what was kept behind the size that was kept cannot be read */
}

static bool reachable(const struct crash *c, uint32_t name)
{
    for (uint32_t dir = c->names[name].parent; dir != 0; dir = c->names[dir].parent) {
        const struct dirent_of *e = crash_find(&c->scratch, dir);
        if (!e || !e->is_dir)
            return false;
    }
    return true;
}

static void hand_over(struct crash *c, struct memfs *out)
{
    uint32_t parent = 0;
    bool there = true;
    for (size_t i = 0; i < c->scratch.count; i++) {
        const struct dirent_of *e = &c->scratch.at[i];
        if (i == 0 || c->names[e->name].parent != parent) {
            parent = c->names[e->name].parent;
            there = reachable(c, e->name);
        }
        if (!there)
            continue;
        if (e->is_dir) {
            memfs_put_dir(out, e->node, c->names[e->name].text);
            continue;
        }
        const struct inode *n = c->built[e->node].content ? &c->built[e->node] : &c->inodes[e->node];
        memfs_put_file(out, e->node, c->names[e->name].text, n->content, n->size);
    }
}

void crash_state_build(struct crash *c, uint64_t prefix, uint64_t variant, struct memfs *out)
{
    struct choice k;
    crash_seek(c, prefix);
    if (c->built_count < c->inode_count) {
        c->built = realloc(c->built, sizeof *c->built * c->inode_count);
        if (!c->built)
            abort();
        memset(c->built + c->built_count, 0, sizeof *c->built * (c->inode_count - c->built_count));
        c->built_count = c->inode_count;
    }
    choose(c, prefix, variant, &k);
    build_names(c, &k);
    for (size_t i = 0; i < c->change_count; i++)
        if (!c->built[c->changes[i].node].content)
            build_file(c, &k, i);
    memfs_clear(out);
    hand_over(c, out);
    memfs_number_from(out, c->node_max);
    for (size_t i = 0; i < c->change_count; i++) {
        struct inode *n = &c->built[c->changes[i].node];
        pages_drop(n->content);
        n->content = NULL;
    }
}

/* ---- for a person ---- */

static void print_op(const struct crash *c, const struct op *op, FILE *to)
{
    static const char *const kinds[] = {"found",          "write", "size",   "fdatasync", "fdatasync FAILED",
                                        "create",         "mkdir", "rename", "unlink",    "sync_dir",
                                        "sync_dir FAILED"};
    fprintf(to, "%-9s", kinds[op->kind]);
    if (op->node)
        fprintf(to, " file %llu", (unsigned long long)op->node);
    if (op->kind == OP_WRITE)
        fprintf(to, " [%llu, +%llu)", (unsigned long long)op->at, (unsigned long long)op->len);
    if (op->resized)
        fprintf(to, " size %llu", (unsigned long long)op->size);
    if (op->kind >= OP_CREATE)
        fprintf(to, " %s", c->names[op->name].text);
    if (op->kind == OP_RENAME)
        fprintf(to, " -> %s", c->names[op->to].text);
    fputc('\n', to);
}

void crash_print(struct crash *c, uint64_t prefix, FILE *to)
{
    enum { LAST = 40 };
    crash_seek(c, prefix);
    uint64_t from = prefix > LAST ? prefix - LAST : 0;
    fprintf(to, "operations %llu to %llu of %llu:\n", (unsigned long long)from, (unsigned long long)prefix,
            (unsigned long long)crash_length(c));
    for (uint64_t i = from; i < prefix; i++) {
        fprintf(to, "  %6llu ", (unsigned long long)i);
        print_op(c, &c->ops[c->start + i], to);
    }
    fprintf(to, "not covered by a sync:\n");
    for (size_t i = 0; i < c->change_count; i++)
        fprintf(to, "  %6llu %s of file %llu%s\n", (unsigned long long)(c->changes[i].op - c->start),
                c->changes[i].is_size ? "size" : "data", (unsigned long long)c->changes[i].node,
                c->changes[i].orphan ? ", its sync failed" : "");
    for (size_t i = 0; i < c->renaming_count; i++) {
        fprintf(to, "  %6llu ", (unsigned long long)(c->renamings[i].op - c->start));
        print_op(c, &c->ops[c->renamings[i].op], to);
    }
}
