/* tls_filter.c - OpenSSL as a filter. Its BIO reads the bytes that `in` was given where they lie, and writes into the
 * buffer that goes down: the engine owns no queue of ours, and between two calls nothing but a part of a record. */
#include "base/limits_use.h"
#include "base/mem.h"
#include "net/tls_private.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <pthread.h>

enum { RECORD_BYTES = 16 * 1024, ALERT_BYTES = 7 };

static struct tls_filter *of(struct filter *f)
{
    return (struct tls_filter *)(void *)f;
}

/* ---- the BIO ---- */

static int bio_read(BIO *b, char *to, size_t n, size_t *got)
{
    struct tls_filter *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (t->in.len == 0) {
        BIO_set_retry_read(b);
        return 0;
    }
    if (t->quiet_bytes >= TLS_HANDSHAKE_BYTES) {
        t->flooded = true;
        limits_refused(LIMIT_TLS_HANDSHAKE_BYTES);
        return 0;
    }
    *got = n < t->in.len ? n : t->in.len;
    if (*got > TLS_HANDSHAKE_BYTES - t->quiet_bytes)
        *got = TLS_HANDSHAKE_BYTES - t->quiet_bytes;
    memcpy(to, t->in.at, *got);
    t->in = bytes_from(t->in, *got);
    t->quiet_bytes += (uint32_t)*got;
    limits_saw(LIMIT_TLS_HANDSHAKE_BYTES, t->quiet_bytes);
    return 1;
}

static int bio_write(BIO *b, const char *from, size_t n, size_t *put)
{
    struct tls_filter *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (!t->to)
        return 0;
    buf_add(t->to, from, n);
    if (t->to->bad)
        return 0;
    t->spoke = true;
    *put = n;
    return 1;
}

static long bio_ctrl(BIO *b, int what, long number, void *arg)
{
    (void)b;
    (void)number;
    (void)arg;
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "fieldgate");
    if (!method || !BIO_meth_set_read_ex(method, bio_read) || !BIO_meth_set_write_ex(method, bio_write) ||
        !BIO_meth_set_ctrl(method, bio_ctrl)) {
        BIO_meth_free(method);
        method = NULL;
    }
}

static BIO *make_bio(struct tls_filter *t)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, make_method);
    BIO *b = method ? BIO_new(method) : NULL;
    if (b) {
        BIO_set_data(b, t);
        BIO_set_init(b, 1);
    }
    return b;
}

/* ---- in ---- */

static void alert_plainly(struct tls_filter *t, uint8_t what)
{
    const uint8_t record[ALERT_BYTES] = { SSL3_RT_ALERT, 3, 1, 0, 2, SSL3_AL_FATAL, what };
    buf_add(t->to, record, sizeof record);
}

/* Every TLS connection begins with a handshake record; a line of HTTP and a CONNECT do not. */
static bool speaks_tls(struct tls_filter *t)
{
    if (t->begun)
        return true;
    t->begun = true;
    return t->in.at[0] == SSL3_RT_HANDSHAKE || (!t->server && t->in.at[0] == SSL3_RT_ALERT);
}

/* Why OpenSSL stopped. CODE_MORE: it has used up what there was. */
static enum code stopped(struct tls_filter *t, int result, struct fault *why)
{
    int error = SSL_get_error(t->ssl, result);
    if (t->flooded)
        return tls_limit(t, "sent 64 KiB of handshake without a message in it", why);
    if (error == SSL_ERROR_WANT_READ)
        return CODE_MORE;
    if (error == SSL_ERROR_ZERO_RETURN)
        return CODE_END;
    return tls_refused(t, why);
}

static enum code shake_hands(struct tls_filter *t, struct fault *why)
{
    if (t->in.len && !speaks_tls(t)) {
        alert_plainly(t, SSL_AD_UNEXPECTED_MESSAGE);
        return tls_not_tls(t, why);
    }
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    if (r == 1) {
        if (!tls_peer_read(t))
            return FAIL(why, CODE_NOMEM, 0, "no memory for the certificate of %s", conn_address(t->filter.conn));
        t->quiet_bytes = 0;
        tls_count_handshake();
        return CODE_OK;
    }
    enum code code = stopped(t, r, why);
    if (t->flooded && !t->spoke)
        alert_plainly(t, SSL_AD_DECODE_ERROR);
    return code;
}

