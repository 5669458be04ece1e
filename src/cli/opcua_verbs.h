/* opcua_verbs.h - the children of `fieldgate opcua`, a file each. */
#pragma once

#include "cli/verb.h"

extern const struct verb opcua_browse, opcua_call, opcua_list, opcua_publish, opcua_publisher, opcua_read_verb, opcua_test, opcua_trust, opcua_watch,
    opcua_write;
