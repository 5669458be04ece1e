/* subscription.h - what the files of the subscription services share. Not for others.
 *
 *   subscription.c   their life: create, modify, delete, the cycle            publish.c   Publish, Republish, acknowledgements
 *   transfer.c       sessions come and go, TransferSubscriptions              message.c   notification messages
 *   item.c           monitored items: create, modify, delete                  trigger.c   modes and links between items
 *   queue.c          an item's queue and what gets into it                    sample.c    looking at values from time to time
 *   filter.c         data change filters                                      event*.c    events and their filters
 *
 *   ua_set_value ──► changed ──┐
 *   sampler's timer ── sample ─┴► offer: filter ──► the item's queue ──► ready ──► cycle's timer ──► message ──► parked request
 *
 * A message is made in memory of its own, which the retransmission queue keeps until it is acknowledged; the answer is a copy
 * of it. So nothing is lost when an answer cannot be sent: it can be asked for again (Republish).
 */
#pragma once

#include "uaserver/serve.h"

enum {
    UAS_SELECT_MAX = 128,             /* clauses of an event filter */
    UAS_RETAINED_BYTES = 4 << 20,     /* of one subscription's retransmission queue */
    UAS_RETAINED_ALL = 64 << 20,      /* of all of a server: with more a message is sent and not kept */
    UAS_MESSAGE_BYTES = 1 << 20,      /* of one message, but for a single value that has more */
    UAS_SLOTS_MAX = 262144,           /* values queued by all items of a server (12 MiB); each has one of its own besides */
    UAS_QUEUED_BYTES = 64 << 20,      /* of large values in all queues; an item keeps one in any case */
    UAS_TICK_MS = 10                  /* what timers can tell apart */
};

struct uas_subscription;
struct uas_event_filter; /* event.c */

/* ---- items ---- */
struct uas_sampler {
    struct uas_sampler *next;
    struct ua_server   *server;
    struct uas_item    *items; /* by next_sampled */
    struct timer        timer; /* not of those that a subscription's cycle works off */
    double              interval_ms;
    int64_t             due_us;
};

struct uas_item {
    struct ua_watcher watch; /* first: what the space tells is told to this */
    struct uas_subscription *sub;
    struct uas_item *next_ready, **ready_link;
    struct uas_sampler *sampler; /* NULL: fed, or not looked at */
    struct uas_item *next_sampled, **sampled_link;
    uint32_t id, handle;
    uint32_t attribute;
    uint8_t  mode;     /* enum ua_monitoring_mode */
    uint8_t  times;    /* enum ua_timestamps */
    uint8_t  trigger, deadband;
    bool     discard_oldest, ready, known;
    bool     doomed;   /* being deleted */
    bool     noticed;  /* of events: an EventQueueOverflowEventType stands in the queue, beyond its size */
    bool     due;      /* a triggered item of mode Sampling: what is queued goes out */
    uint32_t changes;  /* of the variable, when it was looked at last */
    double   deadband_value; /* in the value's unit */
    double   sampling_ms;    /* revised; 0: fed */
    uint32_t queue_size, room, head, count;
    struct ua_value *ring; /* NULL: room is 1, `one` */
    struct ua_value  one;
    struct ua_value  last; /* the one that got into the queue last, if `known` */
    struct ua_index_range *range; /* NULL: all of it */
    uint32_t *links, link_count;  /* items that this one triggers */
    struct uas_event_filter *events; /* NULL: data */
};

static inline struct ua_value *uas_queued(struct uas_item *i, uint32_t k)
{
    uint32_t at = i->head + k;
    return i->ring ? &i->ring[at < i->room ? at : at - i->room] : &i->one;
}

/* ---- subscriptions ---- */
struct uas_message {
    uint32_t sequence;
    uint32_t len;
    uint8_t  at[]; /* a NotificationMessage */
};
struct uas_ready { /* first in, first out */
    struct uas_item *first, **end;
};

