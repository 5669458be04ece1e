/* match.c - a message and the conditions of routes. */
#include "route/table.h"

#include "base/mem.h"
#include "base/suggest.h"
#include "message/message.h"
#include "mqtt/packet.h"
#include "mqtt/topic.h"

enum { SCRATCH_BYTES_MAX = 16 << 20, JSON_DEPTH = 32, JSON_KEYS = 10000 /* L-JSON */ };

enum code route_matcher_init(struct route_matcher *m, struct fault *why)
{
    *m = (struct route_matcher){.reader = json_reader_new(&(struct json_limits){JSON_DEPTH, JSON_KEYS})};
    arena_init(&m->scratch, NULL, 0, SCRATCH_BYTES_MAX);
    return m->reader ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for the routes");
}

void route_matcher_clear(struct route_matcher *m)
{
    json_reader_free(m->reader);
    arena_clear(&m->scratch);
    mem_free(m->json);
    *m = (struct route_matcher){0};
}

void route_matcher_begin(struct route_matcher *m)
{
    arena_reset(&m->scratch);
    m->body_read = m->body_bad = false;
}

bool route_source_matches(const struct route *r, struct bytes topic)
{
    for (size_t i = 0; i < r->filter_count; i++)
        if (topic_matches(r->filters[i], topic))
            return true;
    return false;
}

/* ---- properties ---- */

static bool same(struct bytes a, struct bytes b)
{
    return a.len == b.len && suggest_distance(a, b, 0) == 0; /* whatever the case */
}

/* The first of that name as written; else the first of that name in another case. */
static bool user_property(const struct message *m, struct bytes name, struct bytes *out)
{
    struct mqtt_props props = {.raw = m->props};
    struct bytes key, value;
    bool near = false;
    for (size_t cursor = 0; mqtt_user_prop(&props, &cursor, &key, &value);) {
        if (bytes_equal(key, name)) {
            *out = value;
            return true;
        }
        if (!near && same(key, name)) {
            *out = value;
            near = true;
        }
    }
    return near;
}

static bool mqtt_text(const struct message *m, enum mqtt_prop which, struct bytes *out)
{
    struct mqtt_props props;
    static const struct mqtt_limits limits = {.prop_bytes = UINT32_MAX, .user_props = UINT16_MAX};
    if (!m->props.len || mqtt_decode_props(MQTT_PUBLISH, m->props, &limits, &props, NULL) != CODE_OK)
        return false;
    *out = which == MQTT_PROP_CONTENT_TYPE ? props.content_type : props.correlation;
    return mqtt_props_has(&props, which) && utf8_valid(*out, true);
}

/* "$jobs/MODULE/OUTPUT": which = 1 or 2. */
static bool job_part(struct bytes topic, int which, struct bytes *out)
{
    size_t cursor = 0;
    if (!bytes_starts(topic, "$jobs/"))
        return false;
    for (int i = 0; topic_level(topic, &cursor, out); i++)
        if (i == which)
            return true;
    return false;
}

static bool enqueued(const struct message *m, struct arena *scratch, struct bytes *out)
{
    char *text = arena_take(scratch, DATETIME_TEXT + 1);
    if (!text)
        return false;
    datetime_text(DATETIME_UNIX + m->wall_us * 10, text);
    *out = bytes_of(text, DATETIME_TEXT);
    return true;
}

/* The names by which messages of hub devices carry them, see [IoT Hub, MQTT support]; then what MQTT itself says. */
static bool system_property(const struct message *m, struct bytes topic, struct bytes name,
                            struct arena *scratch, struct bytes *out)
{
    static const char *const carried[][2] = {{"messageId", "$.mid"},
                                             {"correlationId", "$.cid"},
                                             {"userId", "$.uid"},
                                             {"contentType", "$.ct"},
                                             {"contentEncoding", "$.ce"},
                                             {"connectionDeviceId", "$.cdid"},
                                             {"connectionModuleId", "$.cmid"},
                                             {"outputName", "$.on"},
                                             {"inputName", "$.in"},
                                             {"to", "$.to"},
                                             {"creationTime", "$.ctime"},
                                             {"messageSchema", "$.schema"},
                                             {"interfaceId", "$.ifid"},
                                             {"componentName", "$.sub"}};
    for (size_t i = 0; i < sizeof carried / sizeof carried[0]; i++)
        if (same(name, bytes_str(carried[i][0])) && user_property(m, bytes_str(carried[i][1]), out))
            return true;
    if (same(name, BYTES_LIT("topic"))) {
        *out = topic;
        return true;
    }
    if (same(name, BYTES_LIT("enqueuedTime")))
        return enqueued(m, scratch, out);
    if (same(name, BYTES_LIT("contentType")))
        return mqtt_text(m, MQTT_PROP_CONTENT_TYPE, out);
    if (same(name, BYTES_LIT("correlationId")))
        return mqtt_text(m, MQTT_PROP_CORRELATION, out);
    if (same(name, BYTES_LIT("connectionModuleId")))
        return job_part(topic, 1, out);
    if (same(name, BYTES_LIT("outputName")))
        return job_part(topic, 2, out);
    if (same(name, BYTES_LIT("connectionDeviceId")) && !bytes_starts(topic, "$jobs/")) {
        *out = m->source;
        return out->len > 0;
    }
    return false;
}

