/* Messages through the whole broker: every QoS both ways, in order, once, and after stop and crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/broker_tests.h"

static const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect also_keeps = { .client_id = "second keeper", .expiry_s = 3600 };
static const struct peer_connect leaves = { .client_id = "leaver" };
static const struct peer_connect old = { .client_id = "older", .version = MQTT_3_1_1, .clean_start = true };

static const char *number(char out[16], unsigned i)
{
    (void)snprintf(out, 16, "%u", i);
    return out;
}

static void every_qos_reaches_every_qos(struct rig *rig)
{
    static const struct peer_connect *const kinds[] = { &keeps, &leaves, &old };
    struct peer_connect sender = { .client_id = "sender" };
    for (size_t kind = 0; kind < 3; kind++)
        for (uint8_t asked = 0; asked <= 2; asked++)
            for (uint8_t sent = 0; sent <= 2; sent++) {
                struct peer *to = peer_connected(rig, 0, kinds[kind], kind == 0 && (asked || sent));
                struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
                peer_subscribed(to, "a/b", asked);
                peer_published(from, "a/b", "x", sent, false, 0);
                struct packet *k = peer_expect_publish(to, "a/b", "x", asked < sent ? asked : sent);
                assert_false(k->dup || k->retain);
                peer_accepts(to, k);
                peer_expect_nothing(to);
                peer_disconnect(to, 0);
                peer_disconnect(from, 0);
                rig_run(rig);
                peer_close(to);
                peer_close(from);
            }
}

static void publish_row(struct peer *from, unsigned first, unsigned end, uint8_t qos)
{
    char text[16];
    for (unsigned i = first; i < end; i++)
        peer_published(from, "row", number(text, i), qos, false, 0);
}

/* Takes what is there and checks that it is first, first + 1, ... */
static unsigned read_row(struct peer *to, unsigned first, bool accept)
{
    char text[16];
    rig_run(to->rig);
    for (struct packet *k; (k = peer_take(to));) {
        if (k->type == MQTT_PUBREL) {
            peer_ack(to, MQTT_PUBCOMP, k->pid, 0);
        } else {
            assert_int_equal(k->type, MQTT_PUBLISH);
            if (!bytes_is(k->payload, number(text, first)))
                fail_msg("%.*s instead of %u", BYTES_FMT(k->payload), first);
            first++;
            if (accept)
                peer_ack(to, k->qos == 2 ? MQTT_PUBREC : MQTT_PUBACK, k->pid, 0);
        }
        rig_run(to->rig);
    }
    return first;
}

static void a_queue_waits_for_its_client_in_order(struct rig *rig)
{
    for (uint8_t qos = 1; qos <= 2; qos++) {
        struct peer *to = peer_connected(rig, 0, &keeps, qos > 1);
        peer_subscribed(to, "row", qos);
        peer_disconnect(to, 0);
        rig_run(rig);
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
        publish_row(from, 0, 100, qos);
        assert_int_equal(stats_of(rig).queued_messages, 100);
        to = peer_connected(rig, shard_of(rig, 2), &keeps, true);
        assert_int_equal(read_row(to, 0, true), 100);
        rig_run(rig);
        assert_int_equal(stats_of(rig).queued_messages, 0);
        assert_int_equal(stats_of(rig).queued_bytes, 0);
        peer_close(to);
        peer_close(from);
        rig_run(rig);
    }
}

struct seen {
    uint16_t pid[64];
    char     text[64][16];
    size_t   count;
};

static void note(struct seen *s, const struct packet *k)
{
    s->pid[s->count] = k->pid;
    (void)snprintf(s->text[s->count++], 16, "%.*s", BYTES_FMT(k->payload));
}

/* Receives everything; answers QoS 2 up to PUBREC for the first `received`, nothing for the rest. */
static void receive_without_end(struct peer *to, struct seen *seen, size_t received)
{
    rig_run(to->rig);
    for (struct packet *k; (k = peer_take(to));) {
        if (k->type != MQTT_PUBLISH)
            continue;
        note(seen, k);
        if (k->qos == 2 && received) {
            received--;
            peer_ack(to, MQTT_PUBREC, k->pid, 0);
        }
        rig_run(to->rig);
    }
}

