#include "cli/demo_anomaly.h"

#include "base/mem.h"
#include "base/values.h"
#include "cli/interrupt.h"
#include "cli/machine_server.h"
#include "mqtt/client.h"
#include "net/http.h"
#include "opcua/pki.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

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
    SETTLE_MS = 1000,
    SETTLE_MAX_MS = 6000,
    AGAIN_MS = 150, /* somebody starts the machine again so long after it was stopped */
    OPC_PORT = 4840,
    CONNECT_MS = 20000
};

/* What became of one planted spike. */
struct found {
    int64_t sent_us;
    uint32_t anomalies; /* how often it was reported: once is wanted */
    int32_t stopped_us; /* from the reading to the write of Run; -1: never */
};

struct demo {
    struct verb_call *call;
    const struct demo_anomaly *plan;
    struct demo_node node;
    struct loop *loop;
    struct ua_pki *pki;
    struct ua_server *server; /* the machine's */
    struct machine_server *press;
    unsigned temperature, humidity;
    struct mqtt_client *listener;
    struct http_call *asking;
    struct buf answer;
    struct timer next, watch, look, settle, again;
    uint64_t number;   /* of the reading, from 1 */
    uint64_t until;    /* this act's last one */
    int64_t machine_s; /* the machine's clock */
    int64_t began_s;   /* what it showed before the first reading */
    struct found spikes[SPIKES];
    uint64_t false_alarms, after_restart, false_stops;
    uint64_t seen;     /* by the model */
    int settled_ms;
    uint64_t learned, said_learned; /* of HISTORY, as the node says */
    bool listening, begun, restarted, ready, was_ready, learned_again, over, failed;
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

static bool all_is_told(const struct demo *d)
{
    for (size_t i = 0; i < SPIKES; i++)
        if (d->spikes[i].sent_us && d->spikes[i].stopped_us < 0)
            return false;
    return d->seen >= d->number;
}

/* Nothing false may come either, so a while is waited in any case; on a busy machine what is true takes longer. */
static void end_act(struct timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, settle));
    d->settled_ms += SETTLE_MS;
    if (!all_is_told(d) && d->settled_ms < SETTLE_MAX_MS && !interrupts) {
        timer_start(d->loop, t, SETTLE_MS, end_act);
        return;
    }
    d->over = true;
    loop_stop(d->loop);
}

static void on_next(struct timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, next));
    if (d->number == d->until || interrupts) {
        d->settled_ms = 0;
        timer_start(d->loop, &d->settle, SETTLE_MS, end_act);
        return;
    }
    d->number++;
    d->machine_s++;
    int spike = spike_of(d->number);
    if (spike >= 0)
        d->spikes[spike].sent_us = now_us(d);
    ua_time when = ua_time_from_us(d->machine_s * 1000000);
    machine_server_set_at(d->press, d->temperature, 21, when);
    machine_server_set_at(d->press, d->humidity, humidity(d), when);
    timer_start(d->loop, &d->next, INTERVAL_MS, on_next);
}

static void start_again(struct timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, again));
    machine_server_put_run(d->press, true);
}

/* The first one that has not stopped the machine yet. */
static struct found *pending_spike(struct demo *d)
{
    for (size_t i = 0; i < SPIKES; i++)
        if (d->spikes[i].sent_us && d->spikes[i].stopped_us < 0)
            return &d->spikes[i];
    return NULL;
}

static bool on_run(void *ctx, bool run)
{
    struct demo *d = ctx;
    struct found *spike = pending_spike(d);
    if (run)
        return true;
    if (!spike) {
        d->false_stops++;
        return true;
    }
    spike->stopped_us = (int32_t)(now_us(d) - spike->sent_us);
    say(d, "action", "press-1 stopped: OPC UA write ns=2;s=Run=false, %.1f ms after the reading", spike->stopped_us / 1000.0);
    timer_start(d->loop, &d->again, AGAIN_MS, start_again);
    return true;
}

