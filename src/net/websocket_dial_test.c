/* websocket_dial_test.c - our client of WebSocket: with our server, and with servers that it must not believe. */
#include "net/websocket_test_stage.h"

/* ---- the client ---- */

struct dialler {
    unsigned     opens, closes;
    struct buf   got;
    struct conn *conn;
    struct fault why;
};

static void dial_open(void *ctx, struct conn *c)
{
    struct dialler *d = ctx;
    d->opens++;
    buf_add(conn_out(c), "hello", 5);
}

static size_t dial_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct dialler *d = ctx;
    (void)c;
    buf_add_bytes(&d->got, in);
    return in.len;
}

static void dial_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct dialler *d = ctx;
    (void)c;
    d->closes++;
    d->conn = NULL;
    if (why)
        d->why = *why;
}

static const struct conn_events dial_events = { .on_bytes = dial_bytes, .on_close = dial_close, .on_open = dial_open };

static void dial(struct stage *t, struct dialler *d, const char *path, const char *protocol)
{
    struct fault why;
    memset(d, 0, sizeof *d);
    ok(conn_dial(&d->conn, t->loop, "127.0.0.1", 8080, &dial_events, d, &why), &why);
    ok(websocket_dial(d->conn, "127.0.0.1", 8080, path, protocol, FRAME_BYTES, &why), &why);
    sim_step(t->sim);
}

static void our_client_and_our_server_agree(void **state)
{
    static uint8_t data[60000];
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++) {
        struct stage t;
        struct dialler d;
        stage_open(&t, seed);
        sim_split_bytes(t.sim, seed & 1);
        t.moves = seed & 2;
        dial(&t, &d, "/mqtt", "mqtt");
        assert_int_equal(d.opens, 1);
        assert_true(bytes_is(buf_bytes(&d.got), "hello"));
        for (size_t i = 0; i < sizeof data; i++)
            data[i] = stream_at(i);
        buf_add(conn_out(d.conn), data, 10);
        conn_send_ref(d.conn, bytes_of(data + 10, sizeof data - 10), NULL, NULL);
        sim_step(t.sim);
        assert_int_equal(buf_size(&d.got), 5 + sizeof data);
        assert_memory_equal(buf_bytes(&d.got).at + 5, data, sizeof data);
        conn_close(d.conn, true);
        sim_step(t.sim);
        assert_int_equal(d.closes, 1);
        assert_int_equal(t.closes, 1);
        assert_int_equal(t.why.code, CODE_CLOSED);
        buf_clear(&d.got);
        stage_close(&t);
    }
}

static void a_refused_client_is_told_why(void **state)
{
    struct stage t;
    struct dialler d;
    struct fault why;
    (void)state;
    stage_open(&t, 1);
    dial(&t, &d, "/elsewhere", "mqtt");
    assert_int_equal(d.opens, 0);
    assert_int_equal(d.closes, 1);
    assert_non_null(strstr(d.why.text, "HTTP/1.1 200"));
    dial(&t, &d, "/mqtt", "chat");
    assert_int_equal(d.closes, 1);
    assert_non_null(strstr(d.why.text, "HTTP/1.1 400"));
    ok(conn_dial(&d.conn, t.loop, "127.0.0.1", 8080, &dial_events, &d, &why), &why);
    assert_int_equal(websocket_dial(d.conn, "127.0.0.1", 8080, "no/slash", "mqtt", 1, &why), CODE_USAGE);
    assert_int_equal(websocket_dial(d.conn, "127.0.0.1", 8080, "/a\r\nX: y", "mqtt", 1, &why), CODE_USAGE);
    stage_close(&t);
}

/* ---- servers that a client must not believe ---- */

struct liar {
    struct loop *loop;
    const char  *answer;
    size_t       size;
    bool         right_accept;
};

