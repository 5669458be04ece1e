/* ns0.h - namespace 0: the standard's own nodes as constant data (ns0_table.h). They take no heap, and no pages that differ from the
 * file. Everything here is pure; any thread.
 *
 * A node has one parent, from which a hierarchical reference (or HasEncoding) leads to it, and at most a type definition and a
 * modelling rule. References are those: what is not in the table is not in the address space.
 */
#pragma once

#include "opcua/codec.h"

enum ns0_flags {
    NS0_ABSTRACT = 1,
    NS0_SYMMETRIC = 2,
    NS0_RULE = 0x3c, /* modelling rule, ns0_rule */
};
struct ns0_node {
    uint16_t id, name; /* of the name: its place */
    uint16_t parent;   /* 0: Root alone */
    uint16_t type, data_type;
    uint8_t  node_class; /* enum ua_node_class */
    uint8_t  reference;  /* number of the reference type that leads from the parent to it */
    int8_t   rank;
    uint8_t  flags;
};
/* All of them, in the order of their numbers. */
extern const struct ns0_node ns0_nodes[];
extern const size_t ns0_count;

/* NULL: there is none. */
const struct ns0_node *ns0_find(uint32_t id);
const char *ns0_name(const struct ns0_node *);
/* "OrganizedBy"; NULL: symmetric, or abstract without one. */
const char *ns0_inverse_name(uint32_t reference_type);
/* Number of its modelling rule, 0: none. */
uint32_t ns0_rule(const struct ns0_node *);
/* Whether a type is `of` or comes from it by HasSubtype. */
bool ns0_is_subtype(uint32_t type, uint32_t of);
/* The built-in type that values of a data type are encoded as; UA_VARIANT for abstract ones of several, UA_NULL: no data type. */
enum ua_builtin ns0_builtin(uint32_t data_type);

/* Whether ns0_definition has something to tell. */
bool ns0_has_definition(uint32_t data_type);
/* The value of the attribute DataTypeDefinition: a StructureDefinition or an EnumDefinition in the arena. UA_BAD_ATTRIBUTE_ID_INVALID:
 * the type has none; UA_BAD_OUT_OF_MEMORY. */
ua_status ns0_definition(uint32_t data_type, struct arena *, struct ua_variant *out);
/* The values that follow from the table alone: EnumStrings, EnumValues, OptionSetValues; those of other variables are null. */
ua_status ns0_constant(const struct ns0_node *, struct arena *, struct ua_variant *out);

struct ua_space;
/* Makes nodes of all of them in an empty space. Their names stay where they are. What the Server object says has no values yet:
 * ns0_serve gives them. CODE_NOMEM: some are there, and the space can only be closed. */
FG_CHECK enum code ns0_load(struct ua_space *, struct fault *why);
struct ua_server;
/* The Server object speaks for this server: values and methods. */
void ns0_serve(struct ua_server *);
