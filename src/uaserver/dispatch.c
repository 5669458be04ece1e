/* The table of services, and what is checked before any of them. */
#include "uaserver/serve.h"
#include "uaserver/subscription.h"
#include "uaserver/view.h"

enum { ARENA_BYTES = 32 * 1024 * 1024 };

static const struct uas_service services[] = {
    { UA_ENCODING_publish_request, UAS_NEED_ACTIVE, uas_publish },
    { UA_ENCODING_read_request, UAS_NEED_ACTIVE, uas_read_service },
    { UA_ENCODING_write_request, UAS_NEED_ACTIVE, uas_write_service },
    { UA_ENCODING_call_request, UAS_NEED_ACTIVE, uas_call_service },
    { UA_ENCODING_history_read_request, UAS_NEED_ACTIVE, uas_history_read_service },
    { UA_ENCODING_browse_request, UAS_NEED_ACTIVE, uas_browse },
    { UA_ENCODING_browse_next_request, UAS_NEED_ACTIVE, uas_browse_next },
    { UA_ENCODING_translate_request, UAS_NEED_ACTIVE, uas_translate },
    { UA_ENCODING_register_nodes_request, UAS_NEED_ACTIVE, uas_register_nodes },
    { UA_ENCODING_unregister_nodes_request, UAS_NEED_ACTIVE, uas_unregister_nodes },
    { UA_ENCODING_create_subscription_request, UAS_NEED_ACTIVE, uas_create_subscription },
    { UA_ENCODING_modify_subscription_request, UAS_NEED_ACTIVE, uas_modify_subscription },
    { UA_ENCODING_set_publishing_mode_request, UAS_NEED_ACTIVE, uas_set_publishing_mode },
    { UA_ENCODING_delete_subscriptions_request, UAS_NEED_ACTIVE, uas_delete_subscriptions },
    { UA_ENCODING_transfer_subscriptions_request, UAS_NEED_ACTIVE, uas_transfer_subscriptions },
    { UA_ENCODING_republish_request, UAS_NEED_ACTIVE, uas_republish },
    { UA_ENCODING_create_monitored_items_request, UAS_NEED_ACTIVE, uas_create_items },
    { UA_ENCODING_modify_monitored_items_request, UAS_NEED_ACTIVE, uas_modify_items },
    { UA_ENCODING_delete_monitored_items_request, UAS_NEED_ACTIVE, uas_delete_items },
    { UA_ENCODING_set_monitoring_mode_request, UAS_NEED_ACTIVE, uas_set_monitoring_mode },
    { UA_ENCODING_set_triggering_request, UAS_NEED_ACTIVE, uas_set_triggering },
    { UA_ENCODING_create_session_request, UAS_NEED_NOTHING, uas_create_session },
    { UA_ENCODING_activate_session_request, UAS_NEED_NOTHING, uas_activate_session }, /* it looks for its session itself */
    { UA_ENCODING_close_session_request, UAS_NEED_SESSION, uas_close_session },
    { UA_ENCODING_cancel_request, UAS_NEED_ACTIVE, uas_cancel },
    { UA_ENCODING_find_servers_request, UAS_NEED_NOTHING, uas_find_servers },
    { UA_ENCODING_get_endpoints_request, UAS_NEED_NOTHING, uas_get_endpoints },
};

static const struct uas_service *service_of(uint32_t encoding)
{
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        if (services[i].encoding == encoding)
            return &services[i];
    return NULL;
}

static bool is_discovery(const struct uas_service *s)
{
    return s->encoding == UA_ENCODING_find_servers_request || s->encoding == UA_ENCODING_get_endpoints_request;
}

/* Whether sessions are offered on this channel; None is there for discovery in any case. */
static bool for_sessions(const struct uas_link *l)
{
    return l->server->options.offers[ua_channel_policy(l->channel)->id] >> ua_channel_mode(l->channel) & 1;
}

/* Good, and r->session is set if there has to be one. */
static ua_status find_session(struct uas_request *r, enum uas_need need)
{
    struct uas_session *s = uas_session_find(r->link, &r->header.authentication_token);
    if (!s)
        return UA_BAD_SESSION_ID_INVALID;
    if (s->link != r->link)
        return UA_BAD_SECURE_CHANNEL_ID_INVALID;
    if (need == UAS_NEED_ACTIVE && !s->active) {
        if (!s->ask)
            uas_session_close(s, true); /* [Part 4, 5.6.3.1] */
        return UA_BAD_SESSION_NOT_ACTIVATED;
    }
    uas_session_heard(s);
    r->session = s;
    r->body_max = s->body_max;
    return UA_GOOD;
}

/* Who asks without a session may have one on this connection: the least of what they take. */
static uint64_t least_body_max(const struct uas_link *l)
{
    uint64_t least = 0;
    for (const struct uas_session *x = l->sessions; x; x = x->next_of_link)
        if (x->body_max && (!least || x->body_max < least))
            least = x->body_max;
    return least;
}

static ua_status admit(struct uas_request *r, const struct uas_service *s)
{
    if (!s)
        return UA_BAD_SERVICE_UNSUPPORTED;
    if (!is_discovery(s) && !for_sessions(r->link))
        return UA_BAD_SECURITY_POLICY_REJECTED;
    if (s->need != UAS_NEED_NOTHING)
        return find_session(r, s->need);
    r->body_max = least_body_max(r->link);
    return UA_GOOD;
}

void uas_dispatch(struct uas_link *l, uint32_t id, struct bytes body)
{
    struct ua_server *s = l->server;
    struct arena arena;
    arena_init(&arena, s->lent, UAS_LENT_BYTES, ARENA_BYTES);
    struct uas_request r = { .server = s, .link = l, .id = id, .arena = &arena };
    r.in = ua_reader_of(body, &arena, &s->limits.codec);
    r.encoding = ua_read_type(&r.in);
    ua_read_struct(&r.in, &ua_request_header_type, &r.header);
    UAS_COUNT(requests);
    const struct uas_service *service = service_of(r.encoding);
    ua_status status = UA_GOOD;
    if (!ua_read_good(&r.in))
        status = r.in.status ? r.in.status : UA_BAD_DECODING_ERROR;
    else
        status = admit(&r, service);
    if (status == UA_GOOD)
        service->handle(&r);
    else
        uas_fault(&r, status);
    FG_ASSERT(r.answered);
    arena_clear(&arena);
}
