/* The ledger sees each kind of broken promise, and is content with what only looks like one. */
#include "support/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { S, P, W, X, Y };               /* a subscriber, a publisher, one with a will that waits, two that share */
enum { TOPIC, HUB, KEPT, WILL };      /* topics */
enum { ALL, WILLS, GROUP };           /* filters */

static struct ledger_cast cast = {
    .actors = { { .client_id = "S", .persistent = true, .version = 5, .filter_qos = { 2, 2 } },
                { .client_id = "P", .persistent = true, .version = 5 },
                { .client_id = "W", .persistent = true, .version = 5, .has_will = true, .will_qos = 2, .will_topic = WILL },
                { .client_id = "X", .persistent = true, .version = 5, .filter_qos = { 2, 2, 2 }, .identified = 1 | 1 << GROUP },
                { .client_id = "Y", .persistent = true, .version = 5, .filter_qos = { 2, 2, 2 }, .identified = 1 << GROUP } },
    .actor_count = 5,
    .topics = { "t", "hub/t", "r", "w" },
    .topic_count = 4,
    .retained_topic = { false, false, true, false },
    .hub_topic = { false, true, false, false },
    .filters = { "#", "w", "$share/g/t" },
    .filter_count = 3,
    .first_shared = GROUP,
    .lasting_groups = 1,
    .watchers = 1 << S,
};
static struct ledger l;
static struct ledger_cast slow; /* the same with a delay */

static void happens(uint8_t kind, uint8_t actor, uint16_t pid, uint16_t message, uint32_t value, uint8_t flags)
{
    ledger_apply(&l, &(struct event){ .kind = kind, .actor = actor, .pid = pid, .message = message, .value = value,
                                      .flags = flags });
}

static void connects(uint8_t a, uint8_t flags, uint8_t answer)
{
    happens(EV_OPEN, a, 0, a == W ? l.message_count : LEDGER_NONE, 0, flags);
    happens(EV_CONNACK, a, 0, 0, 0, answer);
}

/* S has subscribed to everything, P is there. */
static void begin(void)
{
    ledger_init(&l, &cast);
    connects(S, 0, 0);
    happens(EV_SUBSCRIBE, S, 1, 0, ALL, 0);
    happens(EV_SUBACK, S, 1, 0, 0, 0);
    connects(P, 0, 0);
}

static uint16_t publishes(uint8_t topic, uint8_t flags, uint16_t pid)
{
    happens(EV_PUBLISH, P, pid, l.message_count, topic, flags);
    return (uint16_t)(l.message_count - 1);
}

static void acknowledged(uint8_t qos, uint16_t pid)
{
    happens(qos == 1 ? EV_PUBACK : EV_PUBREC, P, pid, 0, 0, 0);
}

static void delivers(uint16_t message, uint16_t pid, uint8_t flags)
{
    happens(EV_DELIVER, S, pid, message, l.messages[message].topic, flags);
}

static void is_broken(const char *promise)
{
    if (!l.broken[0])
        ledger_check_end(&l);
    if (strncmp(l.broken, promise, strlen(promise)) != 0)
        fail_msg("\"%s\" instead of %s", l.broken, promise);
}

static void is_kept(void)
{
    ledger_check_end(&l);
    if (l.broken[0])
        fail_msg("%s", l.broken);
}

static void what_was_acknowledged_must_arrive(void **state)
{
    (void)state;
    for (uint8_t qos = 1; qos <= 2; qos++) {
        begin();
        publishes(TOPIC, qos, 1);
        is_kept(); /* not acknowledged, not owed */
        acknowledged(qos, 1);
        is_broken(qos == 1 ? "P-QOS1" : "P-QOS2");
        begin();
        uint16_t m = publishes(TOPIC, qos, 1);
        acknowledged(qos, 1);
        delivers(m, 5, qos);
        is_broken(qos == 1 ? "P-QOS1" : "P-QOS2"); /* received, but never acknowledged by the client */
        begin();
        m = publishes(TOPIC, qos, 1);
        acknowledged(qos, 1);
        delivers(m, 5, qos);
        happens(qos == 1 ? EV_ACKED : EV_RECEIVED, S, 5, 0, 0, 0);
        is_kept();
    }
}

