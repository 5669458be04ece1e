#include "opcua/codec.h"

#include "opcua/status.h"

const struct ua_limits ua_limits_default = { .array = 65536, .string = 64 << 10, .depth = 32 };

struct ua_reader ua_reader_of(struct bytes b, struct arena *arena, const struct ua_limits *limits)
{
    return (struct ua_reader){ .wire = wire_of(b), .arena = arena, .limits = limits ? limits : &ua_limits_default };
}

bool ua_read_good(const struct ua_reader *r)
{
    return r->status == 0 && !r->wire.bad;
}

void ua_read_fail(struct ua_reader *r, ua_status status)
{
    if (ua_read_good(r) || r->status == 0)
        r->status = status;
    r->wire.bad = true; /* everything from here on reads as nothing */
}

/* Bytes that the smallest value of a type takes on the wire. */
static size_t least_bytes(unsigned type)
{
    static const uint8_t least[UA_BUILTIN_COUNT] = {
        [UA_BOOLEAN] = 1, [UA_SBYTE] = 1, [UA_BYTE] = 1, [UA_INT16] = 2, [UA_UINT16] = 2, [UA_INT32] = 4,
        [UA_UINT32] = 4, [UA_INT64] = 8, [UA_UINT64] = 8, [UA_FLOAT] = 4, [UA_DOUBLE] = 8, [UA_STRING] = 4,
        [UA_DATE_TIME] = 8, [UA_GUID] = 16, [UA_BYTE_STRING] = 4, [UA_XML_ELEMENT] = 4, [UA_NODE_ID] = 2,
        [UA_EXPANDED_NODE_ID] = 2, [UA_STATUS_CODE] = 4, [UA_QUALIFIED_NAME] = 6, [UA_LOCALIZED_TEXT] = 1,
        [UA_EXTENSION_OBJECT] = 3, [UA_DATA_VALUE] = 1, [UA_VARIANT] = 1, [UA_DIAGNOSTIC_INFO] = 1,
    };
    return least[type];
}

/* One level deeper; false: too deep. */
static bool enter(struct ua_reader *r)
{
    if (r->depth >= r->limits->depth) {
        ua_read_fail(r, UA_BAD_ENCODING_LIMITS_EXCEEDED);
        return false;
    }
    r->depth++;
    return true;
}

static void *take(struct ua_reader *r, size_t n)
{
    void *p = r->arena ? arena_take(r->arena, n) : NULL;
    if (!p)
        ua_read_fail(r, UA_BAD_OUT_OF_MEMORY);
    return p;
}

/* i32 length and the bytes; -1 is null. */
static struct bytes blob(struct ua_reader *r, uint32_t limit)
{
    uint32_t n = wire_le32(&r->wire);
    if (r->wire.bad || n == UINT32_MAX)
        return BYTES_NONE;
    if (n > wire_left(&r->wire) || n > INT32_MAX) {
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
        return BYTES_NONE;
    }
    if (n > limit) {
        ua_read_fail(r, UA_BAD_ENCODING_LIMITS_EXCEEDED);
        return BYTES_NONE;
    }
    /* Empty is not null, even at the end of the bytes. */
    const uint8_t *at = r->wire.at;
    return bytes_of(n ? wire_skip(&r->wire, n) : at, n);
}

struct bytes ua_read_string(struct ua_reader *r)
{
    return blob(r, r->limits->string);
}

static void read_guid(struct ua_reader *r, struct ua_guid *g)
{
    g->a = wire_le32(&r->wire);
    g->b = wire_le16(&r->wire);
    g->c = wire_le16(&r->wire);
    const uint8_t *p = wire_skip(&r->wire, sizeof g->d);
    if (p)
        memcpy(g->d, p, sizeof g->d);
    else
        memset(g->d, 0, sizeof g->d);
}

static void read_id(struct ua_reader *r, unsigned form, struct ua_node_id *id)
{
    *id = (struct ua_node_id){ 0 };
    switch (form) {
    case 0:
        id->number = wire_u8(&r->wire);
        return;
    case 1:
        id->ns = wire_u8(&r->wire);
        id->number = wire_le16(&r->wire);
        return;
    case 2:
        id->ns = wire_le16(&r->wire);
        id->number = wire_le32(&r->wire);
        return;
    case 3:
    case 5:
        id->ns = wire_le16(&r->wire);
        id->kind = form == 3 ? UA_ID_STRING : UA_ID_BYTES;
        id->text = ua_read_string(r);
        return;
    case 4:
        id->ns = wire_le16(&r->wire);
        id->kind = UA_ID_GUID;
        read_guid(r, &id->guid);
        return;
    default:
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
    }
}

void ua_read_node_id(struct ua_reader *r, struct ua_node_id *id)
{
    read_id(r, wire_u8(&r->wire), id);
}

