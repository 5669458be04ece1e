/* GROUP BY: gives each row to its windows, and makes rows of what they close. */
#include "stream/window.h"

#include <stdlib.h>

struct grouping {
    void   **engines;
    int64_t  due;      /* of all; may be too early */
    int64_t  now;      /* how far rows and watermarks have come */
    uint64_t sequence; /* of rows */
    struct value        *keys; /* room for one row */
    struct contribution *values;
};

static const struct engine_kind *engine_of(const struct window *w)
{
    return w->kind == WINDOW_SESSION                                   ? &engine_session
           : w->kind == WINDOW_HOPPING || w->kind == WINDOW_SLIDING ? &engine_paned
                                                                       : &engine_single;
}

/* ---- groups ---- */

enum code group_find(struct stream *s, const struct op *op, struct keyed *table, const struct batch *b, struct group **out)
{
    uint32_t keys = op->group.key_count, accs = op->group.aggregate_count;
    struct group *g = (struct group *)keyed_find(table, b->hash, b->keys, keys);
    *out = g;
    if (g)
        return CODE_OK;
    size_t size = sizeof *g + accs * sizeof *g->accs + keys * sizeof *b->keys + keep_size(b->keys, keys);
    if (!(g = mem_alloc(size)))
        return run_no_memory(s);
    struct acc *list = (struct acc *)(g + 1);
    struct value *copy = (struct value *)(list + accs);
    memset(list, 0, accs * sizeof *list);
    keep_copy(copy, b->keys, keys, (uint8_t *)(copy + keys));
    *g = (struct group){ .entry = { .hash = b->hash, .keys = copy }, .first = b->sequence, .size = size, .accs = list };
    if (keyed_put(table, &g->entry) != CODE_OK) {
        mem_free(g);
        return run_no_memory(s);
    }
    s->groups++;
    s->state_bytes += size;
    *out = g;
    return CODE_OK;
}

enum code group_add(struct stream *s, const struct op *op, struct group *g, const struct batch *b)
{
    for (uint32_t i = 0; i < op->group.aggregate_count; i++)
        TRY(acc_add(s, &op->group.aggregates[i], &g->accs[i], NULL, &b->values[i], b->sequence));
    return CODE_OK;
}

void group_free(struct stream *s, const struct op *op, struct group *g)
{
    for (uint32_t i = 0; i < op->group.aggregate_count; i++)
        acc_free(s, &op->group.aggregates[i], &g->accs[i]);
    s->groups--;
    s->state_bytes -= g->size;
    mem_free(g);
}

void groups_clear(struct stream *s, const struct op *op, struct keyed *table)
{
    for (struct keyed_entry *e = table->first, *next; e; e = next) {
        next = e->after;
        group_free(s, op, (struct group *)e);
    }
    if (table->cap > 1024 && table->cap > 8 * table->count) {
        keyed_clear(table);
        return;
    }
    if (table->cap)
        memset(table->buckets, 0, table->cap * sizeof *table->buckets);
    table->count = 0;
    table->first = table->last = NULL;
}

static int by_first(const void *a, const void *b)
{
    const struct group *x = *(struct group *const *)a, *y = *(struct group *const *)b;
    return x->first < y->first ? -1 : x->first > y->first;
}

void groups_sort(struct group **list, size_t count)
{
    if (count > 1)
        qsort(list, count, sizeof *list, by_first);
}

void groups_save(const struct op *op, const struct keyed *table, struct buf *out)
{
    buf_varint(out, table->count);
    for (struct keyed_entry *e = table->first; e; e = e->after) {
        const struct group *g = (const struct group *)e;
        buf_le64(out, g->first);
        save_values(out, g->entry.keys, op->group.key_count);
        for (uint32_t i = 0; i < op->group.aggregate_count; i++)
            acc_save(&op->group.aggregates[i], &g->accs[i], out);
    }
}

