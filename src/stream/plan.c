/* Second pass: operators in the order that rows take, with the layout of rows known and expressions compiled. */
#include "stream/planner.h"

#include "base/mem.h"

struct op *plan_op(struct planner *p, enum op_kind kind, struct place at)
{
    struct query *q = p->query;
    if (q->op_count == p->op_room) {
        uint32_t room = p->op_room ? 2 * p->op_room : 16;
        struct op **more = planner_take(p, room, sizeof *more);
        if (!more)
            return NULL;
        if (q->op_count)
            memcpy(more, q->ops, q->op_count * sizeof *more);
        q->ops = more;
        p->op_room = room;
    }
    struct op *op = planner_take(p, 1, sizeof *op);
    if (!op)
        return NULL;
    op->kind = (uint8_t)kind;
    op->at = at;
    op->id = q->op_count;
    q->ops[q->op_count++] = op;
    return op;
}

enum code plan_edge(struct planner *p, struct op *from, struct op *to, uint32_t port)
{
    if ((from->out_count & (from->out_count - 1)) == 0) {
        struct edge *more = planner_take(p, from->out_count ? 2 * (size_t)from->out_count : 1, sizeof *more);
        if (!more)
            return planner_no_memory(p);
        if (from->out_count)
            memcpy(more, from->outs, from->out_count * sizeof *more);
        from->outs = more;
    }
    from->outs[from->out_count++] = (struct edge){ to, port };
    if (to->ports <= port)
        to->ports = port + 1;
    return CODE_OK;
}

enum code plan_compile(struct planner *p, struct ast *a, uint32_t width, struct expr **out)
{
    struct query *q = p->query;
    if (q->expr_count == p->expr_room) {
        uint32_t room = p->expr_room ? 2 * p->expr_room : 32;
        struct expr **more = planner_take(p, room, sizeof *more);
        if (!more)
            return planner_no_memory(p);
        if (q->expr_count)
            memcpy(more, q->exprs, q->expr_count * sizeof *more);
        q->exprs = more;
        p->expr_room = room;
    }
    if (q->options.ignore_case)
        TRY(tree_fold(p, a));
    TRY(expr_compile(out, a, width, p->why));
    q->exprs[q->expr_count++] = *out;
    return CODE_OK;
}

/* A plain slot needs no evaluation. */
static int32_t plain_slot(const struct ast *a)
{
    return a->kind == AST_SLOT && !a->part_count ? (int32_t)a->slot : -1;
}

static enum code compile_list(struct planner *p, struct ast **list, uint32_t count, const uint32_t *base, uint32_t width,
                              struct expr ***out)
{
    if (!(*out = planner_take(p, count, sizeof **out)))
        return planner_no_memory(p);
    for (uint32_t i = 0; i < count; i++) {
        tree_patch(list[i], base);
        TRY(plan_compile(p, list[i], width, &(*out)[i]));
    }
    return CODE_OK;
}

static uint32_t relation_width(const struct side *s)
{
    switch (s->relation) {
    case RELATION_INPUT: return s->input->fields.count;
    case RELATION_STEP: return s->step->wants.count;
    case RELATION_REFERENCE: return s->reference->fields.count;
    default: return 3;
    }
}

static bool is_stream(const struct side *s)
{
    return s->relation == RELATION_INPUT || s->relation == RELATION_STEP;
}

void plan_bases(const struct arm *arm, uint32_t *base, int local)
{
    memset(base, 0, 256 * sizeof *base);
    for (uint32_t i = 0; i < arm->side_count; i++) {
        const struct side *s = &arm->sides[i];
        uint32_t from = local >= 0 ? 0 : s->base, width = relation_width(s);
        base[SPACE_SIDE + i] = from;
        base[SPACE_ANALYTIC + i] = from + width;
        base[SPACE_TIME + i] = from + width + s->analytic_count;
    }
    base[SPACE_GROUP] = 0;
    base[SPACE_GROUP + 1] = arm->key_count + arm->aggregate_count;
}

