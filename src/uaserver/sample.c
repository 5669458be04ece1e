/* Items that look at a value from time to time, and those that are told.
 *
 *   sampling interval 0, a value that is set       the space tells at each set (exception based)
 *   the interval of the subscription's cycle       looked at when the cycle's timer goes off, just before the message is made
 *   any other                                      a sampler for each interval, shared by all items of the server
 */
#include "uaserver/subscription.h"

#include "base/mem.h"

#include <math.h>

enum { SAMPLING_MS_MAX = 24 * 3600 * 1000 };

static bool is_fed(const struct ua_node *n, uint32_t attribute)
{
    const struct ua_variable *v = ua_as_variable((struct ua_node *)(uintptr_t)n);
    return v && attribute == UA_ATTR_VALUE && !(v->ops && v->ops->read);
}

double uas_revise_sampling(const struct uas_subscription *sub, const struct ua_node *n, uint32_t attribute, double asked)
{
    if (attribute == UA_ATTR_EVENT_NOTIFIER)
        return 0;
    const struct ua_variable *v = ua_as_variable((struct ua_node *)(uintptr_t)n);
    double least = attribute == UA_ATTR_VALUE && v ? v->sampling_ms : 0;
    if (!(asked >= 0)) /* NaN as well */
        asked = sub->interval_ms;
    if (asked == 0 && least <= 0 && is_fed(n, attribute))
        return 0;
    if (least < sub->server->limits.sampling_ms_min)
        least = sub->server->limits.sampling_ms_min;
    double ms = asked < least ? least : asked > SAMPLING_MS_MAX ? SAMPLING_MS_MAX : asked;
    return ceil(ms / UAS_TICK_MS) * UAS_TICK_MS;
}

void uas_look(struct uas_item *i, struct ua_value *out)
{
    if (i->watch.node)
        ua_read_attribute(i->sub->server->space, uas_user_of(i->sub), i->watch.node, i->attribute, i->range, out);
    else
        *out = (struct ua_value){ .status = UA_BAD_NODE_ID_UNKNOWN };
}

/* ---- told ---- */

static void changed(struct ua_watcher *w, const struct ua_value *v)
{
    struct uas_item *i = (struct uas_item *)(void *)w;
    if (!i->range) {
        uas_offer(i, v);
        return;
    }
    struct ua_value part;
    uas_look(i, &part);
    uas_offer(i, &part);
    ua_value_drop(&part);
}

static void gone(struct ua_watcher *w)
{
    struct uas_item *i = (struct uas_item *)(void *)w;
    const struct ua_value nothing = { .status = UA_BAD_NODE_ID_UNKNOWN, .server_time = ua_space_now(i->sub->server->space) };
    uas_watch_stop(i);
    if (!i->events)
        uas_offer(i, &nothing);
}

/* ---- looking ---- */

static void sample(struct uas_item *i)
{
    if (!i->watch.node)
        return;
    if (is_fed(i->watch.node, i->attribute)) {
        const struct ua_variable *v = ua_as_variable(i->watch.node);
        if (i->changes == v->changes && i->known)
            return;
        i->changes = v->changes;
        if (!i->range) {
            uas_offer(i, &v->value);
            return;
        }
    }
    struct ua_value now;
    uas_look(i, &now);
    uas_offer(i, &now);
    ua_value_drop(&now);
}

void uas_sample_all(struct uas_sampler *s)
{
    for (struct uas_item *i = s->items; i; i = i->next_sampled)
        sample(i);
}

static void arm(struct uas_sampler *s, void (*fire)(struct timer *))
{
    int64_t now = loop_now_us(s->server->loop), step = (int64_t)(s->interval_ms * 1000);
    s->due_us += step;
    if (s->due_us <= now)
        s->due_us = now + step; /* what was missed is missed */
    timer_start(s->server->loop, &s->timer, (s->due_us - now) / 1000, fire);
}

static void fire(struct timer *t)
{
    struct uas_sampler *s = (struct uas_sampler *)(void *)((char *)t - offsetof(struct uas_sampler, timer));
    uas_sample_all(s);
    arm(s, fire);
}

static struct uas_sampler *sampler_of(struct uas_item *i)
{
    struct ua_server *server = i->sub->server;
    struct uas_subscriptions *all = server->subs;
    if (i->sampling_ms == i->sub->interval_ms)
        return &i->sub->cycle;
    for (struct uas_sampler *s = all->samplers; s; s = s->next)
        if (s->interval_ms == i->sampling_ms)
            return s;
    struct uas_sampler *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->server = server;
    s->interval_ms = i->sampling_ms;
    s->due_us = loop_now_us(server->loop);
    s->next = all->samplers;
    all->samplers = s;
    arm(s, fire);
    return s;
}

static void leave_sampler(struct uas_item *i)
{
    struct uas_sampler *s = i->sampler;
    *i->sampled_link = i->next_sampled;
    if (i->next_sampled)
        i->next_sampled->sampled_link = i->sampled_link;
    i->sampler = NULL;
    struct uas_subscriptions *all = i->sub->server->subs;
    if (s->items || s == &i->sub->cycle || s == &all->listeners)
        return;
    struct uas_sampler **at = &all->samplers;
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    timer_stop(s->server->loop, &s->timer);
    mem_free(s);
}

static void join_sampler(struct uas_item *i, struct uas_sampler *s)
{
    i->sampler = s;
    i->next_sampled = s->items;
    i->sampled_link = &s->items;
    if (i->next_sampled)
        i->next_sampled->sampled_link = &i->next_sampled;
    s->items = i;
}

/* The watch has a node; it is put into the right list of it. */
bool uas_watch_start(struct uas_item *i)
{
    struct ua_node *n = i->watch.node;
    if (!n || i->mode == UA_MONITOR_DISABLED)
        return true;
    if (i->events) {
        join_sampler(i, &((struct uas_subscriptions *)i->sub->server->subs)->listeners);
        return true;
    }
    if (i->sampling_ms > 0) {
        struct uas_sampler *s = sampler_of(i);
        if (!s)
            return false;
        join_sampler(i, s);
        return true;
    }
    ua_unwatch(&i->watch);
    ua_watch_fed(&i->watch, ua_as_variable(n));
    return true;
}

/* It is still told when the node goes. */
void uas_watch_stop(struct uas_item *i)
{
    if (i->sampler)
        leave_sampler(i);
    struct ua_node *n = i->watch.node;
    i->watch.changed = changed;
    i->watch.gone = gone;
    if (n) {
        ua_unwatch(&i->watch);
        ua_watch_node(&i->watch, n);
    }
}
