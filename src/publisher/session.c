/* session.c - one server with one security and user: connects, asks for names and paths of new nodes, then subscribes to them. */
#include "publisher/publisher_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "opcua/ids.h"
#include "opcua/trust.h"
#include "publisher/person.h"

#include <openssl/crypto.h>

#include <inttypes.h>
#include <stdio.h>

enum { PATH_ROUNDS = 16, PATH_BYTES = 1000, AGAIN_MS = 2000 };

/* ---- lists of items that are being asked about ---- */

void pub_forget_asked(struct pub_session *s)
{
    mem_free(s->asked);
    mem_free(s->reads);
    mem_free(s->browses);
    mem_free(s->paths);
    mem_free(s->elements);
    mem_free(s->ids);
    s->asked = NULL;
    s->reads = NULL;
    s->browses = NULL;
    s->paths = NULL;
    s->elements = NULL;
    s->ids = NULL;
    s->asked_count = 0;
}

static size_t count_items(const struct pub_session *s)
{
    size_t n = 0;
    for (const struct pub_stream *t = s->streams; t; t = t->next)
        n += t->count;
    return n;
}

/* Those that `wanted` says and the server can name. False: no memory; it is tried on the next session. */
bool pub_gather(struct pub_session *s, bool (*wanted)(struct pub_item *))
{
    size_t most = count_items(s);
    pub_forget_asked(s);
    s->asked = mem_zalloc(most + 1, sizeof(struct pub_item *));
    if (!s->asked)
        return false;
    for (struct pub_stream *t = s->streams; t; t = t->next)
        for (struct pub_item *i = t->items; i; i = i->next)
            if (wanted(i))
                s->asked[s->asked_count++] = i;
    return true;
}

/* ---- display names ---- */

static bool wants_name(struct pub_item *i)
{
    struct ua_node_id id;
    return i->wants_name && !i->named && pub_item_has_target(i) && ua_client_resolve(i->stream->session->client, &i->node, &id);
}

static void take_name(struct pub_item *i, const struct ua_data_value *v)
{
    if (v->value.type != UA_LOCALIZED_TEXT || v->value.array)
        return;
    const struct ua_localized_text *text = v->value.at;
    char *name = text->text.len && text->text.len <= NODES_TEXT_MAX
                     ? mem_strndup(text->text.at, text->text.len)
                     : NULL;
    if (!name)
        return;
    mem_free(i->name);
    i->name = name;
}

static void on_names(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct pub_session *s = ctx;
    const struct ua_data_value *v = results;
    for (size_t k = 0; k < count && !ua_is_bad(status) && first + k < s->asked_count; k++)
        if (s->asked[first + k])
            take_name(s->asked[first + k], &v[k]);
}

static void names_done(void *ctx, ua_status status)
{
    struct pub_session *s = ctx;
    char scratch[16];
    s->asking = false;
    bool closed = ua_code(status) == UA_BAD_CONNECTION_CLOSED;
    for (size_t k = 0; k < s->asked_count && !closed; k++)
        if (s->asked[k])
            s->asked[k]->named = true;
    if (ua_is_bad(status) && !closed)
        log_warn("opcua", "FG5247 %s does not tell all display names (%s): node ids stand in for them",
                 s->endpoint, ua_status_text(status, scratch));
    pub_forget_asked(s);
    pub_next_step(s);
}

/* False: there is nothing to ask. */
static bool ask_names(struct pub_session *s)
{
    struct fault why;
    if (!pub_gather(s, wants_name) || !s->asked_count)
        return false;
    s->reads = mem_zalloc(s->asked_count, sizeof *s->reads);
    if (!s->reads)
        return false;
    for (size_t k = 0; k < s->asked_count; k++) {
        s->reads[k].attribute_id = UA_ATTR_DISPLAY_NAME;
        (void)!ua_client_resolve(s->client, &s->asked[k]->node, &s->reads[k].node_id);
    }
    struct ua_read_request r = {.timestamps_to_return = UA_TIMES_NEITHER,
                                .nodes_to_read = s->reads,
                                .nodes_to_read_count = (uint32_t)s->asked_count};
    s->asking = ua_ask_list(s->client, UA_LIST_READ, &r, on_names, names_done, s, &why) == CODE_OK;
    return s->asking;
}

