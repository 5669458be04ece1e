/* codec.h - OPC UA Binary (Part 6, 5.2) of the built-in types, and of structures that are described by a table.
 *
 * Reading never passes the end, never takes memory for a count that the bytes left cannot hold, and never nests deeper than
 * its limits say. `status` sticks: a decoder reads all its fields and looks once. Texts are views of the bytes read; arrays and
 * large scalars lie in the arena.
 *
 * Writing goes into a buf; a failed one is `bad` (base/buf.h).
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/wire.h"
#include "opcua/types.h"

/* L-UA of the limits. */
struct ua_limits {
    uint32_t array;  /* elements of one array            65,536 */
    uint32_t string; /* bytes of one string or byte string 64 KiB; ExtensionObject bodies are held by the message's size */
    uint32_t depth;  /* variants, objects, diagnostics in each other 32 */
};
extern const struct ua_limits ua_limits_default;

struct ua_reader {
    struct wire   wire;
    struct arena *arena;
    const struct ua_limits *limits;
    unsigned      depth;
    ua_status     status; /* 0, UA_BAD_DECODING_ERROR, UA_BAD_ENCODING_LIMITS_EXCEEDED, UA_BAD_OUT_OF_MEMORY */
};
/* `limits` NULL: the default ones. */
struct ua_reader ua_reader_of(struct bytes, struct arena *, const struct ua_limits *limits);
/* Good, and nothing went wrong. */
bool ua_read_good(const struct ua_reader *);
void ua_read_fail(struct ua_reader *, ua_status); /* the first one counts */

struct bytes ua_read_string(struct ua_reader *); /* also ByteString, XmlElement */
void ua_read_node_id(struct ua_reader *, struct ua_node_id *);
void ua_read_expanded(struct ua_reader *, struct ua_expanded_node_id *);
void ua_read_object(struct ua_reader *, struct ua_extension_object *);
void ua_read_variant(struct ua_reader *, struct ua_variant *);
void ua_read_data_value(struct ua_reader *, struct ua_data_value *);
/* One value of a built-in type, of ua_size bytes. */
void ua_read_builtin(struct ua_reader *, unsigned type, void *out);
/* i32 count and the values; -1 is a null array. */
void ua_read_array(struct ua_reader *, unsigned type, const void **out, uint32_t *count);
/* The count of an array whose elements take at least `least` bytes each; 0 for null. *null tells which. */
uint32_t ua_read_count(struct ua_reader *, size_t least, bool *null);

void ua_write_string(struct buf *, struct bytes);
void ua_write_node_id(struct buf *, const struct ua_node_id *);
void ua_write_expanded(struct buf *, const struct ua_expanded_node_id *);
void ua_write_object(struct buf *, const struct ua_extension_object *);
void ua_write_variant(struct buf *, const struct ua_variant *);
void ua_write_data_value(struct buf *, const struct ua_data_value *);
void ua_write_builtin(struct buf *, unsigned type, const void *);
void ua_write_array(struct buf *, unsigned type, const void *at, uint32_t count);

/* ---- structures by table; services.h has them all ---- */
struct ua_struct;
struct ua_field {
    uint16_t offset;
    uint16_t count_offset; /* of an array: its uint32_t count */
    uint8_t  type;         /* enum ua_builtin, or UA_NULL: `of` */
    bool     array;
    const struct ua_struct *of;
};
struct ua_struct {
    const char *name; /* "ReadRequest" style names are made of "read_request" */
    uint16_t size;
    uint16_t encoding; /* number of its DefaultBinary encoding in namespace 0, 0: never on its own */
    uint16_t count;
    const struct ua_field *fields;
};
void ua_read_struct(struct ua_reader *, const struct ua_struct *, void *out);
void ua_write_struct(struct buf *, const struct ua_struct *, const void *);
/* The same with its encoding's NodeId in front: the body of a message. */
void ua_write_message(struct buf *, const struct ua_struct *, const void *);
/* Takes the message apart: the number of its encoding; 0 when its type is not of namespace 0. */
uint32_t ua_read_type(struct ua_reader *);
/* An ExtensionObject that holds it. */
void ua_write_object_of(struct buf *, const struct ua_struct *, const void *);
/* The same as a value; its body lies in the arena. False: no memory. */
FG_CHECK bool ua_object_of(struct arena *, const struct ua_struct *, const void *, struct ua_extension_object *out);
/* What is in an ExtensionObject, if it is a binary one of this type; else false. Limits, depth and arena are the reader's. */
FG_CHECK bool ua_object_read(struct ua_reader *like, const struct ua_extension_object *, const struct ua_struct *, void *out);

/* A copy of its own, everything it points to in the arena. False: no memory. */
FG_CHECK bool ua_variant_copy(struct arena *, const struct ua_variant *, struct ua_variant *out);
FG_CHECK bool ua_node_id_copy(struct arena *, const struct ua_node_id *, struct ua_node_id *out);
