/* verb_sub.c - `fieldgate sub`: subscribe and print what comes, or watch the topics, or count. */
#include "base/mem.h"
#include "base/values.h"
#include "cli/interrupt.h"
#include "cli/message_format.h"
#include "cli/mqtt_target.h"
#include "cli/topic_watch.h"
#include "cli/verbs.h"
#include "mqtt/topic.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct sub {
    struct mqtt_target target;
    struct texts topics, without, unsubscribe, user;
    uint32_t qos, handling, sub_id;
    uint64_t count, wait_us;
    bool verbose, no_retained, only_retained, remove_retained, no_line_end, no_local, as_published, leave,
        pretty;
    bool watch, rate, quiet;
    double random_percent;
    const char *pattern;
    int format;
};

static const char *const formats[] = {"text", "json", "jsonl", NULL};

static const struct flag flags[] = {
    {'t', "topic", FLAG_TEXTS, FLAG_FIELD(struct sub, topics), .value = "FILTER",
     .help = "what to subscribe to; may be repeated"},
    {'q', "qos", FLAG_COUNT, FLAG_FIELD(struct sub, qos), .value = "QOS", .max = 2, .help = "0, 1 or 2"},
    {'v', "verbose", FLAG_SWITCH, FLAG_FIELD(struct sub, verbose), .help = "the topic before each payload"},
    {0, "watch", FLAG_SWITCH, FLAG_FIELD(struct sub, watch),
     .help = "a line per topic: last value, change, age, rate"},
    {0, "rate", FLAG_SWITCH, FLAG_FIELD(struct sub, rate),
     .help = "each second, messages and bytes a second of each filter; with -v of each topic"},
    {'C', "count", FLAG_COUNT, FLAG_FIELD(struct sub, count), .value = "COUNT",
     .help = "end after so many messages"},
    {'W', "wait", FLAG_SECONDS, FLAG_FIELD(struct sub, wait_us), .value = "TIME",
     .help = "end after so long (status 1 if -C was not reached)"},
    {'E', "subscribe-only", FLAG_SWITCH, FLAG_FIELD(struct sub, leave),
     .help = "end when the subscriptions are acknowledged"},
    {'R', "no-retained", FLAG_SWITCH, FLAG_FIELD(struct sub, no_retained),
     .help = "do not print retained messages"},
    {0, "retained-only", FLAG_SWITCH, FLAG_FIELD(struct sub, only_retained),
     .help = "print retained messages, end at the first other"},
    {0, "remove-retained", FLAG_SWITCH, FLAG_FIELD(struct sub, remove_retained),
     .help = "clear each retained message that comes"},
    {'N', "no-line-end", FLAG_SWITCH, FLAG_FIELD(struct sub, no_line_end),
     .help = "no line break after a payload"},
    {'T', "filter-out", FLAG_TEXTS, FLAG_FIELD(struct sub, without), .value = "FILTER",
     .help = "do not print these; may be repeated"},
    {'U', "unsubscribe", FLAG_TEXTS, FLAG_FIELD(struct sub, unsubscribe), .value = "FILTER",
     .help = "end a subscription of the session; may be repeated"},
    {'F', "format", FLAG_TEXT, FLAG_FIELD(struct sub, pattern), .value = "PATTERN",
     .help = "how a message is printed: '%t %q %p', see below"},
    {0, "pretty", FLAG_SWITCH, FLAG_FIELD(struct sub, pretty), .help = "%j and %J over several lines"},
    {0, "random-filter", FLAG_DECIMAL, FLAG_FIELD(struct sub, random_percent), .value = "PERCENT",
     .def = "100", .help = "print only so many of the messages, drawn by lot"},
    {'o', "output", FLAG_CHOICE, FLAG_FIELD(struct sub, format), .value = "FORMAT", .words = formats,
     .def = "text",
     .help = "text, or json (jsonl): an object per line with time, topic, qos, retain, properties, payload"},
    {0, "no-local", FLAG_SWITCH, FLAG_FIELD(struct sub, no_local),
     .help = "not what this client published (5.0)"},
    {0, "retain-as-published", FLAG_SWITCH, FLAG_FIELD(struct sub, as_published),
     .help = "keep the retain flag (5.0)"},
    {0, "retain-handling", FLAG_COUNT, FLAG_FIELD(struct sub, handling), .value = "0|1|2", .max = 2,
     .help = "retained messages: always, only for a new subscription, never (5.0)"},
    {0, "subscription-identifier", FLAG_COUNT, FLAG_FIELD(struct sub, sub_id), .value = "NUMBER", .min = 1,
     .max = 268435455, .help = "comes with each message of these subscriptions (5.0)"},
    {0, "user-property", FLAG_TEXTS, FLAG_FIELD(struct sub, user), .value = "NAME=VALUE",
     .help = "of the subscription; may be repeated (5.0)"},
    {0, "quiet", FLAG_SWITCH, FLAG_FIELD(struct sub, quiet),
     .help = "say nothing about refused subscriptions"},
    MQTT_TARGET_FLAGS(struct sub, target),
    MQTT_AUTH_FLAG(struct sub, target),
    FLAGS_END,
};

