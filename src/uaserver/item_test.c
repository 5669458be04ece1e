/* Monitored items: sampling, queues, filters, links, modes. */
#include "uaserver/subscription_test_stage.h"

#include <math.h>

static int open_stage(void **state)
{
    static struct stage t;
    stage_open(&t, (struct ua_server_limits){ .items = 15, .queue = 50, .operations = 30 });
    *state = &t;
    return 0;
}

static int close_stage(void **state)
{
    stage_close(*state);
    return 0;
}

/* What the next cycle says; its data only. */
static struct heard cycle(struct stage *t)
{
    publish(&t->c);
    pass_ms(t, 110);
    return hear(&t->c);
}

static void assert_values(const struct heard *h, uint32_t count, const double *values)
{
    assert_int_equal(h->data_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_true(number_of(&h->data[i]) == values[i]);
}
#define HEARD(h, ...) assert_values(h, sizeof (double[]){ __VA_ARGS__ } / sizeof(double), (double[]){ __VA_ARGS__ })

static ua_status status_of(const struct ua_monitored_item_notification *n)
{
    return n->value.has & UA_HAS_STATUS ? n->value.status : UA_GOOD;
}

/* ---- queues ---- */

static void a_full_queue_loses_its_oldest_and_says_so(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    (void)watch(&t->c, s, item(0, 1, 3, 0));
    (void)cycle(t);
    for (int i = 1; i <= 5; i++)
        set(t, 0, i);
    struct heard h = cycle(t);
    HEARD(&h, 3, 4, 5);
    assert_int_equal(status_of(&h.data[0]), UA_INFO_DATA_VALUE | UA_OVERFLOW);
    assert_int_equal(status_of(&h.data[1]), UA_GOOD);
    assert_int_equal(status_of(&h.data[2]), UA_GOOD);
    set(t, 0, 6);
    h = cycle(t);
    HEARD(&h, 6);
    assert_int_equal(status_of(&h.data[0]), UA_GOOD); /* said once */
}

static void or_its_newest(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    struct ua_monitored_item_create_request q = item(0, 1, 3, 0);
    q.requested_parameters.discard_oldest = false;
    (void)watch(&t->c, s, q);
    (void)cycle(t);
    for (int i = 1; i <= 5; i++)
        set(t, 0, i);
    struct heard h = cycle(t);
    HEARD(&h, 1, 2, 5);
    assert_int_equal(status_of(&h.data[1]), UA_GOOD);
    assert_int_equal(status_of(&h.data[2]), UA_INFO_DATA_VALUE | UA_OVERFLOW);
}

static void a_queue_of_one_has_the_last_value_and_says_nothing(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    assert_int_equal(watch(&t->c, s, item(0, 1, 0, 0)).revised_queue_size, 1);
    (void)cycle(t);
    set(t, 0, 1);
    set(t, 0, 2);
    struct heard h = cycle(t);
    HEARD(&h, 2);
    assert_int_equal(status_of(&h.data[0]), UA_GOOD);
    assert_int_equal(watch(&t->c, s, item(0, 1, 5000, 0)).revised_queue_size, 50);
}

/* ---- sampling ---- */

static void what_is_sampled_is_seen_as_often_as_that(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    struct ua_monitored_item_create_result r = watch(&t->c, s, item(0, 1, 10, 47));
    assert_true(r.revised_sampling_interval == 50);
    assert_true(watch(&t->c, s, item(1, 2, 10, -1)).revised_sampling_interval == 100);
    assert_true(watch(&t->c, s, item(2, 3, 10, (double)NAN)).revised_sampling_interval == 100);
    assert_true(watch(&t->c, s, item(3, 4, 10, 1)).revised_sampling_interval == 10);
    assert_true(watch(&t->c, s, item(4, 5, 10, 0)).revised_sampling_interval == 0);
    (void)cycle(t);
    unsigned counts[6] = { 0 };
    publish(&t->c);
    pass_ms(t, 5);
    for (int i = 1; i <= 10; i++) { /* ten changes in 100 ms */
        for (int k = 0; k < 5; k++)
            set(t, k, i);
        pass_ms(t, 10);
    }
    struct heard h = hear(&t->c);
    for (uint32_t i = 0; i < h.data_count; i++)
        counts[h.data[i].client_handle]++;
    assert_in_range(counts[1], 1, 3);
    assert_int_equal(counts[2], 1);
    assert_in_range(counts[4], 8, 10);
    assert_in_range(counts[5], 8, 10);
}

/* A value that is made when it is read cannot be told of. */
static void what_is_read_is_sampled(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    struct ua_monitored_item_create_request q = item(0, 1, 10, 0);
    q.item_to_monitor.node_id = UA_NS0(UA_ID_SERVER_SERVER_STATUS_CURRENT_TIME);
    assert_true(watch(&t->c, s, q).revised_sampling_interval == 10);
    struct heard h = cycle(t);
    assert_true(h.data_count >= 9); /* one for each 10 ms */
    q = item(0, 2, 10, 0);
    q.item_to_monitor.attribute_id = UA_ATTR_DISPLAY_NAME;
    assert_true(watch(&t->c, s, q).revised_sampling_interval == 10);
}

/* ---- filters ---- */

static struct ua_extension_object filter(struct stage *t, int32_t trigger, uint32_t type, double value)
{
    struct ua_data_change_filter f = { trigger, type, value };
    struct ua_extension_object o;
    assert_true(ua_object_of(&t->w.arena, &ua_data_change_filter_type, &f, &o));
    return o;
}

static struct ua_monitored_item_create_result watch_filtered(struct stage *t, uint32_t s, int variable,
                                                             struct ua_extension_object o)
{
    struct ua_monitored_item_create_request q = item(variable, 1, 50, 0);
    q.requested_parameters.filter = o;
    return watch(&t->c, s, q);
}

static void set_all(struct stage *t, int variable, double value, ua_status status, ua_time source)
{
    const struct ua_data_value v = { .has = UA_HAS_VALUE | UA_HAS_STATUS | UA_HAS_SOURCE_TIME, .status = status,
                                     .source_time = source, .value = { .type = UA_DOUBLE, .f64 = value } };
    assert_true(ua_set_value(ua_server_space(t->w.server), t->v[variable], &v));
}

static void triggers_decide_what_a_change_is(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    for (int32_t trigger = 0; trigger <= 2; trigger++) {
        struct ua_monitored_item_create_request q = item(0, (uint32_t)trigger, 50, 0);
        q.requested_parameters.filter = filter(t, trigger, 0, 0);
        assert_int_equal(watch(&t->c, s, q).status_code, UA_GOOD);
    }
    set_all(t, 0, 0, UA_GOOD, 1000);
    (void)cycle(t);
    set_all(t, 0, 0, UA_GOOD, 2000);           /* a new time */
    set_all(t, 0, 1, UA_GOOD, 2000);           /* a new value */
    set_all(t, 0, 1, UA_UNCERTAIN, 2000);      /* a new status */
    set_all(t, 0, 1, UA_UNCERTAIN, 2000);      /* nothing new */
    struct heard h = cycle(t);
    unsigned counts[3] = { 0 };
    for (uint32_t i = 0; i < h.data_count; i++)
        counts[h.data[i].client_handle]++;
    assert_int_equal(counts[UA_TRIGGER_STATUS], 1);
    assert_int_equal(counts[UA_TRIGGER_STATUS_VALUE], 2);
    assert_int_equal(counts[UA_TRIGGER_STATUS_VALUE_TIMESTAMP], 3);
}

static void small_changes_are_within_the_deadband(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    assert_int_equal(watch_filtered(t, s, 0, filter(t, UA_TRIGGER_STATUS_VALUE_TIMESTAMP, UA_DEADBAND_ABSOLUTE, 2)).status_code,
                     UA_GOOD);
    (void)cycle(t);
    static const double values[] = { 1, 2, 2.5, 4, 4.5, 0, 0, -2, -2.1, NAN, NAN, 5 };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        set(t, 0, values[i]);
    struct heard h = cycle(t);
    assert_int_equal(h.data_count, 5);
    assert_true(number_of(&h.data[0]) == 2.5); /* 0 + 2 is not enough */
    assert_true(number_of(&h.data[1]) == 0);   /* from 2.5, and 4.5 was not enough either */
    assert_true(number_of(&h.data[2]) == -2.1);
    assert_true(isnan(number_of(&h.data[3]))); /* once */
    assert_true(number_of(&h.data[4]) == 5);
    set_all(t, 0, 5.5, UA_UNCERTAIN, 1); /* a status counts always */
    h = cycle(t);
    HEARD(&h, 5.5);
}

static void percents_are_of_the_range(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    const struct ua_range range = { -100, 100 };
    assert_int_equal(watch_filtered(t, s, 0, filter(t, 1, UA_DEADBAND_PERCENT, 5)).status_code,
                     UA_BAD_MONITORED_ITEM_FILTER_UNSUPPORTED);
    assert_int_equal(ua_add_units(ua_server_space(t->w.server), &t->v[0]->node, &range, NULL, NULL), CODE_OK);
    assert_int_equal(watch_filtered(t, s, 0, filter(t, 1, UA_DEADBAND_PERCENT, 101)).status_code, UA_BAD_DEADBAND_FILTER_INVALID);
    assert_int_equal(watch_filtered(t, s, 0, filter(t, 1, UA_DEADBAND_PERCENT, 5)).status_code, UA_GOOD);
    (void)cycle(t);
    set(t, 0, 10); /* 5 % of 200 */
    set(t, 0, 10.5);
    struct heard h = cycle(t);
    HEARD(&h, 10.5);
}

static struct ua_node *add_array(struct stage *t, const double *values, uint32_t count)
{
    struct ua_node *n;
    const struct ua_variant v = { .type = UA_DOUBLE, .array = true, .count = count, .at = values };
    const struct ua_new p = { .id = { .ns = 1, .kind = UA_ID_NUMBER, .number = 2000 },
                              .parent = ua_find0(ua_server_space(t->w.server), UA_ID_OBJECTS_FOLDER),
                              .browse_name = { 1, BYTES_LIT("array") }, .data_type = UA_NS0(UA_DOUBLE), .rank = 1, .value = &v };
    assert_int_equal(ua_add(ua_server_space(t->w.server), &p, &n, NULL), CODE_OK);
    return n;
}

static void set_array(struct stage *t, struct ua_node *n, const double *values, uint32_t count)
{
    const struct ua_data_value v = { .has = UA_HAS_VALUE,
                                     .value = { .type = UA_DOUBLE, .array = true, .count = count, .at = values } };
    assert_true(ua_set_value(ua_server_space(t->w.server), ua_as_variable(n), &v));
}

static void any_element_or_the_length_counts(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    static const double a[] = { 1, 2, 3 }, b[] = { 1.5, 2.5, 3.5 }, c[] = { 1, 2, 4.5 };
    struct ua_node *n = add_array(t, a, 3);
    struct ua_monitored_item_create_request q = item(0, 1, 50, 0);
    q.item_to_monitor.node_id = n->id;
    q.requested_parameters.filter = filter(t, 1, UA_DEADBAND_ABSOLUTE, 1);
    assert_int_equal(watch(&t->c, s, q).status_code, UA_GOOD);
    (void)cycle(t);
    set_array(t, n, b, 3);
    set_array(t, n, c, 3);
    set_array(t, n, c, 2);
    struct heard h = cycle(t);
    assert_int_equal(h.data_count, 2);
    assert_int_equal(h.data[0].value.value.count, 3);
    assert_int_equal(h.data[1].value.value.count, 2);
}

static void a_part_of_an_array_is_watched(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    static const double a[] = { 1, 2, 3, 4 }, b[] = { 9, 2, 3, 9 }, c[] = { 9, 2, 7, 9 };
    struct ua_node *n = add_array(t, a, 4);
    struct ua_monitored_item_create_request q = item(0, 1, 50, 0);
    q.item_to_monitor.node_id = n->id;
    q.item_to_monitor.index_range = BYTES_LIT("1:2");
    assert_int_equal(watch(&t->c, s, q).status_code, UA_GOOD);
    struct heard h = cycle(t);
    assert_int_equal(h.data[0].value.value.count, 2);
    set_array(t, n, b, 4); /* not in that part */
    set_array(t, n, c, 4);
    set_array(t, n, c, 1); /* it is not there any more */
    h = cycle(t);
    assert_int_equal(h.data_count, 2);
    assert_true(((const double *)h.data[0].value.value.at)[1] == 7);
    assert_int_equal(status_of(&h.data[1]), UA_BAD_INDEX_RANGE_NO_DATA);
    q.item_to_monitor.index_range = BYTES_LIT("7");
    assert_int_equal(watch(&t->c, s, q).status_code, UA_GOOD); /* it may come */
}

/* ---- what is refused ---- */

static void what_is_wrong_has_its_own_status(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    struct ua_node *text;
    const struct ua_variant hello = { .type = UA_STRING, .text = BYTES_LIT("hello") };
    const struct ua_new p = { .id = { .ns = 1, .number = 3000 }, .parent = ua_find0(ua_server_space(t->w.server), UA_ID_OBJECTS_FOLDER),
                              .browse_name = { 1, BYTES_LIT("text") }, .data_type = UA_NS0(UA_STRING), .value = &hello };
    assert_int_equal(ua_add(ua_server_space(t->w.server), &p, &text, NULL), CODE_OK);
    static const struct {
        uint32_t node, attribute;
        const char *range, *encoding;
        int32_t mode;
        ua_status status;
    } cases[] = {
        { 4711, UA_ATTR_VALUE, NULL, NULL, 2, UA_BAD_NODE_ID_UNKNOWN },
        { 1000, 99, NULL, NULL, 2, UA_BAD_ATTRIBUTE_ID_INVALID },
        { 1000, UA_ATTR_EXECUTABLE, NULL, NULL, 2, UA_BAD_ATTRIBUTE_ID_INVALID },
        { 1000, UA_ATTR_VALUE, "5:1", NULL, 2, UA_BAD_INDEX_RANGE_INVALID },
        { 1000, UA_ATTR_VALUE, NULL, "Default XML", 2, UA_BAD_DATA_ENCODING_UNSUPPORTED },
        { 1000, UA_ATTR_VALUE, NULL, "Nonsense", 2, UA_BAD_DATA_ENCODING_INVALID },
        { 1000, UA_ATTR_VALUE, NULL, NULL, 3, UA_BAD_MONITORING_MODE_INVALID },
        { 1000, UA_ATTR_EVENT_NOTIFIER, NULL, NULL, 2, UA_BAD_ATTRIBUTE_ID_INVALID },
        { 1000, UA_ATTR_VALUE, NULL, NULL, 2, UA_GOOD },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ua_monitored_item_create_request q = item(0, 1, 1, 0);
        q.item_to_monitor = (struct ua_read_value_id){ { .ns = 1, .number = cases[i].node }, cases[i].attribute,
                                                       bytes_str(cases[i].range), { 0, bytes_str(cases[i].encoding) } };
        q.monitoring_mode = cases[i].mode;
        assert_int_equal(watch(&t->c, s, q).status_code, cases[i].status);
    }
    assert_int_equal(watch_filtered(t, s, 0, filter(t, 1, UA_DEADBAND_ABSOLUTE, -1)).status_code, UA_BAD_DEADBAND_FILTER_INVALID);
    assert_int_equal(watch_filtered(t, s, 0, filter(t, 1, 3, 1)).status_code, UA_BAD_MONITORED_ITEM_FILTER_UNSUPPORTED);
    assert_int_equal(watch_filtered(t, s, 0, filter(t, 7, 0, 1)).status_code, UA_BAD_MONITORED_ITEM_FILTER_INVALID);
    const struct ua_extension_object aggregate = { UA_NS0(730), UA_BODY_BINARY, BYTES_LIT("x") };
    assert_int_equal(watch_filtered(t, s, 0, aggregate).status_code, UA_BAD_MONITORED_ITEM_FILTER_UNSUPPORTED);
    const struct ua_extension_object nonsense = { UA_NS0(886), UA_BODY_BINARY, BYTES_LIT("x") };
    assert_int_equal(watch_filtered(t, s, 0, nonsense).status_code, UA_BAD_MONITORED_ITEM_FILTER_INVALID);
    const struct ua_extension_object short_one = { UA_NS0(UA_ENCODING_data_change_filter), UA_BODY_BINARY, BYTES_LIT("x") };
    assert_int_equal(watch_filtered(t, s, 0, short_one).status_code, UA_BAD_MONITORED_ITEM_FILTER_INVALID);
    struct ua_monitored_item_create_request q = item(0, 1, 1, 0);
    q.requested_parameters.filter = filter(t, 1, UA_DEADBAND_ABSOLUTE, 1);
    q.item_to_monitor.node_id = text->id;
    assert_int_equal(watch(&t->c, s, q).status_code, UA_BAD_FILTER_NOT_ALLOWED); /* texts have no distance */
    q = item(0, 1, 1, 0);
    q.item_to_monitor.attribute_id = UA_ATTR_DISPLAY_NAME;
    q.requested_parameters.filter = filter(t, 1, 0, 0);
    assert_int_equal(watch(&t->c, s, q).status_code, UA_BAD_FILTER_NOT_ALLOWED);
}

static void whole_requests_are_refused(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    static struct ua_monitored_item_create_request many[31];
    struct ua_create_monitored_items_request q = { .subscription_id = s, .timestamps_to_return = UA_TIMES_BOTH };
    struct ua_create_monitored_items_response a;
    assert_int_equal(CLIENT_ASK(&t->c, create_monitored_items, &q, &a), UA_BAD_NOTHING_TO_DO);
    q.items_to_create = many;
    q.items_to_create_count = 31;
    assert_int_equal(CLIENT_ASK(&t->c, create_monitored_items, &q, &a), UA_BAD_TOO_MANY_OPERATIONS);
    q.items_to_create_count = 1;
    q.timestamps_to_return = 4;
    assert_int_equal(CLIENT_ASK(&t->c, create_monitored_items, &q, &a), UA_BAD_TIMESTAMPS_TO_RETURN_INVALID);
    q.timestamps_to_return = 0;
    q.subscription_id = 4711;
    assert_int_equal(CLIENT_ASK(&t->c, create_monitored_items, &q, &a), UA_BAD_SUBSCRIPTION_ID_INVALID);
    q.subscription_id = s;
    q.items_to_create_count = 16;
    for (int i = 0; i < 16; i++)
        many[i] = item(i, 1, 1, 0);
    assert_int_equal(CLIENT_ASK(&t->c, create_monitored_items, &q, &a), UA_GOOD);
    assert_int_equal(a.results[14].status_code, UA_GOOD);
    assert_int_equal(a.results[15].status_code, UA_BAD_TOO_MANY_MONITORED_ITEMS);
    const uint32_t gone[] = { a.results[3].monitored_item_id, 4711, a.results[3].monitored_item_id };
    struct ua_delete_monitored_items_request d = { .subscription_id = s, .monitored_item_ids = gone, .monitored_item_ids_count = 3 };
    struct ua_delete_monitored_items_response b;
    assert_int_equal(CLIENT_ASK(&t->c, delete_monitored_items, &d, &b), UA_GOOD);
    assert_int_equal(b.results[0], UA_GOOD);
    assert_int_equal(b.results[1], UA_BAD_MONITORED_ITEM_ID_INVALID);
    assert_int_equal(b.results[2], UA_BAD_MONITORED_ITEM_ID_INVALID);
    assert_int_equal(watch(&t->c, s, item(0, 1, 1, 0)).status_code, UA_GOOD);
}

/* ---- changed later ---- */

static struct ua_monitored_item_modify_result modify(struct stage *t, uint32_t s, uint32_t id, struct ua_monitoring_parameters p,
                                                     int32_t times)
{
    const struct ua_monitored_item_modify_request i = { id, p };
    struct ua_modify_monitored_items_request q = { .subscription_id = s, .timestamps_to_return = times, .items_to_modify = &i,
                                                   .items_to_modify_count = 1 };
    struct ua_modify_monitored_items_response a;
    assert_int_equal(CLIENT_ASK(&t->c, modify_monitored_items, &q, &a), UA_GOOD);
    return a.results[0];
}

static void items_are_modified(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    uint32_t id = watch(&t->c, s, item(0, 1, 10, 0)).monitored_item_id;
    (void)cycle(t);
    for (int i = 1; i <= 5; i++)
        set(t, 0, i);
    struct ua_monitored_item_modify_result r =
        modify(t, s, id, (struct ua_monitoring_parameters){ .client_handle = 9, .queue_size = 3, .discard_oldest = true }, UA_TIMES_NEITHER);
    assert_int_equal(r.status_code, UA_GOOD);
    assert_int_equal(r.revised_queue_size, 3);
    struct heard h = cycle(t);
    HEARD(&h, 3, 4, 5);
    assert_int_equal(h.data[0].client_handle, 9);
    assert_int_equal(status_of(&h.data[0]), UA_INFO_DATA_VALUE | UA_OVERFLOW);
    assert_int_equal(h.data[1].value.has, UA_HAS_VALUE);
    assert_int_equal(modify(t, s, 4711, (struct ua_monitoring_parameters){ 0 }, 0).status_code, UA_BAD_MONITORED_ITEM_ID_INVALID);
    r = modify(t, s, id, (struct ua_monitoring_parameters){ .filter = filter(t, 7, 0, 0) }, 0);
    assert_int_equal(r.status_code, UA_BAD_MONITORED_ITEM_FILTER_INVALID);
    r = modify(t, s, id, (struct ua_monitoring_parameters){ .client_handle = 9, .sampling_interval = 100, .queue_size = 1 }, 2);
    assert_true(r.revised_sampling_interval == 100);
    for (int i = 6; i <= 9; i++)
        set(t, 0, i);
    h = cycle(t);
    HEARD(&h, 9); /* looked at once */
}

static ua_status set_mode(struct stage *t, uint32_t s, uint32_t id, int32_t mode)
{
    struct ua_set_monitoring_mode_request q = { .subscription_id = s, .monitoring_mode = mode, .monitored_item_ids = &id,
                                                .monitored_item_ids_count = 1 };
    struct ua_set_monitoring_mode_response a;
    ua_status status = CLIENT_ASK(&t->c, set_monitoring_mode, &q, &a);
    return status ? status : a.results[0];
}

static void modes_turn_reporting_and_sampling_off(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    uint32_t id = watch(&t->c, s, item(0, 1, 10, 0)).monitored_item_id;
    (void)cycle(t);
    assert_int_equal(set_mode(t, s, id, UA_MONITOR_SAMPLING), UA_GOOD);
    set(t, 0, 1);
    set(t, 0, 2);
    publish(&t->c);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT);
    assert_int_equal(set_mode(t, s, id, UA_MONITOR_REPORTING), UA_GOOD);
    pass_ms(t, 110);
    struct heard h = hear(&t->c);
    HEARD(&h, 1, 2);
    set(t, 0, 3);
    assert_int_equal(set_mode(t, s, id, UA_MONITOR_DISABLED), UA_GOOD); /* what is queued goes with it */
    set(t, 0, 4);
    publish(&t->c);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT);
    assert_int_equal(set_mode(t, s, id, UA_MONITOR_REPORTING), UA_GOOD);
    pass_ms(t, 110);
    h = hear(&t->c);
    HEARD(&h, 4); /* the present value, as at first */
    assert_int_equal(set_mode(t, s, id, 3), UA_BAD_MONITORING_MODE_INVALID);
    assert_int_equal(set_mode(t, s, 4711, 2), UA_BAD_MONITORED_ITEM_ID_INVALID);
    assert_int_equal(set_mode(t, 4711, id, 2), UA_BAD_SUBSCRIPTION_ID_INVALID);
}

