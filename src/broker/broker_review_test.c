/* What was once wrong: each of these was seen failing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/private.h"
#include "support/broker_tests.h"

#include <errno.h>

static const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect leaves = { .client_id = "leaver" };
static const struct peer_connect other = { .client_id = "other", .expiry_s = 3600 };

static void drop_oldest_ten(struct rig_config *c)
{
    c->limits.on_full = ON_FULL_DROP_OLDEST;
    c->limits.queued_messages = 10;
}

/* Holes behind an entry that cannot go made the queue grow without end, and the log unreadable. */
static void drop_oldest_behind_an_unacknowledged_message_stays_bounded(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(to, "a", 1);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_published(from, "a", "stuck", 1, false, 0);
    (void)peer_expect_publish(to, "a", "stuck", 1); /* and never acknowledged */
    peer_close(to);
    rig_run(rig);
    char text[16];
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        peer_publish(from, "a", text, 0 + 1, false);
        if (i % 10 == 9)
            for (int k = 0; k < 10; k++)
                (void)peer_expect(from, MQTT_PUBACK);
    }
    rig_restart(rig, ORDERLY);
    to = peer_connected(rig, 0, &keeps, true);
    peer_accepts(to, peer_expect_publish(to, "a", "stuck", 1));
    for (int i = 2991; i < 3000; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        peer_accepts(to, peer_expect_publish(to, "a", text, 1));
    }
    peer_expect_nothing(to);
}

static void drop_oldest_4_kib(struct rig_config *c)
{
    c->limits.on_full = ON_FULL_DROP_OLDEST;
    c->limits.queued_bytes = 4096;
}

static void drop_oldest_counts_bytes(struct rig *rig)
{
    peer_subscribed(peer_connected(rig, 0, &keeps, false), "a", 1);
    peer_close(rig->peers);
    rig_run(rig);
    struct peer *from = peer_connected(rig, 0, &leaves, false);
    static char large[1500];
    memset(large, 'x', sizeof large - 1);
    for (int i = 0; i < 20; i++)
        peer_published(from, "a", "small", 1, false, 0);
    for (int i = 0; i < 20; i++)
        peer_published(from, "a", large, 1, false, 0);
    assert_true(stats_of(rig).queued_bytes <= 4096);
    assert_true(stats_of(rig).queued_bytes > 1500);
}

/* A clean start that keeps nothing itself: that the former session has ended must be on disk before it is told. */
static void a_session_that_was_ended_by_clean_start_stays_ended(struct rig *rig)
{
    struct peer_connect clean = { .client_id = "keeper", .clean_start = true };
    peer_close(peer_connected(rig, 0, &keeps, false));
    rig_run(rig);
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &clean);
    rig_run_without_disk(rig);
    peer_receive(p);
    assert_null(peer_peek(p));
    assert_false(peer_expect(p, MQTT_CONNACK)->session_present);
    rig_restart(rig, CRASH);
    peer_close(peer_connected(rig, 0, &keeps, false));
}

/* The expiry of a will begins when it is published. */
static void a_will_expires_from_its_publication(struct rig *rig)
{
    struct peer *to = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "w", 1);
    struct peer *p = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "dies", .will_topic = "w", .will_payload = "x",
                                                                    .will_qos = 1, .will_expiry_s = 2 }, false);
    rig_advance(rig, 5000000);
    peer_close(p);
    struct packet *k = peer_expect_publish(to, "w", "x", 1);
    assert_int_equal(k->props.message_expiry_s, 2);
    peer_accepts(to, k);
}

static void refuse_one(struct rig_config *c)
{
    c->limits.on_full = ON_FULL_REFUSE;
    c->limits.queued_messages = 1;
}

/* One full session must not keep a will from all others: it has nobody who could be told. */
static void a_will_is_not_refused_for_one_full_session(struct rig *rig)
{
    struct peer *full = peer_connected(rig, 0, &keeps, false), *to = peer_connected(rig, 0, &leaves, false);
    peer_subscribed(full, "#", 1);
    peer_subscribed(to, "w", 1);
    peer_close(full);
    rig_run(rig);
    struct peer *from = peer_connected(rig, 0, &other, false);
    peer_published(from, "a", "fills", 1, false, 0);
    peer_publish(from, "a", "one too many", 1, false);
    assert_int_equal(peer_expect(from, MQTT_PUBACK)->reason, MQTT_QUOTA_EXCEEDED);
    peer_close(peer_connected(rig, 0, &(struct peer_connect){ .client_id = "dies", .will_topic = "w", .will_payload = "x",
                                                              .will_qos = 1 }, false));
    peer_accepts(to, peer_expect_publish(to, "w", "x", 1));
    assert_int_equal(stats_of(rig).wills_published, 1);
}

