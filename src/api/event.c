#include "api/event.h"

#include "api/embed.h"
#include "base/base64.h"
#include "message/message.h"
#include "mqtt/packet.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

/* What is stored was within the limits when it came; those may have become smaller since. */
static const struct mqtt_limits no_limits = { UINT32_MAX, UINT32_MAX, UINT32_MAX,
                                              UINT32_MAX, UINT32_MAX, UINT32_MAX };

char *event_time(int64_t wall_us, char out[EVENT_TIME_MAX])
{
    int64_t us = wall_us % 1000000;
    time_t seconds = (time_t)(wall_us / 1000000 - (us < 0));
    if (us < 0)
        us += 1000000;
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        memset(&tm, 0, sizeof tm);
    (void)snprintf(out, EVENT_TIME_MAX, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ", (tm.tm_year + 1900) % 10000,
                   tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)us);
    return out;
}

static void head(struct buf *out, uint32_t partition, uint64_t seq)
{
    buf_printf(out, "{\"partition\":%" PRIu32 ",\"offset\":%" PRIu64 ",\"sequence\":%" PRIu64, partition, seq,
               seq);
}

static void unreadable(struct buf *out, const char *what)
{
    char text[400];
    (void)snprintf(text, sizeof text, "%s; stop the node and run `fieldgate check DIR` to see what else is",
                   what);
    buf_printf(out, ",\"error\":{\"code\":\"FG7004\",\"message\":");
    embed_text(out, bytes_str(text));
    buf_printf(out, "}}\n");
}

static void name_member(struct buf *out, const char *name, bool *first)
{
    buf_printf(out, *first ? "\"%s\":" : ",\"%s\":", name);
    *first = false;
}

static void text_member(struct buf *out, const char *name, struct bytes text, bool *first)
{
    name_member(out, name, first);
    embed_text(out, text);
}

static void user_properties(struct buf *out, const struct mqtt_props *props)
{
    struct bytes name, value;
    size_t cursor = 0;
    bool first = true;
    buf_u8(out, '[');
    while (mqtt_user_prop(props, &cursor, &name, &value)) {
        buf_printf(out, first ? "[" : ",[");
        embed_text(out, name);
        buf_u8(out, ',');
        embed_text(out, value);
        buf_u8(out, ']');
        first = false;
    }
    buf_u8(out, ']');
}

static void base64_member(struct buf *out, const char *name, struct bytes data, bool *first)
{
    name_member(out, name, first);
    buf_u8(out, '"');
    base64_put(out, data);
    buf_u8(out, '"');
}

static void properties(struct buf *out, struct bytes raw)
{
    struct mqtt_props p;
    bool first = true;
    buf_u8(out, '{');
    if (mqtt_decode_props(MQTT_PUBLISH, raw, &no_limits, &p, NULL) == CODE_OK) {
        if (mqtt_props_has(&p, MQTT_PROP_CONTENT_TYPE))
            text_member(out, "content-type", p.content_type, &first);
        if (mqtt_props_has(&p, MQTT_PROP_RESPONSE_TOPIC))
            text_member(out, "response-topic", p.response_topic, &first);
        if (mqtt_props_has(&p, MQTT_PROP_CORRELATION))
            base64_member(out, "correlation-base64", p.correlation, &first);
        if (mqtt_props_has(&p, MQTT_PROP_PAYLOAD_FORMAT)) {
            name_member(out, "payload-format", &first);
            buf_printf(out, "%u", p.payload_format);
        }
        if (p.user_count) {
            name_member(out, "user", &first);
            user_properties(out, &p);
        }
    }
    buf_u8(out, '}');
}

/* A JSON string is kept as text with its quotes, so that a string in `body` means one thing only. */
static bool begins_with_quote(struct bytes text)
{
    size_t i = 0;
    while (i < text.len && strchr(" \t\r\n", text.at[i]) && text.at[i])
        i++;
    return i < text.len && text.at[i] == '"';
}

static void body(struct buf *out, struct bytes payload)
{
    size_t start = buf_size(out);
    bool first = false;
    name_member(out, "body", &first);
    if (!begins_with_quote(payload) && embed_json(out, payload, EMBED_DEPTH_MAX))
        return;
    if (utf8_valid(payload, false)) {
        embed_text(out, payload);
        return;
    }
    out->len = out->from + start;
    base64_member(out, "body-base64", payload, &first);
}

void event_line(struct buf *out, uint32_t partition, const struct record *r)
{
    struct message m;
    struct fault why;
    char time[EVENT_TIME_MAX];
    bool first = false;
    head(out, partition, r->partition_seq);
    if (r->type == 0) { /* the journal's word for frames that failed their checksum, a run of them */
        unreadable(out, "from here to the next one shown, what was stored is damaged on disk");
        return;
    }
    if (message_view(&m, r->payload, r->wall_us, &why) != CODE_OK) {
        unreadable(out, why.text);
        return;
    }
    text_member(out, "enqueued", bytes_str(event_time(r->wall_us, time)), &first);
    text_member(out, "principal", m.principal, &first);
    text_member(out, "source", m.source, &first);
    text_member(out, "topic", m.topic, &first);
    buf_printf(out, ",\"qos\":%u,\"retain\":%s", m.qos, m.retain ? "true" : "false");
    if (m.encoded.at[1] & MESSAGE_EXPIRES)
        buf_printf(out, ",\"expiry\":%" PRIu32, m.expiry_s);
    name_member(out, "properties", &first);
    properties(out, m.props);
    body(out, m.payload);
    buf_printf(out, "}\n");
}
