/* client_window.c - what we sent and has no last answer yet.
 *
 *   slots[i] has the identifier base + i + 1. Free ones form a queue, so that an identifier rests as long as
 *   possible before it is used again. Messages form a list in the order of publishing:
 *
 *     UNSENT ──► PUBLISHED ──► (QoS 1) PUBACK: finished
 *       ▲            │     └─► (QoS 2) PUBREC: RELEASED ──► PUBCOMP: finished
 *       └────────────┘ a new connection: sent again, in the old order (4.4, 4.6)
 */
#include "mqtt/client_parts.h"

#include "base/mem.h"
#include "mqtt/topic.h"

enum { ALIAS_BYTES = 3 + 2 }; /* the property, and longer lengths in front */

static struct slot *slot_at(struct window *w, uint16_t place)
{
    FG_ASSERT(place >= 1 && place <= w->cap);
    return &w->slots[place - 1];
}

static uint16_t id_of(const struct window *w, uint16_t place)
{
    return (uint16_t)(w->base + place);
}

/* The place of an identifier that the server names, 0 if it is none of ours. */
static uint16_t place_of(const struct window *w, uint16_t id)
{
    return id > w->base && id - w->base <= w->cap ? (uint16_t)(id - w->base) : 0;
}

enum code window_init(struct window *w, uint16_t messages, size_t bytes_max, uint16_t draw, struct fault *why)
{
    *w = (struct window){.max = messages, .cap = (uint16_t)(messages + SUBS_MAX), .bytes_max = bytes_max};
    w->base = (uint16_t)(draw % (65535u - w->cap));
    w->slots = mem_zalloc(w->cap, sizeof *w->slots);
    if (!w->slots)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a window of %u messages", messages);
    for (uint16_t i = 1; i <= w->cap; i++)
        slot_at(w, i)->next = i < w->cap ? (uint16_t)(i + 1) : 0;
    w->free_first = 1;
    w->free_last = w->cap;
    return CODE_OK;
}

void window_clear(struct window *w)
{
    for (uint16_t i = 0; w->slots && i < w->cap; i++)
        mem_free(w->slots[i].packet);
    mem_free(w->slots);
    w->slots = NULL;
}

/* ---- lists ---- */

static uint16_t take_free(struct window *w)
{
    uint16_t at = w->free_first;
    FG_ASSERT(at); /* the counters keep us from asking */
    w->free_first = slot_at(w, at)->next;
    if (!w->free_first)
        w->free_last = 0;
    *slot_at(w, at) = (struct slot){0};
    return at;
}

static void give_free(struct window *w, uint16_t at)
{
    *slot_at(w, at) = (struct slot){0};
    if (w->free_last)
        slot_at(w, w->free_last)->next = at;
    else
        w->free_first = at;
    w->free_last = at;
}

static void append(struct window *w, uint16_t at)
{
    struct slot *s = slot_at(w, at);
    s->prev = w->last;
    s->next = 0;
    if (w->last)
        slot_at(w, w->last)->next = at;
    else
        w->first = at;
    w->last = at;
}

static void unlink_slot(struct window *w, uint16_t at)
{
    struct slot *s = slot_at(w, at);
    if (s->prev)
        slot_at(w, s->prev)->next = s->next;
    else
        w->first = s->next;
    if (s->next)
        slot_at(w, s->next)->prev = s->prev;
    else
        w->last = s->prev;
}

static void drop_packet(struct window *w, struct slot *s)
{
    if (!s->packet)
        return;
    w->bytes -= s->size;
    mem_free(s->packet);
    s->packet = NULL;
}

/* ---- publishing ---- */

/* Full: on_ready will follow. */
static enum code again(struct mqtt_client *c, size_t bytes, struct fault *why)
{
    c->blocked = true;
    c->blocked_bytes = bytes;
    return FAIL(why, CODE_AGAIN, 0, "the window is full");
}

static enum code check_state(struct mqtt_client *c, struct fault *why)
{
    /* A connection that has just failed takes nothing, and tells us only in the next turn. */
    if (c->state == CLIENT_OPEN)
        return conn_is_open(c->conn) ? CODE_OK : again(c, 0, why);
    if (c->state == CLIENT_ENDED || c->state == CLIENT_LEAVING)
        return FAIL(why, CODE_CLOSED, 0, "the connection to the server has ended");
    return again(c, 0, why);
}

bool window_has_room(const struct mqtt_client *c)
{
    const struct window *w = &c->window;
    return c->state == CLIENT_OPEN && conn_is_open(c->conn) && !w->unsent && w->messages < w->max &&
           w->flying < c->server_receive_max && w->bytes + c->blocked_bytes <= w->bytes_max &&
           conn_unsent(c->conn) <= c->set.unsent_bytes;
}

