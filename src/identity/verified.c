#include "identity/verified.h"

#include "base/mem.h"

void verified_init(struct verified *v, const struct io *io)
{
    *v = (struct verified){ .at = NULL };
    io->random(io->self, v->key, sizeof v->key);
    (void)pthread_mutex_init(&v->lock, NULL);
}

void verified_clear(struct verified *v)
{
    crypto_wipe(v->key, sizeof v->key);
    mem_free(v->at);
    (void)pthread_mutex_destroy(&v->lock);
}

bool verified_digest(struct verified *v, struct bytes name, struct bytes password, const struct password_record *record,
                     uint8_t out[SHA256_BYTES])
{
    struct buf text = { 0 };
    (void)buf_room(&text, name.len + password.len + sizeof *record + 8); /* no copy of it stays behind in a smaller one */
    buf_le_blob(&text, name);
    buf_le_blob(&text, password);
    buf_add(&text, record, sizeof *record);
    bool ok = !text.bad && crypto_hmac_sha256(bytes_of(v->key, sizeof v->key), buf_bytes(&text), out);
    crypto_wipe(text.at, text.len);
    buf_clear(&text);
    return ok;
}

/* The digest is an HMAC: its own bits spread it. */
static struct verified_entry *set_of(const struct verified *v, const uint8_t digest[SHA256_BYTES])
{
    uint32_t h;
    memcpy(&h, digest, sizeof h);
    return v->at + h % (VERIFIED_MAX / VERIFIED_WAYS) * VERIFIED_WAYS;
}

bool verified_has(struct verified *v, const uint8_t digest[SHA256_BYTES], int64_t now)
{
    bool has = false;
    (void)pthread_mutex_lock(&v->lock);
    struct verified_entry *set = v->at ? set_of(v, digest) : NULL;
    for (int i = 0; set && i < VERIFIED_WAYS; i++)
        has |= set[i].until_us > now && crypto_equal(set[i].digest, digest);
    (void)pthread_mutex_unlock(&v->lock);
    return has;
}

void verified_add(struct verified *v, const uint8_t digest[SHA256_BYTES], int64_t now)
{
    (void)pthread_mutex_lock(&v->lock);
    if (!v->at)
        v->at = mem_zalloc(VERIFIED_MAX, sizeof *v->at);
    struct verified_entry *set = v->at ? set_of(v, digest) : NULL, *oldest = set;
    for (int i = 0; set && i < VERIFIED_WAYS; i++) {
        if (set[i].until_us < oldest->until_us)
            oldest = &set[i];
        if (set[i].until_us && crypto_equal(set[i].digest, digest)) {
            oldest = &set[i];
            break;
        }
    }
    if (oldest) {
        oldest->until_us = now + VERIFIED_US;
        memcpy(oldest->digest, digest, SHA256_BYTES);
    }
    (void)pthread_mutex_unlock(&v->lock);
}
