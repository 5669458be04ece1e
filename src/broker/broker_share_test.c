/* Shared subscriptions (4.8.2): one member gets each message, slow ones get less, and nothing that was acknowledged is lost
 * when members go, whatever kind of session they have. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "support/broker_tests.h"

enum { MEMBERS = 4, TEXTS = 256 };
#define GROUP "$share/workers/job/+"

static const struct peer_connect sender = { .client_id = "sender" };

/* What came to whom: payloads are numbers. */
struct got {
    unsigned by[MEMBERS][TEXTS], count[MEMBERS], total[TEXTS];
};

static const char *number(unsigned i)
{
    static char text[4][16];
    static unsigned at;
    char *out = text[at++ % 4];
    (void)snprintf(out, 16, "%u", i);
    return out;
}

static struct peer *worker(struct rig *rig, unsigned i, bool keeps, bool present)
{
    static const char *const names[] = { "worker 0", "worker 1", "worker 2", "worker 3" };
    struct peer_connect c = { .client_id = names[i], .expiry_s = keeps ? 3600 : 0 };
    return peer_connected(rig, shard_of(rig, i), &c, present);
}

/* Its session ends. */
static void forget(struct rig *rig, unsigned i)
{
    static const char *const names[] = { "worker 0", "worker 1", "worker 2", "worker 3" };
    struct peer_connect c = { .client_id = names[i], .clean_start = true };
    rig_run(rig);
    peer_close(peer_connected(rig, 0, &c, false));
    rig_run(rig);
}

static void note(struct got *g, unsigned who, const struct packet *k)
{
    char text[16] = "";
    memcpy(text, k->payload.at, k->payload.len < 15 ? k->payload.len : 15);
    unsigned i = (unsigned)atoi(text);
    assert_true(i < TEXTS);
    g->by[who][i]++;
    g->total[i]++;
    g->count[who]++;
}

/* Takes and finishes everything there is, with all its consequences. */
static void finish_all(struct rig *rig, struct peer *const *members, unsigned n, struct got *g)
{
    for (bool any = true; any;) {
        any = false;
        rig_run(rig);
        for (unsigned i = 0; i < n; i++)
            for (struct packet *k; members[i] && (k = peer_take(members[i]));) {
                any = true;
                if (k->type == MQTT_PUBREL)
                    peer_ack(members[i], MQTT_PUBCOMP, k->pid, 0);
                if (k->type != MQTT_PUBLISH)
                    continue;
                note(g, i, k);
                if (k->qos)
                    peer_ack(members[i], k->qos == 2 ? MQTT_PUBREC : MQTT_PUBACK, k->pid, 0);
            }
    }
}

static void publish_numbers(struct rig *rig, struct peer *from, unsigned first, unsigned end, uint8_t qos)
{
    for (unsigned i = first; i < end; i++)
        peer_publish(from, "job/x", number(i), qos, false);
    rig_run(rig);
    for (struct packet *k; (k = peer_take(from));) {
        if (k->type == MQTT_PUBREC)
            peer_ack(from, MQTT_PUBREL, k->pid, 0);
        assert_true(k->reason < 0x80);
        rig_run(rig);
    }
}

static void each_once(const struct got *g, unsigned first, unsigned end)
{
    for (unsigned i = first; i < end; i++)
        if (g->total[i] != 1)
            fail_msg("message %u came %u times", i, g->total[i]);
}

/* ---- who gets it ---- */

static void each_message_goes_to_one(struct rig *rig)
{
    static const bool kinds[][3] = { { true, true, true }, { false, false, false }, { true, false, true } };
    for (size_t kind = 0; kind < 3; kind++) {
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
        struct peer *w[3];
        for (unsigned i = 0; i < 3; i++) {
            w[i] = worker(rig, i, kinds[kind][i], false);
            peer_subscribed(w[i], GROUP, 2);
        }
        struct got g = { 0 };
        for (uint8_t qos = 0; qos <= 2; qos++)
            for (unsigned i = 0; i < 30; i++) {
                publish_numbers(rig, from, qos * 30 + i, qos * 30 + i + 1, qos);
                finish_all(rig, w, 3, &g);
            }
        each_once(&g, 0, 90);
        /* In turn among equals: QoS 1 and 2 among those who last, if there are any. */
        static const unsigned shares[][3] = { { 30, 30, 30 }, { 30, 30, 30 }, { 40, 10, 40 } };
        for (unsigned i = 0; i < 3; i++)
            if (g.count[i] != shares[kind][i])
                fail_msg("kind %zu: member %u got %u", kind, i, g.count[i]);
        rig_must_agree(rig);
        for (unsigned i = 0; i < 3; i++) {
            peer_close(w[i]);
            forget(rig, i);
        }
        peer_close(from);
        rig_run(rig);
    }
}

