/* embed.h - a message's payload as part of a JSON document, exactly as the publisher wrote it.
 *
 * Numbers keep their digits and objects the order of their members (and members that come twice): nothing is
 * read into a tree and printed again. Pure, any thread, linear, no recursion; all append to `out` (out->bad).
 */
#pragma once

#include "base/buf.h"

enum { EMBED_DEPTH_MAX = 32 };

/* Appends `text` without the blanks between its tokens if it is one JSON value (RFC 8259) in UTF-8, nested at
 * most `depth` deep (up to EMBED_DEPTH_MAX), without halves of surrogate pairs. Else false, and `out` is as
 * it was. */
bool embed_json(struct buf *out, struct bytes text, unsigned depth);
/* As buf_json, quick for what needs no escape. */
void embed_text(struct buf *out, struct bytes text);
