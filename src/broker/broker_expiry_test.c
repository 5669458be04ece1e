/* What expires while it waits: the dead take nobody's place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/broker_tests.h"

#define SECONDS(n) ((n) * INT64_C(1000000))

enum { FULL = 10 };

static const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect leaves = { .client_id = "leaver" };

static const char *number(char out[16], unsigned i)
{
    (void)snprintf(out, 16, "%u", i);
    return out;
}

static void ten_queued(struct rig_config *c)
{
    c->limits.queued_messages = FULL;
}

static void ten_queued_refuse(struct rig_config *c)
{
    ten_queued(c);
    c->limits.on_full = ON_FULL_REFUSE;
}

static void publish_for(struct peer *from, const char *payload, uint32_t seconds, uint8_t reason)
{
    struct buf props = { 0 };
    if (seconds)
        mqtt_put_u32(&props, MQTT_PROP_MESSAGE_EXPIRY, seconds);
    peer_publish_full(from, &(struct peer_publish){
                                .topic = BYTES_LIT("q"), .qos = 1, .payload = bytes_str(payload), .props = buf_bytes(&props) });
    assert_int_equal(peer_expect(from, MQTT_PUBACK)->reason, reason);
    buf_clear(&props);
}

/* The dead keep no living out; in memory, and on disk after a stop or crash. */
static void what_has_expired_fills_no_queue(struct rig *rig)
{
    bool refuses = rig->config.limits.on_full == ON_FULL_REFUSE;
    char text[16];
    struct peer *away = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(away, "q", 1);
    peer_disconnect(away, 0);
    rig_run(rig);
    for (int restart = 0; restart < 3; restart++) {
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
        publish_for(from, "first", 0, 0);
        for (int i = 0; i < FULL - 3; i++)
            publish_for(from, "dead", 10 + (uint32_t)i % 3, 0);
        publish_for(from, "middle", 100, 0);
        publish_for(from, "dead", 10, 0);
        publish_for(from, "too much", 0, refuses ? MQTT_QUOTA_EXCEEDED : 0);
        peer_disconnect(from, 0);
        rig_run(rig);
        if (restart == 1)
            rig_close(rig);
        else if (restart == 2)
            rig_abandon(rig);
        if (restart)
            rig_must_open(rig);
        rig_advance(rig, SECONDS(15));
        assert_in_range(stats_of(rig).queued_messages, 2, FULL / 2);
        assert_int_equal(stats_of(rig).dropped_expired, FULL - stats_of(rig).queued_messages);
        from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
        for (int i = 0; i < FULL / 2; i++) {
            publish_for(from, number(text, (unsigned)i), 0, 0);
        }
        struct peer *p = peer_connected(rig, 0, &keeps, true);
        peer_accepts(p, peer_expect_publish(p, "q", "first", 1));
        peer_accepts(p, peer_expect_publish(p, "q", "middle", 1));
        for (int i = 0; i < FULL / 2; i++) {
            peer_accepts(p, peer_expect_publish(p, "q", number(text, (unsigned)i), 1));
        }
        peer_expect_nothing(p);
        peer_disconnect(p, 0);
        peer_disconnect(from, 0);
        rig_run(rig);
        rig_abandon(rig);
        rig_must_open(rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(what_has_expired_fills_no_queue, ten_queued),
        RIG_TEST(what_has_expired_fills_no_queue, ten_queued_refuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
