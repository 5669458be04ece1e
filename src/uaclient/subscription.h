/* subscription.h - values and events as they change, over lost connections and restarted servers.
 *
 * One subscription of the owner is one on the server at a time; when that is lost it is made anew with all its items. What comes
 * is in order, and nothing comes twice:
 *   - a missing message is asked for again (Republish) before later ones are given; what the server has no more is told as lost;
 *   - for 10 s after a loss a value is left out if it is the one that was given last (same source time, value and status);
 *   - between the last value given and the first one after the loss, history is read for items that want it; on_gap tells the rest.
 *
 * A subscription that is silent for longer than its keep-alive promises is looked after: made anew, or the connection is dropped
 * when not even a Read is answered; FG5210 says so.
 *
 * Thread and callbacks as in client.h. A subscription may be closed from inside its callbacks, and so may the client.
 */
#pragma once

#include "uaclient/client.h"

struct ua_subscription;

enum ua_values_from { UA_FROM_PUBLISH, UA_FROM_REPUBLISH, UA_FROM_HISTORY };

struct ua_change {
    uint32_t handle; /* the owner's, of ua_watch */
    uint32_t index;  /* its place in the message, from 1: as the server wrote it, whatever was left out; 0: of history */
    struct ua_data_value value;
};
/* A part of a notification message; messages are cut into parts of at most 64 values. */
struct ua_changes {
    uint64_t message;      /* for ua_subscription_ack, its low half is `sequence`; 0: not to be acknowledged (history) */
    bool     last;         /* no further part of this message comes */
    enum ua_values_from from;
    uint32_t subscription; /* the server's number of it */
    uint32_t sequence;     /* as the server counts, within one life of the subscription there */
    ua_time  published;    /* by the server's clock */
    const struct ua_change *at; /* valid during the call, and what its values point to */
    size_t   count;
};
struct ua_occurrence {
    uint64_t message;
    uint32_t handle;
    uint32_t index; /* likewise: events and values are counted together */
    const struct ua_variant *fields; /* in the order of the select clauses */
    uint32_t count;
};
struct ua_gap {
    ua_time  from, to;      /* server's time: of the last message before, of the first items after */
    uint64_t lost_messages; /* with numbers, if the server said which: first_lost is the first of them */
    uint32_t first_lost;
    unsigned items, filled; /* how many there are, and how many had their gap filled from history */
    struct fault why;       /* FG5211 (messages), FG5212 (time) and what happened */
};

struct ua_subscription_events {
    void (*on_changes)(void *ctx, struct ua_subscription *, const struct ua_changes *);
    void (*on_event)(void *ctx, struct ua_subscription *, const struct ua_occurrence *);
    /* The server's answer for an item, each time it differs from the last one: made, refused, or lost. A bad one is tried again
     * (after 10 s, up to 60 s) and on each new session. */
    void (*on_item)(void *ctx, struct ua_subscription *, uint32_t handle, ua_status, double sampling_ms, uint32_t queue);
    void (*on_gap)(void *ctx, struct ua_subscription *, const struct ua_gap *);
    /* For an owner that keeps what ua_subscription_adopt wants. Not settled: items are about to be made, changed or deleted on the
     * server; what was kept of this subscription is of no use until it is settled again. */
    void (*on_items)(void *ctx, struct ua_subscription *, bool settled);
};

struct ua_subscription_options {
    double   publishing_ms;   /* 0 = 1,000 */
    int64_t  keep_alive_ms;   /* a word at least so often; 0 = 10,000 */
    int64_t  lifetime_ms;     /* how long the server keeps it without us; 0 = 600,000 */
    uint32_t message_values;  /* at most so many in one message; 0: the server's choice */
    uint8_t  priority;
    bool     acknowledge;     /* the owner does, with ua_subscription_ack; otherwise when the callbacks have returned */
    enum ua_timestamps times; /* of values; 0 is UA_TIMES_SOURCE */
    int64_t  silent_ms;       /* at least so long silent before it is looked after; 0 = 5,000 */
};

/* Before the client is up, too: it is made when it is. */
FG_CHECK enum code ua_subscription_open(struct ua_subscription **out, struct ua_client *, const struct ua_subscription_options *,
                                        const struct ua_subscription_events *, void *ctx, struct fault *why);
/* Deletes it on the server, without waiting. */
void ua_subscription_close(struct ua_subscription *);
/* The same here, but the server keeps it, for ua_subscription_adopt in a later life of the program. */
void ua_subscription_part(struct ua_subscription *);
/* The values of that message, and those before it, are safe: the server may forget them. */
void ua_subscription_ack(struct ua_subscription *, uint64_t message);
/* The owner has no room: while on, no Publish request is sent, so that the server queues (as long as its subscriptions live without
 * us). Acknowledgements travel when it is over. Those that the server has already may still bring messages. */
void ua_client_hold(struct ua_client *, bool on);

