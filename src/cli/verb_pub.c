/* verb_pub.c - `fieldgate pub`: publish messages. With -l, a message per line of standard input, as fast as they are
 * acknowledged. */
#include "base/mem.h"
#include "cli/mqtt_target.h"
#include "cli/verbs.h"

#include <stdio.h>

struct pub {
    struct mqtt_target target;
    const char        *topic, *message, *file;
    uint32_t           qos;
    bool               retain, lines, null, stdin_file, quiet;
    uint32_t           repeat;
    uint64_t           repeat_delay_us, timeout_us;
};

static const struct flag flags[] = {
    { 't', "topic", FLAG_TEXT, FLAG_FIELD(struct pub, topic), .value = "TOPIC", .required = true, .help = "where to publish" },
    { 'm', "message", FLAG_TEXT, FLAG_FIELD(struct pub, message), .value = "TEXT", .help = "the payload" },
    { 'f', "file", FLAG_TEXT, FLAG_FIELD(struct pub, file), .value = "FILE", .help = "the payload is this file" },
    { 'l', "stdin-line", FLAG_SWITCH, FLAG_FIELD(struct pub, lines), .help = "a message per line of standard input" },
    { 's', "stdin-file", FLAG_SWITCH, FLAG_FIELD(struct pub, stdin_file), .help = "the payload is all of standard input" },
    { 'n', "null-message", FLAG_SWITCH, FLAG_FIELD(struct pub, null), .help = "an empty payload" },
    { 'q', "qos", FLAG_COUNT, FLAG_FIELD(struct pub, qos), .value = "QOS", .max = 2, .help = "0, 1 or 2" },
    { 'r', "retain", FLAG_SWITCH, FLAG_FIELD(struct pub, retain), .help = "the broker keeps the message for later subscribers" },
    { 0, "repeat", FLAG_COUNT, FLAG_FIELD(struct pub, repeat), .value = "COUNT", .min = 1, .def = "1",
      .help = "publish so many times" },
    { 0, "repeat-delay", FLAG_SECONDS, FLAG_FIELD(struct pub, repeat_delay_us), .value = "TIME", .help = "pause between them" },
    { 'W', "timeout", FLAG_SECONDS, FLAG_FIELD(struct pub, timeout_us), .value = "TIME", .def = "30",
      .help = "give up when the broker is silent for so long" },
    { 0, "quiet", FLAG_SWITCH, FLAG_FIELD(struct pub, quiet), .help = "say nothing about refused messages" },
    MQTT_TARGET_FLAGS(struct pub, target),
    FLAGS_END,
};

enum { INPUT_MAX = 1 << 20 };

struct run {
    struct verb_call   *call;
    struct pub         *pub;
    struct loop        *loop;
    struct mqtt_client *client;
    struct timer        pause, silence;
    struct buf          props, line;
    struct bytes        payload;
    uint64_t            sent, finished, refused;
    bool                have_line, input_ended, ended;
    int                 status;
};

static void fail(struct run *r, const struct fault *why)
{
    if (r->status == STATUS_DONE)
        r->status = verb_fail(r->call, why);
    r->ended = true;
    loop_stop(r->loop);
}

static void on_silence(struct timer *t)
{
    struct run *r = (struct run *)((char *)t - offsetof(struct run, silence));
    struct fault why;
    (void)FAIL(&why, CODE_IO, 0, "%s:%u did not answer for %llu s; %llu of %llu messages are acknowledged", r->pub->target.host,
               r->pub->target.port, (unsigned long long)(r->pub->timeout_us / 1000000), (unsigned long long)r->finished,
               (unsigned long long)r->sent);
    fail(r, &why);
}

static void heard(struct run *r)
{
    timer_start(r->loop, &r->silence, (int64_t)(r->pub->timeout_us / 1000), on_silence);
}

/* The next payload of -l; false at the end of the input. */
static bool read_line(struct run *r)
{
    int c;
    buf_reset(&r->line);
    while ((c = getc(stdin)) != EOF && c != '\n')
        buf_u8(&r->line, (uint8_t)c);
    if (c == EOF && buf_size(&r->line) == 0)
        return false;
    r->payload = buf_bytes(&r->line);
    return true;
}

static bool next_payload(struct run *r)
{
    if (r->have_line)
        return true;
    if (r->pub->lines)
        r->have_line = read_line(r);
    else
        r->have_line = r->sent < r->pub->repeat;
    return r->have_line;
}

static void finish_if_done(struct run *r)
{
    if (r->input_ended && r->finished == r->sent && !r->ended) {
        r->ended = true;
        timer_stop(r->loop, &r->silence);
        mqtt_client_disconnect(r->client, 0);
    }
}

static void send_more(struct run *r);

static void on_pause(struct timer *t)
{
    send_more((struct run *)((char *)t - offsetof(struct run, pause)));
}

