/* http_test_stage.h - an HTTP server in a simulated loop, and clients that say something to it. Included by one test file each,
 * which defines `handle`. */
#pragma once

#include "net/http.h"
#include "net/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define H "Host: here\r\n"
#define GET "GET /a HTTP/1.1\r\n" H

struct stage {
    struct sim           *sim;
    struct loop          *loop;
    struct listener      *listener;
    struct http_server   *server;
    unsigned              calls, gone, drained;
    struct http_exchange *held; /* answered later, or streamed */
    size_t                streamed, to_stream;
    struct timer          timer;
};

/* A request came; ctx is the stage. */
static void handle(void *ctx, struct http_exchange *, const struct http_request *);

static void ok(enum code code, const struct fault *why)
{
    if (code != CODE_OK)
        fail_msg("%s: %s", code_name(code), why->text);
}

static void stage_accept(void *ctx, const struct net_peer *peer)
{
    http_serve(((struct stage *)ctx)->server, peer);
}

static void stage_open_with(struct stage *t, const struct http_limits *limits)
{
    struct fault why;
    memset(t, 0, sizeof *t);
    assert_int_equal(sim_open(&t->sim, 3), CODE_OK);
    ok(loop_open_sim(&t->loop, t->sim, &why), &why);
    ok(http_server_open(&t->server, t->loop, limits, handle, t, &why), &why);
    ok(net_listen(&t->listener, t->loop, "127.0.0.1:8080", stage_accept, t, &why), &why);
}

static void stage_close(struct stage *t)
{
    http_server_close(t->server);
    loop_close(t->loop);
    sim_close(t->sim);
}

static struct sim_client *say(struct stage *t, const char *text)
{
    struct sim_client *c = sim_connect(t->sim, "127.0.0.1:8080");
    sim_send(c, bytes_str(text));
    sim_step(t->sim);
    return c;
}

/* All that it was told so far; until the next call. */
static const char *heard(const struct sim_client *c)
{
    static char text[2000000];
    struct bytes b = sim_received(c);
    assert_true(b.len < sizeof text);
    if (b.len)
        memcpy(text, b.at, b.len);
    text[b.len] = 0;
    return text;
}
