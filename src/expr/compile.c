#include "expr/function.h"
#include "expr/like.h"
#include "expr/program.h"
#include "expr/regex.h"

#include "base/mem.h"

#include <stdlib.h>

enum { ARENA_MAX = 64 * 1024 * 1024 };

struct compile {
    struct expr *expr;
    struct arena *arena; /* the expression's */
    uint32_t slots;
    struct fault *why;
};

static struct node *no_memory(struct compile *c)
{
    (void)FAIL(c->why, CODE_NOMEM, 0, "no memory for an expression");
    return NULL;
}

#define REFUSE(c, place, ...) (FAIL((c)->why, CODE_USAGE, place_at(place), __VA_ARGS__), (struct node *)NULL)

static struct node *compile(struct compile *c, const struct ast *a);

static struct node *make(struct compile *c, const struct ast *a)
{
    struct node *n = arena_zero(c->arena, sizeof *n);
    if (!n)
        return no_memory(c);
    n->at = a->at;
    n->op = a->op;
    n->negated = a->negated;
    n->test = test_value;
    n->eval = eval_truth; /* whoever makes the node sets one of the two */
    return n;
}

static bool add_args(struct compile *c, struct node *n, const struct ast *a)
{
    n->args = arena_take(c->arena, a->arg_count * sizeof *n->args);
    if (!n->args)
        return no_memory(c) != NULL;
    for (uint32_t i = 0; i < a->arg_count; i++) {
        n->args[i] = compile(c, a->args[i]);
        if (!n->args[i])
            return false;
        n->count++;
    }
    return true;
}

static struct node *constant(struct compile *c, struct node *n, struct value v)
{
    if (value_copy(&n->constant, v, c->arena))
        return no_memory(c);
    n->is_constant = true;
    n->eval = eval_constant;
    n->test = test_value;
    return n;
}

/* What has only constant arguments is done now. What fails is left as it is: it fails at the rows that reach it. */
static struct node *fold(struct compile *c, struct node *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        if (!n->args[i]->is_constant)
            return n;
    struct eval e = {.scratch = c->arena};
    struct value v;
    if (n->eval(n, &e, &v))
        return constant(c, n, v);
    return e.why.code == CODE_NOMEM ? no_memory(c) : n;
}

static bool copy_parts(struct compile *c, struct node *n, const struct ast *a)
{
    n->parts = arena_take(c->arena, a->part_count * sizeof *n->parts);
    if (!n->parts)
        return no_memory(c) != NULL;
    for (uint32_t i = 0; i < a->part_count; i++) {
        char *name = arena_text(c->arena, a->parts[i]);
        if (!name)
            return no_memory(c) != NULL;
        n->parts[i] = bytes_of(name, a->parts[i].len);
    }
    n->part_count = a->part_count;
    return true;
}

static struct node *slot(struct compile *c, const struct ast *a)
{
    struct node *n = make(c, a);
    if (!n || !copy_parts(c, n, a))
        return NULL;
    FG_ASSERT(a->slot < c->slots);
    n->slot = a->slot;
    n->eval = a->part_count ? eval_field : eval_slot;
    return n;
}

static struct node *unary(struct compile *c, const struct ast *a)
{
    struct node *n = make(c, a);
    if (!n || !add_args(c, n, a))
        return NULL;
    if (a->op == AST_NOT)
        n->test = test_not;
    else
        n->eval = a->op == AST_NEGATE ? eval_negate : eval_plus;
    return fold(c, n);
}

/* A slot on the left and a constant on the right go without their nodes. */
static void specialise(struct node *n)
{
    struct node *left = n->args[0], *right = n->args[1];
    if (left->eval != eval_slot || !right->is_constant)
        return;
    n->slot = left->slot;
    n->constant = right->constant;
    if (right->constant.type == VALUE_BIGINT)
        n->test = test_slot_bigint;
    else if (right->constant.type == VALUE_FLOAT)
        n->test = test_slot_float;
    else if (right->constant.type == VALUE_TEXT)
        n->test = test_slot_text;
}

static struct node *comparison(struct compile *c, struct node *n)
{
    static const uint8_t mirrored[] = {0, 4, 2, 6, 1, 5, 3, 7}; /* bits 0 and 2 change places */
    n->op = compare_accepts((enum ast_op)n->op);
    n->test = test_compare;
    if (n->args[0]->is_constant && !n->args[1]->is_constant) { /* the constant goes to the right */
        struct node *left = n->args[0];
        n->args[0] = n->args[1];
        n->args[1] = left;
        n->op = mirrored[n->op];
    }
    specialise(n);
    return fold(c, n);
}

