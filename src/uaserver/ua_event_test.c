/* Events: what is selected, what passes, and what a client is told about its filter. */
#include "uaserver/event.h"
#include "uaserver/subscription_test_stage.h"

static int open_stage(void **state)
{
    static struct stage t;
    stage_open(&t, (struct ua_server_limits){ .queue = 5 });
    *state = &t;
    return 0;
}

static int close_stage(void **state)
{
    stage_close(*state);
    return 0;
}

static struct ua_simple_attribute_operand field(const char *name)
{
    static struct ua_qualified_name names[32];
    static unsigned at;
    struct ua_qualified_name *n = &names[at++ % 32];
    *n = (struct ua_qualified_name){ 0, bytes_str(name) };
    return (struct ua_simple_attribute_operand){ UA_NS0(UA_ID_BASE_EVENT_TYPE), n, 1, UA_ATTR_VALUE, BYTES_NONE };
}

static struct ua_extension_object object(struct stage *t, const struct ua_struct *type, const void *in)
{
    struct ua_extension_object o;
    assert_true(ua_object_of(&t->w.arena, type, in, &o));
    return o;
}

static struct ua_extension_object filter(struct stage *t, const struct ua_simple_attribute_operand *select, uint32_t count,
                                         const struct ua_content_filter_element *where, uint32_t elements)
{
    struct ua_event_filter f = { select, count, { where, elements } };
    return object(t, &ua_event_filter_type, &f);
}

static struct ua_monitored_item_create_request events_of(struct ua_node_id node, struct ua_extension_object filter_)
{
    return (struct ua_monitored_item_create_request){
        .item_to_monitor = { .node_id = node, .attribute_id = UA_ATTR_EVENT_NOTIFIER },
        .monitoring_mode = UA_MONITOR_REPORTING,
        .requested_parameters = { .client_handle = 42, .filter = filter_, .queue_size = 0, .discard_oldest = true },
    };
}

static void emit(struct stage *t, uint32_t type, uint16_t severity, const char *message)
{
    ua_server_emit(t->w.server, &(struct ua_server_event){ .type = type, .severity = severity, .message = bytes_str(message) });
}

static struct heard cycle(struct stage *t)
{
    publish(&t->c);
    pass_ms(t, 110);
    return hear(&t->c);
}

static void selected_fields_come_in_their_order(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    const struct ua_simple_attribute_operand select[] = { field("EventId"),    field("EventType"), field("SourceNode"),
                                                          field("SourceName"), field("Time"),      field("ReceiveTime"),
                                                          field("Message"),    field("Severity"),  field("LocalTime") };
    struct ua_monitored_item_create_result r = watch(&t->c, s, events_of(UA_NS0(UA_ID_SERVER), filter(t, select, 9, NULL, 0)));
    assert_int_equal(r.status_code, UA_GOOD);
    assert_int_equal(r.filter_result.kind, UA_BODY_NONE);
    assert_int_equal(r.revised_queue_size, 5);
    emit(t, 2130, 700, "too hot");
    struct heard h = cycle(t);
    assert_int_equal(h.data_count, 0);
    assert_int_equal(h.event_count, 1);
    assert_int_equal(h.events[0].client_handle, 42);
    assert_int_equal(h.events[0].event_fields_count, 9);
    const struct ua_variant *f = h.events[0].event_fields;
    assert_int_equal(f[0].text.len, 16);
    assert_int_equal(((const struct ua_node_id *)f[1].at)->number, 2130);
    assert_int_equal(((const struct ua_node_id *)f[2].at)->number, UA_ID_SERVER);
    assert_true(bytes_is(f[3].text, "Server"));
    assert_true(f[4].time > 0 && f[5].time >= f[4].time);
    assert_true(bytes_is(((const struct ua_localized_text *)f[6].at)->text, "too hot"));
    assert_int_equal(f[7].u16, 700);
    assert_int_equal(f[8].type, UA_NULL);
    emit(t, 0, 0, "again");
    h = cycle(t);
    assert_false(bytes_equal(h.events[0].event_fields[0].text, f[0].text)); /* an id of its own */
}

