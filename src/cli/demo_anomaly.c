#include "cli/demo_anomaly.h"

#include "base/mem.h"
#include "base/values.h"
#include "cli/interrupt.h"
#include "mqtt/client.h"
#include "net/http.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TELEMETRY "factory/line1/press-1/telemetry"
#define COMMAND   "factory/line1/press-1/command"
#define ANOMALIES "$jobs/humidity/humidityAnomaly"

enum {
    HISTORY = 120, /* events the models learn from, within so many seconds */
    SPIKES = 3,
    FIRST_SPIKE = 180, /* the number of the reading, from 1 */
    BETWEEN_SPIKES = 70,
    BEFORE_PAUSE = FIRST_SPIKE + SPIKES * BETWEEN_SPIKES,
    AFTER_PAUSE = 200,
    INTERVAL_MS = 10, /* real time between two readings; of machine time it is a second */
    LOOK_MS = 50,
    SETTLE_MS = 3000
};

/* What became of one planted spike. */
struct found {
    int64_t sent_us;
    uint32_t anomalies; /* how often it was reported: once is wanted */
    int32_t stopped_us; /* from the reading to the machine's command; -1: never */
};

struct demo {
    struct verb_call *call;
    const struct demo_anomaly *plan;
    struct demo_node node;
    struct loop *loop;
    struct mqtt_client *press;
    struct http_call *models;
    struct buf answer;
    struct timer next, watch, look, settle;
    uint64_t number;   /* of the reading, from 1 */
    uint64_t until;    /* this act's last one */
    int64_t machine_s; /* the machine's clock */
    struct found spikes[SPIKES];
    uint64_t false_alarms, after_restart, acknowledged, unacknowledged;
    uint64_t learned, said_learned; /* of HISTORY, as the node says */
    bool restarted, ready, was_ready, learned_again, over, failed;
};

static int64_t now_us(const struct demo *d)
{
    return d->call->io->monotonic_us(d->call->io->self);
}

static void say(const struct demo *d, const char *who, const char *fmt, ...) FG_PRINTF(3, 4);
static void say(const struct demo *d, const char *who, const char *fmt, ...)
{
    char clock[VALUE_TEXT_MAX], text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)fprintf(d->call->out, "%.8s  %-8s  %s\n",
                  value_print_clock(d->call->io->wall_us(d->call->io->self), clock), who, text);
    (void)fflush(d->call->out);
}

static void fail(struct demo *d, const struct fault *why)
{
    if (!d->failed)
        (void)verb_fail(d->call, why);
    d->failed = true;
    loop_stop(d->loop);
}

/* ---- the machine ---- */

/* Which planted spike this reading is, or -1. */
static int spike_of(uint64_t number)
{
    if (number < FIRST_SPIKE || number > BEFORE_PAUSE || (number - FIRST_SPIKE) % BETWEEN_SPIKES != 0)
        return -1;
    uint64_t i = (number - FIRST_SPIKE) / BETWEEN_SPIKES;
    return i < SPIKES ? (int)i : -1;
}

/* A sensor that shows whole per cent: 18, and nothing else but the spikes. */
static double humidity(const struct demo *d)
{
    return spike_of(d->number) >= 0 ? d->plan->spike : 18;
}

static void end_act(struct timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, settle));
    d->over = true;
    loop_stop(d->loop);
}

static void on_next(struct timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, next));
    char json[200], when[40];
    struct fault why;
    struct tm tm;
    if (d->number == d->until || interrupts) {
        timer_start(d->loop, &d->settle, d->unacknowledged ? SETTLE_MS : SETTLE_MS / 3, end_act);
        return;
    }
    d->number++;
    d->machine_s++;
    time_t s = (time_t)d->machine_s;
    (void)gmtime_r(&s, &tm);
    (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    int n = snprintf(json, sizeof json,
                     "{\"deviceId\":\"press-1\",\"time\":\"%s\",\"n\":%llu,\"Humidity\":%.1f}", when,
                     (unsigned long long)d->number, humidity(d));
    int spike = spike_of(d->number);
    if (spike >= 0)
        d->spikes[spike].sent_us = now_us(d);
    struct mqtt_client_message m = {
        .topic = bytes_str(TELEMETRY), .payload = bytes_of(json, (size_t)n), .qos = 1};
    if (mqtt_client_publish(d->press, &m, d->number, &why) != CODE_OK) {
        fail(d, &why);
        return;
    }
    d->unacknowledged++;
    timer_start(d->loop, &d->next, INTERVAL_MS, on_next);
}

