/* own.h - our certificate in the trust store: read, or made at the first start.
 *
 *   DIR/own/certs/fieldgate.der     DER or PEM; others' certificates may be put in its place
 *   DIR/own/private/fieldgate.pem   its key, mode 0600
 *
 * Made: RSA of 2,048 bits, self-signed with SHA-256, for 20 years, with the application URI, the host's names and addresses, and the
 * uses that OPC UA wants [Part 6, 6.2.2]. The key is written first; a start between the two makes a certificate for it.
 *
 * Servers that trust it know it by its bytes, so that a new one has to be trusted again, everywhere. Hence the long life, and it is
 * made anew only when it could not be used any more: 30 days before its end, or when the application URI is another one. The key
 * stays, and the old one as fieldgate.der.before. One that was not made here (another has signed it, or it is not the one of our key) is never replaced; when it is about to
 * end the log says so.
 */
#pragma once

#include "base/io.h"
#include "opcua/application.h"

enum { UA_OWN_DAYS = 7305, UA_OWN_DAYS_LEFT = 30, UA_OWN_HOSTS_MAX = 32 };

struct ua_own_wish {
    const char *uri;          /* "urn:gw1:fieldgate" */
    const char *name;         /* "Fieldgate gw1": what people see */
    const char *organization; /* NULL: none */
    const char *const *hosts; /* names and addresses, each of which clients may dial */
    size_t      host_count;
    int64_t     wall_us;
};
struct ua_own_result {
    bool made, renewed;       /* to be told */
};
/* `dir`: as for ua_trust_open, which has made the folders. */
FG_CHECK enum code ua_own_open(struct ua_application **out, const struct io *, const char *dir, const struct ua_own_wish *,
                               struct ua_own_result *result, struct fault *why);
