/* mqtt_checks_session.c - sessions, wills, taking over, keep alive. */
#include "cli/mqtt_checks.h"

#include <stdio.h>

/* A session of that name with one subscription, left or cut. */
static enum code make_session(struct check_run *r, const struct greeting *g, const char *topic, bool cut,
                              struct fault *why)
{
    struct probe *p;
    TRY(probe_open(r->world, g, &p, why));
    TRY(probe_listen(p, topic, 1, why));
    if (cut)
        probe_cut(p);
    else
        probe_leave(p, 0);
    return CODE_OK;
}

static enum code publish_one(struct check_run *r, const char *topic, const char *payload, uint8_t qos,
                             struct bytes props, struct fault *why)
{
    struct probe *pub;
    TRY(probe_open(r->world, &(struct greeting){0}, &pub, why));
    TRY(probe_publish(
        pub, &(struct letter_of){.topic = topic, .payload = payload, .qos = qos, .props = props}, why));
    probe_leave(pub, 0);
    return CODE_OK;
}

static void name_of(struct check_run *r, char out[48])
{
    (void)snprintf(out, 48, "fgt-%s-k%u", r->world->run, ++r->world->names);
}

static enum code persistent(struct check_run *r, enum mqtt_version v, struct fault *why)
{
    struct probe *p;
    char topic[96], id[48];
    probe_topic(r->world, "away", topic);
    name_of(r, id);
    const struct greeting g = {.version = v, .id = id, .keep = true};
    TRY(make_session(r, &g, topic, v != MQTT_5, why));
    TRY(publish_one(r, topic, "while away", 1, BYTES_NONE, why));
    TRY(probe_open(r->world, &g, &p, why));
    if (!p->ack.session_present)
        return FAIL(why, CODE_PROTOCOL, 0, "the session was gone when its client came back");
    return probe_expect(p, topic, "while away", NULL, why);
}

static enum code check_persistent(struct check_run *r, struct fault *why)
{
    TRY(persistent(r, MQTT_3_1_1, why));
    TRY(persistent(r, MQTT_5, why));
    (void)snprintf(r->said, sizeof r->said, "session present, the message of meanwhile came; 3.1.1 and 5.0");
    return CODE_OK;
}

static enum code check_expiry(struct check_run *r, struct fault *why)
{
    struct probe *p;
    char topic[96], id[48];
    probe_topic(r->world, "expiry", topic);
    name_of(r, id);
    struct greeting g = {.id = id, .keep = true, .expiry_s = 1};
    TRY(make_session(r, &g, topic, false, why));
    TRY(probe_open(r->world, &g, &p, why));
    if (!p->ack.session_present)
        return FAIL(why, CODE_PROTOCOL, 0, "a session to be kept for 1 s was gone at once");
    probe_leave(p, 0);
    probe_pause(r->world, 3500);
    TRY(probe_open(r->world, &g, &p, why));
    if (p->ack.session_present)
        return FAIL(why, CODE_PROTOCOL, 0, "a session to be kept for 1 s was still there after 3.5 s");
    (void)snprintf(r->said, sizeof r->said, "kept for the second that was asked for, gone after 3.5 s");
    return CODE_OK;
}

static enum code check_clean(struct check_run *r, struct fault *why)
{
    struct probe *p;
    char topic[96], id[48];
    probe_topic(r->world, "clean", topic);
    name_of(r, id);
    const struct greeting keep = {.id = id, .keep = true}, clean = {.id = id};
    TRY(make_session(r, &keep, topic, false, why));
    TRY(probe_open(r->world, &clean, &p, why));
    if (p->ack.session_present)
        return FAIL(why, CODE_PROTOCOL, 0, "a clean start was told of a session present");
    TRY(publish_one(r, topic, "x", 1, BYTES_NONE, why));
    (void)snprintf(r->said, sizeof r->said, "a clean start throws the old session away");
    return probe_silence(p, 300, "a message for a session that a clean start ended", why);
}

/* 4.4: unacknowledged messages come again, marked. */
static enum code check_redelivery(struct check_run *r, struct fault *why)
{
    struct probe *p;
    struct message m;
    char topic[96], id[48];
    probe_topic(r->world, "again", topic);
    name_of(r, id);
    const struct greeting g = {.id = id, .keep = true};
    TRY(probe_open(r->world, &g, &p, why));
    TRY(probe_listen(p, topic, 1, why));
    TRY(publish_one(r, topic, "twice", 1, BYTES_NONE, why));
    TRY(probe_message(p, PROBE_MS, &m, why));
    probe_cut(p);
    TRY(probe_open(r->world, &g, &p, why));
    TRY(probe_expect(p, topic, "twice", &m, why));
    if (!m.p.dup)
        return FAIL(why, CODE_PROTOCOL, 0, "an unacknowledged message came again without its DUP flag");
    (void)snprintf(r->said, sizeof r->said, "unacknowledged, it comes again with DUP");
    return CODE_OK;
}

