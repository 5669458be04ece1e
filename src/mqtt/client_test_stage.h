/* client_test_stage.h - one MQTT client on the simulated loop, and a server that the test plays itself, byte by
 * byte. Test code. */
#pragma once

#include "mqtt/client.h"

#include "base/mem.h"
#include "mqtt/mqtt_test_bytes.h"
#include "net/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define SECOND   1000000

/* ---- the stage: one loop, one client, one server ---- */

struct stage {
    struct sim *sim;
    struct loop *loop;
    struct listener *listener;
    struct mqtt_client *client;

    /* the server's side */
    struct conn *peer; /* the newest connection, NULL when it ended */
    struct buf heard;
    unsigned accepted;

    /* what the client told, one word per call */
    struct buf log;
    struct fault why;
    /* what a callback is to do */
    bool leave_in_message, close_in_callback, publish_in_ready, publish_in_connect;
    unsigned sent_in_ready;
};

static inline size_t peer_bytes(void *ctx, struct conn *conn, struct bytes in)
{
    struct stage *st = ctx;
    if (conn == st->peer)
        buf_add_bytes(&st->heard, in);
    return in.len;
}

static inline void peer_closed(void *ctx, struct conn *conn, const struct fault *why)
{
    struct stage *st = ctx;
    (void)why;
    if (conn == st->peer)
        st->peer = NULL;
}

static inline void accepted(void *ctx, const struct net_peer *peer)
{
    static const struct conn_events events = {.on_bytes = peer_bytes, .on_close = peer_closed};
    struct stage *st = ctx;
    buf_reset(&st->heard);
    st->accepted++;
    if (conn_open(&st->peer, st->loop, peer, &events, st, NULL))
        st->peer = NULL;
}

static inline void no_draw(void *self, void *to, size_t n)
{
    (void)self;
    memset(to, 0, n);
}

static struct io test_io;

static inline void maybe_close(struct stage *st)
{
    if (!st->close_in_callback)
        return;
    mqtt_client_close(st->client);
    st->client = NULL;
}

static inline struct mqtt_client_message message(const char *topic, const char *payload, uint8_t qos)
{
    return (struct mqtt_client_message){.topic = bytes_str(topic), .payload = bytes_str(payload), .qos = qos};
}

static inline void on_connect(void *ctx, struct mqtt_client *c, const struct mqtt_connack *ack)
{
    struct stage *st = ctx;
    buf_printf(&st->log, "connect%s ", ack->session_present ? "+" : "");
    if (st->publish_in_connect) {
        struct mqtt_client_message m = message("new", "", 1);
        buf_printf(&st->log, "publish=%s ", code_name(mqtt_client_publish(c, &m, 99, NULL)));
    }
    maybe_close(st);
}

static inline void on_message(void *ctx, struct mqtt_client *c, const struct mqtt_publish *m)
{
    struct stage *st = ctx;
    buf_printf(&st->log, "message(%.*s %.*s %u%s%s) ", BYTES_FMT(m->topic), BYTES_FMT(m->payload), m->qos,
               m->retain ? " retain" : "", m->dup ? " dup" : "");
    if (st->leave_in_message)
        mqtt_client_disconnect(c, 0);
    maybe_close(st);
}

static inline void on_ack(void *ctx, struct mqtt_client *c, uint64_t token, uint8_t reason)
{
    struct stage *st = ctx;
    (void)c;
    buf_printf(&st->log, "ack(%llu %02x) ", (unsigned long long)token, reason);
    maybe_close(st);
}

static inline void on_sub_ack(void *ctx, struct mqtt_client *c, uint64_t token, struct bytes reasons)
{
    struct stage *st = ctx;
    (void)c;
    buf_printf(&st->log, "suback(%llu", (unsigned long long)token);
    for (size_t i = 0; i < reasons.len; i++)
        buf_printf(&st->log, " %02x", reasons.at[i]);
    buf_printf(&st->log, ") ");
    maybe_close(st);
}

