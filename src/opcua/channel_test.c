/* Two channels that talk to each other: every policy, mode and key size, renewals, limits. timeout: 300 */
#include "opcua/opcua_test_wire.h"
#include "support/oom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct ua_application *clients[3], *servers[3]; /* 2048, 3072, 4096 bits */

static int make_keys(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        clients[i] = peers_make("client", "URI:urn:client", 2048 + 1024 * i);
        servers[i] = peers_make("server", "URI:urn:server,DNS:gw1", 2048 + 1024 * i);
    }
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        ua_application_drop(clients[i]);
        ua_application_drop(servers[i]);
    }
    return 0;
}

static void open_with(struct wire_stage *s)
{
    assert_true(stage_begin(s));
    struct ua_event e = stage_open(s);
    if (e.kind != UA_EVENT_OPENED)
        fail_msg("not opened: %s", e.why.text);
    assert_true(ua_channel_is_open(s->server) && ua_channel_is_open(s->client));
}

static void open_stage(struct wire_stage *s, unsigned policy, int mode)
{
    stage_configure(s, &ua_policies[policy], mode, clients[0], servers[0]);
    open_with(s);
}

/* A body whose every byte says where it stands. */
static struct bytes pattern(size_t n)
{
    static uint8_t all[3 << 20];
    assert_true(n <= sizeof all);
    for (size_t i = 0; i < n; i++)
        all[i] = (uint8_t)(i * 7 + i / 251);
    return bytes_of(all, n);
}

/* One message from one end to the other. */
static void pass(struct wire_stage *s, bool up, size_t n, uint32_t id)
{
    struct buf got = {0};
    assert_int_equal(ua_channel_send(up ? s->client : s->server, up ? &s->up : &s->down, id, pattern(n)),
                     UA_GOOD);
    struct ua_event e = stage_take(s, up, &got);
    if (e.kind != UA_EVENT_MESSAGE)
        fail_msg("no message of %zu: %s", n, e.why.text);
    assert_int_equal(e.request_id, id);
    assert_true(bytes_equal(buf_bytes(&got), pattern(n)));
    assert_int_equal(stage_take(s, up, NULL).kind, UA_EVENT_NONE);
    buf_clear(&got);
}

static void renew(struct wire_stage *s)
{
    ua_channel_renew(s->client, s->now, &s->up);
    assert_int_equal(stage_take(s, true, NULL).kind, UA_EVENT_RENEWED);
    assert_int_equal(stage_take(s, false, NULL).kind, UA_EVENT_RENEWED);
}

/* ---- good ---- */

static void talk(unsigned policy, int mode, unsigned client_key, unsigned server_key)
{
    static const size_t sizes[] = {0,     1,     7,     8,     9,     15,    16,     300,
                                   65400, 65470, 65494, 65495, 65511, 65512, 200000, 1 << 20};
    struct wire_stage s;
    stage_configure(&s, &ua_policies[policy], mode, clients[client_key], servers[server_key]);
    open_with(&s);
    assert_int_equal(ua_channel_mode(s.server), mode);
    assert_ptr_equal(ua_channel_policy(s.server), &ua_policies[policy]);
    assert_true(bytes_is(ua_channel_url(s.server), "opc.tcp://gw1:4840/"));
    if (policy)
        assert_true(ua_certificate_equal(ua_channel_peer(s.server), clients[client_key]->certificate));
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            pass(&s, true, sizes[i], (uint32_t)(i + 1));
            pass(&s, false, sizes[i], (uint32_t)(i + 1));
        }
        renew(&s);
    }
    ua_channel_close(s.client, s.now, &s.up, 0, "");
    assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_CLOSED);
    assert_int_equal(buf_size(&s.down), 0);
    assert_true(ua_channel_is_over(s.server));
    stage_end(&s);
}

static void all_policies_modes_and_keys(void **state)
{
    (void)state;
    talk(UA_POLICY_NONE, UA_MODE_NONE, 0, 0);
    for (unsigned p = 1; p < UA_POLICY_COUNT; p++)
        for (int mode = UA_MODE_SIGN; mode <= UA_MODE_SIGN_AND_ENCRYPT; mode++)
            for (unsigned k = 0; k < 3; k++) {
                talk(p, mode, k, k);
                talk(p, mode, k, (k + 1) % 3); /* a key of another length at the other end */
            }
}

