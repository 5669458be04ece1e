/* uv_dial.c - connecting to a name, an address or a path: look-up on libuv's pool, then each address in
 * turn. */
#include "base/mem.h"
#include "net/uv_loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

enum { ADDRESSES = 8, TRY_MS = 5000 };

struct uv_dial {
    struct uv_conn *conn;
    uv_getaddrinfo_t req;
    struct timer timer;
    bool looking; /* req is under way                                   */
    bool shutting; /* the last attempt's handle is being closed         */
    bool gone;    /* the connection was closed: free both when possible */
    int  err;     /* why the last attempt failed                        */
    unsigned count, next;
    struct sockaddr_storage at[ADDRESSES];
};

static void finish(struct uv_dial *d)
{
    conn_free(&d->conn->core);
    mem_free(d);
}

static void try_next(struct uv_dial *d);

static void on_attempt_closed(uv_handle_t *h)
{
    struct uv_dial *d = ((struct uv_conn *)h->data)->dial;
    d->shutting = false;
    if (d->gone) {
        finish(d);
        return;
    }
    loop_begin(d->conn->core.loop);
    try_next(d);
}

static void give_up_attempt(struct uv_dial *d)
{
    struct uv_conn *u = d->conn;
    timer_stop(u->core.loop, &d->timer);
    d->shutting = true;
    u->polled = false;
    uv_close((uv_handle_t *)&u->poll, on_attempt_closed);
    (void)close(u->fd);
}

static void took_too_long(struct timer *t)
{
    struct uv_dial *d = (struct uv_dial *)(void *)((char *)t - offsetof(struct uv_dial, timer));
    d->err = ETIMEDOUT;
    give_up_attempt(d);
}

static void on_connect(uv_poll_t *poll, int status, int events)
{
    struct uv_conn *u = poll->data;
    struct uv_dial *d = u->dial;
    int err = 0;
    socklen_t n = sizeof err;
    (void)events;
    loop_begin(u->core.loop);
    if (d->gone || u->core.state != CONN_OPENING)
        return;
    if (getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
        err = errno;
    if (err == 0 && status < 0)
        err = -status;
    if (err) {
        d->err = err;
        give_up_attempt(d);
        return;
    }
    timer_stop(u->core.loop, &d->timer);
    u->dial = NULL;
    mem_free(d);
    conn_opened(&u->core);
}

static socklen_t size_of(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET    ? sizeof(struct sockaddr_in)
           : a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                      : sizeof(struct sockaddr_un);
}

/* 0 when an attempt is under way, or errno. */
static int attempt(struct uv_dial *d, const struct sockaddr_storage *a)
{
    int on = 1, fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (a->ss_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int err = connect(fd, (const struct sockaddr *)a, size_of(a)) < 0 && errno != EINPROGRESS ? errno : 0;
    if (err == 0)
        err = -uv_conn_adopt(d->conn, fd);
    if (err) {
        (void)close(fd);
        return err;
    }
    (void)uv_poll_start(&d->conn->poll, UV_WRITABLE, on_connect);
    timer_start(d->conn->core.loop, &d->timer, TRY_MS, took_too_long);
    return 0;
}

static void try_next(struct uv_dial *d)
{
    while (d->next < d->count) {
        d->err = attempt(d, &d->at[d->next++]);
        if (d->err == 0)
            return;
    }
    conn_fail_sys(&d->conn->core, d->err ? d->err : EHOSTUNREACH, "cannot connect to");
}

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct uv_dial *d = req->data;
    struct conn *c = &d->conn->core;
    d->looking = false;
    loop_begin(c->loop);
    for (struct addrinfo *a = list; a && d->count < ADDRESSES; a = a->ai_next)
        if (a->ai_addrlen <= sizeof d->at[0] && (a->ai_family == AF_INET || a->ai_family == AF_INET6))
            memcpy(&d->at[d->count++], a->ai_addr, a->ai_addrlen);
    uv_freeaddrinfo(list);
    if (d->gone) {
        finish(d);
        return;
    }
    if (status < 0) {
        struct fault why;
        (void)FAIL(&why, CODE_IO, 0, "cannot find the address of %s: %s", c->address, uv_strerror(status));
        conn_fail(c, &why);
        return;
    }
    try_next(d);
}

static enum code look_up(struct uv_dial *d, const char *host, uint16_t port, struct fault *why)
{
    char service[8];
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC };
    (void)snprintf(service, sizeof service, "%u", port);
    d->req.data = d;
    int r = uv_getaddrinfo(&uv_loop_of(d->conn->core.loop)->uv, &d->req, on_found, host, service, &hints);
    if (r < 0)
        return FAIL_SYS(why, CODE_IO, -r, "cannot look up %s", host);
    d->looking = true;
    return CODE_OK;
}

/* True when no look-up is needed. */
static bool plain_address(struct uv_dial *d, const char *host, uint16_t port)
{
    uint32_t len;
    char text[300];
    if (strncmp(host, "unix:", 5) == 0) {
        struct sockaddr_un *a = (struct sockaddr_un *)(void *)&d->at[0];
        a->sun_family = AF_UNIX;
        memcpy(a->sun_path, host + 5, strlen(host + 5) + 1);
        d->count = 1;
        return true;
    }
    (void)snprintf(text, sizeof text, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    d->count = address_parse(text, &d->at[0], &len);
    return d->count > 0;
}

enum code uv_dial_start(struct conn *c, const char *host, uint16_t port, struct fault *why)
{
    struct uv_conn *u = uv_conn_of(c);
    if (strncmp(host, "unix:", 5) == 0 && strlen(host + 5) >= sizeof ((struct sockaddr_un *)0)->sun_path)
        return FAIL(why, CODE_USAGE, 0, "the socket path %s is too long", host + 5);
    struct uv_dial *d = mem_zalloc(1, sizeof *d);
    if (!d)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a connection to %s", c->address);
    d->conn = u;
    if (plain_address(d, host, port)) {
        u->dial = d;
        try_next(d);
        return CODE_OK;
    }
    enum code code = look_up(d, host, port, why);
    if (code != CODE_OK) {
        mem_free(d);
        return code;
    }
    u->dial = d;
    return CODE_OK;
}

void uv_dial_cancel(struct uv_dial *d)
{
    d->gone = true;
    timer_stop(d->conn->core.loop, &d->timer);
    if (d->looking)
        (void)uv_cancel((uv_req_t *)&d->req);
    else if (d->conn->polled)
        give_up_attempt(d);
    else if (!d->shutting)
        finish(d);
}
