/* stream.c - the values of one writer with one publishing interval: rules, pieces, batches, heartbeats. */
#include "publisher/publisher_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "opcua/json.h"
#include "opcua/status.h"
#include "uaclient/thing_json.h"

#include <inttypes.h>

enum { OBJECT_ARENA = 4 << 20 };

static const struct publisher_options *options_of(const struct pub_stream *s)
{
    return &s->session->all->options;
}

static ua_time now_of(const struct pub_stream *s)
{
    return ua_time_from_us(loop_wall_us(s->session->all->loop));
}

/* ---- no memory ---- */

/* Values that wait in vain: nobody can write them down. */
static void let_go(struct pub_stream *s, uint32_t values)
{
    struct publisher_glance *g = &s->session->all->count;
    log_error("opcua", "FG5243 no memory for a message with %u values: they are left out and counted", values);
    g->waiting -= values;
    g->too_large += values;
}

/* ---- batches ---- */

static const char *topic_of(const struct pub_stream *s, const struct pub_item *item)
{
    return item && item->topic ? item->topic : s->topic;
}

static void send_metadata(struct pub_stream *s)
{
    struct buf body = {0};
    bool first = true;
    format_metadata_open(&body, &s->format, ++s->message_id);
    for (struct pub_item *i = s->items; i; i = i->next) {
        format_metadata_field(&body,
                              &(struct format_field){.name = bytes_str(i->field ? i->field : i->name),
                                                     .field_id = bytes_str(i->field),
                                                     .type = i->type,
                                                     .array = i->array},
                              first);
        first = false;
    }
    format_metadata_close(&body, &s->format);
    if (!body.bad)
        pub_post(s, s->metadata_topic, buf_bytes(&s->metadata_props), buf_bytes(&body), 0, true);
    s->metadata_due = body.bad; /* with the next batch, then */
    buf_clear(&body);
}

static void send_batch(struct pub_stream *s, const char *topic)
{
    struct pub_batch *b = &s->batch;
    timer_stop(s->session->all->loop, &s->flush);
    if (!b->pieces)
        return;
    if (s->metadata && s->metadata_due)
        send_metadata(s);
    format_close(&b->body, &s->format);
    if (b->body.bad) {
        let_go(s, b->values);
    } else {
        pub_post(s, topic, buf_bytes(&s->props), buf_bytes(&b->body), b->values, s->retain);
        pub_keep_word(s);
    }
    buf_reset(&b->body);
    buf_reset(&b->lasts);
    b->pieces = b->values = 0;
}

static void on_flush(struct timer *t)
{
    struct pub_stream *s = (struct pub_stream *)(void *)((char *)t - offsetof(struct pub_stream, flush));
    pub_stream_flush(s);
}

/* Everything that has come is on its way; so what the server has sent up to here may be acknowledged when it is there. */
void pub_stream_flush(struct pub_stream *s)
{
    send_batch(s, s->topic);
    pub_promise(s, s->complete);
    pub_ship(s->session->all);
    pub_show(s->session->all);
}

/* A piece that does not fit goes into the next body. */
static void begin_piece(struct pub_stream *s, size_t size)
{
    struct pub_batch *b = &s->batch;
    if (b->pieces &&
        (format_is_single(&s->format) || (s->batch_bytes && buf_size(&b->body) + size + 4 > s->batch_bytes)))
        send_batch(s, s->topic);
    if (b->pieces)
        format_between(&b->body, &s->format, ++s->message_id);
    else
        format_open(&b->body, &s->format, ++s->message_id);
    b->pieces++;
}

static void end_piece(struct pub_stream *s, const struct pub_item *item, uint32_t values)
{
    struct pub_batch *b = &s->batch;
    b->values += values;
    if (s->of_node || !s->batch_bytes || (s->batch_size && b->pieces >= s->batch_size) ||
        format_is_single(&s->format) || (s->batch_bytes && buf_size(&b->body) >= s->batch_bytes))
        send_batch(s, topic_of(s, item));
    else if (s->batch_ms > 0 && !timer_running(&s->flush))
        timer_start(s->session->all->loop, &s->flush, s->batch_ms, on_flush);
}

