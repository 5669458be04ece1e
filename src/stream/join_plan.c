/* JOIN while a query is planned: the conditions of ON are sorted into bounds of time, equalities to look up by, and the rest. */
#include "stream/planner.h"

enum { KEYS_MAX = 16 };

struct joining {
    struct arm *arm;
    uint32_t    side;
    bool        has_low, has_high;
    int64_t     low, high;
    enum unit   unit;
    int         other; /* the left side that the bounds count from; -1 none yet */
    struct place at;    /* of the first bound */
    struct ast *left[KEYS_MAX], *right[KEYS_MAX];
    uint32_t    keys;
};

/* 1: only the joined side, 2: only sides before it, 0: no side, 3: both. */
static unsigned sides_of(const struct ast *a, uint32_t side)
{
    unsigned seen = 0;
    if (a->kind == AST_SLOT && CODED_IS(a->slot))
        seen = (CODED_SPACE(a->slot) & 63) == side ? 1 : 2;
    for (uint32_t i = 0; i < a->arg_count; i++)
        seen |= sides_of(a->args[i], side);
    return seen;
}

static bool holds_timestamp(const struct ast *a)
{
    if (a->kind == AST_TIMESTAMP)
        return true;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (holds_timestamp(a->args[i]))
            return true;
    return false;
}

static bool is_time(const struct ast *a, uint32_t *side)
{
    if (a->kind != AST_SLOT || !CODED_IS(a->slot) || CODED_SPACE(a->slot) < SPACE_TIME || CODED_SPACE(a->slot) >= SPACE_GROUP)
        return false;
    *side = CODED_SPACE(a->slot) - SPACE_TIME;
    return true;
}

/* DATEDIFF(unit, a, b) between the joined side and one before it; *flip: from the joined side to the other. */
static bool is_bound(const struct joining *j, const struct ast *a, enum unit *unit, int *other, bool *flip)
{
    uint32_t from, to;
    if (a->kind != AST_CALL || !word_is(a->name, "DATEDIFF") || a->arg_count != 3 || !is_time(a->args[1], &from) ||
        !is_time(a->args[2], &to) || (from == j->side) == (to == j->side))
        return false;
    *unit = tree_unit(a->args[0]);
    *flip = from == j->side;
    *other = (int)(*flip ? to : from);
    return *unit != UNIT_NONE;
}

static enum code put_bound(struct joining *j, const struct ast *call, bool lower, int64_t n)
{
    enum unit unit;
    int other;
    bool flip;
    if (!is_bound(j, call, &unit, &other, &flip))
        return CODE_OK;
    if (j->other < 0) {
        j->other = other;
        j->unit = unit;
        j->at = call->at;
    }
    if (j->other != other || j->unit != unit)
        return CODE_OK; /* a further condition, tested with the rest */
    if (n > INT64_C(1000000000000) || n < INT64_C(-1000000000000))
        return refuse(j->arm->planner->why, CODE_USAGE, FG_ARGUMENT, call->at, "the bound of DATEDIFF is at most 7 days");
    if (flip) {
        n = -n;
        lower = !lower;
    }
    if (lower) {
        j->low = j->has_low && j->low > n ? j->low : n;
        j->has_low = true;
    } else {
        j->high = j->has_high && j->high < n ? j->high : n;
        j->has_high = true;
    }
    return CODE_OK;
}

static enum code take_comparison(struct joining *j, const struct ast *a)
{
    static const uint8_t mirrored[] = { [AST_EQ] = AST_EQ, [AST_NE] = AST_NE, [AST_LT] = AST_GT,
                                        [AST_LE] = AST_GE, [AST_GT] = AST_LT, [AST_GE] = AST_LE };
    const struct ast *call = a->args[0], *number = a->args[1];
    uint8_t op = a->op;
    int64_t n;
    if (call->kind == AST_CONSTANT) {
        call = a->args[1];
        number = a->args[0];
        op = mirrored[op];
    }
    if (call->kind != AST_CALL || !tree_bigint(number, &n))
        return CODE_OK;
    if (op == AST_EQ || op == AST_GE || op == AST_GT)
        TRY(put_bound(j, call, true, n + (op == AST_GT)));
    if (op == AST_EQ || op == AST_LE || op == AST_LT)
        TRY(put_bound(j, call, false, n - (op == AST_LT)));
    return CODE_OK;
}

