/* subscription.c - the life of a subscription: made, lost, made anew; silence. */
#include "uaclient/subscription_private.h"

#include "base/mem.h"

#include <stddef.h>

enum {
    PUBLISHING_MS = 1000,
    KEEP_ALIVE_MS = 10000,
    LIFETIME_MS = 600000,
    SILENT_MS = 5000,
    FIRST_VALUES_US = 15000000,
    AGAIN_MS = 10000,
    REFUSED_MS_MIN = 1000,
    REFUSED_MS_MAX = 10000
};
static const double INTERVAL_MS_MAX = 1e9;

/* ---- life ---- */

enum code ua_subscription_open(struct ua_subscription **out, struct ua_client *c,
                               const struct ua_subscription_options *options,
                               const struct ua_subscription_events *events, void *ctx, struct fault *why)
{
    if (options->publishing_ms < 0 || options->publishing_ms > INTERVAL_MS_MAX ||
        options->keep_alive_ms < 0 || options->lifetime_ms < 0)
        return FAIL(why, CODE_USAGE, 0, "the times of a subscription are 0 to %.0f ms", INTERVAL_MS_MAX);
    struct ua_subscription *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a subscription");
    *s = (struct ua_subscription){
        .client = c, .set = *options, .events = *events, .ctx = ctx, .next = c->subscriptions};
#define DEFAULT(field, value) (s->set.field = s->set.field > 0 ? s->set.field : (value))
    DEFAULT(publishing_ms, PUBLISHING_MS);
    DEFAULT(keep_alive_ms, KEEP_ALIVE_MS);
    DEFAULT(lifetime_ms, LIFETIME_MS);
    DEFAULT(silent_ms, SILENT_MS);
#undef DEFAULT
    if (c->subscriptions)
        c->subscriptions->prev = s;
    c->subscriptions = s;
    sub_wake(s, 0);
    *out = s;
    return CODE_OK;
}

static void bury(struct ua_subscription *s)
{
    if (!s->closed || s->busy || s->requests)
        return;
    items_free(s);
    buf_clear(&s->unacked);
    mem_free(s);
}

bool sub_leave(struct ua_subscription *s)
{
    s->busy--;
    if (!s->closed)
        return true;
    bury(s);
    return false;
}

bool sub_asked(struct ua_subscription *s)
{
    s->requests--;
    if (!s->closed)
        return true;
    bury(s);
    return false;
}

static void unlink_sub(struct ua_subscription *s)
{
    struct ua_client *c = s->client;
    if (s->prev)
        s->prev->next = s->next;
    else
        c->subscriptions = s->next;
    if (s->next)
        s->next->prev = s->prev;
    timer_stop(c->loop, &s->work);
    timer_stop(c->loop, &s->watch);
    order_forget(s);
    s->events = (struct ua_subscription_events){0};
    s->closed = true;
}

static void deleted(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_client *c = ctx;
    (void)response;
    (void)arena;
    if (status && status != UA_BAD_CONNECTION_CLOSED && ua_code(status) != UA_BAD_SUBSCRIPTION_ID_INVALID)
        client_lacks(c, UA_LACK_DELETE);
}

void sub_delete(struct ua_client *c, uint32_t id)
{
    struct ua_delete_subscriptions_request r = {.subscription_ids = &id, .subscription_ids_count = 1};
    if (c->state == UA_CLIENT_UP && id)
        /* If it cannot be asked it runs out by itself. */
        if (client_ask(c, &ua_delete_subscriptions_request_type, &r, &ua_delete_subscriptions_response_type,
                       0, deleted, c, NULL))
            client_lacks(c, UA_LACK_DELETE);
}

void ua_subscription_close(struct ua_subscription *s)
{
    struct ua_client *c = s->client;
    uint32_t id = s->id, kept = s->state == SUB_NONE ? s->kept.id : 0;
    unlink_sub(s);
    sub_delete(c, id);
    if (kept)
        ua_client_discard(c, kept);
    bury(s);
}

void ua_subscription_part(struct ua_subscription *s)
{
    unlink_sub(s);
    bury(s);
}