/* ---- values as JSON ---- */

struct decoding {
    struct ua_shapes *shapes;
    struct arena arena;
};

static bool decode(void *ctx, const struct ua_json *j, const struct ua_extension_object *o)
{
    struct decoding *d = ctx;
    struct ua_thing thing;
    if (!d->shapes || o->kind != UA_BODY_BINARY ||
        ua_shapes_read(d->shapes, o, &d->arena, &thing, NULL) != CODE_OK)
        return false;
    thing_json(j, &thing);
    return true;
}

static void write_value(struct pub_stream *s, struct buf *out, const struct ua_variant *v)
{
    struct decoding d = {.shapes = s->session->shapes};
    struct ua_json j = {.out = out,
                        .reversible = options_of(s)->encoding == NODES_JSON_REVERSIBLE,
                        .object = decode,
                        .ctx = &d};
    arena_init(&d.arena, NULL, 0, OBJECT_ARENA);
    ua_json_variant(&j, v);
    arena_clear(&d.arena);
}

static void note_type(struct pub_item *i, const struct ua_variant *v)
{
    struct pub_stream *s = i->stream;
    if (i->type == v->type && i->array == v->array)
        return;
    if (i->type != UA_NULL)
        s->format.minor++; /* a field is not what it was */
    i->type = v->type;
    i->array = v->array;
    s->metadata_due = true;
}

/* What is constant of it could be made, now or the next time. */
static bool is_ready(struct pub_item *i)
{
    if (i->head.bad)
        pub_item_ready(i);
    return !i->head.bad;
}

/* ---- pieces ---- */

static void put_sample(struct pub_item *i, const struct format_value *v)
{
    struct pub_stream *s = i->stream;
    begin_piece(s, i->head.len + v->json.len + 160);
    pub_keep_value(i);
    format_sample(&s->batch.body, &s->format, buf_bytes(&i->head), v, ++s->sequence, now_of(s));
    buf_add_bytes(&s->batch.lasts, buf_bytes(&s->piece_lasts));
    buf_reset(&s->piece_lasts);
    s->batch.at = s->now;
    end_piece(s, i, 1);
}

static bool key_is_due(const struct pub_stream *s)
{
    return s->key_frames && s->sequence % s->key_frames == 0;
}

static void open_set(struct pub_stream *s)
{
    s->piece_open = true;
    s->piece_key = key_is_due(s);
    s->piece_values = 0;
    buf_reset(&s->piece);
    format_set_open(&s->piece, &s->format, s->piece_key ? FORMAT_KEY : FORMAT_DELTA, ++s->sequence,
                    now_of(s));
}

static void put_last_values(struct pub_stream *s)
{
    bool first = true;
    for (struct pub_item *i = s->items; i; i = i->next) {
        if (!i->has_last || !is_ready(i))
            continue;
        i->value.json = buf_bytes(&i->last);
        format_set_field(&s->piece, &s->format, buf_bytes(&i->head), &i->value, first);
        first = false;
    }
}

/* A piece that is not whole would spoil those beside it. */
static void put_piece(struct pub_stream *s, const struct pub_item *item, uint32_t values)
{
    if (s->piece.bad) {
        let_go(s, values);
        return;
    }
    begin_piece(s, s->piece.len);
    buf_add_bytes(&s->batch.body, buf_bytes(&s->piece));
    buf_add_bytes(&s->batch.lasts, buf_bytes(&s->piece_lasts));
    buf_reset(&s->piece_lasts);
    s->batch.at = s->piece_at;
    end_piece(s, item, values);
}

