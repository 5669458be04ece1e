/* http.h - HTTP/1.1, server and client, on loop.h. Parsing by http-parser, limits by us.
 *
 * Server: a listener whose connections are given to http_serve; each complete request calls the handler on
 * the loop. The handler answers now (http_reply) or later, or streams (http_begin, http_chunk, http_end)
 * with back-pressure. Keep-alive and pipelining are handled here; requests of one connection are answered
 * in order.
 *
 * Refusals (limits: L-HTTP): request line 414, headers 431, body 413, both Content-Length and
 * Transfer-Encoding or either twice 400 and close, no complete header within 10 s 408, malformed 400, not
 * HTTP/1.0 or 1.1 505. A connection is closed after 60 s without a request, 30 s without progress of a
 * request's body (408), or 60 s in which the peer takes nothing of an answer. Above `connections` the oldest that waits
 * for nothing of ours makes room. Log: FG1103 a refusal, FG1104 nothing was asked in time, FG1105 made room.
 *
 * Thread: the loop's. Request line and headers together are limited to 80 KiB by the parser, whatever the
 * limits.
 */
#pragma once

#include "net/loop.h"

struct http_limits {
    uint32_t request_line, header_bytes, header_count, body_bytes, header_seconds, connections;
};
extern const struct http_limits http_limits_default; /* 8 KiB, 32 KiB, 100, 1 MiB, 10, 1,000 */

struct http_server;   /* handler and limits, shared by connections of a loop */
struct http_exchange; /* one request being answered */

/* Views: during the handler only. */
struct http_request {
    struct bytes method, path /* percent-decoded, without query */, query /* raw */, body, peer /* address */;
    bool         loopback;
    uint16_t     door; /* see conn_door */
    uint32_t     uid;
};
typedef void (*http_handler)(void *ctx, struct http_exchange *, const struct http_request *);

FG_CHECK enum code http_server_open(struct http_server **out, struct loop *, const struct http_limits *,
                                    http_handler, void *ctx, struct fault *why);
/* For requests that begin from now on. */
void http_server_set_limits(struct http_server *, const struct http_limits *);
void http_serve(struct http_server *, const struct net_peer *); /* takes the peer over */
/* Who may connect. */
struct http_guard {
    /* 0, or the status that it is refused with: 429, 503. *counted: `went` is owed when the connection is over, or no longer
     * one of HTTP. */
    unsigned (*came)(void *ctx, const struct net_peer *, bool *counted);
    void (*went)(void *ctx, const char *address);
    void *ctx;
};
void http_server_guard(struct http_server *, const struct http_guard *); /* copied */
/* Connections are closed; `gone` of every open exchange is called from here. Before or after loop_close. */
void http_server_close(struct http_server *);

/* The value of a header of the current request, or an empty view; name in lower case. During the handler
 * only. */
struct bytes http_header(const struct http_exchange *, const char *name);
/* The percent-decoded value of a query key into out (NUL-terminated); false if absent or too long. Pure. */
bool http_query(struct bytes query, const char *key, char *out, size_t cap);

/* One more header for the answer to come (Retry-After, ETag, WWW-Authenticate); name and value are trusted
 * text. */
void http_add_header(struct http_exchange *, const char *name, const char *value);
void http_reply(struct http_exchange *, unsigned status, const char *content_type, struct bytes body);
/* {"error":{"code":"FG1234","message":"..."}} */
void http_reply_fault(struct http_exchange *, unsigned status, const struct fault *);
/* A stream of unknown length (chunked). http_chunk: CODE_AGAIN when more than 1 MiB is unsent: nothing was
 * taken, give it again when drained. CODE_CLOSED: the peer has left (only where nobody watches); http_end
 * is still owed. */
void http_begin(struct http_exchange *, unsigned status, const char *content_type);
enum code http_chunk(struct http_exchange *, struct bytes);
void http_end(struct http_exchange *);
/* drained: more may be sent. gone: the peer left; the exchange must not be used after this call. Exactly
 * one of http_end/http_reply by you or gone by us ends an exchange. Without a `gone`, an exchange whose
 * peer left lives on until you end it. */
void http_watch(struct http_exchange *, void (*drained)(void *ctx), void (*gone)(void *ctx), void *ctx);
/* Answers 101 [RFC 9110, 7.8] with `Upgrade: protocol` and the added headers, and gives the connection away: HTTP has done
 * with it and the exchange is over. During the handler only, and before the handler returns the connection needs filters
 * or events of its own; bytes behind the request are shown to those. */
struct conn *http_upgrade(struct http_exchange *, const char *protocol);

/* Of all servers of this process, any thread. */
struct http_stats {
    uint64_t connections;  /* now */
    uint64_t refused;      /* requests that were not understood or came too late, and who was refused by the guard (FG1103) */
    uint64_t silent;       /* FG1104 */
    uint64_t made_room;    /* FG1105 */
};
void http_stats(struct http_stats *);

/* ---- client ---- one request per connection: the verbs (api.sock), webhooks. */
struct http_call_events {
    void (*on_head)(void *ctx, unsigned status);
    void (*on_body)(void *ctx, struct bytes part);
    void (*on_done)(void *ctx, const struct fault *why); /* why NULL: complete. The last call. */
};
struct http_call;
struct tls_client;
struct http_call_options { /* borrowed for the call */
    const char        *host;    /* or unix:/path */
    uint16_t           port;
    const char        *method, *target;
    const char        *headers; /* more lines, each with its CRLF; may be NULL. Content-Type is JSON's unless it is there */
    struct bytes       body;
    struct tls_client *tls;     /* NULL: plain */
};
FG_CHECK enum code http_call_start(struct http_call **out, struct loop *, const struct http_call_options *,
                                   const struct http_call_events *, void *ctx, struct fault *why);
FG_CHECK enum code http_call_open(struct http_call **out, struct loop *, const char *host /* or unix:/path */,
                                  uint16_t port, const char *method, const char *target, struct bytes body,
                                  const struct http_call_events *, void *ctx, struct fault *why);
/* No further callback. Not after on_done. */
void http_call_cancel(struct http_call *);
