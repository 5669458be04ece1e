/* verb_sub.c - `fieldgate sub`: subscribe and print what comes. */
#include "base/mem.h"
#include "base/values.h"
#include "cli/mqtt_target.h"
#include "cli/verbs.h"
#include "mqtt/topic.h"

#include <signal.h>
#include <stdio.h>

struct sub {
    struct mqtt_target target;
    struct texts       topics, without;
    uint32_t           qos;
    uint64_t           count, wait_us;
    bool               verbose, no_retained, only_retained, no_line_end, no_local, as_published;
    uint32_t           handling;
    int                format;
};

static const char *const formats[] = { "text", "json", "jsonl", NULL };

static const struct flag flags[] = {
    { 't', "topic", FLAG_TEXTS, FLAG_FIELD(struct sub, topics), .value = "FILTER", .required = true,
      .help = "what to subscribe to; may be repeated" },
    { 'q', "qos", FLAG_COUNT, FLAG_FIELD(struct sub, qos), .value = "QOS", .max = 2, .help = "0, 1 or 2" },
    { 'v', "verbose", FLAG_SWITCH, FLAG_FIELD(struct sub, verbose), .help = "the topic before each payload" },
    { 'C', "count", FLAG_COUNT, FLAG_FIELD(struct sub, count), .value = "COUNT", .help = "end after so many messages" },
    { 'W', "wait", FLAG_SECONDS, FLAG_FIELD(struct sub, wait_us), .value = "TIME", .help = "end after so long (status 1 if -C was not reached)" },
    { 'R', "no-retained", FLAG_SWITCH, FLAG_FIELD(struct sub, no_retained), .help = "do not print retained messages" },
    { 0, "retained-only", FLAG_SWITCH, FLAG_FIELD(struct sub, only_retained), .help = "print only retained messages" },
    { 'N', "no-line-end", FLAG_SWITCH, FLAG_FIELD(struct sub, no_line_end), .help = "no line break after a payload" },
    { 'T', "filter-out", FLAG_TEXTS, FLAG_FIELD(struct sub, without), .value = "FILTER", .help = "do not print these; may be repeated" },
    { 0, "no-local", FLAG_SWITCH, FLAG_FIELD(struct sub, no_local), .help = "not what this client published (5.0)" },
    { 0, "retain-as-published", FLAG_SWITCH, FLAG_FIELD(struct sub, as_published), .help = "keep the retain flag (5.0)" },
    { 0, "retain-handling", FLAG_COUNT, FLAG_FIELD(struct sub, handling), .value = "0|1|2", .max = 2,
      .help = "retained messages: always, only for a new subscription, never (5.0)" },
    { 'o', "output", FLAG_CHOICE, FLAG_FIELD(struct sub, format), .value = "FORMAT", .words = formats, .def = "text",
      .help = "text, or json (jsonl): an object per line with topic, qos, retain, properties, payload" },
    MQTT_TARGET_FLAGS(struct sub, target),
    FLAGS_END,
};