static enum code check_message(const struct mqtt_client *c, const struct mqtt_client_message *m, size_t size,
                               struct fault *why)
{
    if (m->qos > 2)
        return FAIL(why, CODE_USAGE, 0, "there is no QoS %u", m->qos);
    if (m->qos > c->server_max_qos)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the server takes messages up to QoS %u, not %u",
                    c->server_max_qos, m->qos);
    if (m->retain && !c->server_retain)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the server does not keep retained messages");
    if (m->topic_alias > c->server_alias_max)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the server takes topic aliases up to %u, not %u",
                    c->server_alias_max, m->topic_alias);
    if (size == 0 || size + (m->topic_alias ? ALIAS_BYTES : 0) > c->server_packet_bytes)
        return FAIL(why, CODE_LIMIT, 0, "the message is larger than the %u bytes that the server takes",
                    c->server_packet_bytes);
    if (m->qos && c->set.reconnect && size > c->window.bytes_max)
        return FAIL(why, CODE_LIMIT, 0,
                    "the message is larger than the %zu bytes of unfinished ones that are kept",
                    c->window.bytes_max);
    return CODE_OK;
}

static void put_publish(struct mqtt_client *c, struct buf *out, const struct mqtt_client_message *m,
                        uint16_t id, struct bytes topic, struct bytes alias)
{
    mqtt_encode_publish_head(out, c->set.version, m->qos, false, m->retain, topic, id, alias, m->props,
                             m->payload.len);
    buf_add_bytes(out, m->payload);
    FG_ASSERT(!out->bad);
}

/* With an alias: the topic goes with its first message of a connection. What is kept for another connection has the
 * topic and no alias, because there it means nothing. */
static enum code encode_aliased(struct mqtt_client *c, const struct mqtt_client_message *m, uint16_t id,
                                struct fault *why)
{
    struct aliases *known = &c->outgoing_aliases;
    bool first = !bytes_equal(alias_topic(known, m->topic_alias), m->topic);
    const uint8_t alias[] = {MQTT_PROP_TOPIC_ALIAS, (uint8_t)(m->topic_alias >> 8), (uint8_t)m->topic_alias};
    enum code code = first ? alias_set(known, m->topic_alias, m->topic, why) : CODE_OK;
    if (!code)
        put_publish(c, client_out(c), m, id, first ? m->topic : BYTES_NONE, bytes_of(alias, sizeof alias));
    return code;
}

static enum code encode(struct mqtt_client *c, const struct mqtt_client_message *m, uint16_t id, size_t size,
                        uint8_t *copy, struct fault *why)
{
    struct buf *out = client_out(c);
    if (!buf_room(out, size + ALIAS_BYTES))
        return FAIL(why, CODE_NOMEM, 0, "no memory to send %zu bytes", size);
    size_t from = out->len;
    if (!m->topic_alias || copy)
        put_publish(c, out, m, id, m->topic, BYTES_NONE);
    if (copy)
        memcpy(copy, out->at + out->len - size, size);
    if (!m->topic_alias)
        return CODE_OK;
    out->len = from;
    return encode_aliased(c, m, id, why);
}

/* QoS 1 and 2: a slot remembers it, with a copy if it may have to be sent again. */
static enum code send_kept(struct mqtt_client *c, const struct mqtt_client_message *m, size_t size,
                           uint64_t token, struct fault *why)
{
    struct window *w = &c->window;
    uint8_t *copy = c->set.reconnect ? mem_alloc(size) : NULL;
    if (c->set.reconnect && !copy)
        return FAIL(why, CODE_NOMEM, 0, "no memory to keep %zu bytes until they are acknowledged", size);
    uint16_t place = take_free(w);
    enum code code = encode(c, m, id_of(w, place), size, copy, why);
    if (code) {
        give_free(w, place);
        mem_free(copy);
        return code;
    }
    *slot_at(w, place) = (struct slot){
        .token = token, .packet = copy, .size = (uint32_t)size, .state = SLOT_PUBLISHED, .qos = m->qos};
    append(w, place);
    w->bytes += copy ? size : 0;
    w->messages++;
    w->flying++;
    return CODE_OK;
}

enum code mqtt_client_publish(struct mqtt_client *c, const struct mqtt_client_message *m, uint64_t token,
                              struct fault *why)
{
    const struct window *w = &c->window;
    enum topic_flaw flaw = topic_name_check(m->topic, UINT16_MAX, UINT16_MAX);
    if (flaw != TOPIC_FINE)
        return FAIL(why, CODE_USAGE, 0, "the topic %s", topic_flaw_text(flaw));
    size_t size = mqtt_publish_size(c->set.version, m->qos, m->topic.len, m->props.len, m->payload.len);
    enum code code = check_state(c, why);
    if (!code)
        code = check_message(c, m, size, why);
    if (code)
        return code;
    size_t kept = m->qos && c->set.reconnect ? size : 0;
    bool full = conn_unsent(c->conn) > c->set.unsent_bytes || w->unsent;
    if (m->qos)
        full |= w->messages >= w->max || w->flying >= c->server_receive_max || w->bytes + kept > w->bytes_max;
    if (full)
        return again(c, kept, why);
    return m->qos ? send_kept(c, m, size, token, why) : encode(c, m, 0, size, NULL, why);
}

