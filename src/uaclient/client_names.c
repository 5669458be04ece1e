/* client_names.c - words for what a client is and what its server lacks. */
#include "uaclient/client.h"

const struct ua_lack_text ua_lack_texts[UA_LACK_COUNT] = {
#define UA_X(name, what, instead) [UA_LACK_##name] = {what, instead},
    UA_LACKS(UA_X)
#undef UA_X
};

const char *ua_client_state_name(enum ua_client_state state)
{
    static const char *const names[] = {
        [UA_CLIENT_WAITING] = "waiting",
        [UA_CLIENT_DIALLING] = "dialling",
        [UA_CLIENT_OPENING] = "opening",
        [UA_CLIENT_DISCOVERING] = "discovering",
        [UA_CLIENT_STARTING] = "starting",
        [UA_CLIENT_LOOKING] = "looking",
        [UA_CLIENT_UP] = "up",
        [UA_CLIENT_LEAVING] = "leaving",
        [UA_CLIENT_ENDED] = "ended",
    };
    return names[state];
}
