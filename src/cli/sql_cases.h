/* sql_cases.h - `fieldgate sql --cases FILE`: many small runs of the engine, for its judges. The protocol stands in
 * tests/sql/README.md. */
#pragma once

#include "cli/verb.h"

int sql_cases(const struct verb_call *, const char *path);
