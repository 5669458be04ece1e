/* server_test_client.h - a server in a simulated world, and clients that speak to it through their own secure channel. */
#pragma once

#include "base/mem.h"
#include "net/sim.h"
#include "opcua/opcua_test_peers.h"
#include "uaserver/serve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define TEST_URL "opc.tcp://gw1:4840/"

struct world {
    struct sim       *sim;
    struct loop      *loop;
    struct ua_server *server;
    struct ua_server_options options;
    struct arena      arena; /* of what clients have read */
    const char       *from;  /* where the next client dials from; NULL: loopback */
    uint32_t          lifetime_ms; /* of tokens, as clients ask for it; 0: an hour */
};

struct client {
    struct world      *w;
    struct sim_client *sim;
    struct ua_channel *channel;
    struct ua_node_id  token; /* of its session */
    uint8_t            token_bytes[64], nonce[64];
    uint32_t           handle;
    uint32_t           answered; /* request_id of the answer last taken */
    bool               closed;   /* by the server; status says why */
    ua_status          status;
};

static inline void world_open(struct world *w)
{
    assert_int_equal(sim_open(&w->sim, 1), CODE_OK);
    sim_set_wall(w->sim, NOW_S * INT64_C(1000000));
    assert_int_equal(loop_open_sim(&w->loop, w->sim, NULL), CODE_OK);
    arena_init(&w->arena, NULL, 0, 64 << 20);
    w->options.loop = w->loop;
    w->options.io = &io_system;
    w->options.application_uri = "urn:gw1:server";
    w->options.application_name = "test";
    if (!w->options.offers[UA_POLICY_NONE])
        w->options.offers[UA_POLICY_NONE] = 1 << UA_MODE_NONE;
    struct fault why;
    enum code c = ua_server_open(&w->server, &w->options, &why);
    if (c)
        print_error("%s\n", why.text);
    assert_int_equal(c, CODE_OK);
    assert_int_equal(ua_server_listen(w->server, "127.0.0.1:4840", &why), CODE_OK);
}

static inline void world_close(struct world *w)
{
    ua_server_close(w->server);
    loop_close(w->loop);
    sim_close(w->sim);
    arena_clear(&w->arena);
}

static inline struct ua_now world_now(const struct world *w)
{
    return (struct ua_now){ sim_now_us(w->sim), loop_wall_us(w->loop) };
}

/* ---- a client's channel ---- */

static inline void client_flush(struct client *c, struct buf *out)
{
    assert_false(out->bad);
    if (!sim_closed(c->sim))
        sim_send(c->sim, buf_bytes(out));
    buf_clear(out);
    (void)sim_step(c->w->sim);
}

/* The next event, NONE when there is nothing; the body is copied into the world's arena. */
static inline struct ua_event client_take(struct client *c)
{
    struct ua_event e;
    struct buf out = { 0 };
    (void)sim_step(c->w->sim);
    struct bytes in = sim_received(c->sim);
    uint8_t *copy = arena_take(&c->w->arena, in.len);
    assert_non_null(copy);
    if (in.len)
        memcpy(copy, in.at, in.len);
    size_t n = ua_channel_take(c->channel, bytes_of(copy, in.len), world_now(c->w), &out, &e);
    if (e.body.len) {
        uint8_t *body = arena_take(&c->w->arena, e.body.len);
        assert_non_null(body);
        memcpy(body, e.body.at, e.body.len);
        e.body.at = body;
    }
    sim_take(c->sim, n);
    client_flush(c, &out);
    if (e.kind == UA_EVENT_CLOSED || e.kind == UA_EVENT_ERROR) {
        c->closed = true;
        c->status = e.status;
    }
    return e;
}

