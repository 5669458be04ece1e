/* Monitored items: CreateMonitoredItems, ModifyMonitoredItems, DeleteMonitoredItems (Part 4, 5.12.2, 5.12.3, 5.12.6). */
#include "uaserver/subscription.h"

#include "base/log.h"
#include "base/mem.h"

enum { EVENT_QUEUE = 100 }; /* of event items whose clients leave it to us */

struct uas_item *uas_item_of(const struct uas_subscription *s, uint32_t id)
{
    uint32_t low = 0, high = s->item_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (s->items[mid]->id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < s->item_count && s->items[low]->id == id ? s->items[low] : NULL;
}

void uas_item_free(struct uas_item *i)
{
    uas_watch_stop(i);
    ua_unwatch(&i->watch);
    uas_queue_clear(i);
    ua_value_drop(&i->last);
    struct uas_subscriptions *all = i->sub->server->subs;
    all->items--;
    all->slots -= i->ring ? i->room : 0;
    uas_sub(&uas_counters.items, 1);
    uas_event_filter_free(i->events);
    mem_free(i->ring);
    mem_free(i->range);
    mem_free(i->links);
    mem_free(i);
}

/* ---- parameters ---- */

/* What a client asks for, as the server takes it. */
struct wish {
    struct uas_data_filter data;
    struct uas_event_filter *events; /* owned */
    double   sampling_ms;
    uint32_t queue_size;
    struct ua_extension_object filter_result;
};

static uint32_t revise_queue(const struct ua_server *s, uint32_t asked, bool events)
{
    uint32_t most = s->limits.queue;
    if (asked <= 1)
        asked = events ? EVENT_QUEUE : 1;
    return asked < most ? asked : most;
}

static ua_status read_wish(struct uas_request *r, const struct uas_subscription *sub, struct ua_node *n, uint32_t attribute,
                           const struct ua_monitoring_parameters *p, struct wish *w)
{
    *w = (struct wish){ 0 };
    bool events = attribute == UA_ATTR_EVENT_NOTIFIER;
    ua_status status = events ? uas_event_filter_read(r, &p->filter, &w->events, &w->filter_result)
                              : uas_data_filter_read(r, n, attribute, &p->filter, &w->data);
    w->sampling_ms = uas_revise_sampling(sub, n, attribute, p->sampling_interval);
    w->queue_size = revise_queue(r->server, p->queue_size, events);
    return status;
}

static void take_wish(struct uas_item *i, const struct ua_monitoring_parameters *p, struct wish *w)
{
    i->handle = p->client_handle;
    i->discard_oldest = p->discard_oldest;
    i->trigger = w->data.trigger;
    i->deadband = w->data.deadband;
    i->deadband_value = w->data.value;
    i->sampling_ms = w->sampling_ms;
    if (w->events) {
        uas_event_filter_free(i->events);
        i->events = w->events;
    }
}

/* ---- create ---- */

static bool room_for_one(struct uas_subscription *s)
{
    if (s->item_count < s->item_room)
        return true;
    uint32_t room = s->item_room ? 2 * s->item_room : 16;
    struct uas_item **items = mem_realloc(s->items, room * sizeof(struct uas_item *));
    if (!items)
        return false;
    s->items = items;
    s->item_room = room;
    return true;
}

/* Part of a value: the range is kept with the item. */
static bool keep_range(struct uas_item *i, struct bytes text)
{
    struct ua_index_range range;
    if (!ua_range_parse(&range, text) || !range.dims)
        return true; /* it was checked before: everything */
    i->range = mem_alloc(sizeof *i->range);
    if (i->range)
        *i->range = range;
    return i->range != NULL;
}

/* NULL: no memory. The wish is taken over. */
static struct uas_item *make(struct uas_subscription *sub, struct ua_node *n, const struct ua_monitored_item_create_request *q,
                             enum ua_timestamps times, struct wish *w)
{
    struct uas_item *i = room_for_one(sub) ? mem_zalloc(1, sizeof *i) : NULL;
    if (!i) {
        uas_event_filter_free(w->events);
        return NULL;
    }
    struct uas_subscriptions *all = sub->server->subs;
    i->sub = sub;
    i->id = sub->last_item + 1;
    i->attribute = q->item_to_monitor.attribute_id;
    i->mode = (uint8_t)q->monitoring_mode;
    i->times = (uint8_t)times;
    i->queue_size = w->queue_size;
    all->items++;
    UAS_COUNT(items);
    take_wish(i, &q->requested_parameters, w);
    ua_watch_node(&i->watch, n);
    uas_watch_stop(i); /* sets what it is told by */
    if (!keep_range(i, q->item_to_monitor.index_range) || !uas_watch_start(i)) {
        uas_item_free(i);
        return NULL;
    }
    sub->last_item++;
    sub->items[sub->item_count++] = i;
    return i;
}

/* Checked by reading it, which gives the first value as well. What is wrong with the request itself has no times; a bad value
 * has, and is a value to be reported. */
static ua_status check_item(struct uas_request *r, const struct ua_monitored_item_create_request *q, struct ua_value *first)
{
    if (q->monitoring_mode < UA_MONITOR_DISABLED || q->monitoring_mode > UA_MONITOR_REPORTING)
        return UA_BAD_MONITORING_MODE_INVALID;
    ua_read_one(r->server->space, &r->session->user, &q->item_to_monitor, first);
    if (ua_is_bad(first->status) && !first->server_time && ua_code(first->status) != UA_BAD_INDEX_RANGE_NO_DATA)
        return first->status;
    const struct ua_node *n = ua_find(r->server->space, &q->item_to_monitor.node_id);
    if (q->item_to_monitor.attribute_id == UA_ATTR_EVENT_NOTIFIER && !(n->notifier & 1))
        return UA_BAD_NOT_SUPPORTED; /* an object without events */
    return UA_GOOD;
}

static ua_status create_one(struct uas_request *r, struct uas_subscription *sub, enum ua_timestamps times,
                            const struct ua_monitored_item_create_request *q, struct ua_monitored_item_create_result *out)
{
    struct ua_value first = { 0 };
    struct wish w = { 0 };
    ua_status status = check_item(r, q, &first);
    struct ua_node *n = ua_find(r->server->space, &q->item_to_monitor.node_id);
    if (!status)
        status = read_wish(r, sub, n, q->item_to_monitor.attribute_id, &q->requested_parameters, &w);
    out->filter_result = w.filter_result;
    const struct uas_subscriptions *all = r->server->subs;
    if (!status && all->items >= r->server->limits.items) {
        log_warn("opcua", "FG3324 session %s: the server has %u monitored items, that is all it may have", r->session->name,
                 all->items);
        uas_event_filter_free(w.events);
        status = UA_BAD_TOO_MANY_MONITORED_ITEMS;
    }
    struct uas_item *i = status ? NULL : make(sub, n, q, times, &w);
    if (i) {
        out->monitored_item_id = i->id;
        out->revised_sampling_interval = i->sampling_ms;
        out->revised_queue_size = i->queue_size;
        i->changes = i->attribute == UA_ATTR_VALUE ? ua_as_variable(n)->changes : 0;
        if (!i->events)
            uas_offer(i, &first);
    } else if (!status) {
        status = UA_BAD_OUT_OF_MEMORY;
    }
    ua_value_drop(&first);
    return status;
}

/* The subscription of the request and its timestamps; NULL: a fault was sent. */
static struct uas_subscription *admit(struct uas_request *r, uint32_t id, int32_t times, uint32_t operations)
{
    if (!uas_count(r, operations))
        return NULL;
    struct uas_subscription *s = uas_subscription_of(r->session, id);
    if (!s || times < UA_TIMES_SOURCE || times > UA_TIMES_NEITHER) {
        uas_fault(r, s ? UA_BAD_TIMESTAMPS_TO_RETURN_INVALID : UA_BAD_SUBSCRIPTION_ID_INVALID);
        return NULL;
    }
    uas_touch(s);
    return s;
}

void uas_create_items(struct uas_request *r)
{
    struct ua_create_monitored_items_request ask;
    if (!uas_read(r, &ua_create_monitored_items_request_type, &ask))
        return;
    struct uas_subscription *s = admit(r, ask.subscription_id, ask.timestamps_to_return, ask.items_to_create_count);
    if (!s)
        return;
    struct ua_monitored_item_create_result *results = arena_zero(r->arena, ask.items_to_create_count * sizeof *results);
    if (!results) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < ask.items_to_create_count; i++)
        results[i].status_code =
            create_one(r, s, (enum ua_timestamps)ask.timestamps_to_return, &ask.items_to_create[i], &results[i]);
    struct ua_create_monitored_items_response answer = { .results = results, .results_count = ask.items_to_create_count };
    uas_answer(r, &ua_create_monitored_items_response_type, &answer);
}

