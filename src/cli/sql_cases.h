/* sql_cases.h - `fieldgate sql --cases FILE`: many small runs of the engine, for its judges. The protocol stands in
 * tests/sql/README.md. */
#pragma once

#include "cli/verb.h"

/* `resume`: after every message the state is saved and a fresh run goes on from it. The answers are the same. */
int sql_cases(const struct verb_call *, const char *path, bool resume);
