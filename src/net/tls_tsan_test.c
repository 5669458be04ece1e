/* tls_tsan_test.c - a storm of TLS connections between four loops in four threads, while the listener's certificate is
 * replaced again and again. Meant for ThreadSanitizer; counts are checked everywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "net/net_test_loops.h"
#include "net/tls.h"
#include "support/certs.h"

enum { DIALS = 60, AT_ONCE = 4, PING = 3000 };

struct worker {
    struct loop *loop;
    unsigned     begun, done, wrong;
};

static struct worker       workers[LOOPS];
static struct listener    *listener;
static struct tls_server  *servers[2];
static struct tls_client  *client;
static uint16_t            port;
static struct timer        swap;
static unsigned            swaps;
static _Atomic unsigned    finished, served, known;

/* ---- servers ---- */

static size_t echo_bytes(void *ctx, struct conn *c, struct bytes in)
{
    const struct tls_peer *p = conn_tls_peer(c);
    (void)ctx;
    if (p && p->common_name && strcmp(p->common_name, "device") == 0)
        atomic_fetch_add(&known, 1);
    buf_add_bytes(conn_out(c), in);
    return in.len;
}

static void served_one(void *ctx, struct conn *c, const struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
    atomic_fetch_add(&served, 1);
}

static const struct conn_events echo_events = { .on_bytes = echo_bytes, .on_close = served_one };

static void swap_certificate(struct timer *t)
{
    listener_set_tls(listener, servers[++swaps % 2]);
    timer_start(loops[0], t, 10, swap_certificate);
}

/* ---- clients ---- */

static void dial_more(struct worker *me);

static void client_open(void *ctx, struct conn *c)
{
    static const uint8_t ping[PING];
    (void)ctx;
    buf_add(conn_out(c), ping, sizeof ping);
}

static size_t client_bytes(void *ctx, struct conn *c, struct bytes in)
{
    (void)ctx;
    if (in.len < PING) {
        conn_want(c, PING);
        return 0;
    }
    conn_close(c, true);
    return in.len;
}

static void client_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct worker *me = ctx;
    (void)c;
    me->wrong += why != NULL;
    me->done++;
    dial_more(me);
    if (me->done == DIALS && atomic_fetch_add(&finished, 1) + 1 == LOOPS)
        loops_stop();
}

static const struct conn_events client_events = { .on_bytes = client_bytes, .on_close = client_close,
                                                  .on_open = client_open };

static void dial_more(struct worker *me)
{
    struct conn *c;
    struct fault why;
    while (me->begun < DIALS && me->begun - me->done < AT_ONCE) {
        me->begun++;
        ok(conn_dial_tls(&c, me->loop, "127.0.0.1", port, client, &client_events, me, &why), &why);
    }
}

static void *run(void *ctx)
{
    struct worker *me = ctx;
    dial_more(me);
    loop_run(me->loop);
    return NULL;
}

static void a_storm_while_certificates_change(void **state)
{
    struct fault why;
    (void)state;
    (void)certs_begin();
    struct cert root = cert_make(&(struct cert_wish){ .name = "Root", .ca = true });
    struct cert device = cert_make(&(struct cert_wish){ .issuer = &root, .name = "device", .usage = "clientAuth" });
    const char *root_pem = certs_chain("root.pem", (const struct cert *[]){ &root }, 1);
    for (unsigned i = 0; i < 2; i++) {
        char name[16];
        struct cert own = cert_make(&(struct cert_wish){ .issuer = &root, .name = "gw", .sans = "IP:127.0.0.1" });
        (void)snprintf(name, sizeof name, "%u.pem", i);
        const char *chain = certs_chain(name, (const struct cert *[]){ &own }, 1);
        (void)snprintf(name, sizeof name, "%u.key", i);
        /* One asks for certificates, the other resumes sessions. */
        const struct tls_server_options o = { chain, certs_key(name, &own), root_pem, i ? TLS_ASK_REQUIRED : TLS_ASK_NONE,
                                              "mqtt" };
        ok(tls_server_load(&servers[i], &io_system, &o, &why), &why);
        cert_free(&own);
    }
    const struct tls_client_options co = { .ca_file = root_pem,
                                           .chain = certs_chain("d.pem", (const struct cert *[]){ &device }, 1),
                                           .key = certs_key("d.key", &device) };
    ok(tls_client_load(&client, &io_system, &co, &why), &why);
    loops_open();
    for (unsigned i = 0; i < LOOPS; i++)
        workers[i].loop = loops[i];
    listener = loops_listen(&echo_events);
    port = listener_port(listener);
    listener_set_tls(listener, servers[0]);
    timer_start(loops[0], &swap, 10, swap_certificate);
    loops_run(run, workers, sizeof workers[0]);
    for (int i = 0; i < LOOPS; i++) {
        assert_int_equal(workers[i].done, DIALS);
        assert_int_equal(workers[i].wrong, 0);
    }
    assert_int_equal(atomic_load(&served), LOOPS * DIALS);
    assert_true(swaps > 2);
    assert_true(atomic_load(&known) > 0);
    tls_server_drop(servers[0]);
    tls_server_drop(servers[1]);
    tls_client_drop(client);
    cert_free(&root);
    cert_free(&device);
    certs_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(a_storm_while_certificates_change) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
