/* Notification messages: made of the items' queues in two goes. The first counts what fits and how many bytes it takes, so that
 * the second can write into one block of the right size and cannot fail half way. */
#include "uaserver/subscription.h"

#include "base/log.h"
#include "base/mem.h"

enum {
    MESSAGE_HEAD = 4 + 8 + 4,      /* sequence number, time, number of parts */
    OBJECT_HEAD = 4 + 1 + 4,       /* NodeId of four bytes, kind, length */
    DATA_HEAD = OBJECT_HEAD + 4,   /* number of items */
    DATA_TAIL = 4,                 /* no diagnostics */
    EVENTS_HEAD = OBJECT_HEAD + 4, /* number of events */
    HANDLE = 4
};

struct plan {
    uint32_t data, events; /* how many */
    uint64_t bytes;
};

/* ---- the first go ---- */

/* Of one DataValue, exactly what ua_value_put writes. */
static size_t value_bytes(const struct uas_item *i, const struct ua_value *v)
{
    size_t n = 1 + ua_value_bytes(v).len + (v->status ? 4 : 0);
    if (v->source_time && (i->times == UA_TIMES_SOURCE || i->times == UA_TIMES_BOTH))
        n += 8;
    if (v->server_time && (i->times == UA_TIMES_SERVER || i->times == UA_TIMES_BOTH))
        n += 8;
    return n;
}

/* False: it is full. */
static bool plan_list(const struct uas_ready *list, uint32_t most, uint64_t body, uint32_t *count, uint64_t *bytes)
{
    for (struct uas_item *i = list->first; i; i = i->next_ready)
        for (uint32_t k = 0; k < i->count; k++) {
            const struct ua_value *v = uas_queued(i, k);
            uint64_t n = HANDLE + (i->events ? ua_value_bytes(v).len : value_bytes(i, v));
            if (*count == most || *bytes + n > body)
                return false;
            ++*count;
            *bytes += n;
        }
    return true;
}

static struct plan plan_message(const struct uas_subscription *s, uint64_t body)
{
    struct plan p = { .bytes = MESSAGE_HEAD };
    uint32_t most = s->most ? s->most : UINT32_MAX;
    if (s->data.first) {
        p.bytes += DATA_HEAD + DATA_TAIL;
        if (!plan_list(&s->data, most, body, &p.data, &p.bytes))
            return p;
    }
    if (s->events.first && p.data < most) {
        p.bytes += EVENTS_HEAD;
        (void)plan_list(&s->events, most - p.data, body, &p.events, &p.bytes);
        if (!p.events)
            p.bytes -= EVENTS_HEAD;
    }
    return p;
}

/* A single value that the client does not take: it learns that there was one. */
static void give_up_first(struct uas_subscription *s)
{
    struct uas_item *i = s->data.first ? s->data.first : s->events.first;
    struct ua_value gone = uas_queue_take(i);
    struct ua_value told = { .status = UA_BAD_ENCODING_LIMITS_EXCEEDED, .source_time = gone.source_time, .server_time = gone.server_time };
    ua_value_drop(&gone);
    if (!i->events)
        uas_queue_first(i, &told);
    else if (!i->count)
        uas_not_ready(i);
}

/* ---- the second ---- */

static uint8_t *put(uint8_t *at, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(v >> (8 * i));
    return at + bytes;
}

static uint8_t *put_object_head(uint8_t *at, uint32_t encoding)
{
    *at++ = 1;
    *at++ = 0;
    at = put(at, encoding, 2);
    *at++ = UA_BODY_BINARY;
    return put(at, 0, 4); /* length: at the end */
}

static void put_length(uint8_t *object, const uint8_t *end)
{
    (void)put(object + 5, (uint64_t)(end - object - OBJECT_HEAD), 4);
}

static uint8_t *put_list(uint8_t *at, struct uas_ready *list, uint32_t count)
{
    while (count) {
        struct uas_item *i = list->first;
        for (; count && i->count; count--) {
            struct ua_value v = uas_queue_take(i);
            at = put(at, i->handle, HANDLE);
            if (i->events) {
                struct bytes fields = ua_value_bytes(&v);
                memcpy(at, fields.at, fields.len);
                at += fields.len;
            } else {
                at = ua_value_put(at, &v, i->times);
            }
            ua_value_drop(&v);
        }
        if (i->count)
            break;
        uas_queue_clear(i);
    }
    return at;
}

