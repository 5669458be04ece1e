/* verb_opcua.c - `fieldgate opcua`: a machine's OPC UA server, looked at from here. */
#include "cli/opcua_verbs.h"
#include "cli/verbs.h"

static const struct verb *const children[] = {
    &opcua_test, &opcua_browse, &opcua_read_verb, &opcua_write, &opcua_call, &opcua_watch, &opcua_publish, &opcua_list, &opcua_publisher, &opcua_trust, NULL,
};

const struct verb verb_opcua = {
    .name = "opcua",
    .group = "field",
    .summary = "OPC UA servers: test, browse, read, write, call, watch, publish, list, publisher, trust",
    .children = children,
};
