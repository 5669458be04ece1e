/* Subscriptions over a simulated network and clock: the state machine of Part 4, 5.13, case by case. */
#include "uaserver/subscription_test_stage.h"

static int open_stage(void **state)
{
    static struct stage t;
    stage_open(&t, (struct ua_server_limits){ .subscriptions = 3, .publish_requests = 4, .kept_subscriptions = 2 });
    *state = &t;
    return 0;
}

static int close_stage(void **state)
{
    stage_close(*state);
    return 0;
}

static void a_change_is_published_once(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    struct ua_monitored_item_create_result i = watch(&t->c, s, item(0, 77, 10, 0));
    assert_int_equal(i.status_code, UA_GOOD);
    assert_true(i.revised_sampling_interval == 0);
    assert_int_equal(i.revised_queue_size, 10);
    publish(&t->c);
    publish(&t->c);
    assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT); /* not before the interval is over */
    pass_ms(t, 110);
    struct heard h = hear(&t->c);
    assert_int_equal(h.status, UA_GOOD);
    assert_int_equal(h.response.subscription_id, s);
    assert_int_equal(h.sequence, 1);
    assert_int_equal(h.data_count, 1); /* the value it had at first */
    assert_int_equal(h.data[0].client_handle, 77);
    assert_true(number_of(&h.data[0]) == 0);
    assert_int_equal(h.data[0].value.has, UA_HAS_VALUE | UA_HAS_SOURCE_TIME | UA_HAS_SERVER_TIME);
    set(t, 0, 1.5);
    set(t, 0, 1.5); /* the same: no change */
    set(t, 0, 2.5);
    pass_ms(t, 110);
    h = hear(&t->c);
    assert_int_equal(h.sequence, 2);
    assert_int_equal(h.data_count, 2);
    assert_true(number_of(&h.data[0]) == 1.5);
    assert_true(number_of(&h.data[1]) == 2.5);
    assert_false(h.response.more_notifications);
    assert_int_equal(h.response.available_sequence_numbers_count, 2);
    assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
        T(a_change_is_published_once),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
