/* P-WILL: exactly once, or not at all after a normal DISCONNECT; also after takeover, crash and restart, once its delay is
 * over. And retained messages through the whole broker (P-RETAIN). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/broker_tests.h"

#define SECONDS(n) ((n) * INT64_C(1000000))

static const struct peer_connect watcher = { .client_id = "watcher", .expiry_s = 3600 };
static const struct peer_connect stranger = { .client_id = "stranger" };
static const struct peer_connect kinds[] = {
    { .client_id = "fleeting", .will_topic = "w", .will_payload = "gone", .will_qos = 2 },
    { .client_id = "lasting", .will_topic = "w", .will_payload = "gone", .will_qos = 2, .expiry_s = 3600 },
    { .client_id = "older", .will_topic = "w", .will_payload = "gone", .will_qos = 2, .version = MQTT_3_1_1 },
};
enum { KINDS = 3 };

static struct peer *watch(struct rig *rig, bool present)
{
    struct peer *w = peer_connected(rig, 0, &watcher, present);
    if (!present)
        peer_subscribed(w, "w", 2);
    return w;
}

static void comes_once(struct peer *w)
{
    peer_accepts(w, peer_expect_publish(w, "w", "gone", 2));
    peer_expect_nothing(w);
}

static bool lasts(size_t kind)
{
    return kind > 0;
}

static void a_lost_connection_publishes_the_will(struct rig *rig)
{
    struct peer *w = watch(rig, false);
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct peer *p = peer_connected(rig, shard_of(rig, 1), &kinds[kind], false);
        peer_hang_up(p);
        comes_once(w);
        rig_advance(rig, SECONDS(3));
        peer_expect_nothing(w);
    }
    assert_int_equal(stats_of(rig).wills_published, KINDS);
}

static void a_normal_disconnect_withdraws_it(struct rig *rig)
{
    struct peer *w = watch(rig, false);
    for (size_t kind = 0; kind < KINDS; kind++)
        for (int how = 0; how < 3; how++) {
            struct peer *p = peer_connected(rig, shard_of(rig, 1), &kinds[kind], lasts(kind) && how);
            peer_disconnect(p, 0);
            rig_run(rig);
            if (how) {
                rig_restart(rig, how == 1 ? ORDERLY : CRASH);
                w = watch(rig, true);
            }
            rig_advance(rig, SECONDS(3));
            peer_expect_nothing(w);
        }
    assert_int_equal(stats_of(rig).wills_published, 0);
}

static void disconnect_with_will_publishes_it(struct rig *rig)
{
    struct peer *w = watch(rig, false), *p = peer_connected(rig, shard_of(rig, 1), &kinds[1], false);
    peer_disconnect(p, MQTT_DISCONNECT_WITH_WILL);
    comes_once(w);
}

static void a_protocol_error_publishes_it(struct rig *rig)
{
    struct peer *w = watch(rig, false);
    struct peer *p = peer_connected(rig, shard_of(rig, 1), &kinds[1], false);
    peer_connect(p, &kinds[1]); /* a second CONNECT */
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_PROTOCOL_ERROR);
    comes_once(w);
}

static void silence_publishes_it(struct rig *rig)
{
    struct peer_connect c = kinds[1];
    c.keep_alive_s = 10;
    struct peer *w = watch(rig, false), *p = peer_connected(rig, shard_of(rig, 1), &c, false);
    rig_advance(rig, SECONDS(14));
    peer_expect_nothing(w);
    peer_ping(p);
    (void)peer_expect(p, MQTT_PINGRESP);
    rig_advance(rig, SECONDS(14));
    peer_expect_nothing(w);
    rig_advance(rig, SECONDS(6)); /* one and a half times, and the timer's step */
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_KEEP_ALIVE_TIMEOUT);
    comes_once(w);
}

