/* order.c - sequence numbers: what is missing is asked for, what came early waits, nothing is given twice [Part 4, 5.13.1.2]. */
#include "uaclient/subscription_private.h"

#include "base/mem.h"

enum { ASK_MOST = 10000, TRY_MOST = 1000, STALE_MOST = 3, BACK = 1 << 20 };

/* 0 is never used. */
static uint32_t after(uint32_t n)
{
    return n == UINT32_MAX ? 1 : n + 1;
}

/* How many come before `to` from `from` on; negative: it was there already. */
static int64_t distance(uint32_t from, uint32_t to)
{
    int64_t d = (int64_t)to - (int64_t)from;
    if (d > INT32_MAX)
        d -= UINT32_MAX;
    if (d < -(int64_t)INT32_MAX)
        d += UINT32_MAX;
    return d;
}

static bool is_keep_alive(const struct sub_message *m)
{
    struct wire w = wire_of(m->data);
    uint32_t n = wire_le32(&w);
    return w.bad || n == 0 || n > INT32_MAX;
}

/* ---- what waits ---- */

static void free_held(struct ua_subscription *s, struct sub_message *m)
{
    s->held_count--;
    if (m->counted && s->client->publishing.held)
        s->client->publishing.held--;
    mem_free(m);
}

void order_forget(struct ua_subscription *s)
{
    while (s->held) {
        struct sub_message *m = s->held;
        s->held = m->next;
        free_held(s, m);
    }
}

/* A copy, in its place. False: no room; then what is missing is given up, so that what is here can be given. */
static bool hold(struct ua_subscription *s, const struct sub_message *m)
{
    if (s->held_count >= UA_HELD_MAX)
        return false;
    struct sub_message *copy = mem_alloc(sizeof *copy + m->data.len + 1);
    if (!copy)
        return false;
    *copy = *m;
    copy->data.at = memcpy(copy + 1, m->data.at, m->data.len);
    copy->counted = m->from == UA_FROM_PUBLISH;
    s->client->publishing.held += copy->counted;
    s->held_count++;
    struct sub_message **at = &s->held;
    while (*at && distance((*at)->sequence, m->sequence) >= 0)
        at = &(*at)->next;
    copy->next = *at;
    *at = copy;
    return true;
}

/* ---- what is lost ---- */

static void lose(struct ua_subscription *s, uint32_t first, uint64_t n)
{
    if (!n)
        return;
    if (!s->lost_here)
        s->first_lost = first;
    s->lost_here += n;
    s->lost_messages += n;
    s->client->lost_messages += n;
}

/* False: the subscription is gone. */
static bool tell_lost(struct ua_subscription *s, ua_time to)
{
    struct ua_gap gap = {.from = s->heard_time,
                         .to = to,
                         .lost_messages = s->lost_here,
                         .first_lost = s->first_lost,
                         .items = s->count};
    if (!s->lost_here)
        return true;
    (void)FAIL_FG(&gap.why, CODE_CLOSED, UA_FG_LOST,
                  "%s: %llu message(s) of subscription %u are lost, from number %u on: the server does not "
                  "have them any more",
                  s->client->set.url, (unsigned long long)s->lost_here, s->id, s->first_lost);
    s->lost_here = 0;
    sub_enter(s);
    if (s->events.on_gap)
        s->events.on_gap(s->ctx, s, &gap);
    return sub_leave(s);
}

/* ---- giving ---- */

/* It is the next one. False: the subscription is gone. */
static bool give(struct ua_subscription *s, const struct sub_message *m)
{
    s->expected = m->sequence ? after(m->sequence) : 0;
    s->stale = 0;
    if (!tell_lost(s, m->published))
        return false;
    return notify(s, m);
}

static void keep_alive(struct ua_subscription *s, const struct sub_message *m)
{
    s->keep_alives++;
    s->client->keep_alives++;
    if (!s->expected)
        s->expected = m->sequence; /* the next one to come */
    if (m->published > s->heard_time && s->state == SUB_LIVE)
        s->heard_time = m->published;
}

/* Numbers that were there already: a message that comes twice, or a server that counts anew. False: it was dealt with. */
static bool ahead(struct ua_subscription *s, const struct sub_message *m, bool empty)
{
    int64_t d = distance(s->expected, m->sequence);
    if (d >= 0)
        return true;
    if (empty)
        return false; /* some send the last number used with a keep-alive, not the next one */
    s->duplicates++;
    s->client->duplicates++;
    if (++s->stale >= STALE_MOST || d < -(int64_t)BACK) {
        client_lacks(s->client, UA_LACK_SEQUENCE);
        sub_gone(s, "its sequence numbers ran backwards", true);
    }
    return false;
}

void order_take(struct ua_subscription *s, struct sub_message *m)
{
    bool empty = is_keep_alive(m);
    sub_heard(s);
    if (s->state != SUB_LIVE) {
        if (empty)
            keep_alive(s, m);
        else
            (void)hold(s, m); /* no room: it is missing when the others are given, and asked for then */
        return;
    }
    if (empty) {
        keep_alive(s, m);
        sub_enter(s);
        sub_doubt(s);
        if (!sub_leave(s) || s->state != SUB_LIVE)
            return;
    }
    if (m->sequence && s->expected && !ahead(s, m, empty))
        return;
    if (!m->sequence || !s->expected || m->sequence == s->expected) {
        if (!empty)
            (void)give(s, m);
        return;
    }
    if (!empty && !hold(s, m)) {
        lose(s, s->expected, (uint64_t)distance(s->expected, m->sequence));
        (void)give(s, m);
        return;
    }
    s->missing_end = m->sequence;
    s->state = SUB_ASKING;
    order_ask(s);
}

