/* probe.h - an MQTT client that does one thing after the other and looks at every packet: for `mqtt-test`.
 *
 * Nothing is hidden: acknowledgements are sent when the caller says so, wrong packets can be sent. Each call runs the loop until
 * what it waits for has come, at most PROBE_MS. Sentences in `why` tell what the broker did. Thread: main. */
#pragma once

#include "mqtt/client.h"

enum { PROBE_MS = 3000, PROBES_MAX = 16 };

struct packet { /* one from the broker */
    struct packet *next;
    uint8_t        first;
    size_t         len;
    uint8_t        body[];
};

struct probe_world {
    struct loop                       *loop;
    const struct mqtt_client_settings *target;
    struct probe                      *probes[PROBES_MAX];
    struct timer                       timer;
    bool                               late;
    char                               run[12];
    unsigned                           names; /* given so far */
};

struct probe {
    struct probe_world *world;
    struct conn        *conn; /* NULL: not connected any more */
    enum mqtt_version   version;
    bool                open;
    struct buf          rest;
    struct packet      *first, *last; /* not looked at yet */
    struct packet      *taken;        /* what the last views point to */
    struct fault        ended;        /* why the connection ended */
    struct mqtt_connack ack;          /* texts in it are views of `greeting` */
    struct packet      *greeting;
    uint16_t            next_id;
    char                id[48];
    bool                keeps; /* its session outlives the connection, and is removed in the end */
};

struct greeting {
    enum mqtt_version version; /* 0 = 5.0 */
    const char  *id;           /* NULL = a name of its own */
    bool         no_id, keep;  /* keep: no clean start, and a session that stays */
    uint32_t     expiry_s;     /* 5.0, with keep: 0 = 60 */
    uint16_t     keep_alive_s; /* 0 = 60 */
    struct bytes props;
    const char  *will_topic, *will_payload;
    struct bytes will_props;
};

struct message { /* of a PUBLISH, valid until the next call on the same probe */
    struct mqtt_publish p;
};

/* Connected, and greeted with success. CODE_REFUSED with the reason in why->mqtt_reason. *out is set in any case, NULL when there
 * was no connection. */
FG_CHECK enum code probe_open(struct probe_world *, const struct greeting *, struct probe **out, struct fault *why);
/* Only connected: no byte is sent. */
FG_CHECK enum code probe_dial(struct probe_world *, enum mqtt_version, struct probe **out, struct fault *why);
void probe_send(struct probe *, struct bytes);
/* The next packet of that type, others are kept. CODE_CLOSED: the broker ended it; CODE_NOTFOUND: nothing came in time. */
FG_CHECK enum code probe_wait(struct probe *, enum mqtt_type, int64_t ms, struct packet **out, struct fault *why);
/* The same for a message; not acknowledged. */
FG_CHECK enum code probe_message(struct probe *, int64_t ms, struct message *out, struct fault *why);
/* The next message must be this one. Acknowledged in full. */
FG_CHECK enum code probe_expect(struct probe *, const char *topic, const char *payload, struct message *out, struct fault *why);
void probe_ack(struct probe *, const struct message *);
/* No message within so long; `what` begins the sentence if one comes: "a message came although ...". */
FG_CHECK enum code probe_silence(struct probe *, int64_t ms, const char *what, struct fault *why);
/* The broker must end the connection. `what` was sent before: "a second CONNECT". */
FG_CHECK enum code probe_thrown_out(struct probe *, const char *what, uint8_t *reason, struct fault *why);
/* CODE_OK with the SUBACK's reason; a refusal is CODE_REFUSED with it in why->mqtt_reason. */
FG_CHECK enum code probe_subscribe(struct probe *, const struct mqtt_filter *, struct bytes props, struct fault *why);
FG_CHECK enum code probe_listen(struct probe *, const char *filter, uint8_t qos, struct fault *why);
FG_CHECK enum code probe_unlisten(struct probe *, const char *filter, struct fault *why);
struct letter_of {
    const char  *topic, *payload;
    struct bytes body; /* in place of payload */
    uint8_t      qos;
    bool         retain, dup;
    struct bytes props;
};
/* With all acknowledgements of its QoS. */
FG_CHECK enum code probe_publish(struct probe *, const struct letter_of *, struct fault *why);
/* Only the PUBLISH. Returns its identifier. */
uint16_t probe_put(struct probe *, const struct letter_of *);
/* DISCONNECT, and the end. */
void probe_leave(struct probe *, uint8_t reason);
/* The end without a word. */
void probe_cut(struct probe *);
/* Time passes, bytes are taken in. */
void probe_pause(struct probe_world *, int64_t ms);
/* "fieldgate-test/RUN/N/name": never used before. */
void probe_topic(struct probe_world *, const char *name, char out[96]);
/* Ends all connections; sessions that stayed are removed. */
void probe_clear(struct probe_world *);
