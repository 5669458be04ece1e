/* $SYS, response information, and what clients are told when something is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/broker_tests.h"

static const struct peer_connect watcher = { .client_id = "watcher" };
static const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect older = { .client_id = "older", .version = MQTT_3_1_1, .clean_start = true };

static void every_10_s(struct rig_config *config)
{
    config->sys_interval_s = 10;
}

/* The number under $SYS/broker/NAME among what has come, or -1. Takes everything. */
static long value_of(struct peer *p, const char *name, bool retain)
{
    char topic[80], text[32];
    long found = -1;
    (void)snprintf(topic, sizeof topic, "$SYS/broker/%s", name);
    rig_run(p->rig);
    for (struct packet *k; (k = peer_take(p));)
        if (k->type == MQTT_PUBLISH && bytes_is(k->topic, topic)) {
            (void)snprintf(text, sizeof text, "%.*s", BYTES_FMT(k->payload));
            found = strtol(text, NULL, 10);
            assert_int_equal(k->retain, retain);
            assert_int_equal(k->qos, 0);
        }
    return found;
}

static long ask(struct peer *p, const char *name)
{
    char topic[80];
    (void)snprintf(topic, sizeof topic, "$SYS/broker/%s", name);
    peer_subscribe(p, topic, 2);
    return value_of(p, name, true);
}

static void a_new_subscription_gets_what_is_now(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &watcher, false);
    peer_close(peer_connected(rig, shard_of(rig, 1), &keeps, false));
    rig_run(rig);
    struct peer *other = peer_connected(rig, shard_of(rig, 2), &older, false);
    peer_subscribed(other, "a", 1);
    peer_subscribed(other, "$share/g/a", 1);
    peer_published(other, "b", "x", 1, true, 0);
    assert_int_equal(ask(p, "clients/connected"), 2);
    assert_int_equal(ask(p, "clients/disconnected"), 1);
    assert_int_equal(ask(p, "clients/total"), 3);
    assert_int_equal(ask(p, "subscriptions/count"), 2 + 4);
    assert_int_equal(ask(p, "shared_subscriptions/count"), 1);
    assert_int_equal(ask(p, "retained messages/count"), 1);
    assert_int_equal(ask(p, "publish/messages/received"), 1);
    assert_true(ask(p, "messages/received") > 10);
    assert_true(ask(p, "messages/sent") > 10);
    assert_true(ask(p, "bytes/received") > 50);
    assert_true(ask(p, "heap/current") >= 0);
    rig_advance(rig, 3000000);
    assert_int_equal(ask(p, "uptime"), 3);
    struct mqtt_filter all = { .filter = BYTES_LIT("$SYS/#"), .qos = 1 };
    peer_subscribe_as(p, &all, 77);
    rig_run(rig);
    unsigned n = 0;
    for (struct packet *k; (k = peer_take(p));)
        if (k->type == MQTT_PUBLISH) {
            assert_int_equal(k->props.sub_id, 77);
            n++;
        }
    assert_true(n > 40);
    all.retain_handling = 2; /* 3.8.3.1 */
    peer_subscribe_as(p, &all, 77);
    assert_int_equal(peer_expect(p, MQTT_SUBACK)->reason, 1);
    peer_expect_nothing(p);
}

static void what_changes_is_published(struct rig *rig)
{
    struct peer *p = peer_connected(rig, shard_of(rig, 1), &watcher, false);
    peer_subscribe(p, "$SYS/broker/clients/connected", 0);
    peer_subscribe(p, "$SYS/broker/subscriptions/count", 0);
    rig_advance(rig, 21000000);
    while (peer_take(p))
        ;
    rig_advance(rig, 30000000);
    peer_expect_nothing(p); /* nothing did */
    struct peer *other = peer_connected(rig, 0, &keeps, false);
    rig_advance(rig, 11000000);
    assert_int_equal(value_of(p, "clients/connected", false), 2);
    peer_hang_up(other);
    rig_advance(rig, 11000000);
    assert_int_equal(value_of(p, "clients/connected", false), 1);
}

