/* tls_hostile_test.c - a TLS server of ours in the simulation, against peers that OpenSSL plays badly on purpose or that
 * are raw bytes (reliability.md 6: L-TLS; 7: X.509, TLS; 8: long certificate chain). */
#include "net/filter.h"
#include "net/sim.h"
#include "net/tls.h"
#include "support/certs.h"

#include "base/log.h"
#include "base/mem.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define AT "127.0.0.1:8883"

static struct cert root, server_cert, device;
static const char *root_pem, *chain_pem, *key_pem;

static struct cert leaf(struct cert_wish w)
{
    w.issuer = w.issuer ? w.issuer : &root;
    return cert_make(&w);
}

static int begin(void **state)
{
    (void)state;
    (void)certs_begin();
    root = cert_make(&(struct cert_wish){ .name = "Root", .ca = true });
    server_cert = leaf((struct cert_wish){ .name = "gw1", .sans = "DNS:gw1" });
    device = leaf((struct cert_wish){ .name = "press-1", .usage = "clientAuth" });
    root_pem = certs_chain("root.pem", (const struct cert *[]){ &root }, 1);
    chain_pem = certs_chain("chain.pem", (const struct cert *[]){ &server_cert }, 1);
    key_pem = certs_key("key.pem", &server_cert);
    return 0;
}

static int end(void **state)
{
    (void)state;
    cert_free(&root);
    cert_free(&server_cert);
    cert_free(&device);
    certs_end();
    return 0;
}

/* ---- the server ---- */

struct world {
    struct sim        *sim;
    struct loop       *loop;
    struct listener   *listener;
    struct sim_client *peer;
    struct conn       *conn;
    unsigned           closes;
    struct fault       why;
    bool               why_given, silent;
    bool               closes_then, sips; /* after the first answer; a hundred bytes, then a pause */
    size_t             got;
    char               name[300];
    bool               has_peer, has_name;
};

static size_t on_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct world *w = ctx;
    const struct tls_peer *p = conn_tls_peer(c);
    if (w->sips) {
        in.len = in.len < 100 ? in.len : 100;
        conn_read_pause(c);
    }
    w->got += in.len;
    w->has_peer = p != NULL;
    w->has_name = p && p->common_name;
    (void)snprintf(w->name, sizeof w->name, "%s", w->has_name ? p->common_name : "");
    if (!w->silent)
        buf_add_bytes(conn_out(c), in);
    if (w->closes_then)
        conn_close(c, true);
    return in.len;
}

static void on_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct world *w = ctx;
    (void)c;
    w->closes++;
    w->conn = NULL;
    w->why_given = why;
    if (why)
        w->why = *why;
}

static const struct conn_events events = { .on_bytes = on_bytes, .on_close = on_close };

static void on_accept(void *ctx, const struct net_peer *peer)
{
    struct world *w = ctx;
    struct fault why;
    assert_int_equal(conn_open(&w->conn, w->loop, peer, &events, w, &why), CODE_OK);
}

static void no_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static void open_world(struct world *w, enum tls_ask ask)
{
    struct fault why;
    struct tls_server *s;
    const struct tls_server_options o = { chain_pem, key_pem, root_pem, ask, "mqtt" };
    *w = (struct world){ 0 };
    log_set_sink(no_line, NULL);
    assert_int_equal(sim_open(&w->sim, 1), CODE_OK);
    assert_int_equal(loop_open_sim(&w->loop, w->sim, &why), CODE_OK);
    assert_int_equal(net_listen(&w->listener, w->loop, AT, on_accept, w, &why), CODE_OK);
    assert_int_equal(tls_server_load(&s, &io_system, &o, &why), CODE_OK);
    listener_set_tls(w->listener, s);
    tls_server_drop(s);
    w->peer = sim_connect(w->sim, AT);
    sim_step(w->sim);
    assert_non_null(w->conn);
}

static void close_world(struct world *w)
{
    loop_close(w->loop);
    sim_close(w->sim);
    log_set_sink(NULL, NULL);
}

static void send_raw(struct world *w, const void *at, size_t n)
{
    sim_send(w->peer, bytes_of(at, n));
    sim_step(w->sim);
}

static void assert_refused(struct world *w, int number, const char *said)
{
    if (w->closes != 1 || w->why.number != number || !strstr(w->why.text, said))
        fail_msg("wanted FG%d ..%s.., got %u closes, FG%d %s", number, said, w->closes, w->why.number, w->why.text);
    assert_true(sim_closed(w->peer));
}

