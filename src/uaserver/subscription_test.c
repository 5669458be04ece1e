/* Subscriptions over a simulated network and clock: the state machine of Part 4, 5.13, case by case. */
#include "uaserver/subscription_test_stage.h"

#include <math.h>

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

static void create_is_revised(void **state)
{
    struct stage *t = *state;
    struct ua_create_subscription_response a = subscribe(&t->c, (struct ua_create_subscription_request){ 0 });
    assert_true(a.revised_publishing_interval == 10);
    assert_int_equal(a.revised_max_keep_alive_count, 10);
    assert_int_equal(a.revised_lifetime_count, 30);
    a = subscribe(&t->c, (struct ua_create_subscription_request){ .requested_publishing_interval = 33.3,
                                                                  .requested_max_keep_alive_count = UINT32_MAX,
                                                                  .requested_lifetime_count = 5 });
    assert_true(a.revised_publishing_interval == 40);
    assert_int_equal(a.revised_max_keep_alive_count, 90000); /* an hour */
    assert_int_equal(a.revised_lifetime_count, 3 * 90000);
    a = subscribe(&t->c, (struct ua_create_subscription_request){ .requested_publishing_interval = (double)NAN,
                                                                  .requested_lifetime_count = UINT32_MAX });
    assert_true(a.revised_publishing_interval == 10);
    assert_int_equal(a.revised_lifetime_count, 8640000); /* a day */
    struct ua_create_subscription_request q = { 0 };
    assert_int_equal(CLIENT_ASK(&t->c, create_subscription, &q, &a), UA_BAD_TOO_MANY_SUBSCRIPTIONS);
}

static void silence_is_kept_alive(void **state)
{
    struct stage *t = *state;
    (void)subscribe_simply(&t->c);
    for (int i = 0; i < 4; i++)
        publish(&t->c);
    pass_ms(t, 110);
    struct heard h = hear(&t->c); /* the first one after one interval, though there is nothing to say */
    assert_int_equal(h.status, UA_GOOD);
    assert_int_equal(h.sequence, 1);
    assert_int_equal(h.response.notification_message.notification_data_count, 0);
    for (int i = 0; i < 2; i++) {
        pass_ms(t, 390);
        assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT);
        pass_ms(t, 120);
        h = hear(&t->c); /* then after five */
        assert_int_equal(h.status, UA_GOOD);
        assert_int_equal(h.sequence, 1); /* the number is not used up */
        assert_int_equal(h.response.available_sequence_numbers_count, 0);
    }
}

static void without_requests_it_is_late_and_then_dies(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    (void)watch(&t->c, s, item(0, 1, 10, 0));
    pass_ms(t, 1350);
    set(t, 0, 5);
    publish(&t->c); /* in the 14th interval: at once, since it is late */
    struct heard h = hear(&t->c);
    assert_int_equal(h.data_count, 2);
    pass_ms(t, 1350);
    publish(&t->c);
    h = hear(&t->c); /* late again: a keep-alive */
    assert_int_equal(h.status, UA_GOOD);
    assert_int_equal(h.data_count, 0);
    pass_ms(t, 1650);
    publish(&t->c);
    h = hear(&t->c);
    assert_int_equal(h.status, UA_GOOD);
    assert_int_equal(h.response.subscription_id, s);
    assert_int_equal(h.change, UA_BAD_TIMEOUT);
    assert_int_equal(h.sequence, 2);
    publish(&t->c);
    assert_int_equal(hear(&t->c).status, UA_BAD_NO_SUBSCRIPTION);
}

static void its_lifetime_is_counted_in_cycles(void **state)
{
    struct stage *t = *state;
    (void)subscribe_simply(&t->c);
    const struct uas_subscriptions *all = t->w.server->subs;
    pass_ms(t, 1480);
    assert_non_null(all->all);
    pass_ms(t, 40); /* the 15th cycle without a request */
    assert_null(all->all);
    struct heard h;
    publish(&t->c);
    h = hear(&t->c);
    assert_int_equal(h.change, UA_BAD_TIMEOUT);
}

