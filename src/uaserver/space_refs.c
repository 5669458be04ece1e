/* References: both ways, types by them, removal. */
#include "uaserver/space_private.h"

#include "base/mem.h"

enum { TYPE_DEPTH = 64 };

bool space_ref(struct ua_node *from, uint32_t type, struct ua_node *to, bool inverse)
{
    if (from->ref_count == from->ref_room) {
        uint32_t room = from->ref_room ? 2 * from->ref_room : 4;
        struct ua_ref *refs = mem_realloc(from->refs, room * sizeof *refs);
        if (!refs)
            return false;
        from->refs = refs;
        from->ref_room = room;
    }
    from->refs[from->ref_count++] = (struct ua_ref){ to, type, inverse };
    return true;
}

/* Keeps the order of the others: it is what people browse. */
static void drop_ref(struct ua_node *from, uint32_t type, const struct ua_node *to, bool inverse)
{
    for (uint32_t i = 0; i < from->ref_count; i++) {
        struct ua_ref *r = &from->refs[i];
        if (r->to != to || r->type != type || r->inverse != inverse)
            continue;
        memmove(r, r + 1, (from->ref_count - i - 1) * sizeof *r);
        from->ref_count--;
        return;
    }
}

/* Its target does not know of it. */
static bool one_way(uint32_t type)
{
    return type == UA_ID_HAS_TYPE_DEFINITION || type == UA_ID_HAS_MODELLING_RULE;
}

enum code ua_refer(struct ua_space *s, struct ua_node *from, uint32_t type, struct ua_node *to, struct fault *why)
{
    (void)s;
    if (!space_ref(from, type, to, false))
        return FAIL(why, CODE_NOMEM, 0, "no memory for a reference");
    if (one_way(type)) {
        to->held++;
    } else if (!space_ref(to, type, from, true)) {
        from->ref_count--;
        return FAIL(why, CODE_NOMEM, 0, "no memory for a reference");
    }
    return CODE_OK;
}

/* ---- removal ---- */

static bool part_of(uint32_t type)
{
    return type == UA_ID_HAS_COMPONENT || type == UA_ID_HAS_PROPERTY || type == UA_ID_HAS_ORDERED_COMPONENT;
}

/* Nothing else that stays has it below itself. */
static bool only_here(const struct ua_node *child, const struct ua_node *parent)
{
    for (uint32_t i = 0; i < child->ref_count; i++) {
        const struct ua_ref *r = &child->refs[i];
        if (r->inverse && r->to != parent && !r->to->dying && (part_of(r->type) || r->type == UA_ID_ORGANIZES))
            return false;
    }
    return true;
}

static void loosen(struct ua_node *n)
{
    while (n->ref_count) {
        struct ua_ref r = n->refs[n->ref_count - 1];
        n->ref_count--;
        if (!r.inverse && one_way(r.type))
            r.to->held--;
        else if (r.to != n)
            drop_ref(r.to, r.type, n, !r.inverse);
    }
}

void ua_remove(struct ua_space *s, struct ua_node *n)
{
    FG_ASSERT(!n->held); /* instances of a type would point to nothing */
    n->dying = true;
    for (uint32_t i = 0; i < n->ref_count;) {
        struct ua_ref r = n->refs[i];
        if (!r.inverse && part_of(r.type) && !r.to->dying && !r.to->held && only_here(r.to, n))
            ua_remove(s, r.to); /* takes its reference out of ours */
        else
            i++;
    }
    loosen(n);
    space_take(s, n);
    space_free_node(n);
}

/* ---- looking ---- */

struct ua_node *ua_follow(const struct ua_node *n, uint32_t type, bool inverse)
{
    for (uint32_t i = 0; i < n->ref_count; i++)
        if (n->refs[i].type == type && n->refs[i].inverse == inverse)
            return n->refs[i].to;
    return NULL;
}

struct ua_node *ua_child(const struct ua_node *n, uint16_t ns, struct bytes name)
{
    for (uint32_t i = 0; i < n->ref_count; i++) {
        struct ua_node *to = n->refs[i].to;
        if (!n->refs[i].inverse && part_of(n->refs[i].type) && to->browse_ns == ns && bytes_equal(to->browse_name, name))
            return to;
    }
    return NULL;
}

bool ua_is_subtype(const struct ua_space *s, const struct ua_node_id *type, const struct ua_node_id *of)
{
    if (ua_node_id_equal(type, of))
        return true;
    const struct ua_node *n = ua_find(s, type);
    for (int depth = 0; n && depth < TYPE_DEPTH; depth++) {
        n = ua_follow(n, UA_ID_HAS_SUBTYPE, true);
        if (n && ua_node_id_equal(&n->id, of))
            return true;
    }
    return false;
}

/* Of the types that need no looking up; -1: it has to be. */
static int standard_builtin(const struct ua_node_id *id)
{
    if (id->ns || id->kind != UA_ID_NUMBER)
        return -1;
    switch (id->number) {
    case UA_ID_BASE_DATA_TYPE:
    case UA_ID_NUMBER_TYPE:
    case UA_ID_INTEGER:
    case UA_ID_U_INTEGER: return UA_NULL;
    case UA_ID_ENUMERATION: return UA_INT32;
    default: return id->number && id->number < UA_BUILTIN_COUNT ? (int)id->number : -1; /* the numbers are the same */
    }
}

unsigned ua_builtin_of(const struct ua_space *s, const struct ua_node_id *data_type)
{
    int known = standard_builtin(data_type);
    const struct ua_node *n = known < 0 ? ua_find(s, data_type) : NULL;
    for (int depth = 0; known < 0 && n && depth < TYPE_DEPTH; depth++) {
        n = ua_follow(n, UA_ID_HAS_SUBTYPE, true);
        if (n)
            known = standard_builtin(&n->id);
    }
    return known < 0 ? UA_NULL : (unsigned)known;
}