static void events_and_values_share_a_message(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    const struct ua_simple_attribute_operand select[] = { field("Message") };
    (void)watch(&t->c, s, events_of(UA_NS0(UA_ID_SERVER), filter(t, select, 1, NULL, 0)));
    (void)watch(&t->c, s, item(0, 1, 1, 0));
    emit(t, 0, 0, "one");
    emit(t, 0, 0, "two");
    struct heard h = cycle(t);
    assert_int_equal(h.data_count, 1);
    assert_int_equal(h.event_count, 2);
    assert_true(bytes_is(((const struct ua_localized_text *)h.events[1].event_fields[0].at)->text, "two"));
}

static void an_object_hears_of_its_own(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    struct ua_node *machine;
    const struct ua_new p = { .id = { .ns = 1, .number = 9000 }, .parent = ua_find0(ua_server_space(t->w.server), UA_ID_OBJECTS_FOLDER),
                              .browse_name = { 1, BYTES_LIT("machine") }, .notifier = 1 };
    assert_int_equal(ua_add(ua_server_space(t->w.server), &p, &machine, NULL), CODE_OK);
    const struct ua_simple_attribute_operand select[] = { field("SourceName") };
    (void)watch(&t->c, s, events_of(machine->id, filter(t, select, 1, NULL, 0)));
    emit(t, 0, 0, "of the server");
    ua_server_emit(t->w.server, &(struct ua_server_event){ .source = machine });
    struct heard h = cycle(t);
    assert_int_equal(h.event_count, 1);
    assert_true(bytes_is(h.events[0].event_fields[0].text, "machine"));
}

static void bad_clauses_are_told_and_null(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    struct ua_simple_attribute_operand select[] = { field("Message"), field("Nonsense"), field("Severity"), field("Severity") };
    select[2].type_definition_id = UA_NS0(UA_ID_SERVER_TYPE);
    select[3].attribute_id = UA_ATTR_DISPLAY_NAME;
    struct ua_monitored_item_create_result r = watch(&t->c, s, events_of(UA_NS0(UA_ID_SERVER), filter(t, select, 4, NULL, 0)));
    assert_int_equal(r.status_code, UA_GOOD);
    struct ua_reader like = ua_reader_of(BYTES_NONE, &t->w.arena, NULL);
    struct ua_event_filter_result told;
    assert_true(ua_object_read(&like, &r.filter_result, &ua_event_filter_result_type, &told));
    assert_int_equal(told.select_clause_results_count, 4);
    assert_int_equal(told.select_clause_results[0], UA_GOOD);
    assert_int_equal(told.select_clause_results[1], UA_BAD_NODE_ID_UNKNOWN);
    assert_int_equal(told.select_clause_results[2], UA_BAD_TYPE_DEFINITION_INVALID);
    assert_int_equal(told.select_clause_results[3], UA_BAD_ATTRIBUTE_ID_INVALID);
    emit(t, 0, 0, "x");
    struct heard h = cycle(t);
    assert_int_equal(h.events[0].event_fields_count, 4);
    assert_int_equal(h.events[0].event_fields[1].type, UA_NULL);
}

