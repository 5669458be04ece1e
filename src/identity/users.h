/* users.h - the users file: who may sign in with a password, and the roles that rules speak of.
 *
 *   # anything
 *   user:alice:admin,monitor:scrypt:15,8,1:SALT:HASH
 *   user:bob::none
 *   scram-sha-256:alice:4096:SALT:STOREDKEY:SERVERKEY
 *
 * One line per user: name, roles, how the password is hashed, its cost (log2 of N, r, p), salt and hash in base64; `none` for
 * one who signs in otherwise and is here for his roles. A line scram-sha-256 stands behind the user it belongs to (RFC 5803
 * calls its last two fields StoredKey and ServerKey); it is made from the password, but the password cannot be had from it
 * cheaply, nor can either record be had from the other. Every line must be whole, the last one too: a damaged file is refused
 * with its line, never read in part. An empty file is in order and lets nobody in.
 *
 * Names are compared byte by byte and never used as patterns. One rule for what may be a name holds for `user add` and for
 * the file (users_name_flaw).
 *
 * Thread: a struct users is constant; any thread may read it.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/table.h"
#include "identity/crypto.h"

enum { USER_NAME_MAX = 128, USER_ROLE_MAX = 32, USER_ROLES_MAX = 16, USER_SALT_MAX = 32, USER_SALT_MIN = 8 };
enum { SCRAM_ITERATIONS_MIN = 4096, SCRAM_ITERATIONS_DEFAULT = 16384, SCRAM_ITERATIONS_MAX = 1000000 };
#define USERS_FILE_BYTES_MAX ((size_t)16 << 20)

struct password_record {
    struct scrypt_cost cost;
    uint8_t            salt_len, salt[USER_SALT_MAX], hash[SHA256_BYTES];
};
struct scram_record { /* RFC 5802 section 3 */
    uint32_t iterations;
    uint8_t  salt_len, salt[USER_SALT_MAX], stored_key[SHA256_BYTES], server_key[SHA256_BYTES];
};

struct user {
    struct bytes           name;
    const struct bytes    *roles;
    uint8_t                role_count;
    bool                   has_password, has_scram;
    struct password_record password;
    struct scram_record    scram;
};

struct users {
    struct arena       arena;
    struct table       by_name;
    struct user       *at;
    size_t             count;
    struct scrypt_cost cost; /* what an unknown name costs: as the last user's password */
    uint32_t           iterations; /* and is told by SCRAM: as the last record */
};

/* `file`: its name, for the sentence. CODE_DAMAGED: why->text is "FILE:LINE: what is wrong". CODE_NOMEM. */
FG_CHECK enum code users_parse(struct users **out, const char *file, struct bytes text, struct fault *why);
void               users_free(struct users *);
const struct user *users_find(const struct users *, struct bytes name); /* or NULL */

/* Why it cannot be a user's name (the end of a sentence), or NULL. */
const char *users_name_flaw(struct bytes name);
/* Letters, digits, '-', '_', '.': up to USER_ROLE_MAX. */
bool users_role_valid(struct bytes role);

/* A file's lines for this user. */
void users_put(struct buf *out, const struct user *);
/* All lines of a valid file but this name's, comments too. */
void users_put_others(struct buf *out, struct bytes text, struct bytes name);

/* Fills the hash (and needs cost and salt). False: no memory. */
FG_CHECK bool password_hash(struct password_record *, struct bytes password);
FG_CHECK bool password_matches(const struct password_record *, struct bytes password, bool *matches);
/* Fills both keys (and needs iterations and salt). */
FG_CHECK bool scram_record_make(struct scram_record *, struct bytes password);
