/* client_see.c - what the server is and has: namespaces, limits, clock, product; whether it still answers; a look for people. */
#include "uaclient/client_private.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdio.h>

enum {
    SEE_NAMESPACES,
    SEE_SERVERS,
    SEE_TIME,
    SEE_PRODUCT,
    SEE_VERSION,
    SEE_LIMITS, /* eight of them, in the order of struct ua_operation_limits */
    SEE_COUNT = SEE_LIMITS + 8
};
enum { ALIVE_MS_MOST = 10000, ALIVE_MS_LEAST = 100, CLOCK_US = 10 * 1000000, NAMESPACES_MAX = 4096 };

static const uint32_t nodes[SEE_COUNT] = {
    UA_ID_SERVER_NAMESPACE_ARRAY,
    UA_ID_SERVER_SERVER_ARRAY,
    UA_ID_SERVER_SERVER_STATUS_CURRENT_TIME,
    UA_ID_SERVER_SERVER_STATUS_BUILD_INFO_PRODUCT_NAME,
    UA_ID_SERVER_SERVER_STATUS_BUILD_INFO_SOFTWARE_VERSION,
    UA_ID_SERVER_SERVER_CAPABILITIES_OPERATION_LIMITS_MAX_NODES_PER_READ,
    UA_ID_SERVER_SERVER_CAPABILITIES_OPERATION_LIMITS_MAX_NODES_PER_WRITE,
    UA_ID_SERVER_SERVER_CAPABILITIES_OPERATION_LIMITS_MAX_NODES_PER_METHOD_CALL,
    UA_ID_SERVER_SERVER_CAPABILITIES_OPERATION_LIMITS_MAX_NODES_PER_BROWSE,
    UA_ID_SERVER_SERVER_CAPABILITIES_OPERATION_LIMITS_MAX_NODES_PER_TRANSLATE_BROWSE_PATHS_TO_NODE_IDS,
    UA_ID_SERVER_SERVER_CAPABILITIES_OPERATION_LIMITS_MAX_NODES_PER_REGISTER_NODES,
    UA_ID_SERVER_SERVER_CAPABILITIES_OPERATION_LIMITS_MAX_MONITORED_ITEMS_PER_CALL,
    UA_ID_SERVER_SERVER_CAPABILITIES_OPERATION_LIMITS_MAX_NODES_PER_HISTORY_READ_DATA,
};

/* One look at the server, in progress. */
struct seeing {
    struct ua_work work;
    struct ua_read_value_id nodes[SEE_COUNT];
    struct bytes product, version;
    char product_text[80], version_text[40];
    bool namespaces, limits, time;
};

static const struct ua_variant *text_of(const struct ua_data_value *v, unsigned type, bool array)
{
    bool ok = !ua_is_bad(v->status) && v->has & UA_HAS_VALUE && v->value.type == type &&
              v->value.array == array;
    return ok ? &v->value : NULL;
}

static bool keep_namespaces(struct ua_client *c, const struct ua_variant *v)
{
    const struct bytes *from = v->at;
    uint32_t n = v->count < NAMESPACES_MAX ? v->count : NAMESPACES_MAX;
    struct bytes *to = arena_take(&c->seen, n ? n * sizeof *to : 1);
    uint64_t hash = n;
    for (uint32_t i = 0; to && i < n; i++) {
        hash = hash * 31 + hash_keyed(from[i]);
        const char *copy = arena_text(&c->seen, from[i]);
        if (!copy)
            return false;
        to[i] = bytes_of(copy, from[i].len);
    }
    c->namespaces = to;
    c->namespace_count = to ? n : 0;
    c->namespace_generation += hash != c->namespace_hash;
    c->namespace_hash = hash;
    return to != NULL;
}

static void note_time(struct ua_client *c, ua_time time)
{
    c->clock_us = ua_time_us(time) - loop_wall_us(c->loop);
    if (c->clock_us > -CLOCK_US && c->clock_us < CLOCK_US)
        return;
    if (!client_told(c, UA_FG_CLOCK))
        client_notice(c, UA_FG_CLOCK,
                      "the clock of %s is %lld s %s ours. Times of values are the server's; certificates may "
                      "seem to be "
                      "out of time",
                      c->set.url, (long long)(c->clock_us < 0 ? -c->clock_us : c->clock_us) / 1000000,
                      c->clock_us < 0 ? "behind" : "ahead of");
}

