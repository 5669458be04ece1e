/* One row is the setting: file, environment, --set, config show and docs/settings.md all read it. */
#include "base/settings_table.h"

#define ARRAY_COUNT(a) (sizeof(a) / sizeof(a)[0])
#define FIELD(f) offsetof(struct settings, f), sizeof(((struct settings *)0)->f)
#define LFIELD(f) offsetof(struct settings_listener, f), sizeof(((struct settings_listener *)0)->f)
#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define DAYS UINT64_C(86400)
#define MILLION UINT64_C(1000000)

static const char *const durability_words[] = { "disk", "memory", NULL };
static const char *const level_words[] = { "error", "warn", "info", "debug", NULL };
static const char *const area_level_words[] = { "error", "warn", "info", "debug", "default", NULL };
static const char *const format_words[] = { "text", "json", NULL };
static const char *const on_full_words[] = { "drop-newest", "drop-oldest", "refuse", NULL };
static const char *const listener_words[] = { "mqtt", "http", "mqtts", "https", NULL };
static const char *const client_certificate_words[] = { "none", "optional", "required", NULL };
static const char *const auth_words[] = { "anonymous", "users", "certificate", NULL };
static const char *const certificate_user_words[] = { "common-name", "dns", "uri", "email", NULL };
static const char *const right_words[] = { "none", "read", "write", NULL };
static const char *const acl_deny_words[] = { "drop", "close", NULL };

