#include "cli/message_format.h"

#include "base/values.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

static const char codes[] = "%ACDEFIJRPSUjlmpqrtxX";
static const char escapes[] = "\\0aenrtv", escaped[] = "\\\0\a\033\n\r\t\v";

struct moment {
    struct tm local;
    int64_t seconds;
    long ns;
};

static struct moment moment_of(int64_t wall_us)
{
    struct moment m = {.seconds = wall_us / VALUE_US_PER_S, .ns = (long)(wall_us % VALUE_US_PER_S) * 1000};
    time_t s = (time_t)m.seconds;
    (void)localtime_r(&s, &m.local);
    return m;
}

/* ---- a pattern ---- */

struct spec {
    bool left, zero;
    int width;
    char code; /* 0: the pattern ends here */
};

static const char *read_spec(const char *at, struct spec *out)
{
    *out = (struct spec){0};
    for (; *at == '-' || *at == '0' || *at == ' '; at++) {
        out->left |= *at == '-';
        out->zero |= *at == '0';
    }
    for (; *at >= '0' && *at <= '9'; at++)
        out->width = out->width < 1000 ? out->width * 10 + (*at - '0') : out->width;
    /* A precision is read and means nothing, as there. */
    if (*at == '.')
        at += 1 + strspn(at + 1, "0123456789");
    out->code = *at;
    return *at ? at + 1 : at;
}

static enum code incomplete(struct fault *why)
{
    return FAIL(why, CODE_USAGE, 0,
                "-F: the pattern ends within a code; %%%%, @@ and \\\\ stand for the characters themselves");
}

enum code message_format_check(const char *pattern, struct fault *why)
{
    struct spec s;
    for (const char *at = pattern; *at;) {
        char kind = *at++;
        if (kind == '%') {
            at = read_spec(at, &s);
            if (!s.code)
                return incomplete(why);
            if (!strchr(codes, s.code))
                return FAIL(
                    why, CODE_USAGE, 0,
                    "-F: there is no %%%c; there are %%%% and %%A C D E F I J P R S U X j l m p q r t x",
                    s.code);
        } else if (kind == '\\') {
            if (!*at)
                return incomplete(why);
            if (!strchr(escapes, *at))
                return FAIL(why, CODE_USAGE, 0,
                            "-F: there is no \\%c; there are \\\\ \\0 \\a \\e \\n \\r \\t \\v", *at);
            at++;
        } else if (kind == '@') {
            if (!*at)
                return incomplete(why);
            at++;
        }
    }
    return CODE_OK;
}

/* ---- values ---- */

static void put_padded(struct buf *out, const struct spec *s, struct bytes text)
{
    int pad = s->width - (int)(text.len < 2000 ? text.len : 2000);
    char fill = s->zero && !s->left ? '0' : ' ';
    for (int i = 0; i < pad && !s->left; i++)
        buf_u8(out, (uint8_t)fill);
    buf_add_bytes(out, text);
    for (int i = 0; i < pad && s->left; i++)
        buf_u8(out, ' ');
}

static void put_number(struct buf *out, const struct spec *s, uint64_t n)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, n);
    put_padded(out, s, bytes_str(text));
}

static void put_hex(struct buf *out, struct bytes b, bool upper)
{
    for (size_t i = 0; i < b.len; i++)
        buf_printf(out, upper ? "%02X" : "%02x", b.at[i]);
}

/* "k:v k2:v2" */
static void put_user(struct buf *out, const struct mqtt_props *p)
{
    struct bytes name, value;
    size_t cursor = 0;
    for (int i = 0; mqtt_user_prop(p, &cursor, &name, &value); i++) {
        if (i)
            buf_u8(out, ' ');
        buf_add_bytes(out, name);
        buf_u8(out, ':');
        buf_add_bytes(out, value);
    }
}

static void put_sub_ids(struct buf *out, const struct mqtt_props *p, const char *between)
{
    size_t cursor = 0;
    uint32_t id;
    for (int i = 0; mqtt_sub_id(p, &cursor, &id); i++)
        buf_printf(out, "%s%u", i ? between : "", id);
}

