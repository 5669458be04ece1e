/* private.h - what the files of this folder share. Not for others.
 *
 * Locks, always taken in this order, never across a system call:
 *   registry   who has which session: the table of client identifiers, session->owner, expiry and delayed wills
 *   tree       read-write: the subscription tree and its generation
 *   journal    journal_lock: the durable state (see fold.c), marked "J" below, and the shards' dirty lists
 * A shard's own things ("S") need no lock: only its loop's thread touches them. "C" is constant after creation.
 */
#pragma once

#include "base/arena.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/wire.h"
#include "broker/admit.h"
#include "broker/alias.h"
#include "broker/broker.h"
#include "broker/budget.h"
#include "broker/consumer.h"
#include "broker/origin.h"
#include "broker/owner.h"
#include "broker/queue.h"
#include "broker/retained.h"
#include "broker/share.h"
#include "broker/sys.h"
#include "broker/tree.h"
#include "message/message.h"
#include "mqtt/packet.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SHARDS_MAX = 64, SCRATCH_BYTES = 4096, INBOX_LOW = 4 << 20, INBOX_HIGH = 16 << 20, INBOX_MAX = 64 << 20,
       ROUTES_RECENT = 64 };

struct broker;
struct client;
struct shard;

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

/* A will lives in the journal from CONNECT until it is published or withdrawn, whatever kind its session is. */
struct will {
    uint64_t        id;         /* C */
    uint64_t        session_id; /* C */
    uint32_t        delay_s;    /* C */
    struct message *message;    /* C */
    int64_t         due_us;     /* registry: 0 = its connection lives */
    bool            withdrawn;  /* registry: must not be published; only its record is still missing */
    struct will    *prev, *next;/* J */
};

/* Who gets messages of one topic, resolved once and shared by all who publish to it. Immutable. */
struct target {
    struct session *session; /* one reference */
    uint8_t         qos;
    bool            no_local, retain_as_published;
    bool            only_own; /* for what the session itself publishes: beside one with no_local, see route.c */
};
struct fanout {
    _Atomic uint32_t refs;
    uint64_t         generation;
    bool             to_partition;
    uint32_t         count, durable_count;
    uint32_t         readers;  /* of the targets: readers inside the node, who get every QoS */
    bool             single;   /* of one member of a share */
    uint32_t         share_count;
    struct share   **shares;   /* one reference each, behind the targets; each gives the message to one of its members */
    struct bytes     topic;    /* behind the targets */
    struct origin  **origins;  /* one for each target, behind the targets; NULL: none has one */
    struct target    targets[];
};

enum { PAUSE_CONNACK = 1, PAUSE_BUSY = 2 /* journal */, PAUSE_PENDING = 4 /* too many answers wait for the disk */,
       PAUSE_WITHHELD = 8 /* 3.x: an acknowledgement we cannot give */, PAUSE_KEPT = 16 /* its acknowledgements are kept */,
       PAUSE_OUTPUT = 32 /* it does not take our answers */, PAUSE_QUOTA = 64 /* 3.x: too many unfinished QoS 2 */, PAUSE_FEED = 128 /* see retained_feed.c */ };
enum client_state { CLIENT_NEW, CLIENT_CLAIMING, CLIENT_ACCEPTED /* CONNACK waits */, CLIENT_LIVE, CLIENT_ENDED };

