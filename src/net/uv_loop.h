/* uv_loop.h - the structs of the libuv back end. Private to src/net/uv_*.c. */
#pragma once

#include "net/backend.h"

#include <sys/socket.h>
#include <uv.h>

enum { UV_LINGER_MS = 2000, UV_LINGERERS = 256 /* a descriptor each: above, the oldest does not wait any longer */, UV_TURN_US = 1000 };

struct uv_loop {
    struct loop core; /* first */
    uv_loop_t   uv;
    uv_async_t  bell;  /* wakes it from other threads     */
    uv_timer_t  alarm; /* the wheel's next tick           */
    int64_t     alarm_us;
    struct conn_list lingering; /* detached, in the order of their deadlines */
    unsigned         lingerers;
    struct timer     linger_timer;
    struct process  *processes; /* that run */
};

struct uv_dial;
struct uv_conn {
    struct conn     core; /* first */
    uv_poll_t       poll;
    struct uv_dial *dial; /* while OPENING */
    int             fd;
    bool            polled; /* `poll` is initialised */
    bool            given;  /* the socket was released: freed when `poll` is closed and nobody needs the struct */
    bool            unpolled, detached;
};

static inline struct uv_loop *uv_loop_of(const struct loop *l)
{
    return (struct uv_loop *)(void *)(uintptr_t)l;
}

static inline struct uv_conn *uv_conn_of(const struct conn *c)
{
    return (struct uv_conn *)(void *)(uintptr_t)c;
}

/* uv_loop.c */
/* The last thing an event does: one poll may bring a thousand of them, and what the first one answered should not wait for
 * the last. Ends the turn when it has become long; connections may be gone afterwards. */
void uv_loop_breathe(struct loop *l);

/* uv_conn.c */
enum code uv_conn_release(struct conn *c, struct net_peer *out, struct fault *why);
enum code uv_conn_attach(struct conn *c, const struct net_peer *peer, struct fault *why);
/* 0 or a libuv error; on success `fd` belongs to the connection. */
int     uv_conn_adopt(struct uv_conn *u, int fd);
int64_t uv_conn_recv(struct conn *c, void *to, size_t n);
int64_t uv_conn_send(struct conn *c, const struct iovec *v, int count);
void    uv_conn_watch(struct conn *c);
void    uv_conn_detach(struct conn *c);
void    uv_conn_stop_lingering(struct uv_loop *l);

/* uv_pool.c */
enum code uv_pool_submit(struct loop *l, struct pool_job *job);

/* uv_process.c */
void uv_process_kill_all(struct uv_loop *l); /* the loop is being closed */

/* uv_dial.c */
enum code uv_dial_start(struct conn *c, const char *host, uint16_t port, struct fault *why);
void      uv_dial_cancel(struct uv_dial *d); /* its connection has gone */

/* uv_listen.c */
enum code uv_listen_open(struct listener **out, struct loop *l, const char *at, struct fault *why);
void      uv_listen_close(struct listener *s);
void      uv_listen_accept_waiting(struct listener *s);
void      uv_listen_share(struct listener *s, bool on);

/* taken.c */
/* Writes "NAME (pid N)" of the process that listens on this TCP address; false when it cannot be seen. */
bool taken_by(const struct sockaddr_storage *at, char *out, size_t cap);
