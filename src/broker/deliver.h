/* deliver.h - from a session's queue to its connection, and retained messages to a new subscription. J and the locks:
 * private.h.
 */
#pragma once

#include "broker/client.h"

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

/* ---- queue_sweep.c ---- */

void queue_crowded(struct broker *, struct session *); /* locked (J): its queue is nearly full */
void queue_second(struct shard *);                     /* drops what has expired in those queues */

/* ---- retained_sweep.c ---- */

void retained_second(struct shard *); /* discards what has expired */

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
