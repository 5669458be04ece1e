/* text.h - how people write nodes and parts of arrays.
 *
 *   NodeId          i=2258   ns=2;s=Temp   ns=3;i=17   ns=1;g=6B29FC40-CA47-1067-B31D-00DD010662DA   ns=1;b=AQI=
 *   ExpandedNodeId  nsu=http://example.org/;s=Temp     svr=1;nsu=...;i=4
 *   older form      http://example.org/#s=Temp         (read only)
 *   NumericRange    3   0:9   1:2,0:4                  (Part 4, 7.27)
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "opcua/types.h"

/* Texts are views of `text`; bytes of `b=` lie in the arena. CODE_MALFORMED with the place. */
FG_CHECK enum code ua_node_id_parse(struct ua_node_id *, struct bytes text, struct arena *, struct fault *why);
FG_CHECK enum code ua_expanded_parse(struct ua_expanded_node_id *, struct bytes text, struct arena *, struct fault *why);
void ua_node_id_format(struct buf *, const struct ua_node_id *);
void ua_expanded_format(struct buf *, const struct ua_expanded_node_id *);
void ua_guid_format(struct buf *, const struct ua_guid *);
FG_CHECK bool ua_guid_parse(struct ua_guid *, struct bytes);

enum { UA_RANGE_DIMS = 8 };
struct ua_index_range {
    uint32_t dims; /* 0: everything */
    struct {
        uint32_t first, last; /* both in it */
    } of[UA_RANGE_DIMS];
};
/* Null or empty is everything. False: BadIndexRangeInvalid. */
FG_CHECK bool ua_range_parse(struct ua_index_range *, struct bytes text);
/* That part of the value: of an array, a matrix, or the bytes of a (byte) string. UA_BAD_INDEX_RANGE_NO_DATA: none of it is there;
 * UA_BAD_INDEX_RANGE_INVALID: the dimensions do not fit; UA_BAD_OUT_OF_MEMORY. */
ua_status ua_range_take(const struct ua_index_range *, const struct ua_variant *, struct arena *, struct ua_variant *out);
/* Puts `part` into a copy of `whole` (Write with an IndexRange). The type must be the same (UA_BAD_TYPE_MISMATCH). */
ua_status ua_range_put(const struct ua_index_range *, const struct ua_variant *whole, const struct ua_variant *part, struct arena *,
                       struct ua_variant *out);

/* "2026-11-22T06:00:04.1234567Z", up to seven decimals without trailing zeros; years 1 to 9999. */
void ua_time_format(struct buf *, ua_time);
