/* Session windows: one session for all rows, or one for each key of OVER (PARTITION BY ...); the group keys divide its rows. It ends when
 * nothing came for the time-out, or at a multiple of the longest duration if it is as long by then; the next one begins there. */
#include "stream/window.h"

struct session {
    struct keyed_entry entry; /* PARTITION BY */
    int64_t            start, last;
    int64_t            queued; /* its place in the heap: not behind its end */
    size_t             size, at; /* at: index in the heap */
    struct keyed       groups;
};
struct sessions {
    struct keyed     table;
    struct session **heap; /* by queued */
    size_t           count, room;
};

static void *make(struct stream *s, const struct op *op, const struct window *w)
{
    struct sessions *e = mem_zalloc(1, sizeof *e);
    (void)op;
    (void)w;
    if (e)
        e->table.fold = s->query->options.ignore_case;
    return e;
}

static void session_free(struct stream *s, const struct op *op, struct session *x)
{
    groups_clear(s, op, &x->groups);
    keyed_clear(&x->groups);
    s->state_bytes -= x->size;
    mem_free(x);
}

static void give_back(struct stream *s, const struct op *op, void *engine)
{
    struct sessions *e = engine;
    for (struct keyed_entry *k = e->table.first, *next; k; k = next) {
        next = k->after;
        session_free(s, op, (struct session *)k);
    }
    keyed_clear(&e->table);
    mem_free(e->heap);
    mem_free(e);
}

/* ---- the heap ---- */

static void put_at(struct sessions *e, size_t i, struct session *x)
{
    e->heap[i] = x;
    x->at = i;
}

static void sift_up(struct sessions *e, size_t i, struct session *x)
{
    for (; i && x->queued < e->heap[(i - 1) / 2]->queued; i = (i - 1) / 2)
        put_at(e, i, e->heap[(i - 1) / 2]);
    put_at(e, i, x);
}

static void sift_down(struct sessions *e, size_t i, struct session *x)
{
    for (;;) {
        size_t c = 2 * i + 1;
        if (c >= e->count)
            break;
        if (c + 1 < e->count && e->heap[c + 1]->queued < e->heap[c]->queued)
            c++;
        if (x->queued <= e->heap[c]->queued)
            break;
        put_at(e, i, e->heap[c]);
        i = c;
    }
    put_at(e, i, x);
}

static enum code heap_put(struct sessions *e, struct session *x)
{
    if (e->count == e->room) {
        size_t room = e->room ? 2 * e->room : 16;
        struct session **more = mem_realloc(e->heap, room * sizeof *more);
        if (!more)
            return CODE_NOMEM;
        e->heap = more;
        e->room = room;
    }
    sift_up(e, e->count++, x);
    return CODE_OK;
}

static void heap_remove_top(struct sessions *e)
{
    struct session *last = e->heap[--e->count];
    if (e->count)
        sift_down(e, 0, last);
}

/* ---- sessions ---- */

static int64_t end_of(const struct session *x, const struct window *w)
{
    int64_t mark = border_end(x->start + w->hop, w->hop, 0), silence = x->last + w->size;
    return mark < silence ? mark : silence;
}

static enum code find(struct stream *s, const struct window *w, struct sessions *e, const struct value *keys, uint64_t hash,
                      struct session **out)
{
    uint32_t n = w->key_count;
    struct session *x = (struct session *)keyed_find(&e->table, hash, keys, n);
    *out = x;
    if (x)
        return CODE_OK;
    size_t size = sizeof *x + n * sizeof *keys + keep_size(keys, n);
    if (!(x = mem_zalloc(1, size)))
        return run_no_memory(s);
    struct value *copy = (struct value *)(x + 1);
    keep_copy(copy, keys, n, (uint8_t *)(copy + n));
    x->entry = (struct keyed_entry){ .hash = hash, .keys = copy };
    x->size = size;
    x->groups.fold = e->table.fold;
    x->queued = INT64_MAX;
    if (keyed_put(&e->table, &x->entry) != CODE_OK) {
        mem_free(x);
        return run_no_memory(s);
    }
    s->state_bytes += size;
    *out = x;
    return CODE_OK;
}

static enum code add(struct stream *s, const struct op *op, const struct window *w, void *engine, const struct batch *b)
{
    struct sessions *e = engine;
    struct session *x;
    struct group *g;
    struct value *keys = run_take(s, w->key_count + 1, sizeof *keys);
    if (!keys)
        return run_no_memory(s);
    for (uint32_t i = 0; i < w->key_count; i++) {
        enum code code = run_value(s, w->keys[i], -1, b->row, &keys[i]);
        if (code != CODE_OK)
            return code;
    }
    TRY(find(s, w, e, keys, keyed_hash(&e->table, keys, w->key_count), &x));
    if (x->queued == INT64_MAX) {
        x->start = x->last = b->time;
        x->queued = end_of(x, w);
        if (heap_put(e, x) != CODE_OK)
            return run_no_memory(s);
    }
    x->last = b->time;
    TRY(group_find(s, op, &x->groups, b, &g));
    return group_add(s, op, g, b);
}

