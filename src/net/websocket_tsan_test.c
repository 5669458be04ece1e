/* websocket_tsan_test.c - a storm: clients on their own loops open WebSockets; the server's connections move to another
 * loop after the handshake and again while they are at work, and peers leave at any moment. Meant for ThreadSanitizer;
 * every byte that comes back is checked everywhere. */
#include "net/websocket.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERVERS = 3, CLIENTS = 2, CONNS = 150, AT_ONCE = 20, ROUNDS = 12, BYTES = 3000 };

static struct loop *servers[SERVERS], *clients[CLIENTS];
static struct http_server *http;
static uint16_t port;
static _Atomic unsigned finished, moves, arrived_dead, alive;

static void ok(enum code code, const struct fault *why)
{
    if (code != CODE_OK) {
        (void)fprintf(stderr, "%s\n", why->text);
        abort();
    }
}

/* ---- the server: echoes, and moves on after every third piece ---- */

struct guest {
    unsigned pieces;
};

static const struct conn_events guest_events;

static void on_arrived(void *ctx, struct loop *here, struct conn *c)
{
    struct guest *g = ctx;
    if (c) {
        if (conn_loop(c) != here)
            abort();
        conn_set_events(c, &guest_events, g);
        return;
    }
    atomic_fetch_add(&arrived_dead, 1);
    atomic_fetch_sub(&alive, 1);
    free(g);
}

static void move_on(struct guest *g, struct conn *c)
{
    struct fault why;
    unsigned to = atomic_fetch_add(&moves, 1);
    ok(conn_move(c, servers[to % SERVERS], on_arrived, g, &why), &why);
}

static size_t guest_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct guest *g = ctx;
    bool moves_on = ++g->pieces % 3 == 0;
    size_t used = moves_on ? in.len / 2 : in.len; /* what is left over travels along */
    buf_add(conn_out(c), in.at, used);
    if (moves_on)
        move_on(g, c);
    return used;
}

static void guest_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)c;
    (void)why;
    atomic_fetch_sub(&alive, 1);
    free(ctx);
}

static const struct conn_events guest_events = { .on_bytes = guest_bytes, .on_close = guest_close };

static void handle(void *ctx, struct http_exchange *e, const struct http_request *r)
{
    static const char *const protocols[] = { "mqtt", NULL };
    struct websocket_rules rules = { .protocols = protocols, .frame_bytes = 1 << 20 };
    struct conn *c = websocket_accept(e, r, &rules);
    (void)ctx;
    if (!c)
        abort();
    atomic_fetch_add(&alive, 1);
    move_on(calloc(1, sizeof(struct guest)), c);
}

static void serve(void *ctx, const struct net_peer *peer)
{
    (void)ctx;
    http_serve(http, peer);
}

/* ---- the clients ---- */

struct visitor {
    struct loop *loop;
    unsigned     number, round;
    size_t       got;
};

struct host {
    struct loop *loop;
    unsigned     dialled, done;
    struct timer timer;
};
static struct host hosts[CLIENTS];

static uint8_t byte_at(const struct visitor *v, size_t i)
{
    return (uint8_t)(v->number * 31 + v->round * 7 + i);
}

static void send_round(struct visitor *v, struct conn *c)
{
    uint8_t data[BYTES];
    for (size_t i = 0; i < BYTES; i++)
        data[i] = byte_at(v, i);
    buf_add(conn_out(c), data, BYTES);
    v->got = 0;
}

static void visitor_open(void *ctx, struct conn *c)
{
    send_round(ctx, c);
}

static size_t visitor_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct visitor *v = ctx;
    for (size_t i = 0; i < in.len; i++)
        if (in.at[i] != byte_at(v, v->got + i))
            abort();
    v->got += in.len;
    /* Some leave in the middle, with or without a word. */
    if (v->number % 7 == 0 && v->round == v->number % 5) {
        conn_close(c, v->number % 2);
        return in.len;
    }
    if (v->got < BYTES)
        return in.len;
    if (++v->round == ROUNDS)
        conn_close(c, true);
    else
        send_round(v, c);
    return in.len;
}

static void dial_more(struct timer *t);

static void visitor_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct visitor *v = ctx;
    struct host *h = loop_user(conn_loop(c));
    if (v->number % 7 && (v->round < ROUNDS || why))
        abort();
    free(v);
    if (++h->done == CONNS)
        atomic_fetch_add(&finished, 1);
    else if (h->dialled < CONNS && !timer_running(&h->timer))
        timer_start(h->loop, &h->timer, 0, dial_more);
}