static void publishing_can_be_turned_off(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    (void)watch(&t->c, s, item(0, 1, 10, 0));
    const uint32_t ids[] = { s, 4711 };
    struct ua_set_publishing_mode_request q = { .publishing_enabled = false, .subscription_ids = ids, .subscription_ids_count = 2 };
    struct ua_set_publishing_mode_response a;
    assert_int_equal(CLIENT_ASK(&t->c, set_publishing_mode, &q, &a), UA_GOOD);
    assert_int_equal(a.results[0], UA_GOOD);
    assert_int_equal(a.results[1], UA_BAD_SUBSCRIPTION_ID_INVALID);
    publish(&t->c);
    publish(&t->c);
    set(t, 0, 1);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).data_count, 0); /* the first keep-alive */
    pass_ms(t, 300);
    assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT);
    q.publishing_enabled = true;
    assert_int_equal(CLIENT_ASK(&t->c, set_publishing_mode, &q, &a), UA_GOOD);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).data_count, 2); /* sampling went on */
    q.subscription_ids_count = 0;
    assert_int_equal(CLIENT_ASK(&t->c, set_publishing_mode, &q, &a), UA_BAD_NOTHING_TO_DO);
}

static void long_messages_are_cut_and_go_on_at_once(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe(&t->c, (struct ua_create_subscription_request){ .requested_publishing_interval = 100,
                                                                           .max_notifications_per_publish = 4,
                                                                           .publishing_enabled = true }).subscription_id;
    for (int i = 0; i < 10; i++)
        (void)watch(&t->c, s, item(i, (uint32_t)i, 10, 0));
    publish(&t->c);
    publish(&t->c);
    pass_ms(t, 110);
    struct heard h = hear(&t->c);
    assert_int_equal(h.data_count, 4);
    assert_true(h.response.more_notifications);
    assert_int_equal(h.data[0].client_handle, 0);
    h = hear(&t->c); /* in the same cycle */
    assert_int_equal(h.data_count, 4);
    assert_true(h.response.more_notifications);
    assert_int_equal(h.sequence, 2);
    publish(&t->c); /* the rest does not wait for the next one */
    h = hear(&t->c);
    assert_int_equal(h.data_count, 2);
    assert_false(h.response.more_notifications);
    assert_int_equal(h.data[1].client_handle, 9);
}

/* Whose priority is higher is served first when requests are scarce; of the same, who has waited longer. */
static void priority_decides(void **state)
{
    struct stage *t = *state;
    struct ua_create_subscription_request q = { .requested_publishing_interval = 100, .publishing_enabled = true };
    uint32_t low = subscribe(&t->c, q).subscription_id;
    q.priority = 7;
    uint32_t high = subscribe(&t->c, q).subscription_id;
    (void)watch(&t->c, low, item(0, 1, 1, 0));
    (void)watch(&t->c, high, item(0, 2, 1, 0));
    pass_ms(t, 150);
    publish(&t->c);
    assert_int_equal(hear(&t->c).response.subscription_id, high);
    publish(&t->c);
    assert_int_equal(hear(&t->c).response.subscription_id, low);
}

static void requests_are_limited_and_the_oldest_goes(void **state)
{
    struct stage *t = *state;
    publish(&t->c);
    assert_int_equal(hear(&t->c).status, UA_BAD_NO_SUBSCRIPTION);
    uint32_t s = subscribe_simply(&t->c);
    uint32_t first = t->c.handle + 1;
    for (int i = 0; i < 5; i++)
        publish(&t->c);
    struct heard h = hear(&t->c);
    assert_int_equal(h.status, UA_BAD_TOO_MANY_PUBLISH_REQUESTS);
    struct ua_cancel_request c = { .request_handle = first + 2 };
    struct ua_cancel_response a;
    (void)client_send(&t->c, &ua_cancel_request_type, &c);
    assert_int_equal(hear(&t->c).status, UA_BAD_REQUEST_CANCELLED_BY_CLIENT);
    assert_int_equal(client_answer(&t->c, &ua_cancel_response_type, &a), UA_GOOD);
    assert_int_equal(a.cancel_count, 1);
    struct ua_delete_subscriptions_request d = { .subscription_ids = &s, .subscription_ids_count = 1 };
    struct ua_delete_subscriptions_response b;
    assert_int_equal(CLIENT_ASK(&t->c, delete_subscriptions, &d, &b), UA_GOOD);
    for (int i = 0; i < 3; i++)
        assert_int_equal(hear(&t->c).status, UA_BAD_NO_SUBSCRIPTION);
    assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT);
}

