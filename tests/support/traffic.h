/* traffic.h - random clients of a rig, as real ones would be: they connect, subscribe, publish, acknowledge, stall, hang
 * up, take over, come back and finish what they had begun. Every packet either way becomes an event of the ledger the
 * moment it leaves its sender, and a mark in the recording of the disk.
 *
 *     struct traffic *t = traffic_new(seed, &cast, rec);       rec may be NULL
 *     traffic_attach(t, rig);
 *     traffic_begin(t);
 *     traffic_run(t, 150);                                      so many random acts
 *     ... t->ledger.broken, t->events ...
 *
 *     traffic_recover(t, ...)                                   after a crash: everybody comes back, everything is read
 *
 * Thread: the rig's.
 */
#pragma once

#include "support/broker_peer.h"
#include "support/crash.h"
#include "support/ledger.h"

struct traffic {
    const struct ledger_cast *cast;
    struct rig               *rig;
    struct crash             *rec;
    struct random             dice;
    uint64_t                  seed;     /* of the payloads, too */
    struct ledger             ledger;
    struct event             *events;   /* all of them, when they are kept */
    size_t                    event_count, event_cap;
    bool                      keep_events;
    uint32_t                  mark_kind;
    FILE                     *trace;   /* every event, for a person; NULL: none */
    struct peer              *peers[LEDGER_ACTORS];
    bool                      quitting[LEDGER_ACTORS], over[LEDGER_ACTORS]; /* DISCONNECT sent; the broker closed */
    int64_t                   gone_at[LEDGER_ACTORS]; /* wall clock of the rig: since when it has no connection */
    struct peer              *left[32]; /* connections that clients have turned their back on */
    unsigned                  left_count;
    unsigned                  payload_max;
    uint16_t                  retained[LEDGER_TOPICS]; /* what the auditor was given */
    unsigned                  auditor;  /* these two are the last actors of the cast */
    unsigned                  prober;
    unsigned                  slack; /* how often, of a hundred, a client leaves the rest for later */
};

/* The cast: watchers, lasting sessions of 5.0 and 3.1.1, fleeting ones, wills with and without delay, and
 * groups of shared subscribers. */
void            traffic_cast(struct ledger_cast *, uint64_t seed);
struct traffic *traffic_new(uint64_t seed, const struct ledger_cast *, struct crash *rec);
void            traffic_free(struct traffic *);

/* Makes the rig call us before each step of its journal. The rig must be open; traffic_detach before it is closed. */
void traffic_attach(struct traffic *, struct rig *);
void traffic_detach(struct traffic *);
/* Everybody's first connections and subscriptions. */
void traffic_begin(struct traffic *);
/* Random acts. */
void traffic_run(struct traffic *, unsigned acts);
/* All clients acknowledge and finish until nothing moves. */
void traffic_settle(struct traffic *);
/* The process or the power is gone; so are all connections. */
void traffic_crashed(struct traffic *);
/* The same, as an event of the recording: the node is about to be stopped and started. */
void traffic_restarting(struct traffic *);
/* Everybody comes back, takes what there is, finishes what was begun; delays pass; partitions are read; every topic is
 * probed. The ledger says then whether everything was kept. */
void traffic_recover(struct traffic *);
