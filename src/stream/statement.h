/* statement.h - a query's statements as they were written: what the parser makes and the planner reads. All of it lies in one arena.
 *
 *   query  := [WITH step (',' step)*] (CREATE TABLE | select)+
 *   select := SELECT item (',' item)* [INTO output] FROM source (join | apply)* [WHERE e] [GROUP BY ...] [HAVING e] [UNION select]
 */
#pragma once

#include "expr/expr.h"

enum { STATEMENT_BYTES_MAX = 64 * 1024, STATEMENT_JOINS_MAX = 8, STATEMENT_ITEMS_MAX = 1000 };

/* The numbers of refusals, FG6101 and on. */
enum {
    FG_SYNTAX = 6101,   /* not a sentence of the language       */
    FG_NAME = 6102,     /* a name that nothing has              */
    FG_RULE = 6103,     /* well-formed, but the language forbids */
    FG_ARGUMENT = 6104, /* an argument out of its range         */
    FG_ABSENT = 6105,   /* the language has it, we do not       */
    FG_TOO_MUCH = 6106  /* above a limit                        */
};

struct item { /* of SELECT */
    struct ast  *e;    /* AST_STAR for `*` and `a.*`     */
    struct bytes name; /* as written behind AS, else empty */
    struct place name_at;
};

enum source_kind { SOURCE_FROM, SOURCE_JOIN, SOURCE_LEFT_JOIN, SOURCE_CROSS_APPLY, SOURCE_OUTER_APPLY };
struct source {
    enum source_kind kind;
    struct place     at;
    struct bytes     name;  /* input, step or reference; of an APPLY the function's */
    struct bytes     alias; /* as written, else the name                            */
    struct ast      *timestamp;
    struct place     timestamp_at, on_at;
    struct ast     **over;
    uint32_t         overs;
    struct ast     **partition; /* PARTITION BY */
    uint32_t         partitions;
    struct ast      *on;
    struct ast      *applied; /* GetArrayElements(e) or GetRecordProperties(e): e */
    bool             applied_record;
};

struct select {
    struct place   at;
    struct item   *items;
    uint32_t       item_count;
    struct bytes   into;
    struct place   into_at;
    bool           has_into;
    struct source *sources;
    uint32_t       source_count;
    struct ast    *where, *having;
    struct place   group_at, having_at;
    struct ast   **group;
    uint32_t       group_count;
    struct select *next; /* UNION */
};

struct step {
    struct bytes   name;
    struct place   at;
    struct select *select;
    struct step   *next;
};

struct column_type {
    struct bytes name;
    uint8_t      type; /* enum value_type */
};
struct table_statement {
    struct bytes            name;
    struct place            at;
    struct column_type     *columns;
    uint32_t                column_count;
    struct table_statement *next;
};

struct select_statement {
    struct select           *select;
    struct select_statement *next;
};

struct statements {
    struct step             *steps;
    struct select_statement *selects;
    struct table_statement  *tables;
};

/* CODE_USAGE with why->at and a number; CODE_LIMIT; CODE_NOMEM. */
FG_CHECK enum code statements_parse(struct statements *, struct bytes text, struct arena *, struct fault *why);

/* A refusal at a place of the text; yields `code`. */
enum code refuse(struct fault *why, enum code code, int number, struct place at, const char *fmt, ...) FG_PRINTF(5, 6);
/* Names are found exactly or else without regard to ASCII case. */
bool      name_is(struct bytes a, struct bytes b);
/* A call or name of this spelling, any case. */
bool      word_is(struct bytes a, const char *word);