static void what_is_no_event_filter_is_refused(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    const struct ua_simple_attribute_operand select[] = { field("Message") };
    struct ua_extension_object good = filter(t, select, 1, NULL, 0);
    struct ua_node_id server = UA_NS0(UA_ID_SERVER);
    assert_int_equal(watch(&t->c, s, events_of(server, (struct ua_extension_object){ 0 })).status_code, UA_BAD_EVENT_FILTER_INVALID);
    assert_int_equal(watch(&t->c, s, events_of(server, filter(t, NULL, 0, NULL, 0))).status_code, UA_BAD_EVENT_FILTER_INVALID);
    struct ua_data_change_filter data = { 1, 0, 0 };
    assert_int_equal(watch(&t->c, s, events_of(server, object(t, &ua_data_change_filter_type, &data))).status_code,
                     UA_BAD_FILTER_NOT_ALLOWED);
    assert_int_equal(watch(&t->c, s, events_of(UA_NS0(UA_ID_OBJECTS_FOLDER), good)).status_code, UA_BAD_NOT_SUPPORTED);
    struct ua_monitored_item_create_request q = item(0, 1, 1, 0);
    q.requested_parameters.filter = good;
    assert_int_equal(watch(&t->c, s, q).status_code, UA_BAD_FILTER_NOT_ALLOWED);
}

static void a_full_queue_of_events_loses_its_oldest(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    const struct ua_simple_attribute_operand select[] = { field("Severity"), field("EventType") };
    (void)watch(&t->c, s, events_of(UA_NS0(UA_ID_SERVER), filter(t, select, 2, NULL, 0)));
    for (uint16_t i = 1; i <= 8; i++)
        emit(t, 0, i, "x");
    struct heard h = cycle(t);
    assert_int_equal(h.event_count, 6);
    assert_int_equal(((const struct ua_node_id *)h.events[0].event_fields[1].at)->number, 3035); /* lost before these */
    assert_int_equal(h.events[1].event_fields[0].u16, 4);
    assert_int_equal(h.events[5].event_fields[0].u16, 8);
    for (uint16_t i = 1; i <= 5; i++)
        emit(t, 0, i, "x");
    h = cycle(t);
    assert_int_equal(h.event_count, 5); /* none was */
    assert_int_equal(h.events[0].event_fields[0].u16, 1);
}

static void or_its_newest(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    const struct ua_simple_attribute_operand select[] = { field("Severity"), field("EventType") };
    struct ua_monitored_item_create_request q = events_of(UA_NS0(UA_ID_SERVER), filter(t, select, 2, NULL, 0));
    q.requested_parameters.discard_oldest = false;
    (void)watch(&t->c, s, q);
    for (int round = 0; round < 2; round++) {
        for (uint16_t i = 1; i <= 8; i++)
            emit(t, 0, i, "x");
        struct heard h = cycle(t);
        assert_int_equal(h.event_count, 6);
        assert_int_equal(h.events[0].event_fields[0].u16, 1);
        assert_int_equal(h.events[4].event_fields[0].u16, 5);
        assert_int_equal(((const struct ua_node_id *)h.events[5].event_fields[1].at)->number, 3035);
    }
}

/* One event a message: severities, 0 for the one that says that others were lost. */
static unsigned next_severity(struct stage *t)
{
    struct heard h = cycle(t);
    assert_int_equal(h.event_count, 1);
    const struct ua_variant *f = h.events[0].event_fields;
    return ((const struct ua_node_id *)f[1].at)->number == 3035 ? 0 : f[0].u16;
}

static void a_queue_that_is_read_slowly_says_it_again(void **state)
{
    struct stage *t = *state;
    const struct ua_simple_attribute_operand select[] = { field("Severity"), field("EventType") };
    for (int oldest = 0; oldest < 2; oldest++) {
        uint32_t s = subscribe(&t->c, (struct ua_create_subscription_request){ .requested_publishing_interval = 100,
                                                                               .max_notifications_per_publish = 1,
                                                                               .publishing_enabled = true }).subscription_id;
        struct ua_monitored_item_create_request q = events_of(UA_NS0(UA_ID_SERVER), filter(t, select, 2, NULL, 0));
        q.requested_parameters.discard_oldest = oldest;
        (void)watch(&t->c, s, q);
        for (uint16_t i = 1; i <= 8; i++)
            emit(t, 0, i, "x");
        static const unsigned expected[2][6] = { { 2, 3, 4, 5, 0, 9 }, { 0, 5, 6, 7, 8, 9 } };
        assert_int_equal(next_severity(t), oldest ? 0 : 1);
        emit(t, 0, 9, "x"); /* the first has room for it, the second loses one more */
        for (int i = 0; i < 6; i++)
            assert_int_equal(next_severity(t), expected[oldest][i]);
        struct ua_delete_subscriptions_request d = { .subscription_ids = &s, .subscription_ids_count = 1 };
        struct ua_delete_subscriptions_response a;
        assert_int_equal(CLIENT_ASK(&t->c, delete_subscriptions, &d, &a), UA_GOOD);
    }
}

