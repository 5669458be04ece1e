/* http_conn.h - one connection of an HTTP server. Private to src/net/http_*.c.
 *
 *   on_bytes -> http_parser -> text (target, headers), body -> handler -> http_reply | http_begin .. http_end
 *
 * One request at a time: bytes of the next one wait unparsed until this one is answered. */
#pragma once

#include "net/http.h"

#include <http_parser.h>

enum {
    HTTP_IDLE_S = 60,       /* between requests                               */
    HTTP_BODY_S = 30,       /* without progress of a body                     */
    HTTP_STALL_S = 60,      /* L-OUT: the peer takes nothing                  */
    HTTP_WATCH_S = 10,      /* how often that is looked at                    */
    HTTP_UNSENT = 1024 * 1024, /* of a stream: then it waits */
    HTTP_AHEAD = 64 * 1024, /* of answers: the next request waits until they have left, or for the next turn */
    HTTP_HELD = 64 * 1024   /* unparsed bytes of later requests: then stop reading */
};

struct http_server {
    struct loop       *loop;
    struct http_limits limits;
    http_handler       handler;
    void              *ctx;
    struct http_conn  *conns, *oldest; /* the newest first */
    uint32_t           count;
    struct http_guard  guard;
    unsigned           holds; /* the owner and every connection */
};

struct http_field {
    uint32_t name, name_len, value, value_len; /* in text */
};

enum http_phase { PHASE_IDLE, PHASE_HEAD, PHASE_BODY, PHASE_ANSWER, PHASE_REFUSED, PHASE_UPGRADED };

struct http_exchange {
    bool     busy;       /* the handler was called and has not ended it */
    bool     in_handler;
    bool     head_only;  /* HEAD */
    bool     keep;       /* the connection may be used again            */
    bool     old;        /* HTTP/1.0: no chunks                         */
    bool     begun;      /* http_begin */
    struct buf extra;    /* headers to be added */
    void (*drained)(void *ctx);
    void (*gone)(void *ctx);
    void *ctx;
};

struct http_conn {
    struct http_exchange ex; /* first */
    struct http_server  *server;
    struct conn         *conn; /* NULL: the peer left while the exchange was open */
    struct http_conn    *next, *prev;
    struct timer         timer;
    http_parser          parser;
    uint8_t              phase; /* enum http_phase */
    bool                 counted;  /* by the guard */
    bool                 in_value; /* the last piece belonged to a value */
    uint16_t             refuse;   /* what a parser callback found: the status, and why */
    const char          *refuse_why;
    size_t               target_len, header_bytes;
    struct buf           text;   /* the target, then names and values */
    struct buf           fields; /* of struct http_field */
    struct buf           body;
};

static inline struct http_conn *http_conn_of(const struct http_exchange *e)
{
    return (struct http_conn *)(void *)(uintptr_t)e;
}

/* http_server.c */
void http_count_refused(void);
void http_ended(struct http_conn *h); /* the exchange was answered */
void http_enter(struct http_conn *h, enum http_phase phase);
/* http_request.c */
extern const http_parser_settings http_finds;
/* Splits the target into the decoded path and the raw query; false: malformed. */
bool http_split_target(struct http_conn *h, struct http_request *r);
/* The n-th header of that name, from 0; name in lower case. During the handler only. */
bool http_nth_header(const struct http_exchange *, const char *name, unsigned n, struct bytes *value);
/* http_server.c: HTTP lets go of the connection. */
struct conn *http_give_away(struct http_conn *h);
/* http_reply.c: an answer of our own, then the end of the connection. */
void http_refuse(struct http_conn *h, unsigned status, const char *why);
/* http_text.c: decodes in place; false: a bad escape or a NUL. */
bool http_unescape(struct buf *text, size_t from, size_t *len);
