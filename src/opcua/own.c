#include "opcua/own.h"

#include "base/log.h"
#include "base/mem.h"
#include "opcua/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define CERT_NAME "fieldgate.der"
#define KEY_NAME  "fieldgate.pem"
enum { FILE_BYTES = 64 * 1024, SERIAL_BYTES = 16, DAY_S = 86400, COMMON_NAME_CHARS = 64 };

struct own {
    const struct io *io;
    const struct ua_own_wish *wish;
    char certs[2048], keys[2048]; /* the folders */
    char *cert, *key;             /* what stands in the files; NULL: not there */
    size_t cert_len, key_len;
    struct fault *why;
};

static enum code no_memory(struct own *o)
{
    ERR_clear_error();
    return FAIL(o->why, CODE_NOMEM, 0, "no memory for our OPC UA certificate");
}

/* ---- files ---- */

/* A file that is not there is no failure. */
static enum code load(struct own *o, const char *dir, const char *name, char **out, size_t *len)
{
    char path[4096];
    struct io_stat st;
    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    int r = o->io->stat(o->io->self, path, &st);
    if (r == -ENOENT)
        return CODE_OK;
    return io_load(o->io, path, FILE_BYTES, out, len, o->why);
}

static void wipe(char *text, size_t len)
{
    if (text)
        OPENSSL_cleanse(text, len);
    mem_free(text);
}

/* ---- making ---- */

static bool extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX c;
    X509V3_set_ctx(&c, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
    bool ok = e && X509_add_ext(x, e, -1) == 1;
    X509_EXTENSION_free(e);
    return ok;
}

/* The values are not text of a configuration file: a comma in one would be another name. */
static bool add_name(GENERAL_NAMES *all, int type, ASN1_STRING *value)
{
    GENERAL_NAME *g = value ? GENERAL_NAME_new() : NULL;
    if (!g) {
        ASN1_STRING_free(value);
        return false;
    }
    GENERAL_NAME_set0_value(g, type, value);
    if (sk_GENERAL_NAME_push(all, g) > 0)
        return true;
    GENERAL_NAME_free(g);
    return false;
}

static ASN1_STRING *text_of(int type, const void *at, size_t n)
{
    ASN1_STRING *s = ASN1_STRING_type_new(type);
    if (s && ASN1_STRING_set(s, at, (int)n) == 1)
        return s;
    ASN1_STRING_free(s);
    return NULL;
}

static bool add_host(GENERAL_NAMES *all, const char *host)
{
    uint8_t a[16];
    if (inet_pton(AF_INET, host, a) == 1)
        return add_name(all, GEN_IPADD, text_of(V_ASN1_OCTET_STRING, a, 4));
    if (inet_pton(AF_INET6, host, a) == 1)
        return add_name(all, GEN_IPADD, text_of(V_ASN1_OCTET_STRING, a, 16));
    return add_name(all, GEN_DNS, text_of(V_ASN1_IA5STRING, host, strlen(host)));
}

static bool names(X509 *x, const struct ua_own_wish *w)
{
    GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();
    bool ok = all && add_name(all, GEN_URI, text_of(V_ASN1_IA5STRING, w->uri, strlen(w->uri)));
    for (size_t i = 0; ok && i < w->host_count && i < UA_OWN_HOSTS_MAX; i++)
        ok = add_host(all, w->hosts[i]);
    ok = ok && X509_add1_ext_i2d(x, NID_subject_alt_name, all, 0, X509V3_ADD_DEFAULT) == 1;
    GENERAL_NAMES_free(all);
    return ok;
}

