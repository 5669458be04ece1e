/* nodes_file.c - see nodes_file.h. A field of the file is a row of a table here. */
#include "publisher/nodes_file.h"

#include "base/mem.h"
#include "base/suggest.h"
#include "publisher/target.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- words ---- */

const char *const nodes_mode_words[] = {"",
                                        "PubSub",
                                        "Samples",
                                        "FullNetworkMessages",
                                        "FullSamples",
                                        "DataSetMessages",
                                        "SingleDataSetMessage",
                                        "DataSets",
                                        "SingleDataSet",
                                        "RawDataSets",
                                        "SingleRawDataSet",
                                        NULL};
const char *const nodes_encoding_words[] = {"", "Json", "JsonReversible", NULL};
const char *const nodes_heartbeat_words[] = {"",
                                             "WatchdogLKV",
                                             "WatchdogLKG",
                                             "PeriodicLKV",
                                             "PeriodicLKG",
                                             "WatchdogLKVWithUpdatedTimestamps",
                                             "WatchdogLKGWithUpdatedTimestamps",
                                             "PeriodicLKVDropValue",
                                             "PeriodicLKGDropValue",
                                             NULL};
const char *const nodes_routing_words[] = {"", "None", "UseBrowseNames", "UseBrowseNamesWithNamespaceIndex",
                                           NULL};
static const char *const security_words[] = {"None", "Sign", "SignAndEncrypt", "NotNone", "Best", NULL};
static const char *const auth_words[] = {"Anonymous", "UsernamePassword", "Certificate", NULL};
static const char *const trigger_words[] = {"", "Status", "StatusValue", "StatusValueTimestamp", NULL};
static const char *const deadband_words[] = {"None", "Absolute", "Percent", NULL};
static const char *const qos_words[] = {"AtMostOnce", "AtLeastOnce", "ExactlyOnce", NULL};
static const char *const attribute_words[] = {"",
                                              "NodeId",
                                              "NodeClass",
                                              "BrowseName",
                                              "DisplayName",
                                              "Description",
                                              "WriteMask",
                                              "UserWriteMask",
                                              "IsAbstract",
                                              "Symmetric",
                                              "InverseName",
                                              "ContainsNoLoops",
                                              "EventNotifier",
                                              "Value",
                                              "DataType",
                                              "ValueRank",
                                              "ArrayDimensions",
                                              "AccessLevel",
                                              "UserAccessLevel",
                                              "MinimumSamplingInterval",
                                              "Historizing",
                                              "Executable",
                                              "UserExecutable",
                                              NULL};

int nodes_word(const char *const *words, struct bytes text)
{
    for (int i = 0; words[i]; i++)
        if (text.len && jtree_is(text, words[i]))
            return i;
    return -1;
}

/* ---- "d.hh:mm:ss.fff" ---- */

static bool take_number(struct bytes *text, int64_t *out)
{
    size_t n = 0;
    int64_t v = 0;
    while (n < text->len && n < 9 && text->at[n] >= '0' && text->at[n] <= '9')
        v = v * 10 + (text->at[n++] - '0');
    *text = bytes_from(*text, n);
    *out = v;
    return n > 0;
}

static bool take_mark(struct bytes *text, char mark)
{
    bool is = text->len && text->at[0] == (uint8_t)mark;
    *text = bytes_from(*text, is);
    return is;
}

static int64_t take_fraction(struct bytes *text)
{
    int64_t ms = 0, unit = 100;
    while (text->len && text->at[0] >= '0' && text->at[0] <= '9') {
        ms += (text->at[0] - '0') * unit;
        unit /= 10;
        *text = bytes_from(*text, 1);
    }
    return ms;
}

bool nodes_timespan(struct bytes text, int64_t *ms)
{
    int64_t days = 0, hours = 0, minutes = 0, seconds = 0, part = 0;
    if (!take_number(&text, &hours))
        return false;
    if (!text.len || text.at[0] == '.') {
        days = hours;
        hours = 0;
        if (!take_mark(&text, '.')) {
            *ms = days * 86400000;
            return days <= 36500;
        }
        if (!take_number(&text, &hours))
            return false;
    }
    if (!take_mark(&text, ':') || !take_number(&text, &minutes))
        return false;
    if (take_mark(&text, ':') && !take_number(&text, &seconds))
        return false;
    if (take_mark(&text, '.'))
        part = take_fraction(&text);
    *ms = ((days * 24 + hours) * 60 + minutes) * 60000 + seconds * 1000 + part;
    return !text.len && days <= 36500 && hours < 24 && minutes < 60 && seconds < 60;
}

/* ---- fields as rows ---- */

