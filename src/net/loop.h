/* loop.h - the one place where time passes and bytes arrive.
 *
 * A loop is a thread's event loop. Two back ends stand behind these functions: libuv (production) and a
 * simulated one (tests: virtual clock, in-process connections, everything deterministic; see sim.h). No uv_
 * name leaves src/net.
 *
 * Thread:   everything is called on the loop's own thread, except loop_post and loop_stop (any thread).
 * Turn:     events of one poll are handled, then letters, then the turn hook, then every connection that has
 *           something to send is flushed with one writev. What handlers produce in a turn leaves together.
 * Lifetime: loop_open_* .. loop_close. Connections, listeners and timers belong to their loop.
 */
#pragma once

#include "base/buf.h"
#include "base/bytes.h"
#include "base/fault.h"

struct loop;
struct conn;
struct listener;

/* ---- the loop ---- */
FG_CHECK enum code loop_open_uv(struct loop **out, struct fault *why);
/* Returns after loop_stop, when what was to be flushed is flushed, or after 5 s more. May be run again. */
void loop_run(struct loop *);
/* Any thread. */
void loop_stop(struct loop *);
/* Opens the letters that wait, closes what is still open (on_close is called), forgets timers, frees all. */
void loop_close(struct loop *);

/* Elapsed time in microseconds, read once per turn; never goes back. Timers and expiry use only this. */
int64_t loop_now_us(const struct loop *);
/* Bytes that its connections have sent since it was opened. Any thread. */
uint64_t loop_sent_bytes(const struct loop *);
/* Wall clock in microseconds since 1970, read once per turn; may jump. For stamps only. */
int64_t loop_wall_us(const struct loop *);

/* Memory that the output of its connections takes at this moment: what this turn wrote as well as what peers have not taken
 * yet; the blocks with what is still free in them, but not what is sent by reference. */
size_t loop_backlog(const struct loop *);
/* By how much that is more than when the last turn had been flushed; 0: it is not. */
size_t loop_written(const struct loop *);

/* Called at the end of each turn in which anything happened, before the flush: the place for work gathered in
 * the turn (commit, batched wake-ups). One per loop. */
void loop_set_turn(struct loop *, void (*turn)(void *ctx), void *ctx);

/* A place for one pointer of the program (the shard that lives on this loop). */
void  loop_set_user(struct loop *, void *user);
void *loop_user(const struct loop *);

/* ---- timers: a hashed wheel per loop, O(1) start and stop, resolution 10 ms, late but never early ---- */
struct timer {
    struct timer *next, *prev; /* private */
    int64_t       due_ms;      /* private */
    void (*fire)(struct timer *);
};
/* Restarts a running one. */
void timer_start(struct loop *, struct timer *, int64_t delay_ms, void (*fire)(struct timer *));
void timer_stop(struct loop *, struct timer *); /* harmless when not running */
static inline bool timer_running(const struct timer *t) { return t->next != NULL; }

/* ---- letters between threads ---- */
struct letter {
    struct letter *next; /* private */
    /* Called on the receiving loop, also when that is being closed; owns the letter, may free it. */
    void (*open)(struct letter *, struct loop *here);
};
/* Any thread. The pile is taken at once; a loop is woken at most once until it has taken it. Letters from one
 * thread are opened in the order posted. */
void loop_post(struct loop *, struct letter *);

/* ---- listening ---- */
struct net_world; /* private */
/* An accepted socket that no loop owns yet; a plain value that may travel in a letter. */
struct net_peer {
    int  handle;          /* the back end's name for it */
    char address[64];     /* "127.0.0.1:50112", "[::1]:50112", "unix" */
    bool loopback;        /* 127.0.0.0/8, ::1, unix */
    uint16_t door;        /* which listener took it, see listener_set_door */
    uint32_t uid;         /* unix sockets: the peer's credentials; else UINT32_MAX */
    struct tls_server *tls; /* private: what it is spoken to with, held; NULL: plain */
    struct net_world *world; /* private: the simulation it lives in, NULL: the system */
};
typedef void (*accept_fn)(void *ctx, const struct net_peer *);
/* `at`: "127.0.0.1:1883", "[::1]:0", "unix:/path/api.sock" (made 0600; a stale one is replaced, one that
 * is served is CODE_EXISTS). A taken port is CODE_EXISTS with the sentence FG1002. On EMFILE accepting
 * pauses for 100 ms, with a log line; nobody else notices. */
FG_CHECK enum code net_listen(struct listener **out, struct loop *, const char *at, accept_fn, void *ctx,
                              struct fault *why);
const char *listener_address(const struct listener *); /* with the real port */
uint16_t    listener_port(const struct listener *);
/* A number of the program's own that peers and their connections carry: which of its listeners they came through, and so
 * who may come in. 0 until set. */
void        listener_set_door(struct listener *, uint16_t door);
/* Peers accepted from now on speak TLS (net/tls.h); NULL: they do not. Those that are there go on as they are. */
struct tls_server;
void        listener_set_tls(struct listener *, struct tls_server *);
/* Whom it tells from now on. */
void        listener_set_accept(struct listener *, accept_fn, void *ctx);
/* Tells of all peers that wait already: before it is closed for good while the program goes on. */
void        listener_accept_waiting(struct listener *);
/* While on, addresses that overlap with those of this loop's listeners may be listened on (0.0.0.0:1883 beside
 * 127.0.0.1:1883): a listener takes over from another one without a moment in which nobody listens. */
