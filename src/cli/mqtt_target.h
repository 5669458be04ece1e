/* mqtt_target.h - the flags that say which broker, as whom, and how: the same for every verb that is an MQTT client, with
 * the letters that mosquitto's users know. Thread: main. */
#pragma once

#include "cli/verb.h"
#include "mqtt/client.h"

struct mqtt_target {
    const char            *host;      /* -h: as mqtt_address_parse takes it */
    uint32_t               port;      /* -p; 0 = the scheme's */
    const char            *url;       /* -L: all of it in one, with the topic */
    const char            *id, *id_prefix; /* -i, -I */
    const char            *user, *password;
    const char            *auth_method; /* --auth-method; NULL: user name and password go with CONNECT */
    bool                   keep_session; /* -c: no clean start, and the session outlives the connection */
    const char            *expiry;    /* -x: seconds, a duration, -1 */
    uint64_t               keep_alive_us;
    int                    version;   /* -V: index in mqtt_version_words */
    const char            *will_topic, *will_payload;
    uint32_t               will_qos;
    bool                   will_retain;
    struct flag_properties props;     /* -D */
    const char            *cafile, *capath, *cert, *key; /* any of them: TLS */
    bool                   insecure;  /* the broker's certificate may be for another name */
};

extern const char *const mqtt_version_words[]; /* 5 mqttv5 311 mqttv311 31 mqttv31 */

/* Where, and as whom. */
#define MQTT_PLACE_FLAGS(type, field)                                                                                 \
    { 'h', "host", FLAG_TEXT, FLAG_FIELD(type, field.host), .value = "HOST", .def = "127.0.0.1",                      \
      .help = "the broker: a name, an address, or mqtts://host:port" },                                               \
    { 'p', "port", FLAG_COUNT, FLAG_FIELD(type, field.port), .value = "PORT", .min = 1, .max = 65535,                 \
      .help = "its port (default 1883, with TLS 8883)" },                                                             \
    { 'u', "username", FLAG_TEXT, FLAG_FIELD(type, field.user), .value = "NAME", .help = "user name" },               \
    { 'P', "pw", FLAG_TEXT, FLAG_FIELD(type, field.password), .value = "PASSWORD",                                    \
      .help = "password; @FILE or - (standard input) keeps it from other users' eyes" },                              \
    { 'V', "protocol-version", FLAG_CHOICE, FLAG_FIELD(type, field.version), .value = "VERSION",                      \
      .words = mqtt_version_words, .def = "5", .help = "5, 311, 31 (or mqttv5, mqttv311, mqttv31)" },                 \
    { 0, "cafile", FLAG_TEXT, FLAG_FIELD(type, field.cafile), .value = "FILE",                                        \
      .help = "TLS: the CA certificates that may have issued the broker's (PEM)" },                                   \
    { 0, "capath", FLAG_TEXT, FLAG_FIELD(type, field.capath), .value = "DIR",                                         \
      .help = "TLS: a folder of them (openssl rehash)" },                                                             \
    { 0, "cert", FLAG_TEXT, FLAG_FIELD(type, field.cert), .value = "FILE", .help = "TLS: our own certificate (PEM)" },\
    { 0, "key", FLAG_TEXT, FLAG_FIELD(type, field.key), .value = "FILE", .help = "TLS: its private key (PEM)" },      \
    { 0, "insecure", FLAG_SWITCH, FLAG_FIELD(type, field.insecure),                                                   \
      .help = "TLS: the broker's certificate may be for another name" }

