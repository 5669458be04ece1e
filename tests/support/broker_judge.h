/* broker_judge.h - lets the power go in the life of a whole broker and asks its clients what they have lost.
 *
 * A workload is random traffic (traffic.h) on a rig, recorded; a crash state is started as a broker again, every client
 * comes back, finishes what it had begun, and takes what there is; partitions and retained messages are read. The ledger
 * of what had left before the crash, gone on with during the recovery, says whether each promise was kept.
 *
 *     struct broker_judge *b = broker_judge_new(BREAK_NOTHING);
 *     struct judge j = broker_judge_on(b);       name, workload, verify, ctx; set the seed and the states
 *     assert_true(judge_run(&j, &verdict));
 *     broker_judge_free(b);
 */
#pragma once

#include "support/judge.h"

/* Ways to break the broker on purpose, once in each workload at a random place: a judge must see it. */
enum judge_break {
    JUDGE_BREAK_NOTHING,
    JUDGE_BREAK_SYNC,      /* a sync that covers nothing                                          */
    JUDGE_BREAK_ALL_SYNCS,
    JUDGE_BREAK_ACK,       /* an acknowledgement that does not wait for the disk                  */
    JUDGE_BREAK_PID,       /* an inbound packet identifier that is left out of the log            */
    JUDGE_BREAKS
};
const char *judge_break_name(enum judge_break);

struct broker_judge;
struct broker_judge *broker_judge_new(enum judge_break);
void                 broker_judge_free(struct broker_judge *);
struct judge         broker_judge_on(struct broker_judge *);
