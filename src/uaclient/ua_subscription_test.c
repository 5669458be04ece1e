/* Subscriptions against a server that the test plays: order, loss, coming back, hostile messages. */
#include "uaclient/uaclient_test_stage.h"

#define ITEM "item(1 Good) "

static void set(struct stage *st, bool history)
{
    struct ua_client_options o = plain_options();
    stage_set(st);
    stage_open(st, &o);
    told(st, "up ");
    watch(st, NULL, 1, history);
    told(st, ITEM);
}

static void test_values_in_order(void **state)
{
    struct stage st;
    (void)state;
    set(&st, false);
    assert_int_equal(st.parked_count, 2);
    publish(&st, 1, 0, 10, 10);
    publish(&st, 2, 0, 11, 11);
    keep_alive(&st, 3);
    publish(&st, 3, 0, 12, 12);
    told(&st, "1=10 1=11 1=12 ");
    publish(&st, 3, 0, 12, 12); /* again */
    told(&st, "");
    /* 4 is on its way still: it is asked for, and 5 waits. */
    keep(&st, 4, 13, 13);
    publish(&st, 5, 0, 14, 14);
    told(&st, "1r13 1=14 ");
    /* 6 and 7 are gone for good, 8 is not. */
    keep(&st, 8, 17, 17);
    publish(&st, 9, 0, 18, 18);
    told(&st, "gap(5211 lost 2 filled 0/1) 1r17 1=18 ");
    /* A keep-alive that names a later one tells of a loss, too. */
    keep(&st, 10, 19, 19);
    keep_alive(&st, 11);
    told(&st, "1r19 ");
    struct ua_client_look l;
    ua_client_look(st.client, &l);
    assert_int_equal(l.lost_messages, 2);
    assert_int_equal(l.republished, 3);
    assert_int_equal(l.duplicates, 1);
    stage_close(&st);
}

static void test_no_republish(void **state)
{
    struct stage st;
    (void)state;
    set(&st, false);
    publish(&st, 1, 0, 10, 10);
    fail_next(&st, &ua_republish_request_type, UA_BAD_SERVICE_UNSUPPORTED, 1);
    publish(&st, 5, 0, 14, 14);
    told(&st, "1=10 gap(5211 lost 3 filled 0/1) 1=14 ");
    publish(&st, 4000000000u, 0, 15,
            15); /* a jump backwards by half the circle, or forwards: a loss all the same */
    sim_advance(st.sim, SECOND);
    struct ua_client_look l;
    ua_client_look(st.client, &l);
    assert_true(l.lacks & 1u << UA_LACK_REPUBLISH);
    /* In a new session it is tried again. */
    st.session = 0;
    st.sub_known = false;
    cut(&st);
    sim_advance(st.sim, 5 * SECOND);
    ua_client_look(st.client, &l);
    assert_int_equal(l.state, UA_CLIENT_UP);
    assert_int_equal(l.lacks & 1u << UA_LACK_REPUBLISH, 0);
    stage_close(&st);
}

static void test_wrap(void **state)
{
    struct stage st;
    (void)state;
    set(&st, false);
    publish(&st, UINT32_MAX - 1, 0, 1, 1);
    publish(&st, UINT32_MAX, 0, 2, 2);
    publish(&st, 1, 0, 3, 3);
    keep(&st, 2, 4, 4);
    publish(&st, 3, 0, 5, 5);
    told(&st, "1=1 1=2 1=3 1r4 1=5 ");
    stage_close(&st);
}

static void test_numbers_that_run_backwards(void **state)
{
    struct stage st;
    (void)state;
    set(&st, false);
    publish(&st, 10, 0, 1, 1);
    told(&st, "1=1 ");
    sim_advance(st.sim, 1500000);
    for (uint32_t i = 1; i < 4; i++)
        publish(&st, i, 0, i, i);
    sim_advance(st.sim, 100000);
    told(&st, "notice(5210) gap(5212 lost 0 filled 0/1) ");
    publish(&st, 1, 0, 9, 9);
    told(&st, "1=9 ");
    stage_close(&st);
}

