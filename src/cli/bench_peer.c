/* bench_peer.c - one connection of the load: greeting, subscription, and what comes from the broker. */
#include "cli/bench_parts.h"

#include "base/mem.h"

#include <stdio.h>

enum { PACKET_MAX = 268435460, MARK = 1 << 20, READ_WANT = 64 * 1024 };

uint32_t bench_peer_count(const struct bench *b)
{
    return b->plan.subscribers + b->plan.publishers;
}

struct peer *bench_peer(struct bench *b, uint32_t i)
{
    return i < b->plan.subscribers ? &b->subscribers[i] : &b->publishers[i - b->plan.subscribers];
}

static enum code refuse(struct peer *p, struct fault *why, const char *what, uint8_t reason)
{
    return FAIL(why, CODE_REFUSED, 0, "the broker %s of %s %u: reason 0x%02X %s", what,
                p->subscriber ? "subscriber" : "publisher", p->number, reason, mqtt_reason_name(reason));
}

/* ---- greeting ---- */

static void on_open(void *ctx, struct conn *conn)
{
    struct peer *p = ctx;
    const struct bench *b = p->bench;
    const struct mqtt_client_settings *t = &b->plan.target;
    bool keeps = p->subscriber && b->plan.persistent && b->phase != PHASE_CLEAN;
    struct buf props = {0};
    char id[40];
    (void)snprintf(id, sizeof id, "b%s-%c%u", b->out->run, p->subscriber ? 's' : 'p', p->number);
    if (keeps)
        mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, 3600);
    struct mqtt_connect_out hello = {.version = t->version,
                                     .clean_start = !keeps,
                                     .has_user = t->user.at != NULL,
                                     .has_password = t->password.at != NULL,
                                     .keep_alive_s = 60,
                                     .client_id = bytes_str(id),
                                     .user = t->user,
                                     .password = t->password,
                                     .props = buf_bytes(&props)};
    mqtt_encode_connect(conn_out(conn), &hello);
    buf_clear(&props);
    conn_set_marks(conn, MARK, MARK / 4);
    p->state = PEER_GREETING;
}

static void is_ready(struct peer *p)
{
    p->state = PEER_READY;
    p->bench->ready++;
    p->bench->heard_us = bench_now(p->bench);
}

static void subscribe(struct peer *p)
{
    char filter[220];
    bench_topic(p->bench, p, filter, sizeof filter);
    struct mqtt_filter f = {.filter = bytes_str(filter), .qos = p->bench->plan.qos};
    mqtt_encode_subscribe(conn_out(p->conn), p->bench->plan.target.version, 1, &f, BYTES_NONE);
    p->state = PEER_SUBSCRIBING;
}

static enum code make_flights(struct peer *p, uint32_t receive_max, struct fault *why)
{
    const struct bench_plan *plan = &p->bench->plan;
    /* The schedule of an open loop is not to wait for acknowledgements sooner than the broker asks for. */
    uint32_t n = plan->rate > 0 ? 65535 : plan->window;
    n = n < receive_max ? n : receive_max;
    p->flights = mem_alloc(n * sizeof *p->flights);
    p->free_ids = mem_alloc(n * sizeof *p->free_ids);
    if (!p->flights || !p->free_ids)
        return FAIL(why, CODE_NOMEM, 0, "no memory for %u messages in flight", n);
    for (uint32_t i = 0; i < n; i++) {
        p->free_ids[i] = (uint16_t)(n - i);
        p->flights[i].stamp_us = INT64_MIN;
    }
    p->free_count = p->flight_count = n;
    return CODE_OK;
}

static enum code on_connack(struct peer *p, const struct mqtt_frame *f, struct fault *why)
{
    const struct bench_plan *plan = &p->bench->plan;
    struct mqtt_connack ack;
    enum code c = mqtt_decode_connack(plan->target.version, f->body, &mqtt_limits_default, &ack, why);
    if (c != CODE_OK)
        return c;
    if (ack.reason)
        return refuse(p, why, "refused the connection", ack.reason);
    if (p->bench->phase == PHASE_CLEAN) {
        bench_leave(p);
        return CODE_OK;
    }
    if (ack.props.max_qos < plan->qos)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the broker does QoS %u at most, --qos says %u",
                    ack.props.max_qos, plan->qos);
    if (ack.props.max_packet && plan->size + 100 > ack.props.max_packet)
        return FAIL(why, CODE_UNSUPPORTED, 0,
                    "the broker takes packets of %u bytes at most, too few for --size %u",
                    ack.props.max_packet, plan->size);
    if (p->subscriber) {
        subscribe(p);
        return CODE_OK;
    }
    if (plan->qos)
        c = make_flights(p, ack.props.receive_max, why);
    if (c == CODE_OK)
        is_ready(p);
    return c;
}