enum { REDRAW_MS = 100, WATCH_SIGNAL_MS = 50, SUBSCRIBE_TOKEN = 1, UNSUBSCRIBE_TOKEN = 2, CLEAR_TOKEN = 3 };

struct run {
    struct verb_call *call;
    struct sub *sub;
    struct mqtt_target_memory *memory;
    struct loop *loop;
    struct mqtt_client *client;
    struct timer wait, signals, redraw;
    struct mqtt_filter *filters, *leaving;
    struct texts topics; /* -t, or the topic of -L */
    const char *url_topic;
    struct buf props, unsubscribe_props, goodbye, line;
    uint64_t printed;
    struct topic_watch topic_values, filter_rates;
    size_t drawn; /* lines on the terminal that the next drawing replaces */
    bool changed, dirty, ended, closing;
    unsigned clearing; /* retained messages that are being removed */
    int status;
};

/* ---- the end ---- */

static void say_goodbye(struct run *r)
{
    struct fault why;
    if (r->closing || r->clearing)
        return;
    r->closing = true;
    if (!mqtt_client_connected(r->client))
        loop_stop(r->loop);
    else if (mqtt_client_disconnect_with(r->client, 0, buf_bytes(&r->goodbye), &why) != CODE_OK) {
        r->status = verb_fail(r->call, &why);
        loop_stop(r->loop);
    }
}

static void end(struct run *r)
{
    r->ended = true;
    timer_stop(r->loop, &r->wait);
    say_goodbye(r); /* or later, when what is being cleared is acknowledged */
}

static void on_signals(struct timer *t)
{
    struct run *r = (struct run *)((char *)t - offsetof(struct run, signals));
    if (interrupts) {
        r->clearing = 0;
        end(r);
    }
    timer_start(r->loop, &r->signals, WATCH_SIGNAL_MS, on_signals);
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
        r->status = mqtt_target_fail(r->call, why);
    r->ended = true;
    loop_stop(r->loop);
}

static void reader_gone(struct run *r)
{
    r->status = STATUS_FAILED;
    end(r);
}

static void put_out(struct run *r)
{
    struct buf *b = &r->line;
    if (buf_size(b))
        (void)fwrite(b->at + b->from, 1, buf_size(b), r->call->out);
    buf_reset(b);
    r->dirty = true;
}

/* What a turn printed leaves together. */
static void on_turn(void *ctx)
{
    struct run *r = ctx;
    if (r->dirty && fflush(r->call->out) != 0 && !r->ended)
        reader_gone(r);
    r->dirty = false;
}

/* ---- watching ---- */

static bool on_terminal(const struct run *r)
{
    const char *term = NULL;
    for (const char *const *e = r->call->environment; e && *e; e++)
        if (strncmp(*e, "TERM=", 5) == 0)
            term = *e + 5;
    return isatty(fileno(r->call->out)) && term && strcmp(term, "dumb") != 0;
}

