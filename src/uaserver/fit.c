/* Whether a value is of a variable's type and shape: Write, and the arguments of Call. */
#include "uaserver/fit.h"

/* Abstract data types stand for several built-in ones. */
static bool of_abstract(const struct ua_node_id *type, unsigned builtin)
{
    if (type->ns || type->kind != UA_ID_NUMBER)
        return true;
    switch (type->number) {
    case UA_ID_NUMBER_TYPE: return ua_is_number(builtin);
    case UA_ID_INTEGER: return builtin == UA_SBYTE || builtin == UA_INT16 || builtin == UA_INT32 || builtin == UA_INT64;
    case UA_ID_U_INTEGER: return builtin == UA_BYTE || builtin == UA_UINT16 || builtin == UA_UINT32 || builtin == UA_UINT64;
    default: return true;
    }
}

static bool shape_fits(int32_t rank, const struct ua_variant *v)
{
    uint32_t dims = !v->array ? 0 : v->dims_count ? v->dims_count : 1;
    switch (rank) {
    case -3: return dims <= 1;
    case -2: return true;
    case -1: return dims == 0;
    case 0: return dims >= 1;
    default: return rank > 0 && dims == (uint32_t)rank;
    }
}

static bool lengths_fit(const uint32_t *most, uint32_t count, const struct ua_variant *v)
{
    if (!v->array)
        return true;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = v->dims_count ? i < v->dims_count ? v->dims[i] : 0 : v->count;
        if (most[i] && n > most[i])
            return false;
    }
    return true;
}

/* Bytes may come as a ByteString where an array of them is wanted [Part 6, 5.2.2.16]. */
static void bytes_as_array(const struct ua_shape *shape, struct ua_variant *v)
{
    if (shape->builtin != UA_BYTE || shape->rank == -1 || v->type != UA_BYTE_STRING || v->array)
        return;
    struct bytes text = v->text;
    *v = (struct ua_variant){ .type = UA_BYTE, .array = true, .count = (uint32_t)text.len, .at = text.at };
}

bool ua_fits(const struct ua_shape *shape, struct ua_variant *v)
{
    bytes_as_array(shape, v);
    if (v->type == UA_NULL) /* no value: only where anything may stand */
        return !shape->builtin && ua_node_id_equal(&shape->data_type, &UA_NS0(UA_ID_BASE_DATA_TYPE));
    bool type = shape->builtin ? v->type == shape->builtin : of_abstract(&shape->data_type, v->type);
    return type && shape_fits(shape->rank, v) && lengths_fit(shape->dims, shape->dims_count, v);
}
