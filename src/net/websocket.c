/* websocket.c - frames to bytes and bytes to frames. */
#include "net/websocket_private.h"

#include "base/io.h"
#include "base/limits_use.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/backend.h"

#include <stdio.h>

/* Above this there is one pong for each time that the peer takes something: who pings without reading must not fill our
 * memory, and who reads slowly still sees that we live [RFC 6455, 5.5.3]. */
enum { PONG_UNSENT_MAX = 64 * 1024 };
_Static_assert((int)WS_CONTROL_MAX == (int)WEBSOCKET_CONTROL_MAX, "what is told is what holds");
enum { NORMAL = 1000, PROTOCOL = 1002, UNWANTED = 1003, NOT_UTF8 = 1007, TOO_BIG = 1009 };

static struct websocket *websocket_of(struct filter *f)
{
    return (struct websocket *)(void *)f;
}

/* ---- downwards ---- */

static const uint8_t *draw_mask(struct ws_client *c)
{
    if (c->drawn_left == 0) {
        io_system.random(io_system.self, c->drawn, sizeof c->drawn);
        c->drawn_left = sizeof c->drawn;
    }
    c->drawn_left -= 4;
    return c->drawn + c->drawn_left;
}

/* A control frame of our own. Returns its size. */
static size_t put_control(struct websocket *ws, uint8_t to[WS_HEAD_MAX + WS_CONTROL_MAX], enum ws_opcode opcode,
                          struct bytes payload)
{
    const uint8_t *mask = ws->client ? draw_mask(ws->client) : NULL;
    size_t n = ws_head_encode(to, opcode, payload.len, mask);
    if (mask)
        ws_mask(to + n, payload.at, payload.len, mask, 0);
    else if (payload.len)
        memcpy(to + n, payload.at, payload.len);
    return n + payload.len;
}

static void send_control(struct websocket *ws, enum ws_opcode opcode, struct bytes payload)
{
    uint8_t frame[WS_HEAD_MAX + WS_CONTROL_MAX];
    filter_send(&ws->filter, bytes_of(frame, put_control(ws, frame, opcode, payload)));
}

static size_t server_head(struct filter *f, size_t bytes, uint8_t to[])
{
    (void)f;
    return ws_head_encode(to, WS_BINARY, bytes, NULL);
}

static size_t server_piece(struct filter *f, struct bytes front, size_t bytes)
{
    struct websocket *ws = websocket_of(f);
    if (ws->message_left == 0 && ws->message)
        ws->message_left = ws->message(front);
    if (ws->message_left == 0 || ws->message_left > bytes) {
        ws->message_left -= ws->message_left ? bytes : 0;
        return bytes;
    }
    size_t n = ws->message_left;
    ws->message_left = 0;
    return n;
}

static enum code client_out(struct filter *f, struct bytes in, struct buf *down, struct fault *why)
{
    const uint8_t *mask = draw_mask(websocket_of(f)->client);
    uint8_t head[WS_HEAD_MAX];
    (void)why;
    buf_add(down, head, ws_head_encode(head, WS_BINARY, in.len, mask));
    uint8_t *to = buf_grow(down, in.len);
    if (to)
        ws_mask(to, in.at, in.len, mask, 0);
    return CODE_OK;
}

static void say_close(struct websocket *ws, unsigned code)
{
    uint8_t payload[2] = { (uint8_t)(code >> 8), (uint8_t)code };
    if (!ws->closed)
        send_control(ws, WS_CLOSE, bytes_of(payload, sizeof payload));
    ws->closed = true;
}

static void end(struct filter *f, struct buf *down)
{
    struct websocket *ws = websocket_of(f);
    unsigned code = ws->echo ? ws->echo : NORMAL; /* [RFC 6455, 5.5.1] */
    const uint8_t payload[2] = { (uint8_t)(code >> 8), (uint8_t)code };
    uint8_t frame[WS_HEAD_MAX + WS_CONTROL_MAX];
    if (!ws->closed && f->open)
        buf_add(down, frame, put_control(ws, frame, WS_CLOSE, bytes_of(payload, sizeof payload)));
    ws->closed = true;
}

/* ---- upwards ---- */

