/* Records and arrays, and what chooses among values of any type. */
#include "expr/function.h"
#include "expr/program.h"

static bool array_element(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    bool there = a[1].i >= 0 && a[1].i < (int64_t)a[0].array->count;
    *out = there ? a[0].array->items[a[1].i] : value_null();
    return true;
}

static bool array_length(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = value_bigint(a[0].array->count);
    return true;
}

/* `count` records of two fields each, in one array. */
static struct record_field *pairs(struct call *c, uint32_t count, const char *first, const char *second,
                                  struct value *out)
{
    size_t each = sizeof(struct record_value) + 2 * sizeof(struct record_field);
    struct array_value *array = call_take(c, sizeof *array);
    struct value *items = array ? call_take(c, count * sizeof *items) : NULL;
    struct record_field *fields = items ? call_take(c, count * each) : NULL;
    if (!fields)
        return NULL;
    struct record_value *records = (struct record_value *)(void *)(fields + 2 * (size_t)count);
    for (uint32_t i = 0; i < count; i++) {
        fields[2 * i].name = bytes_str(first);
        fields[2 * i + 1].name = bytes_str(second);
        records[i] = (struct record_value){2, &fields[2 * i]};
        items[i] = (struct value){.type = VALUE_RECORD, .record = &records[i]};
    }
    *array = (struct array_value){count, items};
    *out = (struct value){.type = VALUE_ARRAY, .array = array};
    return fields;
}

static bool array_elements(struct call *c, const struct value *a, struct value *out)
{
    struct record_field *f = pairs(c, a[0].array->count, "ArrayIndex", "ArrayValue", out);
    for (uint32_t i = 0; f && i < a[0].array->count; i++) {
        f[2 * i].value = value_bigint(i);
        f[2 * i + 1].value = a[0].array->items[i];
    }
    return f != NULL;
}

static bool record_properties(struct call *c, const struct value *a, struct value *out)
{
    struct record_field *f = pairs(c, a[0].record->count, "PropertyName", "PropertyValue", out);
    for (uint32_t i = 0; f && i < a[0].record->count; i++) {
        f[2 * i].value = value_text(a[0].record->fields[i].name);
        f[2 * i + 1].value = a[0].record->fields[i].value;
    }
    return f != NULL;
}

static bool record_property(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = value_field(a[0], value_bytes(a[1]));
    return true;
}

static bool type_of(struct call *c, const struct value *a, struct value *out)
{
    (void)c;
    *out = value_text(bytes_str(value_type_name((enum value_type)a[0].type)));
    return true;
}

static const struct function list[] = {
    {"COALESCE", 1, ARGS_MAX, FUNCTION_COALESCE, {TYPE_ANY}, NULL},
    {"GetArrayElement", 2, 2, 0, {TYPE_ARRAY, TYPE_BIGINT}, array_element},
    {"GetArrayElements", 1, 1, 0, {TYPE_ARRAY}, array_elements},
    {"GetArrayLength", 1, 1, 0, {TYPE_ARRAY}, array_length},
    {"GetRecordProperties", 1, 1, 0, {TYPE_RECORD}, record_properties},
    {"GetRecordPropertyValue", 2, 2, 0, {TYPE_RECORD, TYPE_TEXT}, record_property},
    {"GetType", 1, 1, 0, {TYPE_ANY}, type_of},
    {"IIF", 3, 3, FUNCTION_IIF, {TYPE_ANY}, NULL},
    {"NULLIF", 2, 2, FUNCTION_NULLIF, {TYPE_ANY}, NULL},
};
const struct functions functions_nested = {list, sizeof list / sizeof list[0]};
