/* fill.c - the gap before a subscription that was made anew: history where the server has it, and a word about the rest. */
#include "uaclient/subscription_private.h"

#include "base/mem.h"

enum { FILL_US = 30 * 1000000 };

/* One item's history on its way. */
struct filling {
    struct ua_work work; /* first */
    struct ua_subscription *s;
    uint32_t life, place;
};

static void drop(struct ua_work *w)
{
    work_end(w);
    mem_free(w);
}

static void next(struct ua_subscription *s);

static void end(struct ua_subscription *s)
{
    struct ua_client *c = s->client;
    struct ua_gap gap = {.from = s->gap_from, .to = s->gap_to, .items = s->count, .filled = s->filled};
    const char *reason = s->reason;
    unsigned good = sub_good_items(s);
    (void)FAIL_FG(&gap.why, CODE_CLOSED, UA_FG_GAP,
                  "%s: subscription %u was lost (%s). What changed in between is filled from history for %u "
                  "of %u nodes; of the others "
                  "only the last value is known",
                  c->set.url, s->lost_id, reason, s->filled, s->count);
    s->reason = NULL;
    s->fill_us = 0;
    s->state = SUB_LIVE;
    sub_again(s);
    sub_enter(s);
    client_enter(c);
    client_notice(c, UA_FG_SILENT,
                  "%s connected, but 0 of %u nodes sent a value for %lld s: subscription %u was lost: %s. Made "
                  "anew, %u of %u good",
                  c->set.url, s->count, (long long)(s->silent_us / 1000000), s->lost_id, reason, good,
                  s->count);
    if (!s->closed && s->events.on_gap && s->gap_from)
        s->events.on_gap(s->ctx, s, &gap);
    if (!s->closed && s->state == SUB_LIVE)
        order_drain(s);
    (void)sub_leave(s);
    if (!c->dead)
        publish_pump(c);
    (void)client_leave_call(c);
}

static bool each(void *ctx, const struct ua_data_value *values, uint32_t count)
{
    struct filling *f = ctx;
    if (f->s->closed || f->life != f->s->life || f->s->state != SUB_FILLING)
        return false;
    return notify_history(f->s, f->place, values, count);
}

static void filled(void *ctx, ua_status status)
{
    struct filling *f = ctx;
    struct ua_subscription *s = f->s;
    bool same = f->life == s->life;
    drop(&f->work);
    if (!sub_asked(s) || !same || s->state != SUB_FILLING || status == UA_BAD_CONNECTION_CLOSED)
        return;
    if (ua_code(status) == UA_BAD_SERVICE_UNSUPPORTED)
        client_lacks(s->client, UA_LACK_HISTORY);
    if (!status || ua_code(status) == UA_BAD_NO_DATA)
        s->filled++;
    s->fill_place++;
    next(s);
}

static bool wants(const struct ua_subscription *s, uint32_t place)
{
    const struct sub_item *item = s->items[place];
    return item && !item->removed && item->state == ITEM_MADE && item->watch.history && s->hot[place].last;
}

static void next(struct ua_subscription *s)
{
    struct ua_client *c = s->client;
    bool late = loop_now_us(c->loop) - s->fill_us > FILL_US;
    for (; s->fill_place < s->cap && !late && !(c->lacks & 1u << UA_LACK_HISTORY); s->fill_place++) {
        struct ua_node_id id;
        if (!wants(s, s->fill_place) || !ua_client_resolve(c, &s->items[s->fill_place]->watch.node, &id))
            continue;
        struct filling *f = mem_alloc(sizeof *f);
        if (!f)
            break;
        *f = (struct filling){.s = s, .life = s->life, .place = s->fill_place};
        work_begin(c, &f->work, drop);
        sub_ask(s);
        if (ua_history_raw(c, &id, s->hot[s->fill_place].last, s->gap_to, 0, each, filled, f, NULL) ==
            CODE_OK)
            return;
        s->requests--;
        drop(&f->work);
        break;
    }
    end(s);
}

void fill_begin(struct ua_subscription *s)
{
    struct ua_client *c = s->client;
    if (s->fill_us)
        return;
    s->fill_us = loop_now_us(c->loop);
    s->gap_to = client_server_time(c);
    s->fill_place = 0;
    s->filled = 0;
    next(s);
}
