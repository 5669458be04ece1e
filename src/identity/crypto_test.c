#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "identity/crypto.h"

#include <stdio.h>

static void assert_hex(const uint8_t *got, const char *want)
{
    char text[2 * SHA256_BYTES + 1];
    for (int i = 0; i < SHA256_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", got[i]);
    assert_string_equal(text, want);
}

/* FIPS 180-4 "abc"; RFC 4231 case 2; RFC 7677's SaltedPassword comes from the second. */
static void hashes_are_those_of_the_standards(void **state)
{
    (void)state;
    uint8_t out[SHA256_BYTES];
    assert_true(crypto_sha256(BYTES_LIT("abc"), out));
    assert_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_true(crypto_hmac_sha256(BYTES_LIT("Jefe"), BYTES_LIT("what do ya want for nothing?"), out));
    assert_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_true(crypto_pbkdf2_sha256(BYTES_LIT("password"), BYTES_LIT("salt"), 4096, out));
    assert_hex(out, "c5e478d59288c841aa530db6845c4c8d962893a001ce4e11a4963873aa98134a");
}

/* RFC 7914 section 12, the first 32 of its 64 bytes: scrypt ends in PBKDF2, whose blocks do not depend on the length. */
static void scrypt_is_that_of_rfc_7914(void **state)
{
    (void)state;
    uint8_t out[SHA256_BYTES];
    assert_true(crypto_scrypt(BYTES_LIT("password"), BYTES_LIT("NaCl"), (struct scrypt_cost){ 10, 8, 16 }, out));
    assert_hex(out, "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162");
    assert_true(crypto_scrypt(BYTES_LIT("pleaseletmein"), BYTES_LIT("SodiumChloride"), (struct scrypt_cost){ 14, 8, 1 }, out));
    assert_hex(out, "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2");
}

static void costs_have_bounds(void **state)
{
    (void)state;
    assert_true(scrypt_cost_valid(scrypt_default));
    assert_true(scrypt_cost_valid((struct scrypt_cost){ 18, 8, 1 }));
    assert_false(scrypt_cost_valid((struct scrypt_cost){ 19, 8, 1 })); /* 512 MiB */
    assert_false(scrypt_cost_valid((struct scrypt_cost){ 9, 8, 1 }));
    assert_false(scrypt_cost_valid((struct scrypt_cost){ 21, 1, 1 }));
    assert_false(scrypt_cost_valid((struct scrypt_cost){ 15, 0, 1 }));
    assert_false(scrypt_cost_valid((struct scrypt_cost){ 15, 8, 0 }));
    assert_false(scrypt_cost_valid((struct scrypt_cost){ 15, 8, 17 }));
    assert_false(scrypt_cost_valid((struct scrypt_cost){ 10, 17, 1 }));
}

static void equal_means_every_byte(void **state)
{
    (void)state;
    uint8_t a[SHA256_BYTES] = { 0 }, b[SHA256_BYTES] = { 0 };
    assert_true(crypto_equal(a, b));
    for (int i = 0; i < SHA256_BYTES; i++)
        for (int bit = 0; bit < 8; bit++) {
            b[i] = (uint8_t)(1 << bit);
            assert_false(crypto_equal(a, b));
            b[i] = 0;
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_are_those_of_the_standards),
        cmocka_unit_test(scrypt_is_that_of_rfc_7914),
        cmocka_unit_test(costs_have_bounds),
        cmocka_unit_test(equal_means_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
