/* shape.h - structures by their type description: what is in an ExtensionObject, field by field.
 *
 * The description is read from the server once per type (HasEncoding of the encoding's node, DataTypeDefinition of the data type,
 * those of its fields, names of enumerations) and kept as long as the session's namespaces are the same.
 *
 * Bounds: 1,024 types, 256 fields each, 8,192 values in one decoded object, nesting as options.limits say.
 */
#pragma once

#include "uaclient/client.h"

struct ua_shapes; /* what is known of one server's types */

FG_CHECK enum code ua_shapes_open(struct ua_shapes **out, struct ua_client *, struct fault *why);
/* Before the client is closed. NULL is fine. */
void ua_shapes_close(struct ua_shapes *);

enum ua_thing_kind {
    UA_THING_VALUE,  /* `value`, a built-in type or array of it                    */
    UA_THING_ENUM,   /* `value` Int32, and the name that it has: `text` (or none)  */
    UA_THING_STRUCT, /* fields                                                     */
    UA_THING_LIST,   /* fields without names: an array of structures or enums      */
    UA_THING_RAW     /* `value` is an ExtensionObject whose type is not known      */
};
struct ua_thing {
    enum ua_thing_kind kind;
    struct bytes name;      /* of the field; none in lists and at the top */
    struct bytes text;      /* of an enumeration's value; a structure's type name */
    struct ua_variant value;
    const struct ua_thing *fields;
    uint32_t count;         /* optional fields that are absent, and the alternatives that a union does not have, are left out */
};
/* Whether everything needed to decode it is known. */
bool ua_shapes_know(const struct ua_shapes *, const struct ua_node_id *encoding);
/* Asks for it; once answered, `done` with a good status: it is known, bad: the server does not tell (UA_LACK_TYPES). */
FG_CHECK enum code ua_shapes_ask(struct ua_shapes *, const struct ua_node_id *encoding,
                                 void (*done)(void *ctx, ua_status), void *ctx, struct fault *why);
/* Decodes; everything lies in the arena or is a view of the object's body. Unknown: CODE_NOTFOUND; bytes that the description does
 * not fit: CODE_MALFORMED; CODE_LIMIT; CODE_NOMEM. */
FG_CHECK enum code ua_shapes_read(const struct ua_shapes *, const struct ua_extension_object *, struct arena *,
                                  struct ua_thing *out, struct fault *why);
