/* Data change filters (Part 4, 7.22.2; Part 8, 6.2 for the percent of EURange). */
#include "uaserver/subscription.h"

#include <math.h>

enum { ARRAY_BYTES = 16 << 20 };

/* ---- what a client asks for ---- */

static bool is_numeric(struct ua_space *space, const struct ua_variable *v)
{
    if (v->builtin)
        return ua_is_number(v->builtin);
    return ua_is_subtype(space, &v->data_type, &UA_NS0(UA_ID_NUMBER_TYPE));
}

/* EURange of an analog item. */
static bool range_of(struct uas_request *r, const struct ua_node *n, struct ua_range *out)
{
    struct ua_node *property = ua_child(n, 0, BYTES_LIT("EURange"));
    if (!ua_as_variable(property))
        return false;
    struct ua_value v;
    struct ua_variant read;
    ua_read_attribute(r->server->space, &r->session->user, property, UA_ATTR_VALUE, NULL, &v);
    struct ua_reader like = ua_reader_of(BYTES_NONE, r->arena, NULL);
    bool found = v.len && ua_value_read(&v, r->arena, &read) && read.type == UA_EXTENSION_OBJECT && !read.array &&
                 ua_object_read(&like, read.at, &ua_range_type, out);
    ua_value_drop(&v);
    return found && out->high >= out->low;
}

static ua_status check_deadband(struct uas_request *r, struct ua_node *n, const struct ua_data_change_filter *f,
                                struct uas_data_filter *out)
{
    if (f->deadband_type == UA_DEADBAND_NONE)
        return UA_GOOD;
    if (!is_numeric(r->server->space, ua_as_variable(n)))
        return UA_BAD_FILTER_NOT_ALLOWED;
    if (f->deadband_type > UA_DEADBAND_PERCENT)
        return UA_BAD_MONITORED_ITEM_FILTER_UNSUPPORTED;
    if (!(f->deadband_value >= 0) || isinf(f->deadband_value))
        return UA_BAD_DEADBAND_FILTER_INVALID;
    out->deadband = (uint8_t)f->deadband_type;
    out->value = f->deadband_value;
    if (f->deadband_type == UA_DEADBAND_ABSOLUTE)
        return UA_GOOD;
    struct ua_range range;
    if (!range_of(r, n, &range))
        return UA_BAD_MONITORED_ITEM_FILTER_UNSUPPORTED;
    if (f->deadband_value > 100)
        return UA_BAD_DEADBAND_FILTER_INVALID;
    out->value = f->deadband_value / 100 * (range.high - range.low);
    return UA_GOOD;
}

ua_status uas_data_filter_read(struct uas_request *r, struct ua_node *n, uint32_t attribute, const struct ua_extension_object *o,
                               struct uas_data_filter *out)
{
    *out = (struct uas_data_filter){ .trigger = UA_TRIGGER_STATUS_VALUE };
    if (o->kind == UA_BODY_NONE && ua_node_id_is_null(&o->type))
        return UA_GOOD;
    if (o->type.ns || o->type.kind != UA_ID_NUMBER || o->kind != UA_BODY_BINARY)
        return UA_BAD_MONITORED_ITEM_FILTER_INVALID;
    if (o->type.number == UA_ENCODING_event_filter)
        return UA_BAD_FILTER_NOT_ALLOWED;
    if (o->type.number == 730) /* AggregateFilter */
        return UA_BAD_MONITORED_ITEM_FILTER_UNSUPPORTED;
    struct ua_data_change_filter f;
    if (!ua_object_read(&r->in, o, &ua_data_change_filter_type, &f))
        return UA_BAD_MONITORED_ITEM_FILTER_INVALID;
    if (attribute != UA_ATTR_VALUE)
        return UA_BAD_FILTER_NOT_ALLOWED;
    if (f.trigger < UA_TRIGGER_STATUS || f.trigger > UA_TRIGGER_STATUS_VALUE_TIMESTAMP)
        return UA_BAD_MONITORED_ITEM_FILTER_INVALID;
    out->trigger = (uint8_t)f.trigger;
    return check_deadband(r, n, &f, out);
}

/* ---- what gets through ---- */

/* False for NaN on both sides, true for NaN on one. */
static bool apart(double a, double b, double by)
{
    if (isnan(a) || isnan(b))
        return !(isnan(a) && isnan(b));
    return a != b && !(fabs(a - b) <= by); /* two infinities of one sign are the same */
}

static bool arrays_apart(const struct ua_value *a, const struct ua_value *b, double by)
{
    struct arena memory;
    struct ua_variant x, y;
    arena_init(&memory, NULL, 0, ARRAY_BYTES);
    bool differ = true; /* what cannot be compared is reported */
    if (ua_value_read(a, &memory, &x) && ua_value_read(b, &memory, &y) && x.type == y.type && x.array && y.array &&
        x.count == y.count && x.dims_count == y.dims_count && ua_is_number(x.type)) {
        differ = false;
        for (uint32_t i = 0; i < x.count && !differ; i++) {
            struct ua_variant one, other;
            double p = 0, q = 0;
            ua_item_variant(&x, i, &one);
            ua_item_variant(&y, i, &other);
            differ = !ua_number(&one, &p) || !ua_number(&other, &q) || apart(p, q, by);
        }
    }
    arena_clear(&memory);
    return differ;
}

static bool values_apart(const struct uas_item *i, const struct ua_value *v)
{
    if (ua_value_same(&i->last, v))
        return false;
    if (i->deadband == UA_DEADBAND_NONE)
        return true;
    double a, b;
    bool array_a, array_b;
    if (ua_value_type(v, &array_a) != ua_value_type(&i->last, &array_b) || array_a != array_b)
        return true;
    if (array_a)
        return arrays_apart(&i->last, v, i->deadband_value);
    return !ua_value_number(v, &a) || !ua_value_number(&i->last, &b) || apart(a, b, i->deadband_value);
}

bool uas_passes(const struct uas_item *i, const struct ua_value *v)
{
    if (i->last.status != v->status)
        return true;
    if (i->trigger == UA_TRIGGER_STATUS)
        return false;
    /* With a deadband the time does not count [Part 4, 7.22.2]. */
    if (i->trigger == UA_TRIGGER_STATUS_VALUE_TIMESTAMP && i->deadband == UA_DEADBAND_NONE &&
        i->last.source_time != v->source_time)
        return true;
    return values_apart(i, v);
}
