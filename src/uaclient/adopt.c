/* adopt.c - a subscription of an earlier life of the program: taken over, or made anew [Part 4, 5.13.7]. */
#include "uaclient/subscription_private.h"

#include <math.h>

uint64_t ua_value_print(const struct ua_data_value *v)
{
    return sub_print(v);
}

enum code ua_subscription_adopt(struct ua_subscription *s, const struct ua_kept *kept,
                                const struct ua_kept_item *items, const struct ua_watch *watches,
                                size_t count, struct fault *why)
{
    if (s->count || s->life || s->state != SUB_NONE)
        return FAIL(why, CODE_USAGE, 0, "only a subscription that was just opened is taken over");
    enum code code = items_adopt(s, items, watches, count, why);
    if (code)
        return code;
    s->kept = *kept;
    s->gap_from = kept->heard;
    s->reason = "of before a restart of this program, and not to be taken over";
    return CODE_OK;
}

static void lost(struct ua_subscription *s)
{
    ua_time now = client_server_time(s->client);
    s->lost_id = s->kept.id;
    s->silent_us = s->gap_from && now > s->gap_from ? (now - s->gap_from) / 10 : 0;
    s->kept.id = 0;
    s->state = SUB_NONE;
    sub_wake(s, 0);
}

/* What the server holds for us although it is safe: it was killed before it could say so. */
static void acknowledge_old(struct ua_subscription *s, const struct ua_transfer_result *r)
{
    for (uint32_t i = 0; i < r->available_sequence_numbers_count && s->kept.expected; i++) {
        uint32_t behind = s->kept.expected - r->available_sequence_numbers[i];
        if (behind && behind < INT32_MAX)
            sub_ack(s, r->available_sequence_numbers[i]);
    }
}

static void take(struct ua_subscription *s, const struct ua_transfer_result *r)
{
    struct ua_client *c = s->client;
    const struct ua_kept *k = &s->kept;
    s->id = k->id;
    s->life++;
    bool sane = isfinite(k->publishing_ms) && k->publishing_ms > 0;
    s->publishing_ms = sane ? k->publishing_ms : s->set.publishing_ms;
    s->keep_alive_count = k->keep_alive_count ? k->keep_alive_count : 1;
    s->lifetime_count = k->lifetime_count;
    s->heard_time = k->heard;
    s->expected = k->expected;
    s->partial = k->expected;
    s->partial_values = k->given;
    s->arrived = true; /* it may well be that nothing has changed: that is no doubt */
    s->made_us = loop_now_us(c->loop);
    s->reason = NULL;
    s->came_over = true;
    acknowledge_old(s, r);
    s->kept.id = 0;
    sub_enter(s);
    s->state = SUB_LIVE;
    if (items_taken(s) && !c->dead && s->state == SUB_LIVE)
        sub_resume(s);
    if (sub_leave(s) && !c->dead)
        publish_wake(c);
}

static void transferred(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_subscription *s = ctx;
    struct ua_client *c = s->client;
    const struct ua_transfer_subscriptions_response *r = response;
    uint32_t id = s->kept.id;
    (void)arena;
    bool good = !status && r->results_count && !ua_is_bad(r->results[0].status_code);
    if (!sub_asked(s)) {
        if (good && !c->dead)
            sub_delete(c, id);
        return;
    }
    if (status == UA_BAD_CONNECTION_CLOSED || s->state != SUB_MAKING)
        return; /* tried again when it is up */
    if (status && ua_code(status) == UA_BAD_SERVICE_UNSUPPORTED)
        client_lacks(c, UA_LACK_TRANSFER);
    if (good)
        take(s, &r->results[0]);
    else
        lost(s);
}

void sub_take_over(struct ua_subscription *s)
{
    struct ua_transfer_subscriptions_request r = {.subscription_ids = &s->kept.id,
                                                  .subscription_ids_count = 1};
    s->state = SUB_MAKING;
    sub_ask(s);
    if (client_ask(s->client, &ua_transfer_subscriptions_request_type, &r,
                   &ua_transfer_subscriptions_response_type, 0, transferred, s, NULL) == CODE_OK)
        return;
    s->requests--;
    lost(s);
}

/* ---- those that nobody wants any more ---- */

static void discarded(struct ua_pending *p, ua_status status, struct bytes body)
{
    (void)body;
    if (!status && !p->client->dead)
        sub_delete(p->client, (uint32_t)(uintptr_t)p->ctx);
}

/* Only its own session may delete it, so it is taken over first. */
void ua_client_discard(struct ua_client *c, uint32_t id)
{
    struct ua_transfer_subscriptions_request r = {.subscription_ids = &id, .subscription_ids_count = 1};
    if (c->state != UA_CLIENT_UP ||
        client_ask_raw(c, &ua_transfer_subscriptions_request_type, &r, c->set.request_ms, discarded, NULL,
                       (void *)(uintptr_t)id, NULL, NULL) != CODE_OK)
        client_lacks(c, UA_LACK_DELETE); /* it runs out by itself */
}
