/* Subscriptions: their life and their cycle (Part 4, 5.13.1 to 5.13.4).
 *
 * The cycle's timer goes off every publishing interval: items that are looked at in it are, then
 *
 *   something to report, or nothing was ever sent ───► late ──► a request that waits is answered, or the next one that comes
 *   nothing for keep_alive cycles ───────────────────► late ──► with an empty message
 *   no request waits, lifetime cycles in a row ──────► it ends; its session, if it is there, is told
 */
#include "uaserver/subscription.h"

#include "base/log.h"
#include "base/mem.h"

#include <math.h>

enum { INTERVAL_MS_MAX = 24 * 3600 * 1000, KEEP_ALIVE_DEFAULT = 10, KEEP_ALIVE_MS_MAX = 3600 * 1000, LIFETIME_MS_MAX = 24 * 3600 * 1000 };

/* ---- the parts that server and session keep ---- */

struct uas_subscriptions *uas_subscriptions_of(struct ua_server *s)
{
    if (!s->subs)
        s->subs = mem_zalloc(1, sizeof(struct uas_subscriptions));
    return s->subs;
}

struct uas_subscriber *uas_subscriber_of(struct uas_session *s)
{
    if (s->subs)
        return s->subs;
    struct uas_subscriber *p = mem_zalloc(1, sizeof *p);
    if (p)
        p->parked = mem_zalloc(s->server->limits.publish_requests, sizeof *p->parked);
    if (!p || !p->parked) {
        mem_free(p);
        return NULL;
    }
    s->subs = p;
    return p;
}

struct uas_subscription *uas_subscription_of(struct uas_session *session, uint32_t id)
{
    struct uas_subscriber *p = session->subs;
    struct uas_subscription *s = p ? p->subscriptions : NULL;
    while (s && s->id != id)
        s = s->next_of_session;
    return s;
}

void uas_touch(struct uas_subscription *s)
{
    s->alone = 0;
}

void uas_join(struct uas_subscription *s, struct uas_session *session)
{
    struct uas_subscriber *p = session->subs;
    struct uas_subscription **at = &p->subscriptions;
    while (*at)
        at = &(*at)->next_of_session;
    *at = s;
    s->next_of_session = NULL;
    s->session = session;
    p->count++;
}

void uas_leave(struct uas_subscription *s)
{
    struct uas_subscriber *p = s->session->subs;
    struct uas_subscription **at = &p->subscriptions;
    while (*at != s)
        at = &(*at)->next_of_session;
    *at = s->next_of_session;
    s->next_of_session = NULL;
    s->session = NULL;
    p->count--;
}

/* ---- its end ---- */

void uas_subscription_free(struct uas_subscription *s)
{
    struct uas_subscriptions *all = s->server->subs;
    if (s->session)
        uas_leave(s);
    else
        all->orphans--;
    timer_stop(s->server->loop, &s->timer);
    for (uint32_t i = 0; i < s->item_count; i++)
        uas_item_free(s->items[i]);
    uas_forget_all(s);
    if (s->prev)
        s->prev->next = s->next;
    else
        all->all = s->next;
    if (s->next)
        s->next->prev = s->prev;
    uas_sub(&uas_counters.subscriptions, 1);
    mem_free(s->items);
    mem_free(s->retained);
    mem_free(s);
}

/* A session without subscriptions has nothing to wait for. */
static void none_left(struct uas_session *session)
{
    struct uas_subscriber *p = session->subs;
    if (!p->count && !p->farewell_count)
        uas_answer_parked(session, UA_BAD_NO_SUBSCRIPTION);
}

static void die(struct uas_subscription *s)
{
    struct uas_session *session = s->session;
    uint32_t id = s->id, sequence = s->sequence;
    uas_subscription_free(s);
    if (session) {
        uas_farewell(session, id, sequence, UA_BAD_TIMEOUT);
        none_left(session);
    }
}

/* ---- the cycle ---- */

static void cycle(struct timer *t);

