#include "cli/probe.h"

#include "base/mem.h"

#include <stdio.h>

enum { PACKET_MAX = 64 << 20 };

/* ---- waiting ---- */

static void on_late(struct timer *t)
{
    struct probe_world *w = (struct probe_world *)(void *)((char *)t - offsetof(struct probe_world, timer));
    w->late = true;
    loop_stop(w->loop);
}

/* Runs the loop until something comes or the time is over (false). */
static bool run(struct probe_world *w, int64_t until_us)
{
    int64_t left = until_us - loop_now_us(w->loop);
    if (left <= 0)
        return false;
    w->late = false;
    timer_start(w->loop, &w->timer, (left + 999) / 1000, on_late);
    loop_run(w->loop);
    timer_stop(w->loop, &w->timer);
    return !w->late;
}

void probe_pause(struct probe_world *w, int64_t ms)
{
    int64_t until = loop_now_us(w->loop) + ms * 1000;
    while (run(w, until))
        ;
}

/* ---- the connection ---- */

static size_t on_bytes(void *ctx, struct conn *conn, struct bytes in)
{
    struct probe *p = ctx;
    buf_add_bytes(&p->rest, in);
    for (;;) {
        struct mqtt_frame f;
        struct fault why;
        enum code c = mqtt_frame(buf_bytes(&p->rest), PACKET_MAX, &f, &why);
        if (c == CODE_MORE)
            break;
        struct packet *k = c == CODE_OK ? mem_alloc(sizeof *k + f.body.len) : NULL;
        if (!k) {
            p->ended = why;
            conn_close(conn, false);
            break;
        }
        k->next = NULL;
        k->first = f.first;
        k->len = f.body.len;
        if (f.body.len)
            memcpy(k->body, f.body.at, f.body.len);
        if (p->last)
            p->last->next = k;
        else
            p->first = k;
        p->last = k;
        buf_take(&p->rest, f.size);
    }
    loop_stop(p->world->loop);
    return in.len;
}

static void on_open(void *ctx, struct conn *conn)
{
    struct probe *p = ctx;
    (void)conn;
    p->open = true;
    loop_stop(p->world->loop);
}

static void on_close(void *ctx, struct conn *conn, const struct fault *why)
{
    struct probe *p = ctx;
    (void)conn;
    p->conn = NULL;
    if (!p->ended.code && why)
        p->ended = *why;
    if (!p->ended.code)
        (void)FAIL(&p->ended, CODE_CLOSED, 0, "the broker closed the connection");
    loop_stop(p->world->loop);
}

enum code probe_dial(struct probe_world *w, enum mqtt_version version, struct probe **out, struct fault *why)
{
    static const struct conn_events events = {.on_bytes = on_bytes, .on_close = on_close, .on_open = on_open};
    const struct mqtt_client_settings *t = w->target;
    const struct mqtt_route route = {t->scheme, t->host, t->port, t->path, t->tls};
    size_t place = 0;
    *out = NULL;
    while (place < PROBES_MAX && w->probes[place])
        place++;
    struct probe *p = place < PROBES_MAX ? mem_zalloc(1, sizeof *p) : NULL;
    if (!p)
        return FAIL(why, CODE_NOMEM, 0, "no memory for one more connection");
    *p = (struct probe){.world = w, .version = version, .next_id = 1};
    enum code c = mqtt_dial(&p->conn, w->loop, &route, &events, p, why);
    if (c != CODE_OK) {
        mem_free(p);
        return c;
    }
    w->probes[place] = *out = p;
    int64_t until = loop_now_us(w->loop) + PROBE_MS * 1000;
    while (p->conn && !p->open && run(w, until))
        ;
    if (p->open)
        return CODE_OK;
    if (!p->ended.code)
        return FAIL(why, CODE_IO, 0, "no connection within %d ms", PROBE_MS);
    *why = p->ended;
    return why->code;
}

void probe_send(struct probe *p, struct bytes b)
{
    if (p->conn)
        buf_add_bytes(conn_out(p->conn), b);
}

static void forget_taken(struct probe *p)
{
    mem_free(p->taken);
    p->taken = NULL;
}

/* Unlinks the first packet of that type; any if type is 0. */
static struct packet *take(struct probe *p, enum mqtt_type type)
{
    struct packet *before = NULL;
    for (struct packet *k = p->first; k; before = k, k = k->next) {
        if (type && k->first >> 4 != type)
            continue;
        if (before)
            before->next = k->next;
        else
            p->first = k->next;
        if (p->last == k)
            p->last = before;
        return k;
    }
    return NULL;
}

