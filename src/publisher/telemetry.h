/* telemetry.h - the telemetry configuration file of OPC Publisher 2.4 (--tc): which fields a sample has, how they are called, and which
 * part of them is sent.
 *
 *   { "Defaults": { "NodeId": { "Publish": true, "Pattern": "s=(.*)", "Name": "Node" }, "MonitoredItem": { "Flat": true, "ApplicationUri": {...},
 *     "DisplayName": {...} }, "Value": { "Flat": false, "Value": {...}, "SourceTimestamp": {...}, "StatusCode": {...}, "Status": {...} } },
 *     "EndpointSpecific": [ { "ForEndpointUrl": "opc.tcp://...", ... } ] }
 *
 * Name and Flat only under Defaults. Immutable once read; any thread.
 */
#pragma once

#include "base/io.h"
#include "expr/regex.h"

enum telemetry_field {
    TELEMETRY_ENDPOINT_URL,
    TELEMETRY_NODE_ID,
    TELEMETRY_EXPANDED_NODE_ID,
    TELEMETRY_APPLICATION_URI,
    TELEMETRY_DISPLAY_NAME,
    TELEMETRY_VALUE,
    TELEMETRY_SOURCE_TIMESTAMP,
    TELEMETRY_STATUS_CODE,
    TELEMETRY_STATUS,
    TELEMETRY_FIELDS
};

struct telemetry_rule {
    bool publish;
    const char *name;
    struct regex *pattern; /* NULL: the whole text */
};
struct telemetry_set {
    const char *endpoint; /* NULL: the defaults */
    struct telemetry_rule of[TELEMETRY_FIELDS];
};
struct telemetry {
    struct arena arena;
    bool item_flat, value_flat;
    struct telemetry_set defaults, *special;
    uint32_t special_count;
};

enum { TELEMETRY_BYTES = 1 << 20, TELEMETRY_SPECIAL_MAX = 1000 };
/* CODE_MALFORMED, CODE_USAGE: "LINE:COLUMN: ..." (with FILE: in front when loaded). */
FG_CHECK enum code telemetry_parse(struct telemetry **out, struct bytes text, struct fault *why);
FG_CHECK enum code telemetry_load(struct telemetry **out, const struct io *, const char *path, struct fault *why);
/* Those that hold when there is no file. */
extern const struct telemetry telemetry_default;
const struct telemetry_set *telemetry_for(const struct telemetry *, const char *endpoint);
/* What of the text is sent: all groups of the pattern one behind the other, "" when it does not match. Into `out`, as much as fits; its length. */
size_t telemetry_part(const struct telemetry_rule *, struct bytes text, char *out, size_t cap);
void telemetry_free(struct telemetry *); /* NULL is fine */
