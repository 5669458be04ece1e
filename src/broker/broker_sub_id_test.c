/* Subscription identifiers (3.8.2.1.2, 3.3.2.3.8): which ones a message carries, on every way it can take, and that those of
 * the moment it was published survive a stop and a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "support/broker_tests.h"

static const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect leaves = { .client_id = "leaver" };
static const struct peer_connect sender = { .client_id = "sender" };

/* The next packet is this PUBLISH with these identifiers, in any order; `ids` ends with 0. */
static struct packet *expect_ids(struct peer *p, const char *payload, uint8_t qos, const uint32_t *ids)
{
    struct packet *k = peer_expect(p, MQTT_PUBLISH);
    uint32_t id, wanted = 0;
    assert_true(bytes_is(k->payload, payload));
    assert_int_equal(k->qos, qos);
    while (ids[wanted])
        wanted++;
    if (k->props.sub_id_count != wanted)
        fail_msg("%s: %u identifiers instead of %u", payload, k->props.sub_id_count, wanted);
    for (uint32_t i = 0; i < wanted; i++) {
        size_t cursor = 0;
        bool found = false;
        while (mqtt_sub_id(&k->props, &cursor, &id))
            found = found || id == ids[i];
        if (!found)
            fail_msg("%s: identifier %u is missing", payload, ids[i]);
    }
    return k;
}
#define IDS(...) ((const uint32_t[]){ __VA_ARGS__, 0 })
static const uint32_t none[] = { 0 };

static void all_that_match_are_named(struct rig *rig)
{
    const struct peer_connect *const kinds[] = { &keeps, &leaves };
    for (size_t kind = 0; kind < 2; kind++) {
        struct peer *to = peer_connected(rig, 0, kinds[kind], false);
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
        peer_subscribed_as(to, "a/#", 1, 1);
        peer_subscribed_as(to, "+/b", 0, 268435455);
        peer_subscribed_as(to, "a/+", 2, 1); /* the same identifier for two: both are named */
        peer_subscribed(to, "a/b", 1);
        for (uint8_t qos = 0; qos <= 2; qos++) {
            peer_published(from, "a/b", "three", qos, false, 0);
            peer_accepts(to, expect_ids(to, "three", qos, IDS(1, 1, 268435455)));
            peer_published(from, "a/c/d", "one", qos, false, 0);
            peer_accepts(to, expect_ids(to, "one", qos < 1 ? qos : 1, IDS(1)));
        }
        peer_expect_nothing(to);
        peer_close(to);
        peer_close(from);
        rig_run(rig);
    }
}

static void a_new_subscription_replaces_the_identifier(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    peer_subscribed_as(to, "a", 1, 7);
    peer_published(from, "a", "seven", 1, false, 0);
    peer_accepts(to, expect_ids(to, "seven", 1, IDS(7)));
    peer_subscribed_as(to, "a", 1, 8);
    peer_published(from, "a", "eight", 1, false, 0);
    peer_accepts(to, expect_ids(to, "eight", 1, IDS(8)));
    peer_subscribed(to, "a", 1);
    rig_must_agree(rig);
    peer_published(from, "a", "none", 1, false, 0);
    peer_accepts(to, expect_ids(to, "none", 1, none));
    peer_unsubscribe(to, "a");
    (void)peer_expect(to, MQTT_UNSUBACK);
    peer_subscribed_as(to, "+", 1, 9);
    peer_published(from, "a", "nine", 1, false, 0);
    peer_accepts(to, expect_ids(to, "nine", 1, IDS(9)));
}

