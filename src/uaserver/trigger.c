/* Modes of items, links between them (Part 4, 5.12.1.6, 5.12.4, 5.12.5), and the methods of the Server object about them
 * (Part 5, 9.1 and 9.2). */
#include "uaserver/subscription.h"

#include "base/mem.h"

/* ---- links ---- */

void uas_trigger(struct uas_item *i)
{
    for (uint32_t k = 0; k < i->link_count; k++) {
        struct uas_item *other = uas_item_of(i->sub, i->links[k]);
        if (!other || other->mode != UA_MONITOR_SAMPLING || !other->count)
            continue;
        other->due = true;
        uas_make_ready(other);
    }
}

static bool has_link(const struct uas_item *i, uint32_t id)
{
    for (uint32_t k = 0; k < i->link_count; k++)
        if (i->links[k] == id)
            return true;
    return false;
}

static ua_status add_link(struct uas_item *i, uint32_t id)
{
    if (!uas_item_of(i->sub, id))
        return UA_BAD_MONITORED_ITEM_ID_INVALID;
    if (has_link(i, id))
        return UA_GOOD;
    uint32_t *links = mem_realloc(i->links, (i->link_count + 1) * sizeof *links);
    if (!links)
        return UA_BAD_OUT_OF_MEMORY;
    i->links = links;
    i->links[i->link_count++] = id;
    return UA_GOOD;
}

static ua_status remove_link(struct uas_item *i, uint32_t id)
{
    for (uint32_t k = 0; k < i->link_count; k++)
        if (i->links[k] == id) {
            i->links[k] = i->links[--i->link_count];
            return UA_GOOD;
        }
    return UA_BAD_MONITORED_ITEM_ID_INVALID;
}

/* Links of items that are no more. */
static void sweep(struct uas_item *i)
{
    for (uint32_t k = 0; k < i->link_count;)
        if (uas_item_of(i->sub, i->links[k]))
            k++;
        else
            i->links[k] = i->links[--i->link_count];
}

void uas_set_triggering(struct uas_request *r)
{
    struct ua_set_triggering_request ask;
    if (!uas_read(r, &ua_set_triggering_request_type, &ask))
        return;
    uint64_t operations = (uint64_t)ask.links_to_add_count + ask.links_to_remove_count;
    if (!uas_count(r, operations > UINT32_MAX ? UINT32_MAX : (uint32_t)operations))
        return;
    struct uas_subscription *s = uas_subscription_of(r->session, ask.subscription_id);
    struct uas_item *i = s ? uas_item_of(s, ask.triggering_item_id) : NULL;
    if (!i) {
        uas_fault(r, s ? UA_BAD_MONITORED_ITEM_ID_INVALID : UA_BAD_SUBSCRIPTION_ID_INVALID);
        return;
    }
    uas_touch(s);
    ua_status *added = arena_zero(r->arena, (ask.links_to_add_count + 1) * sizeof *added);
    ua_status *removed = arena_zero(r->arena, (ask.links_to_remove_count + 1) * sizeof *removed);
    if (!added || !removed) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    sweep(i);
    for (uint32_t k = 0; k < ask.links_to_remove_count; k++) /* first these [Part 4, 5.12.5.1] */
        removed[k] = remove_link(i, ask.links_to_remove[k]);
    for (uint32_t k = 0; k < ask.links_to_add_count; k++)
        added[k] = add_link(i, ask.links_to_add[k]);
    struct ua_set_triggering_response answer = {
        .add_results = added, .add_results_count = ask.links_to_add_count,
        .remove_results = removed, .remove_results_count = ask.links_to_remove_count,
    };
    uas_answer(r, &ua_set_triggering_response_type, &answer);
}

/* ---- modes ---- */

static void disable(struct uas_item *i)
{
    uas_watch_stop(i);
    uas_queue_clear(i);
    ua_value_drop(&i->last);
    i->known = false;
    i->mode = UA_MONITOR_DISABLED;
}

static ua_status enable(struct uas_item *i, uint8_t mode)
{
    i->mode = mode;
    if (!uas_watch_start(i)) {
        i->mode = UA_MONITOR_DISABLED;
        return UA_BAD_OUT_OF_MEMORY;
    }
    if (i->events)
        return UA_GOOD;
    struct ua_value now;
    uas_look(i, &now);
    uas_offer(i, &now);
    ua_value_drop(&now);
    return UA_GOOD;
}