void ua_read_expanded(struct ua_reader *r, struct ua_expanded_node_id *id)
{
    uint8_t first = wire_u8(&r->wire);
    id->uri = BYTES_NONE;
    id->server = 0;
    read_id(r, first & 0x3f, &id->id);
    if (first & 0x80)
        id->uri = ua_read_string(r);
    if (first & 0x40)
        id->server = wire_le32(&r->wire);
}

static void read_qualified(struct ua_reader *r, struct ua_qualified_name *q)
{
    q->ns = wire_le16(&r->wire);
    q->name = ua_read_string(r);
}

static void read_localized(struct ua_reader *r, struct ua_localized_text *t)
{
    uint8_t mask = wire_u8(&r->wire);
    t->locale = mask & 1 ? ua_read_string(r) : BYTES_NONE;
    t->text = mask & 2 ? ua_read_string(r) : BYTES_NONE;
    if (mask & ~3)
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
}

void ua_read_object(struct ua_reader *r, struct ua_extension_object *o)
{
    *o = (struct ua_extension_object){ 0 };
    ua_read_node_id(r, &o->type);
    o->kind = wire_u8(&r->wire);
    if (o->kind > UA_BODY_XML)
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
    else if (o->kind != UA_BODY_NONE)
        o->body = blob(r, INT32_MAX);
}

/* The number in the table of strings; a negative one on the wire is none. */
static uint32_t string_number(struct ua_reader *r)
{
    uint32_t place = wire_le32(&r->wire);
    return place > INT32_MAX ? 0 : place + 1;
}

static void read_diagnostic(struct ua_reader *r, struct ua_diagnostic_info *d)
{
    *d = (struct ua_diagnostic_info){ 0 };
    if (!enter(r))
        return;
    uint8_t mask = wire_u8(&r->wire);
    if (mask & 0x80)
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
    if (mask & 0x01)
        d->symbolic_id = string_number(r);
    if (mask & 0x02)
        d->namespace_uri = string_number(r);
    if (mask & 0x08)
        d->locale = string_number(r);
    if (mask & 0x04)
        d->localized_text = string_number(r);
    if (mask & 0x10)
        d->additional = ua_read_string(r);
    if (mask & 0x20)
        d->inner_status = wire_le32(&r->wire);
    struct ua_diagnostic_info *inner = mask & 0x40 && !r->wire.bad ? take(r, sizeof *inner) : NULL;
    if (inner)
        read_diagnostic(r, inner);
    d->inner = inner;
    r->depth--;
}

void ua_read_data_value(struct ua_reader *r, struct ua_data_value *v)
{
    v->has = wire_u8(&r->wire);
    v->status = 0;
    v->source_time = v->server_time = 0;
    v->source_pico = v->server_pico = 0;
    if (v->has & 0xc0) {
        v->has &= 0x3f;
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
    }
    if (v->has & UA_HAS_VALUE)
        ua_read_variant(r, &v->value);
    else
        v->value = (struct ua_variant){ 0 };
    if (v->has & UA_HAS_STATUS)
        v->status = wire_le32(&r->wire);
    if (v->has & UA_HAS_SOURCE_TIME)
        v->source_time = (ua_time)wire_le64(&r->wire);
    if (v->has & UA_HAS_SOURCE_PICO)
        v->source_pico = wire_le16(&r->wire);
    if (v->has & UA_HAS_SERVER_TIME)
        v->server_time = (ua_time)wire_le64(&r->wire);
    if (v->has & UA_HAS_SERVER_PICO)
        v->server_pico = wire_le16(&r->wire);
}

void ua_read_builtin(struct ua_reader *r, unsigned type, void *out)
{
    struct wire *w = &r->wire;
    switch (type) {
    case UA_BOOLEAN:
        *(bool *)out = wire_u8(w) != 0;
        return;
    case UA_SBYTE:
    case UA_BYTE:
        *(uint8_t *)out = wire_u8(w);
        return;
    case UA_INT16:
    case UA_UINT16:
        *(uint16_t *)out = wire_le16(w);
        return;
    case UA_INT32:
    case UA_UINT32:
    case UA_FLOAT:
    case UA_STATUS_CODE:
        *(uint32_t *)out = wire_le32(w);
        return;
    case UA_INT64:
    case UA_UINT64:
    case UA_DOUBLE:
    case UA_DATE_TIME:
        *(uint64_t *)out = wire_le64(w);
        return;
    case UA_STRING:
    case UA_BYTE_STRING:
    case UA_XML_ELEMENT:
        *(struct bytes *)out = ua_read_string(r);
        return;
    case UA_GUID:
        read_guid(r, out);
        return;
    case UA_NODE_ID:
        ua_read_node_id(r, out);
        return;
    case UA_EXPANDED_NODE_ID:
        ua_read_expanded(r, out);
        return;
    case UA_QUALIFIED_NAME:
        read_qualified(r, out);
        return;
    case UA_LOCALIZED_TEXT:
        read_localized(r, out);
        return;
    case UA_EXTENSION_OBJECT:
        ua_read_object(r, out);
        return;
    case UA_DATA_VALUE:
        if (enter(r)) {
            ua_read_data_value(r, out);
            r->depth--;
        } else {
            *(struct ua_data_value *)out = (struct ua_data_value){ 0 };
        }
        return;
    case UA_VARIANT:
        ua_read_variant(r, out);
        return;
    case UA_DIAGNOSTIC_INFO:
        read_diagnostic(r, out);
        return;
    default:
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
    }
}

