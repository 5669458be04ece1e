/* client.h - an OPC UA client: one endpoint, one security, one user.
 *
 * It finds the endpoint, opens the channel and the session, keeps both alive (a channel is renewed at 75 % of its life while
 * everything goes on), and after a loss comes back with as little lost as the server allows:
 *
 *   waiting ──► dialling ──► opening ──► (discovering) ──► starting ──► looking ──► up ──► leaving ──► ended
 *      ▲            │           │              │               │           │        │
 *      └────────────┴───────────┴──────────────┴───────────────┴───────────┴────────┘   only with options.reconnect
 *
 *   starting: the old session on the new channel (ActivateSession); if the server has forgotten it, a new one.
 *   looking:  namespaces, limits, clock and product of the server are read; subscriptions come back (subscription.h).
 *
 *   many.h          lists of reads, writes, calls ... cut to the server's limits; browsing, paths, history
 *   subscription.h  values as they change
 *   shape.h         structures by their type description
 *
 * Thread:   everything on the loop's thread, callbacks too. No function here calls back before it returns, except
 *           ua_client_close, which tells none.
 * Lifetime: ua_client_open .. ua_client_close; close may be called from inside any callback. After it no callback comes: what was
 *           asked is forgotten, subscriptions are gone. Use ua_client_leave before it to end the session on the server.
 * Bounds:   what a server may send: options.limits, message_bytes, chunks; requests without an answer: REQUESTS (1,024); what it
 *           sends without being asked is counted and thrown away.
 */
#pragma once

#include "base/arena.h"
#include "base/io.h"
#include "net/loop.h"
#include "opcua/services.h"
#include "opcua/status.h"

struct ua_client;
struct ua_application; /* our certificate and key (opcua/application.h) */
struct ua_trust;       /* whom we believe         (opcua/trust.h)       */

enum ua_client_state {
    UA_CLIENT_WAITING, /* for the next attempt */
    UA_CLIENT_DIALLING,
    UA_CLIENT_OPENING, /* hello, secure channel */
    UA_CLIENT_DISCOVERING,
    UA_CLIENT_STARTING,
    UA_CLIENT_LOOKING,
    UA_CLIENT_UP,
    UA_CLIENT_LEAVING,
    UA_CLIENT_ENDED
};
/* "waiting", "up" ... */
const char *ua_client_state_name(enum ua_client_state);

/* Who speaks. Anonymous when all is 0. */
struct ua_client_user {
    enum ua_user_token kind;     /* UA_USER_ANONYMOUS, UA_USER_NAME, UA_USER_CERTIFICATE */
    struct bytes   name, password;
    struct ua_application *certificate; /* the person's, with its key; held until the end */
};

/* Copied by ua_client_open. 0 and NULL mean what is said here. */
struct ua_client_options {
    const char *url;    /* "opc.tcp://10.0.4.20:4840/path"; without a port: 4840 */
    const char *policy; /* "Basic256Sha256", "None" ...; NULL: the best that the endpoint has */
    enum ua_message_security_mode mode; /* 0: the best, with that policy */
    struct ua_client_user user;
    bool plain_password; /* sends it readable on a channel without encryption, when the server leaves nothing else */

    struct ua_application *own; /* NULL: only policy None; held until the end */
    struct ua_trust *trust;     /* NULL: nobody is believed; lives longer than the client */
    bool accept_any;  /* believes any server certificate; said once (FG5204) */
    bool any_host;    /* does not compare the certificate's names with the host in `url` */

    const char *name; /* of the session, for people at the server; NULL = "fieldgate" */
    const char *application_uri, *application_name; /* NULL: those of `own`, "urn:fieldgate", "Fieldgate" */

    bool    channel_only; /* no session: up when the channel is open. GetEndpoints and FindServers may be asked; policy None */
    bool    reconnect;
    int64_t connect_ms;   /* from the dial until up; 0 = 15,000 */
    int64_t request_ms;   /* 0 = 10,000 */
    int64_t session_ms;   /* asked for; 0 = 120,000 */
    int64_t channel_ms;   /* life of a channel's token, asked for; 0 = 3,600,000 */
    int64_t retry_min_ms; /* doubled after each failure, up to ... ; 0 = 250; the first retry after a loss is at once */
    int64_t retry_max_ms; /* 0 = 10,000; as long as nobody is at the address, 2,000 at most */

    const struct ua_limits *limits; /* of what is read; NULL = ua_limits_default */
    uint32_t message_bytes; /* of one response, all chunks; 0 = 16 MiB */
    uint32_t chunks;        /* 0 = 256 */
    size_t   unsent_bytes;  /* 0 = 4 MiB */

    const struct io *io; /* draws: nonces, spread of retries; NULL = io_system */
};

struct ua_client_events {
    /* `same`: the session of before, with its subscriptions. Otherwise a new one; those of this client have been brought over or are
     * being made anew, and tell so themselves. */
    void (*on_up)(void *ctx, struct ua_client *, bool same);
    /* The connection or session ended, or none came about; why->number is an FG code, the text says what to do. retry_ms >= 0: it is
     * tried again after so long; < 0: this was the end. `why` NULL: ua_client_leave. */
    void (*on_down)(void *ctx, struct ua_client *, const struct fault *why, int64_t retry_ms);
    /* Something that a person should know and that ends nothing: a swapped host name, clocks apart, a silent subscription. */
    void (*on_notice)(void *ctx, struct ua_client *, const struct fault *what);
};

