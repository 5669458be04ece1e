/* What a channel says to peers that lie, are cut, or are not who they should be: L-UA of the limits, and its answers.
 * timeout: 300 */
#include "opcua/opcua_test_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct ua_application *client, *server, *other;

static int make_keys(void **state)
{
    (void)state;
    client = peers_make("client", "URI:urn:client", 2048);
    server = peers_make("server", "URI:urn:server,DNS:gw1", 2048);
    other = peers_make("other", "URI:urn:other", 2048);
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    ua_application_drop(client);
    ua_application_drop(server);
    ua_application_drop(other);
    return 0;
}

static void open_stage(struct wire_stage *s, unsigned policy, int mode)
{
    stage_configure(s, &ua_policies[policy], mode, client, server);
    assert_true(stage_begin(s));
    assert_int_equal(stage_open(s).kind, UA_EVENT_OPENED);
}

/* The status that the other end reads; 0: none. */
static ua_status told(const struct buf *b, struct bytes *reason)
{
    struct wire w = wire_of(buf_bytes(b));
    struct bytes type = wire_bytes(&w, 4);
    uint32_t size = wire_le32(&w);
    ua_status status = wire_le32(&w);
    uint32_t n = wire_le32(&w);
    *reason = n == UINT32_MAX ? BYTES_NONE : wire_bytes(&w, n);
    return !w.bad && bytes_is(type, "ERRF") && size == buf_size(b) ? status : 0;
}

static void expect(struct wire_stage *s, ua_status status, ua_status to_peer)
{
    struct bytes reason;
    buf_reset(&s->down);
    struct ua_event e = stage_take(s, true, NULL);
    if (e.kind != UA_EVENT_ERROR || e.status != status)
        fail_msg("event %d, %s instead of %s: %s", (int)e.kind, ua_status_name(e.status),
                 ua_status_name(status), e.why.text);
    assert_int_equal(told(&s->down, &reason), to_peer);
    assert_int_equal(reason.len > 0, to_peer != UA_BAD_SECURITY_CHECKS_FAILED);
    assert_true(ua_channel_is_over(s->server));
    assert_int_equal(ua_channel_due_us(s->server), INT64_MAX);
    stage_end(s);
}

static void expect_distrust(struct wire_stage *s)
{
    expect(s, UA_BAD_SECURITY_CHECKS_FAILED, UA_BAD_SECURITY_CHECKS_FAILED);
}

static void put32(struct buf *b, size_t at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        b->at[b->from + at + (size_t)i] = (uint8_t)(v >> (8 * i));
}

static void chunk(struct buf *b, const char *type, uint32_t size)
{
    buf_add(b, type, 4);
    buf_le32(b, size);
}

static void hello(struct buf *b, uint32_t receive, uint32_t send, size_t url)
{
    chunk(b, "HELF", (uint32_t)(32 + url));
    const uint32_t fields[] = {0, receive, send, 0, 0, (uint32_t)url};
    for (int i = 0; i < 6; i++)
        buf_le32(b, fields[i]);
    while (url--)
        buf_u8(b, 'u');
}

/* A server that has heard nothing yet. */
static void fresh(struct wire_stage *s)
{
    stage_configure(s, &ua_policies[0], UA_MODE_NONE, client, server);
    s->server = ua_channel_new(&s->server_config, s->now);
    assert_non_null(s->server);
}

/* ---- before anything is open ---- */

static void two_gigabytes_behind_hello(void **state)
{
    static const char *const types[] = {"MSGF", "OPNF", "CLOF", "MSGC"};
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        struct wire_stage s;
        struct ua_event e;
        struct bytes reason;
        fresh(&s);
        hello(&s.up, 65535, 65535, 10);
        chunk(&s.up, types[i], 0x80000000);
        buf_le64(&s.up, 0);
        uint64_t had = mem_in_use();
        struct bytes in = buf_bytes(&s.up);
        assert_int_equal(ua_channel_take(s.server, in, s.now, &s.down, &e), in.len);
        assert_true(mem_in_use() < had + 4096);
        assert_int_equal(e.kind, UA_EVENT_ERROR);
        assert_int_equal(e.status, UA_BAD_TCP_MESSAGE_TOO_LARGE);
        buf_take(&s.down, 28); /* the acknowledgement */
        assert_int_equal(told(&s.down, &reason), 0x80800000);
        stage_end(&s);
    }
}

static void what_is_not_opc_ua_is_told_so(void **state)
{
    static const char *const texts[] = {
        "GET / HTTP/1.1\r\n\r\n", "HELC\x20\0\0\0........",      "HELA\x20\0\0\0........",
        "OPNC\x20\0\0\0........", "CLOA\x20\0\0\0........",      "ACKF\x1c\0\0\0........",
        "ERRF\x10\0\0\0........", "RHEF\x20\0\0\0........",      "msgF\x20\0\0\0........",
        "MSGX\x20\0\0\0........", "\x16\x03\x01\x02\0\x01\0\x01"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct wire_stage s;
        fresh(&s);
        buf_add(&s.up, texts[i], 8);
        expect(&s, UA_BAD_TCP_MESSAGE_TYPE_INVALID, UA_BAD_TCP_MESSAGE_TYPE_INVALID);
    }
    struct wire_stage s;
    fresh(&s);
    buf_add(&s.up, "MSG\0\x20\0\0\0", 8);
    expect(&s, UA_BAD_TCP_MESSAGE_TYPE_INVALID, UA_BAD_TCP_MESSAGE_TYPE_INVALID);
}