bool sub_settled(struct ua_subscription *s, bool settled)
{
    if (s->unsettled == !settled)
        return true;
    s->unsettled = !settled;
    sub_enter(s);
    if (s->events.on_items)
        s->events.on_items(s->ctx, s, settled);
    return sub_leave(s);
}

void subscriptions_drop(struct ua_client *c)
{
    while (c->subscriptions) {
        struct ua_subscription *s = c->subscriptions;
        unlink_sub(s);
        s->requests = 0; /* they are forgotten with the client: only calls of the owner hold it */
        bury(s);
    }
}

/* ---- making ---- */

static struct ua_subscription *of_work(struct timer *t)
{
    return (struct ua_subscription *)(void *)((char *)t - offsetof(struct ua_subscription, work));
}

static void on_work(struct timer *t)
{
    struct ua_subscription *s = of_work(t);
    struct ua_client *c = s->client;
    if (c->state != UA_CLIENT_UP || c->set.channel_only)
        return;
    client_enter(c);
    sub_enter(s);
    if (s->state == SUB_NONE && s->kept.id)
        sub_take_over(s);
    else if (s->state == SUB_NONE)
        sub_make(s);
    else if (s->state != SUB_MAKING && items_pump(s) && sub_settled(s, true) && s->state == SUB_FILLING)
        fill_begin(s);
    (void)sub_leave(s);
    (void)client_leave_call(c);
}

void sub_wake(struct ua_subscription *s, int64_t ms)
{
    if (!s->closed && (ms == 0 || !timer_running(&s->work)))
        timer_start(s->client->loop, &s->work, ms, on_work);
}

static bool sane(double ms)
{
    return ms > 0 && ms <= INTERVAL_MS_MAX;
}

void sub_again(struct ua_subscription *s)
{
    double ms = s->publishing_ms * 3 > AGAIN_MS ? s->publishing_ms * 3 : AGAIN_MS;
    s->again_us = loop_now_us(s->client->loop) + (int64_t)(ms * 1000);
}

static void adopt(struct ua_subscription *s, const struct ua_create_subscription_response *r)
{
    struct ua_client *c = s->client;
    bool good = sane(r->revised_publishing_interval) && r->revised_max_keep_alive_count > 0 &&
                r->revised_lifetime_count > 0;
    if (!good)
        client_lacks(c, UA_LACK_REVISED);
    s->id = r->subscription_id;
    s->life++;
    s->publishing_ms = sane(r->revised_publishing_interval) ? r->revised_publishing_interval
                                                            : s->set.publishing_ms;
    s->keep_alive_count = r->revised_max_keep_alive_count
                              ? r->revised_max_keep_alive_count
                              : (uint32_t)((double)s->set.keep_alive_ms / s->publishing_ms) + 1;
    s->lifetime_count = r->revised_lifetime_count;
    s->refusals = 0;
    s->expected = 0;
    s->stale = 0;
    s->arrived = false;
    s->partial = 0;
    s->came_over = false;
    s->unsettled = false;
    s->made_us = loop_now_us(c->loop);
    items_forget_server(s);
    if (s->reason) {
        s->made_anew++;
        c->made_anew++;
    }
    s->state = s->reason ? SUB_FILLING : SUB_LIVE;
    if (s->reason)
        sub_again(s);
    sub_heard(s);
    sub_wake(s, 0);
    publish_wake(c);
}

static void made(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_subscription *s = ctx;
    struct ua_client *c = s->client;
    const struct ua_create_subscription_response *r = response;
    char scratch[16];
    (void)arena;
    if (!sub_asked(s)) {
        if (!status && !c->dead)
            sub_delete(c, r->subscription_id);
        return;
    }
    if (s->state != SUB_MAKING)
        return;
    if (!status && r->subscription_id) {
        adopt(s, r);
        return;
    }
    s->state = SUB_NONE;
    if (status == UA_BAD_CONNECTION_CLOSED)
        return;
    if (!s->refusals)
        client_notice(c, UA_FG_REFUSED, "%s refuses a subscription: %s; we try again", c->set.url,
                      ua_status_text(status ? status : UA_BAD_UNKNOWN_RESPONSE, scratch));
    int64_t ms = REFUSED_MS_MIN << (s->refusals < 4 ? s->refusals : 4);
    s->refusals++;
    sub_wake(s, ms < REFUSED_MS_MAX ? ms : REFUSED_MS_MAX);
}