struct run {
    struct verb_call   *call;
    struct sub         *sub;
    struct loop        *loop;
    struct mqtt_client *client;
    struct timer        wait, watch;
    struct mqtt_filter *filters;
    struct buf          props, line;
    uint64_t            printed;
    bool                ended;
    int                 status;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void end(struct run *r)
{
    if (r->ended)
        return;
    r->ended = true;
    timer_stop(r->loop, &r->wait);
    if (mqtt_client_connected(r->client))
        mqtt_client_disconnect(r->client, 0);
    else
        loop_stop(r->loop);
}

static void on_watch(struct timer *t)
{
    struct run *r = (struct run *)((char *)t - offsetof(struct run, watch));
    if (interrupted)
        end(r);
    timer_start(r->loop, &r->watch, 50, on_watch);
}

static void on_wait(struct timer *t)
{
    struct run *r = (struct run *)((char *)t - offsetof(struct run, wait));
    if (r->sub->count && r->printed < r->sub->count)
        r->status = STATUS_FAILED;
    end(r);
}

static void fail(struct run *r, const struct fault *why)
{
    if (r->status == STATUS_DONE)
        r->status = verb_fail(r->call, why);
    r->ended = true;
    loop_stop(r->loop);
}

static void put_props(struct buf *out, const struct mqtt_props *p)
{
    size_t cursor = 0;
    struct bytes name, value;
    if (mqtt_props_has(p, MQTT_PROP_CONTENT_TYPE)) {
        buf_printf(out, ",\"contentType\":");
        buf_json(out, p->content_type);
    }
    if (mqtt_props_has(p, MQTT_PROP_RESPONSE_TOPIC)) {
        buf_printf(out, ",\"responseTopic\":");
        buf_json(out, p->response_topic);
    }
    if (mqtt_props_has(p, MQTT_PROP_MESSAGE_EXPIRY))
        buf_printf(out, ",\"expirySeconds\":%u", p->message_expiry_s);
    if (p->user_count == 0)
        return;
    buf_printf(out, ",\"properties\":[");
    for (int i = 0; mqtt_user_prop(p, &cursor, &name, &value); i++) {
        buf_printf(out, "%s[", i ? "," : "");
        buf_json(out, name);
        buf_u8(out, ',');
        buf_json(out, value);
        buf_u8(out, ']');
    }
    buf_u8(out, ']');
}

static void print_json(struct run *r, const struct mqtt_publish *p)
{
    struct buf *out = &r->line;
    char time[VALUE_TEXT_MAX];
    buf_reset(out);
    buf_printf(out, "{\"time\":\"%s\",\"topic\":", value_print_time_utc(r->call->io->wall_us(r->call->io->self), time));
    buf_json(out, p->topic);
    buf_printf(out, ",\"qos\":%u,\"retain\":%s", p->qos, p->retain ? "true" : "false");
    if (p->props.raw.len)
        put_props(out, &p->props);
    if (utf8_valid(p->payload, true)) {
        buf_printf(out, ",\"payload\":");
        buf_json(out, p->payload);
    } else {
        buf_printf(out, ",\"payloadHex\":\"");
        for (size_t i = 0; i < p->payload.len; i++)
            buf_printf(out, "%02x", p->payload.at[i]);
        buf_u8(out, '"');
    }
    buf_printf(out, "}\n");
    (void)fwrite(out->at + out->from, 1, buf_size(out), r->call->out);
}

static void print_text(struct run *r, const struct mqtt_publish *p)
{
    if (r->sub->verbose)
        (void)fprintf(r->call->out, "%.*s ", BYTES_FMT(p->topic));
    if (p->payload.len)
        (void)fwrite(p->payload.at, 1, p->payload.len, r->call->out);
    if (!r->sub->no_line_end)
        (void)fputc('\n', r->call->out);
}

static void on_message(void *ctx, struct mqtt_client *c, const struct mqtt_publish *p)
{
    struct run *r = ctx;
    (void)c;
    if (r->ended || (p->retain && r->sub->no_retained) || (!p->retain && r->sub->only_retained))
        return;
    for (size_t i = 0; i < r->sub->without.count; i++)
        if (topic_matches(bytes_str(r->sub->without.at[i]), p->topic))
            return;
    if (r->sub->format)
        print_json(r, p);
    else
        print_text(r, p);
    if (fflush(r->call->out) != 0) { /* the reader has gone */
        r->status = STATUS_FAILED;
        end(r);
    }
    if (r->sub->count && ++r->printed >= r->sub->count)
        end(r);
}

static void on_connect(void *ctx, struct mqtt_client *c, const struct mqtt_connack *ack)
{
    struct run *r = ctx;
    struct fault why;
    (void)ack;
    enum code code = mqtt_client_subscribe(c, r->filters, buf_bytes(&r->props), 1, &why);
    if (code != CODE_OK)
        fail(r, &why);
}

static void on_sub_ack(void *ctx, struct mqtt_client *c, uint64_t token, struct bytes reasons)
{
    struct run *r = ctx;
    (void)c;
    (void)token;
    size_t refused = 0;
    for (size_t i = 0; i < reasons.len; i++)
        if (reasons.at[i] >= 0x80) {
            refused++;
            verb_warn(r->call, "subscription %s was refused: reason 0x%02X %s",
                      i < r->sub->topics.count ? r->sub->topics.at[i] : "", reasons.at[i], mqtt_reason_name(reasons.at[i]));
        }
    if (refused == reasons.len && refused) {
        r->status = STATUS_FAILED;
        end(r);
    }
}

static void on_close(void *ctx, struct mqtt_client *c, const struct fault *why, int64_t retry_ms)
{
    struct run *r = ctx;
    (void)c;
    (void)retry_ms;
    if (why && !r->ended)
        fail(r, why);
    loop_stop(r->loop);
}

static const struct mqtt_client_events events = { .on_connect = on_connect, .on_message = on_message,
                                                  .on_sub_ack = on_sub_ack, .on_close = on_close };

static int make_filters(struct run *r)
{
    struct sub *s = r->sub;
    r->filters = mem_zalloc(s->topics.count, sizeof *r->filters);
    if (!r->filters)
        return STATUS_FAILED;
    for (size_t i = 0; i < s->topics.count; i++) {
        struct bytes filter = bytes_str(s->topics.at[i]);
        if (!topic_filter_valid(filter, 65535, 65535))
            return verb_usage(r->call, "'%s' is not a topic filter: + and # stand for whole levels, # only at the end",
                              s->topics.at[i]);
        r->filters[i] = (struct mqtt_filter){ .next = i + 1 < s->topics.count ? &r->filters[i + 1] : NULL, .filter = filter,
                                              .qos = (uint8_t)s->qos, .retain_handling = (uint8_t)s->handling,
                                              .no_local = s->no_local, .retain_as_published = s->as_published };
    }
    return STATUS_DONE;
}

static int go(struct run *r, const struct mqtt_client_settings *settings)
{
    struct fault why;
    if (mqtt_target_props(&r->sub->target, "SUBSCRIBE", &r->props, &why) != CODE_OK ||
        loop_open_uv(&r->loop, &why) != CODE_OK)
        return verb_fail(r->call, &why);
    (void)signal(SIGINT, on_signal);
    (void)signal(SIGTERM, on_signal);
    timer_start(r->loop, &r->watch, 50, on_watch);
    if (r->sub->wait_us)
        timer_start(r->loop, &r->wait, (int64_t)(r->sub->wait_us / 1000), on_wait);
    if (mqtt_client_open(&r->client, r->loop, settings, &events, r, &why) != CODE_OK) {
        r->status = verb_fail(r->call, &why);
    } else {
        loop_run(r->loop);
        mqtt_client_close(r->client);
    }
    timer_stop(r->loop, &r->wait);
    timer_stop(r->loop, &r->watch);
    loop_close(r->loop);
    return r->status;
}

static int run(struct verb_call *call)
{
    struct run r = { .call = call, .sub = call->values };
    struct mqtt_client_settings settings;
    struct mqtt_target_memory memory = { 0 };
    int status = make_filters(&r);
    if (status == STATUS_DONE)
        status = mqtt_target_settings(call, &r.sub->target, &settings, &memory);
    if (status == STATUS_DONE)
        status = go(&r, &settings);
    mqtt_target_clear(&memory);
    buf_clear(&r.props);
    buf_clear(&r.line);
    mem_free(r.filters);
    return status;
}

const struct verb verb_sub = {
    .name = "sub",
    .group = "messages",
    .summary = "subscribe to topics and print what comes",
    .examples = { "fieldgate sub -t 'factory/#' -v", "fieldgate sub -t 'factory/+/press-1/telemetry' -q 1 -c -i archive",
                  "fieldgate sub -t '#' -o jsonl -C 10" },
    .flags = flags,
    .values_size = sizeof(struct sub),
    .run = run,
};