static void close_set(struct pub_stream *s, const struct pub_item *item)
{
    if (!s->piece_open)
        return;
    s->piece_open = false;
    if (s->piece_key)
        put_last_values(s);
    format_set_close(&s->piece, &s->format, s->piece_key ? FORMAT_KEY : FORMAT_DELTA);
    put_piece(s, item, s->piece_values);
    s->piece_number++; /* no item is in the next one */
}

/* Twice the same field cannot be in one set. */
static void put_field(struct pub_item *i, const struct format_value *v)
{
    struct pub_stream *s = i->stream;
    if (i->piece == s->piece_number)
        close_set(s, NULL);
    if (!s->piece_open)
        open_set(s);
    if (!s->piece_key)
        format_set_field(&s->piece, &s->format, buf_bytes(&i->head), v, s->piece_values == 0);
    pub_keep_value(i);
    s->piece_at = s->now;
    i->piece = s->piece_number;
    s->piece_values++;
    if (s->of_node)
        close_set(s, i);
}

static void put_value(struct pub_item *i, const struct format_value *v)
{
    i->stream->session->all->count.waiting++;
    if (!is_ready(i))
        let_go(i->stream, 1);
    else if (format_is_samples(&i->stream->format))
        put_sample(i, v);
    else
        put_field(i, v);
}

/* ---- heartbeats ---- */

static void on_beat(struct timer *t);

static bool periodic(const struct pub_item *i)
{
    return i->heartbeat == NODES_PERIODIC_LKV || i->heartbeat == NODES_PERIODIC_LKG ||
           i->heartbeat == NODES_PERIODIC_LKV_DROP || i->heartbeat == NODES_PERIODIC_LKG_DROP;
}

static bool only_good(const struct pub_item *i)
{
    return i->heartbeat == NODES_WATCHDOG_LKG || i->heartbeat == NODES_PERIODIC_LKG ||
           i->heartbeat == NODES_WATCHDOG_LKG_TIMES || i->heartbeat == NODES_PERIODIC_LKG_DROP;
}

static bool drops(const struct pub_item *i)
{
    return i->heartbeat_ms > 0 &&
           (i->heartbeat == NODES_PERIODIC_LKV_DROP || i->heartbeat == NODES_PERIODIC_LKG_DROP);
}

static void start_beat(struct pub_item *i)
{
    if (i->heartbeat_ms > 0 && !(periodic(i) && timer_running(&i->beat)))
        timer_start(i->stream->session->all->loop, &i->beat, i->heartbeat_ms, on_beat);
}

static void new_times(struct pub_item *i)
{
    bool old = i->stream->format.old;
    if (i->heartbeat != NODES_WATCHDOG_LKV_TIMES && i->heartbeat != NODES_WATCHDOG_LKG_TIMES)
        return;
    i->value.source = old ? i->value.source + i->heartbeat_ms * 10000 : now_of(i->stream);
    i->value.server = old ? i->value.server + i->heartbeat_ms * 10000 : now_of(i->stream);
}

static void on_beat(struct timer *t)
{
    struct pub_item *i = (struct pub_item *)(void *)((char *)t - offsetof(struct pub_item, beat));
    struct pub_stream *s = i->stream;
    struct publisher *p = s->session->all;
    timer_start(p->loop, t, i->heartbeat_ms, on_beat);
    if (!i->has_last)
        return;
    new_times(i);
    i->value.json = buf_bytes(&i->last);
    p->count.repeated++;
    put_value(i, &i->value);
    close_set(s, NULL);
    if (s->batch_ms == 0)
        send_batch(s, s->topic);
    pub_ship(p);
    pub_show(p);
}

/* ---- values ---- */

static bool is_suppressed(const struct publisher_options *o, ua_status status)
{
    for (uint32_t k = 0; k < o->suppressed_count; k++)
        if (o->suppressed[k] == ua_code(status))
            return true;
    return false;
}

static struct format_value value_of(const struct ua_data_value *v)
{
    return (struct format_value){.status = v->has & UA_HAS_STATUS ? ua_code(v->status) : UA_GOOD,
                                 .has_source = v->has & UA_HAS_SOURCE_TIME,
                                 .source = v->source_time,
                                 .has_server = v->has & UA_HAS_SERVER_TIME,
                                 .server = v->server_time};
}

