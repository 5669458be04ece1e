/* settings.h - everything a person may configure, from one table of rows.
 *
 * A row (settings_table.c) is the setting: YAML key, type, range, default, `FIELDGATE_...` variable, `--set`,
 * docs/settings.md and `config show` all read it. A value comes from the first of
 *
 *   flag (--data, --set KEY=VALUE)  >  environment FIELDGATE_...  >  the file  >  the default
 *
 * Loading is all or nothing: with one error anywhere there are no settings, and the report names every
 * error found (up to SETTINGS_NOTES_MAX) by file:line:column, so that one run fixes the file. Without a
 * file the defaults hold; every default listener is on loopback.
 *
 * Thread: load and free anywhere; what is loaded never changes and may be read by every thread.
 * Lifetime: settings_load .. settings_free; every pointer inside belongs to the settings.
 */
#pragma once

#include "base/buf.h"
#include "base/io.h"
#include "base/limits.h"
#include "base/log.h"

#define SETTINGS_FILE_BYTES_MAX ((size_t)1 << 20)
#define SETTINGS_SYSTEM_FILE "/etc/fieldgate/fieldgate.yaml"
#define SETTINGS_SYSTEM_DATA "/var/lib/fieldgate"

enum settings_durability { DURABILITY_DISK, DURABILITY_MEMORY };
enum settings_listener_type { LISTENER_MQTT, LISTENER_HTTP, LISTENER_MQTTS, LISTENER_HTTPS };
enum settings_client_certificate { CLIENT_CERTIFICATE_NONE, CLIENT_CERTIFICATE_OPTIONAL, CLIENT_CERTIFICATE_REQUIRED };
enum settings_auth { AUTH_ANONYMOUS, AUTH_USERS, AUTH_CERTIFICATE };
enum settings_certificate_user { CERTIFICATE_COMMON_NAME, CERTIFICATE_DNS, CERTIFICATE_URI, CERTIFICATE_EMAIL };
enum settings_acl_deny { ACL_DENY_DROP, ACL_DENY_CLOSE };

/* A numeric address with a port; port 0 lets the kernel choose. */
struct settings_address {
    const char *host;     /* "127.0.0.1" or "::1", without brackets; fit for inet_pton */
    const char *text;     /* as written: "[::1]:1883"                                  */
    uint16_t    port;
    bool        loopback; /* 127.0.0.0/8 or ::1                                        */
};

/* Some of a row's words, in the order written, none twice. */
enum { SETTINGS_CHOICES_MAX = 4 };
struct settings_choices {
    uint8_t at[SETTINGS_CHOICES_MAX]; /* values of the row's enum */
    uint8_t count;
};

struct settings_texts {
    const char *const *at;
    size_t             count;
};

/* NAME: TEXT below a key, in the order written. */
struct settings_pair {
    const char *name, *to;
};
struct settings_pairs {
    const struct settings_pair *at;
    size_t                      count;
};

/* What `jobs`, `routes` and `actions` hold: maps of entries, each with a name of its own. */
struct settings_entry {
    const char *name;
    uint32_t    line, column; /* of the name in the file */
    /* Of a route's text; text_in_place: it stands there as it is, so that its columns are those of the file. */
    uint32_t    text_line, text_column;
    bool        text_in_place;
};

enum settings_job_policy { JOB_ADJUST, JOB_DROP };
enum settings_job_model { JOB_MODEL_FIELDGATE, JOB_MODEL_KDE };
enum settings_job_warm_up { JOB_WARM_UP_SILENT, JOB_WARM_UP_REPORT };
enum settings_job_error { JOB_ERROR_DROP, JOB_ERROR_STOP };
enum settings_job_names { JOB_NAMES_KEEP, JOB_NAMES_LOWER };
enum settings_job_collation { JOB_COLLATION_ORDINAL, JOB_COLLATION_IGNORE_CASE };
struct settings_job {
    struct settings_entry       entry;
    const char                 *sql;     /* file */
    struct settings_pairs       inputs, outputs, references;
    uint32_t                    late_s, out_of_order_s;
    enum settings_job_policy    policy;
    enum settings_job_model     model;
    enum settings_job_warm_up   warm_up;
    enum settings_job_error     on_error;
    enum settings_job_names     names;
    enum settings_job_collation collation;
    uint64_t                    state_bytes;
};

struct settings_route {
    struct settings_entry entry;
    const char           *route;    /* FROM ... WHERE ... INTO ... */
    uint32_t              priority; /* 0 is the highest; SETTINGS_PRIORITY_NONE when not given */
    uint64_t              ttl_s;    /* 0: for ever */
};
#define SETTINGS_PRIORITY_NONE 2000000000u