/* ---- modify ---- */

static ua_status modify_one(struct uas_request *r, struct uas_subscription *sub, enum ua_timestamps times,
                            const struct ua_monitored_item_modify_request *q, struct ua_monitored_item_modify_result *out)
{
    struct uas_item *i = uas_item_of(sub, q->monitored_item_id);
    struct wish w;
    if (!i)
        return UA_BAD_MONITORED_ITEM_ID_INVALID;
    if (!i->watch.node)
        return UA_BAD_NODE_ID_UNKNOWN;
    ua_status status = read_wish(r, sub, i->watch.node, i->attribute, &q->requested_parameters, &w);
    out->filter_result = w.filter_result;
    if (status)
        return status;
    double before = i->sampling_ms;
    uas_watch_stop(i);
    take_wish(i, &q->requested_parameters, &w);
    if (!uas_watch_start(i)) { /* as it was: its sampler is there, or it needs none */
        i->sampling_ms = before;
        if (!uas_watch_start(i))
            i->mode = UA_MONITOR_DISABLED;
        return UA_BAD_OUT_OF_MEMORY;
    }
    i->times = (uint8_t)times;
    uas_queue_resize(i, w.queue_size);
    out->revised_sampling_interval = i->sampling_ms;
    out->revised_queue_size = i->queue_size;
    return UA_GOOD;
}

