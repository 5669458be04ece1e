/* route.h - who gets a topic, and the ways there: on this loop at once or in slices, to the others by letter. J, S, C and the
 * locks: private.h.
 */
#pragma once

#include "broker/session.h"
#include "message/message.h"
#include "net/loop.h"

struct mqtt_frame;
struct mqtt_publish;
struct share;

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
struct fanout *fanout_partition(void); /* nobody, but a partition */
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
