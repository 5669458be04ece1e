/* topic.h - templates of topics: "opcua/{WriterGroup}/{Writer}", "factory/{Site}/{BrowsePath}".
 *
 * Variables, letters in any case: {PublisherId} {Site} {WriterGroup} (DataSetWriterGroup, else the endpoint's host) {Writer} (DataSetWriterId,
 * else the data set's name) {DataSetName} {Endpoint} (its host, with the port when that is not 4840) {RootTopic} {TelemetryTopic}, and of one node: {DisplayName}
 * {NodeId} {FieldId} {BrowsePath}. A level that comes out empty is left out.
 *
 * What may not stand in a topic becomes '_': + # and control characters, $ in front; in names of nodes / too.
 * Pure, any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

enum topic_variable {
    TOPIC_PUBLISHER_ID,
    TOPIC_SITE,
    TOPIC_WRITER_GROUP,
    TOPIC_WRITER,
    TOPIC_DATASET_NAME,
    TOPIC_ENDPOINT,
    TOPIC_ROOT,
    TOPIC_TELEMETRY,
    TOPIC_DISPLAY_NAME,
    TOPIC_NODE_ID,
    TOPIC_FIELD_ID,
    TOPIC_BROWSE_PATH,
    TOPIC_VARIABLES
};
enum { TOPIC_TEMPLATE_BYTES = 1024, TOPIC_MOST = 1024, TOPIC_LEVELS_MOST = 32 };

/* CODE_USAGE: a sentence that names the variable that is none. `of_node`: it has variables of one node (may be NULL). */
FG_CHECK enum code topic_template_check(struct bytes text, bool *of_node, bool *of_path, struct fault *why);
/* NULs in `values` are empty. Into `out` (of TOPIC_MOST + 1 bytes, NUL-terminated); false: empty, too long or too deep. */
FG_CHECK bool topic_fill(const char *text, const struct bytes values[TOPIC_VARIABLES], char *out);
/* "10.0.4.20" of "opc.tcp://10.0.4.20:4840/path", "plc:62541" of another port. */
struct bytes topic_host(const char *endpoint);
