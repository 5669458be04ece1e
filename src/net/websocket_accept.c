/* websocket_accept.c - the opening handshake, seen from the server [RFC 6455, 4.2]. */
#include "net/http_conn.h"
#include "net/tls.h"
#include "net/websocket_private.h"

#include "base/log.h"
#include "base/mem.h"

#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>

/* ---- counted ---- */

static _Atomic uint64_t accepted, refused[WEBSOCKET_REFUSALS], closed[4];
static const unsigned closed_codes[4] = { 1002, 1003, 1007, 1009 };

void ws_count_closed(unsigned code)
{
    for (size_t i = 0; i < 4; i++)
        if (closed_codes[i] == code)
            atomic_fetch_add_explicit(&closed[i], 1, memory_order_relaxed);
}

void websocket_stats(struct websocket_stats *out)
{
    *out = (struct websocket_stats){
        .accepted = atomic_load(&accepted),
        .closed_protocol = atomic_load(&closed[0]),
        .closed_text = atomic_load(&closed[1]),
        .closed_reason = atomic_load(&closed[2]),
        .closed_too_big = atomic_load(&closed[3]),
    };
    for (size_t i = 0; i < WEBSOCKET_REFUSALS; i++)
        out->refused[i] = atomic_load(&refused[i]);
}

/* ---- texts ---- */

static struct bytes trim(struct bytes b)
{
    while (b.len && (b.at[0] == ' ' || b.at[0] == '\t'))
        b = bytes_from(b, 1);
    while (b.len && (b.at[b.len - 1] == ' ' || b.at[b.len - 1] == '\t'))
        b.len--;
    return b;
}

/* The first item of a list with commas, which is shortened by it. */
static struct bytes next_item(struct bytes *list)
{
    const uint8_t *comma = list->len ? memchr(list->at, ',', list->len) : NULL;
    size_t n = comma ? (size_t)(comma - list->at) : list->len;
    struct bytes item = bytes_of(list->at, n);
    *list = bytes_from(*list, comma ? n + 1 : n);
    return trim(item);
}

static bool same_word(struct bytes a, struct bytes b)
{
    return a.len == b.len && strncasecmp((const char *)a.at, (const char *)b.at, a.len) == 0;
}

bool ws_has_token(struct bytes list, const char *token)
{
    while (list.len)
        if (same_word(next_item(&list), bytes_str(token)))
            return true;
    return false;
}

static bool header_has(const struct http_exchange *x, const char *name, const char *token)
{
    struct bytes value;
    for (unsigned n = 0; http_nth_header(x, name, n, &value); n++)
        if (ws_has_token(value, token))
            return true;
    return false;
}

/* The value of a header that may stand there once. False: it stands there twice. */
static bool single(const struct http_exchange *x, const char *name, struct bytes *value)
{
    struct bytes second;
    if (!http_nth_header(x, name, 0, value))
        *value = BYTES_NONE;
    return !http_nth_header(x, name, 1, &second);
}

