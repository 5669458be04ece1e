/* action_test_stage.h - a broker with loops and a journal of its own threads, on a disk in memory, and actions on it; and a web server
 * that answers as it is told. Included by one test file each, after cmocka.h.
 *
 * A crash (stage_crash): the disk is copied as it is at that moment, everything is closed, and begins again on the copy.
 */
#pragma once

#include "action/action.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/consumer.h"
#include "message/message.h"
#include "net/loop.h"
#include "net/tls.h"
#include "support/memfs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { STAGE_LOOPS = 2, STAGE_PATIENCE_MS = 20000 };

struct stage {
    struct memfs *fs;
    struct io io;
    struct loop *loops[STAGE_LOOPS];
    pthread_t threads[STAGE_LOOPS];
    struct broker *broker;
    struct journal *journal;
    struct actions *actions;
    struct consumer *feeder, *watch;
    uint64_t watched;
};

#define ARRAY_COUNT(a) (sizeof(a) / sizeof(a)[0])

static void must(enum code c, const struct fault *why)
{
    if (c != CODE_OK)
        fail_msg("%s: %s", code_name(c), why->text);
}

/* ---- a clock that can be set, and moves ---- */

static _Atomic int64_t stage_offset_us;

static int64_t stage_wall(void *self)
{
    (void)self;
    return io_system.wall_us(io_system.self) + atomic_load(&stage_offset_us);
}

static int64_t stage_monotonic(void *self)
{
    (void)self;
    return io_system.monotonic_us(io_system.self);
}

static void nap(void)
{
    (void)usleep(2000);
}

/* ---- the broker ---- */

static void *stage_loop(void *l)
{
    loop_run(l);
    return NULL;
}

static const struct limits stage_limits = {
    .packet_bytes = 1 << 20, .connect_bytes = 64 * 1024, .connect_s = 10, .connections = 1000,
    .connections_per_address = LIMIT_NONE_32, .connect_rate = LIMIT_NONE_32, .auth_failures = 10, .half_open = 100,
    .receive_maximum = 64, .queued_bytes = 64 << 20, .queued_messages = 10000, .on_full = ON_FULL_DROP_NEWEST,
    .refuse_s = 30, .unsent_bytes = 8 << 20, .unsent_s = 60, .memory_bytes = (uint64_t)1 << 32, .topic_bytes = 1024,
    .topic_levels = 32, .subscriptions = 1000, .filters_per_packet = 100, .shared_groups = 100, .fan_out = 100000,
    .topic_aliases = 64, .retained_messages = 1000, .retained_per_identity = 2, .connections_per_identity = 10,
    .sessions_per_identity = 10, .retained_bytes = 64 << 20, .user_properties = 64, .property_bytes = 16384,
    .session_expiry_s = 30 * 86400, .sessions = 100000, .keep_alive_s = 1200};

static void nobody(void *ctx)
{
    (void)ctx;
}

static struct consumer *stage_consumer(struct stage *s, const char *name)
{
    struct fault why;
    struct consumer *c;
    must(consumer_open(&c, s->broker, &(struct consumer_options){.name = name, .ready = nobody}, &why), &why);
    return c;
}

static void stage_begin(struct stage *s)
{
    struct fault why;
    s->io = *memfs_io(s->fs);
    s->io.wall_us = stage_wall;
    s->io.monotonic_us = stage_monotonic;
    for (int i = 0; i < STAGE_LOOPS; i++)
        must(loop_open_uv(&s->loops[i], &why), &why);
    struct broker_config config = {
        .limits = stage_limits, .io = &s->io, .loops = s->loops, .loop_count = STAGE_LOOPS, .version = "test"};
    must(broker_new(&s->broker, &config, &why), &why);
    struct journal_options o = {.io = &s->io, .data_dir = "/data", .segment_bytes = 256 * 1024, .disk_reserve = 256 * 1024,
                                .ctx = s->broker, .apply = broker_apply, .write_state = broker_write_state,
                                .on_durable = broker_on_durable};
    must(journal_open(&s->journal, &o, &why), &why);
    must(broker_start(s->broker, s->journal, &why), &why);
    for (int i = 0; i < STAGE_LOOPS; i++)
        assert_int_equal(pthread_create(&s->threads[i], NULL, stage_loop, s->loops[i]), 0);
    s->feeder = stage_consumer(s, "feeder");
    s->watch = stage_consumer(s, "watch");
    struct consumer_filter filters[] = {{BYTES_LIT("$actions/#"), 1}, {BYTES_LIT("out/#"), 1}};
    must(consumer_subscribe(s->watch, filters, ARRAY_COUNT(filters), &why), &why);
    s->watched = consumer_head(s->watch);
    must(actions_open(&s->actions, s->broker, &s->io, "/data", &why), &why);
}

