/* What the Server object says of the server: made when somebody asks, from where it is known. */
#include "uaserver/ns0.h"
#include "uaserver/serve.h"
#include "uaserver/subscription.h"

enum { ANSWER_BYTES = 64 * 1024 };

static void text(struct ua_variant *v, const char *t)
{
    *v = (struct ua_variant){ .type = UA_STRING, .text = bytes_str(t ? t : "") };
}

static void texts(struct ua_variant *v, struct bytes *list, uint32_t count)
{
    *v = (struct ua_variant){ .type = UA_STRING, .array = true, .count = count, .at = list };
}

static bool object(struct arena *a, struct ua_variant *v, const struct ua_struct *type, const void *in)
{
    struct ua_extension_object *o = arena_take(a, sizeof *o);
    if (!o || !ua_object_of(a, type, in, o))
        return false;
    *v = (struct ua_variant){ .type = UA_EXTENSION_OBJECT, .at = o };
    return true;
}

/* ---- names and namespaces ---- */

static bool array_value(struct ua_server *s, uint32_t id, struct arena *a, struct ua_variant *v)
{
    uint32_t count = id == UA_ID_SERVER_NAMESPACE_ARRAY ? ua_namespace_count(s->space) : 1;
    struct bytes *list = arena_zero(a, count * sizeof *list);
    if (!list)
        return false;
    switch (id) {
    case UA_ID_SERVER_NAMESPACE_ARRAY:
        for (uint32_t i = 0; i < count; i++)
            list[i] = ua_namespace_uri(s->space, (uint16_t)i);
        break;
    case UA_ID_SERVER_SERVER_ARRAY:
        list[0] = bytes_str(s->options.application_uri);
        break;
    case UA_ID_SERVER_SERVER_CAPABILITIES_LOCALE_ID_ARRAY:
        list[0] = BYTES_LIT("en");
        break;
    default: /* ServerProfileArray */
        list[0] = BYTES_LIT("http://opcfoundation.org/UA-Profile/Server/EmbeddedUA2017");
    }
    texts(v, list, count);
    return true;
}

/* ---- status ---- */

static struct ua_build_info build_info(const struct ua_server *s)
{
    const struct ua_server_options *o = &s->options;
    return (struct ua_build_info){
        .product_uri = bytes_str(o->product_uri ? o->product_uri : ""),
        .manufacturer_name = bytes_str(o->manufacturer ? o->manufacturer : ""),
        .product_name = bytes_str(o->product_name ? o->product_name : ""),
        .software_version = bytes_str(o->version ? o->version : ""),
        .build_number = bytes_str(o->build ? o->build : ""),
        .build_date = 0,
    };
}

static bool status_value(struct ua_server *s, uint32_t id, struct arena *a, struct ua_variant *v)
{
    static const struct ua_localized_text no_reason;
    struct ua_build_info build = build_info(s);
    struct ua_server_status_data_type status = { .start_time = s->start_time, .current_time = ua_space_now(s->space),
                                                 .state = (int32_t)s->state, .build_info = build };
    switch (id) {
    case UA_ID_SERVER_SERVER_STATUS: return object(a, v, &ua_server_status_data_type_type, &status);
    case UA_ID_SERVER_SERVER_STATUS_BUILD_INFO: return object(a, v, &ua_build_info_type, &build);
    case UA_ID_SERVER_SERVER_STATUS_START_TIME:
    case UA_ID_SERVER_SERVER_STATUS_CURRENT_TIME:
        *v = (struct ua_variant){ .type = UA_DATE_TIME,
                                  .time = id == UA_ID_SERVER_SERVER_STATUS_START_TIME ? status.start_time : status.current_time };
        return true;
    case UA_ID_SERVER_SERVER_STATUS_STATE: *v = (struct ua_variant){ .type = UA_INT32, .i32 = status.state }; return true;
    case UA_ID_SERVER_SERVER_STATUS_SECONDS_TILL_SHUTDOWN: *v = (struct ua_variant){ .type = UA_UINT32 }; return true;
    case UA_ID_SERVER_SERVER_STATUS_SHUTDOWN_REASON:
        *v = (struct ua_variant){ .type = UA_LOCALIZED_TEXT, .at = &no_reason };
        return true;
    case UA_ID_SERVER_SERVER_STATUS_BUILD_INFO_BUILD_DATE: *v = (struct ua_variant){ .type = UA_DATE_TIME }; return true;
    case UA_ID_SERVER_SERVER_STATUS_BUILD_INFO_PRODUCT_NAME: text(v, s->options.product_name); return true;
    case UA_ID_SERVER_SERVER_STATUS_BUILD_INFO_PRODUCT_URI: text(v, s->options.product_uri); return true;
    case UA_ID_SERVER_SERVER_STATUS_BUILD_INFO_MANUFACTURER_NAME: text(v, s->options.manufacturer); return true;
    case UA_ID_SERVER_SERVER_STATUS_BUILD_INFO_SOFTWARE_VERSION: text(v, s->options.version); return true;
    default: text(v, s->options.build); return true; /* BuildNumber */
    }
}