static void one_chunk_without_protection_is_not_copied(void **state)
{
    struct wire_stage s;
    struct ua_event e;
    (void)state;
    open_stage(&s, UA_POLICY_NONE, UA_MODE_NONE);
    assert_int_equal(ua_channel_send(s.client, &s.up, 1, pattern(300)), UA_GOOD);
    struct bytes in = buf_bytes(&s.up);
    assert_int_equal(ua_channel_take(s.server, in, s.now, &s.down, &e), in.len);
    assert_ptr_equal(e.body.at, in.at + 24);
    stage_end(&s);
}

static void bytes_may_come_one_by_one(void **state)
{
    (void)state;
    for (unsigned p = 0; p < UA_POLICY_COUNT; p++) {
        struct wire_stage s;
        struct ua_event e;
        size_t at = 0, messages = 0;
        open_stage(&s, p, p ? UA_MODE_SIGN_AND_ENCRYPT : UA_MODE_NONE);
        for (uint32_t i = 1; i <= 3; i++)
            assert_int_equal(ua_channel_send(s.client, &s.up, i, pattern(30 * i)), UA_GOOD);
        struct bytes all = buf_bytes(&s.up);
        for (size_t n = 1; n <= all.len; n++) {
            size_t taken = ua_channel_take(s.server, bytes_of(all.at + at, n - at), s.now, &s.down, &e);
            at += taken;
            messages += e.kind == UA_EVENT_MESSAGE;
            assert_true(e.kind == UA_EVENT_MESSAGE || (e.kind == UA_EVENT_NONE && taken == 0));
        }
        assert_int_equal(messages, 3);
        stage_end(&s);
    }
}

/* Byte by byte, as the standard draws it: what is absent must not be written as something. */
static void the_bytes_of_an_opening(void **state)
{
    static const char uri[] = "http://opcfoundation.org/UA/SecurityPolicy#None";
    struct wire_stage s;
    (void)state;
    stage_configure(&s, &ua_policies[0], UA_MODE_NONE, NULL, NULL);
    assert_true(stage_begin(&s));
    s.client->sent = 4;
    (void)stage_take(&s, true, NULL);
    (void)stage_take(&s, false, NULL);
    struct wire w = wire_of(buf_bytes(&s.up));
    assert_true(bytes_is(wire_bytes(&w, 4), "OPNF"));
    assert_int_equal(wire_le32(&w), buf_size(&s.up));
    assert_int_equal(wire_le32(&w), 0); /* channel */
    assert_true(bytes_is(wire_le_blob(&w), uri));
    assert_int_equal(wire_le32(&w), UINT32_MAX); /* certificate */
    assert_int_equal(wire_le32(&w), UINT32_MAX); /* thumbprint */
    assert_int_equal(wire_le32(&w), 5);
    assert_int_equal(wire_le32(&w), 1);          /* request */
    assert_int_equal(wire_le32(&w), 0x01be0001); /* i=446 in four bytes */
    assert_int_equal(wire_le16(&w), 0);          /* token */
    assert_int_equal(wire_le64(&w), ua_time_from_us(s.now.wall_us));
    assert_int_equal(wire_le64(&w), 1);          /* handle, diagnostics */
    assert_int_equal(wire_le32(&w), UINT32_MAX); /* audit entry */
    assert_int_equal(wire_le32(&w), 0);          /* time-out */
    assert_true(bytes_equal(wire_bytes(&w, 3), BYTES_LIT("\0\0\0")));
    assert_int_equal(wire_le32(&w), 0); /* version */
    assert_int_equal(wire_le32(&w), UA_TOKEN_ISSUE);
    assert_int_equal(wire_le32(&w), UA_MODE_NONE);
    assert_int_equal(wire_le32(&w), UINT32_MAX); /* nonce */
    assert_int_equal(wire_le32(&w), 3600000);
    assert_true(!w.bad && wire_left(&w) == 0);

    s.server->sent = 6;
    (void)stage_take(&s, true, NULL);
    w = wire_of(buf_bytes(&s.down));
    assert_true(bytes_is(wire_bytes(&w, 4), "OPNF"));
    assert_int_equal(wire_le32(&w), buf_size(&s.down));
    assert_int_equal(wire_le32(&w), 77);
    assert_true(bytes_is(wire_le_blob(&w), uri));
    assert_int_equal(wire_le64(&w), UINT64_MAX);
    assert_int_equal(wire_le32(&w), 7);
    assert_int_equal(wire_le32(&w), 1);
    assert_int_equal(wire_le32(&w), 0x01c10001); /* i=449 */
    assert_int_equal(wire_le64(&w), ua_time_from_us(s.now.wall_us));
    assert_int_equal(wire_le64(&w), 1); /* handle, result */
    assert_int_equal(wire_u8(&w), 0);   /* diagnostics */
    uint32_t strings = wire_le32(&w);
    assert_true(strings == UINT32_MAX || strings == 0);
    assert_true(bytes_equal(wire_bytes(&w, 3), BYTES_LIT("\0\0\0")));
    assert_int_equal(wire_le32(&w), 0);
    assert_int_equal(wire_le32(&w), 77);
    assert_int_equal(wire_le32(&w), 1); /* token */
    assert_int_equal(wire_le64(&w), ua_time_from_us(s.now.wall_us));
    assert_int_equal(wire_le32(&w), 3600000);
    assert_int_equal(wire_le32(&w), UINT32_MAX); /* nonce */
    assert_true(!w.bad && wire_left(&w) == 0);
    stage_end(&s);
}