/* ---- browse paths: one level up for all of them in a round ---- */

static bool wants_path(struct pub_item *i)
{
    return i->stream->of_path && i->climbs && pub_item_has_target(i);
}

static bool at_the_top(const struct ua_node_id *id)
{
    return id->ns == 0 && id->kind == UA_ID_NUMBER && id->number == UA_ID_OBJECTS_FOLDER;
}

/* Its own name, or a level in front. */
static void put_level(struct pub_item *i, struct bytes name, uint16_t ns)
{
    struct buf b = {.max = PATH_BYTES};
    if (i->stream->session->all->options.routing == NODES_BROWSE_NAMES_NS && ns)
        buf_printf(&b, "%u:", ns);
    for (size_t k = 0; k < name.len; k++)
        buf_u8(&b, name.at[k] == '/' ? '_' : name.at[k]);
    if (i->path)
        buf_printf(&b, "/%s", i->path);
    buf_u8(&b, 0);
    if (!b.bad) {
        mem_free(i->path);
        i->path = mem_strdup((const char *)b.at);
    }
    buf_clear(&b);
}

static void climb(struct pub_item *i, const struct ua_browse_result *r)
{
    struct arena *arena = &i->stream->arena;
    i->climbs = false;
    if (ua_is_bad(r->status_code) || !r->references_count)
        return;
    const struct ua_reference_description *up = &r->references[0];
    if (up->node_id.id.ns == 0 && up->node_id.id.kind == UA_ID_NUMBER &&
        up->node_id.id.number == UA_ID_ROOT_FOLDER)
        return;
    put_level(i, up->browse_name.name, up->browse_name.ns);
    i->climbs = !at_the_top(&up->node_id.id) && !up->node_id.uri.at &&
                ua_node_id_copy(arena, &up->node_id.id, &i->climbing);
}

static void on_parents(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct pub_session *s = ctx;
    const struct ua_browse_result *r = results;
    for (size_t k = 0; k < count && first + k < s->asked_count; k++)
        if (s->asked[first + k] && !ua_is_bad(status))
            climb(s->asked[first + k], &r[k]);
        else if (s->asked[first + k])
            s->asked[first + k]->climbs = false;
}

static void parents_done(void *ctx, ua_status status)
{
    struct pub_session *s = ctx;
    (void)status;
    s->asking = false;
    pub_forget_asked(s);
    pub_next_step(s);
}

static bool ask_parents(struct pub_session *s)
{
    struct fault why;
    if (s->rounds++ >= PATH_ROUNDS || !pub_gather(s, wants_path) || !s->asked_count)
        return false;
    s->browses = mem_zalloc(s->asked_count, sizeof *s->browses);
    if (!s->browses)
        return false;
    for (size_t k = 0; k < s->asked_count; k++) {
        struct pub_item *i = s->asked[k];
        if (!i->path) {
            put_level(i, bytes_str(i->name), 0);
            (void)!ua_client_resolve(s->client, &i->node, &i->climbing);
        }
        s->browses[k] = (struct ua_browse_description){
            .node_id = i->climbing,
            .browse_direction = UA_BROWSE_INVERSE,
            .reference_type_id = UA_NS0(UA_ID_HIERARCHICAL_REFERENCES),
            .include_subtypes = true,
            .result_mask = UA_BROWSE_BROWSE_NAME};
    }
    struct ua_browse_request r = {.nodes_to_browse = s->browses,
                                  .nodes_to_browse_count = (uint32_t)s->asked_count};
    s->asking = ua_ask_list(s->client, UA_LIST_BROWSE, &r, on_parents, parents_done, s, &why) == CODE_OK;
    return s->asking;
}

