/* limits.h - how much of anything a peer may take. One field per key under `limits:` in the settings.
 *
 * A plain value: the settings own it, stations copy what they need when they start. Every limit is checked
 * before memory is taken, and has a counter on /metrics where it can refuse. Defaults, ranges and the
 * sentences of docs/settings.md stand in settings_table.c, one row per field. `unlimited` in the file is
 * LIMIT_NONE (the largest value of the field), so that `have > limit` is right without a special case.
 */
#pragma once

#include "base/io.h"

#define LIMIT_NONE_32 UINT32_MAX
#define LIMIT_NONE_64 UINT64_MAX

/* What a full queue of a session does with one more message (L-QUEUE). */
enum limits_on_full {
    ON_FULL_DROP_NEWEST, /* this session is not owed the message; decided before PUBACK, counted, logged */
    ON_FULL_DROP_OLDEST, /* the oldest waiting message makes room; counted, logged                       */
    ON_FULL_REFUSE       /* the publisher is told: PUBACK 0x97; 3.1.1: PUBACK withheld, then closed      */
};

struct limits {
    /* L-PKT. A packet as a whole, fixed header included. */
    uint32_t packet_bytes;         /* packet-bytes          after CONNECT was accepted     */
    uint32_t connect_bytes;        /* connect-bytes         before                         */
    /* L-CONNECT */
    uint32_t connect_s;            /* connect-seconds       accept to CONNECT; HTTP header */
    /* L-CONNS, L-RATE, L-HALF; the per-address ones exempt loopback */
    uint32_t connections;          /* connections                                          */
    uint32_t connections_per_address;
    uint32_t connections_per_identity; /* of a device or module */
    uint32_t connect_rate;         /* connect-rate          per address and second         */
    uint32_t auth_failures;        /* auth-failures         per identity, address, minute  */
    uint32_t half_open;            /* half-open             never 0 after loading          */
    /* L-INFL, L-QOS2 */
    uint32_t receive_maximum;      /* receive-maximum       unfinished QoS 1 and 2 inbound */
    /* L-QUEUE, per session */
    uint64_t queued_bytes;
    uint32_t queued_messages;
    enum limits_on_full on_full;
    uint32_t refuse_s;             /* refuse-seconds        3.1.1: PUBACK withheld so long */
    /* L-OUT, per connection */
    uint64_t unsent_bytes;
    uint32_t unsent_s;             /* unsent-seconds        no progress for so long: close */
    /* L-MEM, the node */
    uint64_t memory_bytes;         /* memory-bytes          never 0 after loading          */
    /* L-TOPIC */
    uint32_t topic_bytes;
    uint32_t topic_levels;
    /* L-SUBS */
    uint32_t subscriptions;        /* subscriptions         per session                    */
    uint32_t filters_per_packet;
    uint32_t shared_groups;        /* shared-groups         per session                    */
    /* L-FAN */
    uint32_t fan_out;              /* fan-out               deliveries a loop makes in one turn */
    /* L-RETAIN */
    uint32_t retained_messages;
    uint64_t retained_bytes;
    uint32_t retained_per_identity; /* of everybody who has a name */
    /* L-PROP, per packet */
    uint32_t user_properties;
    uint32_t property_bytes;
    /* L-ALIAS */
    uint32_t topic_aliases;        /* topic-aliases         inbound, per connection        */
    /* L-SESS */
    uint32_t session_expiry_s;     /* session-expiry        LIMIT_NONE_32 = for ever       */
    uint32_t sessions;
    uint32_t sessions_per_identity; /* of a device or module */
    /* L-KEEP */
    uint32_t keep_alive_s;         /* keep-alive            the longest; also for a client that says 0 */
    /* L-HTTP */
    uint32_t http_request_line_bytes; /* http-request-line  414 above */
    uint32_t http_headers_bytes;      /* http-headers       431 above */
    uint32_t http_header_count;       /* http-header-count  431 above */
};

/* What `limits.memory-bytes` is when nobody says: 60 % of the machine's memory or of the smallest limit
 * among the control groups we are in, 600 MiB where neither can be read. Reads /proc and /sys through the
 * table. */
uint64_t limits_memory(const struct io *);