void        loop_share_addresses(struct loop *, bool on);
void        listener_close(struct listener *);
/* A peer that nobody wants. */
void net_peer_refuse(const struct net_peer *);

/* ---- connections ----
 * A connection is a stack: the protocol on top, filters (TLS, WebSocket) below it, the socket at the bottom.
 * The callbacks are the protocol's. */
struct conn_events {
    /* Bytes are parsed in place: `in` lies in the loop's lent read buffer (or, if an earlier part was left
     * over, in the connection's own). Returns how many bytes were used up; the rest is kept and shown
     * again, with more behind it. conn_want tells how much the next call should have at least. After
     * conn_close in here the return value does not matter. */
    size_t (*on_bytes)(void *ctx, struct conn *, struct bytes in);
    /* The unsent bytes fell below the low mark after having been above the high one (conn_set_marks). */
    void (*on_drained)(void *ctx, struct conn *);
    /* The last call for this ctx, always exactly once per opened connection; never from inside conn_close
     * itself but later in the turn or in the next. `why` NULL: closed by us after a complete flush. */
    void (*on_close)(void *ctx, struct conn *, const struct fault *why);
    /* Dialled connections only: connected (before any on_bytes). */
    void (*on_open)(void *ctx, struct conn *);
};
/* Takes over the peer (also on failure). */
FG_CHECK enum code conn_open(struct conn **out, struct loop *, const struct net_peer *,
                             const struct conn_events *, void *ctx, struct fault *why);
/* Names are looked up off the loop. The result comes as on_open or on_close. `host` may be "unix:/path". */
FG_CHECK enum code conn_dial(struct conn **out, struct loop *, const char *host, uint16_t port,
                             const struct conn_events *, void *ctx, struct fault *why);
struct loop *conn_loop(const struct conn *);
const char  *conn_address(const struct conn *); /* the peer's */
/* "10.0.0.5:50112" and "[fe80::1]:50112" without their ports. */
static inline struct bytes address_host(const char *address)
{
    const char *colon = strrchr(address, ':');
    return bytes_of(address, colon ? (size_t)(colon - address) : strlen(address));
}
bool         conn_loopback(const struct conn *);
uint32_t     conn_uid(const struct conn *);
uint16_t     conn_door(const struct conn *); /* 0 when dialled */
bool         conn_is_open(const struct conn *); /* connected, the handshakes of its filters are done, and not closed */
/* Changes who is called (protocol sniffing, upgrade to WebSocket); bytes not used up go to the new one. */
void conn_set_events(struct conn *, const struct conn_events *, void *ctx);

/* Takes an accepted connection to another loop, with its filters, the bytes not used up and the bytes not sent; from now
 * on it hears nothing and may not be used. `arrived` is called once on that loop: with the connection as it is there, to
 * be given events or to be closed in this call, or with NULL when it ended on its way. While its own loop is being closed,
 * NULL comes there. On failure nothing has happened. */
typedef void (*arrived_fn)(void *ctx, struct loop *here, struct conn *);
FG_CHECK enum code conn_move(struct conn *, struct loop *to, arrived_fn, void *ctx, struct fault *why);

/* The output buffer to encode into directly; everything added leaves at the end of the turn. Valid until
 * the next call that concerns this connection. Never NULL; if it goes `bad` the connection is closed at
 * the flush with CODE_NOMEM. After conn_close it is a buffer that takes nothing. */
struct buf *conn_out(struct conn *);
/* The same with room for `n` bytes, which loop_backlog counts at once; growing beyond it is counted with the next call that
 * concerns the connection's output. */
struct buf *conn_out_room(struct conn *, size_t n);
/* Sends `b` by reference after what is in the buffer so far: no copy; release(arg) is called once when it
 * is sent or the connection is gone (at once, if it is closing already or `b` is empty), and must not use
 * connections. */
void   conn_send_ref(struct conn *, struct bytes b, void (*release)(void *arg), void *arg);
/* Copies `b` into the buffer, or spares itself that: what on_bytes was shown in this turn, of whichever connection of this
 * loop, need not be copied when it can be sent before the turn is over. */
void   conn_send_lent(struct conn *, struct bytes b);
/* Bytes in the buffer, by reference, and refused by the kernel so far. */
size_t conn_unsent(const struct conn *);
/* What of them was left when the last turn ended: not taken by a peer that is slower than we. */
size_t conn_backlog(const struct conn *);
/* Loop time: when the kernel last took a byte, or when the first of the unsent ones was added. For L-OUT. */
int64_t conn_progress_us(const struct conn *);
void   conn_set_marks(struct conn *, size_t high, size_t low); /* default 1 MiB, 256 KiB */
/* Back-pressure: the kernel's window closes. The peer's end is not noticed meanwhile, only a failed send. */
void   conn_read_pause(struct conn *);
void   conn_read_resume(struct conn *);    /* left-over bytes are shown again in the next turn */
void   conn_want(struct conn *, size_t bytes);
/* flush true: what is queued is still sent (at most 5 s), then closed. false: at once. No on_bytes after
 * this. */
void   conn_close(struct conn *, bool flush);