static void note(struct seeing *s, size_t i, const struct ua_data_value *v)
{
    struct ua_client *c = s->work.client;
    const struct ua_variant *x;
    if (i == SEE_NAMESPACES && (x = text_of(v, UA_STRING, true))) {
        s->namespaces = keep_namespaces(c, x);
    } else if (i == SEE_SERVERS && (x = text_of(v, UA_STRING, true)) && x->count) {
        (void)bytes_escape(((const struct bytes *)x->at)[0], c->server_uri, sizeof c->server_uri);
    } else if (i == SEE_TIME && (x = text_of(v, UA_DATE_TIME, false))) {
        s->time = true;
        note_time(c, x->time);
    } else if (i == SEE_PRODUCT && (x = text_of(v, UA_STRING, false))) {
        (void)bytes_escape(x->text, s->product_text, sizeof s->product_text);
    } else if (i == SEE_VERSION && (x = text_of(v, UA_STRING, false))) {
        (void)bytes_escape(x->text, s->version_text, sizeof s->version_text);
    } else if (i >= SEE_LIMITS && (x = text_of(v, UA_UINT32, false))) {
        uint32_t *to[] = {&c->limits.read,      &c->limits.write,     &c->limits.call,
                          &c->limits.browse,    &c->limits.translate, &c->limits.register_nodes,
                          &c->limits.monitored, &c->limits.history};
        *to[i - SEE_LIMITS] = x->u32;
        s->limits = true;
    }
}

static void part(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    const struct ua_data_value *v = results;
    (void)status;
    for (size_t i = 0; results && i < count; i++)
        note(ctx, first + i, &v[i]);
}

static void drop(struct ua_work *w)
{
    work_end(w);
    mem_free(w);
}

static void seen(void *ctx, ua_status status)
{
    struct seeing *s = ctx;
    struct ua_client *c = s->work.client;
    (void)snprintf(c->product, sizeof c->product, "%s%s%s", s->product_text, s->version_text[0] ? " " : "",
                   s->version_text);
    if (!s->namespaces)
        client_lacks(c, UA_LACK_NAMESPACES);
    if (!s->limits)
        client_lacks(c, UA_LACK_LIMITS);
    if (!s->time)
        client_lacks(c, UA_LACK_CLOCK);
    drop(&s->work);
    if (c->state != UA_CLIENT_LOOKING || status == UA_BAD_CONNECTION_CLOSED)
        return;
    if (ua_code(status) == UA_BAD_SESSION_ID_INVALID || ua_code(status) == UA_BAD_SESSION_CLOSED ||
        ua_code(status) == UA_BAD_SESSION_NOT_ACTIVATED) {
        client_session_lost(c, status);
        return;
    }
    client_is_up(c);
}

void client_see(struct ua_client *c)
{
    struct fault why = {0};
    client_state(c, UA_CLIENT_LOOKING);
    if (c->same && c->namespace_count) { /* the server is the one it was */
        client_is_up(c);
        return;
    }
    arena_reset(&c->seen);
    c->namespaces = NULL;
    c->namespace_count = 0;
    c->limits = (struct ua_operation_limits){0};
    memset(c->list_most, 0, sizeof c->list_most);
    /* The server may be another one by now: what it lacked is tried again. */
    c->lacks &= ~(1u << UA_LACK_REPUBLISH | 1u << UA_LACK_HISTORY | 1u << UA_LACK_BATCH);
    struct seeing *s = mem_zalloc(1, sizeof *s);
    if (!s) {
        (void)FAIL(&why, CODE_NOMEM, 0, "no memory to look at %s", c->set.url);
        client_fail(c, &why);
        return;
    }
    for (size_t i = 0; i < SEE_COUNT; i++)
        s->nodes[i] = (struct ua_read_value_id){.node_id = UA_NS0(nodes[i]), .attribute_id = UA_ATTR_VALUE};
    struct ua_read_request r = {.timestamps_to_return = UA_TIMES_NEITHER,
                                .nodes_to_read = s->nodes,
                                .nodes_to_read_count = SEE_COUNT};
    work_begin(c, &s->work, drop);
    if (ua_ask_list(c, UA_LIST_READ, &r, part, seen, s, &why)) {
        drop(&s->work);
        client_fail(c, &why);
    }
}

