/* Tumbling and snapshot windows: at most one is open. */
#include "stream/window.h"

struct single {
    int64_t      begin, end; /* of the open window: (begin, end] */
    bool         open;
    struct keyed groups;
};

static void *make(struct stream *s, const struct op *op, const struct window *w)
{
    struct single *e = mem_zalloc(1, sizeof *e);
    (void)op;
    (void)w;
    if (e)
        e->groups.fold = s->query->options.ignore_case;
    return e;
}

static void give_back(struct stream *s, const struct op *op, void *engine)
{
    struct single *e = engine;
    groups_clear(s, op, &e->groups);
    keyed_clear(&e->groups);
    mem_free(e);
}

static void open_at(struct single *e, const struct window *w, int64_t t)
{
    e->open = true;
    e->end = w->kind == WINDOW_SNAPSHOT ? t : border_end(t, w->size, w->offset);
    e->begin = w->kind == WINDOW_SNAPSHOT ? t - 1 : e->end - w->size;
}

static enum code add(struct stream *s, const struct op *op, const struct window *w, void *engine, const struct batch *b)
{
    struct single *e = engine;
    struct group *g;
    if (!e->open)
        open_at(e, w, b->time);
    TRY(group_find(s, op, &e->groups, b, &g));
    return group_add(s, op, g, b);
}

static int64_t due(const void *engine, const struct window *w)
{
    const struct single *e = engine;
    (void)w;
    return e->open ? e->end : INT64_MAX;
}

static enum code close_window(const struct closing *c, void *engine)
{
    struct single *e = engine;
    enum code code = CODE_OK;
    for (struct keyed_entry *k = e->groups.first; k && code == CODE_OK; k = k->after)
        code = closing_emit_group(c, (struct group *)k);
    groups_clear(c->stream, c->op, &e->groups);
    e->open = false;
    return code;
}

static void save(const struct op *op, const struct window *w, const void *engine, struct buf *out)
{
    const struct single *e = engine;
    (void)w;
    buf_u8(out, e->open);
    buf_le64(out, (uint64_t)e->end);
    groups_save(op, &e->groups, out);
}

static enum code load(struct loader *l, const struct op *op, const struct window *w, void *engine)
{
    struct single *e = engine;
    e->open = load_count(l, 1) != 0;
    e->end = load_time(l);
    if (l->bad || (e->open && (e->end > INT64_MAX / 2 || e->end < INT64_MIN / 2 ||
                               (w->kind == WINDOW_TUMBLING && border_end(e->end, w->size, w->offset) != e->end))))
        return load_bad(l, "a window's end");
    e->begin = w->kind == WINDOW_SNAPSHOT ? e->end - 1 : e->end - w->size;
    if (e->open && (l->now <= e->begin || l->now > e->end))
        return load_bad(l, "a window's end");
    TRY(groups_load(l, op, &e->groups));
    return !e->open && e->groups.count ? load_bad(l, "groups without a window") : CODE_OK;
}

const struct engine_kind engine_single = { make, give_back, add, due, close_window, save, load };
