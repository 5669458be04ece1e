/* net_bench.c - what net/loop.h costs per message, beside the same work on bare epoll in the same run.
 *
 *   net_bench [MESSAGE_BYTES [CONNECTIONS [WINDOW_BYTES]]]      default: 16 and 256 bytes, 1 connection, 128 KiB
 *
 * A client thread keeps WINDOW_BYTES of fixed-size messages under way on each connection; the server echoes message
 * by message, as a protocol would: one look at each, one copy into the output. Printed: processor time of the server
 * thread (user and system) per message. */
#include "net/loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNS_MAX = 1000, SECONDS = 2 };

static size_t          message_bytes = 16;
static int             conns = 1;
static size_t          window_bytes = 128 * 1024;
static _Atomic bool    stop;
static _Atomic uint64_t echoed; /* bytes */

static double cpu_us(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_THREAD, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* ---- client ---- */

struct pipe {
    int    fd;
    size_t under_way;
};

static void *client(void *port)
{
    static struct pipe pipes[CONNS_MAX];
    static uint8_t     block[1 << 20];
    struct epoll_event events[64];
    int poll = epoll_create1(0);
    for (int i = 0; i < conns; i++) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(*(uint16_t *)port) };
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        pipes[i].fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(pipes[i].fd, (struct sockaddr *)&a, sizeof a) < 0)
            abort();
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = &pipes[i] };
        (void)epoll_ctl(poll, EPOLL_CTL_ADD, pipes[i].fd, &e);
        size_t whole = window_bytes / message_bytes * message_bytes;
        ssize_t n = send(pipes[i].fd, block, whole, MSG_DONTWAIT);
        pipes[i].under_way = n > 0 ? (size_t)n : 0;
    }
    while (!stop) {
        int n = epoll_wait(poll, events, 64, 100);
        for (int i = 0; i < n; i++) {
            struct pipe *p = events[i].data.ptr;
            ssize_t got = recv(p->fd, block, sizeof block, MSG_DONTWAIT);
            if (got <= 0)
                continue;
            atomic_fetch_add(&echoed, (uint64_t)got);
            /* As much as came back is sent again; the kernel's buffers are larger than the window. */
            (void)!send(p->fd, block, (size_t)got, MSG_NOSIGNAL);
        }
    }
    for (int i = 0; i < conns; i++)
        close(pipes[i].fd);
    close(poll);
    return NULL;
}

static void report(const char *name, double cpu)
{
    double messages = (double)echoed / (double)message_bytes;
    (void)printf("%-12s %5zu B x %d connections: %8.0f k messages/s, %.4f us each\n", name, message_bytes, conns,
                 messages / SECONDS / 1000, cpu / messages);
}

static void wait_and_stop(void)
{
    struct timespec t = { SECONDS, 0 };
    (void)nanosleep(&t, NULL);
    stop = true;
}

/* ---- ours ---- */

static struct loop *loop;

static size_t echo_bytes(void *ctx, struct conn *c, struct bytes in)
{
    size_t used = 0;
    (void)ctx;
    for (; in.len - used >= message_bytes; used += message_bytes)
        buf_add(conn_out(c), in.at + used, message_bytes);
    return used;
}

static void echo_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
}

static const struct conn_events echo_events = { .on_bytes = echo_bytes, .on_close = echo_close };

static void on_accept(void *ctx, const struct net_peer *peer)
{
    struct conn *c;
    (void)ctx;
    if (conn_open(&c, loop, peer, &echo_events, NULL, NULL) != CODE_OK)
        abort();
}

static void *run_loop(void *cpu)
{
    loop_run(loop);
    *(double *)cpu = cpu_us();
    return NULL;
}

static void bench_loop(void)
{
    struct listener *l;
    pthread_t server, other;
    double cpu;
    if (loop_open_uv(&loop, NULL) != CODE_OK || net_listen(&l, loop, "127.0.0.1:0", on_accept, NULL, NULL) != CODE_OK)
        abort();
    uint16_t port = listener_port(l);
    (void)pthread_create(&server, NULL, run_loop, &cpu);
    (void)pthread_create(&other, NULL, client, &port);
    wait_and_stop();
    (void)pthread_join(other, NULL);
    loop_stop(loop);
    (void)pthread_join(server, NULL);
    report("loop.h", cpu);
    loop_close(loop);
}

/* ---- bare epoll ---- */

static int listening, bare_poll;

static void bare_echo(int fd)
{
    static uint8_t in[64 * 1024], out[64 * 1024];
    static _Thread_local size_t kept;
    ssize_t n = recv(fd, in + kept, sizeof in - kept, MSG_DONTWAIT);
    if (n <= 0) {
        if (n == 0)
            close(fd);
        return;
    }
    size_t used = 0, have = kept + (size_t)n;
    for (; have - used >= message_bytes; used += message_bytes)
        memcpy(out + used, in + used, message_bytes);
    kept = conns == 1 ? have - used : 0; /* with several connections a message is assumed to come whole */
    memmove(in, in + used, kept);
    if (send(fd, out, used, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
        abort();
}

static void *run_bare(void *cpu)
{
    struct epoll_event events[64];
    while (!stop) {
        int n = epoll_wait(bare_poll, events, 64, 100);
        for (int i = 0; i < n; i++)
            if (events[i].data.fd == listening) {
                int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
                struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };
                (void)epoll_ctl(bare_poll, EPOLL_CTL_ADD, fd, &e);
            } else {
                bare_echo(events[i].data.fd);
            }
    }
    *(double *)cpu = cpu_us();
    return NULL;
}

static void bench_bare(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t n = sizeof a;
    pthread_t server, other;
    double cpu;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listening, (struct sockaddr *)&a, n) < 0 || listen(listening, 4096) < 0)
        abort();
    (void)getsockname(listening, (struct sockaddr *)&a, &n);
    uint16_t port = ntohs(a.sin_port);
    bare_poll = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN, .data.fd = listening };
    (void)epoll_ctl(bare_poll, EPOLL_CTL_ADD, listening, &e);
    (void)pthread_create(&server, NULL, run_bare, &cpu);
    (void)pthread_create(&other, NULL, client, &port);
    wait_and_stop();
    (void)pthread_join(other, NULL);
    (void)pthread_join(server, NULL);
    report("bare epoll", cpu);
    close(bare_poll);
    close(listening);
}

static void both(size_t bytes)
{
    message_bytes = bytes;
    for (int round = 0; round < 2; round++) {
        echoed = 0;
        stop = false;
        bench_bare();
        echoed = 0;
        stop = false;
        bench_loop();
    }
}

int main(int argc, char **argv)
{
    if (argc > 2)
        conns = (int)strtol(argv[2], NULL, 10);
    if (argc > 3)
        window_bytes = (size_t)strtol(argv[3], NULL, 10);
    if (conns < 1 || conns > CONNS_MAX)
        return 2;
    if (argc > 1) {
        both((size_t)strtol(argv[1], NULL, 10));
    } else {
        both(16);
        both(256);
    }
    return 0;
}
