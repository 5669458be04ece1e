/* buf.h - a growing run of bytes we own, with a ceiling. One owner, not thread-safe.
 *
 *   0        from            len            cap
 *   | taken  | waiting bytes | free         |
 *
 * A failed add marks the buffer `bad` and leaves the contents as they were; a writer of many small pieces
 * checks once at the end. Memory is less than four times the most that has waited at once.
 */
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

struct buf {
    uint8_t *at;
    size_t   from, len, cap; /* waiting bytes are at[from..len) */
    size_t   max;            /* 0 = 1 GiB */
    bool     bad;
};

static inline size_t buf_size(const struct buf *b)
{
    return b->len - b->from;
}

static inline struct bytes buf_bytes(const struct buf *b)
{
    return bytes_of(b->at ? b->at + b->from : NULL, b->len - b->from); /* no arithmetic on NULL */
}

/* Room for `more` bytes behind len; false sets bad. */
bool  buf_room(struct buf *b, size_t more);
/* Points to `n` fresh bytes behind len and counts them in, or NULL. */
void *buf_grow(struct buf *b, size_t n);
void  buf_add(struct buf *b, const void *at, size_t n);
void  buf_add_bytes(struct buf *b, struct bytes more);
void  buf_u8(struct buf *b, uint8_t v);
void  buf_be16(struct buf *b, uint16_t v);
void  buf_be32(struct buf *b, uint32_t v);
void  buf_le16(struct buf *b, uint16_t v);
void  buf_le32(struct buf *b, uint32_t v);
void  buf_le64(struct buf *b, uint64_t v);
void  buf_varint(struct buf *b, uint64_t v); /* LEB128, 7 bits a byte, low first */
/* u32 little-endian length, then the bytes. */
void  buf_le_blob(struct buf *b, struct bytes v);
void  buf_printf(struct buf *b, const char *fmt, ...) FG_PRINTF(2, 3);
/* `text` as a JSON string with its quotes, control characters (C1 too) as \u00HH; bytes that are not UTF-8
 * become U+FFFD. */
void  buf_json(struct buf *b, struct bytes text);
/* Drops n bytes from the front; memory is kept unless `b` became empty and large. */
void  buf_take(struct buf *b, size_t n);
void  buf_reset(struct buf *b); /* empty, memory kept */
void  buf_clear(struct buf *b); /* memory given back  */
