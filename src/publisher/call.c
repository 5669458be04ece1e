/* call.c - methods of OPC Publisher: JSON in, JSON out. Changes are made in a copy of the file's tree, which is read as a file is, written back,
 * and then holds. */
#include "publisher/publisher_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>

enum {
    REQUEST_BYTES = 4 << 20,
    ARENA_BYTES = 256 << 20,
    GOOD = 200,
    BAD_REQUEST = 400,
    NOT_FOUND = 404,
    NOT_ALLOWED = 405,
    CONFLICT = 409,
    TOO_LARGE = 413,
    FAILED = 500
};

struct call {
    struct publisher *p;
    struct arena arena;
    struct jtree *request; /* NULL: none */
    struct jtree *tree;    /* of the file, a copy, to be changed */
    struct buf *out;
    char said[300];
};

static int refuse(struct call *c, int status, const char *text)
{
    buf_printf(c->out, "{\"statusCode\":%d,\"message\":", status);
    buf_json(c->out, bytes_str(text));
    buf_printf(c->out, "}");
    return status;
}

/* ---- on the loop ---- */

static enum code copy_tree(struct publisher *p, void *arg, struct fault *why)
{
    struct call *c = arg;
    (void)why;
    c->tree = p->file ? jtree_copy(&c->arena, p->file->tree) : jtree_new(&c->arena, JTREE_LIST);
    return CODE_OK;
}

/* What somebody has written meanwhile is not written over: it is read first, and a file with an error is left to him. */
static enum code refresh(struct publisher *p, void *arg, struct fault *why)
{
    (void)arg;
    enum code c = p->unsaved ? CODE_OK : pub_reload(p, why);
    return c == CODE_NOTFOUND ? CODE_OK : c;
}

static enum code take(struct publisher *p, void *file, struct fault *why)
{
    return pub_take_file(p, file, why);
}

/* A file that cannot be written is no reason to refuse: it holds until the node ends, and that is said. */
static int bring_about(struct call *c)
{
    struct nodes_file *f = NULL;
    struct fault why;
    struct publisher *p = c->p;
    if (nodes_file_from(&f, c->tree, p->options.old, &why) != CODE_OK)
        return refuse(c, BAD_REQUEST, why.text);
    p->unsaved = nodes_file_save(f, p->config.io, p->nodes_path, &why) != CODE_OK;
    if (p->unsaved)
        log_warn("opcua", "FG5266 %s cannot be written: %s. What was asked for holds until the node ends",
                 p->nodes_path, why.text);
    if (pub_run_there(p, take, f, &why) != CODE_OK)
        return refuse(c, FAILED, why.text);
    return GOOD;
}

/* ---- entries ---- */

static struct bytes text_of(const struct jtree *map, const char *name)
{
    const struct jtree *v = jtree_get(map, name);
    return v && (v->kind == JTREE_TEXT || v->kind == JTREE_NUMBER) ? v->text : BYTES_NONE;
}

static bool same_text(const struct jtree *a, const struct jtree *b, const char *name)
{
    return bytes_equal(text_of(a, name), text_of(b, name));
}

static bool same_endpoint(struct bytes a, struct bytes b)
{
    char text[NODES_TEXT_MAX + 1];
    while (a.len && a.at[a.len - 1] == '/')
        a.len--;
    while (b.len && b.at[b.len - 1] == '/')
        b.len--;
    if (b.len > NODES_TEXT_MAX || !b.len)
        return false;
    memcpy(text, b.at, b.len);
    text[b.len] = 0;
    return jtree_is(a, text);
}

/* The same writer of the same server and user. */
static bool same_entry(const struct jtree *a, const struct jtree *b)
{
    return same_endpoint(text_of(a, "EndpointUrl"), text_of(b, "EndpointUrl")) &&
           same_text(a, b, "DataSetWriterGroup") && same_text(a, b, "DataSetWriterId") &&
           same_text(a, b, "DataSetName") && same_text(a, b, "OpcAuthenticationUsername") &&
           same_text(a, b, "DataSetPublishingInterval");
}

