/* Sessions through the whole broker: present or not, taken over, expired, over after their time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/broker_tests.h"

static const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect leaves = { .client_id = "leaver" };
static const struct peer_connect old_keeps = { .client_id = "keeper-3", .version = MQTT_3_1_1 };

static void a_session_is_present_when_it_outlived_its_connection(struct rig *rig)
{
    peer_close(peer_connected(rig, 0, &keeps, false));
    peer_close(peer_connected(rig, shard_of(rig, 1), &keeps, true));
    peer_close(peer_connected(rig, 0, &old_keeps, false));
    peer_close(peer_connected(rig, 0, &old_keeps, true));
    peer_close(peer_connected(rig, shard_of(rig, 1), &leaves, false));
    rig_run(rig);
    peer_close(peer_connected(rig, 0, &leaves, false));
}

static void a_clean_start_forgets_the_session(struct rig *rig)
{
    struct peer_connect clean = keeps;
    clean.clean_start = true;
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(p, "a/#", 1);
    peer_close(p);
    rig_run(rig);
    p = peer_connected(rig, 0, &leaves, false);
    peer_published(p, "a/b", "owed to the former session", 1, false, 0);
    peer_close(peer_connected(rig, 0, &clean, false));
    peer_published(p, "a/b", "owed to nobody", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    p = peer_connected(rig, 0, &keeps, true);
    peer_expect_nothing(p);
}

static void an_older_clients_clean_session_ends_with_its_connection(struct rig *rig)
{
    struct peer_connect clean = old_keeps;
    clean.clean_start = true;
    peer_close(peer_connected(rig, 0, &old_keeps, false));
    peer_close(peer_connected(rig, 0, &clean, false));
    rig_run(rig);
    peer_close(peer_connected(rig, 0, &old_keeps, false));
}

static void a_session_survives_stop_and_crash(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(p, "a/+/c", 2);
    for (int i = 0; i < 4; i++) {
        rig_restart(rig, i % 2 ? CRASH : ORDERLY);
        p = peer_connected(rig, shard_of(rig, 1), &leaves, false);
        peer_published(p, "a/b/c", "payload", 2, false, 0);
        p = peer_connected(rig, shard_of(rig, 2), &keeps, true);
        peer_accepts(p, peer_expect_publish(p, "a/b/c", "payload", 2));
        rig_run(rig);
    }
    rig_restart(rig, CRASH);
    p = peer_connected(rig, 0, &leaves, false); /* ended with the process */
}