static enum code read_records(struct tls_filter *t, struct buf *up, struct fault *why)
{
    enum code code = CODE_OK;
    ERR_clear_error();
    while (code == CODE_OK) {
        size_t got = 0;
        /* Room for all that may come: no growing in between. */
        if (!buf_room(up, t->in.len + RECORD_BYTES))
            return CODE_NOMEM; /* `up` is bad: filter_in has the sentence */
        int r = SSL_read_ex(t->ssl, up->at + up->len, up->cap - up->len, &got);
        up->len += got;
        if (got)
            t->quiet_bytes = 0;
        code = r == 1 ? CODE_OK : stopped(t, r, why);
        if (t->renegotiates)
            code = tls_limit(t, "asked for a renegotiation", why);
    }
    return code == CODE_MORE ? CODE_OK : code;
}

static enum code send_said(struct tls_filter *t, struct buf *said, struct fault *why)
{
    struct conn *c = t->filter.conn;
    enum code code = CODE_OK;
    if (!c->out)
        t->said_bytes = 0;
    t->said_bytes += (uint32_t)buf_size(said);
    if (said->bad)
        code = FAIL(why, CODE_NOMEM, 0, "no memory for what is to be sent to %s", conn_address(c));
    else if (t->filter.open && t->said_bytes > TLS_HANDSHAKE_BYTES)
        code = tls_limit(t, "asks for 64 KiB of answers and does not take them", why);
    else if (buf_size(said))
        filter_send(&t->filter, buf_bytes(said));
    buf_clear(said);
    return code;
}

