/* subscription_private.h - what the files of the subscriptions share. Not for others.
 *
 *   subscription.c   options, life: made, lost, made anew, silent
 *   items.c          items: wanted, made, refused, changed, taken away
 *   publish.c        Publish requests, and whose answer it is
 *   order.c          sequence numbers: what is missing is asked for, what came early waits
 *   notify.c         what is in a message, given to the owner
 *   fill.c           the gap before a subscription that was made anew
 *   adopt.c          one of an earlier life of the program
 */
#pragma once

#include "uaclient/client_private.h"
#include "uaclient/subscription.h"

enum {
    UA_ITEM_BITS = 20,             /* place of an item; the rest of its number tells one life of the place from another */
    UA_ITEMS_MAX = 1 << UA_ITEM_BITS,
    UA_ITEM_PLACE = UA_ITEMS_MAX - 1,
    UA_CHANGES = 64,               /* in one call of the owner */
    UA_HELD_MAX = 32,              /* messages of one subscription that wait for an earlier one */
    UA_UNACKED_MAX = 10000
};

enum sub_state {
    SUB_NONE,    /* not on the server */
    SUB_MAKING,  /* asked for */
    SUB_FILLING, /* made anew: items are made and history is read; messages wait */
    SUB_ASKING,  /* missing messages are asked for; messages wait */
    SUB_LIVE
};

/* What each value needs; the rest is in struct sub_item. */
struct sub_hot {
    uint32_t wire;  /* its number; 0 in a free place */
    uint32_t owner; /* the owner's handle */
    ua_time  last;  /* source time of the last value given; 0: none */
    uint32_t values;
    uint64_t print; /* and what the value was: notify.c */
};

enum item_state { ITEM_WANTED, ITEM_MAKING, ITEM_MADE, ITEM_CHANGED, ITEM_CHANGING, ITEM_BAD, ITEM_GONE };
struct sub_item {
    enum item_state state;
    bool      removed;  /* by the owner, while it was being made */
    uint32_t  number;
    uint32_t  id;       /* the server's */
    ua_status status, told;
    bool      told_any;
    double    sampling_ms;
    uint32_t  queue;
    unsigned  tries;
    int64_t   retry_us;
    struct ua_watch watch;                /* its texts stand behind the struct */
    struct ua_extension_object filter;    /* encoded */
};

/* One notification message. */
struct sub_message {
    struct sub_message *next; /* held ones, by sequence */
    uint32_t sequence;
    ua_time  published;
    enum ua_values_from from;
    struct bytes data;        /* i32 count, objects; more may follow */
    bool     counted;         /* its Publish request is not sent again until it is given */
};

struct ua_subscription {
    struct ua_client *client;
    struct ua_subscription *next, *prev;
    struct ua_subscription_options set;
    struct ua_subscription_events events;
    void    *ctx;
    bool     closed;
    unsigned busy;         /* calls of the owner on the stack: memory stays */
    unsigned requests;     /* under way: too */

    enum sub_state state;
    uint32_t id;
    uint32_t life;         /* counts its makings */
    int64_t  made_us, heard_us;
    int64_t  again_us;     /* until then values may come that were given before the connection was lost */
    ua_time  heard_time;   /* server's time of the last message that was given */
    double   publishing_ms;
    uint32_t keep_alive_count, lifetime_count;
    unsigned refusals;     /* of its making, in a row */
    struct timer work;     /* items to make, to try again; itself to make */
    struct timer watch;    /* silence */
    bool     checking;

    struct sub_hot   *hot;
    struct sub_item **items; /* by place; NULL in a free one */
    uint32_t cap, count, *free_places, free_count;
    uint16_t *lives;         /* of places */
    unsigned jobs;           /* lists of items under way */
    uint32_t *gone;          /* the server's numbers of items to delete */
    uint32_t gone_count, gone_cap;