static uint32_t periods(int64_t ms, double interval_ms)
{
    double n = (double)ms / interval_ms;
    return n < 1 ? 1 : n > 1e6 ? 1000000 : (uint32_t)n;
}

void sub_make(struct ua_subscription *s)
{
    uint32_t keep_alive = periods(s->set.keep_alive_ms, s->set.publishing_ms);
    uint32_t lifetime = periods(s->set.lifetime_ms, s->set.publishing_ms);
    struct ua_create_subscription_request r = {
        .requested_publishing_interval = s->set.publishing_ms,
        .requested_lifetime_count = lifetime < 3 * keep_alive ? 3 * keep_alive : lifetime,
        .requested_max_keep_alive_count = keep_alive,
        .max_notifications_per_publish = s->set.message_values,
        .publishing_enabled = true, /* SetPublishingMode is not in every server */
        .priority = s->set.priority,
    };
    s->state = SUB_MAKING;
    sub_ask(s);
    if (client_ask(s->client, &ua_create_subscription_request_type, &r, &ua_create_subscription_response_type,
                   0, made, s, NULL) == CODE_OK)
        return;
    s->state = SUB_NONE;
    sub_wake(s, REFUSED_MS_MIN);
    (void)sub_asked(s);
}

/* ---- losing ---- */

void sub_gone(struct ua_subscription *s, const char *reason, bool there)
{
    struct ua_client *c = s->client;
    if (s->state == SUB_NONE || s->state == SUB_MAKING)
        return;
    uint32_t id = s->id;
    bool filling = s->state == SUB_FILLING;
    sub_enter(s);
    s->missing_end = 0;
    s->state = SUB_LIVE;
    if (filling)
        order_forget(s); /* history will have them, or they come again */
    else
        order_drain(s); /* what was received and waits for what will not come any more */
    if (!s->closed && !c->dead) {
        if (!filling) {
            s->lost_id = id;
            s->silent_us = loop_now_us(c->loop) - s->heard_us;
            s->gap_from = s->heard_time;
        }
        s->reason = reason;
        s->fill_us = 0;
        s->state = SUB_NONE;
        s->id = 0;
        s->expected = 0;
        timer_stop(c->loop, &s->watch);
        buf_reset(&s->unacked);
        if (there)
            sub_delete(c, id);
        /* One that is lost as soon as it is made is not made without pause. */
        sub_wake(s, loop_now_us(c->loop) - s->made_us < 1000000 ? REFUSED_MS_MIN : 0);
    }
    (void)sub_leave(s);
}

static bool has_values(const struct ua_subscription *s)
{
    for (uint32_t i = 0; i < s->cap; i++) {
        const struct sub_item *item = s->items[i];
        if (item && item->state == ITEM_MADE && item->watch.mode == UA_MONITOR_REPORTING &&
            item->watch.attribute != UA_ATTR_EVENT_NOTIFIER)
            return true;
    }
    return false;
}

void sub_doubt(struct ua_subscription *s)
{
    if (s->arrived || s->doubted || s->state != SUB_LIVE ||
        loop_now_us(s->client->loop) - s->made_us < FIRST_VALUES_US || !has_values(s))
        return;
    s->doubted = true; /* once: some servers have nothing to say */
    sub_gone(s, "the first values of its nodes do not come", true);
}

void subscriptions_down(struct ua_client *c)
{
    c->publishing.parked = 0;
    timer_stop(c->loop, &c->publishing.pause);
    c->publishing.pausing = false;
    for (struct ua_subscription *s = c->subscriptions; s; s = s->next) {
        timer_stop(c->loop, &s->watch);
        timer_stop(c->loop, &s->work);
        if (s->state == SUB_MAKING)
            s->state = SUB_NONE;
    }
}

/* Whether an item was being made when the connection ended: perhaps it is there twice then, perhaps not at all. */
static bool in_doubt(const struct ua_subscription *s)
{
    for (uint32_t i = 0; i < s->cap; i++)
        if (s->items[i] && (s->items[i]->state == ITEM_MAKING || s->items[i]->state == ITEM_CHANGING))
            return true;
    return false;
}