static void a_burst_is_spread(struct rig *rig)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer *w[3];
    for (unsigned i = 0; i < 3; i++)
        peer_subscribed(w[i] = worker(rig, i, rig->config.seed % 2, false), GROUP, 1);
    struct got g = { 0 };
    publish_numbers(rig, from, 0, 60, 1);
    finish_all(rig, w, 3, &g);
    each_once(&g, 0, 60);
    for (unsigned i = 0; i < 3; i++)
        if (g.count[i] < 15)
            fail_msg("member %u got %u of 60", i, g.count[i]);
}

static void groups_and_others_get_their_own_copies(struct rig *rig)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer *a = worker(rig, 0, true, false), *b = worker(rig, 1, false, false);
    peer_subscribed_as(a, GROUP, 1, 11);
    peer_subscribed_as(a, "$share/others/job/x", 2, 12);
    peer_subscribed_as(a, "job/#", 0, 13);
    peer_subscribed(b, "job/x", 1);
    peer_published(from, "job/x", "1", 2, false, 0);
    rig_run(rig);
    unsigned seen[20] = { 0 };
    for (struct packet *k; (k = peer_take(a));) {
        assert_int_equal(k->type, MQTT_PUBLISH);
        assert_int_equal(k->props.sub_id_count, 1);
        assert_int_equal(k->qos, k->props.sub_id == 11 ? 1 : k->props.sub_id == 12 ? 2 : 0); /* [MQTT-4.8.2-3] */
        seen[k->props.sub_id]++;
    }
    assert_true(seen[11] == 1 && seen[12] == 1 && seen[13] == 1);
    peer_accepts(b, peer_expect_publish(b, "job/x", "1", 1));
    rig_must_agree(rig);
}

static void the_granted_qos_holds_for_each_member(struct rig *rig)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer *w[3];
    for (unsigned i = 0; i < 3; i++)
        peer_subscribed(w[i] = worker(rig, i, true, false), GROUP, (uint8_t)i);
    for (unsigned n = 0; n < 9; n++) {
        peer_published(from, "job/x", "1", 2, false, 0);
        rig_run(rig);
        unsigned came = 0;
        for (unsigned i = 0; i < 3; i++)
            for (struct packet *k; (k = peer_take(w[i]));) {
                if (k->type != MQTT_PUBLISH)
                    continue;
                assert_int_equal(k->qos, i);
                peer_accepts(w[i], k);
                came++;
            }
        assert_int_equal(came, 1);
    }
}

static void retained_messages_are_not_sent(struct rig *rig)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer *to = worker(rig, 0, true, false);
    peer_published(from, "job/kept", "1", 1, true, 0);
    peer_subscribed(to, GROUP, 1);
    peer_expect_nothing(to);
    peer_published(from, "job/kept", "2", 1, true, 0);
    assert_false(peer_expect_publish(to, "job/kept", "2", 1)->retain);
}

static void names_of_groups_have_rules(struct rig *rig)
{
    static const char *const wrong[] = { "$share/", "$share/a", "$share/a/", "$share//b", "$share/a+/b", "$share/a#/b",
                                         "$share/+/b", "$share/a/b/#/c" };
    static const char *const right[] = { "$share/a/b", "$share/a//", "$share/a/#", "$share/$share/a", "$Share/a" };
    struct peer *p = worker(rig, 0, true, false);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        peer_subscribe(p, wrong[i], 1);
        if (peer_expect(p, MQTT_SUBACK)->reason != MQTT_FILTER_INVALID)
            fail_msg("%s", wrong[i]);
    }
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
        peer_subscribed(p, right[i], 1);
    struct mqtt_filter local = { .filter = BYTES_LIT(GROUP), .no_local = true }; /* [MQTT-3.8.3-4] */
    peer_subscribe_full(p, &local);
    assert_int_equal(peer_expect(p, MQTT_DISCONNECT)->reason, MQTT_PROTOCOL_ERROR);
}