uint32_t ua_read_count(struct ua_reader *r, size_t least, bool *null)
{
    uint32_t n = wire_le32(&r->wire);
    *null = r->wire.bad || n > INT32_MAX; /* any negative count is read as null, as other stacks do */
    if (*null || n == 0)
        return 0;
    if (n > wire_left(&r->wire) / least) {
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
        return 0;
    }
    if (n > r->limits->array) {
        ua_read_fail(r, UA_BAD_ENCODING_LIMITS_EXCEEDED);
        return 0;
    }
    return n;
}

/* An array that is empty but there. */
static const uint64_t nothing[sizeof(struct ua_variant) / sizeof(uint64_t) + 1];

void ua_read_array(struct ua_reader *r, unsigned type, const void **out, uint32_t *count)
{
    bool null;
    uint32_t n = ua_read_count(r, least_bytes(type), &null);
    *out = null ? NULL : nothing;
    *count = 0;
    if (n == 0 || !ua_read_good(r))
        return;
    size_t size = ua_size(type);
    uint8_t *items = take(r, (size_t)n * size);
    if (!items)
        return;
    if (ua_same_on_wire(type)) {
        const uint8_t *from = wire_skip(&r->wire, (size_t)n * size);
        if (from)
            memcpy(items, from, (size_t)n * size);
    } else {
        for (uint32_t i = 0; i < n; i++)
            ua_read_builtin(r, type, items + (size_t)i * size);
    }
    *out = items;
    *count = n;
}

/* i32 number of dimensions and each; their product is the count, an empty or missing one makes it a plain array. */
static void read_dims(struct ua_reader *r, struct ua_variant *v)
{
    bool null;
    uint32_t n = ua_read_count(r, 4, &null);
    if (n == 0 || !ua_read_good(r))
        return;
    if (n > r->limits->depth) {
        ua_read_fail(r, UA_BAD_ENCODING_LIMITS_EXCEEDED);
        return;
    }
    uint32_t *dims = take(r, n * sizeof *dims);
    if (!dims)
        return;
    uint64_t product = 1; /* held at 2^32, which no count reaches */
    for (uint32_t i = 0; i < n; i++) {
        dims[i] = wire_le32(&r->wire);
        product *= dims[i];
        if (product > UINT32_MAX)
            product = UINT32_MAX + 1ull;
    }
    if (product != v->count) {
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
        return;
    }
    v->dims = dims;
    v->dims_count = (uint16_t)n;
}

static void read_scalar(struct ua_reader *r, struct ua_variant *v)
{
    if (v->type == UA_VARIANT) { /* only inside of arrays (Part 6, 5.2.2.16) */
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
    } else if (ua_inline(v->type)) {
        ua_read_builtin(r, v->type, &v->text);
    } else {
        void *at = take(r, ua_size(v->type));
        if (at)
            ua_read_builtin(r, v->type, at);
        v->at = at;
    }
    if (!ua_read_good(r))
        *v = (struct ua_variant){ 0 };
}

void ua_read_variant(struct ua_reader *r, struct ua_variant *v)
{
    uint8_t first = wire_u8(&r->wire);
    *v = (struct ua_variant){ .type = first & 0x3f, .array = (first & 0x80) != 0 };
    if (v->type == UA_NULL && !(first & 0xc0))
        return;
    if (v->type > 25 && v->type < 32) /* kept for later types, which read as byte strings */
        v->type = UA_BYTE_STRING;
    if (v->type == UA_NULL || v->type >= UA_BUILTIN_COUNT || (first & 0xc0) == 0x40) {
        ua_read_fail(r, UA_BAD_DECODING_ERROR);
        *v = (struct ua_variant){ 0 };
        return;
    }
    if (!v->array && ua_inline(v->type)) {
        read_scalar(r, v);
        return;
    }
    if (!enter(r)) {
        *v = (struct ua_variant){ 0 };
        return;
    }
    if (v->array) {
        ua_read_array(r, v->type, &v->at, &v->count);
        if (first & 0x40 && ua_read_good(r))
            read_dims(r, v);
    } else {
        read_scalar(r, v);
    }
    r->depth--;
}
