/* channel.h - a secure channel of UA-TCP (Part 6, 6.7 and 7.1), both ends of it, without a socket.
 *
 *   bytes in  --ua_channel_take-->  one event at a time
 *   ua_channel_begin, the body, ua_channel_end  -->  chunks in a buf of the caller's
 *   ua_channel_tick at ua_channel_due_us        -->  renewal, time-outs
 *
 * Server: HELLO, ACKNOWLEDGE and OpenSecureChannel are answered here. Client: ua_channel_hello says hello; the channel opens by
 * itself, and is renewed when 75 % of a token's life have passed.
 *
 * What comes in is checked for its size before memory is taken for it. Whatever the peer does wrong ends the channel: an ERR
 * stands in the output if we are the server, the event says why, and from then on everything is swallowed. The caller sends
 * what is in the output and closes.
 *
 * One answer for a bad signature, bad padding, a token that is not known, a sequence number that is not the next one and a
 * certificate that is not trusted: the peer reads BadSecurityChecksFailed; the event's status and sentence have the reason.
 *
 * Thread: one at a time. Lifetime: ua_channel_new .. ua_channel_free; independent of any connection.
 */
#pragma once

#include "opcua/application.h"
#include "opcua/services.h"

struct ua_channel;

enum ua_role { UA_CLIENT, UA_SERVER };

enum {
    UA_CHUNK_BYTES_MIN = 8192,   /* nobody may ask for less [Part 6, 7.1.2.3] */
    UA_HELLO_BYTES_MAX = 8192,
    UA_URL_BYTES_MAX = 4096,
    UA_SEND_HEAD = 24            /* what ua_channel_begin puts in front of a body */
};

/* L-UA. */
struct ua_channel_limits {
    uint32_t receive_bytes;   /* of a chunk that comes        65,535 */
    uint32_t send_bytes;      /* of a chunk that goes         65,535 */
    uint32_t message_bytes;   /* of a message that comes      2 MiB  */
    uint32_t chunks;          /* of a message that comes      64     */
    uint32_t lifetime_ms_min; /* of a token; servers revise   10 s   */
    uint32_t lifetime_ms_max; /* ... and clients ask for this 1 h    */
    uint32_t open_s;          /* from the start to open       10     */
    uint32_t message_s;       /* from a message's first byte to its last 60 */
};
extern const struct ua_channel_limits ua_channel_limits_default;

/* Both clocks, as read by the caller. */
struct ua_now {
    int64_t us;      /* never goes back: time-outs */
    int64_t wall_us; /* since 1970: what is told   */
};

struct ua_channel_config { /* copied; what it points to is borrowed until ua_channel_free, `own` and `server` are held */
    enum ua_role role;
    struct ua_channel_limits limits;
    const struct io *io;             /* random numbers */
    struct ua_application *own;      /* NULL: policy None only */
    /* ---- server ---- */
    uint32_t id;                     /* of the channel: not 0, and not used before */
    /* May a channel of this policy and mode be opened? It is not asked about None, which is for discovery: the services served
     * on it are the caller's choice. NULL: only None. */
    bool (*offers)(void *ctx, const struct ua_policy *, int mode);
    /* Is this client's certificate to be believed? Asked at each opening and renewal. Anything but Good is told to nobody but
     * the log. */
    ua_status (*verify)(void *ctx, struct ua_certificate *peer, struct fault *why);
    void *ctx;
    /* ---- client ---- */
    const struct ua_policy *policy;
    int mode;                        /* UA_MODE_... */
    struct ua_certificate *server;   /* already believed (trust.h); another one in the answer ends the channel */
};

enum ua_event_kind {
    UA_EVENT_NONE,    /* more bytes are needed */
    UA_EVENT_OPENED,
    UA_EVENT_RENEWED,
    UA_EVENT_MESSAGE, /* request_id, body */
    UA_EVENT_ABORTED, /* request_id, status: the peer gave this message up; the channel goes on */
    UA_EVENT_CLOSED,  /* by the peer; status is what an ERR said, 0 after CloseSecureChannel */
    UA_EVENT_ERROR    /* status: what the peer did wrong, or what we lack; the channel is at its end */
};
struct ua_event {
    enum ua_event_kind kind;
    uint32_t     request_id;
    struct bytes body;   /* with the type's NodeId in front; valid until the next ua_channel_take, as long as the input is */
    ua_status    status;
    struct fault why;    /* ABORTED, CLOSED, ERROR: a sentence without the peer's address */
};

