#include "net/websocket_frame.h"

size_t ws_head_size(const uint8_t *at, size_t n)
{
    if (n < 2)
        return 2;
    size_t len7 = at[1] & 0x7f;
    return 2 + (len7 == 126 ? 2 : len7 == 127 ? 8 : 0) + (at[1] & 0x80 ? 4 : 0);
}

void ws_head_decode(const uint8_t *at, struct ws_head *out)
{
    size_t len7 = at[1] & 0x7f, wide = len7 == 126 ? 2 : len7 == 127 ? 8 : 0;
    uint64_t bytes = wide ? 0 : len7;
    for (size_t i = 0; i < wide; i++)
        bytes = bytes << 8 | at[2 + i];
    *out = (struct ws_head){
        .fin = at[0] & 0x80,
        .masked = at[1] & 0x80,
        .minimal = wide == 0 || (wide == 2 ? bytes > 125 : bytes > UINT16_MAX && bytes <= INT64_MAX),
        .reserved = at[0] >> 4 & 7,
        .opcode = at[0] & 15,
        .bytes = bytes,
    };
    if (out->masked)
        memcpy(out->mask, at + 2 + wide, 4);
}

size_t ws_head_encode(uint8_t *to, enum ws_opcode opcode, uint64_t bytes, const uint8_t mask[4])
{
    size_t wide = bytes <= 125 ? 0 : bytes <= UINT16_MAX ? 2 : 8, n = 2;
    to[0] = (uint8_t)(0x80 | opcode);
    to[1] = (uint8_t)((mask ? 0x80 : 0) | (wide == 0 ? bytes : wide == 2 ? 126 : 127));
    while (wide)
        to[n++] = (uint8_t)(bytes >> (8 * --wide));
    if (mask) {
        memcpy(to + n, mask, 4);
        n += 4;
    }
    return n;
}

void ws_mask(uint8_t *to, const uint8_t *from, size_t n, const uint8_t mask[4], uint64_t at)
{
    uint8_t turned[8];
    uint64_t key;
    for (size_t i = 0; i < sizeof turned; i++)
        turned[i] = mask[(at + i) & 3];
    memcpy(&key, turned, sizeof key);
    size_t i = 0;
    /* 32 bytes a round: the compiler makes vector instructions of it. */
    for (; n - i >= 4 * sizeof key; i += 4 * sizeof key) {
        uint64_t w[4];
        memcpy(w, from + i, sizeof w);
        for (int k = 0; k < 4; k++)
            w[k] ^= key;
        memcpy(to + i, w, sizeof w);
    }
    for (; n - i >= sizeof key; i += sizeof key) {
        uint64_t w;
        memcpy(&w, from + i, sizeof w);
        w ^= key;
        memcpy(to + i, &w, sizeof w);
    }
    for (; i < n; i++)
        to[i] = from[i] ^ turned[i & 7];
}
