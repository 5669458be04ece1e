/* Who may do what, through the whole broker: rights to publish, subscribe and read, wills, and what a change of rules means
 * (CVE-2017-7650, CVE-2018-12546, CVE-2021-34434). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "broker/private.h"
#include "identity/identity_test_users.h"
#include "support/broker_tests.h"

#define SECONDS(n) ((n) * INT64_C(1000000))

static char users_text[2048];

static const struct peer_connect alice = { .client_id = "press-1", .user = "alice", .password = "secret", .expiry_s = 3600 },
                                 bob = { .client_id = "watch", .user = "bob", .password = "bobs", .expiry_s = 3600 },
                                 carl = { .client_id = "carl", .user = "carl", .password = "carls" },
                                 local = { .client_id = "local" };

static const char base_rules[] = "version: 1\n"
                                 "rules:\n"
                                 "  - { deny: true, user: bob, subscribe: \"plant/secret/#\" }\n"
                                 "  - { user: alice, publish: [\"plant/#\", \"d/%c/out\"], subscribe: \"plant/press/#\" }\n"
                                 "  - { user: bob, subscribe: [\"plant/press/#\", \"plant/secret/#\"], read: \"plant/press/state\" }\n"
                                 "  - { client: press-1, subscribe: \"d/%c/in\" }\n"
                                 "  - { user: carl, publish: \"#\", subscribe: \"#\" }\n";

static int make_users(void **state)
{
    (void)state;
    struct buf text = { 0 };
    test_user(&text, "alice", "secret", NULL, false);
    test_user(&text, "bob", "bobs", NULL, false);
    test_user(&text, "carl", "carls", "monitor", false);
    memcpy(users_text, buf_bytes(&text).at, buf_size(&text));
    buf_clear(&text);
    return 0;
}

static void with_rules(struct rig_config *c)
{
    c->users = users_text;
    c->rules = base_rules;
    c->chain = (struct settings_choices){ { AUTH_USERS, AUTH_ANONYMOUS }, 2 };
}

static void with_rules_and_close(struct rig_config *c)
{
    with_rules(c);
    c->close_denied = true;
}

static void without_rules(struct rig_config *c)
{
    with_rules(c);
    c->rules = NULL;
}

static void must_reload(struct rig *rig, const char *rules)
{
    struct fault why;
    rig_write(rig, "rules", rules);
    if (rig_reload(rig, &why) != CODE_OK)
        fail_msg("%s", why.text);
    rig_run(rig);
}

static void subscription_answers(struct peer *p, const char *filter, uint8_t reason)
{
    peer_subscribe(p, filter, 1);
    struct packet *k = peer_expect(p, MQTT_SUBACK);
    if (k->reason != reason)
        fail_msg("'%s' was answered 0x%02X instead of 0x%02X", filter, k->reason, reason);
}

/* SUBACK and the one retained message, in whichever order they come; and nothing else. */
static void subscribing_gives(struct peer *p, const char *filter, uint8_t qos, const char *topic, const char *payload)
{
    bool acknowledged = false, given = false;
    peer_subscribe(p, filter, qos);
    rig_run(p->rig);
    while (!acknowledged || !given) {
        const struct packet *next = peer_peek(p);
        if (next && next->type == MQTT_SUBACK && !acknowledged) {
            assert_int_equal(peer_expect(p, MQTT_SUBACK)->reason, qos);
            acknowledged = true;
            continue;
        }
        struct packet *m = peer_expect_publish(p, topic, payload, qos);
        assert_true(m->retain);
        if (qos)
            peer_accepts(p, m);
        given = true;
    }
    peer_expect_nothing(p);
}

static struct peer_connect older(struct peer_connect c)
{
    c.version = MQTT_3_1_1;
    return c;
}

/* ---- publish ---- */

static void publishing_without_right_is_told_and_goes_nowhere(struct rig *rig)
{
    struct peer *a = peer_connected(rig, 0, &alice, false), *c = peer_connected(rig, shard_of(rig, 1), &carl, false);
    peer_subscribed(c, "#", 2);
    peer_published(a, "plant/press/t", "1", 1, false, 0);
    peer_accepts(c, peer_expect_publish(c, "plant/press/t", "1", 1));
    peer_published(a, "other", "2", 1, true, MQTT_NOT_AUTHORIZED);
    uint16_t pid = peer_publish(a, "other", "3", 2, true);
    struct packet *rec = peer_expect(a, MQTT_PUBREC);
    assert_int_equal(rec->pid, pid);
    assert_int_equal(rec->reason, MQTT_NOT_AUTHORIZED);
    (void)peer_publish(a, "other", "4", 0, true);
    peer_published(a, "d/press-1/out", "5", 1, false, 0); /* %c is its own identifier */
    peer_accepts(c, peer_expect_publish(c, "d/press-1/out", "5", 1));
    peer_published(a, "d/press-2/out", "6", 1, false, MQTT_NOT_AUTHORIZED);
    peer_expect_nothing(c);
    assert_int_equal(stats_of(rig).denied_publishes, 4);
    assert_int_equal(stats_of(rig).retained, 0);
}

