/* client.c - one connection that speaks MQTT: its bytes, its time-outs, its end. */
#include "broker/private.h"

#include "base/limits_use.h"
#include "base/log.h"

enum { SMALL_PACKET = 1024 /* is received whatever the memory: acknowledgements free some */, TIMER_MS = 15000, OUTPUT_HIGH = 256 * 1024, OUTPUT_LOW = 64 * 1024 };

const char *client_name(const struct client *c, char *out, size_t cap)
{
    if (c->session)
        return bytes_escape(c->session->client_id, out, cap);
    return bytes_escape(bytes_str("(not signed in)"), out, cap);
}

bool client_alive(const struct client *c)
{
    return c->conn && c->state != CLIENT_ENDED;
}

/* ---- the two lists of a shard ---- */

static void list_add(struct client *c, struct client **first, struct client **last)
{
    c->prev = NULL;
    c->next = *first;
    if (c->next)
        c->next->prev = c;
    else if (last)
        *last = c;
    *first = c;
}

static void list_remove(struct client *c, struct client **first, struct client **last)
{
    *(c->prev ? &c->prev->next : first) = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else if (last)
        *last = c->prev;
}

void client_known(struct client *c, enum client_state state)
{
    struct shard *shard = c->shard;
    if (c->state == CLIENT_NEW) {
        atomic_fetch_sub(&shard->broker->admit.half_open, 1);
        list_remove(c, &shard->strangers, &shard->oldest_stranger);
        list_add(c, &shard->clients, NULL);
    }
    c->state = (uint8_t)state;
}

/* L-HALF: whoever has been silent longest makes room. */
static void end_oldest_stranger(struct shard *shard)
{
    struct fault why;
    (void)FAIL(&why, CODE_LIMIT, 0, "too many connections without CONNECT (limits.half-open), this is the oldest");
    if (!shard->oldest_stranger)
        return;
    COUNT(shard, strangers_room, 1);
    limits_refused(LIMIT_HALF_OPEN);
    conn_close(shard->oldest_stranger->conn, false); /* at once: there is nothing to tell, and room is what is wanted */
    client_end(shard->oldest_stranger, 0, &why, false);
}

static struct client *client_made(struct shard *shard)
{
    struct client *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->shard = shard;
    c->refs = 1;
    c->state = CLIENT_NEW;
    c->version = MQTT_5;
    return c;
}

/* Its connection is open. */
static void client_begin(struct client *c)
{
    struct shard *shard = c->shard;
    struct broker *b = shard->broker;
    c->packet_bytes = limits_of(b)->packet_bytes;
    c->receive_max = limits_of(b)->receive_maximum;
    c->alias_in_max = (uint16_t)limits_of(b)->topic_aliases;
    conn_set_marks(c->conn, OUTPUT_HIGH, OUTPUT_LOW);
    list_add(c, &shard->strangers, &shard->oldest_stranger);
    uint64_t now = atomic_fetch_add(&b->clients, 1) + 1, max = atomic_load(&b->clients_max);
    while (now > max && !atomic_compare_exchange_weak(&b->clients_max, &max, now))
        ;
    c->last_us = c->doubted_us = loop_now_us(shard->loop);
    if (!conn_loopback(c->conn))
        admit_came(&b->admit, conn_address(c->conn), c->last_us, &c->counted);
    client_arm(c);
    if (atomic_fetch_add(&b->admit.half_open, 1) >= limits_of(b)->half_open)
        end_oldest_stranger(shard);
}

struct client *client_new(struct shard *shard, const struct net_peer *peer)
{
    struct client *c = client_made(shard);
    if (!c) {
        net_peer_refuse(peer);
        return NULL;
    }
    struct fault why;
    if (conn_open(&c->conn, shard->loop, peer, &client_events, c, &why) != CODE_OK) {
        log_warn("mqtt", "FG2001 %s could not be accepted: %s", peer->address, why.text);
        mem_free(c);
        return NULL;
    }
    client_begin(c);
    return c;
}

void client_adopt(struct shard *shard, struct conn *conn)
{
    struct client *c = client_made(shard);
    if (!c) {
        log_warn("mqtt", "FG2001 %s could not be accepted: no memory", conn_address(conn));
        conn_close(conn, false);
        return;
    }
    c->conn = conn;
    conn_set_events(conn, &client_events, c);
    client_begin(c);
}

void client_drop(struct client *c)
{
    if (--c->refs)
        return;
    connect_ask_free(c->ask);
    aliases_free(c->aliases);
    principal_drop(c->who);
    auth_exchange_free(c->exchange);
    verdicts_free(c->verdicts);
    pidset_clear(&c->in_pids);
    mem_free(c);
}