static void hellos_that_do_not_fit(void **state)
{
    struct wire_stage s;
    (void)state;
    fresh(&s);
    hello(&s.up, 8191, 65535, 10);
    expect(&s, UA_BAD_CONNECTION_REJECTED, UA_BAD_CONNECTION_REJECTED);
    fresh(&s);
    hello(&s.up, 65535, 0, 10);
    expect(&s, UA_BAD_CONNECTION_REJECTED, UA_BAD_CONNECTION_REJECTED);
    fresh(&s);
    hello(&s.up, 65535, 65535, 4097);
    expect(&s, UA_BAD_TCP_ENDPOINT_URL_INVALID, UA_BAD_TCP_ENDPOINT_URL_INVALID);
    fresh(&s);
    hello(&s.up, 65535, 65535, 10);
    s.up.at[s.up.from + 35] = 0xff;
    expect(&s, UA_BAD_TCP_ENDPOINT_URL_INVALID, UA_BAD_TCP_ENDPOINT_URL_INVALID);
    fresh(&s);
    chunk(&s.up, "HELF", 8193);
    expect(&s, UA_BAD_TCP_MESSAGE_TOO_LARGE, UA_BAD_TCP_MESSAGE_TOO_LARGE);
    for (uint32_t size = 0; size < 32; size++) { /* cut at every byte */
        fresh(&s);
        hello(&s.up, 65535, 65535, 0);
        put32(&s.up, 4, size);
        expect(&s, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR);
    }
    static const uint32_t lengths[] = {11, 9, 0x7fffffff, 0x80000000, 0xfffffffe};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) { /* of the address */
        fresh(&s);
        hello(&s.up, 65535, 65535, 10);
        put32(&s.up, 28, lengths[i]);
        expect(&s, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR);
    }
    fresh(&s);
    hello(&s.up, 65535, 65535, 10);
    hello(&s.up, 65535, 65535, 10);
    buf_clear(&s.down);
    struct ua_event e = stage_take(&s, true, NULL);
    assert_int_equal(e.status, UA_BAD_TCP_MESSAGE_TYPE_INVALID);
    stage_end(&s);
}

static void a_null_address_is_none(void **state)
{
    struct wire_stage s;
    (void)state;
    fresh(&s);
    hello(&s.up, 8192, 8192, 0);
    put32(&s.up, 28, UINT32_MAX);
    assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_NONE);
    assert_int_equal(buf_size(&s.down), 28);
    assert_int_equal(ua_channel_url(s.server).len, 0);
    stage_end(&s);
}

static void messages_before_a_channel(void **state)
{
    struct wire_stage s;
    (void)state;
    fresh(&s);
    chunk(&s.up, "MSGF", 24);
    (void)memset(buf_grow(&s.up, 16), 0, 16);
    expect(&s, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN);
    fresh(&s);
    chunk(&s.up, "OPNF", 24);
    (void)memset(buf_grow(&s.up, 16), 0, 16);
    expect(&s, UA_BAD_TCP_MESSAGE_TYPE_INVALID, UA_BAD_TCP_MESSAGE_TYPE_INVALID);
}

static void whoever_says_nothing_is_closed(void **state)
{
    (void)state;
    for (int said = 0; said < 3; said++) {
        struct wire_stage s;
        struct ua_event e;
        struct bytes reason;
        fresh(&s);
        hello(&s.up, 65535, 65535, 10);
        if (said == 1)
            s.up.len -= 3; /* drop by drop is nothing, too */
        if (said)
            assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_NONE);
        buf_reset(&s.down);
        assert_int_equal(ua_channel_due_us(s.server), s.now.us + 10000000);
        s.now.us += 9999999;
        ua_channel_tick(s.server, s.now, &s.down, &e);
        assert_int_equal(e.kind, UA_EVENT_NONE);
        s.now.us += 1;
        ua_channel_tick(s.server, s.now, &s.down, &e);
        assert_int_equal(e.kind, UA_EVENT_ERROR);
        assert_int_equal(e.status, UA_BAD_TIMEOUT);
        assert_int_equal(told(&s.down, &reason), UA_BAD_TIMEOUT);
        stage_end(&s);
    }
}

/* ---- OpenSecureChannel ---- */

/* What a client would send as its OPN, before the server has seen it. */
static void opening(struct wire_stage *s, unsigned policy, int mode)
{
    stage_configure(s, &ua_policies[policy], mode, client, server);
    assert_true(stage_begin(s));
    assert_int_equal(stage_take(s, true, NULL).kind, UA_EVENT_NONE);
    assert_int_equal(stage_take(s, false, NULL).kind, UA_EVENT_NONE);
    assert_true(bytes_starts(buf_bytes(&s->up), "OPNF"));
}