static void a_request_that_nobody_waits_for_is_not_used(void **state)
{
    struct stage *t = *state;
    (void)subscribe_simply(&t->c);
    struct ua_publish_request q = { .header = { .timeout_hint = 50 } };
    (void)client_send(&t->c, &ua_publish_request_type, &q);
    publish(&t->c);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT); /* a fault with that result ... */
    uint32_t timed_out = t->c.answered;
    assert_int_equal(hear(&t->c).status, UA_GOOD);
    assert_int_equal(t->c.answered, timed_out + 1); /* ... and the next one is used */
}

/* ---- acknowledged, and asked for again ---- */

static ua_status republish(struct stage *t, uint32_t subscription, uint32_t sequence, struct heard *h)
{
    struct ua_republish_request q = { .subscription_id = subscription, .retransmit_sequence_number = sequence };
    struct ua_republish_response a;
    ua_status status = CLIENT_ASK(&t->c, republish, &q, &a);
    *h = (struct heard){ 0 };
    if (!status)
        read_parts(&t->c, &a.notification_message, h);
    return status;
}

static void messages_can_be_asked_for_until_they_are_acknowledged(void **state)
{
    struct stage *t = *state;
    struct heard h;
    uint32_t s = subscribe_simply(&t->c);
    (void)watch(&t->c, s, item(0, 7, 1, 0));
    for (int i = 1; i <= 3; i++) {
        publish(&t->c);
        set(t, 0, i);
        pass_ms(t, 110);
        h = hear(&t->c);
        assert_int_equal(h.sequence, i);
        assert_int_equal(h.response.available_sequence_numbers_count, i);
    }
    assert_int_equal(republish(t, s, 2, &h), UA_GOOD);
    assert_int_equal(h.sequence, 2);
    assert_true(number_of(&h.data[0]) == 2);
    publish_acknowledging(&t->c, s, 2);
    assert_int_equal(republish(t, s, 2, &h), UA_BAD_MESSAGE_NOT_AVAILABLE);
    assert_int_equal(republish(t, s, 3, &h), UA_GOOD);
    assert_int_equal(republish(t, 4711, 3, &h), UA_BAD_SUBSCRIPTION_ID_INVALID);
    set(t, 0, 4);
    pass_ms(t, 110);
    h = hear(&t->c);
    assert_int_equal(h.response.results_count, 1);
    assert_int_equal(h.response.results[0], UA_GOOD);
    assert_int_equal(h.response.available_sequence_numbers_count, 3);
    assert_int_equal(h.response.available_sequence_numbers[0], 1);
    assert_int_equal(h.response.available_sequence_numbers[1], 3);
    publish_acknowledging(&t->c, s, 2);
    publish_acknowledging(&t->c, 4711, 1);
    set(t, 0, 5);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).response.results[0], UA_BAD_SEQUENCE_NUMBER_UNKNOWN);
    set(t, 0, 6);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).response.results[0], UA_BAD_SUBSCRIPTION_ID_INVALID);
}

static void what_is_never_acknowledged_is_forgotten_oldest_first(void **state)
{
    struct stage *t = *state;
    struct heard h;
    uint32_t s = subscribe_simply(&t->c);
    (void)watch(&t->c, s, item(0, 7, 1, 0));
    for (int i = 1; i <= 12; i++) {
        publish(&t->c);
        set(t, 0, i);
        pass_ms(t, 110);
        h = hear(&t->c);
        assert_int_equal(h.response.available_sequence_numbers_count, i < 8 ? i : 8); /* twice the requests it may have */
    }
    assert_int_equal(h.response.available_sequence_numbers[0], 5);
    assert_int_equal(republish(t, s, 4, &h), UA_BAD_MESSAGE_NOT_AVAILABLE);
    assert_int_equal(republish(t, s, 5, &h), UA_GOOD);
}