/* 4.4: what was not finished comes again with its identifier, in its order, marked as a duplicate. */
static void unfinished_deliveries_come_again(struct rig *rig, enum ending *ending)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    struct seen first = { .count = 0 };
    peer_subscribed(to, "row", 2);
    char text[16];
    for (unsigned i = 0; i < 20; i++)
        peer_published(from, "row", number(text, i), 1 + i % 2, false, 0);
    receive_without_end(to, &first, 3); /* 1, 3, 5 are received */
    assert_int_equal(first.count, 20);
    for (int round = 0; round < 3; round++) {
        peer_hang_up(to);
        rig_run(rig);
        if (ending)
            rig_restart(rig, *ending);
        else
            rig_must_agree(rig);
        to = peer_connected(rig, shard_of(rig, (unsigned)round), &keeps, true);
        rig_run(rig);
        for (size_t i = 0; i < 20; i++) {
            struct packet *k = peer_take(to);
            assert_non_null(k);
            assert_int_equal(k->pid, first.pid[i]);
            bool received = i % 2 && i < 6;
            assert_int_equal(k->type, received ? MQTT_PUBREL : MQTT_PUBLISH);
            if (received)
                continue;
            assert_true(k->dup);
            assert_true(bytes_is(k->payload, first.text[i]));
        }
        peer_expect_nothing(to);
    }
    for (size_t i = 0; i < 20; i++) { /* and now to the end */
        if (i % 2 && i >= 6)
            peer_ack(to, MQTT_PUBREC, first.pid[i], 0);
        peer_ack(to, i % 2 ? MQTT_PUBCOMP : MQTT_PUBACK, first.pid[i], 0);
        rig_run(rig);
    }
    rig_run(rig);
    while (peer_take(to))
        ;
    for (size_t i = 7; i < 20; i += 2)
        peer_ack(to, MQTT_PUBCOMP, first.pid[i], 0);
    rig_run(rig);
    assert_int_equal(stats_of(rig).queued_messages, 0);
    peer_close(to);
    rig_run(rig);
    to = peer_connected(rig, 0, &keeps, true);
    peer_expect_nothing(to);
}

static void unfinished_deliveries_come_again_after_a_reconnect(struct rig *rig)
{
    unfinished_deliveries_come_again(rig, NULL);
}

static void unfinished_deliveries_come_again_after_a_stop(struct rig *rig)
{
    enum ending how = ORDERLY;
    unfinished_deliveries_come_again(rig, &how);
}

static void unfinished_deliveries_come_again_after_a_crash(struct rig *rig)
{
    enum ending how = CRASH;
    unfinished_deliveries_come_again(rig, &how);
}

/* P-QOS2: the identifier is remembered until PUBREL, whatever happens in between. */
static void a_publish_that_is_sent_again_is_delivered_once(struct rig *rig)
{
    for (int how = 0; how < 4; how++) { /* at once, after a reconnect, a stop, a crash */
        struct peer *to = peer_connected(rig, 0, &also_keeps, how > 0);
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &keeps, how > 0);
        peer_subscribed(to, "a", 2);
        struct peer_publish m = { .topic = BYTES_LIT("a"), .payload = BYTES_LIT("once"), .qos = 2, .pid = 77 };
        peer_publish_full(from, &m);
        m.dup = true;
        if (how == 0)
            peer_publish_full(from, &m); /* in the same turn */
        assert_int_equal(peer_expect(from, MQTT_PUBREC)->reason, 0);
        if (how == 0)
            assert_int_equal(peer_expect(from, MQTT_PUBREC)->reason, 0);
        if (how >= 2)
            rig_restart(rig, how == 2 ? ORDERLY : CRASH);
        if (how) {
            from = peer_connected(rig, shard_of(rig, 2), &keeps, true);
            if (how >= 2)
                to = peer_connected(rig, 0, &also_keeps, true);
        }
        peer_publish_full(from, &m);
        assert_int_equal(peer_expect(from, MQTT_PUBREC)->reason, 0);
        peer_ack(from, MQTT_PUBREL, 77, 0);
        assert_int_equal(peer_expect(from, MQTT_PUBCOMP)->reason, 0);
        peer_ack(from, MQTT_PUBREL, 77, 0); /* PUBCOMP may have been lost */
        assert_int_equal(peer_expect(from, MQTT_PUBCOMP)->reason, MQTT_PACKET_ID_NOT_FOUND);
        peer_accepts(to, peer_expect_publish(to, "a", "once", 2));
        peer_expect_nothing(to);
        m.dup = false; /* the identifier is free again */
        m.payload = BYTES_LIT("new");
        peer_publish_full(from, &m);
        assert_int_equal(peer_expect(from, MQTT_PUBREC)->reason, 0);
        peer_ack(from, MQTT_PUBREL, 77, 0);
        assert_int_equal(peer_expect(from, MQTT_PUBCOMP)->reason, 0);
        peer_accepts(to, peer_expect_publish(to, "a", "new", 2));
        rig_run(rig);
        peer_close(from);
        peer_close(to);
        rig_run(rig);
    }
}