static size_t liar_bytes(void *ctx, struct conn *c, struct bytes in)
{
    const struct liar *l = ctx;
    const char *key = memmem(in.at, in.len, "Sec-WebSocket-Key: ", 19);
    if (!key || !memmem(in.at, in.len, "\r\n\r\n", 4))
        return 0;
    if (l->right_accept) {
        char accept[WS_ACCEPT_CHARS + 1];
        assert_true(ws_accept_of(bytes_of(key + 19, WS_KEY_CHARS), accept));
        buf_printf(conn_out(c), "HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: %s\r\n",
                   accept);
    }
    buf_add(conn_out(c), l->answer, l->size);
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
    struct fault why;
    ok(conn_open(&c, ((struct liar *)ctx)->loop, peer, &liar_events, ctx, &why), &why);
}

static const struct {
    const char *name;
    bool        right;
    const char *answer;
    size_t      size;
    unsigned    opens;
    const char *says;
} lies[] = {
    { "not HTTP", false, RAW("\x20\x02\x00\x00 this is MQTT\r\n\r\n"), 0, "does not open a WebSocket" },
    { "another accept", false,
      RAW("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: "
          "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"), 0, "handshake is wrong" },
    { "no subprotocol", true, RAW("\r\n"), 0, "subprotocol mqtt" },
    { "another subprotocol", true, RAW("Sec-WebSocket-Protocol: chat\r\n\r\n"), 0, "subprotocol mqtt" },
    { "an extension", true, RAW("Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: x\r\n\r\n"), 0, "extension" },
    { "a frame that is masked", true, RAW("Sec-WebSocket-Protocol: mqtt\r\n\r\n\x82\x81" M4 "x"), 1, "masked" },
    { "text", true, RAW("Sec-WebSocket-Protocol: mqtt\r\n\r\n\x81\x01x"), 1, "1003" },
    { "a large frame", true, RAW("Sec-WebSocket-Protocol: mqtt\r\n\r\n\x82\x7f\x00\x00\x00\x00\x01\x00\x00\x00"), 1, "1009" },
    { "a close", true, RAW("Sec-WebSocket-Protocol: mqtt\r\n\r\n\x88\x00"), 1, "closed the connection" },
};

static void a_client_does_not_believe_everything(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        struct stage t;
        struct dialler d = { 0 };
        struct listener *l;
        struct fault why;
        stage_open(&t, i);
        sim_split_bytes(t.sim, i & 1);
        struct liar liar = { t.loop, lies[i].answer, lies[i].size, lies[i].right };
        ok(net_listen(&l, t.loop, "127.0.0.1:81", liar_accept, &liar, &why), &why);
        ok(conn_dial(&d.conn, t.loop, "127.0.0.1", 81, &dial_events, &d, &why), &why);
        ok(websocket_dial(d.conn, "127.0.0.1", 81, "/mqtt", "mqtt", FRAME_BYTES, &why), &why);
        sim_step(t.sim);
        if (d.opens != lies[i].opens || d.closes != 1 || !strstr(d.why.text, lies[i].says))
            fail_msg("%s: %u opens, %u closes, %s", lies[i].name, d.opens, d.closes, d.why.text);
        buf_clear(&d.got);
        stage_close(&t);
    }
}

static void an_endless_answer_ends(void **state)
{
    static char head[20000];
    struct stage t;
    struct dialler d = { 0 };
    struct listener *l;
    struct fault why;
    (void)state;
    memset(head, 'x', sizeof head);
    stage_open(&t, 1);
    struct liar liar = { t.loop, head, sizeof head, false };
    ok(net_listen(&l, t.loop, "127.0.0.1:81", liar_accept, &liar, &why), &why);
    ok(conn_dial(&d.conn, t.loop, "127.0.0.1", 81, &dial_events, &d, &why), &why);
    ok(websocket_dial(d.conn, "127.0.0.1", 81, "/mqtt", "mqtt", FRAME_BYTES, &why), &why);
    sim_step(t.sim);
    assert_int_equal(d.closes, 1);
    assert_int_equal(d.why.code, CODE_LIMIT);
    stage_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_client_and_our_server_agree),
        cmocka_unit_test(a_refused_client_is_told_why),
        cmocka_unit_test(a_client_does_not_believe_everything),
        cmocka_unit_test(an_endless_answer_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
