/* Joins with reference data: read as a whole, looked up by the equalities of ON, swapped at once. */
#include "stream/csv.h"
#include "stream/run.h"

enum { REFERENCE_BYTES_MAX = 512 << 20, NO_ROW = -1 };

struct lookup_entry {
    struct keyed_entry entry;
    int32_t            first, last;
};
struct lookup_index {
    struct keyed  table;
    struct arena  memory;
    int32_t      *next; /* rows of the same key, in their order */
};

/* ---- the data ---- */

static enum code too_large(const struct reference_data *d, size_t need, struct fault *why)
{
    if (d->memory.used + need < REFERENCE_BYTES_MAX)
        return FAIL(why, CODE_NOMEM, 0, "no memory for reference data");
    return FAIL(why, CODE_LIMIT, 0, "reference data of more than %d MiB", REFERENCE_BYTES_MAX >> 20);
}

enum code reference_begin(struct stream *s, struct reference_data *d, uint32_t count, struct fault *why)
{
    (void)s;
    *d = (struct reference_data){ .count = count };
    arena_init(&d->memory, NULL, 0, REFERENCE_BYTES_MAX);
    size_t need = ((size_t)count + 1) * sizeof *d->whole;
    if ((d->whole = arena_take(&d->memory, need)))
        return CODE_OK;
    enum code code = too_large(d, need, why);
    reference_free(d);
    return code;
}

void reference_free(struct reference_data *d)
{
    arena_clear(&d->memory);
    d->count = 0;
    d->whole = d->slots = NULL;
}

enum code reference_layout(struct stream *s, uint32_t reference, struct reference_data *d, struct fault *why)
{
    const struct reference *r = s->query->references;
    while (reference--)
        r = r->next;
    uint32_t width = r->fields.count;
    size_t need = ((size_t)d->count * width + 1) * sizeof *d->slots;
    if (!(d->slots = arena_take(&d->memory, need)))
        return too_large(d, need, why);
    for (uint32_t i = 0; i < d->count; i++)
        for (uint32_t k = 0; k < width; k++) {
            struct value v = d->whole[i];
            for (uint32_t p = 0; p < r->fields.at[k].count; p++)
                v = value_field(v, r->fields.at[k].parts[p]);
            d->slots[(size_t)i * width + k] = v;
        }
    return CODE_OK;
}

static void index_free(struct lookup_index *index)
{
    if (!index)
        return;
    keyed_clear(&index->table);
    arena_clear(&index->memory);
    mem_free(index);
}

void lookups_free(struct stream *s)
{
    for (uint32_t i = 0; i < s->query->lookup_count; i++)
        index_free(s->lookups[i]);
}

void reference_swap(struct stream *s, uint32_t reference, const struct reference_data *fresh)
{
    for (uint32_t i = 0; i < s->query->op_count; i++) {
        const struct op *op = s->query->ops[i];
        if (op->kind != OP_LOOKUP || op->lookup.reference->index != reference)
            continue;
        index_free(s->lookups[op->lookup.index]);
        s->lookups[op->lookup.index] = NULL;
    }
    reference_free(&s->references[reference]);
    s->references[reference] = *fresh;
}

/* Objects one after the other, or arrays of them. */
static enum code add_rows(struct reference_data *d, struct value v, uint32_t *n, uint32_t room, struct fault *why)
{
    uint32_t count = v.type == VALUE_ARRAY ? v.array->count : 1;
    for (uint32_t i = 0; i < count; i++) {
        struct value row = v.type == VALUE_ARRAY ? v.array->items[i] : v;
        if (row.type != VALUE_RECORD)
            return FAIL(why, CODE_MALFORMED, 0, "reference data holds a %s where a row (an object) is expected", value_type_name(row.type));
        FG_ASSERT(*n < room);
        d->whole[(*n)++] = row;
    }
    return CODE_OK;
}