static void arm(struct uas_subscription *s)
{
    int64_t now = loop_now_us(s->server->loop), step = (int64_t)(s->interval_ms * 1000);
    s->due_us += step;
    if (s->due_us <= now)
        s->due_us = now + step; /* cycles that were missed are missed */
    timer_start(s->server->loop, &s->timer, (s->due_us - now) / 1000, cycle);
}

static void want(struct uas_subscription *s)
{
    if (!s->late)
        s->late_us = loop_now_us(s->server->loop);
    s->late = true;
}

static void cycle(struct timer *t)
{
    struct uas_subscription *s = (struct uas_subscription *)(void *)((char *)t - offsetof(struct uas_subscription, timer));
    const struct uas_subscriber *p = s->session ? s->session->subs : NULL;
    arm(s);
    uas_sample_all(&s->cycle);
    if ((!p || !p->parked_count) && ++s->alone >= s->lifetime) {
        die(s);
        return;
    }
    if (uas_has_news(s) || !s->sent || ++s->quiet >= s->keep_alive)
        want(s);
    if (s->late && s->session)
        uas_serve_late(s->session);
}

/* ---- what a client may ask for ---- */

static double revise_interval(const struct ua_server *s, double asked)
{
    double least = s->limits.publishing_ms_min;
    double ms = !(asked > least) ? least : asked > INTERVAL_MS_MAX ? INTERVAL_MS_MAX : asked; /* NaN: the least */
    return ceil(ms / UAS_TICK_MS) * UAS_TICK_MS;
}

static uint32_t at_most(uint32_t n, double most)
{
    return n > most ? (most < 1 ? 1 : (uint32_t)most) : n;
}

/* lifetime >= 3 * keep-alive [Part 4, 5.13.2.2] */
static void revise(struct uas_subscription *s, double interval, uint32_t lifetime, uint32_t keep_alive)
{
    s->interval_ms = s->cycle.interval_ms = revise_interval(s->server, interval);
    s->keep_alive = at_most(keep_alive ? keep_alive : KEEP_ALIVE_DEFAULT, KEEP_ALIVE_MS_MAX / s->interval_ms);
    s->lifetime = at_most(lifetime, LIFETIME_MS_MAX / s->interval_ms);
    if (s->lifetime < 3 * s->keep_alive)
        s->lifetime = 3 * s->keep_alive;
}

/* ---- the services ---- */

static struct uas_subscription *make(struct uas_request *r)
{
    struct uas_subscriptions *all = r->server->subs;
    struct uas_subscription *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->retained_max = 2 * r->server->limits.publish_requests; /* [Part 4, 5.13.1.1] */
    s->retained = mem_zalloc(s->retained_max, sizeof(struct uas_message *));
    if (!s->retained) {
        mem_free(s);
        return NULL;
    }
    s->server = s->cycle.server = r->server;
    s->user = r->session->user;
    if (++all->last_id == 0)
        all->last_id = 1;
    s->id = all->last_id;
    s->sequence = 1;
    s->data.end = &s->data.first;
    s->events.end = &s->events.first;
    s->next = all->all;
    if (s->next)
        s->next->prev = s;
    all->all = s;
    UAS_COUNT(subscriptions);
    return s;
}

void uas_create_subscription(struct uas_request *r)
{
    struct ua_create_subscription_request ask;
    if (!uas_read(r, &ua_create_subscription_request_type, &ask))
        return;
    struct uas_subscriber *p = uas_subscriber_of(r->session);
    if (!p || !uas_subscriptions_of(r->server)) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    if (p->count >= r->server->limits.subscriptions) {
        log_warn("opcua", "FG3322 session %s has %u subscriptions, that is all a session may have; items can share one",
                 r->session->name, p->count);
        uas_fault(r, UA_BAD_TOO_MANY_SUBSCRIPTIONS);
        return;
    }
    struct uas_subscription *s = make(r);
    if (!s) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    revise(s, ask.requested_publishing_interval, ask.requested_lifetime_count, ask.requested_max_keep_alive_count);
    s->most = ask.max_notifications_per_publish;
    s->enabled = ask.publishing_enabled;
    s->priority = ask.priority;
    uas_join(s, r->session);
    s->due_us = loop_now_us(r->server->loop);
    arm(s);
    struct ua_create_subscription_response answer = { .subscription_id = s->id, .revised_publishing_interval = s->interval_ms,
                                                      .revised_lifetime_count = s->lifetime,
                                                      .revised_max_keep_alive_count = s->keep_alive };
    uas_answer(r, &ua_create_subscription_response_type, &answer);
}

