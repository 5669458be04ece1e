/* access.h - users and rules as they stand at one moment: constant, counted, replaced as a whole by a reload.
 *
 * Each shard of the broker holds one reference and asks it without a lock. Thread: any.
 */
#pragma once

#include "identity/principal.h"

struct rules;

struct access {
    _Atomic uint32_t refs;
    struct users    *users; /* owned */
    struct rules    *rules; /* owned; NULL: none are configured */
};

struct access *access_new(struct users *, struct rules *); /* takes both over, also when it fails: NULL, no memory */
static inline struct access *access_hold(struct access *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}
void access_drop(struct access *); /* NULL is fine */

/* Is the proof still good? A password user who is not in the file any more, or has another password now, is not. */
bool access_still(const struct access *, const struct principal *);