/* Others have left as much behind as the server keeps: a message is sent, and that is it. */
static void what_all_leave_unacknowledged_is_limited(void **state)
{
    struct stage *t = *state;
    struct heard h;
    uint32_t s = subscribe_simply(&t->c);
    (void)watch(&t->c, s, item(0, 7, 1, 0));
    struct uas_subscriptions *all = t->w.server->subs;
    publish(&t->c);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).response.available_sequence_numbers_count, 1);
    uint64_t others = UAS_RETAINED_ALL - all->retained_bytes;
    all->retained_bytes += others;
    publish(&t->c);
    set(t, 0, 1);
    pass_ms(t, 110);
    h = hear(&t->c); /* the older one makes room */
    assert_int_equal(h.sequence, 2);
    assert_int_equal(h.response.available_sequence_numbers_count, 1);
    all->retained_bytes += 60;
    others += 60;
    publish(&t->c);
    set(t, 0, 2);
    pass_ms(t, 110);
    h = hear(&t->c);
    assert_int_equal(h.sequence, 3);
    assert_true(number_of(&h.data[0]) == 2);
    assert_int_equal(h.response.available_sequence_numbers_count, 0);
    assert_int_equal(republish(t, s, 3, &h), UA_BAD_MESSAGE_NOT_AVAILABLE);
    all->retained_bytes -= others;
}

static void sequence_numbers_go_round_without_zero(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    (void)watch(&t->c, s, item(0, 7, 1, 0));
    ((struct uas_subscriptions *)t->w.server->subs)->all->sequence = UINT32_MAX;
    for (int i = 1; i <= 2; i++) {
        publish(&t->c);
        set(t, 0, i);
        pass_ms(t, 110);
        assert_int_equal(hear(&t->c).sequence, i == 1 ? UINT32_MAX : 1);
    }
}

static void modify_is_revised_and_starts_anew(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    struct ua_monitored_item_create_result i = watch(&t->c, s, item(0, 7, 10, -1));
    assert_true(i.revised_sampling_interval == 100);
    publish(&t->c);
    pass_ms(t, 110);
    (void)hear(&t->c);
    struct ua_modify_subscription_request q = { .subscription_id = s, .requested_publishing_interval = 500,
                                                .requested_lifetime_count = 1, .requested_max_keep_alive_count = 2 };
    struct ua_modify_subscription_response a;
    assert_int_equal(CLIENT_ASK(&t->c, modify_subscription, &q, &a), UA_GOOD);
    assert_true(a.revised_publishing_interval == 500);
    assert_int_equal(a.revised_lifetime_count, 6);
    publish(&t->c);
    set(t, 0, 1); /* the item still looks every 100 ms */
    pass_ms(t, 250);
    set(t, 0, 2);
    pass_ms(t, 230);
    assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT);
    pass_ms(t, 50);
    struct heard h = hear(&t->c);
    assert_int_equal(h.data_count, 2);
    assert_true(number_of(&h.data[0]) == 1);
    assert_true(number_of(&h.data[1]) == 2);
    q.subscription_id = 4711;
    assert_int_equal(CLIENT_ASK(&t->c, modify_subscription, &q, &a), UA_BAD_SUBSCRIPTION_ID_INVALID);
}

/* ---- sessions come and go ---- */

static struct ua_transfer_result transfer(struct client *c, uint32_t subscription, bool initial)
{
    struct ua_transfer_subscriptions_request q = { .subscription_ids = &subscription, .subscription_ids_count = 1,
                                                   .send_initial_values = initial };
    struct ua_transfer_subscriptions_response a;
    assert_int_equal(CLIENT_ASK(c, transfer_subscriptions, &q, &a), UA_GOOD);
    return a.results[0];
}

