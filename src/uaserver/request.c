/* Answers: written straight into the connection's output. */
#include "uaserver/serve.h"

enum { RESPONSE_HEAD = 28, BODY_MAX = 8 * 1024 * 1024 };

struct uas_counters uas_counters;

void ua_server_glance(struct ua_server_counters *out)
{
#define UA_X(name) out->name = atomic_load_explicit(&uas_counters.name, memory_order_relaxed);
    UA_SERVER_COUNTERS(UA_X)
#undef UA_X
}

/* `of_session` 0: it has said nothing. */
static uint64_t body_max(const struct uas_link *l, uint64_t of_session)
{
    uint64_t max = ua_channel_body_max(l->channel);
    if (max > BODY_MAX)
        max = BODY_MAX;
    return of_session && of_session < max ? of_session : max;
}

uint64_t uas_body_max(const struct uas_request *r)
{
    return body_max(r->link, r->body_max);
}

uint64_t uas_ticket_body_max(const struct uas_ticket *t)
{
    return body_max(t->link, t->body_max);
}

bool uas_ready(struct uas_link *l)
{
    return !l->closing && !l->paused && conn_unsent(l->conn) < l->server->limits.unsent_bytes && !uas_behind(l);
}

static uint8_t *put_le(uint8_t *at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> (8 * i));
    return at + bytes;
}

/* Type and ResponseHeader: no diagnostics, no strings, nothing additional. */
static struct buf *begin(struct uas_link *l, struct ua_sending *sending, uint32_t encoding, uint32_t handle, ua_status status)
{
    struct buf *out = conn_out(l->conn);
    ua_channel_begin(l->channel, out, sending);
    uint8_t *at = buf_grow(out, RESPONSE_HEAD);
    if (!at)
        return out;
    at = put_le(at, 0x01, 2); /* four byte NodeId of namespace 0 */
    at = put_le(at, encoding, 2);
    at = put_le(at, (uint64_t)ua_space_now(l->server->space), 8);
    at = put_le(at, handle, 4);
    at = put_le(at, status, 4);
    at = put_le(at, 0, 1);
    at = put_le(at, UINT32_MAX, 4);
    (void)put_le(at, 0, 3);
    return out;
}

/* Good, or nothing was sent. */
static ua_status end(struct uas_link *l, const struct ua_sending *sending, uint32_t id, uint64_t max)
{
    if (l->closing)
        return UA_BAD_SECURE_CHANNEL_CLOSED;
    struct buf *out = conn_out(l->conn);
    if (!out->bad && buf_size(out) - sending->at - UA_SEND_HEAD > max) {
        ua_channel_undo(out, sending);
        return UA_BAD_RESPONSE_TOO_LARGE;
    }
    ua_status status = ua_channel_end(l->channel, out, sending, id);
    uas_backlog_note(l);
    return status;
}

static void fault(struct uas_link *l, uint32_t id, uint32_t handle, ua_status status)
{
    struct ua_sending sending;
    UAS_COUNT(requests_refused);
    (void)begin(l, &sending, UA_ENCODING_service_fault, handle, status);
    if (end(l, &sending, id, body_max(l, 0)) != UA_GOOD && /* a fault has a few bytes, whatever the session takes */
         !l->closing)
        uas_link_end(l, UA_BAD_TCP_INTERNAL_ERROR, "the server has no memory for an answer");
}

/* ---- requests ---- */

struct buf *uas_begin(struct uas_request *r, uint32_t response_encoding)
{
    FG_ASSERT(!r->answered);
    return begin(r->link, &r->sending, response_encoding, r->header.request_handle, UA_GOOD);
}

void uas_end(struct uas_request *r)
{
    ua_status status = end(r->link, &r->sending, r->id, uas_body_max(r));
    r->answered = true;
    if (status != UA_GOOD && !r->link->closing)
        fault(r->link, r->id, r->header.request_handle, status);
}

void uas_undo(struct uas_request *r)
{
    if (!r->link->closing)
        ua_channel_undo(conn_out(r->link->conn), &r->sending);
}

void uas_answer(struct uas_request *r, const struct ua_struct *type, void *response)
{
    struct ua_response_header *h = response;
    *h = (struct ua_response_header){
        .timestamp = ua_space_now(r->server->space),
        .request_handle = r->header.request_handle,
    };
    FG_ASSERT(!r->answered);
    struct buf *out = conn_out(r->link->conn);
    ua_channel_begin(r->link->channel, out, &r->sending);
    ua_write_message(out, type, response);
    uas_end(r);
}

void uas_fault(struct uas_request *r, ua_status status)
{
    FG_ASSERT(!r->answered);
    r->answered = true;
    fault(r->link, r->id, r->header.request_handle, status);
}

bool uas_read(struct uas_request *r, const struct ua_struct *type, void *out)
{
    memcpy(out, &r->header, sizeof r->header);
    for (unsigned i = 1; i < type->count; i++) {
        const struct ua_struct rest = { type->name, type->size, 0, 1, &type->fields[i] };
        ua_read_struct(&r->in, &rest, out);
    }
    if (ua_read_good(&r->in))
        return true;
    uas_fault(r, r->in.status ? r->in.status : UA_BAD_DECODING_ERROR);
    return false;
}

bool uas_count(struct uas_request *r, uint32_t operations)
{
    if (operations && operations <= r->server->limits.operations)
        return true;
    uas_fault(r, operations ? UA_BAD_TOO_MANY_OPERATIONS : UA_BAD_NOTHING_TO_DO);
    return false;
}

bool uas_work(struct uas_request *r, const struct ua_value *v)
{
    r->work += ua_value_bytes(v).len;
    return r->work <= UAS_WORK_BYTES;
}

/* ---- later ---- */

struct uas_ticket uas_ticket_of(struct uas_request *r)
{
    r->answered = true;
    int64_t hint = r->header.timeout_hint;
    return (struct uas_ticket){
        .link = r->link,
        .id = r->id,
        .handle = r->header.request_handle,
        .body_max = r->body_max,
        .until_us = hint ? loop_now_us(r->server->loop) + hint * 1000 : INT64_MAX,
    };
}

struct buf *uas_ticket_begin(const struct uas_ticket *t, uint32_t response_encoding, struct ua_sending *sending)
{
    return begin(t->link, sending, response_encoding, t->handle, UA_GOOD);
}

ua_status uas_ticket_end(const struct uas_ticket *t, const struct ua_sending *sending)
{
    return end(t->link, sending, t->id, uas_ticket_body_max(t));
}

void uas_ticket_fault(const struct uas_ticket *t, ua_status status)
{
    fault(t->link, t->id, t->handle, status);
}
