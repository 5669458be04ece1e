/* Publish and Republish (Part 4, 5.13.5 and 5.13.6): requests wait here until a subscription has something to say. */
#include "uaserver/subscription.h"

#include "base/log.h"
#include "base/mem.h"

enum {
    RESPONSE_REST = 4 + 4 + 1 + 4 + 4 + 64 /* what stands around a message in a PublishResponse, its lists apart */
};

/* ---- requests that wait ---- */

static struct uas_parked *parked_at(const struct uas_session *s, uint32_t k)
{
    const struct uas_subscriber *p = s->subs;
    uint32_t most = s->server->limits.publish_requests, at = p->parked_head + k;
    return &p->parked[at < most ? at : at - most];
}

static struct uas_parked take_parked(struct uas_session *s)
{
    struct uas_subscriber *p = s->subs;
    struct uas_parked first = *parked_at(s, 0);
    p->parked_head = p->parked_head + 1 == s->server->limits.publish_requests ? 0 : p->parked_head + 1;
    p->parked_count--;
    return first;
}

/* The oldest one that its client still waits for. False: there is none. */
static bool next_parked(struct uas_session *s, struct uas_parked *out)
{
    struct uas_subscriber *p = s->subs;
    while (p->parked_count) {
        *out = take_parked(s);
        if (out->ticket.until_us > loop_now_us(s->server->loop))
            return true;
        uas_ticket_fault(&out->ticket, UA_BAD_TIMEOUT);
        mem_free(out->results);
    }
    return false;
}

void uas_answer_parked(struct uas_session *s, ua_status status)
{
    struct uas_subscriber *p = s->subs;
    while (p->parked_count) {
        struct uas_parked first = take_parked(s);
        if (status)
            uas_ticket_fault(&first.ticket, status);
        mem_free(first.results);
    }
}

uint32_t uas_cancel_parked(struct uas_session *s, uint32_t request_handle)
{
    struct uas_subscriber *p = s->subs;
    uint32_t cancelled = 0;
    for (uint32_t left = p->parked_count; left > 0; left--) {
        struct uas_parked first = take_parked(s);
        if (first.ticket.handle != request_handle) {
            *parked_at(s, p->parked_count++) = first; /* behind the others: all go round once */
            continue;
        }
        uas_ticket_fault(&first.ticket, UA_BAD_REQUEST_CANCELLED_BY_CLIENT);
        mem_free(first.results);
        cancelled++;
    }
    return cancelled;
}

static bool can_send(const struct uas_session *s)
{
    const struct uas_subscriber *p = s->subs;
    return p->parked_count && s->link && uas_ready(s->link);
}

/* ---- answers ---- */

static void write_results(struct buf *out, const struct uas_parked *p)
{
    buf_le32(out, p->result_count);
    for (uint32_t i = 0; i < p->result_count; i++)
        buf_le32(out, p->results ? p->results[i] : UA_GOOD);
    buf_le32(out, UINT32_MAX); /* no diagnostics */
}

/* `s` NULL: a subscription that is no more. */
static ua_status answer(struct uas_parked *p, uint32_t id, const struct uas_subscription *s, bool more, struct bytes message)
{
    struct ua_sending sending;
    struct buf *out = uas_ticket_begin(&p->ticket, UA_ENCODING_publish_response, &sending);
    buf_le32(out, id);
    buf_le32(out, s ? s->retained_count : 0);
    for (uint32_t i = 0; s && i < s->retained_count; i++)
        buf_le32(out, s->retained[i]->sequence);
    buf_u8(out, more);
    buf_add_bytes(out, message);
    write_results(out, p);
    ua_status status = uas_ticket_end(&p->ticket, &sending);
    if (status)
        uas_ticket_fault(&p->ticket, status);
    mem_free(p->results);
    return status;
}

/* Room for the message beside the lists of a response. */
static uint64_t message_room(const struct uas_subscription *s, const struct uas_parked *p)
{
    uint64_t around = RESPONSE_REST + 4ull * (s->retained_count + 1) + 4ull * p->result_count, body = uas_ticket_body_max(&p->ticket);
    return body > around ? body - around : 0;
}

