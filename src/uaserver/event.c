/* Events: which fields a client selects, and how they get into its queue. */
#include "uaserver/event_filter.h"

#include "base/mem.h"

enum { FILTER_BYTES = 64 * 1024, SEVERITY = 100, EVENT_QUEUE_OVERFLOW = 3035 };

/* ---- fields ---- */

static const struct {
    const char *name;
    uint8_t     field;
} names[] = {
    { "EventId", FIELD_EVENT_ID },       { "EventType", FIELD_EVENT_TYPE },     { "SourceNode", FIELD_SOURCE_NODE },
    { "SourceName", FIELD_SOURCE_NAME }, { "Time", FIELD_TIME },                { "ReceiveTime", FIELD_RECEIVE_TIME },
    { "Message", FIELD_MESSAGE },        { "Severity", FIELD_SEVERITY },
};

void uas_event_variant(const struct uas_event *e, uint8_t field, struct ua_variant *out)
{
    switch (field) {
    case FIELD_EVENT_ID: *out = (struct ua_variant){ .type = UA_BYTE_STRING, .text = bytes_of(e->id, sizeof e->id) }; return;
    case FIELD_EVENT_TYPE: *out = (struct ua_variant){ .type = UA_NODE_ID, .at = &e->type }; return;
    case FIELD_SOURCE_NODE: *out = (struct ua_variant){ .type = UA_NODE_ID, .at = &e->source }; return;
    case FIELD_SOURCE_NAME: *out = (struct ua_variant){ .type = UA_STRING, .text = e->source_name }; return;
    case FIELD_TIME: *out = (struct ua_variant){ .type = UA_DATE_TIME, .time = e->time }; return;
    case FIELD_RECEIVE_TIME: *out = (struct ua_variant){ .type = UA_DATE_TIME, .time = e->receive_time }; return;
    case FIELD_MESSAGE: *out = (struct ua_variant){ .type = UA_LOCALIZED_TEXT, .at = &e->message }; return;
    case FIELD_SEVERITY: *out = (struct ua_variant){ .type = UA_UINT16, .u16 = e->severity }; return;
    default: *out = (struct ua_variant){ 0 };
    }
}

/* A property that the type, or one above it, declares. */
static bool declares(const struct ua_node *type, const struct ua_qualified_name *name)
{
    for (; type; type = ua_follow(type, UA_ID_HAS_SUBTYPE, true))
        if (ua_child(type, name->ns, name->name))
            return true;
    return false;
}

ua_status uas_event_operand(struct ua_space *space, const struct ua_simple_attribute_operand *o, uint8_t *field)
{
    const struct ua_node_id base = UA_NS0(UA_ID_BASE_EVENT_TYPE);
    struct ua_index_range range;
    *field = FIELD_NULL;
    const struct ua_node_id *type = ua_node_id_is_null(&o->type_definition_id) ? &base : &o->type_definition_id;
    const struct ua_node *n = ua_find(space, type);
    if (!n || !ua_is_subtype(space, type, &base))
        return UA_BAD_TYPE_DEFINITION_INVALID;
    if (!ua_range_parse(&range, o->index_range))
        return UA_BAD_INDEX_RANGE_INVALID;
    if (!o->browse_path_count) /* the event itself: conditions have a NodeId */
        return o->attribute_id == UA_ATTR_NODE_ID ? UA_GOOD : UA_BAD_ATTRIBUTE_ID_INVALID;
    if (o->attribute_id != UA_ATTR_VALUE)
        return UA_BAD_ATTRIBUTE_ID_INVALID;
    if (range.dims) /* all of them are scalars */
        return UA_BAD_INDEX_RANGE_INVALID;
    if (o->browse_path_count > 1 || !declares(n, &o->browse_path[0]))
        return UA_BAD_NODE_ID_UNKNOWN;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (o->browse_path[0].ns == 0 && bytes_is(o->browse_path[0].name, names[i].name))
            *field = names[i].field;
    return UA_GOOD;
}

/* ---- the filter ---- */

/* A clause that can never give a value is told of in the result, and its field is null in every event. */
static ua_status select_fields(struct uas_request *r, const struct ua_event_filter *f, struct uas_event_filter *out,
                               ua_status *results, bool *any_bad)
{
    for (uint32_t i = 0; i < f->select_clauses_count; i++) {
        results[i] = uas_event_operand(r->server->space, &f->select_clauses[i], &out->selected[i]);
        *any_bad |= results[i] != UA_GOOD;
    }
    out->count = f->select_clauses_count;
    return UA_GOOD;
}

/* The where clause outlives the request: the body is copied and read again from there. */
static bool keep_where(struct uas_request *r, struct uas_event_filter *f, const struct ua_extension_object *o)
{
    struct ua_event_filter *copy = arena_take(&f->memory, sizeof *copy);
    uint8_t *body = arena_take(&f->memory, o->body.len ? o->body.len : 1);
    if (!copy || !body)
        return false;
    memcpy(body, o->body.at, o->body.len);
    struct ua_reader again = ua_reader_of(bytes_of(body, o->body.len), &f->memory, r->in.limits);
    ua_read_struct(&again, &ua_event_filter_type, copy);
    f->where = &copy->where_clause;
    return ua_read_good(&again);
}

void uas_event_filter_free(struct uas_event_filter *f)
{
    if (f)
        arena_clear(&f->memory);
    mem_free(f);
}