static void put_stamp(struct buf *out, const struct moment *m)
{
    char text[64];
    (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", &m->local);
    buf_printf(out, "%s", text);
}

static void put_time_code(struct buf *out, char code, const struct moment *m)
{
    char pattern[] = {'%', code, 0}, text[128];
    if (code == '@')
        buf_u8(out, '@');
    else if (code == 'N')
        buf_printf(out, "%09ld", m->ns);
    else if (strftime(text, sizeof text, pattern, &m->local) > 0)
        buf_printf(out, "%s", text);
}

/* ---- mosquitto's JSON ---- */

static void put_their_props(struct buf *out, const struct mqtt_props *p)
{
    struct bytes name, value;
    size_t cursor = 0;
    const char *comma = "";
#define NEXT(...) (buf_printf(out, "%s", comma), comma = ",", buf_printf(out, __VA_ARGS__))
    buf_printf(out, ",\"properties\":{");
    if (p->user_count) {
        NEXT("\"user-properties\":{");
        for (int i = 0; mqtt_user_prop(p, &cursor, &name, &value); i++) {
            buf_printf(out, i ? "," : "");
            buf_json(out, name);
            buf_u8(out, ':');
            buf_json(out, value);
        }
        buf_u8(out, '}');
    }
    if (mqtt_props_has(p, MQTT_PROP_CONTENT_TYPE)) {
        NEXT("\"content-type\":");
        buf_json(out, p->content_type);
    }
    if (mqtt_props_has(p, MQTT_PROP_CORRELATION)) {
        NEXT("\"correlation-data\":");
        buf_json(out, p->correlation);
    }
    if (mqtt_props_has(p, MQTT_PROP_RESPONSE_TOPIC)) {
        NEXT("\"response-topic\":");
        buf_json(out, p->response_topic);
    }
    if (mqtt_props_has(p, MQTT_PROP_PAYLOAD_FORMAT))
        NEXT("\"payload-format-indicator\":%u", p->payload_format);
    if (mqtt_props_has(p, MQTT_PROP_MESSAGE_EXPIRY))
        NEXT("\"message-expiry-interval\":%u", p->message_expiry_s);
    if (p->sub_id_count) {
        NEXT("\"subscription-identifier\":");
        put_sub_ids(out, p, ",");
    }
    buf_u8(out, '}');
#undef NEXT
}

static int append(const char *text, size_t n, void *out)
{
    buf_add(out, text, n);
    return 0;
}

static bool put_json_payload(struct buf *out, struct bytes payload, bool parse)
{
    if (payload.len == 0) {
        buf_printf(out, "null");
        return true;
    }
    if (!parse) {
        buf_json(out, payload);
        return true;
    }
    json_t *v = json_loadb((const char *)payload.at, payload.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool fine = v && json_dump_callback(v, append, out, JSON_COMPACT | JSON_ENCODE_ANY) == 0;
    json_decref(v);
    return fine;
}

static void make_pretty(struct buf *text)
{
    json_t *v = json_loadb((const char *)text->at + text->from, buf_size(text), 0, NULL);
    if (!v)
        return; /* no memory: as it is */
    buf_reset(text);
    (void)json_dump_callback(v, append, text, JSON_INDENT(2));
    json_decref(v);
}

static bool put_their_json(struct buf *out, const struct mqtt_publish *p, const struct moment *m, bool parse,
                           bool pretty)
{
    struct buf text = {0};
    char stamp[64], zone[16];
    (void)strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &m->local);
    (void)strftime(zone, sizeof zone, "%z", &m->local);
    buf_printf(&text, "{\"tst\":\"%s.%06ldZ%s\",\"topic\":", stamp, m->ns / 1000, zone);
    buf_json(&text, p->topic);
    buf_printf(&text, ",\"qos\":%u,\"retain\":%u,\"payloadlen\":%zu", p->qos, p->retain, p->payload.len);
    if (p->qos)
        buf_printf(&text, ",\"mid\":%u", p->packet_id);
    if (p->props.raw.len)
        put_their_props(&text, &p->props);
    buf_printf(&text, ",\"payload\":");
    bool fine = put_json_payload(&text, p->payload, parse);
    buf_u8(&text, '}');
    if (fine && pretty)
        make_pretty(&text);
    if (fine)
        buf_add_bytes(out, buf_bytes(&text));
    buf_clear(&text);
    return fine;
}

/* ---- one message ---- */

static bool put_code(struct buf *out, const struct spec *s, const struct mqtt_publish *p,
                     const struct moment *m, bool pretty)
{
    struct buf text = {0};
    const struct mqtt_props *props = &p->props;
    switch (s->code) {
    case '%': buf_u8(out, '%'); break;
    case 'A':
        if (mqtt_props_has(props, MQTT_PROP_TOPIC_ALIAS))
            put_number(out, s, props->topic_alias);
        break;
    case 'C': put_padded(out, s, props->content_type); break;
    case 'D': put_padded(out, s, props->correlation); break;
    case 'E':
        if (mqtt_props_has(props, MQTT_PROP_MESSAGE_EXPIRY))
            put_number(out, s, props->message_expiry_s);
        break;
    case 'F':
        if (mqtt_props_has(props, MQTT_PROP_PAYLOAD_FORMAT))
            buf_printf(out, "%u", props->payload_format);
        break;
    case 'I': put_stamp(out, m); break;
    case 'j':
    case 'J': return put_their_json(out, p, m, s->code == 'J', pretty);
    case 'l': put_number(out, s, p->payload.len); break;
    case 'm': put_number(out, s, p->packet_id); break;
    case 'p': buf_add_bytes(out, p->payload); break;
    case 'P': put_user(out, props); break;
    case 'q': buf_printf(out, "%u", p->qos); break;
    case 'R': put_padded(out, s, props->response_topic); break;
    case 'r': buf_printf(out, "%u", p->retain); break;
    case 'S':
        put_sub_ids(&text, props, ",");
        put_padded(out, s, buf_bytes(&text));
        break;
    case 't': put_padded(out, s, p->topic); break;
    case 'U': buf_printf(out, "%" PRId64 ".%09ld", m->seconds, m->ns); break;
    default: put_hex(out, p->payload, s->code == 'X'); break;
    }
    buf_clear(&text);
    return true;
}

bool message_format(struct buf *out, const char *pattern, const struct mqtt_publish *p, int64_t wall_us,
                    bool pretty)
{
    struct moment m = moment_of(wall_us);
    size_t before = out->len;
    struct spec s;
    for (const char *at = pattern; *at;) {
        char kind = *at++;
        if (kind == '%') {
            at = read_spec(at, &s);
            if (!put_code(out, &s, p, &m, pretty)) {
                out->len = before;
                return false;
            }
        } else if (kind == '\\') {
            buf_u8(out, (uint8_t)escaped[strchr(escapes, *at++) - escapes]);
        } else if (kind == '@') {
            put_time_code(out, *at++, &m);
        } else {
            buf_u8(out, (uint8_t)kind);
        }
    }
    return true;
}

/* ---- our JSON ---- */

static void put_text_or_hex(struct buf *out, const char *name, const char *hex_name, struct bytes v)
{
    if (utf8_valid(v, true)) {
        buf_printf(out, ",\"%s\":", name);
        buf_json(out, v);
    } else {
        buf_printf(out, ",\"%s\":\"", hex_name);
        put_hex(out, v, false);
        buf_u8(out, '"');
    }
}

static void put_our_props(struct buf *out, const struct mqtt_props *p)
{
    size_t cursor = 0;
    struct bytes name, value;
    if (mqtt_props_has(p, MQTT_PROP_CONTENT_TYPE)) {
        buf_printf(out, ",\"contentType\":");
        buf_json(out, p->content_type);
    }
    if (mqtt_props_has(p, MQTT_PROP_RESPONSE_TOPIC)) {
        buf_printf(out, ",\"responseTopic\":");
        buf_json(out, p->response_topic);
    }
    if (mqtt_props_has(p, MQTT_PROP_CORRELATION))
        put_text_or_hex(out, "correlation", "correlationHex", p->correlation);
    if (mqtt_props_has(p, MQTT_PROP_MESSAGE_EXPIRY))
        buf_printf(out, ",\"expirySeconds\":%u", p->message_expiry_s);
    if (mqtt_props_has(p, MQTT_PROP_PAYLOAD_FORMAT))
        buf_printf(out, ",\"payloadFormat\":%u", p->payload_format);
    if (p->sub_id_count) {
        buf_printf(out, ",\"subscriptionIds\":[");
        put_sub_ids(out, p, ",");
        buf_u8(out, ']');
    }
    if (p->user_count == 0)
        return;
    buf_printf(out, ",\"properties\":[");
    for (int i = 0; mqtt_user_prop(p, &cursor, &name, &value); i++) {
        buf_printf(out, "%s[", i ? "," : "");
        buf_json(out, name);
        buf_u8(out, ',');
        buf_json(out, value);
        buf_u8(out, ']');
    }
    buf_u8(out, ']');
}

void message_json(struct buf *out, const struct mqtt_publish *p, int64_t wall_us)
{
    char time[VALUE_TEXT_MAX];
    buf_printf(out, "{\"time\":\"%s\",\"topic\":", value_print_time_utc(wall_us, time));
    buf_json(out, p->topic);
    buf_printf(out, ",\"qos\":%u,\"retain\":%s", p->qos, p->retain ? "true" : "false");
    if (p->dup)
        buf_printf(out, ",\"dup\":true");
    if (p->props.raw.len)
        put_our_props(out, &p->props);
    put_text_or_hex(out, "payload", "payloadHex", p->payload);
    buf_u8(out, '}');
}
