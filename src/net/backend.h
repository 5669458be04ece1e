/* backend.h - what stands behind loop.h: the part that both back ends share, and the table that tells them
 * apart. Private to src/net.
 *
 *              protocol (conn_events)
 *   conn.c     input, left-over bytes, marks, closing          loop.c   turns, letters, lists
 *   filter.h   filters, if any                                 wheel.c  timers
 *   out.c      bytes to send                                   pool of output blocks
 *              struct backend: recv, send, watch, detach
 *   uv_*.c     sockets and libuv                               sim*.c   queues in memory
 *
 * A connection is in one of these states, and only ever moves down:
 *   OPENING  dialled, not yet connected
 *   OPEN
 *   CLOSING  conn_close(flush) was called: no more input, the rest of the output still leaves
 *   GONE     on_close is due; it is called at the next turn end
 *   DEAD     on_close was called; the back end gets its struct back when no list of the turn names it
 */
#pragma once

#include "net/loop.h"
#include "net/out.h"
#include "net/pool.h"
#include "net/wheel.h"

#include <stdatomic.h>
#include <sys/uio.h>

enum {
    NET_LENT_BYTES = 64 * 1024,     /* one recv                                                  */
    NET_LENT_TURN = 512 * 1024,     /* what a turn can receive while its output refers to it     */
    NET_LENT_LEAST = 16 * 1024,     /* less room than this ends the reading of such a turn       */
    NET_HEAD_BYTES = 16 * 1024,     /* a left-over part up to this is copied in front of it      */
    NET_READ_ROUNDS = 4,            /* recv calls per event while they fill the buffer           */
    NET_SHAKES = 4,                 /* handshakes that go on between two polls: each may cost a signature */
    NET_VECTORS = 64,
    NET_ACCEPTS = 64,               /* accepted per event                                        */
    NET_CLOSE_MS = 5000,            /* how long conn_close(flush) and loop_stop wait             */
    NET_MARK_HIGH = 1024 * 1024,
    NET_MARK_LOW = 256 * 1024
};

struct backend;
struct filter;

enum conn_state { CONN_OPENING, CONN_OPEN, CONN_CLOSING, CONN_GONE, CONN_DEAD };

struct conn {
    /* Fixed when it is opened. */
    struct loop *loop;
    const char  *address; /* lies behind the back end's struct */
    uint32_t     uid;
    uint16_t     door;
    bool         loopback;

    uint8_t state;     /* enum conn_state                                               */
    uint8_t out_class; /* size of the last output block                                 */
    bool paused;       /* by conn_read_pause                                            */
    bool reading;      /* the back end reports readable                                 */
    bool writing;      /* the back end reports writable                                 */
    bool blocked;      /* less was taken than offered; wait for writable                */
    bool above;        /* unsent was above `high`                                       */
    bool dirty;        /* on loop->dirty                                                */
    bool resumed;      /* on loop->resumed or ->shaking                                 */
    bool showing;      /* on_bytes is running                                           */
    bool swapped;      /* conn_set_events was called: show the rest again               */
    bool dialled;      /* on_open is owed                                               */
    bool ended;        /* the filters have said goodbye                                 */
    bool linger;       /* closed after a flush: the back end waits for the peer's end   */

    const struct conn_events *events; /* borrowed */
    void                     *ctx;

    struct filter *top;   /* owned with all below it; NULL for plain TCP */
    struct filter *fresh; /* pushed while on_bytes ran: the rest goes through it */
    struct out    *plain; /* with filters: what the protocol wrote, not yet through them */
    struct out    *out;   /* for the socket; NULL when there is nothing unsent */

    struct { /* bytes shown and not used up: at[from..len) */
        uint8_t *at;
        uint32_t from, len, cap;
    } left;
    uint32_t want;       /* show no less than this   */
    uint32_t high, low;  /* marks                    */
    uint32_t backlog;    /* unsent after the last flush; at most so much as the type holds */
    int64_t  progress_us;
    int64_t  deadline_ms; /* CLOSING: when patience ends */
    struct fault *why;    /* GONE: what on_close is told, owned; NULL: all is well */

