/* channel_asym.c - how OpenSecureChannel is protected: signed by the sender's key, encrypted for the receiver's [Part 6, 6.7.4].
 *
 *   OPN F size | channel | policy URI | certificate | thumbprint || number | request | body | padding | signature
 *                                      what stands behind || is encrypted
 */
#include "opcua/channel_private.h"

#include "base/mem.h"

#include <openssl/crypto.h>

/* Each block is a decryption with our key, a millisecond or so, before anybody has proved anything. What a client sends is a
 * nonce and a signature of 256 to 512 bytes: two to four blocks. 2,048 bytes are eight of a key of 2,048 bits. */
enum { URI_BYTES = 255, PLAIN_BYTES = 2048, CIPHER_BYTES_MAX = 2048 };

/* ---- reading ---- */

/* i32 length, -1 for none. */
static struct bytes string(struct wire *w)
{
    uint32_t n = wire_le32(w);
    return n == UINT32_MAX ? BYTES_NONE : wire_bytes(w, n);
}

bool asym_read(struct turn *t, struct bytes chunk, struct open_chunk *o)
{
    struct wire w = wire_of(bytes_from(chunk, CHUNK_HEAD));
    *o = (struct open_chunk){.channel = wire_le32(&w)};
    o->policy_uri = string(&w);
    o->certificate = string(&w);
    o->thumbprint = string(&w);
    if (w.bad || o->policy_uri.len > URI_BYTES)
        return channel_fail(t, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR,
                            "the security header of OpenSecureChannel cannot be read");
    o->head = bytes_of(chunk.at, CHUNK_HEAD + (size_t)wire_pos(&w));
    o->rest = bytes_from(chunk, o->head.len);
    return true;
}

static bool read_sequence(struct turn *t, struct open_chunk *o, struct bytes plain)
{
    struct wire w = wire_of(plain);
    o->sequence = wire_le32(&w);
    o->request_id = wire_le32(&w);
    if (w.bad)
        return channel_fail(t, UA_BAD_DECODING_ERROR, UA_BAD_DECODING_ERROR,
                            "OpenSecureChannel ends before its body");
    o->body = bytes_of(w.at, wire_left(&w));
    return true;
}

/* How many bytes before `end` are padding, with their counts; 0: they are wrong. `wide`: the count has a second byte. */
static size_t padding(const uint8_t *plain, size_t end, bool wide)
{
    size_t counts = wide ? 2 : 1;
    if (end < SEQUENCE_HEAD + counts)
        return 0;
    uint8_t low = plain[end - counts], wrong = 0;
    size_t n = low | (wide ? (size_t)plain[end - 1] << 8 : 0);
    if (n > end - counts - SEQUENCE_HEAD)
        return 0;
    for (size_t i = 0; i <= n; i++)
        wrong |= plain[end - counts - i] ^ low;
    return wrong ? 0 : n + counts;
}

static bool not_good(struct turn *t)
{
    return channel_distrust(t, UA_BAD_SECURITY_CHECKS_FAILED,
                            "OpenSecureChannel cannot be decrypted with our key, or its signature is wrong");
}

bool asym_unprotect(struct turn *t, struct open_chunk *o, const struct ua_policy *p,
                    struct ua_certificate *peer)
{
    if (p->id == UA_POLICY_NONE)
        return read_sequence(t, o, o->rest);
    EVP_PKEY *own = t->c->config.own->key;
    size_t sign = ua_rsa_bytes(peer->key), n = 0, pad;
    if (o->rest.len > CIPHER_BYTES_MAX)
        return channel_fail(t, UA_BAD_TCP_MESSAGE_TOO_LARGE, UA_BAD_TCP_MESSAGE_TOO_LARGE,
                            "OpenSecureChannel has %zu encrypted bytes, at most %d are taken", o->rest.len,
                            CIPHER_BYTES_MAX);
    o->plain_bytes = o->rest.len;
    o->plain = mem_alloc(o->rest.len);
    if (!o->plain)
        return channel_no_memory(t);
    /* A block that is bad does not end it earlier: the signature is computed all the same. */
    bool whole = ua_rsa_decrypt(p, own, o->rest, o->plain, &n);
    if (n < SEQUENCE_HEAD + 1 + sign)
        return not_good(t);
    bool signature = ua_rsa_verify(p, peer->key, o->head, bytes_of(o->plain, n - sign),
                                   bytes_of(o->plain + n - sign, sign));
    if (!(whole & signature) || (pad = padding(o->plain, n - sign, ua_rsa_bytes(own) > 256)) == 0)
        return not_good(t);
    return read_sequence(t, o, bytes_of(o->plain, n - sign - pad));
}

