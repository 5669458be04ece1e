/* cycle.c - nodes that are read by a timer instead of being watched (UseCyclicRead): those of a stream with one interval in one request. */
#include "publisher/publisher_private.h"

#include "base/mem.h"
#include "opcua/codec.h"
#include "opcua/ids.h"

enum { LEAST_MS = 10, ARENA_MAX = 64 << 20 };

/* The session's, so that it outlives a stream whose answer is on its way. */
struct pub_cycle {
    struct pub_cycle *next;
    struct pub_session *session;
    struct pub_stream *stream; /* NULL: gone */
    int64_t interval_ms, max_age_ms;
    struct timer timer;
    struct arena arena; /* of one round */
    struct ua_read_value_id *reads;
    uint32_t *handles;
    size_t count;
    bool asking;
};

static void cycle_free(struct pub_cycle *c)
{
    for (struct pub_cycle **at = &c->session->cycles; *at; at = &(*at)->next)
        if (*at == c) {
            *at = c->next;
            break;
        }
    timer_stop(c->session->all->loop, &c->timer);
    arena_clear(&c->arena);
    mem_free(c);
}

/* ---- what comes ---- */

/* It is about the node, not about its value. */
static bool is_refusal(ua_status s)
{
    switch (ua_code(s)) {
    case UA_BAD_NODE_ID_UNKNOWN:
    case UA_BAD_NODE_ID_INVALID:
    case UA_BAD_ATTRIBUTE_ID_INVALID:
    case UA_BAD_INDEX_RANGE_INVALID:
    case UA_BAD_NOT_READABLE:
    case UA_BAD_USER_ACCESS_DENIED: return true;
    default: return false;
    }
}

static void tell(struct pub_item *i, ua_status status)
{
    if (!i->added || i->status != status)
        pub_item_status(i, status);
}

/* False: there is nothing to put out. */
static bool take(struct pub_item *i, const struct ua_data_value *v)
{
    ua_status status = v->has & UA_HAS_STATUS ? v->status : UA_GOOD;
    if (!is_refusal(status)) {
        tell(i, UA_GOOD);
        return true;
    }
    if (i->watch.registered_in)
        i->watch.registered_in = 0; /* by its own id, the next time */
    else
        tell(i, status);
    return false;
}

static void on_values(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct pub_cycle *c = ctx;
    struct pub_stream *t = c->stream;
    const struct ua_data_value *v = results;
    if (!t || ua_code(status) == UA_BAD_CONNECTION_CLOSED || first + count > c->count)
        return;
    struct ua_change *changes = arena_take(&c->arena, (count + 1) * sizeof *changes);
    size_t n = 0;
    for (size_t k = 0; k < count && changes; k++) {
        uint32_t handle = c->handles[first + k];
        struct pub_item *i = handle < t->handles ? t->by_handle[handle] : NULL;
        if (i && ua_is_bad(status))
            tell(i, status);
        else if (i && take(i, &v[k]))
            changes[n++] = (struct ua_change){.handle = handle, .value = v[k]};
    }
    struct ua_changes all = {.last = first + count == c->count,
                             .from = UA_FROM_PUBLISH,
                             .published = ua_time_from_us(loop_wall_us(c->session->all->loop)),
                             .at = changes,
                             .count = n};
    if (n || all.last)
        pub_stream_came(t, &all);
}

static void on_read(void *ctx, ua_status status)
{
    struct pub_cycle *c = ctx;
    (void)status;
    c->asking = false;
    if (!c->stream)
        cycle_free(c);
}

/* ---- asking ---- */

static bool belongs(const struct pub_cycle *c, const struct pub_item *i)
{
    return i->cycle == c && i->watched && pub_item_has_target(i);
}

static bool put_read(struct pub_cycle *c, const struct pub_item *i, uint64_t session)
{
    struct ua_read_value_id *r = &c->reads[c->count];
    struct ua_node_id id;
    if (!ua_client_resolve(c->session->client, &i->node, &id))
        return true;
    if (i->watch.registered_in && i->watch.registered_in == session)
        id = i->watch.registered;
    *r = (struct ua_read_value_id){.attribute_id = i->watch.attribute ? i->watch.attribute : UA_ATTR_VALUE};
    c->handles[c->count] = i->handle;
    if (i->watch.range.len) {
        r->index_range = bytes_of(arena_text(&c->arena, i->watch.range), i->watch.range.len);
        if (!r->index_range.at)
            return false;
    }
    c->count++;
    return ua_node_id_copy(&c->arena, &id, &r->node_id);
}

/* False: no memory. */
static bool gather(struct pub_cycle *c)
{
    struct ua_client_look look;
    size_t most = c->stream->count;
    ua_client_look(c->session->client, &look);
    arena_clear(&c->arena);
    arena_init(&c->arena, NULL, 0, ARENA_MAX);
    c->count = 0;
    c->reads = arena_take(&c->arena, (most + 1) * sizeof *c->reads);
    c->handles = arena_take(&c->arena, (most + 1) * sizeof *c->handles);
    if (!c->reads || !c->handles)
        return false;
    for (const struct pub_item *i = c->stream->items; i; i = i->next)
        if (belongs(c, i) && !put_read(c, i, look.sessions))
            return false;
    return true;
}

/* A round is left out while the one before is not over, and while there is no room for values. */
static void on_cycle(struct timer *timer)
{
    struct pub_cycle *c = (struct pub_cycle *)(void *)((char *)timer - offsetof(struct pub_cycle, timer));
    struct pub_session *s = c->session;
    struct fault why;
    timer_start(s->all->loop, timer, c->interval_ms, on_cycle);
    if (!s->up || !s->client || c->asking || s->all->held || !gather(c) || !c->count)
        return;
    struct ua_read_request r = {.max_age = (double)c->max_age_ms,
                                .timestamps_to_return = UA_TIMES_BOTH,
                                .nodes_to_read = c->reads,
                                .nodes_to_read_count = (uint32_t)c->count};
    c->asking = ua_ask_list(s->client, UA_LIST_READ, &r, on_values, on_read, c, &why) == CODE_OK;
}

/* ---- life ---- */

bool pub_cycle_join(struct pub_item *i)
{
    struct pub_stream *t = i->stream;
    struct pub_session *s = t->session;
    int64_t ms = i->watch.sampling_ms > 0   ? (int64_t)i->watch.sampling_ms
                 : i->watch.sampling_ms < 0 ? (int64_t)t->wanted.publishing_ms
                                            : LEAST_MS;
    ms = ms < LEAST_MS ? LEAST_MS : ms;
    struct pub_cycle *c = s->cycles;
    while (c && (c->stream != t || c->interval_ms != ms || c->max_age_ms != i->max_age_ms))
        c = c->next;
    if (!c) {
        c = mem_zalloc(1, sizeof *c);
        if (!c)
            return false;
        *c = (struct pub_cycle){
            .next = s->cycles, .session = s, .stream = t, .interval_ms = ms, .max_age_ms = i->max_age_ms};
        arena_init(&c->arena, NULL, 0, ARENA_MAX);
        s->cycles = c;
        timer_start(s->all->loop, &c->timer, 0, on_cycle);
    }
    i->cycle = c;
    return true;
}

void pub_cycles_forget(struct pub_session *s, const struct pub_stream *t)
{
    for (struct pub_cycle *c = s->cycles, *next; c; c = next) {
        next = c->next;
        if (t && c->stream != t)
            continue;
        c->stream = NULL;
        timer_stop(s->all->loop, &c->timer);
        if (!c->asking || !t)
            cycle_free(c);
    }
}
