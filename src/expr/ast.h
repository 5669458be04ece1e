/* ast.h - an expression as it was written: what the parser makes and the compiler reads. Nodes live in one arena.
 *
 * The owner of a query walks the tree between the two and turns what only it can know (columns, aggregates, analytic
 * functions, System.Timestamp) into AST_SLOT nodes.
 */
#pragma once

#include "expr/value.h"

/* Where in the text, from 1, in bytes counted as characters of UTF-8. */
struct place {
    uint32_t line, column;
};

/* A place as struct fault has it: line * 65536 + column. */
static inline uint64_t place_at(struct place p)
{
    return (uint64_t)p.line * 65536 + (p.column < 65535 ? p.column : 65535);
}

enum ast_kind {
    AST_CONSTANT, /* constant; a unit word (`minute` in DATEADD(minute, ...)) is a text with is_unit */
    AST_NAME,     /* parts: a.b.c as written; name: the same as one text, for messages          */
    AST_STAR,     /* `*` or a.b.* (parts), only where the grammar allows it                     */
    AST_UNARY,    /* op AST_NEGATE, AST_PLUS, AST_NOT; args[0]                                   */
    AST_BINARY,   /* op; args[0], args[1]                                                       */
    AST_IS_NULL,  /* args[0]; negated                                                           */
    AST_BETWEEN,  /* args[0] BETWEEN args[1] AND args[2]; negated                               */
    AST_IN,       /* args[0] IN (args[1..]); negated                                            */
    AST_LIKE,     /* args[0] LIKE args[1] [ESCAPE args[2]]; negated                             */
    AST_CASE,     /* simple: has_operand, args[0]; then pairs when, then; then else if has_else */
    AST_CAST,     /* args[0] AS cast_to; try_cast                                               */
    AST_CALL,     /* name; args; distinct; over; then parts as nested fields of its result       */
    AST_SLOT,     /* slot, then parts as nested fields of what lies there; name, if set: as it is
                   * called in messages                                                        */
    AST_TIMESTAMP /* the row's own time: System.Timestamp() and System.Timestamp               */
};
enum ast_op {
    AST_NEGATE, AST_PLUS, AST_NOT,
    AST_ADD, AST_SUB, AST_MUL, AST_DIV, AST_MOD,
    AST_EQ, AST_NE, AST_LT, AST_LE, AST_GT, AST_GE,
    AST_AND, AST_OR
};

enum { AST_HEIGHT = 400 };
struct ast;
struct ast_order { /* ORDER BY of an OVER clause */
    struct ast *by;
    bool        descending;
};
struct ast_over { /* OVER ( PARTITION BY ... ORDER BY ... LIMIT DURATION(unit, n) WHEN ... ) */
    struct place     at;
    struct ast     **partition;
    uint32_t         partitions;
    struct ast_order*order;
    uint32_t         orders;
    struct ast      *limit_unit, *limit_count; /* AST_NAME and AST_CONSTANT, or NULL */
    struct ast      *when;                     /* or NULL */
};
struct ast {
    uint8_t          kind; /* enum ast_kind */
    uint8_t          op;   /* enum ast_op   */
    bool             negated, distinct, has_operand, has_else, try_cast;
    bool             double_quoted; /* AST_NAME: its only part was written in ""          */
    bool             is_unit;
    uint16_t         height;  /* of the tree, at most AST_HEIGHT: walking it may recurse         */
    uint8_t          cast_to; /* enum value_type */
    struct place     at;
    struct place     end;     /* behind its last character */
    struct value     constant;
    struct bytes     name;    /* AST_CALL: "SUM", "System.Timestamp", "udf.x", as written */
    struct bytes    *parts;
    uint32_t         part_count, slot;
    struct ast     **args;
    uint32_t         arg_count;
    struct ast_over *over;    /* or NULL */
};