    struct conn *next, *prev;       /* loop->conns, or ->closing, or ->gone */
    struct conn *dirty_next, *resumed_next;
};

struct conn_list {
    struct conn *first, *last;
};

struct listener {
    struct loop *loop;
    accept_fn    accept;
    void        *ctx;
    char         address[128];
    uint16_t     port, door;
    struct tls_server *tls; /* held, or NULL */
    struct listener *next, *prev; /* loop->listeners */
};

struct loop {
    const struct backend *back;
    void                 *user;
    void (*turn)(void *ctx);
    void *turn_ctx;

    int64_t now_us, wall_us;
    bool    clock_read; /* in this turn */
    struct wheel wheel;

    struct conn_list conns, closing, gone; /* closing: in the order of their deadlines */
    struct conn     *dirty, **dirty_end;
    struct conn     *resumed;
    struct conn     *shaking, **shaking_end; /* handshakes that wait; by resumed_next */
    unsigned         shakes;               /* that went on since the last poll; the back end sets it back */
    struct listener *listeners;
    struct timer     closing_timer;
    _Atomic uint64_t sent_bytes;           /* by all of its connections, ever */
    size_t           left_over;            /* pool.bytes when the last turn had been flushed */
    size_t           outs;                 /* structs out in use: connections with unsent bytes */
    bool             sharing;              /* see loop_share_addresses */
    bool             clearing;             /* loop_close has begun: nothing leaves for another loop */
    bool             closed;               /* loop_close has begun: nothing new is opened */
    bool             stopping;             /* loop_run saw `stop`  */
    int64_t          stop_us;              /* and waits until then */

    uint8_t       *lent;                   /* NET_LENT_TURN bytes, made at the first read; see input.c */
    size_t         lent_at;                /* how far it is used in this turn */
    bool           lent_out;               /* some output refers to it: what is there must stay until the flush */
    struct conn   *lent_end;               /* whose bytes lie before lent_at; NULL: nobody's */
    uint32_t       lent_left;              /* and how many of them, the last, are its left-over */
    struct out_pool pool;
    struct buf      sink;                  /* what conn_out lends when it has nothing: always bad */
    struct buf      scratch[4];            /* filters: 0 and 1 upwards, 2 and 3 downwards */
    struct buf      gathered;              /* filters: small pieces that go down together */

    /* Any thread. */
    _Atomic(struct letter *) inbox;        /* newest first */
    _Atomic bool             asleep;       /* about to block, or blocked: whoever posts must wake it */
    _Atomic bool             stop;
};

/* What a simulated peer carries, so that net_peer_refuse needs neither a loop nor the simulation's code. */
struct net_world {
    void (*refuse)(struct net_world *, int handle);
};

/* One per back end. Calls return bytes, or -errno; -EAGAIN: not now. */
struct backend {
    size_t conn_size; /* of its struct, which begins with struct conn */

    void (*read_clocks)(struct loop *); /* sets now_us and wall_us */
    void (*wake)(struct loop *);        /* any thread */
    void (*run)(struct loop *);
    void (*close)(struct loop *);       /* frees the loop; no connection and no listener is left */
    uint8_t *(*lend)(struct loop *);    /* NET_LENT_TURN bytes for `lent`, or NULL */

    enum code (*submit)(struct loop *, struct pool_job *); /* then pool_done on the loop's thread */

    enum code (*listen)(struct listener **out, struct loop *, const char *at, struct fault *why);
    void (*listener_close)(struct listener *);
    void (*accept_waiting)(struct listener *);
    void (*share)(struct listener *, bool on);

    /* Takes over the peer's handle; also when it fails. */
    enum code (*attach)(struct conn *, const struct net_peer *, struct fault *why);
    /* Starts; the end is conn_opened or conn_fail. */
    enum code (*dial)(struct conn *, const char *host, uint16_t port, struct fault *why);

