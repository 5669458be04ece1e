/* budget.h - the node's memory (L-MEM): how much is in use at this moment, and what each may still have of it.
 *
 *   limits.memory-bytes
 *   |  what waits for those who do not take it: a quarter (half, with what is sent and not acknowledged)  |
 *   |  what one turn of the loops writes: a sixteenth  |
 *   |  queues grow until three quarters of all are in use: then a message that would need it is refused   |
 *   |  an eighth is kept free: publishers wait and new clients are refused before it is used up           |
 *
 * What grows with the traffic counts at once: the loops count the blocks of their output, messages and queues count
 * themselves. All else (sessions, subscriptions, handles of stored messages) is what the heap says beside that, weighed once
 * a second, and ten times when it comes near the limit. Among it is what has come of packets that are not whole yet; while
 * memory is short no large one is begun (client.c).
 *
 * Thread: a shard's functions its loop's; the counters any.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct broker;
struct shard;

enum { BUDGET_LOOK_BYTES = 128 * 1024 };

struct budget {
    _Atomic uint64_t uncounted;  /* of the heap, when it was last weighed: what nobody counts    */
    _Atomic int64_t  weighed_us; /* when: monotonic                                              */
    _Atomic bool     told;       /* in this second, that a queue may not grow                    */
};
/* Of one shard. Its own, unless marked. */
struct budget_part {
    bool             scarce;     /* when the last turn ended half of what is for those who wait was used: look closely */
    uint64_t         turn_max;   /* what this loop may write in a turn                           */
    uint64_t         taken;      /* bytes of messages that came since the last look              */
    uint64_t         lent;       /* written in this turn without a copy; one is made of what cannot be sent */
    uint64_t         gathered;   /* taken from queues, and not yet written                       */
    _Atomic uint64_t output;     /* any: loop_backlog when the last turn ended                   */
};

/* Those who do not take what they are sent share WAITING of the memory, and each may have a part of what is free of that: so
 * one alone may have much, a thousand have little each, and something is left for the next. UNANSWERED: who takes everything
 * and acknowledges nothing. */
enum budget_share { BUDGET_WAITING = 4, BUDGET_UNANSWERED = 2 };
/* May somebody who holds so many bytes get no more? */
bool budget_spent(const struct shard *, enum budget_share, uint64_t holds);
/* Is there still so much for a queue to double into? Not beyond three quarters: what it had before is a hole in the heap then. */
bool budget_has_for_queue(const struct shard *, uint64_t bytes);
/* So many bytes of messages have come: every so often publishers are stopped, if need be, within the turn. */
void budget_look(struct shard *);
static inline void budget_took(struct shard *shard, struct budget_part *p, uint64_t bytes)
{
    if ((p->taken += bytes) > BUDGET_LOOK_BYTES)
        budget_look(shard);
}
/* The turn has gathered and written all it will. Also before the first one. */
void budget_turn_ends(struct shard *);
/* Once a second, by one of the shards: asks the heap. The only one that lets publishers go on. */
void budget_second(struct shard *);
