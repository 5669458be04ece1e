#include "expr/json_plan.h"

#include "base/mem.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "masks of names count from the low byte");

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

bool plan_near(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

/* Paths of which all have the same beginning of `depth` parts become the node `n` and what is below it. */
struct group {
    struct json_plan *plan;
    const struct json_path *paths;
    uint32_t *members; /* of the paths, in order; the groups of the children are parts of it */
};

static bool same_part(const struct group *g, uint32_t a, uint32_t b, uint32_t depth)
{
    return bytes_equal(g->paths[a].parts[depth], g->paths[b].parts[depth]);
}

/* Brings members with the same part at `depth` together, in the order of their first mention. */
static uint32_t gather(const struct group *g, uint32_t from, uint32_t to, uint32_t depth)
{
    uint32_t kinds = 0;
    for (uint32_t i = from; i < to; kinds++) {
        uint32_t end = i + 1;
        for (uint32_t k = end; k < to; k++)
            if (same_part(g, g->members[i], g->members[k], depth)) {
                uint32_t moved = g->members[k];
                memmove(&g->members[end + 1], &g->members[end], (k - end) * sizeof moved);
                g->members[end++] = moved;
            }
        i = end;
    }
    return kinds;
}

static void name_node(struct plan_node *n, struct bytes name)
{
    n->name = name;
    n->mask = name.len >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * name.len)) - 1;
    if (name.len)
        memcpy(&n->first, name.at, name.len < 8 ? name.len : 8);
    n->begin = (n->first | PLAN_FOLD) & n->mask;
}

static void grow(struct group *g, uint32_t at, uint32_t from, uint32_t to, uint32_t depth)
{
    struct plan_node *n = &g->plan->node[at];
    n->slot = -1;
    uint32_t keep = from;
    for (uint32_t i = from; i < to; i++) { /* those that end here */
        uint32_t path = g->members[i];
        if (g->paths[path].count > depth) {
            g->members[keep++] = path;
            continue;
        }
        if (n->slot < 0)
            n->slot = (int32_t)path;
        g->plan->same_as[path] = (uint32_t)n->slot;
        g->plan->copies |= n->slot != (int32_t)path;
    }
    to = keep;
    n->children = gather(g, from, to, depth);
    n->child = g->plan->nodes;
    g->plan->nodes += n->children;
    uint32_t child = n->child;
    for (uint32_t i = from; i < to; child++) {
        uint32_t end = i + 1;
        while (end < to && same_part(g, g->members[i], g->members[end], depth))
            end++;
        name_node(&g->plan->node[child], g->paths[g->members[i]].parts[depth]);
        n->lengths |= UINT64_C(1) << (g->plan->node[child].name.len & 63);
        n->letters |= UINT32_C(1) << (g->plan->node[child].first & 31);
        for (uint32_t k = n->child; k < child; k++)
            n->ambiguous |= plan_near(g->plan->node[k].name, g->plan->node[child].name);
        grow(g, child, i, end, depth + 1);
        i = end;
    }
    n->end = g->plan->nodes;
}

/* The caller's names in memory of the plan's own, behind the nodes. */
static void own_names(struct json_plan *p, uint8_t *at)
{
    for (uint32_t i = 1; i < p->nodes; i++) {
        struct bytes *name = &p->node[i].name;
        if (name->len)
            memcpy(at, name->at, name->len);
        name->at = at;
        at += name->len;
    }
}

struct json_plan *json_plan_new(const struct json_path *paths, uint32_t count)
{
    size_t nodes = 1, names = 0;
    for (uint32_t i = 0; i < count; i++) {
        nodes += paths[i].count;
        for (uint32_t k = 0; k < paths[i].count; k++)
            names += paths[i].parts[k].len;
    }
    struct json_plan *p = mem_zalloc(1, sizeof *p + nodes * sizeof *p->node + 2 * count * sizeof *p->same_as +
                                            names);
    if (!p)
        return NULL;
    p->node = (struct plan_node *)(void *)(p + 1);
    p->same_as = (uint32_t *)(void *)(p->node + nodes);
    struct group g = {p, paths, p->same_as + count};
    for (uint32_t i = 0; i < count; i++)
        g.members[i] = i;
    p->nodes = 1;
    p->slots = count;
    grow(&g, 0, 0, count, 0);
    own_names(p, (uint8_t *)(p->same_as + 2 * count));
    return p;
}

void json_plan_free(struct json_plan *p)
{
    mem_free(p);
}
