#include "opcua/rsa.h"

#include "base/mem.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>

enum { EXPONENT_BITS_MAX = 32 };

size_t ua_rsa_bytes(const EVP_PKEY *key)
{
    return (size_t)EVP_PKEY_get_size(key);
}

/* A long one makes each check of a signature as dear as making one. */
static bool exponent_fits(const EVP_PKEY *key)
{
    BIGNUM *e = NULL;
    bool fits = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
                BN_num_bits(e) <= EXPONENT_BITS_MAX;
    BN_free(e);
    return fits;
}

bool ua_rsa_fits(const EVP_PKEY *key)
{
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_get_bits(key) >= UA_RSA_BITS_MIN &&
           EVP_PKEY_get_bits(key) <= UA_RSA_BITS_MAX && exponent_fits(key);
}

char *ua_rsa_words(const EVP_PKEY *key, char out[64])
{
    int bits = EVP_PKEY_get_bits(key);
    bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA,
         sized = bits >= UA_RSA_BITS_MIN && bits <= UA_RSA_BITS_MAX;
    (void)snprintf(out, 64, "a key of %d bits%s", bits,
                   !rsa    ? " that is not RSA"
                   : sized ? " with an exponent above 32 bits"
                           : "");
    return out;
}

size_t ua_rsa_plain_block(const struct ua_policy *p, const EVP_PKEY *key)
{
    return ua_rsa_bytes(key) - p->overhead;
}

/* ---- signatures ---- */

static bool set_padding(const struct ua_policy *p, EVP_PKEY_CTX *ctx)
{
    if (!p->pss)
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1;
}

bool ua_rsa_sign(const struct ua_policy *p, EVP_PKEY *own, struct bytes a, struct bytes b, uint8_t *out)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *ctx;
    size_t n = ua_rsa_bytes(own);
    bool ok = md && EVP_DigestSignInit(md, &ctx, EVP_sha256(), NULL, own) == 1 && set_padding(p, ctx) &&
              EVP_DigestSignUpdate(md, a.at, a.len) == 1 && EVP_DigestSignUpdate(md, b.at, b.len) == 1 &&
              EVP_DigestSignFinal(md, out, &n) == 1;
    EVP_MD_CTX_free(md);
    ERR_clear_error();
    return ok && n == ua_rsa_bytes(own);
}

bool ua_rsa_verify(const struct ua_policy *p, EVP_PKEY *peer, struct bytes a, struct bytes b,
                   struct bytes signature)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    EVP_PKEY_CTX *ctx;
    bool ok = md && EVP_DigestVerifyInit(md, &ctx, EVP_sha256(), NULL, peer) == 1 && set_padding(p, ctx) &&
              EVP_DigestVerifyUpdate(md, a.at, a.len) == 1 && EVP_DigestVerifyUpdate(md, b.at, b.len) == 1 &&
              EVP_DigestVerifyFinal(md, signature.at, signature.len) == 1;
    EVP_MD_CTX_free(md);
    ERR_clear_error();
    return ok;
}

/* ---- encryption ---- */

static bool set_oaep(const struct ua_policy *p, EVP_PKEY_CTX *ctx)
{
    const EVP_MD *md = p->oaep_sha256 ? EVP_sha256() : EVP_sha1();
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1;
}

size_t ua_rsa_cipher_bytes(const struct ua_policy *p, const EVP_PKEY *peer, size_t plain_bytes)
{
    size_t block = ua_rsa_plain_block(p, peer);
    return (plain_bytes + block - 1) / block * ua_rsa_bytes(peer);
}

bool ua_rsa_encrypt(const struct ua_policy *p, EVP_PKEY *peer, struct bytes plain, uint8_t *out)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(peer, NULL);
    size_t block = ua_rsa_plain_block(p, peer);
    bool ok = ctx && EVP_PKEY_encrypt_init(ctx) == 1 && set_oaep(p, ctx);
    while (ok && plain.len) {
        size_t part = plain.len < block ? plain.len : block, n = ua_rsa_bytes(peer);
        ok = EVP_PKEY_encrypt(ctx, out, &n, plain.at, part) == 1;
        out += ua_rsa_bytes(peer);
        plain = bytes_from(plain, part);
    }
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