static void a_takeover_publishes_it(struct rig *rig)
{
    struct peer *w = watch(rig, false);
    for (size_t kind = 0; kind < KINDS; kind++)
        for (unsigned shard = 0; shard < rig->config.shards; shard++) {
            struct peer *a = peer_connected(rig, 0, &kinds[kind], lasts(kind) && shard);
            struct peer *b = peer_connected(rig, shard, &kinds[kind], lasts(kind));
            comes_once(w); /* the former connection's */
            peer_disconnect(b, 0);
            peer_expect_nothing(w);
            peer_close(a);
            peer_close(b);
        }
}

static void a_crash_publishes_it_once(struct rig *rig)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct peer *w = watch(rig, kind > 0);
        struct peer *p = peer_connected(rig, shard_of(rig, 1), &kinds[kind], false);
        rig_restart(rig, CRASH);
        if (lasts(kind) && rig->config.seed % 2) { /* the session came back at once; the will is still due */
            p = peer_connected(rig, 0, &kinds[kind], true);
            peer_disconnect(p, 0);
        }
        w = watch(rig, true);
        rig_advance(rig, SECONDS(2));
        comes_once(w);
        for (int i = 0; i < 2; i++) {
            rig_restart(rig, i ? CRASH : ORDERLY);
            w = watch(rig, true);
            rig_advance(rig, SECONDS(3));
            peer_expect_nothing(w);
        }
    }
}

static void a_stop_publishes_it_once(struct rig *rig)
{
    struct peer *w = watch(rig, false);
    for (size_t kind = 0; kind < KINDS; kind++) {
        (void)peer_connected(rig, shard_of(rig, 1), &kinds[kind], false);
        rig_restart(rig, ORDERLY);
        w = watch(rig, true);
        comes_once(w);
        rig_advance(rig, SECONDS(3));
        peer_expect_nothing(w);
    }
}

/* ---- delay ---- */

static struct peer_connect delayed(uint32_t delay_s, uint32_t expiry_s)
{
    struct peer_connect c = kinds[1];
    c.will_delay_s = delay_s;
    c.expiry_s = expiry_s;
    return c;
}

static void a_delayed_will_waits(struct rig *rig)
{
    struct peer_connect c = delayed(10, 3600);
    struct peer *w = watch(rig, false), *p = peer_connected(rig, shard_of(rig, 1), &c, false);
    peer_hang_up(p);
    rig_advance(rig, SECONDS(9));
    peer_expect_nothing(w);
    rig_advance(rig, SECONDS(3));
    comes_once(w);
}

static void a_session_that_comes_back_withdraws_it(struct rig *rig)
{
    struct peer_connect c = delayed(10, 3600);
    struct peer *w = watch(rig, false);
    for (int how = 0; how < 4; how++) { /* reconnect, takeover, stop, crash */
        struct peer *p = peer_connected(rig, shard_of(rig, 1), &c, how > 0);
        if (how == 0)
            peer_hang_up(p);
        if (how >= 2) {
            rig_restart(rig, how == 2 ? ORDERLY : CRASH);
            w = watch(rig, true);
        }
        rig_advance(rig, SECONDS(5));
        p = peer_connected(rig, 0, &c, true);
        rig_advance(rig, SECONDS(20));
        peer_expect_nothing(w);
        peer_disconnect(p, 0);
        rig_advance(rig, SECONDS(20));
        peer_expect_nothing(w);
    }
}

