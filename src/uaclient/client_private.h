/* client_private.h - what the files of the client share. Not for others.
 *
 *   client.c         options, life, connecting again
 *   client_link.c    connection and channel: bytes to messages, time
 *   client_ask.c     requests and their answers
 *   client_find.c    discovery: which endpoint
 *   client_start.c   the session
 *   client_user.c    who speaks: identity tokens
 *   client_see.c     what the server is and has
 *   publish.c        Publish requests and what answers them
 */
#pragma once

#include "uaclient/client.h"
#include "uaclient/many.h"

#include "opcua/channel.h"
#include "opcua/ids.h"

enum {
    UA_REQUESTS = 1024,   /* without an answer */
    UA_BUCKETS = 256,
    UA_ENDPOINTS_MAX = 64, /* that are looked at */
    UA_TELL_BYTES = 160
};

/* The numbers for people. */
enum ua_fault_number {
    UA_FG_UNREACHABLE = 5201, /* no connection, or it ended */
    UA_FG_HOST = 5202,        /* the server names another host */
    UA_FG_NOT_TRUSTED = 5203, /* it does not trust us */
    UA_FG_UNSAFE = 5204,      /* we do not trust it, or believe it unseen */
    UA_FG_NO_ENDPOINT = 5205, /* nothing fits */
    UA_FG_USER = 5206,        /* it refuses the user */
    UA_FG_SWAPPED = 5207,     /* another certificate, or worse security, than discovery said */
    UA_FG_CLOCK = 5208,
    UA_FG_REFUSED = 5209,     /* it refuses for another reason */
    UA_FG_SILENT = 5210,
    UA_FG_LOST = 5211,        /* messages */
    UA_FG_GAP = 5212,         /* time */
    UA_FG_BROKEN = 5213       /* it does what the standard forbids */
};

struct ua_pending;
typedef void (*ua_raw_fn)(struct ua_pending *, ua_status, struct bytes body);
/* One request without an answer. */
struct ua_pending {
    struct ua_pending *next; /* in its bucket */
    struct ua_client  *client;
    uint32_t     id;
    struct timer timer;
    ua_raw_fn    raw; /* gives it to whoever asked; the pending is freed behind it */
    const struct ua_struct *response_type;
    ua_answer_fn answer;
    void        *ctx;
};

/* A list at work (many.c), a walk (browse.c) ...: something that ends with the client. */
struct ua_work {
    struct ua_work *next, *prev;
    struct ua_client *client;
    void (*drop)(struct ua_work *); /* frees it, tells nobody */
};

/* Publishing, for all subscriptions of the session. */
struct ua_publishing {
    unsigned parked;  /* requests at the server */
    unsigned most;    /* that it allows */
    unsigned held;    /* answers that wait for their turn, whose requests are not sent again yet */
    bool     pausing; /* after a strange refusal */
    struct timer pause;
    bool on_hold; /* the owner takes nothing at the moment */
    struct buf acks;  /* u32 subscription, u32 sequence */
};

struct ua_client {
    struct loop *loop;
    struct ua_client_options set; /* its texts lie in `texts` */
    char        *texts;
    struct ua_client_events events;
    void        *ctx;
    struct bytes host;  /* in texts, NUL behind it */
    uint16_t     port;

    enum ua_client_state state;
    int64_t      since_us;
    bool         dead;      /* closed; memory goes when nobody needs it */
    bool         leaving;   /* ua_client_leave */
    bool         parting;   /* ua_client_part */
    unsigned     busy;      /* inside of so many calls of our own */
    int64_t      retry_ms;  /* the last wait; 0: none */
    int64_t      up_us;     /* loop time since when it is up; 0: it is not */
    struct timer timer;     /* waiting: the next attempt; connecting: its end; leaving: too */
    struct timer tick;      /* the channel's */
    struct timer alive;     /* a look whether the server still answers */
    int64_t      heard_us, asked_us;
    bool         asking_alive;
    struct fault why;       /* why we end this connection; code 0: we do not */

    struct conn       *conn;
    struct ua_channel *channel;
    bool               refused_at_open; /* an ERR came before the channel was open */
    struct ua_pending *pending[UA_BUCKETS];
    unsigned           pending_count;

    /* What discovery has told; forgotten when it does not hold. */
    struct arena found;
    const struct ua_endpoint_description *endpoints;
    size_t       endpoint_count;
    const struct ua_endpoint_description *endpoint; /* chosen; NULL: discovery is due */
    const struct ua_policy *policy;
    int          mode;
    struct ua_certificate *certificate; /* the server's; NULL: it has none */
    bool         unsafe;
    uint32_t     told; /* notices that are said once: bits by number - 5200 */

