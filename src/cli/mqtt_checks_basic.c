/* mqtt_checks_basic.c - versions, QoS, order, retained messages, wildcards: what every version has. */
#include "cli/mqtt_checks.h"

#include "base/mem.h"

#include <stdio.h>

/* A publisher and a subscriber of one topic. */
static enum code pair(struct check_run *r, enum mqtt_version v, const char *filter, uint8_t qos,
                      struct probe **pub, struct probe **sub, struct fault *why)
{
    const struct greeting g = {.version = v};
    TRY(probe_open(r->world, &g, sub, why));
    TRY(probe_listen(*sub, filter, qos, why));
    return probe_open(r->world, &g, pub, why);
}

static enum code round_trip(struct check_run *r, enum mqtt_version v, uint8_t qos, struct fault *why)
{
    struct probe *pub, *sub;
    struct message m;
    char topic[96];
    probe_topic(r->world, "trip", topic);
    TRY(pair(r, v, topic, qos, &pub, &sub, why));
    TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .payload = "hello", .qos = qos}, why));
    TRY(probe_expect(sub, topic, "hello", &m, why));
    if (m.p.qos != qos)
        return FAIL(why, CODE_PROTOCOL, 0, "published with QoS %u, delivered with QoS %u", qos, m.p.qos);
    return CODE_OK;
}

static enum code version_check(struct check_run *r, enum mqtt_version v, struct fault *why)
{
    enum code c = round_trip(r, v, 0, why);
    if (c == CODE_REFUSED && (why->mqtt_reason == 1 || why->mqtt_reason == MQTT_UNSUPPORTED_VERSION))
        return FAIL(why, CODE_UNSUPPORTED, 0, "refused as a version it does not speak");
    (void)snprintf(r->said, sizeof r->said, "connected, published, received");
    return c;
}

static enum code check_31(struct check_run *r, struct fault *why)
{
    return version_check(r, MQTT_3_1, why);
}

static enum code check_311(struct check_run *r, struct fault *why)
{
    return version_check(r, MQTT_3_1_1, why);
}

static enum code check_5(struct check_run *r, struct fault *why)
{
    return version_check(r, MQTT_5, why);
}

static enum code qos_check(struct check_run *r, uint8_t qos, const char *said, struct fault *why)
{
    (void)snprintf(r->said, sizeof r->said, "%s, in 3.1.1 and 5.0", said);
    TRY(round_trip(r, MQTT_3_1_1, qos, why));
    return round_trip(r, MQTT_5, qos, why);
}

static enum code check_qos_0(struct check_run *r, struct fault *why)
{
    return qos_check(r, 0, "delivered", why);
}

static enum code check_qos_1(struct check_run *r, struct fault *why)
{
    return qos_check(r, 1, "PUBACK, delivered with QoS 1", why);
}

static enum code check_qos_2(struct check_run *r, struct fault *why)
{
    return qos_check(r, 2, "PUBREC, PUBREL, PUBCOMP, delivered with QoS 2", why);
}

/* 4.3.3: a PUBLISH repeated before its PUBREL is one message. */
static enum code check_qos_2_once(struct check_run *r, struct fault *why)
{
    struct probe *pub, *sub;
    struct packet *k;
    char topic[96];
    probe_topic(r->world, "once", topic);
    TRY(pair(r, MQTT_5, topic, 2, &pub, &sub, why));
    uint16_t id = probe_put(pub, &(struct letter_of){.topic = topic, .payload = "once", .qos = 2});
    TRY(probe_wait(pub, MQTT_PUBREC, PROBE_MS, &k, why));
    pub->next_id = id;
    (void)probe_put(pub, &(struct letter_of){.topic = topic, .payload = "once", .qos = 2, .dup = true});
    TRY(probe_wait(pub, MQTT_PUBREC, PROBE_MS, &k, why));
    mqtt_encode_ack(conn_out(pub->conn), MQTT_5, MQTT_PUBREL, id, 0, BYTES_NONE);
    TRY(probe_wait(pub, MQTT_PUBCOMP, PROBE_MS, &k, why));
    TRY(probe_expect(sub, topic, "once", NULL, why));
    (void)snprintf(r->said, sizeof r->said, "sent twice before its PUBREL, delivered once");
    return probe_silence(sub, 300, "delivered twice", why);
}

