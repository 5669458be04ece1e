/* convert.h - from a field of JSON, or a whole payload, to a value of an OPC UA type. Pure, any thread. */
#pragma once

#include "base/arena.h"
#include "expr/value.h"
#include "opcua/types.h"

/* `type`: Boolean ... DateTime. Numbers in quotes count as numbers; a number as a text. Good; BadNoData: null, missing or empty; BadTypeMismatch;
 * BadOutOfRange: the type does not hold it; BadDecodingError: not UTF-8; BadOutOfMemory. Texts are views of the value or lie in the arena. */
ua_status mirror_convert(struct ua_variant *out, unsigned type, struct value, struct arena *);
ua_status mirror_convert_text(struct ua_variant *out, unsigned type, struct bytes payload, struct arena *);
/* ISO 8601, or a number: seconds since 1970, from 100,000,000,000 on milliseconds. False: neither, or not within the years 1970 to 9999. */
bool mirror_time(struct value, ua_time *out);
