/* settings_opcua.c - the rows of OPC UA servers. */
#include "base/settings_table.h"

#define ARRAY_COUNT(a) (sizeof(a) / sizeof(a)[0])
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
