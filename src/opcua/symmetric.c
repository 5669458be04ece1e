#include "opcua/symmetric.h"

#include "base/mem.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

enum { AES_BYTES_MAX = 32 };

struct ua_keys {
    EVP_MAC_CTX *mac;
    EVP_CIPHER_CTX *cipher;
    bool encrypt;
    uint8_t iv[UA_BLOCK_BYTES]; /* of each chunk: CBC begins anew */
};

static bool make_mac(struct ua_keys *k, const uint8_t *key)
{
    static char digest[] = "SHA256";
    OSSL_PARAM with[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                         OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    k->mac = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac);
    return k->mac && EVP_MAC_init(k->mac, key, UA_SIGN_BYTES, with) == 1;
}

static bool make_cipher(struct ua_keys *k, const struct ua_policy *p, const uint8_t *key)
{
    k->cipher = EVP_CIPHER_CTX_new();
    return k->cipher &&
           EVP_CipherInit_ex(k->cipher, p->key_bytes == 16 ? EVP_aes_128_cbc() : EVP_aes_256_cbc(), NULL, key,
                             k->iv, k->encrypt) == 1 &&
           EVP_CIPHER_CTX_set_padding(k->cipher, 0) == 1;
}

struct ua_keys *ua_keys_new(const struct ua_policy *p, enum ua_keys_for purpose, struct bytes secret,
                            struct bytes seed)
{
    uint8_t all[UA_SIGN_BYTES + AES_BYTES_MAX + UA_BLOCK_BYTES];
    size_t n = UA_SIGN_BYTES + p->key_bytes + UA_BLOCK_BYTES;
    struct ua_keys *k = mem_zalloc(1, sizeof *k);
    bool ok = k && ua_p_sha256(secret, seed, all, n);
    if (ok) {
        k->encrypt = purpose == UA_KEYS_SEND;
        memcpy(k->iv, all + UA_SIGN_BYTES + p->key_bytes, UA_BLOCK_BYTES);
        ok = make_mac(k, all) && make_cipher(k, p, all + UA_SIGN_BYTES);
    }
    OPENSSL_cleanse(all, sizeof all);
    ERR_clear_error();
    if (ok)
        return k;
    ua_keys_free(k);
    return NULL;
}

void ua_keys_free(struct ua_keys *k)
{
    if (!k)
        return;
    EVP_MAC_CTX_free(k->mac);
    EVP_CIPHER_CTX_free(k->cipher);
    OPENSSL_cleanse(k, sizeof *k);
    mem_free(k);
}

bool ua_keys_sign(struct ua_keys *k, struct bytes a, struct bytes b, uint8_t *out)
{
    size_t n;
    return EVP_MAC_init(k->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(k->mac, a.at, a.len) == 1 &&
           (b.len == 0 || EVP_MAC_update(k->mac, b.at, b.len) == 1) &&
           EVP_MAC_final(k->mac, out, &n, UA_SIGN_BYTES) == 1;
}

bool ua_keys_verify(struct ua_keys *k, struct bytes a, struct bytes b, const uint8_t *signature)
{
    uint8_t own[UA_SIGN_BYTES];
    return ua_keys_sign(k, a, b, own) && CRYPTO_memcmp(own, signature, sizeof own) == 0;
}

bool ua_keys_cipher(struct ua_keys *k, const uint8_t *from, uint8_t *to, size_t n)
{
    int done;
    FG_ASSERT(n % UA_BLOCK_BYTES == 0 && n <= INT32_MAX);
    return EVP_CipherInit_ex(k->cipher, NULL, NULL, NULL, k->iv, -1) == 1 &&
           EVP_CipherUpdate(k->cipher, to, &done, from, (int)n) == 1 && (size_t)done == n;
}
