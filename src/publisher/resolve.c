/* resolve.c - what of a node must be asked for in each session before it can be subscribed to: where its BrowsePath ends, and the id that
 * it is registered under. */
#include "publisher/publisher_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "opcua/ids.h"

enum { AGAIN_MS = 30000 };

/* ---- where a path ends ---- */

static bool wants_target(struct pub_item *i)
{
    return i->step_count && i->target == PUB_TARGET_WANTED;
}

static void later(struct pub_session *s)
{
    if (!timer_running(&s->again))
        timer_start(s->all->loop, &s->again, AGAIN_MS, pub_session_again);
}

static void unwatch(struct pub_item *i)
{
    if (i->watched && i->number != UINT32_MAX && i->stream->sub)
        ua_subscription_remove(i->stream->sub, &i->number, 1);
    i->watched = false;
}

/* Not `sure`: it could not be asked; what is watched goes on. */
static void missing(struct pub_item *i, ua_status status, bool sure)
{
    i->target = PUB_TARGET_MISSING;
    later(i->stream->session);
    if (!sure && i->watched)
        return;
    unwatch(i);
    i->targeted = false;
    pub_item_status(i, status);
}

/* Texts of it that stand for the node follow it. */
static bool rename_item(struct pub_item *i)
{
    struct buf text = {0};
    bool shown = strcmp(i->name, i->text) == 0;
    ua_expanded_format(&text, &i->node);
    char *now = text.bad ? NULL : mem_strndup((const char *)buf_bytes(&text).at, text.len);
    char *name = shown && now ? mem_strdup(now) : NULL;
    buf_clear(&text);
    if (!now || (shown && !name)) {
        mem_free(now);
        return false;
    }
    mem_free(i->text);
    i->text = now;
    if (shown) {
        mem_free(i->name);
        i->name = name;
    }
    return true;
}

/* Another node than in the session before: what was watched is not any more. */
static void found(struct pub_item *i, const struct ua_node_id *id)
{
    struct pub_stream *t = i->stream;
    struct ua_client *c = t->session->client;
    struct ua_expanded_node_id e = {.uri = i->start.uri.at && id->ns ? ua_client_namespace(c, id->ns)
                                                                     : BYTES_NONE};
    struct ua_node_id now;
    i->target = PUB_TARGET_FOUND;
    if (i->targeted && ua_client_resolve(c, &i->node, &now) && ua_node_id_equal(&now, id))
        return;
    const char *uri = e.uri.at ? arena_text(&t->arena, e.uri) : "";
    if (!uri || !ua_node_id_copy(&t->arena, id, &e.id)) {
        missing(i, UA_BAD_OUT_OF_MEMORY, false);
        return;
    }
    if (e.uri.at) {
        e.uri = bytes_str(uri);
        e.id.ns = 0;
    }
    unwatch(i);
    i->named = i->registered = false;
    i->node = e;
    i->targeted = true;
    if (!rename_item(i))
        missing(i, UA_BAD_OUT_OF_MEMORY, false);
}

static void on_targets(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct pub_session *s = ctx;
    const struct ua_browse_path_result *r = results;
    if (ua_code(status) == UA_BAD_SERVICE_UNSUPPORTED || ua_code(status) == UA_BAD_NOT_IMPLEMENTED)
        s->no_translate = true; /* they are browsed */
    for (size_t k = 0; k < count && first + k < s->asked_count; k++) {
        struct pub_item *i = s->asked[first + k];
        if (!i || s->no_translate || ua_code(status) == UA_BAD_CONNECTION_CLOSED)
            continue;
        if (ua_is_bad(status) || ua_is_bad(r[k].status_code))
            missing(i, ua_is_bad(status) ? status : r[k].status_code, !ua_is_bad(status));
        else if (!r[k].targets_count || r[k].targets[0].remaining_path_index != UINT32_MAX ||
                 r[k].targets[0].target_id.server)
            missing(i, UA_BAD_NO_MATCH, true);
        else
            found(i, &r[k].targets[0].target_id.id);
    }
}

static void asked(void *ctx, ua_status status)
{
    struct pub_session *s = ctx;
    (void)status;
    s->asking = false;
    pub_forget_asked(s);
    pub_next_step(s);
}

/* False: the server does not have the namespace of one of the names. */
static bool steps_of(const struct pub_item *i, struct ua_relative_path_element *to)
{
    const struct ua_client *c = i->stream->session->client;
    for (uint32_t k = 0; k < i->step_count; k++) {
        const struct target_step *step = &i->steps[k];
        struct ua_expanded_node_id name = {.uri = step->uri, .id = {.ns = step->ns}};
        struct ua_node_id id;
        if (!ua_client_resolve(c, &name, &id))
            return false;
        to[k] = (struct ua_relative_path_element){.reference_type_id = UA_NS0(UA_ID_HIERARCHICAL_REFERENCES),
                                                  .include_subtypes = true,
                                                  .target_name = {.ns = id.ns, .name = step->name}};
        if (step->part)
            to[k].reference_type_id = UA_NS0(UA_ID_AGGREGATES);
    }
    return true;
}

