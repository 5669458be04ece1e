/* notify.c - what is in a notification message, given to the owner as it is decoded.
 *
 * Values of the fixed-size types, which are nearly all, are read by hand: at 100,000 a second it is this loop that costs. What
 * they point to (texts) is in the message; arrays lie in an arena that is emptied after each call of the owner.
 */
#include "uaclient/subscription_private.h"

#include "base/hash.h"

enum { LENT = 8192, VALUE_ARENA = 64 << 20, FAST_LEAST = 40 };

/* One message on its way to the owner. */
struct giving {
    struct ua_subscription *s;
    const struct sub_message *m;
    struct arena arena;
    bool given; /* the owner has heard of it */
    uint32_t index;  /* of values and events in it, from 1 */
    uint32_t before; /* so many of them were given in an earlier life */
};

static uint64_t token(const struct giving *g)
{
    return g->m->sequence ? (uint64_t)g->s->life << 32 | g->m->sequence : 0;
}

/* ---- data changes ---- */

static inline unsigned fixed_size(unsigned type)
{
    static const uint8_t sizes[UA_BUILTIN_COUNT] = {
        [UA_BOOLEAN] = 1, [UA_SBYTE] = 1,     [UA_BYTE] = 1,        [UA_INT16] = 2,  [UA_UINT16] = 2,
        [UA_INT32] = 4,   [UA_UINT32] = 4,    [UA_INT64] = 8,       [UA_UINT64] = 8, [UA_FLOAT] = 4,
        [UA_DOUBLE] = 8,  [UA_DATE_TIME] = 8, [UA_STATUS_CODE] = 4,
    };
    return type < UA_BUILTIN_COUNT ? sizes[type] : 0;
}

static const uint8_t *fast_fixed(const uint8_t *p, unsigned type, struct ua_variant *v)
{
    unsigned n = fixed_size(type);
    if (type == UA_BOOLEAN) { /* any byte but 0 is true */
        v->boolean = *p != 0;
        return p + 1;
    }
    switch (n) {
    case 1: v->u8 = *p; break;
    case 2: memcpy(&v->u16, p, 2); break;
    case 4: memcpy(&v->u32, p, 4); break;
    case 8: memcpy(&v->u64, p, 8); break;
    default: return NULL;
    }
    return p + n;
}

/* A value of a fixed-size type without picoseconds, on a machine of the wire's byte order. NULL: not such a one. There are at
 * least FAST_LEAST bytes at `p`. */
static const uint8_t *fast_value(const uint8_t *p, struct ua_data_value *v)
{
    unsigned has = *p++;
    if (!ua_same_on_wire(UA_DOUBLE) || has & ~0x0fu || !(has & UA_HAS_VALUE))
        return NULL;
    unsigned type = *p++;
    *v = (struct ua_data_value){.has = (uint8_t)has, .value = {.type = (uint8_t)type}};
    p = fast_fixed(p, type, &v->value);
    if (!p)
        return NULL;
    if (has & UA_HAS_STATUS) {
        memcpy(&v->status, p, 4);
        p += 4;
    }
    if (has & UA_HAS_SOURCE_TIME) {
        memcpy(&v->source_time, p, 8);
        p += 8;
    }
    if (has & UA_HAS_SERVER_TIME) {
        memcpy(&v->server_time, p, 8);
        p += 8;
    }
    return p;
}

static const uint8_t *slow_value(struct giving *g, const uint8_t *p, const uint8_t *end,
                                 struct ua_data_value *v)
{
    struct ua_reader r = ua_reader_of(bytes_of(p, (size_t)(end - p)), &g->arena, g->s->client->set.limits);
    ua_read_data_value(&r, v);
    return ua_read_good(&r) ? r.wire.at : NULL;
}

