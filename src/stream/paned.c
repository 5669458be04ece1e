/* Hopping and sliding windows. A group's rows lie in panes, oldest first, that are cut so that every window is a run of panes: for sliding
 * windows at each event's time, for hopping ones at every end and every beginning. A window's result is the merge of its panes.
 *
 * So that a moving window costs the same whatever it holds, panes are two stacks for what merges without its items (sums, counts,
 * extremes): the older ones, `front`, know the merge of themselves and all front panes behind them; `back` is the running sum of the
 * rest. When the last front pane has left, all panes become front. */
#include "stream/window.h"

#include <math.h>
#include <stdlib.h>

struct pane {
    int64_t       time;  /* its upper border */
    uint64_t      first; /* sequence of its first row */
    struct pane  *next;
    struct pane  *next_exit; /* sliding: of all groups, in the order of time */
    struct moving *owner;
    struct kept  *keys;  /* as its first row spelled them; NULL: as the group's */
    struct acc   *accs, *suffix; /* own, and merged with the front panes behind it */
};
struct moving { /* a group; its accs are the running sums of `back` and own nothing */
    struct group  group;
    struct pane  *head, *tail;
    size_t        panes, front;
    bool          dirty; /* sliding: has an event at the current time */
};
struct paned {
    struct keyed   groups;
    int64_t        end;          /* hopping: the next end; INT64_MAX: none */
    struct pane   *exit_first, *exit_last;
    struct moving **dirty;       /* sliding: groups with an event at dirty_time */
    size_t         dirty_count, dirty_room;
    int64_t        dirty_time;
};

static void *make(struct stream *s, const struct op *op, const struct window *w)
{
    struct paned *e = mem_zalloc(1, sizeof *e);
    (void)op;
    (void)w;
    if (e) {
        e->groups.fold = s->query->options.ignore_case;
        e->end = INT64_MAX;
    }
    return e;
}

static size_t pane_size(const struct op *op)
{
    return sizeof(struct pane) + 2 * op->group.aggregate_count * sizeof(struct acc);
}

static void pane_free(struct stream *s, const struct op *op, struct pane *p)
{
    for (uint32_t i = 0; i < op->group.aggregate_count; i++)
        acc_free(s, &op->group.aggregates[i], &p->accs[i]);
    kept_free(s, p->keys);
    s->state_bytes -= pane_size(op);
    mem_free(p);
}

static void moving_free(struct stream *s, const struct op *op, struct moving *m)
{
    for (struct pane *p = m->head, *next; p; p = next) {
        next = p->next;
        pane_free(s, op, p);
    }
    s->groups--;
    s->state_bytes -= m->group.size;
    mem_free(m);
}

static void give_back(struct stream *s, const struct op *op, void *engine)
{
    struct paned *e = engine;
    for (struct keyed_entry *k = e->groups.first, *next; k; k = next) {
        next = k->after;
        moving_free(s, op, (struct moving *)k);
    }
    keyed_clear(&e->groups);
    mem_free(e->dirty);
    mem_free(e);
}

/* ---- rows ---- */

static enum code find(struct stream *s, const struct op *op, struct keyed *table, const struct batch *b, struct moving **out)
{
    uint32_t keys = op->group.key_count, accs = op->group.aggregate_count;
    struct moving *m = (struct moving *)keyed_find(table, b->hash, b->keys, keys);
    *out = m;
    if (m)
        return CODE_OK;
    size_t size = sizeof *m + accs * sizeof(struct acc) + keys * sizeof *b->keys + keep_size(b->keys, keys);
    if (!(m = mem_alloc(size)))
        return run_no_memory(s);
    struct acc *list = (struct acc *)(m + 1);
    struct value *copy = (struct value *)(list + accs);
    memset(list, 0, accs * sizeof *list);
    keep_copy(copy, b->keys, keys, (uint8_t *)(copy + keys));
    *m = (struct moving){ .group = { .entry = { .hash = b->hash, .keys = copy }, .size = size, .accs = list } };
    if (keyed_put(table, &m->group.entry) != CODE_OK) {
        mem_free(m);
        return run_no_memory(s);
    }
    s->groups++;
    s->state_bytes += size;
    *out = m;
    return CODE_OK;
}