static void an_unsubscription_survives_a_crash(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(p, "a", 1);
    peer_subscribed(p, "b", 1);
    uint16_t pid = peer_unsubscribe(p, "a");
    assert_int_equal(peer_expect(p, MQTT_UNSUBACK)->pid, pid);
    peer_unsubscribe(p, "a");
    assert_int_equal(peer_expect(p, MQTT_UNSUBACK)->reason, MQTT_NO_SUBSCRIPTION_EXISTED);
    rig_restart(rig, CRASH);
    p = peer_connected(rig, 0, &leaves, false);
    peer_published(p, "a", "1", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    peer_published(p, "b", "2", 1, false, 0);
}

/* ---- takeover ---- */

static void the_former_connection_is_told_before_the_new_one(struct rig *rig)
{
    static const struct peer_connect *const kinds[] = { &keeps, &leaves };
    for (size_t kind = 0; kind < 2; kind++)
        for (unsigned shard = 0; shard < rig->config.shards; shard++) {
            struct peer *a = peer_connected(rig, 0, kinds[kind], kind == 0 && shard > 0);
            struct peer *b = peer_open(rig, shard);
            peer_connect(b, kinds[kind]);
            struct packet *goodbye = peer_expect(a, MQTT_DISCONNECT);
            assert_int_equal(goodbye->reason, MQTT_TAKEN_OVER);
            peer_expect_end(a);
            assert_int_equal(peer_expect(b, MQTT_CONNACK)->session_present, kind == 0);
            peer_disconnect(b, 0);
            rig_run(rig);
        }
    assert_int_equal(stats_of(rig).takeovers, 2 * rig->config.shards);
}

static bool newer_knows, older_knows, older_knew_first;
static struct peer *older, *newer;

static void who_knows(void *ctx, struct rig *rig)
{
    (void)ctx;
    (void)rig;
    if (!older || !newer)
        return;
    older_knows = older_knows || peer_peek(older);
    newer_knows = newer_knows || peer_peek(newer);
    older_knew_first = older_knew_first && (older_knows || !newer_knows);
}

static void no_moment_shows_two_owners(struct rig *rig)
{
    rig->config.look = who_knows;
    sim_split_bytes(rig->sim, false); /* what the network does to bytes on their way is not the broker's */
    for (unsigned i = 0; i < 20; i++) {
        older = newer = NULL;
        older_knows = newer_knows = false;
        older_knew_first = true;
        struct peer *a = peer_connected(rig, shard_of(rig, i), &keeps, i > 0), *b = peer_open(rig, shard_of(rig, i / 3));
        older = a;
        newer = b;
        peer_connect(b, &keeps);
        rig_run(rig);
        assert_true(older_knows && newer_knows && older_knew_first);
        peer_disconnect(b, 0);
        rig_run(rig);
    }
    older = newer = NULL;
}

/* Many claim the same identifier at once: one stays, all others are told, or end before they had an answer. */
static void the_last_of_many_claims_wins(struct rig *rig)
{
    enum { CLAIMS = 12 };
    for (int round = 0; round < 5; round++) {
        struct peer *p[CLAIMS];
        unsigned live = 0;
        for (unsigned i = 0; i < CLAIMS; i++) {
            p[i] = peer_open(rig, shard_of(rig, i));
            peer_connect(p[i], &keeps);
        }
        rig_run(rig);
        for (unsigned i = 0; i < CLAIMS; i++) {
            struct packet *k = peer_take(p[i]);
            assert_true(!k || k->type == MQTT_CONNACK);
            k = k ? peer_take(p[i]) : NULL;
            assert_true(!k || (k->type == MQTT_DISCONNECT && k->reason == MQTT_TAKEN_OVER));
            live += !peer_ended(p[i]);
            assert_false(k && !peer_ended(p[i]));
        }
        assert_int_equal(live, 1);
        for (unsigned i = 0; i < CLAIMS; i++)
            peer_close(p[i]);
        rig_run(rig);
    }
    assert_int_equal(stats_of(rig).clients, 0);
    assert_int_equal(stats_of(rig).sessions, 1);
}

static void nothing_is_lost_or_doubled_by_a_takeover(struct rig *rig)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(to, "a", 2);
    unsigned next = 0; /* number expected */
    for (unsigned i = 0; i < 60; i++) {
        char text[16];
        (void)snprintf(text, sizeof text, "%u", i);
        uint16_t pid = peer_publish(from, "a", text, 2, false);
        if (i % 3 == 0) {
            struct peer *b = peer_open(rig, shard_of(rig, i));
            peer_connect(b, &keeps);
            rig_run(rig);
            peer_close(to); /* with what it had received, unacknowledged or not */
            to = b;
            (void)peer_expect(to, MQTT_CONNACK);
        }
        rig_run(rig);
        assert_int_equal(peer_expect(from, MQTT_PUBREC)->pid, pid);
        peer_ack(from, MQTT_PUBREL, pid, 0);
        (void)peer_expect(from, MQTT_PUBCOMP);
        const struct packet *k = peer_peek(to);
        if (k && i % 4 == 0) { /* take one now and then, to its end */
            k = peer_take(to);
            (void)snprintf(text, sizeof text, "%u", next++);
            assert_int_equal(k->type, MQTT_PUBLISH);
            assert_true(bytes_is(k->payload, text));
            peer_ack(to, MQTT_PUBREC, k->pid, 0);
            rig_run(rig);
        }
        while ((k = peer_peek(to)) && k->type == MQTT_PUBREL)
            peer_ack(to, MQTT_PUBCOMP, peer_take(to)->pid, 0);
    }
    while (next < 60) {
        struct packet *k = peer_take(to);
        if (!k)
            rig_run(rig);
        if (!k)
            k = peer_take(to);
        assert_non_null(k);
        if (k->type == MQTT_PUBREL) {
            peer_ack(to, MQTT_PUBCOMP, k->pid, 0);
            continue;
        }
        char text[16];
        (void)snprintf(text, sizeof text, "%u", next++);
        assert_true(bytes_is(k->payload, text));
        peer_ack(to, MQTT_PUBREC, k->pid, 0);
    }
}

/* ---- time ---- */

static void a_session_expires_after_its_interval_away(struct rig *rig)
{
    struct peer_connect brief = keeps;
    brief.expiry_s = 10;
    struct peer *p = peer_connected(rig, 0, &brief, false);
    peer_subscribed(p, "a", 1);
    rig_advance(rig, 60 * INT64_C(1000000)); /* connected: it does not run */
    peer_close(p);
    rig_advance(rig, 9 * INT64_C(1000000));
    p = peer_connected(rig, 0, &brief, true);
    peer_close(p);
    rig_run(rig);
    rig_advance(rig, 12 * INT64_C(1000000));
    assert_int_equal(stats_of(rig).sessions, 0);
    assert_int_equal(stats_of(rig).subscriptions, 0);
    p = peer_connected(rig, 0, &brief, false);
}