static void on_user(void *ctx, struct ua_user_ask *ask)
{
    struct ua_server_user user = { .name = "demo", .kind = (uint8_t)ask->kind, .may_write = true, .may_call = true };
    (void)ctx;
    ua_user_answer(ask, UA_GOOD, &user);
}

static ua_status on_verify(void *ctx, struct ua_certificate *peer, struct fault *why)
{
    (void)ctx;
    (void)peer;
    (void)why;
    return UA_GOOD; /* loopback, and a machine that is not there */
}

static enum code listen_there(struct demo *d, struct fault *why)
{
    char at[40];
    (void)snprintf(at, sizeof at, "127.0.0.1:%d", OPC_PORT);
    enum code c = ua_server_listen(d->server, at, why);
    return c == CODE_EXISTS ? ua_server_listen(d->server, "127.0.0.1:0", why) : c;
}

static enum code open_press(struct demo *d, struct fault *why)
{
    static const struct machine_server_events events = { on_run };
    enum code c = ua_pki_open(&d->pki, d->call->io, d->node.dir, NULL, why);
    if (c != CODE_OK)
        return c;
    struct ua_server_options o = { .loop = d->loop, .io = d->call->io, .application_uri = ua_pki_uri(d->pki),
                                   .application_name = "press-1", .product_uri = "urn:fieldgate", .product_name = "Fieldgate demo",
                                   .manufacturer = "Fieldgate", .version = FG_VERSION, .build = FG_VERSION, .own = ua_pki_own(d->pki),
                                   .anonymous = true, .users = { on_user, d }, .verify = on_verify };
    o.offers[UA_POLICY_BASIC256SHA256] = 1 << UA_MODE_SIGN_AND_ENCRYPT;
    c = ua_server_open(&d->server, &o, why);
    if (c == CODE_OK)
        c = listen_there(d, why);
    if (c == CODE_OK)
        c = machine_server_open(&d->press, d->server, "press-1", &events, d, why);
    if (c == CODE_OK)
        c = machine_server_add(d->press, "Temperature", SENSOR_TEMPERATURE, &d->temperature, why);
    return c == CODE_OK ? machine_server_add(d->press, "Humidity", SENSOR_HUMIDITY, &d->humidity, why) : c;
}

/* ---- what comes back ---- */

/* Which reading this is, by the machine's clock; 0: none. */
static uint64_t number_at(const struct demo *d, const char *time)
{
    struct fault why;
    int64_t us;
    if (!time || value_parse_time(bytes_str(time), 0, &us, &why) != CODE_OK)
        return 0;
    int64_t n = us / 1000000 - d->began_s;
    if (n > BEFORE_PAUSE)
        n -= (int64_t)d->plan->pause_s;
    return n > 0 ? (uint64_t)n : 0;
}

