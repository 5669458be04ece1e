/* The columns of SELECT, as JSON text or as a record. Of two with one name the left one stays. */
#include "stream/run.h"

#include <math.h>

static bool named(const struct columns *c, uint32_t before, const struct value *values, struct bytes name)
{
    for (uint32_t i = 0; i < before; i++) {
        if (c->at[i].name.len) {
            if (bytes_equal(c->at[i].name, name))
                return true;
            continue;
        }
        const struct record_value *r = values[i].type == VALUE_RECORD ? values[i].record : NULL;
        for (uint32_t k = 0; r && k < r->count; k++)
            if (bytes_equal(r->fields[k].name, name))
                return true;
    }
    return false;
}

/* A `*` further left has brought a field of this name. */
static bool shadowed(const struct columns *c, uint32_t column, const struct value *values)
{
    for (uint32_t i = 0; i < column; i++) {
        const struct record_value *r = !c->at[i].name.len && values[i].type == VALUE_RECORD ? values[i].record : NULL;
        for (uint32_t k = 0; r && k < r->count; k++)
            if (bytes_equal(r->fields[k].name, c->at[column].name))
                return true;
    }
    return false;
}

/* All values before anything is written: an error drops the row as a whole. */
static enum code evaluate(struct stream *s, const struct columns *c, const struct row *r, struct value *values)
{
    for (uint32_t i = 0; i < c->count; i++) {
        const struct column *col = &c->at[i];
        enum code code = run_value(s, col->e, col->slot, r, &values[i]);
        if (code != CODE_OK)
            return code;
        if (!col->name.len && values[i].type != VALUE_NULL && values[i].type != VALUE_RECORD)
            return FAIL(&s->eval.why, CODE_MALFORMED, 0, "`*` at line %u, column %u needs a record, got %s", col->at.line,
                        col->at.column, value_type_name(values[i].type));
    }
    return CODE_OK;
}

static void write_lower(struct buf *out, struct bytes name)
{
    size_t from = buf_size(out);
    buf_json(out, name);
    for (size_t i = from; !out->bad && i < buf_size(out); i++) {
        uint8_t *at = &out->at[out->from + i];
        if (*at >= 'A' && *at <= 'Z' && at[-1] != '\\')
            *at = (uint8_t)(*at + 32);
    }
}

/* Names in lower case may become the same: the first one stays. Bits of names that were there save looking for most others. */
struct lowered {
    uint64_t bits[256];
};

static uint32_t lower_hash(struct bytes name)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] + 32u : name.at[i])) * 16777619u;
    return h ^ h >> 15;
}

static bool lowered_before(struct lowered *l, const struct record_value *r, uint32_t field)
{
    uint32_t h = lower_hash(r->fields[field].name) % (256 * 64);
    bool maybe = l->bits[h / 64] >> (h % 64) & 1;
    l->bits[h / 64] |= UINT64_C(1) << (h % 64);
    for (uint32_t i = 0; maybe && i < field; i++)
        if (name_is(r->fields[i].name, r->fields[field].name))
            return true;
    return false;
}

static void write_value(struct stream *s, struct value v, struct buf *out);

static void write_lower_record(struct stream *s, const struct record_value *r, struct buf *out)
{
    struct lowered seen = { 0 };
    bool first = true;
    buf_u8(out, '{');
    for (uint32_t i = 0; i < r->count; i++) {
        if (lowered_before(&seen, r, i))
            continue;
        if (!first)
            buf_u8(out, ',');
        first = false;
        write_lower(out, r->fields[i].name);
        buf_u8(out, ':');
        write_value(s, r->fields[i].value, out);
    }
    buf_u8(out, '}');
}

static void write_value(struct stream *s, struct value v, struct buf *out)
{
    if (v.type == VALUE_FLOAT && !isfinite(v.f)) {
        s->stats.not_finite++;
        buf_add(out, "null", 4);
    } else if (v.type == VALUE_RECORD && s->query->options.lowercase_names) {
        write_lower_record(s, v.record, out);
    } else if (v.type == VALUE_ARRAY && s->query->options.lowercase_names) {
        buf_u8(out, '[');
        for (uint32_t i = 0; i < v.array->count; i++) {
            if (i)
                buf_u8(out, ',');
            write_value(s, v.array->items[i], out);
        }
        buf_u8(out, ']');
    } else {
        value_write_json(out, v);
    }
}

static void write_fields(struct stream *s, const struct columns *c, uint32_t i, const struct value *values, bool *first, struct buf *out)
{
    const struct record_value *r = values[i].record;
    for (uint32_t k = 0; values[i].type == VALUE_RECORD && k < r->count; k++) {
        if (i && named(c, i, values, r->fields[k].name))
            continue;
        if (!*first)
            buf_u8(out, ',');
        *first = false;
        buf_json(out, r->fields[k].name);
        buf_u8(out, ':');
        write_value(s, r->fields[k].value, out);
    }
}

enum code columns_write(struct stream *s, const struct columns *c, const struct row *r, struct buf *out)
{
    if (s->query->options.lowercase_names) { /* rare, and easier from the whole */
        struct value whole;
        TRY(columns_record(s, c, r, &whole));
        write_lower_record(s, whole.record, out);
        return CODE_OK;
    }
    struct value *values = run_take(s, c->count, sizeof *values);
    bool first = true;
    if (!values)
        return run_no_memory(s);
    TRY(evaluate(s, c, r, values));
    buf_u8(out, '{');
    for (uint32_t i = 0; i < c->count; i++) {
        if (!c->at[i].name.len) {
            write_fields(s, c, i, values, &first, out);
            continue;
        }
        if (c->spreads && shadowed(c, i, values))
            continue;
        if (!first)
            buf_u8(out, ',');
        first = false;
        buf_add_bytes(out, c->at[i].label);
        write_value(s, values[i], out);
    }
    buf_u8(out, '}');
    return CODE_OK;
}

enum code columns_record(struct stream *s, const struct columns *c, const struct row *r, struct value *out)
{
    struct value *values = run_take(s, c->count, sizeof *values);
    uint32_t n = 0, room = 0;
    if (!values)
        return run_no_memory(s);
    TRY(evaluate(s, c, r, values));
    for (uint32_t i = 0; i < c->count; i++)
        room += c->at[i].name.len ? 1 : values[i].type == VALUE_RECORD ? values[i].record->count : 0;
    struct record_value *record = run_take(s, 1, sizeof *record);
    struct record_field *fields = run_take(s, room, sizeof *fields);
    if (!record || !fields)
        return run_no_memory(s);
    for (uint32_t i = 0; i < c->count; i++) {
        if (c->at[i].name.len) {
            if (!c->spreads || !shadowed(c, i, values))
                fields[n++] = (struct record_field){ c->at[i].name, values[i] };
            continue;
        }
        const struct record_value *from = values[i].type == VALUE_RECORD ? values[i].record : NULL;
        for (uint32_t k = 0; from && k < from->count; k++)
            if (!i || !named(c, i, values, from->fields[k].name))
                fields[n++] = from->fields[k];
    }
    *record = (struct record_value){ .count = n, .fields = fields };
    *out = (struct value){ .type = VALUE_RECORD, .record = record };
    return CODE_OK;
}
