#include "opcua/text.h"

#include "base/base64.h"

#include <inttypes.h>
#include <time.h>

/* ---- reading ---- */

static bool number(struct bytes text, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;
    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return false;
        v = v * 10 + (text.at[i] - '0');
    }
    *out = (uint32_t)v;
    return v <= max;
}

/* What is in front of the next `c`, which is passed; false: there is none. */
static bool part(struct bytes *text, char c, struct bytes *out)
{
    const uint8_t *at = text->len ? memchr(text->at, c, text->len) : NULL;
    if (!at)
        return false;
    *out = bytes_of(text->at, (size_t)(at - text->at));
    *text = bytes_from(*text, out->len + 1);
    return true;
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ua_guid_parse(struct ua_guid *g, struct bytes t)
{
    uint8_t b[16];
    size_t n = 0;
    if (t.len != 36)
        return false;
    for (size_t i = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (t.at[i++] != '-')
                return false;
            continue;
        }
        int high = digit(t.at[i]), low = digit(t.at[i + 1]);
        if (high < 0 || low < 0)
            return false;
        b[n++] = (uint8_t)(high << 4 | low);
        i += 2;
    }
    g->a = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    g->b = (uint16_t)(b[4] << 8 | b[5]);
    g->c = (uint16_t)(b[6] << 8 | b[7]);
    memcpy(g->d, b + 8, 8);
    return true;
}

static bool identifier(struct ua_node_id *id, struct bytes t, struct arena *arena)
{
    if (t.len < 2 || t.at[1] != '=')
        return false;
    struct bytes value = bytes_from(t, 2);
    switch (t.at[0]) {
    case 'i':
        id->kind = UA_ID_NUMBER;
        return number(value, UINT32_MAX, &id->number);
    case 's':
        id->kind = UA_ID_STRING;
        id->text = value;
        return utf8_valid(value, false);
    case 'g':
        id->kind = UA_ID_GUID;
        return ua_guid_parse(&id->guid, value);
    case 'b': {
        id->kind = UA_ID_BYTES;
        uint8_t *copy = arena_take(arena, value.len + 1);
        size_t n = 0;
        if (!copy || !base64_read(value, copy, value.len + 1, &n))
            return false;
        id->text = bytes_of(copy, n);
        return true;
    }
    default:
        return false;
    }
}

static enum code not_one(struct bytes text, struct fault *why)
{
    char said[80];
    return FAIL(why, CODE_MALFORMED, 0,
                "'%s' is no node: write i=2258, ns=2;s=Temp, or nsu=http://example.org/;s=Temp",
                bytes_escape(text, said, sizeof said));
}

enum code ua_node_id_parse(struct ua_node_id *id, struct bytes text, struct arena *arena, struct fault *why)
{
    struct bytes rest = text, head;
    uint32_t ns = 0;
    *id = (struct ua_node_id){ 0 };
    if (bytes_starts(text, "ns=") && (!part(&rest, ';', &head) || !number(bytes_from(head, 3), UINT16_MAX, &ns)))
        return not_one(text, why);
    if (!identifier(id, rest, arena))
        return not_one(text, why);
    id->ns = (uint16_t)ns;
    return CODE_OK;
}

enum code ua_expanded_parse(struct ua_expanded_node_id *id, struct bytes text, struct arena *arena, struct fault *why)
{
    struct bytes rest = text, head;
    *id = (struct ua_expanded_node_id){ 0 };
    if (bytes_starts(rest, "svr=") && (!part(&rest, ';', &head) || !number(bytes_from(head, 4), UINT32_MAX, &id->server)))
        return not_one(text, why);
    if (bytes_starts(rest, "nsu=")) {
        if (!part(&rest, ';', &head) || !identifier(&id->id, rest, arena))
            return not_one(text, why);
        id->uri = bytes_from(head, 4);
        return CODE_OK;
    }
    /* http://example.org/#s=Temp: the identifier is behind the last '#' that one can stand behind. */
    for (size_t i = rest.len; i-- > 1;)
        if (rest.at[i] == '#' && memchr(rest.at, ':', i) && identifier(&id->id, bytes_from(rest, i + 1), arena)) {
            id->uri = bytes_of(rest.at, i);
            return CODE_OK;
        }
    return ua_node_id_parse(&id->id, rest, arena, why);
}

/* ---- writing ---- */

void ua_guid_format(struct buf *b, const struct ua_guid *g)
{
    buf_printf(b, "%08" PRIX32 "-%04X-%04X-%02X%02X-", g->a, g->b, g->c, g->d[0], g->d[1]);
    for (int i = 2; i < 8; i++)
        buf_printf(b, "%02X", g->d[i]);
}

static void format_identifier(struct buf *b, const struct ua_node_id *id)
{
    switch (id->kind) {
    case UA_ID_NUMBER:
        buf_printf(b, "i=%" PRIu32, id->number);
        return;
    case UA_ID_STRING:
        buf_add(b, "s=", 2);
        buf_add_bytes(b, id->text);
        return;
    case UA_ID_GUID:
        buf_add(b, "g=", 2);
        ua_guid_format(b, &id->guid);
        return;
    default:
        buf_add(b, "b=", 2);
        base64_put(b, id->text);
    }
}

void ua_node_id_format(struct buf *b, const struct ua_node_id *id)
{
    if (id->ns)
        buf_printf(b, "ns=%u;", id->ns);
    format_identifier(b, id);
}

void ua_expanded_format(struct buf *b, const struct ua_expanded_node_id *id)
{
    if (id->server)
        buf_printf(b, "svr=%" PRIu32 ";", id->server);
    if (!id->uri.at) {
        ua_node_id_format(b, &id->id);
        return;
    }
    buf_add(b, "nsu=", 4);
    buf_add_bytes(b, id->uri);
    buf_u8(b, ';');
    format_identifier(b, &id->id);
}

void ua_time_format(struct buf *b, ua_time t)
{
    int64_t us = ua_time_us(t);
    int64_t seconds = us / 1000000 - (us % 1000000 < 0);
    bool held = ua_time_from_us(us) > t || t - ua_time_from_us(us) >= 10;
    int ticks = (int)((us - seconds * 1000000) * 10 + (held ? 0 : t - ua_time_from_us(us)));
    time_t when = (time_t)seconds;
    struct tm tm;
    gmtime_r(&when, &tm);
    buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
               tm.tm_sec);
    int digits = 7;
    while (digits > 0 && ticks % 10 == 0) {
        ticks /= 10;
        digits--;
    }
    if (digits)
        buf_printf(b, ".%0*d", digits, ticks);
    buf_u8(b, 'Z');
}
