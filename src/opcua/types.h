/* types.h - the built-in types of OPC UA (Part 6, 5.1) as values in memory.
 *
 * Everything is a plain value. Texts, byte strings and arrays are views: of the message they were decoded from, of the arena
 * that went along, or of whatever the caller keeps alive. Nothing here is freed on its own.
 *
 * A null string has `at` NULL, an empty one has not. An array that is null has its pointer NULL and its count 0.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

typedef uint32_t ua_status; /* status.h */
typedef int64_t  ua_time;   /* 100 ns since 1601-01-01 UTC; 0 = unknown, INT64_MAX = never */

enum ua_builtin {
    UA_NULL = 0,
    UA_BOOLEAN = 1,
    UA_SBYTE,
    UA_BYTE,
    UA_INT16,
    UA_UINT16,
    UA_INT32,
    UA_UINT32,
    UA_INT64,
    UA_UINT64,
    UA_FLOAT,
    UA_DOUBLE,
    UA_STRING,
    UA_DATE_TIME,
    UA_GUID,
    UA_BYTE_STRING,
    UA_XML_ELEMENT,
    UA_NODE_ID,
    UA_EXPANDED_NODE_ID,
    UA_STATUS_CODE,
    UA_QUALIFIED_NAME,
    UA_LOCALIZED_TEXT,
    UA_EXTENSION_OBJECT,
    UA_DATA_VALUE,
    UA_VARIANT,
    UA_DIAGNOSTIC_INFO,
    UA_BUILTIN_COUNT
};
/* "Double"; NULL for a number that is none. */
const char *ua_builtin_name(unsigned type);
/* The other way, letters in any case; UA_NULL: there is none. */
enum ua_builtin ua_builtin_from(struct bytes name);

struct ua_guid {
    uint32_t a;
    uint16_t b, c;
    uint8_t  d[8];
};

enum ua_id_kind { UA_ID_NUMBER, UA_ID_STRING, UA_ID_GUID, UA_ID_BYTES };
struct ua_node_id {
    uint16_t ns;
    uint8_t  kind;
    union {
        uint32_t       number;
        struct bytes   text; /* UA_ID_STRING, UA_ID_BYTES */
        struct ua_guid guid;
    };
};
/* A node of namespace 0. */
#define UA_NS0(n) ((struct ua_node_id){ .ns = 0, .kind = UA_ID_NUMBER, .number = (n) })

struct ua_expanded_node_id {
    struct ua_node_id id;
    struct bytes uri;    /* null: id.ns counts */
    uint32_t     server; /* 0: this server     */
};
struct ua_qualified_name {
    uint16_t ns;
    struct bytes name;
};
struct ua_localized_text {
    struct bytes locale, text;
};
enum ua_body_kind { UA_BODY_NONE, UA_BODY_BINARY, UA_BODY_XML };
/* A structure. `type` names its encoding, not its data type. */
struct ua_extension_object {
    struct ua_node_id type;
    uint8_t      kind; /* enum ua_body_kind */
    struct bytes body; /* as on the wire    */
};

/* One value, or an array of one built-in type. Scalars of up to 16 bytes stand in it, larger ones behind `at`. */
struct ua_variant {
    uint8_t  type;  /* enum ua_builtin; UA_NULL: no value */
    bool     array;
    uint16_t dims_count; /* 0: one dimension, `count` */
    uint32_t count;      /* of an array; with dims the product of them */
    const uint32_t *dims;
    union {
        bool     boolean;
        int8_t   i8;
        uint8_t  u8;
        int16_t  i16;
        uint16_t u16;
        int32_t  i32;
        uint32_t u32;
        int64_t  i64;
        uint64_t u64;
        float    f32;
        double   f64;
        ua_time  time;
        ua_status status;
        struct bytes   text; /* String, ByteString, XmlElement */
        struct ua_guid guid;
        /* of a scalar: ua_node_id, ua_expanded_node_id, ua_qualified_name, ua_localized_text, ua_extension_object,
         * ua_data_value; of an array: its elements, each as ua_size(type) says */
        const void *at;
    };
};

enum ua_has {
    UA_HAS_VALUE = 1,
    UA_HAS_STATUS = 2,
    UA_HAS_SOURCE_TIME = 4,
    UA_HAS_SERVER_TIME = 8,
    UA_HAS_SOURCE_PICO = 16,
    UA_HAS_SERVER_PICO = 32
};
/* What `has` does not name is Good, or unknown. */
struct ua_data_value {
    uint8_t   has;
    uint16_t  source_pico, server_pico; /* 10 ps */
    ua_status status;
    ua_time   source_time, server_time;
    struct ua_variant value;
};

/* Strings are numbers in the response header's table, counted from 1; 0: none (on the wire they count from 0, and none is absent).
 * Zeroed it says nothing. */
struct ua_diagnostic_info {
    uint32_t symbolic_id, namespace_uri, localized_text, locale;
    struct bytes additional;
    ua_status inner_status;
    const struct ua_diagnostic_info *inner; /* NULL: none */
};

/* Bytes that one value takes in memory as an array's element or behind a pointer. 0 for UA_NULL. */
size_t ua_size(unsigned type);
/* Whether it stands in the variant itself. */
bool ua_inline(unsigned type);
/* Whether arrays of it are in memory what they are on the wire: the fixed-size numbers, on machines of the wire's byte order. */
static inline bool ua_same_on_wire(unsigned type)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ &&
           ((type >= UA_SBYTE && type <= UA_DOUBLE) || type == UA_DATE_TIME || type == UA_STATUS_CODE);
}
/* Element i of an array, or the scalar itself for i 0, as a pointer to a value of ua_size bytes. */
const void *ua_item(const struct ua_variant *, uint32_t i);
/* Puts it into *out as a scalar variant of its own (views shared). */
void ua_item_variant(const struct ua_variant *, uint32_t i, struct ua_variant *out);
/* Numbers, booleans, dates and status codes as a double, for deadbands and units. */
bool ua_number(const struct ua_variant *, double *out);
bool ua_is_number(unsigned type); /* SByte .. Double */
/* The same value, bit by bit; NaN equals NaN. */
bool ua_variant_equal(const struct ua_variant *, const struct ua_variant *);

bool     ua_node_id_equal(const struct ua_node_id *, const struct ua_node_id *);
bool     ua_node_id_is_null(const struct ua_node_id *);
uint64_t ua_node_id_hash(const struct ua_node_id *);

/* ---- time ---- */
#define UA_UNIX_EPOCH 116444736000000000LL
static inline ua_time ua_time_from_us(int64_t unix_us) { return unix_us * 10 + UA_UNIX_EPOCH; }
/* Microseconds since 1970, held within years 1 to 9999. */
int64_t ua_time_us(ua_time);
