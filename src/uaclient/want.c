#include "uaclient/want.h"

static unsigned builtin_of(const struct ua_node_id *data_type)
{
    bool plain = data_type->ns == 0 && data_type->kind == UA_ID_NUMBER && data_type->number < UA_EXTENSION_OBJECT;
    return plain ? data_type->number : UA_NULL;
}

struct ua_want ua_want_of_variable(const struct ua_variant *data_type, const struct ua_variant *rank, const struct ua_variant *value)
{
    struct ua_want w = { UA_NULL, -2 };
    if (data_type->type == UA_NODE_ID && !data_type->array)
        w.type = builtin_of(data_type->at);
    if (rank->type == UA_INT32 && !rank->array)
        w.rank = rank->i32;
    if (w.type == UA_NULL)
        w.type = value->type;
    return w;
}

const struct ua_node_id *ua_want_inputs(const struct ua_browse_result *properties)
{
    for (uint32_t i = 0; i < properties->references_count; i++)
        if (bytes_is(properties->references[i].browse_name.name, "InputArguments"))
            return &properties->references[i].node_id.id;
    return NULL;
}

uint32_t ua_want_of_arguments(const struct ua_variant *inputs, struct arena *arena, struct ua_want *out, uint32_t max)
{
    struct ua_reader like = ua_reader_of(BYTES_NONE, arena, NULL);
    if (inputs->type != UA_EXTENSION_OBJECT || !inputs->array)
        return UINT32_MAX;
    uint32_t n = inputs->count < max ? inputs->count : max;
    for (uint32_t i = 0; i < n; i++) {
        struct ua_argument a = { 0 };
        out[i] = (struct ua_want){ UA_NULL, -2 };
        if (ua_object_read(&like, ua_item(inputs, i), &ua_argument_type, &a))
            out[i] = (struct ua_want){ builtin_of(&a.data_type), a.value_rank };
    }
    return n;
}
