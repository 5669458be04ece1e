#include "journal/frame.h"

#include "base/crc32c.h"

static const uint8_t magic[8] = {'F', 'G', 'J', 'R', 'N', 'L', '1', '\n'};

/* The header with its checksum field zero, behind the place. */
static uint32_t head_crc(const uint8_t head[JOURNAL_FRAME_HEAD], uint64_t segment, uint32_t offset)
{
    static const uint8_t zero[4];
    uint8_t place[12];
    put_le64(place, segment);
    put_le32(place + 8, offset);
    uint32_t crc = crc32c(crc32c(0, place, sizeof place), head, 4);
    return crc32c(crc32c(crc, zero, sizeof zero), head + 8, JOURNAL_FRAME_HEAD - 8);
}

uint32_t frame_body_crc(uint32_t payload_crc, struct bytes meta)
{
    return meta.len ? crc32c(payload_crc, meta.at, meta.len) : payload_crc;
}

void frame_encode(uint8_t out[JOURNAL_FRAME_HEAD], const struct frame *f, uint64_t journal, uint64_t segment,
                  uint32_t offset)
{
    out[0] = FRAME_VERSION;
    out[1] = f->type;
    put_le16(out + 2, f->flags);
    put_le64(out + 8, journal);
    put_le64(out + 16, f->seq);
    put_le64(out + 24, f->synced);
    put_le64(out + 32, (uint64_t)f->wall_us);
    put_le32(out + 40, f->stream);
    put_le32(out + 44, f->body_len);
    put_le64(out + 48, f->stream_seq);
    put_le32(out + 56, f->body_crc);
    put_le32(out + 60, f->meta_len);
    put_le32(out + 4, head_crc(out, segment, offset));
}

bool frame_decode(struct frame *f, const uint8_t in[JOURNAL_FRAME_HEAD], uint64_t journal, uint64_t segment,
                  uint32_t offset)
{
    if (in[0] != FRAME_VERSION || get_le64(in + 8) != journal ||
        get_le32(in + 4) != head_crc(in, segment, offset))
        return false;
    *f = (struct frame){
        .type = in[1],
        .flags = (uint16_t)(in[2] | (in[3] << 8)),
        .seq = get_le64(in + 16),
        .synced = get_le64(in + 24),
        .wall_us = (int64_t)get_le64(in + 32),
        .stream = get_le32(in + 40),
        .body_len = get_le32(in + 44),
        .stream_seq = get_le64(in + 48),
        .body_crc = get_le32(in + 56),
        .meta_len = get_le32(in + 60),
    };
    /* What nothing of ours writes, although the checksum holds: somebody else's program, or an attacker's. */
    return f->type != 0 && f->seq != 0 && f->synced < f->seq && f->meta_len <= f->body_len;
}

bool frame_body_holds(const struct frame *f, const uint8_t *body)
{
    uint32_t payload = crc32c(0, body + f->meta_len, f->body_len - f->meta_len);
    return frame_body_crc(payload, bytes_of(body, f->meta_len)) == f->body_crc;
}

void segment_head_encode(uint8_t out[SEGMENT_HEAD], const struct segment_head *h, uint64_t journal)
{
    memset(out, 0, SEGMENT_HEAD);
    memcpy(out, magic, sizeof magic);
    put_le64(out + 8, journal);
    put_le64(out + 16, h->number);
    put_le64(out + 24, h->first_seq);
    put_le64(out + 32, h->synced);
    put_le64(out + 40, h->state.seq);
    put_le64(out + 48, h->state.segment);
    put_le32(out + 56, h->state.offset);
    put_le32(out + 60, h->bytes);
    put_le64(out + 64, (uint64_t)h->wall_us);
    put_le64(out + 72, (uint64_t)h->age_us);
    put_le32(out + SEGMENT_HEAD - 4, crc32c(0, out, SEGMENT_HEAD - 4));
}

bool segment_head_decode(struct segment_head *h, const uint8_t in[SEGMENT_HEAD], uint64_t journal)
{
    if (memcmp(in, magic, sizeof magic) != 0 || get_le64(in + 8) != journal ||
        get_le32(in + SEGMENT_HEAD - 4) != crc32c(0, in, SEGMENT_HEAD - 4))
        return false;
    *h = (struct segment_head){
        .number = get_le64(in + 16),
        .first_seq = get_le64(in + 24),
        .synced = get_le64(in + 32),
        .state = {.seq = get_le64(in + 40), .segment = get_le64(in + 48), .offset = get_le32(in + 56)},
        .bytes = get_le32(in + 60),
        .wall_us = (int64_t)get_le64(in + 64),
        .age_us = (int64_t)get_le64(in + 72),
    };
    return true;
}
