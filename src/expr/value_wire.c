/* The binary form: one byte of type, then
 *   bit          u8 0 or 1
 *   bigint, datetime, float   8 bytes, little-endian
 *   text         varint length, bytes (UTF-8)
 *   record       varint count, then per field: varint length, name, value
 *   array        varint count, then values
 */
#include "expr/value.h"

#include <math.h>

static void write_blob(struct buf *out, struct bytes b)
{
    buf_varint(out, b.len);
    buf_add_bytes(out, b);
}

void value_write(struct buf *out, struct value v)
{
    buf_u8(out, v.type);
    switch ((enum value_type)v.type) {
    case VALUE_BIT: buf_u8(out, v.i != 0); break;
    case VALUE_BIGINT:
    case VALUE_FLOAT:
    case VALUE_DATETIME: buf_le64(out, (uint64_t)v.i); break;
    case VALUE_TEXT: write_blob(out, value_bytes(v)); break;
    case VALUE_RECORD:
        buf_varint(out, v.record->count);
        for (uint32_t i = 0; i < v.record->count; i++) {
            write_blob(out, v.record->fields[i].name);
            value_write(out, v.record->fields[i].value);
        }
        break;
    case VALUE_ARRAY:
        buf_varint(out, v.array->count);
        for (uint32_t i = 0; i < v.array->count; i++)
            value_write(out, v.array->items[i]);
        break;
    default: break;
    }
}

struct reading {
    struct bytes left;
    const uint8_t *start;
    struct arena *arena;
    struct fault *why;
    unsigned depth;
};

static enum code damaged(struct reading *r, const char *what)
{
    return FAIL(r->why, CODE_DAMAGED, (uint64_t)(r->left.at - r->start), "a stored value is damaged: %s",
                what);
}

static bool take(struct reading *r, void *out, size_t n)
{
    if (r->left.len < n)
        return false;
    memcpy(out, r->left.at, n);
    r->left = bytes_from(r->left, n);
    return true;
}

static bool take_varint(struct reading *r, uint64_t *out)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t b;
        if (!take(r, &b, 1) || (shift == 63 && b > 1))
            return false;
        n |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *out = n;
            return true;
        }
    }
    return false;
}

static bool take_blob(struct reading *r, struct bytes *out)
{
    uint64_t n;
    if (!take_varint(r, &n) || n > r->left.len || n > UINT32_MAX)
        return false;
    *out = bytes_of(r->left.at, (size_t)n);
    r->left = bytes_from(r->left, (size_t)n);
    return utf8_valid(*out, true);
}

static enum code read_value(struct reading *r, struct value *out);

static enum code read_record(struct reading *r, struct value *out, uint32_t count)
{
    struct record_value *record = arena_take(r->arena, sizeof *record);
    struct record_field *fields = arena_take(r->arena, count * sizeof *fields);
    if (!record || !fields)
        return FAIL(r->why, CODE_NOMEM, 0, "no memory for a stored value");
    for (uint32_t i = 0; i < count; i++) {
        if (!take_blob(r, &fields[i].name))
            return damaged(r, "the name of a field");
        enum code code = read_value(r, &fields[i].value);
        if (code)
            return code;
    }
    *record = (struct record_value){count, fields};
    *out = (struct value){.type = VALUE_RECORD, .record = record};
    return CODE_OK;
}

static enum code read_array(struct reading *r, struct value *out, uint32_t count)
{
    struct array_value *array = arena_take(r->arena, sizeof *array);
    struct value *items = arena_take(r->arena, count * sizeof *items);
    if (!array || !items)
        return FAIL(r->why, CODE_NOMEM, 0, "no memory for a stored value");
    for (uint32_t i = 0; i < count; i++) {
        enum code code = read_value(r, &items[i]);
        if (code)
            return code;
    }
    *array = (struct array_value){count, items};
    *out = (struct value){.type = VALUE_ARRAY, .array = array};
    return CODE_OK;
}

static enum code read_nested(struct reading *r, struct value *out, bool record)
{
    uint64_t count;
    /* A field takes two bytes at least and an item one, so a false count asks for no more memory than 32 times what is there. */
    if (!take_varint(r, &count) || count > r->left.len / (record ? 2 : 1) || count > UINT32_MAX)
        return damaged(r, "a count");
    if (r->depth == VALUE_DEPTH)
        return damaged(r, "nested too deeply");
    r->depth++;
    enum code code = record ? read_record(r, out, (uint32_t)count) : read_array(r, out, (uint32_t)count);
    r->depth--;
    return code;
}

static enum code read_text(struct reading *r, struct value *out)
{
    struct bytes b;
    if (!take_blob(r, &b))
        return damaged(r, "a text");
    *out = value_text(b);
    return CODE_OK;
}

static enum code read_number(struct reading *r, uint8_t type, struct value *out)
{
    uint8_t w[8];
    if (!take(r, w, sizeof w))
        return damaged(r, "a number is cut off");
    uint64_t n = 0;
    for (unsigned i = 0; i < 8; i++)
        n |= (uint64_t)w[i] << (8 * i);
    *out = (struct value){.type = type};
    memcpy(&out->i, &n, 8);
    if (type == VALUE_FLOAT && !isfinite(out->f))
        return damaged(r, "a float that is no number");
    if (type == VALUE_DATETIME && (out->i < 0 || out->i > DATETIME_MAX))
        return damaged(r, "a datetime outside of the years 1 to 9999");
    return CODE_OK;
}

static enum code read_value(struct reading *r, struct value *out)
{
    uint8_t type, bit;
    if (!take(r, &type, 1))
        return damaged(r, "it is cut off");
    switch (type) {
    case VALUE_NULL: *out = value_null(); return CODE_OK;
    case VALUE_BIT:
        if (!take(r, &bit, 1) || bit > 1)
            return damaged(r, "a bit");
        *out = value_bit(bit);
        return CODE_OK;
    case VALUE_BIGINT:
    case VALUE_FLOAT:
    case VALUE_DATETIME: return read_number(r, type, out);
    case VALUE_TEXT: return read_text(r, out);
    case VALUE_RECORD: return read_nested(r, out, true);
    case VALUE_ARRAY: return read_nested(r, out, false);
    default: return damaged(r, "an unknown type");
    }
}

enum code value_read(struct value *out, struct bytes *from, struct arena *arena, struct fault *why)
{
    struct reading r = {.left = *from, .start = from->at, .arena = arena, .why = why};
    enum code code = read_value(&r, out);
    if (!code)
        *from = r.left;
    return code;
}