/* ---- items ---- */
struct ua_watch {
    uint32_t handle;    /* the owner's: comes back with each value; need not be unique */
    struct ua_expanded_node_id node; /* with a URI it is looked up on each new session */
    uint32_t attribute; /* 0 = UA_ATTR_VALUE */
    struct bytes range; /* IndexRange */
    double   sampling_ms; /* as Part 4 has it: -1 the publishing interval, 0 the fastest */
    uint32_t queue;     /* values kept between two publishings; 0: publishing / sampling and half as much again, at least 2 */
    bool     discard_newest;
    enum ua_monitoring_mode mode; /* 0 would be disabled; UA_MONITOR_REPORTING is what one wants */
    uint8_t  trigger;   /* enum ua_trigger + 1; 0: the server's default, status and value */
    uint8_t  deadband;  /* enum ua_deadband */
    double   deadband_value;
    const struct ua_event_filter *events; /* not NULL: the attribute is EventNotifier, and on_event is called */
    struct ua_node_id registered; /* RegisterNodes' id for `node`, a number; used only in that session (ua_client_look.sessions; 0: none) */
    uint64_t registered_in;
    bool     history;   /* fill gaps from the server's history */
};
/* A number for each item of this subscription, put into numbers[i] (may be NULL). Everything is copied. They are made on the server
 * at the end of the turn, all of them in as few requests as its limits allow. */
FG_CHECK enum code ua_subscription_add(struct ua_subscription *, const struct ua_watch *, size_t count, uint32_t *numbers,
                                       struct fault *why);
/* Values of it that are on their way are thrown away. */
void ua_subscription_remove(struct ua_subscription *, const uint32_t *numbers, size_t count);
/* Sampling, queue, trigger and deadband; the rest of the watch must be as it was. */
FG_CHECK enum code ua_subscription_modify(struct ua_subscription *, uint32_t number, const struct ua_watch *, struct fault *why);

/* ---- over the end of the program ----
 *
 * An owner that keeps the numbers below where they survive it can go on with the subscription that a killed program has left on the
 * server. Just after ua_subscription_open, in the same turn, it says what was kept; the subscription is transferred to the session
 * [Part 4, 5.13.7], what was not acknowledged is asked for (Republish), and values go on behind the last one that is safe. on_item is
 * called for each item. When the server refuses, or id is 0, it is made anew: on_gap (FG5212) tells from when on values are missing, and
 * values of the kind "same time, same print" as the last ones are left out. */
struct ua_kept {
    uint32_t id;        /* the server's; 0: it is of no use any more */
    uint32_t expected;  /* number of the first message that is not safe as a whole */
    uint32_t given;     /* of that one, the place of the last value that is */
    ua_time  heard;     /* server's time of the last one, 0: unknown, then no gap is told */
    double   publishing_ms; /* revised, as are these */
    uint32_t keep_alive_count, lifetime_count;
};
struct ua_kept_item {
    uint32_t number;    /* that ua_subscription_add gave */
    uint32_t id, queue; /* of ua_item_look, as is sampling_ms */
    double   sampling_ms;
    ua_time  last;      /* source time of the last value that is safe; 0: none is */
    uint64_t print;     /* ua_value_print of it */
};
/* Takes items up with their numbers; ua_subscription_add after it for those that are new. CODE_NOMEM, CODE_USAGE: it is used already. */
FG_CHECK enum code ua_subscription_adopt(struct ua_subscription *, const struct ua_kept *, const struct ua_kept_item *,
                                         const struct ua_watch *, size_t count, struct fault *why);
/* What tells two values with the same source time apart. */
uint64_t ua_value_print(const struct ua_data_value *);
/* One of an earlier life that is not wanted: taken over and deleted, without waiting. While the client is up. */
void ua_client_discard(struct ua_client *, uint32_t id);

struct ua_item_look {
    uint32_t  handle;
    ua_status status;      /* BadWaitingForInitialData until the server has answered */
    double    sampling_ms; /* revised */
    uint32_t  queue;
    uint64_t  values;
    ua_time   last;        /* source time of the last value */
    uint64_t  print;       /* of it */
    uint32_t  id;          /* the server's */
};
FG_CHECK bool ua_subscription_item(const struct ua_subscription *, uint32_t number, struct ua_item_look *);

struct ua_subscription_look {
    uint32_t id;           /* the server's, 0: not made at the moment */
    double   publishing_ms; /* revised */
    uint32_t keep_alive_count, lifetime_count;
    unsigned items, good;
    uint64_t messages, values, events, keep_alives, republished, lost_messages, duplicates, unknown_handles, made_anew;
    uint64_t overflows; /* values before which the server had to throw some away: its queues are too short */
    unsigned unacknowledged;
    int64_t  heard_us;     /* loop time of the last message or keep-alive, 0: none */
};
void ua_subscription_look(const struct ua_subscription *, struct ua_subscription_look *);