static void test_same_session(void **state)
{
    struct stage st;
    (void)state;
    set(&st, false);
    publish(&st, 1, 0, 10, 10);
    keep(&st, 2, 11, 11);
    keep(&st, 3, 12, 12);
    sim_advance(st.sim, 1200000);
    cut(&st);
    sim_advance(st.sim, 100000);
    told(&st, "1=10 down(5201) up+ 1r11 1r12 ");
    publish(&st, 4, 0, 13, 13);
    told(&st, "1=13 ");
    assert_int_equal(st.subs, 1);
    stage_close(&st);
}

/* Some servers send the present values again over a new connection, in a new message: node-opcua does. */
static void test_the_same_value_again(void **state)
{
    struct stage st;
    (void)state;
    set(&st, false);
    publish(&st, 1, 0, 10, 10);
    sim_advance(st.sim, 1200000);
    cut(&st);
    sim_advance(st.sim, 100000);
    told(&st, "1=10 down(5201) up+ ");
    publish(&st, 2, 0, 11, 11);
    publish(&st, 3, 0, 11, 11); /* again */
    publish(&st, 4, 0, 12, 11); /* another value with the same time */
    told(&st, "1=11 1=12 ");
    for (unsigned i = 0; i < 11; i++) {
        sim_advance(st.sim, SECOND);
        keep_alive(&st, 5);
    }
    publish(&st, 5, 0, 12, 11); /* at another time that is the server's business */
    told(&st, "1=12 ");
    stage_close(&st);
}

static void publish_value(struct stage *st, uint32_t sequence, const struct ua_variant *v, ua_status status, ua_time time)
{
    struct buf b = {0};
    struct ua_monitored_item_notification n = {st->handles[0],
                                               {.has = UA_HAS_VALUE | UA_HAS_STATUS | UA_HAS_SOURCE_TIME |
                                                       UA_HAS_SERVER_TIME,
                                                .status = status,
                                                .source_time = time,
                                                .server_time = time + sequence,
                                                .value = *v}};
    struct ua_data_change_notification d = {.monitored_items = &n, .monitored_items_count = 1};
    buf_le32(&b, 1);
    ua_write_object_of(&b, &ua_data_change_notification_type, &d);
    publish_raw(st, sequence, buf_bytes(&b), st->sub_id);
    buf_clear(&b);
}

/* What comes again is known by all that is in it: arrays and texts too, and by nothing less. */
static void test_what_comes_again_is_compared_by_content(void **state)
{
    static const double one[3] = {1, 2, 3}, two[3] = {1, 2, 4};
    static const uint32_t dims[2] = {1, 3};
    struct bytes texts[2] = {BYTES_LIT("a"), BYTES_LIT("b")}, others[2] = {BYTES_LIT("a"), BYTES_LIT("c")};
    const struct {
        struct ua_variant value;
        ua_status status;
        ua_time time;
        bool again;
    } cases[] = {
        {{.type = UA_DOUBLE, .array = true, .count = 3, .at = one}, 0, 11, false},
        {{.type = UA_DOUBLE, .array = true, .count = 3, .at = one}, 0, 11, true},
        {{.type = UA_DOUBLE, .array = true, .count = 3, .at = two}, 0, 11, false},
        {{.type = UA_DOUBLE, .array = true, .count = 3, .at = two}, UA_INFO_DATA_VALUE | UA_OVERFLOW, 11, true},
        {{.type = UA_DOUBLE, .array = true, .count = 3, .at = two}, 0x80000000, 11, false},
        {{.type = UA_DOUBLE, .array = true, .count = 3, .at = two, .dims = dims, .dims_count = 2}, 0, 11, false},
        {{.type = UA_DOUBLE, .array = true, .count = 3, .at = two, .dims = dims, .dims_count = 2}, 0, 12, false},
        {{.type = UA_DOUBLE, .array = true, .count = 0, .at = two}, 0, 12, false},
        {{.type = UA_DOUBLE, .array = true, .count = 0, .at = two}, 0, 12, true},
        {{.type = UA_STRING, .array = true, .count = 2, .at = texts}, 0, 12, false},
        {{.type = UA_STRING, .array = true, .count = 2, .at = others}, 0, 12, false},
        {{.type = UA_STRING, .array = true, .count = 2, .at = others}, 0, 12, true},
        {{.type = UA_STRING, .text = BYTES_LIT("temperature 1")}, 0, 12, false},
        {{.type = UA_STRING, .text = BYTES_LIT("temperature 2")}, 0, 12, false},
        {{.type = UA_STRING, .text = BYTES_LIT("temperature 2")}, 0, 12, true},
        {{.type = UA_STRING, .text = BYTES_LIT("temperature 2")}, 0, 13, false},
        {{.type = UA_INT32, .i32 = -1}, 0, 13, false},
        {{.type = UA_INT32, .i32 = -1}, 0, 13, true},
        {{.type = UA_INT32, .i32 = -1}, 0, 14, false},
    };
    struct ua_client_look before, now;
    struct stage st;
    (void)state;
    set(&st, false);
    publish(&st, 1, 0, 10, 10);
    sim_advance(st.sim, 1200000);
    cut(&st);
    sim_advance(st.sim, 100000);
    for (size_t i = 0; i < COUNT(cases); i++) {
        ua_client_look(st.client, &before);
        publish_value(&st, (uint32_t)i + 2, &cases[i].value, cases[i].status, cases[i].time);
        sim_advance(st.sim, 1000);
        ua_client_look(st.client, &now);
        if (now.values - before.values != !cases[i].again || now.duplicates - before.duplicates != cases[i].again)
            fail_msg("value %zu: given %d times", i, (int)(now.values - before.values));
    }
    stage_close(&st);
}

