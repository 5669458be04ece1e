/* demo_anomaly.h - the founding story: a job learns what is usual, finds what is not, and the machine is stopped; after a pause longer
 * than its window it is silent until it has learned again. Everything is counted, and the verdict is the exit status. Thread: main. */
#pragma once

#include "cli/demo_node.h"

struct demo_anomaly {
    const char *keep;       /* folder to use and keep, or NULL */
    double      spike;      /* what the humidity jumps to      */
    double      confidence; /* of the query, per cent          */
    uint64_t    pause_s;    /* of machine time                 */
};

int demo_anomaly_run(struct verb_call *, const struct demo_anomaly *);
