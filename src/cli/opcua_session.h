/* opcua_session.h - what every `fieldgate opcua` verb that talks to a server begins with: the flags, a connected client, and
 * questions that wait for their answer.
 *
 *   struct opcua_session s;
 *   int status = opcua_begin(&s, call, &given->target, url);
 *   if (status == STATUS_DONE) {
 *       ... opcua_read(&s, ...) ...
 *       opcua_end(&s);
 *   }
 *
 * While it waits, the client's loop runs in this thread; Ctrl-C, a lost connection and --timeout end the waiting. What answers point
 * to lies in the session's arena until opcua_end. Thread: main.
 */
#pragma once

#include "base/settings.h"
#include "cli/config.h"
#include "opcua/pki.h"
#include "uaclient/many.h"
#include "uaclient/shape.h"

struct opcua_target {
    struct config_flags config; /* whose data directory has our certificate and whom we trust */
    int         policy;         /* enum settings_opcua_policy */
    int         mode;           /* place in settings_opcua_modes */
    const char *user, *password, *user_cert, *user_key;
    bool        accept_any, any_host, plain_password;
    bool        reconnect; /* not a flag: the verb goes on when the connection is lost and comes back */
    uint64_t    timeout_us;
};

#define OPCUA_TARGET_FLAGS(type, field)                                                                                       \
    { 's', "security", FLAG_CHOICE, FLAG_FIELD(type, field.policy), .value = "POLICY", .words = settings_opcua_policies,     \
      .def = "best", .help = "best, None, Basic256Sha256, Aes128_Sha256_RsaOaep or Aes256_Sha256_RsaPss" },                   \
    { 0, "mode", FLAG_CHOICE, FLAG_FIELD(type, field.mode), .value = "MODE", .words = settings_opcua_modes, .def = "best",  \
      .help = "best, none, sign or encrypt" },                                                                               \
    { 'u', "user", FLAG_TEXT, FLAG_FIELD(type, field.user), .value = "NAME", .help = "user name" },                          \
    { 'P', "password", FLAG_TEXT, FLAG_FIELD(type, field.password), .value = "PASSWORD",                                     \
      .help = "password; @FILE or - (standard input) keeps it from other users' eyes" },                                     \
    { 0, "user-cert", FLAG_TEXT, FLAG_FIELD(type, field.user_cert), .value = "FILE",                                         \
      .help = "sign in with this certificate (PEM or DER)" },                                                                \
    { 0, "user-key", FLAG_TEXT, FLAG_FIELD(type, field.user_key), .value = "FILE", .help = "its private key (PEM or DER)" }, \
    { 0, "accept-any", FLAG_SWITCH, FLAG_FIELD(type, field.accept_any),                                                      \
      .help = "believe any certificate of the server (unsafe)" },                                                            \
    { 0, "any-host", FLAG_SWITCH, FLAG_FIELD(type, field.any_host),                                                          \
      .help = "its certificate may be for another host" },                                                                   \
    { 0, "plain-password", FLAG_SWITCH, FLAG_FIELD(type, field.plain_password),                                              \
      .help = "send the password readable if the server leaves nothing else" },                                              \
    { 0, "timeout", FLAG_DURATION, FLAG_FIELD(type, field.timeout_us), .value = "TIME", .min = 100000,                       \
      .max = UINT64_C(3600000000), .def = "15s", .help = "how long to wait for the server" },                                \
    CONFIG_FLAGS(type, field.config)

struct opcua_session {
    struct verb_call *call;
    const struct opcua_target *target;
    struct loop      *loop;
    struct timer      watch; /* looks for Ctrl-C */
    struct ua_client *client;
    struct ua_shapes *shapes;
    struct ua_pki    *pki;
    struct ua_application *person;
    struct bytes      password;
    struct arena      arena;
    bool              up, ended;
    unsigned          lost; /* attempts since the connection was lost */
    int64_t           until_us; /* of the loop's time; INT64_MAX: for ever */
    struct fault      why;
};

/* Connected, or said on stderr: the status to exit with, and nothing is to be ended. The url is args.at[0] as a rule. */
int  opcua_begin(struct opcua_session *, struct verb_call *, const struct opcua_target *, const char *url);
/* The same without a session of OPC UA, for discovery: policy None. */
int  opcua_begin_channel(struct opcua_session *, struct verb_call *, const struct opcua_target *, const char *url);
void opcua_end(struct opcua_session *);

/* Runs the loop until *flag, the connection's end, Ctrl-C, or the time is over (0: --timeout; < 0: for ever). True: *flag. */
bool opcua_wait(struct opcua_session *, const bool *flag, int64_t timeout_ms);
/* Says on stderr what `what` ended with, and yields the status to exit with. */
int  opcua_failed(struct opcua_session *, const char *what, ua_status);

/* Any service; *response is a copy. */
ua_status opcua_ask(struct opcua_session *, const struct ua_struct *request_type, void *request,
                    const struct ua_struct *response_type, void *response);
/* Values; one for each, what is wrong stands in its status. Bad: nothing was read. */
ua_status opcua_read(struct opcua_session *, const struct ua_read_value_id *, size_t count, struct ua_data_value *out);
/* One attribute. */
ua_status opcua_attribute(struct opcua_session *, const struct ua_node_id *, uint32_t attribute, struct ua_data_value *out);
/* "ns=2;s=Temp", "nsu=...", or a path from the Objects folder: "Press1/Temperature", "2:Press1/2:Temperature". False: said. */
bool opcua_node(struct opcua_session *, const char *text, struct ua_node_id *out);

/* For people and, with `json`, for programs. Structures by their description, which is asked for. */
void opcua_print_value(struct opcua_session *, const struct ua_variant *, bool json, struct buf *out);
/* "Double", "Int32[2,3]", "-" */
void opcua_print_type(const struct ua_variant *, struct buf *out);
