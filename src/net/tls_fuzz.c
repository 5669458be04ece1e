/* tls_fuzz.c - bytes of a peer against TLS, through a simulated connection. Bits of the first byte: 1 the bytes go to a
 * client of ours instead of a server, 2 the streams are cut at random places, 4 the server asks for a certificate. The
 * keys are made when the process starts. */
#include "net/sim.h"
#include "net/tls.h"
#include "support/certs.h"

#include "base/log.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_server *servers[2]; /* with and without a question for a certificate */
static struct tls_client *client;

static void check(int holds)
{
    if (!holds)
        abort();
}

static void no_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static void make_keys(void)
{
    struct fault why;
    struct cert root = cert_make(&(struct cert_wish){ .name = "Root", .ca = true });
    struct cert own = cert_make(&(struct cert_wish){ .issuer = &root, .name = "gw1", .sans = "DNS:gw1" });
    (void)certs_begin();
    const char *root_pem = certs_chain("root.pem", (const struct cert *[]){ &root }, 1);
    const char *chain = certs_chain("chain.pem", (const struct cert *[]){ &own }, 1), *key = certs_key("key.pem", &own);
    for (int i = 0; i < 2; i++) {
        const struct tls_server_options o = { chain, key, root_pem, i ? TLS_ASK_OPTIONAL : TLS_ASK_NONE, "mqtt" };
        check(tls_server_load(&servers[i], &io_system, &o, &why) == CODE_OK);
    }
    const struct tls_client_options o = { .ca_file = root_pem };
    check(tls_client_load(&client, &io_system, &o, &why) == CODE_OK);
    certs_end();
    cert_free(&root);
    cert_free(&own);
    log_set_sink(no_line, NULL);
}

struct stage {
    struct loop *loop;
    bool         plain;        /* the listener plays the peer */
    struct bytes says;
    unsigned     opens, closes;
};

/* Nobody gets through a handshake without a key: no byte may arrive. */
static size_t on_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct stage *s = ctx;
    (void)c;
    check(s->plain);
    return in.len;
}

static void on_open(void *ctx, struct conn *c)
{
    (void)ctx;
    (void)c;
    check(0);
}

static void on_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct stage *s = ctx;
    (void)c;
    (void)why;
    s->closes++;
}

static const struct conn_events events = { .on_bytes = on_bytes, .on_close = on_close, .on_open = on_open };

static void on_accept(void *ctx, const struct net_peer *peer)
{
    struct stage *s = ctx;
    struct conn *c;
    check(conn_open(&c, s->loop, peer, &events, s, NULL) == CODE_OK);
    s->opens++;
    if (s->plain) {
        buf_add_bytes(conn_out(c), s->says);
        conn_close(c, true);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim *sim;
    struct listener *l;
    struct conn *c;
    struct stage s = { 0 };
    if (!client)
        make_keys();
    if (size < 1)
        return 0;
    s.says = bytes_of(data + 1, size - 1);
    s.plain = data[0] & 1;
    check(sim_open(&sim, 1) == CODE_OK && loop_open_sim(&s.loop, sim, NULL) == CODE_OK);
    sim_split_bytes(sim, data[0] & 2);
    check(net_listen(&l, s.loop, "127.0.0.1:8883", on_accept, &s, NULL) == CODE_OK);
    if (s.plain) {
        check(conn_dial_tls(&c, s.loop, "127.0.0.1", 8883, client, &events, &s, NULL) == CODE_OK);
        s.opens++;
        sim_step(sim);
    } else {
        listener_set_tls(l, servers[data[0] >> 2 & 1]);
        struct sim_client *peer = sim_connect(sim, "127.0.0.1:8883");
        sim_send(peer, s.says);
        sim_step(sim);
        sim_hang_up(peer, false);
        sim_step(sim);
        check(s.closes == 1);
    }
    loop_close(s.loop);
    check(s.closes == s.opens);
    sim_close(sim);
    return 0;
}
