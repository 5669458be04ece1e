#include "cli/mqtt_target.h"

#include "base/mem.h"
#include "base/values.h"
#include "identity/scram_client.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

const char *const mqtt_version_words[] = {"5", "mqttv5", "311", "mqttv311", "31", "mqttv31", NULL};
static const enum mqtt_version versions[] = {MQTT_5, MQTT_5, MQTT_3_1_1, MQTT_3_1_1, MQTT_3_1, MQTT_3_1};

/* ---- properties ---- */

enum kind { AS_FLAG, AS_U16, AS_U32, AS_VARINT, AS_SETTING, AS_ALIAS, AS_TEXT, AS_USER };
enum {
    IN_CONNECT = 1,
    IN_PUBLISH = 2,
    IN_SUBSCRIBE = 4,
    IN_UNSUBSCRIBE = 8,
    IN_DISCONNECT = 16,
    IN_WILL = 32
};

static const struct row {
    const char *name;
    enum mqtt_prop id;
    enum kind kind;
    unsigned in;
} rows[] = {
    {"payload-format-indicator", MQTT_PROP_PAYLOAD_FORMAT, AS_FLAG, IN_PUBLISH | IN_WILL},
    {"message-expiry-interval", MQTT_PROP_MESSAGE_EXPIRY, AS_U32, IN_PUBLISH | IN_WILL},
    {"content-type", MQTT_PROP_CONTENT_TYPE, AS_TEXT, IN_PUBLISH | IN_WILL},
    {"response-topic", MQTT_PROP_RESPONSE_TOPIC, AS_TEXT, IN_PUBLISH | IN_WILL},
    {"correlation-data", MQTT_PROP_CORRELATION, AS_TEXT, IN_PUBLISH | IN_WILL},
    {"will-delay-interval", MQTT_PROP_WILL_DELAY, AS_U32, IN_WILL},
    {"topic-alias", MQTT_PROP_TOPIC_ALIAS, AS_ALIAS, IN_PUBLISH},
    {"session-expiry-interval", MQTT_PROP_SESSION_EXPIRY, AS_U32, IN_DISCONNECT},
    {"session-expiry-interval", MQTT_PROP_SESSION_EXPIRY, AS_SETTING, IN_CONNECT},
    {"receive-maximum", MQTT_PROP_RECEIVE_MAX, AS_SETTING, IN_CONNECT},
    {"maximum-packet-size", MQTT_PROP_MAX_PACKET, AS_SETTING, IN_CONNECT},
    {"topic-alias-maximum", MQTT_PROP_TOPIC_ALIAS_MAX, AS_SETTING, IN_CONNECT},
    {"request-problem-information", MQTT_PROP_REQUEST_PROBLEM, AS_FLAG, IN_CONNECT},
    {"request-response-information", MQTT_PROP_REQUEST_RESPONSE, AS_FLAG, IN_CONNECT},
    {"authentication-method", MQTT_PROP_AUTH_METHOD, AS_TEXT, IN_CONNECT},
    {"authentication-data", MQTT_PROP_AUTH_DATA, AS_TEXT, IN_CONNECT},
    {"subscription-identifier", MQTT_PROP_SUB_ID, AS_VARINT, IN_SUBSCRIBE},
    {"user-property", MQTT_PROP_USER, AS_USER,
     IN_CONNECT | IN_PUBLISH | IN_SUBSCRIBE | IN_UNSUBSCRIBE | IN_DISCONNECT | IN_WILL},
};
static const char *const commands[] = {"CONNECT",     "PUBLISH",    "SUBSCRIBE",
                                       "UNSUBSCRIBE", "DISCONNECT", "WILL"};

/* The row of that name for the command, or else any of that name. */
static const struct row *find_row(const char *name, unsigned command)
{
    const struct row *found = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (strcmp(rows[i].name, name) == 0 && (!found || (rows[i].in & command)))
            found = &rows[i];
    return found;
}

static unsigned command_bit(const char *word)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcasecmp(commands[i], word) == 0)
            return 1u << i;
    return 0;
}

