/* function.h - the table of scalar functions, for the parser, the compiler and those who write functions. Names are found
 * without regard to case. */
#pragma once

#include "expr/value.h"

bool function_name_is(struct bytes written, const char *name);
/* Its first argument is a unit of time (a word), as of DATEADD(minute, 1, t). */
bool function_takes_unit(struct bytes name);

struct node;
struct eval;
/* What a function sees of its call. */
struct call {
    const struct node *node;
    struct eval       *eval;
    uint32_t           count;
    struct arena      *scratch;
};
typedef bool (*function_run)(struct call *, const struct value *args, struct value *out);

/* Types an argument may have; without TYPE_TEXT, a text is read as datetime where that is allowed, and without the others
 * TYPE_AS_TEXT turns a number, bit or datetime into its text as CAST does. */
enum {
    TYPE_BIT = 1 << VALUE_BIT,
    TYPE_BIGINT = 1 << VALUE_BIGINT,
    TYPE_FLOAT = 1 << VALUE_FLOAT,
    TYPE_DATETIME = 1 << VALUE_DATETIME,
    TYPE_TEXT = 1 << VALUE_TEXT,
    TYPE_RECORD = 1 << VALUE_RECORD,
    TYPE_ARRAY = 1 << VALUE_ARRAY,
    TYPE_NUMBER = TYPE_BIGINT | TYPE_FLOAT,
    TYPE_AS_TEXT = 1 << 8 | TYPE_TEXT,
    TYPE_ANY = TYPE_BIT | TYPE_NUMBER | TYPE_DATETIME | TYPE_TEXT | TYPE_RECORD | TYPE_ARRAY
};
enum {
    FUNCTION_NULLS = 1,   /* sees NULL arguments; of others the result is then NULL without a call */
    FUNCTION_UNIT = 2,    /* the first argument is a unit, in node->unit                           */
    FUNCTION_REGEX = 4,   /* the second argument is a regular expression, in node->regex if constant */
    FUNCTION_LIKE = 8,    /* the first argument is a pattern of LIKE, in node->like if constant    */
    FUNCTION_IIF = 16,    /* IIF, COALESCE, NULLIF: they evaluate their arguments themselves       */
    FUNCTION_COALESCE = 32,
    FUNCTION_NULLIF = 64
};
enum { ARGS_MAX = 64 };
struct function {
    const char  *name;
    uint8_t      least, most;  /* arguments */
    uint8_t      flags;
    uint16_t     types[4];     /* see function_type */
    function_run run;
};
/* Types of argument i: the one that is set last repeats. */
uint16_t               function_type(const struct function *, uint32_t i);
const struct function *function_find(struct bytes name);

/* The groups that make up the table. */
struct functions {
    const struct function *list;
    size_t                 count;
};
extern const struct functions functions_date, functions_geo, functions_math, functions_nested, functions_text;

/* False with the message of the failure; as eval_fail. */
bool call_fail(struct call *, const char *fmt, ...) FG_PRINTF(2, 3);
/* From the scratch arena, or NULL having failed. */
void *call_take(struct call *, size_t size);