static void on_ack(void *ctx, struct mqtt_client *c, uint64_t token, uint8_t reason)
{
    struct demo *d = ctx;
    (void)c;
    (void)token;
    d->unacknowledged--;
    d->acknowledged += reason < 0x80;
}

/* ---- what comes back ---- */

static void on_anomaly(struct demo *d, const json_t *row)
{
    uint64_t number = (uint64_t)json_integer_value(json_object_get(row, "n"));
    const json_t *expected = json_object_get(row, "expected");
    int spike = spike_of(number);
    say(d, "anomaly", "press-1 Humidity %.1f (expected %.1f..%.1f)  score %.3g%s",
        json_number_value(json_object_get(row, "Humidity")),
        json_number_value(json_object_get(expected, "low")),
        json_number_value(json_object_get(expected, "high")),
        json_number_value(json_object_get(row, "score")), spike < 0 ? "  which was not planted" : "");
    if (spike >= 0)
        d->spikes[spike].anomalies++;
    else if (d->restarted)
        d->after_restart++;
    else
        d->false_alarms++;
}

static void on_command(struct demo *d, const json_t *command)
{
    int spike = spike_of((uint64_t)json_integer_value(json_object_get(command, "n")));
    if (spike < 0 || d->spikes[spike].stopped_us >= 0)
        return;
    d->spikes[spike].stopped_us = (int32_t)(now_us(d) - d->spikes[spike].sent_us);
    say(d, "action", "press-1 stopped, %.1f ms after the reading", d->spikes[spike].stopped_us / 1000.0);
}

static void on_message(void *ctx, struct mqtt_client *c, const struct mqtt_publish *p)
{
    struct demo *d = ctx;
    (void)c;
    json_t *body = json_loadb((const char *)p->payload.at, p->payload.len, 0, NULL);
    if (bytes_is(p->topic, ANOMALIES))
        on_anomaly(d, body);
    else
        on_command(d, body);
    json_decref(body);
}

static void on_sub_ack(void *ctx, struct mqtt_client *c, uint64_t token, struct bytes reasons)
{
    struct demo *d = ctx;
    struct fault why;
    (void)c;
    (void)token;
    if (reasons.len != 2 || reasons.at[0] >= 0x80 || reasons.at[1] >= 0x80) {
        (void)FAIL(&why, CODE_REFUSED, 0, "a subscription was refused");
        fail(d, &why);
        return;
    }
    on_next(&d->next);
}

static void on_connect(void *ctx, struct mqtt_client *c, const struct mqtt_connack *ack)
{
    struct mqtt_filter second = {.filter = BYTES_LIT(COMMAND), .qos = 1};
    struct mqtt_filter first = {.filter = BYTES_LIT(ANOMALIES), .qos = 1, .next = &second};
    struct fault why;
    (void)ack;
    if (mqtt_client_subscribe(c, &first, BYTES_NONE, 1, &why) != CODE_OK)
        fail(ctx, &why);
}

static void on_close(void *ctx, struct mqtt_client *c, const struct fault *why, int64_t retry_ms)
{
    struct demo *d = ctx;
    struct fault closed;
    (void)c;
    (void)retry_ms;
    (void)FAIL(&closed, CODE_IO, 0, "press-1 lost its connection: %s", why ? why->text : "closed");
    if (!d->over)
        fail(d, &closed);
}

static const struct mqtt_client_events press_calls = {.on_connect = on_connect,
                                                      .on_message = on_message,
                                                      .on_ack = on_ack,
                                                      .on_sub_ack = on_sub_ack,
                                                      .on_close = on_close};

/* ---- what the job has learned ---- */

static void learned(struct demo *d, const json_t *model)
{
    const char *state = json_string_value(json_object_get(model, "state"));
    d->learned = (uint64_t)json_integer_value(json_object_get(model, "learned"));
    bool ready = state && strcmp(state, "ready") == 0;
    if (ready && !d->ready)
        say(d, "job", "humidity: ready, %llu/%d", (unsigned long long)d->learned, HISTORY);
    else if (!ready && (d->learned / 40 != d->said_learned / 40 || (d->ready && !ready)))
        say(d, "job", "humidity: learning %llu/%d", (unsigned long long)d->learned, HISTORY);
    d->said_learned = d->learned;
    if (!ready && d->restarted)
        d->learned_again = true;
    d->was_ready = d->was_ready || (ready && !d->restarted);
    d->ready = ready;
}