static enum code take_equality(struct joining *j, const struct ast *a)
{
    unsigned l = sides_of(a->args[0], j->side), r = sides_of(a->args[1], j->side);
    bool straight = l == 2 && r == 1, turned = l == 1 && r == 2;
    if ((!straight && !turned) || j->keys == KEYS_MAX || holds_timestamp(a))
        return CODE_OK;
    TRY(tree_copy(j->arm->planner, a->args[turned], &j->left[j->keys]));
    TRY(tree_copy(j->arm->planner, a->args[straight], &j->right[j->keys]));
    j->keys++;
    return CODE_OK;
}

static enum code take_condition(struct joining *j, const struct ast *a)
{
    int64_t low, high;
    if (a->kind == AST_BINARY && a->op == AST_AND) {
        TRY(take_condition(j, a->args[0]));
        return take_condition(j, a->args[1]);
    }
    if (a->kind == AST_BETWEEN && !a->negated && tree_bigint(a->args[1], &low) && tree_bigint(a->args[2], &high)) {
        TRY(put_bound(j, a->args[0], true, low));
        return put_bound(j, a->args[0], false, high);
    }
    if (a->kind != AST_BINARY || a->op < AST_EQ || a->op > AST_GE)
        return CODE_OK;
    TRY(take_comparison(j, a));
    return a->op == AST_EQ ? take_equality(j, a) : CODE_OK;
}

static enum code check_bounds(const struct joining *j)
{
    const struct source *s = j->arm->sides[j->side].source;
    struct fault *why = j->arm->planner->why;
    const struct bytes left = j->arm->sides[j->other < 0 ? 0 : j->other].source->alias;
    if (!j->has_low || !j->has_high)
        return refuse(why, CODE_USAGE, FG_RULE, s->on_at,
                      "a JOIN of streams needs bounds of time on both ends in ON: AND DATEDIFF(second, %.*s, %.*s) BETWEEN 0 AND 10",
                      BYTES_FMT(left), BYTES_FMT(s->alias));
    int64_t ticks = unit_ticks(j->unit), most = 7 * unit_ticks(UNIT_DAY);
    if (!ticks)
        return refuse(why, CODE_USAGE, FG_ARGUMENT, j->at, "DATEDIFF in ON counts days or shorter units, and at most 7 days");
    if (j->low < -most / ticks || j->high > most / ticks || j->low > most / ticks || j->high < -most / ticks)
        return refuse(why, CODE_USAGE, FG_ARGUMENT, j->at, "the bound of DATEDIFF is at most 7 days");
    if (j->low > j->high)
        return refuse(why, CODE_USAGE, FG_ARGUMENT, j->at, "the bounds of DATEDIFF leave nothing: from %lld to %lld",
                      (long long)j->low, (long long)j->high);
    return CODE_OK;
}

static enum code compile_keys(struct joining *j, uint32_t left_width, uint32_t right_width, const uint32_t *base,
                              struct expr ***left, struct expr ***right)
{
    struct planner *p = j->arm->planner;
    uint32_t local[256];
    plan_bases(j->arm, local, (int)j->side);
    *left = planner_take(p, j->keys, sizeof **left);
    *right = planner_take(p, j->keys, sizeof **right);
    if (!*left || !*right)
        return planner_no_memory(p);
    for (uint32_t i = 0; i < j->keys; i++) {
        tree_patch(j->left[i], base);
        tree_patch(j->right[i], local);
        TRY(plan_compile(p, j->left[i], left_width, &(*left)[i]));
        TRY(plan_compile(p, j->right[i], right_width, &(*right)[i]));
    }
    return CODE_OK;
}

