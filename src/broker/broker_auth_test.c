/* Who is let in and stays in, through the whole broker: P-WHO, P-TAKE, reload. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/private.h"
#include "identity/identity_test_users.h"
#include "support/broker_tests.h"

#define SECONDS(n) ((n) * INT64_C(1000000))
#define OUTSIDE "10.0.0.7:4000"

static char users_text[2048], without_alice[2048], other_password[2048];

static const struct peer_connect alice = { .client_id = "press-1", .user = "alice", .password = "secret", .expiry_s = 3600 },
                                 bob = { .client_id = "press-1", .user = "bob", .password = "bobs", .expiry_s = 3600 },
                                 wrong = { .client_id = "press-1", .user = "alice", .password = "guess" },
                                 unknown = { .client_id = "press-1", .user = "mallory", .password = "secret" },
                                 nameless = { .client_id = "press-1", .expiry_s = 3600 };

static int make_texts(void **state)
{
    (void)state;
    char *to[] = { users_text, without_alice, other_password };
    for (int i = 0; i < 3; i++) {
        struct buf text = { 0 };
        if (i != 1)
            test_user(&text, "alice", i == 2 ? "changed" : "secret", "admin", false);
        test_user(&text, "bob", "bobs", NULL, false);
        memcpy(to[i], buf_bytes(&text).at, buf_size(&text));
        buf_clear(&text);
    }
    return 0;
}

static void with_users(struct rig_config *c)
{
    c->users = users_text;
}

static void with_users_or_nobody(struct rig_config *c)
{
    c->users = users_text;
    c->chain = (struct settings_choices){ { AUTH_USERS, AUTH_ANONYMOUS }, 2 };
}

static struct peer_connect older(struct peer_connect c)
{
    c.version = MQTT_3_1_1;
    return c;
}

static void refused(struct rig *rig, const struct peer_connect *c, uint8_t reason, uint8_t code)
{
    struct peer_connect three = older(*c);
    peer_refused(peer_open(rig, shard_of(rig, 1)), c, reason);
    peer_refused(peer_open(rig, shard_of(rig, 1)), &three, code);
}

static void who_is_who_he_says_is_let_in(struct rig *rig)
{
    struct peer_connect three = older(alice);
    struct peer *p = peer_connected(rig, 0, &alice, false);
    peer_subscribed(p, "t/#", 1);
    peer_published(p, "u/1", "x", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    peer_close(p);
    rig_run(rig);
    p = peer_connected(rig, shard_of(rig, 1), &three, true); /* the same session in another version */
}

static void the_others_are_refused_all_alike(struct rig *rig)
{
    refused(rig, &wrong, MQTT_BAD_USER_OR_PASSWORD, 4);
    refused(rig, &unknown, MQTT_BAD_USER_OR_PASSWORD, 4);
    refused(rig, &nameless, MQTT_NOT_AUTHORIZED, 5);
    struct peer_connect no_password = alice;
    no_password.password = NULL;
    refused(rig, &no_password, MQTT_BAD_USER_OR_PASSWORD, 4);
    /* Nobody is told which of the two it was. */
    struct peer *a = peer_open(rig, 0), *b = peer_open(rig, 0);
    peer_connect(a, &wrong);
    peer_connect(b, &unknown);
    struct packet *x = peer_expect(a, MQTT_CONNACK), *y = peer_expect(b, MQTT_CONNACK);
    assert_true(bytes_equal(x->props.raw, y->props.raw));
    assert_int_equal(stats_of(rig).sessions, 0);
    assert_int_equal(stats_of(rig).auth_failed, 8);
}

