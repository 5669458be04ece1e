/* policy.h - the security policies: which algorithms a secure channel, its session and a user's secret are protected by
 * (Part 7, 6.6).
 *
 *   ua_policies        the table: one row per policy, constant
 *   rsa.h              signing and encrypting with certificates: OPN, CreateSession, ActivateSession, passwords
 *   symmetric.h        the keys of one token: MSG and CLO
 *
 * Pure, any thread.
 */
#pragma once

#include "opcua/types.h"

enum ua_policy_id {
    UA_POLICY_NONE,
    UA_POLICY_BASIC256SHA256,
    UA_POLICY_AES128_SHA256_RSAOAEP,
    UA_POLICY_AES256_SHA256_RSAPSS,
    UA_POLICY_COUNT
};

enum {
    UA_RSA_BITS_MIN = 2048,
    UA_RSA_BITS_MAX = 4096,
    UA_RSA_BYTES_MAX = UA_RSA_BITS_MAX / 8,
    UA_NONCE_BYTES = 32,  /* of a channel; also ours of sessions */
    UA_SIGN_BYTES = 32,   /* HMAC-SHA256 */
    UA_BLOCK_BYTES = 16,  /* AES */
    UA_THUMBPRINT_BYTES = 20
};

struct ua_policy {
    uint8_t     id;          /* enum ua_policy_id: its place in ua_policies            */
    uint8_t     level;       /* rises with strength: EndpointDescription.securityLevel */
    bool        pss;         /* signatures: RSA-PSS instead of PKCS#1 v1.5             */
    bool        oaep_sha256; /* encryption: OAEP with SHA-256 instead of SHA-1         */
    uint8_t     overhead;    /* bytes that OAEP takes of each block                    */
    uint8_t     key_bytes;   /* AES                                                    */
    uint8_t     nonce_bytes; /* of OPN: 0 for None                                     */
    const char *name;        /* "Basic256Sha256"                                       */
    const char *uri;
    const char *sign_uri;    /* SignatureData.algorithm, NULL for None                 */
    const char *encrypt_uri; /* of a user's secret, NULL for None                      */
};
extern const struct ua_policy ua_policies[UA_POLICY_COUNT];

/* NULL: none of ours. */
const struct ua_policy *ua_policy_by_uri(struct bytes uri);
/* "Basic256Sha256", letters in any case: what people write. NULL: none of ours. */
const struct ua_policy *ua_policy_by_name(struct bytes name);
/* True for what was used once and is broken or weak: said to people by name, never offered. */
bool ua_policy_is_deprecated(struct bytes uri);

/* P_SHA256 (RFC 5246, 5: the expansion, without a label). False: OpenSSL had no memory. */
FG_CHECK bool ua_p_sha256(struct bytes secret, struct bytes seed, uint8_t *out, size_t n);