static ua_status link_items(struct stage *t, uint32_t s, uint32_t from, const uint32_t *add, uint32_t adds, const uint32_t *remove,
                            uint32_t removes, struct ua_set_triggering_response *a)
{
    struct ua_set_triggering_request q = { .subscription_id = s, .triggering_item_id = from, .links_to_add = add,
                                           .links_to_add_count = adds, .links_to_remove = remove, .links_to_remove_count = removes };
    return CLIENT_ASK(&t->c, set_triggering, &q, a);
}

static void one_item_makes_another_report(void **state)
{
    struct stage *t = *state;
    struct ua_set_triggering_response a;
    uint32_t s = subscribe_simply(&t->c);
    uint32_t from = watch(&t->c, s, item(0, 1, 10, 0)).monitored_item_id;
    struct ua_monitored_item_create_request q = item(1, 2, 10, 0);
    q.monitoring_mode = UA_MONITOR_SAMPLING;
    uint32_t to = watch(&t->c, s, q).monitored_item_id;
    const uint32_t links[] = { to, 4711 };
    assert_int_equal(link_items(t, s, from, links, 2, NULL, 0, &a), UA_GOOD);
    assert_int_equal(a.add_results[0], UA_GOOD);
    assert_int_equal(a.add_results[1], UA_BAD_MONITORED_ITEM_ID_INVALID);
    struct heard h = cycle(t);
    assert_int_equal(h.data_count, 1); /* the first value came before the link */
    set(t, 1, 1);
    publish(&t->c);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT);
    set(t, 0, 5);
    pass_ms(t, 110);
    h = hear(&t->c);
    assert_int_equal(h.data_count, 3); /* the trigger, and what the other had queued */
    set(t, 1, 2);
    publish(&t->c);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).status, UA_BAD_TIMEOUT); /* once only */
    assert_int_equal(link_items(t, s, from, NULL, 0, links, 2, &a), UA_GOOD);
    assert_int_equal(a.remove_results[0], UA_GOOD);
    assert_int_equal(a.remove_results[1], UA_BAD_MONITORED_ITEM_ID_INVALID);
    set(t, 0, 6);
    pass_ms(t, 110);
    assert_int_equal(hear(&t->c).data_count, 1);
    assert_int_equal(link_items(t, s, from, NULL, 0, NULL, 0, &a), UA_BAD_NOTHING_TO_DO);
    assert_int_equal(link_items(t, s, 4711, links, 1, NULL, 0, &a), UA_BAD_MONITORED_ITEM_ID_INVALID);
    assert_int_equal(link_items(t, 4711, from, links, 1, NULL, 0, &a), UA_BAD_SUBSCRIPTION_ID_INVALID);
}