static void on_models(void *ctx, struct bytes part)
{
    buf_add_bytes(&((struct demo *)ctx)->answer, part);
}

static void look(struct timer *t);

static void on_models_done(void *ctx, const struct fault *why)
{
    struct demo *d = ctx;
    struct bytes b = buf_bytes(&d->answer);
    d->models = NULL;
    if (!why) {
        json_t *tree = json_loadb((const char *)b.at, b.len, 0, NULL);
        json_t *first = json_array_get(json_object_get(tree, "models"), 0);
        if (first)
            learned(d, first);
        json_decref(tree);
    }
    buf_reset(&d->answer);
    timer_start(d->loop, &d->look, LOOK_MS, look);
}

static void look(struct timer *t)
{
    static const struct http_call_events calls = {.on_body = on_models, .on_done = on_models_done};
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, look));
    char host[340];
    struct fault why;
    (void)snprintf(host, sizeof host, "unix:%s/api.sock", d->node.data);
    d->answer.max = 1 << 20;
    if (http_call_open(&d->models, d->loop, host, 0, "GET", "/api/v1/jobs/models?name=humidity", BYTES_NONE,
                       &calls, d, &why) != CODE_OK)
        d->models = NULL;
}

/* ---- an act: one life of the node ---- */

static void on_watch(struct timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, watch));
    if (interrupts)
        loop_stop(d->loop);
    else
        timer_start(d->loop, &d->watch, 50, on_watch);
}

static void play(struct demo *d, uint64_t readings)
{
    struct mqtt_client_settings s = {.host = "127.0.0.1",
                                     .port = d->node.mqtt_port,
                                     .keep_alive_s = 30,
                                     .client_id = BYTES_LIT("press-1")};
    struct fault why;
    d->until = d->number + readings;
    d->over = false;
    if (loop_open_uv(&d->loop, &why) != CODE_OK) {
        (void)verb_fail(d->call, &why);
        d->failed = true;
        return;
    }
    timer_start(d->loop, &d->watch, 50, on_watch);
    timer_start(d->loop, &d->look, LOOK_MS, look);
    if (mqtt_client_open(&d->press, d->loop, &s, &press_calls, d, &why) == CODE_OK)
        loop_run(d->loop);
    else
        fail(d, &why);
    d->over = true;
    if (d->models)
        http_call_cancel(d->models);
    d->models = NULL;
    if (d->press)
        mqtt_client_close(d->press);
    d->press = NULL;
    timer_stop(d->loop, &d->next);
    timer_stop(d->loop, &d->watch);
    timer_stop(d->loop, &d->look);
    timer_stop(d->loop, &d->settle);
    loop_close(d->loop);
}

/* ---- settings ---- */

static enum code write_query(struct demo *d, struct fault *why)
{
    struct buf sql = {0};
    buf_printf(
        &sql,
        "--@ late: 20d\n"
        "WITH scored AS (\n"
        "  SELECT deviceId, time, n, Humidity,\n"
        "    AnomalyDetection_SpikeAndDip(CAST(Humidity AS float), %g, %d, 'spikes')\n"
        "      OVER (PARTITION BY deviceId LIMIT DURATION(second, %d)) AS s\n"
        "  FROM [factory/+/+/telemetry] TIMESTAMP BY time )\n"
        "SELECT deviceId, time, n, Humidity, GetRecordPropertyValue(s, 'Score') AS score,\n"
        "  GetRecordPropertyValue(s, 'Expected') AS expected\n"
        "INTO humidityAnomaly FROM scored WHERE CAST(GetRecordPropertyValue(s, 'IsAnomaly') AS bigint) = 1\n",
        d->plan->confidence, HISTORY, HISTORY);
    enum code c = sql.bad ? FAIL(why, CODE_NOMEM, 0, "no memory")
                          : io_replace(d->call->io, d->node.dir, "humidity.sql", buf_bytes(&sql), why);
    buf_clear(&sql);
    return c;
}

