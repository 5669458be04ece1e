/* opcua_serve.c - our OPC UA server with items that count up, for the benchmark.
 *
 *   opcua_serve [--items 1000] [--every-ms 10] [--data DIR]        prints its url
 *
 * The nodes are ns=2;s=c0 .. c999, Int64; all of them count up at each tick (0: never). It believes any certificate.
 */
#include "opcua_bench.h"

#include "uaserver/server.h"

static struct ua_server *server;
static struct ua_variable *variables[ITEMS_MAX];
static struct timer tick;
static int64_t value, due_us;

static void set_all(void)
{
    struct ua_space *space = ua_server_space(server);
    struct ua_data_value v = { .has = UA_HAS_VALUE, .value = { .type = UA_INT64, .i64 = ++value } };
    for (int i = 0; i < o.items; i++)
        if (!ua_set_value(space, variables[i], &v))
            exit(1);
}

static void on_tick(struct timer *t)
{
    int64_t now = loop_now_us(loop);
    for (; due_us <= now; due_us += o.every_ms * 1000)
        set_all();
    timer_start(loop, t, (due_us - now) / 1000, on_tick);
}

static ua_status believe(void *ctx, struct ua_certificate *c, struct fault *f)
{
    (void)ctx, (void)c, (void)f;
    return UA_GOOD;
}

static void serve(void)
{
    struct ua_server_options s = { .loop = loop, .io = &io_system, .application_uri = ua_pki_uri(pki), .application_name = "bench",
                                   .product_uri = "urn:bench", .product_name = "bench", .manufacturer = "Fieldgate", .version = "0",
                                   .build = "0", .own = ua_pki_own(pki), .anonymous = true, .verify = believe };
    for (unsigned p = 0; p < UA_POLICY_COUNT; p++)
        s.offers[p] = p == UA_POLICY_NONE ? 1 << UA_MODE_NONE : 1 << UA_MODE_SIGN | 1 << UA_MODE_SIGN_AND_ENCRYPT;
    must(ua_server_open(&server, &s, &why), "server");
    struct ua_space *space = ua_server_space(server);
    uint16_t ns;
    must(ua_namespace(space, BYTES_LIT("urn:bench:items"), &ns, &why), "namespace");
    for (int i = 0; i < o.items; i++) {
        char name[16];
        struct ua_node *node;
        struct ua_variant zero = { .type = UA_INT64 };
        (void)snprintf(name, sizeof name, "c%d", i);
        struct ua_new new = { .id = { .ns = ns, .kind = UA_ID_STRING, .text = bytes_str(name) }, .node_class = UA_CLASS_VARIABLE,
                              .parent = ua_find0(space, UA_ID_OBJECTS_FOLDER), .browse_name = { ns, bytes_str(name) },
                              .data_type = UA_NS0(UA_INT64), .value = &zero };
        must(ua_add(space, &new, &node, &why), "node");
        variables[i] = ua_as_variable(node);
    }
    must(ua_server_listen(server, "127.0.0.1:0", &why), "listen");
    (void)printf("opc.tcp://127.0.0.1:%u\n", ua_server_port(server));
    (void)fflush(stdout);
    due_us = loop_now_us(loop);
    if (o.every_ms)
        on_tick(&tick);
    loop_run(loop);
}

int main(int argc, char **argv)
{
    begin(argc, argv, 1);
    certify();
    serve();
    return 0;
}