static void opens_that_were_changed_on_the_way(void **state)
{
    struct wire_stage s;
    (void)state;
    opening(&s, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN_AND_ENCRYPT);
    size_t size = buf_size(&s.up);
    stage_end(&s);
    /* The certificate's own bytes are looked at elsewhere. */
    for (size_t at = 8; at < size; at += at < 80 ? 1 : 37) {
        struct bytes reason;
        opening(&s, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN_AND_ENCRYPT);
        s.up.at[s.up.from + at] ^= 0x10;
        buf_reset(&s.down);
        struct ua_event e = stage_take(&s, true, NULL);
        if (e.kind != UA_EVENT_ERROR)
            fail_msg("a changed byte %zu was not seen", at);
        ua_status status = told(&s.down, &reason);
        if (at >= 80 || (at >= 8 && at < 12))
            assert_int_equal(status, UA_BAD_SECURITY_CHECKS_FAILED);
        else
            assert_true(status == UA_BAD_SECURITY_POLICY_REJECTED || status == UA_BAD_DECODING_ERROR ||
                        status == UA_BAD_SECURITY_CHECKS_FAILED);
        stage_end(&s);
    }
}

static void opens_that_are_cut(void **state)
{
    (void)state;
    for (unsigned p = 0; p < 2; p++) {
        struct wire_stage s;
        opening(&s, p, p ? UA_MODE_SIGN : UA_MODE_NONE);
        size_t size = buf_size(&s.up);
        stage_end(&s);
        for (size_t n = 8; n < size; n += p ? 29 : 1) {
            opening(&s, p, p ? UA_MODE_SIGN : UA_MODE_NONE);
            s.up.len = s.up.from + n;
            put32(&s.up, 4, (uint32_t)n);
            struct ua_event e = stage_take(&s, true, NULL);
            if (e.kind != UA_EVENT_ERROR)
                fail_msg("%zu of %zu bytes were taken", n, size);
            stage_end(&s);
        }
    }
}

/* An OPN of our client's, opened with the server's key, changed, signed and encrypted again. */
static void open_with_padding(uint8_t change, size_t from_end, unsigned bits, bool good)
{
    struct wire_stage s;
    struct ua_application *at = bits == 2048 ? server : peers_make("wide", "URI:urn:wide", bits);
    const struct ua_policy *p = &ua_policies[UA_POLICY_BASIC256SHA256];
    struct ua_event e;
    struct turn t;
    struct open_chunk o;
    uint8_t plain[4096], cipher[4096];
    size_t n;
    stage_configure(&s, p, UA_MODE_SIGN, client, at);
    assert_true(stage_begin(&s));
    (void)stage_take(&s, true, NULL);
    (void)stage_take(&s, false, NULL);
    t = (struct turn){s.server, s.now, &s.down, &e};
    assert_true(asym_read(&t, buf_bytes(&s.up), &o));
    assert_true(ua_rsa_decrypt(p, at->key, o.rest, plain, &n));
    size_t sign = ua_rsa_bytes(client->key);
    plain[n - sign - from_end] ^= change;
    assert_true(ua_rsa_sign(p, client->key, o.head, bytes_of(plain, n - sign), plain + n - sign));
    assert_true(ua_rsa_encrypt(p, at->key, bytes_of(plain, n), cipher));
    memcpy(s.up.at + s.up.from + o.head.len, cipher, o.rest.len);
    e = stage_take(&s, true, NULL);
    if ((e.kind == UA_EVENT_OPENED) != good)
        fail_msg("padding changed by %02x, %zu from the end, %u bits: event %d", change, from_end, bits,
                 (int)e.kind);
    stage_end(&s);
    if (at != server)
        ua_application_drop(at);
}

static void padding_that_lies_in_an_open(void **state)
{
    (void)state;
    open_with_padding(0, 1, 2048, true);
    open_with_padding(1, 1, 2048, false); /* the count, as read from the end */
    open_with_padding(1, 2, 2048, false); /* one byte of it */
    open_with_padding(0xff, 1, 2048, false);
    open_with_padding(0, 1, 3072, true);
    open_with_padding(1, 2, 3072, false);
    open_with_padding(1, 3, 3072, false);
    open_with_padding(0x80, 1, 3072, false); /* the high byte of the count */
}

static ua_status never(void *ctx, struct ua_certificate *c, struct fault *why)
{
    (void)c;
    (void)FAIL(why, CODE_REFUSED, 0, "because");
    return *(ua_status *)ctx;
}

