/* topic.h - topic names and filters (MQTT 5.0 section 4.7). Pure, any thread, linear in the input. */
#pragma once

#include "base/bytes.h"

/* What is wrong with a name or filter. TOPIC_NOT_UTF8 wins over the others: it alone means malformed bytes
 * (0x81), they a topic that is not accepted (0x90, 0x8F). */
enum topic_flaw {
    TOPIC_FINE,
    TOPIC_NOT_UTF8, /* or holds U+0000: [MQTT-1.5.4-1], [MQTT-1.5.4-2], [MQTT-4.7.3-2] */
    TOPIC_EMPTY,    /* [MQTT-4.7.3-1] */
    TOPIC_WILDCARD, /* in a name, or not where a filter may have it */
    TOPIC_SHARE,    /* "$share/" without a proper share name and filter behind it: 4.8.2 */
    TOPIC_TOO_LONG,
    TOPIC_TOO_DEEP
};
/* The end of a sentence that begins with the topic: "has a wildcard where none may be". */
const char *topic_flaw_text(enum topic_flaw flaw);

enum topic_flaw topic_name_check(struct bytes name, uint32_t max_bytes, uint32_t max_levels);
/* The byte limit counts the whole filter; the level limit the part behind $share/NAME/. */
enum topic_flaw topic_filter_check(struct bytes filter, uint32_t max_bytes, uint32_t max_levels);

/* A name to publish to: not empty, no U+0000, no wildcard, UTF-8, within the limits. */
bool topic_name_valid(struct bytes name, uint32_t max_bytes, uint32_t max_levels);
/* A filter to subscribe with: + and # only as whole levels, # only last; $share/NAME/FILTER as in 4.8.2. */
bool topic_filter_valid(struct bytes filter, uint32_t max_bytes, uint32_t max_levels);
/* True for a shared subscription's filter ("$share/..."). */
bool topic_filter_shared(struct bytes filter);
/* Splits a valid shared filter; for any other, *share is empty and *inner the filter itself. */
void topic_filter_split(struct bytes filter, struct bytes *share, struct bytes *inner);
/* 4.7.2: a wildcard in the first level does not match names that begin with $. Both must be valid. A shared
 * filter matches what the filter behind its share name matches. */
bool topic_matches(struct bytes filter, struct bytes name);
/* Levels one after the other: *cursor starts at 0; false behind the last one. "a//b" has three, "/" two. */
bool topic_level(struct bytes topic, size_t *cursor, struct bytes *level);
