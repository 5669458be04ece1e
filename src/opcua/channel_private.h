/* channel_private.h - what the channel_*.c files share. Not for others.
 *
 *   channel.c          life, time, ends
 *   channel_hello.c    HELLO, ACKNOWLEDGE, ERROR
 *   channel_open.c     OpenSecureChannel: what is said; tokens
 *   channel_asym.c     OpenSecureChannel: how it is protected
 *   channel_receive.c  chunks that come in
 *   channel_send.c     chunks that go out
 */
#pragma once

#include "opcua/channel.h"
#include "opcua/rsa.h"
#include "opcua/status.h"
#include "opcua/symmetric.h"

enum {
    CHUNK_HEAD = 8,      /* type, size             */
    SEQUENCE_HEAD = 8,   /* number, request        */
    MSG_HEAD = 16,   /* with channel and token */
    ASSEMBLY_KEEP = 128 * 1024,
    PAST_TOKENS = 4,
    SEQUENCE_LAST = UINT32_MAX - 1024 /* after it the next number is below 1024 */
};

enum channel_state {
    CHANNEL_START,   /* server: HELLO has to come; client: it was not said */
    CHANNEL_HELLO,   /* client: ACKNOWLEDGE has to come */
    CHANNEL_OPENING, /* OpenSecureChannel, or its answer, has to come */
    CHANNEL_OPEN,
    CHANNEL_OVER
};

struct token {
    uint32_t        id; /* 0: none */
    int64_t         made_us, life_us;
    struct ua_keys *send, *receive; /* NULL for None */
    bool            used;           /* something was sent or received under it */
};

struct ua_channel {
    /* Fixed. */
    struct ua_channel_config config;
    int64_t  began_us;

    enum channel_state state;
    uint32_t id;
    const struct ua_policy *policy;
    int      mode;
    struct ua_certificate *peer; /* held */
    char    *url;
    size_t   url_len;

    /* What was agreed on. */
    uint32_t receive_bytes, send_bytes;
    uint32_t allowed_bytes; /* of a message that comes, for now */
    uint32_t send_message_bytes, send_chunks; /* 0: no limit */

    uint32_t sent, received; /* the last sequence numbers */
    bool     received_any;
    uint32_t request_id;     /* client: the last one given out */

    /* We send with `token`. `other`, for a server: the one behind it that the client has not used yet. `past`, for a client:
     * those that the server may still send under, newest first, for receiving only. Some servers answer under the token that
     * they were asked with, however many renewals ago. */
    struct token token, other, past[PAST_TOKENS];
    uint32_t     last_token;
    uint32_t     renewals;
    uint8_t      own_nonce[UA_NONCE_BYTES], peer_nonce[UA_NONCE_BYTES];
    bool         renewing;
    uint32_t     opening_id; /* client: the request that is not answered */

    /* The message that is coming: eight spare bytes, then its body. */
    struct buf assembly;
    bool       assembling;
    uint32_t   assembling_id, chunks;
    bool       busy;    /* a chunk or a message has begun */
    int64_t    busy_us;
};

/* One call's world. */
struct turn {
    struct ua_channel *c;
    struct ua_now      now;
    struct buf        *out;
    struct ua_event   *event;
};

/* ---- channel.c ---- */
/* Ends the channel. `told` goes to the peer, `status` to the caller; the sentence goes along when it does not give away what
 * a stranger should not know. Returns false. */
bool channel_fail(struct turn *, ua_status told, ua_status status, const char *fmt, ...) FG_PRINTF(4, 5);
bool channel_no_memory(struct turn *);
/* The one answer: BadSecurityChecksFailed. */
#define channel_distrust(t, status, ...) channel_fail((t), UA_BAD_SECURITY_CHECKS_FAILED, (status), __VA_ARGS__)
void token_clear(struct token *);
void token_clear_all(struct ua_channel *);
void token_promote(struct ua_channel *); /* `other` becomes `token` */
int64_t token_ends_us(const struct token *); /* with the quarter of grace */

/* ---- channel_hello.c ---- */
bool channel_on_hello(struct turn *, struct bytes chunk);
bool channel_on_acknowledge(struct turn *, struct bytes chunk);
bool channel_on_error(struct turn *, struct bytes chunk);
void channel_write_error(struct buf *out, ua_status, struct bytes reason);

/* ---- channel_open.c ---- */
bool channel_on_open(struct turn *, struct bytes chunk);
void channel_ask_open(struct turn *, bool renew);

/* ---- channel_asym.c ---- */
struct open_chunk {
    uint32_t     channel, sequence, request_id;
    struct bytes policy_uri, certificate, thumbprint;
    struct bytes head; /* everything before what is encrypted */
    struct bytes rest; /* what is encrypted                   */
    struct bytes body; /* in `plain`, or in the chunk         */
    uint8_t     *plain;
    size_t       plain_bytes;
};
/* Reads what is in the clear. */
bool asym_read(struct turn *, struct bytes chunk, struct open_chunk *);
/* Decrypts and verifies, by the policy and with the certificate given. */
bool asym_unprotect(struct turn *, struct open_chunk *, const struct ua_policy *, struct ua_certificate *peer);
void asym_clear(struct open_chunk *);
bool asym_write(struct ua_channel *, struct buf *out, uint32_t request_id, const struct ua_policy *, struct ua_certificate *peer,
                const struct ua_struct *, const void *message);

/* ---- channel_receive.c ---- */
/* False: the channel has failed. */
bool channel_on_message(struct turn *, struct bytes chunk);
bool channel_on_close(struct turn *, struct bytes chunk);
/* The number that must come next, or a wrap. */
bool channel_sequence(struct turn *, uint32_t number);

/* ---- channel_send.c ---- */
uint32_t channel_next_sequence(struct ua_channel *);
/* Sends the body behind *s as type ("MSG") and kind ('F', 'A'). */
ua_status channel_finish(struct ua_channel *, struct buf *out, const struct ua_sending *s, uint32_t request_id, const char *type,
                         char kind);
