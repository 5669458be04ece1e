/* fill.h - texts with ${field} in them, filled in from an event. `${a.b}` goes into records, `${a.0}` into arrays; a name with dots
 * that is there as a whole counts as one; a field that is not there is empty; `$${` is `${`.
 *
 * Events come from machines: what they say must not become more than a value where it is put. So a value's quotes are escaped in a
 * JSON text, its slashes and wildcards in a topic, and nearly everything in an address. Pure.
 */
#pragma once

#include "expr/value.h"

/* False: a `${` without its `}`, or with nothing in it; *at is its byte. */
bool fill_valid(const char *text, size_t *at);
bool fill_needs_event(const char *text);
/* Appends. Texts as they are, everything else as JSON. */
void fill(struct buf *out, const char *text, struct value event);
/* For a topic: what would be a wildcard, a level's end or U+0000 becomes `_`. */
void fill_topic(struct buf *out, const char *text, struct value event);
/* For the path and query of an address (RFC 3986): of values all but letters, digits and -._~ is written as %XX; of the text itself
 * what is not ASCII. */
void fill_url(struct buf *out, const char *text, struct value event);
/* For JSON with fields in it, such as {"id": "${id}", "t": ${t}}. Between quotes: the value's characters, escaped. Elsewhere: the
 * value as JSON, so texts with their quotes, and null for what is not there. */
void fill_json(struct buf *out, const char *text, struct value event);