static enum code start_node(struct demo *d, struct fault *why)
{
    char more[1024];
    (void)snprintf(more, sizeof more,
                   "jobs:\n  humidity: \"%s/humidity.sql\"\n"
                   "actions:\n  stop-press:\n    on: humidity.humidityAnomaly\n"
                   "    do: { publish: { topic: \"factory/line1/${deviceId}/command\", message: "
                   "'{\"run\":false,\"n\":${n}}' } }\n",
                   d->node.dir);
    return demo_node_start(&d->node, d->call->io, "factory/+/+/telemetry", more, why);
}

/* ---- the verdict ---- */

static int verdict(struct demo *d)
{
    uint64_t found = 0, doubled = 0, stopped = 0;
    int32_t slowest = 0;
    for (size_t i = 0; i < SPIKES; i++) {
        found += d->spikes[i].anomalies > 0;
        doubled += d->spikes[i].anomalies > 1;
        stopped += d->spikes[i].stopped_us >= 0;
        slowest = d->spikes[i].stopped_us > slowest ? d->spikes[i].stopped_us : slowest;
    }
    bool whole = d->number == BEFORE_PAUSE + AFTER_PAUSE && d->acknowledged == d->number;
    bool ok = !d->failed && whole && found == SPIKES && stopped == SPIKES && !doubled && !d->false_alarms &&
              !d->after_restart && d->was_ready && d->learned_again;
    (void)fprintf(
        d->call->out,
        "anomaly %s: %llu of %d planted spikes found, %llu false, %llu after restart; stopped %llu times",
        ok ? "ok" : "failed", (unsigned long long)found, SPIKES, (unsigned long long)d->false_alarms,
        (unsigned long long)d->after_restart, (unsigned long long)stopped);
    if (stopped)
        (void)fprintf(d->call->out, ", slowest %.1f ms after the reading", slowest / 1000.0);
    (void)fprintf(d->call->out, ". ");
    if (doubled)
        (void)fprintf(d->call->out, "%llu reported twice. ", (unsigned long long)doubled);
    if (!whole)
        (void)fprintf(d->call->out, "%llu of %d readings were acknowledged. ",
                      (unsigned long long)d->acknowledged, BEFORE_PAUSE + AFTER_PAUSE);
    if (!d->was_ready)
        (void)fprintf(d->call->out, "the job was never ready. ");
    if (!d->learned_again)
        (void)fprintf(d->call->out, "the job did not learn again after the pause. ");
    (void)fprintf(d->call->out, "By hand: fieldgate help anomaly\n");
    return ok ? STATUS_DONE : STATUS_FAILED;
}

int demo_anomaly_run(struct verb_call *call, const struct demo_anomaly *plan)
{
    struct demo d = {
        .call = call, .plan = plan, .machine_s = call->io->wall_us(call->io->self) / 1000000 - 3600};
    struct fault why;
    for (size_t i = 0; i < SPIKES; i++)
        d.spikes[i].stopped_us = -1;
    interrupt_watch();
    enum code c = demo_node_make(&d.node, plan->keep, &why);
    if (c == CODE_OK)
        c = write_query(&d, &why);
    if (c == CODE_OK)
        c = start_node(&d, &why);
    if (c == CODE_OK) {
        (void)fprintf(call->out, "  mqtt 127.0.0.1:%u   metrics http://127.0.0.1:%u/metrics\n",
                      d.node.mqtt_port, d.node.http_port);
        say(&d, "job", "humidity: learning 0/%d", HISTORY);
        play(&d, BEFORE_PAUSE);
        c = demo_node_halt(&d.node, &why);
    }
    if (c == CODE_OK && !d.failed && !interrupts) {
        say(&d, "restart", "Fieldgate was away for %llu s of machine time (the window is %d s)",
            (unsigned long long)plan->pause_s, HISTORY);
        d.machine_s += (int64_t)plan->pause_s;
        d.restarted = true;
        d.ready = false;
        c = start_node(&d, &why);
        if (c == CODE_OK)
            play(&d, AFTER_PAUSE);
    }
    if (c != CODE_OK) {
        (void)verb_fail(call, &why);
        d.failed = true;
    }
    if (demo_node_stop(&d.node, plan->keep != NULL, &why) != CODE_OK && !d.failed) {
        (void)verb_fail(call, &why);
        d.failed = true;
    }
    buf_clear(&d.answer);
    return verdict(&d);
}