/* 1 and 1.0 are one group; a window spells its keys as its own first row did. */
static bool same_spelling(const struct value *a, const struct value *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (a[i].type != b[i].type || (a[i].type == VALUE_TEXT && memcmp(a[i].text, b[i].text, a[i].len) != 0) ||
            (a[i].type == VALUE_FLOAT && signbit(a[i].f) != signbit(b[i].f)) || a[i].type > VALUE_TEXT)
            return false;
    return true;
}

/* The pane that ends at `time`, which is the last one or behind it. */
static enum code find_pane(struct stream *s, const struct op *op, struct moving *m, int64_t time, uint64_t first,
                           const struct value *keys, struct pane **out)
{
    *out = m->tail;
    if (m->tail && m->tail->time >= time)
        return CODE_OK;
    struct pane *p = mem_zalloc(1, pane_size(op));
    if (!p)
        return run_no_memory(s);
    if (!same_spelling(keys, m->group.entry.keys, op->group.key_count) && !(p->keys = kept_make(s, keys, op->group.key_count, 0))) {
        mem_free(p);
        return run_no_memory(s);
    }
    s->state_bytes += pane_size(op);
    p->time = time;
    p->first = first;
    p->owner = m;
    p->accs = (struct acc *)(p + 1);
    p->suffix = p->accs + op->group.aggregate_count;
    *(m->tail ? &m->tail->next : &m->head) = p;
    m->tail = p;
    m->panes++;
    *out = p;
    return CODE_OK;
}

static void queue_exit(struct paned *e, struct pane *p)
{
    *(e->exit_last ? &e->exit_last->next_exit : &e->exit_first) = p;
    e->exit_last = p;
}

static enum code mark_dirty(struct stream *s, struct paned *e, struct moving *m, int64_t time)
{
    e->dirty_time = time;
    if (m->dirty)
        return CODE_OK;
    if (e->dirty_count == e->dirty_room) {
        size_t room = e->dirty_room ? 2 * e->dirty_room : 16;
        struct moving **more = mem_realloc(e->dirty, room * sizeof *more);
        if (!more)
            return run_no_memory(s);
        e->dirty = more;
        e->dirty_room = room;
    }
    m->dirty = true;
    e->dirty[e->dirty_count++] = m;
    return CODE_OK;
}

/* Hopping: the border at or behind t, of ends and of beginnings. INT64_MIN: no window holds t. */
static int64_t border_of(const struct window *w, int64_t t)
{
    int64_t end = border_end(t, w->hop, w->offset);
    int64_t begin = border_end(t, w->hop, w->offset - w->size % w->hop);
    int64_t border = end < begin ? end : begin;
    return end - w->size >= border ? INT64_MIN : border;
}

static enum code add_to_pane(struct stream *s, const struct op *op, struct moving *m, struct pane *p, const struct batch *b)
{
    for (uint32_t i = 0; i < op->group.aggregate_count; i++) {
        const struct aggregate *g = &op->group.aggregates[i];
        TRY(acc_add(s, g, &p->accs[i], acc_is_scalar(g) ? &m->group.accs[i] : NULL, &b->values[i], b->sequence));
    }
    return CODE_OK;
}

static enum code add(struct stream *s, const struct op *op, const struct window *w, void *engine, const struct batch *b)
{
    struct paned *e = engine;
    struct moving *m;
    struct pane *p;
    bool sliding = w->kind == WINDOW_SLIDING;
    int64_t time = sliding ? b->time : border_of(w, b->time);
    if (time == INT64_MIN)
        return CODE_OK;
    TRY(find(s, op, &e->groups, b, &m));
    size_t panes = m->panes;
    TRY(find_pane(s, op, m, time, b->sequence, b->keys, &p));
    if (sliding && m->panes != panes)
        queue_exit(e, p);
    if (sliding)
        TRY(mark_dirty(s, e, m, b->time));
    else if (e->end == INT64_MAX)
        e->end = border_end(b->time, w->hop, w->offset);
    return add_to_pane(s, op, m, p, b);
}

/* ---- the moving merge ---- */

static void clear_back(const struct op *op, struct moving *m)
{
    memset(m->group.accs, 0, op->group.aggregate_count * sizeof *m->group.accs);
}