/* The first message of all was lost on the way. */
static void test_nothing_seen_yet(void **state)
{
    struct stage st;
    (void)state;
    set(&st, false);
    keep(&st, 1, 11, 11);
    sim_advance(st.sim, 1200000);
    cut(&st);
    sim_advance(st.sim, 100000);
    told(&st, "down(5201) up+ 1r11 ");
    stage_close(&st);
}

static void test_transferred(void **state)
{
    struct stage st;
    (void)state;
    set(&st, false);
    publish(&st, 1, 0, 10, 10);
    keep(&st, 2, 11, 11);
    st.session = 0;
    sim_advance(st.sim, 1200000);
    cut(&st);
    sim_advance(st.sim, 100000);
    told(&st, "1=10 down(5201) up 1r11 ");
    assert_int_equal(st.subs, 1);
    publish(&st, 3, 0, 12, 12);
    told(&st, "1=12 ");
    stage_close(&st);
}

static void made_anew(bool supported, bool history, const char *want)
{
    struct stage st;
    set(&st, history);
    st.history = history;
    publish(&st, 1, 0, 40, 40);
    told(&st, "1=40 ");
    st.session = 0;
    st.sub_known = false;
    if (!supported)
        fail_next(&st, &ua_transfer_subscriptions_request_type, UA_BAD_SERVICE_UNSUPPORTED, 1);
    sim_advance(st.sim, 1200000);
    cut(&st);
    sim_advance(st.sim, 100000);
    told(&st, want);
    assert_int_equal(st.subs, 2);
    if (!history)
        publish(&st, 1, 0, 40, 40); /* the value of now is the one that was given: not twice */
    else
        publish(&st, 1, 0, 60, 60);
    told(&st, "");
    publish(&st, 2, 0, 70, 70);
    told(&st, "1=70 ");
    stage_close(&st);
}

static void test_made_anew(void **state)
{
    (void)state;
    made_anew(true, false, "down(5201) up notice(5210) gap(5212 lost 0 filled 0/1) ");
    made_anew(false, false, "down(5201) up notice(5210) gap(5212 lost 0 filled 0/1) ");
    made_anew(false, true, "down(5201) up 1h50 1h60 notice(5210) gap(5212 lost 0 filled 1/1) ");
}

static void test_silence(void **state)
{
    struct stage st;
    (void)state;
    set(&st, false);
    publish(&st, 1, 0, 10, 10);
    told(&st, "1=10 ");
    sim_advance(st.sim, 3500000);
    told(&st, "notice(5210) gap(5212 lost 0 filled 0/1) ");
    assert_int_equal(st.subs, 2);
    /* and when not even a Read is answered, the line is dead */
    st.dead = true;
    sim_advance(st.sim, 20 * (int64_t)SECOND);
    assert_non_null(st.log.at);
    buf_u8(&st.log, 0);
    assert_non_null(strstr((const char *)st.log.at, "down(52"));
    stage_close(&st);
}

