/* plan.c - from the file to sessions, streams and items. Each has a key of everything that makes it what it is: what has the key it had
 * is not touched.
 *
 *   session  endpoint, security, user, writer group         stream  session, the entry without its nodes, publishing interval, a node's topic
 *   item     stream, the node's JSON */
#include "publisher/publisher_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "opcua/text.h"

#include <math.h>
#include <stdio.h>

struct planning {
    struct publisher *p;
    struct buf key;
    struct fault *why;
    uint64_t twice;
};

static enum code no_memory(struct planning *g)
{
    return FAIL(g->why, CODE_NOMEM, 0, "no memory for the published nodes");
}

static int64_t chosen(int64_t first, int64_t second, int64_t otherwise)
{
    return first != NODES_UNSET ? first : second != NODES_UNSET ? second : otherwise;
}

/* ---- sessions ---- */

static void put_part(struct buf *b, const char *text)
{
    buf_json(b, bytes_str(text));
    buf_u8(b, ',');
}

static void session_key(struct planning *g, const struct nodes_entry *e)
{
    buf_reset(&g->key);
    put_part(&g->key, e->endpoint);
    buf_printf(&g->key, "%d,%d,", (int)e->security, (int)e->auth);
    put_part(&g->key, e->policy);
    put_part(&g->key, e->user);
    put_part(&g->key, e->password);
    if (!g->p->options.no_group)
        put_part(&g->key, e->group);
}

static void choose_security(struct pub_session *s, const struct nodes_entry *e)
{
    static const enum ua_message_security_mode modes[] = {
        [NODES_NONE] = UA_MODE_NONE,
        [NODES_SIGN] = UA_MODE_SIGN,
        [NODES_SIGN_AND_ENCRYPT] = UA_MODE_SIGN_AND_ENCRYPT};
    const char *hash = strrchr(e->policy, '#');
    s->how.mode = e->security <= NODES_SIGN_AND_ENCRYPT ? modes[e->security] : UA_MODE_INVALID;
    s->not_none = e->security == NODES_NOT_NONE;
    s->policy = mem_strdup(hash ? hash + 1 : e->policy);
    s->how.policy = e->security == NODES_NONE ? "None" : s->policy && s->policy[0] ? s->policy : NULL;
    if (e->auth == NODES_USER)
        s->how.user = (struct ua_client_user){
            .kind = UA_USER_NAME, .name = bytes_str(s->user), .password = bytes_str(s->password)};
    s->person = e->auth == NODES_CERTIFICATE;
}

static struct pub_session *make_session(struct planning *g, const struct nodes_entry *e)
{
    struct pub_session *s = mem_zalloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->all = g->p;
    s->key = mem_strndup(g->key.at, g->key.len);
    s->endpoint = mem_strdup(e->endpoint);
    s->group = mem_strdup(e->group);
    s->user = mem_strdup(e->user);
    s->password = mem_strdup(e->password);
    if (s->endpoint && s->user && s->password)
        choose_security(s, e);
    if (!s->key || !s->endpoint || !s->group || !s->user || !s->password || !s->policy ||
        table_put(&g->p->sessions_by_key, bytes_str(s->key), s) != CODE_OK) {
        pub_session_free(s);
        return NULL;
    }
    pthread_mutex_lock(&g->p->lock);
    struct pub_session **end = &g->p->sessions;
    while (*end)
        end = &(*end)->next;
    *end = s;
    pthread_mutex_unlock(&g->p->lock);
    g->p->count.sessions++;
    return s;
}

static struct pub_session *find_session(struct planning *g, const struct nodes_entry *e)
{
    session_key(g, e);
    if (g->key.bad)
        return NULL;
    struct pub_session *s = table_get(&g->p->sessions_by_key, buf_bytes(&g->key));
    s = s ? s : make_session(g, e);
    if (s)
        s->seen = true;
    return s;
}

/* ---- streams ---- */

static int64_t publishing_of(const struct publisher_options *o, const struct nodes_entry *e,
                             const struct nodes_node *n)
{
    int64_t sampling = chosen(n->sampling_ms, e->sampling_ms, o->sampling_ms);
    int64_t publishing = o->ignore_publishing ? o->publishing_ms
                                              : chosen(n->publishing_ms, e->publishing_ms, o->publishing_ms);
    if (o->old && publishing > 0 && sampling > publishing)
        publishing = sampling;
    return publishing;
}

