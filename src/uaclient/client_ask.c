/* client_ask.c - requests and their answers. */
#include "uaclient/client_private.h"

#include "base/mem.h"

enum { LENT = 4096, ANSWER_ARENA = 64 << 20 };

static struct ua_pending *of_timer(struct timer *t)
{
    return (struct ua_pending *)(void *)((char *)t - offsetof(struct ua_pending, timer));
}

static void unlink_pending(struct ua_pending *p)
{
    struct ua_pending **at = &p->client->pending[p->id % UA_BUCKETS];
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    p->client->pending_count--;
    timer_stop(p->client->loop, &p->timer);
}

static void give(struct ua_pending *p, ua_status status, struct bytes body)
{
    unlink_pending(p);
    p->raw(p, status, body);
    mem_free(p);
}

static void on_time(struct timer *t)
{
    struct ua_pending *p = of_timer(t);
    struct ua_client *c = p->client;
    client_enter(c);
    give(p, UA_BAD_TIMEOUT, BYTES_NONE);
    (void)client_leave_call(c);
}

static void fill_header(struct ua_client *c, struct ua_request_header *h, uint32_t id, int64_t timeout_ms)
{
    h->authentication_token = c->have_session && c->state != UA_CLIENT_DISCOVERING ? c->token : UA_NS0(0);
    h->timestamp = ua_time_from_us(loop_wall_us(c->loop));
    h->request_handle = id;
    h->timeout_hint = timeout_ms > 0 ? (uint32_t)timeout_ms : 0;
}

static enum code cannot(struct ua_client *c, ua_status status, struct fault *why)
{
    char scratch[16];
    enum code code = status == UA_BAD_OUT_OF_MEMORY       ? CODE_NOMEM
                     : status == UA_BAD_REQUEST_TOO_LARGE ? CODE_LIMIT
                                                          : CODE_CLOSED;
    return FAIL(why, code, 0, "a request to %s was not sent: %s", c->set.url,
                ua_status_text(status, scratch));
}

enum code client_ask_raw(struct ua_client *c, const struct ua_struct *type, void *request, int64_t timeout_ms,
                         ua_raw_fn raw, ua_answer_fn answer, void *ctx, const struct ua_struct *response_type,
                         struct fault *why)
{
    if (!c->conn || !c->channel || !ua_channel_is_open(c->channel) || c->why.code)
        return FAIL(why, CODE_CLOSED, 0, "%s is not connected", c->set.url);
    if (c->pending_count >= UA_REQUESTS || conn_unsent(c->conn) > c->set.unsent_bytes)
        return FAIL(why, CODE_AGAIN, 0, "%u requests to %s wait for an answer", c->pending_count, c->set.url);
    struct ua_pending *p = mem_zalloc(1, sizeof *p);
    if (!p)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a request");
    *p = (struct ua_pending){.client = c,
                             .id = ua_channel_request_id(c->channel),
                             .raw = raw,
                             .response_type = response_type,
                             .answer = answer,
                             .ctx = ctx};
    /* The header is the first field of every request. */
    fill_header(c, request, p->id, timeout_ms);
    struct buf *out = conn_out(c->conn);
    struct ua_sending s;
    size_t before = buf_size(out);
    ua_channel_begin(c->channel, out, &s);
    ua_write_message(out, type, request);
    ua_status status = c->request_bytes && buf_size(out) - before > (size_t)c->request_bytes + UA_SEND_HEAD
                           ? UA_BAD_REQUEST_TOO_LARGE
                           : UA_GOOD;
    if (status)
        ua_channel_undo(out, &s);
    else
        status = ua_channel_end(c->channel, out, &s, p->id);
    if (status) {
        mem_free(p);
        return cannot(c, status, why);
    }
    c->bytes_out += buf_size(out) - before;
    c->asked_us = loop_now_us(c->loop);
    p->next = c->pending[p->id % UA_BUCKETS];
    c->pending[p->id % UA_BUCKETS] = p;
    c->pending_count++;
    if (timeout_ms > 0)
        timer_start(c->loop, &p->timer, timeout_ms, on_time);
    return CODE_OK;
}

/* ---- answers ---- */