static ua_status decode(struct uas_request *r, const struct ua_extension_object *o, struct ua_event_filter *f)
{
    bool standard = o->type.ns == 0 && o->type.kind == UA_ID_NUMBER;
    if (standard && (o->type.number == UA_ENCODING_data_change_filter || o->type.number == 730))
        return UA_BAD_FILTER_NOT_ALLOWED;
    if (!ua_object_read(&r->in, o, &ua_event_filter_type, f) || !f->select_clauses_count ||
        f->select_clauses_count > UAS_SELECT_MAX)
        return UA_BAD_EVENT_FILTER_INVALID;
    return UA_GOOD;
}

static ua_status fill(struct uas_request *r, const struct ua_extension_object *o, const struct ua_event_filter *f,
                      struct uas_event_filter *out, struct ua_extension_object *result)
{
    bool any_bad = false;
    struct ua_event_filter_result told = { 0 };
    ua_status *selected = arena_zero(r->arena, f->select_clauses_count * sizeof *selected);
    if (!selected)
        return UA_BAD_OUT_OF_MEMORY;
    (void)select_fields(r, f, out, selected, &any_bad);
    told.select_clause_results = selected;
    told.select_clause_results_count = f->select_clauses_count;
    ua_status status = uas_where_check(r->server->space, &f->where_clause, r->arena, &told.where_clause_result);
    if ((status || any_bad) && !ua_object_of(r->arena, &ua_event_filter_result_type, &told, result))
        return UA_BAD_OUT_OF_MEMORY;
    if (!status && f->where_clause.elements_count && !keep_where(r, out, o))
        return UA_BAD_OUT_OF_MEMORY;
    return status;
}

ua_status uas_event_filter_read(struct uas_request *r, const struct ua_extension_object *o, struct uas_event_filter **out,
                                struct ua_extension_object *result)
{
    struct ua_event_filter f;
    ua_status status = decode(r, o, &f);
    if (status)
        return status;
    struct uas_event_filter *kept = mem_zalloc(1, sizeof *kept);
    if (!kept)
        return UA_BAD_OUT_OF_MEMORY;
    arena_init(&kept->memory, NULL, 0, FILTER_BYTES);
    status = fill(r, o, &f, kept, result);
    if (status) {
        uas_event_filter_free(kept);
        return status;
    }
    *out = kept;
    return UA_GOOD;
}

/* ---- an event happens ---- */

/* Its fields as they go over the wire. */
static bool encode(const struct uas_item *i, const struct uas_event *e, struct ua_value *out)
{
    struct buf b = { 0 };
    *out = (struct ua_value){ 0 };
    buf_le32(&b, i->events->count);
    for (uint32_t k = 0; k < i->events->count; k++) {
        struct ua_variant v;
        uas_event_variant(e, i->events->selected[k], &v);
        ua_write_variant(&b, &v);
    }
    bool done = !b.bad && ua_value_set_bytes(out, buf_bytes(&b));
    buf_clear(&b);
    return done;
}

/* With the start of the server no number is used twice. */
static void give_id(struct ua_server *s, struct uas_event *e)
{
    uint64_t number = ++((struct uas_subscriptions *)s->subs)->last_event;
    memcpy(e->id, &s->start_time, 8);
    memcpy(e->id + 8, &number, 8);
}

bool uas_event_notice(const struct uas_item *i, struct ua_value *out)
{
    struct ua_server *s = i->sub->server;
    struct uas_event e = {
        .type = UA_NS0(EVENT_QUEUE_OVERFLOW),
        .source = UA_NS0(UA_ID_SERVER),
        .source_name = BYTES_LIT("Server"),
        .message = { .text = BYTES_LIT("events were lost: the queue of this item is too small") },
        .time = ua_space_now(s->space),
        .receive_time = ua_space_now(s->space),
        .severity = SEVERITY,
    };
    give_id(s, &e);
    return encode(i, &e, out);
}

static void queue(struct uas_item *i, const struct uas_event *e)
{
    struct ua_value fields;
    if (encode(i, e, &fields))
        uas_enqueue(i, &fields);
    ua_value_drop(&fields);
}

static bool listens(const struct uas_item *i, const struct ua_node *source)
{
    const struct ua_node *n = i->watch.node;
    return n == source || ua_node_id_equal(&n->id, &UA_NS0(UA_ID_SERVER));
}

void ua_server_emit(struct ua_server *s, const struct ua_server_event *e)
{
    struct uas_subscriptions *all = s->subs;
    if (!all || !all->listeners.items)
        return;
    const struct ua_node *source = e->source ? e->source : ua_find0(s->space, UA_ID_SERVER);
    struct uas_event event = {
        .type = UA_NS0(e->type ? e->type : UA_ID_BASE_EVENT_TYPE),
        .source = source->id,
        .source_name = e->source_name.at ? e->source_name : source->display_name,
        .message = { .text = e->message },
        .time = e->time ? e->time : ua_space_now(s->space),
        .receive_time = ua_space_now(s->space),
        .severity = e->severity ? e->severity : SEVERITY,
    };
    give_id(s, &event);
    for (struct uas_item *i = all->listeners.items; i; i = i->next_sampled)
        if (listens(i, source) && (!i->events->where || uas_where_passes(s->space, i->events->where, &event)))
            queue(i, &event);
}
