/* websocket_dial.c - the opening handshake, seen from the client [RFC 6455, 4.1]. */
#include "net/websocket_private.h"

#include "base/io.h"
#include "base/mem.h"

#include <openssl/evp.h>
#include <string.h>

enum { ANSWER_MAX = 16 * 1024 };

static bool write_request(struct ws_client *c, const char *host, uint16_t port, const char *path)
{
    uint8_t drawn[16];
    char key[WS_KEY_CHARS + 1];
    io_system.random(io_system.self, drawn, sizeof drawn);
    (void)EVP_EncodeBlock((unsigned char *)key, drawn, sizeof drawn);
    buf_printf(&c->request, "GET %s HTTP/1.1\r\n", path);
    buf_printf(&c->request, strchr(host, ':') ? "Host: [%s]:%u\r\n" : "Host: %s:%u\r\n", host, port);
    buf_printf(&c->request,
               "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Protocol: %s\r\n\r\n",
               key, c->protocol);
    return !c->request.bad && ws_accept_of(bytes_str(key), c->accept);
}

enum code ws_client_start(struct filter *f, struct fault *why)
{
    struct ws_client *c = ((struct websocket *)(void *)f)->client;
    (void)why;
    filter_send(f, buf_bytes(&c->request));
    buf_clear(&c->request);
    return CODE_OK;
}

/* The next line of *head without its end; the head ends with an empty one. */
static struct bytes next_line(struct bytes *head)
{
    const uint8_t *end = memmem(head->at, head->len, "\r\n", 2);
    size_t n = end ? (size_t)(end - head->at) : head->len;
    struct bytes line = bytes_of(head->at, n);
    *head = bytes_from(*head, end ? n + 2 : n);
    return line;
}

static bool header_is(struct bytes line, const char *name, struct bytes *value)
{
    size_t n = strlen(name);
    if (line.len <= n || line.at[n] != ':' || strncasecmp((const char *)line.at, name, n) != 0)
        return false;
    *value = bytes_from(line, n + 1);
    while (value->len && (value->at[0] == ' ' || value->at[0] == '\t'))
        *value = bytes_from(*value, 1);
    while (value->len && (value->at[value->len - 1] == ' ' || value->at[value->len - 1] == '\t'))
        value->len--;
    return true;
}

static enum code judge(struct websocket *ws, struct bytes head, struct fault *why)
{
    const struct ws_client *c = ws->client;
    const char *address = conn_address(ws->filter.conn);
    bool upgrade = false, connection = false, accept = false, protocol = false;
    struct bytes value, line = next_line(&head);
    char said[100];
    if (!bytes_starts(line, "HTTP/1.1 101"))
        return FAIL(why, CODE_REFUSED, 0, "%s does not open a WebSocket: it answers %s", address,
                    bytes_escape(line, said, sizeof said));
    while (head.len) {
        line = next_line(&head);
        upgrade |= header_is(line, "upgrade", &value) && ws_has_token(value, "websocket");
        connection |= header_is(line, "connection", &value) && ws_has_token(value, "upgrade");
        accept |= header_is(line, "sec-websocket-accept", &value) && bytes_is(value, c->accept);
        protocol |= header_is(line, "sec-websocket-protocol", &value) && bytes_is(value, c->protocol);
        if (header_is(line, "sec-websocket-extensions", &value))
            return FAIL(why, CODE_PROTOCOL, 0, "%s uses an extension of WebSocket that nobody asked for", address);
    }
    if (!upgrade || !connection || !accept)
        return FAIL(why, CODE_PROTOCOL, 0, "%s does not speak WebSocket: its answer to the handshake is wrong", address);
    if (!protocol)
        return FAIL(why, CODE_PROTOCOL, 0, "%s does not speak the subprotocol %s", address, c->protocol);
    return CODE_OK;
}

enum code ws_client_answer(struct websocket *ws, struct bytes in, struct bytes *rest, struct fault *why)
{
    struct buf *answer = &ws->client->answer;
    size_t had = buf_size(answer);
    buf_add_bytes(answer, in);
    *rest = BYTES_NONE;
    if (answer->bad)
        return FAIL(why, CODE_NOMEM, 0, "no memory for the answer of %s", conn_address(ws->filter.conn));
    struct bytes all = buf_bytes(answer);
    const uint8_t *end = memmem(all.at, all.len, "\r\n\r\n", 4);
    size_t size = end ? (size_t)(end - all.at) + 4 : all.len;
    if (size > ANSWER_MAX)
        return FAIL(why, CODE_LIMIT, 0, "%s answers with more than %d bytes of headers", conn_address(ws->filter.conn),
                    ANSWER_MAX);
    if (!end)
        return CODE_OK;
    enum code code = judge(ws, bytes_of(all.at, size - 2), why);
    buf_clear(answer);
    if (code != CODE_OK)
        return code;
    *rest = bytes_from(in, size - had);
    filter_opened(&ws->filter);
    return CODE_OK;
}

enum code websocket_dial(struct conn *conn, const char *host, uint16_t port, const char *path, const char *protocol,
                         uint32_t frame_bytes, struct fault *why)
{
    if (path[0] != '/' || strpbrk(path, " \r\n#") || strpbrk(host, " \r\n/"))
        return FAIL(why, CODE_USAGE, 0, "a WebSocket's path begins with / and has no spaces and no #");
    struct ws_client *c = mem_zalloc(1, sizeof *c);
    if (!c)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a WebSocket");
    c->protocol = protocol;
    struct websocket *ws = write_request(c, host, port, path) ? ws_new(frame_bytes, c) : NULL;
    if (!ws) {
        ws_client_free(c);
        return FAIL(why, CODE_NOMEM, 0, "no memory for a WebSocket");
    }
    conn_push_filter(conn, &ws->filter);
    return CODE_OK;
}
