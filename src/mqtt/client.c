/* client.c - the life of a client's connection: dial, greet, keep alive, lose, try again. */
#include "mqtt/client_parts.h"

#include "base/mem.h"
#include "mqtt/topic.h"

#include <stddef.h>

enum { CONNECT_MS = 10000, RETRY_MIN_MS = 500, RETRY_MAX_MS = 30000, WINDOW = 1024 };
enum {
    LEAVE_MS = 2000,
    WINDOW_BYTES = 16 << 20,
    UNSENT_BYTES = 1 << 20,
    RECEIVE_MAX = 1024,
    PACKET_BYTES = 1 << 20
};

static struct mqtt_client *of_timer(struct timer *t)
{
    return (struct mqtt_client *)(void *)((char *)t - offsetof(struct mqtt_client, timer));
}

static void on_timer(struct timer *t);

struct buf *client_out(struct mqtt_client *c)
{
    c->sent_us = loop_now_us(c->loop);
    return conn_out(c->conn);
}

/* ---- settings ---- */

static enum code check_settings(const struct mqtt_client_settings *s, struct fault *why)
{
    const struct bytes *const texts[] = {&s->client_id,    &s->user,        &s->password, &s->will_topic,
                                         &s->will_payload, &s->auth_method, &s->auth_data};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i]->len > UINT16_MAX)
            return FAIL(why, CODE_USAGE, 0, "a name, password or will is longer than 65,535 bytes");
    if (!s->host || !*s->host)
        return FAIL(why, CODE_USAGE, 0, "no host to connect to");
    if ((s->scheme == MQTT_TLS || s->scheme == MQTT_WSS) && !s->tls)
        return FAIL(why, CODE_USAGE, 0, "%s:// needs to know which certificates are trusted",
                    mqtt_scheme_name(s->scheme));
    if (s->version < MQTT_3_1 || s->version > MQTT_5)
        return FAIL(why, CODE_USAGE, 0, "the client speaks MQTT 5.0, 3.1.1 and 3.1");
    if (s->version < MQTT_5 && s->auth_method.at)
        return FAIL(why, CODE_USAGE, 0, "enhanced authentication exists in 5.0 only");
    if (s->auth_data.at && !s->auth_method.at) /* 3.1.2.11.10 */
        return FAIL(why, CODE_USAGE, 0, "authentication data needs a method");
    if (s->version == MQTT_3_1 && (s->client_id.len == 0 || s->client_id.len > 23))
        return FAIL(why, CODE_USAGE, 0, "MQTT 3.1 wants a client identifier of 1 to 23 bytes");
    if (!utf8_valid(s->client_id, false) || !utf8_valid(s->user, false))
        return FAIL(why, CODE_USAGE, 0, "the client identifier or user name is not UTF-8");
    if (s->version == MQTT_3_1_1 && s->client_id.len == 0 && !s->clean_start)
        return FAIL(why, CODE_USAGE, 0, "a session that is to be kept needs a client identifier");
    if (s->version < MQTT_5 && s->password.at && !s->user.at)
        return FAIL(why, CODE_USAGE, 0, "MQTT before 5.0 allows a password only with a user name");
    if (s->has_will && (s->will_qos > 2 || !topic_name_valid(s->will_topic, UINT16_MAX, UINT16_MAX)))
        return FAIL(why, CODE_USAGE, 0, "the will needs a topic name and a QoS of 0, 1 or 2");
    if (s->window > WINDOW_MAX)
        return FAIL(why, CODE_USAGE, 0, "the window is at most %d messages", WINDOW_MAX);
    return CODE_OK;
}

static void fill_defaults(struct mqtt_client_settings *s)
{
#define DEFAULT(field, value) (s->field = s->field ? s->field : (value))
    DEFAULT(port, mqtt_scheme_port(s->scheme));
    DEFAULT(version, MQTT_5);
    DEFAULT(connect_ms, CONNECT_MS);
    DEFAULT(retry_min_ms, RETRY_MIN_MS);
    DEFAULT(retry_max_ms, RETRY_MAX_MS);
    DEFAULT(window, WINDOW);
    DEFAULT(window_bytes, WINDOW_BYTES);
    DEFAULT(unsent_bytes, UNSENT_BYTES);
    DEFAULT(receive_max, RECEIVE_MAX);
    DEFAULT(packet_bytes, PACKET_BYTES);
    DEFAULT(io, &io_system);
#undef DEFAULT
}