/* ---- limits ---- */

static uint32_t limit_of(const struct ua_server *s, uint32_t id)
{
    const struct ua_server_limits *l = &s->limits;
    switch (id) {
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_ARRAY_LENGTH: return l->codec.array;
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_STRING_LENGTH:
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_BYTE_STRING_LENGTH: return l->codec.string;
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_SESSIONS: return l->sessions;
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_SUBSCRIPTIONS: return l->sessions * l->subscriptions;
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_SUBSCRIPTIONS_PER_SESSION: return l->subscriptions;
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_MONITORED_ITEMS:
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_MONITORED_ITEMS_PER_SUBSCRIPTION: return l->items;
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_SELECT_CLAUSE_PARAMETERS: return UAS_SELECT_MAX;
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_MONITORED_ITEMS_QUEUE_SIZE: return l->queue;
    case UA_ID_SERVER_SERVER_CAPABILITIES_OPERATION_LIMITS_MAX_NODES_PER_HISTORY_READ_DATA: return UAS_HISTORY_NODES;
    default: return l->operations; /* OperationLimits */
    }
}

/* Only what the address space has below Server comes here. */
static bool value_of(struct ua_server *s, uint32_t id, struct arena *a, struct ua_variant *v)
{
    switch (id) {
    case UA_ID_SERVER_SERVER_ARRAY:
    case UA_ID_SERVER_NAMESPACE_ARRAY:
    case UA_ID_SERVER_SERVER_CAPABILITIES_LOCALE_ID_ARRAY:
    case UA_ID_SERVER_SERVER_CAPABILITIES_SERVER_PROFILE_ARRAY: return array_value(s, id, a, v);
    case UA_ID_SERVER_SERVICE_LEVEL: *v = (struct ua_variant){ .type = UA_BYTE, .u8 = 255 }; return true;
    case UA_ID_SERVER_AUDITING:
    case 2294: /* ServerDiagnostics.EnabledFlag */ *v = (struct ua_variant){ .type = UA_BOOLEAN }; return true;
    case 3709: /* ServerRedundancy.RedundancySupport: None */ *v = (struct ua_variant){ .type = UA_INT32 }; return true;
    case UA_ID_SERVER_SERVER_CAPABILITIES_SOFTWARE_CERTIFICATES:
        *v = (struct ua_variant){ .type = UA_EXTENSION_OBJECT, .array = true, .at = a };
        return true;
    case UA_ID_SERVER_SERVER_CAPABILITIES_MIN_SUPPORTED_SAMPLE_RATE:
        *v = (struct ua_variant){ .type = UA_DOUBLE, .f64 = s->limits.sampling_ms_min };
        return true;
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_QUERY_CONTINUATION_POINTS:
        *v = (struct ua_variant){ .type = UA_UINT16 };
        return true;
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_BROWSE_CONTINUATION_POINTS:
    case UA_ID_SERVER_SERVER_CAPABILITIES_MAX_HISTORY_CONTINUATION_POINTS:
        *v = (struct ua_variant){ .type = UA_UINT16, .u16 = (uint16_t)s->limits.continuation_points };
        return true;
    default: break;
    }
    if ((id >= UA_ID_SERVER_SERVER_STATUS && id <= UA_ID_SERVER_SERVER_STATUS_BUILD_INFO_BUILD_DATE) ||
        id == UA_ID_SERVER_SERVER_STATUS_SECONDS_TILL_SHUTDOWN || id == UA_ID_SERVER_SERVER_STATUS_SHUTDOWN_REASON)
        return status_value(s, id, a, v);
    *v = (struct ua_variant){ .type = UA_UINT32, .u32 = limit_of(s, id) };
    return true;
}