struct client {
    struct shard   *shard;   /* C */
    struct conn    *conn;    /* NULL once on_close came */
    struct session *session; /* NULL before CONNECT and after the end */
    struct client  *prev, *next;
    struct connect_ask *ask; /* CONNECT while it is being worked on */
    struct principal *who;   /* one reference; NULL: has not signed in */
    struct auth_exchange *exchange; /* enhanced authentication that is under way, or NULL */
    struct verdicts *verdicts; /* what the rules said lately; NULL: they were not asked */
    struct retained_feed *feed; /* NULL: no retained message is owed for a new subscription */
    struct timer    timer;   /* CONNECT time-out, then keep-alive and L-OUT */
    int64_t         last_us; /* last packet from the peer */
    int64_t         doubted_us; /* last_us when its silence was first noticed; before CONNECT: when it came */
    int64_t         withheld_us; /* since when PAUSE_WITHHELD */
    uint64_t        send_next; /* queue index to send next */
    uint64_t        will_id; /* 0 = none */
    uint64_t        gathered;/* shard->commits when its last message was gathered */
    struct pidset   in_pids; /* unfinished inbound QoS 2, the connection's view */
    struct aliases *aliases; /* NULL until one is used */
    uint32_t        refs;    /* the connection, pending acknowledgements, operations */
    uint32_t        packet_bytes; /* C: limits as they were at CONNECT; a reload must not make a liar of what CONNACK said */
    uint32_t        receive_max;  /* likewise */
    uint16_t        alias_in_max; /* likewise */
    uint32_t        max_packet, window /* peer's receive maximum */, inflight_out, inflight_in;
    uint32_t        pending; /* acknowledgements waiting for the disk */
    uint32_t        withheld; /* of its messages in shard->withheld */
    uint16_t        keep_alive_s;
    uint16_t        alias_max; /* the peer's Topic Alias Maximum */
    uint8_t         version, state;
    uint8_t         paused;    /* why reading is stopped: PAUSE_ bits */
    uint8_t         refusing;  /* 3.x: a message was refused with this; later ones must not overtake it */
    bool            counted;   /* per address, see admit.h */
    bool            choked;    /* the output is above its mark: no feeding */
    bool            request_problem;
    bool            enhanced;  /* its CONNECT had an authentication method */
};

/* What a turn gathers for the journal, in the order it came. */
enum op_kind { OP_PUBLISH, OP_PUBACK, OP_PUBREC, OP_PUBREC_REFUSED, OP_PUBCOMP, OP_DROP /* sent nothing: expired, too large */,
               OP_PUBREL };
struct op {
    uint8_t         kind;
    uint8_t         result;    /* OP_PUBLISH: reason for the acknowledgement */
    bool            duplicate; /* OP_PUBLISH: QoS 2 identifier seen before, nothing to deliver */
    bool            forbidden; /* OP_PUBLISH: no right to its topic; as a duplicate it is acknowledged all the same */
    bool            again;     /* OP_PUBLISH: rescued, see share.h: it is not retained or kept a second time */
    uint16_t        pid;
    uint32_t        crc;
    uint64_t        seq;       /* out: the record its acknowledgement waits for, 0 = none */
    uint64_t        will_id;
    struct client  *client;    /* one reference; NULL for wills */
    struct message *message;   /* one reference */
    struct fanout  *fanout;    /* one reference */
    struct fanout **picks;     /* members of shares who get it without the journal; owned, one reference each */
    uint32_t        pick_count;
    struct consumer_batch *batch; /* published by a reader inside the node: see consumer.c; else NULL */
    struct consumer_word  *word;
};
/* An acknowledgement waiting for the journal, or for one before it that does. */
struct pending {
    uint64_t       seq;
    struct client *client; /* one reference */
    uint8_t        type, reason;
    uint16_t       pid;
    struct bytes   blob;   /* CONNACK, SUBACK: ready bytes, owned */
};
/* Something to send to a session of this shard. */
struct parcel {
    struct client  *client;  /* one reference */
    struct message *message; /* one reference, or NULL: read it from `stored`, or (with state RECEIVED) only PUBREL */
    struct stored  *stored;  /* one reference, or NULL */
    struct origin  *origin;  /* one reference, or NULL */
    uint64_t        index;
    uint16_t        pid;
    uint8_t         qos, state;
    bool            dup, retain, as_published, kept;
};
/* Messages for sessions of another shard, one letter per turn. */
struct outbox_item {
    struct message *message;
    struct fanout  *fanout;
    uint64_t        from;   /* publisher's session id */
};
/* A message on its way to so many that a turn is too short for all (L-FAN). */
struct fan_slice {
    struct message *message; /* one reference */
    struct fanout  *fanout;  /* one reference */
    uint64_t        from;
    uint32_t        next;    /* the target to go on with */
};
struct outbox {
    struct letter      letter;
    struct shard      *to;
    uint32_t           count, cap;
    uint64_t           bytes;
    struct outbox_item items[];
};

