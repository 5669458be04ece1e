#include "opcua/json.h"

#include "base/base64.h"
#include "base/number.h"
#include "opcua/status.h"
#include "opcua/text.h"

#include <inttypes.h>
#include <math.h>

void ua_json_text(struct buf *out, struct bytes text)
{
    if (text.at)
        buf_json(out, text);
    else
        buf_add(out, "null", 4);
}

void ua_json_time(struct buf *out, ua_time t)
{
    buf_u8(out, '"');
    ua_time_format(out, t ? t : INT64_MIN);
    buf_u8(out, '"');
}

static void write_float(struct buf *out, double f, bool single)
{
    if (isnan(f)) {
        buf_add(out, "\"NaN\"", 5);
        return;
    }
    if (isinf(f)) {
        buf_printf(out, f < 0 ? "\"-Infinity\"" : "\"Infinity\"");
        return;
    }
    char text[FLOAT_TEXT];
    size_t n = single ? single_write((float)f, text) : float_write(f, text);
    /* 21 and not 21.0, as other writers of this format have it. */
    if (n > 2 && text[n - 1] == '0' && text[n - 2] == '.')
        n -= 2;
    buf_add(out, text, n);
}

static void write_int64(const struct ua_json *j, int64_t v, bool is_unsigned)
{
    const char *quote = j->plain ? "" : "\"";
    if (is_unsigned)
        buf_printf(j->out, "%s%" PRIu64 "%s", quote, (uint64_t)v, quote);
    else
        buf_printf(j->out, "%s%" PRId64 "%s", quote, v, quote);
}

void ua_json_status(const struct ua_json *j, ua_status s)
{
    const char *name = ua_status_name(s);
    char scratch[16];
    if (j->plain)
        buf_printf(j->out, "\"%s\"", ua_status_text(s, scratch));
    else if (j->reversible || !name)
        buf_printf(j->out, "%" PRIu32, s);
    else
        buf_printf(j->out, "{\"Code\":%" PRIu32 ",\"Symbol\":\"%s\"}", s, name);
}

static void write_id(const struct ua_json *j, struct ua_expanded_node_id id)
{
    struct buf text = { 0 };
    if (!id.uri.at && id.id.ns && j->namespace_uri)
        id.uri = j->namespace_uri(j->ctx, id.id.ns);
    ua_expanded_format(&text, &id);
    if (text.bad)
        j->out->bad = true;
    buf_json(j->out, buf_bytes(&text));
    buf_clear(&text);
}

void ua_json_node_id(const struct ua_json *j, const struct ua_node_id *id)
{
    write_id(j, (struct ua_expanded_node_id){ .id = *id });
}

static void write_bytes(struct buf *out, struct bytes b)
{
    if (!b.at) {
        buf_add(out, "null", 4);
        return;
    }
    buf_u8(out, '"');
    base64_put(out, b);
    buf_u8(out, '"');
}

static void write_qualified(const struct ua_json *j, const struct ua_qualified_name *q)
{
    if (!j->plain) {
        buf_printf(j->out, "{\"Name\":");
        ua_json_text(j->out, q->name);
        if (q->ns)
            buf_printf(j->out, ",\"Uri\":%u", q->ns);
        buf_u8(j->out, '}');
        return;
    }
    struct buf text = { 0 };
    if (q->ns)
        buf_printf(&text, "%u:", q->ns);
    buf_add_bytes(&text, q->name);
    buf_json(j->out, buf_bytes(&text));
    buf_clear(&text);
}

static void write_localized(const struct ua_json *j, const struct ua_localized_text *t)
{
    if (!j->reversible) {
        ua_json_text(j->out, t->text);
        return;
    }
    buf_printf(j->out, "{\"Locale\":");
    ua_json_text(j->out, t->locale);
    buf_printf(j->out, ",\"Text\":");
    ua_json_text(j->out, t->text);
    buf_u8(j->out, '}');
}

static void write_object(const struct ua_json *j, const struct ua_extension_object *o)
{
    if (o->kind == UA_BODY_NONE && ua_node_id_is_null(&o->type)) {
        buf_add(j->out, "null", 4);
        return;
    }
    if (j->object && j->object(j->ctx, j, o))
        return;
    buf_printf(j->out, "{\"TypeId\":");
    ua_json_node_id(j, &o->type);
    if (o->kind != UA_BODY_NONE) {
        buf_printf(j->out, ",\"Encoding\":%u,\"Body\":", o->kind);
        if (o->kind == UA_BODY_XML)
            ua_json_text(j->out, o->body);
        else
            write_bytes(j->out, o->body);
    }
    buf_u8(j->out, '}');
}

