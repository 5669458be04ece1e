/* verb_pub.c - `fieldgate pub`: publish messages. With -l, a message per line of standard input, as fast as they are
 * acknowledged. */
#include "base/mem.h"
#include "cli/mqtt_target.h"
#include "cli/stdin_feed.h"
#include "cli/verbs.h"

#include <stdio.h>

struct pub {
    struct mqtt_target target;
    const char *topic, *message, *file;
    uint32_t qos, inflight;
    bool retain, lines, null, stdin_file, quiet;
    uint32_t repeat;
    uint64_t repeat_delay_us, timeout_us;
    const char *content_type, *response_topic, *correlation;
    struct texts user;
    uint64_t expiry_us;
    uint32_t alias;
};

static const struct flag flags[] = {
    {'t', "topic", FLAG_TEXT, FLAG_FIELD(struct pub, topic), .value = "TOPIC", .help = "where to publish"},
    {'m', "message", FLAG_TEXT, FLAG_FIELD(struct pub, message), .value = "TEXT", .help = "the payload"},
    {'f', "file", FLAG_TEXT, FLAG_FIELD(struct pub, file), .value = "FILE",
     .help = "the payload is this file"},
    {'l', "stdin-line", FLAG_SWITCH, FLAG_FIELD(struct pub, lines),
     .help = "a message per line of standard input"},
    {'s', "stdin-file", FLAG_SWITCH, FLAG_FIELD(struct pub, stdin_file),
     .help = "the payload is all of standard input"},
    {'n', "null-message", FLAG_SWITCH, FLAG_FIELD(struct pub, null), .help = "an empty payload"},
    {'q', "qos", FLAG_COUNT, FLAG_FIELD(struct pub, qos), .value = "QOS", .max = 2, .help = "0, 1 or 2"},
    {'r', "retain", FLAG_SWITCH, FLAG_FIELD(struct pub, retain),
     .help = "the broker keeps the message for later subscribers"},
    {0, "repeat", FLAG_COUNT, FLAG_FIELD(struct pub, repeat), .value = "COUNT", .min = 1, .def = "1",
     .help = "publish so many times"},
    {0, "repeat-delay", FLAG_SECONDS, FLAG_FIELD(struct pub, repeat_delay_us), .value = "TIME",
     .help = "pause between them"},
    {'M', "max-inflight", FLAG_COUNT, FLAG_FIELD(struct pub, inflight), .value = "COUNT", .min = 1,
     .max = 65000, .def = "1024",
     .help = "so many QoS 1 and 2 messages wait for their acknowledgement at once"},
    {'W', "timeout", FLAG_SECONDS, FLAG_FIELD(struct pub, timeout_us), .value = "TIME", .def = "30",
     .help = "give up when the broker owes an answer for so long"},
    {0, "quiet", FLAG_SWITCH, FLAG_FIELD(struct pub, quiet), .help = "say nothing about refused messages"},
    {0, "content-type", FLAG_TEXT, FLAG_FIELD(struct pub, content_type), .value = "TYPE",
     .help = "such as application/json (5.0)"},
    {0, "response-topic", FLAG_TEXT, FLAG_FIELD(struct pub, response_topic), .value = "TOPIC",
     .help = "where an answer is expected (5.0)"},
    {0, "correlation-data", FLAG_TEXT, FLAG_FIELD(struct pub, correlation), .value = "TEXT",
     .help = "what the answer is to carry (5.0)"},
    {0, "user-property", FLAG_TEXTS, FLAG_FIELD(struct pub, user), .value = "NAME=VALUE",
     .help = "may be repeated (5.0)"},
    {0, "expiry", FLAG_SECONDS, FLAG_FIELD(struct pub, expiry_us), .value = "TIME",
     .help = "nobody gets it later than that (5.0)"},
    {0, "topic-alias", FLAG_COUNT, FLAG_FIELD(struct pub, alias), .value = "NUMBER", .min = 1, .max = 65535,
     .help = "the topic goes with the first message only (5.0)"},
    MQTT_TARGET_FLAGS(struct pub, target),
    MQTT_AUTH_FLAG(struct pub, target),
    FLAGS_END,
};

enum { INPUT_MAX = 268435455 }; /* the largest packet of MQTT */