static void the_sessions_end_ends_the_delay(struct rig *rig)
{
    struct peer_connect c = delayed(100, 5);
    struct peer *w = watch(rig, false);
    for (int how = 0; how < 3; how++) {
        struct peer *p = peer_connected(rig, shard_of(rig, 1), &c, false);
        peer_hang_up(p);
        rig_run(rig);
        if (how == 2) { /* a clean start ends it, too */
            struct peer_connect clean = c;
            clean.clean_start = true;
            clean.will_topic = NULL;
            p = peer_connected(rig, 0, &clean, false);
            rig_advance(rig, SECONDS(2));
            comes_once(w);
            peer_disconnect(p, 0);
            rig_run(rig);
            break;
        }
        if (how == 1) {
            rig_restart(rig, CRASH);
            w = watch(rig, true);
        }
        rig_advance(rig, SECONDS(3));
        peer_expect_nothing(w);
        rig_advance(rig, SECONDS(5));
        comes_once(w);
    }
    c = delayed(100, 0); /* a session that ends with its connection */
    c.clean_start = true;
    peer_hang_up(peer_connected(rig, 0, &c, false));
    comes_once(w);
}

static void of_two_due_wills_the_older_one_comes_first(struct rig *rig)
{
    struct peer *w = watch(rig, false);
    struct peer_connect c = delayed(100, 3600);
    static const char *const texts[] = { "1", "2", "3" };
    c.clean_start = true; /* each ends the session before it, all before the next look at what is due */
    for (size_t i = 0; i < 3; i++) {
        c.will_payload = texts[i];
        peer_close(peer_connected(rig, shard_of(rig, 1), &c, false));
        rig_run(rig);
    }
    c.will_topic = NULL;
    peer_connected(rig, shard_of(rig, 1), &c, false);
    rig_advance(rig, SECONDS(3));
    for (size_t i = 0; i < 3; i++)
        (void)peer_expect_publish(w, "w", texts[i], c.will_qos);
}

static void the_delay_begins_anew_after_a_crash(struct rig *rig)
{
    struct peer_connect c = delayed(10, 3600);
    struct peer *w = watch(rig, false);
    (void)peer_connected(rig, shard_of(rig, 1), &c, false);
    rig_restart(rig, CRASH);
    w = watch(rig, true);
    rig_advance(rig, SECONDS(9));
    peer_expect_nothing(w);
    rig_advance(rig, SECONDS(3));
    comes_once(w);
}

/* ---- what a will is ---- */

static void a_will_is_a_message_as_any_other(struct rig *rig)
{
    struct peer_connect c = kinds[1];
    c.will_retain = true;
    c.will_qos = 1;
    c.will_topic = "hub/alarm";
    struct peer *w = peer_connected(rig, 0, &watcher, false);
    peer_subscribed(w, "hub/#", 1);
    peer_hang_up(peer_connected(rig, shard_of(rig, 1), &c, false));
    peer_accepts(w, peer_expect_publish(w, "hub/alarm", "gone", 1));
    rig_run(rig);
    assert_int_equal(stats_of(rig).to_partitions, 1);
    assert_int_equal(stats_of(rig).retained, 1);
    struct peer *s = peer_connected(rig, 0, &stranger, false);
    peer_subscribe(s, "hub/alarm", 1);
    (void)peer_expect(s, MQTT_SUBACK);
    assert_true(peer_expect_publish(s, "hub/alarm", "gone", 1)->retain);
}

static void a_wills_expiry_begins_when_it_is_published(struct rig *rig)
{
    struct peer_connect c = delayed(30, 3600);
    c.will_expiry_s = 20;
    struct peer *w = watch(rig, false);
    struct peer *p = peer_connected(rig, shard_of(rig, 1), &c, false);
    rig_advance(rig, SECONDS(60));
    peer_hang_up(p);
    rig_advance(rig, SECONDS(32));
    struct packet *k = peer_expect_publish(w, "w", "gone", 2);
    assert_in_range(k->props.message_expiry_s, 18, 20);
    peer_accepts(w, k);
}

static void bad_wills_are_refused(struct rig *rig)
{
    static const char *const topics[] = { "w/#", "+", "" };
    for (int i = 0; i < 3; i++) {
        struct peer_connect c = kinds[0];
        c.will_topic = topics[i];
        struct peer *p = peer_open(rig, 0);
        peer_connect(p, &c);
        assert_true(peer_expect(p, MQTT_CONNACK)->reason >= 0x80);
        peer_expect_end(p);
        peer_close(p);
    }
    assert_int_equal(stats_of(rig).sessions, 0);
}

