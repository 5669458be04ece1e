#include "support/certs.h"

#include <dirent.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FROM_S 1577836800 /* 2020 */
#define TO_S 2208988800   /* 2040 */

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    (void)fprintf(stderr, "certs: %s failed\n", what);
    ERR_print_errors_fp(stderr);
    abort();
}

/* ---- making ---- */

/* A public key with a modulus that nobody knows the factors of: enough to be refused for its size. */
static EVP_PKEY *hollow_key(unsigned bits)
{
    BIGNUM *n = BN_new(), *e = BN_new();
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    must(n && e && b && BN_set_bit(n, (int)bits - 1) && BN_set_bit(n, 0) && BN_set_word(e, 65537), "hollow key");
    must(OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n) && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, e),
         "hollow key");
    OSSL_PARAM *p = OSSL_PARAM_BLD_to_param(b);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    must(p && c && EVP_PKEY_fromdata_init(c) == 1 && EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, p) == 1,
         "hollow key");
    EVP_PKEY_CTX_free(c);
    OSSL_PARAM_free(p);
    OSSL_PARAM_BLD_free(b);
    BN_free(n);
    BN_free(e);
    return key;
}

static EVP_PKEY *make_key(const struct cert_wish *w)
{
    EVP_PKEY *key = w->hollow     ? hollow_key(w->rsa_bits)
                    : w->rsa_bits ? EVP_RSA_gen(w->rsa_bits)
                                  : EVP_EC_gen("P-256");
    must(key != NULL, "key");
    return key;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX c;
    X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
    must(e && X509_add_ext(x, e, -1) == 1, value);
    X509_EXTENSION_free(e);
}

static void add_name(X509_NAME *to, const char *text, size_t len)
{
    must(X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_UTF8, (const uint8_t *)text, (int)len, -1, 0) == 1 ||
             X509_NAME_add_entry_by_NID(to, NID_commonName, V_ASN1_UTF8STRING, (uint8_t *)(uintptr_t)text, (int)len,
                                        -1, 0) == 1,
         "name");
    ERR_clear_error();
}

struct cert cert_make(const struct cert_wish *w)
{
    static long serial = 1;
    struct cert c = { X509_new(), make_key(w) };
    X509 *issuer = w->issuer ? w->issuer->x : c.x;
    must(c.x && X509_set_version(c.x, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(c.x), serial++),
         "certificate");
    must(ASN1_TIME_set(X509_getm_notBefore(c.x), w->from_s ? w->from_s : FROM_S) &&
             ASN1_TIME_set(X509_getm_notAfter(c.x), w->to_s ? w->to_s : TO_S) && X509_set_pubkey(c.x, c.key),
         "certificate");
    if (w->name)
        add_name(X509_get_subject_name(c.x), w->name, w->name_len ? w->name_len : strlen(w->name));
    if (w->second)
        add_name(X509_get_subject_name(c.x), w->second, strlen(w->second));
    must(X509_set_issuer_name(c.x, X509_get_subject_name(issuer)) == 1, "issuer");
    add_extension(c.x, issuer, NID_basic_constraints, w->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (w->sans)
        add_extension(c.x, issuer, NID_subject_alt_name, w->sans);
    if (w->usage)
        add_extension(c.x, issuer, NID_ext_key_usage, w->usage);
    must(X509_sign(c.x, w->issuer ? w->issuer->key : c.key, EVP_sha256()) > 0, "signature");
    return c;
}

void cert_free(struct cert *c)
{
    X509_free(c->x);
    EVP_PKEY_free(c->key);
    *c = (struct cert){ 0 };
}

/* ---- files ---- */

enum { PATHS_MAX = 64 };
static char  folder[64];
static char *paths[PATHS_MAX];
static int   path_count;

const char *certs_begin(void)
{
    (void)snprintf(folder, sizeof folder, "/tmp/fieldgate-certs-XXXXXX");
    must(mkdtemp(folder) != NULL, "mkdtemp");
    return folder;
}

void certs_end(void)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        char path[400];
        (void)snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        (void)unlink(path);
    }
    if (d)
        (void)closedir(d);
    (void)rmdir(folder);
    while (path_count)
        free(paths[--path_count]);
}

static FILE *create(const char *name, const char **path)
{
    char text[400];
    (void)snprintf(text, sizeof text, "%s/%s", folder, name);
    must(path_count < PATHS_MAX, "too many files");
    *path = paths[path_count++] = strdup(text);
    FILE *f = fopen(text, "w");
    must(f != NULL, text);
    return f;
}

const char *certs_chain(const char *name, const struct cert *const *all, size_t count)
{
    const char *path;
    FILE *f = create(name, &path);
    for (size_t i = 0; i < count; i++)
        must(PEM_write_X509(f, all[i]->x) == 1, name);
    must(fclose(f) == 0, name);
    return path;
}

const char *certs_key(const char *name, const struct cert *c)
{
    const char *path;
    FILE *f = create(name, &path);
    must(fchmod(fileno(f), 0600) == 0 && PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL) == 1, name);
    must(fclose(f) == 0, name);
    return path;
}

const char *certs_text(const char *name, const char *text, size_t len)
{
    const char *path;
    FILE *f = create(name, &path);
    must(fwrite(text, 1, len, f) == len && fclose(f) == 0, name);
    return path;
}
