/* The API of a whole broker and journal in one thread, asked over simulated connections. */
#include "api/api_private.h"

#include "base/mem.h"
#include "message/message.h"
#include "support/broker_peer.h"
#include "support/broker_rig.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define CONTROL "unix:/data/api.sock"
#define PUBLIC "127.0.0.1:8080"

struct world {
    struct rig            *rig;
    struct api            *api;
    const struct settings *settings;
    struct listener       *control, *public;
    struct peer           *publisher;
};

/* Whatever became durable is told at once, as the node does it. */
static void look(void *ctx, struct rig *rig)
{
    struct world *w = ctx;
    (void)rig;
    if (w->api)
        api_poke(w->api);
}

static void open_world(struct world *w, struct rig_config *config)
{
    static const struct api_listener listeners[] = { { .type = "mqtt", .address = "127.0.0.1:1883" },
                                                     { .type = "http", .address = PUBLIC } };
    static const struct settings_flag flags[] = { { "data", "/data", "--data" },
                                                  { "site", "plant-a", "--set" } };
    struct fault why;
    *w = (struct world){ 0 };
    struct settings_source source = { .flags = flags, .flag_count = 2 };
    if (settings_load(&w->settings, &io_system, &source, NULL, &why) != CODE_OK)
        fail_msg("%s", why.text);
    config->look = look;
    config->ctx = w;
    w->rig = rig_new(config);
    if (rig_open(w->rig, &why) != CODE_OK)
        fail_msg("%s", why.text);
    struct api_config c = { .loop = w->rig->loops[0], .io = memfs_io(w->rig->fs), .view = { .settings = w->settings,
                            .listeners = listeners, .listener_count = 2 },
                            .data_dir = "/data", .broker = w->rig->broker, .journal = w->rig->journal,
                            .version = "1.2.3" };
    assert_int_equal(api_open(&w->api, &c, &why), CODE_OK);
    assert_int_equal(net_listen(&w->control, c.loop, CONTROL, api_accept_control, w->api, &why), CODE_OK);
    assert_int_equal(net_listen(&w->public, c.loop, PUBLIC, api_accept_public, w->api, &why), CODE_OK);
    w->publisher = peer_connected(
        w->rig, 0, &(struct peer_connect){ .client_id = "press-1", .clean_start = true }, false);
}

static void open_default(struct world *w)
{
    struct rig_config config;
    rig_defaults(&config);
    open_world(w, &config);
}

static void close_world(struct world *w)
{
    struct api *api = w->api;
    peer_close(w->publisher);
    api_stop(api);
    w->api = NULL; /* the look of rig_close comes too late */
    rig_close(w->rig);
    api_free(api);
    rig_free(w->rig);
    settings_free(w->settings);
}

static void publish(struct world *w, const char *topic, const char *payload)
{
    bool kept = strncmp(topic, "hub/", 4) == 0;
    peer_published(w->publisher, topic, payload, 1, false,
                   kept ? MQTT_SUCCESS : MQTT_NO_MATCHING_SUBSCRIBERS);
}

/* ---- asking ---- */

static struct sim_client *dial(struct world *w, const char *address, uint32_t uid)
{
    struct sim_client *c = sim_connect_from(w->rig->sim, address, NULL, uid);
    assert_non_null(c);
    return c;
}

static void send_request(struct world *w, struct sim_client *c, const char *method, const char *target)
{
    char text[512];
    int len = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\n\r\n", method, target);
    sim_send(c, bytes_of(text, (size_t)len));
    rig_run(w->rig);
}

struct answer {
    unsigned status;
    char    *head, *body; /* the body without its chunks; owned */
    bool     complete;
};

