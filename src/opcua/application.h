/* application.h - who we are to others: our certificate and the key that belongs to it.
 *
 * Thread: constant; counted, hold and drop from any thread.
 */
#pragma once

#include "base/io.h"
#include "opcua/certificate.h"

struct ua_application {
    struct ua_certificate *certificate;
    EVP_PKEY              *key;
};

/* From what files hold: the certificate as DER or PEM (with its issuers behind it, if they are to be sent), the key as PEM or
 * DER, not encrypted. Both are borrowed for the call. Wrong files: CODE_USAGE and a sentence. */
FG_CHECK enum code ua_application_new(struct ua_application **out, struct bytes certificate, struct bytes key,
                                      struct fault *why);
/* The same from two files. */
FG_CHECK enum code ua_application_load(struct ua_application **out, const struct io *, const char *certificate, const char *key,
                                       struct fault *why);
struct ua_application *ua_application_hold(struct ua_application *);
void                   ua_application_drop(struct ua_application *); /* NULL is fine */
