#include "opcua/status.h"

#include <stdio.h>

static const struct {
    const char *name;
    ua_status code;
} codes[] = {
#define UA_X(name, text, code) { text, code },
    UA_STATUS_CODES(UA_X)
#undef UA_X
};

const char *ua_status_name(ua_status s)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].code == ua_code(s))
            return codes[i].name;
    return NULL;
}

const char *ua_status_text(ua_status s, char scratch[16])
{
    const char *name = ua_status_name(s);
    if (name)
        return name;
    snprintf(scratch, 16, "0x%08X", s);
    return scratch;
}

bool ua_status_from(struct bytes name, ua_status *out)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (bytes_is(name, codes[i].name)) {
            *out = codes[i].code;
            return true;
        }
    return false;
}
