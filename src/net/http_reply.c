#include "net/http_conn.h"

#include "base/log.h"

#include <time.h>

static const char *reason(unsigned status)
{
    switch (status) {
#define ROW(number, name, string)                                                                            \
    case number:                                                                                             \
        return #string;
        HTTP_STATUS_MAP(ROW)
#undef ROW
    }
    return "Unknown";
}

static void add_date(struct buf *out, int64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm tm;
    char text[40];
    /* The C locale's names are those of RFC 9110, 5.6.7; the program never sets another. */
    if (gmtime_r(&seconds, &tm) && strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        buf_printf(out, "Date: %s\r\n", text);
}

static struct buf *add_head(struct http_conn *h, unsigned status, const char *content_type)
{
    struct buf *out = conn_out(h->conn);
    buf_printf(out, "HTTP/1.1 %u %s\r\n", status, reason(status));
    add_date(out, loop_wall_us(h->server->loop));
    if (content_type)
        buf_printf(out, "Content-Type: %s\r\n", content_type);
    buf_add_bytes(out, BYTES_LIT("Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"));
    if (!h->ex.keep)
        buf_add_bytes(out, BYTES_LIT("Connection: close\r\n"));
    else if (h->ex.old)
        buf_add_bytes(out, BYTES_LIT("Connection: keep-alive\r\n"));
    buf_add_bytes(out, buf_bytes(&h->ex.extra));
    return out;
}

/* 1xx, 204 and 304 have no body, and the first two no length either [RFC 9110, 8.6]. */
static bool has_body(unsigned status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void send_whole(struct http_conn *h, unsigned status, const char *content_type, struct bytes body)
{
    struct buf *out = add_head(h, status, content_type);
    if (has_body(status))
        buf_printf(out, "Content-Length: %zu\r\n", body.len);
    buf_add_bytes(out, BYTES_LIT("\r\n"));
    if (has_body(status) && !h->ex.head_only)
        buf_add_bytes(out, body);
}

void http_add_header(struct http_exchange *e, const char *name, const char *value)
{
    buf_printf(&e->extra, "%s: %s\r\n", name, value);
}

void http_reply(struct http_exchange *e, unsigned status, const char *content_type, struct bytes body)
{
    struct http_conn *h = http_conn_of(e);
    FG_ASSERT(!e->begun);
    if (h->conn)
        send_whole(h, status, content_type, body);
    http_ended(h);
}

static void fault_json(struct buf *out, const struct fault *why)
{
    buf_add_bytes(out, BYTES_LIT("{\"error\":{\"code\":\""));
    if (why->number)
        buf_printf(out, "FG%04d", why->number);
    else
        buf_printf(out, "%s", code_name(why->code));
    buf_add_bytes(out, BYTES_LIT("\",\"message\":"));
    buf_json(out, bytes_str(why->text));
    buf_add_bytes(out, BYTES_LIT("}}\n"));
}

void http_reply_fault(struct http_exchange *e, unsigned status, const struct fault *why)
{
    struct buf body = { 0 };
    fault_json(&body, why);
    http_reply(e, status, "application/json", buf_bytes(&body));
    buf_clear(&body);
}

void http_refuse(struct http_conn *h, unsigned status, const char *text)
{
    struct fault why;
    struct buf body = { 0 };
    (void)FAIL(&why, h->refuse == 503 ? CODE_NOMEM : status == 400 ? CODE_MALFORMED : CODE_LIMIT, 0, "%s", text);
    h->phase = PHASE_REFUSED;
    h->ex.keep = h->ex.head_only = false;
    http_count_refused();
    log_info("net", "FG1103 the HTTP request of %s was refused with %u: %s", conn_address(h->conn), status, text);
    fault_json(&body, &why);
    send_whole(h, status, "application/json", buf_bytes(&body));
    buf_clear(&body);
    conn_close(h->conn, true);
}

/* ---- streams ---- */

void http_begin(struct http_exchange *e, unsigned status, const char *content_type)
{
    struct http_conn *h = http_conn_of(e);
    FG_ASSERT(e->busy && !e->begun);
    e->begun = true;
    if (!h->conn)
        return;
    if (e->old)
        e->keep = false; /* the end of the connection is the end of the body */
    struct buf *out = add_head(h, status, content_type);
    buf_add_bytes(out, e->old ? BYTES_LIT("\r\n") : BYTES_LIT("Transfer-Encoding: chunked\r\n\r\n"));
}

enum code http_chunk(struct http_exchange *e, struct bytes part)
{
    struct http_conn *h = http_conn_of(e);
    FG_ASSERT(e->busy && e->begun);
    if (!h->conn)
        return CODE_CLOSED;
    if (conn_unsent(h->conn) > HTTP_UNSENT)
        return CODE_AGAIN;
    if (part.len == 0 || e->head_only)
        return CODE_OK; /* an empty chunk would be the end */
    struct buf *out = conn_out(h->conn);
    if (!e->old)
        buf_printf(out, "%zx\r\n", part.len);
    buf_add_bytes(out, part);
    if (!e->old)
        buf_add_bytes(out, BYTES_LIT("\r\n"));
    return CODE_OK;
}

void http_end(struct http_exchange *e)
{
    struct http_conn *h = http_conn_of(e);
    FG_ASSERT(e->busy && e->begun);
    if (h->conn && !e->old && !e->head_only)
        buf_add_bytes(conn_out(h->conn), BYTES_LIT("0\r\n\r\n"));
    http_ended(h);
}

void http_watch(struct http_exchange *e, void (*drained)(void *), void (*gone)(void *), void *ctx)
{
    e->drained = drained;
    e->gone = gone;
    e->ctx = ctx;
}

struct conn *http_upgrade(struct http_exchange *e, const char *protocol)
{
    struct http_conn *h = http_conn_of(e);
    FG_ASSERT(e->in_handler && e->busy && !e->begun && h->conn);
    struct buf *out = conn_out(h->conn);
    buf_printf(out, "HTTP/1.1 101 %s\r\n", reason(101));
    add_date(out, loop_wall_us(h->server->loop));
    buf_printf(out, "Upgrade: %s\r\nConnection: Upgrade\r\n", protocol);
    buf_add_bytes(out, buf_bytes(&e->extra));
    buf_add_bytes(out, BYTES_LIT("\r\n"));
    return http_give_away(h);
}
