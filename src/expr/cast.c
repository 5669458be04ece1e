#include "base/number.h"
#include "expr/value.h"

static struct bytes trimmed(struct bytes b)
{
    while (b.len && (b.at[0] == ' ' || (b.at[0] >= '\t' && b.at[0] <= '\r')))
        b = bytes_from(b, 1);
    while (b.len && (b.at[b.len - 1] == ' ' || (b.at[b.len - 1] >= '\t' && b.at[b.len - 1] <= '\r')))
        b.len--;
    return b;
}

static bool is_word(struct bytes b, const char *word)
{
    for (size_t i = 0; i < b.len; i++)
        if (!word[i] || (b.at[i] | 0x20) != (uint8_t)word[i])
            return false;
    return word[b.len] == 0;
}

static bool to_bigint(struct value v, struct value *out)
{
    *out = value_bigint(v.i);
    if (v.type == VALUE_TEXT)
        return bigint_parse(trimmed(value_bytes(v)), &out->i);
    if (v.type == VALUE_FLOAT) {
        if (!(v.f >= -0x1p63 && v.f < 0x1p63))
            return false;
        out->i = (int64_t)v.f;
        return true;
    }
    return v.type == VALUE_BIT;
}

static bool to_float(struct value v, struct value *out)
{
    *out = value_float((double)v.i);
    if (v.type == VALUE_TEXT)
        return float_parse(trimmed(value_bytes(v)), &out->f);
    return v.type == VALUE_BIT || v.type == VALUE_BIGINT;
}

static bool to_bit(struct value v, struct value *out)
{
    bool on = true;
    if (v.type == VALUE_TEXT) {
        struct bytes b = trimmed(value_bytes(v));
        on = is_word(b, "true") || bytes_is(b, "1");
        if (!on && !is_word(b, "false") && !bytes_is(b, "0"))
            return false;
    } else if (v.type == VALUE_BIGINT) {
        on = v.i != 0;
    } else if (v.type == VALUE_FLOAT) {
        on = v.f != 0;
    } else {
        return false;
    }
    *out = value_bit(on);
    return true;
}

static bool to_datetime(struct value v, struct value *out)
{
    *out = value_datetime(0);
    return v.type == VALUE_TEXT && datetime_parse(trimmed(value_bytes(v)), &out->i);
}

static bool to_text(struct value v, struct value *out, struct arena *arena, bool *nomem)
{
    char text[FLOAT_TEXT];
    size_t n = 0;
    switch ((enum value_type)v.type) {
    case VALUE_BIT:
        n = v.i ? 4 : 5;
        memcpy(text, v.i ? "true" : "false", n);
        break;
    case VALUE_BIGINT: n = bigint_write(v.i, text); break;
    case VALUE_FLOAT: n = float_write(v.f, text); break;
    case VALUE_DATETIME:
        datetime_text(v.i, text);
        n = DATETIME_TEXT;
        break;
    default: return false;
    }
    uint8_t *at = arena_take(arena, n);
    if (!at) {
        *nomem = true;
        return false;
    }
    memcpy(at, text, n);
    *out = value_text(bytes_of(at, n));
    return true;
}

bool value_cast(struct value v, enum value_type to, struct value *out, struct arena *arena, bool *nomem)
{
    *nomem = false;
    if (v.type == VALUE_NULL || v.type == to) {
        *out = v;
        return true;
    }
    switch (to) {
    case VALUE_BIGINT: return to_bigint(v, out);
    case VALUE_FLOAT: return to_float(v, out);
    case VALUE_BIT: return to_bit(v, out);
    case VALUE_DATETIME: return to_datetime(v, out);
    case VALUE_TEXT: return to_text(v, out, arena, nomem);
    default: return false;
    }
}
