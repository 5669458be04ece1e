/* browse.c - references of nodes, level by level, with continuation points and without going in circles. */
#include "uaclient/client_private.h"

#include "base/mem.h"

enum { BATCH = 100, NODES_MAX = 100000, IDS_BYTES = 64 << 20, EMPTY_ROUNDS = 16, SLOTS_FIRST = 256 };

struct stop {
    struct ua_node_id id;
    unsigned level;
};
/* A part of a node's references that the server keeps for us. */
struct rest {
    uint32_t stop;
    uint32_t at, len; /* of the continuation point, in `points` */
};
struct walk {
    struct ua_work work; /* first */
    struct ua_browse_options set;
    ua_reference_fn each;
    ua_done_fn done;
    void *ctx;
    ua_status bad;
    struct arena ids;
    struct stop *stops; /* in the order of their finding: also what was seen */
    uint32_t count, cap, next;
    uint32_t order[BATCH],
        again[BATCH]; /* stops that are asked for, and those that must be asked for alone */
    uint32_t asked_count, again_count;
    uint32_t *slots; /* place + 1 by hash */
    uint32_t slot_count;
    uint64_t references;
    unsigned empty_rounds;
    bool enough;
    struct ua_browse_description asked[BATCH];
    struct buf points; /* continuation points */
    struct rest rests[BATCH], nexts[BATCH];
    uint32_t rest_count, next_count;
};

static void free_walk(struct walk *w)
{
    arena_clear(&w->ids);
    mem_free(w->stops);
    mem_free(w->slots);
    buf_clear(&w->points);
    mem_free(w);
}

static void drop(struct ua_work *work)
{
    work_end(work);
    free_walk((struct walk *)(void *)work);
}

static void finish(struct walk *w)
{
    ua_done_fn done = w->done;
    void *ctx = w->ctx;
    ua_status bad = w->bad;
    drop(&w->work);
    done(ctx, bad);
}

/* ---- nodes seen ---- */

static bool grow_slots(struct walk *w)
{
    uint32_t n = w->slot_count ? w->slot_count * 2 : SLOTS_FIRST;
    uint32_t *slots = mem_zalloc(n, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < w->count; i++) {
        uint32_t at = (uint32_t)ua_node_id_hash(&w->stops[i].id) & (n - 1);
        while (slots[at])
            at = (at + 1) & (n - 1);
        slots[at] = i + 1;
    }
    mem_free(w->slots);
    w->slots = slots;
    w->slot_count = n;
    return true;
}

static bool grow_stops(struct walk *w)
{
    uint32_t n = w->cap ? w->cap * 2 : SLOTS_FIRST / 2;
    struct stop *stops = mem_realloc(w->stops, n * sizeof *stops);
    if (!stops)
        return false;
    w->stops = stops;
    w->cap = n;
    return true;
}

/* Notes it for a visit, unless it was. */
static ua_status visit(struct walk *w, const struct ua_node_id *id, unsigned level)
{
    if ((w->count == w->cap && !grow_stops(w)) || (w->count * 2 >= w->slot_count && !grow_slots(w)))
        return UA_BAD_OUT_OF_MEMORY;
    uint32_t at = (uint32_t)ua_node_id_hash(id) & (w->slot_count - 1);
    for (; w->slots[at]; at = (at + 1) & (w->slot_count - 1))
        if (ua_node_id_equal(&w->stops[w->slots[at] - 1].id, id))
            return UA_GOOD;
    if (w->count >= w->set.nodes_max)
        return UA_BAD_TOO_MANY_OPERATIONS;
    struct stop *s = &w->stops[w->count];
    if (!ua_node_id_copy(&w->ids, id, &s->id))
        return UA_BAD_OUT_OF_MEMORY;
    s->level = level;
    w->slots[at] = ++w->count;
    return UA_GOOD;
}

/* ---- results ---- */

static void stop_because(struct walk *w, ua_status status)
{
    if (!w->bad)
        w->bad = status;
    w->enough = true;
}

/* False: the client is gone. */
static bool references(struct walk *w, uint32_t stop, const struct ua_browse_result *r)
{
    struct ua_client *c = w->work.client;
    for (uint32_t i = 0; i < r->references_count && !w->enough; i++) {
        const struct ua_reference_description *ref = &r->references[i];
        struct ua_node_id id, parent = w->stops[stop].id;
        unsigned level = w->stops[stop].level + 1;
        bool deeper = w->each(w->ctx, &parent, level, ref);
        if (c->dead)
            return false;
        if (++w->references > (uint64_t)w->set.nodes_max * 8)
            stop_because(w, UA_BAD_TOO_MANY_OPERATIONS);
        if (!deeper || level >= w->set.depth || !ua_client_resolve(c, &ref->node_id, &id))
            continue;
        ua_status status = visit(w, &id, level);
        if (status)
            stop_because(w, status);
    }
    return true;
}