void client_pause(struct client *c, uint8_t why)
{
    if (!c->paused && client_alive(c))
        conn_read_pause(c->conn);
    c->paused |= why;
}

void client_resume(struct client *c, uint8_t why)
{
    if (!(c->paused & why))
        return;
    c->paused &= (uint8_t)~why;
    if (c->paused || !client_alive(c))
        return;
    c->last_us = loop_now_us(c->shard->loop); /* it was us who did not listen */
    conn_read_resume(c->conn);
}

void client_halt(struct client *c)
{
    struct shard *shard = c->shard;
    if ((c->paused & PAUSE_BUSY) || !VECTOR_ROOM(shard->halted))
        return;
    shard->halted.at[shard->halted.count++] = client_hold(c);
    client_pause(c, PAUSE_BUSY);
}

/* ---- the end ---- */

static void say_goodbye(struct client *c, uint8_t reason, const struct fault *why)
{
    if (!c->conn || c->version != MQTT_5 || reason == 0 || c->state != CLIENT_LIVE)
        return; /* [MQTT-3.2.0-1] nothing may come before CONNACK */
    struct buf props = { 0 };
    if (why && why->text[0] && c->request_problem)
        mqtt_put_bytes(&props, MQTT_PROP_REASON_STRING, bytes_str(why->text));
    bool fits = !c->max_packet || buf_size(&props) + 8 <= c->max_packet;
    mqtt_encode_disconnect(conn_out(c->conn), MQTT_5, reason, fits && !props.bad ? buf_bytes(&props) : BYTES_NONE);
    buf_clear(&props);
}

void client_end(struct client *c, uint8_t reason, const struct fault *why, bool publish_will)
{
    if (c->state == CLIENT_ENDED)
        return;
    char name[128];
    if (why && why->text[0])
        log_info("mqtt", "FG2002 %s at %s closed, reason 0x%02X %s: %s", client_name(c, name, sizeof name),
                 c->conn ? conn_address(c->conn) : "?", reason, mqtt_reason_name(reason), why->text);
    if (reason == MQTT_MALFORMED || reason == MQTT_PROTOCOL_ERROR)
        COUNT(c->shard, protocol_errors, 1);
    say_goodbye(c, reason, why);
    client_known(c, CLIENT_ENDED);
    timer_stop(c->shard->loop, &c->timer);
    feed_end(c);
    session_detach(c, publish_will);
    if (c->conn)
        conn_close(c->conn, true);
}

static void on_close(void *ctx, struct conn *conn, const struct fault *why)
{
    struct client *c = ctx;
    struct shard *shard = c->shard;
    if (c->counted)
        admit_went(&shard->broker->admit, conn_address(conn));
    c->conn = NULL;
    if (c->state != CLIENT_ENDED && why && c->session) {
        char name[128];
        log_debug("mqtt", "%s went away: %s", client_name(c, name, sizeof name), why->text);
    }
    client_end(c, 0, NULL, true);
    list_remove(c, &shard->clients, NULL);
    atomic_fetch_sub(&shard->broker->clients, 1);
    client_drop(c);
}

/* ---- time ---- */

static void on_timer(struct timer *t);

void client_arm(struct client *c)
{
    const struct limits *limits = limits_of(c->shard->broker);
    uint32_t least_s = limits->unsent_s < limits->refuse_s ? limits->unsent_s : limits->refuse_s;
    int64_t ms = c->state == CLIENT_NEW ? (int64_t)limits->connect_s * 1000 : TIMER_MS;
    if (c->state != CLIENT_NEW && (int64_t)least_s * 1000 < ms)
        ms = (int64_t)least_s * 1000;
    int64_t late_ms = (connect_late_us(c) + 999) / 1000;
    if (c->state == CLIENT_NEW && late_ms && late_ms < ms)
        ms = late_ms;
    if (c->state != CLIENT_NEW && c->keep_alive_s && c->keep_alive_s * 500 < ms)
        ms = c->keep_alive_s * 500; /* looked at often enough to notice 1.5 times in good time */
    /* And then exactly. A step more is for what is not longer than that, but as long. */
    int64_t left_ms = (c->last_us + (int64_t)c->keep_alive_s * 1500000 - loop_now_us(c->shard->loop)) / 1000 + 1;
    if (c->state != CLIENT_NEW && c->keep_alive_s && left_ms > 0 && left_ms < ms)
        ms = left_ms;
    timer_start(c->shard->loop, &c->timer, ms, on_timer);
}

static uint64_t seconds_since(int64_t us, int64_t now)
{
    return now > us ? (uint64_t)(now - us) / 1000000 : 0;
}