/* Our goodbye, once. */
static void goodbye(struct tls_filter *t)
{
    ERR_clear_error();
    if (SSL_is_init_finished(t->ssl) && !(SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN))
        (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

static enum code tls_in(struct filter *f, struct bytes in, struct buf *up, struct fault *why)
{
    struct tls_filter *t = of(f);
    struct buf said = { 0 };
    enum code code = CODE_OK;
    bool was_open = f->open;
    if (t->ended)
        return CODE_END; /* what comes after a close_notify is not looked at [RFC 8446 6.1] */
    t->in = in;
    t->to = &said;
    if (!f->open)
        code = shake_hands(t, why);
    if (code == CODE_OK && !was_open) {
        /* What ends the handshake leaves before anything of the protocol's. */
        code = send_said(t, &said, why);
        if (code == CODE_OK)
            filter_opened(f);
        if (code == CODE_OK && f->conn->state != CONN_OPEN)
            code = CODE_CLOSED;
        t->to = &said;
    }
    if (code == CODE_OK)
        code = read_records(t, up, why);
    t->ended |= code == CODE_END;
    enum code sent = f->conn->state == CONN_OPEN ? send_said(t, &said, why) : CODE_OK;
    buf_clear(&said);
    t->in = BYTES_NONE;
    t->to = NULL;
    if (f->conn->state != CONN_OPEN || code == CODE_MORE)
        return sent;
    return code == CODE_OK ? sent : code;
}

static enum code tls_start(struct filter *f, struct fault *why)
{
    struct tls_filter *t = of(f);
    struct buf said = { 0 };
    if (t->server)
        return CODE_OK; /* the client begins */
    t->to = &said;
    enum code code = shake_hands(t, why);
    enum code sent = send_said(t, &said, why);
    t->to = NULL;
    return code == CODE_MORE ? sent : code;
}

/* ---- out ---- */

static enum code tls_out(struct filter *f, struct bytes in, struct buf *down, struct fault *why)
{
    struct tls_filter *t = of(f);
    size_t put;
    if (in.len == 0 || SSL_get_shutdown(t->ssl) & SSL_SENT_SHUTDOWN) /* behind our goodbye nothing may come */
        return CODE_OK;
    t->to = down;
    ERR_clear_error();
    int r = SSL_write_ex(t->ssl, in.at, in.len, &put);
    t->to = NULL;
    return r == 1 || down->bad ? CODE_OK : tls_refused(t, why);
}

static void tls_end(struct filter *f, struct buf *down)
{
    struct tls_filter *t = of(f);
    t->to = down;
    goodbye(t);
    t->to = NULL;
}

/* ---- life ---- */

static void tell_unfinished(struct tls_filter *t)
{
    struct conn *c = t->filter.conn;
    struct fault why;
    if (t->filter.open || t->told || !t->server || !c || !c->why || c->loop->closed)
        return;
    if (!t->begun)
        return; /* has sent nothing: a probe, and whoever waited for it says so */
    tls_count_failure();
    (void)FAIL_FG(&why, CODE_CLOSED, TLS_LEFT,
                  "%s left during the TLS handshake, without a word. Most clients do so when they do not trust the "
                  "certificate: give them its root (cafile).",
                  c->address);
    tls_log(t, &why);
}

static void tls_free(struct filter *f)
{
    struct tls_filter *t = of(f);
    tell_unfinished(t);
    SSL_free(t->ssl);
    ERR_clear_error();
    tls_peer_free(t->peer);
    tls_server_drop(t->server);
    tls_client_drop(t->client);
    mem_free(t);
}

static const struct filter_ops tls_ops = {
    .name = "TLS", .start = tls_start, .in = tls_in, .out = tls_out, .end = tls_end, .free = tls_free
};

/* OpenSSL refuses by itself (SSL_OP_NO_RENEGOTIATION) with a warning, as often as it is asked: here the first attempt is
 * the last. */
static void on_info(const SSL *ssl, int where, int what)
{
    struct tls_filter *t = SSL_get_app_data(ssl);
    if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && (what & 0xff) == SSL_AD_NO_RENEGOTIATION)
        t->renegotiates = true;
}

static struct tls_filter *new_filter(SSL_CTX *ctx)
{
    struct tls_filter *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->filter.ops = &tls_ops;
    ERR_clear_error();
    t->ssl = SSL_new(ctx);
    BIO *b = t->ssl && SSL_set_app_data(t->ssl, t) == 1 ? make_bio(t) : NULL;
    if (!b) {
        tls_free(&t->filter);
        return NULL;
    }
    SSL_set_bio(t->ssl, b, b);
    SSL_set_info_callback(t->ssl, on_info);
    return t;
}

struct filter *tls_filter_accept(struct tls_server *s)
{
    struct tls_filter *t = new_filter(s->ctx);
    if (!t)
        return NULL;
    t->server = tls_server_hold(s);
    SSL_set_accept_state(t->ssl);
    return &t->filter;
}

/* The certificate must be for this name or address; only names are told to the server [RFC 6066 3]. */
static bool expect_name(struct tls_filter *t, const char *host)
{
    X509_VERIFY_PARAM *p = SSL_get0_param(t->ssl);
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(host);
    bool numeric = address != NULL;
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(p, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!numeric && SSL_set_tlsext_host_name(t->ssl, host) != 1)
        return false;
    if (t->client->any_name)
        return true;
    return numeric ? X509_VERIFY_PARAM_set1_ip_asc(p, host) == 1 : X509_VERIFY_PARAM_set1_host(p, host, 0) == 1;
}

struct filter *tls_filter_dial(struct tls_client *client, const char *host)
{
    struct tls_filter *t = new_filter(client->ctx);
    if (!t)
        return NULL;
    t->client = tls_client_hold(client);
    SSL_set_connect_state(t->ssl);
    if (!expect_name(t, host)) {
        tls_free(&t->filter);
        return NULL;
    }
    return &t->filter;
}

enum code conn_dial_tls(struct conn **out, struct loop *l, const char *host, uint16_t port,
                        struct tls_client *client, const struct conn_events *events, void *ctx, struct fault *why)
{
    struct filter *f = tls_filter_dial(client, host);
    if (!f)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a connection to %s", host);
    enum code code = conn_dial(out, l, host, port, events, ctx, why);
    if (code == CODE_OK)
        conn_push_filter(*out, f);
    else
        f->ops->free(f);
    return code;
}

static const struct tls_filter *filter_of(const struct conn *c)
{
    for (const struct filter *f = c->top; f; f = f->below)
        if (f->ops == &tls_ops)
            return (const struct tls_filter *)(const void *)f;
    return NULL;
}

const struct tls_peer *conn_tls_peer(const struct conn *c)
{
    const struct tls_filter *t = filter_of(c);
    return t && t->filter.open ? t->peer : NULL;
}

bool conn_is_tls(const struct conn *c)
{
    return filter_of(c) != NULL;
}