enum field_kind {
    TEXT,         /* const char *                       */
    SECRET,       /* likewise, never shown              */
    FLAG,         /* int8_t                             */
    NUMBER,       /* int64_t                            */
    SECONDS,      /* int64_t of ms                      */
    SPAN,         /* likewise; wins over the number      */
    WORD,         /* uint8_t                            */
    WORD_BIG,     /* enum                               */
    REAL,         /* double                             */
    TREE,         /* const struct jtree *               */
    QOS,          /* int64_t, a word or a number        */
    OURS,         /* read elsewhere                     */
    NOT_HERE,     /* said once; `why`                   */
    MEANS_NOTHING /* for people and other programs  */
};
struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;
    const char *const *words;
    const char *why;
};
#define E(member)         offsetof(struct nodes_entry, member), NULL, NULL
#define EW(member, words) offsetof(struct nodes_entry, member), words, NULL
#define N(member)         offsetof(struct nodes_node, member), NULL, NULL
#define NW(member, words) offsetof(struct nodes_node, member), words, NULL
#define WHY(text)         0, NULL, text

/* clang-format off */
static const struct field entry_fields[] = {
    {"EndpointUrl", OURS, WHY(NULL)},
    {"UseSecurity", OURS, WHY(NULL)},
    {"EndpointSecurityMode", OURS, WHY(NULL)},
    {"EndpointSecurityPolicy", TEXT, E(policy)},
    {"OpcAuthenticationMode", WORD_BIG, EW(auth, auth_words)},
    {"OpcAuthenticationUsername", SECRET, E(user)},
    {"OpcAuthenticationPassword", SECRET, E(password)},
    {"UserName", SECRET, E(user)},
    {"Password", SECRET, E(password)},
    {"EncryptedAuthUsername", NOT_HERE, WHY("it is encrypted with a key that only the other program has; write OpcAuthenticationUsername")},
    {"EncryptedAuthPassword", NOT_HERE, WHY("it is encrypted with a key that only the other program has; write OpcAuthenticationPassword")},
    {"OpcNodes", OURS, WHY(NULL)},
    {"NodeId", OURS, WHY(NULL)},
    {"DataSetWriterGroup", TEXT, E(group)},
    {"DataSetWriterId", TEXT, E(writer)},
    {"DataSetName", TEXT, E(dataset)},
    {"DataSetClassId", TEXT, E(class_id)},
    {"DataSetDescription", TEXT, E(description)},
    {"DataSetExtensionFields", TREE, E(extension)},
    {"DataSetFetchDisplayNames", FLAG, E(fetch_names)},
    {"DataSetPublishingInterval", NUMBER, E(publishing_ms)},
    {"DataSetPublishingIntervalTimespan", SPAN, E(publishing_ms)},
    {"DataSetSamplingInterval", NUMBER, E(sampling_ms)},
    {"DataSetSamplingIntervalTimespan", SPAN, E(sampling_ms)},
    {"DataSetKeyFrameCount", NUMBER, E(key_frames)},
    {"DataSetRouting", WORD, EW(routing, nodes_routing_words)},
    {"MetaDataUpdateTime", NUMBER, E(metadata_ms)},
    {"MetaDataUpdateTimeTimespan", SPAN, E(metadata_ms)},
    {"MetaDataQueueName", TEXT, E(metadata_topic)},
    {"BatchSize", NUMBER, E(batch_size)},
    {"BatchTriggerInterval", NUMBER, E(batch_ms)},
    {"BatchTriggerIntervalTimespan", SPAN, E(batch_ms)},
    {"MessagingMode", WORD, EW(mode, nodes_mode_words)},
    {"MessageEncoding", OURS, WHY(NULL)},
    {"WriterGroupTransport", NOT_HERE, WHY("messages go into this node; routes take them further")},
    {"WriterGroupQueueName", TEXT, E(topic)},
    {"QueueName", TEXT, E(topic)},
    {"QualityOfService", QOS, EW(qos, qos_words)},
    {"WriterGroupQualityOfService", QOS, EW(qos, qos_words)},
    {"MessageRetention", OURS, WHY(NULL)},
    {"WriterGroupMessageRetention", OURS, WHY(NULL)},
    {"MessageTtlTimespan", SPAN, E(ttl_ms)},
    {"WriterGroupMessageTtlTimespan", SPAN, E(ttl_ms)},
    {"SendKeepAliveDataSetMessages", FLAG, E(keep_alives)},
    {"MaxKeepAliveCount", NUMBER, E(max_keep_alive)},
    {"Priority", NUMBER, E(priority)},
    {"DefaultHeartbeatInterval", SECONDS, E(heartbeat_ms)},
    {"DefaultHeartbeatIntervalTimespan", SPAN, E(heartbeat_ms)},
    {"DefaultHeartbeatBehavior", WORD, EW(heartbeat, nodes_heartbeat_words)},
    {"OpcNodeWatchdogTimespan", NOT_HERE, WHY("a server that is silent is looked after; single nodes that do not change are not reported")},
    {"OpcNodeWatchdogCondition", NOT_HERE, WHY("a node that is late is reported when it is; nothing more is done")},
    {"DataSetWriterWatchdogBehavior", NOT_HERE, WHY("what is late is reported, and a subscription that has gone silent is made anew; the node is not restarted")},
    {"RepublishAfterTransfer", NOT_HERE, WHY("what was missed is always asked for again")},
    {"DisableSubscriptionTransfer", NOT_HERE, WHY("a subscription is taken along where the server allows it, and made anew where not")},
    {"UseReverseConnect", NOT_HERE, WHY("this node dials the server; it does not wait for the server to dial")},
    {"DumpConnectionDiagnostics", NOT_HERE, WHY("`log.levels` says how much is told")},
    {"PublisherId", TEXT, E(publisher_id)},
    {"Version", MEANS_NOTHING, WHY(NULL)},
    {"LastChangeDateTime", MEANS_NOTHING, WHY(NULL)},
    {"ConnectionId", MEANS_NOTHING, WHY(NULL)},
    {"Enabled", MEANS_NOTHING, WHY(NULL)},
    {NULL, OURS, WHY(NULL)},
};