/* What has arrived so far. */
static struct answer parse(struct sim_client *c)
{
    struct answer a = { 0 };
    struct bytes in = sim_received(c);
    const uint8_t *end = memmem(in.at, in.len, "\r\n\r\n", 4);
    if (!end)
        fail_msg("no answer: %.*s", BYTES_FMT(in));
    a.head = mem_strndup(in.at, (size_t)(end - in.at));
    assert_int_equal(sscanf(a.head, "HTTP/1.1 %u", &a.status), 1);
    struct bytes rest = bytes_from(in, (size_t)(end - in.at) + 4);
    const char *length = strstr(a.head, "Content-Length: ");
    if (length) {
        a.body = mem_strndup(rest.at, rest.len);
        a.complete = strtoul(length + 16, NULL, 10) == rest.len;
        return a;
    }
    struct buf body = { 0 };
    while (rest.len) {
        const uint8_t *line = memmem(rest.at, rest.len, "\r\n", 2);
        size_t size = line ? strtoul((const char *)rest.at, NULL, 16) : 0,
               head = line ? (size_t)(line - rest.at) + 2 : 0;
        if (line && size == 0)
            a.complete = true;
        if (!line || size == 0 || rest.len < head + size + 2)
            break;
        buf_add(&body, rest.at + head, size);
        rest = bytes_from(rest, head + size + 2);
    }
    buf_u8(&body, 0);
    a.body = (char *)body.at;
    return a;
}

static void forget(struct answer *a)
{
    mem_free(a->head);
    mem_free(a->body);
}

static struct answer ask(struct world *w, const char *address, const char *method, const char *target)
{
    struct sim_client *c = dial(w, address, (uint32_t)geteuid());
    send_request(w, c, method, target);
    struct answer a = parse(c);
    sim_free(c);
    rig_run(w->rig);
    return a;
}

static void expect(struct world *w, const char *address, const char *method, const char *target,
                   unsigned status, const char *in_body)
{
    struct answer a = ask(w, address, method, target);
    if (a.status != status || !a.complete || (in_body && !strstr(a.body, in_body)))
        fail_msg("%s %s: %u, %s\n%s", method, target, a.status, a.complete ? "complete" : "cut", a.body);
    forget(&a);
}

