/* websocket_test_stage.h - a server that takes WebSockets and echoes, in the simulation. Included by one test file each. */
#pragma once

#include "net/backend.h"
#include "net/http_conn.h"
#include "net/sim.h"
#include "net/sim_world.h"
#include "net/websocket_private.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FRAME_BYTES = 70000 };

static void ok(enum code code, const struct fault *why)
{
    if (code != CODE_OK)
        fail_msg("%s: %s", code_name(code), why->text);
}

/* ---- a server that echoes, on the loop that accepted or on another one ---- */

struct stage {
    struct sim         *sim;
    struct loop        *loop, *other;
    struct http_server *server;
    struct websocket_rules rules;
    bool                moves, ends; /* ends: closes when it sees "bye" */
    unsigned            upgrades, closes, arrivals, came, unmoved; /* arrivals: came, or as nothing */
    bool                why_given;
    struct fault        why;
    struct conn        *conn;
    struct buf          seen;
    char                peer[80];
    uint16_t            door;
};

static size_t echo_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct stage *t = ctx;
    buf_add_bytes(&t->seen, in);
    buf_add_bytes(conn_out(c), in);
    if (t->ends && in.len >= 3 && memcmp(in.at + in.len - 3, "bye", 3) == 0)
        conn_close(c, true);
    return in.len;
}

static void echo_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct stage *t = ctx;
    (void)c;
    t->closes++;
    t->conn = NULL;
    t->why_given = why;
    if (why)
        t->why = *why;
}

static const struct conn_events echo_events = { .on_bytes = echo_bytes, .on_close = echo_close };

static void on_arrived(void *ctx, struct loop *here, struct conn *c)
{
    struct stage *t = ctx;
    t->arrivals++;
    t->conn = c;
    if (!c)
        return;
    t->came++;
    assert_ptr_equal(conn_loop(c), here);
    (void)snprintf(t->peer, sizeof t->peer, "%s", conn_address(c));
    t->door = conn_door(c);
    conn_set_events(c, &echo_events, t);
}

static void handle(void *ctx, struct http_exchange *e, const struct http_request *r)
{
    struct stage *t = ctx;
    struct fault why;
    if (!bytes_is(r->path, "/mqtt")) {
        http_reply(e, 200, "text/plain", r->path);
        return;
    }
    struct conn *c = websocket_accept(e, r, &t->rules);
    if (!c)
        return;
    t->upgrades++;
    t->conn = c;
    if (t->moves && conn_move(c, t->other, on_arrived, t, &why) == CODE_OK)
        return;
    conn_set_events(c, &echo_events, t);
    if (t->moves) {
        assert_int_equal(why.code, CODE_NOMEM);
        t->unmoved++;
        conn_close(c, false);
    }
}

static void stage_accept(void *ctx, const struct net_peer *peer)
{
    http_serve(((struct stage *)ctx)->server, peer);
}

static __attribute__((unused)) void stage_open(struct stage *t, uint64_t seed)
{
    static const char *const protocols[] = { "mqtt", "mqttv3.1", NULL };
    static const char *const origins[] = { "https://plant.example:8443" };
    struct fault why;
    struct listener *l;
    memset(t, 0, sizeof *t);
    t->rules = (struct websocket_rules){ protocols, origins, 1, FRAME_BYTES, NULL };
    assert_int_equal(sim_open(&t->sim, seed), CODE_OK);
    ok(loop_open_sim(&t->loop, t->sim, &why), &why);
    ok(loop_open_sim(&t->other, t->sim, &why), &why);
    ok(http_server_open(&t->server, t->loop, NULL, handle, t, &why), &why);
    ok(net_listen(&l, t->loop, "0.0.0.0:8080", stage_accept, t, &why), &why);
    listener_set_door(l, 7);
}

static __attribute__((unused)) void stage_close(struct stage *t)
{
    http_server_close(t->server);
    loop_close(t->loop);
    loop_close(t->other);
    sim_close(t->sim);
    buf_clear(&t->seen);
}

#define M4 "\x01\x02\x03\x04"
#define RAW(s) s, sizeof(s) - 1

/* The byte at a position of every stream in here. */
static uint8_t stream_at(uint64_t i)
{
    return (uint8_t)((i * 2654435761u) >> 13);
}
