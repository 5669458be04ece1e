/* A value as it lies in the server: its variant in wire format. */
#include "uaserver/space.h"

#include "base/mem.h"

void ua_blob_drop(struct ua_blob *b)
{
    if (--b->holds == 0)
        mem_free(b);
}

/* Takes the place of what was there. */
static bool put_bytes(struct ua_value *v, const uint8_t *at, size_t n)
{
    struct ua_blob *blob = NULL;
    if (n > UA_VALUE_INLINE) {
        blob = n <= UINT32_MAX ? mem_alloc(sizeof *blob + n) : NULL;
        if (!blob)
            return false;
        blob->holds = 1;
        blob->len = (uint32_t)n;
        memcpy(blob->at, at, n);
    }
    ua_value_drop(v);
    if (blob)
        v->blob = blob;
    else if (n)
        memcpy(v->at, at, n);
    v->len = blob ? UA_VALUE_SHARED : (uint8_t)n;
    return true;
}

bool ua_value_set_bytes(struct ua_value *v, struct bytes variant)
{
    return put_bytes(v, variant.at, variant.len);
}

/* Scalars that are in memory what they are on the wire need no buffer. 0: it is none of them. */
static size_t put_scalar(uint8_t *at, const struct ua_variant *v)
{
    if (v->array || !(ua_same_on_wire(v->type) || v->type == UA_BOOLEAN))
        return 0;
    size_t n = ua_size(v->type);
    at[0] = v->type;
    if (v->type == UA_BOOLEAN)
        at[1] = v->boolean;
    else
        memcpy(at + 1, &v->u8, n);
    return 1 + n;
}

bool ua_value_set(struct ua_value *v, const struct ua_variant *from)
{
    uint8_t scalar[1 + sizeof(uint64_t)];
    size_t n = put_scalar(scalar, from);
    if (n)
        return put_bytes(v, scalar, n);
    struct buf b = { 0 };
    ua_write_variant(&b, from);
    bool done = !b.bad && put_bytes(v, b.at + b.from, buf_size(&b));
    buf_clear(&b);
    return done;
}

bool ua_value_read(const struct ua_value *v, struct arena *arena, struct ua_variant *out)
{
    static const struct ua_limits none = { UINT32_MAX, UINT32_MAX, UINT16_MAX }; /* it was held to them when it came in */
    *out = (struct ua_variant){ 0 };
    if (!v->len)
        return true;
    struct ua_reader r = ua_reader_of(ua_value_bytes(v), arena, &none);
    ua_read_variant(&r, out);
    return ua_read_good(&r);
}

unsigned ua_value_type(const struct ua_value *v, bool *array)
{
    if (!v->len) {
        *array = false;
        return UA_NULL;
    }
    uint8_t head = ua_value_bytes(v).at[0];
    *array = head >> 7;
    return head & 0x3f;
}

bool ua_value_number(const struct ua_value *v, double *out)
{
    bool array;
    unsigned type = ua_value_type(v, &array);
    struct ua_variant scalar = { .type = (uint8_t)type };
    if (array || v->len == UA_VALUE_SHARED || !(ua_same_on_wire(type) || type == UA_BOOLEAN))
        return false;
    if (type == UA_BOOLEAN)
        scalar.boolean = v->at[1];
    else
        memcpy(&scalar.u8, v->at + 1, ua_size(type));
    return ua_number(&scalar, out);
}

static uint8_t *put_le(uint8_t *to, uint64_t v, int bytes)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(to, &v, (size_t)bytes);
#else
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(v >> (8 * i));
#endif
    return to + bytes;
}

uint8_t *ua_value_put(uint8_t *to, const struct ua_value *v, enum ua_timestamps times)
{
    uint8_t *mask = to++;
    uint8_t has = 0;
    if (v->len) {
        struct bytes b = ua_value_bytes(v);
        has |= UA_HAS_VALUE;
        memcpy(to, b.at, b.len);
        to += b.len;
    }
    if (v->status) {
        has |= UA_HAS_STATUS;
        to = put_le(to, v->status, 4);
    }
    if (v->source_time && (times == UA_TIMES_SOURCE || times == UA_TIMES_BOTH)) {
        has |= UA_HAS_SOURCE_TIME;
        to = put_le(to, (uint64_t)v->source_time, 8);
    }
    if (v->server_time && (times == UA_TIMES_SERVER || times == UA_TIMES_BOTH)) {
        has |= UA_HAS_SERVER_TIME;
        to = put_le(to, (uint64_t)v->server_time, 8);
    }
    *mask = has;
    return to;
}

void ua_value_write(struct buf *b, const struct ua_value *v, enum ua_timestamps times)
{
    if (!buf_room(b, ua_value_room(v)))
        return;
    uint8_t *end = ua_value_put(b->at + b->len, v, times);
    b->len = (size_t)(end - b->at);
}