static void draw(struct run *r, int64_t now)
{
    struct winsize w = {.ws_col = 80, .ws_row = 24};
    if (ioctl(fileno(r->call->out), TIOCGWINSZ, &w) < 0 || w.ws_col == 0 || w.ws_row == 0)
        w = (struct winsize){.ws_col = 80, .ws_row = 24};
    if (r->drawn)
        buf_printf(&r->line, "\033[%zuA\r", r->drawn);
    r->drawn = topic_watch_screen(&r->line, &r->topic_values, now, w.ws_col - 1u, w.ws_row - 1u);
    buf_printf(&r->line, "\033[J");
    put_out(r);
}

static void put_rate(struct run *r, const char *name, double messages, double bytes)
{
    char time[VALUE_TEXT_MAX], size[VALUE_TEXT_MAX];
    int64_t wall = r->call->io->wall_us(r->call->io->self);
    if (r->sub->format) {
        buf_printf(&r->line, "{\"time\":\"%s\",\"%s\":", value_print_time_utc(wall, time),
                   r->sub->verbose ? "topic" : "filter");
        buf_json(&r->line, bytes_str(name));
        buf_printf(&r->line, ",\"messagesPerSecond\":%.1f,\"bytesPerSecond\":%.1f}\n", messages, bytes);
    } else {
        buf_printf(&r->line, "%.8s  %10.1f messages/s  %12s/s  %s\n", value_print_clock(wall, time), messages,
                   value_print_size_about((uint64_t)bytes, size), name);
    }
}

static void print_rates(struct run *r, const struct topic_watch *t)
{
    for (size_t i = 0; i < t->count; i++)
        put_rate(r, t->sorted[i]->topic, t->sorted[i]->rate, t->sorted[i]->byte_rate);
    if (t->beyond)
        buf_printf(&r->line, "more than %d topics: the others are not counted\n", WATCH_TOPICS_MAX);
    put_out(r);
}

static void on_redraw(struct timer *t)
{
    struct run *r = (struct run *)((char *)t - offsetof(struct run, redraw));
    int64_t now = loop_now_us(r->loop);
    bool by_topic = r->sub->watch || r->sub->verbose;
    struct topic_watch *watched = by_topic ? &r->topic_values : &r->filter_rates;
    bool second = topic_watch_second(watched, now);
    if (r->sub->watch && on_terminal(r))
        draw(r, now);
    else if (r->sub->rate && second)
        print_rates(r, watched);
    timer_start(r->loop, &r->redraw, REDRAW_MS, on_redraw);
}

static void count_filters(struct run *r, const struct mqtt_publish *p, int64_t now)
{
    for (size_t i = 0; i < r->topics.count; i++)
        if (topic_matches(bytes_str(r->topics.at[i]), p->topic))
            (void)topic_watch_note(&r->filter_rates, bytes_str(r->topics.at[i]), p->payload, now);
}

/* So that a filter without messages has its line, too. */
static void begin_rates(struct run *r)
{
    for (size_t i = 0; i < r->topics.count && r->sub->rate; i++) {
        struct watched *w = topic_watch_note(&r->filter_rates, bytes_str(r->topics.at[i]), BYTES_NONE, 0);
        if (w)
            w->count = 0;
    }
}

static void watch_message(struct run *r, const struct mqtt_publish *p)
{
    int64_t now = loop_now_us(r->loop);
    if (r->sub->rate && !r->sub->verbose) {
        count_filters(r, p, now);
        return;
    }
    struct watched *w = topic_watch_note(&r->topic_values, p->topic, p->payload, now);
    if (w && r->sub->watch && !on_terminal(r)) {
        topic_watch_line(&r->line, w, now, 0, 0);
        buf_u8(&r->line, '\n');
        put_out(r);
    }
}

/* ---- printing ---- */

static void put_text(struct run *r, const struct mqtt_publish *p)
{
    const struct sub *s = r->sub;
    if (p->payload.len == 0) {
        if (s->verbose && !s->no_line_end)
            buf_printf(&r->line, "%.*s (null)\n", BYTES_FMT(p->topic));
        return;
    }
    if (s->verbose)
        buf_printf(&r->line, "%.*s ", BYTES_FMT(p->topic));
    buf_add_bytes(&r->line, p->payload);
    if (!s->no_line_end)
        buf_u8(&r->line, '\n');
}

