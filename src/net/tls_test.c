/* tls_test.c - both ends are ours: what a conversation over TLS does on real sockets, in the simulation, and with every
 * stream cut at random places. */
#include "net/net_test_rig.h"
#include "net/tls.h"
#include "support/certs.h"

#include "base/log.h"
#include "base/mem.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static struct cert  root, other_root, server_cert, device;
static const char  *root_pem, *other_root_pem, *chain_pem, *key_pem, *device_pem, *device_key;
static struct fault why;

static int make_certificates(void **state)
{
    (void)state;
    (void)certs_begin();
    root = cert_make(&(struct cert_wish){ .name = "Root", .ca = true });
    other_root = cert_make(&(struct cert_wish){ .name = "Other", .ca = true });
    server_cert = cert_make(&(struct cert_wish){ .issuer = &root, .name = "gw1", .usage = "serverAuth",
                                                 .sans = "DNS:gw1,DNS:localhost,IP:127.0.0.1" });
    device = cert_make(&(struct cert_wish){ .issuer = &root, .name = "press-1", .usage = "clientAuth", .to_s = 1893456000,
                                            .sans = "DNS:press-1.plant,URI:urn:press:1,email:p@plant,IP:10.0.0.1" });
    root_pem = certs_chain("root.pem", (const struct cert *[]){ &root }, 1);
    other_root_pem = certs_chain("other.pem", (const struct cert *[]){ &other_root }, 1);
    chain_pem = certs_chain("chain.pem", (const struct cert *[]){ &server_cert }, 1);
    key_pem = certs_key("key.pem", &server_cert);
    device_pem = certs_chain("device.pem", (const struct cert *[]){ &device }, 1);
    device_key = certs_key("device.key", &device);
    return 0;
}

static int drop_certificates(void **state)
{
    (void)state;
    struct cert *const all[] = { &root, &other_root, &server_cert, &device };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        cert_free(all[i]);
    certs_end();
    return 0;
}

/* ---- two ends ---- */

struct end {
    struct rig  *rig;
    struct conn *conn;
    size_t       sent, got, total;
    unsigned     opens, closes;
    bool         why_given, stays, seen_tls;
    struct fault why;
    char         name[80]; /* the peer's common name when the first byte came */
    size_t       names;
    int64_t      not_after_s;
    uint8_t      sha256[32];
};

static uint8_t stream_at(size_t i)
{
    return (uint8_t)(i * 31 >> 3);
}

static void look_at_peer(struct end *e, const struct conn *c)
{
    const struct tls_peer *p = conn_tls_peer(c);
    e->seen_tls = conn_is_tls(c);
    if (!p)
        return;
    assert_true(p->verified);
    (void)snprintf(e->name, sizeof e->name, "%s", p->common_name ? p->common_name : "?");
    e->names = p->name_count;
    e->not_after_s = p->not_after_s;
    memcpy(e->sha256, p->sha256, sizeof e->sha256);
}

static size_t echo_bytes(void *ctx, struct conn *c, struct bytes in)
{
    look_at_peer(ctx, c);
    buf_add_bytes(conn_out(c), in);
    return in.len;
}

static void end_close(void *ctx, struct conn *c, const struct fault *said)
{
    struct end *e = ctx;
    (void)c;
    e->closes++;
    e->conn = NULL;
    e->why_given = said;
    if (said)
        e->why = *said;
    loop_stop(e->rig->loop);
}

static const struct conn_events echo_events = { .on_bytes = echo_bytes, .on_close = end_close };

static uint8_t block[30000];

static void near_open(void *ctx, struct conn *c)
{
    struct end *e = ctx;
    e->opens++;
    e->conn = c;
    look_at_peer(e, c);
    for (; e->sent < e->total; e->sent++)
        buf_u8(conn_out(c), stream_at(e->sent));
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = stream_at(e->sent + i);
    conn_send_ref(c, bytes_of(block, sizeof block), NULL, NULL);
    e->sent += sizeof block;
    buf_u8(conn_out(c), stream_at(e->sent++));
}

static size_t near_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct end *e = ctx;
    for (size_t i = 0; i < in.len; i++)
        if (in.at[i] != stream_at(e->got + i))
            fail_msg("byte %zu is wrong", e->got + i);
    e->got += in.len;
    if (e->got == e->sent && e->stays)
        loop_stop(e->rig->loop);
    else if (e->got == e->sent)
        conn_close(c, true);
    return in.len;
}

