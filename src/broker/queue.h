/* queue.h - what a session is owed with QoS 1 and 2, in order.
 *
 * Every entry has an index that counts up for the session's whole life. The packet identifier is a function of it
 * (index mod 65,535, plus 1), so that message, session and identifier are committed together by the record that queues
 * the message, and come back identical after a crash, without a record per delivery. The price: not more than 65,535
 * indexes may lie between the oldest unfinished entry and the newest one sent; the sender stops there.
 *
 *   head                     next (the connection's)       tail
 *   | sent | done | sent ... | queued ...                  |
 *
 * A durable session's entries point to stored handles and are guarded by the journal's lock; those of a session that ends
 * with its connection point to messages and belong to its loop. An entry is DONE until everything before it is.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"
#include "broker/origin.h"

enum entry_state {
    ENTRY_QUEUED,
    ENTRY_SENT,     /* on this connection; volatile knowledge, not part of the durable state */
    ENTRY_RECEIVED, /* QoS 2: PUBREC recorded; only PUBREL is sent from now on, the message is let go */
    ENTRY_DONE
};
enum { ENTRY_RETAIN = 1 /* sent with RETAIN set */, ENTRY_MAYBE_SENT = 2 /* a re-send carries DUP */,
       ENTRY_KEPT = 4 /* was there when its subscription was made: who wrote it must still be allowed to */,
       ENTRY_AS_PUBLISHED = 8 /* sent with RETAIN as the message has it */ };

struct entry {
    void    *what;  /* struct stored or struct message; NULL once RECEIVED or DONE */
    uint64_t seq;   /* durable: the record that queued it */
    uint32_t bytes;
    uint8_t  qos, state, flags;
};

struct queue {
    struct entry *ring;
    struct origin **origins; /* beside the ring; NULL until an entry has one */
    uint32_t      cap;        /* power of two, or 0 */
    uint32_t      open;       /* entries not done */
    uint64_t      head, tail; /* indexes */
    uint64_t      bytes;      /* of entries not received and not done */
};

/* NULL when memory is out. The entry gets index tail. One reference to `origin` is taken; NULL is fine. */
struct entry *queue_push(struct queue *, struct origin *origin);
/* False when so many pushes more could fail; with_origin: also of entries that have one. */
bool          queue_reserve(struct queue *, uint32_t more, bool with_origin);
/* Heap bytes that so many pushes more would take at once; 0: there is room. */
uint64_t      queue_growth(const struct queue *, uint32_t more);
struct origin *queue_origin(const struct queue *, uint64_t index); /* borrowed; NULL for most */
struct entry *queue_at(struct queue *, uint64_t index); /* head <= index < tail */
/* The message is no longer needed: returns it for the owner to let go. */
void         *queue_received(struct queue *, uint64_t index);
/* Marks it done and moves head over what is done. Returns what it held, or NULL. */
void         *queue_done(struct queue *, uint64_t index);
void          queue_clear(struct queue *); /* the owner has let the entries go */

/* Heap bytes of all queues' entries, for the budget. */
uint64_t queue_bytes_in_use(void);

static inline uint16_t queue_packet_id(uint64_t index)
{
    return (uint16_t)(index % 65535 + 1);
}
/* The only index in [head, head + 65535) with this identifier; true if it lies below tail. */
bool queue_find(const struct queue *, uint16_t packet_id, uint64_t *index);
