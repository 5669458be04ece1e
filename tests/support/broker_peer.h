/* broker_peer.h - an MQTT client in a rig: one connection, packets out, packets in.
 *
 *     struct peer *p = peer_open(rig, 0);
 *     peer_connect(p, &(struct peer_connect){ .client_id = "press-1", .expiry_s = 3600 });
 *     struct packet *ack = peer_expect(p, MQTT_CONNACK);      runs the rig, fails the test if something else came
 *     peer_subscribe(p, "factory/#", 1);
 *     ...
 *     peer_close(p);
 *
 * Packets that arrived are decoded and kept in order until they are taken; a packet that does not decode ends the
 * program, for whatever a test sends, the broker sends only what the standard allows.
 * Lifetime: a packet until PEER_TAKEN more were taken or the peer is closed; a peer until peer_close or until its rig is
 * closed. Memory is libc's.
 */
#pragma once

#include "mqtt/packet.h"
#include "support/broker_rig.h"

enum { PEER_TAKEN = 64 };

struct packet {
    struct packet    *next;
    uint8_t           type, qos, reason; /* reason: of the first filter for SUBACK and UNSUBACK */
    bool              dup, retain, session_present;
    uint16_t          pid;
    struct bytes      topic, payload, reasons;
    struct mqtt_props props;
    uint8_t           bytes[]; /* what the views point into */
};

struct peer {
    struct peer       *next, *prev; /* of the rig */
    struct rig        *rig;
    struct sim_client *sim;
    enum mqtt_version  version;
    uint16_t           next_pid;
    struct packet     *first, **last; /* not yet taken */
    struct packet     *taken[PEER_TAKEN];
    size_t             taken_count;
    bool               gone;   /* the rig was closed, or we hung up */
};

struct peer *peer_open(struct rig *, unsigned shard);
struct peer *peer_open_from(struct rig *, unsigned shard, const char *address); /* NULL: this machine */
/* Closes the socket like a process that died, frees everything. NULL is fine. */
void         peer_close(struct peer *);
/* The socket alone; what has arrived can still be taken. */
void         peer_hang_up(struct peer *);
bool         peer_ended(const struct peer *); /* the broker closed it */
void         peers_forget(struct rig *);      /* for the rig */

struct peer_connect {
    const char       *client_id;
    enum mqtt_version version;      /* default 5 */
    bool              clean_start;
    uint32_t          expiry_s;     /* v5 */
    uint16_t          keep_alive_s, receive_max;
    uint32_t          max_packet;
    uint16_t          alias_max;
    const char       *will_topic, *will_payload; /* NULL: no will */
    uint8_t           will_qos;
    bool              will_retain;
    uint32_t          will_delay_s, will_expiry_s;
    const char       *user, *password; /* NULL: none */
    const char       *auth_method;     /* v5; NULL: none */
    struct bytes      auth_data;
};
void     peer_connect(struct peer *, const struct peer_connect *);
/* Returns the packet identifier, 0 for QoS 0. */
uint16_t peer_publish(struct peer *, const char *topic, const char *payload, uint8_t qos, bool retain);
struct peer_publish {
    struct bytes topic, payload, props;
    uint8_t      qos;
    bool         retain, dup;
    uint16_t     pid; /* 0: the next one */
};
uint16_t peer_publish_full(struct peer *, const struct peer_publish *);
uint16_t peer_subscribe(struct peer *, const char *filter, uint8_t qos);
uint16_t peer_subscribe_full(struct peer *, const struct mqtt_filter *);
/* With a subscription identifier; 0: without. */
uint16_t peer_subscribe_as(struct peer *, const struct mqtt_filter *, uint32_t id);
uint16_t peer_unsubscribe(struct peer *, const char *filter);
void     peer_ack(struct peer *, enum mqtt_type, uint16_t pid, uint8_t reason);
void     peer_disconnect(struct peer *, uint8_t reason);
void     peer_ping(struct peer *);
void     peer_auth(struct peer *, uint8_t reason, const char *method, struct bytes data); /* NULL: without a method */
void     peer_send(struct peer *, struct bytes raw);

/* Decodes what has arrived so far; nothing runs. */
void           peer_receive(struct peer *);
/* The next packet, or NULL; nothing runs. */
struct packet *peer_take(struct peer *);
const struct packet *peer_peek(struct peer *);

/* ---- for tests: these run the rig and fail the test (cmocka is the caller's: they abort with a line) ---- */
struct packet *peer_expect(struct peer *, enum mqtt_type);
void           peer_expect_nothing(struct peer *);
void           peer_expect_end(struct peer *); /* closed without another packet */
/* The next packet is this PUBLISH. */
struct packet *peer_expect_publish(struct peer *, const char *topic, const char *payload, uint8_t qos);
/* CONNECT and CONNACK with this session present. */
struct peer   *peer_connected(struct rig *, unsigned shard, const struct peer_connect *, bool present);
/* CONNECT and a CONNACK that refuses with this reason (3.x: this return code); then the end. */
void           peer_refused(struct peer *, const struct peer_connect *, uint8_t reason);
/* SUBSCRIBE and SUBACK. */
void           peer_subscribed(struct peer *, const char *filter, uint8_t qos);
void           peer_subscribed_as(struct peer *, const char *filter, uint8_t qos, uint32_t id);
/* PUBLISH and its whole acknowledgement, which must say `reason`. */
void           peer_published(struct peer *, const char *topic, const char *payload, uint8_t qos, bool retain,
                              uint8_t reason);
/* The broker's side of a QoS 1 or 2 delivery, to its end. */
void           peer_accepts(struct peer *, const struct packet *publish);
