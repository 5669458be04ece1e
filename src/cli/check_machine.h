/* check_machine.h - what `fieldgate check` finds out about this machine: settings, addresses, disk.
 *
 * Nothing is changed but for a small file in the data directory, which is removed again. Thread: main.
 */
#pragma once

#include "cli/config.h"

struct check_line {
    const char      *group; /* "Storage"; the same pointer for lines of one group */
    enum output_mark mark;
    char             what[160], detail[280], advice[300]; /* advice: "" or what to do */
};

void check_machine(const struct verb_call *, const struct config_flags *,
                   void (*each)(void *ctx, const struct check_line *), void *ctx);
