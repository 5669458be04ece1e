/* websocket_test.c - handshakes and frames, good and hostile, whole and cut at every byte, against what must come back. */
#include "net/websocket_test_stage.h"

static void send_text(struct stage *t, struct sim_client *c, const char *text)
{
    sim_send(c, bytes_str(text));
    sim_step(t->sim);
}

#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define START "GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION "Sec-WebSocket-Version: 13\r\n"
#define MQTT "Sec-WebSocket-Protocol: mqtt\r\n"
#define WHOLE START UPGRADE KEY VERSION MQTT "\r\n"

/* What stands before the first frame goes. */
static void expect_upgrade(struct sim_client *c)
{
    struct bytes in = sim_received(c);
    const uint8_t *end = memmem(in.at, in.len, "\r\n\r\n", 4);
    assert_non_null(end);
    assert_true(bytes_starts(in, "HTTP/1.1 101 Switching Protocols\r\n"));
    assert_non_null(memmem(in.at, in.len, ACCEPT, strlen(ACCEPT)));
    sim_take(c, (size_t)(end + 4 - in.at));
}

static struct sim_client *connect_ws(struct stage *t)
{
    struct sim_client *c = sim_connect(t->sim, "127.0.0.1:8080");
    send_text(t, c, WHOLE);
    expect_upgrade(c);
    return c;
}

/* ---- an encoder and a decoder of the test's own, as plain as can be ---- */

static void put_frame(struct buf *out, unsigned first, struct bytes payload, bool masked)
{
    static const uint8_t mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
    uint8_t bit = masked ? 0x80 : 0;
    buf_u8(out, (uint8_t)first);
    if (payload.len < 126) {
        buf_u8(out, (uint8_t)(bit | payload.len));
    } else if (payload.len < 65536) {
        buf_u8(out, bit | 126);
        buf_be16(out, (uint16_t)payload.len);
    } else {
        buf_u8(out, bit | 127);
        buf_be32(out, 0);
        buf_be32(out, (uint32_t)payload.len);
    }
    if (masked)
        buf_add(out, mask, 4);
    for (size_t i = 0; i < payload.len; i++)
        buf_u8(out, payload.at[i] ^ (masked ? mask[i % 4] : 0));
}

struct frame {
    unsigned     first;
    struct bytes payload;
};

/* The next frame of a server; false: none is there yet. */
static bool next_frame(struct bytes *in, struct frame *f)
{
    size_t head = 2, len;
    if (in->len < 2)
        return false;
    assert_int_equal(in->at[1] & 0x80, 0); /* [RFC 6455, 5.1] */
    len = in->at[1];
    if (len == 126) {
        head = 4;
        len = (size_t)in->at[2] << 8 | in->at[3];
    } else if (len == 127) {
        head = 10;
        len = 0;
        for (int i = 0; i < 8; i++)
            len = len << 8 | in->at[2 + i];
    }
    if (in->len < head + len)
        return false;
    *f = (struct frame){ in->at[0], bytes_of(in->at + head, len) };
    *in = bytes_from(*in, head + len);
    return true;
}

static void expect_frame(struct sim_client *c, unsigned first, struct bytes payload)
{
    struct bytes in = sim_received(c);
    struct frame f;
    size_t had = in.len;
    if (!next_frame(&in, &f))
        fail_msg("no frame");
    assert_int_equal(f.first, first);
    assert_int_equal(f.payload.len, payload.len);
    if (payload.len)
        assert_memory_equal(f.payload.at, payload.at, payload.len);
    sim_take(c, had - in.len);
}

static void expect_close(struct sim_client *c, unsigned code)
{
    uint8_t said[2] = { (uint8_t)(code >> 8), (uint8_t)code };
    expect_frame(c, 0x88, bytes_of(said, 2));
    assert_int_equal(sim_received(c).len, 0);
    assert_true(sim_closed(c));
}

static void send_buf(struct stage *t, struct sim_client *c, struct buf *b, size_t step)
{
    struct bytes all = buf_bytes(b);
    while (all.len) {
        size_t n = step && step < all.len ? step : all.len;
        sim_send(c, bytes_of(all.at, n));
        sim_step(t->sim);
        all = bytes_from(all, n);
    }
    buf_clear(b);
}

