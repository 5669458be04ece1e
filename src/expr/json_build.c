#include "expr/json_reader.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"

static bool no_memory(struct walk *w)
{
    return walk_refuse(w, CODE_NOMEM, 0, "no memory for its values");
}

/* ---- texts ---- */

static unsigned hex4(const uint8_t *at)
{
    unsigned n = 0;
    for (int i = 0; i < 4; i++)
        n = n * 16 + (at[i] <= '9' ? (unsigned)(at[i] - '0') : (unsigned)((at[i] | 0x20) - 'a' + 10));
    return n;
}

static uint8_t plain_escape(uint8_t c)
{
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return c;
    }
}

/* The escapes have been checked; what they stand for is never longer than they are. */
static size_t unescape(struct bytes raw, uint8_t *to)
{
    uint8_t *start = to;
    for (size_t i = 0; i < raw.len;) {
        if (raw.at[i] != '\\') {
            *to++ = raw.at[i++];
            continue;
        }
        uint8_t c = raw.at[i + 1];
        if (c != 'u') {
            *to++ = plain_escape(c);
            i += 2;
            continue;
        }
        unsigned code = hex4(raw.at + i + 2);
        i += 6;
        if (code >= 0xd800 && code < 0xdc00) {
            code = 0x10000 + ((code - 0xd800) << 10) + (hex4(raw.at + i + 2) - 0xdc00);
            i += 6;
        }
        to = utf8_put(to, code);
    }
    return (size_t)(to - start);
}

bool build_text(struct walk *w, struct bytes raw, struct bytes *out)
{
    bool escapes = w->escapes && raw.len && memchr(raw.at, '\\', raw.len);
    *out = raw;
    if (!escapes && !w->copy_texts)
        return true;
    uint8_t *at = arena_take(w->arena, raw.len);
    if (!at)
        return no_memory(w);
    if (escapes)
        raw.len = unescape(raw, at);
    else if (raw.len)
        memcpy(at, raw.at, raw.len);
    *out = bytes_of(at, raw.len);
    return true;
}

/* ---- records and arrays: gathered on the stack, then copied in one piece ---- */

static struct record_field *push(struct walk *w)
{
    if (w->used == w->room) {
        uint32_t room = w->room ? 2 * w->room : 64;
        struct record_field *more = mem_realloc(w->stack, room * sizeof *more);
        if (!more) {
            no_memory(w);
            return NULL;
        }
        w->stack = more;
        w->room = room;
    }
    return &w->stack[w->used++];
}

enum { FEW_FIELDS = 16 };

/* Writes the fields' last values over their first ones; returns how many are left. */
static uint32_t merge_few(struct record_field *f, uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = 0;
        while (k < kept && !bytes_equal(f[k].name, f[i].name))
            k++;
        if (k < kept)
            f[k].value = f[i].value;
        else
            f[kept++] = f[i];
    }
    return kept;
}

static bool merge_many(struct walk *w, struct record_field *f, uint32_t *count)
{
    uint32_t places = 64, kept = 0;
    while (places < 2 * *count)
        places *= 2;
    uint32_t *table = mem_zalloc(places, sizeof *table); /* number of the field, from 1 */
    if (!table)
        return no_memory(w);
    for (uint32_t i = 0; i < *count; i++) {
        uint32_t at = (uint32_t)hash_keyed(f[i].name) & (places - 1);
        while (table[at] && !bytes_equal(f[table[at] - 1].name, f[i].name))
            at = (at + 1) & (places - 1);
        if (table[at]) {
            f[table[at] - 1].value = f[i].value;
        } else {
            f[kept] = f[i];
            table[at] = ++kept;
        }
    }
    mem_free(table);
    *count = kept;
    return true;
}

static bool finish_record(struct walk *w, uint32_t from, struct value *out)
{
    uint32_t count = w->used - from;
    struct record_field *f = count ? w->stack + from : NULL;
    if (count <= FEW_FIELDS)
        count = count ? merge_few(f, count) : 0;
    else if (!merge_many(w, f, &count))
        return false;
    struct record_value *r = arena_take(w->arena, sizeof *r + count * sizeof *f);
    if (!r)
        return no_memory(w);
    struct record_field *fields = (struct record_field *)(void *)(r + 1);
    if (count)
        memcpy(fields, f, count * sizeof *f);
    *r = (struct record_value){count, fields};
    *out = (struct value){.type = VALUE_RECORD, .record = r};
    w->used = from;
    return true;
}

static bool finish_array(struct walk *w, uint32_t from, struct value *out)
{
    uint32_t count = w->used - from;
    struct array_value *a = arena_take(w->arena, sizeof *a + count * sizeof *a->items);
    if (!a)
        return no_memory(w);
    struct value *items = (struct value *)(void *)(a + 1);
    for (uint32_t i = 0; i < count; i++)
        items[i] = w->stack[from + i].value;
    *a = (struct array_value){count, items};
    *out = (struct value){.type = VALUE_ARRAY, .array = a};
    w->used = from;
    return true;
}

static bool build_record(struct walk *w, struct value *out)
{
    uint32_t from = w->used;
    bool more = true;
    if (!walk_enter(w))
        return false;
    if (walk_at(w) == '}')
        return walk_more(w, '}', &more) && finish_record(w, from, out);
    while (more) {
        struct bytes raw;
        struct record_field f;
        if (!walk_name(w, &raw))
            return false;
        f.name = raw;
        if (((w->escapes || w->copy_texts) && !build_text(w, raw, &f.name)) || !build_value(w, &f.value))
            return false;
        struct record_field *to = push(w);
        if (!to)
            return false;
        *to = f;
        if (!walk_more(w, '}', &more))
            return false;
    }
    return finish_record(w, from, out);
}

static bool build_array(struct walk *w, struct value *out)
{
    uint32_t from = w->used;
    bool more = true;
    if (!walk_enter(w))
        return false;
    if (walk_at(w) == ']')
        return walk_more(w, ']', &more) && finish_array(w, from, out);
    while (more) {
        struct value item;
        if (!build_value(w, &item))
            return false;
        struct record_field *to = push(w);
        if (!to)
            return false;
        to->value = item;
        if (!walk_more(w, ']', &more))
            return false;
    }
    return finish_array(w, from, out);
}

bool build_value(struct walk *w, struct value *out)
{
    uint8_t c = walk_at(w);
    struct bytes raw;
    if (c == '"') {
        if (!walk_text(w, &raw) || ((w->escapes || w->copy_texts) && !build_text(w, raw, &raw)))
            return false;
        *out = value_text(raw);
        return true;
    }
    if (c == '{')
        return build_record(w, out);
    if (c == '[')
        return build_array(w, out);
    if (w->last - w->word >= 2 && (c == '-' || (uint8_t)(c - '0') < 10))
        return walk_number(w, out);
    if (w->last - w->word >= 2)
        return walk_literal(w, out);
    return walk_skip(w); /* says what is wrong */
}