static bool subject(X509 *x, const struct ua_own_wish *w)
{
    X509_NAME *n = X509_get_subject_name(x);
    size_t cn = strlen(w->name) < COMMON_NAME_CHARS ? strlen(w->name) : COMMON_NAME_CHARS;
    return X509_NAME_add_entry_by_NID(n, NID_commonName, MBSTRING_UTF8, (const uint8_t *)w->name, (int)cn, -1,
                                      0) == 1 &&
           (!w->organization ||
            X509_NAME_add_entry_by_NID(n, NID_organizationName, MBSTRING_UTF8,
                                       (const uint8_t *)w->organization, -1, -1, 0) == 1) &&
           X509_set_issuer_name(x, n) == 1;
}

static bool serial(struct own *o, X509 *x)
{
    uint8_t bytes[SERIAL_BYTES];
    o->io->random(o->io->self, bytes, sizeof bytes);
    bytes[0] = (bytes[0] & 0x7f) | 0x40; /* positive, and of full length */
    BIGNUM *n = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
    BN_free(n);
    return ok;
}

static X509 *certificate_for(struct own *o, EVP_PKEY *key)
{
    int64_t now = o->wish->wall_us / 1000000;
    X509 *x = X509_new();
    /* From a day before: the other clock may be behind ours. */
    bool ok = x && X509_set_version(x, X509_VERSION_3) == 1 && serial(o, x) && subject(x, o->wish) &&
              ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(now - DAY_S)) &&
              ASN1_TIME_set(X509_getm_notAfter(x), (time_t)(now + (int64_t)UA_OWN_DAYS * DAY_S)) &&
              X509_set_pubkey(x, key) == 1 && extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
              extension(
                  x, NID_key_usage,
                  "critical,digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment,keyCertSign") &&
              extension(x, NID_ext_key_usage, "serverAuth,clientAuth") && names(x, o->wish) &&
              extension(x, NID_subject_key_identifier, "hash") &&
              extension(x, NID_authority_key_identifier, "keyid:always") &&
              X509_sign(x, key, EVP_sha256()) > 0;
    if (ok)
        return x;
    X509_free(x);
    return NULL;
}

/* ---- writing ---- */

static enum code write_key(struct own *o, EVP_PKEY *key)
{
    char *text;
    BIO *bio = BIO_new(BIO_s_secmem());
    bool ok = bio && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;
    long n = ok ? BIO_get_mem_data(bio, &text) : 0;
    if (n > 0 && (o->key = mem_strndup(text, (size_t)n)))
        o->key_len = (size_t)n;
    BIO_free(bio);
    if (!o->key)
        return no_memory(o);
    return io_replace(o->io, o->keys, KEY_NAME, bytes_of(o->key, o->key_len), o->why);
}

static enum code write_certificate(struct own *o, EVP_PKEY *key)
{
    X509 *x = certificate_for(o, key);
    uint8_t *der = NULL;
    int n = x ? i2d_X509(x, &der) : 0;
    X509_free(x);
    mem_free(o->cert);
    o->cert = n > 0 ? mem_strndup(der, (size_t)n) : NULL;
    o->cert_len = n > 0 ? (size_t)n : 0;
    OPENSSL_free(der);
    if (!o->cert)
        return no_memory(o);
    return io_replace(o->io, o->certs, CERT_NAME, bytes_of(o->cert, o->cert_len), o->why);
}

static enum code make_key(struct own *o)
{
    EVP_PKEY *key = EVP_RSA_gen(UA_RSA_BITS_MIN);
    enum code code = key ? write_key(o, key) : no_memory(o);
    EVP_PKEY_free(key);
    return code;
}

/* For the key in the file, whatever made it. */
static enum code make_certificate(struct own *o)
{
    BIO *bio = BIO_new_mem_buf(o->key, (int)o->key_len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "") : NULL;
    BIO_free(bio);
    ERR_clear_error();
    enum code code = key ? write_certificate(o, key)
                         : FAIL(o->why, CODE_USAGE, 0,
                                "%s/%s holds no key as PEM (-----BEGIN PRIVATE KEY-----)", o->keys, KEY_NAME);
    EVP_PKEY_free(key);
    return code;
}

