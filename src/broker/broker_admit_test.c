/* Who is let in, through the whole broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/private.h"
#include "support/broker_tests.h"

static const struct peer_connect one = { .client_id = "one" }, two = { .client_id = "two" };

static void four_strangers(struct rig_config *config)
{
    config->limits.half_open = 3;
    config->shards = 1;
}

static void the_oldest_stranger_makes_room(struct rig *rig)
{
    struct peer *known = peer_connected(rig, 0, &one, false), *p[4];
    for (int i = 0; i < 4; i++) {
        p[i] = peer_open(rig, 0);
        rig_run(rig);
    }
    assert_true(peer_ended(p[0]));
    assert_int_equal(stats_of(rig).strangers_room, 1);
    for (int i = 1; i < 4; i++)
        assert_false(peer_ended(p[i]));
    assert_false(peer_ended(known));
    peer_connect(p[3], &two); /* the newest is served */
    assert_int_equal(peer_expect(p[3], MQTT_CONNACK)->reason, 0);
    peer_close(p[1]);
    rig_run(rig);
    assert_int_equal(rig->broker->admit.half_open, 1);
    struct peer *q = peer_open(rig, 0); /* there is room again */
    rig_run(rig);
    assert_false(peer_ended(q));
    assert_false(peer_ended(p[2]));
    rig_advance(rig, 11000000);
    assert_true(peer_ended(q) && peer_ended(p[2]));
    assert_int_equal(stats_of(rig).strangers_late, 2);
    assert_int_equal(stats_of(rig).strangers_room, 1);
}

static void a_node_short_of_memory_lets_nobody_in_and_loses_nothing(struct rig *rig)
{
    struct peer *sub = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "sub", .expiry_s = 100 }, false);
    struct peer *pub = peer_connected(rig, shard_of(rig, 1), &one, false);
    peer_subscribed(sub, "a", 1);
    atomic_store(&rig->broker->admit.over_memory, true);
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &two);
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_SERVER_BUSY);
    peer_expect_end(p);
    struct peer_connect older = two;
    older.version = MQTT_3_1_1;
    peer_refused(peer_open(rig, shard_of(rig, 1)), &older, 3);
    peer_publish(pub, "a", "1", 1, false); /* this one is in; then the publisher waits */
    rig_run(rig);
    peer_publish(pub, "a", "2", 1, false);
    rig_run(rig);
    peer_accepts(sub, peer_expect_publish(sub, "a", "1", 1));
    peer_expect_nothing(sub);
    atomic_store(&rig->broker->admit.over_memory, false);
    rig_advance(rig, 1100000);
    peer_accepts(sub, peer_expect_publish(sub, "a", "2", 1));
    peer_close(peer_connected(rig, 0, &two, false));
}

/* Of a packet that is being received nobody knows how much of it will come: it is not kept while memory is short. */
static void a_node_short_of_memory_reads_no_more_of_a_large_packet(struct rig *rig)
{
    static uint8_t packet[3 + 6 + 5000] = { 0x32, 0x8e, 0x27, 0, 1, 'a', 0, 7 }; /* PUBLISH, QoS 1, 5006 bytes */
    struct peer *sub = peer_connected(rig, 0, &one, false), *pub = peer_connected(rig, shard_of(rig, 1), &two, false);
    peer_subscribed(sub, "a", 1);
    atomic_store(&rig->broker->admit.over_memory, true);
    peer_send(pub, bytes_of(packet, 2000));
    rig_run(rig);
    peer_send(pub, bytes_of(packet + 2000, sizeof packet - 2000));
    peer_expect_nothing(pub);
    peer_ping(sub); /* what is small is heard */
    (void)peer_expect(sub, MQTT_PINGRESP);
    peer_expect_nothing(sub);
    atomic_store(&rig->broker->admit.over_memory, false);
    rig_advance(rig, 1100000);
    assert_int_equal(peer_expect(pub, MQTT_PUBACK)->pid, 7);
    assert_int_equal(peer_expect(sub, MQTT_PUBLISH)->payload.len, 5000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(the_oldest_stranger_makes_room, four_strangers),
        RIG_TEST(a_node_short_of_memory_lets_nobody_in_and_loses_nothing, NULL),
        RIG_TEST(a_node_short_of_memory_reads_no_more_of_a_large_packet, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
