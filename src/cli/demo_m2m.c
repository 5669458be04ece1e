#include "cli/demo_m2m.h"

#include "base/mem.h"
#include "base/values.h"
#include "cli/interrupt.h"
#include "mqtt/client.h"
#include "net/http.h"
#include "sensor/machine.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TOPIC "factory/line1/press-1/telemetry"
#define FAN_TOPIC "factory/line1/cooler-1/fan"

enum { DISTURB_FIRST = 8, DISTURB_EVERY = 24, SETTLE_MS = 5000, LINE_MAX_BYTES = 64 * 1024 };

/* One reading's way. */
struct trip {
    int64_t  sent_us;
    uint32_t delivered, stored; /* how often: exactly once is wanted */
    int32_t  reaction_us;       /* -1: none yet */
    bool     acknowledged, hot;
};

struct demo {
    struct verb_call      *call;
    const struct demo_m2m *plan;
    struct loop           *loop;
    struct mqtt_client    *press, *cooler;
    struct http_call      *events;
    struct machine         machine;
    struct timer           next, watch, end, settle;
    struct trip           *trips;
    size_t                 count, cap;
    struct buf             line;      /* of the event stream */
    uint64_t               out_of_order, last_stored;
    unsigned               subscribed;
    bool                   ending, ended;
    int                    status;
};

static int64_t now_us(const struct demo *d)
{
    return d->call->io->monotonic_us(d->call->io->self);
}

static void say(const struct demo *d, const char *who, const char *what, const char *fmt, ...) FG_PRINTF(4, 5);
static void say(const struct demo *d, const char *who, const char *what, const char *fmt, ...)
{
    char clock[VALUE_TEXT_MAX], text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)fprintf(d->call->out, "%.8s  %-8s  %-8s  %s\n", value_print_clock(d->call->io->wall_us(d->call->io->self), clock), who,
                  what, text);
    (void)fflush(d->call->out);
}

static void fail(struct demo *d, const struct fault *why)
{
    if (d->status == STATUS_DONE)
        d->status = verb_fail(d->call, why);
    loop_stop(d->loop);
}

/* ---- the number of a reading travels as a user property, so that the payload is the machine's own ---- */

static bool number_of(const struct mqtt_props *props, const struct demo *d, size_t *index)
{
    size_t cursor = 0;
    struct bytes name, value;
    uint64_t n;
    while (props->raw.len && mqtt_user_prop(props, &cursor, &name, &value))
        if (bytes_is(name, "reading") && value_parse_count(value, 0, UINT32_MAX, &n, NULL) == CODE_OK && n < d->count) {
            *index = (size_t)n;
            return true;
        }
    return false;
}

static enum code send_numbered(struct mqtt_client *c, const char *topic, const char *payload, size_t len, size_t number,
                               struct fault *why)
{
    struct buf props = { 0 };
    char text[24];
    (void)snprintf(text, sizeof text, "%zu", number);
    mqtt_put_user(&props, BYTES_LIT("reading"), bytes_str(text));
    struct mqtt_client_message m = { .topic = bytes_str(topic), .payload = bytes_of(payload, len), .props = buf_bytes(&props),
                                     .qos = 1 };
    enum code code = mqtt_client_publish(c, &m, number, why);
    buf_clear(&props);
    return code;
}

/* ---- the end: everything that is under way may still arrive ---- */

static bool complete(const struct demo *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct trip *t = &d->trips[i];
        if (!t->acknowledged || !t->delivered || !t->stored || (t->hot && t->reaction_us < 0))
            return false;
    }
    return d->count > 0;
}

static void on_settle(struct timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, settle));
    d->ended = true;
    loop_stop(d->loop);
}

static void look_if_done(struct demo *d)
{
    if (d->ending && !d->ended && complete(d))
        on_settle(&d->settle);
}

static void begin_end(struct demo *d)
{
    if (d->ending)
        return;
    d->ending = true;
    timer_stop(d->loop, &d->next);
    timer_start(d->loop, &d->settle, SETTLE_MS, on_settle);
    look_if_done(d);
}

