/* client_connect.h - what the files share that answer a CONNECT: client_connect.c, then client_claim.c, which asks
 * client_connack.c for the answer. Not for others: they know a CONNECT that is being worked on by client->ask only. */
#pragma once

#include "broker/private.h"

struct connect_ask {
    struct mqtt_connect connect; /* views into body */
    uint32_t            expiry_s;
    const char         *because; /* it is refused; NULL: see the reason */
    bool                expiry_capped, assigned_id;
    int64_t             late_us; /* it is refused as banned, after this time; 0: it is not */
    char                assigned[40];
    struct buf          auth_data; /* of enhanced authentication, for the CONNACK */
    size_t              len;
    uint8_t             body[];
};

/* The session is its own now: limits and what the peer asked for become the connection's. */
void connack_settle(struct client *);
/* CONNACK, when the journal has `seq`. The ask is over. */
void connack_send(struct client *, bool present, uint64_t seq);
