/* How rows and watermarks pass from operator to operator. */
#include "stream/run.h"

#include <stdarg.h>
#include <stdio.h>

static const struct operator_kind *const kinds[] = {
    [OP_READER] = &operator_reader, [OP_EXTEND] = &operator_extend, [OP_JOIN] = &operator_join,
    [OP_GROUP] = &operator_group,   [OP_UNION] = &operator_union,   [OP_WRITE] = NULL, /* the others have no state */
};

const struct operator_kind *run_kind(const struct op *op)
{
    return kinds[op->kind];
}

void run_trouble(struct stream *s, const char *name, const char *fmt, ...)
{
    char text[240];
    va_list ap;
    if (!s->sink.trouble)
        return;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    s->sink.trouble(s->sink.ctx, name, text);
}

enum code run_no_memory(struct stream *s)
{
    return FAIL(&s->eval.why, CODE_NOMEM, 0, "no memory for the rows of a query");
}

void *run_take(struct stream *s, size_t count, size_t size)
{
    return arena_take(&s->scratch, count * size);
}

enum code run_failed(struct stream *s, enum code code)
{
    if (code != CODE_MALFORMED)
        return code;
    s->stats.wrong_type++;
    run_trouble(s, "EvaluationError", "%s", s->eval.why.text);
    return s->query->options.stop_on_error ? CODE_MALFORMED : CODE_OK;
}

enum code run_emit(struct stream *s, struct lane *l, const struct op *op, const struct row *r)
{
    for (uint32_t i = 0; i < op->out_count; i++)
        TRY(run_row(s, l, op->outs[i].op, op->outs[i].port, r));
    return CODE_OK;
}

enum code run_advance_outs(struct stream *s, struct lane *l, const struct op *op, int64_t mark)
{
    for (uint32_t i = 0; i < op->out_count; i++)
        TRY(run_advance(s, l, op->outs[i].op, op->outs[i].port, mark));
    return CODE_OK;
}

static enum code filter_row(struct stream *s, struct lane *l, const struct op *op, const struct row *r)
{
    bool pass;
    run_at(s, r);
    enum code code = expr_test(op->filter.test, &s->eval, &pass);
    if (code != CODE_OK)
        return run_failed(s, code);
    return pass ? run_emit(s, l, op, r) : CODE_OK;
}

static enum code project_row(struct stream *s, struct lane *l, const struct op *op, const struct row *r)
{
    struct value *slots = run_take(s, op->width, sizeof *slots);
    if (!slots)
        return run_no_memory(s);
    for (uint32_t i = 0; i < op->width; i++) {
        const struct column *c = &op->project.at[i];
        enum code code = c->e ? run_value(s, c->e, c->slot, r, &slots[i]) : columns_record(s, op->project.whole, r, &slots[i]);
        if (code != CODE_OK)
            return run_failed(s, code);
    }
    struct row out = { slots, r->time };
    return run_emit(s, l, op, &out);
}

static enum code write_row(struct stream *s, const struct op *op, const struct row *r)
{
    buf_reset(&s->line);
    enum code code = columns_write(s, &op->write.columns, r, &s->line);
    if (code != CODE_OK)
        return run_failed(s, code);
    if (s->line.bad)
        return run_no_memory(s);
    s->stats.rows++;
    struct stream_row out = { .output = op->write.output, .time = r->time, .json = buf_bytes(&s->line) };
    s->sink.row(s->sink.ctx, &out);
    return CODE_OK;
}

enum code run_row(struct stream *s, struct lane *l, const struct op *op, uint32_t port, const struct row *r)
{
    switch (op->kind) {
    case OP_FILTER: return filter_row(s, l, op, r);
    case OP_WRITE: return write_row(s, op, r);
    case OP_PROJECT: return project_row(s, l, op, r);
    case OP_APPLY: return apply_row(s, l, op, r);
    case OP_LOOKUP: return lookup_row(s, l, op, r);
    default: return kinds[op->kind]->row(s, l, op, l->states[op->id], port, r);
    }
}

enum code run_advance(struct stream *s, struct lane *l, const struct op *op, uint32_t port, int64_t mark)
{
    const struct operator_kind *kind = kinds[op->kind];
    if (kind && kind->advance)
        return kind->advance(s, l, op, l->states[op->id], port, mark);
    return run_advance_outs(s, l, op, mark);
}

/* ---- lanes ---- */

void lane_free(struct stream *s, struct lane *l)
{
    if (!l)
        return;
    for (uint32_t i = 0; l->states && i < s->query->op_count; i++) {
        const struct op *op = s->query->ops[i];
        if (kinds[op->kind] && l->states[i])
            kinds[op->kind]->free(s, op, l->states[i]);
    }
    kept_free(s, l->kept);
    mem_free(l->states);
    mem_free(l);
}

struct lane *lane_make(struct stream *s)
{
    struct lane *l = mem_zalloc(1, sizeof *l);
    if (!l || !(l->states = mem_zalloc(s->query->op_count ? s->query->op_count : 1, sizeof *l->states))) {
        mem_free(l);
        return NULL;
    }
    for (uint32_t i = 0; i < s->query->op_count; i++) {
        const struct op *op = s->query->ops[i];
        if (kinds[op->kind] && !(l->states[i] = kinds[op->kind]->make(s, op))) {
            lane_free(s, l);
            return NULL;
        }
    }
    return l;
}
