/* Topic aliases through the broker, both ways (3.3.2.3.4). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/broker_tests.h"

static const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect sender = { .client_id = "sender" };

static void publish_alias(struct peer *p, const char *topic, const char *payload, uint8_t qos, uint16_t alias)
{
    struct buf props = { 0 };
    mqtt_put_u16(&props, MQTT_PROP_TOPIC_ALIAS, alias);
    peer_publish_full(p, &(struct peer_publish){ .topic = bytes_str(topic), .payload = bytes_str(payload), .qos = qos,
                                                 .props = buf_bytes(&props) });
    buf_clear(&props);
}

static void clients_may_use_them(struct rig *rig)
{
    struct peer *to = peer_connected(rig, shard_of(rig, 1), &keeps, false);
    peer_subscribed(to, "#", 2);
    struct peer *from = peer_open(rig, 0);
    peer_connect(from, &sender);
    assert_int_equal(peer_expect(from, MQTT_CONNACK)->props.topic_alias_max, 64);
    for (uint8_t qos = 0; qos <= 2; qos++) {
        publish_alias(from, "factory/a", "set", qos, 64);
        peer_accepts(to, peer_expect_publish(to, "factory/a", "set", qos));
        publish_alias(from, "", "used", qos, 64);
        struct packet *k = peer_expect_publish(to, "factory/a", "used", qos);
        assert_false(mqtt_props_has(&k->props, MQTT_PROP_TOPIC_ALIAS)); /* it was for us */
        peer_accepts(to, k);
        publish_alias(from, "factory/b", "other", qos, 64);
        peer_accepts(to, peer_expect_publish(to, "factory/b", "other", qos));
        publish_alias(from, "", "again", qos, 64);
        peer_accepts(to, peer_expect_publish(to, "factory/b", "again", qos));
    }
}

static void wrong_ones_end_the_connection(struct rig *rig)
{
    static const struct { uint16_t alias; const char *topic; uint8_t reason; } cases[] = {
        { 0, "a", MQTT_TOPIC_ALIAS_INVALID }, { 65, "a", MQTT_TOPIC_ALIAS_INVALID }, { 65535, "", MQTT_TOPIC_ALIAS_INVALID },
        { 3, "", MQTT_PROTOCOL_ERROR } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (uint8_t qos = 0; qos <= 2; qos++) {
            struct peer *p = peer_connected(rig, 0, &sender, false);
            publish_alias(p, "a", "x", 0, 1);
            publish_alias(p, cases[i].topic, "x", qos, cases[i].alias);
            assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, cases[i].reason);
            peer_expect_end(p);
            peer_close(p);
        }
}

static void they_die_with_the_connection(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    publish_alias(p, "factory/a", "x", 0, 1);
    peer_hang_up(p);
    rig_run(rig);
    p = peer_connected(rig, 0, &keeps, true);
    publish_alias(p, "", "x", 0, 1);
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_PROTOCOL_ERROR);
}

static void no_aliases(struct rig_config *config)
{
    config->limits.topic_aliases = 0;
}
static void they_can_be_switched_off(struct rig *rig)
{
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &sender);
    assert_false(mqtt_props_has(&peer_expect(p, MQTT_CONNACK)->props, MQTT_PROP_TOPIC_ALIAS_MAX));
    publish_alias(p, "factory/a", "x", 0, 1);
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_TOPIC_ALIAS_INVALID);
}

/* What the peer knows: topics by alias. */
struct known {
    char     topic[65][32];
    unsigned left_out, max;
};

static void learn(struct known *k, const struct packet *p, const char *topic)
{
    uint16_t alias = p->props.topic_alias;
    if (mqtt_props_has(&p->props, MQTT_PROP_TOPIC_ALIAS)) {
        assert_true(alias >= 1 && alias <= k->max);
        if (p->topic.len)
            (void)snprintf(k->topic[alias], sizeof k->topic[alias], "%.*s", BYTES_FMT(p->topic));
        k->left_out += p->topic.len == 0;
        assert_string_equal(k->topic[alias], topic);
    } else {
        assert_true(bytes_is(p->topic, topic));
    }
}

static void they_are_used_where_the_client_takes_them(struct rig *rig)
{
    for (uint16_t max = 0; max <= 5; max += 5) {
        struct peer_connect c = { .client_id = "keeper", .expiry_s = 3600, .alias_max = max };
        struct peer *to = peer_connected(rig, shard_of(rig, 1), &c, max > 0);
        struct peer *from = peer_connected(rig, 0, &sender, false);
        struct known known = { .max = max };
        peer_subscribed(to, "factory/#", 2);
        for (unsigned i = 0; i < 60; i++) {
            char topic[32];
            (void)snprintf(topic, sizeof topic, "factory/line/%u", i % 4);
            peer_published(from, topic, "x", (uint8_t)(i / 4 % 3), false, 0);
            struct packet *k = peer_expect(to, MQTT_PUBLISH);
            learn(&known, k, topic);
            peer_accepts(to, k);
        }
        assert_true(max ? known.left_out > 5 : known.left_out == 0);
        peer_close(to);
        peer_close(from);
        rig_run(rig);
    }
}