static const struct field node_fields[] = {
    {"Id", OURS, WHY(NULL)},
    {"ExpandedNodeId", OURS, WHY(NULL)},
    {"OpcSamplingInterval", NUMBER, N(sampling_ms)},
    {"OpcSamplingIntervalTimespan", SPAN, N(sampling_ms)},
    {"OpcPublishingInterval", NUMBER, N(publishing_ms)},
    {"OpcPublishingIntervalTimespan", SPAN, N(publishing_ms)},
    {"DisplayName", TEXT, N(name)},
    {"DataSetFieldId", TEXT, N(field_id)},
    {"FetchDisplayName", FLAG, N(fetch_name)},
    {"HeartbeatInterval", SECONDS, N(heartbeat_ms)},
    {"HeartbeatIntervalTimespan", SPAN, N(heartbeat_ms)},
    {"HeartbeatBehavior", WORD, NW(heartbeat, nodes_heartbeat_words)},
    {"SkipFirst", FLAG, N(skip_first)},
    {"QueueSize", NUMBER, N(queue_size)},
    {"DiscardNew", FLAG, N(discard_new)},
    {"DataChangeTrigger", WORD, NW(trigger, trigger_words)},
    {"DeadbandType", WORD, NW(deadband, deadband_words)},
    {"DeadbandValue", REAL, N(deadband_value)},
    {"AttributeId", QOS, NW(attribute, attribute_words)},
    {"IndexRange", TEXT, N(index_range)},
    {"BrowsePath", TREE, N(browse_path)},
    {"RegisterNode", FLAG, N(register_node)},
    {"Topic", TEXT, N(topic)},
    {"QualityOfService", QOS, NW(qos, qos_words)},
    {"UseCyclicRead", FLAG, N(cyclic)},
    {"CyclicReadMaxAge", NUMBER, N(max_age_ms)},
    {"CyclicReadMaxAgeTimespan", SPAN, N(max_age_ms)},
    {"EventFilter", NOT_HERE, WHY("events are not read in this version: the node is left out")},
    {"ConditionHandling", NOT_HERE, WHY("alarms are not read in this version: the node is left out")},
    {"ModelChangeHandling", NOT_HERE, WHY("changes of the address space are not read in this version: the node is left out")},
    {"TriggeredNodes", NOT_HERE, WHY("nodes that others trigger are not read in this version; write them as nodes of their own")},
    {"TypeDefinitionId", NOT_HERE, WHY("write the variables of the object as nodes of their own")},
    {NULL, OURS, WHY(NULL)},
};
/* clang-format on */

/* ---- reading ---- */

struct making {
    struct nodes_file *file;
    struct fault *why;
    bool old, encoding_said;
    bool entry_said[sizeof entry_fields / sizeof entry_fields[0]],
        node_said[sizeof node_fields / sizeof node_fields[0]];
    uint64_t unknown[NODES_NOTES_MAX]; /* names that were said, by hash */
    uint32_t unknown_count;
};

static void note(struct making *m, const struct jtree *at, const char *fmt, ...) FG_PRINTF(3, 4);
static void note(struct making *m, const struct jtree *at, const char *fmt, ...)
{
    va_list args;
    if (m->file->note_count == NODES_NOTES_MAX)
        return;
    struct nodes_note *n = &m->file->notes[m->file->note_count++];
    n->line = at->line;
    n->column = at->column;
    va_start(args, fmt);
    (void)vsnprintf(n->text, sizeof n->text, fmt, args);
    va_end(args);
}