/* Back to the front: nothing was said to it. */
static void put_back(struct uas_session *s, const struct uas_parked *parked)
{
    struct uas_subscriber *p = s->subs;
    p->parked_head = (p->parked_head ? p->parked_head : s->server->limits.publish_requests) - 1;
    p->parked_count++;
    *parked_at(s, 0) = *parked;
}

bool uas_send_news(struct uas_subscription *s)
{
    struct uas_parked parked;
    uint32_t count = 0;
    if (!can_send(s->session) || !next_parked(s->session, &parked))
        return false;
    struct uas_message *m = uas_message_make(s, message_room(s, &parked), &count);
    if (!m) {
        put_back(s->session, &parked);
        return false;
    }
    bool kept = uas_retain(s, m);
    s->rest = uas_has_news(s);
    s->sent = true;
    s->quiet = 0;
    uas_add(&uas_counters.notifications, count);
    (void)answer(&parked, s->id, s, s->rest, bytes_of(m->at, m->len)); /* not sent, it can be asked for: Republish */
    if (!kept)
        mem_free(m);
    return true;
}

/* An empty NotificationMessage, with the number that the next one will have. */
static struct bytes empty_message(const struct uas_subscription *s, uint8_t at[16])
{
    uint64_t now = (uint64_t)ua_space_now(s->server->space);
    for (int i = 0; i < 16; i++)
        at[i] = (uint8_t)(i < 4 ? s->sequence >> (8 * i) : i < 12 ? now >> (8 * (i - 4)) : 0);
    return bytes_of(at, 16);
}

bool uas_send_keep_alive(struct uas_subscription *s)
{
    struct uas_parked parked;
    uint8_t message[16];
    if (!can_send(s->session) || !next_parked(s->session, &parked))
        return false;
    s->sent = true;
    s->quiet = 0;
    (void)answer(&parked, s->id, s, false, empty_message(s, message));
    return true;
}

/* ---- subscriptions that are no more ---- */

void uas_farewell(struct uas_session *session, uint32_t subscription, uint32_t sequence, ua_status status)
{
    struct uas_subscriber *p = session->subs;
    if (p->farewell_count == UAS_FAREWELLS) {
        p->farewell_count--;
        memmove(&p->farewells[0], &p->farewells[1], p->farewell_count * sizeof p->farewells[0]);
    }
    p->farewells[p->farewell_count++] = (struct uas_farewell){ subscription, sequence, status };
    uas_serve_late(session);
}

/* A StatusChangeNotification. */
static void send_farewell(struct uas_session *session, struct uas_parked *parked)
{
    struct uas_subscriber *p = session->subs;
    struct uas_farewell f = p->farewells[0];
    p->farewell_count--;
    memmove(&p->farewells[0], &p->farewells[1], p->farewell_count * sizeof p->farewells[0]);
    struct buf b = { 0 };
    struct ua_status_change_notification n = { .status = f.status };
    buf_le32(&b, f.sequence);
    buf_le64(&b, (uint64_t)ua_space_now(session->server->space));
    buf_le32(&b, 1);
    ua_write_object_of(&b, &ua_status_change_notification_type, &n);
    if (b.bad) {
        uas_ticket_fault(&parked->ticket, UA_BAD_OUT_OF_MEMORY);
        mem_free(parked->results);
    } else {
        (void)answer(parked, f.subscription, NULL, false, buf_bytes(&b));
    }
    buf_clear(&b);
}

/* ---- who is served first ---- */

/* The one of the highest priority; of several the one that waits longest. */
static struct uas_subscription *most_urgent(const struct uas_subscriber *p)
{
    struct uas_subscription *best = NULL;
    for (struct uas_subscription *s = p->subscriptions; s; s = s->next_of_session)
        if (s->late && (!best || s->priority > best->priority || (s->priority == best->priority && s->late_us < best->late_us)))
            best = s;
    return best;
}

