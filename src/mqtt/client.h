/* client.h - an MQTT client for our own verbs: pub, sub, simulate, demo.
 *
 * It speaks 5.0, 3.1.1 or 3.1 over one connection of net/loop.h, acknowledges what it receives by itself, keeps
 * the connection alive, and, when asked to, connects again after a loss and finishes what was unfinished.
 *
 *   waiting ──► dialling ──► greeting ──► open ──► leaving ──► ended
 *      ▲           │            │          │
 *      └───────────┴────────────┴──────────┘  only with settings.reconnect, and not after a refusal for good
 *
 * Thread:   everything on the loop's thread, callbacks too. No function here calls back before it returns.
 * Lifetime: mqtt_client_open .. mqtt_client_close. After close no callback comes, though the memory is given
 *           back only when the connection has ended. Close may be called from inside a callback.
 * Bounds:   unfinished QoS 1 and 2 messages by `window`, the server's receive maximum and `window_bytes`;
 *           unsent bytes by `unsent_bytes`; packets from the server by `packet_bytes`; its unfinished QoS 2
 *           messages by `receive_max`; its topic aliases by `topic_alias_max`. Full is CODE_AGAIN, and on_ready says when to try again.
 *
 * Exactly once holds as long as the server keeps the session and this client lives: its identifiers are in
 * memory. When the server has forgotten the session, unfinished messages are published anew.
 */
#pragma once

#include "base/io.h"
#include "mqtt/address.h"
#include "mqtt/packet.h"

struct mqtt_client;

struct mqtt_client_events {
    /* The server said yes. Without a session present there are no subscriptions: make them here. */
    void (*on_connect)(void *ctx, struct mqtt_client *, const struct mqtt_connack *);
    /* Views are valid during the call. A topic alias is resolved already. QoS 1 is acknowledged when it returns, QoS 2 messages come once. */
    void (*on_message)(void *ctx, struct mqtt_client *, const struct mqtt_publish *);
    /* The QoS 1 or 2 message published with this token is finished; reason >= 0x80: it was not accepted. */
    void (*on_ack)(void *ctx, struct mqtt_client *, uint64_t token, uint8_t reason);
    /* The answer to subscribe or unsubscribe: a reason per filter (none for a 3.1.1 unsubscribe). */
    void (*on_sub_ack)(void *ctx, struct mqtt_client *, uint64_t token, struct bytes reasons);
    /* Enhanced authentication (4.12): the server's AUTH. Reason 0x18: append the answer's data to `data`; it is sent
     * when this returns CODE_OK, anything else ends the connection. Reason 0: a re-authentication has succeeded. The
     * last data of a first authentication comes with on_connect, in the CONNACK. NULL: AUTH is a protocol error. */
    enum code (*on_auth)(void *ctx, struct mqtt_client *, const struct mqtt_disconnect *, struct buf *data,
                         struct fault *why);
    /* The answer to mqtt_client_ping. */
    void (*on_pong)(void *ctx, struct mqtt_client *);
    /* Something returned CODE_AGAIN, and there is room now. */
    void (*on_ready)(void *ctx, struct mqtt_client *);
    /* The connection ended, or none came about. `why` NULL: by mqtt_client_disconnect. If the server gave a
     * reason, why->mqtt_reason has it (5.0's, for 3.1.1 too). retry_ms >= 0: it is tried again after so long;
     * subscriptions without an answer are forgotten. retry_ms < 0: this was the end. */
    void (*on_close)(void *ctx, struct mqtt_client *, const struct fault *why, int64_t retry_ms);
};

/* Copied by mqtt_client_open. 0 and NULL mean what is said here. */
struct mqtt_client_settings {
    const char       *host;    /* as for conn_dial */
    uint16_t          port;    /* 0 = the scheme's: 1883 */
    enum mqtt_scheme  scheme;  /* 0 = plain TCP */
    const char       *path;    /* of a WebSocket; NULL = /mqtt */
    struct tls_client *tls;    /* of a scheme with TLS; held until the end */
    enum mqtt_version version; /* 0 = 5.0 */
    /* Empty: the server gives one. 3.1.1 allows that with clean_start only. */
    struct bytes client_id;
    struct bytes user, password; /* .at NULL = none */
    bool         clean_start;
    uint32_t     session_expiry_s; /* 5.0; UINT32_MAX = never */
    uint16_t     keep_alive_s;     /* 0 = none */
    bool         has_will, will_retain;
    uint8_t      will_qos;
    struct bytes will_topic, will_payload;
    struct bytes props, will_props; /* 5.0: further properties, ready to send, none that stand here as settings */
    struct bytes auth_method;  /* 5.0: enhanced authentication; .at NULL = none */
    struct bytes auth_data;    /* the first data, goes with the CONNECT */

