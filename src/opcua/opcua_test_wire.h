/* opcua_test_wire.h - a client's and a server's channel with two buffers between them. */
#pragma once

#include "base/mem.h"
#include "opcua/channel_private.h"
#include "opcua/opcua_test_peers.h"

struct wire_stage {
    struct ua_channel *client, *server;
    struct buf up, down; /* client to server, server to client */
    struct ua_now now;
    struct ua_channel_config client_config, server_config;
};

static inline void stage_configure(struct wire_stage *s, const struct ua_policy *p, int mode,
                                   struct ua_application *client, struct ua_application *server)
{
    *s = (struct wire_stage){.now = {1000000, NOW_S * INT64_C(1000000)}};
    s->client_config = (struct ua_channel_config){
        .role = UA_CLIENT,
        .limits = ua_channel_limits_default,
        .io = &io_system,
        .own = client,
        .policy = p,
        .mode = mode,
        .server = server ? server->certificate : NULL,
    };
    s->server_config = (struct ua_channel_config){
        .role = UA_SERVER,
        .limits = ua_channel_limits_default,
        .io = &io_system,
        .own = server,
        .id = 77,
        .offers = peers_offer_all,
        .verify = peers_believe_all,
    };
}

/* False: no memory. */
static inline bool stage_begin(struct wire_stage *s)
{
    s->client = ua_channel_new(&s->client_config, s->now);
    s->server = ua_channel_new(&s->server_config, s->now);
    if (!s->client || !s->server)
        return false;
    ua_channel_hello(s->client, BYTES_LIT("opc.tcp://gw1:4840/"), &s->up);
    return true;
}

static inline void stage_end(struct wire_stage *s)
{
    ua_channel_free(s->client);
    ua_channel_free(s->server);
    buf_clear(&s->up);
    buf_clear(&s->down);
}

/* The next event of one end, from a copy of exactly what waits; the body is copied into *body (free it) if wanted. */
static inline struct ua_event stage_take(struct wire_stage *s, bool at_server, struct buf *body)
{
    struct buf *in = at_server ? &s->up : &s->down, *out = at_server ? &s->down : &s->up;
    struct ua_event e;
    size_t n = buf_size(in);
    uint8_t *copy = malloc(n ? n : 1);
    peers_must(copy != NULL);
    if (n)
        memcpy(copy, buf_bytes(in).at, n);
    size_t taken = ua_channel_take(at_server ? s->server : s->client, bytes_of(copy, n), s->now, out, &e);
    peers_must(taken <= n);
    buf_take(in, taken);
    if (body)
        buf_add_bytes(body, e.body);
    e.body.at = NULL;
    free(copy);
    return e;
}

/* Until both are open, or one has an error, which is returned. */
static inline struct ua_event stage_open(struct wire_stage *s)
{
    for (int i = 0; i < 8; i++) {
        struct ua_event e = stage_take(s, i % 2 == 0, NULL);
        if (e.kind == UA_EVENT_ERROR || e.kind == UA_EVENT_CLOSED || (e.kind == UA_EVENT_OPENED && i % 2))
            return e;
    }
    return (struct ua_event){0};
}