static void send_frame(struct stage *t, struct sim_client *c, unsigned first, struct bytes payload, size_t step)
{
    struct buf wire = { 0 };
    put_frame(&wire, first, payload, true);
    send_buf(t, c, &wire, step);
}

/* With a client whose handshake is done. */
static struct sim_client *open_connected(struct stage *t, uint64_t seed)
{
    stage_open(t, seed);
    return connect_ws(t);
}

/* ---- heads and masks ---- */

static void heads_are_those_of_the_standard(void **state)
{
    static const uint64_t sizes[] = { 0, 1, 125, 126, 127, 65535, 65536, 1 << 20, INT64_MAX };
    static const uint8_t mask[4] = { 1, 2, 3, 4 };
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int masked = 0; masked < 2; masked++) {
            uint8_t to[WS_HEAD_MAX];
            struct ws_head h;
            size_t n = ws_head_encode(to, WS_BINARY, sizes[i], masked ? mask : NULL);
            assert_int_equal(n, (sizes[i] < 126 ? 2u : sizes[i] < 65536 ? 4u : 10u) + (masked ? 4u : 0u));
            for (size_t have = 0; have < n; have++)
                assert_true(ws_head_size(to, have) > have);
            assert_int_equal(ws_head_size(to, n), n);
            ws_head_decode(to, &h);
            assert_true(h.fin && h.minimal && h.masked == masked && h.reserved == 0 && h.opcode == WS_BINARY);
            assert_true(h.bytes == sizes[i]);
            assert_true(!masked || memcmp(h.mask, mask, 4) == 0);
        }
    /* [RFC 6455, 5.7] */
    uint8_t hello[5];
    ws_mask(hello, (const uint8_t *)"\x7f\x9f\x4d\x51\x58", 5, (const uint8_t *)"\x37\xfa\x21\x3d", 0);
    assert_memory_equal(hello, "Hello", 5);
}

static void masks_are_the_same_however_they_begin(void **state)
{
    static const uint8_t mask[4] = { 0x9a, 0x01, 0x77, 0xfe };
    uint8_t from[200], to[200], in_place[200];
    (void)state;
    for (size_t i = 0; i < sizeof from; i++)
        from[i] = (uint8_t)(i * 37);
    for (size_t n = 0; n < 150; n++)
        for (size_t skip = 0; skip < 9; skip++)
            for (uint64_t at = 0; at < 5; at++) {
                memset(to, 0xee, sizeof to);
                memcpy(in_place, from, sizeof from);
                ws_mask(to + skip, from + skip, n, mask, at);
                ws_mask(in_place + skip, in_place + skip, n, mask, at);
                for (size_t i = 0; i < n; i++)
                    assert_int_equal(to[skip + i], from[skip + i] ^ mask[(at + i) % 4]);
                assert_memory_equal(to + skip, in_place + skip, n);
                assert_int_equal(to[skip + n], 0xee);
            }
}

/* ---- handshakes ---- */