static void on_end(struct timer *t)
{
    begin_end((struct demo *)((char *)t - offsetof(struct demo, end)));
}

static void on_watch(struct timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, watch));
    if (interrupts)
        begin_end(d);
    timer_start(d->loop, &d->watch, 50, on_watch);
}

/* ---- press-1: the machine ---- */

static void on_next(struct timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, next));
    struct reading r;
    struct fault why;
    char json[96];
    if (d->count == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 256;
        struct trip *more = mem_realloc(d->trips, cap * sizeof *more);
        if (!more) {
            (void)FAIL(&why, CODE_NOMEM, 0, "no memory");
            fail(d, &why);
            return;
        }
        d->trips = more;
        d->cap = cap;
    }
    machine_read(&d->machine, &r);
    size_t n = reading_json(&d->machine, &r, json, sizeof json);
    size_t number = d->count++;
    d->trips[number] = (struct trip){ .sent_us = now_us(d), .reaction_us = -1, .hot = r.disturbed == MACHINE_HOT };
    if (send_numbered(d->press, TOPIC, json, n, number, &why) != CODE_OK) {
        fail(d, &why);
        return;
    }
    if (number == 0 || d->trips[number].hot)
        say(d, "press-1", "sent", "%s%s%.*s", number ? "" : TOPIC, number ? "" : " ", (int)n, json);
    timer_start(d->loop, &d->next, (int64_t)(d->plan->interval_us / 1000), on_next);
}

static void on_press_ack(void *ctx, struct mqtt_client *c, uint64_t token, uint8_t reason)
{
    struct demo *d = ctx;
    (void)c;
    if (token < d->count && reason < 0x80)
        d->trips[token].acknowledged = true;
    look_if_done(d);
}

/* The fan's command reaches the machine: from the reading to here is the reaction. */
static void on_press_message(void *ctx, struct mqtt_client *c, const struct mqtt_publish *p)
{
    struct demo *d = ctx;
    size_t i;
    (void)c;
    if (!number_of(&p->props, d, &i) || d->trips[i].reaction_us >= 0)
        return;
    int64_t took = now_us(d) - d->trips[i].sent_us;
    d->trips[i].reaction_us = took > INT32_MAX ? INT32_MAX : (int32_t)took;
    say(d, "cooler-1", "reacted", "fan on, %.1f ms after the reading", (double)took / 1000);
    look_if_done(d);
}

/* ---- cooler-1: reacts ---- */

static void on_cooler_message(void *ctx, struct mqtt_client *c, const struct mqtt_publish *p)
{
    struct demo *d = ctx;
    size_t i;
    struct fault why;
    if (!number_of(&p->props, d, &i))
        return;
    d->trips[i].delivered++;
    if (i == 0)
        say(d, "cooler-1", "received", "%.1f ms later", (double)(now_us(d) - d->trips[i].sent_us) / 1000);
    json_t *body = json_loadb((const char *)p->payload.at, p->payload.len, 0, NULL);
    double temperature = json_number_value(json_object_get(body, "temperature"));
    json_decref(body);
    static const char on[] = "{\"fan\":\"on\"}";
    if (temperature >= d->plan->fan_at && send_numbered(c, FAN_TOPIC, on, sizeof on - 1, i, &why) != CODE_OK)
        fail(d, &why);
    look_if_done(d);
}

/* ---- the hub: what is stored, as it is stored ---- */

static void on_event(struct demo *d, const char *line, size_t len)
{
    json_t *e = json_loadb(line, len, 0, NULL);
    const char *topic = json_string_value(json_object_get(e, "topic"));
    json_t *user = json_object_get(json_object_get(e, "properties"), "user");
    for (size_t i = 0; topic && strcmp(topic, TOPIC) == 0 && i < json_array_size(user); i++) {
        const char *name = json_string_value(json_array_get(json_array_get(user, i), 0));
        const char *value = json_string_value(json_array_get(json_array_get(user, i), 1));
        uint64_t n;
        if (!name || !value || strcmp(name, "reading") != 0 ||
            value_parse_count(bytes_str(value), 0, UINT32_MAX, &n, NULL) != CODE_OK || n >= d->count)
            continue;
        struct trip *t = &d->trips[n];
        if (t->stored++ == 0 && n + 1 < d->last_stored)
            d->out_of_order++;
        d->last_stored = n + 1;
        if (n == 0 || t->hot)
            say(d, "hub", "stored", "partition %lld offset %lld", (long long)json_integer_value(json_object_get(e, "partition")),
                (long long)json_integer_value(json_object_get(e, "offset")));
    }
    json_decref(e);
}

