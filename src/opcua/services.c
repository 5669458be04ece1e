#include "opcua/services.h"

#include <stddef.h>

/* clang-format off */
#define UA_V(in, type, field) { offsetof(struct ua_##in, field), 0, UA_##type, false, NULL },
#define UA_A(in, type, field) { offsetof(struct ua_##in, field), offsetof(struct ua_##in, field##_count), UA_##type, true, NULL },
#define UA_S(in, of, field) { offsetof(struct ua_##in, field), 0, UA_NULL, false, &ua_##of##_type },
#define UA_L(in, of, field) { offsetof(struct ua_##in, field), offsetof(struct ua_##in, field##_count), UA_NULL, true, &ua_##of##_type },
#define UA_X(name, number) \
    static const struct ua_field fields_of_##name[] = { UA_LAYOUT_##name(UA_V, UA_A, UA_S, UA_L) }; \
    const struct ua_struct ua_##name##_type = { #name, sizeof(struct ua_##name), number, \
                                                sizeof fields_of_##name / sizeof *fields_of_##name, fields_of_##name };
UA_STRUCTS(UA_X)
#undef UA_X
/* clang-format on */

const struct ua_struct *ua_struct_of(uint32_t encoding)
{
    static const struct ua_struct *const all[] = {
#define UA_X(name, number) &ua_##name##_type,
        UA_STRUCTS(UA_X)
#undef UA_X
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (encoding && all[i]->encoding == encoding)
            return all[i];
    return NULL;
}