static void stage_open(struct stage *s)
{
    *s = (struct stage){.fs = memfs_new(1)};
    atomic_store(&stage_offset_us, 0);
    (void)memfs_io(s->fs)->mkdir(memfs_io(s->fs)->self, "/data");
    stage_begin(s);
}

static void stage_end(struct stage *s)
{
    actions_close(s->actions);
    consumer_close(s->feeder);
    consumer_close(s->watch);
    broker_stop(s->broker);
    for (int i = 0; i < STAGE_LOOPS; i++)
        loop_stop(s->loops[i]);
    for (int i = 0; i < STAGE_LOOPS; i++)
        (void)pthread_join(s->threads[i], NULL);
    broker_halt(s->broker);
    for (int i = 0; i < STAGE_LOOPS; i++)
        loop_close(s->loops[i]);
    journal_close(s->journal);
    broker_free(s->broker);
}

static void stage_close(struct stage *s)
{
    stage_end(s);
    memfs_free(s->fs);
}

static __attribute__((unused)) void stage_restart(struct stage *s)
{
    stage_end(s);
    stage_begin(s);
}

static __attribute__((unused)) void stage_crash(struct stage *s)
{
    struct memfs *copy = memfs_copy(s->fs);
    stage_end(s);
    memfs_free(s->fs);
    s->fs = copy;
    stage_begin(s);
}

/* ---- events and what comes of them ---- */

static bool feed_ok(struct stage *s, const char *topic, const char *payload)
{
    struct fault why;
    struct message *m = message_new(&(struct message_parts){.qos = 1,
                                                            .wall_us = stage_wall(NULL),
                                                            .topic = bytes_str(topic),
                                                            .principal = bytes_str("test"),
                                                            .payload = bytes_str(payload)});
    struct consumer_word w = {.message = m};
    enum code c = m ? consumer_publish(s->feeder, &w, 1, &why) : CODE_NOMEM;
    message_drop(m);
    return c == CODE_OK;
}

static void feed(struct stage *s, const char *payload)
{
    assert_true(feed_ok(s, "in/1", payload));
}

/* The next message of `topic` (a prefix) that the watch was sent, into `out`; others are passed over. */
static void watch_one(struct stage *s, const char *topic, char *out, size_t cap)
{
    for (int waited = 0; waited < STAGE_PATIENCE_MS; waited += 2) {
        struct consumer_item item;
        struct fault why;
        size_t n;
        must(consumer_take(s->watch, s->watched, &item, 1, &n, &why), &why);
        if (!n) {
            nap();
            continue;
        }
        s->watched = item.index + 1;
        bool it = bytes_starts(item.message->topic, topic);
        if (it)
            (void)snprintf(out, cap, "%.*s %.*s", BYTES_FMT(item.message->topic), BYTES_FMT(item.message->payload));
        message_drop(item.message);
        if (it)
            return;
    }
    fail_msg("nothing came on %s", topic);
}

static __attribute__((unused)) void expect(struct stage *s, const char *topic, const char *want)
{
    char got[4096];
    watch_one(s, topic, got, sizeof got);
    assert_string_equal(got, want);
}

/* How often `topic` (a prefix) came with `payload` ("": any) up to now, from the beginning of what waits. */
static __attribute__((unused)) unsigned count(struct stage *s, const char *topic, const char *payload)
{
    struct consumer_item items[64];
    struct fault why;
    unsigned found = 0;
    size_t n = 1;
    for (uint64_t from = consumer_head(s->watch); n;) {
        must(consumer_take(s->watch, from, items, 64, &n, &why), &why);
        for (size_t i = 0; i < n; i++) {
            bool is = !payload[0] || bytes_is(items[i].message->payload, payload);
            found += bytes_starts(items[i].message->topic, topic) && is;
            from = items[i].index + 1;
            message_drop(items[i].message);
        }
    }
    return found;
}

struct glance {
    const char *name;
    struct action_glance found;
};

static void see_glance(void *ctx, const struct action_glance *g)
{
    struct glance *looked = ctx;
    if (strcmp(g->name, looked->name) == 0)
        looked->found = *g;
}