/* ---- the body ---- */

static bool ends_alike(struct bytes b, const char *end)
{
    size_t n = strlen(end);
    return b.len >= n && same(bytes_from(b, b.len - n), bytes_str(end));
}

/* What the message says of its body: JSON, or nothing. */
static bool may_be_json(const struct message *m)
{
    struct bytes type, encoding;
    if (system_property(m, m->topic, BYTES_LIT("contentType"), NULL, &type)) {
        const uint8_t *semicolon = type.len ? memchr(type.at, ';', type.len) : NULL;
        if (semicolon)
            type.len = (size_t)(semicolon - type.at);
        while (type.len && type.at[type.len - 1] == ' ')
            type.len--;
        if (!same(type, BYTES_LIT("application/json")) && !ends_alike(type, "+json"))
            return false;
    }
    return !system_property(m, m->topic, BYTES_LIT("contentEncoding"), NULL, &encoding) ||
           same(encoding, BYTES_LIT("utf-8"));
}

/* One JSON object; anything else is a body without fields. */
static bool is_object(struct bytes b)
{
    size_t i = 0;
    while (i < b.len && strchr(" \t\r\n", b.at[i]) && b.at[i])
        i++;
    return i < b.len && b.at[i] == '{';
}

static enum code read_fields(struct route_matcher *m, const struct route_target *t, const struct message *msg)
{
    const struct value *slots, *more;
    enum code c = json_read(m->reader, t->plan, msg->payload, true, &m->body_why);
    if (c == CODE_OK)
        c = json_next(m->reader, &slots);
    if (c != CODE_OK)
        return c;
    memcpy(m->json, slots, t->paths * sizeof *m->json);
    c = json_next(m->reader, &more);
    if (c == CODE_OK)
        return FAIL(&m->body_why, CODE_MALFORMED, 0, "more than one JSON object");
    return c == CODE_END ? CODE_OK : c;
}

static enum code read_body(struct route_matcher *m, const struct route_target *t, const struct message *msg)
{
    if (m->body_read)
        return CODE_OK;
    if (m->json_cap < t->paths) {
        struct value *json = mem_realloc(m->json, t->paths * sizeof *json);
        if (!json)
            return CODE_NOMEM;
        m->json = json;
        m->json_cap = t->paths;
    }
    enum code c = CODE_OK;
    if (may_be_json(msg)) {
        c = is_object(msg->payload) ? read_fields(m, t, msg)
                                    : FAIL(&m->body_why, CODE_MALFORMED, 0, "not a JSON object");
        m->body_bad = c != CODE_OK;
    } else {
        c = FAIL(&m->body_why, CODE_MALFORMED, 0,
                 "its content type or encoding says that it is not JSON in UTF-8");
    }
    if (c == CODE_NOMEM)
        return c;
    for (uint32_t i = 0; c != CODE_OK && i < t->paths; i++)
        m->json[i] = value_null();
    m->body_read = true;
    return CODE_OK;
}

/* ---- a route ---- */

static enum code fill(struct route_matcher *m, const struct route *r, const struct message *msg,
                      struct bytes topic, struct value *slots)
{
    const struct condition *c = r->parts.condition;
    for (uint32_t i = 0; i < c->name_count; i++) {
        const struct condition_name *n = &c->names[i];
        struct bytes text;
        bool there = false;
        if (n->kind == CONDITION_BODY) {
            enum code code = read_body(m, r->target, msg);
            if (code != CODE_OK)
                return code;
            slots[i] = m->json[r->json_slots[i]];
            there = false;
        }
        /* `$name` is first of all an application property of just that name, also `$body.x`. */
        if (n->kind == CONDITION_PROPERTY)
            there = user_property(msg, n->name, &text);
        else if (n->kind != CONDITION_SYSTEM && msg->props.len)
            there = user_property(msg, n->text, &text);
        if (!there && (n->kind == CONDITION_SYSTEM || n->kind == CONDITION_EITHER))
            there = system_property(msg, topic, n->name, &m->scratch, &text);
        if (there)
            slots[i] = value_text(text);
        else if (n->kind != CONDITION_BODY)
            slots[i] = value_null();
    }
    return CODE_OK;
}

enum code route_match(struct route_matcher *m, const struct route *r, const struct message *msg,
                      struct bytes topic, enum route_outcome *out, struct value *slots)
{
    struct value own[CONDITION_NAMES_MAX], result;
    *out = OUTCOME_ELSEWHERE;
    if (!route_source_matches(r, topic))
        return CODE_OK;
    *out = OUTCOME_YES;
    if (!r->parts.condition)
        return CODE_OK;
    slots = slots ? slots : own;
    enum code c = fill(m, r, msg, topic, slots);
    if (c == CODE_OK)
        c = condition_eval(r->parts.condition, slots, &m->scratch, &result);
    if (c == CODE_OK)
        *out = result.type != VALUE_BIT ? OUTCOME_UNDEFINED : result.i ? OUTCOME_YES : OUTCOME_NO;
    return c;
}
