#include "sensor/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void the_same_seed_gives_the_same_readings(void **state)
{
    (void)state;
    struct machine a, b, c;
    struct reading x, y, z;
    machine_init(&a, &(struct machine_config){ .seed = 7 });
    machine_init(&b, &(struct machine_config){ .seed = 7 });
    machine_init(&c, &(struct machine_config){ .seed = 8, .temperature_step = 0.01 });
    int differs = 0;
    for (int i = 0; i < 1000; i++) {
        machine_read(&a, &x);
        machine_read(&b, &y);
        machine_read(&c, &z);
        assert_true(x.temperature == y.temperature && x.humidity == y.humidity);
        differs += x.temperature != z.temperature;
    }
    assert_true(differs > 500);
}

static void readings_come_in_whole_steps_near_the_working_point(void **state)
{
    (void)state;
    struct machine m;
    struct reading r;
    machine_init(&m, &(struct machine_config){ .seed = 3 });
    double low = 1000, high = -1000;
    for (int i = 0; i < 20000; i++) {
        machine_read(&m, &r);
        assert_true(r.temperature == (double)(int)r.temperature && r.humidity == (double)(int)r.humidity);
        assert_true(r.disturbed == MACHINE_CALM);
        low = r.temperature < low ? r.temperature : low;
        high = r.temperature > high ? r.temperature : high;
    }
    assert_true(low > 10 && high < 32); /* drift stays bounded */
    assert_true(high - low >= 2);       /* and there is some */
}

static void disturbances_come_where_they_were_planted(void **state)
{
    (void)state;
    struct machine m;
    struct reading r;
    machine_init(&m, &(struct machine_config){ .seed = 5, .disturb_every = 20, .disturb_first = 10 });
    for (int i = 1; i <= 70; i++) {
        machine_read(&m, &r);
        enum machine_disturbance want = i >= 10 && i < 13   ? MACHINE_HOT
                                        : i == 30           ? MACHINE_HUMID
                                        : i == 50           ? MACHINE_DRY
                                        : i >= 70           ? MACHINE_HOT
                                                            : MACHINE_CALM;
        assert_int_equal(r.disturbed, want);
        assert_true((r.temperature > 60) == (want == MACHINE_HOT));
        assert_true((r.humidity > 58) == (want == MACHINE_HUMID));
        assert_true((r.humidity < 32) == (want == MACHINE_DRY));
    }
}

static void json_has_the_decimals_of_the_step(void **state)
{
    (void)state;
    struct machine m;
    struct reading r = { .temperature = 21, .humidity = 43 };
    char out[96];
    machine_init(&m, &(struct machine_config){ .seed = 1 });
    (void)reading_json(&m, &r, out, sizeof out);
    assert_string_equal(out, "{\"temperature\":21,\"humidity\":43}");
    machine_init(&m, &(struct machine_config){ .seed = 1, .temperature_step = 0.1, .humidity_step = 0.25 });
    r.temperature = 21.4;
    size_t n = reading_json(&m, &r, out, sizeof out);
    assert_int_equal(n, strlen(out));
    assert_string_equal(out, "{\"temperature\":21.4,\"humidity\":43.00}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_seed_gives_the_same_readings),
        cmocka_unit_test(readings_come_in_whole_steps_near_the_working_point),
        cmocka_unit_test(disturbances_come_where_they_were_planted),
        cmocka_unit_test(json_has_the_decimals_of_the_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