void uas_modify_items(struct uas_request *r)
{
    struct ua_modify_monitored_items_request ask;
    if (!uas_read(r, &ua_modify_monitored_items_request_type, &ask))
        return;
    struct uas_subscription *s = admit(r, ask.subscription_id, ask.timestamps_to_return, ask.items_to_modify_count);
    if (!s)
        return;
    struct ua_monitored_item_modify_result *results = arena_zero(r->arena, ask.items_to_modify_count * sizeof *results);
    if (!results) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < ask.items_to_modify_count; i++)
        results[i].status_code =
            modify_one(r, s, (enum ua_timestamps)ask.timestamps_to_return, &ask.items_to_modify[i], &results[i]);
    struct ua_modify_monitored_items_response answer = { .results = results, .results_count = ask.items_to_modify_count };
    uas_answer(r, &ua_modify_monitored_items_response_type, &answer);
}

/* ---- delete ---- */

void uas_delete_items(struct uas_request *r)
{
    struct ua_delete_monitored_items_request ask;
    if (!uas_read(r, &ua_delete_monitored_items_request_type, &ask))
        return;
    struct uas_subscription *s = admit(r, ask.subscription_id, UA_TIMES_BOTH, ask.monitored_item_ids_count);
    if (!s)
        return;
    ua_status *results = arena_zero(r->arena, ask.monitored_item_ids_count * sizeof *results);
    if (!results) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < ask.monitored_item_ids_count; i++) {
        struct uas_item *item = uas_item_of(s, ask.monitored_item_ids[i]);
        results[i] = item && !item->doomed ? UA_GOOD : UA_BAD_MONITORED_ITEM_ID_INVALID;
        if (results[i] == UA_GOOD)
            item->doomed = true;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->item_count; i++)
        if (s->items[i]->doomed)
            uas_item_free(s->items[i]);
        else
            s->items[kept++] = s->items[i];
    s->item_count = kept;
    struct ua_delete_monitored_items_response answer = { .results = results, .results_count = ask.monitored_item_ids_count };
    uas_answer(r, &ua_delete_monitored_items_response_type, &answer);
}
