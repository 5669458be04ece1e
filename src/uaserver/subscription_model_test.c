/* Random runs against a slow model: what is heard is what the items' queues hold, in their order, and nothing stays behind.
 *
 * Every notification must be the head of its item's queue in the model. Whenever a request has waited for a whole interval,
 * nothing that is to be reported may be left. SEED=n runs that one only. */
#include "uaserver/subscription_test_stage.h"

#include <stdlib.h>

enum { ITEMS = 6, QUEUE = 8, STEPS = 400, RUNS = 100 };

struct expected {
    double value;
    bool   overflow;
};
struct model_item {
    uint32_t id;
    int      variable;
    uint8_t  mode;
    uint32_t size;
    bool     oldest, known, due;
    double   deadband, last;
    struct expected queue[QUEUE];
    uint32_t count;
    int      link; /* the item it triggers, -1 */
};
struct run {
    struct stage stage;
    struct model_item items[ITEMS];
    double   values[ITEMS];
    uint32_t subscription, most, parked, next_sequence;
    uint64_t random;
};

static uint32_t draw(struct run *r, uint32_t below)
{
    r->random = r->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->random >> 33) % below;
}

/* ---- the model ---- */

static void drop_at(struct model_item *i, uint32_t at)
{
    i->count--;
    memmove(&i->queue[at], &i->queue[at + 1], (i->count - at) * sizeof i->queue[0]);
}

static void expect(struct run *r, struct model_item *i, double value)
{
    if (i->mode == UA_MONITOR_DISABLED)
        return;
    double distance = value > i->last ? value - i->last : i->last - value;
    if (i->known && (distance == 0 || distance <= i->deadband))
        return;
    i->known = true;
    i->last = value;
    bool full = i->count == i->size, said = false;
    if (full && i->size > 1 && !i->oldest) {
        i->count--;
        said = true;
    } else if (full) {
        drop_at(i, 0);
    }
    i->queue[i->count++] = (struct expected){ value, said };
    if (full && i->size > 1 && i->oldest)
        i->queue[0].overflow = true;
    if (i->link < 0)
        return;
    struct model_item *other = &r->items[i->link];
    if (other->mode == UA_MONITOR_SAMPLING && other->count)
        other->due = true;
}

static void heard_one(struct run *r, const struct ua_monitored_item_notification *n)
{
    assert_in_range(n->client_handle, 0, ITEMS - 1);
    struct model_item *i = &r->items[n->client_handle];
    assert_true(i->mode == UA_MONITOR_REPORTING || i->due);
    assert_true(i->count > 0);
    assert_true(number_of(n) == i->queue[0].value);
    bool overflow = n->value.has & UA_HAS_STATUS && n->value.status & UA_OVERFLOW;
    assert_int_equal(overflow, i->queue[0].overflow);
    drop_at(i, 0);
    if (!i->count)
        i->due = false;
}

static void hear_all(struct run *r)
{
    for (;;) {
        struct heard h = hear(&r->stage.c);
        if (h.status == UA_BAD_TIMEOUT && !h.response.subscription_id)
            return;
        assert_int_equal(h.status, UA_GOOD);
        assert_int_equal(h.sequence, r->next_sequence);
        assert_true(!r->most || h.data_count <= r->most);
        r->parked--;
        if (h.data_count)
            r->next_sequence++;
        for (uint32_t k = 0; k < h.data_count; k++)
            heard_one(r, &h.data[k]);
    }
}

static void nothing_is_left(struct run *r)
{
    for (int k = 0; k < ITEMS; k++)
        assert_true(!r->items[k].count || !(r->items[k].mode == UA_MONITOR_REPORTING || r->items[k].due));
}

/* ---- what happens ---- */

static void change(struct run *r)
{
    int v = (int)draw(r, ITEMS);
    r->values[v] = (double)draw(r, 10);
    set(&r->stage, v, r->values[v]);
    for (int k = 0; k < ITEMS; k++)
        if (r->items[k].variable == v)
            expect(r, &r->items[k], r->values[v]);
}

static void ask(struct run *r)
{
    if (r->parked >= 15)
        return;
    if (r->next_sequence > 1 && draw(r, 2))
        publish_acknowledging(&r->stage.c, r->subscription, 1 + draw(r, r->next_sequence - 1));
    else
        publish(&r->stage.c);
    r->parked++;
    hear_all(r);
}

static void wait(struct run *r)
{
    bool whole = draw(r, 3) == 0;
    uint32_t before = r->parked;
    pass_ms(&r->stage, whole ? 110 : draw(r, 60));
    hear_all(r);
    if (whole && before && r->parked)
        nothing_is_left(r);
}

static void switch_mode(struct run *r)
{
    struct model_item *i = &r->items[draw(r, ITEMS)];
    uint8_t mode = (uint8_t)draw(r, 3), before = i->mode;
    struct ua_set_monitoring_mode_request q = { .subscription_id = r->subscription, .monitoring_mode = mode,
                                                .monitored_item_ids = &i->id, .monitored_item_ids_count = 1 };
    (void)client_send(&r->stage.c, &ua_set_monitoring_mode_request_type, &q);
    struct ua_set_monitoring_mode_response a;
    assert_int_equal(client_answer(&r->stage.c, &ua_set_monitoring_mode_response_type, &a), UA_GOOD);
    assert_int_equal(a.results[0], UA_GOOD);
    i->mode = mode;
    if (mode == UA_MONITOR_DISABLED) {
        i->count = 0;
        i->known = i->due = false;
    } else if (before == UA_MONITOR_DISABLED) {
        expect(r, i, r->values[i->variable]);
    }
}

