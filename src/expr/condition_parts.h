/* condition_parts.h - what the files of conditions share. Not for others. */
#pragma once

#include "expr/condition.h"
#include "expr/lex.h"

/* ---- words ---- */
enum cond_token {
    COND_END,
    COND_NAME,   /* text */
    COND_SYSTEM, /* $name; text without `$` */
    COND_BRACED, /* {...}; text between them */
    COND_TEXT,   /* unescaped */
    COND_NUMBER, /* number */
    COND_MARK    /* text */
};
struct cond_word {
    uint8_t kind;
    struct place at, end;
    size_t from, to; /* offsets */
    struct bytes text;
    struct value number;
};
FG_CHECK enum code cond_next(struct lexer *, struct cond_word *out, struct fault *why);
bool cond_is(const struct cond_word *, const char *keyword); /* any case */
bool cond_mark(const struct cond_word *, const char *mark);

/* ---- functions ---- */
enum cond_type { /* what is known of a value before there is one, as a set */
                 COND_BOOL = 1,
                 COND_NUM = 2,
                 COND_STR = 4,
                 COND_NIL = 8,
                 COND_ANY = 15
};
struct cond_function {
    const char *name;
    uint8_t least, most;     /* arguments; most 0 = any number */
    uint8_t takes[3], gives; /* enum cond_type; the last one holds for further arguments */
    /* All arguments are defined and of the types it takes, unless takes is COND_ANY. CODE_NOMEM. */
    enum code (*run)(const struct value *args, uint32_t n, struct arena *, struct value *out);
};
extern const struct cond_function cond_functions[];
enum { COND_CONCAT, COND_COALESCE /* the numbers of those that have a sign of their own */ };
int cond_function_find(struct bytes name); /* -1: unknown; not those that only have a sign */
const char *cond_function_nearest(struct bytes name);
uint8_t cond_type_of(struct value); /* 0: undefined, a record or an array */