static void on_events_body(void *ctx, struct bytes part)
{
    struct demo *d = ctx;
    buf_add_bytes(&d->line, part);
    for (;;) {
        struct bytes have = buf_bytes(&d->line);
        const uint8_t *end = have.len ? memchr(have.at, '\n', have.len) : NULL;
        if (!end)
            break;
        size_t len = (size_t)(end - have.at);
        on_event(d, (const char *)have.at, len);
        buf_take(&d->line, len + 1);
    }
    look_if_done(d);
}

static void on_events_done(void *ctx, const struct fault *why)
{
    struct demo *d = ctx;
    struct fault ended;
    d->events = NULL;
    (void)FAIL(&ended, CODE_IO, 0, "the node's event stream ended: %s", why ? why->text : "no reason given");
    if (!d->ended)
        fail(d, &ended);
}

static const struct http_call_events events_calls = { .on_body = on_events_body, .on_done = on_events_done };

static enum code follow_events(struct demo *d, const struct demo_node *node, struct fault *why)
{
    char host[340];
    (void)snprintf(host, sizeof host, "unix:%s/api.sock", node->data);
    d->line.max = LINE_MAX_BYTES * 16;
    return http_call_open(&d->events, d->loop, host, 0, "GET", "/api/v1/events?from=earliest&follow=true", BYTES_NONE,
                          &events_calls, d, why);
}

/* ---- both clients ---- */

static void subscribe(struct demo *d, struct mqtt_client *c, const char *filter)
{
    struct mqtt_filter f = { .filter = bytes_str(filter), .qos = 1 };
    struct fault why;
    if (mqtt_client_subscribe(c, &f, BYTES_NONE, 1, &why) != CODE_OK)
        fail(d, &why);
}

static void on_press_connect(void *ctx, struct mqtt_client *c, const struct mqtt_connack *ack)
{
    (void)ack;
    subscribe(ctx, c, FAN_TOPIC);
}

static void on_cooler_connect(void *ctx, struct mqtt_client *c, const struct mqtt_connack *ack)
{
    (void)ack;
    subscribe(ctx, c, "factory/line1/+/telemetry");
}

static void on_sub_ack(void *ctx, struct mqtt_client *c, uint64_t token, struct bytes reasons)
{
    struct demo *d = ctx;
    struct fault why;
    (void)c;
    (void)token;
    if (!reasons.len || reasons.at[0] >= 0x80) {
        (void)FAIL(&why, CODE_REFUSED, 0, "a subscription was refused");
        fail(d, &why);
    } else if (++d->subscribed == 2) {
        on_next(&d->next);
    }
}

static void on_close(void *ctx, struct mqtt_client *c, const struct fault *why, int64_t retry_ms)
{
    struct demo *d = ctx;
    struct fault closed;
    (void)c;
    (void)retry_ms;
    (void)FAIL(&closed, CODE_IO, 0, "a machine lost its connection: %s", why ? why->text : "closed");
    if (!d->ended)
        fail(d, &closed);
}

static const struct mqtt_client_events press_calls = { .on_connect = on_press_connect, .on_message = on_press_message,
                                                       .on_ack = on_press_ack, .on_sub_ack = on_sub_ack, .on_close = on_close };
static const struct mqtt_client_events cooler_calls = { .on_connect = on_cooler_connect, .on_message = on_cooler_message,
                                                        .on_sub_ack = on_sub_ack, .on_close = on_close };

