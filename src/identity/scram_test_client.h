/* scram_test_client.h - the client's side of SCRAM-SHA-256, written from RFC 5802 without our server's code. Included by one test
 * file each, after cmocka.h. */
#pragma once

#include "base/base64.h"
#include "identity/crypto.h"

#include <stdlib.h>

/* What a client that knows the password answers (RFC 5802 section 3), by the book and without our server's code. */
static __attribute__((unused)) void client_final(struct buf *out, const char *password, const char *gs2, const char *bare, struct bytes server_first,
                         const char *extension)
{
    struct buf message = { 0 };
    uint8_t salt[64], salted[32], client_key[32], stored[32], signature[32];
    size_t salt_len;
    char text[512];
    assert_true(server_first.len < sizeof text);
    memcpy(text, server_first.at, server_first.len);
    text[server_first.len] = 0;
    const char *s = strstr(text, ",s="), *i = strstr(text, ",i=");
    assert_true(base64_read(bytes_of(s + 3, (size_t)(i - s - 3)), salt, sizeof salt, &salt_len));
    assert_true(crypto_pbkdf2_sha256(bytes_str(password), bytes_of(salt, salt_len), (uint32_t)strtoul(i + 3, NULL, 10), salted));
    assert_true(crypto_hmac_sha256(bytes_of(salted, 32), BYTES_LIT("Client Key"), client_key));
    assert_true(crypto_sha256(bytes_of(client_key, 32), stored));
    buf_printf(out, "c=");
    base64_put(out, bytes_str(gs2));
    buf_printf(out, ",%.*s%s", (int)(s - text), text, extension);
    buf_printf(&message, "%s,%s,", bare, text);
    buf_add_bytes(&message, buf_bytes(out));
    assert_true(crypto_hmac_sha256(bytes_of(stored, 32), buf_bytes(&message), signature));
    for (int k = 0; k < 32; k++)
        client_key[k] ^= signature[k];
    buf_printf(out, ",p=");
    base64_put(out, bytes_of(client_key, 32));
    buf_clear(&message);
}
