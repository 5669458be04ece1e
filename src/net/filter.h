/* filter.h - what stacks between a socket and its protocol: TLS, WebSocket.
 *
 *   protocol   on_bytes ^   | conn_out, conn_send_ref
 *   top               in|   |out
 *   ...                 |   |
 *   bottom              |   v
 *   socket         recv     writev
 *
 * A filter turns bytes into bytes in both directions and keeps what it cannot use yet in its own struct. A
 * connection without filters pays one comparison with NULL. Private to src/net. Thread: the loop's.
 */
#pragma once

#include "net/loop.h"

enum { FILTER_HEAD = 16, FILTER_FRONT = 8 };

struct filter;
struct filter_ops {
    const char *name;
    /* What lies below is open: a handshake may begin. May be NULL; then the filter is open at once. */
    enum code (*start)(struct filter *, struct fault *why);
    /* Uses up all of `in` (owns what is left over); puts what the next one up shall see behind `up`.
     * CODE_END: the peer has ended in the filter's own way; `end` says the goodbye when the protocol's answers are out. Any other code but CODE_OK closes the
     * connection with *why. */
    enum code (*in)(struct filter *, struct bytes in, struct buf *up, struct fault *why);
    /* Optional: what goes in front of the `bytes` that leave together next, at most FILTER_HEAD of them. Returns how
     * many it has put there. */
    size_t (*head)(struct filter *, size_t bytes, uint8_t to[]);
    /* Optional, beside head: for how many of the `bytes` that leave together next one head is. `front` are the first of
     * them, at most FILTER_FRONT. NULL: for all of them. */
    size_t (*piece)(struct filter *, struct bytes front, size_t bytes);
    /* Turns all of `in` into bytes behind `down`. Only called once it is open. NULL: the bytes pass as they are, and on
     * the way to the socket nobody copies them. */
    enum code (*out)(struct filter *, struct bytes in, struct buf *down, struct fault *why);
    /* Its goodbye behind `down`, before a connection is closed with a flush. May be NULL. */
    void (*end)(struct filter *, struct buf *down);
    void (*free)(struct filter *);
};

struct filter { /* the first member of a filter's struct */
    const struct filter_ops *ops;
    struct filter           *above, *below; /* set by conn_push_filter */
    struct conn             *conn;
    bool                     open;
};

/* Puts `f` (ops set, the rest zero) on top and takes it over. Before the first byte, or from on_bytes:
 * then the bytes that on_bytes does not use up go through it. */
void conn_push_filter(struct conn *, struct filter *f);
/* From start and in: the handshake is done. The one above starts, or the protocol's output begins to flow. */
void filter_opened(struct filter *f);
/* From start and in: bytes of its own (a handshake, a pong, the reason for the code it is about to return), sent through
 * those below. */
void filter_send(struct filter *f, struct bytes b);

/* ---- for conn.c and input.c ---- */
bool filter_all_open(const struct conn *c);
struct filter *filter_shut(const struct conn *c); /* the lowest that is not open yet, or NULL */
void filter_start(struct conn *c);
/* Passes `in` upwards from `f`. CODE_OK: *out lies in a scratch buffer of the loop. */
enum code filter_in(struct filter *f, struct bytes in, struct bytes *out, struct fault *why);
/* Moves what the protocol wrote through all filters. False: the connection has failed. */
bool filter_flush(struct conn *c);
void filter_end(struct conn *c);
void filter_free_all(struct conn *c);
/* A new struct for what the protocol writes. */
void filter_plain_made(struct conn *c);