/* ---- subscribing ---- */

/* The field of one that has a namesake in its data set is its id: two of the same name would hide one another. */
static bool has_namesake(const struct pub_item *i, const struct table *names)
{
    const struct pub_item *first = table_get(names, bytes_str(i->field ? i->field : i->name));
    return first && first != i;
}

static void tell_names_apart(struct pub_stream *t)
{
    struct table names = {0};
    if (format_is_samples(&t->format))
        return;
    for (struct pub_item *i = t->items; i; i = i->next)
        if (table_put(&names, bytes_str(i->field ? i->field : i->name), i) == CODE_EXISTS && !i->watched &&
            has_namesake(i, &names)) {
            char *field = mem_strdup(i->text);
            if (field) {
                mem_free(i->field);
                i->field = field;
            }
        }
    table_clear(&names);
}

/* What could not be begun is tried again. */
void pub_session_again(struct timer *t)
{
    struct pub_session *s = (struct pub_session *)(void *)((char *)t - offsetof(struct pub_session, again));
    if (s->client)
        pub_session_look(s);
    else
        pub_session_start(s);
}

static void try_again(struct pub_session *s)
{
    timer_start(s->all->loop, &s->again, AGAIN_MS, pub_session_again);
}

static void open_subscription(struct pub_stream *t)
{
    struct fault why;
    if (ua_subscription_open(&t->sub, t->session->client, &t->wanted, &pub_stream_events, t, &why) == CODE_OK) {
        pub_keep_adopt(t);
        return;
    }
    log_warn("opcua", "FG5248 %s: no subscription: %s. It is tried again", t->session->endpoint, why.text);
    try_again(t->session);
    t->sub = NULL;
}

static void watch_all(struct pub_stream *t)
{
    struct ua_watch *list = mem_zalloc(t->count + 1, sizeof *list);
    struct pub_item **which = mem_zalloc(t->count + 1, sizeof(struct pub_item *));
    uint32_t *numbers = mem_zalloc(t->count + 1, sizeof *numbers);
    size_t n = 0;
    struct fault why;
    bool any = false;
    tell_names_apart(t);
    for (struct pub_item *i = t->items; i; i = i->next) {
        if (i->watched || !pub_item_has_target(i))
            continue;
        pub_item_ready(i);
        if (i->cyclic) {
            i->watched = pub_cycle_join(i);
            i->number = UINT32_MAX;
            if (!i->watched)
                try_again(t->session);
            continue;
        }
        any = true;
        i->watch.handle = i->handle;
        i->watch.node = i->node;
        pub_keep_item(i);
    }
    if (any && !t->sub)
        open_subscription(t); /* which may have items from before */
    for (struct pub_item *i = t->items; i && list && which && numbers; i = i->next) {
        if (i->watched || i->cyclic || !pub_item_has_target(i))
            continue;
        list[n] = i->watch;
        which[n++] = i;
    }
    if (n && t->sub) {
        if (ua_subscription_add(t->sub, list, n, numbers, &why) != CODE_OK) {
            log_warn("opcua", "FG5248 %s: %zu nodes cannot be subscribed to: %s. It is tried again", t->session->endpoint, n, why.text);
            try_again(t->session);
        } else
            for (size_t k = 0; k < n; k++) {
                which[k]->watched = true;
                which[k]->number = numbers[k];
            }
    }
    if (!list || !which || !numbers)
        try_again(t->session);
    mem_free(list);
    mem_free(which);
    mem_free(numbers);
}

/* ---- steps ---- */

void pub_next_step(struct pub_session *s)
{
    if (!s->up || s->asking || pub_ask_targets(s) || ask_names(s) || ask_parents(s) || pub_ask_registered(s))
        return;
    for (struct pub_stream *t = s->streams; t; t = t->next)
        watch_all(t);
    pub_keep_tidy(s);
}

