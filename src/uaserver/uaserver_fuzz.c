/* uaserver_fuzz.c - requests of an active session over policy None. The input is a list of records: one byte what, two bytes
 * how long (low first), then so many bytes:
 *
 *   0..250   the service of that place in `services`; the bytes are the request behind its header, which is made here
 *   251      a request as a whole, header and type included
 *   252      the first two bytes are milliseconds that pass
 *   253      the bytes are a variant that a variable of the program's gets, and the text of an event
 *   254      the client stops taking what is sent (first byte odd), or goes on
 *   255      the connection breaks; the session is taken to another one
 */
#include "uaserver/event.h"
#include "uaserver/subscription.h"

#include "base/log.h"
#include "net/sim.h"
#include "opcua/opcua_test_peers.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

static const uint16_t services[] = {
    UA_ENCODING_read_request,
    UA_ENCODING_write_request,
    UA_ENCODING_call_request,
    UA_ENCODING_history_read_request,
    UA_ENCODING_browse_request,
    UA_ENCODING_browse_next_request,
    UA_ENCODING_translate_request,
    UA_ENCODING_register_nodes_request,
    UA_ENCODING_unregister_nodes_request,
    UA_ENCODING_create_subscription_request,
    UA_ENCODING_modify_subscription_request,
    UA_ENCODING_set_publishing_mode_request,
    UA_ENCODING_publish_request,
    UA_ENCODING_republish_request,
    UA_ENCODING_transfer_subscriptions_request,
    UA_ENCODING_delete_subscriptions_request,
    UA_ENCODING_create_monitored_items_request,
    UA_ENCODING_modify_monitored_items_request,
    UA_ENCODING_set_monitoring_mode_request,
    UA_ENCODING_set_triggering_request,
    UA_ENCODING_delete_monitored_items_request,
    UA_ENCODING_create_session_request,
    UA_ENCODING_activate_session_request,
    UA_ENCODING_close_session_request,
    UA_ENCODING_cancel_request,
    UA_ENCODING_find_servers_request,
    UA_ENCODING_get_endpoints_request,
    700, /* HistoryUpdate: none of ours */
};
enum { SERVICES = sizeof services / sizeof *services, RECORDS = 64 };

/* ---- the world, made once ---- */

static struct {
    struct sim        *sim;
    struct loop       *loop;
    struct ua_server  *server;
    struct ua_application *own; /* so that passwords and users' certificates are looked at */
    struct sim_client *client;
    struct ua_channel *channel;
    struct ua_variable *speed, *any;
    uint32_t           id;
} w;

static void on_ask(void *ctx, struct ua_user_ask *a)
{
    (void)ctx;
    const struct ua_server_user user = { .name = "fuzz", .kind = (uint8_t)a->kind, .may_write = true, .may_call = true };
    ua_user_answer(a, UA_GOOD, &user);
}

static ua_status on_call(void *ctx, struct ua_call *call)
{
    (void)ctx;
    call->outputs[0] = call->inputs[0];
    return call->input_count == 2 ? UA_GOOD : UA_BAD_INTERNAL_ERROR;
}

static struct ua_node *add(const struct ua_new *p)
{
    struct ua_node *n;
    check(ua_add(ua_server_space(w.server), p, &n, NULL) == CODE_OK);
    return n;
}

