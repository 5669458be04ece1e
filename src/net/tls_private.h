/* tls_private.h - what the tls_*.c files share. Not for others. */
#pragma once

#include "net/backend.h"
#include "net/filter.h"
#include "net/tls.h"

#include <openssl/ssl.h>

enum {
    TLS_FILE_BYTES = 1024 * 1024,
    TLS_NAME_CHARS = 64, /* RFC 5280 A.1: ub-common-name */
    TLS_ALPN_BYTES = 32
};

enum tls_number {
    TLS_FAILED = 2101,
    TLS_NOT_TLS = 2102,
    TLS_OTHER_NAME = 2103,
    TLS_TOO_OLD = 2104,
    TLS_NOT_TRUSTED = 2105,
    TLS_NOT_ACCEPTED = 2106,
    TLS_NO_CERTIFICATE = 2107,
    TLS_LIMIT = 2108,
    TLS_LEFT = 2109,
    TLS_UNREADABLE = 2120,
    TLS_UNUSABLE = 2121,
    TLS_NO_MATCH = 2122,
    TLS_OPEN_KEY = 2123,
    TLS_DATES = 2124
};

struct tls_server {
    _Atomic unsigned refs;
    SSL_CTX         *ctx;
    enum tls_ask     ask;
    int64_t          not_after_s;
    uint8_t          alpn[TLS_ALPN_BYTES]; /* as on the wire: a length, then the name */
};

struct tls_client {
    _Atomic unsigned refs;
    SSL_CTX         *ctx;
    bool             any_name;
};

struct tls_filter {
    struct filter      filter; /* first */
    SSL               *ssl;
    struct tls_server *server; /* held; one of the two */
    struct tls_client *client;
    struct tls_peer   *peer;
    struct bytes       in;     /* while OpenSSL reads: what it has not taken */
    struct buf        *to;     /* while it runs: where it writes */
    uint32_t           quiet_bytes; /* taken since the last application data */
    uint32_t           said_bytes;  /* of its own, since the output was last empty */
    bool begun;       /* the first byte is there */
    bool spoke;       /* OpenSSL has written something */
    bool renegotiates;
    bool flooded;     /* above TLS_HANDSHAKE_BYTES */
    bool many;        /* the peer's chain: above TLS_CERTIFICATES, or a key above TLS_RSA_BITS */
    bool huge_key;
    bool ended;       /* close_notify came */
    bool told;        /* why it failed */
};

/* ---- tls_filter.c ---- */
/* NULL: no memory. Holds the server. */
struct filter *tls_filter_accept(struct tls_server *);
struct filter *tls_filter_dial(struct tls_client *, const char *host);

/* ---- tls_verify.c ---- */
int tls_verify(X509_STORE_CTX *, void *arg); /* for SSL_CTX_set_cert_verify_callback */
/* The peer's certificate, if any; false: no memory. */
bool    tls_peer_read(struct tls_filter *);
void    tls_peer_free(struct tls_peer *); /* NULL is fine */
int64_t tls_time_s(const ASN1_TIME *);

/* ---- tls_words.c ---- */
/* What OpenSSL's queue of errors says, which is empty then. It notes the cause first and what follows from it behind: an
 * alert, or what libssl made of it, says most about a peer. */
struct tls_cause {
    int           alert;       /* the peer's, -1: none */
    int           reason;      /* of libssl, 0: none */
    unsigned long first, last; /* 0: nothing is noted */
    bool          memory;      /* somewhere an allocation failed */
};
struct tls_cause tls_find_cause(void);
/* Fills *why with the sentence for what OpenSSL has just refused, and counts it. */
enum code tls_refused(struct tls_filter *, struct fault *why);
enum code tls_not_tls(struct tls_filter *, struct fault *why);
enum code tls_limit(struct tls_filter *, const char *what, struct fault *why);
/* Servers: the log's line, once per connection. */
void tls_log(struct tls_filter *, const struct fault *why);
void tls_count_handshake(void);
void tls_count_failure(void);
