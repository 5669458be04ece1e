#include "stream/run.h"

/* Places what lies behind a value: measured when `base` is NULL, written otherwise. */
struct packer {
    uint8_t *base;
    size_t   used;
};

static void *place(struct packer *p, size_t n)
{
    void *at = p->base ? p->base + p->used : NULL;
    p->used += (n + 7) & ~(size_t)7;
    return at;
}

static const uint8_t *place_text(struct packer *p, const void *from, size_t n)
{
    uint8_t *at = place(p, n);
    if (at && n)
        memcpy(at, from, n);
    return at;
}

static struct value pack(struct packer *p, struct value v);

static struct value pack_record(struct packer *p, struct value v)
{
    const struct record_value *from = v.record;
    struct record_value *to = place(p, sizeof *to);
    struct record_field *fields = place(p, from->count * sizeof *fields);
    for (uint32_t i = 0; i < from->count; i++) {
        struct record_field f = { .name = from->fields[i].name };
        f.name.at = place_text(p, f.name.at, f.name.len);
        f.value = pack(p, from->fields[i].value);
        if (fields)
            fields[i] = f;
    }
    if (to)
        *to = (struct record_value){ .count = from->count, .fields = fields };
    v.record = to;
    return v;
}

static struct value pack_array(struct packer *p, struct value v)
{
    const struct array_value *from = v.array;
    struct array_value *to = place(p, sizeof *to);
    struct value *items = place(p, from->count * sizeof *items);
    for (uint32_t i = 0; i < from->count; i++) {
        struct value item = pack(p, from->items[i]);
        if (items)
            items[i] = item;
    }
    if (to)
        *to = (struct array_value){ .count = from->count, .items = items };
    v.array = to;
    return v;
}

static struct value pack(struct packer *p, struct value v)
{
    if (v.type == VALUE_TEXT)
        v.text = place_text(p, v.text, v.len);
    else if (v.type == VALUE_RECORD)
        return pack_record(p, v);
    else if (v.type == VALUE_ARRAY)
        return pack_array(p, v);
    return v;
}

size_t keep_size(const struct value *v, uint32_t count)
{
    struct packer p = { NULL, 0 };
    for (uint32_t i = 0; i < count; i++)
        if (v[i].type >= VALUE_TEXT)
            (void)pack(&p, v[i]);
    return p.used;
}

void keep_copy(struct value *to, const struct value *from, uint32_t count, uint8_t *at)
{
    struct packer p = { at, 0 };
    for (uint32_t i = 0; i < count; i++)
        to[i] = from[i].type >= VALUE_TEXT ? pack(&p, from[i]) : from[i];
}

struct kept *kept_make(struct stream *s, const struct value *v, uint32_t width, int64_t time)
{
    size_t values = width * sizeof *v, size = sizeof(struct kept) + values + keep_size(v, width);
    struct kept *k = size <= UINT32_MAX ? mem_alloc(size) : NULL;
    if (!k)
        return NULL;
    *k = (struct kept){ .time = time, .size = (uint32_t)size, .width = width };
    keep_copy(k->values, v, width, (uint8_t *)k + sizeof *k + values);
    s->state_bytes += size;
    return k;
}

void kept_free(struct stream *s, struct kept *k)
{
    if (!k)
        return;
    s->state_bytes -= k->size;
    mem_free(k);
}
