/* settings_opcua.c - the rows of OPC UA servers, and of the variables that the node serves itself. */
#include "base/settings_table.h"

#define ARRAY_COUNT(a) (sizeof(a) / sizeof(a)[0])
#define VARIABLE(f) offsetof(struct settings_opcua_variable, f), sizeof(((struct settings_opcua_variable *)0)->f)
#define SERVER(f) offsetof(struct settings_opcua_server, f), sizeof(((struct settings_opcua_server *)0)->f)

const char *const settings_opcua_policies[] = { "best", "None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss", NULL };
const char *const settings_opcua_modes[] = { "best", "none", "sign", "encrypt", NULL };

static const struct setting server_rows[] = {
    { "url", AS_TEXT, SERVER(url), 1, 1024, NULL, .def_said = "must be given", .help = "`opc.tcp://host:port/path`." },
    { "security", AS_CHOICE, SERVER(security), 0, 0, "best", .words = settings_opcua_policies,
      .help = "The security policy. `best`: the strongest that it offers, which may be none." },
    { "mode", AS_CHOICE, SERVER(mode), 0, 0, "best", .words = settings_opcua_modes, .help = "`sign`, or `encrypt`: signed and encrypted." },
    { "user", AS_TEXT, SERVER(user), 0, 256, "", .help = "User name. Empty: anonymous, or by `certificate`." },
    { "password-file", AS_TEXT, SERVER(password), 0, 1024, "", .help = "A file with the user's password, which only this node may read." },
    { "certificate", AS_TEXT, SERVER(certificate), 0, 1024, "", .help = "Signs in with this user certificate (PEM or DER)." },
    { "key", AS_TEXT, SERVER(key), 0, 1024, "", .help = "Its private key (PEM or DER)." },
    { "accept-any", AS_SWITCH, SERVER(accept_any), 0, 0, "false",
      .help = "Believes any certificate of this server. Unsafe: `fieldgate opcua trust accept` is the other way." },
    { "any-host", AS_SWITCH, SERVER(any_host), 0, 0, "false", .help = "Its certificate may name another host." },
};
const struct entry_kind opcua_server_entries = {
    "server", server_rows, ARRAY_COUNT(server_rows), sizeof(struct settings_opcua_server), "url", NULL,
    "opcua:\n"
    "  servers:\n"
    "    press-1: opc.tcp://10.0.4.20:4840\n"
    "    press-2: { url: \"opc.tcp://10.0.4.21:4840\", security: Basic256Sha256, user: operator, password-file: /etc/fieldgate/press-2 }\n",
    "A server's own certificate must be trusted first: `fieldgate opcua trust accept`. An entry of one text is the address.",
};
_Static_assert(ARRAY_COUNT(server_rows) <= ENTRY_ROWS_MAX, "every row is counted");

static const char *const type_words[] = { "Boolean", "SByte", "Byte", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float", "Double",
                                          "String", "DateTime", NULL };

static const struct setting variable_rows[] = {
    { "topic", AS_TEXT, VARIABLE(topic), 1, 1024, NULL, .def_said = "must be given",
      .help = "The topic whose messages set it. With wildcards: a variable for each topic that appears." },
    { "field", AS_TEXT, VARIABLE(field), 0, 1024, "", .def_said = "the whole payload",
      .help = "The field of the JSON payload: `temperature`, `motor.speed`." },
    { "type", AS_CHOICE, VARIABLE(type), 0, 0, "Double", .words = type_words, .help = "Its OPC UA type." },
    { "unit", AS_TEXT, VARIABLE(unit), 0, 64, "", .def_said = "none",
      .help = "Its unit: a common code (`CEL`, `BAR`, `P1`), a symbol (`°C`), or any text." },
    { "range", AS_TEXTS, VARIABLE(range), 0, 2, "", .help = "The lowest and the highest usual value: `[0, 120]`." },
    { "timestamp", AS_TEXT, VARIABLE(timestamp), 0, 1024, "", .def_said = "the message's time",
      .help = "The field with the time of measurement: ISO 8601, or seconds or milliseconds since 1970." },
    { "stale", AS_SECONDS, VARIABLE(stale_s), 0, 31536000, "0s",
      .help = "Without a message for so long the last value is uncertain (`UncertainLastUsableValue`). 0s: never." },
    { "writable", AS_TEXT, VARIABLE(writable), 0, 1024, "", .def_said = "nobody writes",
      .help = "The topic to which a value goes that an OPC UA client writes." },
    { "folder", AS_TEXT, VARIABLE(folder), 0, 1024, "", .def_said = "none; with wildcards what they stand for",
      .help = "Where it stands below Objects: `Line1/Press1`, `{2}/{3}`." },
    { "node", AS_TEXT, VARIABLE(node), 0, 1024, "", .def_said = "`ns=2;s=NAME`, with wildcards `ns=2;s=FOLDER/NAME`",
      .help = "Its NodeId: `s=Temp` or `i=7`." },
};
const struct entry_kind opcua_variable_entries = {
    "variable", variable_rows, ARRAY_COUNT(variable_rows), sizeof(struct settings_opcua_variable), NULL, NULL,
    "opcua:\n"
    "  server: { at: \"127.0.0.1:4840\" }\n"
    "  variables:\n"
    "    Temperature:\n"
    "      topic: factory/+/+/telemetry\n"
    "      field: temperature\n"
    "      folder: \"{2}/{3}\"\n"
    "      unit: CEL\n"
    "      stale: 30s\n",
    "What OPC UA clients read, see `docs/opcua-server.md`. In `folder`, `node` and `writable` stand `{2}` for the second level of the topic,"
    " `{#}` for what `#` stands for and `{topic}` for all of it.",
};
_Static_assert(ARRAY_COUNT(variable_rows) <= ENTRY_ROWS_MAX, "every row is counted");
