/* opcua_test_certs.h - certificates with everything that can be wrong with one. Keys are made once for the program. */
#pragma once

#include "opcua/certificate.h"
#include "opcua/opcua_test_peers.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum made_key { KEY_LEAF, KEY_ROOT, KEY_SUB, KEY_OTHER, KEY_SMALL, KEY_CURVE, MADE_KEYS };

struct made {
    X509 *x;
    EVP_PKEY *key;
};
struct made_wish { /* 0 and NULL: a good leaf, signed by itself */
    enum made_key key;
    const char *name;
    const struct made *issuer;
    const char *sans; /* NULL: "URI:urn:peer,DNS:peer.lan,IP:10.0.4.20"; "": none */
    bool ca;
    const char *usage, *more; /* "": none */
    const char *basic;        /* NULL: by ca */
    const EVP_MD *md;
    int64_t from_s, to_s; /* from NOW_S */
};

static inline EVP_PKEY *made_key(enum made_key which)
{
    static EVP_PKEY *keys[MADE_KEYS];
    if (!keys[which])
        keys[which] = which == KEY_SMALL   ? EVP_RSA_gen(1024)
                      : which == KEY_CURVE ? EVP_EC_gen("P-256")
                                           : EVP_RSA_gen(2048);
    peers_must(keys[which] != NULL);
    return keys[which];
}

static inline void made_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX c;
    if (!*value)
        return;
    X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
    peers_must(e && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

static inline struct made make(struct made_wish w)
{
    static long serial = 100;
    struct made m = {X509_new(), made_key(w.key)};
    X509 *issuer = w.issuer ? w.issuer->x : m.x;
    const char *name = w.name ? w.name : "peer";
    peers_must(m.x && X509_set_version(m.x, X509_VERSION_3) &&
               ASN1_INTEGER_set(X509_get_serialNumber(m.x), serial++));
    peers_must(ASN1_TIME_set(X509_getm_notBefore(m.x), NOW_S + (w.from_s ? w.from_s : -86400)) &&
               ASN1_TIME_set(X509_getm_notAfter(m.x), NOW_S + (w.to_s ? w.to_s : 86400)) &&
               X509_set_pubkey(m.x, m.key));
    peers_must(X509_NAME_add_entry_by_txt(X509_get_subject_name(m.x), "CN", MBSTRING_UTF8,
                                          (const uint8_t *)name, -1, -1, 0));
    peers_must(X509_set_issuer_name(m.x, X509_get_subject_name(issuer)));
    made_extension(m.x, issuer, NID_basic_constraints,
                   w.basic ? w.basic
                   : w.ca  ? "critical,CA:TRUE"
                           : "critical,CA:FALSE");
    made_extension(m.x, issuer, NID_key_usage,
                   w.usage ? w.usage
                   : w.ca  ? "keyCertSign,cRLSign,digitalSignature"
                           : "digitalSignature,nonRepudiation,keyEncipherment,dataEncipherment");
    made_extension(m.x, issuer, NID_ext_key_usage, w.more ? w.more : w.ca ? "" : "serverAuth,clientAuth");
    made_extension(m.x, issuer, NID_subject_alt_name,
                   w.sans ? w.sans
                   : w.ca ? ""
                          : "URI:urn:peer,DNS:peer.lan,IP:10.0.4.20");
    peers_must(X509_sign(m.x, w.issuer ? w.issuer->key : m.key, w.md ? w.md : EVP_sha256()) > 0);
    return m;
}

/* The leaf first. */
static inline struct ua_certificate *made_chain(const struct made *const *all, size_t count)
{
    struct buf der = {0};
    struct ua_certificate *c = NULL;
    struct fault why;
    for (size_t i = 0; i < count; i++) {
        uint8_t *at = NULL;
        int n = i2d_X509(all[i]->x, &at);
        peers_must(n > 0);
        buf_add(&der, at, (size_t)n);
        OPENSSL_free(at);
    }
    if (ua_certificate_read(&c, buf_bytes(&der), &why) != CODE_OK)
        (void)fprintf(stderr, "chain: %s\n", why.text);
    buf_clear(&der);
    return c;
}

static inline struct ua_certificate *made_read(const struct made *m)
{
    return made_chain(&m, 1);
}

/* For free(). NULL: it has revoked nobody. Times from NOW_S. */
static inline struct bytes made_crl(const struct made *ca, EVP_PKEY *key, const struct made *revoked,
                                    int64_t from_s, int64_t to_s)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *last = ASN1_TIME_set(NULL, NOW_S + from_s), *next = ASN1_TIME_set(NULL, NOW_S + to_s);
    peers_must(crl && X509_CRL_set_version(crl, 1) &&
               X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x)) &&
               X509_CRL_set1_lastUpdate(crl, last) && X509_CRL_set1_nextUpdate(crl, next));
    if (revoked) {
        X509_REVOKED *r = X509_REVOKED_new();
        peers_must(r && X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(revoked->x)) &&
                   X509_REVOKED_set_revocationDate(r, last) && X509_CRL_add0_revoked(crl, r));
    }
    peers_must(X509_CRL_sort(crl) && X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    peers_must(i2d_X509_CRL_bio(bio, crl) == 1);
    X509_CRL_free(crl);
    ASN1_TIME_free(last);
    ASN1_TIME_free(next);
    return peers_copy(bio);
}

static inline void made_free(struct made *m)
{
    X509_free(m->x);
}

static inline void made_keys_free(void)
{
    for (int i = 0; i < MADE_KEYS; i++)
        EVP_PKEY_free(made_key((enum made_key)i));
}