/* Merges from the newest of the first `front` panes to the oldest. */
static enum code make_front(struct stream *s, const struct op *op, struct moving *m)
{
    struct pane **list = mem_alloc((m->front + 1) * sizeof *list), *p = m->head;
    if (!list)
        return run_no_memory(s);
    for (size_t i = 0; i < m->front; i++, p = p->next)
        list[i] = p;
    for (size_t i = m->front; i-- > 0;)
        for (uint32_t k = 0; k < op->group.aggregate_count; k++) {
            const struct aggregate *g = &op->group.aggregates[k];
            list[i]->suffix[k] = (struct acc){ 0 };
            if (!acc_is_scalar(g))
                continue;
            acc_merge(s, g, &list[i]->suffix[k], &list[i]->accs[k]);
            if (i + 1 < m->front)
                acc_merge(s, g, &list[i]->suffix[k], &list[i + 1]->suffix[k]);
        }
    mem_free(list);
    return CODE_OK;
}

static enum code flip(struct stream *s, const struct op *op, struct moving *m)
{
    m->front = m->panes;
    clear_back(op, m);
    return make_front(s, op, m);
}

static enum code evict(struct stream *s, const struct op *op, struct moving *m, int64_t until)
{
    while (m->head && m->head->time <= until) {
        if (!m->front)
            TRY(flip(s, op, m));
        struct pane *p = m->head;
        m->head = p->next;
        if (!m->head)
            m->tail = NULL;
        m->panes--;
        m->front--;
        pane_free(s, op, p);
    }
    return CODE_OK;
}

static enum code emit(const struct closing *c, struct moving *m)
{
    struct stream *s = c->stream;
    const struct op *op = c->op;
    uint32_t n = op->group.aggregate_count;
    struct arena_mark mark = arena_mark(&s->scratch);
    struct acc *merged = run_take(s, n + 1, sizeof *merged), **all = run_take(s, m->panes * n + 1, sizeof *all);
    struct acc *const **lists = run_take(s, n + 1, sizeof *lists);
    size_t *counts = run_take(s, n + 1, sizeof *counts);
    if (!merged || !all || !lists || !counts)
        return run_no_memory(s);
    for (uint32_t i = 0; i < n; i++) {
        const struct aggregate *g = &op->group.aggregates[i];
        struct acc **list = all + i * m->panes;
        size_t k = 0;
        lists[i] = list;
        if (acc_is_scalar(g)) {
            merged[i] = m->front ? m->head->suffix[i] : (struct acc){ 0 };
            acc_merge(s, g, &merged[i], &m->group.accs[i]);
            list[k++] = &merged[i];
        } else {
            for (struct pane *p = m->head; p; p = p->next)
                list[k++] = &p->accs[i];
        }
        counts[i] = k;
    }
    enum code code = closing_emit(c, m->head->keys ? m->head->keys->values : m->group.entry.keys, lists, counts);
    arena_release(&s->scratch, mark);
    return code;
}

/* Groups with panes give a row, in the order of their first rows; groups without are freed. */
static enum code emit_groups(const struct closing *c, struct paned *e, struct moving **list, size_t count)
{
    enum code code = CODE_OK;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct moving *m = list[i];
        m->dirty = false;
        if (!m->head) {
            keyed_remove(&e->groups, &m->group.entry);
            moving_free(c->stream, c->op, m);
            continue;
        }
        m->group.first = m->head->first;
        list[n++] = m;
    }
    groups_sort((struct group **)list, n);
    for (size_t i = 0; i < n && code == CODE_OK; i++)
        code = emit(c, list[i]);
    return code;
}

static int64_t due(const void *engine, const struct window *w)
{
    const struct paned *e = engine;
    if (w->kind == WINDOW_HOPPING)
        return e->end;
    int64_t out = e->exit_first ? e->exit_first->time + w->size : INT64_MAX;
    return e->dirty_count && e->dirty_time < out ? e->dirty_time : out;
}

