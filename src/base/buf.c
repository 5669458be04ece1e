#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

enum { FIRST = 256, KEEP = 64 * 1024 };

bool buf_room(struct buf *b, size_t more)
{
    if (b->bad)
        return false;
    size_t held = b->len - b->from;
    size_t max = b->max ? b->max : (size_t)1 << 30;
    if (more > max || held > max - more) {
        b->bad = true;
        return false;
    }
    if (b->cap - b->len >= more)
        return true;
    /* Moving costs no more than was taken since the last move. */
    if (b->from >= held && b->cap >= held + more && b->cap) {
        memmove(b->at, b->at + b->from, held);
        b->from = 0;
        b->len = held;
        return true;
    }
    size_t cap = b->cap ? b->cap : FIRST;
    /* A queue that stays long gets twice its length, or every few bytes taken would move all of it. */
    size_t want = b->from ? 2 * (held + more) : held + more;
    while (cap < want)
        cap *= 2;
    uint8_t *fresh = mem_alloc(cap);
    if (!fresh) {
        b->bad = true;
        return false;
    }
    if (held)
        memcpy(fresh, b->at + b->from, held);
    mem_free(b->at);
    b->at = fresh;
    b->cap = cap;
    b->from = 0;
    b->len = held;
    return true;
}

void *buf_grow(struct buf *b, size_t n)
{
    /* Nothing asked of an empty buffer: there is no place to point to, but the writers ask for room first. */
    if (!buf_room(b, n ? n : 1))
        return NULL;
    void *p = b->at + b->len;
    b->len += n;
    return p;
}

void buf_add(struct buf *b, const void *at, size_t n)
{
    if (n == 0)
        return;
    void *p = buf_grow(b, n);
    if (p)
        memcpy(p, at, n);
}

void buf_add_bytes(struct buf *b, struct bytes more)
{
    buf_add(b, more.at, more.len);
}

void buf_u8(struct buf *b, uint8_t v)
{
    buf_add(b, &v, 1);
}

void buf_be16(struct buf *b, uint16_t v)
{
    uint8_t w[2] = { (uint8_t)(v >> 8), (uint8_t)v };
    buf_add(b, w, 2);
}

void buf_be32(struct buf *b, uint32_t v)
{
    uint8_t w[4] = { (uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v };
    buf_add(b, w, 4);
}

static void add_le(struct buf *b, uint64_t v, size_t n)
{
    uint8_t w[8];
    for (size_t i = 0; i < n; i++)
        w[i] = (uint8_t)(v >> (8 * i));
    buf_add(b, w, n);
}

void buf_le16(struct buf *b, uint16_t v)
{
    add_le(b, v, 2);
}

void buf_le32(struct buf *b, uint32_t v)
{
    add_le(b, v, 4);
}

void buf_le64(struct buf *b, uint64_t v)
{
    add_le(b, v, 8);
}

void buf_varint(struct buf *b, uint64_t v)
{
    uint8_t w[10];
    size_t n = 0;
    do {
        w[n] = (uint8_t)(v & 0x7f) | (v > 0x7f ? 0x80 : 0);
        v >>= 7;
        n++;
    } while (v);
    buf_add(b, w, n);
}

void buf_le_blob(struct buf *b, struct bytes v)
{
    buf_le32(b, (uint32_t)v.len);
    buf_add_bytes(b, v);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    /* One more for the NUL that vsnprintf insists on; it is not counted in. */
    if (n >= 0 && buf_room(b, (size_t)n + 1)) {
        (void)vsnprintf((char *)b->at + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

static size_t utf8_len(const uint8_t *p, size_t left)
{
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    return n <= left && utf8_valid(bytes_of(p, n), true) ? n : 0;
}

/* How many bytes from here on stand in JSON as they are: nearly all, of nearly all texts. */
static size_t plain_run(const uint8_t *at, size_t n)
{
    size_t i = 0;
    while (i < n && at[i] >= 0x20 && at[i] < 0x7f && at[i] != '"' && at[i] != '\\')
        i++;
    return i;
}

void buf_json(struct buf *b, struct bytes text)
{
    buf_u8(b, '"');
    for (size_t i = 0; i < text.len;) {
        size_t run = plain_run(text.at + i, text.len - i);
        buf_add(b, text.at + i, run);
        i += run;
        if (i == text.len)
            break;
        uint8_t c = text.at[i];
        size_t n = utf8_len(text.at + i, text.len - i);
        if (n == 0)
            buf_add(b, "\xef\xbf\xbd", 3);
        else if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            buf_printf(b, "\\u%04x", c);
        else if (c == 0xc2 && text.at[i + 1] < 0xa0) /* C1 controls steer terminals */
            buf_printf(b, "\\u%04x", text.at[i + 1]);
        else
            buf_add(b, text.at + i, n);
        i += n ? n : 1;
    }
    buf_u8(b, '"');
}

void buf_take(struct buf *b, size_t n)
{
    FG_ASSERT(n <= b->len - b->from);
    b->from += n;
    if (b->from == b->len) {
        if (b->cap > KEEP)
            buf_clear(b);
        else
            b->from = b->len = 0;
    }
}

void buf_reset(struct buf *b)
{
    b->from = b->len = 0;
    b->bad = false;
}

void buf_clear(struct buf *b)
{
    mem_free(b->at);
    b->at = NULL;
    b->from = b->len = b->cap = 0;
    b->bad = false;
}