static void keep_point(struct walk *w, uint32_t stop, struct bytes point)
{
    if (!point.len || w->rest_count == BATCH)
        return;
    struct rest rest = {stop, (uint32_t)buf_size(&w->points), (uint32_t)point.len};
    buf_add_bytes(&w->points, point);
    if (w->points.bad) {
        w->points.bad = false;
        stop_because(w, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    w->rests[w->rest_count++] = rest;
}

static bool take(struct walk *w, uint32_t stop, const struct ua_browse_result *r)
{
    if (ua_code(r->status_code) == UA_BAD_NO_CONTINUATION_POINTS && w->asked_count > 1 &&
        w->again_count < BATCH) {
        w->again[w->again_count++] = stop; /* later, alone */
        return true;
    }
    if (ua_is_bad(r->status_code)) {
        if (stop == 0 || ua_code(r->status_code) == UA_BAD_NO_CONTINUATION_POINTS)
            w->bad = w->bad ? w->bad : r->status_code;
        return true; /* a node that we may not look into is no reason to stop */
    }
    if (!references(w, stop, r))
        return false;
    keep_point(w, stop, r->continuation_point);
    return true;
}

static void go_on(struct walk *);

static void next_answered(void *ctx, ua_status status, const void *response, struct arena *arena)
{
    struct walk *w = ctx;
    const struct ua_browse_next_response *r = response;
    uint64_t before = w->references;
    (void)arena;
    if (w->enough) { /* it was told to forget them */
        go_on(w);
        return;
    }
    if (!status && r->results_count != w->next_count)
        status = UA_BAD_UNKNOWN_RESPONSE;
    if (status)
        stop_because(w, status);
    for (uint32_t i = 0; !status && !w->enough && i < r->results_count; i++)
        if (!take(w, w->nexts[i].stop, &r->results[i]))
            return;
    w->empty_rounds = w->references == before ? w->empty_rounds + 1 : 0;
    if (w->empty_rounds > EMPTY_ROUNDS)
        stop_because(w, UA_BAD_CONTINUATION_POINT_INVALID);
    go_on(w);
}

/* The rest of nodes that had more references than one answer holds; or, when we have enough, tells the server to forget them. */
static bool ask_next(struct walk *w)
{
    struct bytes points[BATCH], kept = buf_bytes(&w->points);
    for (uint32_t i = 0; i < w->rest_count; i++)
        points[i] = bytes_of(kept.at + w->rests[i].at, w->rests[i].len);
    struct ua_browse_next_request r = {.release_continuation_points = w->enough,
                                       .continuation_points = points,
                                       .continuation_points_count = w->rest_count};
    memcpy(w->nexts, w->rests, sizeof w->nexts);
    w->next_count = w->rest_count;
    w->rest_count = 0;
    bool ok = client_ask(w->work.client, &ua_browse_next_request_type, &r, &ua_browse_next_response_type, 0,
                         next_answered, w, NULL) == CODE_OK;
    buf_reset(&w->points);
    return ok;
}

static void part(void *ctx, size_t first, size_t count, const void *results, ua_status status)
{
    struct walk *w = ctx;
    const struct ua_browse_result *r = results;
    if (status && !w->bad)
        w->bad = status;
    for (size_t i = 0; r && i < count && !w->enough; i++)
        if (!take(w, w->order[first + i], &r[i]))
            return;
}

static void batch_done(void *ctx, ua_status status)
{
    struct walk *w = ctx;
    if (status)
        stop_because(w, status);
    go_on(w);
}

static enum code ask_batch(struct walk *w, struct fault *why)
{
    uint32_t n = 0;
    if (w->again_count)
        w->order[n++] = w->again[--w->again_count];
    else
        while (n < BATCH && w->next < w->count)
            w->order[n++] = w->next++;
    w->asked_count = n;
    for (uint32_t i = 0; i < n; i++)
        w->asked[i] = (struct ua_browse_description){.node_id = w->stops[w->order[i]].id,
                                                     .browse_direction = (int32_t)w->set.direction,
                                                     .reference_type_id = w->set.reference,
                                                     .include_subtypes = true,
                                                     .node_class_mask = w->set.classes,
                                                     .result_mask = UA_BROWSE_ALL};
    struct ua_browse_request r = {.nodes_to_browse = w->asked, .nodes_to_browse_count = n};
    return ua_ask_list(w->work.client, UA_LIST_BROWSE, &r, part, batch_done, w, why);
}

static void go_on(struct walk *w)
{
    if (w->rest_count) {
        if (ask_next(w))
            return;
        stop_because(w, UA_BAD_CONNECTION_CLOSED);
    }
    if (!w->enough && (w->again_count || w->next < w->count)) {
        if (ask_batch(w, NULL) == CODE_OK)
            return;
        stop_because(w, UA_BAD_CONNECTION_CLOSED);
    }
    finish(w);
}

enum code ua_browse(struct ua_client *c, const struct ua_node_id *start,
                    const struct ua_browse_options *options, ua_reference_fn each, ua_done_fn done, void *ctx,
                    struct fault *why)
{
    struct walk *w = mem_zalloc(1, sizeof *w);
    if (!w)
        return FAIL(why, CODE_NOMEM, 0, "no memory to browse");
    w->set = *options;
    w->set.depth = options->depth ? options->depth : 1;
    w->set.nodes_max = options->nodes_max ? options->nodes_max : NODES_MAX;
    if (ua_node_id_is_null(&w->set.reference))
        w->set.reference = UA_NS0(UA_ID_HIERARCHICAL_REFERENCES);
    w->each = each;
    w->done = done;
    w->ctx = ctx;
    arena_init(&w->ids, NULL, 0, IDS_BYTES);
    work_begin(c, &w->work, drop);
    enum code code = visit(w, start, 0) ? FAIL(why, CODE_NOMEM, 0, "no memory to browse") : ask_batch(w, why);
    if (code)
        drop(&w->work);
    return code;
}