/* ---- nodes go, values are large ---- */

static void a_removed_node_is_told_of(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    uint32_t id = watch(&t->c, s, item(0, 1, 10, 0)).monitored_item_id;
    (void)watch(&t->c, s, item(0, 2, 10, 50));
    (void)cycle(t);
    ua_remove(ua_server_space(t->w.server), &t->v[0]->node);
    struct heard h = cycle(t);
    assert_int_equal(h.data_count, 2);
    assert_int_equal(status_of(&h.data[0]), UA_BAD_NODE_ID_UNKNOWN);
    assert_int_equal(status_of(&h.data[1]), UA_BAD_NODE_ID_UNKNOWN);
    assert_int_equal(modify(t, s, id, (struct ua_monitoring_parameters){ 0 }, 0).status_code, UA_BAD_NODE_ID_UNKNOWN);
    assert_int_equal(set_mode(t, s, id, UA_MONITOR_DISABLED), UA_GOOD);
}

static void large_values_are_kept_and_let_go(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    static double values[5000];
    struct ua_node *n = add_array(t, values, 5000);
    struct ua_monitored_item_create_request q = item(0, 1, 3, 0);
    q.item_to_monitor.node_id = n->id;
    (void)watch(&t->c, s, q);
    for (int i = 1; i < 20; i++) {
        values[0] = i;
        set_array(t, n, values, 5000);
    }
    publish(&t->c);
    pass_ms(t, 110);
    struct heard h = hear(&t->c);
    assert_int_equal(h.data_count, 3);
    assert_true(((const double *)h.data[2].value.value.at)[0] == 19);
}

