#include "opcua/codec.h"

#include "opcua/status.h"

void ua_write_string(struct buf *b, struct bytes s)
{
    buf_le32(b, s.at ? (uint32_t)s.len : UINT32_MAX);
    if (s.len)
        buf_add(b, s.at, s.len);
}

static void write_guid(struct buf *b, const struct ua_guid *g)
{
    buf_le32(b, g->a);
    buf_le16(b, g->b);
    buf_le16(b, g->c);
    buf_add(b, g->d, sizeof g->d);
}

/* The shortest form that holds it; `flags` go into the first byte. */
static void write_id(struct buf *b, const struct ua_node_id *id, uint8_t flags)
{
    switch (id->kind) {
    case UA_ID_NUMBER:
        if (id->ns == 0 && id->number <= UINT8_MAX) {
            buf_u8(b, flags);
            buf_u8(b, (uint8_t)id->number);
        } else if (id->ns <= UINT8_MAX && id->number <= UINT16_MAX) {
            buf_u8(b, flags | 1);
            buf_u8(b, (uint8_t)id->ns);
            buf_le16(b, (uint16_t)id->number);
        } else {
            buf_u8(b, flags | 2);
            buf_le16(b, id->ns);
            buf_le32(b, id->number);
        }
        return;
    case UA_ID_GUID:
        buf_u8(b, flags | 4);
        buf_le16(b, id->ns);
        write_guid(b, &id->guid);
        return;
    default:
        buf_u8(b, flags | (id->kind == UA_ID_STRING ? 3 : 5));
        buf_le16(b, id->ns);
        ua_write_string(b, id->text);
    }
}

void ua_write_node_id(struct buf *b, const struct ua_node_id *id)
{
    write_id(b, id, 0);
}

void ua_write_expanded(struct buf *b, const struct ua_expanded_node_id *id)
{
    write_id(b, &id->id, (uint8_t)((id->uri.at ? 0x80 : 0) | (id->server ? 0x40 : 0)));
    if (id->uri.at)
        ua_write_string(b, id->uri);
    if (id->server)
        buf_le32(b, id->server);
}

static void write_localized(struct buf *b, const struct ua_localized_text *t)
{
    buf_u8(b, (uint8_t)((t->locale.at ? 1 : 0) | (t->text.at ? 2 : 0)));
    if (t->locale.at)
        ua_write_string(b, t->locale);
    if (t->text.at)
        ua_write_string(b, t->text);
}

void ua_write_object(struct buf *b, const struct ua_extension_object *o)
{
    ua_write_node_id(b, &o->type);
    buf_u8(b, o->kind);
    if (o->kind != UA_BODY_NONE)
        ua_write_string(b, o->body);
}

static void write_diagnostic(struct buf *b, const struct ua_diagnostic_info *d)
{
    buf_u8(b, (uint8_t)((d->symbolic_id ? 0x01 : 0) | (d->namespace_uri ? 0x02 : 0) |
                        (d->localized_text ? 0x04 : 0) | (d->locale ? 0x08 : 0) |
                        (d->additional.at ? 0x10 : 0) | (d->inner_status ? 0x20 : 0) | (d->inner ? 0x40 : 0)));
    if (d->symbolic_id)
        buf_le32(b, d->symbolic_id - 1);
    if (d->namespace_uri)
        buf_le32(b, d->namespace_uri - 1);
    if (d->locale)
        buf_le32(b, d->locale - 1);
    if (d->localized_text)
        buf_le32(b, d->localized_text - 1);
    if (d->additional.at)
        ua_write_string(b, d->additional);
    if (d->inner_status)
        buf_le32(b, d->inner_status);
    if (d->inner)
        write_diagnostic(b, d->inner);
}

void ua_write_data_value(struct buf *b, const struct ua_data_value *v)
{
    buf_u8(b, v->has);
    if (v->has & UA_HAS_VALUE)
        ua_write_variant(b, &v->value);
    if (v->has & UA_HAS_STATUS)
        buf_le32(b, v->status);
    if (v->has & UA_HAS_SOURCE_TIME)
        buf_le64(b, (uint64_t)v->source_time);
    if (v->has & UA_HAS_SOURCE_PICO)
        buf_le16(b, v->source_pico);
    if (v->has & UA_HAS_SERVER_TIME)
        buf_le64(b, (uint64_t)v->server_time);
    if (v->has & UA_HAS_SERVER_PICO)
        buf_le16(b, v->server_pico);
}

void ua_write_builtin(struct buf *b, unsigned type, const void *v)
{
    switch (type) {
    case UA_BOOLEAN:
        buf_u8(b, *(const bool *)v);
        return;
    case UA_SBYTE:
    case UA_BYTE:
        buf_u8(b, *(const uint8_t *)v);
        return;
    case UA_INT16:
    case UA_UINT16:
        buf_le16(b, *(const uint16_t *)v);
        return;
    case UA_INT32:
    case UA_UINT32:
    case UA_FLOAT:
    case UA_STATUS_CODE:
        buf_le32(b, *(const uint32_t *)v);
        return;
    case UA_INT64:
    case UA_UINT64:
    case UA_DOUBLE:
    case UA_DATE_TIME:
        buf_le64(b, *(const uint64_t *)v);
        return;
    case UA_STRING:
    case UA_BYTE_STRING:
    case UA_XML_ELEMENT:
        ua_write_string(b, *(const struct bytes *)v);
        return;
    case UA_GUID:
        write_guid(b, v);
        return;
    case UA_NODE_ID:
        ua_write_node_id(b, v);
        return;
    case UA_EXPANDED_NODE_ID:
        ua_write_expanded(b, v);
        return;
    case UA_QUALIFIED_NAME: {
        const struct ua_qualified_name *q = v;
        buf_le16(b, q->ns);
        ua_write_string(b, q->name);
        return;
    }
    case UA_LOCALIZED_TEXT:
        write_localized(b, v);
        return;
    case UA_EXTENSION_OBJECT:
        ua_write_object(b, v);
        return;
    case UA_DATA_VALUE:
        ua_write_data_value(b, v);
        return;
    case UA_VARIANT:
        ua_write_variant(b, v);
        return;
    case UA_DIAGNOSTIC_INFO:
        write_diagnostic(b, v);
        return;
    default:
        FG_ASSERT(!"a built-in type");
    }
}

void ua_write_array(struct buf *b, unsigned type, const void *at, uint32_t count)
{
    buf_le32(b, at ? count : UINT32_MAX);
    size_t size = ua_size(type);
    if (at && ua_same_on_wire(type)) {
        buf_add(b, at, count * size);
        return;
    }
    for (uint32_t i = 0; at && i < count; i++)
        ua_write_builtin(b, type, (const uint8_t *)at + (size_t)i * size);
}

void ua_write_variant(struct buf *b, const struct ua_variant *v)
{
    if (v->type == UA_NULL) {
        buf_u8(b, 0);
        return;
    }
    buf_u8(b, (uint8_t)(v->type | (v->array ? 0x80 : 0) | (v->array && v->dims_count ? 0x40 : 0)));
    if (!v->array) {
        ua_write_builtin(b, v->type, ua_item(v, 0));
        return;
    }
    ua_write_array(b, v->type, v->at, v->count);
    if (v->dims_count)
        ua_write_array(b, UA_UINT32, v->dims, v->dims_count);
}