void pub_session_look(struct pub_session *s)
{
    s->rounds = 0;
    pub_retry_targets(s);
    pub_next_step(s);
}

void pub_count_streams(struct publisher *p)
{
    p->count.streams_up = 0;
    for (const struct pub_session *s = p->sessions; s; s = s->next)
        p->count.streams_up += s->up ? s->stream_count : 0;
}

/* ---- events of the client ---- */

static void set_state(struct pub_session *s, const char *state, const char *trouble)
{
    struct publisher *p = s->all;
    pthread_mutex_lock(&p->lock);
    (void)snprintf(s->state, sizeof s->state, "%s", state);
    (void)snprintf(s->trouble, sizeof s->trouble, "%s", trouble);
    pthread_mutex_unlock(&p->lock);
}

/* "urn:press:site". Heads have it in them; so they are made anew when it is another one. */
static void take_uri(struct pub_session *s, const char *uri)
{
    const char *site = s->all->options.site;
    char text[600];
    (void)snprintf(text, sizeof text, "%.500s%s%.60s", uri, site[0] ? ":" : "", site);
    if (s->uri && strcmp(s->uri, text) == 0)
        return;
    mem_free(s->uri);
    s->uri = mem_strdup(text);
    for (struct pub_stream *t = s->streams; t; t = t->next) {
        t->format.application_uri = s->uri ? s->uri : "";
        for (struct pub_item *i = t->items; i; i = i->next)
            if (i->watched)
                pub_item_ready(i);
    }
}

static void on_up(void *ctx, struct ua_client *c, bool same)
{
    struct pub_session *s = ctx;
    struct publisher *p = s->all;
    struct ua_client_look look;
    struct fault why;
    if (!same)
        pub_forget_resolved(s);
    ua_client_look(c, &look);
    if (s->not_none && look.mode == UA_MODE_NONE) {
        log_error("opcua",
                  "FG5249 %s offers no security, and its entry wants some (EndpointSecurityMode NotNone): it "
                  "is not read",
                  s->endpoint);
        set_state(s, "refused", "the server offers no security, the entry wants some");
        if (s->shapes)
            ua_shapes_close(s->shapes);
        s->shapes = NULL;
        ua_client_close(c);
        s->client = NULL;
        for (struct pub_stream *t = s->streams; t; t = t->next)
            t->sub = NULL; /* gone with it */
        return;
    }
    if (!s->shapes && ua_shapes_open(&s->shapes, c, &why) != CODE_OK)
        s->shapes = NULL;
    s->up = true;
    p->count.sessions_up++;
    set_state(s, "up", "");
    take_uri(s, look.server_uri ? look.server_uri : "");
    log_info("opcua", "FG5250 %s connected: %zu nodes, %s%s", s->endpoint, count_items(s),
             look.policy ? look.policy : "None", look.unsafe ? ", whoever it is (accepted unseen)" : "");
    pub_unstall_all(s);
    pub_session_look(s);
    pub_count_streams(p);
    pub_show(p);
}

/* It has said goodbye. */
static void gone(struct pub_session *s)
{
    for (struct pub_session **at = &s->all->leaving; *at; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            break;
        }
    struct publisher *p = s->all;
    pub_session_free(s);
    pub_calm(p);
}

static void on_down(void *ctx, struct ua_client *c, const struct fault *why, int64_t retry_ms)
{
    struct pub_session *s = ctx;
    (void)c;
    if (s->leaving) {
        gone(s);
        return;
    }
    /* One that is away is asked every other second: the same words once. */
    bool told = !s->up && why && strncmp(s->trouble, why->text, sizeof s->trouble - 1) == 0;
    s->all->count.sessions_up -= s->up;
    s->up = false; /* what was being asked ends by itself */
    set_state(s, "waiting", why ? why->text : "");
    if (why && !told)
        log_warn("opcua", "FG%04d %s: %s; again in %" PRId64 " ms", why->number ? why->number : 5251,
                 s->endpoint, why->text, retry_ms);
    pub_count_streams(s->all);
    pub_show(s->all);
}

