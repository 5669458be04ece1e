/* opcua_chunk_fuzz.c - a client's and a server's channel, and somebody between them who knows their keys.
 *
 * The first byte: 1 protected (2 signed only), 4 nothing is open yet. Then records: what happens, and its bytes.
 *   0 bytes to the server   1 bytes to the client   2 a chunk of the client's with any kind, request and body
 *   3 a chunk with any plaintext, well signed       4 an honest message of some length, from one of the two
 *   5 time goes by          6 a renewal             7 one byte of what waits is changed        8 something of it is lost
 *   9 OpenSecureChannel with any plaintext, well signed and encrypted; once
 */
#include "opcua/opcua_test_wire.h"

#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ua_application *client, *server;
static struct io io;
static uint64_t random_state;

static void check(int holds)
{
    if (!holds)
        abort();
}

static void next_random(void *self, void *to, size_t n)
{
    (void)self;
    for (size_t i = 0; i < n; i++) {
        random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
        ((uint8_t *)to)[i] = (uint8_t)(random_state >> 56);
    }
}

static void no_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static void make_keys(void)
{
    client = peers_make("client", "URI:urn:client", 2048);
    server = peers_make("server", "URI:urn:server", 2048);
    io = io_system;
    io.random = next_random;
    log_set_sink(no_line, NULL);
}

/* What OpenSecureChannel would have made of them, without its cost. */
static void plant(struct ua_channel *c, const struct ua_policy *p, int mode)
{
    static const uint8_t nonces[2][UA_NONCE_BYTES] = {{1}, {2}};
    bool at_server = c->config.role == UA_SERVER;
    struct bytes own = bytes_of(nonces[at_server], UA_NONCE_BYTES),
                 peer = bytes_of(nonces[!at_server], UA_NONCE_BYTES);
    c->state = CHANNEL_OPEN;
    c->policy = p;
    c->mode = mode;
    c->id = 77;
    c->last_token = 1;
    c->token = (struct token){.id = 1, .made_us = 1000000, .life_us = 3600000000};
    if (mode != UA_MODE_NONE) {
        c->peer = ua_certificate_hold((at_server ? client : server)->certificate);
        c->token.send = ua_keys_new(p, UA_KEYS_SEND, peer, own);
        c->token.receive = ua_keys_new(p, UA_KEYS_RECEIVE, own, peer);
    }
}

/* What comes out of a channel is chunks, whole ones. */
static void check_chunks(struct bytes out)
{
    while (out.len) {
        check(out.len >= 8);
        struct wire w = wire_of(bytes_of(out.at + 4, 4));
        uint32_t n = wire_le32(&w);
        check(n >= 8 && n <= 65535 && n <= out.len);
        out = bytes_from(out, n);
    }
}

static void deliver(struct wire_stage *s, bool to_server)
{
    struct ua_channel *c = to_server ? s->server : s->client;
    struct buf *out = to_server ? &s->down : &s->up;
    for (;;) {
        struct buf body = {0};
        size_t had = buf_size(out);
        bool over = ua_channel_is_over(c);
        struct ua_event e = stage_take(s, to_server, &body);
        check(!over || (e.kind == UA_EVENT_NONE && buf_size(out) == had));
        check(buf_size(&body) <= c->config.limits.message_bytes && c->chunks <= c->config.limits.chunks + 1);
        check(c->assembly.cap <= (8u << 20));
        check((e.kind != UA_EVENT_ERROR && e.kind != UA_EVENT_CLOSED) ||
              (ua_channel_is_over(c) && e.why.text[0]));
        check(e.kind == UA_EVENT_MESSAGE || buf_size(&body) == 0);
        check_chunks(bytes_from(buf_bytes(out), had));
        buf_clear(&body);
        if (e.kind == UA_EVENT_NONE)
            return;
    }
}

static void any_chunk(struct wire_stage *s, struct bytes b)
{
    struct ua_sending head;
    if (b.len < 2 || s->client->state != CHANNEL_OPEN)
        return;
    ua_channel_begin(s->client, &s->up, &head);
    buf_add_bytes(&s->up, bytes_from(b, 2));
    (void)channel_finish(s->client, &s->up, &head, b.at[1] & 3, b.at[0] & 4 ? "CLO" : "MSG",
                         "CFAX"[b.at[0] & 3]);
}

/* The plaintext is the fuzzer's: padding, sequence numbers and all. */
static void any_plaintext(struct wire_stage *s, struct bytes b)
{
    struct ua_channel *c = s->client;
    size_t plain = (b.len + 15) / 16 * 16, size = 16 + plain + UA_SIGN_BYTES;
    if (c->state != CHANNEL_OPEN || c->mode != UA_MODE_SIGN_AND_ENCRYPT || b.len == 0)
        return;
    uint8_t *at = buf_grow(&s->up, size);
    memset(at, 0, size);
    memcpy(at, "MSGF", 4);
    at[4] = (uint8_t)size;
    at[5] = (uint8_t)(size >> 8);
    at[8] = 77;
    at[12] = (uint8_t)c->token.id;
    memcpy(at + 16, b.at, b.len);
    if (b.at[0] & 1) { /* a number that will do */
        uint32_t n = channel_next_sequence(c);
        memcpy(at + 16, &n, 4);
    }
    check(ua_keys_sign(c->token.send, bytes_of(at, 16 + plain), BYTES_NONE, at + 16 + plain));
    check(ua_keys_cipher(c->token.send, at + 16, at + 16, plain + UA_SIGN_BYTES));
}