void uas_serve_late(struct uas_session *session)
{
    struct uas_subscriber *p = session->subs;
    struct uas_parked parked;
    while (p->farewell_count && can_send(session) && next_parked(session, &parked))
        send_farewell(session, &parked);
    for (struct uas_subscription *s; can_send(session) && (s = most_urgent(p)) != NULL;) {
        s->late = false;
        if (!(uas_has_news(s) ? uas_send_news(s) : uas_send_keep_alive(s))) {
            s->late = true;
            return;
        }
        if (s->rest) { /* behind those that have waited meanwhile */
            s->late = true;
            s->late_us = loop_now_us(session->server->loop);
        }
    }
}

/* ---- the services ---- */

static ua_status acknowledge(struct uas_session *session, const struct ua_subscription_acknowledgement *a)
{
    struct uas_subscription *s = uas_subscription_of(session, a->subscription_id);
    if (!s)
        return UA_BAD_SUBSCRIPTION_ID_INVALID;
    return uas_acknowledge(s, a->sequence_number) ? UA_GOOD : UA_BAD_SEQUENCE_NUMBER_UNKNOWN;
}

/* False: no memory for what went wrong. */
static bool acknowledge_all(struct uas_session *session, const struct ua_publish_request *ask, struct uas_parked *out)
{
    out->results = NULL;
    out->result_count = ask->subscription_acknowledgements_count;
    for (uint32_t i = 0; i < out->result_count; i++) {
        ua_status status = acknowledge(session, &ask->subscription_acknowledgements[i]);
        if (status && !out->results)
            out->results = mem_zalloc(out->result_count, sizeof *out->results);
        if (status && !out->results)
            return false;
        if (status)
            out->results[i] = status;
    }
    return true;
}

void uas_publish(struct uas_request *r)
{
    struct ua_publish_request ask;
    if (!uas_read(r, &ua_publish_request_type, &ask))
        return;
    struct uas_session *session = r->session;
    struct uas_subscriber *p = uas_subscriber_of(session);
    UAS_COUNT(publish_requests);
    if (ask.subscription_acknowledgements_count > r->server->limits.operations) {
        uas_fault(r, UA_BAD_TOO_MANY_OPERATIONS);
        return;
    }
    if (!p || (!p->count && !p->farewell_count)) {
        uas_fault(r, p ? UA_BAD_NO_SUBSCRIPTION : UA_BAD_OUT_OF_MEMORY);
        return;
    }
    struct uas_parked parked;
    if (!acknowledge_all(session, &ask, &parked)) {
        uas_fault(r, UA_BAD_OUT_OF_MEMORY);
        return;
    }
    if (p->parked_count == r->server->limits.publish_requests) { /* the oldest has to go [Part 4, 5.13.5.1] */
        struct uas_parked oldest = take_parked(session);
        uas_ticket_fault(&oldest.ticket, UA_BAD_TOO_MANY_PUBLISH_REQUESTS);
        log_info("opcua", "FG3323 session %s has %u Publish requests waiting, that is all a session may have; the oldest was sent "
                 "back", session->name, r->server->limits.publish_requests);
        mem_free(oldest.results);
    }
    parked.ticket = uas_ticket_of(r);
    *parked_at(session, p->parked_count++) = parked;
    for (struct uas_subscription *s = p->subscriptions; s; s = s->next_of_session)
        s->alone = 0;
    uas_serve_late(session);
}

void uas_republish(struct uas_request *r)
{
    struct ua_republish_request ask;
    if (!uas_read(r, &ua_republish_request_type, &ask))
        return;
    struct uas_subscription *s = uas_subscription_of(r->session, ask.subscription_id);
    if (!s) {
        uas_fault(r, UA_BAD_SUBSCRIPTION_ID_INVALID);
        return;
    }
    uas_touch(s);
    const struct uas_message *m = uas_retained(s, ask.retransmit_sequence_number);
    if (!m) {
        uas_fault(r, UA_BAD_MESSAGE_NOT_AVAILABLE);
        return;
    }
    struct buf *out = uas_begin(r, UA_ENCODING_republish_response);
    buf_add(out, m->at, m->len);
    uas_end(r);
}