static int64_t due(const void *engine, const struct window *w)
{
    const struct sessions *e = engine;
    (void)w;
    return e->count ? e->heap[0]->queued : INT64_MAX;
}

static enum code emit_all(const struct closing *c, struct session **list, size_t count)
{
    struct stream *s = c->stream;
    size_t n = 0, at = 0;
    for (size_t i = 0; i < count; i++)
        n += list[i]->groups.count;
    struct group **groups = mem_alloc((n + 1) * sizeof *groups);
    if (!groups)
        return run_no_memory(s);
    for (size_t i = 0; i < count; i++)
        for (struct keyed_entry *k = list[i]->groups.first; k; k = k->after)
            groups[at++] = (struct group *)k;
    groups_sort(groups, n);
    enum code code = CODE_OK;
    for (size_t i = 0; i < n && code == CODE_OK; i++)
        code = closing_emit_group(c, groups[i]);
    mem_free(groups);
    return code;
}

/* Ended at c->time: begun anew there if it was cut and its time-out runs on, else gone. */
static enum code after_end(const struct closing *c, struct sessions *e, struct session *x)
{
    bool cut = border_end(x->start + c->window->hop, c->window->hop, 0) == c->time;
    groups_clear(c->stream, c->op, &x->groups);
    if (!cut || x->last + c->window->size < c->time) {
        keyed_remove(&e->table, &x->entry);
        session_free(c->stream, c->op, x);
        return CODE_OK;
    }
    x->start = c->time;
    x->queued = end_of(x, c->window);
    return heap_put(e, x) == CODE_OK ? CODE_OK : run_no_memory(c->stream);
}

static enum code close_sessions(const struct closing *c, void *engine)
{
    struct sessions *e = engine;
    struct session **list = mem_alloc((e->count + 1) * sizeof *list);
    size_t n = 0;
    if (!list)
        return run_no_memory(c->stream);
    while (e->count && e->heap[0]->queued == c->time) {
        struct session *x = e->heap[0];
        int64_t end = end_of(x, c->window);
        if (end > c->time) { /* events came since it was queued */
            x->queued = end;
            sift_down(e, 0, x);
            continue;
        }
        heap_remove_top(e);
        list[n++] = x;
    }
    enum code code = n ? emit_all(c, list, n) : CODE_OK;
    for (size_t i = 0; i < n; i++) {
        enum code after = after_end(c, e, list[i]);
        code = code != CODE_OK ? code : after;
    }
    mem_free(list);
    return code;
}

/* ---- state ---- */

static void save(const struct op *op, const struct window *w, const void *engine, struct buf *out)
{
    const struct sessions *e = engine;
    buf_varint(out, e->table.count);
    for (struct keyed_entry *k = e->table.first; k; k = k->after) {
        const struct session *x = (const struct session *)k;
        save_values(out, k->keys, w->key_count);
        buf_le64(out, (uint64_t)x->start);
        buf_le64(out, (uint64_t)x->last);
        groups_save(op, &x->groups, out);
    }
}

static bool in_range(int64_t t)
{
    return t > INT64_MIN / 2 && t < INT64_MAX / 2;
}

static enum code load(struct loader *l, const struct op *op, const struct window *w, void *engine)
{
    struct sessions *e = engine;
    uint64_t n = load_count(l, UINT32_MAX);
    for (; n && !l->bad; n--) {
        struct session *x;
        struct arena_mark mark = arena_mark(&l->memory);
        struct value *keys = arena_take(&l->memory, (w->key_count + 1) * sizeof *keys);
        if (!keys)
            return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
        TRY(load_values(l, keys, w->key_count));
        if (find(l->stream, w, e, keys, keyed_hash(&e->table, keys, w->key_count), &x) != CODE_OK)
            return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
        arena_release(&l->memory, mark);
        if (x->queued != INT64_MAX)
            return load_bad(l, "a session stands in it twice");
        x->start = load_time(l);
        x->last = load_time(l);
        if (l->bad || !in_range(x->start) || !in_range(x->last) || x->start > l->now || x->last > l->now)
            return load_bad(l, "a session's time");
        /* Open now, so neither longer than it can be nor silent for longer than its time-out. */
        if (x->start < l->now - 2 * w->hop - w->size || x->last + w->size < x->start || x->last + w->size < l->now - w->hop)
            return load_bad(l, "a session's time");
        x->queued = end_of(x, w);
        if (heap_put(e, x) != CODE_OK)
            return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
        TRY(groups_load(l, op, &x->groups));
    }
    return l->bad ? load_bad(l, "sessions") : CODE_OK;
}

const struct engine_kind engine_session = { make, give_back, add, due, close_sessions, save, load };
