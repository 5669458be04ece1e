#include "opcua/certificate.h"

#include "base/mem.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

struct counted {
    struct ua_certificate c; /* first */
    _Atomic unsigned refs;
    char *uri;
};

static enum code no_memory(struct fault *why)
{
    ERR_clear_error();
    return FAIL(why, CODE_NOMEM, 0, "no memory for a certificate");
}

struct ua_certificate *ua_certificate_hold(struct ua_certificate *c)
{
    atomic_fetch_add_explicit(&((struct counted *)c)->refs, 1, memory_order_relaxed);
    return c;
}

void ua_certificate_drop(struct ua_certificate *c)
{
    struct counted *k = (struct counted *)c;
    if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < c->count; i++)
        X509_free(c->x[i]);
    mem_free(k->uri);
    mem_free((void *)(uintptr_t)c->der.at);
    mem_free(k);
}

/* ---- what the leaf says ---- */

/* Seconds since 1970; a date that cannot be read has passed. */
static int64_t seconds(const ASN1_TIME *t)
{
    struct tm tm;
    return t && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

/* "CN=press-1, O=Plant A"; a name can be of any length and hold anything. */
static void name_text(X509_NAME *name, char *out, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long n = bio && X509_NAME_print_ex(bio, name, 0,
                                       XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB & ~XN_FLAG_SPC_EQ) >= 0
                 ? BIO_get_mem_data(bio, &text)
                 : 0;
    bytes_escape(n > 0 ? bytes_of(text, (size_t)n) : bytes_str("-"), out, cap);
    BIO_free(bio);
}

static void common_name(struct ua_certificate *c)
{
    X509_NAME *subject = X509_get_subject_name(c->x[0]);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    uint8_t *text = NULL;
    int n = at < 0 ? -1
                   : ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    bytes_escape(n > 0 ? bytes_of(text, (size_t)n) : bytes_str(c->subject), c->name, sizeof c->name);
    OPENSSL_free(text);
}

static void read_key(struct ua_certificate *c)
{
    int md = NID_undef;
    c->key = X509_get0_pubkey(c->x[0]);
    c->rsa = c->key && EVP_PKEY_get_base_id(c->key) == EVP_PKEY_RSA;
    c->bits = c->key && EVP_PKEY_get_bits(c->key) > 0 ? (unsigned)EVP_PKEY_get_bits(c->key) : 0;
    c->hash = "an unknown hash";
    if (X509_get_signature_info(c->x[0], &md, NULL, NULL, NULL) && md != NID_undef)
        c->hash = OBJ_nid2sn(md);
    c->hash_strong = md == NID_sha256 || md == NID_sha384 || md == NID_sha512 || md == NID_sha3_256 ||
                     md == NID_sha3_384 || md == NID_sha3_512;
}

static bool read_uri(struct counted *k, const GENERAL_NAME *g)
{
    if (g->type != GEN_URI)
        return true;
    struct bytes text = bytes_of(ASN1_STRING_get0_data(g->d.uniformResourceIdentifier),
                                 (size_t)ASN1_STRING_length(g->d.uniformResourceIdentifier));
    if (++k->c.uri_count > 1) {
        k->c.uri = NULL; /* which of them is meant, nobody can tell */
        return true;
    }
    if (text.len == 0 || text.len > UA_URI_BYTES_MAX || !utf8_valid(text, false))
        return true;
    k->c.uri = k->uri = mem_strndup(text.at, text.len);
    return k->uri != NULL;
}

static enum code read_names(struct counted *k, struct fault *why)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(k->c.x[0], NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(all);
    enum code code = CODE_OK;
    if (count > UA_SAN_MAX)
        code = FAIL(why, CODE_LIMIT, 0, "it names %d alternative names, at most %d are read", count,
                    UA_SAN_MAX);
    for (int i = 0; code == CODE_OK && i < count; i++)
        if (!read_uri(k, sk_GENERAL_NAME_value(all, i)))
            code = no_memory(why);
    GENERAL_NAMES_free(all);
    return code;
}

static enum code read_leaf(struct counted *k, struct fault *why)
{
    struct ua_certificate *c = &k->c;
    X509 *x = c->x[0];
    if (!ua_thumbprint(c->leaf, c->thumbprint))
        return no_memory(why);
    for (size_t i = 0; i < sizeof c->thumbprint; i++)
        (void)snprintf(c->hex + 2 * i, 3, "%02X", c->thumbprint[i]);
    c->from_s = seconds(X509_get0_notBefore(x));
    c->to_s = seconds(X509_get0_notAfter(x));
    c->self_issued = X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
    c->ca = X509_check_ca(x) > 0;
    name_text(X509_get_subject_name(x), c->subject, sizeof c->subject);
    name_text(X509_get_issuer_name(x), c->issuer, sizeof c->issuer);
    common_name(c);
    read_key(c);
    enum code code = read_names(k, why);
    ERR_clear_error();
    return code;
}

/* ---- the chain ---- */

static enum code read_chain(struct ua_certificate *c, struct fault *why)
{
    const uint8_t *at = c->der.at, *end = at + c->der.len;
    while (at < end) {
        const uint8_t *begin = at;
        if (c->count == UA_CHAIN_MAX)
            return FAIL(why, CODE_LIMIT, 0, "its chain has more than %d certificates", UA_CHAIN_MAX);
        X509 *x = d2i_X509(NULL, &at, end - at);
        if (!x)
            return FAIL(why, CODE_MALFORMED, (uint64_t)(begin - c->der.at),
                        "byte %zu is not the beginning of a certificate in DER (X.509)",
                        (size_t)(begin - c->der.at));
        if (c->count == 0)
            c->leaf = bytes_of(begin, (size_t)(at - begin));
        c->x[c->count++] = x;
    }
    return CODE_OK;
}

enum code ua_certificate_read(struct ua_certificate **out, struct bytes der, struct fault *why)
{
    *out = NULL;
    if (der.len == 0)
        return FAIL(why, CODE_MALFORMED, 0, "there is no certificate");
    if (der.len > UA_CHAIN_BYTES_MAX)
        return FAIL(why, CODE_LIMIT, 0, "a certificate chain of %zu bytes is too long, at most %d are read",
                    der.len, UA_CHAIN_BYTES_MAX);
    struct counted *k = mem_zalloc(1, sizeof *k);
    uint8_t *copy = mem_alloc(der.len);
    if (!k || !copy) {
        mem_free(k);
        mem_free(copy);
        return no_memory(why);
    }
    memcpy(copy, der.at, der.len);
    atomic_init(&k->refs, 1);
    k->c.der = bytes_of(copy, der.len);
    enum code code = read_chain(&k->c, why);
    if (code == CODE_OK)
        code = read_leaf(k, why);
    ERR_clear_error();
    if (code == CODE_OK)
        *out = &k->c;
    else
        ua_certificate_drop(&k->c);
    return code;
}

/* ---- files ---- */

static bool add_der(struct buf *to, const X509 *x)
{
    uint8_t *der = NULL;
    int n = i2d_X509(x, &der);
    if (n > 0)
        buf_add(to, der, (size_t)n);
    OPENSSL_free(der);
    return n > 0 && !to->bad;
}

static enum code from_pem(struct buf *der, struct bytes text, struct fault *why)
{
    BIO *bio = BIO_new_mem_buf(text.at, (int)text.len);
    bool ok = bio != NULL;
    int n = 0;
    for (X509 *x; ok && n <= UA_CHAIN_MAX && (x = PEM_read_bio_X509(bio, NULL, NULL, NULL)); n++) {
        ok = add_der(der, x);
        X509_free(x);
    }
    unsigned long last = ERR_peek_last_error();
    bool damaged = n <= UA_CHAIN_MAX && ERR_GET_REASON(last) != PEM_R_NO_START_LINE;
    BIO_free(bio);
    ERR_clear_error();
    if (!ok)
        return no_memory(why);
    if (n == 0 || damaged)
        return FAIL(why, CODE_MALFORMED, 0,
                    "certificate %d in it is damaged or missing (-----BEGIN CERTIFICATE-----)", n + 1);
    return CODE_OK;
}

enum code ua_certificate_read_file(struct ua_certificate **out, struct bytes text, struct fault *why)
{
    *out = NULL;
    if (text.len == 0)
        return FAIL(why, CODE_MALFORMED, 0, "it is empty");
    if (text.len > 2 * UA_CHAIN_BYTES_MAX)
        return FAIL(why, CODE_LIMIT, 0, "%zu bytes are too many for a certificate", text.len);
    if (text.len && text.at[0] == 0x30) /* SEQUENCE */
        return ua_certificate_read(out, text, why);
    struct buf der = {0};
    enum code code = from_pem(&der, text, why);
    if (code == CODE_OK)
        code = ua_certificate_read(out, buf_bytes(&der), why);
    buf_clear(&der);
    return code;
}

/* ---- questions ---- */

bool ua_thumbprint(struct bytes leaf, uint8_t out[UA_THUMBPRINT_BYTES])
{
    return EVP_Digest(leaf.len ? leaf.at : (const uint8_t *)"", leaf.len, out, NULL, EVP_sha1(), NULL) == 1;
}

bool ua_certificate_equal(const struct ua_certificate *a, const struct ua_certificate *b)
{
    return bytes_equal(a->leaf, b->leaf);
}

bool ua_certificate_names(const struct ua_certificate *c, struct bytes host)
{
    char text[256];
    if (host.len >= 2 && host.at[0] == '[' && host.at[host.len - 1] == ']')
        host = bytes_of(host.at + 1, host.len - 2);
    if (host.len == 0 || host.len >= sizeof text || memchr(host.at, 0, host.len))
        return false;
    memcpy(text, host.at, host.len);
    text[host.len] = 0;
    bool found = X509_check_ip_asc(c->x[0], text, 0) == 1 ||
                 X509_check_host(c->x[0], text, host.len, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) == 1;
    ERR_clear_error();
    return found;
}

static void add_text(struct buf *to, struct bytes text)
{
    if (buf_size(to))
        buf_add(to, ", ", 2);
    buf_add_bytes(to, text);
}

static void add_address(struct buf *to, const ASN1_OCTET_STRING *s)
{
    const uint8_t *a = ASN1_STRING_get0_data(s);
    int n = ASN1_STRING_length(s);
    if (n == 4) {
        add_text(to, BYTES_NONE);
        buf_printf(to, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
    } else if (n == 16) {
        add_text(to, BYTES_NONE);
        for (int i = 0; i < n; i += 2)
            buf_printf(to, "%s%x", i ? ":" : "", (unsigned)(a[i] << 8 | a[i + 1]));
    }
}

char *ua_certificate_hosts(const struct ua_certificate *c, char *out, size_t cap)
{
    struct buf text = {.max = 4096};
    GENERAL_NAMES *all = X509_get_ext_d2i(c->x[0], NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(all); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
        if (g->type == GEN_DNS)
            add_text(&text,
                     bytes_of(ASN1_STRING_get0_data(g->d.dNSName), (size_t)ASN1_STRING_length(g->d.dNSName)));
        else if (g->type == GEN_IPADD)
            add_address(&text, g->d.iPAddress);
    }
    bytes_escape(buf_size(&text) ? buf_bytes(&text) : bytes_str("no host"), out, cap);
    GENERAL_NAMES_free(all);
    buf_clear(&text);
    ERR_clear_error();
    return out;
}