static void end_session(struct client *c, bool delete_subscriptions)
{
    struct ua_close_session_request q = { .delete_subscriptions = delete_subscriptions };
    struct ua_close_session_response a;
    assert_int_equal(CLIENT_ASK(c, close_session, &q, &a), UA_GOOD);
}

static void begin_again(struct client *c)
{
    struct ua_create_session_response a;
    c->token = (struct ua_node_id){ 0 };
    assert_int_equal(client_create(c, NULL, &a), UA_GOOD);
    assert_int_equal(client_activate(c, NULL, (struct ua_extension_object){ 0 }), UA_GOOD);
}

static void another_session_takes_over(void **state)
{
    struct stage *t = *state;
    struct client other;
    client_begin(&other, &t->w);
    uint32_t s = subscribe_simply(&t->c);
    (void)watch(&t->c, s, item(0, 7, 10, 0));
    publish(&t->c);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).sequence, 1);
    publish(&t->c);
    publish(&t->c);
    struct ua_transfer_result r = transfer(&other, s, false);
    assert_int_equal(r.status_code, UA_GOOD);
    assert_int_equal(r.available_sequence_numbers_count, 1);
    assert_int_equal(r.available_sequence_numbers[0], 1);
    struct heard h = hear(&t->c);
    assert_int_equal(h.change, UA_GOOD_SUBSCRIPTION_TRANSFERRED);
    assert_int_equal(h.response.subscription_id, s);
    assert_int_equal(hear(&t->c).status, UA_BAD_NO_SUBSCRIPTION);
    publish(&other);
    pass_ms(t, 110);
    h = hear(&other); /* it hears something within one interval */
    assert_int_equal(h.status, UA_GOOD);
    assert_int_equal(h.data_count, 0);
    set(t, 0, 3);
    publish(&other);
    pass_ms(t, 110);
    h = hear(&other);
    assert_int_equal(h.sequence, 2);
    assert_true(number_of(&h.data[0]) == 3);
    assert_int_equal(transfer(&other, 4711, false).status_code, UA_BAD_SUBSCRIPTION_ID_INVALID);
    assert_int_equal(transfer(&other, s, true).status_code, UA_GOOD); /* to itself, with what it knows already */
    publish(&other);
    pass_ms(t, 110);
    h = hear(&other);
    assert_int_equal(h.data_count, 1);
    assert_true(number_of(&h.data[0]) == 3);
    client_close(&other);
}

static void only_the_same_user_may_take_it(void **state)
{
    struct stage *t = *state;
    struct client other;
    client_begin(&other, &t->w);
    uint32_t s = subscribe_simply(&t->c);
    struct ua_server_user *user = &t->w.server->sessions->user; /* the newest session is the other one */
    (void)snprintf(user->name, sizeof user->name, "anna");
    assert_int_equal(transfer(&other, s, false).status_code, UA_BAD_USER_ACCESS_DENIED);
    end_session(&t->c, false);
    assert_int_equal(transfer(&other, s, false).status_code, UA_BAD_USER_ACCESS_DENIED); /* it is remembered whose it was */
    begin_again(&t->c);
    struct uas_subscription *sub = ((struct uas_subscriptions *)t->w.server->subs)->all;
    assert_int_equal(sub->application, 0);
    sub->application = 1; /* made by a client with a certificate */
    assert_int_equal(transfer(&t->c, s, false).status_code, UA_BAD_USER_ACCESS_DENIED);
    sub->application = 0;
    assert_int_equal(transfer(&t->c, s, false).status_code, UA_GOOD);
    client_close(&other);
}

