/* keeper_model.h - private to keeper*.c: the row of operations, and the state after each of them. */
#pragma once

#include "support/keeper.h"

enum op_kind { DO_MESSAGE = 1, DO_DROP, DO_ADD };

struct keeper_op {
    enum op_kind kind;
    uint64_t     number, epoch;
    uint32_t     partition; /* JOURNAL_NO_PARTITION: none                      */
    uint64_t     partition_seq;
    bool         keep;
    bool         more;      /* found together with the next one, or not at all */
    uint64_t     target;    /* DO_DROP: the message's number                   */
    uint32_t     payload_len;
    int64_t      wall_us;
};

struct numbers {
    uint64_t *at;
    size_t    count, cap;
};
struct branch {
    uint64_t from, epoch; /* operations after `from` are of this epoch */
};
enum { BRANCHES_MAX = 64 };

struct model {
    uint64_t              seed;
    struct keeper_options opt;
    struct branch         branches[BRANCHES_MAX]; /* ordered by `from` */
    size_t                branch_count;

    uint64_t       done;
    uint64_t       counter;
    bool           open_batch;                    /* the last operation said more */
    struct numbers kept;                          /* ordered                      */
    struct numbers partitions[KEEPER_PARTITIONS]; /* the number at each sequence  */

    struct keeper_op *row; /* row[n]: what operation n is, up to `known` */
    size_t            row_cap;
    uint64_t          known;
};

bool numbers_has(const struct numbers *, uint64_t);

void model_free(struct model *);
/* Operations after `from` are others than those known so far; the state goes back to `from` at most. */
void model_branch(struct model *, uint64_t from, uint64_t epoch);
/* The state after operation n, forwards or backwards. */
void model_go(struct model *, uint64_t n);
/* What operation n is or will be; n - 1 must be known. */
const struct keeper_op *model_op(struct model *, uint64_t n);

/* The payload of a message: into `to`, or compared with `have`. */
void model_payload(const struct model *, const struct keeper_op *, uint8_t *to);
bool model_payload_is(const struct model *, const struct keeper_op *, struct bytes have);
