/* channel_receive.c - MSG and CLO chunks: whether they are to be believed, and the messages they are parts of
 * [Part 6, 6.7.2]. */
#include "opcua/channel_private.h"

enum { SPARE = 8 }; /* in front of the assembly, for the sequence header of its first chunk */

struct message_chunk {
    char kind; /* F, C, A */
    uint32_t sequence, request_id;
    struct bytes body;
    bool placed; /* `body` stands in the assembly already */
};

/* ---- tokens ---- */

static struct token *find_token(struct turn *t, uint32_t id)
{
    struct ua_channel *c = t->c;
    struct token *found = id == 0             ? NULL
                          : id == c->token.id ? &c->token
                          : id == c->other.id ? &c->other
                                              : NULL;
    for (unsigned i = 0; i < PAST_TOKENS && !found && id; i++)
        if (id == c->past[i].id)
            found = &c->past[i];
    return found && t->now.us < token_ends_us(found) ? found : NULL;
}

/* The client has used the new token: the old one is over. */
static void note_use(struct ua_channel *c, struct token *used)
{
    used->used = true;
    if (c->config.role == UA_SERVER && used == &c->other)
        token_promote(c);
}

/* ---- protection ---- */

static bool not_good(struct turn *t)
{
    return channel_distrust(t, UA_BAD_SECURITY_CHECKS_FAILED,
                            "a message cannot be decrypted, or its signature is wrong");
}

static void read_sequence(const uint8_t *at, struct message_chunk *m)
{
    struct wire w = wire_of(bytes_of(at, SEQUENCE_HEAD));
    m->sequence = wire_le32(&w);
    m->request_id = wire_le32(&w);
}

static bool unsign(struct turn *t, struct ua_keys *keys, struct bytes chunk, struct message_chunk *m)
{
    if (chunk.len < MSG_HEAD + SEQUENCE_HEAD + UA_SIGN_BYTES)
        return not_good(t);
    size_t n = chunk.len - UA_SIGN_BYTES;
    if (!ua_keys_verify(keys, bytes_of(chunk.at, n), BYTES_NONE, chunk.at + n))
        return not_good(t);
    read_sequence(chunk.at + MSG_HEAD, m);
    m->body = bytes_of(chunk.at + MSG_HEAD + SEQUENCE_HEAD, n - MSG_HEAD - SEQUENCE_HEAD);
    return true;
}

/* The signature stood at a fixed place and covers the padding, so only the sender's own mistake gets here. */
static bool unpad(const uint8_t *plain, size_t end, size_t *body)
{
    size_t n = plain[end - 1];
    uint8_t wrong = 0;
    if (n > end - 1 - SEQUENCE_HEAD)
        return false;
    for (size_t i = 0; i <= n; i++)
        wrong |= plain[end - 1 - i] ^ (uint8_t)n;
    *body = end - 1 - n - SEQUENCE_HEAD;
    return wrong == 0;
}

/* Decrypts to where the body belongs: the sequence header in front covers the eight bytes before it, which are put back. */
static bool decrypt(struct turn *t, struct ua_keys *keys, struct bytes chunk, struct message_chunk *m)
{
    struct buf *a = &t->c->assembly;
    size_t n = chunk.len - MSG_HEAD, body;
    uint8_t before[SPARE];
    if (chunk.len < MSG_HEAD + SEQUENCE_HEAD + 1 + UA_SIGN_BYTES || n % UA_BLOCK_BYTES)
        return not_good(t);
    if (!buf_room(a, SPARE + n))
        return channel_no_memory(t);
    if (buf_size(a) == 0)
        a->len = a->from + SPARE;
    uint8_t *plain = a->at + a->len - SPARE;
    memcpy(before, plain, SPARE);
    if (!ua_keys_cipher(keys, chunk.at + MSG_HEAD, plain, n))
        return not_good(t);
    size_t end = n - UA_SIGN_BYTES;
    if (!ua_keys_verify(keys, bytes_of(chunk.at, MSG_HEAD), bytes_of(plain, end), plain + end) ||
        !unpad(plain, end, &body))
        return not_good(t);
    read_sequence(plain, m);
    m->body = bytes_of(plain + SEQUENCE_HEAD, body);
    m->placed = true;
    memcpy(plain, before, SPARE);
    return true;
}

static bool read_plain(struct turn *t, struct bytes chunk, struct message_chunk *m)
{
    if (chunk.len < MSG_HEAD + SEQUENCE_HEAD)
        return channel_fail(t, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR,
                            "a chunk of %zu bytes has no sequence header", chunk.len);
    read_sequence(chunk.at + MSG_HEAD, m);
    m->body = bytes_from(chunk, MSG_HEAD + SEQUENCE_HEAD);
    return true;
}

/* ---- sequence numbers ---- */

bool channel_sequence(struct turn *t, uint32_t number)
{
    struct ua_channel *c = t->c;
    bool next = number == c->received + 1 && c->received != UINT32_MAX;
    bool wrapped = c->received >= SEQUENCE_LAST && number < 1024;
    if (c->received_any && !next && !wrapped)
        return channel_distrust(t, UA_BAD_SEQUENCE_NUMBER_INVALID,
                                "chunk %u came after chunk %u: one is missing, or comes again", number,
                                c->received);
    c->received = number;
    c->received_any = true;
    return true;
}

