/* check_flow.h - what `fieldgate config check` finds in jobs, routes and actions: what a start would refuse.
 *
 * The files of queries are read from where a start in the same working directory reads them, and so are the jobs that
 * `fieldgate job apply` has made, below the data directory. Nothing is made or changed. Thread: main.
 */
#pragma once

#include "base/settings.h"

/* Adds what it finds to the report. CODE_NOMEM: nothing could be found out. */
FG_CHECK enum code check_flow(const struct io *, const struct settings *, struct settings_report *,
                              struct fault *why);