/* What may have been sent is sent again, expired or not: the receiver may hold its identifier. */
static void a_resent_message_does_not_expire(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(to, "a", 2);
    struct peer *from = peer_connected(rig, 0, &leaves, false);
    struct buf props = { 0 };
    mqtt_put_u32(&props, MQTT_PROP_MESSAGE_EXPIRY, 2);
    peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("a"), .payload = BYTES_LIT("x"), .qos = 2,
                                                    .props = buf_bytes(&props) });
    buf_clear(&props);
    struct packet *k = peer_expect_publish(to, "a", "x", 2);
    uint16_t pid = k->pid;
    peer_close(to);
    rig_advance(rig, 10000000);
    to = peer_connected(rig, 0, &keeps, true);
    k = peer_expect_publish(to, "a", "x", 2);
    assert_true(k->dup && k->pid == pid);
    peer_accepts(to, k);
}

static void an_expiry_of_zero_cannot_be_raised(struct rig *rig)
{
    peer_close(peer_connected(rig, 0, &keeps, false));
    struct peer *p = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "keeper" }, true);
    static const uint8_t disconnect[] = { 0xe0, 7, 0, 5, 0x11, 0, 0, 0, 60 };
    peer_send(p, bytes_of(disconnect, sizeof disconnect));
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_PROTOCOL_ERROR);
    peer_close(p);
    rig_run(rig);
    peer_close(peer_connected(rig, 0, &keeps, false));
}

static void a_publish_with_a_subscription_identifier_is_refused(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &leaves, false);
    struct buf props = { 0 };
    mqtt_put_varint(&props, MQTT_PROP_SUB_ID, 5);
    peer_publish_full(p, &(struct peer_publish){ .topic = BYTES_LIT("a"), .props = buf_bytes(&props) });
    buf_clear(&props);
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_PROTOCOL_ERROR);
}

static void a_connack_that_does_not_fit_is_not_sent(struct rig *rig)
{
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &(struct peer_connect){ .client_id = "small", .max_packet = 12 });
    peer_expect_end(p);
}

/* A message whose file cannot be opened just now is not lost: the connection ends, the next one gets it. */
static void what_cannot_be_read_now_is_read_later(struct rig *rig)
{
    peer_subscribed(peer_connected(rig, 0, &keeps, false), "a", 1);
    peer_close(rig->peers);
    rig_run(rig);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    static char text[4000];
    memset(text, 'y', sizeof text - 1);
    for (int i = 0; i < 40; i++)
        peer_published(from, "a", text, 1, false, 0);
    rig_run(rig);
    rig_restart(rig, ORDERLY);
    memfs_fail(rig->fs, FS_OPEN, 1, EMFILE, true);
    memfs_fail(rig->fs, FS_PREAD, 1, EIO, true);
    struct peer *to = peer_open(rig, 0);
    peer_connect(to, &keeps);
    assert_true(peer_expect(to, MQTT_CONNACK)->session_present);
    rig_run(rig);
    peer_close(to);
    memfs_fail(rig->fs, FS_OPEN, 0, 0, false);
    memfs_fail(rig->fs, FS_PREAD, 0, 0, false);
    rig_run(rig);
    to = peer_connected(rig, 0, &keeps, true);
    for (int i = 0; i < 40; i++)
        peer_accepts(to, peer_expect_publish(to, "a", text, 1));
    peer_expect_nothing(to);
}