struct run {
    struct verb_call *call;
    struct pub *pub;
    const struct mqtt_client_settings *settings;
    struct mqtt_target_memory *memory;
    struct loop *loop;
    struct mqtt_client *client;
    const char *topic;
    struct timer pause, silence;
    struct buf props, goodbye;
    struct buf input; /* -l: what came and is not sent yet; -s: all of it */
    size_t scanned;   /* -l: so much of it has no line end                */
    struct bytes payload;
    size_t payload_taken; /* -l: the line with its end */
    uint64_t sent, finished, refused;
    bool have_payload, stdin_ended, feeding, input_ended, ended;
    bool greeted;     /* the broker has said yes */
    bool asked, read; /* QoS 0: whether the broker has read it all, which nothing else would tell */
    int status;
};

static void end_loop(struct run *r)
{
    r->ended = true;
    loop_stop(r->loop);
}

static void fail(struct run *r, const struct fault *why)
{
    if (r->status == STATUS_DONE) {
        r->status = mqtt_target_fail(r->call, why);
        if (r->greeted && r->status == STATUS_NOT_RUNNING)
            r->status = STATUS_FAILED; /* a broker is there: it has ended the connection */
    }
    end_loop(r);
}

static void on_silence(struct timer *t)
{
    struct run *r = (struct run *)((char *)t - offsetof(struct run, silence));
    char place[MQTT_HOST_MAX + 8];
    struct fault why;
    unsigned long long seconds = r->pub->timeout_us / 1000000;
    (void)mqtt_target_place(r->settings, place);
    if (r->pub->qos == 0)
        (void)FAIL(&why, CODE_IO, 0, "%s did not answer for %llu s", place, seconds);
    else
        (void)FAIL(&why, CODE_IO, 0, "%s did not answer for %llu s; %llu of %llu messages are acknowledged", place,
                   seconds, (unsigned long long)r->finished, (unsigned long long)r->sent);
    fail(r, &why);
}

/* The broker is watched while it owes something. */
static void watch(struct run *r)
{
    bool owes = !mqtt_client_connected(r->client) || r->finished < r->sent || r->input_ended;
    if (owes && !r->ended)
        timer_start(r->loop, &r->silence, (int64_t)(r->pub->timeout_us / 1000), on_silence);
    else
        timer_stop(r->loop, &r->silence);
}

/* ---- payloads ---- */

/* The next line of what has come. False: none is complete yet. */
static bool next_line(struct run *r)
{
    struct bytes in = buf_bytes(&r->input);
    const uint8_t *end = in.len > r->scanned ? memchr(in.at + r->scanned, '\n', in.len - r->scanned) : NULL;
    if (!end && !(r->stdin_ended && in.len)) {
        r->scanned = in.len;
        return false;
    }
    r->payload = end ? bytes_of(in.at, (size_t)(end - in.at)) : in;
    r->payload_taken = r->payload.len + (end != NULL);
    return true;
}

static bool next_payload(struct run *r)
{
    if (r->have_payload)
        return true;
    if (r->pub->lines) {
        r->have_payload = next_line(r);
        if (!r->have_payload && !r->stdin_ended)
            stdin_feed_resume();
    } else {
        r->have_payload = r->sent < r->pub->repeat && (!r->feeding || r->stdin_ended);
    }
    return r->have_payload;
}

static void payload_sent(struct run *r)
{
    r->have_payload = false;
    if (r->pub->lines) {
        buf_take(&r->input, r->payload_taken);
        r->scanned = 0;
    }
}

/* ---- sending ---- */

static void finish_if_done(struct run *r)
{
    watch(r);
    if (!r->input_ended || r->finished < r->sent || r->ended)
        return;
    if (r->pub->qos == 0 && r->sent && !r->read) {
        r->asked = r->asked || mqtt_client_ping(r->client);
        return;
    }
    struct fault why;
    r->ended = true;
    timer_stop(r->loop, &r->silence);
    if (mqtt_client_disconnect_with(r->client, 0, buf_bytes(&r->goodbye), &why) != CODE_OK)
        fail(r, &why);
}

static void send_more(struct run *r);

static void on_pause(struct timer *t)
{
    send_more((struct run *)((char *)t - offsetof(struct run, pause)));
}

static bool more_to_come(const struct run *r)
{
    return r->feeding && !r->stdin_ended;
}