/* PUBCOMP frees the identifier for the client; it must stay freed. */
static void an_identifier_that_was_freed_is_free_after_a_crash(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &also_keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &keeps, false);
    peer_subscribed(to, "a", 1);
    char text[16];
    for (unsigned i = 0; i < 5; i++) {
        struct peer_publish m = { .topic = BYTES_LIT("a"), .payload = bytes_str(number(text, i)), .qos = 2, .pid = 5 };
        peer_publish_full(from, &m);
        (void)peer_expect(from, MQTT_PUBREC);
        peer_ack(from, MQTT_PUBREL, 5, 0);
        (void)peer_expect(from, MQTT_PUBCOMP);
        rig_restart(rig, CRASH);
        from = peer_connected(rig, shard_of(rig, 1), &keeps, true);
        to = peer_connected(rig, 0, &also_keeps, true);
        peer_accepts(to, peer_expect_publish(to, "a", number(text, i), 1));
        rig_run(rig);
    }
}

static void a_volatile_publishers_qos_2_is_not_doubled(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "a", 2);
    struct peer_publish m = { .topic = BYTES_LIT("a"), .payload = BYTES_LIT("once"), .qos = 2, .pid = 9 };
    for (int i = 0; i < 3; i++) {
        peer_publish_full(from, &m);
        if (i != 1)
            rig_run(rig);
        m.dup = true;
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_expect(from, MQTT_PUBREC)->reason, 0);
    peer_ack(from, MQTT_PUBREL, 9, 0);
    (void)peer_expect(from, MQTT_PUBCOMP);
    peer_accepts(to, peer_expect_publish(to, "a", "once", 2));
    peer_expect_nothing(to);
}

/* ---- what an acknowledgement means ---- */

static void an_acknowledgement_waits_for_the_disk(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "a", 2);
    for (uint8_t qos = 1; qos <= 2; qos++) {
        peer_publish(from, "a", "x", qos, false);
        rig_run_without_disk(rig);
        assert_null(peer_take(from));
        const struct packet *k = peer_take(to);
        assert_int_equal(k != NULL, qos == 1); /* a crash must not make QoS 2 a second message */
        assert_int_equal(peer_expect(from, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC)->reason, 0);
        if (qos == 2)
            (void)peer_expect(to, MQTT_PUBLISH);
    }
    peer_subscribe(to, "b", 1);
    rig_run_without_disk(rig);
    assert_null(peer_take(to));
    (void)peer_expect(to, MQTT_SUBACK);
    peer_unsubscribe(to, "b");
    rig_run_without_disk(rig);
    assert_null(peer_take(to));
    (void)peer_expect(to, MQTT_UNSUBACK);
    struct peer *p = peer_open(rig, 0);
    peer_connect(p, &also_keeps);
    rig_run_without_disk(rig);
    assert_null(peer_take(p));
    (void)peer_expect(p, MQTT_CONNACK);
}

/* The last record may come later: nobody waits for it. */
static bool may_come_later(struct rig *rig)
{
    struct journal_stats stats;
    rig_run_without_disk(rig);
    journal_stats(rig->journal, &stats);
    journal_lock(rig->journal);
    bool later = stats.appended_seq > journal_appended(rig->journal);
    journal_unlock(rig->journal);
    return later;
}

static void the_end_of_a_delivery_is_worth_no_sync_and_what_is_answered_is(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &also_keeps, false);
    peer_subscribed(to, "a", 2);
    peer_publish(from, "a", "x", 1, false);
    assert_false(may_come_later(rig));
    (void)peer_expect(from, MQTT_PUBACK);
    uint16_t pid = peer_expect_publish(to, "a", "x", 1)->pid;
    peer_ack(to, MQTT_PUBACK, pid, 0);
    assert_true(may_come_later(rig));
    peer_publish(from, "a", "y", 2, false);
    assert_false(may_come_later(rig));
    uint16_t theirs = peer_expect(from, MQTT_PUBREC)->pid;
    pid = peer_expect_publish(to, "a", "y", 2)->pid;
    peer_ack(to, MQTT_PUBREC, pid, 0);
    assert_false(may_come_later(rig));
    assert_null(peer_take(to)); /* PUBREL waits for it */
    (void)peer_expect(to, MQTT_PUBREL);
    peer_ack(from, MQTT_PUBREL, theirs, 0);
    assert_false(may_come_later(rig));
    (void)peer_expect(from, MQTT_PUBCOMP);
    peer_ack(to, MQTT_PUBCOMP, pid, 0);
    assert_true(may_come_later(rig));
    rig_run(rig);
    rig_abandon(rig);
    assert_int_equal(rig_open(rig, NULL), CODE_OK);
    struct peer *again = peer_connected(rig, 0, &keeps, true);
    peer_expect_nothing(again);
}

static void what_nobody_keeps_needs_no_disk(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &leaves, false);
    struct peer *from = peer_connected(rig, 0, &old, false);
    peer_subscribed(to, "a", 2);
    for (uint8_t qos = 0; qos <= 2; qos++) {
        peer_publish(from, "a", "x", qos, false);
        rig_run_without_disk(rig);
        struct packet *k = qos ? peer_take(from) : NULL;
        assert_int_equal(k != NULL, qos > 0);
        assert_non_null(k = peer_take(to));
        assert_int_equal(k->qos, qos);
    }
    assert_int_equal(stats_of(rig).stored, 0);
}

