/* What one identity may have: sessions, connections (L-SESS, L-CONNS: devices and modules), retained messages (L-RETAIN:
 * everybody who has a name). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/private.h"
#include "support/broker_tests.h"

/* "device:x" as a user name is that device, and so on; without a name: nobody in particular. */
static struct principal *as_named(struct bytes user)
{
    enum principal_kind kind;
    struct bytes id;
    if (!principal_parse(user, &kind, &id))
        return NULL;
    return kind == PRINCIPAL_ANONYMOUS ? principal_anonymous(true) : principal_of_kind(kind, id);
}

static int name_them(void **state)
{
    (void)state;
    broker_test_principal = as_named;
    return 0;
}

static int name_nobody(void **state)
{
    (void)state;
    broker_test_principal = NULL;
    return 0;
}

static void three_each(struct rig_config *c)
{
    c->limits.sessions_per_identity = 3;
    c->limits.connections_per_identity = 2;
    c->limits.retained_per_identity = 3;
}

static struct peer_connect by(const char *who, const char *client_id, uint32_t expiry_s)
{
    return (struct peer_connect){ .user = who, .client_id = client_id, .expiry_s = expiry_s };
}

static struct peer *comes(struct rig *rig, unsigned shard, const char *who, const char *client_id, bool present)
{
    struct peer_connect c = by(who, client_id, 3600);
    return peer_connected(rig, shard_of(rig, shard), &c, present);
}

static void goes(struct rig *rig, struct peer *p)
{
    peer_disconnect(p, 0);
    rig_run(rig);
}

static void refused(struct rig *rig, const char *who, const char *client_id)
{
    struct peer_connect c = by(who, client_id, 3600);
    peer_refused(peer_open(rig, 0), &c, MQTT_QUOTA_EXCEEDED);
    c.version = MQTT_3_1_1;
    peer_refused(peer_open(rig, shard_of(rig, 1)), &c, 3);
}

static void who_has_a_limit(struct rig *rig)
{
    (void)rig;
    static const struct { const char *who; bool sessions, retained; } all[] = {
        { "anonymous", false, false }, { "user:a", false, true }, { "device:a", true, true }, { "module:a/b", true, true },
        { "service:a", false, true }, { "", false, false }, { "nonsense", false, false } };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct bytes who = bytes_str(all[i].who);
        assert_int_equal(owner_counted(who, OWNED_SESSIONS), all[i].sessions);
        assert_int_equal(owner_counted(who, OWNED_CONNECTIONS), all[i].sessions);
        assert_int_equal(owner_counted(who, OWNED_RETAINED), all[i].retained);
    }
}

static void sessions_of_a_device_are_limited(struct rig *rig)
{
    goes(rig, comes(rig, 0, "device:a", "a1", false));
    goes(rig, comes(rig, 1, "device:a", "a2", false));
    goes(rig, comes(rig, 2, "device:a", "a3", false));
    refused(rig, "device:a", "a4");
    goes(rig, comes(rig, 0, "device:a", "a2", true)); /* one it has */
    goes(rig, comes(rig, 0, "device:aa", "b1", false)); /* another's */
    goes(rig, comes(rig, 0, "module:a", "b2", false));
    rig_restart(rig, rig->config.seed % 2 ? CRASH : ORDERLY);
    refused(rig, "device:a", "a4"); /* not forgotten */
    struct peer_connect end = by("device:a", "a1", 0);
    end.clean_start = true;
    goes(rig, peer_connected(rig, 0, &end, false));
    struct peer_connect begin_anew = by("device:a", "a2", 3600);
    begin_anew.clean_start = true; /* in the place of its own */
    goes(rig, peer_connected(rig, 0, &begin_anew, false));
    goes(rig, comes(rig, 0, "device:a", "a4", false));
    refused(rig, "device:a", "a1");
    rig_advance(rig, INT64_C(3700) * 1000000); /* they end, all of them */
    assert_int_equal(rig->broker->owners.by_text.count, 0);
    goes(rig, comes(rig, 0, "device:a", "a9", false));
}

static void a_refusal_says_which_limit(struct rig *rig)
{
    for (int i = 0; i < 2; i++)
        (void)comes(rig, 0, "device:a", i ? "a1" : "a0", false);
    struct peer *p = peer_open(rig, 0);
    struct peer_connect c = by("device:a", "a2", 0);
    peer_connect(p, &c);
    struct packet *k = peer_expect(p, MQTT_CONNACK);
    assert_int_equal(k->reason, MQTT_QUOTA_EXCEEDED);
    assert_true(bytes_is(k->props.reason_string, "this identity has as many connections as limits.connections-per-identity allows"));
}

static void connections_of_a_device_are_limited(struct rig *rig)
{
    struct peer *one = comes(rig, 0, "device:a", "a1", false), *two = comes(rig, 1, "device:a", "a2", false);
    refused(rig, "device:a", "a3");
    (void)comes(rig, 2, "device:b", "b1", false);
    struct peer *again = comes(rig, 2, "device:a", "a1", true); /* in the place of its own */
    rig_run(rig);
    assert_true(peer_ended(one));
    refused(rig, "device:a", "a3");
    peer_close(two);
    rig_run(rig);
    two = comes(rig, 2, "device:a", "a3", false);
    refused(rig, "device:a", "a2");
    goes(rig, again);
    (void)comes(rig, 1, "device:a", "a2", true);
}

