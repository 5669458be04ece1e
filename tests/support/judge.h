/* judge.h - runs a workload, lets the power go at very many places in it, and asks after each recovery
 * whether what was promised is there.
 *
 *     static void work(void *ctx, uint64_t seed, struct memfs *fs, struct crash *rec)
 *         runs the program on memfs_io(fs), all decisions drawn from the seed; calls crash_mark(rec, kind,
 *         value) at the moment when something was sent and when an acknowledgement left. What it keeps in ctx
 *         to compare with later describes this seed's run until the next one begins.
 *     static const char *verify(void *ctx, struct memfs *disk, struct crash_marks marks, struct crash *rec)
 *         starts the program on what the crash left in `disk`, compares with the marks that had left before
 *         it, stops the program. NULL: every promise was kept; else one sentence (static, or in ctx). What it
 *         makes the program acknowledge in turn it marks in `rec`, too: the recovery is crashed as well, and
 *         the marks then contain both.
 *
 *     struct judge j = { .name = "journal", .seed = 1, .states = 5000,
 *                        .workload = work, .verify = verify, .ctx = &me };
 *     judge_from_environment(&j);
 *     struct verdict v;
 *     assert_true(judge_run(&j, &v));
 *
 * Environment: CRASH_STATES=n instead of .states, CRASH_SEED=n instead of .seed, and
 * CRASH_AT=seed:prefix:variant (or seed:prefix:variant:prefix:variant for a crash of the recovery) for one
 * state alone, as printed with a violation.
 */
#pragma once

#include "support/crash.h"

struct judge {
    const char *name;
    uint64_t    seed;           /* of the first workload; the following ones count up          */
    uint64_t    states;         /* to build and verify, in all, crashes of recoveries included */
    uint64_t    states_per_log; /* of one workload's recording; default 1,000                  */
    unsigned    again_percent;  /* of the states, and with it every kill -9: the recovery is   */
    unsigned    again_states;   /* recorded and crashed so many times (4); 0 percent: none     */
    uint64_t    violations_max; /* ends the run; default 1                                     */
    bool        quiet;          /* violations are expected                                     */
    const char *at;             /* CRASH_AT                                                    */
    void       *ctx;
    void (*workload)(void *ctx, uint64_t seed, struct memfs *fs, struct crash *rec);
    const char *(*verify)(void *ctx, struct memfs *disk, struct crash_marks marks, struct crash *rec);
};
struct verdict {
    uint64_t logs, operations, marks, states, again, violations;
    double   seconds;
    char     first[400]; /* the first violation: where, and verify's sentence */
};

void judge_from_environment(struct judge *);
/* True when every state kept every promise. Prints the seed, the sums, and with a violation how to see it
 * again. */
bool judge_run(const struct judge *, struct verdict *);