/* Items that were looked at in the cycle keep their interval; they may need another sampler for it, and others may not. */
static void resample(struct uas_subscription *s)
{
    for (uint32_t i = 0; i < s->item_count; i++) {
        struct uas_item *item = s->items[i];
        if (!item->sampler)
            continue;
        uas_watch_stop(item);
        if (!uas_watch_start(item)) { /* without memory for a sampler: in the cycle */
            item->sampling_ms = s->interval_ms;
            bool placed = uas_watch_start(item);
            FG_ASSERT(placed);
        }
    }
}

void uas_modify_subscription(struct uas_request *r)
{
    struct ua_modify_subscription_request ask;
    if (!uas_read(r, &ua_modify_subscription_request_type, &ask))
        return;
    struct uas_subscription *s = uas_subscription_of(r->session, ask.subscription_id);
    if (!s) {
        uas_fault(r, UA_BAD_SUBSCRIPTION_ID_INVALID);
        return;
    }
    double before = s->interval_ms;
    revise(s, ask.requested_publishing_interval, ask.requested_lifetime_count, ask.requested_max_keep_alive_count);
    s->most = ask.max_notifications_per_publish;
    s->priority = ask.priority;
    s->quiet = 0;
    uas_touch(s);
    if (s->interval_ms != before) {
        resample(s);
        s->due_us = loop_now_us(r->server->loop);
        arm(s);
    }
    struct ua_modify_subscription_response answer = { .revised_publishing_interval = s->interval_ms,
                                                      .revised_lifetime_count = s->lifetime,
                                                      .revised_max_keep_alive_count = s->keep_alive };
    uas_answer(r, &ua_modify_subscription_response_type, &answer);
}

void uas_set_publishing_mode(struct uas_request *r)
{
    struct ua_set_publishing_mode_request ask;
    if (!uas_read(r, &ua_set_publishing_mode_request_type, &ask) || !uas_count(r, ask.subscription_ids_count))
        return;
    ua_status *results = arena_zero(r->arena, ask.subscription_ids_count * sizeof *results);
    for (uint32_t i = 0; results && i < ask.subscription_ids_count; i++) {
        struct uas_subscription *s = uas_subscription_of(r->session, ask.subscription_ids[i]);
        if (s) {
            uas_touch(s);
            s->enabled = ask.publishing_enabled;
        }
        results[i] = s ? UA_GOOD : UA_BAD_SUBSCRIPTION_ID_INVALID;
    }
    if (!results) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    struct ua_set_publishing_mode_response answer = { .results = results, .results_count = ask.subscription_ids_count };
    uas_answer(r, &ua_set_publishing_mode_response_type, &answer);
}

void uas_delete_subscriptions(struct uas_request *r)
{
    struct ua_delete_subscriptions_request ask;
    if (!uas_read(r, &ua_delete_subscriptions_request_type, &ask) || !uas_count(r, ask.subscription_ids_count))
        return;
    ua_status *results = arena_zero(r->arena, ask.subscription_ids_count * sizeof *results);
    if (!results) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < ask.subscription_ids_count; i++) {
        struct uas_subscription *s = uas_subscription_of(r->session, ask.subscription_ids[i]);
        results[i] = s ? UA_GOOD : UA_BAD_SUBSCRIPTION_ID_INVALID;
        if (s)
            uas_subscription_free(s);
    }
    struct ua_delete_subscriptions_response answer = { .results = results, .results_count = ask.subscription_ids_count };
    uas_answer(r, &ua_delete_subscriptions_response_type, &answer);
    if (r->session->subs)
        none_left(r->session);
}
