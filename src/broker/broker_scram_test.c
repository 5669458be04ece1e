/* Enhanced authentication through the whole broker (MQTT 5 sections 3.15 and 4.12), with SCRAM-SHA-256. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/private.h"
#include "identity/identity_test_users.h"
#include "identity/scram_test_client.h"
#include "support/broker_tests.h"

#define METHOD "SCRAM-SHA-256"
#define SECONDS(n) ((n) * INT64_C(1000000))

static char users_text[2048];

static int make_users(void **state)
{
    (void)state;
    struct buf text = { 0 };
    test_user(&text, "alice", "secret", NULL, true);
    test_user(&text, "bob", "bobs", NULL, true);
    test_user(&text, "carl", "carls", NULL, false);
    memcpy(users_text, buf_bytes(&text).at, buf_size(&text));
    buf_clear(&text);
    return 0;
}

static void with_users(struct rig_config *c)
{
    c->users = users_text;
}

static void without_users(struct rig_config *c)
{
    c->users = users_text;
    c->chain = (struct settings_choices){ { AUTH_ANONYMOUS }, 1 };
}

static const char *bare_of(const char *user)
{
    static char text[64];
    (void)snprintf(text, sizeof text, "n=%s,r=clientnonce", user);
    return text;
}

static struct peer_connect greeting(const char *user, char first[80])
{
    (void)snprintf(first, 80, "n,,%s", bare_of(user));
    return (struct peer_connect){ .client_id = "press-1", .expiry_s = 3600, .auth_method = METHOD, .auth_data = bytes_str(first) };
}

/* Answers the server's AUTH. */
static void answer(struct peer *p, const struct packet *challenge, const char *user, const char *password)
{
    struct buf final = { 0 };
    assert_int_equal(challenge->reason, MQTT_CONTINUE_AUTH);
    assert_true(bytes_is(challenge->props.auth_method, METHOD));
    client_final(&final, password, "n,,", bare_of(user), challenge->props.auth_data, "");
    peer_auth(p, MQTT_CONTINUE_AUTH, METHOD, buf_bytes(&final));
    buf_clear(&final);
}

static struct peer *authenticated(struct rig *rig, unsigned shard, const char *user, const char *password, bool present)
{
    char first[80];
    struct peer_connect o = greeting(user, first);
    struct peer *p = peer_open(rig, shard);
    peer_connect(p, &o);
    answer(p, peer_expect(p, MQTT_AUTH), user, password);
    struct packet *k = peer_expect(p, MQTT_CONNACK);
    assert_int_equal(k->reason, 0);
    assert_int_equal(k->session_present, present);
    assert_true(bytes_is(k->props.auth_method, METHOD)); /* [MQTT-4.12.0-5] */
    assert_true(bytes_starts(k->props.auth_data, "v="));
    return p;
}

static void a_proof_instead_of_a_password(struct rig *rig)
{
    struct peer *p = authenticated(rig, 0, "alice", "secret", false);
    peer_subscribed(p, "t", 1);
    peer_close(p);
    rig_run(rig);
    /* The same user, whichever way he signs in. */
    struct peer_connect plain = { .client_id = "press-1", .user = "alice", .password = "secret", .expiry_s = 3600 };
    p = peer_connected(rig, shard_of(rig, 1), &plain, true);
    peer_auth(p, MQTT_REAUTHENTICATE, METHOD, BYTES_LIT("n,,n=alice,r=x")); /* no method at CONNECT: no AUTH */
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_PROTOCOL_ERROR);
}

static void refused_with(struct rig *rig, const char *user, const char *password, uint8_t reason)
{
    char first[80];
    struct peer_connect o = greeting(user, first);
    struct peer *p = peer_open(rig, shard_of(rig, 1));
    peer_connect(p, &o);
    answer(p, peer_expect(p, MQTT_AUTH), user, password);
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, reason);
    peer_expect_end(p);
    peer_close(p);
}

