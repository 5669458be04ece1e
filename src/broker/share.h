/* share.h - shared subscriptions, "$share/GROUP/FILTER" (4.8.2): of those who hold the same one, each message goes to one.
 *
 *   share ──► members: [ connected ... | away ... ]      a node of the subscription tree and fan-outs hold it
 *
 * Who gets a message is decided when it is recorded, under the journal's lock, so that the log says who is owed it. With
 * QoS 1 and 2 first those whose session is durable, since what was acknowledged must outlast a crash: a connected one with
 * room (its window is open and it takes what is sent), of several the one with the shortest backlog, in turn among equals; a
 * connected one without room; one that is away. Only when there is none, or their queues are full, a connected one whose
 * session ends with its connection. With QoS 0 any connected one. Of those who can have it a few are looked at, however
 * many there are.
 *
 * What was not sent yet is given to others when a member unsubscribes, when its session ends (then also what was sent with
 * QoS 1 and not acknowledged) and, to connected durable members, when its connection ends. From a durable session to a
 * durable one that is one record (BR_MOVE). Otherwise it is published again to the group alone ("rescued").
 * QoS 2 that was sent once goes to nobody else [MQTT-4.8.2-5].
 *
 * Locks: a session's list of members and the group's existence belong to the tree's lock, the group's members to its own,
 * which is taken last and for a few steps only.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

#include <stdint.h>

struct broker;
struct fanout;
struct limits;
struct message;
struct origin;
struct rescued;
struct session;
struct shard;
struct share;
struct subscription;

/* NULL: no memory. One reference. */
struct share *share_new(struct bytes filter);
struct share *share_hold(struct share *);
void          share_drop(struct share *);
struct bytes  share_filter(const struct share *);

/* Tree lock held for writing. */
FG_CHECK enum code share_join(struct share *, const struct subscription *, bool *replaced);
bool               share_leave(struct share *, const struct session *, bool *empty); /* false: it was no member */
/* Tree lock held for reading: the session's connection came or went. */
void share_present(struct session *, bool here);

struct share_wish {
    const struct limits  *limits;
    const struct session *except;  /* or NULL */
    const struct access  *access;  /* who may not get the topic is passed over; NULL: everybody may */
    struct bytes          topic;
    size_t                bytes;
    uint8_t               qos;     /* above 0: the journal's lock is held */
    bool                  durable; /* only a member whose session is durable will do */
    bool                  connected;
    bool                  refuse;  /* rather one whose queue is full than one who forgets */
};
/* The member's own fan-out, which has one target; one reference. NULL: nobody. Its queue may be full when all are. */
struct fanout *share_choose(struct share *, const struct share_wish *);

enum share_why { SHARE_UNSUBSCRIBED, SHARE_AWAY, SHARE_ENDS };
/* Tree and journal locked. Gives what can be given to others; for SHARE_UNSUBSCRIBED only what is of `filter`. Afterwards,
 * unlocked: share_settle. */
void share_give_away(struct broker *, struct session *, enum share_why, struct bytes filter);
void share_settle(struct broker *);
/* Both locked: the session could not be ended, and what was rescued from it since `last` was the last one (NULL: ever) is not. */
void share_take_back(struct broker *, struct rescued *last);
/* A message that was chosen for somebody who is gone; any thread, journal not locked. */
void share_rescue(struct broker *, struct message *, struct origin *);
/* On shard 0: what was rescued is published again. */
void share_turn(struct shard *);
void share_clear(struct broker *); /* no loop runs any more */