/* ---- a peer that speaks TLS ---- */

struct talker {
    SSL_CTX *ctx;
    SSL     *ssl;
    BIO     *in, *out;
    size_t   piece; /* bytes at a time, 0 = all */
};

static void talker_open(struct talker *t, const struct cert *own)
{
    *t = (struct talker){ .ctx = SSL_CTX_new(TLS_client_method()), .in = BIO_new(BIO_s_mem()), .out = BIO_new(BIO_s_mem()) };
    assert_non_null(t->ctx);
    SSL_CTX_set_security_level(t->ctx, 0);
    assert_int_equal(SSL_CTX_set_cipher_list(t->ctx, "ALL:@SECLEVEL=0"), 1);
    if (own) {
        assert_int_equal(SSL_CTX_use_certificate(t->ctx, own->x), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(t->ctx, own->key), 1);
    }
}

static void talker_begin(struct talker *t)
{
    t->ssl = SSL_new(t->ctx);
    BIO_set_mem_eof_return(t->in, -1);
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
}

static void talker_close(struct talker *t)
{
    SSL_free(t->ssl);
    SSL_CTX_free(t->ctx);
    ERR_clear_error();
}

/* Moves bytes both ways until nothing moves. */
static void pump(struct world *w, struct talker *t)
{
    bool moved = true;
    while (moved) {
        char *at;
        size_t n = (size_t)BIO_get_mem_data(t->out, &at), step = t->piece ? t->piece : n;
        moved = n > 0;
        for (size_t i = 0; i < n; i += step)
            send_raw(w, at + i, n - i < step ? n - i : step);
        (void)BIO_reset(t->out);
        sim_step(w->sim);
        struct bytes b = sim_received(w->peer);
        moved |= b.len > 0;
        if (b.len)
            assert_int_equal(BIO_write(t->in, b.at, (int)b.len), (int)b.len);
        sim_take(w->peer, b.len);
        if (!SSL_is_init_finished(t->ssl))
            (void)SSL_do_handshake(t->ssl);
    }
}

/* True: done on both sides, and a message went there and back. */
static bool greet(struct world *w, struct talker *t)
{
    char back[8];
    ERR_clear_error();
    (void)SSL_do_handshake(t->ssl);
    pump(w, t);
    if (!SSL_is_init_finished(t->ssl) || SSL_write(t->ssl, "hello", 5) != 5)
        return false;
    pump(w, t);
    return w->got >= 5 && (w->silent || (SSL_read(t->ssl, back, sizeof back) == 5 && memcmp(back, "hello", 5) == 0));
}

static int alert_of(const struct talker *t)
{
    char byte;
    (void)SSL_read(t->ssl, &byte, 1);
    for (unsigned long e; (e = ERR_get_error());)
        if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) >= SSL_AD_REASON_OFFSET)
            return ERR_GET_REASON(e) - SSL_AD_REASON_OFFSET;
    return -1;
}

/* One peer and a fresh server; `own` NULL: without a certificate; it speaks `version` at most, 0: any. What else it is like can be
 * said until talker_begin. */
static void meet(struct world *w, enum tls_ask ask, const struct cert *own, int version, struct talker *t)
{
    open_world(w, ask);
    talker_open(t, own);
    assert_int_equal(SSL_CTX_set_max_proto_version(t->ctx, version), 1);
}

static bool begins(struct world *w, struct talker *t)
{
    talker_begin(t);
    return greet(w, t);
}

/* Returns whether it got in. */
static bool tries(struct world *w, enum tls_ask ask, const struct cert *own, struct talker *t)
{
    meet(w, ask, own, 0, t);
    return begins(w, t);
}

static void done(struct world *w, struct talker *t)
{
    talker_close(t);
    close_world(w);
}

/* ---- versions ---- */

static void both_versions_work_a_byte_at_a_time(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct world w;
        struct talker t;
        meet(&w, TLS_ASK_REQUIRED, &device, version, &t);
        t.piece = 1;
        assert_true(begins(&w, &t));
        assert_int_equal(SSL_version(t.ssl), version);
        assert_string_equal(w.name, "press-1");
        /* Goodbye from there: ours comes back, and that is no truncation. */
        (void)SSL_shutdown(t.ssl);
        pump(&w, &t);
        assert_int_equal(SSL_shutdown(t.ssl), 1);
        assert_int_equal(w.closes, 1);
        assert_int_equal(w.why.code, CODE_CLOSED);
        done(&w, &t);
    }
}