/* Each side's place in the whole row. */
static void lay_out(struct arm *arm)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < arm->side_count; i++) {
        struct side *s = &arm->sides[i];
        s->base = at;
        s->width = relation_width(s) + s->analytic_count + (is_stream(s) && arm->stream_sides > 1);
        at += s->width;
    }
}

/* ---- sources ---- */

static enum code compile_analytic(struct arm *arm, struct pending_analytic *a, uint32_t side, uint32_t width, struct analytic *out)
{
    struct planner *p = arm->planner;
    uint32_t base[256];
    plan_bases(arm, base, (int)side);
    *out = a->plan;
    if (a->x) {
        tree_patch(a->x, base);
        TRY(plan_compile(p, a->x, width, &out->x));
    }
    if (a->otherwise) {
        tree_patch(a->otherwise, base);
        TRY(plan_compile(p, a->otherwise, width, &out->otherwise));
    }
    if (a->when) {
        tree_patch(a->when, base);
        TRY(plan_compile(p, a->when, width, &out->when));
    }
    return compile_list(p, a->keys, a->plan.key_count, base, width, &out->keys);
}

/* The rows of a source with its analytic functions and, for joins, its time behind them. */
static enum code plan_side(struct arm *arm, uint32_t i, struct op **out)
{
    struct planner *p = arm->planner;
    struct side *s = &arm->sides[i];
    bool stamp = arm->stream_sides > 1;
    *out = s->relation == RELATION_INPUT ? s->op : s->step->op;
    if (!s->analytic_count && !stamp)
        return CODE_OK;
    struct op *op = plan_op(p, OP_EXTEND, s->source->at);
    if (!op || !(op->extend.at = planner_take(p, s->analytic_count, sizeof *op->extend.at)))
        return planner_no_memory(p);
    op->extend.from = relation_width(s);
    op->extend.count = s->analytic_count;
    op->extend.stamp = stamp;
    op->width = s->width;
    uint32_t k = 0;
    for (struct pending_analytic *a = s->analytics; a; a = a->next)
        TRY(compile_analytic(arm, a, i, op->extend.from, &op->extend.at[k++]));
    TRY(plan_edge(p, *out, op, 0));
    *out = op;
    return CODE_OK;
}

static enum code plan_apply(struct arm *arm, uint32_t i, struct op *from, struct op **out)
{
    struct planner *p = arm->planner;
    struct side *s = &arm->sides[i];
    uint32_t base[256];
    struct op *op = plan_op(p, OP_APPLY, s->source->at);
    if (!op)
        return planner_no_memory(p);
    plan_bases(arm, base, -1);
    op->apply.from = s->base;
    op->apply.record = s->source->applied_record;
    op->apply.outer = s->source->kind == SOURCE_OUTER_APPLY;
    op->width = s->base + s->width;
    tree_patch(s->source->applied, base);
    TRY(plan_compile(p, s->source->applied, s->base, &op->apply.e));
    TRY(plan_edge(p, from, op, 0));
    *out = op;
    return CODE_OK;
}

static enum code plan_sources(struct arm *arm, struct op **out)
{
    struct op *at, *right = NULL;
    uint32_t base[256];
    lay_out(arm);
    TRY(plan_side(arm, 0, &at));
    for (uint32_t i = 1; i < arm->side_count; i++) {
        if (arm->sides[i].relation == RELATION_APPLY) {
            TRY(plan_apply(arm, i, at, &at));
            continue;
        }
        if (is_stream(&arm->sides[i]))
            TRY(plan_side(arm, i, &right));
        plan_bases(arm, base, -1);
        TRY(plan_join(arm, i, at, right, base, &at));
    }
    *out = at;
    return CODE_OK;
}

/* ---- columns ---- */

