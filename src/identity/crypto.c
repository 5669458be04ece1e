#include "identity/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

const struct scrypt_cost scrypt_default = { 15, 8, 1 };

enum { SCRYPT_BYTES_MAX = 256 << 20 };

static const char *text(struct bytes b)
{
    return b.len ? (const char *)b.at : "";
}

bool crypto_sha256(struct bytes data, uint8_t out[SHA256_BYTES])
{
    return EVP_Digest(text(data), data.len, out, NULL, EVP_sha256(), NULL) == 1;
}

bool crypto_hmac_sha256(struct bytes key, struct bytes data, uint8_t out[SHA256_BYTES])
{
    unsigned n = SHA256_BYTES;
    return HMAC(EVP_sha256(), text(key), (int)key.len, (const uint8_t *)text(data), data.len, out, &n) != NULL;
}

bool crypto_pbkdf2_sha256(struct bytes password, struct bytes salt, uint32_t iterations, uint8_t out[SHA256_BYTES])
{
    return PKCS5_PBKDF2_HMAC(text(password), (int)password.len, (const uint8_t *)text(salt), (int)salt.len,
                             (int)iterations, EVP_sha256(), SHA256_BYTES, out) == 1;
}

static uint64_t memory_of(struct scrypt_cost cost)
{
    return (UINT64_C(128) * cost.r) << cost.ln;
}

bool scrypt_cost_valid(struct scrypt_cost cost)
{
    return cost.ln >= SCRYPT_LN_MIN && cost.ln <= SCRYPT_LN_MAX && cost.r >= 1 && cost.r <= SCRYPT_R_MAX && cost.p >= 1 &&
           cost.p <= SCRYPT_P_MAX && memory_of(cost) <= SCRYPT_BYTES_MAX;
}

bool crypto_scrypt(struct bytes password, struct bytes salt, struct scrypt_cost cost, uint8_t out[SHA256_BYTES])
{
    FG_ASSERT(scrypt_cost_valid(cost));
    return EVP_PBE_scrypt(text(password), password.len, (const uint8_t *)text(salt), salt.len, UINT64_C(1) << cost.ln,
                          cost.r, cost.p, memory_of(cost) + (4 << 20), out, SHA256_BYTES) == 1;
}

bool crypto_equal(const uint8_t a[SHA256_BYTES], const uint8_t b[SHA256_BYTES])
{
    return CRYPTO_memcmp(a, b, SHA256_BYTES) == 0;
}

void crypto_wipe(void *at, size_t n)
{
    if (n)
        OPENSSL_cleanse(at, n);
}