/* Moves the texts behind the struct. */
static void own_texts(struct mqtt_client *c, char *room)
{
    struct mqtt_client_settings *s = &c->set;
    struct bytes *const texts[] = {&s->client_id,  &s->user,         &s->password,
                                   &s->will_topic, &s->will_payload, &s->props,
                                   &s->will_props, &s->auth_method,  &s->auth_data};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (!texts[i]->at)
            continue;
        if (texts[i]->len)
            memcpy(room, texts[i]->at, texts[i]->len);
        texts[i]->at = (const uint8_t *)room;
        room += texts[i]->len;
    }
    size_t host = strlen(s->host) + 1;
    memcpy(room, s->host, host);
    s->host = room;
    if (s->path)
        s->path = memcpy(room + host, s->path, strlen(s->path) + 1);
}

static size_t texts_size(const struct mqtt_client_settings *s)
{
    return s->client_id.len + s->user.len + s->password.len + s->will_topic.len + s->will_payload.len +
           s->props.len + s->will_props.len + s->auth_method.len + s->auth_data.len + strlen(s->host) + 1 +
           (s->path ? strlen(s->path) + 1 : 0);
}

enum code mqtt_client_open(struct mqtt_client **out, struct loop *loop,
                           const struct mqtt_client_settings *settings,
                           const struct mqtt_client_events *events, void *ctx, struct fault *why)
{
    struct mqtt_client_settings s = *settings;
    fill_defaults(&s);
    enum code code = check_settings(&s, why);
    if (code)
        return code;
    struct mqtt_client *c = mem_zalloc(1, sizeof *c + texts_size(&s));
    if (!c)
        return FAIL(why, CODE_NOMEM, 0, "no memory for an MQTT client");
    c->loop = loop;
    c->set = s;
    own_texts(c, (char *)(c + 1));
    c->events = *events;
    c->ctx = ctx;
    /* The server may do as it likes within one packet; what it sends is bounded by that. */
    c->limits = (struct mqtt_limits){s.packet_bytes, UINT16_MAX, s.packet_bytes,
                                     UINT16_MAX,     UINT16_MAX, UINT16_MAX};
    uint16_t draw;
    s.io->random(s.io->self, &draw, sizeof draw);
    code = window_init(&c->window, s.window, s.window_bytes, draw, why);
    if (code) {
        mem_free(c);
        return code;
    }
    if (c->set.tls)
        (void)tls_client_hold(c->set.tls);
    c->state = CLIENT_WAITING;
    timer_start(loop, &c->timer, 0, on_timer);
    *out = c;
    return CODE_OK;
}

/* ---- the end ---- */

static void free_client(struct mqtt_client *c)
{
    timer_stop(c->loop, &c->timer);
    tls_client_drop(c->set.tls);
    window_clear(&c->window);
    aliases_forget(&c->incoming_aliases);
    aliases_forget(&c->outgoing_aliases);
    mem_free(c->incoming);
    mem_free(c->assigned);
    mem_free(c);
}

void mqtt_client_close(struct mqtt_client *c)
{
    c->dead = true;
    c->events = (struct mqtt_client_events){0};
    c->state = CLIENT_ENDED;
    if (c->conn)
        conn_close(c->conn, false); /* the rest when that is done */
    else if (!c->telling)
        free_client(c);
}

void mqtt_client_disconnect(struct mqtt_client *c, uint8_t reason)
{
    if (c->state == CLIENT_ENDED || c->state == CLIENT_LEAVING)
        return;
    c->left = true;
    c->left_reason = reason;
    if (!c->in_message)
        client_leave(c);
}

enum code mqtt_client_disconnect_with(struct mqtt_client *c, uint8_t reason, struct bytes props,
                                      struct fault *why)
{
    if (props.len > GOODBYE_MAX)
        return FAIL(why, CODE_LIMIT, 0, "the properties of a DISCONNECT are at most %d bytes here",
                    GOODBYE_MAX);
    if (!c->left) {
        c->goodbye_len = (uint16_t)props.len;
        if (props.len)
            memcpy(c->goodbye, props.at, props.len);
    }
    mqtt_client_disconnect(c, reason);
    return CODE_OK;
}

void client_leave(struct mqtt_client *c)
{
    bool open = c->state == CLIENT_OPEN;
    if (open)
        mqtt_encode_disconnect(client_out(c), c->set.version, c->left_reason,
                               bytes_of(c->goodbye, c->goodbye_len));
    c->state = CLIENT_LEAVING;
    /* The server closes when it has read the DISCONNECT. If we did so first, with bytes from it unread, the
     * kernel would take back what the server has not read yet, and it would publish the will. */
    timer_start(c->loop, &c->timer, open ? LEAVE_MS : 0, on_timer);
}