/* ---- answers ---- */

static void send_release(struct mqtt_client *c, uint16_t id, uint8_t reason)
{
    mqtt_encode_ack(client_out(c), c->set.version, MQTT_PUBREL, id, reason, BYTES_NONE);
}

static void finish(struct mqtt_client *c, uint16_t place, uint8_t reason, bool flew)
{
    struct window *w = &c->window;
    struct slot *s = slot_at(w, place);
    uint64_t token = s->token;
    drop_packet(w, s);
    unlink_slot(w, place);
    give_free(w, place);
    w->messages--;
    w->flying -= flew;
    if (c->events.on_ack)
        c->events.on_ack(c->ctx, c, token, reason);
}

static enum code unexpected(enum mqtt_type type, uint16_t id, struct fault *why)
{
    enum code code = FAIL(why, CODE_PROTOCOL, 0,
                          "the server sent %s for packet identifier %u, which awaits no such",
                          mqtt_type_name(type), id);
    why->mqtt_reason = MQTT_PROTOCOL_ERROR;
    return code;
}

/* PUBREC for a message: from now on the server owns it. */
static void released(struct mqtt_client *c, uint16_t place, const struct mqtt_ack *ack)
{
    struct window *w = &c->window;
    struct slot *s = slot_at(w, place);
    s->state = SLOT_RELEASED;
    s->reason = ack->reason;
    drop_packet(w, s);
    /* PUBRELs are sent again in the order of the PUBRECs [MQTT-4.6.0-4]. */
    unlink_slot(w, place);
    append(w, place);
    send_release(c, ack->packet_id, MQTT_SUCCESS);
}

static enum code ack_unknown(struct mqtt_client *c, enum mqtt_type type, uint16_t id)
{
    /* 4.3.3: answered, so that the server can forget it. Others say nothing new. */
    if (type == MQTT_PUBREC)
        send_release(c, id, MQTT_PACKET_ID_NOT_FOUND);
    return CODE_OK;
}

enum code window_ack(struct mqtt_client *c, enum mqtt_type type, const struct mqtt_ack *ack,
                     struct fault *why)
{
    struct window *w = &c->window;
    uint16_t place = place_of(w, ack->packet_id);
    struct slot *s = place ? slot_at(w, place) : NULL;
    if (!s || s->state == SLOT_FREE)
        return ack_unknown(c, type, ack->packet_id);

    bool failed = ack->reason >= 0x80;
    if (type == MQTT_PUBACK && s->state == SLOT_PUBLISHED && s->qos == 1) {
        finish(c, place, ack->reason, true);
    } else if (type == MQTT_PUBREC && s->state == SLOT_PUBLISHED && s->qos == 2) {
        if (failed)
            finish(c, place, ack->reason, true);
        else
            released(c, place, ack);
    } else if (type == MQTT_PUBREC && s->state == SLOT_RELEASED) {
        send_release(c, ack->packet_id, MQTT_SUCCESS);
    } else if (type == MQTT_PUBCOMP && s->state == SLOT_RELEASED) {
        /* "Not found": it was finished before a connection broke. The PUBREC had accepted the message. */
        finish(c, place, failed && ack->reason != MQTT_PACKET_ID_NOT_FOUND ? ack->reason : s->reason, true);
    } else {
        return unexpected(type, ack->packet_id, why);
    }
    window_pump(c);
    return CODE_OK;
}

/* ---- a new connection ---- */

void window_interrupt(struct window *w)
{
    w->flying = 0;
    for (uint16_t place = 1; w->subs && place <= w->cap; place++) {
        struct slot *s = slot_at(w, place);
        if (s->state != SLOT_SUBSCRIBED && s->state != SLOT_UNSUBSCRIBED)
            continue;
        give_free(w, place);
        w->subs--;
    }
}

void window_restart(struct mqtt_client *c, bool resumed)
{
    struct window *w = &c->window;
    w->unsent = 0;
    for (uint16_t place = w->first; place; place = slot_at(w, place)->next) {
        struct slot *s = slot_at(w, place);
        if (s->state == SLOT_RELEASED) {
            if (!resumed)
                continue;
            send_release(c, id_of(w, place), MQTT_SUCCESS);
            w->flying++;
            continue;
        }
        /* To a server that has forgotten us it is a new message. */
        if (!resumed)
            s->packet[0] &= (uint8_t)~8u;
        else if (s->state == SLOT_PUBLISHED)
            s->packet[0] |= 8;
        s->state = SLOT_UNSENT;
        if (!w->unsent)
            w->unsent = place;
    }
}

