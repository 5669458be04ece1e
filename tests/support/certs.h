/* certs.h - certificates for tests, made in the process: good ones, and those that nobody should believe.
 *
 * Keys are P-256 unless said otherwise. Failures end the test. PEM files go into a folder that certs_end removes.
 * Thread: one.
 */
#pragma once

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cert {
    X509     *x;
    EVP_PKEY *key;
};

struct cert_wish {
    const struct cert *issuer;  /* NULL: self-signed */
    const char        *name;    /* common name; NULL: none */
    const char        *second;  /* a second common name */
    size_t             name_len; /* 0 = strlen; so that a NUL may be in it */
    const char        *sans;    /* "DNS:gw1,IP:127.0.0.1", NULL: none */
    const char        *usage;   /* extended key usage: "serverAuth", NULL: none */
    bool               ca;
    int64_t            from_s, to_s; /* since 1970; 0: 2020, 2040 */
    unsigned           rsa_bits;     /* an RSA key; with `hollow` one that nobody has */
    bool               hollow;
};

struct cert cert_make(const struct cert_wish *);
void        cert_free(struct cert *);

/* A new folder; its path is valid until certs_end. */
const char *certs_begin(void);
void        certs_end(void);
/* Writes FOLDER/name and returns its path (valid until certs_end): `count` certificates, or one key. */
const char *certs_chain(const char *name, const struct cert *const *, size_t count);
const char *certs_key(const char *name, const struct cert *);
const char *certs_text(const char *name, const char *text, size_t len);
