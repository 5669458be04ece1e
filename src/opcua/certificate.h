/* certificate.h - what a certificate of an application says (Part 6, 6.2.2).
 *
 * Read from DER: the leaf, and the issuers that may be written behind it. Nothing is believed here; trust.h does that. What is
 * read is bounded before it is computed with: UA_CHAIN_BYTES_MAX bytes, UA_CHAIN_MAX certificates.
 *
 * Thread: constant once read; counted, hold and drop from any thread.
 */
#pragma once

#include "base/buf.h"
#include "opcua/policy.h"

#include <openssl/types.h>

enum {
    UA_CHAIN_BYTES_MAX = 32 * 1024,
    UA_CHAIN_MAX = 10,
    UA_SAN_MAX = 100,         /* names that are looked at; a certificate with more is refused */
    UA_URI_BYTES_MAX = 1024,
    UA_SUBJECT_CHARS = 200
};

struct ua_certificate {
    struct bytes der;  /* as it was sent, with the issuers */
    struct bytes leaf; /* the first one: what is signed over and compared */
    X509        *x[UA_CHAIN_MAX];
    size_t       count;
    EVP_PKEY    *key;  /* the leaf's */
    uint8_t      thumbprint[UA_THUMBPRINT_BYTES];  /* SHA-1 of the leaf */
    char         hex[2 * UA_THUMBPRINT_BYTES + 1]; /* the same as people write it, capitals */
    const char  *uri;       /* the application's, if its SAN has exactly one; else NULL */
    unsigned     uri_count;
    int64_t      from_s, to_s; /* seconds since 1970: valid from, to */
    unsigned     bits;         /* of the key; 0: no key that can be used */
    const char  *hash;         /* of its signature: "SHA256"; never NULL */
    bool         rsa;
    bool         hash_strong;  /* SHA-256 or longer */
    bool         self_issued;  /* issuer and subject are the same */
    bool         ca;
    char         name[UA_SUBJECT_CHARS];    /* the common name, or what else there is; escaped */
    char         subject[UA_SUBJECT_CHARS]; /* "CN=press-1, O=Plant A"; escaped */
    char         issuer[UA_SUBJECT_CHARS];
};

/* CODE_MALFORMED: no certificates, or something behind them; CODE_LIMIT; CODE_NOMEM. The bytes are copied. */
FG_CHECK enum code ua_certificate_read(struct ua_certificate **out, struct bytes der, struct fault *why);
/* The same from what people have in files: DER, or PEM with the leaf first. */
FG_CHECK enum code ua_certificate_read_file(struct ua_certificate **out, struct bytes text, struct fault *why);
struct ua_certificate *ua_certificate_hold(struct ua_certificate *);
void                   ua_certificate_drop(struct ua_certificate *); /* NULL is fine */

/* The same leaf. */
bool ua_certificate_equal(const struct ua_certificate *, const struct ua_certificate *);
/* A DNS name or address of its SAN, without regard to case; wildcards as in RFC 6125. `host` may be "[::1]". */
bool ua_certificate_names(const struct ua_certificate *, struct bytes host);
/* "gw1, gw1.plant-a.lan, 10.0.4.2": the DNS names and addresses, escaped, cut to cap. Returns out. */
char *ua_certificate_hosts(const struct ua_certificate *, char *out, size_t cap);
/* The thumbprint of any DER. False: no memory. */
FG_CHECK bool ua_thumbprint(struct bytes leaf, uint8_t out[UA_THUMBPRINT_BYTES]);