static struct jtree *find_entry(const struct call *c, const struct jtree *like)
{
    for (struct jtree *e = c->tree->first; e; e = e->next)
        if (same_entry(e, like))
            return e;
    return NULL;
}

static struct bytes id_of(const struct jtree *node)
{
    struct bytes id = text_of(node, "Id");
    return id.len ? id : text_of(node, "ExpandedNodeId");
}

static struct jtree *find_node(const struct jtree *nodes, const struct jtree *like)
{
    for (struct jtree *n = nodes ? nodes->first : NULL; n; n = n->next)
        if (bytes_equal(id_of(n), id_of(like)) && same_text(n, like, "DataSetFieldId") &&
            same_text(n, like, "IndexRange") && same_text(n, like, "AttributeId"))
            return n;
    return NULL;
}

static const struct jtree *nodes_of(const struct jtree *map)
{
    const struct jtree *n = jtree_get(map, "OpcNodes");
    return n && n->kind == JTREE_LIST ? n : NULL;
}

/* Names as they are in files: PascalCase, whatever was sent. */
static struct jtree *own_copy(struct call *c, const struct jtree *from)
{
    return jtree_copy(&c->arena, from);
}

static bool add_nodes(struct call *c, struct jtree *entry, const struct jtree *nodes)
{
    struct jtree *list = jtree_get(entry, "OpcNodes");
    if (!list || list->kind != JTREE_LIST) {
        list = jtree_new(&c->arena, JTREE_LIST);
        if (!list)
            return false;
        jtree_set(entry, BYTES_LIT("OpcNodes"), list);
    }
    for (const struct jtree *n = nodes ? nodes->first : NULL; n; n = n->next) {
        struct jtree *copy = own_copy(c, n), *old = find_node(list, n);
        if (!copy)
            return false;
        if (old)
            jtree_drop(list, old);
        jtree_add(list, copy);
    }
    return true;
}

static void remove_nodes(struct jtree *entry, const struct jtree *nodes, size_t *found)
{
    struct jtree *list = jtree_get(entry, "OpcNodes");
    for (const struct jtree *n = nodes->first; n && list; n = n->next) {
        struct jtree *old = find_node(list, n);
        if (old)
            jtree_drop(list, old);
        *found += old != NULL;
    }
}

static bool empty(const struct jtree *entry)
{
    const struct jtree *list = jtree_get(entry, "OpcNodes");
    return !jtree_get(entry, "NodeId") && (!list || !list->first);
}

/* ---- changes ---- */

static int need_endpoint(struct call *c)
{
    if (c->request && c->request->kind == JTREE_MAP && text_of(c->request, "EndpointUrl").len)
        return 0;
    return refuse(c, BAD_REQUEST, "the request must have an EndpointUrl");
}

static bool old_name(struct jtree *entry, const char *from, const char *to)
{
    struct jtree *v = jtree_get(entry, from);
    if (v && !jtree_get(entry, to))
        v->name = bytes_str(to);
    return v;
}

static int no_memory(struct call *c)
{
    return refuse(c, FAILED, "no memory for the published nodes");
}

/* Answers of the old generation are a list of sentences, those of the new one {}. */
static int answer(struct call *c, int status, const char *what)
{
    const struct jtree *nodes = nodes_of(c->request);
    if (status != GOOD)
        return status;
    if (!c->p->options.old) {
        buf_printf(c->out, "{}");
        return GOOD;
    }
    buf_printf(c->out, "[");
    for (const struct jtree *n = nodes ? nodes->first : NULL; n; n = n->next) {
        struct bytes id = id_of(n);
        (void)snprintf(c->said, sizeof c->said, "'%.*s': %s", id.len < 200 ? (int)id.len : 200,
                       (const char *)id.at, what);
        if (n != nodes->first)
            buf_printf(c->out, ",");
        buf_json(c->out, bytes_str(c->said));
    }
    buf_printf(c->out, "]");
    return GOOD;
}