    /* The session. */
    bool         have_session;
    bool         same;    /* it is the one of before */
    unsigned     revive_tries;
    struct ua_node_id session_id, token;
    struct arena session;
    struct buf   nonce;   /* the server's last one */
    uint8_t      own_nonce[UA_NONCE_BYTES];
    double       session_ms;
    uint32_t     request_bytes; /* that it takes; 0: any */
    uint64_t     session_number; /* counts sessions */

    /* What the server is. */
    struct arena seen;
    const struct bytes *namespaces;
    uint32_t     namespace_count;
    uint64_t     namespace_hash, namespace_generation; /* counts how often they have changed */
    char         product[UA_TELL_BYTES], server_uri[UA_TELL_BYTES];
    struct ua_operation_limits limits;
    uint32_t     list_most[UA_LIST_COUNT]; /* that have worked; 0: not known yet */
    int64_t      clock_us;
    uint32_t     lacks;

    struct ua_work        *works;
    struct ua_subscription *subscriptions;
    struct ua_publishing   publishing;

    uint64_t connects, sessions, messages, values, occurrences, keep_alives, republished, lost_messages, duplicates, made_anew,
        unasked, bytes_in, bytes_out, renewals, overflows;
    struct fault last;
};

/* ---- client.c ---- */
/* Around everything that may call the owner: false at the end of leave: the client is gone. */
void client_enter(struct ua_client *);
bool client_leave_call(struct ua_client *);
void client_state(struct ua_client *, enum ua_client_state);
/* Ends the connection because of `why`; what follows (retry, end) happens when it is closed. */
void client_fail(struct ua_client *, const struct fault *why);
/* The connection is over, or none came about. */
void client_down(struct ua_client *, const struct fault *why);
/* Frees it if it is dead and nothing needs it. */
void client_bury(struct ua_client *);
void client_notice(struct ua_client *, int number, const char *fmt, ...) FG_PRINTF(3, 4);
/* The same, once for each life of the client. */
bool client_told(struct ua_client *, int number);
void client_lacks(struct ua_client *, enum ua_lack);

/* ---- client_link.c ---- */
/* Dials with what is chosen; a channel without security when nothing is. */
void client_dial(struct ua_client *);
struct ua_now client_now(const struct ua_client *);
/* The end of the channel, said to the server; the connection closes behind it. */
void client_hang_up(struct ua_client *);

/* ---- client_ask.c ---- */
/* As ua_client_ask, in any state that has an open channel. The raw function gets the body, or nothing and a bad status. */
FG_CHECK enum code client_ask_raw(struct ua_client *, const struct ua_struct *request_type, void *request, int64_t timeout_ms,
                                  ua_raw_fn, ua_answer_fn, void *ctx, const struct ua_struct *response_type, struct fault *why);
FG_CHECK enum code client_ask(struct ua_client *, const struct ua_struct *request_type, void *request,
                              const struct ua_struct *response_type, int64_t timeout_ms, ua_answer_fn, void *ctx, struct fault *why);
void client_answer(struct ua_client *, uint32_t id, ua_status, struct bytes body);
/* All that wait get this status, or, if the client is dead, nothing. */
void client_answer_all(struct ua_client *, ua_status);
/* Reads the body of a message into *response of that type. */
ua_status client_read(struct ua_client *, struct bytes body, const struct ua_struct *, void *response, struct arena *);
void work_begin(struct ua_client *, struct ua_work *, void (*drop)(struct ua_work *));
void work_end(struct ua_work *);

/* ---- client_find.c ---- */
void client_find(struct ua_client *);
void client_forget_found(struct ua_client *);
/* The endpoints of CreateSession against those of discovery: CODE_REFUSED when it has better security than was used. */
FG_CHECK enum code client_compare(struct ua_client *, const struct ua_endpoint_description *, size_t count, struct fault *why);
const struct ua_user_token_policy *client_token_policy(const struct ua_client *, const struct ua_endpoint_description *);

/* ---- client_start.c ---- */
void client_start(struct ua_client *);
/* The server has forgotten the session, or refuses it. */
void client_session_lost(struct ua_client *, ua_status);
/* The sentence for a refusal, with its FG number. */
void client_refusal(struct ua_client *, const char *what, ua_status, struct fault *why);

/* ---- client_user.c ---- */
FG_CHECK enum code client_user_token(struct ua_client *, struct arena *, struct ua_activate_session_request *, struct fault *why);

/* ---- client_see.c ---- */
void client_see(struct ua_client *);
void client_is_up(struct ua_client *);
void client_watch_alive(struct ua_client *);

/* ---- subscription.c, publish.c ---- */
void subscriptions_up(struct ua_client *, bool same);
void subscriptions_down(struct ua_client *);
void subscriptions_drop(struct ua_client *); /* frees all */
void publish_pump(struct ua_client *);
void publish_wake(struct ua_client *); /* the same, without waiting */
ua_time client_server_time(const struct ua_client *); /* now, by its clock as far as that is known */
