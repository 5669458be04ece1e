/* rsa.h - signing and encrypting with the keys of certificates, as a policy says: OpenSecureChannel, the signatures of
 * CreateSession and ActivateSession, passwords. Policies other than None only. Pure, any thread.
 *
 * Whoever checks or decrypts learns one thing only: it is good, or it is not. What was wrong is told to nobody, and takes the
 * same time.
 */
#pragma once

#include "base/buf.h"
#include "opcua/policy.h"

#include <openssl/types.h>

/* Bytes of a signature, and of an encrypted block: 256 to 512. */
size_t ua_rsa_bytes(const EVP_PKEY *);
/* RSA, of a size that the policies allow, with a public exponent of at most 32 bits. */
bool ua_rsa_fits(const EVP_PKEY *);
/* For a sentence about one that does not: "a key of 1024 bits", and what kind it is. Returns out. */
char *ua_rsa_words(const EVP_PKEY *, char out[64]);
/* Plain bytes that go into one block for the holder of this key. */
size_t ua_rsa_plain_block(const struct ua_policy *, const EVP_PKEY *);

/* Signs a | b; `b` may be empty. Writes ua_rsa_bytes(own) bytes. False: no memory, or the key does not work. */
FG_CHECK bool ua_rsa_sign(const struct ua_policy *, EVP_PKEY *own, struct bytes a, struct bytes b, uint8_t *out);
FG_CHECK bool ua_rsa_verify(const struct ua_policy *, EVP_PKEY *peer, struct bytes a, struct bytes b, struct bytes signature);

/* Encrypts block by block, the last one may be shorter: ua_rsa_cipher_bytes(..., n) bytes come out. The two must not overlap. */
size_t ua_rsa_cipher_bytes(const struct ua_policy *, const EVP_PKEY *peer, size_t plain_bytes);
FG_CHECK bool ua_rsa_encrypt(const struct ua_policy *, EVP_PKEY *peer, struct bytes plain, uint8_t *out);
/* `out` has room for cipher.len bytes. When a block is bad the others are decrypted all the same, *n counts it as if it were
 * full, and false comes at the end. */
FG_CHECK bool ua_rsa_decrypt(const struct ua_policy *, EVP_PKEY *own, struct bytes cipher, uint8_t *out, size_t *n);

/* ---- a user's secret: u32 length | secret | server's nonce, encrypted for the server (Part 4, 7.40.2.2) ---- */
enum { UA_SECRET_BYTES_MAX = 4096 };
/* Appends to *out. CODE_LIMIT: longer than UA_SECRET_BYTES_MAX. */
FG_CHECK enum code ua_secret_encrypt(const struct ua_policy *, EVP_PKEY *server, struct bytes secret, struct bytes nonce,
                                     struct buf *out, struct fault *why);
/* `nonce` is the one that was given out last: another one at the end is a replay. *out gets the secret; wipe it.
 * CODE_REFUSED for everything that is wrong with it, CODE_NOMEM. */
FG_CHECK enum code ua_secret_decrypt(const struct ua_policy *, EVP_PKEY *own, struct bytes cipher, struct bytes nonce,
                                     struct buf *out, struct fault *why);
/* Overwrites what waits in it and gives the memory back. */
void ua_secret_clear(struct buf *);