static int publish_nodes(struct call *c)
{
    int bad = need_endpoint(c);
    if (bad)
        return bad;
    const struct jtree *nodes = nodes_of(c->request);
    if (!nodes || !nodes->first)
        return refuse(c, BAD_REQUEST, "the request must have OpcNodes with at least one node");
    struct jtree *entry = find_entry(c, c->request);
    if (!entry) {
        entry = own_copy(c, c->request);
        if (!entry)
            return no_memory(c);
        (void)old_name(entry, "UserName", "OpcAuthenticationUsername");
        (void)old_name(entry, "Password", "OpcAuthenticationPassword");
        jtree_add(c->tree, entry);
    } else if (!add_nodes(c, entry, nodes)) {
        return no_memory(c);
    }
    return answer(c, bring_about(c), "added");
}

static void drop_entries(struct call *c, bool (*same)(const struct jtree *, const struct jtree *),
                         size_t *found)
{
    for (struct jtree *e = c->tree->first, *next; e; e = next) {
        next = e->next;
        if (same(e, c->request)) {
            jtree_drop(c->tree, e);
            ++*found;
        }
    }
}

static bool of_endpoint(const struct jtree *e, const struct jtree *request)
{
    return same_endpoint(text_of(e, "EndpointUrl"), text_of(request, "EndpointUrl"));
}

static int unpublish_nodes(struct call *c)
{
    int bad = need_endpoint(c);
    size_t found = 0;
    if (bad)
        return bad;
    const struct jtree *nodes = nodes_of(c->request);
    if (!nodes || !nodes->first)
        drop_entries(c, of_endpoint, &found);
    else
        for (struct jtree *e = c->tree->first, *next; e; e = next) {
            next = e->next;
            if (!of_endpoint(e, c->request))
                continue;
            remove_nodes(e, nodes, &found);
            if (empty(e))
                jtree_drop(c->tree, e);
        }
    if (!found)
        return refuse(c, NOT_FOUND, "none of that is published");
    return answer(c, bring_about(c), "removed");
}

static bool any(const struct jtree *e, const struct jtree *request)
{
    (void)e;
    (void)request;
    return true;
}

static int unpublish_all(struct call *c)
{
    size_t found = 0;
    bool one = text_of(c->request, "EndpointUrl").len;
    drop_entries(c, one ? of_endpoint : any, &found);
    if (one && !found)
        return refuse(c, NOT_FOUND, "nothing of that endpoint is published");
    return answer(c, bring_about(c), "removed");
}

static int put_entries(struct call *c, const struct jtree *list)
{
    if (!list || list->kind != JTREE_LIST)
        return refuse(c, BAD_REQUEST, "the request must be a list of entries");
    for (const struct jtree *e = list->first; e; e = e->next) {
        struct jtree *old = find_entry(c, e), *copy = own_copy(c, e);
        if (!copy)
            return no_memory(c);
        if (old)
            jtree_drop(c->tree, old);
        else if (empty(copy))
            return refuse(c, NOT_FOUND,
                          "an entry without nodes removes the one that is there, and there is none");
        if (!empty(copy))
            jtree_add(c->tree, copy);
    }
    return answer(c, bring_about(c), "");
}

static int add_or_update(struct call *c)
{
    return put_entries(c, c->request);
}

static int set_endpoints(struct call *c)
{
    const struct jtree *list = c->request && c->request->kind == JTREE_MAP
                                   ? jtree_get(c->request, "Endpoints")
                                   : c->request;
    c->tree = jtree_new(&c->arena, JTREE_LIST);
    return c->tree ? put_entries(c, list ? list : c->tree) : no_memory(c);
}

/* ---- questions ---- */

/* "EndpointUrl" -> "endpointUrl", as the new generation answers. */
static void put_name(struct call *c, struct bytes name)
{
    uint8_t first = name.len ? name.at[0] : 0;
    bool lower = !c->p->options.old && first >= 'A' && first <= 'Z';
    buf_printf(c->out, "\"");
    if (lower)
        buf_u8(c->out, first | 32);
    struct buf rest = {0};
    buf_json(&rest, bytes_from(name, lower));
    if (buf_size(&rest) > 2)
        buf_add(c->out, rest.at + 1, buf_size(&rest) - 2);
    buf_clear(&rest);
    buf_printf(c->out, "\":");
}