static const struct conn_events near_events = { .on_bytes = near_bytes, .on_close = end_close, .on_open = near_open };

static struct tls_server *load_server(enum tls_ask ask, const char *chain, const char *key, const char *ca)
{
    struct tls_server *s;
    const struct tls_server_options o = { chain, key, ca, ask, "mqtt" };
    rig_ok(tls_server_load(&s, &io_system, &o, &why), &why);
    return s;
}

static struct tls_client *load_client(const char *ca, bool with_certificate, bool any_name)
{
    struct tls_client *c;
    const struct tls_client_options o = { .ca_file = ca, .any_name = any_name,
                                          .chain = with_certificate ? device_pem : NULL,
                                          .key = with_certificate ? device_key : NULL };
    rig_ok(tls_client_load(&c, &io_system, &o, &why), &why);
    return c;
}

struct pair {
    struct rig  r;
    struct end  near, far;
    const char *host;
};

static void open_pair(struct pair *p, void **state, struct tls_server *server)
{
    memset(p, 0, sizeof *p);
    rig_open_kind(&p->r, state);
    p->near.rig = p->far.rig = &p->r;
    p->r.events = &echo_events;
    p->r.ctx = &p->far;
    p->host = "127.0.0.1";
    if (server)
        listener_set_tls(p->r.listener, server);
    tls_server_drop(server); /* the listener holds it */
}

static void dial(struct pair *p, struct tls_client *client)
{
    struct conn *c;
    rig_ok(conn_dial_tls(&c, p->r.loop, p->host, listener_port(p->r.listener), client, &near_events, &p->near, &why),
           &why);
    tls_client_drop(client);
}

static void run_until_both_closed(struct pair *p)
{
    while (!p->near.closes || (p->r.accepts && !p->far.closes))
        rig_run(&p->r);
}

/* ---- what works ---- */

static void a_conversation_ends_with_both_goodbyes(void **state)
{
    struct pair p;
    open_pair(&p, state, load_server(TLS_ASK_NONE, chain_pem, key_pem, NULL));
    p.near.total = 150000;
    dial(&p, load_client(root_pem, false, false));
    run_until_both_closed(&p);
    assert_int_equal(p.near.opens, 1);
    assert_int_equal(p.near.got, p.near.sent);
    assert_false(p.near.why_given);
    assert_string_equal(p.near.name, "gw1"); /* the server's, for the client */
    assert_int_equal(p.far.why.code, CODE_CLOSED);
    assert_true(p.far.seen_tls);
    assert_string_equal(p.far.name, "");
    rig_close(&p.r);
}

static void a_device_is_known_by_its_certificate(void **state)
{
    struct pair p;
    uint8_t sha[32];
    unsigned n;
    open_pair(&p, state, load_server(TLS_ASK_REQUIRED, chain_pem, key_pem, root_pem));
    dial(&p, load_client(root_pem, true, false));
    run_until_both_closed(&p);
    assert_int_equal(p.near.got, p.near.sent);
    assert_string_equal(p.far.name, "press-1");
    assert_int_equal(p.far.names, 3); /* not the address */
    assert_int_equal(p.far.not_after_s, 1893456000);
    assert_int_equal(X509_digest(device.x, EVP_sha256(), sha, &n), 1);
    assert_memory_equal(p.far.sha256, sha, sizeof sha);
    rig_close(&p.r);
}

static void an_optional_certificate_may_be_missing(void **state)
{
    for (int with = 0; with <= 1; with++) {
        struct pair p;
        open_pair(&p, state, load_server(TLS_ASK_OPTIONAL, chain_pem, key_pem, root_pem));
        dial(&p, load_client(root_pem, with, false));
        run_until_both_closed(&p);
        assert_int_equal(p.near.got, p.near.sent);
        assert_string_equal(p.far.name, with ? "press-1" : "");
        rig_close(&p.r);
    }
}

