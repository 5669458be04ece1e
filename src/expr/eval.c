#include "expr/program.h"

#include <stdarg.h>
#include <stdio.h>

bool eval_fail(struct eval *e, const struct node *n, const char *fmt, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)FAIL(&e->why, CODE_MALFORMED, place_at(n->at), "%s At line '%u' and column '%u'.", text,
               (unsigned)n->at.line, (unsigned)n->at.column);
    return false;
}

bool eval_no_memory(struct eval *e, const struct node *n)
{
    (void)FAIL(&e->why, CODE_NOMEM, place_at(n->at),
               "no memory for the values of an expression at line %u, column %u", (unsigned)n->at.line,
               (unsigned)n->at.column);
    return false;
}

bool eval_constant(const struct node *n, struct eval *e, struct value *out)
{
    (void)e;
    *out = n->constant;
    return true;
}

bool eval_slot(const struct node *n, struct eval *e, struct value *out)
{
    *out = e->slots[n->slot];
    return true;
}

static struct value field_of(const struct node *n, struct value v)
{
    for (uint32_t i = 0; i < n->part_count; i++)
        v = value_field(v, n->parts[i]);
    return v;
}

bool eval_field(const struct node *n, struct eval *e, struct value *out)
{
    *out = field_of(n, e->slots[n->slot]);
    return true;
}

bool eval_result_field(const struct node *n, struct eval *e, struct value *out)
{
    struct value v;
    if (!n->args[0]->eval(n->args[0], e, &v))
        return false;
    *out = field_of(n, v);
    return true;
}

bool eval_time(const struct node *n, struct eval *e, struct value *out)
{
    (void)n;
    *out = value_datetime(e->time);
    return true;
}

bool eval_truth(const struct node *n, struct eval *e, struct value *out)
{
    enum truth t = n->test(n, e);
    *out = t == TRUTH_NULL ? value_null() : value_bit(t == TRUTH_TRUE);
    return t != TRUTH_FAILED;
}

enum truth test_value(const struct node *n, struct eval *e)
{
    struct value v;
    if (!n->eval(n, e, &v))
        return TRUTH_FAILED;
    if (v.type == VALUE_BIT)
        return v.i ? TRUTH_TRUE : TRUTH_FALSE;
    if (v.type == VALUE_NULL)
        return TRUTH_NULL;
    eval_fail(
        e, n,
        "A value of type '%s' is used as a condition. Only 'bit' is allowed; compare it with something.",
        value_type_name((enum value_type)v.type));
    return TRUTH_FAILED;
}

bool eval_cast(const struct node *n, struct eval *e, struct value *out)
{
    struct value v;
    bool no_memory;
    if (!n->args[0]->eval(n->args[0], e, &v))
        return false;
    if (value_cast(v, (enum value_type)n->cast_to, out, e->scratch, &no_memory))
        return true;
    if (no_memory)
        return eval_no_memory(e, n);
    *out = value_null();
    if (n->try_cast)
        return true;
    char shown[64];
    (void)eval_fail(e, n, "Cannot cast value of type '%s' to type '%s' in expression '%s'.",
                    value_type_name((enum value_type)v.type), value_type_name((enum value_type)n->cast_to),
                    bytes_escape(n->text, shown, sizeof shown));
    size_t len = strlen(e->why.text);
    (void)snprintf(e->why.text + len, sizeof e->why.text - len,
                   " TRY_CAST function can be used to handle values with unexpected type.");
    return false;
}

/* Of a simple CASE: does the operand equal args[i]? */
static enum truth equals(const struct node *n, struct eval *e, struct value operand, const struct node *when)
{
    struct value v;
    int sign;
    bool mismatch;
    if (!when->eval(when, e, &v))
        return TRUTH_FAILED;
    if (value_compare(operand, v, &sign, &mismatch))
        return sign == 0 ? TRUTH_TRUE : TRUTH_FALSE;
    if (!mismatch)
        return TRUTH_NULL;
    eval_fail(e, n, "CASE cannot compare values of type '%s' and '%s'.",
              value_type_name((enum value_type)operand.type), value_type_name((enum value_type)v.type));
    return TRUTH_FAILED;
}

bool eval_case(const struct node *n, struct eval *e, struct value *out)
{
    uint32_t i = 0;
    struct value operand = value_null();
    if (n->has_operand && !n->args[i++]->eval(n->args[0], e, &operand))
        return false;
    for (; i + 1 < n->count; i += 2) {
        const struct node *when = n->args[i];
        enum truth t = n->has_operand ? equals(n, e, operand, when) : when->test(when, e);
        if (t == TRUTH_FAILED)
            return false;
        if (t == TRUTH_TRUE)
            return n->args[i + 1]->eval(n->args[i + 1], e, out);
    }
    if (n->has_else)
        return n->args[i]->eval(n->args[i], e, out);
    *out = value_null();
    return true;
}

bool eval_iif(const struct node *n, struct eval *e, struct value *out)
{
    enum truth t = n->args[0]->test(n->args[0], e);
    const struct node *chosen = n->args[t == TRUTH_TRUE ? 1 : 2];
    return t != TRUTH_FAILED && chosen->eval(chosen, e, out);
}

bool eval_coalesce(const struct node *n, struct eval *e, struct value *out)
{
    for (uint32_t i = 0; i < n->count; i++) {
        if (!n->args[i]->eval(n->args[i], e, out))
            return false;
        if (out->type != VALUE_NULL)
            break;
    }
    return true;
}

bool eval_nullif(const struct node *n, struct eval *e, struct value *out)
{
    struct value b;
    int sign;
    bool mismatch;
    if (!n->args[0]->eval(n->args[0], e, out) || !n->args[1]->eval(n->args[1], e, &b))
        return false;
    if (value_compare(*out, b, &sign, &mismatch)) {
        if (sign == 0)
            *out = value_null();
        return true;
    }
    return !mismatch ||
           eval_fail(e, n, "Function nullif cannot compare values of type '%s' and '%s'.",
                     value_type_name((enum value_type)out->type), value_type_name((enum value_type)b.type));
}

enum code expr_eval(const struct expr *x, struct eval *e, struct value *out)
{
    return x->root->eval(x->root, e, out) ? CODE_OK : e->why.code;
}

enum code expr_test(const struct expr *x, struct eval *e, bool *out)
{
    enum truth t = x->root->test(x->root, e);
    *out = t == TRUTH_TRUE;
    return t == TRUTH_FAILED ? e->why.code : CODE_OK;
}

bool expr_constant(const struct expr *x, struct value *out)
{
    *out = x->root->constant;
    return x->root->is_constant;
}
