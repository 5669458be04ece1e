/* client.h - one connection that speaks MQTT, from its first byte to its end, and what its packets ask for. J, S, C and the
 * locks: private.h.
 */
#pragma once

#include "broker/alias.h"
#include "broker/session.h"
#include "identity/access.h"
#include "mqtt/packet.h"
#include "net/loop.h"

struct auth_answer;
struct auth_exchange;
struct connect_ask;
struct retained_feed;
struct shard;
struct verdicts;

enum { PAUSE_CONNACK = 1, PAUSE_BUSY = 2 /* journal */, PAUSE_PENDING = 4 /* too many answers wait for the disk */,
       PAUSE_WITHHELD = 8 /* 3.x: an acknowledgement we cannot give */, PAUSE_KEPT = 16 /* its acknowledgements are kept */,
       PAUSE_OUTPUT = 32 /* it does not take our answers */, PAUSE_QUOTA = 64 /* 3.x: too many unfinished QoS 2 */, PAUSE_FEED = 128 /* see retained_feed.c */ };
enum client_state { CLIENT_NEW, CLIENT_CLAIMING, CLIENT_ACCEPTED /* CONNACK waits */, CLIENT_LIVE, CLIENT_ENDED };

struct client {
    struct shard   *shard;   /* C */
    struct conn    *conn;    /* NULL once on_close came */
    struct session *session; /* NULL before CONNECT and after the end */
    struct client  *prev, *next;
    struct connect_ask *ask; /* CONNECT while it is being worked on */
    struct principal *who;   /* one reference; NULL: has not signed in */
    struct auth_exchange *exchange; /* enhanced authentication that is under way, or NULL */
    struct verdicts *verdicts; /* what the rules said lately; NULL: they were not asked */
    struct retained_feed *feed; /* NULL: no retained message is owed for a new subscription */
    struct timer    timer;   /* CONNECT time-out, then keep-alive and L-OUT */
    int64_t         last_us; /* last packet from the peer */
    int64_t         doubted_us; /* last_us when its silence was first noticed; before CONNECT: when it came */
    int64_t         withheld_us; /* since when PAUSE_WITHHELD */
    uint64_t        send_next; /* queue index to send next */
    uint64_t        will_id; /* 0 = none */
    uint64_t        gathered;/* shard->commits when its last message was gathered */
    struct pidset   in_pids; /* unfinished inbound QoS 2, the connection's view */
    struct aliases *aliases; /* NULL until one is used */
    uint32_t        refs;    /* the connection, pending acknowledgements, operations */
    uint32_t        packet_bytes; /* C: limits as they were at CONNECT; a reload must not make a liar of what CONNACK said */
    uint32_t        receive_max;  /* likewise */
    uint16_t        alias_in_max; /* likewise */
    uint32_t        max_packet, window /* peer's receive maximum */, inflight_out, inflight_in;
    uint32_t        pending; /* acknowledgements waiting for the disk */
    uint32_t        withheld; /* of its messages in shard->withheld */
    uint16_t        keep_alive_s;
    uint16_t        alias_max; /* the peer's Topic Alias Maximum */
    uint8_t         version, state;
    uint8_t         paused;    /* why reading is stopped: PAUSE_ bits */
    uint8_t         refusing;  /* 3.x: a message was refused with this; later ones must not overtake it */
    bool            counted;   /* per address, see admit.h */
    bool            choked;    /* the output is above its mark: no feeding */
    bool            request_problem;
    bool            enhanced;  /* its CONNECT had an authentication method */
};

/* ---- client.c ---- */
extern const struct conn_events client_events;
struct client *client_new(struct shard *, const struct net_peer *);
void client_adopt(struct shard *, struct conn *); /* an open connection of this shard's loop; takes it over */
static inline struct client *client_hold(struct client *c)
{
    c->refs++;
    return c;
}
void client_drop(struct client *);
/* CONNECT was understood: it is a stranger no longer. */
void client_known(struct client *, enum client_state);
/* Ends the connection and, at once, its hold on the session. reason 0: without a packet. `why` is logged and, for v5,
 * sent. publish_will: false only after a normal DISCONNECT. */
void client_end(struct client *, uint8_t reason, const struct fault *why, bool publish_will);
void client_pause(struct client *, uint8_t why);
void client_resume(struct client *, uint8_t why);
void client_halt(struct client *); /* it waits until the journal, other loops and the memory are no longer behind */
void client_arm(struct client *); /* starts the timer for its state */
bool client_alive(const struct client *);
const char *client_name(const struct client *, char *out, size_t cap); /* escaped, for logs */

/* ---- client_access.c: who may ---- */
/* May it publish to this topic, get a message of it, read a retained one? Without rules this costs a branch. */
bool client_may(struct client *, enum right, struct bytes topic);
bool client_may_subscribe(const struct client *, struct bytes filter);
/* The message was there before the subscription: may the client read it, and might its writer still write it (CVE-2018-12546)? */
bool client_may_read(struct client *, const struct message *);
bool access_may_get(const struct access *, const struct session *, struct bytes topic); /* a session that may be away */
bool access_may_will(const struct shard *, struct bytes principal, struct bytes client_id, struct bytes topic);
void verdicts_free(struct verdicts *);
void access_take(struct shard *);   /* the users and rules that hold now */
void access_second(struct shard *); /* ends those whose credential has run out */
void access_clear(struct shard *);

/* ---- client_*.c: packets ---- */
void handle_connect(struct client *, struct bytes body);
void connect_go_on(struct client *); /* after the former owner let go */
void connect_ask_free(struct connect_ask *);
uint32_t connect_max_packet(const struct client *); /* of the CONNECT that is being worked on; 0: no limit */
/* Its time-out is the moment to refuse it (banned, 3.x): after how long. 0: it is not. */
int64_t connect_late_us(const struct client *);
void    connect_refuse_now(struct client *);
/* CONNACK with this reason, and the end: before there is a session. */
void connect_refuse(struct client *, uint8_t reason, const char *because);
/* Takes the answer's reference. `data` goes into the CONNACK. */
void connect_authenticated(struct client *, const struct auth_answer *, struct bytes data);
/* client_auth.c: CONNECT with an authentication method; AUTH while it is decided and afterwards. */
void auth_connect(struct client *, struct bytes method, struct bytes data);
void handle_auth(struct client *, struct bytes body);
void handle_publish(struct client *, const struct mqtt_frame *);
bool publish_over_quota(const struct client *, uint8_t first, struct bytes body);
void handle_ack(struct client *, uint8_t type, uint8_t first, struct bytes body);
void handle_subscribe(struct client *, struct bytes body);
void handle_unsubscribe(struct client *, struct bytes body);
void handle_disconnect(struct client *, struct bytes body);
/* The kick: closes the present owner of a session on its own shard. */
void connect_kicked(struct client *old);