static void on_notice(void *ctx, struct ua_client *c, const struct fault *what)
{
    const struct pub_session *s = ctx;
    (void)c;
    log_warn("opcua", "FG%04d %s: %s", what->number ? what->number : 5252, s->endpoint, what->text);
}

/* ---- life ---- */

enum { PERSON_AGAIN_MS = 10000 };

/* Nobody is signed in as somebody else: without its certificate the server is not read. */
static bool take_person(struct pub_session *s, struct ua_client_options *c)
{
    struct publisher *p = s->all;
    char dir[1000];
    struct fault why = {0};
    if (!s->person)
        return true;
    (void)snprintf(dir, sizeof dir, "%s/users", p->config.trust ? ua_trust_dir(p->config.trust) : "pki");
    c->user.kind = UA_USER_CERTIFICATE;
    if (person_find(&c->user.certificate, p->config.io, dir, s->user, s->password, &why) == CODE_OK) {
        s->said = false;
        return true;
    }
    if (!s->said)
        log_error("opcua", "FG5254 %s is not read: %s. It is looked for every 10 s", s->endpoint, why.text);
    s->said = true;
    set_state(s, "refused", why.text);
    timer_start(p->loop, &s->again, PERSON_AGAIN_MS, pub_session_again);
    return false;
}

void pub_session_start(struct pub_session *s)
{
    static const struct ua_client_events events = {on_up, on_down, on_notice};
    struct publisher *p = s->all;
    const struct publisher_options *o = &p->options;
    struct fault why;
    struct ua_client_options c = s->how;
    c.url = s->endpoint;
    c.own = p->config.own;
    c.trust = p->config.trust;
    c.accept_any = o->accept_any;
    c.any_host = o->accept_any;
    c.name = "fieldgate publisher";
    c.reconnect = true;
    c.connect_ms = o->connect_ms;
    c.request_ms = o->request_ms;
    c.session_ms = o->session_ms;
    c.io = p->config.io;
    c.limits = o->max_string > 0 ? &p->limits : NULL;
    s->started = true;
    if (!take_person(s, &c))
        return;
    enum code code = ua_client_open(&s->client, p->loop, &c, &events, s, &why);
    ua_application_drop(c.user.certificate);
    if (code == CODE_OK) {
        set_state(s, "connecting", "");
        ua_client_hold(s->client, p->held);
        return;
    }
    s->client = NULL;
    set_state(s, "refused", why.text);
    log_error("opcua", "FG5253 %s cannot be read: %s", s->endpoint, why.text);
    if (why.code == CODE_NOMEM)
        try_again(s);
}

void pub_session_leave(struct pub_session *s)
{
    struct publisher *p = s->all;
    p->count.sessions_up -= s->up;
    s->up = false;
    timer_stop(p->loop, &s->again);
    if (!s->client) {
        pub_session_free(s);
        return;
    }
    s->leaving = true;
    s->next = p->leaving;
    p->leaving = s;
    if (p->stopping)
        ua_client_part(s->client);
    else
        ua_client_leave(s->client);
}

void pub_session_free(struct pub_session *s)
{
    struct publisher *p = s->all;
    p->count.sessions_up -= s->up;
    timer_stop(p->loop, &s->again);
    if (s->shapes)
        ua_shapes_close(s->shapes);
    if (s->client)
        ua_client_close(s->client);
    pub_cycles_forget(s, NULL);
    pub_forget_asked(s);
    mem_free(s->key);
    mem_free(s->endpoint);
    mem_free(s->group);
    mem_free(s->user);
    if (s->password)
        OPENSSL_cleanse(s->password, strlen(s->password));
    mem_free(s->password);
    mem_free(s->policy);
    mem_free(s->uri);
    mem_free(s);
}