static void older_clients_share(struct rig *rig)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer *w[2];
    for (unsigned i = 0; i < 2; i++) {
        struct peer_connect c = { .client_id = i ? "old 1" : "old 0", .version = MQTT_3_1_1, .clean_start = rig->config.seed % 2 };
        w[i] = peer_connected(rig, shard_of(rig, i), &c, false);
        peer_subscribed(w[i], GROUP, 1);
    }
    struct got g = { 0 };
    for (unsigned i = 0; i < 10; i++) {
        publish_numbers(rig, from, i, i + 1, 1);
        finish_all(rig, w, 2, &g);
    }
    each_once(&g, 0, 10);
    assert_int_equal(g.count[0], 5);
}

static void two_groups(struct rig_config *config)
{
    config->limits.shared_groups = 2;
}
static void a_client_has_so_many_groups(struct rig *rig)
{
    struct peer *p = worker(rig, 0, true, false);
    peer_subscribed(p, "$share/a/x", 1);
    peer_subscribed(p, "$share/a/y", 1);
    peer_subscribe(p, "$share/a/z", 1);
    assert_int_equal(peer_expect(p, MQTT_SUBACK)->reason, MQTT_QUOTA_EXCEEDED);
    peer_subscribed(p, "$share/a/y", 0); /* not one more */
    peer_subscribed(p, "z", 1);
    peer_unsubscribe(p, "$share/a/y");
    assert_int_equal(peer_expect(p, MQTT_UNSUBACK)->reason, 0);
    peer_subscribed(p, "$share/a/z", 1);
}

static void many_members_take_turns(struct rig *rig)
{
    enum { MANY = 300 };
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    static struct peer *w[MANY];
    char name[16];
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "m%u", i);
        struct peer_connect c = { .client_id = name, .expiry_s = rig->config.seed % 2 ? 3600 : 0 };
        w[i] = peer_connected(rig, shard_of(rig, i), &c, false);
        peer_subscribed(w[i], GROUP, 1);
    }
    for (unsigned i = 0; i < MANY; i += 3) { /* some leave, from everywhere */
        peer_hang_up(w[i]);
        rig_run(rig);
    }
    for (unsigned i = 0; i < 2 * MANY; i++)
        peer_published(from, "job/x", "1", 1, false, 0);
    unsigned total = 0, most = 0;
    for (unsigned i = 0; i < MANY; i++) {
        unsigned n = 0;
        for (struct packet *k; (k = peer_take(w[i]));)
            n += k->type == MQTT_PUBLISH;
        total += n;
        most = n > most ? n : most;
    }
    assert_int_equal(total, 2 * MANY);
    assert_true(most <= 4);
}

/* ---- slow members ---- */

static void a_slow_member_gets_what_it_can_take(struct rig *rig)
{
    for (unsigned kind = 0; kind < 2; kind++) { /* their sessions: durable, not */
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
        struct peer_connect narrow = { .client_id = "narrow", .receive_max = 2, .expiry_s = kind ? 0 : 3600 };
        struct peer *slow = peer_connected(rig, 0, &narrow, false);
        struct peer *fast = worker(rig, 1, !kind, false);
        peer_subscribed(slow, GROUP, 1);
        peer_subscribed(fast, GROUP, 1);
        struct got g = { 0 };
        for (unsigned i = 0; i < 40; i++) {
            publish_numbers(rig, from, i, i + 1, 1);
            finish_all(rig, &fast, 1, &g);
        }
        rig_run(rig);
        unsigned n = 0;
        for (struct packet *k; (k = peer_take(slow)); n++)
            peer_ack(slow, MQTT_PUBACK, k->pid, 0);
        assert_true(n >= 1 && n <= 2); /* its window is 2 */
        assert_int_equal(g.count[0] + n, 40);
        publish_numbers(rig, from, 40, 44, 1); /* now it can again */
        rig_run(rig);
        assert_true(peer_peek(slow) != NULL);
        peer_close(slow);
        peer_close(fast);
        peer_close(from);
        rig_run(rig);
        struct peer_connect end = { .client_id = "worker 1", .clean_start = true };
        peer_close(peer_connected(rig, 0, &end, false));
        end.client_id = "narrow";
        peer_close(peer_connected(rig, 0, &end, false));
        rig_run(rig);
    }
}

/* ---- members that go ---- */