static unsigned count_lines(const char *text)
{
    unsigned n = 0;
    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

/* ---- the tests ---- */

static void paths_methods_and_doors_are_checked(void **state)
{
    (void)state;
    struct world w;
    open_default(&w);
    expect(&w, PUBLIC, "GET", "/health", 200, "{\"status\":\"ok\"}");
    expect(&w, CONTROL, "GET", "/health", 200, "{\"status\":\"ok\"}");
    expect(&w, PUBLIC, "GET", "/", 404,
           "{\"error\":{\"code\":\"FG8001\",\"message\":\"there is no / here\"}}");
    expect(&w, PUBLIC, "GET", "/api/v1/status", 404, "FG8001");
    expect(&w, PUBLIC, "GET", "/api/v1/events", 404, "FG8001");
    expect(&w, CONTROL, "GET", "/api/v2/status", 404, "FG8001");
    expect(&w, CONTROL, "POST", "/api/v1/status", 405, "FG8002");
    struct answer a = ask(&w, PUBLIC, "DELETE", "/metrics");
    assert_int_equal(a.status, 405);
    assert_non_null(strstr(a.head, "Allow: GET, HEAD"));
    forget(&a);
    a = ask(&w, PUBLIC, "HEAD", "/metrics");
    assert_int_equal(a.status, 200);
    assert_string_equal(a.body, "");
    forget(&a);
    close_world(&w);
}

static void another_user_is_not_let_in(void **state)
{
    (void)state;
    struct world w;
    open_default(&w);
    struct sim_client *stranger = dial(&w, CONTROL, (uint32_t)geteuid() + 1), *root = dial(&w, CONTROL, 0);
    send_request(&w, stranger, "GET", "/health");
    send_request(&w, root, "GET", "/health");
    assert_true(sim_closed(stranger));
    assert_int_equal(sim_received(stranger).len, 0);
    struct answer a = parse(root);
    assert_int_equal(a.status, 200);
    forget(&a);
    sim_free(stranger);
    sim_free(root);
    close_world(&w);
}

static double metric(const char *text, const char *name)
{
    char line[128];
    (void)snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(text, line);
    if (!at)
        fail_msg("no metric %s", name);
    return strtod(at + strlen(line), NULL);
}

static void find_limit(void *ctx, const struct settings_line *line)
{
    const char *metrics = ctx;
    char want[128];
    if (strncmp(line->key, "limits.", 7) != 0 || strcmp(line->key, "limits.on-full") == 0)
        return;
    (void)snprintf(want, sizeof want, "\nfieldgate_limit{key=\"%s\"} ", line->key + 7);
    if (!strstr(metrics, want))
        fail_msg("/metrics does not show %s", line->key);
}

/* reliability: every row of the limits that concerns MQTT, WebSocket, HTTP or TLS has its limit, its use and its refusals. */
static void metrics_show_the_use_of_every_limit(void **state)
{
    (void)state;
    static const struct {
        const char *row, *keys;
    } rows[] = {
        { "L-PKT", "packet-bytes connect-bytes" },
        { "L-CONNECT", "connect-seconds" },
        { "L-CONNS", "connections connections-per-identity connections-per-address" },
        { "L-RATE", "connect-rate auth-failures" },
        { "L-HALF", "half-open" },
        { "L-INFL, L-QOS2", "receive-maximum" },
        { "L-QUEUE", "queued-bytes queued-messages refuse-seconds" },
        { "L-OUT", "unsent-bytes unsent-seconds" },
        { "L-MEM", "memory-bytes" },
        { "L-TOPIC", "topic-bytes topic-levels" },
        { "L-SUBS", "subscriptions filters-per-packet shared-groups" },
        { "L-FAN", "fan-out" },
        { "L-RETAIN", "retained-messages retained-bytes retained-per-identity" },
        { "L-PROP", "user-properties property-bytes" },
        { "L-ALIAS", "topic-aliases" },
        { "L-SESS", "session-expiry sessions-per-identity sessions" },
        { "L-KEEP", "keep-alive" },
        { "L-HTTP", "http-request-line http-headers http-header-count" },
        { "L-WS", "packet-bytes websocket-control-bytes websocket-fragments" },
        { "L-TLS", "tls-handshake-bytes tls-depth tls-certificates tls-rsa-bits" },
    };
    static const char *const kinds[] = { "limit", "limit_used", "limit_refused_total" };
    struct world w;
    open_default(&w);
    publish(&w, "hub/a/b/c", "some payload");
    struct answer a = ask(&w, PUBLIC, "GET", "/metrics");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char keys[128], want[128];
        (void)snprintf(keys, sizeof keys, "%s", rows[i].keys);
        for (char *key = strtok(keys, " "); key; key = strtok(NULL, " "))
            for (size_t k = 0; k < 3; k++) {
                (void)snprintf(want, sizeof want, "\nfieldgate_%s{key=\"%s\"} ", kinds[k], key);
                if (!strstr(a.body, want))
                    fail_msg("/metrics does not show %s of %s (%s)", kinds[k], key, rows[i].row);
            }
    }
    assert_true(metric(a.body, "fieldgate_limit_used{key=\"connections\"}") == 1);
    assert_true(metric(a.body, "fieldgate_limit_used{key=\"sessions\"}") == 1);
    assert_true(metric(a.body, "fieldgate_limit_used{key=\"topic-levels\"}") >= 4);
    assert_true(metric(a.body, "fieldgate_limit_used{key=\"topic-bytes\"}") >= 9);
    assert_true(metric(a.body, "fieldgate_limit_used{key=\"packet-bytes\"}") >= 12);
    assert_true(metric(a.body, "fieldgate_limit_used{key=\"http-request-line\"}") >= strlen("GET /metrics HTTP/1.1\r\n"));
    assert_true(metric(a.body, "fieldgate_limit{key=\"tls-rsa-bits\"}") == 8192);
    double before = metric(a.body, "fieldgate_limit_refused_total{key=\"http-request-line\"}");
    forget(&a);
    char request[16 * 1024];
    (void)memset(request, 'x', sizeof request);
    memcpy(request, "GET /", 5);
    struct sim_client *c = dial(&w, PUBLIC, (uint32_t)geteuid());
    sim_send(c, bytes_of(request, sizeof request));
    rig_run(w.rig);
    a = parse(c);
    sim_free(c);
    rig_run(w.rig);
    assert_int_equal(a.status, 414);
    forget(&a);
    a = ask(&w, PUBLIC, "GET", "/metrics");
    assert_true(metric(a.body, "fieldgate_limit_refused_total{key=\"http-request-line\"}") == before + 1);
    forget(&a);
    close_world(&w);
}

