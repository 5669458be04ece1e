/* wire.h - reads fixed-layout bytes without ever passing their end. `bad` sticks: a decoder reads all
 * its fields and checks once. A read past the end yields 0 or an empty view. Pure, no allocation. */
#pragma once

#include "base/bytes.h"

struct wire {
    const uint8_t *at, *end;
    const uint8_t *start;
    bool           bad;
};

static inline struct wire wire_of(struct bytes b)
{
    /* Nothing may be added to NULL, not even 0. */
    return (struct wire){ b.at, b.len ? b.at + b.len : b.at, b.at, false };
}

static inline size_t wire_left(const struct wire *w)
{
    return (size_t)(w->end - w->at);
}

static inline uint64_t wire_pos(const struct wire *w)
{
    return (uint64_t)(w->at - w->start);
}

static inline const uint8_t *wire_skip(struct wire *w, size_t n)
{
    if (w->bad || wire_left(w) < n) {
        w->bad = true;
        return NULL;
    }
    const uint8_t *p = w->at;
    if (n)
        w->at += n;
    return p;
}

static inline struct bytes wire_bytes(struct wire *w, size_t n)
{
    const uint8_t *p = wire_skip(w, n);
    return p ? bytes_of(p, n) : BYTES_NONE;
}

static inline uint8_t wire_u8(struct wire *w)
{
    const uint8_t *p = wire_skip(w, 1);
    return p ? p[0] : 0;
}

static inline uint16_t wire_be16(struct wire *w)
{
    const uint8_t *p = wire_skip(w, 2);
    return p ? (uint16_t)((p[0] << 8) | p[1]) : 0;
}

static inline uint32_t wire_be32(struct wire *w)
{
    const uint8_t *p = wire_skip(w, 4);
    return p ? ((uint32_t)p[0] << 24) | ((uint32_t)p[1] << 16) | ((uint32_t)p[2] << 8) | p[3] : 0;
}

static inline uint64_t wire_le(struct wire *w, size_t n)
{
    const uint8_t *p = wire_skip(w, n);
    uint64_t v = 0;
    for (size_t i = 0; p && i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline uint16_t wire_le16(struct wire *w) { return (uint16_t)wire_le(w, 2); }
static inline uint32_t wire_le32(struct wire *w) { return (uint32_t)wire_le(w, 4); }
static inline uint64_t wire_le64(struct wire *w) { return wire_le(w, 8); }

/* LEB128 as buf_varint writes it; more than 64 bits is bad. */
static inline uint64_t wire_varint(struct wire *w)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t c = wire_u8(w);
        if (w->bad)
            return 0;
        if (shift == 63 && c > 1)
            break;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return v;
    }
    w->bad = true;
    return 0;
}

/* u32 little-endian length, then the bytes (buf_le_blob). */
static inline struct bytes wire_le_blob(struct wire *w)
{
    uint32_t n = wire_le32(w);
    return wire_bytes(w, n);
}
