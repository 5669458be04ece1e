/* format_samples.c - one value, one object. */
#include "publisher/format.h"

#include "opcua/status.h"

enum { PART_MAX = 4096 };

static void key(struct buf *b, const char *name)
{
    size_t n = buf_size(b);
    if (n && b->at[b->len - 1] != '{')
        buf_u8(b, ',');
    buf_json(b, bytes_str(name));
    buf_u8(b, ':');
}

/* ---- 2.4 ---- */

static void put_part(struct buf *b, const struct telemetry_rule *rule, struct bytes text)
{
    char part[PART_MAX];
    size_t n = telemetry_part(rule, text, part, sizeof part);
    key(b, rule->name);
    buf_json(b, bytes_of(part, n));
}

static void old_head(struct buf *b, const struct format *f, const struct format_node *n)
{
    const struct telemetry_rule *of = telemetry_for(f->telemetry, f->endpoint)->of;
    buf_u8(b, '{');
    if (of[TELEMETRY_ENDPOINT_URL].publish)
        put_part(b, &of[TELEMETRY_ENDPOINT_URL], bytes_str(f->endpoint));
    if (of[TELEMETRY_NODE_ID].publish)
        put_part(b, &of[TELEMETRY_NODE_ID], n->id);
    if (of[TELEMETRY_EXPANDED_NODE_ID].publish && n->expanded.len)
        put_part(b, &of[TELEMETRY_EXPANDED_NODE_ID], n->expanded);
    bool uri = of[TELEMETRY_APPLICATION_URI].publish, name = of[TELEMETRY_DISPLAY_NAME].publish;
    bool nested = !f->telemetry->item_flat && (uri || name);
    if (nested) {
        key(b, "MonitoredItem");
        buf_u8(b, '{');
    }
    if (uri)
        put_part(b, &of[TELEMETRY_APPLICATION_URI], bytes_str(f->application_uri));
    if (name)
        put_part(b, &of[TELEMETRY_DISPLAY_NAME], n->name);
    if (nested)
        buf_u8(b, '}');
}

static void old_value(struct buf *b, const struct telemetry_rule *rule, const struct format_value *v)
{
    char part[PART_MAX];
    key(b, rule->name);
    if (!v->json.len)
        format_text(b, "null");
    else if (rule->pattern) /* of what the value's JSON is: a text with its groups */
        buf_json(b, bytes_of(part, telemetry_part(rule, v->json, part, sizeof part)));
    else
        buf_add_bytes(b, v->json);
}

static void old_sample(struct buf *b, const struct format *f, struct bytes head, const struct format_value *v)
{
    const struct telemetry_rule *of = telemetry_for(f->telemetry, f->endpoint)->of;
    char scratch[16];
    buf_add_bytes(b, head);
    if (!f->telemetry->value_flat) {
        key(b, "Value");
        buf_u8(b, '{');
    }
    if (of[TELEMETRY_VALUE].publish)
        old_value(b, &of[TELEMETRY_VALUE], v);
    if (of[TELEMETRY_SOURCE_TIMESTAMP].publish && v->has_source) {
        key(b, of[TELEMETRY_SOURCE_TIMESTAMP].name);
        format_time(b, v->source, true);
    }
    if (of[TELEMETRY_STATUS_CODE].publish) {
        key(b, of[TELEMETRY_STATUS_CODE].name);
        format_number(b, v->status);
    }
    if (of[TELEMETRY_STATUS].publish)
        put_part(b, &of[TELEMETRY_STATUS], bytes_str(ua_status_text(v->status, scratch)));
    format_text(b, f->telemetry->value_flat ? "}" : "}}");
}

/* The value is always a text there. */
static void central_sample(struct buf *b, struct bytes head, const struct format_value *v)
{
    buf_add_bytes(b, head);
    if (v->json.len && v->json.at[0] == '"')
        buf_add_bytes(b, v->json);
    else
        buf_json(b, v->json);
    buf_u8(b, '}');
}

/* ---- 2.9 ---- */

static bool full(const struct format *f)
{
    return f->mode == NODES_FULL_SAMPLES;
}

static void new_head(struct buf *b, const struct format *f, const struct format_node *n)
{
    buf_u8(b, '{');
    key(b, "NodeId");
    buf_json(b, n->id);
    key(b, "EndpointUrl");
    buf_json(b, bytes_str(f->endpoint));
    if (full(f)) {
        key(b, "ApplicationUri");
        buf_json(b, bytes_str(f->application_uri));
    }
    key(b, "DisplayName");
    buf_json(b, n->name);
}

static void put_extension(struct buf *b, const struct format *f)
{
    struct bytes more = f->extension;
    key(b, "ExtensionFields");
    buf_u8(b, '{');
    key(b, "PublisherId");
    buf_json(b, bytes_str(f->publisher_id));
    key(b, "DataSetWriterId");
    buf_json(b, bytes_str(f->writer));
    if (more.len > 2) { /* "{...}" with something in it */
        buf_u8(b, ',');
        buf_add(b, more.at + 1, more.len - 2);
    }
    buf_u8(b, '}');
}

static void new_sample(struct buf *b, const struct format *f, struct bytes head, const struct format_value *v,
                       uint32_t sequence, ua_time stamp)
{
    buf_add_bytes(b, head);
    if (full(f)) {
        format_text(b, ",\"Timestamp\":");
        format_time(b, stamp, false);
    }
    format_text(b, ",\"Value\":{");
    if (v->json.len) {
        key(b, "Value");
        buf_add_bytes(b, v->json);
    }
    if (v->status) {
        key(b, "StatusCode");
        format_status(b, v->status, false);
    }
    if (v->has_source) {
        key(b, "SourceTimestamp");
        format_time(b, v->source, false);
    }
    if (full(f) && v->has_server) {
        key(b, "ServerTimestamp");
        format_time(b, v->server, false);
    }
    buf_u8(b, '}');
    if (full(f)) {
        format_text(b, ",\"SequenceNumber\":");
        format_number(b, sequence);
        put_extension(b, f);
    }
    buf_u8(b, '}');
}

/* ---- both ---- */

void format_head(struct buf *b, const struct format *f, const struct format_node *n)
{
    if (f->old && f->iot_central) {
        buf_u8(b, '{');
        buf_json(b, n->name);
        buf_u8(b, ':');
    } else if (f->old) {
        old_head(b, f, n);
    } else {
        new_head(b, f, n);
    }
}

void format_sample(struct buf *b, const struct format *f, struct bytes head, const struct format_value *v,
                   uint32_t sequence, ua_time stamp)
{
    if (f->old && f->iot_central)
        central_sample(b, head, v);
    else if (f->old)
        old_sample(b, f, head, v);
    else
        new_sample(b, f, head, v, sequence, stamp);
}
