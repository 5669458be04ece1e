/* options.c - see options.h. An option is a row of a table. */
#include "publisher/options.h"

#include "base/suggest.h"
#include "opcua/status.h"
#include "publisher/nodes_file.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum kind { SWITCH, TEXT, NUMBER, SECONDS, MILLIS, WORD, STATUSES, QOS, NOTHING, SILENT };
enum { OLD = 1, NEW = 2, OPTIONAL_VALUE = 4 };

struct row {
    const char
        *names; /* "pf publishfile": with blanks between; the first one is how it is called in sentences */
    const char *variable;
    enum kind kind;
    unsigned flags;
    size_t offset;
    const char *const *words;
    const char *why; /* NOTHING */
};
#define F(member)        offsetof(struct publisher_options, member), NULL, NULL
#define W(member, words) offsetof(struct publisher_options, member), words, NULL
#define WHY(text)        0, NULL, text

static const char *const node_id_words[] = {"AsWritten", "Uri", "Index", "Expanded", "ExpandedWithNamespace0",
                                            NULL};
static const char *const trigger_words[] = {"", "Status", "StatusValue", "StatusValueTimestamp", NULL};
static const char *const generation_words[] = {"", "2.4", "2.9", NULL};
static const char certificates[] = "certificates are in this node's store: see fieldgate opcua trust";
static const char cloud[] = "messages go into this node; a route brings them to a hub above";
static const char logging[] = "the node's log has the levels of log.level and log.levels";
static const char pipeline[] =
    "nothing waits in memory: what cannot go further waits at the server and in the journal";