static void stream_key(struct planning *g, const struct pub_session *s, const struct nodes_entry *e,
                       const struct nodes_node *n)
{
    buf_reset(&g->key);
    buf_printf(&g->key, "%s\n%lld,%lld,", s->key, (long long)publishing_of(&g->p->options, e, n),
               (long long)n->qos);
    put_part(&g->key, n->topic);
    for (const struct jtree *f = e->tree->first; f; f = f->next) {
        if (jtree_is(f->name, "OpcNodes") || jtree_is(f->name, "NodeId"))
            continue;
        buf_json(&g->key, f->name);
        jtree_write(&g->key, f, 0);
    }
}

static bool keep(struct pub_stream *t, const char *text, const char **out)
{
    *out = arena_text(&t->arena, bytes_str(text));
    return *out;
}

static bool fill_format(struct pub_stream *t, const struct nodes_entry *e)
{
    struct publisher *p = t->session->all;
    const struct publisher_options *o = &p->options;
    struct format *f = &t->format;
    struct buf extension = {0};
    f->old = o->old && e->mode == NODES_MODE_UNSET;
    f->iot_central = o->iot_central;
    f->mode = e->mode ? e->mode : o->mode;
    f->strict = o->strict;
    f->routing_info = o->routing_info;
    f->telemetry = p->telemetry ? p->telemetry : &telemetry_default;
    f->alone = o->single_item || (!f->old && t->batch_size == 1 && t->batch_ms == 0);
    f->writer_number = ++p->writers;
    f->application_uri = t->session->uri ? t->session->uri : "";
    if (e->extension && e->extension->kind == JTREE_MAP)
        jtree_write(&extension, e->extension, 0);
    f->extension.len = buf_size(&extension);
    f->extension.at = extension.bad ? NULL : (const uint8_t *)arena_text(&t->arena, buf_bytes(&extension));
    buf_clear(&extension);
    const char *publisher_id = e->publisher_id[0]   ? e->publisher_id
                               : o->publisher_id[0] ? o->publisher_id
                                                    : p->config.site;
    const char *writer = e->writer[0] ? e->writer : e->dataset;
    return f->extension.at && keep(t, e->endpoint, &f->endpoint) && keep(t, publisher_id, &f->publisher_id) &&
           keep(t, e->group, &f->group) && keep(t, writer, &f->writer) && keep(t, e->dataset, &f->dataset) &&
           keep(t, e->class_id, &f->class_id);
}

/* Where it goes: the node's topic, the entry's, an option's, the node's setting; with --uns the path is put behind it. */
static bool choose_template(struct pub_stream *t, const struct nodes_entry *e, const struct nodes_node *n)
{
    const struct publisher *p = t->session->all;
    const char *base = n->topic[0] ? n->topic : e->topic[0] ? e->topic : p->template;
    unsigned routing = e->routing ? e->routing : p->options.routing;
    struct buf b = {0};
    struct fault why;
    buf_printf(&b, "%s%s", base, routing >= NODES_BROWSE_NAMES ? "/{BrowsePath}" : "");
    t->template = b.bad ? NULL : arena_text(&t->arena, buf_bytes(&b));
    buf_clear(&b);
    if (!t->template)
        return false;
    if (topic_template_check(bytes_str(t->template), &t->of_node, &t->of_path, &why) != CODE_OK) {
        log_error("opcua", "FG5255 %s: %s; its values go to " PUBLISHER_TOPIC, e->endpoint, why.text);
        t->template = PUBLISHER_TOPIC;
        t->of_node = t->of_path = false;
    }
    return true;
}

