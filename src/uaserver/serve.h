/* serve.h - what the services of a server share. Not for others.
 *
 *   server.c      life of a server, listening            link.c        a connection with its channel; requests come in
 *   request.c     answers and faults                     session.c     sessions, their time-outs
 *   activate.c    user tokens                            discovery.c   FindServers, GetEndpoints
 *   read.c        Read                                   write.c       Write
 *   call.c        Call                                   history_read.c HistoryRead
 *   dispatch.c    the table of services
 *
 * A request is answered in three steps, with the body written straight into the connection's output:
 *
 *   struct buf *out = uas_begin(r, UA_ENCODING_read_response);      type and ResponseHeader
 *   ... write the rest of the body to out ...
 *   uas_end(r);                                                     chunks are made of it
 *
 * or uas_answer(r, &ua_read_response_type, &response), or uas_fault(r, status). Between begin and end nothing else may be sent
 * on that link. A request that is answered later (Publish) leaves a ticket and returns.
 */
#pragma once

#include "base/io.h"
#include "opcua/channel.h"
#include "opcua/rsa.h"
#include "uaserver/server.h"

#include <stdatomic.h>

struct uas_session;
struct uas_link;
struct uas_ask;

/* ---- requests ---- */
struct uas_request {
    struct ua_server   *server;
    struct uas_link    *link;
    struct uas_session *session; /* NULL: of a service that needs none */
    uint32_t            id;      /* of the channel's request */
    uint32_t            encoding;
    struct ua_request_header header; /* read already */
    struct ua_reader    in;      /* behind the header */
    struct arena       *arena;   /* until the handler returns */
    struct ua_sending   sending; /* private */
    bool                answered;
    uint64_t            body_max; /* the session's: MaxResponseMessageSize; 0: none */
    uint64_t            work;    /* bytes of long values that were taken apart for it (uas_work) */
};
typedef void (*uas_handler)(struct uas_request *);

enum uas_need {
    UAS_NEED_NOTHING, /* discovery, CreateSession */
    UAS_NEED_SESSION, /* ActivateSession, CloseSession: one that need not be active */
    UAS_NEED_ACTIVE
};
struct uas_service {
    uint32_t      encoding; /* of the request */
    enum uas_need need;
    uas_handler   handle;
};
/* Reads what is left of the request by its table; `out` is the whole structure, its header is filled. False: a fault was sent. */
FG_CHECK bool uas_read(struct uas_request *, const struct ua_struct *, void *out);
/* 0: BadNothingToDo, more than the limit: BadTooManyOperations; false: a fault was sent. */
FG_CHECK bool uas_count(struct uas_request *, uint32_t operations);

/* A part of a long value is asked for or written, which takes the whole value apart. False: this request has done so too often;
 * others wait meanwhile. The operation gets BadResourceUnavailable. */
FG_CHECK bool uas_work(struct uas_request *, const struct ua_value *);

/* *out is never NULL; it may be `bad`, which uas_end notices. */
struct buf *uas_begin(struct uas_request *, uint32_t response_encoding);
void        uas_end(struct uas_request *);
/* Takes back what was begun: a fault may follow. */
void        uas_undo(struct uas_request *);
/* As a whole; the response's first field is its header, which is filled here. */
void uas_answer(struct uas_request *, const struct ua_struct *, void *response);
void uas_fault(struct uas_request *, ua_status);

/* An answer that comes later. A plain value; good for as long as the link is there (uas_hooks.link_gone). */
struct uas_ticket {
    struct uas_link *link;
    uint32_t id, handle;
    int64_t  until_us; /* loop time: its TimeoutHint; INT64_MAX: none */
    uint64_t body_max; /* as the request's */
};
struct uas_ticket uas_ticket_of(struct uas_request *); /* the request counts as answered */
struct buf *uas_ticket_begin(const struct uas_ticket *, uint32_t response_encoding, struct ua_sending *);
/* Good, or why nothing was sent (UA_BAD_RESPONSE_TOO_LARGE: the client takes less). */
ua_status uas_ticket_end(const struct uas_ticket *, const struct ua_sending *);
void      uas_ticket_fault(const struct uas_ticket *, ua_status);
/* False: this client does not take what was sent already; keep things queued and come again when the next request arrives, or
 * in a later cycle. */