static enum code wrong(struct making *m, const struct jtree *at, const char *name, const char *must)
{
    char said[64] = "an object or list";
    if (at->kind == JTREE_TEXT || at->kind == JTREE_NUMBER)
        (void)bytes_escape(at->text, said, sizeof said);
    return FAIL(m->why, CODE_MALFORMED, (uint64_t)at->line * 65536 + (at->column & 65535),
                "%u:%u: %s must be %s, got '%s'", at->line, at->column, name, must,
                at->kind < JTREE_NUMBER ? "null, true or false" : said);
}

static bool number_of(const struct jtree *v, int64_t *out)
{
    char text[40], *end;
    if ((v->kind != JTREE_NUMBER && v->kind != JTREE_TEXT) || !v->text.len || v->text.len >= sizeof text)
        return false;
    memcpy(text, v->text.at, v->text.len);
    text[v->text.len] = 0;
    errno = 0;
    double d = strtod(text, &end);
    if (*end || errno || !isfinite(d) || fabs(d) > 4e12)
        return false;
    *out = (int64_t)d;
    return true;
}

static bool flag_of(const struct jtree *v, int8_t *out)
{
    if (v->kind == JTREE_TEXT && (jtree_is(v->text, "true") || jtree_is(v->text, "false")))
        *out = jtree_is(v->text, "true");
    else if (v->kind == JTREE_TRUE || v->kind == JTREE_FALSE)
        *out = v->kind == JTREE_TRUE;
    else
        return false;
    return true;
}

static enum code text_of(struct making *m, const struct jtree *v, const char *name, const char **out)
{
    if (v->kind != JTREE_TEXT && v->kind != JTREE_NUMBER) /* a writer's id may be written as a number */
        return wrong(m, v, name, "a text");
    if (v->text.len > NODES_TEXT_MAX)
        return FAIL(m->why, CODE_LIMIT, 0, "%u:%u: %s has %zu bytes, the most is %d", v->line, v->column,
                    name, v->text.len, NODES_TEXT_MAX);
    *out = arena_text(&m->file->arena, v->text);
    return *out ? CODE_OK : FAIL(m->why, CODE_NOMEM, 0, "no memory for the published nodes");
}

/* "one of A, B or C". */
static const char *word_list(const char *const *words, char *out, size_t cap)
{
    size_t n = (size_t)snprintf(out, cap, "one of");
    for (size_t i = 0; words[i] && n < cap; i++)
        if (words[i][0])
            n += (size_t)snprintf(out + n, cap - n, "%s %s", n > 6 ? "," : "", words[i]);
    return out;
}

static enum code store_word(struct making *m, const struct field *f, const struct jtree *v, void *at)
{
    char list[160];
    int w = v->kind == JTREE_TEXT ? nodes_word(f->words, v->text) : -1;
    if (w < 0)
        return wrong(m, v, f->name, word_list(f->words, list, sizeof list));
    if (f->kind == WORD)
        *(uint8_t *)at = (uint8_t)w;
    else if (f->kind == QOS)
        *(int64_t *)at = w;
    else
        *(unsigned *)at = (unsigned)w; /* an enum */
    return CODE_OK;
}

static enum code store_number(struct making *m, const struct field *f, const struct jtree *v, void *at)
{
    int64_t n;
    if (!number_of(v, &n))
        return wrong(m, v, f->name, f->kind == SECONDS ? "a number of seconds" : "a number");
    if (f->kind == SECONDS)
        n *= 1000;
    *(int64_t *)at = n;
    return CODE_OK;
}

static enum code store_span(struct making *m, const struct field *f, const struct jtree *v, void *at)
{
    int64_t ms;
    if (v->kind == JTREE_TEXT && nodes_timespan(v->text, &ms)) {
        *(int64_t *)at = ms;
        return CODE_OK;
    }
    return wrong(m, v, f->name, "a time as \"hh:mm:ss.fff\" or \"d.hh:mm:ss\"");
}

static enum code store_real(struct making *m, const struct field *f, const struct jtree *v, void *at)
{
    char text[64], *end = text;
    if (v->kind == JTREE_NUMBER && v->text.len < sizeof text) {
        memcpy(text, v->text.at, v->text.len);
        text[v->text.len] = 0;
        *(double *)at = strtod(text, &end);
    }
    return end > text && !*end && isfinite(*(double *)at) ? CODE_OK : wrong(m, v, f->name, "a number");
}