static void metrics_count_what_happened_and_show_every_limit(void **state)
{
    (void)state;
    struct world w;
    open_default(&w);
    publish(&w, "hub/a", "1");
    publish(&w, "hub/a", "22");
    publish(&w, "elsewhere", "3");
    struct answer a = ask(&w, PUBLIC, "GET", "/metrics");
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.head, "Content-Type: text/plain; version=0.0.4"));
    assert_true(metric(a.body, "fieldgate_mqtt_received_messages_total{qos=\"1\"}") == 3);
    assert_true(metric(a.body, "fieldgate_mqtt_received_bytes_total") == 4);
    assert_true(metric(a.body, "fieldgate_hub_messages_total") == 2);
    assert_true(metric(a.body, "fieldgate_mqtt_clients") == 1);
    assert_true(metric(a.body, "fieldgate_hub_partition_next{partition=\"0\"}") +
                    metric(a.body, "fieldgate_hub_partition_next{partition=\"1\"}") ==
                2);
    assert_true(metric(a.body, "fieldgate_journal_failed") == 0);
    assert_true(metric(a.body, "fieldgate_durability_disk") == 1);
    assert_true(metric(a.body, "fieldgate_process_open_fds") > 0);
    assert_int_equal(settings_each(w.settings, find_limit, a.body), CODE_OK);
    /* Every sample has its TYPE once, and every line is one of the three kinds. */
    for (char *line = strtok(a.body, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(strncmp(line, "# HELP fieldgate_", 17) == 0 ||
                    strncmp(line, "# TYPE fieldgate_", 17) == 0 ||
                    (strncmp(line, "fieldgate_", 10) == 0 && strchr(line, ' ')));
    forget(&a);
    close_world(&w);
}

static json_int_t number(const json_t *o, const char *group, const char *name)
{
    const json_t *v = json_object_get(group ? json_object_get(o, group) : o, name);
    if (!json_is_integer(v))
        fail_msg("%s.%s is no integer", group ? group : "", name);
    return json_integer_value(v);
}

static void status_tells_what_the_node_does(void **state)
{
    (void)state;
    struct world w;
    open_default(&w);
    for (int i = 0; i < 5; i++)
        publish(&w, "hub/a", "1");
    rig_advance(w.rig, 2000000);
    struct answer a = ask(&w, CONTROL, "GET", "/api/v1/status");
    assert_int_equal(a.status, 200);
    json_t *o = json_loads(a.body, 0, NULL);
    assert_true(json_is_object(o));
    assert_int_equal(number(o, NULL, "version"), 1);
    assert_string_equal(json_string_value(json_object_get(o, "state")), "active");
    assert_true(json_is_null(json_object_get(o, "trouble")));
    assert_string_equal(json_string_value(json_object_get(o, "program")), "1.2.3");
    assert_string_equal(json_string_value(json_object_get(o, "site")), "plant-a");
    assert_string_equal(json_string_value(json_object_get(o, "data")), "/data");
    assert_string_equal(json_string_value(json_object_get(o, "durability")), "disk");
    assert_int_equal(number(o, NULL, "pid"), getpid());
    assert_true(json_number_value(json_object_get(o, "uptime-seconds")) >= 2);
    assert_int_equal(json_array_size(json_object_get(o, "listeners")), 2);
    assert_int_equal(number(o, "mqtt", "clients"), 1);
    assert_int_equal(number(o, "hub", "stored"), 5);
    assert_int_equal(number(o, "hub", "keep-seconds"), 7 * 86400);
    assert_true(json_number_value(json_object_get(json_object_get(o, "hub"), "oldest-seconds")) >= 2);
    assert_int_equal(json_array_size(json_object_get(json_object_get(o, "hub"), "partitions")), 2);
    assert_int_equal(number(o, "accounts", "in"), 5);
    assert_int_equal(number(o, "accounts", "stored"), 5);
    assert_int_equal(number(o, "accounts", "acknowledged"), 5);
    assert_int_equal(number(o, "accounts", "lost"), 0);
    json_decref(o);
    forget(&a);
    close_world(&w);
}

static void rates_are_those_of_the_last_seconds(void **state)
{
    (void)state;
    struct world w;
    open_default(&w);
    rig_advance(w.rig, 1500000);
    for (int second = 0; second < 8; second++) {
        for (int i = 0; i < 20; i++)
            publish(&w, "hub/a", "1");
        rig_advance(w.rig, 1000000);
    }
    struct answer a = ask(&w, CONTROL, "GET", "/api/v1/status");
    json_t *o = json_loads(a.body, 0, NULL);
    double in = json_number_value(json_object_get(json_object_get(o, "mqtt"), "in-per-second"));
    assert_true(in > 15 && in < 25);
    json_decref(o);
    forget(&a);
    rig_advance(w.rig, 10000000);
    a = ask(&w, CONTROL, "GET", "/api/v1/status");
    assert_non_null(strstr(a.body, "\"in-per-second\":0.0,"));
    forget(&a);
    close_world(&w);
}

static void events_are_read_from_a_position_on(void **state)
{
    (void)state;
    struct world w;
    open_default(&w);
    publish(&w, "hub/a", "{\"n\": 0}");
    publish(&w, "hub/a", "{\"n\": 1}");
    publish(&w, "not/kept", "{\"n\": 2}");
    publish(&w, "hub/b", "text");
    struct answer a = ask(&w, CONTROL, "GET", "/api/v1/events?from=earliest");
    assert_int_equal(a.status, 200);
    assert_true(a.complete);
    assert_non_null(strstr(a.head, "Content-Type: application/jsonl"));
    assert_int_equal(count_lines(a.body), 3);
    assert_non_null(strstr(
        a.body, "\"source\":\"press-1\",\"topic\":\"hub/a\",\"qos\":1,\"retain\":false,\"properties\":{},"
                "\"body\":{\"n\":0}}\n{\"partition\":"));
    assert_non_null(strstr(a.body, "\"body\":\"text\"}\n"));
    forget(&a);
    expect(&w, CONTROL, "GET", "/api/v1/events?from=sequence%3A1&count=1", 200, "\"sequence\":1,");
    expect(&w, CONTROL, "GET", "/api/v1/events?from=time:0&until=1", 200, "");
    expect(&w, CONTROL, "GET", "/api/v1/events", 200, ""); /* latest, to the end: nothing */
    expect(&w, CONTROL, "HEAD", "/api/v1/events?follow=true", 200, "");
    close_world(&w);
}

static void a_wrong_question_is_answered_with_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *query, *want;
        unsigned    status;
    } table[] = {
        { "form=earliest", "there is no parameter 'form'. Did you mean 'from'?", 400 },
        { "colour=red", "there is no parameter 'colour'\"", 400 },
        { "from=yesterday", "from: a position is earliest, latest, sequence:N, offset:N or time:T", 400 },
        { "from=sequence:-1", "from: ", 400 },
        { "from=time:soon", "from: ", 400 },
        { "count=0", "count: ", 400 },
        { "partition=two", "partition: ", 400 },
        { "partition=2", "there is no partition 2: this hub has 2, 0 to 1", 404 },
        { "follow=perhaps", "follow: ", 400 },
        { "until=%zz", "the value of 'until' is longer than 127 bytes or not properly encoded", 400 },
    };
    struct world w;
    open_default(&w);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char target[256];
        (void)snprintf(target, sizeof target, "/api/v1/events?%s", table[i].query);
        expect(&w, CONTROL, "GET", target, table[i].status, table[i].want);
    }
    close_world(&w);
}

