/* http_fuzz.c - bytes of a peer against the HTTP server, or with the lowest bit of the first byte set,
 * against the HTTP client, through simulated connections. The other bits of the first byte: 2 cuts the
 * streams at random places, 4 lets the server's client stall at first. */
#include "net/http.h"
#include "net/sim.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stage {
    struct sim         *sim;
    struct loop        *loop;
    struct http_server *server;
    struct http_exchange *held;
    unsigned            dones;
};

static void check(int holds)
{
    if (!holds)
        abort();
}

static void on_gone(void *ctx)
{
    ((struct stage *)ctx)->held = NULL;
}

static void handle(void *ctx, struct http_exchange *e, const struct http_request *r)
{
    struct stage *t = ctx;
    char value[16];
    check(r->path.len > 0 && r->body.len <= 1000);
    check(!memchr(r->path.at, 0, r->path.len));
    (void)http_query(r->query, "a", value, sizeof value);
    (void)http_header(e, "host");
    switch (r->path.len % 4) {
    case 0: /* later */
        t->held = e;
        http_watch(e, NULL, on_gone, t);
        break;
    case 1:
        http_begin(e, 200, "text/plain");
        (void)http_chunk(e, r->body);
        (void)http_chunk(e, r->query);
        http_end(e);
        break;
    default:
        http_reply(e, 200, "text/plain", r->body);
    }
}

static void serve(void *ctx, const struct net_peer *peer)
{
    http_serve(((struct stage *)ctx)->server, peer);
}

static void fuzz_server(struct stage *t, struct bytes in, bool stall)
{
    struct listener *l;
    struct http_limits limits = {
        .connections = 100,
        .request_line = 200, .header_bytes = 400, .header_count = 8, .body_bytes = 1000, .header_seconds = 10
    };
    check(http_server_open(&t->server, t->loop, &limits, handle, t, NULL) == CODE_OK);
    check(net_listen(&l, t->loop, "127.0.0.1:80", serve, t, NULL) == CODE_OK);
    struct sim_client *c = sim_connect(t->sim, "127.0.0.1:80");
    if (stall)
        sim_stall(c, 7);
    sim_send(c, in);
    sim_step(t->sim);
    sim_stall(c, SIZE_MAX);
    sim_step(t->sim);
    for (int i = 0; i < 50 && t->held; i++) {
        struct http_exchange *e = t->held;
        t->held = NULL;
        http_reply(e, 200, NULL, BYTES_LIT("late"));
        sim_step(t->sim);
    }
    check(sim_received(c).len == 0 || bytes_starts(sim_received(c), "HTTP/1.1 "));
    sim_advance(t->sim, 12000000); /* 408, if it comes to that */
    sim_hang_up(c, in.len % 2);
    sim_step(t->sim);
    check(sim_closed(c));
    http_server_close(t->server);
}

/* ---- */

static void call_body(void *ctx, struct bytes part)
{
    check(part.len > 0 && ((struct stage *)ctx)->dones == 0);
}

static void call_done(void *ctx, const struct fault *why)
{
    (void)why;
    ((struct stage *)ctx)->dones++;
}

static const struct http_call_events call_events = { NULL, call_body, call_done };

struct script {
    struct loop *loop;
    struct bytes text;
};

static size_t script_bytes(void *ctx, struct conn *c, struct bytes in)
{
    buf_add_bytes(conn_out(c), ((struct script *)ctx)->text);
    conn_close(c, true);
    return in.len;
}

static void script_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
}

static const struct conn_events script_events = { .on_bytes = script_bytes, .on_close = script_close };

static void script_accept(void *ctx, const struct net_peer *peer)
{
    struct conn *c;
    check(conn_open(&c, ((struct script *)ctx)->loop, peer, &script_events, ctx, NULL) == CODE_OK);
}

static void fuzz_client(struct stage *t, struct bytes in)
{
    struct listener *l;
    struct http_call *call;
    struct script s = { t->loop, in };
    check(net_listen(&l, t->loop, "127.0.0.1:80", script_accept, &s, NULL) == CODE_OK);
    check(http_call_open(&call, t->loop, "127.0.0.1", 80, "GET", "/", BYTES_NONE, &call_events, t, NULL) ==
          CODE_OK);
    sim_step(t->sim);
    check(t->dones == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage t = { 0 };
    if (size == 0)
        return 0;
    struct bytes in = bytes_of(data + 1, size - 1);
    check(sim_open(&t.sim, size) == CODE_OK);
    sim_split_bytes(t.sim, data[0] & 2);
    check(loop_open_sim(&t.loop, t.sim, NULL) == CODE_OK);
    if (data[0] & 1)
        fuzz_client(&t, in);
    else
        fuzz_server(&t, in, data[0] & 4);
    loop_close(t.loop);
    sim_close(t.sim);
    return 0;
}