static void on_timer(struct timer *t)
{
    struct client *c = (struct client *)((char *)t - offsetof(struct client, timer));
    const struct limits *limits = limits_of(c->shard->broker);
    int64_t now = loop_now_us(c->shard->loop);
    struct fault why;
    if (c->state == CLIENT_NEW && connect_late_us(c)) {
        connect_refuse_now(c);
        return;
    }
    if (c->state == CLIENT_NEW) {
        COUNT(c->shard, strangers_late, 1);
        (void)FAIL(&why, CODE_LIMIT, 0, "%s within %u s",
                   c->ask                  ? "its sign-in was not decided"
                   : conn_is_open(c->conn) ? "no CONNECT"
                                           : "its TLS handshake was not done",
                   limits->connect_s);
        limits_refused(LIMIT_CONNECT_SECONDS);
        client_end(c, MQTT_MAX_CONNECT_TIME, &why, false);
        return;
    }
    int64_t silent = now - c->last_us;
    /* 3.1.2.10; a client that we do not read from is not silent. */
    if (c->keep_alive_s && !c->paused && silent > (int64_t)c->keep_alive_s * 1500000) {
        /* Perhaps it is we who slept: what waits in its socket is read before it is judged. */
        if (c->doubted_us != c->last_us) {
            c->doubted_us = c->last_us;
            timer_start(c->shard->loop, &c->timer, 100, on_timer);
            return;
        }
        (void)FAIL(&why, CODE_LIMIT, 0, "nothing heard for %lld s, keep alive is %u s", (long long)(silent / 1000000),
                   c->keep_alive_s);
        limits_refused(LIMIT_KEEP_ALIVE);
        client_end(c, MQTT_KEEP_ALIVE_TIMEOUT, &why, true);
        return;
    }
    if (c->conn && conn_unsent(c->conn))
        limits_saw(LIMIT_UNSENT_SECONDS, seconds_since(conn_progress_us(c->conn), now));
    if (c->paused & PAUSE_WITHHELD)
        limits_saw(LIMIT_REFUSE_SECONDS, seconds_since(c->withheld_us, now));
    if (c->conn && conn_unsent(c->conn) && now - conn_progress_us(c->conn) > (int64_t)limits->unsent_s * 1000000) {
        limits_refused(LIMIT_UNSENT_SECONDS);
        (void)FAIL(&why, CODE_LIMIT, 0, "it took nothing for %u s with %zu bytes waiting", limits->unsent_s,
                   conn_unsent(c->conn));
        client_end(c, MQTT_QUOTA_EXCEEDED, &why, true);
        return;
    }
    if ((c->paused & PAUSE_WITHHELD) && now - c->withheld_us > (int64_t)limits->refuse_s * 1000000) {
        limits_refused(LIMIT_REFUSE_SECONDS);
        (void)FAIL(&why, CODE_FULL, 0, "a message could not be stored for %u s", limits->refuse_s);
        client_end(c, MQTT_QUOTA_EXCEEDED, &why, true);
        return;
    }
    if ((c->paused & PAUSE_QUOTA) && now - c->withheld_us > (int64_t)limits->refuse_s * 1000000) {
        limits_refused(LIMIT_RECEIVE_MAXIMUM);
        (void)FAIL(&why, CODE_LIMIT, 0, "more unfinished QoS 2 messages than limits.receive-maximum");
        client_end(c, MQTT_RECEIVE_MAX_EXCEEDED, &why, true);
        return;
    }
    client_arm(c);
}

/* ---- bytes ---- */

static void refuse_packet(struct client *c, const struct fault *why)
{
    uint8_t reason = why->mqtt_reason ? why->mqtt_reason : MQTT_MALFORMED;
    if (reason == MQTT_PACKET_TOO_LARGE && why->code == CODE_LIMIT)
        limits_refused(c->state == CLIENT_NEW ? LIMIT_CONNECT_BYTES : LIMIT_PACKET_BYTES);
    if (c->state == CLIENT_NEW)
        log_info("mqtt", "FG2003 %s refused before CONNECT: %s", conn_address(c->conn), why->text);
    client_end(c, reason, why, true);
}

static void protocol_error(struct client *c, uint8_t type)
{
    struct fault why;
    (void)FAIL(&why, CODE_PROTOCOL, 0, "%s is not allowed here", mqtt_type_name(type));
    why.mqtt_reason = MQTT_PROTOCOL_ERROR;
    refuse_packet(c, &why);
}

