/* verb_simulate.c - `fieldgate simulate`: machines that are not there.
 *
 *   simulate machine             one DHT11-like machine
 *   simulate fleet --devices 20  many of them, a connection each
 *   simulate --replay FILE.csv   recorded data, in order, with the pauses of the recording divided by --speed (0: as
 *                                fast as it is acknowledged)
 */
#include "base/mem.h"
#include "base/values.h"
#include "cli/interrupt.h"
#include "cli/mqtt_target.h"
#include "cli/verbs.h"
#include "sensor/machine.h"
#include "sensor/replay.h"

#include <stdio.h>

struct simulate {
    struct mqtt_target target;
    const char        *name, *topic, *file, *time_column, *value_column;
    uint32_t           qos, devices, disturb_every;
    uint64_t           interval_us, for_us, count, seed;
    double             speed, step;
    bool               quiet;
};

static const struct flag flags[] = {
    { 0, "name", FLAG_TEXT, FLAG_FIELD(struct simulate, name), .value = "NAME",
      .help = "the machine's name (default press-1); a fleet's are NAME-1, NAME-2 (default press)" },
    { 't', "topic", FLAG_TEXT, FLAG_FIELD(struct simulate, topic), .value = "TOPIC", .def = "factory/line1/{name}/telemetry",
      .help = "where to publish; {name} is the machine's" },
    { 0, "interval", FLAG_DURATION, FLAG_FIELD(struct simulate, interval_us), .value = "TIME", .min = 1000,
      .max = UINT64_C(86400000000), .def = "1s", .help = "time between readings" },
    { 0, "devices", FLAG_COUNT, FLAG_FIELD(struct simulate, devices), .value = "N", .min = 1, .max = 10000, .def = "20",
      .help = "machines of a fleet" },
    { 0, "disturb-every", FLAG_COUNT, FLAG_FIELD(struct simulate, disturb_every), .value = "N", .def = "60",
      .help = "readings between planted disturbances, 0 = none" },
    { 0, "step", FLAG_DECIMAL, FLAG_FIELD(struct simulate, step), .value = "STEP", .def = "1",
      .help = "resolution of the sensor in degrees and %" },
    { 0, "seed", FLAG_COUNT, FLAG_FIELD(struct simulate, seed), .value = "N", .def = "1", .help = "same seed, same readings" },
    { 0, "replay", FLAG_TEXT, FLAG_FIELD(struct simulate, file), .value = "FILE", .help = "publish a recorded CSV file" },
    { 0, "time", FLAG_TEXT, FLAG_FIELD(struct simulate, time_column), .value = "COLUMN", .def = "timestamp",
      .help = "its column of times" },
    { 0, "value", FLAG_TEXT, FLAG_FIELD(struct simulate, value_column), .value = "COLUMN", .def = "value",
      .help = "its column of values" },
    { 0, "speed", FLAG_DECIMAL, FLAG_FIELD(struct simulate, speed), .value = "N", .def = "1",
      .help = "how many times faster than recorded; 0 = as fast as it is acknowledged" },
    { 'q', "qos", FLAG_COUNT, FLAG_FIELD(struct simulate, qos), .value = "QOS", .max = 2, .def = "1", .help = "0, 1 or 2" },
    { 'C', "count", FLAG_COUNT, FLAG_FIELD(struct simulate, count), .value = "COUNT", .help = "end after so many readings of each machine" },
    { 0, "for", FLAG_DURATION, FLAG_FIELD(struct simulate, for_us), .value = "TIME", .help = "end after so long" },
    { 0, "quiet", FLAG_SWITCH, FLAG_FIELD(struct simulate, quiet), .help = "print only the sum" },
    MQTT_TARGET_FLAGS(struct simulate, target),
    FLAGS_END,
};

struct run;
struct device {
    struct run         *run;
    struct mqtt_client *client;
    struct timer        next;
    struct machine      machine;
    struct reading      reading;
    char                id[128], topic[1024], payload[512];
    size_t              payload_len;
    uint64_t            made, finished;
    bool                held, ended, closed;
};
struct run {
    struct verb_call *call;
    struct simulate  *sim;
    struct loop      *loop;
    struct replay    *replay;
    struct timer      watch, end;
    struct device    *devices;
    struct buf        props;
    uint32_t          count, open;
    uint64_t          acknowledged, refused;
    int64_t           replay_start_us, replay_first_us;
    bool              ending, fleet;
    int               status;
};