static enum code store(struct making *m, const struct field *f, const struct jtree *v, void *base, bool *said)
{
    void *at = (char *)base + f->offset;
    switch (f->kind) {
    case TEXT:
    case SECRET: return text_of(m, v, f->name, at);
    case FLAG: return flag_of(v, at) ? CODE_OK : wrong(m, v, f->name, "true or false");
    case NUMBER:
    case SECONDS: return store_number(m, f, v, at);
    case SPAN: return store_span(m, f, v, at);
    case QOS:
        if (v->kind == JTREE_NUMBER)
            return store_number(m, f, v, at);
        return store_word(m, f, v, at);
    case WORD:
    case WORD_BIG: return store_word(m, f, v, at);
    case REAL: return store_real(m, f, v, at);
    case TREE: *(const struct jtree **)at = v; return CODE_OK;
    case NOT_HERE:
        if (!*said)
            note(m, v, "%s is not done here: %s", f->name, f->why);
        *said = true;
        return CODE_OK;
    case OURS:
    case MEANS_NOTHING: return CODE_OK;
    }
    return CODE_OK;
}

static uint64_t name_hash(struct bytes name)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (name.at[i] | 32)) * 1099511628211u;
    return h;
}

/* Said once. */
static void unknown(struct making *m, const struct jtree *v, const struct field *fields)
{
    const char *names[80], *near = NULL;
    char said[64];
    size_t n = 0;
    uint64_t hash = name_hash(v->name);
    for (uint32_t i = 0; i < m->unknown_count; i++)
        if (m->unknown[i] == hash)
            return;
    if (m->unknown_count < NODES_NOTES_MAX)
        m->unknown[m->unknown_count++] = hash;
    while (fields[n].name && n < 80) {
        names[n] = fields[n].name;
        n++;
    }
    near = suggest_word(v->name, names, n);
    note(m, v, "'%s' is no field that OPC Publisher has; it is kept and not used%s%s%s",
         bytes_escape(v->name, said, sizeof said), near ? ". Did you mean '" : "", near ? near : "",
         near ? "'?" : "");
}

/* Twice: the Timespans come last and so win. */
static enum code store_all(struct making *m, const struct field *fields, const struct jtree *map, void *base,
                           bool *said)
{
    enum code c = CODE_OK;
    for (int round = 0; round < 2; round++)
        for (const struct jtree *v = map->first; v && c == CODE_OK; v = v->next) {
            const struct field *f = fields;
            while (f->name && !jtree_is(v->name, f->name))
                f++;
            if (!f->name && round == 0)
                unknown(m, v, fields);
            if (f->name && v->kind != JTREE_NULL && (f->kind == SPAN) == (round == 1))
                c = store(m, f, v, base, &said[f - fields]);
        }
    return c;
}

/* ---- a node ---- */

static enum code range(struct making *m, const struct jtree *map, const char *name, int64_t v, int64_t min,
                       int64_t max)
{
    const struct jtree *at = jtree_get(map, name);
    if (v == NODES_UNSET || (v >= min && v <= max))
        return CODE_OK;
    at = at ? at : map;
    return FAIL(m->why, CODE_LIMIT, (uint64_t)at->line * 65536 + (at->column & 65535),
                "%u:%u: %s must be from %lld to %lld, got %lld", at->line, at->column, name, (long long)min,
                (long long)max, (long long)v);
}

enum { DAY_MS = 86400000 };

static enum code check_node(struct making *m, const struct nodes_node *n)
{
    enum code c = range(m, n->tree, "OpcSamplingInterval", n->sampling_ms, -1, DAY_MS);
    if (c == CODE_OK)
        c = range(m, n->tree, "OpcPublishingInterval", n->publishing_ms, 0, DAY_MS);
    if (c == CODE_OK)
        c = range(m, n->tree, "HeartbeatInterval", n->heartbeat_ms, 0, DAY_MS);
    if (c == CODE_OK)
        c = range(m, n->tree, "CyclicReadMaxAge", n->max_age_ms, 0, DAY_MS);
    if (c == CODE_OK)
        c = range(m, n->tree, "QueueSize", n->queue_size, 0, 1000000);
    if (c == CODE_OK)
        c = range(m, n->tree, "QualityOfService", n->qos, 0, 2);
    if (c == CODE_OK)
        c = range(m, n->tree, "AttributeId", n->attribute, 1, 22);
    return c;
}

