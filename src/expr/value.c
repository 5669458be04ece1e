#include "expr/value.h"

#include "base/hash.h"

#include <math.h>

const char *value_type_name(enum value_type type)
{
    static const char *const names[] = {
        [VALUE_NULL] = "null",     [VALUE_BIT] = "bit",           [VALUE_BIGINT] = "bigint",
        [VALUE_FLOAT] = "float",   [VALUE_DATETIME] = "datetime", [VALUE_TEXT] = "nvarchar(max)",
        [VALUE_RECORD] = "record", [VALUE_ARRAY] = "array",
    };
    return names[type];
}

static uint8_t fold(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool equal_folded(struct bytes a, struct bytes b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (fold(a.at[i]) != fold(b.at[i]))
            return false;
    return true;
}

struct value value_field(struct value v, struct bytes name)
{
    if (v.type != VALUE_RECORD)
        return value_null();
    const struct record_field *near = NULL;
    for (uint32_t i = 0; i < v.record->count; i++) {
        const struct record_field *f = &v.record->fields[i];
        if (f->name.len != name.len)
            continue;
        if (bytes_equal(f->name, name))
            return f->value;
        if (equal_folded(f->name, name)) /* the last of several */
            near = f;
    }
    return near ? near->value : value_null();
}

/* ---- copies ---- */

static bool copy_bytes(struct bytes *out, struct bytes b, struct arena *arena)
{
    uint8_t *at = arena_take(arena, b.len);
    if (!at)
        return false;
    if (b.len)
        memcpy(at, b.at, b.len);
    *out = bytes_of(at, b.len);
    return true;
}

static enum code copy_record(struct value *out, const struct record_value *from, struct arena *arena)
{
    struct record_value *r = arena_take(arena, sizeof *r);
    struct record_field *fields = arena_take(arena, from->count * sizeof *fields);
    if (!r || !fields)
        return CODE_NOMEM;
    for (uint32_t i = 0; i < from->count; i++) {
        if (!copy_bytes(&fields[i].name, from->fields[i].name, arena))
            return CODE_NOMEM;
        enum code code = value_copy(&fields[i].value, from->fields[i].value, arena);
        if (code)
            return code;
    }
    *r = (struct record_value){from->count, fields};
    *out = (struct value){.type = VALUE_RECORD, .record = r};
    return CODE_OK;
}

static enum code copy_array(struct value *out, const struct array_value *from, struct arena *arena)
{
    struct array_value *a = arena_take(arena, sizeof *a);
    struct value *items = arena_take(arena, from->count * sizeof *items);
    if (!a || !items)
        return CODE_NOMEM;
    for (uint32_t i = 0; i < from->count; i++) {
        enum code code = value_copy(&items[i], from->items[i], arena);
        if (code)
            return code;
    }
    *a = (struct array_value){from->count, items};
    *out = (struct value){.type = VALUE_ARRAY, .array = a};
    return CODE_OK;
}

enum code value_copy(struct value *out, struct value v, struct arena *arena)
{
    if (v.type == VALUE_RECORD)
        return copy_record(out, v.record, arena);
    if (v.type == VALUE_ARRAY)
        return copy_array(out, v.array, arena);
    *out = v;
    if (v.type == VALUE_TEXT) {
        struct bytes b;
        if (!copy_bytes(&b, value_bytes(v), arena))
            return CODE_NOMEM;
        out->text = b.at;
    }
    return CODE_OK;
}

static size_t piece(size_t n) /* what an arena makes of it */
{
    return ((n ? n : 1) + 15) & ~(size_t)15;
}

size_t value_size(struct value v)
{
    size_t n = 0;
    if (v.type == VALUE_TEXT)
        return piece(v.len);
    if (v.type == VALUE_RECORD) {
        n = piece(sizeof *v.record) + piece(v.record->count * sizeof *v.record->fields);
        for (uint32_t i = 0; i < v.record->count; i++)
            n += piece(v.record->fields[i].name.len) + value_size(v.record->fields[i].value);
    } else if (v.type == VALUE_ARRAY) {
        n = piece(sizeof *v.array) + piece(v.array->count * sizeof *v.array->items);
        for (uint32_t i = 0; i < v.array->count; i++)
            n += value_size(v.array->items[i]);
    }
    return n;
}

/* ---- order ---- */

static int sign_of(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* Exact: a double holds few of the integers beyond 2^53, so the integer is never made one. */
static int compare_mixed(int64_t i, double f)
{
    if (f >= 0x1p63)
        return -1;
    if (f < -0x1p63)
        return 1;
    double whole = trunc(f);
    int sign = sign_of(i, (int64_t)whole);
    return sign ? sign : (whole > f) - (whole < f);
}

static int compare_numbers(struct value a, struct value b)
{
    if (a.type == VALUE_FLOAT && b.type == VALUE_FLOAT)
        return (a.f > b.f) - (a.f < b.f);
    if (a.type == VALUE_FLOAT)
        return -compare_mixed(b.i, a.f);
    if (b.type == VALUE_FLOAT)
        return compare_mixed(a.i, b.f);
    return sign_of(a.i, b.i);
}

static int compare_bytes(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int sign = n ? memcmp(a.at, b.at, n) : 0;
    return sign ? (sign > 0) - (sign < 0) : (a.len > b.len) - (a.len < b.len);
}

/* The field with the smallest name above `after` (NULL: of all). */
static const struct record_field *next_field(const struct record_value *r, const struct record_field *after)
{
    const struct record_field *best = NULL;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct record_field *f = &r->fields[i];
        if ((!after || compare_bytes(f->name, after->name) > 0) && (!best || compare_bytes(f->name, best->name) < 0))
            best = f;
    }
    return best;
}

static int order_fields(const struct record_field *a, const struct record_field *b)
{
    int sign = compare_bytes(a->name, b->name);
    return sign ? sign : value_order(a->value, b->value);
}

/* By content: in what order the fields stand does not count. Mostly it is the same. */
static int order_records(const struct record_value *a, const struct record_value *b)
{
    bool same = a->count == b->count;
    for (uint32_t i = 0; same && i < a->count; i++)
        same = order_fields(&a->fields[i], &b->fields[i]) == 0;
    if (same)
        return 0;
    const struct record_field *x = next_field(a, NULL), *y = next_field(b, NULL);
    for (; x && y; x = next_field(a, x), y = next_field(b, y)) {
        int sign = order_fields(x, y);
        if (sign)
            return sign;
    }
    return (x != NULL) - (y != NULL);
}

static int order_arrays(const struct array_value *a, const struct array_value *b)
{
    uint32_t n = a->count < b->count ? a->count : b->count;
    for (uint32_t i = 0; i < n; i++) {
        int sign = value_order(a->items[i], b->items[i]);
        if (sign)
            return sign;
    }
    return (a->count > b->count) - (a->count < b->count);
}

static bool is_number(struct value v)
{
    return v.type == VALUE_BIGINT || v.type == VALUE_FLOAT;
}

int value_order(struct value a, struct value b)
{
    if (is_number(a) && is_number(b))
        return compare_numbers(a, b);
    if (a.type != b.type)
        return a.type > b.type ? 1 : -1;
    switch ((enum value_type)a.type) {
    case VALUE_BIT:
    case VALUE_DATETIME: return sign_of(a.i, b.i);
    case VALUE_TEXT: return compare_bytes(value_bytes(a), value_bytes(b));
    case VALUE_RECORD: return order_records(a.record, b.record);
    case VALUE_ARRAY: return order_arrays(a.array, b.array);
    default: return 0;
    }
}

static uint64_t mix(uint64_t h, uint64_t more)
{
    uint64_t both[2] = {h, more};
    return hash_keyed(bytes_of(both, sizeof both));
}

/* A float that is a bigint's equal hashes as that bigint; -0.0 as 0. */
static uint64_t hash_number(struct value v)
{
    if (v.type == VALUE_FLOAT && v.f >= -0x1p63 && v.f < 0x1p63 && trunc(v.f) == v.f)
        v = value_bigint((int64_t)v.f);
    uint64_t word[2] = {v.type, 0};
    memcpy(&word[1], &v.i, 8);
    return hash_keyed(bytes_of(word, sizeof word));
}

uint64_t value_hash(struct value v)
{
    uint64_t h = v.type;
    switch ((enum value_type)v.type) {
    case VALUE_BIGINT:
    case VALUE_FLOAT: return hash_number(v);
    case VALUE_BIT:
    case VALUE_DATETIME: return mix(h, (uint64_t)v.i);
    case VALUE_TEXT: return mix(h, hash_keyed(value_bytes(v)));
    case VALUE_RECORD:
        for (uint32_t i = 0; i < v.record->count; i++)
            h += mix(hash_keyed(v.record->fields[i].name), value_hash(v.record->fields[i].value));
        return mix(h, v.record->count);
    case VALUE_ARRAY:
        for (uint32_t i = 0; i < v.array->count; i++)
            h = mix(h, value_hash(v.array->items[i]));
        return mix(h, v.array->count);
    default: return mix(h, 0);
    }
}

static bool compare_unlike(struct value a, struct value b, int *sign)
{
    int64_t ticks;
    if (a.type == VALUE_DATETIME && b.type == VALUE_TEXT && datetime_parse(value_bytes(b), &ticks)) {
        *sign = sign_of(a.i, ticks);
        return true;
    }
    if (a.type == VALUE_TEXT && b.type == VALUE_DATETIME && datetime_parse(value_bytes(a), &ticks)) {
        *sign = sign_of(ticks, b.i);
        return true;
    }
    if ((a.type == VALUE_BIT && is_number(b)) || (is_number(a) && b.type == VALUE_BIT)) {
        a.type = a.type == VALUE_BIT ? VALUE_BIGINT : a.type;
        b.type = b.type == VALUE_BIT ? VALUE_BIGINT : b.type;
        *sign = compare_numbers(a, b);
        return true;
    }
    return false;
}

bool value_compare(struct value a, struct value b, int *sign, bool *mismatch)
{
    *mismatch = false;
    if (a.type == VALUE_NULL || b.type == VALUE_NULL)
        return false;
    if (is_number(a) && is_number(b)) {
        *sign = compare_numbers(a, b);
        return true;
    }
    if (a.type == b.type && a.type < VALUE_RECORD) {
        *sign = value_order(a, b);
        return true;
    }
    *mismatch = !compare_unlike(a, b, sign);
    return !*mismatch;
}
