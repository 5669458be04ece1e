/* verb_opcua_publish.c - `fieldgate opcua publish` and `list`: what the running node reads of OPC UA servers. */
#include "base/mem.h"
#include "cli/ask.h"
#include "cli/opcua_tree.h"
#include "cli/opcua_verbs.h"

#include "opcua/ids.h"
#include "opcua/text.h"

#include <fnmatch.h>
#include <inttypes.h>

enum { PATTERNS_MAX = 100, DEEP = 20 };

struct publish_flags {
    struct opcua_target target;
    uint64_t interval_us, sampling_us;
    uint32_t max;
    bool     remove, dry_run;
};

/* ---- which nodes ---- */

/* `*` and `?` stay within a name, `**` stands for any number of names. No deeper than the pattern has names. */
static bool path_matches(const char *pattern, const char *path)
{
    size_t n = strcspn(pattern, "/"), m = strcspn(path, "/");
    const char *more = pattern[n] ? pattern + n + 1 : NULL, *rest = path[m] ? path + m + 1 : NULL;
    if (n == 2 && !strncmp(pattern, "**", 2)) {
        for (const char *at = path; more && at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL)
            if (path_matches(more, at))
                return true;
        return !more;
    }
    char one[256], name[256];
    if (n >= sizeof one || m >= sizeof name)
        return false;
    (void)snprintf(one, sizeof one, "%.*s", (int)n, pattern);
    (void)snprintf(name, sizeof name, "%.*s", (int)m, path);
    if (fnmatch(one, name, 0) != 0)
        return false;
    return more && rest ? path_matches(more, rest) : !more && !rest;
}

static bool wanted(const struct verb_call *call, const char *path, const char *node)
{
    for (size_t i = 1; i < call->options->args.count; i++) {
        const char *p = call->options->args.at[i];
        if (!strcmp(p, node) || path_matches(p, path))
            return true;
    }
    return false;
}

/* With the namespace's address, which stays when its number changes. */
static void put_id(struct opcua_session *s, const struct ua_node_id *node, struct buf *out)
{
    struct ua_expanded_node_id id = { .id = *node };
    if (node->ns)
        id.uri = ua_client_namespace(s->client, node->ns);
    ua_expanded_format(out, &id);
}

struct picked {
    struct buf json;
    unsigned count;
};

static void pick(const struct opcua_tree *t, const struct publish_flags *g, struct picked *p)
{
    for (uint32_t i = 0; i < t->count; i++) {
        struct buf path = { 0 }, id = { 0 };
        const struct opcua_item *item = &t->items[i];
        opcua_tree_path(t, item, &path);
        buf_u8(&path, 0);
        if (item->node_class == UA_CLASS_VARIABLE && !path.bad && wanted(t->s->call, (const char *)path.at, (const char *)item->key.at)) {
            put_id(t->s, &item->node, &id);
            buf_printf(&p->json, "%s{\"Id\":", p->count++ ? "," : "");
            buf_json(&p->json, buf_bytes(&id));
            if (!g->remove)
                buf_printf(&p->json, ",\"OpcPublishingInterval\":%" PRIu64 ",\"OpcSamplingInterval\":%" PRIu64, g->interval_us / 1000,
                           (options_given(t->s->call->options, "sampling") ? g->sampling_us : g->interval_us) / 1000);
            buf_u8(&p->json, '}');
            (void)fprintf(t->s->call->out, "%s  %.*s\n", (const char *)path.at, BYTES_FMT(buf_bytes(&id)));
        }
        buf_clear(&path);
        buf_clear(&id);
    }
}

static int tell_node(struct verb_call *call, const struct publish_flags *g, struct picked *p)
{
    struct buf body = { 0 };
    struct api_client node;
    struct fault why;
    buf_printf(&body, "{\"EndpointUrl\":");
    buf_json(&body, bytes_str(call->options->args.at[0]));
    buf_printf(&body, ",\"UseSecurity\":%s,\"OpcNodes\":[", g->target.policy == 1 || g->target.mode == 1 ? "false" : "true");
    buf_add_bytes(&body, buf_bytes(&p->json));
    buf_printf(&body, "]}");
    if (body.bad || p->json.bad) {
        (void)FAIL(&why, CODE_NOMEM, 0, "no memory for %u nodes", p->count);
        buf_clear(&body);
        return verb_fail(call, &why);
    }
    struct buf said = { 0 };
    int status = api_client_find(call, &g->target.config, &node);
    if (status == STATUS_DONE && api_client_post(&node, g->remove ? "/api/v1/opcua/UnpublishNodes" : "/api/v1/opcua/PublishNodes",
                                                 buf_bytes(&body), &said, &why) != CODE_OK)
        status = verb_fail(call, &why);
    buf_clear(&body);
    buf_clear(&said);
    if (status != STATUS_DONE)
        return status;
    (void)fprintf(call->out, "%u node%s %s\n", p->count, p->count == 1 ? " is" : "s are",
                  g->remove ? "read no more" : "read by the node: fieldgate opcua list");
    return STATUS_DONE;
}

static int run_publish(struct verb_call *call)
{
    const struct publish_flags *g = call->values;
    struct opcua_session s;
    struct opcua_tree tree;
    struct picked p = { 0 };
    struct ua_node_id start = UA_NS0(UA_ID_OBJECTS_FOLDER);
    int status = opcua_begin(&s, call, &g->target, call->options->args.at[0]);
    if (status != STATUS_DONE)
        return status;
    status = opcua_tree_grow(&tree, &s, &start, DEEP, g->max, false);
    if (status == STATUS_DONE)
        pick(&tree, g, &p);
    opcua_tree_clear(&tree);
    opcua_end(&s);
    if (status == STATUS_DONE && !p.count)
        status = verb_usage(call, "no variable matches; `fieldgate opcua browse` shows them. Press1/* is a folder's, Press1/** all below it");
    else if (status == STATUS_DONE && !g->dry_run)
        status = tell_node(call, g, &p);
    buf_clear(&p.json);
    return status;
}

