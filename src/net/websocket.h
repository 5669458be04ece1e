/* websocket.h - RFC 6455 as a filter below a protocol of bytes: MQTT over WebSocket [MQTT-6.0.0-1..4].
 *
 * The protocol does not notice: frames in, the bytes of their payloads upwards, however they were cut; what it writes in a
 * turn leaves as one binary frame, or as one for each of its messages when it says where they end. No extension is offered. An idle connection keeps nothing but a struct of 100 bytes.
 *
 * Refusals, each with a log line and a counter:
 *   handshake  400 malformed, no subprotocol of ours; 403 Origin; 405; 426 not an upgrade, version not 13   FG1101
 *   frames     1002 reserved bits or opcodes, not masked, a control frame that is long or cut, a length
 *              written too long, a continuation of nothing; 1003 text; 1007 a reason that is not UTF-8;
 *              1009 a frame above frame_bytes, a message of more than 1,000 frames                          FG1102
 *
 * Thread: the connection's loop; websocket_stats any.
 */
#pragma once

#include "net/http.h"

enum { WEBSOCKET_FRAGMENTS_MAX = 1000, WEBSOCKET_CONTROL_MAX = 125 /* RFC 6455, 5.5 */ };

/* Borrowed for the call. */
struct websocket_rules {
    const char *const *protocols; /* subprotocols we speak, NULL at the end; the first that the client names is taken */
    const char *const *origins;   /* "https://plant.example": pages from elsewhere that may connect; "*": all */
    size_t             origin_count;
    uint32_t           frame_bytes;
    /* How large the protocol's message is that begins with `front`, at most 8 bytes; 0: unknown. Each message then leaves
     * in a frame of its own. A client need not care [MQTT-6.0.0-2]; Paho C does: it waits for its socket while a second
     * packet of the same frame lies in its buffer. NULL: what leaves in a turn is one frame. */
    size_t (*message)(struct bytes front);
};

/* Judges the opening handshake of a request for our resource. NULL: refused and answered. Else the connection, with the
 * filter on it: give it events or conn_move it before the handler returns. */
struct conn *websocket_accept(struct http_exchange *, const struct http_request *, const struct websocket_rules *);

/* The client's side, on a connection that was just dialled: asks for `path` with this subprotocol; on_open comes when the
 * server has agreed. frame_bytes: the largest frame it may send. CODE_NOMEM, CODE_USAGE. */
FG_CHECK enum code websocket_dial(struct conn *, const char *host, uint16_t port, const char *path, const char *protocol,
                                  uint32_t frame_bytes, struct fault *why);

enum websocket_refusal {
    WEBSOCKET_MALFORMED, WEBSOCKET_NOT_UPGRADE, WEBSOCKET_VERSION, WEBSOCKET_PROTOCOL, WEBSOCKET_ORIGIN,
    WEBSOCKET_REFUSALS
};
/* As servers, all of this process. */
struct websocket_stats {
    uint64_t accepted, refused[WEBSOCKET_REFUSALS];
    uint64_t closed_protocol, closed_text, closed_reason, closed_too_big; /* 1002, 1003, 1007, 1009 */
};
void websocket_stats(struct websocket_stats *);
