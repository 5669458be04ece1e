/* like.h - patterns of LIKE and PATINDEX: % any characters, _ one, [abc] [a-c] [^a] one of a set. Compiled once, then matched
 * in time of at most text times pattern. Immutable, any thread; lives in its arena. */
#pragma once

#include "base/arena.h"
#include "base/fault.h"

enum { LIKE_BYTES = 8000 }; /* of a pattern */

struct like;
/* `escape`: one character or empty. Both are UTF-8. CODE_USAGE with a constant sentence, CODE_NOMEM. */
FG_CHECK enum code like_compile(struct like **out, struct bytes pattern, struct bytes escape, struct arena *, const char **wrong);
bool               like_matches(const struct like *, struct bytes text);
/* Where the match begins, in characters from 1, without what a leading % stands for; 0: none. */
int64_t            like_index(const struct like *, struct bytes text);