static void an_unsubscription_under_way_makes_it_uncertain(void **state)
{
    (void)state;
    begin();
    uint16_t m = publishes(TOPIC, 1, 1);
    happens(EV_UNSUBSCRIBE, S, 2, 0, ALL, 0);
    acknowledged(1, 1);
    is_kept();
    delivers(m, 5, 1); /* either is right */
    assert_string_equal(l.broken, "");
    happens(EV_UNSUBACK, S, 2, 0, 0, 0);
    m = publishes(TOPIC, 1, 1);
    delivers(m, 6, 1);
    is_broken("P-SESS");
}

static void exactly_once_is_once(void **state)
{
    (void)state;
    begin();
    uint16_t m = publishes(TOPIC, 2, 1);
    delivers(m, 5, 2);
    happens(EV_RECEIVED, S, 5, 0, 0, 0);
    happens(EV_CRASH, 0, 0, 0, 0, 0);
    connects(S, 0, EVENT_PRESENT);
    delivers(m, 5, 2 | EVENT_DUP); /* PUBREC was lost: the client knows the identifier */
    assert_string_equal(l.broken, "");
    happens(EV_RECEIVED, S, 5, 0, 0, 0);
    happens(EV_RELEASE, S, 5, 0, 0, 0);
    happens(EV_COMPLETED, S, 5, 0, 0, 0);
    assert_string_equal(l.broken, "");
    delivers(m, 6, 2);
    is_broken("P-QOS2");
}

static void what_was_released_may_not_come_again(void **state)
{
    (void)state;
    begin();
    uint16_t m = publishes(TOPIC, 2, 1);
    delivers(m, 5, 2);
    happens(EV_RECEIVED, S, 5, 0, 0, 0);
    happens(EV_RELEASE, S, 5, 0, 0, 0);
    happens(EV_LOST, S, 0, 0, 0, 0);
    connects(S, 0, EVENT_PRESENT);
    delivers(m, 5, 2 | EVENT_DUP);
    is_broken("P-QOS2");
}

static void an_identifier_keeps_its_message(void **state)
{
    (void)state;
    begin();
    uint16_t a = publishes(TOPIC, 1, 1), b = publishes(TOPIC, 1, 2);
    acknowledged(1, 1);
    delivers(a, 5, 1);
    happens(EV_CRASH, 0, 0, 0, 0, 0);
    connects(S, 0, EVENT_PRESENT);
    delivers(b, 5, 1 | EVENT_DUP);
    is_broken("P-QOS1");
    begin(); /* what nobody had acknowledged may be gone, its identifier free */
    a = publishes(TOPIC, 1, 1);
    b = publishes(TOPIC, 1, 2);
    delivers(a, 5, 1);
    happens(EV_CRASH, 0, 0, 0, 0, 0);
    connects(S, 0, EVENT_PRESENT);
    delivers(b, 5, 1);
    assert_string_equal(l.broken, "");
}

static void a_repeated_delivery_is_marked(void **state)
{
    (void)state;
    begin();
    uint16_t m = publishes(TOPIC, 1, 1);
    acknowledged(1, 1);
    delivers(m, 5, 1);
    happens(EV_LOST, S, 0, 0, 0, 0);
    connects(S, 0, EVENT_PRESENT);
    delivers(m, 5, 1);
    is_broken("[MQTT-3.3.1-1]");
}

static void order_is_kept(void **state)
{
    (void)state;
    begin();
    uint16_t a = publishes(TOPIC, 1, 1), b = publishes(TOPIC, 1, 2), c = publishes(TOPIC, 2, 3);
    delivers(c, 5, 2); /* another QoS has an order of its own */
    delivers(b, 6, 1);
    assert_string_equal(l.broken, "");
    delivers(a, 7, 1);
    is_broken("P-ORDER");
}

