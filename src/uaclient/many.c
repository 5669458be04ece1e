/* many.c - lists, cut to what the server takes. */
#include "uaclient/client_private.h"

#include "base/mem.h"

#include <stddef.h>

enum { PART_DEFAULT = 1000, AGAIN_MS = 10 };

struct kind {
    const struct ua_struct *request, *response;
    uint16_t list, list_count, results, results_count; /* offsets */
    uint16_t item, result;                             /* sizes   */
    uint16_t limit;                                    /* offset in struct ua_operation_limits */
};
#define KIND(req, list, item_type, resp, result_type, limit_field)                             \
    {                                                                                          \
        &ua_##req##_type, &ua_##resp##_type, offsetof(struct ua_##req, list),                  \
            offsetof(struct ua_##req, list##_count), offsetof(struct ua_##resp, results),      \
            offsetof(struct ua_##resp, results_count), sizeof(item_type), sizeof(result_type), \
            offsetof(struct ua_operation_limits, limit_field)                                  \
    }

static const struct kind kinds[UA_LIST_COUNT] = {
    [UA_LIST_READ] = KIND(read_request, nodes_to_read, struct ua_read_value_id, read_response,
                          struct ua_data_value, read),
    [UA_LIST_WRITE] = KIND(write_request, nodes_to_write, struct ua_write_value, write_response, ua_status,
                           write),
    [UA_LIST_CALL] = KIND(call_request, methods_to_call, struct ua_call_method_request, call_response,
                          struct ua_call_method_result, call),
    [UA_LIST_BROWSE] = KIND(browse_request, nodes_to_browse, struct ua_browse_description, browse_response,
                            struct ua_browse_result, browse),
    [UA_LIST_TRANSLATE] = KIND(translate_request, browse_paths, struct ua_browse_path, translate_response,
                               struct ua_browse_path_result, translate),
    [UA_LIST_REGISTER] = {&ua_register_nodes_request_type, &ua_register_nodes_response_type,
                          offsetof(struct ua_register_nodes_request, nodes_to_register),
                          offsetof(struct ua_register_nodes_request, nodes_to_register_count),
                          offsetof(struct ua_register_nodes_response, registered_node_ids),
                          offsetof(struct ua_register_nodes_response, registered_node_ids_count),
                          sizeof(struct ua_node_id), sizeof(struct ua_node_id),
                          offsetof(struct ua_operation_limits, register_nodes)},
    [UA_LIST_HISTORY] = KIND(history_read_request, nodes_to_read, struct ua_history_read_value_id,
                             history_read_response, struct ua_history_read_result, history),
    [UA_LIST_MONITOR] = KIND(create_monitored_items_request, items_to_create,
                             struct ua_monitored_item_create_request, create_monitored_items_response,
                             struct ua_monitored_item_create_result, monitored),
    [UA_LIST_MODIFY] = KIND(modify_monitored_items_request, items_to_modify,
                            struct ua_monitored_item_modify_request, modify_monitored_items_response,
                            struct ua_monitored_item_modify_result, monitored),
    [UA_LIST_UNMONITOR] = KIND(delete_monitored_items_request, monitored_item_ids, uint32_t,
                               delete_monitored_items_response, ua_status, monitored),
};

struct list_work {
    struct ua_work work; /* first */
    enum ua_list_service service;
    struct timer timer;
    const uint8_t *items;
    uint32_t count, at, asked;
    ua_status bad;
    ua_part_fn part;
    ua_done_fn done;
    void *ctx;
    uint64_t request[40];
};

static void drop(struct ua_work *w)
{
    struct list_work *l = (struct list_work *)(void *)w;
    timer_stop(w->client->loop, &l->timer);
    work_end(w);
    mem_free(l);
}

static uint32_t part_size(const struct list_work *l)
{
    const struct ua_client *c = l->work.client;
    uint32_t limit, most = c->list_most[l->service];
    memcpy(&limit, (const uint8_t *)&c->limits + kinds[l->service].limit, sizeof limit);
    uint32_t n = most ? most : PART_DEFAULT;
    n = limit && limit < n ? limit : n;
    return n < l->count - l->at ? n : l->count - l->at;
}

static void finish(struct list_work *l)
{
    ua_done_fn done = l->done;
    void *ctx = l->ctx;
    ua_status bad = l->bad;
    drop(&l->work);
    done(ctx, bad);
}

static bool over(ua_status s)
{
    switch (ua_code(s)) {
    case UA_BAD_CONNECTION_CLOSED:
    case UA_BAD_SESSION_ID_INVALID:
    case UA_BAD_SESSION_CLOSED:
    case UA_BAD_SESSION_NOT_ACTIVATED:
    case UA_BAD_SERVICE_UNSUPPORTED: return true;
    default: return false;
    }
}

static bool too_many(ua_status s)
{
    s = ua_code(s);
    return s == UA_BAD_TOO_MANY_OPERATIONS || s == UA_BAD_ENCODING_LIMITS_EXCEEDED ||
           s == UA_BAD_RESPONSE_TOO_LARGE || s == UA_BAD_REQUEST_TOO_LARGE ||
           s == UA_BAD_TCP_MESSAGE_TOO_LARGE;
}

static void halve(struct list_work *l, uint32_t n)
{
    l->work.client->list_most[l->service] = n / 2;
    client_lacks(l->work.client, UA_LACK_BATCH);
}

static bool step(struct list_work *l, struct fault *why, enum code *code);

/* These have no results. False: the client is gone, or the work was ended. */
static bool fail_part(struct list_work *l, uint32_t n, ua_status status)
{
    struct ua_client *c = l->work.client;
    uint32_t at = l->at;
    if (!l->bad)
        l->bad = status;
    if (over(status))
        n = l->count - at;
    l->at += n;
    l->part(l->ctx, at, n, NULL, status);
    return !c->dead;
}

static void go_on(struct list_work *l)
{
    struct ua_client *c = l->work.client;
    enum code code;
    while (l->at < l->count) {
        if (step(l, NULL, &code))
            return;
        ua_status status = code == CODE_NOMEM   ? UA_BAD_OUT_OF_MEMORY
                           : code == CODE_LIMIT ? UA_BAD_REQUEST_TOO_LARGE
                                                : UA_BAD_CONNECTION_CLOSED;
        if (!fail_part(l, part_size(l), status))
            return;
    }
    (void)c;
    finish(l);
}

static void answered(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct list_work *l = ctx;
    struct ua_client *c = l->work.client;
    const struct kind *k = &kinds[l->service];
    uint32_t n = l->asked, got = 0;
    const void *results = NULL;
    (void)arena;
    if (too_many(status) && n > 1) {
        halve(l, n);
        go_on(l);
        return;
    }
    if (!status) {
        memcpy(&got, (const uint8_t *)response + k->results_count, sizeof got);
        memcpy(&results, (const uint8_t *)response + k->results, sizeof results);
        if (got != n)
            status = UA_BAD_UNKNOWN_RESPONSE; /* which of them belongs to what? */
    }
    if (status) {
        if (!fail_part(l, n, status))
            return;
    } else {
        uint32_t at = l->at;
        l->at += n;
        l->part(l->ctx, at, n, results, UA_GOOD);
        if (c->dead)
            return;
    }
    go_on(l);
}

static void again(struct timer *t)
{
    struct list_work *l = (struct list_work *)(void *)((char *)t - offsetof(struct list_work, timer));
    struct ua_client *c = l->work.client;
    client_enter(c);
    go_on(l);
    (void)client_leave_call(c);
}

/* Asks for the next part. False: it cannot. */
static bool step(struct list_work *l, struct fault *why, enum code *code)
{
    struct ua_client *c = l->work.client;
    const struct kind *k = &kinds[l->service];
    for (;;) {
        uint32_t n = part_size(l);
        const void *items = l->items + (size_t)l->at * k->item;
        memcpy((uint8_t *)l->request + k->list, &items, sizeof items);
        memcpy((uint8_t *)l->request + k->list_count, &n, sizeof n);
        l->asked = n;
        *code = client_ask(c, k->request, l->request, k->response, 0, answered, l, why);
        if (*code == CODE_AGAIN) {
            timer_start(c->loop, &l->timer, AGAIN_MS, again);
            *code = CODE_OK;
        }
        if (*code != CODE_LIMIT || n <= 1)
            return *code == CODE_OK;
        halve(l, n);
    }
}

enum code ua_ask_list(struct ua_client *c, enum ua_list_service service, const void *request, ua_part_fn part,
                      ua_done_fn done, void *ctx, struct fault *why)
{
    const struct kind *k = &kinds[service];
    struct list_work *l = mem_zalloc(1, sizeof *l);
    enum code code = CODE_OK;
    if (!l)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a list of requests");
    FG_ASSERT(k->request->size <= sizeof l->request);
    l->service = service;
    l->part = part;
    l->done = done;
    l->ctx = ctx;
    memcpy(l->request, request, k->request->size);
    memcpy(&l->items, (const uint8_t *)request + k->list, sizeof l->items);
    memcpy(&l->count, (const uint8_t *)request + k->list_count, sizeof l->count);
    work_begin(c, &l->work, drop);
    if (l->count == 0)
        timer_start(c->loop, &l->timer, 0, again); /* done, but not before we have returned */
    else if (!step(l, why, &code))
        drop(&l->work);
    return code;
}