/* P-WHO: what comes behind a CONNECT that is not decided yet is not looked at, and never if it is refused. */
static void nothing_of_a_stranger_gets_further_than_his_connect(struct rig *rig)
{
    struct peer_connect watch = { .client_id = "watch", .user = "bob", .password = "bobs" };
    struct peer *w = peer_connected(rig, 0, &watch, false);
    peer_subscribed(w, "#", 1);
    sim_pool_hold(rig->sim, true);
    struct peer *p = peer_open(rig, shard_of(rig, 1)), *q = peer_open(rig, shard_of(rig, 1));
    peer_connect(p, &wrong);
    peer_publish(p, "t", "bad", 1, true);
    struct peer_connect good = alice;
    good.client_id = "press-2";
    peer_connect(q, &good);
    peer_publish(q, "t", "good", 1, false);
    rig_advance(rig, SECONDS(2));
    peer_expect_nothing(w);
    peer_expect_nothing(p);
    peer_expect_nothing(q);
    sim_pool_hold(rig->sim, false);
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_BAD_USER_OR_PASSWORD);
    peer_expect_end(p);
    assert_int_equal(peer_expect(q, MQTT_CONNACK)->reason, 0);
    assert_int_equal(peer_expect(q, MQTT_PUBACK)->reason, 0);
    peer_accepts(w, peer_expect_publish(w, "t", "good", 1));
    peer_expect_nothing(w);
    assert_int_equal(stats_of(rig).retained, 0);
}

static void who_goes_while_he_is_checked_leaves_nothing(struct rig *rig)
{
    for (int good = 0; good < 2; good++) {
        sim_pool_hold(rig->sim, true);
        struct peer *p = peer_open(rig, shard_of(rig, 1));
        peer_connect(p, good ? &alice : &wrong);
        rig_run(rig);
        peer_hang_up(p);
        rig_run(rig);
        sim_pool_hold(rig->sim, false);
        rig_run(rig);
        peer_close(p);
        rig_advance(rig, SECONDS(20));
        assert_int_equal(stats_of(rig).clients, 0);
    }
}

static void a_check_that_takes_too_long_ends_like_silence(struct rig *rig)
{
    sim_pool_hold(rig->sim, true);
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &alice);
    rig_advance(rig, SECONDS(11)); /* limits.connect-seconds */
    assert_true(peer_ended(p));
    sim_pool_hold(rig->sim, false);
    rig_run(rig);
    assert_int_equal(stats_of(rig).sessions, 0);
    (void)peer_connected(rig, 0, &alice, false);
}

static void a_stop_while_somebody_is_checked(struct rig *rig)
{
    sim_pool_hold(rig->sim, true);
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &alice);
    rig_run(rig);
    rig_restart(rig, ORDERLY);
    sim_pool_hold(rig->sim, true);
    p = peer_open(rig, 0);
    peer_connect(p, &alice);
    rig_run(rig);
    rig_restart(rig, CRASH);
    (void)peer_connected(rig, 0, &alice, false);
}

static void who_waits_to_be_checked_is_half_open(struct rig *rig)
{
    struct peer *p[4];
    sim_pool_hold(rig->sim, true);
    for (int i = 0; i < 4; i++) {
        p[i] = peer_open(rig, 0);
        peer_connect(p[i], &alice);
        rig_run(rig);
    }
    assert_true(peer_ended(p[0])); /* limits.half-open 3 */
    assert_false(peer_ended(p[3]));
    sim_pool_hold(rig->sim, false);
    rig_run(rig);
}

static void three_half_open(struct rig_config *c)
{
    with_users(c);
    c->limits.half_open = 3;
    c->shards = 1;
}

static void guessing_gets_0x8a(struct rig *rig)
{
    for (int i = 0; i < 10; i++)
        peer_refused(peer_open_from(rig, 0, OUTSIDE), &wrong, MQTT_BAD_USER_OR_PASSWORD);
    peer_refused(peer_open_from(rig, 0, OUTSIDE), &alice, MQTT_BANNED);
    (void)peer_connected(rig, 0, &alice, false); /* from elsewhere */
    assert_int_equal(stats_of(rig).auth_banned, 1);
}