/* ---- whether it still does ---- */

/* By its own key, so that we made it, or could have. */
static bool is_ours(const struct ua_application *a)
{
    const struct ua_certificate *c = a->certificate;
    bool ours = c->self_issued && c->count == 1 && X509_verify(c->x[0], a->key) == 1;
    ERR_clear_error();
    return ours;
}

static bool is_over(const struct own *o, const struct ua_application *a)
{
    const struct ua_certificate *c = a->certificate;
    int64_t now = o->wish->wall_us / 1000000;
    return !c->uri || strcmp(c->uri, o->wish->uri) != 0 || c->to_s - now < (int64_t)UA_OWN_DAYS_LEFT * DAY_S;
}

static void tell_of_others(const struct own *o, const struct ua_application *a)
{
    const struct ua_certificate *c = a->certificate;
    if (!c->uri || strcmp(c->uri, o->wish->uri) != 0)
        log_warn("opcua",
                 "FG5232 our certificate %s/%s is for %s, we call ourselves %s: OPC UA peers will refuse us. "
                 "Set the "
                 "application URI, or have another one issued",
                 o->certs, CERT_NAME, c->uri ? c->uri : "no application (no URI)", o->wish->uri);
    else
        log_warn("opcua", "FG5232 our certificate %s/%s \"%s\" ends in %lld days. Have another one issued",
                 o->certs, CERT_NAME, c->name, (long long)((c->to_s - o->wish->wall_us / 1000000) / DAY_S));
}

static enum code read_both(struct own *o, struct ua_application **out)
{
    return ua_application_new(out, bytes_of(o->cert, o->cert_len), bytes_of(o->key, o->key_len), o->why);
}

static enum code run(struct own *o, struct ua_application **out, struct ua_own_result *result)
{
    enum code code = load(o, o->certs, CERT_NAME, &o->cert, &o->cert_len);
    if (code == CODE_OK)
        code = load(o, o->keys, KEY_NAME, &o->key, &o->key_len);
    if (code == CODE_OK && o->cert && !o->key)
        return FAIL(o->why, CODE_USAGE, 0,
                    "%s/%s is there, and its key %s/%s is not. Put it there, or remove the certificate",
                    o->certs, CERT_NAME, o->keys, KEY_NAME);
    result->made = code == CODE_OK && !o->cert;
    if (code == CODE_OK && !o->key)
        code = make_key(o);
    if (code == CODE_OK && !o->cert)
        code = make_certificate(o);
    if (code == CODE_OK)
        code = read_both(o, out);
    if (code != CODE_OK || !is_over(o, *out))
        return code;
    if (!is_ours(*out)) {
        tell_of_others(o, *out);
        return code;
    }
    ua_application_drop(*out);
    *out = NULL;
    code = io_replace(o->io, o->certs, CERT_NAME ".before", bytes_of(o->cert, o->cert_len), o->why);
    if (code == CODE_OK)
        code = make_certificate(o);
    result->renewed = code == CODE_OK;
    return code == CODE_OK ? read_both(o, out) : code;
}

enum code ua_own_open(struct ua_application **out, const struct io *io, const char *dir,
                      const struct ua_own_wish *wish, struct ua_own_result *result, struct fault *why)
{
    struct own o = {.io = io, .wish = wish, .why = why};
    int a = snprintf(o.certs, sizeof o.certs, "%s/own/certs", dir),
        b = snprintf(o.keys, sizeof o.keys, "%s/own/private", dir);
    *out = NULL;
    *result = (struct ua_own_result){0};
    if (a < 0 || b < 0 || (size_t)a >= sizeof o.certs || (size_t)b >= sizeof o.keys)
        return FAIL(why, CODE_LIMIT, 0, "path too long: %s", dir);
    enum code code = run(&o, out, result);
    wipe(o.key, o.key_len);
    mem_free(o.cert);
    ERR_clear_error();
    return code;
}