static enum code number_of(const struct flag_property *p, const struct row *row, uint64_t *n,
                           struct fault *why)
{
    static const uint64_t most[] = {
        [AS_FLAG] = 1, [AS_U16] = 65535, [AS_U32] = UINT32_MAX, [AS_VARINT] = 268435455, [AS_ALIAS] = 65535};
    bool narrow = row->id == MQTT_PROP_RECEIVE_MAX || row->id == MQTT_PROP_TOPIC_ALIAS_MAX;
    uint64_t high = row->kind != AS_SETTING ? most[row->kind] : narrow ? 65535 : UINT32_MAX;
    /* Zero is not allowed where the standard calls it a protocol error. */
    uint64_t low = row->kind == AS_VARINT || row->kind == AS_ALIAS || row->id == MQTT_PROP_RECEIVE_MAX ||
                   row->id == MQTT_PROP_MAX_PACKET;
    struct fault number;
    if (value_parse_count(bytes_str(p->value), low, high, n, &number) != CODE_OK)
        return FAIL(why, CODE_USAGE, 0, "-D %s %s: %s", p->command, p->name, number.text);
    return CODE_OK;
}

static enum code put(const struct flag_property *p, const struct row *row, struct buf *out, struct fault *why)
{
    uint64_t n = 0;
    enum code c = row->kind < AS_TEXT ? number_of(p, row, &n, why) : CODE_OK;
    if (c != CODE_OK)
        return c;
    switch (row->kind) {
    case AS_SETTING: /* the client puts them into its CONNECT itself */
    case AS_ALIAS: break;
    case AS_FLAG: mqtt_put_u8(out, row->id, (uint8_t)n); break;
    case AS_U16: mqtt_put_u16(out, row->id, (uint16_t)n); break;
    case AS_U32: mqtt_put_u32(out, row->id, (uint32_t)n); break;
    case AS_VARINT: mqtt_put_varint(out, row->id, (uint32_t)n); break;
    case AS_TEXT: mqtt_put_bytes(out, row->id, bytes_str(p->value)); break;
    case AS_USER: mqtt_put_user(out, bytes_str(p->key), bytes_str(p->value)); break;
    }
    return CODE_OK;
}

enum code mqtt_target_props(const struct mqtt_target *t, const char *command, struct buf *out,
                            struct fault *why)
{
    for (size_t i = 0; i < t->props.count; i++) {
        const struct flag_property *p = &t->props.at[i];
        unsigned bit = command_bit(p->command);
        if (!bit)
            return FAIL(why, CODE_USAGE, 0,
                        "-D %s: the command is one of CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, DISCONNECT, "
                        "WILL",
                        p->command);
        const struct row *row = find_row(p->name, bit);
        if (!row)
            return FAIL(why, CODE_USAGE, 0, "-D %s %s: there is no such property", p->command, p->name);
        if (!(row->in & bit))
            return FAIL(why, CODE_USAGE, 0, "-D %s %s: that property does not belong to %s", p->command,
                        p->name, p->command);
        uint64_t n;
        enum code c = row->kind < AS_TEXT ? number_of(p, row, &n, why)
                                          : CODE_OK; /* also what is not used here */
        if (c == CODE_OK && strcasecmp(p->command, command) == 0)
            c = put(p, row, out, why);
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
        verb_warn(call,
                  "other users of this machine can read a password given with -P; use -P @FILE or -P -");
        *out = mem_strdup(given);
        return *out ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory");
    }
    while (*out && len && ((*out)[len - 1] == '\n' || (*out)[len - 1] == '\r'))
        (*out)[--len] = 0;
    return *out ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory");
}

enum code mqtt_target_user_props(const struct texts *given, struct buf *out, struct fault *why)
{
    for (size_t i = 0; i < given->count; i++) {
        const char *equals = strchr(given->at[i], '=');
        if (!equals)
            return FAIL(why, CODE_USAGE, 0, "--user-property must be NAME=VALUE, got '%s'", given->at[i]);
        mqtt_put_user(out, bytes_of(given->at[i], (size_t)(equals - given->at[i])), bytes_str(equals + 1));
    }
    return out->bad ? FAIL(why, CODE_NOMEM, 0, "no memory for properties") : CODE_OK;
}

uint16_t mqtt_target_alias(const struct mqtt_target *t)
{
    uint64_t n = 0;
    for (size_t i = 0; i < t->props.count; i++)
        if (strcmp(t->props.at[i].name, "topic-alias") == 0 &&
            value_parse_count(bytes_str(t->props.at[i].value), 1, 65535, &n, NULL) != CODE_OK)
            n = 0;
    return (uint16_t)n;
}

/* ---- settings ---- */

