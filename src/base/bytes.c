#include "base/bytes.h"

#include <stdio.h>

/* Length of the well-formed sequence at p (Unicode table 3-7), 0 if there is none. */
static size_t utf8_step(const uint8_t *p, size_t left)
{
    uint8_t c = p[0];
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    size_t need = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (left < need)
        return 0;
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return need;
}

bool utf8_valid(struct bytes text, bool allow_nul)
{
    for (size_t i = 0; i < text.len;) {
        if (text.at[i] == 0 && !allow_nul)
            return false;
        /* Telemetry topics are ASCII: eight at a time when no byte has its top bit and none is 0. */
        if (text.len - i >= 8) {
            uint64_t w;
            memcpy(&w, text.at + i, 8);
            if (!(w & 0x8080808080808080u) && !((w - 0x0101010101010101u) & ~w & 0x8080808080808080u)) {
                i += 8;
                continue;
            }
        }
        size_t step = utf8_step(text.at + i, text.len - i);
        if (!step)
            return false;
        i += step;
    }
    return true;
}

bool utf8_steers(const uint8_t *at, size_t step)
{
    if (step == 1)
        return at[0] < 0x20 || at[0] == 0x7f;
    if (step == 2)
        return at[0] == 0xc2 && at[1] < 0xa0; /* C1: U+0080 .. U+009F */
    if (step != 3 || at[0] != 0xe2)
        return false;
    return at[1] == 0x80   ? at[2] == 0x8e || at[2] == 0x8f || (at[2] >= 0xa8 && at[2] <= 0xae) /* U+200E .. U+202E */
           : at[1] == 0x81 ? at[2] >= 0xa6 && at[2] <= 0xa9                                     /* U+2066 .. U+2069 */
                           : false;
}

/* `special`: characters below 0x80 that are escaped besides control characters. */
static char *escape(struct bytes b, const char *special, char *out, size_t cap)
{
    size_t n = 0, cut = 0; /* cut: the longest beginning that leaves room for ".." */
    for (size_t i = 0; i < b.len;) {
        uint8_t c = b.at[i];
        size_t step = utf8_step(b.at + i, b.len - i);
        bool plain = step && !utf8_steers(b.at + i, step) && (step > 1 || !strchr(special, c));
        size_t want = plain ? step : 4;
        if (n + want + 1 > cap) {
            n = cut;
            if (cap >= 3) {
                memcpy(out + n, "..", 2);
                n += 2;
            }
            break;
        }
        if (plain)
            memcpy(out + n, b.at + i, step);
        else
            (void)snprintf(out + n, 5, "\\x%02x", c);
        i += plain ? step : 1;
        n += want;
        if (n + 3 <= cap)
            cut = n;
    }
    if (cap)
        out[n] = 0;
    return out;
}

char *bytes_escape(struct bytes b, char *out, size_t cap)
{
    return escape(b, "\"\\", out, cap);
}

char *bytes_plain(struct bytes b, char *out, size_t cap)
{
    return escape(b, "", out, cap);
}
