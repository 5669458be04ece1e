/* websocket_fuzz.c - bytes of a peer against both sides of WebSocket, through simulated connections. The first byte: 1 our
 * client against frames of a server that made a right handshake, 2 cuts the streams at random places, 4 the connection
 * changes its loop after the handshake, 8 the peer's bytes begin with the handshake itself, 16 the client does not read. */
#include "net/sim.h"
#include "net/websocket_private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAME_BYTES = 3000 };

static const char handshake[] =
    "GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";

struct stage {
    struct sim         *sim;
    struct loop        *loop, *other;
    struct http_server *server;
    struct bytes        in; /* of a server for our client */
    bool                moves;
    unsigned            owed; /* calls of on_close and arrived */
    size_t              seen;
};

static void check(int holds)
{
    if (!holds)
        abort();
}

/* ---- our server echoes ---- */

static size_t echo_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct stage *t = ctx;
    check(in.len > 0);
    t->seen += in.len;
    buf_add_bytes(conn_out(c), in);
    return in.len;
}

static void echo_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)c;
    (void)why;
    ((struct stage *)ctx)->owed--;
}

static const struct conn_events echo_events = { .on_bytes = echo_bytes, .on_close = echo_close };

static void on_arrived(void *ctx, struct loop *here, struct conn *c)
{
    struct stage *t = ctx;
    check(here == t->other);
    if (c)
        conn_set_events(c, &echo_events, t);
    else
        t->owed--;
}

/* What is echoed leaves in frames of this: a first byte says how many follow. */
static size_t message(struct bytes front)
{
    return front.len ? 1u + front.at[0] : 0;
}

static void handle(void *ctx, struct http_exchange *e, const struct http_request *r)
{
    static const char *const protocols[] = { "mqtt", NULL };
    static const char *const origins[] = { "http://b" };
    struct stage *t = ctx;
    struct websocket_rules rules = { protocols, origins, 1, FRAME_BYTES, message };
    struct conn *c = websocket_accept(e, r, &rules);
    if (!c)
        return;
    t->owed++;
    if (t->moves)
        check(conn_move(c, t->other, on_arrived, t, NULL) == CODE_OK);
    else
        conn_set_events(c, &echo_events, t);
}

static void serve(void *ctx, const struct net_peer *peer)
{
    http_serve(((struct stage *)ctx)->server, peer);
}

/* Everything that a server says after its handshake is whole frames, and what it echoes is what came. */
static void check_frames(struct bytes said, size_t seen, bool whole)
{
    size_t echoed = 0;
    bool closed = false;
    while (said.len) {
        struct ws_head h;
        size_t head = ws_head_size(said.at, said.len);
        if (head > said.len)
            break;
        ws_head_decode(said.at, &h);
        check(!closed && h.fin && !h.masked && h.minimal && h.reserved == 0);
        if (h.bytes > said.len - head)
            break;
        check(h.opcode == WS_BINARY || h.opcode == WS_CLOSE || h.opcode == WS_PONG);
        closed = h.opcode == WS_CLOSE;
        echoed += h.opcode == WS_BINARY ? (size_t)h.bytes : 0;
        said = bytes_from(said, head + (size_t)h.bytes);
    }
    check(echoed <= seen);
    check(!whole || closed || (said.len == 0 && echoed == seen));
}

static void fuzz_server(struct stage *t, struct bytes in, unsigned flags)
{
    struct listener *l;
    check(http_server_open(&t->server, t->loop, NULL, handle, t, NULL) == CODE_OK);
    check(net_listen(&l, t->loop, "127.0.0.1:80", serve, t, NULL) == CODE_OK);
    struct sim_client *c = sim_connect(t->sim, "127.0.0.1:80");
    if (!(flags & 8))
        sim_send(c, bytes_str(handshake));
    if (flags & 16) {
        sim_step(t->sim);
        sim_stall(c, 200);
    }
    sim_send(c, in);
    sim_step(t->sim);
    if (!(flags & 8)) {
        struct bytes said = sim_received(c);
        const uint8_t *end = memmem(said.at, said.len, "\r\n\r\n", 4);
        check(bytes_starts(said, "HTTP/1.1 101 ") && end);
        check_frames(bytes_from(said, (size_t)(end + 4 - said.at)), t->seen, !(flags & 16) && !sim_closed(c));
    }
    sim_hang_up(c, in.len % 2);
    sim_step(t->sim);
    http_server_close(t->server);
}

/* ---- our client against a server of the fuzzer's ---- */

static size_t liar_bytes(void *ctx, struct conn *c, struct bytes in)
{
    const struct stage *t = ctx;
    char accept[WS_ACCEPT_CHARS + 1];
    const char *key = memmem(in.at, in.len, "Sec-WebSocket-Key: ", 19);
    if (!key || !memmem(in.at, in.len, "\r\n\r\n", 4))
        return 0;
    check(ws_accept_of(bytes_of(key + 19, WS_KEY_CHARS), accept));
    buf_printf(conn_out(c), "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: %s\r\n",
               accept);
    buf_add_bytes(conn_out(c), t->in);
    return in.len;
}

static void liar_close(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
}

static const struct conn_events liar_events = { .on_bytes = liar_bytes, .on_close = liar_close };

static void liar_accept(void *ctx, const struct net_peer *peer)
{
    struct conn *c;
    check(conn_open(&c, ((struct stage *)ctx)->loop, peer, &liar_events, ctx, NULL) == CODE_OK);
}

static void fuzz_client(struct stage *t, struct bytes in)
{
    struct listener *l;
    struct conn *c;
    t->in = in;
    check(net_listen(&l, t->loop, "127.0.0.1:80", liar_accept, t, NULL) == CODE_OK);
    check(conn_dial(&c, t->loop, "127.0.0.1", 80, &echo_events, t, NULL) == CODE_OK);
    check(websocket_dial(c, "127.0.0.1", 80, "/mqtt", "mqtt", FRAME_BYTES, NULL) == CODE_OK);
    t->owed++;
    sim_step(t->sim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct stage t = { 0 };
    if (size == 0)
        return 0;
    unsigned flags = data[0];
    struct bytes in = bytes_of(data + 1, size - 1);
    check(sim_open(&t.sim, size) == CODE_OK);
    check(loop_open_sim(&t.loop, t.sim, NULL) == CODE_OK && loop_open_sim(&t.other, t.sim, NULL) == CODE_OK);
    sim_split_bytes(t.sim, flags & 2);
    t.moves = flags & 4;
    if (flags & 1)
        fuzz_client(&t, in);
    else
        fuzz_server(&t, in, flags);
    loop_close(t.loop);
    loop_close(t.other);
    sim_close(t.sim);
    check(t.owed == 0);
    return 0;
}