/* Alive, but the first values do not come: made anew, once. */
static void test_keep_alives_only(void **state)
{
    struct stage st;
    (void)state;
    set(&st, false);
    for (unsigned i = 0; i < 40; i++) {
        keep_alive(&st, 1);
        sim_advance(st.sim, SECOND);
    }
    told(&st, "notice(5210) gap(5212 lost 0 filled 0/1) ");
    assert_int_equal(st.subs, 2);
    stage_close(&st);
}

static void test_overflow(void **state)
{
    struct stage st;
    struct buf b = {0};
    struct ua_subscription_look l;
    (void)state;
    set(&st, false);
    struct ua_monitored_item_notification n = {
        st.handles[0],
        {.has = UA_HAS_VALUE | UA_HAS_STATUS, .status = 0x480, .value = {.type = UA_INT64, .i64 = 5}}};
    struct ua_data_change_notification d = {.monitored_items = &n, .monitored_items_count = 1};
    buf_le32(&b, 1);
    ua_write_object_of(&b, &ua_data_change_notification_type, &d);
    publish_raw(&st, 1, buf_bytes(&b), st.sub_id);
    told(&st, "1=5 ");
    ua_subscription_look(st.sub, &l);
    assert_int_equal(l.overflows, 1);
    buf_clear(&b);
    stage_close(&st);
}

static void test_events(void **state)
{
    struct ua_qualified_name message = {0, BYTES_LIT("Message")};
    struct ua_simple_attribute_operand select = {.type_definition_id = UA_NS0(UA_ID_BASE_EVENT_TYPE),
                                                 .browse_path = &message,
                                                 .browse_path_count = 1,
                                                 .attribute_id = UA_ATTR_VALUE};
    struct ua_event_filter filter = {.select_clauses = &select, .select_clauses_count = 1};
    struct ua_watch w = {.handle = 9,
                         .node = {.id = UA_NS0(UA_ID_SERVER)},
                         .attribute = UA_ATTR_EVENT_NOTIFIER,
                         .mode = UA_MONITOR_REPORTING,
                         .events = &filter};
    struct ua_variant fields[2] = {{.type = UA_STRING, .text = BYTES_LIT("hot")},
                                   {.type = UA_STRING, .text = BYTES_LIT("press")}};
    struct buf b = {0};
    struct stage st;
    (void)state;
    set(&st, false);
    assert_int_equal(ua_subscription_add(st.sub, &w, 1, NULL, NULL), CODE_OK);
    sim_advance(st.sim, 50000);
    told(&st, "item(9 Good) ");
    assert_int_equal(st.filter.number, ua_event_filter_type.encoding);
    struct ua_event_field_list e = {st.handles[1], fields, 2};
    struct ua_event_notification_list list = {.events = &e, .events_count = 1};
    buf_le32(&b, 1);
    ua_write_object_of(&b, &ua_event_notification_list_type, &list);
    publish_raw(&st, 1, buf_bytes(&b), st.sub_id);
    told(&st, "event(9: hot press) ");
    buf_clear(&b);
    stage_close(&st);
}

enum { REGISTERED = 77 };

static bool refuse_registered(struct stage *st, uint32_t id, uint32_t encoding, const void *request)
{
    const struct ua_create_monitored_items_request *q = request;
    struct ua_monitored_item_create_result bad = {.status_code = UA_BAD_NODE_ID_UNKNOWN};
    struct ua_create_monitored_items_response r = {.results = &bad, .results_count = 1};
    if (encoding != ua_create_monitored_items_request_type.encoding ||
        q->items_to_create[0].item_to_monitor.node_id.number != REGISTERED)
        return false;
    st->most_items++; /* that it has been tried */
    respond(st, id, &ua_create_monitored_items_response_type, &r);
    return true;
}