static void sessions_do_not_lie(void **state)
{
    (void)state;
    begin();
    happens(EV_LOST, S, 0, 0, 0, 0);
    connects(S, 0, 0);
    is_broken("P-SESS");
    ledger_init(&l, &cast);
    connects(S, 0, EVENT_PRESENT);
    is_broken("P-SESS");
    begin();
    happens(EV_LOST, S, 0, 0, 0, 0);
    connects(S, EVENT_CLEAN, EVENT_PRESENT);
    is_broken("P-SESS");
    begin();
    uint16_t m = publishes(TOPIC, 1, 1);
    acknowledged(1, 1);
    happens(EV_LOST, S, 0, 0, 0, 0);
    connects(S, EVENT_CLEAN, 0);
    is_kept(); /* it gave up what it was owed */
    delivers(m, 5, 1);
    is_broken("P-SESS");
}

static void retained_values_are_old_or_new(void **state)
{
    (void)state;
    uint16_t values[LEDGER_TOPICS];
    for (unsigned i = 0; i < LEDGER_TOPICS; i++)
        values[i] = LEDGER_NONE;
    begin();
    uint16_t a = publishes(KEPT, 1 | EVENT_RETAIN, 1);
    ledger_check_retained(&l, values); /* not acknowledged: there or not */
    values[KEPT] = a;
    ledger_check_retained(&l, values);
    acknowledged(1, 1);
    uint16_t b = publishes(KEPT, 1 | EVENT_RETAIN, 2);
    ledger_check_retained(&l, values);
    values[KEPT] = b;
    ledger_check_retained(&l, values);
    acknowledged(1, 2);
    assert_string_equal(l.broken, "");
    values[KEPT] = a;
    ledger_check_retained(&l, values);
    is_broken("P-RETAIN");
    l.broken[0] = 0;
    values[KEPT] = LEDGER_NONE;
    ledger_check_retained(&l, values);
    is_broken("P-RETAIN");
}

static void wills_come_once(void **state)
{
    (void)state;
    begin();
    connects(W, 0, 0);
    uint16_t w = l.members[W].will;
    happens(EV_CRASH, 0, 0, 0, 0, 0);
    is_broken("P-WILL"); /* owed, and not come */
    begin();
    connects(W, 0, 0);
    w = l.members[W].will;
    happens(EV_LOST, W, 0, 0, 0, 0);
    delivers(w, 5, 2);
    happens(EV_RECEIVED, S, 5, 0, 0, 0);
    is_kept();
    delivers(w, 6, 2);
    is_broken("P-WILL");
    begin(); /* withdrawn, and something in the log behind it was acknowledged */
    connects(W, 0, 0);
    w = l.members[W].will;
    happens(EV_QUIT, W, 0, 0, 0, 0);
    happens(EV_CLOSED, W, 0, 0, 0, 0);
    uint16_t m = publishes(TOPIC, 1, 1);
    acknowledged(1, 1);
    delivers(m, 5, 1);
    happens(EV_ACKED, S, 5, 0, 0, 0);
    is_kept();
    delivers(w, 6, 2);
    is_broken("P-WILL");
}

static void partitions_only_grow(void **state)
{
    (void)state;
    static struct ledger_part parts[LEDGER_PARTITIONS];
    memset(parts, 0, sizeof parts);
    begin();
    uint16_t a = publishes(HUB, 1, 1), b = publishes(HUB, 1, 2);
    acknowledged(1, 1);
    ledger_check_partitions(&l, parts);
    is_broken("P-PART"); /* acknowledged and not there */
    l.broken[0] = 0;
    parts[0].messages[0] = a;
    parts[0].count = 1;
    ledger_check_partitions(&l, parts);
    assert_string_equal(l.broken, "");
    happens(EV_READ, 0, 0, a, 0, 0);
    parts[0].messages[0] = b;
    parts[0].messages[1] = a;
    parts[0].count = 2;
    ledger_check_partitions(&l, parts);
    is_broken("P-PART"); /* a record that was read has changed */
    l.broken[0] = 0;
    parts[0].count = 0;
    parts[1].messages[0] = a;
    parts[1].count = 1;
    ledger_check_partitions(&l, parts);
    is_broken("P-PART"); /* it has gone */
}