static void our_issuers_go_along_where_they_fit(void **state)
{
    struct cert c = cert_make(&(struct cert_wish){.name = "long", .sans = "URI:urn:long", .rsa_bits = 2048});
    struct bytes leaf = peers_der(&c), key = peers_key(&c);
    struct buf chain = {0};
    struct ua_application *own;
    struct fault why;
    (void)state;
    for (int i = 0; i < UA_CHAIN_MAX; i++)
        buf_add_bytes(&chain, leaf);
    assert_int_equal(ua_application_new(&own, buf_bytes(&chain), key, &why), CODE_OK);
    for (int small = 0; small < 2; small++) {
        struct wire_stage s;
        stage_configure(&s, &ua_policies[1], UA_MODE_SIGN, own, servers[0]);
        if (small)
            s.client_config.limits.send_bytes = UA_CHUNK_BYTES_MIN;
        open_with(&s);
        assert_int_equal(ua_channel_peer(s.server)->count, small ? 1 : UA_CHAIN_MAX);
        renew(&s);
        pass(&s, true, 10, 1);
        stage_end(&s);
    }
    ua_application_drop(own);
    buf_clear(&chain);
    free((void *)(uintptr_t)leaf.at);
    free((void *)(uintptr_t)key.at);
    cert_free(&c);
}

/* ---- renewal ---- */

static void the_server_sends_under_the_old_token_until_it_hears_the_new_one(void **state)
{
    (void)state;
    for (unsigned p = 0; p < UA_POLICY_COUNT; p++) {
        struct wire_stage s;
        open_stage(&s, p, p ? UA_MODE_SIGN_AND_ENCRYPT : UA_MODE_NONE);
        uint32_t old = s.server->token.id;
        ua_channel_renew(s.client, s.now, &s.up);
        pass(&s, false, 100, 1);
        assert_int_equal(ua_channel_send(s.client, &s.up, 2, pattern(10)),
                         UA_GOOD); /* under the old one, behind the OPN */
        assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_RENEWED);
        assert_int_equal(ua_channel_send(s.server, &s.down, 3, pattern(10)),
                         UA_GOOD); /* behind the answer, still the old one */
        assert_int_equal(s.server->token.id, old);
        assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_MESSAGE);
        assert_int_equal(s.server->token.id, old);
        assert_int_equal(stage_take(&s, false, NULL).kind, UA_EVENT_RENEWED);
        assert_int_equal(stage_take(&s, false, NULL).kind, UA_EVENT_MESSAGE);
        pass(&s, false, 100, 4);
        pass(&s, true, 100, 5);
        assert_int_not_equal(s.server->token.id, old);
        assert_int_equal(s.server->other.id, 0);
        pass(&s, false, 100, 6);
        stage_end(&s);
    }
}

static void renewed_twice_without_a_message_between(void **state)
{
    struct wire_stage s;
    (void)state;
    open_stage(&s, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN_AND_ENCRYPT);
    renew(&s);
    renew(&s);
    renew(&s);
    pass(&s, false, 100, 1);
    pass(&s, true, 100, 2);
    pass(&s, false, 100, 3);
    renew(&s);
    pass(&s, true, 100, 4); /* the server is at the fifth now, and the client has not heard it there */
    renew(&s);
    pass(&s, false, 100, 5);
    assert_int_equal(ua_channel_renewals(s.client), 5);
    assert_int_equal(ua_channel_renewals(s.server), 5);
    stage_end(&s);
}

