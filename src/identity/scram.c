#include "identity/scram.h"

#include "base/base64.h"
#include "base/mem.h"
#include "identity/scram_text.h"

struct scram {
    struct scram_record record;
    size_t gs2_len, first_len, nonce_len; /* first: client-first-bare "," server-first */
    uint8_t text[];                       /* gs2, first, nonce */
};

void scram_free(struct scram *s)
{
    if (!s)
        return;
    crypto_wipe(&s->record, sizeof s->record);
    mem_free(s);
}

/* ---- reading ---- */

static enum code malformed(struct fault *why)
{
    return FAIL(why, CODE_MALFORMED, 0, "not a message of " SCRAM_SHA_256);
}

/* saslname: "=2C" is a comma, "=3D" an equals sign, "=" stands nowhere else. */
static bool read_name(struct bytes in, uint8_t *out, size_t cap, size_t *len)
{
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.at[i];
        if (c == '=') {
            struct bytes code = bytes_from(in, i + 1);
            if (!bytes_starts(code, "2C") && !bytes_starts(code, "3D"))
                return false;
            c = code.at[0] == '2' ? ',' : '=';
            i += 2;
        }
        if (c == 0 || n == cap)
            return false;
        out[n++] = c;
    }
    *len = n;
    return n > 0;
}

static enum code read_gs2(struct bytes message, struct bytes *rest, struct bytes *authzid, struct fault *why)
{
    *rest = message;
    struct bytes flag = scram_part(rest);
    if (bytes_starts(flag, "p="))
        return FAIL(why, CODE_UNSUPPORTED, 0, "channel binding is not offered");
    if (!rest->at || (!bytes_is(flag, "n") && !bytes_is(flag, "y")))
        return malformed(why);
    struct bytes who = scram_part(rest);
    *authzid = BYTES_NONE;
    if (!rest->at || (who.len && !scram_attribute(who, 'a', authzid)))
        return malformed(why);
    return CODE_OK;
}

enum code scram_read_first(struct bytes message, struct scram_first *out, struct fault *why)
{
    struct bytes rest, authzid, name;
    *out = (struct scram_first){ .gs2 = BYTES_NONE };
    if (!utf8_valid(message, false))
        return malformed(why);
    enum code c = read_gs2(message, &rest, &authzid, why);
    if (c != CODE_OK)
        return c;
    out->bare = rest;
    out->gs2 = bytes_of(message.at, message.len - rest.len);
    struct bytes first = scram_part(&rest);
    if (bytes_starts(first, "m="))
        return FAIL(why, CODE_UNSUPPORTED, 0, "no extension of " SCRAM_SHA_256 " is offered");
    if (!scram_attribute(first, 'n', &name) || !rest.at || !scram_attribute(scram_part(&rest), 'r', &out->nonce) || !scram_printable(out->nonce))
        return malformed(why);
    size_t n;
    if (!read_name(name, out->name_text, sizeof out->name_text, &n))
        return FAIL(why, CODE_REFUSED, 0, "that cannot be a user's name");
    out->name = bytes_of(out->name_text, n);
    if (authzid.at && !bytes_equal(authzid, name))
        return FAIL(why, CODE_REFUSED, 0, "nobody acts for another user here");
    return CODE_OK;
}

/* ---- answering ---- */

enum code scram_answer_first(struct scram **out, const struct scram_first *first, const struct scram_record *record,
                             const char our_nonce[SCRAM_OUR_NONCE], struct buf *reply, struct fault *why)
{
    struct buf ours = { 0 };
    buf_printf(&ours, "r=");
    buf_add_bytes(&ours, first->nonce);
    buf_add(&ours, our_nonce, SCRAM_OUR_NONCE);
    buf_printf(&ours, ",s=");
    base64_put(&ours, bytes_of(record->salt, record->salt_len));
    buf_printf(&ours, ",i=%u", record->iterations);
    struct bytes server_first = buf_bytes(&ours);
    size_t first_len = first->bare.len + 1 + server_first.len, nonce_len = first->nonce.len + SCRAM_OUR_NONCE;
    struct scram *s = ours.bad ? NULL : mem_alloc(sizeof *s + first->gs2.len + first_len + nonce_len);
    if (s) {
        s->record = *record;
        s->gs2_len = first->gs2.len;
        s->first_len = first_len;
        s->nonce_len = nonce_len;
        uint8_t *to = s->text;
        memcpy(to, first->gs2.at, s->gs2_len);
        to += s->gs2_len;
        memcpy(to, first->bare.at, first->bare.len);
        to[first->bare.len] = ',';
        memcpy(to + first->bare.len + 1, server_first.at, server_first.len);
        to += first_len;
        memcpy(to, server_first.at + 2, nonce_len);
        buf_add_bytes(reply, server_first);
    }
    buf_clear(&ours);
    if (!s || reply->bad) {
        scram_free(s);
        return FAIL(why, CODE_NOMEM, 0, "no memory");
    }
    *out = s;
    return CODE_OK;
}

