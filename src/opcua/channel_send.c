/* channel_send.c - messages become chunks, in the buffer they were written into [Part 6, 6.7.2].
 *
 * One chunk: the head is filled in, padding and signature are put behind, all in place. More: the bodies are moved apart, the
 * last one first, to make room for the heads between them.
 */
#include "opcua/channel_private.h"

/* Bytes behind a body of n bytes: padding and signature. */
static size_t tail_bytes(const struct ua_channel *c, size_t n)
{
    if (c->mode == UA_MODE_NONE)
        return 0;
    if (c->mode == UA_MODE_SIGN)
        return UA_SIGN_BYTES;
    size_t over = (SEQUENCE_HEAD + n + 1 + UA_SIGN_BYTES) % UA_BLOCK_BYTES;
    return 1 + (over ? UA_BLOCK_BYTES - over : 0) + UA_SIGN_BYTES;
}

/* The longest body of one chunk. */
static size_t chunk_body_max(const struct ua_channel *c)
{
    if (c->mode == UA_MODE_NONE)
        return c->send_bytes - MSG_HEAD - SEQUENCE_HEAD;
    if (c->mode == UA_MODE_SIGN)
        return c->send_bytes - MSG_HEAD - SEQUENCE_HEAD - UA_SIGN_BYTES;
    return (c->send_bytes - MSG_HEAD) / UA_BLOCK_BYTES * UA_BLOCK_BYTES - SEQUENCE_HEAD - 1 -
           UA_SIGN_BYTES;
}

uint64_t ua_channel_body_max(const struct ua_channel *c)
{
    uint64_t by_chunks = c->send_chunks ? (uint64_t)c->send_chunks * chunk_body_max(c) : UINT64_MAX;
    uint64_t by_bytes = c->send_message_bytes ? c->send_message_bytes : UINT64_MAX;
    return by_chunks < by_bytes ? by_chunks : by_bytes;
}

uint32_t channel_next_sequence(struct ua_channel *c)
{
    c->sent = c->sent >= SEQUENCE_LAST ? 1 : c->sent + 1;
    return c->sent;
}

uint32_t ua_channel_request_id(struct ua_channel *c)
{
    if (++c->request_id == 0)
        c->request_id = 1;
    return c->request_id;
}

static uint8_t *put32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (8 * i));
    return at + 4;
}

/* Head, padding, signature and encryption of a chunk whose body of n bytes stands at its place. */
static bool seal(struct ua_channel *c, uint8_t *chunk, size_t n, uint32_t request_id, const char *type,
                 char kind)
{
    size_t tail = tail_bytes(c, n), size = MSG_HEAD + SEQUENCE_HEAD + n + tail;
    uint8_t *at = chunk, *end = chunk + size - UA_SIGN_BYTES;
    memcpy(at, type, 3);
    at[3] = (uint8_t)kind;
    at = put32(put32(put32(at + 4, (uint32_t)size), c->id), c->token.id);
    at = put32(put32(at, channel_next_sequence(c)), request_id) + n;
    c->token.used = true;
    if (c->mode == UA_MODE_NONE)
        return true;
    if (c->mode == UA_MODE_SIGN_AND_ENCRYPT)
        memset(at, (int)(tail - UA_SIGN_BYTES - 1), tail - UA_SIGN_BYTES);
    if (!ua_keys_sign(c->token.send, bytes_of(chunk, (size_t)(end - chunk)), BYTES_NONE, end))
        return false;
    return c->mode == UA_MODE_SIGN ||
           ua_keys_cipher(c->token.send, chunk + MSG_HEAD, chunk + MSG_HEAD, size - MSG_HEAD);
}

/* Moves the bodies of `count` chunks, each of `most` bytes but the last, to where they belong. */
static void spread(struct ua_channel *c, uint8_t *first, size_t body, size_t most, size_t count)
{
    size_t apart = MSG_HEAD + SEQUENCE_HEAD + most + tail_bytes(c, most);
    for (size_t i = count - 1; i > 0; i--) {
        size_t n = i == count - 1 ? body - i * most : most;
        memmove(first + i * apart + UA_SEND_HEAD, first + UA_SEND_HEAD + i * most, n);
    }
}

static ua_status too_large(const struct ua_channel *c)
{
    return c->config.role == UA_SERVER ? UA_BAD_RESPONSE_TOO_LARGE : UA_BAD_REQUEST_TOO_LARGE;
}

static ua_status chop(struct ua_channel *c, struct buf *out, size_t start, uint32_t request_id,
                      const char *type, char kind)
{
    size_t body = buf_size(out) - start - UA_SEND_HEAD, most = chunk_body_max(c);
    size_t count = body ? (body + most - 1) / most : 1, last = body - (count - 1) * most;
    size_t more = (count - 1) * (UA_SEND_HEAD + tail_bytes(c, most)) + tail_bytes(c, last);
    if (body > ua_channel_body_max(c))
        return too_large(c);
    if (more && !buf_grow(out, more))
        return UA_BAD_OUT_OF_MEMORY;
    uint8_t *at = out->at + out->from + start;
    if (count > 1)
        spread(c, at, body, most, count);
    for (size_t i = 0; i < count; i++) {
        size_t n = i == count - 1 ? last : most;
        if (!seal(c, at, n, request_id, type, i == count - 1 ? kind : 'C'))
            return UA_BAD_OUT_OF_MEMORY;
        at += UA_SEND_HEAD + n + tail_bytes(c, n);
    }
    return UA_GOOD;
}

ua_status channel_finish(struct ua_channel *c, struct buf *out, const struct ua_sending *s,
                         uint32_t request_id, const char *type, char kind)
{
    uint32_t sent = c->sent;
    ua_status status = c->state != CHANNEL_OPEN ? UA_BAD_SECURE_CHANNEL_CLOSED
                       : out->bad               ? UA_BAD_OUT_OF_MEMORY
                                                : chop(c, out, s->at, request_id, type, kind);
    if (status) {
        ua_channel_undo(out, s);
        c->sent = sent;
    }
    return status;
}

void ua_channel_begin(struct ua_channel *c, struct buf *out, struct ua_sending *s)
{
    (void)c;
    s->at = buf_size(out);
    (void)buf_grow(out, UA_SEND_HEAD);
}

void ua_channel_undo(struct buf *out, const struct ua_sending *s)
{
    if (buf_size(out) > s->at)
        out->len = out->from + s->at;
}

ua_status ua_channel_end(struct ua_channel *c, struct buf *out, const struct ua_sending *s,
                         uint32_t request_id)
{
    return channel_finish(c, out, s, request_id, "MSG", 'F');
}

ua_status ua_channel_send(struct ua_channel *c, struct buf *out, uint32_t request_id, struct bytes body)
{
    struct ua_sending s;
    ua_channel_begin(c, out, &s);
    buf_add_bytes(out, body);
    return ua_channel_end(c, out, &s, request_id);
}

ua_status ua_channel_abort(struct ua_channel *c, struct buf *out, uint32_t request_id, ua_status status,
                           const char *reason)
{
    struct ua_sending s;
    ua_channel_begin(c, out, &s);
    buf_le32(out, status);
    buf_le_blob(out, bytes_str(reason));
    return channel_finish(c, out, &s, request_id, "MSG", 'A');
}