static void acknowledgements_keep_their_order_around_a_denial(struct rig *rig)
{
    struct peer *a = peer_connected(rig, 0, &alice, false), *b = peer_connected(rig, shard_of(rig, 1), &bob, false);
    peer_subscribed(b, "plant/press/#", 1);
    uint16_t pids[9];
    for (int i = 0; i < 9; i++)
        pids[i] = peer_publish(a, i % 3 == 1 ? "other" : "plant/press/t", "x", 1, false);
    for (int i = 0; i < 9; i++) {
        struct packet *k = peer_expect(a, MQTT_PUBACK);
        assert_int_equal(k->pid, pids[i]);
        assert_int_equal(k->reason, i % 3 == 1 ? MQTT_NOT_AUTHORIZED : 0);
    }
    assert_int_equal(stats_of(rig).denied_publishes, 3);
}

static void older_clients_are_acknowledged_and_dropped(struct rig *rig)
{
    struct peer_connect three = older(alice);
    struct peer *a = peer_connected(rig, 0, &three, false), *c = peer_connected(rig, shard_of(rig, 1), &carl, false);
    peer_subscribed(c, "#", 2);
    (void)peer_publish(a, "other", "1", 0, false);
    peer_published(a, "other", "2", 1, false, 0);
    for (int i = 0; i < 200; i++) /* more than the receive maximum: nothing adds up */
        peer_published(a, "other", "3", 2, false, 0);
    peer_published(a, "plant/press/t", "4", 2, false, 0);
    peer_accepts(c, peer_expect_publish(c, "plant/press/t", "4", 2));
    peer_expect_nothing(c);
    assert_int_equal(stats_of(rig).denied_publishes, 202);
}

static void older_clients_are_closed_where_that_is_set(struct rig *rig)
{
    struct peer_connect three = older(alice);
    for (uint8_t qos = 0; qos < 3; qos++) {
        struct peer *a = peer_connected(rig, 0, &three, qos > 0);
        (void)peer_publish(a, "other", "1", qos, false);
        peer_expect_end(a);
        peer_close(a);
    }
    struct peer *a = peer_connected(rig, 0, &alice, true);
    peer_published(a, "other", "1", 1, false, MQTT_NOT_AUTHORIZED); /* 5.0 can be told */
}

static void a_message_accepted_before_can_be_finished_after(struct rig *rig)
{
    struct peer *a = peer_connected(rig, 0, &alice, false), *c = peer_connected(rig, shard_of(rig, 1), &carl, false);
    peer_subscribed(c, "#", 2);
    uint16_t pid = peer_publish(a, "plant/x", "1", 2, false);
    assert_int_equal(peer_expect(a, MQTT_PUBREC)->reason, 0);
    must_reload(rig, "rules: [ { user: carl, subscribe: \"#\" } ]");
    (void)peer_publish_full(a, &(struct peer_publish){ .topic = BYTES_LIT("plant/x"), .payload = BYTES_LIT("1"), .qos = 2,
                                                       .dup = true, .pid = pid });
    assert_int_equal(peer_expect(a, MQTT_PUBREC)->reason, 0);
    peer_ack(a, MQTT_PUBREL, pid, 0);
    assert_int_equal(peer_expect(a, MQTT_PUBCOMP)->reason, 0);
    peer_accepts(c, peer_expect_publish(c, "plant/x", "1", 2));
    peer_published(a, "plant/x", "2", 2, false, MQTT_NOT_AUTHORIZED);
    peer_expect_nothing(c);
}

static void with_rules_and_little_room(struct rig_config *c)
{
    with_rules(c);
    c->limits.on_full = ON_FULL_REFUSE;
    c->limits.queued_messages = 2;
}

/* An identifier that is known looks like a repetition, which needs no right. When what came first is refused it is none. */
static void a_known_identifier_is_no_way_around_a_right(struct rig *rig)
{
    struct peer *b = peer_connected(rig, 0, &bob, false), *c = peer_connected(rig, shard_of(rig, 1), &carl, false),
                *a = peer_connected(rig, 0, &alice, false);
    peer_subscribed(b, "plant/press/t", 1);
    peer_close(b);
    rig_run(rig);
    for (int i = 0; i < 2; i++)
        peer_published(a, "plant/press/t", "full", 1, false, 0);
    peer_subscribed(c, "other", 2);
    uint16_t pid = peer_publish(a, "plant/press/t", "refused", 2, false);
    (void)peer_publish_full(a, &(struct peer_publish){ .topic = BYTES_LIT("other"), .payload = BYTES_LIT("smuggled"), .qos = 2,
                                                       .dup = true, .pid = pid });
    assert_int_equal(peer_expect(a, MQTT_PUBREC)->reason, MQTT_QUOTA_EXCEEDED);
    struct packet *second = peer_expect(a, MQTT_PUBREC);
    assert_int_equal(second->reason, MQTT_NOT_AUTHORIZED);
    peer_expect_nothing(c);
    assert_int_equal(stats_of(rig).denied_publishes, 1);
}

