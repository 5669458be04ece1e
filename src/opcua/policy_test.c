/* Policies, their keys and signatures. timeout: 300 */
#include "opcua/opcua_test_peers.h"
#include "opcua/rsa.h"
#include "opcua/symmetric.h"

#include <openssl/rand.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct ua_application *apps[3]; /* 2048, 3072, 4096 bits */

static int make_keys(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        apps[i] = peers_make("gw1", "URI:urn:gw1", 2048 + 1024 * i);
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        ua_application_drop(apps[i]);
    return 0;
}

static void policies_are_found_by_uri_and_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < UA_POLICY_COUNT; i++) {
        assert_int_equal(ua_policies[i].id, i);
        assert_ptr_equal(ua_policy_by_uri(bytes_str(ua_policies[i].uri)), &ua_policies[i]);
        assert_ptr_equal(ua_policy_by_name(bytes_str(ua_policies[i].name)), &ua_policies[i]);
    }
    assert_ptr_equal(ua_policy_by_name(bytes_str("basic256sha256")), &ua_policies[UA_POLICY_BASIC256SHA256]);
    assert_null(ua_policy_by_uri(bytes_str("http://opcfoundation.org/UA/SecurityPolicy#Basic256")));
    assert_true(ua_policy_is_deprecated(bytes_str("http://opcfoundation.org/UA/SecurityPolicy#Basic256")));
    assert_false(ua_policy_is_deprecated(bytes_str(ua_policies[1].uri)));
    assert_null(ua_policy_by_uri(BYTES_NONE));
    assert_null(ua_policy_by_name(BYTES_NONE));
}

/* The answer that two independent programs have computed. */
static void keys_are_derived_as_everybody_derives_them(void **state)
{
    static const uint8_t want[80] = {
        0xb7, 0x25, 0x93, 0xc4, 0x3f, 0xee, 0x5f, 0xaf, 0xa0, 0x25, 0x6c, 0xd6, 0xbb, 0x90, 0x4f, 0xf4,
        0x0c, 0x06, 0x6a, 0x22, 0x5d, 0xb9, 0x5f, 0x66, 0xdd, 0x74, 0x4e, 0x20, 0x85, 0x8a, 0x22, 0x20,
        0xdd, 0xf7, 0x50, 0x67, 0xe3, 0xd7, 0x6a, 0xc7, 0x14, 0xc0, 0x8e, 0x24, 0xea, 0xbd, 0x85, 0xff,
        0x42, 0x5d, 0x7f, 0x5f, 0xb2, 0x5e, 0x6e, 0x08, 0x3b, 0x94, 0xb1, 0x74, 0xe2, 0x9d, 0xb8, 0x9b,
        0xc5, 0x13, 0xe9, 0x17, 0x22, 0x74, 0xd5, 0xed, 0x54, 0xe5, 0x2a, 0x35, 0x52, 0x90, 0x1a, 0xe0,
    };
    uint8_t secret[32], seed[32], out[80];
    (void)state;
    for (int i = 0; i < 32; i++) {
        secret[i] = (uint8_t)i;
        seed[i] = (uint8_t)(32 + i);
    }
    for (size_t n = 1; n <= sizeof out; n++) {
        memset(out, 0, sizeof out);
        assert_true(ua_p_sha256(bytes_of(secret, 32), bytes_of(seed, 32), out, n));
        assert_memory_equal(out, want, n);
    }
}

