/* uv_conn.c - a socket under a connection: our own recv and sendmsg, libuv only tells when. */
#include "net/uv_loop.h"

#include <errno.h>
#include <unistd.h>

enum { LAST_READS = 64 };

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct uv_conn *u = poll->data;
    struct conn *c = &u->core;
    struct loop *l = c->loop;
    loop_begin(l);
    if (status < 0) {
        /* libuv has stopped watching: the socket has an error. What came before it can still be read. */
        conn_keep_lent(c->loop); /* so that there is room to read to */
        for (int i = 0; i < LAST_READS && c->state == CONN_OPEN && !c->paused; i++)
            conn_readable(c);
        int err = 0;
        socklen_t n = sizeof err;
        if (getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0 || err == 0)
            err = ECONNRESET;
        conn_fail_sys(c, err, "connected to");
        return;
    }
    if (events & UV_WRITABLE)
        conn_writable(c);
    if (events & UV_READABLE)
        conn_readable(c);
    uv_loop_breathe(l);
}

void uv_conn_watch(struct conn *c)
{
    struct uv_conn *u = uv_conn_of(c);
    int events = (c->reading ? UV_READABLE : 0) | (c->writing ? UV_WRITABLE : 0);
    if (events)
        (void)uv_poll_start(&u->poll, events, on_poll);
    else
        (void)uv_poll_stop(&u->poll);
}

int uv_conn_adopt(struct uv_conn *u, int fd)
{
    int r = uv_poll_init(&uv_loop_of(u->core.loop)->uv, &u->poll, fd);
    if (r < 0)
        return r;
    u->poll.data = u;
    u->fd = fd;
    u->polled = true;
    return 0;
}

enum code uv_conn_attach(struct conn *c, const struct net_peer *peer, struct fault *why)
{
    int r = uv_conn_adopt(uv_conn_of(c), peer->handle);
    if (r < 0) {
        (void)close(peer->handle);
        return FAIL_SYS(why, CODE_IO, -r, "cannot watch the connection from %s", peer->address);
    }
    return CODE_OK;
}

static void free_given(struct uv_conn *u)
{
    if (u->unpolled && u->detached)
        conn_free(&u->core);
}

static void on_given(uv_handle_t *h)
{
    struct uv_conn *u = h->data;
    u->unpolled = true;
    free_given(u);
}

enum code uv_conn_release(struct conn *c, struct net_peer *out, struct fault *why)
{
    struct uv_conn *u = uv_conn_of(c);
    (void)why;
    out->handle = u->fd;
    /* At once: while the descriptor is surely still this socket. */
    uv_close((uv_handle_t *)&u->poll, on_given);
    u->fd = -1;
    u->given = true;
    return CODE_OK;
}

int64_t uv_conn_recv(struct conn *c, void *to, size_t n)
{
    ssize_t r;
    do {
        r = recv(uv_conn_of(c)->fd, to, n, 0);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : r;
}

int64_t uv_conn_send(struct conn *c, const struct iovec *v, int count)
{
    int fd = uv_conn_of(c)->fd;
    struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)v, .msg_iovlen = (size_t)count };
    ssize_t r;
    do {
        r = count == 1 ? send(fd, v->iov_base, v->iov_len, MSG_NOSIGNAL) : sendmsg(fd, &m, MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? (errno == EWOULDBLOCK ? -EAGAIN : -errno) : r;
}

/* ---- the end ---- */

static void on_closed(uv_handle_t *h)
{
    struct uv_conn *u = h->data;
    conn_free(&u->core);
}

static void close_socket(struct uv_conn *u)
{
    uv_close((uv_handle_t *)&u->poll, on_closed);
    (void)close(u->fd);
}

static void stop_lingering(struct uv_conn *u)
{
    struct uv_loop *l = uv_loop_of(u->core.loop);
    conn_list_remove(&l->lingering, &u->core);
    l->lingerers--;
    close_socket(u);
}

/* True: the peer has ended, too, or the socket is broken. */
static bool swallow(struct uv_conn *u)
{
    uint8_t waste[16 * 1024]; /* not the lent buffer: output may refer to it */
    for (int round = 0; round < NET_READ_ROUNDS; round++) {
        int64_t n = uv_conn_recv(&u->core, waste, sizeof waste);
        if (n <= 0)
            return n != -EAGAIN;
    }
    return false;
}

static void on_linger(uv_poll_t *poll, int status, int events)
{
    (void)events;
    if (status < 0 || swallow(poll->data))
        stop_lingering(poll->data);
}

static void linger_over(struct timer *t)
{
    struct uv_loop *l = (struct uv_loop *)(void *)((char *)t - offsetof(struct uv_loop, linger_timer));
    int64_t now_ms = l->core.now_us / 1000;
    struct conn *c;
    while ((c = l->lingering.first) && c->deadline_ms <= now_ms)
        stop_lingering(uv_conn_of(c));
    if (c)
        timer_start(&l->core, t, c->deadline_ms - now_ms + 1, linger_over);
}

void uv_conn_stop_lingering(struct uv_loop *l)
{
    while (l->lingering.first)
        stop_lingering(uv_conn_of(l->lingering.first));
}

void uv_conn_detach(struct conn *c)
{
    struct uv_conn *u = uv_conn_of(c);
    struct uv_loop *l = uv_loop_of(c->loop);
    if (u->given) {
        u->detached = true;
        free_given(u);
    } else if (u->dial)
        uv_dial_cancel(u->dial); /* it has the descriptor and frees the connection */
    else if (!u->polled)
        conn_free(c);
    else if (c->linger && shutdown(u->fd, SHUT_WR) == 0 && !swallow(u) &&
             uv_poll_start(&u->poll, UV_READABLE, on_linger) == 0) {
        /* A close with unread bytes would reset the connection and take back what the peer has not read
         * yet. */
        c->deadline_ms = l->core.now_us / 1000 + UV_LINGER_MS;
        conn_list_add(&l->lingering, c);
        if (++l->lingerers > UV_LINGERERS)
            stop_lingering(uv_conn_of(l->lingering.first));
        if (!timer_running(&l->linger_timer))
            timer_start(&l->core, &l->linger_timer, UV_LINGER_MS, linger_over);
    } else {
        close_socket(u);
    }
}