static void loads_follow(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &watcher, false);
    for (unsigned s = 0; s < 120; s++) {
        for (unsigned i = 0; i < 10; i++)
            peer_publish(p, "x", "y", 0, false);
        rig_advance(rig, 1000000);
    }
    long one = ask(p, "load/publish/received/1min"), five = ask(p, "load/publish/received/5min"),
         fifteen = ask(p, "load/publish/received/15min");
    assert_true(one > 450 && one <= 600); /* 600 a minute, for two minutes */
    assert_true(five > 150 && five < one);
    assert_true(fifteen > 50 && fifteen < five);
    rig_advance(rig, 600000000);
    while (peer_take(p))
        ;
    assert_int_equal(ask(p, "load/publish/received/1min"), 0);
}

static void wildcards_at_the_beginning_do_not_match(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &watcher, false);
    struct peer *k = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(p, "#", 0);
    peer_subscribed(p, "+/broker/#", 0);
    peer_subscribe(k, "$SYS/#", 1);
    rig_run(rig);
    peer_hang_up(k);
    rig_advance(rig, 25000000);
    peer_expect_nothing(p);
    assert_int_equal(stats_of(rig).queued_messages, 0); /* QoS 0: nothing waits for those who are away */
}

static void clients_may_not_speak_there(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(to, "$SYS/x/#", 2);
    const struct peer_connect *const kinds[] = { &watcher, &older };
    for (size_t i = 0; i < 2; i++) {
        struct peer *p = peer_connected(rig, shard_of(rig, 1), kinds[i], false);
        uint8_t refused = i == 0 ? MQTT_NOT_AUTHORIZED : 0;
        peer_publish(p, "$SYS/x", "x", 0, true);
        peer_publish(p, "$SYSTEM", "x", 1, false); /* another name */
        peer_publish(p, "$SYS/x/y", "x", 1, true);
        peer_publish(p, "$SYS/x", "x", 2, false);
        assert_int_equal(peer_expect(p, MQTT_PUBACK)->reason, i == 0 ? MQTT_NO_MATCHING_SUBSCRIBERS : 0);
        struct packet *k = peer_expect(p, MQTT_PUBACK);
        assert_int_equal(k->reason, refused);
        assert_int_equal(k->props.reason_string.len > 0, i == 0);
        k = peer_expect(p, MQTT_PUBREC);
        assert_int_equal(k->reason, refused);
        if (i == 1) {
            peer_ack(p, MQTT_PUBREL, k->pid, 0);
            (void)peer_expect(p, MQTT_PUBCOMP);
        }
        peer_expect_nothing(p);
        peer_close(p);
    }
    peer_expect_nothing(to);
    assert_int_equal(stats_of(rig).denied_publishes, 6);
    assert_int_equal(stats_of(rig).retained, 0);
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &(struct peer_connect){ .client_id = "will", .will_topic = "$SYS/x/y", .will_payload = "x" });
    assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, MQTT_NOT_AUTHORIZED);
}

/* So much that a burst of refusals would pass the receive maximum if they were not settled. */
static void refusals_make_room(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &watcher, false);
    for (unsigned i = 0; i < 300; i++)
        peer_published(p, "$SYS/x", "x", 1 + i % 2, false, MQTT_NOT_AUTHORIZED);
}

static void it_can_be_switched_off(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &watcher, false);
    peer_subscribed(p, "$SYS/#", 0); /* SUBACK is all that comes */
    rig_advance(rig, 25000000);
    peer_expect_nothing(p);
}

/* ---- response information (3.1.2.11.6) ---- */

static void with_response_topics(struct rig_config *config)
{
    config->response_topics = "answers/plant";
}

static struct packet *connack_for(struct peer *p, const char *id, int asks)
{
    struct buf out = { 0 }, props = { 0 };
    if (asks >= 0)
        mqtt_put_u8(&props, MQTT_PROP_REQUEST_RESPONSE, (uint8_t)asks);
    struct mqtt_connect_out c = { .version = MQTT_5, .client_id = bytes_str(id), .props = buf_bytes(&props) };
    mqtt_encode_connect(&out, &c);
    peer_send(p, buf_bytes(&out));
    buf_clear(&out);
    buf_clear(&props);
    struct packet *k = peer_expect(p, MQTT_CONNACK);
    assert_int_equal(k->reason, 0);
    return k;
}