static void signatures_hold_and_break(void **state)
{
    uint8_t sig[UA_RSA_BYTES_MAX];
    struct bytes a = BYTES_LIT("certificate"), b = BYTES_LIT("nonce");
    (void)state;
    for (unsigned p = 1; p < UA_POLICY_COUNT; p++)
        for (unsigned k = 0; k < 3; k++) {
            EVP_PKEY *key = apps[k]->key;
            size_t n = ua_rsa_bytes(key);
            assert_int_equal(n, 256 + 128 * k);
            assert_true(ua_rsa_sign(&ua_policies[p], key, a, b, sig));
            assert_true(ua_rsa_verify(&ua_policies[p], apps[k]->certificate->key, a, b, bytes_of(sig, n)));
            assert_true(ua_rsa_verify(&ua_policies[p], key, BYTES_LIT("certificatenonce"), BYTES_NONE,
                                      bytes_of(sig, n)));
            assert_false(ua_rsa_verify(&ua_policies[p], key, a, BYTES_LIT("nonca"), bytes_of(sig, n)));
            assert_false(ua_rsa_verify(&ua_policies[p], key, a, b, bytes_of(sig, n - 1)));
            assert_false(ua_rsa_verify(&ua_policies[p], key, a, b, BYTES_NONE));
            assert_false(ua_rsa_verify(&ua_policies[p], apps[(k + 1) % 3]->key, a, b, bytes_of(sig, n)));
            sig[n / 2] ^= 1;
            assert_false(ua_rsa_verify(&ua_policies[p], key, a, b, bytes_of(sig, n)));
        }
    /* The two kinds of signature are not taken for each other. */
    assert_true(ua_rsa_sign(&ua_policies[1], apps[0]->key, a, b, sig));
    assert_false(ua_rsa_verify(&ua_policies[3], apps[0]->key, a, b, bytes_of(sig, 256)));
}

static void encryption_of_any_length(void **state)
{
    uint8_t plain[1500], cipher[8192], back[8192];
    size_t n;
    (void)state;
    peers_must(RAND_bytes(plain, sizeof plain) == 1);
    for (unsigned p = 1; p < UA_POLICY_COUNT; p++)
        for (unsigned k = 0; k < 3; k++)
            for (size_t len = 1; len < sizeof plain; len += 211) {
                size_t m = ua_rsa_cipher_bytes(&ua_policies[p], apps[k]->key, len);
                assert_true(m % ua_rsa_bytes(apps[k]->key) == 0 && m <= sizeof cipher);
                assert_true(
                    ua_rsa_encrypt(&ua_policies[p], apps[k]->certificate->key, bytes_of(plain, len), cipher));
                assert_true(ua_rsa_decrypt(&ua_policies[p], apps[k]->key, bytes_of(cipher, m), back, &n));
                assert_int_equal(n, len);
                assert_memory_equal(plain, back, len);
                cipher[m - 1] ^= 1;
                assert_false(ua_rsa_decrypt(&ua_policies[p], apps[k]->key, bytes_of(cipher, m), back, &n));
                assert_false(
                    ua_rsa_decrypt(&ua_policies[p], apps[k]->key, bytes_of(cipher, m - 1), back, &n));
            }
    assert_false(ua_rsa_decrypt(&ua_policies[1], apps[0]->key, BYTES_NONE, back, &n));
}

static void secrets_need_the_last_nonce(void **state)
{
    struct bytes nonce = BYTES_LIT("0123456789abcdef0123456789abcdef"),
                 other = BYTES_LIT("0123456789abcdef0123456789abcdeF");
    static uint8_t large[UA_SECRET_BYTES_MAX + 1];
    struct fault why;
    (void)state;
    for (unsigned p = 1; p < UA_POLICY_COUNT; p++)
        for (unsigned k = 0; k < 3; k++)
            for (size_t len = 0; len < 900; len += 179) {
                struct buf cipher = {0}, back = {0};
                EVP_PKEY *key = apps[k]->key;
                assert_int_equal(
                    ua_secret_encrypt(&ua_policies[p], key, bytes_of(large, len), nonce, &cipher, &why),
                    CODE_OK);
                assert_int_equal(
                    ua_secret_decrypt(&ua_policies[p], key, buf_bytes(&cipher), nonce, &back, &why), CODE_OK);
                assert_true(bytes_equal(buf_bytes(&back), bytes_of(large, len)));
                ua_secret_clear(&back);
                assert_int_equal(
                    ua_secret_decrypt(&ua_policies[p], key, buf_bytes(&cipher), other, &back, &why),
                    CODE_REFUSED);
                cipher.at[cipher.from + 3] ^= 1;
                assert_int_equal(
                    ua_secret_decrypt(&ua_policies[p], key, buf_bytes(&cipher), nonce, &back, &why),
                    CODE_REFUSED);
                assert_int_equal(buf_size(&back), 0);
                ua_secret_clear(&cipher);
                ua_secret_clear(&back);
            }
    struct buf out = {0};
    assert_int_equal(
        ua_secret_encrypt(&ua_policies[1], apps[0]->key, bytes_of(large, sizeof large), nonce, &out, &why),
        CODE_LIMIT);
    assert_int_equal(ua_secret_decrypt(&ua_policies[1], apps[0]->key, BYTES_NONE, nonce, &out, &why),
                     CODE_REFUSED);
    ua_secret_clear(&out);
}