/* Answers whatever comes, as WebSocket does a close frame. */
static enum code answer_in(struct filter *f, struct bytes in, struct buf *up, struct fault *why)
{
    (void)why;
    buf_add_bytes(up, in);
    filter_send(f, BYTES_LIT("answer"));
    return CODE_OK;
}

static void answer_free(struct filter *f)
{
    (void)f;
}

/* Paho C ends so: DISCONNECT, a close frame and close_notify, all at once. */
static void last_words_before_a_goodbye_are_heard(void **state)
{
    static const struct filter_ops ops = { .name = "answer", .in = answer_in, .free = answer_free };
    struct filter answers = { .ops = &ops };
    struct world w;
    struct talker t;
    (void)state;
    assert_true(tries(&w, TLS_ASK_NONE, NULL, &t));
    conn_push_filter(w.conn, &answers);
    size_t before = w.got;
    assert_int_equal(SSL_write(t.ssl, "DISCONNECT", 10), 10);
    (void)SSL_shutdown(t.ssl);
    pump(&w, &t);
    assert_int_equal(w.got - before, 10);
    assert_int_equal(w.closes, 1);
    assert_int_equal(w.why.code, CODE_CLOSED);
    done(&w, &t);
}

static void our_goodbye_comes_first(void **state)
{
    struct world w;
    struct talker t;
    char byte;
    (void)state;
    assert_true(tries(&w, TLS_ASK_NONE, NULL, &t));
    buf_add(conn_out(w.conn), "bye", 3);
    conn_close(w.conn, true);
    pump(&w, &t);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(SSL_read(t.ssl, &byte, 1), 1);
    assert_int_equal(SSL_read(t.ssl, &byte, 1), 0);
    assert_int_equal(SSL_get_error(t.ssl, 0), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(w.closes, 1);
    assert_false(w.why_given);
    done(&w, &t);
}

/* Half of the connection ends [RFC 8446 6.1]: who says all that it has to say and its goodbye still gets the answer. */
static void what_came_with_the_goodbye_is_answered(void **state)
{
    (void)state;
    for (int closes = 0; closes <= 1; closes++) {
        struct world w;
        struct talker t;
        char back[8];
        assert_true(tries(&w, TLS_ASK_NONE, NULL, &t));
        w.closes_then = closes;
        assert_int_equal(SSL_write(t.ssl, "again", 5), 5);
        (void)SSL_shutdown(t.ssl);
        pump(&w, &t);
        assert_int_equal(SSL_read(t.ssl, back, sizeof back), 5);
        assert_memory_equal(back, "again", 5);
        assert_int_equal(SSL_shutdown(t.ssl), 1);
        assert_int_equal(w.closes, 1);
        done(&w, &t);
    }
}

/* What the engine has taken in must not wait for bytes that never come. */
static void what_came_before_a_pause_is_shown_after_it(void **state)
{
    static uint8_t sent[3000], back[3000];
    struct world w;
    struct talker t;
    unsigned sips = 0;
    (void)state;
    assert_true(tries(&w, TLS_ASK_NONE, NULL, &t));
    w.sips = true;
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (uint8_t)(i * 31 >> 3);
    for (size_t i = 0; i < sizeof sent; i += 1000)
        assert_int_equal(SSL_write(t.ssl, sent + i, 1000), 1000);
    pump(&w, &t);
    for (; w.got < 5 + sizeof sent; sips++) {
        assert_int_equal(w.got, 5 + (sips + 1) * 100);
        conn_read_resume(w.conn);
        sim_step(w.sim);
    }
    assert_int_equal(sips, 29);
    pump(&w, &t);
    for (size_t got = 0; got < sizeof back;) {
        int n = SSL_read(t.ssl, back + got, (int)(sizeof back - got));
        assert_true(n > 0);
        got += (size_t)n;
    }
    assert_memory_equal(back, sent, sizeof sent);
    done(&w, &t);
}

static void an_end_without_goodbye_is_an_end(void **state)
{
    struct world w;
    struct talker t;
    (void)state;
    assert_true(tries(&w, TLS_ASK_NONE, NULL, &t));
    sim_hang_up(w.peer, false);
    sim_step(w.sim);
    assert_int_equal(w.closes, 1);
    assert_int_equal(w.why.code, CODE_CLOSED);
    assert_int_equal(w.got, 5);
    done(&w, &t);
}

static void old_versions_get_the_right_alert(void **state)
{
    (void)state;
    for (int version = TLS1_VERSION; version <= TLS1_1_VERSION; version++) {
        struct world w;
        struct talker t;
        meet(&w, TLS_ASK_NONE, NULL, version, &t);
        assert_int_equal(SSL_CTX_set_min_proto_version(t.ctx, version), 1);
        assert_false(begins(&w, &t));
        assert_int_equal(alert_of(&t), SSL_AD_PROTOCOL_VERSION);
        assert_refused(&w, 2104, version == TLS1_VERSION ? "offers TLS 1.0" : "offers TLS 1.1");
        done(&w, &t);
    }
}

static void weak_ciphers_are_not_chosen(void **state)
{
    static const char *const weak[] = { "AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA",
                                        "ECDHE-ECDSA-AES256-SHA384" };
    (void)state;
    for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++) {
        struct world w;
        struct talker t;
        meet(&w, TLS_ASK_NONE, NULL, TLS1_2_VERSION, &t);
        assert_int_equal(SSL_CTX_set_cipher_list(t.ctx, weak[i]), 1);
        assert_false(begins(&w, &t));
        assert_int_equal(alert_of(&t), SSL_AD_HANDSHAKE_FAILURE);
        assert_refused(&w, 2101, "no cipher");
        done(&w, &t);
    }
}