static void nobody_learns_why_he_is_not_trusted(void **state)
{
    static ua_status reasons[] = {UA_BAD_CERTIFICATE_UNTRUSTED, UA_BAD_CERTIFICATE_TIME_INVALID,
                                  UA_BAD_CERTIFICATE_REVOKED};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct wire_stage s;
        stage_configure(&s, &ua_policies[1], UA_MODE_SIGN, client, server);
        s.server_config.verify = never;
        s.server_config.ctx = &reasons[i];
        assert_true(stage_begin(&s));
        (void)stage_take(&s, true, NULL);
        (void)stage_take(&s, false, NULL);
        expect(&s, reasons[i], UA_BAD_SECURITY_CHECKS_FAILED);
    }
    struct wire_stage s; /* and who has nobody to ask trusts nobody */
    opening(&s, 1, UA_MODE_SIGN);
    s.server->config.verify = NULL;
    expect(&s, UA_BAD_CERTIFICATE_UNTRUSTED, UA_BAD_SECURITY_CHECKS_FAILED);
}

/* Who is trusted no more stays until his channel is to be renewed, not for ever. */
static void a_renewal_asks_again_who_is_trusted(void **state)
{
    static ua_status reason = UA_BAD_CERTIFICATE_UNTRUSTED;
    struct wire_stage s;
    (void)state;
    open_stage(&s, 1, UA_MODE_SIGN);
    s.server->config.verify = never;
    s.server->config.ctx = &reason;
    ua_channel_renew(s.client, s.now, &s.up);
    expect(&s, reason, UA_BAD_SECURITY_CHECKS_FAILED);
}

/* A chunk full of blocks would cost a stranger nothing, and us a decryption each. */
static void few_blocks_are_decrypted(void **state)
{
    struct wire_stage s;
    (void)state;
    for (int blocks = 8; blocks <= 9; blocks++) {
        opening(&s, 1, UA_MODE_SIGN);
        struct open_chunk o;
        struct ua_event e;
        struct turn t = {s.server, s.now, &s.down, &e};
        assert_true(asym_read(&t, buf_bytes(&s.up), &o));
        s.up.len = s.up.from + o.head.len;
        for (int i = 0; i < blocks * 256; i++)
            buf_u8(&s.up, (uint8_t)i);
        uint32_t size = (uint32_t)buf_size(&s.up);
        memcpy(s.up.at + s.up.from + 4, &size, sizeof size);
        if (blocks == 8)
            expect_distrust(&s);
        else
            expect(&s, UA_BAD_TCP_MESSAGE_TOO_LARGE, UA_BAD_TCP_MESSAGE_TOO_LARGE);
    }
}

static bool only_signed_basic(void *ctx, const struct ua_policy *p, int mode)
{
    (void)ctx;
    return p->id == UA_POLICY_BASIC256SHA256 && mode == UA_MODE_SIGN;
}

static void what_is_not_offered_is_refused(void **state)
{
    static const struct {
        unsigned policy;
        int mode;
        ua_status status;
    } cases[] = {
        {UA_POLICY_AES256_SHA256_RSAPSS, UA_MODE_SIGN, UA_BAD_SECURITY_POLICY_REJECTED},
        {UA_POLICY_BASIC256SHA256, UA_MODE_SIGN_AND_ENCRYPT, UA_BAD_SECURITY_MODE_REJECTED},
        {UA_POLICY_BASIC256SHA256, UA_MODE_NONE, UA_BAD_SECURITY_MODE_REJECTED},
        {UA_POLICY_BASIC256SHA256, UA_MODE_INVALID, UA_BAD_SECURITY_MODE_REJECTED},
        {UA_POLICY_BASIC256SHA256, 4, UA_BAD_SECURITY_MODE_REJECTED},
        {UA_POLICY_NONE, UA_MODE_SIGN, UA_BAD_SECURITY_MODE_REJECTED},
        {UA_POLICY_BASIC256SHA256, UA_MODE_SIGN, 0},
        {UA_POLICY_NONE, UA_MODE_NONE, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire_stage s;
        opening(&s, cases[i].policy, cases[i].mode);
        s.server->config.offers = only_signed_basic;
        if (cases[i].status) {
            expect(&s, cases[i].status, cases[i].status);
        } else {
            assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_OPENED);
            stage_end(&s);
        }
    }
    struct wire_stage s; /* without a certificate there is None only */
    opening(&s, 1, UA_MODE_SIGN);
    ua_application_drop(s.server->config.own);
    s.server->config.own = NULL;
    expect(&s, UA_BAD_SECURITY_POLICY_REJECTED, UA_BAD_SECURITY_POLICY_REJECTED);
}