/* 4.6: acknowledgements keep the order of what they acknowledge, the fast do not overtake the slow. */
static void acknowledgements_keep_their_order(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "kept", 1);
    uint16_t pid[12];
    for (unsigned i = 0; i < 12; i++)
        pid[i] = peer_publish(from, i % 3 ? "not kept" : "kept", "x", 1, false);
    rig_run(rig);
    for (unsigned i = 0; i < 12; i++) {
        struct packet *k = peer_expect(from, MQTT_PUBACK);
        assert_int_equal(k->pid, pid[i]);
        assert_int_equal(k->reason, i % 3 ? MQTT_NO_MATCHING_SUBSCRIBERS : 0);
    }
}

static void one_message_for_many_sessions_is_stored_once(struct rig *rig)
{
    char id[16];
    for (unsigned i = 0; i < 50; i++) {
        struct peer_connect c = keeps;
        c.client_id = number(id, i);
        struct peer *p = peer_connected(rig, shard_of(rig, i), &c, false);
        peer_subscribed(p, "all", 1);
        peer_disconnect(p, 0);
        rig_run(rig);
        peer_close(p);
    }
    uint64_t before = stats_of(rig).stored;
    struct peer *from = peer_connected(rig, 0, &leaves, false);
    peer_published(from, "all", "one", 1, false, 0);
    assert_int_equal(stats_of(rig).stored - before, 1);
    assert_int_equal(stats_of(rig).queued_messages, 50);
    rig_restart(rig, CRASH);
    for (unsigned i = 0; i < 50; i++) {
        struct peer_connect c = keeps;
        c.client_id = number(id, i);
        struct peer *p = peer_connected(rig, shard_of(rig, i), &c, true);
        peer_accepts(p, peer_expect_publish(p, "all", "one", 1));
        rig_run(rig);
    }
}

/* ---- windows ---- */

static void no_more_is_sent_than_the_receiver_asked_for(struct rig *rig)
{
    struct peer_connect narrow = keeps;
    narrow.receive_max = 3;
    for (uint8_t qos = 1; qos <= 2; qos++) {
        struct peer *to = peer_connected(rig, 0, &narrow, qos > 1);
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
        peer_subscribed(to, "row", qos);
        publish_row(from, 0, 20, qos);
        unsigned next = 0, open = 0;
        uint16_t pids[64];
        while (next < 20 || open) {
            rig_run(rig);
            for (struct packet *k; (k = peer_take(to));) {
                if (k->type == MQTT_PUBREL) {
                    peer_ack(to, MQTT_PUBCOMP, k->pid, 0);
                    continue;
                }
                pids[open++] = k->pid;
                next++;
                assert_true(open <= 3);
            }
            assert_true(open > 0);
            peer_ack(to, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, pids[--open], 0); /* the youngest first */
            if (qos == 2) {
                peer_ack(to, MQTT_PUBCOMP, peer_expect(to, MQTT_PUBREL)->pid, 0);
            }
        }
        rig_run(rig);
        assert_int_equal(stats_of(rig).queued_messages, 0);
        peer_close(to);
        peer_close(from);
        rig_run(rig);
    }
}

static void a_sender_over_the_receive_maximum_is_told(struct rig *rig)
{
    struct peer *from = peer_open(rig, 0);
    peer_connect(from, &keeps);
    struct packet *k = peer_expect(from, MQTT_CONNACK);
    assert_int_equal(k->props.receive_max, 5);
    for (unsigned i = 0; i < 5; i++)
        peer_publish(from, "a", "x", 2, false);
    for (unsigned i = 0; i < 5; i++)
        (void)peer_expect(from, MQTT_PUBREC);
    /* The same identifier again is none more. */
    peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("a"), .qos = 2, .pid = 1, .dup = true });
    (void)peer_expect(from, MQTT_PUBREC);
    peer_publish(from, "a", "x", 2, false);
    assert_int_equal(peer_expect(from, MQTT_DISCONNECT)->reason, MQTT_RECEIVE_MAX_EXCEEDED);
    peer_expect_end(from);
    /* The quota begins anew with each connection (4.9), whatever is still to be released. */
    from = peer_connected(rig, 0, &keeps, true);
    for (uint16_t pid = 91; pid <= 95; pid++)
        peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("a"), .qos = 2, .pid = pid });
    for (uint16_t pid = 91; pid <= 95; pid++)
        (void)peer_expect(from, MQTT_PUBREC);
    for (uint16_t pid = 91; pid <= 95; pid++) {
        peer_ack(from, MQTT_PUBREL, pid, 0);
        (void)peer_expect(from, MQTT_PUBCOMP);
    }
    for (uint16_t pid = 1; pid <= 5; pid++) {
        peer_ack(from, MQTT_PUBREL, pid, 0);
        (void)peer_expect(from, MQTT_PUBCOMP);
    }
    for (unsigned i = 0; i < 20; i++)
        peer_published(from, "a", "x", 1 + i % 2, false, MQTT_NO_MATCHING_SUBSCRIBERS);
}