static void nobody_there_means_waiting(struct rig *rig, enum ending *ending)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer *w[2];
    for (unsigned i = 0; i < 2; i++) {
        peer_subscribed(w[i] = worker(rig, i, true, false), GROUP, 2);
        peer_disconnect(w[i], 0);
        rig_run(rig);
    }
    publish_numbers(rig, from, 0, 20, 1);
    publish_numbers(rig, from, 20, 40, 2);
    assert_int_equal(stats_of(rig).queued_messages, 40);
    if (ending)
        rig_restart(rig, *ending);
    rig_must_agree(rig);
    struct got g = { 0 };
    for (unsigned i = 0; i < 2; i++)
        w[i] = worker(rig, i, true, true);
    finish_all(rig, w, 2, &g);
    each_once(&g, 0, 40);
    assert_int_equal(g.count[0], 20);
    assert_int_equal(stats_of(rig).queued_messages, 0);
}
static void nobody_there_means_waiting_here(struct rig *rig)
{
    nobody_there_means_waiting(rig, NULL);
}
static void nobody_there_means_waiting_across_a_crash(struct rig *rig)
{
    nobody_there_means_waiting(rig, &(enum ending){ CRASH });
}

enum going { AWAY, CLEAN_START, EXPIRY, UNSUBSCRIBE, GOINGS };

/* One member with a window of 3 and much waiting goes in some way; the other one gets what it may. */
static void a_member_goes(struct rig *rig, enum going how, uint8_t qos, bool keeps, enum ending *ending)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer_connect narrow = { .client_id = "narrow", .receive_max = 3, .expiry_s = keeps ? 100 : 0 };
    struct peer *going = peer_connected(rig, 0, &narrow, false);
    peer_subscribed(going, GROUP, 2);
    publish_numbers(rig, from, 0, 20, qos);
    struct peer *stays = worker(rig, 1, keeps, false);
    peer_subscribed(stays, GROUP, 2);
    for (unsigned i = 0; i < 3; i++) /* sent and not acknowledged */
        assert_true(peer_expect(going, MQTT_PUBLISH)->payload.len > 0);
    bool stays_with_it = how == AWAY && keeps;
    if (how == AWAY || how == EXPIRY || how == CLEAN_START)
        peer_hang_up(going);
    if (how == UNSUBSCRIBE) {
        peer_unsubscribe(going, GROUP);
        (void)peer_expect(going, MQTT_UNSUBACK);
    }
    rig_run(rig);
    if (how == CLEAN_START) {
        narrow.clean_start = true;
        going = peer_connected(rig, 0, &narrow, false);
    } else if (how == EXPIRY) {
        rig_advance(rig, 105 * (int64_t)1000000);
    }
    rig_run(rig);
    rig_must_agree(rig);
    if (ending) {
        rig_restart(rig, *ending);
        stays = worker(rig, 1, true, true);
    }
    struct got g = { 0 };
    finish_all(rig, &stays, 1, &g);
    bool again = !stays_with_it && how != UNSUBSCRIBE && qos == 1; /* [MQTT-4.8.2-5] */
    for (unsigned i = 0; i < 20; i++)
        if (g.total[i] != (i >= 3 || again))
            fail_msg("how %d, QoS %u, keeps %d: message %u came %u times", how, qos, keeps, i, g.total[i]);
    if (how == UNSUBSCRIBE && !ending) { /* what was sent is finished by the one who has it */
        rig_run(rig);
        peer_expect_nothing(going);
    }
    if (stays_with_it) {
        uint16_t pids[3];
        going = peer_connected(rig, 0, &narrow, true);
        for (unsigned i = 0; i < 3; i++) {
            struct packet *k = peer_expect_publish(going, "job/x", number(i), qos);
            assert_true(k->dup);
            pids[i] = k->pid;
        }
        for (unsigned i = 0; i < 3; i++)
            peer_ack(going, qos == 2 ? MQTT_PUBREC : MQTT_PUBACK, pids[i], 0);
        finish_all(rig, &going, 1, &g);
        assert_int_equal(g.count[0], 17);
        assert_int_equal(stats_of(rig).queued_messages, 0);
    }
}