/* ---- where ---- */

struct operands {
    struct ua_extension_object at[4];
};

static struct ua_extension_object literal(struct stage *t, struct ua_variant v)
{
    struct ua_literal_operand o = { v };
    return object(t, &ua_literal_operand_type, &o);
}

static struct ua_extension_object number(struct stage *t, int32_t v)
{
    return literal(t, (struct ua_variant){ .type = UA_INT32, .i32 = v });
}

static struct ua_extension_object of_field(struct stage *t, const char *name)
{
    struct ua_simple_attribute_operand o = field(name);
    return object(t, &ua_simple_attribute_operand_type, &o);
}

static struct ua_extension_object element(struct stage *t, uint32_t index)
{
    uint8_t *body = arena_zero(&t->w.arena, 4);
    assert_non_null(body);
    body[0] = (uint8_t)index;
    return (struct ua_extension_object){ UA_NS0(594), UA_BODY_BINARY, bytes_of(body, 4) };
}

/* The severities of 100, 300, 500, 700 (the last one a DeviceFailureEventType) that get through. */
static unsigned passing(struct stage *t, const struct ua_content_filter_element *where, uint32_t count)
{
    struct client c;
    client_begin(&c, &t->w);
    struct client was = t->c;
    t->c = c;
    uint32_t s = subscribe_simply(&t->c);
    const struct ua_simple_attribute_operand select[] = { field("Severity") };
    assert_int_equal(watch(&t->c, s, events_of(UA_NS0(UA_ID_SERVER), filter(t, select, 1, where, count))).status_code, UA_GOOD);
    for (uint16_t i = 1; i <= 7; i += 2)
        emit(t, i == 7 ? 2131 : 0, i * 100, i == 3 ? "hot" : "cold");
    struct heard h = cycle(t);
    unsigned mask = 0;
    for (uint32_t i = 0; i < h.event_count; i++)
        mask |= 1u << (h.events[i].event_fields[0].u16 / 200);
    c = t->c;
    t->c = was;
    client_close(&c);
    return mask;
}

