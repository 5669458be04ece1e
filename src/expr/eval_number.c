#include "expr/program.h"

#include <math.h>

static bool is_number(struct value v)
{
    return v.type == VALUE_BIGINT || v.type == VALUE_FLOAT;
}

static char sign_of(const struct node *n)
{
    static const char signs[] = {[AST_NEGATE] = '-', [AST_PLUS] = '+', [AST_ADD] = '+', [AST_SUB] = '-',
                                 [AST_MUL] = '*',    [AST_DIV] = '/',  [AST_MOD] = '%'};
    return signs[n->op];
}

static bool overflow(const struct node *n, struct eval *e, const char *type)
{
    return eval_fail(e, n, "The result of operator '%c' is outside of the range of %s.", sign_of(n), type);
}

static bool one_number(const struct node *n, struct eval *e, struct value *out)
{
    if (!n->args[0]->eval(n->args[0], e, out))
        return false;
    if (out->type == VALUE_NULL || is_number(*out))
        return true;
    return eval_fail(e, n, "Operator '%c' has invalid type '%s'. Only 'bigint', 'float' is allowed.",
                     sign_of(n), value_type_name((enum value_type)out->type));
}

bool eval_plus(const struct node *n, struct eval *e, struct value *out)
{
    return one_number(n, e, out);
}

bool eval_negate(const struct node *n, struct eval *e, struct value *out)
{
    if (!one_number(n, e, out))
        return false;
    if (out->type == VALUE_FLOAT)
        out->f = -out->f;
    else if (out->type == VALUE_BIGINT && __builtin_sub_overflow(0, out->i, &out->i))
        return overflow(n, e, "bigint");
    return true;
}

static bool join_texts(const struct node *n, struct eval *e, struct value a, struct value b,
                       struct value *out)
{
    size_t len = (size_t)a.len + b.len;
    uint8_t *at = len > UINT32_MAX ? NULL : arena_take(e->scratch, len);
    if (!at)
        return eval_no_memory(e, n);
    if (a.len)
        memcpy(at, a.text, a.len);
    if (b.len)
        memcpy(at + a.len, b.text, b.len);
    *out = value_text(bytes_of(at, len));
    return true;
}

static bool whole(const struct node *n, struct eval *e, int64_t a, int64_t b, struct value *out)
{
    out->type = VALUE_BIGINT;
    bool over = false;
    switch (n->op) {
    case AST_ADD: over = __builtin_add_overflow(a, b, &out->i); break;
    case AST_SUB: over = __builtin_sub_overflow(a, b, &out->i); break;
    case AST_MUL: over = __builtin_mul_overflow(a, b, &out->i); break;
    default:
        if (b == 0)
            return eval_fail(e, n, "Division by zero.");
        over = a == INT64_MIN && b == -1 && n->op == AST_DIV;
        if (!over) /* INT64_MIN % -1 traps, and is 0 */
            out->i = n->op == AST_DIV ? a / b : b == -1 ? 0 : a % b;
        break;
    }
    return !over || overflow(n, e, "bigint");
}

/* What is infinite or no number becomes NULL. */
static bool broken(const struct node *n, struct eval *e, double a, double b, struct value *out)
{
    out->type = VALUE_FLOAT;
    switch (n->op) {
    case AST_ADD: out->f = a + b; break;
    case AST_SUB: out->f = a - b; break;
    case AST_MUL: out->f = a * b; break;
    default: out->f = n->op == AST_DIV ? a / b : fmod(a, b); break;
    }
    if (!isfinite(out->f)) {
        *out = value_null();
        e->not_finite++;
    }
    return true;
}

static bool wrong_types(const struct node *n, struct eval *e, struct value a, struct value b)
{
    const char *hint = "";
    if (a.type == VALUE_DATETIME || b.type == VALUE_DATETIME)
        hint = " DATEADD and DATEDIFF calculate with datetime.";
    else if (n->op == AST_ADD && (a.type == VALUE_TEXT || b.type == VALUE_TEXT))
        hint = " CONCAT joins values of any type.";
    return eval_fail(e, n, "Operator '%c' cannot be applied to values of type '%s' and '%s'.%s", sign_of(n),
                     value_type_name((enum value_type)a.type), value_type_name((enum value_type)b.type),
                     hint);
}

bool eval_arithmetic(const struct node *n, struct eval *e, struct value *out)
{
    struct value a, b;
    if (!n->args[0]->eval(n->args[0], e, &a) || !n->args[1]->eval(n->args[1], e, &b))
        return false;
    if (a.type == VALUE_NULL || b.type == VALUE_NULL) {
        *out = value_null();
        return true;
    }
    if (a.type == VALUE_BIGINT && b.type == VALUE_BIGINT)
        return whole(n, e, a.i, b.i, out);
    if (is_number(a) && is_number(b))
        return broken(n, e, a.type == VALUE_FLOAT ? a.f : (double)a.i,
                      b.type == VALUE_FLOAT ? b.f : (double)b.i, out);
    if (n->op == AST_ADD && a.type == VALUE_TEXT && b.type == VALUE_TEXT)
        return join_texts(n, e, a, b, out);
    return wrong_types(n, e, a, b);
}
