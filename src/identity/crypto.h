/* crypto.h - the few primitives that identity needs, over OpenSSL 3. Pure, any thread. False: OpenSSL had no memory. */
#pragma once

#include "base/buf.h"

enum { SHA256_BYTES = 32 };

FG_CHECK bool crypto_sha256(struct bytes data, uint8_t out[SHA256_BYTES]);
FG_CHECK bool crypto_hmac_sha256(struct bytes key, struct bytes data, uint8_t out[SHA256_BYTES]);
FG_CHECK bool crypto_pbkdf2_sha256(struct bytes password, struct bytes salt, uint32_t iterations, uint8_t out[SHA256_BYTES]);

/* RFC 7914. N is 2 to the power of `ln`; it takes 128 * N * r bytes of memory for the time of the call. */
struct scrypt_cost {
    uint8_t ln, r, p;
};
enum { SCRYPT_LN_MIN = 10, SCRYPT_LN_MAX = 20, SCRYPT_R_MAX = 16, SCRYPT_P_MAX = 16 };
extern const struct scrypt_cost scrypt_default; /* 15, 8, 1: 32 MiB */
bool          scrypt_cost_valid(struct scrypt_cost); /* within the bounds above, and at most 256 MiB */
FG_CHECK bool crypto_scrypt(struct bytes password, struct bytes salt, struct scrypt_cost, uint8_t out[SHA256_BYTES]);

/* In a time that does not depend on where they differ. */
bool crypto_equal(const uint8_t a[SHA256_BYTES], const uint8_t b[SHA256_BYTES]);
/* Overwrites, also where the compiler sees that nobody looks any more. */
void crypto_wipe(void *at, size_t n);