const struct setting settings_rows[] = {
    { "version", AS_COUNT, 0, 0, 1, 1, "1",
      .help = "The form of this file. A program reads the versions it knows." },
    { "site", AS_TEXT, FIELD(site), 0, 64, "", .help = "A name for this place, shown by `status`." },
    { "data", AS_TEXT, FIELD(data), 1, 1024, NULL,
      .def_said = "`/var/lib/fieldgate` for root, else `$XDG_STATE_HOME/fieldgate` or"
                  " `~/.local/state/fieldgate`",
      .help = "The data directory: journal, lock, control socket. One node at a time." },
    { "listeners", AS_LISTENERS, 0, 0, 0, LISTENERS_MAX, NULL,
      .def_said = "mqtt on `127.0.0.1:1883` and `[::1]:1883`, http on `127.0.0.1:8080`",
      .help = "Where to listen and for what; replaces the default list as a whole." },
    { "jobs", AS_ENTRIES, FIELD(jobs), 0, ENTRIES_MAX, NULL, .def_said = "none", .entries = &job_entries,
      .help = "Streaming SQL that runs in this node: files, each a job that is called as its file is, or entries." },
    { "routes", AS_ENTRIES, FIELD(routes), 0, ENTRIES_MAX, NULL, .def_said = "none", .entries = &route_entries,
      .help = "Which messages go where." },
    { "actions", AS_ENTRIES, FIELD(actions), 0, ENTRIES_MAX, NULL, .def_said = "none", .entries = &action_entries,
      .help = "What is done when a job has found something." },
    { "opcua.published-nodes", AS_TEXT, FIELD(opcua.published_nodes), 0, 1024, "", .def_said = "none",
      .help = "The file of published nodes, in the form of OPC Publisher (`publishednodes.json`): which nodes of which servers are read. It is"
              " read again when it changes, and written when a method changes it." },
    { "opcua.options", AS_TEXT, FIELD(opcua.options), 0, 16384, "",
      .help = "The command line of OPC Publisher, 2.4 or 2.9, as one text: `--fd=true --aa`. What has no meaning here is named in the log." },
    { "opcua.topic", AS_TEXT, FIELD(opcua.topic), 0, 1024, "", .def_said = "`opcua/{WriterGroup}/{Writer}`",
      .help = "Where values go: a topic with `{WriterGroup}` (or else the server's host), `{Writer}`, `{DataSetName}`, `{Endpoint}`, `{Site}`,"
              " `{PublisherId}`; with `{DisplayName}`, `{NodeId}`, `{FieldId}` or `{BrowsePath}` each value is a message of its own." },
    { "opcua.servers", AS_ENTRIES, FIELD(opcua.servers), 0, ENTRIES_MAX, NULL, .def_said = "none", .entries = &opcua_server_entries,
      .help = "OPC UA servers by name, for the actions `opcua-write` and `opcua-call`." },
    { "opcua.server.at", AS_TEXTS, FIELD(opcua.server.at), 0, OPCUA_ADDRESSES_MAX, "",
      .help = "Where this node is an OPC UA server itself: `127.0.0.1:4840`. Empty: nowhere." },
    { "opcua.server.security", AS_TEXTS, FIELD(opcua.server.security), 0, 4, "",
      .help = "Which policies it offers: `Basic256Sha256`, `Aes128_Sha256_RsaOaep`, `Aes256_Sha256_RsaPss`, `None`. Empty: all that protect,"
              " and `None` when only this machine can connect." },
    { "opcua.server.anonymous", AS_CHOICE, FIELD(opcua.server.anonymous), 0, 0, "read", .words = right_words,
      .help = "What who gives no name may." },
    { "opcua.server.users", AS_CHOICE, FIELD(opcua.server.users), 0, 0, "write", .words = right_words,
      .help = "What the users of this node may, with their passwords (`users`). What is written is a message: access rules hold." },
    { "opcua.server.certificates", AS_CHOICE, FIELD(opcua.server.certificates), 0, 0, "none", .words = right_words,
      .help = "What people may who sign in with a certificate that is trusted in `opcua/users/trusted/certs` of the data directory." },
    { "opcua.server.insecure", AS_SWITCH, FIELD(opcua.server.insecure), 0, 0, "false",
      .help = "Accepts `None`, and `anonymous: write`, where other machines can connect." },
    { "opcua.variables", AS_ENTRIES, FIELD(opcua.variables), 0, OPCUA_VARIABLES_MAX, NULL, .def_said = "none", .entries = &opcua_variable_entries,
      .help = "What it serves: variables by name, each fed by a topic." },
    { "users", AS_TEXT, FIELD(users), 0, 1024, "", .def_said = "`users` in the data directory",
      .help = "The file of users and their passwords, made by `fieldgate user`. It is read again when it changes;"
              " an empty one lets nobody in." },
    { "rules", AS_TEXT, FIELD(rules), 0, 1024, "", .def_said = "none: who is in may do everything",
      .help = "The file of access rules, see `docs/access.md`. With one, what no rule allows is refused." },
    { "acl-deny", AS_CHOICE, FIELD(acl_deny), 0, 0, "drop", .words = acl_deny_words,
      .help = "What becomes of a 3.1.1 client's message that no rule allows. `drop`: acknowledged, not forwarded,"
              " counted. `close`: the connection ends. (5.0 is told 0x87.)" },
    { "durability", AS_CHOICE, FIELD(durability), 0, 0, "disk", .words = durability_words,
      .help = "What an acknowledgement means. `disk`: the message is synced. `memory`: faster, and a crash"
              " may lose what was acknowledged; `status` says so." },
    { "loops", AS_COUNT, FIELD(loops), 0, 256, "0",
      .help = "Event loops, each a thread with its share of the connections. 0: one per processor." },

    { "sys-interval", AS_SECONDS, FIELD(sys_interval_s), 0, 86400, "10s",
      .help = "How often the broker publishes what has changed under `$SYS/broker`. 0s: nothing is there." },
    { "response-topics", AS_TEXT, FIELD(response_topics), 0, 256, "",
      .help = "A topic under which each MQTT 5 client that asks is told to await its responses:"
              " `response-topics/CLIENT`. Empty: none is told." },

    { "hub.partitions", AS_COUNT, FIELD(hub.partitions), 1, 1024, "4",
      .help = "Ordered sequences that telemetry is kept in. May grow later, never shrink." },
    { "hub.keep", AS_SECONDS, FIELD(hub.keep_s), 1, 36500 * DAYS, "7d", .unlimited = UNLIMITED_IS_ZERO,
      .help = "How long telemetry is kept in the partitions." },
    { "hub.keep-size", AS_BYTES, FIELD(hub.keep_bytes), MIB, 1024 * TIB, "unlimited",
      .unlimited = UNLIMITED_IS_ZERO,
      .help = "How many bytes of telemetry are kept, the oldest go first. Unlimited still ends at"
              " `journal.disk-reserve`." },
    { "hub.topics", AS_TEXTS, FIELD(hub.topics), 0, 1000, "",
      .help = "MQTT topic filters: what is published under them is also kept in the partitions." },

    { "journal.segment-bytes", AS_BYTES, FIELD(journal.segment_bytes), 64 * KIB, GIB, "64MiB",
      .help = "Size of one journal file, allocated at once." },
    { "journal.disk-reserve", AS_BYTES, FIELD(journal.reserve_bytes), 0, 1024 * TIB, "1GiB",
      .help = "Free disk space below which new messages are refused instead of acknowledged." },
    { "journal.sync-wait", AS_MICROS, FIELD(journal.sync_wait_us), 0, MILLION, "0s",
      .help = "How long an acknowledgement may wait for company before the disk is synced. 0s: a sync"
              " begins when the one before has ended." },

    { "limits.packet-bytes", AS_BYTES, FIELD(limits.packet_bytes), 1 * KIB, 268435455, "1MiB",
      .help = "Largest MQTT packet or HTTP body. Above: DISCONNECT 0x95 (3.1.1: closed), HTTP 413." },
    { "limits.connect-bytes", AS_BYTES, FIELD(limits.connect_bytes), 256, MIB, "16KiB",
      .help = "Largest first packet, before its sender is accepted." },
    { "limits.connect-seconds", AS_SECONDS, FIELD(limits.connect_s), 1, 3600, "10s", .bare = true,
      .help = "Time from a connection to its CONNECT, or to the end of an HTTP header. Then: closed, HTTP"
              " 408." },
    { "limits.connections", AS_COUNT, FIELD(limits.connections), 1, 10 * MILLION, "100000",
      .help = "Connections to this node. Above: CONNACK 0x97 (3.1.1: 3)." },
    { "limits.connections-per-address", AS_COUNT, FIELD(limits.connections_per_address), 1, 10 * MILLION,
      "1000", .unlimited = UNLIMITED_IS_MAX,
      .help = "Connections from one address; HTTP counts its own. This machine's own are exempt. Above: CONNACK 0x97"
              " (3.1.1: 3), HTTP 503." },
    { "limits.connections-per-identity", AS_COUNT, FIELD(limits.connections_per_identity), 1, 10 * MILLION, "10",
      .unlimited = UNLIMITED_IS_MAX,
      .help = "MQTT connections of one device or module; users and anonymous clients have no limit of their own. Above:"
              " CONNACK 0x97 (3.1.1: 3)." },
    { "limits.connect-rate", AS_COUNT, FIELD(limits.connect_rate), 1, MILLION, "100",
      .unlimited = UNLIMITED_IS_MAX,
      .help = "New connections a second from one address; this machine's own are exempt. Above: CONNACK 0x9F,"
              " HTTP 429." },
    { "limits.auth-failures", AS_COUNT, FIELD(limits.auth_failures), 1, MILLION, "10", .unlimited = UNLIMITED_IS_MAX,
      .help = "Failures to sign in with one name from one address in a minute (ten times as many with any name); this"
              " machine's own are exempt. Above: CONNACK 0x8A (3.1.1: 5) for 1 s, then for twice as long, up to 60 s." },
    { "limits.half-open", AS_COUNT, FIELD(limits.half_open), 1, 10 * MILLION, NULL,
      .def_said = "5 % of `limits.connections`, at least 10",
      .help = "Connections that have not been accepted yet, and HTTP connections. Above: the oldest of them is closed." },
    { "limits.receive-maximum", AS_COUNT, FIELD(limits.receive_maximum), 1, 65535, "1024",
      .help = "Unfinished QoS 1 and 2 messages one client may have sent. Above: DISCONNECT 0x93 (3.1.1: its"
              " socket is not read)." },
    { "limits.queued-bytes", AS_BYTES, FIELD(limits.queued_bytes), 64 * KIB, TIB, "64MiB",
      .unlimited = UNLIMITED_IS_MAX, .help = "Bytes that wait for one session. Above: `limits.on-full`." },
    { "limits.queued-messages", AS_COUNT, FIELD(limits.queued_messages), 1, 100 * MILLION, "100000",
      .unlimited = UNLIMITED_IS_MAX, .help = "Messages that wait for one session. Above: `limits.on-full`." },
    { "limits.on-full", AS_CHOICE, FIELD(limits.on_full), 0, 0, "drop-newest", .words = on_full_words,
      .help = "When a session's queue is full: it does not get the new message, or loses its oldest one, both"
              " counted and logged; or the publisher is refused (PUBACK 0x97)." },
    { "limits.refuse-seconds", AS_SECONDS, FIELD(limits.refuse_s), 1, 3600, "30s", .bare = true,
      .help = "With `on-full: refuse`, how long a 3.1.1 publisher's PUBACK is withheld before it is"
              " closed." },
    { "limits.unsent-bytes", AS_BYTES, FIELD(limits.unsent_bytes), 64 * KIB, TIB, "8MiB",
      .help = "Bytes given to one connection and not taken by its peer. Above: no more is given, QoS 0 is"
              " dropped and counted." },
    { "limits.unsent-seconds", AS_SECONDS, FIELD(limits.unsent_s), 1, 3600, "60s", .bare = true,
      .help = "A peer that takes nothing for so long is closed (0x97)." },
    { "limits.memory-bytes", AS_BYTES, FIELD(limits.memory_bytes), 16 * MIB, 1024 * TIB, NULL,
      .def_said = "60 % of the machine's memory or of the control group's, whichever is less",
      .help = "Memory for the node. When less than an eighth of it is left: CONNACK 0x89 (3.1.1: 3), HTTP 503"
              " for /mqtt and /health, publishers wait." },
    { "limits.topic-bytes", AS_BYTES, FIELD(limits.topic_bytes), 16, 65535, "1KiB",
      .help = "Longest topic name or filter. Above: PUBLISH 0x90, SUBSCRIBE 0x8F (3.1.1: closed, 0x80)." },
    { "limits.topic-levels", AS_COUNT, FIELD(limits.topic_levels), 1, 1024, "32",
      .help = "Most levels of a topic name or filter; answered as `limits.topic-bytes`." },
    { "limits.subscriptions", AS_COUNT, FIELD(limits.subscriptions), 1, MILLION, "1000",
      .help = "Subscriptions of one session. Above: SUBACK 0x97 (3.1.1: 0x80)." },
    { "limits.filters-per-packet", AS_COUNT, FIELD(limits.filters_per_packet), 1, 10000, "100",
      .help = "Filters in one SUBSCRIBE or UNSUBSCRIBE. Above: 0x97 (3.1.1: 0x80)." },
    { "limits.shared-groups", AS_COUNT, FIELD(limits.shared_groups), 0, MILLION, "100",
      .help = "Shared subscriptions (`$share/GROUP/FILTER`) among those. Above: SUBACK 0x97 (3.1.1: 0x80)." },
    { "limits.fan-out", AS_COUNT, FIELD(limits.fan_out), 100, 100 * MILLION, "100000",
      .help = "Deliveries of one message that are made at once. The rest follows in slices, its publisher waits." },
    { "limits.retained-messages", AS_COUNT, FIELD(limits.retained_messages), 0, 100 * MILLION, "1000000",
      .help = "Retained messages in all. Above: PUBACK 0x97 (3.1.1: forwarded, not retained, counted)." },
    { "limits.retained-bytes", AS_BYTES, FIELD(limits.retained_bytes), 0, TIB, "1GiB",
      .help = "Bytes of retained messages in all; answered as `limits.retained-messages`." },
    { "limits.retained-per-identity", AS_COUNT, FIELD(limits.retained_per_identity), 0, 100 * MILLION, "10000",
      .unlimited = UNLIMITED_IS_MAX,
      .help = "Retained messages whose latest writer is one user, device or module; anonymous clients have no limit of their"
              " own. Answered as `limits.retained-messages`." },
    { "limits.user-properties", AS_COUNT, FIELD(limits.user_properties), 0, 10000, "64",
      .help = "User properties of one packet. Above: DISCONNECT 0x82 (in CONNECT: CONNACK 0x82)." },
    { "limits.property-bytes", AS_BYTES, FIELD(limits.property_bytes), 256, 16 * MIB, "16KiB",
      .help = "Bytes of all properties of one packet. Above: DISCONNECT 0x95 (in CONNECT: CONNACK 0x95)." },
    { "limits.topic-aliases", AS_COUNT, FIELD(limits.topic_aliases), 0, 65535, "64",
      .help = "Topic aliases one client may set, told in CONNACK. Above: DISCONNECT 0x94." },
    { "limits.session-expiry", AS_SECONDS, FIELD(limits.session_expiry_s), 0, 36500 * DAYS, "30d",
      .unlimited = UNLIMITED_IS_MAX,
      .help = "How long a session may outlive its connection; a client that asks for more is told in"
              " CONNACK." },
    { "limits.sessions", AS_COUNT, FIELD(limits.sessions), 1, 100 * MILLION, "1000000",
      .help = "Sessions in all, connected or not. Above: CONNACK 0x97 (3.1.1: 3)." },
    { "limits.sessions-per-identity", AS_COUNT, FIELD(limits.sessions_per_identity), 1, 100 * MILLION, "10",
      .unlimited = UNLIMITED_IS_MAX,
      .help = "Sessions of one device or module, connected or not; users and anonymous clients have no limit of their own."
              " Above: CONNACK 0x97 (3.1.1: 3)." },
    { "limits.keep-alive", AS_SECONDS, FIELD(limits.keep_alive_s), 1, 65535, "20m",
      .help = "Longest keep-alive, also of a client that asks for none. Silence of one and a half times as"
              " long: 0x8D, closed." },
    { "limits.http-request-line", AS_BYTES, FIELD(limits.http_request_line_bytes), 256, 64 * KIB, "8KiB",
      .help = "Longest HTTP request line. Above: 414." },
    { "limits.http-headers", AS_BYTES, FIELD(limits.http_headers_bytes), KIB, MIB, "32KiB",
      .help = "Bytes of all headers of one HTTP request. Above: 431." },
    { "limits.http-header-count", AS_COUNT, FIELD(limits.http_header_count), 8, 1000, "100",
      .help = "Headers of one HTTP request. Above: 431." },

    { "gateway.certificates.chain", AS_TEXT, FIELD(certificates.chain), 0, 1024, "",
      .help = "The certificate that `mqtts` and `https` listeners show, then those between it and its root: a PEM"
              " file. A changed file is taken within 10 s for new connections; one with an error is not, and said." },
    { "gateway.certificates.key", AS_TEXT, FIELD(certificates.key), 0, 1024, "",
      .help = "Its private key: a PEM file, not encrypted, that only the node's user can read." },
    { "gateway.certificates.root", AS_TEXT, FIELD(certificates.root), 0, 1024, "",
      .help = "The root certificates of this site: a PEM file. Who issues clients' certificates, unless a listener"
              " names its own `client-ca`." },

    { "log.level", AS_CHOICE, FIELD(log.level), 0, 0, "info", .words = level_words,
      .help = "How much is said: each level includes those before it." },
    { "log.format", AS_CHOICE, FIELD(log.format), 0, 0, "text", .words = format_words,
      .help = "`text` for people, `json` for collectors: an object a line." },
#define LOG_AREA(name)                                                                                               \
    { "log.levels." #name, AS_CHOICE, FIELD(log.levels[LOG_AREA_##name]), 0, 0, "default",                            \
      .words = area_level_words, .help = "The level of this part alone; `default`: that of `log.level`." },
    LOG_AREAS(LOG_AREA)
#undef LOG_AREA
};
const size_t settings_row_count = ARRAY_COUNT(settings_rows);
_Static_assert(ARRAY_COUNT(settings_rows) <= SETTINGS_ROWS_MAX, "origins hold every row");