static void renewals_cannot_change_who_or_how(void **state)
{
    struct wire_stage s;
    (void)state;
    open_stage(&s, 1, UA_MODE_SIGN); /* another mode */
    s.client->config.mode = UA_MODE_SIGN_AND_ENCRYPT;
    ua_channel_renew(s.client, s.now, &s.up);
    expect(&s, UA_BAD_SECURITY_MODE_REJECTED, UA_BAD_SECURITY_MODE_REJECTED);
    open_stage(&s, 1, UA_MODE_SIGN); /* another policy */
    s.client->config.policy = &ua_policies[2];
    ua_channel_renew(s.client, s.now, &s.up);
    expect(&s, UA_BAD_SECURITY_POLICY_REJECTED, UA_BAD_SECURITY_CHECKS_FAILED);
    open_stage(&s, 1, UA_MODE_SIGN); /* another certificate */
    ua_application_drop(s.client->config.own);
    s.client->config.own = ua_application_hold(other);
    ua_channel_renew(s.client, s.now, &s.up);
    expect(&s, UA_BAD_CERTIFICATE_INVALID, UA_BAD_SECURITY_CHECKS_FAILED);
    open_stage(&s, 1, UA_MODE_SIGN); /* another key under the same certificate */
    EVP_PKEY *key = s.client->config.own->key;
    s.client->config.own->key = other->key;
    ua_channel_renew(s.client, s.now, &s.up);
    client->key = key;
    expect_distrust(&s);
    open_stage(&s, 1, UA_MODE_SIGN); /* another channel */
    s.client->id = 78;
    ua_channel_renew(s.client, s.now, &s.up);
    expect(&s, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN);
    open_stage(&s, 1, UA_MODE_SIGN); /* a second one */
    struct ua_event e;
    struct turn t = {s.client, s.now, &s.up, &e};
    channel_ask_open(&t, false);
    expect(&s, UA_BAD_REQUEST_TYPE_INVALID, UA_BAD_REQUEST_TYPE_INVALID);
    opening(&s, 0, UA_MODE_NONE); /* one that is not there */
    buf_reset(&s.up);
    struct turn u = {s.client, s.now, &s.up, &e};
    channel_ask_open(&u, true);
    s.client->sent = 1;
    expect(&s, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN);
}

/* An OPN with a body of ours: how a client that is not ours would write it. */
static void open_by_hand(struct wire_stage *s, const struct ua_open_secure_channel_request *r)
{
    buf_reset(&s->up);
    assert_true(asym_write(s->client, &s->up, 1, s->client->policy, s->client->peer,
                           &ua_open_secure_channel_request_type, r));
}

static void nonces_have_their_length_and_are_new(void **state)
{
    static const uint8_t nonce[64] = {1, 2, 3};
    (void)state;
    for (size_t n = 0; n <= 64; n += 16) {
        struct wire_stage s;
        struct ua_open_secure_channel_request r = {.security_mode = UA_MODE_SIGN,
                                                   .client_nonce = bytes_of(nonce, n)};
        opening(&s, 1, UA_MODE_SIGN);
        s.client->sent--;
        open_by_hand(&s, &r);
        if (n != 32) {
            expect(&s, UA_BAD_NONCE_INVALID, UA_BAD_NONCE_INVALID);
            continue;
        }
        assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_OPENED);
        s.client->id = s.server->id;
        r.request_type = UA_TOKEN_RENEW;
        open_by_hand(&s, &r); /* the same nonce again */
        expect(&s, UA_BAD_NONCE_INVALID, UA_BAD_NONCE_INVALID);
    }
    struct wire_stage s; /* neither new nor a renewal */
    struct ua_open_secure_channel_request r = {
        .security_mode = UA_MODE_SIGN, .request_type = 2, .client_nonce = bytes_of(nonce, 32)};
    opening(&s, 1, UA_MODE_SIGN);
    open_by_hand(&s, &r);
    expect(&s, UA_BAD_REQUEST_TYPE_INVALID, UA_BAD_REQUEST_TYPE_INVALID);
}

static void the_wrong_service_in_an_open(void **state)
{
    struct wire_stage s;
    struct ua_close_secure_channel_request r = {0};
    (void)state;
    opening(&s, 1, UA_MODE_SIGN);
    buf_reset(&s.up);
    assert_true(asym_write(s.client, &s.up, 1, s.client->policy, s.client->peer,
                           &ua_close_secure_channel_request_type, &r));
    expect(&s, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR);
}

static void a_stranger_to_our_certificate(void **state)
{
    struct wire_stage s;
    (void)state;
    stage_configure(&s, &ua_policies[1], UA_MODE_SIGN, client, server);
    s.client_config.server = other->certificate; /* it encrypts for somebody else */
    assert_true(stage_begin(&s));
    (void)stage_take(&s, true, NULL);
    (void)stage_take(&s, false, NULL);
    expect(&s, UA_BAD_CERTIFICATE_INVALID, UA_BAD_SECURITY_CHECKS_FAILED);
}

static void keys_that_are_too_small(void **state)
{
    struct wire_stage s;
    struct cert small = cert_make(&(struct cert_wish){.name = "small", .rsa_bits = 1024});
    struct cert curve = cert_make(&(struct cert_wish){.name = "curve"});
    struct bytes ders[] = {peers_der(&small), peers_der(&curve)};
    (void)state;
    for (int i = 0; i < 2; i++) {
        opening(&s, 1, UA_MODE_SIGN);
        const struct ua_certificate *was = client->certificate;
        struct ua_certificate *now;
        struct fault why;
        assert_int_equal(ua_certificate_read(&now, ders[i], &why), CODE_OK);
        buf_reset(&s.up);
        client->certificate = now; /* signs with a key that does not belong to it */
        struct ua_open_secure_channel_request r = {.security_mode = UA_MODE_SIGN};
        open_by_hand(&s, &r);
        client->certificate = (struct ua_certificate *)(uintptr_t)was;
        ua_certificate_drop(now);
        expect(&s, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED, UA_BAD_SECURITY_CHECKS_FAILED);
        free((void *)(uintptr_t)ders[i].at);
    }
    cert_free(&small);
    cert_free(&curve);
}