static void resize(struct run *r)
{
    struct model_item *i = &r->items[draw(r, ITEMS)];
    uint32_t size = 1 + draw(r, QUEUE);
    const struct ua_monitored_item_modify_request m = {
        i->id, { .client_handle = (uint32_t)(i - r->items), .queue_size = size, .discard_oldest = i->oldest }
    };
    struct ua_modify_monitored_items_request q = { .subscription_id = r->subscription, .timestamps_to_return = UA_TIMES_SOURCE,
                                                   .items_to_modify = &m, .items_to_modify_count = 1 };
    struct ua_modify_monitored_items_response a;
    assert_int_equal(CLIENT_ASK(&r->stage.c, modify_monitored_items, &q, &a), UA_GOOD);
    assert_int_equal(a.results[0].revised_queue_size, size);
    i->deadband = 0; /* the filter went with it */
    bool lost = i->count > size;
    while (i->count > size)
        drop_at(i, i->oldest ? 0 : i->count - 1);
    if (lost && size > 1)
        i->queue[i->oldest ? 0 : size - 1].overflow = true;
    i->size = size;
}

/* ---- a run ---- */

static void add_item(struct run *r, int k)
{
    struct model_item *i = &r->items[k];
    /* Items that are linked have variables of their own: in which order one set reaches several items is not said. */
    *i = (struct model_item){ .variable = k < 4 ? k : (int)draw(r, ITEMS), .mode = (uint8_t)draw(r, 3), .size = 1 + draw(r, QUEUE),
                              .oldest = draw(r, 2), .deadband = (double)draw(r, 3), .link = -1 };
    struct ua_monitored_item_create_request q = item(i->variable, (uint32_t)k, i->size, 0);
    struct ua_data_change_filter f = { UA_TRIGGER_STATUS_VALUE, UA_DEADBAND_ABSOLUTE, i->deadband };
    q.monitoring_mode = i->mode;
    q.requested_parameters.discard_oldest = i->oldest;
    assert_true(ua_object_of(&r->stage.w.arena, &ua_data_change_filter_type, &f, &q.requested_parameters.filter));
    i->id = watch(&r->stage.c, r->subscription, q).monitored_item_id;
    expect(r, i, 0);
}

static void add_link(struct run *r, int from, int to)
{
    struct ua_set_triggering_request q = { .subscription_id = r->subscription, .triggering_item_id = r->items[from].id,
                                           .links_to_add = &r->items[to].id, .links_to_add_count = 1 };
    struct ua_set_triggering_response a;
    assert_int_equal(CLIENT_ASK(&r->stage.c, set_triggering, &q, &a), UA_GOOD);
    r->items[from].link = to;
}

static void run_one(uint64_t seed)
{
    static struct run r;
    r = (struct run){ .random = seed * 7919 + 1, .next_sequence = 1 };
    stage_open(&r.stage, (struct ua_server_limits){ 0 });
    r.most = draw(&r, 2) ? draw(&r, 4) : 0;
    r.subscription = subscribe(&r.stage.c, (struct ua_create_subscription_request){ .requested_publishing_interval = 100,
                                                                                    .requested_lifetime_count = 100000,
                                                                                    .requested_max_keep_alive_count = 3,
                                                                                    .max_notifications_per_publish = r.most,
                                                                                    .publishing_enabled = true }).subscription_id;
    for (int k = 0; k < ITEMS; k++)
        add_item(&r, k);
    add_link(&r, 0, 1);
    add_link(&r, 2, 3);
    for (int step = 0; step < STEPS; step++) {
        switch (draw(&r, 12)) {
        case 0:
        case 1: ask(&r); break;
        case 2:
        case 3: wait(&r); break;
        case 4: switch_mode(&r); break;
        case 5: resize(&r); break;
        default: change(&r);
        }
    }
    struct ua_delete_subscriptions_request d = { .subscription_ids = &r.subscription, .subscription_ids_count = 1 };
    (void)client_send(&r.stage.c, &ua_delete_subscriptions_request_type, &d);
    const struct uas_subscriptions *all = r.stage.w.server->subs;
    assert_true(!all->items && !all->slots && !all->queued_bytes && !all->retained_bytes); /* it was counted right */
    stage_close(&r.stage);
}

static void what_is_heard_is_what_the_model_says(void **state)
{
    (void)state;
    const char *one = getenv("SEED");
    for (uint64_t seed = one ? strtoull(one, NULL, 10) : 1; seed <= (one ? strtoull(one, NULL, 10) : RUNS); seed++) {
        print_message("seed %llu\n", (unsigned long long)seed); /* of a failure: the last one printed */
        run_one(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_heard_is_what_the_model_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