void asym_clear(struct open_chunk *o)
{
    if (o->plain)
        OPENSSL_cleanse(o->plain, o->plain_bytes);
    mem_free(o->plain);
    o->plain = NULL;
}

/* ---- writing ---- */

static void string_to(struct buf *out, struct bytes s)
{
    buf_le32(out, s.len ? (uint32_t)s.len : UINT32_MAX);
    buf_add_bytes(out, s);
}

/* With our issuers, if the peer takes them: it cannot come in several chunks. */
static struct bytes our_certificate(const struct ua_channel *c)
{
    const struct ua_certificate *own = c->config.own->certificate;
    return own->der.len + PLAIN_BYTES <= c->send_bytes ? own->der : own->leaf;
}

static void write_head(struct ua_channel *c, struct buf *out, const struct ua_policy *p,
                       const struct ua_certificate *peer)
{
    buf_add(out, "OPNF", 4);
    buf_le32(out, 0); /* patched when it is known */
    buf_le32(out, c->id);
    string_to(out, bytes_str(p->uri));
    string_to(out, peer ? our_certificate(c) : BYTES_NONE);
    string_to(out, peer ? bytes_of(peer->thumbprint, sizeof peer->thumbprint) : BYTES_NONE);
}

static void patch_size(struct buf *out, size_t start, size_t size)
{
    uint8_t *at = out->at + out->from + start + 4;
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(size >> (8 * i));
}

/* Fills up to whole blocks for the peer, the signature counted in. */
static void pad(struct buf *plain, const struct ua_policy *p, const EVP_PKEY *own, const EVP_PKEY *peer)
{
    bool wide = ua_rsa_bytes(peer) > 256;
    size_t block = ua_rsa_plain_block(p, peer), sign = ua_rsa_bytes(own);
    size_t over = (buf_size(plain) + 1 + wide + sign) % block, n = over ? block - over : 0;
    for (size_t i = 0; i <= n; i++)
        buf_u8(plain, (uint8_t)n);
    if (wide)
        buf_u8(plain, (uint8_t)(n >> 8));
}

static bool protect(struct ua_channel *c, struct buf *out, size_t start, struct buf *plain,
                    const struct ua_policy *p, EVP_PKEY *peer)
{
    EVP_PKEY *own = c->config.own->key;
    pad(plain, p, own, peer);
    size_t signed_bytes = buf_size(plain), head = buf_size(out) - start;
    uint8_t *signature = buf_grow(plain, ua_rsa_bytes(own));
    size_t cipher = signature ? ua_rsa_cipher_bytes(p, peer, buf_size(plain)) : 0;
    uint8_t *to = signature ? buf_grow(out, cipher) : NULL;
    if (!to)
        return false;
    patch_size(out, start, head + cipher);
    const uint8_t *begin = out->at + out->from + start;
    return ua_rsa_sign(p, own, bytes_of(begin, head), bytes_of(plain->at + plain->from, signed_bytes),
                       signature) &&
           ua_rsa_encrypt(p, peer, buf_bytes(plain), to);
}

bool asym_write(struct ua_channel *c, struct buf *out, uint32_t request_id, const struct ua_policy *p,
                struct ua_certificate *peer, const struct ua_struct *type, const void *message)
{
    struct buf plain = {0};
    size_t start = buf_size(out);
    bool secured = p->id != UA_POLICY_NONE;
    write_head(c, out, p, secured ? peer : NULL);
    (void)buf_room(&plain, PLAIN_BYTES); /* at once: a buffer that grows leaves copies behind */
    buf_le32(&plain, channel_next_sequence(c));
    buf_le32(&plain, request_id);
    ua_write_message(&plain, type, message);
    bool ok = !plain.bad && !out->bad;
    if (ok && secured)
        ok = protect(c, out, start, &plain, p, peer->key);
    else if (ok)
        buf_add_bytes(out, buf_bytes(&plain));
    ok = ok && !out->bad && buf_size(out) - start <= c->send_bytes;
    if (ok)
        patch_size(out, start, buf_size(out) - start);
    else
        out->len = out->from + start;
    ua_secret_clear(&plain); /* a nonce is in it */
    return ok;
}
