/* Subscriptions of before the program ended, against a server that the test plays. */
#include "uaclient/uaclient_test_stage.h"

enum { NUMBER = 1 << 20, OLD = 77 };

static struct ua_kept_item kept_item(ua_time last, int64_t value)
{
    struct ua_data_value v = {.has = UA_HAS_VALUE | UA_HAS_SOURCE_TIME,
                              .source_time = last,
                              .value = {.type = UA_INT64, .i64 = value}};
    return (struct ua_kept_item){.number = NUMBER,
                                 .id = 1,
                                 .queue = 5,
                                 .sampling_ms = 20,
                                 .last = last,
                                 .print = ua_value_print(&v)};
}

/* The server has subscription OLD with one item, and the client is up. */
static void set(struct stage *st)
{
    struct ua_client_options o = plain_options();
    stage_set(st);
    stage_open(st, &o);
    told(st, "up ");
    st->sub_known = true;
    st->sub_id = OLD;
    st->handles[0] = NUMBER;
    st->items = 1;
}

static void adopt(struct stage *st, const struct ua_kept *kept, const struct ua_kept_item *item)
{
    static const struct ua_subscription_options options = {
        .publishing_ms = 100, .keep_alive_ms = 1000, .silent_ms = 2000};
    struct ua_watch w = {.handle = 1,
                         .node = {.id = {.ns = 1, .kind = UA_ID_NUMBER, .number = 7}},
                         .mode = UA_MONITOR_REPORTING};
    struct fault why;
    assert_int_equal(ua_subscription_open(&st->sub, st->client, &options, &sub_events, st, &why), CODE_OK);
    assert_int_equal(ua_subscription_adopt(st->sub, kept, item, &w, 1, &why), CODE_OK);
    sim_advance(st->sim, 50000);
}

static void test_goes_on(void **state)
{
    struct stage st;
    struct ua_kept kept = {
        .id = OLD, .expected = 6, .heard = 1000, .publishing_ms = 100, .keep_alive_count = 10};
    struct ua_kept_item item = kept_item(14, 14);
    struct ua_subscription_look look;
    (void)state;
    set(&st);
    keep(&st, 5, 14, 14); /* is safe */
    keep(&st, 6, 15, 15);
    keep(&st, 7, 16, 16);
    adopt(&st, &kept, &item);
    told(&st, "item(1 Good) 1r15 1r16 ");
    publish(&st, 8, 0, 17, 17);
    publish(&st, 8, 0, 17, 17);
    told(&st, "1=17 ");
    ua_subscription_look(st.sub, &look);
    assert_int_equal(look.id, OLD);
    assert_int_equal(look.made_anew, 0);
    assert_int_equal(st.subs, 0); /* none was made */
    assert_int_equal(st.requests, 0); /* nor an item */
    stage_close(&st);
}

/* Of message 6, value 1 was safe: the message has one value here, so nothing of it is left. */
static void test_a_part_is_safe(void **state)
{
    struct stage st;
    struct ua_kept kept = {.id = OLD, .expected = 6, .given = 1, .publishing_ms = 100, .keep_alive_count = 10};
    struct ua_kept_item item = kept_item(0, 0);
    (void)state;
    set(&st);
    keep(&st, 6, 15, 15);
    keep(&st, 7, 16, 16);
    adopt(&st, &kept, &item);
    told(&st, "item(1 Good) 1r16 ");
    stage_close(&st);
}

static void test_refused(void **state)
{
    struct stage st;
    struct ua_kept kept = {
        .id = OLD, .expected = 6, .heard = 1000, .publishing_ms = 100, .keep_alive_count = 10};
    struct ua_kept_item item = kept_item(14, 14);
    (void)state;
    set(&st);
    fail_next(&st, &ua_transfer_subscriptions_request_type, UA_BAD_SERVICE_UNSUPPORTED, 1);
    adopt(&st, &kept, &item);
    told(&st, "item(1 Good) notice(5210) gap(5212 lost 0 filled 0/1) ");
    publish(&st, 1, 0, 14, 14); /* the standing value, which is safe already */
    publish(&st, 2, 0, 15, 15);
    told(&st, "1=15 ");
    assert_int_equal(st.subs, 1);
    stage_close(&st);
}

/* Nothing is known of the subscription, but its last values are. */
static void test_of_no_use(void **state)
{
    struct stage st;
    struct ua_kept kept = {.heard = 1000};
    struct ua_kept_item item = kept_item(14, 14);
    (void)state;
    set(&st);
    adopt(&st, &kept, &item);
    told(&st, "item(1 Good) notice(5210) gap(5212 lost 0 filled 0/1) ");
    publish(&st, 1, 0, 14, 14);
    told(&st, "");
    stage_close(&st);
}

/* The connection ends while the server is asked: it is asked again. */
static void test_cut(void **state)
{
    struct stage st;
    struct ua_kept kept = {.id = OLD, .expected = 6, .publishing_ms = 100, .keep_alive_count = 10};
    struct ua_kept_item item = kept_item(14, 14);
    (void)state;
    set(&st);
    keep(&st, 6, 15, 15);
    st.mute = ua_transfer_subscriptions_request_type.encoding;
    adopt(&st, &kept, &item);
    st.mute = 0;
    sim_advance(st.sim, 1200000);
    cut(&st);
    sim_advance(st.sim, SECOND);
    told(&st, "down(5201) up+ item(1 Good) 1r15 ");
    stage_close(&st);
}

/* node-opcua tells us that it was transferred, to us; the second time it means somebody else. */
static void test_the_word_of_the_transfer(void **state)
{
    struct stage st;
    struct ua_kept kept = {
        .id = OLD, .expected = 6, .heard = 1000, .publishing_ms = 100, .keep_alive_count = 10};
    struct ua_kept_item item = kept_item(14, 14);
    struct ua_status_change_notification n = {.status = UA_GOOD_SUBSCRIPTION_TRANSFERRED,
                                              .diagnostic_info = {-1, -1, -1, -1, BYTES_NONE, 0, NULL}};
    struct buf b = {0};
    (void)state;
    set(&st);
    adopt(&st, &kept, &item);
    buf_le32(&b, 1);
    ua_write_object_of(&b, &ua_status_change_notification_type, &n);
    publish_raw(&st, 6, buf_bytes(&b), OLD);
    publish(&st, 7, 0, 15, 15);
    told(&st, "item(1 Good) 1=15 ");
    publish_raw(&st, 8, buf_bytes(&b), OLD);
    sim_advance(st.sim, 1200000);
    told(&st, "notice(5210) gap(5212 lost 0 filled 0/1) ");
    buf_clear(&b);
    stage_close(&st);
}

static void test_only_a_new_one(void **state)
{
    struct stage st;
    struct ua_kept kept = {.id = OLD};
    struct ua_kept_item item = kept_item(0, 0);
    struct ua_watch w = {0};
    struct fault why;
    (void)state;
    set(&st);
    watch(&st, NULL, 1, false);
    told(&st, "item(1 Good) ");
    assert_int_equal(ua_subscription_adopt(st.sub, &kept, &item, &w, 1, &why), CODE_USAGE);
    stage_close(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on),   cmocka_unit_test(test_a_part_is_safe),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_of_no_use),
        cmocka_unit_test(test_cut),       cmocka_unit_test(test_the_word_of_the_transfer),
        cmocka_unit_test(test_only_a_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