/* After a failed sync: who waits for an acknowledgement is ended, new ones are told, QoS 0 goes on. */
static void a_failed_disk_leaves_nobody_waiting(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    peer_subscribed(to, "a", 1);
    struct peer *quiet = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(quiet, "zero", 0);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &other, false);
    struct peer *zero = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "zero" }, false);
    memfs_fail(rig->fs, FS_FDATASYNC, 1, EIO, false);
    peer_publish(from, "a", "never acknowledged", 1, false);
    rig_run(rig);
    peer_receive(from);
    for (struct packet *k; (k = peer_take(from));)
        assert_int_not_equal(k->type, MQTT_PUBACK);
    assert_true(peer_ended(from));
    peer_publish(zero, "zero", "goes on", 0, false);
    (void)peer_expect_publish(quiet, "zero", "goes on", 0);
    peer_publish(zero, "a", "refused", 1, false);
    assert_int_equal(peer_expect(zero, MQTT_PUBACK)->reason, MQTT_IMPLEMENTATION_SPECIFIC);
    /* Acknowledgements that cannot be recorded do not pile up. */
    peer_receive(to);
    while (peer_take(to))
        ;
    for (uint16_t i = 0; i < 5000; i++)
        peer_ack(to, MQTT_PUBACK, 1, 0);
    rig_run(rig);
    for (unsigned i = 0; i < rig->config.shards; i++)
        assert_int_equal(rig->broker->shards[i].kept.count + rig->broker->shards[i].ops.count, 0);
    peer_publish(zero, "zero", "still", 0, false);
    (void)peer_expect_publish(quiet, "zero", "still", 0);
    rig_abandon(rig);
}

/* Questions without end from somebody who takes no answer. */
static void small_outbox(struct rig_config *c)
{
    c->limits.unsent_bytes = 64 << 10;
}

static void who_takes_no_answer_is_not_read_from(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &leaves, false);
    sim_stall(p->sim, 1000);
    static uint8_t pings[2 * 4000];
    for (size_t i = 0; i < sizeof pings; i += 2) {
        pings[i] = 0xc0;
        pings[i + 1] = 0;
    }
    for (int i = 0; i < 200; i++) {
        peer_send(p, bytes_of(pings, sizeof pings));
        rig_run(rig);
    }
    const struct client *c = rig->broker->shards[0].clients;
    assert_non_null(c);
    assert_true(conn_unsent(c->conn) < 320 << 10);
    sim_stall(p->sim, SIZE_MAX);
    rig_run(rig);
    unsigned answers = 0;
    peer_receive(p);
    for (struct packet *k; (k = peer_take(p));)
        answers += k->type == MQTT_PINGRESP;
    assert_int_equal(answers, 200 * 4000); /* none is forgotten either */
}

static void tight_window(struct rig_config *c)
{
    c->limits.receive_maximum = 4;
}

/* 3.1.1, QoS 2 half done, then QoS 1: the releases behind it must be read. */
static void mixed_qos_of_an_older_client_does_not_lock(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "old", .version = MQTT_3_1_1 }, false);
    uint16_t pids[3];
    for (int i = 0; i < 3; i++) {
        pids[i] = peer_publish(p, "a", "x", 2, false);
        (void)peer_expect(p, MQTT_PUBREC);
    }
    peer_publish(p, "a", "x", 1, false);
    (void)peer_expect(p, MQTT_PUBACK);
    for (int i = 0; i < 3; i++) {
        peer_ack(p, MQTT_PUBREL, pids[i], 0);
        (void)peer_expect(p, MQTT_PUBCOMP);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(drop_oldest_behind_an_unacknowledged_message_stays_bounded, drop_oldest_ten),
        RIG_TEST(drop_oldest_counts_bytes, drop_oldest_4_kib),
        RIG_TEST(a_session_that_was_ended_by_clean_start_stays_ended, NULL),
        RIG_TEST(a_will_expires_from_its_publication, NULL),
        RIG_TEST(a_will_is_not_refused_for_one_full_session, refuse_one),
        RIG_TEST(a_resent_message_does_not_expire, NULL),
        RIG_TEST(an_expiry_of_zero_cannot_be_raised, NULL),
        RIG_TEST(a_publish_with_a_subscription_identifier_is_refused, NULL),
        RIG_TEST(a_connack_that_does_not_fit_is_not_sent, NULL),
        RIG_TEST(what_cannot_be_read_now_is_read_later, NULL),
        RIG_TEST(a_failed_disk_leaves_nobody_waiting, NULL),
        RIG_TEST(who_takes_no_answer_is_not_read_from, small_outbox),
        RIG_TEST(mixed_qos_of_an_older_client_does_not_lock, tight_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
