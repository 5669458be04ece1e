/* program.h - inside of compiled expressions. compile.c makes nodes of a tree, eval_*.c run them, functions_*.c are what calls
 * run. A node's `eval` yields a value, its `test` a truth; what has only one of them gets the other from eval.c. */
#pragma once

#include "expr/expr.h"

/* Three-valued, and the fourth: it failed, and eval->why says why. */
enum truth { TRUTH_FALSE, TRUTH_TRUE, TRUTH_NULL, TRUTH_FAILED };

struct node;
struct function;
typedef bool (*node_eval)(const struct node *, struct eval *, struct value *out); /* false: failed */
typedef enum truth (*node_test)(const struct node *, struct eval *);

struct like;
struct regex;
struct node {
    node_eval       eval;
    node_test       test;
    struct node   **args;
    uint32_t        count;
    uint32_t        slot;
    uint8_t         op;       /* enum ast_op, or of a comparison which signs satisfy it: bit 0 less, 1 equal, 2 greater */
    uint8_t         cast_to;
    bool            negated, is_constant, has_operand, has_else, try_cast, has_null;
    struct place    at;
    struct value    constant; /* of a constant; of a comparison with one */
    struct bytes   *parts;    /* nested fields of a slot or of a call's result */
    uint32_t        part_count;
    struct bytes    text;     /* as it was written, for messages of casts */
    const struct function *function;
    struct like    *like;     /* of a constant pattern */
    struct regex   *regex;    /* the same; owned by the expression */
    struct node    *next_owner; /* nodes with a regex, to free it */
    struct value   *list;     /* of IN, when all are constant and of one kind: sorted */
    uint32_t        list_count;
    enum unit       unit;
};
struct expr {
    struct arena arena;
    struct node *root;
    struct node *owners;
};

/* Says what failed, with the place of the node: yields false. A full scratch arena: CODE_NOMEM. */
bool eval_fail(struct eval *, const struct node *, const char *fmt, ...) FG_PRINTF(3, 4);
bool eval_no_memory(struct eval *, const struct node *);

/* ---- eval.c ---- */
bool       eval_constant(const struct node *, struct eval *, struct value *out);
bool       eval_slot(const struct node *, struct eval *, struct value *out);
bool       eval_field(const struct node *, struct eval *, struct value *out); /* of a slot     */
bool       eval_result_field(const struct node *, struct eval *, struct value *out); /* of args[0] */
bool       eval_time(const struct node *, struct eval *, struct value *out);
bool       eval_cast(const struct node *, struct eval *, struct value *out);
bool       eval_case(const struct node *, struct eval *, struct value *out);
bool       eval_iif(const struct node *, struct eval *, struct value *out);
bool       eval_coalesce(const struct node *, struct eval *, struct value *out);
bool       eval_nullif(const struct node *, struct eval *, struct value *out);
bool       eval_truth(const struct node *, struct eval *, struct value *out); /* from test     */
enum truth test_value(const struct node *, struct eval *);                    /* from eval     */
/* ---- eval_compare.c ---- */
enum truth test_compare(const struct node *, struct eval *);
enum truth test_slot_bigint(const struct node *, struct eval *);
enum truth test_slot_float(const struct node *, struct eval *);
enum truth test_slot_text(const struct node *, struct eval *);
enum truth test_and(const struct node *, struct eval *);
enum truth test_or(const struct node *, struct eval *);
enum truth test_not(const struct node *, struct eval *);
enum truth test_is_null(const struct node *, struct eval *);
enum truth test_between(const struct node *, struct eval *);
enum truth test_in(const struct node *, struct eval *);
enum truth test_in_list(const struct node *, struct eval *);
enum truth test_like(const struct node *, struct eval *);
uint8_t    compare_accepts(enum ast_op);
/* ---- eval_number.c ---- */
bool eval_negate(const struct node *, struct eval *, struct value *out);
bool eval_plus(const struct node *, struct eval *, struct value *out);
bool eval_arithmetic(const struct node *, struct eval *, struct value *out);
/* ---- call.c ---- */
bool eval_call(const struct node *, struct eval *, struct value *out);