/* By the id that was registered in this session; by its own one when that is refused, or is of another session. */
static void test_registered_ids(void **state)
{
    struct ua_watch w = {.handle = 3,
                         .node = {.id = {.ns = 1, .kind = UA_ID_NUMBER, .number = 7}},
                         .mode = UA_MONITOR_REPORTING,
                         .registered = {.ns = 5, .kind = UA_ID_NUMBER, .number = REGISTERED}};
    (void)state;
    for (uint32_t session = 0; session < 3; session++) { /* none, this one, one that was not */
        struct stage st;
        set(&st, false);
        st.item_ns = 0;
        w.registered_in = session;
        assert_int_equal(ua_subscription_add(st.sub, &w, 1, NULL, NULL), CODE_OK);
        sim_advance(st.sim, 50000);
        told(&st, "item(3 Good) ");
        assert_int_equal(st.item_ns, session == 1 ? 5 : 1);
        stage_close(&st);
        set(&st, false);
        st.hook = refuse_registered;
        assert_int_equal(ua_subscription_add(st.sub, &w, 1, NULL, NULL), CODE_OK);
        sim_advance(st.sim, 50000);
        told(&st, "item(3 Good) ");
        assert_int_equal(st.item_ns, 1);
        assert_int_equal(st.most_items, session == 1);
        stage_close(&st);
    }
}

static void test_deadband_and_taking_away(void **state)
{
    struct ua_watch w = {.handle = 2,
                         .node = {.id = {.ns = 1, .number = 7}},
                         .mode = UA_MONITOR_REPORTING,
                         .deadband = UA_DEADBAND_ABSOLUTE,
                         .deadband_value = 2};
    uint32_t number;
    struct stage st;
    (void)state;
    set(&st, false);
    assert_int_equal(ua_subscription_add(st.sub, &w, 1, &number, NULL), CODE_OK);
    sim_advance(st.sim, 50000);
    told(&st, "item(2 Good) ");
    assert_int_equal(st.filter.number, ua_data_change_filter_type.encoding);
    publish(&st, 1, 1, 5, 5);
    ua_subscription_remove(st.sub, &number, 1);
    publish(&st, 2, 1, 6, 6); /* on its way still: thrown away */
    publish(&st, 3, 0, 7, 7);
    told(&st, "2=5 1=7 ");
    /* the place is used again, the number is another one */
    uint32_t again;
    assert_int_equal(ua_subscription_add(st.sub, &w, 1, &again, NULL), CODE_OK);
    assert_int_not_equal(number, again);
    assert_int_equal(number & 0xfffff, again & 0xfffff);
    sim_advance(st.sim, 50000);
    publish(&st, 4, 1, 8, 8); /* under the old number */
    told(&st, "item(2 Good) ");
    stage_close(&st);
}

static void test_ended_by_the_server(void **state)
{
    struct stage st;
    struct buf b = {0};
    struct ua_status_change_notification n = {.status = UA_BAD_TIMEOUT,
                                              .diagnostic_info = {-1, -1, -1, -1, BYTES_NONE, 0, NULL}};
    (void)state;
    set(&st, false);
    publish(&st, 1, 0, 10, 10);
    sim_advance(st.sim, 1200000);
    buf_le32(&b, 1);
    ua_write_object_of(&b, &ua_status_change_notification_type, &n);
    publish_raw(&st, 2, buf_bytes(&b), st.sub_id);
    sim_advance(st.sim, 100000);
    told(&st, "1=10 notice(5210) gap(5212 lost 0 filled 0/1) ");
    /* BadNoSubscription as the answer to Publish */
    sim_advance(st.sim, 2 * SECOND);
    st.sub_known = false;
    keep_alive(&st, 1);
    sim_advance(st.sim, 100000);
    told(&st, "notice(5210) gap(5212 lost 0 filled 0/1) ");
    assert_int_equal(st.subs, 3);
    buf_clear(&b);
    stage_close(&st);
}