static void put_string(struct buf *b, struct bytes s)
{
    buf_le32(b, (uint32_t)s.len);
    buf_add_bytes(b, s);
}

/* Padding, numbers, type and body are the fuzzer's; it fills whole blocks up with its last byte. */
static void any_opening(struct wire_stage *s, struct bytes b)
{
    const struct ua_policy *p = s->client_config.policy;
    struct buf head = {0};
    uint8_t plain[2 * 214], cipher[2 * 256];
    size_t body = sizeof plain - UA_RSA_BITS_MIN / 8;
    uint32_t number = channel_next_sequence(s->client);
    if (p->id == UA_POLICY_NONE || b.len == 0)
        return;
    memset(plain, b.at[b.len - 1], body);
    memcpy(plain, b.at, b.len < body ? b.len : body);
    memcpy(plain, &number, 4);
    buf_add(&head, "OPNF", 4);
    buf_le32(&head, 0);
    buf_le32(&head, 77);
    put_string(&head, bytes_str(p->uri));
    put_string(&head, client->certificate->der);
    put_string(&head, bytes_of(server->certificate->thumbprint, UA_THUMBPRINT_BYTES));
    uint32_t size = (uint32_t)(buf_size(&head) + sizeof cipher);
    memcpy(head.at + head.from + 4, &size, 4);
    check(ua_rsa_sign(p, client->key, buf_bytes(&head), bytes_of(plain, body), plain + body));
    check(ua_rsa_encrypt(p, server->key, bytes_of(plain, sizeof plain), cipher));
    buf_add_bytes(&s->up, buf_bytes(&head));
    buf_add(&s->up, cipher, sizeof cipher);
    buf_clear(&head);
}

static void honest(struct wire_stage *s, struct bytes b)
{
    static const uint8_t zeros[300000];
    if (b.len < 3)
        return;
    bool up = b.at[0] & 1;
    size_t n = ((size_t)b.at[1] << 8 | b.at[2]) * (b.at[0] & 2 ? 4 : 1);
    ua_status status =
        ua_channel_send(up ? s->client : s->server, up ? &s->up : &s->down, 9, bytes_of(zeros, n));
    check(status == UA_GOOD || status == UA_BAD_SECURE_CHANNEL_CLOSED || status == UA_BAD_REQUEST_TOO_LARGE ||
          status == UA_BAD_RESPONSE_TOO_LARGE);
}

static void time_goes_by(struct wire_stage *s, struct bytes b)
{
    struct ua_event e;
    s->now.us += b.len ? (int64_t)b.at[0] * 20000000 : 1;
    ua_channel_tick(s->client, s->now, &s->up, &e);
    ua_channel_tick(s->server, s->now, &s->down, &e);
}

static void change(struct buf *b, struct bytes how)
{
    if (how.len >= 3 && buf_size(b))
        b->at[b->from + (((size_t)how.at[0] << 8 | how.at[1]) % buf_size(b))] ^= how.at[2];
}

static void act(struct wire_stage *s, unsigned what, struct bytes b)
{
    switch (what) {
    case 0: buf_add_bytes(&s->up, b); break;
    case 1: buf_add_bytes(&s->down, b); break;
    case 2: any_chunk(s, b); break;
    case 3: any_plaintext(s, b); break;
    case 4: honest(s, b); break;
    case 5: time_goes_by(s, b); break;
    case 6: ua_channel_renew(s->client, s->now, &s->up); break;
    case 7: change(&s->up, b); break;
    case 8: buf_take(&s->up, b.len < buf_size(&s->up) ? b.len : buf_size(&s->up)); break;
    case 9:
        if (s->client->request_id == 0) {
            any_opening(s, b);
            s->client->request_id = 1;
        }
        break;
    default: break;
    }
    deliver(s, true);
    deliver(s, false);
}

/* Not within the time of an input: on a busy machine keys take seconds. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    make_keys();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_stage s;
    if (!client)
        make_keys();
    if (size < 2)
        return 0;
    random_state = size;
    unsigned flags = data[0];
    const struct ua_policy *p = &ua_policies[flags & 1 ? UA_POLICY_AES128_SHA256_RSAOAEP : UA_POLICY_NONE];
    int mode = !(flags & 1) ? UA_MODE_NONE : flags & 2 ? UA_MODE_SIGN : UA_MODE_SIGN_AND_ENCRYPT;
    stage_configure(&s, p, mode, client, server);
    s.client_config.io = s.server_config.io = &io;
    check(stage_begin(&s));
    if (flags & 4) {
        buf_reset(&s.up); /* the fuzzer says hello itself */
    } else {
        buf_reset(&s.up);
        plant(s.client, p, mode);
        plant(s.server, p, mode);
    }
    struct wire w = wire_of(bytes_of(data + 1, size - 1));
    for (int i = 0; wire_left(&w) && !w.bad && i < 64; i++) {
        unsigned what = wire_u8(&w) % 10;
        uint16_t n = wire_le16(&w);
        struct bytes b = wire_bytes(&w, n < wire_left(&w) ? n : wire_left(&w));
        act(&s, what, b);
    }
    stage_end(&s);
    return 0;
}
