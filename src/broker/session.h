/* session.h - what a client identifier stands for: filters, what it is owed, unfinished packet identifiers; with or without a
 * connection. J, S, C and the locks: private.h.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"
#include "broker/consumer.h"
#include "broker/queue.h"
#include "broker/tree.h"

#include <stdatomic.h>

struct broker;
struct client;
struct member;

/* A small set of packet identifiers (unfinished inbound QoS 2): sorted, bounded by receive-maximum. */
struct pidset {
    uint16_t *at;
    uint32_t  count, cap;
};
bool pidset_has(const struct pidset *, uint16_t pid);
bool pidset_add(struct pidset *, uint16_t pid);  /* false: no memory; adding twice is fine */
void pidset_remove(struct pidset *, uint16_t pid);
bool pidset_copy(struct pidset *to, const struct pidset *from);
void pidset_clear(struct pidset *);

/* One filter of a session, so that it can be written to the state and taken out of the tree. */
struct held_filter {
    struct held_filter *next;
    uint8_t             qos, retain_handling, no_local, retain_as_published;
    uint32_t            id; /* subscription identifier, 0 = none */
    uint32_t            len;
    uint8_t             text[];
};

/* What the owner of a reader inside the node remembers with its place; see consumer.h. Immutable. */
struct note {
    uint32_t len;
    uint8_t  text[];
};
struct note *note_new(struct bytes text); /* NULL: no memory */

struct session {
    /* C */
    uint64_t     id;        /* of durable state, never reused; volatile sessions have one too (no_local, wills) */
    struct bytes client_id, principal; /* behind the struct */

    _Atomic uint32_t refs;  /* registry, owner, fan-outs */
    _Atomic int      shard; /* of the live connection, -1 when away */
    /* Small ones side by side, for there are many sessions; who may touch them is said at each. */
    bool         durable;   /* C: outlives its connection, its state is journalled */
    bool         linked;    /* registry: in the table of client identifiers */
    bool         ended;     /* J; S for the others */
    bool         waiting;   /* S: on its shard's waiting list */
    bool         dirty;     /* J: on its shard's dirty list */
    bool         crowded;   /* J: its queue is nearly full, see queue_sweep.c */
    struct client   *client;/* S of that shard */

    /* registry */
    struct client *owner;       /* the live connection or the one being made; see session.c */
    int64_t        expires_us;  /* monotonic, 0 = not running */

    struct member *members;     /* tree: its places in groups, see share.h */
    /* What share_choose looks at, from any loop. */
    _Atomic uint32_t window;    /* the peer's receive maximum */
    _Atomic uint32_t load;      /* unfinished entries of one that is not durable */
    _Atomic uint32_t coming;    /* messages it was chosen for that are on their way */
    _Atomic bool     choked;    /* it does not take what is sent */

    /* J for durable sessions, S for the others */
    struct queue        queue;
    struct pidset       in_pids;
    struct held_filter *filters;
    uint32_t            filter_count;
    uint32_t            expiry_s;
    int64_t             away_since_us;  /* by journal_age_us; 0 = connected */
    uint64_t            droppable;   /* drop-oldest: entries before this index cannot be dropped */
    uint64_t            swept;       /* how far queue_sweep.c has come, */
    int64_t             dies_us;     /* and when the first of those it left has expired */
    struct session     *dirty_next;  /* J */
    struct session     *prev, *next; /* J: list of durable sessions, for rounds of state */

    /* J: of a reader inside the node */
    struct consumer *reader;    /* NULL: it is not open */
    struct note     *note;      /* owned, or NULL */
    uint64_t         published; /* the highest ordinal of what it published that is in the log */
};

static inline bool session_is_consumer(const struct session *s)
{
    return s->client_id.len && s->client_id.at[0] == 0;
}

/* ---- session.c ---- */
struct session *session_new(uint64_t id, struct bytes client_id, struct bytes principal, bool durable);
static inline struct session *session_hold(struct session *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}
void session_drop(struct session *);
/* Locked (J). Lists of the durable state. */
void session_link(struct broker *, struct session *);
struct session *session_by_id(struct broker *, uint64_t id);
/* Locked (J): lets go of everything the session is owed and holds; the tree is the caller's. */
void session_forget(struct broker *, struct session *);
/* Into the table of client identifiers and out of it, counted for its principal. Registry held. CODE_NOMEM: nothing changed. */
FG_CHECK enum code session_list(struct broker *, struct session *);
void      session_unlist(struct broker *, struct session *);
/* It got a connection, or lost it. Registry held, listed. */
void      session_connected(struct broker *, struct session *, bool yes);
/* Ends a session wherever it is known: registry lock held. Durable ones get their record. */
enum code session_end(struct broker *, struct session *, struct fault *why);
/* Tree lock held for writing (nobody else may know a session that is just being made). */
void      session_leave_tree(struct broker *, struct session *);
struct held_filter *session_filter(struct session *, struct bytes filter);
struct subscription held_subscription(struct session *, const struct held_filter *);
enum code session_set_filter(struct session *, struct bytes filter, const struct subscription *);
bool      session_remove_filter(struct session *, struct bytes filter);
/* Once a second on shard 0: sessions whose time is over, wills whose delay is over. */
void session_upkeep(struct broker *);
void session_expires_at(struct broker *, int64_t us); /* registry held */
/* Takes the client off its session: records, will, expiry. */
void session_detach(struct client *, bool publish_will);