const struct setting listener_rows[] = {
    { "type", AS_CHOICE, LFIELD(type), 0, 0, NULL, .words = listener_words, .def_said = "must be given",
      .help = "`mqtt`: MQTT 3.1.1 and 5.0 over TCP. `http`: metrics, health, MQTT over WebSocket at `/mqtt`. `mqtts`,"
              " `https`: the same over TLS 1.2 or 1.3." },
    { "at", AS_ADDRESSES, 0, 0, 1, LISTENER_ADDRESSES_MAX, NULL, .def_said = "must be given",
      .help = "Numeric addresses with their ports; `[::]` is IPv6 alone. Port 0: the kernel chooses." },
    { "auth", AS_CHOICES, LFIELD(auth), 1, SETTINGS_CHOICES_MAX, NULL, .words = auth_words,
      .def_said = "`anonymous` when all addresses are on loopback, else `users`",
      .help = "Who may connect; of a list, the first that fits what the client shows. `users`: a name and password"
              " of the users file. `certificate`: a verified client certificate. `anonymous`: anyone; beside `users`"
              " only who gives no name." },
    { "certificate-user", AS_CHOICE, LFIELD(certificate_user), 0, 0, "common-name", .words = certificate_user_words,
      .help = "Which name of a client certificate is the user: its common name, or the first alternative name of"
              " that kind." },
    { "insecure", AS_SWITCH, LFIELD(insecure), 0, 0, "false",
      .help = "Must be `true` for a listener without encryption and sign-in on an address that other machines"
              " reach." },
    { "origins", AS_TEXTS, LFIELD(origins), 0, 100, "",
      .help = "http: web pages from elsewhere that may open a WebSocket, such as `https://plant.example`; `*`: all. A"
              " page of the same host may, and clients that are not browsers." },
    { "chain", AS_TEXT, LFIELD(chain), 0, 1024, "", .def_said = "`gateway.certificates.chain`",
      .help = "`mqtts`, `https`: the certificate to show, then those between it and its root: a PEM file." },
    { "key", AS_TEXT, LFIELD(key), 0, 1024, "", .def_said = "`gateway.certificates.key`",
      .help = "Its private key, a PEM file." },
    { "client-ca", AS_TEXT, LFIELD(client_ca), 0, 1024, "", .def_said = "`gateway.certificates.root`",
      .help = "Who issues the certificates of clients, a PEM file." },
    { "client-certificate", AS_CHOICE, LFIELD(client_certificate), 0, 0, "none", .words = client_certificate_words,
      .help = "Whether a client is asked for a certificate. `optional`: one that is shown must be good. `required`:"
              " nobody connects without." },
};
const size_t listener_row_count = ARRAY_COUNT(listener_rows);
_Static_assert(ARRAY_COUNT(listener_rows) <= LISTENER_ROWS_MAX, "places hold every row");