bool ua_rsa_decrypt(const struct ua_policy *p, EVP_PKEY *own, struct bytes cipher, uint8_t *out, size_t *n)
{
    size_t block = ua_rsa_bytes(own), plain = ua_rsa_plain_block(p, own);
    uint8_t piece[UA_RSA_BYTES_MAX];
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(own, NULL);
    bool able = ctx && EVP_PKEY_decrypt_init(ctx) == 1 && set_oaep(p, ctx) && block <= sizeof piece;
    bool ok = able && cipher.len > 0 && cipher.len % block == 0;
    *n = 0;
    for (size_t at = 0; able && cipher.len - at >= block; at += block) {
        size_t part = block;
        bool good = EVP_PKEY_decrypt(ctx, piece, &part, cipher.at + at, block) == 1 && part <= plain;
        if (!good)
            part = plain;
        memcpy(out + *n, piece, part);
        *n += part;
        ok &= good;
    }
    OPENSSL_cleanse(piece, sizeof piece);
    EVP_PKEY_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

/* ---- secrets ---- */

void ua_secret_clear(struct buf *b)
{
    if (b->at)
        OPENSSL_cleanse(b->at, b->cap);
    buf_clear(b);
}

static enum code no_memory(struct fault *why)
{
    return FAIL(why, CODE_NOMEM, 0, "no memory for a user's secret");
}

enum code ua_secret_encrypt(const struct ua_policy *p, EVP_PKEY *server, struct bytes secret,
                            struct bytes nonce, struct buf *out, struct fault *why)
{
    if (secret.len > UA_SECRET_BYTES_MAX || nonce.len > UA_SECRET_BYTES_MAX)
        return FAIL(why, CODE_LIMIT, 0, "a secret of %zu bytes is too long, at most %d are possible",
                    secret.len, UA_SECRET_BYTES_MAX);
    size_t n = 4 + secret.len + nonce.len;
    struct buf plain = {0};
    if (!buf_room(&plain, n))
        return no_memory(why); /* at once: a buffer that grows leaves copies behind */
    buf_le32(&plain, (uint32_t)(secret.len + nonce.len));
    buf_add_bytes(&plain, secret);
    buf_add_bytes(&plain, nonce);
    void *to = buf_grow(out, ua_rsa_cipher_bytes(p, server, n));
    bool ok = to && ua_rsa_encrypt(p, server, buf_bytes(&plain), to);
    if (to && !ok)
        out->len -= ua_rsa_cipher_bytes(p, server, n);
    ua_secret_clear(&plain);
    return ok ? CODE_OK : no_memory(why);
}

static enum code refused(struct fault *why)
{
    return FAIL(why, CODE_REFUSED, 0, "the secret cannot be decrypted, or is not for this session");
}

/* The place of the secret in what was decrypted; every way it can be wrong is looked at. */
static bool secret_in(const uint8_t *plain, size_t n, struct bytes nonce, struct bytes *secret)
{
    uint32_t len = 0;
    if (n < 4 + nonce.len)
        return false;
    for (int i = 0; i < 4; i++)
        len |= (uint32_t)plain[i] << (8 * i);
    /* Some clients fill the last block up behind the nonce. */
    if (len < nonce.len || len > n - 4)
        return false;
    if (nonce.len && CRYPTO_memcmp(plain + 4 + len - nonce.len, nonce.at, nonce.len) != 0)
        return false;
    *secret = bytes_of(plain + 4, len - nonce.len);
    return true;
}

enum code ua_secret_decrypt(const struct ua_policy *p, EVP_PKEY *own, struct bytes cipher, struct bytes nonce,
                            struct buf *out, struct fault *why)
{
    struct bytes secret = BYTES_NONE;
    size_t n;
    if (cipher.len == 0 || cipher.len > 2 * UA_SECRET_BYTES_MAX + UA_RSA_BYTES_MAX)
        return refused(why);
    uint8_t *plain = mem_alloc(cipher.len);
    if (!plain)
        return no_memory(why);
    bool ok = ua_rsa_decrypt(p, own, cipher, plain, &n);
    ok = ok && secret_in(plain, n, nonce, &secret);
    bool room = !ok || (secret.len <= UA_SECRET_BYTES_MAX && buf_room(out, secret.len));
    if (ok && room)
        buf_add_bytes(out, secret);
    OPENSSL_cleanse(plain, cipher.len);
    mem_free(plain);
    return !ok ? refused(why) : !room ? no_memory(why) : CODE_OK;
}
