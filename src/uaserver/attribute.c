/* Reading any attribute of any node. */
#include "uaserver/ns0.h"
#include "uaserver/space_private.h"

enum { SCRATCH = 4096, VALUE_BYTES = 16 * 1024 * 1024, DEFINITION_BYTES = 64 * 1024 };

#define BIT(attribute) (1u << (attribute))
enum {
    COMMON = BIT(UA_ATTR_NODE_ID) | BIT(UA_ATTR_NODE_CLASS) | BIT(UA_ATTR_BROWSE_NAME) | BIT(UA_ATTR_DISPLAY_NAME) |
             BIT(UA_ATTR_DESCRIPTION) | BIT(UA_ATTR_WRITE_MASK) | BIT(UA_ATTR_USER_WRITE_MASK),
    TYPED = BIT(UA_ATTR_VALUE) | BIT(UA_ATTR_DATA_TYPE) | BIT(UA_ATTR_VALUE_RANK) | BIT(UA_ATTR_ARRAY_DIMENSIONS)
};

static uint32_t attributes_of(uint8_t node_class)
{
    switch (node_class) {
    case UA_CLASS_OBJECT: return COMMON | BIT(UA_ATTR_EVENT_NOTIFIER);
    case UA_CLASS_VARIABLE:
        return COMMON | TYPED | BIT(UA_ATTR_ACCESS_LEVEL) | BIT(UA_ATTR_USER_ACCESS_LEVEL) |
               BIT(UA_ATTR_MINIMUM_SAMPLING_INTERVAL) | BIT(UA_ATTR_HISTORIZING) | BIT(UA_ATTR_ACCESS_LEVEL_EX);
    case UA_CLASS_METHOD: return COMMON | BIT(UA_ATTR_EXECUTABLE) | BIT(UA_ATTR_USER_EXECUTABLE);
    case UA_CLASS_OBJECT_TYPE: return COMMON | BIT(UA_ATTR_IS_ABSTRACT);
    case UA_CLASS_DATA_TYPE: return COMMON | BIT(UA_ATTR_IS_ABSTRACT) | BIT(UA_ATTR_DATA_TYPE_DEFINITION);
    case UA_CLASS_VARIABLE_TYPE: return COMMON | TYPED | BIT(UA_ATTR_IS_ABSTRACT);
    case UA_CLASS_REFERENCE_TYPE:
        return COMMON | BIT(UA_ATTR_IS_ABSTRACT) | BIT(UA_ATTR_SYMMETRIC) | BIT(UA_ATTR_INVERSE_NAME);
    case UA_CLASS_VIEW: return COMMON | BIT(UA_ATTR_CONTAINS_NO_LOOPS) | BIT(UA_ATTR_EVENT_NOTIFIER);
    default: return COMMON;
    }
}

bool ua_has_attribute(const struct ua_node *n, uint32_t attribute)
{
    if (attribute == 0 || attribute > UA_ATTR_ACCESS_LEVEL_EX || !(attributes_of(n->node_class) >> attribute & 1))
        return false;
    /* The optional ones, when there is nothing to tell. */
    if (attribute == UA_ATTR_INVERSE_NAME)
        return n->inverse_name.at != NULL;
    if (attribute == UA_ATTR_DATA_TYPE_DEFINITION)
        return n->id.ns == 0 && n->id.kind == UA_ID_NUMBER && ns0_has_definition(n->id.number);
    if (attribute == UA_ATTR_VALUE && n->node_class == UA_CLASS_VARIABLE_TYPE)
        return ((const struct ua_variable *)(const void *)n)->value.len != 0;
    return true;
}

static uint8_t user_access(const struct ua_variable *v, const struct ua_server_user *user)
{
    return user && user->may_write ? v->access : v->access & (uint8_t)~(UA_ACCESS_WRITE | UA_ACCESS_HISTORY_WRITE);
}

/* What the attribute lies in while it is encoded. */
struct holder {
    struct ua_qualified_name name;
    struct ua_localized_text text;
};

static void text_variant(struct ua_variant *v, struct holder *h, struct bytes text)
{
    h->text = (struct ua_localized_text){ .text = text };
    *v = (struct ua_variant){ .type = UA_LOCALIZED_TEXT, .at = &h->text };
}

