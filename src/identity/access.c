#include "identity/access.h"

#include "base/mem.h"

struct access *access_new(struct users *users, struct rules *rules)
{
    struct access *a = mem_zalloc(1, sizeof *a);
    if (!a) {
        users_free(users);
        return NULL;
    }
    atomic_init(&a->refs, 1);
    a->users = users;
    a->rules = rules;
    return a;
}

void access_drop(struct access *a)
{
    if (!a || atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) != 1)
        return;
    users_free(a->users);
    mem_free(a);
}

bool access_still(const struct access *a, const struct principal *p)
{
    uint8_t record[SHA256_BYTES];
    if (p->proof != PROOF_PASSWORD && p->proof != PROOF_SCRAM)
        return true;
    const struct user *user = users_find(a->users, p->id);
    bool has = user && (p->proof == PROOF_PASSWORD ? user->has_password : user->has_scram);
    return has && principal_record(user, (enum principal_proof)p->proof, record) && crypto_equal(record, p->record);
}
