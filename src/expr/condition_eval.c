/* condition_eval.c - a condition on the values of one message. */
#include "expr/condition_parts.h"

#include <math.h>

struct cond_eval {
    const struct value *slots;
    struct arena *scratch;
};

static enum code eval(const struct cond_eval *e, const struct ast *a, struct value *out);

/* ---- what lies below a slot ---- */

static struct value element(struct value v, struct bytes index) /* "[12" */
{
    uint64_t n = 0;
    for (size_t i = 1; i < index.len && n < UINT32_MAX; i++)
        n = n * 10 + (uint64_t)(index.at[i] - '0');
    return v.type == VALUE_ARRAY && n < v.array->count ? v.array->items[n] : value_null();
}

static struct value slot(const struct cond_eval *e, const struct ast *a)
{
    struct value v = e->slots[a->slot];
    for (uint32_t i = 0; i < a->part_count; i++) {
        struct bytes part = a->parts[i];
        v = part.len > 1 && part.at[0] == '[' ? element(v, part) : value_field(v, part);
    }
    return v;
}

/* ---- operators ---- */

enum truth { NO, YES, UNDEFINED };

static enum truth truth_of(struct value v)
{
    return v.type == VALUE_BIT ? (v.i ? YES : NO) : UNDEFINED;
}

static void give(struct value *out, enum truth t)
{
    *out = t == UNDEFINED ? value_null() : value_bit(t == YES);
}

static enum code logic(const struct cond_eval *e, const struct ast *a, struct value *out)
{
    struct value v;
    enum truth settles = a->op == AST_AND ? NO : YES; /* whatever the other side is */
    enum code c = eval(e, a->args[0], &v);
    enum truth x = truth_of(v);
    if (c != CODE_OK || x == settles) {
        give(out, x);
        return c;
    }
    c = eval(e, a->args[1], &v);
    enum truth y = truth_of(v);
    give(out, y == settles ? y : x == UNDEFINED ? x : y);
    return c;
}

static bool holds(enum ast_op op, int sign)
{
    switch (op) {
    case AST_EQ: return sign == 0;
    case AST_NE: return sign != 0;
    case AST_LT: return sign < 0;
    case AST_LE: return sign <= 0;
    case AST_GT: return sign > 0;
    default: return sign >= 0;
    }
}

static enum truth compare(enum ast_op op, struct value x, struct value y)
{
    uint8_t type = cond_type_of(x);
    if (!type || type != cond_type_of(y))
        return UNDEFINED;
    if (type == COND_NIL)
        return op == AST_EQ ? YES : op == AST_NE ? NO : UNDEFINED;
    return holds(op, value_order(x, y)) ? YES : NO;
}

static double number_of(struct value v)
{
    return v.type == VALUE_FLOAT ? v.f : (double)v.i;
}

static struct value reckon(enum ast_op op, struct value x, struct value y)
{
    if (cond_type_of(x) != COND_NUM || cond_type_of(y) != COND_NUM)
        return value_null();
    double a = number_of(x), b = number_of(y), r;
    switch (op) {
    case AST_ADD: r = a + b; break;
    case AST_SUB: r = a - b; break;
    case AST_MUL: r = a * b; break;
    case AST_DIV: r = a / b; break;
    default: r = fmod(a, b); break;
    }
    return isfinite(r) ? value_float(r) : value_null();
}

static enum code binary(const struct cond_eval *e, const struct ast *a, struct value *out)
{
    struct value x, y;
    if (a->op == AST_AND || a->op == AST_OR)
        return logic(e, a, out);
    enum code c = eval(e, a->args[0], &x);
    if (c == CODE_OK)
        c = eval(e, a->args[1], &y);
    if (c != CODE_OK)
        return c;
    if (a->op >= AST_EQ)
        give(out, compare((enum ast_op)a->op, x, y));
    else
        *out = reckon((enum ast_op)a->op, x, y);
    return CODE_OK;
}

static enum code unary(const struct cond_eval *e, const struct ast *a, struct value *out)
{
    struct value x;
    enum code c = eval(e, a->args[0], &x);
    if (c != CODE_OK)
        return c;
    if (a->op == AST_NEGATE)
        *out = reckon(AST_SUB, value_bigint(0), x);
    else
        give(out, truth_of(x) == UNDEFINED ? UNDEFINED : truth_of(x) == YES ? NO : YES);
    return CODE_OK;
}

static enum code in_list(const struct cond_eval *e, const struct ast *a, struct value *out)
{
    struct value x, one;
    enum truth any = NO;
    enum code c = eval(e, a->args[0], &x);
    for (uint32_t i = 1; c == CODE_OK && any != YES && i < a->arg_count; i++) {
        c = eval(e, a->args[i], &one);
        enum truth t = c == CODE_OK ? compare(AST_EQ, x, one) : NO;
        any = t == NO ? any : t;
    }
    give(out, any == UNDEFINED || !a->negated ? any : any == YES ? NO : YES);
    return c;
}

static enum code call(const struct cond_eval *e, const struct ast *a, struct value *out)
{
    const struct cond_function *f = &cond_functions[a->slot];
    struct value few[4], *args = few;
    if (a->arg_count > 4 && !(args = arena_take(e->scratch, a->arg_count * sizeof *args)))
        return CODE_NOMEM;
    *out = value_null();
    for (uint32_t i = 0; i < a->arg_count; i++) {
        enum code c = eval(e, a->args[i], &args[i]);
        if (c != CODE_OK)
            return c;
        uint8_t takes = f->takes[i < 2 ? i : 2];
        if (takes != COND_ANY && !(cond_type_of(args[i]) & takes))
            return CODE_OK;
    }
    return f->run(args, a->arg_count, e->scratch, out);
}

static enum code eval(const struct cond_eval *e, const struct ast *a, struct value *out)
{
    switch (a->kind) {
    case AST_CONSTANT: *out = a->constant; return CODE_OK;
    case AST_SLOT: *out = slot(e, a); return CODE_OK;
    case AST_UNARY: return unary(e, a, out);
    case AST_BINARY: return binary(e, a, out);
    case AST_IN: return in_list(e, a, out);
    default: return call(e, a, out);
    }
}

enum code condition_eval(const struct condition *c, const struct value *slots, struct arena *scratch,
                         struct value *out)
{
    struct cond_eval e = {slots, scratch};
    *out = value_null();
    return eval(&e, c->root, out);
}

void condition_values(struct buf *out, const struct condition *c, const struct value *slots)
{
    for (uint32_t i = 0; i < c->name_count; i++) {
        buf_printf(out, "%s%.*s = ", i ? ", " : "", BYTES_FMT(c->names[i].text));
        if (value_is_undefined(slots[i]))
            buf_printf(out, "undefined");
        else
            value_write_json(out, slots[i]);
    }
}