struct settings_action {
    struct settings_entry entry;
    const char           *on;         /* JOB.OUTPUT, or a topic filter */
    struct {
        const char *topic, *message;  /* with ${field} in them; topic "": none */
        uint32_t    qos;
        bool        retain;
    } publish;
    struct {
        const char           *url;    /* "": none */
        const char           *body;   /* "": the event itself */
        const char           *ca;     /* PEM file, "": the system's store */
        struct settings_pairs headers;
    } webhook;
    struct settings_texts program;    /* the file and its arguments; the event comes on standard input */
    struct {
        const char *server;           /* of opcua.servers; "": none */
        const char *node, *value;     /* value: with ${field} in it */
    } opcua_write;
    struct {
        const char *server;           /* "": none */
        const char *object, *method;
        struct settings_texts arguments;
    } opcua_call;
    const char           *at_least, *at_most; /* "2 in 10s", "1 per 5m"; "": no guard */
    bool                  dry_run;
    uint32_t              retry;      /* how often more, when it failed */
    uint32_t              timeout_s;  /* for one try */
};

enum settings_opcua_policy { OPCUA_BEST, OPCUA_NONE, OPCUA_BASIC256SHA256, OPCUA_AES128, OPCUA_AES256 };
extern const char *const settings_opcua_policies[]; /* the words of it, "best" first; NULL ends them */
extern const char *const settings_opcua_modes[];    /* "best", then enum ua_message_security_mode's from None on */
/* An OPC UA server that this node knows by name. */
struct settings_opcua_server {
    struct settings_entry    entry;
    const char              *url;        /* opc.tcp://host:port/path */
    enum settings_opcua_policy security;
    uint32_t                 mode;       /* 0 best, else enum ua_message_security_mode */
    const char              *user;       /* "": anonymous, or the certificate */
    const char              *password;   /* a file */
    const char              *certificate, *key; /* files, of the person who signs in */
    bool                     accept_any, any_host;
};

/* What OPC UA clients see of the messages of this node: a variable, or with wildcards in the topic one for each topic. */
struct settings_opcua_variable {
    struct settings_entry entry;
    const char *topic;    /* filter */
    const char *field;    /* a.b; "": the whole payload */
    uint32_t    type;     /* 0 Boolean ... 12 DateTime: one less than enum ua_builtin */
    const char *unit;     /* code or text; "": none */
    struct settings_texts range; /* none, or two numbers */
    const char *timestamp;/* field; "": the message's time */
    uint32_t    stale_s;  /* 0: never */
    const char *writable; /* topic; "": nobody writes */
    const char *folder;   /* "Line1/{2}"; "": below Objects, or as the wildcards say */
    const char *node;     /* "ns=2;s=..."; "": by folder and name */
};
enum { OPCUA_VARIABLES_MAX = 1000, OPCUA_ADDRESSES_MAX = 8, OPCUA_FIELD_PARTS = 16 };
enum settings_opcua_right { OPCUA_NOTHING, OPCUA_READ, OPCUA_WRITE };
struct settings_opcua_served {
    struct settings_texts at;       /* none: no server */
    struct settings_texts security; /* names of policies; none: all that protect, and None when only this machine can connect */
    enum settings_opcua_right anonymous, users, certificates;
    bool insecure;
    bool local;                     /* every address is loopback */
};
/* The next braces at or behind `from`: {2} is level 2 (*level 2), {#} what # stands for (UINT32_MAX), {topic} all (0). Its place and
 * length in *at and *len; *len 0: there is none. False: braces with something else in them. */
bool settings_braces(const char *text, size_t from, size_t *at, size_t *len, uint32_t *level);

struct settings_listener {
    enum settings_listener_type    type;
    struct settings_choices        auth; /* enum settings_auth: asked in this order; never empty */
    enum settings_certificate_user certificate_user;
    bool                           insecure; /* the owner accepts plain access from other machines */
    const struct settings_address *at;
    size_t                         at_count;
    struct settings_texts          origins; /* pages that may open a WebSocket besides our own */
    /* mqtts and https: PEM files. `gateway.certificates` stands in for what the listener does not say itself. */
    const char                      *chain, *key;
    const char                      *client_ca; /* "" when no certificate is asked for */
    enum settings_client_certificate client_certificate;
};

static inline bool settings_is_tls(const struct settings_listener *l)
{
    return l->type == LISTENER_MQTTS || l->type == LISTENER_HTTPS;
}

static inline bool settings_is_mqtt(const struct settings_listener *l)
{
    return l->type == LISTENER_MQTT || l->type == LISTENER_MQTTS;
};

