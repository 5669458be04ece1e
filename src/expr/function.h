/* function.h - the table of scalar functions, for the parser and the compiler. Names are found without regard to case. */
#pragma once

#include "expr/value.h"

bool function_name_is(struct bytes written, const char *name);
/* Its first argument is a unit of time (a word), as of DATEADD(minute, 1, t). */
bool function_takes_unit(struct bytes name);
