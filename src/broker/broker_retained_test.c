/* Retained messages for new subscriptions, through the whole broker: all of them, a few per turn, whatever
 * happens meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/mem.h"
#include "support/broker_tests.h"

static const struct peer_connect keeps = { .client_id = "keeper", .expiry_s = 3600 };
static const struct peer_connect leaves = { .client_id = "leaver" };
static const struct peer_connect old = { .client_id = "older", .version = MQTT_3_1_1, .clean_start = true };
static const struct peer_connect machine = { .client_id = "machine" };

static void large_segments(struct rig_config *config)
{
    config->segment_bytes = 4 << 20;
}

/* n messages of `size` bytes, each beginning with `mark`, under plant/I. */
static void retain_many(struct rig *rig, unsigned n, size_t size, char mark, uint8_t qos)
{
    char topic[32], *payload = malloc(size);
    memset(payload, '.', size);
    payload[0] = mark;
    struct peer *from = peer_connected(rig, 0, &machine, false);
    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(topic, sizeof topic, "plant/%u", i);
        struct peer_publish m = { .topic = bytes_str(topic), .payload = bytes_of(payload, size), .qos = qos,
                                  .retain = true };
        peer_publish_full(from, &m);
        if (i % 32 == 31)
            rig_run(rig);
        for (struct packet *k; (k = peer_take(from));)
            if (k->type == MQTT_PUBREC)
                peer_ack(from, MQTT_PUBREL, k->pid, 0);
    }
    rig_run(rig);
    peer_close(from);
    rig_run(rig);
    free(payload);
    assert_int_equal(stats_of(rig).retained, n);
}

static unsigned topic_number(const struct packet *k)
{
    unsigned i;
    char text[32];
    (void)snprintf(text, sizeof text, "%.*s", BYTES_FMT(k->topic));
    assert_int_equal(sscanf(text, "plant/%u", &i), 1);
    return i;
}

/* What has come: how often for each topic, and how its last one begins. */
struct got {
    unsigned times[3000];
    char     mark[3000];
    unsigned count, subacks, unsubacks;
};

static void take_all(struct peer *p, struct got *g)
{
    for (bool more = true; more;) {
        rig_run(p->rig);
        more = false;
        for (struct packet *k; (k = peer_take(p)); more = true) {
            g->subacks += k->type == MQTT_SUBACK;
            g->unsubacks += k->type == MQTT_UNSUBACK;
            if (k->type == MQTT_PUBREL)
                peer_ack(p, MQTT_PUBCOMP, k->pid, 0);
            if (k->type != MQTT_PUBLISH)
                continue;
            unsigned i = topic_number(k);
            assert_true(i < 3000);
            g->times[i]++;
            g->mark[i] = k->payload.len ? (char)k->payload.at[0] : 0;
            g->count++;
            if (k->qos)
                peer_ack(p, k->qos == 2 ? MQTT_PUBREC : MQTT_PUBACK, k->pid, 0);
        }
    }
}

static struct got *got_new(void)
{
    struct got *g = calloc(1, sizeof *g);
    assert_non_null(g);
    return g;
}

static void each_came_once(const struct got *g, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (g->times[i] != 1)
            fail_msg("plant/%u came %u times", i, g->times[i]);
    assert_int_equal(g->count, n);
}

static void all_reach_who_reads(struct rig *rig)
{
    retain_many(rig, 3000, 5000, 'a', 0); /* twice what may be unsent at once */
    static const struct peer_connect *const kinds[] = { &leaves, &keeps, &old };
    for (size_t kind = 0; kind < 3; kind++) {
        struct got *g = got_new();
        struct peer *p = peer_connected(rig, shard_of(rig, 1), kinds[kind], false);
        peer_subscribe(p, "plant/#", 1);
        take_all(p, g);
        each_came_once(g, 3000);
        free(g);
        peer_close(p);
        rig_run(rig);
    }
    assert_int_equal(stats_of(rig).dropped_slow, 0);
}

