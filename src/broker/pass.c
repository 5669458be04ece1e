/* pass.c - QoS 0 from connection to connection of one loop, without a message in between.
 *
 * A PUBLISH with QoS 0 that nothing durable wants is over at the end of the turn. When everybody who gets it is on this
 * loop, what was read is what is sent: the packet as a whole where the receiver speaks the same version, else a head of its
 * own and the payload. Neither is copied while the connection can take it (conn_send_lent): packets that follow each other
 * in the read buffer leave as one piece. Where the packet would differ (subscription identifiers), or somebody has to be
 * chosen (shares), it goes the long way.
 *
 * It may not overtake what the same publisher sent before it (P-ORDER): when one of its messages waits for the end of the
 * turn, or a will that was published in this turn, it waits behind that as an operation.
 */
#include "broker/private.h"

/* A large payload for many stays one message that all refer to: those who do not read would get a copy each. */
enum { SHARED_BYTES = 4096, SHARED_COUNT = 4 };

static bool in_order(const struct client *c)
{
    const struct shard *shard = c->shard;
    return c->gathered != shard->commits && shard->will_gathered != shard->commits;
}

/* Is everybody who gets it here, or away? */
static bool all_here(const struct shard *shard, const struct fanout *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        int at = atomic_load_explicit(&f->targets[i].session->shard, memory_order_acquire);
        if (at != shard->number && at >= 0)
            return false;
    }
    return true;
}

/* What is sent is not simply what came, or should better be one message. */
static bool differs(const struct fanout *f, const struct mqtt_publish *p)
{
    return f->to_partition || f->readers || f->origins || f->share_count || (p->payload.len >= SHARED_BYTES && f->count > SHARED_COUNT);
}

struct passed {
    const struct mqtt_publish *p;
    bool                       five;   /* the publisher's version */
    struct bytes               packet; /* as it came */
};

static void pass_to(struct shard *shard, struct client *to, const struct passed *m)
{
    const struct mqtt_publish *p = m->p;
    bool five = to->version == MQTT_5, same = five == m->five;
    struct bytes props = five && m->five ? p->props.raw : BYTES_NONE;
    if (to->state != CLIENT_LIVE || !to->conn) {
        COUNT(shard, dropped_away, 1);
        return;
    }
    if (deliver_swamped(shard, to)) {
        COUNT(shard, dropped_slow, 1);
        return;
    }
    if (to->max_packet && mqtt_publish_size(to->version, 0, p->topic.len, props.len, p->payload.len) > to->max_packet) {
        COUNT(shard, dropped_too_large, 1);
        return;
    }
    struct bytes own, topic = deliver_alias(shard, to, p->topic, &own);
    same = same && !own.len;
    if (!same)
        mqtt_encode_publish_head(conn_out(to->conn), to->version, 0, false, false, topic, 0, own, props, p->payload.len);
    shard->budget.lent += m->packet.len;
    conn_send_lent(to->conn, same ? m->packet : p->payload);
    COUNT(shard, sent[0], 1);
    COUNT(shard, sent_bytes, p->payload.len);
}

bool pass_publish(struct client *c, const struct mqtt_frame *frame, const struct mqtt_publish *p)
{
    struct shard *shard = c->shard;
    bool five = c->version == MQTT_5;
    if (p->qos || p->retain || !in_order(c) || shard->slices.count)
        return false; /* L-FAN: nothing overtakes a slice */
    if (five && p->props.raw.len && !mqtt_props_all_forwardable(&p->props))
        return false;
    const struct fanout *f = route_look(shard, p->topic);
    if (!f || f->count > limits_of(shard->broker)->fan_out || differs(f, p) || !all_here(shard, f))
        return false;
    if (budget_turn_full(shard))
        return false; /* L-MEM: it waits for the next turn */
    struct passed m = { .p = p, .five = five,
                        .packet = bytes_of(frame->body.at - (frame->size - frame->body.len), frame->size) };
    for (uint32_t i = 0; i < f->count; i++) {
        const struct target *t = &f->targets[i];
        if (!target_meant(t, c->session->id))
            continue;
        /* It may have come up on another loop since all_here: its client is not ours to look at. */
        if (atomic_load_explicit(&t->session->shard, memory_order_acquire) != shard->number)
            COUNT(shard, dropped_away, 1);
        else if (t->session->client)
            pass_to(shard, t->session->client, &m);
    }
    if (f->count == 0)
        COUNT(shard, dropped_no_subscriber, 1);
    return true;
}