/* a AND b AND c as one node of three. */
static struct node *chain(struct compile *c, struct node *n, uint8_t op)
{
    node_test test = op == AST_AND ? test_and : test_or;
    struct node *left = n->args[0];
    n->test = test;
    if (left->test == test && !left->is_constant) {
        struct node **args = arena_take(c->arena, (left->count + 1) * sizeof *args);
        if (!args)
            return no_memory(c);
        memcpy(args, left->args, left->count * sizeof *args);
        args[left->count] = n->args[1];
        n->args = args;
        n->count = left->count + 1;
    }
    return fold(c, n);
}

static struct node *binary(struct compile *c, const struct ast *a)
{
    struct node *n = make(c, a);
    if (!n || !add_args(c, n, a))
        return NULL;
    if (a->op == AST_AND || a->op == AST_OR)
        return chain(c, n, a->op);
    if (a->op >= AST_EQ && a->op <= AST_GE)
        return comparison(c, n);
    n->eval = eval_arithmetic;
    return fold(c, n);
}

static int by_value(const void *a, const void *b)
{
    return value_order(*(const struct value *)a, *(const struct value *)b);
}

enum { SHORT_LIST = 4 };

/* Constants of one kind are sorted. */
static struct node *in_list(struct compile *c, struct node *n)
{
    n->test = test_in;
    bool numbers = true, texts = true;
    uint32_t nulls = 0;
    for (uint32_t i = 1; i < n->count; i++) {
        const struct value v = n->args[i]->constant;
        if (!n->args[i]->is_constant)
            return n;
        nulls += v.type == VALUE_NULL;
        numbers &= v.type == VALUE_NULL || v.type == VALUE_BIGINT || v.type == VALUE_FLOAT;
        texts &= v.type == VALUE_NULL || v.type == VALUE_TEXT;
    }
    if (n->args[0]->is_constant)
        return fold(c, n);
    n->list_count = n->count - 1 - nulls;
    if ((!numbers && !texts) || n->list_count < SHORT_LIST)
        return n;
    n->list = arena_take(c->arena, n->list_count * sizeof *n->list);
    if (!n->list)
        return no_memory(c);
    uint32_t k = 0;
    for (uint32_t i = 1; i < n->count; i++)
        if (n->args[i]->constant.type != VALUE_NULL)
            n->list[k++] = n->args[i]->constant;
    qsort(n->list, n->list_count, sizeof *n->list, by_value);
    n->has_null = nulls > 0;
    n->test = test_in_list;
    return n;
}

static bool compile_like(struct compile *c, struct node *n, const struct node *pattern,
                         const struct node *escape, const char *what)
{
    const char *wrong = "ESCAPE needs a text of one character";
    if (!pattern->is_constant || pattern->constant.type != VALUE_TEXT || (escape && !escape->is_constant))
        return true;
    if (escape && escape->constant.type != VALUE_TEXT)
        return REFUSE(c, escape->at, "%s", wrong) != NULL;
    enum code code = like_compile(&n->like, value_bytes(pattern->constant),
                                  escape ? value_bytes(escape->constant) : BYTES_NONE, c->arena, &wrong);
    if (code == CODE_NOMEM)
        return no_memory(c) != NULL;
    return !code || REFUSE(c, pattern->at, "the pattern of %s is wrong: %s", what, wrong) != NULL;
}

static struct node *predicate(struct compile *c, const struct ast *a)
{
    struct node *n = make(c, a);
    if (!n || !add_args(c, n, a))
        return NULL;
    switch ((enum ast_kind)a->kind) {
    case AST_IS_NULL: n->test = test_is_null; break;
    case AST_BETWEEN: n->test = test_between; break;
    case AST_IN: return in_list(c, n);
    default:
        n->test = test_like;
        if (!compile_like(c, n, n->args[1], n->count == 3 ? n->args[2] : NULL, "LIKE"))
            return NULL;
        break;
    }
    return fold(c, n);
}