static void who_reads_later_gets_them_later(struct rig *rig)
{
    retain_many(rig, 2000, 5000, 'a', 0);
    struct got *g = got_new();
    struct peer *p = peer_connected(rig, 0, &leaves, false);
    sim_stall(p->sim, 100000);
    peer_subscribed(p, "plant/+", 0);
    rig_run(rig);
    uint64_t sent = stats_of(rig).sent[0];
    if (sent > 200) /* what fits into the window and under the output's mark, and one slice */
        fail_msg("%llu were sent to a reader that does not read", (unsigned long long)sent);
    take_all(p, g);
    each_came_once(g, 2000);
    assert_int_equal(stats_of(rig).dropped_slow, 0);
    free(g);
    peer_close(p);
}

/* ---- others have their turns ---- */

struct probe { /* one look in every turn */
    struct letter letter;
    struct rig   *rig;
    struct peer  *other;
    uint64_t      sent, most, total;
    unsigned      turns, asked, answered;
};

static void look_in(struct letter *letter, struct loop *here)
{
    struct probe *probe = (struct probe *)((char *)letter - offsetof(struct probe, letter));
    uint64_t sent = stats_of(probe->rig).sent[0];
    probe->most = sent - probe->sent > probe->most ? sent - probe->sent : probe->most;
    probe->sent = sent;
    probe->turns++;
    if (sent && !probe->asked) {
        peer_ping(probe->other);
        probe->asked = probe->turns;
    }
    if (!probe->answered && peer_peek(probe->other))
        probe->answered = probe->turns;
    if (sent < probe->total)
        loop_post(here, letter);
}

static void others_have_their_turns_in_between(struct rig *rig)
{
    retain_many(rig, 2000, 100, 'a', 0);
    struct peer *p = peer_connected(rig, 0, &leaves, false);
    struct peer *other = peer_connected(rig, 0, &machine, false);
    struct probe probe = { .letter.open = look_in, .rig = rig, .other = other, .total = 6000 };
    static struct mqtt_filter list[3] = { { .next = &list[1], .filter = BYTES_LIT("#") },
                                          { .next = &list[2], .filter = BYTES_LIT("plant/#") },
                                          { .filter = BYTES_LIT("+/+") } };
    peer_subscribe_full(p, list);
    loop_post(rig->loops[0], &probe.letter);
    rig_run(rig);
    assert_int_equal(probe.sent, 6000);
    assert_true(probe.most <= 128);
    assert_true(probe.turns >= 6000 / 128);
    assert_true(probe.answered && probe.answered <= probe.asked + 6);
    (void)peer_expect(other, MQTT_PINGRESP);
    struct got *g = got_new();
    take_all(p, g);
    assert_int_equal(g->count, 6000);
    for (unsigned i = 0; i < 2000; i++)
        assert_int_equal(g->times[i], 3);
    free(g);
    peer_close(p);
    peer_close(other);
}

static void two_who_ask_take_turns(struct rig *rig)
{
    retain_many(rig, 2000, 100, 'a', 0);
    struct peer *one = peer_connected(rig, 0, &leaves, false);
    struct peer *two = peer_connected(rig, 0, &machine, false);
    struct got *g = got_new(), *h = got_new();
    peer_subscribe(one, "#", 0);
    peer_subscribe(two, "+/+", 0);
    peer_subscribe(two, "plant/7", 0);
    rig_run(rig);
    take_all(one, g);
    take_all(two, h);
    each_came_once(g, 2000);
    assert_int_equal(h->count, 2001);
    assert_int_equal(h->times[7], 2);
    free(g);
    free(h);
    peer_close(one);
    peer_close(two);
}

/* ---- what is asked for ---- */

static void subscribe_with(struct peer *p, uint8_t handling, uint8_t qos)
{
    struct mqtt_filter f = { .filter = BYTES_LIT("plant/#"), .qos = qos, .retain_handling = handling };
    peer_subscribe_full(p, &f);
}