static void on_anomaly(struct demo *d, const json_t *row)
{
    uint64_t number = number_at(d, json_string_value(json_object_get(row, "time")));
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

static void on_message(void *ctx, struct mqtt_client *c, const struct mqtt_publish *p)
{
    struct demo *d = ctx;
    (void)c;
    json_t *body = json_loadb((const char *)p->payload.at, p->payload.len, 0, NULL);
    on_anomaly(d, body);
    json_decref(body);
}

static void on_sub_ack(void *ctx, struct mqtt_client *c, uint64_t token, struct bytes reasons)
{
    struct demo *d = ctx;
    struct fault why;
    (void)c;
    (void)token;
    d->listening = reasons.len == 1 && reasons.at[0] < 0x80;
    if (d->listening)
        return;
    (void)FAIL(&why, CODE_REFUSED, 0, "the subscription was refused");
    fail(d, &why);
}

static void on_connect(void *ctx, struct mqtt_client *c, const struct mqtt_connack *ack)
{
    struct mqtt_filter filter = {.filter = BYTES_LIT(ANOMALIES), .qos = 1};
    struct fault why;
    (void)ack;
    if (mqtt_client_subscribe(c, &filter, BYTES_NONE, 1, &why) != CODE_OK)
        fail(ctx, &why);
}

static void on_close(void *ctx, struct mqtt_client *c, const struct fault *why, int64_t retry_ms)
{
    struct demo *d = ctx;
    struct fault closed;
    (void)c;
    (void)retry_ms;
    (void)FAIL(&closed, CODE_IO, 0, "the node ended the connection: %s", why ? why->text : "closed");
    if (!d->over)
        fail(d, &closed);
}

static const struct mqtt_client_events listener_calls = {.on_connect = on_connect,
                                                         .on_message = on_message,
                                                         .on_sub_ack = on_sub_ack,
                                                         .on_close = on_close};

/* ---- what the job has learned ---- */

static void learned(struct demo *d, const json_t *model)
{
    const char *state = json_string_value(json_object_get(model, "state"));
    d->learned = (uint64_t)json_integer_value(json_object_get(model, "learned"));
    d->seen = (uint64_t)json_integer_value(json_object_get(model, "seen"));
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

static void on_part(void *ctx, struct bytes part)
{
    buf_add_bytes(&((struct demo *)ctx)->answer, part);
}

/* The machine begins to measure when both of its nodes are read. */
static void connected(struct demo *d, const json_t *opcua)
{
    if (d->begun || !d->listening || json_integer_value(json_object_get(opcua, "good")) != 2)
        return;
    d->begun = true;
    timer_stop(d->loop, &d->settle);
    say(d, "opcua", "opc.tcp://127.0.0.1:%u connected, signed and encrypted, 2 nodes (Temperature, Humidity)", ua_server_port(d->server));
    on_next(&d->next);
}

static void look(struct timer *t);

static void on_answer(void *ctx, const struct fault *why)
{
    struct demo *d = ctx;
    struct bytes b = buf_bytes(&d->answer);
    d->asking = NULL;
    if (!why) {
        json_t *tree = json_loadb((const char *)b.at, b.len, 0, NULL);
        json_t *model = json_array_get(json_object_get(tree, "models"), 0), *opcua = json_object_get(tree, "opcua");
        if (model)
            learned(d, model);
        if (opcua)
            connected(d, opcua);
        json_decref(tree);
    }
    buf_reset(&d->answer);
    timer_start(d->loop, &d->look, LOOK_MS, look);
}

static void look(struct timer *t)
{
    static const struct http_call_events calls = {.on_body = on_part, .on_done = on_answer};
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, look));
    char host[340];
    struct fault why;
    (void)snprintf(host, sizeof host, "unix:%s/api.sock", d->node.data);
    d->answer.max = 1 << 20;
    if (http_call_open(&d->asking, d->loop, host, 0, "GET", d->begun ? "/api/v1/jobs/models?name=humidity" : "/api/v1/status",
                       BYTES_NONE, &calls, d, &why) != CODE_OK)
        d->asking = NULL;
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

static void too_late(struct timer *t)
{
    struct demo *d = (struct demo *)((char *)t - offsetof(struct demo, settle));
    struct fault why;
    (void)FAIL(&why, CODE_IO, 0, "the node has not connected to the machine in %d s", CONNECT_MS / 1000);
    fail(d, &why);
}

static void play(struct demo *d, uint64_t readings)
{
    struct mqtt_client_settings s = {.host = "127.0.0.1",
                                     .port = d->node.mqtt_port,
                                     .keep_alive_s = 30,
                                     .client_id = BYTES_LIT("listener")};
    struct fault why;
    d->until = d->number + readings;
    d->over = d->begun = d->listening = false;
    timer_start(d->loop, &d->watch, 50, on_watch);
    timer_start(d->loop, &d->look, LOOK_MS, look);
    timer_start(d->loop, &d->settle, CONNECT_MS, too_late);
    if (mqtt_client_open(&d->listener, d->loop, &s, &listener_calls, d, &why) == CODE_OK)
        loop_run(d->loop);
    else
        fail(d, &why);
    d->over = true;
    if (d->asking)
        http_call_cancel(d->asking);
    d->asking = NULL;
    buf_reset(&d->answer);
    if (d->listener)
        mqtt_client_close(d->listener);
    d->listener = NULL;
    timer_stop(d->loop, &d->next);
    timer_stop(d->loop, &d->watch);
    timer_stop(d->loop, &d->look);
    timer_stop(d->loop, &d->settle);
}

/* ---- settings ---- */

static enum code write_query(struct demo *d, struct fault *why)
{
    struct buf sql = {0};
    buf_printf(
        &sql,
        "--@ late: 20d\n"
        "WITH readings AS (\n"
        "  SELECT ApplicationUri, Value.SourceTimestamp AS time, Value.Value AS Humidity\n"
        "  FROM opcua TIMESTAMP BY Value.SourceTimestamp\n"
        "  WHERE DisplayName = 'Humidity' ),\n"
        "scored AS (\n"
        "  SELECT time, Humidity, AnomalyDetection_SpikeAndDip(CAST(Humidity AS float), %g, %d, 'spikes')\n"
        "    OVER (PARTITION BY ApplicationUri LIMIT DURATION(second, %d)) AS s\n"
        "  FROM readings )\n"
        "SELECT time, Humidity, GetRecordPropertyValue(s, 'Score') AS score,\n"
        "  GetRecordPropertyValue(s, 'Expected') AS expected\n"
        "INTO humidityAnomaly FROM scored WHERE CAST(GetRecordPropertyValue(s, 'IsAnomaly') AS bigint) = 1\n",
        d->plan->confidence, HISTORY, HISTORY);
    enum code c = sql.bad ? FAIL(why, CODE_NOMEM, 0, "no memory")
                          : io_replace(d->call->io, d->node.dir, "humidity.sql", buf_bytes(&sql), why);
    buf_clear(&sql);
    return c;
}

/* A file as for OPC Publisher. Each reading counts, also one of the same value: the trigger is the time, too. */
static enum code write_nodes(struct demo *d, struct fault *why)
{
    static const char *const names[] = { "Temperature", "Humidity" };
    struct buf json = {0};
    buf_printf(&json, "[ { \"EndpointUrl\": \"opc.tcp://127.0.0.1:%u\", \"UseSecurity\": true,\n    \"OpcNodes\": [\n", ua_server_port(d->server));
    for (size_t i = 0; i < 2; i++)
        buf_printf(&json,
                   "      { \"Id\": \"ns=2;s=%s\", \"OpcSamplingInterval\": 0, \"OpcPublishingInterval\": 10,\n"
                   "        \"DataChangeTrigger\": \"StatusValueTimestamp\", \"QueueSize\": 1000, \"SkipFirst\": true }%s\n",
                   names[i], i ? "" : ",");
    buf_printf(&json, "    ] } ]\n");
    enum code c = json.bad ? FAIL(why, CODE_NOMEM, 0, "no memory")
                           : io_replace(d->call->io, d->node.dir, "publishednodes.json", buf_bytes(&json), why);
    buf_clear(&json);
    return c;
}

static enum code start_node(struct demo *d, struct fault *why)
{
    char more[2048];
    (void)snprintf(more, sizeof more,
                   "opcua:\n  published-nodes: \"%s/publishednodes.json\"\n"
                   "  options: --ns=true --fd=true --aa --si=0 --ms=0\n"
                   "  servers:\n    press-1: { url: \"opc.tcp://127.0.0.1:%u\", accept-any: true }\n"
                   "jobs:\n  humidity: \"%s/humidity.sql\"\n"
                   "actions:\n  stop-press:\n    on: humidity.humidityAnomaly\n"
                   "    do: { opcua-write: { server: press-1, node: \"ns=2;s=Run\", value: false } }\n",
                   d->node.dir, ua_server_port(d->server), d->node.dir);
    return demo_node_start(&d->node, d->call->io, "opcua/#", more, why);
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
    bool whole = d->number == BEFORE_PAUSE + AFTER_PAUSE && d->seen == d->number;
    bool ok = !d->failed && whole && found == SPIKES && stopped == SPIKES && !doubled && !d->false_alarms &&
              !d->false_stops && !d->after_restart && d->was_ready && d->learned_again;
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
        (void)fprintf(d->call->out, "the model saw %llu of %d readings. ",
                      (unsigned long long)d->seen, BEFORE_PAUSE + AFTER_PAUSE);
    if (d->false_stops)
        (void)fprintf(d->call->out, "stopped %llu times without a reason. ", (unsigned long long)d->false_stops);
    if (!d->was_ready)
        (void)fprintf(d->call->out, "the job was never ready. ");
    if (!d->learned_again)
        (void)fprintf(d->call->out, "the job did not learn again after the pause. ");
    (void)fprintf(d->call->out, "By hand: fieldgate help anomaly\n");
    return ok ? STATUS_DONE : STATUS_FAILED;
}

static enum code first_act(struct demo *d, struct fault *why)
{
    enum code c = demo_node_make(&d->node, d->plan->keep, why);
    if (c == CODE_OK)
        c = loop_open_uv(&d->loop, why);
    if (c == CODE_OK)
        c = open_press(d, why);
    if (c == CODE_OK)
        c = write_query(d, why);
    if (c == CODE_OK)
        c = write_nodes(d, why);
    if (c == CODE_OK)
        c = start_node(d, why);
    if (c != CODE_OK)
        return c;
    (void)fprintf(d->call->out, "  mqtt 127.0.0.1:%u   metrics http://127.0.0.1:%u/metrics   machine opc.tcp://127.0.0.1:%u\n",
                  d->node.mqtt_port, d->node.http_port, ua_server_port(d->server));
    say(d, "job", "humidity: learning 0/%d", HISTORY);
    play(d, BEFORE_PAUSE);
    return demo_node_halt(&d->node, why);
}

static enum code second_act(struct demo *d, struct fault *why)
{
    say(d, "restart", "Fieldgate was away for %llu s of machine time (the window is %d s)",
        (unsigned long long)d->plan->pause_s, HISTORY);
    d->machine_s += (int64_t)d->plan->pause_s;
    d->restarted = true;
    d->ready = false;
    enum code c = start_node(d, why);
    if (c == CODE_OK)
        play(d, AFTER_PAUSE);
    return c;
}

int demo_anomaly_run(struct verb_call *call, const struct demo_anomaly *plan)
{
    struct demo d = {
        .call = call, .plan = plan, .machine_s = call->io->wall_us(call->io->self) / 1000000 - 3600};
    struct fault why;
    d.began_s = d.machine_s;
    for (size_t i = 0; i < SPIKES; i++)
        d.spikes[i].stopped_us = -1;
    interrupt_watch();
    enum code c = first_act(&d, &why);
    if (c == CODE_OK && !d.failed && !interrupts)
        c = second_act(&d, &why);
    if (c != CODE_OK) {
        (void)verb_fail(call, &why);
        d.failed = true;
    }
    if (demo_node_stop(&d.node, plan->keep != NULL, &why) != CODE_OK && !d.failed) {
        (void)verb_fail(call, &why);
        d.failed = true;
    }
    machine_server_close(d.press);
    if (d.server)
        ua_server_close(d.server);
    if (d.loop)
        loop_close(d.loop);
    ua_pki_close(d.pki);
    buf_clear(&d.answer);
    return verdict(&d);
}
