#include "opcua/policy.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <strings.h>

#define PREFIX     "http://opcfoundation.org/UA/SecurityPolicy#"
#define RSA_SHA256 "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
#define RSA_OAEP   "http://www.w3.org/2001/04/xmlenc#rsa-oaep"

/* clang-format off */
const struct ua_policy ua_policies[UA_POLICY_COUNT] = {
    [UA_POLICY_NONE] = {
        .id = UA_POLICY_NONE, .level = 0, .name = "None", .uri = PREFIX "None" },
    [UA_POLICY_BASIC256SHA256] = {
        .id = UA_POLICY_BASIC256SHA256, .level = 20, .overhead = 42, .key_bytes = 32, .nonce_bytes = UA_NONCE_BYTES,
        .name = "Basic256Sha256", .uri = PREFIX "Basic256Sha256", .sign_uri = RSA_SHA256, .encrypt_uri = RSA_OAEP },
    [UA_POLICY_AES128_SHA256_RSAOAEP] = {
        .id = UA_POLICY_AES128_SHA256_RSAOAEP, .level = 30, .overhead = 42, .key_bytes = 16, .nonce_bytes = UA_NONCE_BYTES,
        .name = "Aes128_Sha256_RsaOaep", .uri = PREFIX "Aes128_Sha256_RsaOaep", .sign_uri = RSA_SHA256,
        .encrypt_uri = RSA_OAEP },
    [UA_POLICY_AES256_SHA256_RSAPSS] = {
        .id = UA_POLICY_AES256_SHA256_RSAPSS, .level = 40, .pss = true, .oaep_sha256 = true, .overhead = 66,
        .key_bytes = 32, .nonce_bytes = UA_NONCE_BYTES,
        .name = "Aes256_Sha256_RsaPss", .uri = PREFIX "Aes256_Sha256_RsaPss",
        .sign_uri = "http://opcfoundation.org/UA/security/rsa-pss-sha2-256",
        .encrypt_uri = "http://opcfoundation.org/UA/security/rsa-oaep-sha2-256" },
};
/* clang-format on */

const struct ua_policy *ua_policy_by_uri(struct bytes uri)
{
    for (size_t i = 0; i < UA_POLICY_COUNT; i++)
        if (bytes_is(uri, ua_policies[i].uri))
            return &ua_policies[i];
    return NULL;
}

const struct ua_policy *ua_policy_by_name(struct bytes name)
{
    for (size_t i = 0; i < UA_POLICY_COUNT; i++)
        if (name.len == strlen(ua_policies[i].name) &&
            strncasecmp((const char *)name.at, ua_policies[i].name, name.len) == 0)
            return &ua_policies[i];
    return NULL;
}

bool ua_policy_is_deprecated(struct bytes uri)
{
    return bytes_is(uri, PREFIX "Basic128Rsa15") || bytes_is(uri, PREFIX "Basic256");
}

/* OpenSSL has it as the PRF of TLS 1.2, whose label stands in front of the seed: there is none here. */
bool ua_p_sha256(struct bytes secret, struct bytes seed, uint8_t *out, size_t n)
{
    static char digest[] = "SHA256";
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    OSSL_PARAM with[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, (void *)(uintptr_t)secret.at, secret.len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, (void *)(uintptr_t)seed.at, seed.len),
        OSSL_PARAM_construct_end(),
    };
    bool ok = ctx && EVP_KDF_derive(ctx, out, n, with) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    ERR_clear_error();
    return ok;
}
