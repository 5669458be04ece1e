#include "expr/like.h"
#include "expr/program.h"

enum { LESS = 1, EQUAL = 2, GREATER = 4 };

uint8_t compare_accepts(enum ast_op op)
{
    static const uint8_t accepts[] = {
        [AST_EQ] = EQUAL,        [AST_NE] = LESS | GREATER, [AST_LT] = LESS,
        [AST_LE] = LESS | EQUAL, [AST_GT] = GREATER,        [AST_GE] = GREATER | EQUAL,
    };
    return accepts[op];
}

static inline enum truth accepts(const struct node *n, int sign)
{
    return n->op >> ((sign > 0) - (sign < 0) + 1) & 1 ? TRUTH_TRUE : TRUTH_FALSE;
}

static const char *type_name(struct value v)
{
    return value_type_name((enum value_type)v.type);
}

static enum truth not_comparable(const struct node *n, struct eval *e, struct value a, struct value b)
{
    char shown[48];
    const struct value text = a.type == VALUE_TEXT ? a : b;
    if ((a.type == VALUE_DATETIME || b.type == VALUE_DATETIME) && text.type == VALUE_TEXT)
        eval_fail(e, n, "The text '%s' is compared with a datetime and is no date.",
                  bytes_escape(value_bytes(text), shown, sizeof shown));
    else
        eval_fail(e, n, "Cannot compare values of type '%s' and '%s'.", type_name(a), type_name(b));
    return TRUTH_FAILED;
}

static enum truth compare(const struct node *n, struct eval *e, struct value a, struct value b)
{
    int sign;
    bool mismatch;
    if (value_compare(a, b, &sign, &mismatch))
        return accepts(n, sign);
    return mismatch ? not_comparable(n, e, a, b) : TRUTH_NULL;
}

enum truth test_compare(const struct node *n, struct eval *e)
{
    struct value a, b;
    if (!n->args[0]->eval(n->args[0], e, &a) || !n->args[1]->eval(n->args[1], e, &b))
        return TRUTH_FAILED;
    if (a.type == VALUE_FLOAT && b.type == VALUE_FLOAT)
        return accepts(n, (a.f > b.f) - (a.f < b.f));
    return compare(n, e, a, b);
}

/* A slot with a constant, the most frequent of all conditions. */
enum truth test_slot_bigint(const struct node *n, struct eval *e)
{
    struct value a = e->slots[n->slot];
    if (a.type == VALUE_BIGINT)
        return accepts(n, (a.i > n->constant.i) - (a.i < n->constant.i));
    return compare(n, e, a, n->constant);
}

enum truth test_slot_float(const struct node *n, struct eval *e)
{
    struct value a = e->slots[n->slot];
    if (a.type == VALUE_FLOAT)
        return accepts(n, (a.f > n->constant.f) - (a.f < n->constant.f));
    return compare(n, e, a, n->constant);
}

enum truth test_slot_text(const struct node *n, struct eval *e)
{
    struct value a = e->slots[n->slot];
    if (a.type == VALUE_TEXT && (n->op == EQUAL || n->op == (LESS | GREATER))) {
        bool same = a.len == n->constant.len && memcmp(a.text, n->constant.text, a.len) == 0;
        return same == (n->op == EQUAL) ? TRUTH_TRUE : TRUTH_FALSE;
    }
    return compare(n, e, a, n->constant);
}

/* ---- logic: from the left, and what decides ends it ---- */

static enum truth chain(const struct node *n, struct eval *e, enum truth decides, enum truth otherwise)
{
    enum truth sum = otherwise;
    for (uint32_t i = 0; i < n->count; i++) {
        enum truth t = n->args[i]->test(n->args[i], e);
        if (t == decides || t == TRUTH_FAILED)
            return t;
        if (t == TRUTH_NULL)
            sum = TRUTH_NULL;
    }
    return sum;
}

enum truth test_and(const struct node *n, struct eval *e)
{
    return chain(n, e, TRUTH_FALSE, TRUTH_TRUE);
}

enum truth test_or(const struct node *n, struct eval *e)
{
    return chain(n, e, TRUTH_TRUE, TRUTH_FALSE);
}

static enum truth negate(enum truth t)
{
    return t == TRUTH_TRUE ? TRUTH_FALSE : t == TRUTH_FALSE ? TRUTH_TRUE : t;
}

static enum truth negate_if(const struct node *n, enum truth t)
{
    return n->negated ? negate(t) : t;
}

enum truth test_not(const struct node *n, struct eval *e)
{
    return negate(n->args[0]->test(n->args[0], e));
}