/* ---- subscribe ---- */

static void a_filter_wider_than_the_right_is_refused(struct rig *rig)
{
    struct peer *b = peer_connected(rig, 0, &bob, false);
    static const char *const refused[] = { "#", "+/press/#", "plant/#", "plant/+", "plant/press", "plant/secret/x", "plant/secret/#",
                                           "other", "$SYS/#", "d/press-1/in" };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcmp(refused[i], "plant/press") != 0) /* "plant/press/#" covers its parent */
            subscription_answers(b, refused[i], MQTT_NOT_AUTHORIZED);
    subscription_answers(b, "plant/press", 1);
    subscription_answers(b, "plant/press/+/t", 1);
    subscription_answers(b, "plant/press/#", 1);
    struct peer *a = peer_connected(rig, shard_of(rig, 1), &alice, false);
    subscription_answers(a, "d/press-1/in", 1);
    subscription_answers(a, "d/+/in", MQTT_NOT_AUTHORIZED);
    peer_published(a, "plant/secret/x", "s", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    peer_expect_nothing(b);
    struct peer_connect three = older(bob);
    three.client_id = "watch3";
    struct peer *old = peer_connected(rig, 0, &three, false);
    subscription_answers(old, "#", 0x80);
    subscription_answers(old, "plant/press/x", 1);
    assert_int_equal(stats_of(rig).denied_subscriptions, 11);
}

static void names_are_no_patterns_in_rules(struct rig *rig) /* CVE-2017-7650 */
{
    static const char *const tricks[] = { "#", "+", "a/b", "+/in", "press-1/in" };
    for (size_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++) {
        struct peer_connect trick = alice;
        trick.client_id = tricks[i];
        trick.clean_start = true;
        struct peer *p = peer_connected(rig, 0, &trick, false);
        char topic[64];
        (void)snprintf(topic, sizeof topic, "d/%s/in", tricks[i]);
        subscription_answers(p, "d/press-1/in", MQTT_NOT_AUTHORIZED);
        subscription_answers(p, "d/+/in", MQTT_NOT_AUTHORIZED);
        peer_published(p, "d/press-1/out", "x", 1, false, MQTT_NOT_AUTHORIZED);
        peer_close(p);
        rig_run(rig);
    }
}

