#include "uaserver/ns0.h"

#include "opcua/ids.h"
#include "opcua/services.h"
#include "opcua/status.h"
#include "uaserver/ns0_table.h"

/* Names stand one behind the other in one object, so that the table holds places and no pointers: a pointer would have to be
 * corrected when the program is loaded, and the page be copied for it. */
struct names {
#define N(id, class, text, parent, reference, type, data_type, rank, flags) char n##id[sizeof text];
    NS0_NODES(N)
#undef N
#define I(id, text) char i##id[sizeof text];
    NS0_INVERSE_NAMES(I)
#undef I
};
static const struct names names = {
#define N(id, class, text, parent, reference, type, data_type, rank, flags) text,
    NS0_NODES(N)
#undef N
#define I(id, text) text,
    NS0_INVERSE_NAMES(I)
#undef I
};

/* The words of the table. */
enum reference { NONE = 0, ORGANIZES = 35, ENCODING = 38, SUBTYPE = 45, PROPERTY = 46, COMPONENT = 47, ORDERED = 49 };
enum flag {
    ABSTRACT = NS0_ABSTRACT,
    SYMMETRIC = NS0_SYMMETRIC,
    MANDATORY = 1 << 2,
    OPTIONAL = 2 << 2,
    EXPOSES_ITS_ARRAY = 3 << 2,
    OPTIONAL_PLACEHOLDER = 4 << 2,
    MANDATORY_PLACEHOLDER = 5 << 2,
};

const struct ns0_node ns0_nodes[] = {
#define N(id, class, text, parent, reference, type, data_type, rank, flags) \
    { id, offsetof(struct names, n##id), parent, type, data_type, UA_CLASS_##class, reference, rank, flags },
    NS0_NODES(N)
#undef N
};
const size_t ns0_count = sizeof ns0_nodes / sizeof *ns0_nodes;

static const struct {
    uint16_t id, name;
} inverse_names[] = {
#define I(id, text) { id, offsetof(struct names, i##id) },
    NS0_INVERSE_NAMES(I)
#undef I
};

const struct ns0_node *ns0_find(uint32_t id)
{
    size_t low = 0, high = ns0_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (ns0_nodes[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < ns0_count && ns0_nodes[low].id == id ? &ns0_nodes[low] : NULL;
}

const char *ns0_name(const struct ns0_node *n)
{
    return (const char *)&names + n->name;
}

const char *ns0_inverse_name(uint32_t reference_type)
{
    for (size_t i = 0; i < sizeof inverse_names / sizeof *inverse_names; i++)
        if (inverse_names[i].id == reference_type)
            return (const char *)&names + inverse_names[i].name;
    return NULL;
}

uint32_t ns0_rule(const struct ns0_node *n)
{
    static const uint16_t rules[] = { 0, UA_ID_MODELLING_RULE_MANDATORY, 80, 83, 11508, 11510 };
    return rules[(n->flags & NS0_RULE) >> 2];
}

bool ns0_is_subtype(uint32_t type, uint32_t of)
{
    while (type != of) {
        const struct ns0_node *n = ns0_find(type);
        if (!n || n->reference != SUBTYPE)
            return false;
        type = n->parent;
    }
    return true;
}

enum ua_builtin ns0_builtin(uint32_t data_type)
{
    for (const struct ns0_node *n = ns0_find(data_type); n; n = ns0_find(n->parent)) {
        if (n->node_class != UA_CLASS_DATA_TYPE)
            return UA_NULL;
        if (n->id == UA_ID_ENUMERATION)
            return UA_INT32;
        if (n->id == UA_ID_BASE_DATA_TYPE || (n->id >= UA_ID_NUMBER_TYPE && n->id <= UA_ID_U_INTEGER))
            return UA_VARIANT;
        if (n->id < UA_BUILTIN_COUNT)
            return (enum ua_builtin)n->id;
    }
    return UA_NULL;
}