static enum code refuse(struct websocket *ws, unsigned close, struct fault *why, const char *text)
{
    const char *address = conn_address(ws->filter.conn);
    say_close(ws, close);
    if (!ws->client) {
        ws_count_closed(close);
        log_info("net", "FG1102 the WebSocket of %s closed with %u: %s", address, close, text);
    }
    return FAIL(why, close == TOO_BIG ? CODE_LIMIT : CODE_PROTOCOL, 0, "its WebSocket was closed with %u: %s", close, text);
}

static const char *wrong_control(const struct ws_head *h)
{
    if (!h->fin)
        return "a control frame in fragments";
    if (h->bytes > WS_CONTROL_MAX)
        return limits_refused(LIMIT_WEBSOCKET_CONTROL_BYTES), "a control frame of more than 125 bytes";
    return NULL;
}

/* What is wrong with a head under the protocol, or NULL. */
static const char *wrong(const struct websocket *ws, const struct ws_head *h)
{
    if (h->reserved)
        return "reserved bits are set, and no extension was agreed on";
    if (h->opcode > WS_PONG || (h->opcode > WS_BINARY && h->opcode < WS_CLOSE))
        return "an opcode that is reserved";
    if (h->masked == !!ws->client)
        return ws->client ? "a frame of a server that is masked" : "a frame of a client that is not masked";
    if (!h->minimal)
        return "a length that could be written shorter, or has its highest bit set";
    if (ws_is_control(h->opcode))
        return wrong_control(h);
    if (h->opcode == WS_CONTINUE && ws->frames == 0)
        return "a continuation, and no message was begun";
    if (h->opcode != WS_CONTINUE && ws->frames)
        return "a new message inside of another";
    return NULL;
}

static enum code begin_frame(struct websocket *ws, struct fault *why)
{
    struct ws_head h;
    ws_head_decode(ws->head, &h);
    ws->have = 0;
    const char *bad = wrong(ws, &h);
    if (bad)
        return refuse(ws, PROTOCOL, why, bad);
    if (h.opcode == WS_TEXT)
        return refuse(ws, UNWANTED, why, "a text frame; MQTT is binary, send binary frames [MQTT-6.0.0-1]");
    if (h.bytes > ws->frame_bytes) {
        limits_refused(LIMIT_PACKET_BYTES);
        char text[120];
        (void)snprintf(text, sizeof text, "a frame of %llu bytes, limits.packet-bytes allows %u",
                       (unsigned long long)h.bytes, ws->frame_bytes);
        return refuse(ws, TOO_BIG, why, text);
    }
    if (ws_is_control(h.opcode))
        limits_saw(LIMIT_WEBSOCKET_CONTROL_BYTES, h.bytes);
    else
        limits_saw(LIMIT_WEBSOCKET_FRAGMENTS, ++ws->frames);
    if (ws->frames > WEBSOCKET_FRAGMENTS_MAX)
        return limits_refused(LIMIT_WEBSOCKET_FRAGMENTS), refuse(ws, TOO_BIG, why, "a message of more than 1000 fragments");
    ws->inside = true;
    ws->fin = h.fin;
    ws->opcode = h.opcode;
    ws->left = h.bytes;
    ws->at = 0;
    memcpy(ws->mask, h.mask, sizeof ws->mask);
    return CODE_OK;
}

/* The codes that may come over the wire [RFC 6455, 7.4]. */
static bool close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static enum code peer_closes(struct websocket *ws, struct bytes said, struct fault *why)
{
    unsigned code = said.len >= 2 ? (unsigned)said.at[0] << 8 | said.at[1] : NORMAL;
    if (said.len == 1 || !close_code_valid(code))
        return refuse(ws, PROTOCOL, why, "a close frame without a valid code");
    if (said.len > 2 && !utf8_valid(bytes_from(said, 2), true))
        return refuse(ws, NOT_UTF8, why, "a close frame whose reason is not UTF-8");
    ws->echo = (uint16_t)code;
    return CODE_END;
}

static void answer_ping(struct websocket *ws, struct bytes said)
{
    const struct conn *c = ws->filter.conn;
    if (conn_unsent(c) > PONG_UNSENT_MAX && conn_progress_us(c) == ws->ponged_us)
        return;
    ws->ponged_us = conn_progress_us(c);
    send_control(ws, WS_PONG, said);
}