void sub_resume(struct ua_subscription *s)
{
    if (s->state == SUB_FILLING || in_doubt(s)) {
        sub_gone(s, "its items were being made when the connection ended", true);
        return;
    }
    sub_heard(s);
    sub_again(s);
    s->missing_end = 0;
    s->asked_for = 0;
    if (!s->expected)
        s->expected = 1; /* the first one may have been lost on the way */
    s->state = SUB_ASKING;
    order_ask(s);
    sub_wake(s, 0);
}

static void transferred(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_client *c = ctx;
    const struct ua_transfer_subscriptions_response *r = response;
    uint32_t i = 0;
    (void)arena;
    if (status == UA_BAD_CONNECTION_CLOSED)
        return;
    if (status)
        client_lacks(c, UA_LACK_TRANSFER);
    struct ua_subscription *next;
    for (struct ua_subscription *s = c->subscriptions; s && !c->dead; s = next) {
        next = s->next;
        if (!s->id || s->state == SUB_MAKING || s->state == SUB_NONE)
            continue;
        bool good = !status && i < r->results_count && !ua_is_bad(r->results[i].status_code);
        i++;
        s->came_over = good;
        if (good)
            sub_resume(s);
        else
            sub_gone(s, "gone on the server since its restart, or not given to a new session", false);
    }
    if (!c->dead)
        publish_pump(c);
}

/* Not asked for: initial values. What the server has in its queues and what Republish gives is everything, and once. */
static bool transfer(struct ua_client *c)
{
    enum { IDS = 1000 };
    uint32_t ids[IDS], n = 0;
    for (struct ua_subscription *s = c->subscriptions; s && n < IDS; s = s->next)
        if (s->id && s->state != SUB_MAKING && s->state != SUB_NONE)
            ids[n++] = s->id;
    struct ua_transfer_subscriptions_request r = {.subscription_ids = ids, .subscription_ids_count = n};
    return n == 0 || client_ask(c, &ua_transfer_subscriptions_request_type, &r,
                                &ua_transfer_subscriptions_response_type, 0, transferred, c, NULL) == CODE_OK;
}

void subscriptions_up(struct ua_client *c, bool same)
{
    struct ua_subscription *next;
    for (struct ua_subscription *s = c->subscriptions; s && !c->dead; s = next) {
        next = s->next;
        if (s->state == SUB_NONE)
            sub_wake(s, 0);
        else if (same && s->id && s->state != SUB_MAKING)
            sub_resume(s);
    }
    if (c->dead || c->state != UA_CLIENT_UP)
        return;
    if (same)
        publish_pump(c);
    else if (!transfer(c))
        transferred(c, UA_BAD_OUT_OF_MEMORY, NULL, NULL);
}

/* ---- silence ---- */

static void on_watch(struct timer *);

static int64_t promise_us(const struct ua_subscription *s)
{
    double ms = s->publishing_ms * ((double)s->keep_alive_count + 1) * 1.5 + 500;
    double most = (double)s->set.silent_ms;
    ms = ms > most ? ms : most;
    return (int64_t)((ms > INTERVAL_MS_MAX ? INTERVAL_MS_MAX : ms) * 1000);
}

void sub_heard(struct ua_subscription *s)
{
    s->heard_us = loop_now_us(s->client->loop);
    if (!timer_running(&s->watch))
        timer_start(s->client->loop, &s->watch, promise_us(s) / 1000 + 10, on_watch);
}

static void checked(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_subscription *s = ctx;
    struct ua_client *c = s->client;
    struct fault why = {0};
    (void)response;
    (void)arena;
    s->checking = false;
    if (!sub_asked(s) || status == UA_BAD_CONNECTION_CLOSED || c->state != UA_CLIENT_UP)
        return;
    if (loop_now_us(c->loop) - s->heard_us < promise_us(s)) { /* it has spoken meanwhile */
        sub_heard(s);
        return;
    }
    if (status == UA_BAD_TIMEOUT) {
        (void)FAIL_FG(&why, CODE_CLOSED, UA_FG_SILENT,
                      "%s is silent: neither subscription %u nor a Read is answered", c->set.url, s->id);
        client_fail(c, &why);
        return;
    }
    sub_gone(s, "it sends neither values nor keep-alives", true);
}