static int64_t now_us(const struct run *r)
{
    return r->call->io->monotonic_us(r->call->io->self);
}

static void finish_if_done(struct device *d)
{
    if (!d->ended || d->closed || (d->made != d->finished && d->run->status == STATUS_DONE))
        return;
    d->closed = true;
    timer_stop(d->run->loop, &d->next);
    mqtt_client_disconnect(d->client, 0);
}

static void fail(struct run *r, const struct fault *why)
{
    if (r->status == STATUS_DONE)
        r->status = verb_fail(r->call, why);
    loop_stop(r->loop);
}

static void end_all(struct run *r)
{
    r->ending = true;
    for (uint32_t i = 0; i < r->count; i++) {
        r->devices[i].ended = true;
        finish_if_done(&r->devices[i]);
    }
}

/* ---- what to publish next ---- */

/* Makes the next payload. False: there is none any more. *wait_ms: how long until it is due. */
static bool make_replayed(struct device *d, int64_t *wait_ms)
{
    struct run *r = d->run;
    struct replay_row row;
    struct fault why;
    enum code c = replay_next(r->replay, &row, &why);
    if (c == CODE_END)
        return false;
    if (c != CODE_OK) {
        fail(r, &why);
        return false;
    }
    struct buf json = { 0 };
    buf_printf(&json, "{\"%s\":", r->sim->time_column);
    buf_json(&json, row.time_text);
    buf_printf(&json, ",\"%s\":%.*s}", r->sim->value_column, BYTES_FMT(row.value));
    if (json.bad || buf_size(&json) > sizeof d->payload) {
        buf_clear(&json);
        (void)FAIL(&why, CODE_LIMIT, 0, "line %llu is too long for a message", (unsigned long long)row.line);
        fail(r, &why);
        return false;
    }
    d->payload_len = buf_size(&json);
    memcpy(d->payload, json.at + json.from, d->payload_len);
    buf_clear(&json);
    if (!r->replay_start_us) {
        r->replay_start_us = now_us(r);
        r->replay_first_us = row.time_us;
    }
    *wait_ms = 0;
    if (r->sim->speed > 0) {
        double due = (double)(row.time_us - r->replay_first_us) / r->sim->speed;
        double wait = due - (double)(now_us(r) - r->replay_start_us);
        *wait_ms = wait > 0 ? (int64_t)(wait / 1000) : 0;
    }
    return true;
}

static bool make_next(struct device *d, int64_t *wait_ms)
{
    struct run *r = d->run;
    if (r->sim->count && d->made >= r->sim->count)
        return false;
    if (r->replay)
        return make_replayed(d, wait_ms);
    machine_read(&d->machine, &d->reading);
    d->payload_len = reading_json(&d->machine, &d->reading, d->payload, sizeof d->payload);
    *wait_ms = d->made ? (int64_t)(r->sim->interval_us / 1000) : 0;
    return true;
}

static void say(const struct device *d)
{
    const struct run *r = d->run;
    char time[VALUE_TEXT_MAX];
    if (r->sim->quiet)
        return;
    static const char *const notes[] = { [MACHINE_CALM] = "", [MACHINE_HOT] = "   (planted: hot spell)",
                                         [MACHINE_HUMID] = "   (planted: humidity spike)", [MACHINE_DRY] = "   (planted: humidity dip)" };
    (void)fprintf(r->call->out, "%s  %s  %.*s%s\n", value_print_clock(r->call->io->wall_us(r->call->io->self), time), d->topic,
                  (int)d->payload_len, d->payload, r->replay ? "" : notes[d->reading.disturbed]);
    (void)fflush(r->call->out);
}

static void step(struct device *d);

static void on_due(struct timer *t)
{
    struct device *d = (struct device *)((char *)t - offsetof(struct device, next));
    d->held = true;
    step(d);
}