static enum code close_hopping(const struct closing *c, struct paned *e)
{
    const struct window *w = c->window;
    struct moving **list = mem_alloc((e->groups.count + 1) * sizeof *list);
    size_t n = 0;
    enum code code = CODE_OK;
    if (!list)
        return run_no_memory(c->stream);
    for (struct keyed_entry *k = e->groups.first; k; k = k->after)
        list[n++] = (struct moving *)k;
    for (size_t i = 0; i < n && code == CODE_OK; i++)
        code = evict(c->stream, c->op, list[i], c->time - w->size);
    if (code == CODE_OK)
        code = emit_groups(c, e, list, n);
    /* Whoever will have left by the next end is freed now. */
    n = 0;
    for (struct keyed_entry *k = e->groups.first; k; k = k->after)
        if (((struct moving *)k)->tail->time <= c->time + w->hop - w->size)
            list[n++] = (struct moving *)k;
    for (size_t i = 0; i < n; i++) {
        keyed_remove(&e->groups, &list[i]->group.entry);
        moving_free(c->stream, c->op, list[i]);
    }
    e->end = e->groups.count ? c->time + w->hop : INT64_MAX;
    mem_free(list);
    return code;
}

static enum code close_sliding(const struct closing *c, struct paned *e)
{
    enum code code = CODE_OK;
    int64_t until = c->time - c->window->size;
    while (e->exit_first && e->exit_first->time <= until && code == CODE_OK) {
        struct pane *p = e->exit_first;
        struct moving *m = p->owner;
        int64_t dirty_time = e->dirty_time;
        e->exit_first = p->next_exit;
        if (!e->exit_first)
            e->exit_last = NULL;
        code = mark_dirty(c->stream, e, m, dirty_time);
        if (code == CODE_OK)
            code = evict(c->stream, c->op, m, until);
    }
    if (code == CODE_OK)
        code = emit_groups(c, e, e->dirty, e->dirty_count);
    e->dirty_count = 0;
    return code;
}

static enum code close_window(const struct closing *c, void *engine)
{
    struct paned *e = engine;
    return c->window->kind == WINDOW_SLIDING ? close_sliding(c, e) : close_hopping(c, e);
}

/* ---- state ---- */

static void save(const struct op *op, const struct window *w, const void *engine, struct buf *out)
{
    const struct paned *e = engine;
    uint32_t n = op->group.aggregate_count;
    (void)w;
    buf_le64(out, (uint64_t)e->end);
    buf_le64(out, (uint64_t)e->dirty_time);
    buf_varint(out, e->groups.count);
    for (struct keyed_entry *k = e->groups.first; k; k = k->after) {
        const struct moving *m = (const struct moving *)k;
        save_values(out, k->keys, op->group.key_count);
        buf_u8(out, m->dirty);
        buf_varint(out, m->panes);
        buf_varint(out, m->front);
        for (uint32_t i = 0; i < n; i++) /* running sums: what they borrow is found again */
            if (acc_is_scalar(&op->group.aggregates[i]))
                acc_save_sums(&op->group.aggregates[i], &m->group.accs[i], out);
        for (const struct pane *p = m->head; p; p = p->next) {
            buf_le64(out, (uint64_t)p->time);
            buf_le64(out, p->first);
            save_values(out, p->keys ? p->keys->values : k->keys, op->group.key_count);
            for (uint32_t i = 0; i < n; i++)
                acc_save(&op->group.aggregates[i], &p->accs[i], out);
        }
    }
}

static enum code load_panes(struct loader *l, const struct op *op, const struct window *w, struct paned *e, struct moving *m, uint64_t panes,
                            uint64_t front)
{
    uint32_t n = op->group.key_count;
    struct value *keys = arena_take(&l->memory, (n + 1) * sizeof *keys);
    if (!keys)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    for (uint64_t i = 0; i < panes && !l->bad; i++) {
        struct pane *p;
        int64_t time = load_time(l), before = m->tail ? m->tail->time : INT64_MIN / 2;
        uint64_t first = load_u64(l);
        if (l->bad || time <= before || time > INT64_MAX / 2 || (w->kind == WINDOW_HOPPING && time > e->end) || (w->kind == WINDOW_SLIDING && time > l->now))
            return load_bad(l, "a pane's time");
        TRY(load_values(l, keys, n));
        if (!keyed_equal(&e->groups, keys, m->group.entry.keys, n))
            return load_bad(l, "a pane's keys");
        if (i < front && time >= l->now) /* what is merged takes no more rows */
            return load_bad(l, "a pane's time");
        if (find_pane(l->stream, op, m, time, first, keys, &p) != CODE_OK)
            return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
        for (uint32_t k = 0; k < op->group.aggregate_count; k++)
            TRY(acc_load(l, &op->group.aggregates[k], &p->accs[k]));
    }
    return CODE_OK;
}

