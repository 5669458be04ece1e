/* tls_config.c - certificates and keys from files: all that can be wrong with them is said here, before anything listens. */
#include "base/log.h"
#include "base/mem.h"
#include "net/tls_private.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>

/* Forward secrecy and authenticated encryption only; TLS 1.3 has nothing else. */
#define CIPHERS_12                                                                                                     \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"                         \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS "X25519:P-256:P-384"

/* ---- files ---- */

struct pem {
    const char *path;
    const char *what; /* "certificate chain" */
    char       *text;
    size_t      len;
    BIO        *bio;
};

static enum code no_memory(struct fault *why)
{
    ERR_clear_error();
    return FAIL(why, CODE_NOMEM, 0, "no memory for certificates");
}

static void pem_close(struct pem *p)
{
    BIO_free(p->bio);
    if (p->text)
        OPENSSL_cleanse(p->text, p->len);
    mem_free(p->text);
}

static enum code pem_open(struct pem *p, const struct io *io, const char *what, const char *path, struct fault *why)
{
    struct fault inner;
    *p = (struct pem){ .path = path, .what = what };
    enum code code = io_load(io, path, TLS_FILE_BYTES, &p->text, &p->len, &inner);
    if (code == CODE_NOMEM)
        return no_memory(why);
    if (code != CODE_OK)
        return FAIL_FG(why, CODE_USAGE, TLS_UNREADABLE, "the %s cannot be read: %s", what, inner.text);
    if (p->len == 0)
        return FAIL_FG(why, CODE_USAGE, TLS_UNUSABLE, "%s is empty; it should hold the %s as PEM", path, what);
    p->bio = BIO_new_mem_buf(p->text, (int)p->len);
    return p->bio ? CODE_OK : no_memory(why);
}

/* Secrets that need a person are not for a program that starts by itself. */
static int no_passphrase(char *to, int n, int writing, void *asked)
{
    (void)to;
    (void)n;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

/* The next certificate; CODE_END after the last. `n` counts from 1. */
static enum code next_certificate(struct pem *p, int n, X509 **out, struct fault *why)
{
    ERR_clear_error();
    *out = PEM_read_bio_X509(p->bio, NULL, NULL, NULL);
    if (*out)
        return CODE_OK;
    struct tls_cause cause = tls_find_cause();
    if (cause.memory)
        return no_memory(why);
    if (ERR_GET_LIB(cause.last) != ERR_LIB_PEM || ERR_GET_REASON(cause.last) != PEM_R_NO_START_LINE)
        return FAIL_FG(why, CODE_USAGE, TLS_UNUSABLE, "%s: certificate %d in it is damaged. Copy the %s again", p->path, n,
                       p->what);
    if (n == 1)
        return FAIL_FG(why, CODE_USAGE, TLS_UNUSABLE,
                       "%s holds no certificate; it should hold the %s as PEM (-----BEGIN CERTIFICATE-----)", p->path,
                       p->what);
    return CODE_END;
}

/* ---- our own certificate ---- */

static enum code refused_certificate(const struct pem *p, struct fault *why)
{
    struct tls_cause c = tls_find_cause();
    const char *text = ERR_reason_error_string(c.first);
    if (c.memory)
        return no_memory(why);
    if (c.reason == SSL_R_EE_KEY_TOO_SMALL || c.reason == SSL_R_CA_MD_TOO_WEAK || c.reason == SSL_R_CA_KEY_TOO_SMALL)
        text = "its key or signature is too weak; RSA needs 2,048 bits, the signature SHA-256";
    return FAIL_FG(why, CODE_USAGE, TLS_UNUSABLE, "%s cannot be used: %s", p->path, text ? text : "no reason is known");
}

static void warn_of_dates(const struct io *io, const struct pem *p, const X509 *x, int64_t ends)
{
    int64_t now = io->wall_us(io->self) / 1000000;
    int64_t begins = tls_time_s(X509_get0_notBefore(x));
    if (ends <= now)
        log_warn("tls", "FG%04d %s: the certificate ended %lld days ago; clients will refuse it. Renew it.", TLS_DATES,
                 p->path, (long long)((now - ends) / 86400));
    else if (begins > now)
        log_warn("tls", "FG%04d %s: the certificate is not valid before %lld days from now by our clock. Set the clock.",
                 TLS_DATES, p->path, (long long)((begins - now) / 86400 + 1));
}

static enum code take_certificate(SSL_CTX *ctx, struct pem *p, int n, X509 *x, struct fault *why)
{
    if (n > TLS_CERTIFICATES)
        return FAIL_FG(why, CODE_USAGE, TLS_UNUSABLE, "%s holds more than %d certificates; a chain is shorter", p->path,
                       TLS_CERTIFICATES);
    ERR_clear_error();
    int ok = n == 1 ? SSL_CTX_use_certificate(ctx, x) : (int)SSL_CTX_add1_chain_cert(ctx, x);
    return ok == 1 ? CODE_OK : refused_certificate(p, why);
}

static enum code load_chain(SSL_CTX *ctx, const struct io *io, const char *path, int64_t *ends, struct fault *why)
{
    struct pem p;
    X509 *x;
    enum code code = pem_open(&p, io, "certificate chain", path, why);
    *ends = INT64_MAX;
    for (int n = 1; code == CODE_OK; n++) {
        code = next_certificate(&p, n, &x, why);
        if (code != CODE_OK)
            break;
        int64_t s = tls_time_s(X509_get0_notAfter(x));
        *ends = s < *ends ? s : *ends;
        code = take_certificate(ctx, &p, n, x, why);
        if (code == CODE_OK && n == 1)
            warn_of_dates(io, &p, x, s);
        X509_free(x);
    }
    pem_close(&p);
    return code == CODE_END ? CODE_OK : code;
}

static void warn_of_readers(const struct io *io, const char *path)
{
    struct io_stat st;
    if (io->stat(io->self, path, &st) == 0 && st.mode & 04)
        log_warn("tls", "FG%04d every user of this machine can read the key %s. chmod 600 %s", TLS_OPEN_KEY, path, path);
}

static enum code use_key(SSL_CTX *ctx, const char *chain, const char *path, EVP_PKEY *key, struct fault *why)
{
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) > TLS_RSA_BITS)
        return FAIL_FG(why, CODE_USAGE, TLS_UNUSABLE, "%s is an RSA key of %d bits, at most %d are possible", path,
                       EVP_PKEY_get_bits(key), TLS_RSA_BITS);
    ERR_clear_error();
    if (SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1)
        return CODE_OK;
    return tls_find_cause().memory
               ? no_memory(why)
               : FAIL_FG(why, CODE_USAGE, TLS_NO_MATCH,
                            "the key %s does not belong to the first certificate in %s. Name the key it was made with",
                            path, chain);
}