enum truth test_is_null(const struct node *n, struct eval *e)
{
    struct value v;
    if (!n->args[0]->eval(n->args[0], e, &v))
        return TRUTH_FAILED;
    return (v.type == VALUE_NULL) != n->negated ? TRUTH_TRUE : TRUTH_FALSE;
}

enum truth test_between(const struct node *n, struct eval *e)
{
    struct value v, end[2];
    enum truth sum = TRUTH_TRUE;
    if (!n->args[0]->eval(n->args[0], e, &v) || !n->args[1]->eval(n->args[1], e, &end[0]) ||
        !n->args[2]->eval(n->args[2], e, &end[1]))
        return TRUTH_FAILED;
    for (int i = 0; i < 2; i++) {
        int sign;
        bool mismatch;
        if (value_compare(v, end[i], &sign, &mismatch)) {
            if (i == 0 ? sign < 0 : sign > 0)
                sum = TRUTH_FALSE;
        } else if (mismatch) {
            return not_comparable(n, e, v, end[i]);
        } else if (sum == TRUTH_TRUE) {
            sum = TRUTH_NULL;
        }
    }
    return negate_if(n, sum);
}

enum truth test_in(const struct node *n, struct eval *e)
{
    struct value v;
    enum truth found = TRUTH_FALSE;
    if (!n->args[0]->eval(n->args[0], e, &v))
        return TRUTH_FAILED;
    for (uint32_t i = 1; i < n->count && found != TRUTH_TRUE; i++) {
        struct value item;
        int sign;
        bool mismatch;
        if (!n->args[i]->eval(n->args[i], e, &item))
            return TRUTH_FAILED;
        if (value_compare(v, item, &sign, &mismatch))
            found = sign == 0 ? TRUTH_TRUE : found;
        else if (mismatch)
            return not_comparable(n, e, v, item);
        else
            found = TRUTH_NULL;
    }
    return negate_if(n, found);
}

/* A sorted list of constants, all numbers or all texts. */
enum truth test_in_list(const struct node *n, struct eval *e)
{
    struct value v;
    if (!n->args[0]->eval(n->args[0], e, &v))
        return TRUTH_FAILED;
    if (v.type == VALUE_NULL)
        return TRUTH_NULL;
    bool number = v.type == VALUE_BIGINT || v.type == VALUE_FLOAT;
    if (number ? n->list[0].type == VALUE_TEXT : v.type != VALUE_TEXT || n->list[0].type != VALUE_TEXT)
        return test_in(n, e); /* a mismatch, or a bit or datetime */
    uint32_t low = 0, high = n->list_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int sign = value_order(v, n->list[middle]);
        if (sign == 0)
            return negate_if(n, TRUTH_TRUE);
        if (sign < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return n->has_null ? TRUTH_NULL : negate_if(n, TRUTH_FALSE);
}

static enum truth like_type(const struct node *n, struct eval *e, struct value wrong)
{
    eval_fail(e, n, "LIKE has invalid type '%s'. Only 'nvarchar(max)' is allowed.", type_name(wrong));
    return TRUTH_FAILED;
}

/* A pattern that is a value of the row. */
static bool like_now(const struct node *n, struct eval *e, struct value pattern, struct like **out)
{
    struct value escape = value_null();
    const char *wrong = "ESCAPE needs a text of one character";
    if (n->count == 3 && !n->args[2]->eval(n->args[2], e, &escape))
        return false;
    if (n->count == 3 && escape.type != VALUE_TEXT)
        return eval_fail(e, n, "%s.", wrong);
    enum code code = like_compile(out, value_bytes(pattern), escape.type ? value_bytes(escape) : BYTES_NONE,
                                  e->scratch, &wrong);
    if (code == CODE_NOMEM)
        return eval_no_memory(e, n);
    return !code || eval_fail(e, n, "The pattern of LIKE is wrong: %s.", wrong);
}

enum truth test_like(const struct node *n, struct eval *e)
{
    struct value text, pattern = value_null();
    struct like *like = n->like;
    if (!n->args[0]->eval(n->args[0], e, &text) || (!like && !n->args[1]->eval(n->args[1], e, &pattern)))
        return TRUTH_FAILED;
    if (text.type == VALUE_NULL || (!like && pattern.type == VALUE_NULL))
        return TRUTH_NULL;
    if (text.type != VALUE_TEXT || (!like && pattern.type != VALUE_TEXT))
        return like_type(n, e, text.type != VALUE_TEXT ? text : pattern);
    if (!like && !like_now(n, e, pattern, &like))
        return TRUTH_FAILED;
    return like_matches(like, value_bytes(text)) != n->negated ? TRUTH_TRUE : TRUTH_FALSE;
}
