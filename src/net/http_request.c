/* http_request.c - what the parser finds, kept and judged. */
#include "net/http_conn.h"

#include "base/limits_use.h"

#include <strings.h>

/* Remembers the refusal and stops the parser. */
static int refuse_later(struct http_conn *h, unsigned status, const char *why)
{
    h->refuse = (uint16_t)status;
    h->refuse_why = why;
    return -1;
}

static int no_memory(struct http_conn *h)
{
    return refuse_later(h, 503, "out of memory");
}

static int found_begin(http_parser *p)
{
    struct http_conn *h = p->data;
    if (h->phase != PHASE_HEAD)
        http_enter(h, PHASE_HEAD);
    return 0;
}

static int found_target(http_parser *p, const char *at, size_t n)
{
    struct http_conn *h = p->data;
    size_t around = strlen(http_method_str((enum http_method)p->method)) + sizeof "  HTTP/1.1\r\n" - 1;
    limits_saw(LIMIT_HTTP_REQUEST_LINE, h->target_len + n + around);
    if (h->target_len + n + around > h->server->limits.request_line)
        return limits_refused(LIMIT_HTTP_REQUEST_LINE), refuse_later(h, 414, "the request line is too long");
    buf_add(&h->text, at, n);
    h->target_len += n;
    return h->text.bad ? no_memory(h) : 0;
}

static struct http_field *last_field(struct http_conn *h)
{
    return (struct http_field *)(void *)(h->fields.at + h->fields.len) - 1;
}

static size_t field_count(const struct http_conn *h)
{
    return h->fields.len / sizeof(struct http_field);
}

static int count_header(struct http_conn *h, size_t n)
{
    h->header_bytes += n;
    limits_saw(LIMIT_HTTP_HEADERS, h->header_bytes);
    if (h->header_bytes > h->server->limits.header_bytes)
        return limits_refused(LIMIT_HTTP_HEADERS), refuse_later(h, 431, "the headers are too large");
    return 0;
}

static int found_name(http_parser *p, const char *at, size_t n)
{
    struct http_conn *h = p->data;
    /* The parser lets "Content-Length : 5" pass; others read it differently [RFC 9112, 5.1]. */
    if (memchr(at, ' ', n))
        return refuse_later(h, 400, "a space in a header's name");
    if (h->phase == PHASE_BODY)
        return count_header(h, n); /* a trailer: counted, not kept */
    size_t cost = n;
    if (field_count(h) == 0 || h->in_value) {
        if (field_count(h) >= h->server->limits.header_count)
            return limits_refused(LIMIT_HTTP_HEADER_COUNT), refuse_later(h, 431, "too many headers");
        struct http_field *f = buf_grow(&h->fields, sizeof *f);
        if (!f)
            return no_memory(h);
        *f = (struct http_field){ .name = (uint32_t)h->text.len };
        limits_saw(LIMIT_HTTP_HEADER_COUNT, field_count(h));
        h->in_value = false;
        cost += sizeof ": \r\n" - 1;
    }
    if (count_header(h, cost) != 0)
        return -1;
    buf_add(&h->text, at, n);
    struct http_field *f = last_field(h);
    f->name_len += (uint32_t)n;
    f->value = (uint32_t)h->text.len;
    return h->text.bad ? no_memory(h) : 0;
}

static int found_value(http_parser *p, const char *at, size_t n)
{
    struct http_conn *h = p->data;
    if (count_header(h, n) != 0)
        return -1;
    if (h->phase == PHASE_BODY)
        return 0;
    h->in_value = true;
    buf_add(&h->text, at, n);
    last_field(h)->value_len += (uint32_t)n;
    return h->text.bad ? no_memory(h) : 0;
}

static struct bytes text_at(const struct http_conn *h, uint32_t at, uint32_t n)
{
    return bytes_of(h->text.at + at, n);
}

static bool equal_nocase(struct bytes a, const char *b)
{
    return a.len == strlen(b) && strncasecmp((const char *)a.at, b, a.len) == 0;
}

/* How often a header stands there; *last is the last one's value. */
static unsigned find_header(const struct http_conn *h, const char *name, struct bytes *last)
{
    const struct http_field *f = (const struct http_field *)(const void *)h->fields.at;
    unsigned count = 0;
    for (size_t i = 0; i < field_count(h); i++)
        if (equal_nocase(text_at(h, f[i].name, f[i].name_len), name)) {
            *last = text_at(h, f[i].value, f[i].value_len);
            count++;
        }
    return count;
}