/* Test builds can break a promise on purpose, to show that the tests which judge it see it. */
#ifdef FG_TEST
enum broker_breakage { BREAK_NOTHING, BREAK_EARLY_ACK /* does not wait for the disk */, BREAK_FORGET_PID /* not in the log */ };
/* The n-th time from now that it could happen, it does, once; with n = 0 every time. For all brokers of the process. */
void broker_break(enum broker_breakage, unsigned n);
/* FIELDGATE_TEST_BREAK=early-ack or forget-pid: every time. */
void broker_break_by_name(const char *name);
bool broker_breaks(enum broker_breakage);
/* Who a CONNECT's user name stands for, one reference, before anybody else is asked; NULL: the others decide. */
extern struct principal *(*broker_test_principal)(struct bytes user);
#else
#define broker_break_by_name(name) ((void)0)
#define broker_breaks(what) false
#endif

#define VECTOR(type)                                                                                         \
    struct {                                                                                                 \
        type  *at;                                                                                           \
        size_t count, cap;                                                                                   \
    }
/* Room for one more; false when memory is out. */
#define VECTOR_ROOM(v) ((v).count < (v).cap || vector_grow((void **)&(v).at, &(v).cap, sizeof *(v).at))
bool vector_grow(void **at, size_t *cap, size_t size);

/* Somebody durable who is owed the message that is just being recorded. */
struct chosen {
    struct session *session;
    struct origin  *origin; /* borrowed from the fan-out, as is the session */
    struct fanout  *held;   /* one reference: the member of a share, or NULL */
    uint8_t         qos, flags;
};

struct counters { /* written by their shard only; read by anyone */
    _Atomic uint64_t received[3], sent[3], packets_in, answers, wire_in, expired, received_bytes, sent_bytes, stored, to_partitions, acknowledged;
    _Atomic uint64_t dropped_slow, dropped_queue, dropped_expired, dropped_too_large, dropped_no_subscriber,
        dropped_away, dropped_refused, refused_full, not_retained, protocol_errors, strangers_late, strangers_room, takeovers,
        wills_published, connects,
        refused_connects, withdrawn, abandoned_sessions, denied_publishes, denied_subscriptions, denied_deliveries, denied_wills;
};
#define COUNT(shard, what, n)                                                                                \
    atomic_store_explicit(&(shard)->counters.what,                                                           \
                          atomic_load_explicit(&(shard)->counters.what, memory_order_relaxed) + (n),         \
                          memory_order_relaxed)

struct shard {
    struct broker *broker;   /* C */
    struct loop   *loop;     /* C */
    int            number;   /* C */
    struct client *clients;  /* S, as all that follows unless marked */
    struct client *strangers, *oldest_stranger; /* those that have not sent CONNECT, newest first */
    struct retained_feed *feeds, *last_feed; /* those that can go on, in the order of their turns */
    uint32_t       feed_count;
    struct table   routes;   /* topic -> fanout */
    struct fanout *recent[ROUTES_RECENT]; /* some of them, by a cheap hash; see route_look */
    VECTOR(struct op) ops;
    uint64_t       commits;  /* how often `ops` was begun anew, from 1 */
    uint64_t       will_gathered; /* `commits` when a will came into `ops` */
    VECTOR(struct parcel) parcels;
    VECTOR(struct chosen) chosen; /* inside fold_publish */
    struct { struct pending *ring; size_t cap, head, tail; } pending;
    struct outbox *outbox[SHARDS_MAX];
    VECTOR(struct fan_slice) slices;      /* in their order; what comes later to this loop waits behind them */
    VECTOR(struct session *) waiting; /* sessions with QoS 2 entries that wait for the journal; one reference each */
    VECTOR(struct client *) halted;   /* not read from until the journal has caught up; one reference each */
    struct buf     scratch, meta, props;
    struct timer   second;
    struct session *dirty;            /* J */
    struct session *dirty_late;       /* J: those that a turn was too short for */
    struct budget_part budget;
    struct letter   wake;
    uint64_t        wake_mask;        /* shards to wake at the end of the commit */
    _Atomic bool    has_dirty;        /* `dirty` may not be empty */
    _Atomic bool    woken;            /* the wake letter is on its way */
    _Atomic bool    wants_durable;    /* acknowledgements or sessions wait */
    _Atomic uint64_t waiting_acks;
    _Atomic uint64_t signed_in;        /* clients with a session */
    struct counters counters;
    VECTOR(struct op) withheld;       /* of 3.x clients: refused for now, tried once a second, see retry_withheld */
    VECTOR(struct op) kept;           /* acknowledgements the journal had no room for; tried once a second */
    _Atomic uint64_t inbox_bytes;     /* any: payload on its way to this shard in letters */
    uint64_t         seen_durable;     /* see waiting_is_durable */
    bool            congested;        /* another shard is behind with our letters */
    struct access  *access;           /* one reference; NULL: there is no config.auth */
    struct letter   access_letter;
    _Atomic bool    access_told;      /* the letter is on its way */
    int64_t         valid_until_us;   /* wall clock: no client's credential ends before; 0 = look */
};

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
/* Registry held, J: clears the will, now or as soon as the log has room. *seq (may be NULL): the record, if there is one. */
void will_withdraw(struct broker *, struct will *, int64_t now, uint64_t *seq);

