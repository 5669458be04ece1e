/* storm_peer.h - one MQTT client of a storm, whatever carries its bytes: draws what to do next, answers what comes, and says
 * so when what came is against the standard or against what everybody in the storm is promised. Included by one test file,
 * after cmocka.h.
 *
 * Identifiers: a third of them belongs to each user, so that a session may be taken over from anywhere by who may.
 * Thread: the peer's own; the counts are shared.
 */
#pragma once

#include "identity/scram_test_client.h"
#include "mqtt/packet.h"
#include "support/random.h"

#include <stdatomic.h>
#include <stdio.h>

enum { STORM_IDS = 12 /* that everybody fights for */, STORM_SHARED_ID = 100, STORM_LIFE_S = 2, STORM_DOORS = 8 };
#define STORM_METHOD "SCRAM-SHA-256"

static const char *const storm_users[] = { "alice", "device", "bob" };
enum { STORM_USERS = 3, STORM_ALICE = 0 /* who may do more or less */, STORM_DEVICE, STORM_BOB /* who is removed and made again */ };

struct storm_counts {
    _Atomic uint64_t connected[STORM_DOORS], scram, proven_again, certificates, refused, withdrawn, acknowledged, received, shared,
        crossed /* taken over from another door */, wrong;
    _Atomic int door_of[STORM_IDS]; /* whom a CONNECT came through last */
};

struct storm_peer {
    struct storm_counts *counts;
    struct random        dice;
    unsigned             number, id, door;
    enum mqtt_version    version;
    bool                 certificate, scram, proving, live;
    bool                 over; /* nothing more is to be said: hang up when this is sent */
    uint16_t             pid;
};

static unsigned storm_user(const struct storm_peer *p)
{
    return p->id % STORM_USERS;
}

static void storm_wrong(struct storm_peer *p, const char *what, unsigned value)
{
    (void)fprintf(stderr, "peer %u (storm-%u, %s, MQTT %d, door %u): %s 0x%02x\n", p->number, p->id, storm_users[storm_user(p)],
                  p->version, p->door, what, value);
    p->counts->wrong++;
}

/* ---- signing in ---- */

static const char *storm_bare(const struct storm_peer *p, char text[64])
{
    (void)snprintf(text, 64, "n=%s,r=nonce-of-%u", storm_users[storm_user(p)], p->number);
    return text;
}

static void storm_put_first(const struct storm_peer *p, struct buf *props)
{
    char bare[64], first[72];
    (void)snprintf(first, sizeof first, "n,,%s", storm_bare(p, bare));
    mqtt_put_bytes(props, MQTT_PROP_AUTH_METHOD, BYTES_LIT(STORM_METHOD));
    mqtt_put_bytes(props, MQTT_PROP_AUTH_DATA, bytes_str(first));
}

/* Half of them fight for few identifiers, half are left alone. */
static void storm_draw_id(struct storm_peer *p)
{
    p->id = random_chance(&p->dice, 50) ? (unsigned)random_below(&p->dice, STORM_IDS) : STORM_IDS + p->number;
    p->version = p->id % 5 == 4 ? MQTT_3_1_1 : MQTT_5;
}

/* `certificate`: the door needs no more to know who it is; `scram`: it offers the method. */
static void storm_connect(struct storm_peer *p, bool certificate, bool scram, struct buf *out)
{
    static const uint32_t expiries[] = { 0, 1, 600 };
    struct buf props = { 0 }, will_props = { 0 };
    char name[16];
    struct bytes user = bytes_str(storm_users[storm_user(p)]);
    uint32_t expiry = expiries[p->id / STORM_USERS % 3];
    (void)snprintf(name, sizeof name, "storm-%u", p->id);
    p->certificate = certificate;
    if (p->id < STORM_IDS)
        p->counts->door_of[p->id] = (int)p->door;
    p->scram = scram && p->version == MQTT_5 && random_chance(&p->dice, 50);
    bool password = !certificate && !p->scram;
    if (expiry)
        mqtt_put_u32(&props, MQTT_PROP_SESSION_EXPIRY, expiry);
    if (p->scram)
        storm_put_first(p, &props);
    if (random_chance(&p->dice, 50))
        mqtt_put_u32(&will_props, MQTT_PROP_WILL_DELAY, 1);
    struct mqtt_connect_out o = { .version = p->version, .client_id = bytes_str(name), .clean_start = random_chance(&p->dice, 10),
                                  .has_user = password, .user = user, .has_password = password, .password = user,
                                  .has_will = random_chance(&p->dice, 50), .will_qos = 1, .will_topic = BYTES_LIT("t/will"),
                                  .will_payload = BYTES_LIT("gone"), .props = buf_bytes(&props),
                                  .will_props = buf_bytes(&will_props) };
    mqtt_encode_connect(out, &o);
    buf_clear(&props);
    buf_clear(&will_props);
}