static void print_message(struct run *r, const struct mqtt_publish *p)
{
    const struct sub *s = r->sub;
    int64_t wall = r->call->io->wall_us(r->call->io->self);
    char said[80];
    if (s->format) {
        message_json(&r->line, p, wall);
        buf_u8(&r->line, '\n');
    } else if (s->pattern) {
        if (!message_format(&r->line, s->pattern, p, wall, s->pretty))
            verb_warn(r->call, "the payload of %s is not JSON, which %%J wants; %%j takes any text",
                      bytes_escape(p->topic, said, sizeof said));
        else if (!s->no_line_end)
            buf_u8(&r->line, '\n');
    } else {
        put_text(r, p);
    }
    put_out(r);
}

static bool drawn_by_lot(const struct run *r)
{
    uint32_t draw;
    if (r->sub->random_percent >= 100)
        return true;
    r->call->io->random(r->call->io->self, &draw, sizeof draw);
    return (double)draw * 100.0 / 4294967296.0 < r->sub->random_percent;
}

static bool filtered_out(const struct run *r, const struct mqtt_publish *p)
{
    for (size_t i = 0; i < r->sub->without.count; i++)
        if (topic_matches(bytes_str(r->sub->without.at[i]), p->topic))
            return true;
    return false;
}

static void clear_retained(struct run *r, const struct mqtt_publish *p)
{
    struct mqtt_client_message m = {.topic = p->topic, .qos = 1, .retain = true};
    struct fault why;
    enum code c = mqtt_client_publish(r->client, &m, CLEAR_TOKEN, &why);
    char said[80];
    if (c == CODE_OK)
        r->clearing++;
    else if (c == CODE_AGAIN) {
        r->status = STATUS_FAILED;
        verb_warn(r->call, "%s was not cleared: too many at once; run it again",
                  bytes_escape(p->topic, said, sizeof said));
    } else
        fail(r, &why);
}

static void on_message(void *ctx, struct mqtt_client *c, const struct mqtt_publish *p)
{
    struct run *r = ctx;
    const struct sub *s = r->sub;
    (void)c;
    if (r->ended || (p->retain && s->no_retained) || filtered_out(r, p))
        return;
    if (!p->retain && s->only_retained) {
        end(r);
        return;
    }
    if (p->retain && s->remove_retained && p->payload.len)
        clear_retained(r, p);
    if (!drawn_by_lot(r))
        return;
    if (s->watch || s->rate)
        watch_message(r, p);
    else
        print_message(r, p);
    if (++r->printed == s->count && s->count)
        end(r);
}

/* ---- the client ---- */

static void on_connect(void *ctx, struct mqtt_client *c, const struct mqtt_connack *ack)
{
    struct run *r = ctx;
    struct fault why;
    enum code code = mqtt_target_proven(r->memory, ack, &why);
    if (code == CODE_OK && r->filters)
        code = mqtt_client_subscribe(c, r->filters, buf_bytes(&r->props), SUBSCRIBE_TOKEN, &why);
    if (code == CODE_OK && r->leaving)
        code = mqtt_client_unsubscribe(c, r->leaving, buf_bytes(&r->unsubscribe_props), UNSUBSCRIBE_TOKEN,
                                       &why);
    if (code != CODE_OK)
        fail(r, &why);
}

static enum code on_auth(void *ctx, struct mqtt_client *c, const struct mqtt_disconnect *in, struct buf *data, struct fault *why)
{
    (void)c;
    return mqtt_target_auth(((struct run *)ctx)->memory, in, data, why);
}

static void on_ack(void *ctx, struct mqtt_client *c, uint64_t token, uint8_t reason)
{
    struct run *r = ctx;
    (void)c;
    (void)token;
    if (reason >= 0x80) {
        r->status = STATUS_FAILED;
        verb_warn(r->call, "a retained message was not cleared: reason 0x%02X %s", reason,
                  mqtt_reason_name(reason));
    }
    if (r->clearing)
        r->clearing--;
    if (r->ended)
        say_goodbye(r);
}