/* Releases of what was never published must not make room for more. */
static void empty_releases_do_not_widen_the_window(struct rig *rig)
{
    struct peer *from = peer_connected(rig, 0, &keeps, false);
    for (uint16_t pid = 1; pid <= 5; pid++) {
        peer_publish(from, "a", "x", 2, false);
        (void)peer_expect(from, MQTT_PUBREC);
        peer_ack(from, MQTT_PUBREL, (uint16_t)(1000 + pid), 0);
        assert_int_equal(peer_expect(from, MQTT_PUBCOMP)->reason, MQTT_PACKET_ID_NOT_FOUND);
    }
    peer_publish(from, "a", "x", 2, false);
    assert_int_equal(peer_expect(from, MQTT_DISCONNECT)->reason, MQTT_RECEIVE_MAX_EXCEEDED);
}

/* CVE-2023-28366 and its kin: identifiers without end, in one burst, never released. */
static void a_flood_of_unfinished_qos_2_ends_the_connection(struct rig *rig)
{
    struct peer_connect c = old;
    for (int five = 0; five < 2; five++) {
        if (five)
            c.version = MQTT_5;
        struct peer *from = peer_connected(rig, 0, &c, false);
        for (unsigned i = 0; i < 300; i++)
            peer_publish(from, "a", "x", 2, false);
        rig_run(rig);
        unsigned recs = 0;
        for (struct packet *k; (k = peer_take(from));)
            recs += k->type == MQTT_PUBREC;
        assert_true(recs <= 5);
        assert_true(five == 1 || (recs == 5 && !peer_ended(from))); /* 3.1.1: not read any more, then closed */
        rig_advance(rig, INT64_C(60) * 1000000);
        assert_true(peer_ended(from));
        peer_close(from);
        rig_run(rig);
    }
}

/* 3.1.1 knows no receive maximum: it is slowed down, not refused. */
static void an_older_sender_is_slowed_down(struct rig *rig)
{
    struct peer *to = peer_connected(rig, shard_of(rig, 1), &keeps, false);
    struct peer *from = peer_connected(rig, 0, &old, false);
    peer_subscribed(to, "row", 1);
    char text[16];
    for (unsigned i = 0; i < 100; i++)
        peer_publish(from, "row", number(text, i), 1, false);
    assert_int_equal(read_row(to, 0, true), 100);
    for (unsigned i = 0; i < 100; i++)
        (void)peer_expect(from, MQTT_PUBACK);
}

static void window_of_five(struct rig_config *c)
{
    c->limits.receive_maximum = 5;
}

/* ---- what is carried ---- */

static void properties_are_carried_through(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "a", 1);
    struct buf props = { 0 };
    mqtt_put_u8(&props, MQTT_PROP_PAYLOAD_FORMAT, 1);
    mqtt_put_bytes(&props, MQTT_PROP_CONTENT_TYPE, BYTES_LIT("text/plain"));
    mqtt_put_user(&props, BYTES_LIT("k"), BYTES_LIT("1"));
    mqtt_put_bytes(&props, MQTT_PROP_RESPONSE_TOPIC, BYTES_LIT("answers"));
    mqtt_put_bytes(&props, MQTT_PROP_CORRELATION, BYTES_LIT("\0\1"));
    mqtt_put_user(&props, BYTES_LIT("k"), BYTES_LIT("2"));
    struct bytes want = buf_bytes(&props);
    for (int how = 0; how < 3; how++) {
        peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("a"), .payload = BYTES_LIT("p"), .qos = 1,
                                                        .props = want });
        (void)peer_expect(from, MQTT_PUBACK);
        if (how) {
            rig_restart(rig, how == 1 ? ORDERLY : CRASH);
            to = peer_connected(rig, 0, &keeps, true);
            from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
        }
        struct packet *k = peer_expect(to, MQTT_PUBLISH);
        assert_true(bytes_equal(k->props.raw, want));
        peer_accepts(to, k);
        rig_run(rig);
    }
    buf_clear(&props);
}

static void large_payloads_arrive_whole(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "big", 1);
    static uint8_t payload[40000];
    random_fill(&(struct random){ 5 }, payload, sizeof payload);
    static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 40000 };
    for (size_t i = 0; i < 6; i++) {
        peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("big"), .payload = bytes_of(payload, sizes[i]),
                                                        .qos = 1 });
        assert_int_equal(peer_expect(from, MQTT_PUBACK)->reason, 0);
        struct packet *k = peer_expect(to, MQTT_PUBLISH);
        assert_true(bytes_equal(k->payload, bytes_of(payload, sizes[i])));
        peer_accepts(to, k);
    }
}