/* ---- retained ---- */

static void retained_is(struct rig *rig, const char *filter, const char *payload)
{
    static unsigned number;
    char id[24];
    (void)snprintf(id, sizeof id, "reader-%u", number++);
    struct peer *p = peer_connected(rig, shard_of(rig, number), &(struct peer_connect){ .client_id = id }, false);
    peer_subscribe(p, filter, 2);
    (void)peer_expect(p, MQTT_SUBACK);
    if (payload) {
        struct packet *k = peer_expect(p, MQTT_PUBLISH);
        assert_true(k->retain && bytes_is(k->payload, payload));
        peer_accepts(p, k);
    }
    peer_expect_nothing(p);
    peer_disconnect(p, 0);
    rig_run(rig);
    peer_close(p);
}

static void a_retained_message_is_set_replaced_and_cleared(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &stranger, false);
    for (uint8_t qos = 0; qos <= 2; qos++) {
        uint8_t nobody = MQTT_SUCCESS;
        retained_is(rig, "r/+", NULL);
        peer_published(p, "r/x", "first", qos, true, nobody);
        retained_is(rig, "r/+", "first");
        peer_published(p, "r/x", "second", qos, true, nobody);
        retained_is(rig, "r/#", "second");
        for (int i = 0; i < 2; i++) {
            rig_restart(rig, i ? CRASH : ORDERLY);
            retained_is(rig, "r/x", "second");
        }
        p = peer_connected(rig, 0, &stranger, false);
        peer_published(p, "r/x", "", qos, true, nobody);
        retained_is(rig, "r/x", NULL);
        rig_restart(rig, CRASH);
        retained_is(rig, "r/x", NULL);
        assert_int_equal(stats_of(rig).retained, 0);
        assert_int_equal(stats_of(rig).retained_bytes, 0);
        p = peer_connected(rig, 0, &stranger, false);
    }
}

static void live_deliveries_do_not_carry_retain(struct rig *rig)
{
    struct peer *w = peer_connected(rig, 0, &watcher, false);
    peer_subscribed(w, "r", 1);
    peer_subscribe_full(w, &(struct mqtt_filter){ .filter = BYTES_LIT("asis"), .qos = 1, .retain_as_published = true });
    (void)peer_expect(w, MQTT_SUBACK);
    struct peer *p = peer_connected(rig, shard_of(rig, 1), &stranger, false);
    peer_published(p, "r", "x", 1, true, 0);
    struct packet *k = peer_expect_publish(w, "r", "x", 1);
    assert_false(k->retain);
    peer_accepts(w, k);
    peer_published(p, "asis", "x", 1, true, 0); /* 3.8.3.1: Retain As Published */
    k = peer_expect_publish(w, "asis", "x", 1);
    assert_true(k->retain);
    peer_accepts(w, k);
    rig_restart(rig, CRASH);
}

static void retain_handling_is_what_the_subscriber_asked_for(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &watcher, false);
    peer_published(p, "r", "x", 1, true, 0);
    for (uint8_t handling = 0; handling <= 2; handling++)
        for (int again = 0; again < 2; again++) {
            peer_subscribe_full(p, &(struct mqtt_filter){ .filter = BYTES_LIT("r"), .qos = 1, .retain_handling = handling });
            rig_run(rig);
            bool ack = false, publish = false;
            for (struct packet *k; (k = peer_take(p));) {
                ack = ack || k->type == MQTT_SUBACK;
                if (k->type != MQTT_PUBLISH)
                    continue;
                publish = true;
                peer_ack(p, MQTT_PUBACK, k->pid, 0);
            }
            assert_true(ack);
            assert_int_equal(publish, handling == 0 || (handling == 1 && !again));
            if (!again)
                continue;
            peer_unsubscribe(p, "r");
            (void)peer_expect(p, MQTT_UNSUBACK);
        }
}