static void users_and_nobody_have_no_such_limit(struct rig *rig)
{
    static const char *const whose[] = { "user:u", "anonymous", "service:s" };
    char id[32];
    for (unsigned k = 0; k < 3; k++)
        for (unsigned i = 0; i < 12; i++) {
            (void)snprintf(id, sizeof id, "%u-%u", k, i);
            (void)comes(rig, i, whose[k], id, false);
        }
    assert_int_equal(stats_of(rig).sessions, 36);
    assert_int_equal(rig->broker->owners.by_text.count, 0);
}

/* ---- L-RETAIN ---- */

static void retain(struct peer *p, unsigned n, const char *payload, uint8_t reason)
{
    char topic[16];
    (void)snprintf(topic, sizeof topic, "r/%u", n);
    peer_published(p, topic, payload, 1 + n % 2, true, reason);
}

static void retained_messages_of_an_identity_are_limited(struct rig *rig)
{
    struct peer *a = comes(rig, 0, "user:a", "a", false), *b = comes(rig, 1, "device:b", "b", false);
    struct peer *reader = comes(rig, 0, "user:r", "r", false);
    for (unsigned i = 0; i < 3; i++)
        retain(a, i, "a", 0);
    peer_subscribed(reader, "r/3", 0);
    retain(a, 3, "too many", MQTT_QUOTA_EXCEEDED);
    peer_expect_nothing(reader);
    assert_int_equal(stats_of(rig).refused_full, 1); /* once each */
    retain(a, 2, "replaced", 0);
    for (unsigned i = 3; i < 6; i++)
        retain(b, i, "b", 0);
    retain(b, 0, "b took it", MQTT_QUOTA_EXCEEDED);
    if (rig->config.seed % 2) {
        rig_restart(rig, CRASH);
        a = comes(rig, 0, "user:a", "a", true);
        b = comes(rig, 0, "device:b", "b", true);
    }
    retain(a, 6, "too many", MQTT_QUOTA_EXCEEDED);
    retain(b, 5, "", 0);         /* removed: there is room */
    retain(b, 0, "b took it", 0); /* now it is his, and a has room */
    retain(b, 6, "too many", MQTT_QUOTA_EXCEEDED);
    retain(a, 6, "a", 0);
    retain(a, 7, "too many", MQTT_QUOTA_EXCEEDED);
    assert_int_equal(stats_of(rig).retained, 6);
    for (unsigned i = 0; i < 8; i++)
        retain(a, i, "", 0);
    assert_int_equal(rig->broker->retained.owners.by_text.count, 0);
}

static void nobody_has_no_limit_of_his_own(struct rig *rig)
{
    struct peer *p = comes(rig, 0, "anonymous", "n", false);
    for (unsigned i = 0; i < 9; i++)
        retain(p, i, "n", 0);
    assert_int_equal(stats_of(rig).retained, 9);
}

/* 3.1.1 cannot be told: what is too much is forwarded all the same, and counted. */
static void older_clients_are_forwarded_not_retained(struct rig *rig)
{
    struct peer_connect old = { .user = "user:old", .client_id = "old", .version = MQTT_3_1_1, .clean_start = true };
    struct peer *p = peer_connected(rig, 0, &old, false), *reader = comes(rig, 1, "user:r", "r", false);
    peer_subscribed(reader, "r/#", 0);
    for (unsigned i = 0; i < 5; i++) {
        char topic[16];
        (void)snprintf(topic, sizeof topic, "r/%u", i);
        peer_published(p, topic, "x", 1, true, 0);
        (void)peer_expect_publish(reader, topic, "x", 0);
    }
    struct broker_stats s = stats_of(rig);
    assert_int_equal(s.retained, 3);
    assert_int_equal(s.not_retained, 2);
    assert_int_equal(s.refused_full, 0);
    rig_restart(rig, CRASH);
    assert_int_equal(stats_of(rig).retained, 3);
}

static void short_segments(struct rig_config *c)
{
    three_each(c);
    c->segment_bytes = 64 * 1024;
    c->keep_bytes = 64 * 1024;
}

/* Rounds of state write the owners down, too. */
static void owners_outlast_the_segments_they_came_in(struct rig *rig)
{
    struct peer *a = comes(rig, 0, "user:a", "a", false), *n = comes(rig, 1, "anonymous", "n", false);
    for (unsigned i = 0; i < 3; i++)
        retain(a, i, "a", 0);
    retain(n, 9, "n", 0);
    char telemetry[1500];
    memset(telemetry, 'x', sizeof telemetry - 1);
    telemetry[sizeof telemetry - 1] = 0;
    for (unsigned i = 0; i < 300; i++)
        peer_published(n, "hub/x", telemetry, 1, false, 0);
    rig_restart(rig, CRASH);
    assert_int_equal(stats_of(rig).retained, 4);
    a = comes(rig, 0, "user:a", "a", true);
    retain(a, 3, "too many", MQTT_QUOTA_EXCEEDED);
    retain(a, 9, "too many", MQTT_QUOTA_EXCEEDED); /* nobody's so far */
    retain(a, 0, "", 0);
    retain(a, 9, "a", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(who_has_a_limit, NULL),
        RIG_TEST(sessions_of_a_device_are_limited, three_each),
        RIG_TEST(connections_of_a_device_are_limited, three_each),
        RIG_TEST(a_refusal_says_which_limit, three_each),
        RIG_TEST(users_and_nobody_have_no_such_limit, three_each),
        RIG_TEST(retained_messages_of_an_identity_are_limited, three_each),
        RIG_TEST(nobody_has_no_limit_of_his_own, three_each),
        RIG_TEST(older_clients_are_forwarded_not_retained, three_each),
        RIG_TEST(owners_outlast_the_segments_they_came_in, short_segments),
    };
    return cmocka_run_group_tests(tests, name_them, name_nobody);
}