/* Begins to connect. CODE_USAGE: the options contradict each other. */
FG_CHECK enum code ua_client_open(struct ua_client **out, struct loop *, const struct ua_client_options *,
                                  const struct ua_client_events *, void *ctx, struct fault *why);
/* Ends at once. */
void ua_client_close(struct ua_client *);
/* Deletes subscriptions and session, says goodbye, waits up to 2 s; then on_down comes with `why` NULL. */
void ua_client_leave(struct ua_client *);
/* The same, but the server keeps the subscriptions, for ua_subscription_adopt. */
void ua_client_part(struct ua_client *);

/* ---- asking ---- */

/* `response` is of the type asked for, its views are valid during the call; with a bad status it is NULL. The status is the
 * ServiceFault's, the response header's, or ours: BadConnectionClosed (the connection ended; whether the server did it is unknown),
 * BadTimeout, BadUnknownResponse (another type), BadDecodingError. `arena` lives during the call. */
typedef void (*ua_answer_fn)(void *ctx, ua_status, const void *response, struct arena *arena);
/* Any service. `request` is a struct of `request_type` whose header may be zeros: it is filled in; nothing of it is kept.
 * `timeout_ms` 0: options.request_ms; < 0: none. CODE_CLOSED: not up (until on_up); CODE_AGAIN: too many requests without an
 * answer; CODE_LIMIT: larger than the server takes; CODE_NOMEM. */
FG_CHECK enum code ua_client_ask(struct ua_client *, const struct ua_struct *request_type, void *request,
                                 const struct ua_struct *response_type, int64_t timeout_ms, ua_answer_fn, void *ctx,
                                 struct fault *why);

/* ---- a look at it ---- */

/* What the server does not have, and what is done instead. */
#define UA_LACKS(X) \
    X(NAMESPACES, "the namespace array cannot be read", "only ns= numbers can be used, nsu= cannot") \
    X(LIMITS, "its operation limits cannot be read", "lists are cut at 1,000 and halved when it says too many") \
    X(CLOCK, "its clock cannot be read", "clocks are not compared") \
    X(REACTIVATE, "a session does not survive its connection", "a new session is made, subscriptions are transferred or made anew") \
    X(TRANSFER, "no TransferSubscriptions", "after a lost session subscriptions are made anew") \
    X(REPUBLISH, "no Republish", "a message lost on the way stays lost and is counted") \
    X(HISTORY, "no history", "a gap after an outage is reported, not filled") \
    X(BATCH, "lists are smaller than its limits say", "lists are halved until it takes them") \
    X(PUBLISH_QUEUE, "few Publish requests at a time", "as many are kept waiting as it allows") \
    X(REVISED, "revised values missing or nonsense", "what was asked for is taken to hold") \
    X(SEQUENCE, "sequence numbers are not consecutive", "each jump is counted as lost messages") \
    X(ENDPOINTS, "the endpoints of CreateSession are not those of discovery", "the certificate is compared, the list is not") \
    X(HOST, "it names a host that is not the one dialled", "the host of the url is used") \
    X(SIGNATURE, "no server nonce on a channel without security", "it is not needed there") \
    X(DELETE, "subscriptions or items cannot be deleted", "they are left to their lifetime") \
    X(TYPES, "no description of its structures", "their bytes are given as they are")
enum ua_lack {
#define UA_X(name, what, instead) UA_LACK_##name,
    UA_LACKS(UA_X)
#undef UA_X
    UA_LACK_COUNT
};
struct ua_lack_text {
    const char *what, *instead;
};
extern const struct ua_lack_text ua_lack_texts[UA_LACK_COUNT];

/* 0: none said. */
struct ua_operation_limits {
    uint32_t read, write, call, browse, translate, register_nodes, monitored, history;
};

struct ua_client_look {
    enum ua_client_state state;
    int64_t     since_us;  /* loop time of that state */
    const char *url;
    const char *policy;    /* of the channel; NULL before the first */
    enum ua_message_security_mode mode;
    bool        unsafe;    /* accept_any, and the certificate is not one that is trusted */
    const char *product;   /* "node-opcua 2.182"; "" before it is known, escaped */
    const char *server_uri;
    struct ua_operation_limits limits;
    int64_t     clock_us;  /* the server's minus ours, INT64_MAX: not known */
    uint32_t    lacks;     /* bits by enum ua_lack */
    unsigned    namespaces, subscriptions, items, good_items;
    unsigned    waiting;   /* requests without an answer */
    uint64_t    connects, sessions, renewals; /* channels opened, sessions made, tokens renewed */
    uint64_t    messages, values, events, keep_alives;
    uint64_t    republished, lost_messages, duplicates; /* notification messages */
    uint64_t    overflows; /* values before which the server had to throw some away */
    uint64_t    made_anew; /* subscriptions */
    uint64_t    unasked;   /* responses to nothing */
    uint64_t    bytes_in, bytes_out;
    struct fault last;     /* why it was down the last time */
};
void ua_client_look(const struct ua_client *, struct ua_client_look *);
/* Its operation limits and so on are known from on_up on. Texts live as long as the session. BYTES_NONE: there is none. */
struct bytes ua_client_namespace(const struct ua_client *, uint16_t index);
/* The node with the namespace's number of this session: `nsu=` is looked up. False: the server does not have that namespace. */
FG_CHECK bool ua_client_resolve(const struct ua_client *, const struct ua_expanded_node_id *, struct ua_node_id *out);
/* Those that discovery has told; NULL and 0 before. Until the next on_down. */
const struct ua_endpoint_description *ua_client_endpoints(const struct ua_client *, size_t *count);
