/* json_index.h - first of the reader's two passes: where the words of a JSON text begin, 64 bytes at a time.
 *
 * Into the index go the places of { } [ ] : , outside of texts, of both quotes of every text, and of the first byte of
 * everything else that is no blank (numbers, true, false, null, garbage). What a word is, the second pass says; that texts
 * end and hold no control characters is known after this one.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

struct json_index {
    uint32_t   *at;       /* offsets, ascending                             */
    uint32_t    count, room;
    bool        escapes;  /* there is a backslash somewhere                 */
    bool        high;     /* there are bytes above 0x7f: the caller checks UTF-8 */
    const char *wrong;    /* after CODE_MALFORMED: what it is (a constant)  */
    size_t      wrong_at;
};
/* Reads up to 64 bytes behind the text, whose contents do not matter. At most UINT32_MAX - 64 bytes. CODE_MALFORMED: a
 * text does not end or holds a control character. CODE_NOMEM. */
FG_CHECK enum code json_index_build(struct json_index *, struct bytes text);
void json_index_clear(struct json_index *);

/* The same, one byte after the other, for tests; and with or without what this processor has. */
enum json_index_way { JSON_INDEX_BEST, JSON_INDEX_PORTABLE };
FG_CHECK enum code json_index_build_as(struct json_index *, struct bytes text, enum json_index_way);
