#include "base/log.h"
#include "base/mem.h"
#include "net/tls.h"
#include "net/uv_loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, PAUSE_MS = 100 };

struct uv_listener {
    struct listener core; /* first */
    uv_poll_t       poll;
    struct timer    pause;
    int             fd;
    bool            local;
    char            path[sizeof ((struct sockaddr_un *)0)->sun_path]; /* to be removed */
};

/* ---- accepting ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void go_on(struct timer *t)
{
    struct uv_listener *s = (struct uv_listener *)(void *)((char *)t - offsetof(struct uv_listener, pause));
    (void)uv_poll_start(&s->poll, UV_READABLE, on_poll);
}

static void describe_local(struct net_peer *p)
{
    struct ucred who;
    socklen_t n = sizeof who;
    (void)snprintf(p->address, sizeof p->address, "unix");
    p->loopback = true;
    if (getsockopt(p->handle, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0)
        p->uid = who.uid;
}

static void describe(struct net_peer *p, const struct sockaddr_storage *from)
{
    address_format(from, p->address, sizeof p->address);
    p->loopback = address_loopback(from);
}

/* False: nothing more for now. */
static bool accept_one(struct uv_listener *s)
{
    struct sockaddr_storage from;
    socklen_t n = sizeof from;
    int fd = accept4(s->fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        int err = errno;
        if (err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM) {
            struct fault why;
            (void)FAIL_SYS(&why, CODE_IO, err, "cannot accept on %s", s->core.address);
            log_warn("net", "%s; trying again in %d ms", why.text, PAUSE_MS);
            (void)uv_poll_stop(&s->poll);
            timer_start(s->core.loop, &s->pause, PAUSE_MS, go_on);
            return false;
        }
        /* Anything else concerns one peer that has already left. */
        return err != EAGAIN && err != EWOULDBLOCK;
    }
    struct net_peer peer = { .handle = fd, .uid = UINT32_MAX, .door = s->core.door };
    if (s->core.tls)
        peer.tls = tls_server_hold(s->core.tls);
    if (s->local)
        describe_local(&peer);
    else
        describe(&peer, &from);
    s->core.accept(s->core.ctx, &peer);
    return true;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct uv_listener *s = poll->data;
    struct loop *l = s->core.loop;
    loop_begin(l);
    if (status < 0) {
        log_error("net", "listening on %s failed: %s", s->core.address, uv_strerror(status));
        return;
    }
    for (int i = 0; i < NET_ACCEPTS && !uv_is_closing((uv_handle_t *)poll) && accept_one(s); i++)
        ;
    uv_loop_breathe(l);
}

/* ---- opening ---- */

static enum code taken(struct fault *why, const char *at, const struct sockaddr_storage *a)
{
    char who[80];
    if (!taken_by(a, who, sizeof who))
        (void)snprintf(who, sizeof who, "another program");
    return FAIL_FG(why, CODE_EXISTS, 1002,
                   "FG1002 %s is taken by %s. Stop it, or choose another address.", at, who);
}

static enum code bind_tcp(struct uv_listener *s, const char *at, bool sharing, struct fault *why)
{
    struct sockaddr_storage a;
    socklen_t n;
    int on = 1;
    if (!address_parse(at, &a, &n))
        return FAIL(why, CODE_USAGE, 0,
                    "%s is not an address to listen on: write 127.0.0.1:1883, [::1]:1883 or unix:/path", at);
    s->fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0)
        return FAIL_SYS(why, CODE_IO, errno, "cannot make a socket for %s", at);
    (void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (sharing)
        (void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (a.ss_family == AF_INET6)
        (void)setsockopt(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    /* Accepted sockets inherit it. */
    (void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(s->fd, (struct sockaddr *)&a, n) < 0 || listen(s->fd, BACKLOG) < 0) {
        if (errno == EADDRINUSE)
            return taken(why, at, &a);
        return FAIL_SYS(why, CODE_IO, errno, "cannot listen on %s", at);
    }
    n = sizeof a;
    if (getsockname(s->fd, (struct sockaddr *)&a, &n) < 0)
        return FAIL_SYS(why, CODE_IO, errno, "cannot listen on %s", at);
    address_format(&a, s->core.address, sizeof s->core.address);
    s->core.port = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&a)->sin6_port
                                                  : ((struct sockaddr_in *)(void *)&a)->sin_port);
    return CODE_OK;
}