static const struct conn_events visitor_events = {
    .on_bytes = visitor_bytes, .on_close = visitor_close, .on_open = visitor_open
};

static void dial_more(struct timer *t)
{
    struct host *h = (struct host *)(void *)((char *)t - offsetof(struct host, timer));
    while (h->dialled < CONNS && h->dialled - h->done < AT_ONCE) {
        struct visitor *v = calloc(1, sizeof *v);
        struct fault why;
        struct conn *c;
        v->number = h->dialled++;
        ok(conn_dial(&c, h->loop, "127.0.0.1", port, &visitor_events, v, &why), &why);
        ok(websocket_dial(c, "127.0.0.1", port, "/mqtt", "mqtt", 1 << 20, &why), &why);
    }
}

static struct timer look;

static void look_again(struct timer *t)
{
    if (atomic_load(&finished) == CLIENTS && atomic_load(&alive) == 0) {
        for (int i = 0; i < SERVERS; i++)
            loop_stop(servers[i]);
        for (int i = 0; i < CLIENTS; i++)
            loop_stop(clients[i]);
        return;
    }
    timer_start(servers[0], t, 20, look_again);
}

static void *run(void *loop)
{
    loop_run(loop);
    return NULL;
}

static void a_storm_of_websockets_that_move(void **state)
{
    struct fault why;
    struct listener *l;
    pthread_t threads[SERVERS + CLIENTS];
    (void)state;
    for (int i = 0; i < SERVERS; i++)
        ok(loop_open_uv(&servers[i], &why), &why);
    ok(http_server_open(&http, servers[0], NULL, handle, NULL, &why), &why);
    ok(net_listen(&l, servers[0], "127.0.0.1:0", serve, NULL, &why), &why);
    port = listener_port(l);
    for (int i = 0; i < CLIENTS; i++) {
        ok(loop_open_uv(&clients[i], &why), &why);
        hosts[i].loop = clients[i];
        loop_set_user(clients[i], &hosts[i]);
        timer_start(clients[i], &hosts[i].timer, 0, dial_more);
    }
    timer_start(servers[0], &look, 20, look_again);
    for (int i = 0; i < SERVERS + CLIENTS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, i < SERVERS ? servers[i] : clients[i - SERVERS]), 0);
    for (int i = 0; i < SERVERS + CLIENTS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < CLIENTS; i++)
        loop_close(clients[i]);
    http_server_close(http);
    for (int i = SERVERS - 1; i >= 0; i--)
        loop_close(servers[i]);
    assert_int_equal(atomic_load(&alive), 0);
    assert_true(atomic_load(&moves) > CLIENTS * CONNS * 2);
}

/* A socket on which a handshake and six frames were sent at once, which makes two moves. */
static int say_hello(uint16_t to)
{
    static const char text[] =
        "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        "\x82\x82\0\0\0\0ab\x82\x82\0\0\0\0cd\x82\x82\0\0\0\0ef\x82\x82\0\0\0\0gh\x82\x82\0\0\0\0ij\x82\x82\0\0\0\0kl";
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(to), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 || send(fd, text, sizeof text - 1, MSG_NOSIGNAL) < 0)
        abort();
    return fd;
}

/* Loops that are closed while connections are on their way: each still arrives, as nothing if need be. */
static void loops_end_while_connections_move(void **state)
{
    enum { RESTLESS = 12 };
    (void)state;
    for (int round = 0; round < 25; round++) {
        struct fault why;
        struct listener *l;
        pthread_t threads[SERVERS];
        int peers[RESTLESS];
        atomic_store(&alive, 0);
        for (int i = 0; i < SERVERS; i++)
            ok(loop_open_uv(&servers[i], &why), &why);
        ok(http_server_open(&http, servers[0], NULL, handle, NULL, &why), &why);
        ok(net_listen(&l, servers[0], "127.0.0.1:0", serve, NULL, &why), &why);
        for (int i = 0; i < RESTLESS; i++)
            peers[i] = say_hello(listener_port(l));
        for (int i = 0; i < SERVERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, run, servers[i]), 0);
        (void)usleep((unsigned)round * 200);
        for (int i = 0; i < SERVERS; i++)
            loop_stop(servers[i]);
        for (int i = 0; i < SERVERS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (int i = SERVERS - 1; i >= 0; i--)
            loop_close(servers[i]);
        http_server_close(http);
        for (int i = 0; i < RESTLESS; i++)
            (void)close(peers[i]);
        assert_int_equal(atomic_load(&alive), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_storm_of_websockets_that_move),
        cmocka_unit_test(loops_end_while_connections_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