static void who_asks_is_told_where_to_await_answers(struct rig *rig)
{
    struct peer *p = peer_open(rig, 0);
    assert_true(bytes_is(connack_for(p, "press-1", 1)->props.response_info, "answers/plant/press-1"));
    peer_close(p);
    p = peer_open(rig, 0);
    assert_int_equal(connack_for(p, "press-2", 0)->props.response_info.len, 0); /* [MQTT-3.1.2-28] */
    p = peer_open(rig, 0);
    assert_int_equal(connack_for(p, "press-3", -1)->props.response_info.len, 0);
    p = peer_open(rig, 0);
    assert_int_equal(connack_for(p, "press/#", 1)->props.response_info.len, 0); /* would make no topic */
}

static void without_the_setting_nobody_is_told(struct rig *rig)
{
    struct peer *p = peer_open(rig, 0);
    assert_false(mqtt_props_has(&connack_for(p, "press-1", 1)->props, MQTT_PROP_RESPONSE_INFO));
}

/* ---- reason strings ---- */

static void problems_are_told_to_those_who_want_to_know(struct rig *rig)
{
    for (int kind = 0; kind < 3; kind++) { /* wants it, does not, takes only short packets */
        struct peer *p = peer_open(rig, 0);
        struct buf out = { 0 }, props = { 0 };
        if (kind == 1)
            mqtt_put_u8(&props, MQTT_PROP_REQUEST_PROBLEM, 0);
        if (kind == 2)
            mqtt_put_u32(&props, MQTT_PROP_MAX_PACKET, 40);
        struct mqtt_connect_out c = { .version = MQTT_5, .client_id = BYTES_LIT("p"), .props = buf_bytes(&props) };
        mqtt_encode_connect(&out, &c);
        peer_send(p, buf_bytes(&out));
        assert_int_equal(peer_expect(p, MQTT_CONNACK)->reason, 0);
        peer_publish(p, "$SYS/x", "x", 1, false);
        assert_int_equal(peer_expect(p, MQTT_PUBACK)->props.reason_string.len > 0, kind == 0);
        peer_publish(p, "$SYS/x", "x", 2, false);
        assert_int_equal(peer_expect(p, MQTT_PUBREC)->props.reason_string.len > 0, kind == 0);
        peer_ack(p, MQTT_PUBREL, 9999, 0);
        struct packet *k = peer_expect(p, MQTT_PUBCOMP);
        assert_int_equal(k->reason, MQTT_PACKET_ID_NOT_FOUND);
        assert_int_equal(k->props.reason_string.len > 0, kind == 0);
        peer_ack(p, MQTT_PUBREC, 9999, 0);
        k = peer_expect(p, MQTT_PUBREL);
        assert_int_equal(k->reason, MQTT_PACKET_ID_NOT_FOUND);
        assert_int_equal(k->props.reason_string.len > 0, kind == 0);
        struct mqtt_filter second = { .filter = BYTES_LIT("a#"), .qos = 1 };
        struct mqtt_filter first = { .filter = BYTES_LIT("good"), .qos = 1, .next = &second };
        peer_subscribe_full(p, &first);
        k = peer_expect(p, MQTT_SUBACK);
        assert_int_equal(k->reasons.at[1], MQTT_FILTER_INVALID);
        assert_int_equal(k->props.reason_string.len > 0, kind == 0);
        peer_unsubscribe(p, "never");
        k = peer_expect(p, MQTT_UNSUBACK);
        assert_int_equal(k->reason, MQTT_NO_SUBSCRIPTION_EXISTED);
        assert_int_equal(k->props.reason_string.len, 0); /* that is no refusal */
        peer_close(p);
        rig_run(rig);
        buf_clear(&out);
        buf_clear(&props);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_new_subscription_gets_what_is_now, every_10_s),
        RIG_TEST(what_changes_is_published, every_10_s),
        RIG_TEST(loads_follow, every_10_s),
        RIG_TEST(wildcards_at_the_beginning_do_not_match, every_10_s),
        RIG_TEST(clients_may_not_speak_there, every_10_s),
        RIG_TEST(refusals_make_room, every_10_s),
        RIG_TEST(it_can_be_switched_off, NULL),
        RIG_TEST(who_asks_is_told_where_to_await_answers, with_response_topics),
        RIG_TEST(without_the_setting_nobody_is_told, NULL),
        RIG_TEST(problems_are_told_to_those_who_want_to_know, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