/* What a server sends that answers under the token it was asked with. Its keys are kept from before the renewals. */
static struct ua_event answer_under(struct wire_stage *s, struct token *old)
{
    struct token present = s->server->token;
    s->server->token = *old;
    assert_int_equal(ua_channel_send(s->server, &s->down, 9, pattern(100)), UA_GOOD);
    s->server->token = present;
    return stage_take(s, false, NULL);
}

/* The server's token, taken from it before a renewal ends it. */
static struct token lend(struct wire_stage *s)
{
    struct token old = s->server->token;
    s->server->token.send = s->server->token.receive = NULL;
    renew(s);
    token_promote(s->server);
    return old;
}

static void an_answer_may_come_under_the_token_it_was_asked_with(void **state)
{
    (void)state;
    for (unsigned p = 0; p < UA_POLICY_COUNT; p++) {
        struct wire_stage s;
        struct token old[PAST_TOKENS];
        open_stage(&s, p, p ? UA_MODE_SIGN_AND_ENCRYPT : UA_MODE_NONE);
        for (unsigned i = 0; i < PAST_TOKENS; i++) {
            pass(&s, true, 10, 1);
            old[i] = lend(&s);
            s.now.us += 1000;
        }
        for (unsigned i = 0; i < PAST_TOKENS; i++)
            assert_int_equal(answer_under(&s, &old[i]).kind, UA_EVENT_MESSAGE);
        pass(&s, false, 10, 2);
        pass(&s, true, 10, 3);
        for (unsigned i = 0; i < PAST_TOKENS; i++)
            token_clear(&old[i]);
        stage_end(&s);
    }
}

static void a_past_token_lives_a_quarter_longer_than_said_too(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++) {
        struct wire_stage s;
        open_stage(&s, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN);
        pass(&s, true, 10, 1);
        struct token old = lend(&s);
        pass(&s, true, 10, 2);
        struct token second = lend(&s);
        s.now.us = old.made_us + 3600 * INT64_C(1250000) - 1 + after;
        struct ua_event e = answer_under(&s, &old);
        assert_int_equal(e.kind, after ? UA_EVENT_ERROR : UA_EVENT_MESSAGE);
        assert_int_equal(e.status, after ? UA_BAD_SECURE_CHANNEL_TOKEN_UNKNOWN : UA_GOOD);
        token_clear(&old);
        token_clear(&second);
        stage_end(&s);
    }
}

/* The list is bounded, and what has ended leaves it at the next renewal. */
static void past_tokens_are_few(void **state)
{
    struct wire_stage s;
    (void)state;
    open_stage(&s, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN);
    pass(&s, true, 10, 1);
    struct token first = lend(&s);
    for (unsigned i = 0; i < PAST_TOKENS; i++) {
        pass(&s, true, 10, 1);
        renew(&s);
    }
    for (unsigned i = 0; i < PAST_TOKENS; i++)
        assert_true(s.client->past[i].id && s.client->past[i].id != first.id && !s.client->past[i].send);
    s.now.us = s.client->past[0].made_us + 3600 * INT64_C(1250000);
    renew(&s);
    assert_int_not_equal(s.client->past[0].id, 0);
    for (unsigned i = 1; i < PAST_TOKENS; i++)
        assert_int_equal(s.client->past[i].id, 0);
    struct ua_event e = answer_under(&s, &first);
    assert_int_equal(e.status, UA_BAD_SECURE_CHANNEL_TOKEN_UNKNOWN);
    token_clear(&first);
    stage_end(&s);
}

/* A server may grant less than a second: renewed in time, down to a tenth. */
static void a_short_life_is_taken_as_it_is(void **state)
{
    static const struct {
        uint32_t asked, taken;
    } cases[] = {{400, 400}, {999, 999}, {100, 100}, {20, 100}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire_stage s;
        stage_configure(&s, &ua_policies[1], UA_MODE_SIGN, clients[0], servers[0]);
        s.server_config.limits.lifetime_ms_min = 1;
        s.client_config.limits.lifetime_ms_max = cases[i].asked;
        open_with(&s);
        assert_int_equal(s.client->token.life_us, cases[i].taken * INT64_C(1000));
        assert_int_equal(ua_channel_due_us(s.client), s.now.us + cases[i].taken * INT64_C(750));
        stage_end(&s);
    }
}