static void test_too_many_publish(void **state)
{
    struct stage st;
    struct ua_client_look l;
    (void)state;
    set(&st, false);
    assert_int_equal(st.parked_count, 2);
    fail_next(&st, &ua_publish_request_type, UA_BAD_TOO_MANY_PUBLISH_REQUESTS, 1);
    publish(&st, 1, 0, 10, 10);
    sim_advance(st.sim, 1500000);
    publish(&st, 2, 0, 11, 11);
    told(&st, "1=10 1=11 ");
    ua_client_look(st.client, &l);
    assert_true(l.lacks & 1u << UA_LACK_PUBLISH_QUEUE);
    assert_int_equal(st.parked_count, 1);
    /* and a server that refuses all of them is not asked without pause */
    fail_next(&st, &ua_publish_request_type, UA_BAD_RESOURCE_UNAVAILABLE, 1000);
    publish(&st, 3, 0, 12, 12);
    sim_advance(st.sim, 1800000);
    uint32_t left = 0;
    for (size_t i = 0; i < FAULTS; i++)
        left += st.faults[i].times;
    assert_in_range(1000 - left, 1, 6);
    stage_close(&st);
}

static void test_items(void **state)
{
    struct stage st;
    struct ua_client_options o = plain_options();
    (void)state;
    stage_set(&st);
    st.most_items = 3;
    stage_open(&st, &o);
    watch(&st, NULL, 8, false);
    told(&st, "up item(1 Good) item(2 Good) item(3 Good) item(4 Good) item(5 Good) item(6 Good) item(7 Good) "
              "item(8 Good) ");
    assert_int_equal(st.asked[0], 8);
    assert_int_equal(st.asked[1], 4);
    assert_int_equal(st.asked[2], 2);
    assert_int_equal(st.items, 8);
    publish(&st, 1, 6, 1, 1);
    told(&st, "7=1 ");
    stage_close(&st);
}

static void test_items_that_are_refused(void **state)
{
    struct stage st;
    struct ua_client_options o = plain_options();
    (void)state;
    stage_set(&st);
    st.item_status = UA_BAD_NODE_ID_UNKNOWN;
    stage_open(&st, &o);
    watch(&st, "urn:y", 1, false);
    told(&st, "up item(1 BadNodeIdUnknown) ");
    assert_int_equal(st.item_ns, 2);
    st.item_status = UA_GOOD;
    for (unsigned i = 0; i < 11; i++) {
        keep_alive(&st, 1);
        sim_advance(st.sim, SECOND);
    }
    told(&st, "item(1 Good) ");
    stage_close(&st);
}

/* After a restart the namespaces have other numbers. */
static void test_namespaces_anew(void **state)
{
    struct stage st;
    struct ua_client_options o = plain_options();
    (void)state;
    stage_set(&st);
    stage_open(&st, &o);
    watch(&st, "urn:y", 1, false);
    told(&st, "up item(1 Good) ");
    assert_int_equal(st.item_ns, 2);
    publish(&st, 1, 0, 1, 1);
    st.namespaces[1] = "urn:y";
    st.namespaces[2] = "urn:z";
    st.session = 0;
    st.sub_known = false;
    sim_advance(st.sim, 1200000);
    cut(&st);
    sim_advance(st.sim, 100000);
    told(&st, "1=1 down(5201) up notice(5210) gap(5212 lost 0 filled 0/1) ");
    assert_int_equal(st.item_ns, 1);
    stage_close(&st);
}

static void test_hostile_messages(void **state)
{
    struct stage st;
    struct buf b = {0};
    struct ua_subscription_look l;
    (void)state;
    set(&st, false);
    /* handles that are nobody's */
    change_body(&b, 0, 1, 1);
    publish_raw(&st, 1, buf_bytes(&b), st.sub_id);
    buf_reset(&b);
    change_body(&b, 0xffffffff, 1, 1);
    publish_raw(&st, 2, buf_bytes(&b), st.sub_id);
    told(&st, "");
    ua_subscription_look(st.sub, &l);
    assert_int_equal(l.unknown_handles, 2);
    /* a subscription that is nobody's */
    publish_raw(&st, 3, buf_bytes(&b), 77777);
    /* counts without bytes, and bytes that end too early: each cut of a good message */
    buf_reset(&b);
    change_body(&b, st.handles[0], 5, 5);
    struct bytes whole = buf_bytes(&b);
    uint32_t sequence = 3;
    for (size_t n = 4; n < whole.len; n++)
        publish_raw(&st, sequence++, bytes_of(whole.at, n), st.sub_id);
    publish_raw(&st, sequence++, bytes_of("\xff\xff\xff\x7f", 4), st.sub_id);
    buf_reset(&st.log);
    publish(&st, sequence, 0, 6, 6);
    told(&st, "1=6 ");
    buf_clear(&b);
    stage_close(&st);
}

