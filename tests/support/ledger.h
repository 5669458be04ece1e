/* ledger.h - what a broker has promised, computed from outside: from the packets that clients sent and received.
 *
 * A history is a row of events. ledger_apply goes through it and keeps, for every client, what it must do next (what it
 * has in flight, what it has to acknowledge) and, for every message, who is owed it, who may get it and who has it.
 * Where an event breaks a promise (P-QOS1, P-QOS2, P-ORDER, P-SESS, P-RETAIN, P-WILL, P-PART), `broken` says which.
 * A crash is an event, too: a ledger of the events before it, copied, goes on with the recovery.
 *
 * What is only possible is told from what is certain: a subscription is certain from SUBACK to UNSUBSCRIBE, possible from
 * SUBSCRIBE to UNSUBACK. A message is owed to whom it was certain for from the moment it was sent until it was
 * acknowledged, and may only be delivered to those for whom it was possible.
 *
 * A shared filter is a group: a message is owed to it as long as one lasting member is certain at every moment. One of them
 * must finish it; QoS 2 may come to one of them only, and may go with the session of a member that ends. Members keep an
 * order as long as none of them goes, for what waits for him goes to others.
 *
 * A plain value without pointers but to its cast: copy it as you like. Thread: one.
 */
#pragma once

#include "base/bytes.h"

#include <stdio.h>

enum {
    LEDGER_ACTORS = 14,
    LEDGER_TOPICS = 24,
    LEDGER_FILTERS = 14,
    LEDGER_GROUPS = 3,
    LEDGER_MESSAGES = 900,
    LEDGER_KEYS = 160,
    LEDGER_PARTITIONS = 2,
    LEDGER_RECORDS = 600,
    LEDGER_FLIGHT = 12, /* unacknowledged PUBLISH packets of one actor */
    LEDGER_HELD = 160,  /* deliveries of one actor that it has not finished */
    LEDGER_NONE = 0xffff
};

/* Who takes part; constant for a run. */
struct ledger_actor {
    char     client_id[16];
    bool     persistent;
    uint8_t  version;
    bool     has_will;
    uint8_t  will_qos, will_topic;
    uint8_t  will_delay_s;
    uint8_t  filter_qos[LEDGER_FILTERS]; /* the same for all members of a group that promises something */
    uint16_t identified;                 /* bits: filters that it subscribes to with an identifier; of shared ones all */
};
struct ledger_cast {
    struct ledger_actor actors[LEDGER_ACTORS];
    unsigned            actor_count;
    char                topics[LEDGER_TOPICS][24];
    unsigned            topic_count;
    bool                retained_topic[LEDGER_TOPICS], hub_topic[LEDGER_TOPICS];
    char                filters[LEDGER_FILTERS][24];
    unsigned            filter_count, first_shared; /* from there on they are "$share/.../FILTER"; 0: none */
    uint8_t             lasting_groups;             /* bits: groups that only persistent clients enter */
    uint32_t            matches[LEDGER_TOPICS]; /* bit f: filter f matches */
    uint16_t            watchers;               /* bits of the actors that get every will, from the beginning on */
};
void ledger_cast_finish(struct ledger_cast *); /* fills `matches` */

enum event_kind {
    EV_OPEN,       /* CONNECT left the client; flags CLEAN; message: its will or NONE */
    EV_CONNACK,    /* flags PRESENT, IN_TIME: for the delayed will of its last connection; value: reason */
    EV_LOST,       /* the connection ended without DISCONNECT */
    EV_QUIT,       /* DISCONNECT left the client */
    EV_CLOSED,     /* the broker closed after that */
    EV_PUBLISH,    /* message, pid, value: topic, flags QOS RETAIN EMPTY DUP */
    EV_PUBACK, EV_PUBREC, EV_PUBCOMP,       /* pid; value: reason */
    EV_PUBREL,     /* left the client */
    EV_SUBSCRIBE, EV_UNSUBSCRIBE,           /* pid; value: filter */
    EV_SUBACK, EV_UNSUBACK,                 /* pid; value: reason */
    EV_DELIVER,    /* pid, message (NONE: not to be told), value: topic, flags QOS RETAIN DUP, filters */
    EV_RELEASE,    /* PUBREL came; pid */
    EV_ACKED, EV_RECEIVED, EV_COMPLETED,    /* PUBACK, PUBREC, PUBCOMP left the client; pid */
    EV_READ,       /* actor: the partition; value: its sequence; message */
    EV_CRASH
};
enum { EVENT_QOS = 3, EVENT_RETAIN = 4, EVENT_DUP = 8, EVENT_EMPTY = 16, EVENT_CLEAN = 32, EVENT_PRESENT = 64,
       EVENT_IN_TIME = 128 };