/* The status that the other end reads; 0: none. */
static ua_status told(const struct buf *b)
{
    struct wire w = wire_of(buf_bytes(b));
    struct bytes type = wire_bytes(&w, 4);
    (void)wire_le32(&w);
    ua_status status = wire_le32(&w);
    return !w.bad && bytes_is(type, "ERRF") ? status : 0;
}

static void expect_refused(struct wire_stage *s, ua_status status, ua_status to_peer)
{
    buf_reset(&s->down);
    struct ua_event e = stage_take(s, true, NULL);
    assert_int_equal(e.kind, UA_EVENT_ERROR);
    if (e.status != status)
        fail_msg("%s instead of %s: %s", ua_status_name(e.status), ua_status_name(status), e.why.text);
    assert_int_equal(told(&s->down), to_peer);
    assert_true(e.why.text[0] && ua_channel_is_over(s->server));
    /* Whatever comes behind is swallowed. */
    buf_reset(&s->down);
    buf_add(&s->up, "MSGF garbage", 12);
    assert_int_equal(stage_take(s, true, NULL).kind, UA_EVENT_NONE);
    assert_int_equal(buf_size(&s->up), 0);
    assert_int_equal(buf_size(&s->down), 0);
    stage_end(s);
}

static void an_old_token_ends_when_the_new_one_was_used(void **state)
{
    struct wire_stage s;
    struct buf late = {0};
    (void)state;
    open_stage(&s, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN);
    uint32_t old = s.client->token.id;
    renew(&s);
    pass(&s, true, 10, 1);
    s.client->token.id = old;
    assert_int_equal(ua_channel_send(s.client, &s.up, 2, pattern(10)), UA_GOOD);
    buf_clear(&late);
    expect_refused(&s, UA_BAD_SECURE_CHANNEL_TOKEN_UNKNOWN, UA_BAD_SECURITY_CHECKS_FAILED);
}

static void a_token_lives_a_quarter_longer_than_said(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++) {
        struct wire_stage s;
        open_stage(&s, UA_POLICY_NONE, UA_MODE_NONE);
        int64_t ends = s.server->token.made_us + 3600 * INT64_C(1250000);
        s.now.us = ends - 1 + after;
        assert_int_equal(ua_channel_due_us(s.server), ends);
        assert_int_equal(ua_channel_send(s.client, &s.up, 2, pattern(10)), UA_GOOD);
        if (after) {
            expect_refused(&s, UA_BAD_SECURE_CHANNEL_TOKEN_UNKNOWN, UA_BAD_SECURITY_CHECKS_FAILED);
        } else {
            assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_MESSAGE);
            stage_end(&s);
        }
    }
}

static void the_client_renews_after_three_quarters_and_gives_up_at_the_end(void **state)
{
    struct wire_stage s;
    struct ua_event e;
    (void)state;
    stage_configure(&s, &ua_policies[1], UA_MODE_SIGN_AND_ENCRYPT, clients[0], servers[0]);
    s.client_config.limits.lifetime_ms_max = 1000; /* the server makes ten seconds of it */
    open_with(&s);
    int64_t begin = s.now.us;
    for (int i = 0; i < 3; i++) { /* a long life of short tokens */
        assert_int_equal(ua_channel_due_us(s.client), s.now.us + 7500000);
        s.now.us += 7499999;
        ua_channel_tick(s.client, s.now, &s.up, &e);
        assert_int_equal(buf_size(&s.up), 0);
        s.now.us++;
        ua_channel_tick(s.client, s.now, &s.up, &e);
        assert_int_equal(e.kind, UA_EVENT_NONE);
        assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_RENEWED);
        assert_int_equal(stage_take(&s, false, NULL).kind, UA_EVENT_RENEWED);
        pass(&s, true, 10, 1);
        pass(&s, false, 10, 1);
    }
    s.now.us += 7500000;
    ua_channel_tick(s.client, s.now, &s.up, &e);
    assert_int_equal(ua_channel_due_us(s.client),
                     begin + 4 * INT64_C(7500000) + 5000000); /* the server takes it so long */
    s.now.us += 5000000;
    ua_channel_tick(s.client, s.now, &s.up, &e);
    assert_int_equal(e.kind, UA_EVENT_ERROR);
    assert_int_equal(e.status, UA_BAD_SECURE_CHANNEL_CLOSED);
    stage_end(&s);
}