static enum code on_suback(struct peer *p, const struct mqtt_frame *f, struct fault *why)
{
    struct mqtt_suback ack;
    enum code c = mqtt_decode_suback(p->bench->plan.target.version, f->first, f->body, &mqtt_limits_default,
                                     &ack, why);
    if (c != CODE_OK)
        return c;
    if (ack.reasons.len != 1 || ack.reasons.at[0] >= 0x80)
        return refuse(p, why, "refused the subscription", ack.reasons.len ? ack.reasons.at[0] : 0x80);
    if (ack.reasons.at[0] < p->bench->plan.qos)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the broker granted QoS %u to subscriber %u, --qos says %u",
                    ack.reasons.at[0], p->number, p->bench->plan.qos);
    is_ready(p);
    return CODE_OK;
}

/* ---- messages ---- */

static enum code malformed(struct fault *why, const char *what)
{
    return FAIL(why, CODE_MALFORMED, 0, "the broker sent %s", what);
}

/* Messages count when they were meant to be sent, however late they come. */
static void time_taken(struct bench *b, struct histogram *h, int64_t stamp, int64_t now)
{
    if (stamp >= b->from_us && stamp < b->to_us)
        histogram_add(h, (uint64_t)(now > stamp ? now - stamp : 0));
}

enum code bench_split(enum mqtt_version version, const struct mqtt_frame *f, uint16_t *id,
                      struct bytes *payload, struct fault *why)
{
    struct bytes in = f->body;
    bool ack = f->first & 6;
    size_t at = in.len >= 2 ? 2 + ((size_t)in.at[0] << 8 | in.at[1]) : SIZE_MAX / 2;
    if (at + (ack ? 2 : 0) > in.len)
        return malformed(why, "a PUBLISH that ends in its topic");
    *id = ack ? (uint16_t)(in.at[at] << 8 | in.at[at + 1]) : 0;
    at += ack ? 2 : 0;
    if (version == MQTT_5) {
        size_t len = 0;
        unsigned shift = 0;
        do {
            if (at >= in.len || shift > 21)
                return malformed(why, "a PUBLISH without the length of its properties");
            len |= (size_t)(in.at[at] & 0x7f) << shift;
            shift += 7;
        } while (in.at[at++] & 0x80);
        at += len;
        if (at > in.len)
            return malformed(why, "a PUBLISH that ends in its properties");
    }
    *payload = bytes_from(in, at);
    return CODE_OK;
}

static void count_message(struct peer *p, struct bytes payload, int64_t now)
{
    struct bench *b = p->bench;
    struct audience *a = p->audience;
    uint64_t word = payload.len >= BENCH_HEAD ? get_le64(payload.at + 8) : UINT64_MAX;
    uint64_t publisher = (word & 0xffff) - (a ? a->first : 0);
    if (!a || payload.len != b->plan.size || publisher >= a->count) {
        b->out->foreign++;
        return;
    }
    int64_t stamp = (int64_t)get_le64(payload.at);
    a->progress += sequence_note(&a->streams[publisher], word >> 16);
    b->delivered++;
    time_taken(b, &b->out->latency, stamp, now);
}

static void put_ack(struct peer *p, uint8_t first, uint16_t id)
{
    const uint8_t ack[] = {first, 2, (uint8_t)(id >> 8), (uint8_t)id};
    buf_add(conn_out(p->conn), ack, sizeof ack);
}

static enum code on_publish(struct peer *p, const struct mqtt_frame *f, int64_t now, struct fault *why)
{
    uint16_t id = 0;
    struct bytes payload = BYTES_NONE;
    enum code c = bench_split(p->bench->plan.target.version, f, &id, &payload, why);
    if (c != CODE_OK)
        return c;
    count_message(p, payload, now);
    if (f->first & 6)
        put_ack(p, f->first & 2 ? MQTT_PUBACK << 4 : MQTT_PUBREC << 4, id);
    return CODE_OK;
}

/* ---- acknowledgements ---- */

static void note_acked(struct bench *b, uint32_t publisher, uint64_t number)
{
    if (b->acked_file >= 0)
        buf_printf(&b->acked_text, "%u %llu\n", publisher, (unsigned long long)number);
}