static const struct {
    const char *name, *request;
    unsigned    status;
    const char *says; /* NULL: nothing in particular */
    int         kind; /* enum websocket_refusal, -1: accepted */
} handshakes[] = {
    { "as it should be", WHOLE, 101, "Sec-WebSocket-Protocol: mqtt\r\n", -1 },
    { "other letters", START "UPGRADE: WebSocket\r\nconnection: keep-alive, upgrade\r\n" KEY VERSION MQTT "\r\n", 101, ACCEPT, -1 },
    { "the second of the list", START UPGRADE KEY VERSION "Sec-WebSocket-Protocol: chat, mqttv3.1 , mqtt\r\n\r\n", 101,
      "Sec-WebSocket-Protocol: mqttv3.1\r\n", -1 },
    { "a list in two headers", START UPGRADE KEY VERSION "Sec-WebSocket-Protocol: chat\r\n" MQTT "\r\n", 101,
      "Sec-WebSocket-Protocol: mqtt\r\n", -1 },
    { "extensions are not agreed on", START UPGRADE KEY VERSION MQTT "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 101,
      NULL, -1 },
    { "our own page", START UPGRADE KEY VERSION MQTT "Origin: http://127.0.0.1:8080\r\n\r\n", 101, NULL, -1 },
    { "our own page over TLS", START UPGRADE KEY VERSION MQTT "Origin: https://127.0.0.1:8080\r\n\r\n", 101, NULL, -1 },
    { "localhost", "GET /mqtt HTTP/1.1\r\nHost: localhost:8080\r\n" UPGRADE KEY VERSION MQTT "Origin: http://LOCALHOST:8080\r\n\r\n",
      101, NULL, -1 },
    { "IPv6 as Paho writes it", "GET /mqtt HTTP/1.1\r\nHost: ::1:8080\r\n" UPGRADE KEY VERSION MQTT
      "Origin: https://::1:8080\r\n\r\n", 101, NULL, -1 },
    { "IPv6", "GET /mqtt HTTP/1.1\r\nHost: [::1]:8080\r\n" UPGRADE KEY VERSION MQTT "Origin: http://[::1]:8080\r\n\r\n", 101, NULL,
      -1 },
    { "a page that is listed", START UPGRADE KEY VERSION MQTT "Origin: https://plant.example:8443\r\n\r\n", 101, NULL, -1 },
    { "a query", "GET /mqtt?x=1 HTTP/1.1\r\nHost: a\r\n" UPGRADE KEY VERSION MQTT "\r\n", 101, NULL, -1 },

    { "no upgrade", START "\r\n", 426, "Upgrade: websocket\r\n", WEBSOCKET_NOT_UPGRADE },
    { "another upgrade", START "Upgrade: h2c\r\nConnection: Upgrade\r\n" KEY VERSION MQTT "\r\n", 426, NULL, WEBSOCKET_NOT_UPGRADE },
    { "no Connection", START "Upgrade: websocket\r\n" KEY VERSION MQTT "\r\n", 400, NULL, WEBSOCKET_MALFORMED },
    { "POST", "POST /mqtt HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" UPGRADE KEY VERSION MQTT "\r\n", 405, "Allow: GET\r\n",
      WEBSOCKET_MALFORMED },
    { "HTTP/1.0", "GET /mqtt HTTP/1.0\r\n" UPGRADE KEY VERSION MQTT "\r\n", 400, NULL, WEBSOCKET_MALFORMED },
    { "a body", START "Content-Length: 2\r\n" UPGRADE KEY VERSION MQTT "\r\nhi", 400, NULL, WEBSOCKET_MALFORMED },
    { "no key", START UPGRADE VERSION MQTT "\r\n", 400, "Sec-WebSocket-Key", WEBSOCKET_MALFORMED },
    { "two keys", START UPGRADE KEY KEY VERSION MQTT "\r\n", 400, NULL, WEBSOCKET_MALFORMED },
    { "a short key", START UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n" VERSION MQTT "\r\n", 400, NULL, WEBSOCKET_MALFORMED },
    { "a key that is not base64", START UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j_Q==\r\n" VERSION MQTT "\r\n", 400, NULL,
      WEBSOCKET_MALFORMED },
    { "no version", START UPGRADE KEY MQTT "\r\n", 426, "Sec-WebSocket-Version: 13\r\n", WEBSOCKET_VERSION },
    { "version 8", START UPGRADE KEY "Sec-WebSocket-Version: 8\r\n" MQTT "\r\n", 426, "Sec-WebSocket-Version: 13\r\n",
      WEBSOCKET_VERSION },
    { "two versions", START UPGRADE KEY VERSION VERSION MQTT "\r\n", 400, NULL, WEBSOCKET_MALFORMED },
    { "no subprotocol", START UPGRADE KEY VERSION "\r\n", 400, "subprotocol mqtt", WEBSOCKET_PROTOCOL },
    { "another subprotocol", START UPGRADE KEY VERSION "Sec-WebSocket-Protocol: chat, MQTT, mqtt5\r\n\r\n", 400, "chat",
      WEBSOCKET_PROTOCOL },
    { "a page from elsewhere", START UPGRADE KEY VERSION MQTT "Origin: http://evil.example\r\n\r\n", 403, "origins",
      WEBSOCKET_ORIGIN },
    { "another port is elsewhere", START UPGRADE KEY VERSION MQTT "Origin: http://127.0.0.1:8081\r\n\r\n", 403, NULL,
      WEBSOCKET_ORIGIN },
    { "a page in a file", START UPGRADE KEY VERSION MQTT "Origin: null\r\n\r\n", 403, NULL, WEBSOCKET_ORIGIN },
    { "listed with another port", START UPGRADE KEY VERSION MQTT "Origin: https://plant.example\r\n\r\n", 403, NULL,
      WEBSOCKET_ORIGIN },
    { "two origins", START UPGRADE KEY VERSION MQTT "Origin: http://127.0.0.1:8080\r\nOrigin: http://127.0.0.1:8080\r\n\r\n", 400,
      NULL, WEBSOCKET_MALFORMED },
    { "a name that was pointed to us",
      "GET /mqtt HTTP/1.1\r\nHost: evil.example\r\n" UPGRADE KEY VERSION MQTT "Origin: http://evil.example\r\n\r\n", 403, NULL,
      WEBSOCKET_ORIGIN },
};

static void try_handshake(size_t i, bool cut)
{
    struct stage t;
    struct websocket_stats before, after;
    stage_open(&t, i);
    websocket_stats(&before);
    struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
    struct buf b = { 0 };
    buf_add_bytes(&b, bytes_str(handshakes[i].request));
    send_buf(&t, c, &b, cut ? 1 : 0);
    websocket_stats(&after);
    char status[32], *answer = mem_strndup(sim_received(c).at, sim_received(c).len);
    (void)snprintf(status, sizeof status, "HTTP/1.1 %u ", handshakes[i].status);
    if (strncmp(answer, status, strlen(status)) != 0 || (handshakes[i].says && !strstr(answer, handshakes[i].says)))
        fail_msg("%s: %s", handshakes[i].name, answer);
    assert_null(strstr(answer, "Extensions"));
    assert_int_equal(t.upgrades, handshakes[i].kind < 0);
    assert_int_equal(after.accepted - before.accepted, handshakes[i].kind < 0);
    for (int k = 0; k < WEBSOCKET_REFUSALS; k++)
        assert_int_equal(after.refused[k] - before.refused[k], handshakes[i].kind == k);
    mem_free(answer);
    if (handshakes[i].kind >= 0 && !sim_closed(c)) { /* and HTTP goes on */
        sim_take(c, sim_received(c).len);
        send_text(&t, c, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_true(bytes_starts(sim_received(c), "HTTP/1.1 200"));
    }
    stage_close(&t);
}

static void handshakes_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof handshakes / sizeof handshakes[0]; i++) {
        try_handshake(i, false);
        try_handshake(i, true);
    }
}