/* False: the server has refused; c->status says why. */
static inline bool client_open(struct client *c, struct world *w, enum ua_policy_id policy, int mode, struct ua_application *own)
{
    *c = (struct client){ .w = w };
    struct ua_channel_config config = {
        .role = UA_CLIENT,
        .limits = ua_channel_limits_default,
        .io = &io_system,
        .own = own,
        .policy = &ua_policies[policy],
        .mode = mode,
        .server = policy ? w->options.own->certificate : NULL,
    };
    if (w->lifetime_ms)
        config.limits.lifetime_ms_max = w->lifetime_ms;
    c->sim = sim_connect_from(w->sim, "127.0.0.1:4840", w->from, UINT32_MAX);
    c->channel = ua_channel_new(&config, world_now(w));
    assert_true(c->sim && c->channel);
    struct buf out = { 0 };
    ua_channel_hello(c->channel, BYTES_LIT(TEST_URL), &out);
    client_flush(c, &out);
    for (int i = 0; i < 10 && !ua_channel_is_open(c->channel) && !c->closed; i++)
        (void)client_take(c);
    return ua_channel_is_open(c->channel);
}

/* What its channel does by itself when time has passed: it renews. */
static inline void client_tick(struct client *c)
{
    struct ua_event e;
    struct buf out = { 0 };
    if (ua_channel_due_us(c->channel) <= sim_now_us(c->w->sim))
        ua_channel_tick(c->channel, world_now(c->w), &out, &e);
    client_flush(c, &out);
}

static inline void client_close(struct client *c)
{
    ua_channel_free(c->channel);
    sim_free(c->sim);
    (void)sim_step(c->w->sim);
}

/* ---- services ---- */

/* Sends it with the session's token; returns its request id. */
static inline uint32_t client_send(struct client *c, const struct ua_struct *type, void *request)
{
    struct ua_request_header *h = request;
    h->authentication_token = c->token;
    h->request_handle = ++c->handle;
    struct buf out = { 0 };
    struct ua_sending sending;
    uint32_t id = ua_channel_request_id(c->channel);
    ua_channel_begin(c->channel, &out, &sending);
    ua_write_message(&out, type, request);
    assert_int_equal(ua_channel_end(c->channel, &out, &sending, id), UA_GOOD);
    client_flush(c, &out);
    return id;
}

/* Whatever answer comes next: its service result, and if it is of that type, it as a whole. BadTimeout: there is none;
 * BadConnectionClosed: there will be none. */
static inline ua_status client_answer(struct client *c, const struct ua_struct *type, void *response)
{
    struct ua_event e = client_take(c);
    for (int i = 0; e.kind == UA_EVENT_RENEWED && i < 3; i++)
        e = client_take(c);
    if (e.kind != UA_EVENT_MESSAGE)
        return c->closed || sim_closed(c->sim) ? UA_BAD_CONNECTION_CLOSED : UA_BAD_TIMEOUT;
    c->answered = e.request_id;
    struct ua_reader r = ua_reader_of(e.body, &c->w->arena, NULL);
    uint32_t encoding = ua_read_type(&r);
    if (encoding == UA_ENCODING_service_fault) {
        struct ua_service_fault f;
        ua_read_struct(&r, &ua_service_fault_type, &f);
        assert_true(ua_read_good(&r) && wire_left(&r.wire) == 0);
        return f.header.service_result;
    }
    assert_int_equal(encoding, type->encoding);
    ua_read_struct(&r, type, response);
    assert_true(ua_read_good(&r) && wire_left(&r.wire) == 0);
    return ((struct ua_response_header *)response)->service_result;
}

