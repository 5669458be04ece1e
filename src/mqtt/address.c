#include "mqtt/address.h"

#include "base/values.h"
#include "net/websocket.h"

#include <stdio.h>

static const struct {
    const char *name;
    uint16_t port;
} schemes[] = {[MQTT_TCP] = {"mqtt", 1883},
               [MQTT_TLS] = {"mqtts", 8883},
               [MQTT_WS] = {"ws", 80},
               [MQTT_WSS] = {"wss", 443}};

uint16_t mqtt_scheme_port(enum mqtt_scheme s)
{
    return schemes[s].port;
}

const char *mqtt_scheme_name(enum mqtt_scheme s)
{
    return schemes[s].name;
}

/* ---- parsing ---- */

static struct bytes head(struct bytes b, size_t n)
{
    return bytes_of(b.at, n);
}

/* The place of the first (or last) `c`, or b.len. */
static size_t find(struct bytes b, char c)
{
    const uint8_t *at = b.len ? memchr(b.at, c, b.len) : NULL;
    return at ? (size_t)(at - b.at) : b.len;
}

static size_t find_last(struct bytes b, char c)
{
    for (size_t i = b.len; i > 0; i--)
        if (b.at[i - 1] == c)
            return i - 1;
    return b.len;
}

static enum code wrong(struct bytes text, const char *what, struct fault *why)
{
    char said[100];
    return FAIL(why, CODE_USAGE, 0,
                "'%s' is no address of an MQTT server: %s. Write host, host:port, mqtt://host:port, "
                "mqtts://host, ws://host/mqtt or wss://host/mqtt",
                bytes_escape(text, said, sizeof said), what);
}

static bool copy(struct bytes from, char *to, size_t cap)
{
    if (from.len >= cap || find(from, '\0') != from.len)
        return false;
    if (from.len)
        memcpy(to, from.at, from.len);
    to[from.len] = 0;
    return true;
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %40 is @: a user name may contain one. */
static bool copy_decoded(struct bytes from, char *to, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < from.len; i++) {
        int c = from.at[i];
        if (c == '%') {
            int high = i + 2 < from.len ? hex(from.at[i + 1]) : -1, low = high < 0 ? -1 : hex(from.at[i + 2]);
            if (low < 0 || high * 16 + low == 0)
                return false;
            c = high * 16 + low;
            i += 2;
        }
        if (n + 1 >= cap)
            return false;
        to[n++] = (char)c;
    }
    to[n] = 0;
    return true;
}

/* Takes "mqtts://" off the front. False: a scheme that is none of ours. */
static bool take_scheme(struct bytes *text, struct mqtt_address *out)
{
    for (size_t i = 0; i + 2 < text->len; i++) {
        if (memcmp(text->at + i, "://", 3) != 0)
            continue;
        struct bytes name = head(*text, i);
        *text = bytes_from(*text, i + 3);
        for (size_t s = 0; s < sizeof schemes / sizeof schemes[0]; s++) {
            out->scheme = (enum mqtt_scheme)s;
            if (bytes_is(name, schemes[s].name))
                return true;
        }
        return false;
    }
    return true;
}

static bool take_user(struct bytes *rest, struct mqtt_address *out)
{
    size_t at = find_last(*rest, '@');
    if (at == rest->len)
        return true;
    struct bytes who = head(*rest, at);
    size_t colon = find(who, ':');
    *rest = bytes_from(*rest, at + 1);
    return copy_decoded(head(who, colon), out->user, sizeof out->user) &&
           (colon == who.len ||
            copy_decoded(bytes_from(who, colon + 1), out->password, sizeof out->password));
}

/* "host", "host:port", "[v6]", "[v6]:port", "v6". False: something else. */
static bool take_place(struct bytes rest, struct mqtt_address *out)
{
    struct bytes host = rest, port = BYTES_NONE;
    if (rest.len && rest.at[0] == '[') {
        size_t close = find(rest, ']');
        if (close == rest.len || (close + 1 < rest.len && rest.at[close + 1] != ':'))
            return false;
        host = bytes_of(rest.at + 1, close - 1);
        port = close + 1 < rest.len ? bytes_from(rest, close + 1) : BYTES_NONE;
    } else if (find(rest, ':') == find_last(rest, ':') && find(rest, ':') < rest.len) {
        host = head(rest, find(rest, ':'));
        port = bytes_from(rest, host.len);
    }
    uint64_t n;
    if (port.len) {
        if (value_parse_count(bytes_from(port, 1), 1, 65535, &n, NULL) != CODE_OK)
            return false;
        out->port = (uint16_t)n;
    }
    return host.len && copy(host, out->host, sizeof out->host);
}

enum code mqtt_address_parse(struct mqtt_address *out, struct bytes text, uint16_t port, struct fault *why)
{
    struct bytes rest = text;
    *out = (struct mqtt_address){.scheme = MQTT_TCP};
    if (bytes_starts(text, "unix:")) {
        out->port = port ? port : schemes[MQTT_TCP].port;
        return copy(text, out->host, sizeof out->host) ? CODE_OK : wrong(text, "the path is too long", why);
    }
    if (!take_scheme(&rest, out))
        return wrong(text, "the scheme is mqtt, mqtts, ws or wss", why);
    bool url = rest.at != text.at;
    struct bytes path = BYTES_NONE;
    size_t slash = find(rest, '/');
    if (slash < rest.len) {
        path = bytes_from(rest, slash);
        rest = head(rest, slash);
    }
    if (path.len && !url)
        return wrong(text, "a path belongs behind ws:// or wss://", why);
    if (!copy(path, out->path, sizeof out->path))
        return wrong(text, "the path is too long", why);
    if (url && !take_user(&rest, out))
        return wrong(text, "the user name or password is too long or wrongly written", why);
    out->port = port ? port : schemes[out->scheme].port;
    return take_place(rest, out) ? CODE_OK : wrong(text, "host or port are missing or wrong", why);
}

/* ---- dialling ---- */

enum { FRAME_MAX = 268435460 }; /* the largest packet of MQTT in one frame */

static size_t no_bytes(void *ctx, struct conn *conn, struct bytes in)
{
    (void)ctx;
    (void)conn;
    return in.len;
}

static void no_close(void *ctx, struct conn *conn, const struct fault *why)
{
    (void)ctx;
    (void)conn;
    (void)why;
}

/* The caller was told that there is no connection: it must not hear of its end. */
static void abandon(struct conn *conn)
{
    static const struct conn_events nobody = {.on_bytes = no_bytes, .on_close = no_close};
    conn_set_events(conn, &nobody, NULL);
    conn_close(conn, false);
}

enum code mqtt_dial(struct conn **out, struct loop *loop, const struct mqtt_route *r,
                    const struct conn_events *events, void *ctx, struct fault *why)
{
    bool tls = r->scheme == MQTT_TLS || r->scheme == MQTT_WSS,
         socket = r->scheme == MQTT_WS || r->scheme == MQTT_WSS;
    enum code code = tls ? conn_dial_tls(out, loop, r->host, r->port, r->tls, events, ctx, why)
                         : conn_dial(out, loop, r->host, r->port, events, ctx, why);
    if (code || !socket)
        return code;
    const char *path = r->path && *r->path ? r->path : "/mqtt";
    code = websocket_dial(*out, r->host, r->port, path, "mqtt", FRAME_MAX, why); /* [MQTT-6.0.0-3] */
    if (code)
        abandon(*out);
    return code;
}