static void a_wrong_proof_and_an_unknown_name_look_alike(struct rig *rig)
{
    refused_with(rig, "alice", "guess", MQTT_NOT_AUTHORIZED);
    refused_with(rig, "mallory", "secret", MQTT_NOT_AUTHORIZED);
    refused_with(rig, "carl", "carls", MQTT_NOT_AUTHORIZED); /* he has no record for it */
    /* An unknown name gets a salt, and the same one again. */
    struct bytes salt[2];
    for (int i = 0; i < 2; i++) {
        char first[80];
        struct peer_connect o = greeting("mallory", first);
        struct peer *p = peer_open(rig, 0);
        peer_connect(p, &o);
        struct bytes data = peer_expect(p, MQTT_AUTH)->props.auth_data;
        salt[i] = bytes_from(data, sizeof "r=clientnonce" - 1 + 24);
    }
    assert_true(bytes_equal(salt[0], salt[1]));
    assert_true(bytes_starts(salt[0], ",s="));
    assert_int_equal(stats_of(rig).sessions, 0);
    assert_int_equal(stats_of(rig).auth_failed, 3);
}

/* A name that exists keeps its salt; so must one that does not, also over a restart. */
static void salts_of_unknown_names_stay(struct rig *rig)
{
    static const char *const names[] = { "alice", "mallory", "nobody" };
    char first[80], salts[3][2][64];
    for (int start = 0; start < 2; start++) {
        for (int i = 0; i < 3; i++) {
            struct peer_connect o = greeting(names[i], first);
            struct peer *p = peer_open(rig, 0);
            peer_connect(p, &o);
            struct packet *challenge = peer_expect(p, MQTT_AUTH);
            struct bytes said = challenge->props.auth_data;
            while (said.len > 28 && !bytes_starts(said, ",s="))
                said = bytes_from(said, 1);
            assert_true(said.len > 28 && said.at[27] == ','); /* 16 bytes of salt */
            memcpy(salts[i][start], said.at, 28);
            peer_close(p);
        }
        rig_restart(rig, CRASH);
    }
    for (int i = 0; i < 3; i++)
        assert_memory_equal(salts[i][0], salts[i][1], 28);
    assert_memory_not_equal(salts[1][0], salts[2][0], 28);
}

static void first_messages_that_are_none_are_refused(struct rig *rig)
{
    static const char *const bad[] = { "x", "p=tls-unique,,n=alice,r=x", "n,,n=alice", "n,a=bob,n=alice,r=x" };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct peer_connect o = { .client_id = "c", .auth_method = METHOD, .auth_data = bytes_str(bad[i]) };
        peer_refused(peer_open(rig, 0), &o, MQTT_NOT_AUTHORIZED);
    }
}

static void a_connect_without_data_is_asked_for_it_once(struct rig *rig)
{
    struct peer_connect o = { .client_id = "c", .auth_method = METHOD };
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &o);
    struct packet *k = peer_expect(p, MQTT_AUTH);
    assert_int_equal(k->reason, MQTT_CONTINUE_AUTH);
    assert_int_equal(k->props.auth_data.len, 0);
    peer_auth(p, MQTT_CONTINUE_AUTH, METHOD, BYTES_LIT("n,,n=alice,r=clientnonce"));
    answer(p, peer_expect(p, MQTT_AUTH), "alice", "secret");
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, 0);
    p = peer_open(rig, 0);
    o.client_id = "d";
    peer_connect(p, &o);
    (void)peer_expect(p, MQTT_AUTH);
    peer_auth(p, MQTT_CONTINUE_AUTH, METHOD, BYTES_NONE);
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_NOT_AUTHORIZED);
}

static void other_methods_and_doors_without_users_get_0x8c(struct rig *rig)
{
    static const char *const methods[] = { "SCRAM-SHA-1", "scram-sha-256", "SCRAM-SHA-256-PLUS", "", "K" };
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct peer_connect o = { .client_id = "c", .auth_method = methods[i], .auth_data = BYTES_LIT("n,,n=alice,r=x") };
        peer_refused(peer_open(rig, 0), &o, MQTT_BAD_AUTH_METHOD);
    }
}

static void a_door_without_users_offers_no_method(struct rig *rig)
{
    struct peer_connect o = { .client_id = "c", .auth_method = METHOD, .auth_data = BYTES_LIT("n,,n=alice,r=x") };
    peer_refused(peer_open(rig, 0), &o, MQTT_BAD_AUTH_METHOD);
}