static void the_protocol_is_chosen_when_offered(void **state)
{
    static const struct {
        const char *offer;
        unsigned    len;
        const char *chosen;
    } table[] = { { "\x04mqtt", 5, "mqtt" }, { "\x02h2\x04mqtt", 8, "mqtt" }, { "\x02h2", 3, "" } };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct world w;
        struct talker t;
        const uint8_t *at;
        unsigned n;
        meet(&w, TLS_ASK_NONE, NULL, 0, &t);
        assert_int_equal(SSL_CTX_set_alpn_protos(t.ctx, (const uint8_t *)table[i].offer, table[i].len), 0);
        assert_true(begins(&w, &t));
        SSL_get0_alpn_selected(t.ssl, &at, &n);
        assert_int_equal(n, strlen(table[i].chosen));
        assert_memory_equal(n ? at : (const uint8_t *)"", table[i].chosen, n);
        done(&w, &t);
    }
}

/* ---- resumption ---- */

static SSL_SESSION *kept;

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(kept);
    kept = s;
    return 1;
}

/* Whether the second handshake of one client was a resumed one. */
static bool resumes(enum tls_ask ask, int version, const struct cert *own)
{
    struct world w;
    struct talker t;
    meet(&w, ask, own, version, &t);
    SSL_CTX_set_session_cache_mode(t.ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(t.ctx, keep_session);
    assert_true(begins(&w, &t));
    SSL_set_shutdown(t.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else it is not kept */
    SSL_free(t.ssl);
    t.in = BIO_new(BIO_s_mem());
    t.out = BIO_new(BIO_s_mem());
    talker_begin(&t);
    if (kept)
        assert_int_equal(SSL_set_session(t.ssl, kept), 1);
    w.peer = sim_connect(w.sim, AT);
    w.got = 0;
    sim_step(w.sim);
    assert_true(greet(&w, &t));
    assert_int_equal(w.has_peer, own != NULL);
    bool yes = SSL_session_reused(t.ssl);
    SSL_SESSION_free(kept);
    kept = NULL;
    done(&w, &t);
    return yes;
}

static void a_session_is_resumed_unless_certificates_are_asked_for(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        assert_true(resumes(TLS_ASK_NONE, version, NULL));
        assert_false(resumes(TLS_ASK_OPTIONAL, version, NULL));
        assert_false(resumes(TLS_ASK_REQUIRED, version, &device));
    }
}

/* ---- certificates ---- */

static void refuses(const struct cert *own, int number, const char *said, int alert)
{
    struct world w;
    struct talker t;
    (void)tries(&w, TLS_ASK_OPTIONAL, own, &t);
    assert_int_equal(w.got, 0);
    assert_refused(&w, number, said);
    int got = alert_of(&t);
    if (alert && got != alert)
        fail_msg("%s: alert %d, got %d", said, alert, got);
    done(&w, &t);
}

static void certificates_that_are_not_to_be_believed(void **state)
{
    (void)state;
    /* The simulation's clock stands at the begin of 2026. */
    struct cert other = cert_make(&(struct cert_wish){ .name = "Root", .ca = true }); /* right name, wrong key */
    struct cert plain_ca = leaf((struct cert_wish){ .name = "no CA" });
    const struct {
        struct cert cert;
        int         number;
        const char *said;
        int         alert;
    } table[] = {
        { leaf((struct cert_wish){ .issuer = &other, .name = "x" }), 2106, "", 0 },
        { cert_make(&(struct cert_wish){ .name = "self" }), 2106, "not in this listener's client-ca", SSL_AD_UNKNOWN_CA },
        { leaf((struct cert_wish){ .name = "x", .to_s = 1767225600 - 86400 }), 2106, "has ended",
          SSL_AD_CERTIFICATE_EXPIRED },
        { leaf((struct cert_wish){ .name = "x", .from_s = 1767225600 + 86400 }), 2106, "not valid yet",
          SSL_AD_BAD_CERTIFICATE },
        { leaf((struct cert_wish){ .name = "x", .usage = "serverAuth" }), 2106, "not one of a TLS client",
          SSL_AD_UNSUPPORTED_CERTIFICATE },
        { leaf((struct cert_wish){ .name = "x", .rsa_bits = 1024 }), 2106, "too weak", 0 },
        { leaf((struct cert_wish){ .issuer = &plain_ca, .name = "x" }), 2106, "", 0 },
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct cert c = table[i].cert;
        refuses(&c, table[i].number, table[i].said, table[i].alert);
        cert_free(&c);
    }
    cert_free(&other);
    cert_free(&plain_ca);
}

static void the_clock_decides(void **state)
{
    static const int64_t walls[] = { 0, 1577836800 - 10, 2208988800 + 10 };
    (void)state;
    for (size_t i = 0; i < sizeof walls / sizeof walls[0]; i++) {
        struct world w;
        struct talker t;
        meet(&w, TLS_ASK_REQUIRED, &device, 0, &t);
        sim_set_wall(w.sim, walls[i] * 1000000);
        (void)begins(&w, &t);
        assert_refused(&w, 2106, i < 2 ? "not valid yet" : "has ended");
        done(&w, &t);
    }
}

/* Our own first, then `count` certificates that each issue the next one. */
static void try_chain(unsigned count, bool hollow, int number, const char *said)
{
    struct world w;
    struct talker t;
    struct cert *chain = calloc(count + 1, sizeof *chain);
    for (unsigned i = 0; i < count; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "CA %u", i);
        chain[i] = leaf((struct cert_wish){ .issuer = i ? &chain[i - 1] : NULL, .name = name, .ca = true,
                                            .hollow = hollow, .rsa_bits = hollow ? 9000 : 0 });
    }
    chain[count] = leaf((struct cert_wish){ .issuer = count && !hollow ? &chain[count - 1] : NULL, .name = "deep" });
    meet(&w, TLS_ASK_REQUIRED, &chain[count], 0, &t);
    for (unsigned i = count; i-- > 0;)
        assert_int_equal(SSL_CTX_add1_chain_cert(t.ctx, chain[i].x), 1);
    bool in = begins(&w, &t);
    if (number)
        assert_refused(&w, number, said);
    else
        assert_true(in);
    done(&w, &t);
    for (unsigned i = 0; i <= count; i++)
        cert_free(&chain[i]);
    free(chain);
}