static ua_status set_mode(struct uas_item *i, uint8_t mode)
{
    if (i->mode == mode)
        return UA_GOOD;
    if (mode == UA_MONITOR_DISABLED) {
        disable(i);
        return UA_GOOD;
    }
    if (i->mode == UA_MONITOR_DISABLED)
        return enable(i, mode);
    i->mode = mode;
    if (mode == UA_MONITOR_SAMPLING && !i->due)
        uas_not_ready(i); /* what is queued stays */
    else
        uas_make_ready(i);
    return UA_GOOD;
}

void uas_set_monitoring_mode(struct uas_request *r)
{
    struct ua_set_monitoring_mode_request ask;
    if (!uas_read(r, &ua_set_monitoring_mode_request_type, &ask) || !uas_count(r, ask.monitored_item_ids_count))
        return;
    struct uas_subscription *s = uas_subscription_of(r->session, ask.subscription_id);
    bool valid = ask.monitoring_mode >= UA_MONITOR_DISABLED && ask.monitoring_mode <= UA_MONITOR_REPORTING;
    if (!s || !valid) {
        uas_fault(r, s ? UA_BAD_MONITORING_MODE_INVALID : UA_BAD_SUBSCRIPTION_ID_INVALID);
        return;
    }
    uas_touch(s);
    ua_status *results = arena_zero(r->arena, ask.monitored_item_ids_count * sizeof *results);
    if (!results) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    for (uint32_t k = 0; k < ask.monitored_item_ids_count; k++) {
        struct uas_item *i = uas_item_of(s, ask.monitored_item_ids[k]);
        results[k] = i ? set_mode(i, (uint8_t)ask.monitoring_mode) : UA_BAD_MONITORED_ITEM_ID_INVALID;
    }
    struct ua_set_monitoring_mode_response answer = { .results = results, .results_count = ask.monitored_item_ids_count };
    uas_answer(r, &ua_set_monitoring_mode_response_type, &answer);
}

/* ---- again ---- */

/* A value that waits is not older than the present one: only those without get it [Part 4, 5.13.7.2]. */
void uas_send_again(struct uas_subscription *s)
{
    for (uint32_t k = 0; k < s->item_count; k++) {
        struct uas_item *i = s->items[k];
        if (i->mode != UA_MONITOR_REPORTING || i->events || i->count)
            continue;
        struct ua_value now;
        uas_look(i, &now);
        i->known = false;
        uas_offer(i, &now);
        ua_value_drop(&now);
    }
}

/* A method is told who calls by a pointer into the session. */
static struct uas_subscription *called_for(const struct ua_call *call, ua_status *status)
{
    struct uas_session *session = (struct uas_session *)(uintptr_t)((const char *)call->user - offsetof(struct uas_session, user));
    struct uas_subscription *s = uas_subscription_of(session, call->inputs[0].u32);
    const struct uas_subscriptions *all = session->server->subs;
    *status = UA_BAD_SUBSCRIPTION_ID_INVALID;
    for (const struct uas_subscription *other = all ? all->all : NULL; other && !s; other = other->next)
        if (other->id == call->inputs[0].u32)
            *status = UA_BAD_USER_ACCESS_DENIED; /* another session's [Part 5, 9.1] */
    return s;
}

ua_status uas_handles_of(struct ua_server *server, struct ua_call *call)
{
    (void)server;
    ua_status status;
    const struct uas_subscription *s = called_for(call, &status);
    if (!s)
        return status;
    uint32_t *ids = arena_take(call->arena, (s->item_count + 1) * sizeof *ids);
    uint32_t *handles = arena_take(call->arena, (s->item_count + 1) * sizeof *handles);
    if (!ids || !handles)
        return UA_BAD_OUT_OF_MEMORY;
    for (uint32_t k = 0; k < s->item_count; k++) {
        ids[k] = s->items[k]->id;
        handles[k] = s->items[k]->handle;
    }
    call->outputs[0] = (struct ua_variant){ .type = UA_UINT32, .array = true, .count = s->item_count, .at = ids };
    call->outputs[1] = (struct ua_variant){ .type = UA_UINT32, .array = true, .count = s->item_count, .at = handles };
    return UA_GOOD;
}

ua_status uas_resend(struct ua_server *server, struct ua_call *call)
{
    (void)server;
    ua_status status;
    struct uas_subscription *s = called_for(call, &status);
    if (!s)
        return status;
    uas_send_again(s);
    return UA_GOOD;
}
