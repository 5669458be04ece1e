/* planner.h - the planner's own: SELECTs while their names are resolved. Two passes over all of them, both in the order of the text:
 *
 *   1. names (names.c, grouped.c): every name becomes a slot, which may ask a step or an input before for one more column.
 *   2. operators (plan.c): all columns are known now, rows get their layout, expressions are compiled.
 *
 * Between the two, a slot number in a tree says whose slot it is: CODED(space, index).
 */
#pragma once

#include "base/suggest.h"
#include "stream/plan.h"

enum { SIDES_MAX = STATEMENT_JOINS_MAX * 2 + 2, DEMANDS_MAX = 10000 };

enum space {
    SPACE_SIDE = 0,       /* + side: columns of a source              */
    SPACE_ANALYTIC = 64,  /* + side: results of analytic functions     */
    SPACE_TIME = 128,     /* + side: the time of a side's row          */
    SPACE_GROUP = 192     /* keys, aggregates, the window's id         */
};
#define CODED(space, index) (0x80000000u | (uint32_t)(space) << 20 | (uint32_t)(index))
#define CODED_IS(slot) ((slot) >> 31)
#define CODED_SPACE(slot) ((slot) >> 20 & 0x7ff)
#define CODED_INDEX(slot) ((slot)&0xfffff)

enum relation { RELATION_INPUT, RELATION_STEP, RELATION_REFERENCE, RELATION_APPLY };

struct pending_analytic { /* a call of LAG and its like; trees instead of expressions */
    struct analytic plan;
    struct ast     *x, *otherwise, *when, **keys;
    struct ast     *call;
    bool            whole; /* x is `*` */
    struct pending_analytic *next;
};

struct side {
    struct source    *source;
    enum relation     relation;
    struct input     *input;
    struct reference *reference;
    struct step_plan *step;
    struct op        *op;   /* the reader */
    struct pending_analytic *analytics;
    uint32_t          analytic_count;
    uint32_t          base, width; /* pass 2: in the whole row */
};

struct pending_aggregate {
    struct aggregate plan;
    struct ast      *x, **order;
    struct ast      *call; /* to find the same again */
    struct pending_aggregate *next;
};

struct pending_window {
    struct window plan;
    struct ast  **keys;
    struct place  at;
};

struct arm { /* one SELECT */
    struct planner   *planner;
    struct select    *select;
    struct step_plan *step; /* whose arm it is; NULL: it writes to an output */
    uint32_t          output;
    struct side       sides[SIDES_MAX];
    uint32_t          side_count, stream_sides; /* streams among them, not reference data and APPLY */
    struct bytes     *names; /* of the items; empty for stars */
    /* GROUP BY */
    bool                      grouped;
    struct ast              **keys;
    uint32_t                  key_count, implicit; /* PARTITION BY adds keys at the end */
    struct pending_window    *windows;
    uint32_t                  window_count;
    struct pending_aggregate *aggregates, **aggregate_tail;
    uint32_t                  aggregate_count;
    struct ast               *having;
    /* Of a step: what is wanted of this arm, one tree for each demand; NULL: the whole row. */
    struct ast **wanted;
    struct op   *end;   /* pass 2: who gives its rows */
    uint32_t     width; /* of them */
    int64_t      lag;   /* by how much a joined row may be younger than its parts */
    struct arm  *next;
};

struct step_plan {
    struct bytes   name;
    struct place   at;
    struct demands wants;
    uint32_t       room;
    struct arm    *arms;
    struct op     *op; /* pass 2 */
    bool           read;
    struct step_plan *next;
};

struct planner {
    struct query     *query;
    struct arena     *memory;
    struct fault     *why;
    struct step_plan *steps, **step_tail;
    struct arm       *writers, **writer_tail; /* SELECTs with outputs, in order */
    struct input    **input_tail;
    struct reference **reference_tail;
    uint32_t          op_room, expr_room;
};

#define TRY(call)                  \
    do {                           \
        enum code try_code = call; \
        if (try_code)              \
            return try_code;       \
    } while (0)