/* ---- fold.c, fold_write.c: durable state ---- */
enum { /* program records */
    BR_SESSION = RECORD_PROGRAM, BR_OPEN, BR_CONNECT, BR_DISCONNECT, BR_END, BR_SUBSCRIBE, BR_UNSUBSCRIBE, BR_ACKS,
    BR_ENQUEUE, BR_RETAINED, BR_WILL, BR_WILL_CLEAR, BR_IDS, BR_SESSION_MORE, BR_MOVE, BR_FINISH
};
enum { HOW_QOS = 3, HOW_RETAIN = 4, HOW_ORIGIN = 8, HOW_BITS = 4 };         /* inside a message's meta: session << 4 | how */
enum { FILTER_NO_LOCAL = 4, FILTER_AS_PUBLISHED = 8, FILTER_ID = 64 };      /* options as in SUBSCRIBE; an identifier follows */
enum { ACK_DONE = 0, ACK_RECEIVED = 1, ACK_RELEASE = 2, ACK_INBOUND = 3 };  /* inside BR_ACKS */
enum { RETAINED_OWNED = 4 };                                                /* beside the QoS inside BR_RETAINED: whose it is */
enum { META_INBOUND = 1, META_WILL = 2, META_NOT_RETAINED = 4, META_ORDINAL = 8 }; /* first varint of a message's meta */

enum { QUEUE_GAP_MAX = 1 << 20 }; /* indexes between two entries that are left: see HOLES_MAX and INDEX_SPAN */
enum { PART_FILTER = 1, PART_PID = 2, PART_ENTRY = 3, PART_TAIL = 4, PART_READER = 5 }; /* inside BR_SESSION */
/* Halves of the fold that live changes, replay and rounds share. */
void      fold_push(struct broker *, struct session *, struct stored *, struct origin *, uint64_t seq, uint8_t qos,
                    uint8_t flags);
enum code fold_apply_acks(struct broker *, struct session *, struct wire *);
void      fold_done(struct broker *, struct session *, uint64_t index);
void      fold_put_filter(struct buf *, struct bytes filter, const struct subscription *);
void      fold_put_where(struct buf *, const struct stored *);
/* Who is charged with a retained message (L-RETAIN), or BYTES_NONE. */
struct bytes fold_retained_owner(const struct message *);
void      fold_put_will(struct buf *, const struct will *);
void      will_link(struct broker *, struct will *);
/* Locked (J). Each appends its record and applies it; nothing happens on failure. *seq (may be NULL): the record. */
enum code fold_open(struct broker *, struct session *, uint64_t *seq, struct fault *why);
enum code fold_connect(struct broker *, struct session *, uint32_t expiry_s, uint64_t *seq, struct fault *why);
enum code fold_disconnect(struct broker *, struct session *, uint64_t sent_upto, struct fault *why);
enum code fold_end(struct broker *, struct session *, struct fault *why);
enum code fold_subscribe(struct broker *, struct session *, const struct mqtt_filter *, uint32_t id, uint64_t *seq,
                         struct fault *why);