/* What waits keeps what it was published under, whatever is subscribed later. */
static void they_are_those_of_the_moment(struct rig *rig, enum ending *ending)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    peer_subscribed_as(to, "a/#", 2, 1);
    peer_subscribed_as(to, "a/b", 1, 2);
    peer_disconnect(to, 0);
    rig_run(rig);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    for (int i = 0; i < 3; i++) {
        peer_published(from, "a/b", "both", 1, false, 0);
        peer_published(from, "a/c", "one", 2, false, 0);
    }
    for (int round = 0; round < 2; round++) {
        if (ending)
            rig_restart(rig, *ending);
        rig_must_agree(rig);
        to = peer_connected(rig, shard_of(rig, 2), &keeps, true);
        for (int i = 0; i < 3; i++) {
            struct packet *k = expect_ids(to, "both", 1, IDS(1, 2));
            assert_int_equal(k->dup, round > 0);
            (void)expect_ids(to, "one", 2, IDS(1));
        }
        peer_hang_up(to);
        rig_run(rig);
    }
    to = peer_connected(rig, 0, &keeps, true);
    struct mqtt_filter again = { .filter = BYTES_LIT("a/#"), .qos = 2 };
    (void)peer_subscribe_as(to, &again, 5);
    for (int i = 0; i < 3; i++) {
        peer_ack(to, MQTT_PUBACK, expect_ids(to, "both", 1, IDS(1, 2))->pid, 0);
        peer_ack(to, MQTT_PUBREC, expect_ids(to, "one", 2, IDS(1))->pid, MQTT_UNSPECIFIED);
    }
    (void)peer_expect(to, MQTT_SUBACK);
    assert_int_equal(stats_of(rig).queued_messages, 0);
    from = peer_connected(rig, shard_of(rig, 1), &(struct peer_connect){ .client_id = "another" }, false);
    peer_published(from, "a/b", "now", 1, false, 0);
    (void)expect_ids(to, "now", 1, IDS(5, 2));
}
static void they_survive_a_reconnect(struct rig *rig)
{
    they_are_those_of_the_moment(rig, NULL);
}
static void they_survive_a_stop(struct rig *rig)
{
    they_are_those_of_the_moment(rig, &(enum ending){ ORDERLY });
}
static void they_survive_a_crash(struct rig *rig)
{
    they_are_those_of_the_moment(rig, &(enum ending){ CRASH });
}

static void retained_messages_name_the_subscription_that_asked(struct rig *rig)
{
    const struct peer_connect *const kinds[] = { &keeps, &leaves };
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    peer_published(from, "a/0", "zero", 0, true, 0);
    peer_published(from, "a/1", "one", 1, true, 0);
    for (size_t kind = 0; kind < 2; kind++) {
        struct peer *to = peer_connected(rig, 0, kinds[kind], false);
        struct mqtt_filter filters[] = { { .filter = BYTES_LIT("a/#"), .qos = 1 }, { .filter = BYTES_LIT("+/1"), .qos = 1 } };
        peer_subscribe_as(to, &filters[0], 3);
        peer_subscribe_as(to, &filters[1], 4);
        rig_run(rig);
        rig_must_agree(rig); /* what is owed is in the log with its identifier */
        unsigned seen[5] = { 0 };
        for (struct packet *k; (k = peer_take(to));) {
            if (k->type != MQTT_PUBLISH)
                continue;
            assert_true(k->retain);
            assert_int_equal(k->props.sub_id_count, 1);
            assert_true(k->props.sub_id == 3 || (k->props.sub_id == 4 && bytes_is(k->payload, "one")));
            seen[k->props.sub_id]++;
        }
        assert_int_equal(seen[3], 2);
        assert_int_equal(seen[4], 1);
        peer_close(to);
        rig_run(rig);
    }
}

/* What a session publishes itself matches only those of its subscriptions that do not say no local. */
static void own_messages_name_those_that_want_them(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct mqtt_filter silent = { .filter = BYTES_LIT("a/#"), .qos = 2, .no_local = true };
    peer_subscribe_as(to, &silent, 1);
    (void)peer_expect(to, MQTT_SUBACK);
    peer_subscribed_as(to, "a/b", 1, 2);
    peer_published(from, "a/b", "foreign", 2, false, 0);
    peer_accepts(to, expect_ids(to, "foreign", 2, IDS(1, 2)));
    peer_publish(to, "a/b", "own", 0, false);
    (void)expect_ids(to, "own", 0, IDS(2));
    peer_publish(to, "a/b", "own", 1, false);
    rig_run(rig);
    bool acked = peer_peek(to)->type == MQTT_PUBACK;
    if (acked)
        (void)peer_take(to);
    (void)expect_ids(to, "own", 1, IDS(2));
    if (!acked)
        (void)peer_expect(to, MQTT_PUBACK);
    peer_published(to, "a/c", "nobody", 0, false, 0);
    peer_expect_nothing(to);
}

