/* client_parts.h - what client.c (the connection), client_window.c (what we sent and is unfinished) and
 * client_packets.c (what the server says) share. Private to the MQTT client. */
#pragma once

#include "mqtt/client.h"

enum client_state {
    CLIENT_WAITING,  /* for the next attempt                                        */
    CLIENT_DIALLING, /* no connection yet                                           */
    CLIENT_GREETING, /* CONNECT is sent                                             */
    CLIENT_OPEN,     /* CONNACK said yes                                            */
    CLIENT_LEAVING,  /* nothing is read or sent any more; the connection is closing */
    CLIENT_ENDED
};

/* One packet identifier of ours. */
enum slot_state { SLOT_FREE, SLOT_UNSENT, SLOT_PUBLISHED, SLOT_RELEASED, SLOT_SUBSCRIBED, SLOT_UNSUBSCRIBED };
struct slot {
    uint64_t token;
    uint8_t *packet;     /* a whole PUBLISH, owned; NULL once it is not needed any more */
    uint32_t size;
    uint16_t prev, next; /* places: the order of publishing, or the queue of free ones */
    uint8_t  state, qos, reason;
};

enum { SUBS_MAX = 16, WINDOW_MAX = 65000 };

struct window {
    struct slot *slots;
    uint16_t     cap;                   /* max, and SUBS_MAX for the others                               */
    uint16_t     max;                   /* of messages                                                    */
    uint16_t     base;                  /* drawn: after a restart of the program a server that remembers
                                           us should not take a new message for an old one                */
    uint16_t     free_first, free_last; /* lists by place = index + 1, 0 = none                           */
    uint16_t     first, last;           /* messages in the order of publishing                            */
    uint16_t     unsent;                /* the first message that is still to be sent                     */
    uint16_t     messages;              /* unfinished ones                                                */
    uint16_t     flying;                /* of them, sent on this connection; the server bounds these      */
    uint16_t     subs;
    size_t       bytes, bytes_max;      /* of packets kept for sending again                              */
};

/* Topics by number, from 1. */
struct alias {
    char *text; /* owned, NULL = not set */
    size_t len;
};
struct aliases {
    struct alias *at;
    size_t count;
};

enum { GOODBYE_MAX = 256 };

struct mqtt_client {
    /* constant */
    struct loop                *loop;
    struct mqtt_client_settings set; /* its texts lie behind the struct */
    struct mqtt_client_events   events;
    void                       *ctx;
    struct mqtt_limits          limits;

    /* ours */
    enum client_state state;
    struct conn      *conn;          /* NULL between connections                                      */
    struct fault      why;           /* why we end the connection; code CODE_OK: we do not            */
    bool              final;         /* no retry after this connection                                */
    bool              left;          /* mqtt_client_disconnect was called                             */
    uint8_t           left_reason;   /* for the DISCONNECT                                            */
    uint16_t          goodbye_len;   /* and its properties                                            */
    uint8_t           goodbye[GOODBYE_MAX];
    bool              in_message;    /* inside on_message: its answer goes before a DISCONNECT        */
    bool              dead;          /* mqtt_client_close was called                                  */
    bool              telling;       /* inside on_close, with no connection that keeps us in memory   */
    bool              known;         /* a connection succeeded before: the next one may resume        */
    bool              asked_clean;   /* in the last CONNECT                                           */
    bool              blocked;       /* somebody was told CODE_AGAIN ...                              */
    size_t            blocked_bytes; /* ... and needs so much of window.bytes_max                     */
    int64_t           retry_ms;      /* the last wait, 0 after a connection that lasted               */
    int64_t           opened_us;     /* CONNACK of this connection, 0 = not yet                       */
    struct timer      timer;         /* retry, CONNACK or keep alive, as the state says               */
    int64_t           keep_alive_us; /* in force on this connection, 0 = none                         */
    int64_t           sent_us;       /* when we last sent something                                   */
    int64_t           ping_us;       /* of a PINGREQ without answer, 0 = none                         */
    unsigned          pings;         /* PINGREQs without answer                                       */
    unsigned          pongs_to;      /* so many answers until that to mqtt_client_ping, 0 = none      */
    struct window     window;
    char             *assigned;      /* the client identifier that the server gave, owned             */

    /* what the server said in its CONNACK */
    uint16_t server_receive_max;
    uint32_t server_packet_bytes;
    uint8_t  server_max_qos;
    bool     server_retain;
    uint16_t server_alias_max;

    /* of this connection */
    struct aliases incoming_aliases, outgoing_aliases;

    /* QoS 2 towards us: identifiers between PUBREC and PUBREL, one bit each; NULL until the first */
    uint8_t *incoming;
    unsigned incoming_count;
};

/* ---- client.c ---- */
/* The buffer to encode a packet into; notes that something is sent. */
struct buf *client_out(struct mqtt_client *c);
/* The CONNACK said yes; keep_alive_s is what the two agreed on. */
void client_opened(struct mqtt_client *c, uint16_t keep_alive_s);
void client_send_ping(struct mqtt_client *c);
/* Does what mqtt_client_disconnect asked for. */
void client_leave(struct mqtt_client *c);

/* ---- client_window.c ---- */
FG_CHECK enum code window_init(struct window *w, uint16_t messages, size_t bytes_max, uint16_t draw,
                               struct fault *why);
void window_clear(struct window *w);
/* The connection is gone: nothing flies, subscriptions without an answer are forgotten. */
void window_interrupt(struct window *w);
/* A new one, before anybody is told: marks what has to be sent again. `resumed`: the server knows what we
 * sent. */
void window_restart(struct mqtt_client *c, bool resumed);
/* After on_connect: reports what a forgotten session has finished, and sends what may be sent. */
void window_settle(struct mqtt_client *c, bool resumed);
/* Sends marked messages while the server takes them. */
void window_pump(struct mqtt_client *c);
bool window_has_room(const struct mqtt_client *c);
/* PUBACK, PUBREC, PUBCOMP; SUBACK, UNSUBACK. */
FG_CHECK enum code window_ack(struct mqtt_client *c, enum mqtt_type type, const struct mqtt_ack *ack,
                              struct fault *why);
FG_CHECK enum code window_sub_ack(struct mqtt_client *c, enum mqtt_type type, const struct mqtt_suback *ack,
                                  struct fault *why);

/* ---- client_alias.c ---- */
void aliases_forget(struct aliases *a);
/* Empty when the number has no topic yet. Valid until it is set anew. */
struct bytes alias_topic(const struct aliases *a, uint16_t n);
FG_CHECK enum code alias_set(struct aliases *a, uint16_t n, struct bytes topic, struct fault *why);
/* A message from the server: learns its alias, or puts the topic in. */
FG_CHECK enum code alias_resolve(struct mqtt_client *c, struct mqtt_publish *m, struct fault *why);

/* ---- client_packets.c ---- */
/* One packet from the server. A failure ends the connection. */
FG_CHECK enum code client_packet(struct mqtt_client *c, const struct mqtt_frame *f, struct fault *why);