/* ---- shared subscriptions ---- */

static void enters(uint8_t a, uint16_t pid)
{
    happens(EV_SUBSCRIBE, a, pid, 0, GROUP, 0);
    happens(EV_SUBACK, a, pid, 0, 0, 0);
}

/* X and Y share; P is there. */
static void begin_group(void)
{
    ledger_init(&l, &cast);
    for (uint8_t a = X; a <= Y; a++) {
        connects(a, 0, 0);
        enters(a, 1);
    }
    connects(P, 0, 0);
}

static void comes(uint8_t a, uint16_t message, uint16_t pid, uint8_t flags, uint16_t filters)
{
    ledger_apply(&l, &(struct event){ .kind = EV_DELIVER, .actor = a, .pid = pid, .message = message, .flags = flags,
                                      .value = l.messages[message].topic, .filters = filters });
}

static void takes(uint8_t a, uint16_t message, uint16_t pid, uint8_t qos)
{
    comes(a, message, pid, qos, 1 << GROUP);
    happens(qos == 1 ? EV_ACKED : EV_RECEIVED, a, pid, 0, 0, 0);
}

static void one_of_a_group_gets_it(void **state)
{
    (void)state;
    for (uint8_t qos = 1; qos <= 2; qos++) {
        begin_group();
        uint16_t m = publishes(TOPIC, qos, 1);
        is_kept();
        acknowledged(qos, 1);
        is_broken("P-SHARE");
        l.broken[0] = 0;
        takes(Y, m, 5, qos);
        is_kept();
        takes(X, m, 6, qos);
        if (qos == 2)
            is_broken("P-QOS2");
        else
            is_kept();
    }
}

static void who_ends_leaves_it_to_others(void **state)
{
    (void)state;
    for (uint8_t qos = 1; qos <= 2; qos++) {
        begin_group();
        uint16_t m = publishes(TOPIC, qos, 1);
        acknowledged(qos, 1);
        comes(X, m, 5, qos, 1 << GROUP);
        happens(EV_LOST, X, 0, 0, 0, 0);
        connects(X, EVENT_CLEAN, 0);
        if (qos == 2) {
            is_kept(); /* [MQTT-4.8.2-5] */
            takes(Y, m, 6, 2);
            is_broken("P-QOS2");
        } else {
            is_broken("P-SHARE");
            l.broken[0] = 0;
            takes(Y, m, 6, 1);
            is_kept();
        }
    }
    begin_group(); /* nobody is left */
    (void)publishes(TOPIC, 1, 1);
    acknowledged(1, 1);
    for (uint8_t a = X; a <= Y; a++)
        happens(EV_UNSUBSCRIBE, a, 2, 0, GROUP, 0);
    is_kept();
}

static void a_group_has_its_topics_members_and_qos(void **state)
{
    (void)state;
    begin_group();
    uint16_t m = publishes(HUB, 1, 1);
    comes(X, m, 5, 1, 1 << GROUP);
    is_broken("P-SHARE");
    begin_group();
    m = publishes(TOPIC, 1, 1);
    comes(S, m, 5, 1, 1 << GROUP); /* no member */
    is_broken("P-SHARE");
    begin_group();
    m = publishes(TOPIC, 2, 1);
    comes(X, m, 5, 1, 1 << GROUP);
    is_broken("P-SHARE");
    begin_group();
    happens(EV_SUBSCRIBE, X, 2, 0, ALL, 0);
    happens(EV_SUBACK, X, 2, 0, 0, 0);
    m = publishes(TOPIC, 1, 1);
    comes(X, m, 5, 1, 1 << GROUP | 1); /* one copy for two subscriptions */
    is_broken("P-SHARE");
}