struct event {
    uint8_t  kind, actor, flags;
    uint16_t pid, message, filters; /* filters: bits, as the identifiers say */
    uint32_t value;
};

struct ledger_message {
    uint8_t  topic, flags, publisher, key;
    bool     acked, flying, is_will;
    bool     registered, quit;  /* wills */
    bool     maybe_refused;     /* sent again; a refusal of the first one may have been lost with its connection */
    uint16_t owed, candidates, allowed, seen, done;
    uint8_t  groups_owed, group_candidates, groups_seen, groups_done; /* bits of groups */
    uint8_t  given_up_by[LEDGER_GROUPS]; /* actor + 1 that had it unfinished when it asked for a clean start */
    uint16_t again_behind; /* sent again when messages up to this number had been sent, + 1 */
    uint32_t sent_at, acked_at, closed_at;
};
struct ledger_out {
    uint16_t message, pid;
    bool     received; /* PUBREC came: PUBREL is what is sent next, or again */
    bool     sent, released; /* PUBLISH, PUBREL left on this connection */
};
enum held_phase { HELD_NEW, HELD_RECEIVED, HELD_RELEASED };
struct ledger_held {
    uint16_t message, pid, filters;
    uint8_t  qos, phase;
    bool     former;  /* received on a former connection */
    bool     greeting; /* a retained message for a new subscription */
};
struct ledger_sub {
    uint16_t pid;
    uint8_t  filter;
    bool     remove;
};
enum presence { ABSENT, POSSIBLE, PRESENT };
struct ledger_member {
    uint8_t            exists;
    bool               open, live, clean; /* CONNECT sent; CONNACK came; with clean start */
    bool               ending;            /* a clean start is under way, or was not answered */
    bool               none_before;       /* no session can have been there when CONNECT was sent */
    uint16_t           will, delayed;     /* of this connection; of a former one, waiting */
    uint16_t           former_will;       /* that was waiting when CONNECT was sent, and cannot have been published yet */
    bool               long_gone;         /* its delay may have passed before the last crash */
    uint16_t           sure, maybe;       /* filters */
    uint32_t           opened_at;
    struct ledger_out  out[LEDGER_FLIGHT];
    unsigned           out_count;
    struct ledger_held held[LEDGER_HELD];
    unsigned           held_count;
    struct ledger_sub  subs[4];
    unsigned           sub_count;
};

struct ledger {
    const struct ledger_cast *cast;
    bool                      tolerant;     /* the node may refuse and may close: memory or disk are made to fail */
    uint32_t                  now;          /* events so far */
    uint16_t                  message_count, key_count;
    struct ledger_member      members[LEDGER_ACTORS];
    uint16_t                  last[LEDGER_ACTORS][LEDGER_KEYS]; /* highest number + 1 first delivered */
    uint8_t                   keys[LEDGER_ACTORS][LEDGER_TOPICS][3];
    uint16_t                  ever[LEDGER_GROUPS];       /* actors that are or were members */
    uint32_t                  calm_since[LEDGER_GROUPS]; /* all of them are there */
    uint16_t                  last_shared[LEDGER_GROUPS][LEDGER_ACTORS][LEDGER_KEYS];
    uint16_t                  retained[LEDGER_TOPICS];      /* last acknowledged + 1 */
    uint16_t                  parts[LEDGER_PARTITIONS][LEDGER_RECORDS];
    uint16_t                  part_count[LEDGER_PARTITIONS];
    char                      broken[300]; /* empty: every promise was kept so far */
    struct ledger_message     messages[LEDGER_MESSAGES];
    struct ledger_routes {
        uint8_t  count[LEDGER_ACTORS];
        uint16_t sure[LEDGER_ACTORS], maybe[LEDGER_ACTORS]; /* matching filters that held when it was routed */
    } routes[LEDGER_MESSAGES];
};

void ledger_init(struct ledger *, const struct ledger_cast *);
void ledger_copy(struct ledger *to, const struct ledger *from); /* cheaper than assignment */
void ledger_apply(struct ledger *, const struct event *);
/* One line for a person. */
void ledger_print_event(const struct ledger_cast *, const struct event *, FILE *to);
/* What a new subscriber was given as retained: number per topic, NONE: nothing. */
void ledger_check_retained(struct ledger *, const uint16_t values[LEDGER_TOPICS]);
/* All records of all partitions, [first, first + count) of each. */
struct ledger_part {
    uint64_t first;
    size_t   count;
    uint16_t messages[LEDGER_RECORDS];
};
void ledger_check_partitions(struct ledger *, const struct ledger_part parts[LEDGER_PARTITIONS]);
/* Enough time has passed for every delayed will whose client did not come back. */
void ledger_delays_are_over(struct ledger *);
/* When everybody who has a session came back and took what there was, and delays are over. */
void ledger_check_end(struct ledger *);
