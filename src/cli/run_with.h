/* run_with.h - a node in this process, until it is told to stop. Thread: main. */
#pragma once

#include "cli/config.h"

/* What `fieldgate run` does with these flags: settings, node, the lines on stdout. The exit status. */
int run_with(struct verb_call *, const struct config_flags *);