static enum code make_node(struct making *m, const struct jtree *tree, struct nodes_node *n)
{
    const struct jtree *id = jtree_get(tree, "Id"), *expanded = jtree_get(tree, "ExpandedNodeId");
    *n = (struct nodes_node){.tree = tree,
                             .sampling_ms = NODES_UNSET,
                             .publishing_ms = NODES_UNSET,
                             .heartbeat_ms = NODES_UNSET,
                             .queue_size = NODES_UNSET,
                             .attribute = NODES_UNSET,
                             .qos = NODES_UNSET,
                             .retain = NODES_UNSET,
                             .ttl_ms = NODES_UNSET,
                             .skip_first = -1,
                             .discard_new = -1,
                             .fetch_name = -1,
                             .register_node = -1,
                             .cyclic = -1,
                             .max_age_ms = NODES_UNSET,
                             .name = "",
                             .field_id = "",
                             .index_range = "",
                             .topic = ""};
    if (tree->kind != JTREE_MAP)
        return wrong(m, tree, "a node", "an object { \"Id\": ... }");
    if (!id || id->kind == JTREE_NULL)
        id = expanded;
    const struct jtree *path = jtree_get(tree, "BrowsePath");
    bool from_root = (!id || id->kind == JTREE_NULL) && path && path->kind == JTREE_LIST;
    if (!from_root && (!id || id->kind != JTREE_TEXT || !id->text.len))
        return wrong(m, id ? id : tree, "Id",
                     "a node such as \"ns=2;s=Temperature\" or \"nsu=http://...;s=Temperature\"");
    enum code c = CODE_OK;
    n->id = "i=84"; /* Root */
    if (!from_root)
        c = text_of(m, id, "Id", &n->id);
    if (c == CODE_OK && !from_root && id == expanded)
        n->expanded_id = n->id;
    if (c == CODE_OK)
        c = store_all(m, node_fields, tree, n, m->node_said);
    if (c == CODE_OK && n->browse_path) {
        struct target_step *steps;
        uint32_t count;
        c = target_parse(&steps, &count, n->browse_path, &m->file->arena, m->why);
    }
    return c == CODE_OK ? check_node(m, n) : c;
}

/* ---- an entry ---- */

static enum code read_security(struct making *m, const struct jtree *tree, struct nodes_entry *e)
{
    char list[160];
    const struct jtree *use = jtree_get(tree, "UseSecurity"), *mode = jtree_get(tree, "EndpointSecurityMode");
    int8_t secure = -1;
    if (use && use->kind != JTREE_NULL && !flag_of(use, &secure))
        return wrong(m, use, "UseSecurity", "true or false");
    if (secure < 0)
        secure = m->old;
    e->security = secure ? NODES_BEST : NODES_NONE;
    if (!mode || mode->kind == JTREE_NULL)
        return CODE_OK;
    int w = mode->kind == JTREE_TEXT ? nodes_word(security_words, mode->text) : -1;
    if (w < 0)
        return wrong(m, mode, "EndpointSecurityMode", word_list(security_words, list, sizeof list));
    e->security = (enum nodes_security)w;
    return CODE_OK;
}

static enum code read_encoding(struct making *m, const struct jtree *tree, struct nodes_entry *e)
{
    const struct jtree *v = jtree_get(tree, "MessageEncoding");
    if (!v || v->kind == JTREE_NULL)
        return CODE_OK;
    char said[64];
    int w = v->kind == JTREE_TEXT ? nodes_word(nodes_encoding_words, v->text) : -1;
    if (v->kind != JTREE_TEXT)
        return wrong(m, v, "MessageEncoding", "a text");
    if (w < 0 && !m->encoding_said)
        note(m, v, "MessageEncoding %s is not written here: JSON is, as with Json",
             bytes_escape(v->text, said, sizeof said));
    m->encoding_said = m->encoding_said || w < 0;
    e->encoding = (uint8_t)(w < 0 ? NODES_JSON : w);
    return CODE_OK;
}

static enum code read_retain(struct making *m, const struct jtree *tree, struct nodes_entry *e)
{
    int8_t flag;
    const struct jtree *v = jtree_get(tree, "MessageRetention");
    v = v ? v : jtree_get(tree, "WriterGroupMessageRetention");
    if (!v || v->kind == JTREE_NULL)
        return CODE_OK;
    if (!flag_of(v, &flag))
        return wrong(m, v, "MessageRetention", "true or false");
    e->retain = flag;
    return CODE_OK;
}

static enum code check_entry(struct making *m, const struct nodes_entry *e)
{
    const struct {
        const char *name;
        int64_t v, min, max;
    } rows[] = {{"DataSetPublishingInterval", e->publishing_ms, 0, DAY_MS},
                {"DataSetSamplingInterval", e->sampling_ms, -1, DAY_MS},
                {"BatchSize", e->batch_size, 0, 100000},
                {"BatchTriggerInterval", e->batch_ms, 0, DAY_MS},
                {"DataSetKeyFrameCount", e->key_frames, 0, 1000000},
                {"MetaDataUpdateTime", e->metadata_ms, 0, (int64_t)365 * DAY_MS},
                {"DefaultHeartbeatInterval", e->heartbeat_ms, 0, DAY_MS},
                {"QualityOfService", e->qos, 0, 2},
                {"MessageTtlTimespan", e->ttl_ms, 0, (int64_t)365 * DAY_MS},
                {"MaxKeepAliveCount", e->max_keep_alive, 0, 1000000},
                {"Priority", e->priority, 0, 255}};
    enum code c = CODE_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && c == CODE_OK; i++)
        c = range(m, e->tree, rows[i].name, rows[i].v, rows[i].min, rows[i].max);
    return c;
}