/* L-RATE: 3.x has no word for it, and a client that tries again at once would never stop. */
static void older_clients_that_guess_are_answered_late(struct rig *rig)
{
    struct peer_connect three = older(alice);
    for (int i = 0; i < 11; i++) {
        rig_advance(rig, i < 10 ? 0 : SECONDS(1));
        peer_refused(peer_open_from(rig, 0, OUTSIDE), &wrong, MQTT_BAD_USER_OR_PASSWORD);
    }
    struct peer *late = peer_open_from(rig, 0, OUTSIDE), *gone = peer_open_from(rig, 0, OUTSIDE);
    peer_connect(late, &three);
    peer_connect(gone, &three);
    rig_run(rig);
    peer_ping(late); /* it is not even read */
    rig_advance(rig, SECONDS(2) - 100000);
    peer_expect_nothing(late);
    assert_false(peer_ended(late));
    peer_close(gone);
    rig_advance(rig, 300000);
    assert_int_equal(peer_expect(late, MQTT_CONNACK)->reason, 5);
    peer_expect_end(late);
    assert_int_equal(stats_of(rig).auth_banned, 2);
    /* At most as long as anybody may take to sign in. */
    for (int i = 0, wait = 2; i < 5; i++, wait = wait * 2 > 60 ? 60 : wait * 2) {
        rig_advance(rig, SECONDS(wait));
        peer_refused(peer_open_from(rig, 0, OUTSIDE), &wrong, MQTT_BAD_USER_OR_PASSWORD);
    }
    struct peer *last = peer_open_from(rig, 0, OUTSIDE);
    peer_connect(last, &three);
    rig_advance(rig, SECONDS(9));
    peer_expect_nothing(last);
    rig_advance(rig, SECONDS(2));
    assert_int_equal(peer_expect(last, MQTT_CONNACK)->reason, 5);
    peer_expect_end(last);
}

/* ---- P-TAKE ---- */

static void nobody_takes_anothers_session(struct rig *rig)
{
    struct peer_connect clean = bob;
    clean.clean_start = true;
    struct peer *a = peer_connected(rig, 0, &alice, false);
    peer_subscribed(a, "t", 1);
    refused(rig, &bob, MQTT_NOT_AUTHORIZED, 5);
    refused(rig, &clean, MQTT_NOT_AUTHORIZED, 5);
    peer_ping(a); /* and the owner does not notice */
    (void)peer_expect(a, MQTT_PINGRESP);
    peer_close(a);
    rig_run(rig);
    refused(rig, &bob, MQTT_NOT_AUTHORIZED, 5);
    rig_restart(rig, CRASH);
    refused(rig, &bob, MQTT_NOT_AUTHORIZED, 5);
    (void)peer_connected(rig, 0, &alice, true);
    assert_int_equal(stats_of(rig).takeovers, 0);
}

static void the_same_user_takes_his_session_over(struct rig *rig)
{
    struct peer *a = peer_connected(rig, 0, &alice, false), *b = peer_connected(rig, shard_of(rig, 1), &alice, true);
    assert_int_equal(peer_expect(a, MQTT_DISCONNECT)->reason, MQTT_TAKEN_OVER);
    (void)b;
}

/* Where anybody still gets in without a name, a session of nobody is somebody's. */
static void a_session_of_nobody_is_his_while_nobody_is_let_in(struct rig *rig)
{
    struct peer *n = peer_connected(rig, 0, &nameless, false);
    peer_subscribed(n, "t", 1);
    refused(rig, &alice, MQTT_NOT_AUTHORIZED, 5); /* it is in use */
    peer_close(n);
    rig_run(rig);
    refused(rig, &alice, MQTT_NOT_AUTHORIZED, 5); /* and what waits in it is owed */
    n = peer_connected(rig, 0, &nameless, true);
    peer_close(n);
    rig_run(rig);
    assert_int_equal(stats_of(rig).abandoned_sessions, 0);
}