static void client_fail(struct mqtt_client *c)
{
    bool tell = c->state == CLIENT_OPEN && c->set.version == MQTT_5;
    if (tell)
        mqtt_encode_disconnect(client_out(c), c->set.version,
                               c->why.mqtt_reason ? c->why.mqtt_reason : MQTT_UNSPECIFIED, BYTES_NONE);
    c->state = CLIENT_LEAVING;
    timer_stop(c->loop, &c->timer);
    conn_close(c->conn, tell);
}

/* How long to wait before the next attempt: doubled each time, and spread by a quarter both ways so that a
 * thousand clients do not come back together. */
static int64_t next_retry(struct mqtt_client *c)
{
    int64_t base = c->retry_ms ? c->retry_ms * 2 : c->set.retry_min_ms;
    c->retry_ms = base < c->set.retry_max_ms ? base : c->set.retry_max_ms;
    uint32_t draw;
    c->set.io->random(c->set.io->self, &draw, sizeof draw);
    return c->retry_ms * 3 / 4 + (int64_t)(draw % (uint32_t)(c->retry_ms / 2 + 1));
}

/* There is no connection any more, or none came about. */
static void ended(struct mqtt_client *c, const struct fault *why)
{
    c->conn = NULL;
    timer_stop(c->loop, &c->timer);
    window_interrupt(&c->window);
    /* One that did not last counts as a failure: a server that throws us out is not called without pause. */
    if (c->opened_us && loop_now_us(c->loop) - c->opened_us >= c->set.retry_max_ms * 1000)
        c->retry_ms = 0;
    c->opened_us = 0;
    int64_t retry = -1;
    if (!c->dead && !c->left && c->set.reconnect && !c->final) {
        retry = next_retry(c);
        c->state = CLIENT_WAITING;
        timer_start(c->loop, &c->timer, retry, on_timer);
    } else {
        c->state = CLIENT_ENDED;
    }
    c->telling = true;
    if (c->events.on_close)
        c->events.on_close(c->ctx, c, c->left ? NULL : why, retry);
    c->telling = false;
    if (c->dead)
        free_client(c);
}

/* ---- the connection ---- */

static void greet(struct mqtt_client *c)
{
    const struct mqtt_client_settings *s = &c->set;
    struct buf props = {0};
    /* With an expiry the session is to outlive the connection; a clean start would throw it away. */
    c->asked_clean = s->clean_start && !(c->known && s->version == MQTT_5 && s->session_expiry_s);
    if (s->session_expiry_s)
        mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, s->session_expiry_s);
    mqtt_put_u16(&props, MQTT_PROP_RECEIVE_MAX, s->receive_max);
    mqtt_put_u32(&props, MQTT_PROP_MAX_PACKET, s->packet_bytes);
    if (s->topic_alias_max)
        mqtt_put_u16(&props, MQTT_PROP_TOPIC_ALIAS_MAX, s->topic_alias_max);
    if (s->auth_method.at)
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_METHOD, s->auth_method);
    if (s->auth_data.at)
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_DATA, s->auth_data);
    buf_add_bytes(&props, s->props);
    struct mqtt_connect_out hello = {
        .version = s->version,
        .clean_start = c->asked_clean,
        .has_will = s->has_will,
        .has_user = s->user.at != NULL,
        .has_password = s->password.at != NULL,
        .will_retain = s->will_retain,
        .will_qos = s->will_qos,
        .keep_alive_s = s->keep_alive_s,
        .client_id = s->client_id,
        .user = s->user,
        .password = s->password,
        .will_topic = s->will_topic,
        .will_payload = s->will_payload,
        .props = props.bad ? BYTES_NONE : buf_bytes(&props),
        .will_props = s->will_props,
    };
    mqtt_encode_connect(client_out(c), &hello);
    buf_clear(&props);
}

static void on_open(void *ctx, struct conn *conn)
{
    struct mqtt_client *c = ctx;
    if (c->state != CLIENT_DIALLING)
        return;
    conn_set_marks(conn, c->set.unsent_bytes, c->set.unsent_bytes / 4);
    c->state = CLIENT_GREETING;
    greet(c);
}

void client_opened(struct mqtt_client *c, uint16_t keep_alive_s)
{
    c->state = CLIENT_OPEN;
    c->known = true;
    c->opened_us = c->sent_us = loop_now_us(c->loop);
    c->ping_us = 0;
    c->pings = c->pongs_to = 0;
    c->keep_alive_us = keep_alive_s * (int64_t)1000000;
    timer_stop(c->loop, &c->timer);
    if (c->keep_alive_us)
        timer_start(c->loop, &c->timer, c->keep_alive_us / 1000, on_timer);
}