void client_is_up(struct ua_client *c)
{
    timer_stop(c->loop, &c->timer);
    client_state(c, UA_CLIENT_UP);
    c->up_us = loop_now_us(c->loop);
    if (!c->same)
        c->publishing.most = UINT32_MAX;
    client_watch_alive(c);
    client_enter(c);
    if (c->events.on_up)
        c->events.on_up(c->ctx, c, c->same);
    if (client_leave_call(c) && c->state == UA_CLIENT_UP)
        subscriptions_up(c, c->same);
}

/* ---- does it still answer ---- */

static void on_alive(struct timer *);

static int64_t alive_ms(const struct ua_client *c)
{
    double ms = c->have_session ? c->session_ms / 4 : ALIVE_MS_MOST;
    return ms > ALIVE_MS_MOST ? ALIVE_MS_MOST : ms < ALIVE_MS_LEAST ? ALIVE_MS_LEAST : (int64_t)ms;
}

void client_watch_alive(struct ua_client *c)
{
    timer_start(c->loop, &c->alive, alive_ms(c), on_alive);
}

static void alive(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct ua_client *c = ctx;
    struct fault why = {0};
    (void)response;
    (void)arena;
    c->asking_alive = false;
    if (status != UA_BAD_TIMEOUT || c->state != UA_CLIENT_UP)
        return; /* any other answer is one */
    int64_t silent = loop_now_us(c->loop) - c->heard_us;
    if (silent < c->set.request_ms * 1000)
        return; /* it is slow with this, but it speaks */
    (void)FAIL_FG(&why, CODE_CLOSED, UA_FG_UNREACHABLE,
                  "%s has said nothing for %lld s: the line or the server is dead", c->set.url,
                  (long long)(silent / 1000000));
    client_fail(c, &why);
}

static void on_alive(struct timer *t)
{
    struct ua_client *c = (struct ua_client *)(void *)((char *)t - offsetof(struct ua_client, alive));
    int64_t now = loop_now_us(c->loop), ms = alive_ms(c);
    bool quiet = now - c->heard_us >= ms * 1000 || now - c->asked_us >= ms * 1000;
    client_watch_alive(c);
    if (!quiet || c->asking_alive || c->set.channel_only)
        return;
    struct ua_read_value_id node = {.node_id = UA_NS0(UA_ID_SERVER_SERVER_STATUS_STATE),
                                    .attribute_id = UA_ATTR_VALUE};
    struct ua_read_request r = {
        .timestamps_to_return = UA_TIMES_NEITHER, .nodes_to_read = &node, .nodes_to_read_count = 1};
    c->asking_alive = client_ask(c, &ua_read_request_type, &r, &ua_read_response_type, 0, alive, c, NULL) ==
                      CODE_OK;
}

/* ---- a look ---- */

struct bytes ua_client_namespace(const struct ua_client *c, uint16_t index)
{
    return index < c->namespace_count ? c->namespaces[index] : BYTES_NONE;
}

bool ua_client_resolve(const struct ua_client *c, const struct ua_expanded_node_id *id,
                       struct ua_node_id *out)
{
    *out = id->id;
    if (id->server)
        return false;
    if (!id->uri.at)
        return true;
    for (uint32_t i = 0; i < c->namespace_count; i++) {
        if (!bytes_equal(c->namespaces[i], id->uri))
            continue;
        out->ns = (uint16_t)i;
        return true;
    }
    return false;
}

const struct ua_endpoint_description *ua_client_endpoints(const struct ua_client *c, size_t *count)
{
    *count = c->endpoint_count;
    return c->endpoints;
}