/* ---- messages ---- */

static void a_changed_byte_anywhere_ends_it(void **state)
{
    (void)state;
    for (int mode = UA_MODE_SIGN; mode <= UA_MODE_SIGN_AND_ENCRYPT; mode++) {
        size_t size = 1000;
        for (size_t at = 8; at < size; at++) {
            struct wire_stage s;
            open_stage(&s, UA_POLICY_AES128_SHA256_RSAOAEP, mode);
            assert_int_equal(ua_channel_send(s.client, &s.up, 1, BYTES_LIT("twenty-one degrees")), UA_GOOD);
            size = buf_size(&s.up);
            s.up.at[s.up.from + at] ^= 1;
            if (at < 12)
                expect(&s, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN, UA_BAD_TCP_SECURE_CHANNEL_UNKNOWN);
            else if (at < 16)
                expect(&s, UA_BAD_SECURE_CHANNEL_TOKEN_UNKNOWN, UA_BAD_SECURITY_CHECKS_FAILED);
            else
                expect_distrust(&s);
        }
    }
}

static void messages_of_any_wrong_length(void **state)
{
    (void)state;
    for (int mode = UA_MODE_NONE; mode <= UA_MODE_SIGN_AND_ENCRYPT; mode++) {
        size_t size = 1000;
        for (size_t n = 8; n < size; n++) {
            struct wire_stage s;
            open_stage(&s, mode == UA_MODE_NONE ? UA_POLICY_NONE : UA_POLICY_BASIC256SHA256, mode);
            assert_int_equal(
                ua_channel_send(s.client, &s.up, 1, mode == UA_MODE_NONE ? BYTES_NONE : BYTES_LIT("21.5")),
                UA_GOOD);
            size = buf_size(&s.up);
            s.up.len = s.up.from + n;
            put32(&s.up, 4, (uint32_t)n);
            if (n < 16 || mode == UA_MODE_NONE)
                expect(&s, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR);
            else
                expect_distrust(&s);
        }
    }
}

/* Padding that its sender has signed: only a broken stack does it, and it gets the same answer. */
static void padding_that_lies(void **state)
{
    /* number, request, body of 15 bytes, then what should be 00 or seven times 07; 32 of signature */
    static const struct {
        size_t plain; /* bytes before the signature, a multiple of 16 */
        uint8_t fill, last;
        bool good;
    } cases[] = {{32, 0, 0, true},   {32, 3, 3, true},    {32, 2, 3, false},
                 {32, 23, 23, true}, {32, 24, 24, false}, {32, 255, 255, false},
                 {32, 0, 1, false},  {48, 39, 39, true},  {48, 40, 40, false}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire_stage s;
        open_stage(&s, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN_AND_ENCRYPT);
        size_t size = 16 + cases[i].plain + 32;
        uint8_t *at = buf_grow(&s.up, size);
        memset(at, cases[i].fill, size);
        memcpy(at, "MSGF", 4);
        size_t b = buf_size(&s.up) - size;
        put32(&s.up, b + 4, (uint32_t)size);
        put32(&s.up, b + 8, s.client->id);
        put32(&s.up, b + 12, s.client->token.id);
        put32(&s.up, b + 16, channel_next_sequence(s.client));
        put32(&s.up, b + 20, 1);
        at[16 + cases[i].plain - 1] = cases[i].last;
        assert_true(ua_keys_sign(s.client->token.send, bytes_of(at, size - 32), BYTES_NONE, at + size - 32));
        assert_true(ua_keys_cipher(s.client->token.send, at + 16, at + 16, size - 16));
        if (cases[i].good) {
            struct buf body = {0};
            struct ua_event e = stage_take(&s, true, &body);
            assert_int_equal(e.kind, UA_EVENT_MESSAGE);
            assert_int_equal(buf_size(&body), cases[i].plain - 8 - 1 - cases[i].last);
            buf_clear(&body);
            stage_end(&s);
        } else {
            expect_distrust(&s);
        }
    }
}

static void send_part(struct wire_stage *s, uint32_t id, size_t n, char kind)
{
    static const uint8_t zeros[70000];
    struct ua_sending head;
    ua_channel_begin(s->client, &s->up, &head);
    buf_add(&s->up, zeros, n);
    assert_int_equal(channel_finish(s->client, &s->up, &head, id, "MSG", kind), UA_GOOD);
}

static void chunks_do_not_mix(void **state)
{
    (void)state;
    for (unsigned p = 0; p < 2; p++)
        for (int what = 0; what < 3; what++) {
            struct wire_stage s;
            open_stage(&s, p, p ? UA_MODE_SIGN_AND_ENCRYPT : UA_MODE_NONE);
            send_part(&s, 5, 100, 'C');
            if (what == 0)
                send_part(&s, 6, 100, 'F');
            else if (what == 1)
                send_part(&s, 6, 8, 'A');
            else
                ua_channel_renew(s.client, s.now, &s.up);
            expect(&s, UA_BAD_TCP_MESSAGE_TYPE_INVALID, UA_BAD_TCP_MESSAGE_TYPE_INVALID);
        }
}