ua_status client_read(struct ua_client *c, struct bytes body, const struct ua_struct *type, void *response,
                      struct arena *arena)
{
    struct ua_reader r = ua_reader_of(body, arena, c->set.limits);
    uint32_t encoding = ua_read_type(&r);
    struct ua_response_header *header = response; /* the first field of every response */
    if (encoding == ua_service_fault_type.encoding) {
        struct ua_service_fault fault = {0};
        ua_read_struct(&r, &ua_service_fault_type, &fault);
        if (!ua_read_good(&r))
            return r.status ? r.status : UA_BAD_DECODING_ERROR;
        return ua_is_bad(fault.header.service_result) ? fault.header.service_result : UA_BAD_UNKNOWN_RESPONSE;
    }
    if (encoding != type->encoding)
        return ua_read_good(&r) ? UA_BAD_UNKNOWN_RESPONSE : UA_BAD_DECODING_ERROR;
    ua_read_struct(&r, type, response);
    if (!ua_read_good(&r))
        return r.status ? r.status : UA_BAD_DECODING_ERROR;
    return ua_is_bad(header->service_result) ? header->service_result : UA_GOOD;
}

/* Statuses that mean that the session is gone. */
static bool session_gone(ua_status s)
{
    switch (ua_code(s)) {
    case UA_BAD_SESSION_ID_INVALID:
    case UA_BAD_SESSION_CLOSED:
    case UA_BAD_SESSION_NOT_ACTIVATED: return true;
    default: return false;
    }
}

static void give_typed(struct ua_pending *p, ua_status status, struct bytes body)
{
    uint64_t lent[LENT / sizeof(uint64_t)], small[96];
    struct arena arena;
    struct ua_client *c = p->client;
    arena_init(&arena, lent, sizeof lent, ANSWER_ARENA);
    FG_ASSERT(p->response_type->size <= sizeof small);
    memset(small, 0, p->response_type->size);
    if (!status)
        status = client_read(c, body, p->response_type, small, &arena);
    bool up = c->state == UA_CLIENT_UP;
    p->answer(p->ctx, status, ua_is_bad(status) ? NULL : small, &arena);
    arena_clear(&arena);
    if (up && session_gone(status) && !c->dead && c->state == UA_CLIENT_UP)
        client_session_lost(c, status);
}

enum code client_ask(struct ua_client *c, const struct ua_struct *type, void *request,
                     const struct ua_struct *response_type, int64_t timeout_ms, ua_answer_fn answer,
                     void *ctx, struct fault *why)
{
    return client_ask_raw(c, type, request, timeout_ms ? timeout_ms : c->set.request_ms, give_typed, answer,
                          ctx, response_type, why);
}

enum code ua_client_ask(struct ua_client *c, const struct ua_struct *type, void *request,
                        const struct ua_struct *response_type, int64_t timeout_ms, ua_answer_fn answer,
                        void *ctx, struct fault *why)
{
    if (c->state != UA_CLIENT_UP)
        return FAIL(why, CODE_CLOSED, 0, "%s is not connected: %s", c->set.url,
                    ua_client_state_name(c->state));
    return client_ask(c, type, request, response_type, timeout_ms, answer, ctx, why);
}

void client_answer(struct ua_client *c, uint32_t id, ua_status status, struct bytes body)
{
    struct ua_pending *p = c->pending[id % UA_BUCKETS];
    while (p && p->id != id)
        p = p->next;
    if (!p) { /* a second answer, one that came too late, or one that nobody asked for */
        c->unasked++;
        return;
    }
    give(p, status, body);
}

void client_answer_all(struct ua_client *c, ua_status status)
{
    for (unsigned i = 0; i < UA_BUCKETS; i++) {
        while (c->pending[i]) {
            struct ua_pending *p = c->pending[i];
            if (!c->dead) {
                give(p, status, BYTES_NONE);
                continue;
            }
            unlink_pending(p);
            mem_free(p);
        }
    }
}

/* ---- work that lasts ---- */

void work_begin(struct ua_client *c, struct ua_work *w, void (*drop)(struct ua_work *))
{
    *w = (struct ua_work){.next = c->works, .client = c, .drop = drop};
    if (c->works)
        c->works->prev = w;
    c->works = w;
}

void work_end(struct ua_work *w)
{
    if (w->prev)
        w->prev->next = w->next;
    else
        w->client->works = w->next;
    if (w->next)
        w->next->prev = w->prev;
}