/* False: the subscription or the client is gone. */
static bool hand_over(struct giving *g, const struct ua_change *at, size_t n, bool last)
{
    struct ua_subscription *s = g->s;
    struct ua_client *c = s->client;
    struct ua_changes changes = {.message = s->set.acknowledge ? token(g) : 0,
                                 .last = last,
                                 .from = g->m->from,
                                 .subscription = s->id,
                                 .sequence = g->m->sequence,
                                 .published = g->m->published,
                                 .at = at,
                                 .count = n};
    if (n == 0 && !g->given)
        return true;
    g->given = true;
    s->values += n;
    c->values += n;
    if (s->events.on_changes)
        s->events.on_changes(s->ctx, s, &changes);
    return !s->closed && !c->dead;
}

/* Two values with the same source time and the same print are the same one. In the print of a fixed-size type are all its bits;
 * of anything else, a hash of how it is encoded, the same in each life of the program. That a queue was too short is not the value's. */
static inline uint64_t print_with(const struct ua_data_value *v, uint64_t bits)
{
    return bits * 0x9e3779b97f4a7c15ull ^
           ((uint64_t)(v->status & ~(ua_status)(UA_INFO_DATA_VALUE | UA_OVERFLOW)) << 8 | v->value.type);
}

static inline uint64_t print_fixed(const struct ua_data_value *v)
{
    uint64_t bits = 0;
    memcpy(&bits, &v->value.u64, fixed_size(v->value.type));
    return print_with(v, bits);
}

/* The variant stands behind the mask, and before what the mask says of status and times. */
static uint64_t print_of_wire(const struct ua_data_value *v, const uint8_t *p, const uint8_t *next)
{
    size_t tail = (v->has & UA_HAS_STATUS ? 4 : 0) + (v->has & UA_HAS_SOURCE_TIME ? 8 : 0) +
                  (v->has & UA_HAS_SERVER_TIME ? 8 : 0) + (v->has & UA_HAS_SOURCE_PICO ? 2 : 0) +
                  (v->has & UA_HAS_SERVER_PICO ? 2 : 0);
    bool fixed = fixed_size(v->value.type) && !v->value.array;
    if (fixed || !(v->has & UA_HAS_VALUE))
        return print_fixed(v);
    FG_ASSERT((size_t)(next - p) > tail);
    return print_with(v, hash_partition(bytes_of(p + 1, (size_t)(next - p) - 1 - tail)));
}

/* One of history, which stands elsewhere. */
uint64_t sub_print(const struct ua_data_value *v)
{
    struct buf b = {0};
    uint64_t print = print_fixed(v);
    if (v->has & UA_HAS_VALUE && (v->value.array || !fixed_size(v->value.type))) {
        ua_write_variant(&b, &v->value);
        print = b.bad ? 0 : print_with(v, hash_partition(buf_bytes(&b)));
        buf_clear(&b);
    }
    return print;
}

/* Whose value it is; NULL: nobody's, or one that was given before the connection was lost. */
static inline struct sub_hot *owner_of(struct ua_subscription *s, uint32_t wire,
                                       const struct ua_data_value *v, uint64_t print, bool again)
{
    uint32_t place = wire & UA_ITEM_PLACE;
    struct sub_hot *h = place < s->cap ? &s->hot[place] : NULL;
    if (!h || h->wire != wire || !wire) {
        s->unknown_handles++;
        return NULL;
    }
    s->arrived = true;
    if (v->has & UA_HAS_SOURCE_TIME) {
        if (again && h->values && v->source_time == h->last && print == h->print) {
            s->duplicates++;
            s->client->duplicates++;
            return NULL;
        }
        h->last = v->source_time;
        h->print = print;
    }
    if (v->status & UA_OVERFLOW) {
        s->overflows++;
        s->client->overflows++;
    }
    h->values++;
    return h;
}