static inline void on_ready(void *ctx, struct mqtt_client *c)
{
    struct stage *st = ctx;
    buf_printf(&st->log, "ready ");
    while (st->publish_in_ready) {
        struct mqtt_client_message m = message("t", "x", 1);
        if (mqtt_client_publish(c, &m, 1000 + st->sent_in_ready, NULL))
            break;
        st->sent_in_ready++;
    }
    maybe_close(st);
}

static inline void on_pong(void *ctx, struct mqtt_client *c)
{
    struct stage *st = ctx;
    (void)c;
    buf_printf(&st->log, "pong ");
    maybe_close(st);
}

static inline void on_close(void *ctx, struct mqtt_client *c, const struct fault *why, int64_t retry_ms)
{
    struct stage *st = ctx;
    (void)c;
    buf_printf(&st->log, "close(%s%lld) ", why ? "" : "left ", (long long)retry_ms);
    if (why)
        st->why = *why;
    maybe_close(st);
}

static const struct mqtt_client_events all_events = {
    .on_connect = on_connect,
    .on_message = on_message,
    .on_ack = on_ack,
    .on_sub_ack = on_sub_ack,
    .on_ready = on_ready,
    .on_pong = on_pong,
    .on_close = on_close,
};

static inline struct mqtt_client_settings plain_settings(void)
{
    return (struct mqtt_client_settings){
        .host = "127.0.0.1", .port = 1883, .client_id = BYTES_LIT("c"), .clean_start = true, .io = &test_io};
}

static inline void stage_open(struct stage *st, const struct mqtt_client_settings *settings)
{
    struct fault why = {0};
    *st = (struct stage){0};
    test_io = io_system;
    test_io.random = no_draw;
    assert_int_equal(sim_open(&st->sim, 1), CODE_OK);
    assert_int_equal(loop_open_sim(&st->loop, st->sim, &why), CODE_OK);
    assert_int_equal(net_listen(&st->listener, st->loop, "127.0.0.1:1883", accepted, st, &why), CODE_OK);
    if (mqtt_client_open(&st->client, st->loop, settings, &all_events, st, &why))
        fail_msg("%s", why.text);
    sim_advance(st->sim, 20000);
}

static inline void stage_close(struct stage *st)
{
    if (st->client)
        mqtt_client_close(st->client);
    loop_close(st->loop);
    sim_close(st->sim);
    buf_clear(&st->heard);
    buf_clear(&st->log);
}

/* What the client told since the last look. */
static inline void told(struct stage *st, const char *want)
{
    buf_u8(&st->log, 0);
    if (strcmp((const char *)st->log.at, want) != 0)
        fail_msg("told \"%s\", not \"%s\"", (const char *)st->log.at, want);
    buf_reset(&st->log);
}

/* What the server has heard since the last look. */
static inline void heard(struct stage *st, const char *want)
{
    struct test_bytes b = test_bytes_of(want);
    struct bytes got = st->heard.len ? buf_bytes(&st->heard) : BYTES_NONE;
    if (!bytes_equal(got, test_view(&b))) {
        char text[600];
        fail_msg("heard %zu bytes \"%s\", not %s", got.len, bytes_escape(got, text, sizeof text), want);
    }
    buf_reset(&st->heard);
    free(b.at);
}

static inline void say(struct stage *st, const char *packets)
{
    struct test_bytes b = test_bytes_of(packets);
    assert_non_null(st->peer);
    buf_add(conn_out(st->peer), b.at, b.len);
    free(b.at);
    sim_step(st->sim);
}

static inline void hang_up(struct stage *st)
{
    conn_close(st->peer, false);
    sim_step(st->sim);
}

static inline void publish(struct stage *st, const char *topic, const char *payload, uint8_t qos,
                           uint64_t token, enum code want)
{
    struct mqtt_client_message m = message(topic, payload, qos);
    struct fault why = {0};
    enum code code = mqtt_client_publish(st->client, &m, token, &why);
    if (code != want)
        fail_msg("publish: %s: %s", code_name(code), why.text);
    sim_step(st->sim);
}

static inline void greet_with(struct stage *st, const char *connack)
{
    buf_reset(&st->heard);
    say(st, connack);
}

#define HELLO "10('MQTT' 05 02 0000 (21 0400 27 00100000) 'c')"