    uint32_t expected;     /* sequence number; 0: any */
    uint32_t missing_end;  /* asking: up to here; 0: until there are no more */
    unsigned asked_for;    /* Republish in this row */
    bool     arrived;      /* a value of one of its items has come since it was made */
    bool     doubted;      /* it was made anew because none came */
    unsigned stale;        /* messages in a row with a number that was there already */
    bool     asking;
    struct sub_message *held;
    unsigned held_count;
    uint64_t lost_here;
    uint32_t first_lost;
    struct buf unacked;    /* u32 each, oldest first */

    struct ua_kept kept;   /* kept.id: to be taken over */
    uint32_t partial, partial_values; /* of that message so many values were given in an earlier life */
    bool     came_over;    /* transferred to us: the word of it for the session of before may come to this one */
    bool     unsettled;    /* told: its items at the server are not as they are here */

    /* Made anew: what for, and what came of it. */
    const char *reason;    /* NULL: it was not lost */
    uint32_t    lost_id;
    int64_t     silent_us;
    ua_time     gap_from, gap_to;
    uint32_t    fill_place;
    unsigned    filled;
    int64_t     fill_us;   /* begun */

    uint64_t messages, values, occurrences, keep_alives, republished, lost_messages, duplicates, unknown_handles, made_anew, overflows;
};

/* ---- subscription.c ---- */
static inline void sub_enter(struct ua_subscription *s) { s->busy++; }
bool sub_leave(struct ua_subscription *s); /* false: it is gone */
/* The same around a request and its answer. */
static inline void sub_ask(struct ua_subscription *s) { s->requests++; }
bool sub_asked(struct ua_subscription *s);
void sub_make(struct ua_subscription *);
/* The server has it no more, or it is of no use. `reason` is a constant. */
void sub_gone(struct ua_subscription *, const char *reason, bool delete_there);
void sub_wake(struct ua_subscription *, int64_t ms); /* looks at its items in so long */
void sub_heard(struct ua_subscription *);
/* It is here again: some servers send the present values once more. */
void sub_again(struct ua_subscription *);
unsigned sub_good_items(const struct ua_subscription *);
/* Keep-alives come, but the first values of its items, which are due at once, do not. */
void sub_doubt(struct ua_subscription *);

/* Its items are about to differ from the server's; they are the same again. False: it is gone. */
bool sub_settled(struct ua_subscription *, bool settled);
void sub_resume(struct ua_subscription *);
void sub_delete(struct ua_client *, uint32_t id);

/* ---- adopt.c ---- */
void sub_take_over(struct ua_subscription *);

/* ---- items.c ---- */
/* Items with the numbers they had, as they are on the server. Then: it has them, the owner is told. False: the subscription is gone. */
FG_CHECK enum code items_adopt(struct ua_subscription *, const struct ua_kept_item *, const struct ua_watch *, size_t count,
                               struct fault *why);
bool items_taken(struct ua_subscription *);
/* All are to be made on the server. */
void items_forget_server(struct ua_subscription *);
/* Sends what is to be sent; starts `work` for later ones. True: nothing is under way any more. */
bool items_pump(struct ua_subscription *);
void items_free(struct ua_subscription *);

/* ---- order.c ---- */
void order_take(struct ua_subscription *, struct sub_message *);
/* Asks for messages from `expected` on: up to missing_end, or, when that is 0, as long as there are any. */
void order_ask(struct ua_subscription *);
/* Gives what waits, as far as it is in order. */
void order_drain(struct ua_subscription *);
void order_forget(struct ua_subscription *);

/* ---- notify.c ---- */
/* False: the subscription or the client is gone. */
bool notify(struct ua_subscription *, const struct sub_message *);
/* Values of history, of the item at `place`. */
bool notify_history(struct ua_subscription *, uint32_t place, const struct ua_data_value *, uint32_t count);
void sub_ack(struct ua_subscription *, uint32_t sequence);
uint64_t sub_print(const struct ua_data_value *);

/* ---- fill.c ---- */
void fill_begin(struct ua_subscription *);
