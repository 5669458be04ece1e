/* http_call.c - one request to an HTTP server, one connection. */
#include "base/mem.h"
#include "net/http.h"
#include "net/tls.h"

#include <http_parser.h>
#include <stdio.h>
#include <strings.h>

struct http_call {
    struct conn *conn;
    const struct http_call_events *events;
    void       *ctx;
    http_parser parser;
    struct buf  request; /* until the connection is open */
    bool        head_only;
    bool        over; /* on_done was called, or nobody wants to know */
};

static void done(struct http_call *call, const struct fault *why)
{
    if (call->over)
        return;
    call->over = true;
    conn_close(call->conn, false);
    if (call->events->on_done)
        call->events->on_done(call->ctx, why);
}

static bool interim(const http_parser *p)
{
    return p->status_code < 200;
}

static int found_head(http_parser *p)
{
    struct http_call *call = p->data;
    if (interim(p))
        return 0;
    if (call->events->on_head)
        call->events->on_head(call->ctx, p->status_code);
    return call->over ? -1 : call->head_only;
}

static int found_body(http_parser *p, const char *at, size_t n)
{
    struct http_call *call = p->data;
    if (call->events->on_body && !interim(p))
        call->events->on_body(call->ctx, bytes_of(at, n));
    return call->over ? -1 : 0;
}

static int found_end(http_parser *p)
{
    struct http_call *call = p->data;
    if (interim(p))
        return 0;
    done(call, NULL);
    return -1; /* whatever follows is not for us */
}

static const http_parser_settings finds = {
    .on_headers_complete = found_head,
    .on_body = found_body,
    .on_message_complete = found_end,
};

static size_t on_bytes(void *ctx, struct conn *c, struct bytes in)
{
    struct http_call *call = ctx;
    (void)http_parser_execute(&call->parser, &finds, (const char *)in.at, in.len);
    enum http_errno err = HTTP_PARSER_ERRNO(&call->parser);
    if (!call->over && err != HPE_OK) {
        struct fault why;
        (void)FAIL(&why, CODE_MALFORMED, 0, "%s does not answer in HTTP: %s", conn_address(c),
                   http_errno_description(err));
        done(call, &why);
    }
    return in.len;
}

static void on_open(void *ctx, struct conn *c)
{
    struct http_call *call = ctx;
    buf_add_bytes(conn_out(c), buf_bytes(&call->request));
    buf_clear(&call->request);
}

static void on_close(void *ctx, struct conn *c, const struct fault *why)
{
    struct http_call *call = ctx;
    struct fault early;
    if (!call->over && why && why->code == CODE_CLOSED) {
        /* The end of the connection may be the end of the body. */
        (void)http_parser_execute(&call->parser, &finds, "", 0);
        if (!call->over) {
            (void)FAIL(&early, CODE_CLOSED, 0, "%s closed the connection before it had answered",
                       conn_address(c));
            why = &early;
        }
    }
    if (!call->over) {
        call->over = true;
        if (call->events->on_done)
            call->events->on_done(call->ctx, why);
    }
    buf_clear(&call->request);
    mem_free(call);
}

static const struct conn_events call_events = {
    .on_bytes = on_bytes, .on_open = on_open, .on_close = on_close
};

static bool has_type(const char *lines)
{
    static const char name[] = "content-type:";
    while (lines && *lines) {
        if (strncasecmp(lines, name, sizeof name - 1) == 0)
            return true;
        lines = strchr(lines, '\n');
        lines = lines ? lines + 1 : NULL;
    }
    return false;
}

static void write_request(struct buf *out, const struct http_call_options *o)
{
    bool local = strncmp(o->host, "unix:", 5) == 0;
    bool sends = strcmp(o->method, "POST") == 0 || strcmp(o->method, "PUT") == 0 || strcmp(o->method, "PATCH") == 0;
    buf_printf(out, "%s %s HTTP/1.1\r\n", o->method, o->target);
    if (local)
        buf_printf(out, "Host: localhost\r\n");
    else
        buf_printf(out, strchr(o->host, ':') ? "Host: [%s]:%u\r\n" : "Host: %s:%u\r\n", o->host, o->port);
    buf_printf(out, "Connection: close\r\n%s", o->headers ? o->headers : "");
    if (o->body.len || sends)
        buf_printf(out, "%sContent-Length: %zu\r\n", has_type(o->headers) ? "" : "Content-Type: application/json\r\n",
                   o->body.len);
    buf_add_bytes(out, BYTES_LIT("\r\n"));
    buf_add_bytes(out, o->body);
}

static enum code dial(struct http_call *call, struct loop *l, const struct http_call_options *o, struct fault *why)
{
    if (call->request.bad)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a request");
    return o->tls ? conn_dial_tls(&call->conn, l, o->host, o->port, o->tls, &call_events, call, why)
                  : conn_dial(&call->conn, l, o->host, o->port, &call_events, call, why);
}

enum code http_call_start(struct http_call **out, struct loop *l, const struct http_call_options *o,
                          const struct http_call_events *events, void *ctx, struct fault *why)
{
    struct http_call *call = mem_zalloc(1, sizeof *call);
    if (!call)
        return FAIL(why, CODE_NOMEM, 0, "no memory for a request");
    call->events = events;
    call->ctx = ctx;
    call->head_only = strcmp(o->method, "HEAD") == 0;
    http_parser_init(&call->parser, HTTP_RESPONSE);
    call->parser.data = call;
    write_request(&call->request, o);
    enum code code = dial(call, l, o, why);
    if (code != CODE_OK) {
        buf_clear(&call->request);
        mem_free(call);
        return code;
    }
    *out = call;
    return CODE_OK;
}

enum code http_call_open(struct http_call **out, struct loop *l, const char *host, uint16_t port, const char *method,
                         const char *target, struct bytes body, const struct http_call_events *events, void *ctx,
                         struct fault *why)
{
    struct http_call_options o = { .host = host, .port = port, .method = method, .target = target, .body = body };
    return http_call_start(out, l, &o, events, ctx, why);
}

void http_call_cancel(struct http_call *call)
{
    call->over = true;
    conn_close(call->conn, false);
}