static void fill(void)
{
    struct ua_node *objects = ua_find0(ua_server_space(w.server), UA_ID_OBJECTS_FOLDER);
    const uint8_t both = UA_ACCESS_READ | UA_ACCESS_WRITE;
    const struct ua_range range = { 0, 100 };
    const struct ua_argument in[] = { { .name = BYTES_LIT("a"), .data_type = UA_NS0(UA_DOUBLE), .value_rank = -1 },
                                      { .name = BYTES_LIT("b"), .data_type = UA_NS0(UA_STRING), .value_rank = 1 } };
    const struct ua_new o = { .id = { .ns = 1, .number = 1 }, .parent = objects, .browse_name = { 1, BYTES_LIT("machine") } };
    struct ua_node *machine = add(&o);
    for (uint32_t type = UA_BOOLEAN; type < UA_DIAGNOSTIC_INFO; type++)
        for (uint32_t rank = 0; rank < 3; rank++) {
            const struct ua_new p = { .id = { .ns = 1, .number = type * 10 + rank },
                                      .parent = machine,
                                      .data_type = UA_NS0(type),
                                      .rank = rank ? (int32_t)rank : -1,
                                      .access = both,
                                      .history = type == UA_INT32 ? 20 : 0 };
            (void)add(&p);
        }
    const struct ua_new speed = { .id = { .ns = 1, .kind = UA_ID_STRING, .text = BYTES_LIT("speed") },
                                  .parent = machine,
                                  .browse_name = { 1, BYTES_LIT("speed") },
                                  .type = UA_ID_ANALOG_ITEM_TYPE,
                                  .data_type = UA_NS0(UA_DOUBLE),
                                  .access = both };
    w.speed = ua_as_variable(add(&speed));
    check(ua_add_units(ua_server_space(w.server), &w.speed->node, &range, NULL, NULL) == CODE_OK);
    const struct ua_new any = { .id = { .ns = 1, .number = 3 },
                                .parent = machine,
                                .data_type = UA_NS0(UA_ID_BASE_DATA_TYPE),
                                .rank = -2,
                                .access = both };
    w.any = ua_as_variable(add(&any));
    const struct ua_new method = { .id = { .ns = 1, .number = 4 },
                                   .parent = machine,
                                   .node_class = UA_CLASS_METHOD,
                                   .browse_name = { 1, BYTES_LIT("Echo") },
                                   .inputs = in,
                                   .input_count = 2,
                                   .outputs = in,
                                   .output_count = 1,
                                   .call = on_call };
    (void)add(&method);
}

static void take_answers(void)
{
    (void)sim_step(w.sim);
    for (;;) {
        struct ua_event e;
        struct buf out = { 0 };
        struct bytes in = sim_received(w.client);
        size_t n = ua_channel_take(w.channel, in, (struct ua_now){ sim_now_us(w.sim), 0 }, &out, &e);
        check(e.kind != UA_EVENT_ERROR); /* whatever it was asked: it speaks properly */
        sim_take(w.client, n);
        bool sent = buf_size(&out) && !sim_closed(w.client);
        if (sent)
            sim_send(w.client, buf_bytes(&out));
        buf_clear(&out);
        (void)sim_step(w.sim);
        if ((e.kind == UA_EVENT_NONE && !n && !sent) || e.kind == UA_EVENT_CLOSED)
            return;
    }
}

static void connect_client(void)
{
    const struct ua_channel_config config = { .role = UA_CLIENT,
                                              .limits = ua_channel_limits_default,
                                              .io = &io_system,
                                              .policy = &ua_policies[UA_POLICY_NONE],
                                              .mode = UA_MODE_NONE };
    w.client = sim_connect(w.sim, "127.0.0.1:4840");
    w.channel = ua_channel_new(&config, (struct ua_now){ sim_now_us(w.sim), 0 });
    check(w.client && w.channel);
    struct buf out = { 0 };
    ua_channel_hello(w.channel, BYTES_LIT("opc.tcp://gw1:4840/"), &out);
    sim_send(w.client, buf_bytes(&out));
    buf_clear(&out);
    take_answers();
    check(ua_channel_is_open(w.channel));
}

static void hang_up(void)
{
    sim_free(w.client);
    ua_channel_free(w.channel);
    (void)sim_step(w.sim);
    check(w.server->link_count == 0);
}

static void open_world(void)
{
    log_set_level(LOG_ERROR);
    if (!w.own)
        w.own = peers_make("server", "URI:urn:fuzz", 2048);
    check(sim_open(&w.sim, 1) == CODE_OK);
    check(loop_open_sim(&w.loop, w.sim, NULL) == CODE_OK);
    const struct ua_server_options options = {
        .loop = w.loop,
        .io = &io_system,
        .application_uri = "urn:fuzz",
        .application_name = "fuzz",
        .own = w.own,
        .anonymous = true,
        .user_names = true,
        .certificates = true,
        .offers = { 1 << UA_MODE_NONE },
        .users = { on_ask, NULL },
        .limits = { .operations = 200, .items = 200, .sessions = 5, .unsent_bytes = 1 << 20 },
    };
    check(ua_server_open(&w.server, &options, NULL) == CODE_OK);
    check(ua_server_listen(w.server, "127.0.0.1:4840", NULL) == CODE_OK);
    fill();
}

