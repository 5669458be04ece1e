/* idmap.h - message id -> where the message lies now, and its handle if it has one. Lives during replay only;
 * as a mere set of numbers it also serves damage.c. Open addressing; nothing is removed. One owner. */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

struct stored;
struct idmap_entry {
    uint64_t       id; /* 0 = empty */
    uint64_t       segment;
    uint32_t       offset, body_len;
    struct stored *stored;
};
struct idmap {
    struct idmap_entry *entries;
    size_t              cap, count;
};
struct idmap_entry *idmap_get(const struct idmap *, uint64_t id);
/* The entry, new (zero but for its id) or old; NULL: no memory. Earlier pointers are no longer valid. */
struct idmap_entry *idmap_put(struct idmap *, uint64_t id);
void                idmap_clear(struct idmap *);
