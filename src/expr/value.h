/* value.h - one value of a row: 16 bytes, tagged, because in this language types belong to values and not to columns.
 *
 * A value owns nothing. Text, records and arrays point into the bytes of the message, into the reader's parsed form or into
 * an arena; they live as long as what they came from (one event, unless it says otherwise). Who keeps a value longer
 * copies it with value_copy into memory of its own.
 *
 * NULL is a missing field, JSON null and a failed TRY_CAST alike. (The `len` of one that stands in JSON as null is 1: conditions
 * tell the two apart, see condition.h; SQL does not.)
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/bytes.h"
#include "base/fault.h"

enum value_type {
    VALUE_NULL,
    VALUE_BIT,      /* i: 0 or 1                                                               */
    VALUE_BIGINT,   /* i: int64                                                                */
    VALUE_FLOAT,    /* f: never NaN or infinite                                                */
    VALUE_DATETIME, /* i: ticks of 100 ns since 0001-01-01T00:00:00Z                            */
    VALUE_TEXT,     /* text, len: UTF-8, not NUL-terminated                                     */
    VALUE_RECORD,   /* record                                                                  */
    VALUE_ARRAY     /* array                                                                   */
};

struct record_value;
struct array_value;
struct value {
    uint8_t  type; /* enum value_type */
    uint32_t len;  /* of text, bytes  */
    union {
        int64_t                    i;
        double                     f;
        const uint8_t             *text;
        const struct record_value *record;
        const struct array_value  *array;
    };
};
/* Fields in the order of their first mention, names unique (of duplicate keys the last value won). */
struct record_field {
    struct bytes name;
    struct value value;
};
struct record_value {
    uint32_t                   count;
    const struct record_field *fields;
};
struct array_value {
    uint32_t            count;
    const struct value *items;
};

enum { VALUE_DEPTH = 64 }; /* nesting of records and arrays; deeper JSON is refused */

static inline struct value value_null(void)
{
    return (struct value){ .type = VALUE_NULL };
}
static inline struct value value_bigint(int64_t i)
{
    return (struct value){ .type = VALUE_BIGINT, .i = i };
}
static inline struct value value_float(double f)
{
    return (struct value){ .type = VALUE_FLOAT, .f = f };
}
static inline struct value value_bit(bool b)
{
    return (struct value){ .type = VALUE_BIT, .i = b };
}
static inline struct value value_datetime(int64_t ticks)
{
    return (struct value){ .type = VALUE_DATETIME, .i = ticks };
}
static inline struct value value_text(struct bytes b)
{
    return (struct value){ .type = VALUE_TEXT, .len = (uint32_t)b.len, .text = b.at };
}
static inline struct bytes value_bytes(struct value v)
{
    return bytes_of(v.text, v.len);
}

/* "bigint", "nvarchar(max)", ...: the language's own names. */
const char *value_type_name(enum value_type);

/* The field of that name: exactly spelled first, then without regard to (ASCII) case. NULL value if there is none or
 * `record` is no record. */
struct value value_field(struct value record, struct bytes name);

/* Deep copy into the arena. CODE_NOMEM. */
FG_CHECK enum code value_copy(struct value *out, struct value v, struct arena *arena);
/* Bytes a deep copy takes beyond the struct itself. */
size_t value_size(struct value v);

/* Total order and equality for grouping, DISTINCT and joins' keys: NULL equals NULL, bigint and float compare by number
 * (exactly, also beyond 2^53), types otherwise stand in the order of the enum. */
int      value_order(struct value a, struct value b);
uint64_t value_hash(struct value v); /* equal values hash alike; keyed (base/hash.h)           */

/* The language's own comparison: <0, 0, >0 into *sign. False: one of them is NULL, or the types cannot be compared
 * (then *mismatch is set). A datetime compares with an ISO 8601 text. Text is ordinal, case-sensitive. */
bool value_compare(struct value a, struct value b, int *sign, bool *mismatch);

/* JSON text. Floats: the shortest spelling that reads back the same, with ".0" when whole; datetime as
 * "2015-01-01T00:00:01.0000000Z". */
void value_write_json(struct buf *out, struct value v);

/* Binary form for checkpoints: self-describing, little-endian; read checks every length and count, depth included.
 * The read value points into `from` (texts) and into the arena (records, arrays). */
void           value_write(struct buf *out, struct value v);
FG_CHECK enum code value_read(struct value *out, struct bytes *from, struct arena *arena, struct fault *why);

/* ---- conversions ---- */
/* Text of the form date, date and time (T or a blank between), fraction (beyond 7 digits cut off), Z or an offset; no zone is UTC. */
bool datetime_parse(struct bytes text, int64_t *ticks);
enum { DATETIME_TEXT = 28 };
void datetime_text(int64_t ticks, char out[DATETIME_TEXT + 1]);
/* 1970-01-01, and 9999-12-31T23:59:59.9999999, in ticks. The least is 0. */
#define DATETIME_UNIX INT64_C(621355968000000000)
#define DATETIME_MAX  INT64_C(3155378975999999999)
#define DATETIME_DAY  INT64_C(864000000000)

/* CAST(v AS to). NULL stays NULL. False: cannot be converted; the caller words the error. Texts it makes go to the arena
 * (false with *nomem set when that is full). */
bool value_cast(struct value v, enum value_type to, struct value *out, struct arena *arena, bool *nomem);