static void close_world(void)
{
    ua_server_close(w.server);
    loop_close(w.loop);
    sim_close(w.sim);
    w.sim = NULL;
}

/* ---- requests ---- */

static void ask(uint32_t encoding, struct bytes body)
{
    struct uas_link *l = w.server->links;
    if (!l || l->closing)
        return;
    const struct uas_session *s = w.server->sessions;
    const struct ua_request_header header = {
        .authentication_token = s ? (struct ua_node_id){ .kind = UA_ID_BYTES, .text = bytes_of(s->secret, sizeof s->secret) }
                                  : (struct ua_node_id){ 0 },
        .request_handle = ++w.id,
    };
    struct buf b = { 0 };
    if (encoding) {
        ua_write_node_id(&b, &UA_NS0(encoding));
        ua_write_struct(&b, &ua_request_header_type, &header);
    }
    buf_add_bytes(&b, body);
    uas_dispatch(l, w.id, buf_bytes(&b));
    buf_clear(&b);
}

static void activate(void)
{
    const struct ua_activate_session_request q = { 0 };
    struct buf b = { 0 };
    ua_write_struct(&b, &ua_activate_session_request_type, &q);
    struct buf header = { 0 };
    ua_write_struct(&header, &ua_request_header_type, &q.header);
    ask(UA_ENCODING_activate_session_request, bytes_from(buf_bytes(&b), buf_size(&header)));
    buf_clear(&b);
    buf_clear(&header);
}

static void begin_session(void)
{
    const struct ua_create_session_request q = { .requested_session_timeout = 60000, .session_name = BYTES_LIT("fuzz") };
    struct buf b = { 0 };
    ua_write_message(&b, &ua_create_session_request_type, &q);
    ask(0, buf_bytes(&b));
    buf_clear(&b);
    activate();
    take_answers();
    check(w.server->sessions && w.server->sessions->active);
}

static void set(struct bytes variant)
{
    _Alignas(16) static uint8_t lent[1 << 16];
    struct arena a;
    arena_init(&a, lent, sizeof lent, 0);
    ua_server_emit(w.server, &(struct ua_server_event){ .message = variant, .severity = (uint16_t)variant.len });
    struct ua_reader r = ua_reader_of(variant, &a, NULL);
    struct ua_data_value d = { .has = UA_HAS_VALUE };
    ua_read_variant(&r, &d.value);
    if (!ua_read_good(&r))
        return;
    check(ua_set_value(ua_server_space(w.server), w.any, &d));
    check(d.value.type != UA_DOUBLE || ua_set_value(ua_server_space(w.server), w.speed, &d));
}

static void pass(struct bytes b)
{
    int64_t ms = b.len >= 2 ? b.at[0] | b.at[1] << 8 : 100;
    sim_advance(w.sim, ms * 1000);
}

static void record(uint8_t what, struct bytes b)
{
    switch (what) {
    case 251: ask(0, b); break;
    case 252: pass(b); break;
    case 253: set(b); break;
    case 254: sim_stall(w.client, b.len && b.at[0] & 1 ? 0 : SIZE_MAX); break;
    case 255:
        hang_up();
        connect_client();
        activate();
        break;
    default: ask(services[what % SERVICES], b);
    }
    take_answers();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!w.sim)
        open_world();
    connect_client();
    begin_session();
    struct bytes in = bytes_of(data, size);
    for (int n = 0; n < RECORDS && in.len >= 3; n++) {
        size_t len = in.at[1] | (size_t)in.at[2] << 8;
        if (len > in.len - 3)
            len = in.len - 3;
        record(in.at[0], bytes_of(in.at + 3, len));
        in = bytes_from(in, 3 + len);
    }
    hang_up();
    while (w.server->sessions)
        uas_session_close(w.server->sessions, true);
    struct uas_subscriptions *all = w.server->subs;
    if (all && all->orphans) { /* kept without a session, for as long as they live: the server's end is theirs */
        close_world();
    } else if (all) {
        check(!all->items && !all->slots && !all->queued_bytes && !all->retained_bytes);
        all->last_id = 0; /* so that inputs can name them */
    }
    return 0;
}