static enum code check_takeover(struct check_run *r, struct fault *why)
{
    struct probe *one, *two;
    char id[48];
    uint8_t reason;
    name_of(r, id);
    const struct greeting g = {.id = id};
    TRY(probe_open(r->world, &g, &one, why));
    TRY(probe_open(r->world, &g, &two, why));
    TRY(probe_thrown_out(one, "a second client took its name", &reason, why));
    if (!reason)
        return FAIL(why, CODE_PROTOCOL, 0,
                    "the old connection was cut without DISCONNECT 0x8E [MQTT-3.1.4-3]");
    if (reason != MQTT_TAKEN_OVER)
        return FAIL(why, CODE_PROTOCOL, 0,
                    "the old connection ended with 0x%02X, not 0x8E Session taken over", reason);
    (void)snprintf(r->said, sizeof r->said, "the old connection ends with 0x8E");
    return CODE_OK;
}

/* ---- wills ---- */

static enum code watcher(struct check_run *r, const char *topic, struct probe **out, struct fault *why)
{
    TRY(probe_open(r->world, &(struct greeting){0}, out, why));
    return probe_listen(*out, topic, 1, why);
}

static enum code check_will(struct check_run *r, struct fault *why)
{
    struct probe *dying, *watching;
    char topic[96];
    probe_topic(r->world, "will", topic);
    const struct greeting g = {.will_topic = topic, .will_payload = "gone"};
    TRY(watcher(r, topic, &watching, why));
    TRY(probe_open(r->world, &g, &dying, why));
    probe_leave(dying, 0);
    TRY(probe_silence(watching, 300, "a will after a proper DISCONNECT", why));
    TRY(probe_open(r->world, &g, &dying, why));
    probe_cut(dying);
    TRY(probe_expect(watching, topic, "gone", NULL, why));
    TRY(probe_open(r->world, &g, &dying, why));
    probe_leave(dying, MQTT_DISCONNECT_WITH_WILL);
    TRY(probe_expect(watching, topic, "gone", NULL, why));
    (void)snprintf(r->said, sizeof r->said, "after a cut and after 0x04, not after DISCONNECT");
    return CODE_OK;
}

static enum code check_will_delay(struct check_run *r, struct fault *why)
{
    static const uint8_t two_seconds[] = {MQTT_PROP_WILL_DELAY, 0, 0, 0, 2};
    struct probe *dying, *watching;
    char topic[96], id[48];
    probe_topic(r->world, "delay", topic);
    name_of(r, id);
    const struct greeting g = {.id = id,
                               .keep = true,
                               .will_topic = topic,
                               .will_payload = "gone",
                               .will_props = bytes_of(two_seconds, sizeof two_seconds)};
    TRY(watcher(r, topic, &watching, why));
    TRY(probe_open(r->world, &g, &dying, why));
    probe_cut(dying);
    TRY(probe_silence(watching, 800, "a will delayed by 2 s came at once", why));
    TRY(probe_open(r->world, &g, &dying, why));
    TRY(probe_silence(watching, 2500, "a will came though its client was back in time", why));
    probe_cut(dying);
    TRY(probe_silence(watching, 800, "a will delayed by 2 s came at once", why));
    probe_pause(r->world, 1500);
    TRY(probe_expect(watching, topic, "gone", NULL, why));
    (void)snprintf(r->said, sizeof r->said, "waits its 2 s, and not at all when the client comes back");
    return CODE_OK;
}

/* ---- keep alive ---- */

static enum code check_ping(struct check_run *r, struct fault *why)
{
    struct probe *p;
    struct packet *k;
    TRY(probe_open(r->world, &(struct greeting){0}, &p, why));
    mqtt_encode_empty(conn_out(p->conn), MQTT_PINGREQ);
    (void)snprintf(r->said, sizeof r->said, "PINGREQ is answered");
    return probe_wait(p, MQTT_PINGRESP, PROBE_MS, &k, why);
}

/* Two seconds: a broker that counts in whole ones is not blamed for rounding. */
static enum code check_keep_alive(struct check_run *r, struct fault *why)
{
    struct probe *p;
    TRY(probe_open(r->world, &(struct greeting){.keep_alive_s = 2}, &p, why));
    if (mqtt_props_has(&p->ack.props, MQTT_PROP_SERVER_KEEP_ALIVE) && p->ack.props.server_keep_alive > 2)
        return FAIL(why, CODE_UNSUPPORTED, 0, "the broker made %u s of 2 s", p->ack.props.server_keep_alive);
    int64_t from = loop_now_us(r->world->loop);
    for (int i = 0; i < 80 && p->conn; i++)
        probe_pause(r->world, 100);
    if (p->conn)
        return FAIL(why, CODE_PROTOCOL, 0,
                    "a client with a keep alive of 2 s was silent for 8 s and is still connected");
    double s = (double)(loop_now_us(r->world->loop) - from) / 1e6;
    if (s < 2.9)
        return FAIL(why, CODE_PROTOCOL, 0, "a client with a keep alive of 2 s was thrown out after %.1f s",
                    s);
    (void)snprintf(r->said, sizeof r->said, "a silent client is cut off: after %.1f s of 3", s);
    return CODE_OK;
}

const struct mqtt_check mqtt_checks_session[] = {
    {"Sessions", "persistent session", check_persistent},
    {"Sessions", "session expiry", check_expiry},
    {"Sessions", "clean start", check_clean},
    {"Sessions", "redelivery", check_redelivery},
    {"Sessions", "takeover", check_takeover},
    {"Sessions", "will", check_will},
    {"Sessions", "will delay", check_will_delay},
    {"Sessions", "ping", check_ping},
    {"Sessions", "keep alive", check_keep_alive},
    {0},
};