static void what_was_not_sent_goes_to_others(struct rig *rig, enum ending *ending)
{
    for (enum going how = AWAY; how < GOINGS; how++)
        for (uint8_t qos = 1; qos <= 2; qos++)
            for (int keeps = ending ? 1 : 0; keeps < 2; keeps++) {
                if (!keeps && (how == CLEAN_START || how == EXPIRY || how == UNSUBSCRIBE))
                    continue;
                a_member_goes(rig, how, qos, keeps, ending);
                rig_restart(rig, ORDERLY); /* all peers go; then the sessions */
                struct peer_connect end = { .client_id = "narrow", .clean_start = true };
                peer_close(peer_connected(rig, 0, &end, false));
                end.client_id = "worker 1";
                peer_close(peer_connected(rig, 0, &end, false));
                rig_run(rig);
            }
}
static void members_go(struct rig *rig)
{
    what_was_not_sent_goes_to_others(rig, NULL);
}
static void members_go_and_the_node_stops(struct rig *rig)
{
    what_was_not_sent_goes_to_others(rig, &(enum ending){ ORDERLY });
}
static void members_go_and_the_node_crashes(struct rig *rig)
{
    what_was_not_sent_goes_to_others(rig, &(enum ending){ CRASH });
}

static void subscribe_as_published(struct peer *p, bool as_published)
{
    struct mqtt_filter f = { .filter = BYTES_LIT(GROUP), .qos = 1, .retain_as_published = as_published };
    peer_subscribe_full(p, &f);
    assert_int_equal(peer_expect(p, MQTT_SUBACK)->reason, 1);
}

/* Retain As Published is the subscription's of whoever gets it in the end [MQTT-3.3.1-12], [MQTT-3.3.1-13]. */
static void a_move_keeps_retain_as_the_new_member_wants_it(struct rig *rig)
{
    for (unsigned kind = 0; kind < 8; kind++) {
        bool wants = kind & 1, keeps = kind & 2, crash = (kind & 4) && keeps;
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
        struct peer_connect narrow = { .client_id = "narrow", .receive_max = 1, .expiry_s = 3600 };
        struct peer *going = peer_connected(rig, 0, &narrow, false), *stays;
        subscribe_as_published(going, !wants);
        for (unsigned i = 0; i < 6; i++)
            peer_published(from, "job/x", number(i), 1, i % 2, 0);
        (void)peer_expect_publish(going, "job/x", "0", 1);
        stays = worker(rig, 1, keeps, false);
        subscribe_as_published(stays, wants);
        if (keeps) {
            peer_unsubscribe(going, GROUP);
            (void)peer_expect(going, MQTT_UNSUBACK);
        } else {
            peer_close(going);
            rig_run(rig);
            narrow.clean_start = true;
            (void)peer_connected(rig, 0, &narrow, false);
        }
        if (crash) {
            rig_restart(rig, CRASH);
            stays = worker(rig, 1, keeps, true);
        }
        for (unsigned i = keeps ? 1 : 0; i < 6; i++) {
            struct packet *k = peer_expect_publish(stays, "job/x", number(i), 1);
            if (k->retain != (wants && i % 2))
                fail_msg("kind %u: message %u has retain %d", kind, i, k->retain);
            peer_accepts(stays, k);
        }
        rig_must_agree(rig);
        rig_restart(rig, ORDERLY);
        forget(rig, 1);
        narrow.clean_start = true;
        narrow.expiry_s = 0;
        peer_close(peer_connected(rig, 0, &narrow, false));
        rig_run(rig);
    }
}

/* From a session that ends with its connection to one that stays, and the other way round. */
static void kinds_may_be_mixed(struct rig *rig)
{
    for (unsigned kind = 0; kind < 2; kind++) {
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
        struct peer_connect narrow = { .client_id = "narrow", .receive_max = 1, .expiry_s = kind ? 5 : 0 };
        struct peer *going = peer_connected(rig, 0, &narrow, false);
        peer_subscribed(going, GROUP, 1);
        publish_numbers(rig, from, 0, 20, 1);
        struct peer *stays = worker(rig, 2, !kind, false);
        peer_subscribed(stays, GROUP, 1);
        peer_hang_up(going);
        rig_advance(rig, 7000000);
        struct got g = { 0 };
        if (!kind) {
            rig_restart(rig, CRASH); /* it is in the log now */
            stays = worker(rig, 2, true, true);
        }
        finish_all(rig, &stays, 1, &g);
        each_once(&g, 0, 20);
        peer_close(stays);
        if (kind)
            peer_close(from);
        rig_run(rig);
        struct peer_connect end = { .client_id = "worker 2", .clean_start = true };
        peer_close(peer_connected(rig, 0, &end, false));
        rig_run(rig);
    }
}