enum code groups_load(struct loader *l, const struct op *op, struct keyed *table)
{
    uint32_t keys = op->group.key_count;
    uint64_t n = load_count(l, UINT32_MAX);
    for (; n && !l->bad; n--) {
        struct arena_mark mark = arena_mark(&l->memory);
        struct batch b = { .sequence = load_u64(l) };
        struct value *v = arena_take(&l->memory, (keys + 1) * sizeof *v);
        struct group *g;
        size_t before = table->count;
        if (!v)
            return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
        TRY(load_values(l, v, keys));
        b.keys = v;
        b.hash = keyed_hash(table, v, keys);
        if (group_find(l->stream, op, table, &b, &g) != CODE_OK)
            return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
        arena_release(&l->memory, mark);
        if (table->count == before)
            return load_bad(l, "a group stands in it twice");
        for (uint32_t i = 0; i < op->group.aggregate_count; i++)
            TRY(acc_load(l, &op->group.aggregates[i], &g->accs[i]));
    }
    return l->bad ? load_bad(l, "groups") : CODE_OK;
}

/* ---- giving out ---- */

enum code closing_emit(const struct closing *c, const struct value *keys, struct acc *const *const *lists, const size_t *counts)
{
    struct stream *s = c->stream;
    const struct op *op = c->op;
    struct arena_mark mark = arena_mark(&s->scratch);
    struct value *slots = run_take(s, op->width, sizeof *slots);
    uint32_t n = op->group.key_count;
    enum code code = slots ? CODE_OK : run_no_memory(s);
    if (slots && n)
        memcpy(slots, keys, n * sizeof *slots);
    for (uint32_t i = 0; i < op->group.aggregate_count && code == CODE_OK; i++)
        code = acc_result(s, &op->group.aggregates[i], lists[i], counts[i], &slots[n + i]);
    struct row row = { slots, c->time };
    bool pass = code == CODE_OK;
    if (pass) {
        slots[op->width - 1] = c->window->named ? value_text(c->window->id) : value_null();
        if (op->group.having) {
            run_at(s, &row);
            code = expr_test(op->group.having, &s->eval, &pass);
        }
    }
    code = code != CODE_OK ? run_failed(s, code) : pass ? run_emit(s, c->lane, op, &row) : CODE_OK;
    arena_release(&s->scratch, mark);
    return code;
}

enum code closing_emit_group(const struct closing *c, const struct group *g)
{
    uint32_t n = c->op->group.aggregate_count;
    struct arena_mark mark = arena_mark(&c->stream->scratch);
    struct acc **accs = run_take(c->stream, n + 1, sizeof *accs);
    struct acc *const **lists = run_take(c->stream, n + 1, sizeof *lists);
    size_t *counts = run_take(c->stream, n + 1, sizeof *counts);
    if (!accs || !lists || !counts)
        return run_no_memory(c->stream);
    for (uint32_t i = 0; i < n; i++) {
        accs[i] = &g->accs[i];
        lists[i] = &accs[i];
        counts[i] = 1;
    }
    enum code code = closing_emit(c, g->entry.keys, lists, counts);
    arena_release(&c->stream->scratch, mark);
    return code;
}

/* ---- the operator ---- */

static void give_back(struct stream *s, const struct op *op, void *state)
{
    struct grouping *g = state;
    for (uint32_t i = 0; g->engines && i < op->group.window_count; i++)
        if (g->engines[i])
            engine_of(&op->group.windows[i])->free(s, op, g->engines[i]);
    mem_free(g->engines);
    mem_free(g->keys);
    mem_free(g->values);
    mem_free(g);
}

static void *make(struct stream *s, const struct op *op)
{
    struct grouping *g = mem_zalloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->due = INT64_MAX;
    g->now = TIME_NONE;
    g->engines = mem_zalloc(op->group.window_count, sizeof *g->engines);
    g->keys = mem_zalloc(op->group.key_count + 1, sizeof *g->keys);
    g->values = mem_zalloc(op->group.aggregate_count + 1, sizeof *g->values);
    bool ok = g->engines && g->keys && g->values;
    for (uint32_t i = 0; ok && i < op->group.window_count; i++)
        ok = (g->engines[i] = engine_of(&op->group.windows[i])->make(s, op, &op->group.windows[i])) != NULL;
    if (ok)
        return g;
    give_back(s, op, g);
    return NULL;
}

