/* keyed.h - a table from values to what belongs to them: groups, partitions, sides of a join. Entries are embedded first in their
 * owner's struct, which is allocated by the owner, and stand in the order in which they were put in: no order ever depends on hashes.
 * NULL is a key like any other; 1 and 1.0 are the same. */
#pragma once

#include "expr/value.h"

struct keyed_entry {
    struct keyed_entry *chain, *before, *after;
    uint64_t            hash;
    struct value       *keys;
};
struct keyed {
    struct keyed_entry **buckets;
    size_t               cap, count;
    struct keyed_entry  *first, *last;
    bool                 fold; /* text without regard to case */
};

uint64_t            keyed_hash(const struct keyed *, const struct value *keys, uint32_t count);
struct keyed_entry *keyed_find(const struct keyed *, uint64_t hash, const struct value *keys, uint32_t count);
/* entry->keys and ->hash are set. CODE_NOMEM: it is not in. */
FG_CHECK enum code  keyed_put(struct keyed *, struct keyed_entry *);
void                keyed_remove(struct keyed *, struct keyed_entry *);
/* To the end of the order. */
void                keyed_touch(struct keyed *, struct keyed_entry *);
/* Frees the table, not the entries. */
void                keyed_clear(struct keyed *);
/* Texts without regard to case. */
int                 keyed_order_folded(struct value a, struct value b);
bool                keyed_equal(const struct keyed *, const struct value *a, const struct value *b, uint32_t count);
