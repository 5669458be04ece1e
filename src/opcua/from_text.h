/* from_text.h - a value from what a person or a template wrote, as the type that the node wants.
 *
 *   Boolean        true, false, 1, 0
 *   integers       -12, 0x1f; a whole 12.0, too; out of the type's range is refused
 *   Float, Double  21.4, 1e3, NaN, Infinity, -Infinity
 *   String         the text itself, or "quoted as JSON" (LocalizedText, XmlElement the same)
 *   DateTime       2026-11-22T06:00:04.1234567Z, now, and the other forms of base/values.h
 *   ByteString     base64
 *   Guid, NodeId, ExpandedNodeId as in text.h; StatusCode BadTimeout, 0x800A0000; QualifiedName 2:Temp
 *   arrays         [1, 2, 3]; matrices [[1,2],[3,4]]; elements as above, texts in quotes where they hold , or ]
 *   no type        (BaseDataType, Number) what the text looks like: Boolean, Int32 or Int64, Double, String
 */
#pragma once

#include "base/arena.h"
#include "opcua/types.h"

/* `type` UA_NULL: no type. `rank` as ValueRank: -1 a scalar, >= 1 so many dimensions, others: an array if it begins with '['.
 * Everything lies in the arena or is a view of `text`. `now_us` is for "now". CODE_USAGE: says what is wrong; CODE_NOMEM, CODE_LIMIT. */
FG_CHECK enum code ua_from_text(struct ua_variant *out, unsigned type, int32_t rank, struct bytes text, int64_t now_us,
                                struct arena *, struct fault *why);