bool uas_ready(struct uas_link *);
/* The longest body of a response. */
uint64_t uas_body_max(const struct uas_request *);
uint64_t uas_ticket_body_max(const struct uas_ticket *);

/* ---- a connection ---- */
struct uas_link {
    struct uas_link    *next, *prev;
    struct ua_server   *server;
    struct conn        *conn;
    struct ua_channel  *channel;
    struct timer        timer;    /* the channel's time-outs, and our own */
    struct uas_session *sessions; /* those that are attached, by their next_of_link */
    int64_t             opened_us;    /* accepted */
    int64_t             sessionless_us; /* since when it has had no session; 0: it has */
    size_t              unsent;    /* as backlog.c has noted it */
    bool                opened;    /* the channel was */
    bool                closing;
    bool                paused;    /* it does not take what it has asked for, and is not listened to */
};

/* ---- sessions ---- */
enum { UAS_SECRET = 32, UAS_HOST_CHARS = 64 };
struct uas_session {
    struct uas_session *next, *prev;
    struct uas_session *next_of_link;
    struct ua_server   *server;
    struct uas_link    *link;       /* NULL: its connection is gone, it waits to be moved */
    struct ua_node_id   id;         /* a number of namespace 1 */
    uint8_t             secret[UAS_SECRET]; /* the authentication token: a byte string of namespace 0 */
    uint8_t             nonce[UA_NONCE_BYTES]; /* the last one given out */
    bool                active;
    char                host[UAS_HOST_CHARS]; /* where its last connection came from, without the port */
    char               *name;       /* escaped; "session 7" if the client has not named it */
    struct ua_certificate *certificate; /* of the client, held; NULL for None */
    const struct ua_policy *policy;
    int                 mode;
    struct ua_server_user user;
    double              timeout_ms;
    int64_t             created_us;
    struct timer        timer;      /* no request within timeout_ms */
    int64_t             heard_us;   /* loop time of the last request */
    uint64_t            body_max;   /* the client's MaxResponseMessageSize; 0: none */
    struct uas_ask     *ask;        /* a user is being checked */
    void               *subs;       /* of the subscription services */
    void               *views;      /* of the view services: browse continuation points */
};

/* The parts that keep something of a session. Called for each session; NULL: none of it. */
struct uas_hooks {
    void (*server_closing)(struct ua_server *);
    /* Once, at its end: CloseSession, time-out, server's end. */
    void (*session_closing)(struct uas_session *, bool delete_subscriptions);
    /* It has lost its link, or was moved to another one: tickets of it are void. */
    void (*link_gone)(struct uas_session *);
    /* CancelRequest: faults what waits with this handle by BadRequestCancelledByClient; how many. */
    uint32_t (*cancel)(struct uas_session *, uint32_t request_handle);
};
enum { UAS_HOOKS = 4, UAS_LISTENERS = 8, UAS_LENT_BYTES = 256 * 1024, UAS_WORK_BYTES = 16 * 1024 * 1024,
       UAS_HISTORY_NODES = 100 /* of one HistoryRead: each looks through a whole ring */ };

struct ua_server {
    struct loop        *loop;
    const struct io    *io;
    struct ua_space    *space;
    struct ua_server_options options; /* its texts lie in `texts` */
    struct ua_server_limits  limits;  /* without zeros */
    struct arena        texts;
    ua_time             start_time;
    enum ua_server_state state;
    struct listener    *listeners[UAS_LISTENERS];
    unsigned            listener_count;
    struct uas_link    *links;        /* newest first */
    uint32_t            link_count, last_channel;
    uint64_t            unsent;       /* of all links, as noted */
    struct uas_session *sessions;     /* newest first */
    uint32_t            session_count, last_session;
    const struct uas_hooks *hooks[UAS_HOOKS]; /* put there in ua_server_open; NULL behind the last */
    void               *subs;         /* of the subscription services */
    uint8_t            *lent;         /* the requests' arena */
    struct uas_penalty *penalties;    /* activate.c */
    struct uas_ask     *asks;
    bool                closed;
};

