#include "base/number.h"
#include "expr/value.h"

/* Length of the beginning that is written as it stands. What could steer a terminal (C1 controls are C2 80 to C2 9F) is
 * left to buf_json. */
static size_t plain_run(struct bytes b)
{
    size_t i = 0;
    while (i < b.len && b.at[i] >= 0x20 && b.at[i] != '"' && b.at[i] != '\\' && b.at[i] != 0x7f &&
           !(b.at[i] == 0xc2 && i + 1 < b.len && b.at[i + 1] < 0xa0))
        i++;
    return i;
}

static void write_text(struct buf *out, struct bytes b)
{
    if (plain_run(b) < b.len) {
        buf_json(out, b);
        return;
    }
    uint8_t *at = buf_grow(out, b.len + 2);
    if (!at)
        return;
    at[0] = '"';
    if (b.len)
        memcpy(at + 1, b.at, b.len);
    at[b.len + 1] = '"';
}

static void write_record(struct buf *out, const struct record_value *r)
{
    buf_u8(out, '{');
    for (uint32_t i = 0; i < r->count; i++) {
        if (i)
            buf_u8(out, ',');
        write_text(out, r->fields[i].name);
        buf_u8(out, ':');
        value_write_json(out, r->fields[i].value);
    }
    buf_u8(out, '}');
}

static void write_array(struct buf *out, const struct array_value *a)
{
    buf_u8(out, '[');
    for (uint32_t i = 0; i < a->count; i++) {
        if (i)
            buf_u8(out, ',');
        value_write_json(out, a->items[i]);
    }
    buf_u8(out, ']');
}

void value_write_json(struct buf *out, struct value v)
{
    char text[FLOAT_TEXT];
    switch ((enum value_type)v.type) {
    case VALUE_BIT: buf_add(out, v.i ? "true" : "false", v.i ? 4 : 5); break;
    case VALUE_BIGINT: buf_add(out, text, bigint_write(v.i, text)); break;
    case VALUE_FLOAT: buf_add(out, text, float_write(v.f, text)); break;
    case VALUE_DATETIME:
        datetime_text(v.i, text);
        buf_u8(out, '"');
        buf_add(out, text, DATETIME_TEXT);
        buf_u8(out, '"');
        break;
    case VALUE_TEXT: write_text(out, value_bytes(v)); break;
    case VALUE_RECORD: write_record(out, v.record); break;
    case VALUE_ARRAY: write_array(out, v.array); break;
    default: buf_add(out, "null", 4); break;
    }
}