static enum code open_all(struct demo *d, const struct demo_node *node, struct fault *why)
{
    struct mqtt_client_settings s = { .host = "127.0.0.1", .port = node->mqtt_port, .session_expiry_s = 3600, .keep_alive_s = 30 };
    enum code c = follow_events(d, node, why);
    s.client_id = BYTES_LIT("press-1");
    if (c == CODE_OK)
        c = mqtt_client_open(&d->press, d->loop, &s, &press_calls, d, why);
    s.client_id = BYTES_LIT("cooler-1");
    if (c == CODE_OK)
        c = mqtt_client_open(&d->cooler, d->loop, &s, &cooler_calls, d, why);
    return c;
}

/* ---- the verdict ---- */

static int by_size(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

static int verdict(struct demo *d)
{
    size_t sent = 0, delivered = 0, stored = 0, hot = 0, reactions = 0, lost = 0, doubled = 0;
    int32_t *took = mem_zalloc(d->count, sizeof *took);
    for (size_t i = 0; i < d->count; i++) {
        const struct trip *t = &d->trips[i];
        sent++;
        delivered += t->delivered > 0;
        stored += t->stored > 0;
        doubled += t->stored > 1;
        lost += t->acknowledged && (!t->delivered || !t->stored);
        hot += t->hot;
        if (t->hot && t->reaction_us >= 0 && took)
            took[reactions++] = t->reaction_us;
    }
    if (took)
        qsort(took, reactions, sizeof *took, by_size);
    bool ok = d->status == STATUS_DONE && sent && sent == delivered && sent == stored && !lost && !doubled && !d->out_of_order &&
              hot && reactions == hot;
    (void)fprintf(d->call->out, "m2m %s: %zu sent, %zu delivered, %zu stored, %zu lost; ", ok ? "ok" : "failed", sent, delivered,
                  stored, lost);
    if (reactions)
        (void)fprintf(d->call->out, "reaction p50 %.1f ms, p99 %.1f ms. ", took[reactions / 2] / 1000.0,
                      took[reactions * 99 / 100] / 1000.0);
    if (!ok && reactions < hot)
        (void)fprintf(d->call->out, "%zu of %zu hot readings got no reaction. ", hot - reactions, hot);
    if (!ok && !hot)
        (void)fprintf(d->call->out, "it ended before a hot reading came. ");
    if (!ok && (doubled || d->out_of_order))
        (void)fprintf(d->call->out, "%zu stored twice, %llu out of order. ", doubled, (unsigned long long)d->out_of_order);
    (void)fprintf(d->call->out, "By hand: fieldgate help m2m\n");
    mem_free(took);
    return ok ? STATUS_DONE : STATUS_FAILED;
}

int demo_m2m_run(struct verb_call *call, const struct demo_node *node, const struct demo_m2m *plan)
{
    struct demo d = { .call = call, .plan = plan };
    struct fault why;
    machine_init(&d.machine, &(struct machine_config){ .seed = plan->seed, .disturb_every = DISTURB_EVERY,
                                                       .disturb_first = DISTURB_FIRST, .temperature_step = 0.1 });
    if (loop_open_uv(&d.loop, &why) != CODE_OK)
        return verb_fail(call, &why);
    interrupt_watch();
    timer_start(d.loop, &d.watch, 50, on_watch);
    if (plan->for_us)
        timer_start(d.loop, &d.end, (int64_t)(plan->for_us / 1000), on_end);
    if (open_all(&d, node, &why) == CODE_OK)
        loop_run(d.loop);
    else
        d.status = verb_fail(call, &why);
    d.ended = true;
    if (d.events)
        http_call_cancel(d.events);
    if (d.press)
        mqtt_client_close(d.press);
    if (d.cooler)
        mqtt_client_close(d.cooler);
    timer_stop(d.loop, &d.next);
    timer_stop(d.loop, &d.watch);
    timer_stop(d.loop, &d.end);
    timer_stop(d.loop, &d.settle);
    loop_close(d.loop);
    int status = verdict(&d);
    mem_free(d.trips);
    buf_clear(&d.line);
    return status;
}
