#include "opcua/types.h"

#include "base/hash.h"

#include <strings.h>

/* clang-format off */
static const struct {
    const char *name;
    uint8_t     size;
    bool        inside; /* of the variant itself */
} builtins[UA_BUILTIN_COUNT] = {
    [UA_NULL]             = { NULL, 0, true },
    [UA_BOOLEAN]          = { "Boolean", sizeof(bool), true },
    [UA_SBYTE]            = { "SByte", 1, true },
    [UA_BYTE]             = { "Byte", 1, true },
    [UA_INT16]            = { "Int16", 2, true },
    [UA_UINT16]           = { "UInt16", 2, true },
    [UA_INT32]            = { "Int32", 4, true },
    [UA_UINT32]           = { "UInt32", 4, true },
    [UA_INT64]            = { "Int64", 8, true },
    [UA_UINT64]           = { "UInt64", 8, true },
    [UA_FLOAT]            = { "Float", 4, true },
    [UA_DOUBLE]           = { "Double", 8, true },
    [UA_STRING]           = { "String", sizeof(struct bytes), true },
    [UA_DATE_TIME]        = { "DateTime", 8, true },
    [UA_GUID]             = { "Guid", sizeof(struct ua_guid), true },
    [UA_BYTE_STRING]      = { "ByteString", sizeof(struct bytes), true },
    [UA_XML_ELEMENT]      = { "XmlElement", sizeof(struct bytes), true },
    [UA_NODE_ID]          = { "NodeId", sizeof(struct ua_node_id), false },
    [UA_EXPANDED_NODE_ID] = { "ExpandedNodeId", sizeof(struct ua_expanded_node_id), false },
    [UA_STATUS_CODE]      = { "StatusCode", 4, true },
    [UA_QUALIFIED_NAME]   = { "QualifiedName", sizeof(struct ua_qualified_name), false },
    [UA_LOCALIZED_TEXT]   = { "LocalizedText", sizeof(struct ua_localized_text), false },
    [UA_EXTENSION_OBJECT] = { "ExtensionObject", sizeof(struct ua_extension_object), false },
    [UA_DATA_VALUE]       = { "DataValue", sizeof(struct ua_data_value), false },
    [UA_VARIANT]          = { "Variant", sizeof(struct ua_variant), false },
    [UA_DIAGNOSTIC_INFO]  = { "DiagnosticInfo", sizeof(struct ua_diagnostic_info), false },
};
/* clang-format on */

const char *ua_builtin_name(unsigned type)
{
    return type < UA_BUILTIN_COUNT ? builtins[type].name : NULL;
}

enum ua_builtin ua_builtin_from(struct bytes name)
{
    for (unsigned i = 1; i < UA_BUILTIN_COUNT; i++)
        if (strlen(builtins[i].name) == name.len && !strncasecmp(builtins[i].name, (const char *)name.at, name.len))
            return (enum ua_builtin)i;
    return UA_NULL;
}

size_t ua_size(unsigned type)
{
    return type < UA_BUILTIN_COUNT ? builtins[type].size : 0;
}

bool ua_inline(unsigned type)
{
    return type < UA_BUILTIN_COUNT && builtins[type].inside;
}

const void *ua_item(const struct ua_variant *v, uint32_t i)
{
    if (v->array)
        return (const uint8_t *)v->at + (size_t)i * ua_size(v->type);
    return ua_inline(v->type) ? (const void *)&v->text : v->at;
}

void ua_item_variant(const struct ua_variant *v, uint32_t i, struct ua_variant *out)
{
    const void *item = ua_item(v, i);
    if (v->type == UA_VARIANT && v->array) { /* an array of variants: each is one already */
        *out = *(const struct ua_variant *)item;
        return;
    }
    *out = (struct ua_variant){ .type = v->type };
    if (ua_inline(v->type))
        memcpy(&out->text, item, ua_size(v->type));
    else
        out->at = item;
}

bool ua_is_number(unsigned type)
{
    return type >= UA_SBYTE && type <= UA_DOUBLE;
}

bool ua_number(const struct ua_variant *v, double *out)
{
    if (v->array)
        return false;
    switch (v->type) {
    case UA_BOOLEAN: *out = v->boolean; return true;
    case UA_SBYTE: *out = v->i8; return true;
    case UA_BYTE: *out = v->u8; return true;
    case UA_INT16: *out = v->i16; return true;
    case UA_UINT16: *out = v->u16; return true;
    case UA_INT32: *out = v->i32; return true;
    case UA_UINT32:
    case UA_STATUS_CODE: *out = v->u32; return true;
    case UA_INT64:
    case UA_DATE_TIME: *out = (double)v->i64; return true;
    case UA_UINT64: *out = (double)v->u64; return true;
    case UA_FLOAT: *out = (double)v->f32; return true;
    case UA_DOUBLE: *out = v->f64; return true;
    default: return false;
    }
}