/* A length that lies, in what is encrypted well. */
static void secrets_with_lying_lengths_are_refused(void **state)
{
    static const uint32_t lengths[] = {0, 31, 33 + 32, UINT32_MAX, INT32_MAX, 64};
    uint8_t plain[4 + 64], cipher[256];
    struct bytes nonce = bytes_of(plain + 4 + 32, 32);
    struct fault why;
    struct buf out = {0};
    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memset(plain, 'n', sizeof plain);
        for (int k = 0; k < 4; k++)
            plain[k] = (uint8_t)(lengths[i] >> (8 * k));
        assert_true(ua_rsa_encrypt(&ua_policies[1], apps[0]->key, bytes_of(plain, sizeof plain), cipher));
        assert_int_equal(
            ua_secret_decrypt(&ua_policies[1], apps[0]->key, bytes_of(cipher, 256), nonce, &out, &why),
            lengths[i] == 64 ? CODE_OK : CODE_REFUSED);
    }
    ua_secret_clear(&out);
}

static void symmetric_keys_of_both_ends_fit(void **state)
{
    uint8_t a[UA_NONCE_BYTES] = {1}, b[UA_NONCE_BYTES] = {2}, text[64], cipher[64], sig[UA_SIGN_BYTES],
            again[UA_SIGN_BYTES];
    (void)state;
    memset(text, 7, sizeof text);
    for (unsigned p = 1; p < UA_POLICY_COUNT; p++) {
        struct ua_keys *send = ua_keys_new(&ua_policies[p], UA_KEYS_SEND, bytes_of(a, sizeof a),
                                           bytes_of(b, sizeof b));
        struct ua_keys *get = ua_keys_new(&ua_policies[p], UA_KEYS_RECEIVE, bytes_of(a, sizeof a),
                                          bytes_of(b, sizeof b));
        assert_true(send && get);
        for (int round = 0; round < 3; round++) { /* contexts are used again */
            assert_true(ua_keys_sign(send, bytes_of(text, 30), bytes_of(text + 30, 34), sig));
            assert_true(ua_keys_verify(get, bytes_of(text, 64), BYTES_NONE, sig));
            assert_true(ua_keys_sign(send, bytes_of(text, 64), BYTES_NONE, again));
            assert_memory_equal(sig, again, sizeof sig);
            assert_false(ua_keys_verify(get, bytes_of(text, 63), BYTES_NONE, sig));
            assert_true(ua_keys_cipher(send, text, cipher, sizeof cipher));
            assert_memory_not_equal(text, cipher, sizeof text);
            assert_true(ua_keys_cipher(get, cipher, cipher, sizeof cipher));
            assert_memory_equal(text, cipher, sizeof text);
        }
        ua_keys_free(send);
        ua_keys_free(get);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_are_found_by_uri_and_name),
        cmocka_unit_test(keys_are_derived_as_everybody_derives_them),
        cmocka_unit_test(signatures_hold_and_break),
        cmocka_unit_test(encryption_of_any_length),
        cmocka_unit_test(secrets_need_the_last_nonce),
        cmocka_unit_test(secrets_with_lying_lengths_are_refused),
        cmocka_unit_test(symmetric_keys_of_both_ends_fit),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
