/* channel_hello.c - HELLO, ACKNOWLEDGE and ERROR: what the two ends take from each other [Part 6, 7.1.2]. */
#include "opcua/channel_private.h"

#include "base/mem.h"

#include <stdio.h>

enum { REASON_BYTES = 4096 };

/* i32 length, -1 for none. */
static struct bytes string(struct wire *w)
{
    uint32_t n = wire_le32(w);
    return n == UINT32_MAX ? BYTES_NONE : wire_bytes(w, n);
}

static void begin(struct buf *out, const char *type, size_t body_bytes)
{
    buf_add(out, type, 3);
    buf_u8(out, 'F');
    buf_le32(out, (uint32_t)(CHUNK_HEAD + body_bytes));
}

void channel_write_error(struct buf *out, ua_status status, struct bytes reason)
{
    if (!buf_room(out, CHUNK_HEAD + 8 + reason.len))
        return;
    begin(out, "ERR", 8 + reason.len);
    buf_le32(out, status);
    buf_le32(out, reason.at ? (uint32_t)reason.len : UINT32_MAX);
    buf_add_bytes(out, reason);
}

/* What both messages carry in front. */
struct sizes {
    uint32_t version, receive, send, message, chunks;
};

static struct sizes read_sizes(struct wire *w)
{
    struct sizes s;
    s.version = wire_le32(w);
    s.receive = wire_le32(w);
    s.send = wire_le32(w);
    s.message = wire_le32(w);
    s.chunks = wire_le32(w);
    return s;
}

static void write_sizes(const struct ua_channel *c, struct buf *out)
{
    buf_le32(out, 0);
    buf_le32(out, c->receive_bytes);
    buf_le32(out, c->send_bytes);
    buf_le32(out, c->config.limits.message_bytes);
    buf_le32(out, c->config.limits.chunks);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* What the peer receives bounds what we send, and the other way round. */
static bool agree(struct turn *t, const struct sizes *peer)
{
    struct ua_channel *c = t->c;
    if (peer->receive < UA_CHUNK_BYTES_MIN || peer->send < UA_CHUNK_BYTES_MIN)
        return channel_fail(t, UA_BAD_CONNECTION_REJECTED, UA_BAD_CONNECTION_REJECTED,
                            "the peer's buffers are %u and %u bytes, at least %d are needed", peer->receive,
                            peer->send, UA_CHUNK_BYTES_MIN);
    c->send_bytes = smaller(c->config.limits.send_bytes, peer->receive);
    c->receive_bytes = smaller(c->config.limits.receive_bytes, peer->send);
    c->send_message_bytes = peer->message;
    c->send_chunks = peer->chunks;
    return true;
}

/* ---- server ---- */

static bool keep_url(struct turn *t, struct bytes url)
{
    struct ua_channel *c = t->c;
    if (url.len > UA_URL_BYTES_MAX || !utf8_valid(url, false))
        return channel_fail(
            t, UA_BAD_TCP_ENDPOINT_URL_INVALID, UA_BAD_TCP_ENDPOINT_URL_INVALID,
            "the endpoint's address in HELLO has %zu bytes or is no UTF-8; at most %d bytes are taken",
            url.len, UA_URL_BYTES_MAX);
    c->url = mem_strndup(url.at, url.len);
    if (!c->url)
        return channel_no_memory(t);
    c->url_len = url.len;
    return true;
}

bool channel_on_hello(struct turn *t, struct bytes chunk)
{
    struct ua_channel *c = t->c;
    struct wire w = wire_of(bytes_from(chunk, CHUNK_HEAD));
    struct sizes peer = read_sizes(&w);
    struct bytes url = string(&w);
    if (c->state != CHANNEL_START)
        return channel_fail(t, UA_BAD_TCP_MESSAGE_TYPE_INVALID, UA_BAD_TCP_MESSAGE_TYPE_INVALID,
                            "a second HELLO came");
    if (w.bad || wire_left(&w))
        return channel_fail(t, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR,
                            "HELLO of %zu bytes cannot be read", chunk.len);
    if (!agree(t, &peer) || !keep_url(t, url))
        return false;
    begin(t->out, "ACK", 20);
    write_sizes(c, t->out);
    c->state = CHANNEL_OPENING;
    return true;
}

/* ---- client ---- */

void ua_channel_hello(struct ua_channel *c, struct bytes url, struct buf *out)
{
    FG_ASSERT(c->config.role == UA_CLIENT && c->state == CHANNEL_START && url.len <= UA_URL_BYTES_MAX);
    begin(out, "HEL", 24 + url.len);
    write_sizes(c, out);
    buf_le32(out, (uint32_t)url.len);
    buf_add_bytes(out, url);
    c->state = CHANNEL_HELLO;
}

bool channel_on_acknowledge(struct turn *t, struct bytes chunk)
{
    struct ua_channel *c = t->c;
    struct wire w = wire_of(bytes_from(chunk, CHUNK_HEAD));
    struct sizes peer = read_sizes(&w);
    if (c->state != CHANNEL_HELLO)
        return channel_fail(t, 0, UA_BAD_TCP_MESSAGE_TYPE_INVALID,
                            "an ACKNOWLEDGE came, and no HELLO was open");
    if (w.bad)
        return channel_fail(t, 0, UA_BAD_DECODING_ERROR, "ACKNOWLEDGE of %zu bytes cannot be read",
                            chunk.len);
    if (!agree(t, &peer))
        return false;
    c->state = CHANNEL_OPENING;
    channel_ask_open(t, false);
    return c->state != CHANNEL_OVER;
}

bool channel_on_error(struct turn *t, struct bytes chunk)
{
    char text[200];
    struct wire w = wire_of(bytes_from(chunk, CHUNK_HEAD));
    ua_status status = wire_le32(&w);
    struct bytes reason = string(&w);
    if (w.bad || status == 0)
        status = UA_BAD_UNEXPECTED_ERROR;
    if (w.bad || reason.len > REASON_BYTES)
        reason = BYTES_NONE;
    (void)channel_fail(t, 0, status, "the server has closed: %s%s%s", ua_status_name(status),
                       reason.len ? ", " : "", bytes_escape(reason, text, sizeof text));
    t->event->kind = UA_EVENT_CLOSED;
    return false;
}