/* A page that reaches us by name from another machine is ours when the names agree. */
static void a_name_counts_for_other_machines(void **state)
{
    (void)state;
    struct stage t;
    stage_open(&t, 1);
    struct sim_client *c = sim_connect_from(t.sim, "10.0.0.1:8080", "10.0.0.9:4711", UINT32_MAX);
    send_text(&t, c, "GET /mqtt HTTP/1.1\r\nHost: gw1:8080\r\n" UPGRADE KEY VERSION MQTT "Origin: http://gw1:8080\r\n\r\n");
    expect_upgrade(c);
    stage_close(&t);
}

/* ---- bytes through frames ---- */

/* `total` bytes in frames and fragments of drawn sizes, with pings, pongs and empty frames between. */
static void put_stream(struct stage *t, struct buf *out, uint8_t *data, size_t total, unsigned *pings)
{
    bool inside = false;
    for (size_t at = 0; at < total || inside;) {
        size_t n = (size_t)(sim_draw(t->sim) % 900);
        if (sim_draw(t->sim) % 40 == 0)
            n = 66000;
        if (n > total - at)
            n = total - at;
        bool fin = at + n == total || sim_draw(t->sim) % 3;
        put_frame(out, (fin ? 0x80u : 0u) | (inside ? 0u : 2u), bytes_of(data + at, n), true);
        inside = !fin;
        at += n;
        if (sim_draw(t->sim) % 5 == 0) {
            put_frame(out, 0x89, BYTES_LIT("are you there?"), true);
            ++*pings;
        }
        if (sim_draw(t->sim) % 9 == 0)
            put_frame(out, 0x8a, BYTES_LIT("unasked"), true);
    }
}

static void collect(struct sim_client *c, struct buf *got, unsigned *pongs, unsigned *frames)
{
    struct bytes in = sim_received(c);
    size_t had = in.len;
    struct frame f;
    while (next_frame(&in, &f)) {
        if (f.first == 0x8a) {
            assert_true(bytes_is(f.payload, "are you there?"));
            ++*pongs;
        } else {
            assert_int_equal(f.first, 0x82);
            assert_true(f.payload.len > 0);
            ++*frames;
            buf_add_bytes(got, f.payload);
        }
    }
    sim_take(c, had - in.len);
}

