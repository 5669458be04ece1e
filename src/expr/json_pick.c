#include "expr/json_reader.h"

enum pick_seen { SEEN_NOT, SEEN_NEAR, SEEN_EXACTLY };

static void forget_below(struct pick *p, const struct plan_node *n)
{
    for (uint32_t i = n->child; i < n->end; i++)
        if (p->plan->node[i].slot >= 0)
            p->slots[p->plan->node[i].slot] = value_null();
}

/* From a value that was made whole. */
static void fill_below(struct pick *p, const struct plan_node *n, struct value v)
{
    for (uint32_t i = n->child; i < n->child + n->children; i++) {
        const struct plan_node *child = &p->plan->node[i];
        struct value field = value_field(v, child->name);
        if (child->slot >= 0)
            p->slots[child->slot] = field;
        fill_below(p, child, field);
    }
}

static bool pick_whole(struct walk *w, struct pick *p, const struct plan_node *n)
{
    struct value v;
    if (!build_value(w, &v))
        return false;
    if (n->slot >= 0)
        p->slots[n->slot] = v;
    fill_below(p, n, v);
    return true;
}

/* Of names in another case the last is taken, unless it comes exactly. */
static bool is_near_wanted(struct pick *p, uint32_t node)
{
    if (p->seen[node] == SEEN_EXACTLY)
        return false;
    p->seen[node] = SEEN_NEAR;
    return true;
}

/* Eight bytes can be read at `name`: behind one in the text there is padding, and others lie in an arena, whose pieces are 16. */
static inline const struct plan_node *find(struct pick *p, const struct plan_node *n, struct bytes name)
{
    uint64_t word;
    memcpy(&word, name.at, 8);
    /* Most fields of a message are wanted by nobody. An empty name begins with whatever lies behind it. */
    if (!(n->lengths >> (name.len & 63) & 1) || (!(n->letters >> (word & 31) & 1) && name.len))
        return NULL;
    for (uint32_t i = n->child; i < n->child + n->children; i++) {
        const struct plan_node *child = &p->plan->node[i];
        if (child->name.len != name.len || ((word | PLAN_FOLD) & child->mask) != child->begin)
            continue;
        if ((word & child->mask) == child->first &&
            (name.len <= 8 || memcmp(child->name.at + 8, name.at + 8, name.len - 8) == 0)) {
            p->seen[i] = SEEN_EXACTLY;
            return child;
        }
        if (plan_near(child->name, name))
            return is_near_wanted(p, i) ? child : NULL;
    }
    return NULL;
}

static bool pick_record(struct walk *w, struct pick *p, const struct plan_node *n);

static bool pick_value(struct walk *w, struct pick *p, const struct plan_node *n)
{
    if (n->slot >= 0 && n->children == 0)
        return build_value(w, &p->slots[n->slot]);
    if (n->slot >= 0 || n->ambiguous)
        return pick_whole(w, p, n);
    forget_below(p, n);
    return walk_at(w) == '{' ? pick_record(w, p, n) : walk_skip(w);
}

static bool pick_field(struct walk *w, struct pick *p, const struct plan_node *n)
{
    struct bytes name;
    if (!walk_name(w, &name) || (w->escapes && !build_text(w, name, &name)))
        return false;
    const struct plan_node *child = find(p, n, name);
    return child ? pick_value(w, p, child) : walk_skip(w);
}

static bool pick_record(struct walk *w, struct pick *p, const struct plan_node *n)
{
    bool more = true;
    if (n->children)
        memset(p->seen + n->child, SEEN_NOT, n->children);
    if (!walk_enter(w))
        return false;
    if (walk_at(w) == '}')
        return walk_more(w, '}', &more);
    while (more)
        if (!pick_field(w, p, n) || !walk_more(w, '}', &more))
            return false;
    return true;
}

bool pick_event(struct walk *w, struct pick *p)
{
    const struct json_plan *plan = p->plan;
    const struct plan_node *root = &plan->node[0];
    if (root->slot >= 0 || root->ambiguous) {
        if (!pick_whole(w, p, root))
            return false;
    } else {
        for (uint32_t i = 0; i < plan->slots; i++)
            p->slots[i] = value_null();
        if (!pick_record(w, p, root))
            return false;
    }
    for (uint32_t i = 0; plan->copies && i < plan->slots; i++)
        p->slots[i] = p->slots[plan->same_as[i]];
    return true;
}