const struct setting_group settings_groups[] = {
    { "", "" },
    { "gateway", "What this node shows to others." },
    { "hub", "The partitions: telemetry kept in order, read back from an offset or a date." },
    { "journal", "The one log that everything durable is written to." },
    { "opcua", "Machines that speak OPC UA." },
    { "limits", "How much a peer may take. What is above a limit is refused by the protocol's own answer,"
                " counted on `/metrics`, and costs nobody else anything." },
    { "log", "Lines on standard error." },
};
const size_t settings_group_count = ARRAY_COUNT(settings_groups);

static const struct settings_address mqtt_default[] = {
    { "127.0.0.1", "127.0.0.1:1883", 1883, true },
    { "::1", "[::1]:1883", 1883, true },
};
static const struct settings_address http_default[] = {
    { "127.0.0.1", "127.0.0.1:8080", 8080, true },
};
const struct settings_listener listeners_default[] = {
    { .type = LISTENER_MQTT, .auth = { { AUTH_ANONYMOUS }, 1 }, .at = mqtt_default, .at_count = ARRAY_COUNT(mqtt_default),
      .chain = "", .key = "", .client_ca = "" },
    { .type = LISTENER_HTTP, .auth = { { AUTH_ANONYMOUS }, 1 }, .at = http_default, .at_count = ARRAY_COUNT(http_default),
      .chain = "", .key = "", .client_ca = "" },
};
const size_t listeners_default_count = ARRAY_COUNT(listeners_default);
