/* want.h - which type a server wants of what is written to a variable or given to a method, out of what it says of them: what
 * from_text.h needs to know. Types derived from a built-in one, Number and BaseDataType: as the value is now.
 *
 * Pure, any thread.
 */
#pragma once

#include "opcua/services.h"

struct ua_want {
    unsigned type; /* a built-in one; UA_NULL: any        */
    int32_t  rank; /* as ValueRank; -2: any               */
};

/* Of the values of the attributes DataType, ValueRank and Value. */
struct ua_want ua_want_of_variable(const struct ua_variant *data_type, const struct ua_variant *rank, const struct ua_variant *value);
/* The property InputArguments among those of a method. NULL: it has none, and so no arguments. */
const struct ua_node_id *ua_want_inputs(const struct ua_browse_result *properties);
/* Of that property's value; of an argument that cannot be read anything will do. At most `max`; UINT32_MAX: it is no list of
 * arguments. The arena is for what lies in them. */
uint32_t ua_want_of_arguments(const struct ua_variant *inputs, struct arena *, struct ua_want *out, uint32_t max);