/* The sweep runs once a second; whoever comes before it must not find what is over. */
static void an_expired_session_is_not_present_before_the_sweep(struct rig *rig)
{
    struct peer_connect brief = keeps;
    brief.expiry_s = 1;
    for (int i = 0; i < 10; i++) {
        peer_close(peer_connected(rig, 0, &brief, false));
        rig_run(rig);
        rig_advance(rig, 1010000 + i * 100000);
    }
}

static void expiry_counts_on_while_the_node_is_down(struct rig *rig)
{
    struct peer_connect brief = keeps;
    brief.expiry_s = 100;
    for (int crash = 0; crash < 2; crash++) {
        peer_close(peer_connected(rig, 0, &brief, false));
        rig_run(rig);
        rig_advance(rig, 40 * INT64_C(1000000));
        if (crash)
            rig_abandon(rig);
        else
            rig_close(rig);
        memfs_advance(rig->fs, 40 * INT64_C(1000000));
        rig_must_open(rig);
        peer_close(peer_connected(rig, 0, &brief, true));
        rig_run(rig);
        rig_advance(rig, 40 * INT64_C(1000000));
        rig_abandon(rig);
        memfs_advance(rig->fs, 70 * INT64_C(1000000));
        rig_must_open(rig);
        struct peer *p = peer_connected(rig, 0, &brief, false); /* 110 s away */
        peer_disconnect(p, 0);
        rig_advance(rig, 102 * INT64_C(1000000));
        assert_int_equal(stats_of(rig).sessions, 0);
    }
}

static void a_clock_that_jumps_expires_nothing(struct rig *rig)
{
    peer_close(peer_connected(rig, 0, &keeps, false));
    rig_run(rig);
    rig_jump(rig, 1000000);                           /* 1970 */
    rig_advance(rig, 5000000);
    peer_close(peer_connected(rig, 0, &keeps, true));
    rig_run(rig);
    rig_jump(rig, INT64_C(4000000000) * 1000000); /* 2096 */
    rig_advance(rig, 5000000);
    peer_close(peer_connected(rig, 0, &keeps, true));
    rig_run(rig);
    rig_abandon(rig);
    memfs_set_wall(rig->fs, 1000000);
    rig_must_open(rig); /* started before it had stopped: nothing is known, nothing expires */
    peer_close(peer_connected(rig, 0, &keeps, true));
}

static struct buf expires_after(uint32_t seconds)
{
    struct buf props = { 0 };
    mqtt_put_u32(&props, MQTT_PROP_MESSAGE_EXPIRY, seconds);
    return props;
}

/* The clock says `wall_us` when a session goes, and a minute later what time it is; then the node starts anew. */
static void set_right(struct rig *rig, int64_t wall_us, bool crash)
{
    struct peer_connect brief = keeps;
    struct buf longer = expires_after(300), soon = expires_after(100);
    brief.expiry_s = 600;
    rig_jump(rig, wall_us);
    rig_advance(rig, 5000000);
    struct peer *p = peer_connected(rig, 0, &brief, false), *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(p, "a", 1);
    peer_disconnect(p, 0);
    rig_run(rig);
    struct peer_publish m = { .topic = BYTES_LIT("a"), .qos = 1, .payload = BYTES_LIT("x"), .props = buf_bytes(&longer) };
    peer_publish_full(from, &m);
    (void)peer_expect(from, MQTT_PUBACK);
    m.props = buf_bytes(&soon);
    peer_publish_full(from, &m);
    (void)peer_expect(from, MQTT_PUBACK);
    peer_disconnect(from, 0);
    rig_advance(rig, 50000000);
    rig_jump(rig, INT64_C(1790000000000000));
    rig_advance(rig, 70000000);
    if (crash)
        rig_abandon(rig);
    else
        rig_close(rig);
    rig_must_open(rig);
    rig_advance(rig, 1000000);
    p = peer_connected(rig, 0, &brief, true);
    struct packet *k = peer_expect_publish(p, "a", "x", 1);
    assert_in_range(k->props.message_expiry_s, 177, 181);
    peer_accepts(p, k);
    peer_expect_nothing(p);
    peer_disconnect(p, 0);
    rig_advance(rig, 598000000);
    assert_int_equal(stats_of(rig).sessions, 1);
    rig_advance(rig, 4000000);
    assert_int_equal(stats_of(rig).sessions, 0);
    buf_clear(&longer);
    buf_clear(&soon);
}

/* A gateway without a battery for its clock boots in 1970, and hears later what time it is; another's clock is an hour wrong.
 * That ends no session nor what waits in it, and makes neither live longer. */
static void a_clock_that_is_set_right_loses_nothing(struct rig *rig)
{
    static const int64_t seconds[] = { 100, 1789996400, 1790003600 };
    for (unsigned i = 0; i < 6; i++)
        set_right(rig, seconds[i / 2] * 1000000, i % 2);
}

