/* oom.h - refuses the first allocation of a scenario, then the second, and so on until none is refused.
 *
 *     static const char *scenario(void *ctx)
 *     {
 *         ... what must not fail: set-up ...
 *         oom_arm();
 *         ... the calls under test: any of them may come back with CODE_NOMEM ...
 *         oom_disarm();
 *         ... reopen, compare: everything works again ...
 *         return NULL;   or the sentence that says which promise was broken
 *     }
 *     assert_true(oom_each("journal", scenario, ctx, &result));
 *
 * Only memory from base/mem.h is refused. Leaks are the sanitizer's to find. OOM_AT=n runs that one only.
 * Thread: one at a time in a process; mem.h counts the allocations of all threads.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct oom_result {
    uint64_t refused;      /* runs in which an allocation was refused        */
    uint64_t broken;       /* of these, runs that broke a promise            */
    uint64_t first_broken; /* the n of the first, 0 = none                   */
    char     first[300];
};

void oom_arm(void);
void oom_disarm(void);
bool oom_fired(void); /* in this run, so far; also after oom_disarm */

/* True when every n kept every promise. */
bool oom_each(const char *name, const char *(*scenario)(void *ctx), void *ctx, struct oom_result *);