/* 3.8.3.1 */
static void retain_handling_is_what_was_asked_for(struct rig *rig)
{
    retain_many(rig, 300, 10, 'a', 1);
    static const struct peer_connect *const kinds[] = { &leaves, &keeps };
    for (size_t kind = 0; kind < 2; kind++)
        for (uint8_t qos = 0; qos <= 1; qos++) {
            static const struct { uint8_t handling; unsigned comes; } steps[] = {
                { 2, 0 }, { 1, 0 }, { 0, 300 }, { 0, 300 }, { 1, 0 } };
            struct got *g = got_new();
            struct peer *p = peer_connected(rig, 0, kinds[kind], kind && qos);
            for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
                g->count = 0;
                subscribe_with(p, steps[i].handling, qos);
                take_all(p, g);
                assert_int_equal(g->count, steps[i].comes);
            }
            peer_unsubscribe(p, "plant/#");
            take_all(p, g);
            g->count = 0;
            subscribe_with(p, 1, qos); /* it is new again */
            take_all(p, g);
            assert_int_equal(g->count, 300);
            peer_unsubscribe(p, "plant/#");
            take_all(p, g);
            peer_close(p);
            rig_run(rig);
            free(g);
        }
}

/* ---- QoS 1 and 2 ---- */

static void small_queues(struct rig_config *config)
{
    config->limits.queued_messages = 20;
}

/* What waits for a session that ends with its connection does not lie in its queue. */
static void a_small_window_loses_nothing(struct rig *rig)
{
    retain_many(rig, 500, 100, 'a', 2);
    for (uint8_t qos = 0; qos <= 2; qos++) {
        struct got *g = got_new();
        struct peer_connect narrow = leaves;
        narrow.receive_max = (uint16_t)(1 + qos * 3);
        struct peer *p = peer_connected(rig, 0, &narrow, false);
        peer_subscribed(p, "plant/#", qos);
        take_all(p, g);
        each_came_once(g, 500);
        peer_close(p);
        rig_run(rig);
        free(g);
    }
    assert_int_equal(stats_of(rig).dropped_queue, 0);
}

static void a_durable_queue_takes_as_many_as_it_may_hold(struct rig *rig)
{
    retain_many(rig, 500, 10, 'a', 1);
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    struct got *g = got_new();
    peer_subscribe(p, "plant/#", 1);
    rig_run(rig);
    assert_int_equal(stats_of(rig).queued_messages, 20);
    assert_int_equal(stats_of(rig).dropped_queue, 480);
    take_all(p, g);
    assert_int_equal(g->count, 20);
    assert_int_equal(g->subacks, 1);
    assert_int_equal(stats_of(rig).queued_messages, 0);
    free(g);
    peer_close(p);
}

static void look_for_suback(struct letter *letter, struct loop *here)
{
    struct probe *probe = (struct probe *)((char *)letter - offsetof(struct probe, letter));
    peer_receive(probe->other);
    for (const struct packet *k = probe->other->first; k; k = k->next)
        probe->answered += k->type == MQTT_SUBACK;
    if (probe->answered)
        probe->sent = stats_of(probe->rig).queued_messages;
    else if (++probe->turns % 100) /* the disk has its turns, too */
        loop_post(here, letter);
}

static void suback_comes_when_all_are_in_the_queue(struct rig *rig)
{
    retain_many(rig, 2000, 10, 'a', 1);
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    struct probe probe = { .letter.open = look_for_suback, .rig = rig, .other = p };
    peer_subscribe(p, "plant/#", 1);
    while (!probe.answered) {
        loop_post(rig->loops[0], &probe.letter);
        rig_run(rig);
    }
    assert_int_equal(probe.sent, 2000);
    peer_close(p);
}

/* SUBACK says that they are on disk: after it nobody would ask again. */
static void what_suback_promised_survives_a_crash(struct rig *rig)
{
    retain_many(rig, 600, 10, 'a', 1);
    struct peer *p = peer_connected(rig, 0, &keeps, false);
    static struct mqtt_filter list[2] = { { .next = &list[1], .filter = BYTES_LIT("plant/+"), .qos = 2 },
                                          { .filter = BYTES_LIT("plant/9"), .qos = 1 } };
    peer_subscribe_full(p, list);
    rig_run_without_disk(rig);
    for (struct packet *k; (k = peer_take(p));)
        assert_int_equal(k->type, MQTT_PUBLISH);
    bool acknowledged = false;
    while (!acknowledged) {
        rig_run(rig);
        for (struct packet *k; (k = peer_take(p));)
            acknowledged = acknowledged || k->type == MQTT_SUBACK;
    }
    rig_restart(rig, CRASH);
    struct got *g = got_new();
    p = peer_connected(rig, shard_of(rig, 2), &keeps, true);
    take_all(p, g);
    assert_int_equal(g->count, 601);
    for (unsigned i = 0; i < 600; i++)
        assert_int_equal(g->times[i], i == 9 ? 2 : 1);
    assert_int_equal(stats_of(rig).queued_messages, 0);
    free(g);
    peer_close(p);
}

