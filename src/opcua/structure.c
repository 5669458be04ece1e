/* Structures by table, and copies of values. */
#include "opcua/codec.h"

#include "opcua/status.h"

/* Bytes that a structure takes on the wire at least: what its fields take. */
static size_t least_of(const struct ua_struct *s)
{
    size_t n = 0;
    for (unsigned i = 0; i < s->count; i++) {
        const struct ua_field *f = &s->fields[i];
        if (f->array)
            n += 4;
        else if (f->type == UA_NULL)
            n += least_of(f->of);
        else
            n += 1; /* no type is smaller */
    }
    return n;
}

static void *at_offset(void *base, size_t offset)
{
    return (uint8_t *)base + offset;
}

static void read_list(struct ua_reader *r, const struct ua_struct *s, const void **out, uint32_t *count)
{
    static const uint64_t nothing[1];
    bool null;
    uint32_t n = ua_read_count(r, least_of(s), &null);
    *out = null ? NULL : nothing;
    *count = 0;
    if (n == 0 || !ua_read_good(r))
        return;
    uint8_t *items = r->arena ? arena_zero(r->arena, (size_t)n * s->size) : NULL;
    if (!items) {
        ua_read_fail(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < n && !r->wire.bad; i++)
        ua_read_struct(r, s, items + (size_t)i * s->size);
    *out = items;
    *count = n;
}

void ua_read_struct(struct ua_reader *r, const struct ua_struct *s, void *out)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct ua_field *f = &s->fields[i];
        void *at = at_offset(out, f->offset);
        if (f->array && f->type == UA_NULL)
            read_list(r, f->of, at, at_offset(out, f->count_offset));
        else if (f->array)
            ua_read_array(r, f->type, at, at_offset(out, f->count_offset));
        else if (f->type == UA_NULL)
            ua_read_struct(r, f->of, at);
        else
            ua_read_builtin(r, f->type, at);
    }
}

void ua_write_struct(struct buf *b, const struct ua_struct *s, const void *in)
{
    const uint8_t *base = in;
    for (unsigned i = 0; i < s->count; i++) {
        const struct ua_field *f = &s->fields[i];
        const void *at = base + f->offset;
        if (!f->array) {
            if (f->type == UA_NULL)
                ua_write_struct(b, f->of, at);
            else
                ua_write_builtin(b, f->type, at);
            continue;
        }
        const uint8_t *items;
        uint32_t count;
        memcpy(&items, at, sizeof items);
        memcpy(&count, base + f->count_offset, sizeof count);
        if (f->type != UA_NULL) {
            ua_write_array(b, f->type, items, count);
            continue;
        }
        buf_le32(b, items ? count : UINT32_MAX);
        for (uint32_t k = 0; items && k < count; k++)
            ua_write_struct(b, f->of, items + (size_t)k * f->of->size);
    }
}

void ua_write_message(struct buf *b, const struct ua_struct *s, const void *in)
{
    ua_write_node_id(b, &UA_NS0(s->encoding));
    ua_write_struct(b, s, in);
}

uint32_t ua_read_type(struct ua_reader *r)
{
    struct ua_node_id id;
    ua_read_node_id(r, &id);
    return id.ns == 0 && id.kind == UA_ID_NUMBER ? id.number : 0;
}

void ua_write_object_of(struct buf *b, const struct ua_struct *s, const void *in)
{
    ua_write_node_id(b, &UA_NS0(s->encoding));
    buf_u8(b, UA_BODY_BINARY);
    size_t place = buf_size(b);
    buf_le32(b, 0);
    ua_write_struct(b, s, in);
    if (b->bad)
        return;
    uint32_t n = (uint32_t)(buf_size(b) - place - 4);
    uint8_t *at = b->at + b->from + place;
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(n >> (8 * i));
}

bool ua_object_of(struct arena *arena, const struct ua_struct *s, const void *in, struct ua_extension_object *out)
{
    struct buf b = { 0 };
    ua_write_struct(&b, s, in);
    uint8_t *body = b.bad ? NULL : arena_take(arena, buf_size(&b) ? buf_size(&b) : 1);
    if (body && buf_size(&b))
        memcpy(body, b.at + b.from, buf_size(&b));
    *out = (struct ua_extension_object){ UA_NS0(s->encoding), UA_BODY_BINARY, bytes_of(body, body ? buf_size(&b) : 0) };
    buf_clear(&b);
    return body != NULL;
}

bool ua_object_read(struct ua_reader *like, const struct ua_extension_object *o, const struct ua_struct *s, void *out)
{
    if (o->kind != UA_BODY_BINARY || !ua_node_id_equal(&o->type, &UA_NS0(s->encoding)) || like->depth >= like->limits->depth)
        return false;
    struct ua_reader r = ua_reader_of(o->body, like->arena, like->limits);
    r.depth = like->depth + 1;
    ua_read_struct(&r, s, out);
    return ua_read_good(&r);
}

/* ---- copies: written, and read from the arena, so that views point there ---- */

bool ua_variant_copy(struct arena *arena, const struct ua_variant *v, struct ua_variant *out)
{
    *out = *v;
    bool plain = !v->array && ua_inline(v->type) && v->type != UA_STRING && v->type != UA_BYTE_STRING && v->type != UA_XML_ELEMENT;
    if (plain)
        return true;
    static const struct ua_limits none = { UINT32_MAX, UINT32_MAX, UINT16_MAX };
    struct buf b = { 0 };
    ua_write_variant(&b, v);
    uint8_t *copy = b.bad ? NULL : arena_take(arena, buf_size(&b));
    if (copy) {
        memcpy(copy, b.at + b.from, buf_size(&b));
        struct ua_reader r = ua_reader_of(bytes_of(copy, buf_size(&b)), arena, &none);
        ua_read_variant(&r, out);
        if (!ua_read_good(&r))
            copy = NULL;
    }
    buf_clear(&b);
    return copy != NULL;
}

bool ua_node_id_copy(struct arena *arena, const struct ua_node_id *id, struct ua_node_id *out)
{
    *out = *id;
    if ((id->kind != UA_ID_STRING && id->kind != UA_ID_BYTES) || !id->text.at)
        return true;
    uint8_t *copy = arena_take(arena, id->text.len ? id->text.len : 1);
    if (copy && id->text.len)
        memcpy(copy, id->text.at, id->text.len);
    out->text.at = copy;
    return copy != NULL;
}