/* reliability.md 8: "long certificate chain writes out of bounds". */
static void a_chain_of_100_certificates_is_refused(void **state)
{
    (void)state;
    try_chain(3, false, 0, "");
    try_chain(5, false, 0, "");
    try_chain(7, false, 2106, "more than 5 issuers");
    try_chain(10, false, 2108, "more than 10 certificates");
    try_chain(100, false, 2108, "more than 10 certificates");
    try_chain(300, false, 2108, "");
}

static void a_huge_key_is_refused_before_it_is_used(void **state)
{
    (void)state;
    try_chain(1, true, 2108, "more than 8192 bits");
}

static void names_that_are_none(void **state)
{
    char many[66];
    memset(many, 'n', sizeof many);
    many[65] = 0;
    const struct {
        struct cert_wish wish;
        const char      *name; /* NULL: no usable one */
    } table[] = {
        { { .name = "press-1" }, "press-1" },
        { { .name = "Pr\xc3\xa4gung" }, "Pr\xc3\xa4gung" },
        { { .name = many + 1 }, many + 1 }, /* 64 */
        { { .name = many }, NULL },         /* 65 */
        { { .name = "press-1", .second = "press-2" }, NULL },
        { { .name = "press-1", .second = "press-1" }, NULL },
        { { .name = "press-1\0.evil", .name_len = 13 }, NULL },
        { { .name = "press\n1" }, NULL },
        { { .sans = "DNS:press-1" }, NULL },
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct world w;
        struct talker t;
        struct cert c = leaf(table[i].wish);
        assert_true(tries(&w, TLS_ASK_REQUIRED, &c, &t));
        assert_true(w.has_peer);
        assert_int_equal(w.has_name, table[i].name != NULL);
        assert_string_equal(w.name, table[i].name ? table[i].name : "");
        done(&w, &t);
        cert_free(&c);
    }
}