/* -D CONNECT receive-maximum 10 and the like: the client has settings for them. */
static void take_settings(const struct mqtt_target *t, struct mqtt_client_settings *s)
{
    for (size_t i = 0; i < t->props.count; i++) {
        const struct flag_property *p = &t->props.at[i];
        const struct row *row = find_row(p->name, IN_CONNECT);
        uint64_t n;
        if (strcasecmp(p->command, "CONNECT") != 0 || row->kind != AS_SETTING ||
            number_of(p, row, &n, NULL) != CODE_OK)
            continue;
        switch (row->id) {
        case MQTT_PROP_SESSION_EXPIRY: s->session_expiry_s = (uint32_t)n; break;
        case MQTT_PROP_RECEIVE_MAX: s->receive_max = (uint16_t)n; break;
        case MQTT_PROP_MAX_PACKET: s->packet_bytes = (uint32_t)n; break;
        default: s->topic_alias_max = (uint16_t)n; break;
        }
    }
}

static enum code fill_props(const struct mqtt_target *t, struct mqtt_client_settings *s,
                            struct mqtt_target_memory *m, struct fault *why)
{
    enum code c = mqtt_target_props(t, "CONNECT", &m->connect, why);
    if (c == CODE_OK)
        c = mqtt_target_props(t, "WILL", &m->will, why);
    if (c == CODE_OK)
        c = mqtt_target_props(t, "DISCONNECT", &m->goodbye, why);
    if (c == CODE_OK)
        take_settings(t, s);
    s->props = buf_bytes(&m->connect);
    s->will_props = buf_bytes(&m->will);
    if (c == CODE_OK && t->props.count && s->version != MQTT_5)
        c = FAIL(why, CODE_USAGE, 0, "properties (-D) exist only in version 5");
    return c;
}

/* Where to: -h and -p, or -L. */
static enum code fill_address(const struct mqtt_target *t, struct mqtt_client_settings *s,
                              struct mqtt_target_memory *m, struct fault *why)
{
    const char *text = t->url ? t->url : t->host;
    struct mqtt_address *a = &m->address;
    uint16_t port = (uint16_t)t->port;
    if (!port && mqtt_target_wants_tls(t) && !strstr(text, "://"))
        port = mqtt_scheme_port(MQTT_TLS);
    enum code c = mqtt_address_parse(a, bytes_str(text), port, why);
    if (c != CODE_OK)
        return c;
    s->host = a->host;
    s->port = a->port;
    s->scheme = a->scheme;
    bool socket = a->scheme == MQTT_WS || a->scheme == MQTT_WSS;
    if (socket)
        s->path = a->path[0] ? a->path : "/mqtt";
    else if (t->url && a->path[0] && a->path[1])
        m->topic = a->path + 1;
    else if (!t->url && a->path[0] && a->path[1])
        return FAIL(why, CODE_USAGE, 0, "-h %s: a topic belongs to -t, or to the URL of -L", text);
    if (a->user[0])
        s->user = bytes_str(a->user);
    if (a->password[0])
        s->password = bytes_str(a->password);
    return CODE_OK;
}

const char *mqtt_target_place(const struct mqtt_client_settings *s, char out[MQTT_HOST_MAX + 8])
{
    bool v6 = strchr(s->host, ':') && !bytes_starts(bytes_str(s->host), "unix:");
    if (bytes_starts(bytes_str(s->host), "unix:"))
        (void)snprintf(out, MQTT_HOST_MAX + 8, "%s", s->host);
    else
        (void)snprintf(out, MQTT_HOST_MAX + 8, "%s%s%s:%u", v6 ? "[" : "", s->host, v6 ? "]" : "", s->port);
    return out;
}

/* Seconds as mosquitto's users write them (-1 and 4294967295: for good), or a duration. */
static enum code parse_expiry(const char *text, uint32_t *out, struct fault *why)
{
    uint64_t n, us;
    if (strcmp(text, "-1") == 0 || strcmp(text, "\xe2\x88\x9e") == 0) {
        *out = UINT32_MAX;
    } else if (value_parse_count(bytes_str(text), 0, UINT32_MAX, &n, NULL) == CODE_OK) {
        *out = (uint32_t)n;
    } else if (value_parse_duration(bytes_str(text), &us, NULL) == CODE_OK &&
               us / VALUE_US_PER_S <= UINT32_MAX) {
        *out = (uint32_t)(us / VALUE_US_PER_S);
    } else {
        return FAIL(why, CODE_USAGE, 0,
                    "-x, --session-expiry-interval must be seconds, a duration such as 2h, or -1 for "
                    "good, got '%s'",
                    text);
    }
    return CODE_OK;
}