static void disconnect_may_change_the_expiry(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    struct buf out = { 0 }, props = { 0 };
    mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, 0);
    mqtt_encode_disconnect(&out, MQTT_5, 0, buf_bytes(&props));
    peer_send(p, buf_bytes(&out));
    rig_run(rig);
    assert_int_equal(stats_of(rig).sessions, 0);
    p = peer_connected(rig, 0, &keeps, false);
    buf_reset(&props);
    buf_reset(&out);
    mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, 5);
    mqtt_encode_disconnect(&out, MQTT_5, 0, buf_bytes(&props));
    peer_send(p, buf_bytes(&out));
    rig_advance(rig, 3000000);
    assert_int_equal(stats_of(rig).sessions, 1);
    rig_advance(rig, 4000000);
    assert_int_equal(stats_of(rig).sessions, 0);
    /* 3.14.2.2.2: none at CONNECT, none later. */
    p = peer_connected(rig, 0, &leaves, false);
    peer_send(p, buf_bytes(&out));
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_PROTOCOL_ERROR);
    peer_expect_end(p);
    buf_clear(&out);
    buf_clear(&props);
}

static void an_expiry_above_the_limit_is_cut_and_told(struct rig *rig)
{
    struct peer_connect for_ever = keeps;
    for_ever.expiry_s = UINT32_MAX;
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &for_ever);
    struct packet *k = peer_expect(p, MQTT_CONNACK);
    assert_true(mqtt_props_has(&k->props, MQTT_PROP_SESSION_EXPIRY));
    assert_int_equal(k->props.session_expiry_s, 1000);
}

static void short_expiry(struct rig_config *c)
{
    c->limits.session_expiry_s = 1000;
}

static void no_more_sessions_than_allowed(struct rig *rig)
{
    struct peer_connect c = keeps;
    char id[16];
    for (int i = 0; i < 3; i++) {
        (void)snprintf(id, sizeof id, "s%d", i);
        c.client_id = id;
        peer_close(peer_connected(rig, 0, &c, false));
    }
    rig_run(rig);
    struct peer *p = peer_open(rig, 0);
    c.client_id = "one too many";
    peer_connect(p, &c);
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_QUOTA_EXCEEDED);
    peer_expect_end(p);
    c.client_id = id;
    peer_close(peer_connected(rig, 0, &c, true));
}

static void three_sessions(struct rig_config *c)
{
    c->limits.sessions = 3;
}

static void a_client_without_a_name_gets_one(struct rig *rig)
{
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &(struct peer_connect){ .client_id = "", .expiry_s = 100 });
    struct packet *k = peer_expect(p, MQTT_CONNACK);
    assert_true(mqtt_props_has(&k->props, MQTT_PROP_ASSIGNED_CLIENT_ID));
    char id[64];
    (void)snprintf(id, sizeof id, "%.*s", BYTES_FMT(k->props.assigned_client_id));
    peer_close(p);
    peer_close(peer_connected(rig, 0, &(struct peer_connect){ .client_id = id, .expiry_s = 100 }, true));
    /* 3.1.1, 3.1.3.1: only with clean session. */
    p = peer_open(rig, 0);
    peer_connect(p, &(struct peer_connect){ .client_id = "", .version = MQTT_3_1_1 });
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, 2);
    peer_expect_end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_session_is_present_when_it_outlived_its_connection, NULL),
        RIG_TEST(a_clean_start_forgets_the_session, NULL),
        RIG_TEST(an_older_clients_clean_session_ends_with_its_connection, NULL),
        RIG_TEST(a_session_survives_stop_and_crash, NULL),
        RIG_TEST(an_unsubscription_survives_a_crash, NULL),
        RIG_TEST(the_former_connection_is_told_before_the_new_one, NULL),
        RIG_TEST(no_moment_shows_two_owners, NULL),
        RIG_TEST(the_last_of_many_claims_wins, NULL),
        RIG_TEST(nothing_is_lost_or_doubled_by_a_takeover, NULL),
        RIG_TEST(a_session_expires_after_its_interval_away, NULL),
        RIG_TEST(an_expired_session_is_not_present_before_the_sweep, NULL),
        RIG_TEST(expiry_counts_on_while_the_node_is_down, NULL),
        RIG_TEST(a_clock_that_jumps_expires_nothing, NULL),
        RIG_TEST(a_clock_that_is_set_right_loses_nothing, NULL),
        RIG_TEST(disconnect_may_change_the_expiry, NULL),
        RIG_TEST(an_expiry_above_the_limit_is_cut_and_told, short_expiry),
        RIG_TEST(no_more_sessions_than_allowed, three_sessions),
        RIG_TEST(a_client_without_a_name_gets_one, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