static void a_follower_gets_each_event_when_it_is_durable(void **state)
{
    (void)state;
    struct world w;
    open_default(&w);
    publish(&w, "hub/a", "0");
    struct sim_client *c = dial(&w, CONTROL, 0);
    send_request(&w, c, "GET", "/api/v1/events?follow=true");
    struct answer a = parse(c);
    assert_string_equal(a.body, "");
    forget(&a);
    for (unsigned i = 1; i <= 3; i++) {
        publish(&w, "hub/a", "1");
        rig_run(w.rig);
        a = parse(c);
        assert_int_equal(count_lines(a.body), i);
        assert_false(a.complete);
        forget(&a);
    }
    /* Gone without a word: the stream is given back (the leak checker looks). */
    sim_hang_up(c, true);
    rig_run(w.rig);
    assert_null(w.api->streams);
    publish(&w, "hub/a", "2");
    sim_free(c);
    close_world(&w);
}

static void a_follower_with_an_end_ends_at_its_time(void **state)
{
    (void)state;
    struct world w;
    open_default(&w);
    struct sim_client *c = dial(&w, CONTROL, 0);
    char target[128];
    (void)snprintf(target, sizeof target, "/api/v1/events?follow=true&until=%" PRId64,
                   rig_wall_us(w.rig) + 3000000);
    send_request(&w, c, "GET", target);
    publish(&w, "hub/a", "1");
    rig_advance(w.rig, 2000000);
    struct answer a = parse(c);
    assert_false(a.complete);
    forget(&a);
    rig_advance(w.rig, 2000000);
    publish(&w, "hub/a", "2");
    rig_run(w.rig);
    a = parse(c);
    assert_true(a.complete);
    assert_int_equal(count_lines(a.body), 1);
    forget(&a);
    sim_free(c);
    close_world(&w);
}

