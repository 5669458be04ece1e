/* history.c - raw values of one node, oldest first, with continuation points [Part 11, 6.4.3]. */
#include "uaclient/client_private.h"

#include "base/mem.h"

enum { PER_REQUEST = 1000, POINT_MAX = 4096, EMPTY_ROUNDS = 4 };

struct past {
    struct ua_work work; /* first */
    struct arena ids;
    struct ua_node_id node;
    ua_time from, to;
    uint32_t per_request;
    ua_history_fn each;
    ua_done_fn done;
    void *ctx;
    struct buf point;
    unsigned empty;
    bool releasing;
};

static void drop(struct ua_work *work)
{
    struct past *p = (struct past *)(void *)work;
    work_end(work);
    arena_clear(&p->ids);
    buf_clear(&p->point);
    mem_free(p);
}

static void finish(struct past *p, ua_status status)
{
    ua_done_fn done = p->done;
    void *ctx = p->ctx;
    drop(&p->work);
    done(ctx, status);
}

static enum code ask(struct past *p, struct fault *why);

/* Good: all of it was given; *more: the owner wants more. False: the client is gone. */
static bool give(struct past *p, const struct ua_history_read_result *r, struct arena *arena,
                 ua_status *status, bool *more)
{
    struct ua_client *c = p->work.client;
    struct ua_reader like = ua_reader_of(BYTES_NONE, arena, c->set.limits);
    struct ua_history_data data = {0};
    *more = true;
    *status = ua_is_bad(r->status_code) ? r->status_code : UA_GOOD;
    if (*status || r->history_data.kind == UA_BODY_NONE)
        return true;
    if (!ua_object_read(&like, &r->history_data, &ua_history_data_type, &data)) {
        *status = UA_BAD_DECODING_ERROR;
        return true;
    }
    p->empty = data.data_values_count ? 0 : p->empty + 1;
    if (data.data_values_count)
        *more = p->each(p->ctx, data.data_values, data.data_values_count);
    return !c->dead;
}

static void answered(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct past *p = ctx;
    const struct ua_history_read_response *r = response;
    bool more = false;
    if (p->releasing) {
        finish(p, UA_GOOD);
        return;
    }
    if (!status && r->results_count != 1)
        status = UA_BAD_UNKNOWN_RESPONSE;
    if (!status && !give(p, &r->results[0], arena, &status, &more))
        return;
    struct bytes point = status ? BYTES_NONE : r->results[0].continuation_point;
    if (status || !point.len) {
        finish(p, status);
        return;
    }
    buf_reset(&p->point);
    if (point.len <= POINT_MAX)
        buf_add_bytes(&p->point, point);
    p->releasing = !more;
    bool bad = p->point.bad || point.len > POINT_MAX || p->empty > EMPTY_ROUNDS;
    if (bad || ask(p, NULL))
        finish(p, bad ? UA_BAD_CONTINUATION_POINT_INVALID : UA_BAD_CONNECTION_CLOSED);
}

static enum code ask(struct past *p, struct fault *why)
{
    uint64_t lent[32];
    struct arena arena;
    struct ua_read_raw_modified_details details = {
        .start_time = p->from, .end_time = p->to, .num_values_per_node = p->per_request};
    struct ua_history_read_value_id node = {
        .node_id = p->node, .continuation_point = p->point.len ? buf_bytes(&p->point) : BYTES_NONE};
    struct ua_history_read_request r = {.timestamps_to_return = UA_TIMES_BOTH,
                                        .release_continuation_points = p->releasing,
                                        .nodes_to_read = &node,
                                        .nodes_to_read_count = 1};
    arena_init(&arena, lent, sizeof lent, 4096);
    enum code code = ua_object_of(&arena, &ua_read_raw_modified_details_type, &details,
                                  &r.history_read_details)
                         ? client_ask(p->work.client, &ua_history_read_request_type, &r,
                                      &ua_history_read_response_type, 0, answered, p, why)
                         : FAIL(why, CODE_NOMEM, 0, "no memory to read history");
    arena_clear(&arena);
    return code;
}

enum code ua_history_raw(struct ua_client *c, const struct ua_node_id *node, ua_time from, ua_time to,
                         uint32_t per_request, ua_history_fn each, ua_done_fn done, void *ctx,
                         struct fault *why)
{
    struct past *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return FAIL(why, CODE_NOMEM, 0, "no memory to read history");
    *p = (struct past){.from = from,
                       .to = to,
                       .per_request = per_request ? per_request : PER_REQUEST,
                       .each = each,
                       .done = done,
                       .ctx = ctx};
    arena_init(&p->ids, NULL, 0, 1 << 20);
    work_begin(c, &p->work, drop);
    enum code code = ua_node_id_copy(&p->ids, node, &p->node)
                         ? ask(p, why)
                         : FAIL(why, CODE_NOMEM, 0, "no memory to read history");
    if (code)
        drop(&p->work);
    return code;
}
