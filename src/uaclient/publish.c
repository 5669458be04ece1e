/* publish.c - Publish requests that wait at the server, and whose answer it is [Part 4, 5.13.5]. */
#include "uaclient/subscription_private.h"

#include "base/mem.h"

#include <stddef.h>

enum {
    PARKED_LEAST = 2,
    PARKED_MOST = 20,
    ACKS_MOST = 1000,
    PAUSE_MS = 1000,
    HEAD_ARENA = 1 << 20,
    JUST_MADE_US = 2000000
};

/* ---- asking ---- */

static unsigned wanted(const struct ua_client *c)
{
    unsigned n = 0;
    for (const struct ua_subscription *s = c->subscriptions; s; s = s->next)
        n += s->id != 0;
    if (n == 0)
        return 0;
    n = n + 1 < PARKED_LEAST ? PARKED_LEAST : n + 1 > PARKED_MOST ? PARKED_MOST : n + 1;
    n = n < c->publishing.most ? n : c->publishing.most;
    return n > c->publishing.held ? n - c->publishing.held
                                  : 1; /* one at least: keep-alives and others' values */
}

static void on_answer(struct ua_pending *, ua_status, struct bytes);

static void on_pause(struct timer *t)
{
    struct ua_publishing *p = (struct ua_publishing *)(void *)((char *)t -
                                                               offsetof(struct ua_publishing, pause));
    struct ua_client *c = (struct ua_client *)(void *)((char *)p - offsetof(struct ua_client, publishing));
    p->pausing = false;
    publish_pump(c);
}

static void pause_a_while(struct ua_client *c)
{
    c->publishing.pausing = true;
    timer_start(c->loop, &c->publishing.pause, PAUSE_MS, on_pause);
}

static bool ask(struct ua_client *c)
{
    struct ua_subscription_acknowledgement acks[ACKS_MOST];
    struct bytes kept = buf_bytes(&c->publishing.acks);
    uint32_t n = 0;
    for (struct wire w = wire_of(kept); n < ACKS_MOST && wire_left(&w) >= 8; n++) {
        acks[n].subscription_id = wire_le32(&w);
        acks[n].sequence_number = wire_le32(&w);
    }
    struct ua_publish_request r = {.subscription_acknowledgements = n ? acks : NULL,
                                   .subscription_acknowledgements_count = n};
    if (client_ask_raw(c, &ua_publish_request_type, &r, -1, on_answer, NULL, NULL, NULL, NULL))
        return false;
    if (n)
        buf_take(&c->publishing.acks, n * 8);
    c->publishing.parked++;
    return true;
}

void publish_pump(struct ua_client *c)
{
    if (c->state != UA_CLIENT_UP || c->publishing.pausing || c->publishing.on_hold)
        return;
    while (c->publishing.parked < wanted(c)) {
        if (ask(c))
            continue;
        pause_a_while(c);
        return;
    }
}

void publish_wake(struct ua_client *c)
{
    timer_stop(c->loop, &c->publishing.pause);
    c->publishing.pausing = false;
    publish_pump(c);
}

ua_time client_server_time(const struct ua_client *c)
{
    return ua_time_from_us(loop_wall_us(c->loop) + (c->clock_us == INT64_MAX ? 0 : c->clock_us));
}

void ua_client_hold(struct ua_client *c, bool on)
{
    if (c->publishing.on_hold == on)
        return;
    c->publishing.on_hold = on;
    for (struct ua_subscription *s = c->subscriptions; s; s = s->next)
        s->heard_us = loop_now_us(c->loop); /* it could not speak */
    publish_pump(c);
}

/* ---- answers ---- */

static struct ua_subscription *find(struct ua_client *c, uint32_t id)
{
    struct ua_subscription *s = c->subscriptions;
    while (s && (s->id != id || s->state == SUB_NONE || s->state == SUB_MAKING))
        s = s->next;
    return s;
}

static void none_left(struct ua_client *c)
{
    struct ua_subscription *next;
    for (struct ua_subscription *s = c->subscriptions; s && !c->dead; s = next) {
        next = s->next;
        /* One that was made after the server has said so is not meant. */
        if (s->id && loop_now_us(c->loop) - s->made_us > JUST_MADE_US)
            sub_gone(s, "gone on the server", false);
    }
    if (!c->dead)
        pause_a_while(c);
}