static void a_reader_that_does_not_read_costs_one_megabyte_and_loses_nothing(void **state)
{
    (void)state;
    enum { EVENTS = 60 };
    struct world w;
    struct rig_config config;
    rig_defaults(&config);
    config.segment_bytes = 1024 * 1024;
    open_world(&w, &config);
    size_t len = 100 * 1000;
    char *payload = malloc(len + 1);
    memset(payload, 'x', len);
    payload[len] = 0;
    for (unsigned i = 0; i < EVENTS; i++)
        publish(&w, "hub/a", payload);
    uint64_t before = mem_in_use();
    struct sim_client *c = dial(&w, CONTROL, 0);
    sim_stall(c, 1000);
    send_request(&w, c, "GET", "/api/v1/events?from=earliest");
    assert_non_null(w.api->streams);
    assert_true(mem_in_use() - before < 3 * 1024 * 1024);
    sim_stall(c, SIZE_MAX);
    rig_run(w.rig);
    rig_advance(w.rig, 1000000);
    struct answer a = parse(c);
    assert_true(a.complete);
    assert_int_equal(count_lines(a.body), EVENTS);
    forget(&a);
    sim_free(c);
    free(payload);
    close_world(&w);
}

static void a_stopping_node_ends_its_streams_and_takes_no_new_ones(void **state)
{
    (void)state;
    struct world w;
    open_default(&w);
    struct sim_client *c = dial(&w, CONTROL, 0), *late = dial(&w, CONTROL, 0);
    send_request(&w, c, "GET", "/api/v1/events?follow=true");
    api_stop(w.api);
    rig_run(w.rig);
    struct answer a = parse(c);
    assert_true(a.complete);
    assert_string_equal(a.body, "{\"error\":{\"code\":\"FG8005\",\"message\":\"the node is stopping\"}}\n");
    forget(&a);
    send_request(&w, late, "GET", "/api/v1/events?follow=true");
    a = parse(late);
    assert_int_equal(a.status, 503);
    assert_non_null(strstr(a.head, "Retry-After: "));
    forget(&a);
    sim_free(c);
    sim_free(late);
    close_world(&w);
}

static void a_full_disk_is_told_by_health_and_status(void **state)
{
    (void)state;
    struct world w;
    struct rig_config config;
    rig_defaults(&config);
    config.disk_reserve = 1024 * 1024;
    open_world(&w, &config);
    memfs_set_room(w.rig->fs, 64 * 1024);
    rig_advance(w.rig, 30000000);
    expect(&w, PUBLIC, "GET", "/health", 503,
           "{\"error\":{\"code\":\"FG7001\",\"message\":\"hub refuses new messages: /data has ");
    expect(&w, CONTROL, "GET", "/api/v1/status", 200,
           "\"state\":\"refusing\",\"trouble\":{\"code\":\"FG7001\"");
    expect(&w, PUBLIC, "GET", "/metrics", 200, "\nfieldgate_journal_full 1\n");
    memfs_set_room(w.rig->fs, UINT64_MAX);
    rig_advance(w.rig, 30000000);
    expect(&w, PUBLIC, "GET", "/health", 200, "ok");
    close_world(&w);
}

