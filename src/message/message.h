/* message.h - what travels: immutable, counted, parsed once at the border.
 *
 * One allocation holds the struct and its encoded form, which is also what lies on disk and what later
 * stations read in place:
 *
 *   offset 0   u8   format (1)
 *          1   u8   published QoS (bits 0-1), retain (bit 2), has expiry (bit 3), payload is UTF-8 text (bit 4, as told
 *                   by the publisher)
 *          2   u16  topic length          (little-endian, like everything of ours on disk)
 *          4   u16  principal length
 *          6   u16  source length
 *          8   u32  properties length
 *         12   u32  expiry interval in seconds at ingress (0 without bit 3)
 *         16        topic, principal, source, properties, payload; the payload is the rest
 *   behind it 64 readable zero bytes, which are not part of it (vectorised parsers read ahead)
 *
 * Properties are MQTT 5 wire bytes of those a server forwards unchanged (payload format, content type,
 * response topic, correlation data, user properties), in the publisher's order.
 *
 * Thread: any; the count is atomic. hold/drop once per message and loop, not per delivery.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

#include <stdatomic.h>

enum { MESSAGE_HEAD = 16, MESSAGE_PAD = 64 };
enum { MESSAGE_QOS = 3, MESSAGE_RETAIN = 4, MESSAGE_EXPIRES = 8, MESSAGE_TEXT = 16 };

struct message {
    _Atomic uint32_t refs;
    uint8_t          qos;       /* as published                                                   */
    bool             retain;
    uint32_t         expiry_s;  /* interval at ingress; 0 = never, see expires_us                 */
    int64_t          expires_us;/* loop (monotonic) time, 0 = never                               */
    int64_t          wall_us;   /* enqueued                                                       */
    struct bytes     topic, principal, source, props, payload; /* views into encoded              */
    struct bytes     encoded;
};

struct message_parts {
    uint8_t      qos;
    bool         retain, expires, text;
    uint32_t     expiry_s;
    int64_t      wall_us, now_us;  /* for expires_us */
    struct bytes topic, principal, source, props, payload;
};
/* With one reference, the caller's. NULL: no memory, or a part is longer than its length field holds. */
struct message *message_new(const struct message_parts *);
/* From disk: checks every length. The bytes are copied. `age_us`: how long it has existed (its expiry counts
 * on). CODE_DAMAGED, CODE_NOMEM. */
FG_CHECK enum code message_decode(struct message **out, struct bytes encoded, int64_t wall_us,
                                  int64_t now_us, int64_t age_us, struct fault *why);
/* Only the views, nothing allocated: `out` must not be held or dropped. */
FG_CHECK enum code message_view(struct message *out, struct bytes encoded, int64_t wall_us,
                                struct fault *why);

static inline struct message *message_hold(struct message *m)
{
    atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
    return m;
}
void message_drop(struct message *m); /* NULL is fine */

/* The key that chooses a partition: the user property "partition-key" if there, else device/module or
 * principal and source. The key is a view or written into scratch. */
struct bytes message_partition_key(const struct message *m, uint8_t *scratch, size_t cap);

/* Heap bytes of all live messages, for the budget. */
uint64_t message_bytes_in_use(void);