static void a_server_that_nobody_renews_ends(void **state)
{
    struct wire_stage s;
    struct ua_event e;
    (void)state;
    open_stage(&s, UA_POLICY_NONE, UA_MODE_NONE);
    s.now.us = ua_channel_due_us(s.server);
    ua_channel_tick(s.server, s.now, &s.down, &e);
    assert_int_equal(e.kind, UA_EVENT_ERROR);
    assert_int_equal(told(&s.down), UA_BAD_SECURE_CHANNEL_CLOSED);
    assert_int_equal(ua_channel_due_us(s.server), INT64_MAX);
    stage_end(&s);
}

static void a_server_whose_client_is_silent_follows_its_renewals(void **state)
{
    struct wire_stage s;
    struct ua_event e;
    (void)state;
    open_stage(&s, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN_AND_ENCRYPT);
    for (int i = 0; i < 6; i++) {
        s.now.us = ua_channel_due_us(s.client);
        if (i % 2 && ua_channel_due_us(s.server) <= s.now.us) /* or it comes too late */
            ua_channel_tick(s.server, s.now, &s.down, &e);
        ua_channel_tick(s.client, s.now, &s.up, &e);
        assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_RENEWED);
        assert_int_equal(stage_take(&s, false, NULL).kind, UA_EVENT_RENEWED);
        pass(&s, false, 100, 1);
    }
    stage_end(&s);
}

static void lifetimes_are_revised(void **state)
{
    static const struct {
        uint32_t asked, given;
    } cases[] = {{0, 3600000}, {1, 10000}, {60000, 60000}, {UINT32_MAX, 3600000}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire_stage s;
        stage_configure(&s, &ua_policies[0], UA_MODE_NONE, NULL, NULL);
        s.client_config.limits.lifetime_ms_max = cases[i].asked;
        open_with(&s);
        assert_int_equal(s.client->token.life_us, cases[i].given * INT64_C(1000));
        assert_int_equal(s.server->token.life_us, cases[i].given * INT64_C(1000));
        stage_end(&s);
    }
}

/* ---- numbers ---- */

static void sequence_numbers_wrap(void **state)
{
    (void)state;
    for (unsigned p = 0; p < 2; p++) {
        struct wire_stage s;
        open_stage(&s, p, p ? UA_MODE_SIGN : UA_MODE_NONE);
        s.client->sent = s.server->received = SEQUENCE_LAST - 2;
        s.server->sent = s.client->received = SEQUENCE_LAST - 2;
        for (uint32_t i = 1; i < 6; i++) {
            pass(&s, true, 10, i);
            pass(&s, false, 10, i);
        }
        assert_true(s.client->sent < 1024 && s.server->received < 1024);
        /* Others wrap later, or to another number. */
        s.server->received = UINT32_MAX - 5;
        s.client->sent = 1000;
        pass(&s, true, 10, 9);
        assert_int_equal(s.server->received, 1001);
        s.server->received = UINT32_MAX;
        s.client->sent = UINT32_MAX; /* that it sends 1 then is our way */
        pass(&s, true, 10, 10);
        stage_end(&s);
    }
}

