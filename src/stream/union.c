/* Several streams as one, in the order of their times; equal times in the order of the ports. A row leaves when no port can bring an
 * earlier one. */
#include "stream/merge.h"

struct merging {
    struct merge merge;
    int64_t      told;
};

static void *make(struct stream *s, const struct op *op)
{
    (void)s;
    struct merging *m = mem_zalloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->told = TIME_NONE;
    if (merge_make(&m->merge, op->ports) == CODE_OK)
        return m;
    mem_free(m);
    return NULL;
}

static void give_back(struct stream *s, const struct op *op, void *state)
{
    struct merging *m = state;
    (void)op;
    merge_free(s, &m->merge);
    mem_free(m);
}

static enum code take(struct stream *s, struct lane *l, const struct op *op, void *state, uint32_t port, const struct row *r)
{
    struct merging *m = state;
    (void)l;
    return merge_put(s, &m->merge, port, r, op->both.widths[port]);
}

static enum code advance(struct stream *s, struct lane *l, const struct op *op, void *state, uint32_t port, int64_t mark)
{
    struct merging *m = state;
    int64_t all = merge_mark(&m->merge, port, mark);
    for (struct kept *k; (k = merge_next(s, &m->merge, all));) {
        struct row row = { k->values, k->time };
        struct arena_mark before = arena_mark(&s->scratch);
        enum code code = op->both.split ? run_row(s, l, op->outs[k->port].op, op->outs[k->port].port, &row) : run_emit(s, l, op, &row);
        arena_release(&s->scratch, before);
        kept_free(s, k);
        if (code != CODE_OK)
            return code;
    }
    if (all <= m->told)
        return CODE_OK;
    m->told = all;
    return run_advance_outs(s, l, op, all);
}

static int64_t due(const void *state)
{
    return merge_due(&((const struct merging *)state)->merge);
}

static void save(const struct stream *s, const struct op *op, const void *state, struct buf *out)
{
    const struct merging *m = state;
    (void)s;
    (void)op;
    buf_le64(out, (uint64_t)m->told);
    merge_save(&m->merge, out);
}

static enum code load(struct loader *l, const struct op *op, void *state)
{
    struct merging *m = state;
    m->told = load_time(l);
    return merge_load(l, &m->merge, op->both.widths);
}

const struct operator_kind operator_union = {
    .make = make, .free = give_back, .row = take, .advance = advance, .due = due, .save = save, .load = load,
};
