/* Values are set, and whoever watches is told. */
#include "uaserver/history.h"
#include "uaserver/space_private.h"

static void tell(struct ua_variable *v)
{
    v->changes++;
    for (struct ua_watcher *w = v->fed; w; w = w->next)
        w->changed(w, &v->value);
    if (v->history)
        ua_history_add(v->history, &v->value);
}

bool ua_set_value(struct ua_space *s, struct ua_variable *v, const struct ua_data_value *d)
{
    if (d->has & UA_HAS_VALUE) {
        if (!ua_value_set(&v->value, &d->value))
            return false;
    } else {
        ua_value_drop(&v->value);
    }
    v->value.status = d->has & UA_HAS_STATUS ? d->status : UA_GOOD;
    v->value.server_time = d->has & UA_HAS_SERVER_TIME ? d->server_time : ua_space_now(s);
    v->value.source_time = d->has & UA_HAS_SOURCE_TIME ? d->source_time : v->value.server_time;
    tell(v);
    return true;
}

void ua_set_status(struct ua_space *s, struct ua_variable *v, ua_status status, ua_time source_time)
{
    if (ua_is_bad(status))
        ua_value_drop(&v->value);
    v->value.status = status;
    v->value.server_time = ua_space_now(s);
    v->value.source_time = source_time ? source_time : v->value.server_time;
    tell(v);
}

/* ---- watches ---- */

static void link_watch(struct ua_watcher *w, struct ua_node *n, struct ua_watcher **head)
{
    w->node = n;
    w->next = *head;
    w->link = head;
    if (w->next)
        w->next->link = &w->next;
    *head = w;
}

void ua_watch_fed(struct ua_watcher *w, struct ua_variable *v)
{
    link_watch(w, &v->node, &v->fed);
}

void ua_watch_node(struct ua_watcher *w, struct ua_node *n)
{
    link_watch(w, n, &n->watchers);
}

void ua_unwatch(struct ua_watcher *w)
{
    if (!w->node)
        return;
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    w->node = NULL;
    w->next = NULL;
    w->link = NULL;
}
