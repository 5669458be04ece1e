/* What data types are made of, and the constants that follow from it. */
#include "uaserver/ns0.h"

#include "opcua/ids.h"
#include "opcua/services.h"
#include "opcua/status.h"
#include "uaserver/ns0_types_table.h"

/* Names stand in the lines themselves, not behind pointers: see ns0.c. */
static const struct {
    uint16_t type, data_type;
    int8_t   rank;
    char     name[35];
} fields[] = {
#define F(type, name, data_type, rank) { type, data_type, rank, name },
    NS0_FIELDS(F)
#undef F
};
static const struct {
    uint32_t value;
    uint16_t type;
    char     name[30];
} enums[] = {
#define E(type, name, value) { value, type, name },
    NS0_ENUMS(E)
#undef E
};
enum { FIELDS = sizeof fields / sizeof *fields, ENUMS = sizeof enums / sizeof *enums, SUPERTYPES = 8 };

static bool object(struct arena *arena, const struct ua_struct *type, const void *in, struct ua_variant *out)
{
    struct ua_extension_object *o = arena_take(arena, sizeof *o);
    if (!o || !ua_object_of(arena, type, in, o))
        return false;
    *out = (struct ua_variant){ .type = UA_EXTENSION_OBJECT, .at = o };
    return true;
}

/* ---- structures ---- */

static unsigned own_fields(uint32_t type, struct ua_structure_field *to)
{
    static const uint32_t any_length[1];
    unsigned n = 0;
    for (unsigned i = 0; i < FIELDS; i++) {
        if (fields[i].type != type)
            continue;
        if (to)
            to[n] = (struct ua_structure_field){ .name = bytes_str(fields[i].name), .data_type = UA_NS0(fields[i].data_type),
                                                 .value_rank = fields[i].rank, .array_dimensions = any_length,
                                                 .array_dimensions_count = fields[i].rank == 1 };
        n++;
    }
    return n;
}

static uint32_t encoding_of(uint32_t type)
{
    for (size_t i = 0; i < ns0_count; i++)
        if (ns0_nodes[i].parent == type && ns0_nodes[i].reference == UA_ID_HAS_ENCODING)
            return ns0_nodes[i].id;
    return 0;
}

/* The fields of the supertypes come first. */
static ua_status structure(const struct ns0_node *type, struct arena *arena, struct ua_variant *out)
{
    const struct ns0_node *line[SUPERTYPES];
    unsigned up = 0, count = 0;
    for (const struct ns0_node *n = type; n->id != UA_ID_STRUCTURE; n = ns0_find(n->parent)) {
        FG_ASSERT(up < SUPERTYPES);
        line[up++] = n;
        count += own_fields(n->id, NULL);
    }
    struct ua_structure_field *all = arena_take(arena, (count + 1) * sizeof *all);
    if (!all)
        return UA_BAD_OUT_OF_MEMORY;
    for (count = 0; up > 0; up--)
        count += own_fields(line[up - 1]->id, all + count);
    struct ua_structure_definition d = { .default_encoding_id = UA_NS0(encoding_of(type->id)), .base_data_type = UA_NS0(type->parent),
                                         .structure_type = UA_STRUCTURE, .fields = all, .fields_count = count };
    return object(arena, &ua_structure_definition_type, &d, out) ? UA_GOOD : UA_BAD_OUT_OF_MEMORY;
}

/* ---- enumerations and option sets ---- */

static unsigned enum_count(uint32_t type)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ENUMS; i++)
        n += enums[i].type == type;
    return n;
}

static ua_status enumeration(const struct ns0_node *type, struct arena *arena, struct ua_variant *out)
{
    unsigned count = enum_count(type->id), n = 0;
    struct ua_enum_field *all = arena_zero(arena, count * sizeof *all);
    if (!all)
        return UA_BAD_OUT_OF_MEMORY;
    for (unsigned i = 0; i < ENUMS; i++)
        if (enums[i].type == type->id)
            all[n++] = (struct ua_enum_field){ .value = enums[i].value, .name = bytes_str(enums[i].name),
                                               .display_name = { .text = bytes_str(enums[i].name) } };
    struct ua_enum_definition d = { all, count };
    return object(arena, &ua_enum_definition_type, &d, out) ? UA_GOOD : UA_BAD_OUT_OF_MEMORY;
}

bool ns0_has_definition(uint32_t data_type)
{
    const struct ns0_node *n = ns0_find(data_type);
    if (!n || n->node_class != UA_CLASS_DATA_TYPE || data_type == UA_ID_STRUCTURE)
        return false;
    if (!ns0_is_subtype(data_type, UA_ID_STRUCTURE))
        return enum_count(data_type) > 0;
    return !(n->flags & NS0_ABSTRACT) || own_fields(data_type, NULL);
}

ua_status ns0_definition(uint32_t data_type, struct arena *arena, struct ua_variant *out)
{
    const struct ns0_node *n = ns0_find(data_type);
    if (!ns0_has_definition(data_type))
        return UA_BAD_ATTRIBUTE_ID_INVALID;
    return ns0_is_subtype(data_type, UA_ID_STRUCTURE) ? structure(n, arena, out) : enumeration(n, arena, out);
}

/* Texts in the order of their numbers, which have no gaps. */
static ua_status enum_texts(uint32_t type, struct arena *arena, struct ua_variant *out)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < ENUMS; i++)
        if (enums[i].type == type && enums[i].value >= count)
            count = enums[i].value + 1u;
    struct ua_localized_text *all = arena_zero(arena, (count + 1) * sizeof *all);
    if (!all)
        return UA_BAD_OUT_OF_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        all[i].text = BYTES_LIT(""); /* bits that nobody has named */
    for (unsigned i = 0; i < ENUMS; i++)
        if (enums[i].type == type)
            all[enums[i].value].text = bytes_str(enums[i].name);
    *out = (struct ua_variant){ .type = UA_LOCALIZED_TEXT, .array = true, .count = count, .at = all };
    return UA_GOOD;
}

static ua_status enum_values(uint32_t type, struct arena *arena, struct ua_variant *out)
{
    unsigned count = enum_count(type), n = 0;
    struct ua_extension_object *all = arena_zero(arena, (count + 1) * sizeof *all);
    if (!all)
        return UA_BAD_OUT_OF_MEMORY;
    for (unsigned i = 0; i < ENUMS; i++) {
        struct ua_enum_value_type v = { .value = enums[i].value, .display_name = { .text = bytes_str(enums[i].name) } };
        if (enums[i].type == type && !ua_object_of(arena, &ua_enum_value_type_type, &v, &all[n++]))
            return UA_BAD_OUT_OF_MEMORY;
    }
    *out = (struct ua_variant){ .type = UA_EXTENSION_OBJECT, .array = true, .count = count, .at = all };
    return UA_GOOD;
}

ua_status ns0_constant(const struct ns0_node *n, struct arena *arena, struct ua_variant *out)
{
    *out = (struct ua_variant){ 0 };
    const struct ns0_node *parent = ns0_find(n->parent);
    if (!parent || n->reference != UA_ID_HAS_PROPERTY || parent->node_class != UA_CLASS_DATA_TYPE)
        return UA_GOOD;
    return n->data_type == 7594 ? enum_values(parent->id, arena, out) : enum_texts(parent->id, arena, out);
}