static void storm_prove_again(struct storm_peer *p, struct buf *out)
{
    struct buf props = { 0 };
    storm_put_first(p, &props);
    mqtt_encode_auth(out, MQTT_REAUTHENTICATE, buf_bytes(&props));
    buf_clear(&props);
    p->proving = true;
}

static void storm_hear_auth(struct storm_peer *p, struct bytes body, struct buf *out)
{
    struct mqtt_disconnect a;
    struct fault why;
    char bare[64];
    if (mqtt_decode_auth(body, &mqtt_limits_default, &a, &why) != CODE_OK ||
        !bytes_is(a.props.auth_method, STORM_METHOD) /* [MQTT-4.12.0-5] */ || !(p->proving || (p->scram && !p->live))) {
        storm_wrong(p, "AUTH", body.len ? body.at[0] : 0);
    } else if (a.reason == MQTT_SUCCESS) {
        p->proving = false;
        p->counts->proven_again++;
    } else {
        struct buf props = { 0 }, final = { 0 };
        client_final(&final, storm_users[storm_user(p)], "n,,", storm_bare(p, bare), a.props.auth_data, "");
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_METHOD, BYTES_LIT(STORM_METHOD));
        mqtt_put_bytes(&props, MQTT_PROP_AUTH_DATA, buf_bytes(&final));
        mqtt_encode_auth(out, MQTT_CONTINUE_AUTH, buf_bytes(&props));
        buf_clear(&props);
        buf_clear(&final);
    }
}

static void storm_hear_connack(struct storm_peer *p, struct bytes body)
{
    struct mqtt_connack k;
    struct fault why;
    struct storm_counts *n = p->counts;
    if (mqtt_decode_connack(p->version, body, &mqtt_limits_default, &k, &why) != CODE_OK) {
        storm_wrong(p, "CONNACK that cannot be read", 0);
    } else if (k.reason == 0) {
        p->live = true;
        n->connected[p->door]++;
        n->scram += p->scram;
        n->certificates += p->certificate;
        if (p->scram && !bytes_starts(k.props.auth_data, "v="))
            storm_wrong(p, "CONNACK without the node's proof", 0);
    } else {
        /* Only for bob may there be no way in; and anybody may be asked to come again. */
        uint8_t r = k.reason;
        bool busy = p->version == MQTT_5 ? r == MQTT_SERVER_BUSY || r == MQTT_SHUTTING_DOWN || r == MQTT_SERVER_UNAVAILABLE : r == 3;
        bool unknown = p->version == MQTT_5 ? r == MQTT_BAD_USER_OR_PASSWORD || r == MQTT_NOT_AUTHORIZED : r == 4 || r == 5;
        if (!busy && !(unknown && storm_user(p) == STORM_BOB))
            storm_wrong(p, "CONNACK", r);
        n->refused++;
        p->over = true;
    }
}

static void storm_hear_disconnect(struct storm_peer *p, struct bytes body)
{
    uint8_t reason = body.len ? body.at[0] : 0;
    if (reason == MQTT_TAKEN_OVER)
        p->counts->crossed += p->id < STORM_IDS && p->counts->door_of[p->id] != (int)p->door;
    else if (reason == MQTT_NOT_AUTHORIZED && storm_user(p) != STORM_DEVICE)
        p->counts->withdrawn++;
    else if (reason != MQTT_SHUTTING_DOWN && reason != MQTT_QUOTA_EXCEEDED)
        storm_wrong(p, "DISCONNECT", reason);
    p->over = true;
}

/* ---- what comes ---- */

/* Shared subscriptions have identifiers from 100 on; a message comes for one of them, or for others. */
static void storm_hear_publish(struct storm_peer *p, const struct mqtt_frame *f, struct buf *out)
{
    struct mqtt_publish m;
    struct fault why;
    p->counts->received++;
    if (mqtt_decode_publish(p->version, f->first, f->body, &mqtt_limits_default, &m, &why) != CODE_OK) {
        storm_wrong(p, "PUBLISH that cannot be read", f->first);
        return;
    }
    bool shared = m.props.sub_id_count && m.props.sub_id >= STORM_SHARED_ID;
    p->counts->shared += shared;
    if ((shared && m.props.sub_id_count != 1) ||
        (mqtt_props_has(&m.props, MQTT_PROP_MESSAGE_EXPIRY) && m.props.message_expiry_s > STORM_LIFE_S))
        storm_wrong(p, "PUBLISH", m.props.sub_id);
    if (m.qos && !random_chance(&p->dice, 10))
        mqtt_encode_ack(out, p->version, m.qos == 1 ? MQTT_PUBACK : MQTT_PUBREC, m.packet_id, 0, BYTES_NONE);
}