static void another_certificate_is_for_new_connections_only(void **state)
{
    struct pair p, second;
    struct cert fresh =
        cert_make(&(struct cert_wish){ .issuer = &root, .name = "gw1-renewed", .sans = "IP:127.0.0.1" });
    const char *fresh_pem = certs_chain("fresh.pem", (const struct cert *[]){ &fresh }, 1);
    struct tls_server *renewed = load_server(TLS_ASK_NONE, fresh_pem, certs_key("fresh.key", &fresh), NULL);
    open_pair(&p, state, load_server(TLS_ASK_NONE, chain_pem, key_pem, NULL));
    p.near.stays = true;
    dial(&p, load_client(root_pem, false, false));
    while (p.near.got < p.near.sent || !p.near.sent)
        rig_run(&p.r);
    listener_set_tls(p.r.listener, renewed);
    tls_server_drop(renewed);
    second = p;
    second.near = (struct end){ .rig = &p.r };
    dial(&second, load_client(root_pem, false, false));
    while (!second.near.closes)
        rig_run(&p.r);
    assert_string_equal(second.near.name, "gw1-renewed");
    assert_int_equal(p.near.closes, 0);
    /* The first one goes on as before. */
    p.near.stays = false;
    buf_u8(conn_out(p.near.conn), stream_at(p.near.sent++));
    while (!p.near.closes)
        rig_run(&p.r);
    assert_int_equal(p.near.got, p.near.sent);
    assert_string_equal(p.near.name, "gw1");
    rig_close(&p.r);
    cert_free(&fresh);
}

/* ---- what does not, and how it is said ---- */

static char     logged[2048];
static unsigned log_lines;

static void keep_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)snprintf(logged, sizeof logged, "%s", line);
    log_lines++;
}

static void refused(struct pair *p, struct tls_client *client, int near_number, int far_number, const char *near_said)
{
    log_lines = 0;
    logged[0] = 0;
    log_set_sink(keep_line, NULL);
    dial(p, client);
    run_until_both_closed(p);
    log_set_sink(NULL, NULL);
    assert_int_equal(p->near.got, 0);
    if (p->near.why.number != near_number || !strstr(p->near.why.text, near_said))
        fail_msg("client: FG%d %s", p->near.why.number, p->near.why.text);
    if (p->far.why.number != far_number)
        fail_msg("server: FG%d %s", p->far.why.number, p->far.why.text);
    assert_true(log_lines <= 1); /* the server's log has it, once; many of one kind are only counted */
    rig_close(&p->r);
}

static void a_server_that_is_not_trusted_is_left(void **state)
{
    struct pair p;
    open_pair(&p, state, load_server(TLS_ASK_NONE, chain_pem, key_pem, NULL));
    refused(&p, load_client(other_root_pem, false, false), 2106, 2105, "an issuer that we do not trust");
    assert_int_equal(p.near.opens, 0);
    assert_int_equal(log_lines, 1);
    assert_non_null(strstr(logged, "FG2105 127.0.0.1:"));
}

/* reliability.md 8: "bad CA file: verification skipped on the second try". */
static void a_bad_ca_file_never_means_do_not_verify(void **state)
{
    const char *const bad[] = { "/nonexistent/ca.pem", certs_text("empty.pem", "", 0), certs_text("text.pem", "hello\n", 6),
                                key_pem };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        for (int again = 0; again < 3; again++) {
            struct tls_client *c = (struct tls_client *)&c;
            struct tls_server *s = (struct tls_server *)&s;
            const struct tls_client_options co = { .ca_file = bad[i] };
            const struct tls_server_options so = { chain_pem, key_pem, bad[i], TLS_ASK_REQUIRED, "mqtt" };
            assert_int_equal(tls_client_load(&c, &io_system, &co, &why), CODE_USAGE);
            assert_null(c);
            assert_non_null(strstr(why.text, bad[i]));
            assert_int_equal(tls_server_load(&s, &io_system, &so, &why), CODE_USAGE);
            assert_null(s);
            assert_non_null(strstr(why.text, bad[i]));
        }
}

static void the_second_try_is_verified_as_the_first(void **state)
{
    struct pair p;
    struct tls_client *client = load_client(other_root_pem, false, false);
    open_pair(&p, state, load_server(TLS_ASK_NONE, chain_pem, key_pem, NULL));
    for (unsigned i = 1; i <= 3; i++) {
        p.near.closes = p.far.closes = p.r.accepts = 0;
        dial(&p, tls_client_hold(client));
        run_until_both_closed(&p);
        assert_int_equal(p.near.why.number, 2106);
        assert_int_equal(p.near.opens, 0);
    }
    tls_client_drop(client);
    rig_close(&p.r);
}