    bool     reconnect;
    int64_t  connect_ms;   /* from the dial to the CONNACK; 0 = 10,000 */
    int64_t  retry_min_ms; /* doubled after each failure, up to ... ; 0 = 500 */
    int64_t  retry_max_ms; /* 0 = 30,000 */
    uint16_t window;       /* 0 = 1,024; at most 65,000 */
    size_t   window_bytes; /* of unfinished packets, kept for sending them again; 0 = 16 MiB */
    size_t   unsent_bytes; /* 0 = 1 MiB */
    uint16_t receive_max;  /* 0 = 1,024 */
    uint32_t packet_bytes; /* 0 = 1 MiB */
    uint16_t topic_alias_max; /* 5.0: how many aliases the server may use towards us */

    const struct io *io; /* draws: spreads the retries of many clients; NULL = io_system */
};

/* Begins to connect; the result comes as on_connect or on_close. Any callback may be NULL. CODE_USAGE when
 * the settings contradict each other or the standard. */
FG_CHECK enum code mqtt_client_open(struct mqtt_client **out, struct loop *,
                                    const struct mqtt_client_settings *, const struct mqtt_client_events *,
                                    void *ctx, struct fault *why);
/* Ends at once, without a DISCONNECT (the server publishes the will). To be called before loop_close. */
void mqtt_client_close(struct mqtt_client *);
/* Sends DISCONNECT behind everything that was sent, and waits up to 2 s for the server to close; then on_close
 * comes, also when there was no connection. From inside on_message, that message is acknowledged first.
 * Unfinished messages of ours stay so: wait for on_ack. No retry. Harmless after the end. */
void mqtt_client_disconnect(struct mqtt_client *, uint8_t reason);
/* The same with a ready property list (5.0), at most 256 bytes of it. CODE_LIMIT: longer; nothing was done. */
FG_CHECK enum code mqtt_client_disconnect_with(struct mqtt_client *, uint8_t reason, struct bytes props,
                                               struct fault *why);
/* Authenticates anew on an open connection (4.12.1), with the method of the settings; on_auth follows. */
FG_CHECK enum code mqtt_client_reauthenticate(struct mqtt_client *, struct bytes data, struct fault *why);

struct mqtt_client_message {
    struct bytes topic, payload;
    struct bytes props; /* 5.0: a ready list, without a topic alias */
    uint8_t      qos;
    bool         retain;
    uint16_t     topic_alias; /* 5.0; 0 = none. The topic itself goes with the first message only */
};
/* Everything is copied. on_ack follows for QoS 1 and 2. CODE_AGAIN: full, or not connected just now; on_ready
 * follows. CODE_CLOSED: there will be no connection any more. CODE_USAGE: not a topic name. CODE_UNSUPPORTED:
 * the server told that it does not do that QoS, retain, or so high a topic alias. CODE_LIMIT: larger than the server or window_bytes
 * allow. */
FG_CHECK enum code mqtt_client_publish(struct mqtt_client *, const struct mqtt_client_message *,
                                       uint64_t token, struct fault *why);
/* Up to 16 at a time without an answer. `props`: a ready list. Errors as for publish. */
FG_CHECK enum code mqtt_client_subscribe(struct mqtt_client *, const struct mqtt_filter *, struct bytes props,
                                         uint64_t token, struct fault *why);
FG_CHECK enum code mqtt_client_unsubscribe(struct mqtt_client *, const struct mqtt_filter *, struct bytes props,
                                           uint64_t token, struct fault *why);

/* Sends a PINGREQ. on_pong says that the server has read all that was sent before, QoS 0 messages too, and was still there behind it;
 * one at a time. False: not connected just now, or one is without its answer. */
bool     mqtt_client_ping(struct mqtt_client *);
bool     mqtt_client_connected(const struct mqtt_client *);
/* QoS 1 and 2 messages without their last answer. */
unsigned mqtt_client_unfinished(const struct mqtt_client *);