static void older_clients_are_not_told(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    peer_subscribed_as(to, "a", 1, 7);
    peer_hang_up(to);
    rig_run(rig);
    peer_published(from, "a", "x", 1, false, 0);
    to = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "keeper", .version = MQTT_3_1_1 }, true);
    assert_false(peer_expect_publish(to, "a", "x", 1)->dup);
}

static void zero_and_two_are_protocol_errors(struct rig *rig)
{
    static const struct { uint32_t a, b; } wrong[] = { { 0, 0 }, { 1, 2 } };
    for (size_t i = 0; i < 2; i++) {
        struct peer *p = peer_connected(rig, 0, &leaves, false);
        struct buf props = { 0 }, out = { 0 };
        mqtt_put_varint(&props, MQTT_PROP_SUB_ID, wrong[i].a);
        if (wrong[i].b)
            mqtt_put_varint(&props, MQTT_PROP_SUB_ID, wrong[i].b);
        mqtt_encode_subscribe(&out, MQTT_5, 1, &(struct mqtt_filter){ .filter = BYTES_LIT("a") }, buf_bytes(&props));
        peer_send(p, buf_bytes(&out));
        assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_PROTOCOL_ERROR);
        peer_expect_end(p);
        peer_close(p);
        buf_clear(&props);
        buf_clear(&out);
    }
}

static void long_runs_share_what_they_name(struct rig *rig)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    peer_subscribed_as(to, "a", 1, 100000);
    peer_hang_up(to);
    rig_run(rig);
    for (int i = 0; i < 200; i++)
        peer_published(from, "a", "x", 1, false, 0);
    rig_restart(rig, CRASH);
    to = peer_connected(rig, 0, &keeps, true);
    for (int i = 0; i < 200; i++)
        peer_accepts(to, expect_ids(to, "x", 1, IDS(100000)));
}

/* What the identifiers would make longer than MQTT can say [MQTT-1.5.5] is dropped for that receiver, who stays. */
static void a_message_that_identifiers_make_too_long_is_dropped(struct rig *rig)
{
    enum { LONGEST = 268435455 /* as limits.packet-bytes allows */, HEAD = 1 + 4 + 3 + 1 };
    uint8_t *payload = mem_zalloc(1, LONGEST - HEAD);
    assert_non_null(payload);
    struct peer *to = peer_connected(rig, 0, &leaves, false), *from = peer_connected(rig, 0, &sender, false);
    peer_subscribed_as(to, "a", 0, LONGEST);
    peer_subscribed_as(to, "+", 0, LONGEST);
    peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("a"), .payload = bytes_of(payload, LONGEST - HEAD) });
    rig_run(rig);
    assert_int_equal(stats_of(rig).dropped_too_large, 1);
    peer_ping(to);
    (void)peer_expect(to, MQTT_PINGRESP);
    mem_free(payload);
}

static void longest_packets(struct rig_config *c)
{
    c->limits.packet_bytes = 268435455;
    c->limits.memory_bytes = UINT64_C(1) << 40;
    c->limits.unsent_bytes = UINT64_C(1) << 30;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(all_that_match_are_named, NULL),
        RIG_TEST(a_new_subscription_replaces_the_identifier, NULL),
        RIG_TEST(they_survive_a_reconnect, NULL),
        RIG_TEST(they_survive_a_stop, NULL),
        RIG_TEST(they_survive_a_crash, NULL),
        RIG_TEST(retained_messages_name_the_subscription_that_asked, NULL),
        RIG_TEST(own_messages_name_those_that_want_them, NULL),
        RIG_TEST(older_clients_are_not_told, NULL),
        RIG_TEST(zero_and_two_are_protocol_errors, NULL),
        RIG_TEST(long_runs_share_what_they_name, NULL),
        RIG_TEST(a_message_that_identifiers_make_too_long_is_dropped, longest_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