/* A session whose end cannot be recorded keeps what it is owed, however often its end is tried. */
static void who_cannot_end_gives_nothing_away(struct rig *rig)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer_connect narrow = { .client_id = "narrow", .receive_max = 1, .expiry_s = 2 };
    struct peer *going = peer_connected(rig, 0, &narrow, false);
    peer_subscribed(going, GROUP, 2);
    publish_numbers(rig, from, 0, 5, 1);
    publish_numbers(rig, from, 5, 10, 2);
    struct peer *stays = worker(rig, 3, false, false);
    peer_subscribed(stays, GROUP, 2);
    memfs_fail(rig->fs, FS_FDATASYNC, 1, EIO, true);
    peer_hang_up(going);
    rig_advance(rig, 20 * (int64_t)1000000);
    assert_true(journal_failed(rig->journal));
    struct got g = { 0 };
    finish_all(rig, &stays, 1, &g);
    assert_int_equal(g.count[0], 0);
    assert_int_equal(stats_of(rig).refused_full, 0); /* nor is it tried */
    memfs_fail(rig->fs, FS_FDATASYNC, 0, 0, false);
    rig_restart(rig, CRASH);
    stays = worker(rig, 2, true, false);
    peer_subscribed(stays, GROUP, 2);
    rig_advance(rig, 20 * (int64_t)1000000);
    finish_all(rig, &stays, 1, &g);
    each_once(&g, 0, 10);
}

/* What was acknowledged outlasts a crash wherever somebody in the group can see to that. */
static void who_lasts_is_preferred(struct rig *rig)
{
    for (unsigned away = 0; away < 2; away++) {
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
        struct peer *lasting = worker(rig, 2, true, false);
        peer_subscribed(lasting, GROUP, 1);
        struct peer *fleeting[2];
        for (unsigned i = 0; i < 2; i++) {
            fleeting[i] = worker(rig, i, false, false);
            peer_subscribed(fleeting[i], GROUP, 1);
        }
        if (away)
            peer_hang_up(lasting);
        rig_run(rig);
        publish_numbers(rig, from, 0, 20, 1); /* each is acknowledged */
        for (unsigned i = 0; i < 2; i++)
            peer_expect_nothing(fleeting[i]);
        rig_restart(rig, CRASH);
        struct got g = { 0 };
        lasting = worker(rig, 2, true, true);
        finish_all(rig, &lasting, 1, &g);
        each_once(&g, 0, 20);
        forget(rig, 2);
    }
}

/* QoS 0 promises nothing; nor does a subscription with QoS 0, whoever holds it. */
static void who_lasts_does_not_get_everything(struct rig *rig)
{
    struct peer *from = peer_connected(rig, 0, &sender, false);
    struct peer *lasting = worker(rig, 2, true, false), *fleeting = worker(rig, 3, false, false);
    struct peer *both[2] = { lasting, fleeting };
    peer_subscribed(lasting, GROUP, 1);
    peer_subscribed(fleeting, GROUP, 1);
    publish_numbers(rig, from, 0, 20, 0);
    struct got g = { 0 };
    finish_all(rig, both, 2, &g);
    assert_true(g.count[0] > 0 && g.count[1] > 0);
    peer_subscribed(lasting, GROUP, 0); /* it steps back */
    publish_numbers(rig, from, 20, 40, 1);
    struct got later = { 0 };
    finish_all(rig, both, 2, &later);
    assert_true(later.count[1] > 0);
    each_once(&later, 20, 40);
    peer_subscribed(lasting, GROUP, 1); /* and returns */
    publish_numbers(rig, from, 40, 60, 1);
    struct got last = { 0 };
    finish_all(rig, both, 2, &last);
    assert_int_equal(last.count[1], 0);
    each_once(&last, 40, 60);
}

static void rather_refuse(struct rig_config *config)
{
    config->limits.on_full = ON_FULL_REFUSE;
}
/* Somebody who is away and is owed nothing there is nobody to wait for. */
static void who_keeps_nothing_does_not_stand_in_the_way(struct rig *rig)
{
    struct peer *from = peer_connected(rig, 0, &sender, false);
    struct peer *away = worker(rig, 2, true, false), *fleeting = worker(rig, 3, false, false);
    peer_subscribed(away, GROUP, 0);
    peer_subscribed(fleeting, GROUP, 1);
    struct got g = { 0 };
    for (unsigned i = 0; i < 3; i++) {
        publish_numbers(rig, from, i * 20, i * 20 + 20, 1);
        if (i == 0)
            peer_hang_up(away);
        rig_run(rig);
    }
    finish_all(rig, &fleeting, 1, &g);
    each_once(&g, 20, 60);
}