static void stream(uint64_t seed, size_t step, bool moves, bool cut)
{
    enum { TOTAL = 300000 };
    struct stage t;
    struct buf wire = { 0 }, got = { 0 };
    unsigned pings = 0, pongs = 0, frames = 0;
    size_t total = step == 1 ? 5000 : TOTAL;
    uint8_t *data = mem_alloc(TOTAL);
    for (size_t i = 0; i < total; i++)
        data[i] = stream_at(i + seed);
    stage_open(&t, seed);
    t.moves = moves;
    sim_split_bytes(t.sim, cut);
    struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
    buf_add_bytes(&wire, bytes_str(WHOLE)); /* the first frames follow at once */
    put_stream(&t, &wire, data, total, &pings);
    struct bytes all = buf_bytes(&wire);
    bool upgraded = false;
    while (all.len) {
        size_t n = step && step < all.len ? step : all.len;
        sim_send(c, bytes_of(all.at, n));
        sim_step(t.sim);
        all = bytes_from(all, n);
        if (!upgraded && t.upgrades) {
            expect_upgrade(c);
            upgraded = true;
        }
        if (upgraded)
            collect(c, &got, &pongs, &frames);
    }
    assert_int_equal(buf_size(&got), total);
    assert_memory_equal(buf_bytes(&got).at, data, total);
    assert_int_equal(buf_size(&t.seen), total);
    if (step)
        assert_int_equal(pongs, pings);
    else
        assert_true(pongs > 0 && pongs <= pings); /* much at once: not each has to be answered */
    assert_int_equal(t.arrivals, moves);
    if (moves) {
        assert_int_equal(t.door, 7);
        assert_true(strncmp(t.peer, "127.0.0.1:", 10) == 0);
        assert_ptr_equal(conn_loop(t.conn), t.other);
    }
    stage_close(&t);
    assert_int_equal(t.closes, 1);
    buf_clear(&wire);
    buf_clear(&got);
    mem_free(data);
}

static void bytes_arrive_however_they_are_framed_and_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        stream(seed, 1 + seed * 997, seed & 1, seed & 2);
        stream(seed, 0, seed & 1, seed & 2);
    }
    stream(99, 1, true, false);
    stream(98, 1, false, true);
}

/* What a turn wrote, copied and by reference, is one frame; and what waits behind a peer that does not read, too. */
static void a_turn_is_one_frame(void **state)
{
    static uint8_t big[200000];
    (void)state;
    struct stage t;
    struct sim_client *c = open_connected(&t, 5);
    for (int round = 0; round < 3; round++) {
        static const size_t sizes[] = { 1, 200, 70000 };
        struct buf expect = { 0 };
        for (int i = 0; i < 5; i++) {
            buf_add(conn_out(t.conn), big, sizes[round]);
            conn_send_ref(t.conn, bytes_of(big, sizes[round] / 2), NULL, NULL);
            buf_add(&expect, big, sizes[round] + sizes[round] / 2);
        }
        sim_step(t.sim);
        expect_frame(c, 0x82, buf_bytes(&expect));
        assert_int_equal(sim_received(c).len, 0);
        buf_clear(&expect);
    }
    /* Behind a window that is shut. */
    sim_stall(c, 3);
    buf_add(conn_out(t.conn), "first", 5);
    sim_step(t.sim);
    buf_add(conn_out(t.conn), "second", 6);
    sim_step(t.sim);
    conn_send_ref(t.conn, bytes_of("third", 5), NULL, NULL);
    sim_step(t.sim);
    sim_stall(c, SIZE_MAX);
    sim_step(t.sim);
    expect_frame(c, 0x82, BYTES_LIT("first"));
    expect_frame(c, 0x82, BYTES_LIT("secondthird"));
    assert_int_equal(conn_unsent(t.conn), 0);
    stage_close(&t);
}

/* Messages of this test: how many bytes follow, then they. */
static size_t toy_message(struct bytes front)
{
    return front.len ? 1u + front.at[0] : 0;
}