static enum code load_key(SSL_CTX *ctx, const struct io *io, const char *chain, const char *path, struct fault *why)
{
    struct pem p;
    bool asked = false;
    enum code code = pem_open(&p, io, "private key", path, why);
    if (code != CODE_OK) {
        pem_close(&p);
        return code;
    }
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(p.bio, NULL, no_passphrase, &asked);
    bool memory = tls_find_cause().memory;
    if (key)
        code = use_key(ctx, chain, path, key, why);
    else if (memory)
        code = no_memory(why);
    else if (asked)
        code = FAIL_FG(why, CODE_USAGE, TLS_UNUSABLE,
                       "the key %s is encrypted, and nobody is there to give its passphrase. openssl pkey -in %s -out FILE",
                       path, path);
    else
        code = FAIL_FG(why, CODE_USAGE, TLS_UNUSABLE, "%s holds no private key as PEM (-----BEGIN PRIVATE KEY-----)", path);
    EVP_PKEY_free(key);
    pem_close(&p);
    if (code == CODE_OK)
        warn_of_readers(io, path);
    return code;
}

/* ---- whom we trust ---- */

/* Every certificate of the file is an anchor, also one that is no root. */
static enum code load_trust(SSL_CTX *ctx, const struct io *io, const char *path, bool names, struct fault *why)
{
    struct pem p;
    X509 *x;
    enum code code = pem_open(&p, io, "CA certificates", path, why);
    for (int n = 1; code == CODE_OK; n++) {
        code = next_certificate(&p, n, &x, why);
        if (code != CODE_OK)
            break;
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) != 1 || (names && SSL_CTX_add_client_CA(ctx, x) != 1))
            code = no_memory(why);
        X509_free(x);
    }
    pem_close(&p);
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx), X509_V_FLAG_PARTIAL_CHAIN);
    ERR_clear_error();
    return code == CODE_END ? CODE_OK : code;
}

/* ---- both ---- */

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(method);
    if (!ctx)
        return NULL;
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_security_level(ctx, 2);
    SSL_CTX_set_max_cert_list(ctx, TLS_HANDSHAKE_BYTES);
    SSL_CTX_set_verify_depth(ctx, TLS_DEPTH);
    SSL_CTX_set_cert_verify_callback(ctx, tls_verify, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || SSL_CTX_set_cipher_list(ctx, CIPHERS_12) != 1 ||
        SSL_CTX_set_ciphersuites(ctx, CIPHERS_13) != 1 || SSL_CTX_set1_groups_list(ctx, GROUPS) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    return ctx;
}

/* ---- servers ---- */