static int64_t next_due(const struct grouping *g, const struct op *op, uint32_t *which)
{
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i < op->group.window_count; i++) {
        const struct window *w = &op->group.windows[i];
        int64_t t = engine_of(w)->due(g->engines[i], w);
        if (t < due) {
            due = t;
            *which = i;
        }
    }
    return due;
}

/* All that ends before `mark`, in the order of its ends, then of definition. */
static enum code close_before(struct stream *s, struct lane *l, const struct op *op, struct grouping *g, int64_t mark)
{
    uint32_t which = 0;
    while ((g->due = next_due(g, op, &which)) < mark) {
        const struct window *w = &op->group.windows[which];
        struct closing c = { s, l, op, w, g->due };
        TRY(engine_of(w)->close(&c, g->engines[which]));
    }
    return CODE_OK;
}

static enum code take(struct stream *s, struct lane *l, const struct op *op, void *state, uint32_t port, const struct row *r)
{
    struct grouping *g = state;
    (void)port;
    g->now = r->time > g->now ? r->time : g->now;
    if (g->now > g->due)
        TRY(close_before(s, l, op, g, g->now));
    for (uint32_t i = 0; i < op->group.key_count; i++) {
        enum code code = run_value(s, op->group.keys[i], op->group.key_slots[i], r, &g->keys[i]);
        if (code != CODE_OK)
            return run_failed(s, code);
    }
    enum code code = aggregates_take(s, op, r, g->values);
    if (code != CODE_OK)
        return run_failed(s, code);
    struct batch b = { .time = g->now, .sequence = g->sequence++, .keys = g->keys, .values = g->values, .row = r };
    struct keyed plain = { .fold = s->query->options.ignore_case };
    b.hash = keyed_hash(&plain, b.keys, op->group.key_count);
    for (uint32_t i = 0; i < op->group.window_count; i++) {
        const struct window *w = &op->group.windows[i];
        code = engine_of(w)->add(s, op, w, g->engines[i], &b);
        if (code != CODE_OK)
            return run_failed(s, code);
        int64_t due = engine_of(w)->due(g->engines[i], w);
        g->due = due < g->due ? due : g->due;
    }
    return CODE_OK;
}

static enum code advance(struct stream *s, struct lane *l, const struct op *op, void *state, uint32_t port, int64_t mark)
{
    struct grouping *g = state;
    (void)port;
    if (mark > g->due)
        TRY(close_before(s, l, op, g, mark));
    g->now = mark > g->now ? mark : g->now;
    return run_advance_outs(s, l, op, mark);
}

static int64_t due(const void *state)
{
    return ((const struct grouping *)state)->due;
}

static void save(const struct stream *s, const struct op *op, const void *state, struct buf *out)
{
    const struct grouping *g = state;
    (void)s;
    buf_le64(out, g->sequence);
    buf_le64(out, (uint64_t)g->now);
    for (uint32_t i = 0; i < op->group.window_count; i++)
        engine_of(&op->group.windows[i])->save(op, &op->group.windows[i], g->engines[i], out);
}

static enum code load(struct loader *l, const struct op *op, void *state)
{
    struct grouping *g = state;
    g->sequence = load_u64(l);
    g->now = l->now = load_time(l);
    if (g->now > INT64_MAX / 2 && !l->stream->ended)
        return load_bad(l, "how far a window has come");
    for (uint32_t i = 0; i < op->group.window_count; i++)
        TRY(engine_of(&op->group.windows[i])->load(l, op, &op->group.windows[i], g->engines[i]));
    uint32_t which;
    g->due = next_due(g, op, &which);
    return CODE_OK;
}

const struct operator_kind operator_group = { make, give_back, take, advance, due, save, load };