/* What comes again on the next connection comes with its whole topic. */
static void what_is_sent_again_is_whole(struct rig *rig)
{
    struct peer_connect c = { .client_id = "keeper", .expiry_s = 3600, .alias_max = 5 };
    struct peer *to = peer_connected(rig, 0, &c, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    peer_subscribed(to, "factory/#", 2);
    for (int i = 0; i < 4; i++)
        peer_published(from, "factory/line", "x", (uint8_t)(1 + i % 2), false, 0);
    for (int round = 0; round < 3; round++) {
        struct known known = { .max = 5 };
        for (int i = 0; i < 4; i++)
            learn(&known, peer_expect(to, MQTT_PUBLISH), "factory/line");
        assert_int_equal(known.left_out, 3); /* the first of a connection names the topic */
        peer_hang_up(to);
        rig_run(rig);
        if (round == 1)
            rig_restart(rig, CRASH);
        to = peer_connected(rig, 0, &c, true);
    }
}

static void the_largest_packet_is_kept_to(struct rig *rig)
{
    struct peer_connect c = { .client_id = "keeper", .expiry_s = 3600, .alias_max = 5, .max_packet = 60 };
    struct peer *to = peer_connected(rig, 0, &c, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    char payload[64] = "";
    struct known known = { .max = 5 };
    peer_subscribed(to, "factory/#", 1);
    for (unsigned n = 0; n < 50; n++) { /* 19 bytes of head: packets of up to 60 and beyond */
        memset(payload, 'x', n);
        peer_published(from, "factory/line", payload, 1, false, 0);
        bool fits = 2 + 2 + 12 + 2 + 1 + n <= 60;
        rig_run(rig);
        struct packet *k = peer_take(to);
        if (fits && !k)
            fail_msg("%u bytes did not come", n);
        if (!k)
            continue;
        size_t size = mqtt_publish_size(MQTT_5, 1, k->topic.len, k->props.raw.len, k->payload.len);
        assert_true(size <= 60);
        learn(&known, k, "factory/line");
        peer_ack(to, MQTT_PUBACK, k->pid, 0);
    }
    assert_true(known.left_out > 10);
}

/* Each connection's own maximum holds for it, and what was given with another one is forgotten. */
static void each_connection_has_its_own_maximum(struct rig *rig)
{
    static const uint16_t maxima[] = { 5, 1, 0, 65535, 2, 64 };
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    for (size_t n = 0; n < sizeof maxima / sizeof maxima[0]; n++) {
        struct peer_connect c = { .client_id = "keeper", .expiry_s = 3600, .alias_max = maxima[n] };
        struct known known = { .max = maxima[n] < 64 ? maxima[n] : 64 };
        struct peer *to = peer_connected(rig, shard_of(rig, (unsigned)n), &c, n > 0);
        if (n == 0)
            peer_subscribed(to, "factory/#", 1);
        for (unsigned i = 0; i < 40; i++) {
            char topic[32];
            (void)snprintf(topic, sizeof topic, "factory/line/%u", i / 2 % 8);
            peer_published(from, topic, "x", i % 2, false, 0);
            struct packet *k = peer_expect(to, MQTT_PUBLISH);
            learn(&known, k, topic);
            peer_accepts(to, k);
        }
        assert_true((known.left_out > 0) == (maxima[n] > 0));
        peer_hang_up(to);
        rig_run(rig);
    }
}

static void all_aliases(struct rig_config *config)
{
    config->limits.topic_aliases = 65535;
}
static void the_largest_number_is_one_too(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(to, "#", 0);
    struct peer *from = peer_open(rig, shard_of(rig, 1));
    peer_connect(from, &sender);
    assert_int_equal(peer_expect(from, MQTT_CONNACK)->props.topic_alias_max, 65535);
    static const uint16_t numbers[] = { 65535, 1, 32768, 65534 };
    char topic[32];
    for (size_t i = 0; i < 2 * sizeof numbers / sizeof numbers[0]; i++) {
        uint16_t alias = numbers[i % 4];
        (void)snprintf(topic, sizeof topic, "factory/%u", alias);
        publish_alias(from, i < 4 ? topic : "", "x", 0, alias);
        (void)peer_expect_publish(to, topic, "x", 0);
    }
    publish_alias(from, "", "x", 0, 2);
    assert_int_equal(peer_expect(from, MQTT_DISCONNECT)->reason, MQTT_PROTOCOL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(clients_may_use_them, NULL),
        RIG_TEST(wrong_ones_end_the_connection, NULL),
        RIG_TEST(they_die_with_the_connection, NULL),
        RIG_TEST(they_can_be_switched_off, no_aliases),
        RIG_TEST(they_are_used_where_the_client_takes_them, NULL),
        RIG_TEST(what_is_sent_again_is_whole, NULL),
        RIG_TEST(the_largest_packet_is_kept_to, NULL),
        RIG_TEST(each_connection_has_its_own_maximum, NULL),
        RIG_TEST(the_largest_number_is_one_too, all_aliases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