/* NULL: no memory. */
struct ua_channel *ua_channel_new(const struct ua_channel_config *, struct ua_now);
void               ua_channel_free(struct ua_channel *); /* NULL is fine; wipes its keys */

/* Client: the first bytes. `url` is of the form opc.tcp://host:4840/path. */
void ua_channel_hello(struct ua_channel *, struct bytes url, struct buf *out);

/* Takes chunks from the front of `in` until one is an event or no whole one is left; returns how many bytes it has taken. Call
 * it until the event is NONE. What answers go with them is added to *out. */
size_t ua_channel_take(struct ua_channel *, struct bytes in, struct ua_now, struct buf *out, struct ua_event *);

/* When ua_channel_tick is due, on the clock that never goes back; INT64_MAX: not at all. Ask again after each call. */
int64_t ua_channel_due_us(const struct ua_channel *);
/* Event: NONE, or ERROR when something did not come in time. */
void ua_channel_tick(struct ua_channel *, struct ua_now, struct buf *out, struct ua_event *);
/* Client: renews now. Nothing happens while a renewal is under way, or when it is not open. */
void ua_channel_renew(struct ua_channel *, struct ua_now, struct buf *out);

/* ---- sending: begin, write the body behind it, end ---- */
struct ua_sending {
    size_t at; /* from the front of what waits in the buffer */
};
/* Leaves room for the head. Nothing else may be added to *out or taken from it until the end. */
void ua_channel_begin(struct ua_channel *, struct buf *out, struct ua_sending *);
/* Makes chunks of it, in place if it fits into one. Not Good: nothing was added; UA_BAD_RESPONSE_TOO_LARGE (server),
 * UA_BAD_REQUEST_TOO_LARGE (client): more than the peer takes - send a fault instead; UA_BAD_OUT_OF_MEMORY;
 * UA_BAD_SECURE_CHANNEL_CLOSED: it is not open. */
FG_CHECK ua_status ua_channel_end(struct ua_channel *, struct buf *out, const struct ua_sending *, uint32_t request_id);
/* Takes back what was begun. */
void ua_channel_undo(struct buf *out, const struct ua_sending *);
/* Both at once, for a body that lies elsewhere. */
FG_CHECK ua_status ua_channel_send(struct ua_channel *, struct buf *out, uint32_t request_id, struct bytes body);
/* A message that comes may have so many bytes from now on, and never more than the limits: for peers that have proved nothing
 * yet. What HELLO tells them stays. */
void ua_channel_allow(struct ua_channel *, uint32_t message_bytes);
/* The longest body the peer takes. */
uint64_t ua_channel_body_max(const struct ua_channel *);
/* An abort chunk for this message. */
FG_CHECK ua_status ua_channel_abort(struct ua_channel *, struct buf *out, uint32_t request_id, ua_status, const char *reason);
/* Client: a number for a new request: not 0, and none of those given out in the last four thousand million. */
uint32_t ua_channel_request_id(struct ua_channel *);
/* Client: CloseSecureChannel, server: an ERR with the status. The channel is at its end; send and close. */
void ua_channel_close(struct ua_channel *, struct ua_now, struct buf *out, ua_status, const char *reason);

/* ---- what it is ---- */
bool     ua_channel_is_open(const struct ua_channel *);
bool     ua_channel_is_over(const struct ua_channel *);
const struct ua_policy *ua_channel_policy(const struct ua_channel *); /* NULL until it is open */
int      ua_channel_mode(const struct ua_channel *);
struct ua_certificate *ua_channel_peer(const struct ua_channel *); /* borrowed; NULL for None */
/* Server: what the client has called us in its HELLO; empty before. */
struct bytes ua_channel_url(const struct ua_channel *);
uint32_t ua_channel_renewals(const struct ua_channel *);
