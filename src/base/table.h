/* table.h - a hash table from a byte string to a pointer. Keys are borrowed: the value owns the bytes and
 * keeps them until table_remove. Open addressing, linear probing, rebuilt when three quarters are used, at
 * most half full then.
 * One owner or the owner's lock. Iteration order is unspecified; removing during table_next is allowed
 * for the item just returned only (tombstones keep the walk valid until the next put). */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

struct table_slot {
    uint64_t     hash;
    struct bytes key;
    void        *value; /* NULL = empty, TABLE_GONE = removed */
};
struct table {
    struct table_slot *slots;
    size_t             cap, count, used; /* used counts removed slots too */
};

void *table_get(const struct table *t, struct bytes key);
/* CODE_EXISTS if the key is there (nothing changes), CODE_NOMEM. value must not be NULL. */
FG_CHECK enum code table_put(struct table *t, struct bytes key, void *value);
/* After it one table_put of a new key cannot fail for memory. */
FG_CHECK enum code table_reserve(struct table *t);
void *table_remove(struct table *t, struct bytes key); /* the value, or NULL */
/* *cursor starts at 0; NULL at the end. */
void *table_next(const struct table *t, size_t *cursor);
void  table_clear(struct table *t);