enum code planner_no_memory(struct planner *);
FG_CHECK enum code planner_warn(struct planner *, const char *fmt, ...) FG_PRINTF(2, 3);
void     *planner_take(struct planner *, size_t count, size_t size); /* zeroed */

/* ---- trees (tree.c) ---- */
FG_CHECK enum code tree_copy(struct planner *, const struct ast *, struct ast **out);
bool               tree_equal(const struct ast *, const struct ast *);
/* Replaces coded slots: the slot of (space, index) is base[space] + index. Trees may share nodes. */
void               tree_patch(struct ast *, const uint32_t *base);
/* Comparisons of texts without regard to case. */
FG_CHECK enum code tree_fold(struct planner *, struct ast *);
struct ast        *tree_slot(struct planner *, const struct ast *like, uint32_t slot);
/* A constant whole number, as in DURATION(second, 5). */
bool               tree_bigint(const struct ast *, int64_t *out);
/* A unit of time written as a word; UNIT_NONE. */
enum unit          tree_unit(const struct ast *);

/* ---- names (names.c) ---- */
enum name_context { IN_ROW, IN_ANALYTIC, IN_AGGREGATE };
/* Resolves all names of the tree and takes out its analytic functions; aggregates are refused unless `aggregates`. */
FG_CHECK enum code names_resolve(struct arm *, struct ast **, enum name_context, bool aggregates);
/* The slot of a side's column; no parts: the whole row as a record. *rest parts are left over, fields of what lies there. */
FG_CHECK enum code names_ask(struct arm *, uint32_t side, const struct bytes *parts, uint32_t count, struct place at,
                             uint32_t *slot, uint32_t *rest);
/* A star as a record to spread. */
FG_CHECK enum code names_star(struct arm *, const struct ast *star, struct ast **out);
FG_CHECK enum code names_all(struct arm *, struct place at, struct ast **out); /* COLLECT(), LAG(*) */
int                names_side(const struct arm *, struct bytes alias); /* -1: none */
FG_CHECK enum code names_meta(struct arm *, struct ast **call);

/* ---- analytic functions (analytic_plan.c) ---- */
bool               analytic_is(struct bytes name);
void               analytic_offer(struct suggest *, struct bytes name); /* "did you mean" */
FG_CHECK enum code analytic_take(struct arm *, struct ast **call);
FG_CHECK enum code duration_ticks(struct planner *, const struct ast *unit, const struct ast *count, struct place at, int64_t *out);

/* ---- GROUP BY (grouped.c) ---- */
bool               aggregate_is(struct bytes name);
void               aggregate_offer(struct suggest *, struct bytes name);
/* Keys, windows, then items and HAVING. */
FG_CHECK enum code grouped_begin(struct arm *);
FG_CHECK enum code grouped_resolve(struct arm *, struct ast **);

/* ---- SELECT (select_plan.c) ---- */
FG_CHECK enum code select_resolve(struct arm *);
bool               step_has(const struct step_plan *, struct bytes column);
/* One more column of a step. */
FG_CHECK enum code step_want(struct planner *, struct step_plan *, const struct bytes *parts, uint32_t count, struct place at,
                             uint32_t *slot, uint32_t *rest);

/* ---- operators (plan.c, join_plan.c) ---- */
FG_CHECK enum code plan_operators(struct planner *);
struct op         *plan_op(struct planner *, enum op_kind, struct place at); /* NULL: no memory */
FG_CHECK enum code plan_edge(struct planner *, struct op *from, struct op *to, uint32_t port);
FG_CHECK enum code plan_compile(struct planner *, struct ast *, uint32_t width, struct expr **out);
FG_CHECK enum code plan_join(struct arm *, uint32_t side, struct op *left, struct op *right, const uint32_t *base, struct op **out);
void               plan_bases(const struct arm *, uint32_t *base, int local); /* -1: the whole row; else one side's own */
/* The rank of an alias among candidates: "did you mean". */
const char        *nearest_column(struct planner *, const struct step_plan *, struct bytes typed);
