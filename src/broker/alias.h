/* alias.h - topic aliases of one connection (3.3.2.3.4), both ways. Both sets die with it [MQTT-3.3.2-7].
 *
 *   in     what the client set: as many topics as it named, at most limits.topic-aliases of limits.topic-bytes each
 *   out    what we set: a small table, a topic's place is its hash. A topic takes a free place with its first message, and
 *          one that is taken when it comes twice without the present owner in between: so what repeats has one
 *
 * Memory is taken when the first alias is used. Thread: the connection's loop.
 */
#pragma once

#include "base/bytes.h"

#include <stdint.h>

struct aliases;

void     aliases_free(struct aliases *); /* NULL is fine */

/* What a PUBLISH with this alias means: an empty *topic becomes the one set before, another one is set. Returns 0, or the
 * reason to end the connection: 0x94 not in 1 .. max, 0x82 never set [MQTT-3.3.2-12], 0x89 no memory. *topic then points
 * into the set until the alias is set anew. */
uint8_t alias_in(struct aliases **, uint16_t max, uint16_t alias, struct bytes *topic);

/* The alias to send with this topic, 0 for none; *known: the peer knows it, the topic can be left out. The packet must be
 * sent. `max` is the peer's Topic Alias Maximum, of which we use the first few. */
uint16_t alias_out(struct aliases **, uint16_t max, struct bytes topic, bool *known);