/* The server's queue was too short: said once, counted always. */
static void note_overflow(struct pub_item *i, const struct ua_data_value *v)
{
    enum { FLAGS = UA_INFO_DATA_VALUE | UA_OVERFLOW };
    struct pub_session *s = i->stream->session;
    char said[128];
    if (!(v->has & UA_HAS_STATUS) || (v->status & FLAGS) != FLAGS)
        return;
    s->all->count.overflows++;
    if (!i->overflowed)
        log_warn("opcua",
                 "FG5269 %s: %s changes faster than its queue of %u values takes until the next publishing: values are"
                 " missing. A larger QueueSize or a shorter publishing interval keeps them",
                 s->endpoint, bytes_escape(bytes_str(i->text), said, sizeof said), i->watch.queue);
    i->overflowed = true;
}

static void one_value(struct pub_item *i, const struct ua_change *change, struct buf *scratch)
{
    const struct ua_data_value *data = &change->value;
    struct pub_stream *s = i->stream;
    struct publisher *p = s->session->all;
    struct format_value v = value_of(data);
    bool bad = ua_is_bad(v.status), keep = i->keep_last && !(bad && only_good(i));
    i->values++;
    s->session->values++;
    note_overflow(i, data);
    if (i->skip || is_suppressed(&p->options, v.status)) {
        *(i->skip ? &p->count.skipped : &p->count.suppressed) += 1;
        i->skip = false;
        return;
    }
    struct buf *json = keep ? &i->last : scratch;
    buf_reset(json);
    if (data->has & UA_HAS_VALUE && data->value.type != UA_NULL && !bad) {
        note_type(i, &data->value);
        write_value(s, json, &data->value);
    }
    v.json = buf_bytes(json);
    if (json->bad) {
        i->has_last = i->has_last && !keep;
        p->count.waiting++;
        let_go(s, 1);
        return;
    }
    if (keep) {
        i->value = v;
        i->has_last = true;
    }
    start_beat(i);
    if (drops(i)) {
        p->count.replaced++;
        return;
    }
    s->hand = change;
    put_value(i, &v);
    s->hand = NULL;
}

static void on_silent(struct timer *t);

static void take_changes(struct pub_stream *s, const struct ua_changes *c)
{
    struct publisher *p = s->session->all;
    struct buf scratch = {0};
    for (size_t k = 0; k < c->count; k++) {
        if (c->sequence)
            s->now =
                (struct kept_place){.sub = c->subscription,
                                    .sequence = c->sequence,
                                    .index = c->last && k + 1 == c->count ? UINT32_MAX : c->at[k].index,
                                    .published = c->published};
        struct pub_item *i = c->at[k].handle < s->handles ? s->by_handle[c->at[k].handle] : NULL;
        if (i)
            one_value(i, &c->at[k], &scratch);
        else
            p->count.skipped++; /* taken out of the file meanwhile */
    }
    buf_clear(&scratch);
    if (c->last) {
        p->count.notifications++;
        close_set(s, NULL);
        if (c->message) {
            s->complete = c->message;
            s->complete_sub = c->subscription;
        }
        if (s->batch_ms == 0)
            send_batch(s, s->topic);
        if (!s->batch.pieces)
            pub_promise(s, s->complete);
        if (s->keep_alives)
            timer_start(p->loop, &s->silent, s->wanted.keep_alive_ms, on_silent);
    }
    pub_ship(p);
    pub_show(p);
}

void pub_stream_came(struct pub_stream *s, const struct ua_changes *c)
{
    s->session->all->count.received += c->count;
    if (!pub_stall(s, c))
        take_changes(s, c);
    else
        pub_show(s->session->all);
}

static void on_changes(void *ctx, struct ua_subscription *sub, const struct ua_changes *c)
{
    (void)sub;
    pub_stream_came(ctx, c);
}

