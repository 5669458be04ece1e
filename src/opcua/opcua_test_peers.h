/* opcua_test_peers.h - applications with keys made when the test starts, and channels between them. */
#pragma once

#include "opcua/channel.h"
#include "opcua/status.h"
#include "support/certs.h"

#include <openssl/pem.h>
#include <stdlib.h>

#define NOW_S 1790000000 /* 2026 */

static inline void peers_must(bool ok)
{
    if (!ok)
        abort();
}

static inline struct bytes peers_copy(BIO *bio)
{
    char *text;
    long n = BIO_get_mem_data(bio, &text);
    uint8_t *copy = malloc((size_t)n);
    peers_must(copy != NULL);
    memcpy(copy, text, (size_t)n);
    BIO_free(bio);
    return bytes_of(copy, (size_t)n);
}

/* For free(). */
static inline struct bytes peers_der(const struct cert *c)
{
    BIO *bio = BIO_new(BIO_s_mem());
    peers_must(i2d_X509_bio(bio, c->x) == 1);
    return peers_copy(bio);
}

static inline struct bytes peers_key(const struct cert *c)
{
    BIO *bio = BIO_new(BIO_s_mem());
    peers_must(PEM_write_bio_PrivateKey(bio, c->key, NULL, NULL, 0, NULL, NULL) == 1);
    return peers_copy(bio);
}

static inline struct ua_application *peers_application(const struct cert *c)
{
    struct ua_application *a;
    struct bytes der = peers_der(c), key = peers_key(c);
    struct fault why;
    peers_must(ua_application_new(&a, der, key, &why) == CODE_OK);
    free((void *)(uintptr_t)der.at);
    free((void *)(uintptr_t)key.at);
    return a;
}

static inline struct ua_application *peers_make(const char *name, const char *sans, unsigned bits)
{
    struct cert c = cert_make(&(struct cert_wish){.name = name, .sans = sans, .rsa_bits = bits});
    struct ua_application *a = peers_application(&c);
    cert_free(&c);
    return a;
}

static inline bool peers_offer_all(void *ctx, const struct ua_policy *p, int mode)
{
    (void)ctx;
    (void)p;
    (void)mode;
    return true;
}

static inline ua_status peers_believe_all(void *ctx, struct ua_certificate *c, struct fault *why)
{
    (void)ctx;
    (void)c;
    (void)why;
    return UA_GOOD;
}
