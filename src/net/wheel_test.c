#include "net/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the wheel against a plain array ---- */

enum { COUNT = 200 };

static struct wheel wheel;
static int64_t now;
static struct alarm {
    struct timer timer;
    int64_t  not_before_us; /* -1: not running */
    int64_t  tick;
    unsigned order;
} alarms[COUNT];
static unsigned starts, fired, last_order;
static int64_t  last_tick;
static uint64_t seed;

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void on_fire(struct timer *t)
{
    struct alarm *a = (struct alarm *)(void *)t;
    if (a->not_before_us < 0)
        fail_msg("a timer fired that was stopped");
    if (now < a->not_before_us)
        fail_msg("%lld us early", (long long)(a->not_before_us - now));
    if (a->tick < last_tick || (a->tick == last_tick && a->order < last_order))
        fail_msg("fired out of order");
    last_tick = a->tick;
    last_order = a->order;
    a->not_before_us = -1;
    assert_null(t->next);
    fired++;
}

static int64_t some_delay(void)
{
    static const int64_t upto[] = { 1, 30, 700, 50000, 3000000, 200000000, 20000000000 };
    return (int64_t)(draw() % (uint64_t)upto[draw() % 7]);
}

static void start(struct alarm *a)
{
    int64_t delay = some_delay();
    a->timer.fire = on_fire;
    wheel_start(&wheel, &a->timer, now, delay);
    a->not_before_us = now + delay * 1000;
    a->tick = a->timer.due_ms;
    a->order = ++starts;
}

static void timers_fire_in_order_never_early_and_all_of_them(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 300; round++) {
        seed = round * 0x9e3779b97f4a7c15;
        now = (int64_t)(draw() % 1000000000000);
        wheel_init(&wheel, now);
        unsigned running = 0;
        fired = starts = 0;
        for (int step = 0; step < 400; step++) {
            struct alarm *a = &alarms[draw() % COUNT];
            switch (draw() % 4) {
            case 0:
            case 1:
                running += a->not_before_us < 0 || !a->timer.next;
                start(a);
                break;
            case 2:
                running -= a->timer.next != NULL;
                wheel_stop(&a->timer);
                a->not_before_us = -1;
                break;
            default: {
                int64_t next = wheel_next_us(&wheel), before = now;
                now = draw() % 2 && next != INT64_MAX ? next : now + some_delay() * 500;
                assert_true(next > before || running == 0 || next <= now);
                last_tick = -1;
                fired = 0;
                wheel_fire(&wheel, now);
                running -= fired;
                /* Nothing that is due by a full tick may have stayed. */
                for (int i = 0; i < COUNT; i++)
                    if (alarms[i].timer.next)
                        assert_true(alarms[i].not_before_us > now - WHEEL_TICK_MS * 1000);
                assert_true((wheel_next_us(&wheel) == INT64_MAX) == (running == 0));
            }
            }
        }
        /* From one proposed wake-up to the next, to the last timer. */
        int wakes = 0;
        for (int64_t next; (next = wheel_next_us(&wheel)) != INT64_MAX; wakes++) {
            assert_true(next > now);
            now = next;
            last_tick = -1;
            wheel_fire(&wheel, now);
        }
        assert_true(wakes <= COUNT * (WHEEL_LEVELS + 40));
        for (int i = 0; i < COUNT; i++) {
            assert_null(alarms[i].timer.next);
            alarms[i].not_before_us = -1;
        }
    }
}

static void fire_nothing(struct timer *t)
{
    (void)t;
}

static void following_the_proposed_wake_ups_a_timer_is_less_than_two_ticks_late(void **state)
{
    (void)state;
    for (now = 123456789; now < 140000000; now += 777777) {
        struct timer t = { .fire = fire_nothing };
        int64_t started = now, at = now;
        wheel_init(&wheel, now);
        wheel_start(&wheel, &t, now, 100);
        for (int wakes = 0; t.next; wakes++) {
            assert_true(wakes < 3);
            at = wheel_next_us(&wheel);
            wheel_fire(&wheel, at);
        }
        assert_true(at >= started + 100000 && at < started + 120000);
        assert_true(wheel_next_us(&wheel) == INT64_MAX);
    }
}

/* ---- handlers that meddle ---- */

static struct timer one, two, three;
static char said[16];

static void say(char c)
{
    size_t n = strlen(said);
    if (n + 1 < sizeof said)
        said[n] = c;
}

static void fire_three(struct timer *t)
{
    (void)t;
    say('3');
}

static void fire_one(struct timer *t)
{
    say('1');
    wheel_stop(&two);                        /* due in the same call */
    wheel_start(&wheel, t, now, 0);          /* not before the next call */
    wheel_start(&wheel, &three, now, 50);    /* was due, too */
    three.fire = fire_three;
}

static void a_handler_may_stop_and_restart_any_timer(void **state)
{
    (void)state;
    now = 0;
    wheel_init(&wheel, now);
    memset(said, 0, sizeof said);
    one.fire = fire_one;
    two.fire = three.fire = fire_three;
    wheel_start(&wheel, &one, now, 10);
    wheel_start(&wheel, &two, now, 10);
    wheel_start(&wheel, &three, now, 10);
    now = 25000;
    wheel_fire(&wheel, now);
    assert_string_equal(said, "1");
    assert_true(timer_running(&one));
    assert_false(timer_running(&two));
    wheel_stop(&one);
    now += 61000;
    wheel_fire(&wheel, now);
    assert_string_equal(said, "13");
    wheel_stop(&one);
}

int main(void)
{
    for (int i = 0; i < COUNT; i++)
        alarms[i].not_before_us = -1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_never_early_and_all_of_them),
        cmocka_unit_test(following_the_proposed_wake_ups_a_timer_is_less_than_two_ticks_late),
        cmocka_unit_test(a_handler_may_stop_and_restart_any_timer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
