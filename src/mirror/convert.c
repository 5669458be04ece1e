#include "mirror/convert.h"

#include "base/number.h"
#include "opcua/from_text.h"
#include "opcua/status.h"

#include <float.h>
#include <math.h>

/* Ticks from the year 1 to 1601, and from the year 1 to 1970. */
#define TICKS_1601 504911232000000000LL
#define SECONDS_9999 253402300800.0

static const struct {
    int64_t low;
    uint64_t high;
} bounds[] = { [UA_SBYTE] = { INT8_MIN, INT8_MAX },  [UA_BYTE] = { 0, UINT8_MAX },     [UA_INT16] = { INT16_MIN, INT16_MAX },
               [UA_UINT16] = { 0, UINT16_MAX },      [UA_INT32] = { INT32_MIN, INT32_MAX }, [UA_UINT32] = { 0, UINT32_MAX },
               [UA_INT64] = { INT64_MIN, INT64_MAX }, [UA_UINT64] = { 0, UINT64_MAX } };

static ua_status put_integer(struct ua_variant *out, unsigned type, int64_t i)
{
    if (i < bounds[type].low || (i > 0 && (uint64_t)i > bounds[type].high))
        return UA_BAD_OUT_OF_RANGE;
    switch (type) {
    case UA_SBYTE:
        out->i8 = (int8_t)i;
        break;
    case UA_BYTE:
        out->u8 = (uint8_t)i;
        break;
    case UA_INT16:
        out->i16 = (int16_t)i;
        break;
    case UA_UINT16:
        out->u16 = (uint16_t)i;
        break;
    case UA_INT32:
        out->i32 = (int32_t)i;
        break;
    case UA_UINT32:
        out->u32 = (uint32_t)i;
        break;
    case UA_INT64:
        out->i64 = i;
        break;
    default:
        out->u64 = (uint64_t)i;
        break;
    }
    return UA_GOOD;
}

static ua_status put_float(struct ua_variant *out, unsigned type, double f)
{
    if (type == UA_DOUBLE) {
        out->f64 = f;
        return UA_GOOD;
    }
    if (fabs(f) > (double)FLT_MAX)
        return UA_BAD_OUT_OF_RANGE;
    out->f32 = (float)f;
    return UA_GOOD;
}

static ua_status put_number(struct ua_variant *out, unsigned type, struct value v)
{
    double f = v.type == VALUE_FLOAT ? v.f : (double)v.i;
    if (type == UA_FLOAT || type == UA_DOUBLE)
        return put_float(out, type, f);
    if (type == UA_BOOLEAN) {
        out->boolean = f != 0;
        return f == 0 || f == 1 ? UA_GOOD : UA_BAD_OUT_OF_RANGE;
    }
    if (v.type == VALUE_BIGINT)
        return put_integer(out, type, v.i);
    if (f != floor(f))
        return UA_BAD_TYPE_MISMATCH;
    return f >= -9223372036854775808.0 && f < 9223372036854775808.0 ? put_integer(out, type, (int64_t)f) : UA_BAD_OUT_OF_RANGE;
}

static ua_status put_json(struct ua_variant *out, struct value v, struct arena *arena)
{
    struct buf text = { 0 };
    value_write_json(&text, v);
    char *copy = text.bad ? NULL : arena_text(arena, buf_bytes(&text));
    out->text = bytes_of(copy, text.len);
    buf_clear(&text);
    return copy ? UA_GOOD : UA_BAD_OUT_OF_MEMORY;
}

ua_status mirror_convert(struct ua_variant *out, unsigned type, struct value v, struct arena *arena)
{
    ua_time t;
    *out = (struct ua_variant){ .type = (uint8_t)type };
    switch (v.type) {
    case VALUE_NULL:
        return UA_BAD_NO_DATA;
    case VALUE_TEXT:
        if (type != UA_STRING)
            return mirror_convert_text(out, type, value_bytes(v), arena);
        out->text = value_bytes(v);
        return UA_GOOD;
    case VALUE_BIT:
        if (type == UA_STRING)
            return put_json(out, v, arena);
        out->boolean = v.i != 0;
        return type == UA_BOOLEAN ? UA_GOOD : UA_BAD_TYPE_MISMATCH;
    case VALUE_BIGINT:
    case VALUE_FLOAT:
        if (type == UA_STRING)
            return put_json(out, v, arena);
        if (type != UA_DATE_TIME)
            return put_number(out, type, v);
        if (!mirror_time(v, &t))
            return UA_BAD_OUT_OF_RANGE;
        out->time = t;
        return UA_GOOD;
    default:
        return type == UA_STRING ? put_json(out, v, arena) : UA_BAD_TYPE_MISMATCH;
    }
}

static struct bytes trimmed(struct bytes b)
{
    while (b.len && (b.at[0] == ' ' || (b.at[0] >= '\t' && b.at[0] <= '\r')))
        b = bytes_from(b, 1);
    while (b.len && (b.at[b.len - 1] == ' ' || (b.at[b.len - 1] >= '\t' && b.at[b.len - 1] <= '\r')))
        b.len--;
    return b;
}

ua_status mirror_convert_text(struct ua_variant *out, unsigned type, struct bytes payload, struct arena *arena)
{
    struct fault why;
    *out = (struct ua_variant){ .type = (uint8_t)type };
    if (!payload.len)
        return UA_BAD_NO_DATA;
    if (type == UA_STRING) {
        out->text = payload;
        return utf8_valid(payload, true) ? UA_GOOD : UA_BAD_DECODING_ERROR;
    }
    payload = trimmed(payload);
    if (type == UA_DATE_TIME) {
        double n;
        ua_time t;
        bool good = mirror_time(float_parse(payload, &n) ? value_float(n) : value_text(payload), &t);
        if (good)
            out->time = t;
        return good ? UA_GOOD : UA_BAD_TYPE_MISMATCH;
    }
    enum code c = payload.len > 128 ? CODE_USAGE : ua_from_text(out, type, -1, payload, 0, arena, &why);
    return c == CODE_OK ? UA_GOOD : c == CODE_NOMEM ? UA_BAD_OUT_OF_MEMORY : UA_BAD_TYPE_MISMATCH;
}

bool mirror_time(struct value v, ua_time *out)
{
    int64_t ticks;
    if (v.type == VALUE_TEXT) {
        if (!datetime_parse(value_bytes(v), &ticks) || ticks < TICKS_1601 + UA_UNIX_EPOCH)
            return false;
        *out = ticks - TICKS_1601;
        return true;
    }
    if (v.type != VALUE_BIGINT && v.type != VALUE_FLOAT)
        return false;
    double n = v.type == VALUE_FLOAT ? v.f : (double)v.i;
    bool ms = n >= 1e11;
    if (!(n > 0) || n >= SECONDS_9999 * (ms ? 1000 : 1))
        return false;
    if (v.type == VALUE_BIGINT)
        *out = v.i * (ms ? 10000 : 10000000) + UA_UNIX_EPOCH;
    else
        *out = llround(n * (ms ? 1e4 : 1e7)) + UA_UNIX_EPOCH;
    return true;
}
