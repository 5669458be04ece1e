#include "net/http_conn.h"

static int hex(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* One character of `in` at *i, which moves on; -1: a bad escape. */
static int decode(struct bytes in, size_t *i)
{
    uint8_t c = in.at[(*i)++];
    if (c != '%')
        return c;
    if (in.len - *i < 2 || hex(in.at[*i]) < 0 || hex(in.at[*i + 1]) < 0)
        return -1;
    int v = hex(in.at[*i]) * 16 + hex(in.at[*i + 1]);
    *i += 2;
    return v;
}

bool http_unescape(struct buf *text, size_t from, size_t *len)
{
    struct bytes in = bytes_of(text->at + from, *len);
    size_t out = 0;
    for (size_t i = 0; i < in.len;) {
        int c = decode(in, &i);
        if (c <= 0)
            return false;
        text->at[from + out++] = (uint8_t)c;
    }
    *len = out;
    return true;
}

static bool decode_value(struct bytes value, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < value.len;) {
        bool plus = value.at[i] == '+';
        int c = decode(value, &i);
        if (c <= 0 || n + 1 >= cap)
            return false;
        out[n++] = plus ? ' ' : (char)c;
    }
    if (n >= cap)
        return false;
    out[n] = 0;
    return true;
}

bool http_query(struct bytes query, const char *key, char *out, size_t cap)
{
    size_t key_len = strlen(key);
    while (query.len) {
        const uint8_t *amp = memchr(query.at, '&', query.len);
        size_t n = amp ? (size_t)(amp - query.at) : query.len;
        struct bytes pair = bytes_of(query.at, n);
        query = bytes_from(query, amp ? n + 1 : n);
        if (!bytes_starts(pair, key) || (pair.len > key_len && pair.at[key_len] != '='))
            continue;
        return decode_value(bytes_from(pair, pair.len > key_len ? key_len + 1 : key_len), out, cap);
    }
    return false;
}