static enum code read_json(struct stream *s, struct reference_data *d, struct bytes text, struct fault *why)
{
    struct arena whole;
    struct value v;
    struct buf list = { 0 };
    uint32_t n = 0;
    /* One text that is a value as a whole, or lines. */
    arena_init(&whole, NULL, 0, REFERENCE_BYTES_MAX);
    enum code code = json_value(text, &whole, &v, why);
    if (code == CODE_MALFORMED) {
        bool first = true;
        buf_u8(&list, '[');
        for (struct bytes rest = text; rest.len;) {
            const uint8_t *end = memchr(rest.at, '\n', rest.len);
            size_t len = end ? (size_t)(end - rest.at) : rest.len;
            bool blank = true;
            for (size_t i = 0; i < len; i++)
                blank &= rest.at[i] == ' ' || rest.at[i] == '\t' || rest.at[i] == '\r';
            if (!blank) {
                if (!first)
                    buf_u8(&list, ',');
                first = false;
                buf_add(&list, rest.at, len);
            }
            rest = bytes_from(rest, end ? len + 1 : len);
        }
        buf_u8(&list, ']');
        arena_reset(&whole);
        code = list.bad ? FAIL(why, CODE_NOMEM, 0, "no memory for reference data") : json_value(buf_bytes(&list), &whole, &v, why);
    }
    if (code == CODE_OK) {
        uint32_t count = v.type == VALUE_ARRAY ? v.array->count : 1;
        code = reference_begin(s, d, count, why);
        if (code == CODE_OK && (code = add_rows(d, v, &n, count, why)) == CODE_OK)
            for (uint32_t i = 0; i < n && code == CODE_OK; i++)
                code = value_copy(&d->whole[i], d->whole[i], &d->memory);
        if (code != CODE_OK)
            reference_free(d);
    }
    arena_clear(&whole);
    buf_clear(&list);
    return code;
}

static enum code csv_as_json(struct bytes text, struct buf *out, struct fault *why)
{
    struct csv csv = { 0 };
    size_t n = csv_record(text, true);
    bool first = true;
    enum code code = csv_header(&csv, text.len ? bytes_of(text.at, n) : BYTES_NONE, why);
    buf_u8(out, '[');
    for (struct bytes rest = bytes_from(text, n); code == CODE_OK && rest.len; rest = bytes_from(rest, n)) {
        n = csv_record(rest, true);
        if (n <= 2 && (rest.at[0] == '\n' || rest.at[0] == '\r'))
            continue;
        if (!first)
            buf_u8(out, ',');
        first = false;
        code = csv_object(&csv, bytes_of(rest.at, n), out, why);
    }
    buf_u8(out, ']');
    csv_clear(&csv);
    return code == CODE_OK && out->bad ? FAIL(why, CODE_NOMEM, 0, "no memory for reference data") : code;
}

enum code stream_reference(struct stream *s, uint32_t reference, enum stream_format format, struct bytes text, struct fault *why)
{
    struct fault local;
    struct reference_data fresh = { 0 };
    struct buf json = { 0 };
    enum code code = CODE_OK;
    why = why ? why : &local;
    FG_ASSERT(reference < s->query->reference_count);
    if (format == STREAM_CSV)
        code = csv_as_json(text, &json, why);
    if (code == CODE_OK)
        code = read_json(s, &fresh, format == STREAM_CSV ? buf_bytes(&json) : text, why);
    buf_clear(&json);
    if (code != CODE_OK)
        return code;
    code = reference_layout(s, reference, &fresh, why);
    if (code == CODE_OK)
        reference_swap(s, reference, &fresh);
    else
        reference_free(&fresh);
    return code;
}

/* ---- the index of one join ---- */