/* ---- link.c ---- */
void uas_link_open(struct ua_server *, const struct net_peer *);
/* An ERR with this status, and the end. */
void uas_link_end(struct uas_link *, ua_status, const char *reason);
/* At once, with what waits for it. */
void uas_link_drop(struct uas_link *);
struct ua_now uas_now(const struct ua_server *);

/* ---- backlog.c ---- */
uint64_t uas_backlog_share(const struct ua_server *);
/* Something was added to its output, or taken. */
void uas_backlog_note(struct uas_link *);
void uas_backlog_forget(struct uas_link *);
/* All have too much waiting, and this one is among those it is due to. */
bool uas_behind(struct uas_link *);
void uas_backlog_log(const struct uas_link *, const char *what);
/* Closes the worst while there is twice too much. Not while an answer is being written. */
void uas_backlog_relieve(struct ua_server *);

/* ---- server.c ---- */
/* A closing server ends with its last link. */
void ua_server_link_closed(struct ua_server *);

/* ---- dispatch.c ---- */
void uas_dispatch(struct uas_link *, uint32_t id, struct bytes body);

/* ---- session.c ---- */
/* Closes it with all it has. */
void uas_session_close(struct uas_session *, bool delete_subscriptions);
/* The one with this authentication token, wherever it is attached; NULL: none. */
struct uas_session *uas_session_find(const struct uas_link *, const struct ua_node_id *token);
void uas_session_attach(struct uas_session *, struct uas_link *);
void uas_session_detach(struct uas_session *);
void uas_session_heard(struct uas_session *);
void uas_create_session(struct uas_request *);
void uas_close_session(struct uas_request *);
void uas_cancel(struct uas_request *);

/* ---- activate.c ---- */
void uas_activate_session(struct uas_request *);
/* One name, one certificate. */
bool uas_same_user(const struct ua_server_user *, const struct ua_server_user *);
void uas_ask_forget(struct uas_ask *); /* its session is gone */
void uas_asks_link_gone(struct ua_server *, const struct uas_link *);
void uas_asks_close(struct ua_server *);
/* What stands in SignatureData for a policy other than None: over a | b. */
FG_CHECK bool uas_signature_good(const struct ua_policy *, EVP_PKEY *, struct bytes a, struct bytes b,
                                 const struct ua_signature_data *);

/* ---- discovery.c ---- */
void uas_find_servers(struct uas_request *);
void uas_get_endpoints(struct uas_request *);
/* All endpoints as this client sees us; they lie in the arena. False: no memory. */
FG_CHECK bool uas_endpoints(struct uas_link *, struct bytes url, struct arena *, const struct ua_endpoint_description **out,
                            uint32_t *count);
/* The policy that secrets and signatures of users are protected by on a channel of this one. */
const struct ua_policy *uas_user_policy(const struct ua_policy *channel);
/* "username_basic256sha256" */
void uas_policy_id(char out[64], enum ua_user_token, const struct ua_policy *);

/* ---- the attribute and method services ---- */
void uas_read_service(struct uas_request *);
void uas_write_service(struct uas_request *);
void uas_call_service(struct uas_request *);
void uas_history_read_service(struct uas_request *);

/* ---- counters ---- */
struct uas_counters {
#define UA_X(name) _Atomic uint64_t name;
    UA_SERVER_COUNTERS(UA_X)
#undef UA_X
};
extern struct uas_counters uas_counters;
static inline void uas_add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}
static inline void uas_sub(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_sub_explicit(counter, n, memory_order_relaxed);
}
#define UAS_COUNT(name) uas_add(&uas_counters.name, 1)