static void a_message_longer_than_a_segment_is_refused(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "big", 1);
    static uint8_t payload[100000];
    peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("big"), .payload = bytes_of(payload, sizeof payload),
                                                    .qos = 1 });
    assert_int_equal(peer_expect(from, MQTT_PUBACK)->reason, MQTT_QUOTA_EXCEEDED);
    peer_expect_nothing(to);
}

static void packets_above_the_receivers_maximum_are_left_out(struct rig *rig)
{
    struct peer_connect small = keeps;
    small.max_packet = 100;
    struct peer *to = peer_connected(rig, 0, &small, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "a", 2);
    static uint8_t payload[200];
    memset(payload, 'x', sizeof payload);
    for (uint8_t qos = 0; qos <= 2; qos++) {
        uint16_t pid = peer_publish_full(from, &(struct peer_publish){ .topic = BYTES_LIT("a"), .qos = qos,
                                                                       .payload = bytes_of(payload, sizeof payload) });
        if (qos)
            (void)peer_expect(from, qos == 1 ? MQTT_PUBACK : MQTT_PUBREC);
        if (qos == 2) {
            peer_ack(from, MQTT_PUBREL, pid, 0);
            (void)peer_expect(from, MQTT_PUBCOMP);
        }
        peer_published(from, "a", "small", qos, false, 0);
        peer_accepts(to, peer_expect_publish(to, "a", "small", qos));
        peer_expect_nothing(to);
    }
    assert_int_equal(stats_of(rig).dropped_too_large, 3);
    assert_int_equal(stats_of(rig).queued_messages, 0);
}

static void messages_expire_on_their_way(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "a", 1);
    peer_disconnect(to, 0);
    rig_run(rig);
    struct buf props = { 0 };
    mqtt_put_u32(&props, MQTT_PROP_MESSAGE_EXPIRY, 30);
    struct peer_publish m = { .topic = BYTES_LIT("a"), .qos = 1, .payload = BYTES_LIT("brief"), .props = buf_bytes(&props) };
    peer_publish_full(from, &m);
    (void)peer_expect(from, MQTT_PUBACK);
    rig_advance(rig, 10000000);
    m.payload = BYTES_LIT("later");
    peer_publish_full(from, &m);
    (void)peer_expect(from, MQTT_PUBACK);
    rig_advance(rig, 15000000);
    if (rig->config.seed % 2)
        rig_restart(rig, rig->config.seed % 4 == 1 ? ORDERLY : CRASH);
    rig_advance(rig, 10000000);
    to = peer_connected(rig, 0, &keeps, true);
    struct packet *k = peer_expect_publish(to, "a", "later", 1);
    assert_in_range(k->props.message_expiry_s, 4, 6); /* 3.3.2.3.3: what is left */
    peer_accepts(to, k);
    peer_expect_nothing(to);
    assert_int_equal(stats_of(rig).dropped_expired, 1);
    assert_int_equal(stats_of(rig).queued_messages, 0);
    buf_clear(&props);
}

/* ---- subscriptions ---- */

/* The same for what is retained and for what waits in a group: what is left is told, also after a stop or crash. */
static void expiry_counts_down_for_retained_and_shared(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false), *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "$share/g/s", 1);
    peer_disconnect(to, 0);
    rig_run(rig);
    struct buf props = { 0 };
    mqtt_put_u32(&props, MQTT_PROP_MESSAGE_EXPIRY, 30);
    struct peer_publish shared = { .topic = BYTES_LIT("s"), .qos = 1, .payload = BYTES_LIT("x"), .props = buf_bytes(&props) };
    struct peer_publish kept = { .topic = BYTES_LIT("r"), .qos = 1, .payload = BYTES_LIT("x"), .props = buf_bytes(&props), .retain = true };
    peer_publish_full(from, &shared);
    (void)peer_expect(from, MQTT_PUBACK);
    peer_publish_full(from, &kept);
    (void)peer_expect(from, MQTT_PUBACK);
    rig_advance(rig, 10000000);
    rig_restart(rig, rig->config.seed % 2 ? ORDERLY : CRASH);
    rig_advance(rig, 10000000);
    to = peer_connected(rig, 0, &keeps, true);
    struct packet *k = peer_expect_publish(to, "s", "x", 1);
    assert_in_range(k->props.message_expiry_s, 9, 11);
    peer_accepts(to, k);
    struct peer *reader = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(reader, "r", 0);
    assert_in_range(peer_expect_publish(reader, "r", "x", 0)->props.message_expiry_s, 9, 11);
    rig_advance(rig, 12000000);
    peer_unsubscribe(reader, "r");
    (void)peer_expect(reader, MQTT_UNSUBACK);
    peer_subscribed(reader, "r", 0);
    peer_expect_nothing(reader);
    buf_clear(&props);
}

