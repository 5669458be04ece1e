/* settings_work.c - the rows of jobs, routes and actions: what a node does with messages besides passing them on. */
#include "base/settings_table.h"

#define ARRAY_COUNT(a) (sizeof(a) / sizeof(a)[0])
#define JOB(f) offsetof(struct settings_job, f), sizeof(((struct settings_job *)0)->f)
#define ROUTE(f) offsetof(struct settings_route, f), sizeof(((struct settings_route *)0)->f)
#define ACTION(f) offsetof(struct settings_action, f), sizeof(((struct settings_action *)0)->f)
#define DAYS UINT64_C(86400)
#define MIB (UINT64_C(1) << 20)

static const char *const policy_words[] = { "adjust", "drop", NULL };
static const char *const model_words[] = { "fieldgate", "kde", NULL };
static const char *const warm_up_words[] = { "silent", "report", NULL };
static const char *const error_words[] = { "drop", "stop", NULL };
static const char *const names_words[] = { "keep", "lower", NULL };
static const char *const collation_words[] = { "ordinal", "ignore-case", NULL };

static const struct setting job_rows[] = {
    { "sql", AS_TEXT, JOB(sql), 1, 1024, NULL, .def_said = "must be given", .help = "The file of the query." },
    { "inputs", AS_PAIRS, JOB(inputs), 0, 32, NULL, .def_said = "`{}`",
      .help = "Names after FROM and JOIN, and the topic filter each one reads. A name with a `/` or a wildcard needs no entry." },
    { "outputs", AS_PAIRS, JOB(outputs), 0, PAIRS_MAX, NULL, .def_said = "`{}`",
      .help = "Names after INTO, and the topic each one goes to, or the file (`file:/FOLDER/NAME`: a line for each row, each once"
              " also after a crash). The others go to `$jobs/JOB/OUTPUT`, where routes and actions read them." },
    { "references", AS_PAIRS, JOB(references), 0, 32, NULL, .def_said = "`{}`",
      .help = "Names of reference data, and the file of each: CSV with a header line (`.csv`), or JSON. Read again when it changes." },
    { "late", AS_SECONDS, JOB(late_s), 0, 20 * DAYS, "5s", .unlimited = UNLIMITED_IS_MAX,
      .help = "TIMESTAMP BY: how much later than its time an event may arrive. `unlimited`: recordings keep their times, and only"
              " later events, not the clock, end windows." },
    { "out-of-order", AS_SECONDS, JOB(out_of_order_s), 0, DAYS, "0s",
      .help = "TIMESTAMP BY: how far behind the latest an event may be; so long the job waits to put them in order." },
    { "policy", AS_CHOICE, JOB(policy), 0, 0, "adjust", .words = policy_words,
      .help = "What becomes of events beyond `late` and `out-of-order`: their time is adjusted, or they are dropped and counted." },
    { "model", AS_CHOICE, JOB(model), 0, 0, "fieldgate", .words = model_words,
      .help = "What is behind the anomaly functions: our own detector, or the documented kernel density and martingale." },
    { "warm-up", AS_CHOICE, JOB(warm_up), 0, 0, "silent", .words = warm_up_words,
      .help = "Whether a model that has not learned enough yet may call an event an anomaly. `report`: as the cloud service." },
    { "on-error", AS_CHOICE, JOB(on_error), 0, 0, "drop", .words = error_words,
      .help = "An event on which a function or a cast fails: dropped and counted, or the job stops (as in the cloud)." },
    { "names", AS_CHOICE, JOB(names), 0, 0, "keep", .words = names_words,
      .help = "Field names of what it puts out: as written, or in lower case as on IoT Edge." },
    { "collation", AS_CHOICE, JOB(collation), 0, 0, "ordinal", .words = collation_words, .help = "How texts are compared." },
    { "state-bytes", AS_BYTES, JOB(state_bytes), MIB, 1024 * 1024 * MIB, "256MiB",
      .help = "What it may remember. Above: the job pauses and says so." },
};
_Static_assert(ARRAY_COUNT(job_rows) <= ENTRY_ROWS_MAX, "every row is counted");

static const struct setting job_files = { "jobs", AS_TEXTS, offsetof(struct settings, job_files), sizeof(struct settings_texts), 0,
                                          100, "", .help = "" };
const struct entry_kind job_entries = {
    "job", job_rows, ARRAY_COUNT(job_rows), sizeof(struct settings_job), "sql", &job_files,
    "# jobs: /etc/fieldgate/jobs/*.sql\n"
    "# or\n"
    "jobs:\n"
    "  humidity: /etc/fieldgate/humidity.sql\n"
    "  cooling:\n"
    "    sql: /etc/fieldgate/cooling.sql\n"
    "    inputs: { machines: factory/+/telemetry }\n"
    "    late: 20s\n",
    "A job is a streaming SQL query (`docs/streaming-sql.md`). A pattern of files may have `*` and `?` in its last part; a job"
    " is called as its file is, without `.sql`. An entry of one text is the file.",
};