void pub_stream_take(struct pub_stream *s, const struct ua_changes *c)
{
    take_changes(s, c);
}

static void on_silent(struct timer *t)
{
    struct pub_stream *s = (struct pub_stream *)(void *)((char *)t - offsetof(struct pub_stream, silent));
    timer_start(s->session->all->loop, t, s->wanted.keep_alive_ms, on_silent);
    if (!s->session->up || format_is_samples(&s->format))
        return;
    buf_reset(&s->piece);
    format_set_open(&s->piece, &s->format, FORMAT_KEEP_ALIVE, ++s->sequence, now_of(s));
    format_set_close(&s->piece, &s->format, FORMAT_KEEP_ALIVE);
    put_piece(s, NULL, 0);
    pub_ship(s->session->all);
}

/* ---- what the server says of items ---- */

void pub_item_status(struct pub_item *i, ua_status status)
{
    struct pub_stream *s = i->stream;
    struct publisher_glance *g = &s->session->all->count;
    char scratch[16], said[128];
    g->nodes_good -= i->added && !ua_is_bad(i->status);
    s->session->good -= i->added && !ua_is_bad(i->status);
    s->session->good += !ua_is_bad(status);
    g->nodes_bad -= i->added && ua_is_bad(i->status);
    i->skip = i->skip_first && !i->added; /* what is told again after a reconnect is left out by the client */
    i->added = true;
    i->status = status;
    g->nodes_good += !ua_is_bad(status);
    g->nodes_bad += ua_is_bad(status);
    if (ua_is_bad(status) && !i->said)
        log_warn("opcua", "FG5245 %s has no values of %s: %s. It is tried again; the others go on",
                 s->session->endpoint, bytes_escape(bytes_str(i->text), said, sizeof said),
                 ua_status_text(status, scratch));
    else if (!ua_is_bad(status) && i->said)
        log_info("opcua", "FG5246 %s gives values of %s now", s->session->endpoint,
                 bytes_escape(bytes_str(i->text), said, sizeof said));
    i->said = ua_is_bad(status);
    pub_show(s->session->all);
}

static void on_item(void *ctx, struct ua_subscription *sub, uint32_t handle, ua_status status,
                    double sampling_ms, uint32_t queue)
{
    const struct pub_stream *s = ctx;
    struct pub_item *i = handle < s->handles ? s->by_handle[handle] : NULL;
    (void)sub;
    (void)sampling_ms;
    (void)queue;
    if (i)
        pub_item_status(i, status);
}

static void on_gap(void *ctx, struct ua_subscription *sub, const struct ua_gap *gap)
{
    struct pub_stream *s = ctx;
    (void)sub;
    s->session->all->count.lost += gap->lost_messages;
    log_warn("opcua", "FG%04d %s: %s", gap->why.number, s->session->endpoint, gap->why.text);
}

static void on_items(void *ctx, struct ua_subscription *sub, bool settled)
{
    (void)sub;
    pub_keep_items(ctx, settled);
}

const struct ua_subscription_events pub_stream_events = {
    .on_changes = on_changes, .on_item = on_item, .on_gap = on_gap, .on_items = on_items};

/* ---- life ---- */

/* False: no memory. */
static bool fill_topic(struct pub_item *i)
{
    struct pub_stream *s = i->stream;
    struct publisher *p = s->session->all;
    char out[TOPIC_MOST + 1];
    struct bytes v[TOPIC_VARIABLES] = {[TOPIC_PUBLISHER_ID] = bytes_str(s->format.publisher_id),
                                       [TOPIC_SITE] = bytes_str(p->options.site),
                                       [TOPIC_WRITER_GROUP] = s->format.group[0]
                                                                  ? bytes_str(s->format.group)
                                                                  : topic_host(s->session->endpoint),
                                       [TOPIC_WRITER] = bytes_str(s->format.writer),
                                       [TOPIC_DATASET_NAME] = bytes_str(s->format.dataset),
                                       [TOPIC_ENDPOINT] = topic_host(s->session->endpoint),
                                       [TOPIC_DISPLAY_NAME] = bytes_str(i->name),
                                       [TOPIC_NODE_ID] = bytes_str(i->text),
                                       [TOPIC_FIELD_ID] = bytes_str(i->field ? i->field : i->name),
                                       [TOPIC_BROWSE_PATH] = bytes_str(i->path ? i->path : i->name)};
    if (!s->of_node || !topic_fill(s->template, v, out))
        return true;
    mem_free(i->topic);
    i->topic = mem_strdup(out);
    return i->topic;
}

