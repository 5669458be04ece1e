#include "broker/owner.h"

#include "base/limits_use.h"
#include "base/mem.h"
#include "identity/principal.h"

bool owner_counted(struct bytes principal, enum owned what)
{
    enum principal_kind kind;
    struct bytes id;
    if (!principal_parse(principal, &kind, &id) || kind == PRINCIPAL_ANONYMOUS)
        return false;
    return what == OWNED_RETAINED || kind == PRINCIPAL_DEVICE || kind == PRINCIPAL_MODULE;
}

uint64_t owner_has(const struct owners *all, struct bytes principal, enum owned what)
{
    const struct owner *o = table_get(&all->by_text, principal);
    return o ? o->count[what] : 0;
}

struct owner *owner_get(struct owners *all, struct bytes principal)
{
    struct owner *o = table_get(&all->by_text, principal);
    if (o)
        return o;
    o = mem_zalloc(1, sizeof *o + principal.len);
    if (!o)
        return NULL;
    o->len = (uint32_t)principal.len;
    memcpy(o->text, principal.at, principal.len);
    if (table_put(&all->by_text, owner_text(o), o) == CODE_OK)
        return o;
    mem_free(o);
    return NULL;
}

void owner_gains(struct owner *o, enum owned what)
{
    static const enum limit_name names[OWNED_END] = { [OWNED_SESSIONS] = LIMIT_SESSIONS_PER_IDENTITY,
                                                      [OWNED_CONNECTIONS] = LIMIT_CONNECTIONS_PER_IDENTITY,
                                                      [OWNED_RETAINED] = LIMIT_RETAINED_PER_IDENTITY };
    limits_saw(names[what], ++o->count[what]);
}

void owner_forget(struct owners *all, struct owner *o)
{
    for (int i = 0; i < OWNED_END; i++)
        if (o->count[i])
            return;
    (void)table_remove(&all->by_text, owner_text(o));
    mem_free(o);
}

void owner_loses(struct owners *all, struct owner *o, enum owned what)
{
    FG_ASSERT(o->count[what]);
    o->count[what]--;
    owner_forget(all, o);
}

void owners_clear(struct owners *all)
{
    size_t cursor = 0;
    for (struct owner *o; (o = table_next(&all->by_text, &cursor));)
        mem_free(o);
    table_clear(&all->by_text);
}
