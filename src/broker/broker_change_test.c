/* Limits and hub topics that change while the broker works. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/private.h"
#include "support/broker_tests.h"

static void change(struct rig *rig, const struct limits *limits, const char *topic)
{
    struct broker_rules *rules;
    struct fault why;
    assert_int_equal(broker_rules_new(&rules, limits, &topic, topic != NULL, &why), CODE_OK);
    broker_rules_free(broker_change(rig->broker, rules)); /* no loop is at work */
    rig_run(rig);
}

static void a_new_limit_holds_for_who_comes_and_a_promise_for_who_is_there(struct rig *rig)
{
    struct limits limits = rig->config.limits;
    struct peer *old = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "old" }, false);
    limits.receive_maximum = 2;
    limits.connections = 2;
    change(rig, &limits, NULL);
    struct peer *fresh = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "fresh" }, false);
    /* Unfinished QoS 2 messages: three are fine for the old one, too many for the new one. */
    for (int i = 0; i < 3; i++) {
        (void)peer_publish(old, "a", "x", 2, false);
        (void)peer_publish(fresh, "a", "x", 2, false);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_expect(old, MQTT_PUBREC)->type, MQTT_PUBREC);
    rig_run(rig);
    assert_true(peer_ended(fresh));
    assert_false(peer_ended(old));
    limits.connections = 1;
    change(rig, &limits, NULL);
    struct peer *third = peer_open(rig, 0);
    peer_connect(third, &(struct peer_connect){ .client_id = "third" });
    assert_int_equal(peer_expect(third, MQTT_CONNACK)->reason, MQTT_QUOTA_EXCEEDED);
}

static void hub_topics_change_for_topics_in_use(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "p" }, false);
    struct broker_stats s;
    peer_published(p, "later", "1", 1, false, 0x10);
    broker_stats(rig->broker, &s);
    uint64_t before = s.to_partitions;
    change(rig, &rig->config.limits, "later");
    peer_published(p, "later", "2", 1, false, 0);
    broker_stats(rig->broker, &s);
    assert_int_equal(s.to_partitions, before + 1);
    change(rig, &rig->config.limits, NULL);
    peer_published(p, "later", "3", 1, false, 0x10);
    broker_stats(rig->broker, &s);
    assert_int_equal(s.to_partitions, before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_new_limit_holds_for_who_comes_and_a_promise_for_who_is_there, NULL),
        RIG_TEST(hub_topics_change_for_topics_in_use, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