static enum code plan_lookup(struct joining *j, struct op *left, const uint32_t *base, struct op **out)
{
    struct planner *p = j->arm->planner;
    const struct side *s = &j->arm->sides[j->side];
    if (!j->keys)
        return refuse(p->why, CODE_USAGE, FG_RULE, s->source->on_at,
                      "a JOIN with reference data needs an equality in ON: %.*s.key = %.*s.key",
                      BYTES_FMT(j->arm->sides[0].source->alias), BYTES_FMT(s->source->alias));
    struct op *op = plan_op(p, OP_LOOKUP, s->source->at);
    if (!op)
        return planner_no_memory(p);
    op->lookup.reference = s->reference;
    op->lookup.left_width = s->base;
    op->lookup.right_width = s->width;
    op->lookup.keys = j->keys;
    op->lookup.outer = s->source->kind == SOURCE_LEFT_JOIN;
    op->lookup.index = p->query->lookup_count++;
    op->width = s->base + s->width;
    TRY(compile_keys(j, s->base, s->width, base, &op->lookup.left_keys, &op->lookup.right_keys));
    tree_patch(s->source->on, base);
    TRY(plan_compile(p, s->source->on, op->width, &op->lookup.on));
    TRY(plan_edge(p, left, op, 0));
    *out = op;
    return CODE_OK;
}

/* TIMESTAMP BY ... OVER: rows of different keys never meet, and ON has to say so. */
static enum code check_over(struct joining *j)
{
    struct arm *arm = j->arm;
    const struct side *s = &arm->sides[j->side];
    for (uint32_t i = 0; s->op && i < s->source->overs; i++) {
        bool found = false;
        for (uint32_t k = 0; k < j->keys; k++)
            found |= tree_equal(j->right[k], s->source->over[i]) ||
                     (j->right[k]->kind == AST_SLOT && s->source->over[i]->kind == AST_SLOT &&
                      CODED_INDEX(j->right[k]->slot) == CODED_INDEX(s->source->over[i]->slot) &&
                      CODED_SPACE(j->right[k]->slot) < SPACE_ANALYTIC);
        if (!found)
            return refuse(arm->planner->why, CODE_USAGE, FG_RULE, s->source->on_at,
                          "TIMESTAMP BY ... OVER keeps each key by itself: ON must equate the key of OVER");
    }
    return CODE_OK;
}

enum code plan_join(struct arm *arm, uint32_t side, struct op *left, struct op *right, const uint32_t *base, struct op **out)
{
    struct planner *p = arm->planner;
    struct side *s = &arm->sides[side];
    struct joining j = { .arm = arm, .side = side, .other = -1, .unit = UNIT_NONE };
    TRY(take_condition(&j, s->source->on));
    if (s->relation == RELATION_REFERENCE)
        return plan_lookup(&j, left, base, out);
    TRY(check_bounds(&j));
    TRY(check_over(&j));
    struct op *op = plan_op(p, OP_JOIN, s->source->at);
    if (!op)
        return planner_no_memory(p);
    op->join.left_width = s->base;
    op->join.right_width = s->width;
    op->join.left_time = base[SPACE_TIME + j.other];
    op->join.unit = j.unit;
    op->join.low = j.low;
    op->join.high = j.high;
    op->join.lag = arm->lag;
    arm->lag += ((j.high > 0 ? j.high : 0) - (j.low < 0 ? j.low : 0) + 1) * unit_ticks(j.unit);
    op->join.outer = s->source->kind == SOURCE_LEFT_JOIN;
    op->join.keys = j.keys;
    op->width = s->base + s->width;
    TRY(compile_keys(&j, s->base, s->width, base, &op->join.left_keys, &op->join.right_keys));
    tree_patch(s->source->on, base);
    TRY(plan_compile(p, s->source->on, op->width, &op->join.on));
    TRY(plan_edge(p, left, op, 0));
    TRY(plan_edge(p, right, op, 1));
    *out = op;
    return CODE_OK;
}
