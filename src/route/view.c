/* view.c - what is shown of the router: a copy, so that who looks never waits for it. */
#include "route/router_private.h"

#include "message/message.h"

#include <stdio.h>

enum { STALE_US = 200 * 1000 };

static const struct runner *runner_of(const struct router *r, const struct route *route)
{
    for (const struct runner *s = r->runners; s; s = s->next)
        if (s->target == route->target)
            return s;
    return NULL;
}

static void make_route(struct router *r, size_t i)
{
    const struct route *route = &r->table->routes[i];
    const struct runner *s = runner_of(r, route);
    const struct route_counts *n = &r->counts[i];
    struct route_status *st = &r->view.routes[i];
    *st = (struct route_status){.matched = n->matched,
                                .not_matched = n->not_matched,
                                .errors = n->errors,
                                .blocked = r->view.blocked[i]};
    (void)snprintf(r->view.blocked[i], sizeof r->view.blocked[i], "%s", s ? s->blocked.text : "");
    route_table_info(r->table, i, &st->info);
    if (route == r->direct)
        st->matched += came_directly(r, route);
    if (s) {
        st->waiting = consumer_waiting(s->queue);
        st->not_json = s->not_json;
    }
}

/* When the oldest came: its message is looked at once. */
static int64_t oldest(struct view *v, const struct lane *l, uint32_t i)
{
    struct consumer_item item;
    size_t n = 0;
    if (!l->queue || consumer_peek(l->queue, 0, &item, 1) == 0) {
        v->oldest[i] = 0;
        return 0;
    }
    if (v->oldest[i] == item.index + 1)
        return v->oldest_us[i];
    if (consumer_take(l->queue, item.index, &item, 1, &n, NULL) != CODE_OK || !n)
        return 0;
    v->oldest[i] = item.index + 1;
    v->oldest_us[i] = item.message ? item.message->wall_us : 0;
    message_drop(item.message);
    return v->oldest_us[i];
}

static void make_lane(struct router *r, uint32_t i, int64_t oldest_us)
{
    const struct lane *l = &r->lanes[i];
    if (!l->queue)
        return;
    r->view.lanes[r->view.lane_count++] = (struct upstream_status){.priority = l->priority,
                                                                   .messages = consumer_waiting(l->queue),
                                                                   .bytes = consumer_waiting_bytes(l->queue),
                                                                   .oldest_us = oldest_us,
                                                                   .expired = l->expired};
}

void view_make(struct router *r, bool must)
{
    struct view *v = &r->view;
    int64_t now = r->o.io->monotonic_us(r->o.io->self), oldest_us[LANES];
    v->stale = !must && now - v->made_us < STALE_US;
    if (v->stale)
        return;
    for (uint32_t i = 0; i < LANES; i++)
        oldest_us[i] = oldest(v, &r->lanes[i], i); /* may read the disk: not while others wait for the view */
    pthread_mutex_lock(&v->lock);
    v->made_us = now;
    v->route_count = v->lane_count = 0;
    for (size_t i = 0; r->table && i < r->table->count; i++, v->route_count++)
        make_route(r, i);
    for (uint32_t i = 0; i < LANES; i++)
        make_lane(r, i, oldest_us[i]);
    pthread_mutex_unlock(&v->lock);
}

void router_status(struct router *r, void (*route)(void *ctx, const struct route_status *),
                   void (*upstream)(void *ctx, const struct upstream_status *), void *ctx)
{
    if (r->o.manual) {
        pthread_mutex_lock(&r->lock);
        view_make(r, true);
        pthread_mutex_unlock(&r->lock);
    }
    pthread_mutex_lock(&r->view.lock);
    for (size_t i = 0; i < r->view.route_count; i++)
        route(ctx, &r->view.routes[i]);
    for (size_t i = 0; i < r->view.lane_count; i++)
        upstream(ctx, &r->view.lanes[i]);
    pthread_mutex_unlock(&r->view.lock);
}
