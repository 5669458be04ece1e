#include "identity/principal.h"

#include "base/mem.h"

static const char *const kinds[] = { [PRINCIPAL_ANONYMOUS] = "anonymous", [PRINCIPAL_USER] = "user:", [PRINCIPAL_DEVICE] = "device:",
                                     [PRINCIPAL_MODULE] = "module:", [PRINCIPAL_SERVICE] = "service:" };

static uint8_t *put(uint8_t *to, struct bytes b, struct bytes *view)
{
    if (b.len)
        memcpy(to, b.at, b.len);
    *view = bytes_of(to, b.len);
    return to + b.len;
}

static struct principal *make(enum principal_kind kind, struct bytes id)
{
    struct bytes prefix = bytes_str(kinds[kind]);
    struct principal *p = mem_zalloc(1, sizeof *p + prefix.len + id.len);
    if (!p)
        return NULL;
    atomic_init(&p->refs, 1);
    p->kind = (uint8_t)kind;
    p->valid_until_us = INT64_MAX;
    (void)put(put((uint8_t *)(p + 1), prefix, &p->text), id, &p->id);
    p->text.len += id.len;
    return p;
}

/* There may be a hundred thousand of them, and they are all the same: the count never falls to 0. */
#define NOBODY(here)                                                                                         \
    {                                                                                                        \
        .refs = 1, .kind = PRINCIPAL_ANONYMOUS, .loopback = (here), .valid_until_us = INT64_MAX,             \
        .text = { (const uint8_t *)"anonymous", 9 }, .id = { (const uint8_t *)"", 0 }                        \
    }
static struct principal nobody[] = { NOBODY(false), NOBODY(true) };

struct principal *principal_anonymous(bool loopback)
{
    return principal_hold(&nobody[loopback]);
}

struct principal *principal_user(struct bytes id, const struct user *user, enum principal_proof proof, bool loopback)
{
    struct principal *p = make(PRINCIPAL_USER, id);
    if (!p)
        return NULL;
    p->proof = (uint8_t)proof;
    p->loopback = loopback;
    if (user && !principal_record(user, proof, p->record)) {
        principal_drop(p);
        return NULL;
    }
    return p;
}

#ifdef FG_TEST
struct principal *principal_of_kind(enum principal_kind kind, struct bytes id)
{
    return make(kind, id);
}
#endif

void principal_drop(struct principal *p)
{
    if (p && atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) == 1)
        mem_free(p);
}

bool principal_record(const struct user *user, enum principal_proof proof, uint8_t out[SHA256_BYTES])
{
    memset(out, 0, SHA256_BYTES);
    if (proof == PROOF_PASSWORD && user->has_password)
        return crypto_sha256(bytes_of(&user->password, sizeof user->password), out);
    if (proof == PROOF_SCRAM && user->has_scram)
        return crypto_sha256(bytes_of(&user->scram, offsetof(struct scram_record, server_key) + SHA256_BYTES), out);
    return true;
}

bool principal_parse(struct bytes text, enum principal_kind *kind, struct bytes *id)
{
    if (bytes_is(text, "anonymous")) {
        *kind = PRINCIPAL_ANONYMOUS;
        *id = BYTES_NONE;
        return true;
    }
    for (int k = PRINCIPAL_USER; k <= PRINCIPAL_SERVICE; k++)
        if (bytes_starts(text, kinds[k])) {
            *kind = (enum principal_kind)k;
            *id = bytes_from(text, strlen(kinds[k]));
            return true;
        }
    return false;
}