struct uas_subscription {
    struct uas_subscription *next, *prev;   /* of the server */
    struct uas_subscription *next_of_session;
    struct ua_server   *server;
    struct uas_session *session;            /* NULL: it has outlived it */
    struct ua_server_user user;             /* whose it is while there is no session: uas_user_of */
    uint64_t application;                   /* the same of its client: hash of its certificate's URI, 0: none */
    uint32_t id;
    uint8_t  priority;
    bool     enabled;
    bool     sent;      /* something was, since it was made */
    bool     late;      /* it has something to say and nobody listens */
    bool     rest;      /* a message was cut: go on without waiting for the cycle */
    double   interval_ms;
    uint32_t lifetime, keep_alive, most;    /* most: notifications of one message, 0: any number */
    uint32_t alone, quiet;                  /* cycles without a client's word, cycles without a message */
    uint32_t sequence;                      /* of the next message */
    int64_t  due_us, late_us, orphan_us;
    struct timer timer;
    struct uas_item **items;                /* by rising id */
    uint32_t item_count, item_room, last_item;
    struct uas_ready data, events;          /* items with something to report */
    struct uas_sampler cycle;               /* items that are looked at at each cycle */
    struct uas_message **retained;          /* oldest first */
    uint32_t retained_count, retained_max;
    size_t   retained_bytes;
};

/* A Publish request that waits. */
struct uas_parked {
    struct uas_ticket ticket;
    uint32_t   result_count;
    ua_status *results; /* of its acknowledgements; NULL: all of them, if any, are good */
};
/* What a session is told about a subscription that it has no more. */
struct uas_farewell {
    uint32_t  subscription, sequence;
    ua_status status;
};
enum { UAS_FAREWELLS = 32 }; /* kept for a session that does not ask; the oldest go */

struct uas_subscriber { /* uas_session.subs */
    struct uas_subscription *subscriptions; /* by next_of_session, in the order they came */
    uint32_t count;
    struct uas_parked *parked; /* ring of limits.publish_requests */
    uint32_t parked_head, parked_count;
    struct uas_farewell farewells[UAS_FAREWELLS];
    uint32_t farewell_count;
};
struct uas_subscriptions { /* ua_server.subs */
    struct uas_subscription *all;
    struct uas_sampler *samplers;
    struct uas_sampler  listeners; /* items that wait for events; it has no timer */
    uint32_t last_id, items, orphans, slots;
    uint64_t retained_bytes, queued_bytes;
    uint64_t last_event;
};

/* NULL: no memory. */
struct uas_subscriptions *uas_subscriptions_of(struct ua_server *);
struct uas_subscriber    *uas_subscriber_of(struct uas_session *);

/* ---- subscription.c ---- */
/* Of this session; NULL: it has none of that number. */
struct uas_subscription *uas_subscription_of(struct uas_session *, uint32_t id);
/* For whom it looks at nodes. */
static inline const struct ua_server_user *uas_user_of(const struct uas_subscription *s)
{
    return s->session ? &s->session->user : &s->user;
}
/* The client has said something about it. */
void uas_touch(struct uas_subscription *);
/* Leaves its session's list. */
void uas_leave(struct uas_subscription *);
void uas_join(struct uas_subscription *, struct uas_session *);
void uas_subscription_free(struct uas_subscription *);
static inline bool uas_has_news(const struct uas_subscription *s)
{
    return s->enabled && (s->data.first || s->events.first);
}

/* ---- publish.c ---- */
/* Gives what is late to the requests that wait. */
void uas_serve_late(struct uas_session *);
/* One message or keep-alive; false: no request waits, or the client does not take more. */
bool uas_send_news(struct uas_subscription *);
bool uas_send_keep_alive(struct uas_subscription *);
/* The session is told when it asks next. */
void uas_farewell(struct uas_session *, uint32_t subscription, uint32_t sequence, ua_status);
/* Answers all requests that wait. 0: they are void, nobody is told. */
void uas_answer_parked(struct uas_session *, ua_status);
uint32_t uas_cancel_parked(struct uas_session *, uint32_t request_handle);

