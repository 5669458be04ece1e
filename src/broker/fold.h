/* fold.h - the durable state: each change is a record, and live change, replay and rounds of state are the same code
 * (fold.c, fold_replay.c, fold_write.c). J and the locks: private.h.
 */
#pragma once

#include "broker/session.h"
#include "broker/will.h"
#include "journal/journal.h"

struct fanout;
struct mqtt_filter;
struct shard;

enum { /* program records */
    BR_SESSION = RECORD_PROGRAM, BR_OPEN, BR_CONNECT, BR_DISCONNECT, BR_END, BR_SUBSCRIBE, BR_UNSUBSCRIBE, BR_ACKS,
    BR_ENQUEUE, BR_RETAINED, BR_WILL, BR_WILL_CLEAR, BR_IDS, BR_SESSION_MORE, BR_MOVE, BR_FINISH,
    BR_RETAINED_OVER
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
/* Acknowledgements are gathered into b->shards' meta buffers: fold_acks appends the gathered list. `list` holds
 * (kind, value) varints. `later`: nobody waits for it to be durable (journal.h). */
enum code fold_acks(struct broker *, struct session *, struct bytes list, bool later, uint64_t *seq, struct fault *why);
/* The retained message of this topic has expired: it is there no longer. Nobody waits for the record. */
enum code fold_retained_over(struct broker *, struct bytes topic, struct fault *why);
/* An entry that was never sent is owed no longer. Not while there are too many holes. */
enum code fold_drop(struct broker *, struct session *, uint64_t index, bool later);
bool      fold_has_holes(const struct session *);
bool      fold_is_crowded(const struct broker *, const struct session *, unsigned quarters); /* so many of L-QUEUE, or more */
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