struct final {
    struct bytes without_proof, nonce;
    uint8_t      gs2[512], proof[SHA256_BYTES];
    size_t       gs2_len;
};

static bool read_final(struct bytes message, struct final *f)
{
    struct bytes rest = message, value, p;
    size_t n;
    if (!scram_attribute(scram_part(&rest), 'c', &value) || !base64_read(value, f->gs2, sizeof f->gs2, &f->gs2_len))
        return false;
    if (!rest.at || !scram_attribute(scram_part(&rest), 'r', &f->nonce))
        return false;
    /* Extensions that we do not know stand before the proof, which is last. */
    for (;;) {
        if (!rest.at)
            return false;
        struct bytes from = rest;
        p = scram_part(&rest);
        if (rest.at)
            continue;
        f->without_proof = bytes_of(message.at, (size_t)(from.at - message.at) - 1);
        break;
    }
    return scram_attribute(p, 'p', &value) && base64_read(value, f->proof, sizeof f->proof, &n) && n == SHA256_BYTES;
}

/* ClientKey = ClientProof XOR HMAC(StoredKey, AuthMessage); right if H(ClientKey) is StoredKey. */
static bool check_proof(const struct scram *s, const struct final *f, struct bytes auth_message, bool *right,
                        uint8_t server_signature[SHA256_BYTES])
{
    uint8_t key[SHA256_BYTES], digest[SHA256_BYTES];
    if (!crypto_hmac_sha256(bytes_of(s->record.stored_key, SHA256_BYTES), auth_message, key))
        return false;
    for (size_t i = 0; i < SHA256_BYTES; i++)
        key[i] ^= f->proof[i];
    bool ok = crypto_sha256(bytes_of(key, sizeof key), digest) &&
              crypto_hmac_sha256(bytes_of(s->record.server_key, SHA256_BYTES), auth_message, server_signature);
    *right = ok && crypto_equal(digest, s->record.stored_key);
    crypto_wipe(key, sizeof key);
    return ok;
}

enum code scram_check_final(const struct scram *s, struct bytes message, struct buf *reply, struct fault *why)
{
    struct final f;
    uint8_t signature[SHA256_BYTES];
    struct bytes gs2 = bytes_of(s->text, s->gs2_len), first = bytes_of(s->text + s->gs2_len, s->first_len),
                 nonce = bytes_of(s->text + s->gs2_len + s->first_len, s->nonce_len);
    bool right;
    if (!read_final(message, &f))
        return malformed(why);
    if (!bytes_equal(bytes_of(f.gs2, f.gs2_len), gs2) || !bytes_equal(f.nonce, nonce))
        return FAIL(why, CODE_REFUSED, 0, "this does not belong to the exchange");
    struct buf auth_message = { 0 };
    buf_add_bytes(&auth_message, first);
    buf_u8(&auth_message, ',');
    buf_add_bytes(&auth_message, f.without_proof);
    bool ok = !auth_message.bad && check_proof(s, &f, buf_bytes(&auth_message), &right, signature);
    buf_clear(&auth_message);
    if (!ok)
        return FAIL(why, CODE_NOMEM, 0, "no memory");
    if (!right)
        return FAIL(why, CODE_REFUSED, 0, "user name or password is wrong");
    buf_printf(reply, "v=");
    base64_put(reply, bytes_of(signature, sizeof signature));
    return reply->bad ? FAIL(why, CODE_NOMEM, 0, "no memory") : CODE_OK;
}