static void storm_hear_ack(struct storm_peer *p, const struct mqtt_frame *f, struct buf *out)
{
    uint8_t type = f->first >> 4;
    struct mqtt_ack a;
    struct fault why;
    if (mqtt_decode_ack(p->version, f->first, f->body, &mqtt_limits_default, &a, &why) != CODE_OK) {
        storm_wrong(p, "an acknowledgement that cannot be read", type);
        return;
    }
    p->counts->acknowledged += type == MQTT_PUBACK || type == MQTT_PUBREC;
    if (type == MQTT_PUBREC && a.reason < MQTT_UNSPECIFIED) /* [MQTT-4.3.3-4] */
        mqtt_encode_ack(out, p->version, MQTT_PUBREL, a.packet_id, 0, BYTES_NONE);
    else if (type == MQTT_PUBREL)
        mqtt_encode_ack(out, p->version, MQTT_PUBCOMP, a.packet_id, 0, BYTES_NONE);
}

static void storm_answer(struct storm_peer *p, const struct mqtt_frame *f, struct buf *out)
{
    uint8_t type = f->first >> 4;
    if (type == MQTT_CONNACK)
        storm_hear_connack(p, f->body);
    else if (type == MQTT_AUTH)
        storm_hear_auth(p, f->body, out);
    else if (type == MQTT_DISCONNECT)
        storm_hear_disconnect(p, f->body);
    else if (!p->live)
        storm_wrong(p, "before CONNACK", f->first);
    else if (type == MQTT_PUBLISH)
        storm_hear_publish(p, f, out);
    else if (type >= MQTT_PUBACK && type <= MQTT_PUBCOMP)
        storm_hear_ack(p, f, out);
    else if (type != MQTT_SUBACK && type != MQTT_UNSUBACK)
        storm_wrong(p, "a packet for servers", f->first);
}

/* ---- what it does of itself ---- */

static void storm_publish(struct storm_peer *p, struct buf *out)
{
    static const char *const topics[] = { "t/a", "t/b", "hub/x", "t/retained" };
    static const uint8_t payload[64] = { 'x' };
    struct buf props = { 0 };
    mqtt_put_u32(&props, MQTT_PROP_MESSAGE_EXPIRY, STORM_LIFE_S);
    for (uint64_t n = 1 + random_below(&p->dice, 8); n; n--) {
        uint64_t topic = random_below(&p->dice, 4);
        uint8_t qos = (uint8_t)random_below(&p->dice, 3);
        size_t len = random_below(&p->dice, sizeof payload);
        p->pid = (uint16_t)(p->pid % 30 + 1);
        mqtt_encode_publish_head(out, p->version, qos, false, topic == 3, bytes_str(topics[topic]), qos ? p->pid : 0,
                                 p->version == MQTT_5 && random_chance(&p->dice, 50) ? buf_bytes(&props) : BYTES_NONE,
                                 BYTES_NONE, len);
        buf_add(out, payload, len);
    }
    buf_clear(&props);
}

static void storm_subscribe(struct storm_peer *p, struct buf *out)
{
    static const char *const filters[] = { "t/#", "t/+", "hub/#", "t/a", "$share/s/t/#", "$share/s/hub/x", "$share/u/t/+" };
    struct buf props = { 0 };
    uint32_t which = (uint32_t)random_below(&p->dice, 7);
    struct mqtt_filter f = { .filter = bytes_str(filters[which]), .qos = (uint8_t)random_below(&p->dice, 3) };
    if (p->version == MQTT_5 && (which >= 4 || random_chance(&p->dice, 50)))
        mqtt_put_varint(&props, MQTT_PROP_SUB_ID, 1 + which + (which >= 4 ? STORM_SHARED_ID : 0));
    if (random_chance(&p->dice, 75))
        mqtt_encode_subscribe(out, p->version, 100, &f, buf_bytes(&props));
    else
        mqtt_encode_unsubscribe(out, p->version, 100, &f, BYTES_NONE);
    buf_clear(&props);
}

/* One thing to do on a live connection. False: hang up now, with whatever is on its way. */
static bool storm_act(struct storm_peer *p, struct buf *out)
{
    uint64_t what = random_below(&p->dice, 100);
    if (what < 55) {
        storm_publish(p, out);
    } else if (what < 75) {
        storm_subscribe(p, out);
    } else if (what < 85) {
        if (p->scram && !p->proving)
            storm_prove_again(p, out);
    } else if (what < 93) {
        bool with_will = p->version == MQTT_5 && random_chance(&p->dice, 30);
        mqtt_encode_disconnect(out, p->version, with_will ? MQTT_DISCONNECT_WITH_WILL : 0, BYTES_NONE);
        p->over = true;
    } else {
        return false;
    }
    return true;
}