static enum code check_order(struct check_run *r, struct fault *why)
{
    enum { N = 200 };
    struct probe *pub, *sub;
    struct packet *k;
    char topic[96], text[16];
    probe_topic(r->world, "order", topic);
    TRY(pair(r, MQTT_5, topic, 1, &pub, &sub, why));
    int window = pub->ack.props.receive_max < 10 ? pub->ack.props.receive_max : 10;
    for (int i = 0; i < N; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        if (i >= window)
            TRY(probe_wait(pub, MQTT_PUBACK, PROBE_MS, &k, why));
        (void)probe_put(pub, &(struct letter_of){.topic = topic, .payload = text, .qos = 1});
    }
    for (int i = 0; i < N; i++) {
        (void)snprintf(text, sizeof text, "%d", i);
        TRY(probe_expect(sub, topic, text, NULL, why));
    }
    (void)snprintf(r->said, sizeof r->said, "%d messages with QoS 1, in their order", N);
    return CODE_OK;
}

static enum code check_large(struct check_run *r, struct fault *why)
{
    struct probe *pub, *sub;
    struct message m;
    char topic[96];
    probe_topic(r->world, "large", topic);
    TRY(pair(r, MQTT_5, topic, 1, &pub, &sub, why));
    uint32_t most = pub->ack.props.max_packet;
    size_t size = most && most < 200 * 1024 + 200 ? most - 200 : 200 * 1024;
    uint8_t *body = mem_alloc(size);
    if (!body)
        return FAIL(why, CODE_NOMEM, 0, "no memory");
    for (size_t i = 0; i < size; i++)
        body[i] = (uint8_t)(i * 2654435761u >> 24);
    enum code c = probe_publish(
        pub, &(struct letter_of){.topic = topic, .body = bytes_of(body, size), .qos = 1}, why);
    if (c == CODE_OK)
        c = probe_message(sub, PROBE_MS, &m, why);
    if (c == CODE_OK && !bytes_equal(m.p.payload, bytes_of(body, size)))
        c = FAIL(why, CODE_PROTOCOL, 0, "%zu bytes were published, others delivered", size);
    mem_free(body);
    (void)snprintf(r->said, sizeof r->said, "%zu bytes of every value, unchanged", size);
    return c;
}

/* ---- topics ---- */

static enum code matches(struct check_run *r, const char *filter, const char *name, bool want,
                         struct fault *why)
{
    struct probe *pub, *sub;
    char base[96], f[160], n[160], end[160];
    probe_topic(r->world, "w", base);
    (void)snprintf(f, sizeof f, "%s%s", base, filter);
    (void)snprintf(n, sizeof n, "%s%s", base, name);
    (void)snprintf(end, sizeof end, "%s-end", base);
    TRY(pair(r, MQTT_5, f, 1, &pub, &sub, why));
    TRY(probe_listen(sub, end, 1, why));
    TRY(probe_publish(pub, &(struct letter_of){.topic = n, .payload = "x", .qos = 1}, why));
    TRY(probe_publish(pub, &(struct letter_of){.topic = end, .payload = "end", .qos = 1}, why));
    struct message m;
    TRY(probe_message(sub, PROBE_MS, &m, why));
    probe_ack(sub, &m);
    bool came = !bytes_is(m.p.payload, "end");
    probe_leave(sub, 0);
    probe_leave(pub, 0);
    probe_clear(r->world);
    if (came == want)
        return CODE_OK;
    return FAIL(why, CODE_PROTOCOL, 0, "the filter ...%s %s the topic ...%s", filter,
                came ? "matches" : "does not match", name);
}