static enum code room_for(struct making *m, const struct jtree *at, struct nodes_entry *e, uint32_t n)
{
    if (m->file->node_count + (uint64_t)n > NODES_NODES_MAX)
        return FAIL(m->why, CODE_LIMIT, 0, "%u:%u: more than %d nodes in one file", at->line, at->column,
                    NODES_NODES_MAX);
    e->nodes = arena_zero(&m->file->arena, ((size_t)n + 1) * sizeof *e->nodes);
    return e->nodes ? CODE_OK : FAIL(m->why, CODE_NOMEM, 0, "no memory for the published nodes");
}

/* The oldest form: { "EndpointUrl": ..., "NodeId": { "Identifier": "ns=2;s=x" } }. */
static enum code read_single(struct making *m, const struct jtree *v, struct nodes_entry *e)
{
    const struct jtree *id = v->kind == JTREE_MAP ? jtree_get(v, "Identifier") : v;
    enum code c = room_for(m, v, e, 1);
    if (c != CODE_OK)
        return c;
    if (!id || id->kind != JTREE_TEXT || !id->text.len)
        return wrong(m, v, "NodeId", "{ \"Identifier\": \"ns=2;s=Temperature\" }");
    struct jtree *node = jtree_new(&m->file->arena, JTREE_MAP),
                 *text = jtree_new_text(&m->file->arena, id->text);
    if (!node || !text)
        return FAIL(m->why, CODE_NOMEM, 0, "no memory for the published nodes");
    jtree_set(node, BYTES_LIT("Id"), text);
    node->line = id->line;
    node->column = id->column;
    c = make_node(m, node, &e->nodes[0]);
    e->node_count = c == CODE_OK;
    return c;
}

static bool left_out(const struct nodes_node *n)
{
    return jtree_get(n->tree, "EventFilter") || jtree_get(n->tree, "ConditionHandling") ||
           jtree_get(n->tree, "ModelChangeHandling");
}

static enum code read_nodes(struct making *m, const struct jtree *tree, struct nodes_entry *e)
{
    const struct jtree *list = jtree_get(tree, "OpcNodes"), *single = jtree_get(tree, "NodeId");
    if (single && single->kind != JTREE_NULL && (!list || list->kind == JTREE_NULL))
        return read_single(m, single, e);
    if (!list || list->kind == JTREE_NULL)
        return CODE_OK;
    if (list->kind != JTREE_LIST)
        return wrong(m, list, "OpcNodes", "a list of nodes");
    enum code c = room_for(m, list, e, list->count);
    for (const struct jtree *n = list->first; n && c == CODE_OK; n = n->next) {
        c = make_node(m, n, &e->nodes[e->node_count]);
        e->node_count += c == CODE_OK && !left_out(&e->nodes[e->node_count]);
    }
    return c;
}

static enum code make_entry(struct making *m, const struct jtree *tree, struct nodes_entry *e)
{
    *e = (struct nodes_entry){.tree = tree,
                              .group = "",
                              .writer = "",
                              .dataset = "",
                              .class_id = "",
                              .description = "",
                              .publisher_id = "",
                              .topic = "",
                              .metadata_topic = "",
                              .user = "",
                              .password = "",
                              .policy = "",
                              .publishing_ms = NODES_UNSET,
                              .sampling_ms = NODES_UNSET,
                              .batch_size = NODES_UNSET,
                              .batch_ms = NODES_UNSET,
                              .key_frames = NODES_UNSET,
                              .metadata_ms = NODES_UNSET,
                              .heartbeat_ms = NODES_UNSET,
                              .qos = NODES_UNSET,
                              .retain = NODES_UNSET,
                              .ttl_ms = NODES_UNSET,
                              .max_keep_alive = NODES_UNSET,
                              .priority = NODES_UNSET,
                              .fetch_names = -1,
                              .keep_alives = -1};
    if (tree->kind != JTREE_MAP)
        return wrong(m, tree, "an entry", "an object { \"EndpointUrl\": ..., \"OpcNodes\": [...] }");
    const struct jtree *url = jtree_get(tree, "EndpointUrl");
    if (!url || url->kind != JTREE_TEXT || !(url->text.len > 10 && bytes_starts(url->text, "opc.tcp://")))
        return wrong(m, url ? url : tree, "EndpointUrl",
                     "the server's address, such as opc.tcp://10.0.4.20:4840");
    enum code c = text_of(m, url, "EndpointUrl", &e->endpoint);
    if (c == CODE_OK)
        c = read_security(m, tree, e);
    if (c == CODE_OK)
        c = read_encoding(m, tree, e);
    if (c == CODE_OK)
        c = read_retain(m, tree, e);
    if (c == CODE_OK)
        c = store_all(m, entry_fields, tree, e, m->entry_said);
    if (c == CODE_OK)
        c = check_entry(m, e);
    if (c == CODE_OK)
        c = read_nodes(m, tree, e);
    m->file->node_count += e->node_count;
    return c;
}