/* [MQTT-3.1.2-30] */
static void only_auth_and_disconnect_may_come_before_connack(struct rig *rig)
{
    for (int what = 0; what < 7; what++) {
        char first[80];
        struct peer_connect o = greeting("alice", first), watch = { .client_id = "w", .user = "bob", .password = "bobs" };
        struct peer *p = peer_open(rig, shard_of(rig, 1)), *w = peer_connected(rig, 0, &watch, false);
        peer_subscribed(w, "#", 0);
        peer_connect(p, &o);
        struct packet *challenge = peer_expect(p, MQTT_AUTH);
        switch (what) {
        case 0: (void)peer_publish(p, "t", "x", 0, true); break;
        case 1: (void)peer_subscribe(p, "#", 0); break;
        case 2: peer_connect(p, &o); break;
        case 3: peer_ping(p); break;
        case 4: peer_auth(p, MQTT_REAUTHENTICATE, METHOD, BYTES_LIT("n,,n=alice,r=x")); break;
        case 5: peer_auth(p, MQTT_CONTINUE_AUTH, "other", BYTES_LIT("x")); break; /* [MQTT-4.12.0-5] */
        default: peer_auth(p, MQTT_SUCCESS, METHOD, BYTES_NONE); break;           /* only a server says so */
        }
        (void)challenge;
        assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_PROTOCOL_ERROR);
        peer_expect_end(p);
        peer_expect_nothing(w);
        peer_close(p);
        peer_close(w);
        rig_run(rig);
    }
    char first[80];
    struct peer_connect o = greeting("alice", first);
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &o);
    (void)peer_expect(p, MQTT_AUTH);
    peer_disconnect(p, 0);
    peer_expect_end(p);
    assert_int_equal(stats_of(rig).sessions, 0);
}

static void an_exchange_that_is_never_ended_ends_like_silence(struct rig *rig)
{
    char first[80];
    struct peer_connect o = greeting("alice", first);
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &o);
    (void)peer_expect(p, MQTT_AUTH);
    rig_advance(rig, SECONDS(11));
    assert_true(peer_ended(p));
    assert_int_equal(stats_of(rig).clients, 0);
}

static void guessing_by_proofs_is_guessing(struct rig *rig)
{
    char first[80];
    struct peer_connect o = greeting("alice", first);
    for (int i = 0; i < 10; i++) {
        struct peer *p = peer_open_from(rig, 0, "10.0.0.7:4000");
        peer_connect(p, &o);
        answer(p, peer_expect(p, MQTT_AUTH), "alice", "guess");
        assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_NOT_AUTHORIZED);
        peer_close(p);
    }
    peer_refused(peer_open_from(rig, 0, "10.0.0.7:4000"), &o, MQTT_BANNED);
    (void)authenticated(rig, 0, "alice", "secret", false);
}

static void proofs_sent_side_by_side_are_guesses_too(struct rig *rig)
{
    char first[80];
    struct peer_connect o = greeting("alice", first);
    struct peer *p[14];
    const struct packet *challenge[14];
    for (int i = 0; i < 14; i++) {
        p[i] = peer_open_from(rig, 0, "10.0.0.7:4000");
        peer_connect(p[i], &o);
        challenge[i] = peer_expect(p[i], MQTT_AUTH);
    }
    for (int i = 0; i < 14; i++) {
        answer(p[i], challenge[i], "alice", i < 13 ? "guess" : "secret");
        assert_int_equal(peer_expect(p[i], MQTT_CONNACK)->reason, i < 10 ? MQTT_NOT_AUTHORIZED : MQTT_BANNED);
    }
}

static void the_maximum_packet_size_holds_for_auth_too(struct rig *rig)
{
    char first[80];
    struct peer_connect o = greeting("alice", first);
    o.max_packet = 40;
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &o);
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_PACKET_TOO_LARGE);
    peer_expect_end(p);
}

/* ---- again, on a live connection (4.12.1) ---- */

static void begin_again(struct peer *p, const char *user)
{
    char first[80];
    (void)greeting(user, first);
    peer_auth(p, MQTT_REAUTHENTICATE, METHOD, bytes_str(first));
}

static void it_can_prove_itself_again_while_it_works(struct rig *rig)
{
    struct peer *p = authenticated(rig, 0, "alice", "secret", false);
    peer_subscribed(p, "t", 1);
    for (int round = 0; round < 3; round++) {
        begin_again(p, "alice");
        struct packet *challenge = peer_expect(p, MQTT_AUTH);
        peer_published(p, "u", "x", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS); /* and goes on meanwhile */
        answer(p, challenge, "alice", "secret");
        struct packet *done = peer_expect(p, MQTT_AUTH);
        assert_int_equal(done->reason, MQTT_SUCCESS);
        assert_true(bytes_is(done->props.auth_method, METHOD));
        assert_true(bytes_starts(done->props.auth_data, "v="));
    }
    peer_ping(p);
    (void)peer_expect(p, MQTT_PINGRESP);
}

