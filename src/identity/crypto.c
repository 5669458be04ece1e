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

/* ---- base64 ---- */

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *out, struct bytes data)
{
    for (size_t i = 0; i < data.len; i += 3) {
        size_t left = data.len - i;
        uint32_t v = (uint32_t)data.at[i] << 16;
        v |= left > 1 ? (uint32_t)data.at[i + 1] << 8 : 0;
        v |= left > 2 ? data.at[i + 2] : 0;
        buf_u8(out, (uint8_t)letters[v >> 18]);
        buf_u8(out, (uint8_t)letters[v >> 12 & 63]);
        buf_u8(out, left > 1 ? (uint8_t)letters[v >> 6 & 63] : '=');
        buf_u8(out, left > 2 ? (uint8_t)letters[v & 63] : '=');
    }
}

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_read(struct bytes in, uint8_t *out, size_t cap, size_t *len)
{
    size_t pad = 0;
    while (pad < 2 && pad < in.len && in.at[in.len - 1 - pad] == '=')
        pad++;
    if (in.len % 4 || in.len / 4 * 3 - pad > cap)
        return false;
    *len = in.len / 4 * 3 - pad;
    uint32_t v = 0;
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        int digit = i >= in.len - pad ? 0 : value_of(in.at[i]);
        if (digit < 0)
            return false;
        v = v << 6 | (uint32_t)digit;
        if (i % 4 != 3)
            continue;
        for (int shift = 16; shift >= 0; shift -= 8) {
            uint8_t byte = (uint8_t)(v >> shift);
            if (n < *len)
                out[n++] = byte;
            else if (byte)
                return false; /* bits behind the end: another text for the same bytes */
        }
        v = 0;
    }
    return true;
}