bool ua_node_id_equal(const struct ua_node_id *a, const struct ua_node_id *b)
{
    if (a->ns != b->ns || a->kind != b->kind)
        return false;
    switch (a->kind) {
    case UA_ID_NUMBER: return a->number == b->number;
    case UA_ID_GUID: return !memcmp(&a->guid, &b->guid, sizeof a->guid);
    default: return bytes_equal(a->text, b->text);
    }
}

bool ua_node_id_is_null(const struct ua_node_id *id)
{
    return id->kind == UA_ID_NUMBER && id->ns == 0 && id->number == 0;
}

uint64_t ua_node_id_hash(const struct ua_node_id *id)
{
    uint64_t seed = (uint64_t)id->ns << 8 | id->kind;
    switch (id->kind) {
    case UA_ID_NUMBER: return (seed << 32 ^ id->number) * 0x9E3779B97F4A7C15u;
    case UA_ID_GUID: return hash_keyed(bytes_of(&id->guid, sizeof id->guid)) ^ seed;
    default: return hash_keyed(id->text) ^ seed;
    }
}

static bool objects_equal(const struct ua_extension_object *a, const struct ua_extension_object *b)
{
    return a->kind == b->kind && ua_node_id_equal(&a->type, &b->type) && bytes_equal(a->body, b->body);
}

static bool data_values_equal(const struct ua_data_value *a, const struct ua_data_value *b)
{
    return a->has == b->has && a->status == b->status && a->source_time == b->source_time &&
           a->server_time == b->server_time && ua_variant_equal(&a->value, &b->value);
}

static bool diagnostics_equal(const struct ua_diagnostic_info *a, const struct ua_diagnostic_info *b)
{
    for (; a && b; a = a->inner, b = b->inner)
        if (a->symbolic_id != b->symbolic_id || a->namespace_uri != b->namespace_uri || a->locale != b->locale ||
            a->localized_text != b->localized_text || a->inner_status != b->inner_status ||
            !bytes_equal(a->additional, b->additional))
            return false;
    return !a && !b;
}

static bool items_equal(unsigned type, const void *a, const void *b)
{
    switch (type) {
    case UA_STRING:
    case UA_BYTE_STRING:
    case UA_XML_ELEMENT: {
        const struct bytes *x = a, *y = b;
        return !x->at == !y->at && bytes_equal(*x, *y);
    }
    case UA_NODE_ID: return ua_node_id_equal(a, b);
    case UA_EXPANDED_NODE_ID: {
        const struct ua_expanded_node_id *x = a, *y = b;
        return x->server == y->server && bytes_equal(x->uri, y->uri) && ua_node_id_equal(&x->id, &y->id);
    }
    case UA_QUALIFIED_NAME: {
        const struct ua_qualified_name *x = a, *y = b;
        return x->ns == y->ns && bytes_equal(x->name, y->name);
    }
    case UA_LOCALIZED_TEXT: {
        const struct ua_localized_text *x = a, *y = b;
        return bytes_equal(x->locale, y->locale) && bytes_equal(x->text, y->text);
    }
    case UA_EXTENSION_OBJECT: return objects_equal(a, b);
    case UA_DATA_VALUE: return data_values_equal(a, b);
    case UA_VARIANT: return ua_variant_equal(a, b);
    case UA_DIAGNOSTIC_INFO: return diagnostics_equal(a, b);
    default: return !memcmp(a, b, ua_size(type));
    }
}

bool ua_variant_equal(const struct ua_variant *a, const struct ua_variant *b)
{
    if (a->type != b->type || a->array != b->array)
        return false;
    if (!a->array)
        return a->type == UA_NULL || items_equal(a->type, ua_item(a, 0), ua_item(b, 0));
    if (a->count != b->count || a->dims_count != b->dims_count || !a->at != !b->at)
        return false;
    if (a->dims_count && memcmp(a->dims, b->dims, a->dims_count * sizeof *a->dims) != 0)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!items_equal(a->type, ua_item(a, i), ua_item(b, i)))
            return false;
    return true;
}

int64_t ua_time_us(ua_time t)
{
    const int64_t first = -62135596800000000, last = 253402300799999999; /* 0001-01-01, 9999-12-31T23:59:59.999999 */
    if (t < first * 10 + UA_UNIX_EPOCH)
        return first;
    if (t > last * 10 + UA_UNIX_EPOCH)
        return last;
    int64_t since = t - UA_UNIX_EPOCH;
    return since / 10 - (since % 10 < 0);
}
