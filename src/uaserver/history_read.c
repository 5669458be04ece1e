/* history_read.c - HistoryRead of raw values, from the ring of a variable.
 *
 * With bounds, the values on both sides of the interval come along, or BadBoundNotFound in their place.
 *
 * Values are looked at in the order in which they came, and chosen by their source time. A continuation point is the number of
 * the value to go on at; the client sends its question along again, so nothing is kept here between two calls.
 */
#include "uaserver/history.h"
#include "uaserver/serve.h"

enum { VALUES_MAX = 10000 /* of one response */, POINT_BYTES = 8 };

struct question {
    ua_time  from, to; /* from <= t < to, or t == from == to */
    bool     backward;
    bool     bounds;   /* the values next to the two ends are wanted, too */
    ua_time  begin, stop; /* as they were asked for; stop 0: none */
    uint32_t most;     /* values of a node, 0: as many as there are */
    enum ua_timestamps times;
};

/* Two of start, end and number have to be there [Part 11, 6.4.3.2]. */
static ua_status understand(const struct ua_read_raw_modified_details *d, struct question *q)
{
    bool start = d->start_time != 0, end = d->end_time != 0;
    if (d->is_read_modified)
        return UA_BAD_HISTORY_OPERATION_UNSUPPORTED;
    if (start + end + (d->num_values_per_node != 0) < 2)
        return UA_BAD_HISTORY_OPERATION_INVALID;
    q->most = d->num_values_per_node;
    q->bounds = d->return_bounds;
    q->begin = start ? d->start_time : d->end_time;
    q->stop = start ? d->end_time : 0;
    q->backward = !start || (end && d->start_time > d->end_time);
    if (q->backward) { /* from its start down to, and without, its end */
        q->from = start && end ? d->end_time + 1 : 0;
        q->to = (start ? d->start_time : d->end_time);
        q->to = q->to == INT64_MAX ? q->to : q->to + 1;
    } else {
        q->from = d->start_time;
        q->to = end ? d->end_time : INT64_MAX;
    }
    return UA_GOOD;
}

static bool chosen(const struct question *q, const struct ua_value *v)
{
    return v->source_time >= q->from && (v->source_time < q->to || (q->from == q->to && v->source_time == q->to));
}