/* Queues hold so many bytes of large values in all; an item keeps its last one in any case. */
static void large_values_are_held_to_a_number_of_bytes(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    static double values[100];
    struct ua_node *n = add_array(t, values, 100);
    struct ua_monitored_item_create_request q = item(0, 1, 40, 0);
    q.item_to_monitor.node_id = n->id;
    (void)watch(&t->c, s, q);
    (void)cycle(t);
    struct uas_subscriptions *all = t->w.server->subs;
    assert_int_equal(all->queued_bytes, 0);
    all->queued_bytes += UAS_QUEUED_BYTES - 2000; /* others */
    for (int i = 1; i <= 5; i++) {
        values[0] = i;
        set_array(t, n, values, 100);
    }
    all->queued_bytes -= UAS_QUEUED_BYTES - 2000;
    struct heard h = cycle(t);
    assert_int_equal(h.data_count, 2); /* of 800 bytes each */
    assert_int_equal(status_of(&h.data[0]), UA_INFO_DATA_VALUE | UA_OVERFLOW);
    assert_true(((const double *)h.data[1].value.value.at)[0] == 5);
    assert_int_equal(all->queued_bytes, 0);
}

static void large_messages_are_cut(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    static double values[5000];
    struct ua_node *n = add_array(t, values, 5000);
    struct ua_monitored_item_create_request q = item(0, 1, 40, 0);
    q.item_to_monitor.node_id = n->id;
    (void)watch(&t->c, s, q);
    for (int i = 1; i < 30; i++) {
        values[0] = i;
        set_array(t, n, values, 5000);
    }
    publish(&t->c);
    publish(&t->c);
    pass_ms(t, 110);
    struct heard h = hear(&t->c);
    assert_int_equal(h.data_count, 26); /* of 40 KB */
    assert_true(h.response.more_notifications);
    h = hear(&t->c);
    assert_int_equal(h.data_count, 4);
    assert_false(h.response.more_notifications);
}