static void where_clauses_are_evaluated(void **state)
{
    struct stage *t = *state;
    struct ua_node_id failure = UA_NS0(2131), system = UA_NS0(2130);
    const struct ua_extension_object severity = of_field(t, "Severity"), message = of_field(t, "Message"), none = of_field(t, "LocalTime");
    const struct operands greater = { { severity, number(t, 300) } }, between = { { severity, number(t, 300), number(t, 500) } },
                          hot = { { message, literal(t, (struct ua_variant){ .type = UA_STRING, .text = BYTES_LIT("hot") }) } },
                          of_system = { { literal(t, (struct ua_variant){ .type = UA_NODE_ID, .at = &system }) } },
                          type = { { of_field(t, "EventType"), literal(t, (struct ua_variant){ .type = UA_NODE_ID, .at = &failure }) } },
                          list = { { severity, number(t, 100), number(t, 700) } }, null = { { none } },
                          unknown = { { none, number(t, 1) } }, one_two = { { element(t, 1), element(t, 2) } }, first = { { element(t, 1) } };
#define ELEMENT(op, operands, count) { op, operands.at, count }
    const struct ua_content_filter_element single[] = {
        ELEMENT(2, greater, 2), ELEMENT(3, greater, 2), ELEMENT(4, greater, 2), ELEMENT(5, greater, 2), ELEMENT(0, greater, 2),
        ELEMENT(8, between, 3), ELEMENT(0, hot, 2),     ELEMENT(14, of_system, 1), ELEMENT(0, type, 2), ELEMENT(9, list, 3),
        ELEMENT(1, null, 1),    ELEMENT(0, unknown, 2),
    };
    static const unsigned expected[] = { 12, 1, 14, 3, 2, 6, 2, 8, 8, 9, 15, 0 };
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        assert_int_equal(passing(t, &single[i], 1), expected[i]);
    const struct ua_content_filter_element both[] = { ELEMENT(10, one_two, 2), ELEMENT(2, greater, 2), ELEMENT(8, between, 3) };
    assert_int_equal(passing(t, both, 3), 4);
    const struct ua_content_filter_element either[] = { ELEMENT(11, one_two, 2), ELEMENT(0, hot, 2), ELEMENT(0, type, 2) };
    assert_int_equal(passing(t, either, 3), 10);
    const struct ua_content_filter_element not_hot[] = { ELEMENT(7, first, 1), ELEMENT(0, hot, 2) };
    assert_int_equal(passing(t, not_hot, 2), 13);
    const struct ua_content_filter_element not_unknown[] = { ELEMENT(7, first, 1), ELEMENT(0, unknown, 2) };
    assert_int_equal(passing(t, not_unknown, 2), 0); /* what is not known is not false */
}

static void where_clauses_that_make_no_sense_are_refused(void **state)
{
    struct stage *t = *state;
    uint32_t s = subscribe_simply(&t->c);
    const struct ua_simple_attribute_operand select[] = { field("Severity") };
    const struct operands two = { { of_field(t, "Severity"), number(t, 1) } }, loop = { { element(t, 0) } }, far = { { element(t, 9) } };
    const struct {
        struct ua_content_filter_element e;
        ua_status status;
    } cases[] = {
        { ELEMENT(99, two, 2), UA_BAD_FILTER_OPERATOR_INVALID },
        { ELEMENT(6, two, 2), UA_BAD_FILTER_OPERATOR_UNSUPPORTED }, /* Like */
        { ELEMENT(2, two, 1), UA_BAD_FILTER_OPERAND_COUNT_MISMATCH },
        { ELEMENT(7, loop, 1), UA_BAD_FILTER_OPERAND_INVALID },
        { ELEMENT(7, far, 1), UA_BAD_FILTER_OPERAND_INVALID },
        { ELEMENT(7, two, 1), UA_BAD_FILTER_OPERAND_INVALID },
        { ELEMENT(14, two, 1), UA_BAD_FILTER_OPERAND_INVALID },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ua_monitored_item_create_result r =
            watch(&t->c, s, events_of(UA_NS0(UA_ID_SERVER), filter(t, select, 1, &cases[i].e, 1)));
        assert_int_equal(r.status_code, UA_BAD_EVENT_FILTER_INVALID);
        struct ua_reader like = ua_reader_of(BYTES_NONE, &t->w.arena, NULL);
        struct ua_event_filter_result told;
        assert_true(ua_object_read(&like, &r.filter_result, &ua_event_filter_result_type, &told));
        assert_int_equal(told.where_clause_result.element_results_count, 1);
        assert_int_equal(told.where_clause_result.element_results[0].status_code, cases[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, open_stage, close_stage)
        T(selected_fields_come_in_their_order),
        T(events_and_values_share_a_message),
        T(an_object_hears_of_its_own),
        T(bad_clauses_are_told_and_null),
        T(what_is_no_event_filter_is_refused),
        T(a_full_queue_of_events_loses_its_oldest),
        T(or_its_newest),
        T(a_queue_that_is_read_slowly_says_it_again),
        T(where_clauses_are_evaluated),
        T(where_clauses_that_make_no_sense_are_refused),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