/* Each message has its frame when the protocol says where it ends, copied or by reference, in one turn or over two. */
static void a_message_is_one_frame(void **state)
{
    static const uint8_t two[] = "\x03" "abc" "\x00"; /* and a third one's beginning: its NUL is unsent */
    (void)state;
    struct stage t;
    stage_open(&t, 5);
    t.rules.message = toy_message;
    struct sim_client *c = connect_ws(&t);
    for (int round = 0; round < 3; round++) {
        buf_add(conn_out(t.conn), "\x05hel", 4);
        conn_send_ref(t.conn, BYTES_LIT("lo\x02"), NULL, NULL); /* the end of one and the beginning of another */
        buf_add(conn_out(t.conn), "yz", 2);
        conn_send_ref(t.conn, bytes_of(two, 5), NULL, NULL);
        buf_add(conn_out(t.conn), "\x04go", 3);
        sim_step(t.sim);
        expect_frame(c, 0x82, BYTES_LIT("\x05hello"));
        expect_frame(c, 0x82, BYTES_LIT("\x02yz"));
        expect_frame(c, 0x82, BYTES_LIT("\x03" "abc"));
        expect_frame(c, 0x82, BYTES_LIT("\x00"));
        expect_frame(c, 0x82, BYTES_LIT("\x04go"));
        buf_add(conn_out(t.conn), "ne\x01!", 4);
        sim_step(t.sim);
        expect_frame(c, 0x82, BYTES_LIT("ne"));
        expect_frame(c, 0x82, BYTES_LIT("\x01!"));
        assert_int_equal(sim_received(c).len, 0);
    }
    assert_int_equal(conn_unsent(t.conn), 0);
    stage_close(&t);
}

/* ---- frames that end the connection ---- */

static const struct {
    const char *name, *frames;
    size_t      size;
    unsigned    close;
} endings[] = {
    { "not masked", RAW("\x82\x01x"), 1002 },
    { "not masked, empty", RAW("\x82\x00"), 1002 },
    { "RSV1", RAW("\xc2\x80" M4), 1002 },
    { "RSV2", RAW("\xa2\x80" M4), 1002 },
    { "RSV3", RAW("\x92\x80" M4), 1002 },
    { "opcode 3", RAW("\x83\x80" M4), 1002 },
    { "opcode 7", RAW("\x87\x80" M4), 1002 },
    { "opcode 11", RAW("\x8b\x80" M4), 1002 },
    { "opcode 15", RAW("\x8f\x80" M4), 1002 },
    { "text", RAW("\x81\x82" M4 "ab"), 1003 },
    { "text in fragments", RAW("\x01\x82" M4 "ab"), 1003 },
    { "empty text", RAW("\x81\x80" M4), 1003 },
    { "a continuation of nothing", RAW("\x80\x80" M4), 1002 },
    { "a continuation after a whole message", RAW("\x82\x80" M4 "\x80\x80" M4), 1002 },
    { "a message inside of another", RAW("\x02\x80" M4 "\x82\x80" M4), 1002 },
    { "a ping in fragments", RAW("\x09\x80" M4), 1002 },
    { "a close in fragments", RAW("\x08\x80" M4), 1002 },
    { "a ping of 126 bytes", RAW("\x89\xfe\x00\x7e" M4), 1002 },
    { "a close of 64 KiB", RAW("\x88\xff\x00\x00\x00\x00\x00\x01\x00\x00" M4), 1002 },
    { "16 bits for 125", RAW("\x82\xfe\x00\x7d" M4), 1002 },
    { "64 bits for 65535", RAW("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff" M4), 1002 },
    { "the highest bit of a length", RAW("\x82\xff\x80\x00\x00\x00\x00\x00\xff\xff" M4), 1002 },
    { "one byte above the limit", RAW("\x82\xff\x00\x00\x00\x00\x00\x01\x11\x71" M4), 1009 },
    { "above the limit by far", RAW("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff" M4), 1009 },
    { "a close", RAW("\x88\x80" M4), 1000 },
    { "a close with a code", RAW("\x88\x82" M4 "\x02\xea"), 1000 },                     /* 0x03e8 */
    { "a close with a code and a reason", RAW("\x88\x84" M4 "\x02\xea" "kk"), 1000 },
    { "going away", RAW("\x88\x82" M4 "\x02\xeb"), 1001 },
    { "a code of an application", RAW("\x88\x82" M4 "\x0e\xa2"), 4000 },                /* 0x0fa0 */
    { "a code of one byte", RAW("\x88\x81" M4 "\x02"), 1002 },
    { "code 999", RAW("\x88\x82" M4 "\x02\xe5"), 1002 },
    { "code 1005", RAW("\x88\x82" M4 "\x02\xef"), 1002 },
    { "code 1006", RAW("\x88\x82" M4 "\x02\xec"), 1002 },
    { "code 1015", RAW("\x88\x82" M4 "\x02\xf5"), 1002 },
    { "code 2999", RAW("\x88\x82" M4 "\x0a\xb5"), 1002 },
    { "code 5000", RAW("\x88\x82" M4 "\x12\x8a"), 1002 },
    { "a reason that is not UTF-8", RAW("\x88\x84" M4 "\x02\xea\xfc\xfb"), 1007 },
};