static enum code make(struct making *m)
{
    struct nodes_file *f = m->file;
    struct jtree *tree = f->tree;
    if (tree->kind != JTREE_LIST)
        return wrong(m, tree, "the file", "a list of entries: [ { \"EndpointUrl\": ... } ]");
    if (tree->count > NODES_ENTRIES_MAX)
        return FAIL(m->why, CODE_LIMIT, 0, "1:1: %u entries, the most is %d", tree->count, NODES_ENTRIES_MAX);
    f->entries = arena_zero(&f->arena, ((size_t)tree->count + 1) * sizeof *f->entries);
    if (!f->entries)
        return FAIL(m->why, CODE_NOMEM, 0, "no memory for the published nodes");
    enum code c = CODE_OK;
    for (const struct jtree *e = tree->first; e && c == CODE_OK; e = e->next) {
        c = make_entry(m, e, &f->entries[f->entry_count]);
        f->entry_count += c == CODE_OK;
    }
    return c;
}

/* ---- the file ---- */

enum { ARENA_MAX = 1 << 30 };

static struct nodes_file *file_new(struct fault *why)
{
    struct nodes_file *f = mem_zalloc(1, sizeof *f);
    if (f)
        arena_init(&f->arena, NULL, 0, ARENA_MAX);
    else
        (void)FAIL(why, CODE_NOMEM, 0, "no memory for the published nodes");
    return f;
}

static enum code finish(struct nodes_file **out, struct nodes_file *f, enum code c, bool old,
                        struct fault *why)
{
    if (c == CODE_OK)
        c = make(&(struct making){.file = f, .why = why, .old = old});
    if (c == CODE_OK)
        *out = f;
    else
        nodes_file_free(f);
    return c;
}

static bool blank(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] != ' ' && text.at[i] != '\n' && text.at[i] != '\r' && text.at[i] != '\t')
            return false;
    return true;
}

enum code nodes_file_parse(struct nodes_file **out, struct bytes text, bool old, struct fault *why)
{
    struct fault own;
    why = why ? why : &own;
    if (text.len > NODES_FILE_BYTES)
        return FAIL(why, CODE_LIMIT, 0, "1:1: the file has %zu bytes, the most is %d", text.len,
                    NODES_FILE_BYTES);
    struct nodes_file *f = file_new(why);
    if (!f)
        return CODE_NOMEM;
    if (blank(text))
        text = BYTES_LIT("[]");
    char *copy = arena_text(&f->arena, text);
    enum code c = copy ? jtree_parse(&f->tree, &f->arena, bytes_of(copy, text.len), why)
                       : FAIL(why, CODE_NOMEM, 0, "no memory for the published nodes");
    return finish(out, f, c, old, why);
}

enum code nodes_file_from(struct nodes_file **out, const struct jtree *tree, bool old, struct fault *why)
{
    struct fault own;
    why = why ? why : &own;
    struct nodes_file *f = file_new(why);
    if (!f)
        return CODE_NOMEM;
    f->tree = jtree_copy(&f->arena, tree);
    enum code c = f->tree ? CODE_OK : FAIL(why, CODE_NOMEM, 0, "no memory for the published nodes");
    return finish(out, f, c, old, why);
}

enum code nodes_file_load(struct nodes_file **out, const struct io *io, const char *path, bool old,
                          struct fault *why)
{
    char *text;
    size_t len;
    struct fault inner;
    struct io_stat st;
    if (io->stat(io->self, path, &st) == -ENOENT)
        return FAIL(why, CODE_NOTFOUND, 0, "there is no %s", path);
    enum code c = io_load(io, path, NODES_FILE_BYTES, &text, &len, why);
    if (c != CODE_OK)
        return c;
    c = nodes_file_parse(out, bytes_of(text, len), old, &inner);
    mem_free(text);
    return c == CODE_OK ? c : fault_set(why, c, 0, inner.at, FG_HERE, "%s:%s", path, inner.text);
}

enum code nodes_file_save(const struct nodes_file *f, const struct io *io, const char *path,
                          struct fault *why)
{
    struct buf text = {0};
    const char *slash = strrchr(path, '/');
    char dir[1024] = ".";
    if (slash)
        (void)snprintf(dir, sizeof dir, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    jtree_write(&text, f->tree, 2);
    buf_u8(&text, '\n');
    enum code c = text.bad ? FAIL(why, CODE_NOMEM, 0, "no memory to write %s", path)
                           : io_replace(io, dir, slash ? slash + 1 : path, buf_bytes(&text), why);
    buf_clear(&text);
    return c;
}

void nodes_file_free(struct nodes_file *f)
{
    if (!f)
        return;
    arena_clear(&f->arena);
    mem_free(f);
}
