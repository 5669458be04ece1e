/* arena.h - memory that is given back all at once.
 *
 * A first block may be lent by the caller (a stack array); further blocks come from mem.h up
 * to `max` bytes in all. Not thread-safe: one owner. A taken piece lives until arena_reset or
 * arena_clear; pieces are 16-byte aligned and not zeroed.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

struct arena_block;
struct arena {
    uint8_t            *at, *end;  /* free part of the current block            */
    struct arena_block *blocks;    /* newest first; owned                       */
    uint8_t            *lent;      /* caller's block, or NULL                   */
    size_t              lent_size;
    size_t              used, max; /* bytes of owned blocks, and their limit    */
};

void  arena_init(struct arena *a, void *lent, size_t lent_size, size_t max);
/* NULL when the limit or the heap is exhausted. */
void *arena_take(struct arena *a, size_t size) __attribute__((malloc, warn_unused_result));
void *arena_zero(struct arena *a, size_t size) __attribute__((malloc, warn_unused_result));
/* A NUL-terminated copy. */
char *arena_text(struct arena *a, struct bytes b) __attribute__((warn_unused_result));
/* Room for one more behind a list of `count` pieces of `size` bytes, zeroed: the list, moved to twice its room where count is 0 or a
 * power of two. Its pieces are added one by one, each after a call of this. NULL as for arena_take; the list stays as it was. */
void *arena_one_more(struct arena *a, void *list, size_t count, size_t size) __attribute__((warn_unused_result));
/* A place to come back to: pieces taken after arena_mark are given back by arena_release; earlier ones stay. */
struct arena_mark {
    uint8_t            *at, *end;
    struct arena_block *blocks;
};
struct arena_mark arena_mark(const struct arena *a);
void  arena_release(struct arena *a, struct arena_mark mark);
void  arena_reset(struct arena *a);  /* forget the pieces, give blocks back, usable again */
void  arena_clear(struct arena *a);  /* the end */