static void a_certificate_for_another_name_is_refused(void **state)
{
    struct pair p;
    struct cert elsewhere = cert_make(&(struct cert_wish){ .issuer = &root, .name = "127.0.0.1", .sans = "DNS:gw2" });
    const char *pem = certs_chain("gw2.pem", (const struct cert *[]){ &elsewhere }, 1);
    const char *key = certs_key("gw2.key", &elsewhere);
    open_pair(&p, state, load_server(TLS_ASK_NONE, pem, key, NULL));
    refused(&p, load_client(root_pem, false, false), 2103, 2105, "another name");
    /* Asked for, it is looked past; the chain is not. */
    open_pair(&p, state, load_server(TLS_ASK_NONE, pem, key, NULL));
    dial(&p, load_client(root_pem, false, true));
    run_until_both_closed(&p);
    assert_int_equal(p.near.got, p.near.sent);
    rig_close(&p.r);
    open_pair(&p, state, load_server(TLS_ASK_NONE, pem, key, NULL));
    refused(&p, load_client(other_root_pem, false, true), 2106, 2105, "do not trust");
    cert_free(&elsewhere);
}

static void names_are_looked_up_and_verified(void **state)
{
    struct pair p;
    open_pair(&p, state, load_server(TLS_ASK_NONE, chain_pem, key_pem, NULL));
    p.host = "localhost";
    dial(&p, load_client(root_pem, false, false));
    run_until_both_closed(&p);
    assert_int_equal(p.near.got, p.near.sent);
    rig_close(&p.r);
}

static void a_required_certificate_must_come(void **state)
{
    struct pair p;
    open_pair(&p, state, load_server(TLS_ASK_REQUIRED, chain_pem, key_pem, root_pem));
    refused(&p, load_client(root_pem, false, false), 2107, 2107, "--cert");
}

static void a_device_of_another_issuer_is_refused(void **state)
{
    for (enum tls_ask ask = TLS_ASK_OPTIONAL; ask <= TLS_ASK_REQUIRED; ask++) {
        struct pair p;
        open_pair(&p, state, load_server(ask, chain_pem, key_pem, other_root_pem));
        refused(&p, load_client(root_pem, true, false), 2105, 2106, "refused our handshake");
        assert_non_null(strstr(p.far.why.text, "client-ca"));
    }
}

static void tls_to_a_plain_port_is_said(void **state)
{
    struct pair p;
    open_pair(&p, state, NULL);
    refused(&p, load_client(root_pem, false, false), 2101, 0, "");
}

struct plain {
    struct end  end;
    const char *says;
    struct buf  answer;
};

static void plain_open(void *ctx, struct conn *c)
{
    struct plain *t = ctx;
    t->end.opens++;
    buf_add(conn_out(c), t->says, strlen(t->says));
}

static size_t plain_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct plain *t = ctx;
    (void)c;
    buf_add_bytes(&t->answer, in);
    return in.len;
}

static const struct conn_events plain_events = { .on_bytes = plain_bytes, .on_close = end_close, .on_open = plain_open };

static void plain_peers_get_an_alert_and_a_line(void **state)
{
    static const struct {
        const char *says, *line;
    } table[] = { { "\x10\x0c\x01\x04MQTT\x04\x02\x01\x3c\x01\x01x", "it speaks plain MQTT" },
                  { "GET / HTTP/1.1\r\n\r\n", "it speaks plain HTTP" },
                  { "SSH-2.0-OpenSSH_9.2\r\n", "what it sent is not TLS" } };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct pair p;
        struct plain t = { .says = table[i].says };
        open_pair(&p, state, load_server(TLS_ASK_NONE, chain_pem, key_pem, NULL));
        t.end.rig = &p.r;
        log_set_sink(keep_line, NULL);
        rig_dial(&p.r, &plain_events, &t);
        while (!t.end.closes || !p.far.closes)
            rig_run(&p.r);
        log_set_sink(NULL, NULL);
        assert_int_equal(p.far.why.number, 2102);
        assert_non_null(strstr(p.far.why.text, table[i].line));
        assert_int_equal(buf_size(&t.answer), 7);
        assert_memory_equal(t.answer.at, "\x15\x03\x01\x00\x02\x02\x0a", 7); /* fatal, unexpected_message */
        buf_clear(&t.answer);
        rig_close(&p.r);
    }
}