static enum code make_label(struct planner *p, struct bytes name, struct bytes *out)
{
    struct buf b = { 0 };
    buf_json(&b, name);
    buf_u8(&b, ':');
    size_t len = buf_size(&b);
    uint8_t *copy = b.bad ? NULL : planner_take(p, len, 1);
    if (copy)
        memcpy(copy, b.at, len);
    buf_clear(&b);
    *out = bytes_of(copy, len);
    return copy ? CODE_OK : planner_no_memory(p);
}

static enum code plan_columns(struct arm *arm, const uint32_t *base, uint32_t width, struct columns *out)
{
    struct planner *p = arm->planner;
    const struct select *s = arm->select;
    if (!(out->at = planner_take(p, s->item_count, sizeof *out->at)))
        return planner_no_memory(p);
    out->count = s->item_count;
    for (uint32_t i = 0; i < s->item_count; i++) {
        struct column *c = &out->at[i];
        struct ast *e = s->items[i].e;
        tree_patch(e, base);
        c->name = arm->names[i];
        c->slot = plain_slot(e);
        c->at = e->at;
        out->spreads |= !c->name.len;
        TRY(make_label(p, c->name, &c->label));
        TRY(plan_compile(p, e, width, &c->e));
    }
    return CODE_OK;
}

static enum code plan_wanted(struct arm *arm, const uint32_t *base, uint32_t width, struct op *op)
{
    struct planner *p = arm->planner;
    uint32_t count = arm->step->wants.count;
    op->width = count;
    if (!(op->project.at = planner_take(p, count, sizeof *op->project.at)))
        return planner_no_memory(p);
    for (uint32_t i = 0; i < count; i++) {
        struct ast *e = arm->wanted[i];
        op->project.at[i].slot = -1;
        if (e) {
            tree_patch(e, base);
            op->project.at[i].slot = plain_slot(e);
            TRY(plan_compile(p, e, width, &op->project.at[i].e));
            continue;
        }
        const struct select *s = arm->select;
        if (s->item_count == 1 && !arm->names[0].len) { /* SELECT *: the record as it came */
            tree_patch(s->items[0].e, base);
            op->project.at[i].slot = plain_slot(s->items[0].e);
            TRY(plan_compile(p, s->items[0].e, width, &op->project.at[i].e));
        } else if (!op->project.whole) {
            if (!(op->project.whole = planner_take(p, 1, sizeof *op->project.whole)))
                return planner_no_memory(p);
            TRY(plan_columns(arm, base, width, op->project.whole));
        }
    }
    return CODE_OK;
}

/* ---- GROUP BY ---- */

static enum code plan_aggregate(struct arm *arm, struct pending_aggregate *g, const uint32_t *base, uint32_t width, struct aggregate *out)
{
    struct planner *p = arm->planner;
    *out = g->plan;
    out->slot = -1;
    if (g->x) {
        tree_patch(g->x, base);
        out->slot = plain_slot(g->x);
        TRY(plan_compile(p, g->x, width, &out->x));
    }
    return g->plan.orders ? compile_list(p, g->order, g->plan.orders, base, width, &out->order) : CODE_OK;
}

static enum code plan_group(struct arm *arm, const uint32_t *base, uint32_t width, struct op *op)
{
    struct planner *p = arm->planner;
    op->group.key_count = arm->key_count;
    op->group.aggregate_count = arm->aggregate_count;
    op->group.window_count = arm->window_count;
    op->group.aggregates = planner_take(p, arm->aggregate_count, sizeof *op->group.aggregates);
    op->group.windows = planner_take(p, arm->window_count, sizeof *op->group.windows);
    op->group.key_slots = planner_take(p, arm->key_count, sizeof *op->group.key_slots);
    if (!op->group.aggregates || !op->group.windows || !op->group.key_slots)
        return planner_no_memory(p);
    TRY(compile_list(p, arm->keys, arm->key_count, base, width, &op->group.keys));
    for (uint32_t i = 0; i < arm->key_count; i++)
        op->group.key_slots[i] = plain_slot(arm->keys[i]);
    uint32_t n = 0;
    for (struct pending_aggregate *g = arm->aggregates; g; g = g->next)
        TRY(plan_aggregate(arm, g, base, width, &op->group.aggregates[n++]));
    for (uint32_t i = 0; i < arm->window_count; i++) {
        op->group.windows[i] = arm->windows[i].plan;
        TRY(compile_list(p, arm->windows[i].keys, arm->windows[i].plan.key_count, base, width, &op->group.windows[i].keys));
    }
    op->width = arm->key_count + arm->aggregate_count + 1;
    if (!arm->having)
        return CODE_OK;
    tree_patch(arm->having, base);
    return plan_compile(p, arm->having, op->width, &op->group.having);
}

