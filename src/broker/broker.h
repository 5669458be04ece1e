/* broker.h - routes MQTT publishes to the sessions that asked for them, and to the hub's partitions.
 *
 * Order of life:  broker_new - journal_open (with broker_apply, broker_write_state, broker_on_durable and the broker as
 *                 ctx) - broker_start - broker_accept ... - broker_stop - loops run out - broker_halt - journal_close -
 *                 broker_free.
 * Thread:   broker_accept, broker_adopt and broker_stats from any thread, the three journal functions where journal.h says, the rest
 *           from the thread that owns the node while no loop runs.
 *
 * Acknowledgements (SUBACK, PUBACK, PUBREC, PUBCOMP, CONNACK) that something durable hangs on leave after the journal has
 * it; the others at once.
 */
#pragma once

#include "base/limits.h"
#include "identity/auth.h"
#include "journal/journal.h"
#include "net/loop.h"

struct broker;

struct broker_config {
    struct limits        limits;
    const struct io     *io;           /* clock and random                                           */
    struct loop *const  *loops;        /* borrowed, one shard each                                   */
    unsigned             loop_count;
    const char *const   *hub_topics;   /* filters whose messages also go to a partition; borrowed    */
    unsigned             hub_topic_count;
    const char          *version;
    bool                 close_denied; /* a 3.x client whose message no rule allows is closed, instead of acknowledged */
    uint32_t             sys_interval_s;  /* 0: no $SYS                                              */
    const char          *response_topics; /* what CONNACK's response information begins with; NULL or "": none */
    struct auth         *auth;         /* borrowed. NULL: everybody is let in as anonymous and may do everything */
};

FG_CHECK enum code broker_new(struct broker **out, const struct broker_config *, struct fault *why);
enum code broker_apply(void *broker, struct journal *, const struct record *, struct fault *why);
enum code broker_write_state(void *broker, struct journal *, bool restart);
void      broker_on_durable(void *broker, uint64_t durable);
/* After replay: ends what the stop interrupted (wills are published, sessions that do not outlive a connection end). */
FG_CHECK enum code broker_start(struct broker *, struct journal *, struct fault *why);
/* Limits and hub topics while the node runs. broker_change makes them hold, for all loops and at once, and gives back those
 * from before: free them when every loop has had a turn since. What CONNACK told a client goes on to hold for it. */
struct broker_rules;
FG_CHECK enum code   broker_rules_new(struct broker_rules **out, const struct limits *, const char *const *hub_topics,
                                      unsigned hub_topic_count, struct fault *why);
struct broker_rules *broker_change(struct broker *, struct broker_rules *); /* any one thread */
void                 broker_rules_free(struct broker_rules *);              /* NULL is fine */

/* Gives an accepted connection to a shard. Takes the peer over. */
void broker_accept(struct broker *, const struct net_peer *);
/* Gives a shard a connection that is open already, on whatever loop, and has no other owner (a WebSocket after its
 * handshake). Takes it over. On that loop's thread. */
void broker_adopt(struct broker *, struct conn *);
/* Any thread, after auth_commit: every shard takes the new users and rules, and ends who is no longer let in (0x87).
 * After auth_change_doors too. */
void broker_access_changed(struct broker *);
/* Any thread: is so little of limits.memory-bytes left (budget.h) that new clients are refused and publishers wait? */
bool broker_over_memory(const struct broker *);
/* Any thread: refuses new connections, tells the clients 0x8B and closes them. Returns at once. */
void broker_stop(struct broker *);
/* When no loop runs any more. Writes what the shards still had gathered. */
void broker_halt(struct broker *);
void broker_free(struct broker *);

struct broker_stats {
    uint64_t clients, clients_max, half_open, connects, refused_connects;
    uint64_t sessions, subscriptions, retained, retained_bytes;
    uint64_t received[3], sent[3];        /* PUBLISH packets by QoS                           */
    uint64_t received_bytes, sent_bytes;  /* payload                                          */
    uint64_t packets_in, packets_out;     /* of every type                                    */
    uint64_t wire_in, wire_out;           /* bytes                                            */
    uint64_t shared_subscriptions;        /* among the subscriptions                          */
    uint64_t expired;                     /* sessions whose time was over                     */
    uint64_t stored;                      /* messages written to the journal                  */
    uint64_t to_partitions;
    uint64_t acknowledged;                /* PUBACK and PUBREC with success                   */
    uint64_t waiting_acks;                /* acknowledgements waiting for the disk, now       */
    uint64_t dropped_slow;                /* QoS 0, connection over L-OUT                     */
    uint64_t dropped_queue;               /* QoS 1, 2: session's queue full (L-QUEUE)         */
    uint64_t dropped_expired, dropped_too_large, dropped_no_subscriber, dropped_away /* QoS 0, client not connected */;
    uint64_t dropped_refused;             /* QoS 0 for a partition while the disk is full     */
    uint64_t refused_full, not_retained;                /* PUBACK 0x97 and the like                         */
    uint64_t retained_expired;                          /* retained messages whose time was over            */
    uint64_t auth_checked, auth_remembered, auth_failed, auth_banned, auth_busy; /* see auth_stats */
    uint64_t denied_publishes, denied_subscriptions, denied_deliveries, denied_wills; /* by access rules */
    uint64_t withdrawn;                   /* connections ended because their user was, or his password changed */
    uint64_t abandoned_sessions;          /* of nobody, ended because a user signed in with their client identifier */
    uint64_t protocol_errors, takeovers, wills_published, queued_messages, queued_bytes;
    uint64_t strangers_late, strangers_room; /* closed before CONNECT was accepted: L-CONNECT, L-HALF */
};
void broker_stats(struct broker *, struct broker_stats *);