/* Those of variables and variable types but the value. */
static void typed_attribute(struct ua_variable *n, const struct ua_server_user *user, uint32_t attribute, struct ua_variant *v)
{
    switch (attribute) {
    case UA_ATTR_DATA_TYPE: *v = (struct ua_variant){ .type = UA_NODE_ID, .at = &n->data_type }; break;
    case UA_ATTR_VALUE_RANK: *v = (struct ua_variant){ .type = UA_INT32, .i32 = n->rank }; break;
    case UA_ATTR_ARRAY_DIMENSIONS:
        *v = (struct ua_variant){ .type = UA_UINT32, .array = true, .count = n->dims_count, .at = n->dims };
        break;
    case UA_ATTR_ACCESS_LEVEL: *v = (struct ua_variant){ .type = UA_BYTE, .u8 = n->access }; break;
    case UA_ATTR_USER_ACCESS_LEVEL: *v = (struct ua_variant){ .type = UA_BYTE, .u8 = user_access(n, user) }; break;
    case UA_ATTR_MINIMUM_SAMPLING_INTERVAL: *v = (struct ua_variant){ .type = UA_DOUBLE, .f64 = n->sampling_ms }; break;
    case UA_ATTR_HISTORIZING: *v = (struct ua_variant){ .type = UA_BOOLEAN, .boolean = n->historizing }; break;
    default: *v = (struct ua_variant){ .type = UA_UINT32, .u32 = n->access }; break; /* AccessLevelEx */
    }
}

static void plain_attribute(struct ua_node *n, const struct ua_server_user *user, uint32_t attribute, struct holder *h,
                            struct ua_variant *v)
{
    const struct ua_method *m = ua_as_method(n);
    switch (attribute) {
    case UA_ATTR_NODE_ID: *v = (struct ua_variant){ .type = UA_NODE_ID, .at = &n->id }; break;
    case UA_ATTR_NODE_CLASS: *v = (struct ua_variant){ .type = UA_INT32, .i32 = n->node_class }; break;
    case UA_ATTR_BROWSE_NAME:
        h->name = (struct ua_qualified_name){ n->browse_ns, n->browse_name };
        *v = (struct ua_variant){ .type = UA_QUALIFIED_NAME, .at = &h->name };
        break;
    case UA_ATTR_DISPLAY_NAME: text_variant(v, h, n->display_name); break;
    case UA_ATTR_DESCRIPTION: text_variant(v, h, n->description); break;
    case UA_ATTR_INVERSE_NAME: text_variant(v, h, n->inverse_name); break;
    case UA_ATTR_WRITE_MASK:
    case UA_ATTR_USER_WRITE_MASK: *v = (struct ua_variant){ .type = UA_UINT32 }; break;
    case UA_ATTR_IS_ABSTRACT: *v = (struct ua_variant){ .type = UA_BOOLEAN, .boolean = n->is_abstract }; break;
    case UA_ATTR_SYMMETRIC: *v = (struct ua_variant){ .type = UA_BOOLEAN, .boolean = n->symmetric }; break;
    case UA_ATTR_CONTAINS_NO_LOOPS: *v = (struct ua_variant){ .type = UA_BOOLEAN, .boolean = true }; break;
    case UA_ATTR_EVENT_NOTIFIER: *v = (struct ua_variant){ .type = UA_BYTE, .u8 = n->notifier }; break;
    case UA_ATTR_EXECUTABLE: *v = (struct ua_variant){ .type = UA_BOOLEAN, .boolean = m && m->executable }; break;
    case UA_ATTR_USER_EXECUTABLE:
        *v = (struct ua_variant){ .type = UA_BOOLEAN, .boolean = m && m->executable && ua_may_call(user, m) };
        break;
    default: typed_attribute(ua_as_variable(n), user, attribute, v);
    }
}

/* Without a value. */
static void fail(struct ua_value *out, ua_status status)
{
    ua_value_drop(out);
    *out = (struct ua_value){ .status = status, .source_time = out->source_time, .server_time = out->server_time };
}