static void refused(struct ua_client *c, ua_status status)
{
    switch (ua_code(status)) {
    case UA_BAD_CONNECTION_CLOSED: return;
    case UA_BAD_TOO_MANY_PUBLISH_REQUESTS:
        c->publishing.most = c->publishing.parked ? c->publishing.parked : 1;
        client_lacks(c, UA_LACK_PUBLISH_QUEUE);
        break;
    case UA_BAD_NO_SUBSCRIPTION: none_left(c); return;
    case UA_BAD_SESSION_ID_INVALID:
    case UA_BAD_SESSION_CLOSED:
    case UA_BAD_SESSION_NOT_ACTIVATED: client_session_lost(c, status); return;
    default: pause_a_while(c); return;
    }
    if (c->publishing.parked == 0)
        pause_a_while(c);
}

/* The parts of a PublishResponse before its notifications. `data` is the rest, as it stands. */
static ua_status read_head(struct ua_client *c, struct bytes body, struct sub_message *m, uint32_t *id)
{
    uint64_t lent[64];
    struct arena arena;
    struct ua_response_header header = {0};
    arena_init(&arena, lent, sizeof lent, HEAD_ARENA);
    struct ua_reader r = ua_reader_of(body, &arena, c->set.limits);
    uint32_t encoding = ua_read_type(&r);
    ua_status status = UA_GOOD;
    ua_read_struct(&r, &ua_response_header_type, &header);
    if (ua_read_good(&r) && ua_is_bad(header.service_result))
        status = header.service_result;
    else if (ua_read_good(&r) && encoding != ua_publish_response_type.encoding)
        status = UA_BAD_UNKNOWN_RESPONSE;
    bool null;
    *id = wire_le32(&r.wire);
    (void)wire_skip(&r.wire, (size_t)ua_read_count(&r, 4, &null) *
                                 4); /* what may be asked for again: order.c asks and sees */
    (void)wire_u8(&r.wire);
    m->sequence = wire_le32(&r.wire);
    m->published = (ua_time)wire_le64(&r.wire);
    if (m->published <= 0)
        m->published = client_server_time(c);
    m->data = bytes_of(r.wire.at, wire_left(&r.wire));
    if (!status && !ua_read_good(&r))
        status = UA_BAD_DECODING_ERROR;
    arena_clear(&arena);
    return status;
}

static void on_answer(struct ua_pending *p, ua_status status, struct bytes body)
{
    struct ua_client *c = p->client;
    struct sub_message m = {.from = UA_FROM_PUBLISH};
    uint32_t id = 0;
    if (c->publishing.parked)
        c->publishing.parked--;
    if (!status)
        status = read_head(c, body, &m, &id);
    if (status) {
        refused(c, status);
    } else {
        struct ua_subscription *s = find(c, id);
        if (s)
            order_take(s, &m);
        else
            c->unasked++;
    }
    if (!c->dead)
        publish_pump(c);
}

/* ---- acknowledging ---- */

static void queue_ack(struct ua_client *c, uint32_t id, uint32_t sequence)
{
    if (!id || buf_size(&c->publishing.acks) >= (size_t)UA_UNACKED_MAX * 8)
        return; /* the server forgets by itself what is too much */
    if (!buf_room(&c->publishing.acks, 8)) {
        c->publishing.acks.bad = false;
        return;
    }
    buf_le32(&c->publishing.acks, id);
    buf_le32(&c->publishing.acks, sequence);
}

void sub_ack(struct ua_subscription *s, uint32_t sequence)
{
    queue_ack(s->client, s->id, sequence);
}

void ua_subscription_ack(struct ua_subscription *s, uint64_t message)
{
    uint32_t sequence = (uint32_t)message;
    struct wire w = wire_of(buf_bytes(&s->unacked));
    size_t n = 0;
    if ((uint32_t)(message >> 32) != s->life)
        return; /* of a subscription that is no more */
    for (size_t i = 4; wire_left(&w) >= 4; i += 4)
        if (wire_le32(&w) == sequence)
            n = i;
    w = wire_of(buf_bytes(&s->unacked));
    for (size_t i = 0; i < n; i += 4)
        queue_ack(s->client, s->id, wire_le32(&w));
    buf_take(&s->unacked, n);
}