static void fill_topics(struct pub_stream *t, const struct nodes_entry *e)
{
    const struct publisher *p = t->session->all;
    char telemetry[TOPIC_MOST + 1] = "", root[TOPIC_MOST + 1] = "";
    struct bytes v[TOPIC_VARIABLES] = {[TOPIC_PUBLISHER_ID] = bytes_str(t->format.publisher_id),
                                       [TOPIC_SITE] = bytes_str(p->options.site),
                                       [TOPIC_WRITER_GROUP] = t->format.group[0] ? bytes_str(t->format.group)
                                                                                 : topic_host(e->endpoint),
                                       [TOPIC_WRITER] = bytes_str(t->format.writer),
                                       [TOPIC_DATASET_NAME] = bytes_str(t->format.dataset),
                                       [TOPIC_ENDPOINT] = topic_host(e->endpoint)};
    if (p->options.root_topic && topic_fill(p->options.root_topic, v, root))
        v[TOPIC_ROOT] = bytes_str(root);
    if (!topic_fill(t->template, v, t->topic))
        (void)snprintf(t->topic, sizeof t->topic, "opcua");
    (void)snprintf(telemetry, sizeof telemetry, "%s", t->topic);
    v[TOPIC_TELEMETRY] = bytes_str(telemetry);
    const char *meta = e->metadata_topic[0]        ? e->metadata_topic
                       : p->options.metadata_topic ? p->options.metadata_topic
                                                   : "{TelemetryTopic}/metadata";
    if (!topic_fill(meta, v, t->metadata_topic))
        (void)snprintf(t->metadata_topic, sizeof t->metadata_topic, "opcua/metadata");
}

static void fill_batching(struct pub_stream *t, const struct nodes_entry *e)
{
    const struct publisher_options *o = &t->session->all->options;
    bool old = o->old;
    t->batch_ms = chosen(e->batch_ms, NODES_UNSET, o->batch_ms);
    t->batch_size = (uint32_t)chosen(e->batch_size, NODES_UNSET, o->batch_size);
    t->batch_bytes = o->message_bytes > 0 ? (size_t)o->message_bytes : old ? 0 : 262144;
    if (t->batch_size == 1)
        t->batch_ms = 0;
}

static void fill_rest(struct pub_stream *t, const struct nodes_entry *e, const struct nodes_node *n)
{
    const struct publisher_options *o = &t->session->all->options;
    int64_t publishing = publishing_of(o, e, n), keep_alive = chosen(e->max_keep_alive, NODES_UNSET, 0);
    int64_t ttl = chosen(n->ttl_ms, e->ttl_ms, o->ttl_ms);
    t->qos = (uint8_t)chosen(n->qos, e->qos, o->qos);
    t->retain = chosen(n->retain, e->retain, o->retain);
    t->ttl_s = ttl > 0 ? (uint32_t)((ttl + 999) / 1000) : 0;
    t->key_frames = (uint32_t)chosen(e->key_frames, NODES_UNSET, o->key_frames);
    t->metadata_ms = chosen(e->metadata_ms, NODES_UNSET, o->metadata_ms);
    t->metadata = format_is_pubsub(&t->format) &&
                  (o->strict || t->metadata_ms > 0 || e->metadata_topic[0] || o->metadata_topic);
    t->metadata_due = true;
    t->keep_alives = e->keep_alives < 0 ? o->keep_alives : e->keep_alives;
    t->piece_number = 1;
    t->wanted = (struct ua_subscription_options){
        .publishing_ms = (double)publishing,
        .keep_alive_ms = keep_alive > 0 ? keep_alive * (publishing > 0 ? publishing : 1000) : 10000,
        .priority = (uint8_t)chosen(e->priority, NODES_UNSET, 0),
        .acknowledge = true,
        .times = UA_TIMES_BOTH};
    format_props(&t->props, &t->format, false);
    format_props(&t->metadata_props, &t->format, true);
}

static void stream_free(struct pub_stream *t)
{
    struct publisher *p = t->session->all;
    pub_cycles_forget(t->session, t);
    pub_forget(p, t);
    if (!p->stopping)
        pub_keep_forget(t);
    while (t->items) {
        struct pub_item *i = t->items;
        t->items = i->next;
        pub_item_free(i);
    }
    if (t->sub && p->stopping)
        ua_subscription_part(t->sub);
    else if (t->sub)
        ua_subscription_close(t->sub);
    buf_clear(&t->batch.body);
    buf_clear(&t->batch.lasts);
    buf_clear(&t->piece_lasts);
    buf_clear(&t->piece);
    buf_clear(&t->props);
    buf_clear(&t->metadata_props);
    mem_free(t->by_handle);
    mem_free(t->key);
    arena_clear(&t->arena);
    mem_free(t);
}

