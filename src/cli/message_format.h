/* message_format.h - how `sub` prints one message: mosquitto_sub's -F patterns and its JSON (%j, %J), and our own JSON.
 *
 * A pattern has %-codes (a width may stand between: %20t, %-20t, %05l), @-codes of strftime for the time of arrival, and
 * \-escapes. Thread: any. */
#pragma once

#include "base/buf.h"
#include "mqtt/packet.h"

/* CODE_USAGE names the code that does not exist. */
FG_CHECK enum code message_format_check(const char *pattern, struct fault *why);
/* Appends the message as a checked pattern says, without a line end. `wall_us`: when it came. `pretty`: JSON over several
 * lines. False: %J on a payload that is not JSON; nothing is appended. */
bool message_format(struct buf *out, const char *pattern, const struct mqtt_publish *, int64_t wall_us, bool pretty);
/* `sub -o json`: one object {"time":..,"topic":..,"qos":..,"retain":..,..,"payload":..} without a line end. What is not
 * UTF-8 comes as "payloadHex" and "correlationHex". */
void message_json(struct buf *out, const struct mqtt_publish *, int64_t wall_us);
