/* fill.h - texts with ${field} in them, filled in from an event. `${a.b}` goes into records, `${a.0}` into arrays; a field that is
 * not there is empty; `$${` is `${`. */
#pragma once

#include "expr/value.h"

/* False: a `${` without its `}`, or with nothing in it; *at is its byte. */
bool fill_valid(const char *text, size_t *at);
bool fill_needs_event(const char *text);
/* Appends. How values are written: texts as they are, everything else as JSON. */
void fill(struct buf *out, const char *text, struct value event);
/* The same for a part of a topic: what would be a wildcard, a level's end or U+0000 becomes `_`. */
void fill_topic(struct buf *out, const char *text, struct value event);