static void chunks_without_end(void **state)
{
    struct wire_stage s;
    (void)state;
    open_stage(&s, UA_POLICY_NONE, UA_MODE_NONE);
    for (int i = 0; i < 65; i++)
        send_part(&s, 5, 0, 'C'); /* empty ones count, too */
    expect(&s, UA_BAD_TCP_MESSAGE_TOO_LARGE, UA_BAD_TCP_MESSAGE_TOO_LARGE);
}

static void a_message_that_never_ends_in_time(void **state)
{
    (void)state;
    for (int partial = 0; partial < 2; partial++) {
        struct wire_stage s;
        struct ua_event e;
        struct bytes reason;
        open_stage(&s, UA_POLICY_NONE, UA_MODE_NONE);
        int64_t begin = s.now.us;
        for (int i = 0; i < 5; i++) {
            if (!partial)
                send_part(&s, 5, 10, 'C');
            else if (i == 0)
                buf_add(&s.up, "MSGF\x20\0\0\0", 8);
            else
                buf_u8(&s.up, 0);
            assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_NONE);
            s.now.us += 10000000;
        }
        assert_int_equal(ua_channel_due_us(s.server), begin + 60000000);
        s.now.us = begin + 60000000;
        ua_channel_tick(s.server, s.now, &s.down, &e);
        assert_int_equal(e.status, UA_BAD_TIMEOUT);
        assert_int_equal(told(&s.down, &reason), UA_BAD_TIMEOUT);
        stage_end(&s);
    }
    struct wire_stage s; /* what ends in time is not held against the next */
    open_stage(&s, UA_POLICY_NONE, UA_MODE_NONE);
    send_part(&s, 5, 10, 'C');
    (void)stage_take(&s, true, NULL);
    s.now.us += 59000000;
    send_part(&s, 5, 10, 'F');
    send_part(&s, 6, 10, 'C');
    assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_MESSAGE);
    assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_NONE);
    assert_int_equal(ua_channel_due_us(s.server), s.now.us + 60000000);
    stage_end(&s);
}

static void aborts_that_are_cut(void **state)
{
    struct wire_stage s;
    (void)state;
    open_stage(&s, UA_POLICY_NONE, UA_MODE_NONE);
    send_part(&s, 5, 7, 'A');
    expect(&s, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR);
}

/* ---- servers that lie to a client ---- */

static void client_expects(struct wire_stage *s, ua_status status)
{
    buf_reset(&s->up);
    struct ua_event e = stage_take(s, false, NULL);
    if (e.kind != UA_EVENT_ERROR || e.status != status)
        fail_msg("event %d, %s instead of %s: %s", (int)e.kind, ua_status_name(e.status),
                 ua_status_name(status), e.why.text);
    assert_int_equal(buf_size(&s->up), 0); /* a client says nothing; it leaves */
    assert_true(ua_channel_is_over(s->client));
    stage_end(s);
}

static void servers_that_say_what_only_clients_say(void **state)
{
    struct wire_stage s;
    (void)state;
    stage_configure(&s, &ua_policies[0], UA_MODE_NONE, client, server);
    assert_true(stage_begin(&s));
    hello(&s.down, 65535, 65535, 10);
    client_expects(&s, UA_BAD_TCP_MESSAGE_TYPE_INVALID);
    open_stage(&s, 0, UA_MODE_NONE);
    chunk(&s.down, "ACKF", 28);
    (void)memset(buf_grow(&s.down, 20), 0xff, 20);
    client_expects(&s, UA_BAD_TCP_MESSAGE_TYPE_INVALID);
    stage_configure(&s, &ua_policies[0], UA_MODE_NONE, client, server);
    assert_true(stage_begin(&s));
    chunk(&s.down, "ACKF", 28);
    (void)memset(buf_grow(&s.down, 20), 0, 20);
    client_expects(&s, UA_BAD_CONNECTION_REJECTED);
    stage_configure(&s, &ua_policies[0], UA_MODE_NONE, client, server);
    assert_true(stage_begin(&s));
    chunk(&s.down, "MSGF", 0x80000000);
    client_expects(&s, UA_BAD_TCP_MESSAGE_TOO_LARGE);
    open_stage(&s, 0, UA_MODE_NONE); /* an answer that nobody asked for */
    struct ua_open_secure_channel_response r = {.security_token = {.channel_id = 77, .token_id = 9}};
    assert_true(
        asym_write(s.server, &s.down, 1, &ua_policies[0], NULL, &ua_open_secure_channel_response_type, &r));
    client_expects(&s, UA_BAD_TCP_MESSAGE_TYPE_INVALID);
}