void window_settle(struct mqtt_client *c, bool resumed)
{
    struct window *w = &c->window;
    if (!resumed) {
        /* Only answers take messages out of the list, and none can come while we walk it. */
        uint16_t next;
        for (uint16_t place = w->first; place && c->state == CLIENT_OPEN; place = next) {
            next = slot_at(w, place)->next;
            if (slot_at(w, place)->state == SLOT_RELEASED)
                finish(c, place, slot_at(w, place)->reason, false);
        }
    }
    window_pump(c);
}

void window_pump(struct mqtt_client *c)
{
    struct window *w = &c->window;
    while (w->unsent && c->state == CLIENT_OPEN && w->flying < c->server_receive_max &&
           conn_unsent(c->conn) <= c->set.unsent_bytes) {
        struct slot *s = slot_at(w, w->unsent);
        buf_add(client_out(c), s->packet, s->size);
        s->state = SLOT_PUBLISHED;
        w->flying++;
        do
            w->unsent = slot_at(w, w->unsent)->next;
        while (w->unsent && slot_at(w, w->unsent)->state != SLOT_UNSENT);
    }
}

/* ---- subscriptions ---- */

static enum code check_filters(const struct mqtt_filter *filters, struct fault *why)
{
    if (!filters)
        return FAIL(why, CODE_USAGE, 0, "no topic filter");
    for (const struct mqtt_filter *f = filters; f; f = f->next) {
        enum topic_flaw flaw = topic_filter_check(f->filter, UINT16_MAX, UINT16_MAX);
        char said[100];
        if (flaw != TOPIC_FINE)
            return FAIL(why, CODE_USAGE, 0, "the topic filter \"%s\" %s",
                        bytes_escape(f->filter, said, sizeof said), topic_flaw_text(flaw));
        if (f->qos > 2)
            return FAIL(why, CODE_USAGE, 0, "there is no QoS %u", f->qos);
    }
    return CODE_OK;
}

static enum code send_filters(struct mqtt_client *c, enum mqtt_type type, const struct mqtt_filter *filters,
                              struct bytes props, uint64_t token, struct fault *why)
{
    struct window *w = &c->window;
    enum code code = check_filters(filters, why);
    if (!code)
        code = check_state(c, why);
    if (code)
        return code;
    if (w->subs == SUBS_MAX)
        return again(c, 0, why);
    struct buf packet = {.max = c->server_packet_bytes};
    uint16_t place = take_free(w);
    if (type == MQTT_SUBSCRIBE)
        mqtt_encode_subscribe(&packet, c->set.version, id_of(w, place), filters, props);
    else
        mqtt_encode_unsubscribe(&packet, c->set.version, id_of(w, place), filters, props);
    if (packet.bad || packet.len > c->server_packet_bytes) {
        give_free(w, place);
        buf_clear(&packet);
        return FAIL(why, CODE_LIMIT, 0, "these filters do not fit into one %s", mqtt_type_name(type));
    }
    buf_add_bytes(client_out(c), buf_bytes(&packet));
    buf_clear(&packet);
    *slot_at(w, place) = (struct slot){.token = token,
                                       .state = type == MQTT_SUBSCRIBE ? SLOT_SUBSCRIBED : SLOT_UNSUBSCRIBED};
    w->subs++;
    return CODE_OK;
}

enum code mqtt_client_subscribe(struct mqtt_client *c, const struct mqtt_filter *filters, struct bytes props,
                                uint64_t token, struct fault *why)
{
    return send_filters(c, MQTT_SUBSCRIBE, filters, props, token, why);
}

enum code mqtt_client_unsubscribe(struct mqtt_client *c, const struct mqtt_filter *filters,
                                  struct bytes props, uint64_t token, struct fault *why)
{
    return send_filters(c, MQTT_UNSUBSCRIBE, filters, props, token, why);
}

enum code window_sub_ack(struct mqtt_client *c, enum mqtt_type type, const struct mqtt_suback *ack,
                         struct fault *why)
{
    struct window *w = &c->window;
    uint16_t place = place_of(w, ack->packet_id);
    enum slot_state waits = type == MQTT_SUBACK ? SLOT_SUBSCRIBED : SLOT_UNSUBSCRIBED;
    if (!place || slot_at(w, place)->state != waits)
        return unexpected(type, ack->packet_id, why);
    uint64_t token = slot_at(w, place)->token;
    give_free(w, place);
    w->subs--;
    if (c->events.on_sub_ack)
        c->events.on_sub_ack(c->ctx, c, token, ack->reasons);
    return CODE_OK;
}

unsigned mqtt_client_unfinished(const struct mqtt_client *c)
{
    return c->window.messages;
}