enum code fold_unsubscribe(struct broker *, struct session *, const struct mqtt_filter *, uint64_t *seq, struct fault *why);
enum code fold_will(struct broker *, struct will *, uint64_t *seq, struct fault *why);
enum code fold_will_clear(struct broker *, uint64_t will_id, uint64_t *seq, struct fault *why);
/* n stored retained messages for a new subscription. */
struct owed { struct stored *stored; uint8_t qos; };
enum code fold_enqueue(struct broker *, struct session *, const struct owed *, size_t n, struct origin *, uint64_t *seq,
                       struct fault *why);
/* Entries that go from one session's queue to those of others: as one record. */
struct fold_move { uint64_t index; struct fanout *to; };
enum code fold_move(struct broker *, struct session *from, const struct fold_move *, size_t n, struct fault *why);
/* A reader inside the node is done with everything below `index`. */
enum code fold_finish(struct broker *, struct session *, uint64_t index, struct bytes note, uint64_t *seq, struct fault *why);
void      fold_done_below(struct broker *, struct session *, uint64_t index);
struct note *note_new(struct bytes text); /* NULL: no memory */
/* Acknowledgements are gathered into b->shards' meta buffers: fold_acks appends the gathered list. `list` holds
 * (kind, value) varints. `later`: nobody waits for it to be durable (journal.h). */
enum code fold_acks(struct broker *, struct session *, struct bytes list, bool later, uint64_t *seq, struct fault *why);
/* What a publish does to the durable state. */
struct fold_publish {
    struct shard         *shard;
    struct session       *from;       /* or NULL */
    uint16_t              inbound_pid;/* QoS 2 of a durable session, else 0 */
    uint64_t              will_id;
    struct session       *producer;   /* a reader inside the node published it, as its `ordinal`; or NULL */
    uint64_t              ordinal;
    const struct message *message;
    const struct fanout  *fanout;
    uint32_t              crc;
    bool                  duplicate;  /* the identifier was seen before: nothing to do but acknowledge */
    bool                  v5;         /* the publisher can be told why; else the best is done without */
    bool                  again;
    /* out */
    struct fanout       **picks;      /* see struct op; NULL on failure */
    uint32_t              pick_count;
    uint64_t              seq;        /* 0: nothing needed the journal */
    uint8_t               refused;    /* reason, when a queue or a limit said no (nothing has happened) */
    uint32_t              dropped;    /* sessions not owed the message because their queue is full */
};
enum code fold_publish(struct broker *, struct fold_publish *, struct fault *why);
struct will *will_by_id(struct broker *, uint64_t id); /* J */
void will_unlink(struct broker *, struct will *);      /* J; frees */

/* ---- retained.c is retained.h ---- */

/* ---- route.c ---- */
/* One reference, or NULL when memory is out. */
struct fanout *route_find(struct shard *, struct bytes topic);
/* The same, borrowed until the next call of either. */
const struct fanout *route_look(struct shard *, struct bytes topic);
void           route_saw_topic(struct bytes topic); /* a name or a filter, for the limits' use */
struct fanout *fanout_hold(struct fanout *);
/* One member of a share; a whole share. One reference, or NULL when memory is out. */
struct fanout *fanout_single(struct session *, const struct subscription *, struct origin *origin);
struct fanout *fanout_group(struct share *);
/* Takes the picks' references and memory. Delivered: to that member; otherwise they are forgotten. */
void           route_deliver_picks(struct shard *, struct message *, struct fanout **picks, uint32_t n);
void           route_forget_picks(const struct message *, struct fanout **picks, uint32_t n);
/* It was chosen: it counts until it gets there. */
void           route_count_pick(const struct message *, struct fanout *pick);
static inline struct origin *fanout_origin(const struct fanout *f, uint32_t i)
{
    return f->origins ? f->origins[i] : NULL;
}
/* Is the target meant by a message that the session with this number published? */
static inline bool target_meant(const struct target *t, uint64_t from)
{
    return t->session->id == from ? !t->no_local : !t->only_own;
}
void           fanout_drop(struct fanout *);
void           route_clear(struct shard *);
/* To the sessions that need no journal: QoS 0, and sessions that end with their connection. */
void route_deliver(struct shard *, struct message *, struct fanout *, uint64_t from);
void route_deliver_here(struct shard *, struct message *, struct fanout *, uint64_t from);
/* Goes on with what was too much for one turn. */
void route_slices(struct shard *);