/* Everything about a chunk but what is in it. */
static bool believe(struct turn *t, struct bytes chunk, struct message_chunk *m)
{
    struct ua_channel *c = t->c;
    struct wire w = wire_of(bytes_from(chunk, CHUNK_HEAD));
    uint32_t channel = wire_le32(&w), token_id = wire_le32(&w);
    *m = (struct message_chunk){.kind = (char)chunk.at[3]};
    if (w.bad)
        return channel_fail(t, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR,
                            "a chunk of %zu bytes has no security header", chunk.len);
    if (c->state != CHANNEL_OPEN || channel != c->id)
        return channel_fail(t, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN,
                            c->state == CHANNEL_OPEN
                                ? "a message is for channel %u, this is %u"
                                : "a message for channel %u came before a channel was open (%u)",
                            channel, c->id);
    struct token *token = find_token(t, token_id);
    if (!token)
        return channel_distrust(
            t, UA_BAD_SECURE_CHANNEL_TOKEN_UNKNOWN,
            "a message is under token %u, which was never given out or has ended; the present one is %u",
            token_id, c->token.id);
    bool good = c->mode == UA_MODE_NONE   ? read_plain(t, chunk, m)
                : c->mode == UA_MODE_SIGN ? unsign(t, token->receive, chunk, m)
                                          : decrypt(t, token->receive, chunk, m);
    if (!good || !channel_sequence(t, m->sequence))
        return false;
    note_use(c, token);
    return true;
}

/* ---- messages ---- */

static bool on_abort(struct turn *t, const struct message_chunk *m)
{
    char text[160], scratch[16];
    struct wire w = wire_of(m->body);
    ua_status status = wire_le32(&w);
    uint32_t n = wire_le32(&w);
    struct bytes reason = n == UINT32_MAX ? BYTES_NONE : wire_bytes(&w, n);
    if (w.bad)
        return channel_fail(t, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR,
                            "an abort chunk of %zu bytes cannot be read", m->body.len);
    t->event->kind = UA_EVENT_ABORTED;
    t->event->request_id = m->request_id;
    t->event->status = ua_is_bad(status) ? status : UA_BAD_UNEXPECTED_ERROR;
    (void)FAIL(&t->event->why, CODE_CLOSED, 0, "the peer gave message %u up: %s%s%s", m->request_id,
               ua_status_text(t->event->status, scratch), reason.len ? ", " : "",
               bytes_escape(reason, text, sizeof text));
    t->c->assembling = false;
    return true;
}

/* What was assembled, and this chunk with it. */
static bool within_limits(struct turn *t, const struct message_chunk *m)
{
    const struct ua_channel_limits *l = &t->c->config.limits;
    size_t had = t->c->assembling && buf_size(&t->c->assembly) > SPARE ? buf_size(&t->c->assembly) - SPARE
                                                                       : 0;
    if (had + m->body.len > t->c->allowed_bytes)
        return channel_fail(t, UA_BAD_TCP_MESSAGE_TOO_LARGE, UA_BAD_TCP_MESSAGE_TOO_LARGE,
                            "message %u has more than %u bytes%s", m->request_id, t->c->allowed_bytes,
                            t->c->allowed_bytes < l->message_bytes ? ", the most for now" : "");
    if (++t->c->chunks > l->chunks)
        return channel_fail(t, UA_BAD_TCP_MESSAGE_TOO_LARGE, UA_BAD_TCP_MESSAGE_TOO_LARGE,
                            "message %u has more than %u chunks", m->request_id, l->chunks);
    return true;
}

static bool append(struct turn *t, const struct message_chunk *m)
{
    struct buf *a = &t->c->assembly;
    if (m->placed) {
        a->len += m->body.len;
        return true;
    }
    if (!buf_room(a, SPARE + m->body.len))
        return channel_no_memory(t);
    if (buf_size(a) == 0)
        a->len = a->from + SPARE;
    buf_add_bytes(a, m->body);
    return true;
}

void ua_channel_allow(struct ua_channel *c, uint32_t message_bytes)
{
    uint32_t most = c->config.limits.message_bytes;
    c->allowed_bytes = message_bytes < most ? message_bytes : most;
}

static void hand_out(struct turn *t, const struct message_chunk *m, struct bytes body)
{
    t->c->assembling = false;
    t->event->kind = UA_EVENT_MESSAGE;
    t->event->request_id = m->request_id;
    t->event->body = body;
}

bool channel_on_message(struct turn *t, struct bytes chunk)
{
    struct ua_channel *c = t->c;
    struct message_chunk m;
    if (!believe(t, chunk, &m))
        return false;
    if (c->assembling && m.request_id != c->assembling_id)
        return channel_fail(t, UA_BAD_TCP_MESSAGE_TYPE_INVALID, UA_BAD_TCP_MESSAGE_TYPE_INVALID,
                            "a chunk of message %u came between the chunks of %u", m.request_id,
                            c->assembling_id);
    if (m.kind == 'A')
        return on_abort(t, &m);
    if (!within_limits(t, &m))
        return false;
    if (m.kind == 'F' && !c->assembling) {
        hand_out(t, &m, m.body);
        return true;
    }
    if (!append(t, &m))
        return false;
    c->assembling = true;
    c->assembling_id = m.request_id;
    if (m.kind == 'F')
        hand_out(t, &m, bytes_from(buf_bytes(&c->assembly), SPARE));
    return true;
}

bool channel_on_close(struct turn *t, struct bytes chunk)
{
    struct message_chunk m;
    if (!believe(t, chunk, &m))
        return false;
    struct ua_event *e = t->event;
    t->c->state = CHANNEL_OVER;
    e->kind = UA_EVENT_CLOSED;
    (void)FAIL(&e->why, CODE_CLOSED, 0, "the peer closed the secure channel");
    return true;
}
