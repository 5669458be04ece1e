#include "identity/scram_client.h"

#include "base/base64.h"
#include "base/mem.h"
#include "base/values.h"
#include "identity/crypto.h"
#include "identity/scram_text.h"

enum { GS2_LEN = 3, SALT_MAX = 128 };

struct scram_client {
    struct bytes password;
    struct buf   first; /* with the gs2 header "n,," in front */
    size_t       nonce_len;
    bool         answered;
    uint8_t      server_signature[SHA256_BYTES];
};

/* saslname: a comma and an equals sign would end it. */
static void put_name(struct buf *out, struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] == ',')
            buf_printf(out, "=2C");
        else if (name.at[i] == '=')
            buf_printf(out, "=3D");
        else
            buf_u8(out, name.at[i]);
}

enum code scram_client_new(struct scram_client **out, struct bytes user, struct bytes password, struct bytes nonce,
                           struct fault *why)
{
    if (!user.len || !utf8_valid(user, false) || !scram_printable(nonce))
        return FAIL(why, CODE_USAGE, 0, SCRAM_SHA_256 " needs a user name that is UTF-8");
    struct scram_client *c = mem_zalloc(1, sizeof *c);
    if (c) {
        c->password = password;
        c->nonce_len = nonce.len;
        buf_printf(&c->first, "n,,n=");
        put_name(&c->first, user);
        buf_printf(&c->first, ",r=");
        buf_add_bytes(&c->first, nonce);
    }
    if (!c || c->first.bad) {
        scram_client_free(c);
        return FAIL(why, CODE_NOMEM, 0, "no memory");
    }
    *out = c;
    return CODE_OK;
}

void scram_client_free(struct scram_client *c)
{
    if (!c)
        return;
    buf_clear(&c->first);
    crypto_wipe(c->server_signature, sizeof c->server_signature);
    mem_free(c);
}

struct bytes scram_client_first(const struct scram_client *c)
{
    return buf_bytes(&c->first);
}

struct challenge {
    struct bytes nonce;
    uint8_t      salt[SALT_MAX];
    size_t       salt_len;
    uint32_t     iterations;
};

static bool read_challenge(const struct scram_client *c, struct bytes message, struct challenge *out)
{
    struct bytes rest = message, salt, count, first = buf_bytes(&c->first), ours = bytes_from(first, first.len - c->nonce_len);
    uint64_t iterations;
    if (!scram_attribute(scram_part(&rest), 'r', &out->nonce) || !scram_printable(out->nonce) ||
        out->nonce.len <= ours.len || memcmp(out->nonce.at, ours.at, ours.len) != 0)
        return false; /* an "m=" in front is an extension that must be understood */
    if (!scram_attribute(scram_part(&rest), 's', &salt) || !base64_read(salt, out->salt, sizeof out->salt, &out->salt_len) ||
        !out->salt_len)
        return false;
    if (!scram_attribute(scram_part(&rest), 'i', &count) ||
        value_parse_count(count, SCRAM_ITERATIONS_MIN, SCRAM_ITERATIONS_MAX, &iterations, NULL) != CODE_OK)
        return false;
    out->iterations = (uint32_t)iterations;
    return true;
}

/* ClientProof, and what the server must show: RFC 5802 section 3. */
static bool prove(struct scram_client *c, const struct challenge *h, struct bytes message, uint8_t proof[SHA256_BYTES])
{
    uint8_t salted[SHA256_BYTES], stored[SHA256_BYTES], signature[SHA256_BYTES], server[SHA256_BYTES];
    bool ok = crypto_pbkdf2_sha256(c->password, bytes_of(h->salt, h->salt_len), h->iterations, salted) &&
              crypto_hmac_sha256(bytes_of(salted, sizeof salted), BYTES_LIT("Client Key"), proof) &&
              crypto_sha256(bytes_of(proof, SHA256_BYTES), stored) &&
              crypto_hmac_sha256(bytes_of(stored, sizeof stored), message, signature) &&
              crypto_hmac_sha256(bytes_of(salted, sizeof salted), BYTES_LIT("Server Key"), server) &&
              crypto_hmac_sha256(bytes_of(server, sizeof server), message, c->server_signature);
    for (size_t i = 0; ok && i < SHA256_BYTES; i++)
        proof[i] ^= signature[i];
    crypto_wipe(salted, sizeof salted);
    crypto_wipe(stored, sizeof stored);
    crypto_wipe(server, sizeof server);
    return ok;
}

enum code scram_client_answer(struct scram_client *c, struct bytes server_first, struct buf *out, struct fault *why)
{
    struct challenge h;
    uint8_t proof[SHA256_BYTES];
    if (c->answered || !read_challenge(c, server_first, &h))
        return FAIL(why, CODE_PROTOCOL, 0, "what the server sent is no answer to " SCRAM_SHA_256 ", or asks for less than 4096 or more"
                                           " than 1000000 iterations");
    struct buf final = { 0 }, message = { 0 };
    buf_printf(&final, "c=biws,r="); /* base64 of "n,," */
    buf_add_bytes(&final, h.nonce);
    buf_add_bytes(&message, bytes_from(buf_bytes(&c->first), GS2_LEN));
    buf_u8(&message, ',');
    buf_add_bytes(&message, server_first);
    buf_u8(&message, ',');
    buf_add_bytes(&message, buf_bytes(&final));
    bool ok = !message.bad && !final.bad && prove(c, &h, buf_bytes(&message), proof);
    if (ok) {
        c->answered = true;
        buf_add_bytes(out, buf_bytes(&final));
        buf_printf(out, ",p=");
        base64_put(out, bytes_of(proof, sizeof proof));
        crypto_wipe(proof, sizeof proof);
    }
    buf_clear(&final);
    buf_clear(&message);
    return ok && !out->bad ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory");
}

enum code scram_client_proven(const struct scram_client *c, struct bytes server_final, struct fault *why)
{
    struct bytes rest = server_final, value;
    uint8_t signature[SHA256_BYTES];
    size_t n;
    if (!c->answered || !scram_attribute(scram_part(&rest), 'v', &value) ||
        !base64_read(value, signature, sizeof signature, &n) || n != sizeof signature ||
        !crypto_equal(signature, c->server_signature))
        return FAIL(why, CODE_REFUSED, 0, "the server did not prove that it knows the user: it may be another one than it says");
    return CODE_OK;
}