/* What it said when it threw us out: a DISCONNECT that waits. */
static enum code closed(struct probe *p, struct fault *why)
{
    struct packet *k = p->version == MQTT_5 ? take(p, MQTT_DISCONNECT) : NULL;
    *why = p->ended;
    if (k) {
        uint8_t reason = k->len ? k->body[0] : 0;
        (void)FAIL(why, CODE_CLOSED, 0, "the broker ended the connection: 0x%02X %s", reason,
                   mqtt_reason_name(reason));
        why->mqtt_reason = reason;
    }
    mem_free(k);
    why->code = CODE_CLOSED;
    return CODE_CLOSED;
}

enum code probe_wait(struct probe *p, enum mqtt_type type, int64_t ms, struct packet **out, struct fault *why)
{
    int64_t until = loop_now_us(p->world->loop) + ms * 1000;
    forget_taken(p);
    for (;;) {
        *out = p->taken = take(p, type);
        if (*out)
            return CODE_OK;
        if (!p->conn)
            return closed(p, why);
        if (!run(p->world, until))
            return FAIL(why, CODE_NOTFOUND, 0, "no %s within %lld ms", mqtt_type_name(type), (long long)ms);
    }
}

/* ---- greeting ---- */

static enum code read_connack(struct probe *p, struct fault *why)
{
    struct packet *k;
    enum code c = probe_wait(p, MQTT_CONNACK, PROBE_MS, &k, why);
    if (c != CODE_OK)
        return c;
    p->greeting = k; /* the properties' texts lie there */
    p->taken = NULL;
    c = mqtt_decode_connack(p->version, bytes_of(k->body, k->len), &mqtt_limits_default, &p->ack, why);
    if (c != CODE_OK || !p->ack.reason)
        return c;
    (void)FAIL(why, CODE_REFUSED, 0, "the broker refused the connection: 0x%02X %s", p->ack.reason,
               p->version == MQTT_5 ? mqtt_reason_name(p->ack.reason) : "");
    why->mqtt_reason = p->ack.reason;
    return CODE_REFUSED;
}

enum code probe_open(struct probe_world *w, const struct greeting *g, struct probe **out, struct fault *why)
{
    struct probe *p;
    struct buf props = {0};
    enum mqtt_version version = g->version ? g->version : MQTT_5;
    enum code c = probe_dial(w, version, &p, why);
    *out = p;
    if (c != CODE_OK)
        return c;
    if (g->id)
        (void)snprintf(p->id, sizeof p->id, "%s", g->id);
    else if (!g->no_id)
        (void)snprintf(p->id, sizeof p->id, "fgt-%s-%u", w->run, ++w->names);
    p->keeps = g->keep;
    if (g->keep)
        mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, g->expiry_s ? g->expiry_s : 60);
    buf_add_bytes(&props, g->props);
    struct mqtt_connect_out hello = {.version = version,
                                     .clean_start = !g->keep,
                                     .has_user = w->target->user.at,
                                     .has_password = w->target->password.at,
                                     .user = w->target->user,
                                     .password = w->target->password,
                                     .client_id = bytes_str(p->id),
                                     .props = buf_bytes(&props),
                                     .keep_alive_s = g->keep_alive_s ? g->keep_alive_s : 60,
                                     .has_will = g->will_topic,
                                     .will_topic = bytes_str(g->will_topic),
                                     .will_payload = bytes_str(g->will_payload),
                                     .will_qos = 1,
                                     .will_props = g->will_props};
    mqtt_encode_connect(conn_out(p->conn), &hello);
    buf_clear(&props);
    return read_connack(p, why);
}

/* ---- subscriptions ---- */

static uint16_t draw_id(struct probe *p)
{
    return p->next_id++;
}

static enum code sub_ack(struct probe *p, enum mqtt_type type, struct fault *why)
{
    struct packet *k;
    struct mqtt_suback ack;
    enum code c = probe_wait(p, type, PROBE_MS, &k, why);
    if (c == CODE_OK)
        c = mqtt_decode_suback(p->version, k->first, bytes_of(k->body, k->len), &mqtt_limits_default, &ack,
                               why);
    if (c != CODE_OK || !ack.reasons.len || ack.reasons.at[0] < 0x80)
        return c;
    (void)FAIL(why, CODE_REFUSED, 0, "the broker refused the subscription: 0x%02X %s", ack.reasons.at[0],
               mqtt_reason_name(ack.reasons.at[0]));
    why->mqtt_reason = ack.reasons.at[0];
    return CODE_REFUSED;
}