static void patch32(struct buf *out, size_t place, uint32_t v)
{
    if (out->bad)
        return;
    uint8_t *at = out->at + out->from + place;
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static void write_empty(struct buf *out, ua_status status)
{
    buf_le32(out, status);
    ua_write_string(out, BYTES_NONE);
    ua_write_object(out, &(struct ua_extension_object){ 0 });
}

static bool read_point(struct bytes point, uint64_t *k)
{
    struct wire w = wire_of(point);
    *k = wire_le64(&w);
    return !w.bad && !wire_left(&w);
}

/* ---- one node ---- */

struct walk {
    struct buf *out;
    size_t      most_bytes;
    uint32_t   *budget; /* values left in this response */
};

/* The last value up to that time, or the first one from it on. NULL: none. */
static const struct ua_value *nearest(const struct ua_history *h, ua_time t, bool before)
{
    const struct ua_value *found = NULL, *v;
    for (uint64_t k = h->first; (v = ua_history_at(h, k)) != NULL; k++)
        if (before ? v->source_time <= t && (!found || v->source_time >= found->source_time)
                   : v->source_time >= t && (!found || v->source_time < found->source_time))
            found = v;
    return found;
}

static void write_bound(const struct ua_history *h, const struct question *q, ua_time t, bool before, struct walk *w)
{
    const struct ua_value *v = nearest(h, t, before);
    const struct ua_value none = { .status = UA_BAD_BOUND_NOT_FOUND, .source_time = t, .server_time = t };
    ua_value_write(w->out, v ? v : &none, q->times);
    *w->budget -= *w->budget > 0;
}

/* Before the first value, unless that stands at this very time: then it is its own bound. */
static uint32_t write_first_bound(const struct ua_history *h, const struct question *q, struct walk *w)
{
    const struct ua_value *v = nearest(h, q->begin, !q->backward);
    if (v && v->source_time == q->begin)
        return 0;
    write_bound(h, q, q->begin, !q->backward, w);
    return 1;
}

/* Writes the values; *next is the one to go on at, *more whether there is one. */
static uint32_t write_values(const struct ua_history *h, const struct question *q, uint64_t k, struct walk *w, uint32_t n,
                             uint64_t *next, bool *more)
{
    *more = false;
    for (const struct ua_value *v; (v = ua_history_at(h, k)) != NULL; k += q->backward ? UINT64_MAX : 1) {
        if (!chosen(q, v))
            continue;
        if ((q->most && n == q->most) || !*w->budget || buf_size(w->out) + ua_value_room(v) > w->most_bytes) {
            *next = k;
            *more = true;
            break;
        }
        ua_value_write(w->out, v, q->times);
        --*w->budget;
        n++;
    }
    return n;
}

/* The result is written with room for a point in front, which is made good behind. */
static void write_history(const struct ua_history *h, const struct question *q, uint64_t k, bool first, struct walk *w)
{
    struct buf *out = w->out;
    size_t head = buf_size(out);
    uint8_t point[POINT_BYTES] = { 0 };
    buf_le32(out, UA_GOOD);
    ua_write_string(out, bytes_of(point, sizeof point));
    ua_write_node_id(out, &UA_NS0(UA_ENCODING_history_data));
    buf_u8(out, UA_BODY_BINARY);
    size_t length = buf_size(out);
    buf_le32(out, 0);
    buf_le32(out, 0); /* count */
    uint64_t next = 0;
    bool more;
    uint32_t n = q->bounds && first ? write_first_bound(h, q, w) : 0;
    n = write_values(h, q, k, w, n, &next, &more);
    if (q->bounds && q->stop && q->stop != q->begin && !more) {
        write_bound(h, q, q->stop, q->backward, w);
        n++;
    }
    patch32(out, length, (uint32_t)(buf_size(out) - length - 4));
    patch32(out, length + 4, n);
    if (out->bad)
        return;
    if (!n && !more)
        patch32(out, head, UA_GOOD_NO_DATA);
    if (more) {
        patch32(out, head + 8, (uint32_t)next);
        patch32(out, head + 12, (uint32_t)(next >> 32));
        return;
    }
    /* No point: the bytes behind it move up. */
    uint8_t *at = out->at + out->from + head + 4;
    memmove(at + 4, at + 4 + POINT_BYTES, out->len - out->from - head - 8 - POINT_BYTES);
    out->len -= POINT_BYTES;
    patch32(out, head + 4, UINT32_MAX);
}

static ua_status check_node(struct uas_request *r, const struct ua_history_read_value_id *id, const struct ua_variable **out)
{
    struct ua_node *n = ua_find(r->server->space, &id->node_id);
    const struct ua_variable *v = n && n->node_class == UA_CLASS_VARIABLE ? ua_as_variable(n) : NULL;
    *out = v;
    if (!n)
        return UA_BAD_NODE_ID_UNKNOWN;
    if (!v || !(v->access & UA_ACCESS_HISTORY_READ) || !v->history)
        return UA_BAD_HISTORY_OPERATION_UNSUPPORTED;
    if (id->index_range.len)
        return UA_BAD_INDEX_RANGE_INVALID;
    return id->data_encoding.name.len && !bytes_is(id->data_encoding.name, "Default Binary") ? UA_BAD_DATA_ENCODING_UNSUPPORTED
                                                                                              : UA_GOOD;
}

static void read_one(struct uas_request *r, const struct ua_history_read_value_id *id, const struct question *q, struct walk *w)
{
    const struct ua_variable *v;
    ua_status status = check_node(r, id, &v);
    if (status != UA_GOOD) {
        write_empty(w->out, status);
        return;
    }
    const struct ua_history *h = v->history;
    uint64_t k = q->backward ? h->first + h->count - 1 : h->first;
    if (id->continuation_point.len && !read_point(id->continuation_point, &k)) {
        write_empty(w->out, UA_BAD_CONTINUATION_POINT_INVALID);
        return;
    }
    if (!q->backward && k < h->first)
        k = h->first; /* those between have gone */
    write_history(h, q, k, !id->continuation_point.len, w);
}

/* ---- the service ---- */

static ua_status check_request(struct uas_request *r, const struct ua_history_read_request *q, struct question *out)
{
    struct ua_read_raw_modified_details d = { 0 };
    if (!ua_object_read(&r->in, &q->history_read_details, &ua_read_raw_modified_details_type, &d))
        return UA_BAD_HISTORY_OPERATION_UNSUPPORTED;
    if (q->timestamps_to_return < UA_TIMES_SOURCE || q->timestamps_to_return >= UA_TIMES_NEITHER)
        return UA_BAD_TIMESTAMPS_TO_RETURN_INVALID;
    out->times = (enum ua_timestamps)q->timestamps_to_return;
    return understand(&d, out);
}

void uas_history_read_service(struct uas_request *r)
{
    struct ua_history_read_request q;
    struct question question = { 0 };
    if (!uas_read(r, &ua_history_read_request_type, &q) || !uas_count(r, q.nodes_to_read_count))
        return;
    ua_status status = q.nodes_to_read_count > UAS_HISTORY_NODES ? UA_BAD_TOO_MANY_OPERATIONS : check_request(r, &q, &question);
    if (status != UA_GOOD) {
        uas_fault(r, status);
        return;
    }
    uint32_t budget = VALUES_MAX;
    struct buf *out = uas_begin(r, UA_ENCODING_history_read_response);
    struct walk w = { out, buf_size(out) + (size_t)uas_body_max(r) / 2, &budget };
    buf_le32(out, q.nodes_to_read_count);
    for (uint32_t i = 0; i < q.nodes_to_read_count; i++)
        if (q.release_continuation_points)
            write_empty(out, UA_GOOD); /* there is nothing to release */
        else
            read_one(r, &q.nodes_to_read[i], &question, &w);
    buf_le32(out, 0); /* diagnostics */
    uas_end(r);
}