/* Passwords stay here. */
static bool secret(struct bytes name)
{
    return jtree_is(name, "OpcAuthenticationPassword") || jtree_is(name, "Password") ||
           jtree_is(name, "EncryptedAuthPassword");
}

static void put_value(struct call *c, const struct jtree *v);

static void put_map(struct call *c, const struct jtree *map, const char *without)
{
    bool first = true;
    buf_printf(c->out, "{");
    for (const struct jtree *f = map->first; f; f = f->next) {
        if (secret(f->name) || (without && jtree_is(f->name, without)))
            continue;
        if (!first)
            buf_printf(c->out, ",");
        first = false;
        put_name(c, f->name);
        put_value(c, f);
    }
    buf_printf(c->out, "}");
}

static void put_value(struct call *c, const struct jtree *v)
{
    if (v->kind == JTREE_MAP) {
        put_map(c, v, NULL);
    } else if (v->kind == JTREE_LIST) {
        buf_printf(c->out, "[");
        for (const struct jtree *f = v->first; f; f = f->next) {
            if (f != v->first)
                buf_printf(c->out, ",");
            put_value(c, f);
        }
        buf_printf(c->out, "]");
    } else {
        jtree_write(c->out, v, 0);
    }
}

static int get_endpoints(struct call *c)
{
    bool with_nodes = c->request && jtree_get(c->request, "IncludeNodes") &&
                      jtree_get(c->request, "IncludeNodes")->kind == JTREE_TRUE;
    buf_printf(c->out, "{");
    put_name(c, BYTES_LIT("Endpoints"));
    buf_printf(c->out, "[");
    for (const struct jtree *e = c->tree->first; e; e = e->next) {
        if (e != c->tree->first)
            buf_printf(c->out, ",");
        put_map(c, e, with_nodes ? NULL : "OpcNodes");
    }
    buf_printf(c->out, "]}");
    return GOOD;
}

static int get_nodes(struct call *c)
{
    int bad = need_endpoint(c);
    bool first = true, found = false;
    if (bad)
        return bad;
    buf_printf(c->out, "{");
    put_name(c, BYTES_LIT("EndpointUrl"));
    buf_json(c->out, text_of(c->request, "EndpointUrl"));
    buf_printf(c->out, ",");
    put_name(c, BYTES_LIT("OpcNodes"));
    buf_printf(c->out, "[");
    for (const struct jtree *e = c->tree->first; e; e = e->next) {
        if (!of_endpoint(e, c->request))
            continue;
        found = true;
        for (const struct jtree *n = nodes_of(e) ? nodes_of(e)->first : NULL; n; n = n->next) {
            buf_printf(c->out, first ? "" : ",");
            first = false;
            put_value(c, n);
        }
    }
    buf_printf(c->out, "]}");
    if (found)
        return GOOD;
    buf_reset(c->out);
    return refuse(c, NOT_FOUND, "nothing of that endpoint is published");
}

static void put_count(struct call *c, const char *name, uint64_t v)
{
    buf_printf(c->out, ",");
    put_name(c, bytes_str(name));
    buf_printf(c->out, "%llu", (unsigned long long)v);
}

static void put_when(struct call *c, const char *name, int64_t us)
{
    put_name(c, bytes_str(name));
    format_time(c->out, us ? ua_time_from_us(us) : 0, false);
}