/* Nobody can come back for it: every listener wants users now. */
static void an_abandoned_session_makes_way_and_that_is_told(struct rig *rig)
{
    struct peer *n = peer_connected(rig, 0, &nameless, false);
    peer_subscribed(n, "t", 1);
    peer_close(n);
    rig_run(rig);
    rig->config.chain = (struct settings_choices){ { AUTH_USERS }, 1 };
    rig_restart(rig, ORDERLY);
    refused(rig, &nameless, MQTT_NOT_AUTHORIZED, 5);
    struct peer *a = peer_connected(rig, shard_of(rig, 1), &alice, false); /* and begins anew: session present 0 */
    peer_published(a, "t", "x", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    assert_int_equal(stats_of(rig).abandoned_sessions, 1);
    peer_close(a);
    rig_run(rig);
    refused(rig, &bob, MQTT_NOT_AUTHORIZED, 5);
    rig->config.chain = (struct settings_choices){ { AUTH_USERS, AUTH_ANONYMOUS }, 2 };
    rig_restart(rig, CRASH);
    refused(rig, &nameless, MQTT_NOT_AUTHORIZED, 5); /* the other way round nothing is ever given away */
    (void)peer_connected(rig, 0, &alice, true);
}

static void a_name_is_not_a_prefix(struct rig *rig)
{
    /* "user:" and a name is a text; nobody gets there by naming himself so. */
    struct peer_connect tricky = { .client_id = "press-1", .user = "user:alice", .password = "secret" };
    refused(rig, &tricky, MQTT_BAD_USER_OR_PASSWORD, 4);
    tricky.user = "anonymous";
    refused(rig, &tricky, MQTT_BAD_USER_OR_PASSWORD, 4);
}

/* ---- reload ---- */

static void must_reload(struct rig *rig, const char *text)
{
    struct fault why;
    rig_write(rig, "users", text);
    if (rig_reload(rig, &why) != CODE_OK)
        fail_msg("%s", why.text);
    rig_run(rig);
}

static void a_removed_user_is_out_within_moments(struct rig *rig)
{
    for (int how = 0; how < 2; how++) {
        struct peer_connect second = older(alice), other = bob;
        second.client_id = "press-2";
        other.client_id = "press-3";
        must_reload(rig, users_text);
        struct peer *five = peer_connected(rig, 0, &alice, how), *three = peer_connected(rig, shard_of(rig, 1), &second, how),
                    *b = peer_connected(rig, shard_of(rig, 1), &other, how);
        must_reload(rig, how ? other_password : without_alice);
        assert_int_equal(peer_expect(five, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
        peer_expect_end(five);
        peer_expect_end(three);
        peer_ping(b);
        (void)peer_expect(b, MQTT_PINGRESP);
        peer_refused(peer_open(rig, 0), &alice, MQTT_BAD_USER_OR_PASSWORD);
        assert_int_equal(stats_of(rig).withdrawn, 2 * (how + 1));
        peer_close(b);
        rig_run(rig);
    }
}

static void a_user_removed_between_connect_and_connack(struct rig *rig)
{
    sim_pool_hold(rig->sim, true);
    struct peer *p = peer_open(rig, shard_of(rig, 1));
    peer_connect(p, &alice);
    rig_run(rig);
    must_reload(rig, without_alice);
    sim_pool_hold(rig->sim, false);
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_BAD_USER_OR_PASSWORD);
}

static void a_damaged_file_changes_nothing(struct rig *rig)
{
    struct fault why;
    struct peer *p = peer_connected(rig, 0, &alice, false);
    rig_write(rig, "users", "user:bob::none\nuser:al");
    assert_int_equal(rig_reload(rig, &why), CODE_DAMAGED);
    rig_run(rig);
    peer_ping(p);
    (void)peer_expect(p, MQTT_PINGRESP);
    must_reload(rig, users_text);
    peer_ping(p); /* the same again: nobody is cut off */
    (void)peer_expect(p, MQTT_PINGRESP);
}

static void an_empty_file_lets_nobody_in_and_nobody_stay(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &alice, false);
    must_reload(rig, "");
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    refused(rig, &alice, MQTT_BAD_USER_OR_PASSWORD, 4);
    refused(rig, &nameless, MQTT_NOT_AUTHORIZED, 5);
}

/* ---- credentials that run out ---- */

static struct client *client_of(struct rig *rig, const char *id)
{
    for (unsigned i = 0; i < rig->config.shards; i++)
        for (struct client *c = rig->broker->shards[i].clients; c; c = c->next)
            if (c->session && bytes_is(c->session->client_id, id))
                return c;
    fail_msg("%s is not connected", id);
    return NULL;
}

/* As a client certificate that ends in ten seconds (net/tls_test.c has those that are refused at once). */
static void a_credential_that_runs_out_ends_the_connection(struct rig *rig)
{
    struct peer_connect other = bob;
    other.client_id = "press-2";
    struct peer *a = peer_connected(rig, 0, &alice, false), *b = peer_connected(rig, shard_of(rig, 1), &other, false);
    struct client *c = client_of(rig, "press-1");
    c->who->valid_until_us = rig_wall_us(rig) + SECONDS(10);
    c->shard->valid_until_us = 0;
    rig_advance(rig, SECONDS(9));
    peer_expect_nothing(a);
    rig_advance(rig, SECONDS(5)); /* within five seconds */
    assert_int_equal(peer_expect(a, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    peer_expect_end(a);
    peer_ping(b);
    (void)peer_expect(b, MQTT_PINGRESP);
    assert_int_equal(stats_of(rig).withdrawn, 1);
}

/* A reload gives the listener this one authenticator. */
static void ask_only(struct rig *rig, enum settings_auth by)
{
    struct fault why;
    struct auth_doors *doors, *before;
    struct auth_door door = { .chain = { { (uint8_t)by }, 1 } };
    assert_int_equal(auth_doors_new(&doors, &door, 1, &why), CODE_OK);
    before = auth_change_doors(rig->auth, doors);
    broker_access_changed(rig->broker);
    rig_run(rig);
    auth_doors_free(before);
}

static void a_listener_that_asks_otherwise_is_left_by_those_it_would_not_let_in(struct rig *rig)
{
    struct peer_connect first = nameless, second = nameless, third = nameless, other = bob;
    first.client_id = "first";
    second.client_id = "second";
    third.client_id = "third";
    other.client_id = "other";
    struct peer *n = peer_connected(rig, 0, &first, false), *m = peer_connected(rig, shard_of(rig, 1), &second, false),
                *a = peer_connected(rig, shard_of(rig, 1), &alice, false);
    ask_only(rig, AUTH_USERS);
    assert_int_equal(peer_expect(n, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    assert_int_equal(peer_expect(m, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    peer_expect_end(n);
    peer_expect_end(m);
    peer_ping(a);
    (void)peer_expect(a, MQTT_PINGRESP);
    assert_int_equal(stats_of(rig).withdrawn, 2);
    ask_only(rig, AUTH_ANONYMOUS);
    assert_int_equal(peer_expect(a, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    struct peer *stays = peer_connected(rig, 0, &third, false);
    ask_only(rig, AUTH_ANONYMOUS);
    peer_expect_nothing(stays);
    assert_int_equal(stats_of(rig).withdrawn, 3);
    ask_only(rig, AUTH_USERS);
    assert_int_equal(peer_expect(stays, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    /* The pool is still checking a password when the listener stops asking for them. */
    sim_pool_hold(rig->sim, true);
    struct peer *late = peer_open(rig, shard_of(rig, 1));
    peer_connect(late, &other);
    rig_run(rig);
    ask_only(rig, AUTH_CERTIFICATE);
    sim_pool_hold(rig->sim, false);
    assert_int_equal(peer_expect(late, MQTT_CONNACK)->reason, MQTT_NOT_AUTHORIZED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(who_is_who_he_says_is_let_in, with_users),
        RIG_TEST(the_others_are_refused_all_alike, with_users),
        RIG_TEST(nothing_of_a_stranger_gets_further_than_his_connect, with_users),
        RIG_TEST(who_goes_while_he_is_checked_leaves_nothing, with_users),
        RIG_TEST(a_check_that_takes_too_long_ends_like_silence, with_users),
        RIG_TEST(a_stop_while_somebody_is_checked, with_users),
        RIG_TEST(who_waits_to_be_checked_is_half_open, three_half_open),
        RIG_TEST(guessing_gets_0x8a, with_users),
        RIG_TEST(older_clients_that_guess_are_answered_late, with_users),
        RIG_TEST(nobody_takes_anothers_session, with_users),
        RIG_TEST(the_same_user_takes_his_session_over, with_users),
        RIG_TEST(a_session_of_nobody_is_his_while_nobody_is_let_in, with_users_or_nobody),
        RIG_TEST(an_abandoned_session_makes_way_and_that_is_told, with_users_or_nobody),
        RIG_TEST(a_name_is_not_a_prefix, with_users),
        RIG_TEST(a_removed_user_is_out_within_moments, with_users),
        RIG_TEST(a_user_removed_between_connect_and_connack, with_users),
        RIG_TEST(a_damaged_file_changes_nothing, with_users),
        RIG_TEST(an_empty_file_lets_nobody_in_and_nobody_stay, with_users),
        RIG_TEST(a_listener_that_asks_otherwise_is_left_by_those_it_would_not_let_in, with_users_or_nobody),
        RIG_TEST(a_credential_that_runs_out_ends_the_connection, with_users),
    };
    return cmocka_run_group_tests(tests, make_texts, NULL);
}
