#include "cli/mqtt_target.h"

#include "base/mem.h"
#include "base/values.h"

#include <stdio.h>
#include <strings.h>

const char *const mqtt_version_words[] = { "5", "mqttv5", "311", "mqttv311", "31", "mqttv31", NULL };
static const enum mqtt_version versions[] = { MQTT_5, MQTT_5, MQTT_3_1_1, MQTT_3_1_1, MQTT_3_1, MQTT_3_1 };

/* ---- properties ---- */

enum kind { AS_U8, AS_U16, AS_U32, AS_VARINT, AS_TEXT, AS_USER };
enum { IN_CONNECT = 1, IN_PUBLISH = 2, IN_SUBSCRIBE = 4, IN_UNSUBSCRIBE = 8, IN_DISCONNECT = 16, IN_WILL = 32 };

static const struct row {
    const char    *name;
    enum mqtt_prop id;
    enum kind      kind;
    unsigned       in;
} rows[] = {
    { "payload-format-indicator", MQTT_PROP_PAYLOAD_FORMAT, AS_U8, IN_PUBLISH | IN_WILL },
    { "message-expiry-interval", MQTT_PROP_MESSAGE_EXPIRY, AS_U32, IN_PUBLISH | IN_WILL },
    { "content-type", MQTT_PROP_CONTENT_TYPE, AS_TEXT, IN_PUBLISH | IN_WILL },
    { "response-topic", MQTT_PROP_RESPONSE_TOPIC, AS_TEXT, IN_PUBLISH | IN_WILL },
    { "correlation-data", MQTT_PROP_CORRELATION, AS_TEXT, IN_PUBLISH | IN_WILL },
    { "will-delay-interval", MQTT_PROP_WILL_DELAY, AS_U32, IN_WILL },
    { "session-expiry-interval", MQTT_PROP_SESSION_EXPIRY, AS_U32, IN_CONNECT | IN_DISCONNECT },
    { "receive-maximum", MQTT_PROP_RECEIVE_MAX, AS_U16, IN_CONNECT },
    { "maximum-packet-size", MQTT_PROP_MAX_PACKET, AS_U32, IN_CONNECT },
    { "topic-alias-maximum", MQTT_PROP_TOPIC_ALIAS_MAX, AS_U16, IN_CONNECT },
    { "request-problem-information", MQTT_PROP_REQUEST_PROBLEM, AS_U8, IN_CONNECT },
    { "request-response-information", MQTT_PROP_REQUEST_RESPONSE, AS_U8, IN_CONNECT },
    { "subscription-identifier", MQTT_PROP_SUB_ID, AS_VARINT, IN_SUBSCRIBE },
    { "user-property", MQTT_PROP_USER, AS_USER,
      IN_CONNECT | IN_PUBLISH | IN_SUBSCRIBE | IN_UNSUBSCRIBE | IN_DISCONNECT | IN_WILL },
};
static const char *const commands[] = { "CONNECT", "PUBLISH", "SUBSCRIBE", "UNSUBSCRIBE", "DISCONNECT", "WILL" };

static const struct row *find_row(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    return NULL;
}

static unsigned command_bit(const char *word)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcasecmp(commands[i], word) == 0)
            return 1u << i;
    return 0;
}

static enum code put(const struct flag_property *p, const struct row *row, struct buf *out, struct fault *why)
{
    static const uint64_t most[] = { [AS_U8] = 255, [AS_U16] = 65535, [AS_U32] = UINT32_MAX, [AS_VARINT] = 268435455 };
    uint64_t n = 0;
    struct fault number;
    if (row->kind <= AS_VARINT && value_parse_count(bytes_str(p->value), 0, most[row->kind], &n, &number) != CODE_OK)
        return FAIL(why, CODE_USAGE, 0, "-D %s %s: %s", p->command, p->name, number.text);
    switch (row->kind) {
    case AS_U8:
        mqtt_put_u8(out, row->id, (uint8_t)n);
        break;
    case AS_U16:
        mqtt_put_u16(out, row->id, (uint16_t)n);
        break;
    case AS_U32:
        mqtt_put_u32(out, row->id, (uint32_t)n);
        break;
    case AS_VARINT:
        mqtt_put_varint(out, row->id, (uint32_t)n);
        break;
    case AS_TEXT:
        mqtt_put_bytes(out, row->id, bytes_str(p->value));
        break;
    case AS_USER:
        mqtt_put_user(out, bytes_str(p->key), bytes_str(p->value));
        break;
    }
    return CODE_OK;
}