/* One half has QoS 0, so they go both ways. */
static void both_ways_together_are_all(struct rig *rig)
{
    retain_many(rig, 800, 100, 'a', 1);
    retain_many(rig, 800, 100, 'a', 1);
    struct peer *from = peer_connected(rig, 0, &machine, false);
    char topic[32];
    for (unsigned i = 0; i < 800; i += 2) {
        (void)snprintf(topic, sizeof topic, "plant/%u", i);
        peer_publish(from, topic, "b", 0, true);
        rig_run(rig);
    }
    peer_close(from);
    static const struct peer_connect *const kinds[] = { &leaves, &keeps, &old };
    for (size_t kind = 0; kind < 3; kind++) {
        struct got *g = got_new();
        struct peer *p = peer_connected(rig, shard_of(rig, 1), kinds[kind], false);
        peer_subscribe(p, "#", 2);
        take_all(p, g);
        each_came_once(g, 800);
        for (unsigned i = 0; i < 800; i++)
            assert_int_equal(g->mark[i], i % 2 ? 'a' : 'b');
        free(g);
        peer_close(p);
        rig_run(rig);
    }
}

/* ---- in the middle ---- */

/* Subscribed, with a feed that is stuck behind a reader that does not read. */
static struct peer *stuck(struct rig *rig, const struct peer_connect *who, const char *filter)
{
    struct peer *p = peer_connected(rig, 0, who, false);
    sim_stall(p->sim, 20000);
    peer_subscribe(p, filter, 1);
    rig_run(rig);
    return p;
}

static void unsubscribe_ends_it(struct rig *rig)
{
    retain_many(rig, 1000, 5000, 'a', 0);
    static const struct peer_connect *const kinds[] = { &leaves, &keeps };
    for (size_t kind = 0; kind < 2; kind++) {
        struct got *g = got_new();
        struct peer *p = stuck(rig, kinds[kind], "plant/#");
        peer_subscribe(p, "plant/5", 0);
        peer_unsubscribe(p, "plant/#");
        take_all(p, g);
        assert_int_equal(g->subacks, 2);
        assert_int_equal(g->unsubacks, 1);
        if (g->count > 200)
            fail_msg("%u came", g->count);
        assert_true(g->times[5] >= 1); /* the other one is still owed */
        free(g);
        peer_close(p);
        rig_run(rig);
    }
}

static void who_goes_in_the_middle_leaves_nothing_behind(struct rig *rig)
{
    retain_many(rig, 1000, 5000, 'a', 0);
    static const struct peer_connect *const kinds[] = { &leaves, &keeps };
    for (size_t kind = 0; kind < 2; kind++)
        for (int how = 0; how < 3; how++) {
            struct peer *p = stuck(rig, kinds[kind], how ? "plant/#" : "#");
            if (how == 0)
                peer_hang_up(p);
            else if (how == 1)
                peer_disconnect(p, 0);
            struct peer_connect again = *kinds[kind]; /* takes over */
            again.clean_start = true;
            again.expiry_s = 0;
            struct peer *q = peer_connected(rig, shard_of(rig, 1), &again, false);
            peer_expect_nothing(q);
            peer_close(p);
            peer_close(q);
            rig_run(rig);
        }
    /* What a search rested on is gone with its message. */
    struct peer *from = peer_connected(rig, 0, &machine, false);
    char topic[32];
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(topic, sizeof topic, "plant/%u", i);
        peer_publish(from, topic, "", 0, true);
    }
    rig_run(rig);
    assert_int_equal(stats_of(rig).retained, 0);
    peer_close(from);
}