static struct pub_stream *make_stream(struct planning *g, struct pub_session *s, const struct nodes_entry *e,
                                      const struct nodes_node *n)
{
    struct pub_stream *t = mem_zalloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->session = s;
    arena_init(&t->arena, NULL, 0, 64 << 20);
    t->key = mem_strndup(g->key.at, g->key.len);
    fill_batching(t, e);
    if (!t->key || !fill_format(t, e) || !choose_template(t, e, n) ||
        table_put(&g->p->streams_by_key, bytes_str(t->key), t) != CODE_OK) {
        stream_free(t);
        return NULL;
    }
    fill_topics(t, e);
    fill_rest(t, e, n);
    if (t->props.bad || t->metadata_props.bad) {
        (void)table_remove(&g->p->streams_by_key, bytes_str(t->key));
        stream_free(t);
        return NULL;
    }
    t->next = s->streams;
    s->streams = t;
    s->stream_count++;
    g->p->count.streams++;
    pub_stream_begin(t);
    return t;
}

static struct pub_stream *find_stream(struct planning *g, struct pub_session *s, const struct nodes_entry *e,
                                      const struct nodes_node *n)
{
    stream_key(g, s, e, n);
    if (g->key.bad)
        return NULL;
    struct pub_stream *t = table_get(&g->p->streams_by_key, buf_bytes(&g->key));
    t = t ? t : make_stream(g, s, e, n);
    if (t)
        t->seen = true;
    return t;
}

/* ---- items ---- */

void pub_item_free(struct pub_item *i)
{
    struct pub_stream *t = i->stream;
    struct pub_session *s = t->session;
    struct publisher *p = s->all;
    pub_item_stop(i);
    for (size_t k = 0; k < s->asked_count; k++)
        if (s->asked[k] == i)
            s->asked[k] = NULL;
    if (t->by_handle && i->handle < t->handles)
        t->by_handle[i->handle] = NULL;
    if (i->key)
        (void)table_remove(&p->items, bytes_str(i->key));
    p->count.nodes--;
    s->nodes--;
    s->good -= i->added && !ua_is_bad(i->status);
    p->count.nodes_good -= i->added && !ua_is_bad(i->status);
    p->count.nodes_bad -= i->added && ua_is_bad(i->status);
    t->count--;
    mem_free(i->key);
    mem_free(i->text);
    mem_free(i->name);
    mem_free(i->field);
    mem_free(i->path);
    mem_free(i->range);
    mem_free(i->topic);
    buf_clear(&i->head);
    buf_clear(&i->last);
    mem_free(i);
}

/* At least what one publishing interval can bring, unless the file says a number: then that. As fast as possible is taken for 10 ms. */
static uint32_t queue_of(const struct publisher_options *o, const struct nodes_node *n, int64_t sampling,
                         int64_t publishing)
{
    sampling = sampling == 0 ? 10 : sampling;
    int64_t ratio = sampling > 0 && publishing > sampling ? (publishing + sampling - 1) / sampling : 1;
    int64_t computed = ratio + ratio / 2 + 1;
    if (n->queue_size > 0)
        return (uint32_t)(o->auto_queue && computed > n->queue_size ? computed : n->queue_size);
    return (uint32_t)(o->queue_size > computed ? o->queue_size : computed > 100000 ? 100000 : computed);
}

static void fill_watch(struct pub_item *i, const struct nodes_entry *e, const struct nodes_node *n)
{
    const struct publisher_options *o = &i->stream->session->all->options;
    int64_t sampling = chosen(n->sampling_ms, e->sampling_ms, o->sampling_ms),
            publishing = publishing_of(o, e, n);
    i->watch = (struct ua_watch){
        .attribute = n->attribute == NODES_UNSET ? 0 : (uint32_t)n->attribute,
        .range = i->range[0] ? bytes_str(i->range) : BYTES_NONE, /* an empty one is another thing to some */
        .sampling_ms = (double)sampling,
        .queue = queue_of(o, n, sampling, publishing > 0 ? publishing : 1000),
        .discard_newest = n->discard_new < 0 ? o->discard_new : n->discard_new,
        .mode = UA_MONITOR_REPORTING,
        .trigger = n->trigger ? n->trigger : o->trigger,
        .deadband = n->deadband,
        .deadband_value = n->deadband_value};
}

