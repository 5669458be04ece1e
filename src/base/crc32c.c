#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

static uint32_t       table[8][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = (c & 1) ? (c >> 1) ^ 0x82f63b78u : c >> 1;
        table[0][i] = c;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
}

uint32_t crc32c_portable(uint32_t crc, const void *at, size_t n)
{
    (void)pthread_once(&once, fill);
    const uint8_t *p = at;
    crc = ~crc;
    for (; n >= 8; n -= 8, p += 8) { /* eight table look-ups a step, no dependency between them */
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + 4, 4);
        a ^= crc;
        crc = table[7][a & 0xff] ^ table[6][(a >> 8) & 0xff] ^ table[5][(a >> 16) & 0xff] ^ table[4][a >> 24] ^
              table[3][b & 0xff] ^ table[2][(b >> 8) & 0xff] ^ table[1][(b >> 16) & 0xff] ^ table[0][b >> 24];
    }
    while (n--)
        crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *at, size_t n)
{
    const uint8_t *p = at;
    uint64_t c = ~crc;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t w;
        memcpy(&w, p, 8);
        c = _mm_crc32_u64(c, w);
    }
    uint32_t d = (uint32_t)c;
    while (n--)
        d = _mm_crc32_u8(d, *p++);
    return ~d;
}

uint32_t crc32c(uint32_t crc, const void *at, size_t n)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, at, n) : crc32c_portable(crc, at, n);
}
#else
uint32_t crc32c(uint32_t crc, const void *at, size_t n)
{
    return crc32c_portable(crc, at, n);
}
#endif