static void send_more(struct run *r)
{
    while (!r->ended && !r->input_ended && !timer_running(&r->pause)) {
        if (!next_payload(r)) {
            r->input_ended = true;
            break;
        }
        struct mqtt_client_message m = { .topic = bytes_str(r->pub->topic), .payload = r->payload,
                                         .props = buf_bytes(&r->props), .qos = (uint8_t)r->pub->qos, .retain = r->pub->retain };
        struct fault why;
        enum code c = mqtt_client_publish(r->client, &m, r->sent, &why);
        if (c == CODE_AGAIN)
            return;
        if (c != CODE_OK) {
            fail(r, &why);
            return;
        }
        r->have_line = false;
        r->sent++;
        if (r->pub->qos == 0)
            r->finished++;
        if (r->pub->repeat_delay_us && r->sent < r->pub->repeat)
            timer_start(r->loop, &r->pause, (int64_t)(r->pub->repeat_delay_us / 1000), on_pause);
    }
    finish_if_done(r);
}

static void on_connect(void *ctx, struct mqtt_client *c, const struct mqtt_connack *ack)
{
    (void)c;
    (void)ack;
    heard(ctx);
    send_more(ctx);
}

static void on_ready(void *ctx, struct mqtt_client *c)
{
    (void)c;
    heard(ctx);
    send_more(ctx);
}

static void on_ack(void *ctx, struct mqtt_client *c, uint64_t token, uint8_t reason)
{
    struct run *r = ctx;
    (void)c;
    heard(r);
    r->finished++;
    if (reason >= 0x80) {
        r->refused++;
        r->status = STATUS_FAILED;
        if (!r->pub->quiet)
            verb_warn(r->call, "message %llu was not accepted: reason 0x%02X %s", (unsigned long long)token + 1, reason,
                      mqtt_reason_name(reason));
    }
    finish_if_done(r);
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

static const struct mqtt_client_events events = { .on_connect = on_connect, .on_ready = on_ready, .on_ack = on_ack,
                                                  .on_close = on_close };

static int load_payload(struct run *r, char **owned)
{
    struct pub *p = r->pub;
    struct fault why;
    size_t len;
    int ways = (p->message != NULL) + (p->file != NULL) + p->lines + p->null + p->stdin_file;
    if (ways != 1)
        return verb_usage(r->call, "say what to publish: one of -m TEXT, -f FILE, -l, -s or -n");
    if (p->message)
        r->payload = bytes_str(p->message);
    if (p->file) {
        if (io_load(r->call->io, p->file, INPUT_MAX, owned, &len, &why) != CODE_OK)
            return verb_fail(r->call, &why);
        r->payload = bytes_of(*owned, len);
    }
    if (p->stdin_file) {
        int c;
        while ((c = getc(stdin)) != EOF)
            buf_u8(&r->line, (uint8_t)c);
        r->payload = buf_bytes(&r->line);
    }
    return STATUS_DONE;
}

static int go(struct run *r, const struct mqtt_client_settings *settings)
{
    struct fault why;
    if (mqtt_target_props(&r->pub->target, "PUBLISH", &r->props, &why) != CODE_OK ||
        loop_open_uv(&r->loop, &why) != CODE_OK)
        return verb_fail(r->call, &why);
    if (mqtt_client_open(&r->client, r->loop, settings, &events, r, &why) != CODE_OK) {
        r->status = verb_fail(r->call, &why);
    } else {
        heard(r);
        loop_run(r->loop);
        mqtt_client_close(r->client);
    }
    timer_stop(r->loop, &r->silence);
    timer_stop(r->loop, &r->pause);
    loop_close(r->loop);
    return r->status;
}

static int run(struct verb_call *call)
{
    struct run r = { .call = call, .pub = call->values, .line = { .max = INPUT_MAX } };
    struct mqtt_client_settings settings;
    struct mqtt_target_memory memory = { 0 };
    char *owned = NULL;
    int status = load_payload(&r, &owned);
    if (status == STATUS_DONE)
        status = mqtt_target_settings(call, &r.pub->target, &settings, &memory);
    if (status == STATUS_DONE)
        status = go(&r, &settings);
    mqtt_target_clear(&memory);
    buf_clear(&r.props);
    buf_clear(&r.line);
    mem_free(owned);
    return status;
}

const struct verb verb_pub = {
    .name = "pub",
    .group = "messages",
    .summary = "publish messages to a topic",
    .examples = { "fieldgate pub -t factory/line1/press-1/telemetry -m '{\"temperature\":21}' -q 1",
                  "seq 1000 | fieldgate pub -t count -l -q 1",
                  "fieldgate pub -t config/line1 -f line1.json -r -D PUBLISH content-type application/json" },
    .flags = flags,
    .values_size = sizeof(struct pub),
    .run = run,
};