static void short_queues(struct rig_config *config)
{
    config->limits.queued_messages = 1;
}
/* However many of those who come first cannot be given it, somebody behind them can. */
static void who_cannot_take_it_does_not_hide_the_others(struct rig *rig)
{
    enum { FULL = 40, ALL = FULL + 2 };
    struct peer *from = peer_connected(rig, 0, &sender, false);
    struct peer *w[ALL];
    for (unsigned i = 0; i < ALL; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m%u", i);
        struct peer_connect c = { .client_id = name, .expiry_s = 3600 };
        peer_subscribed(w[i] = peer_connected(rig, shard_of(rig, i), &c, false), GROUP, 1);
    }
    publish_numbers(rig, from, 0, ALL, 1); /* one for each: nobody has room */
    struct got g = { 0 };
    finish_all(rig, w + FULL, 2, &g);
    assert_int_equal(g.count[0] + g.count[1], 2);
    for (unsigned i = ALL; i < ALL + 50; i++) {
        publish_numbers(rig, from, i, i + 1, 1);
        finish_all(rig, w + FULL, 2, &g);
    }
    each_once(&g, ALL, ALL + 50);
    assert_int_equal(stats_of(rig).dropped_queue, 0);
}

/* A connection whose CONNACK is not out takes nothing yet. */
static void who_is_just_coming_gets_no_qos_0(struct rig *rig)
{
    struct peer *from = peer_connected(rig, 0, &sender, false);
    struct peer *there = worker(rig, 1, false, false), *coming = worker(rig, 2, true, false);
    peer_subscribed(there, GROUP, 1);
    peer_subscribed(coming, GROUP, 1);
    peer_close(coming);
    rig_run(rig);
    coming = peer_open(rig, shard_of(rig, 2));
    struct peer_connect c = { .client_id = "worker 2", .expiry_s = 3600 };
    peer_connect(coming, &c);
    rig_run_without_disk(rig);
    for (unsigned i = 0; i < 10; i++)
        peer_publish(from, "job/x", number(i), 0, false);
    rig_run_without_disk(rig);
    assert_null(peer_take(coming)); /* it waits for the disk */
    struct got g = { 0 };
    finish_all(rig, &there, 1, &g);
    each_once(&g, 0, 10);
    (void)peer_expect(coming, MQTT_CONNACK);
    publish_numbers(rig, from, 10, 20, 0);
    struct peer *both[2] = { there, coming };
    finish_all(rig, both, 2, &g);
    each_once(&g, 0, 20);
    assert_int_equal(g.count[1], 5);
}

static void the_last_one_keeps_what_it_has(struct rig *rig)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer_connect narrow = { .client_id = "narrow", .receive_max = 2, .expiry_s = 100 };
    struct peer *p = peer_connected(rig, 0, &narrow, false);
    peer_subscribed(p, GROUP, 1);
    publish_numbers(rig, from, 0, 10, 1);
    peer_unsubscribe(p, GROUP);
    struct got g = { 0 };
    finish_all(rig, &p, 1, &g);
    each_once(&g, 0, 10);
    peer_published(from, "job/x", "11", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
}

/* [MQTT-4.8.2-6] */
static void a_refused_message_is_over(struct rig *rig)
{
    for (unsigned n = 0; n < 4; n++) {
        uint8_t qos = 1 + n % 2;
        bool keeps = n >= 2;
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
        struct peer *w[2];
        for (unsigned i = 0; i < 2; i++)
            peer_subscribed(w[i] = worker(rig, i, keeps, n == 3), GROUP, 2);
        publish_numbers(rig, from, 0, 2, qos);
        rig_run(rig);
        for (unsigned i = 0; i < 2; i++) {
            struct packet *k = peer_expect(w[i], MQTT_PUBLISH);
            peer_ack(w[i], qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, k->pid, MQTT_UNSPECIFIED);
        }
        rig_run(rig);
        for (unsigned i = 0; i < 2; i++) {
            peer_expect_nothing(w[i]);
            peer_close(w[i]);
            rig_run(rig);
        }
        assert_int_equal(stats_of(rig).queued_messages, 0);
        peer_close(from);
        rig_run(rig);
    }
}