static void fill_item(struct pub_item *i, const struct nodes_entry *e, const struct nodes_node *n)
{
    struct pub_stream *t = i->stream;
    const struct publisher_options *o = &t->session->all->options;
    int8_t fetch = n->fetch_name >= 0    ? n->fetch_name
                   : e->fetch_names >= 0 ? e->fetch_names
                                         : (int8_t)o->fetch_names;
    i->wants_name = fetch && !n->name[0];
    i->climbs = t->of_path;
    i->expanded = n->expanded_id;
    i->skip_first = n->skip_first < 0 ? o->skip_first : n->skip_first;
    i->heartbeat_ms = chosen(n->heartbeat_ms, e->heartbeat_ms, o->heartbeat_ms);
    i->heartbeat = n->heartbeat ? n->heartbeat : e->heartbeat ? e->heartbeat : o->heartbeat;
    i->cyclic = n->cyclic < 0 ? o->cyclic_reads : n->cyclic;
    i->max_age_ms = chosen(n->max_age_ms, NODES_UNSET, 0);
    i->registers = n->register_node > 0;
    i->keep_last = i->heartbeat_ms > 0 || t->key_frames;
    fill_watch(i, e, n);
}

static bool list_item(struct pub_stream *t, struct pub_item *i)
{
    if (t->handles == t->room) {
        uint32_t room = t->room ? t->room * 2 : 16;
        struct pub_item **bigger = mem_realloc(t->by_handle, room * sizeof(struct pub_item *));
        if (!bigger)
            return false;
        t->by_handle = bigger;
        t->room = room;
    }
    i->handle = t->handles;
    t->by_handle[t->handles++] = i;
    *(t->last ? &t->last->next : &t->items) = i;
    t->last = i;
    return true;
}

static struct pub_item *make_item(struct planning *g, struct pub_stream *t, const struct nodes_entry *e,
                                  const struct nodes_node *n)
{
    struct publisher *p = g->p;
    struct pub_item *i = mem_zalloc(1, sizeof *i);
    if (!i)
        return NULL;
    i->stream = t;
    i->handle = UINT32_MAX;
    p->count.nodes++;
    t->session->nodes++;
    t->count++;
    i->status = UA_BAD_WAITING_FOR_INITIAL_DATA;
    i->key = mem_strndup(g->key.at, g->key.len);
    i->text = mem_strdup(n->id);
    i->name = mem_strdup(n->name[0] ? n->name : n->id);
    i->range = mem_strdup(n->index_range);
    i->field = n->field_id[0] ? mem_strdup(n->field_id) : NULL;
    if (i->key && i->text && i->name && i->range && (i->field || !n->field_id[0]) &&
        table_put(&p->items, bytes_str(i->key), i) == CODE_OK && list_item(t, i)) {
        fill_item(i, e, n);
        if (!n->browse_path || target_parse(&i->steps, &i->step_count, n->browse_path, &t->arena, g->why) == CODE_OK)
            return i;
    }
    if (i->key && table_get(&p->items, bytes_str(i->key)) != i) {
        mem_free(i->key);
        i->key = NULL;
    }
    pub_item_free(i);
    return NULL;
}

/* A node whose id is none is said and left out; the others go on. */
static bool read_id(struct pub_item *i)
{
    struct fault why;
    char said[128];
    const char *id = arena_text(&i->stream->arena, bytes_str(i->text)); /* the text may become another one */
    if (ua_expanded_parse(&i->node, bytes_str(id ? id : ""), &i->stream->arena, &why) == CODE_OK) {
        i->start = i->node;
        return true;
    }
    log_error("opcua", "FG5256 %s: '%s' is no node id: %s. It is left out; the others go on",
              i->stream->session->endpoint, bytes_escape(bytes_str(i->text), said, sizeof said), why.text);
    i->status = UA_BAD_NODE_ID_INVALID;
    i->added = i->said = true;
    i->watched = true; /* nothing more is done with it */
    i->step_count = 0;
    i->cyclic = false;
    i->number = UINT32_MAX;
    i->stream->session->all->count.nodes_bad++;
    return false;
}

