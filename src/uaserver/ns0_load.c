/* The table becomes nodes of an address space. */
#include "uaserver/ns0.h"
#include "uaserver/space_private.h"

#include "base/mem.h"

enum { CONSTANT_BYTES = 64 * 1024 };

/* Of what the table says alone nothing is kept: it is made when somebody asks. */
static ua_status read_constant(void *ctx, struct ua_variable *v, struct ua_value *out)
{
    struct arena a;
    struct ua_variant value;
    arena_init(&a, NULL, 0, CONSTANT_BYTES);
    ua_status status = ns0_constant(ns0_find(v->node.id.number), &a, &value);
    if (!status && value.type != UA_NULL && !ua_value_set(out, &value))
        status = UA_BAD_OUT_OF_MEMORY;
    arena_clear(&a);
    out->source_time = out->server_time = ua_space_now(ctx);
    return status;
}

static size_t size_of(uint8_t node_class)
{
    if (node_class & (UA_CLASS_VARIABLE | UA_CLASS_VARIABLE_TYPE))
        return sizeof(struct ua_variable);
    return node_class == UA_CLASS_METHOD ? sizeof(struct ua_method) : sizeof(struct ua_node);
}

static void fill_variable(struct ua_space *s, struct ua_variable *v, const struct ns0_node *n)
{
    static const struct ua_variable_ops constant = { .read = read_constant };
    enum ua_builtin builtin = ns0_builtin(n->data_type);
    v->data_type = UA_NS0(n->data_type);
    v->builtin = builtin == UA_VARIANT ? 0 : (uint8_t)builtin;
    v->access = UA_ACCESS_READ;
    v->rank = n->rank;
    if (n->node_class == UA_CLASS_VARIABLE) {
        v->ops = &constant;
        v->ctx = s;
    }
}

static struct ua_node *make(struct ua_space *s, const struct ns0_node *n)
{
    struct ua_node *node = mem_zalloc(1, size_of(n->node_class));
    if (!node)
        return NULL;
    const char *inverse = n->node_class == UA_CLASS_REFERENCE_TYPE ? ns0_inverse_name(n->id) : NULL;
    node->id = UA_NS0(n->id);
    node->node_class = n->node_class;
    node->is_abstract = n->flags & NS0_ABSTRACT;
    node->symmetric = (n->flags & NS0_SYMMETRIC) != 0;
    node->notifier = n->id == UA_ID_SERVER;
    node->browse_name = node->display_name = bytes_str(ns0_name(n));
    node->inverse_name = inverse ? bytes_str(inverse) : BYTES_NONE;
    struct ua_variable *v = ua_as_variable(node);
    if (v)
        fill_variable(s, v, n);
    if (space_put(s, node))
        return node;
    space_free_node(node);
    return NULL;
}

static enum code refer(struct ua_space *s, const struct ns0_node *n, struct fault *why)
{
    struct ua_node *node = ua_find0(s, n->id);
    enum code c = CODE_OK;
    if (n->type)
        c = ua_refer(s, node, UA_ID_HAS_TYPE_DEFINITION, ua_find0(s, n->type), why);
    if (!c && ns0_rule(n))
        c = ua_refer(s, node, UA_ID_HAS_MODELLING_RULE, ua_find0(s, ns0_rule(n)), why);
    if (!c && n->parent)
        c = ua_refer(s, ua_find0(s, n->parent), n->reference, node, why);
    return c;
}

enum code ns0_load(struct ua_space *s, struct fault *why)
{
    for (size_t i = 0; i < ns0_count; i++)
        if (!make(s, &ns0_nodes[i]))
            return FAIL(why, CODE_NOMEM, 0, "no memory for the nodes of namespace 0");
    for (size_t i = 0; i < ns0_count; i++) {
        enum code c = refer(s, &ns0_nodes[i], why);
        if (c)
            return c;
    }
    return CODE_OK;
}
