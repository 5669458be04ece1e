/* regex.h - regular expressions in linear time: a subset of ECMAScript's syntax that needs no going back.
 *
 *   x  .  [a-z]  [^a-z]  \d \D \w \W \s \S  \t \n \r \f \v  \xhh \uhhhh  \ before any mark     characters
 *   (x)  (?:x)  x|y                                                                            groups, choice
 *   x*  x+  x?  x{n}  x{n,}  x{n,m}, each also with ? behind it: as few as possible            repetition
 *   ^  $  \b  \B                                                                               places
 *
 * Letters match without regard to case, and . matches line ends, too, as REGEXMATCH is documented. Back references and
 * looking ahead or behind are refused. A pattern has at most 1,000 bytes and, repetitions written out, 2,000 steps; a match costs
 * at most text times steps.
 *
 * A compiled pattern is immutable: any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/fault.h"

enum { REGEX_BYTES = 1000, REGEX_STEPS = 2000, REGEX_GROUPS = 10 /* with the whole, $0 to $9 */ };

struct regex;
/* CODE_USAGE with a constant sentence, CODE_NOMEM. */
FG_CHECK enum code regex_new(struct regex **out, struct bytes pattern, const char **wrong);
void regex_free(struct regex *);
uint32_t regex_size(const struct regex *); /* steps */

struct regex_match {
    size_t from[REGEX_GROUPS], to[REGEX_GROUPS]; /* bytes; SIZE_MAX: the group took no part */
    size_t seen;                                 /* how far the search had to look          */
};
/* The first match at or behind byte `start`, of those that begin there the one that the pattern prefers. `scratch` lends
 * memory of at most steps times 200 bytes. CODE_NOTFOUND, CODE_NOMEM. */
FG_CHECK enum code regex_find(const struct regex *, struct bytes text, size_t start, struct arena *scratch,
                              struct regex_match *out);