static void a_server_that_swaps_its_certificate(void **state)
{
    struct wire_stage s;
    (void)state;
    opening(&s, 1, UA_MODE_SIGN);
    assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_OPENED);
    buf_reset(&s.down);
    ua_application_drop(s.server->config.own);
    s.server->config.own = ua_application_hold(other);
    struct ua_open_secure_channel_response r = {.security_token = {.channel_id = 77, .token_id = 1},
                                                .server_nonce = bytes_of(s.server->own_nonce, 32)};
    assert_true(asym_write(s.server, &s.down, 1, &ua_policies[1], s.server->peer,
                           &ua_open_secure_channel_response_type, &r));
    client_expects(&s, UA_BAD_CERTIFICATE_INVALID);
}

static void what_a_server_refuses_is_told(void **state)
{
    struct wire_stage s;
    struct ua_service_fault fault = {.header = {.service_result = UA_BAD_CERTIFICATE_UNTRUSTED}};
    (void)state;
    opening(&s, 0, UA_MODE_NONE);
    assert_true(asym_write(s.server, &s.down, 1, &ua_policies[0], NULL, &ua_service_fault_type, &fault));
    client_expects(&s, UA_BAD_CERTIFICATE_UNTRUSTED);
    opening(&s, 0, UA_MODE_NONE);
    channel_write_error(&s.down, UA_BAD_SECURITY_CHECKS_FAILED, BYTES_LIT("not you\n"));
    struct ua_event e = stage_take(&s, false, NULL);
    assert_int_equal(e.kind, UA_EVENT_CLOSED);
    assert_int_equal(e.status, UA_BAD_SECURITY_CHECKS_FAILED);
    assert_non_null(strstr(e.why.text, "not you\\x0"));
    stage_end(&s);
}

static void tokens_that_make_no_sense(void **state)
{
    static const struct {
        uint32_t channel, token;
        size_t nonce;
        ua_status status;
    } cases[] = {{0, 1, 32, UA_BAD_SECURE_CHANNEL_ID_INVALID},
                 {77, 0, 32, UA_BAD_SECURE_CHANNEL_ID_INVALID},
                 {77, 1, 31, UA_BAD_NONCE_INVALID},
                 {77, 1, 0, UA_BAD_NONCE_INVALID}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire_stage s;
        opening(&s, 1, UA_MODE_SIGN);
        assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_OPENED);
        buf_reset(&s.down);
        struct ua_open_secure_channel_response r = {
            .security_token = {.channel_id = cases[i].channel, .token_id = cases[i].token},
            .server_nonce = bytes_of(s.server->own_nonce, cases[i].nonce),
        };
        assert_true(asym_write(s.server, &s.down, s.client->opening_id, &ua_policies[1], s.server->peer,
                               &ua_open_secure_channel_response_type, &r));
        client_expects(&s, cases[i].status);
    }
}

static void a_client_without_keys_does_not_begin(void **state)
{
    struct wire_stage s;
    (void)state;
    for (int what = 0; what < 2; what++) {
        stage_configure(&s, &ua_policies[1], UA_MODE_SIGN, what ? client : NULL, server);
        if (what)
            s.client_config.server = NULL;
        assert_true(stage_begin(&s));
        (void)stage_take(&s, true, NULL);
        client_expects(&s, UA_BAD_CERTIFICATE_POLICY_CHECK_FAILED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_gigabytes_behind_hello),
        cmocka_unit_test(what_is_not_opc_ua_is_told_so),
        cmocka_unit_test(hellos_that_do_not_fit),
        cmocka_unit_test(a_null_address_is_none),
        cmocka_unit_test(messages_before_a_channel),
        cmocka_unit_test(whoever_says_nothing_is_closed),
        cmocka_unit_test(opens_that_were_changed_on_the_way),
        cmocka_unit_test(opens_that_are_cut),
        cmocka_unit_test(padding_that_lies_in_an_open),
        cmocka_unit_test(nobody_learns_why_he_is_not_trusted),
        cmocka_unit_test(what_is_not_offered_is_refused),
        cmocka_unit_test(renewals_cannot_change_who_or_how),
        cmocka_unit_test(a_renewal_asks_again_who_is_trusted),
        cmocka_unit_test(few_blocks_are_decrypted),
        cmocka_unit_test(nonces_have_their_length_and_are_new),
        cmocka_unit_test(the_wrong_service_in_an_open),
        cmocka_unit_test(a_stranger_to_our_certificate),
        cmocka_unit_test(keys_that_are_too_small),
        cmocka_unit_test(a_changed_byte_anywhere_ends_it),
        cmocka_unit_test(messages_of_any_wrong_length),
        cmocka_unit_test(padding_that_lies),
        cmocka_unit_test(chunks_do_not_mix),
        cmocka_unit_test(chunks_without_end),
        cmocka_unit_test(a_message_that_never_ends_in_time),
        cmocka_unit_test(aborts_that_are_cut),
        cmocka_unit_test(servers_that_say_what_only_clients_say),
        cmocka_unit_test(a_server_that_swaps_its_certificate),
        cmocka_unit_test(what_a_server_refuses_is_told),
        cmocka_unit_test(tokens_that_make_no_sense),
        cmocka_unit_test(a_client_without_keys_does_not_begin),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
