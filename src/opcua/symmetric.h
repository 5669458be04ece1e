/* symmetric.h - the keys of one direction of one token: what protects MSG and CLO chunks.
 *
 * The contexts of HMAC and AES are made once, with their keys in them, and started anew for each chunk: at 100,000
 * notifications a second the key schedule would cost more than the work.
 *
 * Thread: one at a time. Lifetime: ua_keys_new .. ua_keys_free, which wipes them.
 */
#pragma once

#include "opcua/policy.h"

struct ua_keys;

enum ua_keys_for { UA_KEYS_SEND, UA_KEYS_RECEIVE };
/* From the two nonces (Part 6, 6.7.5): `secret` is the receiver's, `seed` the sender's. NULL: no memory. */
struct ua_keys *ua_keys_new(const struct ua_policy *, enum ua_keys_for, struct bytes secret, struct bytes seed);
void            ua_keys_free(struct ua_keys *); /* NULL is fine */

/* The HMAC of a | b into out[32]. */
FG_CHECK bool ua_keys_sign(struct ua_keys *, struct bytes a, struct bytes b, uint8_t *out);
/* Compares in constant time. */
FG_CHECK bool ua_keys_verify(struct ua_keys *, struct bytes a, struct bytes b, const uint8_t *signature);
/* Whole blocks only; in place, or to a place that does not overlap. Which of the two it does is said by ua_keys_for. */
FG_CHECK bool ua_keys_cipher(struct ua_keys *, const uint8_t *from, uint8_t *to, size_t n);