static int diagnostics_old(struct call *c, const struct publisher_glance *g)
{
    const struct publisher_options *o = &c->p->options;
    buf_printf(c->out, "{");
    put_when(c, "PublisherStartTime", g->started_us);
    put_count(c, "NumberOfOpcSessionsConfigured", g->sessions);
    put_count(c, "NumberOfOpcSessionsConnected", g->sessions_up);
    put_count(c, "NumberOfOpcSubscriptionsConfigured", g->streams);
    put_count(c, "NumberOfOpcSubscriptionsConnected", g->streams_up);
    put_count(c, "NumberOfOpcMonitoredItemsConfigured", g->nodes);
    put_count(c, "NumberOfOpcMonitoredItemsMonitored", g->nodes_good);
    put_count(c, "NumberOfOpcMonitoredItemsToRemove", 0);
    put_count(c, "MonitoredItemsQueueCount", g->waiting);
    put_count(c, "EnqueueCount", g->received + g->repeated);
    put_count(c, "EnqueueFailureCount", 0);
    put_count(c, "NumberOfEvents", g->received);
    put_count(c, "SentMessages", g->messages);
    buf_printf(c->out, ",");
    put_when(c, "SentLastTime", g->sent_us);
    put_count(c, "SentBytes", g->bytes);
    put_count(c, "FailedMessages", g->refused);
    put_count(c, "TooLargeCount", g->too_large);
    put_count(c, "MissedSendIntervalCount", 0);
    put_count(c, "DefaultSendIntervalSeconds", (uint64_t)o->batch_ms / 1000);
    put_count(c, "HubMessageSize", (uint64_t)o->message_bytes);
    buf_printf(c->out, "}");
    return GOOD;
}

static void put_server(void *ctx, const struct publisher_server_glance *s)
{
    struct call *c = ctx;
    if (c->out->len && c->out->at[c->out->len - 1] == '}')
        buf_printf(c->out, ",");
    buf_printf(c->out, "{\"endpoint\":{\"endpointUrl\":");
    buf_json(c->out, bytes_str(s->endpoint));
    buf_printf(c->out, ",\"dataSetWriterGroup\":");
    buf_json(c->out, bytes_str(s->group));
    buf_printf(c->out, "},\"state\":");
    buf_json(c->out, bytes_str(s->state));
    buf_printf(c->out, ",\"trouble\":");
    buf_json(c->out, bytes_str(s->trouble));
    buf_printf(c->out,
               ",\"opcEndpointConnected\":%s,\"monitoredOpcNodesSucceededCount\":%llu,"
               "\"monitoredOpcNodesFailedCount\":%llu,\"ingressValueChanges\":%llu}",
               strcmp(s->state, "up") == 0 ? "true" : "false", (unsigned long long)s->good,
               (unsigned long long)(s->nodes - s->good), (unsigned long long)s->values);
}

struct node_rows {
    struct call *c;
    const char *between;
};

/* Nodes that give nothing, each with the reason. */
static enum code put_bad_nodes(struct publisher *p, void *arg, struct fault *why)
{
    struct call *c = arg;
    char scratch[16];
    const char *between = "";
    (void)why;
    for (const struct pub_session *s = p->sessions; s; s = s->next)
        for (const struct pub_stream *t = s->streams; t; t = t->next)
            for (const struct pub_item *i = t->items; i; i = i->next) {
                if (!ua_is_bad(i->status))
                    continue;
                buf_printf(c->out, "%s{\"endpointUrl\":", between);
                buf_json(c->out, bytes_str(s->endpoint));
                buf_printf(c->out, ",\"id\":");
                buf_json(c->out, bytes_str(i->text));
                buf_printf(c->out, ",\"status\":\"%s\"}", ua_status_text(i->status, scratch));
                between = ",";
            }
    return CODE_OK;
}

static int diagnostics_new(struct call *c, const struct publisher_glance *g)
{
    buf_printf(c->out, "{\"endpoints\":[");
    publisher_servers(c->p, put_server, c);
    buf_printf(c->out, "]");
    put_count(c, "ingressDataChanges", g->notifications);
    put_count(c, "ingressValueChanges", g->received);
    put_count(c, "heartbeatValues", g->repeated);
    put_count(c, "sentValues", g->sent);
    put_count(c, "waitingValues", g->waiting);
    put_count(c, "suppressedValues", g->suppressed);
    put_count(c, "skippedValues", g->skipped);
    put_count(c, "replacedValues", g->replaced);
    put_count(c, "encoderNotificationsDropped", g->too_large);
    put_count(c, "encoderIoTMessagesProcessed", g->messages);
    put_count(c, "outgressInputBufferDropped", 0);
    put_count(c, "outgressIoTMessageCount", g->messages);
    put_count(c, "encoderAvgIoTMessageBodySize", g->messages ? g->bytes / g->messages : 0);
    put_count(c, "monitoredOpcNodesSucceededCount", g->nodes_good);
    put_count(c, "monitoredOpcNodesFailedCount", g->nodes_bad);
    put_count(c, "acknowledgedNotifications", g->acknowledged);
    put_count(c, "serverQueueOverflows", g->overflows);
    buf_printf(c->out, ",\"badNodes\":[");
    (void)pub_run_there(c->p, put_bad_nodes, c, NULL);
    buf_printf(c->out, "]}");
    return GOOD;
}