static void send_more(struct run *r)
{
    bool pausing = timer_running(&r->pause);
    while (!r->ended && !r->input_ended && !pausing && mqtt_client_connected(r->client)) {
        uint64_t before = r->sent;
        if (!next_payload(r)) {
            if (r->sent != before)
                continue; /* the resumed input was sent from within */
            r->input_ended = !more_to_come(r);
            break;
        }
        struct mqtt_client_message m = {.topic = bytes_str(r->topic),
                                        .payload = r->payload,
                                        .props = buf_bytes(&r->props),
                                        .qos = (uint8_t)r->pub->qos,
                                        .retain = r->pub->retain,
                                        .topic_alias = (uint16_t)r->pub->alias};
        struct fault why;
        enum code c = mqtt_client_publish(r->client, &m, r->sent, &why);
        if (c == CODE_AGAIN)
            return;
        if (c != CODE_OK) {
            fail(r, &why);
            return;
        }
        payload_sent(r);
        r->sent++;
        if (r->pub->qos == 0)
            r->finished++;
        pausing = r->pub->repeat_delay_us && (r->pub->lines || r->sent < r->pub->repeat);
        if (pausing)
            timer_start(r->loop, &r->pause, (int64_t)(r->pub->repeat_delay_us / 1000), on_pause);
    }
    finish_if_done(r);
}

/* ---- standard input ---- */

static bool on_piece(void *ctx, struct bytes piece)
{
    struct run *r = ctx;
    struct fault why;
    buf_add_bytes(&r->input, piece);
    if (r->input.bad) {
        (void)FAIL(&why, CODE_LIMIT, 0,
                   "the message on standard input is larger than %d bytes, the most that MQTT can carry",
                   INPUT_MAX);
        fail(r, &why);
        return false;
    }
    if (!r->pub->lines)
        return true;
    send_more(r);
    /* What cannot be sent now is not read either. */
    return !r->have_payload && !timer_running(&r->pause) && mqtt_client_connected(r->client);
}

static void on_end(void *ctx, const struct fault *why)
{
    struct run *r = ctx;
    if (why) {
        fail(r, why);
        return;
    }
    r->stdin_ended = true;
    if (!r->pub->lines)
        r->payload = buf_bytes(&r->input);
    send_more(r);
}

/* ---- the client ---- */

static void on_connect(void *ctx, struct mqtt_client *c, const struct mqtt_connack *ack)
{
    struct run *r = ctx;
    struct fault why;
    (void)c;
    r->greeted = true;
    if (mqtt_target_proven(r->memory, ack, &why) == CODE_OK)
        send_more(r);
    else
        fail(r, &why);
}

static enum code on_auth(void *ctx, struct mqtt_client *c, const struct mqtt_disconnect *in, struct buf *data, struct fault *why)
{
    (void)c;
    return mqtt_target_auth(((struct run *)ctx)->memory, in, data, why);
}

static void on_ready(void *ctx, struct mqtt_client *c)
{
    (void)c;
    send_more(ctx);
}

static void on_ack(void *ctx, struct mqtt_client *c, uint64_t token, uint8_t reason)
{
    struct run *r = ctx;
    (void)c;
    r->finished++;
    if (reason >= 0x80) {
        r->refused++;
        r->status = STATUS_FAILED;
        if (!r->pub->quiet)
            verb_warn(r->call, "message %llu was not accepted: reason 0x%02X %s",
                      (unsigned long long)token + 1, reason, mqtt_reason_name(reason));
    }
    finish_if_done(r);
}

