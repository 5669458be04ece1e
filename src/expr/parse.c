#include "expr/expr.h"

#include "base/suggest.h"
#include "expr/function.h"

#include <stdio.h>

/* Grammar, loosest first: OR, AND, NOT, predicates (comparison, BETWEEN, IN, LIKE, IS NULL), + -, * / %, sign, primary. */

enum code parser_step(struct parser *p)
{
    p->now = p->next;
    if (p->now.kind == TOKEN_END)
        return CODE_OK;
    return lex_next(&p->lex, &p->next, p->why);
}

enum code parser_begin(struct parser *p, struct bytes source, struct arena *arena, struct fault *why)
{
    *p = (struct parser){.arena = arena, .why = why};
    lex_begin(&p->lex, source, arena);
    enum code code = lex_next(&p->lex, &p->now, why);
    p->next = p->now;
    if (!code && p->now.kind != TOKEN_END)
        code = lex_next(&p->lex, &p->next, why);
    return code;
}

enum code parser_step_loose(struct parser *p)
{
    p->loose = p->now;
    enum code c = parser_step(p);
    p->behind_loose = p->now.at;
    return c;
}

/* ---- "did you mean" ---- */

struct near {
    struct bytes typed, best;
    unsigned     edits;
};

/* A third of its letters may be wrong: shorter words than three have no neighbours. */
static void offer(struct near *n, struct bytes word)
{
    unsigned most = (unsigned)(n->typed.len > word.len ? n->typed.len : word.len) / 3;
    unsigned edits = suggest_distance(n->typed, word, most);
    if (edits > most || edits >= n->edits)
        return;
    n->edits = edits;
    n->best = word;
}