/* ---- pass.c ---- */
/* False: it has to go the long way. */
bool pass_publish(struct client *, const struct mqtt_frame *, const struct mqtt_publish *);

/* ---- shard.c: the turn ---- */
void shard_init(struct broker *, int number, struct loop *);
void shard_turn(void *shard);
void shard_wake(struct shard *);                         /* any thread */
void shard_wake_others(struct shard *);                  /* those for whom this turn has made sessions dirty */
void shard_mark_dirty(struct shard *from, struct session *); /* J */
void shard_mark_dirty_later(struct broker *, struct session *); /* J; its loop is woken by share_settle */
void shard_mark_wake(struct broker *, unsigned shard);          /* J; likewise */
void shard_clear(struct shard *);

/* ---- commit.c ---- */
/* Commits what is gathered so far: before anything that must come after it in the log. */
void shard_commit(struct shard *);
bool shard_push_op(struct shard *, const struct op *);   /* takes the references; false: memory is out, nothing taken */
void commit_clear(struct shard *);

/* ---- acks.c ---- */
/* The acknowledgement leaves when the journal has `seq` (0: at once unless others wait before it). blob is copied. */
void shard_ack(struct shard *, struct client *, uint64_t seq, uint8_t type, uint16_t pid, uint8_t reason, struct bytes blob);
bool acks_release(struct shard *); /* those the journal has reached; false: none */
void acks_give_up(struct shard *); /* when the journal has failed: ends those who wait */
void acks_clear(struct shard *);

/* ---- retry.c ---- */
void retry_keep(struct shard *, const struct op *);     /* the peer's acknowledgement; takes the client's reference */
void retry_withhold(struct shard *, const struct op *); /* the acknowledgement of a 3.x client's message */
void retry_second(struct shard *);
void retry_clear(struct shard *);

/* ---- will.c ---- */
/* Publishes a will outside a client's flow, if it is still there. No lock held. */
void shard_publish_will(struct shard *, uint64_t will_id);
/* Several, in the order in which they were made: of two of one client the later one must not overtake. Sorts `ids`. */
void shard_publish_wills(struct shard *, uint64_t *ids, size_t n);

/* ---- consumer.c ---- */
void consumer_came(struct session *); /* J: something was put into its queue */
void consumer_went(struct session *); /* J: something is done with; afterwards, unlocked: share_settle */
bool consumer_full(const struct session *, size_t bytes); /* J */
void consumers_tell(struct broker *); /* not locked: those for whom something came */
/* Of an operation with a batch. */
void            consumer_word_done(const struct op *);
uint8_t         consumer_word_refused(const struct op *); /* one before it was: the reason, or 0 */
void            consumer_word_refuse(const struct op *, uint8_t reason);
struct session *consumer_word_from(const struct op *, uint64_t *ordinal);

/* ---- deliver.c ---- */
/* Locked (J) for durable sessions: what can be sent now becomes parcels. */
void deliver_gather(struct shard *, struct session *);
void deliver_parcels(struct shard *);
/* A session that lives on this shard and is not durable: queue and send. */
void deliver_volatile(struct shard *, struct session *, struct message *, struct origin *, uint8_t qos, bool retain);
/* QoS 0. */
void deliver_now(struct shard *, struct client *, struct message *, const struct origin *, bool retain);
/* Does its peer take so little that its queue has to wait until half of what is unsent is gone (L-MEM)? on_drained comes then. */
bool deliver_must_wait(const struct shard *, struct client *);
/* Does its peer take so little that it gets no more QoS 0 (L-OUT, L-MEM)? */
bool deliver_swamped(const struct shard *, const struct client *);
void deliver_resume(struct shard *, struct client *); /* after CONNACK, drained output, journal progress */

/* The topic to send and the properties to send with it, for a PUBLISH that is made elsewhere; it must be sent. */
struct bytes deliver_alias(struct shard *, struct client *, struct bytes topic, struct bytes *own);

/* How many retained messages of up to this QoS it may be given now; 0: none before feed_go. */
size_t deliver_room(struct client *, uint8_t qos);
/* One of those: L-OUT and L-QUEUE are not asked again. */
void deliver_retained(struct shard *, struct client *, struct message *, struct origin *, uint8_t qos);