    /* Gives the socket up, so that another loop's attach can have it; the connection's struct stays until detach. Nothing
     * has happened on failure. */
    enum code (*release)(struct conn *, struct net_peer *out, struct fault *why);

    int64_t (*recv)(struct conn *, void *to, size_t n); /* 0: the peer's end */
    int64_t (*send)(struct conn *, const struct iovec *, int count);
    void (*watch)(struct conn *);  /* `reading` or `writing` changed */
    void (*detach)(struct conn *); /* close the socket (kindly if ->linger), then conn_free */
};

/* ---- loop.c, for back ends ---- */
void loop_init(struct loop *l, const struct backend *back); /* the rest of *l is zero */
/* Opens letters, closes listeners, calls on_close, forgets timers. The back end frees what is then left. */
void loop_clear(struct loop *l);
/* Reads the clocks if this turn has not. Every event begins with it. */
void loop_begin(struct loop *l);
/* All that follows the events of one poll: timers, letters, hook, flush. True: there is work for another
 * turn now. */
bool loop_finish(struct loop *l);
bool loop_busy(const struct loop *l);
/* False: letters came or it shall stop, do not block. True: others wake it; call loop_awake afterwards. */
bool loop_may_sleep(struct loop *l);
void loop_awake(struct loop *l);
/* loop_stop was called, and nothing is left to be sent, or patience has ended. */
bool loop_finished(struct loop *l);

/* ---- conn.c, for back ends ---- */
struct conn *conn_alloc(struct loop *l, const char *address, bool loopback, uint32_t uid,
                        const struct conn_events *events, void *ctx);
void conn_free(struct conn *c);
void conn_writable(struct conn *c);
void conn_opened(struct conn *c);
/* Ends it with this reason (copied; NULL: all is well). Harmless when it is GONE. */
void conn_fail(struct conn *c, const struct fault *why);
void conn_fail_sys(struct conn *c, int err, const char *doing);
/* As conn_fail, but what a filter has just put into the output (an alert, a goodbye) still leaves, as with
 * conn_close(flush). What the protocol wrote and no filter has seen is dropped. */
void conn_fail_said(struct conn *c, const struct fault *why);
/* The peer has ended in the way of a filter, which does not keep it from reading: what the protocol has answered to its last
 * bytes leaves, and the goodbyes. */
void conn_end_said(struct conn *c, const struct fault *why);

/* Copies what this turn's output refers to in the lent buffer, which is then free. */
void conn_keep_lent(struct loop *l);

/* ---- input.c ---- */
void conn_readable(struct conn *c);
/* The handshakes whose turn it is go on: whoever brings a thousand at once delays the others of them, not those who are
 * in already. */
void conn_shake(struct loop *l);
void conn_show_rest(struct conn *c);
/* Does `b` lie in what was received in this turn, and stays there until its end? */
bool input_lent(const struct loop *l, struct bytes b);
/* The turn's output is sent, or has been copied. */
void input_turn_over(struct loop *l);

/* ---- between loop.c, conn.c and filter.c ---- */
void conn_flush(struct conn *c);
void conn_bury(struct conn *c); /* GONE to DEAD */
void conn_drop_dead(struct conn *c);
void conn_mark_dirty(struct conn *c);
void conn_mark_resumed(struct conn *c);
/* The output for the socket, made when there is none; NULL: memory is out and the connection is being
 * closed. The caller marks the connection dirty. */
struct out *conn_socket_out(struct conn *c);
void conn_list_add(struct conn_list *list, struct conn *c);
void conn_list_remove(struct conn_list *list, struct conn *c);

/* ---- pool.c, for back ends ---- */
void pool_done(struct loop *l, struct pool_job *job);

/* ---- addresses (address.c) ---- */
struct sockaddr_storage;
/* "127.0.0.1:1883", "[::1]:0"; false: not of this form. */
bool address_parse(const char *text, struct sockaddr_storage *out, uint32_t *len);
void address_format(const struct sockaddr_storage *a, char *out, size_t cap);
bool address_loopback(const struct sockaddr_storage *a);
