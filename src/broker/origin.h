/* origin.h - what a delivery must say about the subscriptions that caused it: their identifiers (3.3.2.3.8), and which
 * shared subscription it was chosen for, so that it can be given to another member (4.8.2).
 *
 * It belongs to the message as it was when it was published: later changes of the subscriptions do not touch it. So it is
 * kept with every queued entry, and shared by all of them that have the same one. NULL stands for the usual case: no
 * identifier, not shared.
 *
 * Immutable, counted, any thread.
 */
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "base/wire.h"

struct origin;

/* One reference. NULL when memory is out (the caller asks only when there is something to keep). `shared` is the whole
 * filter ("$share/GROUP/FILTER") or empty. */
struct origin *origin_new(const uint32_t *ids, uint32_t count, struct bytes shared);
struct origin *origin_hold(struct origin *); /* NULL stays NULL */
void           origin_drop(struct origin *);
bool           origin_equal(const struct origin *, const struct origin *);

uint32_t        origin_count(const struct origin *); /* 0 for NULL */
const uint32_t *origin_ids(const struct origin *);
struct bytes    origin_shared(const struct origin *); /* empty for NULL and for what is not shared */

/* In journal records. Never called with NULL: the record says by a bit whether there is one. */
void origin_put(struct buf *, const struct origin *);
/* `like` (may be NULL) is given again if it is the same: queues have long runs of equal ones. CODE_DAMAGED, CODE_NOMEM. */
FG_CHECK enum code origin_read(struct wire *, struct origin *like, struct origin **out);
