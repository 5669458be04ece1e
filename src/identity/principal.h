/* principal.h - somebody who has signed in. Counted and constant: a reload makes a new one. Any thread.
 *
 * Its `text` is what sessions, messages and records carry: "anonymous", or the kind and the id, as "user:alice". The kind in
 * front keeps a user called like a device from being taken for it.
 */
#pragma once

#include "identity/users.h"

#include <stdatomic.h>

enum principal_kind { PRINCIPAL_ANONYMOUS, PRINCIPAL_USER, PRINCIPAL_DEVICE, PRINCIPAL_MODULE, PRINCIPAL_SERVICE };
/* What was shown. A withdrawn or changed one ends the connection. */
enum principal_proof { PROOF_NONE, PROOF_PASSWORD, PROOF_SCRAM, PROOF_CERTIFICATE };

struct principal {
    _Atomic uint32_t refs;
    uint8_t          kind, proof;
    bool             loopback;       /* came from this machine                                 */
    int64_t          valid_until_us; /* wall clock; INT64_MAX = for ever                       */
    uint8_t          record[SHA256_BYTES]; /* digest of the record that the proof was checked by */
    struct bytes     text, id;       /* "user:alice", "alice"; behind the struct               */
};

struct principal *principal_anonymous(bool loopback); /* one reference to one for all; never NULL */
/* `user`: whose record the proof was checked by; NULL: none. His roles are not part of it: they are what the users file says when
 * they are asked for (access.h). */
struct principal *principal_user(struct bytes id, const struct user *user, enum principal_proof proof, bool loopback);
static inline struct principal *principal_hold(struct principal *p)
{
    atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
    return p;
}
#ifdef FG_TEST
struct principal *principal_of_kind(enum principal_kind, struct bytes id); /* as the registry of devices will make them */
#endif
void principal_drop(struct principal *); /* NULL is fine */

/* The digest of a user's password or SCRAM record: changes when the password does. Without one: zeros. False: no memory. */
FG_CHECK bool principal_record(const struct user *, enum principal_proof, uint8_t out[SHA256_BYTES]);
/* "user:alice" -> kind and id. False: not such a text. */
bool principal_parse(struct bytes text, enum principal_kind *kind, struct bytes *id);