static void write_data_value(const struct ua_json *j, const struct ua_data_value *v)
{
    const char *comma = "";
    buf_u8(j->out, '{');
    if (v->has & UA_HAS_VALUE) {
        buf_printf(j->out, "\"Value\":");
        ua_json_variant(j, &v->value);
        comma = ",";
    }
    if (v->status) {
        buf_printf(j->out, "%s\"StatusCode\":", comma);
        ua_json_status(j, v->status);
        comma = ",";
    }
    if (v->has & UA_HAS_SOURCE_TIME) {
        buf_printf(j->out, "%s\"SourceTimestamp\":", comma);
        ua_json_time(j->out, v->source_time);
        comma = ",";
    }
    if (v->has & UA_HAS_SERVER_TIME) {
        buf_printf(j->out, "%s\"ServerTimestamp\":", comma);
        ua_json_time(j->out, v->server_time);
    }
    buf_u8(j->out, '}');
}

static void write_diagnostic(const struct ua_json *j, const struct ua_diagnostic_info *d)
{
    buf_printf(j->out, "{\"SymbolicId\":%d,\"InnerStatusCode\":%" PRIu32 ",\"AdditionalInfo\":", (int)d->symbolic_id - 1, d->inner_status);
    ua_json_text(j->out, d->additional);
    buf_u8(j->out, '}');
}

void ua_json_builtin(const struct ua_json *j, unsigned type, const void *v)
{
    struct buf *out = j->out;
    switch (type) {
    case UA_BOOLEAN: buf_printf(out, *(const bool *)v ? "true" : "false"); return;
    case UA_SBYTE: buf_printf(out, "%d", *(const int8_t *)v); return;
    case UA_BYTE: buf_printf(out, "%u", *(const uint8_t *)v); return;
    case UA_INT16: buf_printf(out, "%d", *(const int16_t *)v); return;
    case UA_UINT16: buf_printf(out, "%u", *(const uint16_t *)v); return;
    case UA_INT32: buf_printf(out, "%" PRId32, *(const int32_t *)v); return;
    case UA_UINT32: buf_printf(out, "%" PRIu32, *(const uint32_t *)v); return;
    case UA_INT64: write_int64(j, *(const int64_t *)v, false); return;
    case UA_UINT64: write_int64(j, *(const int64_t *)v, true); return;
    case UA_FLOAT: write_float(out, (double)*(const float *)v, true); return;
    case UA_DOUBLE: write_float(out, *(const double *)v, false); return;
    case UA_STRING:
    case UA_XML_ELEMENT: ua_json_text(out, *(const struct bytes *)v); return;
    case UA_DATE_TIME: ua_json_time(out, *(const ua_time *)v); return;
    case UA_GUID:
        buf_u8(out, '"');
        ua_guid_format(out, v);
        buf_u8(out, '"');
        return;
    case UA_BYTE_STRING: write_bytes(out, *(const struct bytes *)v); return;
    case UA_NODE_ID: ua_json_node_id(j, v); return;
    case UA_EXPANDED_NODE_ID: write_id(j, *(const struct ua_expanded_node_id *)v); return;
    case UA_STATUS_CODE: ua_json_status(j, *(const ua_status *)v); return;
    case UA_QUALIFIED_NAME: write_qualified(j, v); return;
    case UA_LOCALIZED_TEXT: write_localized(j, v); return;
    case UA_EXTENSION_OBJECT: write_object(j, v); return;
    case UA_DATA_VALUE: write_data_value(j, v); return;
    case UA_VARIANT: ua_json_variant(j, v); return;
    case UA_DIAGNOSTIC_INFO: write_diagnostic(j, v); return;
    default: buf_add(out, "null", 4);
    }
}

/* The items of one row, or the rows of one dimension; `at` counts the items written. Dimensions are bounded by the decoder. */
static void write_rows(const struct ua_json *j, const struct ua_variant *v, unsigned dim, uint32_t *at)
{
    uint32_t n = v->dims_count ? v->dims[dim] : v->count;
    bool leaf = dim + 1u >= v->dims_count;
    buf_u8(j->out, '[');
    for (uint32_t i = 0; i < n; i++) {
        if (i)
            buf_u8(j->out, ',');
        if (leaf)
            ua_json_builtin(j, v->type, ua_item(v, (*at)++));
        else if (v->count)
            write_rows(j, v, dim + 1, at);
    }
    buf_u8(j->out, ']');
}

static void write_body(const struct ua_json *j, const struct ua_variant *v)
{
    uint32_t at = 0;
    if (v->type == UA_NULL || (v->array && !v->at))
        buf_add(j->out, "null", 4);
    else if (v->array && v->count == 0)
        buf_add(j->out, "[]", 2); /* a dimension of none: how many others there are does not matter */
    else if (v->array)
        write_rows(j, v, 0, &at);
    else
        ua_json_builtin(j, v->type, ua_item(v, 0));
}

void ua_json_variant(const struct ua_json *j, const struct ua_variant *v)
{
    if (!j->reversible || v->type == UA_NULL) {
        write_body(j, v);
        return;
    }
    buf_printf(j->out, "{\"Type\":%u,\"Body\":", v->type);
    write_body(j, v);
    for (unsigned i = 0; i < v->dims_count; i++)
        buf_printf(j->out, "%s%" PRIu32, i ? "," : ",\"Dimensions\":[", v->dims[i]);
    if (v->dims_count)
        buf_u8(j->out, ']');
    buf_u8(j->out, '}');
}