/* ---- list ---- */

struct list_flags {
    struct config_flags config;
    enum output_format format;
};

static const struct column columns[] = {
    { "SERVER", "endpoint", COLUMN_TEXT }, { "STATE", "state", COLUMN_TEXT },    { "NODES", "nodes", COLUMN_NUMBER },
    { "GOOD", "good", COLUMN_NUMBER },     { "VALUES", "values", COLUMN_NUMBER }, { "TROUBLE", "trouble", COLUMN_TEXT },
};

static int print_servers(struct verb_call *call, const struct list_flags *g, const json_t *opcua)
{
    struct output o;
    size_t i;
    const json_t *s;
    output_open(&o, call->out, g->format, "servers", columns, sizeof columns / sizeof *columns);
    json_array_foreach(json_object_get(opcua, "servers"), i, s) {
        output_text(&o, bytes_str(member_text(s, "endpoint")));
        output_text(&o, bytes_str(member_text(s, "state")));
        output_count(&o, member_count(s, "nodes"));
        output_count(&o, member_count(s, "good"));
        output_count(&o, member_count(s, "values"));
        if (member_text(s, "trouble")[0])
            output_text(&o, bytes_str(member_text(s, "trouble")));
        else
            output_none(&o);
    }
    return output_close(&o) ? STATUS_FAILED : STATUS_DONE;
}

static int run_list(struct verb_call *call)
{
    const struct list_flags *g = call->values;
    struct answer answer;
    int status = ask_node(call, &g->config, "/api/v1/status", NULL, &answer);
    if (status != STATUS_DONE)
        return status;
    const json_t *opcua = json_object_get(answer.tree, "opcua");
    if (json_is_object(opcua)) {
        status = print_servers(call, g, opcua);
        if (g->format == OUTPUT_TABLE)
            (void)fprintf(call->err, "received %" PRIu64 " + repeated %" PRIu64 " = sent %" PRIu64 " + waiting %" PRIu64 " + left out by rules %" PRIu64
                          "; lost by servers %" PRIu64 "\n",
                          member_count(opcua, "received"), member_count(opcua, "repeated"), member_count(opcua, "sent"),
                          member_count(opcua, "waiting"),
                          member_count(opcua, "suppressed") + member_count(opcua, "skipped") + member_count(opcua, "replaced") +
                              member_count(opcua, "too-large"),
                          member_count(opcua, "lost"));
    } else {
        verb_warn(call, "this node reads no OPC UA server: opcua.published-nodes in its settings names the file of what to read");
        status = STATUS_WARNINGS;
    }
    answer_clear(&answer);
    return status;
}

/* ---- the verbs ---- */

static const struct flag publish_flags[] = {
    { 'i', "interval", FLAG_DURATION, FLAG_FIELD(struct publish_flags, interval_us), .value = "TIME", .min = 1000, .max = UINT64_C(3600000000),
      .def = "1s", .help = "how often the server sends what has changed" },
    { 0, "sampling", FLAG_DURATION, FLAG_FIELD(struct publish_flags, sampling_us), .value = "TIME", .max = UINT64_C(3600000000),
      .help = "how often it looks (default: --interval)" },
    { 0, "remove", FLAG_SWITCH, FLAG_FIELD(struct publish_flags, remove), .help = "read them no more" },
    { 'n', "dry-run", FLAG_SWITCH, FLAG_FIELD(struct publish_flags, dry_run), .help = "only print which they are" },
    { 0, "max", FLAG_COUNT, FLAG_FIELD(struct publish_flags, max), .value = "N", .min = 1, .max = 1000000, .def = "100000",
      .help = "how many of the server's nodes are looked at" },
    OPCUA_TARGET_FLAGS(struct publish_flags, target),
    FLAGS_END,
};
static const struct flag list_flags[] = { FLAG_OUTPUT(struct list_flags, format), CONFIG_FLAGS(struct list_flags, config), FLAGS_END };

const struct verb opcua_publish = {
    .name = "publish",
    .group = "field",
    .summary = "let the running node read nodes of a server",
    .detail = "NODE is a node as `opcua browse` shows it, or a path below Objects, in which * and ? stand for part of a name and ** for any\n"
              "names. The node writes them into its published-nodes file.",
    .examples = { "fieldgate opcua publish opc.tcp://10.0.4.20:4840 'Machines/**'",
                  "fieldgate opcua publish opc.tcp://10.0.4.20:4840 'Press1/Temp*' --interval 500ms",
                  "fieldgate opcua publish opc.tcp://10.0.4.20:4840 'ns=2;s=Humidity' --remove" },
    .args = "URL NODE...",
    .args_min = 2,
    .args_max = PATTERNS_MAX,
    .flags = publish_flags,
    .values_size = sizeof(struct publish_flags),
    .run = run_publish,
};
const struct verb opcua_list = {
    .name = "list",
    .group = "field",
    .summary = "the OPC UA servers that the running node reads, and how it goes",
    .examples = { "fieldgate opcua list", "fieldgate opcua list -o json", "fieldgate opcua list --data ./data" },
    .flags = list_flags,
    .values_size = sizeof(struct list_flags),
    .run = run_list,
};