/* Returns whether all of it could be read; *gone: stop. */
static bool changes(struct giving *g, struct bytes body, bool last, bool *gone)
{
    struct ua_subscription *s = g->s;
    struct ua_change batch[UA_CHANGES];
    const uint8_t *p = body.at, *end;
    const bool again = loop_now_us(s->client->loop) < s->again_us;
    uint32_t count = 0, wire, n = 0;
    if (body.len < 4)
        return false; /* no body at all has no place either */
    end = p + body.len;
    memcpy(&count, p, 4);
    p += 4;
    for (uint32_t i = 0; count <= INT32_MAX && i < count; i++) {
        struct ua_data_value *v = &batch[n].value;
        const uint8_t *next = NULL;
        uint64_t print = 0;
        if (end - p >= FAST_LEAST && (next = fast_value(p + 4, v)))
            print = print_fixed(v);
        else if (end - p >= 5 && (next = slow_value(g, p + 4, end, v)))
            print = print_of_wire(v, p + 4, next);
        if (!next) {
            *gone = !hand_over(g, batch, n, false);
            return false;
        }
        memcpy(&wire, p, 4);
        p = next;
        if (++g->index <= g->before)
            continue;
        const struct sub_hot *h = owner_of(s, wire, v, print, again);
        if (!h)
            continue;
        batch[n].handle = h->owner;
        batch[n].index = g->index;
        if (++n < UA_CHANGES)
            continue;
        bool end_of_message = last && i + 1 == count;
        if (!hand_over(g, batch, n, end_of_message)) {
            *gone = true;
            return true;
        }
        n = 0;
        arena_reset(&g->arena);
        if (end_of_message)
            return true;
    }
    if (n || last)
        *gone = !hand_over(g, batch, n, last);
    arena_reset(&g->arena);
    return true;
}

/* ---- events ---- */

static bool occurrences(struct giving *g, struct bytes body, bool *gone)
{
    struct ua_subscription *s = g->s;
    struct ua_reader r = ua_reader_of(body, &g->arena, s->client->set.limits);
    struct ua_event_notification_list list = {0};
    ua_read_struct(&r, &ua_event_notification_list_type, &list);
    if (!ua_read_good(&r))
        return false;
    for (uint32_t i = 0; i < list.events_count && !*gone; i++) {
        const struct ua_event_field_list *e = &list.events[i];
        if (++g->index <= g->before)
            continue;
        uint32_t place = e->client_handle & UA_ITEM_PLACE;
        if (place >= s->cap || s->hot[place].wire != e->client_handle || !e->client_handle) {
            s->unknown_handles++;
            continue;
        }
        struct ua_occurrence o = {.message = s->set.acknowledge ? token(g) : 0,
                                  .handle = s->hot[place].owner,
                                  .index = g->index,
                                  .fields = e->event_fields,
                                  .count = e->event_fields_count};
        s->hot[place].values++;
        s->occurrences++;
        s->client->occurrences++;
        g->given = true;
        if (s->events.on_event)
            s->events.on_event(s->ctx, s, &o);
        *gone = s->closed || s->client->dead;
    }
    arena_reset(&g->arena);
    return true;
}

/* ---- a message ---- */

static bool status_change(struct giving *g, const struct ua_extension_object *o, ua_status *status)
{
    struct ua_status_change_notification n = {0};
    struct ua_reader like = ua_reader_of(BYTES_NONE, &g->arena, g->s->client->set.limits);
    if (!ua_object_read(&like, o, &ua_status_change_notification_type, &n))
        return false;
    *status = n.status ? n.status : UA_BAD_UNEXPECTED_ERROR;
    return true;
}

static bool one_object(struct giving *g, const struct ua_extension_object *o, bool last, ua_status *ended,
                       bool *gone)
{
    uint32_t type = o->type.ns == 0 && o->type.kind == UA_ID_NUMBER && o->kind == UA_BODY_BINARY
                        ? o->type.number
                        : 0;
    if (type == ua_data_change_notification_type.encoding)
        return changes(g, o->body, last, gone);
    if (type == ua_event_notification_list_type.encoding)
        return occurrences(g, o->body, gone);
    if (type == ua_status_change_notification_type.encoding)
        return status_change(g, o, ended);
    return false;
}