bool ws_accept_of(struct bytes key, char out[WS_ACCEPT_CHARS + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* [RFC 6455, 1.3] */
    uint8_t text[WS_KEY_CHARS + sizeof guid - 1], hash[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    FG_ASSERT(key.len == WS_KEY_CHARS);
    memcpy(text, key.at, key.len);
    memcpy(text + key.len, guid, sizeof guid - 1);
    if (EVP_Digest(text, sizeof text, hash, &size, EVP_sha1(), NULL) != 1 || size != 20)
        return false;
    (void)EVP_EncodeBlock((unsigned char *)out, hash, 20);
    return true;
}

/* base64 of 16 bytes. */
static bool key_valid(struct bytes key)
{
    if (key.len != WS_KEY_CHARS || key.at[22] != '=' || key.at[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        uint8_t c = key.at[i];
        if (!(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '+' && c != '/')
            return false;
    }
    return true;
}

/* ---- who asks ---- */

/* The host of "host:port" or "[::1]:port", in brackets if it is; also of "::1:port", which Paho for Python writes. */
static struct bytes host_of(struct bytes authority)
{
    const uint8_t *end = authority.len && authority.at[0] == '[' ? memchr(authority.at, ']', authority.len) : NULL;
    const uint8_t *colon = end || authority.len == 0 ? NULL : memrchr(authority.at, ':', authority.len);
    return bytes_of(authority.at, end ? (size_t)(end + 1 - authority.at)
                                      : colon ? (size_t)(colon - authority.at) : authority.len);
}

/* A name that a page elsewhere cannot have pointed to us (DNS rebinding): an address, or localhost. */
static bool fixed_host(struct bytes host)
{
    if (same_word(host, BYTES_LIT("localhost")) || (host.len && memchr(host.at, ':', host.len)))
        return true;
    for (size_t i = 0; i < host.len; i++)
        if (host.at[i] != '.' && (host.at[i] < '0' || host.at[i] > '9'))
            return false;
    return host.len > 0;
}

/* A page that we served ourselves. On this machine a name could be anybody's: there it has to be localhost or an address.
 * Behind a proxy the page may have come over TLS and its request not; the other way round it is a page that somebody on the
 * way could have written. */
static bool same_origin(const struct http_exchange *x, const struct http_request *r, struct bytes origin)
{
    struct bytes host = http_header(x, "host");
    size_t scheme = bytes_starts(origin, "https://") ? 8 : 0;
    if (bytes_starts(origin, "http://") && !conn_is_tls(http_conn_of(x)->conn))
        scheme = 7;
    return scheme && host.len && same_word(bytes_from(origin, scheme), host) && (!r->loopback || fixed_host(host_of(host)));
}

static bool origin_allowed(const struct http_exchange *x, const struct http_request *r, const struct websocket_rules *rules,
                           struct bytes origin)
{
    for (size_t i = 0; i < rules->origin_count; i++)
        if (strcmp(rules->origins[i], "*") == 0 || same_word(origin, bytes_str(rules->origins[i])))
            return true;
    return same_origin(x, r, origin);
}

/* ---- the answer ---- */

static struct conn *refuse(struct http_exchange *x, const struct http_request *r, unsigned status,
                           enum websocket_refusal kind, const char *text)
{
    char who[80];
    struct fault why;
    atomic_fetch_add_explicit(&refused[kind], 1, memory_order_relaxed);
    (void)FAIL_FG(&why, CODE_REFUSED, 1101, "%s", text);
    log_info("net", "FG1101 the WebSocket handshake of %s was refused with %u: %s",
             bytes_escape(r->peer, who, sizeof who), status, text);
    http_reply_fault(x, status, &why);
    return NULL;
}

static const char *choose_protocol(const struct http_exchange *x, const struct websocket_rules *rules)
{
    struct bytes list;
    for (unsigned n = 0; http_nth_header(x, "sec-websocket-protocol", n, &list); n++)
        while (list.len) {
            struct bytes item = next_item(&list);
            for (size_t i = 0; rules->protocols[i]; i++)
                if (bytes_is(item, rules->protocols[i]))
                    return rules->protocols[i];
        }
    return NULL;
}

/* What is wrong with the request line and the headers of an upgrade; 0: nothing. */
static unsigned malformed(const struct http_exchange *x, const struct http_request *r, struct bytes *key, const char **text)
{
    struct bytes ignored;
    if (!bytes_is(r->method, "GET")) {
        *text = "a WebSocket is opened with GET";
        return 405;
    }
    if (x->old || r->body.len || !header_has(x, "connection", "upgrade")) {
        *text = "a WebSocket is opened with HTTP/1.1, Connection: Upgrade and no body";
        return 400;
    }
    if (!single(x, "sec-websocket-key", key) || !key_valid(*key) || !single(x, "sec-websocket-version", &ignored) ||
        !single(x, "origin", &ignored)) {
        *text = "exactly one Sec-WebSocket-Key of 16 bytes in base64 is needed, one Sec-WebSocket-Version, at most one Origin";
        return 400;
    }
    return 0;
}

static struct conn *judge(struct http_exchange *x, const struct http_request *r, const struct websocket_rules *rules,
                          struct bytes *key, const char **protocol)
{
    const char *text = NULL;
    char said[100], sentence[240];
    unsigned status = malformed(x, r, key, &text);
    if (status == 405)
        http_add_header(x, "Allow", "GET");
    if (status)
        return refuse(x, r, status, WEBSOCKET_MALFORMED, text);
    if (!bytes_is(http_header(x, "sec-websocket-version"), "13")) {
        http_add_header(x, "Sec-WebSocket-Version", "13");
        return refuse(x, r, 426, WEBSOCKET_VERSION, "only version 13 of WebSocket is spoken here");
    }
    struct bytes origin = http_header(x, "origin");
    if (origin.len && !origin_allowed(x, r, rules, origin)) {
        (void)snprintf(sentence, sizeof sentence, "a page of %s asks; add it to the listener's `origins` if it may connect",
                       bytes_escape(origin, said, sizeof said));
        return refuse(x, r, 403, WEBSOCKET_ORIGIN, sentence);
    }
    *protocol = choose_protocol(x, rules);
    if (!*protocol) {
        (void)snprintf(sentence, sizeof sentence, "the subprotocol %s must be among Sec-WebSocket-Protocol, not %s",
                       rules->protocols[0], bytes_escape(http_header(x, "sec-websocket-protocol"), said, sizeof said));
        return refuse(x, r, 400, WEBSOCKET_PROTOCOL, sentence);
    }
    return NULL;
}

struct conn *websocket_accept(struct http_exchange *x, const struct http_request *r, const struct websocket_rules *rules)
{
    struct bytes key = BYTES_NONE;
    const char *protocol = NULL;
    char accept[WS_ACCEPT_CHARS + 1];
    if (!header_has(x, "upgrade", "websocket")) {
        http_add_header(x, "Upgrade", "websocket");
        http_add_header(x, "Connection", "Upgrade");
        return refuse(x, r, 426, WEBSOCKET_NOT_UPGRADE, "this is a WebSocket: ask with Upgrade: websocket");
    }
    (void)judge(x, r, rules, &key, &protocol);
    if (!protocol)
        return NULL;
    struct websocket *ws = ws_accept_of(key, accept) ? ws_new(rules->frame_bytes, NULL) : NULL;
    if (!ws) {
        struct fault why;
        (void)FAIL(&why, CODE_NOMEM, 0, "no memory for a WebSocket");
        http_reply_fault(x, 503, &why);
        return NULL;
    }
    ws->message = rules->message;
    atomic_fetch_add_explicit(&accepted, 1, memory_order_relaxed);
    http_add_header(x, "Sec-WebSocket-Accept", accept);
    http_add_header(x, "Sec-WebSocket-Protocol", protocol);
    struct conn *c = http_upgrade(x, "websocket");
    conn_push_filter(c, &ws->filter);
    return c;
}