/* clang-format off */
static const struct row rows[] = {
    {"generation", NULL, WORD, 0, W(generation, generation_words)},
    {"pf publishfile f", "PublishedNodesFile", TEXT, 0, F(nodes_path)},
    {"cf createifnotexist", "CreatePublishFileIfNotExistKey", SWITCH, 0, F(create_file)},
    {"pol usepolling", "UseFileChangePolling", NOTHING, OPTIONAL_VALUE, WHY("the file is looked at every 2 s in any case")},
    {"tc telemetryconfigfile", NULL, TEXT, OLD, F(telemetry_path)},
    {"s site", NULL, TEXT, 0, F(site)},
    {"ic iotcentral", NULL, SWITCH, OLD, F(iot_central)},
    {"sw sessionconnectwait", NULL, NOTHING, OLD, WHY("a server is tried again after 0.25 s, then less often, up to every 10 s")},
    {"mq monitoreditemqueuecapacity om maxsendqueuesize maxoutgressmessages", "MaxNetworkMessageSendQueueSize", NOTHING, 0, WHY(pipeline)},
    {"di diagnosticsinterval", "DiagnosticsInterval", NOTHING, 0, WHY("diagnostics are in fieldgate status, /metrics and GetDiagnosticInfo at any time")},
    {"ns noshutdown", NULL, SILENT, OLD | OPTIONAL_VALUE, WHY(NULL)},
    {"rf runforever", NULL, SILENT, OLD | OPTIONAL_VALUE, WHY(NULL)},
    {"lf logfile", NULL, NOTHING, OLD, WHY(logging)},
    {"lt logflushtimespan", NULL, NOTHING, OLD, WHY(logging)},
    {"ll loglevel", "LogLevel", NOTHING, 0, WHY(logging)},
    {"ih iothubprotocol", NULL, NOTHING, OLD, WHY(cloud)},
    {"ht", "Transport", NOTHING, 0, WHY(cloud)},
    {"t transport dmt defaultmessagetransport", "DefaultTransport", NOTHING, NEW, WHY(cloud)},
    {"ec edgehubconnectionstring dc deviceconnectionstring c_", "EdgeHubConnectionString", NOTHING, 0, WHY(cloud)},
    {"ms iothubmessagesize maxmessagesize", "IoTHubMaxMessageSize", NUMBER, 0, F(message_bytes)},
    {"si iothubsendinterval", NULL, SECONDS, 0, F(batch_ms)},
    {"bi batchtriggerinterval", "BatchTriggerInterval", MILLIS, NEW, F(batch_ms)},
    {"bs batchsize", "BatchSize", NUMBER, NEW, F(batch_size)},
    {"rdb removedupsinbatch", "RemoveDuplicatesFromBatch", NOTHING, NEW, WHY("no value is left out")},
    {"hb heartbeatinterval", "DefaultHeartbeatInterval", SECONDS, 0, F(heartbeat_ms)},
    {"hbb heartbeatbehavior", "DefaultHeartbeatBehavior", WORD, NEW, W(heartbeat, nodes_heartbeat_words)},
    {"sf skipfirstevent skipfirst", "DefaultSkipFirst", SWITCH, 0, F(skip_first)},
    {"oi opcsamplinginterval", "DefaultSamplingInterval", MILLIS, 0, F(sampling_ms)},
    {"op opcpublishinginterval", "DefaultPublishingInterval", MILLIS, 0, F(publishing_ms)},
    {"ipi ignorepublishingintervals", "IgnoreConfiguredPublishingIntervals", SWITCH, NEW, F(ignore_publishing)},
    {"ct createsessiontimeout", "CreateSessionTimeout", SECONDS, 0, F(connect_ms)},
    {"slt sessiontimeout", "DefaultSessionTimeout", SECONDS, NEW, F(session_ms)},
    {"ki keepaliveinterval", "KeepAliveInterval", NOTHING, 0, WHY("subscriptions say every 10 s that they are alive; MaxKeepAliveCount of an entry changes that")},
    {"kt keepalivethreshold", NULL, NOTHING, OLD, WHY("a server that has not spoken for longer than it promised is looked after")},
    {"ot operationtimeout", "OperationTimeout", MILLIS, 0, F(request_ms)},
    {"ol opcmaxstringlen maxstringlength", "MaxStringLength", NUMBER, 0, F(max_string)},
    {"aa autoaccept acceptuntrusted", "AutoAcceptUntrustedCertificates", SWITCH, 0, F(accept_any)},
    {"as autotrustservercerts", NULL, SWITCH, OLD, F(accept_any)},
    {"to trustowncert", NULL, NOTHING, OLD | OPTIONAL_VALUE, WHY(certificates)},
    {"tm trustmyself", "TrustMyself", NOTHING, OPTIONAL_VALUE, WHY(certificates)},
    {"fd fetchdisplayname", "FetchOpcNodeDisplayName", SWITCH, 0, F(fetch_names)},
    {"fn fetchname", NULL, SWITCH, 0, F(fetch_names)},
    {"ss suppressedopcstatuscodes", NULL, STATUSES, OLD, F(suppressed)},
    {"at appcertstoretype ap appcertstorepath tp trustedcertstorepath rp rejectedcertstorepath ip issuercertstorepath tt rt it", NULL, NOTHING, 0, WHY(certificates)},
    {"pki pkirootpath", "PkiRootPath", NOTHING, NEW, WHY(certificates)},
    {"csr", NULL, NOTHING, OLD | OPTIONAL_VALUE, WHY(certificates)},
    {"ab applicationcertbase64 af applicationcertfile pb privatekeybase64 pk privatekeyfile cp certpassword nb newcertbase64 nf_ newcertfile", NULL, NOTHING, OLD, WHY(certificates)},
    {"tb addtrustedcertbase64 addtrustedcertfile ib addissuercertbase64 if addissuercertfile rb updatecrlbase64 uc updatecrlfile rc removecert", NULL, NOTHING, OLD, WHY(certificates)},
    {"rejectsha1 rsha rejectsha1signedcertificates", "RejectSha1SignedCertificates", NOTHING, NEW | OPTIONAL_VALUE, WHY("SHA-1 is never taken")},
    {"mks minkeysize", "MinimumCertificateKeySize", NOTHING, NEW, WHY("2048 bits are the least in any case")},
    {"rur rejectunknownrevocationstatus", "RejectUnknownRevocationStatus", NOTHING, NEW | OPTIONAL_VALUE, WHY(certificates)},
    {"pn publisherserverport port pa publisherserverpath path lr ldsreginterval", NULL, NOTHING, OLD, WHY("methods are asked for by HTTP and MQTT; this node's own OPC UA server has a setting of its own")},
    {"st opcstacktracemask", NULL, NOTHING, OLD, WHY(logging)},
    {"sd shopfloordomain", NULL, NOTHING, OLD, WHY("use --site")},
    {"vc verboseconsole", NULL, NOTHING, OLD | OPTIONAL_VALUE, WHY(logging)},
    {"sn showopcnodeinfo", NULL, NOTHING, OLD | OPTIONAL_VALUE, WHY(logging)},
    {"ws workersshutdowntimeout", NULL, NOTHING, 0, WHY(pipeline)},
    {"mm messagingmode", "MessagingMode", WORD, NEW, W(mode, nodes_mode_words)},
    {"me messageencoding", "MessageEncoding", WORD, NEW, W(encoding, nodes_encoding_words)},
    {"fm fullfeaturedmessage", "FullFeaturedMessage", SWITCH, NEW, F(full_samples)},
    {"c strict", "UseStandardsCompliantEncoding", SWITCH, NEW, F(strict)},
    {"nf namespaceformat", "DefaultNamespaceFormat", WORD, NEW, W(node_ids, node_id_words)},
    {"ri enableroutinginfo", "EnableRoutingInfo", SWITCH, NEW, F(routing_info)},
    {"b mqc mqttclientconnectionstring", "MqttClientConnectionString", NOTHING, NEW, WHY("values go into this node, which is an MQTT broker itself")},
    {"rtt roottopictemplate", "RootTopicTemplate", TEXT, NEW, F(root_topic)},
    {"ttt telemetrytopictemplate", "TelemetryTopicTemplate", TEXT, NEW, F(topic)},
    {"mdt metadatatopictemplate", "DefaultMetadataTopicTemplate", TEXT, NEW, F(metadata_topic)},
    {"mtt methodtopictemplate", "MethodTopicTemplate", NOTHING, NEW, WHY("methods are asked for at /api/v1/opcua and /v2")},
    {"ett eventstopictemplate dtt diagnosticstopictemplate stt schematopictemplate", NULL, NOTHING, NEW, WHY("diagnostics are in /metrics and GetDiagnosticInfo")},
    {"uns datasetrouting", "DefaultDataSetRouting", WORD, NEW, W(routing, nodes_routing_words)},
    {"qos", "DefaultQualityOfService", QOS, NEW, F(qos)},
    {"ttl", "DefaultMessageTimeToLive", MILLIS, NEW, F(ttl_ms)},
    {"retain", "DefaultMessageRetention", SWITCH, NEW, F(retain)},
    {"qs queuesize", "DefaultQueueSize", NUMBER, NEW, F(queue_size)},
    {"aq autosetqueuesize", "AutoSetQueueSizes", SWITCH, NEW, F(auto_queue)},
    {"ndo nodiscardold", "DiscardNewDefault", SWITCH, NEW, F(discard_new)},
    {"mc monitoreditemdatachangetrigger", "DefaultDataChangeTrigger", WORD, NEW, W(trigger, trigger_words)},
    {"kfc keyframecount", "DefaultKeyFrameCount", NUMBER, NEW, F(key_frames)},
    {"ka sendkeepalives", "EnableDataSetKeepAlives", SWITCH, NEW, F(keep_alives)},
    {"msi metadatasendinterval", "DefaultMetaDataUpdateTime", MILLIS, NEW, F(metadata_ms)},
    {"npd maxnodesperdataset", "MaxNodesPerDataSet", NOTHING, NEW, WHY("a data set has all nodes of its writer")},
    {"xmi maxmonitoreditems", "MaxMonitoredItemPerSubscription", NOTHING, NEW, WHY("a subscription has as many nodes as the server takes")},
    {"da deferredacks", "UseDeferredAcknoledgements", NOTHING, NEW | OPTIONAL_VALUE, WHY("a value is always acknowledged when it is on disk, and not before")},
    {"rat republishaftertransfer", "DefaultRepublishAfterTransfer", NOTHING, NEW | OPTIONAL_VALUE, WHY("what was missed is always asked for again")},
    {"dtr disabletransferoptions", "DisableSubscriptionTransfer", NOTHING, NEW | OPTIONAL_VALUE, WHY("a subscription is taken along where the server allows it, and made anew where not")},
    {"mwt monitoreditemwatchdog mwc monitoreditemwatchdogcondition dwb datasetwriterwatchdogbehavior", NULL, NOTHING, NEW, WHY("what is late is reported, and a subscription that has gone silent is made anew")},
    {"ucr usecyclicreads", "DefaultSamplingUsingCyclicRead", SWITCH, NEW, F(cyclic_reads)},
    {"urc usereverseconnect rcp reverseconnectport", "DefaultUseReverseConnect", NOTHING, NEW, WHY("this node dials the servers")},
    {"dsg disablesessionpergroup", "DisableSessionPerWriterGroup", SWITCH, NEW, F(no_group)},
    {"em enableprometheusendpoint", "EnableMetrics", NOTHING, NEW | OPTIONAL_VALUE, WHY("metrics are at /metrics of the node's http listener")},
    {"id publisherid", "PublisherId", TEXT, NEW, F(publisher_id)},
    {"api-key apikeyoverride", "ApiKey", NOTHING, NEW, WHY("who may ask is said by the node's users and rules")},
    {"p httpserverport unsecurehttp", "HttpServerPort", NOTHING, NEW, WHY("the node's listeners are settings")},
    {"dmr disablemessagerouting sl opcstacklogging oc otlpcollector", NULL, NOTHING, NEW | OPTIONAL_VALUE, WHY(logging)},
    {"h help", NULL, NOTHING, OPTIONAL_VALUE, WHY("fieldgate opcua publisher --help")},
};
/* clang-format on */
enum { ROWS = sizeof rows / sizeof rows[0] };