enum code probe_subscribe(struct probe *p, const struct mqtt_filter *f, struct bytes props, struct fault *why)
{
    if (p->conn)
        mqtt_encode_subscribe(conn_out(p->conn), p->version, draw_id(p), f, props);
    return sub_ack(p, MQTT_SUBACK, why);
}

enum code probe_listen(struct probe *p, const char *filter, uint8_t qos, struct fault *why)
{
    struct mqtt_filter f = {.filter = bytes_str(filter), .qos = qos};
    return probe_subscribe(p, &f, BYTES_NONE, why);
}

enum code probe_unlisten(struct probe *p, const char *filter, struct fault *why)
{
    struct mqtt_filter f = {.filter = bytes_str(filter)};
    if (p->conn)
        mqtt_encode_unsubscribe(conn_out(p->conn), p->version, draw_id(p), &f, BYTES_NONE);
    return sub_ack(p, MQTT_UNSUBACK, why);
}

/* ---- messages ---- */

uint16_t probe_put(struct probe *p, const struct letter_of *m)
{
    uint16_t id = m->qos ? draw_id(p) : 0;
    struct bytes body = m->payload ? bytes_str(m->payload) : m->body;
    if (!p->conn)
        return id;
    mqtt_encode_publish_head(conn_out(p->conn), p->version, m->qos, m->dup, m->retain, bytes_str(m->topic),
                             id, m->props, BYTES_NONE, body.len);
    buf_add_bytes(conn_out(p->conn), body);
    return id;
}

static enum code acked(struct probe *p, enum mqtt_type type, struct fault *why)
{
    struct packet *k;
    enum code c = probe_wait(p, type, PROBE_MS, &k, why);
    if (c != CODE_OK || k->len < 3 || k->body[2] < 0x80)
        return c;
    (void)FAIL(why, CODE_REFUSED, 0, "the broker did not take the message: 0x%02X %s", k->body[2],
               mqtt_reason_name(k->body[2]));
    why->mqtt_reason = k->body[2];
    return CODE_REFUSED;
}

enum code probe_publish(struct probe *p, const struct letter_of *m, struct fault *why)
{
    uint16_t id = probe_put(p, m);
    if (m->qos == 0)
        return CODE_OK;
    enum code c = acked(p, m->qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, why);
    if (c != CODE_OK || m->qos == 1)
        return c;
    if (p->conn)
        mqtt_encode_ack(conn_out(p->conn), p->version, MQTT_PUBREL, id, 0, BYTES_NONE);
    return acked(p, MQTT_PUBCOMP, why);
}

enum code probe_message(struct probe *p, int64_t ms, struct message *out, struct fault *why)
{
    struct packet *k;
    enum code c = probe_wait(p, MQTT_PUBLISH, ms, &k, why);
    if (c == CODE_NOTFOUND)
        return FAIL(why, CODE_NOTFOUND, 0, "no message within %lld ms", (long long)ms);
    return c == CODE_OK ? mqtt_decode_publish(p->version, k->first, bytes_of(k->body, k->len),
                                              &mqtt_limits_default, &out->p, why)
                        : c;
}

void probe_ack(struct probe *p, const struct message *m)
{
    struct packet *k, *view = p->taken;
    struct fault why;
    if (!p->conn || !m->p.qos)
        return;
    uint16_t id = m->p.packet_id;
    mqtt_encode_ack(conn_out(p->conn), p->version, m->p.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, id, 0,
                    BYTES_NONE);
    if (m->p.qos == 1)
        return;
    p->taken = NULL; /* the views of the message stay */
    if (probe_wait(p, MQTT_PUBREL, PROBE_MS, &k, &why) == CODE_OK && p->conn)
        mqtt_encode_ack(conn_out(p->conn), p->version, MQTT_PUBCOMP, id, 0, BYTES_NONE);
    forget_taken(p);
    p->taken = view;
}