/* ---- a SELECT ---- */

static enum code chain(struct planner *p, struct op **at, struct op *next)
{
    if (!next)
        return planner_no_memory(p);
    TRY(plan_edge(p, *at, next, 0));
    next->width = (*at)->width;
    *at = next;
    return CODE_OK;
}

/* Up to what the columns are made of. */
static enum code plan_body(struct arm *arm)
{
    struct planner *p = arm->planner;
    struct select *s = arm->select;
    uint32_t base[256];
    struct op *at;
    TRY(plan_sources(arm, &at));
    plan_bases(arm, base, -1);
    arm->width = arm->sides[arm->side_count - 1].base + arm->sides[arm->side_count - 1].width;
    if (s->where) {
        TRY(chain(p, &at, plan_op(p, OP_FILTER, s->where->at)));
        tree_patch(s->where, base);
        TRY(plan_compile(p, s->where, arm->width, &at->filter.test));
    }
    if (arm->grouped) {
        TRY(chain(p, &at, plan_op(p, OP_GROUP, s->group[0]->at)));
        TRY(plan_group(arm, base, arm->width, at));
        arm->width = at->width;
    }
    arm->end = at;
    return CODE_OK;
}

static enum code plan_last(struct arm *arm, struct op **out)
{
    struct planner *p = arm->planner;
    uint32_t base[256];
    plan_bases(arm, base, -1);
    struct op *op = plan_op(p, arm->step ? OP_PROJECT : OP_WRITE, arm->select->at);
    if (!op)
        return planner_no_memory(p);
    *out = op;
    if (arm->step)
        return plan_wanted(arm, base, arm->width, op);
    op->write.output = arm->output;
    return plan_columns(arm, base, arm->width, &op->write.columns);
}

static enum code add_port(struct planner *p, struct op *from, struct op *to)
{
    uint32_t port = to->ports;
    if ((port & (port - 1)) == 0) {
        uint32_t *more = planner_take(p, port ? 2 * (size_t)port : 1, sizeof *more);
        if (!more)
            return planner_no_memory(p);
        if (port)
            memcpy(more, to->both.widths, port * sizeof *more);
        to->both.widths = more;
    }
    to->both.widths[port] = from->width;
    return plan_edge(p, from, to, port);
}

static enum code plan_step(struct planner *p, struct step_plan *s)
{
    struct op *last, *both = NULL;
    for (struct arm *arm = s->arms; arm; arm = arm->next) {
        TRY(plan_body(arm));
        TRY(plan_last(arm, &last));
        TRY(plan_edge(p, arm->end, last, 0));
        arm->end = s->op = last;
    }
    if (!s->arms->next)
        return CODE_OK;
    if (!(both = plan_op(p, OP_UNION, s->at)))
        return planner_no_memory(p);
    for (struct arm *arm = s->arms; arm; arm = arm->next)
        TRY(add_port(p, arm->end, both));
    both->width = s->wants.count;
    s->op = both;
    return CODE_OK;
}

/* Columns that may fail are computed although nobody reads them: their errors count. */
static enum code want_the_rest(struct planner *p)
{
    for (struct step_plan *s = p->steps; s; s = s->next)
        for (struct arm *arm = s->arms; s->read && arm; arm = arm->next)
            for (uint32_t i = 0; i < arm->select->item_count; i++) {
                const struct ast *e = arm->select->items[i].e;
                uint32_t slot, rest;
                if (arm->names[i].len && e->kind != AST_SLOT && e->kind != AST_CONSTANT && e->kind != AST_TIMESTAMP)
                    TRY(step_want(p, s, &arm->names[i], 1, e->at, &slot, &rest));
            }
    return CODE_OK;
}

