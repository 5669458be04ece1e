/* server.h - an OPC UA server: its front door.
 *
 *   net/loop.h ── link (channel.h) ── session ── services ── space.h
 *
 * Everything lives on one loop: connections, sessions, the address space. The program fills ua_server_space() and sets values
 * there. What clients may do is bounded by ua_server_limits; each limit has its status, a log line and a counter.
 *
 * Thread: the loop's, but for ua_server_glance's counters (any). Lifetime: ua_server_open .. ua_server_close.
 */
#pragma once

#include "opcua/application.h"
#include "uaserver/space.h"

struct ua_server;
struct io;

/* ---- users ---- */
struct ua_user_ask {
    enum ua_user_token kind;
    struct bytes name, password;                  /* user names; both are wiped after the answer */
    const struct ua_certificate *certificate;     /* certificates; its signature is good, nothing else was looked at */
    const char *address;                          /* the peer's, with its port */
    bool        encrypted;                        /* the channel is */
};
/* The answer, once, on the loop, in `ask` or later. Good: with who it is. Anything else is handed to the client:
 * UA_BAD_USER_ACCESS_DENIED, UA_BAD_IDENTITY_TOKEN_REJECTED, UA_BAD_TCP_SERVER_TOO_BUSY. */
void ua_user_answer(struct ua_user_ask *, ua_status, const struct ua_server_user *);
struct ua_user_check {
    /* Anonymous ones are asked about too. What takes long (a password's hash) is done on the pool. Everything in the ask lives
     * until the answer, which must come also when the client has left meanwhile. */
    void (*ask)(void *ctx, struct ua_user_ask *);
    void *ctx;
};

/* ---- limits: L-UA; 0 is the default ---- */
struct ua_server_limits {
    uint32_t channels;              /* 100: BadTcpServerTooBusy in an ERR. The oldest without a session after connect_s makes
                                     * room, else the oldest that is not open yet */
    uint32_t sessions;              /* 100: BadTooManySessions; half of them for one address, loopback apart */
    uint32_t subscriptions;         /* 20 of a session: BadTooManySubscriptions */
    uint32_t kept_subscriptions;    /* 100 without a session: the oldest go */
    uint32_t items;                 /* 10,000 of the server: BadTooManyMonitoredItems */
    uint32_t publish_requests;      /* 20 of a session: BadTooManyPublishRequests */
    uint32_t operations;            /* 10,000 of one request: BadTooManyOperations */
    uint32_t continuation_points;   /* 20 of a session: BadNoContinuationPoints */
    uint32_t queue;                 /* 1,000 values of an item; more is revised */
    uint32_t unsent_bytes;          /* 8 MiB that a client has not taken (L-OUT): nothing more is read from it; closed after 60 s */
    uint32_t all_unsent_bytes;      /* 64 MiB that all clients together have not taken (backlog.c): who has more than his share of it,
                                     * by `channels`, is sent nothing more, and closed after 10 s; at twice as much at once */
    uint32_t session_ms_min, session_ms_max; /* 10 s, 1 h: revised */
    double   publishing_ms_min;     /* 10: revised */
    double   sampling_ms_min;       /* 10: revised, of what is sampled */
    uint32_t connect_s;             /* 10 from accept to the open channel, and from there to a session */
    struct ua_limits codec;         /* 65,536 elements, 64 KiB, 32 deep */
    struct ua_space_limits space;
};

struct ua_server_options { /* texts are copied */
    struct loop     *loop;
    const struct io *io;                 /* random numbers */
    const char *application_uri;         /* as in the certificate */
    const char *application_name, *product_uri, *product_name, *manufacturer, *version, *build;
    struct ua_application *own;          /* held; NULL: only policy None can be offered */
    uint8_t offers[UA_POLICY_COUNT];     /* for sessions: bit 1 << UA_MODE_... */
    bool    anonymous, user_names, certificates; /* kinds of user tokens */
    struct ua_user_check users;          /* ask NULL: anonymous ones only, who may read */
    /* Is this client's certificate to be believed? (trust.h) NULL: only policy None. */
    ua_status (*verify)(void *ctx, struct ua_certificate *peer, struct fault *why);
    void *verify_ctx;
    struct ua_server_limits limits;
};

FG_CHECK enum code ua_server_open(struct ua_server **out, const struct ua_server_options *, struct fault *why);
/* Tells clients by an ERR BadShutdown and closes their connections. The server, and its space, are gone with the last of them:
 * when what was to be sent is sent, or with the loop. */
void ua_server_close(struct ua_server *);
/* The space, with namespace 0 in it. */
struct ua_space *ua_server_space(struct ua_server *);

/* "127.0.0.1:4840"; may be called for several addresses. */
FG_CHECK enum code ua_server_listen(struct ua_server *, const char *at, struct fault *why);
uint16_t ua_server_port(const struct ua_server *); /* of the first one */
/* A peer that another listener has accepted; taken over in any case. */
void ua_server_accept(struct ua_server *, const struct net_peer *);

/* ---- what it has done: counted by this process's servers together ---- */
#define UA_SERVER_COUNTERS(X)                                                                                               \
    X(channels) X(channels_all) X(channels_refused) X(channels_timed_out) X(sessions) X(sessions_all) X(sessions_refused)   \
    X(sessions_timed_out) X(logins_refused) X(requests) X(requests_refused) X(reads) X(writes) X(calls) X(subscriptions)    \
    X(items) X(notifications) X(overflows) X(publish_requests) X(stalled)           \
    X(crowded) X(crowded_out)
struct ua_server_counters {
#define UA_X(name) uint64_t name;
    UA_SERVER_COUNTERS(UA_X)
#undef UA_X
};
/* Any thread. */
void ua_server_glance(struct ua_server_counters *out);