static void numbers_that_skip_or_repeat_end_the_channel(void **state)
{
    static const struct {
        uint32_t last, next;
    } cases[] = {
        {100, 100},        {100, 102}, {100, 99}, {100, 1}, {SEQUENCE_LAST - 1, 5}, {SEQUENCE_LAST, 1024},
        {UINT32_MAX, 1024}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (unsigned p = 0; p < 2; p++) {
            struct wire_stage s;
            open_stage(&s, p, p ? UA_MODE_SIGN_AND_ENCRYPT : UA_MODE_NONE);
            s.server->received = cases[i].last;
            s.client->sent = cases[i].next - 1;
            assert_int_equal(ua_channel_send(s.client, &s.up, 1, pattern(10)), UA_GOOD);
            if (cases[i].next - 1 >= SEQUENCE_LAST) { /* our sender would have wrapped */
                stage_end(&s);
                continue;
            }
            expect_refused(&s, UA_BAD_SEQUENCE_NUMBER_INVALID, UA_BAD_SECURITY_CHECKS_FAILED);
        }
}

static void a_message_sent_twice_ends_the_channel(void **state)
{
    struct wire_stage s;
    struct buf copy = {0};
    (void)state;
    open_stage(&s, UA_POLICY_AES256_SHA256_RSAPSS, UA_MODE_SIGN_AND_ENCRYPT);
    assert_int_equal(ua_channel_send(s.client, &s.up, 1, pattern(10)), UA_GOOD);
    buf_add_bytes(&copy, buf_bytes(&s.up));
    assert_int_equal(stage_take(&s, true, NULL).kind, UA_EVENT_MESSAGE);
    buf_add_bytes(&s.up, buf_bytes(&copy));
    buf_clear(&copy);
    expect_refused(&s, UA_BAD_SEQUENCE_NUMBER_INVALID, UA_BAD_SECURITY_CHECKS_FAILED);
}

/* ---- limits ---- */

static void too_large_is_said_before_it_is_sent(void **state)
{
    (void)state;
    for (int by_chunks = 0; by_chunks < 2; by_chunks++) {
        struct wire_stage s;
        stage_configure(&s, &ua_policies[1], UA_MODE_SIGN_AND_ENCRYPT, clients[0], servers[0]);
        struct ua_channel_limits *l[2] = {&s.client_config.limits, &s.server_config.limits};
        for (int i = 0; i < 2; i++) {
            if (by_chunks)
                l[i]->chunks = 3;
            else
                l[i]->message_bytes = 100000;
        }
        open_with(&s);
        uint64_t most = ua_channel_body_max(s.client);
        assert_int_equal(most, by_chunks ? 3 * (65504 - 41) : 100000);
        pass(&s, true, most, 1);
        pass(&s, false, most, 1);
        buf_add(&s.up, "before", 6);
        uint32_t sent = s.client->sent;
        assert_int_equal(ua_channel_send(s.client, &s.up, 2, pattern(most + 1)), UA_BAD_REQUEST_TOO_LARGE);
        assert_int_equal(ua_channel_send(s.server, &s.down, 2, pattern(most + 1)), UA_BAD_RESPONSE_TOO_LARGE);
        assert_true(bytes_is(buf_bytes(&s.up), "before"));
        assert_int_equal(s.client->sent, sent);
        buf_take(&s.up, 6);
        pass(&s, true, 10, 3);
        pass(&s, false, 10, 3);
        stage_end(&s);
    }
}

static void too_much_that_comes_ends_the_channel(void **state)
{
    (void)state;
    for (int by_chunks = 0; by_chunks < 2; by_chunks++)
        for (unsigned p = 0; p < 2; p++) {
            struct wire_stage s;
            open_stage(&s, p, p ? UA_MODE_SIGN_AND_ENCRYPT : UA_MODE_NONE);
            s.client->send_message_bytes = s.client->send_chunks = 0; /* it does not care */
            if (by_chunks)
                s.client->send_bytes = 8192;
            assert_int_equal(
                ua_channel_send(s.client, &s.up, 1, pattern(by_chunks ? 65 * 8192 : (2 << 20) + 1)), UA_GOOD);
            expect_refused(&s, UA_BAD_TCP_MESSAGE_TOO_LARGE, UA_BAD_TCP_MESSAGE_TOO_LARGE);
        }
}

static void the_smaller_buffer_counts(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct wire_stage s;
        stage_configure(&s, &ua_policies[1], UA_MODE_SIGN_AND_ENCRYPT, clients[0], servers[0]);
        uint32_t *which[] = {&s.client_config.limits.receive_bytes, &s.client_config.limits.send_bytes,
                             &s.server_config.limits.receive_bytes, &s.server_config.limits.send_bytes};
        *which[i] = 8192;
        open_with(&s);
        bool up = i == 1 || i == 2;
        assert_int_equal(s.client->send_bytes, up ? 8192 : 65535);
        assert_int_equal(s.server->receive_bytes, up ? 8192 : 65535);
        assert_int_equal(s.server->send_bytes, up ? 65535 : 8192);
        assert_int_equal(s.client->receive_bytes, up ? 65535 : 8192);
        pass(&s, true, 50000, 1);
        pass(&s, false, 50000, 1);
        stage_end(&s);
    }
}

static void a_large_message_does_not_keep_its_memory(void **state)
{
    struct wire_stage s;
    (void)state;
    open_stage(&s, UA_POLICY_BASIC256SHA256, UA_MODE_SIGN_AND_ENCRYPT);
    pass(&s, true, 1 << 20, 1);
    assert_true(s.server->assembly.cap <= ASSEMBLY_KEEP);
    stage_end(&s);
}

/* ---- abort ---- */

