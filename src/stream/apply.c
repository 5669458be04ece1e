/* CROSS and OUTER APPLY: a row for each element of an array or each property of a record. Behind the row's slots come the index or name,
 * the value, and both as a record. */
#include "stream/run.h"

static const char *const names[2][2] = { { "ArrayIndex", "ArrayValue" }, { "PropertyName", "PropertyValue" } };

static enum code emit(struct stream *s, struct lane *l, const struct op *op, struct row *r, struct value *slots, struct value first,
                      struct value second)
{
    struct arena_mark mark = arena_mark(&s->scratch);
    struct record_field fields[2] = { { bytes_str(names[op->apply.record][0]), first },
                                      { bytes_str(names[op->apply.record][1]), second } };
    struct record_value record = { .count = 2, .fields = fields };
    struct value *at = slots + op->apply.from;
    at[0] = first;
    at[1] = second;
    at[2] = (struct value){ .type = VALUE_RECORD, .record = &record };
    enum code code = run_emit(s, l, op, r);
    arena_release(&s->scratch, mark);
    return code;
}

static enum code emit_none(struct stream *s, struct lane *l, const struct op *op, struct row *r, struct value *slots)
{
    for (uint32_t i = 0; i < 3; i++)
        slots[op->apply.from + i] = value_null();
    return run_emit(s, l, op, r);
}

enum code apply_row(struct stream *s, struct lane *l, const struct op *op, const struct row *r)
{
    struct value v;
    run_at(s, r);
    enum code code = expr_eval(op->apply.e, &s->eval, &v);
    uint8_t wanted = op->apply.record ? VALUE_RECORD : VALUE_ARRAY;
    if (code == CODE_OK && v.type != VALUE_NULL && v.type != wanted)
        code = FAIL(&s->eval.why, CODE_MALFORMED, 0,
                    "The 1st argument of function %s has invalid type '%s'. Only '%s' is allowed. At line '%u' and column '%u'.",
                    op->apply.record ? "GetRecordProperties" : "GetArrayElements", value_type_name(v.type), value_type_name(wanted),
                    op->at.line, op->at.column);
    if (code != CODE_OK)
        return run_failed(s, code);
    struct value *slots = run_take(s, op->width, sizeof *slots);
    if (!slots)
        return run_no_memory(s);
    if (op->apply.from)
        memcpy(slots, r->slots, op->apply.from * sizeof *slots);
    struct row out = { slots, r->time };
    uint32_t count = v.type == VALUE_RECORD ? v.record->count : v.type == VALUE_ARRAY ? v.array->count : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (op->apply.record)
            TRY(emit(s, l, op, &out, slots, value_text(v.record->fields[i].name), v.record->fields[i].value));
        else
            TRY(emit(s, l, op, &out, slots, value_bigint(i), v.array->items[i]));
    }
    return !count && op->apply.outer ? emit_none(s, l, op, &out, slots) : CODE_OK;
}