static struct node *cases(struct compile *c, const struct ast *a)
{
    struct node *n = make(c, a);
    if (!n || !add_args(c, n, a))
        return NULL;
    n->has_operand = a->has_operand;
    n->has_else = a->has_else;
    n->eval = eval_case;
    return fold(c, n);
}

static struct node *cast(struct compile *c, const struct ast *a)
{
    struct node *n = make(c, a);
    if (!n || !add_args(c, n, a))
        return NULL;
    struct buf text = {.max = 4096};
    ast_write(&text, a->args[0]);
    char *copy = arena_text(c->arena, buf_bytes(&text));
    n->text = bytes_of(copy, copy ? buf_size(&text) : 0);
    buf_clear(&text);
    if (!copy)
        return no_memory(c);
    n->cast_to = a->cast_to;
    n->try_cast = a->try_cast;
    n->eval = eval_cast;
    return fold(c, n);
}

/* ---- calls ---- */

static struct node *unknown(struct compile *c, const struct ast *a)
{
    char shown[48];
    bytes_escape(a->name, shown, sizeof shown);
    const uint8_t *dot = a->name.len ? memrchr(a->name.at, '.', a->name.len) : NULL;
    struct bytes last = dot ? bytes_from(a->name, (size_t)(dot - a->name.at) + 1) : a->name;
    if (dot && a->name.len > 4 && function_name_is(bytes_of(a->name.at, 4), "udf."))
        return REFUSE(c, a->at, "user-defined functions are not in this version: %s", shown);
    if (dot && function_is_scalar(last))
        return REFUSE(c, a->at, "a function of the language takes no prefix: write %.*s", BYTES_FMT(last));
    const char *near = function_nearest(a->name);
    if (near)
        return REFUSE(c, a->at, "unknown function %s; did you mean %s?", shown, near);
    return REFUSE(c, a->at, "unknown function %s", shown);
}

static struct node *wrong_count(struct compile *c, const struct ast *a, const struct function *f)
{
    if (f->least == f->most)
        return REFUSE(c, a->at, "function %s has %u argument%s, found %u", f->name, (unsigned)f->least,
                      f->least == 1 ? "" : "s", (unsigned)a->arg_count);
    return REFUSE(c, a->at, "function %s has %u to %u arguments, found %u", f->name, (unsigned)f->least,
                  (unsigned)f->most, (unsigned)a->arg_count);
}

static bool take_unit(struct compile *c, struct node *n, const struct ast *a)
{
    const struct ast *unit = a->args[0];
    bool text = unit->kind == AST_CONSTANT && unit->constant.type == VALUE_TEXT;
    n->unit = text && unit->is_unit ? unit_find(value_bytes(unit->constant)) : UNIT_NONE;
    if (n->unit != UNIT_NONE)
        return true;
    char shown[48] = "this";
    if (text)
        bytes_escape(value_bytes(unit->constant), shown, sizeof shown);
    return REFUSE(c, unit->at,
                  "%s is no unit of time; there are year, quarter, month, dayofyear, day, week, weekday, "
                  "hour, minute, second, "
                  "millisecond, microsecond and their short forms",
                  shown) != NULL;
}

static bool take_regex(struct compile *c, struct node *n)
{
    const struct node *pattern = n->args[1];
    const char *wrong;
    if (!pattern->is_constant || pattern->constant.type != VALUE_TEXT)
        return true;
    enum code code = regex_new(&n->regex, value_bytes(pattern->constant), &wrong);
    if (code == CODE_NOMEM)
        return no_memory(c) != NULL;
    if (code) /* it matches nothing, at every row */
        return true;
    n->next_owner = c->expr->owners;
    c->expr->owners = n;
    return true;
}

/* Types of constant arguments are checked before any row is there. */
static bool check_constants(struct compile *c, const struct node *n)
{
    const struct function *f = n->function;
    for (uint32_t i = f->flags & FUNCTION_UNIT ? 1 : 0; i < n->count; i++) {
        const struct node *arg = n->args[i];
        uint16_t types = function_type(f, i);
        if (!arg->is_constant || arg->constant.type == VALUE_NULL || types & 1 << arg->constant.type)
            continue;
        /* Evaluated with NULL for all others, the call stops at the first argument that does not fit, in its own words. */
        struct node nulls[ARGS_MAX], *args[ARGS_MAX], call = *n;
        for (uint32_t k = 0; k < n->count; k++) {
            nulls[k] = (struct node){.eval = eval_constant, .at = n->args[k]->at};
            args[k] = k == i ? n->args[k] : &nulls[k];
        }
        struct function without = *f;
        without.flags &= (uint8_t)~FUNCTION_NULLS;
        call.args = args;
        call.function = &without;
        struct eval e = {.scratch = c->arena};
        struct value ignored;
        if (n->count > 1 ? call.eval(&call, &e, &ignored) : true)
            continue;
        char *at_line = strstr(e.why.text, " At line '");
        if (at_line)
            *at_line = 0;
        return REFUSE(c, n->at, "%s", e.why.text) != NULL;
    }
    return true;
}