static void handle_live(struct client *c, uint8_t type, const struct mqtt_frame *frame)
{
    struct bytes body = frame->body;
    switch (type) {
    case MQTT_PUBLISH:
        handle_publish(c, frame);
        break;
    case MQTT_PUBACK:
    case MQTT_PUBREC:
    case MQTT_PUBREL:
    case MQTT_PUBCOMP:
        handle_ack(c, type, frame->first, body);
        break;
    case MQTT_SUBSCRIBE:
        handle_subscribe(c, body);
        break;
    case MQTT_UNSUBSCRIBE:
        handle_unsubscribe(c, body);
        break;
    case MQTT_PINGREQ:
        COUNT(c->shard, answers, 1);
        mqtt_encode_empty(conn_out(c->conn), MQTT_PINGRESP);
        break;
    case MQTT_DISCONNECT:
        handle_disconnect(c, body);
        break;
    case MQTT_AUTH:
        if (c->version == MQTT_5)
            handle_auth(c, body);
        else
            protocol_error(c, type);
        break;
    default:
        protocol_error(c, type); /* CONNECT again, packets only a server sends */
        break;
    }
}

/* [MQTT-3.1.2-30]: between CONNECT and CONNACK nothing else. */
static void handle_exchange(struct client *c, uint8_t type, struct bytes body)
{
    if (type == MQTT_AUTH)
        handle_auth(c, body);
    else if (type == MQTT_DISCONNECT)
        client_end(c, 0, NULL, false);
    else
        connect_refuse(c, MQTT_PROTOCOL_ERROR, "another packet than AUTH before it was authenticated");
}

static void handle(struct client *c, const struct mqtt_frame *frame)
{
    uint8_t type = frame->first >> 4;
    if (c->state == CLIENT_LIVE)
        handle_live(c, type, frame);
    else if (type == MQTT_CONNECT && c->state == CLIENT_NEW && !c->ask)
        handle_connect(c, frame->body);
    else if (c->exchange && c->state == CLIENT_NEW)
        handle_exchange(c, type, frame->body);
    else
        protocol_error(c, type);
}

static size_t on_bytes(void *ctx, struct conn *conn, struct bytes in)
{
    struct client *c = ctx;
    struct broker *b = c->shard->broker;
    size_t used = 0;
    unsigned packets = 0;
    c->last_us = loop_now_us(c->shard->loop);
    while (used < in.len && client_alive(c) && !c->paused) {
        uint32_t most = c->state == CLIENT_NEW ? limits_of(b)->connect_bytes : c->packet_bytes;
        struct mqtt_frame frame;
        struct fault why;
        enum code code = (c->version == MQTT_3_1 ? mqtt_frame_31 : mqtt_frame)(bytes_from(in, used), most, &frame, &why);
        if (code == CODE_MORE) {
            /* What a stranger sends first must look like CONNECT before more of it is kept. */
            if (c->state == CLIENT_NEW && !c->exchange && in.at[used] != MQTT_CONNECT << 4)
                protocol_error(c, in.at[used] >> 4);
            else if (frame.size > SMALL_PACKET && c->state == CLIENT_LIVE && broker_over_memory(b))
                client_halt(c); /* L-MEM: the rest of it would have to be kept */
            else if (frame.size)
                conn_want(conn, frame.size);
            break;
        }
        if (code != CODE_OK) {
            refuse_packet(c, &why);
            break;
        }
        if (publish_over_quota(c, frame.first, frame.body)) {
            c->withheld_us = loop_now_us(c->shard->loop);
            client_pause(c, PAUSE_QUOTA);
            break;
        }
        limits_saw(c->state == CLIENT_NEW ? LIMIT_CONNECT_BYTES : LIMIT_PACKET_BYTES, frame.size);
        used += frame.size;
        packets++;
        handle(c, &frame);
        /* Who asks without taking the answers is not listened to until he does (L-OUT). on_drained speaks of the mark. */
        size_t unsent = client_alive(c) ? conn_unsent(conn) : 0;
        limits_saw(LIMIT_UNSENT_BYTES, unsent);
        if ((unsent > OUTPUT_HIGH && unsent > limits_of(b)->unsent_bytes) || (unsent && deliver_must_wait(c->shard, c)))
            client_pause(c, PAUSE_OUTPUT);
    }
    COUNT(c->shard, packets_in, packets);
    COUNT(c->shard, wire_in, used);
    return client_alive(c) ? used : in.len;
}

static void on_drained(void *ctx, struct conn *conn)
{
    struct client *c = ctx;
    conn_set_marks(conn, OUTPUT_HIGH, OUTPUT_LOW); /* deliver_must_wait may have lowered them */
    client_resume(c, PAUSE_OUTPUT);
    if (c->choked && client_alive(c))
        deliver_resume(c->shard, c);
}

const struct conn_events client_events = { .on_bytes = on_bytes, .on_drained = on_drained, .on_close = on_close };
