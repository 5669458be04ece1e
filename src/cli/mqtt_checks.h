/* mqtt_checks.h - what `mqtt-test` asks a broker, one function per row. A check opens its own connections (probe.h), uses topics
 * and names that nobody used before, and leaves nothing behind. */
#pragma once

#include "cli/probe.h"

struct check_run {
    struct probe_world *world;
    char                said[160]; /* how it went, one short sentence */
};

/* CODE_OK: the broker does it. CODE_UNSUPPORTED: it says that it does not, or need not. Anything else: it does it wrongly. */
typedef enum code (*check_fn)(struct check_run *, struct fault *why);

struct mqtt_check {
    const char *group, *name;
    check_fn    run;
};

/* Each ends with a row without a name. */
extern const struct mqtt_check mqtt_checks_basic[], mqtt_checks_session[], mqtt_checks_v5[], mqtt_checks_hostile[];

#define TRY(call)                                                                                                                  \
    do {                                                                                                                           \
        enum code tried = (call);                                                                                                  \
        if (tried != CODE_OK)                                                                                                      \
            return tried;                                                                                                          \
    } while (0)