static bool is_capital(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_small(uint8_t c)
{
    return c >= 'a' && c <= 'z';
}

/* Words in capitals, and all words of a list behind a colon. */
static void offer_expected(struct near *n, const char *expected)
{
    bool list = false;
    for (const char *at = expected; *at;) {
        size_t capitals = 0, len = 0;
        for (; is_capital((uint8_t)at[len]) || is_small((uint8_t)at[len]); len++)
            capitals += is_capital((uint8_t)at[len]);
        if (len > 2 && (list || capitals == len))
            offer(n, bytes_of(at, len));
        list = list || at[len] == ':';
        at += len + (at[len] != 0);
    }
}

/* The keyword that a word was probably meant to be, or empty; empty also if it is one. */
static struct bytes nearest(struct bytes typed, const char *expected)
{
    static const char *const words[] = {
        "SELECT",    "INTO",      "FROM",   "WHERE", "GROUP", "HAVING", "UNION", "JOIN", "INNER",   "LEFT",    "CROSS",
        "OUTER",     "APPLY",     "CREATE", "TABLE", "WITH",  "OVER",   "AND",   "NOT",  "LIKE",    "BETWEEN", "CASE",
        "TIMESTAMP", "PARTITION", "WHEN",   "THEN",  "ELSE",  "END",    "NULL",  "ALL",  "DISTINCT"};
    struct near general = {.typed = typed, .edits = UINT32_MAX}, special = general;
    offer_expected(&special, expected);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        offer(&general, bytes_str(words[i]));
    if (!general.edits || !special.edits)
        return BYTES_NONE;
    return special.best.len || strchr(expected, ':') ? special.best : general.best;
}

static enum code refuse_token(struct parser *p, const struct token *t, const char *expected)
{
    static const char *const quote[][2] = {
        [TOKEN_NAME] = {"", ""},   [TOKEN_QUOTED] = {"[", "]"}, [TOKEN_TEXT] = {"'", "'"},
        [TOKEN_BIGINT] = {"", ""}, [TOKEN_FLOAT] = {"", ""},    [TOKEN_MARK] = {"'", "'"},
    };
    char shown[48];
    struct bytes near = t->kind == TOKEN_NAME ? nearest(t->text, expected) : BYTES_NONE;
    if (!near.len && p->loose.kind == TOKEN_NAME && place_at(p->behind_loose) == place_at(t->at)) {
        near = nearest(p->loose.text, expected);
        t = near.len ? &p->loose : t;
    }
    if (t->kind == TOKEN_END)
        return FAIL(p->why, CODE_USAGE, place_at(t->at), "expected %s, found the end of the text", expected);
    bytes_escape(t->text, shown, sizeof shown);
    return FAIL(p->why, CODE_USAGE, place_at(t->at), "expected %s, found %s%s%s%s%.*s%s", expected, quote[t->kind][0],
                shown, quote[t->kind][1], near.len ? ". Did you mean " : "", BYTES_FMT(near), near.len ? "?" : "");
}

enum code parser_refuse(struct parser *p, const char *expected)
{
    return refuse_token(p, &p->now, expected);
}

enum code parser_keyword(struct parser *p, const char *keyword)
{
    return token_is(&p->now, keyword) ? parser_step(p) : parser_refuse(p, keyword);
}

enum code parser_mark(struct parser *p, const char *mark)
{
    if (token_mark(&p->now, mark))
        return parser_step(p);
    char expected[8];
    (void)snprintf(expected, sizeof expected, "'%s'", mark);
    return parser_refuse(p, expected);
}

static enum code no_memory(struct parser *p)
{
    return FAIL(p->why, CODE_NOMEM, place_at(p->now.at), "no memory for this expression");
}

static enum code make(struct parser *p, enum ast_kind kind, struct place at, struct ast **out)
{
    struct ast *a = *out = arena_zero(p->arena, sizeof *a);
    if (!a)
        return no_memory(p);
    a->kind = (uint8_t)kind;
    a->at = at;
    a->end = p->now.end;
    a->height = 1;
    return CODE_OK;
}

/* The tree's height counts everything that is below a node. */
static enum code cover(struct parser *p, struct ast *a, const struct ast *child)
{
    if (child->height >= AST_HEIGHT)
        return FAIL(p->why, CODE_USAGE, place_at(a->at), "this expression is nested more than %d deep", AST_HEIGHT);
    if (a->height <= child->height)
        a->height = (uint16_t)(child->height + 1);
    return CODE_OK;
}

/* One more child. */
static enum code adopt(struct parser *p, struct ast *a, struct ast *child)
{
    struct ast **args = arena_one_more(p->arena, a->args, a->arg_count, sizeof *args);
    if (!args)
        return no_memory(p);
    a->args = args;
    a->args[a->arg_count++] = child;
    a->end = child->end;
    return cover(p, a, child);
}

#define TRY(call)                  \
    do {                           \
        enum code try_code = call; \
        if (try_code)              \
            return try_code;       \
    } while (0)

static enum code parse_or(struct parser *p, struct ast **out);
static enum code parse_sum(struct parser *p, struct ast **out);
static enum code parse_primary(struct parser *p, struct ast **out);

static bool is_name(const struct token *t)
{
    return t->kind == TOKEN_NAME || t->kind == TOKEN_QUOTED;
}

/* One more part of a dotted name. */
static enum code add_part(struct parser *p, struct ast *a, struct bytes part)
{
    if (a->part_count == EXPR_DEPTH)
        return FAIL(p->why, CODE_USAGE, place_at(a->at), "a name has more than %d parts", EXPR_DEPTH);
    struct bytes *parts = arena_one_more(p->arena, a->parts, a->part_count, sizeof *parts);
    if (!parts)
        return no_memory(p);
    a->parts = parts;
    a->parts[a->part_count++] = part;
    return CODE_OK;
}

/* `.name`s behind what is already there; `.*` makes a star of it where `star` allows. */
static enum code parse_fields(struct parser *p, struct ast *a, bool star)
{
    while (token_mark(&p->now, ".")) {
        TRY(parser_step(p));
        a->end = p->now.end;
        if (star && token_mark(&p->now, "*")) {
            a->kind = AST_STAR;
            return parser_step(p);
        }
        if (!is_name(&p->now))
            return parser_refuse(p, "the name of a field");
        TRY(add_part(p, a, p->now.text));
        TRY(parser_step(p));
    }
    return CODE_OK;
}

/* a.b.c as one text. */
static enum code join_parts(struct parser *p, struct ast *a)
{
    if (a->part_count == 1) {
        a->name = a->parts[0];
        return CODE_OK;
    }
    size_t len = a->part_count - 1;
    for (uint32_t i = 0; i < a->part_count; i++)
        len += a->parts[i].len;
    uint8_t *at = arena_take(p->arena, len);
    if (!at)
        return no_memory(p);
    a->name = bytes_of(at, len);
    for (uint32_t i = 0; i < a->part_count; i++) {
        if (i)
            *at++ = '.';
        if (a->parts[i].len)
            memcpy(at, a->parts[i].at, a->parts[i].len);
        at += a->parts[i].len;
    }
    return CODE_OK;
}

/* e, e, ... up to the ')' that must be at hand then: the children of `a`. */
static enum code parse_listed(struct parser *p, struct ast *a, enum code (*one)(struct parser *, struct ast **))
{
    for (;;) {
        struct ast *child;
        TRY(one(p, &child));
        TRY(adopt(p, a, child));
        if (token_mark(&p->now, ")"))
            return CODE_OK;
        if (!token_mark(&p->now, ","))
            return parser_refuse(p, "',' or ')'");
        TRY(parser_step(p));
    }
}

static enum code parse_order(struct parser *p, struct ast_over *over)
{
    do {
        TRY(parser_step(p)); /* BY, then commas */
        struct ast_order *order = arena_one_more(p->arena, over->order, over->orders, sizeof *order);
        if (!order)
            return no_memory(p);
        over->order = order;
        struct ast_order *o = &over->order[over->orders];
        *o = (struct ast_order){0};
        TRY(parse_or(p, &o->by));
        over->orders++;
        o->descending = token_is(&p->now, "DESC");
        if (o->descending || token_is(&p->now, "ASC"))
            TRY(parser_step(p));
    } while (token_mark(&p->now, ","));
    return CODE_OK;
}

static enum code parse_partition(struct parser *p, struct ast_over *over)
{
    struct ast *list;
    TRY(make(p, AST_CALL, p->now.at, &list));
    do {
        struct ast *by;
        TRY(parser_step(p));
        TRY(parse_or(p, &by));
        TRY(adopt(p, list, by));
    } while (token_mark(&p->now, ","));
    over->partition = list->args;
    over->partitions = list->arg_count;
    return CODE_OK;
}

static enum code parse_limit(struct parser *p, struct ast_over *over)
{
    TRY(parser_step(p));
    TRY(parser_keyword(p, "DURATION"));
    TRY(parser_mark(p, "("));
    if (p->now.kind != TOKEN_NAME)
        return parser_refuse(p, "a unit of time such as second");
    struct token word = p->now;
    TRY(parse_primary(p, &over->limit_unit));
    if (over->limit_unit->kind != AST_NAME || over->limit_unit->part_count != 1)
        return refuse_token(p, &word, "a unit of time such as second");
    TRY(parser_mark(p, ","));
    TRY(parse_or(p, &over->limit_count));
    return parser_mark(p, ")");
}

/* OVER ( [PARTITION BY ...] [ORDER BY ...] [LIMIT DURATION(...)] [WHEN ...] ), each once, in any order. */
static enum code parse_over(struct parser *p, struct ast *call)
{
    struct ast_over *over = arena_zero(p->arena, sizeof *over);
    if (!over)
        return no_memory(p);
    over->at = p->now.at;
    call->over = over;
    TRY(parser_step(p));
    TRY(parser_mark(p, "("));
    while (!token_mark(&p->now, ")")) {
        bool limit = token_is(&p->now, "LIMIT"), when = token_is(&p->now, "WHEN");
        if (!over->partitions && token_is(&p->now, "PARTITION") && token_is(&p->next, "BY")) {
            TRY(parser_step(p));
            TRY(parse_partition(p, over));
        } else if (!over->orders && token_is(&p->now, "ORDER") && token_is(&p->next, "BY")) {
            TRY(parser_step(p));
            TRY(parse_order(p, over));
        } else if (limit && !over->limit_unit) {
            TRY(parse_limit(p, over));
        } else if (when && !over->when) {
            TRY(parser_step(p));
            TRY(parse_or(p, &over->when));
        } else {
            return parser_refuse(p, "PARTITION BY, ORDER BY, LIMIT DURATION(), WHEN (each once) or ')'");
        }
    }
    call->end = p->now.end;
    for (uint32_t i = 0; i < over->partitions; i++)
        TRY(cover(p, call, over->partition[i]));
    for (uint32_t i = 0; i < over->orders; i++)
        TRY(cover(p, call, over->order[i].by));
    if (over->limit_count)
        TRY(cover(p, call, over->limit_count));
    if (over->when)
        TRY(cover(p, call, over->when));
    return parser_step(p);
}

/* The unit is a word of the language and no column. */
static void unit_argument(struct ast *call)
{
    struct ast *first = call->args[0];
    if (first->kind == AST_NAME && first->part_count == 1 && function_takes_unit(call->name)) {
        first->kind = AST_CONSTANT;
        first->constant = value_text(first->parts[0]);
        first->is_unit = true;
    }
}

static bool is_system_timestamp(const struct ast *a)
{
    return function_name_is(a->name, "System.Timestamp");
}

/* The name has been read, '(' is at hand. */
static enum code parse_call(struct parser *p, struct ast *a)
{
    a->kind = AST_CALL;
    a->part_count = 0;
    a->parts = NULL;
    TRY(parser_step(p));
    if (token_is(&p->now, "DISTINCT")) {
        a->distinct = true;
        TRY(parser_step(p));
    }
    if (a->distinct || !token_mark(&p->now, ")"))
        TRY(parse_listed(p, a, parse_expr));
    a->end = p->now.end;
    TRY(parser_mark(p, ")"));
    if (a->arg_count)
        unit_argument(a);
    else if (is_system_timestamp(a))
        a->kind = AST_TIMESTAMP;
    if (token_is(&p->now, "OVER"))
        TRY(parse_over(p, a));
    return a->kind == AST_CALL ? parse_fields(p, a, false) : CODE_OK;
}

/* A function's name needs no brackets; a name that does is none. */
static bool is_callable(const struct ast *a)
{
    for (uint32_t i = 0; i < a->name.len; i++) {
        uint8_t c = a->name.at[i];
        if (c != '_' && c != '.' && (uint8_t)((c | 0x20) - 'a') > 25 && (i == 0 || (uint8_t)(c - '0') > 9))
            return false;
    }
    struct token all = {.kind = TOKEN_NAME, .text = a->name}, first = {.kind = TOKEN_NAME, .text = a->parts[0]};
    bool word = token_is_reserved(&first) && !token_is(&all, "LEFT");
    return a->name.len > 0 && !word && !token_is(&all, "CAST") && !token_is(&all, "TRY_CAST");
}

static bool is_truth(const struct parser *p)
{
    return (token_is(&p->now, "TRUE") || token_is(&p->now, "FALSE")) && !token_mark(&p->next, ".") &&
           !token_mark(&p->next, "(");
}

static enum code parse_name(struct parser *p, struct ast **out)
{
    struct ast *a;
    TRY(make(p, AST_NAME, p->now.at, &a));
    *out = a;
    if (is_truth(p)) {
        a->kind = AST_CONSTANT;
        a->constant = value_bit(token_is(&p->now, "TRUE"));
        return parser_step(p);
    }
    struct bytes first = p->now.text;
    if (token_mark(&p->now, "$")) { /* $body, $upstream: one word */
        first = bytes_of(first.at, first.len + p->next.text.len);
        TRY(parser_step(p));
        a->end = p->now.end;
    }
    a->double_quoted = p->now.double_quoted;
    TRY(add_part(p, a, first));
    TRY(parser_step(p));
    TRY(parse_fields(p, a, true));
    TRY(join_parts(p, a));
    a->double_quoted = a->double_quoted && a->part_count == 1;
    if (a->kind == AST_NAME && token_mark(&p->now, "(") && is_callable(a))
        return parse_call(p, a);
    if (a->kind == AST_NAME && is_system_timestamp(a))
        a->kind = AST_TIMESTAMP;
    return CODE_OK;
}

static enum code parse_constant(struct parser *p, struct ast **out)
{
    TRY(make(p, AST_CONSTANT, p->now.at, out));
    if (p->now.kind == TOKEN_TEXT) {
        if (p->now.text.len > UINT32_MAX)
            return FAIL(p->why, CODE_USAGE, place_at(p->now.at), "a text is longer than 4 GiB");
        (*out)->constant = value_text(p->now.text);
    } else if (p->now.kind == TOKEN_BIGINT && p->now.number.i < 0) {
        /* 9223372036854775808 is a number only behind a minus. */
        return FAIL(p->why, CODE_USAGE, place_at(p->now.at),
                    "this number is outside of the range of bigint (-9223372036854775808 to 9223372036854775807)");
    } else if (p->now.kind != TOKEN_NAME) { /* else NULL */
        (*out)->constant = p->now.number;
    }
    return parser_step(p);
}

static enum code parse_case(struct parser *p, struct ast **out)
{
    struct ast *a, *child;
    TRY(make(p, AST_CASE, p->now.at, &a));
    *out = a;
    TRY(parser_step(p));
    if (!token_is(&p->now, "WHEN")) {
        a->has_operand = true;
        TRY(parse_or(p, &child));
        TRY(adopt(p, a, child));
    }
    do {
        TRY(parser_keyword(p, "WHEN"));
        TRY(parse_or(p, &child));
        TRY(adopt(p, a, child));
        TRY(parser_keyword(p, "THEN"));
        TRY(parse_or(p, &child));
        TRY(adopt(p, a, child));
    } while (token_is(&p->now, "WHEN"));
    if (token_is(&p->now, "ELSE")) {
        a->has_else = true;
        TRY(parser_step(p));
        TRY(parse_or(p, &child));
        TRY(adopt(p, a, child));
    }
    a->end = p->now.end;
    if (!token_is(&p->now, "END"))
        return parser_refuse(p, a->has_else ? "END" : "WHEN, ELSE or END");
    return parser_step(p);
}

enum code parser_type(struct parser *p, uint8_t *out)
{
    static const struct {
        const char *name;
        uint8_t type;
    } types[] = {
        {"bigint", VALUE_BIGINT},     {"float", VALUE_FLOAT},   {"nvarchar", VALUE_TEXT}, {"bit", VALUE_BIT},
        {"datetime", VALUE_DATETIME}, {"record", VALUE_RECORD}, {"array", VALUE_ARRAY},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (!token_is(&p->now, types[i].name))
            continue;
        *out = types[i].type;
        TRY(parser_step(p));
        if (types[i].type != VALUE_TEXT || !token_mark(&p->now, "("))
            return CODE_OK;
        TRY(parser_step(p));
        TRY(parser_keyword(p, "MAX"));
        return parser_mark(p, ")");
    }
    return parser_refuse(p, "a type: bigint, float, nvarchar(max), bit, datetime, record or array");
}

static enum code parse_cast(struct parser *p, struct ast **out)
{
    struct ast *a, *child;
    TRY(make(p, AST_CAST, p->now.at, &a));
    *out = a;
    a->try_cast = token_is(&p->now, "TRY_CAST");
    TRY(parser_step(p));
    TRY(parser_step(p));
    TRY(parse_or(p, &child));
    TRY(adopt(p, a, child));
    TRY(parser_keyword(p, "AS"));
    TRY(parser_type(p, &a->cast_to));
    a->end = p->now.end;
    return parser_mark(p, ")");
}

static enum code parse_primary(struct parser *p, struct ast **out)
{
    const struct token *t = &p->now;
    if (t->kind == TOKEN_TEXT || t->kind == TOKEN_BIGINT || t->kind == TOKEN_FLOAT || token_is(t, "NULL"))
        return parse_constant(p, out);
    if (token_mark(t, "(")) {
        TRY(parser_step(p));
        TRY(parse_or(p, out));
        return parser_mark(p, ")");
    }
    if (token_is(t, "CASE"))
        return parse_case(p, out);
    if ((token_is(t, "CAST") || token_is(t, "TRY_CAST")) && token_mark(&p->next, "("))
        return parse_cast(p, out);
    bool dollar = token_mark(t, "$") && p->next.kind == TOKEN_NAME && p->next.text.at == t->text.at + 1;
    bool left = token_is(t, "LEFT") && token_mark(&p->next, "("); /* the function, not the join */
    if (!dollar && !left && (!is_name(t) || token_is_reserved(t)))
        return parser_refuse(p, "an expression");
    return parse_name(p, out);
}

static enum code parse_sign(struct parser *p, struct ast **out)
{
    bool minus = token_mark(&p->now, "-");
    if (!minus && !token_mark(&p->now, "+"))
        return parse_primary(p, out);
    struct place at = p->now.at;
    struct ast *child;
    if (p->next.kind == TOKEN_BIGINT || p->next.kind == TOKEN_FLOAT) {
        TRY(parser_step(p));
        if (minus && p->now.kind == TOKEN_FLOAT)
            p->now.number.f = -p->now.number.f;
        bool least = minus && p->now.number.i == INT64_MIN;
        if (minus && p->now.kind == TOKEN_BIGINT && !least)
            p->now.number.i = -p->now.number.i;
        TRY(make(p, AST_CONSTANT, at, out));
        if (p->now.kind == TOKEN_BIGINT && !minus)
            return parse_constant(p, out);
        (*out)->constant = p->now.number;
        return parser_step(p);
    }
    TRY(make(p, AST_UNARY, at, out));
    (*out)->op = minus ? AST_NEGATE : AST_PLUS;
    if (++p->depth > EXPR_DEPTH)
        return FAIL(p->why, CODE_USAGE, place_at(at), "this expression is nested more than %d deep",
                    EXPR_DEPTH);
    TRY(parser_step(p));
    TRY(parse_sign(p, &child));
    p->depth--;
    return adopt(p, *out, child);
}

struct level { /* operators of one rank, joined from the left */
    const char *word;
    uint8_t op;
};

static enum code join(struct parser *p, struct ast **left, const struct level *op,
                      enum code (*operand)(struct parser *, struct ast **))
{
    struct ast *a, *right;
    TRY(make(p, AST_BINARY, (*left)->at, &a));
    a->op = op->op;
    TRY(parser_step(p));
    TRY(operand(p, &right));
    TRY(adopt(p, a, *left));
    TRY(adopt(p, a, right));
    *left = a;
    return CODE_OK;
}

static const struct level *find_level(const struct parser *p, const struct level *ops, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (token_mark(&p->now, ops[i].word) || token_is(&p->now, ops[i].word))
            return &ops[i];
    return NULL;
}

static enum code parse_product(struct parser *p, struct ast **out)
{
    static const struct level ops[] = {{"*", AST_MUL}, {"/", AST_DIV}, {"%", AST_MOD}};
    TRY(parse_sign(p, out));
    for (const struct level *op; (op = find_level(p, ops, 3));)
        TRY(join(p, out, op, parse_sign));
    return CODE_OK;
}

static enum code parse_sum(struct parser *p, struct ast **out)
{
    static const struct level ops[] = {{"+", AST_ADD}, {"-", AST_SUB}};
    TRY(parse_product(p, out));
    for (const struct level *op; (op = find_level(p, ops, 2));)
        TRY(join(p, out, op, parse_product));
    return CODE_OK;
}

static enum code parse_in(struct parser *p, struct ast *a)
{
    TRY(parser_mark(p, "("));
    TRY(parse_listed(p, a, parse_or));
    a->end = p->now.end;
    return parser_mark(p, ")");
}

static enum code parse_between(struct parser *p, struct ast *a)
{
    struct ast *child;
    TRY(parse_sum(p, &child));
    TRY(adopt(p, a, child));
    TRY(parser_keyword(p, "AND"));
    TRY(parse_sum(p, &child));
    return adopt(p, a, child);
}

static enum code parse_like(struct parser *p, struct ast *a)
{
    struct ast *child;
    TRY(parse_sum(p, &child));
    TRY(adopt(p, a, child));
    if (!token_is(&p->now, "ESCAPE"))
        return CODE_OK;
    TRY(parser_step(p));
    TRY(parse_sum(p, &child));
    return adopt(p, a, child);
}

static enum code parse_is_null(struct parser *p, struct ast **out)
{
    struct ast *a;
    TRY(make(p, AST_IS_NULL, (*out)->at, &a));
    TRY(adopt(p, a, *out));
    *out = a;
    TRY(parser_step(p));
    if (token_is(&p->now, "NOT")) {
        a->negated = true;
        TRY(parser_step(p));
    }
    a->end = p->now.end;
    return parser_keyword(p, "NULL");
}

/* [NOT] BETWEEN | IN | LIKE behind what is in *out. */
static enum code parse_worded(struct parser *p, struct ast **out, bool *found)
{
    static const struct {
        const char *word;
        uint8_t kind;
        enum code (*rest)(struct parser *, struct ast *);
    } table[] = {
        {"BETWEEN", AST_BETWEEN, parse_between}, {"IN", AST_IN, parse_in}, {"LIKE", AST_LIKE, parse_like}};
    bool negated = token_is(&p->now, "NOT");
    const struct token *word = negated ? &p->next : &p->now;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!token_is(word, table[i].word))
            continue;
        *found = true;
        struct ast *a;
        TRY(make(p, table[i].kind, (*out)->at, &a));
        a->negated = negated;
        if (negated)
            TRY(parser_step(p));
        TRY(parser_step(p));
        TRY(adopt(p, a, *out));
        *out = a;
        return table[i].rest(p, a);
    }
    *found = false;
    return CODE_OK;
}