struct settings {
    const char              *site; /* "" when not named */
    uint32_t                 sys_interval_s;  /* 0: no $SYS */
    const char              *response_topics; /* "" when none are told */
    const char              *data; /* data directory, as written; never empty */
    const char              *users; /* file of users; "" = DATA/users  */
    const char              *rules; /* file of access rules; "" = none */
    enum settings_acl_deny   acl_deny;
    enum settings_durability durability;
    uint32_t                 loops; /* event loops; 0 = one per core */
    struct {
        uint32_t              partitions;
        uint64_t              keep_s;     /* 0 = for ever (`unlimited`)     */
        uint64_t              keep_bytes; /* 0 = no own limit (`unlimited`) */
        struct settings_texts topics;     /* MQTT filters stored in the partitions */
    } hub;
    struct {
        uint64_t segment_bytes;
        uint64_t reserve_bytes; /* free disk space below which new durable work is refused */
        uint32_t sync_wait_us;  /* how long an acknowledgement may wait for company; 0 = never */
    } journal;
    struct limits limits;
    struct {
        const char *chain, *key, *root; /* gateway.certificates: PEM files, "" when not given */
    } certificates;
    struct {
        enum log_level  level;
        enum log_format format;
        int             levels[LOG_AREA_COUNT]; /* an enum log_level, or LOG_AS_ALL */
    } log;
    struct settings_texts job_files; /* `jobs:` as patterns of files */
    struct {
        const struct settings_job *at;
        size_t                     count;
    } jobs;
    struct {
        const struct settings_route *at;
        size_t                       count;
    } routes;
    struct {
        const struct settings_action *at;
        size_t                        count;
    } actions;
    struct {
        struct {
            const struct settings_opcua_server *at;
            size_t                              count;
        } servers;
        const char *published_nodes, *options, *topic; /* of the publisher; "" */
        struct settings_opcua_served server;
        struct {
            const struct settings_opcua_variable *at;
            size_t                                count;
        } variables;
    } opcua;
    const struct settings_listener *listeners;
    size_t                          listener_count;

    struct settings_inner *inner; /* where each value came from, and the memory of all of this */
};

/* `--data DIR` is { "data", "DIR", "--data" }, `--set loops=2` is { "loops", "2", "--set" }. */
struct settings_flag {
    const char *key;
    const char *value;
    const char *said; /* the flag's name, for messages */
};

/* Where to load from. All borrowed for the call. Zeroed: no file, no environment, no flags, the defaults. */
struct settings_source {
    const char                 *path;        /* NULL = no file. A path that does not exist is an error. */
    const char *const          *environment; /* "NAME=value", NULL at the end, as environ; NULL = none  */
    const struct settings_flag *flags;
    size_t                      flag_count;
    bool                        system;      /* as root: data lies in /var/lib/fieldgate, else at home */
    /* True if `filter` is an MQTT topic filter within the limits (mqtt/topic.h). NULL = any text. */
    bool (*filter_valid)(struct bytes filter, uint32_t max_bytes, uint32_t max_levels);
};

enum { SETTINGS_NOTES_MAX = 20 };

/* One error or warning, ready to print: "FG%d WHERE: TEXT". */
struct settings_note {
    bool     warning;
    int      number;       /* FG1010 .. FG1019                                   */
    uint32_t line, column; /* in the file, from 1; 0 = not about a place in it   */
    char     where[256];   /* "FILE:LINE:COLUMN", "environment FIELDGATE_X", "--set log.level" */
    char     text[480];    /* what; why with both values; the fix                */
};

struct settings_report {
    struct settings_note notes[SETTINGS_NOTES_MAX];
    size_t               count;    /* filled notes                  */
    size_t               errors;   /* all errors, also unlisted     */
    size_t               unlisted; /* notes there was no room for   */
};

/* CODE_OK and *out (settings_free), perhaps with warnings; or CODE_USAGE with at least one error in the
 * report, or CODE_NOMEM. `report` may be NULL. *why is the first error ("FILE:LINE:COLUMN: TEXT"). */
FG_CHECK enum code settings_load(const struct settings **out, const struct io *,
                                 const struct settings_source *, struct settings_report *report,
                                 struct fault *why);
/* As settings_load, from the bytes of a file that is called `name`. source->path is not read. */
FG_CHECK enum code settings_parse(const struct settings **out, const struct io *,
                                  const struct settings_source *, const char *name, struct bytes text,
                                  struct settings_report *report, struct fault *why);
/* One more who reads them; each, and who loaded them, gives them back with settings_free. Any thread. */
const struct settings *settings_hold(const struct settings *);
void settings_free(const struct settings *); /* NULL is fine */
/* The file's name, for messages; "settings" where there was none. */
const char *settings_file(const struct settings *);

/* Puts the values that `old` has for the keys that `keep` names into `fresh`, which nobody else reads yet: what a running
 * node cannot change. No lists. CODE_NOMEM. */
FG_CHECK enum code settings_keep(const struct settings *fresh, const struct settings *old,
                                 bool (*keep)(const char *key), struct fault *why);

/* The file a verb reads when none is named: FIELDGATE_CONFIG, else SETTINGS_SYSTEM_FILE if it is there, else
 * NULL. The result is borrowed from `environment` or constant. */
const char *settings_default_path(const struct io *, const char *const *environment);

/* "NAME=value" lists, as environ: the value, or NULL. */
const char *settings_variable(const char *const *environment, const char *name);

/* Every value with its origin, in the order of docs/settings.md. Lists of listeners come as
 * listeners[0].type and so on. `origin` is "default", "FILE:LINE", "FIELDGATE_DATA", "--data". */
struct settings_line {
    const char  *key;
    struct bytes value;  /* as it could be written in YAML      */
    struct bytes json;   /* the same as a JSON value            */
    struct bytes origin;
    bool         is_default;
    uint64_t     mark;   /* of a secret, which value and json do not tell: another one has another mark, in this process */
};
FG_CHECK enum code settings_each(const struct settings *,
                                 void (*each)(void *ctx, const struct settings_line *), void *ctx);

/* docs/settings.md, generated. */
void settings_doc(struct buf *out);
