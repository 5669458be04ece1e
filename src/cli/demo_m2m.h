/* demo_m2m.h - the first job, running: press-1 publishes temperature and humidity, cooler-1 reacts when it gets hot, the hub
 * stores every reading. Everything is counted, and the verdict is the exit status. Thread: main. */
#pragma once

#include "cli/demo_node.h"

struct demo_m2m {
    uint64_t    for_us;      /* 0 = until Ctrl-C                                       */
    uint64_t    interval_us;
    double      fan_at;      /* degrees from which the cooler switches its fan on       */
    uint64_t    seed;
};

/* STATUS_DONE if everything that was sent was delivered and stored, and every hot reading got its reaction. */
int demo_m2m_run(struct verb_call *, const struct demo_node *, const struct demo_m2m *);