/* As it is to be shown: as written, or as an option says. */
static void id_text(struct pub_item *i, struct buf *out)
{
    const struct ua_client *c = i->stream->session->client;
    enum publisher_node_ids how = options_of(i->stream)->node_ids;
    struct ua_node_id id;
    struct ua_expanded_node_id e = i->node;
    buf_reset(out);
    if (how == NODE_IDS_INDEX && c && ua_client_resolve(c, &i->node, &id)) {
        ua_node_id_format(out, &id);
    } else if (how == NODE_IDS_EXPANDED && c) {
        e.uri = e.uri.at ? e.uri : e.id.ns ? ua_client_namespace(c, e.id.ns) : BYTES_NONE;
        ua_expanded_format(out, &e);
    } else if (how == NODE_IDS_URI && c) { /* "http://ns#i=6076" */
        struct bytes uri = e.uri.at ? e.uri : e.id.ns ? ua_client_namespace(c, e.id.ns) : BYTES_NONE;
        e.id.ns = 0;
        if (uri.len)
            buf_printf(out, "%.*s#", BYTES_FMT(uri));
        ua_node_id_format(out, &e.id);
    } else {
        buf_add_bytes(out, bytes_str(i->text));
    }
}

void pub_item_ready(struct pub_item *i)
{
    struct buf id = {0}, expanded = {0};
    struct pub_stream *s = i->stream;
    const struct ua_client *c = s->session->client;
    struct ua_expanded_node_id e = i->node;
    id_text(i, &id);
    if (!e.uri.at && e.id.ns && c)
        e.uri = ua_client_namespace(c, e.id.ns);
    ua_expanded_format(&expanded, &e);
    struct format_node n = {.id = buf_bytes(&id),
                            .expanded = buf_bytes(&expanded),
                            .name = bytes_str(i->name),
                            .field = bytes_str(i->field ? i->field : i->name)};
    buf_reset(&i->head);
    if (format_is_samples(&s->format))
        format_head(&i->head, &s->format, &n);
    else
        format_name(&i->head, &n);
    i->head.bad = i->head.bad || id.bad || expanded.bad || !fill_topic(i);
    buf_clear(&id);
    buf_clear(&expanded);
}

static void on_meta(struct timer *t)
{
    struct pub_stream *s = (struct pub_stream *)(void *)((char *)t - offsetof(struct pub_stream, meta));
    timer_start(s->session->all->loop, t, s->metadata_ms, on_meta);
    send_metadata(s);
    pub_ship(s->session->all);
}

void pub_stream_begin(struct pub_stream *s)
{
    struct loop *loop = s->session->all->loop;
    if (s->metadata && s->metadata_ms > 0)
        timer_start(loop, &s->meta, s->metadata_ms, on_meta);
    if (s->keep_alives && !format_is_samples(&s->format))
        timer_start(loop, &s->silent, s->wanted.keep_alive_ms, on_silent);
}

void pub_stream_stop(struct pub_stream *s)
{
    struct loop *loop = s->session->all->loop;
    timer_stop(loop, &s->meta);
    timer_stop(loop, &s->silent);
    pub_unstall(s, true);
    close_set(s, NULL);
    pub_stream_flush(s);
}

void pub_item_stop(struct pub_item *i)
{
    timer_stop(i->stream->session->all->loop, &i->beat);
}