static node_eval own_eval(const struct function *f)
{
    return f->flags & FUNCTION_IIF        ? eval_iif
           : f->flags & FUNCTION_COALESCE ? eval_coalesce
           : f->flags & FUNCTION_NULLIF   ? eval_nullif
                                          : eval_call;
}

static struct node *result_fields(struct compile *c, const struct ast *a, struct node *call)
{
    struct node *n = make(c, a);
    if (!n || !copy_parts(c, n, a))
        return NULL;
    n->args = arena_take(c->arena, sizeof *n->args);
    if (!n->args)
        return no_memory(c);
    n->args[0] = call;
    n->count = 1;
    n->eval = eval_result_field;
    return fold(c, n);
}

static struct node *call(struct compile *c, const struct ast *a)
{
    const struct function *f = function_find(a->name);
    if (!f)
        return unknown(c, a);
    if (a->distinct || a->over)
        return REFUSE(c, a->at, "function %s has no %s", f->name, a->distinct ? "DISTINCT" : "OVER clause");
    if (a->arg_count < f->least || a->arg_count > f->most)
        return wrong_count(c, a, f);
    struct node *n = make(c, a);
    if (!n)
        return NULL;
    n->function = f;
    n->eval = own_eval(f);
    if (((f->flags & FUNCTION_UNIT) && !take_unit(c, n, a)) || !add_args(c, n, a) ||
        ((f->flags & FUNCTION_REGEX) && !take_regex(c, n)) ||
        ((f->flags & FUNCTION_LIKE) && !compile_like(c, n, n->args[0], NULL, f->name)) ||
        (n->eval == eval_call && !check_constants(c, n)))
        return NULL;
    n = fold(c, n);
    return n && a->part_count ? result_fields(c, a, n) : n;
}

static struct node *timestamp(struct compile *c, const struct ast *a)
{
    struct node *n = make(c, a);
    if (n)
        n->eval = eval_time;
    return n;
}

static struct node *literal(struct compile *c, const struct ast *a)
{
    struct node *n = make(c, a);
    return n ? constant(c, n, a->constant) : NULL;
}

static struct node *compile(struct compile *c, const struct ast *a)
{
    char shown[64];
    switch ((enum ast_kind)a->kind) {
    case AST_CONSTANT: return literal(c, a);
    case AST_SLOT: return slot(c, a);
    case AST_TIMESTAMP: return timestamp(c, a);
    case AST_UNARY: return unary(c, a);
    case AST_BINARY: return binary(c, a);
    case AST_IS_NULL:
    case AST_BETWEEN:
    case AST_IN:
    case AST_LIKE: return predicate(c, a);
    case AST_CASE: return cases(c, a);
    case AST_CAST: return cast(c, a);
    case AST_CALL: return call(c, a);
    case AST_NAME:
        return REFUSE(c, a->at, "the name %s is not known here", bytes_escape(a->name, shown, sizeof shown));
    default: return REFUSE(c, a->at, "* is no value here");
    }
}

enum code expr_compile(struct expr **out, const struct ast *a, uint32_t max_slot, struct fault *why)
{
    struct fault ours = {0};
    struct expr *x = mem_zalloc(1, sizeof *x);
    if (!x)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an expression");
    arena_init(&x->arena, NULL, 0, ARENA_MAX);
    struct compile c = {x, &x->arena, max_slot, &ours};
    x->root = compile(&c, a);
    if (!x->root) {
        expr_free(x);
        if (why)
            *why = ours;
        return ours.code;
    }
    *out = x;
    return CODE_OK;
}

void expr_free(struct expr *x)
{
    if (!x)
        return;
    for (struct node *n = x->owners; n; n = n->next_owner)
        regex_free(n->regex);
    arena_clear(&x->arena);
    mem_free(x);
}
