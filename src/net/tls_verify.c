/* tls_verify.c - whether a chain is believed, and what the certificate at its end says. */
#include "base/limits_use.h"
#include "base/mem.h"
#include "net/tls_private.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <time.h>

enum { NAMES_MAX = 100, NAME_BYTES_MAX = 255, COMMON_NAME_BYTES = 4 * TLS_NAME_CHARS };

/* Seconds since 1970; a date that cannot be read has passed. */
int64_t tls_time_s(const ASN1_TIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* ---- before anything is computed with what the peer has sent ---- */

static bool too_large(X509 *x)
{
    EVP_PKEY *key = X509_get0_pubkey(x);
    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
        return false;
    if (EVP_PKEY_get_bits(key) > TLS_RSA_BITS) {
        limits_refused(LIMIT_TLS_RSA_BITS);
        return true;
    }
    limits_saw(LIMIT_TLS_RSA_BITS, (uint64_t)EVP_PKEY_get_bits(key));
    return false;
}

static bool bounded(X509_STORE_CTX *x, struct tls_filter *t)
{
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(x);
    t->many = sk_X509_num(sent) > TLS_CERTIFICATES;
    if (t->many)
        limits_refused(LIMIT_TLS_CERTIFICATES);
    else if (sk_X509_num(sent) > 0)
        limits_saw(LIMIT_TLS_CERTIFICATES, (uint64_t)sk_X509_num(sent));
    for (int i = 0; !t->many && i < sk_X509_num(sent); i++)
        t->huge_key |= too_large(sk_X509_value(sent, i));
    return !t->many && !t->huge_key;
}

int tls_verify(X509_STORE_CTX *x, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_filter *t = SSL_get_app_data(ssl);
    (void)arg;
    if (!bounded(x, t)) {
        X509_STORE_CTX_set_error(x, t->many ? X509_V_ERR_CERT_CHAIN_TOO_LONG : X509_V_ERR_CERT_REJECTED);
        return 0;
    }
    X509_STORE_CTX_set_time(x, 0, (time_t)(loop_wall_us(t->filter.conn->loop) / 1000000));
    bool good = X509_verify_cert(x) == 1;
    if (X509_STORE_CTX_get_error(x) == X509_V_ERR_CERT_CHAIN_TOO_LONG)
        limits_refused(LIMIT_TLS_DEPTH);
    else if (good) /* its own and the root do not count */
        limits_saw(LIMIT_TLS_DEPTH, (uint64_t)(sk_X509_num(X509_STORE_CTX_get0_chain(x)) > 2 ? sk_X509_num(X509_STORE_CTX_get0_chain(x)) - 2 : 0));
    return good;
}

/* ---- names ---- */

/* Without control characters, and not longer than a name is. */
static bool nameable(struct bytes text, size_t chars_max)
{
    size_t chars = 0;
    if (text.len == 0 || !utf8_valid(text, false))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < 0x20 || text.at[i] == 0x7f)
            return false;
        chars += (text.at[i] & 0xc0) != 0x80;
    }
    return chars <= chars_max;
}

/* The length is the string's own, so that "press-1\0.evil" is not press-1. True unless memory is out. */
static bool read_common_name(const X509 *cert, char **out)
{
    X509_NAME *subject = X509_get_subject_name(cert);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return true;
    uint8_t *text = NULL;
    int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (n > 0 && n <= COMMON_NAME_BYTES && nameable(bytes_of(text, (size_t)n), TLS_NAME_CHARS))
        *out = mem_strndup(text, (size_t)n);
    bool ok = *out || n <= 0 || n > COMMON_NAME_BYTES || !nameable(bytes_of(text, (size_t)n), TLS_NAME_CHARS);
    OPENSSL_free(text);
    return ok;
}

static const ASN1_IA5STRING *name_text(const GENERAL_NAME *g)
{
    int type;
    const void *value = GENERAL_NAME_get0_value(g, &type);
    return type == GEN_DNS || type == GEN_URI || type == GEN_EMAIL ? value : NULL;
}

static enum tls_name kind_of(const GENERAL_NAME *g)
{
    return g->type == GEN_DNS ? TLS_NAME_DNS : g->type == GEN_URI ? TLS_NAME_URI : TLS_NAME_EMAIL;
}

static bool read_names(const X509 *cert, struct tls_peer *p)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(all) < NAMES_MAX ? sk_GENERAL_NAME_num(all) : NAMES_MAX;
    char **names = count > 0 ? mem_zalloc((size_t)count, sizeof *names) : NULL;
    uint8_t *kinds = count > 0 ? mem_zalloc((size_t)count, 1) : NULL;
    bool ok = count <= 0 || (names && kinds);
    p->names = (const char *const *)names;
    p->name_kinds = kinds;
    for (int i = 0; ok && i < count; i++) {
        const ASN1_IA5STRING *s = name_text(sk_GENERAL_NAME_value(all, i));
        struct bytes text = s ? bytes_of(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)) : BYTES_NONE;
        if (!s || !nameable(text, NAME_BYTES_MAX))
            continue;
        names[p->name_count] = mem_strndup(text.at, text.len);
        ok = names[p->name_count] != NULL;
        kinds[p->name_count] = (uint8_t)kind_of(sk_GENERAL_NAME_value(all, i));
        p->name_count += ok;
    }
    GENERAL_NAMES_free(all);
    return ok;
}

/* A chain is good until its first certificate ends. */
static int64_t chain_ends_s(SSL *ssl, const X509 *cert)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    int64_t ends = tls_time_s(X509_get0_notAfter(cert));
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t s = tls_time_s(X509_get0_notAfter(sk_X509_value(chain, i)));
        ends = s < ends ? s : ends;
    }
    return ends;
}

bool tls_peer_read(struct tls_filter *t)
{
    X509 *cert = SSL_get0_peer_certificate(t->ssl);
    unsigned n;
    if (!cert)
        return true;
    /* OpenSSL has ended the handshake otherwise; a resumed one is not asked for certificates. */
    FG_ASSERT(SSL_get_verify_result(t->ssl) == X509_V_OK);
    char *common_name = NULL;
    struct tls_peer *p = t->peer = mem_zalloc(1, sizeof *p);
    if (!p || !read_common_name(cert, &common_name))
        return false;
    p->common_name = common_name;
    p->verified = true;
    p->not_after_s = chain_ends_s(t->ssl, cert);
    bool ok = read_names(cert, p) && X509_digest(cert, EVP_sha256(), p->sha256, &n) == 1;
    ERR_clear_error();
    return ok;
}

void tls_peer_free(struct tls_peer *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->name_count; i++)
        mem_free((void *)(uintptr_t)p->names[i]);
    mem_free((void *)(uintptr_t)p->names);
    mem_free((void *)(uintptr_t)p->name_kinds);
    mem_free((void *)(uintptr_t)p->common_name);
    mem_free(p);
}