static bool ask_translate(struct pub_session *s)
{
    struct fault why;
    size_t n = 0;
    if (!pub_gather(s, wants_target) || !s->asked_count)
        return false;
    size_t steps = 0;
    for (size_t k = 0; k < s->asked_count; k++)
        steps += s->asked[k]->step_count;
    s->paths = mem_zalloc(s->asked_count, sizeof *s->paths);
    s->elements = mem_zalloc(steps, sizeof *s->elements);
    if (!s->paths || !s->elements) {
        later(s);
        return false;
    }
    steps = 0;
    for (size_t k = 0; k < s->asked_count; k++) {
        struct pub_item *i = s->asked[k];
        struct ua_relative_path_element *e = s->elements + steps;
        if (!ua_client_resolve(s->client, &i->start, &s->paths[n].starting_node) || !steps_of(i, e)) {
            missing(i, UA_BAD_NODE_ID_UNKNOWN, true);
            continue;
        }
        s->paths[n].relative_path.elements = e;
        s->paths[n].relative_path.elements_count = i->step_count;
        steps += i->step_count;
        s->asked[n++] = i;
    }
    s->asked_count = n;
    struct ua_translate_request r = {.browse_paths = s->paths, .browse_paths_count = (uint32_t)n};
    s->asking = n && ua_ask_list(s->client, UA_LIST_TRANSLATE, &r, on_targets, asked, s, &why) == CODE_OK;
    return s->asking;
}

/* ---- the same by browsing, one level of one path at a time ---- */

static bool on_child(void *ctx, const struct ua_node_id *parent, unsigned level,
                     const struct ua_reference_description *r)
{
    struct pub_session *s = ctx;
    struct pub_item *i = s->asked_count ? s->asked[0] : NULL;
    struct ua_relative_path_element e[TARGET_STEPS_MAX];
    (void)parent;
    (void)level;
    if (i && !i->stepped && steps_of(i, e) && r->browse_name.ns == e[i->step].target_name.ns &&
        bytes_equal(r->browse_name.name, e[i->step].target_name.name) && !r->node_id.uri.at)
        i->stepped = ua_node_id_copy(&i->stream->arena, &r->node_id.id, &i->climbing);
    return false;
}

static void child_done(void *ctx, ua_status status)
{
    struct pub_session *s = ctx;
    struct pub_item *i = s->asked_count ? s->asked[0] : NULL;
    if (i && ua_code(status) != UA_BAD_CONNECTION_CLOSED) {
        i->step += i->stepped;
        if (!i->stepped)
            missing(i, ua_is_bad(status) ? status : UA_BAD_NO_MATCH, !ua_is_bad(status));
        else if (i->step == i->step_count)
            found(i, &i->climbing);
    }
    asked(s, status);
}

static bool ask_child(struct pub_session *s)
{
    struct fault why;
    if (!pub_gather(s, wants_target) || !s->asked_count)
        return false;
    struct pub_item *i = s->asked[0];
    s->asked_count = 1;
    struct ua_relative_path_element e[TARGET_STEPS_MAX];
    if ((!i->step && !ua_client_resolve(s->client, &i->start, &i->climbing)) || !steps_of(i, e)) {
        missing(i, UA_BAD_NODE_ID_UNKNOWN, true);
        return ask_child(s);
    }
    i->stepped = false;
    struct ua_browse_options o = {.reference = e[i->step].reference_type_id};
    s->asking = ua_browse(s->client, &i->climbing, &o, on_child, child_done, s, &why) == CODE_OK;
    return s->asking;
}

bool pub_ask_targets(struct pub_session *s)
{
    return (!s->no_translate && ask_translate(s)) || (s->no_translate && ask_child(s));
}

/* ---- registering ---- */

static bool wants_registering(struct pub_item *i)
{
    struct ua_node_id id;
    return i->registers && !i->registered && pub_item_has_target(i) &&
           ua_client_resolve(i->stream->session->client, &i->node, &id);
}

static void on_registered(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct pub_session *s = ctx;
    const struct ua_node_id *id = results;
    struct ua_client_look look;
    char scratch[16];
    ua_client_look(s->client, &look);
    if (ua_is_bad(status) && ua_code(status) != UA_BAD_CONNECTION_CLOSED && !s->no_register) {
        s->no_register = true;
        log_info("opcua", "FG5271 %s does not register nodes (%s): they are read by their own ids",
                 s->endpoint, ua_status_text(status, scratch));
    }
    for (size_t k = 0; k < count && first + k < s->asked_count; k++) {
        struct pub_item *i = s->asked[first + k];
        if (!i || ua_code(status) == UA_BAD_CONNECTION_CLOSED)
            continue;
        i->registered = true;
        i->watch.registered_in = 0;
        if (!ua_is_bad(status) && id[k].kind == UA_ID_NUMBER) {
            i->watch.registered = id[k];
            i->watch.registered_in = look.sessions;
        }
    }
}

bool pub_ask_registered(struct pub_session *s)
{
    struct fault why;
    if (!pub_gather(s, wants_registering) || !s->asked_count)
        return false;
    s->ids = mem_zalloc(s->asked_count, sizeof *s->ids);
    if (!s->ids)
        return false;
    for (size_t k = 0; k < s->asked_count; k++)
        (void)!ua_client_resolve(s->client, &s->asked[k]->node, &s->ids[k]);
    struct ua_register_nodes_request r = {.nodes_to_register = s->ids,
                                          .nodes_to_register_count = (uint32_t)s->asked_count};
    s->asking = ua_ask_list(s->client, UA_LIST_REGISTER, &r, on_registered, asked, s, &why) == CODE_OK;
    return s->asking;
}

/* ---- */

/* What was found in one session may be another node in the next. */
void pub_forget_resolved(struct pub_session *s)
{
    s->no_translate = s->no_register = false;
    for (struct pub_stream *t = s->streams; t; t = t->next)
        for (struct pub_item *i = t->items; i; i = i->next) {
            i->target = PUB_TARGET_WANTED;
            i->step = 0;
            i->registered = false;
        }
}

void pub_retry_targets(struct pub_session *s)
{
    for (struct pub_stream *t = s->streams; t; t = t->next)
        for (struct pub_item *i = t->items; i; i = i->next)
            if (i->target == PUB_TARGET_MISSING) {
                i->target = PUB_TARGET_WANTED;
                i->step = 0;
            }
}