/* False: wait for on_ready. */
static bool publish(struct device *d)
{
    struct run *r = d->run;
    struct fault why;
    struct mqtt_client_message m = { .topic = bytes_str(d->topic), .payload = bytes_of(d->payload, d->payload_len),
                                     .props = buf_bytes(&r->props), .qos = (uint8_t)r->sim->qos };
    enum code c = mqtt_client_publish(d->client, &m, d->made, &why);
    if (c == CODE_AGAIN)
        return false;
    if (c != CODE_OK) {
        fail(r, &why);
        return false;
    }
    d->made++;
    if (r->sim->qos == 0)
        d->finished++;
    say(d);
    return true;
}

static void step(struct device *d)
{
    while (!d->ended) {
        int64_t wait_ms = 0;
        if (timer_running(&d->next))
            return;
        if (d->held) {
            if (!publish(d))
                return;
            d->held = false;
        }
        if (d->payload_len == 0 || !d->held) {
            if (!make_next(d, &wait_ms)) {
                d->ended = true;
                break;
            }
            if (wait_ms > 0) {
                timer_start(d->run->loop, &d->next, wait_ms, on_due);
                return;
            }
            d->held = true;
        }
    }
    finish_if_done(d);
}

/* ---- the clients ---- */

static void on_connect(void *ctx, struct mqtt_client *c, const struct mqtt_connack *ack)
{
    (void)c;
    (void)ack;
    step(ctx);
}

static void on_ready(void *ctx, struct mqtt_client *c)
{
    (void)c;
    step(ctx);
}

static void on_ack(void *ctx, struct mqtt_client *c, uint64_t token, uint8_t reason)
{
    struct device *d = ctx;
    struct run *r = d->run;
    (void)c;
    d->finished++;
    if (reason < 0x80) {
        r->acknowledged++;
    } else {
        r->refused++;
        verb_warn(r->call, "%s: reading %llu was not accepted: reason 0x%02X %s", d->id, (unsigned long long)token + 1, reason,
                  mqtt_reason_name(reason));
    }
    finish_if_done(d);
    if (!d->ended && !timer_running(&d->next))
        step(d);
}

static void on_close(void *ctx, struct mqtt_client *c, const struct fault *why, int64_t retry_ms)
{
    struct device *d = ctx;
    struct run *r = d->run;
    (void)c;
    if (retry_ms >= 0) {
        verb_warn(r->call, "%s: %s; again in %lld ms", d->id, why ? why->text : "closed", (long long)retry_ms);
        return;
    }
    if (why && !d->closed)
        fail(r, why);
    if (--r->open == 0)
        loop_stop(r->loop);
}

static const struct mqtt_client_events events = { .on_connect = on_connect, .on_ready = on_ready, .on_ack = on_ack,
                                                  .on_close = on_close };

static void on_watch(struct timer *t)
{
    struct run *r = (struct run *)((char *)t - offsetof(struct run, watch));
    if (interrupts > 1 || (interrupts && r->ending && r->open == 0))
        loop_stop(r->loop);
    if (interrupts && !r->ending)
        end_all(r);
    timer_start(r->loop, &r->watch, 50, on_watch);
}

static void on_end(struct timer *t)
{
    end_all((struct run *)((char *)t - offsetof(struct run, end)));
}

/* ---- setting up ---- */

static void fill_topic(const char *pattern, const char *name, char *out, size_t cap)
{
    const char *at = strstr(pattern, "{name}");
    if (at)
        (void)snprintf(out, cap, "%.*s%s%s", (int)(at - pattern), pattern, name, at + 6);
    else
        (void)snprintf(out, cap, "%s", pattern);
}

static enum code open_device(struct run *r, uint32_t i, const struct mqtt_client_settings *base, struct fault *why)
{
    struct device *d = &r->devices[i];
    d->run = r;
    if (r->fleet)
        (void)snprintf(d->id, sizeof d->id, "%s-%u", r->sim->name, i + 1);
    else
        (void)snprintf(d->id, sizeof d->id, "%s", r->sim->target.id ? r->sim->target.id : r->sim->name);
    fill_topic(r->sim->topic, r->fleet ? d->id : r->sim->name, d->topic, sizeof d->topic);
    machine_init(&d->machine, &(struct machine_config){ .seed = r->sim->seed + i, .temperature_step = r->sim->step,
                                                        .humidity_step = r->sim->step,
                                                        .disturb_every = r->sim->disturb_every });
    struct mqtt_client_settings s = *base;
    s.client_id = bytes_str(d->id);
    s.reconnect = true;
    return mqtt_client_open(&d->client, r->loop, &s, &events, d, why);
}