static void on_sub_ack(void *ctx, struct mqtt_client *c, uint64_t token, struct bytes reasons)
{
    struct run *r = ctx;
    const struct texts *list = token == SUBSCRIBE_TOKEN ? &r->topics : &r->sub->unsubscribe;
    const char *what = token == SUBSCRIBE_TOKEN ? "subscription" : "unsubscription";
    size_t refused = 0;
    (void)c;
    for (size_t i = 0; i < reasons.len; i++)
        if (reasons.at[i] >= 0x80) {
            refused++;
            if (!r->sub->quiet)
                verb_warn(r->call, "%s %s was refused: reason 0x%02X %s", what,
                          i < list->count ? list->at[i] : "", reasons.at[i], mqtt_reason_name(reasons.at[i]));
        }
    if (token == SUBSCRIBE_TOKEN && refused == reasons.len && refused)
        r->status = STATUS_FAILED;
    bool last = token == UNSUBSCRIBE_TOKEN || !r->leaving;
    if (r->status == STATUS_FAILED || (last && r->sub->leave))
        end(r);
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

static const struct mqtt_client_events events = {.on_connect = on_connect,
                                                 .on_auth = on_auth,
                                                 .on_message = on_message,
                                                 .on_ack = on_ack,
                                                 .on_sub_ack = on_sub_ack,
                                                 .on_close = on_close};

/* ---- the verb ---- */

static int make_filters(struct run *r, const struct texts *given, struct mqtt_filter **out)
{
    const struct sub *s = r->sub;
    if (!given->count)
        return STATUS_DONE;
    struct mqtt_filter *f = *out = mem_zalloc(given->count, sizeof *f);
    if (!f)
        return STATUS_FAILED;
    for (size_t i = 0; i < given->count; i++) {
        struct bytes filter = bytes_str(given->at[i]);
        if (!topic_filter_valid(filter, 65535, 65535))
            return verb_usage(r->call,
                              "'%s' is not a topic filter: + and # stand for whole levels, # only at the end",
                              given->at[i]);
        f[i] = (struct mqtt_filter){.next = i + 1 < given->count ? &f[i + 1] : NULL,
                                    .filter = filter,
                                    .qos = (uint8_t)s->qos,
                                    .retain_handling = (uint8_t)s->handling,
                                    .no_local = s->no_local,
                                    .retain_as_published = s->as_published};
    }
    return STATUS_DONE;
}

static int check_flags(struct run *r)
{
    const struct sub *s = r->sub;
    struct fault why;
    bool prints = !s->watch && !s->rate;
    if (!r->topics.count && !s->unsubscribe.count)
        return verb_usage(r->call, "-t, --topic FILTER is missing: what to subscribe to");
    if (s->watch && s->rate)
        return verb_usage(r->call, "--watch and --rate are two ways to look; choose one");
    if (!prints && s->pattern)
        return verb_usage(r->call, "-F says how single messages are printed; --watch and --rate print none");
    if (s->watch && s->format)
        return verb_usage(r->call,
                          "--watch is for people; -o json prints each message, --rate -o json the rates");
    if (s->pattern && s->format)
        return verb_usage(r->call, "-F and -o json are two ways to print a message; choose one");
    if (s->no_retained && s->only_retained)
        return verb_usage(r->call, "-R and --retained-only together leave nothing to print");
    if (!(s->random_percent >= 0 && s->random_percent <= 100))
        return verb_usage(r->call, "--random-filter is a percentage, from 0 to 100");
    if (s->pattern && message_format_check(s->pattern, &why) != CODE_OK)
        return verb_usage(r->call, "%s", why.text);
    return STATUS_DONE;
}

static enum code make_props(struct run *r, const struct mqtt_client_settings *settings, struct fault *why)
{
    const struct sub *s = r->sub;
    bool named = s->sub_id || s->user.count || s->no_local || s->as_published || s->handling;
    if (named && settings->version != MQTT_5)
        return FAIL(why, CODE_USAGE, 0,
                    "--subscription-identifier, --user-property, --no-local, --retain-as-published and "
                    "--retain-handling exist only in version 5; leave them out, or -V");
    if (s->sub_id)
        mqtt_put_varint(&r->props, MQTT_PROP_SUB_ID, s->sub_id);
    enum code c = mqtt_target_user_props(&s->user, &r->props, why);
    if (c == CODE_OK)
        c = mqtt_target_props(&s->target, "SUBSCRIBE", &r->props, why);
    if (c == CODE_OK)
        c = mqtt_target_props(&s->target, "UNSUBSCRIBE", &r->unsubscribe_props, why);
    return c;
}

static int go(struct run *r, const struct mqtt_client_settings *settings)
{
    struct fault why;
    if (make_props(r, settings, &why) != CODE_OK || loop_open_uv(&r->loop, &why) != CODE_OK)
        return verb_fail(r->call, &why);
    interrupt_watch();
    loop_set_turn(r->loop, on_turn, r);
    timer_start(r->loop, &r->signals, WATCH_SIGNAL_MS, on_signals);
    if (r->sub->wait_us)
        timer_start(r->loop, &r->wait, (int64_t)(r->sub->wait_us / 1000), on_wait);
    if (r->sub->watch || r->sub->rate)
        timer_start(r->loop, &r->redraw, REDRAW_MS, on_redraw);
    begin_rates(r);
    if (mqtt_client_open(&r->client, r->loop, settings, &events, r, &why) != CODE_OK) {
        r->status = verb_fail(r->call, &why);
    } else {
        loop_run(r->loop);
        mqtt_client_close(r->client);
    }
    timer_stop(r->loop, &r->wait);
    timer_stop(r->loop, &r->signals);
    timer_stop(r->loop, &r->redraw);
    loop_close(r->loop);
    return r->status;
}

static int with_settings(struct run *r, struct mqtt_client_settings *settings,
                         struct mqtt_target_memory *memory)
{
    int status = mqtt_target_settings(r->call, &r->sub->target, settings, memory);
    if (status != STATUS_DONE)
        return status;
    r->topics = r->sub->topics;
    r->url_topic = memory->topic;
    if (!r->topics.count && r->url_topic)
        r->topics = (struct texts){.at = &r->url_topic, .count = 1};
    r->goodbye = memory->goodbye;
    r->memory = memory;
    /* A broker may send as large a message as MQTT can carry. */
    if (!settings->packet_bytes)
        settings->packet_bytes = 268435460;
    status = check_flags(r);
    if (status == STATUS_DONE)
        status = make_filters(r, &r->topics, &r->filters);
    if (status == STATUS_DONE)
        status = make_filters(r, &r->sub->unsubscribe, &r->leaving);
    return status == STATUS_DONE ? go(r, settings) : status;
}

static int run(struct verb_call *call)
{
    struct run r = {.call = call, .sub = call->values};
    struct mqtt_client_settings settings;
    struct mqtt_target_memory memory = {0};
    int status = with_settings(&r, &settings, &memory);
    mqtt_target_clear(&memory);
    topic_watch_clear(&r.topic_values);
    topic_watch_clear(&r.filter_rates);
    buf_clear(&r.props);
    buf_clear(&r.unsubscribe_props);
    buf_clear(&r.line);
    mem_free(r.filters);
    mem_free(r.leaving);
    return status;
}

const struct verb verb_sub = {
    .name = "sub",
    .group = "messages",
    .summary = "subscribe to topics and print what comes",
    .examples = {"fieldgate sub -t 'factory/#' --watch",
                 "fieldgate sub -t 'factory/+/press-1/telemetry' -q 1 -c -i archive",
                 "fieldgate sub -t '#' -o json -C 10"},
    .detail = "Flags mean what they mean to mosquitto_sub, but for the version: it is 5 unless -V says "
              "otherwise.\n\n"
              "Patterns of -F: %t topic, %p payload, %x %X the same in hex, %l its length, %q QoS, %r "
              "retain, %m packet identifier,\n"
              "%C content type, %R response topic, %D correlation data, %E expiry, %F payload format, %S "
              "subscription identifiers,\n"
              "%A topic alias, %P user properties, %I and %U the time, %j all as JSON, %J with the payload "
              "as JSON; %20t pads.\n"
              "@Y-@m-@d @H:@M:@S and the other codes of strftime, @N nanoseconds. \\n \\t \\r \\0 \\e \\a "
              "\\v; %%, @@ and \\\\ themselves.\n\n"
              "Exit status: 0 done, 1 refused, lost, or -W before -C was reached; 2 wrong usage; 3 no broker "
              "there.",
    .flags = flags,
    .values_size = sizeof(struct sub),
    .run = run,
};