struct parsing {
    struct publisher_options *o;
    struct fault *why;
    bool said[ROWS], given[ROWS];
    bool bad_memory;
};

/* ---- notes ---- */

static void note(struct parsing *p, const char *fmt, ...) FG_PRINTF(2, 3);
static void note(struct parsing *p, const char *fmt, ...)
{
    char text[320];
    va_list args;
    struct publisher_options *o = p->o;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (o->note_count == OPTIONS_NOTES_MAX)
        return;
    const char **list = (const char **)(void *)(uintptr_t)o->notes; /* ours, in the arena */
    list[o->note_count] = arena_text(&o->arena,
                                     bytes_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
    p->bad_memory = p->bad_memory || !list[o->note_count];
    o->note_count++;
}

/* ---- finding a row ---- */

static bool names_have(const char *names, struct bytes name)
{
    while (*names) {
        size_t n = strcspn(names, " ");
        char one[64];
        (void)snprintf(one, sizeof one, "%.*s", (int)n, names);
        if (name.len == n && jtree_is(name, one))
            return true;
        names += n + (names[n] == ' ');
    }
    return false;
}

/* The old -c was a connection string, the new one is a switch: what stands behind it tells. */
static const struct row *find(struct bytes name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (names_have(rows[i].names, name))
            return &rows[i];
    return NULL;
}

static const char *first_name(const struct row *r, char out[64])
{
    (void)snprintf(out, 64, "%.*s", (int)strcspn(r->names, " "), r->names);
    return out;
}

/* ---- values ---- */

static bool truth(struct bytes v, bool *out)
{
    *out = !v.at || jtree_is(v, "true") || jtree_is(v, "1") || jtree_is(v, "yes") || jtree_is(v, "on");
    return *out || jtree_is(v, "false") || jtree_is(v, "0") || jtree_is(v, "no") || jtree_is(v, "off");
}

static bool number(struct bytes v, int64_t *out)
{
    char text[24], *end;
    if (!v.len || v.len >= sizeof text)
        return false;
    memcpy(text, v.at, v.len);
    text[v.len] = 0;
    long long n = strtoll(text, &end, 10);
    *out = n;
    return !*end && n >= -1 && n < 4000000000000LL;
}

static enum code wrong(struct parsing *p, const struct row *r, struct bytes v, const char *must)
{
    char said[64], name[64];
    return FAIL(p->why, CODE_USAGE, 0, "--%s must be %s, got '%s'", first_name(r, name), must,
                bytes_escape(v, said, sizeof said));
}

static enum code store_statuses(struct parsing *p, const struct row *r, struct bytes v)
{
    struct publisher_options *o = p->o;
    o->suppressed_count = 0;
    while (v.len) {
        size_t n = 0;
        ua_status s;
        int64_t code;
        while (n < v.len && v.at[n] != ',')
            n++;
        struct bytes one = bytes_of(v.at, n);
        if (!ua_status_from(one, &s) && number(one, &code))
            s = (ua_status)code;
        else if (!ua_status_from(one, &s))
            return wrong(p, r, one,
                         "a list of status codes such as BadNoCommunication,BadWaitingForInitialData");
        if (o->suppressed_count < OPTIONS_STATUSES_MAX)
            o->suppressed[o->suppressed_count++] = ua_code(s);
        v = bytes_from(v, n + (n < v.len));
    }
    return CODE_OK;
}

static enum code store_number(struct parsing *p, const struct row *r, struct bytes v, int64_t unit, void *at)
{
    int64_t n;
    if (number(v, &n)) {
        *(int64_t *)at = n < 0 ? n : n * unit;
        return CODE_OK;
    }
    if (r->kind != NUMBER && nodes_timespan(v, at))
        return CODE_OK;
    return wrong(p, r, v,
                 r->kind == NUMBER ? "a number"
                 : unit == 1       ? "a number of ms, or hh:mm:ss"
                                   : "a number of seconds, or hh:mm:ss");
}

static enum code store_word(struct parsing *p, const struct row *r, struct bytes v, void *at)
{
    char list[200];
    int w = nodes_word(r->words, v);
    if (w >= 0) {
        *(uint8_t *)at = (uint8_t)w;
        return CODE_OK;
    }
    if (r->offset == offsetof(struct publisher_options, encoding)) {
        char said[64];
        note(p, "--me %s is not written here: JSON is, as with Json", bytes_escape(v, said, sizeof said));
        return CODE_OK;
    }
    size_t n = (size_t)snprintf(list, sizeof list, "one of");
    for (size_t i = 0; r->words[i] && n < sizeof list; i++)
        if (r->words[i][0])
            n += (size_t)snprintf(list + n, sizeof list - n, "%s %s", n > 6 ? "," : "", r->words[i]);
    return wrong(p, r, v, list);
}

static enum code store(struct parsing *p, const struct row *r, struct bytes v)
{
    static const char *const qos_words[] = {"AtMostOnce", "AtLeastOnce", "ExactlyOnce", NULL};
    void *at = (char *)p->o + r->offset;
    char name[64];
    int64_t n;
    switch (r->kind) {
    case SWITCH: return truth(v, at) ? CODE_OK : wrong(p, r, v, "true or false");
    case TEXT:
        *(const char **)at = arena_text(&p->o->arena, v);
        return *(const char **)at ? CODE_OK : FAIL(p->why, CODE_NOMEM, 0, "no memory for the options");
    case NUMBER: return store_number(p, r, v, 1, at);
    case MILLIS: return store_number(p, r, v, 1, at);
    case SECONDS: return store_number(p, r, v, 1000, at);
    case WORD: return store_word(p, r, v, at);
    case STATUSES: return store_statuses(p, r, v);
    case QOS:
        n = nodes_word(qos_words, v);
        if (n < 0 && (!number(v, &n) || n < 0 || n > 2))
            return wrong(p, r, v, "0, 1, 2, AtMostOnce, AtLeastOnce or ExactlyOnce");
        *(int64_t *)at = n;
        return CODE_OK;
    case NOTHING:
        if (!p->said[r - rows])
            note(p, "--%s has no meaning here: %s", first_name(r, name), r->why);
        p->said[r - rows] = true;
        return CODE_OK;
    case SILENT: return CODE_OK; /* a node does not end on a key press in any case */
    }
    return CODE_OK;
}

/* ---- the line ---- */

static bool value_free(const struct row *r)
{
    return r->kind == SWITCH || r->flags & OPTIONAL_VALUE;
}

static void unknown(struct parsing *p, struct bytes name)
{
    const char *near = NULL;
    char said[64], words[ROWS][64];
    const char *list[ROWS];
    for (size_t i = 0; i < ROWS; i++) {
        const char *last = strrchr(rows[i].names, ' ');
        (void)snprintf(words[i], sizeof words[i], "%s", last ? last + 1 : rows[i].names);
        list[i] = words[i];
    }
    near = suggest_word(name, list, ROWS);
    note(p, "--%s is no option that OPC Publisher has, or one it no longer has; it is left out%s%s%s",
         bytes_escape(name, said, sizeof said), near ? ". Did you mean --" : "", near ? near : "",
         near ? "?" : "");
}

static bool is_truth(const char *text)
{
    bool b;
    return text && (strcmp(text, "1") != 0 && strcmp(text, "0") != 0) && truth(bytes_str(text), &b);
}

/* One argument, and perhaps the one behind it: *used says. */
static enum code one_argument(struct parsing *p, const char *arg, const char *next, int *used)
{
    struct bytes name = bytes_from(bytes_str(arg), arg[1] == '-' ? 2 : 1), value = BYTES_NONE;
    size_t n = 0;
    while (n < name.len && name.at[n] != '=' && name.at[n] != ':')
        n++;
    bool attached = n < name.len;
    if (attached)
        value = bytes_from(name, n + 1);
    name.len = n;
    *used = 1;
    const struct row *r = find(name);
    if (r && jtree_is(name, "c") &&
        ((attached && memchr(value.at, ';', value.len)) || (next && strchr(next, ';'))))
        r = find(BYTES_LIT("ec"));
    if (!r) {
        unknown(p, name);
        *used += !attached && next && next[0] != '-'; /* most likely its value */
        return CODE_OK;
    }
    p->given[r - rows] = true;
    if (attached)
        return store(p, r, value);
    if (value_free(r) ? !is_truth(next) : false)
        return store(p, r, BYTES_NONE);
    if (!next) {
        char is[64];
        return FAIL(p->why, CODE_USAGE, 0, "--%s needs a value", first_name(r, is));
    }
    *used = 2;
    return store(p, r, bytes_str(next));
}

static enum code read_line(struct parsing *p, int argc, const char *const *argv)
{
    unsigned words = 0;
    for (int i = 0, used; i < argc; i += used) {
        const char *arg = argv[i];
        enum code c = CODE_OK;
        used = 1;
        if (arg[0] == '-' && arg[1])
            c = one_argument(p, arg, i + 1 < argc ? argv[i + 1] : NULL, &used);
        else if (words++ == 0) /* the old one's application name */
            c = store(p, find(BYTES_LIT("id")), bytes_str(arg));
        else if (words == 2)
            note(p, "the connection string behind the name has no meaning here: %s", cloud);
        if (c != CODE_OK)
            return c;
    }
    return CODE_OK;
}

static enum code read_environment(struct parsing *p, const char *const *environment)
{
    enum code c = CODE_OK;
    for (size_t i = 0; environment && i < ROWS && c == CODE_OK; i++)
        for (const char *const *e = environment; rows[i].variable && *e && c == CODE_OK; e++) {
            size_t n = strlen(rows[i].variable);
            if (strncmp(*e, rows[i].variable, n) == 0 && (*e)[n] == '=' && (*e)[n + 1])
                c = store(p, &rows[i], bytes_str(*e + n + 1));
        }
    return c;
}

/* ---- defaults ---- */

/* An option of the old generation only, and none of the new one only. */
static bool looks_old(const struct parsing *p)
{
    bool old = false, new = false;
    for (size_t i = 0; i < ROWS; i++) {
        old = old || (p->given[i] && rows[i].flags & OLD);
        new = new || (p->given[i] && rows[i].flags & NEW &&
                      rows[i].offset != offsetof(struct publisher_options, publisher_id));
    }
    return p->o->generation ? p->o->generation == 1 : old && !new;
}

static void settle(struct publisher_options *o)
{
    static const ua_status quiet[] = {UA_BAD_NO_COMMUNICATION, UA_BAD_WAITING_FOR_INITIAL_DATA};
    if (o->message_bytes < 0)
        o->message_bytes = 262144;
    if (o->batch_ms < 0)
        o->batch_ms = 10000;
    if (o->batch_size < 0)
        o->batch_size = o->old ? 0 : 50;
    if (o->old && o->batch_ms == 0 && o->message_bytes == 0)
        o->single_item = true;
    if (o->publishing_ms < 0)
        o->publishing_ms = o->old ? 0 : 1000;
    if (o->old && o->suppressed_count == UINT32_MAX) {
        memcpy(o->suppressed, quiet, sizeof quiet);
        o->suppressed_count = 2;
    }
    if (o->suppressed_count == UINT32_MAX)
        o->suppressed_count = 0;
    if (o->mode == NODES_MODE_UNSET)
        o->mode = o->strict ? NODES_PUBSUB : o->full_samples ? NODES_FULL_SAMPLES : NODES_SAMPLES;
    if (o->heartbeat == NODES_HEARTBEAT_UNSET)
        o->heartbeat = o->old ? NODES_WATCHDOG_LKV_TIMES : NODES_WATCHDOG_LKV;
    if (o->node_ids == NODE_IDS_EXPANDED + 1)
        o->node_ids = NODE_IDS_EXPANDED; /* our expanded form has namespace 0 as i=... in both */
}

enum code publisher_options_parse(struct publisher_options *o, int argc, const char *const *argv,
                                  const char *const *environment, struct fault *why)
{
    struct parsing p = {.o = o, .why = why};
    *o = (struct publisher_options){.site = "",
                                    .publisher_id = "",
                                    .message_bytes = -1,
                                    .batch_ms = -1,
                                    .batch_size = -1,
                                    .publishing_ms = -1,
                                    .sampling_ms = 1000,
                                    .queue_size = 0,
                                    .qos = 1,
                                    .suppressed_count = UINT32_MAX};
    arena_init(&o->arena, NULL, 0, 1 << 20);
    o->notes = arena_zero(&o->arena, OPTIONS_NOTES_MAX * sizeof *o->notes);
    enum code c = o->notes ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for the options");
    if (c == CODE_OK)
        c = read_environment(&p, environment);
    if (c == CODE_OK)
        c = read_line(&p, argc, argv);
    if (c == CODE_OK && p.bad_memory)
        c = FAIL(why, CODE_NOMEM, 0, "no memory for the options");
    if (c != CODE_OK) {
        publisher_options_clear(o);
        return c;
    }
    o->old = looks_old(&p);
    settle(o);
    return CODE_OK;
}

/* ---- from a text ---- */

enum { WORDS_MAX = 256, TEXT_MAX = 16384 };

static size_t next_word(const char **at, char *out)
{
    size_t n = 0;
    char quote = 0;
    while (**at == ' ' || **at == '\t' || **at == '\n')
        ++*at;
    for (; **at; ++*at) {
        char c = **at;
        if (quote ? c == quote : c == '"' || c == '\'')
            quote = quote ? 0 : c;
        else if (!quote && (c == ' ' || c == '\t' || c == '\n'))
            break;
        else
            out[n++] = c;
    }
    out[n] = 0;
    return n;
}

enum code publisher_options_text(struct publisher_options *o, const char *text, struct fault *why)
{
    static const size_t most = TEXT_MAX;
    const char *argv[WORDS_MAX];
    char words[TEXT_MAX + WORDS_MAX], *to = words;
    int argc = 0;
    if (strlen(text) > most)
        return FAIL(why, CODE_LIMIT, 0, "%zu bytes of options; the most is %d", strlen(text), TEXT_MAX);
    while (*text) {
        size_t n = next_word(&text, to);
        if (!n)
            continue;
        if (argc == WORDS_MAX)
            return FAIL(why, CODE_LIMIT, 0, "more than %d options", WORDS_MAX);
        argv[argc++] = to;
        to += n + 1;
    }
    return publisher_options_parse(o, argc, argv, NULL, why);
}

void publisher_options_environment(struct buf *out, const char *const *environment)
{
    char name[64];
    for (size_t i = 0; i < ROWS; i++)
        for (const char *const *e = environment; rows[i].variable && *e; e++) {
            size_t n = strlen(rows[i].variable);
            if (strncmp(*e, rows[i].variable, n) == 0 && (*e)[n] == '=' && (*e)[n + 1]) {
                buf_printf(out, "%s--%s=", buf_size(out) ? " " : "", first_name(&rows[i], name));
                (void)publisher_options_quote(out, *e + n + 1);
            }
        }
}

bool publisher_options_quote(struct buf *out, const char *text)
{
    char mark = strchr(text, '"') ? '\'' : '"';
    if (mark == '\'' && strchr(text, '\''))
        return false;
    buf_printf(out, "%c%s%c", mark, text, mark);
    return true;
}

void publisher_options_clear(struct publisher_options *o)
{
    arena_clear(&o->arena);
    *o = (struct publisher_options){0};
}
