/* scram_client.h - the client's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding: see scram.h for the messages.
 *
 *   scram_client_new - scram_client_first is sent - scram_client_answer to what comes - scram_client_proven with the end
 *
 * The password does not leave; the server proves at the end that it knows the user, too. Who goes on without that proof may be
 * talking to anybody. Name and password are taken as the bytes they are (no SASLprep).
 *
 * Thread: any, one at a time. `why` never holds a secret.
 */
#pragma once

#include "base/buf.h"
#include "base/fault.h"

struct scram_client;

/* `password` is borrowed until scram_client_free. `nonce`: printable, without commas, never used before. CODE_USAGE: a name or
 * nonce that cannot be sent; CODE_NOMEM. */
FG_CHECK enum code scram_client_new(struct scram_client **out, struct bytes user, struct bytes password, struct bytes nonce,
                                    struct fault *why);
void               scram_client_free(struct scram_client *); /* NULL is fine */
struct bytes       scram_client_first(const struct scram_client *); /* valid as long as it */
/* Appends client-final. Takes as long as the server's number of iterations (4,096 to 1,000,000) says. CODE_PROTOCOL: what came is
 * no answer to ours, or too weak to be answered; CODE_NOMEM. */
FG_CHECK enum code scram_client_answer(struct scram_client *, struct bytes server_first, struct buf *out, struct fault *why);
/* CODE_OK: the server knows the user's keys. CODE_REFUSED: it does not, or says that it was not convinced. */
FG_CHECK enum code scram_client_proven(const struct scram_client *, struct bytes server_final, struct fault *why);