static void anonymous_has_only_what_rules_give_everybody(struct rig *rig)
{
    struct peer *n = peer_connected(rig, 0, &local, false);
    subscription_answers(n, "plant/press/#", MQTT_NOT_AUTHORIZED);
    peer_published(n, "plant/x", "x", 1, false, MQTT_NOT_AUTHORIZED);
    subscription_answers(n, "$SYS/#", 1); /* on this machine */
    struct peer *away = peer_open_from(rig, 0, "10.0.0.7:4000");
    peer_connect(away, &(struct peer_connect){ .client_id = "away" });
    assert_int_equal(peer_expect(away, MQTT_CONNACK)->reason, 0);
    subscription_answers(away, "$SYS/#", MQTT_NOT_AUTHORIZED);
    must_reload(rig, "rules: [ { subscribe: \"plant/press/#\" }, { deny: true, subscribe: \"$SYS/#\" } ]");
    assert_int_equal(peer_expect(n, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED); /* it held $SYS/# */
    subscription_answers(away, "plant/press/#", 1);
}

static void without_rules_who_is_in_may_do_everything_but(struct rig *rig)
{
    struct peer *b = peer_connected(rig, 0, &bob, false), *c = peer_connected(rig, shard_of(rig, 1), &carl, false);
    subscription_answers(b, "#", 1);
    peer_published(c, "any/topic", "x", 1, false, 0);
    peer_accepts(b, peer_expect_publish(b, "any/topic", "x", 1));
    subscription_answers(b, "$SYS/#", MQTT_NOT_AUTHORIZED);
    subscription_answers(c, "$SYS/#", 1); /* role monitor */
    static const char *const nobodys[] = { "$SYS/broker/version", "$SYS", "$iothub/x", "$dps/x", "devices/d/messages/events/" };
    for (size_t i = 0; i < sizeof nobodys / sizeof nobodys[0]; i++) {
        peer_published(c, nobodys[i], "x", 1, false, MQTT_NOT_AUTHORIZED);
        if (i > 1)
            subscription_answers(c, nobodys[i], MQTT_NOT_AUTHORIZED);
    }
    peer_published(c, "devicesandmore", "x", 1, false, 0);
    peer_accepts(b, peer_expect_publish(b, "devicesandmore", "x", 1));
}

static void a_shared_filter_is_judged_by_what_stands_behind_its_name(struct rig *rig)
{
    struct peer *b = peer_connected(rig, 0, &bob, false), *c = peer_connected(rig, shard_of(rig, 1), &carl, false),
                *a = peer_connected(rig, 0, &alice, false);
    subscription_answers(b, "$share/g/#", MQTT_NOT_AUTHORIZED);
    subscription_answers(b, "$share/plant/press/secret", MQTT_NOT_AUTHORIZED);
    subscription_answers(b, "$share/g/plant/press/#", 1);
    subscription_answers(c, "$share/g/plant/press/#", 1);
    /* Who lost his right is passed over, also while he is away: the others of the group get everything. */
    must_reload(rig, "rules:\n"
                     "  - { user: alice, publish: \"#\" }\n"
                     "  - { user: bob, subscribe: \"plant/press/state\" }\n"
                     "  - { user: carl, subscribe: \"#\" }\n");
    assert_int_equal(peer_expect(b, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    b = peer_connected(rig, 0, &bob, true);
    for (uint8_t qos = 0; qos < 3; qos++)
        for (int i = 0; i < 6; i++) {
            (void)peer_publish(a, "plant/press/t", "x", qos, false);
            struct packet *m = peer_expect_publish(c, "plant/press/t", "x", qos ? 1 : 0);
            if (qos)
                peer_accepts(c, m);
            rig_run(rig);
        }
    peer_expect_nothing(b);
    rig_run(rig);
    assert_int_equal(stats_of(rig).denied_deliveries, 0);
}

static void many_who_lost_their_right_hide_nobody(struct rig *rig)
{
    enum { MANY = 40 };
    for (unsigned i = 0; i < MANY; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "lost %u", i);
        struct peer_connect one = bob;
        one.client_id = name;
        struct peer *p = peer_connected(rig, shard_of(rig, i), &one, false);
        peer_subscribed(p, "$share/g/plant/press/#", 1);
    }
    must_reload(rig, "rules:\n"
                     "  - { user: alice, publish: \"#\" }\n"
                     "  - { user: carl, subscribe: \"#\" }\n");
    for (unsigned i = 0; i < MANY; i += 2) { /* some come back, and may not have it either */
        char name[16];
        (void)snprintf(name, sizeof name, "lost %u", i);
        struct peer_connect one = bob;
        one.client_id = name;
        (void)peer_connected(rig, shard_of(rig, i), &one, true);
    }
    struct peer *c = peer_connected(rig, 0, &carl, false), *a = peer_connected(rig, shard_of(rig, 1), &alice, false);
    peer_subscribed(c, "$share/g/plant/press/#", 1);
    for (uint8_t qos = 0; qos < 3; qos++)
        for (int i = 0; i < 5; i++) {
            (void)peer_publish(a, "plant/press/t", "x", qos, false);
            struct packet *m = peer_expect_publish(c, "plant/press/t", "x", qos ? 1 : 0);
            if (qos)
                peer_accepts(c, m);
            rig_run(rig);
        }
    assert_int_equal(stats_of(rig).dropped_away, 0);
}

/* A member that lost his right and came back still stands in the group. What others give away, or what waits in his own queue,
 * goes to those who may have it. */
static void what_a_member_may_not_have_any_more_goes_to_another(struct rig *rig)
{
    struct peer_connect few = bob, other = carl;
    few.receive_max = 1;
    other.expiry_s = 3600;
    static const char group[] = "$share/g/plant/press/#";
    struct peer *b = peer_connected(rig, 0, &few, false), *a = peer_connected(rig, shard_of(rig, 1), &alice, false);
    struct peer *c = peer_connected(rig, shard_of(rig, 1), &other, false);
    peer_subscribed(b, group, 2);
    peer_subscribed(c, group, 2);
    peer_subscribed(a, group, 2);
    peer_close(c);
    peer_close(a);
    rig_run(rig);
    struct peer_connect from = { .client_id = "from", .user = "alice", .password = "secret" };
    a = peer_connected(rig, shard_of(rig, 1), &from, false);
    for (int i = 0; i < 4; i++)
        peer_published(a, "plant/press/t", "x", (uint8_t)(1 + i % 2), false, 0);
    (void)peer_expect_publish(b, "plant/press/t", "x", 1);
    /* Three wait for bob, and nobody else of the group is there. */
    must_reload(rig, "rules:\n"
                     "  - { user: bob, subscribe: \"plant/press/state\" }\n"
                     "  - { user: [alice, carl], publish: \"#\", subscribe: \"#\" }\n");
    assert_int_equal(peer_expect(b, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    few.receive_max = 0;
    b = peer_connected(rig, 0, &few, true);
    rig_run(rig);
    c = peer_connected(rig, shard_of(rig, 1), &other, true);
    struct peer *l = peer_connected(rig, 0, &alice, true);
    unsigned got = 0;
    for (struct packet *k; rig_run(rig), (k = peer_take(c)) || (k = peer_take(l));)
        got += k->type == MQTT_PUBLISH;
    assert_int_equal(got, 3);
    peer_expect_nothing(b);
    assert_int_equal(stats_of(rig).denied_deliveries, 1); /* the one that was sent to him before */
}

static void with_rules_and_sys(struct rig_config *c)
{
    with_rules(c);
    c->sys_interval_s = 1;
}

static void without_rules_and_sys(struct rig_config *c)
{
    without_rules(c);
    c->sys_interval_s = 1;
}

/* The subscription outlives the role that gave the right to it. */
static void who_is_no_monitor_any_more_gets_nothing_of_sys(struct rig *rig)
{
    struct fault why;
    char text[2048];
    struct peer_connect keeps = carl;
    keeps.expiry_s = 3600;
    struct peer *c = peer_connected(rig, 0, &keeps, false);
    peer_subscribe(c, "$SYS/broker/uptime", 1);
    rig_advance(rig, SECONDS(3));
    unsigned got = 0;
    for (struct packet *k; (k = peer_take(c));)
        got += k->type == MQTT_PUBLISH;
    assert_true(got > 2);
    (void)snprintf(text, sizeof text, "%s", users_text);
    char *role = strstr(text, ":monitor:");
    memmove(role + 1, role + 8, strlen(role + 8) + 1);
    rig_write(rig, "users", text);
    assert_int_equal(rig_reload(rig, &why), CODE_OK);
    assert_int_equal(peer_expect(c, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    c = peer_connected(rig, shard_of(rig, 1), &keeps, true);
    rig_advance(rig, SECONDS(5));
    peer_expect_nothing(c);
    rig_write(rig, "users", users_text);
    assert_int_equal(rig_reload(rig, &why), CODE_OK);
    rig_advance(rig, SECONDS(5));
    assert_true(bytes_is(peer_expect(c, MQTT_PUBLISH)->topic, "$SYS/broker/uptime"));
}

/* ---- retained messages ---- */

static void retained_messages_are_read_by_the_right_to_read(struct rig *rig)
{
    struct peer *a = peer_connected(rig, 0, &alice, false);
    peer_published(a, "plant/press/state", "on", 1, true, MQTT_SUCCESS);
    peer_published(a, "plant/press/log", "no", 1, true, MQTT_SUCCESS);
    for (int durable = 0; durable < 2; durable++)
        for (uint8_t qos = 0; qos < 2; qos++) {
            struct peer_connect o = bob;
            o.clean_start = true;
            o.expiry_s = durable ? 3600 : 0;
            struct peer *b = peer_connected(rig, shard_of(rig, 1), &o, false);
            subscribing_gives(b, "plant/press/#", qos, "plant/press/state", "on"); /* not the log: that right is narrower */
            peer_published(a, "plant/press/log", "live", 1, false, 0);
            struct packet *m = peer_expect_publish(b, "plant/press/log", "live", qos); /* what comes later he may get */
            if (qos)
                peer_accepts(b, m);
            peer_close(b);
            rig_run(rig);
        }
    assert_true(stats_of(rig).denied_deliveries >= 4);
}

/* CVE-2018-12546: a retained message outlives the right of who wrote it, but is not delivered any more. */
static void cve_2018_12546_retained_messages_go_with_their_writers_right(struct rig *rig)
{
    struct peer *a = peer_connected(rig, 0, &alice, false), *c = peer_connected(rig, 0, &carl, false);
    peer_published(a, "plant/press/state", "alices", 1, true, MQTT_SUCCESS);
    peer_published(c, "plant/press/other", "carls", 1, true, MQTT_SUCCESS);
    static const char gone[] = "rules: [ { user: carl, publish: \"#\" }, { user: bob, subscribe: \"plant/press/#\" } ]";
    must_reload(rig, gone);
    for (int round = 0; round < 2; round++) {
        for (int kind = 0; kind < 4; kind++) {
            struct peer_connect o = bob;
            o.clean_start = true;
            o.expiry_s = kind & 1 ? 3600 : 0;
            struct peer *b = peer_connected(rig, shard_of(rig, 1), &o, false);
            subscribing_gives(b, "plant/press/#", kind & 2 ? 1 : 0, "plant/press/other", "carls");
            peer_close(b);
            rig_run(rig);
        }
        rig_restart(rig, round ? ORDERLY : CRASH);
    }
    must_reload(rig, base_rules); /* the right is back, and with it the message */
    c = peer_connected(rig, 0, &carl, false);
    subscribing_gives(c, "plant/press/state", 1, "plant/press/state", "alices");
}

static void what_begins_with_a_dollar_has_a_writer_too(struct rig *rig)
{
    struct peer *a = peer_connected(rig, 0, &alice, false), *c = peer_connected(rig, shard_of(rig, 1), &carl, false);
    must_reload(rig, "rules: [ { user: alice, publish: \"$p/#\" }, { user: carl, subscribe: \"$p/#\" } ]");
    peer_published(a, "$p/x", "alices", 1, true, 0);
    subscribing_gives(c, "$p/#", 1, "$p/x", "alices");
    must_reload(rig, "rules: [ { user: carl, subscribe: \"$p/#\" } ]");
    subscription_answers(c, "$p/x", 1);
    peer_expect_nothing(c);
}

/* What was retained before and waits in a queue is one thing, what came live another: that was right when it was published. */
static void a_live_message_does_not_go_with_its_writers_right(struct rig *rig)
{
    struct peer *b = peer_connected(rig, 0, &bob, false), *a = peer_connected(rig, shard_of(rig, 1), &alice, false);
    struct mqtt_filter f = { .filter = BYTES_LIT("plant/press/#"), .qos = 1, .retain_as_published = true };
    peer_subscribe_full(b, &f);
    assert_int_equal(peer_expect(b, MQTT_SUBACK)->reason, 1);
    peer_close(b);
    rig_run(rig);
    peer_published(a, "plant/press/state", "live", 1, true, 0);
    must_reload(rig, "rules: [ { user: bob, subscribe: \"plant/press/#\" } ]");
    b = peer_connected(rig, 0, &bob, true);
    peer_accepts(b, peer_expect_publish(b, "plant/press/state", "live", 1));
}

/* ---- rules that are withdrawn ---- */

/* CVE-2021-34434: the subscription of a right that was withdrawn goes on delivering. */
static void cve_2021_34434_a_withdrawn_right_delivers_nothing_more(struct rig *rig)
{
    struct peer_connect three = older(bob);
    three.client_id = "watch3";
    struct peer *b = peer_connected(rig, 0, &bob, false), *old = peer_connected(rig, shard_of(rig, 1), &three, false),
                *a = peer_connected(rig, shard_of(rig, 1), &alice, false);
    peer_subscribed(b, "plant/press/#", 1);
    peer_subscribed(old, "plant/press/#", 1);
    peer_published(a, "plant/press/t", "0", 1, false, 0); /* who gets it is resolved and remembered */
    peer_accepts(b, peer_expect_publish(b, "plant/press/t", "0", 1));
    peer_accepts(old, peer_expect_publish(old, "plant/press/t", "0", 1));
    static const char narrower[] = "rules:\n"
                                   "  - { user: alice, publish: \"#\" }\n"
                                   "  - { user: bob, subscribe: \"plant/press/state\" }\n";
    must_reload(rig, narrower);
    assert_int_equal(peer_expect(b, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    peer_expect_end(b);
    peer_expect_end(old);
    peer_published(a, "plant/press/t", "1", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS); /* owed to nobody */
    peer_published(a, "plant/press/state", "2", 1, false, 0);
    b = peer_connected(rig, shard_of(rig, 1), &bob, true); /* his session is still there, and still holds the filter */
    peer_accepts(b, peer_expect_publish(b, "plant/press/state", "2", 1));
    (void)peer_publish(a, "plant/press/t", "3", 0, false);
    peer_published(a, "plant/press/t", "4", 2, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    peer_expect_nothing(b);
    rig_restart(rig, CRASH);
    a = peer_connected(rig, 0, &alice, true);
    b = peer_connected(rig, 0, &bob, true);
    peer_published(a, "plant/press/t", "5", 1, false, MQTT_NO_MATCHING_SUBSCRIBERS);
    peer_expect_nothing(b);
}

static void what_waits_for_a_withdrawn_right_is_not_delivered(struct rig *rig)
{
    struct peer *b = peer_connected(rig, 0, &bob, false), *a = peer_connected(rig, shard_of(rig, 1), &alice, false);
    peer_subscribed(b, "plant/press/#", 2);
    peer_close(b);
    rig_run(rig);
    for (uint8_t qos = 1; qos < 3; qos++) {
        peer_published(a, "plant/press/t", "gone", qos, false, 0);
        peer_published(a, "plant/press/state", "kept", qos, false, 0);
    }
    must_reload(rig, "rules: [ { user: bob, subscribe: \"plant/press/state\" } ]");
    b = peer_connected(rig, shard_of(rig, 1), &bob, true);
    struct packet *one = peer_expect_publish(b, "plant/press/state", "kept", 1),
                  *two = peer_expect_publish(b, "plant/press/state", "kept", 2);
    peer_accepts(b, one);
    peer_accepts(b, two);
    peer_expect_nothing(b);
    rig_run(rig);
    assert_int_equal(stats_of(rig).denied_deliveries, 2);
    assert_int_equal(stats_of(rig).queued_messages, 0); /* and nothing of it stays */
}

static void what_waits_for_a_full_window_is_judged_too(struct rig *rig)
{
    struct peer_connect o = bob;
    o.receive_max = 1;
    o.expiry_s = 0;
    struct peer *b = peer_connected(rig, 0, &o, false), *a = peer_connected(rig, shard_of(rig, 1), &alice, false);
    peer_subscribed(b, "plant/press/t", 1);
    subscription_answers(b, "plant/press/state", 1);
    for (int i = 0; i < 3; i++)
        peer_published(a, i == 1 ? "plant/press/t" : "plant/press/state", "x", 1, false, 0);
    struct packet *first = peer_expect_publish(b, "plant/press/state", "x", 1);
    /* The subscription to t is wider than the right now, so he is cut off; a session that ends then has nothing more. */
    must_reload(rig, "rules: [ { user: bob, subscribe: \"plant/press/state\" } ]");
    (void)first;
    assert_int_equal(peer_expect(b, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
}

static void rules_that_change_nothing_for_him_leave_him_alone(struct rig *rig)
{
    struct peer *b = peer_connected(rig, 0, &bob, false), *a = peer_connected(rig, shard_of(rig, 1), &alice, false);
    peer_subscribed(b, "plant/press/#", 1);
    char more[1024];
    (void)snprintf(more, sizeof more, "%s  - { user: dave, subscribe: \"#\" }\n", base_rules);
    must_reload(rig, more);
    peer_published(a, "plant/press/t", "x", 1, false, 0);
    peer_accepts(b, peer_expect_publish(b, "plant/press/t", "x", 1));
    assert_int_equal(stats_of(rig).withdrawn, 0);
}

static void damaged_rules_change_nothing(struct rig *rig)
{
    struct fault why;
    struct peer *b = peer_connected(rig, 0, &bob, false);
    peer_subscribed(b, "plant/press/#", 1);
    rig_write(rig, "rules", "rules: [ { user: bob, subscrib: x } ]");
    assert_int_equal(rig_reload(rig, &why), CODE_DAMAGED);
    assert_int_equal(why.number, 1022);
    /* Users and rules are one step: good users do not come with bad rules. */
    rig_write(rig, "users", "");
    assert_int_equal(rig_reload(rig, &why), CODE_DAMAGED);
    rig_run(rig);
    struct peer *a = peer_connected(rig, shard_of(rig, 1), &alice, false);
    peer_published(a, "plant/press/t", "x", 1, false, 0);
    peer_accepts(b, peer_expect_publish(b, "plant/press/t", "x", 1));
}

static void the_empty_rules_file_denies_everything(struct rig *rig)
{
    must_reload(rig, "");
    struct peer *c = peer_connected(rig, 0, &carl, false);
    subscription_answers(c, "a", MQTT_NOT_AUTHORIZED);
    subscription_answers(c, "#", MQTT_NOT_AUTHORIZED);
    peer_published(c, "a", "x", 1, false, MQTT_NOT_AUTHORIZED);
}

/* ---- wills ---- */

static void a_will_without_right_is_refused_at_connect(struct rig *rig)
{
    struct peer_connect o = alice;
    o.will_topic = "other";
    o.will_payload = "gone";
    struct peer_connect three = older(o);
    peer_refused(peer_open(rig, 0), &o, MQTT_NOT_AUTHORIZED);
    peer_refused(peer_open(rig, 0), &three, 5);
    assert_int_equal(stats_of(rig).sessions, 0);
    o.will_topic = "plant/press/gone";
    struct peer *c = peer_connected(rig, shard_of(rig, 1), &carl, false);
    peer_subscribed(c, "plant/#", 1);
    struct peer *a = peer_connected(rig, 0, &o, false);
    peer_hang_up(a);
    (void)peer_expect_publish(c, "plant/press/gone", "gone", 0);
}

static void a_will_is_judged_again_when_it_is_published(struct rig *rig)
{
    struct peer_connect o = alice;
    o.will_topic = "plant/press/gone";
    o.will_payload = "gone";
    o.will_qos = 1;
    struct peer *c = peer_connected(rig, shard_of(rig, 1), &carl, false);
    peer_subscribed(c, "#", 1);
    struct peer *a = peer_connected(rig, 0, &o, false);
    must_reload(rig, "rules: [ { user: carl, publish: \"#\", subscribe: \"#\" } ]");
    peer_hang_up(a);
    rig_advance(rig, SECONDS(3));
    peer_expect_nothing(c);
    assert_int_equal(stats_of(rig).denied_wills, 1);
    must_reload(rig, base_rules); /* it does not come later either */
    rig_advance(rig, SECONDS(3));
    rig_restart(rig, CRASH);
    c = peer_connected(rig, 0, &carl, false);
    peer_subscribed(c, "#", 1);
    rig_advance(rig, SECONDS(3));
    peer_expect_nothing(c);
}

static void a_will_of_before_a_crash_is_judged_by_the_rules_of_after(struct rig *rig)
{
    struct peer_connect o = alice, watcher = carl;
    o.will_topic = "plant/press/gone";
    o.will_payload = "gone";
    o.will_qos = 1;
    watcher.expiry_s = 3600;
    struct peer *c = peer_connected(rig, shard_of(rig, 1), &watcher, false);
    peer_subscribed(c, "#", 1);
    (void)peer_connected(rig, 0, &o, false);
    rig_write(rig, "rules", "rules: [ { user: carl, publish: \"#\", subscribe: \"#\" } ]");
    rig_restart(rig, CRASH);
    c = peer_connected(rig, 0, &watcher, true);
    rig_advance(rig, SECONDS(3));
    peer_expect_nothing(c);
}

static void a_removed_users_will_is_not_published(struct rig *rig)
{
    struct fault why;
    struct peer_connect o = alice;
    o.will_topic = "plant/press/gone";
    o.will_payload = "gone";
    struct peer *c = peer_connected(rig, shard_of(rig, 1), &carl, false);
    peer_subscribed(c, "#", 1);
    struct peer *a = peer_connected(rig, 0, &o, false);
    rig_write(rig, "users", strstr(users_text, "user:bob"));
    assert_int_equal(rig_reload(rig, &why), CODE_OK);
    assert_int_equal(peer_expect(a, MQTT_DISCONNECT)->reason, MQTT_NOT_AUTHORIZED);
    rig_advance(rig, SECONDS(3));
    peer_expect_nothing(c);
}

/* He is away, his will waits: P-WILL, it is judged when it is published, with rules or without. */
static void a_removed_users_delayed_will_is_not_published(struct rig *rig)
{
    struct fault why;
    struct peer_connect o = alice;
    o.will_topic = "plant/press/gone";
    o.will_payload = "gone";
    o.will_delay_s = 5;
    struct peer *c = peer_connected(rig, shard_of(rig, 1), &carl, false);
    peer_subscribed(c, "#", 1);
    peer_close(peer_connected(rig, 0, &o, false));
    rig_run(rig);
    rig_write(rig, "users", strstr(users_text, "user:bob"));
    assert_int_equal(rig_reload(rig, &why), CODE_OK);
    rig_advance(rig, SECONDS(8));
    peer_expect_nothing(c);
    assert_int_equal(stats_of(rig).denied_wills, 1);
    /* The other who is there goes on to be heard. */
    o = bob;
    o.will_topic = "plant/press/gone";
    o.will_payload = "bob";
    if (rig->config.rules)
        return;
    peer_close(peer_connected(rig, 0, &o, false));
    peer_accepts(c, peer_expect_publish(c, "plant/press/gone", "bob", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(publishing_without_right_is_told_and_goes_nowhere, with_rules),
        RIG_TEST(acknowledgements_keep_their_order_around_a_denial, with_rules),
        RIG_TEST(older_clients_are_acknowledged_and_dropped, with_rules),
        RIG_TEST(older_clients_are_closed_where_that_is_set, with_rules_and_close),
        RIG_TEST(a_message_accepted_before_can_be_finished_after, with_rules),
        RIG_TEST(a_known_identifier_is_no_way_around_a_right, with_rules_and_little_room),
        RIG_TEST(a_filter_wider_than_the_right_is_refused, with_rules),
        RIG_TEST(names_are_no_patterns_in_rules, with_rules),
        RIG_TEST(anonymous_has_only_what_rules_give_everybody, with_rules),
        RIG_TEST(without_rules_who_is_in_may_do_everything_but, without_rules),
        RIG_TEST(a_shared_filter_is_judged_by_what_stands_behind_its_name, with_rules),
        RIG_TEST(many_who_lost_their_right_hide_nobody, with_rules),
        RIG_TEST(what_a_member_may_not_have_any_more_goes_to_another, with_rules),
        RIG_TEST(who_is_no_monitor_any_more_gets_nothing_of_sys, with_rules_and_sys),
        RIG_TEST(who_is_no_monitor_any_more_gets_nothing_of_sys, without_rules_and_sys),
        RIG_TEST(retained_messages_are_read_by_the_right_to_read, with_rules),
        RIG_TEST(cve_2018_12546_retained_messages_go_with_their_writers_right, with_rules),
        RIG_TEST(what_begins_with_a_dollar_has_a_writer_too, with_rules),
        RIG_TEST(a_live_message_does_not_go_with_its_writers_right, with_rules),
        RIG_TEST(cve_2021_34434_a_withdrawn_right_delivers_nothing_more, with_rules),
        RIG_TEST(what_waits_for_a_withdrawn_right_is_not_delivered, with_rules),
        RIG_TEST(what_waits_for_a_full_window_is_judged_too, with_rules),
        RIG_TEST(rules_that_change_nothing_for_him_leave_him_alone, with_rules),
        RIG_TEST(damaged_rules_change_nothing, with_rules),
        RIG_TEST(the_empty_rules_file_denies_everything, with_rules),
        RIG_TEST(a_will_without_right_is_refused_at_connect, with_rules),
        RIG_TEST(a_will_is_judged_again_when_it_is_published, with_rules),
        RIG_TEST(a_will_of_before_a_crash_is_judged_by_the_rules_of_after, with_rules),
        RIG_TEST(a_removed_users_will_is_not_published, with_rules),
        RIG_TEST(a_removed_users_delayed_will_is_not_published, with_rules),
        RIG_TEST(a_removed_users_delayed_will_is_not_published, without_rules),
    };
    return cmocka_run_group_tests(tests, make_users, NULL);
}