/* And the rest of what a client is asked. */
#define MQTT_TARGET_FLAGS(type, field)                                                                                \
    MQTT_PLACE_FLAGS(type, field),                                                                                    \
    { 'L', "url", FLAG_TEXT, FLAG_FIELD(type, field.url), .value = "URL",                                             \
      .help = "all in one: mqtt://user:password@host:port/topic" },                                                   \
    { 'i', "id", FLAG_TEXT, FLAG_FIELD(type, field.id), .value = "ID", .help = "client identifier (default: made up)" },\
    { 'I', "id-prefix", FLAG_TEXT, FLAG_FIELD(type, field.id_prefix), .value = "PREFIX",                              \
      .help = "client identifier: this and the process number" },                                                     \
    { 'c', "disable-clean-session", FLAG_SWITCH, FLAG_FIELD(type, field.keep_session),                                \
      .help = "keep the session when the connection ends (needs --id)" },                                             \
    { 'x', "session-expiry-interval", FLAG_TEXT, FLAG_FIELD(type, field.expiry), .value = "TIME",                     \
      .help = "how long the broker keeps the session (5.0); -1 = for good" },                                         \
    { 'k', "keepalive", FLAG_SECONDS, FLAG_FIELD(type, field.keep_alive_us), .value = "TIME", .def = "60",            \
      .help = "keep alive" },                                                                                         \
    { 0, "will-topic", FLAG_TEXT, FLAG_FIELD(type, field.will_topic), .value = "TOPIC", .help = "the will's topic" }, \
    { 0, "will-payload", FLAG_TEXT, FLAG_FIELD(type, field.will_payload), .value = "TEXT", .help = "the will's payload" },\
    { 0, "will-qos", FLAG_COUNT, FLAG_FIELD(type, field.will_qos), .max = 2, .value = "QOS", .help = "the will's QoS" },\
    { 0, "will-retain", FLAG_SWITCH, FLAG_FIELD(type, field.will_retain), .help = "the will is retained" },           \
    { 'D', "property", FLAG_PROPERTY, FLAG_FIELD(type, field.props), .value = "COMMAND NAME VALUE",                   \
      .help = "a property (5.0): PUBLISH user-property KEY VALUE; may be repeated" }

/* Enhanced authentication, for verbs whose events have mqtt_target_auth and mqtt_target_proven. */
#define MQTT_AUTH_FLAG(type, field)                                                                                   \
    { 0, "auth-method", FLAG_TEXT, FLAG_FIELD(type, field.auth_method), .value = "METHOD",                            \
      .help = "SCRAM-SHA-256: the password itself is not sent, and the broker proves that it knows the user (5.0)" }

struct mqtt_target_memory { /* what the settings point to */
    struct buf          connect, will, goodbye; /* goodbye: the DISCONNECT's properties */
    char               *password;
    char                id[64];
    struct mqtt_address address;
    const char         *topic; /* of -L mqtt://host/topic; NULL = none */
    struct tls_client  *tls;   /* held */
    struct scram_client *scram; /* NULL: no --auth-method */
};
/* Fills the client's settings. STATUS_DONE, or what to exit with after it said why. Clear the memory in any case. */
int  mqtt_target_settings(const struct verb_call *, const struct mqtt_target *, struct mqtt_client_settings *,
                          struct mqtt_target_memory *);
void mqtt_target_clear(struct mqtt_target_memory *);
/* Its part about TLS (mqtt_tls.c), when host, port and scheme are known. */
bool               mqtt_target_wants_tls(const struct mqtt_target *);
FG_CHECK enum code mqtt_target_tls(const struct verb_call *, const struct mqtt_target *, struct mqtt_client_settings *,
                                   struct mqtt_target_memory *, struct fault *why);
/* Its part about --auth-method (mqtt_scram.c), when user and password are known. */
FG_CHECK enum code mqtt_target_scram(const struct verb_call *, const struct mqtt_target *, struct mqtt_client_settings *,
                                     struct mqtt_target_memory *, struct fault *why);
/* For on_auth: the answer. For on_connect, before anything else: CODE_REFUSED when the broker proved nothing. */
FG_CHECK enum code mqtt_target_auth(struct mqtt_target_memory *, const struct mqtt_disconnect *, struct buf *data, struct fault *why);
FG_CHECK enum code mqtt_target_proven(const struct mqtt_target_memory *, const struct mqtt_connack *, struct fault *why);
/* As verb_fail; when nobody listens at the broker's address, it says what to do and the status is STATUS_NOT_RUNNING. */
int mqtt_target_fail(const struct verb_call *, const struct fault *why);
/* "127.0.0.1:1883", for sentences. */
const char *mqtt_target_place(const struct mqtt_client_settings *, char out[MQTT_HOST_MAX + 8]);
/* -D PUBLISH topic-alias N; 0 = not given. mqtt_target_props has checked it. */
uint16_t mqtt_target_alias(const struct mqtt_target *);
/* NAME=VALUE, each as a user property, appended to `out`. */
FG_CHECK enum code mqtt_target_user_props(const struct texts *, struct buf *out, struct fault *why);
/* The property list given for one command (PUBLISH, SUBSCRIBE, ...), appended to `out`. CODE_USAGE names what is wrong. */
FG_CHECK enum code mqtt_target_props(const struct mqtt_target *, const char *command, struct buf *out, struct fault *why);