static void finish(struct peer *p, uint16_t id, uint8_t reason, int64_t now)
{
    struct bench *b = p->bench;
    struct flight *f = &p->flights[id - 1];
    if (reason >= 0x80) {
        b->out->refused++;
    } else {
        b->acked++;
        note_acked(b, p->number, f->number);
        time_taken(b, &b->out->ack, f->stamp_us, now);
    }
    f->stamp_us = INT64_MIN;
    p->free_ids[p->free_count++] = id;
    b->flying--;
}

static enum code on_ack(struct peer *p, const struct mqtt_frame *f, int64_t now, struct fault *why)
{
    uint8_t type = f->first >> 4;
    if (f->body.len < 2)
        return malformed(why, "an acknowledgement without an identifier");
    uint16_t id = (uint16_t)(f->body.at[0] << 8 | f->body.at[1]);
    uint8_t reason = f->body.len > 2 ? f->body.at[2] : 0;
    if (type == MQTT_PUBREL) {
        put_ack(p, MQTT_PUBCOMP << 4, id);
        return CODE_OK;
    }
    if (p->subscriber || id == 0 || id > p->flight_count || p->flights[id - 1].stamp_us == INT64_MIN)
        return malformed(why, "an acknowledgement of what was not sent");
    if (type == MQTT_PUBREC && reason < 0x80)
        put_ack(p, MQTT_PUBREL << 4 | 2, id);
    else
        finish(p, id, reason, now);
    return CODE_OK;
}

/* ---- bytes ---- */

static enum code handle(struct peer *p, const struct mqtt_frame *f, int64_t now, struct fault *why)
{
    bool ready = p->state == PEER_READY;
    switch (f->first >> 4) {
    case MQTT_PUBLISH:
        if (p->state < PEER_SUBSCRIBING)
            break;
        return on_publish(p, f, now, why);
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        if (p->state < PEER_SUBSCRIBING)
            break;
        return on_ack(p, f, now, why);
    case MQTT_CONNACK:
        if (p->state != PEER_GREETING)
            break;
        return on_connack(p, f, why);
    case MQTT_SUBACK:
        if (p->state != PEER_SUBSCRIBING)
            break;
        return on_suback(p, f, why);
    case MQTT_PINGRESP:
        if (!ready)
            break;
        return CODE_OK;
    case MQTT_DISCONNECT: return refuse(p, why, "ended the connection", f->body.len ? f->body.at[0] : 0);
    default: break;
    }
    return malformed(why, mqtt_type_name(f->first >> 4));
}

static size_t on_bytes(void *ctx, struct conn *conn, struct bytes in)
{
    struct peer *p = ctx;
    struct fault why = {0};
    int64_t now = bench_now(p->bench);
    size_t used = 0;
    p->bench->heard_us = now;
    while (p->state != PEER_LEFT) {
        struct mqtt_frame f;
        enum code c = mqtt_frame(bytes_from(in, used), PACKET_MAX, &f, &why);
        if (c == CODE_MORE) {
            if (f.size > READ_WANT)
                conn_want(conn, f.size);
            break;
        }
        used += f.size;
        if (c == CODE_OK)
            c = handle(p, &f, now, &why);
        if (c != CODE_OK) {
            bench_fail(p->bench, &why);
            return in.len;
        }
    }
    return used;
}

static void on_close(void *ctx, struct conn *conn, const struct fault *why)
{
    struct peer *p = ctx;
    struct fault said;
    (void)conn;
    p->conn = NULL;
    if (p->state == PEER_LEFT) {
        p->bench->left++;
        return;
    }
    p->state = PEER_LEFT;
    (void)FAIL(&said, CODE_IO, 0, "the connection of %s %u was lost: %.150s",
               p->subscriber ? "subscriber" : "publisher", p->number, why ? why->text : "closed");
    said.sys_errno = why ? why->sys_errno : 0;
    bench_fail(p->bench, &said);
}

void bench_dial(struct peer *p)
{
    static const struct conn_events events = {.on_bytes = on_bytes, .on_close = on_close, .on_open = on_open};
    const struct mqtt_client_settings *t = &p->bench->plan.target;
    const struct mqtt_route route = {t->scheme, t->host, t->port, t->path, t->tls};
    struct fault why = {0};
    p->state = PEER_DIALLING;
    if (mqtt_dial(&p->conn, p->bench->loop, &route, &events, p, &why) != CODE_OK)
        bench_fail(p->bench, &why);
}

void bench_leave(struct peer *p)
{
    if (!p->conn || p->state == PEER_LEFT)
        return;
    if (p->state == PEER_READY || p->state == PEER_GREETING)
        mqtt_encode_disconnect(conn_out(p->conn), p->bench->plan.target.version, 0, BYTES_NONE);
    p->state = PEER_LEFT;
    conn_close(p->conn, true);
}
