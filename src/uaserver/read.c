/* read.c - Read. The request is decoded and answered in one pass: what was found is copied as it lies in the node. */
#include "uaserver/serve.h"

static bool is_plain(const struct ua_read_value_id *id)
{
    return id->attribute_id == UA_ATTR_VALUE && !id->index_range.len && !id->data_encoding.name.len;
}

/* The value of a variable that needs nobody's help. */
static bool write_plain(struct uas_request *r, const struct ua_read_value_id *id, enum ua_timestamps times, struct buf *out)
{
    struct ua_node *n = is_plain(id) ? ua_find(r->server->space, &id->node_id) : NULL;
    if (!n || n->node_class != UA_CLASS_VARIABLE)
        return false;
    struct ua_variable *v = ua_as_variable(n);
    if (!(v->access & UA_ACCESS_READ) || (v->ops && v->ops->read))
        return false;
    struct ua_value now = v->value; /* borrowed: a view for this moment */
    now.server_time = ua_space_now(r->server->space);
    ua_value_write(out, &now, times);
    return true;
}

/* A part of a value, and this request has asked for enough of those. */
static bool too_much(struct uas_request *r, const struct ua_read_value_id *id)
{
    struct ua_node *n = id->index_range.len ? ua_find(r->server->space, &id->node_id) : NULL;
    const struct ua_variable *v = ua_as_variable(n);
    return v && !uas_work(r, &v->value);
}

static void write_any(struct uas_request *r, const struct ua_read_value_id *id, enum ua_timestamps times, struct buf *out)
{
    struct ua_value v = { .status = UA_BAD_RESOURCE_UNAVAILABLE };
    if (!too_much(r, id))
        ua_read_one(r->server->space, &r->session->user, id, &v);
    if (id->attribute_id != UA_ATTR_VALUE)
        v.source_time = 0;
    ua_value_write(out, &v, times);
    ua_value_drop(&v);
}

/* Good: all of them were written. */
static ua_status write_results(struct uas_request *r, uint32_t count, enum ua_timestamps times, struct buf *out)
{
    size_t most = (size_t)uas_body_max(r), start = buf_size(out);
    for (uint32_t i = 0; i < count; i++) {
        struct ua_read_value_id id;
        ua_read_node_id(&r->in, &id.node_id);
        id.attribute_id = wire_le32(&r->in.wire);
        id.index_range = ua_read_string(&r->in);
        id.data_encoding.ns = wire_le16(&r->in.wire);
        id.data_encoding.name = ua_read_string(&r->in);
        if (r->in.wire.bad)
            return r->in.status ? r->in.status : UA_BAD_DECODING_ERROR;
        if (!write_plain(r, &id, times, out))
            write_any(r, &id, times, out);
        if (buf_size(out) - start > most) /* a few bytes ask for a long value, many times */
            return UA_BAD_RESPONSE_TOO_LARGE;
    }
    return UA_GOOD;
}

static ua_status check_read(double max_age, int32_t times)
{
    if (!(max_age >= 0)) /* NaN, too */
        return UA_BAD_MAX_AGE_INVALID;
    return times < UA_TIMES_SOURCE || times > UA_TIMES_NEITHER ? UA_BAD_TIMESTAMPS_TO_RETURN_INVALID : UA_GOOD;
}

void uas_read_service(struct uas_request *r)
{
    double max_age;
    int32_t times;
    bool null;
    ua_read_builtin(&r->in, UA_DOUBLE, &max_age);
    ua_read_builtin(&r->in, UA_INT32, &times);
    uint32_t count = ua_read_count(&r->in, 16, &null);
    ua_status status = !ua_read_good(&r->in) ? r->in.status ? r->in.status : UA_BAD_DECODING_ERROR : check_read(max_age, times);
    if (status != UA_GOOD) {
        uas_fault(r, status);
        return;
    }
    if (!uas_count(r, count))
        return;
    uas_add(&uas_counters.reads, count);
    struct buf *out = uas_begin(r, UA_ENCODING_read_response);
    buf_le32(out, count);
    status = write_results(r, count, (enum ua_timestamps)times, out);
    if (status == UA_GOOD) {
        buf_le32(out, 0); /* diagnostics */
        uas_end(r);
        return;
    }
    uas_undo(r);
    uas_fault(r, status);
}
