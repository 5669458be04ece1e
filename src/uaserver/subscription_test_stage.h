/* subscription_test_stage.h - a server with a few variables, a client with a session, and words for the subscription services. */
#pragma once

#include "uaserver/server_test_client.h"
#include "uaserver/subscription.h"

#include <stdio.h>

enum { VARIABLES = 20 };

struct stage {
    struct world  w;
    struct client c;
    struct ua_variable *v[VARIABLES];
    uint64_t before;
};

static inline struct ua_node_id variable_id(int i)
{
    return (struct ua_node_id){ .ns = 1, .kind = UA_ID_NUMBER, .number = 1000u + (uint32_t)i };
}

static inline void stage_open(struct stage *t, struct ua_server_limits limits)
{
    *t = (struct stage){ .w = { .options = { .anonymous = true, .limits = limits } }, .before = mem_in_use() };
    world_open(&t->w);
    struct ua_space *s = ua_server_space(t->w.server);
    for (int i = 0; i < VARIABLES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "v%02d", i);
        struct ua_node *n;
        const struct ua_variant zero = { .type = UA_DOUBLE };
        const struct ua_new p = { .id = variable_id(i), .parent = ua_find0(s, UA_ID_OBJECTS_FOLDER),
                                  .browse_name = { 1, bytes_str(name) }, .data_type = UA_NS0(UA_DOUBLE), .value = &zero };
        assert_int_equal(ua_add(s, &p, &n, NULL), CODE_OK);
        t->v[i] = ua_as_variable(n);
    }
    client_begin(&t->c, &t->w);
}

static inline void stage_close(struct stage *t)
{
    client_close(&t->c);
    world_close(&t->w);
    assert_int_equal(mem_in_use(), t->before);
}

static inline void pass_ms(struct stage *t, int64_t ms)
{
    sim_advance(t->w.sim, ms * 1000);
}

static inline void set(struct stage *t, int i, double value)
{
    const struct ua_data_value v = { .has = UA_HAS_VALUE, .value = { .type = UA_DOUBLE, .f64 = value } };
    assert_true(ua_set_value(ua_server_space(t->w.server), t->v[i], &v));
}

/* ---- asking ---- */

static inline struct ua_create_subscription_response subscribe(struct client *c, struct ua_create_subscription_request q)
{
    struct ua_create_subscription_response a;
    assert_int_equal(CLIENT_ASK(c, create_subscription, &q, &a), UA_GOOD);
    return a;
}

/* Every 100 ms, a keep-alive after 5, its end after 15. */
static inline uint32_t subscribe_simply(struct client *c)
{
    return subscribe(c, (struct ua_create_subscription_request){ .requested_publishing_interval = 100,
                                                                 .requested_max_keep_alive_count = 5,
                                                                 .requested_lifetime_count = 15,
                                                                 .publishing_enabled = true })
        .subscription_id;
}

static inline struct ua_monitored_item_create_request item(int variable, uint32_t handle, uint32_t queue_size, double sampling)
{
    return (struct ua_monitored_item_create_request){
        .item_to_monitor = { .node_id = variable_id(variable), .attribute_id = UA_ATTR_VALUE },
        .monitoring_mode = UA_MONITOR_REPORTING,
        .requested_parameters = { .client_handle = handle, .sampling_interval = sampling, .queue_size = queue_size,
                                  .discard_oldest = true },
    };
}

static inline struct ua_monitored_item_create_result watch(struct client *c, uint32_t subscription,
                                                           struct ua_monitored_item_create_request i)
{
    struct ua_create_monitored_items_request q = { .subscription_id = subscription, .timestamps_to_return = UA_TIMES_BOTH,
                                                   .items_to_create = &i, .items_to_create_count = 1 };
    struct ua_create_monitored_items_response a;
    assert_int_equal(CLIENT_ASK(c, create_monitored_items, &q, &a), UA_GOOD);
    assert_int_equal(a.results_count, 1);
    return a.results[0];
}

/* A Publish request goes out; it is answered when there is something to say. */
static inline void publish(struct client *c)
{
    struct ua_publish_request q = { 0 };
    (void)client_send(c, &ua_publish_request_type, &q);
}

static inline void publish_acknowledging(struct client *c, uint32_t subscription, uint32_t sequence)
{
    const struct ua_subscription_acknowledgement ack = { subscription, sequence };
    struct ua_publish_request q = { .subscription_acknowledgements = &ack, .subscription_acknowledgements_count = 1 };
    (void)client_send(c, &ua_publish_request_type, &q);
}

/* ---- and being answered ---- */

struct heard {
    ua_status status; /* of the service; BadTimeout: nothing has come */
    struct ua_publish_response response;
    const struct ua_monitored_item_notification *data;
    uint32_t  data_count;
    const struct ua_event_field_list *events;
    uint32_t  event_count;
    ua_status change; /* of a StatusChangeNotification */
    uint32_t  sequence;
};

static inline void read_parts(struct client *c, const struct ua_notification_message *m, struct heard *h)
{
    struct ua_reader like = ua_reader_of(BYTES_NONE, &c->w->arena, NULL);
    h->sequence = m->sequence_number;
    for (uint32_t i = 0; i < m->notification_data_count; i++) {
        const struct ua_extension_object *o = &m->notification_data[i];
        struct ua_data_change_notification d;
        struct ua_event_notification_list e;
        struct ua_status_change_notification s;
        if (ua_object_read(&like, o, &ua_data_change_notification_type, &d)) {
            h->data = d.monitored_items;
            h->data_count = d.monitored_items_count;
        } else if (ua_object_read(&like, o, &ua_event_notification_list_type, &e)) {
            h->events = e.events;
            h->event_count = e.events_count;
        } else {
            assert_true(ua_object_read(&like, o, &ua_status_change_notification_type, &s));
            h->change = s.status;
        }
    }
}

static inline struct heard hear(struct client *c)
{
    struct heard h = { 0 };
    h.status = client_answer(c, &ua_publish_response_type, &h.response);
    if (h.status == UA_GOOD)
        read_parts(c, &h.response.notification_message, &h);
    return h;
}

static inline double number_of(const struct ua_monitored_item_notification *n)
{
    double d = -1;
    assert_true(n->value.has & UA_HAS_VALUE);
    assert_true(ua_number(&n->value.value, &d));
    return d;
}
