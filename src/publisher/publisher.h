/* publisher.h - the OPC publisher: reads nodes of OPC UA servers, as publishednodes.json says, and puts their values into this node as
 * messages.
 *
 *   server ──► session ──► stream (a writer with one publishing interval) ──► pieces ──► batch ──► outbox ──► broker ──► journal
 *                 └─────────────── acknowledged to the server ◄─────── when the messages are durable ◄──────────────────────┘
 *
 * What is the same after a change of the file is not touched. When the node refuses (0x97) nothing is thrown away: values wait, within
 * bounds, and then the servers are not asked for more, so that they queue.
 *
 *   received + repeated = sent + waiting + suppressed + skipped + replaced + too_large        always
 *
 * Threads: open, apply, close and call from any one thread at a time but no loop's: they wait for the publisher's loop. Glance likewise from
 * any thread, also a loop's.
 */
#pragma once

#include "broker/broker.h"
#include "publisher/options.h"

struct publisher;
struct ua_application;
struct ua_trust;

struct publisher_config {
    struct broker *broker;
    struct journal *journal;
    const struct io *io;
    const char *version, *site;
    const char *nodes_path; /* the file; it may come later */
    const char *options;    /* the command line of OPC Publisher */
    const char *keep_dir;   /* where it keeps which subscriptions it has and how far they have got ("publisher.state"), so that it goes on
                               with them after its end, whatever that was; NULL: it begins anew each time */
    const char *topic;      /* template; NULL or "": the options' or the default */
    struct ua_application *own; /* NULL: only servers without security */
    struct ua_trust *trust;     /* lives longer */
};
/* The default template. */
#define PUBLISHER_TOPIC "opcua/{WriterGroup}/{Writer}"

/* CODE_USAGE: the options, the topic or the telemetry configuration are wrong, the fault says what. A file of nodes that is wrong or not there
 * is said in the log; it is looked at again when it changes. */
FG_CHECK enum code publisher_open(struct publisher **out, const struct publisher_config *, struct fault *why);
/* What is ready goes into the node; what is not acknowledged comes again. Servers keep their subscriptions for 10 minutes, if there is
 * a keep_dir. NULL is fine. */
void publisher_close(struct publisher *);
/* Of the options and templates alone, for `config check`. */
FG_CHECK enum code publisher_check(const struct publisher_config *, struct fault *why);

/* ---- a look at it ---- */
struct publisher_glance {
    uint64_t sessions, sessions_up, streams, streams_up, nodes, nodes_good, nodes_bad;
    uint64_t received, repeated; /* values; of those repeated by heartbeats */
    uint64_t sent, waiting, suppressed, skipped, replaced, too_large;
    uint64_t messages, bytes;    /* sent into the node */
    uint64_t refused;            /* times that the node had no room */
    uint64_t notifications, acknowledged; /* of the servers */
    uint64_t overflows;          /* values in front of which the server's queue was too short: some are missing */
    uint64_t lost;               /* notifications that a server said it has no more */
    bool     held;               /* servers are not asked for more just now */
    int64_t  started_us, sent_us; /* wall clock; 0: never */
};
void publisher_glance(struct publisher *, struct publisher_glance *);

struct publisher_server_glance {
    const char *endpoint, *group;
    const char *state;   /* "up", "waiting" ... */
    const char *trouble; /* why it is down, "" */
    uint64_t nodes, good, values;
};
void publisher_servers(struct publisher *, void (*each)(void *ctx, const struct publisher_server_glance *), void *ctx);

/* ---- methods ---- */
/* A method of OPC Publisher, by its name with or without _V1: JSON in, JSON out. Returns its status: 200, 400, 404, 405, 408, 500 ... */
int publisher_call(struct publisher *, struct bytes method, struct bytes request, struct buf *response);