static enum code end_control(struct websocket *ws, struct fault *why)
{
    struct bytes said = bytes_of(ws->control, (size_t)ws->at);
    enum code code = CODE_OK;
    if (ws->opcode == WS_CLOSE)
        code = peer_closes(ws, said, why);
    else if (ws->opcode == WS_PING)
        answer_ping(ws, said);
    mem_free(ws->control);
    ws->control = NULL;
    return code;
}

static bool take_control(struct websocket *ws, struct bytes part)
{
    if (!ws->control)
        ws->control = part.len ? mem_alloc(WS_CONTROL_MAX) : NULL;
    if (part.len && ws->control)
        ws_mask(ws->control + ws->at, part.at, part.len, ws->mask, ws->at);
    return part.len == 0 || ws->control;
}

/* Payload of the frame under way, perhaps none. */
static enum code payload(struct websocket *ws, struct bytes part, struct buf *up, struct fault *why)
{
    if (ws_is_control(ws->opcode)) {
        if (!take_control(ws, part))
            return FAIL(why, CODE_NOMEM, 0, "no memory for a control frame");
    } else if (part.len) {
        uint8_t *to = buf_grow(up, part.len);
        if (to && ws->client)
            memcpy(to, part.at, part.len);
        else if (to)
            ws_mask(to, part.at, part.len, ws->mask, ws->at);
    }
    ws->at += part.len;
    ws->left -= part.len;
    if (ws->left)
        return CODE_OK;
    ws->inside = false;
    if (ws_is_control(ws->opcode))
        return end_control(ws, why);
    if (ws->fin)
        ws->frames = 0;
    return CODE_OK;
}

/* Moves what belongs to a head from *in; true when it is whole. */
static bool head_whole(struct websocket *ws, struct bytes *in)
{
    size_t size;
    while ((size = ws_head_size(ws->head, ws->have)) > ws->have && in->len) {
        size_t n = size - ws->have < in->len ? size - ws->have : in->len;
        memcpy(ws->head + ws->have, in->at, n);
        ws->have = (uint8_t)(ws->have + n);
        *in = bytes_from(*in, n);
    }
    return size == ws->have;
}

static enum code ws_in(struct filter *f, struct bytes in, struct buf *up, struct fault *why)
{
    struct websocket *ws = websocket_of(f);
    enum code code = CODE_OK;
    if (!f->open) {
        code = ws_client_answer(ws, in, &in, why);
        if (code != CODE_OK || !f->open)
            return code;
    }
    while (code == CODE_OK && in.len && f->conn->state == CONN_OPEN) {
        if (!ws->inside) {
            if (!head_whole(ws, &in))
                break;
            code = begin_frame(ws, why);
        }
        if (code == CODE_OK) {
            size_t n = ws->left < in.len ? (size_t)ws->left : in.len;
            code = payload(ws, bytes_of(in.at, n), up, why);
            in = bytes_from(in, n);
        }
    }
    return code;
}

/* ---- life ---- */

void ws_client_free(struct ws_client *c)
{
    if (!c)
        return;
    buf_clear(&c->request);
    buf_clear(&c->answer);
    mem_free(c);
}

static void ws_free(struct filter *f)
{
    struct websocket *ws = websocket_of(f);
    ws_client_free(ws->client);
    mem_free(ws->control);
    mem_free(ws);
}

static const struct filter_ops server_ops = {
    .name = "websocket", .in = ws_in, .head = server_head, .piece = server_piece, .end = end, .free = ws_free
};
static const struct filter_ops client_ops = {
    .name = "websocket client", .start = ws_client_start, .in = ws_in, .out = client_out, .end = end, .free = ws_free
};

struct websocket *ws_new(uint32_t frame_bytes, struct ws_client *client)
{
    struct websocket *ws = mem_zalloc(1, sizeof *ws);
    if (!ws)
        return NULL;
    ws->filter.ops = client ? &client_ops : &server_ops;
    ws->frame_bytes = frame_bytes;
    ws->client = client;
    return ws;
}