static bool listens(const struct mqtt_client *c)
{
    return c->state == CLIENT_GREETING || c->state == CLIENT_OPEN;
}

static void tell_ready(struct mqtt_client *c)
{
    if (!c->blocked || !window_has_room(c))
        return;
    c->blocked = false;
    if (c->events.on_ready)
        c->events.on_ready(c->ctx, c);
}

static size_t on_bytes(void *ctx, struct conn *conn, struct bytes in)
{
    struct mqtt_client *c = ctx;
    size_t used = 0;
    while (listens(c)) {
        struct mqtt_frame f;
        struct fault why = {0};
        enum code code = mqtt_frame(bytes_from(in, used), c->set.packet_bytes, &f, &why);
        if (code == CODE_MORE) {
            if (f.size)
                conn_want(conn, f.size);
            break;
        }
        if (!code) {
            used += f.size;
            code = client_packet(c, &f, &why);
        }
        if (code && listens(c)) {
            c->why = why;
            client_fail(c);
        }
    }
    tell_ready(c);
    return listens(c) ? used : in.len;
}

static void on_drained(void *ctx, struct conn *conn)
{
    struct mqtt_client *c = ctx;
    (void)conn;
    window_pump(c);
    tell_ready(c);
}

static void on_closed(void *ctx, struct conn *conn, const struct fault *why)
{
    struct mqtt_client *c = ctx;
    struct fault said = c->why;
    if (!said.code && why)
        said = *why;
    if (!said.code)
        (void)FAIL(&said, CODE_CLOSED, 0, "%s closed the connection", conn_address(conn));
    ended(c, &said);
}

static void dial(struct mqtt_client *c)
{
    static const struct conn_events events = {
        .on_bytes = on_bytes, .on_drained = on_drained, .on_close = on_closed, .on_open = on_open};
    struct fault why = {0};
    c->why = (struct fault){0};
    c->state = CLIENT_DIALLING;
    timer_start(c->loop, &c->timer, c->set.connect_ms, on_timer);
    const struct mqtt_route route = {c->set.scheme, c->set.host, c->set.port, c->set.path, c->set.tls};
    if (mqtt_dial(&c->conn, c->loop, &route, &events, c, &why))
        ended(c, &why);
}

/* ---- time ---- */

static void fail_late(struct mqtt_client *c, const char *what, int64_t ms)
{
    (void)FAIL(&c->why, CODE_CLOSED, 0, "%s:%u %s for %lld ms", c->set.host, c->set.port, what,
               (long long)ms);
    c->why.mqtt_reason = MQTT_KEEP_ALIVE_TIMEOUT;
    client_fail(c);
}

void client_send_ping(struct mqtt_client *c)
{
    mqtt_encode_empty(client_out(c), MQTT_PINGREQ);
    c->pings++;
}

bool mqtt_client_ping(struct mqtt_client *c)
{
    if (c->state != CLIENT_OPEN || c->pongs_to)
        return false;
    client_send_ping(c);
    c->pongs_to = c->pings;
    return true;
}

/* 3.1.2.10: something leaves in every interval, and a PINGREQ is answered within one. */
static void keep_alive(struct mqtt_client *c)
{
    int64_t now = loop_now_us(c->loop);
    if (c->ping_us && now - c->ping_us >= c->keep_alive_us) {
        fail_late(c, "did not answer a PINGREQ", (now - c->ping_us) / 1000);
        return;
    }
    if (!c->ping_us && now - c->sent_us >= c->keep_alive_us) {
        client_send_ping(c);
        c->ping_us = now;
    }
    int64_t due = (c->ping_us ? c->ping_us : c->sent_us) + c->keep_alive_us;
    timer_start(c->loop, &c->timer, (due - now) / 1000 + 1, on_timer);
}

/* The server did not close, or there never was a connection. */
static void leave_late(struct mqtt_client *c)
{
    if (c->conn)
        conn_close(c->conn, true);
    else
        ended(c, NULL);
}

static void on_timer(struct timer *t)
{
    struct mqtt_client *c = of_timer(t);
    switch (c->state) {
    case CLIENT_WAITING: dial(c); break;
    case CLIENT_DIALLING:
    case CLIENT_GREETING: fail_late(c, "did not answer", c->set.connect_ms); break;
    case CLIENT_OPEN: keep_alive(c); break;
    case CLIENT_LEAVING: leave_late(c); break;
    case CLIENT_ENDED: break;
    }
}

bool mqtt_client_connected(const struct mqtt_client *c)
{
    return c->state == CLIENT_OPEN;
}