enum code mqtt_target_props(const struct mqtt_target *t, const char *command, struct buf *out, struct fault *why)
{
    for (size_t i = 0; i < t->props.count; i++) {
        const struct flag_property *p = &t->props.at[i];
        unsigned bit = command_bit(p->command);
        if (!bit)
            return FAIL(why, CODE_USAGE, 0, "-D %s: the command is one of CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, "
                        "WILL", p->command);
        const struct row *row = find_row(p->name);
        if (!row)
            return FAIL(why, CODE_USAGE, 0, "-D %s %s: there is no such property", p->command, p->name);
        if (!(row->in & bit))
            return FAIL(why, CODE_USAGE, 0, "-D %s %s: that property does not belong to %s", p->command, p->name, p->command);
        if (strcasecmp(p->command, command) != 0)
            continue;
        enum code c = put(p, row, out, why);
        if (c != CODE_OK)
            return c;
    }
    return out->bad ? FAIL(why, CODE_NOMEM, 0, "no memory for properties") : CODE_OK;
}

/* ---- secrets ---- */

static enum code read_password(const struct verb_call *call, const char *given, char **out, struct fault *why)
{
    size_t len = 0;
    if (given[0] == '@') {
        enum code c = io_load(call->io, given + 1, 65535, out, &len, why);
        if (c != CODE_OK)
            return c;
    } else if (strcmp(given, "-") == 0) {
        char line[4096];
        if (!fgets(line, sizeof line, stdin))
            return FAIL(why, CODE_USAGE, 0, "-P -: nothing to read on standard input");
        *out = mem_strdup(line);
        len = strlen(line);
    } else {
        verb_warn(call, "other users of this machine can read a password given with -P; use -P @FILE or -P -");
        *out = mem_strdup(given);
        return *out ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory");
    }
    while (*out && len && ((*out)[len - 1] == '\n' || (*out)[len - 1] == '\r'))
        (*out)[--len] = 0;
    return *out ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory");
}

/* ---- settings ---- */

static enum code fill_props(const struct mqtt_target *t, struct mqtt_client_settings *s, struct mqtt_target_memory *m,
                            struct fault *why)
{
    enum code c = mqtt_target_props(t, "CONNECT", &m->connect, why);
    if (c == CODE_OK)
        c = mqtt_target_props(t, "WILL", &m->will, why);
    s->props = buf_bytes(&m->connect);
    s->will_props = buf_bytes(&m->will);
    if (c == CODE_OK && t->props.count && s->version != MQTT_5)
        c = FAIL(why, CODE_USAGE, 0, "properties (-D) exist only in version 5");
    return c;
}

static enum code fill(const struct verb_call *call, const struct mqtt_target *t, struct mqtt_client_settings *s,
                      struct mqtt_target_memory *m, struct fault *why)
{
    s->host = t->host;
    s->port = (uint16_t)t->port;
    s->version = versions[t->version];
    s->clean_start = !t->keep_session;
    s->keep_alive_s = (uint16_t)(t->keep_alive_us / 1000000 > 65535 ? 65535 : t->keep_alive_us / 1000000);
    if (t->keep_session && !t->id)
        return FAIL(why, CODE_USAGE, 0, "-c keeps a session, which needs a name: add -i ID");
    if (s->version == MQTT_5)
        s->session_expiry_s = t->expiry_us          ? (uint32_t)(t->expiry_us / 1000000 > UINT32_MAX ? UINT32_MAX
                                                                                                      : t->expiry_us / 1000000)
                              : t->keep_session     ? UINT32_MAX
                                                    : 0;
    if (t->id) {
        s->client_id = bytes_str(t->id);
    } else {
        uint64_t r;
        call->io->random(call->io->self, &r, sizeof r);
        (void)snprintf(m->id, sizeof m->id, "fieldgate-%016llx", (unsigned long long)r);
        s->client_id = bytes_str(m->id);
    }
    if (t->user)
        s->user = bytes_str(t->user);
    if (t->password) {
        enum code c = read_password(call, t->password, &m->password, why);
        if (c != CODE_OK)
            return c;
        s->password = bytes_str(m->password);
    }
    if (t->will_topic) {
        s->has_will = true;
        s->will_topic = bytes_str(t->will_topic);
        s->will_payload = bytes_str(t->will_payload ? t->will_payload : "");
        s->will_qos = (uint8_t)t->will_qos;
        s->will_retain = t->will_retain;
    }
    return fill_props(t, s, m, why);
}

int mqtt_target_settings(const struct verb_call *call, const struct mqtt_target *t, struct mqtt_client_settings *s,
                         struct mqtt_target_memory *m)
{
    struct fault why;
    *s = (struct mqtt_client_settings){ 0 };
    *m = (struct mqtt_target_memory){ 0 };
    return fill(call, t, s, m, &why) == CODE_OK ? STATUS_DONE : verb_fail(call, &why);
}

void mqtt_target_clear(struct mqtt_target_memory *m)
{
    buf_clear(&m->connect);
    buf_clear(&m->will);
    mem_free(m->password);
    m->password = NULL;
}