static void messages_may_be_given_up(void **state)
{
    (void)state;
    for (unsigned p = 0; p < 2; p++)
        for (int up = 0; up < 2; up++) {
            struct wire_stage s;
            open_stage(&s, p, p ? UA_MODE_SIGN_AND_ENCRYPT : UA_MODE_NONE);
            struct buf *to = up ? &s.up : &s.down;
            struct ua_channel *from = up ? s.client : s.server;
            struct ua_sending head;
            /* The first chunk of two, then the end of it. */
            ua_channel_begin(from, to, &head);
            buf_add_bytes(to, pattern(1000));
            assert_int_equal(channel_finish(from, to, &head, 8, "MSG", 'C'), UA_GOOD);
            assert_int_equal(ua_channel_abort(from, to, 8, UA_BAD_OUT_OF_MEMORY, "no room"), UA_GOOD);
            struct ua_event e = stage_take(&s, up, NULL);
            assert_int_equal(e.kind, UA_EVENT_ABORTED);
            assert_int_equal(e.request_id, 8);
            assert_int_equal(e.status, UA_BAD_OUT_OF_MEMORY);
            assert_non_null(strstr(e.why.text, "no room"));
            pass(&s, up, 70000, 9);
            stage_end(&s);
        }
}

/* ---- memory ---- */

static const char *talks_without_memory(void *ctx)
{
    struct wire_stage s;
    unsigned p = *(unsigned *)ctx;
    const char *broken = NULL;
    stage_configure(&s, &ua_policies[p], p ? UA_MODE_SIGN_AND_ENCRYPT : UA_MODE_NONE, clients[0], servers[0]);
    oom_arm();
    if (stage_begin(&s)) {
        struct ua_event e = stage_open(&s);
        bool bad = s.up.bad || s.down.bad; /* the connection ends then */
        if (e.kind == UA_EVENT_OPENED) {
            ua_channel_renew(s.client, s.now, &s.up);
            if (ua_channel_send(s.client, &s.up, 5, pattern(200000)) && !oom_fired())
                broken = "not sent";
            for (int i = 0; i < 3; i++) {
                e = stage_take(&s, true, NULL);
                if (e.kind == UA_EVENT_ERROR && e.status != UA_BAD_OUT_OF_MEMORY)
                    broken = "an error that is none of memory";
            }
        } else if (!bad && e.kind != UA_EVENT_ERROR && e.kind != UA_EVENT_CLOSED && !oom_fired()) {
            broken = "neither open nor over";
        }
    }
    oom_disarm();
    stage_end(&s);
    return broken;
}

static void without_memory_a_channel_ends_and_nothing_else(void **state)
{
    (void)state;
    for (unsigned p = 0; p < 2; p++) {
        struct oom_result r;
        if (!oom_each("channel", talks_without_memory, &p, &r))
            fail_msg("%s", r.first);
        assert_true(r.refused > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_policies_modes_and_keys),
        cmocka_unit_test(one_chunk_without_protection_is_not_copied),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(the_bytes_of_an_opening),
        cmocka_unit_test(our_issuers_go_along_where_they_fit),
        cmocka_unit_test(the_server_sends_under_the_old_token_until_it_hears_the_new_one),
        cmocka_unit_test(renewed_twice_without_a_message_between),
        cmocka_unit_test(an_answer_may_come_under_the_token_it_was_asked_with),
        cmocka_unit_test(a_past_token_lives_a_quarter_longer_than_said_too),
        cmocka_unit_test(past_tokens_are_few),
        cmocka_unit_test(a_short_life_is_taken_as_it_is),
        cmocka_unit_test(an_old_token_ends_when_the_new_one_was_used),
        cmocka_unit_test(a_token_lives_a_quarter_longer_than_said),
        cmocka_unit_test(the_client_renews_after_three_quarters_and_gives_up_at_the_end),
        cmocka_unit_test(a_server_that_nobody_renews_ends),
        cmocka_unit_test(a_server_whose_client_is_silent_follows_its_renewals),
        cmocka_unit_test(lifetimes_are_revised),
        cmocka_unit_test(sequence_numbers_wrap),
        cmocka_unit_test(numbers_that_skip_or_repeat_end_the_channel),
        cmocka_unit_test(a_message_sent_twice_ends_the_channel),
        cmocka_unit_test(too_large_is_said_before_it_is_sent),
        cmocka_unit_test(too_much_that_comes_ends_the_channel),
        cmocka_unit_test(the_smaller_buffer_counts),
        cmocka_unit_test(a_large_message_does_not_keep_its_memory),
        cmocka_unit_test(messages_may_be_given_up),
        cmocka_unit_test(without_memory_a_channel_ends_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