static const struct setting route_rows[] = {
    { "route", AS_TEXT, ROUTE(route), 1, 8192, NULL, .def_said = "must be given",
      .help = "`FROM source WHERE condition INTO sink`, see `docs/routes.md`." },
    { "priority", AS_COUNT, ROUTE(priority), 0, 2000000000, "2000000000",
      .help = "`$upstream`: which messages go first, 0 before 9." },
    { "ttl", AS_SECONDS, ROUTE(ttl_s), 1, 3650 * DAYS, "unlimited", .unlimited = UNLIMITED_IS_ZERO,
      .help = "`$upstream`: how long a message waits; then it is dropped and counted." },
};
const struct entry_kind route_entries = {
    "route", route_rows, ARRAY_COUNT(route_rows), sizeof(struct settings_route), "route", NULL,
    "routes:\n"
    "  all: FROM /messages/* INTO $upstream\n"
    "  hot: FROM topic(\"factory/#\") WHERE $body.temperature > 80 INTO topic(\"alarms/hot\")\n"
    "  urgent: { route: FROM job(\"humidity\") INTO $upstream, priority: 0, ttl: 1h }\n",
    "A route brings messages from a source to a sink. An entry of one text is the route itself.",
};

static const struct setting action_rows[] = {
    { "on", AS_TEXT, ACTION(on), 1, 1024, NULL, .def_said = "must be given",
      .help = "`JOB.OUTPUT`, or a topic filter (with a `/` or a wildcard): every message there is an event for this action." },
    { "do.publish.topic", AS_TEXT, ACTION(publish.topic), 0, 1024, "", .help = "The topic to publish to." },
    { "do.publish.message", AS_TEXT, ACTION(publish.message), 0, 65536, "", .def_said = "the event itself", .help = "The message." },
    { "do.publish.qos", AS_COUNT, ACTION(publish.qos), 0, 2, "1", .help = "Its QoS." },
    { "do.publish.retain", AS_SWITCH, ACTION(publish.retain), 0, 0, "false", .help = "Whether it stays as the topic's last word." },
    { "do.webhook.url", AS_TEXT, ACTION(webhook.url), 0, 2048, "", .secret = true,
      .help = "Where to POST: `http://` or `https://`." },
    { "do.webhook.body", AS_TEXT, ACTION(webhook.body), 0, 65536, "", .def_said = "the event itself", .help = "The body." },
    { "do.webhook.headers", AS_PAIRS, ACTION(webhook.headers), 0, 20, NULL, .def_said = "`{}`", .secret = true,
      .help = "More header lines." },
    { "do.webhook.ca", AS_TEXT, ACTION(webhook.ca), 0, 1024, "", .def_said = "the system's",
      .help = "A PEM file: who may have issued the certificate of an `https://` address." },
    { "do.program", AS_TEXTS, ACTION(program), 0, 100, "",
      .help = "A program and its arguments; the event comes on its standard input. Not through a shell." },
    { "do.opcua-write.server", AS_TEXT, ACTION(opcua_write.server), 0, 64, "", .help = "Which of `opcua.servers` to write to." },
    { "do.opcua-write.node", AS_TEXT, ACTION(opcua_write.node), 0, 1024, "", .help = "The variable: `ns=2;s=Run`, or `nsu=http://example.org/;s=Run`." },
    { "do.opcua-write.value", AS_TEXT, ACTION(opcua_write.value), 0, 65536, "",
      .help = "What to write, read as the type that the variable has: `false`, `21.5`, `[1, 2]`, `${setpoint}`." },
    { "do.opcua-call.server", AS_TEXT, ACTION(opcua_call.server), 0, 64, "", .help = "Which of `opcua.servers` has the method." },
    { "do.opcua-call.object", AS_TEXT, ACTION(opcua_call.object), 0, 1024, "", .help = "The object it is called on." },
    { "do.opcua-call.method", AS_TEXT, ACTION(opcua_call.method), 0, 1024, "", .help = "The method." },
    { "do.opcua-call.arguments", AS_TEXTS, ACTION(opcua_call.arguments), 0, 64, "", .help = "Its arguments, as `value` above." },
    { "guard.at-least", AS_TEXT, ACTION(at_least), 0, 64, "", .help = "`2 in 10s`: only from the second event within ten seconds on." },
    { "guard.at-most", AS_TEXT, ACTION(at_most), 0, 64, "", .help = "`1 per 5m`: not more often; what is left out is counted and said." },
    { "guard.dry-run", AS_SWITCH, ACTION(dry_run), 0, 0, "false", .help = "Says what it would do, and does nothing." },
    { "retry", AS_COUNT, ACTION(retry), 0, 100, "3", .help = "How often a try that failed is repeated, after 1 s, 2 s, 4 s ... up to 60 s." },
    { "timeout", AS_SECONDS, ACTION(timeout_s), 1, 3600, "10s", .help = "For one try." },
};
_Static_assert(ARRAY_COUNT(action_rows) <= ENTRY_ROWS_MAX, "every row is counted");
const struct entry_kind action_entries = {
    "action", action_rows, ARRAY_COUNT(action_rows), sizeof(struct settings_action), NULL, NULL,
    "actions:\n"
    "  stop-press:\n"
    "    on: humidity.humidityAnomaly\n"
    "    do: { publish: { topic: \"factory/${deviceId}/command\", message: '{\"run\": false}' } }\n"
    "    guard: { at-most: 1 per 5m }\n",
    "What is done for each event that a job puts out. `${field}` in a topic, message, body, address or argument is the field of"
    " the event. Each time leaves a line in the log and in the audit trail: what, for which event, with which result, how long it took.",
};