static void a_required_certificate_gets_its_alert(void **state)
{
    struct world w;
    struct talker t;
    (void)state;
    (void)tries(&w, TLS_ASK_REQUIRED, NULL, &t);
    assert_int_equal(alert_of(&t), SSL_AD_CERTIFICATE_REQUIRED);
    assert_refused(&w, 2107, "client-certificate: required");
    done(&w, &t);
}

/* ---- floods ---- */

static void a_renegotiation_ends_the_connection(void **state)
{
    struct world w;
    struct talker t;
    (void)state;
    meet(&w, TLS_ASK_NONE, NULL, TLS1_2_VERSION, &t);
    assert_true(begins(&w, &t));
    assert_int_equal(SSL_renegotiate(t.ssl), 1);
    (void)SSL_do_handshake(t.ssl);
    pump(&w, &t);
    assert_refused(&w, 2108, "renegotiation");
    done(&w, &t);
}

static void key_updates_without_data_are_bounded(void **state)
{
    struct world w;
    struct talker t;
    (void)state;
    assert_true(tries(&w, TLS_ASK_NONE, NULL, &t));
    for (unsigned i = 0; i < 4000 && !w.closes; i++) {
        if (SSL_key_update(t.ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(t.ssl) != 1)
            break;
        pump(&w, &t);
    }
    assert_refused(&w, 2108, "64 KiB of handshake");
    done(&w, &t);
}

static void answers_that_nobody_takes_are_bounded(void **state)
{
    struct world w;
    struct talker t;
    size_t most = 0;
    (void)state;
    meet(&w, TLS_ASK_NONE, NULL, 0, &t);
    w.silent = true;
    assert_true(begins(&w, &t));
    sim_stall(w.peer, 0);
    for (unsigned i = 0; i < 20000 && !w.closes && w.conn; i++) {
        if (SSL_key_update(t.ssl, SSL_KEY_UPDATE_REQUESTED) != 1 || SSL_do_handshake(t.ssl) != 1 ||
            SSL_write(t.ssl, "x", 1) != 1)
            break;
        char *at;
        size_t n = (size_t)BIO_get_mem_data(t.out, &at);
        send_raw(&w, at, n);
        (void)BIO_reset(t.out);
        most = w.conn && conn_unsent(w.conn) > most ? conn_unsent(w.conn) : most;
    }
    assert_true(most > 1000 && most < 128 * 1024);
    sim_advance(w.sim, 10000000); /* it never takes the alert either */
    assert_refused(&w, 2108, "does not take them");
    done(&w, &t);
}

static void records_of_one_byte_arrive(void **state)
{
    struct world w;
    struct talker t;
    (void)state;
    meet(&w, TLS_ASK_NONE, NULL, 0, &t);
    w.silent = true;
    assert_true(begins(&w, &t));
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(SSL_write(t.ssl, "x", 1), 1);
    pump(&w, &t);
    assert_int_equal(w.got, 5005);
    assert_int_equal(w.closes, 0);
    done(&w, &t);
}

static void a_handshake_above_64_kib_is_refused(void **state)
{
    /* A ClientHello that says it has 128 KiB, in records of 1 KiB. */
    uint8_t record[5 + 1024] = { 0x16, 3, 1, 4, 0, 1, 1, 0xff, 0xff, 3, 3 };
    struct world w;
    (void)state;
    open_world(&w, TLS_ASK_NONE);
    size_t sent = 0;
    for (; sent < 256 * 1024 && !w.closes; sent += sizeof record) {
        send_raw(&w, record, sizeof record);
        memset(record + 5, 'x', 11);
    }
    assert_true(sent <= 80 * 1024);
    assert_refused(&w, 2108, "64 KiB");
    assert_memory_equal(sim_received(w.peer).at, "\x15\x03", 2);
    close_world(&w);
}

static void garbage_and_truncation(void **state)
{
    static const struct {
        const char *at;
        size_t      n;
    } bad[] = { { "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10 },
                { "\x16\x03\x01\xff\xff\x01\x00\x00\x01\x00", 10 },
                { "\x16\x00\x00\x00\x00\x00\x00\x00\x00\x00", 10 },
                { "\x16\x03\x01\x00\x00\x16\x03\x01\x00\x00", 10 },
                { "\x00", 1 },
                { "\xff\xff\xff\xff\xff\xff\xff\xff", 8 } };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct world w;
        open_world(&w, TLS_ASK_NONE);
        send_raw(&w, bad[i].at, bad[i].n);
        sim_hang_up(w.peer, false);
        sim_step(w.sim);
        assert_int_equal(w.closes, 1);
        assert_int_equal(w.got, 0);
        close_world(&w);
    }
}

/* A good conversation, cut after each byte, and with each byte of the handshake changed. */
static void each_byte_of_a_handshake_cut_or_changed(void **state)
{
    (void)state;
    for (int change = 0; change <= 1; change++)
        for (size_t at = 0;; at++) {
            struct world w;
            struct talker t;
            char *hello;
            meet(&w, TLS_ASK_NONE, NULL, 0, &t);
            talker_begin(&t);
            (void)SSL_do_handshake(t.ssl);
            size_t n = (size_t)BIO_get_mem_data(t.out, &hello);
            if (change && at < n)
                hello[at] ^= (char)(1 << at % 8);
            send_raw(&w, hello, change ? n : at < n ? at : n);
            sim_hang_up(w.peer, false);
            sim_step(w.sim);
            assert_int_equal(w.closes, 1);
            assert_int_equal(w.got, 0);
            done(&w, &t);
            if (at >= n)
                break;
        }
}

static void a_changed_record_ends_it(void **state)
{
    struct world w;
    struct talker t;
    char *at;
    (void)state;
    assert_true(tries(&w, TLS_ASK_NONE, NULL, &t));
    assert_int_equal(SSL_write(t.ssl, "secret", 6), 6);
    size_t n = (size_t)BIO_get_mem_data(t.out, &at);
    at[n - 3] ^= 1;
    send_raw(&w, at, n);
    assert_refused(&w, 2101, "not understood");
    assert_int_equal(w.got, 5);
    done(&w, &t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_work_a_byte_at_a_time),
        cmocka_unit_test(last_words_before_a_goodbye_are_heard),
        cmocka_unit_test(our_goodbye_comes_first),
        cmocka_unit_test(what_came_with_the_goodbye_is_answered),
        cmocka_unit_test(what_came_before_a_pause_is_shown_after_it),
        cmocka_unit_test(an_end_without_goodbye_is_an_end),
        cmocka_unit_test(old_versions_get_the_right_alert),
        cmocka_unit_test(weak_ciphers_are_not_chosen),
        cmocka_unit_test(the_protocol_is_chosen_when_offered),
        cmocka_unit_test(a_session_is_resumed_unless_certificates_are_asked_for),
        cmocka_unit_test(certificates_that_are_not_to_be_believed),
        cmocka_unit_test(the_clock_decides),
        cmocka_unit_test(a_chain_of_100_certificates_is_refused),
        cmocka_unit_test(a_huge_key_is_refused_before_it_is_used),
        cmocka_unit_test(names_that_are_none),
        cmocka_unit_test(a_required_certificate_gets_its_alert),
        cmocka_unit_test(a_renegotiation_ends_the_connection),
        cmocka_unit_test(key_updates_without_data_are_bounded),
        cmocka_unit_test(answers_that_nobody_takes_are_bounded),
        cmocka_unit_test(records_of_one_byte_arrive),
        cmocka_unit_test(a_handshake_above_64_kib_is_refused),
        cmocka_unit_test(garbage_and_truncation),
        cmocka_unit_test(each_byte_of_a_handshake_cut_or_changed),
        cmocka_unit_test(a_changed_record_ends_it),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