static enum code check_wildcards(struct check_run *r, struct fault *why)
{
    static const struct {
        const char *filter, *name;
        bool want;
    } cases[] = {{"/+", "/a", true},     {"/+", "/a/b", false}, {"/#", "", true},    {"/#", "/a/b", true},
                 {"/+/b", "/a/b", true}, {"/+", "/", true},     {"/a", "/A", false}, {"/+/+", "//", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        TRY(matches(r, cases[i].filter, cases[i].name, cases[i].want, why));
    (void)snprintf(r->said, sizeof r->said, "+ one level, # the rest and its parent");
    return CODE_OK;
}

static enum code check_dollar(struct check_run *r, struct fault *why)
{
    struct probe *sub;
    struct message m;
    TRY(probe_open(r->world, &(struct greeting){0}, &sub, why));
    TRY(probe_listen(sub, "#", 0, why));
    int64_t until = loop_now_us(r->world->loop) + 500000;
    while (loop_now_us(r->world->loop) < until) {
        enum code c = probe_message(sub, 200, &m, why);
        if (c == CODE_OK && m.p.topic.len && m.p.topic.at[0] == '$')
            return FAIL(why, CODE_PROTOCOL, 0, "# brings topics that begin with $");
        if (c != CODE_OK && c != CODE_NOTFOUND)
            return c;
    }
    (void)snprintf(r->said, sizeof r->said, "# leaves topics alone that begin with $");
    return CODE_OK;
}

static enum code check_sys(struct check_run *r, struct fault *why)
{
    struct probe *sub;
    struct message m;
    char said[60];
    TRY(probe_open(r->world, &(struct greeting){0}, &sub, why));
    enum code c = probe_listen(sub, "$SYS/#", 0, why);
    if (c == CODE_OK)
        c = probe_message(sub, 2000, &m, why);
    if (c != CODE_OK)
        return FAIL(why, CODE_UNSUPPORTED, 0, "nothing under $SYS");
    (void)snprintf(r->said, sizeof r->said, "%s and more", bytes_escape(m.p.topic, said, sizeof said));
    return CODE_OK;
}

static enum code check_unsubscribe(struct check_run *r, struct fault *why)
{
    struct probe *pub, *sub;
    char topic[96];
    probe_topic(r->world, "un", topic);
    TRY(pair(r, MQTT_5, topic, 1, &pub, &sub, why));
    TRY(probe_unlisten(sub, topic, why));
    TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .payload = "unwanted", .qos = 1}, why));
    (void)snprintf(r->said, sizeof r->said, "UNSUBACK, and nothing after it");
    return probe_silence(sub, 300, "delivered after the UNSUBACK", why);
}

/* ---- retained ---- */

static enum code clear_retained(struct probe *pub, const char *topic, struct fault *why)
{
    return probe_publish(pub, &(struct letter_of){.topic = topic, .payload = "", .qos = 1, .retain = true},
                         why);
}

static enum code retained(struct check_run *r, struct probe *pub, const char *topic, struct fault *why)
{
    struct probe *late;
    struct message m;
    for (int i = 0; i < 2; i++)
        TRY(probe_publish(
            pub, &(struct letter_of){.topic = topic, .payload = i ? "new" : "old", .qos = 1, .retain = true},
            why));
    TRY(probe_open(r->world, &(struct greeting){0}, &late, why));
    TRY(probe_listen(late, topic, 1, why));
    TRY(probe_expect(late, topic, "new", &m, why));
    if (!m.p.retain)
        return FAIL(why, CODE_PROTOCOL, 0, "a retained message comes without its retain flag");
    TRY(probe_publish(pub, &(struct letter_of){.topic = topic, .payload = "live", .qos = 1, .retain = true},
                      why));
    TRY(probe_expect(late, topic, "live", &m, why));
    if (m.p.retain)
        return FAIL(why, CODE_PROTOCOL, 0, "to those subscribed already it comes with the retain flag");
    return CODE_OK;
}

static enum code check_retained(struct check_run *r, struct fault *why)
{
    struct probe *pub, *late;
    struct fault ignored;
    char topic[96];
    probe_topic(r->world, "kept", topic);
    TRY(probe_open(r->world, &(struct greeting){0}, &pub, why));
    if (!pub->ack.props.retain_available)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the CONNACK says: no retained messages");
    enum code c = retained(r, pub, topic, why);
    enum code cleared = clear_retained(pub, topic, c == CODE_OK ? why : &ignored);
    if (c != CODE_OK || cleared != CODE_OK)
        return c != CODE_OK ? c : cleared;
    TRY(probe_open(r->world, &(struct greeting){0}, &late, why));
    TRY(probe_listen(late, topic, 1, why));
    (void)snprintf(r->said, sizeof r->said, "kept, replaced, cleared by an empty one");
    return probe_silence(late, 300, "cleared, and still there", why);
}

const struct mqtt_check mqtt_checks_basic[] = {
    {"Versions", "MQTT 3.1", check_31},
    {"Versions", "MQTT 3.1.1", check_311},
    {"Versions", "MQTT 5.0", check_5},
    {"Messages", "QoS 0", check_qos_0},
    {"Messages", "QoS 1", check_qos_1},
    {"Messages", "QoS 2", check_qos_2},
    {"Messages", "QoS 2 exactly once", check_qos_2_once},
    {"Messages", "order", check_order},
    {"Messages", "large payload", check_large},
    {"Messages", "retained", check_retained},
    {"Topics", "wildcards", check_wildcards},
    {"Topics", "$-topics", check_dollar},
    {"Topics", "$SYS", check_sys},
    {"Topics", "unsubscribe", check_unsubscribe},
    {0},
};
