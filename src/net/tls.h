/* tls.h - TLS 1.2 and 1.3 under any connection (RFC 8446, RFC 5246), by OpenSSL 3.
 *
 *   server   tls_server_load -> listener_set_tls: whoever is accepted from then on speaks TLS
 *   client   tls_client_load -> conn_dial_tls
 *
 * A tls_server is what a listener shows and asks for, read from files once: it never changes. Another certificate is
 * another tls_server; connections that are open keep the one they began with. Both structs are counted: whoever keeps
 * one holds it.
 *
 * Always: certificates are verified, by the chain and (clients) by the name that was dialled. Never: TLS 1.1 and older,
 * renegotiation, compression, 0-RTT, and resumption where a client's certificate is asked for.
 * Bounds (L-TLS): 64 KiB of handshake, 10 certificates in a chain, 5 issuers deep, RSA keys of 8,192 bits, files of 1 MiB.
 *
 * A handshake that fails is told to the peer by its alert and, by servers, to the log in one sentence with a number:
 *   FG2101 it failed                                FG2105 the peer does not trust our certificate
 *   FG2102 the peer does not speak TLS              FG2106 the peer's certificate is not accepted
 *   FG2103 the certificate is for another name      FG2107 the peer has shown none, and one is required
 *   FG2104 the peer's TLS is too old                FG2108 a limit; renegotiation      FG2109 the peer left
 *   FG2120 a file cannot be read    FG2121 it does not hold what it should    FG2122 key and certificate do not match
 * Clients find the same in the fault of on_close.
 *
 * Thread: hold and drop any; connections as in loop.h.
 */
#pragma once

#include "base/io.h"
#include "net/loop.h"

struct tls_server;
struct tls_client;

/* What a server wants to know of a client. What is shown is always verified. */
enum tls_ask { TLS_ASK_NONE, TLS_ASK_OPTIONAL, TLS_ASK_REQUIRED };

struct tls_server_options { /* borrowed for the call; PEM files */
    const char  *chain;     /* our certificate, then those between it and the root */
    const char  *key;       /* not encrypted */
    const char  *client_ca; /* who may issue clients' certificates; needed unless `ask` is NONE */
    enum tls_ask ask;
    const char  *alpn;      /* "mqtt", "http/1.1": chosen when it is offered (RFC 7301) */
};
/* The sentence names the file and what is wrong with it. A missing, empty or unreadable file is an error, always. What is
 * odd but works (the key can be read by others, the certificate has ended) is a line in the log. */
FG_CHECK enum code tls_server_load(struct tls_server **out, const struct io *, const struct tls_server_options *,
                                   struct fault *why);
struct tls_server *tls_server_hold(struct tls_server *);
void               tls_server_drop(struct tls_server *); /* NULL is fine */
/* When the first certificate of our chain ends, in seconds since 1970. */
int64_t tls_server_not_after_s(const struct tls_server *);

struct tls_client_options { /* borrowed for the call */
    const char *ca_file, *ca_path; /* PEM file, folder of hashed names; both NULL: the system's store */
    const char *chain, *key;       /* ours, NULL: none */
    bool        any_name;          /* the certificate may be for another name; the chain is verified all the same */
};
FG_CHECK enum code tls_client_load(struct tls_client **out, const struct io *, const struct tls_client_options *,
                                   struct fault *why);
struct tls_client *tls_client_hold(struct tls_client *);
void               tls_client_drop(struct tls_client *); /* NULL is fine */
/* conn_dial, then the handshake; on_open comes when both are done. The certificate must be for `host`. */
FG_CHECK enum code conn_dial_tls(struct conn **out, struct loop *, const char *host, uint16_t port,
                                 struct tls_client *, const struct conn_events *, void *ctx, struct fault *why);

/* ---- of a connection ---- */
enum tls_name { TLS_NAME_DNS, TLS_NAME_URI, TLS_NAME_EMAIL };
/* A peer's verified certificate. */
struct tls_peer {
    bool               verified;    /* always true: others do not get in */
    const char        *common_name; /* the subject's, UTF-8; NULL if it has none, two, or one that is no name: with control
                                     * characters or of more than 64 characters (RFC 5280 A.1) */
    const char *const *names;       /* DNS, URI and e-mail subject alternative names, in their order */
    const uint8_t     *name_kinds;  /* enum tls_name of each */
    size_t             name_count;
    uint8_t            sha256[32];  /* of the certificate's DER */
    int64_t            not_after_s; /* seconds since 1970: when the first certificate of its chain ends */
};
/* NULL: no TLS, no certificate, or the handshake is not done. Valid as long as the connection. */
const struct tls_peer *conn_tls_peer(const struct conn *);
bool                   conn_is_tls(const struct conn *);

/* Since the start of the process, any thread. */
/* L-TLS, fixed. */
enum { TLS_HANDSHAKE_BYTES = 64 * 1024 /* without application data between them, also later */, TLS_CERTIFICATES = 10, TLS_DEPTH = 5,
       TLS_RSA_BITS = 8192 };

struct tls_stats {
    uint64_t handshakes; /* finished */
    uint64_t failed;     /* FG2101 to FG2109 */
};
void tls_stats(struct tls_stats *);