static void on_watch(struct timer *t)
{
    struct ua_subscription *s = (struct ua_subscription *)(void *)((char *)t -
                                                                   offsetof(struct ua_subscription, watch));
    struct ua_client *c = s->client;
    if (c->publishing.on_hold)
        s->heard_us = loop_now_us(c->loop); /* it is not asked */
    int64_t left = promise_us(s) - (loop_now_us(c->loop) - s->heard_us);
    if (c->state != UA_CLIENT_UP || s->state == SUB_NONE || s->state == SUB_MAKING)
        return;
    if (left > 0 || s->checking || s->state == SUB_FILLING) {
        timer_start(c->loop, &s->watch, left > 0 ? left / 1000 + 10 : s->set.silent_ms, on_watch);
        return;
    }
    struct ua_read_value_id node = {.node_id = UA_NS0(UA_ID_SERVER_SERVER_STATUS_STATE),
                                    .attribute_id = UA_ATTR_VALUE};
    struct ua_read_request r = {
        .timestamps_to_return = UA_TIMES_NEITHER, .nodes_to_read = &node, .nodes_to_read_count = 1};
    sub_ask(s);
    s->checking = client_ask(c, &ua_read_request_type, &r, &ua_read_response_type, 0, checked, s, NULL) ==
                  CODE_OK;
    timer_start(c->loop, &s->watch, s->set.silent_ms, on_watch);
    if (!s->checking)
        (void)sub_asked(s);
}

/* ---- a look ---- */

unsigned sub_good_items(const struct ua_subscription *s)
{
    unsigned n = 0;
    for (uint32_t i = 0; i < s->cap; i++)
        n += s->items[i] && !s->items[i]->removed && s->items[i]->state >= ITEM_MADE &&
             s->items[i]->state <= ITEM_CHANGING;
    return n;
}

void ua_subscription_look(const struct ua_subscription *s, struct ua_subscription_look *l)
{
    *l = (struct ua_subscription_look){
        .id = s->id,
        .publishing_ms = s->publishing_ms,
        .keep_alive_count = s->keep_alive_count,
        .lifetime_count = s->lifetime_count,
        .items = s->count,
        .good = sub_good_items(s),
        .messages = s->messages,
        .values = s->values,
        .events = s->occurrences,
        .keep_alives = s->keep_alives,
        .republished = s->republished,
        .lost_messages = s->lost_messages,
        .duplicates = s->duplicates,
        .unknown_handles = s->unknown_handles,
        .made_anew = s->made_anew,
        .overflows = s->overflows,
        .unacknowledged = (unsigned)(buf_size(&s->unacked) / 4),
        .heard_us = s->heard_us,
    };
}

void ua_client_look(const struct ua_client *c, struct ua_client_look *l)
{
    bool open = c->channel && ua_channel_policy(c->channel);
    *l = (struct ua_client_look){
        .state = c->state,
        .since_us = c->since_us,
        .url = c->set.url,
        .policy = open ? ua_channel_policy(c->channel)->name : NULL,
        .mode = open ? (enum ua_message_security_mode)ua_channel_mode(c->channel) : UA_MODE_INVALID,
        .unsafe = c->unsafe,
        .product = c->product,
        .server_uri = c->server_uri,
        .limits = c->limits,
        .clock_us = c->clock_us,
        .lacks = c->lacks,
        .namespaces = c->namespace_count,
        .waiting = c->pending_count,
        .connects = c->connects,
        .sessions = c->sessions,
        .renewals = c->renewals,
        .messages = c->messages,
        .values = c->values,
        .events = c->occurrences,
        .keep_alives = c->keep_alives,
        .republished = c->republished,
        .lost_messages = c->lost_messages,
        .duplicates = c->duplicates,
        .overflows = c->overflows,
        .made_anew = c->made_anew,
        .unasked = c->unasked,
        .bytes_in = c->bytes_in,
        .bytes_out = c->bytes_out,
        .last = c->last,
    };
    for (const struct ua_subscription *s = c->subscriptions; s; s = s->next) {
        l->subscriptions++;
        l->items += s->count;
        l->good_items += sub_good_items(s);
    }
}