static void what_changes_in_the_middle_arrives_as_it_is(struct rig *rig)
{
    static const struct peer_connect *const kinds[] = { &leaves, &keeps };
    for (size_t kind = 0; kind < 2; kind++) {
        retain_many(rig, 1000, 5000, 'a', 0);
        struct got *g = got_new();
        struct peer *p = stuck(rig, kinds[kind], "plant/#");
        struct peer *from = peer_connected(rig, shard_of(rig, 1), &machine, false);
        char topic[32];
        for (unsigned i = 0; i < 1002; i++) { /* also new ones */
            (void)snprintf(topic, sizeof topic, "plant/%u", i);
            if (i % 3 == 0)
                peer_publish(from, topic, i % 2 ? "" : "new", 1, true);
            if (i % 64 == 0)
                rig_run(rig);
        }
        rig_run(rig);
        take_all(p, g);
        for (unsigned i = 0; i < 1000; i++) {
            char want = i % 3 ? 'a' : i % 2 ? 0 : 'n';
            if (!g->times[i] || g->mark[i] != want)
                fail_msg("plant/%u came %u times, at last with %c", i, g->times[i], g->mark[i]);
        }
        assert_int_equal(stats_of(rig).dropped_slow, 0);
        for (unsigned i = 0; i < 1002; i++) {
            (void)snprintf(topic, sizeof topic, "plant/%u", i);
            peer_publish(from, topic, "", 0, true);
        }
        rig_run(rig);
        assert_int_equal(stats_of(rig).retained, 0);
        free(g);
        peer_close(p);
        peer_close(from);
        rig_run(rig);
    }
}

/* ---- too much of it ---- */

static void few_retained(struct rig_config *config)
{
    config->limits.retained_messages = 5;
}

static void retain_for(struct peer *from, const char *topic, uint32_t seconds, uint8_t reason)
{
    struct buf props = { 0 };
    if (seconds)
        mqtt_put_u32(&props, MQTT_PROP_MESSAGE_EXPIRY, seconds);
    peer_publish_full(from, &(struct peer_publish){ .topic = bytes_str(topic), .qos = 1, .retain = true,
                                                    .payload = BYTES_LIT("x"), .props = buf_bytes(&props) });
    assert_int_equal(peer_expect(from, MQTT_PUBACK)->reason, reason);
    buf_clear(&props);
}

/* 3.3.1.3: there is none any more, so it takes nobody's place; in memory, and on disk after a stop or crash. */
static void what_has_expired_makes_room(struct rig *rig)
{
    static const struct peer_connect from = { .client_id = "from" };
    for (int restart = 0; restart < 3; restart++) {
        struct peer *p = peer_connected(rig, 0, &from, false);
        if (!restart)
            retain_for(p, "stays", 0, 0);
        retain_for(p, "r/0", 10, 0);
        retain_for(p, "r/1", 10, 0);
        retain_for(p, "r/2", 100, 0);
        retain_for(p, "r/1/below", 10, 0);
        retain_for(p, "more", 0, MQTT_QUOTA_EXCEEDED);
        peer_disconnect(p, 0);
        rig_run(rig);
        if (restart == 1)
            rig_close(rig);
        else if (restart == 2)
            rig_abandon(rig);
        if (restart)
            rig_must_open(rig);
        rig_advance(rig, 8000000);
        assert_int_equal(stats_of(rig).retained, 5);
        rig_advance(rig, 4000000);
        assert_int_equal(stats_of(rig).retained, 2);
        assert_int_equal(stats_of(rig).retained_expired, 3);
        p = peer_connected(rig, 0, &from, false);
        retain_for(p, "more", 0, 0);
        retain_for(p, "more", 1, 0); /* in the place of one that lasts */
        rig_advance(rig, 3000000);
        assert_int_equal(stats_of(rig).retained, 2);
        peer_subscribed(p, "#", 0);
        (void)peer_expect_publish(p, "r/2", "x", 0);
        (void)peer_expect_publish(p, "stays", "x", 0);
        peer_expect_nothing(p);
        rig_advance(rig, 100000000);
        assert_int_equal(stats_of(rig).retained, 1);
        peer_disconnect(p, 0);
        rig_run(rig);
        rig_abandon(rig);
        rig_must_open(rig);
        p = peer_connected(rig, 0, &from, false);
        peer_subscribed(p, "#", 0);
        (void)peer_expect_publish(p, "stays", "x", 0);
        peer_expect_nothing(p);
        peer_disconnect(p, 0);
        rig_advance(rig, 3000000);
        assert_int_equal(stats_of(rig).retained, 1);
    }
}