/* ---- message.c ---- */
/* Takes what fits into `body` bytes out of the queues. NULL: no memory, nothing was taken. `count`: notifications in it. */
struct uas_message *uas_message_make(struct uas_subscription *, uint64_t body, uint32_t *count);
/* False: it is not kept, the caller frees it when it is sent. */
FG_CHECK bool uas_retain(struct uas_subscription *, struct uas_message *);
void uas_forget_all(struct uas_subscription *);
struct uas_message *uas_retained(const struct uas_subscription *, uint32_t sequence);
/* False: it is not there. */
bool uas_acknowledge(struct uas_subscription *, uint32_t sequence);
void uas_sequence_next(struct uas_subscription *);

/* ---- queue.c ---- */
/* A value was seen: it gets into the queue if the filter lets it. */
void uas_offer(struct uas_item *, const struct ua_value *);
/* Past the filter. */
void uas_enqueue(struct uas_item *, const struct ua_value *);
/* Fewer, if there are more than the queue may have now. */
void uas_queue_resize(struct uas_item *, uint32_t size);
void uas_queue_clear(struct uas_item *);
/* The first one goes out of the queue; drop it. */
struct ua_value uas_queue_take(struct uas_item *);
/* In its place. */
void uas_queue_first(struct uas_item *, const struct ua_value *);
void uas_make_ready(struct uas_item *);
void uas_not_ready(struct uas_item *);
/* What the item looks at now, as a value. Drop it. */
void uas_look(struct uas_item *, struct ua_value *out);

/* ---- sample.c ---- */
/* Starts watching it, by its sampling interval and mode; false: no memory. */
FG_CHECK bool uas_watch_start(struct uas_item *);
void uas_watch_stop(struct uas_item *);
void uas_sample_all(struct uas_sampler *);
/* What the server makes of the interval a client asks for. */
double uas_revise_sampling(const struct uas_subscription *, const struct ua_node *, uint32_t attribute, double asked);

/* ---- filter.c ---- */
struct uas_data_filter {
    uint8_t trigger, deadband;
    double  value;
};
ua_status uas_data_filter_read(struct uas_request *, struct ua_node *, uint32_t attribute, const struct ua_extension_object *,
                               struct uas_data_filter *out);
/* Whether it differs enough from the last one. */
bool uas_passes(const struct uas_item *, const struct ua_value *);

/* ---- event.c ---- */
/* `result`: an EventFilterResult in the request's arena when a clause is wrong. */
ua_status uas_event_filter_read(struct uas_request *, const struct ua_extension_object *, struct uas_event_filter **out,
                                struct ua_extension_object *result);
void uas_event_filter_free(struct uas_event_filter *); /* NULL is fine */
/* An event that says that others were lost. False: no memory. */
FG_CHECK bool uas_event_notice(const struct uas_item *, struct ua_value *out);

/* ---- item.c ---- */
struct uas_item *uas_item_of(const struct uas_subscription *, uint32_t id);
void uas_item_free(struct uas_item *); /* the subscription's list still has it */

/* ---- trigger.c ---- */
/* The item has got a value: those it triggers go out too. */
void uas_trigger(struct uas_item *);
/* The current values of all items that report, for a new listener. */
void uas_send_again(struct uas_subscription *);
/* Methods of the Server object. */
ua_status uas_handles_of(struct ua_server *, struct ua_call *);
ua_status uas_resend(struct ua_server *, struct ua_call *);

/* ---- the services ---- */
void uas_create_subscription(struct uas_request *);
void uas_modify_subscription(struct uas_request *);
void uas_set_publishing_mode(struct uas_request *);
void uas_delete_subscriptions(struct uas_request *);
void uas_transfer_subscriptions(struct uas_request *);
void uas_publish(struct uas_request *);
void uas_republish(struct uas_request *);
void uas_create_items(struct uas_request *);
void uas_modify_items(struct uas_request *);
void uas_delete_items(struct uas_request *);
void uas_set_monitoring_mode(struct uas_request *);
void uas_set_triggering(struct uas_request *);

extern const struct uas_hooks uas_subscription_hooks;