static struct action_glance glance(struct stage *s, const char *name)
{
    struct glance g = {.name = name};
    actions_glance(s->actions, see_glance, &g);
    return g.found;
}

/* Until everything that waits for it is done with. */
static __attribute__((unused)) struct action_glance settled(struct stage *s, const char *name)
{
    struct action_glance g = glance(s, name);
    for (int waited = 0; waited < STAGE_PATIENCE_MS && (!g.name || g.waiting); waited += 2) {
        nap();
        g = glance(s, name);
    }
    if (!g.name || g.waiting)
        fail_msg("action %s has not done what waits", name);
    return g;
}

/* ---- declaring ---- */

#define ACTION(label) .entry = {.name = (label)}, .on = "in/#", .timeout_s = 5, .at_least = "", .at_most = "", NO_OPCUA
#define NO_OPCUA .opcua_write = {"", "", ""}, .opcua_call = {.server = "", .object = "", .method = ""}
#define NO_PUBLISH .publish = {.topic = "", .message = "", .qos = 1}
#define NO_WEBHOOK .webhook = {.url = "", .body = "", .ca = ""}

static struct action_plan *plan_of(struct stage *s, const struct settings_action *a)
{
    struct fault why;
    struct action_plan *p;
    must(action_plan_new(&p, a, bytes_str(a->on), NULL, &s->io, &why), &why);
    return p;
}

static __attribute__((unused)) void apply(struct stage *s, const struct settings_action *list, size_t n)
{
    struct action_plan *plans[8];
    struct fault why;
    for (size_t i = 0; i < n; i++)
        plans[i] = plan_of(s, &list[i]);
    must(actions_apply(s->actions, plans, n, &why), &why);
}

/* ---- a web server ---- */

struct server {
    struct loop *loop;
    pthread_t thread;
    struct listener *listener;
    _Atomic unsigned requests, status; /* status: of the next answers; 0: none comes */
    _Atomic unsigned then_good;        /* after so many answers it is 200; 0: never */
    pthread_mutex_t lock;
    char last[8192]; /* the last request */
};

static size_t server_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct server *s = ctx;
    const char *text = (const char *)in.at;
    const uint8_t *end = memmem(in.at, in.len, "\r\n\r\n", 4), *length = memmem(in.at, in.len, "Content-Length: ", 16);
    size_t head = end ? (size_t)(end - in.at) + 4 : 0, body = length ? strtoul((const char *)length + 16, NULL, 10) : 0;
    if (!head || in.len < head + body)
        return 0;
    pthread_mutex_lock(&s->lock);
    (void)snprintf(s->last, sizeof s->last, "%.*s", (int)(head + body), text);
    pthread_mutex_unlock(&s->lock);
    unsigned n = atomic_fetch_add(&s->requests, 1) + 1, status = s->status;
    if (s->then_good && n > s->then_good)
        status = 200;
    if (status) {
        buf_printf(conn_out(c), "HTTP/1.1 %u Said\r\nContent-Length: 2\r\n\r\nok", status);
        conn_close(c, true);
    }
    return head + body;
}

static void server_close_one(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx, (void)c, (void)why;
}

static void server_accept(void *ctx, const struct net_peer *peer)
{
    static const struct conn_events events = {.on_bytes = server_bytes, .on_close = server_close_one};
    struct server *s = ctx;
    struct conn *c;
    struct fault why;
    must(conn_open(&c, s->loop, peer, &events, s, &why), &why);
}

static __attribute__((unused)) void server_open(struct server *s, unsigned status)
{
    struct fault why;
    *s = (struct server){.status = status, .lock = PTHREAD_MUTEX_INITIALIZER};
    must(loop_open_uv(&s->loop, &why), &why);
    must(net_listen(&s->listener, s->loop, "127.0.0.1:0", server_accept, s, &why), &why);
}

static __attribute__((unused)) void server_begin(struct server *s)
{
    assert_int_equal(pthread_create(&s->thread, NULL, stage_loop, s->loop), 0);
}

static __attribute__((unused)) void server_close(struct server *s)
{
    loop_stop(s->loop);
    (void)pthread_join(s->thread, NULL);
    loop_close(s->loop);
}

static __attribute__((unused)) void server_last(struct server *s, char *out, size_t cap)
{
    pthread_mutex_lock(&s->lock);
    (void)snprintf(out, cap, "%s", s->last);
    pthread_mutex_unlock(&s->lock);
}