static int choose_protocol(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in, unsigned in_len, void *arg)
{
    const struct tls_server *s = arg;
    uint8_t *found;
    (void)ssl;
    if (SSL_select_next_proto(&found, out_len, s->alpn, s->alpn[0] + 1u, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK; /* others may be offered: we go on without */
    *out = found;
    return SSL_TLSEXT_ERR_OK;
}

/* A certificate that was shown once would be believed from memory: whoever is asked for one shows it each time. */
static void ask_client(struct tls_server *s)
{
    SSL_CTX_set_verify(s->ctx, SSL_VERIFY_PEER | (s->ask == TLS_ASK_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    SSL_CTX_set_options(s->ctx, SSL_OP_NO_TICKET);
    (void)SSL_CTX_set_num_tickets(s->ctx, 0);
}

static enum code fill_server(struct tls_server *s, const struct io *io, const struct tls_server_options *o,
                             struct fault *why)
{
    static const uint8_t context[] = "fieldgate";
    size_t alpn = o->alpn ? strlen(o->alpn) : 0;
    FG_ASSERT(alpn < sizeof s->alpn && (o->ask == TLS_ASK_NONE || o->client_ca));
    s->ask = o->ask;
    s->ctx = new_context(TLS_server_method());
    if (!s->ctx || SSL_CTX_set_session_id_context(s->ctx, context, sizeof context - 1) != 1)
        return no_memory(why);
    (void)SSL_CTX_set_num_tickets(s->ctx, 1);
    s->alpn[0] = (uint8_t)alpn;
    if (alpn) {
        memcpy(s->alpn + 1, o->alpn, alpn);
        SSL_CTX_set_alpn_select_cb(s->ctx, choose_protocol, s);
    }
    enum code code = load_chain(s->ctx, io, o->chain, &s->not_after_s, why);
    if (code == CODE_OK)
        code = load_key(s->ctx, io, o->chain, o->key, why);
    if (code == CODE_OK && o->ask != TLS_ASK_NONE) {
        code = load_trust(s->ctx, io, o->client_ca, true, why);
        ask_client(s);
    }
    return code;
}

enum code tls_server_load(struct tls_server **out, const struct io *io, const struct tls_server_options *o,
                          struct fault *why)
{
    struct tls_server *s = mem_zalloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return no_memory(why);
    atomic_init(&s->refs, 1);
    enum code code = fill_server(s, io, o, why);
    if (code == CODE_OK)
        *out = s;
    else
        tls_server_drop(s);
    return code;
}

struct tls_server *tls_server_hold(struct tls_server *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void tls_server_drop(struct tls_server *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(s->ctx);
    mem_free(s);
}

int64_t tls_server_not_after_s(const struct tls_server *s)
{
    return s->not_after_s;
}

/* ---- clients ---- */

static enum code trust_folder(SSL_CTX *ctx, const struct io *io, const char *path, struct fault *why)
{
    struct io_stat st;
    if (io->stat(io->self, path, &st) < 0 || !st.is_dir)
        return FAIL_FG(why, CODE_USAGE, TLS_UNREADABLE,
                       "%s is not a folder of CA certificates (their names made by openssl rehash)", path);
    return SSL_CTX_load_verify_dir(ctx, path) == 1 ? CODE_OK : no_memory(why);
}

static enum code fill_client(struct tls_client *c, const struct io *io, const struct tls_client_options *o,
                             struct fault *why)
{
    int64_t ends;
    enum code code = CODE_OK;
    c->any_name = o->any_name;
    c->ctx = new_context(TLS_client_method());
    if (!c->ctx)
        return no_memory(why);
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    if (!o->chain != !o->key)
        return FAIL(why, CODE_USAGE, 0, "a certificate needs its key, and a key its certificate: name both files");
    if (o->ca_file)
        code = load_trust(c->ctx, io, o->ca_file, false, why);
    if (code == CODE_OK && o->ca_path)
        code = trust_folder(c->ctx, io, o->ca_path, why);
    if (code == CODE_OK && !o->ca_file && !o->ca_path && SSL_CTX_set_default_verify_paths(c->ctx) != 1)
        code = FAIL_FG(why, CODE_USAGE, TLS_UNREADABLE, "the system's CA certificates cannot be read; name them: --cafile");
    if (code == CODE_OK && o->chain)
        code = load_chain(c->ctx, io, o->chain, &ends, why);
    if (code == CODE_OK && o->chain)
        code = load_key(c->ctx, io, o->chain, o->key, why);
    ERR_clear_error();
    return code;
}

enum code tls_client_load(struct tls_client **out, const struct io *io, const struct tls_client_options *o,
                          struct fault *why)
{
    struct tls_client *c = mem_zalloc(1, sizeof *c);
    *out = NULL;
    if (!c)
        return no_memory(why);
    atomic_init(&c->refs, 1);
    enum code code = fill_client(c, io, o, why);
    if (code == CODE_OK)
        *out = c;
    else
        tls_client_drop(c);
    return code;
}

struct tls_client *tls_client_hold(struct tls_client *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void tls_client_drop(struct tls_client *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(c->ctx);
    mem_free(c);
}
