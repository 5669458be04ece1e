#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/mem.h"
#include "broker/alias.h"
#include "mqtt/packet.h"

static void incoming_ones_are_set_and_used(void **state)
{
    (void)state;
    struct aliases *a = NULL;
    struct bytes t = BYTES_NONE;
    assert_int_equal(alias_in(&a, 64, 1, &t), MQTT_PROTOCOL_ERROR); /* never set */
    assert_null(a);                                                /* and nothing was taken for it */
    t = BYTES_LIT("a/b");
    assert_int_equal(alias_in(&a, 64, 0, &t), MQTT_TOPIC_ALIAS_INVALID);
    assert_int_equal(alias_in(&a, 64, 65, &t), MQTT_TOPIC_ALIAS_INVALID);
    assert_int_equal(alias_in(&a, 0, 1, &t), MQTT_TOPIC_ALIAS_INVALID);
    assert_int_equal(alias_in(&a, 64, 64, &t), 0);
    assert_int_equal(alias_in(&a, 64, 1, &t), 0);
    t = BYTES_NONE;
    assert_int_equal(alias_in(&a, 64, 64, &t), 0);
    assert_true(bytes_is(t, "a/b"));
    t = BYTES_NONE;
    assert_int_equal(alias_in(&a, 64, 63, &t), MQTT_PROTOCOL_ERROR);
    t = BYTES_LIT("c");
    assert_int_equal(alias_in(&a, 64, 64, &t), 0);
    t = BYTES_NONE;
    assert_int_equal(alias_in(&a, 64, 64, &t), 0);
    assert_true(bytes_is(t, "c"));
    t = BYTES_NONE;
    assert_int_equal(alias_in(&a, 64, 1, &t), 0);
    assert_true(bytes_is(t, "a/b"));
    aliases_free(a);
}

static void their_memory_is_bounded(void **state)
{
    (void)state;
    struct aliases *a = NULL;
    static char text[1024];
    uint64_t before = mem_in_use();
    memset(text, 't', sizeof text);
    for (unsigned round = 0; round < 50; round++)
        for (uint16_t i = 1; i <= 64; i++) {
            struct bytes t = bytes_of(text, sizeof text - round);
            assert_int_equal(alias_in(&a, 64, i, &t), 0);
        }
    assert_true(mem_in_use() - before <= 64 * (1024 + 16) + 1024);
    aliases_free(a);
    assert_int_equal(mem_in_use(), before);
}

static uint16_t out(struct aliases **a, uint16_t max, const char *topic, bool *known)
{
    return alias_out(a, max, bytes_str(topic), known);
}

static void what_repeats_gets_one(void **state)
{
    (void)state;
    struct aliases *a = NULL;
    bool known;
    assert_int_equal(out(&a, 0, "factory/a", &known), 0);
    assert_null(a);
    assert_int_equal(out(&a, 10, "short", &known), 0); /* would save nothing */
    assert_null(a);
    uint16_t alias = out(&a, 10, "factory/a", &known); /* its place is free */
    assert_true(alias >= 1 && alias <= 10 && !known);
    assert_int_equal(out(&a, 10, "factory/a", &known), alias);
    assert_true(known);
    aliases_free(a);
    a = NULL;
    assert_int_equal(out(&a, 1, "factory/a", &known), 1);
    assert_int_equal(out(&a, 1, "factory/b", &known), 0); /* the place is taken: it must come again */
    assert_int_equal(out(&a, 1, "factory/a", &known), 1);
    assert_true(known);
    assert_int_equal(out(&a, 1, "factory/b", &known), 0);
    assert_int_equal(out(&a, 1, "factory/b", &known), 1);
    assert_false(known);
    assert_int_equal(out(&a, 1, "factory/b", &known), 1);
    assert_true(known);
    aliases_free(a);
}

/* Whatever comes, what the peer remembers under an alias is what we leave out. */
static void both_sides_agree(void **state)
{
    (void)state;
    for (uint16_t max = 1; max < 200; max = (uint16_t)(max * 3)) {
        struct aliases *a = NULL;
        char peer[65][16] = { "" }, topic[16];
        unsigned left_out = 0, x = 7;
        for (unsigned n = 0; n < 5000; n++) {
            bool known;
            x = x * 1103515245 + 12345;
            (void)snprintf(topic, sizeof topic, "topic/%u", (x >> 16) % (n % 2 ? 3 : 300));
            uint16_t alias = out(&a, max, topic, &known);
            assert_true(alias <= max && alias <= 64);
            if (alias && !known)
                memcpy(peer[alias], topic, sizeof topic);
            else if (alias)
                assert_string_equal(peer[alias], topic);
            left_out += known;
        }
        assert_true(left_out > (max == 1 ? 10 : 500));
        aliases_free(a);
    }
}

static void without_memory_topics_are_whole(void **state)
{
    (void)state;
    struct aliases *a = NULL;
    bool known;
    struct bytes t = BYTES_LIT("factory/a");
    for (unsigned i = 1; i <= 3; i++) {
        mem_fail_at(i);
        uint8_t reason = alias_in(&a, 64, 5, &t);
        mem_fail_at(0);
        assert_int_equal(reason, MQTT_SERVER_BUSY);
        aliases_free(a);
        a = NULL;
    }
    for (unsigned i = 1; i <= 3; i++) {
        mem_fail_at(i);
        bool any = out(&a, 64, "factory/a", &known) != 0;
        mem_fail_at(0);
        assert_false(any);
        (void)out(&a, 64, "factory/a", &known);
        assert_false(known);
        aliases_free(a);
        a = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(incoming_ones_are_set_and_used),
        cmocka_unit_test(their_memory_is_bounded),
        cmocka_unit_test(what_repeats_gets_one),
        cmocka_unit_test(both_sides_agree),
        cmocka_unit_test(without_memory_topics_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
