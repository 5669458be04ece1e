/* aggregate.h - what an aggregate remembers of the rows it has seen, and how two of these become one.
 *
 * Merging is associative, so that a window that moves needs no subtraction: sums of bigints are exact (128 bits, checked at the
 * end), sums of floats are compensated, variances are Welford's and Chan's. */
#pragma once

#include "stream/run.h"

struct acc {
    uint64_t count; /* values that are not NULL; COUNT(*): rows; lists: items */
    union {
        struct { /* SUM, AVG */
            uint64_t low; /* the whole numbers' sum, 128 bits; in two, so that nothing needs more than 8-byte alignment */
            int64_t  high;
            double   sum, rest;
        };
        struct { /* VAR and kin */
            double mean, squares;
        };
        struct { /* MIN, MAX, TopOne: the best; COLLECT, CollectTop, percentiles: all */
            struct kept *first, *last;
        };
        struct keyed *set; /* COUNT(DISTINCT) */
    };
    bool     floats; /* SUM: one was no bigint */
    uint64_t kinds;  /* of what was compared, three bits for each value of ORDER BY: more than one of them cannot be ordered */
};

/* What one row brings to one aggregate. */
struct contribution {
    struct value  v;
    struct value *order;
};

/* Evaluates the arguments of all aggregates: CODE_MALFORMED (the row is not used), CODE_NOMEM. */
FG_CHECK enum code aggregates_take(struct stream *, const struct op *, const struct row *, struct contribution *out);
/* `also`, if given, is told too and owns nothing: the running sum of a moving window. */
FG_CHECK enum code acc_add(struct stream *, const struct aggregate *, struct acc *, struct acc *also, const struct contribution *,
                           uint64_t sequence);
/* True if merging works without the items themselves. */
bool               acc_is_scalar(const struct aggregate *);
/* Borrows what `from` owns. Scalars only. */
void               acc_merge(const struct stream *, const struct aggregate *, struct acc *into, const struct acc *from);
/* From several (scalars: one). CODE_MALFORMED: overflow, or values without an order. */
FG_CHECK enum code acc_result(struct stream *, const struct aggregate *, struct acc *const *list, size_t count, struct value *out);
void               acc_free(struct stream *, const struct aggregate *, struct acc *);
void               acc_save(const struct aggregate *, const struct acc *, struct buf *out);
FG_CHECK enum code acc_load(struct loader *, const struct aggregate *, struct acc *);
/* Scalars without what they borrow. */
void               acc_save_sums(const struct aggregate *, const struct acc *, struct buf *out);
FG_CHECK enum code acc_load_sums(struct loader *, const struct aggregate *, struct acc *);