enum code probe_expect(struct probe *p, const char *topic, const char *payload, struct message *out,
                       struct fault *why)
{
    char a[60], b[60];
    struct message m;
    enum code c = probe_message(p, PROBE_MS, &m, why);
    if (c == CODE_NOTFOUND)
        return FAIL(why, CODE_NOTFOUND, 0, "the message '%.40s' did not come within %d ms", payload,
                    PROBE_MS);
    if (c != CODE_OK)
        return c;
    probe_ack(p, &m);
    if (out)
        *out = m;
    if (bytes_is(m.p.topic, topic) && bytes_is(m.p.payload, payload))
        return CODE_OK;
    return FAIL(why, CODE_PROTOCOL, 0, "'%s' on '%s' came, not '%.40s'",
                bytes_escape(m.p.payload, a, sizeof a), bytes_escape(m.p.topic, b, sizeof b), payload);
}

enum code probe_silence(struct probe *p, int64_t ms, const char *what, struct fault *why)
{
    char said[60];
    struct message m;
    enum code c = probe_message(p, ms, &m, why);
    if (c == CODE_NOTFOUND)
        return CODE_OK;
    if (c != CODE_OK)
        return c;
    return FAIL(why, CODE_PROTOCOL, 0, "%s: '%s'", what, bytes_escape(m.p.payload, said, sizeof said));
}

enum code probe_thrown_out(struct probe *p, const char *what, uint8_t *reason, struct fault *why)
{
    struct packet *k;
    int64_t until = loop_now_us(p->world->loop) + PROBE_MS * 1000;
    *reason = 0;
    while (p->conn && run(p->world, until))
        ;
    if (p->conn)
        return FAIL(why, CODE_PROTOCOL, 0, "%s: the broker keeps the connection", what);
    while ((k = take(p, p->version == MQTT_5 ? MQTT_DISCONNECT : 0))) {
        if (k->first >> 4 == MQTT_DISCONNECT && k->len)
            *reason = k->body[0];
        mem_free(k);
    }
    return CODE_OK;
}

/* ---- the end ---- */

static void wait_gone(struct probe *p)
{
    int64_t until = loop_now_us(p->world->loop) + 1000000;
    while (p->conn && run(p->world, until))
        ;
    if (p->conn) {
        conn_close(p->conn, false);
        until = loop_now_us(p->world->loop) + 1000000;
        while (p->conn && run(p->world, until))
            ;
    }
}

void probe_leave(struct probe *p, uint8_t reason)
{
    if (!p || !p->conn)
        return;
    mqtt_encode_disconnect(conn_out(p->conn), p->version, reason, BYTES_NONE);
    wait_gone(p); /* the broker closes */
}

void probe_cut(struct probe *p)
{
    if (!p || !p->conn)
        return;
    conn_close(p->conn, false);
    wait_gone(p);
}

void probe_topic(struct probe_world *w, const char *name, char out[96])
{
    (void)snprintf(out, 96, "fieldgate-test/%s/%u/%.40s", w->run, ++w->names, name);
}

static void free_probe(struct probe *p)
{
    struct packet *k;
    while ((k = take(p, 0)))
        mem_free(k);
    forget_taken(p);
    mem_free(p->greeting);
    buf_clear(&p->rest);
    mem_free(p);
}

/* A clean start without expiry removes what the server kept. */
static void remove_session(struct probe_world *w, const char *id, enum mqtt_version version)
{
    struct probe *p;
    struct fault why;
    struct greeting g = {.version = version, .id = id};
    if (probe_open(w, &g, &p, &why) == CODE_OK)
        probe_leave(p, 0);
    else
        probe_cut(p);
}

void probe_clear(struct probe_world *w)
{
    struct probe *old[PROBES_MAX];
    memcpy(old, w->probes, sizeof old);
    memset(w->probes, 0, sizeof w->probes);
    for (size_t i = 0; i < PROBES_MAX; i++) {
        if (!old[i])
            continue;
        probe_leave(old[i], 0);
        bool later = false; /* the same session once more in the list */
        for (size_t k = i + 1; k < PROBES_MAX; k++)
            later |= old[k] && old[k]->keeps && strcmp(old[k]->id, old[i]->id) == 0;
        if (old[i]->keeps && !later)
            remove_session(w, old[i]->id, old[i]->version);
    }
    for (size_t i = 0; i < PROBES_MAX; i++) {
        if (w->probes[i])
            free_probe(w->probes[i]);
        if (old[i])
            free_probe(old[i]);
        w->probes[i] = NULL;
    }
}