/* What the running sums borrow: the best of the panes behind the front ones. */
static void borrow(struct loader *l, const struct op *op, struct moving *m)
{
    struct pane *p = m->head;
    for (size_t i = 0; i < m->front; i++)
        p = p->next;
    for (; p; p = p->next)
        for (uint32_t k = 0; k < op->group.aggregate_count; k++) {
            const struct aggregate *g = &op->group.aggregates[k];
            if (g->kind == AGGREGATE_MIN || g->kind == AGGREGATE_MAX || g->kind == AGGREGATE_TOP_ONE) {
                struct acc best = { .first = m->group.accs[k].first };
                acc_merge(l->stream, g, &best, &p->accs[k]);
                m->group.accs[k].first = best.first;
            }
        }
}

static enum code load_group(struct loader *l, const struct op *op, const struct window *w, struct paned *e)
{
    struct arena_mark mark = arena_mark(&l->memory);
    uint32_t keys = op->group.key_count;
    size_t before = e->groups.count;
    struct value *v = arena_take(&l->memory, (keys + 1) * sizeof *v);
    struct moving *m;
    if (!v)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    TRY(load_values(l, v, keys));
    struct batch b = { .keys = v, .hash = keyed_hash(&e->groups, v, keys) };
    if (find(l->stream, op, &e->groups, &b, &m) != CODE_OK)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    if (e->groups.count == before)
        return load_bad(l, "a group stands in it twice");
    bool dirty = load_count(l, 1) != 0;
    uint64_t panes = load_count(l, UINT32_MAX), front = load_count(l, panes);
    for (uint32_t i = 0; i < op->group.aggregate_count; i++)
        if (acc_is_scalar(&op->group.aggregates[i]))
            TRY(acc_load_sums(l, &op->group.aggregates[i], &m->group.accs[i]));
    TRY(load_panes(l, op, w, e, m, panes, front));
    if (l->bad || !m->head)
        return load_bad(l, "a group without panes");
    m->front = (size_t)front;
    arena_release(&l->memory, mark);
    if (make_front(l->stream, op, m) != CODE_OK)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    borrow(l, op, m);
    if (dirty && (w->kind != WINDOW_SLIDING || m->tail->time != e->dirty_time))
        return load_bad(l, "a group's last event");
    if (dirty && mark_dirty(l->stream, e, m, e->dirty_time) != CODE_OK)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    return CODE_OK;
}

static int by_time(const void *a, const void *b)
{
    const struct pane *x = *(struct pane *const *)a, *y = *(struct pane *const *)b;
    return x->time != y->time ? (x->time < y->time ? -1 : 1) : x->first < y->first ? -1 : x->first > y->first;
}

static enum code queue_exits(struct loader *l, struct paned *e)
{
    size_t n = 0, at = 0;
    for (struct keyed_entry *k = e->groups.first; k; k = k->after)
        n += ((struct moving *)k)->panes;
    struct pane **list = mem_alloc((n + 1) * sizeof *list);
    if (!list)
        return FAIL(l->why, CODE_NOMEM, 0, "no memory for the saved state");
    for (struct keyed_entry *k = e->groups.first; k; k = k->after)
        for (struct pane *p = ((struct moving *)k)->head; p; p = p->next)
            list[at++] = p;
    qsort(list, n, sizeof *list, by_time);
    for (size_t i = 0; i < n; i++)
        queue_exit(e, list[i]);
    mem_free(list);
    return CODE_OK;
}

static enum code load(struct loader *l, const struct op *op, const struct window *w, void *engine)
{
    struct paned *e = engine;
    e->end = load_time(l);
    e->dirty_time = load_time(l);
    uint64_t n = load_count(l, UINT32_MAX);
    if (!l->bad && w->kind == WINDOW_HOPPING &&
        ((n == 0) != (e->end == INT64_MAX) ||
         (n && (l->now > INT64_MAX / 2 || l->now < INT64_MIN / 2 || border_end(l->now, w->hop, w->offset) != e->end))))
        return load_bad(l, "a window's end");
    for (; n && !l->bad; n--)
        TRY(load_group(l, op, w, e));
    if (l->bad)
        return load_bad(l, "groups");
    return w->kind == WINDOW_SLIDING ? queue_exits(l, e) : CODE_OK;
}

const struct engine_kind engine_paned = { make, give_back, add, due, close_window, save, load };