/* Whether somebody accepts on this path. */
static bool served(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return true;
    bool yes = connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 || errno == EAGAIN;
    (void)close(fd);
    return yes;
}

static bool is_socket(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

static enum code bind_local(struct uv_listener *s, const char *at, struct fault *why)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const char *path = at + 5;
    if (*path != '/' || strlen(path) >= sizeof a.sun_path)
        return FAIL(why, CODE_USAGE, 0,
                    "%s is not a socket path: it has to begin with / and be shorter than %zu bytes", at,
                    sizeof a.sun_path);
    memcpy(a.sun_path, path, strlen(path) + 1);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* On Linux the file that bind makes takes its mode from the socket: there is no moment in which others
     * may open it. */
    if (s->fd < 0 || fchmod(s->fd, 0600) < 0)
        return FAIL_SYS(why, CODE_IO, errno, "cannot make a socket for %s", at);
    int r = bind(s->fd, (struct sockaddr *)&a, sizeof a);
    if (r < 0 && errno == EADDRINUSE && is_socket(path)) {
        if (served(&a))
            return FAIL_FG(why, CODE_EXISTS, 1002, "FG1002 %s is served by another program. Stop it first.",
                           at);
        (void)unlink(path);
        r = bind(s->fd, (struct sockaddr *)&a, sizeof a);
    }
    if (r < 0)
        return FAIL_SYS(why, errno == EADDRINUSE ? CODE_EXISTS : CODE_IO, errno, "cannot listen on %s", at);
    memcpy(s->path, a.sun_path, sizeof s->path);
    if (listen(s->fd, BACKLOG) < 0)
        return FAIL_SYS(why, CODE_IO, errno, "cannot listen on %s", at);
    s->local = true;
    (void)snprintf(s->core.address, sizeof s->core.address, "%s", at);
    return CODE_OK;
}

static void on_closed(uv_handle_t *h)
{
    mem_free(h->data);
}

enum code uv_listen_open(struct listener **out, struct loop *l, const char *at, struct fault *why)
{
    struct uv_listener *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory to listen on %s", at);
    s->fd = -1;
    enum code code = strncmp(at, "unix:", 5) == 0 ? bind_local(s, at, why) : bind_tcp(s, at, l->sharing, why);
    if (code == CODE_OK) {
        int r = uv_poll_init(&uv_loop_of(l)->uv, &s->poll, s->fd);
        if (r < 0)
            code = FAIL_SYS(why, CODE_IO, -r, "cannot listen on %s", at);
    }
    if (code != CODE_OK) {
        if (s->fd >= 0)
            (void)close(s->fd);
        if (s->path[0])
            (void)unlink(s->path);
        mem_free(s);
        return code;
    }
    s->poll.data = s;
    (void)uv_poll_start(&s->poll, UV_READABLE, on_poll);
    *out = &s->core;
    return CODE_OK;
}

void uv_listen_close(struct listener *core)
{
    struct uv_listener *s = (struct uv_listener *)(void *)core;
    timer_stop(core->loop, &s->pause);
    if (s->path[0])
        (void)unlink(s->path);
    uv_close((uv_handle_t *)&s->poll, on_closed);
    (void)close(s->fd);
}

void uv_listen_accept_waiting(struct listener *core)
{
    struct uv_listener *s = (struct uv_listener *)(void *)core;
    for (int i = 0; i < BACKLOG && accept_one(s); i++)
        ;
}

void uv_listen_share(struct listener *core, bool on)
{
    const struct uv_listener *s = (const struct uv_listener *)(void *)core;
    int value = on;
    if (!s->local)
        (void)setsockopt(s->fd, SOL_SOCKET, SO_REUSEPORT, &value, sizeof value);
}