void order_drain(struct ua_subscription *s)
{
    sub_enter(s);
    while (s->held && !s->closed && s->state == SUB_LIVE) {
        struct sub_message *m = s->held;
        int64_t d = s->expected && m->sequence ? distance(s->expected, m->sequence) : 0;
        s->held = m->next;
        if (d > 0)
            lose(s, s->expected, (uint64_t)d);
        if (d >= 0)
            (void)give(s, m);
        free_held(s, m);
    }
    if (!s->closed && s->lost_here)
        (void)tell_lost(s, s->heard_time);
    (void)sub_leave(s);
}

/* ---- asking again ---- */

static void done(struct ua_subscription *s)
{
    struct ua_client *c = s->client;
    s->missing_end = 0;
    s->asked_for = 0;
    s->state = SUB_LIVE;
    order_drain(s);
    if (!c->dead)
        publish_pump(c);
}

static void give_up(struct ua_subscription *s)
{
    if (s->missing_end) {
        lose(s, s->expected, (uint64_t)distance(s->expected, s->missing_end));
        s->expected = s->missing_end;
    }
    done(s);
}

static bool unsupported(ua_status status)
{
    status = ua_code(status);
    return status == UA_BAD_SERVICE_UNSUPPORTED || status == UA_BAD_NOT_IMPLEMENTED ||
           status == UA_BAD_NOT_SUPPORTED;
}

static void not_there(struct ua_subscription *s, ua_status status)
{
    if (ua_code(status) == UA_BAD_SUBSCRIPTION_ID_INVALID) {
        sub_gone(s, "gone on the server", false);
        return;
    }
    if (unsupported(status))
        client_lacks(s->client, UA_LACK_REPUBLISH);
    if (unsupported(status) || s->asked_for > ASK_MOST || !s->missing_end) {
        give_up(s); /* with no end to reach: there is nothing more */
        return;
    }
    lose(s, s->expected, 1);
    s->expected = after(s->expected);
    order_ask(s);
}

static ua_status read_republished(struct ua_client *c, struct bytes body, struct sub_message *m)
{
    uint64_t lent[64];
    struct arena arena;
    struct ua_response_header header = {0};
    arena_init(&arena, lent, sizeof lent, 1 << 20);
    struct ua_reader r = ua_reader_of(body, &arena, c->set.limits);
    uint32_t encoding = ua_read_type(&r);
    ua_read_struct(&r, &ua_response_header_type, &header);
    ua_status status = !ua_read_good(&r)                                 ? UA_BAD_DECODING_ERROR
                       : ua_is_bad(header.service_result)                ? header.service_result
                       : encoding != ua_republish_response_type.encoding ? UA_BAD_UNKNOWN_RESPONSE
                                                                         : UA_GOOD;
    m->sequence = wire_le32(&r.wire);
    m->published = (ua_time)wire_le64(&r.wire);
    m->data = bytes_of(r.wire.at, wire_left(&r.wire));
    if (!status && r.wire.bad)
        status = UA_BAD_DECODING_ERROR;
    arena_clear(&arena);
    return status;
}

static void republished(struct ua_pending *p, ua_status status, struct bytes body)
{
    struct ua_subscription *s = p->ctx;
    struct ua_client *c = p->client;
    struct sub_message m = {.from = UA_FROM_REPUBLISH};
    s->asking = false;
    if (!sub_asked(s) || s->state != SUB_ASKING || status == UA_BAD_CONNECTION_CLOSED)
        return;
    if (!status)
        status = read_republished(c, body, &m);
    if (!status && m.sequence != s->expected)
        status = UA_BAD_MESSAGE_NOT_AVAILABLE; /* some server's idea of it */
    if (status) {
        not_there(s, status);
        return;
    }
    s->republished++;
    c->republished++;
    if (give(s, &m) && s->state == SUB_ASKING)
        order_ask(s);
}

void order_ask(struct ua_subscription *s)
{
    struct ua_client *c = s->client;
    for (;;) {
        /* What waits already need not be asked for. */
        while (s->held && s->expected && distance(s->expected, s->held->sequence) <= 0) {
            struct sub_message *m = s->held;
            bool next = m->sequence == s->expected;
            s->held = m->next;
            sub_enter(s);
            if (next)
                (void)give(s, m);
            free_held(s, m);
            if (!sub_leave(s) || s->state != SUB_ASKING)
                return;
        }
        if (!s->expected || (s->missing_end && distance(s->expected, s->missing_end) <= 0)) {
            done(s);
            return;
        }
        if (!s->missing_end || distance(s->expected, s->missing_end) <= TRY_MOST)
            break;
        /* A jump that wide is not worth so many requests. */
        uint64_t n = (uint64_t)distance(s->expected, s->missing_end) - TRY_MOST;
        lose(s, s->expected, n);
        s->expected = (uint32_t)(s->expected + n > UINT32_MAX ? s->expected + n - UINT32_MAX
                                                              : s->expected + n);
    }
    if (s->asking)
        return;
    if (c->lacks & 1u << UA_LACK_REPUBLISH) {
        give_up(s);
        return;
    }
    struct ua_republish_request r = {.subscription_id = s->id, .retransmit_sequence_number = s->expected};
    s->asked_for++;
    sub_ask(s);
    s->asking = client_ask_raw(c, &ua_republish_request_type, &r, c->set.request_ms, republished, NULL, s,
                               NULL, NULL) == CODE_OK;
    if (s->asking)
        return;
    (void)sub_asked(s);
    give_up(s);
}