/* A client that takes less than one value learns that there was one. */
static void a_value_that_the_client_does_not_take_is_told_of(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    static double values[5000];
    struct ua_node *n = add_array(t, values, 5000);
    struct ua_monitored_item_create_request q = item(0, 1, 3, 0);
    q.item_to_monitor.node_id = n->id;
    (void)watch(&t->c, s, q);
    (void)watch(&t->c, s, item(1, 2, 3, 0));
    t->w.server->sessions->body_max = 10000;
    struct heard h = cycle(t);
    assert_int_equal(h.data_count, 2);
    assert_int_equal(status_of(&h.data[0]), UA_BAD_ENCODING_LIMITS_EXCEEDED);
    assert_false(h.data[0].value.has & UA_HAS_VALUE);
    assert_true(number_of(&h.data[1]) == 0);
}

/* ---- methods of the Server object ---- */

static struct ua_call_method_result call(struct client *c, uint32_t method, uint32_t subscription)
{
    struct ua_variant argument = { .type = UA_UINT32, .u32 = subscription };
    struct ua_call_method_request m = { UA_NS0(UA_ID_SERVER), UA_NS0(method), &argument, 1 };
    struct ua_call_request q = { .methods_to_call = &m, .methods_to_call_count = 1 };
    struct ua_call_response a;
    assert_int_equal(CLIENT_ASK(c, call, &q, &a), UA_GOOD);
    return a.results[0];
}