/* A broker that ends the connection over a message has done so before it answers what came behind that. */
static void on_pong(void *ctx, struct mqtt_client *c)
{
    struct run *r = ctx;
    (void)c;
    r->read = true;
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

static const struct mqtt_client_events events = {
    .on_connect = on_connect, .on_auth = on_auth, .on_ready = on_ready, .on_ack = on_ack, .on_pong = on_pong,
    .on_close = on_close};

/* ---- the verb ---- */

static int load_payload(struct run *r, char **owned)
{
    struct pub *p = r->pub;
    struct fault why;
    size_t len;
    int ways = (p->message != NULL) + (p->file != NULL) + p->lines + p->null + p->stdin_file;
    if (ways != 1)
        return verb_usage(r->call, "say what to publish: one of -m TEXT, -f FILE, -l, -s or -n");
    if (p->lines && p->repeat > 1)
        return verb_usage(r->call, "--repeat is for one message, not for the lines of -l");
    r->feeding = p->lines || p->stdin_file;
    if (p->message)
        r->payload = bytes_str(p->message);
    if (p->file) {
        if (io_load(r->call->io, p->file, INPUT_MAX, owned, &len, &why) != CODE_OK)
            return verb_fail(r->call, &why);
        r->payload = bytes_of(*owned, len);
    }
    return STATUS_DONE;
}

/* The names of this verb's own, and -D PUBLISH. */
static enum code make_props(struct run *r, struct fault *why)
{
    const struct pub *p = r->pub;
    uint16_t alias = mqtt_target_alias(&p->target);
    bool named = p->content_type || p->response_topic || p->correlation || p->user.count || p->expiry_us ||
                 p->alias;
    if (named && r->settings->version != MQTT_5)
        return FAIL(why, CODE_USAGE, 0, "properties exist only in version 5; leave them out, or -V");
    if (p->content_type)
        mqtt_put_bytes(&r->props, MQTT_PROP_CONTENT_TYPE, bytes_str(p->content_type));
    if (p->response_topic)
        mqtt_put_bytes(&r->props, MQTT_PROP_RESPONSE_TOPIC, bytes_str(p->response_topic));
    if (p->correlation)
        mqtt_put_bytes(&r->props, MQTT_PROP_CORRELATION, bytes_str(p->correlation));
    if (p->expiry_us)
        mqtt_put_u32(&r->props, MQTT_PROP_MESSAGE_EXPIRY,
                     (uint32_t)(p->expiry_us / 1000000 ? p->expiry_us / 1000000 : 1));
    if (!p->alias)
        r->pub->alias = alias;
    enum code c = mqtt_target_user_props(&p->user, &r->props, why);
    return c != CODE_OK ? c : mqtt_target_props(&p->target, "PUBLISH", &r->props, why);
}

static enum code begin(struct run *r, struct fault *why)
{
    static const struct stdin_feed_events feed = {.on_piece = on_piece, .on_end = on_end};
    enum code c = mqtt_client_open(&r->client, r->loop, r->settings, &events, r, why);
    if (c != CODE_OK || !r->feeding)
        return c;
    c = stdin_feed_start(r->loop, &feed, r, why);
    if (c != CODE_OK)
        mqtt_client_close(r->client);
    return c;
}

static int go(struct run *r)
{
    struct fault why;
    if (make_props(r, &why) != CODE_OK || loop_open_uv(&r->loop, &why) != CODE_OK)
        return verb_fail(r->call, &why);
    if (begin(r, &why) != CODE_OK) {
        r->status = verb_fail(r->call, &why);
    } else {
        watch(r);
        loop_run(r->loop);
        if (r->feeding)
            stdin_feed_stop();
        mqtt_client_close(r->client);
    }
    timer_stop(r->loop, &r->silence);
    timer_stop(r->loop, &r->pause);
    loop_close(r->loop);
    return r->status;
}

static int with_settings(struct run *r, struct mqtt_client_settings *settings,
                         struct mqtt_target_memory *memory)
{
    int status = mqtt_target_settings(r->call, &r->pub->target, settings, memory);
    if (status != STATUS_DONE)
        return status;
    r->topic = r->pub->topic ? r->pub->topic : memory->topic;
    if (!r->topic)
        return verb_usage(r->call, "-t, --topic TOPIC is missing: where to publish");
    r->settings = settings;
    r->memory = memory;
    r->goodbye = memory->goodbye;
    settings->window = (uint16_t)r->pub->inflight;
    return go(r);
}

static int run(struct verb_call *call)
{
    struct run r = {.call = call, .pub = call->values, .input = {.max = INPUT_MAX}};
    struct mqtt_client_settings settings;
    struct mqtt_target_memory memory = {0};
    char *owned = NULL;
    int status = load_payload(&r, &owned);
    if (status == STATUS_DONE)
        status = with_settings(&r, &settings, &memory);
    mqtt_target_clear(&memory);
    buf_clear(&r.props);
    buf_clear(&r.input);
    mem_free(owned);
    return status;
}

const struct verb verb_pub = {
    .name = "pub",
    .group = "messages",
    .summary = "publish messages to a topic",
    .examples = {"fieldgate pub -t factory/line1/press-1/telemetry -m '{\"temperature\":21}' -q 1",
                 "seq 1000 | fieldgate pub -t count -l -q 1",
                 "fieldgate pub -t config/line1 -f line1.json -r --content-type application/json"},
    .detail =
        "Flags mean what they mean to mosquitto_pub, but for the version: it is 5 unless -V says otherwise.\n"
        "At QoS 0 the broker has read all of it before this ends, but MQTT has no answer that says what became of it: a message\n"
        "that no rule allows is dropped in silence, unless the broker ends the connection over it. With -q 1 it is told.\n"
        "Exit status: 0 sent, and at QoS 1 and 2 acknowledged; 1 not all of it; 2 wrong usage; 3 no broker "
        "there.",
    .flags = flags,
    .values_size = sizeof(struct pub),
    .run = run,
};