static void a_takeover_keeps_its_place(struct rig *rig)
{
    struct peer *from = peer_connected(rig, shard_of(rig, 1), &sender, false);
    struct peer *first = worker(rig, 0, true, false);
    peer_subscribed(first, GROUP, 2);
    struct got g = { 0 };
    for (unsigned i = 0; i < 6; i++) {
        publish_numbers(rig, from, i * 10, i * 10 + 10, 1 + i % 2);
        struct peer_connect c = { .client_id = "worker 0", .expiry_s = 3600 };
        struct peer *second = peer_open(rig, shard_of(rig, i));
        peer_connect(second, &c);
        rig_run(rig);
        assert_true(peer_expect(second, MQTT_CONNACK)->session_present);
        peer_close(first);
        first = second;
    }
    finish_all(rig, &first, 1, &g);
    each_once(&g, 0, 60);
}

/* Random goings and comings of every kind; nothing is lost and nothing comes twice to those who acknowledge. */
static void nothing_is_lost_in_a_crowd(struct rig *rig)
{
    struct random dice = { rig->config.seed * 77 };
    struct peer *w[MEMBERS] = { 0 };
    struct got g = { 0 };
    struct peer *from = peer_connected(rig, 0, &sender, false);
    for (unsigned i = 0; i < MEMBERS; i++)
        peer_subscribed(w[i] = worker(rig, i, true, false), GROUP, 2);
    for (unsigned n = 0; n < TEXTS;) {
        unsigned who = (unsigned)random_below(&dice, MEMBERS), more = 1 + (unsigned)random_below(&dice, 6);
        more = n + more > TEXTS ? TEXTS - n : more;
        publish_numbers(rig, from, n, n + more, 2);
        n += more;
        if (random_chance(&dice, 30))
            finish_all(rig, w, MEMBERS, &g);
        if (w[who] && random_chance(&dice, 50)) {
            peer_close(w[who]);
            w[who] = NULL;
            rig_run(rig);
        } else if (!w[who]) {
            w[who] = worker(rig, who, true, true);
        }
        if (random_chance(&dice, 5)) {
            finish_all(rig, w, MEMBERS, &g); /* unfinished QoS 2 is the ledger's business */
            rig_restart(rig, random_chance(&dice, 50) ? CRASH : ORDERLY);
            memset(w, 0, sizeof w);
            from = peer_connected(rig, 0, &sender, false);
        }
        rig_must_agree(rig);
    }
    for (unsigned i = 0; i < MEMBERS; i++)
        if (!w[i])
            w[i] = worker(rig, i, true, true);
    finish_all(rig, w, MEMBERS, &g);
    for (unsigned i = 0; i < TEXTS; i++) /* sent again after a connection that ended, to the same member */
        if (g.total[i] == 0)
            fail_msg("message %u is lost", i);
    assert_int_equal(stats_of(rig).queued_messages, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(each_message_goes_to_one, NULL),
        RIG_TEST(a_burst_is_spread, NULL),
        RIG_TEST(groups_and_others_get_their_own_copies, NULL),
        RIG_TEST(the_granted_qos_holds_for_each_member, NULL),
        RIG_TEST(retained_messages_are_not_sent, NULL),
        RIG_TEST(names_of_groups_have_rules, NULL),
        RIG_TEST(older_clients_share, NULL),
        RIG_TEST(a_client_has_so_many_groups, two_groups),
        RIG_TEST(many_members_take_turns, NULL),
        RIG_TEST(a_slow_member_gets_what_it_can_take, NULL),
        RIG_TEST(nobody_there_means_waiting_here, NULL),
        RIG_TEST(nobody_there_means_waiting_across_a_crash, NULL),
        RIG_TEST(members_go, NULL),
        RIG_TEST(members_go_and_the_node_stops, NULL),
        RIG_TEST(members_go_and_the_node_crashes, NULL),
        RIG_TEST(a_move_keeps_retain_as_the_new_member_wants_it, NULL),
        RIG_TEST(kinds_may_be_mixed, NULL),
        RIG_TEST(who_cannot_end_gives_nothing_away, NULL),
        RIG_TEST(who_lasts_is_preferred, NULL),
        RIG_TEST(who_lasts_does_not_get_everything, NULL),
        RIG_TEST(who_keeps_nothing_does_not_stand_in_the_way, rather_refuse),
        RIG_TEST(who_cannot_take_it_does_not_hide_the_others, short_queues),
        RIG_TEST(who_is_just_coming_gets_no_qos_0, NULL),
        RIG_TEST(the_last_one_keeps_what_it_has, NULL),
        RIG_TEST(a_refused_message_is_over, NULL),
        RIG_TEST(a_takeover_keeps_its_place, NULL),
        RIG_TEST(nothing_is_lost_in_a_crowd, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
