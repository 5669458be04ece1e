/* limits_use.h - how near anything came to a limit, and what was refused because of one; of all this process, for /metrics.
 *
 * Whoever checks a limit tells here what he saw and what he refused. What can be counted at this moment (connections, sessions,
 * retained messages, memory) is counted by its owner; the most that was seen stands here for what each connection, packet,
 * session or second has of its own.
 *
 * Thread: any. limits_saw costs one load as long as it is no record.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* Names as under `limits:`; those of the last lines are fixed (reliability: L-WS, L-TLS). */
#define LIMITS_EACH(X)                                                                                       \
    X(PACKET_BYTES, "packet-bytes") X(CONNECT_BYTES, "connect-bytes") X(CONNECT_SECONDS, "connect-seconds") \
    X(CONNECTIONS, "connections") X(CONNECTIONS_PER_ADDRESS, "connections-per-address")                     \
    X(CONNECTIONS_PER_IDENTITY, "connections-per-identity") X(CONNECT_RATE, "connect-rate")                 \
    X(AUTH_FAILURES, "auth-failures") X(HALF_OPEN, "half-open") X(RECEIVE_MAXIMUM, "receive-maximum")       \
    X(QUEUED_BYTES, "queued-bytes") X(QUEUED_MESSAGES, "queued-messages") X(REFUSE_SECONDS, "refuse-seconds")\
    X(UNSENT_BYTES, "unsent-bytes") X(UNSENT_SECONDS, "unsent-seconds") X(MEMORY_BYTES, "memory-bytes")     \
    X(TOPIC_BYTES, "topic-bytes") X(TOPIC_LEVELS, "topic-levels") X(SUBSCRIPTIONS, "subscriptions")         \
    X(FILTERS_PER_PACKET, "filters-per-packet") X(SHARED_GROUPS, "shared-groups") X(FAN_OUT, "fan-out")     \
    X(RETAINED_MESSAGES, "retained-messages") X(RETAINED_BYTES, "retained-bytes")                           \
    X(RETAINED_PER_IDENTITY, "retained-per-identity") X(USER_PROPERTIES, "user-properties")                 \
    X(PROPERTY_BYTES, "property-bytes") X(TOPIC_ALIASES, "topic-aliases") X(SESSION_EXPIRY, "session-expiry")\
    X(SESSIONS, "sessions") X(SESSIONS_PER_IDENTITY, "sessions-per-identity") X(KEEP_ALIVE, "keep-alive")   \
    X(HTTP_REQUEST_LINE, "http-request-line") X(HTTP_HEADERS, "http-headers")                               \
    X(HTTP_HEADER_COUNT, "http-header-count")                                                               \
    X(WEBSOCKET_FRAGMENTS, "websocket-fragments") X(WEBSOCKET_CONTROL_BYTES, "websocket-control-bytes")     \
    X(TLS_HANDSHAKE_BYTES, "tls-handshake-bytes") X(TLS_CERTIFICATES, "tls-certificates")                   \
    X(TLS_DEPTH, "tls-depth") X(TLS_RSA_BITS, "tls-rsa-bits")

#define LIMITS_ENUM(id, name) LIMIT_##id,
enum limit_name { LIMITS_EACH(LIMITS_ENUM) LIMIT_NAMES };
#undef LIMITS_ENUM

extern const char *const limit_names[LIMIT_NAMES];

struct limits_use { /* of one limit */
    _Atomic uint64_t most, refused;
};
extern struct limits_use limits_uses[LIMIT_NAMES];

void limits_record(enum limit_name, uint64_t used); /* for limits_saw */
static inline void limits_saw(enum limit_name name, uint64_t used)
{
    if (used > atomic_load_explicit(&limits_uses[name].most, memory_order_relaxed))
        limits_record(name, used);
}
/* Something was refused, cut or dropped because of it. */
static inline void limits_refused(enum limit_name name)
{
    atomic_fetch_add_explicit(&limits_uses[name].refused, 1, memory_order_relaxed);
}