bool http_nth_header(const struct http_exchange *e, const char *name, unsigned n, struct bytes *value)
{
    const struct http_conn *h = http_conn_of(e);
    const struct http_field *f = (const struct http_field *)(const void *)h->fields.at;
    for (size_t i = 0; i < field_count(h); i++)
        if (equal_nocase(text_at(h, f[i].name, f[i].name_len), name) && n-- == 0) {
            *value = text_at(h, f[i].value, f[i].value_len);
            return true;
        }
    return false;
}

struct bytes http_header(const struct http_exchange *e, const char *name)
{
    struct bytes value = BYTES_NONE;
    (void)find_header(http_conn_of(e), name, &value);
    return value;
}

/* Everything that must hold before a body is read. 0, or refused. */
static int check_head(struct http_conn *h)
{
    const http_parser *p = &h->parser;
    struct bytes coding = BYTES_NONE, ignored;
    unsigned lengths = find_header(h, "content-length", &ignored);
    unsigned codings = find_header(h, "transfer-encoding", &coding);
    if (p->http_major != 1 || p->http_minor > 1)
        return refuse_later(h, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    if (p->method == HTTP_CONNECT)
        return refuse_later(h, 405, "this is not a proxy");
    if (lengths > 1 || codings > 1 || (lengths && codings))
        return refuse_later(h, 400, "the length of the body is given twice");
    if (codings && !equal_nocase(coding, "chunked"))
        return refuse_later(h, 400, "the only transfer coding is chunked");
    if (codings && p->http_minor == 0)
        return refuse_later(h, 400, "HTTP/1.0 has no transfer coding"); /* [RFC 9112, 6.1] */
    unsigned hosts = find_header(h, "host", &ignored);
    if (hosts > 1 || (hosts == 0 && p->http_minor == 1))
        return refuse_later(h, 400, "exactly one Host header is needed"); /* [RFC 9112, 3.2] */
    if (lengths && p->content_length > h->server->limits.body_bytes)
        return refuse_later(h, 413, "the body is too large");
    return 0;
}

static int found_head(http_parser *p)
{
    struct http_conn *h = p->data;
    struct bytes expect;
    if (check_head(h) != 0)
        return -1;
    http_enter(h, PHASE_BODY);
    bool body = (p->flags & F_CHUNKED) || (p->content_length && p->content_length != UINT64_MAX);
    if (body && p->http_minor == 1 && find_header(h, "expect", &expect) &&
        equal_nocase(expect, "100-continue"))
        buf_add_bytes(conn_out(h->conn), BYTES_LIT("HTTP/1.1 100 Continue\r\n\r\n"));
    return 0;
}

static int found_body(http_parser *p, const char *at, size_t n)
{
    struct http_conn *h = p->data;
    if (buf_size(&h->body) + n > h->server->limits.body_bytes)
        return refuse_later(h, 413, "the body is too large");
    http_enter(h, PHASE_BODY);
    buf_add(&h->body, at, n);
    return h->body.bad ? no_memory(h) : 0;
}

static int found_end(http_parser *p)
{
    http_parser_pause(p, 1);
    return 0;
}

const http_parser_settings http_finds = {
    .on_message_begin = found_begin,
    .on_url = found_target,
    .on_header_field = found_name,
    .on_header_value = found_value,
    .on_headers_complete = found_head,
    .on_body = found_body,
    .on_message_complete = found_end,
};

bool http_split_target(struct http_conn *h, struct http_request *r)
{
    size_t from = 0, len = h->target_len;
    struct bytes target = bytes_of(h->text.at, len);
    if (bytes_starts(target, "http://") || bytes_starts(target, "https://")) {
        /* The absolute form [RFC 9112, 3.2.2]: our name in it means nothing to us. */
        from = (size_t)((const uint8_t *)memchr(target.at, ':', len) - target.at) + 3;
        const uint8_t *slash = memchr(target.at + from, '/', len - from);
        if (!slash)
            return false;
        from = (size_t)(slash - target.at);
        len -= from;
    }
    const uint8_t *at = h->text.at + from;
    if (len == 0 || (*at != '/' && !(len == 1 && *at == '*')))
        return false;
    const uint8_t *mark = memchr(at, '?', len);
    size_t path_len = mark ? (size_t)(mark - at) : len;
    if (mark)
        r->query = bytes_of(mark + 1, len - path_len - 1);
    const uint8_t *hash = memchr(at, '#', len);
    if (hash)
        return false; /* a fragment is never sent */
    if (!http_unescape(&h->text, from, &path_len))
        return false;
    r->path = bytes_of(h->text.at + from, path_len);
    return true;
}