static enum code plan_node(struct planning *g, struct pub_session *s, const struct nodes_entry *e,
                           const struct nodes_node *n)
{
    struct pub_stream *t = find_stream(g, s, e, n);
    if (!t)
        return no_memory(g);
    buf_u8(&g->key, '\n');
    jtree_write(&g->key, n->tree, 0);
    if (g->key.bad)
        return no_memory(g);
    struct pub_item *i = table_get(&g->p->items, buf_bytes(&g->key));
    if (i) {
        g->twice += i->seen;
        i->seen = true;
        return CODE_OK;
    }
    i = make_item(g, t, e, n);
    if (!i)
        return no_memory(g);
    i->seen = true;
    (void)read_id(i);
    return CODE_OK;
}

/* ---- what is not in the file any more ---- */

static void remove_items(struct pub_stream *t)
{
    uint32_t *numbers = mem_zalloc(t->count + 1, sizeof *numbers);
    size_t n = 0;
    t->last = NULL;
    for (struct pub_item **at = &t->items; *at;) {
        struct pub_item *i = *at;
        if (i->seen) {
            t->last = i;
            at = &i->next;
            continue;
        }
        if (i->watched && i->number != UINT32_MAX && t->sub && numbers)
            numbers[n++] = i->number;
        *at = i->next;
        pub_item_free(i);
        t->metadata_due = true;
    }
    if (n)
        ua_subscription_remove(t->sub, numbers, n);
    mem_free(numbers);
}

static void remove_streams(struct pub_session *s)
{
    for (struct pub_stream **at = &s->streams; *at;) {
        struct pub_stream *t = *at;
        if (t->seen) {
            remove_items(t);
            at = &t->next;
            continue;
        }
        pub_stream_stop(t);
        *at = t->next;
        (void)table_remove(&s->all->streams_by_key, bytes_str(t->key));
        s->all->count.streams--;
        s->stream_count--;
        stream_free(t);
    }
}

static void remove_rest(struct publisher *p)
{
    for (struct pub_session **at = &p->sessions; *at;) {
        struct pub_session *s = *at;
        remove_streams(s);
        if (s->seen) {
            at = &s->next;
            continue;
        }
        pthread_mutex_lock(&p->lock);
        *at = s->next;
        pthread_mutex_unlock(&p->lock);
        (void)table_remove(&p->sessions_by_key, bytes_str(s->key));
        p->count.sessions--;
        log_info("opcua", "FG5257 %s is not read any more", s->endpoint);
        pub_session_leave(s);
    }
    pub_count_streams(p);
}

static void mark_all(struct publisher *p, bool seen)
{
    for (struct pub_session *s = p->sessions; s; s = s->next) {
        s->seen = seen;
        for (struct pub_stream *t = s->streams; t; t = t->next) {
            t->seen = seen;
            for (struct pub_item *i = t->items; i; i = i->next)
                i->seen = seen;
        }
    }
}

/* ---- all ---- */

enum code pub_apply(struct publisher *p, struct nodes_file *file, struct fault *why)
{
    struct planning g = {.p = p, .why = why};
    enum code c = CODE_OK;
    mark_all(p, false);
    for (uint32_t k = 0; file && k < file->entry_count && c == CODE_OK; k++) {
        const struct nodes_entry *e = &file->entries[k];
        struct pub_session *s = e->node_count ? find_session(&g, e) : NULL;
        if (e->node_count && !s)
            c = no_memory(&g);
        for (uint32_t n = 0; n < e->node_count && c == CODE_OK; n++)
            c = plan_node(&g, s, e, &e->nodes[n]);
    }
    if (c != CODE_OK)
        mark_all(p, true); /* what there was stays */
    remove_rest(p);
    if (file)
        pub_keep_prune(p);
    if (g.twice)
        log_warn("opcua", "FG5258 %llu nodes stand twice in the file with the same words: each is read once",
                 (unsigned long long)g.twice);
    for (struct pub_session *s = p->sessions; s; s = s->next)
        if (!s->started)
            pub_session_start(s);
        else
            pub_session_look(s);
    buf_clear(&g.key);
    pub_ship(p);
    pub_show(p);
    return c;
}
