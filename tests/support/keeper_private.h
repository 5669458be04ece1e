/* keeper_private.h - shared by keeper.c and keeper_check.c. */
#pragma once

#include "support/keeper_model.h"
#include "support/random.h"

struct message;

struct keeper {
    struct model          model;
    struct keeper_options opt;
    struct crash         *rec;
    const struct io      *io;
    struct journal       *journal;

    /* The program's memory. */
    struct stored **held; /* by number */
    uint64_t       *seqs; /* of the record of each operation, 0 = not known */
    size_t          cap;
    uint64_t        counter, last;

    /* A round of state being written. */
    uint64_t state_from;
    /* What a check goes by. */
    uint64_t sent, acked, epochs, moved;
    bool     replaying;
    /* Company: what another thread would append while the committer is between two system calls. */
    bool          company;
    struct random dice;
    char     wrong[300];
};

/* The first sentence stays: it is the cause. Returns it. */
const char *keeper_wrong(struct keeper *, const char *fmt, ...) FG_PRINTF(2, 3);
/* Whether `m` is what this operation sent. */
bool keeper_message_is(const struct keeper *, const struct keeper_op *, const struct message *m);