/* ---- memory ---- */

static void each_failed_allocation_is_survived(void **state)
{
    int simulated = 1;
    void *kind = &simulated;
    struct tls_server *server = load_server(TLS_ASK_REQUIRED, chain_pem, key_pem, root_pem);
    struct tls_client *client = load_client(root_pem, true, false);
    (void)state;
    log_set_sink(keep_line, NULL);
    /* OpenSSL makes thousands: of those only some. */
    for (uint64_t n = 1;; n += 1 + n / 40) {
        struct pair p;
        struct conn *c;
        open_pair(&p, &kind, tls_server_hold(server));
        p.r.torture = true;
        p.near.total = 40000;
        mem_fail_at(n);
        enum code code = conn_dial_tls(&c, p.r.loop, "127.0.0.1", listener_port(p.r.listener), client, &near_events,
                                       &p.near, &why);
        if (code == CODE_OK)
            sim_step(p.r.sim);
        int fired = mem_fail_fired();
        mem_fail_at(0);
        rig_close(&p.r);
        assert_int_equal(p.near.closes, code == CODE_OK);
        if (!fired) {
            assert_true(n > 20);
            assert_int_equal(p.near.got, p.near.sent);
            break;
        }
    }
    log_set_sink(NULL, NULL);
    tls_server_drop(server);
    tls_client_drop(client);
}

static void each_failed_allocation_of_loading_is_told(void **state)
{
    const struct tls_server_options so = { chain_pem, key_pem, root_pem, TLS_ASK_REQUIRED, "mqtt" };
    const struct tls_client_options co = { .ca_file = root_pem, .chain = device_pem, .key = device_key };
    (void)state;
    for (uint64_t n = 1;; n += 1 + n / 40) {
        struct tls_server *s;
        struct tls_client *c;
        mem_fail_at(n);
        enum code one = tls_server_load(&s, &io_system, &so, &why);
        enum code two = tls_client_load(&c, &io_system, &co, &why);
        int fired = mem_fail_fired();
        mem_fail_at(0);
        /* Inside OpenSSL it is not always known to be memory; it always is a failure. */
        assert_true((one == CODE_OK) == (s != NULL) && (two == CODE_OK) == (c != NULL));
        assert_true(fired || (one == CODE_OK && two == CODE_OK));
        tls_server_drop(s);
        tls_client_drop(c);
        if (!fired)
            break;
    }
}

/* OpenSSL's memory is refused as ours is. */
static void *ssl_alloc(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return mem_alloc(n);
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return mem_realloc(p, n);
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file;
    (void)line;
    mem_free(p);
}

int main(void)
{
    if (CRYPTO_set_mem_functions(ssl_alloc, ssl_realloc, ssl_free) != 1)
        return 1;
    const struct CMUnitTest tests[] = {
        RIG_EACH(a_conversation_ends_with_both_goodbyes),
        RIG_EACH(a_device_is_known_by_its_certificate),
        RIG_EACH(an_optional_certificate_may_be_missing),
        RIG_EACH(another_certificate_is_for_new_connections_only),
        RIG_EACH(a_server_that_is_not_trusted_is_left),
        cmocka_unit_test(a_bad_ca_file_never_means_do_not_verify),
        RIG_EACH(the_second_try_is_verified_as_the_first),
        RIG_EACH(a_certificate_for_another_name_is_refused),
        RIG_EACH(names_are_looked_up_and_verified),
        RIG_EACH(a_required_certificate_must_come),
        RIG_EACH(a_device_of_another_issuer_is_refused),
        RIG_EACH(plain_peers_get_an_alert_and_a_line),
        RIG_EACH(tls_to_a_plain_port_is_said),
        cmocka_unit_test(each_failed_allocation_is_survived),
        cmocka_unit_test(each_failed_allocation_of_loading_is_told),
    };
    return cmocka_run_group_tests(tests, make_certificates, drop_certificates);
}