/* ---- retained_feed.c ---- */
/* The retained messages that this new subscription wants, bit by bit. False: memory is out, end the client. */
bool feed_add(struct client *, struct bytes filter, uint8_t qos, uint32_t id);
/* SUBACK, when what a durable session is owed for the filters added so far is in its queue and on disk: so for all other
 * sessions at once. `seq` as for shard_ack. blob is copied. False: memory is out. */
bool feed_suback(struct client *, uint64_t seq, uint16_t pid, struct bytes blob);
void feed_remove(struct client *, struct bytes filter); /* UNSUBSCRIBE */
void feed_go(struct client *);                          /* there may be room again: it goes on in this or the next turn */
void feed_end(struct client *);                         /* harmless when there is none; takes the journal's lock */
void feed_turn(struct shard *);                         /* before the commit, which takes along what became deliverable */

/* ---- client.c ---- */
extern const struct conn_events client_events;
struct client *client_new(struct shard *, const struct net_peer *);
void client_adopt(struct shard *, struct conn *); /* an open connection of this shard's loop; takes it over */
static inline struct client *client_hold(struct client *c)
{
    c->refs++;
    return c;
}
void client_drop(struct client *);
/* CONNECT was understood: it is a stranger no longer. */
void client_known(struct client *, enum client_state);
/* Ends the connection and, at once, its hold on the session. reason 0: without a packet. `why` is logged and, for v5,
 * sent. publish_will: false only after a normal DISCONNECT. */
void client_end(struct client *, uint8_t reason, const struct fault *why, bool publish_will);
void client_pause(struct client *, uint8_t why);
void client_resume(struct client *, uint8_t why);
void client_arm(struct client *); /* starts the timer for its state */
bool client_alive(const struct client *);
const char *client_name(const struct client *, char *out, size_t cap); /* escaped, for logs */

/* ---- client_access.c: who may ---- */
/* May it publish to this topic, get a message of it, read a retained one? Without rules this costs a branch. */
bool client_may(struct client *, enum right, struct bytes topic);
bool client_may_subscribe(const struct client *, struct bytes filter);
/* The message was there before the subscription: may the client read it, and might its writer still write it (CVE-2018-12546)? */
bool client_may_read(struct client *, const struct message *);
bool access_may_get(const struct access *, const struct session *, struct bytes topic); /* a session that may be away */
bool access_may_will(const struct shard *, struct bytes principal, struct bytes client_id, struct bytes topic);
void verdicts_free(struct verdicts *);
void access_take(struct shard *);   /* the users and rules that hold now */
void access_second(struct shard *); /* ends those whose credential has run out */
void access_clear(struct shard *);

/* ---- client_*.c: packets ---- */
void handle_connect(struct client *, struct bytes body);
void connect_go_on(struct client *); /* after the former owner let go */
void connect_ask_free(struct connect_ask *);
uint32_t connect_max_packet(const struct client *); /* of the CONNECT that is being worked on; 0: no limit */
/* Its time-out is the moment to refuse it (banned, 3.x): after how long. 0: it is not. */
int64_t connect_late_us(const struct client *);
void    connect_refuse_now(struct client *);
/* CONNACK with this reason, and the end: before there is a session. */
void connect_refuse(struct client *, uint8_t reason, const char *because);
/* Takes the answer's reference. `data` goes into the CONNACK. */
void connect_authenticated(struct client *, const struct auth_answer *, struct bytes data);
/* client_auth.c: CONNECT with an authentication method; AUTH while it is decided and afterwards. */
void auth_connect(struct client *, struct bytes method, struct bytes data);
void handle_auth(struct client *, struct bytes body);
void handle_publish(struct client *, const struct mqtt_frame *);
bool publish_over_quota(const struct client *, uint8_t first, struct bytes body);
void handle_ack(struct client *, uint8_t type, uint8_t first, struct bytes body);
void handle_subscribe(struct client *, struct bytes body);
void handle_unsubscribe(struct client *, struct bytes body);
void handle_disconnect(struct client *, struct bytes body);
/* The kick: closes the present owner of a session on its own shard. */
void connect_kicked(struct client *old);
/* Takes the client off its session: records, will, expiry. */
void session_detach(struct client *, bool publish_will);
