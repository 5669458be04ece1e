#include "broker/admit.h"

#include "mqtt/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)

static const struct limits limits = { .connections_per_address = 3, .connect_rate = 5, .memory_bytes = 1000 };

static uint8_t come(struct admit *a, const char *address, int64_t now)
{
    bool counted;
    admit_came(a, address, now, &counted);
    assert_true(counted);
    return admit_judge(a, &limits, address, now);
}

static void one_address_has_so_many_connections(void **state)
{
    (void)state;
    struct admit a;
    admit_init(&a);
    assert_int_equal(come(&a, "10.0.0.5:1", 1 * SECOND), 0);
    assert_int_equal(come(&a, "10.0.0.5:2", 3 * SECOND), 0);
    assert_int_equal(come(&a, "10.0.0.5:3", 5 * SECOND), 0);
    assert_int_equal(come(&a, "10.0.0.5:4", 7 * SECOND), MQTT_QUOTA_EXCEEDED);
    assert_int_equal(come(&a, "10.0.0.6:4", 7 * SECOND), 0);     /* another one is not concerned */
    assert_int_equal(come(&a, "[fe80::1]:4", 7 * SECOND), 0);
    admit_went(&a, "10.0.0.5:4");
    admit_went(&a, "10.0.0.5:1");
    assert_int_equal(come(&a, "10.0.0.5:5", 9 * SECOND), 0);
    admit_clear(&a);
}

static void one_address_connects_so_fast(void **state)
{
    (void)state;
    struct admit a;
    char address[32];
    admit_init(&a);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(address, sizeof address, "10.0.0.5:%d", 100 + i);
        assert_int_equal(come(&a, address, 5 * SECOND + i), i < 5 ? 0 : MQTT_CONNECTION_RATE);
        admit_went(&a, address);
    }
    assert_int_equal(come(&a, "10.0.0.5:9", 6 * SECOND + 10), 0);
    admit_clear(&a);
}

static void addresses_that_went_are_forgotten(void **state)
{
    (void)state;
    struct admit a;
    char address[32];
    admit_init(&a);
    for (int i = 0; i < 20000; i++) {
        (void)snprintf(address, sizeof address, "10.%d.%d.%d:1", i >> 16, i >> 8 & 255, i & 255);
        (void)come(&a, address, i * SECOND);
        admit_went(&a, address);
    }
    assert_true(a.addresses.count < 5000);
    admit_clear(&a);
}

static void memory_is_weighed(void **state)
{
    (void)state;
    struct admit a;
    admit_init(&a);
    admit_weigh(&a, &limits, 1000, 0);
    assert_false(a.over_memory);
    admit_weigh(&a, &limits, 1001, 0);
    assert_true(a.over_memory);
    admit_weigh(&a, &limits, 900, 0);
    assert_false(a.over_memory);
    admit_weigh(&a, &limits, 900, 101);
    assert_true(a.over_memory);
    admit_weigh(&a, &limits, 900, 100);
    assert_false(a.over_memory);
    admit_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_address_has_so_many_connections),
        cmocka_unit_test(one_address_connects_so_fast),
        cmocka_unit_test(addresses_that_went_are_forgotten),
        cmocka_unit_test(memory_is_weighed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