/* ---- inputs ---- */

static enum code plan_table(struct planner *p, struct input *in)
{
    const struct table_statement *t = in->table;
    if (!t)
        return CODE_OK;
    struct side side = { .relation = RELATION_INPUT, .input = in };
    struct arm arm = { .planner = p, .side_count = 1 };
    arm.sides[0] = side;
    if (!(in->typed = planner_take(p, t->column_count, sizeof *in->typed)))
        return planner_no_memory(p);
    for (uint32_t i = 0; i < t->column_count; i++) {
        uint32_t slot, rest;
        TRY(names_ask(&arm, 0, &t->columns[i].name, 1, t->at, &slot, &rest));
        in->typed[i] = CODED_INDEX(slot);
    }
    return CODE_OK;
}

static enum code plan_input(struct planner *p, struct input *in)
{
    static const struct bytes never = { (const uint8_t *)"\001", 1 };
    uint32_t base[256] = { 0 }, n = in->fields.count;
    struct json_path *paths = planner_take(p, n, sizeof *paths);
    if (!paths)
        return planner_no_memory(p);
    for (uint32_t i = 0; i < n; i++) {
        const struct demand *d = &in->fields.at[i];
        paths[i] = (struct json_path){ d->parts, d->count };
        if (d->meta != META_NONE && !d->count)
            paths[i] = (struct json_path){ &never, 1 };
    }
    if (!(in->json = json_plan_new(paths, n)))
        return planner_no_memory(p);
    for (uint32_t i = 0; i < in->reader_count; i++) {
        struct op *op = in->readers[i];
        const struct source *s = in->reader_sources[i];
        op->width = n;
        op->reader.slot = -1;
        op->reader.overs = s->overs;
        if (s->timestamp) {
            tree_patch(s->timestamp, base);
            op->reader.slot = plain_slot(s->timestamp);
            TRY(plan_compile(p, s->timestamp, n, &op->reader.timestamp));
        }
        TRY(compile_list(p, s->over, s->overs, base, n, &op->reader.over));
    }
    return CODE_OK;
}

static uint32_t writers_of(const struct planner *p, uint32_t output)
{
    uint32_t n = 0;
    for (const struct arm *arm = p->writers; arm; arm = arm->next)
        n += arm->output == output;
    return n;
}

/* Several SELECTs into one output: their rows in the order of their times, each to its own writer. */
static enum code plan_output(struct planner *p, uint32_t output)
{
    struct op *both = NULL, *last;
    if (writers_of(p, output) > 1) {
        if (!(both = plan_op(p, OP_UNION, p->query->outputs[output].at)))
            return planner_no_memory(p);
        both->both.split = true;
    }
    for (struct arm *arm = p->writers; arm; arm = arm->next) {
        if (arm->output != output)
            continue;
        TRY(plan_last(arm, &last));
        if (both)
            TRY(add_port(p, arm->end, both));
        TRY(plan_edge(p, both ? both : arm->end, last, 0));
    }
    return CODE_OK;
}

enum code plan_operators(struct planner *p)
{
    TRY(want_the_rest(p));
    for (struct input *in = p->query->inputs; in; in = in->next)
        TRY(plan_table(p, in));
    for (struct input *in = p->query->inputs; in; in = in->next)
        TRY(plan_input(p, in));
    for (struct step_plan *s = p->steps; s; s = s->next)
        if (s->read)
            TRY(plan_step(p, s));
    for (struct arm *arm = p->writers; arm; arm = arm->next)
        TRY(plan_body(arm));
    for (uint32_t o = 0; o < p->query->output_count; o++)
        TRY(plan_output(p, o));
    return CODE_OK;
}