static void test_acknowledging(void **state)
{
    struct ua_subscription_options options = {
        .publishing_ms = 100, .keep_alive_ms = 1000, .acknowledge = true};
    struct ua_client_options o = plain_options();
    struct ua_watch w = {.handle = 1, .node = {.id = {.ns = 1, .number = 7}}, .mode = UA_MONITOR_REPORTING};
    struct ua_subscription_look l;
    struct stage st;
    (void)state;
    stage_set(&st);
    stage_open(&st, &o);
    assert_int_equal(ua_subscription_open(&st.sub, st.client, &options, &sub_events, &st, NULL), CODE_OK);
    assert_int_equal(ua_subscription_add(st.sub, &w, 1, NULL, NULL), CODE_OK);
    sim_advance(st.sim, 50000);
    for (uint32_t i = 1; i <= 4; i++)
        publish(&st, i, 0, i, i);
    ua_subscription_look(st.sub, &l);
    assert_int_equal(l.unacknowledged, 4);
    ua_subscription_ack(st.sub, (uint64_t)1 << 32 | 3); /* the third, and those before it */
    ua_subscription_look(st.sub, &l);
    assert_int_equal(l.unacknowledged, 1);
    ua_subscription_ack(st.sub, (uint64_t)7 << 32 | 4); /* of another life */
    ua_subscription_look(st.sub, &l);
    assert_int_equal(l.unacknowledged, 1);
    stage_close(&st);
}

/* A day, with a new token each 15 s. */
static void test_a_day_of_renewals(void **state)
{
    struct ua_subscription_options options = {
        .publishing_ms = 100, .keep_alive_ms = 1000, .silent_ms = 3600000};
    struct ua_client_options o = plain_options();
    struct ua_watch w = {
        .handle = 1, .node = {.id = {.ns = 1, .number = 7}}, .mode = UA_MONITOR_REPORTING};
    struct ua_client_look l;
    struct stage st;
    (void)state;
    stage_set(&st);
    o.channel_ms = 20000;
    stage_open(&st, &o);
    assert_int_equal(ua_subscription_open(&st.sub, st.client, &options, &sub_events, &st, NULL), CODE_OK);
    assert_int_equal(ua_subscription_add(st.sub, &w, 1, NULL, NULL), CODE_OK);
    sim_advance(st.sim, 50000);
    for (uint32_t minute = 1; minute <= 24 * 60; minute++) {
        publish(&st, minute, 0, minute, minute);
        sim_advance(st.sim, 60 * (int64_t)SECOND);
    }
    ua_client_look(st.client, &l);
    assert_int_equal(l.values, 24 * 60);
    assert_in_range(l.renewals, 5600, 5900);
    assert_int_equal(l.connects, 1);
    assert_int_equal(st.accepted, 1);
    assert_int_equal(l.lost_messages + l.duplicates + l.republished + l.made_anew, 0);
    stage_close(&st);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_in_order),
        cmocka_unit_test(test_no_republish),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_numbers_that_run_backwards),
        cmocka_unit_test(test_same_session),
        cmocka_unit_test(test_the_same_value_again),
        cmocka_unit_test(test_what_comes_again_is_compared_by_content),
        cmocka_unit_test(test_nothing_seen_yet),
        cmocka_unit_test(test_transferred),
        cmocka_unit_test(test_made_anew),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_ended_by_the_server),
        cmocka_unit_test(test_keep_alives_only),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_a_day_of_renewals),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_registered_ids),
        cmocka_unit_test(test_deadband_and_taking_away),
        cmocka_unit_test(test_too_many_publish),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_items_that_are_refused),
        cmocka_unit_test(test_namespaces_anew),
        cmocka_unit_test(test_hostile_messages),
        cmocka_unit_test(test_acknowledging),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
