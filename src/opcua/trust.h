/* trust.h - whom we believe: a folder of certificates, and the judgement about one that is shown [Part 4, 6.1.3].
 *
 *   DIR/own/certs       ours (own.h)                  DIR/own/private     its key
 *   DIR/trusted/certs   applications, and CAs all of whose applications are believed
 *   DIR/issuers/certs   CAs that are needed to complete a chain, and are not believed themselves
 *   DIR/trusted/crl, DIR/issuers/crl                  what CAs have revoked
 *   DIR/rejected/certs  the inbox: who was refused because nobody here knows him
 *
 * Files are DER or PEM. They may be put there by hand, too: each judgement looks whether something has changed. What this file
 * writes is named "COMMON NAME [SHA1].der".
 *
 * A judgement asks, in this order: structure, strength, signatures, whether it is known, dates, host name, application URI, use,
 * revocation. The first thing that is wrong is the answer. What is not known is put into the inbox.
 *
 * Thread: any; a mutex orders the calls. Several may be open on one folder, in several processes. Lifetime: ua_trust_open ..
 * ua_trust_close.
 */
#pragma once

#include "base/io.h"
#include "opcua/certificate.h"

struct ua_trust;

enum {
    UA_TRUST_FILES_MAX = 1000,      /* in one folder; the rest is not read, and the log says so */
    UA_TRUST_FILE_BYTES = 64 * 1024,
    UA_TRUST_CRL_BYTES = 1 << 20,
    UA_TRUST_ISSUERS_DEEP = 5,      /* between a certificate and its root, the root counted in */
    UA_INBOX_FILES = 100,           /* above it the oldest one goes */
    UA_INBOX_BYTES = 1 << 20
};

/* Makes the folders that are not there. */
FG_CHECK enum code ua_trust_open(struct ua_trust **out, const struct io *, const char *dir, struct fault *why);
void               ua_trust_close(struct ua_trust *); /* NULL is fine */
const char        *ua_trust_dir(const struct ua_trust *);
/* Who shows this certificate is ourselves, another program of this data folder, and is believed without being in one of the
 * folders. Before others use it. */
void               ua_trust_own(struct ua_trust *, struct ua_certificate *own);

/* ---- judging ---- */
enum ua_peer_kind { UA_PEER_SERVER, UA_PEER_CLIENT, UA_PEER_USER };

struct ua_trust_question {
    enum ua_peer_kind kind;
    const char  *who;      /* "opc.tcp://10.0.4.20:4840", "127.0.0.1:50112": for the sentence */
    struct bytes host;     /* servers: what was dialled; empty: names are not compared */
    struct bytes uri;      /* ApplicationDescription.applicationUri; empty: not known yet (ua_certificate_check_uri) */
    int64_t      wall_us;  /* since 1970 */
    /* Believes who is not known. Everything else is asked all the same: strength, dates, names, use, what a list revokes. */
    bool         accept_any;
    /* A CA without a list of what it has revoked, or with one that has ended, is taken as if it had revoked nothing. */
    bool         any_revocation;
};
/* Good, or one of UA_BAD_CERTIFICATE_...; BadOutOfMemory. Then why->number and its text say who, what, why, and what to do. */
ua_status ua_trust_verify(struct ua_trust *, const struct ua_certificate *, const struct ua_trust_question *,
                          struct fault *why);
/* Whether it is for the application that calls itself so: BadCertificateUriInvalid. */
ua_status ua_certificate_check_uri(const struct ua_certificate *, struct bytes uri, const char *who, struct fault *why);

/* FG codes of the sentences. */
enum ua_trust_number {
    UA_TRUST_UNKNOWN = 5221,
    UA_TRUST_DATES = 5222,
    UA_TRUST_HOST = 5223,
    UA_TRUST_URI = 5224,
    UA_TRUST_USE = 5225,
    UA_TRUST_REVOKED = 5226,
    UA_TRUST_REVOCATION = 5227,
    UA_TRUST_CHAIN = 5228,
    UA_TRUST_WEAK = 5229,
    UA_TRUST_INVALID = 5230,
    UA_TRUST_FILE = 5231
};

/* ---- for people: `fieldgate opcua trust` ---- */
enum ua_trust_place { UA_PLACE_TRUSTED, UA_PLACE_ISSUERS, UA_PLACE_REJECTED, UA_PLACES };
extern const char *const ua_trust_place_names[UA_PLACES]; /* "trusted" ... */

struct ua_trust_entry { /* valid during the call */
    enum ua_trust_place place;
    const char *file; /* its name in the folder */
    int64_t     seen_ns; /* when it was written, since 1970 */
    const struct ua_certificate *certificate; /* NULL: it cannot be read, and why->text says so */
    const struct fault *why;
};
FG_CHECK enum code ua_trust_list(struct ua_trust *, void (*each)(void *ctx, const struct ua_trust_entry *), void *ctx,
                                 struct fault *why);
/* `which`: the beginning of a SHA1 thumbprint (four digits or more, colons and spaces do not count), a common name, or the name of a
 * file. CODE_NOTFOUND; CODE_USAGE when it means several. *name, if given, gets the common name (UA_SUBJECT_CHARS).
 * accept: from the inbox to the trusted ones, the issuers it came with to the issuers. reject: from the trusted ones to the inbox.
 * remove: from wherever it is. */
FG_CHECK enum code ua_trust_accept(struct ua_trust *, struct bytes which, char *name, struct fault *why);
FG_CHECK enum code ua_trust_reject(struct ua_trust *, struct bytes which, char *name, struct fault *why);
FG_CHECK enum code ua_trust_remove(struct ua_trust *, struct bytes which, char *name, struct fault *why);
/* What a file holds: a certificate, PEM or DER (its issuers behind it go to the issuers). */
FG_CHECK enum code ua_trust_add(struct ua_trust *, enum ua_trust_place, struct bytes file, char *name, struct fault *why);
/* A list of what a CA has revoked, PEM or DER; to the trusted ones' lists, or the issuers'. */
FG_CHECK enum code ua_trust_add_crl(struct ua_trust *, enum ua_trust_place, struct bytes file, char *name, struct fault *why);