static void failing_again_ends_the_connection(struct rig *rig)
{
    for (int what = 0; what < 6; what++) {
        struct peer *p = authenticated(rig, shard_of(rig, 1), "alice", "secret", what > 0);
        uint8_t reason = MQTT_PROTOCOL_ERROR;
        switch (what) {
        case 0: /* a wrong proof */
            begin_again(p, "alice");
            answer(p, peer_expect(p, MQTT_AUTH), "alice", "guess");
            reason = MQTT_NOT_AUTHORIZED;
            break;
        case 1: /* a right one, of another */
            begin_again(p, "bob");
            answer(p, peer_expect(p, MQTT_AUTH), "bob", "bobs");
            reason = MQTT_NOT_AUTHORIZED;
            break;
        case 2: /* another method [MQTT-4.12.1-1] */
            peer_auth(p, MQTT_REAUTHENTICATE, "other", BYTES_LIT("x"));
            break;
        case 3: /* an answer to nothing */
            peer_auth(p, MQTT_CONTINUE_AUTH, METHOD, BYTES_LIT("x"));
            break;
        case 4: /* twice at once */
            begin_again(p, "alice");
            (void)peer_expect(p, MQTT_AUTH);
            begin_again(p, "alice");
            break;
        default: /* without a method: 3.15.2.2.2 */
            peer_send(p, BYTES_LIT("\xf0\x02\x19\x00"));
            break;
        }
        struct packet *d = peer_expect(p, MQTT_DISCONNECT);
        if (d->reason != reason)
            fail_msg("case %d was answered 0x%02X", what, d->reason);
        peer_expect_end(p);
        peer_close(p);
        rig_run(rig);
    }
}

static void a_changed_record_ends_who_was_proven_by_it(struct rig *rig)
{
    struct fault why;
    struct buf text = { 0 };
    struct peer *p = authenticated(rig, 0, "alice", "secret", false);
    test_user(&text, "alice", "changed", NULL, true);
    buf_u8(&text, 0);
    rig_write(rig, "users", (const char *)text.at);
    buf_clear(&text);
    assert_int_equal(rig_reload(rig, &why), CODE_OK);
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    (void)authenticated(rig, 0, "alice", "changed", true);
}

static void a_user_removed_between_two_messages(struct rig *rig)
{
    struct fault why;
    char first[80];
    struct peer_connect o = greeting("alice", first);
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &o);
    struct packet *challenge = peer_expect(p, MQTT_AUTH);
    rig_write(rig, "users", "");
    assert_int_equal(rig_reload(rig, &why), CODE_OK);
    answer(p, challenge, "alice", "secret");
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_NOT_AUTHORIZED);
}

static void older_versions_know_no_auth(struct rig *rig)
{
    struct peer_connect o = { .client_id = "c", .user = "bob", .password = "bobs", .version = MQTT_3_1_1 };
    struct peer *p = peer_connected(rig, 0, &o, false);
    peer_auth(p, MQTT_REAUTHENTICATE, METHOD, BYTES_LIT("x"));
    peer_expect_end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_proof_instead_of_a_password, with_users),
        RIG_TEST(a_wrong_proof_and_an_unknown_name_look_alike, with_users),
        RIG_TEST(salts_of_unknown_names_stay, with_users),
        RIG_TEST(first_messages_that_are_none_are_refused, with_users),
        RIG_TEST(a_connect_without_data_is_asked_for_it_once, with_users),
        RIG_TEST(other_methods_and_doors_without_users_get_0x8c, with_users),
        RIG_TEST(a_door_without_users_offers_no_method, without_users),
        RIG_TEST(only_auth_and_disconnect_may_come_before_connack, with_users),
        RIG_TEST(an_exchange_that_is_never_ended_ends_like_silence, with_users),
        RIG_TEST(guessing_by_proofs_is_guessing, with_users),
        RIG_TEST(proofs_sent_side_by_side_are_guesses_too, with_users),
        RIG_TEST(the_maximum_packet_size_holds_for_auth_too, with_users),
        RIG_TEST(it_can_prove_itself_again_while_it_works, with_users),
        RIG_TEST(failing_again_ends_the_connection, with_users),
        RIG_TEST(a_changed_record_ends_who_was_proven_by_it, with_users),
        RIG_TEST(a_user_removed_between_two_messages, with_users),
        RIG_TEST(older_versions_know_no_auth, with_users),
    };
    return cmocka_run_group_tests(tests, make_users, NULL);
}
