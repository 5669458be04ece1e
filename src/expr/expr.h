/* expr.h - expressions: parsed, compiled, evaluated. Shared by streaming SQL, routes and twin queries.
 *
 * parse_expr reads one expression off a parser's words. expr_compile turns the tree, whose names are resolved (AST_SLOT), into a
 * compact program: constant parts are folded, argument counts and constant arguments are checked, and every refusal names line
 * and column. expr_eval runs it on one row; it takes no memory but the scratch arena's, which its owner resets per row or batch.
 *
 * Compiled expressions are immutable: any number of threads may evaluate one, each with its own struct eval.
 */
#pragma once

#include "expr/ast.h"
#include "expr/lex.h"

/* ---- parsing ---- */
struct parser {
    struct lexer  lex;
    struct token  now, next;   /* the word at hand and the one behind it */
    struct arena *arena;
    uint32_t      depth;       /* limit: EXPR_DEPTH                      */
    struct fault *why;
    struct token  loose;       /* see parser_step_loose                  */
    struct place  behind_loose;
};
enum { EXPR_DEPTH = 64 };
FG_CHECK enum code parser_begin(struct parser *, struct bytes source, struct arena *, struct fault *why);
FG_CHECK enum code parser_step(struct parser *);                       /* now = next */
/* The same, of a name that no keyword announced (`SELECT a b`): where what follows is refused, it may be a keyword gone wrong. */
FG_CHECK enum code parser_step_loose(struct parser *);
/* "expected ..., found ... Did you mean ...?" at the word at hand, or at a loose name before it that is nearly a keyword; yields
 * CODE_USAGE. Keywords in `expected` are in capitals, lists of other words stand behind a colon. */
enum code          parser_refuse(struct parser *, const char *expected);
FG_CHECK enum code parser_keyword(struct parser *, const char *keyword); /* takes it or refuses */
FG_CHECK enum code parser_mark(struct parser *, const char *mark);
/* The name of a type, as CAST and CREATE TABLE have it: enum value_type. */
FG_CHECK enum code parser_type(struct parser *, uint8_t *out);
/* One expression, longest match. Aggregates, OVER clauses and DISTINCT included; whether they are allowed here is the
 * caller's business. */
FG_CHECK enum code parse_expr(struct parser *, struct ast **out);

/* "did you mean": the nearest function name to `name`, or NULL. */
const char *function_nearest(struct bytes name);
/* True if this is a scalar function of the language (not an aggregate, analytic or anomaly function). */
bool        function_is_scalar(struct bytes name);

/* A function no query can name: text in lower case, any other value as it is. Whoever compares without regard to case puts it around
 * both sides. */
#define FUNCTION_FOLD "\001fold"

/* ---- time units: "second", "ss", "s", ... ---- */
enum unit { UNIT_MICROSECOND, UNIT_MILLISECOND, UNIT_SECOND, UNIT_MINUTE, UNIT_HOUR, UNIT_DAY,
            UNIT_WEEK, UNIT_MONTH, UNIT_QUARTER, UNIT_YEAR, UNIT_DAYOFYEAR, UNIT_WEEKDAY, UNIT_NONE };
enum unit unit_find(struct bytes name);      /* any spelling, any case; UNIT_NONE           */
int64_t   unit_ticks(enum unit);             /* 0 for week and longer: not a fixed length of a window */
/* Boundaries of `unit` crossed from a to b (T-SQL's rule). */
int64_t   unit_boundaries(enum unit, int64_t a, int64_t b);

/* ---- compiled ---- */
struct expr;
struct eval {
    const struct value *slots;
    int64_t             time;     /* of the row, ticks: System.Timestamp()            */
    struct arena       *scratch;  /* texts and records made on the way                */
    struct fault        why;      /* filled when expr_eval fails                      */
    uint64_t            not_finite; /* counts floats that were infinite or no number: they became NULL */
};
/* The tree must hold no AST_NAME, AST_STAR and no call that is not a scalar function: CODE_USAGE with "unknown function ..., did you
 * mean ...". `max_slot` is the number of slots a row has. */
FG_CHECK enum code expr_compile(struct expr **out, const struct ast *, uint32_t max_slot, struct fault *why);
void               expr_free(struct expr *);
/* CODE_MALFORMED: a function got a wrong type, a cast failed, a division by zero, an overflow: eval->why has the sentence in the language's
 * own words, with line and column of the expression. CODE_NOMEM: scratch is full. */
FG_CHECK enum code expr_eval(const struct expr *, struct eval *, struct value *out);
/* TRUE only (NULL and FALSE are not): for WHERE, ON, HAVING, WHEN. */
FG_CHECK enum code expr_test(const struct expr *, struct eval *, bool *out);
/* A constant expression's value, for arguments that must be constant. */
bool               expr_constant(const struct expr *, struct value *out);
/* As text again, for `job explain`. */
void               ast_write(struct buf *out, const struct ast *);
