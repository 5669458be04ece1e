/* pool.h - work that would block a loop: hashing a password, reading a file.
 *
 * A few threads, shared by all loops (and by look-ups of names), take jobs in their order. How many jobs of the whole
 * process may be under way or waiting is bounded: who is refused tells his peer "busy" instead of letting it wait.
 *
 * Thread:   pool_submit and done() on the loop's thread, work() on one of the pool's. A job's memory is the submitter's
 *           and belongs to the pool from pool_submit (CODE_OK) to done().
 * Lifetime: done() is called exactly once, also when the loop is being closed (loop_close waits for its jobs): then it
 *           must only let go.
 * Simulation: the job is worked off in a later turn of its loop; sim_pool_hold in sim.h keeps jobs waiting.
 */
#pragma once

#include "net/loop.h"

enum { POOL_JOBS_MAX = 128 };

struct pool_job {
    void (*work)(struct pool_job *);
    void (*done)(struct pool_job *, struct loop *here);
};

/* CODE_AGAIN: POOL_JOBS_MAX jobs are there already; CODE_NOMEM. Neither work() nor done() is called then. */
FG_CHECK enum code pool_submit(struct loop *, struct pool_job *);
/* Jobs that wait or are under way, of the whole process. */
unsigned           pool_jobs(void);