static void overlapping_filters_are_one_delivery_of_the_highest_qos(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &keeps, false);
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &leaves, false);
    peer_subscribed(to, "a/#", 0);
    peer_subscribed(to, "a/+", 2);
    peer_subscribed(to, "a/b", 1);
    peer_published(from, "a/b", "x", 2, false, 0);
    peer_accepts(to, peer_expect_publish(to, "a/b", "x", 2));
    peer_expect_nothing(to);
}

static void no_local_keeps_a_message_from_its_sender(struct rig *rig)
{
    static const struct peer_connect *const kinds[] = { &keeps, &leaves };
    for (int i = 0; i < 2; i++) {
        struct peer *p = peer_connected(rig, 0, kinds[i], false);
        for (uint8_t qos = 0; qos <= 2; qos++) {
            peer_subscribe_full(p, &(struct mqtt_filter){ .filter = BYTES_LIT("a"), .qos = qos, .no_local = true });
            (void)peer_expect(p, MQTT_SUBACK);
            peer_published(p, "a", "mine", 1, false, 0);
            peer_expect_nothing(p);
            peer_subscribed(p, "a", qos);
            peer_publish(p, "a", "mine", qos, false);
            rig_run(rig);
            struct packet *k = peer_take(p);
            while (k && k->type != MQTT_PUBLISH)
                k = peer_take(p);
            assert_non_null(k);
            if (qos == 1)
                peer_ack(p, MQTT_PUBACK, k->pid, 0);
            if (qos == 2) {
                peer_ack(p, MQTT_PUBREC, k->pid, 0);
                peer_ack(p, MQTT_PUBREL, p->next_pid, 0);
                rig_run(rig);
                peer_ack(p, MQTT_PUBCOMP, k->pid, 0);
            }
            rig_run(rig);
            while (peer_take(p))
                ;
        }
    }
}

static void filters_that_are_not_valid_are_refused_by_name(struct rig *rig)
{
    static const struct {
        const char *filter;
        uint8_t     reason;
    } cases[] = { { "$share/g", MQTT_FILTER_INVALID }, { "a/#/b", MQTT_FILTER_INVALID }, { "a+", MQTT_FILTER_INVALID } };
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    for (size_t i = 0; i < 3; i++) {
        peer_subscribe(p, cases[i].filter, 1);
        assert_int_equal(peer_expect(p, MQTT_SUBACK)->reason, cases[i].reason);
    }
    struct mqtt_filter third = { .filter = BYTES_LIT("good/#"), .qos = 2 };
    struct mqtt_filter second = { .filter = BYTES_LIT("bad#"), .qos = 1, .next = &third };
    struct mqtt_filter first = { .filter = BYTES_LIT("fine"), .qos = 0, .next = &second };
    peer_subscribe_full(p, &first);
    struct packet *k = peer_expect(p, MQTT_SUBACK);
    assert_int_equal(k->reasons.len, 3);
    assert_true(k->reasons.at[0] == 0 && k->reasons.at[1] == MQTT_FILTER_INVALID && k->reasons.at[2] == 2);
    assert_int_equal(stats_of(rig).subscriptions, 2);
}

static void a_new_subscription_is_not_owed_what_came_before(struct rig *rig)
{
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    struct buf out = { 0 };
    /* All in one segment, one turn. */
    mqtt_encode_publish_head(&out, MQTT_5, 1, false, false, BYTES_LIT("a"), 1, BYTES_NONE, BYTES_NONE, 6);
    buf_add_bytes(&out, BYTES_LIT("before"));
    mqtt_encode_subscribe(&out, MQTT_5, 2, &(struct mqtt_filter){ .filter = BYTES_LIT("a"), .qos = 1 }, BYTES_NONE);
    mqtt_encode_publish_head(&out, MQTT_5, 1, false, false, BYTES_LIT("a"), 3, BYTES_NONE, BYTES_NONE, 5);
    buf_add_bytes(&out, BYTES_LIT("after"));
    mqtt_encode_unsubscribe(&out, MQTT_5, 4, &(struct mqtt_filter){ .filter = BYTES_LIT("a") }, BYTES_NONE);
    mqtt_encode_publish_head(&out, MQTT_5, 1, false, false, BYTES_LIT("a"), 5, BYTES_NONE, BYTES_NONE, 4);
    buf_add_bytes(&out, BYTES_LIT("last"));
    peer_send(p, buf_bytes(&out));
    buf_clear(&out);
    rig_run(rig);
    unsigned publishes = 0;
    for (struct packet *k; (k = peer_take(p));)
        if (k->type == MQTT_PUBLISH) {
            publishes++;
            assert_true(bytes_is(k->payload, "after"));
            peer_ack(p, MQTT_PUBACK, k->pid, 0);
        }
    assert_int_equal(publishes, 1);
}