static uint8_t *put_data(uint8_t *at, struct uas_subscription *s, uint32_t count)
{
    uint8_t *object = at;
    at = put(put_object_head(at, UA_ENCODING_data_change_notification), count, 4);
    at = put(put_list(at, &s->data, count), UINT32_MAX, DATA_TAIL);
    put_length(object, at);
    return at;
}

static uint8_t *put_events(uint8_t *at, struct uas_subscription *s, uint32_t count)
{
    uint8_t *object = at;
    at = put(put_object_head(at, UA_ENCODING_event_notification_list), count, 4);
    at = put_list(at, &s->events, count);
    put_length(object, at);
    return at;
}

struct uas_message *uas_message_make(struct uas_subscription *s, uint64_t body, uint32_t *count)
{
    struct plan p = plan_message(s, body < UAS_MESSAGE_BYTES ? body : UAS_MESSAGE_BYTES);
    if (!p.data && !p.events) /* a single one that has more */
        p = plan_message(s, body);
    while (!p.data && !p.events) {
        give_up_first(s);
        if (!uas_has_news(s))
            return NULL;
        p = plan_message(s, body > UA_CHUNK_BYTES_MIN ? body : UA_CHUNK_BYTES_MIN);
    }
    struct uas_message *m = mem_alloc(sizeof *m + p.bytes);
    if (!m)
        return NULL;
    m->sequence = s->sequence;
    m->len = (uint32_t)p.bytes;
    uint8_t *at = put(m->at, m->sequence, 4);
    at = put(at, (uint64_t)ua_space_now(s->server->space), 8);
    at = put(at, (p.data ? 1u : 0u) + (p.events ? 1u : 0u), 4);
    if (p.data)
        at = put_data(at, s, p.data);
    if (p.events)
        at = put_events(at, s, p.events);
    FG_ASSERT((size_t)(at - m->at) <= p.bytes);
    m->len = (uint32_t)(at - m->at);
    uas_sequence_next(s);
    *count = p.data + p.events;
    return m;
}

/* From 1, and after the last one 1 again [Part 4, 7.33]. */
void uas_sequence_next(struct uas_subscription *s)
{
    if (++s->sequence == 0)
        s->sequence = 1;
}

/* ---- the retransmission queue ---- */

static void forget(struct uas_subscription *s, uint32_t at)
{
    ((struct uas_subscriptions *)s->server->subs)->retained_bytes -= s->retained[at]->len;
    s->retained_bytes -= s->retained[at]->len;
    mem_free(s->retained[at]);
    s->retained_count--;
    memmove(&s->retained[at], &s->retained[at + 1], (s->retained_count - at) * sizeof(struct uas_message *));
}

bool uas_retain(struct uas_subscription *s, struct uas_message *m)
{
    struct uas_subscriptions *all = s->server->subs;
    while (s->retained_count &&
           (s->retained_count == s->retained_max || s->retained_bytes + m->len > UAS_RETAINED_BYTES ||
            all->retained_bytes + m->len > UAS_RETAINED_ALL))
        forget(s, 0);
    if (all->retained_bytes + m->len > UAS_RETAINED_ALL) {
        log_warn("opcua", "FG3321 subscription %u: clients have left %llu MiB of messages unacknowledged, that is all the server "
                 "keeps; a message is sent once and cannot be asked for again. They should acknowledge what they have read",
                 s->id, (unsigned long long)all->retained_bytes >> 20);
        return false;
    }
    s->retained[s->retained_count++] = m;
    s->retained_bytes += m->len;
    all->retained_bytes += m->len;
    return true;
}

void uas_forget_all(struct uas_subscription *s)
{
    while (s->retained_count)
        forget(s, s->retained_count - 1);
}

struct uas_message *uas_retained(const struct uas_subscription *s, uint32_t sequence)
{
    for (uint32_t i = 0; i < s->retained_count; i++)
        if (s->retained[i]->sequence == sequence)
            return s->retained[i];
    return NULL;
}

bool uas_acknowledge(struct uas_subscription *s, uint32_t sequence)
{
    for (uint32_t i = 0; i < s->retained_count; i++)
        if (s->retained[i]->sequence == sequence) {
            forget(s, i);
            return true;
        }
    return false;
}