static int sum_up(struct run *r)
{
    uint64_t made = 0;
    for (uint32_t i = 0; i < r->count; i++)
        made += r->devices[i].made;
    (void)fprintf(r->call->out, "%llu sent, %llu acknowledged, %llu refused\n", (unsigned long long)made,
                  (unsigned long long)(r->sim->qos ? r->acknowledged : 0), (unsigned long long)r->refused);
    bool all = r->sim->qos == 0 || r->acknowledged == made;
    return r->status != STATUS_DONE ? r->status : all ? STATUS_DONE : STATUS_FAILED;
}

static int go(struct run *r, const struct mqtt_client_settings *settings)
{
    struct fault why;
    if (mqtt_target_props(&r->sim->target, "PUBLISH", &r->props, &why) != CODE_OK || loop_open_uv(&r->loop, &why) != CODE_OK)
        return verb_fail(r->call, &why);
    interrupt_watch();
    timer_start(r->loop, &r->watch, 50, on_watch);
    if (r->sim->for_us)
        timer_start(r->loop, &r->end, (int64_t)(r->sim->for_us / 1000), on_end);
    enum code c = CODE_OK;
    for (; c == CODE_OK && r->open < r->count; r->open += c == CODE_OK)
        c = open_device(r, r->open, settings, &why);
    if (c == CODE_OK)
        loop_run(r->loop);
    else
        r->status = verb_fail(r->call, &why);
    for (uint32_t i = 0; i < r->count; i++)
        if (r->devices[i].client) {
            timer_stop(r->loop, &r->devices[i].next);
            mqtt_client_close(r->devices[i].client);
        }
    timer_stop(r->loop, &r->watch);
    timer_stop(r->loop, &r->end);
    loop_close(r->loop);
    return sum_up(r);
}

static int choose(struct run *r)
{
    const struct texts *args = &r->call->options->args;
    const char *what = args->count ? args->at[0] : "machine";
    bool fleet = r->fleet = strcmp(what, "fleet") == 0;
    struct fault why;
    if (!fleet && strcmp(what, "machine") != 0)
        return verb_usage(r->call, "there is no '%s' to simulate; there is: machine, fleet", what);
    if (fleet && r->sim->file)
        return verb_usage(r->call, "a recording is replayed by one machine, not by a fleet");
    r->count = fleet ? r->sim->devices : 1;
    if (!r->sim->name)
        r->sim->name = fleet ? "press" : "press-1";
    r->devices = mem_zalloc(r->count, sizeof *r->devices);
    if (!r->devices)
        return STATUS_FAILED;
    if (r->sim->file && replay_open(&r->replay, r->call->io, r->sim->file, r->sim->time_column, r->sim->value_column, &why) != CODE_OK)
        return verb_fail(r->call, &why);
    return STATUS_DONE;
}

static int run(struct verb_call *call)
{
    struct run r = { .call = call, .sim = call->values };
    struct mqtt_client_settings settings;
    struct mqtt_target_memory memory = { 0 };
    int status = choose(&r);
    if (status == STATUS_DONE)
        status = mqtt_target_settings(call, &r.sim->target, &settings, &memory);
    if (status == STATUS_DONE)
        status = go(&r, &settings);
    mqtt_target_clear(&memory);
    buf_clear(&r.props);
    replay_close(r.replay);
    mem_free(r.devices);
    return status;
}

const struct verb verb_simulate = {
    .name = "simulate",
    .group = "messages",
    .summary = "a machine, a fleet or a recording that publishes telemetry",
    .examples = { "fieldgate simulate machine --name press-1", "fieldgate simulate fleet --devices 20 --interval 500ms --quiet",
                  "fieldgate simulate --replay data.csv --time timestamp --value value --speed 60" },
    .args = "[machine|fleet]",
    .args_max = 1,
    .flags = flags,
    .values_size = sizeof(struct simulate),
    .run = run,
};
