/* turn.h - what one loop has, and what it does with what a turn has gathered: shard.c, commit.c, acks.c, retry.c. J, S, C and
 * the locks: private.h.
 */
#pragma once

#include "base/table.h"
#include "broker/budget.h"
#include "broker/client.h"
#include "broker/route.h"
#include "broker/vector.h"

enum { SHARDS_MAX = 64, SCRATCH_BYTES = 4096, INBOX_LOW = 4 << 20, INBOX_HIGH = 16 << 20, INBOX_MAX = 64 << 20,
       ROUTES_RECENT = 64 };

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
        dropped_away, dropped_refused, refused_full, not_retained, retained_expired, protocol_errors, strangers_late, strangers_room, takeovers,
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

/* L-MEM: so much has been written in this turn that the rest has to wait for the next; what the peers take is gone by then. */
static inline bool budget_turn_full(const struct shard *shard)
{
    const struct budget_part *p = &shard->budget;
    return loop_written(shard->loop) + p->lent + p->gathered > p->turn_max;
}

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
