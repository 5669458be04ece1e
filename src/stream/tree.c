/* Trees of expressions: copied, compared, and given their final slots. */
#include "stream/planner.h"

#include <stdarg.h>
#include <stdio.h>

enum code planner_no_memory(struct planner *p)
{
    return FAIL(p->why, CODE_NOMEM, 0, "no memory for the query's plan");
}

enum { WARNINGS_MAX = 16, WARNING_BYTES = 240 };

enum code planner_warn(struct planner *p, const char *fmt, ...)
{
    struct query *q = p->query;
    if (q->warning_count == WARNINGS_MAX)
        return CODE_OK;
    if (!q->warnings && !(q->warnings = planner_take(p, WARNINGS_MAX, sizeof *q->warnings)))
        return planner_no_memory(p);
    char *text = planner_take(p, 1, WARNING_BYTES);
    if (!text)
        return planner_no_memory(p);
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, WARNING_BYTES, fmt, ap);
    va_end(ap);
    q->warnings[q->warning_count++] = text;
    return CODE_OK;
}

void *planner_take(struct planner *p, size_t count, size_t size)
{
    return arena_zero(p->memory, (count ? count : 1) * size);
}

static enum code copy_list(struct planner *p, struct ast **from, uint32_t count, struct ast ***out)
{
    *out = NULL;
    if (!count)
        return CODE_OK;
    struct ast **to = planner_take(p, count, sizeof *to);
    if (!to)
        return planner_no_memory(p);
    for (uint32_t i = 0; i < count; i++)
        TRY(tree_copy(p, from[i], &to[i]));
    *out = to;
    return CODE_OK;
}

static enum code copy_over(struct planner *p, const struct ast_over *from, struct ast_over **out)
{
    struct ast_over *to = planner_take(p, 1, sizeof *to);
    if (!to)
        return planner_no_memory(p);
    *to = *from;
    TRY(copy_list(p, from->partition, from->partitions, &to->partition));
    if (from->orders && !(to->order = planner_take(p, from->orders, sizeof *to->order)))
        return planner_no_memory(p);
    for (uint32_t i = 0; i < from->orders; i++) {
        to->order[i].descending = from->order[i].descending;
        TRY(tree_copy(p, from->order[i].by, &to->order[i].by));
    }
    if (from->when)
        TRY(tree_copy(p, from->when, &to->when));
    *out = to;
    return CODE_OK;
}

enum code tree_copy(struct planner *p, const struct ast *from, struct ast **out)
{
    struct ast *to = planner_take(p, 1, sizeof *to);
    if (!to)
        return planner_no_memory(p);
    *to = *from;
    *out = to;
    TRY(copy_list(p, from->args, from->arg_count, &to->args));
    return from->over ? copy_over(p, from->over, &to->over) : CODE_OK;
}

static bool over_equal(const struct ast_over *a, const struct ast_over *b)
{
    if (!a || !b)
        return a == b;
    if (a->partitions != b->partitions || a->orders != b->orders || !a->when != !b->when || !a->limit_unit != !b->limit_unit)
        return false;
    for (uint32_t i = 0; i < a->partitions; i++)
        if (!tree_equal(a->partition[i], b->partition[i]))
            return false;
    for (uint32_t i = 0; i < a->orders; i++)
        if (a->order[i].descending != b->order[i].descending || !tree_equal(a->order[i].by, b->order[i].by))
            return false;
    if (a->when && !tree_equal(a->when, b->when))
        return false;
    return !a->limit_unit || (tree_unit(a->limit_unit) == tree_unit(b->limit_unit) && tree_equal(a->limit_count, b->limit_count));
}

bool tree_equal(const struct ast *a, const struct ast *b)
{
    if (a == b)
        return true;
    if (a->kind != b->kind || a->op != b->op || a->negated != b->negated || a->distinct != b->distinct ||
        a->has_operand != b->has_operand || a->has_else != b->has_else || a->try_cast != b->try_cast || a->is_unit != b->is_unit ||
        (a->kind == AST_CAST && a->cast_to != b->cast_to) || a->part_count != b->part_count || a->arg_count != b->arg_count)
        return false;
    if (a->kind == AST_SLOT && a->slot != b->slot)
        return false;
    if (a->kind == AST_CALL && !name_is(a->name, b->name))
        return false;
    if (a->kind == AST_CONSTANT && (a->constant.type != b->constant.type || value_order(a->constant, b->constant) != 0))
        return false;
    for (uint32_t i = 0; i < a->part_count; i++)
        if (!bytes_equal(a->parts[i], b->parts[i]))
            return false;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (!tree_equal(a->args[i], b->args[i]))
            return false;
    return over_equal(a->over, b->over);
}

void tree_patch(struct ast *a, const uint32_t *base)
{
    if (a->kind == AST_SLOT && CODED_IS(a->slot))
        a->slot = base[CODED_SPACE(a->slot)] + CODED_INDEX(a->slot);
    for (uint32_t i = 0; i < a->arg_count; i++)
        tree_patch(a->args[i], base);
}

static enum code fold_one(struct planner *p, struct ast **node)
{
    struct ast *call = planner_take(p, 1, sizeof *call), **args = planner_take(p, 1, sizeof *args);
    if (!call || !args)
        return planner_no_memory(p);
    args[0] = *node;
    *call = (struct ast){ .kind = AST_CALL, .name = BYTES_LIT(FUNCTION_FOLD), .args = args, .arg_count = 1, .at = (*node)->at,
                          .end = (*node)->end, .height = (uint16_t)((*node)->height + 1) };
    *node = call;
    return CODE_OK;
}

enum code tree_fold(struct planner *p, struct ast *a)
{
    bool calls = a->kind == AST_CALL && (word_is(a->name, "NULLIF") || word_is(a->name, FUNCTION_FOLD));
    if (a->kind == AST_CALL && word_is(a->name, FUNCTION_FOLD))
        return CODE_OK; /* shared trees come here twice */
    for (uint32_t i = 0; i < a->arg_count; i++)
        TRY(tree_fold(p, a->args[i]));
    bool all = (a->kind == AST_BINARY && a->op >= AST_EQ && a->op <= AST_GE) || a->kind == AST_BETWEEN || a->kind == AST_IN ||
               a->kind == AST_LIKE || calls;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        bool compared = all || (a->kind == AST_CASE && a->has_operand && (i == 0 || (i % 2 == 1 && (i + 1 < a->arg_count || !a->has_else))));
        bool folded = a->args[i]->kind == AST_CALL && word_is(a->args[i]->name, FUNCTION_FOLD);
        if (compared && !folded)
            TRY(fold_one(p, &a->args[i]));
    }
    return CODE_OK;
}

struct ast *tree_slot(struct planner *p, const struct ast *like, uint32_t slot)
{
    struct ast *a = planner_take(p, 1, sizeof *a);
    if (!a)
        return NULL;
    a->kind = AST_SLOT;
    a->slot = slot;
    a->at = like->at;
    a->end = like->end;
    a->height = 1;
    a->name = like->kind == AST_NAME || like->kind == AST_SLOT ? like->name : BYTES_NONE;
    return a;
}

bool tree_bigint(const struct ast *a, int64_t *out)
{
    if (a->kind != AST_CONSTANT || a->constant.type != VALUE_BIGINT)
        return false;
    *out = a->constant.i;
    return true;
}

enum unit tree_unit(const struct ast *a)
{
    if (a->kind == AST_NAME && a->part_count == 1)
        return unit_find(a->parts[0]);
    if (a->kind == AST_CONSTANT && a->is_unit)
        return unit_find(value_bytes(a->constant));
    return UNIT_NONE;
}