static uint64_t closed_with(unsigned code)
{
    struct websocket_stats s;
    websocket_stats(&s);
    return code == 1002 ? s.closed_protocol : code == 1003 ? s.closed_text : code == 1007 ? s.closed_reason
           : code == 1009 ? s.closed_too_big : 0;
}

static void try_ending(size_t i, size_t step, bool moves)
{
    struct stage t;
    struct buf wire = { 0 };
    stage_open(&t, i);
    t.moves = moves;
    struct sim_client *c = connect_ws(&t);
    uint64_t counted = closed_with(endings[i].close);
    send_frame(&t, c, 0x82, BYTES_LIT("before"), 0);
    expect_frame(c, 0x82, BYTES_LIT("before"));
    buf_add(&wire, endings[i].frames, endings[i].size);
    put_frame(&wire, 0x82, BYTES_LIT("behind"), true);
    send_buf(&t, c, &wire, step);
    if (t.closes != 1)
        fail_msg("%s does not end the connection", endings[i].name);
    expect_close(c, endings[i].close);
    assert_true(bytes_is(buf_bytes(&t.seen), "before"));
    assert_true(t.why_given);
    bool refused = endings[i].close == 1002 || endings[i].close == 1003 || endings[i].close == 1007 || endings[i].close == 1009;
    assert_int_equal(t.why.code, !refused ? CODE_CLOSED : endings[i].close == 1009 ? CODE_LIMIT : CODE_PROTOCOL);
    assert_int_equal(closed_with(endings[i].close) - counted, refused);
    stage_close(&t);
}

static void hostile_frames_end_with_their_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        try_ending(i, 0, false);
        try_ending(i, 1, false);
        try_ending(i, 2, true);
    }
}

static void limits_are_exact(void **state)
{
    static uint8_t data[FRAME_BYTES];
    (void)state;
    struct stage t;
    struct buf wire = { 0 };
    struct sim_client *c = open_connected(&t, 1);
    send_frame(&t, c, 0x82, bytes_of(data, FRAME_BYTES), 0);
    assert_int_equal(buf_size(&t.seen), FRAME_BYTES);
    /* 125 bytes in a control frame */
    sim_take(c, sim_received(c).len);
    send_frame(&t, c, 0x89, bytes_of(data, 125), 1);
    expect_frame(c, 0x8a, bytes_of(data, 125));
    /* 1,000 fragments, a ping between; then one more */
    for (int i = 0; i < 1000; i++)
        put_frame(&wire, i == 0 ? 0x02u : i == 999 ? 0x80u : 0, BYTES_LIT("f"), true);
    put_frame(&wire, 0x89, BYTES_LIT("p"), true);
    send_buf(&t, c, &wire, 0);
    assert_int_equal(buf_size(&t.seen), FRAME_BYTES + 1000);
    sim_take(c, sim_received(c).len);
    for (int i = 0; i < 1001; i++)
        put_frame(&wire, i == 0 ? 0x02 : 0, BYTES_NONE, true);
    send_buf(&t, c, &wire, 0);
    expect_close(c, 1009);
    stage_close(&t);
}

/* Who pings without reading does not fill our memory. */
static void pongs_wait_for_a_reader(void **state)
{
    static uint8_t data[125];
    (void)state;
    struct stage t;
    struct sim_client *c = open_connected(&t, 1);
    sim_stall(c, 10);
    for (int i = 0; i < 5000; i++)
        send_frame(&t, c, 0x89, bytes_of(data, 125), 0);
    assert_true(conn_unsent(t.conn) <= 64 * 1024 + 127);
    sim_stall(c, SIZE_MAX);
    sim_step(t.sim);
    sim_take(c, sim_received(c).len);
    send_frame(&t, c, 0x89, BYTES_LIT("now"), 0);
    expect_frame(c, 0x8a, BYTES_LIT("now"));
    stage_close(&t);
}

