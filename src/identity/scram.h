/* scram.h - the server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
 *
 *   client-first   n,,n=user,r=NONCE
 *   server-first   r=NONCE+OURS,s=SALT,i=ITERATIONS
 *   client-final   c=biws,r=NONCE+OURS,p=PROOF
 *   server-final   v=SIGNATURE
 *
 * The server needs no password and no slow hash: what is stored (scram_record) is enough to check a proof, and a proof that was
 * listened to is of no use again. Names and passwords are taken as the bytes they are; clients that normalise them (SASLprep)
 * do the same to all that is ASCII.
 *
 * Pure, any thread; each message is read once, its length is the caller's limit. `why` is fit for a peer's eyes: it never holds
 * what was sent.
 */
#pragma once

#include "base/buf.h"
#include "identity/users.h"

#define SCRAM_SHA_256 "SCRAM-SHA-256"
enum { SCRAM_NONCE_MAX = 256, SCRAM_OUR_NONCE = 24 /* characters, of 18 random bytes */ };

struct scram_first { /* views into the message */
    struct bytes gs2, bare, nonce;
    struct bytes name; /* decoded, in name_text */
    uint8_t      name_text[USER_NAME_MAX];
};
/* CODE_MALFORMED: not such a message. CODE_UNSUPPORTED: it asks for channel binding or an extension that must be understood.
 * CODE_REFUSED: it wants to act for another one (authzid), or the name is longer than any user's. */
FG_CHECK enum code scram_read_first(struct bytes message, struct scram_first *out, struct fault *why);

struct scram; /* one exchange, from server-first on */
/* `reply`: server-first is appended. CODE_NOMEM. */
FG_CHECK enum code scram_answer_first(struct scram **out, const struct scram_first *, const struct scram_record *,
                                      const char our_nonce[SCRAM_OUR_NONCE], struct buf *reply, struct fault *why);
/* CODE_OK and server-final in `reply`, or CODE_REFUSED: the proof is wrong; CODE_MALFORMED; CODE_NOMEM. */
FG_CHECK enum code scram_check_final(const struct scram *, struct bytes message, struct buf *reply, struct fault *why);
void               scram_free(struct scram *); /* NULL is fine */