static void a_node_short_of_memory_lets_nobody_in_over_http(void **state)
{
    (void)state;
    enum { MEMORY = 16 << 20, HELD = 15 << 20 };
    static uint8_t payload[HELD];
    struct message_parts parts = { .topic = BYTES_LIT("held"), .payload = bytes_of(payload, HELD) };
    struct world w;
    struct rig_config config;
    rig_defaults(&config);
    config.limits.memory_bytes = MEMORY;
    open_world(&w, &config);
    struct message *held = message_new(&parts);
    assert_non_null(held);
    rig_advance(w.rig, 1100000);
    expect(&w, PUBLIC, "GET", "/health", 503, "{\"error\":{\"code\":\"FG2050\"");
    expect(&w, PUBLIC, "GET", "/mqtt", 503, "{\"error\":{\"code\":\"FG2050\"");
    expect(&w, CONTROL, "GET", "/api/v1/status", 200, "\"state\":\"refusing\",\"trouble\":{\"code\":\"FG2050\"");
    expect(&w, PUBLIC, "GET", "/metrics", 200, "fieldgate_"); /* it has to be seen */
    message_drop(held);
    rig_advance(w.rig, 1100000);
    expect(&w, PUBLIC, "GET", "/health", 200, "ok");
    close_world(&w);
}

static void a_failed_sync_is_told_until_the_end(void **state)
{
    (void)state;
    struct world w;
    open_default(&w);
    memfs_fail(w.rig->fs, FS_FDATASYNC, 1, EIO, false);
    (void)peer_publish(w.publisher, "hub/a", "1", 1, false);
    rig_advance(w.rig, 5000000);
    expect(&w, PUBLIC, "GET", "/health", 503, "{\"error\":{\"code\":\"FG7002\"");
    expect(&w, CONTROL, "GET", "/api/v1/status", 200, "FG7002");
    close_world(&w);
}

static void without_memory_a_question_is_refused_and_the_next_one_answered(void **state)
{
    (void)state;
    static const char *const targets[] = { "/health", "/metrics", "/api/v1/status",
                                           "/api/v1/events?from=earliest" };
    struct world w;
    open_default(&w);
    publish(&w, "hub/a", "{\"n\": 1}");
    for (size_t t = 0; t < sizeof targets / sizeof targets[0]; t++)
        for (uint64_t n = 1; n < 200; n++) {
            struct sim_client *c = dial(&w, CONTROL, 0);
            char text[128];
            int len = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[t]);
            sim_send(c, bytes_of(text, (size_t)len));
            mem_fail_at(n);
            rig_run(w.rig);
            bool fired = mem_fail_fired();
            mem_fail_at(0);
            rig_run(w.rig);
            sim_free(c);
            rig_run(w.rig);
            expect(&w, CONTROL, "GET", targets[t], 200, NULL);
            if (!fired)
                break;
        }
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_methods_and_doors_are_checked),
        cmocka_unit_test(another_user_is_not_let_in),
        cmocka_unit_test(metrics_show_the_use_of_every_limit),
        cmocka_unit_test(metrics_count_what_happened_and_show_every_limit),
        cmocka_unit_test(status_tells_what_the_node_does),
        cmocka_unit_test(rates_are_those_of_the_last_seconds),
        cmocka_unit_test(events_are_read_from_a_position_on),
        cmocka_unit_test(a_wrong_question_is_answered_with_what_would_be_right),
        cmocka_unit_test(a_follower_gets_each_event_when_it_is_durable),
        cmocka_unit_test(a_follower_with_an_end_ends_at_its_time),
        cmocka_unit_test(a_reader_that_does_not_read_costs_one_megabyte_and_loses_nothing),
        cmocka_unit_test(a_stopping_node_ends_its_streams_and_takes_no_new_ones),
        cmocka_unit_test(a_full_disk_is_told_by_health_and_status),
        cmocka_unit_test(a_node_short_of_memory_lets_nobody_in_over_http),
        cmocka_unit_test(a_failed_sync_is_told_until_the_end),
        cmocka_unit_test(without_memory_a_question_is_refused_and_the_next_one_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