static int diagnostics(struct call *c)
{
    struct publisher_glance g;
    publisher_glance(c->p, &g);
    return c->p->options.old ? diagnostics_old(c, &g) : diagnostics_new(c, &g);
}

static int info(struct call *c)
{
    struct utsname name;
    unsigned major = 0, minor = 0, patch = 0;
    const char *version = c->p->config.version;
    (void)sscanf(version, "%u.%u.%u", &major, &minor, &patch);
    if (uname(&name) != 0)
        (void)snprintf(name.machine, sizeof name.machine, "unknown");
    buf_printf(c->out, "{");
    put_name(c, BYTES_LIT("VersionMajor"));
    buf_printf(c->out, "%u", major);
    put_count(c, "VersionMinor", minor);
    put_count(c, "VersionPatch", patch);
    const char *const rows[][2] = {{"SemanticVersion", version},
                                   {"InformationalVersion", version},
                                   {"OS", "Linux"},
                                   {"OSArchitecture", name.machine},
                                   {"FrameworkDescription", "Fieldgate"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_printf(c->out, ",");
        put_name(c, bytes_str(rows[i][0]));
        buf_json(c->out, bytes_str(rows[i][1]));
    }
    buf_printf(c->out, "}");
    return GOOD;
}

/* ---- the door ---- */

static const struct {
    const char *name;
    int (*run)(struct call *);
    bool changes;
} methods[] = {
    {"PublishNodes", publish_nodes, true},
    {"UnpublishNodes", unpublish_nodes, true},
    {"UnpublishAllNodes", unpublish_all, true},
    {"AddOrUpdateEndpoints", add_or_update, true},
    {"SetConfiguredEndpoints", set_endpoints, true},
    {"GetConfiguredEndpoints", get_endpoints, false},
    {"GetConfiguredNodesOnEndpoint", get_nodes, false},
    {"GetDiagnosticInfo", diagnostics, false},
    {"GetInfo", info, false},
};

static int run(struct call *c, struct bytes method, struct bytes request)
{
    struct fault why;
    if (method.len > 3 && jtree_is(bytes_from(method, method.len - 3), "_V1"))
        method.len -= 3;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (!jtree_is(method, methods[i].name))
            continue;
        if (request.len > REQUEST_BYTES)
            return refuse(c, TOO_LARGE, "a request of more than 4 MiB");
        if (request.len && jtree_parse(&c->request, &c->arena, request, &why) != CODE_OK)
            return refuse(c, BAD_REQUEST, why.text);
        if (methods[i].changes && pub_run_there(c->p, refresh, NULL, &why) != CODE_OK) {
            (void)snprintf(c->said, sizeof c->said,
                           "the file has an error, and would be written over: %.220s", why.text);
            return refuse(c, CONFLICT, c->said);
        }
        (void)pub_run_there(c->p, copy_tree, c, NULL);
        return c->tree ? methods[i].run(c) : no_memory(c);
    }
    return refuse(
        c, NOT_ALLOWED,
        "there is no such method here: PublishNodes, UnpublishNodes, UnpublishAllNodes, AddOrUpdateEndpoints,"
        " SetConfiguredEndpoints, GetConfiguredEndpoints, GetConfiguredNodesOnEndpoint, GetDiagnosticInfo "
        "and GetInfo are");
}

int publisher_call(struct publisher *p, struct bytes method, struct bytes request, struct buf *response)
{
    struct call c = {.p = p, .out = response};
    arena_init(&c.arena, NULL, 0, ARENA_BYTES);
    pthread_mutex_lock(&p->calls);
    int status = run(&c, method, request);
    pthread_mutex_unlock(&p->calls);
    arena_clear(&c.arena);
    return status;
}
