#include "support/oom.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A scenario that never runs out of allocations loops; no test here takes so many. */
#define RUNS_MAX 1000000

static uint64_t refuse;
static bool fired;

void oom_arm(void)
{
    fired = false;
    mem_fail_at(refuse);
}

void oom_disarm(void)
{
    fired = fired || mem_fail_fired();
    mem_fail_at(0);
}

bool oom_fired(void)
{
    return fired || mem_fail_fired();
}

bool oom_each(const char *name, const char *(*scenario)(void *ctx), void *ctx, struct oom_result *r)
{
    const char *only = getenv("OOM_AT");
    *r = (struct oom_result){0};
    fired = true;
    for (refuse = only && *only ? strtoull(only, NULL, 10) : 1; fired && refuse < RUNS_MAX; refuse++) {
        fired = false;
        const char *what = scenario(ctx);
        oom_disarm();
        r->refused += fired;
        if (what) {
            fprintf(stderr, "%s: allocation %" PRIu64 " refused: %s\n  OOM_AT=%" PRIu64 " shows it again\n",
                    name, refuse, what, refuse);
            if (r->broken++ == 0) {
                r->first_broken = refuse;
                snprintf(r->first, sizeof r->first, "%s", what);
            }
        }
        if (only && *only)
            break;
    }
    printf("%s: %" PRIu64 " allocations refused one by one, %" PRIu64 " broken promises\n", name, r->refused,
           r->broken);
    return r->broken == 0;
}