static void few_subscriptions(struct rig_config *config)
{
    config->segment_bytes = 1 << 20;
    config->limits.subscriptions = 3;
    config->limits.queued_messages = 300;
}

/* Somebody asks again and again, and reads nothing: it costs us no more than his subscriptions allow. */
static void who_asks_for_ever_is_answered_but_not_for_ever(struct rig *rig)
{
    retain_many(rig, 200, 5000, 'a', 1);
    static const struct peer_connect *const kinds[] = { &leaves, &keeps };
    for (size_t kind = 0; kind < 2; kind++)
        for (uint8_t qos = 0; qos <= 1; qos++) {
            struct got *g = got_new();
            struct peer *p = peer_connected(rig, 0, kinds[kind], kind && qos);
            sim_stall(p->sim, 20000);
            for (unsigned i = 0; i < 50; i++)
                peer_subscribe(p, i % 2 ? "plant/#" : "#", qos);
            rig_run(rig);
            sim_stall(p->sim, SIZE_MAX);
            take_all(p, g);
            assert_int_equal(g->subacks, 50);
            for (unsigned i = 0; i < 200; i++)
                assert_true(g->times[i] >= 1 && g->times[i] <= (kind && qos ? 50 : 8));
            peer_close(p);
            rig_run(rig);
            free(g);
        }
}

static void without_memory_nobody_is_told_wrong_things(struct rig *rig)
{
    if (rig->config.seed > 2)
        return;
    static struct mqtt_filter list[3] = { { .next = &list[1], .filter = BYTES_LIT("#"), .qos = 2 },
                                          { .next = &list[2], .filter = BYTES_LIT("plant/7"), .qos = 0 },
                                          { .filter = BYTES_LIT("plant/+"), .qos = 1 } };
    retain_many(rig, 40, 100, 'a', 1);
    rig_restart(rig, ORDERLY); /* only the disk has them */
    static const struct peer_connect *const kinds[] = { &leaves, &keeps };
    for (size_t kind = 0; kind < 2; kind++) {
        unsigned whole = 0;
        for (uint64_t n = 1; n < 2000 && whole < 3; n++) {
            struct got *g = got_new();
            struct peer_connect fresh = *kinds[kind];
            fresh.clean_start = true;
            struct peer *p = peer_connected(rig, 0, &fresh, false);
            peer_subscribe_full(p, list);
            mem_fail_at(n);
            rig_run(rig);
            bool refused = mem_fail_fired();
            mem_fail_at(0);
            take_all(p, g);
            if (!refused)
                whole++;
            if (!refused || (!peer_ended(p) && kind == 0 && stats_of(rig).dropped_queue == 0)) {
                assert_int_equal(g->subacks, 1);
                assert_true(refused || g->count == 81);
            }
            peer_close(p);
            rig_run(rig);
            free(g);
        }
        assert_int_equal(whole, 3);
    }
    struct peer *p = peer_connected(rig, 0, &machine, false);
    peer_subscribed(p, "plant/1", 1);
    peer_accepts(p, peer_expect(p, MQTT_PUBLISH));
    peer_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(all_reach_who_reads, large_segments),
        RIG_TEST(who_reads_later_gets_them_later, large_segments),
        RIG_TEST(others_have_their_turns_in_between, large_segments),
        RIG_TEST(two_who_ask_take_turns, NULL),
        RIG_TEST(retain_handling_is_what_was_asked_for, NULL),
        RIG_TEST(a_small_window_loses_nothing, small_queues),
        RIG_TEST(a_durable_queue_takes_as_many_as_it_may_hold, small_queues),
        RIG_TEST(suback_comes_when_all_are_in_the_queue, NULL),
        RIG_TEST(what_suback_promised_survives_a_crash, NULL),
        RIG_TEST(both_ways_together_are_all, NULL),
        RIG_TEST(unsubscribe_ends_it, large_segments),
        RIG_TEST(who_goes_in_the_middle_leaves_nothing_behind, large_segments),
        RIG_TEST(what_changes_in_the_middle_arrives_as_it_is, large_segments),
        RIG_TEST(what_has_expired_makes_room, few_retained),
        RIG_TEST(who_asks_for_ever_is_answered_but_not_for_ever, few_subscriptions),
        RIG_TEST(without_memory_nobody_is_told_wrong_things, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