static void unreadable(struct ua_subscription *s, const struct sub_message *m)
{
    s->lost_messages++;
    s->client->lost_messages++;
    client_notice(
        s->client, UA_FG_BROKEN,
        "%s: message %u of subscription %u cannot be read to its end; what stands behind the flaw is lost",
        s->client->set.url, m->sequence, s->id);
}

static void acknowledge(struct giving *g)
{
    struct ua_subscription *s = g->s;
    if (!g->m->sequence)
        return;
    if (!s->set.acknowledge || !g->given) {
        sub_ack(s, g->m->sequence);
        return;
    }
    /* An owner who never does it: the oldest is forgotten here, and in the end by the server. */
    if (buf_size(&s->unacked) >= (size_t)UA_UNACKED_MAX * 4)
        buf_take(&s->unacked, 4);
    buf_le32(&s->unacked, g->m->sequence);
    s->unacked.bad = false;
}

bool notify(struct ua_subscription *s, const struct sub_message *m)
{
    uint64_t lent[LENT / sizeof(uint64_t)];
    struct giving g = {
        .s = s, .m = m, .before = s->partial && m->sequence == s->partial ? s->partial_values : 0};
    struct ua_reader r = ua_reader_of(m->data, NULL, s->client->set.limits);
    ua_status ended = UA_GOOD;
    bool null, gone = false, good = true;
    arena_init(&g.arena, lent, sizeof lent, VALUE_ARENA);
    sub_enter(s);
    s->messages++;
    s->client->messages++;
    s->stale = 0;
    uint32_t n = ua_read_count(&r, 3, &null);
    /* Known before the owner hears of it, who may acknowledge at once. */
    bool owners = s->set.acknowledge && m->sequence;
    if (owners)
        acknowledge(&(struct giving){.s = s, .m = m, .given = true});
    for (uint32_t i = 0; i < n && good && !gone; i++) {
        struct ua_extension_object o;
        ua_read_object(&r, &o);
        good = ua_read_good(&r) && one_object(&g, &o, i + 1 == n, &ended, &gone);
    }
    if (!gone && !good)
        unreadable(s, m);
    if (!gone && m->published > s->heard_time)
        s->heard_time = m->published;
    if (!gone && owners && !g.given)
        ua_subscription_ack(s, token(&g));
    else if (!gone && !owners)
        acknowledge(&g);
    arena_clear(&g.arena);
    if (ua_code(ended) == UA_GOOD_SUBSCRIPTION_TRANSFERRED && s->came_over) {
        s->came_over = false; /* to us: node-opcua says so here when the session of before cannot be told */
        ended = UA_GOOD;
    }
    if (!gone && ended)
        sub_gone(s,
                 ua_code(ended) == UA_GOOD_SUBSCRIPTION_TRANSFERRED ? "taken by another session"
                                                                    : "ended by the server",
                 false);
    return sub_leave(s) && !gone;
}

bool notify_history(struct ua_subscription *s, uint32_t place, const struct ua_data_value *values,
                    uint32_t count)
{
    struct ua_change batch[UA_CHANGES];
    struct sub_message none = {.from = UA_FROM_HISTORY};
    struct giving g = {.s = s, .m = &none};
    uint32_t n = 0, wire = place < s->cap ? s->hot[place].wire : 0;
    sub_enter(s);
    bool there = true;
    for (uint32_t i = 0; i <= count && there && wire; i++) {
        struct sub_hot *h = place < s->cap ? &s->hot[place] : NULL;
        if (n && (i == count || n == UA_CHANGES)) {
            there = hand_over(&g, batch, n, i == count);
            n = 0;
            h = there ? &s->hot[place] : NULL;
        }
        if (i == count || !h || h->wire != wire || !(values[i].has & UA_HAS_SOURCE_TIME) ||
            values[i].source_time <= h->last)
            continue;
        h->last = values[i].source_time;
        h->print = sub_print(&values[i]);
        h->values++;
        batch[n].handle = h->owner;
        batch[n].index = 0;
        batch[n++].value = values[i];
    }
    return sub_leave(s) && there;
}
