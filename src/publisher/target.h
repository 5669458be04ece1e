/* target.h - BrowsePath of a node: the way from its Id to what is read, as OPC Publisher writes it, a list of
 *
 *   "Temperature"   "/2:Temperature"   "/http://press.example/#Temperature"   ".Unit"   "/nsu=http://press.example/;Temperature"
 *
 * `/` or nothing follows hierarchical references, `.` parts (Aggregates); `&` in front of a character takes its meaning away.
 * Pure, any thread.
 */
#pragma once

#include "opcua/types.h"
#include "publisher/jtree.h"

enum { TARGET_STEPS_MAX = 32 };

struct target_step {
    bool part;             /* Aggregates, not all hierarchical references */
    struct bytes uri;      /* of the name's namespace; null: `ns` */
    uint16_t ns;
    struct bytes name;
};

/* Of a list of 1 to 32 texts. CODE_MALFORMED: the sentence begins with the place; CODE_NOMEM. */
FG_CHECK enum code target_parse(struct target_step **steps, uint32_t *count, const struct jtree *list, struct arena *, struct fault *why);