/* QoS 0 is passed on at once where it can be; not past what its publisher sent before it. */
static void qos_0_does_not_overtake_its_publishers_qos_1(struct rig *rig)
{
    struct peer *to = peer_connected(rig, 0, &leaves, false);
    peer_subscribed(to, "row", 1);
    struct peer *from = peer_connected(rig, 0, &(struct peer_connect){ .client_id = "mixer" }, false);
    struct buf out = { 0 };
    char text[16];
    for (unsigned i = 0; i < 40; i++) {
        (void)number(text, i);
        uint8_t qos = i % 3 == 1;
        mqtt_encode_publish_head(&out, MQTT_5, qos, false, false, BYTES_LIT("row"), qos ? (uint16_t)(i + 1) : 0, BYTES_NONE,
                                 BYTES_NONE, strlen(text));
        buf_add_bytes(&out, bytes_str(text));
    }
    peer_send(from, buf_bytes(&out));
    buf_clear(&out);
    assert_int_equal(read_row(to, 0, false), 40);
    peer_close(to);
    peer_close(from);
}

static void qos_0_suits_every_version(struct rig *rig)
{
    static const struct peer_connect others[] = { { .client_id = "five" }, { .client_id = "three", .version = MQTT_3_1_1,
                                                  .clean_start = true }, { .client_id = "small", .max_packet = 1000 } };
    static char payload[70000];
    struct peer *to[3];
    memset(payload, 'p', sizeof payload - 1);
    for (int i = 0; i < 3; i++) {
        to[i] = peer_connected(rig, shard_of(rig, (unsigned)i), &others[i], false);
        peer_subscribed(to[i], "a/b", (uint8_t)i);
    }
    for (int kind = 0; kind < 2; kind++) {
        struct peer *from = peer_connected(rig, 0, kind ? &old : &leaves, false);
        for (size_t size = 0; size < sizeof payload; size = size * 3 + 1) {
            payload[size] = 0;
            for (int n = 0; n < 3; n++)
                peer_publish(from, "a/b", payload, 0, false);
            for (int n = 0; n < 3; n++) {
                peer_expect_publish(to[0], "a/b", payload, 0);
                peer_expect_publish(to[1], "a/b", payload, 0);
                if (size < 900)
                    peer_expect_publish(to[2], "a/b", payload, 0);
            }
            peer_expect_nothing(to[2]);
            payload[size] = 'p';
        }
        peer_close(from);
    }
    for (int i = 0; i < 3; i++)
        peer_close(to[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(every_qos_reaches_every_qos, NULL),
        RIG_TEST(a_queue_waits_for_its_client_in_order, NULL),
        RIG_TEST(qos_0_does_not_overtake_its_publishers_qos_1, NULL),
        RIG_TEST(qos_0_suits_every_version, NULL),
        RIG_TEST(unfinished_deliveries_come_again_after_a_reconnect, NULL),
        RIG_TEST(unfinished_deliveries_come_again_after_a_stop, NULL),
        RIG_TEST(unfinished_deliveries_come_again_after_a_crash, NULL),
        RIG_TEST(a_publish_that_is_sent_again_is_delivered_once, NULL),
        RIG_TEST(an_identifier_that_was_freed_is_free_after_a_crash, NULL),
        RIG_TEST(a_volatile_publishers_qos_2_is_not_doubled, NULL),
        RIG_TEST(an_acknowledgement_waits_for_the_disk, NULL),
        RIG_TEST(the_end_of_a_delivery_is_worth_no_sync_and_what_is_answered_is, NULL),
        RIG_TEST(what_nobody_keeps_needs_no_disk, NULL),
        RIG_TEST(acknowledgements_keep_their_order, NULL),
        RIG_TEST(one_message_for_many_sessions_is_stored_once, NULL),
        RIG_TEST(no_more_is_sent_than_the_receiver_asked_for, NULL),
        RIG_TEST(a_sender_over_the_receive_maximum_is_told, window_of_five),
        RIG_TEST(empty_releases_do_not_widen_the_window, window_of_five),
        RIG_TEST(a_flood_of_unfinished_qos_2_ends_the_connection, window_of_five),
        RIG_TEST(an_older_sender_is_slowed_down, window_of_five),
        RIG_TEST(properties_are_carried_through, NULL),
        RIG_TEST(large_payloads_arrive_whole, NULL),
        RIG_TEST(a_message_longer_than_a_segment_is_refused, NULL),
        RIG_TEST(packets_above_the_receivers_maximum_are_left_out, NULL),
        RIG_TEST(messages_expire_on_their_way, NULL),
        RIG_TEST(expiry_counts_down_for_retained_and_shared, NULL),
        RIG_TEST(overlapping_filters_are_one_delivery_of_the_highest_qos, NULL),
        RIG_TEST(no_local_keeps_a_message_from_its_sender, NULL),
        RIG_TEST(filters_that_are_not_valid_are_refused_by_name, NULL),
        RIG_TEST(a_new_subscription_is_not_owed_what_came_before, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
