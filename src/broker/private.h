/* private.h - the broker as a whole, and all that the files of this folder share. Not for others.
 *
 *   client.h    packets in          turn.h     what a turn gathers, and its commit     fold.h     the durable state
 *   route.h     who gets it         deliver.h  from a queue to a connection            session.h  who is owed what
 *
 * Locks, always taken in this order, never across a system call:
 *   registry   who has which session: the table of client identifiers, session->owner, expiry and delayed wills
 *   tree       read-write: the subscription tree and its generation
 *   journal    journal_lock: the durable state (see fold.c), marked "J", and the shards' dirty lists
 * A shard's own things ("S") need no lock: only its loop's thread touches them. "C" is constant after creation.
 */
#pragma once

#include "base/arena.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/wire.h"
#include "broker/admit.h"
#include "broker/breakage.h"
#include "broker/broker.h"
#include "broker/consumer_private.h"
#include "broker/deliver.h"
#include "broker/fold.h"
#include "broker/origin.h"
#include "broker/owner.h"
#include "broker/retained.h"
#include "broker/share.h"
#include "broker/sys.h"
#include "broker/turn.h"
#include "broker/will.h"

#include <pthread.h>

/* See share_rescue. */
struct rescued {
    struct rescued *next;
    struct message *message; /* one reference, or NULL: it is read from `stored` */
    struct stored  *stored;  /* one reference, or NULL */
    struct origin  *origin;  /* one reference */
};

/* What a reload may change. Immutable: another one is swapped in, and this one lives until every loop has had a turn. */
struct broker_rules {
    struct limits      limits;
    struct mqtt_limits mqtt, connect; /* of packets after and before CONNECT was accepted */
    unsigned           hub_topic_count;
    const char        *hub_topics[]; /* texts behind the struct */
};

struct broker {
    struct broker_config config; /* limits and hub topics are those of the start: ask rules_of */
    _Atomic(struct broker_rules *) rules; /* owned; see rules_of */
    struct admit         admit;
    struct budget        budget;
    struct sys           sys;
    struct journal      *journal;
    struct shard         shards[SHARDS_MAX];
    _Atomic unsigned     shard_count;
    _Atomic unsigned     next_shard;
    _Atomic bool         stopping, halted;
    _Atomic unsigned     waking;  /* committers inside broker_on_durable */
    _Atomic uint64_t     clients, clients_max;

    pthread_mutex_t registry;
    struct table    sessions;   /* client id -> session */
    int64_t         next_expiry_us; /* registry: nothing expires or falls due before */
    uint64_t        reader_sessions; /* registry: of them, those of readers inside the node */
    struct owners   owners;         /* registry: sessions and connections of those who have a limit of their own */

    pthread_rwlock_t tree_lock;
    struct tree      tree;
    _Atomic uint64_t generation; /* of the tree; fan-outs of an older one are resolved again */

    /* J */
    uint64_t         next_session_id, next_will_id;
    uint64_t         last_end_seq;  /* the record of the last session that ended */
    struct session  *durable_first, *durable_last, *round_session;
    struct table     by_id; /* 8-byte session id -> durable session */
    struct retained  retained;
    VECTOR(uint64_t) crowded; /* sessions whose queue is nearly full, see queue_sweep.c */
    struct will     *wills, *round_will;
    struct table     wills_by_id;
    uint8_t          round_phase;
    _Atomic uint64_t queued_messages, queued_bytes;
    struct rescued  *rescued, *last_rescued;
    _Atomic bool     has_rescued;
    _Atomic uint64_t wake_mask;   /* shards to wake once unlocked: share_settle */

    pthread_mutex_t  readers_lock; /* between registry and journal */
    struct consumer *readers;      /* that are open */
    _Atomic bool     readers_due;  /* something came for one of them */
    _Atomic unsigned behind;       /* readers that publishers have to wait for */

    bool journal_gone; /* broker_free: its handles died with it */
};

/* What holds now; not to be kept beyond the turn. */
static inline const struct broker_rules *rules_of(const struct broker *b)
{
    return atomic_load_explicit((_Atomic(struct broker_rules *) *)(uintptr_t)&b->rules, memory_order_acquire);
}
static inline const struct limits *limits_of(const struct broker *b)
{
    return &rules_of(b)->limits;
}