static void a_client_asks_which_items_it_has(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    uint32_t a = watch(&t->c, s, item(0, 70, 1, 0)).monitored_item_id, b = watch(&t->c, s, item(1, 71, 1, 0)).monitored_item_id;
    struct ua_call_method_result r = call(&t->c, UA_ID_SERVER_GET_MONITORED_ITEMS, s);
    assert_int_equal(r.status_code, UA_GOOD);
    assert_int_equal(r.output_arguments_count, 2);
    assert_int_equal(r.output_arguments[0].count, 2);
    assert_int_equal(((const uint32_t *)r.output_arguments[0].at)[0], a);
    assert_int_equal(((const uint32_t *)r.output_arguments[0].at)[1], b);
    assert_int_equal(((const uint32_t *)r.output_arguments[1].at)[1], 71);
    assert_int_equal(call(&t->c, UA_ID_SERVER_GET_MONITORED_ITEMS, 4711).status_code, UA_BAD_SUBSCRIPTION_ID_INVALID);
    struct client other;
    client_begin(&other, &t->w);
    assert_int_equal(call(&other, UA_ID_SERVER_GET_MONITORED_ITEMS, s).status_code, UA_BAD_USER_ACCESS_DENIED);
    client_close(&other);
    (void)cycle(t);
    assert_int_equal(call(&t->c, UA_ID_SERVER_RESEND_DATA, s).status_code, UA_GOOD);
    assert_int_equal(cycle(t).data_count, 2); /* though nothing has changed */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
        T(a_full_queue_loses_its_oldest_and_says_so),
        T(or_its_newest),
        T(a_queue_of_one_has_the_last_value_and_says_nothing),
        T(what_is_sampled_is_seen_as_often_as_that),
        T(what_is_read_is_sampled),
        T(triggers_decide_what_a_change_is),
        T(small_changes_are_within_the_deadband),
        T(percents_are_of_the_range),
        T(any_element_or_the_length_counts),
        T(a_part_of_an_array_is_watched),
        T(what_is_wrong_has_its_own_status),
        T(whole_requests_are_refused),
        T(items_are_modified),
        T(modes_turn_reporting_and_sampling_off),
        T(one_item_makes_another_report),
        T(a_removed_node_is_told_of),
        T(large_values_are_kept_and_let_go),
        T(large_values_are_held_to_a_number_of_bytes),
        T(large_messages_are_cut),
        T(a_value_that_the_client_does_not_take_is_told_of),
        T(a_client_asks_which_items_it_has),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
