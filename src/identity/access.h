/* access.h - users and rules as they stand at one moment: constant, counted, replaced as a whole by a reload. And what they
 * mean: who may.
 *
 * Where there are rules they decide, and what none decides is refused. Without rules who is in may do everything. In both cases
 *   - nobody publishes to $SYS, and the names of the hub ($iothub/, $dps/, devices/) are not for messages among clients
 *   - $SYS is read by whom a rule allows it; else, unless a rule denies it, by users with the role admin or monitor, and by
 *     anonymous on this machine
 *
 * Each shard of the broker holds one reference and asks it without a lock. Thread: any.
 */
#pragma once

#include "identity/principal.h"
#include "identity/rules.h"

struct access {
    _Atomic uint32_t refs;
    uint64_t         serial; /* another one for each: what was remembered of the one before does not hold */
    struct users    *users;  /* owned */
    struct rules    *rules;  /* owned; NULL: none are configured */
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

/* Is he in the users file, or no user at all? The access may be NULL: yes. */
bool access_knows(const struct access *, struct bytes principal);

/* Whom a session or message belongs to, from its texts, with the roles that hold now. */
struct subject access_subject(const struct access *, struct bytes principal, struct bytes client_id);

/* The access may be NULL: nobody is asked who he is, and the last line of the head is all that holds. */
bool access_publish(const struct access *, const struct subject *, struct bytes topic);
/* May be a shared filter: then what stands behind the share's name counts. */
bool access_subscribe(const struct access *, const struct subject *, bool loopback, struct bytes filter);
/* A message that comes through a subscription made earlier. What anonymous subscribed to of $SYS on this machine he gets. */
bool access_receive(const struct access *, const struct subject *, struct bytes topic);
bool access_read(const struct access *, const struct subject *, struct bytes topic); /* a retained message */

/* Without rules only these topics need a look: what the hot path asks before anything else. */
static inline bool access_asks(const struct access *a, struct bytes topic)
{
    return (a && a->rules) || (topic.len && (topic.at[0] == '$' || topic.at[0] == 'd'));
}