static void subscriptions_outlive_their_session(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c), gone = subscribe_simply(&t->c);
    (void)watch(&t->c, s, item(0, 7, 10, 0));
    struct ua_delete_subscriptions_request d = { .subscription_ids = &gone, .subscription_ids_count = 1 };
    struct ua_delete_subscriptions_response b;
    assert_int_equal(CLIENT_ASK(&t->c, delete_subscriptions, &d, &b), UA_GOOD);
    end_session(&t->c, false);
    set(t, 0, 1);
    pass_ms(t, 500);
    set(t, 0, 2);
    begin_again(&t->c);
    assert_int_equal(transfer(&t->c, gone, false).status_code, UA_BAD_SUBSCRIPTION_ID_INVALID);
    assert_int_equal(transfer(&t->c, s, false).status_code, UA_GOOD);
    publish(&t->c);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).data_count, 3); /* what was queued meanwhile */
    end_session(&t->c, false);
    pass_ms(t, 1700); /* its lifetime */
    begin_again(&t->c);
    assert_int_equal(transfer(&t->c, s, false).status_code, UA_BAD_SUBSCRIPTION_ID_INVALID);
    s = subscribe_simply(&t->c);
    end_session(&t->c, true);
    begin_again(&t->c);
    assert_int_equal(transfer(&t->c, s, false).status_code, UA_BAD_SUBSCRIPTION_ID_INVALID);
}

static void those_nobody_comes_back_for_are_limited(void **state)
{
    struct stage *t = *state;
    uint32_t ids[3];
    for (int i = 0; i < 3; i++) {
        ids[i] = subscribe_simply(&t->c);
        end_session(&t->c, false);
        begin_again(&t->c);
        pass_ms(t, 20);
    }
    assert_int_equal(transfer(&t->c, ids[0], false).status_code, UA_BAD_SUBSCRIPTION_ID_INVALID); /* the oldest */
    assert_int_equal(transfer(&t->c, ids[1], false).status_code, UA_GOOD);
    assert_int_equal(transfer(&t->c, ids[2], false).status_code, UA_GOOD);
}

/* The connection breaks; the session is moved to a new one, and what was not heard is asked for again. */
static void a_lost_answer_is_heard_again(void **state)
{
    struct stage *t = *state;
    struct heard h;
    uint32_t s = subscribe_simply(&t->c);
    (void)watch(&t->c, s, item(0, 7, 10, 0));
    publish(&t->c);
    publish(&t->c);
    pass_ms(t, 110);
    sim_hang_up(t->c.sim, true);
    set(t, 0, 1);
    pass_ms(t, 300);
    struct client again;
    assert_true(client_open(&again, &t->w, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    memcpy(again.token_bytes, t->c.token_bytes, sizeof again.token_bytes);
    again.token = t->c.token;
    again.token.text.at = again.token_bytes;
    assert_int_equal(client_activate(&again, NULL, (struct ua_extension_object){ 0 }), UA_GOOD);
    client_close(&t->c);
    t->c = again;
    t->c.token.text.at = t->c.token_bytes;
    assert_int_equal(republish(t, s, 1, &h), UA_GOOD);
    assert_true(number_of(&h.data[0]) == 0);
    publish(&t->c);
    h = hear(&t->c); /* late: at once */
    assert_int_equal(h.sequence, 2);
    assert_true(number_of(&h.data[0]) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
        T(a_change_is_published_once),
        T(create_is_revised),
        T(silence_is_kept_alive),
        T(without_requests_it_is_late_and_then_dies),
        T(its_lifetime_is_counted_in_cycles),
        T(publishing_can_be_turned_off),
        T(long_messages_are_cut_and_go_on_at_once),
        T(priority_decides),
        T(requests_are_limited_and_the_oldest_goes),
        T(a_request_that_nobody_waits_for_is_not_used),
        T(messages_can_be_asked_for_until_they_are_acknowledged),
        T(what_is_never_acknowledged_is_forgotten_oldest_first),
        T(what_all_leave_unacknowledged_is_limited),
        T(sequence_numbers_go_round_without_zero),
        T(modify_is_revised_and_starts_anew),
        T(another_session_takes_over),
        T(only_the_same_user_may_take_it),
        T(subscriptions_outlive_their_session),
        T(those_nobody_comes_back_for_are_limited),
        T(a_lost_answer_is_heard_again),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