static inline ua_status client_ask(struct client *c, const struct ua_struct *type, void *request, const struct ua_struct *answer,
                                   void *response)
{
    (void)client_send(c, type, request);
    return client_answer(c, answer, response);
}
#define CLIENT_ASK(c, service, request, response)                                                                          \
    client_ask((c), &ua_##service##_request_type, (request), &ua_##service##_response_type, (response))

static inline struct ua_signature_data client_sign(struct client *c, const struct ua_policy *p, EVP_PKEY *key, struct bytes a,
                                                   struct bytes b)
{
    uint8_t *at = arena_take(&c->w->arena, ua_rsa_bytes(key));
    assert_true(at && ua_rsa_sign(p, key, a, b, at));
    return (struct ua_signature_data){ bytes_str(p->sign_uri), bytes_of(at, ua_rsa_bytes(key)) };
}

static inline struct ua_create_session_request client_create_request(struct client *c, struct ua_application *own)
{
    static const uint8_t nonce[32] = "0123456789abcdef0123456789abcde";
    (void)c;
    return (struct ua_create_session_request){
        .client_description = { .application_uri = bytes_str(own ? own->certificate->uri : "urn:client"),
                                .application_type = UA_APPLICATION_CLIENT },
        .endpoint_url = BYTES_LIT(TEST_URL),
        .session_name = BYTES_LIT("test"),
        .client_nonce = bytes_of(nonce, sizeof nonce),
        .client_certificate = own ? own->certificate->der : BYTES_NONE,
        .requested_session_timeout = 60000,
    };
}

static inline ua_status client_create(struct client *c, struct ua_application *own, struct ua_create_session_response *a)
{
    struct ua_create_session_request q = client_create_request(c, own);
    ua_status status = CLIENT_ASK(c, create_session, &q, a);
    if (status)
        return status;
    assert_true(a->authentication_token.text.len <= sizeof c->token_bytes);
    memcpy(c->token_bytes, a->authentication_token.text.at, a->authentication_token.text.len);
    c->token = a->authentication_token;
    c->token.text.at = c->token_bytes;
    memcpy(c->nonce, a->server_nonce.at, 32);
    return UA_GOOD;
}

/* With the client's signature, if there is to be one; `token` zeroed: anonymous. */
static inline struct ua_activate_session_request client_activate_request(struct client *c, struct ua_application *own,
                                                                         struct ua_extension_object token)
{
    struct ua_activate_session_request q = { .user_identity_token = token };
    if (own)
        q.client_signature = client_sign(c, ua_channel_policy(c->channel), own->key, c->w->options.own->certificate->leaf,
                                         bytes_of(c->nonce, 32));
    return q;
}

static inline ua_status client_activate_answer(struct client *c)
{
    struct ua_activate_session_response a;
    ua_status status = client_answer(c, &ua_activate_session_response_type, &a);
    if (status == UA_GOOD)
        memcpy(c->nonce, a.server_nonce.at, 32);
    return status;
}

static inline ua_status client_activate(struct client *c, struct ua_application *own, struct ua_extension_object token)
{
    struct ua_activate_session_request q = client_activate_request(c, own, token);
    (void)client_send(c, &ua_activate_session_request_type, &q);
    return client_activate_answer(c);
}

/* An anonymous session over policy None. */
static inline void client_begin(struct client *c, struct world *w)
{
    struct ua_create_session_response a;
    assert_true(client_open(c, w, UA_POLICY_NONE, UA_MODE_NONE, NULL));
    assert_int_equal(client_create(c, NULL, &a), UA_GOOD);
    assert_int_equal(client_activate(c, NULL, (struct ua_extension_object){ 0 }), UA_GOOD);
}

/* One value. */
static inline ua_status client_read(struct client *c, struct ua_node_id id, uint32_t attribute, struct ua_data_value *out)
{
    const struct ua_read_value_id node = { .node_id = id, .attribute_id = attribute };
    struct ua_read_request q = { .timestamps_to_return = UA_TIMES_BOTH, .nodes_to_read = &node, .nodes_to_read_count = 1 };
    struct ua_read_response a;
    ua_status status = CLIENT_ASK(c, read, &q, &a);
    if (status)
        return status;
    assert_int_equal(a.results_count, 1);
    *out = a.results[0];
    return out->has & UA_HAS_STATUS ? out->status : UA_GOOD;
}
