/* condition.h - conditions in IoT Hub's query language: what stands behind WHERE of a route, and later of a twin query.
 *
 * The same values, tree and JSON reader as streaming SQL's expressions, but a language of its own: what is not there is
 * `undefined`, which is not null and makes of everything it touches something undefined; nothing is converted by itself;
 * numbers are doubles when they are reckoned with; nothing is ever an error once the condition has been read. Loosest first:
 *
 *   ??   OR   AND   = != <> [NOT] IN NIN   < <= > >=   + - ||   * / %   - NOT   literal, name, function, ( )
 *
 *   'text' "text" with \' \" \\ \uXXXX    12 0x1f 1.5e3    true false null undefined
 *   name                                  an application property, which is a text
 *   $name                                 a system property
 *   $body.a.b[0].c                        a field of the body, which is JSON; odd names as $body['a b']
 *   {odd name} {$name}                    an application property, a system property and nothing else
 *
 * A condition is immutable and lives in its arena. Its owner looks its names up and gives their values as `slots`. In a slot,
 * undefined is value_null(), and null is value_said_null(). A record or array is there, but only IS_DEFINED, IS_OBJECT, IS_ARRAY
 * and [n] can say anything of it.
 */
#pragma once

#include "expr/ast.h"

enum condition_kind {
    CONDITION_PROPERTY, /* application property */
    CONDITION_SYSTEM,   /* system property only: {$name} */
    CONDITION_EITHER, /* $name: the application property of that very name, `$` included, if there is one; else the system's */
    CONDITION_BODY /* parts */
};
struct condition_name {
    uint8_t kind; /* enum condition_kind */
    struct place at;
    struct bytes text;   /* as in messages: "$body.a.b" */
    struct bytes name;   /* without `$`; of a body "body" */
    struct bytes *parts; /* of a body: the path of records; [n] is done behind it */
    uint32_t part_count;
};
struct condition {
    const struct ast *root;
    struct condition_name *names; /* slot i is names[i]; none twice */
    uint32_t name_count;
};

enum { CONDITION_NAMES_MAX = 64, CONDITION_DEPTH = 64 };

/* Reads the longest condition that begins at *offset of `text`, and leaves *offset behind it. `at` is the place of *offset.
 * CODE_USAGE: why->at = line * 65536 + column; unknown functions with a suggestion, wrong numbers of arguments, and what can never
 * be true because of types that are known (a property compared with a number). CODE_NOMEM. */
FG_CHECK enum code condition_parse(struct condition **out, struct bytes text, size_t *offset, struct place at,
                                   struct arena *, struct fault *why);
/* CODE_NOMEM: scratch is full. */
FG_CHECK enum code condition_eval(const struct condition *, const struct value *slots, struct arena *scratch,
                                  struct value *out);
/* The values that stood on the way: how `route test` explains itself. Each is written as "name = value" with ", " between. */
void condition_values(struct buf *out, const struct condition *, const struct value *slots);

static inline struct value value_said_null(void)
{
    return (struct value){.type = VALUE_NULL, .len = 1};
}
static inline bool value_is_undefined(struct value v)
{
    return v.type == VALUE_NULL && !v.len;
}
