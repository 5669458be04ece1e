/* websocket_frame.h - the head of a frame and its mask [RFC 6455, 5.2]. Pure. Private to src/net/websocket*.c.
 *
 *   | FIN RSV OP | M len7 | len16 or len64 | mask, when M |  payload
 */
#pragma once

#include "base/bytes.h"

enum ws_opcode { WS_CONTINUE = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
enum { WS_HEAD_MAX = 14, WS_CONTROL_MAX = 125 };

struct ws_head {
    bool     fin, masked, minimal; /* minimal: the length is written as short as it can be [RFC 6455, 5.2] */
    uint8_t  reserved;             /* RSV1-3, as bits 4, 2, 1 */
    uint8_t  opcode;
    uint8_t  mask[4];
    uint64_t bytes;                /* of payload */
};

static inline bool ws_is_control(unsigned opcode) { return opcode & 8; }

/* How many bytes a head has that begins with these `n`; as long as it is larger than n, more are needed. */
size_t ws_head_size(const uint8_t *at, size_t n);
void   ws_head_decode(const uint8_t *at, struct ws_head *out);
/* A frame that is whole (FIN). `mask` NULL: not masked. Returns the size, at most WS_HEAD_MAX. */
size_t ws_head_encode(uint8_t *to, enum ws_opcode opcode, uint64_t bytes, const uint8_t mask[4]);
/* Masks or unmasks `n` bytes; `at` is how far into the payload they begin. The ranges are the same or do not overlap. */
void ws_mask(uint8_t *to, const uint8_t *from, size_t n, const uint8_t mask[4], uint64_t at);