static ua_status read_server(void *ctx, struct ua_variable *n, struct ua_value *out)
{
    struct ua_server *s = ctx;
    struct arena a;
    struct ua_variant v;
    arena_init(&a, NULL, 0, ANSWER_BYTES);
    bool good = value_of(s, n->node.id.number, &a, &v) && ua_value_set(out, &v);
    arena_clear(&a);
    out->source_time = out->server_time = ua_space_now(s->space);
    return good ? UA_GOOD : UA_BAD_OUT_OF_MEMORY;
}

/* ---- methods ---- */

#define ARGUMENT(text, type, of_rank) { .name = BYTES_LIT(text), .data_type = { .number = (type) }, .value_rank = (of_rank) }
static const struct ua_argument subscription_argument[] = { ARGUMENT("SubscriptionId", UA_UINT32, -1) };
static const struct ua_argument handles_arguments[] = { ARGUMENT("ServerHandles", UA_UINT32, 1),
                                                        ARGUMENT("ClientHandles", UA_UINT32, 1) };

static ua_status read_arguments(void *ctx, struct ua_variable *n, struct ua_value *out)
{
    struct ua_server *s = ctx;
    bool handles = n->node.id.number == UA_ID_SERVER_GET_MONITORED_ITEMS_OUTPUT_ARGUMENTS;
    const struct ua_argument *list = handles ? handles_arguments : subscription_argument;
    uint32_t count = handles ? 2 : 1;
    struct arena a;
    struct ua_extension_object objects[2];
    arena_init(&a, NULL, 0, ANSWER_BYTES);
    bool good = true;
    for (uint32_t i = 0; good && i < count; i++)
        good = ua_object_of(&a, &ua_argument_type, &list[i], &objects[i]);
    struct ua_variant v = { .type = UA_EXTENSION_OBJECT, .array = true, .count = count, .at = objects };
    good = good && ua_value_set(out, &v);
    arena_clear(&a);
    out->source_time = out->server_time = ua_space_now(s->space);
    return good ? UA_GOOD : UA_BAD_OUT_OF_MEMORY;
}

static ua_status get_monitored_items(void *ctx, struct ua_call *call)
{
    return uas_handles_of(ctx, call);
}

static ua_status resend_data(void *ctx, struct ua_call *call)
{
    return uas_resend(ctx, call);
}

static void give_method(struct ua_server *s, uint32_t id, ua_status (*call)(void *, struct ua_call *), bool outputs)
{
    struct ua_method *m = ua_as_method(ua_find0(s->space, id));
    m->executable = true;
    m->inputs = subscription_argument;
    m->input_count = 1;
    m->outputs = outputs ? handles_arguments : NULL;
    m->output_count = outputs ? 2 : 0;
    m->call = call;
    m->ctx = s;
}

static void give_values(struct ua_server *s, struct ua_node *n)
{
    static const struct ua_variable_ops values = { .read = read_server }, arguments = { .read = read_arguments };
    bool method = n->node_class == UA_CLASS_METHOD;
    for (uint32_t i = 0; i < n->ref_count; i++) {
        struct ua_node *to = n->refs[i].to;
        if (n->refs[i].inverse || (n->refs[i].type != UA_ID_HAS_PROPERTY && n->refs[i].type != UA_ID_HAS_COMPONENT))
            continue;
        if (to->node_class == UA_CLASS_VARIABLE) {
            struct ua_variable *v = ua_as_variable(to);
            v->ops = method ? &arguments : &values;
            v->ctx = s;
        }
        give_values(s, to);
    }
}

void ns0_serve(struct ua_server *s)
{
    give_values(s, ua_find0(s->space, UA_ID_SERVER));
    give_method(s, UA_ID_SERVER_GET_MONITORED_ITEMS, get_monitored_items, true);
    give_method(s, UA_ID_SERVER_RESEND_DATA, resend_data, false);
}