static void fill_id(const struct verb_call *call, const struct mqtt_target *t, struct mqtt_client_settings *s,
                    struct mqtt_target_memory *m)
{
    uint64_t r;
    if (t->id) {
        s->client_id = bytes_str(t->id);
        return;
    }
    if (t->id_prefix) {
        (void)snprintf(m->id, sizeof m->id, "%.40s%ld", t->id_prefix, (long)getpid());
    } else { /* 3.1 allows 23 bytes */
        call->io->random(call->io->self, &r, sizeof r);
        (void)snprintf(m->id, sizeof m->id, "%s-%016llx", s->version == MQTT_3_1 ? "fg" : "fieldgate",
                       (unsigned long long)r);
    }
    s->client_id = bytes_str(m->id);
}

static enum code fill_session(const struct mqtt_target *t, struct mqtt_client_settings *s, struct fault *why)
{
    uint32_t expiry = t->keep_session ? UINT32_MAX : 0;
    enum code c = t->expiry ? parse_expiry(t->expiry, &expiry, why) : CODE_OK;
    if (c == CODE_OK && t->keep_session && !t->id && !t->id_prefix)
        c = FAIL(why, CODE_USAGE, 0, "-c keeps a session, which needs a name: add -i ID");
    if (c == CODE_OK && t->expiry && s->version != MQTT_5)
        c = FAIL(why, CODE_USAGE, 0,
                 "-x: session expiry exists only in version 5; without it a session is kept with -c");
    s->clean_start = !t->keep_session;
    if (s->version == MQTT_5)
        s->session_expiry_s = expiry;
    return c;
}

static enum code fill(const struct verb_call *call, const struct mqtt_target *t,
                      struct mqtt_client_settings *s, struct mqtt_target_memory *m, struct fault *why)
{
    s->version = versions[t->version];
    enum code code = fill_address(t, s, m, why);
    if (code == CODE_OK)
        code = mqtt_target_tls(call, t, s, m, why);
    if (code == CODE_OK)
        code = fill_session(t, s, why);
    if (code != CODE_OK)
        return code;
    s->keep_alive_s = (uint16_t)(t->keep_alive_us / 1000000 > 65535 ? 65535 : t->keep_alive_us / 1000000);
    fill_id(call, t, s, m);
    if (t->user)
        s->user = bytes_str(t->user);
    if (t->password) {
        enum code c = read_password(call, t->password, &m->password, why);
        if (c != CODE_OK)
            return c;
        s->password = bytes_str(m->password);
    }
    code = t->auth_method ? mqtt_target_scram(call, t, s, m, why) : CODE_OK;
    if (code != CODE_OK)
        return code;
    if (t->will_topic) {
        s->has_will = true;
        s->will_topic = bytes_str(t->will_topic);
        s->will_payload = bytes_str(t->will_payload ? t->will_payload : "");
        s->will_qos = (uint8_t)t->will_qos;
        s->will_retain = t->will_retain;
    }
    return fill_props(t, s, m, why);
}

int mqtt_target_settings(const struct verb_call *call, const struct mqtt_target *t,
                         struct mqtt_client_settings *s, struct mqtt_target_memory *m)
{
    struct fault why;
    *s = (struct mqtt_client_settings){0};
    *m = (struct mqtt_target_memory){0};
    return fill(call, t, s, m, &why) == CODE_OK ? STATUS_DONE : verb_fail(call, &why);
}

int mqtt_target_fail(const struct verb_call *call, const struct fault *why)
{
    bool nobody = why->sys_errno == ECONNREFUSED || why->sys_errno == ENOENT;
    if (!nobody)
        return verb_fail(call, why);
    verb_warn(
        call,
        "%s. No broker listens there: start one with `fieldgate run`, or say where it is with -h and -p",
        why->text);
    return STATUS_NOT_RUNNING;
}

void mqtt_target_clear(struct mqtt_target_memory *m)
{
    buf_clear(&m->connect);
    buf_clear(&m->will);
    buf_clear(&m->goodbye);
    scram_client_free(m->scram);
    m->scram = NULL;
    mem_free(m->password);
    m->password = NULL;
    tls_client_drop(m->tls);
    m->tls = NULL;
}
