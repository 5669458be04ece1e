/* trust_private.h - what the trust*.c files share. Not for others.
 *
 *   trust.c         folders and what was read of them
 *   trust_verify.c  the judgement          trust_chain.c  the way to a root
 *   trust_files.c   what is written, moved and named
 */
#pragma once

#include "opcua/status.h"
#include "opcua/trust.h"

#include <openssl/x509.h>
#include <pthread.h>

struct trust_file {
    char          *name;
    struct io_stat stat;
    bool           seen;  /* in this look */
    struct ua_certificate *certificate; /* one of the two; neither: it cannot be read */
    X509_CRL      *crl;
    struct fault   why;
};

enum trust_folder_id { FOLDER_TRUSTED, FOLDER_ISSUERS, FOLDER_REJECTED, FOLDER_TRUSTED_CRL, FOLDER_ISSUERS_CRL, FOLDERS };

struct trust_folder {
    char  *path;
    bool   crl;
    bool   full_told;
    struct trust_file *files;
    size_t count, cap;
};

struct ua_trust {
    pthread_mutex_t  lock;
    const struct io *io;
    char            *dir;
    struct ua_certificate *own; /* held; NULL: nobody is ourselves */
    struct trust_folder folders[FOLDERS]; /* the first three as enum ua_trust_place */
};

/* ---- trust.c; all with the lock ---- */
/* Looks what has changed, and reads that. */
FG_CHECK enum code trust_look(struct ua_trust *, enum trust_folder_id, struct fault *why);
/* NULL-terminated path of a file; NULL: no memory. mem_free. */
char *trust_path(const char *folder, const char *name);
/* A list in DER or PEM; NULL: it is none. */
X509_CRL *trust_read_crl(struct bytes file);
bool      trust_knows(const struct trust_folder *, const struct ua_certificate *);

/* ---- trust_files.c; with the lock ---- */
/* Puts who was refused into the inbox. A failure is a line in the log. */
void trust_to_inbox(struct ua_trust *, const struct ua_certificate *);

/* ---- trust_chain.c ---- */
enum { CHAIN_DEEP = UA_TRUST_ISSUERS_DEEP + 1 };
struct trust_chain {
    X509  *x[CHAIN_DEEP]; /* borrowed: from the leaf to a root that signed itself, or as far as it goes */
    size_t count;
    bool   complete, trusted;
    bool   forged;   /* an issuer of that name is there, and has not signed it */
    bool   deep;     /* the limit was met */
};
void trust_find_chain(struct ua_trust *, const struct ua_certificate *, struct trust_chain *out);