static void we_close_with_a_frame(void **state)
{
    (void)state;
    for (int moves = 0; moves < 2; moves++) {
        struct stage t;
        stage_open(&t, 1);
        t.moves = moves;
        t.ends = true;
        struct sim_client *c = connect_ws(&t);
        send_frame(&t, c, 0x82, BYTES_LIT("good bye"), 0);
        expect_frame(c, 0x82, BYTES_LIT("good bye"));
        expect_close(c, 1000);
        assert_int_equal(t.closes, 1);
        assert_false(t.why_given);
        stage_close(&t);
    }
}

/* ---- moving ---- */

static void one_that_ends_on_its_way_arrives_as_nothing(void **state)
{
    (void)state;
    /* A frame that is refused comes with the handshake: the connection ends before it can depart. */
    struct stage t;
    struct buf wire = { 0 };
    stage_open(&t, 1);
    t.moves = true;
    struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
    buf_add_bytes(&wire, bytes_str(WHOLE "\x81\x80" M4));
    send_buf(&t, c, &wire, 0);
    assert_int_equal(t.upgrades, 1);
    assert_int_equal(t.arrivals, 1);
    assert_null(t.conn);
    assert_int_equal(t.closes, 0);
    expect_upgrade(c);
    expect_close(c, 1003);
    stage_close(&t);
}

static void one_whose_peer_leaves_at_once_still_arrives(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        struct stage t;
        struct buf wire = { 0 };
        stage_open(&t, 1);
        t.moves = true;
        struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
        buf_add_bytes(&wire, bytes_str(WHOLE));
        put_frame(&wire, 0x82, BYTES_LIT("last words"), true);
        sim_send(c, buf_bytes(&wire));
        sim_hang_up(c, reset);
        sim_step(t.sim);
        assert_int_equal(t.arrivals, 1);
        assert_int_equal(t.closes, 1);
        assert_true(reset || bytes_is(buf_bytes(&t.seen), "last words"));
        buf_clear(&wire);
        stage_close(&t);
    }
}

/* The n-th allocation fails, wherever that is: nothing leaks, nobody is called twice, the next client is served. */
static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 200; n++) {
        struct stage t;
        struct buf wire = { 0 };
        stage_open(&t, 1);
        t.moves = true;
        buf_add_bytes(&wire, bytes_str(WHOLE));
        put_frame(&wire, 0x02, BYTES_LIT("part"), true);
        put_frame(&wire, 0x89, BYTES_LIT("ping"), true);
        struct sim_client *c = sim_connect(t.sim, "127.0.0.1:8080");
        sim_send(c, buf_bytes(&wire));
        mem_fail_at(n);
        sim_step(t.sim);
        mem_fail_at(0);
        assert_int_equal(t.arrivals + t.unmoved, t.upgrades);
        t.conn = NULL;
        t.seen.bad = false;
        buf_clear(&wire);
        struct sim_client *next = connect_ws(&t);
        send_frame(&t, next, 0x82, BYTES_LIT("next"), 0);
        expect_frame(next, 0x82, BYTES_LIT("next"));
        unsigned nothing = t.upgrades - t.unmoved - t.came;
        stage_close(&t);
        assert_int_equal(t.closes + nothing, t.upgrades);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_those_of_the_standard),
        cmocka_unit_test(masks_are_the_same_however_they_begin),
        cmocka_unit_test(handshakes_are_judged),
        cmocka_unit_test(a_name_counts_for_other_machines),
        cmocka_unit_test(bytes_arrive_however_they_are_framed_and_cut),
        cmocka_unit_test(a_turn_is_one_frame),
        cmocka_unit_test(a_message_is_one_frame),
        cmocka_unit_test(hostile_frames_end_with_their_code),
        cmocka_unit_test(limits_are_exact),
        cmocka_unit_test(pongs_wait_for_a_reader),
        cmocka_unit_test(we_close_with_a_frame),
        cmocka_unit_test(one_that_ends_on_its_way_arrives_as_nothing),
        cmocka_unit_test(one_whose_peer_leaves_at_once_still_arrives),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
