/* suggest.h - "did you mean": the known word nearest to what was typed. Pure, any thread, no allocation. */
#pragma once

#include "base/bytes.h"

/* Words longer than this are never near anything. */
enum { SUGGEST_BYTES_MAX = 64 };

/* Edits (insert, delete, replace, swap of neighbours; a letter's case is free) between two words, counted up
 * to `max`; max + 1 when there are more or a word is too long. */
unsigned suggest_distance(struct bytes a, struct bytes b, unsigned max);

/* Collects the best of many: feed every candidate, then ask. Zeroed = nothing yet. */
struct suggest {
    const char *best;     /* borrowed from the candidates, NULL = nothing near */
    unsigned    distance;
};
void suggest_offer(struct suggest *, struct bytes typed, const char *candidate);

/* The nearest of `count` words, or NULL when none is near enough (a third of its letters). */
const char *suggest_word(struct bytes typed, const char *const *words, size_t count);