static void read_value(struct ua_space *s, struct ua_variable *v, struct ua_value *out)
{
    if (v->node.node_class == UA_CLASS_VARIABLE && !(v->access & UA_ACCESS_READ)) {
        fail(out, UA_BAD_NOT_READABLE);
        return;
    }
    if (!v->ops || !v->ops->read) {
        ua_value_copy(out, &v->value);
        out->server_time = ua_space_now(s);
        return;
    }
    ua_status status = v->ops->read(v->ctx, v, out);
    if (!out->server_time)
        out->server_time = ua_space_now(s);
    if (!out->source_time)
        out->source_time = out->server_time;
    if (status != UA_GOOD)
        fail(out, status);
}

/* Of a type of the standard: made of its table. */
static void read_definition(struct ua_space *s, const struct ua_node *n, struct ua_value *out)
{
    struct arena a;
    struct ua_variant v;
    arena_init(&a, NULL, 0, DEFINITION_BYTES);
    ua_status status = ns0_definition(n->id.number, &a, &v);
    if (status == UA_GOOD && !ua_value_set(out, &v))
        status = UA_BAD_OUT_OF_MEMORY;
    arena_clear(&a);
    out->status = status;
    out->server_time = ua_space_now(s);
}

static void cut(const struct ua_index_range *range, struct ua_value *v)
{
    _Alignas(16) uint8_t lent[SCRATCH];
    struct arena a;
    arena_init(&a, lent, sizeof lent, VALUE_BYTES);
    struct ua_variant whole, part;
    ua_status status = ua_value_read(v, &a, &whole) ? ua_range_take(range, &whole, &a, &part) : UA_BAD_OUT_OF_MEMORY;
    if (status == UA_GOOD && !ua_value_set(v, &part))
        status = UA_BAD_OUT_OF_MEMORY;
    if (status != UA_GOOD)
        fail(v, status);
    arena_clear(&a);
}

void ua_read_attribute(struct ua_space *s, const struct ua_server_user *user, struct ua_node *n, uint32_t attribute,
                       const struct ua_index_range *range, struct ua_value *out)
{
    *out = (struct ua_value){ 0 };
    if (!ua_has_attribute(n, attribute)) {
        out->status = UA_BAD_ATTRIBUTE_ID_INVALID;
        return;
    }
    if (attribute == UA_ATTR_VALUE) {
        read_value(s, ua_as_variable(n), out);
    } else if (attribute == UA_ATTR_DATA_TYPE_DEFINITION) {
        read_definition(s, n, out);
    } else {
        struct holder h;
        struct ua_variant v;
        plain_attribute(n, user, attribute, &h, &v);
        out->server_time = ua_space_now(s);
        if (!ua_value_set(out, &v))
            out->status = UA_BAD_OUT_OF_MEMORY;
    }
    if (range && range->dims && out->len)
        cut(range, out);
}

/* Values are sent in one encoding: binary. */
static ua_status check_encoding(const struct ua_read_value_id *id)
{
    struct bytes name = id->data_encoding.name;
    if (!name.len)
        return UA_GOOD;
    if (id->attribute_id != UA_ATTR_VALUE || id->data_encoding.ns)
        return UA_BAD_DATA_ENCODING_INVALID;
    if (bytes_is(name, "Default Binary"))
        return UA_GOOD;
    return bytes_is(name, "Default XML") || bytes_is(name, "Default JSON") ? UA_BAD_DATA_ENCODING_UNSUPPORTED
                                                                            : UA_BAD_DATA_ENCODING_INVALID;
}

void ua_read_one(struct ua_space *s, const struct ua_server_user *user, const struct ua_read_value_id *id, struct ua_value *out)
{
    struct ua_node *n = ua_find(s, &id->node_id);
    struct ua_index_range range;
    ua_status status = UA_GOOD;
    if (!n)
        status = UA_BAD_NODE_ID_UNKNOWN;
    else if (!ua_has_attribute(n, id->attribute_id))
        status = UA_BAD_ATTRIBUTE_ID_INVALID;
    else if (!ua_range_parse(&range, id->index_range))
        status = UA_BAD_INDEX_RANGE_INVALID;
    else
        status = check_encoding(id);
    if (status == UA_GOOD)
        ua_read_attribute(s, user, n, id->attribute_id, &range, out);
    else
        *out = (struct ua_value){ .status = status };
}
