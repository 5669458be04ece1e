/* Each allocation that a service makes fails once. The client reads that there is no memory, or loses its connection; nobody
 * else notices, nothing leaks, and the next try succeeds. */
#include "uaserver/event.h"
#include "uaserver/subscription_test_stage.h"

struct scene {
    struct stage stage;
    struct client other; /* a neighbour, whose subscription goes on */
    uint32_t other_subscription, subscription;
    uint32_t items[3];
    uint64_t fail_at; /* of the step under test; 0: none */
    bool     fired;
};

/* Sends it, and lets the server work on it while the n-th allocation fails. */
static ua_status try(struct scene *s, const struct ua_struct *type, void *request, const struct ua_struct *answer, void *response)
{
    struct client *c = &s->stage.c;
    struct ua_request_header *h = request;
    h->authentication_token = c->token;
    h->request_handle = ++c->handle;
    struct buf out = { 0 };
    ua_write_message(&out, type, request);
    struct buf wire = { 0 };
    assert_int_equal(ua_channel_send(c->channel, &wire, ua_channel_request_id(c->channel), buf_bytes(&out)), UA_GOOD);
    buf_clear(&out);
    sim_send(c->sim, buf_bytes(&wire));
    buf_clear(&wire);
    mem_fail_at(s->fail_at);
    (void)sim_step(s->stage.w.sim);
    s->fired = s->fail_at && mem_fail_fired();
    mem_fail_at(0);
    s->fail_at = 0;
    return answer ? client_answer(c, answer, response) : UA_GOOD;
}
#define TRY(s, service, request, response) \
    try((s), &ua_##service##_request_type, (request), &ua_##service##_response_type, (response))

static ua_status create(struct scene *s)
{
    struct ua_create_subscription_request q = { .requested_publishing_interval = 100, .publishing_enabled = true };
    struct ua_create_subscription_response a = { 0 };
    ua_status status = TRY(s, create_subscription, &q, &a);
    s->subscription = a.subscription_id;
    return status;
}

static struct ua_extension_object event_filter(struct scene *s)
{
    static struct ua_qualified_name name = { 0, { (const uint8_t *)"Message", 7 } };
    const struct ua_simple_attribute_operand select[] = {
        { UA_NS0(UA_ID_BASE_EVENT_TYPE), &name, 1, UA_ATTR_VALUE, BYTES_NONE },
        { UA_NS0(UA_ID_SERVER_TYPE), &name, 1, UA_ATTR_VALUE, BYTES_NONE }, /* wrong: there is a result to be made */
    };
    struct ua_node_id base = UA_NS0(UA_ID_BASE_EVENT_TYPE);
    struct ua_literal_operand literal = { { .type = UA_NODE_ID, .at = &base } };
    struct ua_extension_object operand, out;
    assert_true(ua_object_of(&s->stage.w.arena, &ua_literal_operand_type, &literal, &operand));
    const struct ua_content_filter_element where = { 14, &operand, 1 };
    const struct ua_event_filter f = { select, 2, { &where, 1 } };
    assert_true(ua_object_of(&s->stage.w.arena, &ua_event_filter_type, &f, &out));
    return out;
}

static ua_status create_items(struct scene *s)
{
    struct ua_monitored_item_create_request items[3] = { item(0, 1, 40, 0), item(1, 2, 40, 50), item(0, 3, 40, 0) };
    items[2].item_to_monitor = (struct ua_read_value_id){ .node_id = UA_NS0(UA_ID_SERVER), .attribute_id = UA_ATTR_EVENT_NOTIFIER };
    items[2].requested_parameters.filter = event_filter(s);
    struct ua_create_monitored_items_request q = { .subscription_id = s->subscription, .timestamps_to_return = UA_TIMES_BOTH,
                                                   .items_to_create = items, .items_to_create_count = 3 };
    struct ua_create_monitored_items_response a;
    ua_status status = TRY(s, create_monitored_items, &q, &a);
    for (uint32_t i = 0; !status && i < 3; i++) {
        s->items[i] = a.results[i].monitored_item_id;
        if (a.results[i].status_code)
            status = a.results[i].status_code;
    }
    return status;
}

static ua_status link_them(struct scene *s)
{
    struct ua_set_triggering_request q = { .subscription_id = s->subscription, .triggering_item_id = s->items[0],
                                           .links_to_add = &s->items[1], .links_to_add_count = 1 };
    struct ua_set_triggering_response a;
    ua_status status = TRY(s, set_triggering, &q, &a);
    return status ? status : a.add_results[0];
}

static ua_status modify_one(struct scene *s)
{
    const struct ua_monitored_item_modify_request m = { s->items[1], { .sampling_interval = 70, .queue_size = 5 } };
    struct ua_modify_monitored_items_request q = { .subscription_id = s->subscription, .timestamps_to_return = UA_TIMES_BOTH,
                                                   .items_to_modify = &m, .items_to_modify_count = 1 };
    struct ua_modify_monitored_items_response a;
    ua_status status = TRY(s, modify_monitored_items, &q, &a);
    return status ? status : a.results[0].status_code;
}

static ua_status browse(struct scene *s)
{
    const struct ua_browse_description d = { .node_id = UA_NS0(UA_ID_SERVER), .result_mask = UA_BROWSE_ALL };
    struct ua_browse_request q = { .requested_max_references_per_node = 1, .nodes_to_browse = &d, .nodes_to_browse_count = 1 };
    struct ua_browse_response a;
    ua_status status = TRY(s, browse, &q, &a);
    if (!status && a.results[0].status_code == UA_BAD_NO_CONTINUATION_POINTS)
        return UA_BAD_OUT_OF_MEMORY; /* said in another way */
    return status ? status : a.results[0].status_code;
}

static ua_status translate(struct scene *s)
{
    const struct ua_relative_path_element e = { .target_name = { 0, BYTES_LIT("Server") } };
    const struct ua_browse_path p = { UA_NS0(UA_ID_OBJECTS_FOLDER), { &e, 1 } };
    struct ua_translate_request q = { .browse_paths = &p, .browse_paths_count = 1 };
    struct ua_translate_response a;
    return TRY(s, translate, &q, &a);
}

static ua_status transfer(struct scene *s)
{
    struct ua_transfer_subscriptions_request q = { .subscription_ids = &s->subscription, .subscription_ids_count = 1,
                                                   .send_initial_values = true };
    struct ua_transfer_subscriptions_response a;
    return TRY(s, transfer_subscriptions, &q, &a);
}

/* Values come in bursts, and a Publish request with a wrong acknowledgement; what there was no memory for is told by the overflow
 * of a queue, or comes with the next cycle. */
static ua_status change_and_publish(struct scene *s)
{
    const struct ua_subscription_acknowledgement ack = { s->subscription, 4711 };
    struct ua_publish_request q = { .subscription_acknowledgements = &ack, .subscription_acknowledgements_count = 1 };
    uint64_t fail_at = s->fail_at;
    s->fail_at = 0;
    (void)try(s, &ua_publish_request_type, &q, NULL, NULL);
    mem_fail_at(fail_at);
    for (int i = 1; i <= 30; i++) {
        const struct ua_data_value v = { .has = UA_HAS_VALUE, .value = { .type = UA_DOUBLE, .f64 = i } };
        if (!ua_set_value(ua_server_space(s->stage.w.server), s->stage.v[0], &v))
            continue; /* the allocation that fails; the value before it stays */
    }
    ua_server_emit(s->stage.w.server, &(struct ua_server_event){ .message = BYTES_LIT("burst") });
    sim_advance(s->stage.w.sim, 120 * 1000);
    s->fired = fail_at && mem_fail_fired();
    mem_fail_at(0);
    pass_ms(&s->stage, 120);
    struct heard h = hear(&s->stage.c);
    if (h.status)
        return h.status;
    if (!h.data_count)
        return UA_BAD_OUT_OF_MEMORY;
    assert_true(number_of(&h.data[h.data_count - 1]) == 30 || h.data[h.data_count - 1].client_handle != 1);
    return UA_GOOD;
}

static ua_status (*const steps[])(struct scene *) = { create,    create_items, link_them, modify_one,
                                                      browse,    translate,    transfer,  change_and_publish };
enum { STEPS = sizeof steps / sizeof *steps };

static void neighbour_goes_on(struct scene *s)
{
    set(&s->stage, 5, number_of(&(struct ua_monitored_item_notification){
                          .value = { .has = UA_HAS_VALUE, .value = { .type = UA_DOUBLE, .f64 = 123 } } }));
    publish(&s->other);
    pass_ms(&s->stage, 110);
    struct heard h = hear(&s->other);
    assert_int_equal(h.status, UA_GOOD);
    assert_int_equal(h.response.subscription_id, s->other_subscription);
    assert_true(number_of(&h.data[h.data_count - 1]) == 123);
}

/* False: the step makes fewer allocations than that. */
static bool run_step(int step, uint64_t n)
{
    static struct scene s;
    s = (struct scene){ 0 };
    stage_open(&s.stage, (struct ua_server_limits){ 0 });
    client_begin(&s.other, &s.stage.w);
    s.other_subscription = subscribe_simply(&s.other);
    (void)watch(&s.other, s.other_subscription, item(5, 9, 10, 0));
    for (int i = 0; i < step; i++)
        assert_int_equal(steps[i](&s), UA_GOOD);
    s.fail_at = n;
    ua_status status = steps[step](&s);
    bool fired = s.fired, lost = s.stage.c.closed || sim_closed(s.stage.c.sim);
    if (!fired)
        assert_int_equal(status, UA_GOOD);
    else if (status && status != UA_BAD_OUT_OF_MEMORY && !lost)
        fail_msg("step %d, allocation %llu: %08x", step, (unsigned long long)n, status);
    if (!lost && step != 1) /* items that were made are there */
        assert_int_equal(steps[step](&s), UA_GOOD);
    neighbour_goes_on(&s);
    client_close(&s.other);
    stage_close(&s.stage);
    return fired;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    uint64_t all = 0;
    for (int step = 0; step < STEPS; step++) {
        uint64_t n = 1;
        while (run_step(step, n))
            n++;
        print_message("step %d: %llu allocations\n", step, (unsigned long long)n - 1);
        all += n - 1;
    }
    assert_true(all > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
