/* topic.h - topic names and filters (MQTT 5.0 section 4.7). Pure, any thread, linear in the input. */
#pragma once

#include "base/bytes.h"

/* A name to publish to: not empty, no U+0000, no wildcard, UTF-8, within the limits. */
bool topic_name_valid(struct bytes name, uint32_t max_bytes, uint32_t max_levels);
/* A filter to subscribe with: + and # only as whole levels, # only last; $share/NAME/FILTER as in 4.8.2. */
bool topic_filter_valid(struct bytes filter, uint32_t max_bytes, uint32_t max_levels);
/* True for a shared subscription's filter ("$share/..."). */
bool topic_filter_shared(struct bytes filter);
/* 4.7.2: a wildcard in the first level does not match names that begin with $. Both must be valid. */
bool topic_matches(struct bytes filter, struct bytes name);
/* Levels one after the other: *cursor starts at 0; false behind the last one. "a//b" has three, "/" two. */
bool topic_level(struct bytes topic, size_t *cursor, struct bytes *level);