static void members_keep_an_order_while_nobody_goes(void **state)
{
    (void)state;
    for (int gone = 0; gone < 2; gone++) {
        begin_group();
        uint16_t m = publishes(TOPIC, 1, 1);
        (void)publishes(TOPIC, 1, 2);
        if (gone)
            happens(EV_LOST, Y, 0, 0, 0, 0); /* what it had not got yet goes to X */
        takes(X, (uint16_t)(m + 1), 5, 1);
        takes(X, m, 6, 1);
        if (gone)
            assert_string_equal(l.broken, "");
        else
            is_broken("P-ORDER");
    }
}

static void identifiers_are_those_of_the_subscriptions(void **state)
{
    (void)state;
    static const uint16_t wrong[] = { 0, 2, 3 };
    for (size_t i = 0; i <= 3; i++) {
        begin_group();
        happens(EV_SUBSCRIBE, X, 2, 0, ALL, 0);
        happens(EV_SUBACK, X, 2, 0, 0, 0);
        uint16_t m = publishes(TOPIC, 1, 1);
        comes(X, m, 5, 1, i < 3 ? wrong[i] : 1);
        if (i < 3)
            is_broken("[MQTT-3.3.4-3]");
        assert_string_equal(i < 3 ? "" : l.broken, "");
    }
    begin_group(); /* on its way while it was asked for: either is right */
    uint16_t m = publishes(TOPIC, 1, 1);
    happens(EV_SUBSCRIBE, X, 2, 0, ALL, 0);
    comes(X, m, 5, 1, 1);
    assert_string_equal(l.broken, "");
}

static void who_is_back_in_time_withdraws_its_will(void **state)
{
    (void)state;
    for (int in_time = 0; in_time < 2; in_time++)
        for (int crash = 0; crash < 2; crash++) {
            begin();
            l.cast = &slow;
            connects(W, 0, 0);
            uint16_t w = l.members[W].will;
            happens(EV_LOST, W, 0, 0, 0, 0);
            if (crash) /* how long it was gone before that is not known */
                happens(EV_CRASH, 0, 0, 0, 0, 0);
            connects(W, 0, (uint8_t)(EVENT_PRESENT | (in_time ? EVENT_IN_TIME : 0)));
            happens(EV_DELIVER, S, 5, w, WILL, 2);
            if (in_time && !crash)
                is_broken("P-WILL");
            else
                assert_string_equal(l.broken, "");
        }
}

static int finish_cast(void **state)
{
    (void)state;
    ledger_cast_finish(&cast);
    slow = cast;
    slow.actors[W].will_delay_s = 2;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_must_arrive),
        cmocka_unit_test(an_unsubscription_under_way_makes_it_uncertain),
        cmocka_unit_test(exactly_once_is_once),
        cmocka_unit_test(what_was_released_may_not_come_again),
        cmocka_unit_test(an_identifier_keeps_its_message),
        cmocka_unit_test(a_repeated_delivery_is_marked),
        cmocka_unit_test(order_is_kept),
        cmocka_unit_test(sessions_do_not_lie),
        cmocka_unit_test(retained_values_are_old_or_new),
        cmocka_unit_test(wills_come_once),
        cmocka_unit_test(partitions_only_grow),
        cmocka_unit_test(one_of_a_group_gets_it),
        cmocka_unit_test(who_ends_leaves_it_to_others),
        cmocka_unit_test(a_group_has_its_topics_members_and_qos),
        cmocka_unit_test(members_keep_an_order_while_nobody_goes),
        cmocka_unit_test(identifiers_are_those_of_the_subscriptions),
        cmocka_unit_test(who_is_back_in_time_withdraws_its_will),
    };
    return cmocka_run_group_tests(tests, finish_cast, NULL);
}
