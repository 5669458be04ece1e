/* person.h - the certificate with which we sign in at a server as a user, with its key, from a folder:
 *
 *   DIR/certs     certificates, DER or PEM       DIR/private   their keys, PEM or DER; or both in one: NAME.pfx, NAME.p12
 *
 * Which file a key is in does not matter: the one that fits is taken. Thread: any.
 */
#pragma once

#include "base/io.h"
#include "opcua/application.h"

enum { PERSON_FILES_MAX = 1000, PERSON_FILE_BYTES = 64 * 1024 };

/* `name`: the subject ("CN=operator, O=Plant"), its common name, the thumbprint, or the file's name with or without ending; "" is the only
 * one that there is. `password` opens the key, "" for one that is not encrypted. Of several that fit the one that ends last. CODE_NOTFOUND,
 * CODE_USAGE (the key), CODE_NOMEM; the sentence says what to do. */
FG_CHECK enum code person_find(struct ua_application **out, const struct io *, const char *dir, const char *name, const char *password,
                               struct fault *why);