static enum code index_row(struct stream *s, const struct op *op, struct lookup_index *index, const struct value *slots, int32_t row)
{
    struct value keys[16];
    FG_ASSERT(op->lookup.keys <= 16);
    index->next[row] = NO_ROW;
    struct row r = { slots, 0 };
    bool found;
    TRY(join_eval(s, op->lookup.right_keys, op->lookup.keys, &r, keys, &found));
    if (!found)
        return CODE_OK;
    uint64_t hash = keyed_hash(&index->table, keys, op->lookup.keys);
    struct lookup_entry *e = (struct lookup_entry *)keyed_find(&index->table, hash, keys, op->lookup.keys);
    if (e) {
        index->next[e->last] = row;
        e->last = row;
        return CODE_OK;
    }
    e = arena_take(&index->memory, sizeof *e);
    struct value *kept = arena_take(&index->memory, op->lookup.keys * sizeof *kept);
    if (!e || !kept)
        return run_no_memory(s);
    for (uint32_t i = 0; i < op->lookup.keys; i++)
        TRY(value_copy(&kept[i], keys[i], &index->memory));
    *e = (struct lookup_entry){ .entry = { .hash = hash, .keys = kept }, .first = row, .last = row };
    return keyed_put(&index->table, &e->entry);
}

static enum code build(struct stream *s, const struct op *op)
{
    const struct reference_data *d = &s->references[op->lookup.reference->index];
    struct lookup_index *index = mem_zalloc(1, sizeof *index);
    if (!index)
        return run_no_memory(s);
    arena_init(&index->memory, NULL, 0, REFERENCE_BYTES_MAX);
    index->table.fold = s->query->options.ignore_case;
    s->lookups[op->lookup.index] = index;
    index->next = arena_take(&index->memory, ((size_t)d->count + 1) * sizeof *index->next);
    enum code code = index->next ? CODE_OK : CODE_NOMEM;
    for (uint32_t i = 0; i < d->count && code == CODE_OK; i++) {
        struct arena_mark mark = arena_mark(&s->scratch);
        code = index_row(s, op, index, d->slots + (size_t)i * op->lookup.right_width, (int32_t)i);
        arena_release(&s->scratch, mark);
    }
    if (code == CODE_OK)
        return CODE_OK;
    index_free(index);
    s->lookups[op->lookup.index] = NULL;
    return run_no_memory(s);
}

/* ---- rows ---- */

enum code lookup_row(struct stream *s, struct lane *l, const struct op *op, const struct row *r)
{
    const struct reference_data *d = &s->references[op->lookup.reference->index];
    uint32_t left = op->lookup.left_width, right = op->lookup.right_width;
    struct value keys[16], *slots = run_take(s, op->width, sizeof *slots);
    bool found = false;
    if (!slots)
        return run_no_memory(s);
    if (!s->lookups[op->lookup.index])
        TRY(build(s, op));
    struct lookup_index *index = s->lookups[op->lookup.index];
    memcpy(slots, r->slots, left * sizeof *slots);
    struct lookup_entry *e = NULL;
    bool keyed;
    TRY(join_eval(s, op->lookup.left_keys, op->lookup.keys, r, keys, &keyed));
    if (keyed)
        e = (struct lookup_entry *)keyed_find(&index->table, keyed_hash(&index->table, keys, op->lookup.keys), keys, op->lookup.keys);
    struct row out = { slots, r->time };
    for (int32_t i = e ? e->first : NO_ROW; i != NO_ROW; i = index->next[i]) {
        struct arena_mark mark = arena_mark(&s->scratch);
        bool match = false;
        memcpy(slots + left, d->slots + (size_t)i * right, right * sizeof *slots);
        enum code code = join_matches(s, op->lookup.on, &out, &match);
        if (match)
            code = run_emit(s, l, op, &out);
        arena_release(&s->scratch, mark);
        if (code != CODE_OK)
            return code;
        found |= match;
    }
    if (found || !op->lookup.outer)
        return CODE_OK;
    for (uint32_t i = 0; i < right; i++)
        slots[left + i] = value_null();
    return run_emit(s, l, op, &out);
}
