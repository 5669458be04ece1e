/* Write: values only, each checked for itself. */
#include "uaserver/fit.h"
#include "uaserver/serve.h"

/* Who may write what. */
static ua_status check_target(const struct uas_request *r, struct ua_node *n, const struct ua_write_value *w)
{
    if (!n)
        return UA_BAD_NODE_ID_UNKNOWN;
    if (!ua_has_attribute(n, w->attribute_id))
        return UA_BAD_ATTRIBUTE_ID_INVALID;
    const struct ua_variable *v = ua_as_variable(n);
    if (w->attribute_id != UA_ATTR_VALUE || n->node_class != UA_CLASS_VARIABLE || !(v->access & UA_ACCESS_WRITE))
        return UA_BAD_NOT_WRITABLE;
    if (!r->session->user.may_write)
        return UA_BAD_USER_ACCESS_DENIED;
    const struct ua_data_value *d = &w->value;
    if (d->has & (UA_HAS_SERVER_TIME | UA_HAS_SERVER_PICO | UA_HAS_SOURCE_PICO) ||
        (d->has & UA_HAS_STATUS && d->status != UA_GOOD && !(v->access & UA_ACCESS_STATUS_WRITE)) ||
        (d->has & UA_HAS_SOURCE_TIME && !(v->access & UA_ACCESS_TIMESTAMP_WRITE)))
        return UA_BAD_WRITE_NOT_SUPPORTED;
    return UA_GOOD;
}

/* A part of an array, merged into what is there. */
static ua_status merge(struct uas_request *r, struct ua_variable *v, const struct ua_index_range *range, struct ua_variant *part)
{
    struct ua_variant whole, merged;
    struct ua_value now = { 0 };
    ua_status status = UA_GOOD;
    if (v->ops && v->ops->read)
        status = v->ops->read(v->ctx, v, &now);
    else
        ua_value_copy(&now, &v->value);
    if (status == UA_GOOD && !uas_work(r, &now))
        status = UA_BAD_RESOURCE_UNAVAILABLE;
    /* The copy in the arena outlives `now`. */
    if (status == UA_GOOD && !(ua_value_read(&now, r->arena, &whole) && ua_variant_copy(r->arena, &whole, &whole)))
        status = UA_BAD_OUT_OF_MEMORY;
    ua_value_drop(&now);
    if (status == UA_GOOD && part->type == UA_BYTE_STRING && !part->array && whole.type == UA_BYTE)
        *part = (struct ua_variant){ .type = UA_BYTE, .array = true, .count = (uint32_t)part->text.len, .at = part->text.at };
    if (status == UA_GOOD)
        status = ua_range_put(range, &whole, part, r->arena, &merged);
    if (status == UA_GOOD)
        *part = merged;
    return status;
}

static ua_status store(struct uas_request *r, struct ua_variable *v, const struct ua_data_value *d)
{
    if (v->ops && v->ops->write) {
        ua_status status = v->ops->write(v->ctx, v, &r->session->user, d);
        if (status != UA_GOOD)
            return status;
    }
    if (v->ops && v->ops->read)
        return UA_GOOD;
    return ua_set_value(r->server->space, v, d) ? UA_GOOD : UA_BAD_OUT_OF_MEMORY;
}

static ua_status write_one(struct uas_request *r, const struct ua_write_value *w)
{
    struct ua_node *n = ua_find(r->server->space, &w->node_id);
    ua_status status = check_target(r, n, w);
    if (status != UA_GOOD)
        return status;
    struct ua_index_range range;
    if (!ua_range_parse(&range, w->index_range))
        return UA_BAD_INDEX_RANGE_INVALID;
    struct ua_variable *v = ua_as_variable(n);
    struct ua_data_value d = w->value;
    if (!(d.has & UA_HAS_VALUE))
        d.value = (struct ua_variant){ 0 };
    d.has |= UA_HAS_VALUE;
    if (range.dims)
        status = merge(r, v, &range, &d.value);
    if (status != UA_GOOD)
        return status;
    struct ua_shape shape = ua_shape_of(v);
    return ua_fits(&shape, &d.value) ? store(r, v, &d) : UA_BAD_TYPE_MISMATCH;
}

void uas_write_service(struct uas_request *r)
{
    struct ua_write_request q;
    if (!uas_read(r, &ua_write_request_type, &q) || !uas_count(r, q.nodes_to_write_count))
        return;
    ua_status *results = arena_take(r->arena, q.nodes_to_write_count * sizeof *results);
    if (!results) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < q.nodes_to_write_count; i++) {
        struct arena_mark mark = arena_mark(r->arena); /* a part of a long array takes room for the whole */
        results[i] = write_one(r, &q.nodes_to_write[i]);
        arena_release(r->arena, mark);
    }
    uas_add(&uas_counters.writes, q.nodes_to_write_count);
    struct ua_write_response a = { .results = results, .results_count = q.nodes_to_write_count };
    uas_answer(r, &ua_write_response_type, &a);
}
