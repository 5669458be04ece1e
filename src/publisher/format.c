/* format.c - what samples and data sets have in common: small writers, bodies around pieces, properties. */
#include "publisher/format.h"

#include "mqtt/packet.h"
#include "opcua/status.h"

void format_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void format_number(struct buf *b, uint64_t v)
{
    char text[20], *at = text + sizeof text;
    do
        *--at = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(b, at, (size_t)(text + sizeof text - at));
}

/* ---- time: twice for each value, so by hand ---- */

static void two(char *to, unsigned v)
{
    to[0] = (char)('0' + v / 10 % 10);
    to[1] = (char)('0' + v % 10);
}

/* Days since 1970 to a date of the Gregorian calendar. */
static void put_date(char *to, int64_t days)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097), yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    unsigned day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
    unsigned year = (unsigned)((int64_t)yoe + era * 400 + (month <= 2));
    two(to, year / 100);
    two(to + 2, year);
    to[4] = to[7] = '-';
    two(to + 5, month);
    two(to + 8, day);
}

void format_time(struct buf *b, ua_time t, bool seven)
{
    char out[] = "\"0000-00-00T00:00:00.0000000Z\"";
    int64_t us = ua_time_us(t), held = ua_time_from_us(us); /* held within the years 1 to 9999 */
    int64_t ticks = held + (t - held >= 0 && t - held < 10 ? t - held : 0) - UA_UNIX_EPOCH;
    int64_t seconds = ticks / 10000000 - (ticks % 10000000 < 0),
            days = seconds / 86400 - (seconds % 86400 < 0);
    unsigned part = (unsigned)(ticks - seconds * 10000000), day = (unsigned)(seconds - days * 86400);
    put_date(out + 1, days);
    two(out + 12, day / 3600);
    two(out + 15, day / 60 % 60);
    two(out + 18, day % 60);
    size_t n = 28; /* the place of the Z */
    for (size_t i = 27; i > 20; i--, part /= 10)
        out[i] = (char)('0' + part % 10);
    while (!seven && n > 21 && out[n - 1] == '0')
        n--;
    n -= n == 21;
    out[n] = 'Z';
    out[n + 1] = '"';
    buf_add(b, out, n + 2);
}

void format_status(struct buf *b, ua_status s, bool number)
{
    const char *name = ua_status_name(s);
    if (number) {
        format_number(b, s);
        return;
    }
    format_text(b, "{");
    if (name) {
        format_text(b, "\"Symbol\":\"");
        format_text(b, name);
        format_text(b, "\",");
    }
    format_text(b, "\"Code\":");
    format_number(b, s);
    format_text(b, "}");
}

/* ---- bodies ---- */

static bool in_network(const struct format *f)
{
    return format_is_pubsub(f);
}

bool format_is_single(const struct format *f)
{
    if (f->old)
        return f->alone || f->iot_central;
    return f->alone || f->mode == NODES_SINGLE_DATASET_MESSAGE || f->mode == NODES_SINGLE_DATASET ||
           f->mode == NODES_SINGLE_RAW_DATASET;
}

static void network_head(struct buf *b, const struct format *f, uint64_t id, const char *type)
{
    format_text(b, "{\"MessageId\":\"");
    format_number(b, id);
    format_text(b, "\",\"MessageType\":\"");
    format_text(b, type);
    format_text(b, "\",\"PublisherId\":");
    buf_json(b, bytes_str(f->publisher_id));
    if (f->class_id[0]) {
        format_text(b, ",\"DataSetClassId\":");
        buf_json(b, bytes_str(f->class_id));
    }
    if (f->group[0]) {
        format_text(b, ",\"DataSetWriterGroup\":");
        buf_json(b, bytes_str(f->group));
    }
}

static void network_open(struct buf *b, const struct format *f, uint64_t id)
{
    network_head(b, f, id, "ua-data");
    format_text(b, ",\"Messages\":[");
}

void format_open(struct buf *b, const struct format *f, uint64_t id)
{
    if (in_network(f) && f->strict) {
        network_open(b, f, id);
        return;
    }
    if (!format_is_single(f))
        format_text(b, "[");
    if (in_network(f))
        network_open(b, f, id);
}

void format_between(struct buf *b, const struct format *f, uint64_t id)
{
    if (!in_network(f) || f->strict) {
        format_text(b, ",");
        return;
    }
    format_text(b, "]},");
    network_open(b, f, id);
}

void format_close(struct buf *b, const struct format *f)
{
    if (in_network(f))
        format_text(b, "]}");
    if (!(in_network(f) && f->strict) && !format_is_single(f))
        format_text(b, "]");
}

/* ---- properties ---- */

static void user(struct buf *props, const char *name, const char *value)
{
    if (value[0])
        mqtt_put_user(props, bytes_str(name), bytes_str(value));
}

void format_props(struct buf *props, const struct format *f, bool metadata)
{
    const char *type = "application/json";
    if (f->old)
        type = "application/opcua+uajson";
    else if (format_is_samples(f))
        type = "application/x-monitored-item-json-v1";
    else if (in_network(f) || metadata)
        type = "application/x-network-message-json-v1";
    mqtt_put_u8(props, MQTT_PROP_PAYLOAD_FORMAT, 1);
    mqtt_put_bytes(props, MQTT_PROP_CONTENT_TYPE, bytes_str(type));
    if (f->old) {
        user(props, "content-encoding", "UTF-8");
    } else {
        user(props, "$$ContentType", type);
        user(props, "$$ContentEncoding", "utf-8");
        user(props, "iothub-message-schema", "application/json");
        if (f->routing_info)
            user(props, "$$RoutingInfo", f->group);
    }
    user(props, "endpoint", f->endpoint);
    user(props, "writer-group", f->group);
    user(props, "writer", f->writer);
}
