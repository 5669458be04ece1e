/* frame.h - the bytes of frames and of segment headers. Pure: no I/O, no memory, any thread.
 *
 * A header's checksum also covers the place it was written to (segment number, offset). So a sector that
 * landed in the wrong place, a frame left over from elsewhere, or a payload that imitates a frame is never
 * taken for one. The body's checksum runs over the payload first and then the meta part: the payload's share
 * can be computed outside the journal's lock.
 *
 * Segment header, 128 bytes, little-endian, in one disk sector:
 *    0 u8[8] "FGJRNL1\n" · 8 u64 journal id · 16 u64 segment number
 *   24 u64 sequence of its first frame, 0 while unused (the first write into it brings the header again)
 *   32 u64 synced: highest sequence known durable when the header was written
 *   40 u64 sequence, 48 u64 segment, 56 u32 offset: where the last complete, durable round of state begins,
 *      all 0 = at the beginning of the log
 *   60 u32 bytes of the segment file · 64 i64 wall time, us · 72 i64 age of the journal, us (retention.c)
 *   80 zeroes · 124 u32 CRC-32C of bytes 0..123
 */
#pragma once

#include "base/bytes.h"

#include "journal/journal.h"

enum { SEGMENT_HEAD = 128, FRAME_VERSION = 1, MOVED_META = 16, STATE_END_META = 32 };
/* Set by the journal on a frame that continues the batch of the one before. */
enum { RECORD_CONTINUES = 0x8000 };

/* Where a record lies, or where state begins. */
struct place {
    uint64_t seq, segment;
    uint32_t offset;
};

struct frame {
    uint8_t  type;
    uint16_t flags;
    uint64_t seq, synced;
    int64_t  wall_us;
    uint32_t stream; /* partition + 1, or 0 */
    uint64_t stream_seq;
    uint32_t body_len, meta_len, body_crc;
};

struct segment_head {
    uint64_t     number, first_seq, synced;
    struct place state;
    uint32_t     bytes;
    int64_t      wall_us, age_us;
};

/* Of the whole frame with its padding. */
static inline uint64_t frame_bytes(uint32_t body_len)
{
    return JOURNAL_FRAME_HEAD + (((uint64_t)body_len + 7) & ~(uint64_t)7);
}

uint32_t frame_body_crc(uint32_t payload_crc, struct bytes meta);
void     frame_encode(uint8_t out[JOURNAL_FRAME_HEAD], const struct frame *, uint64_t journal, uint64_t segment,
                      uint32_t offset);
/* False: there is no frame of this journal at this place. Does not look at the body. */
bool     frame_decode(struct frame *out, const uint8_t in[JOURNAL_FRAME_HEAD], uint64_t journal, uint64_t segment,
                      uint32_t offset);
bool     frame_body_holds(const struct frame *, const uint8_t *body);

void segment_head_encode(uint8_t out[SEGMENT_HEAD], const struct segment_head *, uint64_t journal);
bool segment_head_decode(struct segment_head *out, const uint8_t in[SEGMENT_HEAD], uint64_t journal);

static inline void put_le16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
}

static inline void put_le32(uint8_t *at, uint32_t v)
{
    put_le16(at, (uint16_t)v);
    put_le16(at + 2, (uint16_t)(v >> 16));
}

static inline void put_le64(uint8_t *at, uint64_t v)
{
    put_le32(at, (uint32_t)v);
    put_le32(at + 4, (uint32_t)(v >> 32));
}

static inline uint32_t get_le32(const uint8_t *at)
{
    return at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) | ((uint32_t)at[3] << 24);
}

static inline uint64_t get_le64(const uint8_t *at)
{
    return get_le32(at) | ((uint64_t)get_le32(at + 4) << 32);
}