static enum code parse_predicate(struct parser *p, struct ast **out)
{
    static const struct level ops[] = {{"=", AST_EQ},  {"<>", AST_NE}, {"!=", AST_NE}, {"<", AST_LT},
                                       {"<=", AST_LE}, {">", AST_GT},  {">=", AST_GE}};
    TRY(parse_sum(p, out));
    for (;;) {
        const struct level *op = find_level(p, ops, sizeof ops / sizeof ops[0]);
        bool found = true;
        if (op)
            TRY(join(p, out, op, parse_sum));
        else if (token_is(&p->now, "IS"))
            TRY(parse_is_null(p, out));
        else
            TRY(parse_worded(p, out, &found));
        if (!found)
            return CODE_OK;
    }
}

static enum code parse_not(struct parser *p, struct ast **out)
{
    if (!token_is(&p->now, "NOT"))
        return parse_predicate(p, out);
    struct ast *child;
    TRY(make(p, AST_UNARY, p->now.at, out));
    (*out)->op = AST_NOT;
    if (++p->depth > EXPR_DEPTH)
        return FAIL(p->why, CODE_USAGE, place_at(p->now.at), "this expression is nested more than %d deep",
                    EXPR_DEPTH);
    TRY(parser_step(p));
    TRY(parse_not(p, &child));
    p->depth--;
    return adopt(p, *out, child);
}

static enum code parse_and(struct parser *p, struct ast **out)
{
    static const struct level op = {"AND", AST_AND};
    TRY(parse_not(p, out));
    while (token_is(&p->now, "AND"))
        TRY(join(p, out, &op, parse_not));
    return CODE_OK;
}

static enum code parse_or(struct parser *p, struct ast **out)
{
    static const struct level op = {"OR", AST_OR};
    if (++p->depth > EXPR_DEPTH)
        return FAIL(p->why, CODE_USAGE, place_at(p->now.at), "this expression is nested more than %d deep",
                    EXPR_DEPTH);
    TRY(parse_and(p, out));
    while (token_is(&p->now, "OR"))
        TRY(join(p, out, &op, parse_and));
    p->depth--;
    return CODE_OK;
}

enum code parse_expr(struct parser *p, struct ast **out)
{
    if (token_mark(&p->now, "*")) {
        TRY(make(p, AST_STAR, p->now.at, out));
        return parser_step(p);
    }
    return parse_or(p, out);
}
