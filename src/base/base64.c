#include "base/base64.h"

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_put(struct buf *out, struct bytes data)
{
    uint8_t *to = buf_grow(out, (data.len + 2) / 3 * 4);
    if (!to)
        return;
    for (size_t i = 0; i < data.len; i += 3) {
        size_t left = data.len - i;
        uint32_t v = (uint32_t)data.at[i] << 16;
        v |= left > 1 ? (uint32_t)data.at[i + 1] << 8 : 0;
        v |= left > 2 ? data.at[i + 2] : 0;
        *to++ = (uint8_t)letters[v >> 18];
        *to++ = (uint8_t)letters[v >> 12 & 63];
        *to++ = left > 1 ? (uint8_t)letters[v >> 6 & 63] : '=';
        *to++ = left > 2 ? (uint8_t)letters[v & 63] : '=';
    }
}

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_read(struct bytes in, uint8_t *out, size_t cap, size_t *len)
{
    size_t pad = 0;
    while (pad < 2 && pad < in.len && in.at[in.len - 1 - pad] == '=')
        pad++;
    if (in.len % 4 || in.len / 4 * 3 - pad > cap)
        return false;
    *len = in.len / 4 * 3 - pad;
    uint32_t v = 0;
    size_t n = 0;
    for (size_t i = 0; i < in.len; i++) {
        int digit = i >= in.len - pad ? 0 : value_of(in.at[i]);
        if (digit < 0)
            return false;
        v = v << 6 | (uint32_t)digit;
        if (i % 4 != 3)
            continue;
        for (int shift = 16; shift >= 0; shift -= 8) {
            uint8_t byte = (uint8_t)(v >> shift);
            if (n < *len)
                out[n++] = byte;
            else if (byte)
                return false; /* bits behind the end: another text for the same bytes */
        }
        v = 0;
    }
    return true;
}