static struct memfs *seen; /* the disk at the moment when SUBACK had left */
static struct peer *subscriber;

static void look_for_suback(void *ctx, struct rig *rig)
{
    (void)ctx;
    for (const struct packet *k = subscriber ? peer_peek(subscriber) : NULL; k && !seen; k = k->next)
        if (k->type == MQTT_SUBACK)
            seen = memfs_copy(rig->fs);
}

/* SUBACK leaves when what the subscription is owed is on disk, too: after a crash its client would not ask again. */
static void a_suback_stands_for_its_retained_messages(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &stranger, false);
    peer_published(p, "r/1", "one", 1, true, 0);
    peer_published(p, "r/2", "two", 2, true, 0);
    seen = NULL;
    subscriber = peer_connected(rig, shard_of(rig, 1), &watcher, false);
    rig->config.look = look_for_suback;
    peer_subscribe(subscriber, "r/#", 2);
    rig_run(rig);
    rig->config.look = NULL;
    subscriber = NULL;
    assert_non_null(seen);
    struct rig_config config = rig->config;
    config.fs = seen;
    struct rig *other = rig_new(&config);
    rig_must_open(other);
    struct peer *w = peer_connected(other, 0, &watcher, true);
    for (int i = 0; i < 2; i++)
        assert_true(peer_expect(w, MQTT_PUBLISH)->retain);
    rig_free(other);
    memfs_free(seen);
}

static void there_is_a_limit_to_retained_messages(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &stranger, false);
    peer_published(p, "r/1", "x", 1, true, 0);
    peer_published(p, "r/2", "x", 1, true, 0);
    peer_published(p, "r/3", "x", 1, true, MQTT_QUOTA_EXCEEDED);
    peer_published(p, "r/3", "x", 2, true, MQTT_QUOTA_EXCEEDED);
    peer_published(p, "r/2", "replaces", 1, true, 0);
    peer_published(p, "r/1", "", 1, true, 0);
    peer_published(p, "r/3", "now it fits", 1, true, 0);
    assert_int_equal(stats_of(rig).retained, 2);
    retained_is(rig, "r/3", "now it fits");
}

static void two_retained(struct rig_config *c)
{
    c->limits.retained_messages = 2;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(a_lost_connection_publishes_the_will, NULL),
        RIG_TEST(a_normal_disconnect_withdraws_it, NULL),
        RIG_TEST(disconnect_with_will_publishes_it, NULL),
        RIG_TEST(a_protocol_error_publishes_it, NULL),
        RIG_TEST(silence_publishes_it, NULL),
        RIG_TEST(a_takeover_publishes_it, NULL),
        RIG_TEST(a_crash_publishes_it_once, NULL),
        RIG_TEST(a_stop_publishes_it_once, NULL),
        RIG_TEST(a_delayed_will_waits, NULL),
        RIG_TEST(a_session_that_comes_back_withdraws_it, NULL),
        RIG_TEST(the_sessions_end_ends_the_delay, NULL),
        RIG_TEST(of_two_due_wills_the_older_one_comes_first, NULL),
        RIG_TEST(the_delay_begins_anew_after_a_crash, NULL),
        RIG_TEST(a_will_is_a_message_as_any_other, NULL),
        RIG_TEST(a_wills_expiry_begins_when_it_is_published, NULL),
        RIG_TEST(bad_wills_are_refused, NULL),
        RIG_TEST(a_retained_message_is_set_replaced_and_cleared, NULL),
        RIG_TEST(live_deliveries_do_not_carry_retain, NULL),
        RIG_TEST(retain_handling_is_what_the_subscriber_asked_for, NULL),
        RIG_TEST(a_suback_stands_for_its_retained_messages, NULL),
        RIG_TEST(there_is_a_limit_to_retained_messages, two_retained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
